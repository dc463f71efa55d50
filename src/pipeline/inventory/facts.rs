//! What documents and configs say beyond what they refer to, read only as deep as policies ask and once in the life of a digest.

use std::collections::{BTreeMap, HashMap};

use futures::StreamExt as _;
use futures::stream;

use crate::acr::{self, BLOB_MAX_BYTES, Client, Failure, ManifestDocument};
use crate::model::{ConfigBlob, Digest, Facts, Gap, Manifest, Pairs, References, RepositoryName, Texts};
use crate::state::{Description, State};

use super::references::{READS_IN_FLIGHT_MAX, REMEMBERED_AT_ONCE};
use super::{InventoryError, Wanted};

/// Keys and values of all annotations of one manifest: a hundred of 600 bytes. They are held for every manifest of a repository at once.
const ANNOTATIONS_MAX_BYTES: usize = 64 << 10;

/// The configs that have labels; those of charts and other artifacts have none, whatever they say.
const IMAGE_CONFIGS: [&str; 3] = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json", ""];

/// What reading a document brought.
pub(super) enum Document {
    Read {
        references: References,
        description: Description,
    },
    /// Listed, and "not found" when it was read.
    Absent,
    /// Not read, and why.
    Unread(Gap),
}

pub(super) async fn document(client: &Client, name: &RepositoryName, digest: Digest) -> Result<Document, acr::Error> {
    match client.get_manifest(name, digest).await {
        Ok(document) => {
            let children = document.children.iter().map(|child| child.digest).collect();
            Ok(Document::Read { references: References::new(children, document.subject), description: describe(document) })
        }
        Err(error) if error.failure == Failure::NotFound => Ok(Document::Absent),
        Err(error) => one_item(error).map(|why| Document::Unread(Gap(why))),
    }
}

fn describe(document: ManifestDocument) -> Description {
    let ManifestDocument { artifact_type, config, annotations, .. } = document;
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    let annotations = if size <= ANNOTATIONS_MAX_BYTES {
        Texts::Known(annotations.into_iter().collect::<Pairs>())
    } else {
        Texts::Unreadable(format!("its annotations take {size} bytes, more than {ANNOTATIONS_MAX_BYTES}").into())
    };
    let config_type = config.as_ref().and_then(|config| config.media_type.clone());
    let config = config.filter(|config| config.media_type.as_deref().is_none_or(|media_type| IMAGE_CONFIGS.contains(&media_type)));
    let config = config.map(|config| ConfigBlob { digest: config.digest, size_bytes: config.size_bytes });
    Description { artifact_type: artifact_type.or(config_type), annotations, config }
}

/// Why something was not read, when it fails alone; what would fail for everything else too ends the look.
fn one_item(error: acr::Error) -> Result<String, acr::Error> {
    match error.failure {
        Failure::Unauthorized { .. } | Failure::Denied { .. } | Failure::Unreachable { .. } | Failure::Hostile { .. } => Err(error),
        Failure::NotFound
        | Failure::Locked
        | Failure::Unsupported { .. }
        | Failure::Forbidden { .. }
        | Failure::Throttled { .. }
        | Failure::OutcomeUnknown { .. }
        | Failure::Protocol { .. }
        | Failure::Input { .. } => Ok(error.to_string()),
    }
}

/// Gives each manifest what its description says, and its labels where they are asked for.
pub(super) async fn add(
    client: &Client,
    state: &State,
    wanted: &Wanted,
    mut descriptions: HashMap<Digest, Description>,
    manifests: &mut [Manifest],
) -> Result<(), InventoryError> {
    let Wanted { name, depth } = wanted;
    let configs = descriptions.values().filter(|_| depth.labels).filter_map(|description| description.config);
    let configs: BTreeMap<Digest, Option<u64>> = configs.map(|config| (config.digest, config.size_bytes)).collect();
    let labels = labels(client, state, name, &configs).await?;
    for manifest in manifests {
        let Some(Description { artifact_type, annotations, config }) = descriptions.remove(&manifest.digest) else { continue };
        let labels = match config {
            _ if !depth.labels => Texts::NotRead,
            None => Texts::none(),
            Some(config) => labels.get(&config.digest).cloned().unwrap_or(Texts::NotRead),
        };
        manifest.facts = Some(Box::new(Facts { artifact_type, annotations, labels }));
    }
    Ok(())
}

/// The labels in these configs. One that cannot be fetched now is unknown now, and asked for again by the next look.
async fn labels(
    client: &Client,
    state: &State,
    name: &RepositoryName,
    configs: &BTreeMap<Digest, Option<u64>>,
) -> Result<HashMap<Digest, Texts>, InventoryError> {
    let digests: Vec<Digest> = configs.keys().copied().collect();
    let mut known = state.labels_of(&digests)?;
    let unread: Vec<Digest> = digests.into_iter().filter(|digest| !known.contains_key(digest)).collect();
    for portion in unread.chunks(REMEMBERED_AT_ONCE) {
        let reads = stream::iter(portion).map(|config| async move {
            let size_bytes = configs.get(config).copied().flatten();
            (*config, one_config(client, name, *config, size_bytes).await)
        });
        let reads: Vec<_> = reads.buffer_unordered(READS_IN_FLIGHT_MAX).collect().await;
        let mut learnt = Vec::with_capacity(portion.len());
        for (config, read) in reads {
            match read {
                Ok(labels) => learnt.push((config, labels)),
                Err(error) => {
                    drop(known.insert(config, Texts::Unreadable(format!("its config was not read: {}", one_item(error)?).into())))
                }
            }
        }
        state.remember_labels(&learnt)?;
        known.extend(learnt);
    }
    Ok(known)
}

async fn one_config(client: &Client, name: &RepositoryName, config: Digest, size_bytes: Option<u64>) -> Result<Texts, acr::Error> {
    match size_bytes {
        Some(size) if (BLOB_MAX_BYTES as u64) < size => {
            Ok(Texts::Unreadable(format!("its config has {size} bytes, more than {BLOB_MAX_BYTES}").into()))
        }
        Some(_) | None => client.get_labels(name, config).await,
    }
}
