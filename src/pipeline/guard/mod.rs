//! The brakes between plan and apply. Pure. The only maker of an [`ApprovedPlan`]; a refusal is a result, not an error.

mod trim;

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{CLOCK_DIFFERENCE_MAX, RepositoryName};
use crate::policy::{Changes, Limits, OnLimit, Pattern};

use super::plan::{Decision, Finding, Plan, PlanHash, RepositoryPlan, Steps};

/// A share of fewer images than this says nothing: one of three is not a third of a registry.
pub const PERCENT_APPLIES_FROM_IMAGES: u32 = 20;

/// What the guard must know beside the plan.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// Deleting is paused.
    pub paused: bool,
    /// Why deleting is suspended, if it is.
    pub suspended: Option<String>,
    /// Where deleting is suspended although it is not everywhere.
    pub suspended_scopes: Vec<SuspendedScope>,
    /// The registry's time less ours, from its last answer; None: it told none.
    pub clock_difference: Option<SignedDuration>,
    /// Whether the journal survives this process, or that it need not was said aloud.
    pub journal_is_kept: bool,
    /// A plan hash that a person accepted although something speaks against it.
    pub accepted: Option<String>,
    /// The policies are not those of the last run, and this is what their limits say about that.
    pub changed: Option<Changes>,
    /// Manifests and tags that were to be removed from the registry in the last hour.
    pub removed_last_hour: u32,
    /// Repositories whose listings shrank.
    pub shrunk: Vec<(RepositoryName, Shrunk)>,
    /// What the audit found, by repository.
    pub findings: Vec<(RepositoryName, Vec<Finding>)>,
}

/// Repositories in which deleting is suspended, in the runs of every policy.
#[derive(Debug, Clone)]
pub struct SuspendedScope {
    /// Which they are.
    pub repositories: Vec<Pattern>,
    /// Why.
    pub why: String,
}

/// A listing with far fewer manifests than there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrunk {
    /// How many there should be, by the last listing and what was deleted since.
    pub expected: u32,
    /// How many there are.
    pub found: u32,
}

/// What the guard says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What may be applied: the whole plan, or the part of it that is under the limits; None: nothing.
    pub approved: Option<ApprovedPlan>,
    /// What may not, and why. Empty: nothing was held back.
    pub refusals: Vec<Refusal>,
}

/// A plan that passed the guard. There is no other way to make one, and `apply` takes nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedPlan {
    plan: Arc<Plan>,
    hash: PlanHash,
}

impl ApprovedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its hash.
    pub fn hash(&self) -> PlanHash {
        self.hash
    }
}

/// Why a plan, or a part of it, is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Deleting is paused.
    Paused,
    /// Deleting is suspended: why.
    Suspended(String),
    /// Deleting is suspended in a repository, because of which nothing is done in it: why.
    RepositorySuspended(RepositoryName, String),
    /// The clocks differ too much.
    ClockDifference(SignedDuration),
    /// Nothing would remember what was done.
    JournalNotKept,
    /// The run removes more than it may.
    TooMany {
        /// Manifests and tags that the plan removes.
        planned: u32,
        /// What was removed from the registry in the last hour.
        removed_last_hour: u32,
        /// What `max_deletes` allows.
        allowed: u32,
    },
    /// The run removes more than it may, and what it may is done, oldest first. The policy asks for that: nothing is held back against
    /// its will (see [`Refusal::is_draining`]).
    Drained {
        /// Manifests and tags that the plan removes.
        planned: u32,
        /// How many of them go now.
        now: u32,
        /// How many of them later runs have room for.
        later: u32,
        /// What was removed from the registry in the last hour.
        removed_last_hour: u32,
    },
    /// So many manifests and tags are of images that no run has room for: draining never gets to them.
    FitsNoRun(u32),
    /// The run removes a larger share of all images than it may.
    TooLargeAShare(Share),
    /// A repository would lose a larger share of its images than it may: nothing is done in it.
    RepositoryShare(RepositoryName, Share),
    /// A repository's listing shrank: nothing is done in it.
    RepositoryShrunk(RepositoryName, Shrunk),
    /// The policies are not those of the last run.
    PoliciesChanged(Changes),
    /// The audit found a bug of this program: nothing is done in this repository.
    Audit(RepositoryName, Finding),
}

