//! ACR's JSON, as recorded. Unknown keys are ignored, missing ones are errors or unknown-means-locked; nothing here decides.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{Digest, Locks, RepositoryName, TagName};

/// ACR went into its first preview in November 2015: an earlier time is a zero value or nonsense, not an age.
const EARLIEST_SECOND: i64 = 1_420_070_400;

/// What a body lacks or has wrong, as a part of a sentence.
pub(super) type Wrong = String;

/// One entry of the error envelope.
pub(super) struct WireError {
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    errors: Vec<EnvelopeEntry<'a>>,
}

#[derive(Deserialize)]
struct EnvelopeEntry<'a> {
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct Catalog<'a> {
    /// Null in an empty registry; the key itself is always there.
    #[serde(borrow, deserialize_with = "present")]
    pub(super) repositories: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagList<'a> {
    #[serde(borrow)]
    pub(super) image_name: Option<Cow<'a, str>>,
    /// Whether null stands for "none" is not recorded; the caller lets it pass on a first and only page.
    #[serde(borrow, deserialize_with = "present")]
    pub(super) tags: Option<Vec<WireTag<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct OneTag<'a> {
    #[serde(borrow)]
    pub(super) tag: WireTag<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireTag<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) created_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) last_update_time: Option<Cow<'a, str>>,
    pub(super) changeable_attributes: Option<Attributes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestList<'a> {
    #[serde(borrow)]
    pub(super) image_name: Option<Cow<'a, str>>,
    /// A repository without manifests does not exist, so that null means incomplete.
    #[serde(borrow)]
    pub(super) manifests: Vec<WireManifest<'a>>,
}

#[derive(Deserialize)]
pub(super) struct OneManifest<'a> {
    #[serde(borrow)]
    pub(super) manifest: WireManifest<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireManifest<'a> {
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    pub(super) image_size: Option<u64>,
    #[serde(borrow)]
    pub(super) created_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) last_update_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) architecture: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) os: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) config_media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) artifact_type: Option<Cow<'a, str>>,
    /// Absent when untagged.
    #[serde(borrow)]
    pub(super) tags: Option<Vec<Cow<'a, str>>>,
    pub(super) changeable_attributes: Option<Attributes>,
    #[serde(borrow)]
    pub(super) references: Option<Vec<WireReference<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct WireReference<'a> {
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) architecture: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) os: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireRepository<'a> {
    #[serde(borrow)]
    pub(super) image_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) created_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) last_update_time: Option<Cow<'a, str>>,
    pub(super) manifest_count: Option<u64>,
    pub(super) tag_count: Option<u64>,
    pub(super) changeable_attributes: Option<Attributes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDeletedRepository<'a> {
    #[serde(borrow)]
    pub(super) manifests_deleted: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    pub(super) tags_deleted: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
pub(super) struct DeletedRepositories<'a> {
    #[serde(borrow, deserialize_with = "present")]
    pub(super) repositories: Option<Vec<WireDeletedName<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDeletedName<'a> {
    #[serde(borrow)]
    pub(super) repository: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) created_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) deleted_at: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct DeletedManifests<'a> {
    #[serde(borrow, deserialize_with = "present")]
    pub(super) manifests: Option<Vec<WireDeletedManifest<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDeletedManifest<'a> {
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) created_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) deleted_at: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct DeletedTags<'a> {
    #[serde(borrow, deserialize_with = "present")]
    pub(super) tags: Option<Vec<WireDeletedTag<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDeletedTag<'a> {
    #[serde(borrow)]
    pub(super) tag: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) created_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) deleted_at: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct WireRestored<'a> {
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) tag: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attributes {
    delete_enabled: Option<bool>,
    write_enabled: Option<bool>,
    read_enabled: Option<bool>,
    list_enabled: Option<bool>,
}

/// A manifest document of any kind. Whatever names other manifests is read, whichever kind the document says it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDocument<'a> {
    #[serde(borrow)]
    pub(super) media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) artifact_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) manifests: Option<Vec<WireDescriptor<'a>>>,
    #[serde(borrow)]
    pub(super) subject: Option<WireDescriptor<'a>>,
    #[serde(borrow)]
    pub(super) config: Option<WireDescriptor<'a>>,
    #[serde(borrow)]
    pub(super) annotations: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDescriptor<'a> {
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) platform: Option<WirePlatform<'a>>,
    pub(super) size: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct WirePlatform<'a> {
    #[serde(borrow)]
    pub(super) architecture: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) os: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) variant: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct Exchanged<'a> {
    #[serde(borrow)]
    pub(super) refresh_token: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct Granted<'a> {
    #[serde(borrow)]
    pub(super) access_token: Cow<'a, str>,
}

/// Reads a body, or says what about it is not ACR's.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => "the body ends too early".to_owned(),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "the body is not JSON".to_owned(),
        serde_json::error::Category::Data => format!("the body is incomplete: {}", super::error::printable(&error.to_string())),
    })
}

