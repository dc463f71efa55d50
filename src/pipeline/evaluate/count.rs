//! Counting: which images are the newest so many of their group, or the newest of each of so many periods. Over the whole filtered
//! listing, before any age condition.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use semver::Version;

use crate::policy::{
    About, Action, Count, Grouping, Images, KeepWhen, OrderBy, Period, PeriodNumber, TagPattern, natural_order, read_version,
};

use super::bit_set::BitSet;
use super::select::{Item, Items, Speaker};
use super::view::{Moment, View};

/// An image in a group, with the tag that it ranks by there.
struct Entry {
    moment: Timestamp,
    version: Option<Version>,
    /// None for what has no ordinary tag.
    tag: Option<u32>,
    manifest: u32,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    All,
    Major(u64),
    Minor(u64, u64),
    /// Tags in which one of the named groups took no part share the empty list.
    Captures(Vec<Box<str>>),
}

/// What each condition of a rule counts in. Nothing for conditions that count nothing.
pub(super) fn counted(view: &View<'_>, slotless: &BitSet, speaker: &Speaker<'_>) -> Vec<Items> {
    let of_keep = |when: &KeepWhen| match when {
        KeepWhen::Last(count) => newest(view, slotless, speaker, count),
        KeepWhen::NewestOfEach { period, periods, zone } => newest_of_each(view, slotless, speaker, &Periods { period, periods, zone }),
        KeepWhen::NewerThan(_) => Items::none(),
    };
    match &speaker.rule.action {
        Action::Keep(keep) => keep.when.iter().map(of_keep).collect(),
        Action::Delete(delete) => delete.except_last.iter().map(|count| newest(view, slotless, speaker, count)).collect(),
        Action::Lock(_) | Action::Unlock(_) => Vec::new(),
    }
}

/// The images that survive because the repository keeps at least so many: the newest, whatever else holds them.
pub(super) fn at_least(view: &View<'_>) -> BitSet {
    let images = view.places().filter(|manifest| view.is_image(*manifest)).filter_map(|manifest| rank_of_image(view, manifest));
    let mut first = First::new(view.keep_at_least as usize, |left: &Entry, right: &Entry| compare(view, OrderBy::Time, left, right));
    images.for_each(|entry| first.offer(entry));
    let mut chosen = BitSet::new(view.contents.manifests().len());
    for entry in first.take() {
        chosen.insert(entry.manifest as usize);
    }
    chosen
}

fn rank_of_image(view: &View<'_>, manifest: u32) -> Option<Entry> {
    let entry = |tag: Option<u32>, moment| match moment {
        Moment::At(moment) => Some(Entry { moment, version: None, tag, manifest }),
        Moment::Unknown | Moment::Future => None,
    };
    let tags = view.ordinary_tags(manifest).filter_map(|tag| entry(Some(tag), view.tag_moment(tag)));
    let newest = tags.min_by(|left, right| compare(view, OrderBy::Time, left, right));
    let own = view.manifest_moment(manifest);
    // An orphan with companion tags is as new as its newest push.
    let is_companion = view.ordinary_tags(manifest).next().is_none();
    let pushes = view.contents.tags_of(manifest).filter(|_| is_companion).map(|tag| view.tag_moment(tag));
    newest.or_else(|| entry(None, pushes.fold(own, Moment::newer)))
}

