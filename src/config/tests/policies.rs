//! What policies say that cannot be meant.

use expect_test::expect;

use super::{policies, rules};

#[test]
fn counts_go_with_selectors() {
    rules(
        r#"- { name: a, keep: { tags: { glob: ["*"] }, last: 3, per: minor } }
- { name: b, keep: { tags: { glob: ["*"] }, last: 3, order_by: version } }
- { name: c, keep: { tags: { semver: "*" }, last: 3, per: [major, minor] } }
- { name: d, keep: { tags: { regex: ['(?<line>\d+)-.*', '\d+'] }, last: 3, per: line } }
- { name: e, keep: { tags: { semver: "*" }, per: minor } }
- { name: f, delete: { tags: { semver: "*" }, older_than: 1d, adopt_backlog: true, order_by: version } }
- { name: g, delete: { tags: { semver: "*" }, except_last: 0 } }
- { name: h, delete: { tags: { semver: "*" }, except_last: "3" } }
- { name: i, delete: { tags: { semver: "*" }, except_last: 1_000 } }
- { name: j, delete: { tags: { semver: "*" }, except_last: -1 } }
- { name: k, delete: { tags: { semver: "*" }, except_last: 99999999999999999999 } }
"#,
        expect![[r#"
            ci.yaml:7:65: error: `per` works only for tags chosen by `semver` or `regex`
              |
            7 | …gs: { glob: ["*"] }, last: 3, per: minor } }
              |                                     ^^^^^
              = at policies[0].rules[0].keep.per
              = hint: write `tags: { semver: ">=0.0.0" }` with `per: minor`, or a `regex`
                      with named groups

            ci.yaml:8:70: error: `order_by: version` works only for tags chosen by `semver`
              |
            8 | … glob: ["*"] }, last: 3, order_by: version } }
              |                                     ^^^^^^^
              = at policies[0].rules[1].keep.order_by
              = hint: write `tags: { semver: "…" }`, or leave `order_by` out to order by
                      time

            ci.yaml:9:65: error: with `semver`, `per` is either `major` or `minor`
              |
            9 | …gs: { semver: "*" }, last: 3, per: [major, minor] } }
              |                                     ^
              = at policies[0].rules[2].keep.per
              = hint: `per: minor` counts for each major and minor version together

            ci.yaml:10:87: error: the regular expression `\d+` has no capture called `line`
               |
            10 | …>\d+)-.*', '\d+'] }, last: 3, per: line } }
               |                                     ^^^^
               = at policies[0].rules[3].keep.per
               = hint: write a named group, such as '(?<line>[0-9]+)…'

            ci.yaml:11:56: error: `per` has no meaning without `last`
               |
            11 |       - { name: e, keep: { tags: { semver: "*" }, per: minor } }
               |                                                        ^^^^^
               = at policies[0].rules[4].keep.per
               = hint: write `last` beside it, or leave it out

            ci.yaml:12:84: error: `adopt_backlog` has no meaning without `untagged` or
                `orphaned`
               |
            12 | … }, older_than: 1d, adopt_backlog: true, order_by: version } }
               |                                     ^^^^
               = at policies[0].rules[5].delete.adopt_backlog
               = hint: write `untagged` or `orphaned` beside it, or leave it out

            ci.yaml:12:100: error: `order_by` has no meaning without `except_last`
               |
            12 | …1d, adopt_backlog: true, order_by: version } }
               |                                     ^^^^^^^
               = at policies[0].rules[5].delete.order_by
               = hint: write `except_last` beside it, or leave it out

            ci.yaml:13:66: error: `except_last` must be from 1 to 1000000, found 0
               |
            13 |       - { name: g, delete: { tags: { semver: "*" }, except_last: 0 } }
               |                                                                  ^
               = at policies[0].rules[6].delete.except_last
               = hint: to spare none, leave `except_last` out and write `older_than`

            ci.yaml:14:66: error: `except_last` needs a whole number, found the text `"3"`
               |
            14 |       - { name: h, delete: { tags: { semver: "*" }, except_last: "3" } }
               |                                                                  ^^^
               = at policies[0].rules[7].delete.except_last
               = hint: write it without quotes: `except_last: 3`

            ci.yaml:15:66: error: `1_000` is not written as a plain whole number
               |
            15 | …ags: { semver: "*" }, except_last: 1_000 } }
               |                                     ^^^^^
               = at policies[0].rules[8].delete.except_last
               = hint: write `except_last: 1000`

            ci.yaml:16:66: error: `except_last` must be from 1 to 1000000, found -1
               |
            16 |       - { name: j, delete: { tags: { semver: "*" }, except_last: -1 } }
               |                                                                  ^^
               = at policies[0].rules[9].delete.except_last

            ci.yaml:17:66: error: `except_last` needs a whole number, found
                `99999999999999999999`, which YAML reads as a number
               |
            17 | …ags: { semver: "*" }, except_last: 99999999999999999999 } }
               |                                     ^^^^^^^^^^^^^^^^^^^^
               = at policies[0].rules[10].delete.except_last
               = hint: write it as in `except_last: 10`

            12 problems in 1 file
        "#]],
    );
}

