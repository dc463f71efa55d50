//! What must outlive a process: facts by digest, observations over time, runs, and the journal of every change. One SQLite file.
//! Knows neither registries nor policies nor the time: whatever it holds was handed in.

mod changes;
mod descriptions;
mod endpoints;
mod error;
mod facts;
mod journal;
mod marks;
mod observations;
mod run;
mod schema;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::Backup;
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::model::{RegistryName, RepositoryName};

pub use changes::{Approval, leave_approval};
pub use descriptions::Description;
pub use error::StateError;
pub use journal::{Intent, IntentId, JournalEntry, JournalFilter, OpenIntent, Outcome, Verb};
pub use marks::{Relock, Relocked};
pub use observations::Listings;
pub use run::{RunCounts, RunId, RunMode, RunOutcome, RunRecord, RunStart};

use schema::Found;

/// The database's name in the state directory.
const FILE_NAME: &str = "retaind.sqlite3";
/// The name of the file whose lock says that a process owns the directory.
const LOCK_NAME: &str = "retaind.lock";
/// Only the owner may look: the journal holds manifests and the names of everything that was deleted.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// How long a statement waits for a process that merely reads, such as `retaind history`. The longest thing such a reader can
/// hold up is the log's checkpoint, which then happens at a later commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What the write-ahead log may keep of the disk once it is checkpointed, in bytes: some 30,000 small intents.
const LOG_SIZE_MAX_BYTES: i64 = 64 << 20;
/// So many pages of 4 KiB are copied under one read lock when a state is copied: 4 MiB, a few milliseconds.
const COPIED_AT_ONCE_PAGES: i32 = 1024;

/// The state of this program: a handle to one file, or to memory. Clones share it.
///
/// # Use from asynchronous code
/// Calls block, and callers may make them straight from a task. One connection behind one lock is as fast as SQLite writes can be
/// (it has one writer at a time), and a call is short: a journal entry is one `fdatasync`, 0.1 to 3 ms on an SSD, against at least
/// 30 ms that a registry's limits leave between two deletes. Work on more than a few thousand digests takes longer
/// (100,000 references: a few tenths of a second), but gives the lock back between portions; call it from `spawn_blocking`.
///
/// # Two processes
/// The owner of a directory holds an exclusive `flock` on `retaind.lock`, which the kernel gives up when the process ends, however it
/// ends: nothing stale remains. SQLite's own `locking_mode=EXCLUSIVE` would do as much but also shut out readers, and a
/// `retaind history` beside a running daemon is wanted; see [`State::open_to_read`].
#[derive(Debug, Clone)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// After a panic inside a call SQLite has rolled its transaction back, so a poisoned lock is as good as any.
    connection: Mutex<Connection>,
    /// The file, for messages.
    file: PathBuf,
    is_durable: bool,
    /// Held for as long as the state is open; None for memory and for readers.
    _lock: Option<File>,
}

