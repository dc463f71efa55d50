//! The operations under `/v2`: manifests, referrers, tag names, blobs. Uploads have a file of their own.

use ::http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LOCATION, RANGE};
use ::http::{Method, StatusCode};
use bytes::Bytes;
use serde_json::json;

use super::answer::Answer;
use super::content::{self, OCI_INDEX};
use super::digest::Digest;
use super::route::Reference;
use super::wire::{Referrer, Referrers};
use super::world::{Quarantine, Refusal, Repository};
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
            _ => self.get_manifest(call, name, reference),
        }
    }

    fn get_manifest(&self, call: &Call, name: &str, reference: &Reference) -> Result<Answer, Answer> {
        let sees_all = self.may_read_quarantine(&call.identity);
        let at = self.seen_at(call);
        let mut state = self.lock();
        let unknown = |_| manifest_unknown(name, reference);
        let repository = state.world.repository_at(name, at).map_err(unknown)?;
        let (digest, tag_readable) = match reference {
            Reference::Digest(digest) => (*digest, true),
            Reference::Tag(tag) => {
                let tag = repository.tags.get(tag.as_str()).ok_or(Refusal::TagUnknown).map_err(unknown)?;
                (tag.digest, tag.locks.read)
            }
        };
        let manifest = repository.live_manifest(digest).map_err(unknown)?;
        if !sees_all && repository.is_withheld(digest) {
            return Err(match reference {
                Reference::Tag(_) => unknown(Refusal::ManifestUnknown),
                Reference::Digest(_) => Answer::refused(&Refusal::Locked, name),
            });
        }
        if !tag_readable || !manifest.locks.read || !repository.locks.read {
            return Err(Answer::refused(&Refusal::Locked, name));
        }
        let answer = Answer::bytes(&manifest.kind.media_type, manifest.body.bytes());
        if let Ok(repository) = state.world.repository_mut(name) {
            repository.learn_config(digest);
        }
        if call.method == Method::HEAD && self.options().unknowns.head_without_digest {
            return Ok(answer);
        }
        Ok(answer.with_digest(digest).with(ETAG, &format!("\"{digest}\"")))
    }

    fn delete_manifest(&self, name: &str, digest: Digest) -> Result<Answer, Answer> {
        let laws = self.laws();
        let deleted = self.lock().world.delete_manifest(name, digest, laws);
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
        // Pushing what was deleted softly is refused; in which words is not known.
        if state.world.bin.holds(name, digest) {
            return Err(refused(Refusal::Locked));
        }
        let repository = state.world.repository_or_new(name, pushed);
        if !repository.allows_push(tag) {
            return Err(refused(Refusal::Locked));
        }
        let mut manifest = repository.accept(call.body.clone(), content_type, pushed).map_err(refused)?;
        manifest.quarantine = self.options().quarantine.then_some(Quarantine::Quarantined);
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
        let at = self.seen_at(call);
        let state = self.lock();
        let repository = state.world.repository_at(name, at).map_err(|refusal| Answer::refused(&refusal, name))?;
        let found = repository.referrers_of(subject).filter_map(|digest| referrer(repository, digest));
        let manifests = found.filter(|found| wanted.is_none_or(|wanted| found.artifact_type.as_deref() == Some(wanted))).collect();
        let body = Referrers { schema_version: 2, media_type: OCI_INDEX, manifests };
        let mut answer = Answer::json(StatusCode::OK, &body);
        answer.headers.clear();
        let answer = answer.with(CONTENT_TYPE, OCI_INDEX);
        Ok(if wanted.is_some() { answer.with(FILTERS_APPLIED, "artifactType") } else { answer })
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
        if self.options().blob_redirect {
            return Ok(self.send_to_storage(call, name, digest));
        }
        let range = call.headers.get(RANGE).and_then(|range| range.to_str().ok()).filter(|_| call.method == Method::GET);
        Ok(part(bytes, range).with_digest(digest).with(ACCEPT_RANGES, "bytes"))
    }
}

/// A blob, or the one part of it that `bytes=0-99` or `bytes=100-` asks for, as Microsoft's SDKs do. Other ranges get the whole, as they may.
pub(crate) fn part(bytes: Bytes, range: Option<&str>) -> Answer {
    const OCTETS: &str = "application/octet-stream";
    let bounds = || {
        let (first, last) = range?.strip_prefix("bytes=")?.split_once('-')?;
        let last = if last.is_empty() { usize::MAX } else { last.parse().ok()? };
        Some((first.parse::<usize>().ok()?, last))
    };
    let size = bytes.len();
    let Some((first, last)) = bounds().filter(|(first, last)| first <= last) else { return Answer::bytes(OCTETS, bytes) };
    if size <= first {
        return Answer::empty(StatusCode::RANGE_NOT_SATISFIABLE).with(CONTENT_RANGE, &format!("bytes */{size}"));
    }
    let last = last.min(size - 1);
    let answer = Answer { status: StatusCode::PARTIAL_CONTENT, ..Answer::bytes(OCTETS, bytes.slice(first..=last)) };
    answer.with(CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_blobs() {
        for (range, status, content_range) in [
            (None, 200, ""),
            (Some("bytes=0-99"), 206, "bytes 0-4/5"),
            (Some("bytes=1-2"), 206, "bytes 1-2/5"),
            (Some("bytes=4-"), 206, "bytes 4-4/5"),
            (Some("bytes=5-"), 416, "bytes */5"),
            (Some("bytes=2-1"), 200, ""),
            (Some("bytes=-2"), 200, ""),
        ] {
            let answer = part(Bytes::from_static(b"hello"), range);
            let found = answer.headers.iter().find(|(name, _)| name == CONTENT_RANGE).map_or("", |(_, value)| value.to_str().unwrap());
            assert_eq!((answer.status.as_u16(), found), (status, content_range), "{range:?}");
        }
        assert_eq!(part(Bytes::from_static(b"hello"), Some("bytes=1-2")).body.as_ref(), b"el");
    }
}
