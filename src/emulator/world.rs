//! What the registry holds and the laws by which it changes. Knows nothing of HTTP, tokens or time of day: times are handed in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::bin::Bin;
use super::content::{Body, Kind};
use super::digest::Digest;
use super::history::History;
use super::paging::Order;
use super::times::Times;

/// How much later than its `lastUpdateTime` a new repository says it was created.
///
/// Two thirds of the recorded repositories carry a `lastUpdateTime` one to three seconds *before* their `createdTime`; a client must survive that.
const REPOSITORY_CREATED_LAG: SignedDuration = SignedDuration::from_millis(1_350);

/// The four flags of `changeableAttributes`; a lock is `delete` or `write` being false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locks {
    /// `deleteEnabled`.
    pub delete: bool,
    /// `writeEnabled`.
    pub write: bool,
    /// `readEnabled`.
    pub read: bool,
    /// `listEnabled`.
    pub list: bool,
}

impl Locks {
    /// Nothing is locked.
    pub const OPEN: Self = Self { delete: true, write: true, read: true, list: true };
    /// `deleteEnabled: false`.
    pub const NO_DELETE: Self = Self { delete: false, ..Self::OPEN };
    /// `writeEnabled: false`, which alone blocks deletion as well.
    pub const NO_WRITE: Self = Self { write: false, ..Self::OPEN };

    /// Whether the thing that carries these flags may be deleted.
    pub fn allow_delete(self) -> bool {
        self.delete && self.write
    }
}

/// Whether an image may be pulled, in a registry that keeps what is pushed in quarantine first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantine {
    /// It may.
    Passed,
    /// It was looked at and may not.
    Failed,
    /// Nobody has looked at it yet.
    Quarantined,
}

impl Quarantine {
    /// As properties say it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Quarantined => "Quarantined",
        }
    }
}

impl FromStr for Quarantine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Passed, Self::Failed, Self::Quarantined].into_iter().find(|known| known.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| format!("{text:?} is no state of quarantine: write passed, failed or quarantined"))
    }
}

/// Why the registry does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    RepositoryUnknown,
    TagUnknown,
    ManifestUnknown,
    BlobUnknown,
    Locked,
    /// The tag names something else.
    TagExists,
    /// The manifest does not parse, contradicts its content type, or names children that are not there.
    ManifestInvalid,
    /// A config or layer that the manifest names was not uploaded.
    ManifestBlobUnknown(Digest),
}

/// The switches that decide what is not known about the real registry, and what differs between registries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Laws {
    /// Deleting a subject deletes its referrers.
    pub(crate) cascade: bool,
    /// A locked tag protects its manifest from deletion by digest.
    pub(crate) locked_tag_protects: bool,
    /// Locked tags and manifests protect their repository from deletion.
    pub(crate) locked_content_protects: bool,
    /// What is not locked is deleted with a repository that is not.
    pub(crate) partial_repository_delete: bool,
    /// What is deleted can be brought back; the time is now.
    pub(crate) soft_delete: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) digest: Digest,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) locks: Locks,
}

/// One manifest. Kept small: a million of them should fit.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// `createdTime` and `lastUpdateTime`, which are always equal.
    pub(crate) pushed: Timestamp,
    pub(crate) image_size_bytes: u64,
    pub(crate) kind: Arc<Kind>,
    pub(crate) body: Body,
    pub(crate) locks: Locks,
    /// Listed, but every request for it answers that it is unknown.
    pub(crate) ghost: bool,
    /// `None` in a registry without quarantine, which says nothing of it.
    pub(crate) quarantine: Option<Quarantine>,
}

#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) locks: Locks,
    pub(crate) manifests: BTreeMap<Digest, Manifest>,
    pub(crate) tags: BTreeMap<Arc<str>, Tag>,
    /// The same tags by digest, for the `tags` of a manifest.
    tagged: BTreeSet<(Digest, Arc<str>)>,
    /// Subject and referrer; the subject need not exist.
    referrers: BTreeSet<(Digest, Digest)>,
    manifest_times: Times<Digest>,
    tag_times: Times<Arc<str>>,
    /// Blobs that were uploaded.
    pub(super) blobs: HashMap<Digest, Bytes>,
    /// Where the config blobs of drawn images are found, learnt when their manifest is read: a blob is only asked for by those who read it.
    pub(super) drawn_configs: HashMap<Digest, Digest>,
}

