//! How much a registry lets through: a token bucket for each kind of request, one of the registry and one of each identity. Knows its own
//! clock only through the times that it is told.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use ::http::header::RETRY_AFTER;
use ::http::{HeaderName, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::answer::Answer;
use super::route::Route;

/// A service tier, for its documented limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sku {
    /// The cheapest; its limits are those of Standard.
    Basic,
    /// The middle one.
    Standard,
    /// The largest.
    Premium,
}

impl FromStr for Sku {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "basic" => Ok(Self::Basic),
            "standard" => Ok(Self::Standard),
            "premium" => Ok(Self::Premium),
            other => Err(format!("{other:?} is no service tier: write basic, standard or premium")),
        }
    }
}

/// How many calls a minute are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Of everybody together.
    pub registry: u32,
    /// Of one identity; `None` where identities have no limit of their own.
    pub identity: Option<u32>,
}

/// The limits of a registry, and how it says that they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// GET and HEAD.
    pub read: Allowance,
    /// PUT, PATCH and POST.
    pub write: Allowance,
    /// DELETE.
    pub delete: Allowance,
    /// The referrers of a manifest; each of these requests counts as a read as well.
    pub referrers: Allowance,
    /// The token service.
    pub token: Allowance,
    /// What the first 429 says in `Retry-After`. Until it is over all requests of that kind are refused, and each is told what is left of it.
    /// Zero: only what the bucket lacks is refused, and told the whole seconds until it has it.
    pub wait: SignedDuration,
    /// Whether a 429 carries the remaining calls, as deletions do. Unknown.
    pub told_when_refused: bool,
    /// Whether a 429 explains itself in JSON or has no body. Unknown.
    pub explained: bool,
}

impl Throttle {
    /// What Microsoft documents (Service tiers, 2026-03).
    pub const fn of(sku: Sku) -> Self {
        const fn allowance(registry: u32, identity: u32) -> Allowance {
            Allowance { registry, identity: Some(identity) }
        }
        let (read, write, delete, referrers, token) = match sku {
            Sku::Basic | Sku::Standard => {
                (allowance(10_000, 5_000), allowance(2_000, 1_000), allowance(1_000, 500), allowance(500, 250), 10_000)
            }
            Sku::Premium => (allowance(20_000, 10_000), allowance(4_000, 2_000), allowance(4_000, 2_000), allowance(2_000, 1_000), 20_000),
        };
        let token = Allowance { registry: token, identity: None };
        Self { read, write, delete, referrers, token, wait: WAIT_DEFAULT, told_when_refused: false, explained: true }
    }

    fn allowance(&self, class: Class) -> Allowance {
        match class {
            Class::Read => self.read,
            Class::Write => self.write,
            Class::Delete => self.delete,
            Class::Referrers => self.referrers,
            Class::Token => self.token,
        }
    }

    /// The answer to a request that is too much.
    pub(crate) fn refusal(&self, refused: &Refused) -> Answer {
        let answer = if self.explained {
            Answer::error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many requests, retry after the time in Retry-After")
        } else {
            Answer::empty(StatusCode::TOO_MANY_REQUESTS)
        };
        let answer = answer.with(RETRY_AFTER, &refused.seconds.to_string());
        if self.told_when_refused { answer.with(REMAINING_CALLS, "0.000000") } else { answer }
    }
}

/// What the documentation shows: `Retry-After` begins at a minute and counts down.
const WAIT_DEFAULT: SignedDuration = SignedDuration::from_secs(60);

/// How many calls a second are left, by the header's name.
pub(crate) const REMAINING_CALLS: HeaderName = HeaderName::from_static("x-ms-ratelimit-remaining-calls-per-second");

/// The kinds of requests that are limited each on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Read,
    Write,
    Delete,
    Referrers,
    Token,
}

impl Class {
    /// The kinds that a request counts as.
    pub(crate) fn of(route: &Route, method: &Method) -> &'static [Self] {
        if matches!(route, Route::Exchange | Route::Token) {
            &[Self::Token]
        } else if matches!(route, Route::Stored { .. } | Route::Requests) {
            &[]
        } else if matches!(route, Route::Referrers { .. }) {
            &[Self::Referrers, Self::Read]
        } else if *method == Method::DELETE {
            &[Self::Delete]
        } else if *method == Method::GET || *method == Method::HEAD {
            &[Self::Read]
        } else {
            &[Self::Write]
        }
    }
}

/// What is left after a request was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Of the bucket that holds least, in [`UNITS_PER_CALL`].
    units: u64,
}

impl Left {
    /// As the token service writes it: `166.65` of 10,000 calls a minute after the first, which shows that a bucket holds a minute's calls.
    pub(crate) fn for_tokens(self) -> String {
        let per_second = self.units as f64 / UNITS_PER_CALL as f64 / 60.0;
        format!("{per_second:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// As deletions write it: in whole calls, `8.000000` of 500 a minute.
    pub(crate) fn for_deletions(self) -> String {
        format!("{}.000000", self.units / UNITS_PER_CALL / 60)
    }
}

/// A request was too much, and this many seconds are to pass before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) seconds: i64,
}

/// What one call takes from a bucket: the microseconds of a minute, so that a bucket of N calls a minute gains N units each microsecond.
const UNITS_PER_CALL: u64 = 60_000_000;

/// The most identities that are told apart; buckets that are full again are forgotten beyond it.
const BUCKETS_MAX: usize = 10_000;

#[derive(Debug)]
struct Bucket {
    units: u64,
    calls_per_minute: u32,
    at: Timestamp,
    closed_until: Option<Timestamp>,
}

impl Bucket {
    fn new(calls_per_minute: u32, at: Timestamp) -> Self {
        Self { units: u64::from(calls_per_minute) * UNITS_PER_CALL, calls_per_minute, at, closed_until: None }
    }

