//! The laws of the emulated registry, asked for over its own HTTP interface without a socket.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use expect_test::{Expect, expect};
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use retaind::emulator::{
    Credential, Digest, Dropped, Emulator, Failure, Fault, Listing, Locks, OCI_INDEX, OCI_MANIFEST, Options, Permissions, Seed, Tls,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// 2026-01-01T00:00:00Z, the time of every registry here.
const NOW_SECONDS: i64 = 1_767_225_600;

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

#[tokio::test]
async fn empty_lists_are_null() {
    let world = world("");
    assert_eq!(world.get("/acr/v1/_catalog").await.body, "{\"repositories\":null}\n");
}

#[tokio::test]
async fn links_lead_through_every_listing_in_both_encodings() {
    let world = world(
        "repository a/b\n  repeat 5 n image i-{n} tags t-{n} age {n}d\nrepository a/c\n  image x\nrepository d\n  image x\nrepository e\n  image x",
    );
    assert_eq!(world.names("/acr/v1/_catalog?n=2&api-version=2021-07-01", "repositories").await, ("a/b a/c d e".to_owned(), 2));
    for name in ["a/b", "a%2Fb"] {
        let first = world.get(&format!("/acr/v1/{name}/_tags?n=2")).await;
        assert_eq!(first.header("link"), format!("</acr/v1/{name}/_tags?last=t-2&n=2&orderby=>; rel=\"next\""));
        assert_eq!(world.names(&format!("/acr/v1/{name}/_tags?n=2"), "tags").await, ("t-1 t-2 t-3 t-4 t-5".to_owned(), 3));
        assert_eq!(world.names(&format!("/acr/v1/{name}/_tags?n=5"), "tags").await.1, 1, "a full last page has no link");
        assert_eq!(world.names(&format!("/v2/{name}/tags/list?n=3"), "tags").await, ("t-1 t-2 t-3 t-4 t-5".to_owned(), 2));
        let (manifests, pages) = world.list(&format!("/acr/v1/{name}/_manifests?n=1"), "manifests").await;
        assert_eq!((manifests.len(), pages), (5, 5));
        let digests: Vec<&str> = manifests.iter().map(|manifest| manifest["digest"].as_str().unwrap()).collect();
        assert!(digests.is_sorted(), "manifests are listed by digest");
    }
}

#[tokio::test]
async fn time_order_has_its_own_cursor_and_takes_no_bare_name() {
    let world = world("repository app\n  repeat 5 n image i-{n} tags t-{n} age {n}d\n  image j tags aa age 2d");
    let path = "/acr/v1/app/_tags?n=2&orderby=timedesc";
    assert_eq!(world.names(path, "tags").await, ("t-1 aa t-2 t-3 t-4 t-5".to_owned(), 3));
    assert_eq!(world.names("/acr/v1/app/_tags?n=4&orderby=timeasc", "tags").await, ("t-5 t-4 t-3 aa t-2 t-1".to_owned(), 2));
    let first = world.get(path).await;
    assert_eq!(first.header("link"), "</acr/v1/app/_tags?last=8584345540854775807%26aa&n=2&orderby=timedesc>; rel=\"next\"");
    let again = world.get(&format!("{path}&last=aa")).await;
    assert_eq!(again.body, first.body, "a bare name brings the first page again");
    let (manifests, pages) = world.list("/acr/v1/app/_manifests?n=5&orderby=timedesc", "manifests").await;
    assert_eq!((manifests.len(), pages), (6, 2));
}

#[tokio::test]
async fn sizes_beyond_the_maximum_are_capped_without_a_word() {
    let options =
        Options { require_auth: false, page_size_default: 2, page_size_max: 3, listing: Listing::Descending, ..Options::default() };
    let world = world_with(options, "repository app\n  repeat 7 n image i-{n} tags t-{n}");
    assert_eq!(world.names("/acr/v1/app/_tags", "tags").await, ("t-7 t-6 t-5 t-4 t-3 t-2 t-1".to_owned(), 4));
    assert_eq!(world.names("/acr/v1/app/_tags?n=1000", "tags").await.1, 3);
    assert_eq!(world.list("/acr/v1/app/_manifests?n=1000", "manifests").await, {
        let (mut items, _) = world.list("/acr/v1/app/_manifests?n=1000", "manifests").await;
        items.sort_by_key(|item| std::cmp::Reverse(item["digest"].as_str().unwrap().to_owned()));
        (items, 3)
    });
}

#[tokio::test]
async fn an_index_lists_references_and_sums_its_children() {
    let world =
        world("repository app\n  index rel tags 1.0 platforms linux/amd64, linux/arm64 age 1d\n  image many\n  repeat 12 n tag b-{n}");
    let item = |handle: &'static str| {
        let path = format!("/acr/v1/app/_manifests/{}", world.digest(handle));
        let world = &world;
        async move { world.get(&path).await.json()["manifest"].clone() }
    };
    let index = item("rel").await;
    let (amd64, arm64) = (item("rel/linux/amd64").await, item("rel/linux/arm64").await);
    let bytes = world.get("/v2/app/manifests/1.0").await.body.len() as u64;
    let size = |item: &Value| item["imageSize"].as_u64().unwrap();
    assert_eq!(size(&index), size(&amd64) + size(&arm64) + bytes);
    assert_eq!(
        index["references"],
        json!([
            {"digest": amd64["digest"], "architecture": "amd64", "os": "linux"},
            {"digest": arm64["digest"], "architecture": "arm64", "os": "linux"},
        ])
    );
    assert_eq!((&index["architecture"], &arm64["architecture"]), (&Value::Null, &json!("arm64")));
    assert_eq!(arm64.get("tags"), None, "an untagged manifest has no tags key");
    assert_eq!(item("many").await["tags"].as_array().unwrap().len(), 10, "of twelve tags ten are shown");
    let (listed, _) = world.list("/acr/v1/app/_manifests", "manifests").await;
    assert!(listed.iter().all(|item| item.get("references").is_none()), "the listing has no references");
}

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
async fn errors_have_their_recorded_shapes() {
    let w = world("repository app\n  image a tags v1\n  image g tags gone ghost");
    let unknown = format!("sha256:{}", "a".repeat(64));
    let ghost = w.digest("g");
    let mut text = String::new();
    for (method, path) in [
        (Method::GET, "/acr/v1/wrong-name/_tags".to_owned()),
        (Method::GET, "/acr/v1/wrong-name".to_owned()),
        (Method::DELETE, "/acr/v1/wrong-name".to_owned()),
        (Method::GET, "/acr/v1/wrong-name/_tags/v1".to_owned()),
        (Method::DELETE, "/acr/v1/app/_tags/v9".to_owned()),
        (Method::GET, format!("/acr/v1/app/_manifests/{unknown}")),
        (Method::DELETE, format!("/v2/app/manifests/{unknown}")),
        (Method::GET, "/v2/app/manifests/v9".to_owned()),
        (Method::GET, format!("/v2/app/manifests/{unknown}")),
        (Method::DELETE, "/v2/app/manifests/v1".to_owned()),
        (Method::DELETE, format!("/v2/app/blobs/{unknown}")),
        (Method::GET, "/acr/v1/Upper/_tags".to_owned()),
        (Method::GET, "/acr/v1/app/_manifests/wrong-digest".to_owned()),
    ] {
        let got = w.send(method.clone(), &path, "", Body::empty()).await;
        text.push_str(&format!("{method} {} {}", path.replace(&unknown, "UNKNOWN"), got.status));
        text.push_str(&format!("\n  {}", got.body.replace(&unknown, "UNKNOWN")));
    }
    expect![[r#"
        GET /acr/v1/wrong-name/_tags 404
          {"errors":[{"code":"NAME_UNKNOWN","message":"repository \"wrong-name\" is not found"}]}
        GET /acr/v1/wrong-name 404
          {"errors":[{"code":"NAME_UNKNOWN","message":"repository \"wrong-name\" is not found"}]}
        DELETE /acr/v1/wrong-name 404
          {"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"wrong-name"}}]}
        GET /acr/v1/wrong-name/_tags/v1 404
          {"errors":[{"code":"TAG_UNKNOWN","message":"the specified tag does not exist"}]}
        DELETE /acr/v1/app/_tags/v9 404
          {"errors":[{"code":"TAG_UNKNOWN","message":"the specified tag does not exist"}]}
        GET /acr/v1/app/_manifests/UNKNOWN 404
          {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}
        DELETE /v2/app/manifests/UNKNOWN 404
          {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest UNKNOWN is not found"}]}
        GET /v2/app/manifests/v9 404
          {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest tagged by \"v9\" is not found","detail":{"Tag":"v9"}}]}
        GET /v2/app/manifests/UNKNOWN 404
          {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest UNKNOWN is not found","detail":{"Name":"app","Revision":"UNKNOWN"}}]}
        DELETE /v2/app/manifests/v1 405
          {"errors":[{"code":"UNSUPPORTED","message":"A manifest can only be deleted by digest."}]}
        DELETE /v2/app/blobs/UNKNOWN 404
          {"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}
        GET /acr/v1/Upper/_tags 404
          404 page not found
        GET /acr/v1/app/_manifests/wrong-digest 404
          404 page not found
    "#]]
    .assert_eq(&text);
    assert_eq!(w.list("/acr/v1/app/_manifests", "manifests").await.0.len(), 2, "a ghost is listed");
    assert_eq!(w.get(&format!("/v2/app/manifests/{ghost}")).await.status, 404);
    assert_eq!(w.delete(&format!("/v2/app/manifests/{ghost}")).await.status, 404);
}

#[tokio::test]
async fn every_answer_is_stamped_as_the_registry_does() {
    let w = world("repository app\n  image a tags v1");
    let got = w.get("/acr/v1/app").await;
    let all = |name: &str| got.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("strict-transport-security"), ["max-age=31536000; includeSubDomains"; 2]);
    assert_eq!(all("access-control-expose-headers"), ["Docker-Content-Digest", "WWW-Authenticate", "Link", "X-Ms-Correlation-Request-Id"]);
    assert_eq!(all("date"), ["Thu, 01 Jan 2026 00:00:00 GMT"]);
    assert_eq!(all("server"), ["AzureContainerRegistry"]);
    assert_eq!(all("docker-distribution-api-version"), ["registry/2.0"]);
    assert_eq!(all("content-length"), [got.body.len().to_string().as_str()]);
    assert!(all("x-ms-ratelimit-remaining-calls-per-second").is_empty());
    assert_eq!(w.delete("/acr/v1/app/_tags/v1").await.header("x-ms-ratelimit-remaining-calls-per-second"), "8.000000");
}

#[tokio::test]
async fn from_challenge_to_answer() {
    let mut w = world_with(Options::default(), "repository library/hello-world\n  image a tags v1");
    let path = "/acr/v1/library%2Fhello-world/_tags";
    let challenged = w.get(path).await;
    assert_eq!(challenged.status, 401);
    assert_eq!(
        challenged.header("www-authenticate"),
        "Bearer realm=\"https://registry.test/oauth2/token\",service=\"registry.test\",scope=\"repository:library/hello-world:metadata_read\""
    );
    assert_eq!(
        challenged.json()["errors"][0]["detail"],
        json!([{"Type": "repository", "Name": "library/hello-world", "Action": "metadata_read"}])
    );
    let refresh_token = refresh_token(&w, &valid_claims()).await;
    let scope = "repository:library/hello-world:metadata_read";
    let token = access_token(&w, &refresh_token, scope).await;
    w.authorization = Some(format!("Bearer {token}"));
    assert_eq!(w.get(path).await.status, 200);
    let insufficient = w.delete("/acr/v1/library%2Fhello-world/_tags/v1").await;
    assert_eq!(insufficient.status, 401);
    assert!(
        insufficient
            .header("www-authenticate")
            .ends_with("service=\"registry.test\",scope=\"repository:library/hello-world:delete\",error=\"insufficient_scope\"")
    );
    w.seconds.fetch_add(4_500, Ordering::SeqCst);
    assert!(w.get(path).await.header("www-authenticate").ends_with(",error=\"invalid_token\""));
    let token = access_token(&w, &refresh_token, "repository:*:*").await;
    w.authorization = Some(format!("Bearer {token}"));
    assert_eq!(w.delete("/acr/v1/library%2Fhello-world/_tags/v1").await.status, 202, "one token for all repositories");
    w.emulator.revoke_tokens();
    assert_eq!(w.get(path).await.status, 401);
    w.authorization = None;
    assert_eq!(w.get("/v2/").await.json()["errors"][0]["detail"], Value::Null);
    assert!(w.get("/acr/v1/_catalog").await.header("www-authenticate").ends_with(",scope=\"registry:catalog:*\""));
    assert_eq!(w.get("/acr/v1/Upper/_tags").await.status, 404, "what has no route is not challenged");
}

async fn refresh_token(w: &World, claims: &Value) -> String {
    let form = format!("grant_type=access_token&service=registry.test&access_token={}", entra_token(claims));
    w.form("/oauth2/exchange?api-version=2021-07-01", &form).await.json()["refresh_token"].as_str().unwrap().to_owned()
}

async fn access_token(w: &World, refresh_token: &str, scope: &str) -> String {
    let form = format!("grant_type=refresh_token&service=registry.test&scope={scope}&refresh_token={refresh_token}");
    w.form("/oauth2/token", &form).await.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whose_entra_token_is_refused() {
    let identities = [("nobody".to_owned(), Permissions::NONE)].into();
    let w = world_with(Options { identities, ..Options::default() }, "");
    let exchange = async |token: &str| {
        let got = w.form("/oauth2/exchange", &format!("grant_type=access_token&service=registry.test&access_token={token}")).await;
        (got.status, got.body)
    };
    let with = |name: &str, value: Value| {
        let mut claims = valid_claims();
        claims[name] = value;
        entra_token(&claims)
    };
    assert_eq!(exchange(&with("aud", json!("https://management.azure.com/"))).await.0, 200);
    let refused = (401, String::new());
    assert_eq!(exchange("not-a-token").await, refused);
    assert_eq!(exchange(&with("exp", json!(NOW_SECONDS))).await, refused);
    assert_eq!(exchange(&with("aud", json!("https://graph.microsoft.com"))).await, refused);
    let (status, body) = exchange(&with("oid", json!("nobody"))).await;
    assert!(status == 401 && body.contains("CorrelationId"), "{status} {body}");
    let got = w.form("/oauth2/token", "grant_type=refresh_token&service=registry.test&scope=a&refresh_token=x").await;
    assert_eq!((got.status, got.body), refused);
}

#[tokio::test]
async fn tokens_are_granted_what_is_allowed_and_live_their_recorded_time() {
    let identities = [("me".to_owned(), Permissions::READ)].into();
    let w = world_with(Options { identities, ..Options::default() }, "");
    let refresh_token = refresh_token(&w, &valid_claims()).await;
    let token = access_token(&w, &refresh_token, "repository:a:pull,delete%20registry:catalog:*%20repository:b:delete").await;
    let claims =
        |token: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap() };
    assert_eq!(
        claims(&token)["access"],
        json!([{"Type": "repository", "Name": "a", "Actions": ["pull"]}, {"Type": "registry", "Name": "catalog", "Actions": ["*"]}])
    );
    assert_eq!(claims(&token)["exp"], NOW_SECONDS + 4_500);
    assert_eq!(claims(&refresh_token)["exp"], NOW_SECONDS + 11_700);
    assert_eq!(claims(&refresh_token)["permissions"], json!({"Actions": ["read", "metadata/read"], "NotActions": null}));
}

#[tokio::test]
async fn passwords_and_nobody() {
    let team = Credential {
        user: "team".to_owned(),
        password: "secret".to_owned(),
        permissions: Permissions::ALL,
        repositories: Some(vec!["team/*".to_owned()]),
    };
    let options = Options { credentials: vec![team], anonymous_pull: true, ..Options::default() };
    let mut w = world_with(options, "repository team/a\n  image a tags v1\nrepository other\n  image a tags v1");
    let basic = |user: &str, password: &str| Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    w.authorization = basic("team", "secret");
    assert_eq!(w.get("/acr/v1/team/a/_tags").await.status, 200, "a password goes with every request");
    assert_eq!(w.get("/acr/v1/other/_tags").await.status, 401);
    assert_eq!(w.get("/acr/v1/_catalog").await.status, 401, "a scope map never lists the catalog");
    let got = w.get("/oauth2/token?service=registry.test&scope=repository:team/a:delete").await;
    w.authorization = Some(format!("Bearer {}", got.json()["access_token"].as_str().unwrap()));
    assert_eq!(w.delete("/acr/v1/team/a/_tags/v1").await.status, 202, "or is turned into a token");
    w.authorization = basic("team", "wrong");
    assert_eq!(w.get("/acr/v1/team/a/_tags").await.status, 401);
    w.authorization = None;
    assert_eq!(w.get("/acr/v1/other/_tags").await.status, 401, "anonymous clients need a token too");
    let got = w.form("/oauth2/token", "service=registry.test&scope=repository%3Aother%3A*&refresh_token=&grant_type=password").await;
    w.authorization = Some(format!("Bearer {}", got.json()["access_token"].as_str().unwrap()));
    assert_eq!(w.get("/acr/v1/other/_tags").await.status, 200);
    assert_eq!(w.delete("/acr/v1/other").await.status, 401);
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
    assert_eq!(w.get(&format!("/v2/app/blobs/{}", Digest::of(b"layer"))).await.body, "layer");
}

#[tokio::test]
async fn drawn_images_can_be_pulled_and_their_digests_are_right() {
    let w = world(
        "repository app\n  image a tags v1 label team=\"a b\"\n  index rel tags 1.0 platforms linux/arm/v7 docker\n  repeat 2 n image r-{n} tags r{n:02}",
    );
    for reference in ["v1", "1.0", "r02"] {
        let got = w.get(&format!("/v2/app/manifests/{reference}")).await;
        assert_eq!(got.header("docker-content-digest"), Digest::of(got.body.as_bytes()).to_string());
        for blob in got.json()["layers"].as_array().into_iter().flatten().chain(got.json().get("config")) {
            let path = format!("/v2/app/blobs/{}", blob["digest"].as_str().unwrap());
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let bytes = to_bytes(w.emulator.router().oneshot(request).await.unwrap().into_body(), usize::MAX).await.unwrap();
            assert_eq!(Digest::of(&bytes).to_string(), blob["digest"].as_str().unwrap());
            assert_eq!(bytes.len() as u64, blob["size"].as_u64().unwrap());
        }
    }
    let again = world("repository app\n  image a tags other age 3d label team=\"a b\"");
    assert_eq!(again.digest("a"), w.digest("a"), "tags and ages do not change the bytes");
}

#[tokio::test]
async fn referrers_are_listed_and_filtered() {
    let w = world(
        "repository app\n  image a tags v1\n  artifact sig subject a type application/vnd.sig annotation k=v\n  artifact sbom subject a type application/spdx",
    );
    let subject = w.digest("a");
    let all = w.get(&format!("/v2/app/referrers/{subject}")).await;
    assert_eq!((all.header("content-type"), all.header("oci-filters-applied")), (OCI_INDEX, ""));
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 2);
    let some = w.get(&format!("/v2/app/referrers/{subject}?artifactType=application%2Fvnd.sig")).await;
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    let [found] = some.json()["manifests"].as_array().unwrap().clone().try_into().unwrap();
    assert_eq!((&found["digest"], &found["annotations"]["k"]), (&json!(w.digest("sig").to_string()), &json!("v")));
    let none = w.get(&format!("/v2/app/referrers/{}", w.digest("sig"))).await;
    assert_eq!(none.body, format!("{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[]}}\n"));
}

#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let w = world("repository app\n  image a tags v1, v2, v3");
    let tag = |tag: &str| format!("/acr/v1/app/_tags/{tag}");
    w.emulator.inject(Fault::once(Method::DELETE, "/_tags/v1", Failure::DropBeforeEffect));
    w.emulator.inject(Fault::once(Method::DELETE, "/_tags/v2", Failure::DropAfterEffect));
    let throttled = retaind::emulator::Response {
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

/// The drawing in the documentation, all of it.
#[test]
fn the_documented_drawing_draws_what_it_says() {
    let documentation = include_str!("../../docs/emulator.md");
    let (_, drawing) = documentation.split_once("```registry\n").unwrap();
    let (drawing, _) = drawing.split_once("```").unwrap();
    let rendered = world(drawing).emulator.render();
    let few: Vec<&str> = rendered.lines().filter(|line| !line.contains("pr-image-") || line.contains("pr-image-9 ")).collect();
    expect![[r#"
        repository team-1/api
          build-1 tags build-1-1
          build-2 tags build-1-2
          build-3 tags build-1-3
          build-4 tags build-1-4
          build-5 tags build-1-5
        repository team-2/api
          build-1 tags build-2-1
          build-2 tags build-2-2
          build-3 tags build-2-3
          build-4 tags build-2-4
          build-5 tags build-2-5
        repository team-3/api
          build-1 tags build-3-1
          build-2 tags build-3-2
          build-3 tags build-3-3
          build-4 tags build-3-4
          build-5 tags build-3-5
        repository team-a/web
          at-noon tags noon
          chart tags chart-1
          cos-1 tags sha256-c590b9a9df8927c9ccca7aa5b303e6c407f04b6c1ee2e9227148fd922e70bdea.sig
          lost ghost tags ghostly
          many tags many-0, many-1, many-10, many-11, many-12, many-2, many-3, many-4, many-5, many-6, many-7, many-8, many-9
          old untagged
          pr-image-9 tags pr-009
          rel-2 of rel-2/linux/amd64, rel-2/linux/arm64 tags 2.0
          rel-2/linux/amd64 untagged
          rel-2/linux/arm64 untagged
          rel-3 of web-1, rel-2/linux/amd64 tags 3.0
          sig-2 subject rel-2 untagged
          web-1 tags latest, v1.0.0 (locked delete)
          web-2 locked write tags pr-7
          web-3 tags arm
    "#]]
    .assert_eq(&(few.join("\n") + "\n"));
    assert_eq!(Emulator::now_of(drawing), Ok(Some(Timestamp::from_second(NOW_SECONDS).unwrap())));
}
