//! Expressions: what is read, what is refused and how, and what the clock's changes mean.

use expect_test::{Expect, expect};
use retaind::policy::Expression;

use super::{expression, next_times, schedule};

#[track_caller]
fn check(text: &str, zone: &str, after: &str, count: usize, expected: &str) {
    assert_eq!(next_times(&schedule(text, zone), after, count), expected, "{text} in {zone} after {after}");
}

#[test]
fn the_language_is_that_of_a_kubernetes_cron_job() {
    // From Monday, 2 March 2026, noon.
    for (text, expected) in [
        ("0 3 * * 1", "09 03:00+00, 16 03:00+00"),
        ("0 3 * * 0", "08 03:00+00, 15 03:00+00"),
        ("0 3 * * 7", "08 03:00+00, 15 03:00+00"),
        ("0 3 * * 5-7", "06 03:00+00, 07 03:00+00"),
        ("0 3 * * sat,Sun", "07 03:00+00, 08 03:00+00"),
        ("0 3 * * MON-FRI", "03 03:00+00, 04 03:00+00"),
        // A day of the month or of the week.
        ("0 3 13 * FRI", "06 03:00+00, 13 03:00+00"),
        // A step is a list, not an open choice.
        ("0 3 */2 * MON", "03 03:00+00, 05 03:00+00"),
        // An open choice in either field leaves it to the other.
        ("0 3 *,5 * MON", "09 03:00+00, 16 03:00+00"),
        ("0 3 13 * */1", "13 03:00+00, 13 03:00+00"),
        ("0 3 1-31 * MON", "03 03:00+00, 04 03:00+00"),
        ("5/15 3 * * *", "03 03:05+00, 03 03:20+00"),
        ("  10-20/5,59   3\t* * *  ", "03 03:10+00, 03 03:15+00"),
        ("0 0 29 2 *", "29 00:00+00, 29 00:00+00"),
        ("0 0 31 * *", "31 00:00+00, 31 00:00+00"),
        ("@hourly", "02 13:00+00, 02 14:00+00"),
        ("@daily", "03 00:00+00, 04 00:00+00"),
        ("@midnight", "03 00:00+00, 04 00:00+00"),
        ("@weekly", "08 00:00+00, 15 00:00+00"),
        ("@monthly", "01 00:00+00, 01 00:00+00"),
        ("@yearly", "01 00:00+00, 01 00:00+00"),
        ("@annually", "01 00:00+00, 01 00:00+00"),
    ] {
        check(text, "UTC", "2026-03-02T12:00:00Z", 2, expected);
    }
}

