//! The retention semantics a second time, by brute force and from their description alone: slow, without a graph, without bits, for
//! repositories of a few manifests. Shares only the model, the policies and their patterns with the engine.

mod fits;
mod locks;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use retaind::model::{Condemned, Digest, Manifest, References, TagName};
use retaind::policy::{
    About, Action, Count, Delete, Grouping, Keep, KeepWhen, OrderBy, Period, Selector, TagPattern, natural_order, read_version,
};

use crate::worlds::World;

use fits::Fit;
use locks::{Lockable, Relocked};

/// What goes, and which locks change; everything else stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) manifests: BTreeSet<Digest>,
    pub(crate) tags: BTreeSet<TagName>,
    /// Tags that may go or stay: the description leaves room. They are condemned, on an image that stays anyhow and that something
    /// describes which also stays, though for others' sake.
    pub(crate) either: BTreeSet<TagName>,
    pub(crate) locks: BTreeMap<Lockable, Relocked>,
}

/// What the semantics say goes.
pub(crate) fn answer(world: &World) -> Answer {
    let oracle = Oracle::new(world);
    let condemned: Vec<bool> = oracle.each_tag(|tag| oracle.tag_is_condemned(tag));
    let held_whole: Vec<bool> = oracle.each_manifest(|manifest| oracle.is_held_whole(manifest));
    let own: Vec<bool> = oracle.each_manifest(|manifest| held_whole[manifest] || oracle.stays_on_its_own(manifest, &condemned));

    // What stays without being asked for by anything, so that it does not speak for its subject.
    let mut anchors = oracle.each_manifest(|manifest| own[manifest] || oracle.nothing_chooses(manifest));
    let goes = loop {
        let stays = oracle.staying(&anchors, &own, None);
        let goes = oracle.going(&stays);
        // Companions that name each other and that nothing else takes along: they stay, with all that they need.
        let forgotten: Vec<usize> = oracle.manifests().filter(|manifest| !stays[*manifest] && !goes[*manifest]).collect();
        if forgotten.is_empty() {
            break goes;
        }
        forgotten.into_iter().for_each(|manifest| anchors[manifest] = true);
    };

    let mut answer = Answer::default();
    for manifest in oracle.manifests().filter(|manifest| goes[*manifest]) {
        answer.manifests.insert(world.manifests[manifest].digest);
    }
    let as_subject: Vec<Whole> = oracle.each_manifest(|manifest| oracle.is_whole_as_subject(manifest, &anchors, &own));
    for (tag, condemned) in condemned.iter().enumerate() {
        let (owner, name) = (oracle.owner[tag], world.tags[tag].name.clone());
        if goes[owner] || *condemned && !held_whole[owner] && as_subject[owner] == Whole::No {
            answer.tags.insert(name);
        } else if *condemned && !held_whole[owner] && as_subject[owner] == Whole::Either {
            answer.either.insert(name);
        }
    }
    answer.locks = oracle.relocked(&answer);
    answer
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
    Either,
}

/// Answers questions about a world. What is asked again and again is looked up in tables, by place in the world's lists.
struct Oracle<'a> {
    world: &'a World,
    /// The manifest of each tag.
    owner: Vec<usize>,
    tags_of: Vec<Vec<usize>>,
    /// The subject that each tag names, if it is a companion's.
    companion_subject: Vec<Option<Digest>>,
    /// `holds[holder][held]`.
    holds: Vec<Vec<bool>>,
    rules: Vec<Spoken<'a>>,
    stays_without_a_slot: Vec<bool>,
    /// Whether `keep_at_least` holds the manifest.
    newest: Vec<bool>,
}

/// A rule of any policy, and what it is about.
struct Spoken<'a> {
    /// Whether its policy acts.
    acts: bool,
    policy: &'a str,
    name: &'a str,
    action: &'a Action,
    /// How each tag fits; [`Fit::No`] where the rule is not about it.
    tags: Vec<Fit>,
    /// How each manifest fits that a rule can choose by itself.
    bare: Vec<Fit>,
}

/// What a rule decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Tag(usize),
    /// A manifest without ordinary tags.
    Bare(usize),
}

impl Spoken<'_> {
    fn fit(&self, item: Item) -> Fit {
        match item {
            Item::Tag(tag) => self.tags[tag],
            Item::Bare(manifest) => self.bare[manifest],
        }
    }

    fn chooses(&self, item: Item) -> bool {
        self.fit(item) == Fit::Yes
    }
}

