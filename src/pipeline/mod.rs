//! The stages of a run, in order. Everything is decided as a value first; only `apply` writes.
//!
//! ```text
//!  inventory ──► evaluate ──► plan ──► guard ──► apply ──► report
//!   (reads)       pure         pure     pure     (writes)    pure
//! ```

pub mod access;
pub mod inventory;
pub mod evaluate;
pub mod plan;
pub mod guard;
pub mod apply;
pub mod report;
pub mod outlook;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::acr::{self, Client};
use crate::clock::Clock;
use crate::model::{Depth, Inventory, Listing, RegistryName, RepositoryName};
use crate::policy::{Action, Changes, Policy, Rule};
use crate::state::{RunCounts, RunMode, RunOutcome, RunStart, State, StateError};

use apply::{Application, Applied, Brakes};
use evaluate::Question;
use guard::{Circumstances, Judgement, PLAN_AGE_MAX, Shrunk};
use inventory::{InventoryError, Look, Wanted};
use plan::{Audit, Decision, Plan, RepositoryPlan};
use report::{Decided, DecidedRepository, SavedPlan};

/// What `max_deletes` is reckoned over, beside a run.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// One run: one policy on one registry, once.
pub struct Run<'a> {
    /// Every policy that is loaded: their keep and lock rules protect in each other's runs.
    pub policies: &'a [Policy],
    /// The one that acts.
    pub acting: &'a Policy,
    /// The registry.
    pub client: Client,
    /// What is known from earlier runs, and the journal.
    pub state: State,
    /// The time.
    pub clock: Clock,
    /// What stops it.
    pub brakes: Brakes,
    /// When its window closes: from then on nothing new is begun. None: it may take as long as it takes.
    pub until: Option<Timestamp>,
    /// What the guard must know from outside; what the registry, the plan and the state say is filled in.
    pub circumstances: Circumstances,
    /// A plan that a person agreed to: nothing is done that is not in it.
    pub agreed: Option<&'a SavedPlan>,
}

/// What is told while a run goes on.
pub enum Told<'a> {
    /// Everything is decided; nothing was changed yet.
    Planned(&'a Decided<'a>),
    /// The plan was carried out.
    Applied(&'a Applied),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether the guard held anything back. What draining leaves to later runs is not held back: the policy asks for it.
    pub refused: bool,
    /// Repositories in which nothing could be decided.
    pub incomplete: usize,
    /// What was done; None: nothing was to be done.
    pub applied: Option<Applied>,
}

/// Why a run could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The registry could not be read.
    #[error(transparent)]
    Registry(#[from] acr::Error),
    /// The state could not be used.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<InventoryError> for RunError {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Registry(error) => Self::Registry(error),
            InventoryError::State(error) => Self::State(error),
        }
    }
}

/// Runs a policy: looks, decides, tells, and applies if the policy says so.
///
/// A state that takes no more writes (its disk is full) stops deleting and not planning: then the run is made on a copy in memory, and
/// the guard refuses it.
///
/// # Errors
/// The registry cannot be read at all, or the state cannot be used. What fails in one repository or one step is in [`Ended`].
pub async fn run(run: &Run<'_>, tell: &mut (dyn FnMut(&Told<'_>) + Send)) -> Result<Ended, RunError> {
    let mut has_applied = false;
    let mut watch = |told: &Told<'_>| {
        has_applied |= matches!(told, Told::Applied(_));
        tell(told);
    };
    match run_once(run, &mut watch).await {
        Err(RunError::State(error)) if error.is_full() && !has_applied => {
            let Run { policies, acting, client, state, clock, brakes, until, circumstances, agreed } = run;
            let circumstances = Circumstances { suspended: Some(error.to_string()), ..circumstances.clone() };
            let (client, state, clock, brakes) = (client.clone(), state.copy()?, clock.clone(), brakes.clone());
            run_once(&Run { policies, acting, client, state, clock, brakes, until: *until, circumstances, agreed: *agreed }, tell).await
        }
        ended => ended,
    }
}

