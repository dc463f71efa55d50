//! What the rules say about everything that a plan removes, found once more and in another way than `evaluate` finds it: a delete rule
//! chooses it for certain, and no keep or lock rule might. Does not count what delete rules except.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Contents, Digest, Manifest, Mark, Platform, Tag, Texts};
use crate::policy::{
    About, Action, Delete, END_OF_LIFE_KEY, Filter, Grouping, Keep, KeepWhen, KeyValue, LIFECYCLE_ARTIFACT_TYPE, OrderBy, PeriodNumber,
    Rule, Selector, end_of_life,
};

use super::super::Steps;
use super::{Findings, World, subject_by_tag};

impl<'a> World<'a> {
    /// S17 and the rules themselves.
    pub(super) fn rules_allow(&self, steps: &Steps, findings: &mut Findings) {
        let lost = LostTags::new(self, steps);
        for (place, manifest) in (0_u32..).zip(self.audit.contents.manifests()) {
            let mut tags = lost.of(place).peekable();
            if tags.peek().is_none() {
                continue;
            }
            if let Some(rule) = self.rules().find(|rule| self.protects_all_tags(rule, manifest)) {
                findings.add("S17", format!("the keep rule {} chooses all tags of {}", rule.name, manifest.digest));
            }
            for tag in tags {
                let name = &tag.name;
                if !self.acting_deletes().any(|(rule, delete)| self.condemns(rule, delete, manifest, tag)) {
                    findings.add("S17", format!("no delete rule chooses the tag {name}"));
                }
                if let Some(rule) = self.rules().find(|rule| self.protects(rule, manifest, tag)) {
                    findings.add("S17", format!("the keep or lock rule {} chooses the tag {name}", rule.name));
                }
            }
        }
        for step in steps.deletes().filter(|step| ordinary(self.tags_of(step.digest)).next().is_none() && step.after.is_empty()) {
            self.bare_is_allowed(step.digest, findings);
        }
        for rule in self.rules() {
            if let Action::Keep(keep) = &rule.action {
                self.newest_are_left(keep, rule, &lost, findings);
            }
        }
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &'a Rule> {
        self.audit.policies.iter().flat_map(|policy| &policy.rules)
    }

    fn acting_deletes(&self) -> impl Iterator<Item = (&'a Rule, &'a Delete)> {
        self.audit.policies[self.audit.acting].rules.iter().filter_map(|rule| match &rule.action {
            Action::Delete(delete) => Some((rule, delete)),
            Action::Keep(_) | Action::Lock(_) | Action::Unlock(_) => None,
        })
    }

    fn condemns(&self, rule: &Rule, delete: &Delete, manifest: &Manifest, tag: &Tag) -> bool {
        let age = age(self.audit.now, manifest, tag);
        let old_enough = delete.older_than.is_none_or(|limit| age.is_some_and(|age| limit.duration() < age));
        let new_enough = delete.newer_than.is_none_or(|limit| age.is_some_and(|age| age < limit.duration()));
        names(&delete.selector, tag)
            && self.fits(&delete.selector, manifest) == Some(true)
            && old_enough
            && new_enough
            && self.has_waited(rule, delete, manifest, Some(tag))
    }

    /// Whether the rule has condemned the manifest, or its tag, for long enough, by what earlier runs noted.
    fn has_waited(&self, rule: &Rule, delete: &Delete, manifest: &Manifest, tag: Option<&Tag>) -> bool {
        let Some(wait) = delete.condemned_for else { return true };
        let (policy, rule) = (self.audit.policies[self.audit.acting].name.clone(), rule.name.clone());
        let mark = Mark { policy, rule, digest: manifest.digest, tag: tag.map(|tag| tag.name.clone()) };
        let noted = &self.audit.observations.condemned;
        let place = noted.partition_point(|noted| noted.mark < mark);
        let noted = noted.get(place).filter(|noted| noted.mark == mark);
        noted.is_some_and(|noted| wait.duration() < self.audit.now.duration_since(noted.since))
    }

    /// Whether the rule holds the tag by its own name without counting anything: for certain, or because nobody can say whether it fits.
    fn protects(&self, rule: &Rule, manifest: &Manifest, tag: &Tag) -> bool {
        let keep = match &rule.action {
            Action::Lock(lock) => return names(&lock.selector, tag) && self.fits(&lock.selector, manifest) != Some(false),
            Action::Delete(_) | Action::Unlock(_) => return false,
            Action::Keep(keep) => keep,
        };
        let young = |limit: SignedDuration| age(self.audit.now, manifest, tag).is_none_or(|age| age <= limit);
        let is_young = || keep.when.iter().any(|when| matches!(when, KeepWhen::NewerThan(limit) if young(limit.duration())));
        let holds = || match self.fits(&keep.selector, manifest) {
            Some(false) => false,
            None => true,
            Some(true) => keep.when.is_empty() || is_young(),
        };
        names(&keep.selector, tag) && holds()
    }

