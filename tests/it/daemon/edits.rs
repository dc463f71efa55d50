//! A day of edits: what is deleted follows the files, and nothing is deleted by files that cannot be read.

use std::fs;

use retaind::state::{State, leave_approval};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_edit_suspends_deleting_until_it_is_repaired() {
    let keep_some = "      - { name: audited, keep: { tags: { glob: [\"pr-1\", \"pr-2\"] } } }\n";
    let mut site = Site::new(&policies(keep_some));
    let service = site.start().await;
    let run = service.run_due(TO_THE_FIRST_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), 2), "{run}");
    assert_eq!(service.ready("deletion").await, "[+]deletion ok");
    assert_eq!(service.metric("retaind_deletion_suspended").await, Some(0.0));

    // The edit would let the other two go as well, if it were not misspelt.
    site.edit(&policies("").replace("older_than", "oder_than"));
    let suspended = async || service.metric("retaind_deletion_suspended").await == Some(1.0);
    service.reload("deleting is suspended", suspended).await;
    site.emulator().seed("repository app\n  image late tags pr-99 age 90d\n").expect("a drawing");
    let before = deletes(site.emulator());
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("refused"), 3), "{run}");
    assert!(run["explanation"].as_str().is_some_and(|why| why.starts_with("deleting is suspended, because ")), "{run}");
    assert_eq!(deletes(site.emulator()), before);
    let refusals = "retaind_guard_refusals_total{policy=\"ci\",reason=\"suspended\",registry=\"contoso\"}";
    assert_eq!(service.metric(refusals).await, Some(1.0));
    let would = "retaind_manifests_would_delete{policy=\"ci\",registry=\"contoso\"}";
    assert_eq!(service.metric(would).await, Some(1.0), "the last valid policies go on planning");
    assert!(service.ready("deletion").await.starts_with("[+]deletion ok: deleting is suspended, because the files are not valid"));
    assert!(service.ready("configuration").await.contains("the last valid files are in use"));
    assert_eq!(service.metric("retaind_config_last_reload_successful").await, Some(0.0));

    site.edit(&policies(""));
    service.take_up().await;
    assert_eq!(service.metric("retaind_deletion_suspended").await, Some(0.0));
    assert_eq!(service.ready("deletion").await, "[+]deletion ok");
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("refused"), 3), "the first run after an edit only reports: {run}");
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), 0), "{run}");
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_plan_is_applied_within_seconds() {
    let mut site = Site::new(&policies("      - { name: audited, keep: { tags: { glob: [\"pr-1\", \"pr-2\"] } } }\n"));
    let service = site.start().await;
    service.run_due(TO_THE_FIRST_RUN_SECONDS).await;
    site.edit(&policies(""));
    service.take_up().await;
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("refused"), 2), "{run}");
    let refusals = "retaind_guard_refusals_total{policy=\"ci\",reason=\"policies_changed\",registry=\"contoso\"}";
    assert_eq!(service.metric(refusals).await, Some(1.0));
    let planned = State::open_to_read(&site.state_dir()).and_then(|state| state.runs(1)).expect("the last run").remove(0);
    leave_approval(&site.state_dir(), &planned.plan_hash).expect("left for the daemon");
    eventually("the approved plan is applied", async || site.left() == 0).await;
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_gone_suspend_deleting_and_are_never_no_policies() {
    let site = Site::new(&policies(""));
    let mounted = site.folder.path().join("policies");
    let aside = site.folder.path().join("aside");
    let service = site.start().await;
    let mut to_the_next_run = TO_THE_FIRST_RUN_SECONDS;
    // The link to the file, its content, the folder, and the settings themselves.
    for gone in ["policies/ci.yaml", "policies/..data", "policies", "retaind.yaml"] {
        let gone = site.folder.path().join(gone);
        fs::rename(&gone, &aside).expect("moved away");
        let suspended = async || service.metric("retaind_deletion_suspended").await == Some(1.0);
        service.reload("deleting is suspended", suspended).await;
        let run = service.run_due(to_the_next_run).await;
        assert_eq!((run["outcome"].as_str(), deletes(site.emulator())), (Some("refused"), 0), "without {}: {run}", gone.display());
        assert_eq!(service.status().await["policies"].as_array().map(Vec::len), Some(1));
        service.ready("deletion").await;
        fs::rename(&aside, &gone).expect("moved back");
        let goes_on = async || service.metric("retaind_deletion_suspended").await == Some(0.0);
        service.reload("deleting goes on", goes_on).await;
        to_the_next_run = TO_THE_NEXT_RUN_SECONDS;
    }
    assert!(mounted.join("ci.yaml").exists());
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), 0), "{run}");
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_after_an_edit_that_protects_it() {
    let mut site = Site::new(&policies(""));
    let mut gate = Gate::before_deletes(site.emulator());
    let service = site.start().await;
    service.turn_to_a_run(TO_THE_FIRST_RUN_SECONDS).await;
    gate.reached().await;
    site.edit(&policies("      - { name: audited, keep: { tags: { glob: [\"pr-*\"] } } }\n"));
    service.take_up().await;
    gate.open();
    let run = service.last_run().await;
    // The one that was on its way is all.
    assert_eq!((run["outcome"].as_str(), site.left(), deletes(site.emulator())), (Some("failed"), IMAGES - 1, 1), "{run}");
    let interrupted = "retaind_policy_run_failures_total{policy=\"ci\",reason=\"interrupted\",registry=\"contoso\"}";
    assert_eq!(service.metric(interrupted).await, Some(1.0));
    let run = service.run_due(TO_THE_NEXT_RUN_SECONDS).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), IMAGES - 1), "{run}");
    service.stop().await;
    site.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_run_follows_an_edit_of_schedule_and_time_zone() {
    let mut site = Site::new(&policies_at("schedule: \"0 20 * * *\"", ""));
    let service = site.start().await;
    // Starts are spread over five minutes, so that the hour and the tens of minutes are what can be told.
    let next = async || service.status().await["policies"][0]["next_run_at"].as_str().map(|at| at[..15].to_owned());
    assert_eq!(next().await.as_deref(), Some("2026-03-02T20:0"));
    for (schedule, wanted) in [
        ("schedule: \"0 20 * * *\"\n    time_zone: Asia/Tokyo", "2026-03-03T11:0"),
        ("schedule: \"30 18 * * *\"\n    time_zone: Europe/Berlin", "2026-03-02T17:3"),
    ] {
        site.edit(&policies_at(schedule, ""));
        service.take_up().await;
        eventually("the next run moves", async || next().await.as_deref() == Some(wanted)).await;
    }
    // 17:36, where the first schedule had nothing.
    let run = service.run_due(5 * 3_600 + 36 * 60).await;
    assert_eq!((run["outcome"].as_str(), site.left()), (Some("succeeded"), 0), "{run}");
    service.stop().await;
    site.account();
}
