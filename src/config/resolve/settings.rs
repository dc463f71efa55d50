//! The settings: registries and how to reach them, paths, the address to listen on.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use http::Uri;

use super::{Context, Found, Known, PolicyPath, Scope};
use crate::config::check::check;
use crate::config::item::{Item, Object};
use crate::config::problem::{Complaint, Problem, Source};
use crate::config::settings::{AUDIENCE, Auth, Registry, ServerSettings, Sku, StateSettings, Throttle};
use crate::config::shape::SETTINGS;
use crate::model::RegistryName;

/// Most entries of `policies`: as many as a folder may have files.
const POLICY_PATHS_MAX: usize = 256;

/// Resolves the settings file; `folder` is where its relative paths begin.
pub(in crate::config) fn settings(source: &Source, folder: &Path, problems: &mut Vec<Problem>) -> Found {
    let Some(file) = check(source, &SETTINGS, problems) else { return Found::default() };
    let mut context = Context::new(source, problems);
    let (registries, known) = registries(&mut context, file.items("registries"), folder);
    let policies = policies(&mut context, file.get("policies"), &known, folder);
    Found {
        registries,
        known,
        policies,
        state: file.object("state").map(|state| state_settings(&mut context, state, folder)).unwrap_or_default(),
        server: file.object("server").map(|server| server_settings(&mut context, server)).unwrap_or_default(),
        paused: file.bool("paused").unwrap_or_default(),
    }
}

/// One path, or several, each with what is given to it.
fn policies(context: &mut Context<'_>, item: Option<&Item>, known: &Known, folder: &Path) -> Vec<PolicyPath> {
    let Some(item) = item else { return Vec::new() };
    if let Some(path) = item.as_text() {
        return vec![PolicyPath { path: folder.join(path), scope: None }];
    }
    if POLICY_PATHS_MAX < item.items().len() {
        let complaint = Complaint::new(format!("`policies` has more than {POLICY_PATHS_MAX} entries"));
        context.report(item, complaint.hint("an entry may be a folder: put several files into one"));
        return Vec::new();
    }
    let entry = |entry: &Item| {
        let object = entry.as_object()?;
        let scope = Scope::read(context, entry, object, known);
        Some(PolicyPath { path: folder.join(object.text("path")?), scope: Some(Arc::new(scope)) })
    };
    item.items().iter().filter_map(entry).collect()
}

fn registries(context: &mut Context<'_>, items: &[Item], folder: &Path) -> (Vec<Registry>, Known) {
    let mut registries: Vec<Registry> = Vec::new();
    let mut known = Known { complete: !items.is_empty(), ..Known::default() };
    for item in items {
        let object = item.as_object();
        let name = object.and_then(|object| registry_name(context, object));
        let endpoint = object.and_then(|object| endpoint(context, object));
        known.complete &= name.is_some();
        if let Some((item, name)) = object.and_then(|object| object.get("name")).zip(name.as_ref()) {
            if known.names.contains(name) {
                let hint = "names must be unique: policies find a registry by its name";
                context.report(item, Complaint::new(format!("a second registry is called {name}")).hint(hint));
            } else {
                known.names.push(name.clone());
            }
        }
        known.hosts.extend(endpoint.as_ref().and_then(Uri::host).map(str::to_owned));
        let (Some(object), Some(name), Some(endpoint)) = (object, name, endpoint) else { continue };
        // Two names for one registry would let a policy delete what a policy of the other name keeps.
        let twin = registries.iter().find(|registry| registry.endpoint.authority() == endpoint.authority());
        if let (Some(twin), Some(item)) = (twin, object.get("endpoint")) {
            let message = format!("{} and {name} are the same registry", twin.name);
            context.report(item, Complaint::new(message).hint("write it once; policies of both can name it"));
        }
        registries.push(Registry {
            name,
            endpoint,
            auth: object.object("auth").and_then(|object| auth(object, folder)).unwrap_or(Auth::Auto),
            apply_auth: object.object("apply_auth").and_then(|object| auth(object, folder)),
            authority: authority(context, object),
            audience: audience(context, object),
            ca_file: object.text("ca_file").map(|path| folder.join(path)),
            throttle: object.object("throttle").map(throttle),
        });
    }
    (registries, known)
}

fn registry_name(context: &mut Context<'_>, object: &Object) -> Option<RegistryName> {
    let item = object.get("name")?;
    match RegistryName::parse(item.as_text()?) {
        Ok(name) => Some(name),
        Err(error) => {
            let complaint = Complaint::new(error.to_string());
            let lower = item.as_text().map(str::to_lowercase).filter(|lower| RegistryName::parse(lower).is_ok());
            context.report(item, if let Some(lower) = lower { complaint.hint(format!("write `name: {lower}`")) } else { complaint });
            None
        }
    }
}

