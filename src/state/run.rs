//! Runs: one policy, once, on one registry. What each decided and did, in numbers; the single changes are in the journal.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;

use crate::model::{Digest, RegistryName};

use super::changes::put_in_force;
use super::endpoints::IS_HERE;
use super::{State, StateError, name_at, time_at, unreadable};

/// The number of a run, unique for ever within one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(super) i64);

/// Whether a run was to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Plan and report only.
    DryRun,
    /// Apply what the guard lets pass.
    Enforce,
}

/// What is known when a run's plan is made.
#[derive(Debug, Clone, Copy)]
pub struct RunStart<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// The registry.
    pub registry: &'a RegistryName,
    /// Whether it is to be applied.
    pub mode: RunMode,
    /// The hash that names the plan.
    pub plan_hash: &'a str,
    /// What decided, as a hash.
    pub policies: Digest,
    /// The word for what these policies say about changes of theirs.
    pub changes: &'a str,
    /// Whether the next run may apply with them.
    pub puts_in_force: bool,
    /// When it started.
    pub at: Timestamp,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutcome {
    /// Planned and reported; nothing was to be applied.
    Planned,
    /// Everything that was planned was done or found done.
    Applied,
    /// What the limits allow was applied, oldest first, as the policy asks; the rest is for later runs: how much, as a sentence.
    Drained(String),
    /// Applied, but some steps were skipped or failed.
    Partial,
    /// The guard refused it: why, as a sentence.
    Refused(String),
    /// Stopped on the way, by a signal or a pause: which.
    Interrupted(String),
    /// Its window closed before everything was done; the rest waits for the next run.
    WindowClosed,
    /// It could not be carried through: why.
    Failed(String),
}

/// What a run did, in items (manifests and tags).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Manifests that stay.
    pub kept: u32,
    /// Steps of the plan.
    pub planned: u32,
    /// Manifests deleted.
    pub deleted: u32,
    /// Tags removed from manifests that stay.
    pub untagged: u32,
    /// Locks set or opened.
    pub relocked: u32,
    /// Steps not taken because something was different from what was planned.
    pub skipped: u32,
    /// Steps that the registry refused or that failed.
    pub failed: u32,
}

/// A run in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Its number.
    pub id: RunId,
    /// The policy's name.
    pub policy: String,
    /// The registry.
    pub registry: RegistryName,
    /// Whether it was to be applied.
    pub mode: RunMode,
    /// The hash that names the plan.
    pub plan_hash: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When and how it ended. None: it is under way, or the process ended before it did.
    pub finished: Option<(Timestamp, RunOutcome)>,
    /// What it did; zeros until it is finished.
    pub counts: RunCounts,
}

