//! One step: read again, record the intent, ask, record the outcome.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::acr::{self, Deleted, Failure, TagProperties};
use crate::model::{Digest, RepositoryName, Tag, TagName, Time};
use crate::state::{Intent, IntentId, Outcome as JournalOutcome, Relocked, StateError, Verb};

use super::super::plan::{DeleteStep, LockStep, Steps, UntagStep};
use super::recover::{manifest_outcome, may_be_claimed, read_locks, relock_outcome, tag_outcome};
use super::{Application, Outcome, StepKind, StepReport, Stopped, probe};

/// So many steps in a row may fail before the repository is left to the next run.
const FAILURES_IN_A_ROW_MAX: u32 = 10;

/// Works on one repository.
pub(super) struct Worker<'a> {
    application: &'a Application,
    policy: &'a str,
    name: &'a RepositoryName,
    steps: &'a Steps,
    /// The manifests that wait for each manifest.
    waiting: BTreeMap<Digest, Vec<Digest>>,
    /// The deletes of what describes each manifest.
    referrers: BTreeMap<Digest, Vec<DeleteStep<'a>>>,
    /// Where each manifest stands in the plan.
    turns: HashMap<u32, usize>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    gone: HashSet<Digest>,
    newly_needed: HashSet<Digest>,
    failures_in_a_row: u32,
    stopped: Option<Stopped>,
}

/// What reading again shows.
enum Reread {
    AsExpected,
    Gone,
    Different(String),
}

/// How asking ended: what the journal and the report say.
struct Asked {
    journal: Option<JournalOutcome>,
    outcome: Outcome,
}

impl<'a> Worker<'a> {
    pub(super) fn new(application: &'a Application, policy: &'a str, name: &'a RepositoryName, steps: &'a Steps) -> Self {
        let mut waiting: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        let mut referrers: BTreeMap<Digest, Vec<DeleteStep<'_>>> = BTreeMap::new();
        for step in steps.deletes() {
            step.after.digests().for_each(|holder| waiting.entry(holder).or_default().push(step.digest));
            step.subject.into_iter().for_each(|subject| referrers.entry(subject).or_default().push(step));
        }
        let turns = steps.deletes.iter().enumerate().map(|(turn, delete)| (delete.manifest, turn)).collect();
        Self { application, policy, name, steps, waiting, referrers, turns, progress: Mutex::default() }
    }

