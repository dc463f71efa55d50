//! Reads the claims of the registry's tokens: when they expire and what they allow. Verifies nothing, since only the
//! registry relies on them; a claim that cannot be read is one that is not known.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// What a token says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Seconds from issue to expiry. By difference, so that it holds whatever our clock says.
    pub(super) life_seconds: Option<i64>,
    /// What it allows, in words like `pull`, by name of the repository. None: it does not say.
    pub(super) access: Option<Vec<Grant>>,
}

/// What a token allows on one thing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) name: String,
    pub(super) actions: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    exp: Option<i64>,
    iat: Option<i64>,
    nbf: Option<i64>,
    access: Option<Vec<WireGrant>>,
}

/// The keys were in lower case before 2023.
#[derive(Deserialize)]
struct WireGrant {
    #[serde(alias = "Name", default)]
    name: String,
    #[serde(alias = "Actions", default)]
    actions: Option<Vec<String>>,
}

/// The claims of a token; `now` in Unix seconds stands in where it does not say when it was issued.
pub(super) fn claims(token: &str, now: i64) -> Claims {
    let Some(payload) = payload(token) else { return Claims::default() };
    let Payload { exp, iat, nbf, access } = payload;
    let issued = iat.or(nbf).unwrap_or(now);
    let life_seconds = exp.map(|exp| exp.saturating_sub(issued)).filter(|life| 0 < *life);
    let grant = |WireGrant { name, actions }| Grant { name, actions: actions.unwrap_or_default() };
    Claims { life_seconds, access: access.map(|access| access.into_iter().map(grant).collect()) }
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
        let grant = Grant { name: "a/b".to_owned(), actions: vec!["pull".to_owned()] };
        let expected = Claims { life_seconds: Some(4500), access: Some(vec![grant]) };
        let new = r#"{"iat":100,"exp":4600,"access":[{"Type":"repository","Name":"a/b","Actions":["pull"]}]}"#;
        let old = r#"{"nbf":100,"exp":4600,"access":[{"type":"repository","name":"a/b","actions":["pull"]}]}"#;
        assert_eq!(claims(&token(new), 0), expected);
        assert_eq!(claims(&token(old), 0), expected);
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
