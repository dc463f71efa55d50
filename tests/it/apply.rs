//! What happens between a plan and its end: others push, move and lock, answers get lost, the registry throttles, the journal is full.
//! Each test looks at who survived, at what the run said of it, and at whether the journal accounts for every request.

use std::sync::Mutex;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use retaind::emulator::{Digest, Emulator, Failure, Fault, Locks, Options, Permissions, RequestInfo, Response};
use retaind::pipeline::apply::{Brakes, Outcome, StepKind};
use retaind::state::{Outcome as JournalOutcome, RunOutcome};
use tokio::time::Instant;

use crate::stage::{How, Ran, Stage};
use crate::support::entra;

const APP: &str = "
now 2026-06-01T00:00:00Z
repository app
  image one   tags pr-1        age 90d
  image two   tags pr-2, pr-2b age 80d
  index multi tags pr-3        age 70d platforms linux/amd64, linux/arm64
  image mixed tags pr-4, 1.1   age 60d
  image kept  tags 1.0         age 50d
";

const POLICIES: &str = r#"
version: 1
policies:
  - name: ci
    mode: enforce
    repositories: { include: ["**"] }
    rules: [{ name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }]
    limits: { keep_at_least: 0 }
"#;

/// The names of what is in the repository.
fn left(stage: &Stage) -> Vec<String> {
    let rendered = stage.emulator.render();
    let manifests = rendered.lines().filter_map(|line| line.strip_prefix("  "));
    manifests.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// What became of the steps on a manifest that is drawn with this name.
fn outcomes(stage: &Stage, ran: &Ran, name: &str) -> Vec<Outcome> {
    let digest = stage.digest("app", name).to_string();
    let steps = ran.applied().repositories.iter().flat_map(|repository| &repository.steps);
    steps.filter(|step| step.digest.to_string() == digest).map(|step| step.outcome.clone()).collect()
}

fn stopped(ran: &Ran) -> String {
    let stopped = ran.applied().repositories[0].stopped.as_ref();
    stopped.unwrap_or_else(|| panic!("it did not stop:\n{}", ran.said)).to_string()
}

/// Does something to the registry right before the `number`th request that fits takes effect.
fn before(
    stage: &Stage,
    number: usize,
    fits: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static,
    act: impl FnOnce(&Emulator) + Send + 'static,
) {
    let waiting = Mutex::new((number, Some(act)));
    stage.emulator.on_request(Box::new(move |request, emulator| {
        if !fits(request) {
            return;
        }
        let mut waiting = waiting.lock().expect("nobody panicked");
        waiting.0 -= usize::from(0 < waiting.0);
        let act = if waiting.0 == 0 { waiting.1.take() } else { None };
        drop(waiting);
        if let Some(act) = act {
            act(emulator);
        }
    }));
}

fn is(method: Method, path: String) -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    move |request| request.method == method && request.path == path
}

/// The read of a manifest's properties, which comes right before its deletion and in no listing.
fn reread(digest: Digest) -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    is(Method::GET, format!("/acr/v1/app/_manifests/{digest}"))
}

fn deletion(digest: Digest) -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    is(Method::DELETE, format!("/v2/app/manifests/{digest}"))
}

/// The read of the repository's properties: the first one belongs to the listing, the second one begins the first probe.
fn look_at_repository() -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    is(Method::GET, "/acr/v1/app".to_owned())
}

