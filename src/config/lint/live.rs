//! Warnings that need to know what a registry holds: patterns that match nothing there. Does not ask a registry.

use std::collections::BTreeMap;

use super::selection::Tags;
use crate::config::problem::{Complaint, Problem};
use crate::config::settings::Configuration;
use crate::config::written::Written;
use crate::model::{RegistryName, RepositoryName, TagName};
use crate::policy::{Pattern, Policy};

/// What was seen in a registry.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The registry.
    pub registry: RegistryName,
    /// Every repository of the catalog. Tags: of those that some policy names.
    pub repositories: BTreeMap<RepositoryName, Vec<TagName>>,
}

pub(super) fn warn(configuration: &Configuration, seen: &[Seen], found: &mut Vec<Problem>) {
    for (policy, written) in configuration.policies.iter().zip(&configuration.written) {
        let seen: Vec<&Seen> = seen.iter().filter(|seen| policy.registries.contains(&seen.registry)).collect();
        // What was not looked at cannot be missed.
        if seen.len() == policy.registries.len() {
            absent_repositories(written, &seen, found);
            idle_rules(policy, written, &seen, found);
        }
    }
}

fn absent_repositories(written: &Written, seen: &[&Seen], found: &mut Vec<Problem>) {
    for (item, text) in written.repositories("include") {
        let Ok(pattern) = Pattern::parse(text) else { continue };
        let is_there = seen.iter().any(|seen| seen.repositories.keys().any(|name| pattern.matches(name.as_str())));
        if !is_there {
            let hint = "look for a typing error: `*` stays within a segment, `**` goes across `/`";
            let complaint = Complaint::new(format!("{text:?} matches no repository of the registry")).hint(hint);
            found.push(written.warning("absent-repository", item, complaint));
        }
    }
}

fn idle_rules(policy: &Policy, written: &Written, seen: &[&Seen], found: &mut Vec<Problem>) {
    let repositories = seen.iter().flat_map(|seen| seen.repositories.iter().map(|(name, tags)| (&seen.registry, name, tags)));
    let named: Vec<&Vec<TagName>> =
        repositories.filter(|(registry, name, _)| policy.names(registry, name)).map(|(_, _, tags)| tags).collect();
    let tags = || named.iter().copied().flatten();
    if tags().next().is_none() {
        return;
    }
    for rule in written.rules() {
        let Some(pattern) = Tags::of(rule.object).and_then(|tags| tags.pattern()) else { continue };
        let ordinary = |tag: &&TagName| tag.companion_subject().is_none();
        if tags().filter(ordinary).any(|tag| pattern.matches(tag.as_str())) {
            continue;
        }
        let does = match rule.action {
            "keep" | "lock" => "protects nothing",
            _ => "does nothing",
        };
        let message = format!("rule {} {does} today: it matches no tag of the repositories that the policy names", rule.name);
        let complaint = Complaint::new(message).hint("look for a typing error; a rule for tags that are yet to come is right as it is");
        found.push(written.warning("idle-rule", rule.item, complaint));
    }
}
