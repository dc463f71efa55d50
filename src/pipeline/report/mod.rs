//! What was decided and what was done, for people (text, Markdown) and machines (JSON). Pure: reads values, decides nothing.

mod behind;
mod difference;
mod explain;
mod json;
mod tally;
mod text;
mod words;

use jiff::Timestamp;

use crate::model::{Listing, Repository};
use crate::policy::{Mode, Policy};

use super::evaluate::Evaluation;
use super::guard::Refusal;
use super::plan::Plan;

pub use behind::{Item, rules_behind};
pub use difference::{Change, Changed, Difference, difference, difference_as_text, edited_policies};
pub use explain::{explain, outlook};
pub use json::{InvalidDocument, SavedPlan, difference_to_json, inventory_from_json, inventory_to_json, plan_from_json, plan_to_json};
pub use tally::{REFUSAL_CODES, RepositoryTally, Tally};
pub use text::{Detail, applied, plan_as_markdown, plan_as_text};
pub use words::{Context, other_time};

/// Everything that was decided about one policy and one registry.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// The policy that acts.
    pub policy: &'a Policy,
    /// The plan.
    pub plan: &'a Plan,
    /// What the guard held back.
    pub refusals: &'a [Refusal],
    /// The repositories of the plan, in its order.
    pub repositories: &'a [DecidedRepository<'a>],
}

/// Everything that was decided about one repository.
#[derive(Debug, Clone)]
pub struct DecidedRepository<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The policies that name it, and the place among them of the one that acts.
    pub policies: Vec<&'a Policy>,
    /// The place in `policies` of the one that acts.
    pub acting: usize,
    /// The verdicts; None: the listing was incomplete.
    pub evaluation: Option<Evaluation>,
}

impl DecidedRepository<'_> {
    /// What a sentence about one of its items needs, and the verdicts; None: the listing was incomplete.
    pub fn spoken_of(&self, now: Timestamp) -> Option<(Context<'_>, &Evaluation)> {
        let Listing::Complete(contents) = &self.repository.listing else { return None };
        let observations = &self.repository.observations;
        let context = Context { contents, policies: &self.policies, acting: self.acting, observations, now };
        Some((context, self.evaluation.as_ref()?))
    }
}

/// The mode as it is written in a policy.
fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "dry-run",
        Mode::Enforce => "enforce",
    }
}
