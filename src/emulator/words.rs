//! Lines as words: the letters of every small text format of the emulator. Knows none of their words.

/// The words of a line. A comment starts with `#` at the start of a word; double quotes hold blanks together; a word that begins with a single
/// quote goes on to the next one and may hold double quotes, as JSON does.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    loop {
        while characters.next_if(|character| character.is_whitespace()).is_some() {}
        if matches!(characters.peek(), None | Some('#')) {
            return Ok(words);
        }
        let mut word = String::new();
        if characters.next_if_eq(&'\'').is_some() {
            word.extend(std::iter::from_fn(|| characters.next_if(|character| *character != '\'')));
            if characters.next().is_none() {
                return Err(UNCLOSED.to_owned());
            }
            words.push(word);
            continue;
        }
        let mut quoted = false;
        while let Some(character) = characters.next_if(|character| quoted || !character.is_whitespace()) {
            match character {
                '"' => quoted = !quoted,
                other => word.push(other),
            }
        }
        if quoted {
            return Err(UNCLOSED.to_owned());
        }
        words.push(word);
    }
}

const UNCLOSED: &str = "a quotation mark is not closed";

/// What is wrong with a line, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct LineError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}
