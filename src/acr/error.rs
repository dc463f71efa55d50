//! What can go wrong between this program and a registry, one variant per reaction of the caller. Never holds a secret.

use std::fmt;

use crate::model::{RegistryName, RepositoryName};

use super::limits::SAID_MAX_LENGTH;
use super::transport::TransportError;

/// An operation that did not succeed: what was tried on what, and how it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} in registry {registry}: {failure}", operation.phrase(item))]
pub struct Error {
    /// What was tried.
    pub operation: Operation,
    /// The registry's name in the configuration.
    pub registry: RegistryName,
    /// What it was tried on, e.g. `team/web:1.2`; empty where that is the registry.
    pub item: String,
    /// How it failed.
    pub failure: Failure,
}

/// How an operation failed, by what the caller does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The registry says, in its own words, that the item is not there.
    #[error("it does not exist")]
    NotFound,
    /// A lock on the item refuses the change. Skip it.
    #[error("it is locked (the registry answered REGISTRY_DISALLOWED_OPERATION)")]
    Locked,
    /// The registry does not do this at all.
    #[error("the registry does not support it: {said}")]
    Unsupported {
        /// The registry's words.
        said: String,
    },
    /// The credential is not accepted. Nothing will work until it is changed.
    #[error("the registry does not accept the credential: {said}")]
    Unauthorized {
        /// What the registry or the identity provider says.
        said: String,
    },
    /// The credential is good and lacks a permission. Skip what needs it.
    #[error("the identity lacks {missing}; {}", missing.remedy())]
    Forbidden {
        /// What is missing.
        missing: Permission,
    },
    /// The registry refuses this client, whoever it is: its firewall, most of the time.
    #[error("the registry denies access: {said}; check the registry's network rules")]
    Denied {
        /// The registry's words.
        said: String,
    },
    /// Throttled for longer than one operation may wait, or more often than the retry budget allows. Try in a later run.
    #[error("the registry throttled it {attempts} times; try again later, or lower the share of its limits that is used")]
    Throttled {
        /// How often it was tried.
        attempts: u32,
    },
    /// No usable answer came, and nothing was changed. Try in a later run.
    #[error("{said}")]
    Unreachable {
        /// What happened, as one sentence.
        said: String,
    },
    /// A change was sent and its answer was lost: it may have been carried out. Read to find out; never assume.
    #[error("its outcome is unknown: {said}")]
    OutcomeUnknown {
        /// What happened, as one sentence.
        said: String,
    },
    /// The answer is not what ACR answers: an unexpected status, an incomplete or oversized body. Nothing may be
    /// concluded from it.
    #[error("unexpected answer: {said}")]
    Protocol {
        /// What was wrong and where.
        said: String,
    },
    /// What was to be sent cannot be: it could not be read, or is larger than the registry takes. Correct it.
    #[error("{said}")]
    Input {
        /// What is wrong with it.
        said: String,
    },
    /// The answer points somewhere else: a page, redirect or token endpoint on another origin. It was not followed.
    #[error("the answer points elsewhere and was not followed: {said}")]
    Hostile {
        /// What pointed where.
        said: String,
    },
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// List the repositories of the registry.
    ListRepositories,
    /// Read a repository's properties.
    GetRepository,
    /// Change a repository's lock.
    UpdateRepository,
    /// Delete a repository with everything in it.
    DeleteRepository,
    /// List the tags of a repository.
    ListTags,
    /// Read a tag's properties.
    GetTag,
    /// Change a tag's lock.
    UpdateTag,
    /// Remove a tag and leave its manifest.
    DeleteTag,
    /// List the manifests of a repository.
    ListManifests,
    /// Read a manifest's properties.
    GetManifestProperties,
    /// Change a manifest's lock.
    UpdateManifest,
    /// Read a manifest's document.
    GetManifest,
    /// Delete a manifest with all its tags.
    DeleteManifest,
    /// Put a manifest.
    PutManifest,
    /// Read a blob.
    GetBlob,
    /// Delete a blob.
    DeleteBlob,
    /// Begin to upload a blob. Beginning twice does no harm: the registry forgets what is not finished.
    StartUpload,
    /// Send a part of a blob.
    UploadChunk,
    /// Ask how much of a blob has arrived.
    GetUpload,
    /// Finish the upload of a blob.
    FinishUpload,
    /// Give up the upload of a blob.
    CancelUpload,
    /// List the repositories that can be restored.
    ListDeletedRepositories,
    /// List the manifests of a repository that can be restored.
    ListDeletedManifests,
    /// List the tags of a repository that can be restored.
    ListDeletedTags,
    /// Restore a manifest under a tag.
    RestoreManifest,
    /// Exchange an Entra token for the registry's refresh token.
    ExchangeToken,
    /// Get an access token.
    GetToken,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// List the registry's repositories.
    Catalog,
    /// Read manifests and blobs.
    Pull,
    /// Delete.
    Delete,
    /// Read tags, times and locks.
    MetadataRead,
    /// Change locks.
    MetadataWrite,
    /// Write manifests and blobs.
    Push,
    /// List what was deleted and can be restored, in the whole registry.
    DeletedCatalog,
    /// Read what was deleted and can be restored.
    DeletedRead,
    /// Restore what was deleted.
    DeletedRestore,
}

