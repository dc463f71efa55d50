//! What holds deleting up or ends the daemon: a pause, a registry that hangs, a stop.

use std::fs;

use retaind::pipeline::apply::pause_file;

use super::line::{Cable, Line};
use super::*;

/// How soon health and metrics must be there, whatever the registry does.
const ANSWER_MAX: Duration = Duration::from_millis(50);
/// How soon a daemon must have ended that has no change on its way.
const STOP_MAX: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_ends_a_run_where_it_stands_and_the_next_one_finishes_it() {
    let site = Site::new(&policies(""));
    let mut gate = Gate::before_deletes(site.emulator());
    let service = site.start().await;
    service.turn_to_a_run(TO_THE_FIRST_RUN_SECONDS).await;
    gate.reached().await;
    let file = pause_file(&site.state_dir());
    fs::write(&file, "").expect("paused");
    gate.open();
    let run = service.last_run().await;
    assert_eq!((run["outcome"].as_str(), site.left(), deletes(site.emulator())), (Some("failed"), IMAGES - 1, 1), "{run}");
    assert_eq!(service.ready("deletion").await, "[+]deletion ok: deleting is paused");
    assert_eq!(service.metric("retaind_paused").await, Some(1.0));
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("refused"), IMAGES - 1), "{run}");

    fs::remove_file(&file).expect("resumed");
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), 0), "{run}");
    assert_eq!(service.metric("retaind_paused").await, Some(0.0));
    service.stop().await;
    site.account();
}

/// A site whose registry is at the end of a cable.
fn cabled() -> (Site, Arc<Cable>) {
    let mut site = Site::new(&policies(""));
    let cable = Cable::new(site.emulator());
    site.transports.insert("contoso".to_owned(), cable.clone());
    (site, cable)
}

/// The best of a few, because the machine may be busy with something else.
async fn answers_in(service: &Service, path: &str) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let begun = Instant::now();
        let (code, _) = service.get(path).await;
        assert_eq!(code, 200);
        best = best.min(begun.elapsed());
    }
    best
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_hangs_holds_up_neither_health_nor_the_end() {
    let (site, cable) = cabled();
    let service = site.start().await;
    cable.set(Line::Hangs);
    service.turn_to_a_run(TO_THE_FIRST_RUN_SECONDS).await;
    for path in ["/livez", "/metrics"] {
        let took = answers_in(&service, path).await;
        assert!(took < ANSWER_MAX, "{path} took {took:?}");
    }
    assert_eq!(service.metric("retaind_policy_running{policy=\"ci\",registry=\"contoso\"}").await, Some(1.0));
    let took = service.stop().await;
    assert!(took < STOP_MAX, "{took:?}");

    cable.set(Line::Up);
    let service = site.start().await;
    eventually("what was not done is caught up", async || site.left() == 0).await;
    assert_eq!(service.last_run().await["outcome"], "succeeded");
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_drops_reads_that_hang_and_loses_no_change() {
    let (site, cable) = cabled();
    let service = site.start().await;
    cable.hang_after_deletes(4);
    service.turn_to_a_run(TO_THE_FIRST_RUN_SECONDS).await;
    eventually("the line hangs in the middle of the run", async || cable.is(Line::Hangs)).await;
    let took = service.stop().await;
    assert!(took < STOP_MAX, "{took:?}");
    let open_intents = crate::stage::still_open(&open(&site.state_dir()));
    assert_eq!((open_intents.len(), site.left()), (0, IMAGES - 4));

    cable.set(Line::Up);
    let service = site.start().await;
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), 0), "{run}");
    service.stop().await;
    site.account();
}
