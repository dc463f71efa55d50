//! A second opinion on a plan, with code of its own: it shares no line with `evaluate` beyond the inventory and the policies.
//! A finding is a bug of this program, never a fault of the world, and nothing is applied in a repository that has one.

mod locks;
mod rules;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use jiff::Timestamp;

use crate::model::{Contents, Digest, Locks, Manifest, Observations, References, Tag, Time};
use crate::policy::Policy;

use super::{Steps, UntagStep};

/// What a plan for one repository is held against.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    /// The repository's own lock.
    pub repository_locks: Locks,
    /// What earlier looks and runs noted about it.
    pub observations: &'a Observations,
    /// Everything in the repository.
    pub contents: &'a Contents,
    /// Every policy that names it.
    pub policies: &'a [&'a Policy],
    /// The place in `policies` of the one that acts.
    pub acting: usize,
    /// The time.
    pub now: Timestamp,
}

/// A promise that the plan would break: which invariant, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The number of the invariant in `docs/safety.md`.
    pub invariant: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.invariant, self.what)
    }
}

/// Everything the audit finds, in a fixed order; empty: the plan keeps its promises.
pub fn audit(audit: &Audit<'_>, steps: &Steps) -> Vec<Finding> {
    let world = World::new(audit, steps);
    let mut findings = Findings(Vec::new());
    world.known_and_free(steps, &mut findings);
    world.old_enough(steps, &mut findings);
    world.survivors_are_whole(&mut findings);
    world.holders_go_first(steps, &mut findings);
    world.rules_allow(steps, &mut findings);
    world.opens_what_it_may(steps, &mut findings);
    world.enough_is_left(&mut findings);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, invariant: &'static str, what: String) {
        self.0.push(Finding { invariant, what });
    }
}

struct World<'a> {
    audit: Audit<'a>,
    /// For each manifest of the contents its place in the plan's deletes, counted from one.
    deleted: Vec<Option<NonZeroU32>>,
    /// What describes each subject; made when a rule first asks, because few do.
    referrers: OnceCell<BTreeMap<Digest, Vec<&'a Manifest>>>,
    /// The manifests with a locked tag; made when it is first asked, because an image may have tens of thousands of tags, each with a step.
    locked_by_tag: OnceCell<BTreeSet<Digest>>,
}

impl<'a> World<'a> {
    fn new(audit: &Audit<'a>, steps: &Steps) -> Self {
        let mut deleted = vec![None; audit.contents.manifests().len()];
        for (place, step) in (1_u32..).zip(steps.deletes()) {
            if let Some(manifest) = audit.contents.find(step.digest) {
                deleted[manifest as usize] = NonZeroU32::new(place);
            }
        }
        Self { audit: *audit, deleted, referrers: OnceCell::new(), locked_by_tag: OnceCell::new() }
    }

