//! A whole run in one process: an emulated registry, a state directory and policies, and the real pipeline over them.
//! Also what every such test checks afterwards: that the journal accounts for every change that the registry was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use retaind::acr::{Client, ClientOptions, Credential, Endpoint, Transport};
use retaind::clock::Clock;
use retaind::config::resolve_policies;
use retaind::emulator::{Emulator, LoggedRequest, Options, Seed};
use retaind::layout::paragraph;
use retaind::model::{Contents, Inventory, Listing, RegistryName, RepositoryName, TagName};
use retaind::pipeline::apply::{Applied, Brakes};
use retaind::pipeline::guard::{self, Circumstances};
use retaind::pipeline::inventory::{self, Look};
use retaind::pipeline::report::{self, Context, DecidedRepository, Detail, SavedPlan};
use retaind::pipeline::{self, Ended, Run, RunError, Told};
use retaind::policy::Policy;
use retaind::state::{JournalEntry, JournalFilter, Outcome, State, StateError, Verb};

use crate::support::{Hands, InProcess, entra};

/// More journal entries than any test writes.
const JOURNAL_MAX: u32 = 10_000;

/// A new folder that goes with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Thousands of journal entries are synchronised to the disk here, which is faster where there is none.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        let folder = parent.join(format!("retaind-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a new folder");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("its folder");
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Opens a state that was just closed. A process that another test starts holds a copy of its lock from its fork to its exec, so that
/// it may seem to be in use for a moment.
pub(crate) fn open(directory: &Path) -> State {
    const ATTEMPTS_MAX: u32 = 100_000;
    for _ in 1..ATTEMPTS_MAX {
        match State::open(directory) {
            Err(StateError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap_or_else(|error| panic!("{error}")),
        }
    }
    panic!("{} stays in use", directory.display())
}

/// The name of the registry in policies.
pub(crate) fn contoso() -> RegistryName {
    RegistryName::parse("contoso").expect("a name")
}

/// Reads policies as they stand in a file.
pub(crate) fn policies(text: &str) -> Vec<Policy> {
    resolve_policies(&[("policies.yaml", text)], &[contoso()]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// An emulated registry, a state directory, policies and a clock for everybody.
pub(crate) struct Stage {
    pub(crate) emulator: Emulator,
    pub(crate) seed: Seed,
    pub(crate) hands: Hands,
    pub(crate) policies: Vec<Policy>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credential: Credential,
    /// Where the registry's name leads.
    pub(crate) endpoint: String,
    folder: Folder,
}

/// What a run is told from outside.
#[derive(Default)]
pub(crate) struct How<'a> {
    pub(crate) brakes: Brakes,
    pub(crate) accepted: Option<String>,
    pub(crate) agreed: Option<&'a SavedPlan>,
}

/// A run that came to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    /// What it printed.
    pub(crate) said: String,
    pub(crate) ended: Ended,
}

impl Ran {
    /// What was done; a run that did nothing fails the test.
    pub(crate) fn applied(&self) -> &Applied {
        self.ended.applied.as_ref().unwrap_or_else(|| panic!("nothing was applied:\n{}", self.said))
    }
}

/// A plan that was not carried out.
pub(crate) struct Planned {
    pub(crate) text: String,
    pub(crate) json: String,
    pub(crate) hash: String,
    pub(crate) is_empty: bool,
}

impl Stage {
    pub(crate) fn new(drawing: &str, policy_text: &str) -> Self {
        Self::with(drawing, policy_text, Options::default())
    }

    pub(crate) fn with(drawing: &str, policy_text: &str, options: Options) -> Self {
        let hands = Hands::new();
        if let Some(now) = Emulator::now_of(drawing).unwrap_or_else(|error| panic!("{error}")) {
            hands.turn(now.as_second() - hands.now().as_second());
        }
        let told = hands.clone();
        let emulator = Emulator::new(options, Arc::new(move || told.now()));
        let seed = emulator.seed(drawing).unwrap_or_else(|error| panic!("{error}"));
        let transport = Arc::new(InProcess::new(emulator.clone()));
        let folder = Folder::new("stage");
        let (credential, endpoint) = (entra("somebody"), "https://contoso.azurecr.io".to_owned());
        Self { emulator, seed, hands, policies: policies(policy_text), transport, credential, endpoint, folder }
    }

    pub(crate) fn client(&self) -> Client {
        self.client_at(self.hands.clock())
    }

    /// A client that goes by another clock than the registry.
    pub(crate) fn client_at(&self, clock: Clock) -> Client {
        Client::new(ClientOptions {
            registry: contoso(),
            endpoint: Endpoint::parse(&self.endpoint).expect("an endpoint"),
            transport: Arc::clone(&self.transport),
            credential: self.credential.clone(),
            clock,
            apply_credential: None,
            budget: retaind::acr::Budget::unlimited(),
            jitter_seed: 1,
        })
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The state; only one may be open at a time.
    pub(crate) fn state(&self) -> State {
        open(&self.state_dir())
    }

    pub(crate) fn policy(&self, name: &str) -> &Policy {
        self.policies.iter().find(|policy| *policy.name == *name).unwrap_or_else(|| panic!("no policy {name}"))
    }

    pub(crate) fn digest(&self, repository: &str, handle: &str) -> retaind::emulator::Digest {
        self.seed.digest(repository, handle).unwrap_or_else(|| panic!("no {handle} in {repository}"))
    }

    /// Runs the policy as `retaind run --once` does.
    pub(crate) async fn try_run(&self, policy: &str, how: How<'_>) -> Result<Ran, RunError> {
        let run = self.prepare(policy, how);
        let mut said = String::new();
        let ended = pipeline::run(&run, &mut |told| match told {
            Told::Planned(decided) => said.push_str(&report::plan_as_text(decided, Detail::Changes)),
            Told::Applied(applied) => said.push_str(&report::applied(applied)),
        })
        .await?;
        Ok(Ran { said, ended })
    }

    /// The parts of a run of the policy, with the state opened for it alone.
    pub(crate) fn prepare<'a>(&'a self, policy: &str, how: How<'a>) -> Run<'a> {
        let How { brakes, accepted, agreed } = how;
        let circumstances = Circumstances { journal_is_kept: true, accepted, ..Circumstances::default() };
        Run {
            policies: &self.policies,
            acting: self.policy(policy),
            client: self.client(),
            state: self.state(),
            clock: self.hands.clock(),
            brakes,
            until: None,
            circumstances,
            agreed,
        }
    }

    pub(crate) async fn run(&self, policy: &str) -> Ran {
        self.try_run(policy, How::default()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Plans as `retaind plan` does. With a copy of the state nothing of it is remembered.
    pub(crate) async fn plan(&self, policy: &str, state: State, detail: Detail) -> Result<Planned, RunError> {
        let (acting, client, now) = (self.policy(policy), self.client(), self.hands.now());
        let names = pipeline::names(&client, acting).await?;
        let inventory =
            inventory::take(&Look { client: client.clone(), state, now }, &pipeline::wanted(&self.policies, &contoso(), names)).await?;
        let decisions = pipeline::decide(&inventory, &self.policies, acting, now);
        let findings = decisions.findings(now);
        assert!(findings.is_empty(), "the audit finds: {findings:?}");
        let circumstances =
            Circumstances { journal_is_kept: true, clock_difference: client.clock_offset(), findings, ..Circumstances::default() };
        let judgement = guard::judge(&decisions.plan, &acting.limits, &circumstances);
        let decided = decisions.decided(acting, &judgement.refusals);
        Ok(Planned {
            text: report::plan_as_text(&decided, detail),
            json: report::plan_to_json(&decided),
            hash: decisions.plan.hash().to_string(),
            is_empty: decisions.plan.is_empty(),
        })
    }

    /// Plans and remembers nothing.
    pub(crate) async fn plan_again(&self, policy: &str) -> Planned {
        drop(self.state());
        let copy = State::copy_of(&self.state_dir()).unwrap_or_else(|error| panic!("{error}"));
        self.plan(policy, copy, Detail::Everything).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn inventory(&self, policy: &str, state: State) -> Inventory {
        let (client, now) = (self.client(), self.hands.now());
        let names = pipeline::names(&client, self.policy(policy)).await.unwrap_or_else(|error| panic!("{error}"));
        inventory::take(&Look { client, state, now }, &pipeline::wanted(&self.policies, &contoso(), names))
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Explains as `retaind explain` does, for one policy.
    pub(crate) async fn explain(&self, policy: &str, repository: &str, version: &str, state: State) -> String {
        let (acting, client, now) = (self.policy(policy), self.client(), self.hands.now());
        let name = RepositoryName::parse(repository).expect("a repository");
        let inventory = inventory::take(&Look { client, state, now }, &pipeline::wanted(&self.policies, &contoso(), [name])).await;
        let inventory = inventory.unwrap_or_else(|error| panic!("{error}"));
        let decisions = pipeline::decide(&inventory, &self.policies, acting, now);
        let Some(decided) = decisions.repositories.first() else { return format!("policy {policy} does not name {repository}\n") };
        let DecidedRepository { repository: listed, policies, acting, evaluation } = decided;
        match (&listed.listing, evaluation) {
            (Listing::Complete(contents), Some(evaluation)) => {
                let context = Context { contents, policies, acting: *acting, observations: &listed.observations, now };
                report::explain(&context, repository, evaluation, place(contents, version))
            }
            (Listing::Incomplete(gaps), _) => {
                let gaps: Vec<&str> = gaps.iter().map(|gap| gap.0.as_str()).collect();
                paragraph("", 2, &format!("nothing in {repository} is touched, because {}", gaps.join("; ")))
            }
            (Listing::Complete(_), None) => panic!("a complete listing is evaluated"),
        }
    }

    /// The journal, oldest first.
    pub(crate) fn journal(&self) -> Vec<JournalEntry> {
        let mut entries = self.state().journal(&JournalFilter::default(), JOURNAL_MAX).expect("the journal");
        entries.reverse();
        entries
    }

    /// Fails the test unless the journal accounts for every request that could have changed the registry.
    pub(crate) fn account(&self) {
        account(&self.journal(), &self.emulator);
    }

    /// How many requests other than reads and token requests the registry saw.
    pub(crate) fn writes(&self) -> usize {
        self.emulator.requests().len()
    }
}

/// The manifest of `:tag` or `@digest`.
fn place(contents: &Contents, version: &str) -> u32 {
    let digest = match version.strip_prefix('@') {
        Some(digest) => digest.parse().expect("a digest"),
        None => {
            let name = TagName::parse(version.trim_start_matches(':')).expect("a tag");
            contents.tags().iter().find(|tag| tag.name == name).unwrap_or_else(|| panic!("no tag {name}")).digest
        }
    };
    contents.find(digest).unwrap_or_else(|| panic!("no manifest {version}"))
}

/// What a request, or a journal entry, changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    verb: Verb,
    repository: String,
    /// A tag or a digest.
    item: String,
}

impl Change {
    fn asked(request: &LoggedRequest) -> Self {
        let LoggedRequest { method, path, .. } = request;
        let parts = |prefix: &str, middle: &str| {
            let (repository, item) = path.strip_prefix(prefix)?.split_once(middle)?;
            Some((repository.to_owned(), item.to_owned()))
        };
        let found = if method == Method::DELETE {
            let manifest = parts("/v2/", "/manifests/").map(|found| (Verb::DeleteManifest, found));
            manifest.or_else(|| parts("/acr/v1/", "/_tags/").map(|found| (Verb::Untag, found)))
        } else if method == Method::PATCH {
            let tag = parts("/acr/v1/", "/_tags/");
            tag.or_else(|| parts("/acr/v1/", "/_manifests/")).map(|found| (Verb::SetLocks, found))
        } else {
            None
        };
        let (verb, (repository, item)) = found.unwrap_or_else(|| panic!("{method} {path} is nothing that a run sends"));
        Self { verb, repository, item }
    }

    /// Whether what it is about is in the registry now.
    fn is_there(&self, emulator: &Emulator) -> bool {
        let snapshot = emulator.snapshot();
        let Some(repository) = snapshot.get(&self.repository) else { return false };
        repository.tags.contains_key(&self.item) || repository.digests.iter().any(|digest| digest.to_string() == self.item)
    }

    fn recorded(entry: &JournalEntry) -> Self {
        let item = entry.tag.as_ref().map_or_else(|| entry.digest.to_string(), ToString::to_string);
        Self { verb: entry.verb, repository: entry.repository.to_string(), item }
    }
}

/// What the journal does not know the outcome of.
pub(crate) fn still_open(state: &State) -> Vec<JournalEntry> {
    let journal = state.journal(&JournalFilter::default(), 10_000).unwrap_or_else(|error| panic!("{error}"));
    journal.into_iter().filter(|entry| entry.concluded.is_none()).collect()
}

/// Every request was announced by an intent of its own, repetitions of what was refused for the moment (401, 429, 503) aside; and what
/// the journal (oldest first) says of a request is what the registry did.
pub(crate) fn account(journal: &[JournalEntry], emulator: &Emulator) {
    let requests = emulator.requests();
    let mut asked: BTreeMap<Change, Vec<Option<u16>>> = BTreeMap::new();
    for request in &requests {
        asked.entry(Change::asked(request)).or_default().push(request.status);
    }
    let mut recorded: BTreeMap<Change, Vec<&Outcome>> = BTreeMap::new();
    for entry in journal {
        let Some((_, outcome)) = &entry.concluded else { panic!("the journal does not know what became of {entry:?}") };
        recorded.entry(Change::recorded(entry)).or_default().push(outcome);
    }
    let changes: BTreeSet<&Change> = asked.keys().chain(recorded.keys()).collect();
    for change in changes {
        let statuses = asked.get(change).map(Vec::as_slice).unwrap_or_default();
        let outcomes = recorded.get(change).map(Vec::as_slice).unwrap_or_default();
        let complain = |what: &str| panic!("{change:?}: {what}\nrequests answered: {statuses:?}\njournal: {outcomes:?}");
        let final_requests = statuses.iter().filter(|status| !matches!(status, Some(401 | 429 | 503))).count();
        let sent = outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::NotSent)).count();
        if sent < final_requests {
            complain("a request without an intent of its own");
        }
        let answered = |wanted: &[u16]| statuses.iter().flatten().filter(|status| wanted.contains(status)).count();
        let said = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        if answered(&[200, 202]) < said(|outcome| matches!(outcome, Outcome::Done)) {
            complain("said to be done more often than the registry did it");
        }
        if answered(&[404]) < said(|outcome| matches!(outcome, Outcome::AlreadyGone)) {
            complain("said to be gone before, and no request found that");
        }
        if answered(&[405]) != said(|outcome| matches!(outcome, Outcome::Refused(_))) {
            complain("refusals differ");
        }
        let took_effect = 0 < answered(&[200, 202]);
        let known = said(|outcome| matches!(outcome, Outcome::Done | Outcome::ResolvedDone | Outcome::AlreadyGone));
        if took_effect && known == 0 {
            complain("done by the registry, and the journal does not know");
        }
        // Of a lost answer the registry itself must tell.
        match outcomes.last().filter(|_| change.verb != Verb::SetLocks) {
            Some(Outcome::ResolvedDone) if change.is_there(emulator) => complain("said to be done, and it is still there"),
            Some(Outcome::ResolvedNotDone) if !change.is_there(emulator) => complain("said not to be done, and it is gone"),
            _ => {}
        }
    }
}
