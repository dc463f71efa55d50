//! Tokens that look like the registry's: three parts, an RS256 header, the recorded claims. Their last part is a keyed hash instead of an RSA
//! signature, so that a client that reads claims is served and one that invents tokens is not. Entra's tokens are read, never checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// How long a refresh token lives: 195 minutes, as in every recorded one.
pub(crate) const REFRESH_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_secs(11_700);
/// How long an access token lives: 75 minutes, as in every recorded one.
pub(crate) const ACCESS_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_secs(4_500);
/// Tokens are valid from a quarter of an hour before they were made, for clients whose clock is behind.
const NOT_BEFORE: SignedDuration = SignedDuration::from_secs(900);
const ISSUER: &str = "Azure Container Registry";
/// Not a secret: the emulator holds nothing worth protecting.
const KEY: &[u8] = b"the emulator's key";

/// The claims of a token.
pub(crate) type Claims = Map<String, Value>;

/// What a token says about whom, for how long.
#[derive(Debug)]
pub(crate) struct Issue<'a> {
    pub(crate) id: &'a str,
    pub(crate) subject: &'a str,
    /// The login server.
    pub(crate) audience: &'a str,
    pub(crate) grant_type: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) lifetime: SignedDuration,
    /// Tokens of an older generation are no longer honoured.
    pub(crate) generation: u32,
}

/// Makes a token with these claims besides the ones that every token has.
pub(crate) fn issue(issue: &Issue<'_>, extra: Value) -> String {
    let seconds = issue.now.as_second();
    let mut claims = json!({
        "jti": issue.id,
        "sub": issue.subject,
        "nbf": seconds - NOT_BEFORE.as_secs(),
        "exp": seconds + issue.lifetime.as_secs(),
        "iat": seconds,
        "iss": ISSUER,
        "aud": issue.audience,
        "version": "1.0",
        "rid": "00000000000000000000000000000000",
        "grant_type": issue.grant_type,
        "roles": [],
    });
    if let (Value::Object(claims), Value::Object(extra)) = (&mut claims, extra) {
        claims.extend(extra);
    }
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": format!("EMUL:ATOR:{:04}", issue.generation)});
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = signature(&signed, issue.generation);
    format!("{signed}.{signature}")
}

fn signature(signed: &str, generation: u32) -> String {
    let hash = Sha256::new().chain_update(KEY).chain_update(generation.to_le_bytes()).chain_update(signed).finalize();
    URL_SAFE_NO_PAD.encode(hash)
}

/// The claims of a token that this emulator made for this use, unless it has expired.
pub(crate) fn verify(token: &str, audience: &str, grant_type: &str, now: Timestamp, generation: u32) -> Option<Claims> {
    let (signed, found) = token.rsplit_once('.')?;
    let claims = claims(token)?;
    let right = found == signature(signed, generation)
        && claims.get("aud")?.as_str()? == audience
        && claims.get("grant_type")?.as_str()? == grant_type
        && now.as_second() < claims.get("exp")?.as_i64()?;
    right.then_some(claims)
}

/// The claims of any JWT, unchecked.
pub(crate) fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (header, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let object = |part: &str| -> Option<Claims> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok() };
    object(header)?;
    if parts.next().is_some() { None } else { object(claims) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_good_for_one_registry_one_use_and_their_time() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let lifetime = ACCESS_TOKEN_LIFETIME;
        let made = Issue { id: "1", subject: "me", audience: "r.test", grant_type: "access_token", now, lifetime, generation: 0 };
        let token = issue(&made, json!({"access": []}));
        let valid = |audience, grant_type, later, generation| {
            verify(&token, audience, grant_type, now + SignedDuration::from_secs(later), generation).is_some()
        };
        assert!(valid("r.test", "access_token", 4_499, 0));
        assert!(!valid("r.test", "access_token", 4_500, 0));
        assert!(!valid("s.test", "access_token", 0, 0));
        assert!(!valid("r.test", "refresh_token", 0, 0));
        assert!(!valid("r.test", "access_token", 0, 1));
        assert!(verify(&format!("{token}x"), "r.test", "access_token", now, 0).is_none());
        assert!(claims("a.b").is_none());
    }
}
