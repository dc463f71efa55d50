//! Reading: listings and their pages, properties, referrers, headers, error shapes.

use axum::body::Body;
use expect_test::expect;
use http::Method;
use retaind::emulator::{Listing, OCI_INDEX, Options};
use serde_json::{Value, json};

use super::{world, world_with};

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
    let (manifests, pages) = world.list("/acr/v1/app/_manifests?n=1000", "manifests").await;
    let digests: Vec<&str> = manifests.iter().rev().map(|manifest| manifest["digest"].as_str().unwrap()).collect();
    assert_eq!((digests.len(), pages), (7, 3));
    assert!(digests.is_sorted());
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
