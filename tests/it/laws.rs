//! What holds of every decision, whatever the rules say: each law against thousands of small worlds. Does not say what goes, only how
//! answers must hang together.

use std::collections::BTreeSet;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use retaind::model::{Condemned, Digest, Locks, Manifest, MediaType, Observations, References, Tag, TagName, Time};
use retaind::pipeline::evaluate::{Evaluation, Verdicts, evaluate};
use retaind::pipeline::plan::{Steps, audit, steps};
use retaind::pipeline::report::Context;
use retaind::policy::{Action, Images, KeepWhen, Policy, Rule};

use crate::worlds::{Language, World, any_keep, for_many_worlds_in, short, short_tag};

/// The digest of a manifest that no drawing has.
const NEW: Digest = Digest::from_bytes([0xd0; 32]);

fn evaluated(world: &World) -> Evaluation {
    world.ask(&world.contents(), |question, _| evaluate(question))
}

fn planned(world: &World) -> Steps {
    steps(&world.contents(), &evaluated(world), world.acting())
}

/// Holds a law against many worlds of the whole language; to half of them rules with waiting times are added, with marks of earlier runs,
/// and to half of them lock rules that let go, with locks that were closed before.
fn in_all_worlds(law: impl Fn(&World, Rng) -> Result<(), String> + Sync) {
    for_many_worlds_in(Language::Whole, |world, mut rng| {
        let mut world = world.clone();
        if rng.bool() {
            world.wait_for_some(&mut rng);
        }
        if rng.bool() {
            world.close_some(&mut rng);
        }
        law(&world, rng).map_err(|why| format!("with what is added:\n{world}{why}"))
    });
}

/// What a plan removes.
#[derive(Debug, PartialEq, Eq)]
struct Losses {
    manifests: BTreeSet<Digest>,
    tags: BTreeSet<TagName>,
}

fn losses(world: &World) -> Losses {
    let steps = planned(world);
    let with_manifests = steps.deletes().flat_map(|step| step.tags).map(|tag| tag.name.clone());
    let alone = steps.untags().map(|step| step.tag.name.clone());
    Losses { manifests: steps.deletes().map(|step| step.digest).collect(), tags: with_manifests.chain(alone).collect() }
}

