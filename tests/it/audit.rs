//! The audit has teeth: plans that the engine made and a hand then broke, each with the finding that must stop it. Does not test what
//! the engine plans.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use retaind::model::{Digest, LockChange, Locks, Manifest, Mark, MediaType, OwnLock, References, Tag, TagName};
use retaind::pipeline::evaluate::{LockPlace, evaluate};
use retaind::pipeline::plan::{Asked, Relock, Steps, Untag, Why, audit, steps};
use retaind::policy::{
    About, Action, Count, Delete, Filter, Grouping, Images, Keep, KeepWhen, Limits, LockRule, LockTarget, Mode, OrderBy, Pattern, Period,
    Rule, Selector,
};

use crate::worlds::{World, glob, policy};

const IMAGE: Digest = Digest::from_bytes([1; 32]);
const INDEX: Digest = Digest::from_bytes([2; 32]);
const CHILD: Digest = Digest::from_bytes([3; 32]);
const REFERRER: Digest = Digest::from_bytes([4; 32]);
const COMPANION: Digest = Digest::from_bytes([5; 32]);

/// An image, an index with a child, a referrer of the index, and a companion of the image; all old; every tag may go.
fn world() -> World {
    let now = jiff::Timestamp::from_second(1_790_000_000).expect("a time");
    let updated_at = Some((now - SignedDuration::from_hours(1_000)).into());
    let manifest = |digest, media_type, references| Manifest {
        digest,
        media_type,
        updated_at,
        locks: Locks::OPEN,
        size_bytes: 1,
        platform: None,
        references,
        untagged_since: None,
        left_behind_by: None,
        facts: None,
    };
    let tag = |name: &str, digest| Tag { name: TagName::parse(name).expect("a tag"), digest, updated_at, locks: Locks::OPEN };
    let older_than = Some("30d".parse().expect("an age"));
    let delete = Delete {
        selector: Selector::tags(glob(&["old-*"], &[])),
        older_than,
        newer_than: None,
        except_last: None,
        condemned_for: None,
        adopt_backlog: false,
    };
    let rules = vec![Rule { name: "old".into(), action: Action::Delete(delete) }];
    World {
        repository_locks: Locks::OPEN,
        observed_since: None,
        condemned: Vec::new(),
        own_locks: Vec::new(),
        manifests: vec![
            manifest(IMAGE, MediaType::OciManifest, References::None),
            manifest(INDEX, MediaType::OciIndex, References::new(vec![CHILD], None)),
            manifest(CHILD, MediaType::OciManifest, References::None),
            manifest(REFERRER, MediaType::OciManifest, References::new(Vec::new(), Some(INDEX))),
            manifest(COMPANION, MediaType::OciManifest, References::None),
        ],
        tags: vec![tag("old-image", IMAGE), tag("old-index", INDEX), tag(&format!("sha256-{}.sig", IMAGE.hex()), COMPANION)],
        policies: vec![policy(0, Mode::Enforce, rules, Limits { keep_at_least: 0, ..Limits::default() })],
        acting: 0,
        now,
    }
}

impl World {
    fn manifest_mut(&mut self, digest: Digest) -> &mut Manifest {
        self.manifests.iter_mut().find(|manifest| manifest.digest == digest).expect("a listed manifest")
    }

    fn tag_mut(&mut self, name: &str) -> &mut Tag {
        self.tags.iter_mut().find(|tag| tag.name.as_str() == name).expect("a listed tag")
    }

    /// Fails the test unless the audit finds exactly this.
    fn expect(&self, steps: &Steps, expected: &[&str]) {
        let found = self.ask(&self.contents(), |_, against| audit(against, steps));
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    fn plan(&self) -> Steps {
        let contents = self.contents();
        steps(&contents, &self.ask(&contents, |question, _| evaluate(question)), self.acting())
    }
}

/// The invariants that the steps would break in this world.
fn broken(world: &World, steps: &Steps) -> Vec<&'static str> {
    let mut found: Vec<_> = world.ask(&world.contents(), |_, against| audit(against, steps)).iter().map(|found| found.invariant).collect();
    found.dedup();
    found
}

