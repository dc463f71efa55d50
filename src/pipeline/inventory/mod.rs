//! Reads a registry into an [`Inventory`]: complete, or saying what is missing. Knows no policy beyond which names it is asked for.

mod facts;
mod listing;
mod references;

use std::sync::Arc;

use jiff::Timestamp;
use tracing::warn;

use crate::acr::{self, Client, Failure, PAGE_SIZE_MAX, RepositoryProperties};
use crate::model::{CLOCK_DIFFERENCE_MAX, Depth, Gap, Inventory, Listing, Locks, Observations, Repository, RepositoryName};
use crate::state::{State, StateError};

/// Everything a look at a registry needs.
#[derive(Clone)]
pub struct Look {
    /// The registry.
    pub client: Client,
    /// What is known from earlier looks, and learns from this one.
    pub state: State,
    /// When the look begins.
    pub now: Timestamp,
}

/// A repository to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: RepositoryName,
    /// How closely.
    pub depth: Depth,
}

/// Why there is no inventory at all. What goes wrong in one repository is a gap in that repository instead.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The registry could not be listed.
    #[error(transparent)]
    Registry(#[from] acr::Error),
    /// What is known from earlier looks could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The names in the registry's catalog.
///
/// # Errors
/// The catalog could not be read to its end.
pub async fn catalog(client: &Client) -> Result<Vec<RepositoryName>, acr::Error> {
    client.list_repositories(PAGE_SIZE_MAX).all().await
}

/// Makes sure that what the state remembers of this name was seen where the name leads now. Whoever points it elsewhere begins anew.
///
/// # Errors
/// The state cannot be used; then what it remembers must not be.
pub fn locate(client: &Client, state: &State) -> Result<(), StateError> {
    let (registry, endpoint) = (client.registry(), client.endpoint());
    if let Some(before) = state.locate(registry, &endpoint.to_string())? {
        warn!(
            %registry,
            "{registry} is at {endpoint} now and was at {before}: what was seen there is forgotten (since when manifests are untagged or condemned, \
             whose locks are whose, which policies are in force), and the next run of each policy only reports"
        );
    }
    Ok(())
}

/// Looks at the given repositories, one after the other: what is listed is consistent the shorter its listing takes.
///
/// # Errors
/// A registry that cannot be reached or does not accept the credential, and a state that cannot be used. A repository that cannot
/// be read completely is no error: it is incomplete.
pub async fn take(look: &Look, wanted: &[Wanted]) -> Result<Inventory, InventoryError> {
    locate(&look.client, &look.state)?;
    let mut repositories = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        repositories.push(repository(look, wanted).await?);
    }
    repositories.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(Inventory { registry: look.client.registry().clone(), taken_at: look.now, repositories })
}

async fn repository(look: &Look, wanted: &Wanted) -> Result<Repository, InventoryError> {
    let name = &wanted.name;
    let incomplete = |locks, gaps| {
        let observations = Observations::default();
        Repository { name: name.clone(), locks, observations, listing: Listing::Incomplete(gaps) }
    };
    let properties = match look.client.get_repository(name).await {
        Ok(properties) => properties,
        Err(error) if error.failure == Failure::NotFound => {
            return Ok(incomplete(Locks::UNKNOWN, vec![Gap(Gap::NO_REPOSITORY.to_owned())]));
        }
        Err(error) => return one_repository(error).map(|gap| incomplete(Locks::UNKNOWN, vec![gap])),
    };
    let listed = match listing::read(&look.client, &properties).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(gaps)) => return Ok(incomplete(properties.locks, gaps)),
        Err(error) => return one_repository(error).map(|gap| incomplete(properties.locks, vec![gap])),
    };
    if let Some(gap) = ages_mean_nothing(&look.client).or(some_are_hidden(look, &properties, listed.manifests.len()).await?) {
        return Ok(incomplete(properties.locks, vec![gap]));
    }
    match references::complete(look, wanted, listed).await? {
        Ok((contents, observations)) => {
            let listing = Listing::Complete(Arc::new(contents));
            Ok(Repository { name: name.clone(), locks: properties.locks, observations, listing })
        }
        Err(gaps) => Ok(incomplete(properties.locks, gaps)),
    }
}

/// A clock that is wrong would be remembered: since when something is untagged or condemned. The answers so far tell the registry's time.
fn ages_mean_nothing(client: &Client) -> Option<Gap> {
    let difference = client.clock_offset().filter(|difference| CLOCK_DIFFERENCE_MAX < difference.abs())?;
    Some(Gap(format!("our clock and the registry's differ by {difference:#}, so ages mean nothing")))
}

/// A registry that tells of more manifests than it lists hides some, and what is hidden may need what is listed. Asked again, because
/// somebody may have deleted some meanwhile.
async fn some_are_hidden(look: &Look, properties: &RepositoryProperties, listed: usize) -> Result<Option<Gap>, InventoryError> {
    let told = |properties: &RepositoryProperties| {
        properties.manifest_count.filter(|told| u64::try_from(listed).is_ok_and(|listed| listed < *told))
    };
    if told(properties).is_none() {
        return Ok(None);
    }
    match look.client.get_repository(&properties.name).await {
        Ok(again) => {
            Ok(told(&again).map(|told| Gap(format!("the registry tells of {told} manifests and lists {listed}: some are hidden"))))
        }
        Err(error) => one_repository(error).map(Some),
    }
}

/// What concerns one repository alone is a gap in it; what would fail for every other one too ends the look.
fn one_repository(error: acr::Error) -> Result<Gap, InventoryError> {
    match error.failure {
        Failure::Unauthorized { .. } | Failure::Denied { .. } | Failure::Unreachable { .. } | Failure::Hostile { .. } => Err(error.into()),
        Failure::NotFound
        | Failure::Locked
        | Failure::Unsupported { .. }
        | Failure::Forbidden { .. }
        | Failure::Throttled { .. }
        | Failure::OutcomeUnknown { .. }
        | Failure::Protocol { .. }
        | Failure::Input { .. } => Ok(Gap(error.to_string())),
    }
}
