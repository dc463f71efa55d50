//! `retaind plan --diff OLD_POLICIES`: what an edit of policies changes on one listing of each registry. Changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use crate::clock::Clock;
use crate::config::{Configuration, Registry, load_policies};
use crate::model::{Inventory, RepositoryName};
use crate::pipeline::inventory::{self, Look};
use crate::pipeline::report::{DecidedRepository, Difference, difference, difference_as_text, difference_to_json, edited_policies};
use crate::pipeline::{self, decide};
use crate::policy::Policy;
use crate::state::State;

use super::args::{PlanArguments, PlanOutput};
use super::{End, Failure, connect, print};

/// What is compared, and on what.
pub(super) struct Edit<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) old: &'a Path,
    pub(super) arguments: &'a PlanArguments,
    pub(super) saved: Option<Inventory>,
    pub(super) state: State,
    pub(super) clock: Clock,
}

/// Compares the policies of the settings with older ones on every registry of the selection.
pub(super) async fn diff(edit: &Edit<'_>, pairs: impl Iterator<Item = (&Policy, &Registry)>) -> Result<End, Failure> {
    let Edit { configuration, old, arguments, saved, state, clock } = edit;
    let old = load_policies(old, configuration)?;
    let is_selected = |policy: &&Policy| arguments.selection.policy.as_ref().is_none_or(|wanted| *policy.name == **wanted);
    let registries: BTreeSet<&str> = pairs.map(|(_, registry)| registry.name.as_str()).collect();
    let mut end = End::Done;
    for registry in configuration.registries.iter().filter(|registry| registries.contains(registry.name.as_str())) {
        let looked_at = clock.now();
        let now = arguments.source.at.map_or(looked_at, |at| at.seen_from(looked_at));
        let of = |policies: &'_ [Policy]| -> Vec<Policy> {
            policies.iter().filter(is_selected).filter(|policy| policy.registries.contains(&registry.name)).cloned().collect()
        };
        let (old_acting, new_acting) = (of(&old), of(&configuration.policies));
        let fresh;
        let inventory: &Inventory = if let Some(saved) = saved {
            saved
        } else {
            let client = connect::client(registry, clock)?;
            let mut names: BTreeSet<RepositoryName> = BTreeSet::new();
            for policy in old_acting.iter().chain(&new_acting) {
                names.extend(pipeline::names(&client, policy).await?);
            }
            // As much is read as the rules of either side ask for.
            let both: Vec<Policy> = old.iter().chain(&configuration.policies).cloned().collect();
            let wanted = pipeline::wanted(&both, &registry.name, names);
            fresh = inventory::take(&Look { client, state: state.clone(), now: looked_at }, &wanted).await?;
            &fresh
        };
        let before: Vec<_> = old_acting.iter().map(|acting| decide(inventory, &old, acting, now)).collect();
        let after: Vec<_> = new_acting.iter().map(|acting| decide(inventory, &configuration.policies, acting, now)).collect();
        let before: Vec<DecidedRepository<'_>> = before.into_iter().flat_map(|decisions| decisions.repositories).collect();
        let after: Vec<DecidedRepository<'_>> = after.into_iter().flat_map(|decisions| decisions.repositories).collect();
        let policies = edited_policies(&old_acting, &new_acting);
        let difference = Difference { policies, ..difference((&registry.name, inventory.taken_at, now), &before, &after) };
        print(&match arguments.output {
            PlanOutput::Json => difference_to_json(&difference),
            PlanOutput::Text => difference_as_text(&difference),
            PlanOutput::Markdown => format!("```text\n{}```\n", difference_as_text(&difference)),
        });
        if !difference.not_compared.is_empty() {
            end = End::Partial;
        }
    }
    Ok(end)
}
