//! The value of `--at`: a time, or a length of time from now. Asks no clock.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::policy::Age;

/// A time as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// `2026-01-01T00:00:00Z`.
    At(Timestamp),
    /// `+30d`.
    In(SignedDuration),
}

impl When {
    /// The time that is meant, seen from `now`. Beyond the end of time, the end.
    pub(super) fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(ahead) => now.checked_add(ahead).unwrap_or(Timestamp::MAX),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(ahead) = text.strip_prefix('+') {
            return ahead.parse::<Age>().map(|age| Self::In(age.duration())).map_err(|error| error.to_string());
        }
        let example = "write a time, such as 2026-01-01T00:00:00Z, or how far ahead, such as +30d";
        text.parse().map(Self::At).map_err(|_| format!("{text:?} is not a time; {example}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_ahead() {
        let now = Timestamp::UNIX_EPOCH;
        let seen = |text: &str| text.parse::<When>().map(|when| when.seen_from(now).as_second());
        assert_eq!(seen("+30d"), Ok(30 * 86_400));
        assert_eq!(seen("1970-01-02T00:00:00Z"), Ok(86_400));
        for bad in ["30d", "+", "+-1d", "+1.5d", "tomorrow", "2026-01-01", "+999999999d"] {
            assert!(seen(bad).is_err(), "{bad}");
        }
    }
}
