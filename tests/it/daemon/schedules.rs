//! What runs when: several registries, runs that last, and daemons that were down.

use jiff::Timestamp;
use retaind::state::{RunOutcome, State, leave_approval};

use super::line::{Cable, Line};
use super::*;

const RUNS: &str = "retaind_policy_runs_total{policy=\"ci\",registry=\"contoso\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_out_of_reach_holds_up_no_other() {
    let mut site = Site::with(&["contoso", "fabrikam"], &policies(""));
    let cable = Cable::new(&site.emulators["fabrikam"]);
    cable.set(Line::Down);
    site.transports.insert("fabrikam".to_owned(), cable.clone());
    let service = site.start().await;
    let of = async |registry: &str| {
        let status = service.status().await;
        let policies = status["policies"].as_array().cloned().unwrap_or_default();
        policies.into_iter().find(|policy| policy["registry"] == registry).unwrap_or_else(|| panic!("{status}"))
    };
    service.hands.turn(TO_THE_FIRST_RUN_SECONDS);
    eventually("both runs end", async || of("contoso").await["last_run"].is_object() && of("fabrikam").await["last_run"].is_object()).await;
    assert_eq!((&of("contoso").await["last_run"]["outcome"], left(&site.emulators["contoso"])), (&"succeeded".into(), 0));
    let failed = of("fabrikam").await["last_run"].clone();
    assert_eq!(failed["outcome"], "failed");
    assert!(failed["explanation"].as_str().is_some_and(|why| why.contains("nobody listens there")), "{failed}");
    let failures = "retaind_policy_run_failures_total{policy=\"ci\",reason=\"registry\",registry=\"fabrikam\"}";
    assert_eq!(service.metric(failures).await, Some(1.0));
    assert_eq!(service.ready("credential").await, "[+]credential ok: not yet accepted by fabrikam");

    cable.set(Line::Up);
    // The client remembers for some real seconds that nobody let it in, in which hours pass here: a later run gets through.
    eventually("the other one is done", async || {
        let last = of("fabrikam").await["last_run"].clone();
        if last["outcome"] == "failed" && last["started_at"] == service.hands.now().to_string() {
            service.hands.turn(TO_THE_NEXT_RUN_SECONDS);
        }
        last["outcome"] == "succeeded"
    })
    .await;
    assert_eq!(left(&site.emulators["fabrikam"]), 0);
    service.stop().await;
}

