//! Several policies and several hands: defaults of a file, and files whose scope the settings narrow.

use expect_test::{Expect, expect};
use retaind::config::{Configuration, resolve_texts};
use retaind::model::{RegistryName, RepositoryName};
use retaind::policy::{Mode, Policy};

use crate::stage::Folder;

const SETTINGS: &str = "version: 1\nregistries: [{ name: contoso, endpoint: https://contoso.example }]\npolicies: policies\n";
const RULES: &str = "rules: [{ name: dangling, delete: { untagged: true, older_than: 7d } }]";

#[track_caller]
fn with_defaults(defaults: &str, policies: &[&str]) -> Result<Vec<Policy>, String> {
    let policies: String = policies.iter().map(|policy| format!("  - {{ {policy}, {RULES} }}\n")).collect();
    let text = format!("version: 1\ndefaults:\n{defaults}policies:\n{policies}");
    resolve_texts(("retaind.yaml", SETTINGS), &[("ci.yaml", &text)])
        .map(|configuration| configuration.policies)
        .map_err(|problems| problems.to_string())
}

#[test]
fn a_policy_takes_what_it_does_not_say_from_the_defaults() {
    let defaults = "  mode: enforce\n  schedule: \"0 3 * * *\"\n  time_zone: Europe/Berlin\n  between: 22:00-05:00\n  limits: { max_deletes: 20, keep_at_least: 3 }\n";
    let own = "name: b, mode: dry-run, time_zone: UTC, limits: { keep_at_least: 5 }, repositories: { include: [b] }";
    let policies = with_defaults(defaults, &["name: a, repositories: { include: [a] }", own]).expect("valid");
    let said = |policy: &Policy| {
        let schedule = policy.schedule.as_ref().expect("a schedule");
        let zone = schedule.zone.iana_name().map(str::to_owned);
        (policy.mode, schedule.expression.as_str().to_owned(), zone, policy.limits.max_deletes, policy.limits.keep_at_least)
    };
    let zone = |name: &str| Some(name.to_owned());
    assert_eq!(said(&policies[0]), (Mode::Enforce, "0 3 * * *".to_owned(), zone("Europe/Berlin"), 20, 3));
    assert_eq!(said(&policies[1]), (Mode::DryRun, "0 3 * * *".to_owned(), zone("UTC"), 20, 5));
}

#[test]
fn windows_wait_for_a_schedule_of_their_policy() {
    let policies = ["name: a, schedule: \"@daily\", repositories: { include: [a] }", "name: b, repositories: { include: [b] }"];
    let policies = with_defaults("  mode: dry-run\n  between: 22:00-05:00\n", &policies).expect("valid");
    assert!(policies[0].schedule.is_some() && policies[1].schedule.is_none());
}

#[track_caller]
fn wrong(said: Result<Vec<Policy>, String>, expected: Expect) {
    expected.assert_eq(&said.expect_err("problems"));
}

