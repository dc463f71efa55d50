//! The end of the program as the system asks for it: SIGTERM or SIGINT stops new work, a second one ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
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

/// Lets the first signal pull the brakes; the second one ends the process.
pub(super) fn brakes(brakes: Brakes) -> Brakes {
    let pulled = brakes.clone();
    on_first(move || pulled.pull());
    brakes
}

/// Does something at the first signal; the second one ends the process.
pub(super) fn on_first(stop: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        let Some((mut terminate, mut interrupt)) = listen() else { return };
        either(&mut terminate, &mut interrupt).await;
        warn!("asked to stop: nothing new is begun, requests on their way are finished; a second signal ends at once");
        stop();
        either(&mut terminate, &mut interrupt).await;
        error!("ended by a second signal; the next run reads what became of requests on their way");
        std::process::exit(ABORTED);
    });
}

/// A message for each SIGHUP.
pub(super) fn hangups() -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(async move {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            // One that waits to be seen is as good as two.
            let _ = tell.try_send(());
        }
    });
    told
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
