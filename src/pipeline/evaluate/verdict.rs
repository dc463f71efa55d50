//! Verdicts with their reasons, stored compactly. Does not decide and does not print.

use std::collections::BTreeMap;

use crate::model::Level;
use crate::policy::Period;

use super::bit_set::{BitSet, place};

/// A rule, by the place of its policy among the policies asked and its own place in that policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The policy.
    pub policy: u16,
    /// The rule.
    pub rule: u16,
}

/// Why an item stays or goes. Manifests and tags are named by their places in the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Stays: no delete rule of the acting policy chooses it.
    NoRule,
    /// Stays: a keep rule chooses it.
    KeepRule(RuleRef),
    /// Stays: it is among the newest that a keep rule counts.
    KeepLast(RuleRef),
    /// Stays: it is younger than this keep rule's `newer_than`.
    KeepNewer(RuleRef),
    /// Stays: it is the newest of one of the periods that a keep rule counts.
    KeepPeriod(RuleRef, Period),
    /// Stays (a tag): a keep rule keeps another tag of its image, with all tags.
    KeepAllTags(RuleRef),
    /// Stays: whether it fits the filters of this keep or delete rule cannot be said.
    Unclear(RuleRef),
    /// Stays: a lock rule chooses it, whether its lock is closed yet or not.
    LockRule(RuleRef),
    /// Stays: it is locked.
    Locked(Level),
    /// Stays: the registry told no time, or none that can be read.
    UnknownTime,
    /// Stays: the registry's time lies in the future.
    FutureTime,
    /// Stays: it is younger than the acting policy's age floor.
    TooYoung,
    /// Stays: this delete rule chooses it, but it is not old enough yet.
    NotYet(RuleRef),
    /// Stays: this delete rule chooses it, but it is too old for the rule's `newer_than`.
    NoLonger(RuleRef),
    /// Stays: this delete rule chooses it, but it is among the newest that the rule excepts.
    ExceptLast(RuleRef),
    /// Stays: this delete rule condemns it, but not yet for long enough.
    Waits(RuleRef),
    /// Stays: it is among the newest images of the repository, of which so many survive.
    KeepAtLeast,
    /// Stays: it is listed, but reading it finds nothing; there is nothing to delete.
    Ghost,
    /// Stays: a referrer or companion whose subject is not in the repository; rules on `orphaned` alone choose it.
    SubjectAbsent,
    /// Stays: this tag of it stays.
    TagStays(u32),
    /// Stays (a tag): its manifest is held, for the reasons given there.
    WithManifest,
    /// Stays: a child of this index, which stays.
    ChildOf(u32),
    /// Stays: it describes this subject, which stays.
    ReferrerOf(u32),
    /// Stays: a companion tag ties it to this subject, which stays.
    CompanionOf(u32),
    /// Stays: this referrer or companion of it stays on its own account, and would go with it.
    SubjectOf(u32),
    /// Stays: companions that name each other, with no root that could go.
    Circle,
    /// Goes: this delete rule condemns it.
    DeleteRule(RuleRef),
    /// Goes: only this image needed it, which goes.
    WithRoot(u32),
    /// Goes: an earlier run deleted the image that needed it and did not get to it.
    LeftBehind,
}

impl Reason {
    /// Whether it is about one other item, so that few share it.
    const fn names_an_item(self) -> bool {
        match self {
            Self::TagStays(_) | Self::ChildOf(_) | Self::ReferrerOf(_) | Self::CompanionOf(_) | Self::SubjectOf(_) | Self::WithRoot(_) => {
                true
            }
            Self::NoRule
            | Self::KeepRule(_)
            | Self::KeepLast(_)
            | Self::KeepNewer(_)
            | Self::KeepPeriod(..)
            | Self::KeepAllTags(_)
            | Self::Unclear(_)
            | Self::LockRule(_)
            | Self::Locked(_)
            | Self::UnknownTime
            | Self::FutureTime
            | Self::TooYoung
            | Self::NotYet(_)
            | Self::NoLonger(_)
            | Self::ExceptLast(_)
            | Self::Waits(_)
            | Self::KeepAtLeast
            | Self::Ghost
            | Self::SubjectAbsent
            | Self::WithManifest
            | Self::Circle
            | Self::DeleteRule(_)
            | Self::LeftBehind => false,
        }
    }
}

/// For each item of a kind whether it goes, and why.
///
/// Most items have the same few reasons as many others, so a list of reasons is kept once: an item costs four bytes, and more only where its
/// reasons name other items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdicts {
    goes: BitSet,
    /// The list of each item.
    lists: Vec<u32>,
    /// `reasons[ends[l - 1]..ends[l]]` are those of list `l`.
    ends: Vec<u32>,
    reasons: Vec<Reason>,
}

/// Takes up one verdict after another.
pub(super) struct VerdictsBuilder {
    verdicts: Verdicts,
    /// Where lists that name no item are kept.
    shared: BTreeMap<Box<[Reason]>, u32>,
}

impl VerdictsBuilder {
    pub(super) fn with_capacity(items: usize) -> Self {
        let verdicts = Verdicts { goes: BitSet::new(items), lists: Vec::with_capacity(items), ends: Vec::new(), reasons: Vec::new() };
        Self { verdicts, shared: BTreeMap::new() }
    }

    /// Adds the next item's verdict. An item without a reason would be a bug, so it gets none silently: the caller sees to it.
    pub(super) fn push(&mut self, goes: bool, reasons: &[Reason]) {
        debug_assert!(!reasons.is_empty(), "every verdict has a reason");
        let Verdicts { goes: going, lists, ends, reasons: all } = &mut self.verdicts;
        if goes {
            going.insert(lists.len());
        }
        // Often the same as the item before.
        let last = lists.last().copied();
        let list = match last.filter(|last| list(ends, all, *last) == reasons).or_else(|| self.shared.get(reasons).copied()) {
            Some(known) => known,
            None => {
                all.extend_from_slice(reasons);
                ends.push(place(all.len()));
                let new = place(ends.len() - 1);
                if !reasons.iter().any(|reason| reason.names_an_item()) {
                    self.shared.insert(reasons.into(), new);
                }
                new
            }
        };
        lists.push(list);
    }

    pub(super) fn finish(self) -> Verdicts {
        self.verdicts
    }
}

impl Verdicts {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the item goes: a manifest is deleted, a tag removed (with its manifest or without).
    pub fn goes(&self, item: u32) -> bool {
        self.goes.contains(item as usize)
    }

    /// Why. Never empty.
    pub fn reasons(&self, item: u32) -> &[Reason] {
        list(&self.ends, &self.reasons, self.lists[item as usize])
    }

    /// The places of the items that go.
    pub fn going(&self) -> impl Iterator<Item = u32> + '_ {
        self.goes.iter()
    }
}

fn list<'a>(ends: &[u32], reasons: &'a [Reason], list: u32) -> &'a [Reason] {
    let list = list as usize;
    let start = list.checked_sub(1).map_or(0, |before| ends[before]);
    &reasons[start as usize..ends[list] as usize]
}
