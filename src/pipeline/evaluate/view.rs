//! The repository as the rules see it: what is an image, each item's age, what each item says for itself.
//! Knows nothing of what other items do to it (see `reach`), nor of what rules say (see `speak`).

use jiff::{SignedDuration, Timestamp};

use crate::model::{Contents, Level, Manifest, Mark, OwnLock, References, Tag};
use crate::policy::Action;

use super::Question;
use super::bit_set::{BitSet, place};
use super::graph::{Graph, Hold};
use super::reach::Fate;
use super::select::{self, Item, Speaker};
use super::verdict::{Reason, RuleRef};

/// When something was last updated, as far as it can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Unknown,
    Future,
    At(Timestamp),
}

impl Moment {
    /// The newer of two; not known when one of them is not.
    pub(super) fn newer(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(one), Self::At(other)) => Self::At(one.max(other)),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Future, _) | (_, Self::Future) => Self::Future,
        }
    }
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
    pub(super) has_delete_rule: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(question: &Question<'a>) -> Self {
        let acting = question.policies[question.acting];
        let mut view = Self {
            contents: question.contents,
            graph: Graph::new(question.contents),
            speakers: Vec::new(),
            // The most careful of all policies that name the repository: each of them promised it to somebody.
            keep_at_least: question.policies.iter().map(|policy| policy.limits.keep_at_least).max().unwrap_or(0),
            lock_ruled: BitSet::new(question.contents.manifests().len()),
            held: BitSet::none(),
            question: *question,
            min_age: acting.limits.min_age,
            has_delete_rule: acting.rules.iter().any(|rule| matches!(rule.action, Action::Delete(_))),
        };
        view.speakers = select::speakers(&view, question);
        for speaker in view.speakers.iter().filter(|speaker| matches!(speaker.rule.action, Action::Lock(_))) {
            speaker.matches.tags.iter().for_each(|tag| view.lock_ruled.insert(question.contents.owner_of(tag) as usize));
        }
        let mut held = BitSet::new(question.contents.manifests().len());
        view.places().filter(|manifest| view.holds_itself(*manifest)).for_each(|manifest| held.insert(manifest as usize));
        view.held = held;
        view
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.question.now
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

    /// An image is what has an ordinary tag, or what has no tag, names no subject, and nothing holds; children, referrers and companions
    /// are none on their own, and a referrer or companion whose subject is absent does not become one.
    pub(super) fn is_image(&self, manifest: u32) -> bool {
        let is_free = || self.manifest(manifest).references.subject().is_none() && self.graph.holders_of(manifest).is_empty();
        let stands_alone = || self.contents.tags_of(manifest).is_empty() && is_free();
        !self.is_ghost(manifest) && (self.has_ordinary_tag(manifest) || stands_alone())
    }

    /// The manifest that the item is, or that it names.
    pub(super) fn manifest_of(&self, item: Item) -> u32 {
        match item {
            Item::Tag(tag) => self.contents.owner_of(tag),
            Item::Bare(manifest) => manifest,
        }
    }

    /// What `orphaned` chooses: something that names a subject, by its document or by companion tags, of which none is there, and that
    /// nothing else holds or names. The complete listing says what is there: a ghost is listed.
    pub(super) fn is_orphan(&self, manifest: u32) -> bool {
        let by_tag = self.contents.tagged(manifest).iter().filter_map(|tag| tag.name.companion_subject());
        let mut subjects = by_tag.chain(self.manifest(manifest).references.subject()).peekable();
        let names_one = subjects.peek().is_some();
        names_one
            && subjects.all(|subject| self.contents.find(subject).is_none())
            && !self.has_ordinary_tag(manifest)
            && self.graph.holders_of(manifest).is_empty()
            && !self.is_ghost(manifest)
    }

    pub(super) fn is_untagged_orphan(&self, manifest: u32) -> bool {
        self.contents.tags_of(manifest).is_empty() && self.is_orphan(manifest)
    }

    /// An image without any tag: what `untagged` chooses.
    pub(super) fn is_untagged_image(&self, manifest: u32) -> bool {
        self.contents.tags_of(manifest).is_empty() && self.is_image(manifest)
    }

    fn moment(&self, time: Option<Timestamp>) -> Moment {
        match time {
            None => Moment::Unknown,
            Some(time) if self.question.now < time => Moment::Future,
            Some(time) => Moment::At(time),
        }
    }

    pub(super) fn manifest_moment(&self, manifest: u32) -> Moment {
        self.moment(self.manifest(manifest).updated_at.map(Timestamp::from))
    }

    /// A tag's age runs from the newer of its own and its manifest's update; when one of them is unknown, so is the age.
    pub(super) fn tag_moment(&self, tag: u32) -> Moment {
        let own = self.moment(self.tag(tag).updated_at.map(Timestamp::from));
        let manifest = self.manifest_moment(self.contents.owner_of(tag));
        own.newer(manifest)
    }

    /// From when on the item's age is reckoned.
    pub(super) fn item_moment(&self, item: Item, adopt_backlog: bool) -> Moment {
        let manifest = match item {
            Item::Tag(tag) => return self.tag_moment(tag),
            Item::Bare(manifest) => manifest,
        };
        // A companion tag tells when it was pushed, and while it is there the manifest is not untagged.
        if let Some(newest) = self.contents.tags_of(manifest).map(|tag| self.tag_moment(tag)).reduce(Moment::newer) {
            return newest;
        }
        match self.manifest_moment(manifest) {
            unknown @ (Moment::Unknown | Moment::Future) => unknown,
            Moment::At(_) => {
                self.moment(untagged_since(self.manifest(manifest), adopt_backlog, self.question.observations.since, self.question.now))
            }
        }
    }

    /// How long ago that was, as far as it is known.
    pub(super) fn age_of(&self, moment: Moment) -> Option<SignedDuration> {
        match moment {
            Moment::At(time) => Some(self.question.now.duration_since(time)),
            Moment::Unknown | Moment::Future => None,
        }
    }

    pub(super) fn age_reason(&self, moment: Moment) -> Option<Reason> {
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
    pub(super) fn lock_levels(&self, manifest: u32) -> impl Iterator<Item = Level> + '_ {
        let repository = self.question.repository_locks.protects().then_some(Level::Repository);
        let own = self.manifest(manifest).locks.protects().then_some(Level::Manifest);
        let tag = self.contents.tagged(manifest).iter().any(|tag| tag.locks.protects()).then_some(Level::Tag);
        [repository, own, tag].into_iter().flatten()
    }

    /// The lock rules that choose a tag of the manifest.
    fn lock_rules(&self, manifest: u32) -> impl Iterator<Item = RuleRef> + '_ {
        let locking = self.speakers.iter().filter(|speaker| matches!(speaker.rule.action, Action::Lock(_)));
        let chooses = move |speaker: &&Speaker<'_>| self.contents.tags_of(manifest).any(|tag| speaker.matches.contains(Item::Tag(tag)));
        locking.filter(chooses).map(|speaker| speaker.reference)
    }

    /// Whether an earlier run deleted what needed the manifest (a child, a referrer, a companion with its companion tags), and nothing
    /// here needs or names it now.
    pub(super) fn is_left_behind(&self, manifest: u32) -> bool {
        let item = self.manifest(manifest);
        let root_is_gone = item.left_behind_by.as_deref().is_some_and(|root| self.contents.find(*root).is_none());
        let stands_alone = !self.has_ordinary_tag(manifest) && self.graph.holders_of(manifest).is_empty();
        root_is_gone && stands_alone && item.references != References::Ghost
    }

    /// What a mark of this rule on this item would be.
    pub(super) fn mark(&self, rule: RuleRef, item: Item) -> Mark {
        let policy = self.question.policies[usize::from(rule.policy)];
        let (digest, tag) = match item {
            Item::Tag(tag) => (self.tag(tag).digest, Some(self.tag(tag).name.clone())),
            Item::Bare(manifest) => (self.manifest(manifest).digest, None),
        };
        Mark { policy: policy.name.clone(), rule: policy.rules[usize::from(rule.rule)].name.clone(), digest, tag }
    }

    /// Since when the mark stands; None: it does not.
    pub(super) fn condemned_since(&self, mark: &Mark) -> Option<Timestamp> {
        self.question.observations.condemned_since(mark)
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
pub fn untagged_since(manifest: &Manifest, adopt_backlog: bool, observed_since: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let (pushed, since) = (Timestamp::from(manifest.updated_at?), manifest.untagged_since.map(Timestamp::from));
    let is_backlog = since.is_none_or(|since| observed_since.is_none_or(|first| since <= first));
    if adopt_backlog && is_backlog { Some(pushed) } else { Some(since.map_or(now, |since| since.max(pushed))) }
}
