//! What the state promises: it survives, it forgets what it should, and it leaves alone what is not its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;

use crate::model::{Digest, LockChange, Locks, References, RegistryName, RepositoryName, TagName};

use super::*;

/// A directory of one test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("retaind-state-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name).join("state"))
    }

    fn open(&self) -> Result<State, StateError> {
        State::open(&self.0)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE_NAME)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

const HERE: &str = "https://contoso.azurecr.io";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn digest(number: u8) -> Digest {
    Digest::from_bytes([number; 32])
}

fn registry() -> RegistryName {
    RegistryName::parse("contoso").unwrap()
}

fn repository() -> RepositoryName {
    RepositoryName::parse("team-a/web").unwrap()
}

fn start<'a>(plan_hash: &'a str, mode: RunMode, second: i64) -> RunStart<'a> {
    static REGISTRY: LazyLock<RegistryName> = LazyLock::new(registry);
    let policies = Digest::from_bytes([1; 32]);
    RunStart { policy: "ci", registry: &REGISTRY, mode, plan_hash, policies, changes: "next_run", puts_in_force: true, at: at(second) }
}

fn begin(state: &State, second: i64) -> RunId {
    state.begin_run(&start("f00d", RunMode::Enforce, second)).unwrap()
}

/// Intends to delete manifest `number`, which has two tags.
fn intend(state: &State, run: RunId, number: u8, second: i64) -> Result<IntentId, StateError> {
    let tags = [TagName::parse("pr-1").unwrap(), TagName::parse("pr-2").unwrap()];
    state.intend(&Intent {
        run,
        registry: &registry(),
        repository: &repository(),
        verb: Verb::DeleteManifest,
        digest: digest(number),
        tag: None,
        tags: &tags,
        reason: "older than 14d",
        document: Some(b"{}"),
        relocked: None,
        at: at(second),
    })
}

fn untagged(state: &State, second: i64, numbers: &[u8]) -> BTreeMap<Digest, Timestamp> {
    let digests: Vec<Digest> = numbers.iter().copied().map(digest).collect();
    state.observe_untagged(&registry(), &repository(), at(second), &digests).unwrap()
}

fn absent(state: &State, second: i64, numbers: &[u8]) -> BTreeSet<Digest> {
    let digests: Vec<Digest> = numbers.iter().copied().map(digest).collect();
    state.observe_absent(&registry(), &repository(), at(second), &digests).unwrap()
}

fn expect(state: &State, run: RunId, root: u8, along: &[u8]) {
    let along: Vec<Digest> = along.iter().copied().map(digest).collect();
    state.expect_to_go(run, &registry(), &repository(), digest(root), &along).unwrap();
}

fn left_behind(state: &State) -> Vec<(Digest, Digest)> {
    state.left_behind(&registry(), &repository()).unwrap().into_iter().collect()
}

#[test]
fn everything_is_there_after_reopening() {
    let scratch = Scratch::new();
    let (run, done, open) = {
        let state = scratch.open().unwrap();
        assert!(state.is_durable());
        state.remember_references(&[(digest(1), References::None)]).unwrap();
        untagged(&state, 0, &[1]);
        absent(&state, 0, &[2]);
        let run = begin(&state, 0);
        expect(&state, run, 3, &[4]);
        let done = intend(&state, run, 3, 1).unwrap();
        state.conclude(done, &Outcome::Done, at(2)).unwrap();
        let open = intend(&state, run, 5, 3).unwrap();
        let counts = RunCounts { kept: 7, planned: 6, deleted: 5, untagged: 4, relocked: 3, skipped: 2, failed: 1 };
        state.finish_run(run, at(9), &RunOutcome::Interrupted("SIGTERM".into()), &counts).unwrap();
        (run, done, open)
    };
    let state = scratch.open().unwrap();
    assert_eq!(state.references_of(&[digest(1)]).unwrap().len(), 1);
    assert_eq!(untagged(&state, 9, &[1]), BTreeMap::from([(digest(1), at(0))]));
    assert_eq!(absent(&state, 9, &[2]), BTreeSet::from([digest(2)]));
    assert_eq!(left_behind(&state), [(digest(4), digest(3))]);
    let runs = state.runs(10).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].id, runs[0].policy.as_str(), runs[0].mode, runs[0].plan_hash.as_str()), (run, "ci", RunMode::Enforce, "f00d"));
    assert_eq!(runs[0].finished, Some((at(9), RunOutcome::Interrupted("SIGTERM".into()))));
    assert_eq!(runs[0].counts, RunCounts { kept: 7, planned: 6, deleted: 5, untagged: 4, relocked: 3, skipped: 2, failed: 1 });
    let journal = state.journal(&JournalFilter::default(), 10).unwrap();
    assert_eq!(journal.iter().map(|entry| entry.id).collect::<Vec<_>>(), [open, done]);
    assert_eq!(journal[1].concluded, Some((at(2), Outcome::Done)));
    assert_eq!(journal[1].tags.iter().map(TagName::as_str).collect::<Vec<_>>(), ["pr-1", "pr-2"]);
    assert_eq!((journal[1].reason.as_str(), journal[1].has_document, journal[1].tag.as_ref()), ("older than 14d", true, None));
    assert_eq!(state.document_of(done).unwrap().as_deref(), Some(b"{}".as_slice()));
}

