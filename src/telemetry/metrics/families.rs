//! Every metric, once: its name, its labels and what it means. The table behind the struct, the scrape and docs/metrics.md. Knows
//! nothing of when a value changes.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

use super::latency::LatencyHistogram;

/// The labels of everything that is told for each policy on each registry.
pub(super) const POLICY_LABELS: [&str; 2] = ["policy", "registry"];

/// The label of what is told for single repositories, where the settings ask for it.
pub(super) const REPOSITORY_LABEL: &str = "repository";

/// A metric as it is described to people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// A kind of metric.
pub(super) trait Family: Collector + Clone + Sized + 'static {
    const KIND: &'static str;

    fn make(described: &Described) -> prometheus::Result<Self>;

    /// Drops every series that carries these labels.
    fn forget(&self, labels: &[(&str, &str)]);
}

impl Family for IntCounterVec {
    const KIND: &'static str = "counter";

    fn make(described: &Described) -> prometheus::Result<Self> {
        Self::new(Opts::new(described.name, described.help), described.labels)
    }

    fn forget(&self, labels: &[(&str, &str)]) {
        forget(self, labels);
    }
}

impl Family for GaugeVec {
    const KIND: &'static str = "gauge";

    fn make(described: &Described) -> prometheus::Result<Self> {
        Self::new(Opts::new(described.name, described.help), described.labels)
    }

    fn forget(&self, labels: &[(&str, &str)]) {
        forget(self, labels);
    }
}

fn forget<B: MetricVecBuilder>(family: &MetricVec<B>, labels: &[(&str, &str)]) {
    for metric in family.collect().iter().flat_map(|collected| collected.get_metric()) {
        let carried: HashMap<&str, &str> = metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
        if labels.iter().all(|(name, value)| carried.get(name) == Some(value)) {
            // Fails only where the series is gone already.
            let _ = family.remove(&carried);
        }
    }
}

