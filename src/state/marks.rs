//! Marks of rules on items: since when a rule has condemned something, and which locks a rule closed. Names rules and does not know
//! what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction};

use crate::model::{Condemned, Digest, LockChange, Locks, Mark, OwnLock, RegistryName, RepositoryName, TagName};

use super::{State, StateError, find_repository, number_repository, time_at, unreadable};

/// A change of ours to the attributes of an item, as it was carried out.
#[derive(Debug, Clone, Copy)]
pub struct Relocked<'a> {
    /// The policy that acted.
    pub policy: &'a str,
    /// The manifest, or the one that the tag points at.
    pub digest: Digest,
    /// The tag; None: the manifest itself.
    pub tag: Option<&'a TagName>,
    /// What was changed.
    pub change: LockChange,
    /// Which rules closed what of it.
    pub closed_by: &'a [(Arc<str>, LockChange)],
    /// All attributes afterwards, as the registry said.
    pub left: Locks,
}

/// A change that was recorded before it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relock {
    /// The policy that acted.
    pub policy: String,
    /// What was to be changed.
    pub change: LockChange,
    /// Which rules were to close what of it.
    pub closed_by: Vec<(Arc<str>, LockChange)>,
    /// All attributes as they were to be afterwards.
    pub left: Locks,
}

