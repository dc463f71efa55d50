//! What earlier looks and runs noted about a repository, carried along with a listing so that whoever decides needs no memory of its own.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Digest, LockChange, Locks, TagName};

/// The largest difference between our clock and the registry's: beyond it ages mean nothing (the bound kopia uses).
pub const CLOCK_DIFFERENCE_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What was noted about a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    /// The first complete listing of it that this tool took; None: this one. What was untagged then is its backlog.
    pub since: Option<Timestamp>,
    /// How many manifests it should have by earlier listings, if it has far fewer.
    pub shrunk_from: Option<u32>,
    /// What rules with a waiting time condemned in every run since, in order.
    pub condemned: Vec<Condemned>,
    /// Locks that this tool closed and that are as it left them.
    pub own_locks: Vec<OwnLock>,
}

impl Observations {
    /// Since when the mark stands; None: it does not.
    pub fn condemned_since(&self, mark: &Mark) -> Option<Timestamp> {
        let place = self.condemned.binary_search_by(|condemned| condemned.mark.cmp(mark)).ok()?;
        Some(self.condemned[place].since)
    }
}

/// What a rule is about to do: a manifest without tags, or one tag of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The policy, by name.
    pub policy: Arc<str>,
    /// The rule, by name.
    pub rule: Arc<str>,
    /// The manifest, or the one that the tag points at.
    pub digest: Digest,
    /// The tag; None: the manifest itself.
    pub tag: Option<TagName>,
}

/// A mark, and since when it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condemned {
    /// What was condemned, and by which rule.
    pub mark: Mark,
    /// The first of an unbroken row of complete runs that condemned it.
    pub since: Timestamp,
}

/// A lock that a rule closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLock {
    /// What was locked, and by which rule.
    pub mark: Mark,
    /// The attributes that were open before, and that the rule closed.
    pub closed: LockChange,
    /// All attributes as the newest change of ours left them. Different now: somebody else changed them since.
    pub left: Locks,
}
