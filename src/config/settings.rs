//! The configuration as the rest of the program sees it: resolved, with nothing left to parse. Plain values; knows no YAML and no
//! file.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::SignedDuration;

use crate::model::RegistryName;
use crate::policy::Policy;

use super::files::Texts;
use super::written::Written;

/// The audience of Microsoft Entra tokens for the public cloud's registries.
pub const AUDIENCE: &str = "https://containerregistry.azure.net";

/// Everything that was configured, valid as a whole.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// At least one, in the order of the file; names and endpoints are unique.
    pub registries: Vec<Registry>,
    /// At least one, in the order of files; names are unique.
    pub policies: Vec<Policy>,
    /// Each of them as it is written, in the same order.
    pub written: Vec<Written>,
    /// What is remembered between runs.
    pub state: StateSettings,
    /// Health and metrics.
    pub server: ServerSettings,
    /// Whether deleting is paused.
    pub paused: bool,
    /// The files that were read: the settings first, then the policy files in the order of reading.
    pub files: Vec<PathBuf>,
    /// The files of policy tests beside them, which are not part of the configuration.
    pub test_files: Vec<PathBuf>,
    /// SHA-256 over the names and bytes of those files: equal hashes mean equal configurations.
    pub content_hash: [u8; 32],
    /// What stands behind each entry of `policies` in the settings, to stand in for it should its files be broken.
    pub(super) texts: Vec<Texts>,
}

/// A registry and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// What policies call it.
    pub name: RegistryName,
    /// Scheme and authority only; `http` only when the host is a loopback address.
    pub endpoint: http::Uri,
    /// How to prove who we are.
    pub auth: Auth,
    /// How to prove who changes something, if that is somebody else than who plans.
    pub apply_auth: Option<Auth>,
    /// Where Microsoft Entra tokens come from; None: found out.
    pub authority: Option<String>,
    /// The audience of Microsoft Entra tokens.
    pub audience: String,
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// Where the request rate starts. None: nothing is written, which stands for the default except on this machine.
    pub throttle: Option<Throttle>,
}

/// How to prove who we are. Secrets are paths of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Whatever the place where we run offers.
    Auto,
    /// A federated Kubernetes service account; what is None comes from the variables of the webhook.
    WorkloadIdentity {
        /// The application.
        client_id: Option<String>,
        /// The tenant.
        tenant_id: Option<String>,
        /// The projected token.
        token_file: Option<PathBuf>,
    },
    /// The identity of the host.
    ManagedIdentity {
        /// A user-assigned identity; None: the system-assigned one.
        client_id: Option<String>,
    },
    /// A service principal with a secret.
    ClientSecret {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Where the secret is.
        secret_file: PathBuf,
    },
    /// A service principal with a certificate.
    ClientCertificate {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Where the certificate is, PEM.
        certificate_file: PathBuf,
        /// Where its key is; None: in the same file.
        key_file: Option<PathBuf>,
    },
    /// Whoever is signed in to the Azure CLI.
    AzureCli {
        /// The tenant.
        tenant_id: Option<String>,
    },
    /// The service connection of a pipeline; what is None comes from the variables of the job.
    AzurePipelines {
        /// The tenant.
        tenant_id: Option<String>,
        /// The application.
        client_id: Option<String>,
        /// The connection.
        service_connection_id: Option<String>,
    },
    /// A scope-map token or the admin user.
    Basic {
        /// The token's name.
        username: String,
        /// Where the password is.
        password_file: PathBuf,
    },
    /// No identity.
    Anonymous,
}

/// Where the request rate of a registry starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// The registry's service tier.
    pub sku: Sku,
    /// How much of the tier's rate may be used, from 1 to 100 percent.
    pub share_percent: u8,
}

/// A service tier of Azure Container Registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sku {
    /// Basic.
    Basic,
    /// Standard.
    Standard,
    /// Premium.
    Premium,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { sku: Sku::Standard, share_percent: 50 }
    }
}

/// What is remembered between runs, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// None: in memory.
    pub dir: Option<PathBuf>,
    /// Says that in memory is meant, so that `enforce` may delete without a folder.
    pub volatile: bool,
    /// How long runs and their changes are remembered.
    pub history: SignedDuration,
}

impl StateSettings {
    /// The shortest history that may be set: twice as long as a saved plan or an approval is good for.
    pub const HISTORY_MIN: SignedDuration = SignedDuration::from_hours(48);
}

impl Default for StateSettings {
    /// A year and a month, so that "this time last year" can be answered.
    fn default() -> Self {
        Self { dir: None, volatile: false, history: SignedDuration::from_hours(400 * 24) }
    }
}

/// Health and metrics over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How many repositories of each policy on each registry have metrics of their own.
    pub repository_metrics: usize,
}

impl Default for ServerSettings {
    /// Loopback: opening a port to others is something to be written.
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), repository_metrics: 0 }
    }
}
