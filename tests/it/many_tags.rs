//! One image with very many tags: deciding and reporting must not take longer than the number of tags warrants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use retaind::model::{
    Contents, Digest, Inventory, Listing, Locks, Manifest, MediaType, Observations, References, Repository, RepositoryName, Tag, TagName,
};
use retaind::pipeline::decide;
use retaind::pipeline::guard::{self, Circumstances};
use retaind::pipeline::report::{self, Detail, Tally};

use crate::stage::{contoso, policies};

const TAGS: u32 = 50_000;

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

/// An image with so many tags that are to go, and one that stays.
fn inventory(tags: u32) -> Inventory {
    let updated_at = Some(now() - SignedDuration::from_hours(24 * 90));
    let digest = Digest::of(b"image");
    let manifest = Manifest {
        digest,
        media_type: MediaType::DockerManifest,
        updated_at,
        locks: Locks::OPEN,
        size_bytes: 1,
        platform: None,
        references: References::None,
        untagged_since: None,
        left_behind_by: None,
        facts: None,
    };
    let names = (0..tags).map(|number| format!("build-{number}")).chain(["release".to_owned()]);
    let tag = |name: String| Tag { name: TagName::parse(&name).expect("a tag"), digest, updated_at, locks: Locks::OPEN };
    let contents = Contents::new(vec![manifest], names.map(tag).collect()).expect("consistent");
    let name = RepositoryName::parse("app").expect("a name");
    let repository =
        Repository { name, locks: Locks::OPEN, observations: Observations::default(), listing: Listing::Complete(Arc::new(contents)) };
    Inventory { registry: contoso(), taken_at: now(), repositories: vec![repository] }
}

const POLICY: &str = "
version: 1
policies:
  - name: ci
    mode: enforce
    repositories: { include: [app] }
    limits: { max_deletes: 1000000, max_delete_percent: 100, keep_at_least: 0 }
    rules:
      - { name: builds, delete: { tags: { glob: [\"build-*\"] }, older_than: 14d } }
      - { name: releases, keep: { tags: { glob: [release] } } }
";

#[test]
fn untagging_very_many_tags_of_one_image_is_planned_and_reported_quickly() {
    let (inventory, policies) = (inventory(TAGS), policies(POLICY));
    let begun = Instant::now();
    let mut before = Duration::ZERO;
    let mut took = |what: &str| {
        let now = begun.elapsed();
        println!("{what}: {:?}", now - before);
        before = now;
    };
    let decisions = decide(&inventory, &policies, &policies[0], now());
    took("decide");
    let findings = decisions.findings(now());
    took("audit");
    assert!(findings.is_empty(), "{findings:?}");
    let circumstances = Circumstances { journal_is_kept: true, ..Circumstances::default() };
    let judgement = guard::judge(&decisions.plan, &policies[0].limits, &circumstances);
    took("guard");
    let decided = decisions.decided(&policies[0], &judgement.refusals);
    let mut tally = Tally::default();
    tally.plan(&decided);
    took("tally");
    let text = report::plan_as_text(&decided, Detail::Changes);
    took("text");
    report::plan_as_text(&decided, Detail::Everything);
    took("text of everything");
    report::plan_as_markdown(&decided);
    took("markdown");
    report::plan_to_json(&decided);
    took("json");
    let untags: usize = judgement.approved.expect("approved").plan().steps().map(|(_, steps)| steps.untags.len()).sum();
    assert_eq!(untags, usize::try_from(TAGS).expect("small"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
