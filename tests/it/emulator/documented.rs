//! The documentation of the emulator: its examples work, and nothing of the command line is missing in it.

use std::process::Command;

use retaind::emulator::SWITCHES;

use super::world;

const DOCUMENTATION: &str = include_str!("../../../docs/emulator.md");

/// The first block of this language.
fn block(language: &str) -> &'static str {
    let (_, block) = DOCUMENTATION.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn the_documented_roles_and_faults_are_read() {
    let w = world("repository app\n  image a");
    w.emulator.assign_roles(block("roles")).unwrap();
    w.emulator.inject_script(block("faults")).unwrap();
}

#[test]
fn every_switch_is_documented() {
    for (name, answers) in SWITCHES {
        assert!(DOCUMENTATION.contains(&format!("| `{name}` | {answers} |")), "{name} {answers}");
    }
}

#[test]
fn every_argument_is_documented() {
    let help = Command::new(env!("CARGO_BIN_EXE_retaind")).args(["emulate", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let arguments: Vec<&str> = help.lines().filter_map(|line| line.trim().strip_prefix("--")?.split(' ').next()).collect();
    assert!(20 < arguments.len(), "{help}");
    for argument in arguments {
        assert!(DOCUMENTATION.contains(&format!("`--{argument}")), "--{argument}");
    }
}
