//! Ages as people write them: `30d`, `12h`, `1w2d`, `P30D`. Strict: the whole text must be read, and nothing is guessed.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// A length of time above zero, in whole seconds, of at most a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(SignedDuration);

/// The longest age: beyond it a number is a mistake, not a wish.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24 * 365 * 100);

/// A text that is not an age, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAge(pub String);

impl Age {
    /// The length of time.
    pub const fn duration(self) -> SignedDuration {
        self.0
    }
}

impl FromStr for Age {
    type Err = InvalidAge;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| InvalidAge(format!("{text:?} is not an age: {why}"));
        let example = "write a number and a unit, such as 30d, 12h or 1w2d";
        if text.bytes().any(|byte| !byte.is_ascii_alphanumeric()) {
            return Err(invalid(&format!("no signs, fractions or blanks; {example}")));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(&format!("the unit is missing; {example}")));
        }
        let number = text.trim_end_matches('M');
        if number.len() < text.len() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("M could be months or minutes; write days, such as 30d"));
        }
        let iso = text.starts_with(['P', 'p']);
        if !iso && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid(&format!("units are written in lower case; {example}")));
        }
        let span: Span = text.parse().map_err(|_| invalid(example))?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(invalid("months and years have no fixed length; write days, such as 30d or 365d"));
        }
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| invalid("it is too long"))?;
        if duration.subsec_nanos() != 0 {
            return Err(invalid("the smallest unit is a second"));
        }
        if duration.is_zero() || duration.is_negative() {
            return Err(invalid("it must be above zero"));
        }
        if AGE_MAX < duration {
            return Err(invalid("it is longer than a hundred years"));
        }
        Ok(Self(duration))
    }
}

impl fmt::Display for Age {
    /// Largest units first, without zeros: `1w2d` is shown as `9d`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seconds = self.0.as_secs();
        for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if length <= seconds {
                write!(formatter, "{}{unit}", seconds / length)?;
                seconds %= length;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_whole() {
        for (text, seconds) in [
            ("30d", 2_592_000),
            ("12h", 43_200),
            ("1w2d", 777_600),
            ("P30D", 2_592_000),
            ("PT36H", 129_600),
            ("90m", 5_400),
            ("30days", 2_592_000),
        ] {
            assert_eq!(text.parse::<Age>().map(|age| age.duration().as_secs()), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_other_tools_read_as_everything_or_nothing_is_refused() {
        let bad = [
            "",
            "d",
            "xd",
            "days",
            "30",
            "-30d",
            "0d",
            "PT0S",
            "1.5d",
            "1M",
            "1mo",
            "1y",
            "P1Y",
            "1w 2d",
            "30D",
            "3d ago",
            "999999999999d",
            "40000d",
            "5ms",
            "1d1",
        ];
        for text in bad {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
