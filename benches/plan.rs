//! How fast repositories are decided: evaluation and ordered steps, without any I/O. `cargo bench --bench plan`.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use jiff::{SignedDuration, Timestamp};
use retaind::config;
use retaind::model::{Contents, Digest, Locks, Manifest, MediaType, Observations, References, RegistryName, Tag, TagName};
use retaind::pipeline::evaluate::{Question, evaluate};
use retaind::pipeline::plan::{Audit, audit, steps};
use retaind::policy::Policy;

/// Counts what is held at most, beside the time: deciding must not need much more memory than the listing itself.
#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];
const NOW: &str = "2026-01-01T00:00:00Z";

const ONE_RULE: &str = "
      - { name: pull-requests, delete: { tags: { glob: ['pr-*'] }, older_than: 30d } }
";
const TEN_RULES: &str = "
      - { name: production, lock: { tags: { glob: ['prod-*'] }, can_delete: false } }
      - { name: golden, keep: { tags: { glob: ['golden-*'] } } }
      - { name: newest, keep: { tags: { glob: ['main-*'] }, last: 20 } }
      - { name: pull-requests, delete: { tags: { glob: ['pr-*'] }, older_than: 30d } }
      - { name: branches, delete: { tags: { regex: ['(feature|fix)-.*'] }, older_than: 14d } }
      - { name: nightly, delete: { tags: { glob: ['nightly-*'] }, older_than: 7d, except_last: 7 } }
      - { name: releases, delete: { tags: { semver: '>=1.0.0' }, older_than: 365d, except_last: 10, per: minor } }
      - { name: candidates, delete: { tags: { regex: ['[0-9.]+-rc[0-9]+'] }, older_than: 30d } }
      - { name: builds, delete: { tags: { glob: ['build-*', 'ci-*'] }, older_than: 60d, except_last: 100 } }
      - { name: dangling, delete: { untagged: true, older_than: 7d } }
";

fn policy(rules: &str) -> Policy {
    let text =
        format!("version: 1\npolicies:\n  - name: bench\n    mode: dry-run\n    repositories: {{ include: ['**'] }}\n    rules:{rules}");
    let registry = RegistryName::parse("bench").expect("a name");
    config::resolve_policies(&[("bench.yaml", &text)], &[registry]).expect("a valid policy").remove(0)
}

/// Single-tag images, an hour apart, half of them builds of pull requests.
fn contents(images: u32) -> Arc<Contents> {
    let now: Timestamp = NOW.parse().expect("a time");
    let image = |number: u32| {
        let digest = Digest::of(&number.to_le_bytes());
        let updated_at = Some(now - SignedDuration::from_hours(i64::from(number % 20_000)));
        let name = match number % 4 {
            0 | 1 => format!("pr-{number}"),
            2 => format!("1.{}.{number}", number % 50),
            _ => format!("nightly-{number}"),
        };
        let manifest = Manifest {
            digest,
            media_type: MediaType::DockerManifest,
            updated_at,
            locks: Locks::OPEN,
            size_bytes: 80_000_000,
            platform: None,
            references: References::None,
            untagged_since: None,
            left_behind_by: None,
            facts: None,
        };
        (manifest, Tag { name: TagName::parse(&name).expect("a tag"), digest, updated_at, locks: Locks::OPEN })
    };
    let (manifests, tags) = (0..images).map(image).unzip();
    Arc::new(Contents::new(manifests, tags).expect("consistent"))
}

fn plan(bencher: Bencher<'_, '_>, images: u32, rules: &str, audited: bool) {
    let (contents, policy) = (contents(images), policy(rules));
    let now: Timestamp = NOW.parse().expect("a time");
    let policies = [&policy];
    bencher.counter(ItemsCount::new(images)).bench_local(|| {
        let question = Question {
            repository_locks: Locks::OPEN,
            observations: &Observations::default(),
            contents: black_box(&contents),
            policies: &policies,
            acting: 0,
            now,
        };
        let evaluation = evaluate(&question);
        let steps = steps(&contents, &evaluation, &policy);
        if audited {
            let audited = Audit {
                repository_locks: Locks::OPEN,
                observations: &Observations::default(),
                contents: &contents,
                policies: &policies,
                acting: 0,
                now,
            };
            assert!(audit(&audited, &steps).is_empty(), "a sound plan");
        }
        (evaluation, Arc::new(steps))
    });
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn one_rule(bencher: Bencher<'_, '_>, images: u32) {
    plan(bencher, images, ONE_RULE, false);
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn ten_rules(bencher: Bencher<'_, '_>, images: u32) {
    plan(bencher, images, TEN_RULES, false);
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn ten_rules_audited(bencher: Bencher<'_, '_>, images: u32) {
    plan(bencher, images, TEN_RULES, true);
}
