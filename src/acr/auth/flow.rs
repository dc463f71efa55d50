//! The requests that get tokens, as ACR's token endpoints want them. Tokens and passwords go to the registry's own origin
//! only, in a form or a header, and into no error.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::Credential;
use super::holder::Token;
use super::scope::Scope;
use super::secret::Secret;
use crate::acr::budget::Queue;
use crate::acr::courier::{Courier, Incoming, Outgoing, Wanted};
use crate::acr::endpoint::Endpoint;
use crate::acr::error::{Failure, Operation, chain, printable};
use crate::acr::limits::TOKEN_MAX_BYTES;
use crate::acr::wire;
use crate::clock::Clock;

/// What the requests have in common.
pub(super) struct Flow {
    pub(super) endpoint: Endpoint,
    pub(super) courier: Arc<Courier>,
    /// Tokens wait for nobody but each other.
    pub(super) queue: Queue,
    pub(super) credential: Credential,
}

impl Flow {
    /// An access token for nobody.
    pub(super) async fn anonymous(&self, scope: &Scope, clock: &Clock) -> Result<Token, Failure> {
        let scope = scope.to_string();
        let form = [("grant_type", "password"), ("service", self.service()), ("scope", &scope), ("refresh_token", "")];
        let incoming = self.post(Operation::GetToken, "/oauth2/token", &form).await?;
        self.granted(&incoming, "anonymous access is not enabled", clock)
    }

    /// An access token for a user and a password.
    pub(super) async fn basic(&self, user: &str, password: &Secret, scope: &Scope, clock: &Clock) -> Result<Token, Failure> {
        let login = zeroize::Zeroizing::new(format!("{user}:{}", password.expose()));
        let mut header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login.as_bytes())))
            .map_err(|_| Failure::protocol("the user name and password cannot be sent in a header"))?;
        header.set_sensitive(true);
        let query = form_urlencoded(&[("service", self.service()), ("scope", &scope.to_string())]);
        let path = format!("/oauth2/token?{query}");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
        let incoming = self.send(Operation::GetToken, Method::GET, &path, headers, Bytes::new()).await?;
        self.granted(&incoming, "the user name or password is wrong, or the user is disabled", clock)
    }

    /// The registry's refresh token for an Entra identity. `advice` goes with the words of whoever refused it a token.
    pub(super) async fn exchange(
        &self,
        credential: &dyn TokenCredential,
        audience: &str,
        advice: Option<&'static str>,
        clock: &Clock,
    ) -> Result<Token, Failure> {
        let scope = format!("{}/.default", audience.trim_end_matches('/'));
        let entra = credential.get_token(&[&scope], None).await;
        self.courier.counters.count_identity(entra.is_ok());
        let entra = entra.map_err(|error| {
            let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
            let said = format!("no token from Microsoft Entra: {}{advice}", chain(&error));
            if matches!(error.kind(), ErrorKind::Io) { Failure::Unreachable { said } } else { Failure::Unauthorized { said } }
        })?;
        let form = [("grant_type", "access_token"), ("service", self.service()), ("access_token", entra.token.secret())];
        let incoming = self.post(Operation::ExchangeToken, "/oauth2/exchange", &form).await?;
        self.accepted(&incoming, "the identity has no role on the registry, or its token is for another audience or tenant")?;
        let exchanged: wire::Exchanged<'_> =
            wire::read(&incoming.body).map_err(|wrong| Failure::protocol(format!("refresh token: {wrong}")))?;
        Token::new(Secret::new(exchanged.refresh_token), clock)
    }

    /// An access token for a refresh token.
    pub(super) async fn access(&self, refresh: &Token, scope: &Scope, clock: &Clock) -> Result<Token, Failure> {
        let scope = scope.to_string();
        let refresh_token = refresh.text().expose();
        let form = [("grant_type", "refresh_token"), ("service", self.service()), ("scope", &scope), ("refresh_token", refresh_token)];
        let incoming = self.post(Operation::GetToken, "/oauth2/token", &form).await?;
        self.granted(&incoming, "its refresh token is not valid any more", clock)
    }

    fn granted(&self, incoming: &Incoming, hint: &str, clock: &Clock) -> Result<Token, Failure> {
        self.accepted(incoming, hint)?;
        let granted: wire::Granted<'_> = wire::read(&incoming.body).map_err(|wrong| Failure::protocol(format!("access token: {wrong}")))?;
        Token::new(Secret::new(granted.access_token), clock)
    }

    /// Lets 200 pass. `hint`: why the registry refuses, most of the time; it often says nothing itself.
    fn accepted(&self, incoming: &Incoming, hint: &str) -> Result<(), Failure> {
        let error = wire::first_error(&incoming.body);
        let said = error.map_or_else(String::new, |error| format!(" ({}: {})", printable(&error.code), printable(&error.message)));
        match incoming.status {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST => Err(Failure::Unauthorized { said: format!("{hint}{said}") }),
            StatusCode::FORBIDDEN => Err(Failure::Denied { said: format!("its token endpoint answered 403{said}") }),
            status if status.is_redirection() => Err(Failure::hostile(format!("its token endpoint answered {status}"))),
            status => Err(Failure::protocol(format!("its token endpoint answered {status}{said}"))),
        }
    }

    async fn post(&self, operation: Operation, path: &str, form: &[(&str, &str)]) -> Result<Incoming, Failure> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
        self.send(operation, Method::POST, path, headers, Bytes::from(form_urlencoded(form))).await
    }

    async fn send(&self, operation: Operation, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<Incoming, Failure> {
        let uri = self.endpoint.at(path).ok_or_else(|| Failure::protocol("the path of the token request is not valid"))?;
        self.courier.send(&self.queue, &Outgoing { operation, method, uri, headers, body, wanted: Wanted::AtMost(TOKEN_MAX_BYTES) }).await
    }

    /// The name under which the registry's tokens are issued.
    fn service(&self) -> &str {
        self.endpoint.login_server()
    }
}

/// `name=value&…`, everything but unreserved characters percent-encoded.
fn form_urlencoded(fields: &[(&str, &str)]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                form.push(char::from(byte));
            } else {
                form.push('%');
                form.push(char::from(HEX[usize::from(byte >> 4)]));
                form.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_survive_any_text() {
        assert_eq!(form_urlencoded(&[("a", "repository:x/y:pull,push"), ("b", "")]), "a=repository%3Ax%2Fy%3Apull%2Cpush&b=");
        assert_eq!(form_urlencoded(&[("a", "p&w=+ é")]), "a=p%26w%3D%2B%20%C3%A9");
    }
}
