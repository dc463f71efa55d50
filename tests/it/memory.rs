//! What the guard makes of earlier runs: changed policies wait, `max_deletes` holds for an hour, a listing that shrank is not believed.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::SignedDuration;
use retaind::clock::Clock;
use retaind::emulator::{Failure, Fault, Locks, Options, Response};
use retaind::model::{Digest, RepositoryName};
use retaind::pipeline::report::{self, Detail, Tally};
use retaind::pipeline::{self, Told};
use retaind::state::{RunOutcome, State, leave_approval};

use crate::stage::{How, Ran, Stage, contoso, policies};

/// Thirty images of five kinds, six of each.
const DRAWING: &str = "
now 2026-06-01T00:00:00Z
repository app
  repeat 6 n image a-{n} tags a-{n} age 9{n}d
  repeat 6 n image b-{n} tags b-{n} age 8{n}d
  repeat 6 n image c-{n} tags c-{n} age 7{n}d
  repeat 6 n image d-{n} tags d-{n} age 6{n}d
  repeat 6 n image e-{n} tags e-{n} age 5{n}d
";

/// A policy that removes these kinds of images.
fn removing(name: &str, kinds: &[&str], limits: &str) -> String {
    let globs: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}-*\"")).collect();
    format!(
        "  - name: {name}
    mode: enforce
    repositories: {{ include: [app] }}
    rules: [{{ name: old, delete: {{ tags: {{ glob: [{}] }}, older_than: 14d }} }}]
    limits: {{ max_delete_percent: 100, keep_at_least: 0{limits} }}
",
        globs.join(", ")
    )
}

fn file(policies: &[String]) -> String {
    format!("version: 1\npolicies:\n{}", policies.concat())
}

fn deleted(ran: &Ran) -> u32 {
    ran.ended.applied.as_ref().map_or(0, |applied| applied.counts().deleted)
}

