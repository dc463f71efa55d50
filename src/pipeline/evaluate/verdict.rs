//! Verdicts with their reasons, stored compactly. Does not decide and does not print.

use crate::model::Level;
use crate::policy::Period;

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

/// For each item of a kind whether it goes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdicts {
    goes: BitSet,
    /// `reasons[starts[i]..starts[i + 1]]` are those of item `i`: one allocation for all.
    starts: Vec<u32>,
    reasons: Vec<Reason>,
}

impl Verdicts {
    pub(super) fn with_capacity(items: usize) -> Self {
        let mut starts = Vec::with_capacity(items + 1);
        starts.push(0);
        Self { goes: BitSet::new(items), starts, reasons: Vec::with_capacity(items) }
    }

    /// Adds the next item's verdict. An item without a reason would be a bug, so it gets none silently: the caller sees to it.
    pub(super) fn push(&mut self, goes: bool, reasons: &[Reason]) {
        debug_assert!(!reasons.is_empty(), "every verdict has a reason");
        if goes {
            self.goes.insert(self.len());
        }
        self.reasons.extend_from_slice(reasons);
        self.starts.push(place(self.reasons.len()));
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
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
        &self.reasons[self.starts[item as usize] as usize..self.starts[item as usize + 1] as usize]
    }

    /// The places of the items that go.
    pub fn going(&self) -> impl Iterator<Item = u32> + '_ {
        self.goes.iter()
    }
}

/// A place as a 32-bit number: a repository of four billion manifests is far beyond what paging bounds let in.
pub(super) fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A set of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    pub(super) fn new(items: usize) -> Self {
        Self { words: vec![0; items.div_ceil(64)] }
    }

    /// No places, and room for none.
    pub(super) const fn none() -> Self {
        Self { words: Vec::new() }
    }

    pub(super) fn insert(&mut self, item: usize) {
        self.words[item / 64] |= 1 << (item % 64);
    }

    pub(super) fn remove(&mut self, item: usize) {
        self.words[item / 64] &= !(1 << (item % 64));
    }

    pub(super) fn contains(&self, item: usize) -> bool {
        self.words.get(item / 64).is_some_and(|word| word & 1 << (item % 64) != 0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(place, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(self::place(place * 64) + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_set_gives_back_what_was_put_in() {
        let mut set = BitSet::new(200);
        for item in [0, 63, 64, 199] {
            set.insert(item);
        }
        set.remove(63);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64, 199]);
        assert!(set.contains(199) && !set.contains(63));
    }
}
