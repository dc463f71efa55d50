//! What lies ahead: from which second on something goes, and what an edit of policies changes.

use expect_test::{Expect, expect};
use jiff::SignedDuration;
use retaind::model::{Inventory, Listing, RepositoryName, TagName};
use retaind::pipeline::decide;
use retaind::pipeline::outlook::{Prospect, goes_from};
use retaind::pipeline::report::{DecidedRepository, Difference, Item, difference, difference_as_text, edited_policies};
use retaind::policy::Policy;
use retaind::state::State;

use crate::stage::{Stage, contoso, policies};

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

fn decided<'a>(inventory: &'a Inventory, policies: &'a [Policy], now: jiff::Timestamp) -> Vec<DecidedRepository<'a>> {
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
          now goes   pr-1 (b4bac4ae6ece), 10d, 2.0 kB
                     before  policy ci: rule pull-requests deletes it when it is older
                             than 14d
                     after   policy ci: rule pull-requests deletes it
          now stays  demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                     before  policy ci: rule pull-requests deletes it; rule demos
                             deletes it
                     after   policy ci: rule demos deletes it when it is older than 60d

        1 image or tag goes now, 1 image or tag goes no longer
    "#]],
    )
    .await;
    let keep = "      - { name: pinned, keep: { tags: { regex: ['pr-[3-5]'] } } }\n";
    edited(
        &format!("{RULES}{keep}"),
        expect![[r#"
            what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z

            app
              now stays  demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                         before  policy ci: rule pull-requests deletes it; rule demos
                                 deletes it
                         after   policy ci: rule pinned keeps it; rule pull-requests would
                                 delete it
              now stays  tag pr-5 of 1.0, pr-5 (776fb149c28d), 90d, 1.6 kB
                         before  policy ci: rule pull-requests deletes it
                         after   policy ci: rule pinned keeps it; rule pull-requests would
                                 delete it

            0 images and tags go now, 2 images and tags go no longer
        "#]],
    )
    .await;
    edited(
        &RULES.replace("dry-run", "enforce"),
        expect![[r#"
        what the edit changes on contoso, by the listing of 2026-06-01T00:00:00Z
        policy ci: mode was dry-run, is enforce now

        0 images and tags go now, 0 images and tags go no longer
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
          now stays  demo-3, pr-3 (04af055d88f4), 40d, 1.6 kB
                     before  policy ci: rule pull-requests deletes it; rule demos
                             deletes it
                     after   no policy names the repository
          now stays  tag pr-5 of 1.0, pr-5 (776fb149c28d), 90d, 1.6 kB
                     before  policy ci: rule pull-requests deletes it
                     after   no policy names the repository
          now stays  tag pr-2 of demo-2, pr-2 (f67b884f9660), 20d, 1.6 kB
                     before  policy ci: rule pull-requests deletes it
                     after   no policy names the repository

        0 images and tags go now, 3 images and tags go no longer
    "#]],
    )
    .await;
}
