//! `retaind demo`: the main job from end to end, on the emulator in this process, through real sockets and the real client.

mod live;

use std::fmt::Write as _;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{self, Configuration};
use crate::emulator::{Emulator, Options};
use crate::pipeline::apply::Brakes;
use crate::state::State;

use super::args::DemoArguments;
use super::{End, Failure, connect, print, run};

const ESTATE: &str = include_str!("estate.txt");
const POLICIES: &str = include_str!("policies.yaml");

/// The daemon, or one run of each policy.
pub(super) async fn demo(arguments: &DemoArguments, clock: &Clock) -> Result<End, Failure> {
    let DemoArguments { once } = arguments;
    if *once { self::once(clock).await } else { live::live(clock).await }
}

/// Shows the registry, the policies, the plan, what was done, and what is left.
async fn once(clock: &Clock) -> Result<End, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::partial(format!("the demo cannot start: {error}"));
    let told = clock.clone();
    let emulator =
        Emulator::new(Options { anonymous_pull: true, require_auth: false, ..Options::default() }, std::sync::Arc::new(move || told.now()));
    emulator.seed(ESTATE).map_err(|error| failed(&error))?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(&error))?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let stop = CancellationToken::new();
    let server = tokio::spawn(emulator.clone().serve(listener, stop.clone().cancelled_owned()));

    let settings = format!(
        "version: 1\nregistries:\n  - name: demo\n    endpoint: http://{address}\n    auth: {{ kind: anonymous }}\npolicies: policies.yaml\nstate: {{ volatile: true }}\n"
    );
    let configuration = config::resolve_texts(("retaind.yaml", &settings), &[("policies.yaml", POLICIES)])?;
    print(&format!("An imitation of Azure Container Registry on http://{address} holds\n\n{}\n", estate(&emulator)));
    print(&format!("and these are the policies\n\n{}\n", indented(POLICIES)));
    let end = both(&configuration, clock).await?;
    print(&format!("What is left:\n\n{}\n", estate(&emulator)));
    print("Planned once more, nothing is left to do:\n\n");
    let again = both(&configuration, clock).await?;
    stop.cancel();
    // The server only ends by the token; a panic in it would have shown above.
    let _ = server.await;
    Ok(end.max(again))
}

/// Runs each policy once.
async fn both(configuration: &Configuration, clock: &Clock) -> Result<End, Failure> {
    let state = State::in_memory()?;
    let mut end = End::Done;
    for policy in &configuration.policies {
        for registry in &configuration.registries {
            let client = connect::client(registry, clock)?;
            let wired = run::Wired { configuration, client, state: &state, clock, brakes: &Brakes::new() };
            end = end.max(run::one(wired, policy, None, None).await?);
            print("\n");
        }
    }
    Ok(end)
}

/// One line for each repository.
fn estate(emulator: &Emulator) -> String {
    let mut text = String::new();
    for (name, repository) in emulator.snapshot() {
        let _ = writeln!(text, "  {name:<22} {:>3} manifests, {:>3} tags", repository.digests.len(), repository.tags.len());
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut indented, line| {
        let _ = writeln!(indented, "  {line}");
        indented
    })
}
