//! Certificates for an emulator that speaks HTTPS: an authority and a leaf, made anew each time, whose keys never leave memory.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// An authority and a certificate for localhost, 127.0.0.1, ::1 and further names.
#[derive(Clone)]
pub struct Tls {
    ca_pem: String,
    config: Arc<ServerConfig>,
}

/// Why there is no HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates could not be made; mostly a further name that is no host name.
    #[error("cannot make a certificate for localhost and {names:?}: check that these are host names")]
    Certificate {
        /// The further names.
        names: Vec<String>,
        /// What the generator said.
        #[source]
        source: rcgen::Error,
    },
    /// The server refuses the certificate.
    #[error("cannot serve with the certificate just made")]
    Server(#[source] rustls::Error),
    /// The authority could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Tls {
    /// Makes an authority and a certificate that also bears the further `names` (host names or addresses).
    pub fn new(names: &[String]) -> Result<Self, TlsError> {
        let (ca_pem, leaf, key) = certificates(names).map_err(|source| TlsError::Certificate { names: names.to_vec(), source })?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key))
            .map_err(TlsError::Server)?;
        Ok(Self { ca_pem, config: Arc::new(config) })
    }

    /// The authority's certificate, for clients to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Writes the authority's certificate to `ca.pem` in `dir`, which is made when it is not there.
    pub fn write_ca(&self, dir: &Path) -> Result<(), TlsError> {
        let path = dir.join("ca.pem");
        let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, &self.ca_pem));
        written.map_err(|source| TlsError::Write { path: path.display().to_string(), source })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

type Certificates = (String, rcgen::Certificate, PrivateKeyDer<'static>);

/// Authority and leaf are two certificates: strict clients refuse an authority as a server.
fn certificates(names: &[String]) -> Result<Certificates, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "registry emulator authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    validity(&mut authority);
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();

    let names: Vec<String> = std::iter::once("localhost".to_owned()).chain(names.iter().cloned()).collect();
    let mut leaf = CertificateParams::new(names)?;
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        leaf.subject_alt_names.push(SanType::IpAddress(address));
    }
    leaf.distinguished_name.push(DnType::CommonName, "registry emulator");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    validity(&mut leaf);
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(authority, authority_key))?;
    Ok((ca_pem, leaf, PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into()))
}

/// Wide, so that simulated clocks are inside; the keys are gone with the process anyway.
fn validity(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2015, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
}
