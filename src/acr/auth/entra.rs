//! Identities of Microsoft Entra, through our own transport: so that the extra CA, the proxy and the time limits are the
//! same as for the registry, and so that Entra's own words reach the operator, which the library loses on the way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{self as azure_http, AsyncRawResponse, ClientOptions, HttpClient, RetryOptions};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use bytes::Bytes;
use serde::Deserialize;

use super::assertion::{CertificateFiles, PipelineAssertion, ServiceConnection, SignedAssertion};
use super::secret::Secret;
use crate::acr::endpoint::Endpoint;
use crate::acr::error::{chain, printable};
use crate::acr::limits::{AZURE_CLI_MAX, ENTRA_MAX, TOKEN_MAX_BYTES};
use crate::acr::transport::{Transport, Unread};
use crate::clock::Clock;

/// Which identity to be.
#[derive(Debug, Clone)]
pub enum EntraSettings {
    /// A Kubernetes service account that is federated with an identity.
    WorkloadIdentity {
        /// The identity's client ID.
        client_id: String,
        /// Its tenant.
        tenant_id: String,
        /// Where Kubernetes puts the service account's token.
        token_file: PathBuf,
    },
    /// The identity of the machine.
    ManagedIdentity {
        /// The client ID of a user-assigned identity. None: the system-assigned one.
        client_id: Option<String>,
    },
    /// An application with a secret.
    ClientSecret {
        /// Its tenant.
        tenant_id: String,
        /// Its client ID.
        client_id: String,
        /// Its secret.
        secret: Secret,
    },
    /// An application with a certificate.
    ClientCertificate {
        /// Its tenant.
        tenant_id: String,
        /// Its client ID.
        client_id: String,
        /// Where the certificate is.
        files: CertificateFiles,
    },
    /// Whoever is signed in to the Azure CLI.
    AzureCli {
        /// The tenant. None: the one that the CLI is set to.
        tenant_id: Option<String>,
    },
    /// The service connection of a job in Azure Pipelines.
    AzurePipelines {
        /// The tenant of its application.
        tenant_id: String,
        /// The application's client ID.
        client_id: String,
        /// The connection.
        connection: ServiceConnection,
    },
}

/// What an Entra credential is made of.
pub struct EntraOptions {
    /// Which identity to be.
    pub settings: EntraSettings,
    /// The cloud's login endpoint, `https://login.microsoftonline.com` if not given.
    pub authority_host: Option<String>,
    /// What carries the requests.
    pub transport: Arc<dyn Transport>,
    /// Tells the times that assertions carry.
    pub clock: Clock,
}

/// An identity that was found in the environment.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Which.
    pub settings: EntraSettings,
    /// Which and why, in words.
    pub why: &'static str,
    /// Where it was taken for want of another: what was looked for, and what to do where it is not meant.
    pub advice: Option<&'static str>,
}

/// Outside of Azure no machine has an identity, and nothing answers: whoever tries the program there must not be left with that.
const NOTHING_ELSE: &str = "`auth: auto` found no workload identity, secret, certificate or pipeline in the environment and nobody signed \
                            in to the Azure CLI, so it asked for this machine's managed identity; on a machine outside of Azure run \
                            `az login` (azure_cli), or set `auth` to workload_identity, client_secret or client_certificate";
const IN_A_POD: &str = "`auth: auto` found no workload identity, secret or certificate in this pod, so it asked for the node's managed \
                        identity; label the pod azure.workload.identity/use: \"true\" (workload_identity), or set `auth` to client_secret or \
                        client_certificate";
const NO_SECRET: &str = "`auth: auto` took AZURE_CLIENT_ID for a managed identity of this machine, because no token file, secret or \
                         certificate is set beside it; if it is an application's, set AZURE_TENANT_ID and AZURE_CLIENT_SECRET, too";

/// Settings that name no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct InvalidEntraSettings {
    said: String,
}

