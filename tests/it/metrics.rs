//! The metrics as Prometheus reads them: what exists, when series appear and end, and that docs/metrics.md tells exactly that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use expect_test::{expect, expect_file};
use http::{Method, StatusCode};
use jiff::Timestamp;
use retaind::acr::{Asked, LATENCY_BOUNDS, Latencies, Operation, Statistics};
use retaind::emulator::{Failure, Fault, Response};
use retaind::model::{RegistryName, RepositoryName};
use retaind::pipeline::guard::Circumstances;
use retaind::pipeline::report::{RepositoryTally, Tally};
use retaind::pipeline::{self, Run, Told};
use retaind::policy::Mode;
use retaind::telemetry::{Build, FailureReason, Finished, Loaded, LoadedPolicy, Metrics, RunEnd, SeriesKey, SkipReason, metrics_reference};

use crate::stage::{How, Stage};
use crate::support::Bench;

const BUILD: Build = Build { version: "1.2.3", revision: "abc", rustc: "1.95.0" };

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

pub(crate) fn registry(name: &str) -> RegistryName {
    RegistryName::parse(name).expect("a name")
}

fn key(policy: &str, name: &str) -> SeriesKey {
    SeriesKey { policy: Arc::from(policy), registry: registry(name) }
}

fn loaded(policies: &[(&str, &str)], mode: Mode) -> Loaded {
    let registries: BTreeSet<RegistryName> = policies.iter().map(|(_, name)| registry(name)).collect();
    let policies =
        policies.iter().map(|(policy, name)| LoadedPolicy { key: key(policy, name), mode, interval: Some(Duration::from_secs(86_400)) });
    Loaded { at: at(1_000), registries: registries.into_iter().collect(), policies: policies.collect() }
}

fn repositories(of: &[(&str, RepositoryTally)]) -> BTreeMap<RepositoryName, RepositoryTally> {
    of.iter().map(|(name, tally)| (RepositoryName::parse(name).expect("a name"), *tally)).collect()
}

fn finished(tally: &Tally, end: RunEnd) -> Finished<'_> {
    Finished { at: at(2_000), took: Duration::from_millis(1_500), end, tally }
}

fn asked() -> Statistics {
    let mut buckets = [0; LATENCY_BOUNDS.len() + 1];
    (buckets[0], buckets[2], buckets[LATENCY_BOUNDS.len()]) = (1, 2, 1);
    Statistics {
        attempts: BTreeMap::from([
            ((Operation::ListTags, Some(200)), 3),
            ((Operation::ListTags, None), 1),
            ((Operation::DeleteManifest, Some(429)), 2),
            ((Operation::GetToken, Some(200)), 5),
            ((Operation::GetToken, Some(401)), 1),
            ((Operation::GetToken, None), 1),
        ]),
        latencies: BTreeMap::from([(Operation::ListTags, Latencies { buckets, total: Duration::from_millis(40_250) })]),
        identity: Asked { requests: 2, failures: 1 },
        ..Statistics::default()
    }
}

/// Metrics to which everything has happened, for some policies on two registries.
pub(crate) fn exercised(policies: usize) -> Metrics {
    exercised_with(policies, 0)
}