impl<'a> Oracle<'a> {
    fn new(world: &'a World) -> Self {
        let place = |digest: Digest| world.manifests.iter().position(|manifest| manifest.digest == digest);
        let owner: Vec<usize> = world.tags.iter().map(|tag| place(tag.digest).expect("a tag points at a listed manifest")).collect();
        let tags_of = |manifest| (0..owner.len()).filter(|tag| owner[*tag] == manifest).collect();
        let mut oracle = Self {
            world,
            tags_of: (0..world.manifests.len()).map(tags_of).collect(),
            owner,
            companion_subject: world.tags.iter().map(|tag| tag.name.companion_subject()).collect(),
            holds: Vec::new(),
            rules: Vec::new(),
            stays_without_a_slot: Vec::new(),
            newest: Vec::new(),
        };
        oracle.holds = oracle.each_manifest(|holder| oracle.each_manifest(|held| oracle.is_tied(holder, held)));
        for (place, policy) in world.policies.iter().enumerate() {
            for rule in &policy.rules {
                let selector = selector(&rule.action);
                let tags = oracle.each_tag(|tag| oracle.tag_fits(selector, tag));
                let bare = oracle.each_manifest(|manifest| oracle.bare_fits(&rule.action, manifest));
                let acts = place == world.acting;
                oracle.rules.push(Spoken { acts, policy: &policy.name, name: &rule.name, action: &rule.action, tags, bare });
            }
        }
        oracle.stays_without_a_slot = oracle.each_manifest(|manifest| oracle.stays_without_a_slot(manifest));
        oracle.newest = oracle.newest();
        oracle
    }

    // The repository: who is there, and who holds whom.

    fn manifests(&self) -> std::ops::Range<usize> {
        0..self.world.manifests.len()
    }

    fn each_manifest<T>(&self, what: impl Fn(usize) -> T) -> Vec<T> {
        self.manifests().map(what).collect()
    }

    fn each_tag<T>(&self, what: impl Fn(usize) -> T) -> Vec<T> {
        (0..self.world.tags.len()).map(what).collect()
    }

    fn find(&self, digest: Digest) -> Option<usize> {
        self.world.manifests.iter().position(|manifest| manifest.digest == digest)
    }

