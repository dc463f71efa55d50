//! Proof that each rule of the architecture test can fail: a small wrong file, and the complaint about it.

use std::collections::BTreeMap;

use super::{check, source};

/// The complaints about one file with a proper first line; its text begins in line 2.
#[track_caller]
fn complaints(file: &str, text: &str) -> Vec<String> {
    let files = BTreeMap::from([(file.to_owned(), format!("//! A file.\n{text}"))]);
    check(&files).into_iter().collect()
}

#[track_caller]
fn refused(file: &str, text: &str, complaint: &str) {
    let found = complaints(file, text);
    assert!(found.len() == 1 && found[0].starts_with(complaint), "{file}: {text}\nexpected: {complaint}\nfound: {found:#?}");
}

#[track_caller]
fn accepted(file: &str, text: &str) {
    let found = complaints(file, text);
    assert!(found.is_empty(), "{file}: {text}\nfound: {found:#?}");
}

#[test]
fn a_wrong_arrow_is_reported_with_file_line_and_what_to_do() {
    let found = complaints("src/model/name.rs", "use std::fmt;\nuse crate::policy::Rule;");
    assert_eq!(
        found,
        ["src/model/name.rs:3: `model` must not use `policy`: hand the value in from outside, or move what both need into a layer below"]
    );
}

#[test]
fn every_form_of_a_path_is_seen() {
    let complaint = "src/pipeline/evaluate/age.rs:2: `pipeline::evaluate` must not use `pipeline::plan`";
    for text in [
        "use crate::pipeline::plan::Step;",
        "use crate::pipeline::plan;",
        "use crate::pipeline::{plan::Step};",
        "use crate::{model::Digest, pipeline::{plan::{self, Step}}};",
        "pub(crate) use crate::pipeline::plan::*;",
        "fn step() -> crate::pipeline::plan::Step { todo() }",
        "use super::super::plan::Step;",
        "use super::super::{plan as the_plan};",
        "mod inner { use super::super::super::plan::Step; }",
        "macro_rules! step { () => { $crate::pipeline::plan::Step } }",
        "const A: &str = \"\\\"\"; const B: char = '\"'; use crate::pipeline::plan::Step; // \"",
        "const A: &str = r#\"\"\"#; use crate::pipeline::plan::Step;",
        "fn f<'a>(_: &'a str) {} use crate::pipeline::plan::Step;",
    ] {
        refused("src/pipeline/evaluate/age.rs", text, complaint);
    }
}

#[test]
fn comments_strings_and_tests_are_not_the_program() {
    for text in [
        "// use crate::acr::Client;",
        "/* use crate::acr::Client; /* nested */ use crate::acr::Client; */",
        "/// See [`crate::acr::Client`].\npub struct Digest;",
        "const A: &str = \"crate::acr::Client\";",
        "const A: &str = r##\"\"# crate::acr::Client \"##;",
        "#[cfg(test)]\nmod tests { use crate::acr::Client; mod more { use tokio::fs; } }",
        "#[cfg(test)]\nuse crate::acr::{Client};",
        "#[cfg(test)]\nfn client() -> crate::acr::Client { [1].len(); }",
        "pub(crate) struct A;",
    ] {
        accepted("src/model/digest.rs", text);
    }
    refused("src/model/digest.rs", "#[cfg(test)]\nmod tests {}\nuse crate::acr::Client;", "src/model/digest.rs:4: `model`");
}

#[test]
fn files_that_are_declared_for_tests_are_not_the_program() {
    let file = |name: &str, text: &str| (name.to_owned(), format!("//! A file.\n{text}"));
    let tests = file("src/state/tests.rs", "use crate::emulator::Registry;");
    let declared = file("src/state/mod.rs", "#[cfg(test)]\nmod tests;");
    assert!(check(&BTreeMap::from([tests.clone(), declared])).is_empty());
    let undeclared = file("src/state/mod.rs", "mod tests;");
    assert_eq!(check(&BTreeMap::from([tests, undeclared])).len(), 1);
}

#[test]
fn right_arrows_are_accepted() {
    accepted("src/policy/rule.rs", "use super::Pattern; use crate::model::TagName; use self::inner::A; mod inner {}");
    accepted("src/pipeline/guard/mod.rs", "use crate::pipeline::{evaluate::Verdict, plan::Plan};");
    accepted("src/pipeline/plan/audit.rs", "use super::Plan; use super::super::evaluate::Verdict;");
    accepted("src/pipeline/mod.rs", "use crate::{acr::Client, state::State}; use self::apply::apply; use crate::pipeline::RunError;");
    accepted("src/cli/plan.rs", "use crate::{acr, config, daemon, pipeline, serve, state, telemetry, emulator};");
    accepted("src/emulator/http.rs", "use super::Registry; use crate::emulator::text;");
}

