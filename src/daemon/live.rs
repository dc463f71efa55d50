//! The daemon's knowledge while it runs: the policies in use, what is running, what holds deleting back. One owner, no locks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::acr::{Client, Statistics};
use crate::clock::Clock;
use crate::config::{BrokenScope, Configuration, Problems};
use crate::model::RegistryName;
use crate::pipeline::access;
use crate::pipeline::apply::{Brakes, pause_file};
use crate::pipeline::guard::{Circumstances, SuspendedScope};
use crate::policy::{Pattern, Policy, Schedule};
use crate::serve::{ConfigurationStatus, LastRun, PolicyStatus, RegistryStatus, Status, SuspendedStatus};
use crate::state::{Approval, State, StateError};
use crate::telemetry::{Finished, Loaded, LoadedPolicy, Metrics, RunEnd, SeriesKey, SkipReason};

use super::run::{self, Begun, Ended};
use super::schedule::{Job, decide, next_start};
use super::{Connect, HEARTBEAT, Reloaded, Running, notify};

/// So many intervals between runs are looked at for the longest: a month of a daily schedule, microseconds of work.
const INTERVALS: usize = 31;
/// How often the history is shortened.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(24);

pub(super) struct Live {
    configuration: Arc<Configuration>,
    state: State,
    clock: Clock,
    connect: Connect,
    metrics: Arc<Metrics>,
    status: watch::Sender<Status>,
    seed: u64,
    ended: mpsc::Sender<Ended>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Each with what it had done when the metrics were last told.
    clients: BTreeMap<RegistryName, (Client, Statistics)>,
    running: Running,
    known: BTreeMap<SeriesKey, Known>,
    /// Who runs on a registry.
    turns: BTreeMap<RegistryName, Arc<Mutex<()>>>,
    loaded_at: Timestamp,
    /// When the history was last shortened.
    forgot_at: Option<Timestamp>,
    /// Why the files as they are now are not in use.
    problem: Option<String>,
    /// Files whose last valid texts are in use: deleting is suspended in their scopes.
    broken: Vec<BrokenScope>,
    /// Told when a client has signed in, or could not.
    signed_in: Arc<Notify>,
}

/// What is known of a policy on a registry.
struct Known {
    since: Timestamp,
    last_started: Option<Timestamp>,
    last_run: Option<LastRun>,
}

/// What the daemon hands over.
pub(super) struct Parts {
    pub(super) configuration: Arc<Configuration>,
    pub(super) state: State,
    pub(super) clock: Clock,
    pub(super) connect: Connect,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: watch::Sender<Status>,
    pub(super) seed: u64,
    pub(super) ended: mpsc::Sender<Ended>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Live {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { configuration, state, clock, connect, metrics, status, seed, ended, tasks, stop } = parts;
        Self {
            loaded_at: clock.now(),
            configuration,
            state,
            clock,
            connect,
            metrics,
            status,
            seed,
            ended,
            tasks,
            stop,
            clients: BTreeMap::new(),
            running: BTreeMap::new(),
            known: BTreeMap::new(),
            turns: BTreeMap::new(),
            forgot_at: None,
            problem: None,
            broken: Vec::new(),
            signed_in: Arc::default(),
        }
    }

    /// Told when what a client knows of its registry is worth publishing: until then the daemon is not ready.
    pub(super) fn signed_in(&self) -> Arc<Notify> {
        Arc::clone(&self.signed_in)
    }

    /// Takes up the policies that it was made with.
    pub(super) fn start(&mut self) {
        self.take_up(None);
        self.publish();
    }

    /// Starts what is due and returns how long nothing else is.
    pub(super) fn start_what_is_due(&mut self) -> Duration {
        let now = self.clock.now();
        self.start_what_is_approved(now);
        self.forget_old_history(now);
        let (decision, by_name) = self.decide(now);
        for start in &decision.start {
            if let Some(key) = by_name.get(&start.policy) {
                let until = self.policy(key).and_then(|policy| policy.schedule.as_ref()?.closes(now));
                self.begin(key.clone(), now, until);
            }
        }
        self.tell_registries();
        self.publish();
        let wake_at = decision.wake_at.map(|at| at.duration_since(now));
        wake_at.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or(HEARTBEAT)
    }

