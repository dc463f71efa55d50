//! Reads drawn registries: lines to statements. Knows the words of the format, not what a registry makes of them.

use jiff::Timestamp;

use super::SeedError;
use crate::emulator::drawn;
use crate::emulator::words::words;
use crate::emulator::world::Locks;

/// A whole drawing.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    pub(super) now: Option<Timestamp>,
    pub(super) repositories: Vec<Block>,
}

/// A repository and the lines below it; with `repeat`, as many repositories.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) repository: Line,
    pub(super) lines: Vec<Line>,
}

/// One line as words, not yet understood: it may contain the variable of a `repeat`.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) repeat: Option<Repeat>,
    words: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Repeat {
    pub(super) count: u32,
    pub(super) variable: String,
}

/// What a line draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    Repository,
    Image,
    Index,
    Artifact,
    Tag,
}

/// One line, understood. Texts may still contain the variable of the line's own `repeat`.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) noun: Noun,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) when: Option<When>,
    pub(super) size: Option<String>,
    pub(super) platforms: Vec<String>,
    pub(super) of: Vec<String>,
    pub(super) subject: Option<String>,
    pub(super) companion: Option<(String, String)>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<String>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) locks: Locks,
    pub(super) docker: bool,
    pub(super) ghost: bool,
}

#[derive(Debug, Clone)]
pub(super) enum When {
    Age(String),
    At(String),
}

pub(super) fn drawing(text: &str) -> Result<Drawing, SeedError> {
    let mut drawing = Drawing::default();
    for (number, text) in (1..).zip(text.lines()) {
        let words = words(text).map_err(|message| SeedError { line: number, message })?;
        let Some(first) = words.first() else { continue };
        if first == "now" {
            let [_, time] = words.as_slice() else { return Err(SeedError::new(number, "`now` takes one time: now 2026-01-01T00:00:00Z")) };
            drawing.now = Some(timestamp(time).map_err(|message| SeedError { line: number, message })?);
            continue;
        }
        let line = line(number, words)?;
        let is_repository = line.words.first().is_some_and(|word| word == "repository");
        match drawing.repositories.last_mut() {
            _ if is_repository => drawing.repositories.push(Block { repository: line, lines: Vec::new() }),
            Some(block) => block.lines.push(line),
            None => return Err(SeedError::new(number, "stands in no repository: write `repository NAME` above it")),
        }
    }
    Ok(drawing)
}

fn line(number: usize, mut words: Vec<String>) -> Result<Line, SeedError> {
    let mut repeat = None;
    if words[0] == "repeat" {
        let usage = "`repeat` takes a count, a variable and a line: repeat 40 n image pr-{n} tags pr-{n} age {n}d";
        if words.len() < 4 {
            return Err(SeedError::new(number, usage));
        }
        let count = words[1].parse().ok().filter(|count| (1..=REPEAT_MAX).contains(count)).ok_or_else(|| SeedError::new(number, usage))?;
        repeat = Some(Repeat { count, variable: words[2].clone() });
        words.drain(..3);
    }
    Ok(Line { number, repeat, words })
}

/// The most that one line draws: ten million, beyond what fits in memory, so that a typing error is seen.
const REPEAT_MAX: u32 = 10_000_000;

impl Line {
    /// The line with a number in the place of a variable.
    pub(super) fn filled(&self, variable: &str, number: u32) -> Self {
        Self { words: self.words.iter().map(|word| drawn::fill(word, variable, number)).collect(), ..self.clone() }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> SeedError {
        SeedError { line: self.number, message: message.into() }
    }

    pub(super) fn item(&self) -> Result<Item, SeedError> {
        item(&self.words).map_err(|message| self.error(message))
    }
}

fn item(words: &[String]) -> Result<Item, String> {
    let mut words = Words { rest: words };
    let noun = match words.next("a word")? {
        "repository" => Noun::Repository,
        "image" => Noun::Image,
        "index" => Noun::Index,
        "artifact" => Noun::Artifact,
        "tag" => Noun::Tag,
        other => return Err(format!("{other:?} is unknown: a line starts with now, repository, image, index, artifact, tag or repeat")),
    };
    let mut item = Item {
        noun,
        name: words.next("a name")?.to_owned(),
        tags: Vec::new(),
        when: None,
        size: None,
        platforms: Vec::new(),
        of: Vec::new(),
        subject: None,
        companion: None,
        artifact_type: None,
        config: None,
        annotations: Vec::new(),
        labels: Vec::new(),
        locks: Locks::OPEN,
        docker: false,
        ghost: false,
    };
    let mut untagged = false;
    while let Some(key) = words.peek() {
        let key = key.to_owned();
        words.next("a word")?;
        let allowed = known(&key).ok_or_else(|| format!("{key:?} is unknown here: {}", usage(noun)))?;
        if !allowed.contains(&noun) {
            return Err(format!("{key:?} does not go with this kind of line: {}", usage(noun)));
        }
        match key.as_str() {
            "tags" => item.tags = words.list("tags")?,
            "untagged" => untagged = true,
            "age" => item.when = Some(When::Age(words.next("an age such as 40d")?.to_owned())),
            "at" => item.when = Some(When::At(words.next("a time such as 2026-01-01T00:00:00Z")?.to_owned())),
            "size" => item.size = Some(words.next("a size such as 120MB")?.to_owned()),
            "platform" => item.platforms = vec![words.next("a platform such as linux/arm64")?.to_owned()],
            "platforms" => item.platforms = words.list("platforms")?,
            "of" => item.of = words.list("of")?,
            "subject" => item.subject = Some(words.next("the name of an image above")?.to_owned()),
            "companion" => item.companion = Some(companion(&mut words)?),
            "type" => item.artifact_type = Some(words.next("a media type")?.to_owned()),
            "config" => item.config = Some(words.next("a media type")?.to_owned()),
            "annotation" => item.annotations.push(words.pair()?),
            "label" => item.labels.push(words.pair()?),
            "locked" => item.locks = locks(&mut words)?,
            "docker" => item.docker = true,
            "ghost" => item.ghost = true,
            _ => {}
        }
    }
    if untagged && !item.tags.is_empty() {
        return Err("is `untagged` and has `tags`: leave one of them out".to_owned());
    }
    Ok(item)
}

/// Where each word may stand; `None` for words that mean nothing.
fn known(key: &str) -> Option<&'static [Noun]> {
    use Noun::{Artifact, Image, Index, Repository, Tag};
    Some(match key {
        "locked" => &[Repository, Image, Index, Artifact, Tag],
        "age" | "at" => &[Image, Index, Artifact, Tag],
        "tags" | "untagged" | "annotation" | "ghost" => &[Image, Index, Artifact],
        "companion" => &[Image, Artifact],
        "size" | "docker" => &[Image, Index],
        "platform" | "label" | "config" => &[Image],
        "platforms" | "of" => &[Index],
        "subject" => &[Index, Artifact],
        "type" => &[Artifact],
        "oci" => &[Image, Index, Artifact],
        _ => return None,
    })
}

