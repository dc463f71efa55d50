//! Policy tests as the rest of the program sees them: a drawing, a time, expectations, and where each is written, so that whoever plays
//! them can point there. Plain values; does not know how a drawing is read or a policy decides.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{RepositoryName, TagName};

use super::problem::{Mark, Problem, Source};

/// A file of policy tests.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// The file.
    pub source: Source,
    /// At least one, in the order of the file; names are unique.
    pub cases: Vec<Case>,
}

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it shows.
    pub name: Arc<str>,
    /// Where it is written.
    pub mark: Mark,
    /// The policy that acts. None: the only one.
    pub policy: Option<(String, Mark)>,
    /// The time of the decision.
    pub now: Timestamp,
    /// The registry, in the format of `docs/emulator.md`.
    pub drawing: String,
    /// Where the drawing is written.
    pub drawing_mark: Mark,
    /// At least one.
    pub expectations: Vec<Expectation>,
}

/// What is expected of some images.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The verdict.
    pub verdict: ExpectedVerdict,
    /// At least one.
    pub images: Vec<DrawnImage>,
    /// The rule that must be among the reasons, by its name or as `POLICY/RULE`.
    pub rule: Option<String>,
    /// Where it is written.
    pub mark: Mark,
}

/// A verdict that can be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVerdict {
    /// It stays.
    Keep,
    /// The image goes, with all its tags.
    Delete,
    /// The tag goes, its image stays.
    Untag,
    /// A lock of it is closed.
    Lock,
    /// A lock of it is opened.
    Unlock,
}

/// Something that was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnImage {
    /// The repository.
    pub repository: RepositoryName,
    /// Which of its images.
    pub version: DrawnVersion,
}

/// How an image is named in an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrawnVersion {
    /// By a tag.
    Tag(TagName),
    /// By its name in the drawing, or by its digest.
    Named(String),
}

impl ExpectedVerdict {
    /// All of them, as they are written.
    pub const WORDS: [(&'static str, Self); 5] =
        [("keep", Self::Keep), ("delete", Self::Delete), ("untag", Self::Untag), ("lock", Self::Lock), ("unlock", Self::Unlock)];

    /// As it is written.
    pub fn word(self) -> &'static str {
        Self::WORDS.into_iter().find(|(_, verdict)| *verdict == self).map_or("", |(word, _)| word)
    }
}

impl std::fmt::Display for DrawnImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            DrawnVersion::Tag(tag) => write!(formatter, "{}:{tag}", self.repository),
            DrawnVersion::Named(name) => write!(formatter, "{}@{name}", self.repository),
        }
    }
}

impl TestFile {
    /// A problem with a line of a drawing, counted from one, such as the drawing's reader tells it.
    pub fn drawing_problem(&self, case: &Case, line: usize, message: &str) -> Problem {
        let mark = self.source.within(&case.drawing_mark, &case.drawing, line);
        let (message, hint) = message.split_once(": ").map_or((message, None), |(message, hint)| (message, Some(hint)));
        self.source.complain(&mark, message, hint)
    }
}
