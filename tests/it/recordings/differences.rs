//! The differences between the emulator and the recordings that are known and explained: the table in `docs/emulator.md`.

use std::collections::{BTreeMap, BTreeSet};

/// A row of the table, for one of the recordings that it names.
#[derive(Debug)]
struct Known {
    flow: &'static str,
    what: &'static str,
}

const DOCUMENT: &str = include_str!("../../../docs/emulator.md");

/// The rows of the table under "Differences".
fn known() -> Vec<Known> {
    let (_, section) = DOCUMENT.split_once("\n## Differences\n").expect("a section about differences");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let read = |row: &'static str| {
        let [flows, what, why] = row.split(" | ").collect::<Vec<_>>()[..] else { panic!("not three cells: {row}") };
        assert!(!why.trim().is_empty(), "no reason: {row}");
        flows.split(", ").map(move |flow| Known { flow: flow.trim_matches('`'), what: what.trim_matches('`') })
    };
    // The first row is the heading.
    rows.skip(1).flat_map(read).collect()
}

/// Fails on differences that are not in the table, and on rows of the table that have become untrue.
pub(crate) fn check(found: &[(String, String)]) {
    let known = known();
    let matches = |known: &Known, (flow, what): &(String, String)| known.flow == flow && what.starts_with(known.what);
    let mut unlisted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (flow, what) in found.iter().filter(|found| !known.iter().any(|known| matches(known, found))) {
        unlisted.entry(what).or_default().insert(flow);
    }
    let stale: Vec<&Known> = known.iter().filter(|known| !found.iter().any(|found| matches(known, found))).collect();
    assert!(unlisted.is_empty(), "{} differences are not listed in docs/emulator.md: {unlisted:#?}", unlisted.len());
    assert!(stale.is_empty(), "these rows of docs/emulator.md describe nothing that still happens: {stale:#?}");
    println!("{} differences, all of them listed in {} places", found.len(), known.len());
}