/// What was printed, in one line.
fn unfolded(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn edit(stage: &mut Stage, text: &str) {
    stage.policies = policies(text);
}

/// The plan's hash, as a person reads it in the report.
fn hash(ran: &Ran) -> &str {
    let (_, rest) = ran.said.split_once(", plan ").unwrap_or_else(|| panic!("no plan: {}", ran.said));
    rest.split_whitespace().next().unwrap_or_default()
}

fn approve(stage: &Stage, plan_hash: &str) -> usize {
    leave_approval(&stage.state_dir(), plan_hash).unwrap_or_else(|error| panic!("{error}"));
    let taken = stage.state().take_approvals(stage.hands.now()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(stage.state().take_approvals(stage.hands.now()).map(|again| again.len()).ok(), Some(0), "it is taken up once");
    taken.iter().map(|approval| approval.runs.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn the_first_run_after_an_edit_only_reports() {
    let mut stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], "")]));
    assert_eq!(deleted(&stage.run("ci").await), 6, "the first policies of all have nothing to differ from");
    edit(&mut stage, &file(&[removing("ci", &["b"], "")]));
    let ran = stage.run("ci").await;
    assert!(ran.ended.refused && ran.said.contains("guard: the policies changed since the last run"), "{}", ran.said);
    assert_eq!(deleted(&stage.run("ci").await), 6);
    assert!(!stage.run("ci").await.ended.refused);
    // A policy with a new name is no way around it.
    edit(&mut stage, &file(&[removing("other", &["c"], "")]));
    assert!(stage.run("other").await.ended.refused);
    assert_eq!(deleted(&stage.run("other").await), 6);
    // Neither is one that was tried in a dry run first: what is new is that it deletes.
    let dry = file(&[removing("third", &["d"], "")]).replace("mode: enforce", "mode: dry-run");
    edit(&mut stage, &dry);
    stage.run("third").await;
    edit(&mut stage, &dry.replace("mode: dry-run", "mode: enforce"));
    assert!(stage.run("third").await.ended.refused);
    assert_eq!(deleted(&stage.run("third").await), 6);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn what_another_policy_no_longer_protects_counts_as_a_change() {
    let keeper = "  - name: keeper
    mode: dry-run
    repositories: { include: [app] }
    rules: [{ name: kept, keep: { tags: { glob: [\"a-1\"] } } }]
";
    let deleter = removing("ci", &["a"], "");
    let mut stage = Stage::new(DRAWING, &file(&[deleter.clone(), keeper.to_owned()]));
    assert_eq!(deleted(&stage.run("ci").await), 5);
    edit(&mut stage, &file(std::slice::from_ref(&deleter)));
    assert!(stage.run("ci").await.ended.refused, "the file of the other policy was dropped");
    assert_eq!(deleted(&stage.run("ci").await), 1);
    // What another policy deletes, and when it runs, is its own affair.
    edit(&mut stage, &file(&[deleter, removing("more", &["c"], "").replace("mode: enforce", "mode: dry-run\n    schedule: \"@daily\"")]));
    assert!(!stage.run("ci").await.ended.refused);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn where_changes_need_approval_no_run_applies_before_it() {
    let mut stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], ", changes: approve")]));
    stage.run("ci").await;
    edit(&mut stage, &file(&[removing("ci", &["b"], ", changes: approve")]));
    for _ in 0..3 {
        assert!(stage.run("ci").await.ended.refused);
    }
    let ran = stage.run("ci").await;
    assert_eq!(approve(&stage, "0123456789ab"), 0, "no run made that plan");
    assert!(stage.run("ci").await.ended.refused);
    assert_eq!(approve(&stage, hash(&ran)), 1);
    assert_eq!(deleted(&stage.run("ci").await), 6);
    // What was approved are the policies: they stay in force.
    stage.emulator.seed("repository app\n  image late tags b-9 age 90d\n").expect("a drawing");
    assert_eq!(deleted(&stage.run("ci").await), 1);
    stage.account();
}

/// Accepting is approving, and at once.
#[tokio::test(start_paused = true)]
async fn an_accepted_run_puts_its_policies_in_force() {
    let approving = |kind: &str| file(&[removing("ci", &[kind], ", changes: approve")]);
    let mut stage = Stage::new(DRAWING, &approving("a"));
    stage.run("ci").await;
    edit(&mut stage, &approving("b"));
    let held_back = stage.run("ci").await;
    let other = stage.try_run("ci", How { accepted: Some("0123456789ab".to_owned()), ..How::default() }).await.expect("a run");
    assert!(held_back.ended.refused && other.ended.refused, "another plan was accepted");
    let accepted = || How { accepted: Some(hash(&held_back).to_owned()), ..How::default() };
    let paused = stage.prepare("ci", accepted());
    let circumstances = pipeline::guard::Circumstances { paused: true, ..paused.circumstances.clone() };
    let ended = pipeline::run(&pipeline::Run { circumstances, ..paused }, &mut |_| ()).await.expect("a run");
    assert!(ended.refused && stage.run("ci").await.ended.refused, "what was held back all the same is not approved");

    assert_eq!(deleted(&stage.try_run("ci", accepted()).await.expect("a run")), 6);
    stage.emulator.seed("repository app\n  image late tags b-9 age 90d\n").expect("a drawing");
    assert_eq!(deleted(&stage.run("ci").await), 1, "the next run needs no word");
    edit(&mut stage, &approving("c"));
    assert!(stage.run("ci").await.ended.refused, "the next edit does");
    stage.account();
}

/// Draining was asked for: that something is left to later runs is no refusal, and is told all the same. What no run has room for is held
/// back.
#[tokio::test(start_paused = true)]
async fn a_drained_backlog_is_not_refused() {
    let mut stage = Stage::new(DRAWING, &file(&[removing("ci", &["a", "b"], ", max_deletes: 7, on_limit: oldest_first")]));
    let last = |stage: &Stage| {
        let run = stage.state().runs(1).expect("the runs").remove(0);
        run.finished.expect("it ended").1
    };
    let ran = stage.run("ci").await;
    assert_eq!((deleted(&ran), ran.ended.refused), (7, false), "{}", ran.said);
    let sentence =
        "the run would remove 12 manifests and tags, over its limits; 7 of them go now, the oldest images first, 5 in later runs";
    assert_eq!(last(&stage), RunOutcome::Drained(sentence.to_owned()));
    // Within the same hour nothing goes, and that is no refusal either.
    let ran = stage.run("ci").await;
    assert_eq!((deleted(&ran), ran.ended.refused), (0, false), "{}", ran.said);
    assert!(matches!(last(&stage), RunOutcome::Drained(why) if why.contains("0 of them go now, the oldest images first, 5 in later runs")));
    let success = stage.state().last_run("ci", &contoso()).expect("the last run").1;
    assert_eq!(success, Some(stage.hands.now()), "it did what it was to do");
    stage.hands.turn(2 * 3_600);
    let ran = stage.run("ci").await;
    assert_eq!((deleted(&ran), ran.ended.refused, last(&stage)), (5, false, RunOutcome::Applied), "{}", ran.said);

    stage.emulator.seed("repository app\n  index wide tags a-99 age 99d platforms linux/amd64, linux/arm64\n").expect("a drawing");
    stage.emulator.seed("repository app\n  repeat 3 n image more-{n} tags a-9{n} age 98d\n").expect("a drawing");
    stage.hands.turn(2 * 3_600);
    edit(&mut stage, &file(&[removing("ci", &["a", "b"], ", max_deletes: 2, on_limit: oldest_first, changes: immediately")]));
    stage.run("ci").await;
    let mut tally = Tally::default();
    let run = stage.prepare("ci", How::default());
    stage.hands.turn(2 * 3_600);
    let ended = pipeline::run(&run, &mut |told| match told {
        Told::Planned(decided) => tally.plan(decided),
        Told::Applied(applied) => tally.apply(applied),
    })
    .await
    .expect("a run");
    drop(run);
    assert_eq!((tally.deleted, tally.left_to_later_runs, ended.refused), (2, 1, true));
    assert_eq!(tally.refusals, BTreeMap::from([("fits_no_run", 1)]));
    let sentence =
        "3 manifests and tags are of images that no run has room for within its limits; raise the limit, or accept this plan by its hash";
    assert_eq!(last(&stage), RunOutcome::Refused(sentence.to_owned()));
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn an_approval_lifts_the_limits_for_that_plan_and_for_a_day() {
    let stage = Stage::new(DRAWING, &file(&[removing("ci", &["a", "b"], ", max_deletes: 6")]));
    let ran = stage.run("ci").await;
    assert!(ran.ended.refused, "{}", ran.said);
    assert_eq!(approve(&stage, hash(&ran)), 1);
    stage.hands.turn(24 * 3_600 + 1);
    assert!(stage.run("ci").await.ended.refused, "a day later");
    assert_eq!(approve(&stage, hash(&ran)), 1);
    stage.emulator.seed("repository app\n  image late tags a-9 age 90d\n").expect("a drawing");
    assert!(stage.run("ci").await.ended.refused, "another plan");
    let now = stage.run("ci").await;
    assert_eq!(approve(&stage, hash(&now)), 1);
    assert_eq!(deleted(&stage.run("ci").await), 13);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn max_deletes_holds_for_an_hour_over_all_policies_of_a_registry() {
    let text = file(&[removing("first", &["a"], ", max_deletes: 8"), removing("second", &["b"], ", max_deletes: 8")]);
    let stage = Stage::new(DRAWING, &text);
    assert_eq!(deleted(&stage.run("first").await), 6);
    let ran = stage.run("second").await;
    let told = "guard: the run would remove 6 manifests and tags, 6 went in the last hour, max_deletes allows 8";
    assert!(ran.ended.refused && unfolded(&ran.said).contains(told), "{}", ran.said);
    stage.hands.turn(3_601);
    assert_eq!(deleted(&stage.run("second").await), 6);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_shrank_is_not_believed_until_it_is_approved() {
    let stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], "")]));
    assert_eq!(deleted(&stage.run("ci").await), 6, "what it deletes itself does not count");
    let name = RepositoryName::parse("app").expect("a name");
    // Eight of the twenty-four that are left; one is pushed.
    for tag in ["b-1", "b-2", "b-3", "b-4", "b-5", "b-6", "c-1", "c-2"] {
        let digest: retaind::model::Digest = stage.digest("app", tag).to_string().parse().expect("a digest");
        stage.client().delete_manifest(&name, digest).await.expect("deleted by somebody else");
    }
    stage.emulator.seed("repository app\n  image late tags a-9 age 90d\n").expect("a drawing");
    for _ in 0..3 {
        let ran = stage.run("ci").await;
        assert!(ran.ended.refused && unfolded(&ran.said).contains("guard: app has 17 manifests where 24 should be"), "{}", ran.said);
    }
    assert_eq!(approve(&stage, hash(&stage.run("ci").await)), 1);
    assert_eq!(deleted(&stage.run("ci").await), 1);
    stage.emulator.seed("repository app\n  image later tags a-8 age 90d\n").expect("a drawing");
    assert_eq!(deleted(&stage.run("ci").await), 1, "the listing is believed from now on");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_takes_no_more_writes_stops_deleting_and_not_planning() {
    let stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], "")]));
    drop(stage.state());
    let mut run = stage.prepare("ci", How::default());
    // As on a full disk: everything can be read, nothing written.
    run.state = State::open_to_read(&stage.state_dir()).unwrap_or_else(|error| panic!("{error}"));
    let mut said = String::new();
    let ended = pipeline::run(&run, &mut |told| match told {
        Told::Planned(decided) => said = report::plan_as_text(decided, Detail::Changes),
        Told::Applied(applied) => said += &report::applied(applied),
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
    assert!(ended.refused && ended.applied.is_none(), "{said}");
    assert!(said.contains("delete  6 images") && said.contains("guard: deleting is suspended, because"), "{said}");
    drop(run);
    assert_eq!((stage.writes(), deleted(&stage.run("ci").await)), (0, 6), "once there is room again");
    stage.account();
}

/// A plan that somebody saved says nothing about policies that were edited afterwards.
#[tokio::test(start_paused = true)]
async fn a_saved_plan_puts_no_edit_in_force() {
    let mut stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], ", changes: approve")]));
    stage.run("ci").await;
    let saved = stage.plan("ci", stage.state(), Detail::Changes).await.unwrap_or_else(|error| panic!("{error}"));
    let saved = report::plan_from_json(&saved.json).unwrap_or_else(|error| panic!("{error}"));
    edit(&mut stage, &file(&[removing("ci", &["b"], ", changes: approve")]));
    let ran = stage.try_run("ci", How { agreed: Some(&saved), ..How::default() }).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(deleted(&ran), 0);
    assert!(stage.run("ci").await.ended.refused, "nobody saw what the edit does");
}