    pub(super) fn stopped(self) -> Option<Stopped> {
        self.progress.into_inner().unwrap_or_else(PoisonError::into_inner).stopped
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for what came since the listing. A probe that fails stops the repository: unknown means keep.
    pub(super) async fn probe(&self) {
        if self.must_not_begin() {
            return;
        }
        match probe::newly_needed(&self.application.client, self.name, &self.steps.newest).await {
            Ok(needed) => self.progress().newly_needed.extend(needed),
            Err(stopped) => self.stop(stopped),
        }
    }

    fn stop(&self, why: Stopped) {
        self.progress().stopped.get_or_insert(why);
    }

    fn must_not_begin(&self) -> bool {
        let Application { brakes, until, clock, .. } = self.application;
        if brakes.are_on() {
            self.stop(Stopped::Asked);
        } else if until.is_some_and(|until| until <= clock.now()) {
            self.stop(Stopped::WindowClosed);
        }
        self.progress().stopped.is_some()
    }

    pub(super) async fn delete(&self, step: DeleteStep<'_>) -> StepReport {
        let outcome = self.delete_outcome(&step).await;
        if matches!(outcome, Outcome::Done | Outcome::AlreadyGone) {
            self.progress().gone.insert(step.digest);
        }
        self.report(StepKind::Delete, step.digest, None, outcome, &step.cause.to_string())
    }

    async fn delete_outcome(&self, step: &DeleteStep<'_>) -> Outcome {
        if self.must_not_begin() {
            return Outcome::NotReached;
        }
        let cascade = self.cascade(step.digest);
        let digest_of = |place: u32| self.steps.contents.manifests()[place as usize].digest;
        {
            let progress = self.progress();
            if progress.newly_needed.contains(&step.digest) {
                return Outcome::Skipped("something pushed since the listing needs it".to_owned());
            }
            if let Some(referrer) = cascade.iter().find(|referrer| progress.newly_needed.contains(&referrer.digest)) {
                let referrer = referrer.digest.short();
                return Outcome::Skipped(format!("@{referrer} would go with it, and something pushed since the listing needs that"));
            }
            if let Some(holder) = step.after.digests().find(|holder| !progress.gone.contains(holder)) {
                return Outcome::Skipped(format!("@{}, which needs it, is still there", holder.short()));
            }
            if let Some(holder) = self.waits_for(step).into_iter().map(digest_of).find(|holder| !progress.gone.contains(holder)) {
                return Outcome::Skipped(format!("@{}, which needs something that would go with it, is still there", holder.short()));
            }
        }
        match self.reread_for_delete(step).await {
            Ok(Reread::AsExpected) => {}
            Ok(Reread::Gone) => return Outcome::AlreadyGone,
            Ok(Reread::Different(why)) => return Outcome::Skipped(why),
            Err(error) => return self.failed(&error),
        }
        for referrer in &cascade {
            match self.reread_for_delete(referrer).await {
                Ok(Reread::AsExpected | Reread::Gone) => {}
                Ok(Reread::Different(why)) => {
                    return Outcome::Skipped(format!("@{} would go with it, and of that holds: {why}", referrer.digest.short()));
                }
                Err(error) => return self.failed(&error),
            }
        }
        if let Some(along) = self.waiting.get(&step.digest) {
            let Application { state, client, run, .. } = self.application;
            if let Err(error) = state.expect_to_go(*run, client.registry(), self.name, step.digest, along) {
                return self.journal_failed(&error);
            }
        }
        let tags: Vec<TagName> = step.tags.iter().map(|tag| tag.name.clone()).collect();
        let reason = step.cause.to_string();
        let intent = Intent { tags: &tags, ..self.intent(Verb::DeleteManifest, step.digest, &reason) };
        self.record_and_ask(intent, async || match self.application.client.delete_manifest(self.name, step.digest).await {
            Ok(deleted) => deleted_asked(deleted),
            Err(error) if matches!(error.failure, Failure::OutcomeUnknown { .. }) => {
                let read = self.application.client.get_manifest_properties(self.name, step.digest).await;
                self.resolved(manifest_outcome(read.map(drop)), &error)
            }
            Err(error) => self.refused(&error),
        })
        .await
    }

    /// What must be gone before the step: what holds the manifest, and what holds something that ACR deletes along with it, as far as
    /// the plan puts that first.
    pub(super) fn waits_for(&self, step: &DeleteStep<'_>) -> Vec<u32> {
        let turn = |place: &u32| self.turns.get(place).copied();
        let own = turn(&step.place);
        let of_cascade = self.cascade(step.digest).into_iter().flat_map(|referrer| referrer.after.places());
        let of_cascade = of_cascade.filter(|holder| turn(holder).is_some() && turn(holder) < own);
        step.after.places().chain(of_cascade).collect()
    }

    /// What ACR deletes with a manifest whatever its own lock and tags: all that describes it, at any depth. So it is read again before.
    fn cascade(&self, subject: Digest) -> Vec<DeleteStep<'a>> {
        let mut cascade: Vec<DeleteStep<'_>> = Vec::new();
        let mut seen = HashSet::from([subject]);
        let mut next = vec![subject];
        while let Some(subject) = next.pop() {
            for referrer in self.referrers.get(&subject).into_iter().flatten() {
                if seen.insert(referrer.digest) {
                    cascade.push(*referrer);
                    next.push(referrer.digest);
                }
            }
        }
        cascade
    }