#[test]
fn a_crash_between_intent_and_outcome_leaves_exactly_that_intent_open() {
    let scratch = Scratch::new();
    let copy = Scratch::new();
    let state = scratch.open().unwrap();
    let run = begin(&state, 0);
    let first = intend(&state, run, 1, 1).unwrap();
    state.conclude(first, &Outcome::Done, at(2)).unwrap();
    let second = intend(&state, run, 2, 3).unwrap();
    // What the disk holds while the process still has the file open is what a crash leaves.
    fs::create_dir_all(&copy.0).unwrap();
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        fs::copy(scratch.0.join(&name), copy.0.join(&name)).unwrap();
    }
    let state = copy.open().unwrap();
    let open = state.open_intents(&registry(), HERE).unwrap();
    let tags = vec![TagName::parse("pr-1").unwrap(), TagName::parse("pr-2").unwrap()];
    let verb = Verb::DeleteManifest;
    let expected =
        OpenIntent { id: second, run, repository: repository(), verb, digest: digest(2), tag: None, tags, relock: None, at: at(3) };
    assert_eq!(open, [expected]);
    assert!(state.open_intents(&RegistryName::parse("other").unwrap(), HERE).unwrap().is_empty());
    state.conclude(second, &Outcome::ResolvedNotDone, at(10)).unwrap();
    assert!(state.open_intents(&registry(), HERE).unwrap().is_empty());
}

#[test]
fn the_first_outcome_stands() {
    let state = State::in_memory().unwrap();
    assert!(!state.is_durable());
    let run = begin(&state, 0);
    let intent = intend(&state, run, 1, 0).unwrap();
    state.conclude(intent, &Outcome::Refused("locked".into()), at(1)).unwrap();
    let error = state.conclude(intent, &Outcome::Done, at(2)).unwrap_err();
    assert!(matches!(error, StateError::NotOpen(id) if id == intent), "{error}");
    let journal = state.journal(&JournalFilter::default(), 1).unwrap();
    assert_eq!(journal[0].concluded, Some((at(1), Outcome::Refused("locked".into()))));
}

