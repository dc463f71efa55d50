//! The journal of every change: an intent before the request, an outcome after it. An intent without an outcome is a request of which
//! nobody knows whether it arrived; only reading the registry can tell. Knows no requests and does no resolving.

use std::fmt;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row};

use crate::model::{Digest, RegistryName, RepositoryName, TagName};

use super::marks::{Relock, Relocked, forget_relock, note_relock, relock_of};
use super::observations::note_gone;
use super::{RunId, State, StateError, name_at, number_repository, time_at, unreadable};

/// The number of an intent, unique for ever within one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentId(pub(super) i64);

/// What a request does to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Deletes a manifest, and with it every tag that points at it.
    DeleteManifest,
    /// Removes one tag.
    Untag,
    /// Sets the locks of a manifest or tag.
    SetLocks,
}

/// A change that is about to be asked of a registry.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// The run it belongs to.
    pub run: RunId,
    /// The registry.
    pub registry: &'a RegistryName,
    /// The repository.
    pub repository: &'a RepositoryName,
    /// What is to be done.
    pub verb: Verb,
    /// The manifest: the one to delete, or the one that the tag points at.
    pub digest: Digest,
    /// The tag that the request names, if it names one.
    pub tag: Option<&'a TagName>,
    /// All tags that go with it.
    pub tags: &'a [TagName],
    /// Why, in the words of the report.
    pub reason: &'a str,
    /// The manifest's bytes, so that it can be pushed again as long as its blobs exist.
    pub document: Option<&'a [u8]>,
    /// What is to become of the item's attributes, where locks are set.
    pub relocked: Option<&'a Relocked<'a>>,
    /// When it is recorded.
    pub at: Timestamp,
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The registry said that it did it.
    Done,
    /// The registry said that there was nothing to do it to.
    AlreadyGone,
    /// The registry would not: why (locked, forbidden …).
    Refused(String),
    /// It certainly did not happen: why.
    Failed(String),
    /// The request was never sent: something was different, or the process was told to stop.
    NotSent,
    /// The answer was lost; reading afterwards showed that it happened.
    ResolvedDone,
    /// The answer was lost; reading afterwards showed that it did not happen.
    ResolvedNotDone,
}

/// An intent whose outcome nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// Its number.
    pub id: IntentId,
    /// The run it belongs to.
    pub run: RunId,
    /// The repository.
    pub repository: RepositoryName,
    /// What was to be done.
    pub verb: Verb,
    /// The manifest.
    pub digest: Digest,
    /// The tag that the request named, if any.
    pub tag: Option<TagName>,
    /// All tags that were to go with it.
    pub tags: Vec<TagName>,
    /// What was to become of the item's attributes, where locks were to be set; older versions did not record it.
    pub relock: Option<Relock>,
    /// When it was recorded.
    pub at: Timestamp,
}

/// Which part of the journal is wanted; what is None does not narrow it.
#[derive(Debug, Clone, Copy, Default)]
pub struct JournalFilter<'a> {
    /// Of this run.
    pub run: Option<RunId>,
    /// In this registry.
    pub registry: Option<&'a RegistryName>,
    /// In repositories of this name.
    pub repository: Option<&'a RepositoryName>,
    /// About this manifest.
    pub digest: Option<Digest>,
    /// Recorded at this time or later.
    pub since: Option<Timestamp>,
}

/// An intent in the history, with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its number.
    pub id: IntentId,
    /// The run it belongs to.
    pub run: RunId,
    /// The registry.
    pub registry: RegistryName,
    /// The repository.
    pub repository: RepositoryName,
    /// What was to be done.
    pub verb: Verb,
    /// The manifest.
    pub digest: Digest,
    /// The tag that the request named, if any.
    pub tag: Option<TagName>,
    /// All tags that were to go with it.
    pub tags: Vec<TagName>,
    /// Why.
    pub reason: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// What became of it, and when that was recorded. None: nobody knows.
    pub concluded: Option<(Timestamp, Outcome)>,
    /// Whether the manifest's bytes are kept; see [`State::document_of`].
    pub has_document: bool,
}

