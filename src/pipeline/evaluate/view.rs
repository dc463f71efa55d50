//! The repository as the rules see it: each rule's matches, each item's age, what each item says for itself.
//! Knows nothing of what other items do to it (see `reach`).

use jiff::{SignedDuration, Timestamp};

use crate::model::{Contents, Level, Manifest, OwnLock, References, Tag};
use crate::policy::{Action, Count, Delete, Rule, Selector, TagPattern};

use super::Question;
use super::graph::{Graph, Hold};
use super::reach::Fate;
use super::verdict::{BitSet, Reason, RuleRef, place};

/// A rule that has a say here: keep and lock rules of every policy, all rules of the acting one.
pub(super) struct Speaker<'a> {
    pub(super) reference: RuleRef,
    pub(super) rule: &'a Rule,
    /// The ordinary tags that it chooses; empty for rules on untagged manifests.
    pub(super) matches: BitSet,
}

/// When something was last updated, as far as it can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Unknown,
    Future,
    At(Timestamp),
}

pub(super) struct View<'a> {
    pub(super) contents: &'a Contents,
    pub(super) graph: Graph,
    pub(super) speakers: Vec<Speaker<'a>>,
    pub(super) keep_at_least: u32,
    /// Manifests with a tag that a lock rule chooses: held like locked ones, whether the lock is closed yet or not.
    lock_ruled: BitSet,
    /// Manifests that hold themselves, keep_at_least apart: asked often, found once.
    held: BitSet,
    question: Question<'a>,
    min_age: SignedDuration,
    has_delete_rule: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(question: &Question<'a>) -> Self {
        let graph = Graph::new(question.contents);
        let mut speakers = Vec::new();
        for (policy_place, policy) in (0_u16..).zip(question.policies) {
            let acting = usize::from(policy_place) == question.acting;
            for (rule_place, rule) in (0_u16..).zip(&policy.rules) {
                let speaks = match &rule.action {
                    Action::Keep(_) | Action::Lock(_) => true,
                    Action::Delete(_) | Action::Unlock(_) => acting,
                };
                if speaks {
                    let reference = RuleRef { policy: policy_place, rule: rule_place };
                    speakers.push(Speaker { reference, rule, matches: BitSet::new(question.contents.tags().len()) });
                }
            }
        }
        match_tags(question.contents, &graph, &mut speakers);
        let mut lock_ruled = BitSet::new(question.contents.manifests().len());
        for speaker in speakers.iter().filter(|speaker: &&Speaker<'_>| matches!(speaker.rule.action, Action::Lock(_))) {
            speaker.matches.iter().for_each(|tag| lock_ruled.insert(question.contents.owner_of(tag) as usize));
        }
        let acting = question.policies[question.acting];
        let mut view = Self {
            held: BitSet::new(question.contents.manifests().len()),
            lock_ruled,
            contents: question.contents,
            graph,
            speakers,
            // The most careful of all policies that name the repository: each of them promised it to somebody.
            keep_at_least: question.policies.iter().map(|policy| policy.limits.keep_at_least).max().unwrap_or(0),
            min_age: acting.limits.min_age,
            has_delete_rule: acting.rules.iter().any(|rule| matches!(rule.action, Action::Delete(_))),
            question: *question,
        };
        for manifest in view.places().filter(|manifest| view.holds_itself(*manifest)).collect::<Vec<_>>() {
            view.held.insert(manifest as usize);
        }
        view
    }

    /// The places of all manifests.
    pub(super) fn places(&self) -> std::ops::Range<u32> {
        0..place(self.contents.manifests().len())
    }

    pub(super) fn manifest(&self, manifest: u32) -> &'a Manifest {
        &self.contents.manifests()[manifest as usize]
    }

    pub(super) fn tag(&self, tag: u32) -> &'a Tag {
        &self.contents.tags()[tag as usize]
    }

    /// The tags of a manifest that are not companion tags.
    pub(super) fn ordinary_tags(&self, manifest: u32) -> impl Iterator<Item = u32> + '_ {
        self.contents.tags_of(manifest).filter(|tag| !self.graph.is_companion_tag(*tag))
    }

    fn has_ordinary_tag(&self, manifest: u32) -> bool {
        self.ordinary_tags(manifest).next().is_some()
    }

    /// Listed, but not there: it is set aside and blocks nothing.
    pub(super) fn is_ghost(&self, manifest: u32) -> bool {
        self.manifest(manifest).references == References::Ghost
    }

    /// An image is what has an ordinary tag, or what has no tag and nothing holds; children, referrers and companions are none on
    /// their own, and a companion whose subject is absent does not become one.
    pub(super) fn is_image(&self, manifest: u32) -> bool {
        let stands_alone = || self.contents.tags_of(manifest).is_empty() && self.graph.holders_of(manifest).is_empty();
        !self.is_ghost(manifest) && (self.has_ordinary_tag(manifest) || stands_alone())
    }

    /// An image without any tag: what `untagged` chooses.
    pub(super) fn is_untagged_image(&self, manifest: u32) -> bool {
        self.contents.tags_of(manifest).is_empty() && self.is_image(manifest)
    }

    fn moment(&self, updated_at: Option<Timestamp>) -> Moment {
        match updated_at {
            None => Moment::Unknown,
            Some(time) if self.question.now < time => Moment::Future,
            Some(time) => Moment::At(time),
        }
    }

    pub(super) fn manifest_moment(&self, manifest: u32) -> Moment {
        self.moment(self.manifest(manifest).updated_at)
    }

    /// A tag's age runs from the newer of its own and its manifest's update; when one of them is unknown, so is the age.
    pub(super) fn tag_moment(&self, tag: u32) -> Moment {
        let own = self.moment(self.tag(tag).updated_at);
        let manifest = self.manifest_moment(self.contents.owner_of(tag));
        match (own, manifest) {
            (Moment::At(own), Moment::At(manifest)) => Moment::At(own.max(manifest)),
            (Moment::Unknown, _) | (_, Moment::Unknown) => Moment::Unknown,
            (Moment::Future, _) | (_, Moment::Future) => Moment::Future,
        }
    }

    fn untagged_moment(&self, manifest: u32, delete: &Delete) -> Moment {
        match self.manifest_moment(manifest) {
            unknown @ (Moment::Unknown | Moment::Future) => unknown,
            Moment::At(_) => {
                self.moment(untagged_since(self.manifest(manifest), delete, self.question.observations.since, self.question.now))
            }
        }
    }

    /// Condemned means strictly older.
    fn is_older(&self, moment: Moment, age: SignedDuration) -> bool {
        match moment {
            Moment::At(time) => age < self.question.now.duration_since(time),
            Moment::Unknown | Moment::Future => false,
        }
    }

    fn age_reason(&self, moment: Moment) -> Option<Reason> {
        match moment {
            Moment::Unknown => Some(Reason::UnknownTime),
            Moment::Future => Some(Reason::FutureTime),
            Moment::At(time) => (self.question.now.duration_since(time) < self.min_age).then_some(Reason::TooYoung),
        }
    }

    /// What holds a manifest, with all its tags, on its own account.
    pub(super) fn hold_reasons(&self, manifest: u32, at_least: &BitSet, reasons: &mut Vec<Reason>) {
        reasons.extend(self.lock_levels(manifest).map(Reason::Locked));
        reasons.extend(self.lock_rules(manifest).map(Reason::LockRule));
        if self.is_ghost(manifest) {
            reasons.push(Reason::Ghost);
        }
        reasons.extend(self.age_reason(self.manifest_moment(manifest)));
        // An ordinary tag's time speaks for the tag; a companion tag has no verdict of its own, so it speaks for the manifest.
        let companions = self.contents.tags_of(manifest).filter(|tag| self.graph.is_companion_tag(*tag));
        let of_companions = companions.filter_map(|tag| self.age_reason(self.tag_moment(tag)));
        for reason in of_companions {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if at_least.contains(manifest as usize) {
            reasons.push(Reason::KeepAtLeast);
        }
    }

    pub(super) fn is_held(&self, manifest: u32, at_least: &BitSet) -> bool {
        self.held.contains(manifest as usize) || at_least.contains(manifest as usize)
    }

    fn holds_itself(&self, manifest: u32) -> bool {
        let young_companion = || {
            let companions = self.contents.tags_of(manifest).filter(|tag| self.graph.is_companion_tag(*tag));
            companions.map(|tag| self.tag_moment(tag)).any(|moment| self.age_reason(moment).is_some())
        };
        self.age_reason(self.manifest_moment(manifest)).is_some()
            || self.lock_ruled.contains(manifest as usize)
            || self.lock_levels(manifest).next().is_some()
            || self.is_ghost(manifest)
            || young_companion()
    }

    /// Any lock on the repository, the manifest or any of its tags holds the manifest and all its tags.
    fn lock_levels(&self, manifest: u32) -> impl Iterator<Item = Level> + '_ {
        let repository = self.question.repository_locks.protects().then_some(Level::Repository);
        let own = self.manifest(manifest).locks.protects().then_some(Level::Manifest);
        let tag = self.contents.tagged(manifest).iter().any(|tag| tag.locks.protects()).then_some(Level::Tag);
        [repository, own, tag].into_iter().flatten()
    }

    /// The lock rules that choose a tag of the manifest.
    fn lock_rules(&self, manifest: u32) -> impl Iterator<Item = RuleRef> + '_ {
        let locking = self.speakers.iter().filter(|speaker| matches!(speaker.rule.action, Action::Lock(_)));
        let chooses = move |speaker: &&Speaker<'_>| self.contents.tags_of(manifest).any(|tag| speaker.matches.contains(tag as usize));
        locking.filter(chooses).map(|speaker| speaker.reference)
    }

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
            let unconditional = match &speaker.rule.action {
                Action::Keep(keep) => keep.last.is_none(),
                Action::Lock(_) => true,
                Action::Delete(_) | Action::Unlock(_) => false,
            };
            if !unconditional {
                continue;
            }
            for tag in speaker.matches.iter() {
                slotless.insert(self.contents.owner_of(tag) as usize);
            }
            if matches!(selector_of(&speaker.rule.action), Selector::Untagged) {
                self.places().filter(|manifest| self.is_untagged_image(*manifest)).for_each(|manifest| slotless.insert(manifest as usize));
            }
        }
        slotless
    }

    /// The tags that a delete rule condemns and that nothing of their own or of their manifest's own keeps.
    pub(super) fn condemned_tags(&self, newest: &[BitSet], at_least: &BitSet) -> BitSet {
        let mut condemned = BitSet::new(self.contents.tags().len());
        for (speaker, newest) in self.speakers.iter().zip(newest) {
            if let Action::Delete(delete) = &speaker.rule.action {
                for tag in speaker.matches.iter().filter(|tag| self.delete_speaks(delete, newest, *tag).is_none()) {
                    condemned.insert(tag as usize);
                }
            }
        }
        for (speaker, newest) in self.speakers.iter().zip(newest) {
            match &speaker.rule.action {
                Action::Keep(keep) => {
                    let kept = if keep.last.is_some() { newest } else { &speaker.matches };
                    kept.iter().filter(|_| matches!(keep.selector, Selector::Tags(_))).for_each(|tag| condemned.remove(tag as usize));
                }
                Action::Lock(_) => speaker.matches.iter().for_each(|tag| condemned.remove(tag as usize)),
                Action::Delete(_) | Action::Unlock(_) => {}
            }
        }
        let spared: Vec<u32> = condemned
            .iter()
            .filter(|tag| self.age_reason(self.tag_moment(*tag)).is_some() || self.is_held(self.contents.owner_of(*tag), at_least))
            .collect();
        spared.into_iter().for_each(|tag| condemned.remove(tag as usize));
        condemned
    }

    /// Why a delete rule that chooses the tag does not condemn it; None: it does.
    fn delete_speaks(&self, delete: &Delete, newest: &BitSet, tag: u32) -> Option<DeleteSpared> {
        if delete.except_last.is_some() && newest.contains(tag as usize) {
            return Some(DeleteSpared::ExceptLast);
        }
        let young = delete.older_than.is_some_and(|age| !self.is_older(self.tag_moment(tag), age.duration()));
        young.then_some(DeleteSpared::NotYet)
    }

    fn untagged_speaks(&self, delete: &Delete, newest: &BitSet, manifest: u32) -> Option<DeleteSpared> {
        if delete.except_last.is_some() && newest.contains(manifest as usize) {
            return Some(DeleteSpared::ExceptLast);
        }
        let moment = self.untagged_moment(manifest, delete);
        if delete.older_than.is_some_and(|age| !self.is_older(moment, age.duration())) {
            return Some(DeleteSpared::NotYet);
        }
        // The age floor holds for this age too: else a rule without `older_than` would condemn the image that a tag has just left.
        self.age_reason(moment).map(DeleteSpared::Age)
    }

    /// Adds the delete rules that condemn the tag.
    pub(super) fn condemning_rules(&self, tag: u32, newest: &[BitSet], reasons: &mut Vec<Reason>) {
        for (speaker, newest) in self.speakers.iter().zip(newest) {
            if let Action::Delete(delete) = &speaker.rule.action
                && speaker.matches.contains(tag as usize)
                && self.delete_speaks(delete, newest, tag).is_none()
            {
                reasons.push(Reason::DeleteRule(speaker.reference));
            }
        }
    }

    /// Adds why the tag stays, as far as rules and its own state say so.
    pub(super) fn tag_keep_reasons(&self, tag: u32, newest: &[BitSet], reasons: &mut Vec<Reason>) {
        if self.tag(tag).locks.protects() {
            reasons.push(Reason::Locked(Level::Tag));
        }
        reasons.extend(self.age_reason(self.tag_moment(tag)));
        for (speaker, newest) in self.speakers.iter().zip(newest) {
            if !speaker.matches.contains(tag as usize) {
                continue;
            }
            let reason = match &speaker.rule.action {
                Action::Keep(keep) if keep.last.is_none() => Some(Reason::KeepRule(speaker.reference)),
                Action::Keep(_) => newest.contains(tag as usize).then_some(Reason::KeepLast(speaker.reference)),
                Action::Lock(_) => Some(Reason::LockRule(speaker.reference)),
                Action::Delete(delete) => self.delete_speaks(delete, newest, tag).map(|spared| spared.reason(speaker.reference)),
                Action::Unlock(_) => None,
            };
            reasons.extend(reason);
        }
    }

    /// Adds why an untagged image stays, as far as rules say so.
    pub(super) fn untagged_keep_reasons(&self, manifest: u32, newest: &[BitSet], reasons: &mut Vec<Reason>) {
        if !self.is_untagged_image(manifest) {
            return;
        }
        for (speaker, newest) in self.untagged_speakers(newest) {
            let reason = match &speaker.rule.action {
                Action::Keep(keep) if keep.last.is_none() => Some(Reason::KeepRule(speaker.reference)),
                Action::Keep(_) => newest.contains(manifest as usize).then_some(Reason::KeepLast(speaker.reference)),
                Action::Delete(delete) => self.untagged_speaks(delete, newest, manifest).map(|spared| spared.reason(speaker.reference)),
                Action::Lock(_) | Action::Unlock(_) => None,
            };
            reasons.extend(reason);
        }
    }

    /// Adds what condemns a manifest that no ordinary tag speaks for: delete rules on untagged images, or an earlier run that did not
    /// get to it.
    pub(super) fn untagged_condemning_reasons(&self, manifest: u32, newest: &[BitSet], reasons: &mut Vec<Reason>) {
        if self.is_untagged_image(manifest) {
            for (speaker, newest) in self.untagged_speakers(newest) {
                if let Action::Delete(delete) = &speaker.rule.action
                    && self.untagged_speaks(delete, newest, manifest).is_none()
                {
                    reasons.push(Reason::DeleteRule(speaker.reference));
                }
            }
        }
        if self.has_delete_rule && self.is_left_behind(manifest) {
            reasons.push(Reason::LeftBehind);
        }
    }

    /// Whether an earlier run deleted what needed the manifest (a child, a referrer, a companion with its companion tags), and nothing
    /// here needs or names it now.
    fn is_left_behind(&self, manifest: u32) -> bool {
        let item = self.manifest(manifest);
        let root_is_gone = item.left_behind_by.as_deref().is_some_and(|root| self.contents.find(*root).is_none());
        let stands_alone = !self.has_ordinary_tag(manifest) && self.graph.holders_of(manifest).is_empty();
        root_is_gone && stands_alone && item.references != References::Ghost
    }

    fn untagged_speakers<'s>(&'s self, newest: &'s [BitSet]) -> impl Iterator<Item = (&'s Speaker<'a>, &'s BitSet)> {
        let on_untagged = |speaker: &Speaker<'_>| matches!(selector_of(&speaker.rule.action), Selector::Untagged);
        self.speakers.iter().zip(newest).filter(move |(speaker, _)| on_untagged(speaker))
    }

    /// Whether the manifest is an untagged image that a keep rule keeps.
    pub(super) fn untagged_is_kept(&self, manifest: u32, newest: &[BitSet]) -> bool {
        let mut speakers = self.untagged_speakers(newest).filter(|_| self.is_untagged_image(manifest));
        speakers.any(|(speaker, newest)| match &speaker.rule.action {
            Action::Keep(keep) => keep.last.is_none() || newest.contains(manifest as usize),
            Action::Delete(_) | Action::Lock(_) | Action::Unlock(_) => false,
        })
    }

    /// The locks that rules of the acting policy closed and that ask to open them again, each with its rule.
    pub(super) fn own_locks(&self) -> impl Iterator<Item = (RuleRef, &'a OwnLock)> + '_ {
        let policy = self.question.policies[self.question.acting];
        let ours = self.question.observations.own_locks.iter().filter(|lock| lock.mark.policy == policy.name);
        ours.filter_map(|lock| {
            let (place, rule) = (0_u16..).zip(&policy.rules).find(|(_, rule)| rule.name == lock.mark.rule)?;
            let releases = matches!(&rule.action, Action::Lock(rule) if rule.release);
            let reference = RuleRef { policy: u16::try_from(self.question.acting).ok()?, rule: place };
            releases.then_some((reference, lock))
        })
    }

    /// Whether the rule belongs to the acting policy.
    pub(super) fn is_acting(&self, rule: RuleRef) -> bool {
        usize::from(rule.policy) == self.question.acting
    }

    /// Why a companion tag stays.
    pub(super) fn companion_reason(&self, tag: u32, fate: &Fate) -> Reason {
        let manifest = self.contents.owner_of(tag);
        let holders = self.graph.holders_of(manifest).iter();
        let subject = holders.filter(|end| end.hold == Hold::Companion).find(|end| fate.stays(end.manifest));
        subject.map_or(Reason::WithManifest, |end| Reason::CompanionOf(end.manifest))
    }
}