/// The repositories by name.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) repositories: BTreeMap<Arc<str>, Repository>,
    pub(crate) bin: Bin,
    pub(crate) history: History,
}

/// What was removed with a manifest, or a tag alone.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) digest: Digest,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) tags: Vec<(Arc<str>, Tag)>,
}

/// What a repository's deletion reports.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    pub(crate) manifests: Vec<Digest>,
    pub(crate) tags: Vec<Arc<str>>,
}

impl World {
    pub(crate) fn repository(&self, name: &str) -> Result<&Repository, Refusal> {
        self.repositories.get(name).filter(|repository| !repository.manifests.is_empty()).ok_or(Refusal::RepositoryUnknown)
    }

    pub(crate) fn repository_mut(&mut self, name: &str) -> Result<&mut Repository, Refusal> {
        self.repositories.get_mut(name).filter(|repository| !repository.manifests.is_empty()).ok_or(Refusal::RepositoryUnknown)
    }

    /// The repository of this name, made when it is not there. Nobody sees it before it holds a manifest, only uploads go into it.
    pub(crate) fn repository_or_new(&mut self, name: &str, now: Timestamp) -> &mut Repository {
        self.repositories.entry(name.into()).or_insert_with(|| Repository::new(now))
    }

    /// Removes one tag. Only the tag's own lock and the repository's write lock count: a manifest's lock does not hold its tags.
    pub(crate) fn untag(&mut self, name: &str, tag: &str, laws: Laws) -> Result<Digest, Refusal> {
        let repository = self.repository_mut(name).map_err(|_| Refusal::TagUnknown)?;
        let found = *repository.tags.get(tag).ok_or(Refusal::TagUnknown)?;
        if !repository.locks.write || !found.locks.allow_delete() {
            return Err(Refusal::Locked);
        }
        repository.remove_tag(tag);
        if let Some(now) = laws.soft_delete {
            self.bin.take(name, Removed { digest: found.digest, manifest: None, tags: vec![(tag.into(), found)] }, now);
        }
        Ok(found.digest)
    }

    /// Removes a manifest with all its tags and, by [`Laws::cascade`], everything that refers to it. The children of an index are neither
    /// protected nor removed. A repository that lost its last manifest is gone.
    pub(crate) fn delete_manifest(&mut self, name: &str, digest: Digest, laws: Laws) -> Result<(), Refusal> {
        let repository = self.repository_mut(name).map_err(|_| Refusal::ManifestUnknown)?;
        let manifest = repository.live_manifest(digest)?;
        let tag_locked = repository.tags_of(digest).any(|tag| repository.tags.get(tag).is_some_and(|tag| !tag.locks.allow_delete()));
        if !repository.locks.write || !manifest.locks.allow_delete() || laws.locked_tag_protects && tag_locked {
            return Err(Refusal::Locked);
        }
        let (mut condemned, mut gone) = (vec![digest], Vec::new());
        while let Some(digest) = condemned.pop() {
            gone.push(repository.remove_manifest(digest));
            if laws.cascade {
                condemned.extend(repository.referrers_of(digest).filter(|referrer| repository.manifests.contains_key(referrer)));
            }
        }
        let is_empty = repository.manifests.is_empty();
        self.throw_away(name, gone, laws);
        if is_empty {
            self.forget(name, laws);
        }
        Ok(())
    }

    /// What was removed is gone, or in the bin.
    fn throw_away(&mut self, name: &str, gone: Vec<Removed>, laws: Laws) {
        if let Some(now) = laws.soft_delete {
            for removed in gone {
                self.bin.take(name, removed, now);
            }
        }
    }

