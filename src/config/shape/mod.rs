//! The structure of both kinds of file as tables: every object, every key, its kind, its meaning. The structural check, the JSON
//! Schemas and the reference are all read from here. Does not know what the values mean together; that is `resolve`.

mod cases;
mod policies;
mod settings;

pub(super) use cases::TESTS;
pub(super) use policies::{DEFAULTS, POLICIES};
pub(super) use settings::SETTINGS;

/// The version of the language that this program reads.
pub(super) const VERSION: u64 = 1;

/// An object: its keys, and how they go together.
#[derive(Debug)]
pub(super) struct Shape {
    /// What messages, the schema and the reference call it, such as `delete`.
    pub(super) name: &'static str,
    /// What it is, in one sentence.
    pub(super) doc: &'static str,
    /// Its keys, in the order in which they are best written.
    pub(super) keys: &'static [Key],
    /// Exactly one of these is written; empty: no such demand.
    pub(super) one_of: &'static [&'static str],
    /// Two of these are never written together.
    pub(super) at_most_one: &'static [&'static str],
    /// Of each of these lists at least one is written.
    pub(super) any_of: &'static [&'static [&'static str]],
    /// The first has no meaning without one of the others.
    pub(super) needs: &'static [(&'static str, &'static [&'static str])],
}

/// A key of an object.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    /// What it means, in one sentence.
    pub(super) doc: &'static str,
    /// A value as it is written in YAML.
    pub(super) example: &'static str,
}

/// Whether a key must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    /// Like `Required`, but the file's `defaults` may say it as well.
    Inherited,
    Optional,
    /// What holds when it is not written, as it would be written.
    Default(&'static str),
}

/// What may be written as a value.
#[derive(Debug)]
pub(super) enum Kind {
    /// The version of the language.
    Version,
    /// A text.
    Text(&'static Format),
    /// A text of several lines.
    Lines,
    /// A text that is an age, such as `30d`.
    Age,
    /// A text that is a size, such as `500MB`.
    Size,
    /// A share, such as `50%`.
    Percent,
    /// `true` or `false`.
    Bool,
    /// Only this one of the two.
    Only(bool),
    /// A whole number within bounds, both included.
    Integer { minimum: u64, maximum: u64 },
    /// One of some words, each with its meaning.
    Choice(&'static [(&'static str, &'static str)]),
    /// A list of texts; one text by itself is a list of one.
    Texts(&'static Format),
    /// A list of objects.
    Objects(&'static Shape),
    /// A text, or a list of objects.
    TextOrObjects(&'static Format, &'static Shape),
    /// An object.
    Object(&'static Shape),
    /// An object whose key `kind` says which one.
    Variants(&'static Variants),
}

/// Objects told apart by their key `kind`.
#[derive(Debug)]
pub(super) struct Variants {
    pub(super) name: &'static str,
    pub(super) shapes: &'static [&'static Shape],
}

/// A kind of text. Reading it is the resolver's work; editors get the pattern.
#[derive(Debug)]
pub(super) struct Format {
    /// Its name in the reference, such as `glob`.
    pub(super) name: &'static str,
    /// A regular expression for editors; it may let more pass than the resolver does.
    pub(super) pattern: Option<&'static str>,
}

/// What people write by habit, and what to write here. The value is a whole hint.
pub(super) const HABITS: &[(&str, &str)] = &[
    ("<<", "merge keys are not read; write the keys out, or once under `defaults` for all policies of the file"),
    ("apiVersion", "this is not a Kubernetes object; begin with `version: 1`"),
    ("kind", "this is not a Kubernetes object; leave it out"),
    ("metadata", "this is not a Kubernetes object; write the name as `name`"),
    ("spec", "this is not a Kubernetes object; leave this level out"),
    ("password", "secrets are never written here; write the path of a file as `password_file`"),
    ("secret", "secrets are never written here; write the path of a file as `secret_file`"),
    ("client_secret", "secrets are never written here; write the path of a file as `secret_file`"),
    ("token", "secrets are never written here; write the path of a file as `token_file`"),
    ("dry_run", "write `mode: dry-run` or `mode: enforce`"),
    ("enabled", "there is no such switch; write `mode: dry-run`, or `paused: true` in the settings"),
    ("cron", "write `schedule`"),
    ("tz", "write `time_zone`"),
    ("timezone", "write `time_zone`"),
    ("window", "write `between` or `not_during`"),
    ("blackout", "write `not_during`"),
    ("max_age", "write `older_than`"),
    ("age", "write `older_than`"),
    ("ago", "write `older_than`"),
    ("keep_last", "write `last` under `keep`, or `except_last` under `delete`"),
    ("count", "write `last` under `keep`, or `except_last` under `delete`"),
    ("filter", "write `tags: { glob: […] }` or `tags: { regex: […] }`"),
    ("patterns", "write `glob`, `regex` or `semver`"),
    ("url", "write `endpoint`"),
    ("action", "write the action as its key: `keep`, `delete`, `lock` or `unlock`"),
    ("can_pull", "write `can_read`"),
    ("can_push", "write `can_write`"),
];

/// Keys and words that are planned, with the object or key they belong to: they are answered with "not supported yet".
pub(super) const NOT_YET: &[(&str, &[&str])] = &[("rule", &["archive"])];

/// Whether the key or word is planned for the object.
pub(super) fn is_planned(shape: &str, word: &str) -> bool {
    NOT_YET.iter().any(|(name, words)| *name == shape && words.contains(&word))
}

impl Shape {
    /// The key of that name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// This object and all that can be written below it, each once, parents first.
    pub(super) fn tree(&'static self) -> Vec<&'static Shape> {
        let mut found: Vec<&'static Shape> = Vec::new();
        let mut waiting = vec![self];
        while let Some(shape) = waiting.pop() {
            if found.iter().any(|known| std::ptr::eq(*known, shape)) {
                continue;
            }
            found.push(shape);
            waiting.extend(shape.keys.iter().rev().flat_map(|key| key.kind.shapes().into_iter().rev()));
        }
        found
    }
}

impl Kind {
    /// The objects that are written directly as a value of this kind.
    pub(super) fn shapes(&self) -> Vec<&'static Shape> {
        match self {
            Self::Objects(shape) | Self::Object(shape) | Self::TextOrObjects(_, shape) => vec![shape],
            Self::Variants(variants) => variants.shapes.to_vec(),
            Self::Version
            | Self::Text(_)
            | Self::Lines
            | Self::Age
            | Self::Size
            | Self::Percent
            | Self::Bool
            | Self::Only(_)
            | Self::Integer { .. }
            | Self::Choice(_)
            | Self::Texts(_) => Vec::new(),
        }
    }

    /// What is expected, for messages.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Version => "the version of the language".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Lines => "a text of several lines".to_owned(),
            Self::Age => "an age".to_owned(),
            Self::Size => "a size".to_owned(),
            Self::Percent => "a percentage".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Only(value) => value.to_string(),
            Self::Integer { .. } => "a whole number".to_owned(),
            Self::Choice(words) => list_or(words.iter().map(|(word, _)| *word)),
            Self::Texts(_) => "a list of texts".to_owned(),
            Self::Objects(_) => "a list".to_owned(),
            Self::TextOrObjects(_, _) => "a text or a list".to_owned(),
            Self::Object(_) | Self::Variants(_) => "keys and values".to_owned(),
        }
    }
}

/// `a`, `a or b`, `a, b or c`, each in backquotes.
pub(super) fn list_or<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some(_) | None => words.concat(),
    }
}
