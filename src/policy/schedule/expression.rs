//! Cron expressions as a Kubernetes CronJob reads them: five fields, lists, ranges, steps, names, Sunday as 0 or 7, a day of the month
//! OR a day of the week, nicknames. What other crons add and what could never come is refused with what to write instead.

use std::fmt;
use std::sync::Arc;

use super::civil::{CivilClock, Fields};

/// The longest expression: every minute of the hour written out takes 170 characters.
const LENGTH_MAX: usize = 500;
/// Most characters of an expression that a message repeats.
const SHOWN_MAX: usize = 60;

/// The nicknames and what they stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
/// What a good expression looks like.
const EXAMPLE: &str = "write \"0 3 * * *\" (minute, hour, day, month, weekday), or @daily";

/// The days of each month, in a leap year.
const MONTH_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A cron expression that has been understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Expression {
    text: Arc<str>,
    fields: Fields,
    clock: CivilClock,
}

/// A text that is not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {hint}")]
pub struct InvalidExpression {
    /// What is wrong, with the field and the part of it.
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

/// One of the five fields.
struct Field {
    name: &'static str,
    minimum: u32,
    /// The largest number that is written.
    maximum: u32,
    /// The largest that `*` means: 7 is a second name of Sunday.
    last: u32,
    /// The names of the numbers from `minimum` on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", minimum: 0, maximum: 59, last: 59, names: &[] };
const HOUR: Field = Field { name: "hour", minimum: 0, maximum: 23, last: 23, names: &[] };
const DAY: Field = Field { name: "day-of-month", minimum: 1, maximum: 31, last: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    minimum: 1,
    maximum: 12,
    last: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAY: Field =
    Field { name: "day-of-week", minimum: 0, maximum: 7, last: 6, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

/// What a field says.
struct Numbers {
    /// Bit by bit.
    set: u64,
    /// Whether `*` is a part of it, which leaves the choice of days to the other day field.
    any: bool,
}

/// What is wrong with a part of a field, and what to write.
struct Wrong {
    why: String,
    hint: String,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What cannot be read, what only other crons know (`L`, `W`, `#`, `?`, `H`, seconds, `@every`, `@reboot`, `TZ=`), what cannot be meant
    /// (ranges that descend, steps beyond their field), and what never comes (`0 3 30 2 *`).
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        let invalid =
            |why: &str, hint: &str| InvalidExpression { what: format!("{shown:?} is not a schedule: {why}"), hint: hint.to_owned() };
        if LENGTH_MAX < text.len() {
            return Err(invalid(&format!("it is longer than {LENGTH_MAX} characters"), EXAMPLE));
        }
        let written = text.trim_ascii();
        let plain = match NICKNAMES.iter().find(|(nickname, _)| *nickname == written) {
            Some((_, plain)) => plain,
            None => no_dialect(written).map_err(|Wrong { why, hint }| invalid(&why, &hint)).map(|()| written)?,
        };
        let words: Vec<&str> = plain.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = words[..] else {
            let hint = if words.len() == 6 { "there is no field for seconds; leave the first one out" } else { EXAMPLE };
            let fields = if words.len() == 1 { "field" } else { "fields" };
            return Err(invalid(&format!("it has {} {fields}, not five", words.len()), hint));
        };
        let read = |field: &Field, word: &str| {
            numbers(field, word).map_err(|Wrong { why, hint }| invalid(&format!("in the {} field, {why}", field.name), &hint))
        };
        let (minutes, hours) = (read(&MINUTE, minutes)?, read(&HOUR, hours)?);
        let (days, months, weekdays) = (read(&DAY, days)?, read(&MONTH, months)?, read(&WEEKDAY, weekdays)?);
        let fields = Fields {
            minutes: minutes.set,
            hours: hours.set,
            days: days.set,
            months: months.set,
            weekdays: weekdays.set,
            both_days: days.any || weekdays.any,
        };
        possible(fields).map_err(|Wrong { why, hint }| invalid(&why, &hint))?;
        let clock = CivilClock::new(fields).map_err(|error| invalid(&error.to_string(), EXAMPLE))?;
        Ok(Self { text: written.into(), fields, clock })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names every hour of the day, and so means a pace and not certain times.
    pub fn is_every_hour(&self) -> bool {
        self.fields.hours.count_ones() == 24
    }

    /// See [`CivilClock::next`].
    pub(super) fn next_civil(&self, after: i64) -> Option<i64> {
        self.clock.next(after)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Expression {
    /// The text says all: lists of sixty numbers would only hide it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Expression({:?})", self.text)
    }
}

/// Recognises what other crons write as a whole.
fn no_dialect(text: &str) -> Result<(), Wrong> {
    let wrong = |why: &str, hint: String| Err(Wrong { why: why.to_owned(), hint });
    let known = || NICKNAMES.map(|(nickname, _)| nickname).join(", ");
    if text.starts_with("@every") {
        return wrong("@every counts from the start of the program", "write times, such as \"0 * * * *\" for every hour".to_owned());
    }
    if text.starts_with("@reboot") {
        return wrong("a start is not a time", "write times, such as @daily; what was missed is caught up after a start".to_owned());
    }
    if text.starts_with('@') {
        return wrong("the nickname is not known", format!("write one of {}, or five fields", known()));
    }
    if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
        return wrong("the time zone is not a part of it", "write `time_zone: Europe/Berlin` beside `schedule`".to_owned());
    }
    let good = |character: char| character.is_ascii_alphanumeric() || "*/,-?# \t".contains(character);
    match text.chars().find(|character| !good(*character)) {
        Some(character) => wrong(&format!("{character:?} has no meaning in it"), EXAMPLE.to_owned()),
        None => Ok(()),
    }
}

/// Reads one field: a list of numbers, names, ranges and steps.
fn numbers(field: &Field, word: &str) -> Result<Numbers, Wrong> {
    let mut numbers = Numbers { set: 0, any: false };
    for part in word.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step_of(field, part, step)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (field.minimum, field.last),
            Some((first, last)) => ascending(field, part, number(field, part, first)?, number(field, part, last)?)?,
            None => {
                let first = number(field, part, range)?;
                // `5/15` is `5-59/15`.
                (first, if step.is_some() { field.last.max(first) } else { first })
            }
        };
        // `*/2` chooses days like any list does; only `*` itself leaves the choice open.
        numbers.any |= range == "*" && step.is_none_or(|step| step == 1);
        for number in (first..=last).step_by(step.unwrap_or(1)) {
            // Sunday is 7 as well.
            numbers.set |= 1 << if number <= field.last { number } else { field.minimum };
        }
    }
    Ok(numbers)
}

/// A number or name within the bounds of the field.
fn number(field: &Field, part: &str, text: &str) -> Result<u32, Wrong> {
    let Field { name, minimum, maximum, names, .. } = field;
    if let Some(number) = (*minimum..).zip(*names).find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(number, _)| number) {
        return Ok(number);
    }
    if text.is_empty() {
        return Err(Wrong { why: format!("a number is missing in {part:?}"), hint: format!("write {}", bounds(field)) });
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .ok()
            .filter(|number| (*minimum..=*maximum).contains(number))
            .ok_or_else(|| Wrong { why: format!("{text} is not from {minimum} to {maximum}"), hint: format!("write {}", bounds(field)) });
    }
    let of_another_cron = match text.trim_start_matches(|character: char| character.is_ascii_digit()) {
        "?" => Some("write `*`"),
        "L" | "l" if *name == "day-of-week" => Some("write the weekday alone, or days of the month"),
        "L" | "l" | "LW" => Some("the last day has no sign of its own; write 28, or 1 for the first"),
        "W" | "w" => Some("write the days of the month or the days of the week"),
        "H" | "h" => Some("write a number; starts are spread over some minutes anyway"),
        _ if text.contains('#') || *name == "day-of-week" && text.ends_with(['L', 'l']) => {
            Some("write the weekday alone, or days of the month")
        }
        _ => None,
    };
    match of_another_cron {
        Some(hint) => Err(Wrong { why: format!("{text:?} belongs to other crons"), hint: hint.to_owned() }),
        None if names.is_empty() => Err(Wrong { why: format!("{text:?} is not a number"), hint: format!("write {}", bounds(field)) }),
        None => Err(Wrong { why: format!("{text:?} is neither a number nor a name"), hint: format!("write {}", bounds(field)) }),
    }
}

/// `0 to 59`, with the names if there are any.
fn bounds(field: &Field) -> String {
    let numbers = format!("{} to {}", field.minimum, field.maximum);
    match field.names {
        [first, .., last] => format!("{numbers}, or {first} to {last}"),
        [] | [_] => format!("{numbers}, or * for any"),
    }
}

fn ascending(field: &Field, part: &str, first: u32, last: u32) -> Result<(u32, u32), Wrong> {
    if first <= last {
        return Ok((first, last));
    }
    let hint = if last == 0 && field.maximum == 7 {
        format!("Sunday is 7 as well: write {first}-7")
    } else {
        format!("write {first}-{},{}-{last}", field.last, field.minimum)
    };
    Err(Wrong { why: format!("the range {part:?} descends"), hint })
}

fn step_of(field: &Field, part: &str, text: &str) -> Result<usize, Wrong> {
    let span = field.last - field.minimum;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let step: Option<u32> = if digits { text.parse().ok() } else { None };
    match step {
        Some(step) if (1..=span).contains(&step) => Ok(step as usize),
        Some(0) => Err(Wrong { why: format!("the step of {part:?} is zero"), hint: "write a step of 1 or more, such as */5".to_owned() }),
        // It would come once and look as if it came at that distance.
        Some(_) => Err(Wrong {
            why: format!("the step of {part:?} is longer than the field"),
            hint: format!("steps begin anew with every field: write 1 to {span}, or single numbers"),
        }),
        None => Err(Wrong { why: format!("{text:?} in {part:?} is not a step"), hint: "write a whole number, such as */5".to_owned() }),
    }
}

/// Whether there is any such date: a day of the month that some month has. A weekday comes in every month.
fn possible(fields: Fields) -> Result<(), Wrong> {
    let comes = |month: u32, days: u32| fields.months >> month & 1 == 1 && fields.days & ((1 << (days + 1)) - 1) != 0;
    if !fields.both_days || (1..).zip(MONTH_DAYS).any(|(month, days)| comes(month, days)) {
        return Ok(());
    }
    let why = format!("it never comes: none of its months has a day {}", fields.days.trailing_zeros());
    Err(Wrong { why, hint: "write a day that its months have, such as 28".to_owned() })
}
