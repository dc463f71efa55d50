//! What a client has done so far, in numbers. Does not publish them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::error::Operation;

/// Attempts counted by operation and status; what the answers told besides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Attempts by operation and HTTP status, retries included; None: no answer came.
    pub attempts: BTreeMap<(Operation, Option<u16>), u64>,
    /// Attempts that were repetitions of an earlier one.
    pub retries: u64,
    /// The latest `x-ms-ratelimit-remaining-calls-per-second` of a delete.
    pub remaining_deletes_per_second: Option<f64>,
    /// The registry's clock minus ours at the latest answer, to the second.
    pub clock_offset: Option<SignedDuration>,
}

impl Statistics {
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
            let remaining = headers.get("x-ms-ratelimit-remaining-calls-per-second").and_then(|value| value.to_str().ok()?.parse().ok());
            statistics.remaining_deletes_per_second = remaining.or(statistics.remaining_deletes_per_second);
        }
    }

    /// A poisoned lock still holds whole numbers.
    fn lock(&self) -> MutexGuard<'_, Statistics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
