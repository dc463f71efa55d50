//! Retention cases that nobody on this project wrote: what the documentation and the tests of other tools say happens. Each is translated
//! into a policy of ours and decided by the real pipeline; where we mean to decide otherwise it says so and why, and where the language
//! has no words for a case it is listed.
//!
//! They are not part of this repository. `RETAIND_VECTORS` names the folder that holds them; without it there is nothing to compare, and
//! the test says so and passes. What is written down here is summed up in `docs/compared.md`.

mod acr_cli;
mod disagreements;
mod drawn;
mod ecr;
mod elsewise;
mod github;
mod gitlab;
mod others;
mod read;
mod zot;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use elsewise::{ELSEWISE, NOT_APPLICABLE};
use read::{Answer, Case, Cases};

/// How many cases fell into which class.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    differing: usize,
    adapted: usize,
    not_applicable: usize,
}

/// What became of a case.
#[derive(Clone, Copy)]
enum Class {
    Same,
    Differing,
    Adapted,
    NotApplicable,
}

#[test]
fn vectors() {
    let Some(folder) = std::env::var_os("RETAIND_VECTORS") else {
        println!("RETAIND_VECTORS names no folder, so there are no cases to compare with");
        return;
    };
    let cases = read::cases(&PathBuf::from(folder).join("vectors.json"));
    let inapplicable: BTreeMap<&str, &str> =
        NOT_APPLICABLE.iter().flat_map(|(reason, ids)| ids.iter().map(move |id| (*id, *reason))).collect();
    let elsewise: BTreeMap<&str, &str> = ELSEWISE.iter().map(|(id, ours, _)| (*id, *ours)).collect();
    let known = |id: &&str| cases.iter().any(|case| case.id == **id);
    let strangers: Vec<&&str> = inapplicable.keys().chain(elsewise.keys()).filter(|id| !known(id)).collect();
    assert!(strangers.is_empty(), "listed, and no case is called so: {strangers:?}");

    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for case in &cases {
        match judge(case, &cases, inapplicable.contains_key(&*case.id), elsewise.get(&*case.id).copied()) {
            Ok(Class::Same) => tally.same += 1,
            Ok(Class::Differing) => tally.differing += 1,
            Ok(Class::Adapted) => tally.adapted += 1,
            Ok(Class::NotApplicable) => tally.not_applicable += 1,
            Err(what) => wrong.push(format!("{}: {what}", case.id)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let Tally { same, differing, adapted, not_applicable } = tally;
    let counts =
        format!("{same} same, {differing} differing as written, {adapted} adapted, {not_applicable} not applicable of {}", cases.len());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compared.md")).expect("docs/compared.md");
    assert!(page.contains(&counts), "docs/compared.md must say: {counts}");
    let reasons = ELSEWISE.iter().map(|(_, _, reason)| *reason).chain(NOT_APPLICABLE.iter().map(|(reason, _)| *reason));
    for reason in reasons {
        assert!(page.contains(reason), "docs/compared.md must give this reason: {reason}");
    }
    println!("vectors: {counts}");
}

/// The class of a case; what is wrong with it otherwise. `ours` is what the list of differences says.
fn judge(case: &Case, cases: &Cases, is_listed: bool, ours: Option<&str>) -> Result<Class, String> {
    let Answer { got, wanted } = match translate(case, cases) {
        None if is_listed => return Ok(Class::NotApplicable),
        None => return Err("nobody translates it, and it is not listed as not applicable".to_owned()),
        Some(_) if is_listed => return Err("listed as not applicable, and yet translated".to_owned()),
        Some(answer) => answer,
    };
    if let Some(ours) = ours {
        let ours: Value = serde_json::from_str(ours).expect("JSON");
        if got == wanted {
            return Err(format!("it is as the case says, {got}: it needs no entry in the list of differences"));
        }
        if got != ours {
            return Err(format!("the list of differences says {ours}, and it is {got}"));
        }
    } else if got != wanted {
        return Err(format!("wanted {wanted}, got {got}"));
    }
    match (&*case.adopt, ours) {
        ("same", None) => Ok(Class::Same),
        ("same", Some(_)) | ("differs", _) => Ok(Class::Differing),
        ("adapt" | "ambiguous", _) => Ok(Class::Adapted),
        (other, _) => Err(format!("what does {other:?} ask for?")),
    }
}

/// What our policies make of the case, beside what it says; None: they have no words for it.
fn translate(case: &Case, cases: &Cases) -> Option<Answer> {
    match &*case.engine {
        "ecr" | "gar" => ecr::translate(case),
        "zot" => zot::translate(case, cases),
        "gitlab" => gitlab::translate(case),
        "acr-cli" => acr_cli::translate(case),
        "snok" | "actions-delete-package-versions" => github::translate(case),
        _ => others::translate(case),
    }
}