impl State {
    /// Since when what stands condemned in a repository has been so, in the order of marks.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn condemned(&self, registry: &RegistryName, repository: &RepositoryName) -> Result<Vec<Condemned>, StateError> {
        self.read("looking up what stands condemned", |transaction| {
            let Some(repository) = find_repository(transaction, registry, repository)? else { return Ok(Vec::new()) };
            let mut statement = transaction.prepare(
                "SELECT policy, rule.name, digest, tag, since FROM condemned JOIN rule ON rule.id = condemned.rule WHERE repository = ?1",
            )?;
            let rows = statement.query_map([repository], |row| Ok(Condemned { mark: mark_at(row)?, since: time_at(row, 4)? }))?;
            let mut condemned: Vec<Condemned> = rows.collect::<rusqlite::Result<_>>()?;
            condemned.sort_unstable();
            Ok(condemned)
        })
    }

    /// Forgets what this policy's rules condemned in repositories that it does not name any more.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn forget_condemned_elsewhere(&self, registry: &RegistryName, policy: &str, named: &[&RepositoryName]) -> Result<(), StateError> {
        self.write("forgetting what is no longer condemned", |transaction| {
            let mut select = transaction.prepare(
                "SELECT DISTINCT repository.id, repository.name FROM condemned JOIN repository ON repository.id = condemned.repository
                 WHERE registry = ?1 AND rule IN (SELECT id FROM rule WHERE policy = ?2)",
            )?;
            let marked: Vec<(i64, String)> =
                select.query_map((registry.as_str(), policy), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
            let mut delete =
                transaction.prepare("DELETE FROM condemned WHERE repository = ?1 AND rule IN (SELECT id FROM rule WHERE policy = ?2)")?;
            for (repository, _) in marked.iter().filter(|(_, name)| !named.iter().any(|named| named.as_str() == name)) {
                delete.execute((repository, policy))?;
            }
            Ok(())
        })
    }

    /// Notes what a policy's rules with a waiting time condemn in a repository now. What stood before keeps its time; a time later than
    /// `at` (the clock was set back) begins anew; what is not among `now` is forgotten. To be called after complete listings only.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn observe_condemned(
        &self,
        registry: &RegistryName,
        repository: &RepositoryName,
        policy: &str,
        at: Timestamp,
        now: &[Mark],
    ) -> Result<(), StateError> {
        self.write("noting what is condemned", |transaction| {
            let repository = number_repository(transaction, registry, repository)?;
            let mut rules: BTreeMap<&str, i64> = BTreeMap::new();
            let mut wanted: BTreeSet<(i64, [u8; 32], &str)> = BTreeSet::new();
            for mark in now.iter().filter(|mark| *mark.policy == *policy) {
                let rule = match rules.get(&*mark.rule) {
                    Some(rule) => *rule,
                    None => number_rule(transaction, policy, &mark.rule)?,
                };
                rules.insert(&mark.rule, rule);
                wanted.insert((rule, *mark.digest.as_bytes(), mark.tag.as_ref().map_or("", TagName::as_str)));
            }
            let at = at.as_microsecond();
            let mut select = transaction.prepare(
                "SELECT rule, digest, tag, since FROM condemned WHERE repository = ?1 AND rule IN (SELECT id FROM rule WHERE policy = ?2)",
            )?;
            let before: Vec<(i64, [u8; 32], String, i64)> = select
                .query_map((repository, policy), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let mut delete =
                transaction.prepare("DELETE FROM condemned WHERE repository = ?1 AND rule = ?2 AND digest = ?3 AND tag = ?4")?;
            for (rule, digest, tag, since) in &before {
                if at < *since || !wanted.remove(&(*rule, *digest, tag.as_str())) {
                    delete.execute((repository, rule, digest, tag))?;
                }
            }
            let mut insert =
                transaction.prepare("INSERT INTO condemned (repository, rule, digest, tag, since) VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (rule, digest, tag) in wanted {
                insert.execute((repository, rule, digest, tag, at))?;
            }
            Ok(())
        })
    }

    /// The locks in a repository that rules closed and that nobody else changed, as far as the journal's owner was told.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn own_locks(&self, registry: &RegistryName, repository: &RepositoryName) -> Result<Vec<OwnLock>, StateError> {
        self.read("looking up our own locks", |transaction| {
            let Some(repository) = find_repository(transaction, registry, repository)? else { return Ok(Vec::new()) };
            let mut statement = transaction.prepare(
                "SELECT policy, rule.name, digest, tag, closed, left_open FROM own_lock JOIN rule ON rule.id = own_lock.rule
                     WHERE repository = ?1",
            )?;
            let rows = statement.query_map([repository], |row| {
                let (closed, left) = (change_of(row.get(4)?, false), locks_of(row.get(5)?));
                Ok(OwnLock { mark: mark_at(row)?, closed, left })
            })?;
            let mut locks: Vec<OwnLock> = rows.collect::<rusqlite::Result<_>>()?;
            locks.sort_unstable_by(|one, other| one.mark.cmp(&other.mark));
            Ok(locks)
        })
    }

    /// Notes a change of ours: what rules closed is theirs, what was opened is nobody's any more, and all that is ours on the item is
    /// as it was left now.
    ///
    /// # Errors
    /// See [`StateError`]. What is not noted stays locked for ever, which is the harmless side.
    pub fn note_relocked(&self, registry: &RegistryName, repository: &RepositoryName, relocked: &Relocked<'_>) -> Result<(), StateError> {
        let Relocked { policy, digest, tag, change, closed_by, left } = *relocked;
        let tag = tag.map_or("", TagName::as_str);
        self.write("noting our own locks", |transaction| {
            let repository = number_repository(transaction, registry, repository)?;
            let item = (repository, digest.as_bytes(), tag);
            let opened = bits_of(change, true);
            transaction
                .prepare("UPDATE own_lock SET closed = closed & ~?4, left_open = ?5 WHERE repository = ?1 AND digest = ?2 AND tag = ?3")?
                .execute((item.0, item.1, item.2, opened, open_bits(left)))?;
            let mut insert = transaction.prepare(
                "INSERT INTO own_lock (repository, digest, tag, rule, closed, left_open) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET closed = closed | excluded.closed",
            )?;
            for (rule, closed) in closed_by {
                let rule = number_rule(transaction, policy, rule)?;
                insert.execute((item.0, item.1, item.2, rule, bits_of(*closed, false), open_bits(left)))?;
            }
            transaction.prepare("DELETE FROM own_lock WHERE repository = ?1 AND digest = ?2 AND tag = ?3 AND closed = 0")?.execute(item)?;
            Ok(())
        })
    }

    /// Forgets locks of ours that somebody changed since, or whose item is gone.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn forget_own_locks(&self, registry: &RegistryName, repository: &RepositoryName, marks: &[Mark]) -> Result<(), StateError> {
        if marks.is_empty() {
            return Ok(());
        }
        self.write("forgetting our own locks", |transaction| {
            let Some(repository) = find_repository(transaction, registry, repository)? else { return Ok(()) };
            let mut delete = transaction.prepare("DELETE FROM own_lock WHERE repository = ?1 AND digest = ?2 AND tag = ?3")?;
            for mark in marks {
                delete.execute((repository, mark.digest.as_bytes(), mark.tag.as_ref().map_or("", TagName::as_str)))?;
            }
            Ok(())
        })
    }
}