/// A right to do something, to a repository or to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// What may be done, in order.
    pub actions: Vec<Action>,
    /// To which repository. None: to the registry as a whole.
    pub repository: Option<RepositoryName>,
}

impl Operation {
    /// A short, stable name for metrics and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListRepositories => "list_repositories",
            Self::GetRepository => "get_repository",
            Self::UpdateRepository => "update_repository",
            Self::DeleteRepository => "delete_repository",
            Self::ListTags => "list_tags",
            Self::GetTag => "get_tag",
            Self::UpdateTag => "update_tag",
            Self::DeleteTag => "delete_tag",
            Self::ListManifests => "list_manifests",
            Self::GetManifestProperties => "get_manifest_properties",
            Self::UpdateManifest => "update_manifest",
            Self::GetManifest => "get_manifest",
            Self::DeleteManifest => "delete_manifest",
            Self::PutManifest => "put_manifest",
            Self::GetBlob => "get_blob",
            Self::DeleteBlob => "delete_blob",
            Self::StartUpload => "start_upload",
            Self::UploadChunk => "upload_chunk",
            Self::GetUpload => "get_upload",
            Self::FinishUpload => "finish_upload",
            Self::CancelUpload => "cancel_upload",
            Self::ListDeletedRepositories => "list_deleted_repositories",
            Self::ListDeletedManifests => "list_deleted_manifests",
            Self::ListDeletedTags => "list_deleted_tags",
            Self::RestoreManifest => "restore_manifest",
            Self::ExchangeToken => "exchange_token",
            Self::GetToken => "get_token",
        }
    }

    /// Whether it changes the registry, so that it must not be repeated while its outcome is unknown.
    pub const fn changes_the_registry(self) -> bool {
        match self {
            Self::UpdateRepository
            | Self::DeleteRepository
            | Self::UpdateTag
            | Self::DeleteTag
            | Self::UpdateManifest
            | Self::DeleteManifest
            | Self::PutManifest
            | Self::DeleteBlob
            | Self::UploadChunk
            | Self::FinishUpload
            | Self::RestoreManifest => true,
            Self::ListRepositories
            | Self::GetRepository
            | Self::ListTags
            | Self::GetTag
            | Self::ListManifests
            | Self::GetManifestProperties
            | Self::GetManifest
            | Self::GetBlob
            | Self::StartUpload
            | Self::GetUpload
            | Self::CancelUpload
            | Self::ListDeletedRepositories
            | Self::ListDeletedManifests
            | Self::ListDeletedTags
            | Self::ExchangeToken
            | Self::GetToken => false,
        }
    }

    fn phrase(self, item: &str) -> String {
        match self {
            Self::ListRepositories => "list the repositories".to_owned(),
            Self::GetRepository => format!("read repository {item}"),
            Self::UpdateRepository => format!("change the lock of repository {item}"),
            Self::DeleteRepository => format!("delete repository {item}"),
            Self::ListTags => format!("list the tags of {item}"),
            Self::GetTag => format!("read tag {item}"),
            Self::UpdateTag => format!("change the lock of tag {item}"),
            Self::DeleteTag => format!("remove tag {item}"),
            Self::ListManifests => format!("list the manifests of {item}"),
            Self::GetManifestProperties => format!("read the properties of manifest {item}"),
            Self::UpdateManifest => format!("change the lock of manifest {item}"),
            Self::GetManifest => format!("read manifest {item}"),
            Self::DeleteManifest => format!("delete manifest {item}"),
            Self::PutManifest => format!("upload manifest {item}"),
            Self::GetBlob => format!("read blob {item}"),
            Self::DeleteBlob => format!("delete blob {item}"),
            Self::StartUpload => format!("begin to upload a blob to {item}"),
            Self::UploadChunk => format!("upload a part of a blob to {item}"),
            Self::GetUpload => format!("ask how much of a blob has arrived in {item}"),
            Self::FinishUpload => format!("finish the upload of blob {item}"),
            Self::CancelUpload => format!("give up the upload of a blob to {item}"),
            Self::ListDeletedRepositories => "list the deleted repositories".to_owned(),
            Self::ListDeletedManifests => format!("list the deleted manifests of {item}"),
            Self::ListDeletedTags => format!("list the deleted tags of {item}"),
            Self::RestoreManifest => format!("restore manifest {item}"),
            Self::ExchangeToken => "get a refresh token".to_owned(),
            Self::GetToken => format!("get a token for {item}"),
        }
    }
}