impl EntraSettings {
    /// A workload identity; what is not given comes from the variables that the webhook of AKS sets.
    ///
    /// # Errors
    /// Something is neither given nor in the environment.
    pub fn workload_identity(
        client_id: Option<String>,
        tenant_id: Option<String>,
        token_file: Option<PathBuf>,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidEntraSettings> {
        let needed = |given: Option<String>, key: &str, variable: &str| {
            let missing = || InvalidEntraSettings {
                said: format!("workload identity needs {key} or {variable}; is the pod labelled azure.workload.identity/use: \"true\"?"),
            };
            given.or_else(|| set(lookup, variable)).ok_or_else(missing)
        };
        Ok(Self::WorkloadIdentity {
            client_id: needed(client_id, "client_id", "AZURE_CLIENT_ID")?,
            tenant_id: needed(tenant_id, "tenant_id", "AZURE_TENANT_ID")?,
            token_file: match token_file {
                Some(token_file) => token_file,
                None => needed(None, "token_file", "AZURE_FEDERATED_TOKEN_FILE")?.into(),
            },
        })
    }
}

/// The login endpoint of the cloud that a registry is in, by its name. None: the public one, or a name of one's own.
pub fn sovereign_authority(endpoint: &Endpoint) -> Option<&'static str> {
    let host = endpoint.login_server();
    if host.ends_with(".azurecr.us") {
        Some("https://login.microsoftonline.us")
    } else if host.ends_with(".azurecr.cn") {
        Some("https://login.chinacloudapi.cn")
    } else {
        None
    }
}

