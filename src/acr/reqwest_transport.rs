//! The transport over real sockets: reqwest with rustls and ring. Follows no redirect, repeats nothing, decompresses nothing.

use std::error::Error as StdError;
use std::path::PathBuf;

use bytes::Bytes;
use futures::TryStreamExt as _;

use super::error::chain;
use super::limits::CONNECT_MAX;
use super::transport::{Body, Delivery, Transport, TransportError, TransportErrorKind};

/// Sends requests over HTTP/1.1 or HTTP/2. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct ReqwestTransport {
    client: reqwest::Client,
}

/// What a [`ReqwestTransport`] is made of.
#[derive(Debug, Clone, Default)]
pub struct ReqwestTransportOptions {
    /// Certificates in PEM that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
}

/// A transport that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTransport {
    /// The CA file cannot be read.
    #[error("cannot read ca_file {path}: {said}", path = path.display())]
    UnreadableCa {
        /// The file.
        path: PathBuf,
        /// What the system says.
        said: String,
    },
    /// The TLS client cannot be made.
    #[error("cannot set up TLS: {said}; install the system's CA certificates or set ca_file")]
    Tls {
        /// What the library says.
        said: String,
    },
}

/// Makes ring the provider of cryptography for the whole process. Call it first thing in `main` and in every test binary;
/// calling it again does nothing.
pub fn install_crypto_provider() {
    // The error says that there is a provider already, which is what is wanted.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}

impl ReqwestTransport {
    /// Opens nothing yet. Reads the CA file, once.
    ///
    /// # Errors
    /// The CA file holds no certificate, or there are no certificates at all.
    pub fn new(options: &ReqwestTransportOptions) -> Result<Self, InvalidTransport> {
        install_crypto_provider();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("retaind/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_MAX);
        if let Some(path) = &options.ca_file {
            let unreadable = |said: String| InvalidTransport::UnreadableCa { path: path.clone(), said };
            let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(chain(&error)))?;
            if certificates.is_empty() {
                return Err(unreadable("it holds no certificate in PEM".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| InvalidTransport::Tls { said: chain(&error) })?;
        Ok(Self { client })
    }
}

#[async_trait::async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
        let host = request.uri().authority().map_or_else(String::new, ToString::to_string);
        let request = reqwest::Request::try_from(request).map_err(|error| explain(&host, error))?;
        let response = self.client.execute(request).await.map_err(|error| explain(&host, error))?;
        let mut answer = http::Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        let pieces = response.bytes_stream().map_err(move |error| explain(&host, error));
        Ok(answer.map(|()| Body::from_stream(pieces)))
    }
}

/// Makes one sentence of a chain of errors whose top says nothing. The address is left out: it may carry a signature.
fn explain(host: &str, error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let delivery = if error.is_connect() || error.is_builder() { Delivery::NotSent } else { Delivery::Unknown };
    let refused = causes(&error).any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
    });
    let said = chain(&error);
    let (kind, sentence) = if error.is_dns() || said.contains("failed to lookup address") {
        (TransportErrorKind::UnknownHost, format!("the host {host} is not known; check the endpoint's spelling and the DNS"))
    } else if refused {
        (TransportErrorKind::Refused, format!("{host} refused the connection; nothing listens there"))
    } else if said.contains("invalid peer certificate") {
        let reason = said.rsplit("invalid peer certificate: ").next().unwrap_or_default();
        let sentence = format!("the certificate of {host} is not trusted ({reason}); set ca_file to the certificate of its issuer");
        (TransportErrorKind::Untrusted, sentence)
    } else if error.is_timeout() {
        (TransportErrorKind::TimedOut, format!("{host} did not answer in time; check the network, firewall and proxy"))
    } else {
        (TransportErrorKind::Other, format!("the connection to {host} failed: {said}"))
    };
    TransportError { kind, delivery, sentence }
}

type Cause<'a> = &'a (dyn StdError + 'static);

fn causes<'a>(error: Cause<'a>) -> impl Iterator<Item = Cause<'a>> {
    std::iter::successors(Some(error), |error: &Cause<'a>| -> Option<Cause<'a>> { (*error).source() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure(uri: &str) -> TransportError {
        let transport = ReqwestTransport::new(&ReqwestTransportOptions::default()).expect("a transport");
        let request = http::Request::get(uri).body(Bytes::new()).expect("a request");
        transport.send(request).await.expect_err("nobody is there")
    }

    #[tokio::test]
    async fn a_refused_connection_was_never_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let error = failure(&format!("http://127.0.0.1:{port}/")).await;
        assert_eq!((error.kind, error.delivery), (TransportErrorKind::Refused, Delivery::NotSent));
        assert_eq!(error.sentence, format!("127.0.0.1:{port} refused the connection; nothing listens there"));
    }

    #[tokio::test]
    async fn an_unknown_host_is_told_by_name() {
        let error = failure("https://no-such-host.invalid/").await;
        assert_eq!((error.kind, error.delivery), (TransportErrorKind::UnknownHost, Delivery::NotSent), "{error}");
        assert!(error.sentence.contains("no-such-host.invalid"));
    }

    #[test]
    fn a_ca_file_that_is_none_is_an_error() {
        let missing = ReqwestTransport::new(&ReqwestTransportOptions { ca_file: Some("/does/not/exist.pem".into()) });
        assert!(missing.is_err_and(|error| error.to_string().contains("/does/not/exist.pem")));
        let empty = ReqwestTransport::new(&ReqwestTransportOptions { ca_file: Some("/dev/null".into()) });
        assert!(empty.is_err_and(|error| error.to_string().contains("no certificate")));
    }
}