    /// Removes a repository that lost its last manifest.
    fn forget(&mut self, name: &str, laws: Laws) {
        if let Some(repository) = self.repositories.remove(name).filter(|_| laws.soft_delete.is_some()) {
            self.bin.take_blobs(name, repository);
        }
    }

    pub(crate) fn delete_repository(&mut self, name: &str, laws: Laws) -> Result<Deleted, Refusal> {
        let repository = self.repository_mut(name)?;
        let content_locked = laws.locked_content_protects && repository.holds_locks();
        if !repository.locks.allow_delete() || content_locked && !laws.partial_repository_delete {
            return Err(Refusal::Locked);
        }
        let is_free = |digest: &Digest, manifest: &Manifest| {
            let tags_free = || repository.tags_of(*digest).all(|tag| repository.tags.get(tag).is_none_or(|tag| tag.locks.allow_delete()));
            !content_locked || manifest.locks.allow_delete() && tags_free()
        };
        let manifests: Vec<Digest> =
            repository.manifests.iter().filter(|(digest, manifest)| is_free(digest, manifest)).map(|(digest, _)| *digest).collect();
        let gone: Vec<Removed> = manifests.iter().map(|digest| repository.remove_manifest(*digest)).collect();
        let mut tags: Vec<Arc<str>> = gone.iter().flat_map(|removed| &removed.tags).map(|(tag, _)| Arc::clone(tag)).collect();
        self.throw_away(name, gone, laws);
        if content_locked {
            return Err(Refusal::Locked);
        }
        tags.sort();
        self.forget(name, laws);
        Ok(Deleted { manifests, tags })
    }
}

impl Repository {
    fn new(now: Timestamp) -> Self {
        Self {
            created: now.checked_add(REPOSITORY_CREATED_LAG).unwrap_or(now),
            updated: now,
            locks: Locks::OPEN,
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
            tagged: BTreeSet::new(),
            referrers: BTreeSet::new(),
            manifest_times: Times::default(),
            tag_times: Times::default(),
            blobs: HashMap::new(),
            drawn_configs: HashMap::new(),
        }
    }

    fn holds_locks(&self) -> bool {
        self.manifests.values().any(|manifest| !manifest.locks.allow_delete()) || self.tags.values().any(|tag| !tag.locks.allow_delete())
    }

    /// Makes ready for pages in time order.
    pub(crate) fn prepare_manifests(&mut self, order: Order) {
        let Self { manifests, manifest_times, .. } = self;
        manifest_times.prepare(order, manifests.iter().map(|(digest, manifest)| (manifest.pushed, *digest)));
    }

    /// Makes ready for pages in time order.
    pub(crate) fn prepare_tags(&mut self, order: Order) {
        let Self { tags, tag_times, .. } = self;
        tag_times.prepare(order, tags.iter().map(|(name, tag)| (tag.updated, Arc::clone(name))));
    }

    pub(crate) fn manifest_times(&self) -> &Times<Digest> {
        &self.manifest_times
    }

    pub(crate) fn tag_times(&self) -> &Times<Arc<str>> {
        &self.tag_times
    }

    /// Dates a tag that is there.
    pub(crate) fn date_tag(&mut self, name: &str, time: Timestamp) {
        if let Some((name, tag)) = self.tags.get_key_value(name).map(|(name, tag)| (Arc::clone(name), *tag)) {
            self.tag_times.remove(tag.updated, &name);
            self.tag_times.insert(time, &name);
            self.tags.insert(name, Tag { created: time, updated: time, ..tag });
        }
    }

    /// Makes a drawn repository as old as what is in it.
    pub(crate) fn date_by_content(&mut self) {
        let times = || self.manifests.values().map(|manifest| manifest.pushed).chain(self.tags.values().map(|tag| tag.updated));
        if let (Some(first), Some(last)) = (times().min(), times().max()) {
            self.created = first.checked_add(REPOSITORY_CREATED_LAG).unwrap_or(first);
            self.updated = last;
        }
    }

