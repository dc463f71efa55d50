//! `on_limit: oldest_first`: as much of a plan as its limits allow, oldest images first, whole images only.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::Digest;
use crate::policy::Limits;

use super::super::plan::{Decision, DeleteStep, Plan, Steps};
use super::{PERCENT_APPLIES_FROM_IMAGES, Refusal};

/// Keeps the oldest steps within `max_deletes` for the run and `max_delete_percent` for each repository; says what it cut off.
pub(super) fn to_limits(mut plan: Plan, limits: &Limits, refusals: &mut Vec<Refusal>) -> Plan {
    let planned: u32 = plan.steps().map(|(_, steps)| steps.removals()).sum();
    let mut candidates: Vec<(Timestamp, usize, Digest)> = Vec::new();
    for (place, repository) in plan.repositories.iter().enumerate() {
        if let Decision::Steps(steps) = &repository.decision {
            let roots = roots(steps).into_iter().take(images_allowed(steps, limits));
            candidates.extend(roots.map(|root| (root.updated_at, place, root.digest)));
        }
    }
    candidates.sort_unstable();
    let mut room = limits.max_deletes;
    let waiting: Vec<Waiting<'_>> = plan.repositories.iter().map(|repository| waiting(&repository.decision)).collect();
    let mut chosen: Vec<BTreeSet<Digest>> = vec![BTreeSet::new(); plan.repositories.len()];
    for (_, place, root) in candidates {
        let added = added_by(&waiting[place], &chosen[place], root);
        let cost = u32::try_from(added.len()).unwrap_or(u32::MAX);
        if limits.max_deletes < cost {
            // It fits into no run; waiting for it would keep all younger ones for ever.
            continue;
        }
        if room < cost {
            break;
        }
        room -= cost;
        chosen[place].extend(added);
    }
    for (repository, chosen) in plan.repositories.iter_mut().zip(chosen) {
        if let Decision::Steps(steps) = &mut repository.decision {
            let untags = usize::try_from(room).unwrap_or(usize::MAX).min(steps.untags.len());
            room -= u32::try_from(untags).unwrap_or(u32::MAX);
            steps.untags.truncate(untags);
            steps.images_going =
                u32::try_from(roots(steps).iter().filter(|root| chosen.contains(&root.digest)).count()).unwrap_or(u32::MAX);
            steps.deletes.retain(|step| chosen.contains(&step.digest));
        }
    }
    let left: u32 = plan.steps().map(|(_, steps)| steps.removals()).sum();
    if left < planned {
        refusals.push(Refusal::Drained { planned, now: left });
    }
    plan
}

/// The images among the deletes, oldest first: what waits for nothing.
fn roots(steps: &Steps) -> Vec<&DeleteStep> {
    let mut roots: Vec<&DeleteStep> = steps.deletes.iter().filter(|step| step.after.is_empty()).collect();
    roots.sort_by_key(|step| (step.updated_at, step.digest));
    roots
}

fn images_allowed(steps: &Steps, limits: &Limits) -> usize {
    if limits.max_delete_percent == 0 {
        return 0;
    }
    if steps.images < PERCENT_APPLIES_FROM_IMAGES {
        return steps.deletes.len();
    }
    (u64::from(steps.images) * u64::from(limits.max_delete_percent) / 100).try_into().unwrap_or(usize::MAX)
}

/// The steps that wait for each manifest.
type Waiting<'a> = BTreeMap<Digest, Vec<&'a DeleteStep>>;

fn waiting(decision: &Decision) -> Waiting<'_> {
    let mut waiting: Waiting<'_> = BTreeMap::new();
    if let Decision::Steps(steps) = decision {
        for step in &steps.deletes {
            step.after.iter().for_each(|holder| waiting.entry(*holder).or_default().push(step));
        }
    }
    waiting
}

/// The root and everything that goes once it goes beside what is chosen already.
fn added_by(waiting: &Waiting<'_>, chosen: &BTreeSet<Digest>, root: Digest) -> BTreeSet<Digest> {
    let mut added = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(holder) = next.pop() {
        for step in waiting.get(&holder).into_iter().flatten() {
            let all_go = step.after.iter().all(|holder| chosen.contains(holder) || added.contains(holder));
            if all_go && added.insert(step.digest) {
                next.push(step.digest);
            }
        }
    }
    added
}
