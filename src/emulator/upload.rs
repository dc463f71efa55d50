//! Blob uploads: started, filled in pieces or at once, finished under a digest. A mount is answered by an upload, which is what registries do
//! that do not find the blob.

use std::collections::HashMap;

use ::http::header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use ::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use jiff::Timestamp;
use serde_json::json;

use super::answer::Answer;
use super::digest::Digest;
use super::distribution::digest_invalid;
use super::percent;
use super::world::Refusal;
use super::{Call, Emulator};

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The uploads under way, by id.
#[derive(Debug, Default)]
pub(crate) struct Uploads(HashMap<String, Upload>);

#[derive(Debug)]
struct Upload {
    repository: String,
    bytes: Vec<u8>,
    started: Timestamp,
}

impl Emulator {
    pub(crate) fn start_upload(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        let id = self.next_id();
        let started = self.now();
        let mut state = self.lock();
        if !state.world.repositories.get(name).is_none_or(|repository| repository.locks.write) {
            return Err(Answer::refused(&Refusal::Locked, name));
        }
        if self.options().uploads_max <= state.uploads.0.len() {
            return Err(Answer::error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many uploads are under way"));
        }
        let upload = Upload { repository: name.to_owned(), bytes: call.body.to_vec(), started };
        if let Some(digest) = call.get("digest") {
            let push_time = self.push_time();
            return finish(&mut state.world, upload, digest, push_time);
        }
        let answer = under_way(&id, &upload);
        state.uploads.0.insert(id, upload);
        Ok(answer)
    }

    pub(crate) fn upload(&self, call: &Call, name: &str, id: &str) -> Result<Answer, Answer> {
        let unknown = || Answer::error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
        let push_time = self.push_time();
        let mut state = self.lock();
        let state = &mut *state;
        let upload = state.uploads.0.get_mut(id).filter(|upload| upload.repository == name).ok_or_else(unknown)?;
        if call.method == Method::GET {
            return Ok(Answer { status: StatusCode::NO_CONTENT, ..under_way(id, upload) });
        }
        if call.method == Method::DELETE {
            state.uploads.0.remove(id);
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
        let start = call.headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()?.split('-').next()?.parse::<usize>().ok());
        if start.is_some_and(|start| start != upload.bytes.len()) {
            return Err(Answer { status: StatusCode::RANGE_NOT_SATISFIABLE, ..under_way(id, upload) });
        }
        upload.bytes.extend_from_slice(&call.body);
        if call.method == Method::PATCH {
            return Ok(under_way(id, upload));
        }
        let digest = call.get("digest").ok_or_else(digest_invalid)?;
        let upload = state.uploads.0.remove(id).ok_or_else(unknown)?;
        finish(&mut state.world, upload, digest, push_time)
    }
}

fn finish(world: &mut super::world::World, upload: Upload, digest: &str, now: Timestamp) -> Result<Answer, Answer> {
    let found = Digest::of(&upload.bytes);
    if digest.parse() != Ok(found) {
        return Err(digest_invalid());
    }
    let name = &upload.repository;
    world.repository_or_new(name, now).insert_blob(found, upload.bytes.into());
    Ok(Answer::empty(StatusCode::CREATED).with_digest(found).with(LOCATION, &format!("/v2/{name}/blobs/{found}")))
}

/// 202 with where to go on. The state in the location is only for show: the upload is found by its id.
fn under_way(id: &str, upload: &Upload) -> Answer {
    let Upload { repository, bytes, started } = upload;
    let state = json!({"Name": repository, "UUID": id, "Offset": bytes.len(), "StartedAt": started.to_string()});
    let state = percent::encode(&URL_SAFE.encode(state.to_string()));
    Answer::empty(StatusCode::ACCEPTED)
        .with(LOCATION, &format!("/v2/{repository}/blobs/uploads/{id}?_nouploadcache=false&_state={state}"))
        .with(UPLOAD_UUID, id)
        .with(RANGE, &format!("0-{}", bytes.len().saturating_sub(1)))
}
