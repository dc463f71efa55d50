//! What was found in a registry at one moment, complete or saying what is missing. Does not know how it was read.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Depth, Digest, Facts, Locks, MediaType, Observations, Platform, RegistryName, RepositoryName, TagName, Texts, Time};

/// One look at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The registry's name in the configuration.
    pub registry: RegistryName,
    /// When the first request of the look was sent: nothing pushed later is known here.
    pub taken_at: Timestamp,
    /// The repositories looked at, by name.
    pub repositories: Vec<Repository>,
}

/// One repository of an [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its name.
    pub name: RepositoryName,
    /// Its own lock.
    pub locks: Locks,
    /// What earlier looks and runs noted about it.
    pub observations: Observations,
    /// What is in it.
    pub listing: Listing,
}

/// A listing is complete or it says what is missing; nothing is ever decided from the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Everything was listed and everything that had to be read was read.
    Complete(Arc<Contents>),
    /// Something is missing, so nothing in this repository may be deleted. Never empty.
    Incomplete(Vec<Gap>),
}

/// Something that should have been read and was not: what, and why, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap(pub String);

impl Gap {
    /// What a repository that the registry does not have is missing: everything.
    pub const NO_REPOSITORY: &str = "there is no such repository in the registry";
}

/// Everything in a repository. Made by [`Contents::new`], which orders it and joins tags to manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    manifests: Vec<Manifest>,
    tags: Vec<Tag>,
    /// The manifest of each tag.
    owners: Vec<u32>,
    /// `tags[tag_starts[m]..tag_starts[m + 1]]` are the tags of manifest `m`.
    tag_starts: Vec<u32>,
}

/// A manifest as the listing shows it, with what its document says where that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name.
    pub digest: Digest,
    /// What kind of document it is.
    pub media_type: MediaType,
    /// `lastUpdateTime`: when it was pushed, by the registry's clock. None: missing or unreadable, and then it is kept.
    pub updated_at: Option<Time>,
    /// Its own lock.
    pub locks: Locks,
    /// `imageSize`: config and layers, shared layers counted each time; of an index the sum of its children. Zero: not told.
    pub size_bytes: u64,
    /// What it runs on, by the attributes of the listing. None: they do not tell, as those of an index never do. One allocation for
    /// all of a kind.
    pub platform: Option<Arc<Platform>>,
    /// What its document refers to.
    pub references: References,
    /// The first complete listing that saw it without any tag, if it has none now. None: never seen before.
    pub untagged_since: Option<Time>,
    /// The root whose deletion by this tool was to take this manifest along and did not get to it. Rare, so behind a pointer.
    pub left_behind_by: Option<Box<Digest>>,
    /// What its document and its config say of it; None: nobody asked, or it is a ghost.
    pub facts: Option<Box<Facts>>,
}

/// What a manifest's document says about other manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum References {
    /// Nothing: it names no other manifest.
    None,
    /// It lists children or names a subject, or both.
    To(Box<Tie>),
    /// Listed, but reading it answered "not found" in two runs: a ghost. It is set aside and blocks nothing.
    Ghost,
}

/// The manifests a document names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tie {
    /// The manifests an index lists, in its order; some may be missing from the repository.
    pub children: Vec<Digest>,
    /// The manifest that this one describes (a signature, an SBOM, …).
    pub subject: Option<Digest>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: TagName,
    /// The manifest it points at.
    pub digest: Digest,
    /// `lastUpdateTime`: when it was last pushed or moved, by the registry's clock. None: unknown, and then it is kept.
    pub updated_at: Option<Time>,
    /// Its own lock.
    pub locks: Locks,
}

impl References {
    /// What these children and this subject amount to.
    pub fn new(children: Vec<Digest>, subject: Option<Digest>) -> Self {
        if children.is_empty() && subject.is_none() {
            return Self::None;
        }
        Self::To(Box::new(Tie { children, subject }))
    }

    /// The manifests that an index lists.
    pub fn children(&self) -> &[Digest] {
        match self {
            Self::To(tie) => &tie.children,
            Self::None | Self::Ghost => &[],
        }
    }

    /// The manifest that this one describes.
    pub fn subject(&self) -> Option<Digest> {
        match self {
            Self::To(tie) => tie.subject,
            Self::None | Self::Ghost => None,
        }
    }
}

