//! Which locks the acting policy closes or opens. Only what differs is written; where lock and unlock rules meet, lock wins.

use std::collections::BTreeMap;

use crate::model::{LockChange, Locks};
use crate::policy::{Action, LockTarget};

use super::select::Speaker;
use super::verdict::{RuleRef, Verdicts};
use super::view::View;

/// Something that carries a lock, by its place in the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockPlace {
    /// A manifest.
    Manifest(u32),
    /// A tag.
    Tag(u32),
}

/// A change to one item's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockDecision {
    /// On what.
    pub place: LockPlace,
    /// What changes; only attributes that differ from what is there.
    pub change: LockChange,
    /// The rules that ask for it.
    pub rules: Vec<RuleRef>,
}

#[derive(Default)]
struct Wish {
    /// What lock rules of any policy hold closed: it cannot be opened.
    held_closed: LockChange,
    /// What lock rules of the acting policy close: it is written.
    close: LockChange,
    open: LockChange,
    closing: Vec<RuleRef>,
    opening: Vec<RuleRef>,
}

pub(super) fn decide(view: &View<'_>, manifests: &Verdicts, tags: &Verdicts) -> Vec<LockDecision> {
    let mut wishes: BTreeMap<LockPlace, Wish> = BTreeMap::new();
    for speaker in &view.speakers {
        let (rule, closes) = match &speaker.rule.action {
            Action::Lock(rule) => (rule, true),
            Action::Unlock(rule) => (rule, false),
            Action::Keep(_) | Action::Delete(_) => continue,
        };
        for place in places(view, speaker, rule.on) {
            let wish = wishes.entry(place).or_default();
            if closes {
                merge(&mut wish.held_closed, rule.change);
                if view.is_acting(speaker.reference) {
                    merge(&mut wish.close, rule.change);
                    wish.closing.push(speaker.reference);
                }
            } else {
                merge(&mut wish.open, rule.change);
                wish.opening.push(speaker.reference);
            }
        }
    }
    let stays = |place: LockPlace| match place {
        LockPlace::Manifest(manifest) => !manifests.goes(manifest),
        LockPlace::Tag(tag) => !tags.goes(tag),
    };
    wishes.into_iter().filter(|(place, _)| stays(*place)).filter_map(|(place, wish)| wish.decide(view, place)).collect()
}

fn places<'v>(view: &'v View<'_>, speaker: &'v Speaker<'_>, on: LockTarget) -> impl Iterator<Item = LockPlace> + 'v {
    speaker.matches.tags.iter().flat_map(move |tag| {
        let tag_place = matches!(on, LockTarget::Tag | LockTarget::Both).then_some(LockPlace::Tag(tag));
        let manifest_place =
            matches!(on, LockTarget::Manifest | LockTarget::Both).then(|| LockPlace::Manifest(view.contents.owner_of(tag)));
        tag_place.into_iter().chain(manifest_place)
    })
}

fn merge(into: &mut LockChange, change: LockChange) {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    into.can_delete = can_delete.or(into.can_delete);
    into.can_write = can_write.or(into.can_write);
    into.can_read = can_read.or(into.can_read);
    into.can_list = can_list.or(into.can_list);
}

impl Wish {
    fn decide(self, view: &View<'_>, place: LockPlace) -> Option<LockDecision> {
        let current = match place {
            LockPlace::Manifest(manifest) => view.manifest(manifest).locks,
            LockPlace::Tag(tag) => view.tag(tag).locks,
        };
        let mut change = self.open;
        for ((wanted, held), close) in attributes_mut(&mut change).into_iter().zip(attributes(self.held_closed)).zip(attributes(self.close))
        {
            if held.is_some() {
                *wanted = close;
            }
        }
        for (wanted, is) in attributes_mut(&mut change).into_iter().zip(current_attributes(current)) {
            if *wanted == Some(is) {
                *wanted = None;
            }
        }
        let closes = attributes(change).contains(&Some(false));
        let opens = attributes(change).contains(&Some(true));
        let closing = self.closing.into_iter().filter(|_| closes);
        let rules = closing.chain(self.opening.into_iter().filter(|_| opens)).collect();
        (closes || opens).then_some(LockDecision { place, change, rules })
    }
}

fn attributes(change: LockChange) -> [Option<bool>; 4] {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    [can_delete, can_write, can_read, can_list]
}

fn attributes_mut(change: &mut LockChange) -> [&mut Option<bool>; 4] {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    [can_delete, can_write, can_read, can_list]
}

fn current_attributes(locks: Locks) -> [bool; 4] {
    let Locks { can_delete, can_write, can_read, can_list } = locks;
    [can_delete, can_write, can_read, can_list]
}
