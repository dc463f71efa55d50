//! Inventories as JSON: saved listings with their observations, or listings written by hand or by another tool.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    Condemned, Contents, Digest, Facts, Gap, Inventory, Listing, LockChange, Locks, Manifest, Mark, MediaType, Observations, OwnLock,
    Platform, References, RegistryName, Repository, RepositoryName, Tag, TagName, Texts, Time,
};

use super::{InvalidDocument, is_false, read, write};

const FORMAT: &str = "retaind/inventory";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InventoryDocument {
    format: String,
    version: u32,
    registry: String,
    taken_at: Timestamp,
    repositories: Vec<RepositoryDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositoryDocument {
    name: String,
    #[serde(default, skip_serializing_if = "LocksDocument::is_open")]
    locks: LocksDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    condemned: Vec<CondemnedDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    own_locks: Vec<OwnLockDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incomplete: Vec<String>,
    #[serde(default)]
    manifests: Vec<ManifestDocument>,
    #[serde(default)]
    tags: Vec<TagDocument>,
}

/// Attributes that are left out are open: in a listing of ours nothing is unknown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LocksDocument {
    can_delete: bool,
    can_write: bool,
    can_read: bool,
    can_list: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestDocument {
    digest: String,
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    #[serde(default)]
    size_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    os: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    architecture: Option<String>,
    #[serde(default, skip_serializing_if = "LocksDocument::is_open")]
    locks: LocksDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    children: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    ghost: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    untagged_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_behind_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    facts: Option<FactsDocument>,
}

/// What the document and the config say. What is left out of it: `artifact_type` names none, `annotations` has none, `labels` was not
/// read.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "TextsDocument::is_empty")]
    annotations: TextsDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<TextsDocument>,
}