/// Chooses an identity by what the environment offers, and says which and why. A choice once made is kept: falling through
/// to another identity when a token is refused would hide the mistake. `exists` tells whether a file is there.
///
/// 1. What is set on purpose for this process: workload identity, an application's secret or certificate, a pipeline's connection.
/// 2. The identity of the host, where something says that there is one.
/// 3. The Azure CLI, where somebody has signed in.
/// 4. The identity of the host all the same: a virtual machine has one without saying so.
///
/// # Errors
/// The environment offers half of something.
pub fn auto_entra_settings(
    lookup: &dyn Fn(&str) -> Option<String>,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Chosen, InvalidEntraSettings> {
    let on_purpose = |settings, why| Ok(Chosen { settings, why, advice: None });
    if set(lookup, "AZURE_FEDERATED_TOKEN_FILE").is_some() {
        let settings = EntraSettings::workload_identity(None, None, None, lookup)?;
        return on_purpose(settings, "workload identity, because AZURE_FEDERATED_TOKEN_FILE is set");
    }
    let client_id = set(lookup, "AZURE_CLIENT_ID");
    if let Some(secret) = set(lookup, "AZURE_CLIENT_SECRET") {
        let (tenant_id, client_id) = application(lookup, "AZURE_CLIENT_SECRET")?;
        let settings = EntraSettings::ClientSecret { tenant_id, client_id, secret: Secret::new(secret) };
        return on_purpose(settings, "client secret, because AZURE_CLIENT_SECRET is set");
    }
    if let Some(certificate) = set(lookup, "AZURE_CLIENT_CERTIFICATE_PATH") {
        let (tenant_id, client_id) = application(lookup, "AZURE_CLIENT_CERTIFICATE_PATH")?;
        let files = CertificateFiles { certificate: certificate.into(), key: None };
        let settings = EntraSettings::ClientCertificate { tenant_id, client_id, files };
        return on_purpose(settings, "client certificate, because AZURE_CLIENT_CERTIFICATE_PATH is set");
    }
    if set(lookup, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID").is_some() {
        let settings = EntraSettings::azure_pipelines(Pipeline::default(), lookup)?;
        return on_purpose(settings, "Azure Pipelines, because AZURESUBSCRIPTION_SERVICE_CONNECTION_ID is set");
    }
    let host = ["IDENTITY_ENDPOINT", "AZURE_CLIENT_ID", "KUBERNETES_SERVICE_HOST"].into_iter().find(|name| set(lookup, name).is_some());
    let (why, advice) = match host {
        Some("IDENTITY_ENDPOINT") => ("managed identity, because IDENTITY_ENDPOINT is set", None),
        Some("AZURE_CLIENT_ID") => ("managed identity, because AZURE_CLIENT_ID is set and no secret", Some(NO_SECRET)),
        Some(_) => ("managed identity, because this is a pod without a workload identity", Some(IN_A_POD)),
        None => {
            let config_dir = set(lookup, "AZURE_CONFIG_DIR").map(PathBuf::from);
            let folder = config_dir.or_else(|| Some(PathBuf::from(set(lookup, "HOME")?).join(".azure")));
            if folder.is_some_and(|folder| exists(&folder.join("azureProfile.json"))) {
                let settings = EntraSettings::AzureCli { tenant_id: None };
                return on_purpose(settings, "Azure CLI, because somebody has signed in with it");
            }
            ("managed identity, because the environment offers nothing else", Some(NOTHING_ELSE))
        }
    };
    Ok(Chosen { settings: EntraSettings::ManagedIdentity { client_id }, why, advice })
}

/// What of a pipeline's connection is written; the rest comes from the variables that its tasks set.
#[derive(Debug, Default)]
pub struct Pipeline {
    /// The tenant of the connection's application.
    pub tenant_id: Option<String>,
    /// The application's client ID.
    pub client_id: Option<String>,
    /// The connection's ID.
    pub service_connection_id: Option<String>,
}

impl EntraSettings {
    /// The service connection of a job; what is not given comes from the variables that the task AzureCLI sets.
    ///
    /// # Errors
    /// Something is neither given nor in the environment.
    pub fn azure_pipelines(given: Pipeline, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidEntraSettings> {
        let Pipeline { tenant_id, client_id, service_connection_id } = given;
        let needed = |given: Option<String>, key: &str, variable: &str| {
            let missing = || InvalidEntraSettings { said: format!("Azure Pipelines needs {key} or {variable}") };
            given.or_else(|| set(lookup, variable)).ok_or_else(missing)
        };
        let of_job = |variable: &str, hint: &str| {
            set(lookup, variable).ok_or_else(|| InvalidEntraSettings { said: format!("Azure Pipelines needs {variable}; {hint}") })
        };
        Ok(Self::AzurePipelines {
            tenant_id: needed(tenant_id, "tenant_id", "AZURESUBSCRIPTION_TENANT_ID")?,
            client_id: needed(client_id, "client_id", "AZURESUBSCRIPTION_CLIENT_ID")?,
            connection: ServiceConnection {
                id: needed(service_connection_id, "service_connection_id", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")?,
                request_uri: of_job("SYSTEM_OIDCREQUESTURI", "it is set in every job: is this one?")?,
                system_access_token: Secret::new(of_job(
                    "SYSTEM_ACCESSTOKEN",
                    "map it: env: { SYSTEM_ACCESSTOKEN: $(System.AccessToken) }",
                )?),
            },
        })
    }
}

/// Tenant and client ID of an application for which `variable` is set.
fn application(lookup: &dyn Fn(&str) -> Option<String>, variable: &str) -> Result<(String, String), InvalidEntraSettings> {
    match (set(lookup, "AZURE_TENANT_ID"), set(lookup, "AZURE_CLIENT_ID")) {
        (Some(tenant_id), Some(client_id)) => Ok((tenant_id, client_id)),
        _ => Err(InvalidEntraSettings {
            said: format!("{variable} is set without AZURE_TENANT_ID and AZURE_CLIENT_ID: set all three or none"),
        }),
    }
}

/// A variable that is set to something.
fn set(lookup: &dyn Fn(&str) -> Option<String>, variable: &str) -> Option<String> {
    lookup(variable).filter(|value| !value.is_empty())
}

/// A credential that asks nothing yet. A token file that is not there, or a tenant that is none, shows at the first token.
///
/// The library itself looks for `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` when it is to be a managed identity.
pub fn entra_credential(options: EntraOptions) -> Arc<dyn TokenCredential> {
    let EntraOptions { settings, authority_host, transport, clock } = options;
    let http = Arc::new(OwnHttp { transport, refusal: Mutex::default() });
    Arc::new(EntraCredential { settings, authority_host, clock, http, made: Mutex::default() })
}

struct EntraCredential {
    settings: EntraSettings,
    authority_host: Option<String>,
    clock: Clock,
    http: Arc<OwnHttp>,
    /// Made at the first token, since making it reads the token file.
    made: Mutex<Option<Arc<dyn TokenCredential>>>,
}

impl EntraCredential {
    fn made(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = &*made {
            return Ok(credential.clone());
        }
        let credential = self.make()?;
        Ok(made.insert(credential).clone())
    }

    fn make(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = ClientOptions {
            transport: Some(azure_http::Transport::new(self.http.clone())),
            // The next call is the retry: the courier's budget and the holder's patience are bounds enough.
            retry: RetryOptions::none(),
            cloud: self.authority_host.as_ref().map(|host| {
                let mut cloud = CustomConfiguration::default();
                cloud.authority_host.clone_from(host);
                Arc::new(CloudConfiguration::from(cloud))
            }),
            ..ClientOptions::default()
        };
        Ok(match &self.settings {
            EntraSettings::WorkloadIdentity { client_id, tenant_id, token_file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: Some(client_id.clone()),
                    tenant_id: Some(tenant_id.clone()),
                    token_file_path: Some(token_file.clone()),
                }))?
            }
            EntraSettings::ManagedIdentity { client_id } => ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                client_options,
            }))?,
            EntraSettings::ClientSecret { tenant_id, client_id, secret } => ClientSecretCredential::new(
                tenant_id,
                client_id.clone(),
                azure_core::credentials::Secret::new(secret.expose().to_owned()),
                Some(ClientSecretCredentialOptions { client_options }),
            )?,
            EntraSettings::ClientCertificate { tenant_id, client_id, files } => {
                let authority = self.authority_host.as_deref().unwrap_or("https://login.microsoftonline.com").trim_end_matches('/');
                let assertion = SignedAssertion {
                    files: files.clone(),
                    client_id: client_id.clone(),
                    audience: format!("{authority}/{tenant_id}/oauth2/v2.0/token"),
                    clock: self.clock.clone(),
                };
                let options = ClientAssertionCredentialOptions { client_options };
                ClientAssertionCredential::new(tenant_id.clone(), client_id.clone(), assertion, Some(options))?
            }
            EntraSettings::AzurePipelines { tenant_id, client_id, connection } => {
                let assertion = PipelineAssertion { connection: connection.clone(), http: self.http.clone() };
                let options = ClientAssertionCredentialOptions { client_options };
                ClientAssertionCredential::new(tenant_id.clone(), client_id.clone(), assertion, Some(options))?
            }
            EntraSettings::AzureCli { tenant_id } => {
                let options = AzureCliCredentialOptions { tenant_id: tenant_id.clone(), ..AzureCliCredentialOptions::default() };
                AzureCliCredential::new(Some(options))?
            }
        })
    }
}

