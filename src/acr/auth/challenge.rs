//! Reads `WWW-Authenticate`. Of a challenge only its error is believed: scopes are computed by the client, and a realm on
//! another origin is a trap.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Uri};

use crate::acr::endpoint::Endpoint;
use crate::acr::error::{Failure, printable};

/// What a 401 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::acr) enum Verdict {
    /// The token is good and does not allow this. Another token will not either.
    InsufficientScope,
    /// The token is not accepted: expired, or issued before the registry changed its mode.
    TokenRefused,
}

/// Judges the challenge of a 401.
///
/// # Errors
/// [`Failure::Hostile`] when its realm is not the registry's own token endpoint.
pub(in crate::acr) fn judge_challenge(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::TokenRefused;
    for challenge in headers.get_all(WWW_AUTHENTICATE) {
        let Some(parameters) = challenge.to_str().ok().and_then(bearer_parameters) else { continue };
        let value = |name: &str| parameters.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        if let Some(realm) = value("realm").filter(|realm| !is_own_token_endpoint(endpoint, realm)) {
            return Err(Failure::hostile(format!("the registry asks to get tokens from {}", printable(realm))));
        }
        if value("error") == Some("insufficient_scope") {
            verdict = Verdict::InsufficientScope;
        }
    }
    Ok(verdict)
}

fn is_own_token_endpoint(endpoint: &Endpoint, realm: &str) -> bool {
    let Ok(realm) = realm.parse::<Uri>() else { return false };
    Endpoint::of(&realm).as_ref() == Some(endpoint) && realm.path() == "/oauth2/token" && realm.query().is_none()
}

/// The parameters of a `Bearer` challenge: `name=value` or `name="value"`, where a quoted value may contain commas and `\"`.
/// None: another scheme, or not well-formed.
fn bearer_parameters(challenge: &str) -> Option<Vec<(String, String)>> {
    let (scheme, mut rest) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        if rest.is_empty() {
            return Some(parameters);
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        parameters.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// The value up to its closing quote, and what follows.
fn quoted_value(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[place + 1..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(challenge: &str) -> Result<Verdict, Failure> {
        let endpoint = Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint");
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, challenge.parse().expect("a header"));
        judge_challenge(&endpoint, &headers)
    }

    #[test]
    fn quoted_commas_belong_to_the_value() {
        let parameters = bearer_parameters(r#"Bearer realm="https://r/oauth2/token",service="r",scope="repository:a:pull,push", error=x"#);
        let expected = [("realm", "https://r/oauth2/token"), ("service", "r"), ("scope", "repository:a:pull,push"), ("error", "x")];
        assert_eq!(parameters, Some(expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()));
        assert_eq!(bearer_parameters(r#"Bearer a="x\"y""#), Some(vec![("a".to_owned(), "x\"y".to_owned())]));
        for broken in ["", "Bearer", "Basic realm=\"x\"", "Bearer realm=\"x", "Bearer realm"] {
            assert_eq!(bearer_parameters(broken), None, "{broken}");
        }
    }

    #[test]
    fn only_insufficient_scope_says_that_another_token_is_no_use() {
        let start =
            r#"Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io",scope="repository:a:pull,delete""#;
        assert_eq!(judge(start), Ok(Verdict::TokenRefused));
        assert_eq!(judge(&format!("{start},error=\"invalid_token\"")), Ok(Verdict::TokenRefused));
        assert_eq!(judge(&format!("{start},error=\"insufficient_scope\"")), Ok(Verdict::InsufficientScope));
        assert_eq!(judge("Negotiate"), Ok(Verdict::TokenRefused));
    }

    #[test]
    fn a_realm_elsewhere_is_a_trap() {
        for realm in [
            "https://evil.example/oauth2/token",
            "http://contoso.azurecr.io/oauth2/token",
            "https://contoso.azurecr.io:444/oauth2/token",
            "https://contoso.azurecr.io@evil.example/oauth2/token",
            "https://contoso.azurecr.io/oauth2/token/x",
            "https://contoso.azurecr.io/other",
            "/oauth2/token",
            "",
        ] {
            assert!(matches!(judge(&format!("Bearer realm=\"{realm}\"")), Err(Failure::Hostile { .. })), "{realm}");
        }
    }
}
