//! A registry with everything in it that a run can meet, for tests that look at all of it at once.

/// Twenty images in two repositories: several platforms, shared children, nested indexes, referrers, companions, locks, aliases,
/// untagged images, and things that stay for every reason.
pub(crate) const DRAWING: &str = "
now 2026-06-01T00:00:00Z
repository app
  image old-1    tags pr-1, build-1 age 92d
  repeat 2 n image older-{n} tags pr-{n:02} age 9{n}d
  index multi    tags pr-7   age 80d  platforms linux/amd64, linux/arm64
  index sharing  tags pr-8   age 79d  of multi/linux/amd64, older-2
  index inner    untagged    age 78d  platforms linux/s390x
  index outer    tags pr-9   age 77d  of inner
  image signed   tags pr-10  age 76d
  artifact signature subject signed type application/vnd.dev.cosign.artifact.sig.v1+json age 76d
  artifact sbom  subject multi/linux/arm64 type application/spdx+json age 76d
  image companion companion signed .sig age 76d
  image counter   companion companion .sig age 76d
  image alias    tags pr-11, 1.1.0 age 75d
  image alias-2  tags pr-12, 1.2.0 age 74d
  index release  tags 1.0.0  age 73d  platforms linux/amd64, linux/arm64
  artifact release-signature subject release type application/vnd.dev.cosign.artifact.sig.v1+json age 73d
  image locked   tags pr-13  age 72d  locked delete
  image tag-locked tags pr-14 age 71d
  tag   pr-14    locked write
  image retired  tags retired-1 age 70d
  tag   retired-1 locked delete
  image prod     tags prod-1 age 69d
  image loose    untagged    age 68d
  image young    tags pr-15  age 2h
repository team/api
  repeat 2 n image old-{n} tags pr-{n} age 6{n}d
  index multi    tags pr-5   age 60d  platforms linux/amd64, linux/arm64  docker
  image current  tags 2.0.0  age 10d
";

/// Rules for it, one of each kind.
pub(crate) const POLICIES: &str = r#"
version: 1
policies:
  - name: ci
    mode: enforce
    repositories: { include: ["**"] }
    rules:
      - { name: releases, keep: { tags: { semver: "*" } } }
      - { name: production, lock: { tags: { glob: ["prod-*"] }, can_delete: false, on: both } }
      - { name: retired, unlock: { tags: { glob: ["retired-*"] }, can_delete: true } }
      - { name: pull-requests, delete: { tags: { glob: ["pr-*", "build-*"] }, older_than: 14d } }
      - { name: dangling, delete: { untagged: true, older_than: 7d, adopt_backlog: true } }
    limits: { max_delete_percent: 100 }
"#;