#[async_trait::async_trait]
impl TokenCredential for EntraCredential {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let credential = self.made().map_err(|error| azure_core::Error::with_message(ErrorKind::Credential, chain(&error)))?;
        self.http.take_refusal();
        let max = if matches!(self.settings, EntraSettings::AzureCli { .. }) { AZURE_CLI_MAX } else { ENTRA_MAX };
        match tokio::time::timeout(max, credential.get_token(scopes, options)).await {
            Ok(Ok(token)) => Ok(token),
            // What the endpoint said is worth more than what the library made of it.
            Ok(Err(error)) => Err(self.http.take_refusal().map_or_else(
                || azure_core::Error::with_message(ErrorKind::Credential, chain(&error)),
                |Refusal { kind, said }| azure_core::Error::with_message(kind, said),
            )),
            Err(_) => {
                let late = format!("no token within {} s", max.as_secs());
                let said = self.http.take_refusal().map_or_else(|| late.clone(), |Refusal { said, .. }| format!("{late}: {said}"));
                Err(azure_core::Error::with_message(ErrorKind::Io, said))
            }
        }
    }
}

impl std::fmt::Debug for EntraCredential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "EntraCredential({:?})", self.settings)
    }
}

/// Our transport in the shape that the library wants.
pub(super) struct OwnHttp {
    transport: Arc<dyn Transport>,
    /// The latest failure.
    refusal: Mutex<Option<Refusal>>,
}

