//! The tables, as the list of steps that made them. Knows how to bring an older file up to date and to refuse a newer one.

use rusqlite::{Connection, TransactionBehavior};

/// `PRAGMA application_id`, "rtnd": tells our file from any other SQLite database.
const APPLICATION_ID: i64 = 0x7274_6e64;

/// Step `n` brings a file from `user_version` n to n + 1. A step that was released is never changed, only followed by another.
///
/// Times are microseconds since the Unix epoch, digests 32 bytes. A repository is a small number in the larger tables: a name of
/// up to 255 bytes in each of a million rows would be most of the file.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE repository (
        id       INTEGER PRIMARY KEY,
        registry TEXT NOT NULL,
        name     TEXT NOT NULL,
        -- The first complete listing of it.
        since    INTEGER,
        UNIQUE (registry, name)
    );

    -- What a manifest's document refers to; true for ever, since a digest names its bytes. The row's number is its age.
    CREATE TABLE fact (
        id         INTEGER PRIMARY KEY,
        digest     BLOB NOT NULL UNIQUE,
        refers_to  BLOB NOT NULL
    );

    CREATE TABLE untagged (
        repository INTEGER NOT NULL REFERENCES repository,
        digest     BLOB NOT NULL,
        since      INTEGER NOT NULL,
        PRIMARY KEY (repository, digest)
    ) WITHOUT ROWID;

    CREATE TABLE absent (
        repository INTEGER NOT NULL REFERENCES repository,
        digest     BLOB NOT NULL,
        since      INTEGER NOT NULL,
        PRIMARY KEY (repository, digest)
    ) WITHOUT ROWID;

    CREATE TABLE run (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        policy      TEXT NOT NULL,
        registry    TEXT NOT NULL,
        mode        TEXT NOT NULL,
        plan_hash   TEXT NOT NULL,
        started_at  INTEGER NOT NULL,
        finished_at INTEGER,
        outcome     TEXT,
        detail      TEXT,
        kept        INTEGER NOT NULL DEFAULT 0,
        planned     INTEGER NOT NULL DEFAULT 0,
        deleted     INTEGER NOT NULL DEFAULT 0,
        untagged    INTEGER NOT NULL DEFAULT 0,
        relocked    INTEGER NOT NULL DEFAULT 0,
        skipped     INTEGER NOT NULL DEFAULT 0,
        failed      INTEGER NOT NULL DEFAULT 0
    );

    -- Numbers are never used twice: they appear in logs and reports after the row is pruned.
    CREATE TABLE intent (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        run          INTEGER NOT NULL REFERENCES run,
        repository   INTEGER NOT NULL REFERENCES repository,
        verb         TEXT NOT NULL,
        digest       BLOB NOT NULL,
        tag          TEXT,
        tags         TEXT NOT NULL,
        reason       TEXT NOT NULL,
        at           INTEGER NOT NULL,
        outcome      TEXT,
        detail       TEXT,
        concluded_at INTEGER
    );
    CREATE INDEX intent_open ON intent (repository) WHERE outcome IS NULL;
    CREATE INDEX intent_at ON intent (at);
    CREATE INDEX intent_run ON intent (run);

    -- A manifest's bytes, beside the journal rather than in it: reading a page of history must not read megabytes.
    CREATE TABLE document (
        intent INTEGER PRIMARY KEY REFERENCES intent,
        bytes  BLOB NOT NULL
    );

    -- What was to go along with a root. It outlives the journal's rows, so it says itself whether the root is gone.
    CREATE TABLE expected (
        repository INTEGER NOT NULL REFERENCES repository,
        along      BLOB NOT NULL,
        root       BLOB NOT NULL,
        run        INTEGER NOT NULL,
        root_gone  INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (repository, along, root)
    ) WITHOUT ROWID;
    CREATE INDEX expected_root ON expected (repository, root);
",
    "
    -- Since when a policy has had the schedule that it has: an outage must not make a missed run look like one that was never due.
    CREATE TABLE schedule (
        policy     TEXT NOT NULL,
        registry   TEXT NOT NULL,
        expression TEXT NOT NULL,
        since      INTEGER NOT NULL,
        PRIMARY KEY (policy, registry)
    ) WITHOUT ROWID;
    CREATE INDEX run_of ON run (policy, registry);
