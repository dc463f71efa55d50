//! The client of ACR's data plane: the only place that knows its URLs and its JSON. Knows no policy and decides nothing;
//! what it cannot read completely is an error, and the caller keeps what an error left unknown.

mod auth;
mod client;
mod courier;
mod endpoint;
mod error;
mod image_config;
mod limits;
mod manifests;
mod paging;
mod repositories;
mod reqwest_transport;
mod retry;
mod statistics;
mod tags;
mod transport;
mod wire;

#[cfg(test)]
mod scripted;

pub use auth::{
    Credential, DEFAULT_AUDIENCE, EntraOptions, EntraSettings, InvalidEntraSettings, Secret, auto_entra_settings, entra_credential,
};
pub use client::{Client, ClientOptions, Deleted, Order};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error::{Action, Error, Failure, Operation, Permission};
pub use limits::{BLOB_MAX_BYTES, PAGE_SIZE_MAX};
pub use manifests::{Child, Config, ManifestDocument, ManifestProperties, PlatformReference};
pub use paging::Pages;
pub use repositories::{DeletedRepository, RepositoryProperties};
pub use reqwest_transport::{InvalidTransport, ReqwestTransport, ReqwestTransportOptions, install_crypto_provider};
pub use statistics::{Asked, LATENCY_BOUNDS, Latencies, Statistics};
pub use tags::TagProperties;
pub use transport::{Body, Delivery, Transport, TransportError, TransportErrorKind};
