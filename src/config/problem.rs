//! What is wrong with the files, all of it, in words for whoever edits them: as text with the line and a caret, as JSON, and as
//! annotations. Does not know what makes a file wrong.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::layout::paragraph;

/// How far the further lines of a message are indented, in columns.
const MESSAGE_INDENT: usize = 4;
/// Most problems that are reported: whoever has more repairs one kind at a time.
pub(super) const PROBLEMS_MAX: usize = 200;
/// Most characters of a source line that are shown.
const LINE_SHOWN_MAX: usize = 72;

/// Where something is written, counted from one, in characters. Line zero: the file as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
}

/// Where something is written, and the keys that lead there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where in the file.
    pub place: Place,
    /// Such as `policies[0].rules[2]`.
    pub path: String,
}

/// What is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Where in the file.
    pub place: Place,
    /// The keys that lead there, such as `policies[0].rules[2].delete.older_than`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The stable name of the warning that this is; None: an error.
    pub warning: Option<&'static str>,
    /// The line of the file, for display.
    line: Option<String>,
}

/// Everything that is wrong with the files: at least one problem, in the order of files, lines and columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    list: Vec<Problem>,
    /// Whether there were more than are listed.
    more: bool,
}

/// A file being read: its name for messages and its text.
#[derive(Debug, Clone)]
pub struct Source {
    /// As it is shown.
    pub name: Arc<str>,
    /// Without a byte order mark.
    pub text: Arc<str>,
}

impl Source {
    /// A file's name and text. A leading byte order mark is dropped.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.strip_prefix('\u{feff}').unwrap_or(text).into() }
    }

    /// A problem with what is written at a mark of this file.
    pub fn complain(&self, mark: &Mark, message: &str, hint: Option<&str>) -> Problem {
        let complaint = Complaint { message: message.to_owned(), hint: hint.map(str::to_owned) };
        self.problem(mark.place, &mark.path, complaint)
    }

    /// The place of a line, counted from one, of a text of several lines that is written at a mark: where it stands when the text is a
    /// block (`|`), else where the text begins.
    pub(super) fn within(&self, mark: &Mark, text: &str, line: usize) -> Mark {
        // A block begins with its first line that is not blank, below its header.
        let above = (1..mark.place.line).rev().map(|number| source_line(&self.text, number).trim_end()).find(|line| !line.is_empty());
        if !above.is_some_and(|header| header.trim_end_matches(['-', '+']).ends_with('|')) {
            return mark.clone();
        }
        let blank = text.chars().take_while(|character| *character == '\n').count();
        let number = (mark.place.line + line).saturating_sub(blank + 1);
        let written = source_line(&self.text, number);
        let column = 1 + written.chars().take_while(|character| character.is_whitespace()).count();
        let length = written.trim().chars().count().max(1);
        Mark { place: Place { line: number, column, length }, path: mark.path.clone() }
    }

    /// Adds a problem, unless the same is said of the same place already: what defaults and aliases repeat is wrong once.
    pub(super) fn report(&self, place: Place, path: &str, complaint: Complaint, problems: &mut Vec<Problem>) {
        let is_known = |known: &Problem| known.file == self.name && known.place == place && known.message == complaint.message;
        if !problems.iter().any(is_known) {
            problems.push(self.problem(place, path, complaint));
        }
    }

    pub(super) fn problem(&self, place: Place, path: &str, complaint: Complaint) -> Problem {
        let Complaint { message, hint } = complaint;
        let line = (0 < place.line).then(|| without_secrets(source_line(&self.text, place.line)));
        Problem { file: self.name.clone(), place, path: path.to_owned(), message, hint, warning: None, line }
    }
}

impl Problem {
    /// The same, told as a warning with this stable name.
    pub(super) fn into_warning(self, name: &'static str) -> Self {
        Self { warning: Some(name), ..self }
    }

    /// A problem with a file as a whole.
    pub(super) fn of_file(file: &str, complaint: Complaint) -> Self {
        let Complaint { message, hint } = complaint;
        Self { file: file.into(), place: Place::default(), path: String::new(), message, hint, warning: None, line: None }
    }
}

