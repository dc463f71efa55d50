//! Windows: what is read, when they are open, and what happens to them where the clock is set.

use expect_test::expect;
use jiff::{SignedDuration, Timestamp};
use retaind::policy::{Window, Windows};

use super::{instant, windows, zone};

const BERLIN: &str = "Europe/Berlin";

/// The instant at which the windows next open, as the wall clock shows it.
#[track_caller]
fn check_opens(windows: &Windows, at: &str, expected: &str) {
    let berlin = zone(BERLIN);
    let at: Timestamp = at.parse::<jiff::Zoned>().map_or_else(|_| instant(at), |zoned| zoned.timestamp());
    let opens = windows.opens(at, &berlin).expect("an opening");
    assert_eq!(opens.to_zoned(berlin.clone()).strftime("%a %d %H:%M:%S%:::z").to_string(), expected);
    assert_eq!(windows.allows(opens, &berlin), Ok(()));
    assert_eq!(windows.allows(at, &berlin).is_ok(), at == opens);
    // What has opened says so.
    assert_eq!(windows.opened(opens, &berlin), (at < opens).then_some(opens).or_else(|| windows.opened(at, &berlin)));
}

#[test]
fn runs_wait_for_the_window() {
    let night = windows(Some("22:00-05:00"), &[]);
    // Berlin is at +01 in January; the 5th of 2026 is a Monday.
    check_opens(&night, "2026-01-05T12:00:00Z", "Mon 05 22:00:00+01");
    check_opens(&night, "2026-01-05T20:59:59.999Z", "Mon 05 22:00:00+01");
    check_opens(&night, "2026-01-05T21:00:00Z", "Mon 05 22:00:00+01");
    check_opens(&night, "2026-01-06T03:59:59Z", "Tue 06 04:59:59+01");
    check_opens(&night, "2026-01-06T04:00:00Z", "Tue 06 22:00:00+01");

    let office = windows(None, &["Mon-Fri 08:00-18:00", "Sat-Sun"]);
    check_opens(&office, "2026-01-05T09:00:00Z", "Mon 05 18:00:00+01");
    check_opens(&office, "2026-01-09T23:30:00Z", "Mon 12 00:00:00+01");

    let both = windows(Some("22:00-06:00"), &["Fri 20:00-24:00", "Sat,Sun"]);
    check_opens(&both, "2026-01-09T12:00:00Z", "Mon 12 00:00:00+01");

    // What crosses midnight belongs to the day on which it begins.
    let friday = windows(Some("Fri 22:00-02:00"), &[]);
    check_opens(&friday, "2026-01-05T00:00:00Z", "Fri 09 22:00:00+01");
    check_opens(&friday, "2026-01-10T00:59:00Z", "Sat 10 01:59:00+01");
    check_opens(&friday, "2026-01-10T01:00:00Z", "Fri 16 22:00:00+01");
}

#[test]
fn the_reason_names_the_window() {
    let berlin = zone(BERLIN);
    let windows = windows(Some("22:00-05:00"), &["Mon 22:00-23:00"]);
    let reason = |at: &str| windows.allows(instant(at), &berlin).expect_err("closed").to_string();
    assert_eq!(reason("2026-01-05T12:00:00Z"), "runs begin only between 22:00-05:00");
    assert_eq!(reason("2026-01-05T21:30:00Z"), "no run begins during Mon 22:00-23:00");
}

#[test]
fn windows_follow_the_wall_clock_where_it_is_set() {
    // 29 March 2026: 02:00 becomes 03:00. A window within the gap does not open, one that reaches out of it opens at its end.
    check_opens(&windows(Some("02:00-03:00"), &[]), "2026-03-29T00:00:00Z", "Mon 30 02:00:00+02");
    check_opens(&windows(Some("02:30-04:00"), &[]), "2026-03-29T00:00:00Z", "Sun 29 03:00:00+02");
    check_opens(&windows(Some("Sun 02:00-03:00"), &[]), "2026-03-28T12:00:00Z", "Sun 05 02:00:00+02");
    // 25 October 2026: 02:00 to 03:00 comes twice, and so does the window.
    let twice = windows(Some("02:15-02:45"), &[]);
    check_opens(&twice, "2026-10-24T12:00:00Z", "Sun 25 02:15:00+02");
    check_opens(&twice, "2026-10-25T00:45:00Z", "Sun 25 02:15:00+01");
    check_opens(&twice, "2026-10-25T01:45:00Z", "Mon 26 02:15:00+01");
    // The clock is set back into a window.
    check_opens(&windows(Some("02:00-02:30"), &[]), "2026-10-25T00:30:00Z", "Sun 25 02:00:00+01");
}

