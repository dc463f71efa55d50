//! What can go wrong with the state file, by what the caller does about it. Knows nothing of what the file holds.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::IntentId;

/// Why the state could not be opened, read or written. Whatever it is: without a journal nothing is deleted.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is nothing to read yet.
    #[error("there is no state in {directory} yet: nothing was run with it; if something was, state.dir in the settings is another one")]
    Absent {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory or one of its files could not be made or opened.
    #[error("cannot use {path} for state: make the directory writable for this user, or set state.dir to another one")]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has this state open.
    #[error("{lock} is held by another retaind: two of them cannot share one state directory; stop the other one or set another state.dir")]
    InUse {
        /// The lock file.
        lock: PathBuf,
    },
    /// The file was written by a newer version of this program.
    #[error("{file} has schema {found} and this retaind knows {known}: run the newer retaind that wrote it, or set another state.dir")]
    Newer {
        /// The state file.
        file: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The file is not a state file, or it is damaged.
    #[error(
        "{file} is damaged or no state file of retaind ({doing}): restore it from a backup, or move it away; \
         without it the ages of untagged manifests start anew and unfinished deletes are forgotten"
    )]
    Corrupt {
        /// The state file.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is a database of another program.
    #[error("{file} is a database of another program: set another state.dir")]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// There is no room for another write. Reading still works, so planning goes on and deleting stops.
    #[error("{file} cannot grow ({doing}): free space on its disk; nothing is deleted until then")]
    Full {
        /// The state file.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file or its file system may only be read. Reading still works, so planning goes on and deleting stops.
    #[error("{file} is read-only ({doing}): make it and its directory writable for this user; nothing is deleted until then")]
    ReadOnly {
        /// The state file.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// SQLite's write-ahead log needs shared memory, which network file systems do not offer.
    #[error(
        "{file} cannot have a write-ahead log (SQLite chose {found:?}): put state.dir on a local or block-device volume, not on SMB or NFS"
    )]
    NoWriteAheadLog {
        /// The state file.
        file: PathBuf,
        /// The journal mode that SQLite fell back to.
        found: String,
    },
    /// Anything else that SQLite reports, such as an input/output error.
    #[error("cannot use {file} ({doing}): see the cause, and check the disk that it is on")]
    Failed {
        /// The state file.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// An outcome for an intent that has one already or was never recorded: a mistake of the caller, not of the world.
    #[error("intent {0} is not open: it was concluded before or never recorded; read the journal for it")]
    NotOpen(IntentId),
}

impl StateError {
    /// Whether the file takes no more writes (its disk is full or read-only) but can still be read: deleting stops, planning goes on.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::ReadOnly { .. })
    }

    /// Sorts what SQLite reports by what is to be done about it.
    pub(super) fn from_sqlite(file: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        let file = file.to_owned();
        if matches!(source, rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)) {
            return Self::Corrupt { file, doing, source };
        }
        #[allow(clippy::wildcard_enum_match_arm, reason = "SQLite has thirty codes, of which these four call for something else")]
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { file, doing, source },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { file, doing, source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { file, doing, source },
            _ => Self::Failed { file, doing, source },
        }
    }
}
