//! When to try again: the retry budget, pauses that everyone keeps, `Retry-After` and back-off. Sends nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use tokio::time::Instant;

use super::error::Operation;
use super::limits::{BACKOFF_FIRST, BACKOFF_MAX, PAUSE_SPREAD, RETRY_AFTER_MAX, RETRY_AFTER_MIN, RETRY_BURST, SUCCESSES_PER_RETRY};

/// Retries that may still be done. One budget per client, so that a registry in trouble is not asked ten times as much.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// In units of one success.
    credit: Mutex<u32>,
}

impl RetryBudget {
    const FULL: u32 = RETRY_BURST * SUCCESSES_PER_RETRY;

    pub(super) const fn new() -> Self {
        Self { credit: Mutex::new(Self::FULL) }
    }

    /// Takes one retry, if there is one left.
    pub(super) fn take(&self) -> bool {
        let mut credit = lock(&self.credit);
        let Some(rest) = credit.checked_sub(SUCCESSES_PER_RETRY) else { return false };
        *credit = rest;
        true
    }

    /// A success pays a part of a retry back.
    pub(super) fn refill(&self) {
        let mut credit = lock(&self.credit);
        *credit = Self::FULL.min(*credit + 1);
    }
}

/// Requests that the registry throttles together. The order is that of [`super::budget::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VerbClass {
    Read,
    /// Whatever changes something and deletes nothing.
    Write,
    Delete,
    Token,
}

impl VerbClass {
    pub(super) const fn of(operation: Operation) -> Self {
        match operation {
            Operation::ExchangeToken | Operation::GetToken => Self::Token,
            Operation::DeleteRepository
            | Operation::DeleteTag
            | Operation::DeleteManifest
            | Operation::DeleteBlob
            | Operation::CancelUpload => Self::Delete,
            Operation::UpdateRepository
            | Operation::UpdateTag
            | Operation::UpdateManifest
            | Operation::PutManifest
            | Operation::StartUpload
            | Operation::UploadChunk
            | Operation::FinishUpload
            | Operation::RestoreManifest => Self::Write,
            Operation::ListRepositories
            | Operation::GetRepository
            | Operation::ListTags
            | Operation::GetTag
            | Operation::ListManifests
            | Operation::GetManifestProperties
            | Operation::GetManifest
            | Operation::GetBlob
            | Operation::GetUpload
            | Operation::ListDeletedRepositories
            | Operation::ListDeletedManifests
            | Operation::ListDeletedTags => Self::Read,
        }
    }
}

/// Until when each class of requests rests. One throttled request makes all others of its class wait too.
#[derive(Debug, Default)]
pub(super) struct Pauses([Mutex<Option<Instant>>; 4]);

impl Pauses {
    /// Lets the class rest for at least `duration` from now. Returns whether it was not resting already.
    pub(super) fn pause(&self, class: VerbClass, duration: Duration) -> bool {
        let now = Instant::now();
        let mut pause = lock(self.of(class));
        let was_awake = pause.is_none_or(|until| until <= now);
        *pause = Some(pause.map_or(now + duration, |earlier| earlier.max(now + duration)));
        was_awake
    }

    /// Waits until the class may go on. `share` (0 to 1) spreads those who wait over a moment.
    pub(super) async fn wait(&self, class: VerbClass, share: f64) {
        loop {
            let until = *lock(self.of(class));
            match until {
                Some(until) if Instant::now() < until => tokio::time::sleep_until(until + PAUSE_SPREAD.mul_f64(share)).await,
                Some(_) | None => return,
            }
        }
    }

    fn of(&self, class: VerbClass) -> &Mutex<Option<Instant>> {
        &self.0[class as usize]
    }
}

/// How long an answer asks to wait, within reason. None: it does not say.
///
/// A date counts from the answer's own `Date`, so that our clock does not matter; `now` stands in where that is missing.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() => return None,
        Ok(seconds) => seconds,
        Err(_) => {
            let sent_at = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?)).unwrap_or(now);
            (http_date(text)?.as_second() - sent_at.as_second()) as f64
        }
    };
    let seconds = seconds.clamp(RETRY_AFTER_MIN.as_secs_f64(), RETRY_AFTER_MAX.as_secs_f64());
    Some(Duration::from_secs_f64(seconds))
}

/// Reads the date format of HTTP headers, `Wed, 08 Mar 2023 01:34:04 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// Full jitter: anywhere between nothing and an exponentially growing bound. `attempt` counts from 1, `share` is random in 0 to 1.
pub(super) fn backoff(attempt: u32, share: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    BACKOFF_MAX.min(BACKOFF_FIRST * 2_u32.pow(doublings)).mul_f64(share)
}

/// What the mutexes here hold is whole at any moment, so that a panic elsewhere cannot spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(retry_after_text: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after_text.parse().expect("a header"));
        if let Some(date) = date {
            headers.insert(DATE, date.parse().expect("a header"));
        }
        let now = "2023-03-08T01:34:00Z".parse().expect("a time");
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_within_reason() {
        assert_eq!(waits("7", None), Some(7));
        assert_eq!(waits("0", None), Some(1));
        assert_eq!(waits("-5", None), Some(1));
        assert_eq!(waits("1000000000", None), Some(120));
        assert_eq!(waits("inf", None), Some(120));
        assert_eq!(waits("NaN", None), None);
        assert_eq!(waits("soon", None), None);
        assert_eq!(waits("Wed, 08 Mar 2023 01:34:10 GMT", None), Some(10));
        assert_eq!(waits("Wed, 08 Mar 2023 01:34:10 GMT", Some("Wed, 08 Mar 2023 01:34:04 GMT")), Some(6));
        assert_eq!(waits("Wed, 08 Mar 2000 01:34:10 GMT", None), Some(1));
    }

    #[test]
    fn the_budget_ends_and_successes_pay_it_back() {
        let budget = RetryBudget::new();
        assert_eq!((0..1000).filter(|_| budget.take()).count(), RETRY_BURST as usize);
        for _ in 0..SUCCESSES_PER_RETRY {
            assert!(!budget.take());
            budget.refill();
        }
        assert!(budget.take());
        assert!(!budget.take());
    }

    #[test]
    fn back_off_grows_to_its_bound() {
        assert_eq!(backoff(1, 1.0), BACKOFF_FIRST);
        assert_eq!(backoff(3, 1.0), BACKOFF_FIRST * 4);
        assert_eq!(backoff(40, 1.0), BACKOFF_MAX);
        assert_eq!(backoff(40, 0.0), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_its_class_alone() {
        let pauses = Pauses::default();
        let start = Instant::now();
        assert!(pauses.pause(VerbClass::Write, Duration::from_secs(50)));
        assert!(!pauses.pause(VerbClass::Write, Duration::from_secs(5)));
        pauses.wait(VerbClass::Read, 0.0).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        pauses.wait(VerbClass::Write, 0.0).await;
        assert_eq!(start.elapsed().as_secs(), 50);
    }
}
