//! What was deleted softly: kept for a number of days, listed by operations of its own, and brought back manifest by manifest. Written after
//! the Azure CLI, which is the only published client of these operations.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ::http::{Method, StatusCode};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::digest::Digest;
use super::metadata::linked;
use super::world::{Manifest, Refusal, Removed, Repository, World};
use super::{Call, Emulator};

/// What was deleted softly, by repository.
#[derive(Debug, Default)]
pub(crate) struct Bin(BTreeMap<Arc<str>, Contents>);

#[derive(Debug, Default)]
struct Contents {
    manifests: BTreeMap<Digest, (Manifest, Timestamp)>,
    /// By name, and what they named; the same name may have been deleted several times.
    tags: BTreeMap<(Arc<str>, Digest), Times>,
    blobs: HashMap<Digest, Bytes>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    created: Timestamp,
    deleted: Timestamp,
}

impl Bin {
    /// Takes what was removed from a repository.
    pub(crate) fn take(&mut self, name: &str, removed: Removed, now: Timestamp) {
        let contents = self.0.entry(name.into()).or_default();
        for (tag, was) in removed.tags {
            contents.tags.insert((tag, was.digest), Times { created: was.created, deleted: now });
        }
        if let Some(manifest) = removed.manifest {
            contents.manifests.insert(removed.digest, (manifest, now));
        }
    }

    /// Keeps the blobs of a repository that is gone.
    pub(crate) fn take_blobs(&mut self, name: &str, repository: Repository) {
        self.0.entry(name.into()).or_default().blobs.extend(repository.into_blobs());
    }

    /// Whether this manifest lies here.
    pub(crate) fn holds(&self, name: &str, digest: Digest) -> bool {
        self.0.get(name).is_some_and(|contents| contents.manifests.contains_key(&digest))
    }

    /// Throws away what has been here long enough.
    fn purge(&mut self, now: Timestamp, retention: SignedDuration) {
        let is_over = |deleted: Timestamp| retention <= now.duration_since(deleted);
        for contents in self.0.values_mut() {
            contents.manifests.retain(|_, (_, deleted)| !is_over(*deleted));
            contents.tags.retain(|_, times| !is_over(times.deleted));
        }
        self.0.retain(|_, contents| !contents.manifests.is_empty() || !contents.tags.is_empty());
    }
}

impl World {
    /// Brings a manifest back, and the tag with it. What it refers to, or what refers to it, stays where it is.
    fn restore(&mut self, name: &str, digest: Digest, tag: Option<&str>, force: bool, now: Timestamp) -> Result<(), Refusal> {
        if !self.bin.holds(name, digest) {
            return Err(Refusal::ManifestUnknown);
        }
        let named = tag.and_then(|tag| self.repository(name).ok()?.tags.get(tag));
        if !force && named.is_some_and(|named| named.digest != digest) {
            return Err(Refusal::TagExists);
        }
        let contents = self.bin.0.get_mut(name).ok_or(Refusal::ManifestUnknown)?;
        let (manifest, _) = contents.manifests.remove(&digest).ok_or(Refusal::ManifestUnknown)?;
        let blobs = std::mem::take(&mut contents.blobs);
        if let Some(tag) = tag {
            contents.tags.remove(&(Arc::from(tag), digest));
        }
        let repository = self.repository_or_new(name, now);
        for (digest, bytes) in blobs {
            repository.insert_blob(digest, bytes);
        }
        repository.insert_manifest(digest, manifest);
        if let Some(tag) = tag {
            repository.set_tag(tag, digest, now);
        }
        Ok(())
    }
}

/// What a restore may say.
#[derive(Debug, Default, Deserialize)]
struct Restore {
    tag: Option<String>,
}

impl Emulator {
    /// Lists the repositories in which something lies that was deleted softly.
    pub(crate) fn deleted_catalog(&self, call: &Call) -> Result<Answer, Answer> {
        self.deleted(call, "repositories", |bin| {
            let repositories = bin.0.iter().filter_map(|(name, contents)| {
                let created = contents.manifests.values().map(|(manifest, _)| manifest.pushed).min()?;
                let deleted = contents.manifests.values().map(|(_, deleted)| *deleted).max()?;
                Some((name.to_string(), entry("repository", name, created, deleted)))
            });
            repositories.collect()
        })
    }

    /// Lists the manifests of a repository that were deleted softly.
    pub(crate) fn deleted_manifests(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        self.deleted(call, "manifests", |bin| {
            let contents = bin.0.get(name).into_iter().flat_map(|contents| &contents.manifests);
            let entries = contents
                .map(|(digest, (manifest, deleted))| (digest.to_string(), entry("digest", &digest.to_string(), manifest.pushed, *deleted)));
            entries.collect()
        })
    }

    /// Lists the tags of a repository that were deleted softly.
    pub(crate) fn deleted_tags(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        self.deleted(call, "tags", |bin| {
            let contents = bin.0.get(name).into_iter().flat_map(|contents| &contents.tags);
            let entries = contents.map(|((tag, digest), times)| {
                let mut entry = entry("tag", tag, times.created, times.deleted);
                entry["digest"] = json!(digest.to_string());
                (format!("{tag}@{digest}"), entry)
            });
            // In the order of the cursors: `1.0@…` comes before `1@…`, though the tag 1 comes before 1.0.
            let mut entries: Vec<(String, Value)> = entries.collect();
            entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            entries
        })
    }

    fn deleted(&self, call: &Call, key: &str, read: impl FnOnce(&Bin) -> Vec<(String, Value)>) -> Result<Answer, Answer> {
        let Some(retention) = self.options().soft_delete else { return Err(Answer::page_not_found()) };
        let page = self.page(call)?.in_name_order();
        let now = self.now();
        let mut state = self.lock();
        state.world.bin.purge(now, retention);
        let after = page.last.clone().unwrap_or_default();
        let cut = page.cut(read(&state.world.bin).into_iter().filter(|(name, _)| after < *name));
        let cursor = cut.items.last().map(|(name, _)| name.clone());
        let items: Vec<Value> = cut.items.into_iter().map(|(_, item)| item).collect();
        Ok(linked(Answer::json(StatusCode::OK, &json!({key: items})), call, &page, cut.more, cursor))
    }

    /// Brings a manifest back.
    pub(crate) fn restore(&self, call: &Call, name: &str, digest: Digest) -> Result<Answer, Answer> {
        let Some(retention) = self.options().soft_delete else { return Err(Answer::page_not_found()) };
        debug_assert_eq!(call.method, Method::POST, "the route answers nothing else");
        let restore: Restore = serde_json::from_slice(&call.body).unwrap_or_default();
        let force = call.get("force").is_some_and(|force| force.eq_ignore_ascii_case("true"));
        let now = self.now();
        let mut state = self.lock();
        state.world.bin.purge(now, retention);
        let restored = state.world.restore(name, digest, restore.tag.as_deref(), force, now);
        restored.map_err(|refusal| Answer::refused(&refusal, name))?;
        let tag = restore.tag.map_or(Value::Null, Value::from);
        Ok(Answer::json(StatusCode::OK, &json!({"digest": digest.to_string(), "tag": tag})))
    }
}

fn entry(key: &str, name: &str, created: Timestamp, deleted: Timestamp) -> Value {
    json!({key: name, "createdAt": created.to_string(), "deletedAt": deleted.to_string()})
}