    fn tags_of(&self, manifest: usize) -> impl Iterator<Item = usize> + '_ {
        self.tags_of[manifest].iter().copied()
    }

    fn is_ordinary(&self, tag: usize) -> bool {
        self.companion_subject[tag].is_none()
    }

    fn ordinary_tags_of(&self, manifest: usize) -> impl Iterator<Item = usize> + '_ {
        self.tags_of(manifest).filter(|tag| self.is_ordinary(*tag))
    }

    fn is_ghost(&self, manifest: usize) -> bool {
        self.world.manifests[manifest].references == References::Ghost
    }

    fn is_child(&self, manifest: usize, index: usize) -> bool {
        manifest != index && self.world.manifests[index].references.children().contains(&self.world.manifests[manifest].digest)
    }

    fn is_referrer(&self, manifest: usize, subject: usize) -> bool {
        manifest != subject && self.world.manifests[manifest].references.subject() == Some(self.world.manifests[subject].digest)
    }

    fn is_companion(&self, manifest: usize, subject: usize) -> bool {
        let named = Some(self.world.manifests[subject].digest);
        manifest != subject && self.tags_of(manifest).any(|tag| self.companion_subject[tag] == named)
    }

    fn is_tied(&self, holder: usize, held: usize) -> bool {
        self.is_child(held, holder) || self.is_referrer(held, holder) || self.is_companion(held, holder)
    }

    fn is_held(&self, manifest: usize) -> bool {
        self.manifests().any(|holder| self.holds[holder][manifest])
    }

    /// What the selector `untagged` is about. What names a subject is no image, whether its subject is here or not.
    fn is_untagged_image(&self, manifest: usize) -> bool {
        let describes = self.world.manifests[manifest].references.subject().is_some();
        !self.is_ghost(manifest) && !describes && self.tags_of(manifest).next().is_none() && !self.is_held(manifest)
    }

    // Times.

    /// None: unknown, in the future included.
    fn known(&self, time: Option<Timestamp>) -> Option<Timestamp> {
        time.filter(|time| *time <= self.world.now)
    }

    fn manifest_time(&self, manifest: usize) -> Option<Timestamp> {
        self.known(self.world.manifests[manifest].updated_at.map(Timestamp::from))
    }

    fn tag_time(&self, tag: usize) -> Option<Timestamp> {
        let own = self.known(self.world.tags[tag].updated_at.map(Timestamp::from))?;
        Some(own.max(self.manifest_time(self.owner[tag])?))
    }

    fn is_beyond_the_floor(&self, time: Option<Timestamp>) -> bool {
        time.is_some_and(|time| self.world.acting().limits.min_age <= self.world.now.duration_since(time))
    }

    fn tag_is_old_enough(&self, tag: usize) -> bool {
        self.is_beyond_the_floor(self.tag_time(tag))
    }

    /// Whether one of its times is unknown, which keeps it.
    fn has_unknown_time(&self, manifest: usize) -> bool {
        self.manifest_time(manifest).is_none() || self.tags_of(manifest).any(|tag| self.tag_time(tag).is_none())
    }

    /// When the age of an untagged image began.
    fn untagged_time(&self, manifest: usize, adopt_backlog: bool) -> Timestamp {
        let Manifest { updated_at, untagged_since, .. } = &self.world.manifests[manifest];
        let (updated_at, untagged_since) = (updated_at.map(Timestamp::from), untagged_since.map(Timestamp::from));
        let pushed = updated_at.unwrap_or(self.world.now);
        let is_backlog = match (untagged_since, self.world.observed_since) {
            (None, _) | (_, None) => true,
            (Some(since), Some(observed_since)) => since <= observed_since,
        };
        if adopt_backlog && is_backlog { pushed } else { untagged_since.unwrap_or(self.world.now).max(pushed) }
    }

    // What protects without counting.

    fn is_locked(&self, manifest: usize) -> bool {
        self.world.repository_locks.protects()
            || self.world.manifests[manifest].locks.protects()
            || self.tags_of(manifest).any(|tag| self.world.tags[tag].locks.protects())
    }

    /// The keep rules of all policies.
    fn keep_rules(&self) -> impl Iterator<Item = (&'a Keep, &Spoken<'a>)> {
        self.rules.iter().filter_map(|rule| match rule.action {
            Action::Keep(keep) => Some((keep, rule)),
            Action::Delete(_) | Action::Lock(_) | Action::Unlock(_) => None,
        })
    }

    /// The delete rules of the acting policy.
    fn delete_rules(&self) -> impl Iterator<Item = (&'a Delete, &Spoken<'a>)> {
        self.rules.iter().filter_map(|rule| match rule.action {
            Action::Delete(delete) if rule.acts => Some((delete, rule)),
            Action::Delete(_) | Action::Keep(_) | Action::Lock(_) | Action::Unlock(_) => None,
        })
    }

    fn tag_fits(&self, selector: &Selector, tag: usize) -> Fit {
        let is_meant = match &selector.about {
            About::Tags(pattern) => pattern.matches(self.world.tags[tag].name.as_str()),
            About::Images => true,
            About::Untagged | About::Orphaned => false,
        };
        if is_meant && self.is_ordinary(tag) { self.fits(&selector.filters, self.owner[tag]) } else { Fit::No }
    }

    fn bare_fits(&self, action: &Action, manifest: usize) -> Fit {
        let selector = selector(action);
        // What keeps the untagged, or what fits filters, keeps orphans as well; what deletes them does not delete orphans.
        let is_kept = matches!(action, Action::Keep(_)) && self.is_orphan(manifest);
        let is_meant = match &selector.about {
            About::Untagged => self.is_untagged_image(manifest) || is_kept && self.tags_of(manifest).next().is_none(),
            About::Images => self.is_untagged_image(manifest) || is_kept,
            About::Orphaned => self.is_orphan(manifest),
            About::Tags(_) => false,
        };
        if is_meant { self.fits(&selector.filters, manifest) } else { Fit::No }
    }

    /// A referrer or companion of something that is not here, without an ordinary tag, that nothing here needs.
    fn is_orphan(&self, manifest: usize) -> bool {
        let named = self.tags_of(manifest).filter_map(|tag| self.companion_subject[tag]);
        let mut subjects = self.world.manifests[manifest].references.subject().into_iter().chain(named).peekable();
        let describes_what_is_missing = subjects.peek().is_some() && subjects.all(|subject| self.find(subject).is_none());
        !self.is_ghost(manifest) && describes_what_is_missing && self.ordinary_tags_of(manifest).next().is_none() && !self.is_held(manifest)
    }

    fn items_of(&self, manifest: usize) -> impl Iterator<Item = Item> + '_ {
        self.tags_of(manifest).map(Item::Tag).chain(std::iter::once(Item::Bare(manifest)))
    }

    fn manifest_of(&self, item: Item) -> usize {
        match item {
            Item::Tag(tag) => self.owner[tag],
            Item::Bare(manifest) => manifest,
        }
    }

    fn is_held_by_a_lock_rule(&self, manifest: usize) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule.action, Action::Lock(_)) && self.items_of(manifest).any(|item| rule.fit(item) != Fit::No))
    }

    /// Whether a keep rule without conditions chooses it, or one of which nobody can say whether it does.
    fn is_kept_always(&self, manifest: usize) -> bool {
        self.keep_rules().any(|(keep, rule)| {
            self.items_of(manifest).any(|item| match rule.fit(item) {
                Fit::No => false,
                Fit::Unknown => true,
                Fit::Yes => keep.when.is_empty(),
            })
        })
    }

    fn stays_without_a_slot(&self, manifest: usize) -> bool {
        self.is_ghost(manifest)
            || self.is_locked(manifest)
            || self.is_held_by_a_lock_rule(manifest)
            || self.has_unknown_time(manifest)
            || self.is_kept_always(manifest)
    }

    // Counting.

    /// Whether an item is one of those by which its image is among the newest. What uses no slot is no rival, and may be among them.
    fn is_counted_in(&self, count: &Count, rule: &Spoken<'_>, item: Item) -> bool {
        let pattern = match &selector(rule.action).about {
            About::Tags(pattern) => Some(pattern),
            About::Untagged | About::Orphaned | About::Images => None,
        };
        let is_counted = |item: &Item| rule.chooses(*item) && self.is_countable(rule, *item);
        if !is_counted(&item) {
            return false;
        }
        let group = |item: Item| match (item, pattern) {
            (Item::Tag(tag), Some(pattern)) => self.group(pattern, &count.per, tag),
            _ => Some(Vec::new()),
        };
        let Some(mine) = group(item) else { return false };
        let in_group = |other: &Item| is_counted(other) && group(*other).as_ref() == Some(&mine);
        let best = |manifest| self.items_of(manifest).filter(in_group).max_by(|left, right| self.rank(count.order_by, *left, *right));
        let manifest = self.manifest_of(item);
        let Some(own) = best(manifest) else { return false };
        let rivals = self.manifests().filter(|rival| *rival != manifest && !self.stays_without_a_slot[*rival]).filter_map(best);
        rivals.filter(|theirs| self.rank(count.order_by, own, *theirs).is_lt()).count() < slots(count)
    }

    /// Whether a count may count it: orphans only where they are what the rule is about.
    fn is_countable(&self, rule: &Spoken<'_>, item: Item) -> bool {
        let is_orphan = matches!(item, Item::Bare(manifest) if self.is_orphan(manifest));
        !is_orphan || matches!(selector(rule.action).about, About::Orphaned)
    }

    /// Whether its image is the newest of its period, and the period is among the last so many that have an image.
    fn is_newest_of(&self, (period, periods, zone): (Period, usize, &TimeZone), rule: &Spoken<'_>, item: Item) -> bool {
        let chosen = |item: &Item| rule.chooses(*item) && self.is_countable(rule, *item);
        if !chosen(&item) {
            return false;
        }
        let best = |manifest| self.items_of(manifest).filter(chosen).max_by(|left, right| self.rank(OrderBy::Time, *left, *right));
        let calendar = |item: Item| {
            let date = self.item_time(item)?.to_zoned(zone.clone()).date();
            let week = date.iso_week_date();
            Some(match period {
                Period::Day => (date.year(), i16::from(date.month()), date.day()),
                Period::Week => (week.year(), i16::from(week.week()), 0),
                Period::Month => (date.year(), i16::from(date.month()), 0),
                Period::Year => (date.year(), 0, 0),
            })
        };
        let manifest = self.manifest_of(item);
        let Some(own) = best(manifest) else { return false };
        let Some(mine) = calendar(own) else { return false };
        let rivals: Vec<Item> =
            self.manifests().filter(|rival| *rival != manifest && !self.stays_without_a_slot[*rival]).filter_map(best).collect();
        let is_newest = !rivals.iter().any(|rival| calendar(*rival) == Some(mine) && self.rank(OrderBy::Time, own, *rival).is_lt());
        let later: BTreeSet<_> = rivals.iter().filter_map(|rival| calendar(*rival)).filter(|theirs| mine < *theirs).collect();
        is_newest && later.len() < periods
    }

    /// Of items of the same time those with a tag come first.
    fn rank(&self, order_by: OrderBy, left: Item, right: Item) -> Ordering {
        let name = |item: Item| match item {
            Item::Tag(tag) => Some(self.world.tags[tag].name.as_str()),
            Item::Bare(_) => None,
        };
        let digest = |item: Item| self.world.manifests[self.manifest_of(item)].digest;
        let by_name = || match (name(left), name(right)) {
            (Some(left), Some(right)) => natural_order(left, right),
            (None, None) => digest(left).cmp(&digest(right)),
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        match order_by {
            OrderBy::Time => self.item_time(left).cmp(&self.item_time(right)).then_with(by_name),
            OrderBy::Version => name(left).and_then(read_version).cmp(&name(right).and_then(read_version)).then_with(by_name),
        }
    }

    /// What it ranks by: an orphan with a companion tag is as new as its newest push.
    fn item_time(&self, item: Item) -> Option<Timestamp> {
        match item {
            Item::Tag(tag) => self.tag_time(tag),
            Item::Bare(manifest) => {
                let own = self.manifest_time(manifest)?;
                self.tags_of(manifest).try_fold(own, |newest, tag| Some(newest.max(self.tag_time(tag)?)))
            }
        }
    }

    /// When its age began.
    fn item_since(&self, item: Item, adopt_backlog: bool) -> Option<Timestamp> {
        match item {
            Item::Bare(manifest) if self.tags_of(manifest).next().is_none() => Some(self.untagged_time(manifest, adopt_backlog)),
            Item::Bare(_) | Item::Tag(_) => self.item_time(item),
        }
    }

    fn group(&self, pattern: &TagPattern, per: &Grouping, tag: usize) -> Option<Vec<String>> {
        let name = self.world.tags[tag].name.as_str();
        match per {
            Grouping::All => Some(Vec::new()),
            Grouping::Major => read_version(name).map(|version| vec![version.major.to_string()]),
            Grouping::Minor => read_version(name).map(|version| vec![version.major.to_string(), version.minor.to_string()]),
            Grouping::Captures(names) => Some(pattern.captures(name, names)?.into_iter().map(String::from).collect()),
        }
    }

    /// The newest images of the repository, as many as the most careful policy wants to survive.
    fn newest(&self) -> Vec<bool> {
        let wanted = self.world.policies.iter().map(|policy| policy.limits.keep_at_least).max().unwrap_or(0) as usize;
        let is_image = |manifest: usize| self.ordinary_tags_of(manifest).next().is_some() || self.is_untagged_image(manifest);
        // Of images of the same time the tagged ones come first.
        let rank = |manifest: usize| -> Option<(Timestamp, Option<&str>, Digest)> {
            let digest = self.world.manifests[manifest].digest;
            let tags = self.ordinary_tags_of(manifest);
            let tags = tags.filter_map(|tag| Some((self.tag_time(tag)?, Some(self.world.tags[tag].name.as_str()), digest)));
            tags.max_by(newer_and_larger).or_else(|| Some((self.manifest_time(manifest)?, None, digest)))
        };
        let images = self.manifests().filter(|manifest| !self.is_ghost(*manifest) && is_image(*manifest));
        let mut ranked: Vec<_> = images.filter_map(|manifest| Some((rank(manifest)?, manifest))).collect();
        ranked.sort_by(|(left, _), (right, _)| newer_and_larger(right, left));
        let kept: BTreeSet<usize> = ranked.into_iter().take(wanted).map(|(_, manifest)| manifest).collect();
        self.each_manifest(|manifest| kept.contains(&manifest))
    }

    // Verdicts on single items.

    /// Whether the digest stays with all its tags, by itself.
    fn is_held_whole(&self, manifest: usize) -> bool {
        let is_fresh = |tag: usize| !self.is_ordinary(tag) && !self.tag_is_old_enough(tag);
        self.is_locked(manifest)
            || self.is_held_by_a_lock_rule(manifest)
            || self.newest[manifest]
            || self.is_ghost(manifest)
            || self.tags_of(manifest).any(is_fresh)
    }

    fn tag_is_condemned(&self, tag: usize) -> bool {
        let is_kept = self.keep_rules().any(|(keep, rule)| {
            let tags = if keep.all_tags { self.tags_of(self.owner[tag]).collect() } else { vec![tag] };
            // A tag of unknown time may be the newest of all.
            let may_be_kept = |tag| rule.chooses(Item::Tag(tag)) && self.tag_time(tag).is_none();
            self.is_ordinary(tag) && tags.into_iter().any(|tag| may_be_kept(tag) || self.is_kept_by(keep, rule, Item::Tag(tag)))
        });
        self.is_deleted(Item::Tag(tag)) && !is_kept && self.tag_is_old_enough(tag)
    }

    fn is_kept_by(&self, keep: &Keep, rule: &Spoken<'_>, item: Item) -> bool {
        let holds = |when: &KeepWhen| match when {
            KeepWhen::Last(count) => self.is_counted_in(count, rule, item),
            KeepWhen::NewerThan(age) => {
                self.item_since(item, false).is_none_or(|since| self.world.now.duration_since(since) <= age.duration())
            }
            KeepWhen::NewestOfEach { period, periods, zone } => self.is_newest_of((*period, periods.get() as usize, zone), rule, item),
        };
        match rule.fit(item) {
            Fit::No => false,
            Fit::Unknown => true,
            Fit::Yes => keep.when.is_empty() || keep.when.iter().any(holds),
        }
    }

    /// Whether all conditions of a delete rule hold.
    fn is_deleted(&self, item: Item) -> bool {
        self.delete_rules().any(|(delete, rule)| {
            let Some(since) = self.item_since(item, delete.adopt_backlog) else { return false };
            let age = self.world.now.duration_since(since);
            rule.chooses(item)
                && self.world.acting().limits.min_age <= age
                && delete.older_than.is_none_or(|older_than| older_than.duration() < age)
                && delete.newer_than.is_none_or(|newer_than| age < newer_than.duration())
                && delete.except_last.as_ref().is_none_or(|count| !self.is_counted_in(count, rule, item))
                && delete.condemned_for.is_none_or(|wait| self.has_waited(wait.duration(), since, rule, item))
        })
    }

    /// Whether the rule has condemned it for longer than that, and for so long since its push.
    fn has_waited(&self, wait: SignedDuration, since: Timestamp, rule: &Spoken<'_>, item: Item) -> bool {
        let digest = self.world.manifests[self.manifest_of(item)].digest;
        let tag = match item {
            Item::Tag(tag) => Some(&self.world.tags[tag].name),
            Item::Bare(_) => None,
        };
        let is_meant = |known: &&Condemned| {
            let mark = &known.mark;
            *mark.policy == *rule.policy && *mark.rule == *rule.name && mark.digest == digest && mark.tag.as_ref() == tag
        };
        let mark = self.world.condemned.iter().find(is_meant);
        mark.is_some_and(|mark| wait < self.world.now.duration_since(mark.since.max(since)))
    }

    /// Of an untagged image or an orphan.
    fn bare_is_condemned(&self, manifest: usize) -> bool {
        let item = Item::Bare(manifest);
        let is_kept = self.keep_rules().any(|(keep, rule)| self.is_kept_by(keep, rule, item));
        !is_kept && (self.is_deleted(item) || self.is_left_behind(manifest))
    }

    /// Whether an earlier run deleted what needed it, and it would have gone along.
    fn is_left_behind(&self, manifest: usize) -> bool {
        let root_is_gone = self.world.manifests[manifest].left_behind_by.as_deref().is_some_and(|root| self.find(*root).is_none());
        root_is_gone && self.delete_rules().next().is_some()
    }

    /// Whether the manifest stays by what it is and by its own tags, whatever becomes of the others.
    fn stays_on_its_own(&self, manifest: usize, condemned: &[bool]) -> bool {
        if !self.is_beyond_the_floor(self.manifest_time(manifest)) {
            return true;
        }
        if self.ordinary_tags_of(manifest).any(|tag| !condemned[tag]) {
            return true;
        }
        self.is_untagged_image(manifest) && !self.bare_is_condemned(manifest)
            || self.is_orphan(manifest) && self.is_kept_as_orphan(manifest)
    }

    fn is_kept_as_orphan(&self, manifest: usize) -> bool {
        self.keep_rules().any(|(keep, rule)| self.is_kept_by(keep, rule, Item::Bare(manifest)))
    }

    /// A referrer or companion of something that is not here, and no rule condemns it.
    fn nothing_chooses(&self, manifest: usize) -> bool {
        self.describes_and_is_alone(manifest) && !self.bare_is_condemned(manifest)
    }

    fn describes_and_is_alone(&self, manifest: usize) -> bool {
        let describes = self.tags_of(manifest).next().is_some() || self.world.manifests[manifest].references.subject().is_some();
        describes && self.ordinary_tags_of(manifest).next().is_none() && !self.is_held(manifest)
    }

    // Reachability.

    /// Everything that stays because of `anchors`. With `but`, as if that manifest were not one of those that stay.
    fn staying(&self, anchors: &[bool], own: &[bool], but: Option<usize>) -> Vec<bool> {
        let mut stays = anchors.to_vec();
        loop {
            let before = stays.clone();
            for staying in self.manifests().filter(|manifest| before[*manifest] && Some(*manifest) != but) {
                for other in self.manifests() {
                    stays[other] |= self.holds[staying][other] || self.speaks_for(staying, other, own);
                }
            }
            if stays == before {
                return stays;
            }
        }
    }

    /// Whether what stays keeps its subject: a referrer would go with it; a companion has to stay on its own account.
    fn speaks_for(&self, staying: usize, subject: usize, own: &[bool]) -> bool {
        self.is_referrer(staying, subject) || self.is_companion(staying, subject) && own[staying] && !self.is_ghost(staying)
    }

    /// Whether a referrer or companion keeps the manifest, and with it all its tags: one that would stay even if the manifest did not.
    fn is_whole_as_subject(&self, manifest: usize, anchors: &[bool], own: &[bool]) -> Whole {
        let stays = self.staying(anchors, own, Some(manifest));
        let others = || self.manifests().filter(|other| *other != manifest && stays[*other]);
        let speakers: Vec<usize> = others().filter(|other| self.speaks_for(*other, manifest, own)).collect();
        let stays_anyhow = anchors[manifest] || others().any(|other| self.holds[other][manifest]);
        // Two that hold each other up look, from outside, like one that stays anyway: keeping the tags is then right as well.
        let all = self.staying(anchors, own, None);
        let is_held_up = |referrer: usize| {
            let others = || self.manifests().filter(|other| *other != manifest && *other != referrer && all[*other]);
            let by_itself = self.is_companion(manifest, referrer) && own[manifest];
            by_itself || others().any(|other| self.holds[other][referrer] || self.is_referrer(other, referrer))
        };
        let mut referrers = self.manifests().filter(|other| *other != manifest && all[*other] && self.is_referrer(*other, manifest));
        if speakers.is_empty() {
            if referrers.any(is_held_up) { Whole::Either } else { Whole::No }
        } else if stays_anyhow && !speakers.iter().any(|speaker| own[*speaker]) {
            Whole::Either
        } else {
            Whole::Yes
        }
    }

    /// What goes: condemned images, and what they take along.
    fn going(&self, stays: &[bool]) -> Vec<bool> {
        let is_root = |manifest: usize| {
            let describes_alone = self.describes_and_is_alone(manifest) && !self.is_ghost(manifest);
            self.ordinary_tags_of(manifest).next().is_some() || self.is_untagged_image(manifest) || describes_alone
        };
        let mut goes = self.each_manifest(|manifest| !stays[manifest] && is_root(manifest));
        loop {
            let before = goes.clone();
            for going in self.manifests().filter(|manifest| before[*manifest]) {
                for other in self.manifests() {
                    goes[other] |= !stays[other] && self.holds[going][other];
                }
            }
            if goes == before {
                return goes;
            }
        }
    }
}

