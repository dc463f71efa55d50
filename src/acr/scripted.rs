//! The client against a registry that answers from a script: what it sends, how often, and what it makes of the answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use jiff::Timestamp;
use tokio::time::Instant;

use super::transport::{Body, Delivery, Transport, TransportError, TransportErrorKind};
use super::{Client, ClientOptions, Credential, Deleted, Endpoint, Error, Failure, Operation, Order, Secret};
use crate::clock::Clock;
use crate::model::{Digest, LockChange, RegistryName, RepositoryName, TagName};

const PASSWORD: &str = "hunter2";
const TOKEN: &str = "issued-token";
/// An access token that says nothing about itself.
const TOKEN_BODY: &str = r#"{"access_token":"issued-token"}"#;
const CHALLENGE: &str =
    r#"Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io",scope="repository:a:pull,delete""#;

/// One answer of the script.
enum Answer {
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    Fails(TransportErrorKind, Delivery),
    Endless,
    Hangs,
}
use Answer::{Endless, Fails, Hangs, Status};

/// Answers token requests by itself and everything else from the script, whose last answer repeats for ever.
struct Script {
    answers: Mutex<Vec<Answer>>,
    requests: Mutex<Vec<(Instant, String)>>,
    tokens: Mutex<u32>,
}

#[async_trait::async_trait]
impl Transport for Script {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, TransportError> {
        assert_eq!(request.uri().authority().map(|authority| authority.as_str()), Some("contoso.azurecr.io"), "credentials stay home");
        assert!(request.headers()["authorization"].is_sensitive());
        if request.uri().path() == "/oauth2/token" {
            *self.tokens.lock().unwrap() += 1;
            return Ok(Response::new(Body::from_bytes(TOKEN_BODY)));
        }
        let line = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
        self.requests.lock().unwrap().push((Instant::now(), line));
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() == 1 { None } else { Some(answers.remove(0)) }
        };
        match answer.as_ref() {
            Some(answer) => answer.give().await,
            None => {
                let last = self.answers.lock().unwrap().remove(0);
                let given = last.give_now();
                self.answers.lock().unwrap().push(last);
                match given {
                    Some(given) => given,
                    None => std::future::pending().await,
                }
            }
        }
    }
}

impl Answer {
    async fn give(&self) -> Result<Response<Body>, TransportError> {
        match self.give_now() {
            Some(given) => given,
            None => std::future::pending().await,
        }
    }

    fn give_now(&self) -> Option<Result<Response<Body>, TransportError>> {
        Some(match self {
            Status(status, headers, body) => {
                let mut response = Response::builder().status(*status);
                for (name, value) in *headers {
                    response = response.header(*name, *value);
                }
                Ok(response.body(Body::from_bytes(*body)).unwrap())
            }
            Fails(kind, delivery) => Err(TransportError { kind: *kind, delivery: *delivery, sentence: "the line is cut".to_owned() }),
            Endless => Ok(Response::new(Body::from_stream(stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])))))),
            Hangs => return None,
        })
    }
}

struct Bench {
    script: Arc<Script>,
    client: Client,
    repository: RepositoryName,
    digest: Digest,
}

impl Bench {
    fn new(answers: Vec<Answer>) -> Self {
        let script = Arc::new(Script { answers: Mutex::new(answers), requests: Mutex::default(), tokens: Mutex::default() });
        let now: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let client = Client::new(ClientOptions {
            registry: RegistryName::parse("contoso").unwrap(),
            endpoint: Endpoint::parse("https://contoso.azurecr.io").unwrap(),
            transport: script.clone(),
            credential: Credential::Basic { user: "u".to_owned(), password: Secret::new(PASSWORD) },
            clock: Clock::new(move || now),
            apply_credential: None,
            budget: super::Budget::unlimited(),
            jitter_seed: 7,
        });
        Self { script, client, repository: RepositoryName::parse("a").unwrap(), digest: Digest::of(b"x") }
    }

