//! `retaind emulate`: serves the emulator until it is told to stop.

mod arguments;

use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::emulator::{Credential, Emulator, Options, Permissions, Throttle, Tls, serve_admin};
use crate::policy::Age;

use super::{End, Failure, open, print, signals};

pub(super) use arguments::EmulateArguments;

/// The admin user's name: ACR calls it as the registry is called, and the emulator cannot know its own name.
const ADMIN: &str = "admin";

/// Serves.
pub(super) async fn emulate(arguments: &EmulateArguments) -> Result<End, Failure> {
    let EmulateArguments { listen, admin_listen, replica_listen, tls_dir, tls_name, .. } = arguments;
    let texts = Texts::read(arguments)?;
    let emulator = Emulator::with_system_clock(options(arguments)?);
    texts.apply(&emulator, arguments)?;
    let listener = bind(*listen).await?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_at_signal(stop.clone()));
    let serving = TaskTracker::new();
    if let Some(address) = admin_listen {
        let listener = bind(*address).await?;
        print(&format!("admin endpoint on http://{}\n", listener.local_addr().unwrap_or(*address)));
        let router = emulator.admin_router(texts.seed, texts.faults);
        serving.spawn(serve_admin(router, listener, stop.clone().cancelled_owned()));
    }
    let address = listener.local_addr().unwrap_or(*listen);
    let tls = tls_dir.as_ref().map(|dir| certificate(dir, tls_name)).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(address) = replica_listen {
        let listener = bind(*address).await?;
        print(&format!("replica on {scheme}://{}\n", listener.local_addr().unwrap_or(*address)));
        serving.spawn(emulator.clone().serve_replica(listener, tls.clone(), stop.clone().cancelled_owned()));
    }
    let authority = tls_dir.as_ref().map_or_else(String::new, |dir| format!(", its authority is {}", dir.join("ca.pem").display()));
    print(&format!("emulating Azure Container Registry on {scheme}://{address}{authority}\n"));
    match tls {
        Some(tls) => emulator.serve_tls(listener, &tls, stop.cancelled()).await,
        None => emulator.serve(listener, stop.cancelled()).await,
    }
    serving.close();
    serving.wait().await;
    Ok(End::Done)
}

/// The files that the arguments name, as they were read once.
struct Texts {
    seed: Option<String>,
    faults: Option<String>,
    roles: Option<String>,
}

impl Texts {
    fn read(arguments: &EmulateArguments) -> Result<Self, Failure> {
        let read = |file: &Option<PathBuf>| file.as_ref().map(|file| open::read(file)).transpose();
        Ok(Self { seed: read(&arguments.seed)?, faults: read(&arguments.faults)?, roles: read(&arguments.roles)? })
    }

    fn apply(&self, emulator: &Emulator, arguments: &EmulateArguments) -> Result<(), Failure> {
        let wrong = |file: &Option<PathBuf>, error: &dyn std::fmt::Display| {
            let file = file.as_ref().map_or_else(String::new, |file| file.display().to_string());
            Failure::unusable(format!("{file}: {error}"))
        };
        if let Some(text) = &self.seed {
            emulator.seed(text).map_err(|error| wrong(&arguments.seed, &error))?;
        }
        if let Some(text) = &self.faults {
            emulator.inject_script(text).map_err(|error| wrong(&arguments.faults, &error))?;
        }
        if let Some(text) = &self.roles {
            emulator.assign_roles(text).map_err(|error| wrong(&arguments.roles, &error))?;
        }
        Ok(())
    }
}

/// A certificate for these further names, whose authority is written to `dir`.
fn certificate(dir: &Path, names: &[String]) -> Result<Tls, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::unusable(format!("cannot serve HTTPS: {error}"));
    let tls = Tls::new(names).map_err(|error| failed(&error))?;
    tls.write_ca(dir).map_err(|error| failed(&error))?;
    Ok(tls)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    if !address.ip().is_loopback() {
        return Err(Failure::unusable(format!(
            "{address} is not a loopback address, and the emulator protects nothing: listen on 127.0.0.1"
        )));
    }
    TcpListener::bind(address).await.map_err(|error| Failure::unusable(format!("cannot listen on {address}: {error}")))
}

async fn stop_at_signal(stop: CancellationToken) {
    if signals::first().await.is_none() {
        pending::<()>().await;
    }
    stop.cancel();
}

/// Which registry it is.
fn options(arguments: &EmulateArguments) -> Result<Options, Failure> {
    let admin = match &arguments.admin_password_file {
        Some(file) => {
            let password = open::read_secret(file)?;
            Some(Credential { user: ADMIN.to_owned(), password, permissions: Permissions::ALL, repositories: None })
        }
        None => None,
    };
    let mut options = Options {
        require_auth: !arguments.open,
        anonymous_pull: arguments.anonymous_pull,
        credentials: admin.into_iter().collect(),
        blob_redirect: !arguments.no_blob_redirect,
        by_repository: arguments.abac,
        quarantine: arguments.quarantine,
        connections_max: usize::try_from(arguments.max_connections).unwrap_or(usize::MAX),
        clock_skew: arguments.clock_skew.0,
        latency: arguments.latency.0.unsigned_abs(),
        throttle: arguments.sku.map(|sku| Throttle { wait: arguments.retry_after.0, ..Throttle::of(sku) }),
        push_age: arguments.push_age.map_or(SignedDuration::ZERO, Age::duration),
        soft_delete: arguments.soft_delete.map(|retention| retention.0),
        listing_lag: arguments.listing_lag.0,
        replica_lag: if arguments.replica_listen.is_some() { arguments.replica_lag.0 } else { SignedDuration::ZERO },
        ..Options::default()
    };
    for answer in &arguments.assume {
        options.assume(answer).map_err(|said| Failure::unusable(format!("--assume {answer}: {said}")))?;
    }
    Ok(options)
}
