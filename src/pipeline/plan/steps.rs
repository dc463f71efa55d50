//! The steps in one repository. A million of them may be planned, so each is kept as places in the listing that it was planned from, and is
//! shown as a [`DeleteStep`], an [`UntagStep`] or a [`LockStep`] with all that it names and expects. Does not know how it was decided.

use std::fmt;
use std::sync::Arc;

use crate::model::{Contents, Digest, LockChange, Locks, Manifest, MediaType, Tag, TagName, Time};

use super::super::evaluate::LockPlace;

/// The steps in one repository: locks first, then tags, then manifests in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// The listing that they were planned from: what every step expects to find.
    pub contents: Arc<Contents>,
    /// How many images the repository has.
    pub images: u32,
    /// How many of them go.
    pub images_going: u32,
    /// How many of the images are orphans.
    pub orphans: u32,
    /// How many of the orphans go.
    pub orphans_going: u32,
    /// The newest that the listing saw: what is newer came since.
    pub newest: Newest,
    /// Locks to close and open.
    pub locks: Vec<Relock>,
    /// Tags to remove from manifests that stay.
    pub untags: Vec<Untag>,
    /// Manifests to delete: whatever holds another comes before it.
    pub deletes: Vec<Delete>,
    /// Who waits for whom: a manifest and one that holds it and goes before it, both by their places, in order.
    pub waits: Vec<(u32, u32)>,
    /// Names of rules that steps share.
    pub rules: Vec<RuleNames>,
    /// What asks for locks, shared by those for which the same rules ask.
    pub asked: Vec<Asked>,
}

/// Rules of the acting policy, by name.
pub type RuleNames = Arc<[Arc<str>]>;

/// The newest times of a listing, by the registry's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Newest {
    /// Of all manifests.
    pub manifest: Option<Time>,
    /// Of all tags.
    pub tag: Option<Time>,
}

/// A manifest to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delete {
    /// By its place in the contents.
    pub manifest: u32,
    /// Why.
    pub why: Why,
}

/// A tag to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untag {
    /// By its place in the contents.
    pub tag: u32,
    /// Why.
    pub why: Why,
}

/// A lock to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relock {
    /// Of what.
    pub place: LockPlace,
    /// What changes.
    pub change: LockChange,
    /// Who asks for it, by the place in [`Steps::asked`].
    pub asked: u32,
}

/// Why something is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// These rules, by their place in [`Steps::rules`].
    Rules(u32),
    /// Only this manifest needed it, which goes.
    Image(u32),
    /// An earlier run deleted the image that needed it.
    LeftBehind,
}

/// What asks for a change of locks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The rules that ask for it now; none: rules let go of it.
    pub rules: RuleNames,
    /// The rules whose own lock is opened, because they no longer ask for it.
    pub released_by: RuleNames,
    /// Which rules close what of it: so much of the lock is theirs afterwards.
    pub closed_by: Vec<(Arc<str>, LockChange)>,
}

/// Deletes a manifest, with all its tags, by digest.
#[derive(Debug, Clone, Copy)]
pub struct DeleteStep<'a> {
    /// The manifest, by its place in the contents.
    pub place: u32,
    /// The manifest.
    pub digest: Digest,
    /// What kind of document it is.
    pub media_type: &'a MediaType,
    /// When it was pushed. Anything else, when it is read again, skips the step. None: not known, and then it would not go.
    pub updated_at: Option<Time>,
    /// The size ACR tells: config and layers, shared layers counted each time.
    pub size_bytes: u64,
    /// All its tags. One more, or one elsewhere, skips the step.
    pub tags: &'a [Tag],
    /// The manifests of this plan that hold it: unless all of them are gone, it stays.
    pub after: Holders<'a>,
    /// The manifest that it describes: ACR deletes it with that one, without looking at it.
    pub subject: Option<Digest>,
    /// Why.
    pub cause: Cause<'a>,
}

/// Removes a tag; its manifest stays.
#[derive(Debug, Clone, Copy)]
pub struct UntagStep<'a> {
    /// The tag. Another time or another manifest, when it is read again, skips the step.
    pub tag: &'a Tag,
    /// The manifest it points at.
    pub digest: Digest,
    /// Why.
    pub cause: Cause<'a>,
}

/// Changes attributes of a manifest or a tag.
#[derive(Debug, Clone, Copy)]
pub struct LockStep<'a> {
    /// The manifest, or the manifest that the tag points at.
    pub digest: Digest,
    /// The tag; None: the manifest itself.
    pub tag: Option<&'a TagName>,
    /// All attributes as the listing showed them. Others, when they are read again, skip the step.
    pub from: Locks,
    /// What changes.
    pub change: LockChange,
    /// Which rules close what of it: so much of the lock is theirs afterwards.
    pub closed_by: &'a [(Arc<str>, LockChange)],
    /// Why.
    pub cause: Cause<'a>,
}

