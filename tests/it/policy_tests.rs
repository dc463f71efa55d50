//! `retaind test`: the tests beside the example policies hold, what does not hold is shown, and a test that is wrong itself never passes.

use std::path::Path;
use std::process::{Command, Output};

use expect_test::{Expect, expect};

use crate::stage::Folder;

const SETTINGS: &str = "version: 1\nregistries: [{ name: contoso, endpoint: https://contoso.example }]\npolicies: policies\n";
const POLICIES: &str = r#"version: 1
policies:
  - name: ci
    mode: dry-run
    repositories: { include: ["team-*/**"] }
    rules:
      - { name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }
      - { name: dangling, delete: { untagged: true, older_than: 7d } }
      - { name: golden, keep: { tags: { glob: ["golden-*"] } } }
      - { name: production, lock: { tags: { glob: ["prod-*"] }, can_delete: false } }
"#;

fn retaind(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retaind"));
    command.env_clear().env("RETAIND_LOG", "off").current_dir(folder).args(arguments);
    command.output().expect("the program starts")
}

/// Plays one file of tests; what is printed, on whichever stream, and the exit code.
#[track_caller]
fn play(tests: &str, arguments: &[&str], code: i32, expected: Expect) {
    let folder = Folder::new("policy-tests");
    folder.write("retaind.yaml", SETTINGS);
    folder.write("policies/ci.yaml", POLICIES);
    folder.write("policies/ci.test.yaml", tests);
    let output = retaind(folder.path(), &[&["test", "--config", "retaind.yaml"], arguments].concat());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    expected.assert_eq(&format!("{}{}", text(&output.stdout), text(&output.stderr)));
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn the_tests_of_the_examples_hold() {
    let output = retaind(Path::new(env!("CARGO_MANIFEST_DIR")), &["test", "--config", "config/retaind.yaml"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("6 tests, all as expected\n"), "{said}");
}

/// Every verdict is right once and wrong once.
const VERDICTS: &str = "\
version: 1
tests:
  - name: as it is
    registry: &drawn |
      repository team-a/web
        image newest  tags main               age 2d
        image old     tags pr-1               age 15d
        image mixed   tags pr-2, 1.0          age 15d
        index golden  tags golden-1           age 90d  platforms linux/amd64
        image live    tags prod-1             age 90d
        image lost    untagged                age 8d
        image ghostly tags pr-9  ghost        age 90d
    expect:
      - delete team-a/web:pr-1 by pull-requests
      - untag team-a/web:pr-2 by ci/pull-requests
      - keep team-a/web@mixed, team-a/web@ghostly
      - keep team-a/web@golden/linux/amd64 by golden
      - lock team-a/web:prod-1 by production
      - keep team-a/web:prod-1 by production
      - delete team-a/web@lost by dangling
  - name: as it is not
    registry: *drawn
    expect:
      - keep team-a/web:pr-1
      - delete team-a/web:pr-2
      - delete team-a/web:golden-1 by golden
      - unlock team-a/web:prod-1
      - delete team-a/web@lost by pull-requests
";

#[test]
fn what_does_not_hold_is_shown_with_the_reasons() {
    play(
        VERDICTS,
        &[],
        1,
        expect![[r#"
            ok      as it is
            WRONG   as it is not
                    policies/ci.test.yaml:24:9
                    expected  keep team-a/web:pr-1
                    got       delete
                              - rule pull-requests deletes it
                    policies/ci.test.yaml:25:9
                    expected  delete team-a/web:pr-2
                    got       untag
                              - rule pull-requests deletes it
                    policies/ci.test.yaml:26:9
                    expected  delete team-a/web:golden-1 by golden
                    got       keep
                              - rule golden keeps it
                    policies/ci.test.yaml:27:9
                    expected  unlock team-a/web:prod-1
                    got       keep, lock
                              - rule production locks it
                              - its manifest is held, with all its tags
                              - rule production changes its lock
                    policies/ci.test.yaml:28:9
                    expected  delete team-a/web@lost by pull-requests
                    got       delete
                              - rule dangling deletes it
            2 tests, 1 not as expected
        "#]],
    );
}

#[test]
fn what_does_not_hold_is_annotated() {
    play(
        VERDICTS,
        &["--output", "github"],
        1,
        expect![[r#"
            ::error file=policies/ci.test.yaml,line=24,col=9::as it is not: expected keep team-a/web:pr-1, got delete%0Arule pull-requests deletes it
            ::error file=policies/ci.test.yaml,line=25,col=9::as it is not: expected delete team-a/web:pr-2, got untag%0Arule pull-requests deletes it
            ::error file=policies/ci.test.yaml,line=26,col=9::as it is not: expected delete team-a/web:golden-1 by golden, got keep%0Arule golden keeps it
            ::error file=policies/ci.test.yaml,line=27,col=9::as it is not: expected unlock team-a/web:prod-1, got keep, lock%0Arule production locks it; its manifest is held, with all its tags; rule production changes its lock
            ::error file=policies/ci.test.yaml,line=28,col=9::as it is not: expected delete team-a/web@lost by pull-requests, got delete%0Arule dangling deletes it
        "#]],
    );
}

#[test]
fn programs_read_the_result() {
    let one = "version: 1\ntests: [{ name: a, registry: \"repository team-a/web\\n image a tags x\", expect: delete team-a/web:x }]\n";
    play(
        one,
        &["--output", "json"],
        1,
        expect![[r#"
        {
          "tests": [
            {
              "file": "policies/ci.test.yaml",
              "line": 2,
              "name": "a",
              "passed": false,
              "wrong": [
                {
                  "column": 80,
                  "expected": "delete",
                  "got": [
                    "keep"
                  ],
                  "image": "team-a/web:x",
                  "line": 2,
                  "reasons": [
                    "younger than min_age (1d)",
                    "its manifest is held, with all its tags"
                  ],
                  "rule": null
                }
              ]
            }
          ]
        }
    "#]],
    );
}

#[test]
fn a_test_that_is_wrong_itself_never_passes() {
    let tests = "\
version: 1
tests:
  - name: unknown things
    policy: cii
    registry: |
      repository team-a/web
        image newest tags main
    expect: keep team-a/web:main
  - name: a mistake in the drawing
    registry: |

      repository team-a/web
        image newest tags main agee 2d
    expect: keep team-a/web:main
  - name: a clock in the drawing
    registry: |
      now 2026-01-01T00:00:00Z
      repository team-a/web
        image newest tags main
    expect: keep team-a/web:main
  - name: what is not drawn
    registry: |
      repository team-a/web
        image newest tags main
    expect: [keep team-a/web:pr-1, keep team-a/web@old, keep team-b/web:1]
  - name: what the policy does not name
    registry: |
      repository teama/web
        image newest tags main
    expect: keep teama/web:main
";
    play(
        tests,
        &[],
        2,
        expect![[r#"
            policies/ci.test.yaml:4:13: error: no policy is named "cii"
              |
            4 |     policy: cii
              |             ^^^
              = at tests[0].policy
              = hint: there are: ci

            policies/ci.test.yaml:13:9: error: "agee" is unknown here
               |
            13 |         image newest tags main agee 2d
               |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               = at tests[1].registry
               = hint: image NAME [tags A, B | untagged] [age 3d | at TIME] [size 80MB]
                       [platform linux/arm64] [docker] [config TYPE] [companion IMAGE
                       [.sig]] [annotation k=v] [label k=v] [locked delete,write] [ghost]

            policies/ci.test.yaml:17:7: error: the drawing says what time it is
               |
            17 |       now 2026-01-01T00:00:00Z
               |       ^^^^^^^^^^^^^^^^^^^^^^^^
               = at tests[2].registry
               = hint: leave the line out, and write `now` beside `registry`

            policies/ci.test.yaml:25:14: error: no tag pr-1 is drawn in team-a/web
               |
            25 |     expect: [keep team-a/web:pr-1, keep team-a/web@old, keep team-b/web…
               |              ^^^^^^^^^^^^^^^^^^^^
               = at tests[3].expect[0]

            policies/ci.test.yaml:25:36: error: nothing in team-a/web is drawn with the name
                old
               |
            25 |     expect: [keep team-a/web:pr-1, keep team-a/web@old, keep team-b/web…
               |                                    ^^^^^^^^^^^^^^^^^^^
               = at tests[3].expect[1]

            policies/ci.test.yaml:25:57: error: no repository team-b/web is drawn
               |
            25 | …m-a/web:pr-1, keep team-a/web@old, keep team-b/web:1]
               |                                     ^^^^^^^^^^^^^^^^^
               = at tests[3].expect[2]

            policies/ci.test.yaml:28:7: error: policy ci names none of the repositories that
                are drawn
               |
            28 |       repository teama/web
               |       ^^^^^^^^^^^^^^^^^^^^
               = at tests[4].registry
               = hint: draw one that it names, so that a typing error does not pass for a
                       decision

            7 problems in 1 file
        "#]],
    );
}

#[test]
fn expectations_are_read_strictly() {
    let tests = "\
version: 1
tests:
  - name: a
    now: yesterday
    registry: 12
    expect: [kep app:1, delete, delete app by x, delete app:1 by a b, delete App:1]
  - name: a
    registry: \"\"
    expect: []
";
    play(
        tests,
        &[],
        2,
        expect![[r#"
            policies/ci.test.yaml:4:10: error: "yesterday" is not a time
              |
            4 |     now: yesterday
              |          ^^^^^^^^^
              = at tests[0].now
              = hint: write it as in `now: 2026-06-01T00:00:00Z`

            policies/ci.test.yaml:5:15: error: `registry` needs a text of several lines,
                found `12`, which YAML reads as a number
              |
            5 |     registry: 12
              |               ^^
              = at tests[0].registry
              = hint: write `registry: |` and the lines below it, indented

            policies/ci.test.yaml:6:14: error: "kep" is not a verdict
              |
            6 |     expect: [kep app:1, delete, delete app by x, delete app:1 by a b, d…
              |              ^^^^^^^^^
              = at tests[0].expect[0]
              = hint: did you mean `keep`?

            policies/ci.test.yaml:6:25: error: "delete" says of no image what is expected
              |
            6 |     expect: [kep app:1, delete, delete app by x, delete app:1 by a b, d…
              |                         ^^^^^^
              = at tests[0].expect[1]
              = hint: write it as in "delete app:pr-1 by pull-requests"

            policies/ci.test.yaml:6:33: error: "app" is not an image: it has neither tag nor
                name
              |
            6 |     expect: [kep app:1, delete, delete app by x, delete app:1 by a b, d…
              |                                 ^^^^^^^^^^^^^^^
              = at tests[0].expect[2]
              = hint: write `repository:tag`, or `repository@name` with the name from the
                      drawing

            policies/ci.test.yaml:6:50: error: `by` takes the name of one rule
              |
            6 | …ep app:1, delete, delete app by x, delete app:1 by a b, delete App:1]
              |                                     ^^^^^^^^^^^^^^^^^^^
              = at tests[0].expect[3]
              = hint: write it as in "delete app:pr-1 by pull-requests"

            policies/ci.test.yaml:6:71: error: "App:1" is not an image: "App" is not a
                repository name: lower-case letters and digits, joined by '.', '_', '__' or
                '-', in components separated by '/'
              |
            6 | …ete app by x, delete app:1 by a b, delete App:1]
              |                                     ^^^^^^^^^^^^
              = at tests[0].expect[4]
              = hint: write `repository:tag`, or `repository@name` with the name from the
                      drawing

            policies/ci.test.yaml:7:11: error: a second test is called "a"
              |
            7 |   - name: a
              |           ^
              = at tests[1].name
              = hint: names must be unique within a file

            policies/ci.test.yaml:8:15: error: `registry` is an empty text
              |
            8 |     registry: ""
              |               ^^
              = at tests[1].registry
              = hint: write `registry: |` and the lines below it, indented

            policies/ci.test.yaml:9:13: error: `expect` is an empty list
              |
            9 |     expect: []
              |             ^
              = at tests[1].expect
              = hint: write at least one, such as `expect: ["delete app:pr-1, app:pr-2 by
                      pull-requests", "keep app@base"]`

            10 problems in 1 file
        "#]],
    );
}

#[test]
fn policies_in_a_file_of_tests_are_refused_not_forgotten() {
    play(
        POLICIES,
        &[],
        2,
        expect![[r#"
            policies/ci.test.yaml:2:1: error: a file of tests holds policies, which nobody
                would read
              |
            2 | policies:
              | ^^^^^^^^
              = at policies
              = hint: policies are read from files whose name does not end in .test.yaml;
                      rename it, or mend it

            1 problem in 1 file
        "#]],
    );
    play(
        "version: [",
        &[],
        2,
        expect![[r#"
            policies/ci.test.yaml:1:10: error: this is not YAML: unclosed bracket '['
              |
            1 | version: [
              |          ^
              = hint: look at the indentation, quotes and brackets here and just above

            1 problem in 1 file
        "#]],
    );
}

#[test]
fn no_tests_are_no_success() {
    let folder = Folder::new("policy-tests-none");
    folder.write("retaind.yaml", &SETTINGS.replace("policies: policies", "policies: ci.yaml"));
    folder.write("ci.yaml", POLICIES);
    let played = || retaind(folder.path(), &["test", "--config", "retaind.yaml"]);
    let output = played();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("retaind: there are no tests: "));
    // Beside a single policy file, the tests that are called like it.
    folder.write("ci.test.yaml", VERDICTS);
    assert_eq!(played().status.code(), Some(1));
}
