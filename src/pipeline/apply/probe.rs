//! What came into a repository since it was listed, seen by looking at its newest items only.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::acr::{Client, Failure, Order};
use crate::model::{Digest, RepositoryName, Time};

use super::super::plan::Newest;
use super::Stopped;

/// So many of the newest manifests and tags are looked at. If all of them are new, there may be more, and the repository is left
/// to the next run.
const NEWEST_LOOKED_AT: u16 = 20;

/// The manifests that something new needs: children of new indexes, subjects of new referrers and companions, manifests of new or
/// moved tags.
pub(super) async fn newly_needed(client: &Client, name: &RepositoryName, newest: &Newest) -> Result<HashSet<Digest>, Stopped> {
    let unreadable =
        |error: crate::acr::Error| Stopped::Changed(format!("it could not be probed for what came since the listing: {error}"));
    let too_much = || Stopped::Changed("more came since the listing than one look shows; the next run lists it again".to_owned());
    match client.get_repository(name).await {
        Ok(properties) if properties.locks.protects() => {
            return Err(Stopped::Changed("the repository was locked since the listing".to_owned()));
        }
        Ok(_) => {}
        // A repository goes with its last manifest. Nothing is new in it then; what is left of the plan finds itself gone.
        Err(error) if error.failure == Failure::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(unreadable(error)),
    }
    let mut needed = HashSet::new();
    let manifests =
        client.list_manifests(name, Order::NewestFirst, NEWEST_LOOKED_AT).next_page().await.map_err(unreadable)?.unwrap_or_default();
    let is_new = |updated_at: Option<Timestamp>, newest: Option<Time>| updated_at.is_none() || newest < updated_at.map(Time::from);
    let shown = manifests.len();
    let new: Vec<_> = manifests.into_iter().filter(|manifest| is_new(manifest.updated_at, newest.manifest)).collect();
    if new.len() == shown && usize::from(NEWEST_LOOKED_AT) <= shown {
        return Err(too_much());
    }
    for manifest in new.iter().filter(|manifest| manifest.media_type.may_refer()) {
        let document = client.get_manifest(name, manifest.digest).await.map_err(unreadable)?;
        needed.extend(document.children.iter().map(|child| child.digest));
        needed.extend(document.subject);
    }
    let tags = client.list_tags(name, Order::NewestFirst, NEWEST_LOOKED_AT).next_page().await.map_err(unreadable)?.unwrap_or_default();
    let shown = tags.len();
    let new: Vec<_> = tags.into_iter().filter(|tag| is_new(tag.updated_at, newest.tag)).collect();
    if new.len() == shown && usize::from(NEWEST_LOOKED_AT) <= shown {
        return Err(too_much());
    }
    for tag in new {
        needed.insert(tag.digest);
        needed.extend(tag.name.companion_subject());
    }
    Ok(needed)
}
