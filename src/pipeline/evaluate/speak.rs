//! What rules say about an item when their conditions are looked at: kept, condemned, or not yet. Knows nothing of what other items do
//! to it (see `reach`).

use jiff::SignedDuration;

use crate::model::{Level, Mark};
use crate::policy::{Action, Delete, Keep, KeepWhen};

use super::bit_set::BitSet;
use super::count;
use super::select::{Item, Items, Speaker};
use super::verdict::{Reason, RuleRef};
use super::view::{Moment, View};

/// What a rule's conditions choose among the items it is about.
pub(super) struct Spoken {
    /// For each condition of a keep rule, or for the `except_last` of a delete rule, what it counts in; nothing for ages.
    counted: Vec<Items>,
    /// What a keep rule keeps, for whatever of its reasons.
    kept: Items,
}

/// Hears every rule.
pub(super) fn hear(view: &View<'_>, slotless: &BitSet) -> Vec<Spoken> {
    view.speakers.iter().map(|speaker| Spoken::of(view, slotless, speaker)).collect()
}

impl Spoken {
    fn of(view: &View<'_>, slotless: &BitSet, speaker: &Speaker<'_>) -> Self {
        let counted = count::counted(view, slotless, speaker);
        let Action::Keep(keep) = &speaker.rule.action else { return Self { counted, kept: Items::none() } };
        let mut kept = Items::room(view.contents);
        let mut reasons = Vec::new();
        for item in speaker.matches.iter().chain(speaker.perhaps.iter()) {
            reasons.clear();
            view.keep_reasons(speaker, keep, &counted, item, &mut reasons);
            if !reasons.is_empty() {
                kept.insert(item);
            }
        }
        if keep.all_tags {
            // A tag of unknown time stays anyway, and may be the newest of all: nobody can say that the rule does not keep it.
            let unknown = speaker.matches.tags.iter().filter(|tag| !matches!(view.tag_moment(*tag), Moment::At(_)));
            let named: Vec<u32> = kept.tags.iter().chain(unknown).map(|tag| view.contents.owner_of(tag)).collect();
            for tag in named.into_iter().flat_map(|manifest| view.ordinary_tags(manifest)) {
                kept.insert(Item::Tag(tag));
            }
        }
        Self { counted, kept }
    }

    /// Whether a delete rule's `except_last` spares the item.
    fn excepts(&self, item: Item) -> bool {
        self.counted.iter().any(|counted| counted.contains(item))
    }
}

/// Why a delete rule does not condemn what it chooses.
enum Spared {
    ExceptLast,
    NotYet,
    NoLonger,
    /// Every other condition holds.
    Waits,
    /// Its age is below the floor, or not known.
    Age(Reason),
}

impl Spared {
    fn reason(self, rule: RuleRef) -> Reason {
        match self {
            Self::ExceptLast => Reason::ExceptLast(rule),
            Self::NotYet => Reason::NotYet(rule),
            Self::NoLonger => Reason::NoLonger(rule),
            Self::Waits => Reason::Waits(rule),
            Self::Age(reason) => reason,
        }
    }
}

