//! `retaind emulate`: serves the emulator until it is told to stop.

mod arguments;

use std::future::pending;

use jiff::SignedDuration;
use tokio::net::TcpListener;

use crate::emulator::{Credential, Emulator, Options, Permissions, Throttle, Tls};
use crate::policy::Age;

use super::{End, Failure, open, print, signals};

pub(super) use arguments::EmulateArguments;

/// The admin user's name: ACR calls it as the registry is called, and the emulator cannot know its own name.
const ADMIN: &str = "admin";

/// Serves.
pub(super) async fn emulate(arguments: &EmulateArguments) -> Result<End, Failure> {
    let EmulateArguments { listen, seed, tls_dir, tls_name, faults, .. } = arguments;
    if !listen.ip().is_loopback() {
        return Err(Failure::unusable(format!(
            "{listen} is not a loopback address, and the emulator protects nothing: listen on 127.0.0.1"
        )));
    }
    let options = options(arguments)?;
    let emulator = Emulator::with_system_clock(options);
    if let Some(seed) = seed {
        emulator.seed(&open::read(seed)?).map_err(|error| Failure::unusable(format!("{}: {error}", seed.display())))?;
    }
    if let Some(faults) = faults {
        let script = open::read(faults)?;
        emulator.inject_script(&script).map_err(|error| Failure::unusable(format!("{}: {error}", faults.display())))?;
    }
    let listener = TcpListener::bind(listen).await.map_err(|error| Failure::unusable(format!("cannot listen on {listen}: {error}")))?;
    let address = listener.local_addr().unwrap_or(*listen);
    let shutdown = async {
        if signals::first().await.is_none() {
            pending::<()>().await;
        }
    };
    if let Some(dir) = tls_dir {
        let failed = |error: &dyn std::fmt::Display| Failure::unusable(format!("cannot serve HTTPS: {error}"));
        let tls = Tls::new(tls_name).map_err(|error| failed(&error))?;
        tls.write_ca(dir).map_err(|error| failed(&error))?;
        print(&format!("emulating Azure Container Registry on https://{address}, its authority is {}\n", dir.join("ca.pem").display()));
        emulator.serve_tls(listener, &tls, shutdown).await;
    } else {
        print(&format!("emulating Azure Container Registry on http://{address}\n"));
        emulator.serve(listener, shutdown).await;
    }
    Ok(End::Done)
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
    Ok(Options {
        require_auth: !arguments.open,
        anonymous_pull: arguments.anonymous_pull,
        credentials: admin.into_iter().collect(),
        blob_redirect: !arguments.no_blob_redirect,
        latency: arguments.latency.0.unsigned_abs(),
        throttle: arguments.sku.map(|sku| Throttle { wait: arguments.retry_after.0, ..Throttle::of(sku) }),
        push_age: arguments.push_age.map_or(SignedDuration::ZERO, Age::duration),
        ..Options::default()
    })
}