#[test]
fn patterns_that_cannot_be_read_or_never_match_are_refused() {
    rules(
        r#"- { name: a, keep: { tags: { glob: ["a{b", "!v*", "team/web:*", "a-*, b-*", "", " a", "(v1|v2)", ">=1.0.0"] } } }
"#,
        expect![[r#"
            ci.yaml:7:43: error: "a{b" is not a glob: unclosed alternate group
              |
            7 | … { name: a, keep: { tags: { glob: ["a{b", "!v*", "team/web:*", "a-*, b…
              |                                     ^^^^^
              = at policies[0].rules[0].keep.tags.glob[0]
              = hint: missing '}' (maybe escape '{' with '[{]'?)

            ci.yaml:7:50: error: "!v*" is not a glob: a leading '!' has no meaning here
              |
            7 | …: a, keep: { tags: { glob: ["a{b", "!v*", "team/web:*", "a-*, b-*", ""…
              |                                     ^^^^^
              = at policies[0].rules[0].keep.tags.glob[1]
              = hint: use exclude or except

            ci.yaml:7:57: error: "team/web:*" matches no tag: none has '/' in it
              |
            7 | …ep: { tags: { glob: ["a{b", "!v*", "team/web:*", "a-*, b-*", "", " a",…
              |                                     ^^^^^^^^^^^^
              = at policies[0].rules[0].keep.tags.glob[2]
              = hint: this is a pattern on tags alone; repositories are chosen under
                      `repositories`

            ci.yaml:7:71: error: "a-*, b-*" matches no tag: none has ' ' in it
              |
            7 | …glob: ["a{b", "!v*", "team/web:*", "a-*, b-*", "", " a", "(v1|v2)", ">…
              |                                     ^^^^^^^^^^
              = at policies[0].rules[0].keep.tags.glob[3]
              = hint: tags are made of letters, digits, '.', '_' and '-'

            ci.yaml:7:83: error: `glob` is an empty text
              |
            7 | …, "!v*", "team/web:*", "a-*, b-*", "", " a", "(v1|v2)", ">=1.0.0"] } }…
              |                                     ^^
              = at policies[0].rules[0].keep.tags.glob[4]
              = hint: write it as in `glob: ["pr-*"]`

            ci.yaml:7:87: error: `glob` begins or ends with a blank
              |
            7 | …v*", "team/web:*", "a-*, b-*", "", " a", "(v1|v2)", ">=1.0.0"] } } }
              |                                     ^^^^
              = at policies[0].rules[0].keep.tags.glob[5]
              = hint: write "a"

            ci.yaml:7:93: error: "(v1|v2)" matches no tag: none has '(' in it
              |
            7 | …team/web:*", "a-*, b-*", "", " a", "(v1|v2)", ">=1.0.0"] } } }
              |                                     ^^^^^^^^^
              = at policies[0].rules[0].keep.tags.glob[6]
              = hint: this looks like a regular expression; write it under `regex`

            ci.yaml:7:104: error: ">=1.0.0" matches no tag: none has '>' in it
              |
            7 | …, "a-*, b-*", "", " a", "(v1|v2)", ">=1.0.0"] } } }
              |                                     ^^^^^^^^^
              = at policies[0].rules[0].keep.tags.glob[7]
              = hint: this looks like a version range; write it under `semver`

            8 problems in 1 file
        "#]],
    );
    rules(
        r#"- { name: c, keep: { tags: { regex: ["v(", "a)(b"], except: ["[z-a]"] } } }
- { name: d, keep: { tags: { semver: ["newest", ">=1.0"], except: ["1.2.3.4"] } } }
- { name: "a\u001b[31m", keep: { tags: { glob: ["a\nb"] } } }
"#,
        expect![[r#"
            ci.yaml:7:44: error: "v(" is not a regular expression: unclosed group
              |
            7 | …{ name: c, keep: { tags: { regex: ["v(", "a)(b"], except: ["[z-a]"] } …
              |                                     ^^^^
              = at policies[0].rules[0].keep.tags.regex[0]
              = hint: what is meant literally needs a backslash before it, such as '1\.10';
                      in single quotes YAML leaves backslashes alone

            ci.yaml:7:50: error: "a)(b" is not a regular expression: unopened group
              |
            7 | …: c, keep: { tags: { regex: ["v(", "a)(b"], except: ["[z-a]"] } } }
              |                                     ^^^^^^
              = at policies[0].rules[0].keep.tags.regex[1]
              = hint: what is meant literally needs a backslash before it, such as '1\.10';
                      in single quotes YAML leaves backslashes alone

            ci.yaml:7:68: error: "[z-a]" is not a regular expression: invalid character
                class range, the start must be <= the end
              |
            7 | … { regex: ["v(", "a)(b"], except: ["[z-a]"] } } }
              |                                     ^^^^^^^
              = at policies[0].rules[0].keep.tags.except[0]

            ci.yaml:8:45: error: "newest" is not a version range: unexpected character 'n'
                while parsing major version number
              |
            8 | … name: d, keep: { tags: { semver: ["newest", ">=1.0"], except: ["1.2.3…
              |                                     ^^^^^^^^
              = at policies[0].rules[1].keep.tags.semver[0]
              = hint: this is a name; choose it with `glob`

            ci.yaml:8:74: error: "1.2.3.4" is not a version range: expected comma after
                patch version number, found '.'
              |
            8 | …ver: ["newest", ">=1.0"], except: ["1.2.3.4"] } } }
              |                                     ^^^^^^^^^
              = at policies[0].rules[1].keep.tags.except[0]
              = hint: write a range such as ">=1.0.0" or ">=1.2.0, <2.0.0"

            ci.yaml:9:17: error: `name` contains the control character '\u{1b}'
              |
            9 |       - { name: "a\u001b[31m", keep: { tags: { glob: ["a\nb"] } } }
              |                 ^^^^^^^^^^^^^
              = at policies[0].rules[2].name
              = hint: in double quotes, YAML reads `\` as an escape; regular expressions go
                      in single quotes

            ci.yaml:9:55: error: `glob` contains the control character '\n'
              |
            9 |       - { name: "a\u001b[31m", keep: { tags: { glob: ["a\nb"] } } }
              |                                                       ^^^^^^
              = at policies[0].rules[2].keep.tags.glob[0]
              = hint: in double quotes, YAML reads `\` as an escape; regular expressions go
                      in single quotes

            7 problems in 1 file
        "#]],
    );
}

#[test]
fn policies_hold_together() {
    policies(
        r#"version: 1
policies:
  - name: ci
    registries: [contosso, "fabrikam-*", "con*"]
    mode: enforce
    schedule: "0 0 3 * * *"
    time_zone: Berlin
    repositories: { include: ["contoso.azurecr.io/team/*", "Team/*", "team/web:latest"] }
    rules:
      - { name: "x y", keep: { tags: { glob: ["*"] } } }
      - { name: a, keep: { tags: { glob: ["*"] } } }
      - { name: a, keep: { tags: { glob: ["*"] } } }
    limits: { min_age: 10m, max_delete_percent: 101, max_deletes: 0, keep_at_least: 0, on_limit: oldest }
  - name: ci
    mode: off
    schedule: "@every 1h"
    repositories: { include: "**" }
    rules: []
  - name: third
    mode: purge
    schedule: "0 3 * * $"
    rules: []
"#,
        expect![[r#"
            ci.yaml:4:18: error: no registry of the settings is called "contosso"
              |
            4 |     registries: [contosso, "fabrikam-*", "con*"]
              |                  ^^^^^^^^
              = at policies[0].registries[0]
              = hint: did you mean `contoso`?

            ci.yaml:4:28: error: no registry of the settings is called "fabrikam-*"
              |
            4 |     registries: [contosso, "fabrikam-*", "con*"]
              |                            ^^^^^^^^^^^^
              = at policies[0].registries[1]
              = hint: the settings know contoso

            ci.yaml:6:15: error: "0 0 3 * * *" is not a schedule: it has 6 fields, not five
              |
            6 |     schedule: "0 0 3 * * *"
              |               ^^^^^^^^^^^^^
              = at policies[0].schedule
              = hint: there is no field for seconds; leave the first one out

            ci.yaml:7:16: error: "Berlin" is not a known time zone
              |
            7 |     time_zone: Berlin
              |                ^^^^^^
              = at policies[0].time_zone
              = hint: did you mean `Europe/Berlin`?

            ci.yaml:8:31: error: "contoso.azurecr.io/team/*" begins with the host of a
                registry
              |
            8 |     repositories: { include: ["contoso.azurecr.io/team/*", "Team/*", "t…
              |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = at policies[0].repositories.include[0]
              = hint: write the repository alone: "team/*"

            ci.yaml:8:60: error: "Team/*" matches no repository: none has 'T' in its name
              |
            8 | …ude: ["contoso.azurecr.io/team/*", "Team/*", "team/web:latest"] }
              |                                     ^^^^^^^^
              = at policies[0].repositories.include[1]
              = hint: repositories are named in lower case, without tag and digest, such as
                      "team-a/web"

            ci.yaml:8:70: error: "team/web:latest" matches no repository: none has ':' in
                its name
              |
            8 | …toso.azurecr.io/team/*", "Team/*", "team/web:latest"] }
              |                                     ^^^^^^^^^^^^^^^^^
              = at policies[0].repositories.include[2]
              = hint: repositories are named in lower case, without tag and digest, such as
                      "team-a/web"

            ci.yaml:10:17: error: "x y" is not a name for a rule
               |
            10 |       - { name: "x y", keep: { tags: { glob: ["*"] } } }
               |                 ^^^^^
               = at policies[0].rules[0].name
               = hint: begin with a letter or digit, go on with letters, digits, '-', '_'
                       and '.', up to 63 in all

            ci.yaml:12:17: error: a second rule is called a
               |
            12 |       - { name: a, keep: { tags: { glob: ["*"] } } }
               |                 ^
               = at policies[0].rules[2].name
               = hint: the first is at ci.yaml:11; names must be unique

            ci.yaml:13:24: error: `min_age` is shorter than an hour
               |
            13 |     limits: { min_age: 10m, max_delete_percent: 101, max_deletes: 0, ke…
               |                        ^^^
               = at policies[0].limits.min_age
               = hint: write `min_age: 1h` or more: a push of several parts must be able to
                       finish

            ci.yaml:13:49: error: `max_delete_percent` must be from 0 to 100, found 101
               |
            13 | … min_age: 10m, max_delete_percent: 101, max_deletes: 0, keep_at_least:…
               |                                     ^^^
               = at policies[0].limits.max_delete_percent

            ci.yaml:13:98: error: "oldest" is no value of `on_limit`
               |
            13 | …es: 0, keep_at_least: 0, on_limit: oldest }
               |                                     ^^^^^^
               = at policies[0].limits.on_limit
               = hint: did you mean `oldest_first`?

            ci.yaml:14:11: error: a second policy is called ci
               |
            14 |   - name: ci
               |           ^^
               = at policies[1].name
               = hint: the first is at ci.yaml:3; names must be unique

            ci.yaml:15:11: error: `mode` needs `dry-run` or `enforce`, found `off`, which
                YAML reads as true or false
               |
            15 |     mode: off
               |           ^^^
               = at policies[1].mode
               = hint: write `dry-run` (plan and report) or `enforce` (plan, report and
                       apply)

            ci.yaml:16:15: error: "@every 1h" is not a schedule: @every counts from the
                start of the program
               |
            16 |     schedule: "@every 1h"
               |               ^^^^^^^^^^^
               = at policies[1].schedule
               = hint: write times, such as "0 * * * *" for every hour

            ci.yaml:18:12: error: `rules` is an empty list
               |
            18 |     rules: []
               |            ^
               = at policies[1].rules
               = hint: write at least one, beginning with `- name: …`

            ci.yaml:19:5: error: `policy` has no `repositories`
               |
            19 |   - name: third
               |     ^^^^
               = at policies[2]
               = hint: write `repositories: { include: ["team-*/**"] }` (the repositories
                       that it names; nothing matches unless it is written)

            ci.yaml:20:11: error: "purge" is no value of `mode`
               |
            20 |     mode: purge
               |           ^^^^^
               = at policies[2].mode
               = hint: write `dry-run` (plan and report) or `enforce` (plan, report and
                       apply)

            ci.yaml:21:15: error: "0 3 * * $" is not a schedule: '$' has no meaning in it
               |
            21 |     schedule: "0 3 * * $"
               |               ^^^^^^^^^^^
               = at policies[2].schedule
               = hint: write "0 3 * * *" (minute, hour, day, month, weekday), or @daily

            ci.yaml:22:12: error: `rules` is an empty list
               |
            22 |     rules: []
               |            ^
               = at policies[2].rules
               = hint: write at least one, beginning with `- name: …`

            20 problems in 1 file
        "#]],
    );
}

#[test]
fn windows_and_schedules_hold_together() {
    policies(
        r#"version: 1
policies:
  - name: a
    mode: dry-run
    schedule: "0 24 * * *"
    between: 22:00-22:00
    not_during: ["Mon-Fri 8-18", "Sat"]
    repositories: { include: "**" }
    rules: [{ name: a, keep: { untagged: true } }]
  - name: b
    mode: dry-run
    schedule: 0 3 30 2 *
    between: 22:00-05:00
    not_during: 21:00-06:00
    repositories: { include: "**" }
    rules: [{ name: a, keep: { untagged: true } }]
  - name: c
    mode: dry-run
    between: 22:00-05:00
    blackout: Sat
    repositories: { include: "**" }
    rules: [{ name: a, keep: { untagged: true } }]
"#,
        expect![[r#"
            ci.yaml:5:15: error: "0 24 * * *" is not a schedule: in the hour field, 24 is
                not from 0 to 23
              |
            5 |     schedule: "0 24 * * *"
              |               ^^^^^^^^^^^^
              = at policies[0].schedule
              = hint: write 0 to 23, or * for any

            ci.yaml:6:14: error: "22:00-22:00" is not a window: it begins where it ends
              |
            6 |     between: 22:00-22:00
              |              ^^^^^^^^^^^
              = at policies[0].between
              = hint: write 00:00-24:00 for whole days, or another end

            ci.yaml:7:18: error: "Mon-Fri 8-18" is not a window: "8" is not a time such as
                22:00
              |
            7 |     not_during: ["Mon-Fri 8-18", "Sat"]
              |                  ^^^^^^^^^^^^^^
              = at policies[0].not_during[0]
              = hint: write "22:00-05:00", "Mon-Fri 08:00-18:00" or "Sat-Sun"

            ci.yaml:12:15: error: "0 3 30 2 *" is not a schedule: it never comes: none of
                its months has a day 30
               |
            12 |     schedule: 0 3 30 2 *
               |               ^^^^^^^^^^
               = at policies[1].schedule
               = hint: write a day that its months have, such as 28

            ci.yaml:14:17: error: `between` and `not_during` leave no time in which a run
                could begin
               |
            14 |     not_during: 21:00-06:00
               |                 ^^^^^^^^^^^
               = at policies[1].not_during
               = hint: shorten `not_during`, or leave `schedule` out to run by hand only

            ci.yaml:19:14: error: `between` has no meaning without `schedule`
               |
            19 |     between: 22:00-05:00
               |              ^^^^^^^^^^^
               = at policies[2].between
               = hint: write `schedule` beside it, or leave it out

            ci.yaml:20:5: error: `policy` has no key `blackout`
               |
            20 |     blackout: Sat
               |     ^^^^^^^^
               = at policies[2].blackout
               = hint: write `not_during`

            7 problems in 1 file
        "#]],
    );
}

#[test]
fn filters_and_conditions_that_cannot_be_meant_are_refused() {
    rules(
        r#"- { name: a, keep: { tags: { glob: ["*"] }, platform: [linux, "linux/*"], media_type: ["index", "a/b; c"] } }
- { name: b, delete: { larger_than: 500, older_than: 1d } }
- { name: c, delete: { larger_than: 1.5GB, older_than: 1d } }
- { name: d, delete: { larger_than: 500M, older_than: 1d } }
- { name: e, delete: { larger_than: 1GB, newer_than: 1d } }
- { name: f, delete: { untagged: true, older_than: 30d, newer_than: 30d } }
- { name: g, delete: { orphaned: true, untagged: true, older_than: 30d } }
- { name: h, keep: { orphaned: false } }
- { name: i, keep: { tags: { glob: ["*"] }, daily: 0, weekly: 99999, monthly: "3" } }
- { name: j, keep: { orphaned: true, all_tags: true } }
- { name: k, keep: { daily: 3 } }
- { name: l, keep: { media_type: a/b, last: 3, per: minor } }
- { name: m, keep: { media_type: [], label: x } }
"#,
        expect![[r#"
            ci.yaml:7:62: error: "linux" is not a platform
              |
            7 | … tags: { glob: ["*"] }, platform: [linux, "linux/*"], media_type: ["in…
              |                                     ^^^^^
              = at policies[0].rules[0].keep.platform[0]
              = hint: write the operating system and the architecture, such as linux/amd64
                      or linux/arm/v7

            ci.yaml:7:69: error: "linux/*" is not a platform
              |
            7 | …{ glob: ["*"] }, platform: [linux, "linux/*"], media_type: ["index", "…
              |                                     ^^^^^^^^^
              = at policies[0].rules[0].keep.platform[1]
              = hint: write the operating system and the architecture, such as linux/amd64
                      or linux/arm/v7

            ci.yaml:7:94: error: "index" matches no media type
              |
            7 | …: [linux, "linux/*"], media_type: ["index", "a/b; c"] } }
              |                                     ^^^^^^^
              = at policies[0].rules[0].keep.media_type[0]
              = hint: write all of it, such as application/vnd.oci.image.index.v1+json, or a
                      glob such as "application/vnd.docker.*"

            ci.yaml:7:103: error: "a/b; c" matches no media type
              |
            7 | … "linux/*"], media_type: ["index", "a/b; c"] } }
              |                                     ^^^^^^^^
              = at policies[0].rules[0].keep.media_type[1]
              = hint: write all of it, such as application/vnd.oci.image.index.v1+json, or a
                      glob such as "application/vnd.docker.*"

            ci.yaml:8:43: error: `larger_than` needs a size, found `500`, which YAML reads
                as a number
              |
            8 |       - { name: b, delete: { larger_than: 500, older_than: 1d } }
              |                                           ^^^
              = at policies[0].rules[1].delete.larger_than
              = hint: write the unit, such as `larger_than: 500MB`

            ci.yaml:9:43: error: "1.5GB" is not a size: no signs, fractions or blanks
              |
            9 |       - { name: c, delete: { larger_than: 1.5GB, older_than: 1d } }
              |                                           ^^^^^
              = at policies[0].rules[2].delete.larger_than
              = hint: write a whole number and a unit, such as 500MB or 1GiB

            ci.yaml:10:43: error: "500M" is not a size: the unit is not known
               |
            10 |       - { name: d, delete: { larger_than: 500M, older_than: 1d } }
               |                                           ^^^^
               = at policies[0].rules[3].delete.larger_than
               = hint: write B, kB, MB, GB or TB, or KiB, MiB, GiB or TiB

            ci.yaml:11:20: error: `delete` has no condition: it would delete everything that
                it chooses
               |
            11 |       - { name: e, delete: { larger_than: 1GB, newer_than: 1d } }
               |                    ^^^^^^
               = at policies[0].rules[4].delete
               = hint: write `older_than: 30d` or `except_last: 10`, or both

            ci.yaml:12:75: error: nothing is older than 30d and newer than 30d
               |
            12 | …true, older_than: 30d, newer_than: 30d } }
               |                                     ^^^
               = at policies[0].rules[5].delete.newer_than
               = hint: write a longer `newer_than` or a shorter `older_than`

            ci.yaml:13:40: error: `untagged` and `orphaned` do not go together: `delete` has
                at most one of `tags`, `untagged` or `orphaned`
               |
            13 | …  - { name: g, delete: { orphaned: true, untagged: true, older_than: 3…
               |                                     ^^^^
               = at policies[0].rules[6].delete.orphaned
               = hint: keep one of them; rules are ORed, so write a second rule for the
                       other

            ci.yaml:14:38: error: `orphaned` can only be true here
               |
            14 |       - { name: h, keep: { orphaned: false } }
               |                                      ^^^^^
               = at policies[0].rules[7].keep.orphaned
               = hint: leave it out, and choose tags with `tags`

            ci.yaml:15:58: error: `daily` must be from 1 to 36525, found 0
               |
            15 | …p: { tags: { glob: ["*"] }, daily: 0, weekly: 99999, monthly: "3" } }
               |                                     ^
               = at policies[0].rules[8].keep.daily

            ci.yaml:15:69: error: `weekly` must be from 1 to 36525, found 99999
               |
            15 | …{ glob: ["*"] }, daily: 0, weekly: 99999, monthly: "3" } }
               |                                     ^^^^^
               = at policies[0].rules[8].keep.weekly

            ci.yaml:15:85: error: `monthly` needs a whole number, found the text `"3"`
               |
            15 | … daily: 0, weekly: 99999, monthly: "3" } }
               |                                     ^^^
               = at policies[0].rules[8].keep.monthly
               = hint: write it without quotes: `monthly: 3`

            ci.yaml:16:54: error: `all_tags` has no meaning for what has no tags
               |
            16 |       - { name: j, keep: { orphaned: true, all_tags: true } }
               |                                                      ^^^^
               = at policies[0].rules[9].keep.all_tags
               = hint: leave it out, or choose by `tags`

            ci.yaml:17:20: error: `keep` needs at least one of `tags`, `untagged`,
                `orphaned`, `media_type`, `platform`, `larger_than`, `artifact_type`,
                `annotation`, `label` or `end_of_life`
               |
            17 |       - { name: k, keep: { daily: 3 } }
               |                    ^^^^
               = at policies[0].rules[10].keep
               = hint: write `tags: { glob: ["…"] }`, `tags: { glob: ["*"] }` for all tags,
                       or `untagged: true`

            ci.yaml:18:59: error: `per` works only for tags chosen by `semver` or `regex`
               |
            18 |       - { name: l, keep: { media_type: a/b, last: 3, per: minor } }
               |                                                           ^^^^^
               = at policies[0].rules[11].keep.per
               = hint: write `tags: { semver: ">=0.0.0" }` with `per: minor`, or a `regex`
                       with named groups

            ci.yaml:19:40: error: `media_type` is an empty list
               |
            19 |       - { name: m, keep: { media_type: [], label: x } }
               |                                        ^
               = at policies[0].rules[12].keep.media_type
               = hint: write at least one, or leave the key out

            18 problems in 1 file
        "#]],
    );
}

/// What people write who come from elsewhere.
#[test]
fn patterns_of_newcomers_are_answered_with_what_to_write() {
    rules(
        r#"- { name: group, delete: { tags: { regex: ['pr-(\d+'] }, older_than: 1d } }
- { name: look, delete: { tags: { regex: ['(?!v).*'] }, older_than: 1d } }
- { name: back, delete: { tags: { regex: ['(a)\1'] }, older_than: 1d } }
- { name: or, delete: { tags: { semver: "1.x || 2.x" }, older_than: 1d } }
- { name: name, delete: { tags: { semver: latest }, older_than: 1d } }
- { name: v, delete: { tags: { semver: ">=v1.0.0" }, older_than: 1d } }
- { name: comma, delete: { tags: { semver: ">=1.2 <2" }, older_than: 1d } }"#,
        expect![[r#"
            ci.yaml:7:50: error: "pr-(\\d+" is not a regular expression: unclosed group
              |
            7 | …: group, delete: { tags: { regex: ['pr-(\d+'] }, older_than: 1d } }
              |                                     ^^^^^^^^^
              = at policies[0].rules[0].delete.tags.regex[0]
              = hint: what is meant literally needs a backslash before it, such as '1\.10';
                      in single quotes YAML leaves backslashes alone

            ci.yaml:8:49: error: "(?!v).*" is not a regular expression: look-around,
                including look-ahead and look-behind, is not supported
              |
            8 | …e: look, delete: { tags: { regex: ['(?!v).*'] }, older_than: 1d } }
              |                                     ^^^^^^^^^
              = at policies[0].rules[1].delete.tags.regex[0]
              = hint: say with `except` what must not match

            ci.yaml:9:49: error: "(a)\\1" is not a regular expression: backreferences are
                not supported
              |
            9 | …e: back, delete: { tags: { regex: ['(a)\1'] }, older_than: 1d } }
              |                                     ^^^^^^^
              = at policies[0].rules[2].delete.tags.regex[0]
              = hint: write out what may stand there

            ci.yaml:10:47: error: "1.x || 2.x" is not a version range: expected comma after
                minor version number, found '|'
               |
            10 | …ame: or, delete: { tags: { semver: "1.x || 2.x" }, older_than: 1d } }
               |                                     ^^^^^^^^^^^^
               = at policies[0].rules[3].delete.tags.semver
               = hint: several ranges are a list: ["1", "2"]

            ci.yaml:11:49: error: "latest" is not a version range: unexpected character 'l'
                while parsing major version number
               |
            11 | …e: name, delete: { tags: { semver: latest }, older_than: 1d } }
               |                                     ^^^^^^
               = at policies[0].rules[4].delete.tags.semver
               = hint: this is a name; choose it with `glob`

            ci.yaml:12:46: error: ">=v1.0.0" is not a version range: unexpected character
                'v' while parsing major version number
               |
            12 | …name: v, delete: { tags: { semver: ">=v1.0.0" }, older_than: 1d } }
               |                                     ^^^^^^^^^^
               = at policies[0].rules[5].delete.tags.semver
               = hint: leave out the v: ">=1.0.0" chooses the tag v1.2.3, too

            ci.yaml:13:50: error: ">=1.2 <2" is not a version range: expected comma after
                minor version number, found '<'
               |
            13 | …: comma, delete: { tags: { semver: ">=1.2 <2" }, older_than: 1d } }
               |                                     ^^^^^^^^^^
               = at policies[0].rules[6].delete.tags.semver
               = hint: write a range such as ">=1.0.0" or ">=1.2.0, <2.0.0"

            7 problems in 1 file
        "#]],
    );
    let including = |patterns: &str| super::with_rules("- { name: r, keep: { untagged: true } }").replace("[\"**\"]", patterns);
    policies(
        &including(r#"["/team/**", "team/", "team//web", "https://contoso.azurecr.io/team/web", "contoso.azurecr.io/team/*"]"#),
        expect![[r#"
            ci.yaml:5:31: error: "/team/**" matches no repository: no name begins with a
                slash
              |
            5 |     repositories: { include: ["/team/**", "team/", "team//web", "https:…
              |                               ^^^^^^^^^^
              = at policies[0].repositories.include[0]
              = hint: write "team/**"

            ci.yaml:5:43: error: "team/" matches no repository: no name ends with a slash
              |
            5 | …ositories: { include: ["/team/**", "team/", "team//web", "https://cont…
              |                                     ^^^^^^^
              = at policies[0].repositories.include[1]
              = hint: write "team/**"

            ci.yaml:5:52: error: "team//web" matches no repository: none has two slashes in
                a row
              |
            5 | …: { include: ["/team/**", "team/", "team//web", "https://contoso.azure…
              |                                     ^^^^^^^^^^^
              = at policies[0].repositories.include[2]
              = hint: write "team/web"

            ci.yaml:5:65: error: "https://contoso.azurecr.io/team/web" is an address, not a
                repository
              |
            5 | …["/team/**", "team/", "team//web", "https://contoso.azurecr.io/team/we…
              |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = at policies[0].repositories.include[3]
              = hint: write the repository alone: "team/web"; `registries` says in which
                      registry

            ci.yaml:5:104: error: "contoso.azurecr.io/team/*" begins with the host of a
                registry
              |
            5 | …ps://contoso.azurecr.io/team/web", "contoso.azurecr.io/team/*"] }
              |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = at policies[0].repositories.include[4]
              = hint: write the repository alone: "team/*"

            5 problems in 1 file
        "#]],
    );
}