fn without(mut steps: Steps, digest: Digest) -> Steps {
    let before = steps.deletes.len();
    let place = steps.contents.find(digest);
    steps.deletes.retain(|delete| Some(delete.manifest) != place);
    assert_eq!(steps.deletes.len() + 1, before, "the plan deleted it");
    steps
}

/// The steps, of which that on this manifest waits for nobody.
fn impatient(mut steps: Steps, digest: Digest) -> Steps {
    let place = steps.contents.find(digest).expect("a listed manifest");
    assert!(steps.waits.iter().any(|(waiting, _)| *waiting == place), "the plan lets it wait");
    steps.waits.retain(|(waiting, _)| *waiting != place);
    steps
}

fn untag(world: &World, name: &str) -> Steps {
    let contents = world.contents();
    let tag = contents.find_tag(&TagName::parse(name).expect("a tag")).expect("a listed tag");
    Steps { untags: vec![Untag { tag, why: Why::LeftBehind }], contents, ..Steps::default() }
}

#[test]
fn the_plan_unbroken_passes_and_deletes_everything() {
    let world = world();
    assert_eq!(world.plan().deletes.len(), 5);
    assert!(broken(&world, &world.plan()).is_empty());
}

#[test]
fn a_child_of_an_index_that_stays_is_found() {
    let world = world();
    let steps = without(without(world.plan(), INDEX), REFERRER);
    assert_eq!(broken(&world, &steps), ["S3"]);
}

#[test]
fn a_referrer_that_stays_without_its_subject_is_found() {
    let world = world();
    assert_eq!(broken(&world, &without(world.plan(), REFERRER)), ["S4"]);
}

#[test]
fn a_referrer_that_goes_without_its_subject_is_found() {
    let world = world();
    let steps = impatient(without(without(world.plan(), INDEX), CHILD), REFERRER);
    assert!(broken(&world, &steps).contains(&"S4"));
}

#[test]
fn a_companion_that_goes_without_its_subject_is_found() {
    let world = world();
    assert_eq!(broken(&world, &without(world.plan(), IMAGE)), ["S4"]);
}

#[test]
fn locks_at_every_level_are_found() {
    let steps = world().plan();
    let lock = Locks { can_write: false, ..Locks::OPEN };
    let mut locked: [World; 3] = [world(), world(), world()];
    locked[0].repository_locks = lock;
    locked[1].manifest_mut(CHILD).locks = lock;
    locked[2].tag_mut("old-image").locks = lock;
    for world in locked {
        assert_eq!(broken(&world, &steps), ["S2"], "{world}");
    }
}

#[test]
fn a_tag_removed_from_a_locked_manifest_is_found() {
    let mut world = world();
    world.manifest_mut(IMAGE).locks = Locks::UNKNOWN;
    let steps = untag(&world, "old-image");
    assert_eq!(broken(&world, &steps), ["S2"]);
}

#[test]
fn what_is_young_or_of_unknown_age_is_found() {
    let steps = world().plan();
    let mut young: [World; 5] = [world(), world(), world(), world(), world()];
    let just_now = Some((young[0].now - SignedDuration::from_hours(23)).into());
    young[0].manifest_mut(CHILD).updated_at = just_now;
    young[1].manifest_mut(CHILD).updated_at = None;
    young[2].tag_mut("old-image").updated_at = just_now;
    young[3].tag_mut("old-image").updated_at = None;
    young[4].manifest_mut(CHILD).updated_at = Some((young[4].now + SignedDuration::from_secs(1)).into());
    for world in young {
        assert_eq!(broken(&world, &steps).first(), Some(&"S6"), "{world}");
    }
}

