//! `retaind run --once`: every selected policy on every selected registry, once. One that fails stops no other.

use std::collections::BTreeSet;

use crate::acr::Client;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::pipeline::access;
use crate::pipeline::apply::{Applied, Brakes};
use crate::pipeline::guard::Circumstances;
use crate::pipeline::report::{self, Detail, SavedPlan};
use crate::pipeline::{self, Ended, Run, Told};
use crate::policy::Policy;
use crate::state::State;

use super::args::RunArguments;
use super::{End, Failure, complain, connect, open, print, signals};

/// Runs.
pub(super) async fn once(arguments: &RunArguments, clock: &Clock) -> Result<End, Failure> {
    let configuration = Configuration::load(&arguments.selection.config)?;
    let pairs = open::selected(&configuration, &arguments.selection)?;
    let state = open::state(&configuration.state)?;
    if !state.is_durable() && !configuration.state.volatile && pairs.iter().any(|(policy, _)| policy.is_enforced()) {
        complain("there is no state.dir: nothing will be deleted, because nothing would remember it");
    }
    for approval in state.take_approvals(clock.now())?.iter().filter(|approval| approval.runs.is_empty()) {
        complain(&format!("the approved plan {} is none that a run made", approval.plan_hash));
    }
    let brakes = signals::brakes(open::brakes(&configuration.state));
    let mut end = End::Done;
    let budgets = connect::Budgets::default();
    let mut announced = BTreeSet::new();
    for (acting, registry) in pairs {
        if brakes.were_pulled() {
            complain(&format!("stopped by a signal before policy {} on {}", acting.name, registry.name));
            return Ok(end.max(End::Partial));
        }
        let outcome = match connect::sharing_client(registry, clock, &budgets) {
            Ok(client) => {
                if announced.insert(&registry.name) {
                    access::announce(&client, &configuration.policies).await;
                }
                let wired = Wired { configuration: &configuration, client, state: &state, clock, brakes: &brakes };
                one(wired, acting, arguments.accept.as_deref(), None).await
            }
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(one) => end = end.max(one),
            Err(Failure { end: failed, said }) => {
                complain(&said);
                end = end.max(failed);
            }
        }
    }
    state.prune_history(clock.now() - configuration.state.history)?;
    Ok(end)
}

/// What a run works with, once everything is open.
pub(super) struct Wired<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) client: Client,
    pub(super) state: &'a State,
    pub(super) clock: &'a Clock,
    pub(super) brakes: &'a Brakes,
}

/// Runs one policy on one registry and prints what was decided and done.
pub(super) async fn one(wired: Wired<'_>, acting: &Policy, accepted: Option<&str>, agreed: Option<&SavedPlan>) -> Result<End, Failure> {
    let Wired { configuration, client, state, clock, brakes } = wired;
    let circumstances = Circumstances {
        paused: configuration.paused || brakes.are_held_by_a_pause(),
        journal_is_kept: state.is_durable() || configuration.state.volatile,
        accepted: accepted.map(str::to_owned),
        ..Circumstances::default()
    };
    let (state, clock, brakes) = (state.clone(), clock.clone(), brakes.clone());
    let run = Run { policies: &configuration.policies, acting, client, state, clock, brakes, until: None, circumstances, agreed };
    let ended = pipeline::run(&run, &mut |told| match told {
        Told::Planned(decided) => print(&report::plan_as_text(decided, Detail::Changes)),
        Told::Applied(applied) => print(&report::applied(applied)),
    })
    .await?;
    Ok(end_of(&ended, acting))
}

/// A dry run says what the guard would hold back; that is its job, and done.
fn end_of(ended: &Ended, acting: &Policy) -> End {
    let Ended { refused, incomplete, applied } = ended;
    if *refused && acting.is_enforced() {
        return End::Refused;
    }
    let complete = *incomplete == 0 && applied.as_ref().is_none_or(Applied::is_complete);
    if complete { End::Done } else { End::Partial }
}
