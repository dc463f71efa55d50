//! How much of a registry's limits this program takes: one budget for each kind of request, shared by everyone here who asks the
//! registry, so that production pulls, which draw from the same limits, are not starved. Sends nothing and counts no successes.
//!
//! ACR lets each identity make so many calls a minute and lets a minute's worth of them gather. A budget does the same with its share
//! of it. It is lowered when the registry refuses (429) or says that little is left, and grows back when it does not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::{
    BUCKET_RESERVE, BUCKET_RESERVE_MIN_CALLS, BUDGET_EASE, BUDGET_EASE_EVERY, BUDGET_GROWTH, BUDGET_GROWTH_EVERY, BUDGET_SHRINK,
    CALLS_PER_SECOND_MIN, RATE_MARGIN,
};
use super::retry::{Pauses, VerbClass};

/// What a registry lets one identity do, in calls a minute (Microsoft Learn, Azure Container Registry service tiers, March 2026).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Reads.
    pub reads: u32,
    /// Changes that delete nothing.
    pub writes: u32,
    /// Deletions.
    pub deletes: u32,
    /// Tokens; of all identities together.
    pub tokens: u32,
}

/// What may be taken of a registry's limits. Cheap to clone; clones take from the same.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    /// None: whatever the registry bears.
    buckets: Option<[Mutex<Bucket>; 4]>,
    pauses: Pauses,
}

/// A place to queue in. Each queue puts forward one request at a time, so that one with a thousand waiting takes turns with one that has
/// a single request.
#[derive(Default)]
pub(super) struct Queue([tokio::sync::Mutex<()>; 4]);

/// What is left of a budget.
#[derive(Debug)]
struct Bucket {
    /// Of the limit, what may be taken.
    share: f64,
    /// The most calls a second that are taken.
    ceiling: f64,
    /// The calls a second that are taken at the moment.
    rate: f64,
    /// Calls that may be made at once. Below zero: calls that wait for their time.
    calls: f64,
    /// When `calls` was true. None: nothing was asked yet.
    at: Option<Instant>,
    /// When the rate was last changed, if it is below its ceiling.
    lowered_at: Option<Instant>,
    /// When it was last lowered because little was left.
    eased_at: Option<Instant>,
}

impl Limits {
    /// Of the tiers Basic and Standard.
    pub const STANDARD: Self = Self { reads: 5_000, writes: 1_000, deletes: 500, tokens: 10_000 };
    /// Of the tier Premium.
    pub const PREMIUM: Self = Self { reads: 10_000, writes: 2_000, deletes: 2_000, tokens: 20_000 };
}

impl Budget {
    /// A share of the limits, 1 to 100 percent.
    pub fn new(limits: Limits, share_percent: u8) -> Self {
        let Limits { reads, writes, deletes, tokens } = limits;
        let share = f64::from(share_percent.clamp(1, 100)) / 100.0;
        // In the order of `VerbClass`.
        let buckets = [reads, writes, deletes, tokens].map(|per_minute| Mutex::new(Bucket::new(per_minute, share)));
        Self(Arc::new(Shared { buckets: Some(buckets), pauses: Pauses::default() }))
    }

    /// Everything that the registry bears: for one on this machine, where nobody else asks.
    pub fn unlimited() -> Self {
        Self(Arc::new(Shared { buckets: None, pauses: Pauses::default() }))
    }

    /// Waits for the turn of a request of this kind. `spread`, 0 to 1, puts those who waited for the same moment apart.
    pub(super) async fn wait(&self, queue: &Queue, class: VerbClass, spread: f64) {
        if self.0.buckets.is_some() {
            let _first_in_queue = queue.0[class as usize].lock().await;
            if let Some(turn) = self.bucket(class).and_then(|mut bucket| bucket.take(Instant::now())) {
                tokio::time::sleep(turn).await;
            }
        }
        self.0.pauses.wait(class, spread).await;
    }

