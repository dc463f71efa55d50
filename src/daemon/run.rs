//! One run in a task of its own: the pipeline, with what it tells turned into log lines and numbers.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::acr::Client;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::pipeline::apply::{Brakes, Stopped};
use crate::pipeline::guard::Circumstances;
use crate::pipeline::report::Tally;
use crate::pipeline::{self, Run, RunError, Told};
use crate::state::State;
use crate::telemetry::{FailureReason, RunEnd, SeriesKey};

use super::STOP_MAX;

/// What a run is made of. It keeps the policies that it began with.
pub(super) struct Begun {
    pub(super) key: SeriesKey,
    pub(super) configuration: Arc<Configuration>,
    pub(super) client: Client,
    pub(super) state: State,
    pub(super) clock: Clock,
    pub(super) brakes: Brakes,
    /// When its window closes.
    pub(super) until: Option<Timestamp>,
    pub(super) circumstances: Circumstances,
    /// Held by one run of a registry at a time: what a run finds half done must not be what another is doing.
    pub(super) turn: Arc<Mutex<()>>,
    pub(super) started_at: Timestamp,
    pub(super) stop: CancellationToken,
}

/// A run that ended.
pub(super) struct Ended {
    pub(super) key: SeriesKey,
    pub(super) started_at: Timestamp,
    pub(super) end: RunEnd,
    pub(super) explanation: Option<String>,
    pub(super) tally: Tally,
}

/// Runs and reports, whatever happens in between: a panic ends this run and no other. A run has a thread of its own, because deciding
/// about a million manifests takes seconds of pure computing, in which the daemon must still answer.
pub(super) async fn run(begun: Begun, ended: mpsc::Sender<Ended>) {
    let (key, started_at) = (begun.key.clone(), begun.started_at);
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::spawn_blocking(move || runtime.block_on(carry_out(begun))).await;
    let (end, explanation, tally) = outcome.unwrap_or_else(|panic| {
        error!(policy = %key.policy, registry = %key.registry, "a bug of retaind ended the run, please report it: {panic}");
        (RunEnd::Failed(FailureReason::State), Some("a bug of retaind ended the run".to_owned()), Tally::default())
    });
    // Nobody listens any more only when the process ends.
    let _ = ended.send(Ended { key, started_at, end, explanation, tally }).await;
}

async fn carry_out(begun: Begun) -> (RunEnd, Option<String>, Tally) {
    let Begun { key, configuration, client, state, clock, brakes, until, circumstances, turn, started_at: _, stop } = begun;
    let interrupted = || (RunEnd::Failed(FailureReason::Interrupted), Some("the daemon was asked to stop".to_owned()));
    let Some(_turn) = stop.run_until_cancelled(turn.lock()).await else {
        let (end, explanation) = interrupted();
        return (end, explanation, Tally::default());
    };
    let mut tally = Tally::default();
    let Some(acting) = configuration.policies.iter().find(|policy| policy.name == key.policy) else {
        return (RunEnd::Succeeded, None, tally);
    };
    let (policies, agreed) = (&configuration.policies, None);
    let run = Run { policies, acting, client, state, clock, brakes: brakes.clone(), until, circumstances, agreed };
    let (mut held_back, mut drained) = (None, None);
    let mut stopped = None;
    let mut tell = |told: &Told<'_>| match told {
        Told::Planned(decided) => {
            tally.plan(decided);
            held_back = decided.refusals.iter().find(|refusal| !refusal.is_draining()).map(ToString::to_string);
            drained = decided.refusals.iter().find(|refusal| refusal.is_draining() && acting.is_enforced()).map(ToString::to_string);
            for refusal in decided.refusals.iter().filter(|refusal| acting.is_enforced() && !refusal.is_draining()) {
                warn!(policy = %key.policy, registry = %key.registry, plan = %decided.plan.hash(), "guard: {refusal}");
            }
            if let Some(drained) = &drained {
                info!(policy = %key.policy, registry = %key.registry, plan = %decided.plan.hash(), "guard: {drained}");
            }
            info!(policy = %key.policy, registry = %key.registry, plan = %decided.plan.hash(), scanned = tally.scanned, going = tally.going, "planned");
        }
        Told::Applied(applied) => {
            tally.apply(applied);
            stopped = applied.stopped().cloned();
        }
    };
    let outcome = tokio::select! {
        // A run that is through is noted as that, also when the daemon is to stop at the same moment.
        biased;
        outcome = pipeline::run(&run, &mut tell) => Some(outcome),
        () = only_reads_are_left(&stop, &brakes) => None,
    };
    let (end, explanation) = match outcome {
        None => interrupted(),
        Some(Err(error)) => {
            warn!(policy = %key.policy, registry = %key.registry, "run failed: {error}");
            let reason = match error {
                RunError::Registry(_) => FailureReason::Registry,
                RunError::State(_) => FailureReason::State,
            };
            (RunEnd::Failed(reason), Some(error.to_string()))
        }
        Some(Ok(ended)) if ended.refused && acting.is_enforced() => (RunEnd::Refused, held_back),
        Some(Ok(ended)) => match end_of(&ended, stopped) {
            (RunEnd::Succeeded, None) => (RunEnd::Succeeded, drained),
            failed => failed,
        },
    };
    info!(policy = %key.policy, registry = %key.registry, deleted = tally.deleted, untagged = tally.untagged, skipped = tally.skipped, "run ended");
    (end, explanation, tally)
}

/// Waits until the daemon is to stop and the run may be dropped: reads at once, because nothing is lost with them; changes only when
/// they are through, or after [`STOP_MAX`]: the journal knows what is on its way, and the next process reads what became of it.
async fn only_reads_are_left(stop: &CancellationToken, brakes: &Brakes) {
    stop.cancelled().await;
    brakes.pull();
    if tokio::time::timeout(STOP_MAX, brakes.settled()).await.is_err() {
        warn!("requests on their way did not end within {STOP_MAX:?}; the next start reads what became of them");
    }
}

fn end_of(ended: &pipeline::Ended, stopped: Option<Stopped>) -> (RunEnd, Option<String>) {
    let explanation = stopped.as_ref().map(ToString::to_string);
    let failed = |reason| RunEnd::Failed(reason);
    let some_failed = ended.applied.as_ref().is_some_and(|applied| 0 < applied.counts().failed);
    let end = match stopped {
        Some(Stopped::Asked) => failed(FailureReason::Interrupted),
        Some(Stopped::Journal(_)) => failed(FailureReason::State),
        Some(Stopped::Changed(_) | Stopped::Registry(_)) => failed(FailureReason::Steps),
        Some(Stopped::WindowClosed) | None if some_failed => failed(FailureReason::Steps),
        Some(Stopped::WindowClosed) | None if 0 < ended.incomplete => failed(FailureReason::Incomplete),
        Some(Stopped::WindowClosed) => RunEnd::WindowClosed,
        None => RunEnd::Succeeded,
    };
    (end, explanation)
}