impl Action {
    /// The word in a token's scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Catalog | Self::DeletedCatalog => "*",
            Self::Pull => "pull",
            Self::Delete => "delete",
            Self::MetadataRead => "metadata_read",
            Self::MetadataWrite => "metadata_write",
            Self::Push => "push",
            Self::DeletedRead => "deleted_read",
            Self::DeletedRestore => "deleted_restore",
        }
    }

    /// The roles that contain it: on a registry with roles for the whole registry, and on one with roles per repository.
    const fn roles(self) -> &'static str {
        match self {
            Self::Catalog => "AcrPull, or Container Registry Repository Catalog Lister where permissions are per repository",
            Self::Pull | Self::MetadataRead => "AcrPull, or Container Registry Repository Reader where permissions are per repository",
            Self::Delete => "AcrDelete, or Container Registry Repository Contributor where permissions are per repository",
            Self::MetadataWrite => {
                "a role with registries/metadata/write, or Container Registry Repository Contributor where permissions are per repository"
            }
            Self::Push => "AcrPush, or Container Registry Repository Writer where permissions are per repository",
            Self::DeletedCatalog | Self::DeletedRead => "a role with registries/deleted/read, such as Contributor",
            Self::DeletedRestore => "a role with registries/deleted/restore/action, such as Contributor",
        }
    }
}

impl Permission {
    pub(super) fn remedy(&self) -> String {
        let mut roles: Vec<&str> = self.actions.iter().map(|action| action.roles()).collect();
        roles.dedup();
        format!("grant {}", roles.join("; and "))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<&str> = self.actions.iter().map(|action| action.as_str()).collect();
        let Some(repository) = &self.repository else {
            if !self.actions.iter().any(|action| matches!(action, Action::Catalog | Action::DeletedCatalog)) {
                return write!(formatter, "the permission {}", actions.join(" and "));
            }
            let of_deleted = self.actions.contains(&Action::DeletedCatalog);
            return formatter.write_str(if of_deleted {
                "the permission to list the deleted repositories"
            } else {
                "the permission to list the repositories"
            });
        };
        write!(formatter, "the permission {} on repository {repository}", actions.join(" and "))
    }
}

impl Failure {
    pub(super) fn protocol(said: impl Into<String>) -> Self {
        Self::Protocol { said: said.into() }
    }

    pub(super) fn hostile(said: impl Into<String>) -> Self {
        Self::Hostile { said: said.into() }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::Unreachable { said: error.sentence }
    }
}

/// Words of somebody else, made fit for a line of our own: no control characters, not endless.
pub(super) fn printable(said: &str) -> String {
    let mut shown = String::new();
    for character in said.chars() {
        if SAID_MAX_LENGTH <= shown.len() {
            shown.push('…');
            break;
        }
        match character {
            character if character.is_control() || is_directional(character) => {
                if !shown.ends_with(' ') {
                    shown.push(' ');
                }
            }
            character => shown.push(character),
        }
    }
    shown.trim().to_owned()
}

/// Characters that turn the direction of writing around, with which a name can pose as another.
const fn is_directional(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error with its causes in one line; the topmost message of a network library says nothing by itself.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_clear_sentence() {
        let repository = RepositoryName::parse("team/web").expect("a name");
        let error = Error {
            operation: Operation::DeleteManifest,
            registry: RegistryName::parse("contoso").expect("a name"),
            item: "team/web@sha256:00".to_owned(),
            failure: Failure::Forbidden { missing: Permission { actions: vec![Action::Delete], repository: Some(repository) } },
        };
        expect_test::expect![[r#"cannot delete manifest team/web@sha256:00 in registry contoso: the identity lacks the permission delete on repository team/web; grant AcrDelete, or Container Registry Repository Contributor where permissions are per repository"#]]
        .assert_eq(&error.to_string());
    }

    #[test]
    fn words_of_others_cannot_forge_lines() {
        assert_eq!(printable("a\r\nb\u{1b}[31mc\u{202e}d"), "a b [31mc d");
        assert!(printable(&"x".repeat(1000)).chars().count() <= SAID_MAX_LENGTH + 1);
    }
}
