//! Times as a registry tells them, in eight bytes: a listing holds three for each of a million images. Does not know what time it is.

use std::fmt;
use std::num::NonZeroU64;

use jiff::Timestamp;

/// ACR tells times in steps of 100 nanoseconds (seven fractional digits), as .NET counts them.
const NANOSECONDS_PER_STEP: i128 = 100;
/// Turns a signed number of steps into an unsigned one of the same order. The only number that it turns into zero lies millennia before any
/// [`Timestamp`], so zero is free to mean "none" in an [`Option`].
const SIGN: u64 = 1 << 63;

/// When something was pushed, moved or first seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(NonZeroU64);

impl From<Timestamp> for Time {
    /// A time between two steps becomes the later one: what looks younger is kept longer.
    fn from(time: Timestamp) -> Self {
        let nanoseconds = time.as_nanosecond();
        let steps = nanoseconds.div_euclid(NANOSECONDS_PER_STEP) + i128::from(nanoseconds.rem_euclid(NANOSECONDS_PER_STEP) != 0);
        // Ten thousand years are a fifth of what fits.
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        Self(NonZeroU64::new(steps.cast_unsigned() ^ SIGN).unwrap_or(NonZeroU64::MAX))
    }
}

impl From<Time> for Timestamp {
    fn from(Time(steps): Time) -> Self {
        let steps = (steps.get() ^ SIGN).cast_signed();
        Self::from_nanosecond(i128::from(steps) * NANOSECONDS_PER_STEP).unwrap_or(Self::MAX)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Timestamp::from(*self), formatter)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Timestamp::from(*self), formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn what_a_registry_tells_comes_back_as_it_was() {
        assert_eq!(size_of::<Option<Time>>(), 8);
        for text in ["2020-03-26T10:09:31.1234567Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(Timestamp::from(Time::from(time(text))), time(text));
        }
        for extreme in [Timestamp::MIN, Timestamp::MAX] {
            let there_and_back = Timestamp::from(Time::from(extreme));
            assert!(there_and_back.duration_since(extreme).abs() < jiff::SignedDuration::from_micros(1), "{there_and_back}");
        }
    }

    #[test]
    fn the_order_is_that_of_time_and_between_two_steps_it_is_the_later() {
        let sorted = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2026-01-01T00:00:00.0000001Z"].map(time);
        assert!(sorted.map(Time::from).is_sorted());
        assert_eq!(Time::from(time("2026-01-01T00:00:00.000000101Z")), Time::from(time("2026-01-01T00:00:00.0000002Z")));
        assert_eq!(Time::from(time("1969-12-31T23:59:59.000000101Z")), Time::from(time("1969-12-31T23:59:59.0000002Z")));
    }
}
