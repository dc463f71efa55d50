//! How cleaning destroyed elsewhere what it should not have, by cause, and what holds each of them off here. What a scenario, a law or
//! another test proves already is only named; the others have a test below, called after the cause.
//!
//! | cause | held off by | known from |
//! |---|---|---|
//! | no tag taken for not needed: platforms of a kept index go | `scenarios/images-of-several-platforms`, `scenarios/shared-children`, `oracle::agreement::they_agree_in_the_whole_language` | Azure/acr-cli#131, Azure/acr#666 |
//! | children go with one index although another lists them | `scenarios/shared-children`, `laws::a_kept_index_over_some_never_adds_a_loss` | dataaxiom/ghcr-cleanup-action#91 |
//! | signatures and SBOMs of living images taken for untagged | `scenarios/signatures` | Azure/acr-cli#133 |
//! | the same of images that live in another repository | `a_signature_apart_from_its_image_is_not_untagged`, `a_signature_apart_from_its_image_can_be_kept`, `a_repository_of_signatures_is_not_emptied_at_once` | |
//! | a signature takes the place of the last image | `a_signature_is_never_the_newest_image` | |
//! | companion tags counted and aged as tags, or left behind for ever | `scenarios/companion-tags`, `scenarios/referrers-tag`, `scenarios/orphans` | sigstore/cosign#507 |
//! | a digest deleted for one of its tags | `scenarios/one-kept-tag`, `scenarios/truncated-tags` | goharbor/harbor#8717 |
//! | what protects is found while deleting, in the order of a list | `vectors::disagreements::a_child_listed_before_its_index_stays`, `laws::order_has_no_influence` | |
//! | what cannot be read taken for what needs nothing | `what_cannot_be_listed_to_its_end_is_not_touched`, `scenarios/unreadable-manifests` | project-zot/zot#2625 |
//! | a page that failed taken for the last one | `what_cannot_be_listed_to_its_end_is_not_touched`, `client::a_listing_that_is_not_whole_is_no_listing` | |
//! | a count over one page | `a_count_larger_than_a_page_is_over_all_of_them` | |
//! | a count so large that the rule never deletes, and nobody says so | `a_rule_that_deletes_nothing_says_why` | |
//! | tags, signatures or platforms counted as images | `scenarios/counting-images`, `an_image_of_nine_manifests_counts_once` | some-natalie/kubernoodles#664 |
//! | a count before the filter | `vectors::disagreements::what_a_rule_does_not_choose_changes_nothing_of_its_count` | |
//! | what is protected uses a place in a count | `vectors::disagreements::what_is_protected_uses_no_place_in_a_count`, `scenarios/counting-images` | |
//! | the time of a build taken for an age | `the_time_of_a_build_is_no_age` | gitlab-org/gitlab#325429 |
//! | an order that is none, so that the input decides | `laws::order_has_no_influence` | |
//! | when an image was last pulled decides, and scanners or the cleaner pull | `when_an_image_was_pulled_decides_nothing` | goharbor/harbor#18479, goharbor/harbor#14638 |
//! | times made up when they are lost | `scenarios/times-that-mean-nothing`, `memory::a_wrong_clock_leaves_no_false_ages_behind` | |
//! | one time stamped on everything, so that all of it is old on one day | `one_time_for_everything_does_not_empty_a_repository` | project-zot/zot#4233 |
//! | an age that cannot be read, or overflows, means everything | `policy::age::tests::what_other_tools_read_as_everything_or_nothing_is_refused` | Azure/acr-cli#66 |
//! | a number without its unit | `config::tests::structure::ages_have_units`, `an_age_is_said_with_its_unit` | |
//! | a release by moving a tag does not make the image younger | `scenarios/young-and-few` | aws/containers-roadmap#2746 |
//! | the image that a tag left goes at once, and there is no way back | `scenarios/untagged-since` | |
//! | an age that untagged images ignore | `scenarios/untagged-since`, `scenarios/adopted-backlog` | Azure/acr-cli#579 |
//! | a selector that widens what another one chose | `selectors_of_one_rule_narrow_each_other` | Azure/acr#577 |
//! | patterns on a part of a name, and patterns that match nothing | `policy::pattern::tests::regular_expressions_are_anchored`, `warnings::what_matches_nothing_in_the_registry` | gitlab-org/gitlab#466239 |
//! | a negation that is a letter in this language, so that it protects nothing | `config::tests::policies::patterns_that_cannot_be_read_or_never_match_are_refused` | |
//! | one list shown, another one deleted | `what_is_shown_is_what_is_done`, `apply::races::a_plan_that_a_person_agreed_to_is_never_more_than_what_was_shown` | andrey-pohilko/registry-cli#81 |
//! | a rule that keeps some makes the rest deletable; what nobody named goes | `to_keep_some_condemns_no_others`, `scenarios/what-no-policy-names` | |
//! | a text or a fraction for a number is every image | `vectors::disagreements::what_cannot_be_read_is_refused` | |
//! | an empty choice is every image, a count of zero too | `vectors::disagreements::zero_and_nothing_are_refused`, `config::tests::structure::actions_choose_exactly_one_thing_and_say_when` | |

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use http::{Method, StatusCode};
use retaind::config::resolve_policies;
use retaind::emulator::{Failure, Fault, Response};
use retaind::model::{Digest, RepositoryName, TagName};
use retaind::pipeline::report::{self, Detail};
use retaind::pipeline::{self, Told};
use serde_json::Value;

