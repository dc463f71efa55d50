//! The client against the emulator: neither knows the other, so that what both agree on is what ACR was seen to do.

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use retaind::acr::{Client, Credential, Deleted, Error, Failure, Operation, Order, PAGE_SIZE_MAX, Pages, Secret, TagProperties};
use retaind::emulator::{self, Credential as User, Failure as Broken, Fault, Options, Permissions, Response};
use retaind::model::{Digest, LockChange, MediaType, RepositoryName, TagName};
use tokio::time::Instant;

use crate::support::{Bench, entra};

const WEB: &str = "
repository team/web
  image old tags 1.0, 1.0.1 age 40d
  image new tags latest age 1d
  index multi tags 2.0 age 2d platforms linux/amd64, linux/arm64
  image loose untagged age 9d
repository other
  image a tags a age 3d
";

fn web() -> RepositoryName {
    RepositoryName::parse("team/web").expect("a name")
}

fn tag(name: &str) -> TagName {
    TagName::parse(name).expect("a tag")
}

async fn digest_of(client: &Client, name: &str) -> Digest {
    client.get_tag(&web(), &tag(name)).await.expect("the tag").digest
}

fn failure<T>(result: Result<T, Error>) -> Failure {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.failure,
    }
}

/// An answer on order.
fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Broken {
    let headers = headers.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)));
    let headers: HeaderMap = headers.collect();
    Broken::Respond(Response { status: StatusCode::from_u16(status).expect("a status"), headers, body: body.to_owned() })
}

async fn names(mut pages: Pages<TagProperties>) -> (Vec<String>, usize) {
    let (mut names, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next_page().await.expect("a page") {
        names.extend(page.iter().map(|tag| tag.name.to_string()));
        count += 1;
    }
    (names, count)
}

#[tokio::test]
async fn every_page_is_read_in_every_order() {
    let bench = Bench::new("repository team/web\n  repeat 2500 n image i{n} tags t{n} age {n}m\n");
    let manifests = bench.client.list_manifests(&web(), Order::Name, PAGE_SIZE_MAX).all().await.expect("all manifests");
    assert_eq!((manifests.len(), bench.asked("GET", "/acr/v1/{name}/_manifests")), (2500, 3));
    let (by_name, pages) = names(bench.client.list_tags(&web(), Order::Name, PAGE_SIZE_MAX)).await;
    assert_eq!((by_name.len(), pages), (2500, 3));
    assert!(by_name.is_sorted());
    let (newest, pages) = names(bench.client.list_tags(&web(), Order::NewestFirst, 700)).await;
    assert_eq!((newest.len(), pages), (2500, 4));
    let (mut oldest, _) = names(bench.client.list_tags(&web(), Order::OldestFirst, 700)).await;
    oldest.reverse();
    assert!(newest == oldest && newest != by_name, "times differ by a minute each, so that one order is the other backwards");
}

#[tokio::test]
async fn a_catalog_of_many_pages_is_read_with_two_token_requests() {
    let bench = Bench::new("repeat 25 n repository r{n}\n  image a tags a age 1d\n");
    let repositories = bench.client.list_repositories(10).all().await.expect("all repositories");
    assert_eq!(repositories.len(), 25);
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (1, 1));
    let empty = Bench::new("");
    assert_eq!(empty.client.list_repositories(10).all().await, Ok(vec![]));
}

