//! The files that teach and describe the configuration: the examples load, the schemas and the reference are what the program would
//! write, and the disk is read as promised. `UPDATE_EXPECT=1` writes the generated files anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect_file;
use retaind::config::{Configuration, policies_schema, reference, settings_schema, tests_schema};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A new folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a new folder");
    folder
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("its folder");
    fs::write(path, text).expect("a file");
}

const SETTINGS: &str = "version: 1\nregistries: [{ name: a, endpoint: https://a.example }]\npolicies: policies\n";

fn policy(name: &str) -> String {
    format!(
        "version: 1\npolicies:\n  - {{ name: {name}, mode: dry-run, repositories: {{ include: [\"**\"] }}, rules: [{{ name: a, keep: {{ untagged: true }} }}] }}\n"
    )
}

#[test]
fn the_examples_load() {
    let configuration = Configuration::load(&project("config/retaind.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<&str> = configuration.policies.iter().map(|policy| &*policy.name).collect();
    assert_eq!(names, ["ci", "production", "releases", "starter"]);
    // Whoever starts from the examples starts without deleting anything.
    assert!(configuration.policies.iter().all(|policy| policy.mode == retaind::policy::Mode::DryRun));
    let read: Vec<_> = configuration.files.iter().skip(1).filter_map(|path| path.file_name()).collect();
    let mut there: Vec<_> =
        fs::read_dir(project("config/policies")).expect("the folder").map(|entry| entry.expect("a file").file_name()).collect();
    there.retain(|name| !name.to_string_lossy().ends_with(".test.yaml"));
    there.sort();
    assert_eq!(read, there);
}

#[test]
fn the_schemas_and_the_reference_are_fresh() {
    expect_file![project("config/retaind.schema.json")].assert_eq(&format!("{:#}\n", settings_schema()));
    expect_file![project("config/policies.schema.json")].assert_eq(&format!("{:#}\n", policies_schema()));
    expect_file![project("config/tests.schema.json")].assert_eq(&format!("{:#}\n", tests_schema()));
    expect_file![project("docs/configuration.md")].assert_eq(&reference());
}

/// What the program prints, for the files that are made of it.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_retaind")).args(arguments).output().expect("the program");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_manual_and_the_completions_are_fresh() {
    expect_file![project("deploy/man/retaind.1")].assert_eq(&printed(&["manual"]));
    for shell in ["bash", "zsh", "fish"] {
        expect_file![project(&format!("deploy/completions/retaind.{shell}"))].assert_eq(&printed(&["completions", shell]));
    }
    let page = printed(&["manual", "plan"]);
    assert!(page.contains(".TH retaind-plan 1") && page.contains(r"\fBretaind plan\fR"), "{page}");
}

/// Whoever searches the troubleshooting table for a message must find what the program says, so it quotes the sources: each piece
/// between the places where something is filled in.
#[test]
fn the_troubleshooting_table_quotes_the_program() {
    let sources = sources();
    let page = fs::read_to_string(project("docs/operations.md")).expect("the page");
    let (_, table) = page.split_once("## Troubleshooting").expect("the section");
    let mut quoted = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let message = row.split(" | ").next().expect("a first cell");
        let texts = message.split('`').skip(1).step_by(2).flat_map(|text| text.split('…'));
        // What begins so are Microsoft's words.
        let pieces = texts.map(|text| text.trim_matches([' ', ':', ';', ',', '(', ')'])).filter(|text| !text.starts_with("AADSTS"));
        for piece in pieces.filter(|piece| 8 < piece.len()) {
            assert!(sources.contains(piece), "nothing says {piece:?}, of the row {row}");
            quoted += 1;
        }
    }
    assert!(25 < quoted, "{quoted} pieces: the table is not as this test reads it");
}

/// The messages that the page shows by themselves, too: each piece between numbers, names and paths.
#[test]
fn what_operations_shows_as_said_is_what_the_program_says() {
    let sources = sources();
    let page = fs::read_to_string(project("docs/operations.md")).expect("the page");
    let is_filled_in = |word: &&str| word.contains('/') || word.contains(|character: char| character.is_ascii_digit());
    let mut quoted = 0;
    let blocks = page.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    for line in blocks.flat_map(str::lines).map(|line| line.trim().trim_start_matches("guard: ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for piece in words.split(is_filled_in).map(|words| words.join(" ")).filter(|piece| 8 < piece.len()) {
            assert!(sources.contains(&piece), "nothing says {piece:?}, of the line {line}");
            quoted += 1;
        }
    }
    assert!(3 < quoted, "{quoted} pieces: the page is not as this test reads it");
}