impl State {
    /// Opens the state in `directory`, makes it where it is missing, and takes hold of it against other processes.
    ///
    /// # Errors
    /// See [`StateError`]: another process holds it, it is damaged, foreign or newer, or the disk will not have it.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let refused = |path: &Path| {
            let path = path.to_owned();
            |source| StateError::Directory { path, source }
        };
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(refused(directory))?;
        let lock = directory.join(LOCK_NAME);
        let open_private = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
            options.open(path).map_err(refused(path))
        };
        let locked = open_private(&lock)?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { lock }),
            Err(TryLockError::Error(source)) => return Err(StateError::Directory { path: lock, source }),
        }
        let file = directory.join(FILE_NAME);
        // SQLite would make it readable by everyone; its log takes the mode of the file.
        drop(open_private(&file)?);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags);
        let mut connection = connection.map_err(|source| StateError::from_sqlite(&file, "opening it", source))?;
        prepare_file(&mut connection, &file)?;
        migrate(&mut connection, &file)?;
        Ok(Self::new(connection, file, true, Some(locked)))
    }

    /// Opens the state in `directory` beside the process that owns it, to read the history; every write fails as read-only.
    ///
    /// # Errors
    /// As [`Self::open`], except that an owner is no hindrance; and a directory that no retaind of this version has opened before.
    pub fn open_to_read(directory: &Path) -> Result<Self, StateError> {
        let file = directory.join(FILE_NAME);
        File::open(&file).map_err(|source| {
            if source.kind() == ErrorKind::NotFound {
                StateError::Absent { directory: directory.to_owned() }
            } else {
                StateError::Directory { path: file.clone(), source }
            }
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| StateError::from_sqlite(&file, "opening it to read", source);
        let mut connection = Connection::open_with_flags(&file, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        migrate(&mut connection, &file)?;
        Ok(Self::new(connection, file, true, None))
    }

    /// A copy, in memory, of the state in `directory`, beside the process that owns it: what is learnt with it is forgotten.
    ///
    /// # Errors
    /// As [`Self::open_to_read`].
    pub fn copy_of(directory: &Path) -> Result<Self, StateError> {
        Self::open_to_read(directory)?.copy()
    }

    /// A copy in memory: what is learnt with it is forgotten.
    ///
    /// # Errors
    /// See [`StateError`]; a file that takes no more writes can still be copied.
    pub fn copy(&self) -> Result<Self, StateError> {
        let failed = |source| StateError::from_sqlite(&self.0.file, "copying it", source);
        let mut copy = Connection::open_in_memory().map_err(failed)?;
        {
            let connection = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let backup = Backup::new(&connection, &mut copy).map_err(failed)?;
            backup.run_to_completion(COPIED_AT_ONCE_PAGES, Duration::ZERO, None).map_err(failed)?;
        }
        Ok(Self::new(copy, self.0.file.clone(), false, None))
    }

    /// A state that ends with the process. Deleting with it is allowed only where the configuration says that this is meant.
    ///
    /// # Errors
    /// None that a program could cause; SQLite's own, should it run out of memory.
    pub fn in_memory() -> Result<Self, StateError> {
        let file = PathBuf::from("the state in memory");
        let connection = Connection::open_in_memory();
        let mut connection = connection.map_err(|source| StateError::from_sqlite(&file, "opening it", source))?;
        migrate(&mut connection, &file)?;
        Ok(Self::new(connection, file, false, None))
    }

    /// Whether what is written here survives the process.
    pub fn is_durable(&self) -> bool {
        self.0.is_durable
    }

    /// Forgets finished runs that started before `before`, with their part of the journal, and returns how many runs went.
    /// A run with an open intent stays: what became of that intent is still to be read from the registry.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn prune_history(&self, before: Timestamp) -> Result<u32, StateError> {
        self.write("pruning the history", |transaction| {
            let before = before.as_microsecond();
            transaction.execute_batch("CREATE TEMP TABLE IF NOT EXISTS pruned (run INTEGER PRIMARY KEY); DELETE FROM pruned")?;
            let runs = transaction.execute(
                "INSERT INTO pruned SELECT id FROM run WHERE started_at < ?1
                     AND NOT EXISTS (SELECT 1 FROM intent WHERE intent.run = run.id AND (outcome IS NULL OR ?1 <= at))",
                [before],
            )?;
            transaction.execute_batch(
                "DELETE FROM document WHERE intent IN (SELECT id FROM intent WHERE run IN (SELECT run FROM pruned));
                 DELETE FROM intent WHERE run IN (SELECT run FROM pruned);
                 DELETE FROM expected WHERE root_gone = 0 AND run IN (SELECT run FROM pruned);
                 DELETE FROM run WHERE id IN (SELECT run FROM pruned);
                 DELETE FROM approval WHERE plan_hash NOT IN (SELECT plan_hash FROM run);
                 DELETE FROM pruned",
            )?;
            Ok(u32::try_from(runs).unwrap_or(u32::MAX))
        })
    }

    fn new(connection: Connection, file: PathBuf, is_durable: bool, lock: Option<File>) -> Self {
        Self(Arc::new(Inner { connection: Mutex::new(connection), file, is_durable, _lock: lock }))
    }

    /// One consistent look.
    fn read<T>(&self, doing: &'static str, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StateError> {
        self.transact(TransactionBehavior::Deferred, doing, work)
    }

    /// All of `work` or nothing of it, on the disk before this returns.
    fn write<T>(&self, doing: &'static str, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StateError> {
        self.transact(TransactionBehavior::Immediate, doing, work)
    }

    fn transact<T>(
        &self,
        behavior: TransactionBehavior,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut connection = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        attempt().map_err(|source| StateError::from_sqlite(&self.0.file, doing, source))
    }
}

/// Turns on the write-ahead log and full synchronisation: a commit is on the disk when it returns.
fn prepare_file(connection: &mut Connection, file: &Path) -> Result<(), StateError> {
    let failed = |source| StateError::from_sqlite(file, "opening it", source);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let found: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if found != "wal" {
        return Err(StateError::NoWriteAheadLog { file: file.to_owned(), found });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_MAX_BYTES).map_err(failed)
}

fn migrate(connection: &mut Connection, file: &Path) -> Result<(), StateError> {
    let found = schema::migrate(connection, schema::STEPS);
    match found.map_err(|source| StateError::from_sqlite(file, "reading its schema", source))? {
        Found::UpToDate => Ok(()),
        Found::Newer { found } => Err(StateError::Newer { file: file.to_owned(), found, known: schema::newest() }),
        Found::Foreign => Err(StateError::Foreign { file: file.to_owned() }),
    }
}

/// The number of a repository, if anything was ever noted about it.
fn find_repository(transaction: &Transaction<'_>, registry: &RegistryName, repository: &RepositoryName) -> rusqlite::Result<Option<i64>> {
    let mut statement = transaction.prepare("SELECT id FROM repository WHERE registry = ?1 AND name = ?2")?;
    statement.query_row([registry.as_str(), repository.as_str()], |row| row.get(0)).optional()
}

/// The number of a repository, which it gets now if it has none.
fn number_repository(transaction: &Transaction<'_>, registry: &RegistryName, repository: &RepositoryName) -> rusqlite::Result<i64> {
    if let Some(number) = find_repository(transaction, registry, repository)? {
        return Ok(number);
    }
    let mut statement = transaction.prepare("INSERT INTO repository (registry, name) VALUES (?1, ?2)")?;
    statement.insert([registry.as_str(), repository.as_str()])
}

/// The time in a column.
fn time_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|source| unreadable(column, source))
}

/// The name in a column.
fn name_at<T, E>(row: &rusqlite::Row<'_>, column: usize, parse: impl FnOnce(&str) -> Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parse(row.get_ref(column)?.as_str()?).map_err(|source| unreadable(column, source))
}

/// A column that holds what this program never writes: the file is damaged.
fn unreadable(column: usize, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, source.into())
}

#[cfg(test)]
mod tests;
