//! The daemon: runs every policy at its time, takes edits without a restart, says how it is, and stops cleanly.
//! Wires the parts together; what is due is decided by `schedule`, what a run does by `pipeline`.

mod live;
mod notify;
mod reload;
mod run;
pub mod schedule;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::acr::Client;
use crate::clock::Clock;
use crate::config::{Configuration, Registry};
use crate::pipeline::apply::Brakes;
use crate::serve::{self, ServerState, Status};
use crate::state::State;
use crate::telemetry::{Build, Metrics};

use live::{Live, Parts};
use reload::Reloaded;
use run::Ended;

/// The longest the scheduler sleeps: its heartbeat, and how soon a clock that was set is noticed.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// A scheduler that has not been awake for so long is stuck: restarting the process is then the best that can be done.
const HEARTBEAT_OLD: Duration = Duration::from_secs(30);
/// How often the files are looked at: a ConfigMap edit takes the kubelet a minute anyway.
const RELOAD_EVERY: Duration = Duration::from_secs(5);
/// How long requests on their way may take once the daemon is to stop. What is cut off then is read by the next process.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Ended runs that wait to be noted; there are never more than policies.
const ENDED_MAX: usize = 64;

/// Makes a client of a registry, or says in a sentence why it cannot.
pub type Connect = Box<dyn Fn(&Registry) -> Result<Client, String> + Send + Sync>;

/// What the daemon is made of.
pub struct Daemon {
    /// The settings file.
    pub config: PathBuf,
    /// What it says now.
    pub configuration: Configuration,
    /// The state.
    pub state: State,
    /// The time.
    pub clock: Clock,
    /// Makes the clients.
    pub connect: Connect,
    /// Where health, metrics and status are served.
    pub listener: TcpListener,
    /// Spreads starts, and keeps those of several daemons apart.
    pub seed: u64,
}

/// What the daemon is told from outside.
pub struct Orders {
    /// Stop: nothing new is begun, what is on its way is finished.
    pub stop: CancellationToken,
    /// Look at the files now.
    pub reload: mpsc::Receiver<()>,
}

/// Runs until it is told to stop.
pub async fn run(daemon: Daemon, orders: Orders) {
    let Daemon { config, configuration, state, clock, connect, listener, seed } = daemon;
    let Orders { stop, reload } = orders;
    let metrics = Arc::new(Metrics::new(&Build::THIS, configuration.server.repository_metrics));
    let (status, shown) = watch::channel(Status::starting(Build::THIS, clock.now()));
    let heartbeat = Heartbeat::new();
    let serving = CancellationToken::new();
    let server = tokio::spawn(serve::serve(listener, server_state(&metrics, shown, heartbeat.clone()), serving.clone().cancelled_owned()));

    let (reloads, mut reloaded) = mpsc::channel(1);
    let tasks = TaskTracker::new();
    let configuration = Arc::new(configuration);
    tasks.spawn(stop.clone().run_until_cancelled_owned(reload::watch(config, Arc::clone(&configuration), reload, reloads)));
    let (ended, mut endings) = mpsc::channel::<Ended>(ENDED_MAX);
    let mut live = Live::new(Parts {
        configuration,
        state,
        clock: clock.clone(),
        connect,
        metrics,
        status,
        seed,
        ended,
        tasks: tasks.clone(),
        stop: stop.clone(),
    });
    let signed_in = live.signed_in();
    live.start();
    notify::ready(&live.summary());
    info!("ready: {}", live.summary());
    while !stop.is_cancelled() {
        heartbeat.beat();
        let sleep = live.start_what_is_due();
        notify::alive(&live.summary());
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some(ended) = endings.recv() => live.ended(ended),
            Some(reloaded) = reloaded.recv() => live.reloaded(reloaded),
            () = signed_in.notified() => {}
            () = tokio::time::sleep(sleep.min(HEARTBEAT)) => {}
        }
    }
    notify::stopping();
    info!("stopping: nothing new is begun, requests on their way are finished");
    live.stop();
    tasks.close();
    loop {
        tokio::select! {
            biased;
            // Taken while waiting: more runs may end than fit into the channel.
            Some(ended) = endings.recv() => live.ended(ended),
            () = tasks.wait() => break,
        }
    }
    while let Ok(ended) = endings.try_recv() {
        live.ended(ended);
    }
    serving.cancel();
    // The server ends by its token; a panic in it was logged by the runtime.
    let _ = server.await;
    info!("stopped");
}

fn server_state(metrics: &Arc<Metrics>, status: watch::Receiver<Status>, heartbeat: Heartbeat) -> Arc<ServerState> {
    let alive = move || {
        let silent = heartbeat.silent_for();
        if silent < HEARTBEAT_OLD { Ok(()) } else { Err(format!("the scheduler has not been awake for {} s", silent.as_secs())) }
    };
    Arc::new(ServerState { metrics: Arc::clone(metrics), status, alive: Box::new(alive) })
}

/// When the scheduler was last awake, by a clock that nobody sets: one that is put forward by an hour must not look like an hour of
/// silence.
#[derive(Clone)]
struct Heartbeat {
    began: Instant,
    last_after_ms: Arc<AtomicU64>,
}

impl Heartbeat {
    fn new() -> Self {
        Self { began: Instant::now(), last_after_ms: Arc::default() }
    }

    fn beat(&self) {
        self.last_after_ms.store(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn silent_for(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last_after_ms.load(Ordering::Relaxed)))
    }
}

/// The brakes of every run that is under way.
type Running = BTreeMap<crate::telemetry::SeriesKey, (Brakes, Timestamp)>;
