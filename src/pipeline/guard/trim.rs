//! `on_limit: oldest_first`: as much of a plan as its limits allow, oldest images first, whole images only.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::Digest;
use crate::policy::Limits;

use super::super::plan::{Decision, DeleteStep, Plan};
use super::{Refusal, Share};

/// Keeps the oldest steps within `max_deletes` for the hour, and within `max_delete_percent` for the run and each repository; says what
/// it cut off.
pub(super) fn to_limits(mut plan: Plan, limits: &Limits, removed_last_hour: u32, refusals: &mut Vec<Refusal>) -> Plan {
    let planned: u32 = plan.steps().map(|(_, steps)| steps.removals()).sum();
    let share = |images| Share::allowed(images, limits.max_delete_percent);
    let run_max = Room { removals: limits.max_deletes, images: share(plan.steps().map(|(_, steps)| steps.images).sum()) };
    let mut room = Room { removals: run_max.removals.saturating_sub(removed_last_hour), ..run_max };
    let mut repositories: Vec<Repository<'_>> =
        plan.repositories.iter().map(|repository| Repository::new(&repository.decision, share)).collect();
    let mut candidates: Vec<(Timestamp, usize, Digest)> = Vec::new();
    for (place, repository) in plan.repositories.iter().enumerate() {
        if let Decision::Steps(steps) = &repository.decision {
            let roots = steps.deletes.iter().filter(|step| step.after.is_empty());
            candidates.extend(roots.map(|root| (root.updated_at, place, root.digest)));
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
    let chosen: Vec<(BTreeSet<Digest>, u32)> =
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
            steps.deletes.retain(|step| chosen.contains(&step.digest));
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

struct Repository<'a> {
    /// Deletes by their manifests.
    steps: BTreeMap<Digest, &'a DeleteStep>,
    /// The steps that wait for each manifest.
    waiting: BTreeMap<Digest, Vec<&'a DeleteStep>>,
    images_max: u32,
    images_going: u32,
    chosen: BTreeSet<Digest>,
    /// The oldest image that is left would go over its share: the younger ones wait with it.
    is_full: bool,
}

impl<'a> Repository<'a> {
    fn new(decision: &'a Decision, share: impl Fn(u32) -> u32) -> Self {
        let mut repository = Self {
            steps: BTreeMap::new(),
            waiting: BTreeMap::new(),
            images_max: 0,
            images_going: 0,
            chosen: BTreeSet::new(),
            is_full: false,
        };
        if let Decision::Steps(steps) = decision {
            repository.images_max = share(steps.images);
            for step in &steps.deletes {
                repository.steps.insert(step.digest, step);
                step.after.iter().for_each(|holder| repository.waiting.entry(*holder).or_default().push(step));
            }
        }
        repository
    }

    /// The root and everything that goes once it goes beside what is chosen already.
    fn added_by(&self, root: Digest) -> BTreeSet<Digest> {
        let mut added = BTreeSet::from([root]);
        let mut next = vec![root];
        while let Some(holder) = next.pop() {
            for step in self.waiting.get(&holder).into_iter().flatten() {
                let all_go = step.after.iter().all(|holder| self.chosen.contains(holder) || added.contains(holder));
                if all_go && added.insert(step.digest) {
                    next.push(step.digest);
                }
            }
        }
        added
    }

    /// Whether something that stays for now holds what describes one of these: the registry deletes that with what it describes.
    fn tears_apart(&self, added: &BTreeSet<Digest>) -> bool {
        let mut waiting = added.iter().filter_map(|holder| self.waiting.get(holder)).flatten();
        waiting.any(|step| {
            let goes = added.contains(&step.digest) || self.chosen.contains(&step.digest);
            !goes && step.subject.is_some_and(|subject| added.contains(&subject))
        })
    }

    fn cost(&self, added: &BTreeSet<Digest>) -> Room {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let images = added.iter().filter_map(|digest| self.steps.get(digest)).filter(|step| is_image(step));
        Room { removals: count(added.len()), images: count(images.count()) }
    }
}

/// As `evaluate` counts: a child with a tag of its own is an image too, and goes with its index all the same.
fn is_image(step: &DeleteStep) -> bool {
    let has_ordinary_tag = step.tags.iter().any(|tag| tag.name.companion_subject().is_none());
    has_ordinary_tag || step.tags.is_empty() && step.after.is_empty()
}