/// The first entry of an error envelope, if the body is one.
pub(super) fn first_error(body: &[u8]) -> Option<WireError> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    let first = envelope.errors.into_iter().next()?;
    Some(WireError { code: first.code.into_owned(), message: first.message.into_owned() })
}

/// The lock that attributes describe; a flag that is missing may be a lock, so it is one.
pub(super) fn locks(attributes: Option<Attributes>) -> Locks {
    let Some(Attributes { delete_enabled, write_enabled, read_enabled, list_enabled }) = attributes else { return Locks::UNKNOWN };
    Locks {
        can_delete: delete_enabled.unwrap_or(Locks::UNKNOWN.can_delete),
        can_write: write_enabled.unwrap_or(Locks::UNKNOWN.can_write),
        can_read: read_enabled.unwrap_or(Locks::UNKNOWN.can_read),
        can_list: list_enabled.unwrap_or(Locks::UNKNOWN.can_list),
    }
}

/// A registry time with 0 to 9 digits of fraction. None: missing, unreadable or before there was an ACR.
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse::<Timestamp>().ok().filter(|time| EARLIEST_SECOND <= time.as_second())
}

/// A digest, or what is wrong with it.
pub(super) fn digest(text: &str) -> Result<Digest, Wrong> {
    text.parse().map_err(|error| format!("{error}"))
}

/// A tag, or what is wrong with it.
pub(super) fn tag_name(text: &str) -> Result<TagName, Wrong> {
    TagName::parse(text).map_err(|error| error.to_string())
}

/// A repository name, or what is wrong with it.
pub(super) fn repository_name(text: &str) -> Result<RepositoryName, Wrong> {
    RepositoryName::parse(text).map_err(|error| error.to_string())
}

/// An optional text as a boxed one.
pub(super) fn boxed(text: Option<Cow<'_, str>>) -> Option<Box<str>> {
    text.map(|text| text.into_owned().into_boxed_str())
}

/// Refuses an answer about another repository than the one asked for: something between mixed them up.
pub(super) fn about(repository: &RepositoryName, image_name: Option<&str>) -> Result<(), Wrong> {
    match image_name {
        Some(name) if name != repository.as_str() => Err(format!("the answer is about repository {}", super::error::printable(name))),
        Some(_) | None => Ok(()),
    }
}

/// Lets a key be null and not be missing, which serde's `Option` does not tell apart.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_leniently_and_never_as_ages_that_cannot_be() {
        for good in ["2022-02-09T02:57:25.4662706Z", "2022-02-09T02:57:25.46627Z", "2022-02-09T02:57:25Z"] {
            assert!(time(Some(good)).is_some(), "{good}");
        }
        for bad in ["", "yesterday", "2022-02-09", "2022-02-09T02:57:25", "0001-01-01T00:00:00Z", "2022-13-09T02:57:25Z"] {
            assert_eq!(time(Some(bad)), None, "{bad}");
        }
        assert_eq!(time(None), None);
    }

    #[test]
    fn a_missing_flag_is_a_lock() {
        let read_locks = |json: &str| locks(read::<OneTag<'_>>(json.as_bytes()).expect("a tag").tag.changeable_attributes);
        assert_eq!(read_locks(r#"{"tag":{"name":"a","digest":"b"}}"#), Locks::UNKNOWN);
        assert_eq!(read_locks(r#"{"tag":{"name":"a","digest":"b","changeableAttributes":{}}}"#), Locks::UNKNOWN);
        let open = r#"{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true,"quarantineState":"Passed"}"#;
        assert_eq!(read_locks(&format!(r#"{{"tag":{{"name":"a","digest":"b","changeableAttributes":{open}}}}}"#)), Locks::OPEN);
    }

    #[test]
    fn null_is_legal_for_catalogs_alone_and_absence_nowhere() {
        assert!(read::<Catalog<'_>>(br#"{"repositories":null}"#).is_ok_and(|catalog| catalog.repositories.is_none()));
        assert!(read::<Catalog<'_>>(b"{}").is_err());
        assert!(read::<TagList<'_>>(b"{}").is_err());
        assert!(read::<ManifestList<'_>>(br#"{"manifests":null}"#).is_err());
        assert!(read::<ManifestList<'_>>(b"{}").is_err());
        assert!(read::<ManifestList<'_>>(br#"{"manifests":[{"digest":"x"}"#).is_err_and(|wrong| wrong.contains("too early")));
        assert!(read::<ManifestList<'_>>(b"<html>login</html>").is_err_and(|wrong| wrong.contains("not JSON")));
    }

    #[test]
    fn depth_is_harmless_in_what_is_skipped() {
        let deep = format!("{{\"repositories\":[],\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        // Either answer is fine; what must not happen is a stack overflow.
        let _ = read::<Catalog<'_>>(deep.as_bytes());
        assert!(first_error(br#"{"errors":[{"code":"X","message":"y","detail":{}}]}"#).is_some_and(|error| error.code == "X"));
        assert!(first_error(b"404 page not found\n").is_none());
    }
}
