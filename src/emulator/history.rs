//! What repositories looked like a while ago, for registries whose lists or replicas lag behind. Kept only where one does: a whole copy of a
//! repository for each change, which is much for a large one and nothing for a test's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::world::{Refusal, Repository, World};

/// Earlier states by repository, oldest first, each with the time until which it was so; `None` when there was no such repository.
#[derive(Debug, Default)]
pub(crate) struct History(BTreeMap<Arc<str>, VecDeque<(Timestamp, Option<Repository>)>>);

impl World {
    /// Keeps what a repository looks like before it changes, for as long as somebody may still see it so.
    pub(crate) fn remember(&mut self, name: &str, now: Timestamp, lag_max: SignedDuration) {
        if lag_max.is_zero() {
            return;
        }
        let state = self.repository(name).ok().cloned();
        let states = self.history.0.entry(name.into()).or_default();
        states.retain(|(until, _)| now.duration_since(*until) <= lag_max);
        states.push_back((now, state));
    }

    /// The repository as it was at `time`.
    pub(crate) fn repository_at(&self, name: &str, time: Timestamp) -> Result<&Repository, Refusal> {
        let earlier = self.history.0.get(name).and_then(|states| states.iter().find(|(until, _)| time < *until));
        match earlier {
            Some((_, state)) => state.as_ref().ok_or(Refusal::RepositoryUnknown),
            None => self.repository(name),
        }
    }

    /// The names of the repositories that there are, or may have been a while ago.
    pub(crate) fn names(&self) -> BTreeSet<&Arc<str>> {
        self.repositories.keys().chain(self.history.0.keys()).collect()
    }

    /// Whether everything is as it always was.
    pub(crate) fn has_no_history(&self) -> bool {
        self.history.0.is_empty()
    }
}
