//! Policy tests: names, times, expectations. Does not draw: what a drawing says is known only to its reader.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Context;
use super::selector::patterns;
use crate::config::cases::{Case, DrawnImage, DrawnVersion, Expectation, ExpectedVerdict};
use crate::config::check::check;
use crate::config::item::{Item, Object};
use crate::config::problem::{Complaint, Problem, Source};
use crate::config::shape::{TESTS, list_or};
use crate::config::suggest::nearest;
use crate::config::tree::{self, Node, Value};
use crate::model::{RepositoryName, TagName};

/// The time of a test that says none: ages alone matter to most.
const NOW_DEFAULT: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Resolves a file of tests.
pub(in crate::config) fn cases(source: &Source, problems: &mut Vec<Problem>) -> Vec<Case> {
    let Some(file) = check(source, &TESTS, problems) else { return Vec::new() };
    let mut context = Context::new(source, problems);
    let mut taken = BTreeSet::new();
    let objects = file.items("tests").iter().filter_map(|item| Some((item, item.as_object()?)));
    objects.filter_map(|(item, object)| case(&mut context, item, object, &mut taken)).collect()
}

/// A file that is called a test is not read as a policy. If it holds policies all the same, what they protect would be forgotten; if it
/// cannot be read, nobody knows.
pub(in crate::config) fn refuse_policies_among_tests(source: &Source, problems: &mut Vec<Problem>) {
    let hint = "policies are read from files whose name does not end in .test.yaml; rename it, or mend it";
    match tree::parse(&source.text) {
        Ok(root) => {
            let Value::Mapping(entries) = &root.value else { return };
            let named = |node: &Node| matches!(&node.value, Value::Text(text) if text == "policies");
            if let Some((key, _)) = entries.iter().find(|(key, _)| named(key)) {
                let complaint = Complaint::new("a file of tests holds policies, which nobody would read");
                problems.push(source.problem(key.place, "policies", complaint.hint(hint)));
            }
        }
        Err((place, complaint)) => problems.push(source.problem(place, "", complaint)),
    }
}

/// None when something is bad or missing, which has been reported.
fn case(context: &mut Context<'_>, item: &Item, object: &Object, taken: &mut BTreeSet<String>) -> Option<Case> {
    if let Some(name) = object.get("name")
        && let Some(text) = name.as_text()
        && !taken.insert(text.to_owned())
    {
        context.report(name, Complaint::new(format!("a second test is called {text:?}")).hint("names must be unique within a file"));
    }
    let now = object.get("now").map_or(Some(NOW_DEFAULT), |item| time(context, item));
    let expectations = expectations(context, object);
    let drawing = object.get("registry")?;
    Some(Case {
        name: object.text("name")?.into(),
        mark: item.mark(),
        policy: object.get("policy").and_then(|item| Some((item.as_text()?.to_owned(), item.mark()))),
        now: now?,
        drawing: drawing.as_text()?.to_owned(),
        drawing_mark: drawing.mark(),
        expectations: expectations?,
    })
}

fn time(context: &mut Context<'_>, item: &Item) -> Option<Timestamp> {
    let text = item.as_text()?;
    let time = text.parse().ok();
    if time.is_none() {
        context.report(item, Complaint::new(format!("{text:?} is not a time")).hint("write it as in `now: 2026-06-01T00:00:00Z`"));
    }
    time
}

/// None when one of them is bad, which has been reported: the others would be half a test.
fn expectations(context: &mut Context<'_>, object: &Object) -> Option<Vec<Expectation>> {
    let items = object.items("expect");
    let read = patterns(context, items, expectation);
    let marked = read.into_iter().zip(items).map(|(expectation, item)| Expectation { mark: item.mark(), ..expectation });
    let marked: Vec<Expectation> = marked.collect();
    (!marked.is_empty() && marked.len() == items.len()).then_some(marked)
}

/// Reads `VERDICT IMAGE, IMAGE … by RULE`.
fn expectation(text: &str) -> Result<Expectation, Complaint> {
    let example = "write it as in \"delete app:pr-1 by pull-requests\"";
    let mut words = text.split_whitespace();
    let verdict = verdict(words.next().unwrap_or_default())?;
    let mut rest: Vec<&str> = words.collect();
    let mut rule = None;
    if let Some(by) = rest.iter().position(|word| *word == "by") {
        let [name] = rest[by + 1..] else {
            return Err(Complaint::new("`by` takes the name of one rule").hint(example));
        };
        rule = Some(name.to_owned());
        rest.truncate(by);
    }
    let names = rest.iter().flat_map(|word| word.split(',')).filter(|name| !name.is_empty());
    let images = names.map(image).collect::<Result<Vec<DrawnImage>, Complaint>>()?;
    if images.is_empty() {
        return Err(Complaint::new(format!("{text:?} says of no image what is expected")).hint(example));
    }
    Ok(Expectation { verdict, images, rule, mark: Default::default() })
}

fn verdict(word: &str) -> Result<ExpectedVerdict, Complaint> {
    let words = || ExpectedVerdict::WORDS.into_iter();
    if let Some((_, verdict)) = words().find(|(known, _)| *known == word) {
        return Ok(verdict);
    }
    let near = nearest(word, words().map(|(word, _)| word));
    let hint =
        near.map_or_else(|| format!("begin with {}", list_or(words().map(|(word, _)| word))), |near| format!("did you mean `{near}`?"));
    Err(Complaint::new(format!("{word:?} is not a verdict")).hint(hint))
}

fn image(text: &str) -> Result<DrawnImage, Complaint> {
    let invalid = |why: String| {
        let complaint = Complaint::new(format!("{text:?} is not an image: {why}"));
        complaint.hint("write `repository:tag`, or `repository@name` with the name from the drawing")
    };
    let (repository, version) = if let Some((repository, name)) = text.split_once('@') {
        (repository, DrawnVersion::Named(name.to_owned()))
    } else if let Some((repository, tag)) = text.rsplit_once(':') {
        (repository, DrawnVersion::Tag(TagName::parse(tag).map_err(|error| invalid(error.to_string()))?))
    } else {
        return Err(invalid("it has neither tag nor name".to_owned()));
    };
    Ok(DrawnImage { repository: RepositoryName::parse(repository).map_err(|error| invalid(error.to_string()))?, version })
}
