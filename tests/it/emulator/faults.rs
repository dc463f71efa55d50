//! Faults on order, hooks, and the real socket.

use std::sync::{Arc, Mutex};

use expect_test::expect;
use http::{Method, StatusCode};
use retaind::emulator::{Failure, Fault, Locks, Response, Tls};

use super::world;

#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let w = world("repository app\n  image a tags v1, v2, v3");
    let tag = |tag: &str| format!("/acr/v1/app/_tags/{tag}");
    w.emulator.inject(Fault::once(Method::DELETE, "/_tags/v1", Failure::DropBeforeEffect));
    w.emulator.inject(Fault::once(Method::DELETE, "/_tags/v2", Failure::DropAfterEffect));
    let throttled = Response {
        status: StatusCode::TOO_MANY_REQUESTS,
        headers: [("retry-after".parse().unwrap(), "7".parse().unwrap())].into_iter().collect(),
        body: String::new(),
    };
    w.emulator.inject(Fault::once(Method::DELETE, "/_tags/v3", Failure::Respond(throttled)));
    assert!(w.delete(&tag("v1")).await.dropped);
    assert!(w.delete(&tag("v2")).await.dropped);
    let got = w.delete(&tag("v3")).await;
    assert_eq!((got.status, got.header("retry-after")), (429, "7"));
    w.check(expect![[r#"
        repository app
          a tags v1, v3
    "#]]);
    w.emulator.inject(Fault::once(Method::GET, "/_tags", Failure::Truncate(10)));
    assert_eq!(w.get("/acr/v1/app/_tags").await.body, "broken");
    assert_eq!(w.get("/acr/v1/app/_tags").await.status, 200);
    let log: Vec<String> =
        w.emulator.requests().iter().map(|request| format!("{} {} {:?}", request.method, request.path, request.status)).collect();
    assert_eq!(log, ["DELETE /acr/v1/app/_tags/v1 None", "DELETE /acr/v1/app/_tags/v2 None", "DELETE /acr/v1/app/_tags/v3 Some(429)"]);
    assert_eq!(w.get("/_emulator/requests").await.json()["mutating"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_hook_changes_the_world_between_two_requests() {
    let w = world("repository app\n  image a tags v1\n  image b tags v2");
    let (a, seen) = (w.digest("a"), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&seen);
    w.emulator.on_request(Box::new(move |request, emulator| {
        log.lock().unwrap().push(request.route);
        if request.method == Method::DELETE {
            emulator.seed("repository app\n  index new of a tags late").unwrap();
            emulator.lock_manifest("app", a, Locks::NO_DELETE).unwrap();
        }
    }));
    assert_eq!(w.delete_manifest("a").await.status, 405);
    assert_eq!(*seen.lock().unwrap(), ["/v2/{name}/manifests/{reference}"]);
    w.check(expect![[r#"
        repository app
          a locked delete tags v1
          b tags v2
          new of a tags late
    "#]]);
}

#[tokio::test]
async fn over_sockets_connections_really_break() {
    let w = world("repository app\n  image a tags v1");
    // Another test of this binary may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = Tls::new(&["registry.test".to_owned()]).unwrap();
    let authority = reqwest::Certificate::from_pem(tls.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let emulator = w.emulator.clone();
    let server = tokio::spawn(async move { emulator.serve_tls(listener, &tls, async { stopped.await.unwrap_or_default() }).await });
    let tags = format!("{base}/acr/v1/app/_tags");
    assert_eq!(client.get(&tags).send().await.unwrap().status(), 200);
    w.emulator.inject(Fault::once(Method::DELETE, "", Failure::DropAfterEffect));
    assert!(client.delete(format!("{tags}/v1")).send().await.is_err());
    assert_eq!(client.get(format!("{tags}/v1")).send().await.unwrap().status(), 404, "the effect was there");
    w.emulator.inject(Fault::once(Method::GET, "", Failure::Truncate(5)));
    assert!(client.get(format!("{base}/acr/v1/app")).send().await.unwrap().bytes().await.is_err());
    drop(client);
    stop.send(()).unwrap();
    server.await.unwrap();
}