    /// Takes note that the registry refused a request and asked to wait so long. Whatever was on its way then is refused as well: one
    /// refusal, not ten.
    pub(super) fn refused(&self, class: VerbClass, pause: Duration) {
        let is_news = self.0.pauses.pause(class, pause);
        if let Some(mut bucket) = self.bucket(class).filter(|_| is_news) {
            bucket.shrink(Instant::now());
            let per_minute = (bucket.rate * 60.0).round();
            tracing::info!(?class, per_minute, "the registry refuses requests: fewer are made for a while");
        }
    }

    /// Takes note of how many calls a second are left to this identity, by the registry's own account.
    pub(super) fn told(&self, class: VerbClass, calls_per_second_left: f64) {
        if let Some(mut bucket) = self.bucket(class).filter(|_| calls_per_second_left.is_finite() && 0.0 <= calls_per_second_left) {
            bucket.told(calls_per_second_left, Instant::now());
        }
    }

    fn bucket(&self, class: VerbClass) -> Option<MutexGuard<'_, Bucket>> {
        // What is held is whole at any moment, so that a panic elsewhere cannot spoil it.
        Some(self.0.buckets.as_ref()?[class as usize].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.buckets.is_some() { "Budget" } else { "Budget(unlimited)" })
    }
}

impl Bucket {
    fn new(per_minute: u32, share: f64) -> Self {
        let ceiling = f64::from(per_minute) / 60.0 * share * RATE_MARGIN;
        let mut bucket = Self { share, ceiling, rate: ceiling, calls: 0.0, at: None, lowered_at: None, eased_at: None };
        bucket.calls = bucket.most();
        bucket
    }

    /// The calls that may gather: the share of what gathers in the registry's bucket, a minute's calls, without its reserve.
    fn most(&self) -> f64 {
        let gathered = self.ceiling / RATE_MARGIN / self.share * 60.0;
        ((gathered - (gathered * BUCKET_RESERVE).max(BUCKET_RESERVE_MIN_CALLS)) * self.share).max(1.0)
    }