    /// The same, when it holds any tag of the manifest and all tags with it.
    fn protects_all_tags(&self, rule: &Rule, manifest: &Manifest) -> bool {
        let extends = matches!(&rule.action, Action::Keep(keep) if keep.all_tags);
        extends && ordinary(self.tags_of(manifest.digest)).any(|tag| self.protects(rule, manifest, tag))
    }

    /// A manifest without ordinary tags that goes before everything that could take it along.
    fn bare_is_allowed(&self, digest: Digest, findings: &mut Findings) {
        let Some(manifest) = self.manifest(digest) else { return };
        // An index that goes before its subject waits for nobody, and goes with it all the same.
        let subjects: Vec<Digest> = self.subjects(manifest).filter(|subject| *subject != manifest.digest).collect();
        if subjects.iter().any(|subject| self.deleted(*subject).is_some()) {
            return;
        }
        let untagged = subjects.is_empty() && self.tags_of(digest).is_empty();
        let orphaned = !subjects.is_empty() && subjects.iter().all(|subject| self.manifest(*subject).is_none());
        let is_about = |selector: &Selector| match &selector.about {
            About::Tags(_) => false,
            About::Untagged | About::Images => untagged,
            About::Orphaned => orphaned,
        };
        let chosen = self.acting_deletes().any(|(rule, delete)| {
            let fits = is_about(&delete.selector) && self.fits(&delete.selector, manifest) == Some(true);
            fits && self.has_waited(rule, delete, manifest, None)
        });
        if !chosen && manifest.left_behind_by.is_none() {
            findings.add("S17", format!("no rule chooses {digest}, which has no ordinary tag"));
        }
        // A keep rule on what has no tag, or on whatever fits its filters, is about orphans, too.
        let may_be_about = |selector: &Selector| match &selector.about {
            About::Tags(_) => false,
            About::Untagged => self.tags_of(digest).is_empty(),
            About::Images => untagged || orphaned,
            About::Orphaned => orphaned,
        };
        let protects = |rule: &&Rule| match &rule.action {
            Action::Keep(keep) => {
                let fits = self.fits(&keep.selector, manifest);
                may_be_about(&keep.selector) && (fits.is_none() || fits == Some(true) && keep.when.is_empty())
            }
            Action::Delete(_) | Action::Lock(_) | Action::Unlock(_) => false,
        };
        if let Some(rule) = self.rules().find(protects) {
            findings.add("S17", format!("the keep rule {} chooses {digest}", rule.name));
        }
    }

    fn subjects(&self, manifest: &'a Manifest) -> impl Iterator<Item = Digest> {
        let by_tag = self.tags_of(manifest.digest).iter().filter_map(|tag| subject_by_tag(tag.name.as_str()));
        by_tag.chain(manifest.references.subject())
    }

    /// What keep rules count by time. An image that loses a tag which such a rule chooses must rank behind images that lose none: behind
    /// the newest so many, or behind a newer one of its own period or so many later periods.
    fn newest_are_left(&self, keep: &Keep, rule: &Rule, lost: &LostTags<'a>, findings: &mut Findings) {
        let counts_by_time = |count: &crate::policy::Count| count.order_by == OrderBy::Time && count.per == Grouping::All;
        let counting = keep.when.iter().filter(|when| match when {
            KeepWhen::Last(count) => counts_by_time(count),
            KeepWhen::NewestOfEach { .. } => true,
            KeepWhen::NewerThan(_) => false,
        });
        for when in counting {
            // Gone through twice and never held: a rule may be about a million images.
            let images = || self.ranked_images(&keep.selector, lost);
            let whole = || images().filter(|image| !image.loses_a_tag).map(|image| image.newest);
            let is_behind: Box<dyn Fn(Timestamp) -> bool> = match when {
                KeepWhen::NewerThan(_) => continue,
                KeepWhen::Last(count) => {
                    let last = nth_newest(whole(), count.images.get() as usize);
                    Box::new(move |image| last.is_some_and(|last| image <= last))
                }
                KeepWhen::NewestOfEach { period, periods, zone } => {
                    let mut newest: BTreeMap<PeriodNumber, Timestamp> = BTreeMap::new();
                    for time in whole() {
                        let known = newest.entry(period.of(time, zone)).or_insert(time);
                        *known = time.max(*known);
                    }
                    let first = newest.keys().rev().nth(periods.get() as usize - 1).copied();
                    Box::new(move |image| {
                        let of_image = period.of(image, zone);
                        first.is_some_and(|first| of_image < first) || newest.get(&of_image).is_some_and(|newest| image <= *newest)
                    })
                }
            };
            for image in images().filter(|image| image.loses_a_tag && !is_behind(image.newest)) {
                findings.add("S17", format!("the keep rule {} counts {} among the newest", rule.name, image.digest));
            }
        }
    }

