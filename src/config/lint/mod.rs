//! Warnings: files that are valid and probably not meant. Each kind has a stable name; `docs/warnings.md` explains it. Reads the words as
//! they are written, and warns only of what is certain from them. Touches neither disk nor registry: what a registry holds is handed in.

mod live;
mod pairs;
mod rules;
mod selection;

use super::problem::{Problem, Problems};
use super::settings::Configuration;

pub use live::Seen;

/// Every warning, by its stable name.
pub const WARNINGS: [&str; 9] = [
    "never-matches",
    "covered-delete",
    "idle-keep",
    "keep-flooding",
    "lock-meets-unlock",
    "shared-repositories",
    "same-minute",
    "absent-repository",
    "idle-rule",
];

/// What is probably not meant in files that are valid. With what was seen in registries, also what chooses nothing there.
pub fn warnings(configuration: &Configuration, seen: &[Seen]) -> Option<Problems> {
    let mut found: Vec<Problem> = Vec::new();
    rules::warn(configuration, &mut found);
    pairs::warn(configuration, &mut found);
    live::warn(configuration, seen, &mut found);
    Problems::of(found)
}
