//! From verdicts to ordered steps. Pure. Decides nothing: what goes was decided by `evaluate`, and `audit` checks it again with
//! code of its own. Knows no limits (see `guard`).

mod audit;
mod order;

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Contents, Digest, Gap, LockChange, Locks, MediaType, RegistryName, RepositoryName, TagName};
use crate::policy::Policy;

use super::evaluate::{Evaluation, LockDecision, LockPlace, Reason, RuleRef};

pub use audit::{Audit, Finding, audit};

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

/// The steps in one repository: locks first, then tags, then manifests in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// How many images the repository has.
    pub images: u32,
    /// How many of them go.
    pub images_going: u32,
    /// The newest that the listing saw: what is newer came since.
    pub newest: Newest,
    /// Locks to close and open.
    pub locks: Vec<LockStep>,
    /// Tags to remove from manifests that stay.
    pub untags: Vec<UntagStep>,
    /// Manifests to delete: whatever holds another comes before it.
    pub deletes: Vec<DeleteStep>,
}

/// The newest times of a listing, by the registry's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Newest {
    /// Of all manifests.
    pub manifest: Option<Timestamp>,
    /// Of all tags.
    pub tag: Option<Timestamp>,
}

/// Deletes a manifest, with all its tags, by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteStep {
    /// The manifest.
    pub digest: Digest,
    /// What kind of document it is.
    pub media_type: MediaType,
    /// When it was pushed. Anything else, when it is read again, skips the step.
    pub updated_at: Timestamp,
    /// The size ACR tells: config and layers, shared layers counted each time.
    pub size_bytes: u64,
    /// All its tags. One more, or one elsewhere, skips the step.
    pub tags: Vec<ExpectedTag>,
    /// The manifests of this plan that hold it: unless all of them are gone, it stays.
    pub after: Vec<Digest>,
    /// The manifest that it describes: ACR deletes it with that one, without looking at it.
    pub subject: Option<Digest>,
    /// Why.
    pub cause: Cause,
}

/// A tag as the listing showed it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedTag {
    /// Its name.
    pub name: TagName,
    /// When it was last pushed or moved.
    pub updated_at: Option<Timestamp>,
}

/// Removes a tag; its manifest stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntagStep {
    /// The tag.
    pub tag: ExpectedTag,
    /// The manifest it points at. Another, when it is read again, skips the step.
    pub digest: Digest,
    /// Why.
    pub cause: Cause,
}

/// Changes attributes of a manifest or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockStep {
    /// The manifest, or the manifest that the tag points at.
    pub digest: Digest,
    /// The tag; None: the manifest itself.
    pub tag: Option<TagName>,
    /// All attributes as the listing showed them. Others, when they are read again, skip the step.
    pub from: Locks,
    /// What changes.
    pub change: LockChange,
    /// Which rules close what of it: so much of the lock is theirs afterwards.
    pub closed_by: Vec<(Arc<str>, LockChange)>,
    /// Why.
    pub cause: Cause,
}

/// Why a step is in the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// These rules of the policy, by name.
    Rules(Arc<[Arc<str>]>),
    /// These rules, by name, closed the lock and no longer ask for it.
    Released(Arc<[Arc<str>]>),
    /// Only this image needed it, which goes.
    Image(Digest),
    /// An earlier run deleted the image that needed it.
    LeftBehind,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules(rules) => formatter.write_str(&named(rules)),
            Self::Released(rules) => write!(formatter, "no longer locked by {}", named(rules)),
            Self::Image(digest) => write!(formatter, "only {} needed it", digest.short()),
            Self::LeftBehind => formatter.write_str("left behind by an earlier run"),
        }
    }
}

/// `rule a`, `rules a, b`.
fn named(rules: &[Arc<str>]) -> String {
    let names: Vec<&str> = rules.iter().map(AsRef::as_ref).collect();
    format!("{} {}", if names.len() == 1 { "rule" } else { "rules" }, names.join(", "))
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
        let mut text = format!("retaind plan 2\n{}\n{}\n{}\n", self.registry, self.policy, self.policies);
        for (name, steps) in self.steps() {
            let Steps { images: _, images_going: _, newest: _, locks, untags, deletes } = steps;
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{name}");
            for LockStep { digest, tag, from: _, change, closed_by: _, cause: _ } in locks {
                let _ = writeln!(text, "lock {digest} {tag:?} {change:?}");
            }
            for UntagStep { tag, digest, cause: _ } in untags {
                let _ = writeln!(text, "untag {} {digest}", tag.name);
            }
            for DeleteStep { digest, tags, .. } in deletes {
                let tags: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
                let _ = writeln!(text, "delete {digest} {}", tags.join(" "));
            }
        }
        PlanHash(Digest::of(text.as_bytes()))
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

impl Steps {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty() && self.removals() == 0
    }

    /// How many manifests and tags are removed: what `max_deletes` limits.
    pub fn removals(&self) -> u32 {
        u32::try_from(self.untags.len() + self.deletes.len()).unwrap_or(u32::MAX)
    }
}

