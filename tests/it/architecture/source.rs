//! Reads Rust source as far as the architecture test must: words, strings and paths with their lines, without comments and without
//! what is compiled for tests only. Knows no rules.

/// One word, sign or string of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Word(String),
    Sign(char),
    Text(String),
}

/// A path as it is written, groups taken apart: `use a::{b, c::d}` is `a::b` and `a::c::d`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) line: usize,
    pub(super) segments: Vec<String>,
    /// The inline modules it is written in, outermost first.
    pub(super) inside: Vec<String>,
}

impl Token {
    pub(super) fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    pub(super) fn word(&self) -> Option<&str> {
        if let Kind::Word(word) = &self.kind { Some(word) } else { None }
    }
}

/// The tokens of a file that are part of the program, and the names of the files that it declares for tests only.
pub(super) fn read(source: &str) -> (Vec<Token>, Vec<String>) {
    without_tests(tokens(source))
}

/// Comments are left out; lifetimes and characters too, since no rule is about them.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let characters: Vec<char> = source.chars().collect();
    let at = |place: usize| characters.get(place).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut place, mut line) = (0, 1);
    while place < characters.len() {
        let start = place;
        let first_line = line;
        let kind = match at(place) {
            '/' if at(place + 1) == '/' => {
                while place < characters.len() && at(place) != '\n' {
                    place += 1;
                }
                None
            }
            '/' if at(place + 1) == '*' => {
                place = block_comment_end(&characters, place);
                None
            }
            '"' => {
                place = string_end(&characters, place);
                Some(Kind::Text(characters[start + 1..place - 1].iter().collect()))
            }
            '\'' => {
                place = quote_end(&characters, place);
                None
            }
            character if is_word(character) => {
                while is_word(at(place)) {
                    place += 1;
                }
                let word: String = characters[start..place].iter().collect();
                let hashes = (place..).take_while(|place| at(*place) == '#').count();
                if word.ends_with('r') && word.len() <= 2 && at(place + hashes) == '"' {
                    let (text, end) = raw_string(&characters, place, hashes);
                    place = end;
                    Some(Kind::Text(text))
                } else {
                    Some(Kind::Word(word))
                }
            }
            character => {
                place += 1;
                (!character.is_whitespace()).then_some(Kind::Sign(character))
            }
        };
        line += characters[start..place].iter().filter(|character| **character == '\n').count();
        tokens.extend(kind.map(|kind| Token { line: first_line, kind }));
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn block_comment_end(characters: &[char], mut place: usize) -> usize {
    let mut depth = 0_usize;
    while place < characters.len() {
        match characters[place..] {
            ['/', '*', ..] => {
                depth += 1;
                place += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                place += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => place += 1,
        }
    }
    place
}

/// Behind the closing quote of the string that opens at `place`.
fn string_end(characters: &[char], place: usize) -> usize {
    let mut place = place + 1;
    while place < characters.len() && characters[place] != '"' {
        place += if characters[place] == '\\' { 2 } else { 1 };
    }
    characters.len().min(place + 1)
}

/// Behind the character or the quote of the lifetime at `place`.
fn quote_end(characters: &[char], place: usize) -> usize {
    match characters[place..] {
        [_, '\\', ..] => {
            let close = (place + 3..characters.len()).find(|place| characters[*place] == '\'');
            close.map_or(characters.len(), |close| close + 1)
        }
        [_, _, '\'', ..] => place + 3,
        _ => place + 1,
    }
}

/// The text and the end of the raw string whose hashes begin at `place`.
fn raw_string(characters: &[char], place: usize, hashes: usize) -> (String, usize) {
    let start = place + hashes + 1;
    let closes =
        |place: &usize| characters[*place] == '"' && characters[place + 1..].iter().take_while(|sign| **sign == '#').count() >= hashes;
    let end = (start..characters.len()).find(closes).unwrap_or(characters.len());
    (characters[start..end].iter().collect(), characters.len().min(end + 1 + hashes))
}

/// Takes out every item behind `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let attribute = self::tokens("#[cfg(test)]");
    let begins = |place: usize| {
        let window = tokens.get(place..place + attribute.len());
        window.is_some_and(|window| window.iter().zip(&attribute).all(|(token, sample)| token.kind == sample.kind))
    };
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut place = 0;
    while place < tokens.len() {
        if !begins(place) {
            kept.push(tokens[place].clone());
            place += 1;
            continue;
        }
        place += attribute.len();
        let item = &tokens[place..];
        if let [keyword, name, end, ..] = item
            && keyword.word() == Some("mod")
            && end.is_sign(';')
        {
            modules.extend(name.word().map(str::to_owned));
        }
        place += item_length(item);
    }
    (kept, modules)
}

/// An item ends with its first `;` outside brackets or with the bracket that closes its body.
fn item_length(item: &[Token]) -> usize {
    let mut depth = 0_i32;
    for (place, token) in item.iter().enumerate() {
        match token.kind {
            Kind::Sign('{' | '(' | '[') => depth += 1,
            Kind::Sign(close @ ('}' | ')' | ']')) => {
                depth -= 1;
                // `use a::{b};` goes on after its group.
                let goes_on = item.get(place + 1).is_some_and(|next| next.is_sign(';'));
                if depth == 0 && close == '}' && !goes_on {
                    return place + 1;
                }
            }
            Kind::Sign(';') if depth == 0 => return place + 1,
            Kind::Sign(_) | Kind::Word(_) | Kind::Text(_) => {}
        }
    }
    item.len()
}

/// Every path of at least two segments.
pub(super) fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut inside: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    let mut place = 0;
    while place < tokens.len() {
        match &tokens[place..] {
            [keyword, name, open, ..] if keyword.word() == Some("mod") && open.is_sign('{') => {
                inside.push((name.word().unwrap_or_default().to_owned(), depth));
                place += 2;
            }
            [open, ..] if open.is_sign('{') => {
                depth += 1;
                place += 1;
            }
            [close, ..] if close.is_sign('}') => {
                depth = depth.saturating_sub(1);
                inside.pop_if(|(_, outer)| *outer == depth);
                place += 1;
            }
            [head, first, second, ..] if head.word().is_some() && first.is_sign(':') && second.is_sign(':') => {
                let mut found = Vec::new();
                let start = place;
                place = path(tokens, place, &[], &mut found);
                let inside: Vec<String> = inside.iter().map(|(name, _)| name.clone()).collect();
                paths.extend(found.into_iter().map(|(line, segments)| Path { line, segments, inside: inside.clone() }));
                assert!(start < place, "a path has at least one token");
            }
            _ => place += 1,
        }
    }
    paths
}

/// Reads the path at `place` behind `prefix`, adds it (or its group's members) to `found` and says where it ends.
fn path(tokens: &[Token], mut place: usize, prefix: &[String], found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut segments = prefix.to_vec();
    let Some(line) = tokens.get(place).map(|token| token.line) else { return place };
    loop {
        match tokens.get(place) {
            Some(token) if token.is_sign('{') => {
                place += 1;
                while tokens.get(place).is_some_and(|token| !token.is_sign('}')) {
                    let is_alias = tokens[place - 1].word() == Some("as");
                    let is_member = tokens[place].word().is_some_and(|word| word != "as") || tokens[place].is_sign('{');
                    place = if is_member && !is_alias { path(tokens, place, &segments, found) } else { place + 1 };
                }
                return place + 1;
            }
            Some(Token { kind: Kind::Word(word), .. }) => {
                segments.push(word.clone());
                place += 1;
            }
            Some(_) | None => break,
        }
        match &tokens[place..] {
            [first, second, ..] if first.is_sign(':') && second.is_sign(':') => place += 2,
            _ => break,
        }
    }
    found.push((line, segments));
    place
}
