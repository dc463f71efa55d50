//! Warnings about rules and policies that meet: locks that open and close, policies that delete in the same repositories, or do it in the
//! same minute.

use jiff::Timestamp;

use super::selection::{Tags, shared};
use crate::config::problem::{Complaint, Problem};
use crate::config::settings::Configuration;
use crate::config::written::{Written, WrittenRule};
use crate::policy::{Policy, Schedule};

/// So many times of each schedule are compared: more than a year of nights.
const TIMES_COMPARED_MAX: usize = 400;
/// From where times are compared: any instant would do, and the same one always gives the same warnings.
const COMPARED_FROM: Timestamp = Timestamp::constant(1_767_225_600, 0);

pub(super) fn warn(configuration: &Configuration, found: &mut Vec<Problem>) {
    let policies: Vec<(&Policy, &Written)> = configuration.policies.iter().zip(&configuration.written).collect();
    for (place, left) in policies.iter().enumerate() {
        for right in policies.iter().skip(place) {
            if left.0.registries.iter().any(|registry| right.0.registries.contains(registry)) {
                locks(*left, *right, found);
                if left.0.name != right.0.name {
                    deleters(*left, *right, found);
                }
            }
        }
    }
}

/// Lock and unlock rules on the same attribute of the same tags, in either policy.
fn locks(left: (&Policy, &Written), right: (&Policy, &Written), found: &mut Vec<Problem>) {
    let same = left.0.name == right.0.name;
    if !same && shared(left.1, right.1).is_none() {
        return;
    }
    let mut each = |locking: &Written, unlocking: &Written| {
        for unlock in unlocking.rules().into_iter().filter(|rule| rule.action == "unlock") {
            let Some(lock) = locking.rules().into_iter().find(|rule| rule.action == "lock" && meet(*rule, unlock)) else { continue };
            let message = format!("rule {} opens nothing that rule {} locks: where they meet, lock wins", unlock.name, lock.name);
            let hint = format!("take the tags of one out of the other with `except`; {} is at {}", lock.name, locking.origin(lock.item));
            found.push(unlocking.warning("lock-meets-unlock", unlock.item, Complaint::new(message).hint(hint)));
        }
    };
    each(left.1, right.1);
    if !same {
        each(right.1, left.1);
    }
}

fn meet(lock: WrittenRule<'_>, unlock: WrittenRule<'_>) -> bool {
    let attribute = |key: &&str| lock.object.get(key).is_some() && unlock.object.get(key).is_some();
    let (Some(closed), Some(opened)) = (Tags::of(lock.object), Tags::of(unlock.object)) else { return false };
    ["can_delete", "can_write", "can_read", "can_list"].iter().any(attribute) && (closed.covers(&opened) || opened.covers(&closed))
}

/// Two enforcing policies that both delete in the same repositories.
fn deleters(left: (&Policy, &Written), right: (&Policy, &Written), found: &mut Vec<Problem>) {
    let deletes =
        |(policy, written): (&Policy, &Written)| policy.is_enforced() && written.rules().iter().any(|rule| rule.action == "delete");
    let Some((item, text)) = shared(right.1, left.1).filter(|_| deletes(left) && deletes(right)) else { return };
    let first = left.1.origin(left.1.item());
    let message = format!("policies {} and {} both delete in {text:?}", left.0.name, right.0.name);
    let hint = format!(
        "each has limits of its own, so that both together may delete twice as much; join them, or use `exclude`; {} is at {first}",
        left.0.name
    );
    found.push(right.1.warning("shared-repositories", item, Complaint::new(message).hint(hint)));
    let (Some(ours), Some(theirs)) = (&left.0.schedule, &right.0.schedule) else { return };
    let Some(item) = right.1.object().and_then(|object| object.get("schedule")) else { return };
    if let Some(at) = first_common(ours, theirs) {
        let message =
            format!("policies {} and {} begin in the same minute on the same repositories, such as {at:.0}", left.0.name, right.0.name);
        let hint = "let one begin some minutes later, so that it sees what the other has deleted";
        found.push(right.1.warning("same-minute", item, Complaint::new(message).hint(hint)));
    }
}

/// The first time that both schedules have, among their next ones.
fn first_common(left: &Schedule, right: &Schedule) -> Option<Timestamp> {
    let (mut ours, mut theirs) = (left.next(COMPARED_FROM)?, right.next(COMPARED_FROM)?);
    for _ in 0..TIMES_COMPARED_MAX {
        if ours == theirs {
            return Some(ours);
        }
        if ours < theirs {
            ours = left.next(ours)?;
        } else {
            theirs = right.next(theirs)?;
        }
    }
    None
}