#[test]
fn each_layer_keeps_to_what_is_below_it() {
    for (file, text, complaint) in [
        ("src/clock.rs", "use crate::model::Digest;", "`clock` must not use `model`"),
        ("src/policy/mod.rs", "use crate::config::Raw;", "`policy` must not use `config`"),
        ("src/pipeline/plan/mod.rs", "use super::guard::Brake;", "`pipeline::plan` must not use `pipeline::guard`"),
        ("src/pipeline/guard/mod.rs", "use crate::state::State;", "`pipeline::guard` must not use `state`"),
        ("src/pipeline/inventory/mod.rs", "use crate::policy::Policy;", "`pipeline::inventory` must not use `policy`"),
        ("src/pipeline/apply/mod.rs", "use super::evaluate::Verdict;", "`pipeline::apply` must not use `pipeline::evaluate`"),
        ("src/pipeline/report/text.rs", "use crate::acr::Client;", "`pipeline::report` must not use `acr`"),
        ("src/pipeline/plan/mod.rs", "use super::Outcome;", "`pipeline::plan` must not use `pipeline`"),
        ("src/pipeline/mod.rs", "use crate::daemon::Task;", "`pipeline` must not use `daemon`"),
        ("src/acr/mod.rs", "use crate::state::State;", "`acr` must not use `state`"),
        ("src/state/mod.rs", "use crate::clock::Clock;", "`state` must not use `clock`"),
        ("src/config/mod.rs", "use crate::pipeline::run;", "`config` must not use `pipeline`"),
        ("src/telemetry/mod.rs", "use crate::state::State;", "`telemetry` must not use `state`"),
        ("src/emulator/mod.rs", "use crate::model::Digest;", "`emulator` must not use `model`"),
    ] {
        refused(file, text, &format!("{file}:2: {complaint}"));
    }
}

#[test]
fn a_newcomer_must_be_placed() {
    refused("src/helpers.rs", "", "src/helpers.rs:1: module `helpers` is not in LAYERS");
    refused("src/pipeline/notify/mod.rs", "", "src/pipeline/notify/mod.rs:1: module `pipeline::notify` is not in LAYERS");
    refused("src/state/mod.rs", "use crate::helpers::retry;", "src/state/mod.rs:2: `state` uses `crate::helpers::retry`");
    refused("src/state/mod.rs", "use crate::Error;", "src/state/mod.rs:2: `state` uses `crate::Error`");
}

#[test]
fn pure_modules_stay_pure() {
    for (text, word) in [
        ("async fn f() {}", "async"),
        ("fn f() { g().await }", "await"),
        ("fn f() { tokio::spawn(g()); }", "tokio"),
        ("use tracing::info;", "tracing"),
        ("#[derive(serde::Serialize)] struct A;", "serde"),
        ("use serde_json as json;", "serde_json"),
        ("use std::{env, fmt};", "std::env"),
        ("use std::{fmt, fs::{self, File}};", "std::fs"),
        ("fn f() { std::time::Instant::now(); }", "Instant::now"),
        ("use std::time::SystemTime;", "SystemTime"),
    ] {
        for (file, layer) in [
            ("src/model/a.rs", "model"),
            ("src/policy/a.rs", "policy"),
            ("src/pipeline/evaluate/a.rs", "pipeline::evaluate"),
            ("src/pipeline/plan/a.rs", "pipeline::plan"),
            ("src/pipeline/guard/a.rs", "pipeline::guard"),
            ("src/pipeline/report/text.rs", "pipeline::report"),
        ] {
            refused(file, text, &format!("{file}:2: `{layer}` is pure and must not mention `{word}`: "));
        }
        accepted("src/daemon/a.rs", text);
    }
    accepted("src/pipeline/report/json.rs", "use serde::Serialize; use serde_json::Value;");
    accepted("src/pipeline/report/json/plan.rs", "use serde::Serialize;");
    refused("src/pipeline/report/json.rs", "use std::fs;", "src/pipeline/report/json.rs:2: `pipeline::report` is pure");
    accepted("src/model/a.rs", "const VERSION: &str = env!(\"CARGO_PKG_VERSION\"); fn serde_like() {}");
}

#[test]
fn some_things_are_known_to_one_module_only() {
    for (text, file, known_to) in [
        ("use reqwest::Client;", "src/acr/mod.rs", "acr"),
        ("use azure_identity::WorkloadIdentityCredential;", "src/acr/auth.rs", "acr"),
        ("use azure_core::credentials::TokenCredential;", "src/acr/auth.rs", "acr"),
        ("fn f() { serde_yaml::from_str(text) }", "src/config/raw.rs", "config"),
        ("use prometheus::Registry;", "src/telemetry/metrics.rs", "telemetry"),
        ("use rusqlite::Connection;", "src/state/mod.rs", "state"),
        ("const A: &str = \"/acr/v1/_catalog\";", "src/acr/url.rs", "acr` and `emulator"),
        ("fn f() { format!(r\"{host}/acr/v1/{repository}\") }", "src/emulator/routes.rs", "acr` and `emulator"),
    ] {
        accepted(file, text);
        refused("src/cli/mod.rs", text, &format!("src/cli/mod.rs:2: only `{known_to}` knows `"));
    }
    accepted("src/cli/mod.rs", "// reqwest, /acr/v1");
}

#[test]
fn every_file_says_what_it_is() {
    for text in ["", "use std::fmt;", "// A file.", "\n//! Too late."] {
        let found = check(&BTreeMap::from([("src/main.rs".to_owned(), text.to_owned())]));
        let found: Vec<String> = found.into_iter().collect();
        assert!(found.len() == 1 && found[0].starts_with("src/main.rs:1: does not open with `//!`"), "{text:?}: {found:?}");
    }
}

#[test]
fn lines_are_counted_through_strings_and_comments() {
    let tokens = source::tokens("a\n\"x\ny\"\n/* z\n */ b '\\n' '\"' c");
    let lines: Vec<usize> = tokens.iter().map(|token| token.line).collect();
    assert_eq!(lines, [1, 2, 5, 5]);
}