impl State {
    /// Records what is about to be asked of a registry. It is on the disk when this returns; only then may the request be sent.
    ///
    /// # Errors
    /// See [`StateError`]; the request must not be sent then.
    pub fn intend(&self, intent: &Intent<'_>) -> Result<IntentId, StateError> {
        let Intent { run, registry, repository, verb, digest, tag, tags, reason, document, relocked, at } = *intent;
        // A tag has no blank.
        let tags: Vec<&str> = tags.iter().map(TagName::as_str).collect();
        let tags = tags.join(" ");
        self.write("recording an intent", |transaction| {
            let repository = number_repository(transaction, registry, repository)?;
            let mut statement = transaction.prepare(
                "INSERT INTO intent (run, repository, verb, digest, tag, tags, reason, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            let tag = tag.map(TagName::as_str);
            let row = (run.0, repository, verb.word(), digest.as_bytes(), tag, tags, reason, at.as_microsecond());
            let id = statement.insert(row)?;
            if let Some(bytes) = document {
                transaction.prepare("INSERT INTO document (intent, bytes) VALUES (?1, ?2)")?.execute((id, bytes))?;
            }
            if let Some(relocked) = relocked {
                note_relock(transaction, id, relocked)?;
            }
            Ok(IntentId(id))
        })
    }

    /// Records what became of an intent. A deleted manifest's companions count as left behind from now on, unless they go too.
    ///
    /// # Errors
    /// [`StateError::NotOpen`] if it has an outcome already: the first one stands. The others: see [`StateError`]; the intent then
    /// stays open, and is resolved by reading.
    pub fn conclude(&self, intent: IntentId, outcome: &Outcome, at: Timestamp) -> Result<(), StateError> {
        let (text, detail) = outcome.text();
        let was_open = self.write("recording an outcome", |transaction| {
            let mut statement = transaction.prepare(
                "UPDATE intent SET outcome = ?2, detail = ?3, concluded_at = ?4 WHERE id = ?1 AND outcome IS NULL
                     RETURNING run, repository, verb, digest",
            )?;
            let updated = statement.query_row((intent.0, text, detail, at.as_microsecond()), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, verb_at(row, 2)?, row.get::<_, [u8; 32]>(3)?))
            });
            let Some((run, repository, verb, digest)) = updated.optional()? else { return Ok(false) };
            if verb == Verb::DeleteManifest && outcome.is_gone() {
                note_gone(transaction, run, repository, &digest)?;
            }
            forget_relock(transaction, intent.0)?;
            Ok(true)
        })?;
        if was_open { Ok(()) } else { Err(StateError::NotOpen(intent)) }
    }

    /// The intents in a registry whose outcome is not recorded, oldest first. After a crash each is to be resolved by reading, at this
    /// endpoint: those of runs elsewhere are not among them.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn open_intents(&self, registry: &RegistryName, endpoint: &str) -> Result<Vec<OpenIntent>, StateError> {
        self.read("reading the open intents", |transaction| {
            let mut statement = transaction.prepare(
                "SELECT intent.id, intent.run, name, verb, digest, tag, tags, at
                     FROM intent JOIN repository ON repository.id = intent.repository JOIN run ON run.id = intent.run
                     WHERE intent.outcome IS NULL AND repository.registry = ?1 AND coalesce(run.endpoint, ?2) = ?2
                     ORDER BY intent.id",
            )?;
            let rows = statement.query_map([registry.as_str(), endpoint], |row| {
                Ok(OpenIntent {
                    relock: relock_of(transaction, row.get(0)?)?,
                    id: IntentId(row.get(0)?),
                    run: RunId(row.get(1)?),
                    repository: name_at(row, 2, RepositoryName::parse)?,
                    verb: verb_at(row, 3)?,
                    digest: Digest::from_bytes(row.get(4)?),
                    tag: tag_at(row, 5)?,
                    tags: tags_at(row, 6)?,
                    at: time_at(row, 7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// How many manifests and tags were to be removed from a registry at `since` or later: counted at the intent, whatever came of
    /// it, so that neither a crash nor a lost answer gives the budget back.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn deletes_since(&self, registry: &RegistryName, since: Timestamp) -> Result<u32, StateError> {
        self.read("counting deletes", |transaction| {
            let mut statement = transaction.prepare(
                "SELECT count(*) FROM intent JOIN repository ON repository.id = intent.repository
                     WHERE ?2 <= at AND registry = ?1 AND verb IN ('delete', 'untag')",
            )?;
            statement.query_row((registry.as_str(), since.as_microsecond()), |row| row.get(0))
        })
    }

    /// The last `limit` changes that `filter` lets through, newest first.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn journal(&self, filter: &JournalFilter<'_>, limit: u32) -> Result<Vec<JournalEntry>, StateError> {
        let JournalFilter { run, registry, repository, digest, since } = *filter;
        self.read("reading the journal", |transaction| {
            let mut statement = transaction.prepare(
                "SELECT intent.id, run, registry, name, verb, digest, tag, tags, reason, at, concluded_at, outcome, detail,
                     EXISTS (SELECT 1 FROM document WHERE document.intent = intent.id)
                 FROM intent JOIN repository ON repository.id = intent.repository
                 WHERE (?1 IS NULL OR run = ?1) AND (?2 IS NULL OR registry = ?2) AND (?3 IS NULL OR name = ?3)
                     AND (?4 IS NULL OR digest = ?4) AND (?5 IS NULL OR ?5 <= at)
                 ORDER BY intent.id DESC LIMIT ?6",
            )?;
            let run = run.map(|RunId(number)| number);
            let registry = registry.map(RegistryName::as_str);
            let repository = repository.map(RepositoryName::as_str);
            let digest = digest.as_ref().map(Digest::as_bytes);
            let since = since.map(Timestamp::as_microsecond);
            statement.query_map((run, registry, repository, digest, since, limit), read_entry)?.collect()
        })
    }

    /// The bytes of the manifest that an intent was about, if they were kept.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn document_of(&self, intent: IntentId) -> Result<Option<Vec<u8>>, StateError> {
        self.read("reading a manifest of the journal", |transaction| {
            let mut statement = transaction.prepare("SELECT bytes FROM document WHERE intent = ?1")?;
            statement.query_row([intent.0], |row| row.get(0)).optional()
        })
    }
}

impl Verb {
    /// One stable word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DeleteManifest => "delete",
            Self::Untag => "untag",
            Self::SetLocks => "lock",
        }
    }
}

impl Outcome {
    /// Whether what was to be removed is not there any more.
    pub const fn is_gone(&self) -> bool {
        match self {
            Self::Done | Self::AlreadyGone | Self::ResolvedDone => true,
            Self::Refused(_) | Self::Failed(_) | Self::NotSent | Self::ResolvedNotDone => false,
        }
    }

    fn text(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Done => ("done", None),
            Self::AlreadyGone => ("already gone", None),
            Self::Refused(why) => ("refused", Some(why)),
            Self::Failed(why) => ("failed", Some(why)),
            Self::NotSent => ("not sent", None),
            Self::ResolvedDone => ("resolved: done", None),
            Self::ResolvedNotDone => ("resolved: not done", None),
        }
    }

    fn from_text(text: &str, detail: String) -> Option<Self> {
        Some(match text {
            "done" => Self::Done,
            "already gone" => Self::AlreadyGone,
            "refused" => Self::Refused(detail),
            "failed" => Self::Failed(detail),
            "not sent" => Self::NotSent,
            "resolved: done" => Self::ResolvedDone,
            "resolved: not done" => Self::ResolvedNotDone,
            _ => return None,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            (word, None) => formatter.write_str(word),
            (word, Some(why)) => write!(formatter, "{word}: {why}"),
        }
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<JournalEntry> {
    let concluded = match row.get_ref(11)?.as_str_or_null()? {
        None => None,
        Some(text) => {
            let detail = row.get::<_, Option<String>>(12)?.unwrap_or_default();
            let outcome = Outcome::from_text(text, detail).ok_or_else(|| unreadable(11, format!("{text:?} is no outcome")))?;
            Some((time_at(row, 10)?, outcome))
        }
    };
    Ok(JournalEntry {
        id: IntentId(row.get(0)?),
        run: RunId(row.get(1)?),
        registry: name_at(row, 2, RegistryName::parse)?,
        repository: name_at(row, 3, RepositoryName::parse)?,
        verb: verb_at(row, 4)?,
        digest: Digest::from_bytes(row.get(5)?),
        tag: tag_at(row, 6)?,
        tags: tags_at(row, 7)?,
        reason: row.get(8)?,
        at: time_at(row, 9)?,
        concluded,
        has_document: row.get(13)?,
    })
}

fn verb_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Verb> {
    match row.get_ref(column)?.as_str()? {
        "delete" => Ok(Verb::DeleteManifest),
        "untag" => Ok(Verb::Untag),
        "lock" => Ok(Verb::SetLocks),
        other => Err(unreadable(column, format!("{other:?} is no verb"))),
    }
}

fn tag_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TagName>> {
    let tag = row.get_ref(column)?.as_str_or_null()?;
    tag.map(TagName::parse).transpose().map_err(|source| unreadable(column, source))
}

fn tags_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<TagName>> {
    let tags = row.get_ref(column)?.as_str()?.split(' ').filter(|tag| !tag.is_empty());
    tags.map(TagName::parse).collect::<Result<_, _>>().map_err(|source| unreadable(column, source))
}
