//! What proves an application to Microsoft Entra instead of a secret: an assertion signed with the key of its certificate, or one that
//! Azure Pipelines signs for the service connection of a job. Signed by ring, so that no OpenSSL is needed.

use std::path::PathBuf;
use std::sync::Arc;

use azure_core::error::ErrorKind;
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::entra::{OwnHttp, host_of};
use super::secret::Secret;
use crate::acr::error::chain;
use crate::acr::limits::{ASSERTION_LIFE_SECONDS, TOKEN_MAX_BYTES};
use crate::clock::Clock;

/// The certificate of an application and its key, read anew for each assertion: they are replaced while the program runs.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate, PEM; the first one in the file is the application's.
    pub certificate: PathBuf,
    /// Its RSA key, PEM, without a passphrase. None: it is in the same file.
    pub key: Option<PathBuf>,
}

/// The service connection of a job in Azure Pipelines.
#[derive(Debug, Clone)]
pub struct ServiceConnection {
    /// Its ID.
    pub id: String,
    /// Where assertions are asked for: `SYSTEM_OIDCREQUESTURI`.
    pub request_uri: String,
    /// The job's own token: `SYSTEM_ACCESSTOKEN`.
    pub system_access_token: Secret,
}

/// Signs assertions with the key of a certificate.
pub(super) struct SignedAssertion {
    pub(super) files: CertificateFiles,
    pub(super) client_id: String,
    /// The token endpoint, to which an assertion is addressed.
    pub(super) audience: String,
    pub(super) clock: Clock,
}

/// Asks Azure Pipelines for assertions.
pub(super) struct PipelineAssertion {
    pub(super) connection: ServiceConnection,
    pub(super) http: Arc<OwnHttp>,
}

#[async_trait::async_trait]
impl ClientAssertion for SignedAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let now = self.clock.now().as_second();
        let unusable = |said: String| azure_core::Error::with_message(ErrorKind::Credential, said);
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| unusable(format!("cannot read {}: {error}", path.display())));
        let certificate = read(&self.files.certificate)?;
        let key = zeroize::Zeroizing::new(match &self.files.key {
            Some(path) => read(path)?,
            None => certificate.clone(),
        });
        let wanted = Wanted { audience: &self.audience, client_id: &self.client_id, now, id: format!("{:032x}", fastrand::u128(..)) };
        sign(&certificate, &key, &wanted).map_err(|wrong| unusable(format!("{}: {wrong}", self.files.certificate.display())))
    }
}

/// What an assertion says.
struct Wanted<'a> {
    audience: &'a str,
    client_id: &'a str,
    now: i64,
    id: String,
}

/// An assertion as Microsoft Entra takes it: PS256, with the SHA-256 thumbprint of the certificate (Microsoft Learn, "Microsoft identity
/// platform application authentication certificate credentials").
fn sign(certificate_pem: &[u8], key_pem: &[u8], wanted: &Wanted<'_>) -> Result<String, String> {
    let certificate = CertificateDer::pem_slice_iter(certificate_pem).next();
    let certificate = certificate.and_then(Result::ok).ok_or("it holds no certificate in PEM; convert a .pfx file with openssl pkcs12")?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| "there is no private key in PEM without a passphrase")?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|error| format!("the private key is not usable: {error}"))?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).ok_or("the private key is not an RSA key")?;
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate));
    let header = serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
    let Wanted { audience, client_id, now, id } = wanted;
    let claims = serde_json::json!({
        "aud": audience, "iss": client_id, "sub": client_id, "jti": id,
        "iat": now, "nbf": now, "exp": now + ASSERTION_LIFE_SECONDS,
    });
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = signer.sign(signed.as_bytes()).map_err(|error| format!("the private key does not sign: {error}"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[async_trait::async_trait]
impl ClientAssertion for PipelineAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let ServiceConnection { id, request_uri, system_access_token } = &self.connection;
        let separator = if request_uri.contains('?') { '&' } else { '?' };
        let uri = format!("{request_uri}{separator}api-version=7.1&serviceConnectionId={id}");
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", system_access_token.expose()))
            .map_err(|_| self.http.refused("SYSTEM_ACCESSTOKEN cannot be sent in a header".to_owned()))?;
        bearer.set_sensitive(true);
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(&uri)
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, "0")
            // Without it the service answers a wrong token with a page to sign in.
            .header("x-tfs-fedauthredirect", "Suppress")
            .body(Bytes::new())
            .map_err(|error| self.http.refused(format!("SYSTEM_OIDCREQUESTURI is not an address: {}", chain(&error))))?;
        let host = host_of(request.uri());
        let (status, body) = self.http.fetch(request, TOKEN_MAX_BYTES).await?;
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "oidcToken")]
            token: Option<String>,
        }
        if status != StatusCode::OK {
            let hint = "is SYSTEM_ACCESSTOKEN mapped into the step, and the service connection a federated one?";
            return Err(self.http.refused(format!("{host} answered {} to the request for an assertion; {hint}", status.as_u16())));
        }
        let token = serde_json::from_slice::<Answer>(&body).ok().and_then(|answer| answer.token).filter(|token| !token.is_empty());
        token.ok_or_else(|| self.http.refused(format!("{host} answered without an assertion")))
    }
}

impl std::fmt::Debug for SignedAssertion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SignedAssertion({})", self.files.certificate.display())
    }
}

impl std::fmt::Debug for PipelineAssertion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PipelineAssertion({})", self.connection.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_key_is_told() {
        let wanted = Wanted { audience: "a", client_id: "c", now: 0, id: "1".to_owned() };
        assert!(sign(b"", b"", &wanted).is_err_and(|wrong| wrong.contains("no certificate")));
        let made = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
        let certificate = made.cert.pem();
        assert!(sign(certificate.as_bytes(), b"", &wanted).is_err_and(|wrong| wrong.contains("no private key")));
        let elliptic = made.signing_key.serialize_pem();
        assert!(sign(certificate.as_bytes(), elliptic.as_bytes(), &wanted).is_err_and(|wrong| wrong.contains("not an RSA key")));
    }
}