/// The tag is old, but what it points at was pushed an hour ago.
#[test]
fn an_old_tag_on_a_young_manifest_is_found() {
    let mut world = world();
    world.manifest_mut(IMAGE).updated_at = Some((world.now - SignedDuration::from_hours(1)).into());
    let steps = untag(&world, "old-image");
    assert_eq!(broken(&world, &steps), ["S6", "S17"]);
}

#[test]
fn tags_other_than_the_listed_ones_are_found() {
    let world = world();
    let mut more_tags = world.clone();
    more_tags.tags.push(Tag { name: TagName::parse("old-too").expect("a tag"), ..world.tags[0].clone() });
    assert!(broken(&more_tags, &world.plan()).contains(&"S5"));
    let mut not_listed = world.clone();
    not_listed.manifests.retain(|manifest| manifest.digest != COMPANION);
    not_listed.tags.retain(|tag| tag.digest != COMPANION);
    assert!(broken(&not_listed, &world.plan()).contains(&"S5"));
    let mut twice = world.plan();
    twice.deletes.push(twice.deletes[0]);
    assert!(broken(&world, &twice).contains(&"S5"));
    let mut elsewhere = world.clone();
    elsewhere.tag_mut("old-image").digest = INDEX;
    assert!(broken(&world, &untag(&elsewhere, "old-image")).contains(&"S5"));
    let mut beside = world.plan();
    beside.untags = untag(&world, "old-image").untags;
    assert_eq!(broken(&world, &beside), ["S5"]);
}

#[test]
fn an_order_that_leaves_holes_is_found() {
    let world = world();
    let place = |steps: &Steps, digest| steps.deletes().position(|step| step.digest == digest).expect("the plan deletes it");
    let swapped = |left, right| {
        let mut steps = world.plan();
        let (left, right) = (place(&steps, left), place(&steps, right));
        steps.deletes.swap(left, right);
        steps
    };
    assert!(broken(&world, &swapped(INDEX, CHILD)).contains(&"S3"));
    assert!(broken(&world, &swapped(INDEX, REFERRER)).contains(&"S4"));
    assert!(broken(&world, &impatient(world.plan(), CHILD)).contains(&"S3"), "a child must wait until its index is gone");
}

#[test]
fn what_rules_of_any_policy_protect_is_found() {
    let steps = world().plan();
    let chosen = || Selector::tags(glob(&["*-image"], &[]));
    let lock = LockRule { selector: chosen(), change: Default::default(), on: LockTarget::Tag, release: false };
    for action in [Action::Keep(Keep::always(chosen())), Action::Lock(lock)] {
        let mut world = world();
        let rules = vec![Rule { name: "protected".into(), action }];
        world.policies.push(policy(1, Mode::DryRun, rules, Limits { keep_at_least: 0, ..Limits::default() }));
        assert_eq!(broken(&world, &steps), ["S17"], "{world}");
        assert_eq!(broken(&world, &untag(&world, "old-image")), ["S17"], "{world}");
    }
}

#[test]
fn what_no_delete_rule_of_the_acting_policy_chooses_is_found() {
    let steps = world().plan();
    let mut world = world();
    let rules = std::mem::take(&mut world.policies[0].rules);
    world.policies.push(policy(1, Mode::Enforce, rules, Limits { keep_at_least: 0, ..Limits::default() }));
    assert_eq!(broken(&world, &steps), ["S17"]);
}

#[test]
fn fewer_images_than_promised_are_found() {
    let steps = world().plan();
    let mut world = world();
    world.policies.push(policy(1, Mode::DryRun, Vec::new(), Limits { keep_at_least: 1, ..Limits::default() }));
    assert_eq!(broken(&world, &steps), ["L11"]);
}

/// The world, with one more rule of the acting policy.
fn world_with(action: Action) -> World {
    let mut world = world();
    world.policies[0].rules.push(Rule { name: "added".into(), action });
    world
}