/// Puts what goes into steps.
pub fn steps(contents: &Contents, evaluation: &Evaluation, acting: &Policy) -> Steps {
    let alone = acting.rules.iter().map(|rule| Arc::from([Arc::clone(&rule.name)])).collect();
    let namer = Namer { contents, acting, alone };
    let Evaluation { manifests, tags, locks, marks: _, graph, images, images_going } = evaluation;
    let untags = tags.going().filter(|tag| !manifests.goes(contents.owner_of(*tag)));
    let lock_step = |place: LockPlace| match place {
        LockPlace::Manifest(manifest) => {
            let manifest = &contents.manifests()[manifest as usize];
            (manifest.digest, None, manifest.locks)
        }
        LockPlace::Tag(tag) => {
            let tag = &contents.tags()[tag as usize];
            (tag.digest, Some(tag.name.clone()), tag.locks)
        }
    };
    Steps {
        images: *images,
        images_going: *images_going,
        newest: Newest {
            manifest: contents.manifests().iter().filter_map(|manifest| manifest.updated_at).max(),
            tag: contents.tags().iter().filter_map(|tag| tag.updated_at).max(),
        },
        locks: locks
            .iter()
            .map(|decision| {
                let (digest, tag, from) = lock_step(decision.place);
                let LockDecision { place: _, change, rules, closed_by, released_by } = decision;
                let closed_by = closed_by.iter().filter_map(|(rule, closed)| Some((Arc::clone(&acting.rule(rule.rule)?.name), *closed)));
                let closed_by = closed_by.collect();
                LockStep { digest, tag, from, change: *change, closed_by, cause: namer.lock_cause(rules, released_by) }
            })
            .collect(),
        untags: untags
            .map(|tag| UntagStep {
                tag: namer.tag(tag),
                digest: contents.tags()[tag as usize].digest,
                cause: namer.cause(tags.reasons(tag)),
            })
            .collect(),
        deletes: order::holders_first(contents, graph, manifests)
            .into_iter()
            .filter_map(|ordered| {
                let manifest = &contents.manifests()[ordered.manifest as usize];
                Some(DeleteStep {
                    digest: manifest.digest,
                    media_type: manifest.media_type.clone(),
                    // What has no time is kept, so a manifest that goes has one.
                    updated_at: manifest.updated_at?,
                    size_bytes: manifest.size_bytes,
                    tags: contents.tags_of(ordered.manifest).map(|tag| namer.tag(tag)).collect(),
                    after: ordered.after.iter().map(|holder| contents.manifests()[*holder as usize].digest).collect(),
                    subject: manifest.references.subject(),
                    cause: namer.cause(manifests.reasons(ordered.manifest)),
                })
            })
            .collect(),
    }
}

/// Turns places into the names that a step carries.
struct Namer<'a> {
    contents: &'a Contents,
    acting: &'a Policy,
    /// Each rule's name alone, by its place.
    alone: Vec<Arc<[Arc<str>]>>,
}

impl Namer<'_> {
    fn tag(&self, tag: u32) -> ExpectedTag {
        let tag = &self.contents.tags()[tag as usize];
        ExpectedTag { name: tag.name.clone(), updated_at: tag.updated_at }
    }

    /// Only the acting policy's rules delete, lock and unlock, so a rule's place is enough to name it.
    fn rules(&self, rules: &[RuleRef]) -> Arc<[Arc<str>]> {
        // Most steps have one rule, and most of them the same.
        if let [rule] = rules
            && let Some(names) = self.alone.get(usize::from(rule.rule))
        {
            return Arc::clone(names);
        }
        rules.iter().filter_map(|rule| self.acting.rules.get(usize::from(rule.rule))).map(|rule| Arc::clone(&rule.name)).collect()
    }

    fn lock_cause(&self, rules: &[RuleRef], released_by: &[RuleRef]) -> Cause {
        if rules.is_empty() { Cause::Released(self.rules(released_by)) } else { Cause::Rules(self.rules(rules)) }
    }

    fn cause(&self, reasons: &[Reason]) -> Cause {
        let rules: Vec<RuleRef> =
            reasons.iter().filter_map(|reason| if let Reason::DeleteRule(rule) = reason { Some(*rule) } else { None }).collect();
        let root = reasons.iter().find_map(|reason| if let Reason::WithRoot(root) = reason { Some(*root) } else { None });
        match root {
            _ if !rules.is_empty() => Cause::Rules(self.rules(&rules)),
            Some(root) => Cause::Image(self.contents.manifests()[root as usize].digest),
            None => Cause::LeftBehind,
        }
    }
}