#[test]
fn every_outcome_and_verb_survives_its_text() {
    let state = State::in_memory().unwrap();
    let run = begin(&state, 0);
    let why = || "why".to_owned();
    let outcomes = [
        Outcome::Done,
        Outcome::AlreadyGone,
        Outcome::Refused(why()),
        Outcome::Failed(why()),
        Outcome::NotSent,
        Outcome::ResolvedDone,
        Outcome::ResolvedNotDone,
    ];
    for (number, outcome) in outcomes.iter().enumerate() {
        let verb = [Verb::DeleteManifest, Verb::Untag, Verb::SetLocks][number % 3];
        let tag = TagName::parse("latest").unwrap();
        let (registry, repository, digest) = (&registry(), &repository(), digest(1));
        let tag = Some(&tag);
        let intent =
            Intent { run, registry, repository, verb, digest, tag, tags: &[], reason: "", document: None, relocked: None, at: at(0) };
        let intent = state.intend(&intent).unwrap();
        state.conclude(intent, outcome, at(1)).unwrap();
        let entry = state.journal(&JournalFilter::default(), 1).unwrap().remove(0);
        assert_eq!((entry.verb, entry.concluded, entry.tag.as_ref()), (verb, Some((at(1), outcome.clone())), tag));
        assert!(!entry.has_document && entry.tags.is_empty());
    }
    let outcomes = [
        RunOutcome::Planned,
        RunOutcome::Applied,
        RunOutcome::Partial,
        RunOutcome::Refused(why()),
        RunOutcome::Interrupted(why()),
        RunOutcome::WindowClosed,
        RunOutcome::Failed(why()),
    ];
    for outcome in outcomes {
        let mode = RunMode::DryRun;
        let run = state.begin_run(&start("", mode, 0)).unwrap();
        assert_eq!(state.runs(1).unwrap()[0].finished, None);
        state.finish_run(run, at(1), &outcome, &RunCounts::default()).unwrap();
        let record = state.runs(1).unwrap().remove(0);
        assert_eq!((record.mode, record.finished), (mode, Some((at(1), outcome))));
    }
}

#[test]
fn untagged_time_starts_anew_after_a_tag() {
    let state = State::in_memory().unwrap();
    untagged(&state, 10, &[1, 2]);
    assert_eq!(untagged(&state, 20, &[1, 3]), BTreeMap::from([(digest(1), at(10)), (digest(3), at(20))]));
    // 2 had a tag at 20.
    assert_eq!(untagged(&state, 30, &[1, 2]), BTreeMap::from([(digest(1), at(10)), (digest(2), at(30))]));
    // Another repository with the same digests has seen nothing yet.
    let other = RepositoryName::parse("team-b/web").unwrap();
    let since = state.observe_untagged(&registry(), &other, at(40), &[digest(1)]).unwrap();
    assert_eq!(since, BTreeMap::from([(digest(1), at(40))]));
    assert_eq!(untagged(&state, 50, &[1]), BTreeMap::from([(digest(1), at(10))]));
}

#[test]
fn a_clock_set_back_makes_nothing_older() {
    let state = State::in_memory().unwrap();
    untagged(&state, 1000, &[1]);
    assert_eq!(untagged(&state, 10, &[1]), BTreeMap::from([(digest(1), at(10))]));
    assert_eq!(untagged(&state, 20, &[1]), BTreeMap::from([(digest(1), at(10))]));
    absent(&state, 1000, &[1]);
    assert!(absent(&state, 10, &[1]).is_empty());
    assert_eq!(absent(&state, 20, &[1]), BTreeSet::from([digest(1)]));
}

#[test]
fn a_ghost_is_confirmed_by_a_second_run_only() {
    let state = State::in_memory().unwrap();
    assert!(absent(&state, 10, &[1, 2]).is_empty());
    assert!(absent(&state, 10, &[1, 2]).is_empty(), "the same run again");
    assert_eq!(absent(&state, 20, &[1]), BTreeSet::from([digest(1)]));
    assert_eq!(absent(&state, 30, &[1, 2]), BTreeSet::from([digest(1)]), "2 could be read at 20");
}

#[test]
fn what_a_deleted_root_left_behind_is_known_until_it_goes() {
    let state = State::in_memory().unwrap();
    let run = begin(&state, 0);
    expect(&state, run, 1, &[10, 11, 12]);
    expect(&state, run, 2, &[20]);
    assert_eq!(left_behind(&state), []);
    let root = intend(&state, run, 1, 1).unwrap();
    assert_eq!(left_behind(&state), [], "an open intent is no deletion");
    state.conclude(root, &Outcome::ResolvedDone, at(2)).unwrap();
    let kept_root = intend(&state, run, 2, 3).unwrap();
    state.conclude(kept_root, &Outcome::Refused("locked".into()), at(4)).unwrap();
    let child = intend(&state, run, 10, 5).unwrap();
    state.conclude(child, &Outcome::AlreadyGone, at(6)).unwrap();
    assert_eq!(left_behind(&state), [(digest(11), digest(1)), (digest(12), digest(1))]);
    state.forget_left_behind(&registry(), &repository(), &[digest(11)]).unwrap();
    assert_eq!(left_behind(&state), [(digest(12), digest(1))]);
    let other = RepositoryName::parse("other").unwrap();
    assert!(state.left_behind(&registry(), &other).unwrap().is_empty());
}

