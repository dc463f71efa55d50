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
