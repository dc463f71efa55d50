//! Drawn registries: the documented example, and bytes that can be pulled.

use axum::body::{Body, to_bytes};
use expect_test::expect;
use http::Request;
use jiff::Timestamp;
use retaind::emulator::{Digest, Emulator};
use tower::ServiceExt as _;

use super::{NOW_SECONDS, world};

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
            let sent = w.get(&path).await;
            let request = Request::builder().uri(sent.header("location")).body(Body::empty()).unwrap();
            let bytes = to_bytes(w.emulator.router().oneshot(request).await.unwrap().into_body(), usize::MAX).await.unwrap();
            assert_eq!(Digest::of(&bytes).to_string(), blob["digest"].as_str().unwrap());
            assert_eq!(bytes.len() as u64, blob["size"].as_u64().unwrap());
        }
    }
    let again = world("repository app\n  image a tags other age 3d label team=\"a b\"");
    assert_eq!(again.digest("a"), w.digest("a"), "tags and ages do not change the bytes");
}

/// The drawing in the documentation, all of it.
#[test]
fn the_documented_drawing_draws_what_it_says() {
    let documentation = include_str!("../../../docs/emulator.md");
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
          orphan subject gone:111111111111 untagged
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
