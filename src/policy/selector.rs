//! Selectors: which items a rule is about. Says what is asked for; whether an item fits is found by `evaluate`, and once more by the
//! audit.

use crate::model::{Depth, Platform};

use super::{KeyValue, Pattern, Size, TagPattern};

/// What a rule is about: items of a kind whose manifests fit every filter.
#[derive(Debug, Clone)]
pub struct Selector {
    /// Which kind of item.
    pub about: About,
    /// All of these must fit. Where one cannot be answered, a delete or unlock rule does not choose the item, and a keep or lock rule
    /// does: what is not known is kept.
    pub filters: Vec<Filter>,
}

/// A kind of item.
#[derive(Debug, Clone)]
pub enum About {
    /// Ordinary tags; companion tags (`sha256-<hex>.sig` …) live and die with their subject and are never chosen.
    Tags(TagPattern),
    /// Manifests without any tag that nothing in the repository lists, and that name no subject, present or absent; to keep, orphans
    /// without a tag as well.
    Untagged,
    /// Referrers and companions whose subject is not in the repository, as long as nothing else holds or names them.
    Orphaned,
    /// Every image: all ordinary tags, and all that `Untagged` is about; to keep, all orphans as well. What filters by themselves are about.
    Images,
}

/// A demand on the manifest of an item. A list within one is ORed.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Its media type matches one of these globs.
    MediaType(Vec<Pattern>),
    /// It runs on one of these: the registry's attributes tell. An index runs on what its children run on.
    Platform(Vec<Platform>),
    /// It takes more bytes than this. ACR's number: config and layers, shared layers counted each time; of an index the sum of its
    /// children.
    LargerThan(Size),
    /// Its artifact type, or else the media type of its config, matches one of these globs.
    ArtifactType(Vec<Pattern>),
    /// Its document has one of these annotations.
    Annotation(Vec<KeyValue>),
    /// Its config has one of these labels. An index has those of the images below it.
    Label(Vec<KeyValue>),
    /// Its life is over, as its own annotation or that of a lifecycle referrer tells.
    EndOfLife,
}

impl Selector {
    /// A selector without filters.
    pub const fn all(about: About) -> Self {
        Self { about, filters: Vec::new() }
    }

    /// How closely it must see a repository.
    pub fn depth(&self) -> Depth {
        self.filters.iter().map(Filter::depth).fold(Depth::default(), Depth::or)
    }

    /// Ordinary tags of this pattern, whatever their manifests.
    pub const fn tags(pattern: TagPattern) -> Self {
        Self::all(About::Tags(pattern))
    }
}

impl Filter {
    /// How closely it must see a repository.
    pub const fn depth(&self) -> Depth {
        match self {
            Self::MediaType(_) | Self::Platform(_) | Self::LargerThan(_) => Depth { documents: false, labels: false },
            Self::ArtifactType(_) | Self::Annotation(_) | Self::EndOfLife => Depth { documents: true, labels: false },
            Self::Label(_) => Depth { documents: true, labels: true },
        }
    }

    /// The key that it is written with.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::MediaType(_) => "media_type",
            Self::Platform(_) => "platform",
            Self::LargerThan(_) => "larger_than",
            Self::ArtifactType(_) => "artifact_type",
            Self::Annotation(_) => "annotation",
            Self::Label(_) => "label",
            Self::EndOfLife => "end_of_life",
        }
    }
}
