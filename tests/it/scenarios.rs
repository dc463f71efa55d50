//! Plays the scripts in `tests/scenarios`: a registry drawn in text, policies, commands and what they print.
//!
//! ```text
//! # A title, and what it shows. Lines that begin with # are for the reader.
//!
//! registry:
//!   now 2026-06-01T00:00:00Z          a drawing as for `retaind emulate --seed`; a second one is a push.
//!   …                                 <NAME> stands for the digits of the digest of what is drawn with that name
//!   repository app
//!     image old tags v1 age 90d
//!
//! policies:
//!   version: 1                        a policy file; a second one is an edit
//!   policies: …
//!
//! > plan                              a command, and what it prints, by four blanks
//!     policy ci (enforce) on contoso
//! ```
//!
//! | Command | Does |
//! |---|---|
//! | `plan [POLICY]`, `plan all [POLICY]` | what `retaind plan` prints, with `all` every image |
//! | `run [POLICY]`, `run [POLICY], more to do` | what `retaind run --once` prints |
//! | `accept POLICY` | runs and accepts the plan of this moment, whatever the limits say |
//! | `explain REPOSITORY:TAG`, `explain REPOSITORY@NAME` | what `retaind explain` prints; the name is the drawing's |
//! | `state` | what is in the registry now |
//! | `wait 7d` | time goes by |
//! | `move REPOSITORY:TAG to NAME` | somebody pushes the tag to another image |
//! | `lock REPOSITORY:TAG delete,read` | somebody closes these attributes of the tag and opens the others; `nothing` opens all |
//! | `spoil REPOSITORY@NAME for N reads` | its document is answered with other bytes |
//! | `hide the time of REPOSITORY@NAME` | the registry no longer tells when it was pushed |
//!
//! Without a policy a command is for all of them, in their order. Digests are shown by the names of the drawing, and the hash of a plan
//! as HASH. After every run the journal must account for every change, no survivor may have lost a child, and planning again must find
//! nothing to do, unless the script says `more to do`. Commands that only look must not change anything. The audit of each plan must
//! find nothing. `UPDATE_EXPECT=1` writes what is printed into the scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use expect_test::expect_file;
use http::{HeaderMap, Method, StatusCode};
use retaind::acr::{Body, Transport, TransportError};
use retaind::emulator::{Emulator, Failure, Fault, Locks, Response};
use retaind::pipeline::report::Detail;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::stage::{How, Ran, Stage, policies};

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            play(stringify!($name)).await;
        })*

        #[test]
        fn every_script_is_played() {
            let played: BTreeSet<PathBuf> = [$(stringify!($name)),*].into_iter().map(script).collect();
            let folder = fs::read_dir(script("any").parent().expect("a folder")).expect("the scripts");
            let found: BTreeSet<PathBuf> = folder.map(|entry| entry.expect("a script").path()).collect();
            assert_eq!(played, found);
        }
    };
}

scenarios! {
    images_of_several_platforms
    locked_indexes_under_every_policy
    locks_on_three_levels
    one_kept_tag
    signatures
    companion_tags
    shared_children
    referrers_tag
    keep_wins_in_every_policy
    counting_images
    newest_of_each_minor
    calendar_periods
    conditions_of_keep
    filters_and_what_is_not_told
    orphans
    orphans_make_no_room
    untagged_since
    adopted_backlog
    times_that_mean_nothing
    young_and_few
    changed_policies
    limit_on_deletes
    limit_on_percent
    oldest_first
    oldest_first_within_a_share
    locking_and_unlocking
    releasing_locks
    what_documents_say
    end_of_life
    condemned_for_three_days
    ghosts
    unreadable_manifests
    truncated_tags
    what_no_policy_names
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(format!("{}.txt", name.replace('_', "-")))
}

