//! Sizes as people write them: `500MB`, `1GiB`. Strict: a whole number and a unit, and nothing is guessed.

use std::fmt;
use std::str::FromStr;

/// A number of bytes above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// A text that is not a size, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSize(pub String);

/// Units and their bytes: powers of 1000 as registries bill them, powers of 1024 with an `i`.
const UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Size {
    /// The bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| InvalidSize(format!("{text:?} is not a size: {why}"));
        let example = "write a whole number and a unit, such as 500MB or 1GiB";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() || unit.starts_with(['.', ',', '_', ' ']) {
            return Err(invalid(&format!("no signs, fractions or blanks; {example}")));
        }
        if unit.is_empty() {
            return Err(invalid(&format!("the unit is missing; {example}")));
        }
        let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(invalid("the unit is not known; write B, kB, MB, GB or TB, or KiB, MiB, GiB or TiB"));
        };
        let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*bytes)).ok_or_else(|| invalid("it is too large"))?;
        if size == 0 {
            return Err(invalid("it must be above zero"));
        }
        Ok(Self(size))
    }
}

impl fmt::Display for Size {
    /// In the largest unit that needs no fraction.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().filter(|(name, bytes)| *name != "KB" && self.0.is_multiple_of(*bytes));
        let (name, bytes) = whole.max_by_key(|(_, bytes)| *bytes).unwrap_or(&UNITS[0]);
        write!(formatter, "{}{name}", self.0 / bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_whole_and_shown_without_fractions() {
        for (text, bytes, shown) in [
            ("500MB", 500_000_000, "500MB"),
            ("1GiB", 1_073_741_824, "1GiB"),
            ("1500kB", 1_500_000, "1500kB"),
            ("1000KB", 1_000_000, "1MB"),
            ("17B", 17, "17B"),
        ] {
            let size: Size = text.parse().expect("a size");
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown), "{text}");
        }
        for text in ["", "500", "MB", "1.5GB", "-1MB", "0MB", "500 MB", "500mb", "500M", "500Mb", "99999999999999TB", "1GB1"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