#[tokio::test(start_paused = true)]
async fn an_edit_does_not_waive_its_own_wait() {
    let mut stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], ", changes: approve")]));
    stage.run("ci").await;
    for changes in [", changes: immediately", ""] {
        edit(&mut stage, &file(&[removing("ci", &["b"], changes)]));
        for _ in 0..2 {
            assert!(stage.run("ci").await.ended.refused, "{changes}");
        }
    }
    assert_eq!(approve(&stage, hash(&stage.run("ci").await)), 1);
    assert_eq!(deleted(&stage.run("ci").await), 6);
}

#[tokio::test(start_paused = true)]
async fn equal_steps_of_other_policies_are_another_plan() {
    let mut stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], ", changes: approve")]));
    let first = hash(&stage.run("ci").await).to_owned();
    let same = hash(&stage.run("ci").await).to_owned();
    edit(&mut stage, &file(&[removing("ci", &["a", "nothing-is-called-so"], ", changes: approve")]));
    let edited = hash(&stage.run("ci").await).to_owned();
    assert_ne!(same, edited, "both plan nothing");
    assert_ne!(first, edited);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_could_read_nothing_does_not_count_as_seen() {
    let mut stage = Stage::new(DRAWING, &file(&[removing("ci", &["a"], "")]));
    stage.run("ci").await;
    edit(&mut stage, &file(&[removing("ci", &["b"], "")]));
    let fault = Fault {
        method: None,
        path_contains: "/_manifests".to_owned(),
        after: 0,
        times: 1,
        failure: Failure::Respond(Response { status: StatusCode::NOT_FOUND, ..Response::default() }),
    };
    stage.emulator.inject(fault);
    let ran = stage.run("ci").await;
    assert_eq!((ran.ended.incomplete, deleted(&ran)), (1, 0), "{}", ran.said);
    assert!(stage.run("ci").await.ended.refused, "this is the first report of what the edit does");
    assert_eq!(deleted(&stage.run("ci").await), 6);
}