/// Why a step is in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause<'a> {
    /// These rules of the policy, by name.
    Rules(&'a [Arc<str>]),
    /// These rules, by name, closed the lock and no longer ask for it.
    Released(&'a [Arc<str>]),
    /// Only this image needed it, which goes.
    Image(Digest),
    /// An earlier run deleted the image that needed it.
    LeftBehind,
}

/// The manifests that go before another because they hold it.
#[derive(Debug, Clone, Copy)]
pub struct Holders<'a> {
    contents: &'a Contents,
    /// Pairs with the same first place.
    waits: &'a [(u32, u32)],
}

impl Steps {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty() && self.removals() == 0
    }

    /// How many manifests and tags are removed: what `max_deletes` limits.
    pub fn removals(&self) -> u32 {
        u32::try_from(self.untags.len() + self.deletes.len()).unwrap_or(u32::MAX)
    }

    /// The manifests to delete, in their order.
    pub fn deletes(&self) -> impl ExactSizeIterator<Item = DeleteStep<'_>> + Clone {
        self.deletes.iter().map(|delete| self.delete(*delete))
    }

    /// The tags to remove from manifests that stay.
    pub fn untags(&self) -> impl ExactSizeIterator<Item = UntagStep<'_>> {
        self.untags.iter().map(|untag| self.untag(*untag))
    }

    /// The locks to change.
    pub fn locks(&self) -> impl ExactSizeIterator<Item = LockStep<'_>> {
        self.locks.iter().map(|relock| self.relock(*relock))
    }

    /// One of these deletions with all that it names.
    pub fn delete(&self, delete: Delete) -> DeleteStep<'_> {
        let Delete { manifest: place, why } = delete;
        let manifest = self.manifest(place);
        DeleteStep {
            place,
            digest: manifest.digest,
            media_type: &manifest.media_type,
            updated_at: manifest.updated_at,
            size_bytes: manifest.size_bytes,
            tags: self.contents.tagged(place),
            after: self.holders_of(place),
            subject: manifest.references.subject(),
            cause: self.cause(why),
        }
    }

    /// One of these removals of tags with all that it names.
    pub fn untag(&self, untag: Untag) -> UntagStep<'_> {
        let tag = &self.contents.tags()[untag.tag as usize];
        UntagStep { tag, digest: tag.digest, cause: self.cause(untag.why) }
    }

    fn relock(&self, relock: Relock) -> LockStep<'_> {
        let Relock { place, change, asked } = relock;
        let (digest, tag, from) = match place {
            LockPlace::Manifest(manifest) => {
                let manifest = self.manifest(manifest);
                (manifest.digest, None, manifest.locks)
            }
            LockPlace::Tag(tag) => {
                let tag = &self.contents.tags()[tag as usize];
                (tag.digest, Some(&tag.name), tag.locks)
            }
        };
        let Asked { rules, released_by, closed_by } = &self.asked[asked as usize];
        let cause = if rules.is_empty() { Cause::Released(released_by) } else { Cause::Rules(rules) };
        LockStep { digest, tag, from, change, closed_by, cause }
    }

    /// The manifests of this plan that hold the one at `place` and go before it.
    pub fn holders_of(&self, place: u32) -> Holders<'_> {
        let from = self.waits.partition_point(|(waiting, _)| *waiting < place);
        let to = self.waits[from..].partition_point(|(waiting, _)| *waiting == place);
        Holders { contents: &self.contents, waits: &self.waits[from..from + to] }
    }

    fn manifest(&self, place: u32) -> &Manifest {
        &self.contents.manifests()[place as usize]
    }

    fn cause(&self, why: Why) -> Cause<'_> {
        match why {
            Why::Rules(rules) => Cause::Rules(&self.rules[rules as usize]),
            Why::Image(manifest) => Cause::Image(self.manifest(manifest).digest),
            Why::LeftBehind => Cause::LeftBehind,
        }
    }
}

impl<'a> Holders<'a> {
    /// By their places in the contents.
    pub fn places(self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.waits.iter().map(|(_, holder)| *holder)
    }

    /// By their digests.
    pub fn digests(self) -> impl ExactSizeIterator<Item = Digest> + 'a {
        self.places().map(move |place| self.contents.manifests()[place as usize].digest)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.waits.is_empty()
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules(rules) => formatter.write_str(&named(rules)),
            Self::Released(rules) => write!(formatter, "no longer locked by {}", named(rules)),
            Self::Image(digest) => write!(formatter, "only {} needed it", digest.short()),
            Self::LeftBehind => formatter.write_str("left behind by an earlier run"),
        }
    }
}

/// `rule a`, `rules a, b`.
fn named(rules: &[Arc<str>]) -> String {
    let names: Vec<&str> = rules.iter().map(AsRef::as_ref).collect();
    format!("{} {}", if names.len() == 1 { "rule" } else { "rules" }, names.join(", "))
}
