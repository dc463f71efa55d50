//! Windows of time in which runs may or may not begin and go on, such as `22:00-05:00` or `Mon-Fri 08:00-18:00`, on the wall clock of a zone.
//! Does not know what happens to a run outside of them; that is `daemon::schedule`.

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{floor, offset, offset_before};

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;
/// Minutes of a week.
const WEEK_MINUTES: i64 = 7 * DAY_MINUTES as i64;
/// Monday's midnight before 1970 began, in minutes: that was on a Thursday.
const FIRST_MONDAY: i64 = -3 * DAY_MINUTES as i64;
/// Most characters of a window that a message repeats.
const SHOWN_MAX: usize = 60;
/// What good windows look like.
const EXAMPLE: &str = "write \"22:00-05:00\", \"Mon-Fri 08:00-18:00\" or \"Sat-Sun\"";

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const ALL_WEEKDAYS: u8 = (1 << 7) - 1;

/// A part of every day, or of some days of the week; one that crosses midnight belongs to the day on which it begins.
#[derive(Clone, PartialEq, Eq)]
pub struct Window {
    text: Arc<str>,
    /// Bit by bit, from Monday.
    weekdays: u8,
    /// The first minute of the day.
    from: u16,
    /// The first minute that is outside again; not above `from` when the window crosses midnight.
    to: u16,
}

/// When runs may begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    between: Option<Window>,
    not_during: Vec<Window>,
    /// The minutes of the week, from Monday's midnight, at which runs may begin and could not a minute before.
    openings: Vec<i64>,
    /// Those at which they may not, and could a minute before.
    closings: Vec<i64>,
}

/// Why a run may not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The window of `between` is closed.
    OutsideBetween(Window),
    /// A window of `not_during` is on.
    Within(Window),
}

/// A text that is not a window, or windows that leave no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {hint}")]
pub struct InvalidWindow {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

impl Window {
    /// Reads a window: days of the week, a time from–to, or both.
    ///
    /// # Errors
    /// Anything else, and a window without length.
    pub fn parse(text: &str) -> Result<Self, InvalidWindow> {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        let invalid = |why: &str, hint: &str| InvalidWindow { what: format!("{shown:?} is not a window: {why}"), hint: hint.to_owned() };
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (days, times) = match words[..] {
            [times] if times.contains(':') => (None, Some(times)),
            [days] => (Some(days), None),
            [days, times] => (Some(days), Some(times)),
            _ => return Err(invalid("it has too many or too few parts", EXAMPLE)),
        };
        let weekdays = match days {
            Some(days) => weekdays(days).ok_or_else(|| invalid(&format!("{days:?} names no days of the week"), EXAMPLE))?,
            None => ALL_WEEKDAYS,
        };
        let (from, to) = match times {
            Some(times) => {
                let (from, to) = times.split_once('-').ok_or_else(|| invalid("the end is missing", EXAMPLE))?;
                let read = |text: &str| minute(text).ok_or_else(|| invalid(&format!("{text:?} is not a time such as 22:00"), EXAMPLE));
                (read(from)?, read(to)?)
            }
            None => (0, DAY_MINUTES),
        };
        // Midnight as an end is the end of that day.
        let to = if to == 0 { DAY_MINUTES } else { to };
        if from == to || from == DAY_MINUTES {
            return Err(invalid("it begins where it ends", "write 00:00-24:00 for whole days, or another end"));
        }
        Ok(Self { text: words.join(" ").into(), weekdays, from, to })
    }

    fn contains(&self, minute_of_week: i64) -> bool {
        let Self { text: _, weekdays, from, to } = self;
        let (weekday, minute) = (minute_of_week / i64::from(DAY_MINUTES), minute_of_week % i64::from(DAY_MINUTES));
        let (from, to) = (i64::from(*from), i64::from(*to));
        let begins_on = |weekday: i64| weekdays >> weekday & 1 == 1;
        if from < to {
            begins_on(weekday) && from <= minute && minute < to
        } else {
            begins_on(weekday) && from <= minute || begins_on((weekday + 6) % 7) && minute < to
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Window({:?})", self.text)
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideBetween(window) => write!(formatter, "runs begin only between {window}"),
            Self::Within(window) => write!(formatter, "no run begins during {window}"),
        }
    }
}

impl Windows {
    /// Runs may begin within `between` and outside of every one of `not_during`.
    ///
    /// # Errors
    /// When that leaves no minute of the week.
    pub fn new(between: Option<Window>, not_during: Vec<Window>) -> Result<Self, InvalidWindow> {
        let mut windows = Self { between, not_during, openings: Vec::new(), closings: Vec::new() };
        let is_open = |minute: i64| windows.check(minute).is_ok();
        let before = |minute: i64| (minute - 1).rem_euclid(WEEK_MINUTES);
        let openings: Vec<i64> = (0..WEEK_MINUTES).filter(|minute| is_open(*minute) && !is_open(before(*minute))).collect();
        let closings: Vec<i64> = (0..WEEK_MINUTES).filter(|minute| !is_open(*minute) && is_open(before(*minute))).collect();
        if is_open(0) || !openings.is_empty() {
            (windows.openings, windows.closings) = (openings, closings);
            return Ok(windows);
        }
        Err(InvalidWindow {
            what: "`between` and `not_during` leave no time in which a run could begin".to_owned(),
            hint: "shorten `not_during`, or leave `schedule` out to run by hand only".to_owned(),
        })
    }

