//! One request from arrival to answer: hook, faults, rights, operation, journal.

use std::net::SocketAddr;
use std::time::Duration;

use ::http::header::{ALLOW, CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use ::http::{HeaderMap, Method, StatusCode};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _};

use super::answer::{Answer, Origin};
use super::faults::{self, Dropped, Failure, Strike};
use super::journal::LoggedRequest;
use super::route::Route;
use super::throttle::{Class, Left, REMAINING_CALLS};
use super::{Emulator, faults::Response as FaultResponse, percent};

/// The largest body that is accepted: one upload of a gibibyte. It is held in memory.
const BODY_BYTES_MAX: usize = 1 << 30;
/// How long a client may say nothing in the middle of a body.
const BODY_SILENCE_MAX: Duration = Duration::from_secs(30);
/// The largest manifest: 4 MiB, the registry's documented limit.
const MANIFEST_BYTES_MAX: usize = 4 << 20;

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
/// The calls a second that deletions have left where nobody counts: what most recordings show.
const UNCOUNTED: &str = "8.000000";

/// What a hook is told about a request.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// The method.
    pub method: Method,
    /// Path and query as the client wrote them.
    pub path: String,
    /// The path with `{name}`, `{tag}` and `{digest}` for what differs; empty for paths that no registry has.
    pub route: &'static str,
}

/// Marks a request that came over TLS, so that the realm in challenges says `https`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverTls;

/// Marks a request that came in by the replica.
#[derive(Debug, Clone, Copy)]
struct ByReplica;

/// Where a request came in, when it came over a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local(pub(crate) SocketAddr);

/// A request in the parts that the operations look at.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Without the query, still encoded.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) scheme: &'static str,
    pub(crate) login_server: String,
    /// Whose it is, once that is known.
    pub(crate) identity: String,
    /// It came in by the replica.
    pub(crate) by_replica: bool,
    /// Where it came in; `None` in-process.
    pub(crate) local: Option<SocketAddr>,
}

impl Call {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl Emulator {
    /// The registry as a service, for a server or for calls in-process. A request by an absolute URI says itself which scheme and host it
    /// means. Responses that carry [`Dropped`] stand for a broken connection.
    pub fn router(&self) -> Router {
        Router::new().fallback(handle).with_state(self.clone())
    }

    /// The registry as a replica in another region shows it: later. What is written there is written everywhere.
    pub fn replica_router(&self) -> Router {
        let mark = |mut request: Request| {
            request.extensions_mut().insert(ByReplica);
            std::future::ready(request)
        };
        self.router().layer(axum::middleware::map_request(mark))
    }

    fn operation(&self, mut call: Call, route: Option<&Route>, correlation: &str) -> Answer {
        let Some(route) = route else { return Answer::page_not_found() };
        if !route.methods().contains(&call.method) {
            return method_not_allowed(route);
        }
        let need = route.need(&call.method);
        let open = matches!(route, Route::Exchange | Route::Token | Route::Requests | Route::Stored { .. });
        if !open {
            match self.authorize(&call, need.as_ref()) {
                Ok(identity) => call.identity = identity,
                Err(challenge) => return self.denied(route, challenge),
            }
        }
        if let Some(name) = route.repository().filter(|_| call.method != Method::GET && call.method != Method::HEAD) {
            self.remember(name);
        }
        let call = &call;
        let left = match self.charge(call, route) {
            Ok(left) => left,
            Err(refusal) => return refusal,
        };
        let answer = match route {
            Route::Ping => Ok(Answer::bytes("application/json; charset=utf-8", Bytes::from_static(b"{}"))),
            Route::Catalog => self.catalog(call),
            Route::DeletedCatalog => self.deleted_catalog(call),
            Route::DeletedManifests { name } => self.deleted_manifests(call, name),
            Route::DeletedTags { name } => self.deleted_tags(call, name),
            Route::Restore { name, digest } => self.restore(call, name, *digest),
            Route::Repository { name } => self.repository(call, name),
            Route::Tags { name } => self.tags(call, name),
            Route::Tag { name, tag } => self.tag(call, name, tag),
            Route::Manifests { name } => self.manifests(call, name),
            Route::ManifestProperties { name, digest } => self.manifest_properties(call, name, *digest),
            Route::TagNames { name } => self.tag_names(call, name),
            Route::Manifest { name, reference } => self.manifest(call, name, reference),
            Route::Referrers { name, digest } => self.referrers(call, name, *digest),
            Route::Blob { name, digest } => self.blob(call, name, *digest),
            Route::Uploads { name } => self.start_upload(call, name),
            Route::Upload { name, id } => self.upload(call, name, id),
            Route::Stored { name, digest } => Ok(self.stored(call, name, *digest)),
            Route::Exchange => Ok(self.exchange(call, correlation)),
            Route::Token => Ok(self.access_token(call)),
            Route::Requests => Ok(Answer { origin: Origin::Emulator, ..Answer::json(StatusCode::OK, &self.lock().journal.json()) }),
        };
        let (Ok(answer) | Err(answer)) = answer;
        match (open, left) {
            (true, Some(left)) if matches!(route, Route::Exchange | Route::Token) => answer.with(REMAINING_CALLS, &left.for_tokens()),
            (true, _) => answer,
            (false, left) => self.traced(call, answer, left),
        }
    }