/// Keys with their values, or why they cannot be read.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TextsDocument {
    Known(BTreeMap<String, String>),
    Unreadable(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkDocument {
    policy: String,
    rule: String,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct CondemnedDocument {
    #[serde(flatten)]
    mark: MarkDocument,
    since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct OwnLockDocument {
    #[serde(flatten)]
    mark: MarkDocument,
    closed: Vec<Attribute>,
    left: LocksDocument,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Attribute {
    #[serde(rename = "can_delete")]
    Delete,
    #[serde(rename = "can_write")]
    Write,
    #[serde(rename = "can_read")]
    Read,
    #[serde(rename = "can_list")]
    List,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TagDocument {
    name: String,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "LocksDocument::is_open")]
    locks: LocksDocument,
}

impl Default for LocksDocument {
    fn default() -> Self {
        Self::from(Locks::OPEN)
    }
}

impl From<Locks> for LocksDocument {
    fn from(locks: Locks) -> Self {
        let Locks { can_delete, can_write, can_read, can_list } = locks;
        Self { can_delete, can_write, can_read, can_list }
    }
}

impl From<LocksDocument> for Locks {
    fn from(document: LocksDocument) -> Self {
        let LocksDocument { can_delete, can_write, can_read, can_list } = document;
        Self { can_delete, can_write, can_read, can_list }
    }
}

impl Default for TextsDocument {
    fn default() -> Self {
        Self::Known(BTreeMap::new())
    }
}

impl TextsDocument {
    fn is_empty(&self) -> bool {
        match self {
            Self::Known(pairs) => pairs.is_empty(),
            Self::Unreadable(_) => false,
        }
    }
}

impl LocksDocument {
    fn is_open(&self) -> bool {
        let Self { can_delete, can_write, can_read, can_list } = *self;
        can_delete && can_write && can_read && can_list
    }
}

/// Writes an inventory.
pub fn inventory_to_json(inventory: &Inventory) -> String {
    let repository = |repository: &Repository| {
        let (incomplete, manifests, tags) = match &repository.listing {
            Listing::Complete(contents) => (
                Vec::new(),
                contents.manifests().iter().map(manifest_document).collect(),
                contents.tags().iter().map(tag_document).collect(),
            ),
            Listing::Incomplete(gaps) => (gaps.iter().map(|gap| gap.0.clone()).collect(), Vec::new(), Vec::new()),
        };
        RepositoryDocument {
            name: repository.name.to_string(),
            locks: repository.locks.into(),
            observed_since: repository.observations.since,
            condemned: repository.observations.condemned.iter().map(condemned_document).collect(),
            own_locks: repository.observations.own_locks.iter().map(own_lock_document).collect(),
            incomplete,
            manifests,
            tags,
        }
    };
    write(&InventoryDocument {
        format: FORMAT.to_owned(),
        version: VERSION,
        registry: inventory.registry.to_string(),
        taken_at: inventory.taken_at,
        repositories: inventory.repositories.iter().map(repository).collect(),
    })
}

fn manifest_document(manifest: &Manifest) -> ManifestDocument {
    let Manifest { digest, media_type, updated_at, locks, size_bytes, platform, references, untagged_since, left_behind_by, facts } =
        manifest;
    let children: Vec<String> = references.children().iter().map(Digest::to_string).collect();
    ManifestDocument {
        digest: digest.to_string(),
        media_type: media_type.to_string(),
        updated_at: updated_at.map(Timestamp::from),
        size_bytes: *size_bytes,
        os: platform.as_ref().map(|platform| platform.os.to_string()),
        architecture: platform.as_ref().map(|platform| platform.architecture.to_string()),
        locks: (*locks).into(),
        children: (media_type.is_index() || !children.is_empty()).then_some(children),
        subject: references.subject().map(|subject| subject.to_string()),
        ghost: *references == References::Ghost,
        untagged_since: untagged_since.map(Timestamp::from),
        left_behind_by: left_behind_by.as_ref().map(|root| root.to_string()),
        facts: facts.as_deref().map(facts_document),
    }
}

fn facts_document(facts: &Facts) -> FactsDocument {
    let Facts { artifact_type, annotations, labels } = facts;
    FactsDocument {
        artifact_type: artifact_type.as_deref().map(str::to_owned),
        annotations: texts_document(annotations).unwrap_or_default(),
        labels: texts_document(labels),
    }
}

fn texts_document(texts: &Texts) -> Option<TextsDocument> {
    match texts {
        Texts::NotRead => None,
        Texts::Unreadable(why) => Some(TextsDocument::Unreadable(why.to_string())),
        Texts::Known(pairs) => Some(TextsDocument::Known(pairs.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())),
    }
}

fn mark_document(mark: &Mark) -> MarkDocument {
    let Mark { policy, rule, digest, tag } = mark;
    MarkDocument {
        policy: policy.to_string(),
        rule: rule.to_string(),
        digest: digest.to_string(),
        tag: tag.as_ref().map(ToString::to_string),
    }
}

fn condemned_document(condemned: &Condemned) -> CondemnedDocument {
    let Condemned { mark, since } = condemned;
    CondemnedDocument { mark: mark_document(mark), since: *since }
}

fn own_lock_document(lock: &OwnLock) -> OwnLockDocument {
    let OwnLock { mark, closed: LockChange { can_delete, can_write, can_read, can_list }, left } = lock;
    let closed =
        [(*can_delete, Attribute::Delete), (*can_write, Attribute::Write), (*can_read, Attribute::Read), (*can_list, Attribute::List)];
    let closed = closed.into_iter().filter(|(value, _)| *value == Some(false)).map(|(_, attribute)| attribute).collect();
    OwnLockDocument { mark: mark_document(mark), closed, left: (*left).into() }
}

fn tag_document(tag: &Tag) -> TagDocument {
    let Tag { name, digest, updated_at, locks } = tag;
    TagDocument { name: name.to_string(), digest: digest.to_string(), updated_at: updated_at.map(Timestamp::from), locks: (*locks).into() }
}

/// Reads an inventory.
///
/// # Errors
/// Text that is not such a document, with line and column; a name, digest or time that is none; an index that does not say what
/// its children are. A listing that contradicts itself is not an error: its repository is incomplete, and nothing is planned in it.
pub fn inventory_from_json(text: &str) -> Result<Inventory, InvalidDocument> {
    let document: InventoryDocument = read(text, FORMAT, VERSION)?;
    let registry = RegistryName::parse(&document.registry).map_err(|error| InvalidDocument::at("registry", error))?;
    let mut repositories = Vec::with_capacity(document.repositories.len());
    for (place, repository) in document.repositories.into_iter().enumerate() {
        repositories.push(repository_from(&format!("repositories[{place}]"), repository)?);
    }
    repositories.sort_by(|left, right| left.name.cmp(&right.name));
    if let Some(pair) = repositories.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(InvalidDocument::at("repositories", format!("{} is there twice", pair[0].name)));
    }
    Ok(Inventory { registry, taken_at: document.taken_at, repositories })
}

fn repository_from(place: &str, document: RepositoryDocument) -> Result<Repository, InvalidDocument> {
    let RepositoryDocument { name, locks, observed_since, condemned, own_locks, incomplete, manifests, tags } = document;
    let name = RepositoryName::parse(&name).map_err(|error| InvalidDocument::at(&format!("{place}.name"), error))?;
    let manifests: Result<Vec<Manifest>, _> = manifests
        .into_iter()
        .enumerate()
        .map(|(number, manifest)| manifest_from(&format!("{place}.manifests[{number}]"), manifest))
        .collect();
    let tags: Result<Vec<Tag>, _> =
        tags.into_iter().enumerate().map(|(number, tag)| tag_from(&format!("{place}.tags[{number}]"), tag)).collect();
    let (manifests, tags) = (manifests?, tags?);
    let listing = if incomplete.is_empty() {
        Contents::new(manifests, tags).map_or_else(Listing::Incomplete, |contents| Listing::Complete(Arc::new(contents)))
    } else {
        Listing::Incomplete(incomplete.into_iter().map(Gap).collect())
    };
    // A saved listing is never applied by itself, so its size is not held against earlier ones.
    let mut observations = Observations { since: observed_since, ..Observations::default() };
    for (number, CondemnedDocument { mark, since }) in condemned.into_iter().enumerate() {
        observations.condemned.push(Condemned { mark: mark_from(&format!("{place}.condemned[{number}]"), mark)?, since });
    }
    observations.condemned.sort_unstable();
    for (number, OwnLockDocument { mark, closed, left }) in own_locks.into_iter().enumerate() {
        let set = |attribute| closed.contains(&attribute).then_some(false);
        let closed = LockChange {
            can_delete: set(Attribute::Delete),
            can_write: set(Attribute::Write),
            can_read: set(Attribute::Read),
            can_list: set(Attribute::List),
        };
        let mark = mark_from(&format!("{place}.own_locks[{number}]"), mark)?;
        observations.own_locks.push(OwnLock { mark, closed, left: left.into() });
    }
    // A saved listing is never applied by itself, so nothing needs to be held against it.
    Ok(Repository { name, locks: locks.into(), observations, listing })
}

fn mark_from(place: &str, document: MarkDocument) -> Result<Mark, InvalidDocument> {
    let MarkDocument { policy, rule, digest, tag } = document;
    let tag = tag.map(|tag| TagName::parse(&tag)).transpose().map_err(|error| InvalidDocument::at(&format!("{place}.tag"), error))?;
    let digest = digest.parse().map_err(|error| InvalidDocument::at(&format!("{place}.digest"), error))?;
    Ok(Mark { policy: policy.into(), rule: rule.into(), digest, tag })
}

fn facts_from(document: FactsDocument) -> Facts {
    let FactsDocument { artifact_type, annotations, labels } = document;
    Facts {
        artifact_type: artifact_type.map(String::into_boxed_str),
        annotations: texts_from(annotations),
        labels: labels.map_or(Texts::NotRead, texts_from),
    }
}

fn texts_from(document: TextsDocument) -> Texts {
    match document {
        TextsDocument::Known(pairs) => Texts::Known(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect()),
        TextsDocument::Unreadable(why) => Texts::Unreadable(why.into()),
    }
}

fn manifest_from(place: &str, document: ManifestDocument) -> Result<Manifest, InvalidDocument> {
    let ManifestDocument {
        digest,
        media_type,
        updated_at,
        size_bytes,
        os,
        architecture,
        locks,
        children,
        subject,
        ghost,
        untagged_since,
        left_behind_by,
        facts,
    } = document;
    let read = |field: &str, text: &str| text.parse::<Digest>().map_err(|error| InvalidDocument::at(&format!("{place}.{field}"), error));
    let media_type = MediaType::from_text(&media_type);
    if media_type.is_index() && children.is_none() && !ghost {
        return Err(InvalidDocument::at(place, "an index must say what its children are; write \"children\": [] if it has none"));
    }
    let children: Result<Vec<Digest>, _> = children.unwrap_or_default().iter().map(|child| read("children", child)).collect();
    let platform = os.zip(architecture).and_then(|(os, architecture)| Platform::listed(&os, &architecture));
    let subject = subject.map(|subject| read("subject", &subject)).transpose()?;
    Ok(Manifest {
        digest: read("digest", &digest)?,
        media_type,
        updated_at: updated_at.map(Time::from),
        locks: locks.into(),
        size_bytes,
        platform: platform.map(Arc::new),
        references: if ghost { References::Ghost } else { References::new(children?, subject) },
        untagged_since: untagged_since.map(Time::from),
        left_behind_by: left_behind_by.map(|root| read("left_behind_by", &root)).transpose()?.map(Box::new),
        facts: facts.map(facts_from).map(Box::new),
    })
}

fn tag_from(place: &str, document: TagDocument) -> Result<Tag, InvalidDocument> {
    let TagDocument { name, digest, updated_at, locks } = document;
    Ok(Tag {
        name: TagName::parse(&name).map_err(|error| InvalidDocument::at(&format!("{place}.name"), error))?,
        digest: digest.parse().map_err(|error| InvalidDocument::at(&format!("{place}.digest"), error))?,
        updated_at: updated_at.map(Time::from),
        locks: locks.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = r#"{"format":"retaind/inventory","version":1,"registry":"r","taken_at":"2026-01-01T00:00:00Z","repositories":[{"name":"a/b",
        "manifests":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","media_type":"application/vnd.oci.image.index.v1+json"CHILDREN}],
        "tags":[{"name":"1.0","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","locks":{"can_delete":false}}]}]}"#;

    #[test]
    fn what_is_written_is_read_again() {
        let text = INDEX.replace("CHILDREN", r#","children":[],"updated_at":"2025-01-01T00:00:00.1234567Z","size_bytes":7"#);
        let inventory = inventory_from_json(&text).expect("an inventory");
        assert_eq!(inventory_from_json(&inventory_to_json(&inventory)), Ok(inventory.clone()));
        let Listing::Complete(contents) = &inventory.repositories[0].listing else { panic!("complete") };
        assert!(contents.tags()[0].locks.protects() && !contents.manifests()[0].locks.protects());
    }

    #[test]
    fn an_index_without_children_is_no_listing_to_plan_from() {
        let error = inventory_from_json(&INDEX.replace("CHILDREN", "")).expect_err("children are missing");
        assert_eq!(
            error.to_string(),
            "repositories[0].manifests[0]: an index must say what its children are; write \"children\": [] if it has none"
        );
    }

    #[test]
    fn another_document_is_told_by_name() {
        for (text, expected) in [
            (
                r#"{"format":"retaind/plan","version":1}"#,
                "expected a document of format \"retaind/inventory\", this one says \"retaind/plan\"",
            ),
            (
                r#"{"format":"retaind/inventory","version":2}"#,
                "this retaind/inventory document has version 2, this program reads version 1; write it again with this program",
            ),
            ("[", "not a retaind/inventory document: EOF while parsing a list at line 1 column 1"),
        ] {
            assert_eq!(inventory_from_json(text).expect_err("not read").to_string(), expected);
        }
    }
}
