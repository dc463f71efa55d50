//! Which manifest holds which: an index its children, a subject its referrers and companions. Knows no policy and no time.

use crate::model::Contents;

/// How a holder holds what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// An index its child.
    Child,
    /// A subject the manifest whose `subject` it is. ACR deletes the second with the first.
    Referrer,
    /// A subject the manifest that a companion tag ties to it.
    Companion,
}

/// The other end of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The manifest, by its place.
    pub manifest: u32,
    /// How it holds or is held.
    pub hold: Hold,
}

/// The holds of a repository, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    held: Adjacency,
    holders: Adjacency,
    companion_tags: Vec<u32>,
}

impl Graph {
    pub(super) fn new(contents: &Contents) -> Self {
        let mut holds = Vec::new();
        for (holder, manifest) in (0_u32..).zip(contents.manifests()) {
            for child in manifest.references.children() {
                holds.extend(contents.find(*child).map(|held| (holder, held, Hold::Child)));
            }
            if let Some(subject) = manifest.references.subject() {
                holds.extend(contents.find(subject).map(|subject| (subject, holder, Hold::Referrer)));
            }
        }
        let mut companion_tags = Vec::new();
        for (place, tag) in (0_u32..).zip(contents.tags()) {
            if let Some(subject) = tag.name.companion_subject() {
                companion_tags.push(place);
                holds.extend(contents.find(subject).map(|subject| (subject, contents.owner_of(place), Hold::Companion)));
            }
        }
        holds.retain(|(holder, held, _)| holder != held);
        let manifests = contents.manifests().len();
        let held = Adjacency::new(manifests, holds.iter().map(|(holder, held, hold)| (*holder, End { manifest: *held, hold: *hold })));
        let holders = Adjacency::new(manifests, holds.iter().map(|(holder, held, hold)| (*held, End { manifest: *holder, hold: *hold })));
        Self { held, holders, companion_tags }
    }

    /// What this manifest holds.
    pub fn held_by(&self, manifest: u32) -> &[End] {
        self.held.of(manifest)
    }

    /// What holds this manifest.
    pub fn holders_of(&self, manifest: u32) -> &[End] {
        self.holders.of(manifest)
    }

    /// Whether the tag is a companion tag.
    pub fn is_companion_tag(&self, tag: u32) -> bool {
        self.companion_tags.binary_search(&tag).is_ok()
    }
}

/// Sorted ends for each manifest that has any. Most have none, so only those that do take room.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Adjacency {
    starts: Vec<u32>,
    ends: Vec<End>,
}

impl Adjacency {
    fn new(manifests: usize, ends: impl Iterator<Item = (u32, End)>) -> Self {
        let mut pairs: Vec<(u32, End)> = ends.collect();
        pairs.sort_unstable();
        pairs.dedup();
        if pairs.is_empty() {
            return Self { starts: Vec::new(), ends: Vec::new() };
        }
        let mut starts = vec![0; manifests + 1];
        for (from, _) in &pairs {
            starts[*from as usize + 1] += 1;
        }
        for place in 0..manifests {
            starts[place + 1] += starts[place];
        }
        Self { starts, ends: pairs.into_iter().map(|(_, end)| end).collect() }
    }

    fn of(&self, manifest: u32) -> &[End] {
        let bounds = (self.starts.get(manifest as usize), self.starts.get(manifest as usize + 1));
        let (Some(start), Some(end)) = bounds else { return &[] };
        &self.ends[*start as usize..*end as usize]
    }
}