impl Refusal {
    /// Whether it only says what `on_limit: oldest_first` leaves to later runs.
    pub fn is_draining(&self) -> bool {
        match self {
            Self::Drained { .. } => true,
            Self::Paused
            | Self::Suspended(_)
            | Self::ClockDifference(_)
            | Self::JournalNotKept
            | Self::TooMany { .. }
            | Self::FitsNoRun(_)
            | Self::TooLargeAShare(_)
            | Self::RepositoryShare(..)
            | Self::RepositoryShrunk(..)
            | Self::RepositorySuspended(..)
            | Self::PoliciesChanged(_)
            | Self::Audit(..) => false,
        }
    }
}

/// A share of images over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Images that go.
    pub going: u32,
    /// Images that there are.
    pub images: u32,
    /// What `max_delete_percent` allows.
    pub percent_allowed: u8,
}

/// What a share is taken of.
#[derive(Clone, Copy, Default)]
struct Population {
    images: u32,
    going: u32,
    orphans: u32,
    orphans_going: u32,
}

impl Population {
    fn of(steps: &Steps) -> Self {
        let Steps { images, images_going, orphans, orphans_going, .. } = *steps;
        Self { images, going: images_going, orphans, orphans_going }
    }

    fn and(self, other: Self) -> Self {
        Self {
            images: self.images + other.images,
            going: self.going + other.going,
            orphans: self.orphans + other.orphans,
            orphans_going: self.orphans_going + other.orphans_going,
        }
    }

    /// How many may go, orphans and images alike; where images go, no more than of images alone.
    fn allowed(self, percent_allowed: u8) -> u32 {
        let all = Share::allowed(self.images, percent_allowed);
        if self.going == self.orphans_going {
            return all;
        }
        all.min(Share::allowed(self.images.saturating_sub(self.orphans), percent_allowed))
    }
}

impl Share {
    fn exceeded(going: u32, images: u32, percent_allowed: u8) -> Option<Self> {
        (Self::allowed(images, percent_allowed) < going).then_some(Self { going, images, percent_allowed })
    }

    /// Of all images with the orphans among them, or of the images alone: a heap of orphaned signatures must not make room for images.
    fn exceeded_by(population: Population, percent_allowed: u8) -> Option<Self> {
        let Population { images, going, orphans, orphans_going } = population;
        let alone = || Self::exceeded(going.saturating_sub(orphans_going), images.saturating_sub(orphans), percent_allowed);
        Self::exceeded(going, images, percent_allowed).or_else(alone)
    }

    /// How many of so many images may go.
    fn allowed(images: u32, percent_allowed: u8) -> u32 {
        // Zero means zero, however few images there are.
        if images < PERCENT_APPLIES_FROM_IMAGES && percent_allowed != 0 {
            return images;
        }
        u32::try_from(u64::from(images) * u64::from(percent_allowed) / 100).unwrap_or(u32::MAX)
    }
}

/// Judges a plan.
///
/// Nothing at all is applied while deleting is paused or suspended, the clocks differ or the journal is not kept. A repository with a
/// finding, or in which deleting is suspended, or whose listing shrank, or over its share is left out. A run with changed policies is
/// refused as a whole, and so is one over `max_deletes` or over its share, unless the policy says `on_limit: oldest_first`: then it is
/// trimmed to its oldest images. A person can accept exactly this plan by its hash; that lifts everything but findings and what suspends
/// or forbids deleting.
///
/// What passes whole is shared, not copied: a plan can be as large as the repository.
pub fn judge(plan: &Arc<Plan>, limits: &Limits, circumstances: &Circumstances) -> Judgement {
    let mut refusals = blockers(circumstances);
    if !refusals.is_empty() {
        return Judgement { approved: None, refusals };
    }
    let hash = plan.hash();
    let accepted = circumstances.accepted.as_deref().is_some_and(|text| hash.is(text));
    let mut plan = without_findings(Arc::clone(plan), &circumstances.findings, &mut refusals);
    plan = without_suspended(plan, &circumstances.suspended_scopes, &mut refusals);
    if !accepted {
        let removed_last_hour = circumstances.removed_last_hour;
        plan = without_shrunk(plan, &circumstances.shrunk, &mut refusals);
        if let Some(changes) = circumstances.changed.filter(|changes| *changes != Changes::Immediately && !plan.is_empty()) {
            // Whoever approves this plan lifts its limits, too, and must have seen them.
            refusals.push(Refusal::PoliciesChanged(changes));
            within_limits(plan, limits, removed_last_hour, &mut refusals);
            return Judgement { approved: None, refusals };
        }
        plan = match limits.on_limit {
            OnLimit::Refuse => match within_limits(plan, limits, removed_last_hour, &mut refusals) {
                Some(plan) => plan,
                None => return Judgement { approved: None, refusals },
            },
            OnLimit::OldestFirst => Arc::new(trim::to_limits(Arc::unwrap_or_clone(plan), limits, removed_last_hour, &mut refusals)),
        };
    }
    let approved = (!plan.is_empty()).then_some(ApprovedPlan { plan, hash });
    Judgement { approved, refusals }
}

