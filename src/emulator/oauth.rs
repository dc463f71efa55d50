//! The token service: `/oauth2/exchange` turns an Entra token into a refresh token, `/oauth2/token` turns that, or a password, into an
//! access token. It grants what is allowed of what was asked and never says what it left out.

use ::http::header::CONTENT_TYPE;
use ::http::{Method, StatusCode};
use serde_json::json;

use super::answer::Answer;
use super::auth::{self, AUTHENTICATION_REQUIRED, Authorization, Entra, Principal};
use super::percent;
use super::token::{self, ACCESS_TOKEN_LIFETIME, Issue, REFRESH_TOKEN_LIFETIME};
use super::{Call, Emulator};

/// A form or query with repeated fields.
struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// All scopes: the field may be repeated, and each may hold several with blanks between.
    fn scopes(&self) -> Vec<String> {
        let fields = self.0.iter().filter(|(name, _)| name == "scope");
        fields.flat_map(|(_, value)| value.split_whitespace().map(str::to_owned)).collect()
    }
}

impl Emulator {
    pub(crate) fn exchange(&self, call: &Call, correlation: &str) -> Answer {
        let form = form(call);
        let (Some("access_token" | "access_token_refresh_token"), Some(access_token)) = (form.get("grant_type"), form.get("access_token"))
        else {
            return Answer::empty(StatusCode::BAD_REQUEST).by_token_service();
        };
        match self.entra(access_token) {
            Entra::Refused => Answer::empty(StatusCode::UNAUTHORIZED).by_token_service(),
            Entra::NoRole => unauthorized(&format!("{AUTHENTICATION_REQUIRED} CorrelationId: {correlation}.")),
            Entra::Known(principal) => {
                let claims = Self::refresh_claims(&principal, form.get("tenant"));
                let token = self.token(call, &principal, "refresh_token", claims);
                Answer::json(StatusCode::OK, &json!({"refresh_token": token})).by_token_service()
            }
        }
    }

    pub(crate) fn access_token(&self, call: &Call) -> Answer {
        let form = if call.method == Method::GET { Form(call.query.clone()) } else { form(call) };
        let field = |name| form.get(name).unwrap_or_default();
        let principal = match (&call.method, field("grant_type")) {
            (&Method::GET, _) => match auth::authorization(&call.headers) {
                Authorization::Basic(user, password) => self.known(&user, &password, &call.login_server),
                Authorization::None => self.known("", "", &call.login_server),
                Authorization::Bearer(_) => None,
            },
            (_, "refresh_token") => match self.refreshed(field("refresh_token"), &call.login_server) {
                Some(principal) => Some(principal),
                None => return Answer::empty(StatusCode::UNAUTHORIZED).by_token_service(),
            },
            (_, "password") => self.known(field("username"), field("password"), &call.login_server),
            _ => return Answer::empty(StatusCode::BAD_REQUEST).by_token_service(),
        };
        let Some(principal) = principal else { return unauthorized(AUTHENTICATION_REQUIRED) };
        let access = principal.access(&form.scopes());
        let token = self.token(call, &principal, "access_token", json!({"access": access}));
        Answer::json(StatusCode::OK, &json!({"access_token": token})).by_token_service()
    }

    fn token(&self, call: &Call, principal: &Principal, grant_type: &str, claims: serde_json::Value) -> String {
        let id = self.next_id();
        let issue = Issue {
            id: &id,
            subject: &principal.subject,
            audience: &call.login_server,
            grant_type,
            now: self.now(),
            lifetime: if grant_type == "refresh_token" { REFRESH_TOKEN_LIFETIME } else { ACCESS_TOKEN_LIFETIME },
            generation: self.lock().token_generation,
        };
        token::issue(&issue, claims)
    }
}

fn form(call: &Call) -> Form {
    Form(percent::pairs(std::str::from_utf8(&call.body).unwrap_or_default()))
}

fn unauthorized(message: &str) -> Answer {
    let mut answer = Answer::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message).by_token_service();
    answer.headers.retain(|(name, _)| name != CONTENT_TYPE);
    Answer { sized: true, ..answer }.with(CONTENT_TYPE, "application/json")
}
