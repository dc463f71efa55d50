//! Warnings: what `retaind check` says of files that are valid and probably not meant, and of which it says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use retaind::config::{Configuration, Seen, WARNINGS, resolve_texts, warnings};
use retaind::model::{RegistryName, RepositoryName, TagName};

const SETTINGS: &str = "version: 1\nregistries: [{ name: contoso, endpoint: https://contoso.example }]\npolicies: policies\n";

#[track_caller]
fn configuration(policies: &str) -> Configuration {
    let text = format!("version: 1\npolicies:\n{policies}");
    resolve_texts(("retaind.yaml", SETTINGS), &[("ci.yaml", &text)]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A policy on `team-a/*` with these rules.
fn rules(rules: &str) -> String {
    let indented: String = rules.lines().map(|line| format!("      {line}\n")).collect();
    format!("  - name: ci\n    mode: dry-run\n    repositories: {{ include: [\"team-a/*\"] }}\n    rules:\n{indented}")
}

#[track_caller]
fn said(policies: &str, seen: &[Seen], expected: Expect) {
    let said = warnings(&configuration(policies), seen).map_or_else(|| "nothing".to_owned(), |warnings| warnings.to_string());
    expected.assert_eq(&said);
}

#[track_caller]
fn names(policies: &str, seen: &[Seen]) -> Vec<&'static str> {
    let found = warnings(&configuration(policies), seen);
    found.map(|found| found.iter().filter_map(|warning| warning.warning).collect()).unwrap_or_default()
}

#[test]
fn rules_that_choose_nothing() {
    let text = rules(
        r#"- { name: shadowed, delete: { tags: { glob: ["pr-*", "demo-1"], except: ["demo-*"] }, older_than: 14d } }
- { name: empty, delete: { tags: { semver: ">=2.0.0, <1.0.0" }, older_than: 14d } }
- { name: same, delete: { tags: { regex: ['a+'], except: ['a+'] }, older_than: 14d } }"#,
    );
    said(
        &text,
        &[],
        expect![[r#"
            ci.yaml:7:60: warning[never-matches]: "demo-1" chooses nothing: `except` has
                "demo-*", which takes all of it out again
              |
            7 | …, delete: { tags: { glob: ["pr-*", "demo-1"], except: ["demo-*"] }, ol…
              |                                     ^^^^^^^^
              = at policies[0].rules[0].delete.tags.glob[1]
              = hint: leave it out, or narrow what takes it away

            ci.yaml:8:50: warning[never-matches]: ">=2.0.0, <1.0.0" chooses nothing: no
                version can be in this range
              |
            8 | …: empty, delete: { tags: { semver: ">=2.0.0, <1.0.0" }, older_than: 14…
              |                                     ^^^^^^^^^^^^^^^^^
              = at policies[0].rules[1].delete.tags.semver
              = hint: leave it out, or narrow what takes it away

            ci.yaml:9:49: warning[never-matches]: "a+" chooses nothing: it is under
                `except`, too
              |
            9 | …e: same, delete: { tags: { regex: ['a+'], except: ['a+'] }, older_than…
              |                                     ^^^^
              = at policies[0].rules[2].delete.tags.regex[0]
              = hint: leave it out, or narrow what takes it away

            3 warnings in 1 file"#]],
    );
}

#[test]
fn deletes_that_a_keep_covers() {
    let text = rules(
        r#"- { name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }
- { name: everything, keep: { tags: { glob: ["*"] } } }
- { name: dangling, delete: { untagged: true, older_than: 7d } }"#,
    );
    said(
        &text,
        &[],
        expect![[r#"
            ci.yaml:7:32: warning[covered-delete]: rule pull-requests deletes nothing: all
                that it chooses is kept by rule everything
              |
            7 |       - { name: pull-requests, delete: { tags: { glob: ["pr-*"] }, olde…
              |                                ^^^^^^
              = at policies[0].rules[0].delete
              = hint: keep wins, whatever the order; everything is at ci.yaml:8

            1 warning in 1 file"#]],
    );
}

#[test]
fn keeps_that_protect_nothing_and_counts_that_can_be_flooded() {
    let text = rules(
        r#"- { name: nightly, delete: { tags: { glob: ["nightly-*"] }, except_last: 7 } }
- { name: golden, keep: { tags: { glob: ["golden-*"] } } }"#,
    );
    said(
        &text,
        &[],
        expect![[r#"
            ci.yaml:7:80: warning[keep-flooding]: whoever may push can have images deleted:
                enough pushes move every other one out of the count
              |
            7 | …lob: ["nightly-*"] }, except_last: 7 } }
              |                                     ^
              = at policies[0].rules[0].delete.except_last
              = hint: write `older_than` beside `except_last`, such as `older_than: 7d`, so
                      that there is time to notice

            ci.yaml:8:25: warning[idle-keep]: rule golden protects nothing: no delete rule
                of any policy could touch what it keeps
              |
            8 |       - { name: golden, keep: { tags: { glob: ["golden-*"] } } }
              |                         ^^^^
              = at policies[0].rules[1].keep
              = hint: what no rule condemns stays anyway; look for a typing error, or leave
                      the rule out

            2 warnings in 1 file"#]],
    );
}

#[test]
fn locks_that_meet() {
    let text = rules(
        r#"- { name: close, lock: { tags: { glob: ["prod-*"] }, can_delete: false, can_write: false } }
- { name: open, unlock: { tags: { glob: ["prod-old-*"] }, can_delete: true } }
- { name: other, unlock: { tags: { glob: ["prod-old-*"] }, can_read: true } }"#,
    );
    said(
        &text,
        &[],
        expect![[r#"
            ci.yaml:8:23: warning[lock-meets-unlock]: rule open opens nothing that rule
                close locks: where they meet, lock wins
              |
            8 |       - { name: open, unlock: { tags: { glob: ["prod-old-*"] }, can_del…
              |                       ^^^^^^
              = at policies[0].rules[1].unlock
              = hint: take the tags of one out of the other with `except`; close is at
                      ci.yaml:7

            1 warning in 1 file"#]],
    );
}

/// Two policies; the second is written by what differs.
fn policies(include: &str, exclude: &str, schedule: &str, mode: &str) -> String {
    let rule = "rules: [{ name: dangling, delete: { untagged: true, older_than: 7d } }]";
    format!(
        "  - {{ name: a, mode: enforce, schedule: \"@daily\", repositories: {{ include: [\"team-a/**\", \"libs/*\"] }}, {rule} }}\n\
         \x20 - {{ name: b, mode: {mode}, schedule: \"{schedule}\", repositories: {{ include: [\"{include}\"], exclude: [\"{exclude}\"] }}, {rule} }}\n"
    )
}

#[test]
fn policies_that_delete_in_the_same_repositories() {
    said(
        &policies("team-a/*", "none", "0 * * * *", "enforce"),
        &[],
        expect![[r#"
            ci.yaml:4:41: warning[same-minute]: policies a and b begin in the same minute on
                the same repositories, such as 2026-01-02T00:00:00Z
              |
            4 | … name: b, mode: enforce, schedule: "0 * * * *", repositories: { includ…
              |                                     ^^^^^^^^^^^
              = at policies[1].schedule
              = hint: let one begin some minutes later, so that it sees what the other has
                      deleted

            ci.yaml:4:80: warning[shared-repositories]: policies a and b both delete in
                "team-a/*"
              |
            4 | … * * *", repositories: { include: ["team-a/*"], exclude: ["none"] }, r…
              |                                     ^^^^^^^^^^
              = at policies[1].repositories.include[0]
              = hint: each has limits of its own, so that both together may delete twice as
                      much; join them, or use `exclude`; a is at ci.yaml:3

            2 warnings in 1 file"#]],
    );
    for (include, exclude, schedule, mode, expected) in [
        ("team-a/*", "none", "5 * * * *", "enforce", vec!["shared-repositories"]),
        ("libs/zlib", "none", "5 * * * *", "enforce", vec!["shared-repositories"]),
        ("team-a/*", "team-a/**", "0 * * * *", "enforce", vec![]),
        ("team-b/*", "none", "0 * * * *", "enforce", vec![]),
        ("team-a/*", "none", "0 * * * *", "dry-run", vec![]),
    ] {
        assert_eq!(names(&policies(include, exclude, schedule, mode), &[]), expected, "{include} {exclude} {schedule} {mode}");
    }
}

#[test]
fn nothing_is_said_of_what_may_be_meant() {
    for quiet in [
        // The keep rule is counted, or has exceptions, or chooses less.
        r#"- { name: d, delete: { tags: { glob: ["pr-*"] }, older_than: 1d } }
- { name: k, keep: { tags: { glob: ["*"] }, last: 3 } }"#,
        r#"- { name: d, delete: { tags: { glob: ["pr-*"] }, older_than: 1d } }
- { name: k, keep: { tags: { glob: ["pr-*"], except: ["pr-1"] } } }"#,
        r#"- { name: d, delete: { tags: { glob: ["p*"] }, older_than: 1d } }
- { name: k, keep: { tags: { glob: ["pr-*"] } } }"#,
        // It could meet a tag that a delete rule chooses, too.
        r#"- { name: d, delete: { tags: { glob: ["pr-*"] }, older_than: 1d } }
- { name: k, keep: { tags: { glob: ["*-golden"] } } }"#,
        r#"- { name: d, delete: { tags: { regex: ['x'] }, older_than: 1d } }
- { name: k, keep: { tags: { glob: ["golden-*"] } } }"#,
        r#"- { name: d, delete: { tags: { semver: ">=1.0.0" }, older_than: 1d } }
- { name: k, keep: { tags: { glob: ["v1*"] } } }"#,
        // It keeps the other tags of its images, too.
        r#"- { name: d, delete: { tags: { glob: ["pr-*"] }, older_than: 1d } }
- { name: k, keep: { tags: { glob: ["golden-*"] }, all_tags: true } }"#,
        r#"- { name: d, delete: { tags: { glob: ["n-*"] }, older_than: 1d, except_last: 7 } }"#,
        r#"- { name: l, lock: { tags: { glob: ["prod-*"], except: ["prod-old-*"] }, can_delete: false } }
- { name: u, unlock: { tags: { glob: ["prod-old-*"] }, can_write: true } }"#,
    ] {
        assert_eq!(names(&rules(quiet), &[]), Vec::<&str>::new(), "{quiet}");
    }
}

fn seen(repositories: &[(&str, &[&str])]) -> Seen {
    let name = |text: &str| RepositoryName::parse(text).expect("a name");
    let tags = |tags: &[&str]| tags.iter().map(|tag| TagName::parse(tag).expect("a tag")).collect();
    let repositories: BTreeMap<_, _> = repositories.iter().map(|(repository, listed)| (name(repository), tags(listed))).collect();
    Seen { registry: RegistryName::parse("contoso").expect("a name"), repositories }
}

const MINIMAL: &str = r#"- { name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }
- { name: demos, keep: { tags: { glob: ["*-demo"] } } }
- { name: dangling, delete: { untagged: true, older_than: 7d } }"#;

#[test]
fn what_matches_nothing_in_the_registry() {
    said(
        &rules(MINIMAL),
        &[seen(&[("team-a/web", &["pr-1", "1.0"]), ("team-b/web", &["x-demo"])])],
        expect![[r#"
            ci.yaml:8:24: warning[idle-rule]: rule demos protects nothing today: it matches
                no tag of the repositories that the policy names
              |
            8 |       - { name: demos, keep: { tags: { glob: ["*-demo"] } } }
              |                        ^^^^
              = at policies[0].rules[1].keep
              = hint: look for a typing error; a rule for tags that are yet to come is right
                      as it is

            1 warning in 1 file"#]],
    );
    said(
        &rules(MINIMAL),
        &[seen(&[("teama/web", &["pr-1"])])],
        expect![[r#"
            ci.yaml:5:31: warning[absent-repository]: "team-a/*" matches no repository of
                the registry
              |
            5 |     repositories: { include: ["team-a/*"] }
              |                               ^^^^^^^^^^
              = at policies[0].repositories.include[0]
              = hint: look for a typing error: `*` stays within a segment, `**` goes across
                      `/`

            1 warning in 1 file"#]],
    );
    assert_eq!(names(&rules(MINIMAL), &[seen(&[("team-a/web", &["pr-1", "pr-1-demo"])])]), Vec::<&str>::new());
}

#[test]
fn every_warning_is_explained() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/warnings.md")).expect("the page");
    let explained: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(explained, WARNINGS.into_iter().collect());
}

#[test]
fn the_examples_are_as_they_are_meant() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/retaind.yaml");
    let configuration = Configuration::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(warnings(&configuration, &[]).map(|warnings| warnings.to_string()), None);
}
