//! Expressions against an independent implementation, `croner`, and against the definition, minute by minute.

use std::collections::BTreeMap;
use std::str::FromStr;

use croner::{Cron, JobType};
use fastrand::Rng;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use retaind::policy::{Expression, Schedule, Windows};

use super::generate::{Drawn, anywhere, edges, is_second_pass, near};
use super::zone;

/// How many expressions are drawn, unless RETAIND_CRON_CASES says another number: some seconds without optimisation.
const CASES: u32 = 8_000;
/// With so many, every class must have its cases: one that none needs is an excuse.
const CASES_OF_ALL_CLASSES: u32 = 30_000;

/// Why two right answers may differ. `croner` knows a fixed time only where one minute and one hour are written plainly, and takes
/// everything else for a pace; here certain hours are fixed times, however many and however written: cleaning at `0,30 2 * * *` is
/// not to be left out for a night, nor done four times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Certain hours, not written plainly, of which one is left out: we come at the end of the gap, `croner` not at all.
    CertainHoursInGap,
    /// Certain hours, not written plainly, of which one is shown twice: we come the first time, `croner` both times.
    CertainHoursInFold,
    /// `SUN-SUN`: Sunday here, as in Kubernetes; `croner` takes a Sunday that ends a range for 7, and so every day.
    RangeToSunday,
}

/// None: nothing on the list explains the difference.
fn explain(drawn: &Drawn, after: Timestamp, ours: Option<Timestamp>, theirs: Option<Timestamp>, zone: &TimeZone) -> Option<Class> {
    let numbered = drawn.text.to_uppercase().replace("-SUN", "-0");
    if numbered != drawn.text.to_uppercase() && asked_of_croner(&numbered, after, zone) == ours {
        return Some(Class::RangeToSunday);
    }
    let (ours, theirs) = (ours?, theirs?);
    if drawn.is_every_hour() || croner(&drawn.text).determine_job_type() == JobType::FixedTime {
        return None;
    }
    let class = if ours < theirs {
        let was_set = zone.to_offset(ours) != zone.to_offset(ours - SignedDuration::from_secs(1));
        was_set.then_some(Class::CertainHoursInGap)
    } else {
        is_second_pass(theirs, zone).then_some(Class::CertainHoursInFold)
    };
    // By the definition we must be right nevertheless. A difference shows within a day or two of the edge.
    class.filter(|_| drawn.next_by_definition(after, ours, zone) == Some(ours))
}

fn croner(text: &str) -> Cron {
    Cron::from_str(text).unwrap_or_else(|error| panic!("croner refuses {text}: {error}"))
}

fn asked_of_croner(text: &str, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    croner(text).find_next_occurrence(&after.to_zoned(zone.clone()), false).ok().map(|zoned| zoned.timestamp())
}

fn cases() -> u32 {
    std::env::var("RETAIND_CRON_CASES").map_or(CASES, |text| text.parse().expect("RETAIND_CRON_CASES is a number"))
}

fn drawn(rng: &mut Rng, zone: &TimeZone) -> (Drawn, Schedule) {
    loop {
        let drawn = Drawn::draw(rng);
        match Expression::parse(&drawn.text) {
            Ok(expression) => return (drawn, Schedule { expression, zone: zone.clone(), windows: Windows::default() }),
            // Dates that never come are drawn as well; what comes at least in 2028 must not be refused.
            Err(error) => {
                assert!(error.what.contains("never comes"), "{error}");
                let days = (0..366).map(|day| jiff::civil::date(2028, 1, 1) + SignedDuration::from_hours(24 * day));
                let minutes = || (0..1440).map(SignedDuration::from_mins);
                let any_time = minutes().find(|time| days.clone().any(|day| drawn.matches(day.at(0, 0, 0, 0) + *time)));
                assert_eq!(any_time, None, "{error}");
            }
        }
    }
}

#[test]
fn expressions_agree_with_croner_but_for_the_written_classes() {
    let edges = edges();
    let mut rng = Rng::with_seed(20);
    let mut classes = BTreeMap::from([Class::CertainHoursInGap, Class::CertainHoursInFold, Class::RangeToSunday].map(|class| (class, 0)));
    let cases = cases();
    for _ in 0..cases {
        let (zone, edges) = rng.choice(&edges).expect("zones");
        let (drawn, schedule) = drawn(&mut rng, zone);
        let after = match rng.u8(..4) {
            0 => anywhere(&mut rng),
            1 => near(&mut rng, edges, 36),
            _ => near(&mut rng, edges, 2),
        };
        let ours = schedule.next(after);
        assert!(ours.is_none_or(|next| after < next), "{} in {zone:?}: {ours:?} is not after {after}", drawn.text);
        let theirs = asked_of_croner(&drawn.text, after, zone);
        if ours == theirs {
            continue;
        }
        let class = explain(&drawn, after, ours, theirs, zone);
        let local = |at: Option<Timestamp>| at.map(|at| at.to_zoned(zone.clone()).to_string());
        let class = class
            .unwrap_or_else(|| panic!("{} after {:?}: here {:?}, croner {:?}", drawn.text, local(Some(after)), local(ours), local(theirs)));
        classes.entry(class).and_modify(|count| *count += 1);
    }
    println!("{cases} cases, of which differ: {classes:?}");
    assert!(cases < CASES_OF_ALL_CLASSES || classes.values().all(|count| 0 < *count), "{classes:?}");
    assert!(classes.values().sum::<u32>() * 20 < cases, "the classes explain too much: {classes:?}");
}

#[test]
fn expressions_agree_with_the_definition_where_clocks_are_set() {
    let mut edges = edges();
    edges.retain(|(_, edges)| !edges.is_empty());
    let mut rng = Rng::with_seed(21);
    let mut found = 0;
    for _ in 0..cases() / 8 {
        let (zone, edges) = rng.choice(&edges).expect("zones");
        let (drawn, schedule) = drawn(&mut rng, zone);
        let after = near(&mut rng, edges, 2);
        let until = after + SignedDuration::from_hours(6);
        let expected = drawn.next_by_definition(after, until, zone);
        let next = schedule.next(after).filter(|next| *next <= until);
        assert_eq!(next, expected, "{} after {}", drawn.text, after.to_zoned(zone.clone()));
        found += u32::from(expected.is_some());
    }
    assert!(cases() / 80 < found, "only {found} of the expressions came near the edge");
}

#[test]
fn every_minute_of_a_set_clock_counts_once() {
    for name in super::generate::ZONES {
        let schedule = super::schedule("* * * * *", name);
        let mut at = super::instant("2008-10-01T00:00:00Z");
        for _ in 0..5_000 {
            let next = schedule.next(at).expect("a next minute");
            assert_eq!(next, at + SignedDuration::from_mins(1), "{:?}", zone(name));
            at = next;
        }
    }
}
