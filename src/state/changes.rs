//! With which policies each policy may apply, and which plans a person approved. Policies are hashes here; what a change of one means
//! is decided by the guard.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};

use crate::model::{Digest, RegistryName};

use super::endpoints::IS_HERE;
use super::{FILE_MODE, State, StateError, name_at};

/// The folder in the state directory in which other processes leave approvals: the file itself belongs to the daemon.
const APPROVALS_NAME: &str = "approvals";

/// What a person approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The hash of the plan.
    pub plan_hash: String,
    /// The policies, with their registries, of which a run made this plan. Empty: none did.
    pub runs: Vec<(String, RegistryName)>,
}

impl State {
    /// Takes what is loaded as what may apply, on a registry of which nothing is known yet: there is nothing that it could differ from.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn begin_with(&self, registry: &RegistryName, policies: &[(&str, Digest, &str)]) -> Result<(), StateError> {
        self.write("noting the first policies", |transaction| {
            if knows(transaction, registry)? {
                return Ok(());
            }
            policies.iter().try_for_each(|(policy, policies, changes)| put_in_force(transaction, policy, registry, *policies, changes))
        })
    }

    /// Whether anything was ever run on this registry.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn knows(&self, registry: &RegistryName) -> Result<bool, StateError> {
        self.read("looking up a registry", |transaction| knows(transaction, registry))
    }

    /// With which policies this policy may apply, and the word for what they say about changes of theirs. None: with none yet.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn in_force(&self, policy: &str, registry: &RegistryName) -> Result<Option<(Digest, String)>, StateError> {
        self.read("looking up the policies in force", |transaction| {
            let mut statement = transaction.prepare("SELECT policies, changes FROM in_force WHERE policy = ?1 AND registry = ?2")?;
            statement.query_row([policy, registry.as_str()], |row| Ok((Digest::from_bytes(row.get(0)?), row.get(1)?))).optional()
        })
    }

    /// Whether a person approved this plan at `since` or later.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn is_approved(&self, plan_hash: &str, since: Timestamp) -> Result<bool, StateError> {
        self.read("looking up an approval", |transaction| {
            let mut statement = transaction.prepare("SELECT EXISTS (SELECT 1 FROM approval WHERE plan_hash = ?1 AND ?2 <= at)")?;
            statement.query_row((plan_hash, since.as_microsecond()), |row| row.get(0))
        })
    }

    /// Takes up what [`leave_approval`] left: the policies that made these plans may apply from now on, and the listings that these
    /// plans rest on are believed, unless there are newer ones.
    ///
    /// # Errors
    /// See [`StateError`]; what could not be taken up is left where it is.
    pub fn take_approvals(&self, at: Timestamp) -> Result<Vec<Approval>, StateError> {
        let mut taken = Vec::new();
        for file in self.approvals()? {
            let Some(plan_hash) = file.file_name().and_then(|name| name.to_str()) else { continue };
            taken.push(Approval { plan_hash: plan_hash.to_owned(), runs: self.approve(plan_hash, at)? });
            fs::remove_file(&file).map_err(|source| StateError::Directory { path: file.clone(), source })?;
        }
        Ok(taken)
    }

    /// Takes up one approval: see [`Self::take_approvals`]. Returns the policies, with their registries, of which a run made this plan.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn approve(&self, plan_hash: &str, at: Timestamp) -> Result<Vec<(String, RegistryName)>, StateError> {
        self.write("noting an approval", |transaction| {
            transaction
                .prepare("INSERT OR REPLACE INTO approval (plan_hash, at) VALUES (?1, ?2)")?
                .execute((plan_hash, at.as_microsecond()))?;
            let mut statement = transaction.prepare(&format!(
                "SELECT policy, registry, policies, started_at, changes FROM run WHERE id IN
                     (SELECT max(id) FROM run WHERE plan_hash = ?1 AND policies IS NOT NULL AND {IS_HERE} GROUP BY policy, registry)",
            ))?;
            let rows = statement.query_map([plan_hash], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    name_at(row, 1, RegistryName::parse)?,
                    Digest::from_bytes(row.get(2)?),
                    row.get::<_, i64>(3)?,
                    row.get::<_, Option<String>>(4)?,
                ))
            })?;
            let mut runs = Vec::new();
            for row in rows {
                let (policy, registry, policies, started_at, changes) = row?;
                put_in_force(transaction, &policy, &registry, policies, changes.as_deref().unwrap_or_default())?;
                transaction
                    .prepare("UPDATE repository SET believed = seen WHERE registry = ?1 AND seen_at = ?2")?
                    .execute((registry.as_str(), started_at))?;
                runs.push((policy, registry));
            }
            Ok(runs)
        })
    }

    fn approvals(&self) -> Result<Vec<PathBuf>, StateError> {
        let Some(folder) = self.0.file.parent().filter(|_| self.is_durable()).map(|dir| dir.join(APPROVALS_NAME)) else {
            return Ok(Vec::new());
        };
        let failed = |source| StateError::Directory { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
    }
}

/// Leaves an approval for the process that owns the state in `directory`, or for the next one that does.
///
/// # Errors
/// The directory cannot be written.
pub fn leave_approval(directory: &Path, plan_hash: &str) -> Result<(), StateError> {
    let folder = directory.join(APPROVALS_NAME);
    let path = folder.join(plan_hash);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let left = fs::create_dir_all(&folder).and_then(|()| options.open(&path));
    left.map(drop).map_err(|source| StateError::Directory { path, source })
}

fn knows(transaction: &Transaction<'_>, registry: &RegistryName) -> rusqlite::Result<bool> {
    let mut known = transaction
        .prepare("SELECT EXISTS (SELECT 1 FROM in_force WHERE registry = ?1) OR EXISTS (SELECT 1 FROM run WHERE registry = ?1)")?;
    known.query_row([registry.as_str()], |row| row.get(0))
}

pub(super) fn put_in_force(
    transaction: &Transaction<'_>,
    policy: &str,
    registry: &RegistryName,
    policies: Digest,
    changes: &str,
) -> rusqlite::Result<()> {
    transaction.prepare("INSERT OR REPLACE INTO in_force (policy, registry, policies, changes) VALUES (?1, ?2, ?3, ?4)")?.execute((
        policy,
        registry.as_str(),
        policies.as_bytes(),
        changes,
    ))?;
    Ok(())
}
