//! Which operation a request path means. Names may contain slashes, raw or as `%2F`, so paths are cut by hand; what matches no route is a
//! plain 404 before any challenge, as recorded for upper-case names and malformed digests.

use ::http::Method;

use super::digest::Digest;
use super::name;
use super::percent;
use super::storage;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Ping,
    Catalog,
    Repository {
        name: String,
    },
    Tags {
        name: String,
    },
    Tag {
        name: String,
        tag: String,
    },
    Manifests {
        name: String,
    },
    ManifestProperties {
        name: String,
        digest: Digest,
    },
    TagNames {
        name: String,
    },
    Manifest {
        name: String,
        reference: Reference,
    },
    Referrers {
        name: String,
        digest: Digest,
    },
    Blob {
        name: String,
        digest: Digest,
    },
    Uploads {
        name: String,
    },
    Upload {
        name: String,
        id: String,
    },
    DeletedCatalog,
    DeletedManifests {
        name: String,
    },
    DeletedTags {
        name: String,
    },
    Restore {
        name: String,
        digest: Digest,
    },
    /// A blob in the storage behind the registry.
    Stored {
        name: String,
        digest: Digest,
    },
    Exchange,
    Token,
    Requests,
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Tag(String),
    Digest(Digest),
}

/// A right that a request needs: one of the `actions` of a scope, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) resource: &'static str,
    pub(crate) name: String,
    pub(crate) actions: &'static [&'static str],
    /// An action that does as well, though the challenge does not name it.
    pub(crate) instead: Option<&'static str>,
}

