//! One image with very many tags: whatever looks at all tags for each tag takes minutes here. Does not measure time.

use std::sync::Arc;

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
    let updated_at = Some((now() - SignedDuration::from_hours(24 * 90)).into());
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
fn very_many_tags_of_one_image_are_planned_audited_and_reported() {
    let (inventory, policies) = (inventory(TAGS), policies(POLICY));
    let decisions = decide(&inventory, &policies, &policies[0], now());
    let findings = decisions.findings(now());
    assert!(findings.is_empty(), "{findings:?}");
    let circumstances = Circumstances { journal_is_kept: true, ..Circumstances::default() };
    let judgement = guard::judge(&decisions.plan, &policies[0].limits, &circumstances);
    let decided = decisions.decided(&policies[0], &judgement.refusals);
    let mut tally = Tally::default();
    tally.plan(&decided);
    let text = report::plan_as_text(&decided, Detail::Changes);
    for report in [report::plan_as_text(&decided, Detail::Everything), report::plan_as_markdown(&decided), report::plan_to_json(&decided)] {
        assert!(report.contains("build-49999"));
    }
    let untags: usize = judgement.approved.expect("approved").plan().steps().map(|(_, steps)| steps.untags.len()).sum();
    assert_eq!(untags, usize::try_from(TAGS).expect("small"), "{text}");
}
