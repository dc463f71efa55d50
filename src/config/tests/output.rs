//! The forms in which problems are shown.

use expect_test::expect;

use super::*;

fn problems() -> Problems {
    let policies = [
        ("a.yaml", "version: 1\npolicies:\n  - name: \"100%: a,b\"\n    mode: enforce\n    rules: []\n"),
        ("b,c.yaml", "\u{feff}version: 1\r\npolicies:\r\n- nme: é\r\n"),
        ("empty.yaml", ""),
    ];
    resolve_texts(("retaind.yaml", SETTINGS), &policies).expect_err("problems")
}

#[test]
fn problems_are_summed_up_and_sorted() {
    assert_eq!(problems().summary(), "8 problems in 3 files");
    let places: Vec<_> = problems().iter().map(|problem| (problem.file.to_string(), problem.place.line, problem.place.column)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn problems_are_json_for_programs() {
    expect![[r#"
        {
          "problems": [
            {
              "column": 5,
              "file": "a.yaml",
              "hint": "write `repositories: { include: [\"team-*/**\"] }` (the repositories that it names; nothing matches unless it is written)",
              "line": 3,
              "message": "`policy` has no `repositories`",
              "path": "policies[0]"
            },
            {
              "column": 11,
              "file": "a.yaml",
              "hint": "begin with a letter or digit, go on with letters, digits, '-', '_' and '.', up to 63 in all",
              "line": 3,
              "message": "\"100%: a,b\" is not a name for a policy",
              "path": "policies[0].name"
            },
            {
              "column": 12,
              "file": "a.yaml",
              "hint": "write at least one, beginning with `- name: …`",
              "line": 5,
              "message": "`rules` is an empty list",
              "path": "policies[0].rules"
            },
            {
              "column": 3,
              "file": "b,c.yaml",
              "hint": "write `mode: dry-run` (whether its plans are applied; there is no default)",
              "line": 3,
              "message": "`policy` has no `mode`",
              "path": "policies[0]"
            },
            {
              "column": 3,
              "file": "b,c.yaml",
              "hint": "write `repositories: { include: [\"team-*/**\"] }` (the repositories that it names; nothing matches unless it is written)",
              "line": 3,
              "message": "`policy` has no `repositories`",
              "path": "policies[0]"
            },
            {
              "column": 3,
              "file": "b,c.yaml",
              "hint": "write `rules:` and a list, each beginning with `- name: …`",
              "line": 3,
              "message": "`policy` has no `rules`",
              "path": "policies[0]"
            },
            {
              "column": 3,
              "file": "b,c.yaml",
              "hint": "did you mean `name`?",
              "line": 3,
              "message": "`policy` has no key `nme`",
              "path": "policies[0].nme"
            },
            {
              "column": null,
              "file": "empty.yaml",
              "hint": "an empty file is never read as \"nothing to do\"; it needs `version` and `policies`",
              "line": null,
              "message": "the file is empty",
              "path": ""
            }
          ]
        }"#]].assert_eq(&format!("{:#}", problems().to_json()));
}

#[test]
fn problems_are_annotations() {
    expect![[r#"
        ::error file=a.yaml,line=3,col=5::`policy` has no `repositories`%0Ahint: write `repositories: { include: ["team-*/**"] }` (the repositories that it names; nothing matches unless it is written)
        ::error file=a.yaml,line=3,col=11::"100%25: a,b" is not a name for a policy%0Ahint: begin with a letter or digit, go on with letters, digits, '-', '_' and '.', up to 63 in all
        ::error file=a.yaml,line=5,col=12::`rules` is an empty list%0Ahint: write at least one, beginning with `- name: …`
        ::error file=b%2Cc.yaml,line=3,col=3::`policy` has no `mode`%0Ahint: write `mode: dry-run` (whether its plans are applied; there is no default)
        ::error file=b%2Cc.yaml,line=3,col=3::`policy` has no `repositories`%0Ahint: write `repositories: { include: ["team-*/**"] }` (the repositories that it names; nothing matches unless it is written)
        ::error file=b%2Cc.yaml,line=3,col=3::`policy` has no `rules`%0Ahint: write `rules:` and a list, each beginning with `- name: …`
        ::error file=b%2Cc.yaml,line=3,col=3::`policy` has no key `nme`%0Ahint: did you mean `name`?
        ::error file=empty.yaml,line=1,col=1::the file is empty%0Ahint: an empty file is never read as "nothing to do"; it needs `version` and `policies`
    "#]].assert_eq(&problems().to_github());
}

#[test]
fn positions_do_not_depend_on_marks_and_line_ends() {
    for text in
        ["\u{feff}version: 1\r\npolicies:\r\n- nme: é\r\n", "version: 1\npolicies:\n- nme: é\n", "version: 1\rpolicies:\r- nme: é\r"]
    {
        let problems = resolve_texts(("retaind.yaml", SETTINGS), &[("a.yaml", text)]).expect_err("problems");
        let unknown = problems.iter().find(|problem| problem.message.contains("nme")).expect("the unknown key");
        assert_eq!((unknown.place.line, unknown.place.column), (3, 3), "{text:?}");
        assert!(problems.to_string().contains("3 | - nme: é\n  |   ^^^\n"), "{problems}");
    }
}

#[test]
fn what_a_terminal_would_act_upon_is_not_printed() {
    let text = "version: 1\n\"a\\u001b[31m\u{202e}\": 1\npolicies: \u{9b}31m\n";
    let problems = resolve_texts(("retaind.yaml\u{1b}", SETTINGS), &[("a\u{1b}.yaml", text)]).expect_err("problems").to_string();
    assert!(!problems.contains(|character: char| character.is_control() && character != '\n' || character == '\u{202e}'), "{problems:?}");
}

#[test]
fn secrets_written_where_none_belongs_are_not_shown() {
    let text = "version: 1
registries:
  - { name: a, endpoint: https://user:hunter2@a.example, auth: { kind: basic, username: u, password: hunter2 } }
  - name: b
    endpoint: https://b.example
    auth: { kind: client_secret, tenant_id: 1, client_secret: \"hunter2\" }
    token: hunter2
";
    let problems = resolve_texts(("retaind.yaml", text), &[]).expect_err("problems");
    for shown in [problems.to_string(), problems.to_json().to_string(), problems.to_github()] {
        assert!(shown.contains("secrets are never written here") && !shown.contains("hunter2"), "{shown}");
    }
}

/// Log lines are searched for what they say, however long the path before it is.
#[test]
fn sentences_are_whole_in_a_log_and_folded_on_a_terminal() {
    let name = format!("{}/empty.yaml", "a-long-folder".repeat(5));
    let problems = resolve_texts(("retaind.yaml", SETTINGS), &[(&name, "")]).expect_err("problems");
    let said = ["the file is empty", "an empty file is never read as \"nothing to do\"; it needs `version` and `policies`"];
    assert!(said.iter().all(|sentence| format!("{problems:#}").contains(sentence)), "{problems:#}");
    assert!(!problems.to_string().contains(said[1]), "{problems}");
}
