//! Completes a listing: what documents refer to, and what earlier looks and runs noted. A document is read once in its life.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;

use crate::acr::Client;
use crate::model::{
    Contents, Digest, Gap, Locks, Manifest, Mark, Observations, OwnLock, References, RegistryName, RepositoryName, TagName, Time,
};
use crate::state::{Listings, State, StateError};

use super::facts::{self, Document, document};
use super::listing::Listed;
use super::{InventoryError, Look, Wanted};

/// Documents read side by side. Reads have ten times the allowance of deletes, and paging has ended by then.
pub(super) const READS_IN_FLIGHT_MAX: usize = 8;
/// So many documents are remembered with one write to the disk.
pub(super) const REMEMBERED_AT_ONCE: usize = 500;
/// So many gaps are told of one repository; one is enough to keep everything in it.
const GAPS_TOLD_MAX: usize = 20;

/// Reads what must be read and adds what is known. Returns the contents and the time of the first complete listing, or what is missing.
pub(super) async fn complete(
    look: &Look,
    wanted: &Wanted,
    mut listed: Listed,
) -> Result<Result<(Contents, Observations), Vec<Gap>>, InventoryError> {
    let Look { client, state, now } = look;
    let name = &wanted.name;
    let registry = client.registry();
    let mut gaps = add_references(client, state, wanted, &mut listed.manifests).await?;
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
        manifest.facts = None;
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
    let Listings { since, shrunk_from } = state.observe_repository(registry, name, *now, manifests)?;
    let contents = match add_observations(state, registry, name, *now, contents)? {
        Ok(contents) => contents,
        Err(gaps) => return Ok(Err(gaps)),
    };
    let condemned = state.condemned(registry, name)?;
    let own_locks = own_locks(state, registry, name, &contents)?;
    Ok(Ok((contents, Observations { since: Some(since), shrunk_from, condemned, own_locks })))
}

struct Gaps {
    absent: Vec<Digest>,
    told: Vec<Gap>,
}

/// Reads the documents that nobody read yet: those that could refer to others and, when a policy asks, all of them.
async fn add_references(client: &Client, state: &State, wanted: &Wanted, manifests: &mut [Manifest]) -> Result<Gaps, InventoryError> {
    let Wanted { name, depth } = wanted;
    let referring: Vec<Digest> =
        manifests.iter().filter(|manifest| manifest.media_type.may_refer()).map(|manifest| manifest.digest).collect();
    let described: Vec<Digest> = manifests.iter().filter(|_| depth.documents).map(|manifest| manifest.digest).collect();
    let mut known = state.references_of(&referring)?;
    let mut descriptions = state.descriptions_of(&described)?;
    let unread = referring.iter().filter(|digest| !known.contains_key(digest));
    let undescribed = described.iter().filter(|digest| !descriptions.contains_key(digest));
    let unread: BTreeSet<Digest> = unread.chain(undescribed).copied().collect();
    let unread: Vec<Digest> = unread.into_iter().collect();
    let mut gaps = Gaps { absent: Vec::new(), told: Vec::new() };
    for portion in unread.chunks(REMEMBERED_AT_ONCE) {
        let mut learnt = Vec::with_capacity(portion.len());
        let mut told = Vec::new();
        let documents = stream::iter(portion).map(|digest| async move { (*digest, document(client, name, *digest).await) });
        let documents: Vec<_> = documents.buffer_unordered(READS_IN_FLIGHT_MAX).collect().await;
        for (digest, document) in documents {
            match document? {
                Document::Read { references, description } => {
                    learnt.push((digest, references));
                    told.push((digest, description));
                }
                Document::Absent => gaps.absent.push(digest),
                Document::Unread(gap) => gaps.told.push(gap),
            }
        }
        state.remember_references(&learnt)?;
        known.extend(learnt);
        if depth.documents {
            state.remember_descriptions(&told)?;
            descriptions.extend(told);
        }
    }
    gaps.told.sort_unstable();
    gaps.absent.sort_unstable();
    for manifest in manifests.iter_mut().filter(|manifest| manifest.media_type.may_refer()) {
        if let Some(references) = known.remove(&manifest.digest) {
            manifest.references = references;
        }
    }
    facts::add(client, state, wanted, descriptions, manifests).await?;
    Ok(gaps)
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
        manifest.untagged_since = since.get(&manifest.digest).copied().map(Time::from);
        manifest.left_behind_by = left_behind.remove(&manifest.digest).map(Box::new);
    }
    Ok(Contents::new(manifests, tags))
}

/// The locks of ours that are as we left them. The others are no longer ours: whoever changed an attribute since may have meant the
/// rest of the lock to stay.
fn own_locks(state: &State, registry: &RegistryName, name: &RepositoryName, contents: &Contents) -> Result<Vec<OwnLock>, StateError> {
    let noted = state.own_locks(registry, name)?;
    if noted.is_empty() {
        return Ok(noted);
    }
    let tags: HashMap<(Digest, &TagName), Locks> = contents.tags().iter().map(|tag| ((tag.digest, &tag.name), tag.locks)).collect();
    let now = |mark: &Mark| match &mark.tag {
        Some(tag) => tags.get(&(mark.digest, tag)).copied(),
        None => contents.find(mark.digest).map(|place| contents.manifests()[place as usize].locks),
    };
    let (ours, changed): (Vec<OwnLock>, Vec<OwnLock>) = noted.into_iter().partition(|lock| now(&lock.mark) == Some(lock.left));
    let changed: Vec<Mark> = changed.into_iter().map(|lock| lock.mark).collect();
    state.forget_own_locks(registry, name, &changed)?;
    Ok(ours)
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