impl State {
    /// Records that a run starts.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn begin_run(&self, start: &RunStart<'_>) -> Result<RunId, StateError> {
        let RunStart { policy, registry, mode, plan_hash, policies, changes, puts_in_force, at } = *start;
        self.write("recording the start of a run", |transaction| {
            if puts_in_force {
                put_in_force(transaction, policy, registry, policies, changes)?;
            }
            let mut statement = transaction.prepare(
                "INSERT INTO run (policy, registry, mode, plan_hash, policies, changes, started_at, endpoint)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT endpoint FROM endpoint WHERE registry = ?2))",
            )?;
            let row = (policy, registry.as_str(), mode.word(), plan_hash, policies.as_bytes(), changes, at.as_microsecond());
            statement.insert(row).map(RunId)
        })
    }

    /// Records how a run ended.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn finish_run(&self, run: RunId, at: Timestamp, outcome: &RunOutcome, counts: &RunCounts) -> Result<(), StateError> {
        let RunCounts { kept, planned, deleted, untagged, relocked, skipped, failed } = *counts;
        let (outcome, detail) = outcome.text();
        self.write("recording the end of a run", |transaction| {
            let mut statement = transaction.prepare(
                "UPDATE run SET finished_at = ?2, outcome = ?3, detail = ?4, kept = ?5, planned = ?6, deleted = ?7, untagged = ?8,
                     relocked = ?9, skipped = ?10, failed = ?11 WHERE id = ?1",
            )?;
            statement.execute(rusqlite::params![
                run.0,
                at.as_microsecond(),
                outcome,
                detail,
                kept,
                planned,
                deleted,
                untagged,
                relocked,
                skipped,
                failed
            ])?;
            Ok(())
        })
    }

    /// The last run of a policy on a registry, and when one last ended with everything done.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn last_run(&self, policy: &str, registry: &RegistryName) -> Result<(Option<RunRecord>, Option<Timestamp>), StateError> {
        self.read("reading the last run", |transaction| {
            let mut statement = transaction.prepare(
                "SELECT id, policy, registry, mode, plan_hash, started_at, finished_at, outcome, detail,
                     kept, planned, deleted, untagged, relocked, skipped, failed FROM run
                 WHERE policy = ?1 AND registry = ?2 ORDER BY id DESC LIMIT 1",
            )?;
            let last = statement.query_row([policy, registry.as_str()], read_run).optional()?;
            let mut statement = transaction.prepare(
                "SELECT finished_at FROM run WHERE policy = ?1 AND registry = ?2 AND outcome IN ('planned', 'applied', 'drained')
                 ORDER BY id DESC LIMIT 1",
            )?;
            let success = statement.query_row([policy, registry.as_str()], |row| time_at(row, 0)).optional()?;
            Ok((last, success))
        })
    }

    /// What decided in the last run of a policy on a registry, as a hash. A run where the name led before is none of this registry.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn last_policies(&self, policy: &str, registry: &RegistryName) -> Result<Option<Digest>, StateError> {
        self.read("looking up what decided last", |transaction| {
            let mut statement = transaction
                .prepare(&format!("SELECT policies FROM run WHERE policy = ?1 AND registry = ?2 AND {IS_HERE} ORDER BY id DESC LIMIT 1"))?;
            let last = statement.query_row([policy, registry.as_str()], |row| row.get::<_, Option<[u8; 32]>>(0)).optional()?;
            Ok(last.flatten().map(Digest::from_bytes))
        })
    }

    /// Since when a policy has had this schedule on this registry: `at`, if it is new or another than before.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn scheduled_since(&self, policy: &str, registry: &RegistryName, expression: &str, at: Timestamp) -> Result<Timestamp, StateError> {
        self.write("noting a schedule", |transaction| {
            transaction
                .prepare(
                    "INSERT INTO schedule (policy, registry, expression, since) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (policy, registry) DO UPDATE SET expression = ?3, since = ?4 WHERE expression <> ?3",
                )?
                .execute((policy, registry.as_str(), expression, at.as_microsecond()))?;
            let mut statement = transaction.prepare("SELECT since FROM schedule WHERE policy = ?1 AND registry = ?2")?;
            statement.query_row([policy, registry.as_str()], |row| time_at(row, 0))
        })
    }

    /// The last `limit` runs, newest first.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StateError> {
        self.read("reading the runs", |transaction| {
            let mut statement = transaction.prepare(
                "SELECT id, policy, registry, mode, plan_hash, started_at, finished_at, outcome, detail,
                     kept, planned, deleted, untagged, relocked, skipped, failed FROM run ORDER BY id DESC LIMIT ?1",
            )?;
            statement.query_map([limit], read_run)?.collect()
        })
    }
}

impl RunMode {
    /// One stable word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::Enforce => "enforce",
        }
    }
}

impl RunOutcome {
    /// One stable word for it.
    pub fn word(&self) -> &'static str {
        self.text().0
    }

    fn text(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Planned => ("planned", None),
            Self::Applied => ("applied", None),
            Self::Partial => ("partial", None),
            Self::Drained(what) => ("drained", Some(what)),
            Self::Refused(why) => ("refused", Some(why)),
            Self::Interrupted(why) => ("interrupted", Some(why)),
            Self::WindowClosed => ("window_closed", None),
            Self::Failed(why) => ("failed", Some(why)),
        }
    }
}

impl FromStr for RunId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

fn read_run(row: &rusqlite::Row<'_>) -> rusqlite::Result<RunRecord> {
    let mode = match row.get_ref(3)?.as_str()? {
        "dry-run" => RunMode::DryRun,
        "enforce" => RunMode::Enforce,
        other => return Err(unreadable(3, format!("{other:?} is no mode"))),
    };
    let finished = match row.get_ref(7)?.as_str_or_null()? {
        None => None,
        Some(outcome) => {
            let detail = row.get::<_, Option<String>>(8)?.unwrap_or_default();
            let outcome = match outcome {
                "planned" => RunOutcome::Planned,
                "applied" => RunOutcome::Applied,
                "partial" => RunOutcome::Partial,
                "drained" => RunOutcome::Drained(detail),
                "refused" => RunOutcome::Refused(detail),
                "interrupted" => RunOutcome::Interrupted(detail),
                "window_closed" => RunOutcome::WindowClosed,
                "failed" => RunOutcome::Failed(detail),
                other => return Err(unreadable(7, format!("{other:?} is no outcome of a run"))),
            };
            Some((time_at(row, 6)?, outcome))
        }
    };
    Ok(RunRecord {
        id: RunId(row.get(0)?),
        policy: row.get(1)?,
        registry: name_at(row, 2, RegistryName::parse)?,
        mode,
        plan_hash: row.get(4)?,
        started_at: time_at(row, 5)?,
        finished,
        counts: RunCounts {
            kept: row.get(9)?,
            planned: row.get(10)?,
            deleted: row.get(11)?,
            untagged: row.get(12)?,
            relocked: row.get(13)?,
            skipped: row.get(14)?,
            failed: row.get(15)?,
        },
    })
}