#[test]
fn an_older_plan_leaves_nothing_behind() {
    let state = State::in_memory().unwrap();
    let first = begin(&state, 0);
    expect(&state, first, 1, &[10]);
    // The next run deletes the same root, but 10 is needed by then and no part of the plan.
    let second = begin(&state, 10);
    let root = intend(&state, second, 1, 11).unwrap();
    state.conclude(root, &Outcome::Done, at(12)).unwrap();
    assert_eq!(left_behind(&state), []);
}

#[test]
fn deletes_are_counted_at_the_intent() {
    let state = State::in_memory().unwrap();
    let run = begin(&state, 0);
    for (number, second) in [(1, 10), (2, 20), (3, 30)] {
        intend(&state, run, number, second).unwrap();
    }
    let (registry, repository, digest) = (&registry(), &repository(), digest(9));
    let locks = Intent {
        run,
        registry,
        repository,
        verb: Verb::SetLocks,
        digest,
        tag: None,
        tags: &[],
        reason: "",
        document: None,
        relocked: None,
        at: at(30),
    };
    state.intend(&locks).unwrap();
    state.intend(&Intent { verb: Verb::Untag, ..locks }).unwrap();
    assert_eq!(state.deletes_since(registry, at(20)).unwrap(), 3);
    assert_eq!(state.deletes_since(registry, at(31)).unwrap(), 0);
    assert_eq!(state.deletes_since(&RegistryName::parse("other").unwrap(), at(0)).unwrap(), 0);
}

#[test]
fn the_journal_is_filtered_newest_first() {
    let state = State::in_memory().unwrap();
    let first = begin(&state, 0);
    let second = begin(&state, 5);
    for (run, number, second) in [(first, 1, 0), (first, 2, 1), (second, 1, 6)] {
        intend(&state, run, number, second).unwrap();
    }
    let count = |filter: JournalFilter<'_>| state.journal(&filter, 10).unwrap().len();
    let all = JournalFilter::default();
    assert_eq!(count(all), 3);
    assert_eq!(count(JournalFilter { run: Some(first), ..all }), 2);
    assert_eq!(count(JournalFilter { digest: Some(digest(1)), ..all }), 2);
    assert_eq!(count(JournalFilter { since: Some(at(1)), ..all }), 2);
    assert_eq!(count(JournalFilter { registry: Some(&registry()), repository: Some(&repository()), ..all }), 3);
    assert_eq!(count(JournalFilter { registry: Some(&RegistryName::parse("other").unwrap()), ..all }), 0);
    assert_eq!(count(JournalFilter { repository: Some(&RepositoryName::parse("other").unwrap()), ..all }), 0);
    let newest: Vec<Timestamp> = state.journal(&all, 2).unwrap().iter().map(|entry| entry.at).collect();
    assert_eq!(newest, [at(6), at(1)]);
}

#[test]
fn pruning_keeps_open_intents_and_numbers() {
    let state = State::in_memory().unwrap();
    let [concluded, open, recent] = [0, 10, 100].map(|second| begin(&state, second));
    let intent = intend(&state, concluded, 1, 1).unwrap();
    state.conclude(intent, &Outcome::Done, at(2)).unwrap();
    let still_open = intend(&state, open, 2, 11).unwrap();
    intend(&state, recent, 3, 101).unwrap();
    assert_eq!(state.prune_history(at(50)).unwrap(), 1);
    let runs: Vec<RunId> = state.runs(10).unwrap().iter().map(|run| run.id).collect();
    assert_eq!(runs, [recent, open]);
    assert_eq!(state.document_of(intent).unwrap(), None);
    assert_eq!(state.open_intents(&registry(), HERE).unwrap()[0].id, still_open);
    state.conclude(still_open, &Outcome::ResolvedNotDone, at(60)).unwrap();
    assert_eq!(state.prune_history(at(1000)).unwrap(), 1, "the run with the open intent of manifest 3 stays");
    assert!(recent < begin(&state, 200));
}