/// Why there was no token.
struct Refusal {
    /// [`ErrorKind::Credential`]: the endpoint refused. [`ErrorKind::Io`]: it did not get to that.
    kind: ErrorKind,
    /// One sentence.
    said: String,
}

impl OwnHttp {
    fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep_refusal(&self, kind: ErrorKind, said: String) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(Refusal { kind, said });
    }

    /// An error of an endpoint that answered, and not with what was asked for.
    pub(super) fn refused(&self, said: String) -> azure_core::Error {
        self.keep_refusal(ErrorKind::Credential, said.clone());
        azure_core::Error::with_message(ErrorKind::Credential, said)
    }

    /// Sends a request and reads the answer.
    pub(super) async fn fetch(&self, request: http::Request<Bytes>, max_bytes: usize) -> azure_core::Result<(http::StatusCode, Bytes)> {
        let host = host_of(request.uri());
        let (head, body) = self.transport.send(request).await.map_err(|error| self.lost(error.sentence))?.into_parts();
        let body = body.read(max_bytes).await.map_err(|unread| match unread {
            Unread::TooLong => self.lost(format!("the answer of {host} is longer than any token")),
            Unread::Failed(error) => self.lost(error.sentence),
        })?;
        Ok((head.status, body))
    }

    fn lost(&self, said: String) -> azure_core::Error {
        self.keep_refusal(ErrorKind::Io, said.clone());
        azure_core::Error::with_message(ErrorKind::Io, said)
    }
}

impl std::fmt::Debug for OwnHttp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OwnHttp")
    }
}

#[async_trait::async_trait]
impl HttpClient for OwnHttp {
    async fn execute_request(&self, request: &azure_http::Request) -> azure_core::Result<AsyncRawResponse> {
        let host = request.url().host_str().unwrap_or("the login endpoint").to_owned();
        let invalid = |_| azure_core::Error::with_message(ErrorKind::Other, "the request cannot be expressed in HTTP");
        let body = match request.body() {
            azure_http::Body::Bytes(bytes) => bytes.clone(),
            azure_http::Body::SeekableStream(_) => Bytes::new(),
        };
        let mut builder = http::Request::builder().method(request.method().as_ref()).uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let request = builder.body(body).map_err(invalid)?;
        let (head, body) = self.transport.send(request).await.map_err(|error| self.lost(error.sentence))?.into_parts();
        let body = body.read(TOKEN_MAX_BYTES).await.map_err(|unread| match unread {
            Unread::TooLong => self.lost(format!("the answer of {host} is longer than any token")),
            Unread::Failed(error) => self.lost(error.sentence),
        })?;
        if !head.status.is_success() {
            let said = explanation(&body).map_or_else(String::new, |said| format!(": {said}"));
            let kind = if head.status.is_client_error() { ErrorKind::Credential } else { ErrorKind::Io };
            self.keep_refusal(kind, format!("{host} answered {}{said}", head.status.as_u16()));
        }
        let mut headers = Headers::new();
        for (name, value) in &head.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(AsyncRawResponse::from_bytes(head.status.as_u16().into(), headers, body))
    }
}