/// Notes with an intent what it is to make of an item's attributes.
pub(super) fn note_relock(transaction: &Transaction<'_>, intent: i64, relocked: &Relocked<'_>) -> rusqlite::Result<()> {
    let Relocked { policy, digest: _, tag: _, change, closed_by, left } = *relocked;
    transaction.prepare("INSERT INTO relock (intent, opens, closes, left_open) VALUES (?1, ?2, ?3, ?4)")?.execute((
        intent,
        bits_of(change, true),
        bits_of(change, false),
        open_bits(left),
    ))?;
    for (rule, closed) in closed_by {
        let rule = number_rule(transaction, policy, rule)?;
        transaction.prepare("INSERT OR REPLACE INTO relock_rule (intent, rule, closes) VALUES (?1, ?2, ?3)")?.execute((
            intent,
            rule,
            bits_of(*closed, false),
        ))?;
    }
    Ok(())
}

/// What an intent is to make of an item's attributes, if that was noted.
pub(super) fn relock_of(transaction: &Transaction<'_>, intent: i64) -> rusqlite::Result<Option<Relock>> {
    let mut select = transaction.prepare(
        "SELECT opens, closes, left_open, policy FROM relock JOIN intent ON intent.id = relock.intent JOIN run ON run.id = intent.run
             WHERE relock.intent = ?1",
    )?;
    let found = select.query_row([intent], |row| {
        let change = both(change_of(row.get(0)?, true), change_of(row.get(1)?, false));
        Ok(Relock { policy: row.get(3)?, change, closed_by: Vec::new(), left: locks_of(row.get(2)?) })
    });
    let Some(relock) = found.optional()? else { return Ok(None) };
    let mut select = transaction
        .prepare("SELECT rule.name, relock_rule.closes FROM relock_rule JOIN rule ON rule.id = relock_rule.rule WHERE intent = ?1 ORDER BY rule.name")?;
    let rows = select.query_map([intent], |row| Ok((Arc::from(row.get_ref(0)?.as_str()?), change_of(row.get(1)?, false))))?;
    Ok(Some(Relock { closed_by: rows.collect::<rusqlite::Result<_>>()?, ..relock }))
}

/// Forgets it once what became of the intent is known.
pub(super) fn forget_relock(transaction: &Transaction<'_>, intent: i64) -> rusqlite::Result<()> {
    transaction.prepare("DELETE FROM relock_rule WHERE intent = ?1")?.execute([intent])?;
    transaction.prepare("DELETE FROM relock WHERE intent = ?1")?.execute([intent])?;
    Ok(())
}

fn number_rule(transaction: &Transaction<'_>, policy: &str, rule: &str) -> rusqlite::Result<i64> {
    let mut select = transaction.prepare("SELECT id FROM rule WHERE policy = ?1 AND name = ?2")?;
    match select.query_row([policy, rule], |row| row.get(0)).optional()? {
        Some(number) => Ok(number),
        None => transaction.prepare("INSERT INTO rule (policy, name) VALUES (?1, ?2)")?.insert([policy, rule]),
    }
}

/// The first four columns: policy, rule, digest, tag.
fn mark_at(row: &Row<'_>) -> rusqlite::Result<Mark> {
    let tag = row.get_ref(3)?.as_str()?;
    let tag = if tag.is_empty() { None } else { Some(TagName::parse(tag).map_err(|source| unreadable(3, source))?) };
    Ok(Mark {
        policy: row.get_ref(0)?.as_str()?.into(),
        rule: row.get_ref(1)?.as_str()?.into(),
        digest: Digest::from_bytes(row.get(2)?),
        tag,
    })
}

const DELETE: i64 = 1;
const WRITE: i64 = 2;
const READ: i64 = 4;
const LIST: i64 = 8;

/// The bits of the attributes that a change sets to `value`.
fn bits_of(change: LockChange, value: bool) -> i64 {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    let attributes = [(can_delete, DELETE), (can_write, WRITE), (can_read, READ), (can_list, LIST)];
    attributes.into_iter().filter(|(set, _)| *set == Some(value)).map(|(_, bit)| bit).sum()
}

fn change_of(bits: i64, value: bool) -> LockChange {
    let set = |bit: i64| (bits & bit != 0).then_some(value);
    LockChange { can_delete: set(DELETE), can_write: set(WRITE), can_read: set(READ), can_list: set(LIST) }
}

/// Two changes of different attributes in one.
fn both(one: LockChange, other: LockChange) -> LockChange {
    LockChange {
        can_delete: one.can_delete.or(other.can_delete),
        can_write: one.can_write.or(other.can_write),
        can_read: one.can_read.or(other.can_read),
        can_list: one.can_list.or(other.can_list),
    }
}

