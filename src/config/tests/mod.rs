//! Bad files and what is said about them: every message is read here as its reader will see it.

mod output;
mod policies;
mod resolved;
mod settings;
mod structure;
mod yaml;

use expect_test::Expect;

use super::*;

const SETTINGS: &str = "\
version: 1
registries:
  - name: contoso
    endpoint: https://contoso.azurecr.io
policies: policies
";

/// Checks policies against one registry.
#[track_caller]
fn policies(text: &str, expected: Expect) {
    let problems = resolve_texts(("retaind.yaml", SETTINGS), &[("ci.yaml", text)]).expect_err("a file with problems");
    expected.assert_eq(&format!("{problems}\n"));
}

/// Checks settings with a good policy.
#[track_caller]
fn settings(text: &str, expected: Expect) {
    let problems = resolve_texts(("retaind.yaml", text), &[]).expect_err("a file with problems");
    expected.assert_eq(&format!("{problems}\n"));
}

/// A policy file with these rules.
fn with_rules(rules: &str) -> String {
    let indented: String = rules.lines().map(|line| format!("      {line}\n")).collect();
    format!("version: 1\npolicies:\n  - name: ci\n    mode: dry-run\n    repositories: {{ include: [\"**\"] }}\n    rules:\n{indented}")
}

#[track_caller]
fn rules(rules: &str, expected: Expect) {
    policies(&with_rules(rules), expected);
}
