//! What a manifest's document and its config say of it, for selectors that ask. Does not know who asks, or how it was read.

use super::Digest;

/// How far a look goes beyond what the lists show and what documents refer to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Every manifest's document: artifact type and annotations.
    pub documents: bool,
    /// Every image's config: labels. It is found through the document, so this goes no further without the other.
    pub labels: bool,
}

impl Depth {
    /// As far as either goes.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { documents: self.documents || other.documents, labels: self.labels || other.labels }
    }
}

/// What a document and its config say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `artifactType`, or else the media type of the config; None where the document names neither.
    pub artifact_type: Option<Box<str>>,
    /// The document's annotations.
    pub annotations: Texts,
    /// The labels of the image's config; [`Texts::Known`] and empty for what has no config.
    pub labels: Texts,
}

/// Keys with their values, as far as they could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Texts {
    /// Nobody asked.
    NotRead,
    /// Asked for and not to be had: why, as half a sentence. What they are is unknown.
    Unreadable(Box<str>),
    /// These, by key.
    Known(Pairs),
}

/// Keys with their values, by key. A million manifests may have some, so they lie side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(Box<[(Box<str>, Box<str>)]>);

/// The config that a document names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigBlob {
    /// The blob.
    pub digest: Digest,
    /// Its size as the document tells it.
    pub size_bytes: Option<u64>,
}

impl Texts {
    /// None at all, and that is known.
    pub fn none() -> Self {
        Self::Known(Pairs::default())
    }
}

impl Pairs {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let place = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(key)).ok()?;
        Some(&self.0[place].1)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Box<str>, Box<str>)> for Pairs {
    /// Of a key that comes twice, the last value counts, as in JSON.
    fn from_iter<I: IntoIterator<Item = (Box<str>, Box<str>)>>(pairs: I) -> Self {
        let pairs: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
        Self(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_by_key_and_the_last_of_a_key_counts() {
        let pairs: Pairs = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!((pairs.get("b"), pairs.get("c")), (Some("3"), None));
    }
}
