//! The layers, as a test: which module may use which, what the pure ones must not touch, and which library only one module knows.
//! Reads the source as text (a fraction of a second), so it needs no compiler and cannot be turned off by a feature.

mod proofs;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path as FilePath;

use source::{Kind, Path, Token};

/// What a module may use.
enum May {
    /// These modules and nothing else of ours.
    Use(&'static [&'static str]),
    /// Whatever it likes: the outermost ring.
    UseAnything,
}
use May::{Use, UseAnything};

/// Every module and what it may use, from the inside out. `pipeline` alone is its `mod.rs`: the program on one screen.
const LAYERS: &[(&str, May)] = &[
    ("clock", Use(&[])),
    ("layout", Use(&[])),
    ("model", Use(&[])),
    ("policy", Use(&["model", "policy::schedule"])),
    // A layer of its own, because it alone knows how `cron` thinks of time.
    ("policy::schedule", Use(&[])),
    ("pipeline::evaluate", Use(&["model", "policy"])),
    ("pipeline::plan", Use(&["model", "policy", "pipeline::evaluate"])),
    ("pipeline::guard", Use(&["model", "policy", "pipeline::evaluate", "pipeline::plan"])),
    ("acr", Use(&["model", "clock"])),
    ("state", Use(&["model"])),
    ("pipeline::access", Use(&["model", "policy", "acr"])),
    ("pipeline::inventory", Use(&["model", "acr", "state", "clock"])),
    ("pipeline::apply", Use(&["model", "acr", "state", "clock", "pipeline::plan", "pipeline::guard"])),
    // Of `apply` only the values that say what became of each step.
    ("pipeline::report", Use(&["layout", "model", "policy", "pipeline::evaluate", "pipeline::plan", "pipeline::guard", "pipeline::apply"])),
    (
        "pipeline",
        Use(&[
            "model",
            "policy",
            "clock",
            "acr",
            "state",
            "pipeline::access",
            "pipeline::inventory",
            "pipeline::evaluate",
            "pipeline::plan",
            "pipeline::guard",
            "pipeline::apply",
            "pipeline::report",
        ]),
    ),
    // Decides again, at other times.
    ("pipeline::outlook", Use(&["model", "policy", "pipeline", "pipeline::report"])),
    ("config", Use(&["layout", "model", "policy"])),
    // The values that metrics are told in.
    ("telemetry", Use(&["model", "policy", "acr", "pipeline::report"])),
    // Nothing of ours, so that one misreading of the registry's ways cannot make both sides of a test agree.
    ("emulator", Use(&[])),
    ("daemon::schedule", Use(&["policy"])),
    ("daemon", UseAnything),
    ("serve", UseAnything),
    ("cli", UseAnything),
];

/// A function from values to a value, nothing else: what decides about deletion must give the same answer always.
const PURE: &[&str] = &[
    "layout",
    "model",
    "policy",
    "policy::schedule",
    "pipeline::evaluate",
    "pipeline::plan",
    "pipeline::guard",
    "pipeline::report",
    "pipeline::outlook",
    "daemon::schedule",
];

/// What a pure module must not mention, and what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("async", "do the input and output in pipeline::inventory or pipeline::apply and hand the result in"),
    ("await", "do the input and output in pipeline::inventory or pipeline::apply and hand the result in"),
    ("tokio", "do the input and output in pipeline::inventory or pipeline::apply and hand the result in"),
    ("tracing", "return what is worth saying as a value; the caller logs it"),
    ("serde", "write the serialised twin at the edge (config, pipeline/report/json)"),
    ("serde_json", "write the serialised twin at the edge (config, pipeline/report/json)"),
    ("std::env", "take the value as an argument"),
    ("std::fs", "take the value as an argument"),
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime", "take `now` as an argument"),
];

/// The one part of a pure module that may write JSON.
const JSON_REPORT: &[&str] = &["pipeline", "report", "json"];

/// What only some modules know.
const ONLY: &[(&str, &[&str])] = &[
    ("reqwest", &["acr"]),
    ("azure_core", &["acr"]),
    ("azure_identity", &["acr"]),
    ("serde_yaml", &["config"]),
    ("prometheus", &["telemetry"]),
    ("rusqlite", &["state"]),
    ("cron", &["policy::schedule"]),
    ("chrono", &["policy::schedule"]),
];

/// What only some modules say, in strings: the emulator answers what the client asks.
const ONLY_IN_TEXT: &[(&str, &[&str])] = &[("/acr/v1", &["acr", "emulator"])];

#[test]
fn modules_use_only_what_lies_below_them() {
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    collect(root, &root.join("src"), &mut files);
    assert!(files.contains_key("src/lib.rs"), "the source was not found: {:?}", files.keys());
    let complaints: Vec<String> = check(&files).into_iter().collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn collect(root: &FilePath, directory: &FilePath, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("a directory of the package") {
        let path = entry.expect("an entry of the package").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("a path in the package").to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read_to_string(&path).expect("a readable source file"));
        }
    }
}

