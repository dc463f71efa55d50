//! A run in numbers, as metrics count it. Knows no metric.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Digest, RepositoryName};

use super::super::apply::{Applied, Outcome, StepKind};
use super::super::guard::Refusal;
use super::super::plan::Decision;
use super::Decided;
use super::words::code;

/// What a run saw, decided and did, in numbers. Filled in two steps, as the run goes: [`Tally::plan`], then [`Tally::apply`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Manifests in complete listings.
    pub scanned: u64,
    /// Manifests that the plan deletes.
    pub going: u64,
    /// Manifests that stay, by the stable word of the first of their reasons.
    pub kept: BTreeMap<&'static str, u64>,
    /// Repositories about which nothing was decided, because something of them could not be listed or read.
    pub incomplete: u64,
    /// What the guard held back, by a stable word.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Manifests and tags that draining (`on_limit: oldest_first`) leaves to later runs.
    pub left_to_later_runs: u64,
    /// Manifests deleted, by this run or with their subject.
    pub deleted: u64,
    /// The sizes of the deleted manifests: layers that others share are counted each time, so the registry frees at most this.
    pub deleted_bytes: u64,
    /// Tags removed from manifests that stay.
    pub untagged: u64,
    /// Locks changed.
    pub relocked: u64,
    /// Steps skipped because something had changed.
    pub skipped: u64,
    /// Deletions and removals of tags that failed.
    pub failed_deletes: u64,
    /// Changes of locks that failed.
    pub failed_locks: u64,
    /// The sizes of what the plan deletes, between the two steps.
    pub sizes: HashMap<(RepositoryName, Digest), u64>,
    /// The same of each repository of the plan.
    pub repositories: BTreeMap<RepositoryName, RepositoryTally>,
}

/// What a run decided about and did with one repository, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepositoryTally {
    /// Manifests that the plan deletes.
    pub going: u64,
    /// Manifests that stay.
    pub kept: u64,
    /// Nothing was decided, because something could not be listed or read.
    pub is_incomplete: bool,
    /// Manifests deleted, by this run or with their subject.
    pub deleted: u64,
    /// The sizes of the deleted manifests.
    pub deleted_bytes: u64,
}

impl Tally {
    /// Counts what was decided.
    pub fn plan(&mut self, decided: &Decided<'_>) {
        for refusal in decided.refusals {
            if let Refusal::Drained { later, .. } = refusal {
                self.left_to_later_runs += u64::from(*later);
            }
            if let Some(code) = refusal_code(refusal) {
                *self.refusals.entry(code).or_default() += 1;
            }
        }
        for repository in decided.repositories {
            let Some(evaluation) = &repository.evaluation else { continue };
            let of_repository = self.repositories.entry(repository.repository.name.clone()).or_default();
            let manifests = &evaluation.manifests;
            let places = 0..u32::try_from(manifests.len()).unwrap_or(u32::MAX);
            self.scanned += u64::from(places.end);
            for first in places.filter(|place| !manifests.goes(*place)).filter_map(|place| manifests.reasons(place).first()) {
                *self.kept.entry(code(*first)).or_default() += 1;
                of_repository.kept += 1;
            }
        }
        for repository in &decided.plan.repositories {
            let of_repository = self.repositories.entry(repository.name.clone()).or_default();
            let Decision::Steps(steps) = &repository.decision else {
                self.incomplete += 1;
                of_repository.is_incomplete = true;
                continue;
            };
            for step in steps.deletes() {
                self.going += 1;
                of_repository.going += 1;
                self.sizes.insert((repository.name.clone(), step.digest), step.size_bytes);
            }
        }
    }

