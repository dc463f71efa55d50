//! Which items each rule is about. Every tag is held against every pattern once, every manifest against every filter once. Knows
//! nothing of ages and counts.

use crate::model::{Contents, Manifest, Platform};
use crate::policy::{About, Action, Filter, Rule, Selector, TagPattern};

use super::Question;
use super::bit_set::BitSet;
use super::described::{annotation_fit, artifact_type_fit, end_of_life_fit, label_fit};
use super::verdict::RuleRef;
use super::view::View;

/// Something that rules speak about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// An ordinary tag.
    Tag(u32),
    /// A manifest without one, for which no tag can speak.
    Bare(u32),
}

/// A set of items.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) tags: BitSet,
    pub(super) bare: BitSet,
}

/// A rule that has a say here: keep and lock rules of every policy, all rules of the acting one.
pub(super) struct Speaker<'a> {
    pub(super) reference: RuleRef,
    pub(super) rule: &'a Rule,
    /// The items that it chooses.
    pub(super) matches: Items,
    /// The items of which it cannot be said whether they fit its filters. A keep rule keeps them, a delete rule leaves them alone; a
    /// lock rule has none, because it chooses them, and an unlock rule none, because it does not.
    pub(super) perhaps: Items,
}

/// Whether a manifest fits a filter. In this order "and" is the least of several answers, and "or" the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    Unknown,
    Yes,
}

impl Items {
    pub(super) const fn none() -> Self {
        Self { tags: BitSet::none(), bare: BitSet::none() }
    }

    /// Room for every tag and every manifest.
    pub(super) fn room(contents: &Contents) -> Self {
        Self { tags: BitSet::new(contents.tags().len()), bare: BitSet::new(contents.manifests().len()) }
    }

    pub(super) fn contains(&self, item: Item) -> bool {
        match item {
            Item::Tag(tag) => self.tags.contains(tag as usize),
            Item::Bare(manifest) => self.bare.contains(manifest as usize),
        }
    }

    pub(super) fn insert(&mut self, item: Item) {
        match item {
            Item::Tag(tag) => self.tags.insert(tag as usize),
            Item::Bare(manifest) => self.bare.insert(manifest as usize),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Item> + '_ {
        self.tags.iter().map(Item::Tag).chain(self.bare.iter().map(Item::Bare))
    }
}

/// The rules that have a say, each with what it is about.
pub(super) fn speakers<'a>(view: &View<'a>, question: &Question<'a>) -> Vec<Speaker<'a>> {
    let mut speakers = Vec::new();
    let mut fits = Vec::new();
    for (policy_place, policy) in (0_u16..).zip(question.policies) {
        let acting = usize::from(policy_place) == question.acting;
        for (rule_place, rule) in (0_u16..).zip(&policy.rules) {
            let speaks = match &rule.action {
                Action::Keep(_) | Action::Lock(_) => true,
                Action::Delete(_) | Action::Unlock(_) => acting,
            };
            if speaks {
                let reference = RuleRef { policy: policy_place, rule: rule_place };
                let filtered = !rule.action.selector().filters.is_empty();
                let perhaps = if filtered { Items::room(view.contents) } else { Items::none() };
                speakers.push(Speaker { reference, rule, matches: Items::room(view.contents), perhaps });
                fits.push(Fits::new(view, &rule.action));
            }
        }
    }
    match_tags(view, &mut speakers, &fits);
    match_bare(view, &mut speakers, &fits);
    speakers
}

/// Which manifests fit the filters of a rule. None: it has no filters, and all do.
struct Fits(Option<FilteredManifests>);

struct FilteredManifests {
    yes: BitSet,
    unknown: BitSet,
}

impl Fits {
    fn new(view: &View<'_>, action: &Action) -> Self {
        let Selector { about: _, filters } = action.selector();
        if filters.is_empty() {
            return Self(None);
        }
        let room = || BitSet::new(view.contents.manifests().len());
        let (mut yes, mut unknown) = (room(), room());
        for manifest in view.places() {
            let place = manifest as usize;
            let fit = filters.iter().map(|filter| fit(filter, view, manifest)).min().unwrap_or(Fit::Yes);
            match (fit, action) {
                (Fit::Yes, _) | (Fit::Unknown, Action::Lock(_)) => yes.insert(place),
                (Fit::Unknown, Action::Keep(_) | Action::Delete(_)) => unknown.insert(place),
                (Fit::Unknown, Action::Unlock(_)) | (Fit::No, _) => {}
            }
        }
        Self(Some(FilteredManifests { yes, unknown }))
    }

