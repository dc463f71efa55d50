//! What was deleted is listed and brought back, where the registry keeps it for a while.

use jiff::SignedDuration;
use retaind::acr::{Deleted, Failure, Order, WhenTaken};
use retaind::emulator::Options;
use retaind::model::{RepositoryName, TagName};

use crate::support::{Bench, entra};

const DRAWING: &str = "
repository app
  image old tags 1.0, 1 age 40d
  image new tags 2.0 age 1d
";

fn app() -> RepositoryName {
    RepositoryName::parse("app").expect("a name")
}

fn tag(name: &str) -> TagName {
    TagName::parse(name).expect("a tag")
}

fn keeping() -> Bench {
    let options = Options { soft_delete: Some(SignedDuration::from_hours(7 * 24)), ..Options::default() };
    Bench::with(DRAWING, options, entra("somebody"))
}

#[tokio::test]
async fn what_was_deleted_is_listed_and_restored() {
    let Bench { client, .. } = keeping();
    assert_eq!(client.list_deleted_repositories(100).all().await, Ok(vec![]));
    let old = client.get_tag(&app(), &tag("1.0")).await.expect("a tag").digest;
    assert_eq!(client.delete_manifest(&app(), old).await, Ok(Deleted::Done));
    let repositories = client.list_deleted_repositories(100).all().await.expect("a list");
    assert_eq!(repositories.iter().map(|repository| repository.name.as_str()).collect::<Vec<_>>(), ["app"]);
    let manifests = client.list_deleted_manifests(&app(), 1).all().await.expect("a list");
    assert_eq!(manifests.iter().map(|manifest| manifest.digest).collect::<Vec<_>>(), [old]);
    assert!(manifests[0].created_at < manifests[0].deleted_at);
    let tags = client.list_deleted_tags(&app(), 1).all().await.expect("a list");
    assert_eq!(tags.iter().map(|tag| (tag.name.as_str(), tag.digest)).collect::<Vec<_>>(), [("1.0", old), ("1", old)]);
    let restored = client.restore_manifest(&app(), old, &tag("1.0"), WhenTaken::Refuse).await.expect("restored");
    assert_eq!((restored.digest, restored.tag), (old, Some(tag("1.0"))));
    assert_eq!(client.get_tag(&app(), &tag("1.0")).await.map(|tag| tag.digest), Ok(old));
    assert_eq!(client.list_tags(&app(), Order::Name, 100).all().await.map(|tags| tags.len()), Ok(2), "1.0 and 2.0");
}

#[tokio::test]
async fn a_tag_in_use_moves_only_when_that_is_asked_for() {
    let Bench { client, .. } = keeping();
    let old = client.get_tag(&app(), &tag("1.0")).await.expect("a tag").digest;
    let new = client.get_tag(&app(), &tag("2.0")).await.expect("a tag").digest;
    assert_eq!(client.delete_manifest(&app(), old).await, Ok(Deleted::Done));
    assert!(client.restore_manifest(&app(), old, &tag("2.0"), WhenTaken::Refuse).await.is_err());
    assert_eq!(client.get_tag(&app(), &tag("2.0")).await.map(|tag| tag.digest), Ok(new));
    assert!(client.restore_manifest(&app(), old, &tag("2.0"), WhenTaken::Move).await.is_ok());
    assert_eq!(client.get_tag(&app(), &tag("2.0")).await.map(|tag| tag.digest), Ok(old));
}

#[tokio::test]
async fn what_may_not_be_restored_is_named() {
    let bench = keeping();
    let old = bench.client.get_tag(&app(), &tag("1.0")).await.expect("a tag").digest;
    assert_eq!(bench.client.delete_manifest(&app(), old).await, Ok(Deleted::Done));
    bench.emulator.assign_roles("somebody AcrPull").expect("roles");
    bench.emulator.revoke_tokens();
    bench.client_clock.turn(61);
    let error = bench.client.restore_manifest(&app(), old, &tag("1.0"), WhenTaken::Refuse).await.expect_err("it may not");
    assert!(matches!(error.failure, Failure::Forbidden { .. }) && error.to_string().contains("deleted_restore"), "{error}");
    let error = bench.client.list_deleted_repositories(100).all().await.expect_err("it may not");
    assert!(error.to_string().contains("the permission to list the deleted repositories"), "{error}");
    assert!(bench.client.list_deleted_tags(&app(), 100).all().await.is_err());
}

#[tokio::test]
async fn a_registry_that_keeps_nothing_says_so() {
    let Bench { client, .. } = Bench::new(DRAWING);
    let failed = client.list_deleted_repositories(100).all().await.map_err(|error| error.failure);
    assert!(matches!(failed, Err(Failure::Protocol { .. })), "a route that is not there is no empty list: {failed:?}");
}