/// Steps that were planned without these rules; each of the rules keeps the image `old-image` for a reason of its own.
#[test]
fn what_a_keep_rule_keeps_by_age_count_period_or_for_lack_of_knowledge_is_found() {
    let steps = world().plan();
    let chosen = || Selector::tags(glob(&["*-image"], &[]));
    let keep = |when: Vec<KeepWhen>| Action::Keep(Keep { selector: chosen(), when, all_tags: false });
    let filtered = |filter: Filter| Action::Keep(Keep::always(Selector { filters: vec![filter], ..chosen() }));
    let newest_of_each = |period| KeepWhen::NewestOfEach { period, periods: Images::MIN, zone: TimeZone::UTC };
    let count = Count { images: Images::MIN, per: Grouping::All, order_by: OrderBy::Time };
    let by_another_tag = Keep { selector: chosen(), when: Vec::new(), all_tags: true };
    let actions = [
        keep(vec![KeepWhen::NewerThan("1000h".parse().expect("an age"))]),
        keep(vec![KeepWhen::Last(count)]),
        keep(vec![newest_of_each(Period::Day)]),
        keep(vec![newest_of_each(Period::Year)]),
        filtered(Filter::Platform(vec!["linux/amd64".parse().expect("a platform")])),
        filtered(Filter::MediaType(vec![Pattern::parse("application/vnd.oci.image.*").expect("a glob")])),
        Action::Keep(by_another_tag),
    ];
    for action in actions {
        let world = world_with(action);
        assert_eq!(broken(&world, &steps), ["S17"], "{world}");
        assert!(broken(&world, &world.plan()).is_empty(), "{world}");
    }
    for action in [
        keep(vec![KeepWhen::NewerThan("999h".parse().expect("an age"))]),
        filtered(Filter::MediaType(vec![Pattern::parse("application/vnd.docker.*").expect("a glob")])),
        filtered(Filter::LargerThan("1B".parse().expect("a size"))),
    ] {
        assert!(broken(&world_with(action), &steps).is_empty());
    }
}

#[test]
fn what_a_filter_does_not_choose_for_certain_is_found() {
    for filter in [
        Filter::Platform(vec!["linux/amd64".parse().expect("a platform")]),
        Filter::LargerThan("1B".parse().expect("a size")),
        Filter::MediaType(vec![Pattern::parse("application/vnd.docker.*").expect("a glob")]),
    ] {
        let mut world = world();
        let steps = world.plan();
        let Action::Delete(delete) = &mut world.policies[0].rules[0].action else { panic!("a delete rule") };
        delete.selector.filters.push(filter);
        assert_eq!(broken(&world, &steps), ["S17"], "{world}");
    }
}

/// A rule on all images counts untagged ones, too, and an older image with a tag goes behind them: no alarm. What names a subject is no
/// image and takes no place, so that the same steps are too many beside it.
#[test]
fn an_untagged_image_is_counted_by_a_rule_on_all_images_and_a_signature_is_not() {
    const BARE: Digest = Digest::from_bytes([6; 32]);
    let count = Count { images: Images::MIN, per: Grouping::All, order_by: OrderBy::Time };
    let images = Pattern::parse("application/vnd.oci.image.manifest.*").expect("a glob");
    let selector = Selector { about: About::Images, filters: vec![Filter::MediaType(vec![images])] };
    let mut world = world_with(Action::Keep(Keep { selector, when: vec![KeepWhen::Last(count)], all_tags: false }));
    let newer = world.manifest_mut(IMAGE).clone();
    let updated_at = Some((world.now - SignedDuration::from_hours(100)).into());
    world.manifests.push(Manifest { digest: BARE, updated_at, ..newer });
    let steps = world.plan();
    assert_eq!(steps.deletes.len(), 5, "all but the newest image: {world}");
    world.expect(&steps, &[]);
    world.manifest_mut(BARE).references = References::new(Vec::new(), Some(Digest::from_bytes([7; 32])));
    let kept = world.plan();
    assert!(kept.deletes().all(|step| step.digest != IMAGE), "{world}");
    world.expect(&kept, &[]);
    world.expect(&steps, &[&format!("S17: the keep rule added counts {IMAGE} among the newest")]);
}

