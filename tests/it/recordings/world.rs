//! The registry that a conversation presupposes: what its successful answers show and it did not push itself. The first mention counts, since
//! it comes before any change. What nobody recorded (a manifest's bytes, what is behind the last page) is made up.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use retaind::emulator::{DOCKER_MANIFEST, Digest, Emulator, Locks, RecordedManifest, RecordedTimes};
use serde_json::{Value, json};

use super::flow::{Exchange, Flow, Target};

/// When made-up things were pushed.
const SOME_TIME: &str = "2018-01-01T00:00:00Z";

#[derive(Default)]
struct Repository {
    properties: Option<Value>,
    /// The manifests by digest, as the properties of each.
    manifests: BTreeMap<String, Value>,
    bytes: BTreeMap<String, Vec<u8>>,
    tags: BTreeMap<String, Value>,
    blobs: BTreeSet<String>,
    /// The manifests were listed, so that there are no others.
    listed: bool,
    /// A page of tags, or of manifests, ended here and had a next one.
    last_tag: Option<String>,
    last_manifest: Option<String>,
    /// Digests and tags that the conversation pushes.
    pushed: BTreeSet<String>,
}

/// Puts into `emulator` what `flow` presupposes.
pub(crate) fn presuppose(flow: &Flow, emulator: &Emulator) {
    let mut world: BTreeMap<String, Repository> = BTreeMap::new();
    let mut last_repository = None;
    for exchange in flow.exchanges.iter().filter(|exchange| exchange.succeeded() || exchange.status == 307) {
        learn(&mut world, &mut last_repository, exchange);
    }
    if let Some(last) = last_repository.filter(|last| world.keys().all(|name| name <= last)) {
        world.entry(format!("{last}-behind")).or_default();
    }
    for (name, repository) in &mut world {
        repository.fill(name);
        repository.put_into(emulator, name);
    }
}

fn learn(world: &mut BTreeMap<String, Repository>, last_repository: &mut Option<String>, exchange: &Exchange) {
    let body = exchange.json().unwrap_or_default();
    let more = exchange.header("link").is_some();
    match (exchange.method.as_str(), Target::of(&exchange.path)) {
        ("GET", Target::Catalog) => {
            let names = texts(&body["repositories"]);
            *last_repository = names.last().filter(|_| more).cloned();
            for name in names {
                world.entry(name).or_default();
            }
        }
        ("GET", Target::Tags(name)) => world.entry(name).or_default().learn_tags(&body["tags"], more),
        ("GET", Target::Manifests(name)) => world.entry(name).or_default().learn_manifests(&body["manifests"], more),
        ("GET", Target::TagNames(name)) => {
            let repository = world.entry(name).or_default();
            for tag in texts(&body["tags"]) {
                repository.learn_tag(&json!({"name": tag, "digest": made_up(&tag)}));
            }
        }
        ("DELETE", Target::Repository(name)) => {
            let repository = world.entry(name).or_default();
            let manifests = texts(&body["manifestsDeleted"]);
            for tag in texts(&body["tagsDeleted"]) {
                repository.learn_tag(&json!({"name": tag, "digest": manifests[0]}));
            }
            for digest in manifests {
                repository.learn_manifest(&json!({"digest": digest}));
            }
            repository.listed = true;
        }
        (_, Target::Repository(name)) => {
            world.entry(name).or_default().properties.get_or_insert(body);
        }
        ("DELETE", Target::Tag(name, tag)) => {
            let digest = exchange.header("x-ms-int-docker-content-digest").expect("the digest of a deleted tag");
            world.entry(name).or_default().learn_tag(&json!({"name": tag, "digest": digest}));
        }
        (_, Target::Tag(name, _)) => world.entry(name).or_default().learn_tag(&body["tag"]),
        (_, Target::ManifestProperties(name, _)) => world.entry(name).or_default().learn_manifest(&body["manifest"]),
        (method, Target::Manifest(name, reference)) => learn_content(world.entry(name).or_default(), method, &reference, exchange),
        ("PUT", Target::Uploads(name)) => {
            let digest = exchange.header("docker-content-digest").expect("the digest of an upload").to_owned();
            world.entry(name).or_default().pushed.insert(digest);
        }
        ("GET", Target::Blob(name, digest)) => {
            let repository = world.entry(name).or_default();
            if !repository.pushed.contains(&digest) {
                repository.blobs.insert(digest);
            }
        }
        (_, Target::Referrers(name)) => {
            world.entry(name).or_default();
        }
        _ => {}
    }
}

