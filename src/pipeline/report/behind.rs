//! The rules behind a verdict, those that speak for others included: a child that stays with its index stays through the rule that
//! keeps the index. Knows no words.

use std::collections::BTreeSet;

use super::super::evaluate::{Evaluation, Reason, RuleRef};
use super::explain::holder;
use super::json::rule_of;
use crate::model::Contents;

/// A manifest or a tag, by its place in the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A manifest.
    Manifest(u32),
    /// A tag.
    Tag(u32),
}

/// Every rule that has a part in the verdict on an item. A delete rule that lost has none.
pub fn rules_behind(contents: &Contents, evaluation: &Evaluation, item: Item) -> BTreeSet<RuleRef> {
    let mut rules = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut waiting = vec![item];
    while let Some(item) = waiting.pop() {
        if !seen.insert(item) {
            continue;
        }
        let (goes, reasons, manifest) = match item {
            Item::Manifest(manifest) => (evaluation.manifests.goes(manifest), evaluation.manifests.reasons(manifest), manifest),
            Item::Tag(tag) => (evaluation.tags.goes(tag), evaluation.tags.reasons(tag), contents.owner_of(tag)),
        };
        for reason in reasons {
            let lost = !goes && matches!(reason, Reason::DeleteRule(_));
            rules.extend(rule_of(*reason).filter(|_| !lost));
            waiting.extend(holder(*reason).map(Item::Manifest));
            match (item, reason) {
                (_, Reason::TagStays(tag)) => waiting.push(Item::Tag(*tag)),
                (Item::Tag(_), Reason::WithManifest) => waiting.push(Item::Manifest(manifest)),
                (_, _) => {}
            }
        }
    }
    rules
}