/// An image counts once in each group that it belongs to, by its best matching tag there; where it is among the first, all its
/// matching tags of that group are chosen: people count images, not names.
///
/// An image that uses no slot is chosen where it ranks among the first all the same: a keep rule on one tag of an image must not
/// cost it another tag that the count spares.
fn newest(view: &View<'_>, slotless: &BitSet, speaker: &Speaker<'_>, count: &Count) -> Items {
    let order = |left: &Entry, right: &Entry| compare(view, count.order_by, left, right);
    let uses_a_slot = |manifest: &u32| !slotless.contains(*manifest as usize);
    let mut groups: BTreeMap<Group, First<_>> = BTreeMap::new();
    for manifest in view.places().filter(uses_a_slot) {
        for (group, entry) in best_of_groups(view, speaker, count, manifest) {
            groups.entry(group).or_insert_with(|| First::new(slots(count), order)).offer(entry);
        }
    }
    let places: BTreeMap<Group, usize> = groups.keys().cloned().zip(0..).collect();
    // Each image with the groups that it is among the first of, so that each tag's group is worked out once more and not once for
    // every group: an image can have a hundred thousand tags.
    let mut chosen_in: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    // The last that is among the first of each group, where all its slots are used.
    let mut lasts: Vec<Option<Entry>> = Vec::with_capacity(groups.len());
    for (place, first) in groups.into_values().enumerate() {
        let mut entries = first.take();
        entries.iter().for_each(|entry| chosen_in.entry(entry.manifest).or_default().push(place));
        let is_full = entries.len() == slots(count);
        let last = (0..entries.len()).max_by(|left, right| order(&entries[*left], &entries[*right])).filter(|_| is_full);
        lasts.push(last.map(|last| entries.swap_remove(last)));
    }
    let mut chosen = Items::room(view.contents);
    for (manifest, chosen_in) in chosen_in {
        choose(view, speaker, manifest, &mut chosen, |name| {
            let place = places.get(&group_of(&count.per, pattern_of(speaker), name));
            place.is_some_and(|place| chosen_in.binary_search(place).is_ok())
        });
    }
    // What uses no slot is gone through again and never held: a rule may keep a million images.
    for manifest in view.places().filter(|manifest| !uses_a_slot(manifest)) {
        let mut ranks_in: Vec<Group> = Vec::new();
        for (group, entry) in best_of_groups(view, speaker, count, manifest) {
            let last = places.get(&group).and_then(|place| lasts[*place].as_ref());
            if last.is_none_or(|last| order(&entry, last).is_lt()) {
                ranks_in.push(group);
            }
        }
        if !ranks_in.is_empty() {
            choose(view, speaker, manifest, &mut chosen, |name| {
                ranks_in.binary_search(&group_of(&count.per, pattern_of(speaker), name)).is_ok()
            });
        }
    }
    chosen
}

/// The groups that an image belongs to, in order, each with what the image ranks by there: its best matching tag.
fn best_of_groups(view: &View<'_>, speaker: &Speaker<'_>, count: &Count, manifest: u32) -> impl Iterator<Item = (Group, Entry)> {
    let mut best: BTreeMap<Group, Entry> = BTreeMap::new();
    for tag in matching_tags(view, speaker, manifest) {
        let Moment::At(moment) = view.tag_moment(tag) else { continue };
        let name = view.tag(tag).name.as_str();
        let version = (count.order_by == OrderBy::Version).then(|| read_version(name)).flatten();
        let entry = Entry { moment, version, tag: Some(tag), manifest };
        match best.entry(group_of(&count.per, pattern_of(speaker), name)) {
            btree_map::Entry::Occupied(mut known) if compare(view, count.order_by, &entry, known.get()).is_lt() => {
                drop(known.insert(entry));
            }
            btree_map::Entry::Occupied(_) => {}
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(entry)),
        }
    }
    let bare = Some(manifest).filter(|manifest| counts_bare(view, speaker, *manifest));
    best.into_iter().chain(bare.and_then(|manifest| rank_of_image(view, manifest)).map(|entry| (Group::All, entry)))
}

/// Chooses an image: itself where it has no tags, and its matching tags in the groups that it was chosen in.
fn choose(view: &View<'_>, speaker: &Speaker<'_>, manifest: u32, chosen: &mut Items, is_chosen: impl Fn(&str) -> bool) {
    if speaker.matches.contains(Item::Bare(manifest)) {
        chosen.insert(Item::Bare(manifest));
    }
    matching_tags(view, speaker, manifest)
        .filter(|tag| is_chosen(view.tag(*tag).name.as_str()))
        .for_each(|tag| chosen.insert(Item::Tag(tag)));
}

fn pattern_of<'a>(speaker: &Speaker<'a>) -> Option<&'a TagPattern> {
    if let About::Tags(pattern) = &speaker.rule.action.selector().about { Some(pattern) } else { None }
}

/// Which periods are counted, and how many.
struct Periods<'a> {
    period: &'a Period,
    periods: &'a Images,
    zone: &'a TimeZone,
}

