//! Which repositories have series of their own: at most so many of each policy on each registry, so that a page has a bound whatever
//! a registry holds. Knows no metric.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::RepositoryName;
use crate::pipeline::report::RepositoryTally;

use super::SeriesKey;

/// What repositories without series of their own are counted as, together. No repository can be called so.
pub(super) const OTHERS: &str = "_other";

/// The repositories that have series of their own.
#[derive(Debug, Default)]
pub(super) struct Shown(BTreeMap<SeriesKey, BTreeSet<RepositoryName>>);

impl Shown {
    /// Chooses for a run of a policy and returns whose series end: 1. what the run did not see gives up its place; 2. what has a place
    /// keeps it, so that its counters go on; 3. free places go to those of which most goes, then to the largest.
    pub(super) fn choose(
        &mut self,
        key: &SeriesKey,
        seen: &BTreeMap<RepositoryName, RepositoryTally>,
        most: usize,
    ) -> BTreeSet<RepositoryName> {
        let shown = self.0.entry(key.clone()).or_default();
        let (stay, end) = std::mem::take(shown).into_iter().partition(|name| seen.contains_key(name));
        *shown = stay;
        let mut waiting: Vec<_> = seen.iter().filter(|(name, _)| !shown.contains(*name)).collect();
        waiting.sort_by_key(|(name, tally)| (Reverse(tally.going), Reverse(tally.kept), *name));
        let free = most.saturating_sub(shown.len());
        shown.extend(waiting.into_iter().take(free).map(|(name, _)| name.clone()));
        end
    }

    /// What the run did, by the label that its repositories have.
    pub(super) fn labelled<'s>(
        &'s self,
        key: &SeriesKey,
        seen: &'s BTreeMap<RepositoryName, RepositoryTally>,
    ) -> BTreeMap<&'s str, Counted> {
        let mut by_label: BTreeMap<&str, Counted> = BTreeMap::new();
        let shown = self.0.get(key);
        for (name, tally) in seen {
            let has_own = shown.is_some_and(|shown| shown.contains(name));
            by_label.entry(if has_own { name.as_str() } else { OTHERS }).or_default().add(tally);
        }
        by_label
    }

    /// Forgets every policy but these.
    pub(super) fn keep_only(&mut self, policies: &BTreeSet<SeriesKey>) {
        self.0.retain(|key, _| policies.contains(key));
    }
}

/// What is told of one repository, or of several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) going: u64,
    pub(super) kept: u64,
    pub(super) incomplete: u64,
    pub(super) deleted: u64,
    pub(super) deleted_bytes: u64,
}

impl Counted {
    fn add(&mut self, tally: &RepositoryTally) {
        let RepositoryTally { going, kept, is_incomplete, deleted, deleted_bytes } = tally;
        self.going += going;
        self.kept += kept;
        self.incomplete += u64::from(*is_incomplete);
        self.deleted += deleted;
        self.deleted_bytes = self.deleted_bytes.saturating_add(*deleted_bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::model::RegistryName;

    use super::*;

    fn key(policy: &str) -> SeriesKey {
        SeriesKey { policy: Arc::from(policy), registry: RegistryName::parse("contoso").unwrap() }
    }

    /// What a run saw: name, going, kept.
    fn seen(of: &[(&str, u64, u64)]) -> BTreeMap<RepositoryName, RepositoryTally> {
        let tally = |going, kept| RepositoryTally { going, kept, ..RepositoryTally::default() };
        of.iter().map(|(name, going, kept)| (RepositoryName::parse(name).unwrap(), tally(*going, *kept))).collect()
    }

    fn names(of: impl IntoIterator<Item = RepositoryName>) -> Vec<String> {
        of.into_iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn a_place_is_kept_until_the_repository_is_gone() {
        let (mut shown, ci) = (Shown::default(), key("ci"));
        let labels = |shown: &Shown, seen: &BTreeMap<_, _>| shown.labelled(&ci, seen).into_keys().map(str::to_owned).collect::<Vec<_>>();
        let first = seen(&[("a", 0, 5), ("b", 3, 0), ("c", 0, 9)]);
        assert!(shown.choose(&ci, &first, 2).is_empty());
        assert_eq!(labels(&shown, &first), ["_other", "b", "c"]);
        // Now `a` would come first.
        let second = seen(&[("a", 90, 5), ("b", 0, 0), ("c", 0, 9)]);
        assert!(shown.choose(&ci, &second, 2).is_empty());
        assert_eq!(labels(&shown, &second), ["_other", "b", "c"]);
        let third = seen(&[("a", 90, 5), ("c", 0, 9)]);
        assert_eq!(names(shown.choose(&ci, &third, 2)), ["b"]);
        assert_eq!(labels(&shown, &third), ["a", "c"]);
    }

    #[test]
    fn what_has_no_place_is_counted_together() {
        let (mut shown, ci) = (Shown::default(), key("ci"));
        let seen = seen(&[("a", 4, 5), ("b", 3, 1), ("c", 2, 2)]);
        shown.choose(&ci, &seen, 1);
        let others = Counted { going: 5, kept: 3, ..Counted::default() };
        assert_eq!(
            shown.labelled(&ci, &seen),
            BTreeMap::from([("a", Counted { going: 4, kept: 5, ..Counted::default() }), (OTHERS, others)])
        );
        assert!(RepositoryName::parse(OTHERS).is_err(), "a repository can be called {OTHERS}");
    }

    #[test]
    fn policies_have_places_of_their_own() {
        let mut shown = Shown::default();
        let seen = seen(&[("a", 1, 0), ("b", 0, 1)]);
        shown.choose(&key("ci"), &seen, 1);
        shown.choose(&key("releases"), &seen, 2);
        assert_eq!(shown.labelled(&key("releases"), &seen).len(), 2);
        shown.keep_only(&BTreeSet::from([key("ci")]));
        assert_eq!(names(shown.0.into_keys().map(|key| RepositoryName::parse(&key.policy).unwrap())), ["ci"]);
    }
}
