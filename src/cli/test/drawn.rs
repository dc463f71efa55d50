//! A drawn registry as an inventory: the emulator in this process, read by the real client, without sockets, disk or waiting.
//! Does not know what is expected of it.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use tower_service::Service as _;

use crate::acr::{Body, Budget, Client, ClientOptions, Credential, Delivery, Endpoint, Transport, TransportError, TransportErrorKind};
use crate::clock::Clock;
use crate::emulator::{Emulator, Options, Seed, SeedError};
use crate::model::{Inventory, RegistryName};
use crate::pipeline;
use crate::pipeline::inventory::{self, Look};
use crate::policy::Policy;
use crate::state::State;

use super::super::Failure;

/// A registry that was drawn, and what was read of it.
pub(super) struct Drawn {
    pub(super) inventory: Inventory,
    pub(super) seed: Seed,
}

/// Why a drawing is no inventory.
pub(super) enum NotDrawn {
    /// The drawing is wrong.
    Drawing(SeedError),
    /// Anything else.
    Failure(Failure),
}

impl<E> From<E> for NotDrawn
where
    Failure: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

/// Draws a registry of that name as it is at that time, and lists it as closely as the policies ask.
pub(super) async fn draw(drawing: &str, registry: &RegistryName, policies: &[Policy], now: Timestamp) -> Result<Drawn, NotDrawn> {
    let options = Options { require_auth: false, anonymous_pull: true, ..Options::default() };
    let emulator = Emulator::new(options, Arc::new(move || now));
    let seed = emulator.seed(drawing).map_err(NotDrawn::Drawing)?;
    let endpoint = Endpoint::parse("https://drawn.invalid").map_err(|error| Failure::partial(error.to_string()))?;
    let client = Client::new(ClientOptions {
        registry: registry.clone(),
        endpoint,
        transport: Arc::new(InProcess { emulator }),
        credential: Credential::Anonymous,
        clock: Clock::new(move || now),
        apply_credential: None,
        budget: Budget::unlimited(),
        jitter_seed: 0,
    });
    let state = State::in_memory()?;
    let wanted = pipeline::wanted(policies, registry, inventory::catalog(&client).await?);
    // Looked at long ago, so that what is drawn untagged has been so since its push; twice, so that a drawn ghost is known to be one.
    for now in [Timestamp::UNIX_EPOCH, Timestamp::constant(1, 0)] {
        inventory::take(&Look { client: client.clone(), state: state.clone(), now }, &wanted).await?;
    }
    let inventory = inventory::take(&Look { client, state, now }, &wanted).await?;
    Ok(Drawn { inventory, seed })
}

/// The emulator where otherwise a network is.
struct InProcess {
    emulator: Emulator,
}

#[async_trait::async_trait]
impl Transport for InProcess {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
        let response = match self.emulator.router().call(request.map(axum::body::Body::from)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        Ok(response.map(|body| {
            Body::from_stream(body.into_data_stream().map(|piece| {
                piece.map_err(|error| TransportError {
                    kind: TransportErrorKind::Other,
                    delivery: Delivery::Unknown,
                    sentence: error.to_string(),
                })
            }))
        }))
    }
}