fn open_bits(locks: Locks) -> i64 {
    let Locks { can_delete, can_write, can_read, can_list } = locks;
    let attributes = [(can_delete, DELETE), (can_write, WRITE), (can_read, READ), (can_list, LIST)];
    attributes.into_iter().filter(|(open, _)| *open).map(|(_, bit)| bit).sum()
}

fn locks_of(bits: i64) -> Locks {
    let open = |bit: i64| bits & bit != 0;
    Locks { can_delete: open(DELETE), can_write: open(WRITE), can_read: open(READ), can_list: open(LIST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (RegistryName, RepositoryName) {
        (RegistryName::parse("contoso").expect("a name"), RepositoryName::parse("app").expect("a name"))
    }

    fn mark(policy: &str, rule: &str, byte: u8, tag: Option<&str>) -> Mark {
        let tag = tag.map(|tag| TagName::parse(tag).expect("a tag"));
        Mark { policy: policy.into(), rule: rule.into(), digest: Digest::of(&[byte]), tag }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_mark_keeps_its_time_while_it_stands_and_is_forgotten_at_once() {
        let (registry, repository) = names();
        let state = State::in_memory().expect("memory");
        let (tag, untagged, other) = (mark("ci", "old", 1, Some("a")), mark("ci", "old", 1, None), mark("cd", "old", 1, None));
        let observe = |policy: &str, time: i64, now: &[&Mark]| {
            let now: Vec<Mark> = now.iter().copied().cloned().collect();
            state.observe_condemned(&registry, &repository, policy, at(time), &now).expect("noted");
            let stands = state.condemned(&registry, &repository).expect("read");
            stands.into_iter().map(|stands| (stands.mark, stands.since.as_second())).collect::<Vec<_>>()
        };
        observe("cd", 5, &[&other]);
        assert_eq!(observe("ci", 10, &[&tag, &untagged]), [(other.clone(), 5), (untagged.clone(), 10), (tag.clone(), 10)]);
        assert_eq!(observe("ci", 20, &[&tag]), [(other.clone(), 5), (tag.clone(), 10)]);
        assert_eq!(observe("ci", 30, &[&tag, &untagged]), [(other.clone(), 5), (untagged.clone(), 30), (tag.clone(), 10)]);
        assert_eq!(observe("ci", 20, &[&tag, &untagged]), [(other.clone(), 5), (untagged, 20), (tag, 10)], "the clock was set back");
        assert_eq!(observe("ci", 40, &[]), [(other, 5)]);
    }

    #[test]
    fn a_lock_is_ours_until_we_open_it_or_forget_it() {
        let (registry, repository) = names();
        let state = State::in_memory().expect("memory");
        let closed = LockChange { can_delete: Some(false), can_write: Some(false), ..LockChange::default() };
        let left = Locks { can_delete: false, can_write: false, ..Locks::OPEN };
        let tag = TagName::parse("a").expect("a tag");
        let digest = Digest::of(&[1]);
        let closed_by = [(Arc::from("hold"), closed), (Arc::from("also"), LockChange { can_write: None, ..closed })];
        let lock = Relocked { policy: "ci", digest, tag: Some(&tag), change: closed, closed_by: &closed_by, left };
        state.note_relocked(&registry, &repository, &lock).expect("noted");
        let own = |rule: &str, closed, left| OwnLock { mark: mark("ci", rule, 1, Some("a")), closed, left };
        let read = || state.own_locks(&registry, &repository).expect("read");
        assert_eq!(read(), [own("also", closed_by[1].1, left), own("hold", closed, left)]);

        let change = LockChange { can_delete: Some(true), ..LockChange::default() };
        let left = Locks { can_write: false, ..Locks::OPEN };
        state.note_relocked(&registry, &repository, &Relocked { change, closed_by: &[], left, ..lock }).expect("noted");
        assert_eq!(read(), [own("hold", LockChange { can_delete: None, ..closed }, left)]);

        state.forget_own_locks(&registry, &repository, &[mark("ci", "hold", 1, None)]).expect("forgotten");
        assert_eq!(read().len(), 1, "the manifest's own lock is another one");
        state.forget_own_locks(&registry, &repository, &[mark("ci", "hold", 1, Some("a"))]).expect("forgotten");
        assert_eq!(read(), []);
    }
}