async fn run_once(run: &Run<'_>, tell: &mut (dyn FnMut(&Told<'_>) + Send)) -> Result<Ended, RunError> {
    let Run { policies, acting, client, state, clock, brakes, until, circumstances, agreed } = run;
    let now = clock.now();
    inventory::locate(client, state)?;
    if acting.is_enforced() {
        apply::recover(client, state, clock).await?;
    }
    let names = names(client, acting).await?;
    let look = Look { client: client.clone(), state: state.clone(), now };
    let inventory = inventory::take(&look, &wanted(policies, client.registry(), names)).await?;

    let mut decision = decide(&inventory, policies, acting, now);
    if let Some(agreed) = agreed {
        agreed.restrict(Arc::make_mut(&mut decision.plan));
    }
    let remembered = remembered(run, &decision.plan, now)?;
    let changes = remembered.changed.unwrap_or(acting.limits.changes);
    let findings = decision.findings(now);
    let circumstances = Circumstances {
        clock_difference: client.clock_offset(),
        shrunk: decision.shrunk(),
        findings,
        changed: remembered.changed,
        accepted: circumstances.accepted.clone().or(remembered.approved),
        removed_last_hour: remembered.removed_last_hour,
        ..circumstances.clone()
    };
    let Judgement { approved, refusals } = guard::judge(&decision.plan, &acting.limits, &circumstances);
    tell(&Told::Planned(&decision.decided(acting, &refusals)));

    let record = begin(run, changes, decision.incomplete() == 0, &decision.plan, now)?;
    // Whoever accepts the plan of a run approves what made it, as with `retaind approve`; what the guard holds back all the same was not
    // lifted by that. A plan that was handed over says nothing about the policies of later runs.
    let hash = decision.plan.hash();
    let is_accepted = run.circumstances.accepted.as_deref().is_some_and(|text| hash.is(text));
    if is_accepted && agreed.is_none() && refusals.is_empty() {
        state.approve(&hash.to_string(), now)?;
    }
    note_marks(run, &decision, now)?;
    let refused = refusals.iter().any(|refusal| !refusal.is_draining());
    let mut ended = Ended { refused, incomplete: decision.incomplete(), applied: None };
    if let Some(approved) = approved.filter(|_| acting.is_enforced()) {
        let (client, state, clock) = (client.clone(), state.clone(), clock.clone());
        let application = Application { client, state, clock, brakes: brakes.clone(), until: *until, run: record };
        let applied = apply::apply(&application, &approved).await;
        tell(&Told::Applied(&applied));
        ended.applied = Some(applied);
    }
    let (outcome, counts) = summary(acting, &refusals, &decision, ended.applied.as_ref());
    state.finish_run(record, clock.now(), &outcome, &counts)?;
    Ok(ended)
}

/// The repositories to look at: those that the policy names literally, without the catalog, which scope-map tokens cannot list;
/// otherwise those of the catalog that it names.
///
/// # Errors
/// The catalog could not be read to its end.
pub async fn names(client: &Client, acting: &Policy) -> Result<Vec<RepositoryName>, acr::Error> {
    let literals = acting.repositories.literals();
    let candidates = match literals {
        Some(literals) => literals.into_iter().filter_map(|literal| RepositoryName::parse(literal).ok()).collect(),
        None => inventory::catalog(client).await?,
    };
    Ok(candidates.into_iter().filter(|name| acting.names(client.registry(), name)).collect())
}

/// The repositories of these names, each to be looked at as closely as any policy that names it asks.
pub fn wanted(policies: &[Policy], registry: &RegistryName, names: impl IntoIterator<Item = RepositoryName>) -> Vec<Wanted> {
    let of = |name| Wanted { depth: depth(policies.iter().filter(|policy| policy.names(registry, &name))), name };
    names.into_iter().map(of).collect()
}

fn depth<'a>(policies: impl Iterator<Item = &'a Policy>) -> Depth {
    policies.map(Policy::depth).fold(Depth::default(), Depth::or)
}

/// Everything decided about an inventory under one policy.
pub struct Decisions<'a> {
    /// The repositories that the policy names, with their verdicts.
    pub repositories: Vec<DecidedRepository<'a>>,
    /// What would be done.
    pub plan: Arc<Plan>,
}

/// Decides: evaluates every repository that the policy names and puts what goes into steps. Pure.
pub fn decide<'a>(inventory: &'a Inventory, policies: &'a [Policy], acting: &Policy, now: Timestamp) -> Decisions<'a> {
    let mut repositories = Vec::new();
    let mut plans = Vec::new();
    for repository in inventory.repositories.iter().filter(|repository| acting.names(&inventory.registry, &repository.name)) {
        let naming: Vec<&Policy> = policies.iter().filter(|policy| policy.names(&inventory.registry, &repository.name)).collect();
        let Some(place) = naming.iter().position(|policy| policy.name == acting.name) else { continue };
        let gaps = match &repository.listing {
            Listing::Incomplete(gaps) => gaps.clone(),
            Listing::Complete(contents) => contents.unread(depth(naming.iter().copied())),
        };
        let (evaluation, decision) = match &repository.listing {
            Listing::Complete(contents) if gaps.is_empty() => {
                let (repository_locks, observations) = (repository.locks, &repository.observations);
                let question = Question { repository_locks, observations, contents, policies: &naming, acting: place, now };
                let evaluation = evaluate::evaluate(&question);
                let steps = plan::steps(contents, &evaluation, naming[place]);
                (Some(evaluation), Decision::Steps(steps))
            }
            Listing::Incomplete(_) | Listing::Complete(_) => (None, Decision::Nothing(gaps)),
        };
        plans.push(RepositoryPlan { name: repository.name.clone(), decision });
        repositories.push(DecidedRepository { repository, policies: naming, acting: place, evaluation });
    }
    let (registry, policy) = (inventory.registry.clone(), acting.name.clone());
    let policies = acting.fingerprint(policies, &registry);
    Decisions { repositories, plan: Arc::new(Plan { registry, policy, policies, taken_at: inventory.taken_at, now, repositories: plans }) }
}

