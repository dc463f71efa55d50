//! What deletions, locks, moves and pushes do to what is there.

use axum::body::Body;
use expect_test::expect;
use http::Method;
use jiff::SignedDuration;
use retaind::emulator::{Digest, OCI_INDEX, OCI_MANIFEST, Options};
use serde_json::json;

use super::{Got, world, world_with};

#[tokio::test]
async fn what_is_deleted_and_what_stays() {
    let drawing = "
repository app
  image a tags v1, v2
  image b tags v3
  index rel tags 1.0 platforms linux/amd64, linux/arm64
  artifact sig subject rel type application/vnd.sig
  artifact sig-of-sig subject sig type application/vnd.sig
";
    let w = world(drawing);
    let untagged = w.delete("/acr/v1/app/_tags/v3").await;
    assert_eq!((untagged.status, untagged.body.as_str()), (202, ""));
    assert_eq!(untagged.header("x-ms-int-docker-content-digest"), w.digest("b").to_string());
    let deleted = w.delete_manifest("a").await;
    assert_eq!((deleted.status, deleted.body.as_str()), (202, ""));
    assert_eq!(deleted.header("x-ms-int-docker-content-digest"), "");
    assert_eq!(w.delete_manifest("rel/linux/arm64").await.status, 202, "nothing protects the children of a tagged index");
    w.check(expect![[r#"
        repository app
          b untagged
          rel of rel/linux/amd64, gone:6a747eccf6ea tags 1.0
          rel/linux/amd64 untagged
          sig subject rel untagged
          sig-of-sig subject sig untagged
    "#]]);
    assert_eq!(w.delete_manifest("rel").await.status, 202);
    w.check(expect![[r#"
        repository app
          b untagged
          rel/linux/amd64 untagged
    "#]]);
    assert_eq!(w.delete_manifest("b").await.status, 202);
    assert_eq!(w.delete_manifest("rel/linux/amd64").await.status, 202);
    assert_eq!(w.get("/acr/v1/app/_tags").await.status, 404, "the last manifest takes the repository along");

    let options = Options { require_auth: false, cascade: false, ..Options::default() };
    let w = world_with(options, drawing);
    assert_eq!(w.delete_manifest("rel").await.status, 202);
    assert!(w.emulator.render().contains("sig subject gone:"));
}

#[tokio::test]
async fn a_repository_is_deleted_with_all_that_is_in_it() {
    let w = world("repository app\n  image a tags v1\nrepository bare\n  image a");
    let deleted = w.delete("/acr/v1/app").await;
    assert_eq!(
        (deleted.status, deleted.body),
        (202, format!("{{\"manifestsDeleted\":[\"{}\"],\"tagsDeleted\":[\"v1\"]}}\n", w.digest("a")))
    );
    assert!(w.delete("/acr/v1/bare").await.body.ends_with("\"tagsDeleted\":null}\n"));
    w.check(expect![""]);
}

#[tokio::test]
async fn locks_hold_what_they_are_on() {
    let drawing = "
repository app
  image m-delete tags a locked delete
  image m-write tags b locked write
  image open tags c, d
  tag c locked delete
  tag d locked write
repository held locked write
  image x tags v1
repository kept locked delete
  image x tags v1
";
    let w = world(drawing);
    let x = w.seed.digest("held", "x").unwrap();
    for (path, status) in [
        (format!("/v2/app/manifests/{}", w.digest("m-delete")), 405),
        (format!("/v2/app/manifests/{}", w.digest("m-write")), 405),
        ("/acr/v1/app/_tags/c".to_owned(), 405),
        ("/acr/v1/app/_tags/d".to_owned(), 405),
        ("/acr/v1/app/_tags/a".to_owned(), 202),
        (format!("/v2/held/manifests/{x}"), 405),
        ("/acr/v1/held/_tags/v1".to_owned(), 405),
        ("/acr/v1/held".to_owned(), 405),
        ("/acr/v1/kept".to_owned(), 405),
        ("/acr/v1/kept/_tags/v1".to_owned(), 202),
        (format!("/v2/kept/manifests/{}", w.seed.digest("kept", "x").unwrap()), 202),
        (format!("/v2/app/manifests/{}", w.digest("open")), 202),
    ] {
        let got = w.delete(&path).await;
        assert_eq!(got.status, status, "{path}");
        if status == 405 {
            assert_eq!(got.json()["errors"][0]["code"], "REGISTRY_DISALLOWED_OPERATION");
        }
    }
    let strict = Options { require_auth: false, locked_tag_protects_manifest: true, ..Options::default() };
    let w = world_with(strict, drawing);
    assert_eq!(w.delete_manifest("open").await.status, 405);
}

#[tokio::test]
async fn changing_locks_changes_no_time() {
    let w = world("repository app\n  image a tags v1 age 3d");
    let digest = w.digest("a");
    for (path, inner) in [
        ("/acr/v1/app".to_owned(), ""),
        ("/acr/v1/app/_tags/v1".to_owned(), "tag"),
        (format!("/acr/v1/app/_manifests/{digest}"), "manifest"),
        (format!("/acr/v1/app/_manifests/{}", digest.to_string().replace(':', "%3A")), "manifest"),
    ] {
        let unwrapped = |got: Got| if inner.is_empty() { got.json() } else { got.json()[inner].clone() };
        let mut before = unwrapped(w.get(&path).await);
        let after = unwrapped(w.patch(&path, "{\"deleteEnabled\":false}").await);
        before["changeableAttributes"]["deleteEnabled"] = json!(false);
        assert_eq!(after, before, "{path}");
        assert_eq!(unwrapped(w.patch(&path, "{\"deleteEnabled\":true}").await)["changeableAttributes"]["deleteEnabled"], true);
    }
}

#[tokio::test]
async fn a_moved_tag_keeps_when_it_was_created() {
    let w = world("repository app\n  image a tags v1 age 3d\n  image b age 2d");
    w.emulator.move_tag("app", "v1", w.digest("b")).unwrap();
    let tag = w.get("/acr/v1/app/_tags/v1").await.json()["tag"].clone();
    assert_eq!((&tag["createdTime"], &tag["lastUpdateTime"]), (&json!("2025-12-29T00:00:00Z"), &json!("2026-01-01T00:00:00Z")));
    w.check(expect![[r#"
        repository app
          a untagged
          b tags v1
    "#]]);
}

#[tokio::test]
async fn pushes_are_complete_or_refused() {
    let options = Options { require_auth: false, push_age: SignedDuration::from_hours(48), ..Options::default() };
    let w = world_with(options, "");
    let (config, layer) = (r#"{"architecture":"arm64","os":"linux"}"#, "layer");
    let descriptor = |media_type: &str, bytes: &str| json!({"mediaType": media_type, "digest": Digest::of(bytes.as_bytes()).to_string(), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    })
    .to_string();
    let put = async |reference: &str, content_type: &'static str, body: &str| {
        let got = w.send(Method::PUT, &format!("/v2/app/manifests/{reference}"), content_type, body.to_owned()).await;
        let code = if got.body.is_empty() { String::new() } else { got.json()["errors"][0]["code"].as_str().unwrap().to_owned() };
        (got.status, code)
    };
    assert_eq!(put("v1", OCI_MANIFEST, &manifest).await, (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));

    let started = w.send(Method::POST, "/v2/app/blobs/uploads/?mount=sha256:1&from=x", "", Body::empty()).await;
    assert_eq!((started.status, started.header("range")), (202, "0-0"));
    let location = started.header("location").to_owned();
    let half = w.send(Method::PATCH, &location, "application/octet-stream", "lay").await;
    assert_eq!((half.status, half.header("range")), (202, "0-2"));
    assert_eq!(half.header("docker-upload-uuid"), started.header("docker-upload-uuid"));
    let location = half.header("location").to_owned();
    let finished = w.send(Method::PUT, &format!("{location}&digest={}", Digest::of(b"layer")), "", "er").await;
    assert_eq!((finished.status, finished.header("location")), (201, format!("/v2/app/blobs/{}", Digest::of(b"layer")).as_str()));
    let at_once = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(config.as_bytes()));
    assert_eq!(w.send(Method::POST, &at_once, "", "something else").await.status, 400);
    assert_eq!(w.send(Method::POST, &at_once, "", config).await.status, 201);

    assert_eq!(put("v1", OCI_INDEX, &manifest).await, (400, "MANIFEST_INVALID".to_owned()), "the content type contradicts the bytes");
    assert_eq!(put("v1", OCI_MANIFEST, &manifest).await, (201, String::new()));
    let wrong = Digest::of(b"");
    assert_eq!(put(&wrong.to_string(), OCI_MANIFEST, &manifest).await.0, 400);
    let child = descriptor(OCI_MANIFEST, &manifest);
    let index = json!({"schemaVersion": 2, "manifests": [child, descriptor(OCI_MANIFEST, "missing")]}).to_string();
    assert_eq!(put("rel", OCI_INDEX, &index).await, (400, "MANIFEST_INVALID".to_owned()), "an unknown child");

    let digest = Digest::of(manifest.as_bytes());
    let item = w.get(&format!("/acr/v1/app/_manifests/{digest}")).await.json()["manifest"].clone();
    assert_eq!((&item["architecture"], &item["createdTime"]), (&json!("arm64"), &json!("2025-12-30T00:00:00Z")));
    let head = w.send(Method::HEAD, "/v2/app/manifests/v1", "", Body::empty()).await;
    assert_eq!((head.header("docker-content-digest"), head.body.as_str()), (digest.to_string().as_str(), ""));
    assert_eq!(head.header("content-length"), manifest.len().to_string());
    assert_eq!(w.get("/v2/app/manifests/v1").await.body, manifest);
    assert_eq!(w.blob(&format!("/v2/app/blobs/{}", Digest::of(b"layer"))).await.body, "layer");
}