/// By time, then the larger name, then the larger digest.
fn newer_and_larger(left: &(Timestamp, Option<&str>, Digest), right: &(Timestamp, Option<&str>, Digest)) -> Ordering {
    let by_name = match (left.1, right.1) {
        (Some(left), Some(right)) => natural_order(left, right),
        (left, right) => left.is_some().cmp(&right.is_some()),
    };
    left.0.cmp(&right.0).then(by_name).then(left.2.cmp(&right.2))
}

fn selector(action: &Action) -> &Selector {
    match action {
        Action::Keep(keep) => &keep.selector,
        Action::Delete(delete) => &delete.selector,
        Action::Lock(rule) | Action::Unlock(rule) => &rule.selector,
    }
}

fn slots(count: &Count) -> usize {
    count.images.get() as usize
}

mod agreement {
    use std::collections::BTreeMap;

    use retaind::model::Contents;
    use retaind::pipeline::evaluate::{AskedByRules, Evaluation, LockDecision, LockPlace, RuleRef, evaluate};

    use crate::worlds::{Language, World, for_many_worlds, for_many_worlds_in, short, short_tag};

    use super::locks::{Lockable, Relocked, attributes};
    use super::{Answer, answer};

    /// The locks that the engine changes.
    fn relocked(world: &World, contents: &Contents, evaluation: &Evaluation) -> BTreeMap<Lockable, Relocked> {
        let name = |rule: &RuleRef| {
            assert_eq!(usize::from(rule.policy), world.acting, "only the acting policy writes locks");
            world.acting().rules[usize::from(rule.rule)].name.to_string()
        };
        let each = |decision: &LockDecision| {
            let LockDecision { place, change, asked } = decision;
            let AskedByRules { rules: _, closed_by, released_by } = &evaluation.locks.asked[*asked as usize];
            let item = match *place {
                LockPlace::Manifest(manifest) => (contents.manifests()[manifest as usize].digest, None),
                LockPlace::Tag(tag) => (contents.tags()[tag as usize].digest, Some(contents.tags()[tag as usize].name.clone())),
            };
            let closed =
                closed_by.iter().flat_map(|(rule, change)| attributes(*change).map(|set| (name(rule), set)).into_iter().enumerate());
            let closed = closed.filter(|(_, (_, set))| *set == Some(false)).map(|(attribute, (rule, _))| (rule, attribute));
            let released_by = released_by.iter().map(name).collect();
            (item, Relocked { set: attributes(*change), closed_by: closed.collect(), released_by })
        };
        evaluation.locks.decisions.iter().map(each).collect()
    }