#[tokio::test]
async fn properties_and_documents_are_what_was_drawn() {
    let Bench { client, .. } = Bench::new(WEB);
    let properties = client.get_repository(&web()).await.expect("the repository");
    assert_eq!((properties.manifest_count, properties.tag_count), (Some(6), Some(4)));
    let index = digest_of(&client, "2.0").await;
    let properties = client.get_manifest_properties(&web(), index).await.expect("its properties");
    assert_eq!(properties.references.map(|references| references.len()), Some(2));
    assert_eq!(properties.tags, [tag("2.0")]);
    let document = client.get_manifest(&web(), index).await.expect("its document");
    assert_eq!((document.media_type, document.subject), (MediaType::OciIndex, None));
    let platforms: Vec<_> = document.children.iter().filter_map(|child| child.platform.as_deref()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let child = client.get_manifest(&web(), document.children[0].digest).await.expect("a child");
    let config = child.config.expect("its config").digest;
    let blob = client.get_blob(&web(), config).await.expect("the blob");
    assert_eq!(Digest::of(&blob), config);
}

#[tokio::test]
async fn deleting_removes_the_manifest_and_untagging_leaves_it() {
    let Bench { client, .. } = Bench::new(WEB);
    let old = digest_of(&client, "1.0").await;
    assert_eq!(client.delete_tag(&web(), &tag("1.0")).await, Ok(Deleted::Done));
    assert_eq!(client.delete_tag(&web(), &tag("1.0")).await, Ok(Deleted::Absent));
    assert_eq!(digest_of(&client, "1.0.1").await, old);
    assert_eq!(client.delete_manifest(&web(), old).await, Ok(Deleted::Done));
    assert_eq!(client.delete_manifest(&web(), old).await, Ok(Deleted::Absent));
    assert_eq!(failure(client.get_tag(&web(), &tag("1.0.1")).await), Failure::NotFound);
    assert_eq!(failure(client.get_manifest(&web(), old).await), Failure::NotFound);
}

#[tokio::test]
async fn a_lock_refuses_until_it_is_opened() {
    let Bench { client, .. } = Bench::new(WEB);
    let new = digest_of(&client, "latest").await;
    let closed = LockChange { can_write: Some(false), ..LockChange::default() };
    let locks = client.update_manifest(&web(), new, closed).await.expect("a lock").locks;
    assert!(!locks.can_write && locks.can_delete);
    assert_eq!(failure(client.delete_manifest(&web(), new).await), Failure::Locked);
    let open = LockChange { can_write: Some(true), ..LockChange::default() };
    assert!(!client.update_manifest(&web(), new, open).await.expect("no lock").locks.protects());
    assert_eq!(client.delete_manifest(&web(), new).await, Ok(Deleted::Done));

    let closed = LockChange { can_delete: Some(false), ..LockChange::default() };
    assert!(client.update_tag(&web(), &tag("1.0"), closed).await.expect("a lock").locks.protects());
    assert_eq!(failure(client.delete_tag(&web(), &tag("1.0")).await), Failure::Locked);
    assert!(client.update_repository(&web(), closed).await.expect("a lock").locks.protects());
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the test of the very method")]
async fn a_repository_goes_with_everything_in_it() {
    let Bench { client, .. } = Bench::new(WEB);
    let (deleted, what) = client.delete_repository(&web()).await.expect("deleted");
    assert_eq!((deleted, what.manifests.len(), what.tags.len()), (Deleted::Done, 6, 4));
    assert_eq!(client.delete_repository(&web()).await.map(|(deleted, _)| deleted), Ok(Deleted::Absent));
}

#[tokio::test]
async fn anonymous_reads_and_no_more() {
    let open = Options { anonymous_pull: true, ..Options::default() };
    let Bench { client, .. } = Bench::with(WEB, open, Credential::Anonymous);
    assert_eq!(client.list_repositories(100).all().await.map(|names| names.len()), Ok(2));
    let old = digest_of(&client, "1.0").await;
    assert!(client.get_manifest(&web(), old).await.is_ok());
    let error = client.delete_manifest(&web(), old).await.expect_err("nobody may delete");
    assert!(error.to_string().contains("lacks the permission delete on repository team/web"), "{error}");

    let closed = Bench::with(WEB, Options::default(), Credential::Anonymous);
    assert!(matches!(failure(closed.client.get_tag(&web(), &tag("1.0")).await), Failure::Unauthorized { .. }));
}

#[tokio::test]
async fn a_scope_map_reads_its_repositories_without_the_catalog() {
    let user = User {
        user: "reader".to_owned(),
        password: "p&ss:w=rd".to_owned(),
        permissions: Permissions::READ,
        repositories: Some(vec!["team/*".to_owned()]),
    };
    let basic = |password: &str| Credential::Basic { user: "reader".to_owned(), password: Secret::new(password) };
    let options = Options { credentials: vec![user], ..Options::default() };
    let Bench { client, .. } = Bench::with(WEB, options.clone(), basic("p&ss:w=rd"));
    assert_eq!(client.list_tags(&web(), Order::Name, 100).all().await.map(|tags| tags.len()), Ok(4));
    let error = client.list_repositories(100).all().await.expect_err("no catalog");
    assert!(error.to_string().contains("lacks the permission to list the repositories"), "{error}");
    let other = RepositoryName::parse("other").expect("a name");
    let Failure::Forbidden { missing } = failure(client.list_manifests(&other, Order::Name, 100).all().await) else {
        panic!("it is forbidden")
    };
    assert_eq!(missing.to_string(), "the permission pull and metadata_read on repository other");

    let wrong = Bench::with(WEB, options, basic("wrong"));
    let error = wrong.client.list_tags(&web(), Order::Name, 100).all().await.expect_err("a wrong password");
    assert!(matches!(error.failure, Failure::Unauthorized { .. }) && !format!("{error:?}").contains("wrong\""), "{error:?}");
}

#[tokio::test]
async fn a_missing_permission_is_named_and_asked_for_once() {
    let identities = [("reader", Permissions::READ), ("nobody", Permissions::NONE)];
    let identities = identities.into_iter().map(|(name, permissions)| (name.to_owned(), permissions)).collect();
    let options = Options { identities, ..Options::default() };
    let bench = Bench::with(WEB, options.clone(), entra("reader"));
    let old = digest_of(&bench.client, "1.0").await;
    let error = bench.client.delete_manifest(&web(), old).await.expect_err("a reader may not delete");
    assert!(error.to_string().contains("the permission delete on repository team/web; grant AcrDelete"), "{error}");
    assert_eq!(bench.asked("DELETE", "/v2/{name}/manifests/{reference}"), 1, "not asked again");
    let change = LockChange { can_delete: Some(false), ..LockChange::default() };
    let error = bench.client.update_tag(&web(), &tag("1.0"), change).await.expect_err("a reader may not lock");
    assert!(error.to_string().contains("the permission metadata_write on repository team/web"), "{error}");

    let nobody = Bench::with(WEB, options, entra("nobody"));
    let error = nobody.client.get_repository(&web()).await.expect_err("no role at all");
    assert!(error.to_string().contains("has no role on the registry"), "{error}");
}

#[tokio::test]
async fn a_token_that_expires_between_two_pages_is_renewed_once() {
    let bench = Bench::new("repository team/web\n  repeat 30 n image i{n} tags t{n} age {n}m\n");
    let mut pages = bench.client.list_tags(&web(), Order::Name, 10);
    assert_eq!(pages.next_page().await.expect("a page").map(|page| page.len()), Some(10));
    // For the registry the token is too old, while the client's clock stands: a 401 in mid-listing.
    bench.registry_clock.turn(80 * 60);
    assert_eq!(pages.next_page().await.expect("a page").map(|page| page.len()), Some(10));
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (1, 2));
    // Both clocks go on, past the life of the refresh token too: renewed before anything is refused.
    bench.registry_clock.turn(4 * 3600);
    bench.client_clock.turn(4 * 3600);
    assert_eq!(pages.next_page().await.expect("a page").map(|page| page.len()), Some(10));
    assert_eq!(pages.next_page().await, Ok(None));
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (2, 3));
    let refused = bench.client.stats().attempts.get(&(Operation::ListTags, Some(401))).copied();
    assert_eq!(refused, Some(1));
}