/// Indexes count once for each of their platforms, however they go.
#[tokio::test(start_paused = true)]
async fn what_goes_with_an_index_is_taken_off_once() {
    let drawing = "
now 2026-06-01T00:00:00Z
repository app
  repeat 8 n index a-{n} tags a-{n} age 9{n}d platforms linux/amd64, linux/arm64, linux/s390x
  repeat 24 n image b-{n} tags b-{n} age 30d
";
    let stage = Stage::new(drawing, &file(&[removing("ci", &["a"], "")]));
    assert_eq!(deleted(&stage.run("ci").await), 32);
    let name = RepositoryName::parse("app").expect("a name");
    for number in 1..=8 {
        let digest: Digest = stage.digest("app", &format!("b-{number}")).to_string().parse().expect("a digest");
        stage.client().delete_manifest(&name, digest).await.expect("deleted by somebody else");
    }
    stage.emulator.seed("repository app\n  image late tags a-9 age 90d\n").expect("a drawing");
    let ran = stage.run("ci").await;
    assert!(unfolded(&ran.said).contains("guard: app has 17 manifests where 24 should be"), "{}", ran.said);
}

/// A clock that was behind for a run must not make what it saw look old to the next one.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock_leaves_no_false_ages_behind() {
    let drawing = "
now 2026-06-01T00:00:00Z
repository app
  repeat 4 n image loose-{n} untagged age 90d
  image kept tags 1.0 age 90d
