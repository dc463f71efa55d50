//! What lies ahead: from which second on something goes, and what an edit of policies changes.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use retaind::model::{Inventory, Listing, RepositoryName, TagName};
use retaind::pipeline::decide;
use retaind::pipeline::outlook::{Prospect, goes_from};
use retaind::pipeline::report::{DecidedRepository, Difference, Item, difference, difference_as_text, edited_policies};
use retaind::policy::{Action, Delete, END_OF_LIFE_KEY, Filter, Policy, Rule, Selector};
use retaind::state::State;

use crate::stage::{Stage, contoso, policies};
use crate::worlds::{Language, World, for_many_worlds_in, glob};

const DRAWING: &str = "
now 2026-06-01T00:00:00Z
repository app
  image newest  tags main             age 1h
  index multi   tags pr-1             age 10d  platforms linux/amd64
  image both    tags pr-2, demo-2     age 20d
  image demo    tags pr-3, demo-3     age 40d
  image fresh   tags nightly-1        age 20h
  image locked  tags pr-4             age 90d  locked delete
  image other   tags pr-5, 1.0        age 90d
";

const RULES: &str = r#"version: 1
policies:
  - name: ci
    mode: dry-run
    repositories: { include: [app] }
    rules:
      - { name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }
      - { name: demos, delete: { tags: { glob: ["demo-*"] }, older_than: 30d } }
      - { name: nightly, delete: { tags: { glob: ["nightly-*"] }, older_than: 12h } }
"#;

async fn listed(stage: &Stage) -> Inventory {
    stage.inventory("ci", State::in_memory().unwrap_or_else(|error| panic!("{error}"))).await
}

#[tokio::test(start_paused = true)]
async fn the_first_second_at_which_something_goes_is_found() {
    let stage = Stage::new(DRAWING, RULES);
    let inventory = listed(&stage).await;
    let (name, now) = (RepositoryName::parse("app").expect("a name"), stage.hands.now());
    let Listing::Complete(contents) = &inventory.repositories[0].listing else { panic!("a complete listing") };
    let tag = |text: &str| contents.find_tag(&TagName::parse(text).expect("a tag")).expect("it is drawn");
    let child = contents.find(stage.digest("app", "multi/linux/amd64").to_string().parse().expect("a digest")).expect("it is drawn");
    let (hours, second) = (SignedDuration::from_hours, SignedDuration::from_secs(1));
    // A rule asks for strictly more than its age, min_age for no less.
    let cases = [
        ("old enough in four days", Item::Tag(tag("pr-1")), Some(hours(4 * 24) + second)),
        ("a child goes with its index", Item::Manifest(child), Some(hours(4 * 24) + second)),
        ("the tag goes already", Item::Tag(tag("pr-2")), Some(hours(0))),
        ("its image goes with its last tag", Item::Manifest(contents.owner_of(tag("pr-2"))), Some(hours(10 * 24) + second)),
        ("younger than min_age", Item::Tag(tag("nightly-1")), Some(hours(4))),
        ("locked", Item::Tag(tag("pr-4")), None),
        ("another tag stays for ever", Item::Manifest(contents.owner_of(tag("pr-5"))), None),
    ];
    for (what, item, expected) in cases {
        let prospect = Prospect { policies: &stage.policies, acting: stage.policy("ci"), repository: &name, item };
        assert_eq!(goes_from(&inventory, &prospect, now), expected.map(|ahead| now + ahead), "{what}");
    }
}

/// Between a day and ten days old, and at no other time.
const BETWEEN: &str = "      - { name: window, delete: { tags: { glob: [\"win-*\"] }, older_than: 1d, newer_than: 10d } }\n";

