//! YAML as a tree in which everything knows where it is written. The only file that knows the YAML library.
//! Does not know what any key means.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Location, Options, Spanned};

use super::problem::{Complaint, Place};

/// Deepest nesting of a file. The language nests nine deep (`policies[].rules[].delete.tags.glob[]`); the rest is room.
const DEPTH_MAX: usize = 24;
/// Most values of a file, aliases expanded: a file of the largest size with ten bytes for each.
const NODES_MAX: usize = 100_000;
/// Most values that aliases may repeat: generous for shared lists of patterns, and an alias bomb ends within a millisecond.
const ALIAS_NODES_MAX: usize = 10_000;
/// Longest text, in bytes. A regular expression of this length is unreadable, and with the bound on aliases, what a file expands to
/// stays below 40 MiB.
const TEXT_MAX_BYTES: usize = 4_096;
/// The message of a text beyond that bound; the library adds where it is.
const TEXT_TOO_LONG: &str = "a text is too long";
/// Most uses of aliases in a file.
const ALIASES_MAX: usize = 1_000;

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// What YAML makes of it.
    pub(super) value: Value,
    /// Where it begins.
    pub(super) place: Place,
    /// For scalars: the text as written, quotes included.
    pub(super) source: Box<str>,
}

/// What YAML makes of a node.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` and `false`, and the words that some readers take for them: `yes`, `no`, `on`, `off`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number, those with leading zeros among them.
    Float,
    /// A text.
    Text(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file, with whatever is written twice.
    Mapping(Vec<(Node, Node)>),
}

/// Reads one YAML document.
///
/// # Errors
/// The first thing that is not YAML, more than one document, or a file beyond the bounds above.
pub(super) fn parse(text: &str) -> Result<Node, (Place, Complaint)> {
    let spanned: Spanned<Raw> = serde_yaml::from_str_with_options(text, options()).map_err(|error| explain(&error, text))?;
    Ok(node(spanned, text))
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_aliases: ALIASES_MAX,
            max_recorded_anchor_events: NODES_MAX,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: ALIAS_NODES_MAX },
        // Both are reported with everything else, instead of ending the reading.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        // `no` as a tag must be seen to be a trap; where a Boolean belongs, the source text decides.
        strict_booleans: false,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// A value as the YAML library hands it over.
enum Raw {
    Null,
    Bool(bool),
    Integer(i128),
    Float,
    Text(String),
    Sequence(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Float)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Raw, E> {
        if TEXT_MAX_BYTES < value.len() {
            return Err(E::custom(TEXT_TOO_LONG));
        }
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Mapping(entries))
    }
}

/// Turns the library's value into ours. What an alias repeats is placed where it is written, not where it is repeated: that is the
/// text to be mended.
fn node(spanned: Spanned<Raw>, text: &str) -> Node {
    let Spanned { value, defined, referenced: _ } = spanned;
    let source = source_of(defined, text);
    let value = match value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Float => Value::Float,
        Raw::Text(value) => Value::Text(value),
        Raw::Sequence(items) => Value::Sequence(items.into_iter().map(|item| node(item, text)).collect()),
        Raw::Mapping(entries) => Value::Mapping(entries.into_iter().map(|(key, value)| (node(key, text), node(value, text))).collect()),
    };
    let length = match &value {
        Value::Sequence(_) => 1,
        Value::Mapping(entries) => entries.first().map_or(1, |(key, _)| key.place.length),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float | Value::Text(_) => {
            source.lines().next().map_or(1, |line| line.trim_end().chars().count().max(1))
        }
    };
    Node { value, place: Place { length, ..place_of(defined) }, source: source.into() }
}

fn place_of(location: Location) -> Place {
    let number = |number: u64| usize::try_from(number).unwrap_or(0);
    Place { line: number(location.line()), column: number(location.column()), length: 1 }
}

fn source_of(location: Location, text: &str) -> &str {
    let span = location.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(offset, length)| {
        let start = usize::try_from(offset).ok()?;
        Some(start..start.checked_add(usize::try_from(length).ok()?)?)
    });
    range.and_then(|range| text.get(range)).unwrap_or_default()
}

