//! The endpoint of whoever runs the emulator, roles that change at run time, quarantine, and connections that say nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::Request;
use retaind::emulator::{Options, Quarantine, Tls};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use super::access::{access_token, claims, refresh_token};
use super::{NOW_SECONDS, World, entra_token, valid_claims, world, world_with};

const DRAWING: &str = "repository app\n  image a tags v1, v2";
const TAGS: &str = "/acr/v1/app/_tags";

/// Asks the admin endpoint.
async fn ask(w: &World, method: &str, path: &str, body: &str) -> (u16, String) {
    let router = w.emulator.admin_router(Some(DRAWING.to_owned()), Some("GET /_catalog status 500".to_owned()));
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn the_registry_is_looked_at_and_changed_from_behind() {
    let w = world(DRAWING);
    assert_eq!(w.delete(&format!("{TAGS}/v1")).await.status, 202);
    assert_eq!(w.get(TAGS).await.status, 200);
    let json = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let (_, counts) = ask(&w, "GET", "/counts", "").await;
    assert_eq!(
        json(&counts)["counts"],
        json!([
            {"method": "DELETE", "route": "/acr/v1/{name}/_tags/{tag}", "status": 202, "count": 1},
            {"method": "GET", "route": "/acr/v1/{name}/_tags", "status": 200, "count": 1},
        ])
    );
    let (_, log) = ask(&w, "GET", "/log", "").await;
    assert_eq!(json(&log)["latest"][1]["path"], TAGS);
    assert_eq!(json(&log)["mutating"].as_array().unwrap().len(), 1);
    let (_, snapshot) = ask(&w, "GET", "/snapshot", "").await;
    assert_eq!(json(&snapshot)["repositories"]["app"]["tags"], json!({"v2": w.digest("a").to_string()}));
    assert_eq!(ask(&w, "GET", "/drawing", "").await.1, "repository app\n  a tags v2\n");

    assert_eq!(ask(&w, "POST", "/faults", "GET /_tags always status 503").await.0, 204);
    assert_eq!(w.get(TAGS).await.status, 503);
    assert_eq!(ask(&w, "DELETE", "/faults", "").await.0, 204);
    assert_eq!(w.get(TAGS).await.status, 200);
    let (status, said) = ask(&w, "POST", "/faults", "GET /_tags explode").await;
    assert!(status == 400 && said.starts_with("line 1: \"explode\" is unknown"), "{said}");

    assert_eq!(ask(&w, "POST", "/seed", "repository app\n  image b tags v9").await.0, 204);
    assert_eq!(ask(&w, "POST", "/clock", "-10m").await.0, 204);
    assert_eq!(w.get(TAGS).await.header("date"), "Wed, 31 Dec 2025 23:50:00 GMT");
    assert_eq!(ask(&w, "POST", "/clock", "soon").await.0, 400);
    assert_eq!(ask(&w, "POST", "/reset", "").await.0, 204);
    assert_eq!(ask(&w, "GET", "/drawing", "").await.1, "repository app\n  a tags v1, v2\n");
    assert_eq!(ask(&w, "GET", "/counts", "").await.1, "{\"counts\":[]}\n");
    assert_eq!(w.get("/acr/v1/_catalog").await.status, 500, "the script of the start is taken up again");
    assert!(ask(&w, "GET", "/", "").await.1.contains("POST /reset"));
}

#[tokio::test]
async fn roles_are_taken_away_at_run_time() {
    let mut w = world_with(Options::default(), DRAWING);
    assert_eq!(ask(&w, "POST", "/roles", "me AcrPull, AcrDelete\ndefault none").await.0, 204);
    let refresh = refresh_token(&w, &valid_claims()).await;
    assert_eq!(claims(&refresh)["permissions"]["Actions"], json!(["read", "delete", "metadata/read"]));
    let all = "repository:app:pull,delete,metadata_read,metadata_write";
    let token = access_token(&w, &refresh, all).await;
    assert_eq!(claims(&token)["access"], json!([{"Type": "repository", "Name": "app", "Actions": ["pull", "delete", "metadata_read"]}]));
    assert_eq!(ask(&w, "POST", "/roles", "me AcrPull").await.0, 204);
    w.authorization = Some(format!("Bearer {token}"));
    assert_eq!(w.delete(&format!("{TAGS}/v1")).await.status, 202, "a token is good for what it says");
    let token = access_token(&w, &refresh, all).await;
    w.authorization = Some(format!("Bearer {token}"));
    let refused = w.delete(&format!("{TAGS}/v2")).await;
    assert!(refused.status == 401 && refused.header("www-authenticate").ends_with("error=\"insufficient_scope\""));
    assert_eq!(ask(&w, "POST", "/revoke", "").await.0, 204);
    assert!(w.get(TAGS).await.header("www-authenticate").ends_with("error=\"invalid_token\""));
    assert_eq!(ask(&w, "POST", "/roles", "me none").await.0, 204);
    for oid in ["me", "somebody-else"] {
        let token = entra_token(&json!({"aud": "https://containerregistry.azure.net", "exp": NOW_SECONDS + 60, "oid": oid}));
        let got = w.form("/oauth2/exchange", &format!("grant_type=access_token&access_token={token}")).await;
        assert!(got.status == 401 && got.body.contains("CorrelationId"), "{oid}: {}", got.body);
    }
}

#[tokio::test]
async fn by_repository_stars_mean_nothing_and_the_catalog_needs_its_own_role() {
    let drawing = "repository team/a\n  image x tags v1\nrepository other\n  image x tags v1";
    let mut w = world_with(Options { by_repository: true, ..Options::default() }, drawing);
    w.emulator.assign_roles("me ContainerRegistryRepositoryContributor on team/*\nowner Owner").unwrap();
    let refresh = refresh_token(&w, &valid_claims()).await;
    assert_eq!((&claims(&refresh)["aad_identity"], claims(&refresh).get("permissions")), (&json!("me"), None));
    let token = access_token(&w, &refresh, "repository:*:*%20registry:catalog:*%20repository:team/a:delete%20repository:other:pull").await;
    assert_eq!(claims(&token)["access"], json!([{"Type": "repository", "Name": "team/a", "Actions": ["delete"]}]));
    w.authorization = Some(format!("Bearer {token}"));
    assert_eq!(w.get("/acr/v1/_catalog").await.status, 401);
    assert_eq!(w.get("/acr/v1/team/a/_tags").await.status, 401);
    assert_eq!(w.delete("/acr/v1/team/a/_tags/v1").await.status, 202);
    // Not even for somebody who may read everything.
    w.emulator.assign_roles("me ContainerRegistryRepositoryReader").unwrap();
    let token = access_token(&w, &refresh, "repository:*:metadata_read%20repository:other:metadata_read").await;
    assert_eq!(claims(&token)["access"], json!([{"Type": "repository", "Name": "other", "Actions": ["metadata_read"]}]));
    w.emulator.assign_roles("me ContainerRegistryRepositoryCatalogLister").unwrap();
    let token = access_token(&w, &refresh, "registry:catalog:*").await;
    w.authorization = Some(format!("Bearer {token}"));
    assert_eq!(w.get("/acr/v1/_catalog").await.status, 200);
    let mut owner = valid_claims();
    owner["oid"] = json!("owner");
    let exchange = format!("grant_type=access_token&access_token={}", entra_token(&owner));
    assert_eq!(w.form("/oauth2/exchange", &exchange).await.status, 401, "owners have no right to data");
    assert_eq!(ask(&w, "POST", "/authorize", "registry").await.0, 204);
    assert_eq!(w.get("/acr/v1/_catalog").await.status, 401, "tokens of the other way are no longer good");
    assert_eq!(w.form("/oauth2/exchange", &exchange).await.status, 200);
}

#[tokio::test]
async fn what_is_in_quarantine_is_seen_and_not_pulled() {
    let w = world(DRAWING);
    let digest = w.digest("a");
    let item = async || {
        w.get(&format!("/acr/v1/app/_manifests/{digest}")).await.json()["manifest"]["changeableAttributes"]["quarantineState"].clone()
    };
    assert_eq!(item().await, Value::Null, "a registry without quarantine says nothing of it");
    w.emulator.set_quarantine("app", digest, Quarantine::Quarantined).unwrap();
    assert_eq!(item().await, "Quarantined");
    assert_eq!(w.get("/v2/app/manifests/v1").await.status, 404);
    assert_eq!(w.get(&format!("/v2/app/manifests/{digest}")).await.status, 405);
    assert_eq!(ask(&w, "POST", "/quarantine", &format!("app {digest} passed")).await.0, 204);
    assert_eq!(w.get("/v2/app/manifests/v1").await.status, 200);
    assert_eq!(w.get(&format!("{TAGS}/v1")).await.json()["tag"]["quarantineState"], "Passed");
    assert_eq!(ask(&w, "POST", "/quarantine", "app x passed").await.0, 400);
}

#[tokio::test]
async fn the_registrys_clock_can_be_ahead() {
    let options = Options { require_auth: false, clock_skew: jiff::SignedDuration::from_mins(7), ..Options::default() };
    let w = world_with(options, DRAWING);
    w.seconds.fetch_add(1, Ordering::SeqCst);
    assert_eq!(w.get(TAGS).await.header("date"), "Thu, 01 Jan 2026 00:07:01 GMT");
}

#[tokio::test(start_paused = true)]
async fn silent_connections_end_and_give_their_place_to_others() {
    let options = Options { require_auth: false, connections_max: 1, ..Options::default() };
    for tls in [false, true] {
        let w = world_with(options.clone(), DRAWING);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let emulator = w.emulator.clone();
        tokio::spawn(async move {
            if tls {
                emulator.serve_tls(listener, &Tls::new(&[]).unwrap(), std::future::pending()).await;
            } else {
                emulator.serve(listener, std::future::pending()).await;
            }
        });
        let began = tokio::time::Instant::now();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut waiting = TcpStream::connect(address).await.unwrap();
        waiting.write_all(b"GET /v2/ HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        let _ = silent.read_to_end(&mut said).await;
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        said.clear();
        waiting.read_to_end(&mut said).await.unwrap_or_default();
        if !tls {
            assert!(said.starts_with(b"HTTP/1.1 200 OK"), "the place is free for the next: {}", String::from_utf8_lossy(&said));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_within_a_body_is_left() {
    let w = world(DRAWING);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(w.emulator.clone().serve(listener, std::future::pending()));
    client.write_all(b"PATCH /acr/v1/app HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
    let mut said = Vec::new();
    let _ = client.read_to_end(&mut said).await;
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