fn learn_content(repository: &mut Repository, method: &str, reference: &str, exchange: &Exchange) {
    match method {
        "PUT" => {
            let digest = exchange.header("docker-content-digest").expect("the digest of a push").to_owned();
            repository.pushed.extend([digest, reference.to_owned()]);
            let manifest: Value = serde_json::from_slice(&exchange.request_body).unwrap_or_default();
            let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
            let blobs = layers.iter().chain([&manifest["config"]]).filter_map(|blob| blob["digest"].as_str());
            for blob in blobs.filter(|blob| !repository.pushed.contains(*blob)).map(str::to_owned).collect::<Vec<_>>() {
                repository.blobs.insert(blob);
            }
        }
        "GET" => {
            let digest = exchange.header("docker-content-digest").expect("the digest of a manifest").to_owned();
            repository.learn_manifest(&json!({"digest": digest, "mediaType": exchange.header("content-type")}));
            if !repository.pushed.contains(&digest) {
                repository.bytes.entry(digest.clone()).or_insert_with(|| exchange.body.clone());
            }
            if reference != digest {
                repository.learn_tag(&json!({"name": reference, "digest": digest}));
            }
        }
        _ => repository.learn_manifest(&json!({"digest": reference})),
    }
}

impl Repository {
    /// Learns a page of tags; `more`: it has a next one.
    fn learn_tags(&mut self, page: &Value, more: bool) {
        let tags = page.as_array().map(Vec::as_slice).unwrap_or_default();
        for tag in tags {
            self.learn_tag(tag);
        }
        self.last_tag = tags.last().filter(|_| more).and_then(|tag| tag["name"].as_str()).map(str::to_owned);
    }

    /// Learns a page of manifests; `more`: it has a next one.
    fn learn_manifests(&mut self, page: &Value, more: bool) {
        let manifests = page.as_array().map(Vec::as_slice).unwrap_or_default();
        for manifest in manifests {
            self.learn_manifest(manifest);
        }
        self.last_manifest = manifests.last().filter(|_| more).and_then(|manifest| manifest["digest"].as_str()).map(str::to_owned);
        self.listed = true;
    }

    fn learn_tag(&mut self, tag: &Value) {
        let name = tag["name"].as_str().expect("a tag's name");
        if !self.pushed.contains(name) {
            self.tags.entry(name.to_owned()).or_insert_with(|| tag.clone());
        }
    }

    fn learn_manifest(&mut self, manifest: &Value) {
        let digest = manifest["digest"].as_str().expect("a manifest's digest");
        if self.pushed.contains(digest) {
            return;
        }
        for tag in texts(&manifest["tags"]) {
            self.learn_tag(&json!({"name": tag, "digest": digest}));
        }
        let known = self.manifests.entry(digest.to_owned()).or_insert_with(|| json!({}));
        for (key, value) in manifest.as_object().expect("an object") {
            // References stand in the properties of one manifest, and not in a listing that came before.
            if known.get(key).is_none() {
                known[key] = value.clone();
            }
        }
    }

