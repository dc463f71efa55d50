//! What a client has done so far, in numbers. Does not publish them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::error::Operation;

/// Up to how long attempts of each bucket took. ACR answers most requests within 100 ms; 30 s is when an attempt is given up.
pub const LATENCY_BOUNDS: [Duration; 10] = [
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// Attempts counted by operation and status; what the answers told besides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Attempts by operation and HTTP status, retries included; None: no answer came.
    pub attempts: BTreeMap<(Operation, Option<u16>), u64>,
    /// How long attempts took, from the moment that there was a free place to the last byte of the answer.
    pub latencies: BTreeMap<Operation, Latencies>,
    /// Tokens asked from the identity provider (Microsoft Entra or the endpoint of the machine), before any request to the registry.
    pub identity: Asked,
    /// Attempts that were repetitions of an earlier one.
    pub retries: u64,
    /// The latest `x-ms-ratelimit-remaining-calls-per-second` of a delete.
    pub remaining_deletes_per_second: Option<f64>,
    /// The registry's clock minus ours at the latest answer, to the second.
    pub clock_offset: Option<SignedDuration>,
}

/// How long attempts took, counted in buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Attempts that took at most as long as the bound of [`LATENCY_BOUNDS`] in the same place, and longer than the one before; the
    /// last place counts those beyond all bounds.
    pub buckets: [u64; LATENCY_BOUNDS.len() + 1],
    /// All attempts together.
    pub total: Duration,
}

/// How often something was asked for, and how often in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// All times.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
}

impl Latencies {
    fn note(&mut self, took: Duration) {
        self.buckets[LATENCY_BOUNDS.partition_point(|bound| *bound < took)] += 1;
        self.total += took;
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut buckets = self.buckets;
        buckets.iter_mut().zip(earlier.buckets).for_each(|(count, before)| *count = count.saturating_sub(before));
        Self { buckets, total: self.total.saturating_sub(earlier.total) }
    }
}

impl Statistics {
    /// What was counted since an earlier look at the same client; what is no count is as it is now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let Self { attempts, latencies, identity, retries, remaining_deletes_per_second, clock_offset } = self;
        let attempts = attempts.iter().map(|(key, count)| (*key, count.saturating_sub(earlier.attempts.get(key).copied().unwrap_or(0))));
        let latencies = latencies
            .iter()
            .map(|(operation, latencies)| (*operation, latencies.since(&earlier.latencies.get(operation).copied().unwrap_or_default())));
        Self {
            attempts: attempts.filter(|(_, count)| *count != 0).collect(),
            latencies: latencies.filter(|(_, latencies)| *latencies != Latencies::default()).collect(),
            identity: Asked {
                requests: identity.requests.saturating_sub(earlier.identity.requests),
                failures: identity.failures.saturating_sub(earlier.identity.failures),
            },
            retries: retries.saturating_sub(earlier.retries),
            remaining_deletes_per_second: *remaining_deletes_per_second,
            clock_offset: *clock_offset,
        }
    }

    /// Whether the registry has accepted the credential: it gave a token, or answered without one.
    pub fn signed_in(&self) -> bool {
        self.attempts.keys().any(|(_, status)| *status == Some(200))
    }

    /// All attempts of an operation.
    pub fn attempts_of(&self, operation: Operation) -> u64 {
        let first = (operation, None);
        self.attempts.range(first..).take_while(|((of, _), _)| *of == operation).map(|(_, count)| count).sum()
    }
}

/// The counters of a living client.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Statistics>);

impl Counters {
    pub(super) fn read(&self) -> Statistics {
        self.lock().clone()
    }

    pub(super) fn count(&self, operation: Operation, status: Option<u16>) {
        *self.lock().attempts.entry((operation, status)).or_default() += 1;
    }

    pub(super) fn time(&self, operation: Operation, took: Duration) {
        self.lock().latencies.entry(operation).or_default().note(took);
    }

    pub(super) fn count_identity(&self, answered: bool) {
        let identity = &mut self.lock().identity;
        identity.requests += 1;
        identity.failures += u64::from(!answered);
    }

    pub(super) fn count_retry(&self) {
        self.lock().retries += 1;
    }

    /// Takes note of what an answer's headers tell about the registry.
    pub(super) fn note(&self, operation: Operation, headers: &http::HeaderMap, now: Timestamp) {
        if operation == Operation::GetBlob {
            // It may have come from the storage, whose clock is another.
            return;
        }
        let mut statistics = self.lock();
        if let Some(date) = headers.get(http::header::DATE).and_then(|date| super::retry::http_date(date.to_str().ok()?)) {
            statistics.clock_offset = Some(SignedDuration::from_secs(date.as_second() - now.as_second()));
        }
        if matches!(operation, Operation::DeleteManifest | Operation::DeleteTag | Operation::DeleteRepository) {
            statistics.remaining_deletes_per_second = remaining_calls(headers).or(statistics.remaining_deletes_per_second);
        }
    }

    /// A poisoned lock still holds whole numbers.
    fn lock(&self) -> MutexGuard<'_, Statistics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many calls a second are left to the identity. ACR says so with deletions and with tokens.
pub(super) fn remaining_calls(headers: &http::HeaderMap) -> Option<f64> {
    headers.get("x-ms-ratelimit-remaining-calls-per-second")?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_falls_into_the_first_bucket_that_holds_it() {
        let mut latencies = Latencies::default();
        for milliseconds in [0, 25, 26, 30_000, 30_001] {
            latencies.note(Duration::from_millis(milliseconds));
        }
        assert_eq!(latencies.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(latencies.total, Duration::from_millis(60_052));
    }

    #[test]
    fn a_later_look_tells_only_what_is_new() {
        let counters = Counters::default();
        counters.count(Operation::ListTags, Some(200));
        counters.count(Operation::GetTag, Some(404));
        counters.time(Operation::ListTags, Duration::from_millis(80));
        counters.count_identity(true);
        let earlier = counters.read();
        assert_eq!(earlier.since(&earlier), Statistics::default());
        counters.count(Operation::ListTags, Some(200));
        counters.time(Operation::ListTags, Duration::from_millis(20));
        counters.count_identity(false);
        counters.count_retry();
        let since = counters.read().since(&earlier);
        assert_eq!(since.attempts, BTreeMap::from([((Operation::ListTags, Some(200)), 1)]));
        assert_eq!(since.latencies[&Operation::ListTags].total, Duration::from_millis(20));
        assert_eq!(since.latencies[&Operation::ListTags].buckets[..3], [1, 0, 0]);
        assert_eq!((since.identity, since.retries), (Asked { requests: 1, failures: 1 }, 1));
    }
}