    /// What those are told who have a token that is not good for this.
    fn denied(&self, route: &Route, challenge: Answer) -> Answer {
        let insufficient = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("insufficient_scope"));
        let has_token = challenge.headers.iter().any(|(_, value)| insufficient(value));
        if self.options().unknowns.denied_catalog_is_empty && *route == Route::Catalog && has_token {
            return Self::empty_catalog();
        }
        challenge
    }

    /// Counts a request against the limits; a request that was refused for want of rights is not counted.
    fn charge(&self, call: &Call, route: &Route) -> Result<Option<Left>, Answer> {
        let Some(throttle) = &self.options().throttle else { return Ok(None) };
        let now = self.now();
        let classes = Class::of(route, &call.method);
        if classes.is_empty() {
            return Ok(None);
        }
        self.lock().buckets.take(throttle, classes, &call.identity, now).map(Some).map_err(|refused| {
            let answer = throttle.refusal(&refused);
            if classes == [Class::Token] { answer.by_token_service() } else { answer }
        })
    }

    /// Adds what only some answers carry: the remaining calls on deletions, the client's request id on deletions and under `/v2`.
    fn traced(&self, call: &Call, answer: Answer, left: Option<Left>) -> Answer {
        let is_delete = call.method == Method::DELETE;
        let remaining = left.map_or_else(|| UNCOUNTED.to_owned(), Left::for_deletions);
        let answer = if is_delete { answer.with(REMAINING_CALLS, &remaining) } else { answer };
        let id = call.headers.get(CLIENT_REQUEST_ID).and_then(|id| id.to_str().ok());
        match id {
            Some(id) if is_delete || call.path.starts_with("/v2/") && answer.status != StatusCode::TEMPORARY_REDIRECT => {
                answer.with(CLIENT_REQUEST_ID, id).with(REQUEST_ID, &self.next_id())
            }
            _ => answer,
        }
    }

    pub(crate) fn date(&self) -> String {
        self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn call_hook(&self, info: &RequestInfo) {
        let hook = self.0.hook.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(info, self);
        }
    }
}