macro_rules! families {
    ($(#[doc = $help:literal] $field:ident: $family:ty = $name:literal [$($label:literal),*];)*) => {
        /// The metrics, registered.
        pub(super) struct Families {
            $(#[doc = $help] pub(super) $field: $family,)*
        }

        /// The metrics, described.
        pub(super) const TABLE: &[Described] =
            &[$(Described { name: $name, kind: <$family as Family>::KIND, labels: &[$($label),*], help: $help.trim_ascii() },)*];

        impl Families {
            pub(super) fn registered_in(registry: &Registry) -> Self {
                let mut rows = TABLE.iter();
                Self { $($field: registered(registry, rows.next()),)* }
            }

            /// Drops every series that carries these labels, of all metrics that have them.
            pub(super) fn forget(&self, labels: &[(&str, &str)]) {
                $(if labels.iter().all(|(name, _)| [$($label),*].contains(name)) { self.$field.forget(labels); })*
            }
        }
    };
}

impl Families {
    /// What counts on and on for single repositories.
    pub(super) fn of_repositories_counted(&self) -> [&IntCounterVec; 2] {
        [&self.repository_manifests_deleted, &self.repository_deleted_bytes_estimate]
    }

    /// What tells of the last run for single repositories.
    pub(super) fn of_repositories_measured(&self) -> [&GaugeVec; 3] {
        [&self.repository_manifests_would_delete, &self.repository_manifests_kept, &self.repository_incomplete]
    }
}

fn registered<F: Family>(registry: &Registry, described: Option<&Described>) -> F {
    let described = described.expect("the table has a row for every field: both come from one list");
    let family = F::make(described).expect("the names and labels of the table are valid, which every test of this module checks");
    registry.register(Box::new(family.clone())).expect("the names of the table are unique, which every test of this module checks");
    family
}

families! {
    /// The program that runs, always 1.
    build_info: GaugeVec = "retaind_build_info" ["version", "revision", "rustc"];
    /// Whether the files were valid when they were last read (1), or the last valid ones are still in use (0).
    config_last_reload_successful: GaugeVec = "retaind_config_last_reload_successful" [];
    /// When valid files were last read.
    config_last_reload_success_timestamp: GaugeVec = "retaind_config_last_reload_success_timestamp_seconds" [];
    /// How often changed files were read, the first time included.
    config_reloads: IntCounterVec = "retaind_config_reloads_total" [];
    /// How often changed files were not valid.
    config_reload_failures: IntCounterVec = "retaind_config_reload_failures_total" [];
    /// Whether deleting is suspended because the files are not valid (1); in one file's scope or everywhere.
    deletion_suspended: GaugeVec = "retaind_deletion_suspended" [];
    /// In how many files' scopes deleting is suspended, where it is not everywhere.
    deletion_suspended_scopes: GaugeVec = "retaind_deletion_suspended_scopes" [];
    /// Whether somebody paused deleting (1).
    paused: GaugeVec = "retaind_paused" [];

    /// The mode of the policy, always 1.
    policy_mode_info: GaugeVec = "retaind_policy_mode_info" ["policy", "registry", "mode"];
    /// The longest time between two scheduled runs; no series without a schedule.
    policy_interval: GaugeVec = "retaind_policy_interval_seconds" ["policy", "registry"];
    /// When the policy runs next; no series without a schedule.
    policy_next_run_timestamp: GaugeVec = "retaind_policy_next_run_timestamp_seconds" ["policy", "registry"];
    /// When the last run ended, however it did; no series before the first.
    policy_last_run_timestamp: GaugeVec = "retaind_policy_last_run_timestamp_seconds" ["policy", "registry"];
    /// When a run last ended with everything done that it was to do; no series before the first.
    policy_last_success_timestamp: GaugeVec = "retaind_policy_last_success_timestamp_seconds" ["policy", "registry"];
    /// How long the last run took; no series before the first.
    policy_last_run_duration: GaugeVec = "retaind_policy_last_run_duration_seconds" ["policy", "registry"];
    /// Whether the policy runs at the moment (1).
    policy_running: GaugeVec = "retaind_policy_running" ["policy", "registry"];
    /// Runs that ended, however they did.
    policy_runs: IntCounterVec = "retaind_policy_runs_total" ["policy", "registry"];
    /// Runs that left something undone; what the guard held back is in retaind_guard_refusals_total.
    policy_run_failures: IntCounterVec = "retaind_policy_run_failures_total" ["policy", "registry", "reason"];
    /// Runs that were due and did not begin.
    policy_runs_skipped: IntCounterVec = "retaind_policy_runs_skipped_total" ["policy", "registry", "reason"];

    /// Manifests that runs decided about.
    manifests_scanned: IntCounterVec = "retaind_manifests_scanned_total" ["policy", "registry"];
    /// Manifests deleted, by a run or by the registry together with their subject.
    manifests_deleted: IntCounterVec = "retaind_manifests_deleted_total" ["policy", "registry"];
    /// Manifests that the plan of the last run deletes, before limits; in dry-run they stay.
    manifests_would_delete: GaugeVec = "retaind_manifests_would_delete" ["policy", "registry"];
    /// Manifests and tags that the last run left to later ones, because `on_limit: oldest_first` drains a backlog; in dry-run it would.
    left_to_later_runs: GaugeVec = "retaind_removals_left_to_later_runs" ["policy", "registry"];
    /// Manifests that stayed in the last run, each counted once, by the first of its reasons.
    manifests_kept: GaugeVec = "retaind_manifests_kept" ["policy", "registry", "reason"];
    /// Repositories that the last run decided nothing about, because something of them could not be listed or read.
    repositories_incomplete: GaugeVec = "retaind_repositories_incomplete" ["policy", "registry"];
    /// Tags removed from manifests that stay.
    tags_untagged: IntCounterVec = "retaind_tags_untagged_total" ["policy", "registry"];
    /// Locks closed or opened.
    locks_changed: IntCounterVec = "retaind_locks_changed_total" ["policy", "registry"];
    /// Sizes of deleted manifests: an upper estimate of what was freed, because shared layers count each time.
    deleted_bytes_estimate: IntCounterVec = "retaind_deleted_bytes_estimate_total" ["policy", "registry"];
    /// Plans, or parts of plans, that the guard held back; in dry-run those that it would have.
    guard_refusals: IntCounterVec = "retaind_guard_refusals_total" ["policy", "registry", "reason"];
    /// Deletions and removals of tags that failed.
    delete_failures: IntCounterVec = "retaind_delete_failures_total" ["policy", "registry"];
    /// Changes of locks that failed.
    lock_failures: IntCounterVec = "retaind_lock_failures_total" ["policy", "registry"];
    /// Steps left out because something was no longer as the plan expected.
    steps_skipped: IntCounterVec = "retaind_steps_skipped_total" ["policy", "registry"];

    /// Manifests of the repository deleted, by a run or by the registry together with their subject.
    repository_manifests_deleted: IntCounterVec = "retaind_repository_manifests_deleted_total" ["policy", "registry", "repository"];
    /// Sizes of deleted manifests of the repository: an upper estimate of what was freed, because shared layers count each time.
    repository_deleted_bytes_estimate: IntCounterVec = "retaind_repository_deleted_bytes_estimate_total" ["policy", "registry", "repository"];
    /// Manifests of the repository that the plan of the last run deletes, before limits; in dry-run they stay.
    repository_manifests_would_delete: GaugeVec = "retaind_repository_manifests_would_delete" ["policy", "registry", "repository"];
    /// Manifests of the repository that stayed in the last run.
    repository_manifests_kept: GaugeVec = "retaind_repository_manifests_kept" ["policy", "registry", "repository"];
    /// Whether the last run decided nothing about the repository (1), because something of it could not be listed or read.
    repository_incomplete: GaugeVec = "retaind_repository_incomplete" ["policy", "registry", "repository"];

    /// Attempts to ask the registry, retries included, by HTTP status; code "none": no answer came.
    registry_requests: IntCounterVec = "retaind_registry_requests_total" ["registry", "operation", "code"];
    /// How long attempts took, to the last byte of the answer.
    registry_request_duration: LatencyHistogram = "retaind_registry_request_duration_seconds" ["registry", "operation"];
    /// Attempts that the registry refused because there were too many (429).
    registry_throttled: IntCounterVec = "retaind_registry_throttled_total" ["registry"];
    /// Attempts to get a token: from the identity provider, or from the registry in exchange for that.
    token_requests: IntCounterVec = "retaind_token_requests_total" ["registry", "kind"];
    /// Attempts to get a token that brought none.
    token_request_failures: IntCounterVec = "retaind_token_request_failures_total" ["registry", "kind"];
}
