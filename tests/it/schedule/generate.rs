//! Draws expressions together with the numbers that they mean, and instants near the moments at which clocks are set.

use fastrand::Rng;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::{instant, zone};

/// Set back and forward by an hour at night, by half an hour, at midnight, by rules that ended, and never.
pub(super) const ZONES: [&str; 7] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Tehran", "Asia/Kolkata"];

/// An expression and its meaning.
pub(super) struct Drawn {
    pub(super) text: String,
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Vec<i8>,
    months: Vec<i8>,
    /// From Sunday, 0.
    weekdays: Vec<i8>,
    both_days: bool,
}

struct Field {
    first: i8,
    last: i8,
    names: &'static str,
}

const MINUTE: Field = Field { first: 0, last: 59, names: "" };
const HOUR: Field = Field { first: 0, last: 23, names: "" };
const DAY: Field = Field { first: 1, last: 31, names: "" };
const MONTH: Field = Field { first: 1, last: 12, names: "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC" };
const WEEKDAY: Field = Field { first: 0, last: 6, names: "SUNMONTUEWEDTHUFRISAT" };

impl Drawn {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        // Hours around the time at which clocks are set, more often than not.
        let hour = if rng.bool() { Field { first: 0, last: 4, names: "" } } else { HOUR };
        let (minute_text, minutes, _) = field(rng, &MINUTE, 3);
        let (hour_text, hours, _) = if rng.u8(..4) == 0 { star(&HOUR) } else { field(rng, &hour, if hour.last == 4 { 0 } else { 3 }) };
        let (day_text, days, any_day) = if rng.bool() { star(&DAY) } else { field(rng, &DAY, 3) };
        let (month_text, months, _) = if rng.bool() { star(&MONTH) } else { field(rng, &MONTH, 3) };
        let (weekday_text, weekdays, any_weekday) = if rng.bool() { star(&WEEKDAY) } else { field(rng, &WEEKDAY, 3) };
        let text = format!("{minute_text} {hour_text} {day_text} {month_text} {weekday_text}");
        Self { text, minutes, hours, days, months, weekdays, both_days: any_day || any_weekday }
    }

    pub(super) fn is_every_hour(&self) -> bool {
        self.hours.len() == 24
    }

    pub(super) fn matches(&self, civil: DateTime) -> bool {
        let day = self.days.contains(&civil.day());
        let weekday = self.weekdays.contains(&civil.weekday().to_sunday_zero_offset());
        self.minutes.contains(&civil.minute())
            && self.hours.contains(&civil.hour())
            && self.months.contains(&civil.month())
            && if self.both_days { day && weekday } else { day || weekday }
    }

    /// The first time after `after` by the definition, minute by minute; None when there is none until `until`.
    pub(super) fn next_by_definition(&self, after: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let minute = SignedDuration::from_mins(1);
        let mut at = Timestamp::from_second(after.as_second().div_euclid(60) * 60).expect("a time") + minute;
        while at <= until {
            let shown = zone.to_datetime(at);
            let first_pass = zone.to_ambiguous_timestamp(shown).earlier().is_ok_and(|first| first == at);
            if self.matches(shown) && (self.is_every_hour() || first_pass) {
                return Some(at);
            }
            let mut left_out = zone.to_datetime(at - minute) + minute;
            while !self.is_every_hour() && left_out < shown {
                if self.matches(left_out) {
                    return Some(at);
                }
                left_out += minute;
            }
            at += minute;
        }
        None
    }
}

/// Text, numbers, and whether it is open.
type Read = (String, Vec<i8>, bool);

fn star(field: &Field) -> Read {
    ("*".to_owned(), (field.first..=field.last).collect(), true)
}

/// `stars`: how likely a form with `*` is.
fn field(rng: &mut Rng, field: &Field, stars: u8) -> Read {
    let Field { first, last, .. } = *field;
    let mut numbers = Vec::new();
    let mut texts = Vec::new();
    for _ in 0..[1, 1, 1, 2, 3][rng.usize(..5)] {
        let low = rng.i8(first..=last);
        let high = rng.i8(low..=last);
        let step = rng.i8(2..=11).min(last - first);
        let (text, range) = match rng.u8(..5 + stars) {
            0 | 1 => (name(rng, field, low), low..=low),
            2 => (format!("{}-{}", name(rng, field, low), name(rng, field, high)), low..=high),
            3 => {
                numbers.extend((low..=high).step_by(usize::from(step.unsigned_abs())));
                texts.push(format!("{}-{high}/{step}", name(rng, field, low)));
                continue;
            }
            // Sunday by its other number.
            4 if field.last == 6 => {
                numbers.extend((low..=6).chain([0]));
                texts.push(format!("{low}-7"));
                continue;
            }
            4 => (low.to_string(), low..=low),
            _ => {
                numbers.extend((first..=last).step_by(usize::from(step.unsigned_abs())));
                texts.push(format!("*/{step}"));
                continue;
            }
        };
        numbers.extend(range);
        texts.push(text);
    }
    numbers.sort_unstable();
    numbers.dedup();
    (texts.join(","), numbers, false)
}

/// The number, or its name in one of the ways it is written.
fn name(rng: &mut Rng, field: &Field, number: i8) -> String {
    let place = usize::from((number - field.first).unsigned_abs()) * 3;
    match (field.names.get(place..place + 3), rng.u8(..4)) {
        (Some(name), 0) => name.to_owned(),
        (Some(name), 1) => name.to_lowercase(),
        (Some(_), _) | (None, _) => number.to_string(),
    }
}

/// The moments from 2000 to 2030 at which the clock of each zone is set.
pub(super) fn edges() -> Vec<(TimeZone, Vec<Timestamp>)> {
    let edges = |zone: &TimeZone| {
        let edges = zone.following(instant("2000-01-01T00:00:00Z")).map(|edge| edge.timestamp());
        edges.take_while(|edge| *edge < instant("2030-01-01T00:00:00Z")).collect()
    };
    ZONES.map(zone).map(|zone| (zone.clone(), edges(&zone))).into()
}

/// An instant within `hours` of one of the edges, or anywhere when there is none.
pub(super) fn near(rng: &mut Rng, edges: &[Timestamp], hours: i64) -> Timestamp {
    let seconds = hours * 3_600;
    match rng.choice(edges) {
        Some(edge) => *edge + SignedDuration::from_secs(rng.i64(-seconds..=seconds)),
        None => anywhere(rng),
    }
}

pub(super) fn anywhere(rng: &mut Rng) -> Timestamp {
    let (first, last) = (instant("2000-01-01T00:00:00Z"), instant("2030-01-01T00:00:00Z"));
    Timestamp::from_millisecond(rng.i64(first.as_millisecond()..last.as_millisecond())).expect("a time")
}

/// Whether this instant is the second time that the clock shows what it shows.
pub(super) fn is_second_pass(at: Timestamp, zone: &TimeZone) -> bool {
    let shown = zone.to_ambiguous_timestamp(zone.to_datetime(at));
    matches!(shown.offset(), AmbiguousOffset::Fold { .. }) && shown.later().is_ok_and(|later| later == at)
}
