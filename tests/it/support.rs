//! What several integration tests need: a client whose network is the emulator in the same process, a clock that tests turn, and
//! an identity.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body as AxumBody;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use retaind::acr::{
    Body, Client, ClientOptions, Credential, DEFAULT_AUDIENCE, Delivery, Endpoint, Transport, TransportError, TransportErrorKind,
};
use retaind::clock::Clock;
use retaind::emulator::{Dropped, Emulator, Options};
use retaind::model::RegistryName;
use tower::ServiceExt as _;

/// The emulator where otherwise a network is.
pub(crate) struct InProcess {
    emulator: Emulator,
}

#[async_trait::async_trait]
impl Transport for InProcess {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
        let request = request.map(AxumBody::from);
        let response = match self.emulator.router().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if response.extensions().get::<Dropped>().is_some() {
            return Err(broken("the connection was closed before the answer came"));
        }
        let pieces = |body: AxumBody| body.into_data_stream().map(|piece| piece.map_err(|error| broken(&error.to_string())));
        Ok(response.map(|body| Body::from_stream(pieces(body))))
    }
}

fn broken(sentence: &str) -> TransportError {
    TransportError { kind: TransportErrorKind::Other, delivery: Delivery::Unknown, sentence: sentence.to_owned() }
}

impl InProcess {
    pub(crate) const fn new(emulator: Emulator) -> Self {
        Self { emulator }
    }
}

/// A clock that stands until somebody turns it.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    /// Monday, 2 March 2026, noon.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_772_452_800)))
    }

    pub(crate) fn turn(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("a time that jiff knows")
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || hands.now())
    }
}

/// Microsoft Entra, as far as the emulator looks at it.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) object_id: &'static str,
}

#[async_trait::async_trait]
impl TokenCredential for Identity {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let audience = scopes[0].strip_suffix("/.default").expect("a scope of Entra");
        let never = i64::from(u32::MAX);
        let claims = format!(r#"{{"aud":"{audience}","oid":"{}","exp":{never}}}"#, self.object_id);
        let token = format!("{}.{}.unsigned", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims));
        Ok(AccessToken::new(token, azure_core::time::OffsetDateTime::UNIX_EPOCH))
    }
}

/// An emulator, a client of it, and the clock of each.
pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    pub(crate) registry_clock: Hands,
    pub(crate) client_clock: Hands,
}

impl Bench {
    /// A registry with these contents, and somebody who may do everything.
    pub(crate) fn new(drawing: &str) -> Self {
        Self::with(drawing, Options::default(), entra("somebody"))
    }

    pub(crate) fn with(drawing: &str, options: Options, credential: Credential) -> Self {
        Self::over(drawing, options, credential, |emulator| Arc::new(InProcess { emulator }))
    }

    /// A registry that is reached over a transport of one's own.
    pub(crate) fn over(
        drawing: &str,
        options: Options,
        credential: Credential,
        transport: impl FnOnce(Emulator) -> Arc<dyn Transport>,
    ) -> Self {
        let (registry_clock, client_clock) = (Hands::new(), Hands::new());
        let told = registry_clock.clone();
        let emulator = Emulator::new(options, Arc::new(move || told.now()));
        emulator.seed(drawing).expect("a drawing");
        let client = Client::new(ClientOptions {
            registry: RegistryName::parse("contoso").expect("a name"),
            endpoint: Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint"),
            transport: transport(emulator.clone()),
            credential,
            clock: client_clock.clock(),
            apply_credential: None,
            budget: retaind::acr::Budget::unlimited(),
            jitter_seed: 1,
        });
        Self { emulator, client, registry_clock, client_clock }
    }

    /// How often a route was asked for, whatever the answer.
    pub(crate) fn asked(&self, method: &str, route: &str) -> u64 {
        let counts = self.emulator.counts();
        counts.iter().filter(|(counted, _)| counted.method == method && counted.route == route).map(|(_, count)| count).sum()
    }
}

/// The credential of an Entra identity.
pub(crate) fn entra(object_id: &'static str) -> Credential {
    Credential::Entra { credential: Arc::new(Identity { object_id }), advice: None, audience: DEFAULT_AUDIENCE.to_owned() }
}
