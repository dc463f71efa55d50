//! Days, weeks, months and years on the calendar of a time zone: what `daily`, `weekly`, `monthly` and `yearly` count in.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A kind of calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From midnight to midnight on the wall clock, be it 23, 24 or 25 hours.
    Day,
    /// A week of ISO 8601: from Monday; the first of a year is the one with its first Thursday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// One period of a kind: later ones are larger. Numbers of different kinds do not compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeriodNumber {
    year: i16,
    within: i16,
}

impl Period {
    /// All kinds, the finest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// The period that the instant lies in.
    pub fn of(self, instant: Timestamp, zone: &TimeZone) -> PeriodNumber {
        self.of_date(zone.to_datetime(instant).date())
    }

    fn of_date(self, date: Date) -> PeriodNumber {
        match self {
            Self::Day => PeriodNumber { year: date.year(), within: date.day_of_year() },
            Self::Week => {
                let week = date.iso_week_date();
                PeriodNumber { year: week.year(), within: i16::from(week.week()) }
            }
            Self::Month => PeriodNumber { year: date.year(), within: i16::from(date.month()) },
            Self::Year => PeriodNumber { year: date.year(), within: 0 },
        }
    }

    /// As in "of the last 7 days".
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Day => "days",
            Self::Week => "weeks",
            Self::Month => "months",
            Self::Year => "years",
        }
    }

    /// As in "the newest of each day".
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(period: Period, zone: &str, one: &str, two: &str) -> bool {
        let zone = TimeZone::get(zone).expect("a zone");
        let of = |text: &str| period.of(text.parse().expect("a time"), &zone);
        assert!(of(one) <= of(two), "{one} {two}");
        of(one) == of(two)
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        for (one, two, expected) in [
            // 2026 begins on a Thursday: its first week began on Monday 29 December 2025.
            ("2025-12-29T00:00:00Z", "2026-01-04T23:59:59Z", true),
            ("2025-12-28T23:59:59Z", "2025-12-29T00:00:00Z", false),
            // 2027 begins on a Friday: 1 to 3 January belong to week 53 of 2026.
            ("2026-12-28T00:00:00Z", "2027-01-03T23:59:59Z", true),
            ("2027-01-03T23:59:59Z", "2027-01-04T00:00:00Z", false),
        ] {
            assert_eq!(same(Period::Week, "UTC", one, two), expected, "{one} {two}");
        }
        assert!(!same(Period::Year, "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"));
        assert!(!same(Period::Month, "UTC", "2026-01-31T00:00:00Z", "2027-01-31T00:00:00Z"));
    }

    #[test]
    fn days_are_those_of_the_wall_clock() {
        for (zone, one, two, expected) in [
            // 29 March 2026 has 23 hours in Berlin, 25 October 25.
            ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", true),
            ("Europe/Berlin", "2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", false),
            ("Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z", false),
            ("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", true),
            ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", false),
            // A year ends at another instant elsewhere.
            ("Pacific/Auckland", "2026-12-31T10:59:59Z", "2026-12-31T11:00:00Z", false),
            ("America/New_York", "2026-12-31T10:59:59Z", "2026-12-31T11:00:00Z", true),
        ] {
            assert_eq!(same(Period::Day, zone, one, two), expected, "{zone} {one} {two}");
        }
    }
}
