//! `retaind apply PLAN`: what a person agreed to. The policy is planned anew, and only steps that are in both plans are done.

use crate::clock::Clock;
use crate::config::Configuration;
use crate::pipeline::guard::{PLAN_AGE_MAX, is_stale};
use crate::pipeline::report::plan_from_json;

use super::args::ApplyArguments;
use super::{End, Failure, connect, open, run, signals};

/// Applies a saved plan.
pub(super) async fn apply(arguments: &ApplyArguments, clock: &Clock) -> Result<End, Failure> {
    let configuration = Configuration::load(&arguments.config)?;
    let file = arguments.plan.display();
    let saved = plan_from_json(&open::read(&arguments.plan)?).map_err(|error| Failure::unusable(format!("{file}: {error}")))?;
    let refused = |said: String| Failure { end: End::Refused, said };
    if is_stale(saved.taken_at, clock.now()) {
        return Err(refused(format!("{file} rests on a listing of {:.0}, more than {PLAN_AGE_MAX:#} ago; plan again", saved.taken_at)));
    }
    let acting = configuration.policies.iter().find(|policy| *policy.name == *saved.policy);
    let acting =
        acting.ok_or_else(|| Failure::unusable(format!("{file} is a plan of policy {:?}, which is not configured", saved.policy)))?;
    let registry = configuration.registries.iter().find(|registry| registry.name == saved.registry);
    let registry =
        registry.ok_or_else(|| Failure::unusable(format!("{file} is a plan for registry {}, which is not configured", saved.registry)))?;
    if !acting.is_enforced() {
        return Err(refused(format!("policy {} says mode: dry-run, so no plan of it is applied; set mode: enforce", acting.name)));
    }
    let state = open::state(&configuration.state)?;
    let client = connect::client(registry, clock)?;
    let wired = run::Wired {
        configuration: &configuration,
        client,
        state: &state,
        clock,
        brakes: &signals::brakes(open::brakes(&configuration.state)),
    };
    run::one(wired, acting, arguments.accept.as_deref(), Some(&saved)).await
}
