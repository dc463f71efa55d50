//! After a crash: intents without an outcome are resolved by reading the registry, never by assuming.

use crate::acr::{self, Client, Failure, TagProperties};
use crate::clock::Clock;
use crate::model::Digest;
use crate::state::{OpenIntent, Outcome as JournalOutcome, State, StateError, Verb};

/// Resolves what an earlier process left open in the journal. Returns how many intents were resolved; those that cannot be read now
/// stay open.
///
/// # Errors
/// The journal cannot be read or written.
pub async fn recover(client: &Client, state: &State, clock: &Clock) -> Result<usize, StateError> {
    let mut resolved = 0;
    for intent in state.open_intents(client.registry())? {
        if let Some(outcome) = outcome_of(client, &intent).await {
            state.conclude(intent.id, &outcome, clock.now())?;
            resolved += 1;
        }
    }
    Ok(resolved)
}

async fn outcome_of(client: &Client, intent: &OpenIntent) -> Option<JournalOutcome> {
    match (intent.verb, &intent.tag) {
        (Verb::DeleteManifest, _) => manifest_outcome(client.get_manifest_properties(&intent.repository, intent.digest).await.map(drop)),
        (Verb::Untag, Some(tag)) => tag_outcome(client.get_tag(&intent.repository, tag).await, intent.digest),
        // Setting a lock twice does no harm: the next plan looks at the lock itself.
        (Verb::SetLocks | Verb::Untag, _) => Some(JournalOutcome::ResolvedNotDone),
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
