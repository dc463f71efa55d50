//! The laws of the emulated registry, asked for over its own HTTP interface without a socket.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod access;
mod admin;
mod changing;
mod command;
mod documented;
mod drawing;
mod faults;
mod listing;
mod switches;
mod scripts;
mod storage;
mod throttling;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use expect_test::Expect;
use http::{HeaderMap, Method, Request};
use jiff::Timestamp;
use retaind::emulator::{Digest, Dropped, Emulator, Options, Seed};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// 2026-01-01T00:00:00Z, the time of every registry here.
const NOW_SECONDS: i64 = 1_767_225_600;

/// Where an emulator in-process says that blobs are.
const STORAGE: &str = "https://emulated.blob.core.windows.net";

/// A registry, its clock and one client.
struct World {
    emulator: Emulator,
    seconds: Arc<AtomicI64>,
    seed: Seed,
    authorization: Option<String>,
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
    dropped: bool,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The path of the `Link`, to be followed as it is.
    fn next(&self) -> Option<String> {
        let link = self.header("link").strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
        Some(link.to_owned())
    }
}

/// A registry without authentication.
fn world(drawing: &str) -> World {
    world_with(Options { require_auth: false, ..Options::default() }, drawing)
}

fn world_with(options: Options, drawing: &str) -> World {
    let seconds = Arc::new(AtomicI64::new(NOW_SECONDS));
    let clock = Arc::clone(&seconds);
    let emulator = Emulator::new(options, Arc::new(move || Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap()));
    let seed = emulator.seed(drawing).unwrap();
    World { emulator, seconds, seed, authorization: None }
}

impl World {
    async fn send(&self, method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Got {
        let mut request = Request::builder().method(method).uri(format!("https://registry.test{path}"));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.header("content-type", content_type).body(body.into()).unwrap();
        let response = self.emulator.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let dropped = parts.extensions.get::<Dropped>().is_some();
        let body = to_bytes(body, usize::MAX).await.map_or("broken".to_owned(), |body| String::from_utf8(body.to_vec()).unwrap());
        Got { status: parts.status.as_u16(), headers: parts.headers, body, dropped }
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, "", Body::empty()).await
    }

    /// A blob, from where the registry sends its readers.
    async fn blob(&self, path: &str) -> Got {
        let sent = self.get(path).await;
        assert_eq!(sent.status, 307, "{}", sent.body);
        self.get(sent.header("location").strip_prefix(STORAGE).unwrap()).await
    }

    async fn delete(&self, path: &str) -> Got {
        self.send(Method::DELETE, path, "", Body::empty()).await
    }

    async fn patch(&self, path: &str, body: &str) -> Got {
        self.send(Method::PATCH, path, "application/json", body.to_owned()).await
    }

    async fn form(&self, path: &str, body: &str) -> Got {
        self.send(Method::POST, path, "application/x-www-form-urlencoded", body.to_owned()).await
    }

    fn digest(&self, handle: &str) -> Digest {
        self.seed.digest("app", handle).unwrap()
    }

    async fn delete_manifest(&self, handle: &str) -> Got {
        self.delete(&format!("/v2/app/manifests/{}", self.digest(handle))).await
    }

    fn check(&self, expected: Expect) {
        expected.assert_eq(&self.emulator.render());
    }

    /// All items under `key` of a listing, page by page, and the number of pages.
    async fn list(&self, path: &str, key: &str) -> (Vec<Value>, usize) {
        let mut items = Vec::new();
        let mut pages = 0;
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let got = self.get(&path).await;
            assert_eq!(got.status, 200, "{}", got.body);
            items.extend(got.json()[key].as_array().unwrap().iter().cloned());
            pages += 1;
            next = got.next();
        }
        (items, pages)
    }

    async fn names(&self, path: &str, key: &str) -> (String, usize) {
        let (items, pages) = self.list(path, key).await;
        let name = |item: &Value| item.as_str().or(item["name"].as_str()).unwrap().to_owned();
        (items.iter().map(name).collect::<Vec<_>>().join(" "), pages)
    }
}

fn entra_token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256", "typ": "JWT"})), part(claims))
}

fn valid_claims() -> Value {
    json!({"aud": "https://containerregistry.azure.net", "exp": NOW_SECONDS + 3600, "oid": "me"})
}