#[test]
fn what_is_wrong_with_defaults_is_said_once_and_where_it_stands() {
    let policies = ["name: a, repositories: { include: [a] }", "name: b, repositories: { include: [b] }"];
    let defaults = "  mod: enforce\n  schedule: \"0 25 * * *\"\n  limits: { min_age: 30m, max: 1 }\n  rules: []\n";
    wrong(
        with_defaults(defaults, &policies),
        expect![[r#"
            ci.yaml:3:3: error: `defaults` has no key `mod`
              |
            3 |   mod: enforce
              |   ^^^
              = at defaults.mod
              = hint: did you mean `mode`?

            ci.yaml:4:13: error: "0 25 * * *" is not a schedule: in the hour field, 25 is
                not from 0 to 23
              |
            4 |   schedule: "0 25 * * *"
              |             ^^^^^^^^^^^^
              = at policies[0].schedule
              = hint: write 0 to 23, or * for any

            ci.yaml:5:22: error: `min_age` is shorter than an hour
              |
            5 |   limits: { min_age: 30m, max: 1 }
              |                      ^^^
              = at policies[0].limits.min_age
              = hint: write `min_age: 1h` or more: a push of several parts must be able to
                      finish

            ci.yaml:5:27: error: `limits` has no key `max`
              |
            5 |   limits: { min_age: 30m, max: 1 }
              |                           ^^^
              = at defaults.limits.max
              = hint: did you mean `max_deletes`?

            ci.yaml:6:3: error: `defaults` has no key `rules`
              |
            6 |   rules: []
              |   ^^^^^
              = at defaults.rules
              = hint: `rules` is a key of `policy`

            ci.yaml:8:5: error: `policy` has no `mode`
              |
            8 |   - { name: a, repositories: { include: [a] }, rules: [{ name: dangling…
              |     ^^^^
              = at policies[0]
              = hint: write `mode: dry-run` (whether its plans are applied; there is no
                      default)

            ci.yaml:9:5: error: `policy` has no `mode`
              |
            9 |   - { name: b, repositories: { include: [b] }, rules: [{ name: dangling…
              |     ^^^^
              = at policies[1]
              = hint: write `mode: dry-run` (whether its plans are applied; there is no
                      default)

            7 problems in 1 file"#]],
    );
    wrong(
        with_defaults("  time_zone: Europe/Berln\n", &policies),
        expect![[r#"
        ci.yaml:3:14: error: "Europe/Berln" is not a known time zone
          |
        3 |   time_zone: Europe/Berln
          |              ^^^^^^^^^^^^
          = at policies[0].time_zone
          = hint: did you mean `Europe/Berlin`?

        ci.yaml:5:5: error: `policy` has no `mode`
          |
        5 |   - { name: a, repositories: { include: [a] }, rules: [{ name: dangling…
          |     ^^^^
          = at policies[0]
          = hint: write `mode: dry-run` (whether its plans are applied; there is no
                  default)

        ci.yaml:6:5: error: `policy` has no `mode`
          |
        6 |   - { name: b, repositories: { include: [b] }, rules: [{ name: dangling…
          |     ^^^^
          = at policies[1]
          = hint: write `mode: dry-run` (whether its plans are applied; there is no
                  default)

        3 problems in 1 file"#]],
    );
}

#[test]
fn defaults_cannot_be_used_to_fill_the_memory() {
    let windows: String = (0..3_000).map(|_| "\"Mon\", ").collect();
    let policies = vec!["name: a, repositories: { include: [a] }"; 50];
    let said = with_defaults(&format!("  mode: dry-run\n  not_during: [{windows}]\n"), &policies).expect_err("problems");
    assert!(said.contains("the defaults repeat more than 100000 values"), "{said}");
}

/// Settings that give a file to team a, and what the file says.
fn load(entry: &str, team: &str) -> Result<Configuration, String> {
    let folder = Folder::new("teams");
    let settings = SETTINGS.replace("policies: policies", &format!("policies:\n  - path: policies\n  - {{ path: teams/a.yaml{entry} }}"));
    folder.write("retaind.yaml", &settings);
    let own = "name: everything, mode: dry-run, repositories: { include: [\"**\"] }";
    folder.write("policies/own.yaml", &format!("version: 1\npolicies:\n  - {{ {own}, {RULES} }}\n"));
    folder.write("teams/a.yaml", &format!("version: 1\npolicies:\n  - {{ name: a, mode: enforce, {team}, {RULES} }}\n"));
    let loaded = Configuration::load(&folder.path().join("retaind.yaml"));
    loaded.map_err(|problems| {
        let lines = problems.iter().map(|problem| {
            let place = problem.place;
            let hint = problem.hint.as_deref().unwrap_or_default();
            format!("{}:{}:{}: {}\n  {hint}\n", problem.file, place.line, place.column, problem.message)
        });
        lines.collect::<String>().replace(&format!("{}/", folder.path().display()), "")
    })
}

#[test]
fn a_file_stays_within_what_the_settings_give_to_it() {
    let entry = ", repositories: [\"team-a/**\", shared], limits: { max_deletes: 100, keep_at_least: 3, min_age: 48h }";
    let include = "repositories: { include: [\"team-a/web\", \"team-a/{x,y}/*\", shared] }";
    let loaded = load(entry, include).unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<&str> = loaded.policies.iter().map(|policy| &*policy.name).collect();
    assert_eq!(names, ["everything", "a"]);
    let limits = loaded.policies[1].limits;
    assert_eq!((limits.max_deletes, limits.max_delete_percent, limits.keep_at_least), (100, 10, 3));
    assert_eq!(limits.min_age, jiff::SignedDuration::from_hours(48));
    let stricter = load(entry, &format!("{include}, limits: {{ max_deletes: 0, keep_at_least: 9 }}")).expect("valid").policies[1].limits;
    assert_eq!((stricter.max_deletes, stricter.keep_at_least), (0, 9));

    // The filter is narrowed as well, whatever was proven before.
    let mut widened = loaded.policies[1].clone();
    widened.repositories.include = loaded.policies[0].repositories.include.clone();
    let names = |repository: &str| {
        widened.names(&RegistryName::parse("contoso").expect("a name"), &RepositoryName::parse(repository).expect("a name"))
    };
    assert!(names("team-a/web") && names("shared") && !names("team-b/web"));
}

#[test]
fn what_goes_beyond_is_an_error_with_both_places() {
    let entry = ", repositories: [\"team-a/**\"], limits: { max_deletes: 100, max_delete_percent: 0, keep_at_least: 3, min_age: 48h }";
    for (team, expected) in [
        (
            "repositories: { include: [\"**\", \"team-*/web\", \"team-a*\", \"team-b/x\", \"team-a/ok\"] }",
            expect![[r#"
            teams/a.yaml:3:57: "**" goes beyond the repositories that the settings give to this file
              they are "team-a/**" (retaind.yaml:5); write a glob that surely lies within
            teams/a.yaml:3:63: "team-*/web" goes beyond the repositories that the settings give to this file
              they are "team-a/**" (retaind.yaml:5); write a glob that surely lies within
            teams/a.yaml:3:77: "team-a*" goes beyond the repositories that the settings give to this file
              they are "team-a/**" (retaind.yaml:5); write a glob that surely lies within
            teams/a.yaml:3:88: "team-b/x" goes beyond the repositories that the settings give to this file
              they are "team-a/**" (retaind.yaml:5); write a glob that surely lies within
        "#]],
        ),
        (
            "repositories: { include: [\"team-a/*\"] }, limits: { max_deletes: 101, max_delete_percent: 1, keep_at_least: 2, min_age: 24h }",
            expect![[r#"
                teams/a.yaml:3:95: `max_deletes` goes beyond what the settings allow to this file
                  they say `max_deletes: 100` (retaind.yaml:5)
                teams/a.yaml:3:120: `max_delete_percent` goes beyond what the settings allow to this file
                  they say `max_delete_percent: 0` (retaind.yaml:5)
                teams/a.yaml:3:138: `keep_at_least` goes beyond what the settings allow to this file
                  they say `keep_at_least: 3` (retaind.yaml:5)
                teams/a.yaml:3:150: `min_age` goes beyond what the settings allow to this file
                  they say `min_age: 2d` (retaind.yaml:5)
            "#]],
        ),
    ] {
        expected.assert_eq(&load(entry, team).expect_err("problems"));
    }
}

#[test]
fn entries_are_read_strictly() {
    let load = |entry: &str| load(entry, "repositories: { include: [\"team-a/*\"] }").expect_err("problems");
    expect![[r#"
        retaind.yaml:5:41: `repositories` is an empty list
          write at least one, or leave the key out
        retaind.yaml:5:45: `ceiling` needs at least one of `max_deletes`, `max_delete_percent`, `keep_at_least` or `min_age`
          such as `max_deletes: 100`
    "#]]
    .assert_eq(&load(", repositories: [], limits: {}"));
    expect![[r#"
        retaind.yaml:5:41: "Team-A/**" matches no repository: none has 'T' in its name
          repositories are named in lower case, without tag and digest, such as "team-a/web"
        retaind.yaml:5:54: `policy_path` has no key `limit`
          did you mean `limits`?
    "#]]
    .assert_eq(&load(", repositories: \"Team-A/**\", limit: { max_deletes: 1 }"));
}

/// A file of a team with one policy of its name, for these repositories.
fn of_team(name: &str, include: &str) -> String {
    format!("version: 1\npolicies:\n  - {{ name: {name}, mode: enforce, repositories: {{ include: [\"{include}\"] }}, {RULES} }}\n")
}

/// What an edit of these files comes to beside what was valid before: the policies in use, and where deleting is to be suspended.
fn edited(edits: &[(&str, Option<&str>)]) -> String {
    let folder = Folder::new("teams");
    let entries = "policies:\n  - path: policies\n  - { path: teams/a.yaml, repositories: [\"team-a/**\"] }\n  - { path: teams/b, repositories: [\"team-b/**\", shared] }\n  - { path: teams/c.yaml, limits: { max_deletes: 1 } }\n";
    folder.write("retaind.yaml", &SETTINGS.replace("policies: policies\n", entries));
    folder.write("policies/own.yaml", &of_team("own", "**"));
    folder.write("teams/a.yaml", &of_team("a", "team-a/web"));
    folder.write("teams/b/one.yaml", &of_team("b-one", "team-b/web"));
    folder.write("teams/b/two.yaml", &of_team("b-two", "shared"));
    folder.write("teams/c.yaml", &of_team("c", "**").replace("dangling", "more"));
    let path = folder.path().join("retaind.yaml");
    let in_use = Configuration::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    for (file, text) in edits {
        match text {
            Some(text) => drop(folder.write(file, text)),
            None => std::fs::remove_file(folder.path().join(file)).expect("removed"),
        }
    }
    let said = match Configuration::load_beside(&path, &in_use) {
        Err(problems) => format!("everywhere: {}\n", problems.brief()),
        Ok(loaded) => {
            let policy = |policy: &Policy| format!("{} {:?}\n", policy.name, policy.repositories.include);
            let policies: String = loaded.configuration.policies.iter().map(policy).collect();
            let broken = loaded.broken.iter().map(|broken| format!("{:?}: {}\n", broken.repositories, broken.problems.brief()));
            policies + &broken.collect::<String>()
        }
    };
    said.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_broken_file_matters_in_its_scope_and_its_last_valid_text_stands_in_for_it() {
    expect![[r#"
        own ["**"]
        a ["team-a/web"]
        b-one ["team-b/api"]
        b-two ["shared"]
        c ["**"]
        ["team-a/**"]: teams/a.yaml:1:1: the file has no `policies`
    "#]]
    .assert_eq(&edited(&[("teams/a.yaml", Some("version: 1\n")), ("teams/b/one.yaml", Some(&of_team("b-one", "team-b/api")))]));
    // A folder is valid as a whole: a policy of one of its files may be what protects from those of the others.
    let folder = edited(&[("teams/b/one.yaml", Some("")), ("teams/b/two.yaml", Some(&of_team("b-two", "team-b/**")))]);
    expect![[r#"
        own ["**"]
        a ["team-a/web"]
        b-one ["team-b/web"]
        b-two ["shared"]
        c ["**"]
        ["team-b/**", "shared"]: teams/b/one.yaml: the file is empty
    "#]]
    .assert_eq(&folder);
    let beyond = edited(&[("teams/a.yaml", Some(&of_team("a", "team-b/web"))), ("teams/b/one.yaml", None), ("teams/b/two.yaml", None)]);
    expect![[r#"
        own ["**"]
        a ["team-a/web"]
        b-one ["team-b/web"]
        b-two ["shared"]
        c ["**"]
        ["team-a/**"]: teams/a.yaml:3:57: "team-b/web" goes beyond the repositories that the settings give to this file
        ["team-b/**", "shared"]: teams/b: the folder of policies is empty
    "#]]
    .assert_eq(&beyond);
}

#[test]
fn whatever_may_be_meant_elsewhere_matters_everywhere() {
    let settings = |entries: &str| SETTINGS.replace("policies: policies\n", &format!("policies:\n{entries}"));
    let twice = "  - { path: teams/b/one.yaml, repositories: [\"team-b/**\"] }\n  - path: teams/b\n";
    let narrower = "  - { path: teams/a.yaml, repositories: [\"team-a/api\"] }\n  - path: policies\n";
    let cases: &[&[(&str, Option<&str>)]] = &[
        // A scope of limits alone is none of repositories.
        &[("teams/c.yaml", Some("version: 1\n"))],
        &[("policies/own.yaml", None)],
        &[("retaind.yaml", Some("version: 1\n")), ("teams/a.yaml", None)],
        // Whose mistake is it?
        &[("teams/a.yaml", Some(&of_team("b-one", "team-a/web")))],
        &[("teams/a.yaml", None), ("retaind.yaml", Some(&settings(narrower)))],
        &[("retaind.yaml", Some(&settings(twice)))],
        &[
            (
                "retaind.yaml",
                Some(&settings(&twice.replace("- path: teams/b\n", "- { path: teams/b, repositories: [\"team-b/**\", shared] }\n"))),
            ),
            ("teams/b/deep/x.yaml", Some("")),
        ],
    ];
    let said: String = cases.iter().map(|edits| edited(edits)).collect();
    expect![[r#"
        everywhere: teams/c.yaml:1:1: the file has no `policies`
        everywhere: policies: the folder of policies is empty
        everywhere: retaind.yaml:1:1: the file has no `policies`, and 1 more
        everywhere: teams/b/one.yaml:3:13: a second policy is called b-one
        everywhere: teams/a.yaml: cannot read the file: No such file or directory (os error 2)
        everywhere: teams/b/one.yaml:3:13: a second policy is called b-one
        everywhere: teams/b/deep: a folder within the folder of policies is not read, and what it protects would be forgotten, and 1 more
    "#]]
    .assert_eq(&said);
}

/// The settings name a new team's file before it is there.
#[test]
fn a_new_file_that_was_never_valid_stands_for_no_policies_and_suspends_its_scope() {
    let entries = "policies:\n  - path: policies\n  - { path: teams/new.yaml, repositories: [\"new/**\"] }\n";
    expect![[r#"
        own ["**"]
        ["new/**"]: teams/new.yaml: cannot read the file: No such file or directory (os error 2)
    "#]]
    .assert_eq(&edited(&[("retaind.yaml", Some(&SETTINGS.replace("policies: policies\n", entries)))]));
}