impl Route {
    /// Reads the path as it came, still encoded.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        match path {
            "/v2" | "/v2/" => return Some(Self::Ping),
            "/v2/_catalog" | "/acr/v1/_catalog" => return Some(Self::Catalog),
            "/oauth2/exchange" => return Some(Self::Exchange),
            "/oauth2/token" => return Some(Self::Token),
            "/_emulator/requests" => return Some(Self::Requests),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/acr/v1/") {
            return Self::metadata(&percent::decode(rest)?);
        }
        match path.strip_prefix("/v2/") {
            Some(rest) => Self::distribution(&percent::decode(rest)?),
            None => Self::stored(path),
        }
    }

    fn stored(path: &str) -> Option<Self> {
        let (account, rest) = path.strip_prefix('/')?.split_once("//docker/registry/v2/blobs/sha256/")?;
        let (_, hex) = rest.strip_suffix("/data")?.split_once('/')?;
        Some(Self::Stored { name: storage::name_of_account(account)?, digest: format!("sha256:{hex}").parse().ok()? })
    }

    /// No part of a repository name starts with an underscore, so the first `/_` ends the name.
    fn metadata(rest: &str) -> Option<Self> {
        if let Some(deleted) = rest.strip_prefix("_deleted/") {
            return Self::deleted(deleted);
        }
        let Some((name, operation)) = rest.split_once("/_") else { return repository(rest).map(|name| Self::Repository { name }) };
        let name = repository(name)?;
        match operation.split_once('/') {
            None if operation == "tags" => Some(Self::Tags { name }),
            None if operation == "manifests" => Some(Self::Manifests { name }),
            Some(("tags", tag)) if name::is_tag(tag) => Some(Self::Tag { name, tag: tag.to_owned() }),
            Some(("manifests", digest)) => Some(Self::ManifestProperties { name, digest: digest.parse().ok()? }),
            _ => None,
        }
    }

    fn deleted(rest: &str) -> Option<Self> {
        if rest == "_catalog" {
            return Some(Self::DeletedCatalog);
        }
        let (name, operation) = rest.split_once("/_")?;
        let name = repository(name)?;
        match operation.split_once('/') {
            None if operation == "manifests" => Some(Self::DeletedManifests { name }),
            None if operation == "tags" => Some(Self::DeletedTags { name }),
            Some(("manifests", digest)) => Some(Self::Restore { name, digest: digest.parse().ok()? }),
            _ => None,
        }
    }

    /// The repository that the request is about, if it is about one.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Self::Ping | Self::Catalog | Self::DeletedCatalog | Self::Exchange | Self::Token | Self::Requests => None,
            Self::Repository { name }
            | Self::Tags { name }
            | Self::Tag { name, .. }
            | Self::Manifests { name }
            | Self::ManifestProperties { name, .. }
            | Self::TagNames { name }
            | Self::Manifest { name, .. }
            | Self::Referrers { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::DeletedManifests { name }
            | Self::DeletedTags { name }
            | Self::Restore { name, .. }
            | Self::Stored { name, .. } => Some(name),
        }
    }

    /// A part of a name may be called `manifests` or `blobs`, so these paths are read from their end.
    fn distribution(rest: &str) -> Option<Self> {
        if let Some((name, "")) = rest.rsplit_once("/blobs/uploads/") {
            return Some(Self::Uploads { name: repository(name)? });
        }
        let (before, last) = rest.rsplit_once('/')?;
        if last == "uploads"
            && let Some(name) = before.strip_suffix("/blobs")
        {
            return Some(Self::Uploads { name: repository(name)? });
        }
        if let Some(name) = before.strip_suffix("/blobs/uploads") {
            return Some(Self::Upload { name: repository(name)?, id: last.to_owned() });
        }
        let (name, operation) = before.rsplit_once('/')?;
        let name = repository(name)?;
        match operation {
            "tags" if last == "list" => Some(Self::TagNames { name }),
            "manifests" => {
                let reference = match last.parse() {
                    Ok(digest) => Reference::Digest(digest),
                    Err(_) if name::is_tag(last) => Reference::Tag(last.to_owned()),
                    Err(_) => return None,
                };
                Some(Self::Manifest { name, reference })
            }
            "referrers" => Some(Self::Referrers { name, digest: last.parse().ok()? }),
            "blobs" => Some(Self::Blob { name, digest: last.parse().ok()? }),
            _ => None,
        }
    }

    /// The route without names, for counting.
    pub(crate) fn pattern(&self) -> &'static str {
        match self {
            Self::Ping => "/v2/",
            Self::Catalog => "/acr/v1/_catalog",
            Self::Repository { .. } => "/acr/v1/{name}",
            Self::Tags { .. } => "/acr/v1/{name}/_tags",
            Self::Tag { .. } => "/acr/v1/{name}/_tags/{tag}",
            Self::Manifests { .. } => "/acr/v1/{name}/_manifests",
            Self::ManifestProperties { .. } => "/acr/v1/{name}/_manifests/{digest}",
            Self::TagNames { .. } => "/v2/{name}/tags/list",
            Self::Manifest { .. } => "/v2/{name}/manifests/{reference}",
            Self::Referrers { .. } => "/v2/{name}/referrers/{digest}",
            Self::Blob { .. } => "/v2/{name}/blobs/{digest}",
            Self::Uploads { .. } => "/v2/{name}/blobs/uploads/",
            Self::Upload { .. } => "/v2/{name}/blobs/uploads/{id}",
            Self::DeletedCatalog => "/acr/v1/_deleted/_catalog",
            Self::DeletedManifests { .. } => "/acr/v1/_deleted/{name}/_manifests",
            Self::DeletedTags { .. } => "/acr/v1/_deleted/{name}/_tags",
            Self::Restore { .. } => "/acr/v1/_deleted/{name}/_manifests/{digest}",
            Self::Stored { .. } => "/{account}/docker/registry/v2/blobs/{digest}/data",
            Self::Exchange => "/oauth2/exchange",
            Self::Token => "/oauth2/token",
            Self::Requests => "/_emulator/requests",
        }
    }

    /// The methods that the route answers.
    pub(crate) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Catalog | Self::Tags { .. } | Self::Manifests { .. } | Self::TagNames { .. } => &[Method::GET],
            Self::Referrers { .. } | Self::Requests => &[Method::GET],
            Self::Ping | Self::Stored { .. } => &[Method::GET, Method::HEAD],
            Self::Repository { .. } | Self::Tag { .. } => &[Method::GET, Method::PATCH, Method::DELETE],
            Self::ManifestProperties { .. } => &[Method::GET, Method::PATCH],
            Self::Manifest { .. } => &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE],
            Self::Blob { .. } => &[Method::GET, Method::HEAD, Method::DELETE],
            Self::DeletedCatalog | Self::DeletedManifests { .. } | Self::DeletedTags { .. } => &[Method::GET],
            Self::Uploads { .. } | Self::Exchange | Self::Restore { .. } => &[Method::POST],
            Self::Upload { .. } => &[Method::GET, Method::PATCH, Method::PUT, Method::DELETE],
            Self::Token => &[Method::GET, Method::POST],
        }
    }

    /// The right that the request needs; `None` where there is nothing to name, as for the ping.
    pub(crate) fn need(&self, method: &Method) -> Option<Need> {
        let pull: &[&str] = &["pull"];
        let (name, actions) = match self {
            Self::Ping | Self::Stored { .. } | Self::Exchange | Self::Token | Self::Requests => return None,
            Self::Catalog => return Some(Need { resource: "registry", name: "catalog".to_owned(), actions: &["*"], instead: None }),
            Self::DeletedCatalog => {
                return Some(Need { resource: "registry", name: "deleted_catalog".to_owned(), actions: &["*"], instead: None });
            }
            Self::DeletedManifests { name } | Self::DeletedTags { name } => (name, DELETED_READ),
            Self::Restore { name, .. } => (name, RESTORE),
            Self::Repository { name } | Self::Tags { name } | Self::Tag { name, .. } | Self::Manifests { name } => (name, METADATA_READ),
            Self::ManifestProperties { name, .. } => (name, METADATA_READ),
            Self::TagNames { name } => {
                return Some(Need { resource: "repository", name: name.clone(), actions: METADATA_READ, instead: Some("pull") });
            }
            Self::Manifest { name, .. } | Self::Blob { name, .. } | Self::Referrers { name, .. } => (name, pull),
            Self::Uploads { name } | Self::Upload { name, .. } => (name, PUSH),
        };
        let uploads = matches!(self, Self::Uploads { .. } | Self::Upload { .. });
        let actions = match *method {
            Method::DELETE if !uploads => &["delete"],
            Method::PATCH if !uploads => &["metadata_write"],
            Method::PUT => PUSH,
            _ => actions,
        };
        Some(Need { resource: "repository", name: name.clone(), actions, instead: None })
    }
}

