//! The process ends at every point of a run, and a second run finishes the job: the end is that of a run that nothing disturbed, and
//! the journal accounts for every request. The requests of a run number the points; between two of them nothing changes but the state.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use retaind::acr::{Body, Delivery, Transport, TransportError, TransportErrorKind};
use retaind::emulator::Options;
use retaind::pipeline;
use tokio::sync::Notify;

use crate::estate::{DRAWING, POLICIES};
use crate::stage::{How, Stage};
use crate::support::InProcess;

/// How a run ends at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The process is killed before the request has an effect.
    KilledBefore,
    /// The process is killed when the request had its effect and the answer has not come. Of reads that is the same.
    KilledAfter,
    /// The network goes away for good, and the process lives on.
    LineDead,
}

/// The emulator, until a request.
struct Cut {
    inner: Arc<dyn Transport>,
    sent: Mutex<Vec<http::Method>>,
    /// The number of the fatal request, counted from one.
    at: usize,
    end: End,
    killed: Arc<Notify>,
}

#[async_trait::async_trait]
impl Transport for Cut {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
        let number = {
            let mut sent = self.sent.lock().expect("nobody panicked");
            sent.push(request.method().clone());
            sent.len()
        };
        // Lets requests that go side by side be under way at the same time.
        tokio::task::yield_now().await;
        if number < self.at {
            let response = self.inner.send(request).await;
            tokio::task::yield_now().await;
            return response;
        }
        match self.end {
            End::LineDead => {
                let sentence = "the line is dead".to_owned();
                Err(TransportError { kind: TransportErrorKind::Other, delivery: Delivery::Unknown, sentence })
            }
            End::KilledBefore | End::KilledAfter => {
                if number == self.at && self.end == End::KilledAfter {
                    drop(self.inner.send(request).await);
                }
                self.killed.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// Runs to the request `at`. Dropping the run where it stands is what a kill does: nothing of it runs any more.
async fn run_to(stage: &mut Stage, at: usize, end: End) -> Vec<http::Method> {
    let killed = Arc::new(Notify::new());
    let inner: Arc<dyn Transport> = Arc::new(InProcess::new(stage.emulator.clone()));
    let cut = Arc::new(Cut { inner: Arc::clone(&inner), sent: Mutex::default(), at, end, killed: Arc::clone(&killed) });
    stage.transport = cut.clone();
    {
        let run = stage.prepare("ci", How::default());
        let mut silent = |_: &pipeline::Told<'_>| {};
        tokio::select! {
            biased;
            () = killed.notified() => {}
            // With a dead line it comes to an end, whichever.
            _ = pipeline::run(&run, &mut silent) => {}
        }
    }
    stage.transport = inner;
    let sent = cut.sent.lock().expect("nobody panicked");
    sent.clone()
}

/// Without tokens, which this is not about and which would take half of the time.
fn stage() -> Stage {
    Stage::with(DRAWING, POLICIES, Options { require_auth: false, ..Options::default() })
}

/// What is left after a run that nothing disturbed, and its requests.
async fn undisturbed() -> (String, Vec<http::Method>) {
    let mut stage = stage();
    let requests = run_to(&mut stage, usize::MAX, End::KilledBefore).await;
    stage.account();
    assert!(stage.plan_again("ci").await.is_empty);
    (stage.emulator.render(), requests)
}

async fn check(end: End) {
    let (wanted, requests) = undisturbed().await;
    assert!(!wanted.contains("gone:"), "{wanted}");
    let changes = |method: &http::Method| matches!(*method, http::Method::DELETE | http::Method::PATCH);
    let changing = requests.iter().filter(|method| changes(method)).count();
    assert!(80 < requests.len() && 20 < changing, "a run of {changing} changes in {} requests shows too little", requests.len());
    for (at, method) in (1..).zip(&requests) {
        let shows_nothing_new = match end {
            End::KilledBefore => false,
            End::KilledAfter => !changes(method),
            // Every other point, for time: its neighbour is the same read a moment later.
            End::LineDead => at % 2 == 0 && !changes(method),
        };
        if shows_nothing_new {
            continue;
        }
        let mut stage = stage();
        run_to(&mut stage, at, end).await;
        // Whatever was cut off: what stays is whole, and the next run finds the rest.
        assert!(!stage.emulator.render().contains("gone:"), "{end:?} at request {at}: {}", stage.emulator.render());
        stage.hands.turn(60);
        stage.run("ci").await;
        assert_eq!(stage.emulator.render(), wanted, "{end:?} at request {at}");
        stage.account();
        let again = stage.plan_again("ci").await;
        assert!(again.is_empty, "{end:?} at request {at}: {}", again.text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_before_any_request_is_finished_by_the_next() {
    check(End::KilledBefore).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_after_any_change_is_finished_by_the_next() {
    check(End::KilledAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_loses_the_network_at_any_request_is_finished_by_the_next() {
    check(End::LineDead).await;
}

/// What `release: true` opens again and closes.
const RELEASED: &str = "
now 2026-06-01T00:00:00Z
repository app
  image one  tags prod-1  age 90d
";

fn releasing(tags: &str) -> String {
    format!(
        "{{ version: 1, policies: [{{ name: ci, mode: enforce, repositories: {{ include: [app] }}, limits: {{ changes: immediately }},
            rules: [{{ name: production, lock: {{ tags: {{ glob: [{tags}] }}, can_delete: false, on: both, release: true }} }}] }}] }}"
    )
}

/// What the journal says of each change of a lock, oldest first.
fn said(stage: &Stage) -> Vec<String> {
    stage.journal().iter().map(|entry| entry.concluded.as_ref().map_or("open".to_owned(), |(_, outcome)| outcome.to_string())).collect()
}

/// The run to the kill closes locks, or opens what an earlier one closed.
async fn kill_at_each_change_of_a_lock(opens: bool, end: End) {
    let prepared = async || {
        let options = Options { require_auth: false, ..Options::default() };
        let mut stage = Stage::with(RELEASED, &releasing("\"prod-*\""), options);
        if opens {
            stage.run("ci").await;
            stage.policies = crate::stage::policies(&releasing("none"));
        }
        stage
    };
    let requests = run_to(&mut prepared().await, usize::MAX, end).await;
    let changes: Vec<usize> = (1..).zip(&requests).filter(|(_, method)| **method == http::Method::PATCH).map(|(at, _)| at).collect();
    assert_eq!(changes.len(), 2, "the manifest and its tag: {requests:?}");
    for (number, at) in changes.into_iter().enumerate() {
        let mut stage = prepared().await;
        let before = said(&stage).len();
        run_to(&mut stage, at, end).await;
        assert_eq!(said(&stage)[before..][number], "open", "{end:?} at request {at}");
        stage.hands.turn(60);
        stage.run("ci").await;
        let told = match end {
            End::KilledAfter => "resolved: done",
            End::KilledBefore | End::LineDead => "resolved: not done",
        };
        assert_eq!(said(&stage)[before..][number], told, "{end:?} at request {at}");
        // Whoever closed them opens them once nobody asks for them, and nothing more is to be done.
        stage.policies = crate::stage::policies(&releasing("none"));
        stage.run("ci").await;
        assert!(!stage.emulator.render().contains("locked"), "{end:?} at request {at}: {}", stage.emulator.render());
        assert!(stage.plan_again("ci").await.is_empty);
        stage.account();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_being_closed_at_a_kill_is_known_to_be_ours() {
    kill_at_each_change_of_a_lock(false, End::KilledBefore).await;
    kill_at_each_change_of_a_lock(false, End::KilledAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_being_opened_at_a_kill_is_known_to_be_open() {
    kill_at_each_change_of_a_lock(true, End::KilledBefore).await;
    kill_at_each_change_of_a_lock(true, End::KilledAfter).await;
}

/// Between the kill and the next run somebody closes more than we were to close, or the tag becomes another image's.
#[tokio::test(start_paused = true)]
async fn a_lock_that_others_changed_after_a_kill_is_never_ours() {
    use retaind::emulator::Locks;

    for moved in [false, true] {
        let stage = || {
            let options = Options { require_auth: false, ..Options::default() };
            Stage::with(&format!("{RELEASED}  image two  tags other  age 80d\n"), &releasing("\"prod-*\""), options)
        };
        let requests = run_to(&mut stage(), usize::MAX, End::KilledAfter).await;
        let mut stage = stage();
        let last = requests.iter().rposition(|method| *method == http::Method::PATCH).expect("the tag's lock") + 1;
        run_to(&mut stage, last, End::KilledAfter).await;
        if moved {
            let two = stage.digest("app", "two");
            stage.emulator.move_tag("app", "prod-1", two).expect("the tag");
        } else {
            stage.emulator.lock_tag("app", "prod-1", Locks { write: false, ..Locks::NO_DELETE }).expect("the tag");
        }
        stage.policies = crate::stage::policies(&releasing("none"));
        stage.hands.turn(60);
        stage.run("ci").await;
        assert_eq!(said(&stage)[1], if moved { "resolved: not done" } else { "resolved: done" });
        stage.run("ci").await;
        assert!(stage.emulator.render().contains("prod-1 (locked delete"), "{}", stage.emulator.render());
    }
}
