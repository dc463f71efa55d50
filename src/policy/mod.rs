//! What was asked for, resolved: every pattern compiled, every duration a number, nothing left to parse.
//! Knows names and tags, but neither YAML (see `config`) nor any registry.

mod age;
mod described;
mod fingerprint;
mod pattern;
mod period;
mod rule;
mod schedule;
mod selector;
mod size;
mod version;

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::model::{Depth, RegistryName, RepositoryName};

pub use age::{Age, InvalidAge};
pub use described::{END_OF_LIFE_KEY, KeyValue, LIFECYCLE_ARTIFACT_TYPE, end_of_life};
pub use pattern::{InvalidPattern, Pattern, TagPattern};
pub use period::{Period, PeriodNumber};
pub use rule::{Action, Count, Delete, Grouping, Keep, KeepWhen, LockRule, LockTarget, OrderBy, Rule};
pub use schedule::{Closed, Expression, InvalidExpression, InvalidWindow, Schedule, Window, Windows};
pub use selector::{About, Filter, Selector};
pub use size::{InvalidSize, Size};
pub use version::{natural_order, read_version};

/// One policy: rules for some repositories, on a schedule.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Unique among all policies.
    pub name: Arc<str>,
    /// The registries it applies to, by the names of the configuration.
    pub registries: Vec<RegistryName>,
    /// Whether its plans are applied.
    pub mode: Mode,
    /// When it runs by itself. None: only when it is started by hand.
    pub schedule: Option<Schedule>,
    /// The repositories that it names.
    pub repositories: RepositoryFilter,
    /// Its rules, in the order of the file; the order has no influence on any verdict.
    pub rules: Vec<Rule>,
    /// Its brakes.
    pub limits: Limits,
    /// Where it is written, for messages.
    pub origin: Arc<str>,
}

/// Whether a policy's plans are applied. There is no default: it must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Plan and report.
    DryRun,
    /// Plan, report and apply what the guard lets pass.
    Enforce,
}

/// The repositories that a policy names: nothing matches unless it is written.
#[derive(Debug, Clone)]
pub struct RepositoryFilter {
    /// Patterns on the whole name; at least one.
    pub include: Vec<Pattern>,
    /// Patterns that take out again.
    pub exclude: Vec<Pattern>,
    /// What the settings give to the policy's file; empty: everything.
    pub within: Vec<Pattern>,
}

/// The brakes of a policy. Zero means zero, never "unlimited".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most manifests and tags that one run may remove.
    pub max_deletes: u32,
    /// The largest share of a repository's images, and of the run's, in percent; asked from 20 images on.
    pub max_delete_percent: u8,
    /// The newest images of a repository that survive whatever the rules say.
    pub keep_at_least: u32,
    /// Nothing younger than this is ever deleted; at least one hour.
    pub min_age: SignedDuration,
    /// What happens to a run over `max_deletes` or `max_delete_percent`.
    pub on_limit: OnLimit,
    /// What happens to the first run with changed policies.
    pub changes: Changes,
}

/// What happens to a plan that is over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// Nothing of it is applied.
    Refuse,
    /// As much as the limit allows is applied, oldest images first: the chosen way to drain a backlog.
    OldestFirst,
}

/// What happens to the first run whose policies are not those of the run before: an edit may be a mistake, and should be seen before it
/// deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changes {
    /// It applies.
    Immediately,
    /// It plans and reports; the next run applies, or one that `retaind approve` starts.
    NextRun,
    /// It plans and reports, and so does every run until `retaind approve`. The strictest comes last.
    Approve,
}

impl Changes {
    /// As it is written in a policy.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Immediately => "immediately",
            Self::NextRun => "next_run",
            Self::Approve => "approve",
        }
    }

    /// What a word means; None: nothing.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Immediately, Self::NextRun, Self::Approve].into_iter().find(|changes| changes.word() == word)
    }
}

impl Limits {
    /// The lowest age floor a policy may set.
    pub const MIN_AGE_FLOOR: SignedDuration = SignedDuration::from_hours(1);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_deletes: 500,
            max_delete_percent: 10,
            keep_at_least: 1,
            min_age: SignedDuration::from_hours(24),
            on_limit: OnLimit::Refuse,
            changes: Changes::NextRun,
        }
    }
}

impl Policy {
    /// Whether its plans are applied.
    pub fn is_enforced(&self) -> bool {
        match self.mode {
            Mode::DryRun => false,
            Mode::Enforce => true,
        }
    }

    /// The rule at a place.
    pub fn rule(&self, place: u16) -> Option<&Rule> {
        self.rules.get(usize::from(place))
    }

    /// How closely its rules must see a repository.
    pub fn depth(&self) -> Depth {
        self.rules.iter().map(|rule| rule.action.selector().depth()).fold(Depth::default(), Depth::or)
    }

    /// Whether this policy names the repository.
    pub fn names(&self, registry: &RegistryName, repository: &RepositoryName) -> bool {
        self.registries.contains(registry) && self.repositories.matches(repository)
    }
}

impl RepositoryFilter {
    /// Whether the filter lets the repository in.
    pub fn matches(&self, repository: &RepositoryName) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(repository.as_str()));
        any(&self.include) && !any(&self.exclude) && (self.within.is_empty() || any(&self.within))
    }

    /// The repositories that the filter names literally, when it names nothing but literals: they can be asked for without the
    /// catalog, which scope-map tokens cannot list.
    pub fn literals(&self) -> Option<Vec<&str>> {
        self.include.iter().map(Pattern::literal).collect()
    }
}

/// A number of images, at least one: zero is refused where policies are read.
pub type Images = NonZeroU32;
