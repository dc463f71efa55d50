//! What became of each step. Values for reports; nothing here acts.

use std::fmt;

use crate::model::{Digest, RepositoryName, TagName};

/// What became of an approved plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// By repository, in the plan's order.
    pub repositories: Vec<AppliedRepository>,
}

/// What became of one repository's steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedRepository {
    /// The repository.
    pub name: RepositoryName,
    /// Every step of the plan, once.
    pub steps: Vec<StepReport>,
    /// Why the rest was not tried, if it was not.
    pub stopped: Option<Stopped>,
}

/// One step and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// What the step does.
    pub kind: StepKind,
    /// The manifest.
    pub digest: Digest,
    /// The tag, of steps on tags.
    pub tag: Option<TagName>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Deletes a manifest.
    Delete,
    /// Removes a tag.
    Untag,
    /// Changes a lock.
    Lock,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done by this run.
    Done,
    /// It was gone when its turn came: with its subject, or by another hand.
    AlreadyGone,
    /// Not done, because something is no longer as the plan expects: the next run decides anew.
    Skipped(String),
    /// Tried and not done.
    Failed(String),
    /// Its turn did not come.
    NotReached,
}

/// Why the rest of a repository was not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The program is to stop, or deleting was paused.
    Asked,
    /// Nothing may be begun any more by now: the rest waits for the next run.
    WindowClosed,
    /// The journal could not be written: nothing is deleted that is not recorded first.
    Journal(String),
    /// The repository changed too much since the listing, or could not be probed.
    Changed(String),
    /// The registry refuses or fails again and again.
    Registry(String),
}

/// Sums over all steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Manifests deleted, by this run or with their subject.
    pub deleted: u32,
    /// Tags removed.
    pub untagged: u32,
    /// Locks changed.
    pub relocked: u32,
    /// Steps skipped because something had changed.
    pub skipped: u32,
    /// Steps that failed.
    pub failed: u32,
    /// Steps whose turn did not come.
    pub not_reached: u32,
}

impl Applied {
    /// The sums.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for step in self.repositories.iter().flat_map(|repository| &repository.steps) {
            let counter = match (&step.outcome, step.kind) {
                (Outcome::Done | Outcome::AlreadyGone, StepKind::Delete) => &mut counts.deleted,
                (Outcome::Done | Outcome::AlreadyGone, StepKind::Untag) => &mut counts.untagged,
                (Outcome::Done | Outcome::AlreadyGone, StepKind::Lock) => &mut counts.relocked,
                (Outcome::Skipped(_), _) => &mut counts.skipped,
                (Outcome::Failed(_), _) => &mut counts.failed,
                (Outcome::NotReached, _) => &mut counts.not_reached,
            };
            *counter += 1;
        }
        counts
    }

    /// Why the rest was not tried, if it was not: of several reasons the first, and that a window closed only if there is no other.
    pub fn stopped(&self) -> Option<&Stopped> {
        let reasons = || self.repositories.iter().filter_map(|repository| repository.stopped.as_ref());
        reasons().find(|stopped| **stopped != Stopped::WindowClosed).or_else(|| reasons().next())
    }

    /// Whether everything that was planned was done, or left undone only because it had changed.
    pub fn is_complete(&self) -> bool {
        let counts = self.counts();
        counts.failed == 0 && counts.not_reached == 0 && self.repositories.iter().all(|repository| repository.stopped.is_none())
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => formatter.write_str("it was asked to stop"),
            Self::WindowClosed => formatter.write_str("its window closed; the rest waits for the next run"),
            Self::Journal(why) => write!(formatter, "the journal cannot be written ({why})"),
            Self::Changed(why) | Self::Registry(why) => formatter.write_str(why),
        }
    }
}
