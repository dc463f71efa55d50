//! Lengths of time and sizes as people write them, with their units. Knows no formats around them.

use std::str::FromStr;

use jiff::SignedDuration;

/// `40d`, `1w2d`, `36h`, `90m`, `10s`; days have 24 hours.
pub(crate) fn age(text: &str) -> Result<SignedDuration, String> {
    let units = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let seconds = quantities(text, |unit| units.iter().find(|(name, _)| unit.chars().eq([*name])).map(|(_, seconds)| *seconds));
    let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok());
    seconds.map(SignedDuration::from_secs).ok_or_else(|| format!("{text:?} is not an age: write 40d, 36h, 90m, 10s or 1w2d"))
}

/// `120MB`, `4KiB`, `17B`.
pub(crate) fn size_bytes(text: &str) -> Result<u64, String> {
    let units = [("B", 1), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let bytes = quantities(text, |unit| units.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes));
    bytes.ok_or_else(|| format!("{text:?} is not a size: write 120MB, 4KiB or 17B"))
}

/// A length of time on the command line or in a script of faults: `30ms`, `2s`, `1m30s`, `10d`, or `0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub SignedDuration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let milliseconds = quantities(text, |unit| units.iter().find(|(name, _)| *name == unit).map(|(_, milliseconds)| *milliseconds));
        let milliseconds = milliseconds.and_then(|milliseconds| i64::try_from(milliseconds).ok());
        let span = milliseconds.map(|milliseconds| Self(SignedDuration::from_millis(milliseconds)));
        span.ok_or_else(|| format!("{text:?} is not a length of time: write 30ms, 2s, 1m30s or 10d"))
    }
}

/// A [`Span`] with a sign: `10m`, `-10m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedSpan(pub SignedDuration);

impl FromStr for SignedSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('-') {
            Some(text) => text.parse().map(|Span(span)| Self(SignedDuration::ZERO - span)),
            None => text.parse().map(|Span(span)| Self(span)),
        }
    }
}

/// Numbers, each followed by its unit, added up.
fn quantities(text: &str, unit: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        total = total.checked_add(number.checked_mul(unit(&rest[..letters])?)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_units() {
        assert_eq!(age("1w2d").map(|age| age.as_secs()), Ok(9 * 86_400));
        assert_eq!(size_bytes("4KiB"), Ok(4096));
        for text in ["", "40", "d", "4x", "-1d", "1.5d", "99999999999999999999d"] {
            assert!(age(text).is_err(), "{text}");
        }
        assert!(size_bytes("3mb").is_err());
        assert_eq!("1m30ms".parse(), Ok(Span(SignedDuration::from_millis(60_030))));
        assert!("30".parse::<Span>().is_err());
    }
}
