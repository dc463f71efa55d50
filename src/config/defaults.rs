//! The `defaults` of a policy file: what a policy does not say itself is taken from there, together with the place where it is written, so
//! that every message points to the line that has to be mended. Knows which keys go together, not what any of them means.

use super::problem::{Complaint, Place};
use super::shape::DEFAULTS;
use super::tree::{Node, Value};

/// Most values that defaults may repeat, over all policies of the file: as many as a file may have.
const REPEATED_MAX: usize = 100_000;

/// Writes the defaults into the policies of a file.
///
/// # Errors
/// They would repeat too much.
pub(super) fn apply(root: &mut Node) -> Result<(), (Place, Complaint)> {
    let Value::Mapping(entries) = &mut root.value else { return Ok(()) };
    let Some(defaults) = entries.iter().find(|(key, _)| text(key) == "defaults").map(|(_, value)| value.clone()) else { return Ok(()) };
    let Value::Mapping(defaults_entries) = &defaults.value else { return Ok(()) };
    let Some((_, policies)) = entries.iter_mut().find(|(key, _)| text(key) == "policies") else { return Ok(()) };
    let Value::Sequence(policies) = &mut policies.value else { return Ok(()) };
    if REPEATED_MAX < count(&defaults).saturating_mul(policies.len()) {
        let complaint = Complaint::new(format!("the defaults repeat more than {REPEATED_MAX} values")).hint("split the file");
        return Err((defaults.place, complaint));
    }
    for policy in policies {
        if let Value::Mapping(policy) = &mut policy.value {
            complete(policy, defaults_entries);
        }
    }
    Ok(())
}

/// Adds what the policy does not say. Limits are taken one by one; windows only where there is a schedule for them.
fn complete(policy: &mut Vec<(Node, Node)>, defaults: &[(Node, Node)]) {
    let says = |entries: &[(Node, Node)], name: &str| entries.iter().any(|(key, _)| text(key) == name);
    let is_scheduled = says(policy, "schedule") || says(defaults, "schedule");
    for (key, value) in defaults {
        let name = text(key);
        let is_window = name == "between" || name == "not_during";
        if DEFAULTS.key(name).is_none() || (is_window && !is_scheduled) {
            continue;
        }
        let Some((_, own)) = policy.iter_mut().find(|(key, _)| text(key) == name) else {
            policy.push((key.clone(), value.clone()));
            continue;
        };
        if let ("limits", Value::Mapping(own), Value::Mapping(limits)) = (name, &mut own.value, &value.value) {
            let missing: Vec<_> = limits.iter().filter(|(key, _)| !says(own, text(key))).cloned().collect();
            own.extend(missing);
        }
    }
}

fn text(node: &Node) -> &str {
    if let Value::Text(text) = &node.value { text } else { "" }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::Sequence(nodes) => 1 + nodes.iter().map(count).sum::<usize>(),
        Value::Mapping(entries) => 1 + entries.iter().map(|(_, value)| 1 + count(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float | Value::Text(_) => 1,
    }
}
