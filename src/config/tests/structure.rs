//! What is missing, unknown, written twice or of the wrong kind.

use expect_test::expect;

use super::{policies, rules};
use crate::config::problem::Source;
use crate::config::shape::{Kind, POLICIES, SETTINGS};

#[test]
fn five_mistakes_in_one_file_are_five_problems() {
    policies(
        r#"version: 1
policies:
  - name: ci
    mode: dryrun
    repositories:
      include: []
    rules:
      - name: old
        delete: { tags: { glob: ["pr-*"] }, older_then: 14d }
      - name: old
        keep: { tags: { glob: [1.10] }, last: 3 }
"#,
        expect![[r#"
            ci.yaml:4:11: error: "dryrun" is no value of `mode`
              |
            4 |     mode: dryrun
              |           ^^^^^^
              = at policies[0].mode
              = hint: did you mean `dry-run`?

            ci.yaml:6:16: error: `include` is an empty list
              |
            6 |       include: []
              |                ^
              = at policies[0].repositories.include
              = hint: write at least one, such as `include: ["team-*/**"]`

            ci.yaml:9:45: error: `delete` has no key `older_then`
              |
            9 |         delete: { tags: { glob: ["pr-*"] }, older_then: 14d }
              |                                             ^^^^^^^^^^
              = at policies[0].rules[0].delete.older_then
              = hint: did you mean `older_than`?

            ci.yaml:10:15: error: a second rule is called old
               |
            10 |       - name: old
               |               ^^^
               = at policies[0].rules[1].name
               = hint: the first is at ci.yaml:8; names must be unique

            ci.yaml:11:32: error: `glob` needs texts, found `1.10`, which YAML reads as a
                number
               |
            11 |         keep: { tags: { glob: [1.10] }, last: 3 }
               |                                ^^^^
               = at policies[0].rules[1].keep.tags.glob[0]
               = hint: put it in quotes: "1.10"

            5 problems in 1 file
        "#]],
    );
}

#[test]
fn unknown_keys_say_what_was_probably_meant() {
    policies(
        r#"version: 1
apiVersion: v1
policies:
  - name: ci
    dryRun: true
    cron: "@daily"
    <<: { a: 1 }
    repositories: { include: ["**"], exclud: ["a"] }
    older_than: 30d
    rules:
      - name: a
        delete: { untagged: true, olderThan: 30d, condemned_for: 1d, whatever: 1 }
        archive: { tags: { glob: ["*"] } }
    limits: { maxDeletes: 1, changes: approve }
    name: again
"#,
        expect![[r#"
            ci.yaml:2:1: error: the file has no key `apiVersion`
              |
            2 | apiVersion: v1
              | ^^^^^^^^^^
              = at apiVersion
              = hint: this is not a Kubernetes object; begin with `version: 1`

            ci.yaml:5:5: error: `policy` has no key `dryRun`
              |
            5 |     dryRun: true
              |     ^^^^^^
              = at policies[0].dryRun
              = hint: write `mode: dry-run` or `mode: enforce`

            ci.yaml:6:5: error: `policy` has no key `cron`
              |
            6 |     cron: "@daily"
              |     ^^^^
              = at policies[0].cron
              = hint: write `schedule`

            ci.yaml:7:5: error: `policy` has no key `<<`
              |
            7 |     <<: { a: 1 }
              |     ^^
              = at policies[0].<<
              = hint: merge keys are not read; write the keys out, or once under `defaults`
                      for all policies of the file

            ci.yaml:8:38: error: `repositories` has no key `exclud`
              |
            8 |     repositories: { include: ["**"], exclud: ["a"] }
              |                                      ^^^^^^
              = at policies[0].repositories.exclud
              = hint: did you mean `exclude`?

            ci.yaml:9:5: error: `policy` has no key `older_than`
              |
            9 |     older_than: 30d
              |     ^^^^^^^^^^
              = at policies[0].older_than
              = hint: `older_than` is a key of `delete`

            ci.yaml:12:35: error: `delete` has no key `olderThan`
               |
            12 |         delete: { untagged: true, olderThan: 30d, condemned_for: 1d, wh…
               |                                   ^^^^^^^^^
               = at policies[0].rules[0].delete.olderThan
               = hint: did you mean `older_than`?

            ci.yaml:12:70: error: `delete` has no key `whatever`
               |
            12 | …olderThan: 30d, condemned_for: 1d, whatever: 1 }
               |                                     ^^^^^^^^
               = at policies[0].rules[0].delete.whatever
               = hint: its keys are `tags`, `untagged`, `orphaned`, `media_type`,
                       `platform`, `larger_than`, `artifact_type`, `annotation`, `label`,
                       `end_of_life`, `older_than`, `newer_than`, `except_last`, `per`,
                       `order_by`, `condemned_for` and `adopt_backlog`

            ci.yaml:13:9: error: `archive` is not supported yet in `rule`
               |
            13 |         archive: { tags: { glob: ["*"] } }
               |         ^^^^^^^
               = at policies[0].rules[0].archive
               = hint: leave it out: rules are never applied by half

            ci.yaml:14:15: error: `limits` has no key `maxDeletes`
               |
            14 |     limits: { maxDeletes: 1, changes: approve }
               |               ^^^^^^^^^^
               = at policies[0].limits.maxDeletes
               = hint: did you mean `max_deletes`?

            ci.yaml:15:5: error: the key `name` is written twice
               |
            15 |     name: again
               |     ^^^^
               = at policies[0].name
               = hint: it is also on line 4; keep one of them

            11 problems in 1 file
        "#]],
    );
}

#[test]
fn actions_choose_exactly_one_thing_and_say_when() {
    rules(
        r#"- { name: a }
- { name: b, keep: { tags: { glob: ["*"] } }, delete: { untagged: true, older_than: 1d } }
- { name: c, delete: { untagged: true } }
- { name: d, delete: { older_than: 1d } }
- { name: e, keep: { untagged: true, tags: { glob: ["*"] } } }
- { name: f, delete: { untagged: false, older_than: 1d } }
- { name: g, keep: { tags: { glob: ["a"], regex: ["a"] } } }
- { name: h, keep: { tags: { except: ["a"] } } }
- { name: i, lock: { tags: { glob: ["a"] }, can_delete: true } }
- { name: j, unlock: { tags: { glob: ["a"] } } }
- { name: k, lock: { can_delete: false } }
- { name: l, keep: }
- { name: m, delete: 30d }
"#,
        expect![[r#"
            ci.yaml:7:9: error: `rule` needs one of `keep`, `delete`, `lock` or `unlock`
              |
            7 |       - { name: a }
              |         ^^^^
              = at policies[0].rules[0]
              = hint: such as `keep: { tags: { glob: ["golden-*"] } }`

            ci.yaml:8:53: error: `keep` and `delete` do not go together: `rule` has exactly
                one of `keep`, `delete`, `lock` or `unlock`
              |
            8 | …, keep: { tags: { glob: ["*"] } }, delete: { untagged: true, older_tha…
              |                                     ^^^^^^
              = at policies[0].rules[1].delete
              = hint: write a rule for each

            ci.yaml:9:20: error: `delete` has no condition: it would delete everything that
                it chooses
              |
            9 |       - { name: c, delete: { untagged: true } }
              |                    ^^^^^^
              = at policies[0].rules[2].delete
              = hint: write `older_than: 30d` or `except_last: 10`, or both

            ci.yaml:10:20: error: `delete` needs at least one of `tags`, `untagged`,
                `orphaned`, `media_type`, `platform`, `larger_than`, `artifact_type`,
                `annotation`, `label` or `end_of_life`
               |
            10 |       - { name: d, delete: { older_than: 1d } }
               |                    ^^^^^^
               = at policies[0].rules[3].delete
               = hint: write `tags: { glob: ["…"] }`, `tags: { glob: ["*"] }` for all tags,
                       or `untagged: true`

            ci.yaml:11:38: error: `tags` and `untagged` do not go together: `keep` has at
                most one of `tags`, `untagged` or `orphaned`
               |
            11 |       - { name: e, keep: { untagged: true, tags: { glob: ["*"] } } }
               |                                      ^^^^
               = at policies[0].rules[4].keep.untagged
               = hint: keep one of them; rules are ORed, so write a second rule for the
                       other

            ci.yaml:12:40: error: `untagged` can only be true here
               |
            12 |       - { name: f, delete: { untagged: false, older_than: 1d } }
               |                                        ^^^^^
               = at policies[0].rules[5].delete.untagged
               = hint: leave it out, and choose tags with `tags`

            ci.yaml:13:56: error: `glob` and `regex` do not go together: `tags` has exactly
                one of `glob`, `regex` or `semver`
               |
            13 |       - { name: g, keep: { tags: { glob: ["a"], regex: ["a"] } } }
               |                                                        ^
               = at policies[0].rules[6].keep.tags.regex
               = hint: keep one of them; rules are ORed, so write a second rule for the
                       other

            ci.yaml:14:28: error: `tags` needs one of `glob`, `regex` or `semver`
               |
            14 |       - { name: h, keep: { tags: { except: ["a"] } } }
               |                            ^^^^
               = at policies[0].rules[7].keep.tags
               = hint: such as `glob: ["pr-*"]`

            ci.yaml:15:63: error: `can_delete` can only be false here
               |
            15 |       - { name: i, lock: { tags: { glob: ["a"] }, can_delete: true } }
               |                                                               ^^^^
               = at policies[0].rules[8].lock.can_delete
               = hint: a lock rule closes locks; to open them write an `unlock` rule

            ci.yaml:16:20: error: `unlock` needs at least one of `can_delete`, `can_write`,
                `can_read` or `can_list`
               |
            16 |       - { name: j, unlock: { tags: { glob: ["a"] } } }
               |                    ^^^^^^
               = at policies[0].rules[9].unlock
               = hint: such as `can_delete: true`

            ci.yaml:17:20: error: `lock` has no `tags`
               |
            17 |       - { name: k, lock: { can_delete: false } }
               |                    ^^^^
               = at policies[0].rules[10].lock
               = hint: write `tags: { glob: ["pr-*"] }` (which tags)

            ci.yaml:18:24: error: `keep` needs keys and values, found nothing
               |
            18 |       - { name: l, keep: }
               |                        ^
               = at policies[0].rules[11].keep
               = hint: write it such as `keep: { tags: { glob: ["golden-*"] } }`

            ci.yaml:19:28: error: `delete` needs keys and values, found the text `30d`
               |
            19 |       - { name: m, delete: 30d }
               |                            ^^^
               = at policies[0].rules[12].delete
               = hint: write it such as `delete: { tags: { glob: ["pr-*"] }, older_than: 14d
                       }`

            13 problems in 1 file
        "#]],
    );
}

#[test]
fn ages_have_units() {
    rules(
        r#"- { name: a, delete: { untagged: true, older_than: 30 } }
- { name: b, delete: { untagged: true, older_than: 1.5d } }
- { name: c, delete: { untagged: true, older_than: 1M } }
- { name: d, delete: { untagged: true, older_than: "30" } }
- { name: e, delete: { untagged: true, older_than: 0d } }
- { name: f, delete: { untagged: true, older_than: [30d] } }
"#,
        expect![[r#"
            ci.yaml:7:58: error: `older_than` needs an age, found `30`, which YAML reads as
                a number
              |
            7 |       - { name: a, delete: { untagged: true, older_than: 30 } }
              |                                                          ^^
              = at policies[0].rules[0].delete.older_than
              = hint: write the unit, such as `older_than: 30d`

            ci.yaml:8:58: error: "1.5d" is not an age: no signs, fractions or blanks
              |
            8 |       - { name: b, delete: { untagged: true, older_than: 1.5d } }
              |                                                          ^^^^
              = at policies[0].rules[1].delete.older_than
              = hint: write a number and a unit, such as 30d, 12h or 1w2d

            ci.yaml:9:58: error: "1M" is not an age: M could be months or minutes
              |
            9 |       - { name: c, delete: { untagged: true, older_than: 1M } }
              |                                                          ^^
              = at policies[0].rules[2].delete.older_than
              = hint: write days, such as 30d

            ci.yaml:10:58: error: "30" is not an age: the unit is missing
               |
            10 |       - { name: d, delete: { untagged: true, older_than: "30" } }
               |                                                          ^^^^
               = at policies[0].rules[3].delete.older_than
               = hint: write a number and a unit, such as 30d, 12h or 1w2d

            ci.yaml:11:58: error: "0d" is not an age: it must be above zero
               |
            11 |       - { name: e, delete: { untagged: true, older_than: 0d } }
               |                                                          ^^
               = at policies[0].rules[4].delete.older_than

            ci.yaml:12:58: error: `older_than` needs an age, found a list
               |
            12 |       - { name: f, delete: { untagged: true, older_than: [30d] } }
               |                                                          ^
               = at policies[0].rules[5].delete.older_than
               = hint: write it as in `older_than: 30d`

            6 problems in 1 file
        "#]],
    );
}

#[test]
fn every_example_of_the_tables_is_what_it_teaches() {
    for root in [&POLICIES, &SETTINGS] {
        for shape in root.tree() {
            for key in shape.keys.iter().filter(|key| !matches!(key.kind, Kind::Objects(_))) {
                let source = Source::new("example", &format!("{}: {}\n", key.name, key.example));
                let mut problems = Vec::new();
                crate::config::check::check(&source, shape, &mut problems);
                // The other keys of the object are missing, of course.
                problems.retain(|problem| problem.path.starts_with(key.name) && !problem.message.contains("has no meaning without"));
                assert_eq!(problems, [], "{} {}", shape.name, key.name);
            }
        }
    }
}

#[test]
fn what_a_merge_key_would_bring_is_not_missing_too() {
    policies(
        "version: 1
policies:
  - &base
    name: one
    mode: dry-run
    repositories: { include: [a] }
    rules: [{ name: r, keep: { untagged: true } }]
  - <<: *base
    name: two
",
        expect![[r#"
            ci.yaml:8:5: error: `policy` has no key `<<`
              |
            8 |   - <<: *base
              |     ^^
              = at policies[1].<<
              = hint: merge keys are not read; write the keys out, or once under `defaults`
                      for all policies of the file

            1 problem in 1 file
        "#]],
    );
}

#[test]
fn a_file_for_kubernetes_is_recognised() {
    policies(
        "apiVersion: v1\nkind: Policy\nversion: 1\npolicies: hello\n",
        expect![[r#"
            ci.yaml:1:1: error: the file has no key `apiVersion`
              |
            1 | apiVersion: v1
              | ^^^^^^^^^^
              = at apiVersion
              = hint: this is not a Kubernetes object; begin with `version: 1`

            ci.yaml:2:1: error: the file has no key `kind`
              |
            2 | kind: Policy
              | ^^^^
              = at kind
              = hint: this is not a Kubernetes object; leave it out

            ci.yaml:4:11: error: `policies` needs a list, found the text `hello`
              |
            4 | policies: hello
              |           ^^^^^
              = at policies
              = hint: write a list below `policies:`, each entry beginning with `- name: …`

            3 problems in 1 file
        "#]],
    );
    policies(
        "- name: ci\n",
        expect![[r#"
        ci.yaml:1:1: error: the file needs keys and values, found a list
          |
        1 | - name: ci
          | ^
          = hint: its keys are `version`, `defaults` and `policies`

        1 problem in 1 file
    "#]],
    );
}

#[test]
fn a_list_is_written_with_dashes() {
    policies(
        "version: 1
policies:
  - name: one
    mode: dry-run
    repositories: { include: [a] }
    rules:
      old: { delete: { untagged: true, older_than: 7d } }
",
        expect![[r#"
            ci.yaml:7:7: error: `rules` needs a list, found keys and values
              |
            7 |       old: { delete: { untagged: true, older_than: 7d } }
              |       ^^^
              = at policies[0].rules
              = hint: write a list below `rules:`, each entry beginning with `- name: …`

            1 problem in 1 file
        "#]],
    );
}