fn answer(status: StatusCode, headers: &[(&'static str, &'static str)], code: &str) -> Response {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().expect("a header"), HeaderValue::from_static(value))).collect();
    Response { status, headers, body: format!(r#"{{"errors":[{{"code":"{code}","message":"on order"}}]}}"#) }
}

/// Goes wrong with the deletion of a manifest, so many times.
fn fail_deletion(stage: &Stage, name: &str, times: usize, failure: Failure) {
    let path_contains = format!("/v2/app/manifests/{}", stage.digest("app", name));
    stage.emulator.inject(Fault { method: Some(Method::DELETE), path_contains, after: 0, times, failure });
}

/// After whatever happened, a quiet run finishes the job, and then there is nothing left to do.
async fn finish(stage: &Stage, survivors: &[&str]) {
    stage.emulator.on_request(Box::new(|_, _| {}));
    stage.hands.turn(60);
    stage.run("ci").await;
    assert_eq!(left(stage), survivors);
    assert!(stage.plan_again("ci").await.is_empty);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn an_undisturbed_run_does_what_it_planned() {
    let stage = Stage::new(APP, POLICIES);
    let ran = stage.run("ci").await;
    assert!(ran.applied().is_complete());
    assert_eq!(left(&stage), ["kept", "mixed"]);
    stage.account();
    let journal = stage.journal();
    assert_eq!((journal.len(), stage.writes()), (6, 6), "five manifests and a tag");
    assert!(journal.iter().all(|entry| matches!(&entry.concluded, Some((_, JournalOutcome::Done)))));
    assert_eq!(stage.state().runs(1).expect("the runs")[0].finished.as_ref().map(|(_, outcome)| outcome), Some(&RunOutcome::Applied));
}

/// Something happens to the image `two` between the plan and its deletion: it stays, the others go.
async fn check_race(what: &str, change: impl FnOnce(&Emulator, Digest) + Send + 'static, said: &str) {
    let stage = Stage::new(APP, POLICIES);
    let two = stage.digest("app", "two");
    before(&stage, 1, reread(two), move |emulator| change(emulator, two));
    let ran = stage.run("ci").await;
    assert_eq!(outcomes(&stage, &ran, "two"), [Outcome::Skipped(said.to_owned())], "{what}");
    assert_eq!(left(&stage), ["kept", "mixed", "two"], "{what}");
    assert!(!stage.emulator.requests().iter().any(|request| request.path.contains(&two.to_string())), "{what}");
    stage.account();
    assert_eq!(stage.state().runs(1).expect("the runs")[0].finished.as_ref().map(|(_, outcome)| outcome), Some(&RunOutcome::Partial));
}

#[tokio::test(start_paused = true)]
async fn what_changed_since_the_plan_stays() {
    let kept = Stage::new(APP, POLICIES).digest("app", "kept");
    check_race(
        "a tag is moved away",
        move |emulator, _| emulator.move_tag("app", "pr-2b", kept).expect("the tag"),
        &format!("its tag pr-2b was moved to @{} since the listing", kept.short()),
    )
    .await;
    check_race(
        "a tag is pushed again",
        |emulator, two| emulator.move_tag("app", "pr-2b", two).expect("the tag"),
        "its tag pr-2b was pushed again since the listing",
    )
    .await;
    check_race(
        "a tag is locked",
        |emulator, _| emulator.lock_tag("app", "pr-2b", Locks::NO_DELETE).expect("the tag"),
        "its tag pr-2b was locked since the listing",
    )
    .await;
    check_race(
        "a tag is locked against writing",
        |emulator, _| emulator.lock_tag("app", "pr-2", Locks::NO_WRITE).expect("the tag"),
        "its tag pr-2 was locked since the listing",
    )
    .await;
    check_race(
        "the manifest is locked",
        |emulator, two| emulator.lock_manifest("app", two, Locks::NO_DELETE).expect("the manifest"),
        "it was locked since the listing",
    )
    .await;
    check_race(
        "it gets one more tag",
        |emulator, two| emulator.move_tag("app", "production", two).expect("the manifest"),
        "it was tagged production since the listing",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_went_by_itself_is_one_name_less() {
    let stage = Stage::new(APP, POLICIES);
    before(&stage, 1, reread(stage.digest("app", "two")), |emulator| emulator.remove_tag("app", "pr-2b").expect("the tag"));
    assert!(stage.run("ci").await.applied().is_complete());
    assert_eq!(left(&stage), ["kept", "mixed"]);
    stage.account();
}

/// Somebody pushes after the listing and before the first deletion.
async fn check_push(what: &str, pushed: &'static str, spared: &str, survivors: &[&str]) {
    let stage = Stage::new(APP, POLICIES);
    before(&stage, 2, look_at_repository(), move |emulator| drop(emulator.seed(pushed).expect("a drawing")));
    let ran = stage.run("ci").await;
    assert_eq!(left(&stage), survivors, "{what}\n{}", ran.said);
    assert_eq!(outcomes(&stage, &ran, spared), [Outcome::Skipped("something pushed since the listing needs it".to_owned())], "{what}");
    assert!(!stage.emulator.render().contains("gone:"), "{what}: {}", stage.emulator.render());
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn what_a_push_since_the_plan_needs_stays() {
    check_push("an index of an image", "repository app\n  index new of two tags new", "two", &["kept", "mixed", "new", "two"]).await;
    check_push(
        "an index of a child",
        "repository app\n  index new of multi/linux/arm64 tags new",
        "multi/linux/arm64",
        &["kept", "mixed", "multi/linux/arm64", "new"],
    )
    .await;
    check_push(
        "an index of an index",
        "repository app\n  index new of multi tags new",
        "multi",
        &["kept", "mixed", "multi", "multi/linux/amd64", "multi/linux/arm64", "new"],
    )
    .await;
    check_push(
        "a referrer",
        "repository app\n  artifact new subject one type application/spdx+json",
        "one",
        &["kept", "mixed", "new", "one"],
    )
    .await;
    check_push("a companion", "repository app\n  image new companion one .sig", "one", &["kept", "mixed", "new", "one"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_a_new_index_took_while_its_old_one_was_deleted_stays() {
    let stage = Stage::new(APP, POLICIES);
    before(&stage, 1, deletion(stage.digest("app", "multi")), |emulator| {
        drop(emulator.seed("repository app\n  index new of multi/linux/arm64 tags new").expect("a drawing"));
    });
    let ran = stage.run("ci").await;
    assert_eq!(left(&stage), ["kept", "mixed", "multi/linux/arm64", "new"], "{}", ran.said);
    stage.account();
    // It was left behind by the old index, and is needed all the same.
    finish(&stage, &["kept", "mixed", "multi/linux/arm64", "new"]).await;
}

#[tokio::test(start_paused = true)]
async fn more_pushes_than_one_look_shows_stop_the_repository() {
    let stage = Stage::new(APP, POLICIES);
    before(&stage, 2, look_at_repository(), |emulator| {
        drop(emulator.seed("repository app\n  repeat 20 n image new-{n} tags new-{n}").expect("a drawing"));
    });
    let ran = stage.run("ci").await;
    assert_eq!(stopped(&ran), "more came since the listing than one look shows; the next run lists it again");
    assert_eq!((stage.writes(), ran.applied().counts().not_reached), (0, 6));
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_was_locked_since_the_plan_stops_and_the_others_go_on() {
    let other = "repository other\n  image old tags pr-1 age 90d\n  image new tags 1.0 age 90d\n";
    let stage = Stage::new(&format!("{APP}{other}"), POLICIES);
    before(&stage, 2, look_at_repository(), |emulator| {
        emulator.lock_repository("app", Locks::NO_DELETE).expect("the repository");
    });
    let ran = stage.run("ci").await;
    assert_eq!(stopped(&ran), "the repository was locked since the listing");
    assert_eq!(ran.applied().counts().not_reached, 6);
    let requests: Vec<String> = stage.emulator.requests().into_iter().map(|request| request.path).collect();
    assert!(requests.iter().all(|path| path.starts_with("/v2/other/")), "{requests:?}");
    assert_eq!(requests.len(), 1);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_only_the_registry_knew_of_is_a_refusal() {
    let stage = Stage::new(APP, POLICIES);
    let two = stage.digest("app", "two");
    before(&stage, 1, deletion(two), move |emulator| emulator.lock_manifest("app", two, Locks::NO_DELETE).expect("the manifest"));
    let ran = stage.run("ci").await;
    assert_eq!(outcomes(&stage, &ran, "two"), [Outcome::Skipped("the registry says that it is locked".to_owned())]);
    assert_eq!(left(&stage), ["kept", "mixed", "two"]);
    assert!(stage.journal().iter().any(|entry| matches!(&entry.concluded, Some((_, JournalOutcome::Refused(_))))));
    finish(&stage, &["kept", "mixed", "two"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_already_counts_as_done() {
    let stage = Stage::new(APP, POLICIES);
    let two = stage.digest("app", "two");
    before(&stage, 1, reread(two), move |emulator| emulator.make_ghost("app", two).expect("the manifest"));
    fail_deletion(&stage, "one", 1, Failure::Respond(answer(StatusCode::NOT_FOUND, &[], "MANIFEST_UNKNOWN")));
    let ran = stage.run("ci").await;
    assert_eq!(outcomes(&stage, &ran, "one"), [Outcome::AlreadyGone]);
    assert_eq!(outcomes(&stage, &ran, "two"), [Outcome::AlreadyGone]);
    assert!(ran.applied().is_complete());
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn a_404_in_other_words_than_the_registrys_is_no_deletion() {
    let stage = Stage::new(APP, POLICIES);
    fail_deletion(&stage, "multi", 1, Failure::Respond(Response { status: StatusCode::NOT_FOUND, ..Response::default() }));
    let ran = stage.run("ci").await;
    assert!(matches!(outcomes(&stage, &ran, "multi")[..], [Outcome::Failed(_)]), "{}", ran.said);
    assert_eq!(left(&stage), ["kept", "mixed", "multi", "multi/linux/amd64", "multi/linux/arm64"]);
    finish(&stage, &["kept", "mixed"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_resolved_by_reading() {
    let bad_gateway = || answer(StatusCode::BAD_GATEWAY, &[], "UNKNOWN");
    let cases = [
        ("dropped after the effect", Failure::DropAfterEffect, true),
        ("dropped before the effect", Failure::DropBeforeEffect, false),
        ("a gateway's answer after the effect", Failure::RespondAfterEffect(bad_gateway()), true),
        ("a gateway's answer before the effect", Failure::Respond(bad_gateway()), false),
        ("no answer for ever", Failure::Hang, false),
    ];
    for (what, failure, was_done) in cases {
        let stage = Stage::new(APP, POLICIES);
        fail_deletion(&stage, "multi", 1, failure);
        let ran = stage.run("ci").await;
        let survivors: &[&str] =
            if was_done { &["kept", "mixed"] } else { &["kept", "mixed", "multi", "multi/linux/amd64", "multi/linux/arm64"] };
        assert_eq!(left(&stage), survivors, "{what}\n{}", ran.said);
        let resolved = if was_done { JournalOutcome::ResolvedDone } else { JournalOutcome::ResolvedNotDone };
        let journal = stage.journal();
        let found = journal.iter().filter(|entry| entry.concluded.as_ref().is_some_and(|(_, outcome)| *outcome == resolved)).count();
        assert_eq!(found, 1, "{what}: {journal:?}");
        if !was_done {
            // Whoever needs the children is still there, so they were not even tried.
            let skipped = outcomes(&stage, &ran, "multi/linux/arm64");
            assert!(
                matches!(&skipped[..], [Outcome::Skipped(why)] if why.ends_with("which needs it, is still there")),
                "{what}: {skipped:?}"
            );
        }
        stage.account();
        finish(&stage, &["kept", "mixed"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_untag_whose_answer_is_lost_is_resolved_by_reading() {
    for (failure, tags) in [(Failure::DropAfterEffect, "mixed tags 1.1"), (Failure::DropBeforeEffect, "mixed tags 1.1, pr-4")] {
        let stage = Stage::new(APP, POLICIES);
        stage.emulator.inject(Fault::once(Method::DELETE, "/_tags/pr-4", failure));
        stage.run("ci").await;
        assert!(stage.emulator.render().contains(&format!("{tags}\n")), "{}", stage.emulator.render());
        stage.account();
        finish(&stage, &["kept", "mixed"]).await;
        assert!(stage.emulator.render().contains("mixed tags 1.1\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_either_is_resolved_by_the_next_run() {
    for failure in [Failure::DropAfterEffect, Failure::DropBeforeEffect] {
        let stage = Stage::new(APP, POLICIES);
        let multi = stage.digest("app", "multi");
        fail_deletion(&stage, "multi", 1, failure);
        // The first read is the one before the deletion.
        let path_contains = format!("/acr/v1/app/_manifests/{multi}");
        let dead = Fault { method: Some(Method::GET), path_contains, after: 1, times: 4, failure: Failure::DropBeforeEffect };
        stage.emulator.inject(dead);
        let ran = stage.run("ci").await;
        let said = outcomes(&stage, &ran, "multi");
        assert!(matches!(&said[..], [Outcome::Failed(why)] if why.ends_with("the next run reads what happened")), "{said:?}");
        assert_eq!(stage.state().open_intents(&crate::stage::contoso()).expect("the journal").len(), 1);
        assert!(left(&stage).contains(&"multi/linux/amd64".to_owned()), "its children are not touched while nobody knows");
        finish(&stage, &["kept", "mixed"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn bursts_of_server_errors_are_waited_out() {
    let stage = Stage::new(APP, POLICIES);
    let burst = |method: Method, path: &str, after| Fault {
        method: Some(method),
        path_contains: path.to_owned(),
        after,
        times: 5,
        failure: Failure::Respond(answer(StatusCode::SERVICE_UNAVAILABLE, &[], "UNAVAILABLE")),
    };
    for after in [0, 10, 20] {
        stage.emulator.inject(burst(Method::GET, "", after));
    }
    let ran = stage.run("ci").await;
    assert!(ran.applied().is_complete(), "{}", ran.said);
    assert_eq!(left(&stage), ["kept", "mixed"]);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn throttled_deletions_wait_as_long_as_they_are_told_and_are_announced_once() {
    let stage = Stage::new(APP, POLICIES);
    let throttled = answer(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "7")], "TOOMANYREQUESTS");
    fail_deletion(&stage, "one", 3, Failure::Respond(throttled));
    let begun = Instant::now();
    let ran = stage.run("ci").await;
    let waited = begun.elapsed();
    assert!(Duration::from_secs(21) <= waited && waited < Duration::from_secs(30), "{waited:?}");
    assert!(ran.applied().is_complete());
    assert_eq!(left(&stage), ["kept", "mixed"]);
    assert_eq!((stage.journal().len(), stage.writes()), (6, 9));
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_fails_every_time_is_left_alone_after_ten_steps() {
    let drawing =
        "now 2026-06-01T00:00:00Z\nrepository app\n  repeat 30 n image old-{n} tags pr-{n} age 90d\n  image kept tags 1.0 age 90d\n";
    let policies = POLICIES.replace("keep_at_least: 0", "keep_at_least: 0, max_delete_percent: 100");
    let stage = Stage::new(drawing, &policies);
    let failure = Failure::Respond(answer(StatusCode::INTERNAL_SERVER_ERROR, &[], "UNKNOWN"));
    stage.emulator.inject(Fault { method: Some(Method::DELETE), path_contains: String::new(), after: 0, times: 1000, failure });
    let ran = stage.run("ci").await;
    assert!(stopped(&ran).starts_with("10 steps in a row failed"), "{}", stopped(&ran));
    // Up to five are on their way side by side.
    assert!((10..15).contains(&stage.writes()), "{}", stage.writes());
    assert_eq!(left(&stage).len(), 31);
    stage.account();
}

/// Makes every write of this kind to the journal fail, as a full disk does.
fn break_journal(stage: &Stage, kind: &str) -> impl FnOnce(&Emulator) + Send + 'static {
    let file = stage.state_dir().join("retaind.sqlite3");
    let trigger =
        format!("CREATE TRIGGER broken BEFORE {kind} ON intent BEGIN SELECT RAISE(ABORT, 'the disk is full, says the test'); END");
    move |_| rusqlite::Connection::open(file).expect("the journal").execute_batch(&trigger).expect("a trigger")
}

fn mend_journal(stage: &Stage) {
    let file = stage.state_dir().join("retaind.sqlite3");
    rusqlite::Connection::open(file).expect("the journal").execute_batch("DROP TRIGGER broken").expect("no trigger");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_that_the_journal_cannot_announce() {
    let stage = Stage::new(APP, POLICIES);
    before(&stage, 2, look_at_repository(), break_journal(&stage, "INSERT"));
    let ran = stage.run("ci").await;
    assert!(stopped(&ran).starts_with("the journal cannot be written"), "{}", stopped(&ran));
    assert_eq!((stage.writes(), ran.applied().counts().not_reached), (0, 6));
    mend_journal(&stage);
    finish(&stage, &["kept", "mixed"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_the_journal_cannot_take_stops_the_run_and_is_read_by_the_next() {
    let stage = Stage::new(APP, POLICIES);
    before(&stage, 1, deletion(stage.digest("app", "one")), break_journal(&stage, "UPDATE"));
    let ran = stage.run("ci").await;
    assert!(stopped(&ran).starts_with("the journal cannot be written"), "{}", stopped(&ran));
    let open = stage.state().open_intents(&crate::stage::contoso()).expect("the journal").len();
    assert!(0 < open && open <= 5, "{open}");
    mend_journal(&stage);
    finish(&stage, &["kept", "mixed"]).await;
}

/// Runs with brakes that are pulled when the deletion of this image is on its way.
async fn stop_at(stage: &Stage, name: &str) -> Ran {
    let brakes = Brakes::new();
    let pulled = brakes.clone();
    before(stage, 1, deletion(stage.digest("app", name)), move |_| pulled.pull());
    stage.try_run("ci", How { brakes, ..How::default() }).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(start_paused = true)]
async fn pulled_brakes_let_the_request_on_its_way_finish_and_begin_nothing_new() {
    let stage = Stage::new(APP, POLICIES);
    let ran = stop_at(&stage, "one").await;
    assert_eq!(stopped(&ran), "it was asked to stop");
    assert_eq!(outcomes(&stage, &ran, "one"), [Outcome::Done]);
    assert!(0 < ran.applied().counts().not_reached);
    let deletes = stage.emulator.requests().iter().filter(|request| request.path.starts_with("/v2/")).count();
    assert_eq!(deletes, 1);
    stage.account();
    let runs = stage.state().runs(1).expect("the runs");
    assert!(matches!(runs[0].finished, Some((_, RunOutcome::Interrupted(_)))), "{runs:?}");
    finish(&stage, &["kept", "mixed"]).await;
}

#[tokio::test(start_paused = true)]
async fn children_that_an_interrupted_run_left_behind_go_in_the_next() {
    let stage = Stage::new(APP, POLICIES);
    let ran = stop_at(&stage, "multi").await;
    assert!(left(&stage).contains(&"multi/linux/arm64".to_owned()) && !left(&stage).contains(&"multi".to_owned()), "{}", ran.said);
    let planned = stage.plan_again("ci").await;
    assert!(planned.text.contains("an earlier run deleted the image that needed it"), "{}", planned.text);
    finish(&stage, &["kept", "mixed"]).await;
}

const SIGNED: &str = "
now 2026-06-01T00:00:00Z
repository app
  image signed tags pr-1  age 90d
  image signature      companion signed .sig     age 90d
  image countersigned  companion signature .sig  age 90d
  artifact sbom  subject signed  type application/spdx+json  age 90d
  image orphan tags sha256-00000000000000000000000000000000000000000000000000000000000000ff.sig  age 90d
  image kept   tags 1.0   age 50d
";

#[tokio::test(start_paused = true)]
async fn companions_that_an_interrupted_run_left_behind_go_in_the_next() {
    let stage = Stage::new(SIGNED, POLICIES);
    stop_at(&stage, "signed").await;
    assert_eq!(left(&stage), ["countersigned", "kept", "orphan", "signature"], "the registry removes the referrer by itself");
    finish(&stage, &["kept", "orphan"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_left_behind_stays_when_its_subject_is_pushed_again() {
    let stage = Stage::new(SIGNED, POLICIES);
    stop_at(&stage, "signed").await;
    stage.emulator.seed("repository app\n  image signed tags 2.0").expect("a drawing");
    finish(&stage, &["countersigned", "kept", "orphan", "signature", "signed"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_and_stops_the_run() {
    let reader = Options { identities: [("reader".to_owned(), Permissions::READ)].into(), ..Options::default() };
    let mut stage = Stage::with(APP, POLICIES, reader);
    stage.credential = entra("reader");
    let ran = stage.run("ci").await;
    assert!(stopped(&ran).contains("the identity lacks the permission delete on repository app; grant AcrDelete"), "{}", stopped(&ran));
    assert_eq!(left(&stage).len(), 7);
    assert!(stage.journal().iter().all(|entry| matches!(&entry.concluded, Some((_, JournalOutcome::Failed(_))))));
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn locks_are_written_and_read_back() {
    let policies = r#"
version: 1
policies:
  - name: ci
    mode: enforce
    repositories: { include: [app] }
    rules: [{ name: releases, lock: { tags: { glob: ["1.*"] }, can_delete: false, on: both } }]
"#;
    let stage = Stage::new(APP, policies);
    let kept = stage.digest("app", "kept");
    before(&stage, 1, is(Method::GET, "/acr/v1/app/_tags/1.0".to_owned()), {
        let one = stage.digest("app", "one");
        move |emulator| emulator.move_tag("app", "1.0", one).expect("the tag")
    });
    let ran = stage.run("ci").await;
    let of_kept = ran.applied().repositories[0].steps.iter().filter(|step| step.digest.to_string() == kept.to_string());
    let of_kept: Vec<(StepKind, &Outcome)> = of_kept.map(|step| (step.kind, &step.outcome)).collect();
    assert_eq!(
        of_kept,
        [(StepKind::Lock, &Outcome::Done), (StepKind::Lock, &Outcome::Skipped("the tag was moved since the listing".to_owned())),],
        "{}",
        ran.said
    );
    assert!(stage.emulator.render().contains("mixed locked delete tags 1.1 (locked delete), pr-4\n"), "{}", stage.emulator.render());
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_answer_is_lost_is_resolved_by_reading() {
    let policies = r#"
version: 1
policies:
  - name: ci
    mode: enforce
    repositories: { include: [app] }
    rules: [{ name: releases, lock: { tags: { glob: ["1.0"] }, can_delete: false } }]
"#;
    let cases = [
        (Failure::DropAfterEffect, JournalOutcome::ResolvedDone, "kept tags 1.0 (locked delete)\n"),
        (Failure::DropBeforeEffect, JournalOutcome::ResolvedNotDone, "kept tags 1.0\n"),
    ];
    for (failure, resolved, kept) in cases {
        let stage = Stage::new(APP, policies);
        stage.emulator.inject(Fault::once(Method::PATCH, "/_tags/1.0", failure));
        stage.run("ci").await;
        assert!(stage.emulator.render().contains(kept), "{}", stage.emulator.render());
        let outcomes: Vec<JournalOutcome> = stage.journal().into_iter().filter_map(|entry| Some(entry.concluded?.1)).collect();
        assert_eq!(outcomes, [resolved]);
        stage.account();
        stage.run("ci").await;
        assert!(stage.emulator.render().contains("kept tags 1.0 (locked delete)\n"));
    }
}