impl Problems {
    /// Sorts them and drops repetitions (an alias repeats what is wrong with its value); None when there are none.
    pub(super) fn collect(problems: Vec<Problem>) -> Option<Self> {
        let mut problems = problems;
        let more = PROBLEMS_MAX < problems.len();
        problems.truncate(PROBLEMS_MAX);
        problems.sort_by(|left, right| {
            (&left.file, left.place, left.warning, &left.message).cmp(&(&right.file, right.place, right.warning, &right.message))
        });
        problems.dedup_by(|right, left| {
            (&left.file, left.place, left.warning, &left.message) == (&right.file, right.place, right.warning, &right.message)
        });
        (!problems.is_empty()).then_some(Self { list: problems, more })
    }

    /// What is wrong, when anything is.
    pub fn of(problems: Vec<Problem>) -> Option<Self> {
        Self::collect(problems)
    }

    /// In the order of files, lines and columns.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many, such as `5 problems in 2 files`.
    pub fn summary(&self) -> String {
        let files: BTreeSet<&str> = self.list.iter().map(|problem| &*problem.file).collect();
        let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let more = if self.more { "more than " } else { "" };
        let warnings = self.list.iter().all(|problem| problem.warning.is_some());
        let noun = if warnings { "warning" } else { "problem" };
        format!("{more}{} in {}", count(self.list.len(), noun), count(files.len(), "file"))
    }

    /// The first of them in one line, such as `teams/a.yaml:3:5: …`, and how many more there are.
    pub fn brief(&self) -> String {
        let Some(Problem { file, place, message, .. }) = self.list.first() else { return String::new() };
        let at = if place.line == 0 { String::new() } else { format!("{}:{}:", place.line, place.column) };
        let more = match (self.list.len() - 1, self.more) {
            (0, _) => String::new(),
            (more, false) => format!(", and {more} more"),
            (more, true) => format!(", and more than {more} more"),
        };
        printable(&format!("{file}:{at} {message}{more}"))
    }

    /// For programs: a list of `{"warning", "file", "line", "column", "path", "message", "hint"}`, with the stable name of each warning.
    pub fn to_json_warnings(&self) -> Value {
        let mut list = self.to_json()["problems"].take();
        for (value, problem) in list.as_array_mut().into_iter().flatten().zip(&self.list) {
            value["warning"] = json!(problem.warning);
        }
        list
    }

    /// For programs: `{"problems": [{"file", "line", "column", "path", "message", "hint"}]}`; line and column are null for a file as a
    /// whole.
    pub fn to_json(&self) -> Value {
        let number = |number: usize| (0 < number).then_some(number);
        let problems = self.list.iter().map(|problem| {
            let Problem { file, place, path, message, hint, warning: _, line: _ } = problem;
            json!({
                "file": &**file, "line": number(place.line), "column": number(place.column),
                "path": path, "message": message, "hint": hint,
            })
        });
        json!({ "problems": problems.collect::<Vec<_>>() })
    }

    /// For GitHub Actions: one `::error …` or `::warning …` line for each problem, which the platform shows beside the line of the file.
    pub fn to_github(&self) -> String {
        let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
        let lines = self.list.iter().map(|problem| {
            let Problem { file, place, path: _, message, hint, warning, line: _ } = problem;
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            let (file, words) = (property(file), data(&format!("{message}{hint}")));
            let (level, title) = warning.map_or_else(|| ("error", String::new()), |name| ("warning", format!(",title={name}")));
            format!("::{level} file={file},line={},col={}{title}::{words}\n", place.line.max(1), place.column.max(1))
        });
        lines.collect()
    }
}

/// For a terminal, folded. The alternate form (`{:#}`) leaves sentences whole: in a log people search for them.
impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            problem.fmt(formatter)?;
            writeln!(formatter)?;
        }
        write!(formatter, "{}", self.summary())
    }
}