    /// What the engine says.
    fn engine(world: &World) -> Answer {
        let contents = world.contents();
        let evaluation = world.ask(&contents, |question, _| evaluate(question));
        Answer {
            manifests: evaluation.manifests.going().map(|manifest| contents.manifests()[manifest as usize].digest).collect(),
            tags: evaluation.tags.going().map(|tag| contents.tags()[tag as usize].name.clone()).collect(),
            either: Default::default(),
            locks: relocked(world, &contents, &evaluation),
        }
    }

    fn drawn(answer: &Answer) -> String {
        let manifests: Vec<String> = answer.manifests.iter().map(|digest| short(*digest)).collect();
        let tags: Vec<String> = answer.tags.iter().map(short_tag).collect();
        let either: Vec<String> = answer.either.iter().map(short_tag).collect();
        let locks: Vec<String> =
            answer.locks.iter().map(|((digest, tag), relocked)| format!("{} {tag:?} {relocked:?}", short(*digest))).collect();
        format!("manifests [{}] tags [{}] either [{}] locks {locks:#?}", manifests.join(" "), tags.join(" "), either.join(" "))
    }

    fn agree(world: &World) -> Result<(), String> {
        let (mut engine, oracle) = (engine(world), answer(world));
        engine.locks.retain(|(_, tag), _| tag.as_ref().is_none_or(|tag| !oracle.either.contains(tag)));
        let agreed = engine.manifests == oracle.manifests
            && engine.tags.difference(&oracle.tags).all(|tag| oracle.either.contains(tag))
            && oracle.tags.is_subset(&engine.tags)
            && engine.locks == oracle.locks;
        if agreed { Ok(()) } else { Err(format!("the engine lets go {}\nthe oracle lets go {}", drawn(&engine), drawn(&oracle))) }
    }

