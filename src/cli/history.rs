//! `retaind history`: what was run, and what was changed and why. Reads beside a running daemon.

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Configuration;
use crate::layout::paragraph;
use crate::state::{JournalEntry, JournalFilter, RunCounts, RunOutcome, RunRecord, State};

use super::args::{HistoryArguments, HistoryOutput};
use super::{End, Failure, print};

/// Shows the last runs, or the changes that the arguments narrow down.
pub(super) fn history(arguments: &HistoryArguments) -> Result<End, Failure> {
    let HistoryArguments { config, changes, run, registry, repository, digest, limit, output } = arguments;
    let configuration = Configuration::load(config)?;
    let dir =
        configuration.state.dir.ok_or_else(|| Failure::unusable("there is no state.dir in the settings, so nothing is remembered"))?;
    let state = State::open_to_read(&dir)?;
    let filter = JournalFilter { run: *run, registry: registry.as_ref(), repository: repository.as_ref(), digest: *digest, since: None };
    let wants_changes = *changes || run.is_some() || registry.is_some() || repository.is_some() || digest.is_some();
    let text = match (wants_changes, output) {
        (false, HistoryOutput::Text) => runs_as_text(&state.runs(*limit)?),
        (false, HistoryOutput::Json) => as_json(state.runs(*limit)?.iter().map(RunDocument::from))?,
        (true, HistoryOutput::Text) => changes_as_text(&state.journal(&filter, *limit)?),
        (true, HistoryOutput::Json) => as_json(state.journal(&filter, *limit)?.iter().map(ChangeDocument::from))?,
    };
    print(&text);
    Ok(End::Done)
}

fn runs_as_text(runs: &[RunRecord]) -> String {
    if runs.is_empty() {
        return "nothing was run yet\n".to_owned();
    }
    let mut out = String::new();
    for run in runs {
        let RunRecord { id, policy, registry, mode, plan_hash, started_at, finished, counts } = run;
        let (outcome, why) = match finished {
            None => ("under way, or ended with its process", None),
            Some((_, outcome)) => (outcome.word(), why(outcome)),
        };
        let mode = mode.word();
        out += &paragraph(&format!("run {id}  "), 4, &format!("{started_at:.0}  {policy} on {registry} ({mode})  {outcome}"));
        out += &paragraph("    ", 4, &format!("plan {plan_hash}: {}", in_words(counts)));
        if let Some(why) = why {
            out += &paragraph("    ", 4, why);
        }
    }
    out
}

/// What was planned and kept, and what of the rest there was at all: a line for a terminal.
fn in_words(counts: &RunCounts) -> String {
    let RunCounts { planned, deleted, untagged, relocked, skipped, failed, kept } = counts;
    let done = [(deleted, "deleted"), (untagged, "untagged"), (relocked, "relocked"), (skipped, "skipped"), (failed, "failed")];
    let done = done.into_iter().filter(|(number, _)| **number != 0).map(|(number, word)| format!("{number} {word}, "));
    format!("{planned} planned, {}{kept} kept", done.collect::<String>())
}

fn changes_as_text(changes: &[JournalEntry]) -> String {
    if changes.is_empty() {
        return "nothing was changed\n".to_owned();
    }
    let mut out = String::new();
    for change in changes {
        let JournalEntry { run, registry, repository, verb, digest, tag, tags, reason, at, concluded, .. } = change;
        let outcome = concluded.as_ref().map_or_else(|| "outcome unknown".to_owned(), |(_, outcome)| outcome.to_string());
        let item = tag.as_ref().map_or_else(|| format!("@{digest}"), |tag| format!(":{tag}"));
        out += &paragraph("", 4, &format!("{at:.0}  run {run}  {}  {registry}/{repository}{item}", verb.word()));
        if !tags.is_empty() {
            let tags: Vec<&str> = tags.iter().map(|tag| tag.as_str()).collect();
            out += &paragraph("    ", 4, &format!("with tags {}", tags.join(", ")));
        }
        out += &paragraph("    ", 4, &format!("{outcome}; {reason}"));
    }
    out
}

fn why(outcome: &RunOutcome) -> Option<&str> {
    match outcome {
        RunOutcome::Planned | RunOutcome::Applied | RunOutcome::Partial => None,
        RunOutcome::WindowClosed => Some("the rest waits for the next run"),
        RunOutcome::Drained(why) | RunOutcome::Refused(why) | RunOutcome::Interrupted(why) | RunOutcome::Failed(why) => Some(why),
    }
}

/// One document a line: a reader can begin before the last one is written, and `jq` reads them as they are.
fn as_json(documents: impl Iterator<Item = impl Serialize>) -> Result<String, Failure> {
    let mut out = String::new();
    for document in documents {
        let line = serde_json::to_string(&document).map_err(|error| Failure::partial(format!("cannot write the history: {error}")))?;
        out += &line;
        out.push('\n');
    }
    Ok(out)
}

#[derive(Serialize)]
struct RunDocument<'a> {
    run: String,
    policy: &'a str,
    registry: &'a str,
    mode: &'static str,
    plan: &'a str,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    outcome: Option<&'static str>,
    explanation: Option<&'a str>,
    planned: u32,
    deleted: u32,
    untagged: u32,
    relocked: u32,
    skipped: u32,
    failed: u32,
    kept: u32,
}

impl<'a> From<&'a RunRecord> for RunDocument<'a> {
    fn from(run: &'a RunRecord) -> Self {
        let RunRecord { id, policy, registry, mode, plan_hash, started_at, finished, counts } = run;
        let outcome = finished.as_ref().map(|(_, outcome)| outcome);
        Self {
            run: id.to_string(),
            policy,
            registry: registry.as_str(),
            mode: mode.word(),
            plan: plan_hash,
            started_at: *started_at,
            finished_at: finished.as_ref().map(|(at, _)| *at),
            outcome: outcome.map(RunOutcome::word),
            explanation: outcome.and_then(why),
            planned: counts.planned,
            deleted: counts.deleted,
            untagged: counts.untagged,
            relocked: counts.relocked,
            skipped: counts.skipped,
            failed: counts.failed,
            kept: counts.kept,
        }
    }
}

#[derive(Serialize)]
struct ChangeDocument<'a> {
    change: String,
    run: String,
    registry: &'a str,
    repository: &'a str,
    verb: &'static str,
    digest: String,
    tag: Option<&'a str>,
    tags: Vec<&'a str>,
    reason: &'a str,
    at: Timestamp,
    outcome: Option<String>,
    concluded_at: Option<Timestamp>,
}

impl<'a> From<&'a JournalEntry> for ChangeDocument<'a> {
    fn from(change: &'a JournalEntry) -> Self {
        let JournalEntry { id, run, registry, repository, verb, digest, tag, tags, reason, at, concluded, has_document: _ } = change;
        Self {
            change: id.to_string(),
            run: run.to_string(),
            registry: registry.as_str(),
            repository: repository.as_str(),
            verb: verb.word(),
            digest: digest.to_string(),
            tag: tag.as_ref().map(|tag| tag.as_str()),
            tags: tags.iter().map(|tag| tag.as_str()).collect(),
            reason,
            at: *at,
            outcome: concluded.as_ref().map(|(_, outcome)| outcome.to_string()),
            concluded_at: concluded.as_ref().map(|(at, _)| *at),
        }
    }
}
