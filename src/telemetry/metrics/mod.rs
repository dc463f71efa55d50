//! The program in numbers, for Prometheus: one struct with a registry of its own, told plain values by whoever runs policies. The
//! only place that knows Prometheus; does not know how it is served.

mod families;
mod latency;
mod reference;
mod repositories;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};

use crate::acr::{Asked, Operation, Statistics};
use crate::model::RegistryName;
use crate::pipeline::report::{REFUSAL_CODES, Tally};
use crate::policy::Mode;

use families::{Families, Family as _};
pub use reference::metrics_reference;
use repositories::{Counted, Shown};

/// The media type of what [`Metrics::text`] returns.
pub const METRICS_MEDIA_TYPE: &str = prometheus::TEXT_FORMAT;

/// Everything that is counted and measured. Cheap to tell; all methods may be called from anywhere at any time.
pub struct Metrics {
    registry: Registry,
    families: Families,
    /// What has series: a run of a policy that was removed meanwhile must not bring them back.
    known: Mutex<Known>,
    /// How many repositories of each policy on each registry have series of their own.
    repositories_max: usize,
}

#[derive(Default)]
struct Known {
    policies: BTreeSet<SeriesKey>,
    registries: BTreeSet<RegistryName>,
    shown: Shown,
}

/// Which program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// The version of the package.
    pub version: &'static str,
    /// The commit, or `unknown`.
    pub revision: &'static str,
    /// The version of the compiler.
    pub rustc: &'static str,
}

/// One policy on one registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The registry's name.
    pub registry: RegistryName,
}

/// What valid files say.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// When they were read.
    pub at: Timestamp,
    /// All registries.
    pub registries: Vec<RegistryName>,
    /// Every policy on every registry that it names.
    pub policies: Vec<LoadedPolicy>,
}

/// A policy on a registry as the files say.
#[derive(Debug, Clone)]
pub struct LoadedPolicy {
    /// Which.
    pub key: SeriesKey,
    /// Whether its plans are applied.
    pub mode: Mode,
    /// The longest time between two runs; None: it has no schedule.
    pub interval: Option<Duration>,
}

/// A run that ended.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// When.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How.
    pub end: RunEnd,
    /// What it saw, decided and did, as far as it came.
    pub tally: &'a Tally,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything that was to be done was done; in a dry run: everything could be decided.
    Succeeded,
    /// The guard held something back.
    Refused,
    /// Its window closed before everything was done.
    WindowClosed,
    /// Something was left undone.
    Failed(FailureReason),
}

/// Why a run left something undone. Where several hold, the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// The registry could not be read at all.
    Registry,
    /// The state could not be used.
    State,
    /// Steps failed, or the rest of a repository was given up.
    Steps,
    /// Something could not be listed or read, so that nothing was decided there.
    Incomplete,
    /// It was asked to stop.
    Interrupted,
}

/// Why a run that was due did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The one before was still going on.
    StillRunning,
    /// The program did not run at that time.
    Missed,
    /// The program is about to stop.
    Stopping,
}

/// The metrics cannot be written: a bug of this program.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be written")]
pub struct Unwritable(#[source] prometheus::Error);

impl Build {
    /// This program. The revision is what `RETAIND_REVISION` said when it was compiled.
    pub const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: match option_env!("RETAIND_REVISION") {
            Some(revision) => revision,
            None => "unknown",
        },
        rustc: env!("RETAIND_RUSTC"),
    };
}

impl FailureReason {
    const ALL: [Self; 5] = [Self::Registry, Self::State, Self::Steps, Self::Incomplete, Self::Interrupted];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::State => "state",
            Self::Steps => "steps",
            Self::Incomplete => "incomplete",
            Self::Interrupted => "interrupted",
        }
    }
}

impl SkipReason {
    const ALL: [Self; 3] = [Self::StillRunning, Self::Missed, Self::Stopping];

    const fn as_str(self) -> &'static str {
        match self {
            Self::StillRunning => "still_running",
            Self::Missed => "missed",
            Self::Stopping => "stopping",
        }
    }
}

/// Which kinds of token there are: the identity's, and of the registry a long-lived one for getting short-lived ones.
const TOKEN_KINDS: [&str; 3] = ["identity", "refresh", "access"];

