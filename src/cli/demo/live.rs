//! `retaind demo`: the daemon on the emulator in this process, with files that can be edited and a clock that runs sixty times as fast, so
//! that there is something to see in its metrics and its status.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Configuration;
use crate::daemon::{self, Daemon, Orders};
use crate::emulator::{Credential, Emulator, Options, Permissions};
use crate::state::State;

use super::super::{End, Failure, connect, print, signals};
use super::{ESTATE, POLICIES, estate};

/// A second here is a minute there: a schedule of every ten minutes runs every ten seconds.
const SPEED: i32 = 60;
/// Between two builds that somebody pushes.
const BUILD_EVERY: Duration = Duration::from_secs(4);
/// How old a build is made: an hour younger than the policy lets it become, so that it goes after a minute.
const BUILD_AGE: &str = "335h";
/// Who cleans. The registry ends with this process, so there is nothing to protect.
const USER: &str = "retaind";
const PASSWORD: &str = "demo";
/// The schedule of the demo's policies.
const SCHEDULE: &str = "*/10 * * * *";

/// Runs until a signal says stop.
pub(super) async fn live(clock: &Clock) -> Result<End, Failure> {
    let failed = |error: io::Error| Failure::partial(format!("the demo cannot start: {error}"));
    let clock = fast(clock);
    let told = clock.clone();
    let options = Options { credentials: vec![credential()], ..Options::default() };
    let emulator = Emulator::new(options, Arc::new(move || told.now()));
    emulator.seed(ESTATE).map_err(|error| Failure::partial(error.to_string()))?;
    let registry = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let endpoint = registry.local_addr().map_err(failed)?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let folder = Folder::new().map_err(failed)?;
    folder.write("password", PASSWORD).map_err(failed)?;
    let config = folder.write("retaind.yaml", &settings(&endpoint.to_string())).map_err(failed)?;
    let policies = folder.write("policies.yaml", &scheduled(POLICIES)).map_err(failed)?;

    print(&format!("An imitation of Azure Container Registry on http://{endpoint} holds\n\n{}\n", estate(&emulator)));
    print(&format!(
        "The daemon cleans it; a second is a minute there, so a policy runs every ten seconds, and new builds come in all the time.\n\n  \
         metrics   http://{address}/metrics\n  status    http://{address}/api/v1/status\n  ready     http://{address}/readyz?verbose\n  \
         policies  {} (edit them: the first run afterwards only reports)\n  pause     retaind pause --config {}\n\nCtrl-C ends it.\n\n",
        policies.display(),
        config.display(),
    ));
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    signals::on_first(move || stopping.cancel());
    let serving = CancellationToken::new();
    let server = tokio::spawn(emulator.clone().serve(registry, serving.clone().cancelled_owned()));
    let builds = tokio::spawn(stop.clone().run_until_cancelled_owned(push_builds(emulator)));
    let connecting = clock.clone();
    let daemon = Daemon {
        configuration: Configuration::load(&config)?,
        config,
        state: State::open(&folder.0.join("state"))?,
        clock,
        connect: Box::new(move |registry| connect::client(registry, &connecting).map_err(|failure| failure.said)),
        listener,
        seed: fastrand::u64(..),
    };
    daemon::run(daemon, Orders { stop, reload: signals::hangups() }).await;
    serving.cancel();
    // Both only end by their tokens; a panic in them would have been shown.
    let _ = tokio::join!(server, builds);
    Ok(End::Done)
}

/// A clock that goes sixty times as fast from now on.
fn fast(clock: &Clock) -> Clock {
    let (began_at, began) = (clock.now(), Instant::now());
    Clock::new(move || {
        let passed = SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX);
        began_at.checked_add(passed.saturating_mul(SPEED)).unwrap_or(Timestamp::MAX)
    })
}

/// Somebody builds a pull request, again and again.
async fn push_builds(emulator: Emulator) {
    for number in 1_u32.. {
        tokio::time::sleep(BUILD_EVERY).await;
        let drawing = format!("repository payments/api\n  image build-{number} tags pr-{} age {BUILD_AGE} size 91MB\n", 100 + number);
        // The drawing is ours; what it holds was tried.
        let _ = emulator.seed(&drawing);
    }
}

/// The rights that a clean-up needs, and no others: what the daemon says of them at its start is what a good set-up looks like.
fn credential() -> Credential {
    let permissions =
        Permissions { catalog: true, pull: true, delete: true, metadata_read: true, metadata_write: true, ..Permissions::NONE };
    Credential { user: USER.to_owned(), password: PASSWORD.to_owned(), permissions, repositories: None }
}

fn settings(endpoint: &str) -> String {
    format!(
        "version: 1\nregistries:\n  - name: demo\n    endpoint: http://{endpoint}\n    auth: {{ kind: basic, username: {USER}, password_file: password }}\npolicies: policies.yaml\nstate: {{ dir: state }}\nserver: {{ repository_metrics: 20 }}\n"
    )
}

/// The demo's policies, each with a schedule.
fn scheduled(policies: &str) -> String {
    policies.replace("    repositories:", &format!("    schedule: \"{SCHEDULE}\"\n    repositories:"))
}

/// A folder that is gone when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("retaind-demo-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left lies in the temporary folder of the system, which cleans it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