",
    "
    -- What decided in a run, as a hash: NULL in runs of older versions.
    ALTER TABLE run ADD COLUMN policies BLOB;
    ALTER TABLE run ADD COLUMN changes TEXT;
    CREATE INDEX run_hash ON run (plan_hash);

    -- With which policies a policy may apply: those of its last run, or those that a person approved.
    CREATE TABLE in_force (
        policy   TEXT NOT NULL,
        registry TEXT NOT NULL,
        policies BLOB NOT NULL,
        -- What they said about changes of theirs.
        changes  TEXT NOT NULL,
        PRIMARY KEY (policy, registry)
    ) WITHOUT ROWID;

    -- Plans that a person approved.
    CREATE TABLE approval (
        plan_hash TEXT PRIMARY KEY,
        at        INTEGER NOT NULL
    ) WITHOUT ROWID;

    -- How many manifests the last listing had that was believed, less what was deleted since; the last one of all, and when that was.
    ALTER TABLE repository ADD COLUMN believed INTEGER;
    ALTER TABLE repository ADD COLUMN seen INTEGER;
    ALTER TABLE repository ADD COLUMN seen_at INTEGER;
",
    "
    -- What a manifest's document says for selectors, and what a config blob does; read when a policy asks, true for ever. The
    -- row's number is its age.
    CREATE TABLE description (
        id            INTEGER PRIMARY KEY,
        digest        BLOB NOT NULL UNIQUE,
        artifact_type TEXT,
        config        BLOB,
        config_bytes  INTEGER,
        annotations   BLOB,
        unreadable    TEXT
    );
    CREATE TABLE image_label (
        id         INTEGER PRIMARY KEY,
        config     BLOB NOT NULL UNIQUE,
        labels     BLOB,
        unreadable TEXT
    );

    -- Rules by number: their names would be most of the two tables below.
    CREATE TABLE rule (
        id     INTEGER PRIMARY KEY,
        policy TEXT NOT NULL,
        name   TEXT NOT NULL,
        UNIQUE (policy, name)
    );

    -- What rules with a waiting time condemned in every run since; the empty tag is the manifest itself.
    CREATE TABLE condemned (
        repository INTEGER NOT NULL REFERENCES repository,
        rule       INTEGER NOT NULL REFERENCES rule,
        digest     BLOB NOT NULL,
        tag        TEXT NOT NULL,
        since      INTEGER NOT NULL,
        PRIMARY KEY (repository, rule, digest, tag)
    ) WITHOUT ROWID;

    -- Locks that rules closed: which attributes, and what the item was like after the newest change of ours. Bits: 1 delete,
    -- 2 write, 4 read, 8 list; in `closed` those that were closed, in `left_open` those that were open afterwards.
    CREATE TABLE own_lock (
        repository INTEGER NOT NULL REFERENCES repository,
        digest     BLOB NOT NULL,
        tag        TEXT NOT NULL,
        rule       INTEGER NOT NULL REFERENCES rule,
        closed     INTEGER NOT NULL,
        left_open  INTEGER NOT NULL,
        PRIMARY KEY (repository, digest, tag, rule)
    ) WITHOUT ROWID;
",
    "
    -- Where the registry of each name is: what is remembered of it was seen there.
    CREATE TABLE endpoint (
        registry TEXT PRIMARY KEY,
        endpoint TEXT NOT NULL
    ) WITHOUT ROWID;

    -- Where its registry was. NULL in runs of older versions, until the name is first used again.
    ALTER TABLE run ADD COLUMN endpoint TEXT;

    -- What an open intent is to make of an item's attributes, and which rules close what of them, so that reading can tell what became
    -- of it and whose the lock is. Bits as in own_lock; in `opens` and `closes` those that are set.
    CREATE TABLE relock (
        intent    INTEGER PRIMARY KEY REFERENCES intent,
        opens     INTEGER NOT NULL,
        closes    INTEGER NOT NULL,
        left_open INTEGER NOT NULL
    );
    CREATE TABLE relock_rule (
        intent INTEGER NOT NULL REFERENCES intent,
        rule   INTEGER NOT NULL REFERENCES rule,
        closes INTEGER NOT NULL,
        PRIMARY KEY (intent, rule)
    ) WITHOUT ROWID;
",
];

/// What the file says of itself.
pub(super) enum Found {
    /// It is now as this program knows it.
    UpToDate,
    /// It is newer than this program.
    Newer {
        /// Its version.
        found: i64,
    },
    /// It is a database of something else.
    Foreign,
}

/// The newest version this program knows.
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Takes the steps that the file lacks, each in a transaction of its own, so that a crash leaves a whole version.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<Found> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application_id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if 0 < tables && application_id != APPLICATION_ID {
        return Ok(Found::Foreign);
    }
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(missing) = usize::try_from(found).ok().and_then(|taken| steps.get(taken..)) else {
        return Ok(Found::Newer { found });
    };
    for (version, step) in (found + 1..).zip(missing) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(Found::UpToDate)
}
