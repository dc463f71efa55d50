//! Reads the claims of the registry's tokens: when they expire and what they allow. Verifies nothing, since only the
//! registry relies on them; a claim that cannot be read is one that is not known.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::acr::error::printable;

/// What a token says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Seconds from issue to expiry. By difference, so that it holds whatever our clock says.
    pub(super) life_seconds: Option<i64>,
    /// Whose it is, of a refresh token.
    pub(super) who: Option<String>,
    /// The rights of the identity on the whole registry, in words like `metadata/read`, of a refresh token. None: it does not say.
    pub(super) permissions: Option<Vec<String>>,
    /// Whether the registry gives rights by repository, so that only an access token tells.
    pub(super) by_repository: bool,
    /// What it allows, in words like `pull`, by name of the repository. None: it does not say.
    pub(super) access: Option<Vec<Grant>>,
}

/// What a token allows on one thing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// `repository` or `registry`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) actions: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    exp: Option<i64>,
    iat: Option<i64>,
    nbf: Option<i64>,
    access: Option<Vec<WireGrant>>,
    permissions: Option<WirePermissions>,
    aad_identity: Option<serde::de::IgnoredAny>,
    appid: Option<String>,
}

#[derive(Deserialize)]
struct WirePermissions {
    #[serde(alias = "Actions")]
    actions: Option<Vec<String>>,
}

/// The keys were in lower case before 2023.
#[derive(Deserialize)]
struct WireGrant {
    #[serde(alias = "Type", rename = "type", default)]
    kind: String,
    #[serde(alias = "Name", default)]
    name: String,
    #[serde(alias = "Actions", default)]
    actions: Option<Vec<String>>,
}

/// The claims of a token; `now` in Unix seconds stands in where it does not say when it was issued.
pub(super) fn claims(token: &str, now: i64) -> Claims {
    let Some(payload) = payload(token) else { return Claims::default() };
    let Payload { exp, iat, nbf, access, permissions, aad_identity, appid } = payload;
    let issued = iat.or(nbf).unwrap_or(now);
    let life_seconds = exp.map(|exp| exp.saturating_sub(issued)).filter(|life| 0 < *life);
    let grant = |WireGrant { kind, name, actions }| Grant { kind, name, actions: actions.unwrap_or_default() };
    Claims {
        life_seconds,
        who: appid.filter(|appid| !appid.is_empty()).map(|appid| format!("application {}", printable(&appid))),
        permissions: permissions.map(|permissions| permissions.actions.unwrap_or_default()),
        by_repository: aad_identity.is_some(),
        access: access.map(|access| access.into_iter().map(grant).collect()),
    }
}

fn payload(token: &str) -> Option<Payload> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn life_and_access_are_read_in_both_spellings() {
        let grant = Grant { kind: "repository".to_owned(), name: "a/b".to_owned(), actions: vec!["pull".to_owned()] };
        let expected = Claims { life_seconds: Some(4500), access: Some(vec![grant]), ..Claims::default() };
        let new = r#"{"iat":100,"exp":4600,"access":[{"Type":"repository","Name":"a/b","Actions":["pull"]}]}"#;
        let old = r#"{"nbf":100,"exp":4600,"access":[{"type":"repository","name":"a/b","actions":["pull"]}]}"#;
        assert_eq!(claims(&token(new), 0), expected);
        assert_eq!(claims(&token(old), 0), expected);
    }

    #[test]
    fn a_refresh_token_tells_the_rights_on_the_registry_or_that_they_are_given_by_repository() {
        let claims_of = |payload| claims(&token(payload), 0);
        let new = claims_of(r#"{"appid":"1-2","permissions":{"Actions":["read","delete"],"NotActions":null}}"#);
        let old = claims_of(r#"{"appid":"1-2","permissions":{"actions":["read","delete"]}}"#);
        assert_eq!(new, old);
        assert_eq!((new.who.as_deref(), new.by_repository), (Some("application 1-2"), false));
        assert_eq!(new.permissions, Some(vec!["read".to_owned(), "delete".to_owned()]));
        let by_repository = claims_of(r#"{"aad_identity":{"x":[]}}"#);
        assert!(by_repository.by_repository && by_repository.permissions.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        for opaque in ["", "a", "a.b", "a.!.c", &token("{}"), &token(r#"{"exp":"x"}"#), &token(r#"{"iat":5,"exp":4}"#)] {
            assert_eq!(claims(opaque, 0).life_seconds, None, "{opaque}");
        }
        assert_eq!(claims(&token(r#"{"exp":70}"#), 10).life_seconds, Some(60));
        assert_eq!(claims(&token(r#"{"access":[{"Name":"a","Actions":null}]}"#), 0).access.map(|access| access.len()), Some(1));
    }
}