    fn of(&self, manifest: u32) -> Fit {
        match &self.0 {
            None => Fit::Yes,
            Some(filtered) if filtered.yes.contains(manifest as usize) => Fit::Yes,
            Some(filtered) if filtered.unknown.contains(manifest as usize) => Fit::Unknown,
            Some(_) => Fit::No,
        }
    }
}

/// Matches every tag against every rule, tag by tag: each name is fetched from memory once, however many rules there are.
fn match_tags(view: &View<'_>, speakers: &mut [Speaker<'_>], fits: &[Fits]) {
    let mut on_tags: Vec<(Option<&TagPattern>, &Fits, &mut Items, &mut Items)> = Vec::new();
    for (Speaker { reference: _, rule, matches, perhaps }, fits) in speakers.iter_mut().zip(fits) {
        match &rule.action.selector().about {
            About::Tags(pattern) => on_tags.push((Some(pattern), fits, matches, perhaps)),
            About::Images => on_tags.push((None, fits, matches, perhaps)),
            About::Untagged | About::Orphaned => {}
        }
    }
    let contents = view.contents;
    for (place, tag) in (0_u32..).zip(contents.tags()).filter(|(place, _)| !view.graph.is_companion_tag(*place)) {
        for (pattern, fits, matches, perhaps) in &mut on_tags {
            let fit = fits.of(contents.owner_of(place));
            if fit == Fit::No || pattern.is_some_and(|pattern| !pattern.matches(tag.name.as_str())) {
                continue;
            }
            if fit == Fit::Yes { matches.insert(Item::Tag(place)) } else { perhaps.insert(Item::Tag(place)) }
        }
    }
}

fn match_bare(view: &View<'_>, speakers: &mut [Speaker<'_>], fits: &[Fits]) {
    for (Speaker { reference: _, rule, matches, perhaps }, fits) in speakers.iter_mut().zip(fits) {
        let about = &rule.action.selector().about;
        // Who keeps whatever has no tag, or fits a filter, keeps the signatures and SBOMs among it from rules on orphans.
        let is_keep = matches!(rule.action, Action::Keep(_));
        let is_about = |manifest: &u32| match about {
            About::Tags(_) => false,
            About::Untagged => view.is_untagged_image(*manifest) || is_keep && view.is_untagged_orphan(*manifest),
            About::Images => view.is_untagged_image(*manifest) || is_keep && view.is_orphan(*manifest),
            About::Orphaned => view.is_orphan(*manifest),
        };
        if matches!(about, About::Tags(_)) {
            continue;
        }
        for manifest in view.places().filter(is_about) {
            match fits.of(manifest) {
                Fit::Yes => matches.insert(Item::Bare(manifest)),
                Fit::Unknown => perhaps.insert(Item::Bare(manifest)),
                Fit::No => {}
            }
        }
    }
}

fn fit(filter: &Filter, view: &View<'_>, place: u32) -> Fit {
    let manifest = view.manifest(place);
    match filter {
        Filter::MediaType(globs) => match manifest.media_type.as_str() {
            "" => Fit::Unknown,
            text => yes_or_no(globs.iter().any(|glob| glob.matches(text))),
        },
        Filter::Platform(wanted) => platform_fit(wanted, view.contents, manifest),
        Filter::LargerThan(size) => match manifest.size_bytes {
            0 => Fit::Unknown,
            bytes => yes_or_no(size.bytes() < bytes),
        },
        Filter::ArtifactType(globs) => artifact_type_fit(globs, manifest),
        Filter::Annotation(wanted) => annotation_fit(wanted, manifest),
        Filter::Label(wanted) => label_fit(wanted, view.contents, manifest),
        Filter::EndOfLife => end_of_life_fit(view, place),
    }
}

pub(super) fn yes_or_no(answer: bool) -> Fit {
    if answer { Fit::Yes } else { Fit::No }
}

/// An index runs on what its children run on: it fits when all of them do, and does not when none of them does. Between the two nobody
/// can say, and so with a child that is missing or tells nothing. Attestations have no say.
fn platform_fit(wanted: &[Platform], contents: &Contents, manifest: &Manifest) -> Fit {
    if let Some(platform) = &manifest.platform {
        return one_platform_fits(wanted, platform);
    }
    let of_child = |child| contents.find(child).and_then(|child| contents.manifests()[child as usize].platform.as_deref());
    let mut answers = Vec::new();
    for child in manifest.references.children() {
        match of_child(*child) {
            Some(platform) if platform.is_none() => {}
            Some(platform) => answers.push(one_platform_fits(wanted, platform)),
            None => return Fit::Unknown,
        }
    }
    match (answers.iter().min(), answers.iter().max()) {
        (Some(least), Some(greatest)) if least == greatest => *least,
        _ => Fit::Unknown,
    }
}

fn one_platform_fits(wanted: &[Platform], platform: &Platform) -> Fit {
    if platform.is_none() {
        return Fit::Unknown;
    }
    let fits = |wanted: &Platform| {
        let Platform { os, architecture, variant } = wanted;
        match (*os == platform.os && *architecture == platform.architecture, variant, &platform.variant) {
            (false, _, _) => Fit::No,
            (true, None, _) => Fit::Yes,
            (true, Some(_), None) => Fit::Unknown,
            (true, Some(wanted), Some(variant)) => yes_or_no(wanted == variant),
        }
    };
    wanted.iter().map(fits).max().unwrap_or(Fit::No)
}
