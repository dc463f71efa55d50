//! Recorded requests, sent to the emulator in the recorded order: it must answer what the registry answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::{Body, to_bytes};
use azure_core::credentials::TokenCredential as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use retaind::acr::DEFAULT_AUDIENCE;
use retaind::emulator::{Digest, Emulator, Options};
use serde_json::Value;
use tower::ServiceExt as _;

use super::flow::{Exchange, Flow, REGISTRY, Target, decoded};
use super::{differences, world};
use crate::support::Identity;

/// Headers of the connection, of the front end of the day, or of what has another length here than there.
const NOT_COMPARED: [&str; 7] = ["connection", "content-length", "date", "server", "transfer-encoding", "last-modified", "x-ms-version"];

/// Scrubbed from some recordings: compared where they were left.
const SCRUBBED: [&str; 1] = ["x-ms-correlation-request-id"];

/// Headers whose value is drawn by lot or depends on the load; only their presence is compared.
const PRESENCE: [&str; 4] =
    ["docker-upload-uuid", "x-ms-correlation-request-id", "x-ms-ratelimit-remaining-calls-per-second", "x-ms-request-id"];

#[tokio::test]
async fn the_emulator_answers_recorded_requests_as_the_registry_did() {
    let Some(flows) = super::recordings() else { return };
    let mut found = Vec::new();
    let mut compared = 0;
    for flow in &flows {
        let mut replay = Replay::of(flow);
        for exchange in flow.exchanges.iter().filter(|exchange| !exchange.path.is_empty()) {
            compared += 1;
            let differences = replay.step(exchange).await;
            found.extend(differences.into_iter().map(|difference| (flow.name.clone(), difference)));
        }
    }
    println!("replayed {} flows: {compared} requests to the emulator", flows.len());
    differences::check(&found);
}