    /// Whether a run may begin at this instant.
    ///
    /// # Errors
    /// The window that forbids it.
    pub fn allows(&self, instant: Timestamp, zone: &TimeZone) -> Result<(), Closed> {
        self.check(minute_of_week(floor(instant) + offset(zone, instant)))
    }

    /// The first instant, this one or later, at which a run may begin. A window that the clock is set over as a whole does not open
    /// on that day; one that it is set into opens at that moment. None: the end of time is near.
    pub fn opens(&self, instant: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.allows(instant, zone).is_ok() {
            return Some(instant);
        }
        // As in `Schedule::next`: from stretch to stretch of one offset.
        let mut offset = offset(zone, instant);
        let mut opening = self.next_opening(floor(instant) + offset);
        for edge in zone.following(instant) {
            let at = edge.timestamp().as_second();
            if opening - offset < at {
                break;
            }
            offset = i64::from(edge.offset().seconds());
            opening = self.next_opening(at + offset);
        }
        Timestamp::from_second(opening - offset).ok()
    }

    /// Since when runs have been allowed to begin without a break until this instant. None: not now, or always.
    pub fn opened(&self, instant: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.allows(instant, zone).ok()?;
        if self.openings.is_empty() {
            return None;
        }
        let mut offset = offset(zone, instant);
        let mut civil = floor(instant) + offset;
        // Strictly preceding, so that an edge at this very instant is seen.
        for edge in zone.preceding(instant.checked_add(SignedDuration::from_nanos(1)).ok()?) {
            let at = edge.timestamp().as_second();
            if at + offset < self.last_opening(civil) {
                break;
            }
            offset = offset_before(zone, &edge);
            civil = at + offset - 1;
            if self.check(minute_of_week(civil)).is_err() {
                return Some(edge.timestamp());
            }
        }
        Timestamp::from_second(self.last_opening(civil) - offset).ok()
    }

    /// Until when runs that may begin at this instant may go on. None: none may begin now, or they may go on for ever.
    pub fn closes(&self, instant: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.allows(instant, zone).ok()?;
        if self.closings.is_empty() {
            return None;
        }
        // As in `opens`. The clock may be set out of the window, too.
        let mut offset = offset(zone, instant);
        let mut closing = self.next_closing(floor(instant) + offset);
        for edge in zone.following(instant) {
            let at = edge.timestamp().as_second();
            if closing - offset < at {
                break;
            }
            offset = i64::from(edge.offset().seconds());
            closing = self.next_closing(at + offset);
        }
        Timestamp::from_second(closing - offset).ok()
    }

    fn check(&self, minute_of_week: i64) -> Result<(), Closed> {
        let Self { between, not_during, openings: _, closings: _ } = self;
        if let Some(window) = between.as_ref().filter(|window| !window.contains(minute_of_week)) {
            return Err(Closed::OutsideBetween(window.clone()));
        }
        match not_during.iter().find(|window| window.contains(minute_of_week)) {
            Some(window) => Err(Closed::Within(window.clone())),
            None => Ok(()),
        }
    }

    /// The first second of the wall clock, this one or later, at which runs may begin.
    fn next_opening(&self, civil: i64) -> i64 {
        let minute = minute_of_week(civil);
        if self.check(minute).is_ok() {
            return civil;
        }
        let ahead = self.openings.iter().map(|opening| (opening - minute).rem_euclid(WEEK_MINUTES)).min();
        (civil.div_euclid(60) + ahead.unwrap_or_default()) * 60
    }

    /// The first second of the wall clock, this one or later, at which runs may not begin.
    fn next_closing(&self, civil: i64) -> i64 {
        let minute = minute_of_week(civil);
        if self.check(minute).is_err() {
            return civil;
        }
        let ahead = self.closings.iter().map(|closing| (closing - minute).rem_euclid(WEEK_MINUTES)).min();
        (civil.div_euclid(60) + ahead.unwrap_or_default()) * 60
    }

    /// The last second of the wall clock, this one or earlier, at which runs may begin and could not before.
    fn last_opening(&self, civil: i64) -> i64 {
        let minute = minute_of_week(civil);
        let behind = self.openings.iter().map(|opening| (minute - opening).rem_euclid(WEEK_MINUTES)).min();
        (civil.div_euclid(60) - behind.unwrap_or_default()) * 60
    }
}

/// From Monday's midnight.
fn minute_of_week(civil: i64) -> i64 {
    (civil.div_euclid(60) - FIRST_MONDAY).rem_euclid(WEEK_MINUTES)
}

/// `Mon`, `Mon-Fri`, `Fri-Mon`, `Sat,Sun`, bit by bit from Monday.
fn weekdays(text: &str) -> Option<u8> {
    let number = |name: &str| WEEKDAYS.iter().position(|known| known.eq_ignore_ascii_case(name));
    let mut set = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        let length = (last + 7 - first) % 7;
        set |= (first..=first + length).fold(0, |set, day| set | 1 << (day % 7));
    }
    Some(set)
}

/// `22:00` as minutes of the day, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, length: std::ops::RangeInclusive<usize>| {
        let digits = length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u16>().ok() } else { None }
    };
    let (hour, minute) = (number(hour, 1..=2)?, number(minute, 2..=2)?);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}