#[test]
fn a_second_owner_is_refused_and_a_reader_is_not() {
    let scratch = Scratch::new();
    let state = scratch.open().unwrap();
    let run = begin(&state, 0);
    let error = scratch.open().unwrap_err();
    assert!(matches!(&error, StateError::InUse { lock } if *lock == scratch.0.join(LOCK_NAME)), "{error}");
    let reader = State::open_to_read(&scratch.0).unwrap();
    assert_eq!(reader.runs(1).unwrap()[0].id, run);
    intend(&state, run, 1, 1).unwrap();
    assert_eq!(reader.journal(&JournalFilter::default(), 9).unwrap().len(), 1);
    assert!(reader.prune_history(at(9)).unwrap_err().is_full());
    let clone = state.clone();
    drop(state);
    assert!(scratch.open().is_err(), "a clone still holds it");
    drop(clone);
    scratch.open().unwrap();
}

#[test]
fn only_the_owner_may_look() {
    let scratch = Scratch::new();
    let state = scratch.open().unwrap();
    begin(&state, 0);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(scratch.0.clone()), 0o700);
    for name in [FILE_NAME, LOCK_NAME, "retaind.sqlite3-wal"] {
        assert_eq!(mode(scratch.0.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_newer_schema_is_refused() {
    let scratch = Scratch::new();
    scratch.open().unwrap();
    let connection = Connection::open(scratch.file()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = scratch.open().unwrap_err();
    assert!(matches!(error, StateError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("retaind.sqlite3"), "{error}");
}

#[test]
fn an_older_file_is_brought_up_to_date_and_keeps_what_it_holds() {
    let mut connection = Connection::open_in_memory().unwrap();
    assert!(matches!(schema::migrate(&mut connection, &["CREATE TABLE a (x)"]).unwrap(), Found::UpToDate));
    connection.execute("INSERT INTO a VALUES (7)", []).unwrap();
    let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO b SELECT x FROM a"];
    assert!(matches!(schema::migrate(&mut connection, &steps).unwrap(), Found::UpToDate));
    assert!(matches!(schema::migrate(&mut connection, &steps).unwrap(), Found::UpToDate));
    assert_eq!(connection.query_row("SELECT x FROM b", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
    assert!(matches!(schema::migrate(&mut connection, &steps[..1]).unwrap(), Found::Newer { found: 2 }));
}

/// Everything that is remembered of a registry, as one line.
fn remembered(state: &State) -> String {
    let (registry, repository) = (registry(), repository());
    let own = state.own_locks(&registry, &repository).unwrap().len();
    let condemned = state.condemned(&registry, &repository).unwrap().len();
    let (in_force, left) = (state.in_force("ci", &registry).unwrap().is_some(), left_behind(state).len());
    let approved = state.is_approved("f00d", at(0)).unwrap();
    let last = state.last_policies("ci", &registry).unwrap().is_some();
    format!("own {own} condemned {condemned} left {left} in force {in_force} approved {approved} last {last}")
}

/// A state of the fourth version, as its program left it.
fn of_the_fourth_version(scratch: &Scratch) {
    fs::create_dir_all(&scratch.0).unwrap();
    let mut connection = Connection::open(scratch.file()).unwrap();
    assert!(matches!(schema::migrate(&mut connection, &schema::STEPS[..4]).unwrap(), Found::UpToDate));
    let at = at(0).as_microsecond();
    let rows = format!("
        INSERT INTO repository (id, registry, name, since, believed) VALUES (1, 'contoso', 'team-a/web', {at}, 100);
        INSERT INTO run (id, policy, registry, mode, plan_hash, started_at, policies, changes) VALUES (1, 'ci', 'contoso', 'enforce', 'f00d', {at}, x'0101010101010101010101010101010101010101010101010101010101010101', 'next_run');
        INSERT INTO in_force VALUES ('ci', 'contoso', zeroblob(32), 'next_run');
        INSERT INTO approval VALUES ('f00d', {at});
        INSERT INTO untagged VALUES (1, zeroblob(32), {at});
        INSERT INTO rule VALUES (1, 'ci', 'hold');
        INSERT INTO condemned VALUES (1, 1, zeroblob(32), '', {at});
        INSERT INTO own_lock VALUES (1, zeroblob(32), '', 1, 1, 14);
        INSERT INTO expected VALUES (1, zeroblob(32), zeroblob(32), 1, 1);
        INSERT INTO intent (run, repository, verb, digest, tags, reason, at) VALUES (1, 1, 'lock', zeroblob(32), '', '', {at});
    ");
    connection.execute_batch(&rows).unwrap();
}

#[test]
fn what_an_older_version_remembered_was_seen_where_the_name_leads_first() {
    let scratch = Scratch::new();
    of_the_fourth_version(&scratch);
    let state = scratch.open().unwrap();
    assert_eq!(state.locate(&registry(), HERE).unwrap(), None);
    assert_eq!(state.locate(&registry(), HERE).unwrap(), None);
    assert_eq!(remembered(&state), "own 1 condemned 1 left 1 in force true approved true last true");
    assert_eq!(untagged(&state, 50, &[0]), BTreeMap::from([(digest(0), at(0))]));
    assert_eq!(state.open_intents(&registry(), HERE).unwrap().len(), 1);
    assert_eq!(state.observe_repository(&registry(), &repository(), at(50), 10).unwrap().shrunk_from, Some(100));
}

#[test]
fn what_was_seen_elsewhere_is_forgotten_and_what_happened_there_is_not() {
    const ELSEWHERE: &str = "https://fabrikam.azurecr.io";
    let scratch = Scratch::new();
    of_the_fourth_version(&scratch);
    let state = scratch.open().unwrap();
    state.locate(&registry(), HERE).unwrap();
    assert_eq!(state.locate(&RegistryName::parse("other").unwrap(), ELSEWHERE).unwrap(), None, "another name is another registry");
    assert_eq!(state.locate(&registry(), ELSEWHERE).unwrap().as_deref(), Some(HERE));
    assert_eq!(remembered(&state), "own 0 condemned 0 left 0 in force false approved false last false");
    assert!(state.knows(&registry()).unwrap(), "so that the policies loaded now are not taken for the first ones");
    let listings = state.observe_repository(&registry(), &repository(), at(60), 10).unwrap();
    assert_eq!((listings.since, listings.shrunk_from), (at(60), None));
    assert_eq!(untagged(&state, 60, &[0]), BTreeMap::from([(digest(0), at(60))]));
    assert_eq!(state.open_intents(&registry(), ELSEWHERE).unwrap(), []);
    assert_eq!((state.runs(9).unwrap().len(), state.journal(&JournalFilter::default(), 9).unwrap().len()), (1, 1));
    leave_approval(&scratch.0, "f00d").unwrap();
    let approved = state.take_approvals(at(65)).unwrap();
    assert_eq!(approved[0].runs, [], "a plan of what is there is none of what is here");
    assert!(state.in_force("ci", &registry()).unwrap().is_none());
    let run = begin(&state, 70);
    intend(&state, run, 1, 71).unwrap();
    assert_eq!(state.open_intents(&registry(), ELSEWHERE).unwrap().len(), 1);
    // Back again: nothing is known of here any more, but what was on its way can be looked for.
    assert_eq!(state.locate(&registry(), HERE).unwrap().as_deref(), Some(ELSEWHERE));
    assert_eq!(remembered(&state), "own 0 condemned 0 left 0 in force false approved false last true");
    let open = state.open_intents(&registry(), HERE).unwrap();
    assert_eq!(open.iter().map(|intent| intent.verb).collect::<Vec<_>>(), [Verb::SetLocks]);
}

#[test]
fn an_intent_says_what_it_makes_of_a_lock_until_it_is_concluded() {
    let state = State::in_memory().unwrap();
    let run = begin(&state, 0);
    let change = LockChange { can_delete: Some(false), can_write: Some(true), ..LockChange::default() };
    let closed_by =
        vec![("also".into(), LockChange { can_write: None, ..change }), ("hold".into(), LockChange { can_write: None, ..change })];
    let left = Locks { can_delete: false, ..Locks::OPEN };
    let (registry, repository, digest) = (&registry(), &repository(), digest(1));
    let relocked = Relocked { policy: "ci", digest, tag: None, change, closed_by: &closed_by, left };
    let (verb, document, relock) = (Verb::SetLocks, None, Some(&relocked));
    let intent =
        Intent { run, registry, repository, verb, digest, tag: None, tags: &[], reason: "", document, relocked: relock, at: at(1) };
    let id = state.intend(&intent).unwrap();
    let open = state.open_intents(registry, HERE).unwrap().remove(0);
    assert_eq!(open.relock, Some(Relock { policy: "ci".to_owned(), change, closed_by, left }));
    state.conclude(id, &Outcome::ResolvedDone, at(2)).unwrap();
    assert_eq!(state.open_intents(registry, HERE).unwrap(), []);
    let rows = |table: &str| {
        state.0.connection.lock().unwrap().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((rows("relock"), rows("relock_rule")), (0, 0));
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let scratch = Scratch::new();
    fs::create_dir_all(&scratch.0).unwrap();
    let connection = Connection::open(scratch.file()).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(connection);
    let error = scratch.open().unwrap_err();
    assert!(matches!(error, StateError::Foreign { .. }), "{error}");
    fs::write(scratch.file(), "not a database, but long enough to have a header".repeat(100)).unwrap();
    let error = scratch.open().unwrap_err();
    assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_and_not_an_empty_answer() {
    let scratch = Scratch::new();
    let state = scratch.open().unwrap();
    let run = begin(&state, 0);
    for number in 0..100 {
        intend(&state, run, number, 1).unwrap();
    }
    drop(state);
    let mut bytes = fs::read(scratch.file()).unwrap();
    assert!(8192 < bytes.len());
    bytes[4096..].fill(0xa5);
    fs::write(scratch.file(), bytes).unwrap();
    let error = scratch.open().and_then(|state| state.open_intents(&registry(), HERE)).unwrap_err();
    assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
    assert!(!error.is_full());
}

#[test]
fn a_full_disk_stops_writing_and_not_reading() {
    let scratch = Scratch::new();
    let state = scratch.open().unwrap();
    let run = begin(&state, 0);
    let first = intend(&state, run, 0, 1).unwrap();
    state.0.connection.lock().unwrap().pragma_update(None, "max_page_count", 1).unwrap();
    // The limit cannot be below what the file has already; some free room in its last pages is used up first.
    let error = (1..=u8::MAX).find_map(|number| intend(&state, run, number, 1).err()).unwrap();
    assert!(matches!(error, StateError::Full { .. }), "{error}");
    assert!(error.is_full());
    let written = state.journal(&JournalFilter::default(), 1000).unwrap();
    assert!(!written.is_empty());
    assert!(written.iter().all(|entry| entry.has_document), "an intent is written whole or not at all");
    state.conclude(first, &Outcome::Done, at(2)).unwrap();
    drop(state);
    let state = scratch.open().unwrap();
    assert_eq!(state.open_intents(&registry(), HERE).unwrap().len(), written.len() - 1);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let scratch = Scratch::new();
    let parent = scratch.0.parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    fs::write(&scratch.0, "a file where the directory should be").unwrap();
    let error = scratch.open().unwrap_err();
    assert!(matches!(&error, StateError::Directory { path, .. } if *path == scratch.0), "{error}");
}

#[test]
fn clones_may_be_used_from_many_threads() {
    let scratch = Scratch::new();
    let state = scratch.open().unwrap();
    let run = begin(&state, 0);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let state = state.clone();
            scope.spawn(move || {
                for second in 0..5 {
                    let intent = intend(&state, run, number, second).unwrap();
                    state.conclude(intent, &Outcome::Done, at(second)).unwrap();
                }
            });
        }
    });
    assert_eq!(state.deletes_since(&registry(), at(0)).unwrap(), 20);
    assert!(state.open_intents(&registry(), HERE).unwrap().is_empty());
}
