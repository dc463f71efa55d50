//! Completes a listing: what documents refer to, and what earlier looks know. A document is read once in its life.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;

use crate::acr::{self, Client, Failure};
use crate::model::{Contents, Digest, Gap, Manifest, References, RegistryName, RepositoryName};
use crate::state::{Listings, State};

use super::listing::Listed;
use super::{InventoryError, Look};

/// Documents read side by side. Reads have ten times the allowance of deletes, and paging has ended by then.
const READS_IN_FLIGHT_MAX: usize = 8;
/// So many documents are remembered with one write to the disk.
const REMEMBERED_AT_ONCE: usize = 500;
/// So many gaps are told of one repository; one is enough to keep everything in it.
const GAPS_TOLD_MAX: usize = 20;

/// What reading a document brought.
enum Document {
    Refers(References),
    /// Listed, and "not found" when it was read.
    Absent,
    /// Not read, and why.
    Unread(Gap),
}

/// Reads what must be read and adds what is known. Returns the contents and the time of the first complete listing, or what is missing.
pub(super) async fn complete(
    look: &Look,
    name: &RepositoryName,
    mut listed: Listed,
) -> Result<Result<(Contents, Listings), Vec<Gap>>, InventoryError> {
    let Look { client, state, now } = look;
    let registry = client.registry();
    let mut gaps = add_references(client, state, name, &mut listed.manifests).await?;
    let absent: Vec<Digest> = gaps.absent.clone();
    let confirmed = state.observe_absent(registry, name, *now, &absent)?;
    for digest in absent {
        if !confirmed.contains(&digest) {
            gaps.told.push(Gap(format!(
                "manifest {digest} is listed, but reading it finds nothing; if the next run finds nothing either, it is set aside"
            )));
        }
    }
    for manifest in listed.manifests.iter_mut().filter(|manifest| confirmed.contains(&manifest.digest)) {
        manifest.references = References::Ghost;
    }
    if !gaps.told.is_empty() {
        gaps.told.truncate(GAPS_TOLD_MAX);
        return Ok(Err(gaps.told));
    }
    let contents = match Contents::new(listed.manifests, listed.tags) {
        Ok(contents) => contents,
        Err(mut told) => {
            told.truncate(GAPS_TOLD_MAX);
            return Ok(Err(told));
        }
    };
    let manifests = u32::try_from(contents.manifests().len()).unwrap_or(u32::MAX);
    let listings = state.observe_repository(registry, name, *now, manifests)?;
    Ok(add_observations(state, registry, name, *now, contents)?.map(|contents| (contents, listings)))
}

struct Gaps {
    absent: Vec<Digest>,
    told: Vec<Gap>,
}

async fn add_references(client: &Client, state: &State, name: &RepositoryName, manifests: &mut [Manifest]) -> Result<Gaps, InventoryError> {
    let referring: Vec<Digest> =
        manifests.iter().filter(|manifest| manifest.media_type.may_refer()).map(|manifest| manifest.digest).collect();
    let mut known = state.references_of(&referring)?;
    let unread: Vec<Digest> = referring.into_iter().filter(|digest| !known.contains_key(digest)).collect();
    let mut gaps = Gaps { absent: Vec::new(), told: Vec::new() };
    for portion in unread.chunks(REMEMBERED_AT_ONCE) {
        let mut learnt = Vec::with_capacity(portion.len());
        let documents = stream::iter(portion).map(|digest| async move { (*digest, document(client, name, *digest).await) });
        let documents: Vec<_> = documents.buffer_unordered(READS_IN_FLIGHT_MAX).collect().await;
        for (digest, document) in documents {
            match document? {
                Document::Refers(references) => learnt.push((digest, references)),
                Document::Absent => gaps.absent.push(digest),
                Document::Unread(gap) => gaps.told.push(gap),
            }
        }
        state.remember_references(&learnt)?;
        known.extend(learnt);
    }
    gaps.told.sort_unstable();
    gaps.absent.sort_unstable();
    let mut known: HashMap<Digest, References> = known;
    for manifest in manifests {
        if let Some(references) = known.remove(&manifest.digest) {
            manifest.references = references;
        }
    }
    Ok(gaps)
}

async fn document(client: &Client, name: &RepositoryName, digest: Digest) -> Result<Document, acr::Error> {
    match client.get_manifest(name, digest).await {
        Ok(document) => {
            let children = document.children.iter().map(|child| child.digest).collect();
            Ok(Document::Refers(References::new(children, document.subject)))
        }
        Err(error) => match error.failure {
            Failure::NotFound => Ok(Document::Absent),
            Failure::Unauthorized { .. } | Failure::Denied { .. } | Failure::Unreachable { .. } | Failure::Hostile { .. } => Err(error),
            Failure::Locked
            | Failure::Unsupported { .. }
            | Failure::Forbidden { .. }
            | Failure::Throttled { .. }
            | Failure::OutcomeUnknown { .. }
            | Failure::Protocol { .. } => Ok(Document::Unread(Gap(error.to_string()))),
        },
    }
}

/// Since when each untagged manifest has been so, and what earlier runs left behind.
fn add_observations(
    state: &State,
    registry: &RegistryName,
    name: &RepositoryName,
    now: Timestamp,
    contents: Contents,
) -> Result<Result<Contents, Vec<Gap>>, InventoryError> {
    let places = (0_u32..).zip(contents.manifests()).filter(|(place, _)| contents.tags_of(*place).is_empty());
    let untagged: Vec<Digest> = places.map(|(_, manifest)| manifest.digest).collect();
    let since = state.observe_untagged(registry, name, now, &untagged)?;
    let mut left_behind = state.left_behind(registry, name)?;
    if !left_behind.is_empty() {
        let alone = standing_alone(&contents);
        let forgotten: Vec<Digest> = left_behind.extract_if(.., |digest, _| !alone.contains(digest)).map(|(digest, _)| digest).collect();
        state.forget_left_behind(registry, name, &forgotten)?;
    }
    let (mut manifests, tags) = contents.into_parts();
    for manifest in &mut manifests {
        manifest.untagged_since = since.get(&manifest.digest).copied();
        manifest.left_behind_by = left_behind.remove(&manifest.digest).map(Box::new);
    }
    Ok(Contents::new(manifests, tags))
}

/// The manifests that nothing in the repository needs or names. What was left behind and is not among them is gone or needed again;
/// should that end too, it is an image like any other, and not what an earlier run had forgotten.
fn standing_alone(contents: &Contents) -> HashSet<Digest> {
    let mut alone: HashSet<Digest> = HashSet::new();
    for (place, manifest) in (0_u32..).zip(contents.manifests()) {
        let tags = contents.tagged(place);
        let is_named = tags.iter().any(|tag| tag.name.companion_subject().is_none());
        let by_tag = tags.iter().filter_map(|tag| tag.name.companion_subject());
        let mut subjects = by_tag.chain(manifest.references.subject()).filter(|subject| *subject != manifest.digest);
        if !is_named && !subjects.any(|subject| contents.find(subject).is_some()) {
            alone.insert(manifest.digest);
        }
    }
    for child in contents.manifests().iter().flat_map(|manifest| manifest.references.children()) {
        alone.remove(child);
    }
    alone
}