fn say(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// What `after` loses that `before` did not.
fn added(before: &Losses, after: &Losses) -> Vec<String> {
    let manifests = after.manifests.difference(&before.manifests).map(|digest| short(*digest));
    manifests.chain(after.tags.difference(&before.tags).map(short_tag)).collect()
}

#[test]
fn everything_has_one_verdict_with_reasons_and_the_steps_say_the_same() {
    in_all_worlds(|world, _| {
        let (contents, evaluation) = (world.contents(), evaluated(world));
        let Evaluation { manifests, tags, .. } = &evaluation;
        say(manifests.len() == contents.manifests().len() && tags.len() == contents.tags().len(), || "not one verdict each".to_owned())?;
        for place in (0_u32..).take(manifests.len()) {
            say(!manifests.reasons(place).is_empty(), || format!("manifest {place} has no reason"))?;
        }
        for place in (0_u32..).take(tags.len()) {
            say(!tags.reasons(place).is_empty(), || format!("tag {place} has no reason"))?;
            let with_manifest = manifests.goes(contents.owner_of(place));
            say(tags.goes(place) || !with_manifest, || format!("tag {place} stays on a manifest that goes"))?;
        }
        let expected = Losses {
            manifests: manifests.going().map(|place| contents.manifests()[place as usize].digest).collect(),
            tags: tags.going().map(|place| contents.tags()[place as usize].name.clone()).collect(),
        };
        let steps = losses(world);
        say(steps == expected, || format!("the verdicts let go {expected:?}, the steps {steps:?}"))
    });
}

#[test]
fn order_has_no_influence() {
    in_all_worlds(|world, mut rng| {
        let mut other = world.clone();
        let acting = world.acting().name.clone();
        rng.shuffle(&mut other.manifests);
        rng.shuffle(&mut other.tags);
        rng.shuffle(&mut other.policies);
        rng.shuffle(&mut other.own_locks);
        other.policies.iter_mut().for_each(|policy| rng.shuffle(&mut policy.rules));
        other.acting = other.policies.iter().position(|policy| policy.name == acting).expect("it was only moved");
        let (one, two) = (losses(world), losses(&other));
        say(one == two, || format!("{one:?}\n{two:?}\n{other}"))?;
        let (one, two) = (said(world), said(&other));
        say(one == two, || format!("{one:#?}\n{two:#?}\n{other}"))
    });
}

/// Everything that is said of a world: each verdict with its reasons, and each lock that changes.
fn said(world: &World) -> BTreeSet<String> {
    let (contents, evaluation) = (world.contents(), evaluated(world));
    let policies: Vec<&Policy> = world.policies.iter().collect();
    let observations = Observations::default();
    let context = Context { contents: &contents, policies: &policies, acting: world.acting, observations: &observations, now: world.now };
    let sentences = |verdicts: &Verdicts, place: u32| {
        let sentences: BTreeSet<String> = verdicts.reasons(place).iter().map(|reason| context.sentence(*reason)).collect();
        format!("goes: {}, {sentences:?}", verdicts.goes(place))
    };
    let manifests = (0_u32..).zip(contents.manifests());
    let manifests = manifests.map(|(place, manifest)| format!("{} {}", short(manifest.digest), sentences(&evaluation.manifests, place)));
    let tags = (0_u32..).zip(contents.tags());
    let tags = tags.map(|(place, tag)| format!("{} {}", short_tag(&tag.name), sentences(&evaluation.tags, place)));
    let steps = planned(world);
    let locks = steps.locks().map(|step| format!("{} {:?} {:?}", short(step.digest), step.tag, step.change));
    manifests.chain(tags).chain(locks).collect()
}

#[test]
fn a_lock_never_adds_a_loss() {
    in_all_worlds(|world, mut rng| {
        let mut locked = world.clone();
        let lock = Locks { can_delete: rng.bool(), can_write: false, ..Locks::OPEN };
        match rng.usize(0..10) {
            0 => locked.repository_locks = lock,
            1..5 if !locked.tags.is_empty() => {
                let place = rng.usize(0..locked.tags.len());
                locked.tags[place].locks = lock;
            }
            _ if !locked.manifests.is_empty() => {
                let place = rng.usize(0..locked.manifests.len());
                locked.manifests[place].locks = lock;
            }
            _ => {}
        }
        let added = added(&losses(world), &losses(&locked));
        say(added.is_empty(), || format!("adds {added:?}:\n{locked}"))
    });
}

#[test]
fn a_keep_rule_never_adds_a_delete() {
    in_all_worlds(|world, mut rng| {
        let mut kept = world.clone();
        let keep = any_keep(&mut rng);
        let place = rng.usize(0..kept.policies.len());
        kept.policies[place].rules.push(Rule { name: "added".into(), action: Action::Keep(keep) });
        let (before, after) = (losses(world), losses(&kept));
        say(after.manifests.is_subset(&before.manifests), || format!("adds {:?}:\n{kept}", added(&before, &after)))?;
        say(after.tags.is_subset(&before.tags), || format!("adds {:?}:\n{kept}", added(&before, &after)))
    });
}

/// Who counts more days keeps more of them.
#[test]
fn a_larger_number_never_adds_a_delete() {
    in_all_worlds(|world, _| {
        let mut more = world.clone();
        let larger = |images: &mut Images| *images = images.saturating_add(1);
        for rule in more.policies.iter_mut().flat_map(|policy| &mut policy.rules) {
            match &mut rule.action {
                Action::Keep(keep) => keep.when.iter_mut().for_each(|when| match when {
                    KeepWhen::Last(count) => larger(&mut count.images),
                    KeepWhen::NewestOfEach { periods, .. } => larger(periods),
                    KeepWhen::NewerThan(_) => {}
                }),
                Action::Delete(delete) => delete.except_last.iter_mut().for_each(|count| larger(&mut count.images)),
                Action::Lock(_) | Action::Unlock(_) => {}
            }
        }
        let (before, after) = (losses(world), losses(&more));
        say(after.manifests.is_subset(&before.manifests), || format!("adds {:?}:\n{more}", added(&before, &after)))
    });
}

/// What the registry does not tell keeps, and costs nothing else its place.
#[test]
fn what_is_not_told_never_adds_a_delete() {
    in_all_worlds(|world, mut rng| {
        let mut untold = world.clone();
        for manifest in &mut untold.manifests {
            match rng.u8(0..4) {
                0 => manifest.platform = None,
                1 => manifest.size_bytes = 0,
                2 => (manifest.platform, manifest.size_bytes) = (None, 0),
                _ => {}
            }
        }
        let (before, after) = (losses(world), losses(&untold));
        say(after.manifests.is_subset(&before.manifests), || format!("adds {:?}:\n{untold}", added(&before, &after)))
    });
}

/// The new index is locked, and the oldest: it takes no slot from others.
#[test]
fn a_kept_index_over_some_never_adds_a_loss() {
    in_all_worlds(|world, mut rng| {
        let mut with_index = world.clone();
        let children: Vec<Digest> = world.manifests.iter().map(|manifest| manifest.digest).filter(|_| rng.bool()).collect();
        let updated_at = Some((world.now - SignedDuration::from_hours(100_000)).into());
        with_index.manifests.push(Manifest {
            digest: NEW,
            media_type: MediaType::OciIndex,
            updated_at,
            locks: Locks::OPEN,
            size_bytes: 0,
            platform: None,
            references: References::new(children.clone(), None),
            untagged_since: None,
            left_behind_by: None,
            facts: None,
        });
        let locks = Locks { can_delete: false, ..Locks::OPEN };
        with_index.tags.push(Tag { name: TagName::parse("parent").expect("a tag"), digest: NEW, updated_at, locks });
        let (before, after) = (losses(world), losses(&with_index));
        say(!children.iter().any(|child| after.manifests.contains(child)), || format!("a child goes:\n{with_index}"))?;
        say(after.manifests.is_subset(&before.manifests), || format!("adds {:?}:\n{with_index}", added(&before, &after)))
    });
}

#[test]
fn a_waiting_time_never_adds_a_loss() {
    for_many_worlds_in(Language::Whole, |world, mut rng| {
        let mut waiting = world.clone();
        waiting.wait_for_some(&mut rng);
        let added = added(&losses(world), &losses(&waiting));
        say(added.is_empty(), || format!("adds {added:?}:\n{waiting}"))?;
        let steps = planned(&waiting);
        let findings = waiting.ask(&waiting.contents(), |_, against| audit(against, &steps));
        say(findings.is_empty(), || format!("{findings:?}\n{waiting}"))
    });
}

#[test]
fn with_a_waiting_time_nothing_goes_at_first_sight_and_what_waited_goes() {
    for_many_worlds_in(Language::Whole, |world, _| {
        let mut waiting = world.clone();
        waiting.manifests.iter_mut().for_each(|manifest| manifest.left_behind_by = None);
        let before = losses(&waiting);
        let acting = waiting.acting;
        for rule in &mut waiting.policies[acting].rules {
            if let Action::Delete(delete) = &mut rule.action {
                delete.condemned_for = Some("1h".parse().expect("an age"));
            }
        }
        let at_first = losses(&waiting);
        say(at_first.manifests.is_empty() && at_first.tags.is_empty(), || format!("{at_first:?} at first sight:\n{waiting}"))?;
        // Marked by a run of today, and asked again in two hours: ages that are no longer young make the losses grow, never shrink.
        let marks = evaluated(&waiting).marks;
        waiting.condemned = marks.into_iter().map(|mark| Condemned { mark, since: waiting.now }).collect();
        waiting.now += SignedDuration::from_hours(2);
        let mut unmarked = waiting.clone();
        for rule in &mut unmarked.policies[acting].rules {
            if let Action::Delete(delete) = &mut rule.action {
                delete.condemned_for = None;
            }
        }
        let (later, without) = (losses(&waiting), losses(&unmarked));
        let missing: Vec<_> = before.tags.intersection(&without.tags).filter(|tag| !later.tags.contains(tag)).collect();
        say(missing.is_empty(), || format!("{missing:?} waited and stays:\n{waiting}"))
    });
}

#[test]
fn what_is_young_stays() {
    in_all_worlds(|world, mut rng| {
        let mut younger = world.clone();
        let just_now = Some((world.now - world.acting().limits.min_age + SignedDuration::from_secs(1)).into());
        if rng.bool() && !younger.tags.is_empty() {
            let place = rng.usize(0..younger.tags.len());
            younger.tags[place].updated_at = just_now;
            let Tag { name, digest, .. } = &younger.tags[place];
            let after = losses(&younger);
            say(!after.tags.contains(name) && !after.manifests.contains(digest), || format!("{name} goes:\n{younger}"))?;
        } else if !younger.manifests.is_empty() {
            let place = rng.usize(0..younger.manifests.len());
            younger.manifests[place].updated_at = just_now;
            let digest = younger.manifests[place].digest;
            let after = losses(&younger);
            let loses_tag = younger.tags_of(digest).any(|tag| after.tags.contains(&tag.name));
            say(!loses_tag && !after.manifests.contains(&digest), || format!("{} loses something:\n{younger}", short(digest)))?;
        }
        Ok(())
    });
}

/// Where nothing is counted, nobody's youth is another's age.
#[test]
fn without_counts_being_younger_never_adds_a_loss() {
    in_all_worlds(|world, mut rng| {
        let mut before = world.clone();
        for policy in &mut before.policies {
            policy.limits.keep_at_least = 0;
            policy.rules.retain(|rule| match &rule.action {
                Action::Keep(keep) => keep.when.iter().all(|when| matches!(when, KeepWhen::NewerThan(_))),
                Action::Delete(delete) => delete.except_last.is_none() && delete.newer_than.is_none(),
                Action::Lock(_) | Action::Unlock(_) => true,
            });
        }
        let mut after = before.clone();
        let rejuvenated = |time: Option<Time>, rng: &mut Rng| {
            time.map(Timestamp::from).map(|time| {
                let younger = if time < world.now {
                    time + SignedDuration::from_secs(rng.i64(0..=world.now.duration_since(time).as_secs()))
                } else {
                    time
                };
                younger.into()
            })
        };
        for manifest in &mut after.manifests {
            if rng.bool() {
                manifest.updated_at = rejuvenated(manifest.updated_at, &mut rng);
            }
        }
        for tag in &mut after.tags {
            if rng.bool() {
                tag.updated_at = rejuvenated(tag.updated_at, &mut rng);
            }
        }
        for manifest in &mut after.manifests {
            if rng.bool() {
                manifest.untagged_since = rejuvenated(manifest.untagged_since, &mut rng);
            }
        }
        let (before, lost) = (losses(&before), losses(&after));
        say(lost.manifests.is_subset(&before.manifests), || format!("adds {:?}:\n{after}", added(&before, &lost)))
    });
}

#[test]
fn the_audit_finds_nothing_in_what_the_engine_plans() {
    in_all_worlds(|world, _| {
        let steps = planned(world);
        let findings = world.ask(&world.contents(), |_, against| audit(against, &steps));
        say(findings.is_empty(), || format!("{findings:?}"))
    });
}

/// Whether the manifest lies below a child of the index, which goes before all of that even if it calls some of it its subject.
fn lists(world: &World, index: &Manifest, wanted: Digest) -> bool {
    let mut below: BTreeSet<Digest> = index.references.children().iter().copied().collect();
    loop {
        let mut further = below.clone();
        for manifest in &world.manifests {
            let subject = manifest.references.subject();
            let by_tag = world.tags_of(manifest.digest).filter_map(|tag| tag.name.companion_subject());
            if by_tag.chain(subject).any(|subject| below.contains(&subject)) && manifest.digest != index.digest {
                further.insert(manifest.digest);
            }
            if below.contains(&manifest.digest) {
                further.extend(manifest.references.children());
            }
        }
        if further == below {
            return below.contains(&wanted);
        }
        below = further;
    }
}

#[test]
fn holders_go_before_what_they_hold_and_nothing_is_protected() {
    in_all_worlds(|world, _| {
        let steps = planned(world);
        let place = |digest| steps.deletes().position(|step| step.digest == digest);
        let min_age = world.acting().limits.min_age;
        let is_young = |time: Option<Time>| time.is_none_or(|time| world.now.duration_since(time.into()) < min_age);
        for (own_place, step) in steps.deletes().enumerate() {
            let manifest = world.manifests.iter().find(|manifest| manifest.digest == step.digest).expect("a listed manifest");
            let tags: Vec<&Tag> = world.tags_of(step.digest).collect();
            let locked = manifest.locks.protects() || world.repository_locks.protects() || tags.iter().any(|tag| tag.locks.protects());
            let young = is_young(manifest.updated_at) || tags.iter().any(|tag| is_young(tag.updated_at));
            say(!locked && !young, || format!("{} is locked or young", short(step.digest)))?;
            for child in manifest.references.children().iter().filter_map(|child| place(*child)) {
                say(own_place < child, || format!("a child of {} goes before it", short(step.digest)))?;
            }
            let subject = manifest.references.subject().filter(|subject| !lists(world, manifest, *subject)).and_then(place);
            say(subject.is_none_or(|subject| subject < own_place), || format!("{} goes before its subject", short(step.digest)))?;
            let waits = step.after.digests().all(|holder| place(holder).is_some_and(|holder| holder < own_place));
            say(waits, || format!("{} waits for what does not go before it", short(step.digest)))?;
        }
        for step in steps.untags() {
            let tag = world.tags.iter().find(|tag| tag.name == step.tag.name).expect("a listed tag");
            let fine = tag.digest == step.digest && !tag.locks.protects() && !is_young(tag.updated_at) && place(tag.digest).is_none();
            say(fine, || format!("{} is locked, young or elsewhere", tag.name))?;
        }
        Ok(())
    });
}

/// What the registry is like after the steps: locks as written, tags gone, manifests gone with their tags and with what refers to them.
fn applied(world: &World, steps: &Steps) -> World {
    let mut world = world.clone();
    for step in steps.locks() {
        let set = |locks: &mut Locks| {
            locks.can_delete = step.change.can_delete.unwrap_or(locks.can_delete);
            locks.can_write = step.change.can_write.unwrap_or(locks.can_write);
            locks.can_read = step.change.can_read.unwrap_or(locks.can_read);
            locks.can_list = step.change.can_list.unwrap_or(locks.can_list);
        };
        match &step.tag {
            Some(name) => world.tags.iter_mut().filter(|tag| tag.name == **name).for_each(|tag| set(&mut tag.locks)),
            None => world.manifests.iter_mut().filter(|manifest| manifest.digest == step.digest).for_each(|found| set(&mut found.locks)),
        }
    }
    world.tags.retain(|tag| !steps.untags().any(|step| step.tag.name == tag.name));
    let mut gone: Vec<Digest> = steps.deletes().map(|step| step.digest).collect();
    while let Some(digest) = gone.pop() {
        let refers = |manifest: &&Manifest| manifest.references.subject() == Some(digest);
        gone.extend(world.manifests.iter().filter(refers).map(|manifest| manifest.digest));
        world.manifests.retain(|manifest| manifest.digest != digest);
        world.tags.retain(|tag| tag.digest != digest);
    }
    world
}

/// Whether applying the steps gives counts other images to count, so that what was among the newest no longer is: an image lost the tag
/// by which it ranked, or a manifest became an image of its own because what held it is gone.
fn counts_anew(before: &World, after: &World, steps: &Steps) -> bool {
    let held = |world: &World, digest: Digest| {
        let ties = world.manifests.iter().any(|manifest| manifest.references.children().contains(&digest));
        let own = world.manifests.iter().find(|manifest| manifest.digest == digest).and_then(|manifest| manifest.references.subject());
        ties || own.is_some_and(|subject| world.manifests.iter().any(|manifest| manifest.digest == subject))
    };
    let freed = |manifest: &Manifest| held(before, manifest.digest) && !held(after, manifest.digest);
    !steps.untags.is_empty() || after.manifests.iter().any(freed)
}

/// A second run finds nothing to do; where the first gave counts other images to count, a fourth at the latest.
#[test]
fn planning_again_after_applying_finds_nothing_to_do() {
    in_all_worlds(|world, _| {
        let mut world = world.clone();
        let acting = world.acting;
        // What is opened can go in the next run: rules that open locks are for the law below.
        world.policies[acting].rules.retain(|rule| !matches!(rule.action, Action::Unlock(_)));
        world.policies[acting].rules.iter_mut().for_each(|rule| {
            if let Action::Lock(lock) = &mut rule.action {
                lock.release = false;
            }
        });
        let present: Vec<Digest> = world.manifests.iter().map(|manifest| manifest.digest).collect();
        let is_present = |root: &Digest| present.contains(root);
        world
            .manifests
            .iter_mut()
            .for_each(|manifest| manifest.left_behind_by = manifest.left_behind_by.take().filter(|root| !is_present(root)));
        let first = planned(&world);
        let mut after = applied(&world, &first);
        let runs = if counts_anew(&world, &after, &first) { 3 } else { 1 };
        for _ in 1..runs {
            after = applied(&after, &planned(&after));
        }
        let again = planned(&after);
        let is_done = again.deletes.is_empty() && again.untags.is_empty() && again.locks.is_empty();
        say(is_done, || format!("again: {again:?}\nfirst: {first:?}\n{after}"))
    });
}

/// A lock that is opened holds everything in this run, and nothing is left to open in the next.
#[test]
fn what_is_opened_can_go_in_the_next_run_at_the_earliest() {
    in_all_worlds(|world, _| {
        let steps = planned(world);
        for step in steps.locks().filter(|step| step.change.can_delete == Some(true) || step.change.can_write == Some(true)) {
            let goes = steps.deletes().any(|delete| delete.digest == step.digest);
            let loses_a_tag = steps.untags().any(|untag| untag.digest == step.digest);
            say(!goes && !loses_a_tag, || format!("{} is opened and loses something", short(step.digest)))?;
        }
        let only_locks = Steps { untags: Vec::new(), deletes: Vec::new(), ..steps };
        let again = planned(&applied(world, &only_locks)).locks;
        say(again.is_empty(), || format!("still to change: {again:?}"))
    });
}
