//! The matching of dates and times, by the `cron` crate, held at arm's length: it gets lists of numbers and a clock without zones.
//! Of its own language (weekdays from 1, six fields, both day fields together) and of its way through time zones, which can answer
//! with an instant in the past, nothing is used. The only file that knows `cron` and `chrono`.

use std::str::FromStr;

use chrono::{DateTime, Utc};

/// The fields of an expression as sets of numbers, bit by bit; in none of them is nothing set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    /// 0 to 59.
    pub(super) minutes: u64,
    /// 0 to 23.
    pub(super) hours: u64,
    /// 1 to 31.
    pub(super) days: u64,
    /// 1 to 12.
    pub(super) months: u64,
    /// 0 to 6, from Sunday.
    pub(super) weekdays: u64,
    /// Whether a day must be in both `days` and `weekdays`; else one of them is enough.
    pub(super) both_days: bool,
}

/// Every day of a month.
const ALL_DAYS: u64 = (1 << 32) - 2;
/// Every day of a week.
const ALL_WEEKDAYS: u64 = (1 << 7) - 1;

/// Tells the times on the wall clock that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CivilClock {
    /// One, or two when a day may match by the month or by the week: `cron` itself knows only "both".
    schedules: Vec<cron::Schedule>,
}

impl CivilClock {
    pub(super) fn new(fields: Fields) -> Result<Self, cron::error::Error> {
        let Fields { minutes, hours, days, months, weekdays, both_days } = fields;
        let schedule = |days: u64, weekdays: u64| {
            // It counts weekdays from 1, Sunday.
            let weekdays = weekdays << 1;
            let lists = [1, minutes, hours, days, months, weekdays].map(list).join(" ");
            cron::Schedule::from_str(&lists)
        };
        let schedules =
            if both_days { vec![schedule(days, weekdays)?] } else { vec![schedule(days, ALL_WEEKDAYS)?, schedule(ALL_DAYS, weekdays)?] };
        Ok(Self { schedules })
    }

    /// The first matching time strictly after `after`, both as seconds of the wall clock since 1970. None: none before the year 2101,
    /// where `cron` ends.
    pub(super) fn next(&self, after: i64) -> Option<i64> {
        let after = DateTime::<Utc>::from_timestamp(after, 0)?;
        self.schedules.iter().filter_map(|schedule| schedule.after(&after).next()).map(|found| found.timestamp()).min()
    }
}

/// `1,5,9` for the set bits.
fn list(set: u64) -> String {
    let numbers: Vec<String> = (0..u64::BITS).filter(|bit| set >> bit & 1 == 1).map(|bit| bit.to_string()).collect();
    numbers.join(",")
}