#[test]
fn certain_hours_come_once_where_the_clock_is_set() {
    // Berlin, 2026: 29 March 02:00 → 03:00 and 25 October 03:00 → 02:00.
    let (spring, autumn) = ("2026-03-28T00:00:00Z", "2026-10-24T12:00:00Z");
    check("30 2 * * *", "Europe/Berlin", spring, 3, "28 02:30+01, 29 03:00+02, 30 02:30+02");
    check("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3, "29 03:00+02, 29 03:30+02, 30 02:00+02");
    check("0 3 * * *", "Europe/Berlin", spring, 3, "28 03:00+01, 29 03:00+02, 30 03:00+02");
    check("30 2 * * *", "Europe/Berlin", autumn, 2, "25 02:30+02, 26 02:30+01");
    check("0,30 2 * * *", "Europe/Berlin", autumn, 3, "25 02:00+02, 25 02:30+02, 26 02:00+01");
    // From within the second pass, too.
    check("30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", 1, "26 02:30+01");
    check("30 2 * * *", "Europe/Berlin", "2026-10-25T01:29:59.9Z", 1, "26 02:30+01");
    // Half an hour, and a gap at midnight.
    check("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2, "04 02:30+11, 05 02:15+11");
    check("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2, "05 01:45+11, 06 01:45+10:30");
    check("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2, "04 01:00-02, 05 00:00-02");
    check("0 0 * * SUN", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2, "04 01:00-02, 11 00:00-02");
    check("30 0 * * *", "Asia/Tehran", "2022-03-21T12:00:00Z", 2, "22 01:00+04:30, 23 00:30+04:30");
    // A whole day that a place left out.
    check("0 3 * * *", "Pacific/Apia", "2011-12-29T13:30:00Z", 2, "31 00:00+14, 31 03:00+14");
}

#[test]
fn every_hour_keeps_its_pace_where_the_clock_is_set() {
    check("30 * * * *", "Europe/Berlin", "2026-03-28T23:45:00Z", 3, "29 01:30+01, 29 03:30+02, 29 04:30+02");
    check("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 5, "25 02:00+02, 25 02:30+02, 25 02:00+01, 25 02:30+01, 25 03:00+01");
    check("0 0-23 * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 3, "25 02:00+02, 25 02:00+01, 25 03:00+01");
    check("45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", 3, "05 01:45+11, 05 01:45+10:30, 05 02:45+10:30");
}

#[test]
fn the_end_of_the_calendar_is_an_answer() {
    check("0 3 * * *", "UTC", "2100-12-30T12:00:00Z", 2, "31 03:00+00");
    check("0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", 2, "");
}

fn refused(text: &str) -> String {
    match Expression::parse(text) {
        Ok(expression) => panic!("{expression} was read"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check_refused(texts: &[&str], expected: Expect) {
    let errors: Vec<String> = texts.iter().map(|text| refused(text)).collect();
    expected.assert_eq(&errors.join("\n"));
}

#[test]
fn what_other_crons_write_is_refused_with_what_to_write() {
    check_refused(
        &[
            "@every 1h",
            "@reboot",
            "@Daily",
            "TZ=Europe/Berlin 0 3 * * *",
            "CRON_TZ=UTC 0 3 * * *",
            "0 0 3 * * *",
            "0 3 L * *",
            "0 3 15W * *",
            "0 3 ? * MON",
            "0 3 * * FRI#2",
            "0 3 * * 5L",
            "H 3 * * *",
            "",
            "daily",
            "0 3 * * $",
        ],
        expect![[r#"
            "@every 1h" is not a schedule: @every counts from the start of the program; write times, such as "0 * * * *" for every hour
            "@reboot" is not a schedule: a start is not a time; write times, such as @daily; what was missed is caught up after a start
            "@Daily" is not a schedule: the nickname is not known; write one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, or five fields
            "TZ=Europe/Berlin 0 3 * * *" is not a schedule: the time zone is not a part of it; write `time_zone: Europe/Berlin` beside `schedule`
            "CRON_TZ=UTC 0 3 * * *" is not a schedule: the time zone is not a part of it; write `time_zone: Europe/Berlin` beside `schedule`
            "0 0 3 * * *" is not a schedule: it has 6 fields, not five; there is no field for seconds; leave the first one out
            "0 3 L * *" is not a schedule: in the day-of-month field, "L" belongs to other crons; the last day has no sign of its own; write 28, or 1 for the first
            "0 3 15W * *" is not a schedule: in the day-of-month field, "15W" belongs to other crons; write the days of the month or the days of the week
            "0 3 ? * MON" is not a schedule: in the day-of-month field, "?" belongs to other crons; write `*`
            "0 3 * * FRI#2" is not a schedule: in the day-of-week field, "FRI#2" belongs to other crons; write the weekday alone, or days of the month
            "0 3 * * 5L" is not a schedule: in the day-of-week field, "5L" belongs to other crons; write the weekday alone, or days of the month
            "H 3 * * *" is not a schedule: in the minute field, "H" belongs to other crons; write a number; starts are spread over some minutes anyway
            "" is not a schedule: it has 0 fields, not five; write "0 3 * * *" (minute, hour, day, month, weekday), or @daily
            "daily" is not a schedule: it has 1 field, not five; write "0 3 * * *" (minute, hour, day, month, weekday), or @daily
            "0 3 * * $" is not a schedule: '$' has no meaning in it; write "0 3 * * *" (minute, hour, day, month, weekday), or @daily"#]],
    );
}

#[test]
fn mistakes_are_named_by_field_and_part() {
    check_refused(
        &[
            "60 3 * * *",
            "0 24 * * *",
            "0 3 0 * *",
            "0 3 * 13 *",
            "0 3 * * 8",
            "0 3 * * MONDAY",
            "0 3 * JANUARY *",
            "MON 3 * * *",
            "-5 3 * * *",
            "1,,2 3 * * *",
            "0 3 * * FRI-SUN",
            "0 22-5 * * *",
            "*/0 3 * * *",
            "*/90 3 * * *",
            "*/x 3 * * *",
            "1/2/3 3 * * *",
            "*-5 3 * * *",
            "99999999999999999999 3 * * *",
            "0 3 30 2 *",
            "0 3 31 2,4,6,9,11 *",
        ],
        expect![[r#"
            "60 3 * * *" is not a schedule: in the minute field, 60 is not from 0 to 59; write 0 to 59, or * for any
            "0 24 * * *" is not a schedule: in the hour field, 24 is not from 0 to 23; write 0 to 23, or * for any
            "0 3 0 * *" is not a schedule: in the day-of-month field, 0 is not from 1 to 31; write 1 to 31, or * for any
            "0 3 * 13 *" is not a schedule: in the month field, 13 is not from 1 to 12; write 1 to 12, or JAN to DEC
            "0 3 * * 8" is not a schedule: in the day-of-week field, 8 is not from 0 to 7; write 0 to 7, or SUN to SAT
            "0 3 * * MONDAY" is not a schedule: in the day-of-week field, "MONDAY" is neither a number nor a name; write 0 to 7, or SUN to SAT
            "0 3 * JANUARY *" is not a schedule: in the month field, "JANUARY" is neither a number nor a name; write 1 to 12, or JAN to DEC
            "MON 3 * * *" is not a schedule: in the minute field, "MON" is not a number; write 0 to 59, or * for any
            "-5 3 * * *" is not a schedule: in the minute field, a number is missing in "-5"; write 0 to 59, or * for any
            "1,,2 3 * * *" is not a schedule: in the minute field, a number is missing in ""; write 0 to 59, or * for any
            "0 3 * * FRI-SUN" is not a schedule: in the day-of-week field, the range "FRI-SUN" descends; Sunday is 7 as well: write 5-7
            "0 22-5 * * *" is not a schedule: in the hour field, the range "22-5" descends; write 22-23,0-5
            "*/0 3 * * *" is not a schedule: in the minute field, the step of "*/0" is zero; write a step of 1 or more, such as */5
            "*/90 3 * * *" is not a schedule: in the minute field, the step of "*/90" is longer than the field; steps begin anew with every field: write 1 to 59, or single numbers
            "*/x 3 * * *" is not a schedule: in the minute field, "x" in "*/x" is not a step; write a whole number, such as */5
            "1/2/3 3 * * *" is not a schedule: in the minute field, "2/3" in "1/2/3" is not a step; write a whole number, such as */5
            "*-5 3 * * *" is not a schedule: in the minute field, "*" is not a number; write 0 to 59, or * for any
            "99999999999999999999 3 * * *" is not a schedule: in the minute field, 99999999999999999999 is not from 0 to 59; write 0 to 59, or * for any
            "0 3 30 2 *" is not a schedule: it never comes: none of its months has a day 30; write a day that its months have, such as 28
            "0 3 31 2,4,6,9,11 *" is not a schedule: it never comes: none of its months has a day 31; write a day that its months have, such as 28"#]],
    );
    assert!(refused(&"0,".repeat(1_000)).contains("longer than 500 characters"));
}

#[test]
fn an_expression_is_shown_as_it_was_written() {
    let daily = expression(" @daily ");
    assert_eq!((daily.to_string(), format!("{daily:?}")), ("@daily".to_owned(), "Expression(\"@daily\")".to_owned()));
    assert_eq!(daily, expression("@daily"));
    assert_ne!(daily, expression("0 0 * * *"));
}
