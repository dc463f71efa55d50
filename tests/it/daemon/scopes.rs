//! Files of teams: one that is not valid suspends deleting where it matters, and nowhere else.

use std::fs;
use std::os::unix::fs::symlink;

use retaind::state::{RunOutcome, State, leave_approval};

use super::*;

const TEAMS: &str = "
repository team-a/web
  repeat 3 n image old-{n} tags pr-{n} age 9{n}d
  image release tags 1.0 age 60d
  image tmp tags tmp-1 age 90d
repository team-b/web
  repeat 3 n image old-{n} tags pr-{n} age 9{n}d
  image release tags 1.0 age 60d
  image tmp tags tmp-1 age 90d
";

/// The platform's own policy, which removes `tmp-*` everywhere.
const PLATFORM: &str = "version: 1
policies:
  - name: platform
    mode: enforce
    schedule: \"0 * * * *\"
    repositories: { include: [\"**\"] }
    limits: { max_delete_percent: 100, keep_at_least: 0 }
    rules: [{ name: temporary, delete: { tags: { glob: [\"tmp-*\"] }, older_than: 14d } }]
";

const SETTINGS: &str = "policies:
  - path: policies
  - { path: teams/a.yaml, repositories: [\"team-a/**\"] }
  - { path: teams/b.yaml, repositories: [\"team-b/**\"] }
";

/// A team's policy, which removes `pr-*` in its repositories, and further rules, one a line.
fn team(name: &str, more_rules: &str) -> String {
    policies(more_rules).replace("name: ci", &format!("name: {name}")).replace("\"**\"", &format!("\"team-{name}/**\""))
}

/// A registry with repositories of two teams, with a file for each and one of the platform's.
fn site() -> Site {
    let site = Site::new(PLATFORM);
    site.emulator().seed(TEAMS).unwrap_or_else(|error| panic!("{error}"));
    let settings = fs::read_to_string(site.folder.path().join("retaind.yaml")).expect("settings");
    site.folder.write("retaind.yaml", &settings.replace("policies: policies\n", SETTINGS));
    site.folder.write("teams/a.yaml", &team("a", ""));
    site.folder.write("teams/b.yaml", &team("b", ""));
    site
}

/// The tags of a repository that are left to go.
fn left_in(site: &Site, repository: &str) -> Vec<String> {
    site.emulator().snapshot()[repository].tags.keys().filter(|tag| *tag != "1.0").cloned().collect()
}

/// Turns the clock, and returns how the runs ended that were due, by policy.
async fn run_all(service: &Service, seconds: i64) -> BTreeMap<String, Value> {
    service.hands.turn(seconds);
    let now = service.hands.now().to_string();
    let mut runs = BTreeMap::new();
    eventually("every policy runs", async || {
        let status = service.status().await;
        let policies = status["policies"].as_array().expect("policies").clone();
        let last = |policy: &Value| (policy["name"].as_str().unwrap_or_default().to_owned(), policy["last_run"].clone());
        runs = policies.iter().map(last).collect();
        policies.iter().all(|policy| policy["last_run"]["started_at"] == now.as_str() && policy["running_since"].is_null())
    })
    .await;
    runs
}

/// Has the files looked at, until deleting is suspended in so many scopes; None: everywhere.
async fn suspended_in(service: &Service, scopes: Option<u32>) {
    let wanted = scopes.map_or((1.0, 0.0), |scopes| (f64::from(u8::from(0 < scopes)), f64::from(scopes)));
    let metric = async |name: &str| service.metric(&format!("retaind_deletion_suspended{name}")).await.expect("a series");
    service.reload("it is suspended as it should be", async || (metric("").await, metric("_scopes").await) == wanted).await;
}

fn outcomes(runs: &BTreeMap<String, Value>) -> Vec<(&str, &str)> {
    runs.iter().map(|(policy, run)| (policy.as_str(), run["outcome"].as_str().unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_of_a_team_suspends_deleting_in_its_scope_alone() {
    let site = site();
    let service = site.start().await;
    site.folder.write("teams/a.yaml", &team("a", "      - { name: audited, kep: { tags: { glob: [\"pr-*\", \"tmp-*\"] } } }\n"));
    suspended_in(&service, Some(1)).await;

    let runs = run_all(&service, TO_THE_FIRST_RUN_SECONDS).await;
    assert_eq!(outcomes(&runs), [("a", "refused"), ("b", "succeeded"), ("platform", "refused")], "{runs:?}");
    // Nobody deletes in the scope of the broken file: its edit may have been the protection from any of the policies.
    assert_eq!(left_in(&site, "team-a/web"), ["pr-1", "pr-2", "pr-3", "tmp-1"]);
    assert!(left_in(&site, "team-b/web").is_empty(), "{:?}", left_in(&site, "team-b/web"));
    for policy in ["a", "platform"] {
        let why = runs[policy]["explanation"].as_str().unwrap_or_default().replace(&format!("{}/", site.folder.path().display()), "");
        let expected = "deleting is suspended in team-a/web, because the file of this scope is not valid (teams/a.yaml:11:26: `rule` has no key `kep`); nothing is done in it";
        assert_eq!(why, expected);
    }
    let refusals = "retaind_guard_refusals_total{policy=\"a\",reason=\"suspended\",registry=\"contoso\"}";
    assert_eq!(service.metric(refusals).await, Some(1.0));
    let would = "retaind_manifests_would_delete{policy=\"a\",registry=\"contoso\"}";
    assert_eq!(service.metric(would).await, Some(3.0), "the last valid policies go on planning");
    assert_eq!(service.metric("retaind_config_last_reload_successful").await, Some(0.0));
    let told = service.ready("deletion").await;
    assert!(
        told.starts_with("[+]deletion ok: deleting is suspended in team-a/**, because the file of this scope is not valid ("),
        "{told}"
    );
    assert!(service.ready("configuration").await.contains("because the file of team-a/** is not valid ("));
    let status = service.status().await;
    assert_eq!((&status["suspended"], status["suspended_scopes"][0]["repositories"][0].as_str()), (&Value::Null, Some("team-a/**")));

    site.folder.write("teams/a.yaml", &team("a", ""));
    suspended_in(&service, Some(0)).await;
    assert_eq!(service.ready("deletion").await, "[+]deletion ok");
    assert_eq!(service.ready("configuration").await, "[+]configuration ok");
    let runs = run_all(&service, TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!(outcomes(&runs), [("a", "succeeded"), ("b", "succeeded"), ("platform", "succeeded")], "{runs:?}");
    assert!(left_in(&site, "team-a/web").is_empty(), "{:?}", left_in(&site, "team-a/web"));
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_team_that_is_gone_or_empty_is_never_no_policies() {
    let site = site();
    let service = site.start().await;
    let (file, aside) = (site.folder.path().join("teams/a.yaml"), site.folder.path().join("aside"));
    let mut to_the_next_run = TO_THE_FIRST_RUN_SECONDS;
    for text in [None, Some(""), Some("version: 1\npolicies: []\n"), Some("# kept for later\n")] {
        fs::rename(&file, &aside).expect("moved away");
        if let Some(text) = text {
            site.folder.write("teams/a.yaml", text);
        }
        suspended_in(&service, Some(1)).await;
        let runs = run_all(&service, to_the_next_run).await;
        assert_eq!(outcomes(&runs), [("a", "refused"), ("b", "succeeded"), ("platform", "refused")], "{text:?}: {runs:?}");
        assert_eq!(left_in(&site, "team-a/web").len(), 4, "{text:?}");
        fs::rename(&aside, &file).expect("moved back");
        suspended_in(&service, Some(0)).await;
        to_the_next_run = TO_THE_NEXT_RUN_SECONDS;
    }
    assert!(left_in(&site, "team-b/web").is_empty());
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_matters_everywhere_suspends_deleting_everywhere() {
    let mut site = site();
    let service = site.start().await;
    let folder = site.folder.path().to_owned();
    let settings = fs::read_to_string(folder.join("retaind.yaml")).expect("settings");
    let mut to_the_next_run = TO_THE_FIRST_RUN_SECONDS;
    for broken in ["a file without a scope", "the settings", "a path that cannot be read", "a name that two teams use"] {
        match broken {
            "a file without a scope" => site.edit(&PLATFORM.replace("older_than", "oder_than")),
            "the settings" => drop(site.folder.write("retaind.yaml", &settings.replace("version: 1", "version: 2"))),
            "a path that cannot be read" => {
                fs::rename(folder.join("teams/a.yaml"), folder.join("aside")).expect("moved away");
                symlink("a.yaml", folder.join("teams/a.yaml")).expect("a link to itself");
            }
            _ => drop(site.folder.write("teams/a.yaml", &team("a", "").replace("name: a\n", "name: b\n"))),
        }
        suspended_in(&service, None).await;
        let runs = run_all(&service, to_the_next_run).await;
        assert_eq!(outcomes(&runs), [("a", "refused"), ("b", "refused"), ("platform", "refused")], "{broken}: {runs:?}");
        assert_eq!(deletes(site.emulator()), 0, "{broken}");
        match broken {
            "a file without a scope" => site.edit(PLATFORM),
            "the settings" => drop(site.folder.write("retaind.yaml", &settings)),
            "a path that cannot be read" => fs::rename(folder.join("aside"), folder.join("teams/a.yaml")).expect("moved back"),
            _ => drop(site.folder.write("teams/a.yaml", &team("a", ""))),
        }
        suspended_in(&service, Some(0)).await;
        to_the_next_run = TO_THE_NEXT_RUN_SECONDS;
    }
    let runs = run_all(&service, TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!(outcomes(&runs), [("a", "succeeded"), ("b", "succeeded"), ("platform", "succeeded")], "{runs:?}");
    service.stop().await;
    site.account();
}

/// Of another team's edit beside a broken file nothing may be lost: it may be a protection as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_beside_a_broken_file_is_taken_up() {
    let site = site();
    let service = site.start().await;
    site.folder.write("teams/a.yaml", "version: 1\n");
    site.folder.write("teams/b.yaml", &team("b", "      - { name: audited, keep: { tags: { glob: [\"pr-1\", \"tmp-*\"] } } }\n"));
    suspended_in(&service, Some(1)).await;
    let runs = run_all(&service, TO_THE_FIRST_RUN_SECONDS).await;
    // No run came before, so that there was nothing to differ from.
    assert_eq!(outcomes(&runs), [("a", "refused"), ("b", "succeeded"), ("platform", "refused")], "{runs:?}");
    assert_eq!(left_in(&site, "team-b/web"), ["pr-1", "tmp-1"]);
    assert_eq!(left_in(&site, "team-a/web").len(), 4);
    // The other team's breaks as well, and is repaired first.
    site.folder.write("teams/b.yaml", "");
    suspended_in(&service, Some(2)).await;
    site.folder.write("teams/b.yaml", &team("b", ""));
    suspended_in(&service, Some(1)).await;
    run_all(&service, TO_THE_NEXT_RUN_SECONDS).await;
    let runs = run_all(&service, TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!(outcomes(&runs), [("a", "refused"), ("b", "succeeded"), ("platform", "refused")], "{runs:?}");
    assert!(left_in(&site, "team-b/web").is_empty(), "{:?}", left_in(&site, "team-b/web"));
    assert_eq!(left_in(&site, "team-a/web").len(), 4);
    service.stop().await;
    site.account();
}

/// Whatever else says that something may go: an approval, a run on its way, settings that give the team's repositories to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_lifts_the_suspension_of_a_scope_but_a_valid_file() {
    let site = site();
    let mut gate = Gate::before_deletes(site.emulator());
    let service = site.start().await;
    service.turn_to_a_run(TO_THE_FIRST_RUN_SECONDS).await;
    gate.reached().await;
    // Runs are on their way, and one deletion each at most stands before the gate: what they planned must not go on.
    site.folder.write("teams/a.yaml", "policies: []\n");
    suspended_in(&service, Some(1)).await;
    gate.open();
    run_all(&service, 0).await;
    let kept = left_in(&site, "team-a/web");
    assert!(3 <= kept.len(), "{kept:?}");

    let runs = run_all(&service, TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!(runs["a"]["outcome"], "refused", "{runs:?}");
    let of_a = || {
        let runs = State::open_to_read(&site.state_dir()).and_then(|state| state.runs(100)).expect("the runs");
        runs.into_iter().filter(|run| run.policy == "a").collect::<Vec<_>>()
    };
    let planned = of_a();
    leave_approval(&site.state_dir(), &planned[0].plan_hash).expect("left for the daemon");
    eventually("the approved plan is run", async || planned.len() < of_a().len() && of_a()[0].finished.is_some()).await;
    assert!(matches!(of_a()[0].finished, Some((_, RunOutcome::Refused(_)))), "{:?}", of_a()[0]);
    assert_eq!(left_in(&site, "team-a/web"), kept);

    // A scope that the last valid text does not fit is no reason to believe anything.
    let settings = fs::read_to_string(site.folder.path().join("retaind.yaml")).expect("settings");
    site.folder.write("retaind.yaml", &settings.replace("team-a/**", "team-c/**"));
    suspended_in(&service, None).await;
    run_all(&service, TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!(left_in(&site, "team-a/web"), kept);
    service.stop().await;
    site.account();
}