impl Contents {
    /// Puts manifests in order of digest, and tags in order of their manifests and then of their names: whoever walks through the
    /// manifests walks through the tags beside them, which is what makes a million of them quick.
    ///
    /// # Errors
    /// A manifest or tag listed twice, and a tag whose manifest is not listed: each means that the listing was not one
    /// consistent picture, so it is a gap.
    pub fn new(mut manifests: Vec<Manifest>, mut tags: Vec<Tag>) -> Result<Self, Vec<Gap>> {
        manifests.sort_unstable_by_key(|manifest| manifest.digest);
        tags.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        let mut gaps: Vec<Gap> = Vec::new();
        for pair in manifests.windows(2).filter(|pair| pair[0].digest == pair[1].digest) {
            gaps.push(Gap(format!("manifest {} is listed twice", pair[0].digest)));
        }
        for pair in tags.windows(2).filter(|pair| pair[0].name == pair[1].name) {
            gaps.push(Gap(format!("tag {} is listed twice", pair[0].name)));
        }
        tags.sort_unstable_by(|left, right| left.digest.cmp(&right.digest).then_with(|| left.name.cmp(&right.name)));
        let mut owners = Vec::with_capacity(tags.len());
        let mut manifest = 0;
        for tag in &tags {
            while manifests.get(manifest).is_some_and(|manifest| manifest.digest < tag.digest) {
                manifest += 1;
            }
            if manifests.get(manifest).is_none_or(|manifest| manifest.digest != tag.digest) {
                gaps.push(Gap(format!("tag {} points at {}, which is not listed", tag.name, tag.digest)));
            }
            owners.push(index(manifest));
        }
        if !gaps.is_empty() {
            return Err(gaps);
        }
        let mut tag_starts = vec![0_u32; manifests.len() + 1];
        for owner in &owners {
            tag_starts[*owner as usize + 1] += 1;
        }
        for manifest in 0..manifests.len() {
            tag_starts[manifest + 1] += tag_starts[manifest];
        }
        Ok(Self { manifests, tags, owners, tag_starts })
    }

    /// The manifests and the tags, to be changed and put together again.
    pub fn into_parts(self) -> (Vec<Manifest>, Vec<Tag>) {
        (self.manifests, self.tags)
    }

    /// The manifests, by digest.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// The tags, by manifest and then by name.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The place of a manifest in [`Self::manifests`].
    pub fn find(&self, digest: Digest) -> Option<u32> {
        self.manifests.binary_search_by_key(&digest, |manifest| manifest.digest).ok().map(index)
    }

    /// The place in [`Self::manifests`] of the manifest that the tag at `tag` points at.
    pub fn owner_of(&self, tag: u32) -> u32 {
        self.owners[tag as usize]
    }

    /// The places in [`Self::tags`] of the tags of the manifest at `manifest`, by name.
    pub fn tags_of(&self, manifest: u32) -> Range<u32> {
        self.tag_starts[manifest as usize]..self.tag_starts[manifest as usize + 1]
    }

    /// The tags of the manifest at `manifest`, by name.
    pub fn tagged(&self, manifest: u32) -> &[Tag] {
        let Range { start, end } = self.tags_of(manifest);
        &self.tags[start as usize..end as usize]
    }

    /// What was asked of every manifest and is not known of some: one gap for each kind. What nobody read cannot be guessed.
    pub fn unread(&self, depth: Depth) -> Vec<Gap> {
        let there = || self.manifests.iter().filter(|manifest| manifest.references != References::Ghost);
        let document = |manifest: &&Manifest| manifest.facts.is_none();
        let labels = |manifest: &&Manifest| manifest.facts.as_ref().is_none_or(|facts| facts.labels == Texts::NotRead);
        let gap = |what: &str, manifest: &Manifest| {
            Gap(format!(
                "a rule asks for {what}, and the listing does not have those of {}; take it anew with these policies",
                manifest.digest
            ))
        };
        let documents = there().find(document).filter(|_| depth.documents).map(|manifest| gap("artifact types or annotations", manifest));
        let labels = there().find(labels).filter(|_| depth.labels).map(|manifest| gap("labels", manifest));
        documents.into_iter().chain(labels).collect()
    }

    /// The place in [`Self::tags`] of the tag of this name. Looks at every tag: for a question, not for a loop.
    pub fn find_tag(&self, name: &TagName) -> Option<u32> {
        self.tags.iter().position(|tag| tag.name == *name).map(index)
    }
}

/// Places are 32 bits wide: a repository of four billion manifests is far beyond what paging bounds let in.
fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(byte: u8) -> Manifest {
        Manifest {
            digest: Digest::from_bytes([byte; 32]),
            media_type: MediaType::DockerManifest,
            updated_at: None,
            locks: Locks::OPEN,
            size_bytes: 0,
            platform: None,
            references: References::None,
            untagged_since: None,
            left_behind_by: None,
            facts: None,
        }
    }

    fn tag(name: &str, byte: u8) -> Tag {
        let name = TagName::parse(name).expect("a tag");
        Tag { name, digest: Digest::from_bytes([byte; 32]), updated_at: None, locks: Locks::OPEN }
    }

    #[test]
    fn tags_are_joined_to_their_manifests_whatever_the_order() {
        let contents =
            Contents::new(vec![manifest(3), manifest(1), manifest(2)], vec![tag("z", 1), tag("b", 3), tag("a", 1)]).expect("consistent");
        let names = |place: u32| -> Vec<&str> { contents.tagged(place).iter().map(|tag| tag.name.as_str()).collect() };
        assert_eq!(names(0), ["a", "z"]);
        assert!(names(1).is_empty());
        assert_eq!(names(2), ["b"]);
        assert_eq!(contents.find(Digest::from_bytes([2; 32])), Some(1));
    }

    #[test]
    fn an_inconsistent_listing_is_a_gap() {
        let gaps = Contents::new(vec![manifest(1), manifest(1)], vec![tag("a", 9), tag("b", 1), tag("b", 1)]).expect_err("three gaps");
        assert_eq!(gaps.len(), 3, "{gaps:?}");
    }
}
