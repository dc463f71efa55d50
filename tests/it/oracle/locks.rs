//! Which locks a run closes and opens, by the description of lock rules: for every item and every attribute of it, one at a time.

use std::collections::{BTreeMap, BTreeSet};

use retaind::model::{Digest, LockChange, Locks, Mark, TagName};
use retaind::policy::{Action, LockRule, LockTarget};

use super::fits::Fit;
use super::{Answer, Oracle, Spoken};

/// A manifest, or a tag of it.
pub(crate) type Lockable = (Digest, Option<TagName>);

/// What becomes of an item's attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Relocked {
    /// In the order of [`attributes`].
    pub(crate) set: [Option<bool>; 4],
    /// Which rules close which attributes, so that they may open them again.
    pub(crate) closed_by: BTreeSet<(String, usize)>,
    /// Which rules let go of what they closed.
    pub(crate) released_by: BTreeSet<String>,
}

pub(crate) const fn attributes(change: LockChange) -> [Option<bool>; 4] {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    [can_delete, can_write, can_read, can_list]
}

const fn open(locks: Locks) -> [bool; 4] {
    let Locks { can_delete, can_write, can_read, can_list } = locks;
    [can_delete, can_write, can_read, can_list]
}

impl Oracle<'_> {
    /// The locks that change on what stays. Tags that may go or stay are left out.
    pub(super) fn relocked(&self, answer: &Answer) -> BTreeMap<Lockable, Relocked> {
        let manifests = self.world.manifests.iter().filter(|manifest| !answer.manifests.contains(&manifest.digest));
        let manifests = manifests.map(|manifest| ((manifest.digest, None), manifest.locks));
        let tags = self.world.tags.iter().filter(|tag| !answer.tags.contains(&tag.name) && !answer.either.contains(&tag.name));
        let tags = tags.map(|tag| ((tag.digest, Some(tag.name.clone())), tag.locks));
        manifests.chain(tags).filter_map(|(item, locks)| Some((item.clone(), self.relock(&item, locks)?))).collect()
    }

    fn relock(&self, item: &Lockable, locks: Locks) -> Option<Relocked> {
        let mut relocked = Relocked::default();
        for (attribute, is_open) in open(locks).into_iter().enumerate() {
            let closing: Vec<&Spoken<'_>> =
                self.lock_rules(item).filter(|(_, rule)| asks(rule, attribute, false)).map(|(spoken, _)| spoken).collect();
            if closing.is_empty() {
                let releasing: Vec<&str> = self.releasing(item, locks, attribute).collect();
                let opens = !is_open && (self.is_unlocked(item, attribute) || !releasing.is_empty());
                if opens {
                    relocked.set[attribute] = Some(true);
                    relocked.released_by.extend(releasing.into_iter().map(str::to_owned));
                }
                continue;
            }
            // Other policies' rules protect here and are written in their own runs.
            let own = closing.iter().filter(|rule| rule.acts && is_open);
            for rule in own {
                relocked.set[attribute] = Some(false);
                relocked.closed_by.insert((rule.name.to_owned(), attribute));
            }
        }
        relocked.set.iter().any(Option::is_some).then_some(relocked)
    }

    /// The lock rules of all policies that are about the item. What nobody can say of its filters counts as fitting.
    fn lock_rules(&self, item: &Lockable) -> impl Iterator<Item = (&Spoken<'_>, &LockRule)> {
        self.rules.iter().filter_map(move |spoken| match spoken.action {
            Action::Lock(rule) => self.is_about(spoken, rule, item, Fit::Unknown).then_some((spoken, rule)),
            Action::Keep(_) | Action::Delete(_) | Action::Unlock(_) => None,
        })
    }

    fn is_unlocked(&self, item: &Lockable, attribute: usize) -> bool {
        self.rules.iter().any(|spoken| match spoken.action {
            Action::Unlock(rule) => spoken.acts && asks(rule, attribute, true) && self.is_about(spoken, rule, item, Fit::Yes),
            Action::Keep(_) | Action::Delete(_) | Action::Lock(_) => false,
        })
    }

    /// Whether the rule writes on the item: it chooses a tag, and is to be written on the tag or on what the tag points at.
    fn is_about(&self, spoken: &Spoken<'_>, rule: &LockRule, (digest, tag): &Lockable, at_least: Fit) -> bool {
        let is_meant = match tag {
            Some(_) => matches!(rule.on, LockTarget::Tag | LockTarget::Both),
            None => matches!(rule.on, LockTarget::Manifest | LockTarget::Both),
        };
        let chosen = |(place, own): (usize, &retaind::model::Tag)| {
            own.digest == *digest && tag.as_ref().is_none_or(|tag| own.name == *tag) && at_least <= spoken.tags[place]
        };
        is_meant && self.world.tags.iter().enumerate().any(chosen)
    }

    /// The acting policy's rules that closed the attribute of the item, let go of what they close, and found nobody to touch it since.
    fn releasing(&self, (digest, tag): &Lockable, locks: Locks, attribute: usize) -> impl Iterator<Item = &str> {
        let acting = self.world.acting();
        let is_meant = move |mark: &Mark| *mark.policy == *acting.name && mark.digest == *digest && mark.tag == *tag;
        let ours = self.world.own_locks.iter().filter(move |own| is_meant(&own.mark) && own.left == locks);
        let closed = ours.filter(move |own| attributes(own.closed)[attribute] == Some(false));
        closed.filter_map(move |own| {
            let lets_go = |action: &Action| matches!(action, Action::Lock(rule) if rule.release);
            acting.rules.iter().find(|rule| rule.name == own.mark.rule && lets_go(&rule.action)).map(|rule| &*rule.name)
        })
    }
}

fn asks(rule: &LockRule, attribute: usize, to_be_open: bool) -> bool {
    attributes(rule.change)[attribute] == Some(to_be_open)
}
