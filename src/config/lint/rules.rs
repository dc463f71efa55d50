//! Warnings about rules: ones that choose nothing, protect nothing, delete nothing, or let a pusher delete.

use super::selection::{Tags, are_apart, names_all_of};
use crate::config::item::Object;
use crate::config::problem::{Complaint, Problem};
use crate::config::settings::Configuration;
use crate::config::written::{Written, WrittenRule};

pub(super) fn warn(configuration: &Configuration, found: &mut Vec<Problem>) {
    for policy in &configuration.written {
        for rule in policy.rules() {
            never_matches(policy, rule, found);
            match rule.action {
                "delete" => {
                    covered_delete(configuration, policy, rule, found);
                    keep_flooding(policy, rule, found);
                }
                "keep" => idle_keep(configuration, policy, rule, found),
                _ => {}
            }
        }
    }
}

fn never_matches(policy: &Written, rule: WrittenRule<'_>, found: &mut Vec<Problem>) {
    if let (Some(tags), Some(written)) = (Tags::of(rule.object), rule.object.object("tags")) {
        let items = ["glob", "regex", "semver"].into_iter().find_map(|kind| written.get(kind)).map(|list| list.items()).unwrap_or_default();
        for (place, why) in tags.idle() {
            if let Some(item) = items.get(place) {
                let complaint = Complaint::new(why).hint("leave it out, or narrow what takes it away");
                found.push(policy.warning("never-matches", item, complaint));
            }
        }
    }
}

/// Whether the rule has no condition beside what it chooses by tags, or by having none.
fn is_unconditional(action: &Object) -> bool {
    action
        .fields
        .iter()
        .all(|(key, _)| ["tags", "untagged", "all_tags", "can_delete", "can_write", "can_read", "can_list", "on"].contains(key))
}

fn covered_delete(configuration: &Configuration, policy: &Written, rule: WrittenRule<'_>, found: &mut Vec<Problem>) {
    let covers = |keeper: &WrittenRule<'_>| {
        let holds = matches!(keeper.action, "keep" | "lock") && is_unconditional(keeper.object);
        let chooses = match (Tags::of(keeper.object), Tags::of(rule.object)) {
            (Some(outer), Some(inner)) => outer.covers(&inner),
            (None, None) => keeper.object.bool("untagged").is_some() && rule.object.bool("untagged").is_some(),
            (_, _) => false,
        };
        holds && chooses
    };
    let naming = configuration.written.iter().filter(|other| names_all_of(other, policy));
    let Some((keeper, other)) =
        naming.flat_map(|other| other.rules().into_iter().map(move |rule| (rule, other))).find(|(rule, _)| covers(rule))
    else {
        return;
    };
    let message = format!("rule {} deletes nothing: all that it chooses is kept by rule {}", rule.name, keeper.name);
    let hint = format!("keep wins, whatever the order; {} is at {}", keeper.name, other.origin(keeper.item));
    found.push(policy.warning("covered-delete", rule.item, Complaint::new(message).hint(hint)));
}

fn keep_flooding(policy: &Written, rule: WrittenRule<'_>, found: &mut Vec<Problem>) {
    let Some(item) = rule.object.get("except_last").filter(|_| rule.object.get("older_than").is_none()) else { return };
    let message = "whoever may push can have images deleted: enough pushes move every other one out of the count";
    let hint = "write `older_than` beside `except_last`, such as `older_than: 7d`, so that there is time to notice";
    found.push(policy.warning("keep-flooding", item, Complaint::new(message).hint(hint)));
}

fn idle_keep(configuration: &Configuration, policy: &Written, rule: WrittenRule<'_>, found: &mut Vec<Problem>) {
    let touches = |delete: &WrittenRule<'_>| match (Tags::of(rule.object), Tags::of(delete.object)) {
        // With `all_tags` it keeps the other tags of its images as well, whatever they are called.
        (Some(_), Some(_)) if rule.object.bool("all_tags") == Some(true) => true,
        (Some(kept), Some(deleted)) => !kept.is_disjoint(&deleted),
        (Some(_), None) => delete.object.bool("untagged").is_none(),
        (None, Some(_)) => rule.object.bool("untagged").is_none(),
        (None, None) => true,
    };
    let near = configuration.written.iter().filter(|other| !are_apart(policy, other));
    if near.flat_map(Written::rules).filter(|other| other.action == "delete").any(|delete| touches(&delete)) {
        return;
    }
    let message = format!("rule {} protects nothing: no delete rule of any policy could touch what it keeps", rule.name);
    let hint = "what no rule condemns stays anyway; look for a typing error, or leave the rule out";
    found.push(policy.warning("idle-keep", rule.item, Complaint::new(message).hint(hint)));
}
