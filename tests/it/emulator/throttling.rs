//! How much is let through, and what is told to those who ask too much.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use retaind::emulator::{Allowance, Credential, Options, Permissions, Sku, Throttle};

use super::{World, world_with};

const REMAINING: &str = "x-ms-ratelimit-remaining-calls-per-second";

fn throttled(throttle: Throttle) -> World {
    let user =
        |user: &str| Credential { user: user.to_owned(), password: "secret".to_owned(), permissions: Permissions::ALL, repositories: None };
    let options = Options { throttle: Some(throttle), credentials: vec![user("one"), user("two")], ..Options::default() };
    let mut w = world_with(options, "repository app\n  image a\n  repeat 9 n tag t-{n}");
    w.authorization = basic("one");
    w
}

fn basic(user: &str) -> Option<String> {
    Some(format!("Basic {}", STANDARD.encode(format!("{user}:secret"))))
}

#[tokio::test]
async fn deletions_run_out_for_one_identity_and_come_back() {
    let delete = Allowance { registry: 1_000, identity: Some(3) };
    let mut w = throttled(Throttle { delete, ..Throttle::of(Sku::Standard) });
    for tag in 1..=3 {
        let got = w.delete(&format!("/acr/v1/app/_tags/t-{tag}")).await;
        assert_eq!((got.status, got.header(REMAINING)), (202, "0.000000"));
    }
    let untag = "/acr/v1/app/_tags/t-4";
    let refused = w.delete(untag).await;
    assert_eq!((refused.status, refused.header("retry-after"), refused.header(REMAINING)), (429, "60", ""));
    assert_eq!(refused.json()["errors"][0]["code"], "TOOMANYREQUESTS");
    assert_eq!(w.get(untag).await.status, 200, "reads have a limit of their own, and the tag is there");
    w.seconds.fetch_add(10, Ordering::SeqCst);
    assert_eq!(w.delete(untag).await.header("retry-after"), "50");
    w.authorization = basic("two");
    assert_eq!(w.delete(untag).await.status, 202, "another identity");
    w.authorization = basic("one");
    w.seconds.fetch_add(50, Ordering::SeqCst);
    assert_eq!(w.delete("/acr/v1/app/_tags/t-5").await.status, 202);
}

#[tokio::test]
async fn each_tier_lets_through_what_is_documented() {
    for (sku, reads, deletions, referrers) in [(Sku::Basic, 5_000, 500, 250), (Sku::Premium, 10_000, 2_000, 1_000)] {
        let w = throttled(Throttle::of(sku));
        let list = format!("/v2/app/referrers/{}", w.digest("a"));
        for _ in 0..referrers {
            assert_eq!(w.get(&list).await.status, 200);
        }
        assert_eq!(w.get(&list).await.status, 429);
        for _ in referrers..reads {
            assert_eq!(w.get("/v2/").await.status, 200, "referrers counted as reads too");
        }
        assert_eq!(w.get("/v2/").await.status, 429);
        for _ in 0..deletions {
            assert_eq!(w.delete("/acr/v1/app/_tags/no").await.status, 404);
        }
        assert_eq!(w.delete("/acr/v1/app/_tags/no").await.status, 429);
        assert_eq!(w.patch("/acr/v1/app", "{}").await.status, 200);
    }
}

#[tokio::test]
async fn the_token_service_counts_for_everybody_and_refusals_count_for_nobody() {
    let token = Allowance { registry: 120, identity: None };
    let read = Allowance { registry: 1, identity: Some(1) };
    let mut w = throttled(Throttle { token, read, wait: SignedDuration::ZERO, explained: false, ..Throttle::of(Sku::Standard) });
    assert_eq!(w.get("/oauth2/token?service=registry.test&scope=a").await.header(REMAINING), "1.983333");
    w.authorization = None;
    for _ in 0..3 {
        assert_eq!(w.get("/v2/").await.status, 401, "who has no right is not counted");
    }
    w.authorization = basic("one");
    assert_eq!(w.get("/v2/").await.status, 200);
    let refused = w.get("/v2/").await;
    assert_eq!((refused.status, refused.header("retry-after"), refused.body.as_str()), (429, "60", ""), "one call a minute flows in");
    w.authorization = None;
    let ask = async |w: &World| w.form("/oauth2/exchange", "").await;
    for _ in 1..120 {
        assert_eq!(ask(&w).await.status, 400);
    }
    let refused = ask(&w).await;
    assert_eq!((refused.status, refused.header("retry-after"), refused.header(REMAINING)), (429, "1", ""));
}
