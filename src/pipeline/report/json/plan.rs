//! Plans as JSON: every step, and every item's verdict with its reasons. Read back, a plan is a list of what a person agreed to,
//! never a licence: what is applied is planned anew and only the steps that are in both are done.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, Listing, LockChange, RegistryName, RepositoryName, TagName};

use super::super::super::evaluate::{Evaluation, Reason, RuleRef, Verdicts};
use super::super::super::plan::{Cause, Decision, Delete, DeleteStep, LockStep, Plan, Steps, UntagStep};
use super::super::words::{Context, code};
use super::super::{Decided, DecidedRepository, mode_word};
use super::{InvalidDocument, read, write};

const FORMAT: &str = "retaind/plan";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct PlanDocument {
    format: String,
    version: u32,
    hash: String,
    registry: String,
    policy: String,
    mode: String,
    taken_at: Timestamp,
    now: Timestamp,
    refusals: Vec<String>,
    repositories: Vec<RepositoryDocument>,
}

#[derive(Serialize, Deserialize)]
struct RepositoryDocument {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nothing_because: Vec<String>,
    images: u32,
    images_going: u32,
    locks: Vec<LockDocument>,
    untags: Vec<UntagDocument>,
    deletes: Vec<DeleteDocument>,
    #[serde(default)]
    items: Vec<ItemDocument>,
}

#[derive(Serialize, Deserialize)]
struct LockDocument {
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    set: ChangeDocument,
    cause: String,
}

#[derive(Serialize, Deserialize)]
struct ChangeDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    can_delete: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    can_write: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    can_read: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    can_list: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct UntagDocument {
    tag: String,
    digest: String,
    cause: String,
}

#[derive(Serialize, Deserialize)]
struct DeleteDocument {
    digest: String,
    media_type: String,
    updated_at: Option<Timestamp>,
    size_bytes: u64,
    tags: Vec<String>,
    after: Vec<String>,
    cause: String,
}

#[derive(Serialize, Deserialize)]
struct ItemDocument {
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    verdict: String,
    reasons: Vec<ReasonDocument>,
}

#[derive(Serialize, Deserialize)]
struct ReasonDocument {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    text: String,
}

/// Writes a plan with every verdict.
pub fn plan_to_json(decided: &Decided<'_>) -> String {
    let Decided { policy, plan, refusals, repositories } = decided;
    write(&PlanDocument {
        format: FORMAT.to_owned(),
        version: VERSION,
        hash: plan.hash().to_string(),
        registry: plan.registry.to_string(),
        policy: policy.name.to_string(),
        mode: mode_word(policy.mode).to_owned(),
        taken_at: plan.taken_at,
        now: plan.now,
        refusals: refusals.iter().map(ToString::to_string).collect(),
        repositories: repositories
            .iter()
            .zip(&plan.repositories)
            .map(|(repository, planned)| repository_document(decided, repository, &planned.decision))
            .collect(),
    })
}

fn repository_document(decided: &Decided<'_>, repository: &DecidedRepository<'_>, decision: &Decision) -> RepositoryDocument {
    let nothing = Steps::default();
    let (steps, nothing_because) = match decision {
        Decision::Steps(steps) => (steps, Vec::new()),
        Decision::Nothing(gaps) => (&nothing, gaps.iter().map(|gap| gap.0.clone()).collect()),
    };
    let items = match (&repository.repository.listing, &repository.evaluation) {
        (Listing::Complete(contents), Some(evaluation)) => {
            let observations = &repository.repository.observations;
            let context =
                Context { contents, policies: &repository.policies, acting: repository.acting, observations, now: decided.plan.now };
            items(&context, evaluation)
        }
        (Listing::Complete(_) | Listing::Incomplete(_), _) => Vec::new(),
    };
    RepositoryDocument {
        name: repository.repository.name.to_string(),
        nothing_because,
        images: steps.images,
        images_going: steps.images_going,
        locks: steps
            .locks()
            .map(|lock| LockDocument {
                digest: lock.digest.to_string(),
                tag: lock.tag.map(ToString::to_string),
                set: change_document(lock.change),
                cause: lock.cause.to_string(),
            })
            .collect(),
        untags: steps
            .untags()
            .map(|untag| UntagDocument {
                tag: untag.tag.name.to_string(),
                digest: untag.digest.to_string(),
                cause: untag.cause.to_string(),
            })
            .collect(),
        deletes: steps
            .deletes()
            .map(|delete| DeleteDocument {
                digest: delete.digest.to_string(),
                media_type: delete.media_type.to_string(),
                updated_at: delete.updated_at.map(Timestamp::from),
                size_bytes: delete.size_bytes,
                tags: delete.tags.iter().map(|tag| tag.name.to_string()).collect(),
                after: delete.after.digests().map(|holder| holder.to_string()).collect(),
                cause: cause_text(delete.cause),
            })
            .collect(),
        items,
    }
}