/// Reads scheme and authority, and nothing more.
fn endpoint(context: &mut Context<'_>, object: &Object) -> Option<Uri> {
    let item = object.get("endpoint")?;
    let text = item.as_text()?;
    let complain = |context: &mut Context<'_>, why: &str, hint: String| {
        context.report(item, Complaint::new(format!("{text:?} is not the endpoint of a registry: {why}")).hint(hint));
        None
    };
    if text.contains('@') {
        let hint = "leave them out, and write `auth: { kind: basic, … }`";
        context.report(item, Complaint::new("an endpoint does not contain a user name or password").hint(hint));
        return None;
    }
    let example = "write it as in `endpoint: https://contoso.azurecr.io`".to_owned();
    if !text.contains("://") {
        return complain(context, "the scheme is missing", format!("write `endpoint: https://{text}`"));
    }
    let Ok(uri) = text.parse::<Uri>() else { return complain(context, "it is not a URL", example) };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return complain(context, "it is not a URL", example);
    };
    if uri.query().is_some() || !matches!(uri.path(), "" | "/") {
        return complain(context, "it goes on after the host", format!("write `endpoint: {scheme}://{authority}`"));
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(authority.host()) => {}
        "http" => return complain(context, "http:// is for loopback only", format!("write `endpoint: https://{authority}`")),
        _ => return complain(context, "the scheme is not https", example),
    }
    let lower = authority.as_str().to_ascii_lowercase();
    Uri::builder().scheme(scheme).authority(lower).path_and_query("/").build().ok()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn audience(context: &mut Context<'_>, object: &Object) -> String {
    let Some((item, text)) = object.get("audience").and_then(|item| Some((item, item.as_text()?))) else { return AUDIENCE.to_owned() };
    if !text.starts_with("https://") || text.contains(char::is_whitespace) {
        context
            .report(item, Complaint::new(format!("{text:?} is not an audience")).hint(format!("write an https URL, such as {AUDIENCE}")));
    } else if let Some(short) = text.strip_suffix("/.default") {
        let message = "the audience is written without \"/.default\"";
        context.report(item, Complaint::new(message).hint(format!("write `audience: {short}`")));
    }
    text.trim_end_matches('/').to_owned()
}

/// An origin of https: what is sent there proves who we are.
fn authority(context: &mut Context<'_>, object: &Object) -> Option<String> {
    let item = object.get("authority")?;
    let text = item.as_text()?;
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https") && uri.path() == "/" && uri.query().is_none());
    if uri.and_then(|uri| uri.authority().cloned()).is_none_or(|authority| authority.as_str().contains('@')) {
        let hint = "write `authority: https://login.microsoftonline.us`, without a tenant";
        context.report(item, Complaint::new(format!("{text:?} is not a login endpoint")).hint(hint));
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

/// None when a required key is bad or missing, which has been reported.
fn auth(object: &Object, folder: &Path) -> Option<Auth> {
    let text = |key| object.text(key).map(str::to_owned);
    let file = |key| object.text(key).map(|path| folder.join(path));
    match object.shape {
        "workload_identity" => {
            Some(Auth::WorkloadIdentity { client_id: text("client_id"), tenant_id: text("tenant_id"), token_file: file("token_file") })
        }
        "managed_identity" => Some(Auth::ManagedIdentity { client_id: text("client_id") }),
        "client_secret" => {
            Some(Auth::ClientSecret { tenant_id: text("tenant_id")?, client_id: text("client_id")?, secret_file: file("secret_file")? })
        }
        "client_certificate" => Some(Auth::ClientCertificate {
            tenant_id: text("tenant_id")?,
            client_id: text("client_id")?,
            certificate_file: file("certificate_file")?,
            key_file: file("key_file"),
        }),
        "azure_cli" => Some(Auth::AzureCli { tenant_id: text("tenant_id") }),
        "azure_pipelines" => Some(Auth::AzurePipelines {
            tenant_id: text("tenant_id"),
            client_id: text("client_id"),
            service_connection_id: text("service_connection_id"),
        }),
        "basic" => Some(Auth::Basic { username: text("username")?, password_file: file("password_file")? }),
        "anonymous" => Some(Auth::Anonymous),
        _ => Some(Auth::Auto),
    }
}

fn throttle(object: &Object) -> Throttle {
    let default = Throttle::default();
    let sku = match object.word("sku") {
        Some("basic") => Sku::Basic,
        Some("premium") => Sku::Premium,
        Some(_) | None => Sku::Standard,
    };
    let share = object.integer("share").and_then(|share| u8::try_from(share).ok());
    Throttle { sku, share_percent: share.unwrap_or(default.share_percent) }
}

fn state_settings(context: &mut Context<'_>, object: &Object, folder: &Path) -> StateSettings {
    let dir = object.text("dir").map(|path| folder.join(path));
    let volatile = object.bool("volatile").unwrap_or_default();
    if let (true, Some(_), Some(item)) = (volatile, &dir, object.get("volatile")) {
        let message = "`dir` and `volatile: true` contradict each other";
        context.report(item, Complaint::new(message).hint("keep `dir` to remember, or `volatile: true` to forget"));
    }
    let history = object.age("history").map_or(StateSettings::default().history, |age| age.duration());
    if let (true, Some(item)) = (history < StateSettings::HISTORY_MIN, object.get("history")) {
        let complaint = Complaint::new("`history` is shorter than two days");
        context.report(item, complaint.hint("write `history: 2d` or more: a plan must be remembered for as long as it can be approved"));
    }
    StateSettings { dir, volatile, history }
}

fn server_settings(context: &mut Context<'_>, object: &Object) -> ServerSettings {
    let default = ServerSettings::default();
    let repository_metrics = object.integer("repository_metrics").and_then(|count| usize::try_from(count).ok());
    let repository_metrics = repository_metrics.unwrap_or(default.repository_metrics);
    let Some((item, text)) = object.get("listen").and_then(|item| Some((item, item.as_text()?))) else {
        return ServerSettings { repository_metrics, ..default };
    };
    let listen = text.parse::<SocketAddr>().unwrap_or_else(|_| {
        let hint = "write an IP address and a port, such as \"0.0.0.0:8080\" or \"[::]:8080\"";
        context.report(item, Complaint::new(format!("{text:?} is not an address to listen on")).hint(hint));
        default.listen
    });
    ServerSettings { listen, repository_metrics }
}
