//! A registry's name that is pointed elsewhere: what was seen there is another registry's.

use retaind::emulator::Emulator;
use retaind::model::{Digest, RepositoryName};
use retaind::state::{Intent, RunMode, RunStart, Verb, leave_approval};

use crate::stage::{Ran, Stage, contoso, policies, still_open};

const ELSEWHERE: &str = "https://fabrikam.azurecr.io";

/// The same bytes are in both registries, as after an import.
const DRAWING: &str = "
now 2026-06-01T00:00:00Z
repository app
  image  one    tags pr-1  age 90d
  image  two    tags pr-2  age 80d
  image  old    age 70d
  image  kept   tags prod-1 age 60d
  repeat 24 n image other-{n} tags other-{n} age 5{n}d
";

fn policy(production: &str, limits: &str) -> String {
    format!(
        "{{ version: 1, policies: [{{ name: ci, mode: enforce, repositories: {{ include: [app] }},
            limits: {{ keep_at_least: 0, max_delete_percent: 100{limits} }}, rules: [
                {{ name: waiting, delete: {{ tags: {{ glob: [\"pr-*\"] }}, older_than: 14d, condemned_for: 7d }} }},
                {{ name: dangling, delete: {{ untagged: true, older_than: 7d }} }},
                {{ name: production, lock: {{ tags: {{ glob: [{production}] }}, can_delete: false, release: true }} }}] }}] }}"
    )
}

const DAY_SECONDS: i64 = 24 * 60 * 60;

fn deleted(ran: &Ran) -> u32 {
    ran.ended.applied.as_ref().map_or(0, |applied| applied.counts().deleted)
}

fn is_locked(emulator: &Emulator) -> bool {
    emulator.render().contains("prod-1 (locked delete)")
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_in_another_registry_of_the_same_name_is_not_believed() {
    for moves in [false, true] {
        let mut stage = Stage::new(DRAWING, &policy("\"prod-*\"", ""));
        let noted = stage.run("ci").await;
        assert!(deleted(&noted) == 0 && is_locked(&stage.emulator), "{}", noted.said);
        stage.hands.turn(8 * DAY_SECONDS);
        if moves {
            stage.endpoint = ELSEWHERE.to_owned();
        }
        assert_eq!(stage.plan_again("ci").await.is_empty, moves, "a plan alone believes no more than a run");
        let first = stage.run("ci").await;
        if !moves {
            assert_eq!(deleted(&first), 3, "two stood condemned and one was untagged for a week: {}", first.said);
            continue;
        }
        // Untagged and condemned since now, so that nothing would go; and whatever the policies are, here nobody has seen what they do.
        assert_eq!(deleted(&first), 0, "{}", first.said);
        stage.emulator.seed("repository app\n  image late tags prod-2 age 90d\n").expect("a drawing");
        let second = stage.run("ci").await;
        assert_eq!(deleted(&second), 0, "{}", second.said);
        stage.hands.turn(8 * DAY_SECONDS);
        assert_eq!(deleted(&stage.run("ci").await), 3, "what is seen here counts from now on");
        // The lock was closed there. Who closed the one here nobody knows.
        stage.policies = policies(&policy("none", ""));
        stage.run("ci").await;
        stage.run("ci").await;
        let drawn = stage.emulator.render();
        assert!(is_locked(&stage.emulator) && !drawn.contains("prod-2 (locked"), "{drawn}");
        assert_eq!(stage.state().runs(100).expect("the history").len(), 6, "what happened there is still told");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_run_elsewhere_only_reports() {
    let untagged = policy("none", ", min_age: 1h").replace("condemned_for: 7d", "except_last: 1");
    let mut stage = Stage::new(DRAWING, &untagged);
    let ran = stage.run("ci").await;
    assert_eq!(deleted(&ran), 1, "{}", ran.said);
    stage.emulator.seed("repository app\n  image again tags pr-3 age 85d\n").expect("a drawing");
    stage.endpoint = ELSEWHERE.to_owned();
    let ran = stage.run("ci").await;
    assert!(ran.ended.refused && ran.said.contains("guard: the policies changed since the last run"), "{}", ran.said);
    // An approval of a plan that was made there, of the same name and the same steps, is none of this registry's.
    let planned = stage.state().runs(1).expect("the run").remove(0).plan_hash;
    stage.endpoint = "https://third.azurecr.io".to_owned();
    leave_approval(&stage.state_dir(), &planned).expect("left");
    stage.state().take_approvals(stage.hands.now()).expect("taken up");
    let ran = stage.run("ci").await;
    assert!(ran.ended.refused && deleted(&ran) == 0, "{}", ran.said);
    assert_eq!(deleted(&stage.run("ci").await), 1);
}

/// A quarter of the manifests of another registry is no listing that shrank.
#[tokio::test(start_paused = true)]
async fn a_smaller_registry_elsewhere_did_not_shrink() {
    let mut stage = Stage::new(DRAWING, &policy("none", "").replace(", condemned_for: 7d", ""));
    assert_eq!(deleted(&stage.run("ci").await), 2);
    let name = RepositoryName::parse("app").expect("a name");
    for number in 1..=24 {
        let digest: Digest = stage.digest("app", &format!("other-{number}")).to_string().parse().expect("a digest");
        stage.client().delete_manifest(&name, digest).await.expect("deleted by somebody else");
    }
    stage.emulator.seed("repository app\n  image late tags pr-9 age 90d\n").expect("a drawing");
    let shrunk = async |stage: &Stage| stage.run("ci").await.said.contains("app has 3 manifests where 26 should be");
    assert!(shrunk(&stage).await);
    stage.endpoint = ELSEWHERE.to_owned();
    assert!(!shrunk(&stage).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_elsewhere_is_not_looked_for_here() {
    let mut stage = Stage::new(DRAWING, &policy("none", ""));
    stage.run("ci").await;
    let (registry, repository) = (contoso(), RepositoryName::parse("app").expect("a name"));
    {
        let (state, at) = (stage.state(), stage.hands.now());
        let policies = Digest::of(b"policies");
        let run = RunStart {
            policy: "ci",
            registry: &registry,
            mode: RunMode::Enforce,
            plan_hash: "f00d",
            policies,
            changes: "next_run",
            puts_in_force: false,
            at,
        };
        let run = state.begin_run(&run).expect("a run");
        // A manifest that was never there: whoever reads finds it gone.
        let intent = Intent {
            run,
            registry: &registry,
            repository: &repository,
            verb: Verb::DeleteManifest,
            digest: Digest::of(b"nothing"),
            tag: None,
            tags: &[],
            reason: "",
            document: None,
            relocked: None,
            at,
        };
        state.intend(&intent).expect("an intent");
    }
    let home = std::mem::replace(&mut stage.endpoint, ELSEWHERE.to_owned());
    stage.run("ci").await;
    assert_eq!(still_open(&stage.state()).len(), 1, "elsewhere nobody can tell");
    stage.endpoint = home;
    stage.run("ci").await;
    assert_eq!(still_open(&stage.state()).len(), 0, "where it was asked it is looked for");
}
