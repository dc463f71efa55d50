//! The three names of the field: registry, repository and tag. Whatever holds one holds a well-formed one,
//! so no line break, escape or quote of a pusher's making travels further than the place where names are read.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use super::Digest;

/// Longest repository name the OCI distribution specification leaves room for, in characters.
const REPOSITORY_NAME_MAX_LENGTH: usize = 255;
/// Longest tag of the OCI distribution specification, in characters.
const TAG_NAME_MAX_LENGTH: usize = 128;
/// Suffixes of companion tags, beside the bare form of the OCI referrers tag schema (cosign: signature, attestation, SBOM).
const COMPANION_SUFFIXES: [&str; 4] = ["", ".sig", ".att", ".sbom"];

/// A text that is no name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {expected}")]
pub struct InvalidName {
    /// What was being read.
    pub kind: &'static str,
    /// The text, cut to a length that can be printed.
    pub text: String,
    /// What such a name looks like.
    pub expected: &'static str,
}

impl InvalidName {
    fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        Self { kind, text: text.chars().take(150).collect(), expected }
    }
}

/// The name that a configuration gives to a registry, e.g. `contoso`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryName(Arc<str>);

impl RegistryName {
    /// Reads lower-case letters, digits, `-`, `_` and `.`, up to 63 of them.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if text.is_empty() || 63 < text.len() || !text.bytes().all(good) {
            return Err(InvalidName::new("registry name", text, "lower-case letters, digits, '-', '_' and '.', up to 63"));
        }
        Ok(Self(text.into()))
    }
}

/// The name of a repository, e.g. `team-a/web`: OCI distribution specification, "Pulling manifests".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// Reads lower-case path components separated by `/`, each of letters and digits joined by `.`, `_`, `__` or dashes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.len() <= REPOSITORY_NAME_MAX_LENGTH && text.split('/').all(is_path_component) {
            return Ok(Self(text.into()));
        }
        Err(InvalidName::new(
            "repository name",
            text,
            "lower-case letters and digits, joined by '.', '_', '__' or '-', in components separated by '/'",
        ))
    }
}

fn is_path_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    component
        .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

/// A tag, e.g. `1.4.2`, kept inline when it is short, as most are: a million tags are then no million allocations.
///
///  `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`, OCI distribution specification.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(SmolStr);

impl TagName {
    /// Reads a tag.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let good = text.len() <= TAG_NAME_MAX_LENGTH
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if good {
            return Ok(Self(SmolStr::new(text)));
        }
        Err(InvalidName::new("tag", text, "a letter, digit or '_', then up to 127 letters, digits, '.', '_' or '-'"))
    }
}

impl TagName {
    /// The subject that a well-formed companion tag (`sha256-<hex>`, `.sig`, `.att`, `.sbom`) names; None: an ordinary tag.
    pub fn companion_subject(&self) -> Option<Digest> {
        let rest = self.0.strip_prefix("sha256-")?;
        let (hex, suffix) = rest.split_at_checked(64)?;
        COMPANION_SUFFIXES.contains(&suffix).then(|| Digest::from_hex(hex)).flatten()
    }
}

macro_rules! shown_as_text {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }
    )*};
}
shown_as_text!(RegistryName, RepositoryName, TagName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_the_distribution_grammar() {
        for good in ["a", "library/hello-world", "a/b/c", "a--b", "a__b", "a.b_c/1"] {
            assert!(RepositoryName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a/", "/a", "a//b", "a___b", "a..b", "-a", "a-", "a b", "a\n", "ü", "a/_deleted"] {
            assert!(RepositoryName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tags_cannot_carry_control_characters() {
        for good in ["1", "v1.2.3", "_x", "A-b", &"x".repeat(128)] {
            assert!(TagName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "a b", "a\u{1b}[31m", "a\n", &"x".repeat(129)] {
            assert!(TagName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_well_formed_companion_tags_name_a_subject() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let subject = |text: &str| TagName::parse(text).expect("a tag").companion_subject();
        for suffix in COMPANION_SUFFIXES {
            assert_eq!(subject(&format!("sha256-{hex}{suffix}")), Digest::from_hex(hex), "{suffix}");
        }
        for tag in [format!("sha256-{hex}.other"), format!("sha256-{}", &hex[1..]), format!("x-sha256-{hex}"), "sha256-1".to_owned()] {
            assert_eq!(subject(&tag), None, "{tag}");
        }
    }
}
