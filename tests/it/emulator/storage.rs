//! Blobs: where the registry sends their readers, and whom the storage there refuses.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::Method;
use retaind::emulator::{Digest, Options};
use tokio::net::TcpListener;

use super::{STORAGE, World, world, world_with};

async fn config(w: &World) -> String {
    let manifest = w.get("/v2/app/manifests/v1").await.json();
    format!("/v2/app/blobs/{}", manifest["config"]["digest"].as_str().unwrap())
}

#[tokio::test]
async fn readers_are_sent_to_the_storage_with_an_address_that_is_good_for_a_while() {
    let mut w = world("repository app\n  image a tags v1 label team=web");
    let sent = w.get(&config(&w).await).await;
    let location = sent.header("location").to_owned();
    assert_eq!((sent.status, sent.header("content-type")), (307, "text/html; charset=utf-8"));
    assert_eq!(sent.body, format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", location.replace('&', "&amp;")));
    assert!(location.contains("?se=2026-01-01T00%3A20%3A00Z&sig="), "{location}");
    let path = location.strip_prefix(STORAGE).unwrap();
    let blob = w.get(path).await;
    assert_eq!((blob.status, blob.header("server")), (200, "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"));
    assert!(sent.header("docker-content-digest").ends_with(&Digest::of(blob.body.as_bytes()).hex()));
    assert_eq!(w.send(Method::HEAD, path, "", Body::empty()).await.header("content-length"), blob.body.len().to_string());
    assert_eq!(w.get(&path.replace("sig=", "sig=x")).await.header("x-ms-error-code"), "AuthenticationFailed");
    w.authorization = Some("Bearer token".to_owned());
    let refused = w.get(path).await;
    assert_eq!((refused.status, refused.header("x-ms-error-code")), (400, "InvalidAuthenticationInfo"), "a token is not for the storage");
    w.authorization = None;
    w.seconds.fetch_add(20 * 60, Ordering::SeqCst);
    assert_eq!(w.get(path).await.status, 403, "the address is over");
}

#[tokio::test]
async fn blobs_can_be_served_at_once() {
    let options = Options { require_auth: false, blob_redirect: false, ..Options::default() };
    let w = world_with(options, "repository app\n  image a tags v1 label team=web");
    let blob = w.get(&config(&w).await).await;
    assert_eq!((blob.status, blob.json()["config"]["Labels"]["team"].as_str()), (200, Some("web")));
}

#[tokio::test]
async fn over_sockets_the_storage_has_another_host_name() {
    let w = world("repository app\n  image a tags v1");
    let path = config(&w).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(w.emulator.clone().serve(listener, std::future::pending()));
    // Another test of this binary may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (asked, told) in [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")] {
        let sent = client.get(format!("http://{asked}:{port}{path}")).send().await.unwrap();
        let location = sent.headers()["location"].to_str().unwrap();
        assert!(location.starts_with(&format!("http://{told}:{port}/")), "{location}");
        assert_eq!(client.get(location).send().await.unwrap().status(), 200);
    }
}
