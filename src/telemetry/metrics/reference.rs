//! docs/metrics.md, written from the table of metrics. Knows no value.

use std::fmt::Write as _;

use super::families::{Described, POLICY_LABELS, REPOSITORY_LABEL, TABLE};

const HEAD: &str = "\
# Metrics

`/metrics` on `server.listen`, in the text format of Prometheus. Times are in seconds since 1970, lengths of time in seconds.

- No metric carries the name of a tag or digest, and only where `server.repository_metrics` asks for it that of a repository: a page
  grows with the number of policies and registries, not with what is in them.
- Counters start at 0 for every policy on every registry that it names, gauges of a last run with that run. The series of a policy or
  registry that is taken out of the files end with the next valid reload.
- A policy is overdue when `time() - retaind_policy_last_success_timestamp_seconds > 2 * retaind_policy_interval_seconds`. Before its
  first success it has no such timestamp: `retaind_policy_interval_seconds unless retaind_policy_last_success_timestamp_seconds`.
- A run that the guard refused (see `retaind_guard_refusals_total`), or whose window closed first, is neither a success nor a failure. One
  that drains a backlog (`on_limit: oldest_first`) is a success: `retaind_removals_left_to_later_runs` says how much is left.
";

const SECTIONS: [&str; 5] = [PROGRAM, POLICIES, RUNS, REPOSITORIES, REGISTRIES];
const PROGRAM: &str = "The program and its files";
const POLICIES: &str = "Policies";
const RUNS: &str = "What runs decided and did";
const REPOSITORIES: &str = "Single repositories";
const REGISTRIES: &str = "Registries";

/// What stands between the title of [`REPOSITORIES`] and its table.
const ABOUT_REPOSITORIES: &str = "\
Only with `server: { repository_metrics: N }`: N repositories of each policy on each registry have series of their own, those of which most
goes in the first run that sees them; all others are counted together as `repository=\"_other\"`. A repository that is gone gives up its
place. Five series each; the counters begin with the run that gives a repository its place, so their first value is what that run deleted.

";

fn section(metric: &Described) -> &'static str {
    if metric.name.starts_with("retaind_policy_") {
        POLICIES
    } else if metric.labels.contains(&REPOSITORY_LABEL) {
        REPOSITORIES
    } else if metric.labels.starts_with(&POLICY_LABELS) {
        RUNS
    } else if metric.labels.starts_with(&["registry"]) {
        REGISTRIES
    } else {
        PROGRAM
    }
}

/// The text of docs/metrics.md.
pub fn metrics_reference() -> String {
    let mut out = HEAD.to_owned();
    for title in SECTIONS {
        let about = if title == REPOSITORIES { ABOUT_REPOSITORIES } else { "" };
        let _ = write!(out, "\n## {title}\n\n{about}{COLUMNS}");
        for metric in TABLE.iter().filter(|metric| section(metric) == title) {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            row(&mut out, metric.name, metric.kind, &labels.join(", "), metric.help);
        }
    }
    let _ = write!(out, "\n## The process\n\n{COLUMNS}");
    let process = super::process();
    for metric in process.iter().flat_map(|process| process.desc()) {
        let kind = if metric.fq_name.ends_with("_total") { "counter" } else { "gauge" };
        row(&mut out, &metric.fq_name, kind, "", &metric.help);
    }
    out
}

const COLUMNS: &str = "| metric | kind | labels | meaning |\n|---|---|---|---|\n";

fn row(out: &mut String, name: &str, kind: &str, labels: &str, help: &str) {
    let _ = writeln!(out, "| `{name}` | {kind} | {labels} | {help} |");
}