fn usage(noun: Noun) -> &'static str {
    match noun {
        Noun::Repository => "repository NAME [locked delete,write]",
        Noun::Image => {
            "image NAME [tags A, B | untagged] [age 3d | at TIME] [size 80MB] [platform linux/arm64] [docker] [config TYPE] [companion IMAGE [.sig]] \
             [annotation k=v] [label k=v] [locked delete,write] [ghost]"
        }
        Noun::Index => {
            "index NAME [tags A, B | untagged] [age 3d | at TIME] (platforms linux/amd64, linux/arm64 | of IMAGE, IMAGE) [size 80MB] [docker] \
             [subject IMAGE] [annotation k=v] [locked delete,write] [ghost]"
        }
        Noun::Artifact => {
            "artifact NAME type MEDIA-TYPE [subject IMAGE] [tags A, B | untagged] [age 3d | at TIME] [companion IMAGE [.sig]] [annotation k=v] \
             [locked delete,write] [ghost]"
        }
        Noun::Tag => "tag NAME [age 3d | at TIME] [locked delete,write]",
    }
}

fn companion(words: &mut Words<'_>) -> Result<(String, String), String> {
    let of = words.next("the name of an image above")?.to_owned();
    let suffix = words.next_if(|word| word.starts_with('.')).unwrap_or_default();
    Ok((of, suffix.to_owned()))
}

fn locks(words: &mut Words<'_>) -> Result<Locks, String> {
    let flag = |word: &str| word.split(',').all(|part| matches!(part, "" | "delete" | "write" | "read" | "list"));
    let mut locks = Locks::OPEN;
    let mut any = false;
    while let Some(word) = words.next_if(flag) {
        for part in word.split(',') {
            match part {
                "delete" => locks.delete = false,
                "write" => locks.write = false,
                "read" => locks.read = false,
                "list" => locks.list = false,
                _ => {}
            }
        }
        any = true;
        if !word.ends_with(',') {
            break;
        }
    }
    if any { Ok(locks) } else { Err("`locked` needs what is locked: locked delete, locked write or locked delete,write".to_owned()) }
}

struct Words<'a> {
    rest: &'a [String],
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.first().map(String::as_str)
    }

    fn next(&mut self, expected: &str) -> Result<&'a str, String> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| format!("the line ends where {expected} should stand"))?;
        self.rest = rest;
        Ok(first)
    }

    fn next_if(&mut self, condition: impl Fn(&str) -> bool) -> Option<&'a str> {
        let word = self.peek().filter(|word| condition(word))?;
        self.rest = &self.rest[1..];
        Some(word)
    }

    /// `a, b,c`: goes on as long as there are commas.
    fn list(&mut self, of: &str) -> Result<Vec<String>, String> {
        let mut list = Vec::new();
        loop {
            let word = self.next(&format!("one of the {of}"))?;
            list.extend(word.split(',').filter(|part| !part.is_empty()).map(str::to_owned));
            if !word.ends_with(',') {
                return Ok(list);
            }
        }
    }

    fn pair(&mut self) -> Result<(String, String), String> {
        let word = self.next("key=value")?;
        let (key, value) = word.split_once('=').ok_or_else(|| format!("{word:?} should be key=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    }
}

/// A time as RFC 3339 writes it.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("{text:?} is not a time: write 2026-01-01T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lists_and_comments() {
        let words = words(r#"image a tags x, y,z annotation k="a b" #c"#).unwrap();
        assert_eq!(words.last().map(String::as_str), Some("k=a b"));
        let item = item(&words).unwrap();
        assert_eq!(item.tags, ["x", "y", "z"]);
        assert_eq!(item.annotations, [("k".to_owned(), "a b".to_owned())]);
    }
}