    /// Adds what must be there though no answer shows it.
    fn fill(&mut self, name: &str) {
        // A page that has a next one has something behind it; where nobody looked, something is made up.
        if let Some(last) = self.last_manifest.take().filter(|last| self.manifests.keys().all(|digest| digest <= last)) {
            let behind = format!("{}{}", &last[..last.len() - 64], "f".repeat(64));
            self.learn_manifest(&json!({"digest": behind}));
        }
        if let Some(last) = self.last_tag.take().filter(|last| self.tags.keys().all(|tag| tag <= last)) {
            let digest = self.tags[&last]["digest"].clone();
            self.learn_tag(&json!({"name": format!("{last}-behind"), "digest": digest}));
        }
        if !self.listed {
            let digests: Vec<_> = self.tags.values().filter_map(|tag| tag["digest"].as_str()).map(str::to_owned).collect();
            for digest in digests {
                self.learn_manifest(&json!({"digest": digest}));
            }
        }
        let count = |key: &str| self.properties.as_ref().and_then(|properties| properties[key].as_u64()).unwrap_or_default();
        let (manifests, tags) = (count("manifestCount"), count("tagCount"));
        if self.manifests.is_empty() && self.pushed.is_empty() {
            self.learn_manifest(&json!({"digest": made_up(name)}));
        }
        for number in self.manifests.len() as u64..manifests {
            self.learn_manifest(&json!({"digest": made_up(&format!("{name} {number}"))}));
        }
        for number in self.tags.len() as u64..tags {
            self.learn_tag(&json!({"name": format!("made-up-{number}"), "digest": made_up(name)}));
        }
    }

    fn put_into(&self, emulator: &Emulator, name: &str) {
        for (digest, manifest) in &self.manifests {
            emulator.hold_manifest(name, recorded_manifest(digest, manifest, self.bytes.get(digest)));
        }
        for (tag, properties) in &self.tags {
            let target = properties["digest"].as_str().expect("a tag's digest");
            emulator.hold_tag(name, tag, parsed(target), times(properties));
        }
        for blob in &self.blobs {
            emulator.hold_blob(name, parsed(blob), Bytes::from_static(b"{}"));
        }
        if let Some(properties) = &self.properties {
            emulator.hold_repository(name, times(properties));
        }
    }
}

fn recorded_manifest(digest: &str, properties: &Value, bytes: Option<&Vec<u8>>) -> RecordedManifest {
    let text = |key: &str| properties[key].as_str().map(str::to_owned);
    let RecordedTimes { created, locks, .. } = times(properties);
    RecordedManifest {
        digest: parsed(digest),
        bytes: bytes.cloned().unwrap_or_else(|| stand_in(properties)).into(),
        media_type: text("mediaType").unwrap_or_else(|| DOCKER_MANIFEST.to_owned()),
        config_media_type: text("configMediaType"),
        architecture: text("architecture"),
        os: text("os"),
        image_size_bytes: properties["imageSize"].as_u64().unwrap_or_default(),
        pushed: created,
        locks,
    }
}

/// A document that says about children what the properties say.
fn stand_in(properties: &Value) -> Vec<u8> {
    let Some(references) = properties["references"].as_array() else { return b"{}".to_vec() };
    let child = |reference: &Value| {
        let platform = json!({"architecture": reference["architecture"], "os": reference["os"]});
        json!({"mediaType": DOCKER_MANIFEST, "digest": reference["digest"], "size": 1, "platform": platform})
    };
    let children: Vec<Value> = references.iter().map(child).collect();
    json!({"schemaVersion": 2, "mediaType": properties["mediaType"], "manifests": children}).to_string().into_bytes()
}

fn times(properties: &Value) -> RecordedTimes {
    let time = |key: &str| -> Timestamp { properties[key].as_str().unwrap_or(SOME_TIME).parse().expect("a time") };
    let flag = |key: &str| properties["changeableAttributes"][key].as_bool().unwrap_or(true);
    let locks = Locks { delete: flag("deleteEnabled"), write: flag("writeEnabled"), read: flag("readEnabled"), list: flag("listEnabled") };
    RecordedTimes { created: time("createdTime"), updated: time("lastUpdateTime"), locks }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn made_up(seed: &str) -> String {
    Digest::of(seed.as_bytes()).to_string()
}

fn parsed(digest: &str) -> Digest {
    digest.parse().expect("a digest")
}
