//! Others push, move and lock between the plan and its end.

use http::Method;
use retaind::emulator::{Digest, Emulator, Locks};
use retaind::pipeline::apply::{Outcome, StepKind};
use retaind::pipeline::report;
use retaind::state::{Outcome as JournalOutcome, RunOutcome};

use super::{APP, POLICIES, before, deletion, finish, is, left, look_at_repository, outcomes, reread, stopped};
use crate::stage::{How, Stage};

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

const DESCRIBED: &str = "
now 2026-06-01T00:00:00Z
repository app
  image signed tags pr-1  age 90d
  artifact sbom       subject signed  type application/spdx+json  age 90d
  artifact signature  subject sbom    type application/vnd.example.signature  age 90d
  image other  tags pr-2  age 80d
";

/// Something happens to what describes an image right before the image is deleted: the registry would delete both, so both stay.
async fn check_referrer(what: &str, change: impl FnOnce(&Emulator, Digest) + Send + 'static, said: impl FnOnce(&str) -> String) {
    let stage = Stage::new(DESCRIBED, POLICIES);
    let (signed, signature) = (stage.digest("app", "signed"), stage.digest("app", "signature"));
    before(&stage, 1, reread(signed), move |emulator| change(emulator, signature));
    let ran = stage.run("ci").await;
    assert_eq!(left(&stage), ["sbom", "signature", "signed"], "{what}\n{}", ran.said);
    assert_eq!(outcomes(&stage, &ran, "signed"), [Outcome::Skipped(said(&signature.short()))], "{what}");
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_would_delete_along_is_looked_at_before() {
    check_referrer(
        "it is locked",
        |emulator, signature| emulator.lock_manifest("app", signature, Locks::NO_DELETE).expect("the manifest"),
        |signature| format!("@{signature} would go with it, and of that holds: it was locked since the listing"),
    )
    .await;
    check_referrer(
        "it is tagged",
        |emulator, signature| emulator.move_tag("app", "audit", signature).expect("the manifest"),
        |signature| format!("@{signature} would go with it, and of that holds: it was tagged audit since the listing"),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_describes_an_image_and_is_needed_by_a_push_keeps_the_image() {
    let stage = Stage::new(DESCRIBED, POLICIES);
    before(&stage, 2, look_at_repository(), |emulator| {
        drop(emulator.seed("repository app\n  index new of signature tags new").expect("a drawing"));
    });
    let ran = stage.run("ci").await;
    assert_eq!(left(&stage), ["new", "sbom", "signature", "signed"], "{}", ran.said);
    stage.account();
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

/// An index lists a signature, both go with the signed image. When the index stays after all, so do the others: the registry would
/// delete the signature with the image, whatever lists it.
#[tokio::test(start_paused = true)]
async fn an_index_that_changed_keeps_what_would_go_with_the_image_it_describes() {
    const SIGNED: &str = "
now 2026-06-01T00:00:00Z
repository app
  image signed tags pr-1  age 90d
  artifact signature  subject signed  type application/vnd.example.signature  age 90d
  artifact remark     subject signature  type application/vnd.example.remark  age 90d
  index bundle  tags pr-2  of signature  age 30d
  index remarks tags pr-3  of remark  age 20d
  image kept   tags 1.0   age 10d
";
    let stage = Stage::new(SIGNED, POLICIES);
    let remarks = stage.digest("app", "remarks");
    before(&stage, 1, reread(remarks), |emulator| emulator.lock_tag("app", "pr-3", Locks::NO_DELETE).expect("the tag"));
    let ran = stage.run("ci").await;
    assert_eq!(left(&stage), ["kept", "remark", "remarks", "signature", "signed"], "{}", ran.said);
    let why = format!("@{}, which needs something that would go with it, is still there", remarks.short());
    assert_eq!(outcomes(&stage, &ran, "signed"), [Outcome::Skipped(why)]);
    stage.account();
    // Undisturbed, all of it goes in one run.
    let stage = Stage::new(SIGNED, POLICIES);
    let ran = stage.run("ci").await;
    assert!(ran.applied().is_complete() && left(&stage) == ["kept"], "{}", ran.said);
    stage.account();
}

/// An SBOM and a signature go because what they describe is not there. Somebody pushes it again right before: they stay.
#[tokio::test(start_paused = true)]
async fn what_describes_an_image_that_came_back_stays() {
    const IMAGE: &str = "now 2026-06-01T00:00:00Z\nrepository app\n  image signed tags 2.0 age 90d\n";
    let signed = Stage::new(IMAGE, POLICIES).digest("app", "signed");
    let drawing = format!(
        "{APP}  artifact sbom subject {signed} type application/spdx+json age 30d\n  image signature tags sha256-{}.sig age 20d\n",
        signed.hex()
    );
    let policies = POLICIES.replace("tags: { glob: [\"pr-*\"] }", "orphaned: true, adopt_backlog: true");
    for (described_by, other) in [("sbom", "signature"), ("signature", "sbom")] {
        let stage = Stage::new(&drawing, &policies);
        let digest = stage.digest("app", described_by);
        before(&stage, 1, reread(digest), |emulator| {
            emulator.seed(IMAGE).expect("a push");
        });
        let ran = stage.run("ci").await;
        let why = format!("{}, which it describes, is there", signed.short());
        assert_eq!(outcomes(&stage, &ran, described_by), [Outcome::Skipped(why)], "{}", ran.said);
        assert!(left(&stage).contains(&described_by.to_owned()), "{other} alone may have gone before");
        assert!(!stage.emulator.requests().iter().any(|request| request.path.contains(&digest.to_string())));
        assert!(stage.plan_again("ci").await.is_empty, "it describes what is there");
        stage.account();
    }
    // With nothing pushed in between both go.
    let stage = Stage::new(&drawing, &policies);
    assert!(stage.run("ci").await.applied().is_complete());
    assert_eq!(left(&stage), ["kept", "mixed", "multi", "multi/linux/amd64", "multi/linux/arm64", "one", "two"]);
}

/// What a rule closed and no longer asks for is opened only as long as it is as the rule left it, up to the last read.
#[tokio::test(start_paused = true)]
async fn a_lock_that_others_touch_is_no_longer_ours() {
    let policies = |tags: &str| {
        format!(
            "{{ version: 1, policies: [{{ name: ci, mode: enforce, repositories: {{ include: [app] }}, limits: {{ changes: immediately }},
                rules: [{{ name: releases, lock: {{ tags: {{ glob: [{tags}] }}, can_delete: false, release: true }} }}] }}] }}"
        )
    };
    let mut stage = Stage::new(APP, &policies("\"1.*\""));
    assert!(stage.run("ci").await.applied().is_complete());
    stage.policies = crate::stage::policies(&policies("none"));
    before(&stage, 1, is(Method::GET, "/acr/v1/app/_tags/1.0".to_owned()), |emulator| {
        emulator.lock_tag("app", "1.0", Locks { write: false, ..Locks::NO_DELETE }).expect("the tag");
    });
    let ran = stage.run("ci").await;
    assert_eq!(outcomes(&stage, &ran, "kept"), [Outcome::Skipped("its lock was changed since the listing".to_owned())]);
    assert_eq!(outcomes(&stage, &ran, "mixed"), [Outcome::Done]);
    // Back as the rule left it, but a listing has seen it otherwise.
    stage.run("ci").await;
    stage.emulator.lock_tag("app", "1.0", Locks::NO_DELETE).expect("the tag");
    assert!(stage.plan_again("ci").await.is_empty);
    assert!(stage.emulator.render().contains("kept tags 1.0 (locked delete)\n"), "{}", stage.emulator.render());
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_a_person_agreed_to_is_never_more_than_what_was_shown() {
    let policies = POLICIES.replace("older_than: 14d", "older_than: 1h").replace("keep_at_least: 0", "keep_at_least: 0, min_age: 1h");
    let stage = Stage::new(&format!("{DESCRIBED}  image third tags pr-3 age 70d\n"), &policies);
    let saved = report::plan_from_json(&stage.plan_again("ci").await.json).expect("a plan");
    // Nobody agreed to the new name, nor to the new SBOM, which would go with its image.
    stage.emulator.move_tag("app", "pr-new", stage.digest("app", "other")).expect("the image");
    stage.emulator.seed("repository app\n  artifact more subject signed type application/spdx+json").expect("a drawing");
    stage.hands.turn(2 * 60 * 60);
    let how = How { agreed: Some(&saved), ..How::default() };
    let ran = stage.try_run("ci", how).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(left(&stage), ["more", "other", "sbom", "signature", "signed"], "{}", ran.said);
    assert!(!ran.ended.refused, "{}", ran.said);
    stage.account();
}
