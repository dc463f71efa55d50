//! The client itself: one registry, one credential, and the way each request takes. The operations are in `repositories`,
//! `tags` and `manifests`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::SignedDuration;

use super::auth::{Auth, Credential, Scope, Verdict, judge_challenge};
use super::budget::{Budget, Queue};
use super::courier::{Courier, Incoming, Outgoing, Wanted};
use super::endpoint::Endpoint;
use super::error::{Action, Error, Failure, Operation, Permission, printable};
use super::statistics::Statistics;
use super::transport::Transport;
use super::wire;
use crate::clock::Clock;
use crate::model::{LockChange, RegistryName};

/// A client of one registry. Cheap to clone; clones share tokens, the retry budget, statistics and the place in the queue.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

struct Shared {
    registry: RegistryName,
    endpoint: Endpoint,
    courier: Arc<Courier>,
    auth: Auth,
    /// Of the second identity, which alone may change something.
    apply_auth: Option<Auth>,
}

/// What a [`Client`] is made of.
pub struct ClientOptions {
    /// The registry's name in the configuration, for messages.
    pub registry: RegistryName,
    /// Where it is. Credentials go nowhere else.
    pub endpoint: Endpoint,
    /// What carries the requests.
    pub transport: Arc<dyn Transport>,
    /// Who asks.
    pub credential: Credential,
    /// Who changes something, where that is another identity than the one that reads. None: the same.
    pub apply_credential: Option<Credential>,
    /// Tells when tokens expire.
    pub clock: Clock,
    /// What may be taken of the registry's limits. Clients of one registry share it.
    pub budget: Budget,
    /// Seeds the jitter of waits, so that a simulation can be repeated.
    pub jitter_seed: u64,
}

/// What became of something that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The registry accepted the deletion.
    Done,
    /// It was not there any more, which is as good.
    Absent,
}

/// In which order a listing comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By name or digest. The only order in which deleting while listing does not shift later pages.
    #[default]
    Name,
    /// By time of the last update, oldest first.
    OldestFirst,
    /// By time of the last update, newest first.
    NewestFirst,
}

/// One request before it has a token.
pub(super) struct Call {
    pub(super) operation: Operation,
    /// What it is about, for messages.
    pub(super) item: String,
    pub(super) method: Method,
    pub(super) path_and_query: String,
    pub(super) scope: Scope,
    /// The action of the scope that this request needs.
    pub(super) needs: Action,
    /// What besides `Accept` and the token it carries; a body without a content type is JSON.
    pub(super) headers: HeaderMap,
    pub(super) accept: &'static str,
    pub(super) body: Option<Bytes>,
    pub(super) wanted: Wanted,
}

impl Client {
    /// A client that has not asked anything yet.
    pub fn new(options: ClientOptions) -> Self {
        let ClientOptions { registry, endpoint, transport, credential, apply_credential, clock, budget, jitter_seed } = options;
        let courier = Arc::new(Courier::new(transport, clock.clone(), jitter_seed, budget));
        let auth_of = |credential| Auth::new(endpoint.clone(), courier.clone(), credential, clock.clone());
        let (auth, apply_auth) = (auth_of(credential), apply_credential.map(auth_of));
        Self { shared: Arc::new(Shared { registry, endpoint, courier, auth, apply_auth }), queue: Arc::default() }
    }