/// The same, with metrics of so many repositories.
fn exercised_with(policies: usize, repositories_max: usize) -> Metrics {
    let names: Vec<String> = (0..policies).map(|number| format!("policy-{number}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().flat_map(|name| [(name.as_str(), "contoso"), (name.as_str(), "fabrikam")]).collect();
    let metrics = Metrics::new(&BUILD, repositories_max);
    metrics.reloaded(&loaded(&pairs, Mode::Enforce));
    metrics.reload_failed();
    metrics.suspended(true, 0);
    metrics.paused(true);
    for (policy, registry) in pairs {
        let key = key(policy, registry);
        metrics.scheduled(&key, Some(at(3_000)));
        metrics.run_started(&key);
        let tally = Tally { scanned: 9, going: 4, deleted: 3, deleted_bytes: 70, ..Tally::default() };
        let tally = Tally {
            kept: BTreeMap::from([("keep_rule", 3), ("locked", 2)]),
            refusals: BTreeMap::from([("audit", 1)]),
            left_to_later_runs: 5,
            ..tally
        };
        let of_web = RepositoryTally { going: 4, kept: 5, deleted: 3, deleted_bytes: 70, ..RepositoryTally::default() };
        let tally = Tally { repositories: repositories(&[("team/web", of_web)]), ..tally };
        metrics.run_finished(&key, &finished(&tally, RunEnd::Succeeded));
        metrics.run_skipped(&key, SkipReason::StillRunning);
    }
    for name in ["contoso", "fabrikam"] {
        metrics.registry(&registry(name), &asked());
    }
    metrics
}

/// The lines of a page that are about one metric, without its help.
fn samples(metrics: &Metrics, name: &str) -> String {
    let text = metrics.text().expect("a page");
    let about = text.lines().filter(|line| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']));
    about.map(|line| format!("{line}\n")).collect()
}

fn names_in_page(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[test]
fn the_reference_is_fresh() {
    expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")].assert_eq(&metrics_reference());
}

#[test]
fn the_reference_lists_what_a_page_holds_and_nothing_else() {
    let reference = metrics_reference();
    let listed: BTreeSet<&str> = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let page = exercised_with(1, 1).text().expect("a page");
    assert_eq!(listed, names_in_page(&page));
    for line in page.lines().filter(|line| line.starts_with("# HELP retaind_")) {
        let (_, help) = line["# HELP ".len()..].split_once(' ').expect("a name and a help");
        assert!(reference.contains(help), "{help}");
    }
}

#[test]
fn counters_of_a_policy_start_at_zero_and_gauges_of_a_run_with_a_run() {
    let metrics = Metrics::new(&BUILD, 0);
    metrics.reloaded(&loaded(&[("ci", "contoso")], Mode::DryRun));
    let page = metrics.text().expect("a page");
    let of_policies: String = page
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains("policy=\"ci\"") && !line.contains("reason="))
        .map(|line| format!("{line}\n"))
        .collect();
    expect![[r#"
        retaind_delete_failures_total{policy="ci",registry="contoso"} 0
        retaind_deleted_bytes_estimate_total{policy="ci",registry="contoso"} 0
        retaind_lock_failures_total{policy="ci",registry="contoso"} 0
        retaind_locks_changed_total{policy="ci",registry="contoso"} 0
        retaind_manifests_deleted_total{policy="ci",registry="contoso"} 0
        retaind_manifests_scanned_total{policy="ci",registry="contoso"} 0
        retaind_policy_interval_seconds{policy="ci",registry="contoso"} 86400
        retaind_policy_mode_info{mode="dry-run",policy="ci",registry="contoso"} 1
        retaind_policy_running{policy="ci",registry="contoso"} 0
        retaind_policy_runs_total{policy="ci",registry="contoso"} 0
        retaind_steps_skipped_total{policy="ci",registry="contoso"} 0
        retaind_tags_untagged_total{policy="ci",registry="contoso"} 0
    "#]]
    .assert_eq(&of_policies);
    expect![[r#"
        retaind_policy_run_failures_total{policy="ci",reason="incomplete",registry="contoso"} 0
        retaind_policy_run_failures_total{policy="ci",reason="interrupted",registry="contoso"} 0
        retaind_policy_run_failures_total{policy="ci",reason="registry",registry="contoso"} 0
        retaind_policy_run_failures_total{policy="ci",reason="state",registry="contoso"} 0
        retaind_policy_run_failures_total{policy="ci",reason="steps",registry="contoso"} 0
    "#]]
    .assert_eq(&samples(&metrics, "retaind_policy_run_failures_total"));
}

#[test]
fn only_a_run_that_did_everything_is_a_success() {
    let (metrics, ci) = (Metrics::new(&BUILD, 0), key("ci", "contoso"));
    metrics.reloaded(&loaded(&[("ci", "contoso")], Mode::Enforce));
    let tally = Tally::default();
    for end in [RunEnd::Refused, RunEnd::Failed(FailureReason::Steps)] {
        metrics.run_finished(&ci, &finished(&tally, end));
    }
    assert_eq!(samples(&metrics, "retaind_policy_last_success_timestamp_seconds"), "");
    assert_eq!(
        samples(&metrics, "retaind_policy_last_run_timestamp_seconds"),
        "retaind_policy_last_run_timestamp_seconds{policy=\"ci\",registry=\"contoso\"} 2000\n"
    );
    metrics.run_finished(&ci, &finished(&tally, RunEnd::Succeeded));
    assert!(samples(&metrics, "retaind_policy_last_success_timestamp_seconds").ends_with(" 2000\n"));
    assert!(samples(&metrics, "retaind_policy_runs_total").ends_with(" 3\n"));
    let failures = samples(&metrics, "retaind_policy_run_failures_total");
    assert_eq!(failures.lines().filter(|line| line.ends_with(" 1")).count(), 1, "{failures}");
    metrics.remembered(&ci, Some(at(7)), None);
    assert!(samples(&metrics, "retaind_policy_last_run_timestamp_seconds").ends_with(" 7\n"));
}

#[test]
fn reasons_of_the_run_before_do_not_linger() {
    let (metrics, ci) = (exercised(1), key("policy-0", "contoso"));
    let tally = Tally { kept: BTreeMap::from([("too_young", 5)]), ..Tally::default() };
    metrics.run_finished(&ci, &finished(&tally, RunEnd::Succeeded));
    expect![[r#"
        retaind_manifests_kept{policy="policy-0",reason="keep_rule",registry="fabrikam"} 3
        retaind_manifests_kept{policy="policy-0",reason="locked",registry="fabrikam"} 2
        retaind_manifests_kept{policy="policy-0",reason="too_young",registry="contoso"} 5
    "#]]
    .assert_eq(&samples(&metrics, "retaind_manifests_kept"));
}

#[test]
fn what_is_no_longer_configured_has_no_series() {
    let metrics = exercised(2);
    metrics.reloaded(&loaded(&[("policy-1", "contoso")], Mode::DryRun));
    let gone = |page: &str| !page.contains("policy-0") && !page.contains("fabrikam");
    assert!(gone(&metrics.text().expect("a page")));
    // A run that outlives its policy, and a client that outlives its registry.
    metrics.run_finished(&key("policy-0", "contoso"), &finished(&Tally::default(), RunEnd::Succeeded));
    metrics.registry(&registry("fabrikam"), &asked());
    let page = metrics.text().expect("a page");
    assert!(gone(&page));
    // What stays keeps its counts, and the mode is the new one.
    assert!(page.contains("retaind_manifests_deleted_total{policy=\"policy-1\",registry=\"contoso\"} 3\n"));
    expect![[r#"
        retaind_policy_mode_info{mode="dry-run",policy="policy-1",registry="contoso"} 1
    "#]]
    .assert_eq(&samples(&metrics, "retaind_policy_mode_info"));
}

#[test]
fn what_clients_did_adds_up() {
    let metrics = Metrics::new(&BUILD, 0);
    metrics.reloaded(&loaded(&[("ci", "contoso")], Mode::Enforce));
    metrics.registry(&registry("contoso"), &asked());
    metrics.registry(&registry("contoso"), &asked());
    let page = metrics.text().expect("a page");
    let told: String = page
        .lines()
        .filter(|line| line.starts_with("retaind_registry_") || line.starts_with("retaind_token_"))
        .map(|line| format!("{line}\n"))
        .collect();
    expect![[r#"
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="0.025"} 2
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="0.05"} 2
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="0.1"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="0.25"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="0.5"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="1"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="2.5"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="5"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="10"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="30"} 6
        retaind_registry_request_duration_seconds_bucket{operation="list_tags",registry="contoso",le="+Inf"} 8
        retaind_registry_request_duration_seconds_sum{operation="list_tags",registry="contoso"} 80.5
        retaind_registry_request_duration_seconds_count{operation="list_tags",registry="contoso"} 8
        retaind_registry_requests_total{code="200",operation="get_token",registry="contoso"} 10
        retaind_registry_requests_total{code="200",operation="list_tags",registry="contoso"} 6
        retaind_registry_requests_total{code="401",operation="get_token",registry="contoso"} 2
        retaind_registry_requests_total{code="429",operation="delete_manifest",registry="contoso"} 4
        retaind_registry_requests_total{code="none",operation="get_token",registry="contoso"} 2
        retaind_registry_requests_total{code="none",operation="list_tags",registry="contoso"} 2
        retaind_registry_throttled_total{registry="contoso"} 4
        retaind_token_request_failures_total{kind="access",registry="contoso"} 4
        retaind_token_request_failures_total{kind="identity",registry="contoso"} 2
        retaind_token_request_failures_total{kind="refresh",registry="contoso"} 0
        retaind_token_requests_total{kind="access",registry="contoso"} 14
        retaind_token_requests_total{kind="identity",registry="contoso"} 4
        retaind_token_requests_total{kind="refresh",registry="contoso"} 0
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn a_real_client_counts_its_tokens_and_times_every_attempt() {
    let bench = Bench::new("repository team/web\n  image a tags a age 1d\n");
    let earlier = bench.client.stats();
    bench.client.list_repositories(100).all().await.expect("a list");
    let since = bench.client.stats().since(&earlier);
    assert_eq!(since.identity, Asked { requests: 1, failures: 0 });
    for operation in [Operation::ExchangeToken, Operation::GetToken, Operation::ListRepositories] {
        let timed: u64 = since.latencies[&operation].buckets.iter().sum();
        assert_eq!(timed, since.attempts_of(operation), "{operation:?}");
        assert!(0 < timed, "{operation:?}");
    }
}

/// One that does its work, and one that is held back.
#[tokio::test]
async fn a_run_is_counted_as_it_went() {
    let stage = Stage::new(
        "repository app\n  repeat 3 n image old-{n} tags pr-{n} age 9{n}d\n  index multi tags pr-9 age 80d platforms linux/amd64, linux/arm64\n  \
         image mixed tags pr-10, 1.1 age 70d\n  image kept tags 1.0 age 60d\n",
        "version: 1\npolicies:\n  - name: ci\n    mode: enforce\n    repositories: { include: [app] }\n    \
         limits: { max_delete_percent: 100 }\n    \
         rules: [{ name: old, delete: { tags: { glob: [\"pr-*\"] }, older_than: 14d } }]\n",
    );
    let (mut planned, mut tally) = (Tally::default(), Tally::default());
    let run = stage.prepare("ci", How::default());
    let ended = pipeline::run(&run, &mut |told| match told {
        Told::Planned(decided) => {
            planned.plan(decided);
            tally.plan(decided);
        }
        Told::Applied(applied) => tally.apply(applied),
    })
    .await;
    ended.expect("a run");
    // Three images and the index with its two children go; the tag pr-10 alone goes, its image stays for 1.1.
    assert_eq!((planned.scanned, planned.going, planned.deleted, planned.sizes.len()), (8, 6, 0, 6));
    assert_eq!(planned.kept, BTreeMap::from([("keep_at_least", 1), ("tag_stays", 1)]));
    assert_eq!((tally.deleted, tally.untagged, tally.skipped, tally.failed_deletes, tally.sizes.len()), (6, 1, 0, 0, 0));
    assert_eq!(tally.deleted_bytes, planned.sizes.values().sum::<u64>());
    let of_app = RepositoryTally { going: 6, kept: 2, deleted: 6, deleted_bytes: tally.deleted_bytes, is_incomplete: false };
    assert_eq!(tally.repositories, repositories(&[("app", of_app)]));
    assert!(0 < tally.deleted_bytes && tally.refusals.is_empty());

    let circumstances = Circumstances { paused: true, ..run.circumstances.clone() };
    let mut refused = Tally::default();
    let ended = pipeline::run(&Run { circumstances, ..run }, &mut |told| match told {
        Told::Planned(decided) => refused.plan(decided),
        Told::Applied(applied) => refused.apply(applied),
    })
    .await;
    ended.expect("a run");
    assert_eq!(refused.refusals, BTreeMap::from([("paused", 1)]));
    assert_eq!((refused.scanned, refused.going, refused.deleted), (2, 0, 0));
}

/// A repository whose listing breaks off is left out, and nothing else is.
#[tokio::test]
async fn what_is_left_out_is_counted() {
    let stage = Stage::new(
        "repository app\n  image old tags pr-1 age 90d\nrepository broken\n  image old tags pr-1 age 90d\n",
        "version: 1\npolicies:\n  - name: ci\n    mode: dry-run\n    repositories: { include: [\"*\"] }\n    \
         rules: [{ name: old, delete: { tags: { glob: [\"pr-*\"] }, older_than: 14d } }]\n",
    );
    let broken = Failure::Respond(Response { status: StatusCode::IM_A_TEAPOT, ..Response::default() });
    stage.emulator.inject(Fault {
        method: Some(Method::GET),
        path_contains: "/acr/v1/broken/_manifests".to_owned(),
        after: 0,
        times: usize::MAX,
        failure: broken,
    });
    let mut tally = Tally::default();
    let run = stage.prepare("ci", How::default());
    let ended = pipeline::run(&run, &mut |told| match told {
        Told::Planned(decided) => tally.plan(decided),
        Told::Applied(applied) => tally.apply(applied),
    })
    .await;
    ended.expect("a run");
    assert_eq!((tally.incomplete, tally.scanned), (1, 1));
    let broken = RepositoryTally { is_incomplete: true, ..RepositoryTally::default() };
    let app = RepositoryTally { kept: 1, ..RepositoryTally::default() };
    assert_eq!(tally.repositories, repositories(&[("app", app), ("broken", broken)]));

    let metrics = Metrics::new(&BUILD, 0);
    metrics.reloaded(&loaded(&[("ci", "contoso")], Mode::DryRun));
    metrics.run_finished(&key("ci", "contoso"), &finished(&tally, RunEnd::Failed(FailureReason::Incomplete)));
    expect![[r#"
        retaind_repositories_incomplete{policy="ci",registry="contoso"} 1
    "#]]
    .assert_eq(&samples(&metrics, "retaind_repositories_incomplete"));
}

/// The lines of a page that carry the name of a repository.
fn of_repositories(metrics: &Metrics) -> String {
    let page = metrics.text().expect("a page");
    page.lines().filter(|line| line.contains("repository=")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn repositories_are_told_only_where_that_is_asked_for() {
    assert_eq!(of_repositories(&exercised(2)), "");
    assert_ne!(of_repositories(&exercised_with(2, 1)), "");
}

#[test]
fn single_repositories_have_series_up_to_a_bound_and_the_rest_together() {
    let (metrics, ci) = (Metrics::new(&BUILD, 2), key("ci", "contoso"));
    metrics.reloaded(&loaded(&[("ci", "contoso")], Mode::Enforce));
    let tally = |going, deleted| RepositoryTally { going, kept: 9, deleted, deleted_bytes: 10 * deleted, is_incomplete: false };
    let broken = RepositoryTally { is_incomplete: true, ..RepositoryTally::default() };
    let run = |of: &[(&str, RepositoryTally)]| {
        metrics.run_finished(&ci, &finished(&Tally { repositories: repositories(of), ..Tally::default() }, RunEnd::Succeeded));
    };
    run(&[("a", tally(1, 1)), ("b", tally(7, 7)), ("c", tally(2, 2)), ("d", broken)]);
    run(&[("a", tally(5, 5)), ("b", tally(1, 1)), ("c", tally(0, 0)), ("d", broken)]);
    // Whoever has a place keeps it, so that its counter goes on.
    expect![[r#"
        retaind_repository_deleted_bytes_estimate_total{policy="ci",registry="contoso",repository="_other"} 60
        retaind_repository_deleted_bytes_estimate_total{policy="ci",registry="contoso",repository="b"} 80
        retaind_repository_deleted_bytes_estimate_total{policy="ci",registry="contoso",repository="c"} 20
        retaind_repository_incomplete{policy="ci",registry="contoso",repository="_other"} 1
        retaind_repository_incomplete{policy="ci",registry="contoso",repository="b"} 0
        retaind_repository_incomplete{policy="ci",registry="contoso",repository="c"} 0
        retaind_repository_manifests_deleted_total{policy="ci",registry="contoso",repository="_other"} 6
        retaind_repository_manifests_deleted_total{policy="ci",registry="contoso",repository="b"} 8
        retaind_repository_manifests_deleted_total{policy="ci",registry="contoso",repository="c"} 2
        retaind_repository_manifests_kept{policy="ci",registry="contoso",repository="_other"} 9
        retaind_repository_manifests_kept{policy="ci",registry="contoso",repository="b"} 9
        retaind_repository_manifests_kept{policy="ci",registry="contoso",repository="c"} 9
        retaind_repository_manifests_would_delete{policy="ci",registry="contoso",repository="_other"} 5
        retaind_repository_manifests_would_delete{policy="ci",registry="contoso",repository="b"} 1
        retaind_repository_manifests_would_delete{policy="ci",registry="contoso",repository="c"} 0
    "#]]
    .assert_eq(&of_repositories(&metrics));

    // A run that came to no plan changes nothing.
    let before = of_repositories(&metrics);
    run(&[]);
    assert_eq!(of_repositories(&metrics), before);

    // A repository that is gone makes room, and its series end; nothing is left together.
    run(&[("a", tally(5, 5)), ("c", tally(0, 0))]);
    expect![[r#"
        retaind_repository_manifests_deleted_total{policy="ci",registry="contoso",repository="_other"} 6
        retaind_repository_manifests_deleted_total{policy="ci",registry="contoso",repository="a"} 5
        retaind_repository_manifests_deleted_total{policy="ci",registry="contoso",repository="c"} 2
    "#]]
    .assert_eq(&samples(&metrics, "retaind_repository_manifests_deleted_total"));
    expect![[r#"
        retaind_repository_manifests_kept{policy="ci",registry="contoso",repository="a"} 9
        retaind_repository_manifests_kept{policy="ci",registry="contoso",repository="c"} 9
    "#]]
    .assert_eq(&samples(&metrics, "retaind_repository_manifests_kept"));

    metrics.reloaded(&loaded(&[("other", "contoso")], Mode::Enforce));
    assert_eq!(of_repositories(&metrics), "");
}

#[test]
fn a_failed_reload_is_told_and_a_good_one_heals() {
    let metrics = Metrics::new(&BUILD, 0);
    metrics.reloaded(&loaded(&[], Mode::Enforce));
    metrics.reload_failed();
    metrics.suspended(true, 2);
    let of_files = |metrics: &Metrics| {
        let names = ["last_reload_successful", "last_reload_success_timestamp_seconds", "reloads_total", "reload_failures_total"];
        let config: String = names.iter().map(|name| samples(metrics, &format!("retaind_config_{name}"))).collect();
        config + &samples(metrics, "retaind_deletion_suspended")
    };
    expect![[r"
        retaind_config_last_reload_successful 0
        retaind_config_last_reload_success_timestamp_seconds 1000
        retaind_config_reloads_total 2
        retaind_config_reload_failures_total 1
        retaind_deletion_suspended 1
    "]]
    .assert_eq(&of_files(&metrics));
    metrics.reloaded(&Loaded { at: at(1_500), ..loaded(&[], Mode::Enforce) });
    metrics.suspended(false, 0);
    expect![[r"
        retaind_config_last_reload_successful 1
        retaind_config_last_reload_success_timestamp_seconds 1500
        retaind_config_reloads_total 3
        retaind_config_reload_failures_total 1
        retaind_deletion_suspended 0
    "]]
    .assert_eq(&of_files(&metrics));
}