/// Since when an untagged manifest counts as untagged under this rule; None: its push time is not known.
///
/// From the first complete listing that saw it untagged, and never before its push; never seen before: now. With `adopt_backlog`, what
/// the repository's first listing found is as old as its push.
pub fn untagged_since(manifest: &Manifest, delete: &Delete, observed_since: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let (pushed, since) = (manifest.updated_at?, manifest.untagged_since);
    let is_backlog = since.is_none_or(|since| observed_since.is_none_or(|first| since <= first));
    if delete.adopt_backlog && is_backlog { Some(pushed) } else { Some(since.map_or(now, |since| since.max(pushed))) }
}

/// Why a delete rule does not condemn what it chooses.
enum DeleteSpared {
    ExceptLast,
    NotYet,
    /// Its age is below the floor, or not known.
    Age(Reason),
}

impl DeleteSpared {
    fn reason(self, rule: RuleRef) -> Reason {
        match self {
            Self::ExceptLast => Reason::ExceptLast(rule),
            Self::NotYet => Reason::NotYet(rule),
            Self::Age(reason) => reason,
        }
    }
}

pub(super) fn selector_of(action: &Action) -> &Selector {
    match action {
        Action::Keep(keep) => &keep.selector,
        Action::Delete(delete) => &delete.selector,
        Action::Lock(lock) | Action::Unlock(lock) => &lock.selector,
    }
}

pub(super) fn count_in(action: &Action) -> Option<&Count> {
    match action {
        Action::Keep(keep) => keep.last.as_ref(),
        Action::Delete(delete) => delete.except_last.as_ref(),
        Action::Lock(_) | Action::Unlock(_) => None,
    }
}

/// Matches every tag against every rule, tag by tag: each name is fetched from memory once, however many rules there are.
fn match_tags(contents: &Contents, graph: &Graph, speakers: &mut [Speaker<'_>]) {
    let mut on_tags: Vec<(&TagPattern, &mut BitSet)> = Vec::new();
    for Speaker { reference: _, rule, matches } in speakers {
        if let Selector::Tags(pattern) = selector_of(&rule.action) {
            on_tags.push((pattern, matches));
        }
    }
    for (place, tag) in (0_u32..).zip(contents.tags()).filter(|(place, _)| !graph.is_companion_tag(*place)) {
        for (pattern, matches) in &mut on_tags {
            if pattern.matches(tag.name.as_str()) {
                matches.insert(place as usize);
            }
        }
    }
}