const METADATA_READ: &[&str] = &["metadata_read"];
const DELETED_READ: &[&str] = &["deleted_read"];
const RESTORE: &[&str] = &["deleted_read", "deleted_restore"];
const PUSH: &[&str] = &["pull", "push"];

fn repository(name: &str) -> Option<String> {
    name::is_repository(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_found_in_either_encoding() {
        let name = "library/hello-world".to_owned();
        assert_eq!(Route::parse("/acr/v1/library%2Fhello-world/_tags"), Some(Route::Tags { name: name.clone() }));
        assert_eq!(Route::parse("/acr/v1/library/hello-world/_tags"), Some(Route::Tags { name: name.clone() }));
        assert_eq!(Route::parse("/acr/v1/library%2fhello-world"), Some(Route::Repository { name: name.clone() }));
        let digest: Digest = DIGEST.parse().unwrap();
        let encoded = format!("/v2/library%2Fhello-world/manifests/{}", DIGEST.replace(':', "%3A"));
        assert_eq!(Route::parse(&encoded), Some(Route::Manifest { name, reference: Reference::Digest(digest) }));
    }

    #[test]
    fn a_repository_may_be_called_manifests() {
        let expected = Route::Manifest { name: "a/manifests/b".to_owned(), reference: Reference::Tag("v1".to_owned()) };
        assert_eq!(Route::parse("/v2/a/manifests/b/manifests/v1"), Some(expected));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/"), Some(Route::Uploads { name: "a".to_owned() }));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/1-2"), Some(Route::Upload { name: "a".to_owned(), id: "1-2".to_owned() }));
    }

    #[test]
    fn what_no_route_matches() {
        for path in ["/", "/acr/v1/Upper/_tags", "/acr/v1/a/_manifests/wrong-digest", "/v2/a/manifests/sha256:12", "/acr/v1/a/_x", "/v2/a"]
        {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