/// Against the definition, minute by minute: a run may go on as long as one may begin.
#[test]
fn a_window_closes_when_none_may_begin_any_more() {
    let all = [
        windows(Some("22:00-05:00"), &[]),
        windows(Some("02:15-02:45"), &[]),
        windows(Some("01:00-02:00"), &[]),
        windows(Some("02:00-03:00"), &[]),
        windows(None, &["Mon-Fri 08:00-18:00", "Sat-Sun"]),
        windows(Some("Fri 22:00-02:00"), &["Sat 00:30-01:00"]),
        windows(None, &["Wed 12:00-13:00"]),
    ];
    let (mut closed, mut open) = (0, 0);
    // Both nights on which Berlin's clock is set, and Lord Howe's, which is set by half an hour.
    for (zone, around) in
        [(BERLIN, "2026-03-29T01:00:00Z"), (BERLIN, "2026-10-25T01:00:00Z"), ("Australia/Lord_Howe", "2026-04-04T15:00:00Z")]
    {
        let zone = self::zone(zone);
        for windows in &all {
            for quarter in -200..200 {
                let at = instant(around) + SignedDuration::from_mins(15 * quarter);
                let mut minutes = (0..8 * 24 * 60).map(|minute| at + SignedDuration::from_mins(minute));
                let expected =
                    if windows.allows(at, &zone).is_ok() { minutes.find(|minute| windows.allows(*minute, &zone).is_err()) } else { None };
                assert_eq!(windows.closes(at, &zone), expected, "{windows:?} at {at}");
                *if expected.is_some() { &mut open } else { &mut closed } += 1;
            }
        }
    }
    assert!(1_000 < open && 1_000 < closed, "{open} {closed}");
    assert_eq!(Windows::default().closes(instant("2026-01-05T12:00:00Z"), &zone(BERLIN)), None);
}

#[test]
fn what_is_always_open_opened_never() {
    let none = Windows::default();
    let at = instant("2026-01-05T12:00:00Z");
    assert_eq!((none.opens(at, &zone(BERLIN)), none.opened(at, &zone(BERLIN))), (Some(at), None));
}

#[test]
fn mistakes_are_refused_with_what_to_write() {
    let texts = [
        "",
        "22:00",
        "22:00-",
        "22-05",
        "22:00-25:00",
        "24:01-01:00",
        "22:60-23:00",
        "22:00-22:00",
        "24:00-24:00",
        "00:00-00:00x",
        "Mon-Fri 8-18",
        "Monday 08:00-18:00",
        "Mon - Fri 08:00-18:00",
        "Mon, Fri",
        "08:00-18:00 Mon",
        "-1:00-02:00",
    ];
    let errors: Vec<String> =
        texts.map(|text| Window::parse(text).map_or_else(|error| error.to_string(), |read| format!("read: {read}"))).into();
    expect![[r#"
        "" is not a window: it has too many or too few parts; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "22:00" is not a window: the end is missing; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "22:00-" is not a window: "" is not a time such as 22:00; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "22-05" is not a window: "22-05" names no days of the week; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "22:00-25:00" is not a window: "25:00" is not a time such as 22:00; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "24:01-01:00" is not a window: "24:01" is not a time such as 22:00; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "22:60-23:00" is not a window: "22:60" is not a time such as 22:00; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "22:00-22:00" is not a window: it begins where it ends; write 00:00-24:00 for whole days, or another end
        "24:00-24:00" is not a window: it begins where it ends; write 00:00-24:00 for whole days, or another end
        "00:00-00:00x" is not a window: "00:00x" is not a time such as 22:00; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "Mon-Fri 8-18" is not a window: "8" is not a time such as 22:00; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "Monday 08:00-18:00" is not a window: "Monday" names no days of the week; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "Mon - Fri 08:00-18:00" is not a window: it has too many or too few parts; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "Mon, Fri" is not a window: "Mon," names no days of the week; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "08:00-18:00 Mon" is not a window: "08:00-18:00" names no days of the week; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"
        "-1:00-02:00" is not a window: "" is not a time such as 22:00; write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun""#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn windows_that_leave_no_time_are_refused() {
    let window = |text: &str| Window::parse(text).expect("a window");
    let leave = |between: Option<&str>, not_during: &[&str]| {
        Windows::new(between.map(window), not_during.iter().map(|text| window(text)).collect())
    };
    assert!(leave(None, &["00:00-24:00"]).is_err());
    assert!(leave(None, &["00:00-24:00", "Mon"]).is_err());
    assert!(leave(None, &["Mon-Sun"]).is_err());
    assert!(leave(None, &["Tue-Sun"]).is_ok());
    assert!(leave(Some("22:00-05:00"), &["21:00-06:00"]).is_err());
    assert!(leave(Some("22:00-05:00"), &["21:00-04:59"]).is_ok());
    assert!(leave(Some("Sat 22:00-05:00"), &["Sat-Sun"]).is_err());
    assert!(leave(Some("Sun 22:00-05:00"), &["Sat-Sun"]).is_ok());
    assert!(leave(Some("05:00-05:01"), &["05:01-05:00"]).is_ok());
}
