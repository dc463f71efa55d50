//! What a reviewer reads: a plan as Markdown, with what stays beside what goes, and whose time a decision is for.

use expect_test::expect;
use jiff::SignedDuration;
use retaind::pipeline::decide;
use retaind::pipeline::report::{Detail, plan_as_markdown, plan_as_text};
use retaind::state::State;

use crate::stage::Stage;

const DRAWING: &str = "
now 2026-06-01T00:00:00Z
repository app
  repeat 6 n image old-{n} tags pr-{n} age 2{n}d
  image quiet  tags pr-9  age 13d
  image locked tags pr-8  age 90d  locked delete
  index multi  tags 1.0   age 40d  platforms linux/amd64, linux/arm64
  image both   tags pr-7, 1.1  age 30d
repository empty
  image only   tags main  age 1d
";

const POLICIES: &str = "version: 1
policies:
  - name: ci
    mode: enforce
    repositories: { include: [app, empty] }
    rules: [{ name: pull-requests, delete: { tags: { glob: [\"pr-*\"] }, older_than: 14d } }]
    limits: { max_delete_percent: 100 }
";

#[tokio::test(start_paused = true)]
async fn a_review_shows_what_stays_beside_what_goes() {
    let stage = Stage::new(DRAWING, POLICIES);
    let inventory = stage.inventory("ci", State::in_memory().unwrap_or_else(|error| panic!("{error}"))).await;
    let markdown = |ahead: SignedDuration| {
        let decisions = decide(&inventory, &stage.policies, stage.policy("ci"), stage.hands.now() + ahead);
        let shown = plan_as_markdown(&decisions.decided(stage.policy("ci"), &[]));
        (shown, plan_as_text(&decisions.decided(stage.policy("ci"), &[]), Detail::Changes))
    };
    expect![[r#"
        ## Plan `c3724d1bf0cd`: policy `ci` (enforce) on `contoso`

        Listing of 2026-06-01T00:00:00Z. 11 images: 6 manifests to delete (at most 10.0 kB; shared layers count each time), 1 tag to remove, 0 locks to change.

        ### `app`

        6 of 10 images go.

        | do | what | digest | why |
        |---|---|---|---|
        | untag | `pr-7` | `f67b884f9660` | rule pull-requests |
        | delete | `pr-6` | `efb8ee16b160` | rule pull-requests |
        | delete | `pr-5` | `abd457563b61` | rule pull-requests |
        | delete | `pr-4` | `64e8f4f675ad` | rule pull-requests |
        | delete | `pr-3` | `05af0a8110bc` | rule pull-requests |
        | delete | `pr-2` | `72657349bfa7` | rule pull-requests |
        | delete | `pr-1` | `992fdf121d47` | rule pull-requests |

        | stays | such as | why |
        |---|---|---|
        | 1 image | pr-9 | it is among the newest 1 of the repository (keep_at_least); rule pull-requests deletes it when it is older than 14d |
        | 1 image | 1.1, pr-7 | no delete rule chooses 1.1 |
        | 1 image | 1.0 | no delete rule chooses it |
        | 1 image | pr-8 | the manifest is locked; rule pull-requests would delete it |
        | 2 manifests | | the images above need them |

        ### `empty`

        0 of 1 image go.

        | stays | such as | why |
        |---|---|---|
        | 1 image | main | it is among the newest 1 of the repository (keep_at_least) |
    "#]].assert_eq(&markdown(SignedDuration::ZERO).0);
    // For another time than the listing's, both say so.
    let (shown, text) = markdown(SignedDuration::from_hours(48));
    assert!(
        shown.contains("\n> decided for 2026-06-03T00:00:00Z, 2d after the listing: nothing but the time is assumed to change\n"),
        "{shown}"
    );
    let head = "decided for 2026-06-03T00:00:00Z, 2d after the listing: nothing but the time is\n  assumed to change\n";
    assert!(text.contains(head) && text.contains("listing of 2026-06-01T00:00:00Z"), "{text}");
    let (_, before) = markdown(SignedDuration::from_hours(-24));
    assert!(before.contains("decided for 2026-05-31T00:00:00Z, 1d before the listing, about what the listing\n  shows\n"), "{before}");
}
