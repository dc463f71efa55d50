//! YAML's traps and what is not YAML at all.

use expect_test::expect;
use proptest::prelude::*;

use super::{policies, rules};

#[test]
fn values_that_yaml_does_not_take_for_text_must_be_quoted() {
    rules(
        "- name: no\n  keep: { tags: { glob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F, .inf, 2024-01-01, 12:30] } }\n- name: 1\n  keep: { tags: { glob: } }\n",
        expect![[r#"
            ci.yaml:7:15: error: `name` needs a text, found `no`, which YAML reads as true
                or false
              |
            7 |       - name: no
              |               ^^
              = at policies[0].rules[0].name
              = hint: put it in quotes: "no"

            ci.yaml:8:32: error: `glob` needs texts, found `1.10`, which YAML reads as a
                number
              |
            8 |         keep: { tags: { glob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F…
              |                                ^^^^
              = at policies[0].rules[0].keep.tags.glob[0]
              = hint: put it in quotes: "1.10"

            ci.yaml:8:38: error: `glob` needs texts, found `no`, which YAML reads as true or
                false
              |
            8 | …      keep: { tags: { glob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F,…
              |                                     ^^
              = at policies[0].rules[0].keep.tags.glob[1]
              = hint: put it in quotes: "no"

            ci.yaml:8:42: error: `glob` needs texts, found `0123`, which YAML reads as a
                number
              |
            8 | …  keep: { tags: { glob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F, .in…
              |                                     ^^^^
              = at policies[0].rules[0].keep.tags.glob[2]
              = hint: put it in quotes: "0123"

            ci.yaml:8:48: error: `glob` needs texts, found `null`, which YAML reads as
                nothing
              |
            8 | …: { tags: { glob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F, .inf, 202…
              |                                     ^^^^
              = at policies[0].rules[0].keep.tags.glob[3]
              = hint: put it in quotes: "null"

            ci.yaml:8:54: error: `glob` needs texts, found `~`, which YAML reads as nothing
              |
            8 | …gs: { glob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F, .inf, 2024-01-0…
              |                                     ^
              = at policies[0].rules[0].keep.tags.glob[4]
              = hint: put it in quotes: "~"

            ci.yaml:8:57: error: `glob` needs texts, found `1e3`, which YAML reads as a
                number
              |
            8 | … { glob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F, .inf, 2024-01-01, …
              |                                     ^^^
              = at policies[0].rules[0].keep.tags.glob[5]
              = hint: put it in quotes: "1e3"

            ci.yaml:8:62: error: `glob` needs texts, found `true`, which YAML reads as true
                or false
              |
            8 | …ob: [1.10, no, 0123, null, ~, 1e3, true, 0x1F, .inf, 2024-01-01, 12:30…
              |                                     ^^^^
              = at policies[0].rules[0].keep.tags.glob[6]
              = hint: put it in quotes: "true"

            ci.yaml:8:68: error: `glob` needs texts, found `0x1F`, which YAML reads as a
                number
              |
            8 | ….10, no, 0123, null, ~, 1e3, true, 0x1F, .inf, 2024-01-01, 12:30] } }
              |                                     ^^^^
              = at policies[0].rules[0].keep.tags.glob[7]
              = hint: put it in quotes: "0x1F"

            ci.yaml:8:74: error: `glob` needs texts, found `.inf`, which YAML reads as a
                number
              |
            8 | …o, 0123, null, ~, 1e3, true, 0x1F, .inf, 2024-01-01, 12:30] } }
              |                                     ^^^^
              = at policies[0].rules[0].keep.tags.glob[8]
              = hint: put it in quotes: ".inf"

            ci.yaml:8:92: error: "12:30" matches no tag: none has ':' in it
              |
            8 | …1e3, true, 0x1F, .inf, 2024-01-01, 12:30] } }
              |                                     ^^^^^
              = at policies[0].rules[0].keep.tags.glob[10]
              = hint: this is a pattern on tags alone; repositories are chosen under
                      `repositories`

            ci.yaml:9:15: error: `name` needs a text, found `1`, which YAML reads as a
                number
              |
            9 |       - name: 1
              |               ^
              = at policies[0].rules[1].name
              = hint: put it in quotes: "1"

            ci.yaml:10:29: error: `glob` needs a list of texts, found nothing
               |
            10 |         keep: { tags: { glob: } }
               |                             ^
               = at policies[0].rules[1].keep.tags.glob
               = hint: write it as in `glob: ["pr-*"]`, or leave the key out

            13 problems in 1 file
        "#]],
    );
}

#[test]
fn what_is_not_yaml_is_one_problem() {
    for (text, expected) in [
        (
            "version: 1\npolicies:\n\t- name: a\n",
            expect![[r#"
                ci.yaml:3:1: error: a tab is used for indentation, which YAML does not allow
                  |
                3 |  - name: a
                  | ^
                  = hint: replace it by blanks; most editors have a setting for that

                1 problem in 1 file
            "#]],
        ),
        (
            "version: 1\npolicies:\n  - name: \"a\n    mode: dry-run\n",
            expect![[r#"
                ci.yaml:4:5: error: this is not YAML: invalid indentation in multiline quoted
                    scalar
                  |
                4 |     mode: dry-run
                  |     ^
                  = hint: is a quote just above not closed?

                1 problem in 1 file
            "#]],
        ),
        (
            "version: 1\npolicies:\n  - name: a\n   mode: dry-run\n",
            expect![[r#"
                ci.yaml:4:4: error: this is not YAML: while parsing a block collection, did not
                    find expected '-' indicator
                  |
                4 |    mode: dry-run
                  |    ^
                  = hint: look at the indentation, quotes and brackets here and just above

                1 problem in 1 file
            "#]],
        ),
        (
            "version: 1\npolicies: [{ schedule: */5 * * * * }]\n",
            expect![[r#"
            ci.yaml:2:28: error: '*' begins a YAML alias
              |
            2 | policies: [{ schedule: */5 * * * * }]
              |                            ^
              = hint: a text that begins with '*' must be quoted, such as "*-rc"

            1 problem in 1 file
        "#]],
        ),
        (
            "version: 1\npolicies:\n  - schedule: */5 * * * *\n",
            expect![[r#"
            ci.yaml:3:15: error: '*' begins a YAML alias, and no anchor has this name
              |
            3 |   - schedule: */5 * * * *
              |               ^
              = hint: a text that begins with '*' must be quoted, such as "*-rc"

            1 problem in 1 file
        "#]],
        ),
        (
            "version: 1\npolicies:\n  - schedule: @daily\n",
            expect![[r#"
            ci.yaml:3:15: error: a text cannot begin with '@' in YAML
              |
            3 |   - schedule: @daily
              |               ^
              = hint: put it in quotes, such as "@…"

            1 problem in 1 file
        "#]],
        ),
        (
            "version: 1\npolicies: *nothing\n",
            expect![[r#"
            ci.yaml:2:11: error: '*' begins a YAML alias, and no anchor has this name
              |
            2 | policies: *nothing
              |           ^
              = hint: a text that begins with '*' must be quoted, such as "*-rc"

            1 problem in 1 file
        "#]],
        ),
        (
            "version: 1\n---\nversion: 1\n",
            expect![[r#"
            ci.yaml:3:1: error: a second YAML document begins here
              |
            3 | version: 1
              | ^
              = hint: write everything in one document, or the second part in a file of its
                      own

            1 problem in 1 file
        "#]],
        ),
        (
            "version: 1\npolicies: &a [*a]\n",
            expect![[r#"
            ci.yaml:2:15: error: an alias repeats the value that it is part of
              |
            2 | policies: &a [*a]
              |               ^
              = hint: write the value out

            1 problem in 1 file
        "#]],
        ),
        (
            "version: 1\npolicies: !important []\n",
            expect![[r#"
            ci.yaml:2:22: error: '!' begins a YAML tag, and YAML tags have no meaning here
              |
            2 | policies: !important []
              |                      ^
              = hint: a text that begins with '!' must be quoted

            1 problem in 1 file
        "#]],
        ),
        (
            "",
            expect![[r#"
            ci.yaml: error: the file is empty
             = hint: an empty file is never read as "nothing to do"; it needs `version` and
                     `policies`

            1 problem in 1 file
        "#]],
        ),
        (
            "# nothing\n",
            expect![[r#"
            ci.yaml: error: the file is empty
             = hint: an empty file is never read as "nothing to do"; it needs `version` and
                     `policies`

            1 problem in 1 file
        "#]],
        ),
        (
            "- a\n",
            expect![[r#"
                ci.yaml:1:1: error: the file needs keys and values, found a list
                  |
                1 | - a
                  | ^
                  = hint: its keys are `version`, `defaults` and `policies`

                1 problem in 1 file
            "#]],
        ),
        (
            "null\n",
            expect![[r#"
            ci.yaml: error: the file is empty
             = hint: an empty file is never read as "nothing to do"; it needs `version` and
                     `policies`

            1 problem in 1 file
        "#]],
        ),
        (
            "? [a]\n: b\n",
            expect![[r#"
                ci.yaml:1:1: error: the file has no `policies`
                  |
                1 | ? [a]
                  | ^
                  = hint: write `policies:` and a list, each beginning with `- name: …`

                ci.yaml:1:1: error: the file has no `version`
                  |
                1 | ? [a]
                  | ^
                  = hint: write `version: 1` (the version of the policy language)

                ci.yaml:1:3: error: a key must be a text
                  |
                1 | ? [a]
                  |   ^
                  = hint: begin the line with a key, then a colon

                3 problems in 1 file
            "#]],
        ),
        (
            "version: 1\npolicies: [\n",
            expect![[r#"
            ci.yaml:2:11: error: this is not YAML: unclosed bracket '['
              |
            2 | policies: [
              |           ^
              = hint: look at the indentation, quotes and brackets here and just above

            1 problem in 1 file
        "#]],
        ),
        (
            "version: 1\npolicies:\n  - name: a: b\n",
            expect![[r#"
                ci.yaml:3:12: error: this is not YAML: mapping values are not allowed in this
                    context
                  |
                3 |   - name: a: b
                  |            ^
                  = hint: a text with a colon and a blank in it must be quoted; else look at the
                          indentation

                1 problem in 1 file
            "#]],
        ),
        (
            &"[".repeat(100_000),
            expect![[r#"
                ci.yaml:1:25: error: the file is too large: more than 100000 values, 1000
                    aliases or 24 levels
                  |
                1 | [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
                  |                         ^
                  = hint: split the file, and write aliases out

                1 problem in 1 file
            "#]],
        ),
    ] {
        policies(text, expected);
    }
    policies(
        "version: 1\npolicies: [\"\\d+\"]\n",
        expect![[r#"
            ci.yaml:2:12: error: this is not YAML: while parsing a quoted scalar, found
                unknown escape character
              |
            2 | policies: ["\d+"]
              |            ^
              = hint: in double quotes, `\` begins an escape; write regular expressions in
                      single quotes

            1 problem in 1 file
        "#]],
    );
}

#[test]
fn no_file_takes_more_than_its_share() {
    let long = format!("version: 1\na: &a {}\npolicies: [{}]\n", "x".repeat(500_000), "*a,".repeat(900));
    policies(
        &long,
        expect![[r#"
        ci.yaml:2:7: error: a text is longer than 4096 bytes
          |
        2 | a: &a xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
          |       ^
          = hint: is a quote or a block (`|`, `>`) not closed?

        1 problem in 1 file
    "#]],
    );

    let unknown: String = (0..40_000).map(|index| format!("k{index}: 1\n")).collect();
    let problems = crate::config::resolve_texts(("retaind.yaml", super::SETTINGS), &[("ci.yaml", &unknown)]).expect_err("problems");
    assert_eq!(problems.summary(), "more than 200 problems in 1 file");

    let regexes = format!("- {{ name: a, keep: {{ tags: {{ regex: [{}] }} }} }}", "'\\w{60}',".repeat(501));
    let problems = crate::config::resolve_texts(("retaind.yaml", super::SETTINGS), &[("ci.yaml", &super::with_rules(&regexes))]);
    expect!["these are more than 500 regular expressions in one file"]
        .assert_eq(&problems.expect_err("problems").iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("\n"));
}

#[test]
fn alias_bombs_end_fast() {
    let mut bomb = "version: 1\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (previous, next) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        bomb.push_str(&format!("{next}: &{next} [{}]\n", vec![format!("*{previous}"); 9].join(",")));
    }
    policies(
        &bomb,
        expect![[r#"
            ci.yaml:6:8: error: aliases repeat more than 10000 values
              |
            6 | e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]
              |        ^
              = hint: write the values out, or split the file

            1 problem in 1 file
        "#]],
    );
}

proptest! {
    /// Whatever a slip of the hand makes of a file: no panic, and every problem stands within the file.
    #[test]
    fn no_slip_of_the_hand_is_too_much(position in 0_usize..900, removed in 0_usize..9, inserted in "[ \\t\\n:,\\[\\]{}&*!|>'\"%@#~a0é\u{1b}-]{0,4}") {
        let text: Vec<char> = super::resolved::EVERYTHING.chars().collect();
        let position = position.min(text.len());
        let rest = text.iter().skip(position + removed);
        let slipped: String = text[..position].iter().copied().chain(inserted.chars()).chain(rest.copied()).collect();
        if let Err(problems) = crate::config::resolve_texts(("retaind.yaml", super::SETTINGS), &[("ci.yaml", &slipped)]) {
            let lines = slipped.lines().count() + 1;
            for problem in problems.iter() {
                prop_assert!(problem.place.line <= lines, "{problem}");
                prop_assert!(!problem.message.is_empty() && !problem.message.contains("__"), "{problem}");
            }
        }
    }
}
