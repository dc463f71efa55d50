//! Plays a policy test: decides about the drawn registry as a run would, and holds the expectations against it. Prints nothing.

use jiff::Timestamp;

use crate::config::{Case, Configuration, DrawnImage, DrawnVersion, Expectation, ExpectedVerdict, Problem, TestFile};
use crate::model::{Condemned, Contents, LockChange};
use crate::pipeline::evaluate::Evaluation;
use crate::pipeline::plan::{Cause, Decision, LockStep, Steps};
use crate::pipeline::report::{Context, Item, rules_behind};
use crate::pipeline::{Decisions, decide};
use crate::policy::Policy;

use super::super::Failure;
use super::drawn::{Drawn, NotDrawn, draw};

/// A test that was played.
pub(super) struct Played<'a> {
    pub(super) file: &'a TestFile,
    pub(super) case: &'a Case,
    /// Empty: it passed.
    pub(super) wrong: Vec<Wrong<'a>>,
}

/// An expectation that does not hold, of one image.
pub(super) struct Wrong<'a> {
    pub(super) expectation: &'a Expectation,
    pub(super) image: &'a DrawnImage,
    pub(super) got: Got,
}

/// What was decided about an image.
pub(super) struct Got {
    /// `keep`, `delete` or `untag`, and `lock` or `unlock` beside it.
    pub(super) verdicts: Vec<&'static str>,
    /// Why, as sentences.
    pub(super) reasons: Vec<String>,
    /// The rules that have a part in it, as `rule` and `policy/rule`.
    rules: Vec<String>,
}

/// Why a test could not be played.
pub(super) enum NotPlayed {
    /// The test is wrong: what it says of the registry or the policies is not so.
    Wrong(Vec<Problem>),
    /// Anything else.
    Failure(Failure),
}

/// Plays one test.
pub(super) async fn play<'a>(configuration: &Configuration, file: &'a TestFile, case: &'a Case) -> Result<Played<'a>, NotPlayed> {
    let wrong = |problem| NotPlayed::Wrong(vec![problem]);
    let acting = acting(configuration, file, case).map_err(|problem| wrong(*problem))?;
    let Some(registry) = acting.registries.first() else {
        return Err(wrong(file.source.complain(&case.mark, &format!("policy {} is for no registry", acting.name), None)));
    };
    if let Ok(Some(_)) = crate::emulator::Emulator::now_of(&case.drawing) {
        let hint = "leave the line out, and write `now` beside `registry`";
        return Err(wrong(file.source.complain(&case.drawing_mark, "the drawing says what time it is", Some(hint))));
    }
    let policies = &configuration.policies;
    let mut drawn = draw(&case.drawing, registry, policies, case.now).await.map_err(|error| match error {
        NotDrawn::Drawing(error) => wrong(file.drawing_problem(case, error.line, &error.message)),
        NotDrawn::Failure(failure) => NotPlayed::Failure(failure),
    })?;
    condemn_long_ago(&mut drawn, policies, acting, case.now);
    let decisions = decide(&drawn.inventory, policies, acting, case.now);
    if decisions.repositories.is_empty() {
        let message = format!("policy {} names none of the repositories that are drawn", acting.name);
        let hint = "draw one that it names, so that a typing error does not pass for a decision";
        return Err(wrong(file.source.complain(&case.drawing_mark, &message, Some(hint))));
    }
    expected(file, case, &drawn, &decisions)
}

/// What is drawn has been condemned ever since it could be: a test asks what becomes of an image in the end, not in the first run.
fn condemn_long_ago(drawn: &mut Drawn, policies: &[Policy], acting: &Policy, now: Timestamp) {
    let decisions = decide(&drawn.inventory, policies, acting, now);
    let evaluations = decisions.repositories.into_iter().filter_map(|decided| Some((decided.repository.name.clone(), decided.evaluation?)));
    let marks: Vec<_> = evaluations.map(|(name, evaluation)| (name, evaluation.marks)).collect();
    for (name, marks) in marks {
        let condemned = marks.into_iter().map(|mark| Condemned { mark, since: Timestamp::UNIX_EPOCH }).collect();
        if let Some(repository) = drawn.inventory.repositories.iter_mut().find(|repository| repository.name == name) {
            repository.observations.condemned = condemned;
        }
    }
}

fn acting<'a>(configuration: &'a Configuration, file: &TestFile, case: &Case) -> Result<&'a Policy, Box<Problem>> {
    let policies = &configuration.policies;
    let names = || policies.iter().map(|policy| &*policy.name).collect::<Vec<_>>().join(", ");
    match (&case.policy, policies.as_slice()) {
        (Some((name, mark)), _) => policies.iter().find(|policy| *policy.name == **name).ok_or_else(|| {
            let hint = format!("there are: {}", names());
            Box::new(file.source.complain(mark, &format!("no policy is named {name:?}"), Some(&hint)))
        }),
        (None, [only]) => Ok(only),
        (None, _) => {
            let hint = format!("write `policy: …` with one of {}", names());
            Err(Box::new(file.source.complain(&case.mark, "the test does not say which policy acts", Some(&hint))))
        }
    }
}

