//! Faults by script: what a client gets to see of each.

use std::time::Duration;

use expect_test::expect;
use http::StatusCode;
use retaind::emulator::{Digest, Options};
use tokio::net::TcpListener;

use super::{World, world, world_with};

const DRAWING: &str = "repository app\n  image a tags v1, v2, v3, v4, v5";
const TAGS: &str = "/acr/v1/app/_tags";

async fn scripted(script: &str) -> World {
    let w = world(DRAWING);
    w.emulator.inject_script(script).unwrap();
    w
}

#[tokio::test]
async fn statuses_strike_before_or_after_the_effect() {
    let w = scripted(
        "DELETE /_tags/v1 status 503 header \"Retry-After: 2\" body '{\"errors\":[]}'
         DELETE /_tags/v2 status 500 after-effect
         DELETE /_tags/v3 close after-effect
         DELETE /_tags/v4 close
         DELETE /_tags/v5 proxy-error",
    )
    .await;
    let mut seen = Vec::new();
    for tag in 1..=5 {
        let got = w.delete(&format!("{TAGS}/v{tag}")).await;
        seen.push(if got.dropped { "closed".to_owned() } else { format!("{} {}", got.status, got.header("retry-after")) });
    }
    assert_eq!(seen, ["503 2", "500 ", "closed", "closed", "502 "]);
    w.check(expect![[r#"
        repository app
          a tags v1, v4, v5
    "#]]);
}

#[tokio::test]
async fn bodies_go_wrong_in_every_way() {
    let manifest = format!("/v2/app/manifests/{}", world(DRAWING).digest("a"));
    let whole = world(DRAWING).get(&manifest).await;
    for (script, expected) in [
        ("shorten 10", whole.body[..10].to_owned()),
        ("wrong-bytes", format!("{} ", whole.body)),
        ("wrong-digest", whole.body.clone()),
        ("garbage", "<<< this is not JSON >>>".to_owned()),
        ("deep 3", "{\"x\":[[[]]]}".to_owned()),
        ("huge 3B", "{\"x\":\"aaa\"}".to_owned()),
        ("close-mid-body 10", "broken".to_owned()),
        ("date -10m", whole.body.clone()),
    ] {
        let w = scripted(&format!("GET /v2/{{name}}/manifests/{{reference}} {script}")).await;
        let got = w.get(&manifest).await;
        assert_eq!((got.status, &got.body), (200, &expected), "{script}");
        let digest_is_right = got.header("docker-content-digest").ends_with(&Digest::of(whole.body.as_bytes()).hex());
        assert_eq!(digest_is_right, script != "wrong-digest", "{script}");
        let date = if script.starts_with("date") { "Wed, 31 Dec 2025 23:50:00 GMT" } else { "Thu, 01 Jan 2026 00:00:00 GMT" };
        assert_eq!(got.header("date"), date, "{script}");
        assert_eq!(w.get(&manifest).await.body, whole.body, "once");
    }
}

#[tokio::test]
async fn headers_lead_astray() {
    let w = scripted("GET /_tags always add \"Link: <https://evil.test/>; rel=next\"\nGET /_catalog set \"Link: </v2/>; rel=next\"").await;
    let got = w.get(&format!("{TAGS}?n=1")).await;
    assert_eq!(got.headers.get_all("link").iter().count(), 2, "{:?}", got.headers);
    assert_eq!(w.get("/acr/v1/_catalog").await.header("link"), "</v2/>; rel=next");
}

#[tokio::test(start_paused = true)]
async fn delays_latency_and_answers_that_never_come() {
    let options = Options { require_auth: false, latency: Duration::from_millis(30), ..Options::default() };
    let w = world_with(options, DRAWING);
    w.emulator.inject_script("GET /_tags delay 2s\nDELETE /v1 hang\nDELETE /v2 hang after-effect").unwrap();
    let took = async |path: &str| {
        let began = tokio::time::Instant::now();
        assert_eq!(w.get(path).await.status, 200);
        began.elapsed().as_millis()
    };
    assert_eq!((took(TAGS).await, took(TAGS).await), (2_030, 30));
    for tag in ["v1", "v2"] {
        let path = format!("{TAGS}/{tag}");
        assert!(tokio::time::timeout(Duration::from_secs(3600), w.delete(&path)).await.is_err());
    }
    w.check(expect![[r#"
        repository app
          a tags v1, v3, v4, v5
    "#]]);
}

#[tokio::test]
async fn a_gigabyte_is_sent_and_never_held_and_zipped_bodies_can_be_unzipped() {
    let w = scripted("GET /_catalog huge 1GB\nGET /_tags gzip").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(w.emulator.clone().serve(listener, std::future::pending()));
    // Another test of this binary may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut got = client.get(format!("{base}/acr/v1/_catalog")).send().await.unwrap();
    assert_eq!((got.status(), got.content_length()), (StatusCode::OK, None));
    let mut bytes = 0;
    // Enough to see that it is no small body; the rest would only take time.
    while bytes < 100_000_000 {
        bytes += got.chunk().await.unwrap().unwrap().len();
    }
    drop(got);
    let zipped = client.get(format!("{base}{TAGS}")).send().await.unwrap();
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    let zipped = zipped.bytes().await.unwrap();
    let plain = client.get(format!("{base}{TAGS}")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&zipped[15..zipped.len() - 8], &plain[..], "one stored block");
}
