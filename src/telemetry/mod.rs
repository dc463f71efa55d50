//! How the program tells what it does while it does it: log lines on standard error, and metrics. Decides nothing.

mod journal;
mod metrics;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

pub use metrics::{
    Build, FailureReason, Finished, Loaded, LoadedPolicy, METRICS_MEDIA_TYPE, Metrics, RunEnd, SeriesKey, SkipReason, Unwritable,
    metrics_reference,
};

/// Libraries that speak of every request on levels meant for their own developers.
const QUIET: &str = "azure_core=warn,azure_identity=warn,typespec_client_core=warn,hyper=warn,hyper_util=warn,reqwest=warn,h2=warn,\
                     rustls=warn,rustls_platform_verifier=error";

/// The environment variable that overrides what is logged, in the syntax of tracing's filters.
pub const LOG_VARIABLE: &str = "RETAIND_LOG";

/// How much is logged unless the environment says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Only what went wrong: for commands whose output says the rest.
    Problems,
    /// One line for each outcome: for runs nobody watches.
    Outcomes,
}

/// Starts logging: text on a terminal and in systemd's journal, JSON otherwise. A second call changes nothing.
pub fn start_logging(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Problems => "warn",
        Verbosity::Outcomes => "info",
    };
    let default = || EnvFilter::new(format!("{level},{QUIET}"));
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| default());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Fails only where a subscriber is installed already, and then that one serves.
    let _ = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else if journal::listens() {
        builder.event_format(journal::Lines::new()).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