use crate::scenarios::Player;
use crate::stage::{How, Stage, contoso};

const NOW: &str = "now 2026-06-01T00:00:00Z\n";

/// A policy that enforces these rules everywhere.
fn policy(rules: &str) -> String {
    format!(
        "version: 1\npolicies:\n  - name: ci\n    mode: enforce\n    repositories: {{ include: [\"**\"] }}\n    rules:\n{}",
        rules.lines().map(|line| format!("      - {line}\n")).collect::<String>()
    )
}

/// What is decided about every image of a drawing, with the reasons.
async fn decided(drawing: &str, policies: &str, expected: Expect) {
    let mut player = Player::default();
    player.draw(&format!("{NOW}{drawing}"));
    player.edit(policies);
    let plan = player.command("plan all").await;
    expected.assert_eq(without_ends(&plan));
}

/// A plan without what it says of itself above and below what it decides.
fn without_ends(plan: &str) -> &str {
    let (_, decisions) = plan.split_once("\n\n").expect("a head of the plan");
    decisions.rsplit_once("\n\n").map_or(decisions, |(decisions, _)| decisions)
}

/// The plan of a stage, every image in it.
async fn plan(stage: &Stage) -> String {
    stage.plan("ci", stage.state(), Detail::Everything).await.unwrap_or_else(|error| panic!("{error}")).text
}

const APART: &str = "
repository signatures
  image    release  tags 1.0  age 200d
  artifact signature  subject sha256:1111111111111111111111111111111111111111111111111111111111111111  type application/vnd.dev.cosign.artifact.sig.v1+json  age 90d
";

