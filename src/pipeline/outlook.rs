//! When something that stays would go if nothing but the time changed. Pure: decides again at other times. Of rules it knows only with
//! what time spares.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Contents, Inventory, Listing, RepositoryName, Texts};
use crate::policy::{Action, END_OF_LIFE_KEY, Filter, Policy, end_of_life};

use super::decide;
use super::report::Item;

/// How far ahead is looked: the longest age that a policy can name.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24 * 365 * 100);

/// One item, and who decides about it.
#[derive(Debug, Clone, Copy)]
pub struct Prospect<'a> {
    /// Every policy.
    pub policies: &'a [Policy],
    /// The one that acts.
    pub acting: &'a Policy,
    /// The repository.
    pub repository: &'a RepositoryName,
    /// The manifest or tag, by its place in the contents.
    pub item: Item,
}

/// The first second, `now` or later, at which the item would go; None: not in a hundred years. Of the time between an earlier `now` and
/// the listing nothing is said: more than the time changed then.
///
/// Time condemns: ages grow, and what is too young becomes old enough. It spares at few moments only, and those are known beforehand (see
/// `spared_at`). Between two of them what goes once goes on going, so deciding at the last second tells whether it goes at all, and
/// halving finds the first. What is returned was decided about: the item goes then, and did not a second before.
pub fn goes_from(inventory: &Inventory, prospect: &Prospect<'_>, now: Timestamp) -> Option<Timestamp> {
    let repository = inventory.repositories.iter().find(|repository| repository.name == *prospect.repository)?;
    let Listing::Complete(contents) = &repository.listing else { return None };
    let alone = Inventory { registry: inventory.registry.clone(), taken_at: inventory.taken_at, repositories: vec![repository.clone()] };
    let goes = |at: Timestamp| {
        let decisions = decide(&alone, prospect.policies, prospect.acting, at);
        let evaluation = decisions.repositories.first().and_then(|decided| decided.evaluation.as_ref());
        evaluation.is_some_and(|evaluation| match prospect.item {
            Item::Manifest(manifest) => evaluation.manifests.goes(manifest),
            Item::Tag(tag) => evaluation.tags.goes(tag),
        })
    };
    if goes(now) {
        return Some(now);
    }
    let begin = now.max(inventory.taken_at);
    // Whole seconds, as they are printed.
    let goes_at = |second: i64| Timestamp::from_second(second).is_ok_and(goes);
    let (first, end) = (begin.as_second(), begin.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX).as_second());
    let mut before = first;
    for last in spared_at(contents, prospect, begin).range(first + 1..end).map(|spared| spared - 1).chain([end]) {
        if before < last && goes_at(last) {
            return Timestamp::from_second(first_within(before, last, goes_at)).ok();
        }
        before = last;
    }
    None
}

/// The first second after `stays_at` at which it goes, where it goes at `goes_at` and at every second since the first.
fn first_within(stays_at: i64, goes_at: i64, goes: impl Fn(i64) -> bool) -> i64 {
    let (mut stays_at, mut goes_at) = (stays_at, goes_at);
    while stays_at + 1 < goes_at {
        let middle = stays_at + (goes_at - stays_at) / 2;
        if goes(middle) {
            goes_at = middle;
        } else {
            stays_at = middle;
        }
    }
    goes_at
}

/// The seconds at which time may spare the item, `begin` or later. Time spares in three ways:
///
/// 1. A delete rule with `newer_than` lets off what has become so old. That reaches the item along holds only, because ages come after
///    counts: what matters are the times of what hangs together with it.
/// 2. A keep or lock rule with `end_of_life` takes on what has reached it, and what is kept for certain frees a slot of every count.
/// 3. A time in the future comes, and its image ranks by it from then on, with all its tags.
fn spared_at(contents: &Contents, prospect: &Prospect<'_>, begin: Timestamp) -> BTreeSet<i64> {
    let mut seconds = BTreeSet::new();
    let ages = prospect.acting.rules.iter().filter_map(|rule| match &rule.action {
        Action::Delete(delete) => delete.newer_than,
        Action::Keep(_) | Action::Lock(_) | Action::Unlock(_) => None,
    });
    let ages: Vec<SignedDuration> = ages.map(|age| age.duration()).collect();
    if !ages.is_empty() {
        for time in tied_to(contents, prospect.item).into_iter().flat_map(|manifest| times_of(contents, manifest)) {
            seconds.extend(ages.iter().filter_map(|age| time.checked_add(*age).ok()).map(at_or_after));
        }
    }
    let asks_for_the_end = |policy: &Policy| {
        policy.rules.iter().any(|rule| match &rule.action {
            Action::Keep(_) | Action::Lock(_) => rule.action.selector().filters.iter().any(|filter| matches!(filter, Filter::EndOfLife)),
            Action::Delete(_) | Action::Unlock(_) => false,
        })
    };
    if prospect.policies.iter().any(asks_for_the_end) {
        // At the moment itself life is not over yet.
        seconds.extend(ends_of_life(contents).map(|end| end.as_second() + 1));
    }
    let manifests = (0_u32..).take(contents.manifests().len());
    let to_come = manifests.flat_map(|manifest| times_of(contents, manifest)).filter(|time| begin < *time);
    seconds.extend(to_come.map(at_or_after));
    seconds
}

/// The first whole second that is not before.
fn at_or_after(time: Timestamp) -> i64 {
    time.as_second() + i64::from(0 < time.subsec_nanosecond())
}

/// Every time from which an age of the manifest or of its tags may run.
fn times_of(contents: &Contents, manifest: u32) -> impl Iterator<Item = Timestamp> {
    let item = &contents.manifests()[manifest as usize];
    let of_tags = contents.tagged(manifest).iter().map(|tag| tag.updated_at);
    of_tags.chain([item.updated_at, item.untagged_since]).flatten().map(Timestamp::from)
}

fn ends_of_life(contents: &Contents) -> impl Iterator<Item = Timestamp> {
    let facts = contents.manifests().iter().filter_map(|manifest| manifest.facts.as_ref());
    facts.filter_map(|facts| match &facts.annotations {
        Texts::Known(annotations) => end_of_life(annotations.get(END_OF_LIFE_KEY)?),
        Texts::NotRead | Texts::Unreadable(_) => None,
    })
}

/// The manifests that the item's hangs together with, over whatever holds whom, in whichever direction.
fn tied_to(contents: &Contents, item: Item) -> BTreeSet<u32> {
    let mut ties: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (manifest, item) in (0_u32..).zip(contents.manifests()) {
        let by_tag = contents.tagged(manifest).iter().filter_map(|tag| tag.name.companion_subject());
        let named = item.references.children().iter().copied().chain(item.references.subject()).chain(by_tag);
        for other in named.filter_map(|digest| contents.find(digest)) {
            ties.entry(manifest).or_default().push(other);
            ties.entry(other).or_default().push(manifest);
        }
    }
    let start = match item {
        Item::Manifest(manifest) => manifest,
        Item::Tag(tag) => contents.owner_of(tag),
    };
    let mut tied = BTreeSet::from([start]);
    let mut next = vec![start];
    while let Some(manifest) = next.pop() {
        next.extend(ties.get(&manifest).into_iter().flatten().filter(|other| tied.insert(**other)));
    }
    tied
}