/// For machines a cause names the whole digest.
fn cause_text(cause: Cause<'_>) -> String {
    match cause {
        Cause::Image(digest) => format!("only {digest} needed it"),
        Cause::Rules(_) | Cause::Released(_) | Cause::LeftBehind => cause.to_string(),
    }
}

fn change_document(change: LockChange) -> ChangeDocument {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    ChangeDocument { can_delete, can_write, can_read, can_list }
}

fn items(context: &Context<'_>, evaluation: &Evaluation) -> Vec<ItemDocument> {
    let reasons =
        |verdicts: &Verdicts, place: u32| verdicts.reasons(place).iter().map(|reason| reason_document(context, *reason)).collect();
    let manifests = (0_u32..).zip(context.contents.manifests()).map(|(place, manifest)| ItemDocument {
        digest: manifest.digest.to_string(),
        tag: None,
        verdict: if evaluation.manifests.goes(place) { "delete" } else { "keep" }.to_owned(),
        reasons: reasons(&evaluation.manifests, place),
    });
    let tags = (0_u32..).zip(context.contents.tags()).map(|(place, tag)| ItemDocument {
        digest: tag.digest.to_string(),
        tag: Some(tag.name.to_string()),
        verdict: match (evaluation.tags.goes(place), evaluation.manifests.goes(context.contents.owner_of(place))) {
            (true, true) => "delete",
            (true, false) => "untag",
            (false, _) => "keep",
        }
        .to_owned(),
        reasons: reasons(&evaluation.tags, place),
    });
    manifests.chain(tags).collect()
}

fn reason_document(context: &Context<'_>, reason: Reason) -> ReasonDocument {
    let rule = rule_of(reason).map(|rule| {
        let policy = context.policies[usize::from(rule.policy)];
        (policy.name.to_string(), policy.rules[usize::from(rule.rule)].name.to_string())
    });
    let (policy, rule) = rule.unzip();
    ReasonDocument { reason: code(reason).to_owned(), policy, rule, text: context.sentence(reason) }
}

/// The rule that a reason is about.
pub(in super::super) fn rule_of(reason: Reason) -> Option<RuleRef> {
    match reason {
        Reason::KeepRule(rule)
        | Reason::KeepLast(rule)
        | Reason::KeepNewer(rule)
        | Reason::KeepPeriod(rule, _)
        | Reason::KeepAllTags(rule)
        | Reason::Unclear(rule)
        | Reason::LockRule(rule)
        | Reason::NotYet(rule)
        | Reason::NoLonger(rule)
        | Reason::Waits(rule)
        | Reason::ExceptLast(rule)
        | Reason::DeleteRule(rule) => Some(rule),
        Reason::NoRule
        | Reason::Locked(_)
        | Reason::UnknownTime
        | Reason::FutureTime
        | Reason::TooYoung
        | Reason::KeepAtLeast
        | Reason::Ghost
        | Reason::SubjectAbsent
        | Reason::TagStays(_)
        | Reason::WithManifest
        | Reason::ChildOf(_)
        | Reason::ReferrerOf(_)
        | Reason::CompanionOf(_)
        | Reason::SubjectOf(_)
        | Reason::Circle
        | Reason::WithRoot(_)
        | Reason::LeftBehind => None,
    }
}

/// A plan that was read back: what a person agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPlan {
    /// Its hash, as it was written.
    pub hash: String,
    /// The registry.
    pub registry: RegistryName,
    /// The policy that acts.
    pub policy: String,
    /// When its listing began.
    pub taken_at: Timestamp,
    /// Each manifest with the tags that go with it.
    deletes: BTreeMap<(RepositoryName, Digest), BTreeSet<TagName>>,
    untags: BTreeSet<(RepositoryName, TagName, Digest)>,
    locks: BTreeMap<(RepositoryName, Option<TagName>, Digest), LockChange>,
}

