//! What documents and configs say for selectors, by digest: facts like what they refer to, kept in the same way and read again where
//! they are missing. Only what was asked for is here.

use std::collections::HashMap;

use rusqlite::OptionalExtension as _;
use rusqlite::types::ValueRef;

use crate::model::{ConfigBlob, Digest, Pairs, Texts};

use super::facts::PORTION;
use super::{State, StateError};

/// The most descriptions, and the most sets of labels, that are kept; the oldest go first. At some 600 bytes each (ten annotations or
/// labels) a million are 600 MB, and a few of a larger registry are read again.
const DESCRIPTIONS_MAX: i64 = 1_000_000;

/// What a document says for selectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `artifactType`, or else the media type of the config.
    pub artifact_type: Option<Box<str>>,
    /// Its annotations.
    pub annotations: Texts,
    /// Its config.
    pub config: Option<ConfigBlob>,
}

impl State {
    /// What is known of these manifests; the others are to be read.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn descriptions_of(&self, digests: &[Digest]) -> Result<HashMap<Digest, Description>, StateError> {
        let mut known = HashMap::with_capacity(digests.len());
        for portion in digests.chunks(PORTION) {
            self.read("looking up descriptions", |transaction| {
                let mut statement = transaction
                    .prepare("SELECT artifact_type, config, config_bytes, annotations, unreadable FROM description WHERE digest = ?1")?;
                for digest in portion {
                    let found = statement.query_row([digest.as_bytes()], |row| {
                        let config: Option<[u8; 32]> = row.get(1)?;
                        let size_bytes = row.get::<_, Option<i64>>(2)?.and_then(|size| u64::try_from(size).ok());
                        let config = config.map(|digest| ConfigBlob { digest: Digest::from_bytes(digest), size_bytes });
                        let artifact_type = row.get::<_, Option<String>>(0)?.map(String::into_boxed_str);
                        let annotations = texts(row.get_ref(3)?, row.get(4)?);
                        Ok(annotations.map(|annotations| Description { artifact_type, annotations, config }))
                    });
                    if let Some(description) = found.optional()?.flatten() {
                        known.insert(*digest, description);
                    }
                }
                Ok(())
            })?;
        }
        Ok(known)
    }

    /// Keeps what documents say.
    ///
    /// # Errors
    /// See [`StateError`]. What was stored before the error stays.
    pub fn remember_descriptions(&self, read: &[(Digest, Description)]) -> Result<(), StateError> {
        for portion in read.chunks(PORTION) {
            self.write("storing descriptions", |transaction| {
                let mut statement = transaction.prepare(
                    "INSERT INTO description (digest, artifact_type, config, config_bytes, annotations, unreadable)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (digest) DO NOTHING",
                )?;
                for (digest, Description { artifact_type, annotations, config }) in portion {
                    let Some((pairs, unreadable)) = columns(annotations) else { continue };
                    let size_bytes = config.and_then(|config| config.size_bytes).and_then(|size| i64::try_from(size).ok());
                    let config = config.as_ref().map(|config| config.digest.as_bytes());
                    statement.execute((digest.as_bytes(), artifact_type.as_deref(), config, size_bytes, pairs, unreadable))?;
                }
                let bound = "DELETE FROM description WHERE id <= (SELECT max(id) FROM description) - ?1";
                transaction.prepare(bound)?.execute([DESCRIPTIONS_MAX])?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What is known of the labels in these configs; the others are to be read.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn labels_of(&self, configs: &[Digest]) -> Result<HashMap<Digest, Texts>, StateError> {
        let mut known = HashMap::with_capacity(configs.len());
        for portion in configs.chunks(PORTION) {
            self.read("looking up labels", |transaction| {
                let mut statement = transaction.prepare("SELECT labels, unreadable FROM image_label WHERE config = ?1")?;
                for config in portion {
                    let found = statement.query_row([config.as_bytes()], |row| Ok(texts(row.get_ref(0)?, row.get(1)?)));
                    if let Some(labels) = found.optional()?.flatten() {
                        known.insert(*config, labels);
                    }
                }
                Ok(())
            })?;
        }
        Ok(known)
    }

    /// Keeps the labels in configs. To be called with what is so for ever: a config that could not be fetched today is none of it.
    ///
    /// # Errors
    /// See [`StateError`]. What was stored before the error stays.
    pub fn remember_labels(&self, read: &[(Digest, Texts)]) -> Result<(), StateError> {
        for portion in read.chunks(PORTION) {
            self.write("storing labels", |transaction| {
                let mut statement = transaction
                    .prepare("INSERT INTO image_label (config, labels, unreadable) VALUES (?1, ?2, ?3) ON CONFLICT (config) DO NOTHING")?;
                for (config, labels) in portion {
                    let Some((pairs, unreadable)) = columns(labels) else { continue };
                    statement.execute((config.as_bytes(), pairs, unreadable))?;
                }
                let bound = "DELETE FROM image_label WHERE id <= (SELECT max(id) FROM image_label) - ?1";
                transaction.prepare(bound)?.execute([DESCRIPTIONS_MAX])?;
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// The two columns that hold texts: the pairs, or why they cannot be read. None: there is nothing to keep.
fn columns(texts: &Texts) -> Option<(Option<Vec<u8>>, Option<&str>)> {
    match texts {
        Texts::NotRead => None,
        Texts::Unreadable(why) => Some((None, Some(why))),
        Texts::Known(pairs) => Some((Some(encode(pairs)), None)),
    }
}

/// None for bytes that [`encode`] does not make: such a fact is not known, and is read again.
fn texts(pairs: ValueRef<'_>, unreadable: Option<String>) -> Option<Texts> {
    match unreadable {
        Some(why) => Some(Texts::Unreadable(why.into())),
        None => decode(pairs.as_blob().ok()?).map(Texts::Known),
    }
}

/// Each text as its length in four bytes, little end first, and its bytes; keys and values in turn.
fn encode(pairs: &Pairs) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        // The client reads no text beyond a few megabytes.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<Pairs> {
    let mut texts: Vec<Box<str>> = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        texts.push(std::str::from_utf8(text).ok()?.into());
        bytes = rest;
    }
    let (pairs, rest) = texts.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[key, value]| (key.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn pairs(pairs: &[(&str, &str)]) -> Texts {
        Texts::Known(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
    }

    #[test]
    fn descriptions_and_labels_come_back_as_they_were() {
        let state = State::in_memory().expect("memory");
        let config = Some(ConfigBlob { digest: digest(9), size_bytes: Some(7) });
        let unsized_config = Some(ConfigBlob { digest: digest(8), size_bytes: None });
        let facts = [
            (digest(1), Description { artifact_type: None, annotations: Texts::none(), config }),
            (digest(2), Description { artifact_type: Some("a/b".into()), annotations: pairs(&[("k", "ä"), ("l", "")]), config: None }),
            (digest(3), Description { artifact_type: None, annotations: Texts::Unreadable("too many".into()), config: unsized_config }),
        ];
        state.remember_descriptions(&facts).expect("stored");
        state.remember_descriptions(&facts).expect("stored again");
        assert_eq!(state.descriptions_of(&[1, 2, 3, 4].map(digest)).expect("read"), HashMap::from(facts));

        let labels = [(digest(1), pairs(&[("", "x")])), (digest(2), Texts::Unreadable("no JSON".into())), (digest(3), Texts::none())];
        state.remember_labels(&labels).expect("stored");
        state.remember_labels(&[(digest(4), Texts::NotRead)]).expect("passed over");
        assert_eq!(state.labels_of(&[1, 2, 3, 4].map(digest)).expect("read"), HashMap::from(labels));
    }

    #[test]
    fn bytes_of_another_shape_are_not_known() {
        for bytes in [&[1_u8][..], &[9, 0, 0, 0, b'x'], &[1, 0, 0, 0, b'x'], &[1, 0, 0, 0, 0xff, 0, 0, 0, 0]] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(decode(&[]), Some(Pairs::default()));
    }
}
