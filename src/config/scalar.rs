//! Single values: reads one as the kind that its key asks for, or says what to write. YAML's traps are answered here: what is not a
//! text where a text belongs is never taken for one.

use super::item::Content;
use super::problem::Complaint;
use super::shape::{Key, Kind, VERSION};
use super::suggest::nearest;
use super::tree::{Node, Value};
use crate::policy::{Age, Size};

/// Most characters of a value that a message repeats.
const SHOWN_MAX: usize = 60;

/// Reads a single value.
pub(super) fn read(key: &Key, node: &Node) -> Result<Content, Complaint> {
    match (&key.kind, &node.value) {
        (Kind::Text(_) | Kind::Texts(_) | Kind::TextOrObjects(_, _), Value::Text(text)) => text_value(key, text),
        (Kind::Lines, Value::Text(text)) => lines(key, text),
        (Kind::Age, Value::Text(text)) => age(text).map(Content::Age),
        (Kind::Size, Value::Text(text)) => size(text).map(Content::Size),
        (Kind::Percent, Value::Text(text)) => percent(text).map(Content::Integer),
        (Kind::Bool, Value::Bool(value)) => boolean(node, *value, None).map(Content::Bool),
        (Kind::Only(wanted), Value::Bool(value)) => {
            let value = boolean(node, *value, Some(*wanted))?;
            if value == *wanted { Ok(Content::Bool(value)) } else { Err(wrong_only(key, *wanted)) }
        }
        (Kind::Integer { minimum, maximum }, Value::Integer(value)) => integer(key, node, *value, *minimum, *maximum).map(Content::Integer),
        (Kind::Choice(words), Value::Text(text)) => word(key, words, text).map(Content::Word),
        (Kind::Version, Value::Integer(value)) if *value == i128::from(VERSION) => Ok(Content::Integer(VERSION)),
        (Kind::Version, Value::Integer(_)) => {
            let message = format!("version {} of the language is not known", &*node.source);
            Err(Complaint::new(message).hint(format!("this retaind reads `version: {VERSION}`")))
        }
        _ => Err(wrong_kind(key, node)),
    }
}

/// What was found, for messages.
pub(super) fn found(node: &Node) -> String {
    match &node.value {
        Value::Null if node.source.is_empty() => "nothing".to_owned(),
        Value::Null => format!("`{}`, which YAML reads as nothing", shown(node)),
        Value::Bool(_) => format!("`{}`, which YAML reads as true or false", shown(node)),
        Value::Integer(_) | Value::Float => format!("`{}`, which YAML reads as a number", shown(node)),
        Value::Text(_) => format!("the text `{}`", shown(node)),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "keys and values".to_owned(),
    }
}