    /// The manifest, unless it is a ghost.
    pub(crate) fn live_manifest(&self, digest: Digest) -> Result<&Manifest, Refusal> {
        self.manifests.get(&digest).filter(|manifest| !manifest.ghost).ok_or(Refusal::ManifestUnknown)
    }

    /// What the quarantine says of a manifest.
    pub(crate) fn quarantine_of(&self, digest: Digest) -> Option<Quarantine> {
        self.manifests.get(&digest).and_then(|manifest| manifest.quarantine)
    }

    /// Whether a manifest is withheld from those who may not look into the quarantine.
    pub(crate) fn is_withheld(&self, digest: Digest) -> bool {
        matches!(self.quarantine_of(digest), Some(Quarantine::Quarantined | Quarantine::Failed))
    }

    /// The tags of a manifest by name, all of them.
    pub(crate) fn tags_of(&self, digest: Digest) -> impl Iterator<Item = &Arc<str>> {
        let first: Arc<str> = Arc::from("");
        self.tagged.range((digest, first)..).take_while(move |(found, _)| *found == digest).map(|(_, tag)| tag)
    }

    /// The manifests whose subject this digest is, by digest.
    pub(crate) fn referrers_of(&self, subject: Digest) -> impl Iterator<Item = Digest> {
        let first = (subject, Digest::LOWEST);
        self.referrers.range(first..).take_while(move |(found, _)| *found == subject).map(|(_, referrer)| *referrer)
    }

    /// Stores a manifest; one that is there already keeps its times and locks.
    pub(crate) fn insert_manifest(&mut self, digest: Digest, manifest: Manifest) {
        self.updated = self.updated.max(manifest.pushed);
        if let Some(subject) = manifest.body.subject() {
            self.referrers.insert((subject, digest));
        }
        let ghost = manifest.ghost;
        if !self.manifests.contains_key(&digest) {
            self.manifest_times.insert(manifest.pushed, &digest);
        }
        self.manifests.entry(digest).or_insert(manifest).ghost = ghost;
    }

    /// Whether a push by this tag is allowed: its own write lock and the repository's decide.
    pub(crate) fn allows_push(&self, tag: Option<&str>) -> bool {
        self.locks.write && tag.and_then(|tag| self.tags.get(tag)).is_none_or(|tag| tag.locks.write)
    }

    /// Makes the tag name this digest. A tag that moves keeps its `createdTime` and locks; one that is pushed again to where it is changes
    /// nothing but its `lastUpdateTime`.
    pub(crate) fn set_tag(&mut self, name: &str, digest: Digest, now: Timestamp) {
        let name: Arc<str> = name.into();
        let tag = match self.tags.get(&name).copied() {
            Some(old) => {
                self.tagged.remove(&(old.digest, Arc::clone(&name)));
                self.tag_times.remove(old.updated, &name);
                Tag { digest, updated: now, ..old }
            }
            None => Tag { digest, created: now, updated: now, locks: Locks::OPEN },
        };
        self.updated = self.updated.max(now);
        self.tagged.insert((digest, Arc::clone(&name)));
        self.tag_times.insert(now, &name);
        self.tags.insert(name, tag);
    }

    /// Whether it was there.
    pub(crate) fn remove_tag(&mut self, name: &str) -> bool {
        let Some((name, tag)) = self.tags.remove_entry(name) else { return false };
        self.tag_times.remove(tag.updated, &name);
        self.tagged.remove(&(tag.digest, name))
    }

    fn remove_manifest(&mut self, digest: Digest) -> Removed {
        let names: Vec<Arc<str>> = self.tags_of(digest).cloned().collect();
        let mut tags = Vec::with_capacity(names.len());
        for name in names {
            tags.extend(self.tags.get(&name).map(|tag| (Arc::clone(&name), *tag)));
            self.remove_tag(&name);
        }
        let manifest = self.manifests.remove(&digest);
        if let Some(manifest) = &manifest {
            self.manifest_times.remove(manifest.pushed, &digest);
            if let Some(subject) = manifest.body.subject() {
                self.referrers.remove(&(subject, digest));
            }
        }
        Removed { digest, manifest, tags }
    }
}