struct Replay {
    emulator: Emulator,
    now: Arc<AtomicI64>,
    refresh_token: String,
    access_token: String,
    /// Where the upload under way goes on.
    upload: String,
    /// The digest of what was pushed last.
    pushed: String,
    /// Recorded digests, and those of the recorded bytes where scrubbing changed these.
    digests: BTreeMap<String, String>,
    /// The conversation pushes something, so that times and ids of its answers are its own.
    pushes: bool,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Replay {
    fn of(flow: &Flow) -> Self {
        let now = Arc::new(AtomicI64::new(0));
        let hands = Arc::clone(&now);
        let options = Options { anonymous_pull: flow.exchanges.iter().any(Exchange::is_by_nobody), ..Options::default() };
        let clock = move || Timestamp::from_second(hands.load(Ordering::SeqCst)).expect("a time that jiff knows");
        let emulator = Emulator::new(options, Arc::new(clock));
        world::presuppose(flow, &emulator);
        let pushes = flow.exchanges.iter().any(|exchange| exchange.method == "PUT" && exchange.succeeded());
        let [refresh_token, access_token, upload, pushed] = [const { String::new() }; 4];
        Self { emulator, now, refresh_token, access_token, upload, pushed, digests: BTreeMap::new(), pushes }
    }

    /// Sends the request and compares the answers.
    async fn step(&mut self, exchange: &Exchange) -> Vec<String> {
        if let Some(date) = exchange.header("date") {
            let date = rfc2822::parse(date).expect("an HTTP date").timestamp();
            self.now.store(date.as_second(), Ordering::SeqCst);
        }
        self.learn_digest(exchange);
        let target = Target::of(&exchange.path);
        let address = self.address(exchange, &target);
        let mut request = http::Request::builder().method(exchange.method.as_str()).uri(format!("https://{REGISTRY}{address}"));
        for (name, value) in &exchange.request_headers {
            let lower = name.to_ascii_lowercase();
            if !["authorization", "content-length", "host", "connection", "transfer-encoding"].contains(&lower.as_str()) {
                request = request.header(name, value);
            }
        }
        if let Some(authorization) = self.authorization(exchange).await {
            request = request.header("authorization", authorization);
        }
        let body = self.body(exchange).await;
        let answer = self.send(request.body(Body::from(body)).expect("a request")).await;
        self.remember(&answer);
        let prefix = format!("{} {}", exchange.method, target.pattern(&exchange.path));
        self.compare(exchange, &answer).into_iter().map(|difference| format!("{prefix}: {difference}")).collect()
    }

    async fn send(&self, request: http::Request<Body>) -> Answer {
        let response = match self.emulator.router().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let text = |value: &http::HeaderValue| value.to_str().expect("a header in ASCII").to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("the whole body").to_vec();
        Answer { status, headers, body }
    }

    /// What is pushed has the digest of its bytes, and the recorded one only if scrubbing left them alone.
    fn learn_digest(&mut self, exchange: &Exchange) {
        let has_content = match exchange.method.as_str() {
            "PATCH" => exchange.path.contains("/blobs/uploads/"),
            "PUT" => exchange.path.contains("/manifests/"),
            _ => false,
        };
        if has_content && exchange.succeeded() {
            self.pushed = Digest::of(&exchange.request_body).to_string();
        }
        if exchange.method == "PUT"
            && let Some(recorded) = exchange.header("docker-content-digest")
            && recorded != self.pushed
        {
            self.digests.insert(recorded.to_owned(), self.pushed.clone());
        }
    }

    /// `text` with the digests that are used here.
    fn translated(&self, text: &str) -> String {
        // Registries name the two actions of a push in either order.
        let mut text = text.replace(":push,pull\"", ":pull,push\"");
        for (recorded, used) in &self.digests {
            text = text.replace(recorded, used).replace(&recorded.replace(':', "%3A"), &used.replace(':', "%3A"));
        }
        text
    }

    fn address(&self, exchange: &Exchange, target: &Target) -> String {
        let under_way = matches!(target, Target::Uploads(_)) && !exchange.path.ends_with('/');
        if under_way {
            let digest = exchange.query.split('&').find(|field| field.starts_with("digest="));
            let digest = digest.map_or_else(String::new, |field| format!("&{}", self.translated(field)));
            return format!("{}{digest}", self.upload);
        }
        let query = if exchange.query.is_empty() { String::new() } else { format!("?{}", exchange.query) };
        self.translated(&format!("{}{query}", exchange.path))
    }

    /// What the sanitised header stood for, by what the registry made of it.
    async fn authorization(&mut self, exchange: &Exchange) -> Option<String> {
        if exchange.is_about_tokens() {
            return None;
        }
        let challenge = exchange.header("www-authenticate").unwrap_or_default();
        if challenge.contains("error=\"invalid_token\"") {
            return Some("Bearer not-a-token".to_owned());
        }
        if exchange.status == 401 && !challenge.contains("insufficient_scope") {
            return None;
        }
        if self.access_token.is_empty() {
            self.fetch_token().await;
        }
        Some(format!("Bearer {}", self.access_token))
    }

    /// A token for everything, for conversations that begin with one.
    async fn fetch_token(&mut self) {
        let requests = [
            ("exchange", format!("grant_type=access_token&access_token={}", entra().await)),
            ("token", "grant_type=refresh_token&scope=repository:*:*&scope=registry:catalog:*".to_owned()),
        ];
        for (path, form) in requests {
            let form = if path == "token" { format!("{form}&refresh_token={}", self.refresh_token) } else { form };
            let request = http::Request::post(format!("https://{REGISTRY}/oauth2/{path}")).body(Body::from(form)).expect("a request");
            let answer = self.send(request).await;
            self.remember(&answer);
        }
    }

    /// The body, with tokens where scrubbing took them.
    async fn body(&self, exchange: &Exchange) -> Vec<u8> {
        if !exchange.is_about_tokens() {
            return exchange.request_body.clone();
        }
        let entra = if exchange.succeeded() { entra().await } else { "refused".to_owned() };
        let form = String::from_utf8(exchange.request_body.clone()).expect("a form");
        let fields = form.split('&').map(|field| match field.split_once('=') {
            Some(("access_token", _)) => format!("access_token={entra}"),
            Some((name @ ("refresh_token" | "password"), value)) if !value.is_empty() => format!("{name}={}", self.refresh_token),
            _ => field.to_owned(),
        });
        fields.collect::<Vec<_>>().join("&").into_bytes()
    }

    fn remember(&mut self, answer: &Answer) {
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        for (name, token) in [("refresh_token", &mut self.refresh_token), ("access_token", &mut self.access_token)] {
            if let Some(found) = json[name].as_str() {
                found.clone_into(token);
            }
        }
        if let Some((_, location)) = answer.headers.iter().find(|(name, _)| name == "location") {
            self.upload.clone_from(location);
        }
    }

    fn compare(&self, exchange: &Exchange, answer: &Answer) -> Vec<String> {
        if exchange.status != answer.status {
            // What else differs follows from this.
            return vec![format!("status {}, recorded {}", answer.status, exchange.status)];
        }
        let mut found = Vec::new();
        self.compare_headers(exchange, answer, &mut found);
        let recorded = self.translated(&String::from_utf8_lossy(&exchange.body));
        match (serde_json::from_str::<Value>(&recorded), serde_json::from_slice::<Value>(&answer.body)) {
            (Ok(recorded), Ok(answered)) => self.compare_json("body", &recorded, &answered, &mut found),
            (Err(_), Err(_)) if recorded.as_bytes() == answer.body || exchange.body == answer.body => {}
            _ => found.push(format!("body {:?}, recorded {recorded:?}", String::from_utf8_lossy(&answer.body))),
        }
        found
    }

    fn compare_headers(&self, exchange: &Exchange, answer: &Answer, found: &mut Vec<String>) {
        let recorded = sorted(exchange.headers.iter().map(|(name, value)| (name.clone(), self.translated(value))));
        let answered = sorted(answer.headers.iter().cloned());
        let names: std::collections::BTreeSet<&String> = recorded.keys().chain(answered.keys()).collect();
        for name in names.into_iter().filter(|name| !NOT_COMPARED.contains(&name.as_str())) {
            match (recorded.get(name), answered.get(name)) {
                (Some(_), None) => found.push(format!("header {name} is missing")),
                (None, Some(_)) if SCRUBBED.contains(&name.as_str()) => {}
                (None, Some(_)) => found.push(format!("header {name} is added")),
                (Some(recorded), Some(answered)) => {
                    let scope_scrubbed = name == "www-authenticate" && recorded[0].contains("scope=\"fake_scope\"");
                    let same = if scope_scrubbed {
                        without_scope(&recorded[0]) == without_scope(&answered[0])
                    } else if PRESENCE.contains(&name.as_str()) {
                        recorded.len() == answered.len()
                    } else if name == "location" && recorded[0].contains("/blobs/uploads/") {
                        shape_of_upload(&recorded[0]) == shape_of_upload(&answered[0])
                    } else {
                        recorded == answered
                    };
                    if !same {
                        found.push(format!("header {name} {answered:?}, recorded {recorded:?}"));
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Compares keys, kinds and, where the emulator was told or can know them, values.
    fn compare_json(&self, place: &str, recorded: &Value, answered: &Value, found: &mut Vec<String>) {
        match (recorded, answered) {
            (Value::Object(recorded), Value::Object(answered)) => {
                for (key, value) in recorded {
                    match answered.get(key) {
                        Some(answered) => self.compare_json(&format!("{place}.{key}"), value, answered, found),
                        None => found.push(format!("{place}.{key} is missing")),
                    }
                }
                let added = answered.iter().filter(|(key, _)| !recorded.contains_key(*key));
                found.extend(added.map(|(key, _)| format!("{place}.{key} is added")));
            }
            (Value::Array(recorded), Value::Array(answered)) if recorded.len() == answered.len() => {
                for (recorded, answered) in recorded.iter().zip(answered) {
                    self.compare_json(&format!("{place}[]"), recorded, answered, found);
                }
            }
            (Value::String(_), Value::String(_)) if place.ends_with("_token") => {}
            (Value::String(recorded), Value::String(answered)) if place.ends_with("Time") && self.pushes => {
                let times: [Result<Timestamp, _>; 2] = [recorded.parse(), answered.parse()];
                assert!(times.iter().all(Result::is_ok), "{place}: {recorded} and {answered} are times");
            }
            _ if recorded == answered => {}
            _ => found.push(format!("{place} {answered}, recorded {recorded}")),
        }
    }
}

async fn entra() -> String {
    let scope = format!("{DEFAULT_AUDIENCE}/.default");
    let token = Identity { object_id: "somebody" }.get_token(&[&scope], None).await.expect("a token");
    token.token.secret().to_owned()
}

fn sorted(headers: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut sorted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        // One recording joins what came several times.
        let values = value.split(", ").map(str::to_owned);
        sorted.entry(name.to_ascii_lowercase()).or_default().extend(values);
    }
    for values in sorted.values_mut() {
        values.sort();
    }
    sorted
}

/// A challenge without the scope in it.
fn without_scope(challenge: &str) -> (&str, &str) {
    let (before, rest) = challenge.split_once("scope=\"").expect("a scope");
    (before, rest.split_once('"').expect("the end of the scope").1)
}

/// An upload's address without what is drawn by lot in it.
fn shape_of_upload(location: &str) -> (String, Vec<String>) {
    let (path, query) = location.split_once('?').expect("an upload's address has a query");
    let (before, id) = path.rsplit_once('/').expect("an upload's address ends with its id");
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{location}");
    let fields = query.split('&').map(|field| field.split_once('=').map_or(field, |(name, _)| name).to_owned());
    (decoded(before), fields.collect())
}