#[tokio::test(start_paused = true)]
async fn what_time_condemns_and_spares_again_goes_in_between() {
    let drawing = format!(
        "
now 2026-06-01T00:00:00Z
repository app
  image newest  tags main        age 1h
  image young   tags win-1       age 2h
  image past    tags win-2       age 11d
  image shared  tags win-3       age 5h
  index holder  of shared  tags win-4  age 3h
  image kid     untagged         age 30d
  index along   of kid  tags win-5  age 3h
  image ends    tags pr-9        age 13d  annotation {END_OF_LIFE_KEY}=2026-06-01
  image later   tags pr-10       age 13d  annotation {END_OF_LIFE_KEY}=2026-06-03
"
    );
    let never = "      - { name: never, keep: { tags: { glob: [\"pr-*\"] }, end_of_life: true } }\n";
    let stage = Stage::new(&drawing, &format!("{RULES}{BETWEEN}{never}"));
    let inventory = listed(&stage).await;
    let (name, now) = (RepositoryName::parse("app").expect("a name"), stage.hands.now());
    let Listing::Complete(contents) = &inventory.repositories[0].listing else { panic!("a complete listing") };
    let tag = |text: &str| Item::Tag(contents.find_tag(&TagName::parse(text).expect("a tag")).expect("it is drawn"));
    let image = |text: &str| match tag(text) {
        Item::Tag(tag) => Item::Manifest(contents.owner_of(tag)),
        manifest @ Item::Manifest(_) => manifest,
    };
    let kid = contents.find(stage.digest("app", "kid").to_string().parse().expect("a digest")).expect("it is drawn");
    let (hours, second) = (SignedDuration::from_hours, SignedDuration::from_secs(1));
    let cases = [
        ("old enough in a day, too old in ten", tag("win-1"), Some(hours(22) + second)),
        ("too old already", tag("win-2"), None),
        ("held by an index until that goes", image("win-3"), Some(hours(21) + second)),
        ("its tag is removed before", tag("win-3"), Some(hours(19) + second)),
        ("goes along with its index, whose time it is", Item::Manifest(kid), Some(hours(21) + second)),
        ("kept from the end of its life on, and not old enough before", tag("pr-9"), None),
        ("goes for two days before it is kept", tag("pr-10"), Some(hours(24) + second)),
    ];
    for (what, item, expected) in cases {
        let prospect = Prospect { policies: &stage.policies, acting: stage.policy("ci"), repository: &name, item };
        assert_eq!(goes_from(&inventory, &prospect, now), expected.map(|ahead| now + ahead), "{what}");
    }
}

/// Whether time can spare anything: without such rules halving is all that is needed.
fn time_spares(world: &World) -> bool {
    let ends = |rule: &Rule| rule.action.selector().filters.iter().any(|filter| matches!(filter, Filter::EndOfLife));
    let by_age = |rule: &Rule| matches!(&rule.action, Action::Delete(delete) if delete.newer_than.is_some());
    world.acting().rules.iter().any(by_age) || world.policies.iter().flat_map(|policy| &policy.rules).any(ends)
}

/// Young things more often than not, and a rule that lets them go for a while.
fn with_a_window(world: &World, rng: &mut Rng) -> World {
    let mut world = world.clone();
    let hours = [24, 168, 720][rng.usize(0..3)];
    let age = |hours: i64| Some(format!("{hours}h").parse().expect("an age"));
    let selector = Selector::tags(glob(&["*"], &[]));
    let (older_than, newer_than) = (age(1), age(hours));
    let delete = Delete { selector, older_than, newer_than, except_last: None, condemned_for: None, adopt_backlog: false };
    let acting = world.acting;
    world.policies[acting].rules.push(Rule { name: "window".into(), action: Action::Delete(delete) });
    let now = world.now;
    let times = world.manifests.iter_mut().map(|manifest| &mut manifest.updated_at);
    for time in times.chain(world.tags.iter_mut().map(|tag| &mut tag.updated_at)) {
        if rng.bool() {
            *time = Some((now - SignedDuration::from_hours(rng.i64(0..12))).into());
        }
    }
    world
}