    async fn delete(&self) -> Result<Deleted, Failure> {
        self.client.delete_manifest(&self.repository, self.digest).await.map_err(harmless)
    }

    async fn read(&self) -> Result<(), Failure> {
        self.client.get_manifest_properties(&self.repository, self.digest).await.map(|_| ()).map_err(harmless)
    }

    fn requests(&self) -> usize {
        self.script.requests.lock().unwrap().len()
    }

    fn lines(&self) -> Vec<String> {
        self.script.requests.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }

    fn tokens(&self) -> u32 {
        *self.script.tokens.lock().unwrap()
    }
}

/// The failure of an error that gives nothing away.
fn harmless(error: Error) -> Failure {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(TOKEN), "{shown}");
    error.failure
}

const GONE: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest sha256:… is not found"}]}"#;
const LOCKED: &str = r#"{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"The operation is disallowed","detail":{}}]}"#;
const BY_TAG: &str = r#"{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported.","detail":{}}]}"#;

#[tokio::test(start_paused = true)]
async fn a_delete_means_what_acr_says_and_nothing_else() {
    let outcome = async |answer| Bench::new(vec![answer]).delete().await;
    assert_eq!(outcome(Status(202, &[], "")).await, Ok(Deleted::Done));
    assert_eq!(outcome(Status(404, &[], GONE)).await, Ok(Deleted::Absent));
    assert_eq!(outcome(Status(405, &[], LOCKED)).await, Err(Failure::Locked));
    assert!(matches!(outcome(Status(405, &[], BY_TAG)).await, Err(Failure::Unsupported { .. })));
    assert!(matches!(outcome(Status(404, &[], "404 page not found\n")).await, Err(Failure::Protocol { .. })), "a route, not a manifest");
    assert!(matches!(outcome(Status(200, &[], GONE)).await, Err(Failure::OutcomeUnknown { .. })));
    assert!(matches!(outcome(Status(409, &[], "")).await, Err(Failure::Protocol { .. })));
    assert!(matches!(
        outcome(Status(403, &[], r#"{"errors":[{"code":"DENIED","message":"client with IP"}]}"#)).await,
        Err(Failure::Denied { .. })
    ));
    assert!(matches!(outcome(Status(307, &[("location", "https://evil.example/")], "")).await, Err(Failure::Hostile { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_may_have_happened_is_not_repeated() {
    for answer in [
        Fails(TransportErrorKind::Other, Delivery::Unknown),
        Status(500, &[], ""),
        Status(502, &[], "<html>bad gateway</html>"),
        Status(503, &[], ""),
        Hangs,
    ] {
        let bench = Bench::new(vec![answer]);
        assert!(matches!(bench.delete().await, Err(Failure::OutcomeUnknown { .. })));
        assert_eq!(bench.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_did_not_happen_is_repeated() {
    for answer in [
        Fails(TransportErrorKind::Refused, Delivery::NotSent),
        Status(429, &[("retry-after", "7")], ""),
        Status(429, &[], ""),
        Status(503, &[("retry-after", "7")], ""),
    ] {
        let bench = Bench::new(vec![answer, Status(202, &[], "")]);
        assert_eq!(bench.delete().await, Ok(Deleted::Done));
        assert_eq!(bench.requests(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn reads_are_repeated_within_bounds() {
    let cases = [
        (Status(429, &[("retry-after", "1000000000")], ""), 8),
        (Status(503, &[("retry-after", "-3")], ""), 8),
        (Status(502, &[], "<html>bad gateway</html>"), 8),
        (Fails(TransportErrorKind::Other, Delivery::Unknown), 4),
        (Fails(TransportErrorKind::UnknownHost, Delivery::NotSent), 4),
        (Fails(TransportErrorKind::Untrusted, Delivery::NotSent), 1),
        (Hangs, 4),
    ];
    for (answer, requests) in cases {
        let throttled = matches!(answer, Status(429, ..));
        let bench = Bench::new(vec![answer]);
        let start = Instant::now();
        let failure = bench.read().await.expect_err("it never works");
        assert!(if throttled { failure == Failure::Throttled { attempts: 8 } } else { matches!(failure, Failure::Unreachable { .. }) });
        assert_eq!(bench.requests(), requests);
        assert!(start.elapsed() < Duration::from_secs(20 * 60), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn one_throttled_delete_makes_the_others_wait_and_no_read() {
    let bench = Bench::new(vec![Status(429, &[("retry-after", "60")], ""), Status(202, &[], "")]);
    let start = Instant::now();
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let read = bench.read();
        let deletes = futures::future::join_all((0..8).map(|_| bench.delete()));
        futures::join!(read, deletes)
    };
    let (first, (_, deletes)) = futures::join!(bench.delete(), others);
    assert!(first == Ok(Deleted::Done) && deletes.iter().all(|deleted| *deleted == Ok(Deleted::Done)));
    let early: Vec<String> = {
        let requests = bench.script.requests.lock().unwrap();
        let before_the_end = requests.iter().filter(|(at, _)| at.duration_since(start) < Duration::from_secs(60));
        before_the_end.map(|(_, line)| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(early, ["DELETE", "GET"]);
    assert_eq!(bench.client.stats().attempts[&(Operation::DeleteManifest, Some(429))], 1);
    assert_eq!(bench.client.stats().retries, 1);
}

#[tokio::test(start_paused = true)]
async fn the_retry_budget_is_shared_by_all_requests() {
    let bench = Bench::new(vec![Status(502, &[], "")]);
    let all = futures::future::join_all((0..100).map(|_| bench.read())).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(bench.requests(), 100 + 100, "a first attempt each, and a hundred retries for all");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let bench = Bench::new(vec![Status(401, &[("www-authenticate", CHALLENGE)], ""), Status(202, &[], "")]);
    assert_eq!(bench.delete().await, Ok(Deleted::Done));
    assert_eq!((bench.requests(), bench.tokens()), (2, 2));

    let bench = Bench::new(vec![Status(401, &[("www-authenticate", CHALLENGE)], "")]);
    assert!(matches!(bench.delete().await, Err(Failure::Unauthorized { .. })));
    assert_eq!((bench.requests(), bench.tokens()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_not_asked_for_again() {
    let bench = Bench::new(vec![Status(401, &[("www-authenticate", LACKING)], "")]);
    let Err(Failure::Forbidden { missing }) = bench.delete().await else { panic!("it is forbidden") };
    assert_eq!(missing.to_string(), "the permission delete on repository a");
    assert_eq!((bench.requests(), bench.tokens()), (1, 1));
}

const LACKING: &str = r#"Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io",scope="repository:a:delete",error="insufficient_scope""#;

#[tokio::test(start_paused = true)]
async fn a_hostile_challenge_gets_no_token() {
    const REALM: &str = r#"Bearer realm="https://evil.example/oauth2/token",service="contoso.azurecr.io""#;
    let bench = Bench::new(vec![Status(401, &[("www-authenticate", REALM)], "")]);
    assert!(matches!(bench.read().await, Err(Failure::Hostile { .. })));
    assert_eq!((bench.requests(), bench.tokens()), (1, 1), "the one token it had before");
}

#[tokio::test(start_paused = true)]
async fn an_answer_beyond_its_bound_or_cut_short_is_an_error() {
    let bench = Bench::new(vec![Endless]);
    assert!(matches!(bench.read().await, Err(Failure::Protocol { .. })));
    let listing = bench.client.list_manifests(&bench.repository, Order::Name, 1000).all().await;
    assert!(matches!(listing.map_err(harmless), Err(Failure::Protocol { .. })));
    for body in ["", "<html>please log in</html>", r#"{"manifest":{"digest":"sha"#, r#"{"manifests":null}"#, "{}"] {
        let bench = Bench::new(vec![Status(200, &[], body)]);
        assert!(matches!(bench.read().await, Err(Failure::Protocol { .. })), "{body}");
        let mut listing = bench.client.list_manifests(&bench.repository, Order::Name, 1000);
        assert!(listing.next_page().await.is_err(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_is_unreadable_may_have_happened() {
    let bench = Bench::new(vec![Status(200, &[], "<html>")]);
    let tag = TagName::parse("1").unwrap();
    let change = LockChange { can_delete: Some(false), ..LockChange::default() };
    let changed = bench.client.update_tag(&bench.repository, &tag, change).await;
    assert!(matches!(changed.map_err(harmless), Err(Failure::OutcomeUnknown { .. })));
    assert_eq!(bench.lines(), ["PATCH /acr/v1/a/_tags/1"]);
    assert_eq!(super::client::lock_change_body(change), r#"{"deleteEnabled":false}"#);
}

#[tokio::test(start_paused = true)]
async fn a_listing_is_followed_by_the_query_of_its_link() {
    const FIRST: &[(&str, &str)] = &[("link", r#"</acr/v1/_catalog?last=b&n=2&orderby=>; rel="next""#)];
    const EMPTY: &[(&str, &str)] = &[("link", r#"</acr/v1/_catalog?last=c&n=2&orderby=>; rel="next""#)];
    let bench = Bench::new(vec![
        Status(200, FIRST, r#"{"repositories":["a","b"]}"#),
        Status(502, &[], ""),
        Status(200, EMPTY, r#"{"repositories":[]}"#),
        Status(200, &[], r#"{"repositories":["d"]}"#),
    ]);
    // Spawned: the future of a listing can be sent to another thread.
    let names = tokio::spawn(bench.client.list_repositories(2).all()).await.unwrap().unwrap();
    assert_eq!(names.iter().map(RepositoryName::as_str).collect::<Vec<_>>(), ["a", "b", "d"]);
    let lines = bench.lines();
    assert_eq!(lines[0], "GET /acr/v1/_catalog?n=2");
    assert_eq!(lines[1], "GET /acr/v1/_catalog?last=b&n=2&orderby=");
    assert_eq!(lines[1], lines[2], "the same page again after a failure");
    assert_eq!(lines[3], "GET /acr/v1/_catalog?last=c&n=2&orderby=");
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_loops_is_incomplete() {
    const LINK: &[(&str, &str)] = &[("link", r#"</acr/v1/_catalog?last=b&n=2&orderby=>; rel="next""#)];
    let bench = Bench::new(vec![Status(200, LINK, r#"{"repositories":["a","b"]}"#)]);
    assert!(matches!(bench.client.list_repositories(2).all().await.map_err(harmless), Err(Failure::Protocol { .. })));
    assert_eq!(bench.requests(), 2);
    let bench = Bench::new(vec![Status(200, LINK, r#"{"repositories":[]}"#)]);
    assert!(bench.client.list_repositories(2).all().await.is_err());
    assert_eq!(bench.requests(), 2, "the same page twice");
}

#[tokio::test(start_paused = true)]
async fn the_registry_tells_its_clock() {
    const DATE: &[(&str, &str)] = &[("date", "Mon, 02 Mar 2026 12:10:00 GMT"), ("x-ms-ratelimit-remaining-calls-per-second", "8.000000")];
    let bench = Bench::new(vec![Status(202, DATE, "")]);
    assert_eq!(bench.client.clock_offset(), None);
    assert_eq!(bench.delete().await, Ok(Deleted::Done));
    assert_eq!(bench.client.clock_offset().map(|offset| offset.as_secs()), Some(600));
    assert_eq!(bench.client.stats().remaining_deletes_per_second, Some(8.0));
}
