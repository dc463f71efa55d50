//! What was seen of a repository over time: since when a manifest has no tag, what answers "not found", and what a deleted root
//! left behind. Knows what it was told by complete listings and nothing of why they looked as they did.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::Transaction;

use crate::model::{Digest, RegistryName, RepositoryName};

use super::{RunId, State, StateError, find_repository, number_repository, time_at};

/// A listing with so few of the manifests that there should be is not believed, in percent: a registry that answers with half a list,
/// or somebody who deletes by hand on a large scale, should be seen by a person first.
const BELIEVED_FROM_PERCENT: u64 = 75;
/// In a repository of fewer manifests a few that go are a large share and mean nothing.
const SHRINKS_FROM_MANIFESTS: u32 = 20;

/// What earlier listings of a repository say about the one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listings {
    /// When the first was taken.
    pub since: Timestamp,
    /// How many manifests there should be, by the last listing and what was deleted since, if there are far fewer.
    pub shrunk_from: Option<u32>,
}

fn is_shrunk(believed: u32, manifests: u32) -> bool {
    SHRINKS_FROM_MANIFESTS <= believed && u64::from(manifests) * 100 < u64::from(believed) * BELIEVED_FROM_PERCENT
}

impl State {
    /// Notes which manifests of a repository have no tag now, and returns since when each has had none.
    ///
    /// To be called with *complete* listings only: what is not in `untagged_now` is forgotten, so that a manifest that was tagged
    /// for a while starts anew. A time later than `at` (the clock was set back) is no observation and starts anew as well.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn observe_untagged(
        &self,
        registry: &RegistryName,
        repository: &RepositoryName,
        at: Timestamp,
        untagged_now: &[Digest],
    ) -> Result<BTreeMap<Digest, Timestamp>, StateError> {
        self.write("noting untagged manifests", |transaction| {
            let repository = number_repository(transaction, registry, repository)?;
            observe(transaction, &UNTAGGED, repository, at, untagged_now)
        })
    }

    /// Notes a complete listing of a repository with so many manifests, and returns what is known of earlier ones. A listing that shrank
    /// is not believed: the next one is held against the same number, until a person approves a plan that rests on it.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn observe_repository(
        &self,
        registry: &RegistryName,
        repository: &RepositoryName,
        at: Timestamp,
        manifests: u32,
    ) -> Result<Listings, StateError> {
        self.write("noting a complete listing", |transaction| {
            let repository = number_repository(transaction, registry, repository)?;
            let mut statement = transaction
                .prepare("UPDATE repository SET since = min(coalesce(since, ?2), ?2), seen = ?3, seen_at = ?2 WHERE id = ?1 RETURNING since, believed")?;
            let row = (repository, at.as_microsecond(), manifests);
            let (since, believed) = statement.query_row(row, |row| Ok((time_at(row, 0)?, row.get::<_, Option<u32>>(1)?)))?;
            let shrunk_from = believed.filter(|believed| is_shrunk(*believed, manifests));
            if shrunk_from.is_none() {
                transaction.prepare("UPDATE repository SET believed = ?2 WHERE id = ?1")?.execute((repository, manifests))?;
            }
            Ok(Listings { since, shrunk_from })
        })
    }

    /// Notes which listed manifests of a repository answered "not found" when they were read, and returns those that did so in an
    /// earlier run already (one with an earlier `at`): the confirmed ghosts. The others are forgotten.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn observe_absent(
        &self,
        registry: &RegistryName,
        repository: &RepositoryName,
        at: Timestamp,
        absent_when_read: &[Digest],
    ) -> Result<BTreeSet<Digest>, StateError> {
        let since = self.write("noting absent manifests", |transaction| {
            let repository = number_repository(transaction, registry, repository)?;
            observe(transaction, &ABSENT, repository, at, absent_when_read)
        })?;
        Ok(since.into_iter().filter(|(_, since)| since.as_microsecond() < at.as_microsecond()).map(|(digest, _)| digest).collect())
    }

    /// Records, before a plan is applied, what is to go along with a root, so that the rest can be found should the run end between.
    /// Replaces what was expected of this root before and did not happen.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn expect_to_go(
        &self,
        run: RunId,
        registry: &RegistryName,
        repository: &RepositoryName,
        root: Digest,
        along: &[Digest],
    ) -> Result<(), StateError> {
        self.write("noting what goes along with a root", |transaction| {
            let repository = number_repository(transaction, registry, repository)?;
            let root = root.as_bytes();
            transaction
                .prepare("DELETE FROM expected WHERE repository = ?1 AND root = ?2 AND root_gone = 0")?
                .execute((repository, root))?;
            let mut insert = transaction
                .prepare("INSERT OR REPLACE INTO expected (repository, along, root, run, root_gone) VALUES (?1, ?2, ?3, ?4, 0)")?;
            for digest in along {
                insert.execute((repository, digest.as_bytes(), root, run.0))?;
            }
            Ok(())
        })
    }

    /// What was to go along with a root that the journal says is gone, and is not itself recorded as gone: each with its root
    /// (the smallest, if several left it behind). It says nothing of what the registry holds now: the caller drops those that are
    /// not listed any more, and those whose root is listed again.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn left_behind(&self, registry: &RegistryName, repository: &RepositoryName) -> Result<BTreeMap<Digest, Digest>, StateError> {
        self.read("looking up what was left behind", |transaction| {
            let Some(repository) = find_repository(transaction, registry, repository)? else { return Ok(BTreeMap::new()) };
            let mut statement =
                transaction.prepare("SELECT along, min(root) FROM expected WHERE repository = ?1 AND root_gone = 1 GROUP BY along")?;
            let rows = statement.query_map([repository], |row| Ok((Digest::from_bytes(row.get(0)?), Digest::from_bytes(row.get(1)?))))?;
            rows.collect()
        })
    }

    /// Forgets that these were left behind: they are gone, or needed after all.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn forget_left_behind(&self, registry: &RegistryName, repository: &RepositoryName, along: &[Digest]) -> Result<(), StateError> {
        self.write("forgetting what was left behind", |transaction| {
            let Some(repository) = find_repository(transaction, registry, repository)? else { return Ok(()) };
            let mut statement = transaction.prepare("DELETE FROM expected WHERE repository = ?1 AND along = ?2")?;
            for digest in along {
                statement.execute((repository, digest.as_bytes()))?;
            }
            Ok(())
        })
    }
}

