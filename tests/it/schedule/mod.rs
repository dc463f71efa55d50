//! When policies run: expressions, windows, and the planner. `generate` draws expressions together with what they mean, so that answers
//! are judged without the parser that is under test.

mod differential;
mod expressions;
mod generate;
mod planner;
mod windows;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use retaind::policy::{Expression, Schedule, Window, Windows};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn expression(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn schedule(text: &str, zone_name: &str) -> Schedule {
    Schedule { expression: expression(text), zone: zone(zone_name), windows: Windows::default() }
}

fn windows(between: Option<&str>, not_during: &[&str]) -> Windows {
    let window = |text: &str| Window::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let not_during = not_during.iter().map(|text| window(text)).collect();
    Windows::new(between.map(window), not_during).unwrap_or_else(|error| panic!("{error}"))
}

/// The next times as the wall clock shows them, `29 03:00+02`.
fn next_times(schedule: &Schedule, after: &str, count: usize) -> String {
    let mut at = instant(after);
    let mut shown = Vec::new();
    for _ in 0..count {
        let Some(next) = schedule.next(at) else { break };
        assert!(at < next, "{next} is not after {at}");
        at = next;
        shown.push(next.to_zoned(schedule.zone.clone()).strftime("%d %H:%M%:::z").to_string());
    }
    shown.join(", ")
}
