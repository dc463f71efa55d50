//! The registry as a value and as text, for tests and expected outputs. Times are left out: what is compared is what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::Emulator;
use super::content;
use super::digest::Digest;
use super::world::{Locks, Repository};

/// What one repository holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositorySnapshot {
    /// The tags and what they name.
    pub tags: BTreeMap<String, Digest>,
    /// The manifests.
    pub digests: BTreeSet<Digest>,
}

impl Emulator {
    /// Everything that is in the registry, by repository.
    pub fn snapshot(&self) -> BTreeMap<String, RepositorySnapshot> {
        let state = self.lock();
        let held = state.world.repositories.iter().filter(|(_, repository)| !repository.manifests.is_empty());
        let snapshot = |repository: &Repository| RepositorySnapshot {
            tags: repository.tags.iter().map(|(name, tag)| (name.to_string(), tag.digest)).collect(),
            digests: repository.manifests.keys().copied().collect(),
        };
        held.map(|(name, repository)| (name.to_string(), snapshot(repository))).collect()
    }

    /// The registry as text, one line for each manifest, in the words of the drawing: names as drawn (or short digests), sorted, with tags,
    /// children, subjects and locks; the lock of a tag in parentheses behind it.
    pub fn render(&self) -> String {
        let state = self.lock();
        let mut text = String::new();
        for (name, repository) in state.world.repositories.iter().filter(|(_, repository)| !repository.manifests.is_empty()) {
            let _ = writeln!(text, "repository {name}{}", locked(repository.locks));
            let mut lines: Vec<String> = repository.manifests.keys().map(|digest| line(repository, *digest)).collect();
            lines.sort_by_cached_key(|line| natural(line));
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }
}

/// A key by which `pr-2` sorts before `pr-10`: numbers are as wide as the widest.
fn natural(line: &str) -> String {
    let mut key = String::new();
    let mut digits = String::new();
    for character in line.chars().chain([' ']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        if !digits.is_empty() {
            let _ = write!(key, "{digits:0>20}");
            digits.clear();
        }
        key.push(character);
    }
    key
}

fn line(repository: &Repository, digest: Digest) -> String {
    let mut line = handle(repository, &digest.to_string());
    let Some(manifest) = repository.manifests.get(&digest) else { return line };
    let bytes = manifest.body.bytes();
    let children = content::document(&bytes).and_then(|document| document.manifests).unwrap_or_default();
    if !children.is_empty() {
        let children: Vec<String> = children.iter().map(|child| handle(repository, &child.digest)).collect();
        let _ = write!(line, " of {}", children.join(", "));
    }
    if let Some(subject) = manifest.body.subject() {
        let _ = write!(line, " subject {}", handle(repository, &subject.to_string()));
    }
    line.push_str(&locked(manifest.locks));
    if manifest.ghost {
        line.push_str(" ghost");
    }
    let tag = |name: &Arc<str>| match locked(repository.tags.get(name).map_or(Locks::OPEN, |tag| tag.locks)).trim_start() {
        "" => name.to_string(),
        locked => format!("{name} ({locked})"),
    };
    let tags: Vec<String> = repository.tags_of(digest).map(tag).collect();
    if tags.is_empty() {
        line.push_str(" untagged");
    } else {
        let _ = write!(line, " tags {}", tags.join(", "));
    }
    line
}

/// The drawn name of a manifest, or the short digest of one that was not drawn; `gone:` before one that is not there.
fn handle(repository: &Repository, digest: &str) -> String {
    let Ok(digest) = digest.parse::<Digest>() else { return digest.to_owned() };
    match repository.manifests.get(&digest) {
        Some(manifest) => manifest.body.handle().unwrap_or_else(|| digest.short()),
        None => format!("gone:{}", digest.short()),
    }
}

fn locked(Locks { delete, write, read, list }: Locks) -> String {
    let flags = [(delete, "delete"), (write, "write"), (read, "read"), (list, "list")];
    let locked: Vec<&str> = flags.into_iter().filter(|(open, _)| !open).map(|(_, name)| name).collect();
    if locked.is_empty() { String::new() } else { format!(" locked {}", locked.join(",")) }
}
