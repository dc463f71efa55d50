//! From verdicts to ordered steps. Pure. Decides nothing: what goes was decided by `evaluate`, and `audit` checks it again with
//! code of its own. Knows no limits (see `guard`).

mod audit;
mod order;
mod steps;

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Contents, Digest, DigestWriter, Gap, RegistryName, RepositoryName};
use crate::policy::Policy;

use super::evaluate::{AskedByRules, Evaluation, LockDecision, Reason, RuleRef};

pub use audit::{Audit, Finding, audit};
pub use steps::{Asked, Cause, Delete, DeleteStep, Holders, LockStep, Newest, Relock, RuleNames, Steps, Untag, UntagStep, Why};

/// What one run of one policy would do to one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The registry.
    pub registry: RegistryName,
    /// The policy that acts.
    pub policy: Arc<str>,
    /// What decided, as a hash: whoever approves a plan approves this, too.
    pub policies: Digest,
    /// When the listing began that this plan rests on.
    pub taken_at: Timestamp,
    /// The time that ages were reckoned to.
    pub now: Timestamp,
    /// The repositories that the policy names, by name.
    pub repositories: Vec<RepositoryPlan>,
}

/// What would be done in one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryPlan {
    /// The repository.
    pub name: RepositoryName,
    /// What would be done, or why nothing can be.
    pub decision: Decision,
}

/// Steps, or the reason for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The listing was complete.
    Steps(Steps),
    /// The listing was not: nothing is done here.
    Nothing(Vec<Gap>),
}

/// A short name for exactly these steps, so that a person can approve this plan and no other.
/// The same decision has the same hash on another day: times of planning are not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanHash(Digest);

impl PlanHash {
    /// Whether `text` names this plan: its hash as it is shown, or more of it.
    pub fn is(self, text: &str) -> bool {
        self.to_string().len() <= text.len() && self.0.hex().starts_with(text)
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.short())
    }
}

impl Plan {
    /// The plan's hash.
    pub fn hash(&self) -> PlanHash {
        let mut text = DigestWriter::default();
        // Writing into a digest cannot fail.
        let _ = writeln!(text, "retaind plan 2\n{}\n{}\n{}", self.registry, self.policy, self.policies);
        for (name, steps) in self.steps() {
            let _ = writeln!(text, "{name}");
            for LockStep { digest, tag, change, .. } in steps.locks() {
                let _ = writeln!(text, "lock {digest} {tag:?} {change:?}");
            }
            for UntagStep { tag, digest, .. } in steps.untags() {
                let _ = writeln!(text, "untag {} {digest}", tag.name);
            }
            for DeleteStep { digest, tags, .. } in steps.deletes() {
                let _ = write!(text, "delete {digest} ");
                for (place, tag) in tags.iter().enumerate() {
                    let _ = write!(text, "{}{}", if place == 0 { "" } else { " " }, tag.name);
                }
                let _ = writeln!(text);
            }
        }
        PlanHash(text.digest())
    }

    /// The repositories with a complete listing, and their steps.
    pub fn steps(&self) -> impl Iterator<Item = (&RepositoryName, &Steps)> {
        self.repositories.iter().filter_map(|repository| match &repository.decision {
            Decision::Steps(steps) => Some((&repository.name, steps)),
            Decision::Nothing(_) => None,
        })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps().all(|(_, steps)| steps.is_empty())
    }
}

/// Puts what goes into steps.
pub fn steps(contents: &Arc<Contents>, evaluation: &Evaluation, acting: &Policy) -> Steps {
    let Evaluation { manifests, tags, locks, marks: _, graph, images, images_going, orphans, orphans_going } = evaluation;
    let mut names = Names::new(acting);
    let untags = tags.going().filter(|tag| !manifests.goes(contents.owner_of(*tag)));
    let untags = untags.map(|tag| Untag { tag, why: names.why(tags.reasons(tag)) }).collect();
    // What has no time is kept, so what goes has one.
    let timed = |manifest: &u32| contents.manifests()[*manifest as usize].updated_at.is_some();
    let order::Ordered { manifests: ordered, waits } = order::holders_first(contents, graph, manifests);
    let deletes = ordered.into_iter().filter(timed);
    let deletes = deletes.map(|manifest| Delete { manifest, why: names.why(manifests.reasons(manifest)) }).collect();
    let relock = |decision: &LockDecision| {
        let LockDecision { place, change, asked } = *decision;
        Relock { place, change, asked }
    };
    Steps {
        contents: Arc::clone(contents),
        images: *images,
        images_going: *images_going,
        orphans: *orphans,
        orphans_going: *orphans_going,
        newest: Newest {
            manifest: contents.manifests().iter().filter_map(|manifest| manifest.updated_at).max(),
            tag: contents.tags().iter().filter_map(|tag| tag.updated_at).max(),
        },
        locks: locks.decisions.iter().map(relock).collect(),
        untags,
        deletes,
        waits,
        rules: names.rules,
        asked: locks.asked.iter().map(|asked| names_of_asked(acting, asked)).collect(),
    }
}

fn names_of_asked(acting: &Policy, asked: &AskedByRules) -> Asked {
    let AskedByRules { rules, released_by, closed_by } = asked;
    let closed_by = closed_by.iter().filter_map(|(rule, closed)| Some((Arc::clone(&acting.rule(rule.rule)?.name), *closed)));
    Asked { rules: names_of(acting, rules), released_by: names_of(acting, released_by), closed_by: closed_by.collect() }
}

/// Only the acting policy's rules delete, lock and unlock, so a rule's place is enough to name it.
fn names_of(acting: &Policy, rules: &[RuleRef]) -> RuleNames {
    rules.iter().filter_map(|rule| acting.rule(rule.rule)).map(|rule| Arc::clone(&rule.name)).collect()
}

/// The names of the rules behind steps, each combination once.
struct Names<'a> {
    acting: &'a Policy,
    known: BTreeMap<Vec<RuleRef>, u32>,
    rules: Vec<RuleNames>,
    /// Those of the step at hand: a million steps take one allocation.
    at_hand: Vec<RuleRef>,
}

impl<'a> Names<'a> {
    fn new(acting: &'a Policy) -> Self {
        Self { acting, known: BTreeMap::new(), rules: Vec::new(), at_hand: Vec::new() }
    }

    fn why(&mut self, reasons: &[Reason]) -> Why {
        self.at_hand.clear();
        self.at_hand.extend(reasons.iter().filter_map(|reason| if let Reason::DeleteRule(rule) = reason { Some(*rule) } else { None }));
        let root = || reasons.iter().find_map(|reason| if let Reason::WithRoot(root) = reason { Some(*root) } else { None });
        if self.at_hand.is_empty() { root().map_or(Why::LeftBehind, Why::Image) } else { Why::Rules(self.place_at_hand()) }
    }

    fn place_at_hand(&mut self) -> u32 {
        if let Some(place) = self.known.get(self.at_hand.as_slice()) {
            return *place;
        }
        let place = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        self.rules.push(names_of(self.acting, &self.at_hand));
        self.known.insert(self.at_hand.clone(), place);
        place
    }
}