impl Metrics {
    /// Metrics of a program that has read no file yet. So many repositories of each policy on each registry have series of their own.
    pub fn new(build: &Build, repositories_max: usize) -> Self {
        let registry = Registry::new();
        let families = Families::registered_in(&registry);
        if let Some(process) = process() {
            registry.register(process).expect("the names of the process collector are not in our table: ours have a prefix");
        }
        let Build { version, revision, rustc } = build;
        families.build_info.with_label_values(&[version, revision, rustc]).set(1.0);
        let flags =
            [&families.config_last_reload_successful, &families.deletion_suspended, &families.deletion_suspended_scopes, &families.paused];
        for gauge in flags {
            gauge.with_label_values(NONE).set(0.0);
        }
        for counter in [&families.config_reloads, &families.config_reload_failures] {
            counter.with_label_values(NONE);
        }
        Self { registry, families, known: Mutex::default(), repositories_max }
    }

    /// The page that Prometheus reads.
    ///
    /// # Errors
    /// A metric breaks the rules of the format.
    pub fn text(&self) -> Result<String, Unwritable> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Unwritable)
    }

    /// Valid files were read: what they name has series from now on, and what they no longer name has none.
    pub fn reloaded(&self, loaded: &Loaded) {
        let Loaded { at, registries, policies } = loaded;
        let families = &self.families;
        families.config_reloads.with_label_values(NONE).inc();
        families.config_last_reload_successful.with_label_values(NONE).set(1.0);
        families.config_last_reload_success_timestamp.with_label_values(NONE).set(seconds(*at));
        let new = Known {
            policies: policies.iter().map(|policy| policy.key.clone()).collect(),
            registries: registries.iter().cloned().collect(),
            shown: Shown::default(),
        };
        let mut known = self.known();
        for SeriesKey { policy, registry } in known.policies.difference(&new.policies) {
            families.forget(&[("policy", policy), ("registry", registry.as_str())]);
        }
        for registry in known.registries.difference(&new.registries) {
            families.forget(&[("registry", registry.as_str())]);
        }
        let mut shown = std::mem::take(&mut known.shown);
        shown.keep_only(&new.policies);
        *known = Known { shown, ..new };
        registries.iter().for_each(|registry| self.begin_registry(registry));
        policies.iter().for_each(|policy| self.begin_policy(policy));
    }

    /// Changed files were read and are not valid.
    pub fn reload_failed(&self) {
        self.families.config_reloads.with_label_values(NONE).inc();
        self.families.config_reload_failures.with_label_values(NONE).inc();
        self.families.config_last_reload_successful.with_label_values(NONE).set(0.0);
    }

    /// Of the files that were just read some are not valid.
    pub fn reloaded_in_part(&self) {
        self.families.config_reload_failures.with_label_values(NONE).inc();
        self.families.config_last_reload_successful.with_label_values(NONE).set(0.0);
    }

    /// Whether deleting is suspended because files are not valid, and if that is so in the scopes of some of them only, of how many.
    pub fn suspended(&self, suspended: bool, scopes: usize) {
        self.families.deletion_suspended.with_label_values(NONE).set(flag(suspended));
        self.families.deletion_suspended_scopes.with_label_values(NONE).set(u32::try_from(scopes).unwrap_or(u32::MAX).into());
    }

    /// Whether somebody paused deleting.
    pub fn paused(&self, paused: bool) {
        self.families.paused.with_label_values(NONE).set(flag(paused));
    }

    /// When the policy runs next; None: it has no schedule.
    pub fn scheduled(&self, key: &SeriesKey, next: Option<Timestamp>) {
        self.with(key, |families, labels| match next {
            Some(next) => families.policy_next_run_timestamp.with_label_values(labels).set(seconds(next)),
            None => families.policy_next_run_timestamp.forget(&named(labels)),
        });
    }

    /// What an earlier process left: when the last run ended, and when one last ended with everything done.
    pub fn remembered(&self, key: &SeriesKey, last_run: Option<Timestamp>, last_success: Option<Timestamp>) {
        self.with(key, |families, labels| {
            let timestamps = [(&families.policy_last_run_timestamp, last_run), (&families.policy_last_success_timestamp, last_success)];
            for (gauge, at) in timestamps {
                at.into_iter().for_each(|at| gauge.with_label_values(labels).set(seconds(at)));
            }
        });
    }

    /// A run began.
    pub fn run_started(&self, key: &SeriesKey) {
        self.with(key, |families, labels| families.policy_running.with_label_values(labels).set(1.0));
    }

    /// A run ended.
    pub fn run_finished(&self, key: &SeriesKey, finished: &Finished<'_>) {
        let Finished { at, took, end, tally } = finished;
        self.with(key, |families, labels| {
            families.policy_running.with_label_values(labels).set(0.0);
            families.policy_runs.with_label_values(labels).inc();
            families.policy_last_run_timestamp.with_label_values(labels).set(seconds(*at));
            families.policy_last_run_duration.with_label_values(labels).set(took.as_secs_f64());
            match end {
                RunEnd::Succeeded => families.policy_last_success_timestamp.with_label_values(labels).set(seconds(*at)),
                RunEnd::Refused | RunEnd::WindowClosed => {}
                RunEnd::Failed(reason) => families.policy_run_failures.with_label_values(&and(labels, reason.as_str())).inc(),
            }
            count(families, labels, tally);
        });
        // A run that came to no plan tells nothing of repositories.
        if 0 < self.repositories_max && !tally.repositories.is_empty() {
            self.count_repositories(key, tally);
        }
    }

    fn count_repositories(&self, key: &SeriesKey, tally: &Tally) {
        let mut known = self.known();
        if !known.policies.contains(key) {
            return;
        }
        let (families, labels) = (&self.families, &[&*key.policy, key.registry.as_str()]);
        let ended = known.shown.choose(key, &tally.repositories, self.repositories_max);
        for (name, counter) in ended.iter().flat_map(|name| families.of_repositories_counted().map(|counter| (name, counter))) {
            // Fails only where the series is gone already.
            let _ = counter.remove_label_values(&and(labels, name.as_str()));
        }
        families.of_repositories_measured().into_iter().for_each(|gauge| gauge.forget(&named(labels)));
        for (repository, counted) in known.shown.labelled(key, &tally.repositories) {
            count_repository(families, &and(labels, repository), &counted);
        }
    }

    /// A run that was due did not begin.
    pub fn run_skipped(&self, key: &SeriesKey, reason: SkipReason) {
        self.with(key, |families, labels| families.policy_runs_skipped.with_label_values(&and(labels, reason.as_str())).inc());
    }

    /// Adds what a client has done since it was last told: [`Statistics::since`] of the two looks.
    pub fn registry(&self, registry: &RegistryName, since: &Statistics) {
        let known = self.known();
        if !known.registries.contains(registry) {
            return;
        }
        let (families, name) = (&self.families, registry.as_str());
        for ((operation, status), count) in &since.attempts {
            let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            families.registry_requests.with_label_values(&[name, operation.as_str(), &code]).inc_by(*count);
            if *status == Some(TOO_MANY_REQUESTS) {
                families.registry_throttled.with_label_values(&[name]).inc_by(*count);
            }
        }
        for (operation, latencies) in &since.latencies {
            families.registry_request_duration.add(&[name, operation.as_str()], latencies);
        }
        let tokens = [since.identity, tokens(since, Operation::ExchangeToken), tokens(since, Operation::GetToken)];
        for (kind, Asked { requests, failures }) in TOKEN_KINDS.into_iter().zip(tokens) {
            families.token_requests.with_label_values(&[name, kind]).inc_by(requests);
            families.token_request_failures.with_label_values(&[name, kind]).inc_by(failures);
        }
    }

    /// Series of counters that are there before anything happens: a rate cannot see the step from nothing to one.
    fn begin_registry(&self, registry: &RegistryName) {
        let (families, name) = (&self.families, registry.as_str());
        families.registry_throttled.with_label_values(&[name]);
        for kind in TOKEN_KINDS {
            families.token_requests.with_label_values(&[name, kind]);
            families.token_request_failures.with_label_values(&[name, kind]);
        }
    }

    fn begin_policy(&self, loaded: &LoadedPolicy) {
        let LoadedPolicy { key: SeriesKey { policy, registry }, mode, interval } = loaded;
        let (families, labels) = (&self.families, &[&**policy, registry.as_str()]);
        families.policy_mode_info.forget(&named(labels));
        families.policy_mode_info.with_label_values(&and(labels, mode_word(*mode))).set(1.0);
        match interval {
            Some(interval) => families.policy_interval.with_label_values(labels).set(interval.as_secs_f64()),
            None => families.policy_interval.forget(&named(labels)),
        }
        families.policy_running.with_label_values(labels);
        families.policy_runs.with_label_values(labels);
        for reason in FailureReason::ALL {
            families.policy_run_failures.with_label_values(&and(labels, reason.as_str()));
        }
        for reason in SkipReason::ALL {
            families.policy_runs_skipped.with_label_values(&and(labels, reason.as_str()));
        }
        for reason in REFUSAL_CODES {
            families.guard_refusals.with_label_values(&and(labels, reason));
        }
        count_steps(families, labels, &Tally::default());
    }

    /// Does something with the series of a policy, if it still has any.
    fn with(&self, key: &SeriesKey, tell: impl FnOnce(&Families, &[&str; 2])) {
        // Held to the end, so that no reload drops the series in between.
        let known = self.known();
        if known.policies.contains(key) {
            tell(&self.families, &[&*key.policy, key.registry.as_str()]);
        }
    }

    /// A poisoned lock still holds names.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NONE: &[&str] = &[];

