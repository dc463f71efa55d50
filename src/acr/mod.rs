//! The client of ACR's data plane: the only place that knows its URLs and its JSON. Knows no policy and decides nothing;
//! what it cannot read completely is an error, and the caller keeps what an error left unknown.

mod access;
mod auth;
mod blobs;
mod budget;
mod client;
mod courier;
mod deleted;
mod document;
mod endpoint;
mod error;
mod image_config;
mod limits;
mod manifests;
mod paging;
mod reference;
mod repositories;
mod reqwest_transport;
mod retry;
mod statistics;
mod tags;
mod transport;
mod uploads;
mod wire;

#[cfg(test)]
mod scripted;

pub use access::{Finding, Needs};
pub use auth::{
    CertificateFiles, Chosen, Credential, DEFAULT_AUDIENCE, EntraOptions, EntraSettings, InvalidEntraSettings, Pipeline, Secret,
    ServiceConnection, auto_entra_settings, entra_credential, sovereign_authority,
};
pub use blobs::BlobDownload;
pub use budget::{Budget, Limits};
pub use client::{Client, ClientOptions, Deleted, Order};
pub use deleted::{DeletedManifest, DeletedTag, Restored, SoftDeletedRepository, WhenTaken};
pub use document::{Child, Config, ManifestDocument};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error::{Action, Error, Failure, Operation, Permission};
pub use limits::{BLOB_MAX_BYTES, PAGE_SIZE_MAX};
pub use manifests::{ManifestProperties, PlatformReference};
pub use paging::Pages;
pub use reference::Reference;
pub use repositories::{DeletedRepository, RepositoryProperties};
pub use reqwest_transport::{InvalidTransport, ReqwestTransport, ReqwestTransportOptions, install_crypto_provider};
pub use statistics::{Asked, LATENCY_BOUNDS, Latencies, Statistics};
pub use tags::TagProperties;
pub use transport::{Body, Delivery, Transport, TransportError, TransportErrorKind};
pub use uploads::UploadedBlob;