impl<'a> Decisions<'a> {
    /// The second opinion on every repository's steps.
    pub fn findings(&self, now: Timestamp) -> Vec<(RepositoryName, Vec<plan::Finding>)> {
        let audited = self.repositories.iter().zip(&self.plan.repositories).filter_map(|(decided, planned)| {
            let (Listing::Complete(contents), Decision::Steps(steps)) = (&decided.repository.listing, &planned.decision) else {
                return None;
            };
            let (policies, acting) = (decided.policies.as_slice(), decided.acting);
            let observations = &decided.repository.observations;
            let audit = Audit { repository_locks: decided.repository.locks, observations, contents, policies, acting, now };
            Some((planned.name.clone(), plan::audit(&audit, steps)))
        });
        audited.filter(|(_, findings)| !findings.is_empty()).collect()
    }

    /// The repositories whose listings shrank.
    pub fn shrunk(&self) -> Vec<(RepositoryName, Shrunk)> {
        let shrunk = self.repositories.iter().filter_map(|decided| {
            let Listing::Complete(contents) = &decided.repository.listing else { return None };
            let found = u32::try_from(contents.manifests().len()).unwrap_or(u32::MAX);
            Some((decided.repository.name.clone(), Shrunk { expected: decided.repository.observations.shrunk_from?, found }))
        });
        shrunk.collect()
    }

