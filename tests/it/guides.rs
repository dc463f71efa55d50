//! Plays the examples of the guides in `docs`: what they show as printed is what is printed. `UPDATE_EXPECT=1` writes it anew.
//!
//! Each heading begins an example. It has a drawn registry, policies, and commands with what they print:
//!
//! | Block | Is |
//! |---|---|
//! | `registry` | a drawing; the time, and the repository `app`, may be left out |
//! | `yaml` | a policy file, or the inside of one policy (see [`whole_file`]); a second one is an edit |
//! | `console` | lines with `$` are commands, lines with `#` something that happens in between |
//!
//! | Line | Does, of `scenarios` |
//! |---|---|
//! | `$ retaind plan [--all]` | `plan`, `plan all` |
//! | `$ retaind run --once [--accept PLAN_HASH]` | `run`, `accept`, for all policies in their order |
//! | `$ retaind explain IMAGE` | `explain` |
//! | `# 7 days later` | `wait 7d` |
//! | `# app:latest moves to new` | `move app:latest to new` |
//!
//! In the reference the headings name keys of the policy language. The paragraph after one is what the program's own reference says, and
//! each key must have a heading.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use retaind::config::policies_schema;

use crate::scenarios::Player;

#[tokio::test(start_paused = true)]
async fn the_policy_reference_prints_what_it_shows() {
    let text = play("docs/policy-reference.md").await;
    let shown: BTreeSet<String> = text.lines().flat_map(keys).map(str::to_owned).collect();
    let missing: Vec<String> = every_key()
        .into_iter()
        .filter(|(object, key)| !is_shown(&shown, object, key))
        .map(|(object, key)| format!("{object}.{key}"))
        .collect();
    assert!(missing.is_empty(), "without an example: {missing:?}");
}

#[tokio::test(start_paused = true)]
async fn the_cookbook_prints_what_it_shows() {
    let text = play("docs/cookbook.md").await;
    let situations = text.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(situations, text.matches("\n```registry\n").count(), "each situation has a registry");
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

async fn play(page: &str) -> String {
    let path = project(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut lines = text.lines();
    let mut played = Vec::new();
    let (mut player, mut policies) = (Player::default(), None::<String>);
    while let Some(line) = lines.next() {
        played.push(line.to_owned());
        if line.starts_with("##") {
            (player, policies) = (Player::default(), None);
            let named: Vec<&str> = keys(line).collect();
            let meanings: Vec<String> = match named.as_slice() {
                [name] => vec![meaning(name)],
                several => several.iter().map(|name| format!("`{name}`: {}", meaning(name))).collect(),
            };
            if !meanings.is_empty() {
                // A blank line, the paragraph and the blank line after it.
                let _paragraph: Vec<&str> = lines.by_ref().skip(1).take_while(|line| !line.is_empty()).collect();
                played.extend([String::new(), meanings.join(" "), String::new()]);
            }
            continue;
        }
        let Some(language) = line.strip_prefix("```").filter(|language| !language.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match language {
            "console" => {
                if let Some(policies) = policies.take() {
                    player.edit(&policies);
                }
                for line in body.iter().filter(|line| line.starts_with("$ ") || line.starts_with("# ")) {
                    played.push((*line).to_owned());
                    let printed = player.command(&command(line)).await;
                    played.extend(printed.lines().map(str::to_owned));
                }
            }
            "registry" => {
                player.draw(&whole_drawing(&body));
                played.extend(body.iter().map(ToString::to_string));
            }
            "yaml" => {
                policies = Some(whole_file(&body));
                played.extend(body.iter().map(ToString::to_string));
            }
            other => panic!("{page}: nobody plays blocks of {other}"),
        }
        played.push(line.chars().take_while(|character| *character == '`').collect());
    }
    let played = played.join("\n") + "\n";
    expect_file![path].assert_eq(&played);
    played
}

/// A line of a console, as a command of a scenario.
fn command(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["$", "retaind", "plan"] => "plan".to_owned(),
        ["$", "retaind", "plan", "--all"] => "plan all".to_owned(),
        // What is left to do belongs to what an example shows.
        ["$", "retaind", "run", "--once"] => "run, more to do".to_owned(),
        ["$", "retaind", "run", "--once", "--accept", "PLAN_HASH"] => "accept".to_owned(),
        ["$", "retaind", "explain", image] => format!("explain {image}"),
        ["#", count, "days" | "day", "later"] => format!("wait {count}d"),
        ["#", count, "hours" | "hour", "later"] => format!("wait {count}h"),
        ["#", tag, "moves", "to", name] => format!("move {tag} to {name}"),
        _ => panic!("{line:?} is nothing that is played"),
    }
}

fn whole_drawing(body: &[&str]) -> String {
    let has = |word: &str| body.iter().any(|line| line.trim_start().starts_with(word));
    let now = if has("now ") { "" } else { "now 2026-06-01T00:00:00Z\n" };
    let repository = if has("repository ") { "" } else { "repository app\n" };
    format!("{now}{repository}{}\n", body.join("\n"))
}

/// A file as it is, or the inside of a policy with what the head of the reference says that is around it.
fn whole_file(body: &[&str]) -> String {
    if body.iter().any(|line| line.starts_with("version:")) {
        return body.join("\n");
    }
    let limits = if body.iter().any(|line| line.starts_with("limits:")) { "" } else { "    limits: { keep_at_least: 0 }\n" };
    let inside: String = body.iter().map(|line| format!("    {line}\n")).collect();
    format!("version: 1\npolicies:\n  - name: example\n    mode: enforce\n    repositories: {{ include: [app] }}\n{limits}{inside}")
}

/// The keys that a heading names, such as `keep.last`; one without an object is the same everywhere.
fn keys(line: &str) -> impl Iterator<Item = &str> {
    let heading = line.strip_prefix("### `").unwrap_or_default();
    heading.split(['`', ',', ' ']).filter(|key| !key.is_empty())
}

/// Objects of the policy language that have examples.
const OBJECTS: [&str; 6] = ["tags", "keep", "delete", "lock", "unlock", "limits"];

/// All keys of these objects. What `tags` chooses is told by its own keys.
fn every_key() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for object in OBJECTS {
        let schema = policies_schema();
        let properties = schema["definitions"][object]["properties"].as_object().expect("an object of the language");
        all.extend(properties.keys().filter(|key| *key != "tags").map(|key| (object.to_owned(), key.clone())));
    }
    all
}

fn is_shown(shown: &BTreeSet<String>, object: &str, key: &str) -> bool {
    shown.contains(&format!("{object}.{key}")) || shown.contains(key)
}

/// What the reference says about `object.key`.
fn meaning(name: &str) -> String {
    let schema = policies_schema();
    let (objects, key) = match name.split_once('.') {
        Some((object, key)) => (vec![object], key),
        None => (OBJECTS.to_vec(), name),
    };
    let said: BTreeSet<&str> =
        objects.iter().filter_map(|object| schema["definitions"][object]["properties"][key]["description"].as_str()).collect();
    let said: Vec<&str> = said.into_iter().collect();
    let [said] = said.as_slice() else { panic!("{name} means {} things", said.len()) };
    let said = said.split(" Example: ").next().unwrap_or_default();
    said.to_owned()
}
