//! The registry's limits, in simulated time: a share of them is used to the full, refusals hardly occur, and others keep their part.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use retaind::acr::{Budget, Client, ClientOptions, Deleted, Endpoint, Limits};
use retaind::clock::Clock;
use retaind::emulator::{Emulator, Options, Sku, Throttle};
use retaind::model::{RegistryName, RepositoryName, TagName};
use tokio::time::Instant;

use crate::support::{InProcess, entra};

/// The deletions of one cleanup.
const DELETIONS: u32 = 2_000;
/// Requests under way at a time, as many as a client allows.
const WORKERS: usize = 16;

/// A registry whose clock is the simulated one, and clients of it that are all the same identity.
struct Registry {
    emulator: Emulator,
    clock: Clock,
}

impl Registry {
    fn new(sku: Sku) -> Self {
        let (start, noon) = (Instant::now(), Timestamp::from_second(1_772_452_800).expect("a time"));
        let now = move || noon.checked_add(SignedDuration::try_from(start.elapsed()).expect("a duration")).expect("a time");
        let options = Options { throttle: Some(Throttle::of(sku)), latency: Duration::from_millis(20), ..Options::default() };
        let emulator = Emulator::new(options, Arc::new(now));
        for repository in ["ours", "theirs"] {
            emulator.seed(&format!("repository {repository}\n  image a\n  repeat {DELETIONS} n tag t{{n}}\n")).expect("a drawing");
        }
        Self { emulator, clock: Clock::new(now) }
    }

    fn client(&self, budget: Budget) -> Client {
        Client::new(ClientOptions {
            registry: RegistryName::parse("contoso").expect("a name"),
            endpoint: Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint"),
            transport: Arc::new(InProcess::new(self.emulator.clone())),
            credential: entra("somebody"),
            apply_credential: None,
            clock: self.clock.clone(),
            budget,
            jitter_seed: 1,
        })
    }

    /// The share of all answers to deletions that refused, in percent.
    fn refused_percent(&self) -> f64 {
        let counts = self.emulator.counts();
        let deletions = |refused: bool| {
            let counted = counts.iter().filter(|(counted, _)| counted.method == "DELETE" && (!refused || counted.status == Some(429)));
            counted.map(|(_, count)| count).sum::<u64>() as f64
        };
        deletions(true) / deletions(false) * 100.0
    }
}

async fn delete(client: &Client, repository: &str, number: u32) {
    let name = RepositoryName::parse(repository).expect("a name");
    let tag = TagName::parse(&format!("t{number}")).expect("a tag");
    assert_eq!(client.delete_tag(&name, &tag).await, Ok(Deleted::Done), "{repository}:{tag}");
}

/// Deletes everything, as fast as the client lets it, and returns how long that took.
async fn clean(client: &Client, repository: &str) -> Duration {
    let start = Instant::now();
    stream::iter(1..=DELETIONS).map(|number| delete(client, repository, number)).buffer_unordered(WORKERS).collect::<Vec<()>>().await;
    start.elapsed()
}

/// What half of the bucket allows: half of a minute's calls that have gathered, the rest as it flows in.
fn least(limits: Limits) -> Duration {
    let half = f64::from(limits.deletes) / 2.0;
    Duration::from_secs_f64((f64::from(DELETIONS) - half) / (half / 60.0))
}

fn tiers() -> [(Sku, Limits); 3] {
    [(Sku::Basic, Limits::STANDARD), (Sku::Standard, Limits::STANDARD), (Sku::Premium, Limits::PREMIUM)]
}

#[tokio::test(start_paused = true)]
async fn half_of_each_tier_is_used_to_the_full() {
    for (sku, limits) in tiers() {
        let registry = Registry::new(sku);
        let took = clean(&registry.client(Budget::new(limits, 50)), "ours").await;
        let ratio = took.as_secs_f64() / least(limits).as_secs_f64();
        assert!((1.0..=1.10).contains(&ratio), "{sku:?}: {took:?} is {ratio:.3} of the least");
        assert!(registry.refused_percent() <= 0.5, "{sku:?}: {} % were refused", registry.refused_percent());
    }
}

#[tokio::test(start_paused = true)]
async fn two_programs_of_one_identity_get_half_each() {
    for (sku, limits) in tiers() {
        let registry = Registry::new(sku);
        let (one, other) = (registry.client(Budget::new(limits, 50)), registry.client(Budget::new(limits, 50)));
        let (one, other) = futures::join!(clean(&one, "ours"), clean(&other, "theirs"));
        for took in [one, other] {
            let ratio = took.as_secs_f64() / least(limits).as_secs_f64();
            assert!(ratio <= 1.10, "{sku:?}: {took:?} is {ratio:.3} of the least");
        }
        assert!(registry.refused_percent() <= 0.5, "{sku:?}: {} % were refused", registry.refused_percent());
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_takes_the_other_half_is_never_refused() {
    for (sku, limits) in tiers() {
        let registry = Registry::new(sku);
        let (ours, theirs) = (registry.client(Budget::new(limits, 50)), registry.client(Budget::unlimited()));
        let beat = Duration::from_secs_f64(60.0 / (f64::from(limits.deletes) / 2.0));
        let steady = async {
            let start = Instant::now();
            for number in 1..=DELETIONS {
                delete(&theirs, "theirs", number).await;
                tokio::time::sleep_until(start + beat * number).await;
            }
        };
        let (took, ()) = futures::join!(clean(&ours, "ours"), steady);
        assert_eq!(theirs.stats().retries, 0, "{sku:?}");
        let ratio = took.as_secs_f64() / least(limits).as_secs_f64();
        assert!(ratio <= 1.10, "{sku:?}: {took:?} is {ratio:.3} of the least");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_lower_than_written_is_found_out() {
    let registry = Registry::new(Sku::Standard);
    let took = clean(&registry.client(Budget::new(Limits::PREMIUM, 100)), "ours").await;
    assert!(registry.refused_percent() <= 2.0, "{} % were refused", registry.refused_percent());
    // The whole bucket would allow it in three minutes.
    assert!(took < Duration::from_secs(15 * 60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_it_would_be_refused() {
    let registry = Registry::new(Sku::Standard);
    clean(&registry.client(Budget::unlimited()), "ours").await;
    assert!(0.5 < registry.refused_percent(), "what the other tests measure can go wrong: {}", registry.refused_percent());
}

#[tokio::test(start_paused = true)]
async fn a_policy_with_little_to_do_does_not_wait_for_one_with_much() {
    let registry = Registry::new(Sku::Standard);
    let client = registry.client(Budget::new(Limits::STANDARD, 50));
    let (much, little) = (client.with_own_queue(), client.with_own_queue());
    let few = async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let start = Instant::now();
        for number in 1..=20 {
            delete(&little, "theirs", number).await;
        }
        start.elapsed()
    };
    let (_, took) = futures::join!(clean(&much, "ours"), few);
    assert!(took < Duration::from_secs(12), "twenty, each after one of the other's, at four a second: {took:?}");
}
