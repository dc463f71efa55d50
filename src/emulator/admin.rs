//! The endpoint of whoever runs the emulator, on a port of its own: looks at the registry from behind and changes it. No registry has it, and
//! it asks for no token.

use ::http::StatusCode;
use ::http::header::CONTENT_TYPE;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::quantity::SignedSpan;
use super::{Digest, Emulator, Quarantine};

/// The largest drawing or script that is taken: 16 MiB, a hundred thousand lines.
const BODY_BYTES_MAX: usize = 16 << 20;

const HELP: &str = "GET  /counts      how often each method and route was answered with each status
GET  /log         the latest requests, and the latest that could have changed something
GET  /snapshot    the repositories with their tags and digests
GET  /drawing     the registry as text
POST /seed        draw more, in the format of --seed
POST /faults      more faults, in the format of --faults
DELETE /faults    no faults
POST /roles       roles of identities, in the format of --roles
POST /authorize   the word `repository` or `registry`: by which the registry authorises; all tokens become invalid
POST /revoke      all tokens become invalid
POST /clock       how far the registry's clock is off, e.g. 10m or -10m
POST /quarantine  REPOSITORY DIGEST passed|failed|quarantined
POST /reset       the registry as it was at the start, nothing counted, no faults
";

/// What the endpoint works on.
#[derive(Clone)]
struct Admin {
    emulator: Emulator,
    /// The drawing and the script that the emulator was started with.
    seed: Option<String>,
    faults: Option<String>,
}

impl Emulator {
    /// The admin endpoint as a service. A reset draws `seed` again and takes up the script `faults`.
    pub fn admin_router(&self, seed: Option<String>, faults: Option<String>) -> Router {
        Router::new()
            .route("/", get(|| async { HELP }))
            .route("/counts", get(counts))
            .route("/log", get(log))
            .route("/snapshot", get(snapshot))
            .route("/drawing", get(|State(admin): State<Admin>| async move { admin.emulator.render() }))
            .route("/seed", post(draw))
            .route("/faults", post(inject).delete(clear_faults))
            .route("/roles", post(assign_roles))
            .route("/authorize", post(authorize))
            .route("/revoke", post(revoke))
            .route("/clock", post(turn_clock))
            .route("/quarantine", post(quarantine))
            .route("/reset", post(reset))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Admin { emulator: self.clone(), seed, faults })
    }
}

async fn counts(State(admin): State<Admin>) -> Response {
    as_json(&admin.emulator.lock().journal.counts_json())
}

async fn log(State(admin): State<Admin>) -> Response {
    as_json(&admin.emulator.lock().journal.log_json())
}

async fn snapshot(State(admin): State<Admin>) -> Response {
    let snapshot = admin.emulator.snapshot();
    let repositories = snapshot.into_iter().map(|(name, held)| {
        let tags: Value = held.tags.into_iter().map(|(tag, digest)| (tag, json!(digest.to_string()))).collect();
        (name, json!({"tags": tags, "digests": held.digests.iter().map(ToString::to_string).collect::<Vec<_>>()}))
    });
    as_json(&json!({"repositories": repositories.collect::<Value>()}))
}

async fn draw(State(admin): State<Admin>, text: String) -> Response {
    done(admin.emulator.seed(&text).map(drop))
}

async fn inject(State(admin): State<Admin>, script: String) -> Response {
    done(admin.emulator.inject_script(&script))
}

async fn clear_faults(State(admin): State<Admin>) -> StatusCode {
    admin.emulator.clear_faults();
    StatusCode::NO_CONTENT
}

async fn assign_roles(State(admin): State<Admin>, text: String) -> Response {
    done(admin.emulator.assign_roles(&text))
}

async fn authorize(State(admin): State<Admin>, by: String) -> Response {
    match by.trim() {
        "repository" => admin.emulator.authorize_by_repository(true),
        "registry" => admin.emulator.authorize_by_repository(false),
        other => return wrong(format!("{other:?} is neither `repository` nor `registry`")),
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn revoke(State(admin): State<Admin>) -> StatusCode {
    admin.emulator.revoke_tokens();
    StatusCode::NO_CONTENT
}

async fn turn_clock(State(admin): State<Admin>, by: String) -> Response {
    done(by.trim().parse().map(|SignedSpan(skew)| admin.emulator.skew_clock(skew)))
}

async fn quarantine(State(admin): State<Admin>, text: String) -> Response {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [repository, digest, state] = words[..] else { return wrong("write REPOSITORY DIGEST passed|failed|quarantined".to_owned()) };
    let read = || -> Result<(Digest, Quarantine), String> {
        Ok((digest.parse().map_err(|error: super::InvalidDigest| error.to_string())?, state.parse()?))
    };
    match read() {
        Ok((digest, state)) => done(admin.emulator.set_quarantine(repository, digest, state)),
        Err(said) => wrong(said),
    }
}

async fn reset(State(admin): State<Admin>) -> Response {
    let Admin { emulator, seed, faults } = admin;
    emulator.reset();
    if let Some(Err(error)) = seed.map(|seed| emulator.seed(&seed)) {
        return wrong(error.to_string());
    }
    done(faults.map_or(Ok(()), |faults| emulator.inject_script(&faults)))
}

fn as_json(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

fn done(result: Result<(), impl std::fmt::Display>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => wrong(error.to_string()),
    }
}

fn wrong(said: String) -> Response {
    (StatusCode::BAD_REQUEST, format!("{said}\n")).into_response()
}