impl View<'_> {
    /// Images that stay whatever is counted, and so use no slot of any count.
    pub(super) fn slotless_images(&self) -> BitSet {
        let mut slotless = BitSet::new(self.contents.manifests().len());
        for manifest in self.places() {
            let known = |moment| matches!(moment, Moment::At(_));
            let untimed = !known(self.manifest_moment(manifest)) || self.contents.tags_of(manifest).any(|tag| !known(self.tag_moment(tag)));
            if untimed || self.lock_levels(manifest).next().is_some() || self.is_ghost(manifest) {
                slotless.insert(manifest as usize);
            }
        }
        for speaker in &self.speakers {
            let (certain, perhaps) = match &speaker.rule.action {
                Action::Keep(keep) => (keep.when.is_empty(), true),
                Action::Lock(_) => (true, false),
                Action::Delete(_) | Action::Unlock(_) => (false, false),
            };
            let certain = speaker.matches.iter().filter(|_| certain);
            for item in certain.chain(speaker.perhaps.iter().filter(|_| perhaps)) {
                slotless.insert(self.manifest_of(item) as usize);
            }
        }
        slotless
    }

    /// The tags that a delete rule condemns and that nothing of their own or of their manifest's own keeps.
    pub(super) fn condemned_tags(&self, spoken: &[Spoken], at_least: &BitSet) -> BitSet {
        self.tags_that_go(spoken, at_least, |speaker, delete, spoken, item| self.delete_spares(speaker, delete, spoken, item).is_none())
    }

    /// What the acting policy's rules with a waiting time condemn now, however long they have done so: the marks that a run leaves.
    pub(super) fn marks(&self, spoken: &[Spoken], at_least: &BitSet) -> Vec<Mark> {
        let mut marks = Vec::new();
        // Made only where a rule waits.
        let mut tags: Option<BitSet> = None;
        for (speaker, spoken_here) in self.speakers.iter().zip(spoken) {
            let Action::Delete(delete @ Delete { condemned_for: Some(_), .. }) = &speaker.rule.action else { continue };
            let tags = tags.get_or_insert_with(|| {
                self.tags_that_go(spoken, at_least, |_, delete, spoken, item| self.conditions_spare(delete, spoken, item).is_none())
            });
            let condemned = speaker.matches.iter().filter(|item| self.conditions_spare(delete, spoken_here, *item).is_none());
            let condemned = condemned.filter(|item| match item {
                Item::Tag(tag) => tags.contains(*tag as usize),
                Item::Bare(manifest) => !self.is_held(*manifest, at_least) && !self.bare_is_kept(*manifest, spoken),
            });
            marks.extend(condemned.map(|item| self.mark(speaker.reference, item)));
        }
        marks.sort_unstable();
        marks
    }

    /// The tags that delete rules let go, as `condemns` says, and that nothing of their own or of their manifest's own keeps.
    fn tags_that_go(
        &self,
        spoken: &[Spoken],
        at_least: &BitSet,
        condemns: impl Fn(&Speaker<'_>, &Delete, &Spoken, Item) -> bool,
    ) -> BitSet {
        let mut condemned = BitSet::new(self.contents.tags().len());
        for (speaker, spoken) in self.speakers.iter().zip(spoken) {
            if let Action::Delete(delete) = &speaker.rule.action {
                for tag in speaker.matches.tags.iter().filter(|tag| condemns(speaker, delete, spoken, Item::Tag(*tag))) {
                    condemned.insert(tag as usize);
                }
            }
        }
        for (speaker, spoken) in self.speakers.iter().zip(spoken) {
            match &speaker.rule.action {
                Action::Keep(_) => spoken.kept.tags.iter().for_each(|tag| condemned.remove(tag as usize)),
                Action::Lock(_) => speaker.matches.tags.iter().for_each(|tag| condemned.remove(tag as usize)),
                Action::Delete(_) | Action::Unlock(_) => {}
            }
        }
        condemned.retain(|tag| self.age_reason(self.tag_moment(tag)).is_none() && !self.is_held(self.contents.owner_of(tag), at_least));
        condemned
    }

    /// Adds why a keep rule keeps an item by itself; `all_tags` aside.
    fn keep_reasons(&self, speaker: &Speaker<'_>, keep: &Keep, counted: &[Items], item: Item, reasons: &mut Vec<Reason>) {
        let rule = speaker.reference;
        if speaker.perhaps.contains(item) {
            reasons.push(Reason::Unclear(rule));
        }
        if !speaker.matches.contains(item) {
            return;
        }
        if keep.when.is_empty() {
            reasons.push(Reason::KeepRule(rule));
        }
        for (when, counted) in keep.when.iter().zip(counted) {
            let reason = match when {
                KeepWhen::Last(_) => counted.contains(item).then_some(Reason::KeepLast(rule)),
                KeepWhen::NewestOfEach { period, .. } => counted.contains(item).then_some(Reason::KeepPeriod(rule, *period)),
                KeepWhen::NewerThan(age) => {
                    let older = self.is_older(self.item_moment(item, false), age.duration());
                    (!older).then_some(Reason::KeepNewer(rule))
                }
            };
            reasons.extend(reason);
        }
    }

    /// Why a delete rule that chooses the item does not let it go; None: it does.
    fn delete_spares(&self, speaker: &Speaker<'_>, delete: &Delete, spoken: &Spoken, item: Item) -> Option<Spared> {
        let spared = self.conditions_spare(delete, spoken, item);
        let Some(wait) = delete.condemned_for.filter(|_| spared.is_none()) else { return spared };
        // A mark never counts from before the push: it may be of what was deleted and pushed again between two runs.
        let since = self.condemned_since(&self.mark(speaker.reference, item)).map_or(Moment::Unknown, Moment::At);
        let waited = self.is_older(since.newer(self.item_moment(item, delete.adopt_backlog)), wait.duration());
        (!waited).then_some(Spared::Waits)
    }

    /// Why the other conditions of a delete rule spare an item that it chooses; None: they hold.
    fn conditions_spare(&self, delete: &Delete, spoken: &Spoken, item: Item) -> Option<Spared> {
        if spoken.excepts(item) {
            return Some(Spared::ExceptLast);
        }
        let moment = self.item_moment(item, delete.adopt_backlog);
        if delete.older_than.is_some_and(|age| !self.is_older(moment, age.duration())) {
            return Some(Spared::NotYet);
        }
        if delete.newer_than.is_some_and(|age| !self.is_newer(moment, age.duration())) {
            return Some(Spared::NoLonger);
        }
        // The age floor holds for this age too: else a rule without `older_than` would condemn the image that a tag has just left.
        match item {
            Item::Tag(_) => None,
            Item::Bare(_) => self.age_reason(moment).map(Spared::Age),
        }
    }

    /// Condemned means strictly older.
    fn is_older(&self, moment: Moment, age: SignedDuration) -> bool {
        self.age_of(moment).is_some_and(|is| age < is)
    }

    fn is_newer(&self, moment: Moment, age: SignedDuration) -> bool {
        self.age_of(moment).is_some_and(|is| is < age)
    }

    /// Adds the delete rules that condemn the item.
    pub(super) fn condemning_rules(&self, item: Item, spoken: &[Spoken], reasons: &mut Vec<Reason>) {
        for (speaker, spoken) in self.speakers.iter().zip(spoken) {
            if let Action::Delete(delete) = &speaker.rule.action
                && speaker.matches.contains(item)
                && self.delete_spares(speaker, delete, spoken, item).is_none()
            {
                reasons.push(Reason::DeleteRule(speaker.reference));
            }
        }
    }

    /// Adds why the item stays, as far as rules say so.
    pub(super) fn rules_that_spare(&self, item: Item, spoken: &[Spoken], reasons: &mut Vec<Reason>) {
        for (speaker, spoken) in self.speakers.iter().zip(spoken) {
            let rule = speaker.reference;
            match &speaker.rule.action {
                Action::Keep(keep) if spoken.kept.contains(item) => {
                    let before = reasons.len();
                    self.keep_reasons(speaker, keep, &spoken.counted, item, reasons);
                    if reasons.len() == before {
                        reasons.push(Reason::KeepAllTags(rule));
                    }
                }
                Action::Lock(_) if matches!(item, Item::Tag(_)) && speaker.matches.contains(item) => reasons.push(Reason::LockRule(rule)),
                Action::Delete(_) if speaker.perhaps.contains(item) => reasons.push(Reason::Unclear(rule)),
                Action::Delete(delete) if speaker.matches.contains(item) => {
                    reasons.extend(self.delete_spares(speaker, delete, spoken, item).map(|spared| spared.reason(rule)));
                }
                Action::Keep(_) | Action::Lock(_) | Action::Delete(_) | Action::Unlock(_) => {}
            }
        }
    }

    /// Adds why the tag stays, as far as rules and its own state say so.
    pub(super) fn tag_keep_reasons(&self, tag: u32, spoken: &[Spoken], reasons: &mut Vec<Reason>) {
        if self.tag(tag).locks.protects() {
            reasons.push(Reason::Locked(Level::Tag));
        }
        reasons.extend(self.age_reason(self.tag_moment(tag)));
        self.rules_that_spare(Item::Tag(tag), spoken, reasons);
    }

    /// Adds what condemns a manifest that no ordinary tag speaks for: delete rules, or an earlier run that did not get to it.
    pub(super) fn bare_condemning_reasons(&self, manifest: u32, spoken: &[Spoken], reasons: &mut Vec<Reason>) {
        self.condemning_rules(Item::Bare(manifest), spoken, reasons);
        if self.has_delete_rule && self.is_left_behind(manifest) {
            reasons.push(Reason::LeftBehind);
        }
    }

    /// Whether a keep rule keeps the manifest, for which no ordinary tag speaks.
    pub(super) fn bare_is_kept(&self, manifest: u32, spoken: &[Spoken]) -> bool {
        spoken.iter().any(|spoken| spoken.kept.contains(Item::Bare(manifest)))
    }
}