    /// The images that the selector chooses by a tag, for certain; those without a time apart, which stay anyhow.
    fn ranked_images<'s>(&'s self, selector: &'s Selector, lost: &'s LostTags<'a>) -> impl Iterator<Item = RankedImage> + 's {
        (0_u32..).zip(self.audit.contents.manifests()).filter_map(move |(place, manifest)| {
            let tags = ordinary(self.audit.contents.tagged(place)).filter(|tag| names(selector, tag));
            let times = tags.filter_map(|tag| Some(tag.updated_at?.max(manifest.updated_at?)));
            // Untagged images that stay count where a rule is about all images; what names a subject is none.
            let is_bare = matches!(selector.about, About::Images)
                && manifest.references.subject().is_none()
                && self.audit.contents.tagged(place).is_empty()
                && !self.goes(manifest.digest);
            let times = times.chain(manifest.updated_at.filter(|_| is_bare));
            let newest = times.map(Timestamp::from).filter(|time| *time <= self.audit.now).max()?;
            if self.fits(selector, manifest) != Some(true) {
                return None;
            }
            let loses_a_tag = lost.of(place).any(|tag| names(selector, tag) && tag.updated_at.is_some());
            Some(RankedImage { digest: manifest.digest, newest, loses_a_tag })
        })
    }

    /// Whether the manifest fits all filters; None: nobody can say.
    pub(super) fn fits(&self, selector: &Selector, manifest: &Manifest) -> Option<bool> {
        let answers: Vec<Option<bool>> = selector.filters.iter().map(|filter| self.fits_one(filter, manifest)).collect();
        if answers.contains(&Some(false)) { Some(false) } else { answers.into_iter().collect::<Option<Vec<bool>>>().map(|_| true) }
    }

    fn fits_one(&self, filter: &Filter, manifest: &Manifest) -> Option<bool> {
        match filter {
            Filter::MediaType(globs) => {
                let media_type = Some(manifest.media_type.to_string()).filter(|text| !text.is_empty())?;
                Some(globs.iter().any(|glob| glob.matches(&media_type)))
            }
            Filter::ArtifactType(globs) => {
                let artifact_type = manifest.facts.as_ref()?.artifact_type.as_deref();
                Some(globs.iter().any(|glob| artifact_type.is_some_and(|text| glob.matches(text))))
            }
            Filter::Annotation(wanted) => has_one(wanted, &manifest.facts.as_ref()?.annotations),
            Filter::Label(wanted) => self.has_label(wanted, manifest),
            Filter::EndOfLife => self.life_is_over(manifest),
            Filter::LargerThan(limit) => (0 < manifest.size_bytes).then_some(limit.bytes() < manifest.size_bytes),
            Filter::Platform(wanted) => {
                let platforms: Vec<&Platform> = match &manifest.platform {
                    Some(platform) => vec![platform],
                    None => {
                        let of_child = |child: &Digest| self.manifest(*child).and_then(|child| child.platform.as_deref());
                        manifest.references.children().iter().map(of_child).collect::<Option<_>>()?
                    }
                };
                let known = || platforms.iter().filter(|platform| !platform.is_none());
                let same =
                    |platform: &Platform, wanted: &Platform| platform.os == wanted.os && platform.architecture == wanted.architecture;
                let is_wanted = |platform: &Platform| {
                    let exactly = |wanted: &&Platform| wanted.variant.is_none() || wanted.variant == platform.variant;
                    wanted.iter().filter(|wanted| same(platform, wanted)).any(|wanted| exactly(&wanted))
                };
                let might_be_wanted = |platform: &Platform| {
                    let not_excluded =
                        |wanted: &Platform| wanted.variant.is_none() || platform.variant.is_none() || wanted.variant == platform.variant;
                    wanted.iter().any(|wanted| same(platform, wanted) && not_excluded(wanted))
                };
                known().next()?;
                if known().all(|platform| is_wanted(platform)) {
                    return Some(true);
                }
                if known().any(|platform| might_be_wanted(platform)) { None } else { Some(false) }
            }
        }
    }
}