    /// Counts what was done of it.
    pub fn apply(&mut self, applied: &Applied) {
        let sizes = std::mem::take(&mut self.sizes);
        for repository in &applied.repositories {
            let of_repository = self.repositories.entry(repository.name.clone()).or_default();
            for step in &repository.steps {
                let counter = match (&step.outcome, step.kind) {
                    (Outcome::Done | Outcome::AlreadyGone, StepKind::Delete) => {
                        let size = sizes.get(&(repository.name.clone(), step.digest)).copied().unwrap_or(0);
                        self.deleted_bytes = self.deleted_bytes.saturating_add(size);
                        of_repository.deleted_bytes = of_repository.deleted_bytes.saturating_add(size);
                        of_repository.deleted += 1;
                        &mut self.deleted
                    }
                    (Outcome::Done | Outcome::AlreadyGone, StepKind::Untag) => &mut self.untagged,
                    (Outcome::Done | Outcome::AlreadyGone, StepKind::Lock) => &mut self.relocked,
                    (Outcome::Skipped(_), _) => &mut self.skipped,
                    (Outcome::Failed(_), StepKind::Delete | StepKind::Untag) => &mut self.failed_deletes,
                    (Outcome::Failed(_), StepKind::Lock) => &mut self.failed_locks,
                    (Outcome::NotReached, _) => continue,
                };
                *counter += 1;
            }
        }
    }
}

/// Every word that [`Tally::refusals`] may hold.
pub const REFUSAL_CODES: [&str; 11] = [
    "paused",
    "suspended",
    "clock_difference",
    "journal_not_kept",
    "too_many",
    "too_large_a_share",
    "repository_share",
    "fits_no_run",
    "audit",
    "repository_shrunk",
    "policies_changed",
];

/// A stable word for what was held back, for machines; None: nothing was, only left to later runs as the policy asks.
fn refusal_code(refusal: &Refusal) -> Option<&'static str> {
    let place = match refusal {
        Refusal::Drained { .. } => return None,
        Refusal::Paused => 0,
        Refusal::Suspended(_) | Refusal::RepositorySuspended(..) => 1,
        Refusal::ClockDifference(_) => 2,
        Refusal::JournalNotKept => 3,
        Refusal::TooMany { .. } => 4,
        Refusal::TooLargeAShare(_) => 5,
        Refusal::RepositoryShare(..) => 6,
        Refusal::FitsNoRun(_) => 7,
        Refusal::Audit(..) => 8,
        Refusal::RepositoryShrunk(..) => 9,
        Refusal::PoliciesChanged(_) => 10,
    };
    Some(REFUSAL_CODES[place])
}

#[cfg(test)]
mod tests {
    use super::super::super::apply::{AppliedRepository, StepReport};
    use super::*;

    #[test]
    fn what_was_done_is_counted_by_kind_and_outcome() {
        let name = RepositoryName::parse("team/web").unwrap();
        let digest = |byte: u8| Digest::of(&[byte]);
        let mut tally =
            Tally { sizes: HashMap::from([((name.clone(), digest(1)), 70), ((name.clone(), digest(3)), 9)]), ..Tally::default() };
        let step = |kind, byte, outcome| StepReport { kind, digest: digest(byte), tag: None, outcome };
        let steps = vec![
            step(StepKind::Delete, 1, Outcome::Done),
            step(StepKind::Delete, 2, Outcome::AlreadyGone),
            step(StepKind::Delete, 3, Outcome::Failed(String::new())),
            step(StepKind::Untag, 4, Outcome::Failed(String::new())),
            step(StepKind::Untag, 5, Outcome::Done),
            step(StepKind::Lock, 6, Outcome::Done),
            step(StepKind::Lock, 7, Outcome::Failed(String::new())),
            step(StepKind::Lock, 8, Outcome::Skipped(String::new())),
            step(StepKind::Delete, 9, Outcome::NotReached),
        ];
        tally.apply(&Applied { repositories: vec![AppliedRepository { name: name.clone(), steps, stopped: None }] });
        let of_repository = RepositoryTally { deleted: 2, deleted_bytes: 70, ..RepositoryTally::default() };
        let expected = Tally {
            repositories: BTreeMap::from([(name, of_repository)]),
            deleted: 2,
            deleted_bytes: 70,
            untagged: 1,
            relocked: 1,
            skipped: 1,
            failed_deletes: 2,
            failed_locks: 1,
            ..Tally::default()
        };
        assert_eq!(tally, expected);
    }
}