/// The host that a request goes to.
pub(super) fn host_of(uri: &http::Uri) -> String {
    uri.host().unwrap_or("the address").to_owned()
}

/// What Entra says about a refusal, e.g. `AADSTS7000215: Invalid client secret provided`, without trace IDs.
fn explanation(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Option<String>,
        error_description: Option<String>,
    }
    let Refusal { error, error_description } = serde_json::from_slice(body).ok()?;
    let description = error_description.filter(|description| !description.is_empty()).or(error)?;
    let first = description.lines().next().unwrap_or_default();
    let first = first.split(" Trace ID:").next().unwrap_or_default();
    Some(printable(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acr::transport::{Body, Delivery, TransportError, TransportErrorKind};

    /// Answers every request with the same status and body, or not at all.
    struct Fake(Option<(u16, &'static str)>);

    #[async_trait::async_trait]
    impl Transport for Fake {
        async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
            let Some((status, body)) = self.0 else { return std::future::pending().await };
            if status == 0 {
                let sentence = body.to_owned();
                return Err(TransportError { kind: TransportErrorKind::Refused, delivery: Delivery::NotSent, sentence });
            }
            Ok(http::Response::builder().status(status).body(Body::from_bytes(body)).expect("an answer"))
        }
    }

    async fn token(answer: Option<(u16, &'static str)>) -> Result<String, String> {
        let secret = Secret::new("hunter2");
        token_of(EntraSettings::ClientSecret { tenant_id: "tenant".to_owned(), client_id: "client".to_owned(), secret }, answer).await
    }

    async fn token_of(settings: EntraSettings, answer: Option<(u16, &'static str)>) -> Result<String, String> {
        let credential =
            entra_credential(EntraOptions { settings, authority_host: None, transport: Arc::new(Fake(answer)), clock: Clock::system() });
        let token = credential.get_token(&["https://containerregistry.azure.net/.default"], None).await;
        token.map(|token| token.token.secret().to_owned()).map_err(|error| chain(&error))
    }

    #[tokio::test(start_paused = true)]
    async fn what_entra_says_reaches_the_operator() {
        let good = r#"{"access_token":"tok","expires_in":3599,"ext_expires_in":3599,"token_type":"Bearer"}"#;
        assert_eq!(token(Some((200, good))).await.as_deref(), Ok("tok"));
        let refused = r#"{"error":"invalid_client","error_codes":[7000215],"error_description":"AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"}"#;
        let said = token(Some((401, refused))).await.expect_err("refused");
        assert_eq!(said, "login.microsoftonline.com answered 401: AADSTS7000215: Invalid client secret provided.");
        let proxy = token(Some((502, "<html>proxy</html>"))).await.expect_err("refused");
        assert_eq!(proxy, "login.microsoftonline.com answered 502");
        let refused = token(Some((0, "nobody listens"))).await.expect_err("refused");
        assert_eq!(refused, "nobody listens");
    }

    #[tokio::test(start_paused = true)]
    async fn the_machine_and_the_pod_have_identities_too() {
        let machine = || EntraSettings::ManagedIdentity { client_id: Some("client".to_owned()) };
        let good = r#"{"access_token":"tok","expires_on":"4102444800","token_type":"Bearer","resource":"r"}"#;
        assert_eq!(token_of(machine(), Some((200, good))).await.as_deref(), Ok("tok"));
        let none = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
        let said = token_of(machine(), Some((400, none))).await.expect_err("no identity");
        assert_eq!(said, "169.254.169.254 answered 400: Identity not found");

        let pod = |token_file: &str| EntraSettings::WorkloadIdentity {
            client_id: "client".to_owned(),
            tenant_id: "tenant".to_owned(),
            token_file: token_file.into(),
        };
        let good = r#"{"access_token":"tok","expires_in":3599,"token_type":"Bearer"}"#;
        // Any file that is not empty will do: nobody looks at the assertion here.
        assert_eq!(token_of(pod(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), Some((200, good))).await.as_deref(), Ok("tok"));
        let missing = token_of(pod("/does/not/exist"), Some((200, good))).await.expect_err("no file");
        assert!(missing.contains("No such file"), "{missing}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_hangs_is_told_within_seconds() {
        let start = tokio::time::Instant::now();
        assert_eq!(token(None).await, Err("no token within 10 s".to_owned()));
        assert_eq!(start.elapsed(), ENTRA_MAX);
    }

    #[test]
    fn the_environment_decides_once_and_halves_are_errors() {
        let choose = |variables: &[(&str, &str)]| {
            let lookup = |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
            auto_entra_settings(&lookup, &|path| path == Path::new("/home/me/.azure/azureProfile.json"))
                .map(|chosen| chosen.why.split(',').next().unwrap_or_default().to_owned())
        };
        assert_eq!(choose(&[]).as_deref(), Ok("managed identity"));
        assert_eq!(choose(&[("AZURE_FEDERATED_TOKEN_FILE", "")]).as_deref(), Ok("managed identity"));
        let workload = [("AZURE_FEDERATED_TOKEN_FILE", "/t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
        assert_eq!(choose(&workload).as_deref(), Ok("workload identity"));
        assert!(choose(&workload[..2]).is_err_and(|error| error.to_string().contains("AZURE_TENANT_ID")));
        let secret = [("AZURE_CLIENT_SECRET", "s"), ("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
        assert_eq!(choose(&secret).as_deref(), Ok("client secret"));
        assert!(choose(&secret[..2]).is_err());
        let certificate = [("AZURE_CLIENT_CERTIFICATE_PATH", "/c"), ("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
        assert_eq!(choose(&certificate).as_deref(), Ok("client certificate"));
        assert!(choose(&certificate[..2]).is_err_and(|error| error.to_string().contains("AZURE_CLIENT_CERTIFICATE_PATH")));
        let pipeline = [
            ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "s"),
            ("AZURESUBSCRIPTION_CLIENT_ID", "c"),
            ("AZURESUBSCRIPTION_TENANT_ID", "t"),
            ("SYSTEM_OIDCREQUESTURI", "https://vstoken.example/"),
            ("SYSTEM_ACCESSTOKEN", "x"),
        ];
        assert_eq!(choose(&pipeline).as_deref(), Ok("Azure Pipelines"));
        assert!(choose(&pipeline[..4]).is_err_and(|error| error.to_string().contains("map it")));
        assert_eq!(choose(&[("HOME", "/home/me")]).as_deref(), Ok("Azure CLI"));
        assert_eq!(choose(&[("AZURE_CONFIG_DIR", "/home/me/.azure")]).as_deref(), Ok("Azure CLI"));
        assert_eq!(choose(&[("HOME", "/home/you")]).as_deref(), Ok("managed identity"));
        assert_eq!(choose(&[("HOME", "/home/me"), ("AZURE_CLIENT_ID", "c")]).as_deref(), Ok("managed identity"));
        let advice = |variable: &str| {
            let lookup = |name: &str| (name == variable).then(|| "x".to_owned());
            auto_entra_settings(&lookup, &|_| false).map(|chosen| chosen.advice.unwrap_or_default())
        };
        assert!(advice("HOME").is_ok_and(|advice| advice.contains("`az login` (azure_cli)")));
        assert!(advice("KUBERNETES_SERVICE_HOST").is_ok_and(|advice| advice.contains("label the pod")));
        assert!(advice("AZURE_CLIENT_ID").is_ok_and(|advice| advice.contains("set AZURE_TENANT_ID and AZURE_CLIENT_SECRET")));
        assert_eq!(advice("IDENTITY_ENDPOINT"), Ok(""), "it is there for this");
        assert_eq!(choose(&[("HOME", "/home/me"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")]).as_deref(), Ok("managed identity"));
    }
}
