//! `retaind run`: opens what the daemon works on and hands it the signals.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Configuration;
use crate::daemon::{self, Daemon, Orders};

use super::args::RunArguments;
use super::{End, Failure, complain, connect, open, signals};

/// Runs until a signal says stop.
pub(super) async fn run(arguments: &RunArguments, clock: &Clock) -> Result<End, Failure> {
    let selection = &arguments.selection;
    if selection.policy.is_some() || selection.registry.is_some() {
        return Err(Failure::unusable("--policy and --registry go with --once: the daemon runs every policy at its time"));
    }
    let configuration = Configuration::load(&selection.config)?;
    let state = open::state(&configuration.state)?;
    if !state.is_durable() && !configuration.state.volatile && configuration.policies.iter().any(|policy| policy.is_enforced()) {
        complain("there is no state.dir: nothing will be deleted, because nothing would remember it");
    }
    let listen = configuration.server.listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| Failure::unusable(format!("cannot listen on {listen}: {error}")))?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    signals::on_first(move || stopping.cancel());
    let (connecting, budgets) = (clock.clone(), connect::Budgets::default());
    let daemon = Daemon {
        config: selection.config.clone(),
        configuration,
        state,
        clock: clock.clone(),
        connect: Box::new(move |registry| connect::sharing_client(registry, &connecting, &budgets).map_err(|failure| failure.said)),
        listener,
        seed: fastrand::u64(..),
    };
    daemon::run(daemon, Orders { stop, reload: signals::hangups() }).await;
    Ok(End::Done)
}