    #[test]
    fn the_engine_and_the_oracle_agree() {
        for_many_worlds(|world, _| agree(world));
    }

    #[test]
    fn they_agree_in_the_whole_language() {
        for_many_worlds_in(Language::Whole, |world, _| agree(world));
    }

    /// With waiting times on some of the rules, and marks of earlier runs on some of the items.
    #[test]
    fn they_agree_about_waiting_times() {
        for_many_worlds_in(Language::Whole, |world, mut rng| {
            let mut waiting = world.clone();
            waiting.wait_for_some(&mut rng);
            agree(&waiting).map_err(|why| format!("{waiting}{why}"))
        });
    }

    /// With lock rules that let go, and locks that rules of any kind closed before, some of which others changed since.
    #[test]
    fn they_agree_about_locks_that_rules_let_go() {
        for_many_worlds_in(Language::Whole, |world, mut rng| {
            let mut closed = world.clone();
            closed.close_some(&mut rng);
            agree(&closed).map_err(|why| format!("{closed}{why}"))
        });
    }

    /// The worlds are worth asking about: a good part of them loses something, and nothing that the drawing can do is rare.
    #[test]
    fn worlds_are_eventful() {
        let (mut losing, mut untagging, mut roomy, mut letting_go) = (0, 0, 0, 0);
        for seed in 0..2_000 {
            let mut world = World::drawn(seed);
            let answer = answer(&world);
            world.close_some(&mut fastrand::Rng::with_seed(seed));
            letting_go += usize::from(super::answer(&world).locks.values().any(|relocked| !relocked.released_by.is_empty()));
            losing += usize::from(!answer.manifests.is_empty());
            untagging += usize::from(answer.manifests.is_empty() && !answer.tags.is_empty());
            roomy += usize::from(!answer.either.is_empty());
        }
        assert!(600 < losing && 100 < untagging && roomy < 20, "of 2000: {losing} lose images, {untagging} tags alone, {roomy} leave room");
        assert!(600 < letting_go, "of 2000: {letting_go} let go of a lock");
    }
}