/// Says what is not YAML, in words for someone who edits a file.
fn explain(error: &serde_yaml::Error, text: &str) -> (Place, Complaint) {
    use serde_yaml::Error;

    let place = error.location().map(place_of).unwrap_or_default();
    let error = error.without_snippet();
    let error = if let Error::AliasError { error, .. } = error { error } else { error };
    if let Error::MultipleDocuments { .. } = error {
        let hint = "write everything in one document, or the second part in a file of its own";
        return (place, Complaint::new("a second YAML document begins here").hint(hint));
    }
    if let Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } = error {
        let message = format!("aliases repeat more than {ALIAS_NODES_MAX} values");
        return (place, Complaint::new(message).hint("write the values out, or split the file"));
    }
    if let Error::RecursiveReferencesRequireWeakTypes { .. } = error {
        return (place, Complaint::new("an alias repeats the value that it is part of").hint("write the value out"));
    }
    if let Error::UnknownAnchor { .. } = error {
        let hint = "a text that begins with '*' must be quoted, such as \"*-rc\"";
        return (place, Complaint::new("'*' begins a YAML alias, and no anchor has this name").hint(hint));
    }
    let message = error.render_with_formatter(&serde_yaml::UserMessageFormatter);
    if matches!(error, Error::Budget { .. }) || message.contains("recursion limit") {
        let message = format!("the file is too large: more than {NODES_MAX} values, {ALIASES_MAX} aliases or {DEPTH_MAX} levels");
        return (place, Complaint::new(message).hint("split the file, and write aliases out"));
    }
    if let Error::UnsupportedTag { .. } = error {
        let hint = "a text that begins with '!' must be quoted";
        return (place, Complaint::new("'!' begins a YAML tag, and YAML tags have no meaning here").hint(hint));
    }
    if message.contains(TEXT_TOO_LONG) {
        let hint = "is a quote or a block (`|`, `>`) not closed?";
        return (place, Complaint::new(format!("a text is longer than {TEXT_MAX_BYTES} bytes")).hint(hint));
    }
    tab(place, &message, text).unwrap_or_else(|| (place, syntax(place, &message, text)))
}

/// A tab before the first word of a line, where the scanner stopped or where it says that it found one: just below.
fn tab(place: Place, message: &str, text: &str) -> Option<(Place, Complaint)> {
    let below = if message.contains("found a tab") { 1 } else { 0 };
    let found = (place.line..=place.line + below).find_map(|line| {
        let blank = super::problem::source_line(text, line).chars().take_while(|character| character.is_whitespace());
        Some((line, blank.collect::<Vec<char>>().iter().position(|character| *character == '\t')?))
    });
    let (line, before) = found?;
    let complaint = Complaint::new("a tab is used for indentation, which YAML does not allow");
    Some((Place { line, column: before + 1, length: 1 }, complaint.hint("replace it by blanks; most editors have a setting for that")))
}

/// The scanner's own words, and what usually leads to them.
fn syntax(place: Place, message: &str, text: &str) -> Complaint {
    let line = super::problem::source_line(text, place.line);
    let rest: String = line.chars().skip(place.column.saturating_sub(1)).collect();
    if rest.starts_with('*') {
        return Complaint::new("'*' begins a YAML alias").hint("a text that begins with '*' must be quoted, such as \"*-rc\"");
    }
    if let Some(character) = rest.chars().next().filter(|character| "@`%&!|>".contains(*character)) {
        let message = format!("a text cannot begin with '{character}' in YAML");
        return Complaint::new(message).hint(format!("put it in quotes, such as \"{character}…\""));
    }
    let words = message.split_once(": ").filter(|(head, _)| head.starts_with("line ")).map_or(message, |(_, words)| words);
    let words = words.split(" at line ").next().unwrap_or(words);
    let hint = if words.contains("escape character") {
        "in double quotes, `\\` begins an escape; write regular expressions in single quotes"
    } else if words.contains("quoted scalar") {
        "is a quote just above not closed?"
    } else if words.contains("mapping values are not allowed") {
        "a text with a colon and a blank in it must be quoted; else look at the indentation"
    } else {
        "look at the indentation, quotes and brackets here and just above"
    };
    Complaint::new(format!("this is not YAML: {words}")).hint(hint)
}
