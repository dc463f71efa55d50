//! `retaind approve PLAN_HASH`: a person saw this plan and wants it. Left in the state directory for the process that owns the state.

use crate::config::Configuration;
use crate::layout::paragraph;
use crate::state::{State, leave_approval};

use super::args::ApproveArguments;
use super::{End, Failure, print};

/// So many runs are looked through for the plan: those of a week, with ten policies that run every hour.
const RUNS_LOOKED_AT: u32 = 2000;
/// So many plans are named when none has the hash.
const PLANS_NAMED: usize = 3;

/// Approves.
pub(super) fn approve(arguments: &ApproveArguments) -> Result<End, Failure> {
    let configuration = Configuration::load(&arguments.config)?;
    let dir =
        configuration.state.dir.ok_or_else(|| Failure::unusable("there is no state.dir in the settings, through which to approve"))?;
    let runs = State::open_to_read(&dir)?.runs(RUNS_LOOKED_AT)?;
    let wanted = arguments.plan.as_str();
    let Some(run) = runs.iter().find(|run| run.plan_hash == wanted) else {
        let latest: Vec<String> = runs
            .iter()
            .filter(|run| run.counts.planned != 0)
            .take(PLANS_NAMED)
            .map(|run| format!("{} (policy {} on {})", run.plan_hash, run.policy, run.registry))
            .collect();
        let known = if latest.is_empty() { "no run planned anything".to_owned() } else { format!("the latest are {}", latest.join(", ")) };
        return Err(Failure::unusable(format!("no run made a plan with the hash {wanted:?}; {known}")));
    };
    leave_approval(&dir, wanted)?;
    let applies = "a running daemon applies it within seconds, otherwise the next run does";
    print(&paragraph("", 2, &format!("plan {wanted} of policy {} on {} is approved; {applies}", run.policy, run.registry)));
    Ok(End::Done)
}