fn expected<'a>(file: &'a TestFile, case: &'a Case, drawn: &Drawn, decisions: &Decisions<'_>) -> Result<Played<'a>, NotPlayed> {
    let (mut wrong, mut problems) = (Vec::new(), Vec::new());
    for expectation in &case.expectations {
        for image in &expectation.images {
            match got(drawn, decisions, image) {
                Ok(got) if holds(expectation, &got) => {}
                Ok(got) => wrong.push(Wrong { expectation, image, got }),
                Err(message) => problems.push(file.source.complain(&expectation.mark, &message, None)),
            }
        }
    }
    if problems.is_empty() { Ok(Played { file, case, wrong }) } else { Err(NotPlayed::Wrong(problems)) }
}

fn holds(expectation: &Expectation, got: &Got) -> bool {
    let Expectation { verdict, rule, .. } = expectation;
    got.verdicts.contains(&verdict.word()) && rule.as_ref().is_none_or(|rule| got.rules.contains(rule))
}

/// What was decided about an image; a sentence when it is not in the drawing.
fn got(drawn: &Drawn, decisions: &Decisions<'_>, image: &DrawnImage) -> Result<Got, String> {
    let DrawnImage { repository, .. } = image;
    let place = decisions.repositories.iter().position(|decided| decided.repository.name == *repository);
    let Some(place) = place else {
        if !drawn.inventory.repositories.iter().any(|drawn| drawn.name == *repository) {
            return Err(format!("no repository {repository} is drawn"));
        }
        return Ok(Got { verdicts: vec!["keep"], reasons: vec!["the policy does not name the repository".to_owned()], rules: Vec::new() });
    };
    let decided = &decisions.repositories[place];
    let Some((context, evaluation)) = decided.spoken_of(decisions.plan.now) else {
        return Ok(Got {
            verdicts: vec!["keep"],
            reasons: vec!["the repository could not be listed completely".to_owned()],
            rules: Vec::new(),
        });
    };
    let item = find(drawn, context.contents, image)?;
    let steps = match &decisions.plan.repositories[place].decision {
        Decision::Steps(steps) => Some(steps),
        Decision::Nothing(_) => None,
    };
    Ok(judged(&context, evaluation, steps, item))
}

fn find(drawn: &Drawn, contents: &Contents, image: &DrawnImage) -> Result<Item, String> {
    let DrawnImage { repository, version } = image;
    match version {
        DrawnVersion::Tag(tag) => contents.find_tag(tag).map(Item::Tag).ok_or_else(|| format!("no tag {tag} is drawn in {repository}")),
        DrawnVersion::Named(name) => {
            let digest = drawn.seed.digest(repository.as_str(), name).map(|digest| digest.to_string());
            let digest = digest.unwrap_or_else(|| name.clone()).parse().ok();
            let place = digest.and_then(|digest| contents.find(digest));
            place.map(Item::Manifest).ok_or_else(|| format!("nothing in {repository} is drawn with the name {name}"))
        }
    }
}

fn judged(context: &Context<'_>, evaluation: &Evaluation, steps: Option<&Steps>, item: Item) -> Got {
    let Context { contents, policies, acting, .. } = *context;
    let (manifest, tag) = match item {
        Item::Manifest(manifest) => (manifest, None),
        Item::Tag(tag) => (contents.owner_of(tag), Some(tag)),
    };
    let manifest_goes = evaluation.manifests.goes(manifest);
    let goes = tag.map_or(manifest_goes, |tag| evaluation.tags.goes(tag));
    let verdict = match (goes, manifest_goes) {
        (false, _) => ExpectedVerdict::Keep,
        (true, true) => ExpectedVerdict::Delete,
        (true, false) => ExpectedVerdict::Untag,
    };
    let reasons = tag.map_or_else(|| evaluation.manifests.reasons(manifest), |tag| evaluation.tags.reasons(tag));
    let mut got = Got {
        verdicts: vec![verdict.word()],
        reasons: reasons.iter().map(|reason| context.sentence(*reason)).collect(),
        rules: Vec::new(),
    };
    for rule in rules_behind(contents, evaluation, item) {
        let policy = policies[usize::from(rule.policy)];
        got.rule(&policy.name, &policy.rules[usize::from(rule.rule)].name);
    }
    let name = tag.map(|tag| &contents.tags()[tag as usize].name);
    let digest = contents.manifests()[manifest as usize].digest;
    let is_meant = |lock: &LockStep<'_>| lock.digest == digest && (lock.tag.is_none() || lock.tag == name);
    for lock in steps.into_iter().flat_map(Steps::locks).filter(is_meant) {
        got.verdicts.extend(lock_verdicts(lock.change));
        got.reasons.push(format!("{} changes its lock", lock.cause));
        if let Cause::Rules(rules) | Cause::Released(rules) = lock.cause {
            rules.iter().for_each(|rule| got.rule(&policies[acting].name, rule));
        }
    }
    got
}

impl Got {
    fn rule(&mut self, policy: &str, rule: &str) {
        self.rules.push(rule.to_owned());
        self.rules.push(format!("{policy}/{rule}"));
    }
}

fn lock_verdicts(change: LockChange) -> Vec<&'static str> {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    let attributes = [can_delete, can_write, can_read, can_list];
    let verdict = |value: bool, verdict: ExpectedVerdict| attributes.contains(&Some(value)).then_some(verdict.word());
    verdict(false, ExpectedVerdict::Lock).into_iter().chain(verdict(true, ExpectedVerdict::Unlock)).collect()
}