fn blockers(circumstances: &Circumstances) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if circumstances.paused {
        refusals.push(Refusal::Paused);
    }
    refusals.extend(circumstances.suspended.clone().map(Refusal::Suspended));
    let difference = circumstances.clock_difference.filter(|difference| CLOCK_DIFFERENCE_MAX < difference.abs());
    refusals.extend(difference.map(Refusal::ClockDifference));
    if !circumstances.journal_is_kept {
        refusals.push(Refusal::JournalNotKept);
    }
    refusals
}

fn without_findings(mut plan: Arc<Plan>, findings: &[(RepositoryName, Vec<Finding>)], refusals: &mut Vec<Refusal>) -> Arc<Plan> {
    for (name, findings) in findings.iter().filter(|(_, findings)| !findings.is_empty()) {
        refusals.extend(findings.iter().map(|finding| Refusal::Audit(name.clone(), finding.clone())));
        Arc::make_mut(&mut plan).repositories.iter_mut().filter(|repository| repository.name == *name).for_each(do_nothing);
    }
    plan
}

/// Of a repository in several such scopes the first one is told.
fn without_suspended(mut plan: Arc<Plan>, scopes: &[SuspendedScope], refusals: &mut Vec<Refusal>) -> Arc<Plan> {
    let suspended = |repository: &RepositoryPlan| {
        let has_steps = matches!(&repository.decision, Decision::Steps(steps) if !steps.is_empty());
        scopes.iter().find(|scope| has_steps && scope.repositories.iter().any(|pattern| pattern.matches(repository.name.as_str())))
    };
    let found: Vec<(usize, &SuspendedScope)> =
        plan.repositories.iter().enumerate().filter_map(|(place, repository)| Some((place, suspended(repository)?))).collect();
    for (place, scope) in found {
        let repository = &mut Arc::make_mut(&mut plan).repositories[place];
        refusals.push(Refusal::RepositorySuspended(repository.name.clone(), scope.why.clone()));
        do_nothing(repository);
    }
    plan
}

fn without_shrunk(mut plan: Arc<Plan>, shrunk: &[(RepositoryName, Shrunk)], refusals: &mut Vec<Refusal>) -> Arc<Plan> {
    for (name, shrunk) in shrunk {
        let has_steps = |repository: &RepositoryPlan| {
            repository.name == *name && matches!(&repository.decision, Decision::Steps(steps) if !steps.is_empty())
        };
        let Some(place) = plan.repositories.iter().position(has_steps) else { continue };
        refusals.push(Refusal::RepositoryShrunk(name.clone(), *shrunk));
        do_nothing(&mut Arc::make_mut(&mut plan).repositories[place]);
    }
    plan
}

fn do_nothing(repository: &mut RepositoryPlan) {
    if let Decision::Steps(steps) = &mut repository.decision {
        *steps = Steps { images: steps.images, orphans: steps.orphans, ..Steps::default() };
    }
}