impl SavedPlan {
    /// Takes out of a fresh plan what the saved one does not have, and what cannot go without that; returns how many steps the saved
    /// one has that the fresh one has not.
    pub fn restrict(&self, fresh: &mut Plan) -> usize {
        let mut common = 0;
        for repository in &mut fresh.repositories {
            let name = repository.name.clone();
            let Decision::Steps(steps) = &mut repository.decision else { continue };
            let agreed = |step: &DeleteStep<'_>| {
                let agreed = self.deletes.get(&(name.clone(), step.digest));
                agreed.is_some_and(|tags| step.tags.iter().all(|tag| tags.contains(&tag.name)))
            };
            let deletes = whole(steps, agreed);
            let untags = steps.untags.iter().copied().filter(|untag| {
                let UntagStep { tag, digest, .. } = steps.untag(*untag);
                self.untags.contains(&(name.clone(), tag.name.clone(), digest))
            });
            let untags = untags.collect();
            let locks =
                steps.locks.iter().copied().zip(steps.locks()).filter(|(_, LockStep { digest, tag, change, .. })| {
                    self.locks.get(&(name.clone(), tag.cloned(), *digest)) == Some(change)
                });
            let locks = locks.map(|(relock, _)| relock).collect();
            (steps.deletes, steps.untags, steps.locks) = (deletes, untags, locks);
            common += steps.deletes.len() + steps.untags.len() + steps.locks.len();
        }
        self.deletes.len() + self.untags.len() + self.locks.len() - common
    }
}

/// The deletes that a person agreed to, less those that would break what was taken out: what that holds or is described by, and what
/// it describes.
fn whole(steps: &Steps, is_agreed: impl Fn(&DeleteStep<'_>) -> bool) -> Vec<Delete> {
    let (mut agreed, mut stay): (Vec<Delete>, Vec<Delete>) = steps.deletes.iter().partition(|delete| is_agreed(&steps.delete(**delete)));
    loop {
        let staying: BTreeSet<Digest> = stay.iter().map(|delete| steps.delete(*delete).digest).collect();
        let described: BTreeSet<Digest> = stay.iter().filter_map(|delete| steps.delete(*delete).subject).collect();
        let breaks = |delete: &Delete| {
            let step = steps.delete(*delete);
            described.contains(&step.digest) || step.after.digests().chain(step.subject).any(|holder| staying.contains(&holder))
        };
        let (more, rest): (Vec<Delete>, Vec<Delete>) = agreed.into_iter().partition(breaks);
        agreed = rest;
        if more.is_empty() {
            return agreed;
        }
        stay.extend(more);
    }
}

/// Reads a plan.
///
/// # Errors
/// Text that is not such a document, and names or digests that are none.
pub fn plan_from_json(text: &str) -> Result<SavedPlan, InvalidDocument> {
    let document: PlanDocument = read(text, FORMAT, VERSION)?;
    let invalid = |error: &dyn std::fmt::Display| InvalidDocument(error.to_string());
    let digest = |text: &str| text.parse::<Digest>().map_err(|error| invalid(&error));
    let tag = |text: &str| TagName::parse(text).map_err(|error| invalid(&error));
    let registry = RegistryName::parse(&document.registry).map_err(|error| invalid(&error))?;
    let (mut deletes, mut untags, mut locks) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for repository in &document.repositories {
        let name = RepositoryName::parse(&repository.name).map_err(|error| invalid(&error))?;
        for step in &repository.deletes {
            let tags = step.tags.iter().map(|text| tag(text)).collect::<Result<_, _>>()?;
            deletes.insert((name.clone(), digest(&step.digest)?), tags);
        }
        for step in &repository.untags {
            untags.insert((name.clone(), tag(&step.tag)?, digest(&step.digest)?));
        }
        for step in &repository.locks {
            let ChangeDocument { can_delete, can_write, can_read, can_list } = step.set;
            let change = LockChange { can_delete, can_write, can_read, can_list };
            locks.insert((name.clone(), step.tag.as_deref().map(tag).transpose()?, digest(&step.digest)?), change);
        }
    }
    let PlanDocument { hash, policy, taken_at, .. } = document;
    Ok(SavedPlan { hash, registry, policy, taken_at, deletes, untags, locks })
}