/// As [`Problems`] are shown.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_whole = formatter.alternate();
        let sentence = |head: &str, indent: usize, text: &str| {
            if is_whole { format!("{head}{text}\n") } else { paragraph(head, indent, text) }
        };
        let Self { file, place, path, message, hint, warning, line } = self;
        let (file, message) = (printable(file), printable(message));
        let level = warning.map_or_else(|| "error".to_owned(), |name| format!("warning[{name}]"));
        let place_shown = if place.line == 0 { String::new() } else { format!("{}:{}:", place.line, place.column) };
        formatter.write_str(&sentence(&format!("{file}:{place_shown} {level}: "), MESSAGE_INDENT, &message))?;
        let margin = if place.line == 0 { 0 } else { place.line.to_string().len() };
        if let Some(line) = line {
            let (shown, caret_column) = crop(line, place.column.saturating_sub(1));
            let room = shown.chars().count().saturating_sub(caret_column).max(1);
            let carets = "^".repeat(place.length.clamp(1, room));
            writeln!(formatter, "{:margin$} |", "")?;
            writeln!(formatter, "{} | {shown}", place.line)?;
            writeln!(formatter, "{:margin$} | {:caret_column$}{carets}", "", "")?;
        }
        if !path.is_empty() {
            formatter.write_str(&sentence(&format!("{:margin$} = at ", ""), margin + " = at ".len(), &printable(path)))?;
        }
        if let Some(hint) = hint {
            formatter.write_str(&sentence(&format!("{:margin$} = hint: ", ""), margin + " = hint: ".len(), &printable(hint)))?;
        }
        Ok(())
    }
}

/// The line of that number, without its break; empty past the end. YAML ends a line at `\n`, `\r\n` and `\r`.
pub(super) fn source_line(text: &str, number: usize) -> &str {
    let mut rest = text;
    for _ in 1..number {
        let Some(end) = rest.find(['\n', '\r']) else { return "" };
        let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
    rest.split(['\n', '\r']).next().unwrap_or_default()
}

/// A window of the line around the column, without anything that a terminal would act upon, and the column within it.
fn crop(line: &str, column: usize) -> (String, usize) {
    let characters: Vec<char> = printable(line).chars().collect();
    let start = if characters.len() <= LINE_SHOWN_MAX { 0 } else { column.saturating_sub(LINE_SHOWN_MAX / 2) };
    let start = start.min(characters.len());
    let end = characters.len().min(start + LINE_SHOWN_MAX);
    let mut shown: String = characters[start..end].iter().collect();
    if end < characters.len() {
        shown.pop();
        shown.push('…');
    }
    if 0 < start {
        shown = std::iter::once('…').chain(shown.chars().skip(1)).collect();
    }
    (shown.trim_end().to_owned(), column.saturating_sub(start))
}

/// Hides what someone wrote where no secret belongs: problems are printed to logs. One for one, so that columns stay.
fn without_secrets(line: &str) -> String {
    let mut characters: Vec<char> = line.chars().collect();
    let lower: Vec<char> = line.chars().map(|character| character.to_ascii_lowercase()).collect();
    let mut hide = |start: usize, end: &dyn Fn(char) -> bool| {
        for character in
            characters.iter_mut().skip(start).skip_while(|character| **character == ' ').take_while(|character| !end(**character))
        {
            *character = '*';
        }
    };
    for word in ["password", "secret", "token"] {
        let colon: Vec<char> = format!("{word}:").chars().collect();
        for (start, _) in lower.windows(colon.len()).enumerate().filter(|(_, window)| *window == colon) {
            hide(start + colon.len(), &|character| ",}".contains(character));
        }
    }
    // User and password of a URL.
    let authority = lower.windows(3).position(|window| window == [':', '/', '/']).map(|start| start + 3);
    let at = authority.and_then(|start| lower.iter().skip(start).position(|character| *character == '@'));
    if let (Some(start), Some(_)) = (authority, at) {
        hide(start, &|character| character == '@');
    }
    characters.into_iter().collect()
}

/// Replaces control characters and those that reorder text, one for one, so that columns stay.
fn printable(text: &str) -> String {
    let hidden = |character: char| {
        character.is_control() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|character| {
            if character == '\t' {
                ' '
            } else if hidden(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}