    fn is_full(&self) -> bool {
        self.units == u64::from(self.calls_per_minute) * UNITS_PER_CALL
    }

    /// Adds what has flowed in. A clock that was turned back adds nothing.
    fn fill(&mut self, now: Timestamp) {
        let elapsed = u64::try_from(now.duration_since(self.at).as_micros()).unwrap_or(0).min(UNITS_PER_CALL);
        let calls = u64::from(self.calls_per_minute);
        self.units = (self.units + elapsed * calls).min(calls * UNITS_PER_CALL);
        self.at = now;
        self.closed_until = self.closed_until.filter(|until| now < *until);
    }

    /// Whether a call is let through, or how long it has to wait.
    fn ask(&mut self, now: Timestamp, wait: SignedDuration) -> Result<(), Refused> {
        self.fill(now);
        if self.closed_until.is_none() && UNITS_PER_CALL <= self.units {
            return Ok(());
        }
        if wait.is_zero() {
            let microseconds = (UNITS_PER_CALL - self.units.min(UNITS_PER_CALL)).div_ceil(u64::from(self.calls_per_minute.max(1)));
            return Err(Refused { seconds: i64::try_from(microseconds.div_ceil(1_000_000)).unwrap_or(i64::MAX).max(1) });
        }
        let until = *self.closed_until.get_or_insert_with(|| now.checked_add(wait).unwrap_or(now));
        let left = until.duration_since(now);
        Err(Refused { seconds: (left.as_secs() + i64::from(0 < left.subsec_nanos())).max(1) })
    }
}

/// The buckets of a registry.
#[derive(Debug, Default)]
pub(crate) struct Buckets(HashMap<(Class, Option<Arc<str>>), Bucket>);

impl Buckets {
    /// Takes a call of each class from the registry's and the identity's bucket, or from none of them.
    pub(crate) fn take(&mut self, throttle: &Throttle, classes: &[Class], identity: &str, now: Timestamp) -> Result<Left, Refused> {
        if BUCKETS_MAX < self.0.len() {
            self.0.retain(|_, bucket| {
                bucket.fill(now);
                !bucket.is_full()
            });
        }
        let identity: Arc<str> = identity.into();
        let keys = classes.iter().flat_map(|class| {
            let Allowance { registry, identity: own } = throttle.allowance(*class);
            [Some(((*class, None), registry)), own.map(|calls| ((*class, Some(Arc::clone(&identity))), calls))].into_iter().flatten()
        });
        let keys: Vec<_> = keys.collect();
        for (key, calls_per_minute) in &keys {
            let bucket = self.0.entry(key.clone()).or_insert_with(|| Bucket::new(*calls_per_minute, now));
            bucket.ask(now, throttle.wait)?;
        }
        let mut least = u64::MAX;
        for (key, _) in &keys {
            if let Some(bucket) = self.0.get_mut(key) {
                bucket.units -= UNITS_PER_CALL;
                least = least.min(bucket.units);
            }
        }
        Ok(Left { units: least })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    #[test]
    fn the_recorded_numbers_come_out() {
        for (sku, tokens, deletions) in [(Sku::Standard, "166.65", "8.000000"), (Sku::Premium, "333.316667", "33.000000")] {
            let mut buckets = Buckets::default();
            let throttle = Throttle::of(sku);
            assert_eq!(buckets.take(&throttle, &[Class::Token], "me", second(0)).unwrap().for_tokens(), tokens);
            let left = |buckets: &mut Buckets| buckets.take(&throttle, &[Class::Delete], "me", second(0)).unwrap().for_deletions();
            assert_eq!(left(&mut buckets), deletions);
            let after_thirty = (0..30).map(|_| left(&mut buckets)).last().unwrap();
            assert_eq!(after_thirty, if sku == Sku::Standard { "7.000000" } else { "32.000000" });
        }
    }

    #[test]
    fn a_bucket_empties_closes_and_opens() {
        let mut buckets = Buckets::default();
        let throttle = Throttle::of(Sku::Basic);
        let mut delete = |identity: &str, at: i64| buckets.take(&throttle, &[Class::Delete], identity, second(at)).map(drop);
        for _ in 0..500 {
            delete("me", 0).unwrap();
        }
        assert_eq!(delete("me", 0), Err(Refused { seconds: 60 }));
        assert_eq!(delete("me", 10), Err(Refused { seconds: 50 }), "it counts down although calls have flowed in");
        assert_eq!(delete("you", 10), Ok(()), "another identity has a bucket of its own");
        assert_eq!(delete("me", 60), Ok(()));
        for _ in 0..500 {
            let _ = delete("you", 70);
            let _ = delete("we", 70);
        }
        assert!(delete("they", 70).is_err(), "the registry's own bucket is empty");
    }

    #[test]
    fn without_a_wait_only_what_is_lacking_is_waited_for() {
        let mut buckets = Buckets::default();
        let slow = Allowance { registry: 10, identity: Some(6) };
        let throttle = Throttle { delete: slow, wait: SignedDuration::ZERO, ..Throttle::of(Sku::Basic) };
        let mut delete = |at: i64| buckets.take(&throttle, &[Class::Delete], "me", second(at)).map(drop);
        for _ in 0..6 {
            delete(0).unwrap();
        }
        assert_eq!(delete(0), Err(Refused { seconds: 10 }));
        assert_eq!(delete(9), Err(Refused { seconds: 1 }));
        assert_eq!(delete(10), Ok(()));
        assert_eq!(delete(10), Err(Refused { seconds: 10 }));
    }
}