async fn play(name: &str) {
    let path = script(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let played = Player::default().play(&text).await;
    expect_file![path].assert_eq(&played);
}

/// A part of a script.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// A line that is only kept.
    Line(&'a str),
    Registry(Vec<&'a str>),
    Policies(Vec<&'a str>),
    Command(&'a str),
}

/// Cuts a script into parts; what commands printed the last time is left out.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for line in text.lines() {
        let is_inside = line.starts_with(' ') || line.is_empty();
        match (line, parts.last_mut()) {
            ("registry:", _) => parts.push(Part::Registry(Vec::new())),
            ("policies:", _) => parts.push(Part::Policies(Vec::new())),
            (_, Some(Part::Registry(body) | Part::Policies(body))) if is_inside => body.push(line),
            (_, Some(Part::Command(_))) if is_inside => {}
            _ => parts.push(line.strip_prefix("> ").map_or(Part::Line(line), Part::Command)),
        }
    }
    parts
}

/// What plays commands on a stage, and names digests as the drawing does.
#[derive(Default)]
pub(crate) struct Player {
    stage: Option<Stage>,
    policies: String,
    /// The drawn names, by the first digits of their digests.
    names: BTreeMap<String, String>,
    veil: Arc<Mutex<BTreeSet<String>>>,
}

impl Player {
    async fn play(mut self, text: &str) -> String {
        let mut played = String::new();
        for part in parts(text) {
            match part {
                Part::Line(line) => played.push_str(&format!("{line}\n")),
                Part::Registry(body) => {
                    self.draw(&body.join("\n"));
                    played.push_str(&format!("registry:\n{}\n", body.join("\n")));
                }
                Part::Policies(body) => {
                    self.edit(&body.join("\n"));
                    played.push_str(&format!("policies:\n{}\n", body.join("\n")));
                }
                Part::Command(command) => {
                    let printed = self.command(command).await;
                    played.push_str(&format!("> {command}\n"));
                    for line in printed.trim_end().lines() {
                        played.push_str(format!("    {line}").trim_end());
                        played.push('\n');
                    }
                    played.push('\n');
                }
            }
        }
        played.truncate(played.trim_end().len());
        played.push('\n');
        played
    }

    /// Puts these policies in the place of what is there.
    pub(crate) fn edit(&mut self, text: &str) {
        text.clone_into(&mut self.policies);
        if let Some(stage) = &mut self.stage {
            stage.policies = policies(text);
        }
    }

    /// The first drawing comes before the policies, so that a script begins with what is there.
    pub(crate) fn draw(&mut self, drawing: &str) {
        let drawing = &with_digits(drawing);
        let stage = match self.stage.take() {
            None => {
                let mut stage = Stage::new(drawing, NO_POLICIES);
                stage.transport = Arc::new(Veiled { emulator: stage.emulator.clone(), hidden: Arc::clone(&self.veil) });
                stage
            }
            Some(mut stage) => {
                stage.seed = stage.emulator.seed(drawing).unwrap_or_else(|error| panic!("{error}"));
                stage
            }
        };
        let mut repository = String::new();
        for line in stage.emulator.render().lines() {
            let first = line.split_whitespace().next().unwrap_or_default();
            if let Some(header) = line.strip_prefix("repository ") {
                header.split(' ').next().unwrap_or_default().clone_into(&mut repository);
            } else if let Some(digest) = stage.seed.digest(&repository, first) {
                self.names.insert(digest.short(), first.to_owned());
            }
        }
        self.stage = Some(stage);
    }

    fn stage(&self) -> &Stage {
        self.stage.as_ref().expect("a script begins with its registry")
    }

    fn digest(&self, repository: &str, name: &str) -> retaind::emulator::Digest {
        let snapshot = self.stage().emulator.snapshot();
        let found = snapshot[repository].digests.iter().find(|digest| self.names.get(&digest.short()).is_some_and(|known| known == name));
        *found.unwrap_or_else(|| panic!("no {name} in {repository}"))
    }

    fn chosen(&self, policy: &str) -> Vec<String> {
        let all = self.stage().policies.iter().map(|policy| policy.name.to_string());
        all.filter(|name| policy.is_empty() || *name == policy).collect()
    }

    /// What a command prints.
    pub(crate) async fn command(&mut self, command: &str) -> String {
        let writes = self.stage().writes();
        let (verb, rest) = command.split_at(command.find([' ', ',']).unwrap_or(command.len()));
        let rest = rest.trim_start_matches([',', ' ']);
        let mut looks_only = true;
        let printed = match verb {
            "plan" => self.plan(rest).await,
            "explain" => self.explain(rest).await,
            "state" => self.stage().emulator.render(),
            "run" | "accept" => {
                looks_only = false;
                self.run(verb, rest).await
            }
            "wait" => {
                self.stage().hands.turn(seconds(rest));
                String::new()
            }
            "move" => {
                let (tag, name) = rest.split_once(" to ").expect("move REPOSITORY:TAG to NAME");
                let (repository, tag) = tag.split_once(':').expect("REPOSITORY:TAG");
                self.stage().emulator.move_tag(repository, tag, self.digest(repository, name)).expect("a tag and an image");
                String::new()
            }
            "lock" => self.lock(rest),
            "spoil" => self.spoil(rest),
            "hide" => {
                let (repository, name) = rest.trim_start_matches("the time of ").split_once('@').expect("REPOSITORY@NAME");
                let digest = self.digest(repository, name).to_string();
                self.veil.lock().expect("nobody panicked").insert(digest);
                String::new()
            }
            other => panic!("{other:?} is no command"),
        };
        // Only a single word, a name or a digest to be copied, may be longer.
        let fits = |line: &str| verb == "state" || line.chars().count() <= 80 || !line.trim().contains(' ');
        assert!(printed.lines().all(fits), "{command} prints lines that no terminal of 80 columns holds:\n{printed}");
        if looks_only {
            assert_eq!(self.stage().writes(), writes, "{command} changed something");
        }
        self.with_names(&printed)
    }

    async fn plan(&mut self, rest: &str) -> String {
        let (detail, policy) = match rest.strip_prefix("all") {
            Some(policy) => (Detail::Everything, policy.trim()),
            None => (Detail::Changes, rest),
        };
        let mut printed = Vec::new();
        for policy in self.chosen(policy) {
            let stage = self.stage();
            let planned = stage.plan(&policy, stage.state(), detail).await.unwrap_or_else(|error| panic!("{error}"));
            self.names.insert(planned.hash, "HASH".to_owned());
            printed.push(planned.text);
        }
        printed.join("\n")
    }

    async fn explain(&self, rest: &str) -> String {
        let (repository, version) = rest.split_at(rest.find([':', '@']).expect("REPOSITORY:TAG or REPOSITORY@NAME"));
        let version = match version.strip_prefix('@') {
            Some(name) => format!("@{}", self.digest(repository, name)),
            None => version.to_owned(),
        };
        let mut printed = Vec::new();
        for policy in self.chosen("") {
            printed.push(self.stage().explain(&policy, repository, &version, self.stage().state()).await);
        }
        printed.join("\n")
    }

    async fn run(&mut self, verb: &str, rest: &str) -> String {
        let (policy, expect_nothing) = match rest.strip_suffix("more to do") {
            Some(policy) => (policy.trim_end_matches([',', ' ']), false),
            None => (rest, true),
        };
        let mut printed = Vec::new();
        for policy in self.chosen(policy) {
            let stage = self.stage();
            let holes_before = holes(&stage.emulator);
            let planned = stage.plan_again(&policy).await;
            let accepted = (verb == "accept").then(|| planned.hash.clone());
            let Ran { said, ended } =
                stage.try_run(&policy, How { accepted, ..How::default() }).await.unwrap_or_else(|error| panic!("{error}"));
            stage.account();
            let new_holes: Vec<String> = holes(&stage.emulator).difference(&holes_before).cloned().collect();
            assert!(new_holes.is_empty(), "a survivor lost something it needs: {new_holes:?}");
            assert!(ended.applied.is_some() || planned.is_empty || !expect_nothing, "nothing was applied:\n{said}");
            if expect_nothing {
                let again = stage.plan_again(&policy).await;
                assert!(again.is_empty, "there is still something to do:\n{}", again.text);
            }
            self.names.insert(planned.hash, "HASH".to_owned());
            printed.push(said);
        }
        printed.join("\n")
    }

    fn lock(&self, rest: &str) -> String {
        let (tag, closed) = rest.split_once(' ').expect("lock REPOSITORY:TAG ATTRIBUTES");
        let (repository, tag) = tag.split_once(':').expect("REPOSITORY:TAG");
        let open = |attribute: &str| !closed.split(',').any(|word| word == attribute);
        let locks = Locks { delete: open("delete"), write: open("write"), read: open("read"), list: open("list") };
        self.stage().emulator.lock_tag(repository, tag, locks).expect("a tag");
        String::new()
    }

    fn spoil(&self, rest: &str) -> String {
        let (image, reads) = rest.split_once(" for ").expect("spoil REPOSITORY@NAME for N reads");
        let (repository, name) = image.split_once('@').expect("REPOSITORY@NAME");
        let times = reads.trim_end_matches(" reads").trim_end_matches(" read").parse().expect("a number");
        let path_contains = format!("/v2/{repository}/manifests/{}", self.digest(repository, name));
        let body = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#.to_owned();
        let failure = Failure::Respond(Response { status: StatusCode::OK, headers: HeaderMap::new(), body });
        self.stage().emulator.inject(Fault { method: Some(Method::GET), path_contains, after: 0, times, failure });
        String::new()
    }

    /// Digests, whole or shortened, by their drawn names.
    fn with_names(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(|character: char| character.is_ascii_hexdigit()) {
            let word = &rest[start..];
            let end = word.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(word.len());
            let word = &word[..end];
            let name = if matches!(end, 12 | 64) { self.names.get(&word[..12]) } else { None };
            shown.push_str(&rest[..start]);
            shown.push_str(name.map_or(word, String::as_str));
            rest = &rest[start + end..];
        }
        shown + rest
    }
}

/// What a stage has before its script says more: a policy that names nothing.
const NO_POLICIES: &str = "
version: 1
policies:
  - { name: none, mode: dry-run, repositories: { include: [none] }, rules: [{ name: none, keep: { untagged: true } }] }
";

/// Puts digits in the place of each `<NAME>`: digests do not depend on what else is drawn.
fn with_digits(drawing: &str) -> String {
    let without: Vec<&str> = drawing.lines().filter(|line| !line.contains('<')).collect();
    let emulator = Emulator::new(retaind::emulator::Options::default(), Arc::new(|| jiff::Timestamp::UNIX_EPOCH));
    let seed = emulator.seed(&without.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    let mut lines = Vec::new();
    let mut repository = "";
    for line in drawing.lines() {
        if let Some(name) = line.trim().strip_prefix("repository ") {
            repository = name;
        }
        let Some((before, rest)) = line.split_once('<') else {
            lines.push(line.to_owned());
            continue;
        };
        let (name, after) = rest.split_once('>').expect("<NAME>");
        let digest = seed.digest(repository, name).unwrap_or_else(|| panic!("no {name} in {repository}"));
        lines.push(format!("{before}{}{after}", digest.hex()));
    }
    lines.join("\n")
}

/// Children that are not there, and subjects that are not, of what is there.
fn holes(emulator: &Emulator) -> BTreeSet<String> {
    let rendered = emulator.render();
    rendered.split_whitespace().filter(|word| word.starts_with("gone:")).map(|word| word.trim_end_matches(',').to_owned()).collect()
}

fn seconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: i64 = number.parse().expect("a number before the unit");
    match unit {
        "d" => number * 86_400,
        "h" => number * 3_600,
        "m" => number * 60,
        other => panic!("{other:?} is no unit"),
    }
}

/// The emulator, with the times of some manifests left out of its answers.
struct Veiled {
    emulator: Emulator,
    hidden: Arc<Mutex<BTreeSet<String>>>,
}

#[async_trait::async_trait]
impl Transport for Veiled {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
        let response = match self.emulator.router().oneshot(request.map(axum::body::Body::from)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body");
        let hidden = self.hidden.lock().expect("nobody panicked").clone();
        let bytes = match serde_json::from_slice::<Value>(&bytes) {
            Ok(mut value) if !hidden.is_empty() && value.get("schemaVersion").is_none() => {
                veil(&mut value, &hidden);
                value.to_string().into()
            }
            _ => bytes,
        };
        Ok(http::Response::from_parts(parts, Body::from_bytes(bytes)))
    }
}

fn veil(value: &mut Value, hidden: &BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| veil(item, hidden)),
        Value::Object(fields) => {
            let is_manifest = !fields.contains_key("name");
            let is_hidden = fields.get("digest").and_then(Value::as_str).is_some_and(|digest| hidden.contains(digest));
            if is_manifest && is_hidden {
                fields.remove("lastUpdateTime");
            }
            fields.values_mut().for_each(|field| veil(field, hidden));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