#[tokio::test]
async fn revoked_tokens_are_exchanged_anew() {
    let bench = Bench::new(WEB);
    digest_of(&bench.client, "1.0").await;
    bench.registry_clock.turn(120);
    bench.client_clock.turn(120);
    bench.emulator.revoke_tokens();
    digest_of(&bench.client, "1.0").await;
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (2, 2));
}

#[tokio::test]
async fn a_refresh_token_that_only_the_registry_calls_old_is_replaced() {
    let bench = Bench::new(WEB);
    digest_of(&bench.client, "1.0").await;
    bench.registry_clock.turn(4 * 3600);
    digest_of(&bench.client, "1.0").await;
    assert_eq!(bench.asked("POST", "/oauth2/exchange"), 2);
}

#[tokio::test]
async fn many_callers_share_one_token_request() {
    let bench = Bench::new(WEB);
    let web = web();
    let all = futures::future::join_all((0..50).map(|_| bench.client.get_repository(&web)));
    assert!(all.await.iter().all(Result::is_ok));
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_token_endpoint_is_waited_for() {
    let bench = Bench::new(WEB);
    let slow = answer(429, &[("retry-after", "11")], "");
    bench.emulator.inject(Fault::once(Method::POST, "/oauth2/exchange", slow));
    bench.emulator.inject(Fault::once(Method::POST, "/oauth2/token", answer(502, &[], "<html>")));
    let start = Instant::now();
    assert!(bench.client.get_repository(&web()).await.is_ok());
    assert!(11 <= start.elapsed().as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_listing_survives_what_passes() {
    let bench = Bench::new("repository team/web\n  repeat 30 n image i{n} tags t{n} age {n}m\n");
    let faults = [
        answer(503, &[("retry-after", "3")], ""),
        answer(502, &[], "<html>"),
        Broken::DropBeforeEffect,
        Broken::Truncate(20),
        Broken::Hang,
    ];
    for (after, failure) in faults.into_iter().enumerate() {
        let path_contains = "/_tags".to_owned();
        bench.emulator.inject(Fault { method: Some(Method::GET), path_contains, after, times: 1, failure });
    }
    let (names, pages) = names(bench.client.list_tags(&web(), Order::Name, 10)).await;
    assert_eq!((names.len(), pages), (30, 3));
    assert!(bench.asked("GET", "/acr/v1/{name}/_tags") > 3, "some were asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_delete_is_an_unknown_outcome() {
    for (broken, gone) in [(Broken::DropAfterEffect, true), (Broken::DropBeforeEffect, false), (Broken::Hang, false)] {
        let bench = Bench::new(WEB);
        let old = digest_of(&bench.client, "1.0").await;
        bench.emulator.inject(Fault::once(Method::DELETE, "/manifests/", broken));
        assert!(matches!(failure(bench.client.delete_manifest(&web(), old).await), Failure::OutcomeUnknown { .. }));
        assert_eq!(bench.asked("DELETE", "/v2/{name}/manifests/{reference}"), 1);
        let read = bench.client.get_manifest_properties(&web(), old).await;
        assert_eq!(matches!(read, Err(Error { failure: Failure::NotFound, .. })), gone, "reading tells");
    }
}

#[tokio::test]
async fn what_leads_elsewhere_is_not_followed() {
    let link = ("link", r#"<https://evil.example/acr/v1/team/web/_tags?last=a>; rel="next""#);
    let realm = ("www-authenticate", r#"Bearer realm="https://evil.example/oauth2/token",service="contoso.azurecr.io""#);
    for broken in
        [answer(200, &[link], r#"{"tags":[]}"#), answer(401, &[realm], ""), answer(302, &[("location", "https://evil.example/")], "")]
    {
        let bench = Bench::new(WEB);
        bench.emulator.inject(Fault::once(Method::GET, "/_tags", broken));
        assert!(matches!(failure(bench.client.list_tags(&web(), Order::Name, 100).all().await), Failure::Hostile { .. }));
    }
}

#[tokio::test]
async fn a_listing_that_is_not_whole_is_no_listing() {
    let huge = format!(r#"{{"manifests":[],"x":"{}"}}"#, "x".repeat(9 << 20));
    for body in ["", "<html>log in</html>", r#"{"manifests":null}"#, "{}", r#"{"manifests":[{"digest":"sha256:0"#, &huge] {
        let bench = Bench::new(WEB);
        bench.emulator.inject(Fault::once(Method::GET, "/_manifests", answer(200, &[], body)));
        let listing = bench.client.list_manifests(&web(), Order::Name, 100).all().await;
        assert!(matches!(failure(listing), Failure::Protocol { .. }), "{}", body.chars().take(40).collect::<String>());
    }
}

#[tokio::test]
async fn no_tags_at_all_are_believed_only_if_the_repository_agrees() {
    for body in [r#"{"tags":null}"#, r#"{"tags":[]}"#] {
        let bench = Bench::new(WEB);
        bench.emulator.inject(Fault::once(Method::GET, "/_tags", answer(200, &[], body)));
        let error = bench.client.list_tags(&web(), Order::Name, 100).all().await.expect_err("the repository counts four");
        assert!(error.to_string().contains("counts 4 tags"), "{error}");
    }
    let untagged = Bench::new("repository team/web\n  image loose untagged age 9d\n");
    assert_eq!(untagged.client.list_tags(&web(), Order::Name, 100).all().await, Ok(vec![]));
}

#[tokio::test]
async fn a_document_is_believed_only_if_it_hashes_to_its_name() {
    let bench = Bench::new(WEB);
    let old = digest_of(&bench.client, "1.0").await;
    bench.emulator.inject(Fault::once(Method::GET, "/manifests/", answer(200, &[], r#"{"manifests":[]}"#)));
    assert!(matches!(failure(bench.client.get_manifest(&web(), old).await), Failure::Protocol { .. }));
    assert!(bench.client.get_manifest(&web(), old).await.is_ok());
}

#[tokio::test]
async fn a_ghost_is_listed_and_not_found() {
    let bench = Bench::new(WEB);
    let old = digest_of(&bench.client, "1.0").await;
    let same: emulator::Digest = old.to_string().parse().expect("a digest");
    bench.emulator.make_ghost("team/web", same).expect("it is there");
    let listed = bench.client.list_manifests(&web(), Order::Name, 100).all().await.expect("a listing");
    assert!(listed.iter().any(|manifest| manifest.digest == old));
    assert_eq!(failure(bench.client.get_manifest(&web(), old).await), Failure::NotFound);
}

#[tokio::test]
async fn the_difference_of_the_clocks_is_known() {
    let bench = Bench::new(WEB);
    bench.registry_clock.turn(600);
    digest_of(&bench.client, "1.0").await;
    assert_eq!(bench.client.clock_offset().map(|offset| offset.as_secs()), Some(600));
}