/// What is wrong with these files (path from the package's root → source), one line each: file, line, what, and what to do.
fn check(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let read: BTreeMap<&str, _> = files.iter().map(|(file, source)| (file.as_str(), source::read(source))).collect();
    let tests = read.iter().flat_map(|(file, (_, modules))| modules.iter().map(|name| [module_of(file), vec![name.clone()]].concat()));
    let tests: Vec<Vec<String>> = tests.collect();
    let mut complaints = BTreeSet::new();
    for (file, (tokens, _)) in &read {
        if !files[*file].starts_with("//!") {
            complaints.insert(format!("{file}:1: does not open with `//!`: say what the file is and what it deliberately does not know"));
        }
        let module = module_of(file);
        let is_root = module.is_empty();
        if is_root || tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let Some(layer) = layer_of(&module) else {
            complaints.insert(format!(
                "{file}:1: module `{}` is not in LAYERS of tests/it/architecture: decide what it may use and add it",
                module.join("::")
            ));
            continue;
        };
        let paths = source::paths(tokens);
        let mut complain = |line: usize, what: String| complaints.insert(format!("{file}:{line}: {what}"));
        check_arrows(&module, layer, &paths, &mut complain);
        check_words(&module, layer, tokens, &paths, &mut complain);
    }
    complaints
}

fn check_arrows(module: &[String], layer: &str, paths: &[Path], complain: &mut impl FnMut(usize, String) -> bool) {
    let (_, may) = LAYERS.iter().find(|(name, _)| *name == layer).expect("a layer of the table");
    let Use(allowed) = may else { return };
    for path in paths {
        let Some(target) = resolve(module, path) else { continue };
        let Some(used) = layer_of(&target) else {
            let target = target.join("::");
            complain(path.line, format!("`{layer}` uses `crate::{target}`, which is in no layer: name the module it is defined in"));
            continue;
        };
        if used != layer && !allowed.contains(&used) {
            complain(
                path.line,
                format!("`{layer}` must not use `{used}`: hand the value in from outside, or move what both need into a layer below"),
            );
        }
    }
}

fn check_words(module: &[String], layer: &str, tokens: &[Token], paths: &[Path], complain: &mut impl FnMut(usize, String) -> bool) {
    let lines = |word: &str| -> BTreeSet<usize> {
        let wanted: Vec<&str> = word.split("::").collect();
        let in_path = |path: &&Path| path.segments.windows(wanted.len()).any(|window| window == wanted);
        let in_paths = paths.iter().filter(in_path).map(|path| path.line);
        let alone = tokens.iter().filter(|token| token.word() == Some(word)).map(|token| token.line);
        in_paths.chain(alone).collect()
    };
    let is_json_report = module.iter().zip(JSON_REPORT).filter(|(own, part)| own == *part).count() == JSON_REPORT.len();
    if PURE.contains(&layer) {
        for (word, instead) in IMPURE {
            if is_json_report && word.starts_with("serde") {
                continue;
            }
            for line in lines(word) {
                complain(line, format!("`{layer}` is pure and must not mention `{word}`: {instead}"));
            }
        }
    }
    for (word, known_to) in ONLY.iter().filter(|(_, known_to)| !known_to.contains(&layer)) {
        for line in lines(word) {
            complain(line, format!("only `{}` knows `{word}`: ask it for what you need", known_to.join("` and `")));
        }
    }
    for (text, known_to) in ONLY_IN_TEXT.iter().filter(|(_, known_to)| !known_to.contains(&layer)) {
        for token in tokens {
            if matches!(&token.kind, Kind::Text(found) if found.contains(text)) {
                complain(token.line, format!("only `{}` knows `{text}`: ask it for what you need", known_to.join("` and `")));
            }
        }
    }
}

/// `src/pipeline/plan/audit.rs` → pipeline, plan, audit; `src/lib.rs` and `src/main.rs` → nothing.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path == "main" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The longest entry of the table that a module path begins with. What lies in `pipeline` must have an entry of its own, unless the
/// path names one of the items that `pipeline/mod.rs` itself defines.
fn layer_of(module: &[String]) -> Option<&'static str> {
    let begins = |name: &&'static str| name.split("::").enumerate().all(|(place, part)| module.get(place).is_some_and(|own| own == part));
    let layer = LAYERS.iter().map(|(name, _)| *name).filter(begins).max_by_key(|name| name.len())?;
    let is_item = |name: &String| name.starts_with(|first: char| first.is_uppercase()) || name == "*";
    let is_new_stage = layer == "pipeline" && module.get(1).is_some_and(|name| !is_item(name) && name != "run" && name != "decide");
    (!is_new_stage).then_some(layer)
}

/// The module path that `crate::…`, `self::…` or `super::…` means; None for other crates' paths and for what stays in the file.
fn resolve(module: &[String], path: &Path) -> Option<Vec<String>> {
    let mut base: Vec<String> = module.iter().chain(&path.inside).cloned().collect();
    let mut rest = path.segments.as_slice();
    match rest.split_first() {
        Some((head, tail)) if head == "crate" => {
            base.clear();
            rest = tail;
        }
        Some((head, tail)) if head == "self" => rest = tail,
        Some((head, _)) if head == "super" => {}
        Some(_) | None => return None,
    }
    while let Some((head, tail)) = rest.split_first()
        && head == "super"
    {
        base.pop();
        rest = tail;
    }
    base.extend(rest.iter().filter(|segment| *segment != "self").cloned());
    Some(base)
}
