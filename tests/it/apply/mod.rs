//! What happens between a plan and its end: others push, move and lock (`races`), answers get lost and the registry throttles (`faults`),
//! the run is stopped or its journal is full (`interruptions`). Each test looks at who survived, at what the run said of it, and at
//! whether the journal accounts for every request.

mod faults;
mod interruptions;
mod races;

use std::sync::Mutex;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use retaind::emulator::{Digest, Emulator, Failure, Fault, RequestInfo, Response};
use retaind::pipeline::apply::Outcome;
use retaind::state::{Outcome as JournalOutcome, RunOutcome};

use crate::stage::{Ran, Stage};

const APP: &str = "
now 2026-06-01T00:00:00Z
repository app
  image one   tags pr-1        age 90d
  image two   tags pr-2, pr-2b age 80d
  index multi tags pr-3        age 70d platforms linux/amd64, linux/arm64
  image mixed tags pr-4, 1.1   age 60d
  image kept  tags 1.0         age 50d
";

const POLICIES: &str = r#"
version: 1
policies:
  - name: ci
    mode: enforce
    repositories: { include: ["**"] }
    rules: [{ name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }]
    limits: { keep_at_least: 0 }
"#;

/// The names of what is in the repository.
fn left(stage: &Stage) -> Vec<String> {
    let rendered = stage.emulator.render();
    let manifests = rendered.lines().filter_map(|line| line.strip_prefix("  "));
    manifests.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// What became of the steps on a manifest that is drawn with this name.
fn outcomes(stage: &Stage, ran: &Ran, name: &str) -> Vec<Outcome> {
    let digest = stage.digest("app", name).to_string();
    let steps = ran.applied().repositories.iter().flat_map(|repository| &repository.steps);
    steps.filter(|step| step.digest.to_string() == digest).map(|step| step.outcome.clone()).collect()
}

fn stopped(ran: &Ran) -> String {
    let stopped = ran.applied().repositories[0].stopped.as_ref();
    stopped.unwrap_or_else(|| panic!("it did not stop:\n{}", ran.said)).to_string()
}

/// Does something to the registry right before the `number`th request that fits takes effect.
fn before(
    stage: &Stage,
    number: usize,
    fits: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static,
    act: impl FnOnce(&Emulator) + Send + 'static,
) {
    let waiting = Mutex::new((number, Some(act)));
    stage.emulator.on_request(Box::new(move |request, emulator| {
        if !fits(request) {
            return;
        }
        let mut waiting = waiting.lock().expect("nobody panicked");
        waiting.0 -= usize::from(0 < waiting.0);
        let act = if waiting.0 == 0 { waiting.1.take() } else { None };
        drop(waiting);
        if let Some(act) = act {
            act(emulator);
        }
    }));
}

fn is(method: Method, path: String) -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    move |request| request.method == method && request.path == path
}

/// The read of a manifest's properties, which comes right before its deletion and in no listing.
fn reread(digest: Digest) -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    is(Method::GET, format!("/acr/v1/app/_manifests/{digest}"))
}

fn deletion(digest: Digest) -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    is(Method::DELETE, format!("/v2/app/manifests/{digest}"))
}

/// The read of the repository's properties: the first one belongs to the listing, the second one begins the first probe.
fn look_at_repository() -> impl Fn(&RequestInfo) -> bool + Send + Sync {
    is(Method::GET, "/acr/v1/app".to_owned())
}

fn answer(status: StatusCode, headers: &[(&'static str, &'static str)], code: &str) -> Response {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().expect("a header"), HeaderValue::from_static(value))).collect();
    Response { status, headers, body: format!(r#"{{"errors":[{{"code":"{code}","message":"on order"}}]}}"#) }
}

/// Goes wrong with the deletion of a manifest, so many times.
fn fail_deletion(stage: &Stage, name: &str, times: usize, failure: Failure) {
    let path_contains = format!("/v2/app/manifests/{}", stage.digest("app", name));
    stage.emulator.inject(Fault { method: Some(Method::DELETE), path_contains, after: 0, times, failure });
}

/// After whatever happened, a quiet run finishes the job, and then there is nothing left to do.
async fn finish(stage: &Stage, survivors: &[&str]) {
    stage.emulator.on_request(Box::new(|_, _| {}));
    stage.hands.turn(60);
    stage.run("ci").await;
    assert_eq!(left(stage), survivors);
    assert!(stage.plan_again("ci").await.is_empty);
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn an_undisturbed_run_does_what_it_planned() {
    let stage = Stage::new(APP, POLICIES);
    let ran = stage.run("ci").await;
    assert!(ran.applied().is_complete());
    assert_eq!(left(&stage), ["kept", "mixed"]);
    stage.account();
    let journal = stage.journal();
    assert_eq!((journal.len(), stage.writes()), (6, 6), "five manifests and a tag");
    assert!(journal.iter().all(|entry| matches!(&entry.concluded, Some((_, JournalOutcome::Done)))));
    assert_eq!(stage.state().runs(1).expect("the runs")[0].finished.as_ref().map(|(_, outcome)| outcome), Some(&RunOutcome::Applied));
}