    /// What a person approved is applied at once, whatever the windows are.
    fn start_what_is_approved(&mut self, now: Timestamp) {
        let approvals = self.state.take_approvals(now).unwrap_or_else(|error| {
            warn!("approvals cannot be taken up: {error}");
            Vec::new()
        });
        for Approval { plan_hash, runs } in approvals {
            if runs.is_empty() {
                warn!(plan = %plan_hash, "an approved plan is none that a run made");
            }
            for (policy, registry) in runs {
                let key = SeriesKey { policy: policy.into(), registry };
                info!(policy = %key.policy, registry = %key.registry, plan = %plan_hash, "plan approved");
                if self.known.contains_key(&key) && !self.running.contains_key(&key) {
                    self.begin(key, now, None);
                }
            }
        }
    }

    /// Once a day, beside everything else: a large history takes seconds.
    fn forget_old_history(&mut self, now: Timestamp) {
        if self.forgot_at.is_some_and(|at| now.duration_since(at) < FORGET_EVERY) {
            return;
        }
        self.forgot_at = Some(now);
        let (state, before) = (self.state.clone(), now - self.configuration.state.history);
        self.tasks.spawn_blocking(move || match state.prune_history(before) {
            Ok(0) => {}
            Ok(runs) => info!(runs, "forgot the runs from before {before:.0}"),
            Err(error) => warn!("the history cannot be shortened: {error}"),
        });
    }

    fn decide(&self, now: Timestamp) -> (super::schedule::Decision, BTreeMap<Arc<str>, SeriesKey>) {
        let mut jobs = Vec::new();
        let mut by_name = BTreeMap::new();
        for (key, schedule, known) in self.scheduled() {
            let job = self.job(key, schedule, known);
            by_name.insert(Arc::clone(&job.policy), key.clone());
            jobs.push(job);
        }
        (decide(&jobs, now, self.seed), by_name)
    }

    fn scheduled(&self) -> impl Iterator<Item = (&SeriesKey, &Schedule, &Known)> {
        self.known.iter().filter_map(|(key, known)| Some((key, self.policy(key)?.schedule.as_ref()?, known)))
    }

