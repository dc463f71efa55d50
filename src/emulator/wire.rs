//! The JSON of the metadata operations, field by field in the recorded order.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::world::{Locks, Quarantine, Tag};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attributes {
    delete_enabled: bool,
    write_enabled: bool,
    read_enabled: bool,
    list_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_state: Option<&'static str>,
}

impl Attributes {
    pub(crate) fn new(locks: Locks, quarantine: Option<Quarantine>) -> Self {
        Self { quarantine_state: quarantine.map(Quarantine::name), ..locks.into() }
    }
}

impl From<Locks> for Attributes {
    fn from(Locks { delete, write, read, list }: Locks) -> Self {
        Self { delete_enabled: delete, write_enabled: write, read_enabled: read, list_enabled: list, quarantine_state: None }
    }
}

/// The body of a PATCH: any of the four flags, and fields that are of no interest here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Patch {
    delete_enabled: Option<bool>,
    write_enabled: Option<bool>,
    read_enabled: Option<bool>,
    list_enabled: Option<bool>,
}

impl Patch {
    pub(crate) fn apply(&self, locks: &mut Locks) {
        locks.delete = self.delete_enabled.unwrap_or(locks.delete);
        locks.write = self.write_enabled.unwrap_or(locks.write);
        locks.read = self.read_enabled.unwrap_or(locks.read);
        locks.list = self.list_enabled.unwrap_or(locks.list);
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RepositoryProperties<'a> {
    pub(crate) registry: &'a str,
    pub(crate) image_name: &'a str,
    pub(crate) created_time: String,
    pub(crate) last_update_time: String,
    pub(crate) manifest_count: usize,
    pub(crate) tag_count: usize,
    pub(crate) changeable_attributes: Attributes,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagItem<'a> {
    name: &'a str,
    digest: Digest,
    created_time: String,
    last_update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_state: Option<&'static str>,
    signed: bool,
    changeable_attributes: Attributes,
}

impl<'a> TagItem<'a> {
    pub(crate) fn new(name: &'a str, tag: &Tag, quarantine: Option<Quarantine>) -> Self {
        Self {
            name,
            digest: tag.digest,
            created_time: tag.created.to_string(),
            last_update_time: tag.updated.to_string(),
            quarantine_state: quarantine.map(Quarantine::name),
            signed: false,
            changeable_attributes: tag.locks.into(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagList<'a> {
    pub(crate) registry: &'a str,
    pub(crate) image_name: &'a str,
    /// The inner `None` is `null`, the outer one no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Option<Vec<TagItem<'a>>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagProperties<'a> {
    pub(crate) registry: &'a str,
    pub(crate) image_name: &'a str,
    pub(crate) tag: TagItem<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestItem<'a> {
    pub(crate) digest: Digest,
    pub(crate) image_size: u64,
    pub(crate) created_time: String,
    pub(crate) last_update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) architecture: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) os: Option<&'a str>,
    pub(crate) media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config_media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<&'a str>,
    pub(crate) changeable_attributes: Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) references: Option<Vec<Reference>>,
}

/// A child of an index in the properties of that index. Of the platform only these two words.
#[derive(Debug, Serialize)]
pub(crate) struct Reference {
    pub(crate) digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) os: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestList<'a> {
    pub(crate) registry: &'a str,
    pub(crate) image_name: &'a str,
    pub(crate) manifests: Vec<ManifestItem<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestProperties<'a> {
    pub(crate) registry: &'a str,
    pub(crate) image_name: &'a str,
    pub(crate) manifest: ManifestItem<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedRepository<'a> {
    pub(crate) manifests_deleted: &'a [Digest],
    /// `null` when there were none.
    pub(crate) tags_deleted: Option<Vec<&'a str>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrers<'a> {
    pub(crate) schema_version: u32,
    pub(crate) media_type: &'a str,
    pub(crate) manifests: Vec<Referrer<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrer<'a> {
    pub(crate) media_type: &'a str,
    pub(crate) digest: Digest,
    pub(crate) size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<serde_json::Map<String, serde_json::Value>>,
}