/// Otherwise the alert on overdue policies would go off every Sunday.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_interval_of_working_days_is_a_weekend() {
    let service = Site::new(&policies_at("schedule: \"0 3 * * 1-5\"", "")).start().await;
    let interval = service.metric("retaind_policy_interval_seconds{policy=\"ci\",registry=\"contoso\"}").await;
    assert_eq!(interval, Some(3.0 * 86_400.0));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_begins_when_the_status_says() {
    let site = Site::with(&["contoso", "fabrikam"], &policies(""));
    let service = site.start().await;
    for place in 0..2 {
        let policy = async || service.status().await["policies"][place].clone();
        let shown: Timestamp = policy().await["next_run_at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
        let gauge = format!("retaind_policy_next_run_timestamp_seconds{{policy=\"ci\",registry={}}}", policy().await["registry"]);
        let told = service.metric(&gauge).await.expect("a series");
        assert!((told - shown.as_duration().as_secs_f64()).abs() < 0.001, "{told} is not {shown}");
        // The clock is turned by whole seconds.
        service.hands.turn(shown.as_second() + 1 - service.hands.now().as_second());
        let now = service.hands.now().to_string();
        eventually("it has run", async || policy().await["last_run"]["started_at"] == now.as_str()).await;
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_lasts_over_two_of_its_times_is_followed_by_one() {
    let site = Site::new(&policies(""));
    let mut gate = Gate::before_deletes(site.emulator());
    let service = site.start().await;
    service.turn_to_a_run(TO_THE_FIRST_RUN_SECONDS).await;
    gate.reached().await;
    let begun = service.status().await["policies"][0]["running_since"].clone();
    service.hands.turn(2 * TO_THE_NEXT_RUN_SECONDS);
    let now = service.hands.now().to_string();
    // So the scheduler knows that it is due, and has let it be.
    eventually("a run is due", async || service.status().await["policies"][0]["next_run_at"] == now.as_str()).await;
    assert_eq!(service.status().await["policies"][0]["running_since"], begun);
    gate.open();
    let started = async || service.status().await["policies"][0]["last_run"]["started_at"].clone();
    eventually("the one that waited has run", async || started().await == now.as_str()).await;
    let status = service.status().await;
    let next = status["policies"][0]["next_run_at"].as_str().expect("a time");
    assert!(now.as_str() < next, "nothing is due any more: {status}");
    assert_eq!((service.metric(RUNS).await, site.left()), (Some(2.0), 0));
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_while_the_daemon_was_down_is_caught_up_once() {
    let site = Site::new(&policies(""));
    site.start().await.stop().await;
    // One o'clock and two o'clock.
    site.hands.turn(TO_THE_FIRST_RUN_SECONDS + TO_THE_NEXT_RUN_SECONDS);
    let now = site.hands.now().to_string();
    for (start, runs_of_this_process) in [("with a run missed", 1.0), ("with nothing missed", 0.0)] {
        let service = site.start().await;
        eventually("nothing is due any more", async || {
            let policy = &service.status().await["policies"][0];
            policy["running_since"].is_null() && policy["next_run_at"].as_str().is_some_and(|next| now.as_str() < next)
        })
        .await;
        // Both know of the one run: the one that did it, and the one that was told by the state.
        assert_eq!(service.last_run().await["started_at"], now, "{start}");
        assert_eq!((service.metric(RUNS).await.unwrap_or_default(), site.left()), (runs_of_this_process, 0), "{start}");
        service.stop().await;
        assert_eq!(open(&site.state_dir()).runs(10).expect("the runs").len(), 1, "{start}");
    }
    site.account();
}

/// What one finds half done must not be what the other is doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_policies_of_a_registry_run_one_after_the_other() {
    let second = policies("").split_once("policies:\n").map(|(_, policy)| policy.replace("name: ci", "name: second")).expect("a policy");
    let site = Site::new(&(policies("") + &second));
    let mut gate = Gate::before_deletes(site.emulator());
    let service = site.start().await;
    service.hands.turn(TO_THE_FIRST_RUN_SECONDS);
    gate.reached().await;
    let both = async || {
        let status = service.status().await;
        (0..2).all(|place| status["policies"][place]["running_since"].is_string())
    };
    eventually("both have begun", both).await;
    let listings = || {
        site.emulator()
            .counts()
            .into_iter()
            .filter(|(counted, _)| counted.route.ends_with("/_manifests"))
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    let before = listings();
    gate.open();
    eventually("both have ended", async || {
        let status = service.status().await;
        (0..2).all(|place| status["policies"][place]["last_run"]["outcome"] == "succeeded")
    })
    .await;
    assert!(before < listings(), "the second one looked when the first one was through");
    assert_eq!((site.left(), deletes(site.emulator())), (0, IMAGES), "nothing was asked for twice");
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_begins_nothing_more_once_its_window_closed() {
    let site = Site::new(&policies_at("schedule: \"0 * * * *\"\n    between: 12:30-14:00", ""));
    let mut gate = Gate::before_deletes(site.emulator());
    let service = site.start().await;
    service.turn_to_a_run(TO_THE_FIRST_RUN_SECONDS).await;
    gate.reached().await;
    // From ten past one to two: what stands before the gate is asked for, and is all.
    service.hands.turn(3_000);
    gate.open();
    let run = service.last_run().await;
    assert_eq!((run["outcome"].as_str(), site.left(), deletes(site.emulator())), (Some("window_closed"), IMAGES - 1, 1), "{run}");
    assert_eq!(run["explanation"].as_str(), Some("its window closed; the rest waits for the next run"));
    for reason in ["registry", "state", "steps", "incomplete", "interrupted"] {
        let failures = format!("retaind_policy_run_failures_total{{policy=\"ci\",reason=\"{reason}\",registry=\"contoso\"}}");
        assert_eq!(service.metric(&failures).await, Some(0.0), "{reason}");
    }
    let success = "retaind_policy_last_success_timestamp_seconds{policy=\"ci\",registry=\"contoso\"}";
    assert_eq!(service.metric(success).await, None, "nor was everything done");
    let history = State::open_to_read(&site.state_dir()).and_then(|state| state.runs(1)).expect("the last run").remove(0);
    assert_eq!((history.finished.map(|(_, outcome)| outcome), history.counts.deleted), (Some(RunOutcome::WindowClosed), 1));

    // The next day from twenty to one on.
    let run = service.run_due(81_600).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), 0), "{run}");
    service.stop().await;
    site.account();
}

/// Whoever approves a plan wants it now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_plan_waits_for_no_window() {
    let mut site = Site::new(&policies_at(
        "schedule: \"0 * * * *\"\n    between: 12:30-14:00",
        "      - { name: audited, keep: { tags: { glob: [\"pr-*\"] } } }\n",
    ));
    let service = site.start().await;
    service.run_due(TO_THE_FIRST_RUN_SECONDS).await;
    site.edit(&policies_at("schedule: \"0 * * * *\"\n    between: 12:30-15:00", ""));
    service.take_up().await;
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("refused"), IMAGES), "{run}");
    let planned = State::open_to_read(&site.state_dir()).and_then(|state| state.runs(1)).expect("the last run").remove(0);
    let mut gate = Gate::before_deletes(site.emulator());
    leave_approval(&site.state_dir(), &planned.plan_hash).expect("left for the daemon");
    gate.reached().await;
    // Long past three.
    service.hands.turn(2 * 3_600);
    gate.open();
    eventually("the approved plan is applied", async || site.left() == 0).await;
    service.stop().await;
    site.account();
}