    /// Takes one call, and how long it has to wait for its turn. None: it need not wait.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        self.fill(now);
        self.calls -= 1.0;
        (self.calls < 0.0).then(|| Duration::from_secs_f64(-self.calls / self.rate))
    }

    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(*self.at.get_or_insert(now));
        self.at = Some(now);
        self.calls = (self.calls + since.as_secs_f64() * self.rate).min(self.most());
        while let Some(lowered_at) = self.lowered_at.filter(|at| BUDGET_GROWTH_EVERY <= now.saturating_duration_since(*at)) {
            self.rate = (self.rate + self.ceiling * BUDGET_GROWTH).min(self.ceiling);
            self.lowered_at = (self.rate < self.ceiling).then(|| lowered_at + BUDGET_GROWTH_EVERY);
        }
    }

    fn shrink(&mut self, now: Instant) {
        self.fill(now);
        self.rate = (self.rate * BUDGET_SHRINK).max(CALLS_PER_SECOND_MIN);
        self.calls = self.calls.min(0.0);
        self.lowered_at = Some(now);
    }

    /// Believes the registry.
    ///
    /// 1. Less left than thought: others take their part, and fewer calls are made at once.
    /// 2. Next to nothing left: more is taken than flows in, whoever takes it, and this program is the one that can wait.
    /// 3. More left than the limit: the limit is higher than thought.
    fn told(&mut self, left_per_second: f64, now: Instant) {
        // It is a minute's calls in calls a second, rounded down: half of one is added back.
        let left = (left_per_second + 0.5) * 60.0 * self.share;
        self.calls = self.calls.min(left);
        if left_per_second < 1.0 && self.eased_at.is_none_or(|at| BUDGET_EASE_EVERY <= now.saturating_duration_since(at)) {
            self.fill(now);
            self.rate = (self.rate * BUDGET_EASE).max(CALLS_PER_SECOND_MIN);
            (self.lowered_at, self.eased_at) = (Some(now), Some(now));
        }
        let ceiling = left_per_second * self.share * RATE_MARGIN;
        if self.ceiling < ceiling {
            self.ceiling = ceiling;
            self.lowered_at = self.at.filter(|_| self.rate < ceiling);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete_rate(budget: &Budget) -> f64 {
        budget.bucket(VerbClass::Delete).expect("a bucket").rate * 60.0
    }

    async fn calls(budget: &Budget, queue: &Queue, count: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..count {
            budget.wait(queue, VerbClass::Delete, 0.0).await;
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_a_minute_goes_at_once_and_the_rest_at_its_rate() {
        let (budget, queue) = (Budget::new(Limits::STANDARD, 50), Queue::default());
        assert_eq!(calls(&budget, &queue, 215).await, Duration::ZERO);
        let rest = calls(&budget, &queue, 245).await;
        assert!((59..=62).contains(&rest.as_secs()), "245 a minute: {rest:?}");
        assert_eq!(calls(&Budget::unlimited(), &queue, 10_000).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_halves_the_rate_once_and_it_grows_back() {
        let (budget, queue) = (Budget::new(Limits::STANDARD, 100), Queue::default());
        calls(&budget, &queue, 1).await;
        let full = delete_rate(&budget);
        for _ in 0..16 {
            budget.refused(VerbClass::Delete, Duration::from_secs(60));
        }
        assert!((delete_rate(&budget) - full / 2.0).abs() < 0.01, "sixteen on their way are one refusal");
        assert!(60 <= calls(&budget, &queue, 1).await.as_secs(), "it rests as long as it was asked to");
        tokio::time::sleep(Duration::from_secs(600)).await;
        calls(&budget, &queue, 1).await;
        assert!((delete_rate(&budget) - full).abs() < 0.01, "{}", delete_rate(&budget));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_end_leave_a_trickle() {
        let (budget, queue) = (Budget::new(Limits::STANDARD, 1), Queue::default());
        for _ in 0..50 {
            budget.refused(VerbClass::Delete, Duration::from_secs(1));
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        assert!(calls(&budget, &queue, 1).await < Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_registry_says_is_left_is_believed() {
        let (budget, queue) = (Budget::new(Limits::STANDARD, 50), Queue::default());
        budget.told(VerbClass::Delete, 0.0);
        assert_eq!(calls(&budget, &queue, 15).await, Duration::ZERO);
        assert!(Duration::ZERO < calls(&budget, &queue, 1).await, "others have taken what had gathered");
        assert!((delete_rate(&budget) - 245.0 * 0.9).abs() < 0.01, "eased: {}", delete_rate(&budget));
        budget.told(VerbClass::Delete, 33.0);
        tokio::time::sleep(Duration::from_secs(600)).await;
        calls(&budget, &queue, 1).await;
        assert!(900.0 < delete_rate(&budget), "it is a Premium registry: {}", delete_rate(&budget));
        budget.told(VerbClass::Delete, f64::NAN);
        budget.told(VerbClass::Delete, -1.0);
        assert_eq!(calls(&budget, &queue, 100).await, Duration::ZERO, "nonsense is not believed");
    }

    #[tokio::test(start_paused = true)]
    async fn queues_take_turns_however_long_they_are() {
        let budget = Budget::new(Limits::STANDARD, 50);
        let (long, short) = (Queue::default(), Queue::default());
        calls(&budget, &long, 215).await;
        let many = futures::future::join_all((0..200).map(|_| budget.wait(&long, VerbClass::Delete, 0.0)));
        let few = calls(&budget, &short, 10);
        let (_, took) = futures::join!(many, few);
        assert!(took < Duration::from_secs(8), "ten among two hundred, and every second call is theirs: {took:?}");
    }
}
