//! What documents and configs say, from the registry through the state and saved inventories: read as deep as asked and once in a
//! digest's life, and what cannot be read is unknown, never empty.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, StatusCode};
use retaind::emulator::{Failure, Fault, Response};
use retaind::model::{Contents, Depth, Facts, Inventory, Listing, RepositoryName, Texts};
use retaind::pipeline;
use retaind::pipeline::inventory::{self, Look, Wanted};
use retaind::pipeline::plan::Decision;
use retaind::pipeline::report::{inventory_from_json, inventory_to_json};

use crate::stage::Stage;

const NONE: &str = "{ version: 1, policies: [{ name: ci, mode: dry-run, repositories: { include: [none] }, rules: [{ name: none, keep: { untagged: true } }] }] }";

const APP: &str = "
now 2026-06-01T00:00:00Z
repository app
  image oci     tags 1.0  annotation org.example.team=a  label team=b label size=
  image docker  tags 1.1  docker  label team=b
  image chart   tags 1.2  config application/vnd.cncf.helm.config.v1+json
  index multi   tags 1.3  platforms linux/amd64  annotation key=x
  artifact sbom subject oci  type application/spdx+json
";

const EVERYTHING: Depth = Depth { documents: true, labels: true };

async fn take(stage: &Stage, depth: Depth) -> Inventory {
    let look = Look { client: stage.client(), state: stage.state(), now: stage.hands.now() };
    let wanted = Wanted { name: RepositoryName::parse("app").expect("a name"), depth };
    inventory::take(&look, &[wanted]).await.unwrap_or_else(|error| panic!("{error}"))
}

fn contents(inventory: &Inventory) -> &Contents {
    match &inventory.repositories[0].listing {
        Listing::Complete(contents) => contents,
        Listing::Incomplete(gaps) => panic!("{gaps:?}"),
    }
}

fn facts<'i>(stage: &Stage, inventory: &'i Inventory, name: &str) -> &'i Facts {
    let digest = stage.digest("app", name).to_string().parse().expect("a digest");
    let place = contents(inventory).find(digest).expect("it is listed");
    contents(inventory).manifests()[place as usize].facts.as_deref().unwrap_or_else(|| panic!("nothing is known of {name}"))
}

fn texts(pairs: &[(&str, &str)]) -> Texts {
    Texts::Known(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
}

/// How many documents and blobs were read.
fn reads(stage: &Stage) -> BTreeMap<&'static str, u64> {
    let mut reads = BTreeMap::new();
    for (counted, count) in stage.emulator.counts() {
        if counted.method == "GET" && (counted.route.contains("/manifests/") || counted.route.contains("/blobs/")) {
            *reads.entry(if counted.route.contains("/blobs/") { "blobs" } else { "documents" }).or_default() += count;
        }
    }
    reads
}

#[tokio::test(start_paused = true)]
async fn documents_and_configs_are_read_when_asked_and_once() {
    let stage = Stage::new(APP, NONE);
    let shallow = take(&stage, Depth::default()).await;
    assert!(contents(&shallow).manifests().iter().all(|manifest| manifest.facts.is_none()));
    let before = reads(&stage);
    assert_eq!(before, BTreeMap::from([("documents", 5)]), "those that may refer to others");

    let documents = take(&stage, Depth { documents: true, labels: false }).await;
    assert_eq!(facts(&stage, &documents, "oci").labels, Texts::NotRead);
    let deep = take(&stage, EVERYTHING).await;
    for (name, artifact_type, annotations, labels) in [
        (
            "oci",
            Some("application/vnd.oci.image.config.v1+json"),
            texts(&[("org.example.team", "a")]),
            texts(&[("team", "b"), ("size", "")]),
        ),
        ("docker", Some("application/vnd.docker.container.image.v1+json"), Texts::none(), texts(&[("team", "b")])),
        ("chart", Some("application/vnd.cncf.helm.config.v1+json"), Texts::none(), Texts::none()),
        ("multi", None, texts(&[("key", "x"), ("org.opencontainers.image.title", "multi")]), Texts::none()),
        ("sbom", Some("application/spdx+json"), texts(&[("org.opencontainers.image.title", "sbom")]), Texts::none()),
    ] {
        let expected = Facts { artifact_type: artifact_type.map(Into::into), annotations, labels };
        assert_eq!(*facts(&stage, &deep, name), expected, "{name}");
    }

    let after = reads(&stage);
    assert_eq!(take(&stage, EVERYTHING).await, deep);
    assert_eq!(reads(&stage), after, "a digest names its bytes for ever");
    assert_eq!(inventory_from_json(&inventory_to_json(&deep)), Ok(deep));
}

