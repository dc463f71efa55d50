//! Which texts are repository names and tags: the routes match nothing else, and what does not match gets a plain 404 before any challenge.

/// The longest repository name.
const REPOSITORY_LENGTH_MAX: usize = 256;
/// The longest tag.
const TAG_LENGTH_MAX: usize = 128;

/// `[a-z0-9]+([._-]…[a-z0-9]+)*` in each part between slashes: one dot, one or two underscores, or any number of dashes.
pub(crate) fn is_repository(name: &str) -> bool {
    name.len() <= REPOSITORY_LENGTH_MAX && name.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let separators_right = component
        .split(|character: char| character.is_ascii() && is_word(character as u8))
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'));
    is_word(*first) && is_word(*last) && separators_right
}

/// `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
pub(crate) fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    let first_right = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    tag.len() <= TAG_LENGTH_MAX && first_right && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_distribution_grammar() {
        for name in ["a", "library/hello-world", "a--b", "a__b", "a.b_c-d/0"] {
            assert!(is_repository(name), "{name}");
        }
        for name in ["", "A", "a//b", "/a", "a/", "-a", "a..b", "a___b", "a.-b", "ü", "a b", "_catalog"] {
            assert!(!is_repository(name), "{name}");
        }
        assert!(is_tag("_v1.0-x") && !is_tag("-a") && !is_tag("a:b") && !is_tag("") && !is_tag(&"a".repeat(129)));
    }
}
