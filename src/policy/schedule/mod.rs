//! When a policy runs: a cron expression in a time zone, and the windows in which runs may begin. Resolved here, with the policies, so
//! that a wrong expression is found when the configuration is loaded; deciding what starts now is `daemon::schedule`.
//! Knows no clock: every question carries its instant.

mod civil;
mod expression;
mod window;

use jiff::tz::{TimeZone, TimeZoneTransition};
use jiff::{SignedDuration, Timestamp};

pub use expression::{Expression, InvalidExpression};
pub use window::{Closed, InvalidWindow, Window, Windows};

/// When a policy runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The times of the day, the month and the week.
    pub expression: Expression,
    /// The zone in which the expression and the windows are read.
    pub zone: TimeZone,
    /// When runs may begin.
    pub windows: Windows,
}

impl Schedule {
    /// The first scheduled time strictly after `after`; None when there is none before the year 2101. Windows have no part in it.
    ///
    /// Where the clock is set, what is meant depends on the hours of the expression:
    /// 1. A schedule of *certain* hours (`30 2 * * *`) means "once for each of these times". A time that is left out when the clock is
    ///    set forward comes at the end of the gap; several of them come there together, once. A time that the clock shows twice
    ///    comes the first time only.
    /// 2. A schedule of *every* hour (`*/30 * * * *`) means "at a steady pace". What is left out is not made up for, and both passes
    ///    of a repeated hour count.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let Self { expression, zone, windows: _ } = self;
        let every_hour = expression.is_every_hour();
        // The wall clock is walked as seconds since 1970: an instant plus the offset that holds there. Within a stretch of one offset
        // both run alike; only at its edge must it be decided what was left out or comes again.
        let mut offset = offset(zone, after);
        let mut from = floor(after) + offset;
        if !every_hour {
            from = from.max(repeated_until(zone, after) - 1);
        }
        let mut found = expression.next_civil(from)?;
        for edge in zone.following(after) {
            let at = edge.timestamp().as_second();
            if found - offset < at {
                break;
            }
            let new = i64::from(edge.offset().seconds());
            let is_left_out = found < at + new;
            if is_left_out && !every_hour {
                return Some(edge.timestamp());
            }
            let comes_again = new < offset && every_hour;
            if is_left_out || comes_again {
                found = expression.next_civil(at + new - 1)?;
            }
            offset = new;
        }
        Timestamp::from_second(found - offset).ok()
    }

    /// Whether a run may begin at this instant.
    ///
    /// # Errors
    /// The window that forbids it.
    pub fn allows(&self, instant: Timestamp) -> Result<(), Closed> {
        self.windows.allows(instant, &self.zone)
    }

    /// The first instant, this one or later, at which a run may begin. None: the end of time is near.
    pub fn opens(&self, instant: Timestamp) -> Option<Timestamp> {
        self.windows.opens(instant, &self.zone)
    }

    /// Until when runs that may begin at this instant may go on. None: none may begin now, or they may go on for ever.
    pub fn closes(&self, instant: Timestamp) -> Option<Timestamp> {
        self.windows.closes(instant, &self.zone)
    }

    /// Since when runs have been allowed to begin without a break until this instant. None: not now, or always.
    pub fn opened(&self, instant: Timestamp) -> Option<Timestamp> {
        self.windows.opened(instant, &self.zone)
    }
}

/// The second that this instant lies in, since 1970.
fn floor(instant: Timestamp) -> i64 {
    instant.as_microsecond().div_euclid(1_000_000)
}

/// What the wall clock adds to that, in seconds.
fn offset(zone: &TimeZone, instant: Timestamp) -> i64 {
    i64::from(zone.to_offset(instant).seconds())
}

/// Until when, on the wall clock, the current stretch repeats what was shown before. Long past, unless the clock was just set back.
fn repeated_until(zone: &TimeZone, instant: Timestamp) -> i64 {
    // Strictly preceding, so that an edge at this very instant is seen.
    let here = instant.checked_add(SignedDuration::from_nanos(1)).unwrap_or(instant);
    zone.preceding(here).next().map_or(i64::MIN + 1, |edge| edge.timestamp().as_second() + offset_before(zone, &edge))
}

/// The offset that an edge ended.
fn offset_before(zone: &TimeZone, edge: &TimeZoneTransition<'_>) -> i64 {
    offset(zone, edge.timestamp().checked_sub(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MIN))
}
