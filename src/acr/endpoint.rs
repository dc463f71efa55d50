//! Where a registry is: scheme, host and port, nothing else. Credentials go to this origin only.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// The origin of a registry, e.g. `https://contoso.azurecr.io`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    /// Lower case; the port only where it is not the scheme's own.
    authority: String,
}

/// A text that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an endpoint: {expected}")]
pub struct InvalidEndpoint {
    /// The text, cut to a length that can be printed.
    pub text: String,
    /// What was expected of it.
    pub expected: &'static str,
}

impl Endpoint {
    /// Reads `https://HOST[:PORT]`; `http://` on a loopback host only, since tokens travel in it.
    ///
    /// # Errors
    /// Anything else, with what was expected.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |expected| InvalidEndpoint { text: text.chars().take(150).collect(), expected };
        let uri: Uri = text.parse().map_err(|_| invalid("expected https://HOST, e.g. https://contoso.azurecr.io"))?;
        let Some(endpoint) = Self::of(&uri) else {
            return Err(invalid("expected https://HOST without a user name, e.g. https://contoso.azurecr.io"));
        };
        if uri.path() != "/" || uri.query().is_some() {
            return Err(invalid("expected a host alone, without a path or query"));
        }
        if !endpoint.secure && !endpoint.is_loopback() {
            return Err(invalid("http:// is for loopback hosts only, use https://"));
        }
        Ok(endpoint)
    }

    /// The origin of an absolute address, if it has one that credentials could go to.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let host = authority.host().to_ascii_lowercase();
        let own_port = if secure { 443 } else { 80 };
        let authority = match authority.port_u16() {
            Some(port) if port != own_port => format!("{host}:{port}"),
            Some(_) => host,
            // A port that is there and is no number.
            None if authority.as_str().len() != host.len() => return None,
            None => host,
        };
        Some(Self { secure, authority })
    }

    /// Host and, where it is unusual, port: the registry's login server and the `service` of its tokens.
    pub fn login_server(&self) -> &str {
        &self.authority
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let host = match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.authority,
        };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Whether requests travel encrypted.
    pub(super) const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The address of a path on this origin. None: the path is no path.
    pub(super) fn at(&self, path_and_query: &str) -> Option<Uri> {
        Uri::builder()
            .scheme(if self.secure { "https" } else { "http" })
            .authority(self.authority.as_str())
            .path_and_query(path_and_query)
            .build()
            .ok()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_origin_alone() {
        for (text, shown) in [
            ("https://Contoso.azurecr.io", "https://contoso.azurecr.io"),
            ("https://contoso.azurecr.io:443/", "https://contoso.azurecr.io"),
            ("https://contoso.azurecr.io:8443", "https://contoso.azurecr.io:8443"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://localhost", "http://localhost"),
            ("http://[::1]:5000", "http://[::1]:5000"),
        ] {
            assert_eq!(Endpoint::parse(text).map(|endpoint| endpoint.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for bad in [
            "",
            "contoso",
            "contoso.azurecr.io",
            "ftp://a.b",
            "http://contoso.azurecr.io",
            "https://user@contoso.azurecr.io",
            "https://contoso.azurecr.io/path",
            "https://contoso.azurecr.io?x",
            "https://contoso.azurecr.io:99999",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
