//! What lies ahead: from which second on something goes, and what an edit of policies changes.

use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use retaind::model::{Inventory, Listing, RepositoryName, TagName};
use retaind::pipeline::decide;
use retaind::pipeline::outlook::{Prospect, goes_from};
use retaind::pipeline::report::{DecidedRepository, Difference, Item, difference, difference_as_text, edited_policies};
use retaind::policy::{END_OF_LIFE_KEY, Policy};
use retaind::state::State;

use crate::stage::{Stage, contoso, policies};
use crate::worlds::{Language, for_many_worlds_in};

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
  image ends    tags pr-9        age 13d  annotation {END_OF_LIFE_KEY}=2026-06-01
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
    let (hours, second) = (SignedDuration::from_hours, SignedDuration::from_secs(1));
    let cases = [
        ("old enough in a day, too old in ten", tag("win-1"), Some(hours(22) + second)),
        ("too old already", tag("win-2"), None),
        ("held by an index until that goes", image("win-3"), Some(hours(21) + second)),
        ("its tag is removed before", tag("win-3"), Some(hours(19) + second)),
        ("kept from the end of its life on, and not old enough before", tag("pr-9"), None),
    ];
    for (what, item, expected) in cases {
        let prospect = Prospect { policies: &stage.policies, acting: stage.policy("ci"), repository: &name, item };
        assert_eq!(goes_from(&inventory, &prospect, now), expected.map(|ahead| now + ahead), "{what}");
    }
}

/// No second before the one that is told lets the item go, whatever the rules; and where none is told, none does.
#[test]
fn nothing_goes_before_it_is_said_to() {
    for_many_worlds_in(Language::Whole, |world, mut rng| {
        let contents = world.contents();
        let items = contents.manifests().len() + contents.tags().len();
        if items == 0 {
            return Ok(());
        }
        let place = rng.usize(0..items);
        let number = |place: usize| u32::try_from(place).expect("a small world");
        let item = place.checked_sub(contents.manifests().len()).map_or(Item::Manifest(number(place)), |tag| Item::Tag(number(tag)));
        let name = RepositoryName::parse("app").expect("a name");
        let inventory = world.inventory(&name);
        let prospect = Prospect { policies: &world.policies, acting: world.acting(), repository: &name, item };
        let goes = |at: Timestamp| {
            let decisions = decide(&inventory, &world.policies, world.acting(), at);
            decisions.repositories[0].evaluation.as_ref().is_some_and(|evaluation| match item {
                Item::Manifest(manifest) => evaluation.manifests.goes(manifest),
                Item::Tag(tag) => evaluation.tags.goes(tag),
            })
        };
        let from = goes_from(&inventory, &prospect, world.now);
        let fail = |what: &str, at: Timestamp| Err(format!("{item:?}: told {from:?}, {what} at {at}"));
        if let Some(from) = from.filter(|from| !goes(*from)) {
            return fail("and stays", from);
        }
        // Where verdicts can change at all: an age after a time, at a time, and at the end of a life.
        let times = contents.manifests().iter().flat_map(|manifest| [manifest.updated_at, manifest.untagged_since]);
        let mut times: Vec<Timestamp> = times.chain(contents.tags().iter().map(|tag| tag.updated_at)).flatten().collect();
        times.extend(world.ends_of_life());
        for _ in 0..rng.usize(0..30) {
            let hours = [0, 0, 1, 24, 168, 720][rng.usize(0..6)];
            let at = times[rng.usize(0..times.len())] + SignedDuration::from_hours(hours) + SignedDuration::from_secs(rng.i64(-1..=1));
            let is_before = from.is_none_or(|from| at < from);
            if world.now <= at && is_before && goes(at) {
                return fail("and goes", at);
            }
        }
        Ok(())
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
