//! Where the registry of each name is. What is remembered was seen in one registry, and names are only what policies call them: a name
//! that leads elsewhere stands for another registry. An endpoint is a text here, the same text for the same place.

use rusqlite::{OptionalExtension as _, Transaction};

use crate::model::RegistryName;

use super::{State, StateError};

/// What was seen and noted of a registry's repositories, and what depends on it. Facts by digest hold everywhere; runs and the journal
/// tell what happened, wherever the name led then.
const FORGET: &str = "
    DELETE FROM untagged WHERE repository IN (SELECT id FROM repository WHERE registry = ?1);
    DELETE FROM absent WHERE repository IN (SELECT id FROM repository WHERE registry = ?1);
    DELETE FROM expected WHERE repository IN (SELECT id FROM repository WHERE registry = ?1);
    DELETE FROM condemned WHERE repository IN (SELECT id FROM repository WHERE registry = ?1);
    DELETE FROM own_lock WHERE repository IN (SELECT id FROM repository WHERE registry = ?1);
    UPDATE repository SET since = NULL, believed = NULL, seen = NULL, seen_at = NULL WHERE registry = ?1;
    DELETE FROM in_force WHERE registry = ?1;
    DELETE FROM approval WHERE plan_hash IN (SELECT plan_hash FROM run WHERE registry = ?1)
";

/// Of a run: that it was where its registry's name leads now. Both are NULL where no endpoint was ever told.
pub(super) const IS_HERE: &str = "run.endpoint IS (SELECT endpoint FROM endpoint WHERE endpoint.registry = run.registry)";

impl State {
    /// Notes where the registry of this name is, before anything that is remembered of it is used. If it was elsewhere, all that was seen
    /// there is forgotten, and the endpoint there is returned. What a state holds that never knew an endpoint was seen here.
    ///
    /// # Errors
    /// See [`StateError`]; what is remembered must not be used then.
    pub fn locate(&self, registry: &RegistryName, endpoint: &str) -> Result<Option<String>, StateError> {
        // Nearly always it is where it was, and reading is all that a state without room can do.
        if self.read("looking up an endpoint", |transaction| endpoint_of(transaction, registry))?.as_deref() == Some(endpoint) {
            return Ok(None);
        }
        self.write("noting an endpoint", |transaction| {
            let before = endpoint_of(transaction, registry)?;
            if before.is_some() {
                for statement in FORGET.split(';') {
                    transaction.prepare(statement)?.execute([registry.as_str()])?;
                }
            } else {
                let adopt = "UPDATE run SET endpoint = ?2 WHERE registry = ?1 AND endpoint IS NULL";
                transaction.prepare(adopt)?.execute([registry.as_str(), endpoint])?;
            }
            transaction
                .prepare("INSERT OR REPLACE INTO endpoint (registry, endpoint) VALUES (?1, ?2)")?
                .execute([registry.as_str(), endpoint])?;
            Ok(before)
        })
    }
}

fn endpoint_of(transaction: &Transaction<'_>, registry: &RegistryName) -> rusqlite::Result<Option<String>> {
    let mut statement = transaction.prepare("SELECT endpoint FROM endpoint WHERE registry = ?1")?;
    statement.query_row([registry.as_str()], |row| row.get(0)).optional()
}
