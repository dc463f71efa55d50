//! `retaind test`: plays the tests written beside the policies, and says which expectations do not hold. Needs no registry.

mod drawn;
mod play;

use serde_json::{Value, json};

use crate::config::{Configuration, Problem, Problems, load_tests};
use crate::layout::paragraph;

use super::args::{CheckOutput, TestArguments};
use super::{End, Failure, print};

use play::{NotPlayed, Played, Wrong, play};

/// Plays.
pub(super) async fn test(arguments: &TestArguments) -> Result<End, Failure> {
    match played(arguments).await? {
        Ok(end) => Ok(end),
        Err(problems) => super::check::tell(&problems, arguments.output),
    }
}

async fn played(arguments: &TestArguments) -> Result<Result<End, Problems>, Failure> {
    let configuration = match Configuration::load(&arguments.config) {
        Ok(configuration) => configuration,
        Err(problems) => return Ok(Err(problems)),
    };
    let paths = if arguments.files.is_empty() { &configuration.test_files } else { &arguments.files };
    if paths.is_empty() {
        let hint = "write one beside the policies, such as ci.test.yaml (docs/policy-tests.md), or name the files";
        return Err(Failure::unusable(format!("there are no tests: {hint}")));
    }
    let files = match load_tests(paths) {
        Ok(files) => files,
        Err(problems) => return Ok(Err(problems)),
    };
    let mut problems: Vec<Problem> = Vec::new();
    let mut results = Vec::new();
    for (file, case) in files.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case))) {
        match play(&configuration, file, case).await {
            Ok(played) => results.push(played),
            Err(NotPlayed::Wrong(wrong)) => problems.extend(wrong),
            Err(NotPlayed::Failure(failure)) => return Err(failure),
        }
    }
    if let Some(problems) = Problems::of(problems) {
        return Ok(Err(problems));
    }
    print(&match arguments.output {
        CheckOutput::Text => as_text(&results),
        CheckOutput::Json => format!("{:#}\n", as_json(&results)),
        CheckOutput::Github => as_github(&results),
    });
    Ok(Ok(if results.iter().all(|played| played.wrong.is_empty()) { End::Done } else { End::Partial }))
}

fn as_text(results: &[Played<'_>]) -> String {
    let mut out = String::new();
    for played in results {
        out += &paragraph(&format!("{:<6}  ", if played.wrong.is_empty() { "ok" } else { "WRONG" }), 8, &played.case.name);
        for Wrong { expectation, image, got } in &played.wrong {
            let place = expectation.mark.place;
            out += &paragraph("        ", 8, &format!("{}:{}:{}", played.file.source.name, place.line, place.column));
            let by = expectation.rule.as_ref().map_or_else(String::new, |rule| format!(" by {rule}"));
            out += &paragraph("        expected  ", 18, &format!("{} {image}{by}", expectation.verdict.word()));
            out += &paragraph("        got       ", 18, &got.verdicts.join(", "));
            for reason in &got.reasons {
                out += &paragraph("                  - ", 20, reason);
            }
        }
    }
    let wrong = results.iter().filter(|played| !played.wrong.is_empty()).count();
    let tests = if results.len() == 1 { "test" } else { "tests" };
    out += &match wrong {
        0 => format!("{} {tests}, all as expected\n", results.len()),
        wrong => format!("{} {tests}, {wrong} not as expected\n", results.len()),
    };
    out
}

fn as_json(results: &[Played<'_>]) -> Value {
    let wrong = |Wrong { expectation, image, got }: &Wrong<'_>| {
        json!({
            "line": expectation.mark.place.line, "column": expectation.mark.place.column, "image": image.to_string(),
            "expected": expectation.verdict.word(), "rule": expectation.rule, "got": got.verdicts, "reasons": got.reasons,
        })
    };
    let tests = results.iter().map(|played| {
        json!({
            "file": &*played.file.source.name, "line": played.case.mark.place.line, "name": &*played.case.name,
            "passed": played.wrong.is_empty(), "wrong": played.wrong.iter().map(wrong).collect::<Vec<_>>(),
        })
    });
    json!({ "tests": tests.collect::<Vec<_>>() })
}

/// One annotation for each image of which something else was decided.
fn as_github(results: &[Played<'_>]) -> String {
    let annotate = |played: &Played<'_>, Wrong { expectation, image, got }: &Wrong<'_>| {
        let by = expectation.rule.as_ref().map_or_else(String::new, |rule| format!(" by {rule}"));
        let message = format!("{}: expected {} {image}{by}, got {}", played.case.name, expectation.verdict.word(), got.verdicts.join(", "));
        played.file.source.complain(&expectation.mark, &format!("{message}\n{}", got.reasons.join("; ")), None)
    };
    let wrong = results.iter().flat_map(|played| played.wrong.iter().map(move |wrong| annotate(played, wrong)));
    Problems::of(wrong.collect()).map_or_else(String::new, |problems| problems.to_github())
}
