//! The two lists of a repository, read to their ends and found to be one picture. Does not read documents.

use std::collections::HashSet;

use crate::acr::{self, Client, ManifestProperties, Order, PAGE_SIZE_MAX, TagProperties};
use crate::model::{Gap, Manifest, References, RepositoryName, Tag};

/// How often a repository that changes while it is listed is listed again.
const LISTINGS_MAX: u32 = 3;
/// So many of the newest items are looked at after listing, to see what came while earlier pages had been read already. More
/// pushes than this within one listing show as an item that is not listed, too.
const NEWEST_LOOKED_AT: u16 = 20;

/// What the lists say.
pub(super) struct Listed {
    pub(super) manifests: Vec<Manifest>,
    pub(super) tags: Vec<Tag>,
}

/// Lists a repository until nothing came in between.
pub(super) async fn read(client: &Client, name: &RepositoryName) -> Result<Result<Listed, Vec<Gap>>, acr::Error> {
    let mut came_in_between = String::new();
    for _ in 0..LISTINGS_MAX {
        let listed = lists(client, name).await?;
        match newcomer(client, name, &listed).await? {
            None => return Ok(Ok(listed)),
            Some(newcomer) => came_in_between = newcomer,
        }
    }
    Ok(Err(vec![Gap(format!("it changes faster than it can be listed: {came_in_between} came while it was listed, {LISTINGS_MAX} times"))]))
}

async fn lists(client: &Client, name: &RepositoryName) -> Result<Listed, acr::Error> {
    // Tags first: a tag that is pushed in between then points at a manifest that is listed, and one whose manifest is deleted in
    // between shows as a contradiction rather than as an untagged manifest.
    let mut tags = Vec::new();
    let mut pages = client.list_tags(name, Order::Name, PAGE_SIZE_MAX);
    while let Some(page) = pages.next_page().await? {
        tags.extend(page.into_iter().map(tag));
    }
    let mut manifests = Vec::new();
    let mut pages = client.list_manifests(name, Order::Name, PAGE_SIZE_MAX);
    while let Some(page) = pages.next_page().await? {
        manifests.extend(page.into_iter().map(manifest));
    }
    Ok(Listed { manifests, tags })
}

/// Something that is in the repository and not in the lists. The newest items tell, whatever pages the lists were cut into.
async fn newcomer(client: &Client, name: &RepositoryName, listed: &Listed) -> Result<Option<String>, acr::Error> {
    let newest = client.list_manifests(name, Order::NewestFirst, NEWEST_LOOKED_AT).next_page().await?.unwrap_or_default();
    let wanted: HashSet<_> = newest.iter().map(|manifest| manifest.digest).collect();
    let known: HashSet<_> = listed.manifests.iter().map(|manifest| manifest.digest).filter(|digest| wanted.contains(digest)).collect();
    if let Some(digest) = wanted.difference(&known).next() {
        return Ok(Some(format!("manifest {digest}")));
    }
    let newest = client.list_tags(name, Order::NewestFirst, NEWEST_LOOKED_AT).next_page().await?.unwrap_or_default();
    let wanted: HashSet<_> = newest.iter().map(|tag| (&tag.name, tag.digest)).collect();
    let known: HashSet<_> = listed.tags.iter().map(|tag| (&tag.name, tag.digest)).filter(|tag| wanted.contains(tag)).collect();
    Ok(wanted.difference(&known).next().map(|(name, _)| format!("tag {name}")))
}

fn manifest(properties: ManifestProperties) -> Manifest {
    Manifest {
        digest: properties.digest,
        media_type: properties.media_type,
        updated_at: properties.updated_at,
        locks: properties.locks,
        size_bytes: properties.size_bytes,
        references: References::None,
        untagged_since: None,
        left_behind_by: None,
    }
}

fn tag(properties: TagProperties) -> Tag {
    Tag { name: properties.name, digest: properties.digest, updated_at: properties.updated_at, locks: properties.locks }
}