/// Follows the journal: a manifest that is gone leaves behind what was to go along with it in that run (what an older plan would
/// have taken along may be needed by now), and is itself no longer left behind. The next listing may be shorter by all of them: the
/// registry removes referrers with their subject, which nobody asked for one by one.
pub(super) fn note_gone(transaction: &Transaction<'_>, run: i64, repository: i64, digest: &[u8; 32]) -> rusqlite::Result<()> {
    // Each manifest is taken off once: with the first of its roots, or by itself.
    let is_taken_off = "SELECT 1 FROM expected AS other WHERE other.repository = ?1 AND other.root_gone = 1 AND other.along";
    let itself: u32 =
        transaction.prepare(&format!("SELECT NOT EXISTS ({is_taken_off} = ?2)"))?.query_row((repository, digest), |row| row.get(0))?;
    let along: u32 = transaction
        .prepare(&format!(
            "SELECT count(*) FROM expected WHERE repository = ?1 AND root = ?2 AND run = ?3 AND NOT EXISTS ({is_taken_off} = expected.along)"
        ))?
        .query_row((repository, digest, run), |row| row.get(0))?;
    transaction
        .prepare("UPDATE expected SET root_gone = 1 WHERE repository = ?1 AND root = ?2 AND run = ?3")?
        .execute((repository, digest, run))?;
    let gone = along.saturating_add(itself);
    transaction
        .prepare("UPDATE repository SET believed = max(believed - ?2, 0) WHERE id = ?1 AND believed IS NOT NULL")?
        .execute((repository, gone))?;
    transaction.prepare("DELETE FROM expected WHERE repository = ?1 AND along = ?2")?.execute((repository, digest))?;
    Ok(())
}

/// The statements for one kind of observation.
struct Kind {
    select: &'static str,
    insert: &'static str,
    delete: &'static str,
}

const UNTAGGED: Kind = Kind {
    select: "SELECT digest, since FROM untagged WHERE repository = ?1",
    insert: "INSERT OR REPLACE INTO untagged (repository, digest, since) VALUES (?1, ?2, ?3)",
    delete: "DELETE FROM untagged WHERE repository = ?1 AND digest = ?2",
};
const ABSENT: Kind = Kind {
    select: "SELECT digest, since FROM absent WHERE repository = ?1",
    insert: "INSERT OR REPLACE INTO absent (repository, digest, since) VALUES (?1, ?2, ?3)",
    delete: "DELETE FROM absent WHERE repository = ?1 AND digest = ?2",
};

/// Keeps the first time of what is still so, notes what is newly so, forgets the rest. Only differences are written.
fn observe(
    transaction: &Transaction<'_>,
    kind: &Kind,
    repository: i64,
    at: Timestamp,
    now: &[Digest],
) -> rusqlite::Result<BTreeMap<Digest, Timestamp>> {
    // As it is stored, so that a later run is told the very same time.
    let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
    let mut before: BTreeMap<Digest, Timestamp> = transaction
        .prepare(kind.select)?
        .query_map([repository], |row| Ok((Digest::from_bytes(row.get(0)?), time_at(row, 1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut insert = transaction.prepare(kind.insert)?;
    let mut since = BTreeMap::new();
    for digest in now.iter().copied().collect::<BTreeSet<_>>() {
        match before.remove(&digest) {
            Some(first) if first <= at => {
                since.insert(digest, first);
            }
            Some(_) | None => {
                insert.execute((repository, digest.as_bytes(), at.as_microsecond()))?;
                since.insert(digest, at);
            }
        }
    }
    let mut delete = transaction.prepare(kind.delete)?;
    for digest in before.keys() {
        delete.execute((repository, digest.as_bytes()))?;
    }
    Ok(since)
}
