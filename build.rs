//! Tells the program which compiler built it: the one fact about a build that cargo does not hand on by itself.

use std::process::Command;

fn main() {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(compiler).arg("--version").output().ok().and_then(|output| String::from_utf8(output.stdout).ok());
    // `rustc 1.95.0 (59807616e 2026-04-14)`: the number says it all.
    let version = said.as_deref().and_then(|said| said.split_whitespace().nth(1)).unwrap_or("unknown");
    println!("cargo::rustc-env=RETAIND_RUSTC={version}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RETAIND_REVISION");
}