/// A companion of something that is not there: no rule on tags chooses it, and one on untagged manifests does not either.
#[test]
fn an_orphan_that_only_other_rules_choose_is_found() {
    let mut world = world();
    world.tag_mut(&format!("sha256-{}.sig", IMAGE.hex())).name = TagName::parse(&format!("sha256-{}.sig", "1".repeat(64))).expect("a tag");
    let older_than = Some("30d".parse().expect("an age"));
    let delete = |about| Delete {
        selector: Selector::all(about),
        older_than,
        newer_than: None,
        except_last: None,
        condemned_for: None,
        adopt_backlog: false,
    };
    let rule = |about| Rule { name: "bare".into(), action: Action::Delete(delete(about)) };
    world.policies[0].rules.push(rule(About::Orphaned));
    let steps = world.plan();
    assert!(steps.deletes().any(|step| step.digest == COMPANION) && broken(&world, &steps).is_empty());
    world.policies[0].rules[1] = rule(About::Untagged);
    assert_eq!(broken(&world, &steps), ["S17"]);
    world.policies[0].rules[1] = rule(About::Orphaned);
    world.policies[0].rules.push(Rule { name: "keep".into(), action: Action::Keep(Keep::always(Selector::all(About::Orphaned))) });
    assert_eq!(broken(&world, &steps), ["S17"]);
}

/// A lock is opened only where an unlock rule asks for it or a rule lets go of its own, and never against a lock rule.
#[test]
fn locks_that_no_rule_may_open_are_found() {
    let change = LockChange { can_delete: Some(true), ..LockChange::default() };
    let closed = Locks { can_delete: false, ..Locks::OPEN };
    let mut world = world();
    world.tag_mut("old-image").locks = closed;
    let tag = world.tag_mut("old-image").name.clone();
    let opened = |world: &World| {
        let contents = world.contents();
        let place = LockPlace::Tag(contents.find_tag(&tag).expect("a listed tag"));
        let asked = vec![Asked { rules: [].into(), released_by: [].into(), closed_by: Vec::new() }];
        Steps { locks: vec![Relock { place, change, asked: 0 }], asked, contents, ..Steps::default() }
    };
    let steps = opened(&world);
    world.expect(&steps, &["S2: tag old-image is opened, and no rule says so"]);

    let lock = |change, release| LockRule { selector: Selector::tags(glob(&["old-*"], &[])), change, on: LockTarget::Tag, release };
    let mut unlocked = world.clone();
    unlocked.policies[0].rules.push(Rule { name: "open".into(), action: Action::Unlock(lock(change, false)) });
    unlocked.expect(&steps, &[]);
    let close = LockChange { can_delete: Some(false), ..LockChange::default() };
    let rules = vec![Rule { name: "hold".into(), action: Action::Lock(lock(close, false)) }];
    unlocked.policies.push(policy(1, Mode::DryRun, rules, Limits { keep_at_least: 0, ..Limits::default() }));
    unlocked.expect(&steps, &["S17: tag old-image is opened, and a lock rule chooses it"]);
    let mut open = unlocked.clone();
    open.tag_mut("old-image").locks = Locks::OPEN;
    unlocked.policies.pop();
    unlocked.expect(&opened(&open), &["S5: tag old-image is not listed with the lock that the plan expects"]);

    let selector = Selector::tags(glob(&["none"], &[]));
    let rule = LockRule { selector, ..lock(close, true) };
    world.policies[0].rules.push(Rule { name: "own".into(), action: Action::Lock(rule) });
    world.expect(&steps, &["S2: tag old-image is opened, and no rule says so"]);
    let mark = Mark { policy: world.policies[0].name.clone(), rule: "own".into(), digest: IMAGE, tag: Some(tag.clone()) };
    world.own_locks = vec![OwnLock { mark, closed: close, left: closed }];
    world.expect(&steps, &[]);
    world.own_locks[0].left.can_read = false;
    world.expect(&steps, &["S2: tag old-image is opened, and no rule says so"]);
}
