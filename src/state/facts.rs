//! What documents refer to, by digest. A digest names its bytes, so such a fact is true for ever, in every registry;
//! what is kept here is only a cache, and a fact that is missing is read again.

use std::collections::HashMap;

use rusqlite::OptionalExtension as _;

use crate::model::{Digest, References, Tie};

use super::{State, StateError};

/// How many digests are looked up or stored before others get a turn: some ten milliseconds of work.
pub(super) const PORTION: usize = 5_000;
/// The most facts that are kept; the oldest go first. At about 110 bytes each this is 440 MB, and above four million manifests
/// that had to be read, reading a few again is the lesser evil.
const FACTS_MAX: i64 = 4_000_000;

impl State {
    /// What is known of these digests' documents; the others are to be read.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn references_of(&self, digests: &[Digest]) -> Result<HashMap<Digest, References>, StateError> {
        let mut known = HashMap::with_capacity(digests.len());
        for portion in digests.chunks(PORTION) {
            self.read("looking up references", |transaction| {
                let mut statement = transaction.prepare("SELECT refers_to FROM fact WHERE digest = ?1")?;
                for digest in portion {
                    let found = statement.query_row([digest.as_bytes()], |row| Ok(decode(row.get_ref(0)?.as_blob()?))).optional()?;
                    if let Some(references) = found.flatten() {
                        known.insert(*digest, references);
                    }
                }
                Ok(())
            })?;
        }
        Ok(known)
    }

    /// Keeps what was read. A ghost is an observation about a repository and no fact of a digest, so it is passed over.
    ///
    /// # Errors
    /// See [`StateError`]. What was stored before the error stays.
    pub fn remember_references(&self, read: &[(Digest, References)]) -> Result<(), StateError> {
        self.remember_at_most(read, FACTS_MAX)
    }

    fn remember_at_most(&self, read: &[(Digest, References)], facts_max: i64) -> Result<(), StateError> {
        for portion in read.chunks(PORTION) {
            self.write("storing references", |transaction| {
                let mut statement = transaction.prepare(
                    "INSERT INTO fact (digest, refers_to) VALUES (?1, ?2) ON CONFLICT (digest) DO UPDATE SET refers_to = excluded.refers_to",
                )?;
                for (digest, references) in portion {
                    if let Some(bytes) = encode(references) {
                        statement.execute((digest.as_bytes(), bytes))?;
                    }
                }
                // Numbers are given in ascending order, so the newest `facts_max` are those above this bound. An upsert that
                // changes nothing uses up no number.
                transaction.prepare("DELETE FROM fact WHERE id <= (SELECT max(id) FROM fact) - ?1")?.execute([facts_max])?;
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Nothing: no bytes. Otherwise one byte that says whether a subject comes first, then digests of 32 bytes.
fn encode(references: &References) -> Option<Vec<u8>> {
    match references {
        References::Ghost => None,
        References::None => Some(Vec::new()),
        References::To(tie) => {
            let Tie { children, subject } = &**tie;
            let mut bytes = Vec::with_capacity(1 + 32 * (children.len() + 1));
            bytes.push(u8::from(subject.is_some()));
            for digest in subject.iter().chain(children) {
                bytes.extend_from_slice(digest.as_bytes());
            }
            Some(bytes)
        }
    }
}

/// None for bytes that [`encode`] does not make: such a fact is not known, and is read again.
fn decode(bytes: &[u8]) -> Option<References> {
    let Some((has_subject, digests)) = bytes.split_first() else { return Some(References::None) };
    let (digests, rest) = digests.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    let mut digests = digests.iter().copied().map(Digest::from_bytes);
    let subject = match has_subject {
        0 => None,
        1 => Some(digests.next()?),
        _ => return None,
    };
    Some(References::To(Box::new(Tie { children: digests.collect(), subject })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn digest(number: u32) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    fn to(children: &[u32], subject: Option<u32>) -> References {
        let children = children.iter().copied().map(digest).collect();
        References::To(Box::new(Tie { children, subject: subject.map(digest) }))
    }

    #[test]
    fn references_come_back_as_they_were() {
        let state = State::in_memory().expect("memory");
        let facts = [
            (digest(1), References::None),
            (digest(2), to(&[10, 11, 10], None)),
            (digest(3), to(&[], Some(12))),
            (digest(4), to(&[10], Some(12))),
            (digest(5), to(&[], None)),
        ];
        state.remember_references(&facts).expect("stored");
        state.remember_references(&[(digest(6), References::Ghost)]).expect("passed over");
        let known = state.references_of(&[1, 2, 3, 4, 5, 6, 7].map(digest)).expect("read");
        assert_eq!(known, HashMap::from(facts));
    }

    #[test]
    fn bytes_of_another_shape_are_not_known() {
        assert_eq!(decode(&[1]), None);
        assert_eq!(decode(&[2; 33]), None);
        assert_eq!(decode(&[0; 32]), None);
        assert_eq!(decode(&[0]), Some(to(&[], None)));
    }

    #[test]
    fn the_oldest_facts_go_first() {
        let state = State::in_memory().expect("memory");
        for number in 0..5 {
            state.remember_at_most(&[(digest(number), References::None)], 3).expect("stored");
            state.remember_at_most(&[(digest(number), References::None)], 3).expect("stored again");
        }
        let known = state.references_of(&[0, 1, 2, 3, 4].map(digest)).expect("read");
        assert_eq!((0..5).filter(|number| known.contains_key(&digest(*number))).collect::<Vec<_>>(), [2, 3, 4]);
    }

    /// Guards against work that grows faster than the number of digests (a scan for each would take hours), not against slowness:
    /// the bound is some twenty times what an unoptimised build needs.
    #[test]
    fn a_hundred_thousand_references_are_quick() {
        let state = State::in_memory().expect("memory");
        let facts: Vec<_> = (0..100_000).map(|number| (digest(number), to(&[number + 1, number + 2], None))).collect();
        let digests: Vec<_> = facts.iter().map(|(digest, _)| *digest).collect();
        let start = Instant::now();
        state.remember_references(&facts).expect("stored");
        let stored = start.elapsed();
        let known = state.references_of(&digests).expect("read");
        let read = start.elapsed() - stored;
        println!("100,000 references: stored in {stored:?}, read in {read:?}");
        assert_eq!(known.len(), 100_000);
        assert!(start.elapsed() < Duration::from_secs(60), "stored in {stored:?}, read in {read:?}");
    }
}