impl World<'_> {
    /// Every image below an index that has labels must agree.
    fn has_label(&self, wanted: &[KeyValue], manifest: &Manifest) -> Option<bool> {
        if !manifest.media_type.is_index() && manifest.references.children().is_empty() {
            return has_one(wanted, &manifest.facts.as_ref()?.labels);
        }
        let mut below: BTreeSet<Digest> = BTreeSet::new();
        let mut next: Vec<Digest> = manifest.references.children().to_vec();
        let mut agreed: Option<bool> = None;
        while let Some(digest) = next.pop() {
            let child = self.manifest(digest)?;
            if !below.insert(digest) {
                continue;
            }
            next.extend(child.references.children());
            if !child.references.children().is_empty() {
                continue;
            }
            let labels = &child.facts.as_ref()?.labels;
            if *labels == Texts::none() {
                continue;
            }
            let answer = has_one(wanted, labels)?;
            if agreed.is_some_and(|agreed| agreed != answer) {
                return None;
            }
            agreed = Some(answer);
        }
        Some(agreed.unwrap_or(false))
    }

    /// Every end that is told has passed, and at least one is told.
    fn life_is_over(&self, manifest: &Manifest) -> Option<bool> {
        let is_lifecycle = |referrer: &&Manifest| {
            let facts = referrer.facts.as_ref();
            facts.is_none_or(|facts| facts.artifact_type.as_deref() == Some(LIFECYCLE_ARTIFACT_TYPE))
        };
        let attached = self.referrers_of(manifest.digest).iter().copied().filter(is_lifecycle);
        let mut ends = Vec::new();
        for told_by in std::iter::once(manifest).chain(attached) {
            match &told_by.facts.as_ref()?.annotations {
                Texts::NotRead | Texts::Unreadable(_) => return None,
                Texts::Known(annotations) => ends.extend(annotations.get(END_OF_LIFE_KEY).map(end_of_life)),
            }
        }
        let has_passed = |end: &Option<Timestamp>| end.is_some_and(|end| end < self.audit.now);
        Some(!ends.is_empty() && ends.iter().all(has_passed))
    }
}

/// Whether one of them is there; None: nobody can say.
fn has_one(wanted: &[KeyValue], texts: &Texts) -> Option<bool> {
    match texts {
        Texts::NotRead | Texts::Unreadable(_) => None,
        Texts::Known(pairs) => Some(wanted.iter().any(|wanted| wanted.is_among(pairs))),
    }
}

/// The ordinary tags that a plan removes, as far as they are listed.
struct LostTags<'a> {
    contents: &'a Contents,
    /// Whether each manifest goes: its tags go with it.
    going: Vec<bool>,
    /// Tags that go without their manifests, each with the place of its manifest, in order.
    alone: Vec<(u32, &'a Tag)>,
}

impl<'a> LostTags<'a> {
    fn new(world: &World<'a>, steps: &Steps) -> Self {
        let contents = world.audit.contents;
        let listed = |digest: Digest, name: &str| Some((contents.find(digest)?, world.tag_on(digest, name)?));
        let mut alone: Vec<(u32, &Tag)> = steps.untags().filter_map(|step| listed(step.digest, step.tag.name.as_str())).collect();
        alone.sort_unstable_by_key(|(place, tag)| (*place, &tag.name));
        Self { contents, going: world.deleted.iter().map(Option::is_some).collect(), alone }
    }

    /// Those of the manifest at `place`.
    fn of(&self, place: u32) -> impl Iterator<Item = &'a Tag> + '_ {
        let with_manifest = if self.going[place as usize] { self.contents.tagged(place) } else { &[] };
        let from = self.alone.partition_point(|(manifest, _)| *manifest < place);
        let alone = self.alone[from..].iter().take_while(move |(manifest, _)| *manifest == place).map(|(_, tag)| *tag);
        ordinary(with_manifest).chain(alone.filter(|tag| subject_by_tag(tag.name.as_str()).is_none()))
    }
}

/// The last of the newest so many times; None: there are fewer.
fn nth_newest(times: impl Iterator<Item = Timestamp>, wanted: usize) -> Option<Timestamp> {
    let mut newest: BinaryHeap<Reverse<Timestamp>> = BinaryHeap::new();
    for time in times {
        newest.push(Reverse(time));
        if wanted < newest.len() {
            newest.pop();
        }
    }
    newest.peek().filter(|_| newest.len() == wanted).map(|Reverse(time)| *time)
}

struct RankedImage {
    digest: Digest,
    /// By the newest of its tags that the rule chooses.
    newest: Timestamp,
    loses_a_tag: bool,
}

pub(super) fn ordinary(tags: &[Tag]) -> impl Iterator<Item = &Tag> {
    tags.iter().filter(|tag| subject_by_tag(tag.name.as_str()).is_none())
}

/// Whether the selector is about this ordinary tag, filters aside.
pub(super) fn names(selector: &Selector, tag: &Tag) -> bool {
    match &selector.about {
        About::Tags(pattern) => pattern.matches(tag.name.as_str()),
        About::Images => true,
        About::Untagged | About::Orphaned => false,
    }
}

/// None: not known, or not yet.
fn age(now: Timestamp, manifest: &Manifest, tag: &Tag) -> Option<SignedDuration> {
    let age = now.duration_since(tag.updated_at?.max(manifest.updated_at?).into());
    (!age.is_negative()).then_some(age)
}
