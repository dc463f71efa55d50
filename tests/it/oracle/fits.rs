//! What filters ask of a manifest, by the configuration reference: yes, no, or not to be said.

use retaind::model::{Manifest, Platform, References, Texts};
use retaind::policy::{END_OF_LIFE_KEY, Filter, KeyValue, LIFECYCLE_ARTIFACT_TYPE, Pattern, end_of_life};

use super::Oracle;

/// In the order in which the least of several is the answer to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    Unknown,
    Yes,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// What several say of one: what all of them say, else nobody can tell.
fn agreed(answers: &[Fit]) -> Fit {
    match answers {
        [] => Fit::No,
        [first, others @ ..] if others.iter().all(|other| other == first) => *first,
        _ => Fit::Unknown,
    }
}

fn pairs(wanted: &[KeyValue], texts: &Texts) -> Fit {
    match texts {
        Texts::NotRead | Texts::Unreadable(_) => Fit::Unknown,
        Texts::Known(pairs) => {
            let fits = |wanted: &KeyValue, (key, value): (&str, &str)| {
                *wanted.key == *key && wanted.value.as_ref().is_none_or(|glob| glob.matches(value))
            };
            Fit::from(wanted.iter().any(|wanted| pairs.iter().any(|pair| fits(wanted, pair))))
        }
    }
}

fn any(globs: &[Pattern], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

impl Oracle<'_> {
    /// Whether the manifest fits every filter.
    pub(super) fn fits(&self, filters: &[Filter], manifest: usize) -> Fit {
        filters.iter().map(|filter| self.fits_one(filter, manifest)).min().unwrap_or(Fit::Yes)
    }

    fn fits_one(&self, filter: &Filter, place: usize) -> Fit {
        let manifest = &self.world.manifests[place];
        let facts = manifest.facts.as_deref();
        match filter {
            Filter::MediaType(globs) => Fit::from(any(globs, manifest.media_type.as_str())),
            Filter::LargerThan(_) if manifest.size_bytes == 0 => Fit::Unknown,
            Filter::LargerThan(size) => Fit::from(size.bytes() < manifest.size_bytes),
            Filter::ArtifactType(globs) => facts.map_or(Fit::Unknown, |facts| {
                Fit::from(facts.artifact_type.as_deref().is_some_and(|artifact_type| any(globs, artifact_type)))
            }),
            Filter::Annotation(wanted) => facts.map_or(Fit::Unknown, |facts| pairs(wanted, &facts.annotations)),
            Filter::Platform(wanted) => self.runs_on(wanted, place),
            Filter::Label(wanted) => self.is_labelled(wanted, place),
            Filter::EndOfLife => self.is_at_its_end(place),
        }
    }

    /// Whatever is below an index and is no index itself; None: some of it is missing.
    fn leaves(&self, index: usize) -> Option<Vec<usize>> {
        let (mut seen, mut leaves, mut next) = (vec![index], Vec::new(), vec![index]);
        while let Some(index) = next.pop() {
            for child in self.world.manifests[index].references.children() {
                let child = self.find(*child)?;
                if seen.contains(&child) {
                    continue;
                }
                seen.push(child);
                if is_index(&self.world.manifests[child]) { next.push(child) } else { leaves.push(child) }
            }
        }
        Some(leaves)
    }

    fn runs_on(&self, wanted: &[Platform], place: usize) -> Fit {
        let one = |place: usize| match &self.world.manifests[place].platform {
            // What says that it runs on nothing, and is asked by itself, may well be an image of an unknown platform.
            None => Fit::Unknown,
            Some(platform) if platform.is_none() => Fit::Unknown,
            Some(platform) => {
                let same = |wanted: &&Platform| wanted.os == platform.os && wanted.architecture == platform.architecture;
                let named: Vec<&Platform> = wanted.iter().filter(same).collect();
                // A variant is never listed.
                if named.iter().any(|wanted| wanted.variant.is_none()) {
                    Fit::Yes
                } else if named.is_empty() {
                    Fit::No
                } else {
                    Fit::Unknown
                }
            }
        };
        if !is_index(&self.world.manifests[place]) {
            return one(place);
        }
        let children = self.world.manifests[place].references.children();
        // Of an index in an index nobody can say.
        let Some(leaves) = children.iter().map(|child| self.find(*child)).collect::<Option<Vec<usize>>>() else { return Fit::Unknown };
        // Attestations run on nothing, which says nothing of the index.
        let is_image = |leaf: &usize| self.world.manifests[*leaf].platform.as_ref().is_none_or(|platform| !platform.is_none());
        let answers: Vec<Fit> = leaves.into_iter().filter(is_image).map(one).collect();
        if answers.is_empty() { Fit::Unknown } else { agreed(&answers) }
    }

    fn is_labelled(&self, wanted: &[KeyValue], place: usize) -> Fit {
        let one = |place: usize| self.world.manifests[place].facts.as_ref().map_or(Fit::Unknown, |facts| pairs(wanted, &facts.labels));
        if !is_index(&self.world.manifests[place]) {
            return one(place);
        }
        let Some(leaves) = self.leaves(place) else { return Fit::Unknown };
        let has_none = |leaf: &usize| matches!(self.world.manifests[*leaf].facts.as_ref().map(|facts| &facts.labels), Some(Texts::Known(labels)) if labels.is_empty());
        let answers: Vec<Fit> = leaves.into_iter().filter(|leaf| !has_none(leaf)).map(one).collect();
        agreed(&answers)
    }

    fn is_at_its_end(&self, place: usize) -> Fit {
        let referrers = self.manifests().filter(|referrer| self.is_referrer(*referrer, place) && !self.is_ghost(*referrer));
        let mut dates = Vec::new();
        for tells in std::iter::once(place).chain(referrers) {
            let Some(facts) = &self.world.manifests[tells].facts else { return Fit::Unknown };
            if tells != place && facts.artifact_type.as_deref() != Some(LIFECYCLE_ARTIFACT_TYPE) {
                continue;
            }
            let Texts::Known(annotations) = &facts.annotations else { return Fit::Unknown };
            for (_, date) in annotations.iter().filter(|(key, _)| *key == END_OF_LIFE_KEY) {
                let Some(date) = end_of_life(date) else { return Fit::Unknown };
                dates.push(date);
            }
        }
        dates.into_iter().max().map_or(Fit::No, |latest| Fit::from(latest < self.world.now))
    }
}

fn is_index(manifest: &Manifest) -> bool {
    manifest.media_type.is_index() || !manifest.references.children().is_empty() && manifest.references != References::Ghost
}
