//! Rules: one action each, on what a selector chooses. Does not evaluate them.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::model::LockChange;

use super::{Age, Images, Period, Selector};

/// A named rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Unique within its policy.
    pub name: Arc<str>,
    /// What it does, to what.
    pub action: Action,
}

/// What a rule does. Rules are ORed; keep wins, whatever the order.
#[derive(Debug, Clone)]
pub enum Action {
    /// Keeps.
    Keep(Keep),
    /// Condemns.
    Delete(Delete),
    /// Closes locks, and protects what it chooses whether the lock is closed yet or not.
    Lock(LockRule),
    /// Opens locks. What it opens can go in the next run at the earliest.
    Unlock(LockRule),
}

/// A keep rule.
#[derive(Debug, Clone)]
pub struct Keep {
    /// What it chooses.
    pub selector: Selector,
    /// Kept while any of these holds; empty: always.
    pub when: Vec<KeepWhen>,
    /// A tag that is kept keeps the other ordinary tags of its manifest.
    pub all_tags: bool,
}

/// A condition of a keep rule. Each counts for itself, over all that the selector chooses.
#[derive(Debug, Clone)]
pub enum KeepWhen {
    /// It is among the newest so many.
    Last(Count),
    /// It is not older.
    NewerThan(Age),
    /// It is the newest of its period, and the period is among the last so many that have an image at all.
    NewestOfEach {
        /// Days, weeks, months or years.
        period: Period,
        /// How many of them; those without an image do not count.
        periods: Images,
        /// On whose calendar: the policy's time zone.
        zone: TimeZone,
    },
}

/// A delete rule: at least one of `older_than` and `except_last` is there, and all that are must hold.
#[derive(Debug, Clone)]
pub struct Delete {
    /// What it chooses.
    pub selector: Selector,
    /// Only what is strictly older.
    pub older_than: Option<Age>,
    /// Only what is strictly newer.
    pub newer_than: Option<Age>,
    /// Not the newest so many, counted over all that the selector chooses, whatever its age.
    pub except_last: Option<Count>,
    /// Only what this rule has condemned in every run for longer than this.
    pub condemned_for: Option<Age>,
    /// For manifests without a tag that no listing saw before: take the push time for the beginning of their age, although nobody
    /// knows since when they have been untagged.
    pub adopt_backlog: bool,
}

/// So many of each group, in an order.
#[derive(Debug, Clone)]
pub struct Count {
    /// How many images.
    pub images: Images,
    /// How they are grouped.
    pub per: Grouping,
    /// Which come first.
    pub order_by: OrderBy,
}

/// How a count groups images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// One group for all.
    All,
    /// One for each major version.
    Major,
    /// One for each major and minor version.
    Minor,
    /// One for each combination of what these named groups of the regular expression captured.
    Captures(Vec<Box<str>>),
}

/// Which images come first in a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBy {
    /// The most recently pushed or moved tag first.
    Time,
    /// The highest semantic version first.
    Version,
}

/// A lock or unlock rule.
#[derive(Debug, Clone)]
pub struct LockRule {
    /// What it chooses.
    pub selector: Selector,
    /// Which attributes it sets, and to what.
    pub change: LockChange,
    /// Where it writes them.
    pub on: LockTarget,
    /// Whether what this rule closed is opened again once it no longer asks for it. Of lock rules only.
    pub release: bool,
}

/// Where a lock rule writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockTarget {
    /// On the tags that it chose.
    Tag,
    /// On the manifests of those tags.
    Manifest,
    /// On both.
    Both,
}

impl Keep {
    /// Keeps all that it chooses, always.
    pub const fn always(selector: Selector) -> Self {
        Self { selector, when: Vec::new(), all_tags: false }
    }

    /// Keeps the newest so many.
    pub fn last(selector: Selector, count: Count) -> Self {
        Self { selector, when: vec![KeepWhen::Last(count)], all_tags: false }
    }
}

impl Action {
    /// What the rule is about.
    pub const fn selector(&self) -> &Selector {
        match self {
            Self::Keep(keep) => &keep.selector,
            Self::Delete(delete) => &delete.selector,
            Self::Lock(lock) | Self::Unlock(lock) => &lock.selector,
        }
    }
}
