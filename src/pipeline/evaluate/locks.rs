//! Which locks the acting policy closes or opens. Only what differs is written; where lock and unlock rules meet, lock wins.

use std::collections::BTreeMap;

use crate::model::{LockChange, Locks};
use crate::policy::{Action, LockRule, LockTarget};

use super::bit_set::place;
use super::select::{Item, Speaker};
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

/// Locks to close and open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockDecisions {
    /// By their places.
    pub decisions: Vec<LockDecision>,
    /// What asks for them, each combination once: a rule may lock a million tags.
    pub asked: Vec<AskedByRules>,
}

/// A change to one item's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockDecision {
    /// On what.
    pub place: LockPlace,
    /// What changes; only attributes that differ from what is there.
    pub change: LockChange,
    /// Who asks for it, by the place in [`LockDecisions::asked`].
    pub asked: u32,
}

/// The rules behind a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedByRules {
    /// The rules that ask for it.
    pub rules: Vec<RuleRef>,
    /// What each of those that are lock rules asks to be closed.
    pub closed_by: Vec<(RuleRef, LockChange)>,
    /// The lock rules whose own lock is opened, because they no longer ask for it.
    pub released_by: Vec<RuleRef>,
}

#[derive(Default)]
struct Wish {
    /// What lock rules of any policy hold closed: it cannot be opened.
    held_closed: LockChange,
    /// What lock rules of the acting policy close: it is written.
    close: LockChange,
    open: LockChange,
    closing: Vec<(RuleRef, LockChange)>,
    opening: Vec<RuleRef>,
    /// What rules closed that no longer ask for it, or still do: what is held closed is not opened.
    releasing: Vec<(RuleRef, LockChange)>,
}

pub(super) fn decide(view: &View<'_>, manifests: &Verdicts, tags: &Verdicts) -> LockDecisions {
    let mut released: BTreeMap<LockPlace, Vec<(RuleRef, LockChange)>> = BTreeMap::new();
    for (place, rule, opened) in releases(view) {
        released.entry(place).or_default().push((rule, opened));
    }
    let speakers = || view.speakers.iter().filter(|speaker| lock_rule(speaker).is_some());
    if released.is_empty() && speakers().next().is_none() {
        return LockDecisions::default();
    }
    let mut decided = LockDecisions::default();
    let mut known: BTreeMap<AskedByRules, u32> = BTreeMap::new();
    let manifests = view.places().filter(|manifest| !manifests.goes(*manifest)).map(LockPlace::Manifest);
    let tags = (0..place(view.contents.tags().len())).filter(|tag| !tags.goes(*tag)).map(LockPlace::Tag);
    for place in manifests.chain(tags) {
        let mut wish = Wish { releasing: released.remove(&place).unwrap_or_default(), ..Wish::default() };
        speakers().filter(|speaker| speaks_of(view, speaker, place)).for_each(|speaker| wish.hear(view, speaker));
        let Some((change, asked)) = wish.decide(locks_at(view, place)) else { continue };
        let next = self::place(decided.asked.len());
        let asked = *known.entry(asked).or_insert_with_key(|asked| {
            decided.asked.push(asked.clone());
            next
        });
        decided.decisions.push(LockDecision { place, change, asked });
    }
    decided
}

/// A lock or unlock rule, and whether it closes.
fn lock_rule<'a>(speaker: &Speaker<'a>) -> Option<(&'a LockRule, bool)> {
    match &speaker.rule.action {
        Action::Lock(rule) => Some((rule, true)),
        Action::Unlock(rule) => Some((rule, false)),
        Action::Keep(_) | Action::Delete(_) => None,
    }
}

/// Whether a lock or unlock rule writes on this.
fn speaks_of(view: &View<'_>, speaker: &Speaker<'_>, place: LockPlace) -> bool {
    let Some((rule, _)) = lock_rule(speaker) else { return false };
    match (place, rule.on) {
        (LockPlace::Tag(tag), LockTarget::Tag | LockTarget::Both) => speaker.matches.contains(Item::Tag(tag)),
        (LockPlace::Manifest(manifest), LockTarget::Manifest | LockTarget::Both) => {
            view.contents.tags_of(manifest).any(|tag| speaker.matches.contains(Item::Tag(tag)))
        }
        (LockPlace::Tag(_), LockTarget::Manifest) | (LockPlace::Manifest(_), LockTarget::Tag) => false,
    }
}

/// What the acting policy's rules with `release` closed and nobody changed since, each with what opening it would set.
fn releases<'v>(view: &'v View<'_>) -> impl Iterator<Item = (LockPlace, RuleRef, LockChange)> + 'v {
    view.own_locks().filter_map(|(reference, lock)| {
        let manifest = view.contents.find(lock.mark.digest)?;
        let place = match &lock.mark.tag {
            None => LockPlace::Manifest(manifest),
            Some(name) => LockPlace::Tag(view.contents.tags_of(manifest).find(|tag| view.tag(*tag).name == *name)?),
        };
        let LockChange { can_delete, can_write, can_read, can_list } = lock.closed;
        let open = |closed: Option<bool>| closed.map(|_| true);
        let opened =
            LockChange { can_delete: open(can_delete), can_write: open(can_write), can_read: open(can_read), can_list: open(can_list) };
        (locks_at(view, place) == lock.left).then_some((place, reference, opened))
    })
}

fn locks_at(view: &View<'_>, place: LockPlace) -> Locks {
    match place {
        LockPlace::Manifest(manifest) => view.manifest(manifest).locks,
        LockPlace::Tag(tag) => view.tag(tag).locks,
    }
}

fn merge(into: &mut LockChange, change: LockChange) {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    into.can_delete = can_delete.or(into.can_delete);
    into.can_write = can_write.or(into.can_write);
    into.can_read = can_read.or(into.can_read);
    into.can_list = can_list.or(into.can_list);
}

impl Wish {
    fn hear(&mut self, view: &View<'_>, speaker: &Speaker<'_>) {
        let Some((rule, closes)) = lock_rule(speaker) else { return };
        if !closes {
            merge(&mut self.open, rule.change);
            self.opening.push(speaker.reference);
            return;
        }
        merge(&mut self.held_closed, rule.change);
        if view.is_acting(speaker.reference) {
            merge(&mut self.close, rule.change);
            self.closing.push((speaker.reference, rule.change));
        }
    }

    fn decide(self, current: Locks) -> Option<(LockChange, AskedByRules)> {
        let mut change = self.open;
        self.releasing.iter().for_each(|(_, opened)| merge(&mut change, *opened));
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
        let closed_by: Vec<(RuleRef, LockChange)> = self.closing.into_iter().filter(|_| closes).collect();
        let opening = self.opening.into_iter().filter(|_| opens);
        let rules = closed_by.iter().map(|(rule, _)| *rule).chain(opening).collect();
        let released_by = self.releasing.into_iter().filter(|(_, opened)| shares(*opened, change)).map(|(rule, _)| rule).collect();
        let closed_by = closed_by.into_iter().map(|(rule, asked)| (rule, both(asked, change))).collect();
        (closes || opens).then_some((change, AskedByRules { rules, closed_by, released_by }))
    }
}

/// What two changes set alike.
fn both(one: LockChange, other: LockChange) -> LockChange {
    let mut both = one;
    for (attribute, other) in attributes_mut(&mut both).into_iter().zip(attributes(other)) {
        *attribute = attribute.filter(|value| other == Some(*value));
    }
    both
}

fn shares(one: LockChange, other: LockChange) -> bool {
    attributes(both(one, other)).iter().any(Option::is_some)
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