    /// A policy on two registries is two jobs: one that hangs must not keep the other from running.
    fn job<'s>(&self, key: &SeriesKey, schedule: &'s Schedule, known: &Known) -> Job<'s> {
        Job {
            policy: format!("{} on {}", key.policy, key.registry).into(),
            schedule,
            known_since: known.since,
            last_started: known.last_started,
            is_running: self.running.contains_key(key),
        }
    }

    fn policy(&self, key: &SeriesKey) -> Option<&Policy> {
        self.configuration.policies.iter().find(|policy| policy.name == key.policy)
    }

    fn begin(&mut self, key: SeriesKey, now: Timestamp, until: Option<Timestamp>) {
        if let Some(known) = self.known.get_mut(&key) {
            known.last_started = Some(now);
        }
        let Some((client, _)) = self.clients.get(&key.registry) else {
            self.metrics.run_skipped(&key, SkipReason::Missed);
            return;
        };
        info!(policy = %key.policy, registry = %key.registry, "run begins");
        self.metrics.run_started(&key);
        let brakes = self.brakes();
        let client = client.with_own_queue();
        let turn = Arc::clone(self.turns.entry(key.registry.clone()).or_default());
        self.running.insert(key.clone(), (brakes.clone(), now));
        let begun = Begun {
            key,
            configuration: Arc::clone(&self.configuration),
            client,
            state: self.state.clone(),
            clock: self.clock.clone(),
            circumstances: Circumstances {
                paused: self.configuration.paused || brakes.are_held_by_a_pause(),
                suspended: self.problem.clone(),
                suspended_scopes: self.broken.iter().map(suspended_scope).collect(),
                journal_is_kept: self.state.is_durable() || self.configuration.state.volatile,
                ..Circumstances::default()
            },
            brakes,
            until,
            turn,
            started_at: now,
            stop: self.stop.clone(),
        };
        self.tasks.spawn(run::run(begun, self.ended.clone()));
    }

    fn brakes(&self) -> Brakes {
        self.pause_file().map_or_else(Brakes::new, Brakes::with_pause_file)
    }

    fn pause_file(&self) -> Option<PathBuf> {
        self.configuration.state.dir.as_deref().map(pause_file)
    }

    fn is_paused(&self) -> bool {
        self.configuration.paused || self.brakes().are_held_by_a_pause()
    }

    /// Notes how a run ended.
    pub(super) fn ended(&mut self, ended: Ended) {
        let Ended { key, started_at, end, explanation, tally } = ended;
        self.running.remove(&key);
        let now = self.clock.now();
        let took = Duration::try_from(now.duration_since(started_at)).unwrap_or_default();
        self.metrics.run_finished(&key, &Finished { at: now, took, end, tally: &tally });
        if let Some(known) = self.known.get_mut(&key) {
            known.last_run = Some(LastRun { started_at, ended_at: now, outcome: word(end).to_owned(), explanation });
        }
    }

    /// Takes note of what the files say now. Whatever changed, runs on their way begin nothing more: an edit may be the protection that
    /// somebody just added.
    pub(super) fn reloaded(&mut self, reloaded: Reloaded) {
        match reloaded {
            Reloaded::Valid(configuration, broken) => {
                info!(policies = configuration.policies.len(), "the files changed: their policies are in use now");
                self.warn_of_restarts(&configuration);
                self.pull_brakes();
                let before = std::mem::replace(&mut self.configuration, configuration);
                self.take_up(Some(&before));
                if !broken.is_empty() {
                    self.metrics.reloaded_in_part();
                    self.suspend_in(broken);
                }
            }
            Reloaded::Broken(broken) => {
                self.pull_brakes();
                self.problem = None;
                self.metrics.reload_failed();
                self.suspend_in(broken);
            }
            Reloaded::Restored => {
                let paused = if self.is_paused() { "deleting is still paused" } else { "deleting goes on" };
                info!("the files are valid again; {paused}");
                self.take_up(Some(&Arc::clone(&self.configuration)));
            }
            Reloaded::Unchanged => match self.suspended() {
                None => info!("the files are as they were"),
                Some(held) => warn!("the files are as they were, and {held}"),
            },
            Reloaded::Invalid(problems) => self.suspend(&problems),
        }
    }

    fn suspend(&mut self, problems: &Problems) {
        let why = format!("the files are not valid ({})", problems.summary());
        error!("deleting is suspended, because {why}; the last valid policies go on planning\n{problems:#}");
        self.problem = Some(why);
        self.broken.clear();
        self.pull_brakes();
        self.metrics.reload_failed();
        self.metrics.suspended(true, 0);
    }

    /// Suspends deleting where files matter that are not valid, and nowhere else.
    fn suspend_in(&mut self, broken: Vec<BrokenScope>) {
        self.broken = broken;
        for broken in &self.broken {
            let (held, problems) = (held_in(broken), &broken.problems);
            error!("deleting is {held}; the last valid policies go on planning\n{problems:#}");
        }
        self.metrics.suspended(true, self.broken.len());
    }

    /// Where deleting is suspended, and why; None: nowhere.
    fn suspended(&self) -> Option<String> {
        let everywhere = self.problem.as_ref().map(|why| format!("deleting is suspended, because {why}"));
        let scopes = || self.broken.iter().map(held_in).collect::<Vec<_>>().join("; ");
        everywhere.or_else(|| (!self.broken.is_empty()).then(|| format!("deleting is {}", scopes())))
    }

    fn warn_of_restarts(&self, new: &Configuration) {
        if self.configuration.state != new.state || self.configuration.server != new.server {
            warn!("state and server take effect after a restart");
        }
    }

    fn pull_brakes(&self) {
        self.running.values().for_each(|(brakes, _)| brakes.pull());
    }

    fn take_up(&mut self, before: Option<&Configuration>) {
        self.problem = None;
        self.broken.clear();
        self.loaded_at = self.clock.now();
        self.reconnect(before);
        let keys: Vec<SeriesKey> = self.keys();
        self.known = keys.iter().map(|key| (key.clone(), self.remember(key))).collect();
        self.metrics.suspended(false, 0);
        self.metrics.reloaded(&Loaded {
            at: self.loaded_at,
            registries: self.configuration.registries.iter().map(|registry| registry.name.clone()).collect(),
            policies: keys.iter().filter_map(|key| self.loaded(key)).collect(),
        });
    }

    /// Clients keep their tokens across edits that do not concern their registry.
    fn reconnect(&mut self, before: Option<&Configuration>) {
        let mut old = std::mem::take(&mut self.clients);
        for registry in &self.configuration.registries {
            let unchanged = before.is_some_and(|before| before.registries.contains(registry));
            let kept = if unchanged { old.remove(&registry.name) } else { None };
            match kept.map_or_else(|| (self.connect)(registry).map(|client| (client, Statistics::default())), Ok) {
                Ok(client) => {
                    if client.1 == Statistics::default() {
                        let signing_in = sign_in(client.0.clone(), Arc::clone(&self.configuration), Arc::clone(&self.signed_in));
                        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(signing_in));
                    }
                    self.clients.insert(registry.name.clone(), client);
                }
                Err(why) => error!(registry = %registry.name, "{why}"),
            }
        }
    }

    fn keys(&self) -> Vec<SeriesKey> {
        let of = |policy: &Policy| {
            let policy_name = Arc::clone(&policy.name);
            policy.registries.clone().into_iter().map(move |registry| SeriesKey { policy: Arc::clone(&policy_name), registry })
        };
        self.configuration.policies.iter().flat_map(of).collect()
    }

    fn loaded(&self, key: &SeriesKey) -> Option<LoadedPolicy> {
        let policy = self.policy(key)?;
        let interval = policy.schedule.as_ref().and_then(|schedule| longest_interval(schedule, self.loaded_at));
        Some(LoadedPolicy { key: key.clone(), mode: policy.mode, interval })
    }

    /// What this or an earlier process knows of the policy. A state that cannot be read is as good as a new one here: schedules start
    /// anew, and deleting fails on its own.
    fn remember(&self, key: &SeriesKey) -> Known {
        if let Some(Known { since, last_started, last_run }) = self.known.get(key) {
            let since = self.scheduled_since(key).unwrap_or(*since);
            return Known { since, last_started: *last_started, last_run: last_run.clone() };
        }
        let remembered = || -> Result<Known, StateError> {
            let (last, success) = self.state.last_run(&key.policy, &key.registry)?;
            let ended = last.as_ref().and_then(|last| last.finished.as_ref());
            self.metrics.remembered(key, ended.map(|(at, _)| *at), success);
            let last_run = last.as_ref().and_then(|last| {
                let (ended_at, outcome) = last.finished.as_ref()?;
                Some(LastRun { started_at: last.started_at, ended_at: *ended_at, outcome: outcome.word().to_owned(), explanation: None })
            });
            let since = self.scheduled_since(key).unwrap_or(self.loaded_at);
            Ok(Known { since, last_started: last.map(|last| last.started_at), last_run })
        };
        remembered().unwrap_or_else(|error| {
            error!("{error}");
            Known { since: self.loaded_at, last_started: None, last_run: None }
        })
    }

    fn scheduled_since(&self, key: &SeriesKey) -> Option<Timestamp> {
        let schedule = self.policy(key)?.schedule.as_ref()?;
        let text = format!("{} {}", schedule.expression.as_str(), schedule.zone.iana_name().unwrap_or("UTC"));
        self.state.scheduled_since(&key.policy, &key.registry, &text, self.loaded_at).ok()
    }

    fn tell_registries(&mut self) {
        for (name, (client, told)) in &mut self.clients {
            let now = client.stats();
            self.metrics.registry(name, &now.since(told));
            *told = now;
        }
    }

    fn publish(&self) {
        let now = self.clock.now();
        let paused = self.is_paused();
        self.metrics.paused(paused);
        let policies = self.known.iter().filter_map(|(key, known)| self.policy_status(key, known, now)).collect();
        self.status.send_modify(|status| {
            status.configuration = ConfigurationStatus { loaded_at: Some(self.loaded_at), problem: self.files_problem() };
            status.paused = paused;
            status.suspended.clone_from(&self.problem);
            status.suspended_scopes = self.broken.iter().map(scope_status).collect();
            status.registries = self
                .clients
                .iter()
                .map(|(name, (client, _))| RegistryStatus { name: name.clone(), signed_in: client.stats().signed_in() })
                .collect();
            status.policies = policies;
        });
    }

    /// What is wrong with the files as they are now.
    fn files_problem(&self) -> Option<String> {
        let broken =
            || self.broken.iter().map(|broken| format!("the file of {} is not valid ({})", globs(broken), broken.problems.brief()));
        self.problem.clone().or_else(|| (!self.broken.is_empty()).then(|| broken().collect::<Vec<_>>().join("; ")))
    }

    fn policy_status(&self, key: &SeriesKey, known: &Known, now: Timestamp) -> Option<PolicyStatus> {
        let policy = self.policy(key)?;
        let next = policy.schedule.as_ref().and_then(|schedule| next_start(&self.job(key, schedule, known), now, self.seed));
        let next_run_at = next.map(|start| start.at.max(now));
        self.metrics.scheduled(key, next_run_at);
        Some(PolicyStatus {
            name: policy.name.to_string(),
            registry: key.registry.clone(),
            mode: policy.mode,
            schedule: policy.schedule.as_ref().map(|schedule| schedule.expression.as_str().to_owned()),
            time_zone: policy.schedule.as_ref().and_then(|schedule| schedule.zone.iana_name()).unwrap_or("UTC").to_owned(),
            running_since: self.running.get(key).map(|(_, since)| *since),
            next_run_at,
            last_run: known.last_run.clone(),
        })
    }

    /// Nothing new is begun; what is on its way is finished.
    pub(super) fn stop(&self) {
        self.pull_brakes();
        self.status.send_modify(|status| status.stopping = true);
    }

    /// What goes on, in one line.
    pub(super) fn summary(&self) -> String {
        notify::line(&self.status.borrow())
    }
}