    /// Locks, time and tags of the manifest, and each of its tags: as the plan expects them, and nothing more.
    async fn reread_for_delete(&self, step: &DeleteStep<'_>) -> Result<Reread, acr::Error> {
        let client = &self.application.client;
        let properties = match client.get_manifest_properties(self.name, step.digest).await {
            Ok(properties) => properties,
            Err(error) if error.failure == Failure::NotFound => return Ok(Reread::Gone),
            Err(error) => return Err(error),
        };
        if properties.locks.protects() {
            return Ok(Reread::Different("it was locked since the listing".to_owned()));
        }
        // Unknown is not the same as unknown.
        if step.updated_at.is_none() || properties.updated_at.map(Time::from) != step.updated_at {
            return Ok(Reread::Different("it was pushed again since the listing".to_owned()));
        }
        if let Some(tag) = properties.tags.iter().find(|tag| !step.tags.iter().any(|expected| expected.name == **tag)) {
            return Ok(Reread::Different(format!("it was tagged {tag} since the listing")));
        }
        for tag in step.tags {
            if let Some(why) = self.tag_differs(tag, step.digest).await? {
                return Ok(Reread::Different(why));
            }
        }
        self.describes_what_is_there(step).await
    }

    /// What describes something that this plan does not delete goes because that was not there. It may have come back.
    async fn describes_what_is_there(&self, step: &DeleteStep<'_>) -> Result<Reread, acr::Error> {
        let by_tag = step.tags.iter().filter_map(|tag| tag.name.companion_subject());
        for subject in step.subject.into_iter().chain(by_tag) {
            if subject == step.digest || step.after.digests().any(|holder| holder == subject) {
                continue;
            }
            match self.application.client.get_manifest_properties(self.name, subject).await {
                Err(error) if error.failure == Failure::NotFound => {}
                Ok(_) => return Ok(Reread::Different(format!("{}, which it describes, is there", subject.short()))),
                Err(error) => return Err(error),
            }
        }
        Ok(Reread::AsExpected)
    }

