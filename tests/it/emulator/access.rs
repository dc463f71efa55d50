//! From challenge to token to answer, and who is refused.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use retaind::emulator::{Credential, Options, Permissions};
use serde_json::{Value, json};

use super::{NOW_SECONDS, World, entra_token, valid_claims, world_with};

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

pub(super) async fn refresh_token(w: &World, claims: &Value) -> String {
    let form = format!("grant_type=access_token&service=registry.test&access_token={}", entra_token(claims));
    w.form("/oauth2/exchange?api-version=2021-07-01", &form).await.json()["refresh_token"].as_str().unwrap().to_owned()
}

pub(super) async fn access_token(w: &World, refresh_token: &str, scope: &str) -> String {
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

/// What a token says.
pub(super) fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_are_granted_what_is_allowed_and_live_their_recorded_time() {
    let identities = [("me".to_owned(), Permissions::READ)].into();
    let w = world_with(Options { identities, ..Options::default() }, "");
    let refresh_token = refresh_token(&w, &valid_claims()).await;
    let token = access_token(&w, &refresh_token, "repository:a:pull,delete%20registry:catalog:*%20repository:b:delete").await;
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