async fn handle(State(emulator): State<Emulator>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let route = Route::parse(parts.uri.path());
    let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let info = RequestInfo { method: parts.method.clone(), path: path_and_query, route: route.as_ref().map_or("", Route::pattern) };
    let limit = if matches!(route, Some(Route::Manifest { .. })) { MANIFEST_BYTES_MAX } else { BODY_BYTES_MAX };
    let body = match read(body, limit).await {
        Ok(body) => Ok(body),
        Err(Unread::TooLarge) => Err(()),
        // The client went away, or is silent.
        Err(Unread::Broken) => return dropped(),
    };
    emulator.call_hook(&info);
    let Strike { delay, failure } = faults::strike(&mut emulator.lock().faults, &info.method, &info.path, info.route);
    let delay = delay + emulator.options().latency;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let correlation = emulator.next_id();
    let method = info.method.clone();
    let respond = |answer: Answer| answer.into_response(&method, &emulator.date(), &correlation);
    let perform = |body| respond(emulator.operation(call(&emulator, parts, body), route.as_ref(), &correlation));
    let Ok(body) = body else {
        let too_large = Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the request body is too large");
        return finish(&emulator, info, respond(too_large));
    };
    let response = match failure {
        None | Some(Failure::Delay(_)) => perform(body),
        Some(Failure::Respond(fault)) => respond(faulty(fault)),
        Some(Failure::RespondAfterEffect(fault)) => {
            perform(body);
            respond(faulty(fault))
        }
        Some(Failure::DropBeforeEffect) => dropped(),
        Some(Failure::DropAfterEffect) => {
            perform(body);
            dropped()
        }
        Some(Failure::Hang) => {
            record(&emulator, info, None);
            return std::future::pending().await;
        }
        Some(Failure::HangAfterEffect) => {
            perform(body);
            record(&emulator, info, None);
            return std::future::pending().await;
        }
        Some(Failure::Alter(alteration)) => alteration.carry_out(perform(body), emulator.now()).await,
        Some(Failure::Truncate(bytes)) => truncated(perform(body), bytes).await,
    };
    finish(&emulator, info, response)
}

/// Why a body could not be read.
enum Unread {
    TooLarge,
    Broken,
}

/// The whole body, unless it is too large or its sender falls silent.
async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Unread> {
    let mut pieces = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(piece) = tokio::time::timeout(BODY_SILENCE_MAX, pieces.next()).await.map_err(|_| Unread::Broken)? {
        let piece = piece.map_err(|_| Unread::Broken)?;
        if bytes_max < bytes.len() + piece.len() {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

fn finish(emulator: &Emulator, info: RequestInfo, response: Response) -> Response {
    let status = response.extensions().get::<Dropped>().is_none().then(|| response.status().as_u16());
    record(emulator, info, status);
    response
}

fn record(emulator: &Emulator, info: RequestInfo, status: Option<u16>) {
    let RequestInfo { method, path, route } = info;
    // Looking at the journal is no request to the registry.
    if route != Route::Requests.pattern() {
        let time = emulator.now();
        emulator.lock().journal.record(LoggedRequest { method, path, status, time }, route);
    }
}

fn call(emulator: &Emulator, parts: ::http::request::Parts, body: Bytes) -> Call {
    let uri = &parts.uri;
    let over_tls = parts.extensions.get::<OverTls>().is_some() || uri.scheme_str() == Some("https");
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|authority| authority.as_str()));
    Call {
        login_server: emulator.options().login_server.clone().unwrap_or_else(|| host.unwrap_or("localhost").to_owned()),
        identity: String::new(),
        by_replica: parts.extensions.get::<ByReplica>().is_some(),
        local: parts.extensions.get::<Local>().map(|local| local.0),
        scheme: if over_tls { "https" } else { "http" },
        path: uri.path().to_owned(),
        query: percent::pairs(uri.query().unwrap_or_default()),
        method: parts.method,
        headers: parts.headers,
        body,
    }
}

fn method_not_allowed(route: &Route) -> Answer {
    let methods: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
    Answer { body: Bytes::from_static(b"Method Not Allowed\n"), ..Answer::empty(StatusCode::METHOD_NOT_ALLOWED) }
        .with(ALLOW, &methods.join(", "))
        .with(::http::header::CONTENT_TYPE, "text/plain; charset=utf-8")
}

fn faulty(fault: FaultResponse) -> Answer {
    let headers = fault.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Answer { headers, body: fault.body.into(), ..Answer::empty(fault.status) }
}

fn dropped() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Dropped);
    response
}

/// The response with its full length announced and a body that breaks off.
async fn truncated(response: Response, bytes: usize) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let pieces = stream::iter([Ok(body.slice(..bytes.min(body.len())))]).chain(stream::once(async {
        // A pause, so that the connection sends what it has before it breaks.
        tokio::task::yield_now().await;
        Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut off by an injected fault"))
    }));
    Response::from_parts(parts, Body::from_stream(pieces))
}
