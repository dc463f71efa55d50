//! The operations under `/v2`: manifests, referrers, tag names, blobs. Uploads have a file of their own.

use ::http::header::{ACCEPT_RANGES, CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use ::http::{Method, StatusCode};
use serde_json::json;

use super::answer::Answer;
use super::content::{self, OCI_INDEX};
use super::digest::Digest;
use super::metadata::linked;
use super::route::Reference;
use super::wire::{Referrer, Referrers};
use super::world::{Refusal, Repository};
use super::{Call, Emulator};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

impl Emulator {
    pub(crate) fn manifest(&self, call: &Call, name: &str, reference: &Reference) -> Result<Answer, Answer> {
        match (&call.method, reference) {
            (&Method::PUT, _) => self.put_manifest(call, name, reference),
            (&Method::DELETE, Reference::Digest(digest)) => self.delete_manifest(name, *digest),
            (&Method::DELETE, Reference::Tag(_)) => {
                let message = "A manifest can only be deleted by digest.";
                Err(Answer::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message))
            }
            _ => self.get_manifest(name, reference),
        }
    }

    fn get_manifest(&self, name: &str, reference: &Reference) -> Result<Answer, Answer> {
        let mut state = self.lock();
        let unknown = |_| manifest_unknown(name, reference);
        let repository = state.world.repository_mut(name).map_err(unknown)?;
        let (digest, tag_readable) = match reference {
            Reference::Digest(digest) => (*digest, true),
            Reference::Tag(tag) => {
                let tag = repository.tags.get(tag.as_str()).ok_or(Refusal::TagUnknown).map_err(unknown)?;
                (tag.digest, tag.locks.read)
            }
        };
        let manifest = repository.live_manifest(digest).map_err(unknown)?;
        if !tag_readable || !manifest.locks.read || !repository.locks.read {
            return Err(Answer::refused(&Refusal::Locked, name));
        }
        let answer = Answer::bytes(&manifest.kind.media_type, manifest.body.bytes());
        repository.learn_config(digest);
        Ok(answer.with_digest(digest).with(ETAG, &format!("\"{digest}\"")))
    }

    fn delete_manifest(&self, name: &str, digest: Digest) -> Result<Answer, Answer> {
        let deleted = self.lock().world.delete_manifest(name, digest, self.options().laws());
        deleted.map(|()| Answer::empty(StatusCode::ACCEPTED)).map_err(|refusal| {
            if refusal == Refusal::ManifestUnknown {
                Answer::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", &format!("manifest {digest} is not found"))
            } else {
                Answer::refused(&refusal, name)
            }
        })
    }

    fn put_manifest(&self, call: &Call, name: &str, reference: &Reference) -> Result<Answer, Answer> {
        let refused = |refusal| Answer::refused(&refusal, name);
        let digest = Digest::of(&call.body);
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.as_str()),
            Reference::Digest(asked) if *asked == digest => None,
            Reference::Digest(_) => return Err(digest_invalid()),
        };
        let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let pushed = self.push_time();
        let mut state = self.lock();
        let repository = state.world.repository_or_new(name, pushed);
        if !repository.allows_push(tag) {
            return Err(refused(Refusal::Locked));
        }
        let manifest = repository.accept(call.body.clone(), content_type, pushed).map_err(refused)?;
        let subject = manifest.body.subject();
        repository.insert_manifest(digest, manifest);
        if let Some(tag) = tag {
            repository.set_tag(tag, digest, pushed);
        }
        let answer = Answer::empty(StatusCode::CREATED).with_digest(digest).with(LOCATION, &format!("/v2/{name}/manifests/{digest}"));
        Ok(match subject {
            Some(subject) => answer.with(SUBJECT, &subject.to_string()),
            None => answer,
        })
    }

    pub(crate) fn referrers(&self, call: &Call, name: &str, subject: Digest) -> Result<Answer, Answer> {
        let wanted = call.get("artifactType");
        let state = self.lock();
        let repository = state.world.repository(name).map_err(|refusal| Answer::refused(&refusal, name))?;
        let found = repository.referrers_of(subject).filter_map(|digest| referrer(repository, digest));
        let manifests = found.filter(|found| wanted.is_none_or(|wanted| found.artifact_type.as_deref() == Some(wanted))).collect();
        let body = Referrers { schema_version: 2, media_type: OCI_INDEX, manifests };
        let mut answer = Answer::json(StatusCode::OK, &body);
        answer.headers.clear();
        let answer = answer.with(CONTENT_TYPE, OCI_INDEX);
        Ok(if wanted.is_some() { answer.with(FILTERS_APPLIED, "artifactType") } else { answer })
    }

    pub(crate) fn tag_names(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        let page = self.page(call).in_name_order();
        let state = self.lock();
        let repository = state.world.repository(name).map_err(|refusal| Answer::refused(&refusal, name))?;
        let (found, more, cursor) = self.tags_on(&page, repository, None);
        let tags: Vec<&str> = found.into_iter().map(|(name, _)| name).collect();
        Ok(linked(Answer::json(StatusCode::OK, &json!({"name": name, "tags": tags})), call, &page, more, cursor))
    }

    pub(crate) fn blob(&self, call: &Call, name: &str, digest: Digest) -> Result<Answer, Answer> {
        let refused = |refusal| Answer::refused(&refusal, name);
        let mut state = self.lock();
        let repository = state.world.repositories.get_mut(name).ok_or(Refusal::BlobUnknown).map_err(refused)?;
        if call.method == Method::DELETE {
            if !repository.locks.write {
                return Err(refused(Refusal::Locked));
            }
            return repository.remove_blob(digest).map(|()| Answer::empty(StatusCode::ACCEPTED)).map_err(refused);
        }
        let bytes = repository.blob(digest).map_err(refused)?;
        Ok(Answer::bytes("application/octet-stream", bytes).with_digest(digest).with(ACCEPT_RANGES, "bytes"))
    }
}

pub(crate) fn digest_invalid() -> Answer {
    Answer::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "provided digest did not match uploaded content")
}

fn manifest_unknown(name: &str, reference: &Reference) -> Answer {
    let (message, detail) = match reference {
        Reference::Tag(tag) => (format!("manifest tagged by \"{tag}\" is not found"), json!({"Tag": tag})),
        Reference::Digest(digest) => (format!("manifest {digest} is not found"), json!({"Name": name, "Revision": digest})),
    };
    Answer::error_with(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", &message, detail)
}

/// A referrer as the referrers list describes it.
fn referrer(repository: &Repository, digest: Digest) -> Option<Referrer<'_>> {
    let manifest = repository.live_manifest(digest).ok()?;
    let bytes = manifest.body.bytes();
    let document = content::document(&bytes)?;
    Some(Referrer {
        media_type: &manifest.kind.media_type,
        digest,
        size: bytes.len(),
        artifact_type: document.artifact_type.or_else(|| document.config.map(|config| config.media_type)),
        annotations: document.annotations,
    })
}
