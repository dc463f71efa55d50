//! The end of the program as the system asks for it: SIGTERM or SIGINT stops new work, a second one ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, warn};

use crate::pipeline::apply::Brakes;

/// The exit code of a process that a second signal ended: what shells report for SIGINT.
const ABORTED: i32 = 130;

/// Waits for the first signal. None: signals cannot be listened for.
pub(super) async fn first() -> Option<()> {
    let (mut terminate, mut interrupt) = listen()?;
    either(&mut terminate, &mut interrupt).await;
    Some(())
}

/// Brakes that the first signal pulls; the second one ends the process.
pub(super) fn brakes() -> Brakes {
    let brakes = Brakes::new();
    let pulled = brakes.clone();
    tokio::spawn(async move {
        let Some((mut terminate, mut interrupt)) = listen() else { return };
        either(&mut terminate, &mut interrupt).await;
        warn!("asked to stop: nothing new is begun, requests on their way are finished; a second signal ends at once");
        pulled.pull();
        either(&mut terminate, &mut interrupt).await;
        error!("ended by a second signal; the next run reads what became of requests on their way");
        std::process::exit(ABORTED);
    });
    brakes
}

fn listen() -> Option<(Signal, Signal)> {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => Some((terminate, interrupt)),
        (Err(error), _) | (_, Err(error)) => {
            error!(%error, "cannot listen for signals");
            None
        }
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
