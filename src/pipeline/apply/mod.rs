//! Carries an approved plan out: reads again, probes, records, requests, records. The only stage that changes a registry.
//! Decides nothing: whatever is no longer as the plan expects is skipped, and the next run decides anew.

mod brakes;
mod outcome;
mod probe;
mod recover;
mod step;

use std::collections::HashMap;

use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;

use crate::acr::Client;
use crate::clock::Clock;
use crate::model::RepositoryName;
use crate::state::{RunId, State};

use super::guard::ApprovedPlan;
use super::plan::{Delete, Steps};
use step::Worker;

pub use brakes::{Brakes, pause_file};
pub use outcome::{Applied, AppliedRepository, Counts, Outcome, StepKind, StepReport, Stopped};
pub use recover::recover;

/// Deletes side by side in one repository. Thousands at a time have left ghosts in ACR (dotnet/docker-tools#1401); five is what the
/// .NET team settled on.
const DELETES_IN_FLIGHT_MAX: usize = 5;
/// Repositories worked on side by side: with five deletes each no more than the client lets out at once anyway.
const REPOSITORIES_IN_FLIGHT_MAX: usize = 3;
/// Steps between two probes of the repository. At the 500 deletes a minute of a Standard registry that is a look every 8 seconds,
/// for three requests in 64 × 3.
const STEPS_BETWEEN_PROBES: usize = 64;

/// What applying needs beside the plan.
#[derive(Clone)]
pub struct Application {
    /// The registry.
    pub client: Client,
    /// The journal.
    pub state: State,
    /// For the times in the journal.
    pub clock: Clock,
    /// What stops it.
    pub brakes: Brakes,
    /// From when on nothing new is begun; None: it may take as long as it takes.
    pub until: Option<Timestamp>,
    /// The run that the journal's entries belong to.
    pub run: RunId,
}

/// Carries the plan out and says what became of every step. A step that fails stops no other that does not depend on it.
pub async fn apply(application: &Application, approved: &ApprovedPlan) -> Applied {
    let repositories = approved.plan().steps().filter(|(_, steps)| !steps.is_empty());
    let policy = &*approved.plan().policy;
    let work = repositories.map(|(name, steps)| repository(application, policy, name, steps));
    Applied { repositories: stream::iter(work).buffered(REPOSITORIES_IN_FLIGHT_MAX).collect().await }
}

async fn repository(application: &Application, policy: &str, name: &RepositoryName, steps: &Steps) -> AppliedRepository {
    let worker = Worker::new(application, policy, name, steps);
    let mut reports = Vec::new();
    for step in steps.locks() {
        reports.push(worker.lock(&step).await);
    }
    for portion in steps.untags.chunks(STEPS_BETWEEN_PROBES) {
        worker.probe().await;
        let work = stream::iter(portion).map(|untag| worker.untag(steps.untag(*untag)));
        reports.extend(work.buffered(DELETES_IN_FLIGHT_MAX).collect::<Vec<_>>().await);
    }
    for wave in waves(&steps.deletes, |delete| worker.waits_for(&steps.delete(delete))) {
        for portion in wave.chunks(STEPS_BETWEEN_PROBES) {
            worker.probe().await;
            let work = stream::iter(portion).map(|delete| worker.delete(steps.delete(*delete)));
            reports.extend(work.buffered(DELETES_IN_FLIGHT_MAX).collect::<Vec<_>>().await);
        }
    }
    AppliedRepository { name: name.clone(), steps: reports, stopped: worker.stopped() }
}

/// The deletes in waves: whatever waits for another is in a later wave than all that it waits for.
fn waves(deletes: &[Delete], waits_for: impl Fn(Delete) -> Vec<u32>) -> Vec<Vec<Delete>> {
    let mut wave_of: HashMap<u32, usize> = HashMap::new();
    let mut waves: Vec<Vec<Delete>> = Vec::new();
    for delete in deletes.iter().copied() {
        // Holders come first in a plan, so their waves are known; one that was cut out of the plan is in none, and the step will
        // find that it is not gone.
        let wave = waits_for(delete).iter().filter_map(|holder| wave_of.get(holder)).max().map_or(0, |wave| wave + 1);
        wave_of.insert(delete.manifest, wave);
        if waves.len() == wave {
            waves.push(Vec::new());
        }
        waves[wave].push(delete);
    }
    waves
}
