//! Patterns on repository names and tags. They match whole names, always.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};
use semver::{Version, VersionReq};

use super::read_version;

/// The largest compiled size of a policy's regular expression, in bytes: `regex` runs in linear time, and this bounds its memory.
const REGEX_SIZE_MAX_BYTES: usize = 1 << 20;

/// A glob on a whole name: `*` within a segment, `**` across segments, `?`, `[a-z]`, `{a,b}`.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    matcher: GlobMatcher,
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a {kind}: {why}")]
pub struct InvalidPattern {
    /// `glob`, `regular expression` or `version range`.
    pub kind: &'static str,
    /// What was written.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Pattern {
    /// Reads a glob.
    ///
    /// # Errors
    /// An empty glob, a leading `!` (which other tools take for "not" and which would match nothing here) and broken syntax.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |why: String| InvalidPattern { kind: "glob", pattern: text.to_owned(), why };
        if text.is_empty() {
            return Err(invalid("it is empty".to_owned()));
        }
        if text.starts_with('!') {
            return Err(invalid("a leading '!' has no meaning here; use exclude or except".to_owned()));
        }
        let built = GlobBuilder::new(text).literal_separator(true).build();
        let glob = built.map_err(|error| invalid(error.kind().to_string()))?;
        Ok(Self { text: text.into(), matcher: glob.compile_matcher() })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }

    /// The name itself, when the glob has no special character.
    pub fn literal(&self) -> Option<&str> {
        (!self.text.contains(['*', '?', '[', ']', '{', '}', '\\'])).then_some(&self.text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}

/// A choice of tags: those that match any of the patterns and none of the exceptions.
#[derive(Debug, Clone)]
pub enum TagPattern {
    /// Globs.
    Glob {
        /// Any of these.
        any: Vec<Pattern>,
        /// None of these.
        except: Vec<Pattern>,
    },
    /// Regular expressions, anchored at both ends.
    Regex {
        /// Any of these.
        any: Vec<Regex>,
        /// None of these.
        except: Vec<Regex>,
    },
    /// Ranges of semantic versions. A pre-release matches only a range that names a pre-release of the same version.
    Semver {
        /// Any of these.
        any: Vec<VersionReq>,
        /// None of these.
        except: Vec<VersionReq>,
    },
}

impl TagPattern {
    /// Reads a regular expression that must match a whole tag.
    pub fn regex(text: &str) -> Result<Regex, InvalidPattern> {
        let invalid = |why: String| InvalidPattern { kind: "regular expression", pattern: text.to_owned(), why };
        if text.is_empty() {
            return Err(invalid("it is empty".to_owned()));
        }
        // Compiled alone first: `a)(b` must not become valid through the group that anchors it.
        let alone = RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX_BYTES).build();
        alone.map_err(|error| invalid(last_line(&error.to_string())))?;
        let anchored = RegexBuilder::new(&format!("^(?:{text})$")).size_limit(REGEX_SIZE_MAX_BYTES).build();
        anchored.map_err(|error| invalid(last_line(&error.to_string())))
    }

    /// Reads a range of versions, such as `>=1.0.0` or `>=1.2.0, <2.0.0`.
    pub fn semver(text: &str) -> Result<VersionReq, InvalidPattern> {
        let invalid = |why: String| InvalidPattern { kind: "version range", pattern: text.to_owned(), why };
        if text.trim().is_empty() {
            return Err(invalid("it is empty".to_owned()));
        }
        VersionReq::parse(text).map_err(|error| invalid(error.to_string()))
    }

    /// Whether the tag is chosen.
    pub fn matches(&self, tag: &str) -> bool {
        match self {
            Self::Glob { any, except } => chosen(any, except, |pattern| pattern.matches(tag)),
            Self::Regex { any, except } => chosen(any, except, |regex| regex.is_match(tag)),
            Self::Semver { any, except } => {
                read_version(tag).is_some_and(|version: Version| chosen(any, except, |range| range.matches(&version)))
            }
        }
    }

    /// What the named groups of the first matching regular expression captured, in the order of `names`.
    /// None when nothing matches or a group took no part.
    pub fn captures(&self, tag: &str, names: &[Box<str>]) -> Option<Vec<Box<str>>> {
        let Self::Regex { any, .. } = self else { return None };
        let captures = any.iter().find_map(|regex| regex.captures(tag))?;
        names.iter().map(|name| captures.name(name).map(|found| found.as_str().into())).collect()
    }
}

fn chosen<P>(any: &[P], except: &[P], matches: impl Fn(&P) -> bool) -> bool {
    any.iter().any(&matches) && !except.iter().any(&matches)
}

/// The regex crate draws its errors over several lines; the last one says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(any: &[&str], except: &[&str]) -> TagPattern {
        let read = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).expect("a glob")).collect();
        TagPattern::Glob { any: read(any), except: read(except) }
    }

    #[test]
    fn globs_match_whole_names_and_stop_at_slashes() {
        let cases = [
            ("team-*/**", "team-a/web", true),
            ("team-*/**", "team-a/base/x", true),
            ("team-*/**", "team-a", false),
            ("team/*", "team/a/b", false),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("v?", "v1", true),
            ("v?", "xv1", false),
            ("{a,b}-[0-9]", "b-7", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::parse(pattern).expect("a glob").matches(name), expected, "{pattern} {name}");
        }
        for bad in ["", "a{b", "!v*", "[a"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn exceptions_take_out_again() {
        let pattern = glob(&["pr-*"], &["pr-keep-*"]);
        assert!(pattern.matches("pr-1"));
        assert!(!pattern.matches("pr-keep-1"));
        assert!(!pattern.matches("xpr-1"));
    }

    #[test]
    fn regular_expressions_are_anchored() {
        let regex = TagPattern::regex("v1|v2").expect("a regex");
        assert!(regex.is_match("v2") && !regex.is_match("xv1") && !regex.is_match("v1x"));
        for bad in ["", "v(", "a)(b", r"\w{1000}{1000}"] {
            assert!(TagPattern::regex(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pre_releases_are_chosen_only_by_name() {
        let range = |text: &str| TagPattern::Semver { any: vec![TagPattern::semver(text).expect("a range")], except: Vec::new() };
        assert!(range(">=1.0.0").matches("v1.2.3"));
        assert!(!range(">=1.0.0").matches("1.2.3-rc.1"));
        assert!(range(">=1.2.3-rc.0").matches("1.2.3-rc.1"));
        assert!(!range(">=1.0.0").matches("1.2"));
    }
}
