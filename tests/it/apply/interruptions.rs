//! Runs that are stopped, runs whose journal takes no more, and what they leave behind.

use retaind::emulator::Emulator;
use retaind::pipeline::apply::{Brakes, Outcome};
use retaind::state::RunOutcome;

use super::{APP, POLICIES, before, deletion, finish, left, look_at_repository, outcomes, stopped};
use crate::stage::{How, Ran, Stage};

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
    let open = crate::stage::still_open(&stage.state()).len();
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

#[tokio::test(start_paused = true)]
async fn what_was_left_behind_and_then_needed_again_is_no_leftover_when_that_ends() {
    let stage = Stage::new(APP, POLICIES);
    let (rescued, kept) = (stage.digest("app", "multi/linux/arm64"), stage.digest("app", "kept"));
    stop_at(&stage, "multi").await;
    stage.emulator.move_tag("app", "rescued", rescued).expect("the manifest");
    finish(&stage, &["kept", "mixed", "multi/linux/arm64"]).await;
    // The tag moves on, and the image that it leaves is the one to go back to.
    stage.emulator.move_tag("app", "rescued", kept).expect("the manifest");
    finish(&stage, &["kept", "mixed", "multi/linux/arm64"]).await;
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
async fn a_repository_that_goes_with_its_last_image_is_finished() {
    let drawing = "
now 2026-06-01T00:00:00Z
repository app
  image one  tags pr-1   age 90d
  artifact signature subject one type application/vnd.dev.cosign.artifact.sig.v1+json age 90d
";
    let stage = Stage::new(drawing, POLICIES);
    let ran = stage.run("ci").await;
    let applied = ran.applied();
    assert!(applied.is_complete() && applied.repositories[0].stopped.is_none(), "{}", ran.said);
    assert_eq!((applied.counts().deleted, stage.emulator.snapshot().len()), (2, 0), "{}", ran.said);
    stage.account();
}