#[tokio::test(start_paused = true)]
async fn a_config_that_cannot_be_read_is_unknown_and_asked_for_again() {
    let stage = Stage::new(&format!("{APP}  image large tags 1.4 label text={}\n", "x".repeat(70_000)), NONE);
    let path_contains = "/blobs/".to_owned();
    let body = r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#.to_owned();
    let failure = Failure::Respond(Response { status: StatusCode::NOT_FOUND, headers: HeaderMap::new(), body });
    stage.emulator.inject(Fault { method: Some(Method::GET), path_contains, after: 0, times: 100, failure });
    let inventory = take(&stage, EVERYTHING).await;
    assert!(matches!(&facts(&stage, &inventory, "oci").labels, Texts::Unreadable(why) if why.starts_with("its config was not read: ")));
    assert_eq!(inventory_from_json(&inventory_to_json(&inventory)), Ok(inventory.clone()));

    let stage_again = reads(&stage);
    take(&stage, EVERYTHING).await;
    assert!(stage_again["blobs"] < reads(&stage)["blobs"], "what failed today is no fact");

    let healthy = Stage::new(&format!("{APP}  image large tags 1.4 label text={}\n", "x".repeat(70_000)), NONE);
    let inventory = take(&healthy, EVERYTHING).await;
    let known = "its labels take 70004 bytes, more than 65536";
    assert_eq!(facts(&healthy, &inventory, "large").labels, Texts::Unreadable(known.into()));
    let before = reads(&healthy);
    take(&healthy, EVERYTHING).await;
    assert_eq!(reads(&healthy), before, "what the bytes are is a fact");
}

#[tokio::test(start_paused = true)]
async fn a_saved_listing_says_what_it_does_not_have() {
    let stage = Stage::new(APP, NONE);
    let told = |inventory: &Inventory, depth| -> Vec<String> { contents(inventory).unread(depth).into_iter().map(|gap| gap.0).collect() };
    let inventory = inventory_from_json(&inventory_to_json(&take(&stage, Depth::default()).await)).expect("an inventory");
    assert!(told(&inventory, Depth::default()).is_empty());
    assert!(told(&inventory, Depth { documents: true, labels: false })[0].starts_with("a rule asks for artifact types or annotations"));
    assert_eq!(told(&inventory, EVERYTHING).len(), 2);
    let inventory = take(&stage, Depth { documents: true, labels: false }).await;
    assert!(told(&inventory, EVERYTHING)[0].starts_with("a rule asks for labels"));
    assert!(told(&take(&stage, EVERYTHING).await, EVERYTHING).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_asks_for_what_a_saved_listing_lacks_plans_nothing() {
    let policies = "{ version: 1, policies: [{ name: ci, mode: enforce, repositories: { include: [app] },
        rules: [{ name: labelled, delete: { label: team, older_than: 1d } }] }] }";
    let mut stage = Stage::new(APP, policies);
    let saved = inventory_from_json(&inventory_to_json(&take(&stage, Depth::default()).await)).expect("an inventory");
    let decided = |stage: &Stage, inventory: &Inventory| {
        let decisions = pipeline::decide(inventory, &stage.policies, stage.policy("ci"), stage.hands.now());
        decisions.plan.repositories[0].decision.clone()
    };
    let Decision::Nothing(gaps) = decided(&stage, &saved) else { panic!("planned from what is not there") };
    assert!(gaps.iter().all(|gap| gap.0.starts_with("a rule asks for ")), "{gaps:?}");
    assert!(matches!(decided(&stage, &stage.inventory("ci", stage.state()).await), Decision::Steps(_)), "a look of this policy has it");

    // A policy that only protects asks just as much.
    let asks = "- { name: other, mode: dry-run, repositories: { include: [app] }, rules: [{ name: kept, keep: { label: team } }] }";
    let silent = "- { name: ci, mode: enforce, repositories: { include: [app] }, rules: [{ name: old, delete: { untagged: true, older_than: 1d } }] }";
    stage.policies = crate::stage::policies(&format!("version: 1\npolicies:\n  {silent}\n"));
    assert!(matches!(decided(&stage, &saved), Decision::Steps(_)));
    stage.policies = crate::stage::policies(&format!("version: 1\npolicies:\n  {silent}\n  {asks}\n"));
    assert!(matches!(decided(&stage, &saved), Decision::Nothing(_)));
}

#[tokio::test(start_paused = true)]
async fn a_saved_listing_carries_marks_and_own_locks() {
    let policies = "{ version: 1, policies: [{ name: ci, mode: enforce, repositories: { include: [app] }, limits: { keep_at_least: 0, max_delete_percent: 100 }, rules: [
        { name: old, delete: { tags: { glob: [old-*] }, older_than: 1d, condemned_for: 2d } },
        { name: held, lock: { tags: { glob: [held] }, can_delete: false, release: true } }] }] }";
    let drawing = "now 2026-06-01T00:00:00Z\nrepository app\n  image one tags old-1 age 9d\n  image two tags held age 9d\n";
    let mut stage = Stage::new(drawing, policies);
    stage.run("ci").await;
    let taken = stage.inventory("ci", stage.state()).await;
    let saved = inventory_from_json(&inventory_to_json(&taken)).expect("an inventory");
    assert_eq!(saved, taken);
    stage.policies = crate::stage::policies(&policies.replace("[held]", "[none]"));
    let removals = |days: i64| {
        let now = stage.hands.now() + jiff::SignedDuration::from_hours(24 * days);
        let decisions = pipeline::decide(&saved, &stage.policies, stage.policy("ci"), now);
        let steps: Vec<_> = decisions.plan.steps().map(|(_, steps)| (steps.deletes.len(), steps.locks.len())).collect();
        steps[0]
    };
    assert_eq!((removals(1), removals(2), removals(3)), ((0, 1), (0, 1), (1, 1)));
}
