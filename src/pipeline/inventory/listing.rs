//! The two lists of a repository, read to their ends and found to be one picture. Does not read documents.

use std::collections::HashSet;
use std::sync::Arc;

use crate::acr::{self, Client, ManifestProperties, Order, PAGE_SIZE_MAX, RepositoryProperties, TagProperties};
use crate::model::{Gap, Manifest, Platform, References, RepositoryName, Tag, TagName, Time};

/// How often a repository that changes while it is listed is listed again.
const LISTINGS_MAX: u32 = 3;
/// So many of the newest items are looked at after listing, to see what came while earlier pages had been read already. More
/// pushes than this within one listing show as an item that is not listed, too.
const NEWEST_LOOKED_AT: u16 = 20;

/// The most items that room is made for on the word of a count: a million take some 200 MB.
const ROOM_MAX: usize = 1_000_000;

/// What the lists say.
pub(super) struct Listed {
    pub(super) manifests: Vec<Manifest>,
    pub(super) tags: Vec<Tag>,
}

/// The lists, and the first contradiction between them.
struct Read {
    listed: Listed,
    contradiction: Option<String>,
}

/// Lists a repository until nothing came in between.
pub(super) async fn read(client: &Client, properties: &RepositoryProperties) -> Result<Result<Listed, Vec<Gap>>, acr::Error> {
    let name = &properties.name;
    let mut newest_trouble = String::new();
    for _ in 0..LISTINGS_MAX {
        let Read { listed, contradiction } = lists(client, properties).await?;
        let trouble = match contradiction {
            Some(contradiction) => Some(contradiction),
            None => newcomer(client, name, &listed).await?,
        };
        match trouble {
            None => return Ok(Ok(listed)),
            Some(trouble) => newest_trouble = trouble,
        }
    }
    Ok(Err(vec![Gap(format!("listed {LISTINGS_MAX} times, it was never one consistent picture: {newest_trouble}"))]))
}

/// Tags first: a tag that is pushed in between then points at a manifest that is listed, and one whose manifest is deleted in
/// between shows as a contradiction rather than as an untagged manifest. The manifests show their tags too (some of them: ACR cuts
/// long lists off), so a tag that is missing from the list of tags shows there.
async fn lists(client: &Client, properties: &RepositoryProperties) -> Result<Read, acr::Error> {
    let name = &properties.name;
    let mut tags: Vec<Tag> = Vec::with_capacity(expected(properties.tag_count));
    let mut pages = client.list_tags(name, Order::Name, PAGE_SIZE_MAX);
    while let Some(page) = pages.next_page().await? {
        tags.extend(page.into_iter().map(tag));
    }
    tags.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    let is_listed =
        |tag: &TagName, digest| tags.binary_search_by(|listed| listed.name.cmp(tag)).is_ok_and(|place| tags[place].digest == digest);
    let mut manifests = Vec::with_capacity(expected(properties.manifest_count));
    let mut contradiction = None;
    let mut platforms = Platforms::default();
    let mut pages = client.list_manifests(name, Order::Name, PAGE_SIZE_MAX);
    while let Some(page) = pages.next_page().await? {
        for properties in &page {
            let unlisted = properties.tags.iter().find(|tag| !is_listed(tag, properties.digest));
            if let Some(tag) = unlisted {
                contradiction
                    .get_or_insert_with(|| format!("manifest {} shows tag {tag}, which the list of tags does not", properties.digest));
            }
        }
        manifests.extend(page.into_iter().map(|properties| manifest(properties, &mut platforms)));
    }
    Ok(Read { listed: Listed { manifests, tags }, contradiction })
}

/// Room for what the repository says it holds, so that a long list is not copied as it grows; the lists decide how long they are.
fn expected(count: Option<u64>) -> usize {
    usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX).min(ROOM_MAX)
}

/// Something that is in the repository and not in the lists. The newest items tell, whatever pages the lists were cut into.
async fn newcomer(client: &Client, name: &RepositoryName, listed: &Listed) -> Result<Option<String>, acr::Error> {
    let newest = client.list_manifests(name, Order::NewestFirst, NEWEST_LOOKED_AT).next_page().await?.unwrap_or_default();
    let wanted: HashSet<_> = newest.iter().map(|manifest| manifest.digest).collect();
    let known: HashSet<_> = listed.manifests.iter().map(|manifest| manifest.digest).filter(|digest| wanted.contains(digest)).collect();
    if let Some(digest) = wanted.difference(&known).next() {
        return Ok(Some(format!("manifest {digest} came while it was listed")));
    }
    let newest = client.list_tags(name, Order::NewestFirst, NEWEST_LOOKED_AT).next_page().await?.unwrap_or_default();
    let wanted: HashSet<_> = newest.iter().map(|tag| (&tag.name, tag.digest)).collect();
    let known: HashSet<_> = listed.tags.iter().map(|tag| (&tag.name, tag.digest)).filter(|tag| wanted.contains(tag)).collect();
    Ok(wanted.difference(&known).next().map(|(name, _)| format!("tag {name} came while it was listed")))
}

fn manifest(properties: ManifestProperties, platforms: &mut Platforms) -> Manifest {
    Manifest {
        digest: properties.digest,
        media_type: properties.media_type,
        updated_at: properties.updated_at.map(Time::from),
        locks: properties.locks,
        size_bytes: properties.size_bytes,
        platform: platforms.shared(properties.os.as_deref(), properties.architecture.as_deref()),
        references: References::None,
        untagged_since: None,
        left_behind_by: None,
        facts: None,
    }
}

/// The platforms of a listing, each allocated once: there are a handful, and a hundred thousand images that run on them.
#[derive(Default)]
struct Platforms(Vec<Arc<Platform>>);

/// So many are shared; a registry that tells more of them is making them up.
const PLATFORMS_SHARED_MAX: usize = 100;

impl Platforms {
    fn shared(&mut self, os: Option<&str>, architecture: Option<&str>) -> Option<Arc<Platform>> {
        let (os, architecture) = (os?, architecture?);
        let is_it = |platform: &&Arc<Platform>| &*platform.os == os && &*platform.architecture == architecture;
        if let Some(known) = self.0.iter().find(is_it) {
            return Some(Arc::clone(known));
        }
        let platform = Arc::new(Platform::listed(os, architecture)?);
        if self.0.len() < PLATFORMS_SHARED_MAX {
            self.0.push(Arc::clone(&platform));
        }
        Some(platform)
    }
}

fn tag(properties: TagProperties) -> Tag {
    Tag { name: properties.name, digest: properties.digest, updated_at: properties.updated_at.map(Time::from), locks: properties.locks }
}
