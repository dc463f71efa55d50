//! What the structural check hands to the resolver: values of the right kind, keys that exist, each with its place and path.
//! What is wrong has been reported and is `Bad` here, so that nothing is reported twice.

use super::problem::{Complaint, Mark, Place, Problem, Source};
use crate::policy::{Age, Size};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) place: Place,
    /// Such as `policies[0].rules[2].delete.older_than`.
    pub(super) path: String,
    pub(super) content: Content,
}

/// A value of the kind that belongs there.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Reported already.
    Bad,
    Text(String),
    Age(Age),
    Size(Size),
    Integer(u64),
    Bool(bool),
    /// A word of a `Choice`.
    Word(&'static str),
    List(Vec<Item>),
    Object(Object),
}

/// The keys of an object that were written, the good ones and the bad ones.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// The name of its shape; tells variants apart.
    pub(super) shape: &'static str,
    pub(super) fields: Vec<(&'static str, Item)>,
}

impl Item {
    /// Reports something about this value.
    pub(super) fn problem(&self, source: &Source, complaint: Complaint) -> Problem {
        source.problem(self.place, &self.path, complaint)
    }

    /// Where it is written.
    pub(super) fn mark(&self) -> Mark {
        Mark { place: self.place, path: self.path.clone() }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Content::Text(text) = &self.content { Some(text) } else { None }
    }

    pub(super) fn as_object(&self) -> Option<&Object> {
        if let Content::Object(object) = &self.content { Some(object) } else { None }
    }

    pub(super) fn items(&self) -> &[Item] {
        if let Content::List(items) = &self.content { items } else { &[] }
    }
}

impl Object {
    /// The value of a key, when it is written, bad or good.
    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.fields.iter().find(|(name, _)| *name == key).map(|(_, item)| item)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    pub(super) fn object(&self, key: &str) -> Option<&Object> {
        self.get(key)?.as_object()
    }

    pub(super) fn age(&self, key: &str) -> Option<Age> {
        if let Content::Age(age) = self.get(key)?.content { Some(age) } else { None }
    }

    pub(super) fn size(&self, key: &str) -> Option<Size> {
        if let Content::Size(size) = self.get(key)?.content { Some(size) } else { None }
    }

    pub(super) fn integer(&self, key: &str) -> Option<u64> {
        if let Content::Integer(value) = self.get(key)?.content { Some(value) } else { None }
    }

    pub(super) fn bool(&self, key: &str) -> Option<bool> {
        if let Content::Bool(value) = self.get(key)?.content { Some(value) } else { None }
    }

    pub(super) fn word(&self, key: &str) -> Option<&'static str> {
        if let Content::Word(word) = self.get(key)?.content { Some(word) } else { None }
    }

    /// The items of a list; none when the key is not written.
    pub(super) fn items(&self, key: &str) -> &[Item] {
        self.get(key).map(Item::items).unwrap_or_default()
    }
}
