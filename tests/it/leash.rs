//! The leash: whatever is not a run in `enforce` mode sends reads and token requests only, counted at the registry.

use retaind::pipeline::guard::Circumstances;
use retaind::pipeline::report::{Detail, inventory_to_json};
use retaind::pipeline::{self, Told};

use crate::estate::{DRAWING, POLICIES};
use crate::stage::{How, Stage};

/// What was asked for beside reads and tokens, by method and route.
fn writes(stage: &Stage) -> Vec<String> {
    let counts = stage.emulator.counts();
    assert!(10 < counts.values().sum::<u64>(), "the registry was hardly asked: {counts:?}");
    let is_read = |method: &str, route: &str| {
        matches!(method, "GET" | "HEAD") || method == "POST" && matches!(route, "/oauth2/exchange" | "/oauth2/token")
    };
    let counted = counts.into_keys().filter(|counted| !is_read(&counted.method, counted.route));
    counted.map(|counted| format!("{} {}", counted.method, counted.route)).collect()
}

#[tokio::test(start_paused = true)]
async fn looking_in_every_way_changes_nothing() {
    let stage = Stage::new(DRAWING, POLICIES);
    let drawn = stage.emulator.render();
    let planned = stage.plan("ci", stage.state(), Detail::Everything).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!planned.is_empty, "there is something to do");
    assert!(planned.json.contains("\"deletes\""));
    stage.plan_again("ci").await;
    let listing = stage.inventory("ci", stage.state()).await;
    assert!(inventory_to_json(&listing).contains("pr-15"));
    for version in [":pr-1", ":1.0.0", ":retired-1"] {
        stage.explain("ci", "app", version, stage.state()).await;
    }
    assert_eq!(writes(&stage), [""; 0]);
    assert_eq!(stage.emulator.render(), drawn);
    assert!(stage.journal().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() {
    let stage = Stage::new(DRAWING, &POLICIES.replace("mode: enforce", "mode: dry-run"));
    let drawn = stage.emulator.render();
    for _ in 0..3 {
        let ran = stage.run("ci").await;
        assert!(ran.ended.applied.is_none() && ran.said.contains("delete"), "{}", ran.said);
        stage.hands.turn(86_400);
    }
    assert_eq!(writes(&stage), [""; 0]);
    assert_eq!(stage.emulator.render(), drawn);
    assert!(stage.journal().is_empty());
}

/// Everything that holds a run in `enforce` mode back as a whole.
#[tokio::test(start_paused = true)]
async fn a_run_that_the_guard_refuses_changes_nothing() {
    let refusing: [(&str, Circumstances, i64); 3] = [
        ("deleting is paused", Circumstances { paused: true, journal_is_kept: true, ..Circumstances::default() }, 0),
        ("there is no state directory", Circumstances::default(), 0),
        ("our clock and the registry's differ", Circumstances { journal_is_kept: true, ..Circumstances::default() }, 301),
    ];
    for (why, circumstances, ahead_seconds) in refusing {
        let stage = Stage::new(DRAWING, POLICIES);
        let ours = stage.hands.clone();
        let mut run = stage.prepare("ci", How::default());
        run.circumstances = circumstances;
        if ahead_seconds != 0 {
            let told = ours.now() + jiff::SignedDuration::from_secs(ahead_seconds);
            run.clock = retaind::clock::Clock::new(move || told);
            run.client = stage.client_at(run.clock.clone());
        }
        let mut refusals = Vec::new();
        let ended = pipeline::run(&run, &mut |told| {
            if let Told::Planned(decided) = told {
                refusals.extend(decided.refusals.iter().map(ToString::to_string));
            }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}"));
        assert!(ended.refused && ended.applied.is_none(), "{why}: {ended:?}");
        assert!(refusals.len() == 1 && refusals[0].starts_with(why), "{refusals:?}");
        assert_eq!(writes(&stage), [""; 0], "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_difference_of_five_minutes_is_let_pass() {
    let stage = Stage::new(DRAWING, POLICIES);
    let mut run = stage.prepare("ci", How::default());
    let told = stage.hands.now() + jiff::SignedDuration::from_secs(300);
    run.clock = retaind::clock::Clock::new(move || told);
    run.client = stage.client_at(run.clock.clone());
    let ended = pipeline::run(&run, &mut |_| {}).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!ended.refused && ended.applied.is_some());
}