    /// The same client with a queue of its own: for a run that takes turns with others, however many requests each has waiting.
    #[must_use]
    pub fn with_own_queue(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), queue: Arc::default() }
    }

    /// The registry's name in the configuration.
    pub fn registry(&self) -> &RegistryName {
        &self.shared.registry
    }

    /// Where the registry is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// What this client and its clones have done so far.
    pub fn stats(&self) -> Statistics {
        self.shared.courier.counters.read()
    }

    /// The registry's clock minus ours at the latest answer, to the second. None: no answer yet.
    pub fn clock_offset(&self) -> Option<SignedDuration> {
        self.stats().clock_offset
    }

    /// Sends a request with a token for its scope; a token that the registry no longer accepts is renewed once.
    pub(super) async fn call(&self, call: &Call) -> Result<Incoming, Error> {
        self.call_inner(call).await.map_err(|failure| self.error(call, failure))
    }

    async fn call_inner(&self, call: &Call) -> Result<Incoming, Failure> {
        let Shared { endpoint, courier, .. } = &*self.shared;
        let auth = self.auth_for(&call.scope);
        let uri = endpoint.at(&call.path_and_query).ok_or_else(|| Failure::protocol("the path of the request is not valid"))?;
        let mut headers = call.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static(call.accept));
        if call.body.is_some() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut outgoing = Outgoing {
            operation: call.operation,
            method: call.method.clone(),
            uri,
            headers,
            body: call.body.clone().unwrap_or_default(),
            wanted: call.wanted,
        };
        let mut renewed = false;
        loop {
            let token = auth.token(&call.scope).await?;
            outgoing.headers.insert(AUTHORIZATION, token.header());
            let incoming = courier.send(&self.queue, &outgoing).await?;
            if incoming.status != StatusCode::UNAUTHORIZED {
                return Ok(incoming);
            }
            match judge_challenge(endpoint, &incoming.headers)? {
                Verdict::InsufficientScope => return Err(Failure::Forbidden { missing: missing(call, token.lacks(&call.scope)) }),
                Verdict::TokenRefused if renewed => return Err(Failure::Unauthorized { said: said(&incoming) }),
                Verdict::TokenRefused => {
                    auth.forget(&call.scope, &token);
                    renewed = true;
                }
            }
        }
    }

    /// The tokens for a scope: those of the identity that reads, or of the one that changes something.
    pub(super) fn auth_for(&self, scope: &Scope) -> &Auth {
        let Shared { auth, apply_auth, .. } = &*self.shared;
        apply_auth.as_ref().filter(|_| scope.allows_changes()).unwrap_or(auth)
    }

    /// The identity that reads, and the one that changes something where that is another.
    pub(super) fn identities(&self) -> (&Auth, Option<&Auth>) {
        (&self.shared.auth, self.shared.apply_auth.as_ref())
    }

    /// Turns an answer that is not the wanted one into the error it stands for.
    pub(super) fn refused(&self, call: &Call, incoming: &Incoming) -> Error {
        self.error(call, refusal(call.operation, incoming))
    }

    /// An error about this request.
    pub(super) fn error(&self, call: &Call, failure: Failure) -> Error {
        Error { operation: call.operation, registry: self.shared.registry.clone(), item: call.item.clone(), failure }
    }

    /// Sends the one kind of request that carries no token.
    pub(super) async fn send(&self, outgoing: &Outgoing) -> Result<Incoming, Failure> {
        self.shared.courier.send(&self.queue, outgoing).await
    }

    /// Sends a read and returns its body.
    pub(super) async fn read(&self, call: &Call) -> Result<Incoming, Error> {
        let incoming = self.call(call).await?;
        if incoming.status == StatusCode::OK { Ok(incoming) } else { Err(self.refused(call, &incoming)) }
    }

    /// Sends a deletion. Success is what ACR says, word for word; another success is no success that we know.
    pub(super) async fn delete(&self, call: &Call) -> Result<(Deleted, Incoming), Error> {
        let incoming = self.call(call).await?;
        if incoming.status == StatusCode::ACCEPTED {
            return Ok((Deleted::Done, incoming));
        }
        let failure = refusal(call.operation, &incoming);
        if failure == Failure::NotFound { Ok((Deleted::Absent, incoming)) } else { Err(self.error(call, failure)) }
    }
}

/// The body of a request that changes a lock, with the given flags alone.
pub(super) fn lock_change_body(change: LockChange) -> Bytes {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    let flags = [("deleteEnabled", can_delete), ("writeEnabled", can_write), ("readEnabled", can_read), ("listEnabled", can_list)];
    let flags: Vec<String> = flags.into_iter().filter_map(|(name, flag)| flag.map(|flag| format!("\"{name}\":{flag}"))).collect();
    Bytes::from(format!("{{{}}}", flags.join(",")))
}

impl Order {
    /// The part of a query that asks for it.
    pub(super) const fn query(self) -> &'static str {
        match self {
            Self::Name => "",
            Self::OldestFirst => "&orderby=timeasc",
            Self::NewestFirst => "&orderby=timedesc",
        }
    }
}

fn missing(call: &Call, mut lacking: Vec<Action>) -> Permission {
    if !lacking.contains(&call.needs) {
        lacking = vec![call.needs];
    }
    Permission { actions: lacking, repository: call.scope.repository().cloned() }
}

/// What the registry says in its error envelope, or at least its status.
fn said(incoming: &Incoming) -> String {
    match wire::first_error(&incoming.body) {
        Some(error) => printable(&format!("{} {}: {}", incoming.status.as_u16(), error.code, error.message)),
        None => format!("{} without an explanation", incoming.status),
    }
}

/// What an answer other than the wanted one means.
///
/// A 404 counts only in ACR's own words: a route that does not match, or a proxy that answers for somebody else, says nothing
/// about the item.
fn refusal(operation: Operation, incoming: &Incoming) -> Failure {
    let code = wire::first_error(&incoming.body).map(|error| error.code);
    let said = said(incoming);
    match (incoming.status, code.as_deref()) {
        (StatusCode::NOT_FOUND, Some("NAME_UNKNOWN" | "TAG_UNKNOWN" | "MANIFEST_UNKNOWN" | "BLOB_UNKNOWN")) => Failure::NotFound,
        (StatusCode::METHOD_NOT_ALLOWED, Some("REGISTRY_DISALLOWED_OPERATION")) => Failure::Locked,
        (StatusCode::METHOD_NOT_ALLOWED, _) => Failure::Unsupported { said },
        (StatusCode::UNAUTHORIZED, _) => Failure::Unauthorized { said },
        (StatusCode::FORBIDDEN, _) => Failure::Denied { said },
        (status, _) if status.is_redirection() => {
            let location = incoming.headers.get(http::header::LOCATION).and_then(|location| location.to_str().ok());
            Failure::hostile(format!("{status} to {}", printable(location.unwrap_or("nowhere"))))
        }
        (status, _) if status.is_success() && operation.changes_the_registry() => {
            Failure::OutcomeUnknown { said: format!("the registry answered {status}, which it never does here") }
        }
        _ => Failure::Protocol { said },
    }
}
