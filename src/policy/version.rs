//! Versions in tags and the natural order of names. Does not know what a rule does with them.

use std::cmp::Ordering;

use semver::Version;

/// Reads `1.2.3` or `v1.2.3`, with pre-release; build metadata cannot occur, `+` is no tag character.
/// Anything shorter (`1.4`) or decorated (`1.4.2-alpine` reads as a pre-release) is a matter for `regex` with captures.
pub fn read_version(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// Compares names with their runs of digits as numbers: `pr-9` before `pr-10`. A total order: names that differ in nothing
/// but leading zeros are told apart as text.
pub fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut left_rest, mut right_rest) = (left.as_bytes(), right.as_bytes());
    loop {
        let (Some(left_byte), Some(right_byte)) = (left_rest.first(), right_rest.first()) else {
            return left_rest.len().cmp(&right_rest.len()).then_with(|| left.cmp(right));
        };
        let order = if left_byte.is_ascii_digit() && right_byte.is_ascii_digit() {
            let (left_number, right_number) = (take_number(&mut left_rest), take_number(&mut right_rest));
            left_number.len().cmp(&right_number.len()).then_with(|| left_number.cmp(right_number))
        } else {
            (left_rest, right_rest) = (&left_rest[1..], &right_rest[1..]);
            left_byte.cmp(right_byte)
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Splits the leading digits off, without their leading zeros.
fn take_number<'text>(rest: &mut &'text [u8]) -> &'text [u8] {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, tail) = rest.split_at(length);
    *rest = tail;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_compare_as_numbers() {
        let mut names = ["pr-10", "pr-9", "pr-9a", "pr", "pr-010", "1.10.0", "1.9.0", "a", "B"];
        names.sort_by(|left, right| natural_order(left, right));
        assert_eq!(names, ["1.9.0", "1.10.0", "B", "a", "pr", "pr-9", "pr-9a", "pr-010", "pr-10"]);
    }

    #[test]
    fn versions_are_whole() {
        assert!(read_version("v1.2.3-rc.1").is_some());
        for text in ["1.2", "v1", "1.2.3.4", "01.2.3", "vv1.2.3", "latest"] {
            assert!(read_version(text).is_none(), "{text}");
        }
    }
}
