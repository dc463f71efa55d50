//! When something that stays would go if nothing but the time changed. Pure: decides again at other times. Knows no rule.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Inventory, RepositoryName};
use crate::policy::Policy;

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

/// The first second, `now` or later, at which the item would go; None: not in a hundred years.
///
/// Time alone only condemns: ages grow, and what is too young or in the future becomes old enough. So what goes at one time goes at every
/// later one, and halving finds the first. What is returned was decided about: the item goes then, and did not a second before.
pub fn goes_from(inventory: &Inventory, prospect: &Prospect<'_>, now: Timestamp) -> Option<Timestamp> {
    let repository = inventory.repositories.iter().find(|repository| repository.name == *prospect.repository)?;
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
    // Whole seconds, as they are printed.
    let at = |seconds: i64| Timestamp::from_second(now.as_second().checked_add(seconds)?).ok();
    let (mut stays_at, mut goes_at) = (0, AHEAD_MAX.as_secs());
    if !goes(at(goes_at)?) {
        return None;
    }
    while stays_at + 1 < goes_at {
        let middle = stays_at + (goes_at - stays_at) / 2;
        if goes(at(middle)?) {
            goes_at = middle;
        } else {
            stays_at = middle;
        }
    }
    at(goes_at)
}