    /// How a tag differs from what the plan expects. A tag that is gone differs in nothing that matters: one name less.
    async fn tag_differs(&self, expected: &Tag, digest: Digest) -> Result<Option<String>, acr::Error> {
        match self.application.client.get_tag(self.name, &expected.name).await {
            Ok(found) => Ok(difference(expected, digest, &found)),
            Err(error) if error.failure == Failure::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn untag(&self, step: UntagStep<'_>) -> StepReport {
        let outcome = self.untag_outcome(&step).await;
        self.report(StepKind::Untag, step.digest, Some(&step.tag.name), outcome, &step.cause.to_string())
    }

    async fn untag_outcome(&self, step: &UntagStep<'_>) -> Outcome {
        if self.must_not_begin() {
            return Outcome::NotReached;
        }
        let client = &self.application.client;
        match client.get_manifest_properties(self.name, step.digest).await {
            Ok(properties) if properties.locks.protects() => {
                return Outcome::Skipped("its manifest was locked since the listing".to_owned());
            }
            Ok(_) => {}
            Err(error) if error.failure == Failure::NotFound => return Outcome::AlreadyGone,
            Err(error) => return self.failed(&error),
        }
        match client.get_tag(self.name, &step.tag.name).await {
            Ok(found) => {
                if let Some(why) = difference(step.tag, step.digest, &found) {
                    return Outcome::Skipped(why);
                }
            }
            Err(error) if error.failure == Failure::NotFound => return Outcome::AlreadyGone,
            Err(error) => return self.failed(&error),
        }
        let (tag, reason) = (&step.tag.name, step.cause.to_string());
        let intent = Intent { tag: Some(tag), tags: std::slice::from_ref(tag), ..self.intent(Verb::Untag, step.digest, &reason) };
        self.record_and_ask(intent, async || match client.delete_tag(self.name, &step.tag.name).await {
            Ok(deleted) => deleted_asked(deleted),
            Err(error) if matches!(error.failure, Failure::OutcomeUnknown { .. }) => {
                self.resolved(tag_outcome(client.get_tag(self.name, &step.tag.name).await, step.digest), &error)
            }
            Err(error) => self.refused(&error),
        })
        .await
    }

    pub(super) async fn lock(&self, step: &LockStep<'_>) -> StepReport {
        let outcome = self.lock_outcome(step).await;
        self.report(StepKind::Lock, step.digest, step.tag, outcome, &step.cause.to_string())
    }

    async fn lock_outcome(&self, step: &LockStep<'_>) -> Outcome {
        if self.must_not_begin() {
            return Outcome::NotReached;
        }
        let client = &self.application.client;
        let (digest, locks) = match read_locks(client, self.name, step.digest, step.tag).await {
            Ok(found) => found,
            Err(error) if error.failure == Failure::NotFound => {
                let what = if step.tag.is_some() { "the tag" } else { "it" };
                return Outcome::Skipped(format!("{what} is gone"));
            }
            Err(error) => return self.failed(&error),
        };
        if digest != step.digest {
            return Outcome::Skipped("the tag was moved since the listing".to_owned());
        }
        if locks != step.from {
            return Outcome::Skipped("its lock was changed since the listing".to_owned());
        }
        let LockStep { digest, tag, from, change, closed_by, cause } = *step;
        let left = from.after(change);
        let relocked = Relocked { policy: self.policy, digest, tag, change, closed_by, left };
        let reason = cause.to_string();
        let intent = Intent { tag, relocked: Some(&relocked), ..self.intent(Verb::SetLocks, digest, &reason) };
        self.record_and_ask(intent, async || {
            let locks = match tag {
                Some(tag) => client.update_tag(self.name, tag, change).await.map(|tag| tag.locks),
                None => client.update_manifest(self.name, digest, change).await.map(|manifest| manifest.locks),
            };
            match locks {
                Ok(locks) if locks.after(change) == locks => {
                    self.note_relocked(&Relocked { left: locks, ..relocked });
                    Asked { journal: Some(JournalOutcome::Done), outcome: Outcome::Done }
                }
                Ok(_) => {
                    let why = "the registry answered without changing the lock";
                    Asked { journal: Some(JournalOutcome::Failed(why.to_owned())), outcome: Outcome::Failed(why.to_owned()) }
                }
                Err(error) if error.failure == Failure::NotFound => {
                    Asked { journal: Some(JournalOutcome::AlreadyGone), outcome: Outcome::Skipped("it is gone".to_owned()) }
                }
                Err(error) if matches!(error.failure, Failure::OutcomeUnknown { .. }) => {
                    let read = read_locks(client, self.name, digest, tag).await;
                    if may_be_claimed(&read, &relocked) {
                        self.note_relocked(&relocked);
                    }
                    self.resolved(relock_outcome(read, digest, change), &error)
                }
                Err(error) => self.refused(&error),
            }
        })
        .await
    }

    /// Notes what is ours of the lock from now on.
    fn note_relocked(&self, relocked: &Relocked<'_>) {
        let Application { client, state, .. } = self.application;
        if let Err(error) = state.note_relocked(client.registry(), self.name, relocked) {
            self.journal_failed(&error);
        }
    }

    /// To do something to a manifest, now.
    fn intent<'i>(&'i self, verb: Verb, digest: Digest, reason: &'i str) -> Intent<'i> {
        let Application { client, clock, run, .. } = self.application;
        let (registry, repository) = (client.registry(), self.name);
        let (document, relocked) = (None, None);
        Intent { run: *run, registry, repository, verb, digest, tag: None, tags: &[], reason, document, relocked, at: clock.now() }
    }

    /// Nothing is asked of the registry that is not on the disk first, and nothing once the brakes are pulled.
    async fn record_and_ask(&self, intent: Intent<'_>, ask: impl AsyncFnOnce() -> Asked) -> Outcome {
        let Application { state, brakes, .. } = self.application;
        let _on_its_way = brakes.change_on_its_way();
        let intent = match state.intend(&intent) {
            Ok(intent) => intent,
            Err(error) => return self.journal_failed(&error),
        };
        let asked = if self.must_not_begin() {
            Asked { journal: Some(JournalOutcome::NotSent), outcome: Outcome::NotReached }
        } else {
            ask().await
        };
        if matches!(asked.outcome, Outcome::Done | Outcome::AlreadyGone) {
            self.progress().failures_in_a_row = 0;
        }
        self.conclude(intent, asked)
    }

    /// An outcome that cannot be recorded leaves the intent open: the next run reads what happened.
    fn conclude(&self, intent: IntentId, asked: Asked) -> Outcome {
        if let Some(journal) = &asked.journal
            && let Err(error) = self.application.state.conclude(intent, journal, self.application.clock.now())
        {
            self.journal_failed(&error);
        }
        asked.outcome
    }

    fn journal_failed(&self, error: &StateError) -> Outcome {
        self.stop(Stopped::Journal(error.to_string()));
        Outcome::NotReached
    }

    fn refused(&self, error: &acr::Error) -> Asked {
        if error.failure == Failure::Locked {
            let why = "the registry says that it is locked".to_owned();
            return Asked { journal: Some(JournalOutcome::Refused(why.clone())), outcome: Outcome::Skipped(why) };
        }
        let outcome = self.failed(error);
        Asked { journal: Some(JournalOutcome::Failed(error.failure.to_string())), outcome }
    }

    /// An answer was lost, and reading told what happened, or did not tell either.
    fn resolved(&self, journal: Option<JournalOutcome>, error: &acr::Error) -> Asked {
        let outcome = match &journal {
            Some(JournalOutcome::ResolvedDone) => Outcome::Done,
            Some(_) => {
                self.failed(error);
                Outcome::Failed(format!("{error}; it was not done"))
            }
            None => {
                self.failed(error);
                Outcome::Failed(format!("{error}; the next run reads what happened"))
            }
        };
        Asked { journal, outcome }
    }

    /// A failure of one step; what would fail for every other step too stops the repository.
    fn failed(&self, error: &acr::Error) -> Outcome {
        match error.failure {
            Failure::Unauthorized { .. } | Failure::Forbidden { .. } | Failure::Denied { .. } | Failure::Hostile { .. } => {
                self.stop(Stopped::Registry(error.to_string()));
            }
            Failure::NotFound
            | Failure::Locked
            | Failure::Unsupported { .. }
            | Failure::Throttled { .. }
            | Failure::Unreachable { .. }
            | Failure::OutcomeUnknown { .. }
            | Failure::Protocol { .. }
            | Failure::Input { .. } => {
                let mut progress = self.progress();
                progress.failures_in_a_row += 1;
                if FAILURES_IN_A_ROW_MAX <= progress.failures_in_a_row {
                    let why = format!("{FAILURES_IN_A_ROW_MAX} steps in a row failed, the last one because: {error}");
                    progress.stopped.get_or_insert(Stopped::Registry(why));
                }
            }
        }
        Outcome::Failed(error.to_string())
    }

    /// One log line for each outcome; names in it are well-formed by their types.
    fn report(&self, kind: StepKind, digest: Digest, tag: Option<&TagName>, outcome: Outcome, reason: &str) -> StepReport {
        let (registry, repository) = (self.application.client.registry(), self.name);
        let tag_text = tag.map_or("", TagName::as_str);
        match &outcome {
            Outcome::Done => info!(%registry, %repository, %digest, tag = tag_text, reason, "{} done", kind.word()),
            Outcome::AlreadyGone => info!(%registry, %repository, %digest, tag = tag_text, "{}: already gone", kind.word()),
            Outcome::Skipped(why) => warn!(%registry, %repository, %digest, tag = tag_text, why, "{} skipped", kind.word()),
            Outcome::Failed(why) => warn!(%registry, %repository, %digest, tag = tag_text, why, "{} failed", kind.word()),
            Outcome::NotReached => {}
        }
        StepReport { kind, digest, tag: tag.cloned(), outcome }
    }
}

impl StepKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Untag => "untag",
            Self::Lock => "lock",
        }
    }
}

fn difference(expected: &Tag, digest: Digest, found: &TagProperties) -> Option<String> {
    let name = &expected.name;
    if found.digest != digest {
        return Some(format!("its tag {name} was moved to @{} since the listing", found.digest.short()));
    }
    if found.locks.protects() {
        return Some(format!("its tag {name} was locked since the listing"));
    }
    (found.updated_at.map(Time::from) != expected.updated_at).then(|| format!("its tag {name} was pushed again since the listing"))
}

fn deleted_asked(deleted: Deleted) -> Asked {
    match deleted {
        Deleted::Done => Asked { journal: Some(JournalOutcome::Done), outcome: Outcome::Done },
        Deleted::Absent => Asked { journal: Some(JournalOutcome::AlreadyGone), outcome: Outcome::AlreadyGone },
    }
}