/// Says that a value is of the wrong kind, and how it is written.
pub(super) fn wrong_kind(key: &Key, node: &Node) -> Complaint {
    let listed = matches!(key.kind, Kind::Texts(_)) && !matches!(node.value, Value::Mapping(_)) && !node.source.is_empty();
    let expected = if listed { "texts".to_owned() } else { key.kind.expected() };
    let complaint = Complaint::new(format!("`{}` needs {expected}, found {}", key.name, found(node)));
    let example = format!("write it as in `{}: {}`", key.name, key.example);
    let scalar = !matches!(node.value, Value::Sequence(_) | Value::Mapping(_)) && !node.source.is_empty();
    let unquoted = node.source.trim_matches(['"', '\'']);
    match (&key.kind, &node.value) {
        (_, Value::Null) if !scalar => complaint.hint(format!("{example}, or leave the key out")),
        // What is quoted in the example needs more than quotes.
        (Kind::Text(_), _) if scalar && key.example.starts_with('"') => complaint.hint(example),
        (Kind::Text(_) | Kind::Texts(_), _) if scalar => complaint.hint(format!("put it in quotes: \"{}\"", shown(node))),
        (Kind::Lines, _) => complaint.hint(format!("write `{}: |` and the lines below it, indented", key.name)),
        (Kind::Objects(_), _) => complaint.hint(format!("write a list below `{}:`, each entry beginning with `- name: …`", key.name)),
        (Kind::Choice(words), _) => complaint.hint(format!("write {}", meanings(words))),
        (Kind::Age, Value::Integer(_)) => complaint.hint(format!("write the unit, such as `{}: {}d`", key.name, shown(node))),
        (Kind::Size, Value::Integer(_)) => complaint.hint(format!("write the unit, such as `{}: {}MB`", key.name, shown(node))),
        (Kind::Percent, Value::Integer(_)) => complaint.hint(format!("write the sign, such as `{}: {}%`", key.name, shown(node))),
        (Kind::Integer { .. } | Kind::Version, Value::Text(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            complaint.hint(format!("write it without quotes: `{}: {text}`", key.name))
        }
        (Kind::Bool | Kind::Only(_), Value::Text(text)) if text == "true" || text == "false" => {
            complaint.hint(format!("write it without quotes: `{}: {unquoted}`", key.name))
        }
        _ => complaint.hint(example),
    }
}

fn shown(node: &Node) -> String {
    let short: String = node.source.chars().take(SHOWN_MAX).collect();
    short.escape_debug().collect::<String>().replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\")
}

fn text_value(key: &Key, text: &str) -> Result<Content, Complaint> {
    if text.trim().is_empty() {
        let hint = format!("write it as in `{}: {}`", key.name, key.example);
        return Err(Complaint::new(format!("`{}` is an empty text", key.name)).hint(hint));
    }
    if let Some(character) = text.chars().find(|character| character.is_control()) {
        let message = format!("`{}` contains the control character {character:?}", key.name);
        return Err(Complaint::new(message).hint("in double quotes, YAML reads `\\` as an escape; regular expressions go in single quotes"));
    }
    if text.trim() != text {
        return Err(Complaint::new(format!("`{}` begins or ends with a blank", key.name)).hint(format!("write \"{}\"", text.trim())));
    }
    Ok(Content::Text(text.to_owned()))
}

/// A text of several lines. Only line breaks and tabs are let through of all that a terminal could act upon.
fn lines(key: &Key, text: &str) -> Result<Content, Complaint> {
    if text.trim().is_empty() {
        let hint = format!("write `{}: |` and the lines below it, indented", key.name);
        return Err(Complaint::new(format!("`{}` is an empty text", key.name)).hint(hint));
    }
    if let Some(character) = text.chars().find(|character| character.is_control() && !matches!(character, '\n' | '\t')) {
        let message = format!("`{}` contains the control character {character:?}", key.name);
        return Err(Complaint::new(message).hint(format!("write `{}: |` and the lines below it, indented", key.name)));
    }
    Ok(Content::Text(text.to_owned()))
}

fn age(text: &str) -> Result<Age, Complaint> {
    text.parse().map_err(|error: crate::policy::InvalidAge| split_hint(&error.to_string()))
}

fn size(text: &str) -> Result<Size, Complaint> {
    text.parse().map_err(|error: crate::policy::InvalidSize| split_hint(&error.to_string()))
}

/// Splits `what is wrong; what to write` into message and hint.
pub(super) fn split_hint(message: &str) -> Complaint {
    match message.split_once("; ") {
        Some((message, hint)) => Complaint::new(message).hint(hint),
        None => Complaint::new(message),
    }
}

fn percent(text: &str) -> Result<u64, Complaint> {
    let digits = text.strip_suffix('%').filter(|digits| !digits.starts_with('0'));
    let value = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).and_then(|digits| digits.parse::<u64>().ok());
    let complaint = || Complaint::new(format!("{text:?} is not a share")).hint("write a whole number from 1% to 100%, such as 50%");
    value.filter(|value| (1..=100).contains(value)).ok_or_else(complaint)
}

fn boolean(node: &Node, value: bool, wanted: Option<bool>) -> Result<bool, Complaint> {
    if &*node.source == "true" || &*node.source == "false" {
        return Ok(value);
    }
    let message = format!("`{}` is not written as true or false", shown(node));
    Err(Complaint::new(message).hint(format!("write `{}`", wanted.unwrap_or(value))))
}

fn wrong_only(key: &Key, wanted: bool) -> Complaint {
    let complaint = Complaint::new(format!("`{}` can only be {wanted} here", key.name));
    match (key.name, wanted) {
        ("untagged" | "orphaned", _) => complaint.hint("leave it out, and choose tags with `tags`"),
        (_, false) => complaint.hint("a lock rule closes locks; to open them write an `unlock` rule"),
        (_, true) => complaint.hint("an unlock rule opens locks; to close them write a `lock` rule"),
    }
}

fn integer(key: &Key, node: &Node, value: i128, minimum: u64, maximum: u64) -> Result<u64, Complaint> {
    let plain = node.source.strip_prefix('-').unwrap_or(&node.source);
    if !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("`{}` is not written as a plain whole number", shown(node));
        return Err(Complaint::new(message).hint(format!("write `{}: {value}`", key.name)));
    }
    let whole = u64::try_from(value).ok().filter(|whole| (minimum..=maximum).contains(whole));
    whole.ok_or_else(|| {
        let complaint = Complaint::new(format!("`{}` must be from {minimum} to {maximum}, found {value}", key.name));
        match (key.name, value) {
            ("last", 0) => complaint.hint("a keep rule that keeps nothing is no rule; leave the rule out"),
            ("except_last", 0) => complaint.hint("to spare none, leave `except_last` out and write `older_than`"),
            _ => complaint,
        }
    })
}

fn word(key: &Key, words: &[(&'static str, &'static str)], text: &str) -> Result<&'static str, Complaint> {
    if let Some((word, _)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(word);
    }
    let near = nearest(text, words.iter().map(|(word, _)| *word));
    let complaint = Complaint::new(format!("{text:?} is no value of `{}`", key.name));
    Err(complaint.hint(near.map_or_else(|| format!("write {}", meanings(words)), |near| format!("did you mean `{near}`?"))))
}

/// The words of a choice with their meanings.
fn meanings(words: &[(&str, &str)]) -> String {
    let each = |(word, meaning): &(&str, &str)| if meaning.is_empty() { format!("`{word}`") } else { format!("`{word}` ({meaning})") };
    words.iter().map(each).collect::<Vec<_>>().join(" or ")
}
