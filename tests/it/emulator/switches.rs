//! What registries differ in and what nobody knows: soft delete, lag, and each open question answered in its other way.

use std::sync::atomic::Ordering;

use axum::body::{Body, to_bytes};
use expect_test::expect;
use http::{Method, Request};
use jiff::SignedDuration;
use retaind::emulator::{Digest, OCI_INDEX, Options};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{World, world_with};

const DAY_SECONDS: i64 = 86_400;

/// An open registry in which these questions are answered so.
fn assuming(answers: &[&str], drawing: &str) -> World {
    let mut options = Options { require_auth: false, ..Options::default() };
    for answer in answers {
        options.assume(answer).unwrap();
    }
    world_with(options, drawing)
}

#[tokio::test]
async fn what_was_deleted_softly_is_listed_and_brought_back() {
    let options = Options { require_auth: false, soft_delete: Some(SignedDuration::from_hours(7 * 24)), ..Options::default() };
    let w = world_with(options, "repository app\n  image a tags v1, v2 age 3d\n  image b tags v3\n  artifact sig subject a type t/x");
    assert_eq!(w.get("/acr/v1/_deleted/_catalog").await.body, "{\"repositories\":[]}\n");
    assert_eq!(w.delete("/acr/v1/app/_tags/v3").await.status, 202);
    let manifest = w.get(&format!("/v2/app/manifests/{}", w.digest("a"))).await.body;
    assert_eq!(w.delete_manifest("a").await.status, 202);
    w.check(expect![[r#"
        repository app
          b untagged
    "#]]);
    let repositories = w.get("/acr/v1/_deleted/_catalog").await.json()["repositories"].clone();
    let (now, earlier) = ("2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z");
    assert_eq!(repositories, json!([{"repository": "app", "createdAt": earlier, "deletedAt": now}]));
    let (manifests, pages) = w.list("/acr/v1/_deleted/app/_manifests?n=1", "manifests").await;
    assert_eq!((manifests.len(), pages), (2, 2), "the referrer went along");
    let tags = w.get("/acr/v1/_deleted/app/_tags").await.json()["tags"].clone();
    let names: Vec<&str> = tags.as_array().unwrap().iter().map(|tag| tag["tag"].as_str().unwrap()).collect();
    assert_eq!((names, &tags[0]["digest"]), (vec!["v1", "v2", "v3"], &json!(w.digest("a").to_string())));
    let pushed = w.send(Method::PUT, "/v2/app/manifests/v9", "application/vnd.oci.image.manifest.v1+json", manifest).await;
    assert_eq!(pushed.status, 405, "what lies in the bin cannot be pushed");

    let restore = format!("/acr/v1/_deleted/app/_manifests/{}", w.digest("a"));
    w.emulator.move_tag("app", "v1", w.digest("b")).unwrap();
    assert_eq!(w.form(&restore, "{\"tag\":\"v1\"}").await.status, 409);
    let restored = w.form(&format!("{restore}?force=true"), "{\"tag\":\"v1\"}").await;
    assert_eq!((restored.status, restored.json()), (200, json!({"digest": w.digest("a").to_string(), "tag": "v1"})));
    w.check(expect![[r#"
        repository app
          a tags v1
          b untagged
    "#]]);
    assert_eq!(w.form(&restore, "{}").await.status, 404);
    w.seconds.fetch_add(7 * DAY_SECONDS, Ordering::SeqCst);
    assert_eq!(w.get("/acr/v1/_deleted/app/_manifests").await.body, "{\"manifests\":[]}\n", "its days are over");
}

#[tokio::test]
async fn a_repository_deleted_softly_comes_back_with_its_blobs() {
    let options =
        Options { require_auth: false, blob_redirect: false, soft_delete: Some(SignedDuration::from_hours(24)), ..Options::default() };
    let w = world_with(options, "");
    let upload = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"{}"));
    assert_eq!(w.send(Method::POST, &upload, "", "{}").await.status, 201);
    let config = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}").to_string(), "size": 2});
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
    let digest = Digest::of(manifest.as_bytes());
    let put = async || w.send(Method::PUT, "/v2/app/manifests/v1", "application/vnd.oci.image.manifest.v1+json", manifest.clone()).await;
    assert_eq!(put().await.status, 201);
    assert_eq!(w.delete("/acr/v1/app").await.status, 202);
    assert_eq!(w.get("/acr/v1/app").await.status, 404);
    assert_eq!(w.form(&format!("/acr/v1/_deleted/app/_manifests/{digest}"), "").await.status, 200);
    assert_eq!(w.get(&format!("/v2/app/manifests/{digest}")).await.body, manifest);
    assert_eq!(w.get(&format!("/v2/app/blobs/{}", Digest::of(b"{}"))).await.body, "{}");
    let off = world_with(Options { require_auth: false, ..Options::default() }, "");
    assert_eq!(off.get("/acr/v1/_deleted/_catalog").await.status, 404);
}

#[tokio::test]
async fn lists_lag_behind_single_items() {
    let options = Options { require_auth: false, listing_lag: SignedDuration::from_secs(5), ..Options::default() };
    let w = world_with(options, "repository app\n  image a tags v1\n  image b tags v2\nrepository other\n  image x tags x");
    let deleted = w.delete_manifest("a").await;
    assert_eq!(deleted.status, 202);
    assert_eq!(w.delete("/acr/v1/other").await.status, 202);
    let lists = async || {
        let manifests = w.get("/acr/v1/app/_manifests").await.json()["manifests"].as_array().unwrap().len();
        let by_time = w.get("/acr/v1/app/_tags?orderby=timedesc").await.json()["tags"].as_array().unwrap().len();
        (w.names("/acr/v1/_catalog", "repositories").await.0, w.names("/v2/app/tags/list", "tags").await.0, manifests, by_time)
    };
    assert_eq!(w.get("/acr/v1/app/_tags/v1").await.status, 404);
    assert_eq!(lists().await, ("app other".to_owned(), "v1 v2".to_owned(), 2, 2));
    w.seconds.fetch_add(5, Ordering::SeqCst);
    assert_eq!(lists().await, ("app".to_owned(), "v2".to_owned(), 1, 1));
}

#[tokio::test]
async fn a_replica_shows_everything_later() {
    let options = Options { require_auth: false, replica_lag: SignedDuration::from_secs(5), ..Options::default() };
    let w = world_with(options, "repository app\n  image a tags v1\n  image b tags v2");
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = w.emulator.replica_router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap())
    };
    w.emulator.move_tag("app", "v1", w.digest("b")).unwrap();
    assert_eq!(w.delete("/acr/v1/app/_tags/v2").await.status, 202);
    let (_, tag) = ask("GET", "/acr/v1/app/_tags/v1").await;
    assert!(tag.contains(&w.digest("a").to_string()), "the same tag names two digests: {tag}");
    assert!(w.get("/acr/v1/app/_tags/v1").await.body.contains(&w.digest("b").to_string()));
    assert_eq!(ask("GET", "/v2/app/manifests/v2").await.0, 200);
    assert_eq!(ask("DELETE", "/acr/v1/app/_tags/v2").await.0, 404, "what is written there is written everywhere");
    w.seconds.fetch_add(5, Ordering::SeqCst);
    assert_eq!(ask("GET", "/v2/app/manifests/v2").await.0, 404);
}

#[tokio::test]
async fn empty_tag_lists_and_pages_of_zero() {
    let drawing = "repository app\n  image a";
    for (answer, expected) in [("null", json!(null)), ("empty", json!([]))] {
        let list = assuming(&[&format!("no-tags={answer}")], drawing).get("/acr/v1/app/_tags").await.json();
        assert_eq!(list["tags"], expected, "{answer}");
        assert!(list.get("tags").is_some());
    }
    assert_eq!(assuming(&["no-tags=absent"], drawing).get("/acr/v1/app/_tags").await.json().get("tags"), None);
    for (answer, status, listed) in [("usual", 200, 1), ("empty", 200, 0), ("refused", 400, 0)] {
        let got = assuming(&[&format!("page-of-zero={answer}")], drawing).get("/acr/v1/app/_manifests?n=0").await;
        assert_eq!(
            (got.status, got.json()["manifests"].as_array().map_or(0, Vec::len), got.header("link")),
            (status, listed, ""),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn lists_can_hide_and_tell() {
    let drawing =
        "repository app\n  image a tags v1 locked list\n  image b tags v2\n  tag v2 locked list\n  artifact c type application/x tags v3
repository gone locked list\n  image a";
    let w = assuming(&["unlisted=hidden", "artifact-type=listed"], drawing);
    for order in ["", "?orderby=timedesc"] {
        let (manifests, _) = w.list(&format!("/acr/v1/app/_manifests{order}"), "manifests").await;
        assert_eq!(manifests.len(), 2);
        assert_eq!(manifests.iter().filter(|item| item["artifactType"] == "application/x").count(), 1);
        assert_eq!(w.names(&format!("/acr/v1/app/_tags{order}"), "tags").await.0, "v1 v3");
    }
    assert_eq!(w.names("/acr/v1/_catalog", "repositories").await.0, "app");
    let usual = assuming(&[], drawing);
    let (manifests, _) = usual.list("/acr/v1/app/_manifests", "manifests").await;
    assert!(manifests.len() == 3 && manifests.iter().all(|item| item.get("artifactType").is_none()));
}

#[tokio::test]
async fn the_filter_by_digest_may_be_ignored() {
    let drawing = "repository app\n  image a tags v1\n  image b tags v2";
    for (answer, expected) in [("filtered", "v1"), ("ignored", "v1 v2")] {
        let w = assuming(&[&format!("tags-by-digest={answer}")], drawing);
        assert_eq!(w.names(&format!("/acr/v1/app/_tags?digest={}", w.digest("a")), "tags").await.0, expected);
    }
}

#[tokio::test]
async fn opaque_cursors_lead_on_as_well() {
    let w = assuming(&["time-cursor=opaque"], "repository app\n  repeat 5 n image i-{n} tags t-{n} age {n}d");
    let first = w.get("/acr/v1/app/_tags?n=2&orderby=timedesc").await;
    assert!(!first.header("link").contains("%26"), "{}", first.header("link"));
    assert_eq!(w.names("/acr/v1/app/_tags?n=2&orderby=timedesc", "tags").await, ("t-1 t-2 t-3 t-4 t-5".to_owned(), 3));
    assert_eq!(w.names("/acr/v1/app/_tags?n=2", "tags").await.1, 3);
}

#[tokio::test]
async fn references_of_docker_indexes_only_and_heads_without_digest() {
    let drawing = "repository app\n  index oci tags o platforms linux/amd64\n  index list tags d platforms linux/amd64 docker";
    let w = assuming(&["index-references=docker", "head-digest=no"], drawing);
    for (handle, has) in [("oci", false), ("list", true)] {
        let manifest = w.get(&format!("/acr/v1/app/_manifests/{}", w.digest(handle))).await.json()["manifest"].clone();
        assert_eq!(manifest.get("references").is_some(), has, "{handle}");
    }
    let head = w.send(Method::HEAD, "/v2/app/manifests/o", "", Body::empty()).await;
    assert_eq!((head.header("content-type"), head.header("docker-content-digest")), (OCI_INDEX, ""));
}

#[tokio::test]
async fn a_repository_with_locked_contents_goes_or_stays_or_goes_in_part() {
    let drawing = "repository app\n  image a tags v1 locked delete\n  image b tags v2\n  tag v2 locked write\n  image c tags v3\n  image d";
    for (answer, status, left) in [
        ("no", 202, ""),
        ("yes", 405, "repository app\n  a locked delete tags v1\n  b tags v2 (locked write)\n  c tags v3\n  d untagged\n"),
        ("partly", 405, "repository app\n  a locked delete tags v1\n  b tags v2 (locked write)\n"),
    ] {
        let w = assuming(&[&format!("locked-content-protects-repository={answer}")], drawing);
        assert_eq!((w.delete("/acr/v1/app").await.status, w.emulator.render().as_str()), (status, left), "{answer}");
    }
}

#[tokio::test]
async fn a_catalog_that_is_denied_may_look_empty() {
    for (answer, status) in [("401", 401), ("empty", 200)] {
        let mut options = Options { by_repository: true, ..Options::default() };
        options.assume(&format!("catalog-denied={answer}")).unwrap();
        let mut w = world_with(options, "repository app\n  image a");
        w.emulator.assign_roles("me ContainerRegistryRepositoryReader").unwrap();
        let refresh = super::access::refresh_token(&w, &super::valid_claims()).await;
        let token = super::access::access_token(&w, &refresh, "registry:catalog:*%20repository:app:pull").await;
        assert_eq!(w.get("/acr/v1/_catalog").await.status, 401, "without a token in any case");
        w.authorization = Some(format!("Bearer {token}"));
        let got = w.get("/acr/v1/_catalog").await;
        assert_eq!(got.status, status, "{answer}");
        assert!(status == 401 || got.json()["repositories"] == Value::Null);
    }
}

/// Pages in time order are answered from an index that is made once: it must follow what changes.
#[tokio::test]
async fn time_order_follows_changes() {
    let w = assuming(&[], "repository app\n  repeat 4 n image i-{n} tags t-{n} age {n}d");
    let listed = async || {
        let (down, _) = w.names("/acr/v1/app/_tags?orderby=timedesc&n=2", "tags").await;
        let (up, _) = w.names("/acr/v1/app/_tags?orderby=timeasc&n=3", "tags").await;
        let (manifests, _) = w.list("/acr/v1/app/_manifests?orderby=timedesc&n=1", "manifests").await;
        (down, up, manifests.len())
    };
    assert_eq!(listed().await, ("t-1 t-2 t-3 t-4".to_owned(), "t-4 t-3 t-2 t-1".to_owned(), 4));
    w.emulator.move_tag("app", "t-3", w.digest("i-1")).unwrap();
    assert_eq!(w.delete("/acr/v1/app/_tags/t-2").await.status, 202);
    w.emulator.seed("repository app\n  image new tags fresh age 2h\n  image dated tags d\n  tag d age 9d").unwrap();
    assert_eq!(listed().await, ("t-3 fresh t-1 t-4 d".to_owned(), "d t-4 t-1 fresh t-3".to_owned(), 6));
    assert_eq!(w.delete_manifest("i-4").await.status, 202);
    assert_eq!(listed().await, ("t-3 fresh t-1 d".to_owned(), "d t-1 fresh t-3".to_owned(), 5));
}
