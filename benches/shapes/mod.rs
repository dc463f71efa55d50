//! Repositories and policies of the sizes that matter, for the benches. Does not know what is measured.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use retaind::config;
use retaind::model::{Contents, Digest, Locks, Manifest, MediaType, Observations, References, RegistryName, Tag, TagName};
use retaind::pipeline::evaluate::{Evaluation, Question, evaluate};
use retaind::pipeline::plan::{Audit, Decision, Plan, RepositoryPlan, audit, steps};
use retaind::policy::Policy;

const NOW: &str = "2026-01-01T00:00:00Z";

/// One rule, which lets about half of all images go.
pub(crate) const ONE_RULE: &str = "
      - { name: pull-requests, delete: { tags: { glob: ['pr-*'] }, older_than: 30d } }
";
/// Ten rules of every kind that reads names and times.
pub(crate) const TEN_RULES: &str = "
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

/// What a repository is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Images with a tag each.
    OneTag,
    /// Images with two tags each: a name and a commit.
    TwoTags,
    /// Images of four platforms, each with a signature: of six manifests one has a tag.
    FourPlatforms,
}

/// The policy with these rules.
pub(crate) fn policy(rules: &str) -> Policy {
    let text =
        format!("version: 1\npolicies:\n  - name: bench\n    mode: dry-run\n    repositories: {{ include: ['**'] }}\n    rules:{rules}");
    config::resolve_policies(&[("bench.yaml", &text)], &[registry()]).expect("a valid policy").remove(0)
}

fn registry() -> RegistryName {
    RegistryName::parse("bench").expect("a name")
}

/// So many manifests, an hour apart, half of the images builds of pull requests.
pub(crate) fn contents(shape: Shape, manifests: u32) -> Arc<Contents> {
    let (mut listed, mut tags) = (Vec::new(), Vec::new());
    for number in 0..manifests {
        let manifest = manifest(shape, number);
        let is_image = !matches!((shape, number % 6), (Shape::FourPlatforms, 1..));
        if is_image {
            tags.push(tag(&name(number), &manifest));
        }
        if shape == Shape::TwoTags {
            tags.push(tag(&format!("sha-{}", &manifest.digest.hex()[..12]), &manifest));
        }
        listed.push(manifest);
    }
    Arc::new(Contents::new(listed, tags).expect("consistent"))
}

fn name(number: u32) -> String {
    match number % 4 {
        0 | 1 => format!("pr-{number}"),
        2 => format!("1.{}.{number}", number % 50),
        _ => format!("nightly-{number}"),
    }
}

fn digest(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn manifest(shape: Shape, number: u32) -> Manifest {
    let now: Timestamp = NOW.parse().expect("a time");
    let (media_type, references) = match (shape, number % 6) {
        (Shape::OneTag | Shape::TwoTags, _) => (MediaType::DockerManifest, References::None),
        (Shape::FourPlatforms, 0) => (MediaType::OciIndex, References::new((1..5).map(|child| digest(number + child)).collect(), None)),
        (Shape::FourPlatforms, 5) => (MediaType::OciManifest, References::new(Vec::new(), Some(digest(number - 5)))),
        (Shape::FourPlatforms, _) => (MediaType::OciManifest, References::None),
    };
    Manifest {
        digest: digest(number),
        media_type,
        updated_at: Some((now - SignedDuration::from_hours(i64::from(number % 20_000))).into()),
        locks: Locks::OPEN,
        size_bytes: 80_000_000,
        platform: None,
        references,
        untagged_since: None,
        left_behind_by: None,
        facts: None,
    }
}

fn tag(name: &str, manifest: &Manifest) -> Tag {
    let name = TagName::parse(name).expect("a tag");
    Tag { name, digest: manifest.digest, updated_at: manifest.updated_at, locks: Locks::OPEN }
}

/// All that deciding makes: verdicts and a plan with its name.
pub(crate) fn decide(contents: &Arc<Contents>, policy: &Policy, is_audited: bool) -> (Evaluation, Plan) {
    let now: Timestamp = NOW.parse().expect("a time");
    let (policies, observations, repository_locks) = ([policy], &Observations::default(), Locks::OPEN);
    let question = Question { repository_locks, observations, contents, policies: &policies, acting: 0, now };
    let evaluation = evaluate(&question);
    let steps = steps(contents, &evaluation, policy);
    if is_audited {
        let against = Audit { repository_locks, observations, contents, policies: &policies, acting: 0, now };
        assert!(audit(&against, &steps).is_empty(), "a sound plan");
    }
    let name = retaind::model::RepositoryName::parse("bench").expect("a name");
    let repositories = vec![RepositoryPlan { name, decision: Decision::Steps(steps) }];
    let policies = Digest::of(b"");
    let plan = Plan { registry: registry(), policy: policy.name.clone(), policies, taken_at: now, now, repositories };
    let _ = plan.hash();
    (evaluation, plan)
}