#[tokio::test(start_paused = true)]
async fn a_signature_apart_from_its_image_is_not_untagged() {
    let rules = "{ name: dangling, delete: { untagged: true, older_than: 7d, adopt_backlog: true } }
{ name: filtered, delete: { artifact_type: \"application/vnd.dev.cosign.**\", older_than: 7d } }";
    decided(
        APART,
        &policy(rules),
        expect![[r#"
            signatures: 2 images, 0 of them go
              keep    untagged (signature), 90d, 671 B
                      it describes something that is not in the repository; no rule on
                      `orphaned` chooses it
              keep    1.0 (release), 200d, 1.6 kB
                      it is among the newest 1 of the repository (keep_at_least)"#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_never_the_newest_image() {
    decided(
        APART,
        &policy("{ name: old, delete: { tags: { glob: \"*\" }, older_than: 30d } }"),
        expect![[r#"
        signatures: 2 images, 0 of them go
          keep    untagged (signature), 90d, 671 B
                  it describes something that is not in the repository; no rule on
                  `orphaned` chooses it
          keep    1.0 (release), 200d, 1.6 kB
                  it is among the newest 1 of the repository (keep_at_least); rule old
                  would delete it"#]],
    )
    .await;
}

/// What keeps the untagged, or whatever has an annotation, keeps it from rules on orphans; in counts of images it takes no place.
#[tokio::test(start_paused = true)]
async fn a_signature_apart_from_its_image_can_be_kept() {
    let subject = "1".repeat(64);
    let drawing = format!(
        "repository signatures
  image    release tags 1.0   age 200d
  image    loose   untagged   age 80d
  image    older   untagged   age 90d
  artifact sbom    subject sha256:{subject}  type application/spdx+json  age 70d  annotation legal=hold
  image    sig     tags sha256-{subject}.sig  age 70d  annotation legal=hold
  artifact other   subject sha256:{subject}  type application/spdx+json  age 70d\n"
    );
    let rules = "{ name: orphans, delete: { orphaned: true, older_than: 7d, adopt_backlog: true } }
{ name: dangling, delete: { untagged: true, older_than: 7d, adopt_backlog: true } }
{ name: legal, keep: { annotation: \"legal=hold\" } }
{ name: last, keep: { untagged: true, last: 1 } }";
    decided(
        &drawing,
        &policy(rules),
        expect![[r#"
        signatures: 6 images, 2 of them go
          delete  untagged (older), 90d, 1.6 kB
                  rule dangling deletes it
          delete  untagged (other), 70d, 641 B
                  rule orphans deletes it
          keep    sha256-111111111111 (sig), 70d, 1.7 kB
                  rule legal keeps it; rule orphans would delete it
          keep    untagged (sbom), 70d, 655 B
                  rule legal keeps it; rule orphans would delete it
          keep    untagged (loose), 80d, 1.6 kB
                  it is among the newest 1 of the repository (keep_at_least); rule last
                  keeps the newest 1; rule dangling would delete it
          keep    1.0 (release), 200d, 1.6 kB
                  no delete rule chooses it"#]],
    )
    .await;
}

/// A rule on orphans is held back by a share like any other.
#[tokio::test(start_paused = true)]
async fn a_repository_of_signatures_is_not_emptied_at_once() {
    let subject = "1".repeat(64);
    for drawn in [format!("artifact s-{{n}} subject sha256:{subject} type application/spdx+json"), "image s-{n} tags LATER".to_owned()] {
        let mut lines = String::new();
        for number in 1..=20 {
            let companion = format!("sha256-{number:064}.sig");
            lines.push_str(&format!("  {} age 90d\n", drawn.replace("{n}", &number.to_string()).replace("LATER", &companion)));
        }
        let drawing = format!("{NOW}repository signatures\n  image release tags 1.0 age 200d\n{lines}");
        let rules = "{ name: orphans, delete: { orphaned: true, older_than: 7d, adopt_backlog: true } }";
        let stage = Stage::new(&drawing, &policy(rules));
        let ran = stage.run("ci").await;
        assert!(ran.ended.refused && stage.writes() == 0, "{}", ran.said);
        assert!(ran.said.contains("guard: signatures would lose 20 of 21 images, max_delete_percent allows 10 %"), "{}", ran.said);
    }
}

/// The second page of one list fails. What is on it may need what is on the first, so there is nothing to decide from.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_to_its_end_is_not_touched() {
    let drawing = "
repository app
  index multi tags z-multi age 90d platforms linux/amd64, linux/arm64
  repeat 1100 n image old-{n} tags pr-{n} age 90d
repository other
  image new  tags 1.0  age 90d
  image pull tags pr-1 age 91d
";
    let rules = "{ name: pull-requests, delete: { tags: { glob: \"pr-*\" }, older_than: 14d } }
{ name: dangling, delete: { untagged: true, older_than: 7d, adopt_backlog: true } }";
    for list in ["_tags", "_manifests"] {
        let limits = "    limits: { max_deletes: 2000, max_delete_percent: 100 }\n";
        let stage = Stage::new(&format!("{NOW}{drawing}"), &(policy(rules) + limits));
        let refusal = Response { status: StatusCode::NOT_FOUND, ..Response::default() };
        let failure = Failure::Respond(refusal);
        let path_contains = format!("/acr/v1/app/{list}?last=");
        stage.emulator.inject(Fault { method: Some(Method::GET), path_contains, after: 0, times: usize::MAX, failure });
        let ran = stage.run("ci").await;
        let told = "app: nothing is done here, because something is not known\n  cannot list the ";
        assert!(ran.said.contains(told) && ran.ended.incomplete == 1, "{list}: {}", ran.said);
        let asked: Vec<String> = stage.emulator.requests().into_iter().map(|request| request.path).collect();
        assert!(asked.len() == 1 && asked[0].starts_with("/v2/other/manifests/"), "the other repository goes on: {asked:?}");
    }
}

const MANY: &str = "repository app\n  repeat 1100 n image nightly-{n} tags nightly-{n:04} age {n}h\n";

/// Lists have at most a thousand items a page.
#[tokio::test(start_paused = true)]
async fn a_count_larger_than_a_page_is_over_all_of_them() {
    let rule = "{ name: nightlies, delete: { tags: { glob: \"nightly-*\" }, except_last: 1050, older_than: 1d } }";
    let stage = Stage::new(&format!("{NOW}{MANY}"), &policy(rule));
    let plan = plan(&stage).await;
    let (gone, kept) = plan.split_once("  keep ").expect("something stays");
    assert_eq!(gone.matches("  delete  nightly-").count(), 50, "{gone}");
    assert!((1051..=1100).all(|hours| gone.contains(&format!("nightly-{hours} "))), "{gone}");
    assert_eq!(gone.matches("rule nightlies deletes it\n").count(), 50);
    assert_eq!(kept.matches("rule nightlies spares the newest 1050").count(), 1050, "{kept}");
}

/// In the plan, image by image; and before there is one, where the words or the names of tags tell.
#[tokio::test(start_paused = true)]
async fn a_rule_that_deletes_nothing_says_why() {
    let rules = "{ name: nightlies, delete: { tags: { glob: \"nightly-*\" }, except_last: 2000, older_than: 1d } }
{ name: typing-error, delete: { tags: { glob: \"nigthly-*\" }, older_than: 1d } }";
    let stage = Stage::new(&format!("{NOW}{MANY}"), &policy(rules));
    let planned = stage.plan("ci", stage.state(), Detail::Changes).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(planned.is_empty);
    expect![[r#"
        app: 1100 images, 0 of them go
          keep    1077 images: nightly-0024, nightly-0025, nightly-0026, nightly-0027
                  and 1073 more
                  rule nightlies spares the newest 2000
          keep    1 image: nightly-0001
                  younger than min_age (1d); it is among the newest 1 of the repository
                  (keep_at_least); rule nightlies spares the newest 2000
          keep    22 images: nightly-0002, nightly-0003, nightly-0004, nightly-0005 and
                  18 more
                  younger than min_age (1d); rule nightlies spares the newest 2000"#]]
    .assert_eq(without_ends(&planned.text));

    let tags: Vec<TagName> = (1..=1100).map(|number| TagName::parse(&format!("nightly-{number:04}")).expect("a tag")).collect();
    let repositories = [(RepositoryName::parse("app").expect("a name"), tags)].into();
    let seen = retaind::config::Seen { registry: contoso(), repositories };
    let settings = "version: 1\nregistries: [{ name: contoso, endpoint: https://contoso.example }]\npolicies: policies\n";
    let configuration = retaind::config::resolve_texts(("retaind.yaml", settings), &[("ci.yaml", &policy(rules))]);
    let configuration = configuration.unwrap_or_else(|problems| panic!("{problems}"));
    let warnings = retaind::config::warnings(&configuration, &[seen]).expect("a warning").to_string();
    let warnings = warnings.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "warning[idle-rule]: rule typing-error does nothing today: it matches no tag of the repositories that the policy names";
    assert!(warnings.contains(told) && warnings.matches("warning[idle-rule]").count() == 1, "{warnings}");
    let never = policy("{ name: never, delete: { tags: { glob: \"*\" }, older_than: 30d, newer_than: 30d } }");
    let problems = resolve_policies(&[("ci.yaml", &never)], &[contoso()]).expect_err("nothing is older and newer").to_string();
    assert!(problems.contains("`newer_than`"), "{problems}");
}

#[tokio::test(start_paused = true)]
async fn an_image_of_nine_manifests_counts_once() {
    let platforms = "linux/386, linux/amd64, linux/arm/v5, linux/arm/v7, linux/arm64, linux/mips64le, linux/ppc64le, linux/s390x";
    let index = |name: &str, tag: u8, days: u8| format!("  index {name} tags {tag} age {days}d platforms {platforms}\n");
    let drawing = format!("repository app\n{}{}  image old tags 1 age 30d\n", index("new", 3, 10), index("before", 2, 20));
    let rules = "{ name: all, delete: { tags: { glob: \"*\" }, except_last: 2 } }
{ name: dangling, delete: { untagged: true, except_last: 2, adopt_backlog: true } }";
    let mut player = Player::default();
    player.draw(&format!("{NOW}{drawing}"));
    player.edit(&policy(rules));
    expect![[r#"
        app: 3 images, 1 of them goes
          delete  1 image of 1.6 kB
                  rule all deletes it
                  1 30d
          keep    1 image: 3
                  it is among the newest 1 of the repository (keep_at_least); rule all
                  spares the newest 2
          keep    1 image: 2
                  rule all spares the newest 2
          keep    16 manifests that these need"#]]
    .assert_eq(without_ends(&player.command("plan").await));
    let plan = player.command("plan all").await;
    assert_eq!(plan.matches("a child of 2 (before), which stays").count(), 8, "{plan}");
}

/// Reproducible builds set it to 1970 or 1980.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_build_is_no_age() {
    let created = "org.opencontainers.image.created=1970-01-01T00:00:00Z";
    let drawing = format!(
        "repository app\n  image fresh tags pr-1 age 3d annotation \"{created}\" label \"{created}\"\n  image newest tags 1.0 age 2d\n"
    );
    decided(
        &drawing,
        &policy("{ name: old, delete: { tags: { glob: \"pr-*\" }, older_than: 14d } }"),
        expect![[r#"
        app: 2 images, 0 of them go
          keep    1.0 (newest), 2d, 1.6 kB
                  it is among the newest 1 of the repository (keep_at_least)
          keep    pr-1 (fresh), 3d, 1.8 kB
                  rule old deletes it when it is older than 14d"#]],
    )
    .await;
}

/// No rule can ask for it, and what we read ourselves makes nothing younger or older.
#[tokio::test(start_paused = true)]
async fn when_an_image_was_pulled_decides_nothing() {
    for key in ["last_pulled", "pulled_before", "not_pulled_for", "unused_for"] {
        let text = policy(&format!("{{ name: idle, delete: {{ tags: {{ glob: \"*\" }}, {key}: 30d }} }}"));
        let problems = resolve_policies(&[("ci.yaml", &text)], &[contoso()]).expect_err("no rule asks for pulls").to_string();
        assert!(problems.contains(&format!("`delete` has no key `{key}`")), "{problems}");
    }
    let drawing = "
repository app
  image fresh   tags pr-1      age 13d
  image old     tags pr-2      age 90d
  image newest  tags 1.0       age 2d
  image loose   untagged       age 90d
";
    let rules = "{ name: old, delete: { tags: { glob: \"pr-*\" }, older_than: 14d } }
{ name: dangling, delete: { untagged: true, older_than: 7d, adopt_backlog: true } }";
    let stage = Stage::new(&format!("{NOW}{drawing}"), &policy(rules));
    let before = plan(&stage).await;
    let (client, app) = (stage.client(), RepositoryName::parse("app").expect("a name"));
    for name in ["fresh", "old", "newest", "loose"] {
        let digest: Digest = stage.digest("app", name).to_string().parse().expect("a digest");
        client.get_manifest(&app, digest).await.unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(plan(&stage).await, before);
    assert_eq!(before.matches("  delete  ").count(), 2, "{before}");
}

/// Limits are what is left when a registry tells one time for everything: nothing can be told apart by age.
#[tokio::test(start_paused = true)]
async fn one_time_for_everything_does_not_empty_a_repository() {
    let drawing = format!("{NOW}repository app\n  repeat 30 n image i-{{n}} tags v{{n}} age 31d\n");
    let stage = Stage::new(&drawing, &policy("{ name: old, delete: { tags: { glob: \"*\" }, older_than: 30d } }"));
    let ran = stage.run("ci").await;
    assert!(ran.ended.refused && stage.writes() == 0, "{}", ran.said);
    assert!(ran.said.contains("guard: app would lose 29 of 30 images, max_delete_percent allows 10 %"), "{}", ran.said);
    assert!(ran.said.contains("it is among the newest 1 of the repository (keep_at_least)"), "{}", ran.said);
}

#[tokio::test(start_paused = true)]
async fn an_age_is_said_with_its_unit() {
    let rules = "{ name: hours, delete: { tags: { glob: \"a-*\" }, older_than: 36h } }
{ name: weeks, delete: { tags: { glob: \"b-*\" }, older_than: 2w } }
{ name: days, delete: { tags: { glob: \"c-*\" }, older_than: P30D } }";
    decided(
        "repository app\n  image a tags a-1 age 30h\n  image b tags b-1 age 30h\n  image c tags c-1 age 30h\n  image d tags 1.0 age 29h\n",
        &policy(rules),
        expect![[r#"
            app: 4 images, 0 of them go
              keep    1.0 (d), 1d, 1.6 kB
                      it is among the newest 1 of the repository (keep_at_least)
              keep    b-1 (b), 1d, 1.6 kB
                      rule weeks deletes it when it is older than 14d
              keep    a-1 (a), 1d, 1.6 kB
                      rule hours deletes it when it is older than 1d12h
              keep    c-1 (c), 1d, 1.6 kB
                      rule days deletes it when it is older than 30d"#]],
    )
    .await;
}

/// What a rule says beside its choice is asked for as well, and one rule's choice is no other's: `untagged` beside a rule on tags chooses
/// nothing that has a tag, however well its age and type fit.
#[tokio::test(start_paused = true)]
async fn selectors_of_one_rule_narrow_each_other() {
    let drawing = "
repository app
  image all-fit     tags pr-1  age 90d  label team=web  size 120MB
  image small       tags pr-2  age 90d  label team=web
  image no-label    tags pr-3  age 90d  size 120MB
  image young       tags pr-4  age 9d   label team=web  size 120MB
  image other-name  tags 1.0   age 90d  label team=web  size 120MB
  image loose       untagged   age 90d
  image newest      tags 2.0   age 2d
";
    let rules = "{ name: narrow, delete: { tags: { glob: \"pr-*\" }, label: \"team=web\", larger_than: 100MB, older_than: 14d } }
{ name: dangling, delete: { untagged: true, older_than: 14d, larger_than: 100MB, adopt_backlog: true } }";
    decided(
        drawing,
        &policy(rules),
        expect![[r#"
        app: 7 images, 1 of them goes
          delete  pr-1 (all-fit), 90d, 120.0 MB
                  rule narrow deletes it
          keep    2.0 (newest), 2d, 1.6 kB
                  it is among the newest 1 of the repository (keep_at_least)
          keep    pr-4 (young), 9d, 120.0 MB
                  rule narrow deletes it when it is older than 14d
          keep    pr-3 (no-label), 90d, 120.0 MB
                  no delete rule chooses it
          keep    untagged (loose), 90d, 1.6 kB
                  no delete rule chooses it
          keep    pr-2 (small), 90d, 1.6 kB
                  no delete rule chooses it
          keep    1.0 (other-name), 90d, 120.0 MB
                  no delete rule chooses it"#]],
    )
    .await;
    let both = policy("{ name: both, delete: { tags: { glob: \"pr-*\" }, untagged: true, older_than: 14d } }");
    let problems = resolve_policies(&[("ci.yaml", &both)], &[contoso()]).expect_err("nothing has a tag and none").to_string();
    assert!(problems.contains("`tags` and `untagged` do not go together"), "{problems}");
}

/// A run shows its plan before anything is asked for, and asks for exactly that.
#[tokio::test(start_paused = true)]
async fn what_is_shown_is_what_is_done() {
    let drawing = "
repository app
  image  newest  tags 2.0, prod  age 2d
  index  multi   tags pr-1       age 90d  platforms linux/amd64, linux/arm64
  image  mixed   tags pr-2, 1.0  age 80d
  image  hidden  tags pr-3       age 70d  locked delete
repository other
  image  newest  tags 2.0   age 2d
  image  old     tags pr-9  age 90d
";
    let rules = "{ name: pull-requests, delete: { tags: { glob: \"pr-*\" }, older_than: 14d } }
{ name: production, lock: { tags: { glob: \"prod\" }, can_delete: false } }";
    let stage = Stage::new(&format!("{NOW}{drawing}"), &(policy(rules) + "    limits: { max_delete_percent: 100 }\n"));
    let (mut shown, mut text) = (Value::Null, String::new());
    let run = stage.prepare("ci", How::default());
    let ended = pipeline::run(&run, &mut |told| {
        if let Told::Planned(decided) = told {
            assert_eq!(stage.writes(), 0, "it is shown first");
            shown = serde_json::from_str(&report::plan_to_json(decided)).expect("JSON");
            text = report::plan_as_text(decided, Detail::Everything);
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
    drop(run);
    assert!(ended.applied.is_some_and(|applied| applied.is_complete()), "{text}");
    let mut expected = BTreeSet::new();
    for repository in shown["repositories"].as_array().expect("repositories") {
        let name = repository["name"].as_str().expect("a name");
        let steps = |key: &str| repository[key].as_array().expect("steps").clone();
        let word = |step: &Value, key: &str| step[key].as_str().expect("a text").to_owned();
        expected.extend(steps("deletes").iter().map(|step| format!("DELETE /v2/{name}/manifests/{}", word(step, "digest"))));
        expected.extend(steps("untags").iter().map(|step| format!("DELETE /acr/v1/{name}/_tags/{}", word(step, "tag"))));
        expected.extend(steps("locks").iter().map(|step| format!("PATCH /acr/v1/{name}/_tags/{}", word(step, "tag"))));
    }
    assert_eq!(expected.len(), 6, "an index with two platforms, an image, a tag and a lock: {expected:?}");
    let requests = stage.emulator.requests();
    let done: BTreeSet<String> = requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(done, expected, "{text}");
    stage.account();
}

#[tokio::test(start_paused = true)]
async fn to_keep_some_condemns_no_others() {
    let drawing =
        "repository app\n  image a tags v1 age 90d\n  image b tags x age 90d\n  image c untagged age 90d\n  image d tags y age 2d\n";
    let rules = "{ name: versions, keep: { tags: { glob: \"v*\" }, last: 1 } }
{ name: none, delete: { tags: { glob: \"pr-*\" }, older_than: 14d } }";
    decided(
        drawing,
        &policy(rules),
        expect![[r#"
        app: 4 images, 0 of them go
          keep    y (d), 2d, 1.6 kB
                  it is among the newest 1 of the repository (keep_at_least)
          keep    x (b), 90d, 1.6 kB
                  no delete rule chooses it
          keep    v1 (a), 90d, 1.6 kB
                  rule versions keeps the newest 1
          keep    untagged (c), 90d, 1.6 kB
                  no delete rule chooses it"#]],
    )
    .await;
}

/// The files in which a test called so may stand.
fn files(path: &str) -> Vec<String> {
    let modules: Vec<&str> = path.split("::").collect();
    let (_, modules) = modules.split_last().expect("a name");
    let inner = modules.split_last().map_or(modules, |(_, outer)| outer);
    let places = [modules, inner].into_iter().filter(|modules| !modules.is_empty()).map(|modules| modules.join("/"));
    places.flat_map(|place| [format!("tests/it/{place}.rs"), format!("tests/it/{place}/mod.rs"), format!("src/{place}.rs")]).collect()
}

#[test]
fn every_cause_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = include_str!("failures.rs");
    let rows: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1).collect();
    let mut named = BTreeSet::new();
    for row in &rows {
        let held_off_by = row.split(" | ").nth(1).expect("a second column");
        let names: Vec<&str> = held_off_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "nothing holds it off: {row}");
        named.extend(names);
    }
    assert!(30 < rows.len() && 30 < named.len(), "{named:?}");
    let defines = |text: &str, name: &str| text.contains(&format!("fn {name}("));
    for name in &named {
        let exists = match (name.strip_prefix("scenarios/"), name.rsplit_once("::")) {
            (Some(script), _) => root.join(format!("tests/scenarios/{script}.txt")).is_file(),
            (None, Some((_, test))) => {
                files(name).iter().any(|file| fs::read_to_string(root.join(file)).is_ok_and(|text| defines(&text, test)))
            }
            (None, None) => defines(source, name),
        };
        assert!(exists, "there is no {name}");
    }
    let mut lines = source.lines().skip_while(|line| !line.starts_with("#[tokio::test"));
    while let Some(line) = lines.next() {
        if line.starts_with("#[tokio::test") {
            let function = lines.next().and_then(|line| line.strip_prefix("async fn ")).expect("a test");
            let name = function.split('(').next().unwrap_or_default();
            assert!(named.contains(name), "{name} belongs to no cause");
        }
    }
}