";
    let rules = removing("ci", &["x"], "").replace("tags: { glob: [\"x-*\"] }, older_than: 14d", "untagged: true, older_than: 7d");
    let stage = Stage::new(drawing, &file(&[rules]));
    let mut run = stage.prepare("ci", How::default());
    let behind = stage.hands.now() - SignedDuration::from_hours(30 * 24);
    run.clock = Clock::new(move || behind);
    run.client = stage.client_at(run.clock.clone());
    let ended = pipeline::run(&run, &mut |_| {}).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(ended.refused && ended.incomplete == 1, "{ended:?}");
    drop(run);
    let ran = stage.run("ci").await;
    assert_eq!(deleted(&ran), 0, "they have been seen untagged since now: {}", ran.said);
    stage.hands.turn(7 * 86_400 + 1);
    assert_eq!(deleted(&stage.run("ci").await), 4);
}

/// A rule with a waiting time has to have condemned an image in every run. While its policy leaves the repository out, no run does.
#[tokio::test(start_paused = true)]
async fn what_a_policy_left_out_for_a_run_waits_anew() {
    let waiting = |exclude: &str| {
        let policy = removing("ci", &["a"], ", changes: immediately");
        let policy = policy.replace("older_than: 14d", "older_than: 14d, condemned_for: 3d");
        file(&[policy.replace("include: [app]", &format!("include: [\"**\"], exclude: [{exclude}]"))])
    };
    let drawing = format!("{DRAWING}repository other\n  image one tags 1.0 age 90d\n");
    const DAY: i64 = 86_400;
    let mut stage = Stage::new(&drawing, &waiting("none"));
    assert_eq!(deleted(&stage.run("ci").await), 0, "they are condemned for the first time");
    stage.hands.turn(2 * DAY);
    edit(&mut stage, &waiting("app"));
    let ran = stage.run("ci").await;
    assert!(!ran.said.contains("app:"), "{}", ran.said);
    stage.hands.turn(2 * DAY);
    edit(&mut stage, &waiting("none"));
    let ran = stage.run("ci").await;
    assert_eq!(deleted(&ran), 0, "two days of four nobody condemned them: {}", ran.said);
    assert!(ran.said.contains("rule old deletes it when it has been condemned for 3d"), "{}", ran.said);
    stage.hands.turn(3 * DAY);
    assert_eq!(deleted(&stage.run("ci").await), 0, "three days are not more than three");
    stage.hands.turn(1);
    assert_eq!(deleted(&stage.run("ci").await), 6);
    stage.account();
}

/// What lists do not show may need what they show: here the index of two loose manifests.
#[tokio::test(start_paused = true)]
async fn a_registry_that_hides_manifests_from_its_lists_is_left_alone() {
    let drawing = "
now 2026-06-01T00:00:00Z
repository app
  index hidden tags prod platforms linux/amd64, linux/arm64 age 90d
  image kept   tags 1.0  age 90d
";
    let rules = removing("ci", &["x"], "")
        .replace("tags: { glob: [\"x-*\"] }, older_than: 14d", "untagged: true, older_than: 7d, adopt_backlog: true");
    let mut options = Options::default();
    options.assume("unlisted=hidden").expect("an answer");
    let stage = Stage::with(drawing, &file(&[rules]), options);
    let unlisted = Locks { list: false, ..Locks::OPEN };
    stage.emulator.lock_tag("app", "prod", unlisted).expect("the tag is there");
    stage.emulator.lock_manifest("app", stage.digest("app", "hidden"), unlisted).expect("the manifest is there");
    let ran = stage.run("ci").await;
    assert_eq!((ran.ended.incomplete, deleted(&ran), stage.writes()), (1, 0, 0), "{}", ran.said);
    assert!(unfolded(&ran.said).contains("the registry tells of 4 manifests and lists 3: some are hidden"), "{}", ran.said);
}