/// The HTTP status of a throttled request.
const TOO_MANY_REQUESTS: u16 = 429;

/// What the system tells about this process; the library reads it from /proc.
#[cfg(target_os = "linux")]
fn process() -> Option<Box<dyn Collector>> {
    Some(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn process() -> Option<Box<dyn Collector>> {
    None
}

fn count(families: &Families, labels: &[&str; 2], tally: &Tally) {
    count_steps(families, labels, tally);
    families.manifests_would_delete.with_label_values(labels).set(number(tally.going));
    families.left_to_later_runs.with_label_values(labels).set(number(tally.left_to_later_runs));
    families.repositories_incomplete.with_label_values(labels).set(number(tally.incomplete));
    // A reason that holds for nothing any more must not keep its old number.
    families.manifests_kept.forget(&named(labels));
    for (reason, kept) in &tally.kept {
        families.manifests_kept.with_label_values(&and(labels, reason)).set(number(*kept));
    }
    for (reason, refusals) in &tally.refusals {
        families.guard_refusals.with_label_values(&and(labels, reason)).inc_by(*refusals);
    }
}

fn count_steps(families: &Families, labels: &[&str; 2], tally: &Tally) {
    let counters = [
        (&families.manifests_scanned, tally.scanned),
        (&families.manifests_deleted, tally.deleted),
        (&families.deleted_bytes_estimate, tally.deleted_bytes),
        (&families.tags_untagged, tally.untagged),
        (&families.locks_changed, tally.relocked),
        (&families.steps_skipped, tally.skipped),
        (&families.delete_failures, tally.failed_deletes),
        (&families.lock_failures, tally.failed_locks),
    ];
    for (counter, count) in counters {
        counter.with_label_values(labels).inc_by(count);
    }
}

fn count_repository(families: &Families, labels: &[&str; 3], counted: &Counted) {
    let Counted { going, kept, incomplete, deleted, deleted_bytes } = *counted;
    families.repository_manifests_would_delete.with_label_values(labels).set(number(going));
    families.repository_manifests_kept.with_label_values(labels).set(number(kept));
    families.repository_incomplete.with_label_values(labels).set(number(incomplete));
    families.repository_manifests_deleted.with_label_values(labels).inc_by(deleted);
    families.repository_deleted_bytes_estimate.with_label_values(labels).inc_by(deleted_bytes);
}

/// What a client asked for tokens: anything but a 200 brings none.
fn tokens(since: &Statistics, asked_for: Operation) -> Asked {
    let mut asked = Asked::default();
    for (_, count) in since.attempts.iter().filter(|((operation, _), _)| *operation == asked_for) {
        asked.requests += count;
    }
    asked.failures = asked.requests.saturating_sub(since.attempts.get(&(asked_for, Some(200))).copied().unwrap_or(0));
    asked
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "dry-run",
        Mode::Enforce => "enforce",
    }
}

fn and<'a>(labels: &[&'a str; 2], third: &'a str) -> [&'a str; 3] {
    [labels[0], labels[1], third]
}

fn named<'a>(labels: &[&'a str; 2]) -> [(&'static str, &'a str); 2] {
    [(families::POLICY_LABELS[0], labels[0]), (families::POLICY_LABELS[1], labels[1])]
}

const fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// Prometheus knows no integers; those of a listing are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "a count of manifests, far below 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}