/// No second before the one that is told lets the item go, whatever the rules; and where none is told, none does.
#[test]
fn nothing_goes_before_it_is_said_to() {
    for_many_worlds_in(Language::Whole, |world, mut rng| {
        // Each is asked about at a hundred times: a third of them is enough.
        if rng.u8(0..3) != 0 {
            return Ok(());
        }
        let world = &if rng.bool() { with_a_window(world, &mut rng) } else { world.clone() };
        let contents = world.contents();
        let name = RepositoryName::parse("app").expect("a name");
        let inventory = world.inventory(&name);
        let decide = |at: Timestamp| decide(&inventory, &world.policies, world.acting(), at).repositories.remove(0).evaluation;
        // What could not be read is kept at any time.
        let Some(now) = decide(world.now).filter(|_| time_spares(world)) else { return Ok(()) };
        let manifests = (0_u32..).take(contents.manifests().len()).filter(|place| !now.manifests.goes(*place)).map(Item::Manifest);
        let tags = (0_u32..).take(contents.tags().len()).filter(|place| !now.tags.goes(*place)).map(Item::Tag);
        let staying: Vec<Item> = manifests.chain(tags).collect();
        let Some(item) = rng.choice(staying) else { return Ok(()) };
        let goes = |at: Timestamp| {
            decide(at).is_some_and(|evaluation| match item {
                Item::Manifest(manifest) => evaluation.manifests.goes(manifest),
                Item::Tag(tag) => evaluation.tags.goes(tag),
            })
        };
        let prospect = Prospect { policies: &world.policies, acting: world.acting(), repository: &name, item };
        let from = goes_from(&inventory, &prospect, world.now);
        let fail = |what: &str, at: Timestamp| Err(format!("{item:?}: told {from:?}, {what} at {at}"));
        if let Some(from) = from.filter(|from| !goes(*from)) {
            return fail("and stays", from);
        }
        // Where something can begin to go at all: just after an age that is asked for, and where a time comes.
        let times = contents.manifests().iter().flat_map(|manifest| [manifest.updated_at, manifest.untagged_since]);
        let times: BTreeSet<Timestamp> =
            times.chain(contents.tags().iter().map(|tag| tag.updated_at)).flatten().map(Timestamp::from).collect();
        let ages = [0, 1, 24, 168, 720].map(|hours| SignedDuration::from_hours(hours) + SignedDuration::from_secs(1));
        let moments: BTreeSet<Timestamp> = times.iter().flat_map(|time| ages.map(|age| *time + age)).collect();
        let before = |at: &&Timestamp| world.now <= **at && from.is_none_or(|from| **at < from);
        moments.iter().filter(before).find(|at| goes(**at)).map_or(Ok(()), |at| fail("and goes", *at))
    });
}

fn decided<'a>(inventory: &'a Inventory, policies: &'a [Policy], now: Timestamp) -> Vec<DecidedRepository<'a>> {
    policies.iter().flat_map(|acting| decide(inventory, policies, acting, now).repositories).collect()
}