/// All that the program's own source says, its texts in one piece.
fn sources() -> String {
    let mut sources = String::new();
    let mut folders = vec![project("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(&path).expect("a source");
            }
        }
    }
    // Texts go on in the next line after a backslash.
    sources.replace("\\\"", "\"").split("\\\n").map(str::trim_start).collect()
}

#[test]
fn a_folder_is_read_in_name_order_without_hidden_names() {
    let folder = folder("order");
    write(&folder.join("retaind.yaml"), SETTINGS);
    for (name, text) in [("b.yaml", policy("b")), ("a.yml", policy("a")), (".hidden.yaml", "?".to_owned()), ("notes.md", "?".to_owned())] {
        write(&folder.join("policies").join(name), &text);
    }
    let configuration = Configuration::load(&folder.join("retaind.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    let files: Vec<_> = configuration.files.iter().map(|path| path.strip_prefix(&folder).expect("within").to_owned()).collect();
    assert_eq!(files, ["retaind.yaml", "policies/a.yml", "policies/b.yaml"].map(PathBuf::from));
}

#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_through_its_links() {
    let folder = folder("mounted");
    write(&folder.join("retaind.yaml"), SETTINGS);
    let policies = folder.join("policies");
    write(&policies.join("..2026_01/ci.yaml"), &policy("ci"));
    std::os::unix::fs::symlink("..2026_01", policies.join("..data")).expect("a link");
    std::os::unix::fs::symlink("..data/ci.yaml", policies.join("ci.yaml")).expect("a link");
    let before = Configuration::load(&folder.join("retaind.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(before.files.len(), 2);

    // The swap that Kubernetes does: a new folder behind the same names.
    write(&policies.join("..2026_02/ci.yaml"), &policy("other"));
    fs::remove_file(policies.join("..data")).expect("the old link");
    std::os::unix::fs::symlink("..2026_02", policies.join("..data")).expect("a link");
    let after = Configuration::load(&folder.join("retaind.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(&*after.policies[0].name, "other");
    assert_ne!(before.content_hash, after.content_hash);
}

#[test]
fn what_is_missing_or_empty_is_never_no_policies() {
    let folder = folder("missing");
    let settings = folder.join("retaind.yaml");
    let problems = |expected: &str| {
        let problems = Configuration::load(&settings).expect_err("a problem");
        let says = |text: &str| text.contains(expected);
        assert!(problems.iter().any(|problem| says(&problem.message) || problem.hint.as_deref().is_some_and(says)), "{problems}");
    };
    problems("a missing file is never read as");
    write(&settings, "");
    problems("the file is empty");
    write(&settings, SETTINGS);
    problems("a missing file is never read as");
    fs::create_dir(folder.join("policies")).expect("a folder");
    problems("the folder of policies is empty");
    write(&folder.join("policies/team/a.yaml"), &policy("a"));
    problems("a folder within the folder of policies is not read");
    fs::remove_dir_all(folder.join("policies/team")).expect("the folder");
    write(&folder.join("policies/a.yaml"), &policy("a"));
    assert!(Configuration::load(&settings).is_ok());
    write(&folder.join("policies/b.yaml"), &"#".repeat(1 << 21));
    problems("the file is larger than 1048576 bytes");
    fs::write(folder.join("policies/b.yaml"), b"\xff\xfe").expect("a file");
    problems("the file is not UTF-8 text");
}

/// The Dockerfile compiles the dependencies before the sources are there, so it makes a stand-in for every target that Cargo.toml names.
#[test]
fn the_image_has_a_stand_in_for_every_target() {
    let read = |path: &str| fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (manifest, dockerfile) = (read("Cargo.toml"), read("Dockerfile"));
    let stand_ins = dockerfile.lines().find(|line| line.trim_start().starts_with("for file in")).expect("a line of stand-ins");
    let benches = manifest.split("[[bench]]").skip(1).filter_map(|bench| bench.split('"').nth(1)).map(|name| format!("benches/{name}.rs"));
    let missing: Vec<String> = benches.chain(["tests/it/main.rs".to_owned()]).filter(|file| !stand_ins.contains(file)).collect();
    assert!(missing.is_empty(), "not in the Dockerfile: {missing:?}");
}
