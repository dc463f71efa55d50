//! The program over HTTP, read-only: is it alive, is it ready, its metrics, its status. Knows nothing of how any of this comes
//! about, changes nothing, and shows no secret and no image.

mod listen;
mod status;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::telemetry::{METRICS_MEDIA_TYPE, Metrics};

pub use listen::{CONNECTION_MAX, CONNECTIONS_MAX, HEADER_READ_MAX, serve};
pub use status::{Check, ConfigurationStatus, LastRun, PolicyStatus, RegistryStatus, Status, SuspendedStatus};

/// What is shown, shared with whoever keeps it up to date.
pub struct ServerState {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The latest status.
    pub status: watch::Receiver<Status>,
    /// Whether the process can make progress, or why not: that the scheduler's heartbeat is fresh, and nothing else. A registry out of
    /// reach or a file that is not valid is no reason to restart the process.
    pub alive: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// All paths.
pub fn router(state: Arc<ServerState>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .fallback(async || plain(StatusCode::NOT_FOUND, "not found\n"))
        .with_state(state)
        .layer(from_fn(guarded))
}

/// Lets only requests pass that ask for something and bring nothing; what goes out is for nobody to guess at or to store.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    } else if request.body().is_end_stream() {
        next.run(request).await
    } else {
        plain(StatusCode::PAYLOAD_TOO_LARGE, "a request must not have a body\n")
    };
    if response.status().is_client_error() {
        // Nobody waits for the rest of a body that nobody wants.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let headers: [(HeaderName, &str); 2] = [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-store")];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn livez(State(state): State<Arc<ServerState>>, uri: Uri) -> Response {
    let alive = (state.alive)();
    let check = Check { name: "scheduler".to_owned(), passed: alive.is_ok(), note: alive.err() };
    checked("livez", &[check], &uri)
}

async fn readyz(State(state): State<Arc<ServerState>>, uri: Uri) -> Response {
    let checks = state.status.borrow().readiness();
    checked("readyz", &checks, &uri)
}

async fn metrics(State(state): State<Arc<ServerState>>) -> Response {
    match state.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, METRICS_MEDIA_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "a bug: please report it");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n")
        }
    }
}

async fn status(State(state): State<Arc<ServerState>>) -> Response {
    let document = state.status.borrow().to_json();
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}

/// `ok`, or every check in the form of the Kubernetes API server: asked for with `?verbose`, and always when one failed.
fn checked(endpoint: &str, checks: &[Check], uri: &Uri) -> Response {
    let passed = checks.iter().all(|check| check.passed);
    let verbose = uri.query().is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
    if passed && !verbose {
        return plain(StatusCode::OK, "ok\n");
    }
    let mut text = String::new();
    for Check { name, passed, note } in checks {
        let (sign, word) = if *passed { ('+', "ok") } else { ('-', "failed") };
        let note = note.as_ref().map_or_else(String::new, |note| format!(": {}", one_line(note)));
        let _ = writeln!(text, "[{sign}]{} {word}{note}", one_line(name));
    }
    let _ = writeln!(text, "{endpoint} check {}", if passed { "passed" } else { "failed" });
    plain(if passed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

/// Text that cannot pose as a further check.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