async fn edited(new: &str, expected: Expect) {
    let stage = Stage::new(DRAWING, RULES);
    let inventory = listed(&stage).await;
    let (now, new) = (stage.hands.now(), policies(new));
    let (before, after) = (decided(&inventory, &stage.policies, now), decided(&inventory, &new, now));
    let listing = (&contoso(), inventory.taken_at, now);
    let edit = Difference { policies: edited_policies(&stage.policies, &new), ..difference(listing, &before, &after) };
    let told = difference_as_text(&edit);
    expected.assert_eq(&told);
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_told_with_the_reasons_on_both_sides() {
    edited(
        RULES,
        expect![[r#"
        what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z

        0 images and tags go now, 0 images and tags go no longer
    "#]],
    )
    .await;
    edited(
        &RULES.replace("14d", "7d").replace("30d", "60d"),
        expect![[r#"
            what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z

            app
              would go    pr-1 (b4bac4ae6ece), 10d, 2.0 kB
                          before  policy ci (dry-run): rule pull-requests deletes it when it
                                  is older than 14d
                          after   policy ci (dry-run): rule pull-requests deletes it
              would stay  demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                          before  policy ci (dry-run): rule pull-requests deletes it; rule
                                  demos deletes it
                          after   policy ci (dry-run): rule demos deletes it when it is
                                  older than 60d

            0 images and tags go now, 0 images and tags go no longer
            in dry-run, 1 image or tag would go now, 1 image or tag no longer would
        "#]],
    )
    .await;
    let keep = "      - { name: pinned, keep: { tags: { regex: ['pr-[3-5]'] } } }\n";
    edited(
        &format!("{RULES}{keep}"),
        expect![[r#"
            what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z

            app
              would stay  tag pr-5 of 1.0, pr-5 (776fb149c28d), 90d, 1.6 kB
                          before  policy ci (dry-run): rule pull-requests deletes it
                          after   policy ci (dry-run): rule pinned keeps it; rule
                                  pull-requests would delete it
              would stay  demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                          before  policy ci (dry-run): rule pull-requests deletes it; rule
                                  demos deletes it
                          after   policy ci (dry-run): rule pinned keeps it; rule
                                  pull-requests would delete it

            0 images and tags go now, 0 images and tags go no longer
            in dry-run, 0 images and tags would go now, 2 images and tags no longer would
        "#]],
    )
    .await;
    edited(
        &RULES.replace("dry-run", "enforce"),
        expect![[r#"
            what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z
            policy ci: mode was dry-run, is enforce now

            app
              now goes    tag pr-5 of 1.0, pr-5 (776fb149c28d), 90d, 1.6 kB
                          tag pr-2 of demo-2, pr-2 (f67b884f9660), 20d, 1.6 kB
                          before  policy ci (dry-run): rule pull-requests deletes it
                          after   policy ci (enforce): rule pull-requests deletes it
              now goes    demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                          before  policy ci (dry-run): rule pull-requests deletes it; rule
                                  demos deletes it
                          after   policy ci (enforce): rule pull-requests deletes it; rule
                                  demos deletes it

            3 images and tags go now, 0 images and tags go no longer
        "#]],
    )
    .await;
    // The same two edits of a policy that deletes.
    let both = RULES.replace("dry-run", "enforce");
    edited(
        &both.replace("14d", "7d"),
        expect![[r#"
        what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z
        policy ci: mode was dry-run, is enforce now

        app
          now goes    tag pr-5 of 1.0, pr-5 (776fb149c28d), 90d, 1.6 kB
                      tag pr-2 of demo-2, pr-2 (f67b884f9660), 20d, 1.6 kB
                      before  policy ci (dry-run): rule pull-requests deletes it
                      after   policy ci (enforce): rule pull-requests deletes it
          now goes    pr-1 (b4bac4ae6ece), 10d, 2.0 kB
                      before  policy ci (dry-run): rule pull-requests deletes it when it
                              is older than 14d
                      after   policy ci (enforce): rule pull-requests deletes it
          now goes    demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                      before  policy ci (dry-run): rule pull-requests deletes it; rule
                              demos deletes it
                      after   policy ci (enforce): rule pull-requests deletes it; rule
                              demos deletes it

        4 images and tags go now, 0 images and tags go no longer
    "#]],
    )
    .await;
    edited(
        &RULES.replace("name: ci", "name: builds"),
        expect![[r#"
        what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z
        policy builds is new (dry-run)
        policy ci is gone (it was dry-run)

        0 images and tags go now, 0 images and tags go no longer
    "#]],
    )
    .await;
    edited(
        &RULES.replace("[app]", "[other]"),
        expect![[r#"
            what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z

            app
              would stay  tag pr-5 of 1.0, pr-5 (776fb149c28d), 90d, 1.6 kB
                          tag pr-2 of demo-2, pr-2 (f67b884f9660), 20d, 1.6 kB
                          before  policy ci (dry-run): rule pull-requests deletes it
                          after   no policy names the repository
              would stay  demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                          before  policy ci (dry-run): rule pull-requests deletes it; rule
                                  demos deletes it
                          after   no policy names the repository

            0 images and tags go now, 0 images and tags go no longer
            in dry-run, 0 images and tags would go now, 3 images and tags no longer would
        "#]],
    )
    .await;
}
