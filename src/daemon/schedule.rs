//! Which policies start now, and when to ask again: a function from what is known of each policy and the time. Knows no clock, no tasks
//! and no store; it is asked at start-up, when the time that it named has come, when a run ends and when policies change, and asking
//! more often changes nothing.
//!
//! 1. A scheduled time is *due* once it has come and no run has started since. A run covers every time up to its start: what was
//!    missed while the daemon was down, suspended or busy is caught up once, by one run.
//! 2. A policy never runs twice at the same time. What came due during its run starts when that has ended.
//! 3. A run that was cut short counts. It is not begun again before the next scheduled time, so that a crash cannot become a loop of
//!    deletions; what it left in doubt is settled by reading at start-up.
//! 4. Outside of its windows nothing starts. What is due then starts once, when they next open.
//! 5. Starts are spread: each waits up to [`JITTER_MAX`] and a tenth of its interval, always the same for the same seed, policy and
//!    scheduled time. A wait that would lead out of a window is left out. Before an overdue run there is no wait.
//! 6. A new policy, or one with a new schedule, waits for its first scheduled time after it was first seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::policy::Schedule;

/// The longest wait that spreads starts: long enough to keep a hundred policies of `0 3 * * *` apart by seconds, short enough that
/// nobody misses a run.
pub const JITTER_MAX: SignedDuration = SignedDuration::from_mins(5);
/// The share of the interval that a wait may take, as a divisor: with a tenth, a run always starts before the next one is due.
const JITTER_INTERVALS: i32 = 10;
/// How far in the future a start may lie that is believed: clocks are corrected by minutes, and a start must not be repeated because
/// of it. Beyond, the clock was wrong when it was recorded, and the policy would not run for as long as that.
const CLOCK_SET_BACK_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What is known of a policy.
#[derive(Debug, Clone)]
pub struct Job<'policy> {
    /// Its name.
    pub policy: Arc<str>,
    /// When it runs.
    pub schedule: &'policy Schedule,
    /// When this schedule was first seen. Kept with the runs, so that an outage does not move it.
    pub known_since: Timestamp,
    /// When its last run started, by hand or by itself, however it ended.
    pub last_started: Option<Timestamp>,
    /// Whether that run is still under way.
    pub is_running: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What starts now, the longest overdue first.
    pub start: Vec<Start>,
    /// When to ask again, if nothing else gives reason to; always later than now. None: nothing is scheduled that does not wait for the
    /// end of a run.
    pub wake_at: Option<Timestamp>,
}

/// A policy's next run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start {
    /// When it starts, or should have started.
    pub at: Timestamp,
    /// The policy's name.
    pub policy: Arc<str>,
    /// The scheduled time for which it starts: the first one that no run has covered.
    pub due: Timestamp,
}

/// Decides what starts now. The seed keeps the starts of several daemons apart.
pub fn decide(jobs: &[Job<'_>], now: Timestamp, seed: u64) -> Decision {
    // What is running is asked about again when it has ended.
    let idle = jobs.iter().filter(|job| !job.is_running);
    let starts: BTreeSet<Start> = idle.filter_map(|job| next_start(job, now, seed)).collect();
    let wake_at = starts.iter().map(|start| start.at).find(|at| now < *at);
    Decision { start: starts.into_iter().filter(|start| start.at <= now).collect(), wake_at }
}

/// When the policy starts next, were it idle: now or earlier means that it is due. None: its schedule has no time to come.
pub fn next_start(job: &Job<'_>, now: Timestamp, seed: u64) -> Option<Start> {
    let Job { policy, schedule, known_since, last_started, is_running: _ } = job;
    let latest = now.checked_add(CLOCK_SET_BACK_MAX).unwrap_or(now);
    let believed = |recorded: Timestamp| if latest < recorded { now } else { recorded };
    let covered = last_started.map_or(believed(*known_since), |started| believed(started).max(believed(*known_since)));
    let due = schedule.next(covered)?;
    let wait = jitter(schedule, policy, due, seed);
    let planned = spread(schedule, schedule.opens(due)?, wait);
    let at = if now < planned {
        planned
    } else if schedule.allows(now).is_err() {
        spread(schedule, schedule.opens(now)?, wait)
    } else {
        // Overdue. When a window has closed and opened since, every policy that waited for it would start at its opening.
        schedule.opened(now).filter(|opened| planned < *opened).map_or(planned, |opened| spread(schedule, opened, wait))
    };
    Some(Start { at, policy: policy.clone(), due })
}

/// The instant after the wait, unless it is outside of the windows again.
fn spread(schedule: &Schedule, instant: Timestamp, wait: SignedDuration) -> Timestamp {
    instant.checked_add(wait).ok().filter(|later| schedule.allows(*later).is_ok()).unwrap_or(instant)
}

/// How long the run that is due then waits, in whole milliseconds.
fn jitter(schedule: &Schedule, policy: &str, due: Timestamp, seed: u64) -> SignedDuration {
    let interval = schedule.next(due).map_or(SignedDuration::ZERO, |next| next.duration_since(due));
    let most = (interval / JITTER_INTERVALS).min(JITTER_MAX).as_millis();
    let drawn = u64::try_from(most).map_or(0, |most| mix(seed, policy, due) % (most + 1));
    SignedDuration::from_millis(i64::try_from(drawn).unwrap_or_default())
}

/// FNV-1a over the parts, with a last mixing so that every bit counts: nothing here needs to be secret, only the same in every version.
fn mix(seed: u64, policy: &str, due: Timestamp) -> u64 {
    let parts = seed.to_be_bytes().into_iter().chain(due.as_second().to_be_bytes()).chain(policy.bytes());
    let hash = parts.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}