/// Why nothing is deleted where broken files matter.
fn why(broken: &BrokenScope) -> String {
    format!("the file of this scope is not valid ({})", broken.problems.brief())
}

fn held_in(broken: &BrokenScope) -> String {
    format!("suspended in {}, because {}", globs(broken), why(broken))
}

fn globs(broken: &BrokenScope) -> String {
    broken.repositories.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ")
}

fn suspended_scope(broken: &BrokenScope) -> SuspendedScope {
    SuspendedScope { repositories: broken.repositories.clone(), why: why(broken) }
}

fn scope_status(broken: &BrokenScope) -> SuspendedStatus {
    let repositories = broken.repositories.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    SuspendedStatus { repositories, why: why(broken) }
}

/// The longest of the next [`INTERVALS`] times between two runs: on a schedule for working days a weekend is no delay.
fn longest_interval(schedule: &Schedule, after: Timestamp) -> Option<Duration> {
    let times = std::iter::successors(schedule.next(after), |time| schedule.next(*time)).take(INTERVALS + 1);
    let times: Vec<Timestamp> = times.collect();
    let longest = times.windows(2).map(|pair| pair[1].duration_since(pair[0])).max()?;
    Duration::try_from(longest).ok()
}

/// Signs in and tells what the identities may do, so that a mistake is told at the start and not with the first run at night.
async fn sign_in(client: Client, configuration: Arc<Configuration>, ended: Arc<Notify>) {
    access::announce(&client, &configuration.policies).await;
    ended.notify_one();
}

fn word(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Succeeded => "succeeded",
        RunEnd::Refused => "refused",
        RunEnd::WindowClosed => "window_closed",
        RunEnd::Failed(_) => "failed",
    }
}