fn within_limits(mut plan: Arc<Plan>, limits: &Limits, removed_last_hour: u32, refusals: &mut Vec<Refusal>) -> Option<Arc<Plan>> {
    let mut run = Population::default();
    let mut over = Vec::new();
    for (place, repository) in plan.repositories.iter().enumerate() {
        let Decision::Steps(steps) = &repository.decision else { continue };
        let mut population = Population::of(steps);
        if let Some(share) = Share::exceeded_by(population, limits.max_delete_percent) {
            refusals.push(Refusal::RepositoryShare(repository.name.clone(), share));
            over.push(place);
            (population.going, population.orphans_going) = (0, 0);
        }
        run = run.and(population);
    }
    for place in over {
        do_nothing(&mut Arc::make_mut(&mut plan).repositories[place]);
    }
    let planned: u32 = plan.steps().map(|(_, steps)| steps.removals()).sum();
    if planned != 0 && limits.max_deletes < planned.saturating_add(removed_last_hour) {
        refusals.push(Refusal::TooMany { planned, removed_last_hour, allowed: limits.max_deletes });
        return None;
    }
    if let Some(share) = Share::exceeded_by(run, limits.max_delete_percent) {
        refusals.push(Refusal::TooLargeAShare(share));
        return None;
    }
    Some(plan)
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => formatter.write_str("deleting is paused; nothing is applied until it is resumed"),
            Self::Suspended(why) => write!(formatter, "deleting is suspended, because {why}"),
            Self::RepositorySuspended(name, why) => {
                write!(formatter, "deleting is suspended in {name}, because {why}; nothing is done in it")
            }
            Self::ClockDifference(difference) => write!(
                formatter,
                "our clock and the registry's differ by {difference:#}, more than {CLOCK_DIFFERENCE_MAX:#}; set the clock, ages mean nothing until then"
            ),
            Self::JournalNotKept => formatter.write_str(
                "there is no state directory, so nothing would remember what was deleted; set state.dir, or state.volatile: true if that is meant",
            ),
            Self::TooMany { planned, removed_last_hour, allowed } => {
                write!(formatter, "the run would remove {planned} manifests and tags")?;
                if *removed_last_hour != 0 {
                    write!(formatter, ", {removed_last_hour} went in the last hour")?;
                }
                write!(
                    formatter,
                    ", max_deletes allows {allowed}; accept this plan by its hash, raise the limit, or drain with on_limit: oldest_first"
                )
            }
            Self::Drained { planned, now, later, removed_last_hour } => {
                write!(formatter, "the run would remove {planned} manifests and tags, over its limits")?;
                if *removed_last_hour != 0 {
                    write!(formatter, ", and {removed_last_hour} went in the last hour, which counts")?;
                }
                let go = if *now == 1 { "goes" } else { "go" };
                write!(formatter, "; {now} of them {go} now, the oldest images first, {later} in later runs")
            }
            Self::FitsNoRun(removals) => {
                let are = if *removals == 1 { "manifest or tag is" } else { "manifests and tags are" };
                write!(
                    formatter,
                    "{removals} {are} of images that no run has room for within its limits; raise the limit, or accept this plan by its hash"
                )
            }
            Self::TooLargeAShare(share) => write!(formatter, "the run would delete {share}"),
            Self::RepositoryShare(name, share) => write!(formatter, "{name} would lose {share}; nothing is done in it"),
            Self::RepositoryShrunk(name, Shrunk { expected, found }) => write!(
                formatter,
                "{name} has {found} manifests where {expected} should be, by the last listing and what was deleted since; nothing is done in it until this plan is approved by its hash"
            ),
            Self::PoliciesChanged(Changes::Approve) => formatter.write_str(
                "the policies changed, so this run only reports, and so does every one until a plan of theirs is approved by its hash, which lifts all that is said here",
            ),
            Self::PoliciesChanged(Changes::NextRun | Changes::Immediately) => formatter.write_str(
                "the policies changed since the last run, so this run only reports; the next one applies within its limits, or this plan at once if it is approved by its hash, which lifts all that is said here",
            ),
            Self::Audit(name, finding) => write!(
                formatter,
                "{name}: the audit of the plan found a bug of retaind, please report it; nothing is done there ({finding})"
            ),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { going, images, percent_allowed } = self;
        write!(
            formatter,
            "{going} of {images} images, max_delete_percent allows {percent_allowed} %; accept this plan by its hash or raise the limit"
        )
    }
}

/// A saved plan is good for so long.
pub const PLAN_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Whether a saved plan is too old to be applied.
pub fn is_stale(taken_at: Timestamp, now: Timestamp) -> bool {
    PLAN_AGE_MAX < now.duration_since(taken_at)
}