    fn manifest(&self, digest: Digest) -> Option<&'a Manifest> {
        self.audit.contents.find(digest).map(|place| &self.audit.contents.manifests()[place as usize])
    }

    /// What names a manifest as its subject, itself apart.
    fn referrers_of(&self, subject: Digest) -> &[&'a Manifest] {
        let all = self.referrers.get_or_init(|| {
            let mut all: BTreeMap<Digest, Vec<&Manifest>> = BTreeMap::new();
            for manifest in self.audit.contents.manifests() {
                if let Some(subject) = manifest.references.subject().filter(|subject| *subject != manifest.digest) {
                    all.entry(subject).or_default().push(manifest);
                }
            }
            all
        });
        all.get(&subject).map_or(&[], Vec::as_slice)
    }

    /// Where in the plan a manifest is deleted.
    fn deleted(&self, digest: Digest) -> Option<usize> {
        let place = self.audit.contents.find(digest).and_then(|manifest| self.deleted[manifest as usize])?;
        usize::try_from(place.get() - 1).ok()
    }

    fn goes(&self, digest: Digest) -> bool {
        self.deleted(digest).is_some()
    }

    /// The tag that a step means: the one of this name on this manifest.
    fn tag_on(&self, digest: Digest, name: &str) -> Option<&'a Tag> {
        let tags = self.tags_of(digest);
        tags.binary_search_by(|tag| tag.name.as_str().cmp(name)).ok().map(|place| &tags[place])
    }

    fn tags_of(&self, digest: Digest) -> &'a [Tag] {
        self.audit.contents.find(digest).map_or(&[], |manifest| self.audit.contents.tagged(manifest))
    }

    /// The manifests that go, or those that stay, each with its tags.
    fn manifests(&self, going: bool) -> impl Iterator<Item = (&'a Manifest, &'a [Tag])> + '_ {
        let all = (0_u32..).zip(self.audit.contents.manifests()).zip(&self.deleted);
        let chosen = all.filter(move |(_, deleted)| deleted.is_some() == going);
        chosen.map(|((place, manifest), _)| (manifest, self.audit.contents.tagged(place)))
    }

    fn is_locked(&self, digest: Digest) -> bool {
        let own = self.manifest(digest).is_none_or(|manifest| manifest.locks.protects());
        let locked_tags = || self.audit.contents.tags().iter().filter(|tag| tag.locks.protects());
        let by_tag = || self.locked_by_tag.get_or_init(|| locked_tags().map(|tag| tag.digest).collect());
        own || self.audit.repository_locks.protects() || by_tag().contains(&digest)
    }

    /// S2, S5: every step names what the listing has, all of its tags and nothing locked.
    fn known_and_free(&self, steps: &Steps, findings: &mut Findings) {
        if self.deleted.iter().flatten().count() != steps.deletes.len() {
            findings.add("S5", "a manifest is deleted twice, or one that is not listed".to_owned());
        }
        for step in steps.deletes() {
            let listed = self.tags_of(step.digest).iter().map(|tag| tag.name.as_str());
            let planned = step.tags.iter().map(|tag| tag.name.as_str());
            if !listed.clone().eq(planned.clone()) {
                let (listed, planned): (Vec<&str>, Vec<&str>) = (listed.collect(), planned.collect());
                findings.add("S5", format!("{} has the tags {listed:?}, the plan expects {planned:?}", step.digest));
            }
            if self.is_locked(step.digest) {
                findings.add("S2", format!("{} is locked or not listed", step.digest));
            }
        }
        for step in steps.locks().filter(|step| self.goes(step.digest)) {
            findings.add("S2", format!("{} is deleted and its lock changed in one plan", step.digest));
        }
        for step in steps.untags() {
            let name = step.tag.name.as_str();
            if self.tag_on(step.digest, name).is_none() {
                findings.add("S5", format!("tag {name} does not point at {}", step.digest));
            }
            if self.is_locked(step.digest) {
                findings.add("S2", format!("tag {name} or its manifest is locked"));
            }
            if self.goes(step.digest) {
                findings.add("S5", format!("tag {name} is removed beside its manifest"));
            }
        }
    }

    /// S6: nothing young, and nothing whose age is not known.
    fn old_enough(&self, steps: &Steps, findings: &mut Findings) {
        let floor = self.audit.policies[self.audit.acting].limits.min_age;
        let is_young = |time: Option<Time>| time.is_none_or(|time| self.audit.now.duration_since(time.into()) < floor);
        for step in steps.deletes() {
            let manifest = self.manifest(step.digest);
            let young_tag = self.tags_of(step.digest).iter().any(|tag| is_young(tag.updated_at));
            if manifest.is_none_or(|manifest| is_young(manifest.updated_at)) || young_tag {
                findings.add("S6", format!("{} is younger than the age floor, or its age is not known", step.digest));
            }
        }
        for UntagStep { tag, digest, cause: _ } in steps.untags() {
            let young_manifest = self.manifest(digest).is_some_and(|manifest| is_young(manifest.updated_at));
            if young_manifest || self.tag_on(digest, tag.name.as_str()).is_none_or(|tag| is_young(tag.updated_at)) {
                findings.add("S6", format!("tag {} is younger than the age floor, or its age is not known", tag.name));
            }
        }
    }

    /// S3, S4: what stays keeps its children, its subject, its referrers and its companions, as far as they exist.
    fn survivors_are_whole(&self, findings: &mut Findings) {
        for (manifest, _) in self.manifests(false) {
            for child in manifest.references.children().iter().filter(|child| self.goes(**child)) {
                findings.add("S3", format!("{} stays, but its child {child} goes", manifest.digest));
            }
            if let Some(subject) = manifest.references.subject().filter(|subject| self.goes(*subject)) {
                findings.add("S4", format!("{} stays, but its subject {subject} goes", manifest.digest));
            }
        }
        for (manifest, tags) in self.manifests(true) {
            let subject = manifest.references.subject();
            let by_tag = tags.iter().filter_map(|tag| subject_by_tag(tag.name.as_str()));
            for subject in subject.into_iter().chain(by_tag) {
                if subject != manifest.digest && self.manifest(subject).is_some() && !self.goes(subject) {
                    findings.add("S4", format!("{} goes, but its subject {subject} stays", manifest.digest));
                }
            }
        }
    }

    /// Parents before children, subjects before referrers; and each step says whom it waits for.
    fn holders_go_first(&self, steps: &Steps, findings: &mut Findings) {
        for (place, step) in steps.deletes().enumerate() {
            let Some(manifest) = self.manifest(step.digest) else { continue };
            let held = manifest.references.children().iter().filter(|child| **child != step.digest);
            for child in held {
                if let Some(child_place) = self.deleted(*child) {
                    if child_place < place {
                        findings.add("S3", format!("{child} goes before {}, which lists it", step.digest));
                    } else if !steps.delete(steps.deletes[child_place]).after.digests().any(|holder| holder == step.digest) {
                        findings.add("S3", format!("{child} does not wait for {}, which lists it", step.digest));
                    }
                }
            }
            let subject_place = manifest.references.subject().and_then(|subject| self.deleted(subject));
            let lists_it = || manifest.references.subject().is_some_and(|subject| self.lists(manifest, subject));
            if subject_place.is_some_and(|subject_place| place < subject_place) && !lists_it() {
                findings.add("S4", format!("{} goes before its subject", step.digest));
            }
        }
    }

    /// Whether the manifest lies below a child of the index: then the index goes first, even if it calls the manifest its subject.
    fn lists(&self, index: &Manifest, wanted: Digest) -> bool {
        let mut seen: BTreeSet<Digest> = BTreeSet::from([index.digest]);
        let mut next: Vec<Digest> = index.references.children().to_vec();
        if next.is_empty() {
            return false;
        }
        // Made only where an order is in doubt, which is next to never.
        let mut referrers: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for manifest in self.audit.contents.manifests() {
            let by_tag = self.tags_of(manifest.digest).iter().filter_map(|tag| subject_by_tag(tag.name.as_str()));
            for subject in by_tag.chain(manifest.references.subject()) {
                referrers.entry(subject).or_default().push(manifest.digest);
            }
        }
        while let Some(digest) = next.pop() {
            if digest == wanted {
                return true;
            }
            if seen.insert(digest) {
                next.extend(self.manifest(digest).into_iter().flat_map(|manifest| manifest.references.children()));
                next.extend(referrers.get(&digest).into_iter().flatten());
            }
        }
        false
    }

    /// Semantics 11: so many images of the repository are left.
    fn enough_is_left(&self, findings: &mut Findings) {
        let Some(wanted) = self.audit.policies.iter().map(|policy| policy.limits.keep_at_least as usize).max() else { return };
        let contents = self.audit.contents;
        // What something lists, or what describes something, whether that is there or not.
        let mut held = vec![false; contents.manifests().len()];
        for (place, manifest) in contents.manifests().iter().enumerate() {
            for child in manifest.references.children().iter().filter(|child| **child != manifest.digest) {
                if let Some(child) = contents.find(*child) {
                    held[child as usize] = true;
                }
            }
            if manifest.references.subject().is_some() {
                held[place] = true;
            }
        }
        let (mut left, mut images) = (0, 0);
        for ((place, manifest), deleted) in (0_u32..).zip(contents.manifests()).zip(&self.deleted) {
            let tags = contents.tagged(place);
            let ordinary = tags.iter().any(|tag| subject_by_tag(tag.name.as_str()).is_none());
            let is_there = manifest.references != References::Ghost && manifest.updated_at.is_some();
            if is_there && (ordinary || tags.is_empty() && !held[place as usize]) {
                images += 1;
                left += usize::from(deleted.is_none());
            }
        }
        if left < wanted.min(images) {
            findings.add("L11", format!("{left} of {images} images are left, at least {wanted} were promised"));
        }
    }
}

/// The subject that a companion tag names, read in another way than `evaluate` reads it.
fn subject_by_tag(tag: &str) -> Option<Digest> {
    let stem = [".sig", ".att", ".sbom"].iter().find_map(|suffix| tag.strip_suffix(suffix)).unwrap_or(tag);
    stem.strip_prefix("sha256-").and_then(Digest::from_hex)
}
