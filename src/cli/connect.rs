//! From a registry in the settings to a client of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::info;

use crate::acr::{
    Budget, CertificateFiles, Client, ClientOptions, Credential, Endpoint, EntraOptions, EntraSettings, InvalidEntraSettings, Limits,
    Pipeline, ReqwestTransport, ReqwestTransportOptions, Secret, Transport, auto_entra_settings, entra_credential, sovereign_authority,
};
use crate::clock::Clock;
use crate::config::{Auth, Registry, Sku, Throttle};
use crate::model::RegistryName;

use super::Failure;
use super::open::read_secret;

/// What may be taken of each registry's limits, shared by all clients of it in this process.
#[derive(Default)]
pub(super) struct Budgets(Mutex<BTreeMap<RegistryName, (Option<Throttle>, Budget)>>);

impl Budgets {
    fn of(&self, registry: &Registry, endpoint: &Endpoint) -> Budget {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match budgets.get(&registry.name) {
            Some((throttle, budget)) if *throttle == registry.throttle => budget.clone(),
            Some(_) | None => {
                let budget = budget(registry.throttle, endpoint);
                budgets.insert(registry.name.clone(), (registry.throttle, budget.clone()));
                budget
            }
        }
    }
}

/// A registry on this machine has no limits and nobody else's pulls, unless it is said to have.
fn budget(throttle: Option<Throttle>, endpoint: &Endpoint) -> Budget {
    match throttle {
        None if endpoint.is_loopback() => Budget::unlimited(),
        throttle => {
            let Throttle { sku, share_percent } = throttle.unwrap_or_default();
            let limits = match sku {
                Sku::Basic | Sku::Standard => Limits::STANDARD,
                Sku::Premium => Limits::PREMIUM,
            };
            Budget::new(limits, share_percent)
        }
    }
}

/// A client of the registry, over the network, for a command that does one thing.
pub(super) fn client(registry: &Registry, clock: &Clock) -> Result<Client, Failure> {
    sharing_client(registry, clock, &Budgets::default())
}

/// A client of the registry that shares the budget with those made before it.
pub(super) fn sharing_client(registry: &Registry, clock: &Clock, budgets: &Budgets) -> Result<Client, Failure> {
    let unusable = |why: &dyn std::fmt::Display| Failure::unusable(format!("registry {}: {why}", registry.name));
    let options = ReqwestTransportOptions { ca_file: registry.ca_file.clone() };
    let transport: Arc<dyn Transport> = Arc::new(ReqwestTransport::new(&options).map_err(|error| unusable(&error))?);
    let endpoint = Endpoint::parse(&registry.endpoint.to_string()).map_err(|error| unusable(&error))?;
    let through = Through { transport: Arc::clone(&transport), clock: clock.clone() };
    let apply_credential = registry.apply_auth.as_ref().map(|auth| credential(registry, auth, &endpoint, &through)).transpose()?;
    let credential = credential(registry, &registry.auth, &endpoint, &through)?;
    let budget = budgets.of(registry, &endpoint);
    let options = ClientOptions {
        registry: registry.name.clone(),
        endpoint,
        transport,
        credential,
        apply_credential,
        clock: clock.clone(),
        budget,
        jitter_seed: fastrand::u64(..),
    };
    Ok(Client::new(options))
}

fn credential(registry: &Registry, auth: &Auth, endpoint: &Endpoint, through: &Through) -> Result<Credential, Failure> {
    let lookup = |name: &str| std::env::var(name).ok();
    let unusable = |error: InvalidEntraSettings| Failure::unusable(format!("registry {}: {error}", registry.name));
    let mut advice = None;
    let settings = match auth {
        Auth::Anonymous => return Ok(Credential::Anonymous),
        Auth::Basic { username, password_file } => {
            return Ok(Credential::Basic { user: username.clone(), password: Secret::new(read_secret(password_file)?) });
        }
        Auth::Auto => {
            let chosen = auto_entra_settings(&lookup, &|path| path.exists()).map_err(unusable)?;
            info!(registry = %registry.name, "identity: {}", chosen.why);
            advice = chosen.advice;
            chosen.settings
        }
        Auth::WorkloadIdentity { client_id, tenant_id, token_file } => {
            EntraSettings::workload_identity(client_id.clone(), tenant_id.clone(), token_file.clone(), &lookup).map_err(unusable)?
        }
        Auth::ManagedIdentity { client_id } => EntraSettings::ManagedIdentity { client_id: client_id.clone() },
        Auth::ClientSecret { tenant_id, client_id, secret_file } => EntraSettings::ClientSecret {
            tenant_id: tenant_id.clone(),
            client_id: client_id.clone(),
            secret: Secret::new(read_secret(secret_file)?),
        },
        Auth::ClientCertificate { tenant_id, client_id, certificate_file, key_file } => EntraSettings::ClientCertificate {
            tenant_id: tenant_id.clone(),
            client_id: client_id.clone(),
            files: CertificateFiles { certificate: certificate_file.clone(), key: key_file.clone() },
        },
        Auth::AzureCli { tenant_id } => EntraSettings::AzureCli { tenant_id: tenant_id.clone() },
        Auth::AzurePipelines { tenant_id, client_id, service_connection_id } => {
            let given = Pipeline {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
                service_connection_id: service_connection_id.clone(),
            };
            EntraSettings::azure_pipelines(given, &lookup).map_err(unusable)?
        }
    };
    let authority_host = registry.authority.clone().or_else(|| lookup("AZURE_AUTHORITY_HOST").filter(|host| !host.is_empty()));
    let authority_host = authority_host.or_else(|| sovereign_authority(endpoint).map(str::to_owned));
    let Through { transport, clock } = through;
    let options = EntraOptions { settings, authority_host, transport: Arc::clone(transport), clock: clock.clone() };
    let credential = entra_credential(options);
    Ok(Credential::Entra { credential, advice, audience: registry.audience.clone() })
}

/// What credentials work with.
struct Through {
    transport: Arc<dyn Transport>,
    clock: Clock,
}
