//! `on_limit: oldest_first`: as much of a plan as its limits allow, oldest images first, whole images only.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Time;
use crate::policy::Limits;

use super::super::plan::{Decision, Plan, Steps};
use super::{Population, Refusal};

/// Keeps the oldest steps within `max_deletes` for the hour, and within `max_delete_percent` for the run and each repository; says what
/// it cut off.
pub(super) fn to_limits(mut plan: Plan, limits: &Limits, removed_last_hour: u32, refusals: &mut Vec<Refusal>) -> Plan {
    let planned: u32 = plan.steps().map(|(_, steps)| steps.removals()).sum();
    let share = |population: Population| population.allowed(limits.max_delete_percent);
    let run = plan.steps().map(|(_, steps)| Population::of(steps)).fold(Population::default(), Population::and);
    let run_max = Room { removals: limits.max_deletes, images: share(run) };
    let mut room = Room { removals: run_max.removals.saturating_sub(removed_last_hour), ..run_max };
    let mut repositories: Vec<Repository<'_>> =
        plan.repositories.iter().map(|repository| Repository::new(&repository.decision, share)).collect();
    // Manifests stand in the order of their digests, so ties go by repository and then by digest.
    let mut candidates: Vec<(Option<Time>, usize, u32)> = Vec::new();
    for (place, repository) in plan.repositories.iter().enumerate() {
        if let Decision::Steps(steps) = &repository.decision {
            let roots = steps.deletes().filter(|step| step.after.is_empty());
            candidates.extend(roots.map(|root| (root.updated_at, place, root.place)));
        }
    }
    candidates.sort_unstable();
    let (mut is_spent, mut fits_no_run) = (false, 0);
    for (_, place, root) in candidates {
        let repository = &mut repositories[place];
        let added = repository.added_by(root);
        if repository.tears_apart(&added) {
            continue;
        }
        let cost = repository.cost(&added);
        if !cost.fits(run_max) || repository.images_max < cost.images {
            // It fits into no run; waiting for it would keep all younger ones for ever.
            fits_no_run += cost.removals;
            continue;
        }
        if is_spent || repository.is_full {
            continue;
        }
        if !cost.fits(room) {
            is_spent = true;
            continue;
        }
        if repository.images_max < repository.images_going + cost.images {
            repository.is_full = true;
            continue;
        }
        room.removals -= cost.removals;
        room.images -= cost.images;
        repository.images_going += cost.images;
        repository.chosen.extend(added);
    }
    let chosen: Vec<(BTreeSet<u32>, u32)> =
        repositories.into_iter().map(|repository| (repository.chosen, repository.images_going)).collect();
    for (repository, (chosen, images_going)) in plan.repositories.iter_mut().zip(chosen) {
        if let Decision::Steps(steps) = &mut repository.decision {
            if limits.max_deletes == 0 {
                fits_no_run += u32::try_from(steps.untags.len()).unwrap_or(u32::MAX);
            }
            let untags = usize::try_from(room.removals).unwrap_or(usize::MAX).min(steps.untags.len());
            room.removals -= u32::try_from(untags).unwrap_or(u32::MAX);
            steps.untags.truncate(untags);
            steps.images_going = images_going;
            steps.orphans_going = steps.orphans_going.min(images_going);
            steps.deletes.retain(|delete| chosen.contains(&delete.manifest));
        }
    }
    let now: u32 = plan.steps().map(|(_, steps)| steps.removals()).sum();
    // What two images share counts with each of them.
    let fits_no_run = fits_no_run.min(planned - now);
    let later = planned - now - fits_no_run;
    if later != 0 {
        refusals.push(Refusal::Drained { planned, now, later, removed_last_hour });
    }
    if fits_no_run != 0 {
        refusals.push(Refusal::FitsNoRun(fits_no_run));
    }
    plan
}

/// What may still go, or what something costs.
#[derive(Clone, Copy)]
struct Room {
    removals: u32,
    images: u32,
}

impl Room {
    fn fits(self, room: Self) -> bool {
        self.removals <= room.removals && self.images <= room.images
    }
}

/// Manifests are named by their places in the contents.
struct Repository<'a> {
    /// None: nothing is to be done in it.
    steps: Option<&'a Steps>,
    /// The manifests that wait for each manifest.
    waiting: BTreeMap<u32, Vec<u32>>,
    images_max: u32,
    images_going: u32,
    chosen: BTreeSet<u32>,
    /// The oldest image that is left would go over its share: the younger ones wait with it.
    is_full: bool,
}

impl<'a> Repository<'a> {
    fn new(decision: &'a Decision, share: impl Fn(Population) -> u32) -> Self {
        let steps = match decision {
            Decision::Steps(steps) => Some(steps),
            Decision::Nothing(_) => None,
        };
        let mut waiting: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for step in steps.into_iter().flat_map(Steps::deletes) {
            step.after.places().for_each(|holder| waiting.entry(holder).or_default().push(step.place));
        }
        let images_max = steps.map_or(0, |steps| share(Population::of(steps)));
        Self { steps, waiting, images_max, images_going: 0, chosen: BTreeSet::new(), is_full: false }
    }

    /// The root and everything that goes once it goes beside what is chosen already.
    fn added_by(&self, root: u32) -> BTreeSet<u32> {
        let mut added = BTreeSet::from([root]);
        let mut next = vec![root];
        let Some(steps) = self.steps else { return added };
        while let Some(holder) = next.pop() {
            for held in self.waiting.get(&holder).into_iter().flatten() {
                let goes = |holder: u32| self.chosen.contains(&holder) || added.contains(&holder);
                if steps.holders_of(*held).places().all(goes) && added.insert(*held) {
                    next.push(*held);
                }
            }
        }
        added
    }

    /// Whether something that stays for now holds what describes one of these: the registry deletes that with what it describes.
    fn tears_apart(&self, added: &BTreeSet<u32>) -> bool {
        let Some(steps) = self.steps else { return false };
        let mut waiting = added.iter().filter_map(|holder| self.waiting.get(holder)).flatten();
        waiting.any(|held| {
            let goes = added.contains(held) || self.chosen.contains(held);
            let subject = steps.contents.manifests()[*held as usize].references.subject();
            let subject = subject.and_then(|subject| steps.contents.find(subject));
            !goes && subject.is_some_and(|subject| added.contains(&subject))
        })
    }

    fn cost(&self, added: &BTreeSet<u32>) -> Room {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let images = added.iter().filter(|manifest| self.steps.is_some_and(|steps| is_image(steps, **manifest)));
        Room { removals: count(added.len()), images: count(images.count()) }
    }
}

/// As `evaluate` counts: a child with a tag of its own is an image too, and goes with its index all the same.
fn is_image(steps: &Steps, manifest: u32) -> bool {
    let has_ordinary_tag = steps.contents.tagged(manifest).iter().any(|tag| tag.name.companion_subject().is_none());
    has_ordinary_tag || steps.holders_of(manifest).is_empty()
}
