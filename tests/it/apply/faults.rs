//! Answers that get lost, come late or say no.

use std::time::Duration;

use http::{Method, StatusCode};
use retaind::emulator::{Failure, Fault, Options, Permissions, Response};
use retaind::pipeline::apply::Outcome;
use retaind::state::Outcome as JournalOutcome;
use tokio::time::Instant;

use super::{APP, POLICIES, answer, before, fail_deletion, finish, is, left, outcomes, reread, stopped};
use crate::stage::Stage;
use crate::support::entra;

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
async fn a_tag_that_somebody_pushes_elsewhere_while_the_answer_is_lost_was_removed() {
    let stage = Stage::new(APP, POLICIES);
    let kept = stage.digest("app", "kept");
    let path = "/acr/v1/app/_tags/pr-4";
    let failure = Failure::DropAfterEffect;
    stage.emulator.inject(Fault { method: Some(Method::DELETE), path_contains: path.to_owned(), after: 0, times: 1, failure });
    // It is read before the request and once more after it.
    before(&stage, 2, is(Method::GET, path.to_owned()), move |emulator| emulator.move_tag("app", "pr-4", kept).expect("the manifest"));
    let ran = stage.run("ci").await;
    assert_eq!(outcomes(&stage, &ran, "mixed"), [Outcome::Done], "{}", ran.said);
    assert!(stage.emulator.render().contains("kept tags 1.0, pr-4\n"), "{}", stage.emulator.render());
    let resolved =
        stage.journal().into_iter().filter_map(|entry| entry.concluded).filter(|(_, outcome)| *outcome == JournalOutcome::ResolvedDone);
    assert_eq!(resolved.count(), 1);
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
        assert_eq!(crate::stage::still_open(&stage.state()).len(), 1);
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
