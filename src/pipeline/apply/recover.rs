//! After a crash: intents without an outcome are resolved by reading the registry, never by assuming.

use crate::acr::{self, Client, Failure, TagProperties};
use crate::clock::Clock;
use crate::model::{Digest, LockChange, Locks, RepositoryName, TagName};
use crate::state::{OpenIntent, Outcome as JournalOutcome, Relock, Relocked, State, StateError, Verb};

/// Resolves what an earlier process left open in the journal. Returns how many intents were resolved; those that cannot be read now
/// stay open.
///
/// # Errors
/// The journal cannot be read or written.
pub async fn recover(client: &Client, state: &State, clock: &Clock) -> Result<usize, StateError> {
    let mut resolved = 0;
    for intent in state.open_intents(client.registry(), &client.endpoint().to_string())? {
        let outcome = match (intent.verb, &intent.tag) {
            (Verb::DeleteManifest, _) => {
                manifest_outcome(client.get_manifest_properties(&intent.repository, intent.digest).await.map(drop))
            }
            (Verb::Untag, Some(tag)) => tag_outcome(client.get_tag(&intent.repository, tag).await, intent.digest),
            (Verb::Untag, None) => Some(JournalOutcome::ResolvedNotDone),
            (Verb::SetLocks, _) => lock_outcome(client, state, &intent).await?,
        };
        if let Some(outcome) = outcome {
            state.conclude(intent.id, &outcome, clock.now())?;
            resolved += 1;
        }
    }
    Ok(resolved)
}

/// What a read says about a change of locks, and whose the lock is from now on: a rule that closed it may have to open it again.
async fn lock_outcome(client: &Client, state: &State, intent: &OpenIntent) -> Result<Option<JournalOutcome>, StateError> {
    let OpenIntent { repository, digest, tag, relock, .. } = intent;
    let Some(Relock { policy, change, closed_by, left }) = relock else {
        // An older version did not record what it wanted. Setting a lock twice does no harm: the next plan looks at the lock itself.
        return Ok(Some(JournalOutcome::ResolvedNotDone));
    };
    let relocked = Relocked { policy, digest: *digest, tag: tag.as_ref(), change: *change, closed_by, left: *left };
    let read = read_locks(client, repository, *digest, tag.as_ref()).await;
    if may_be_claimed(&read, &relocked) {
        state.note_relocked(client.registry(), repository, &relocked)?;
    }
    Ok(relock_outcome(read, *digest, *change))
}

/// The manifest of an item, and its attributes.
pub(super) async fn read_locks(
    client: &Client,
    name: &RepositoryName,
    digest: Digest,
    tag: Option<&TagName>,
) -> Result<(Digest, Locks), acr::Error> {
    match tag {
        Some(tag) => client.get_tag(name, tag).await.map(|tag| (tag.digest, tag.locks)),
        None => client.get_manifest_properties(name, digest).await.map(|manifest| (manifest.digest, manifest.locks)),
    }
}

/// Whether a lock whose answer was lost is taken to be of our making. All attributes must be what we were to leave, on the same image:
/// they were otherwise when we looked, just before we asked. Anything else is somebody else's by now and stays as it is.
pub(super) fn may_be_claimed(read: &Result<(Digest, Locks), acr::Error>, relocked: &Relocked<'_>) -> bool {
    read.as_ref().is_ok_and(|found| *found == (relocked.digest, relocked.left))
}

/// What a read says about a change of attributes whose answer was lost. A tag that points elsewhere by now has not got what this image
/// was to have.
pub(super) fn relock_outcome(read: Result<(Digest, Locks), acr::Error>, digest: Digest, change: LockChange) -> Option<JournalOutcome> {
    match read {
        Ok((found, locks)) if found == digest && locks.after(change) == locks => Some(JournalOutcome::ResolvedDone),
        Ok(_) => Some(JournalOutcome::ResolvedNotDone),
        Err(error) if error.failure == Failure::NotFound => Some(JournalOutcome::ResolvedNotDone),
        Err(_) => None,
    }
}

/// What a read says about the removal of a tag from a manifest whose answer was lost. A tag that points elsewhere is another one of the
/// same name, pushed later.
pub(super) fn tag_outcome(read: Result<TagProperties, acr::Error>, digest: Digest) -> Option<JournalOutcome> {
    match read {
        Ok(found) if found.digest != digest => Some(JournalOutcome::ResolvedDone),
        read => manifest_outcome(read.map(drop)),
    }
}

/// What a read says about a deletion whose answer was lost.
pub(super) fn manifest_outcome(read: Result<(), acr::Error>) -> Option<JournalOutcome> {
    match read {
        Ok(()) => Some(JournalOutcome::ResolvedNotDone),
        Err(error) if error.failure == Failure::NotFound => Some(JournalOutcome::ResolvedDone),
        Err(_) => None,
    }
}
