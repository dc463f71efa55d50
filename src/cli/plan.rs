//! `retaind plan`: decides and prints. Calls nothing that could apply.

use crate::clock::Clock;
use crate::config::Configuration;
use crate::model::Inventory;
use crate::pipeline::guard::{self, Circumstances};
use crate::pipeline::inventory::{self, Look};
use crate::pipeline::report::{Detail, plan_as_markdown, plan_as_text, plan_to_json};
use crate::pipeline::{self, Decisions};
use crate::policy::Policy;
use crate::state::State;

use super::args::{PlanArguments, PlanOutput};
use super::{End, Failure, connect, diff, open, print};

/// Plans every selected policy on every selected registry.
pub(super) async fn plan(arguments: &PlanArguments, clock: &Clock) -> Result<End, Failure> {
    let configuration = Configuration::load(&arguments.selection.config)?;
    let saved = arguments.source.inventory.as_deref().map(open::inventory).transpose()?;
    let mut pairs = open::selected(&configuration, &arguments.selection)?;
    if let Some(saved) = &saved {
        pairs.retain(|(_, registry)| registry.name == saved.registry);
        if pairs.is_empty() {
            return Err(Failure::unusable(format!(
                "the listing is of registry {}, which none of the selected policies names",
                saved.registry
            )));
        }
    }
    let state = if saved.is_some() { State::in_memory()? } else { open::state_to_plan(&configuration.state)? };
    if let Some(old) = &arguments.diff {
        let edit = diff::Edit { configuration: &configuration, old, arguments, saved, state, clock: clock.clone() };
        return diff::diff(&edit, pairs.into_iter()).await;
    }
    let mut end = End::Done;
    for (place, (acting, registry)) in pairs.into_iter().enumerate() {
        // The registry is looked at now, whatever day is asked for.
        let looked_at = clock.now();
        let now = arguments.source.at.map_or(looked_at, |at| at.seen_from(looked_at));
        let fresh;
        let (inventory, clock_difference) = if let Some(saved) = &saved {
            (saved, None)
        } else {
            let client = connect::client(registry, clock)?;
            let names = pipeline::names(&client, acting).await?;
            let wanted = pipeline::wanted(&configuration.policies, client.registry(), names);
            fresh = inventory::take(&Look { client: client.clone(), state: state.clone(), now: looked_at }, &wanted).await?;
            (&fresh, client.clock_offset().filter(|_| arguments.source.at.is_none()))
        };
        let decisions = pipeline::decide(inventory, &configuration.policies, acting, now);
        let circumstances = Circumstances {
            paused: configuration.paused || open::brakes(&configuration.state).are_held_by_a_pause(),
            changed: pipeline::changed(&state, &configuration.policies, acting, &registry.name)?.filter(|_| saved.is_none()),
            clock_difference,
            journal_is_kept: configuration.state.dir.is_some() || configuration.state.volatile,
            shrunk: decisions.shrunk(),
            findings: decisions.findings(now),
            ..Circumstances::default()
        };
        if 0 < place && arguments.output != PlanOutput::Json {
            print("\n");
        }
        print(&shown(arguments, acting, &decisions, &circumstances));
        if incomplete(inventory, &decisions) {
            end = end.max(End::Partial);
        }
    }
    Ok(end)
}

fn shown(arguments: &PlanArguments, acting: &Policy, decisions: &Decisions<'_>, circumstances: &Circumstances) -> String {
    let judgement = guard::judge(&decisions.plan, &acting.limits, circumstances);
    let decided = decisions.decided(acting, &judgement.refusals);
    match arguments.output {
        PlanOutput::Text => plan_as_text(&decided, if arguments.all { Detail::Everything } else { Detail::Changes }),
        PlanOutput::Json => plan_to_json(&decided),
        PlanOutput::Markdown => plan_as_markdown(&decided),
    }
}

fn incomplete(inventory: &Inventory, decisions: &Decisions<'_>) -> bool {
    decisions.repositories.iter().any(|decided| decided.evaluation.is_none()) && !inventory.repositories.is_empty()
}