/// The newest image of each of the last so many periods that have one, with all its matching tags. An image lies in the period of its
/// newest matching tag and in no other.
///
/// An image that uses no slot is chosen where it would be if it did, as in [`newest`].
fn newest_of_each(view: &View<'_>, slotless: &BitSet, speaker: &Speaker<'_>, periods: &Periods<'_>) -> Items {
    let order = |left: &Entry, right: &Entry| compare(view, OrderBy::Time, left, right);
    let wanted = usize::try_from(periods.periods.get()).unwrap_or(usize::MAX);
    let uses_a_slot = |manifest: &u32| !slotless.contains(*manifest as usize);
    let ranked = |manifest: u32| -> Option<(PeriodNumber, Entry)> {
        let of_tag = |tag| match view.tag_moment(tag) {
            Moment::At(moment) => Some(Entry { moment, version: None, tag: Some(tag), manifest }),
            Moment::Unknown | Moment::Future => None,
        };
        let of_tags = matching_tags(view, speaker, manifest).filter_map(of_tag).min_by(order);
        let bare = || Some(manifest).filter(|manifest| counts_bare(view, speaker, *manifest));
        let entry = of_tags.or_else(|| rank_of_image(view, bare()?))?;
        Some((periods.period.of(entry.moment, periods.zone), entry))
    };
    let mut newest: BTreeMap<PeriodNumber, Entry> = BTreeMap::new();
    for (number, entry) in view.places().filter(uses_a_slot).filter_map(ranked) {
        if newest.get(&number).is_none_or(|known| order(&entry, known).is_lt()) {
            newest.insert(number, entry);
        }
        if wanted < newest.len() {
            newest.pop_first();
        }
    }
    let mut chosen = Items::room(view.contents);
    let mut choose = |entry: &Entry| match entry.tag {
        None => chosen.insert(Item::Bare(entry.manifest)),
        Some(_) => matching_tags(view, speaker, entry.manifest).for_each(|tag| chosen.insert(Item::Tag(tag))),
    };
    newest.values().for_each(&mut choose);
    let first = newest.keys().next().filter(|_| newest.len() == wanted);
    for (number, entry) in view.places().filter(|manifest| !uses_a_slot(manifest)).filter_map(ranked) {
        if first.is_none_or(|first| *first <= number) && newest.get(&number).is_none_or(|known| order(&entry, known).is_lt()) {
            choose(&entry);
        }
    }
    chosen
}

fn matching_tags(view: &View<'_>, speaker: &Speaker<'_>, manifest: u32) -> impl Iterator<Item = u32> {
    view.contents.tags_of(manifest).filter(|tag| speaker.matches.contains(Item::Tag(*tag)))
}

/// Whether the rule counts the manifest, which has no ordinary tag: an orphan is no image, and counted only where a rule is about orphans.
fn counts_bare(view: &View<'_>, speaker: &Speaker<'_>, manifest: u32) -> bool {
    let is_about_orphans = matches!(speaker.rule.action.selector().about, About::Orphaned);
    speaker.matches.contains(Item::Bare(manifest)) && (is_about_orphans || view.is_image(manifest))
}

fn slots(count: &Count) -> usize {
    usize::try_from(count.images.get()).unwrap_or(usize::MAX)
}

fn group_of(per: &Grouping, pattern: Option<&TagPattern>, tag: &str) -> Group {
    match per {
        Grouping::All => Group::All,
        Grouping::Major => read_version(tag).map_or(Group::All, |version| Group::Major(version.major)),
        Grouping::Minor => read_version(tag).map_or(Group::All, |version| Group::Minor(version.major, version.minor)),
        Grouping::Captures(names) => Group::Captures(pattern.and_then(|pattern| pattern.captures(tag, names)).unwrap_or_default()),
    }
}

/// First what ranks first. Ties go to the larger name, numbers in it compared as numbers, and then to the larger digest:
/// a total order, so that the answer never depends on the order of a listing.
fn compare(view: &View<'_>, order_by: OrderBy, left: &Entry, right: &Entry) -> Ordering {
    let name = |entry: &Entry| entry.tag.map_or("", |tag| view.tag(tag).name.as_str());
    let by_name = || natural_order(name(right), name(left));
    let by_digest = || view.manifest(right.manifest).digest.cmp(&view.manifest(left.manifest).digest);
    let first = match order_by {
        OrderBy::Time => right.moment.cmp(&left.moment),
        OrderBy::Version => right.version.cmp(&left.version),
    };
    first.then_with(by_name).then_with(by_digest)
}

/// Keeps the first so many of what it is offered, in no particular order. It never holds more than twice as many, and selects
/// in linear time where sorting would not.
struct First<F> {
    wanted: usize,
    order: F,
    entries: Vec<Entry>,
}

impl<F: Fn(&Entry, &Entry) -> Ordering> First<F> {
    fn new(wanted: usize, order: F) -> Self {
        Self { wanted, order, entries: Vec::new() }
    }

    fn offer(&mut self, entry: Entry) {
        if self.wanted == 0 {
            return;
        }
        self.entries.push(entry);
        if self.wanted.saturating_mul(2) <= self.entries.len() {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.wanted < self.entries.len() {
            self.entries.select_nth_unstable_by(self.wanted, &self.order);
            self.entries.truncate(self.wanted);
        }
    }

    fn take(mut self) -> Vec<Entry> {
        self.cut();
        self.entries
    }
}