    /// Everything that a report shows.
    pub fn decided(&'a self, policy: &'a Policy, refusals: &'a [guard::Refusal]) -> Decided<'a> {
        Decided { policy, plan: &self.plan, refusals, repositories: &self.repositories }
    }

    fn incomplete(&self) -> usize {
        self.plan.repositories.iter().filter(|repository| matches!(repository.decision, Decision::Nothing(_))).count()
    }
}

/// What the policy says about changed policies, if they are not those with which it may apply.
///
/// # Errors
/// The state cannot be read.
pub fn changed(state: &State, policies: &[Policy], acting: &Policy, registry: &RegistryName) -> Result<Option<Changes>, StateError> {
    if !state.knows(registry)? {
        return Ok(None);
    }
    let Some((in_force, changes)) = state.in_force(&acting.name, registry)? else {
        return Ok(Some(acting.limits.changes.max(Changes::NextRun)));
    };
    // An edit must not waive its own wait: the stricter of what was said and what is said now holds.
    let before = Changes::from_word(&changes).unwrap_or(Changes::Approve);
    Ok((in_force != acting.fingerprint(policies, registry)).then_some(acting.limits.changes.max(before)))
}

/// What earlier runs and approvals have to say to the guard.
struct Remembered {
    changed: Option<Changes>,
    approved: Option<String>,
    removed_last_hour: u32,
}

fn remembered(run: &Run<'_>, plan: &Plan, now: Timestamp) -> Result<Remembered, StateError> {
    let Run { policies, acting, state, agreed, .. } = run;
    let of_registry = policies.iter().filter(|policy| policy.registries.contains(&plan.registry));
    let loaded: Vec<_> =
        of_registry.map(|policy| (&*policy.name, policy.fingerprint(policies, &plan.registry), policy.limits.changes.word())).collect();
    state.begin_with(&plan.registry, &loaded)?;
    let hash = plan.hash().to_string();
    Ok(Remembered {
        // Whoever hands over a plan has seen what these policies do.
        changed: changed(state, policies, acting, &plan.registry)?.filter(|_| agreed.is_none()),
        approved: state.is_approved(&hash, now - PLAN_AGE_MAX)?.then_some(hash),
        removed_last_hour: state.deletes_since(&plan.registry, now - HOUR)?,
    })
}

fn begin(run: &Run<'_>, changes: Changes, is_complete: bool, plan: &Plan, at: Timestamp) -> Result<crate::state::RunId, StateError> {
    let Run { acting, agreed, state, .. } = run;
    let mode = if acting.is_enforced() { RunMode::Enforce } else { RunMode::DryRun };
    // Of a repository that could not be read nothing was reported: then it takes a second run, so that one that stays unreadable does not
    // hold up the others for ever.
    let was_seen = is_complete || state.last_policies(&acting.name, &plan.registry)? == Some(plan.policies);
    // A plan that a person handed over says nothing about the policies of later runs.
    let puts_in_force = match changes {
        Changes::NextRun | Changes::Immediately => agreed.is_none() && was_seen,
        Changes::Approve => false,
    };
    let (plan_hash, policies) = (plan.hash().to_string(), plan.policies);
    run.state.begin_run(&RunStart {
        policy: &acting.name,
        registry: &plan.registry,
        mode,
        plan_hash: &plan_hash,
        policies,
        changes: acting.limits.changes.word(),
        puts_in_force,
        at,
    })
}

/// Notes what rules with a waiting time condemn, whether the policy is enforced or not: the wait can pass while people read dry runs.
/// An incomplete listing tells nothing, so what was noted of its repository stays as it is.
fn note_marks(run: &Run<'_>, decisions: &Decisions<'_>, now: Timestamp) -> Result<(), StateError> {
    let policy = &run.acting.name;
    let waits = |rule: &Rule| matches!(&rule.action, Action::Delete(delete) if delete.condemned_for.is_some());
    for DecidedRepository { repository, evaluation, .. } in &decisions.repositories {
        let stands = || repository.observations.condemned.iter().any(|condemned| condemned.mark.policy == *policy);
        let Some(evaluation) = evaluation.as_ref().filter(|_| run.acting.rules.iter().any(waits) || stands()) else { continue };
        run.state.observe_condemned(run.client.registry(), &repository.name, policy, now, &evaluation.marks)?;
    }
    // What the policy does not name now it does not condemn in every run.
    let named: Vec<&RepositoryName> = decisions.repositories.iter().map(|decided| &decided.repository.name).collect();
    run.state.forget_condemned_elsewhere(run.client.registry(), policy, &named)
}

fn summary(acting: &Policy, refusals: &[guard::Refusal], decision: &Decisions<'_>, applied: Option<&Applied>) -> (RunOutcome, RunCounts) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let planned = decision.plan.steps().map(|(_, steps)| steps.locks.len() + steps.untags.len() + steps.deletes.len()).sum();
    let evaluations = decision.repositories.iter().filter_map(|repository| repository.evaluation.as_ref());
    let kept = evaluations.map(|evaluation| evaluation.manifests.len() - evaluation.manifests.going().count()).sum();
    let mut counts = RunCounts { kept: number(kept), planned: number(planned), ..RunCounts::default() };
    // What is held back is told before what is only left to later runs.
    let left = || {
        let held_back = refusals.iter().find(|refusal| !refusal.is_draining()).map(|refusal| RunOutcome::Refused(refusal.to_string()));
        held_back.or_else(|| refusals.first().map(|draining| RunOutcome::Drained(draining.to_string())))
    };
    let Some(applied) = applied else {
        let nothing_to_do = if 0 < decision.incomplete() {
            RunOutcome::Partial
        } else if acting.is_enforced() {
            RunOutcome::Applied
        } else {
            RunOutcome::Planned
        };
        return (left().filter(|_| acting.is_enforced()).unwrap_or(nothing_to_do), counts);
    };
    let done = applied.counts();
    counts = RunCounts {
        deleted: done.deleted,
        untagged: done.untagged,
        relocked: done.relocked,
        skipped: done.skipped,
        failed: done.failed,
        ..counts
    };
    let outcome = match applied.stopped() {
        Some(apply::Stopped::Asked) => RunOutcome::Interrupted("it was asked to stop".to_owned()),
        Some(apply::Stopped::WindowClosed) if done.failed == 0 && decision.incomplete() == 0 => RunOutcome::WindowClosed,
        Some(apply::Stopped::WindowClosed) => RunOutcome::Partial,
        Some(stopped @ (apply::Stopped::Journal(_) | apply::Stopped::Changed(_) | apply::Stopped::Registry(_))) => {
            RunOutcome::Failed(stopped.to_string())
        }
        None if 0 < done.skipped + done.failed || 0 < decision.incomplete() => RunOutcome::Partial,
        None => left().unwrap_or(RunOutcome::Applied),
    };
    (outcome, counts)
}
