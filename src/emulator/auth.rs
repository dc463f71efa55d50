//! Who asks, what they may do, and what a request that may not is told. Checks no Entra signature: anyone may be anyone here.

use std::collections::BTreeSet;

use ::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use ::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::roles::{self, Grant};
use super::route::Need;
use super::token::{self, Claims};
use super::{Call, Emulator};

/// What an identity may do, over the whole registry or in the repositories of its scope map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// List the repositories.
    pub catalog: bool,
    /// Scope action `pull`.
    pub pull: bool,
    /// Scope action `push`.
    pub push: bool,
    /// Scope action `delete`.
    pub delete: bool,
    /// Scope action `metadata_read`.
    pub metadata_read: bool,
    /// Scope action `metadata_write`.
    pub metadata_write: bool,
    /// Scope action `deleted_read`: list what was deleted softly.
    pub deleted_read: bool,
    /// Scope action `deleted_restore`: bring it back.
    pub deleted_restore: bool,
    /// Pull what is in quarantine.
    pub quarantine_read: bool,
}

impl Permissions {
    /// Everything.
    pub const ALL: Self = Self {
        catalog: true,
        pull: true,
        push: true,
        delete: true,
        metadata_read: true,
        metadata_write: true,
        deleted_read: true,
        deleted_restore: true,
        quarantine_read: true,
    };
    /// What AcrPull gives, and what anonymous pull gives to everyone.
    pub const READ: Self = Self { catalog: true, pull: true, metadata_read: true, ..Self::NONE };
    /// Nothing.
    pub const NONE: Self = Self {
        catalog: false,
        pull: false,
        push: false,
        delete: false,
        metadata_read: false,
        metadata_write: false,
        deleted_read: false,
        deleted_restore: false,
        quarantine_read: false,
    };
    /// What [`Permissions::add`] knows.
    pub(crate) const NAMES: [&str; 9] =
        ["catalog", "pull", "push", "delete", "metadata_read", "metadata_write", "deleted_read", "deleted_restore", "quarantine_read"];

    /// Adds a right by its name; `false` when there is none of that name.
    pub(crate) fn add(&mut self, name: &str) -> bool {
        let right = match name {
            "catalog" => &mut self.catalog,
            "pull" => &mut self.pull,
            "push" => &mut self.push,
            "delete" => &mut self.delete,
            "metadata_read" => &mut self.metadata_read,
            "metadata_write" => &mut self.metadata_write,
            "deleted_read" => &mut self.deleted_read,
            "deleted_restore" => &mut self.deleted_restore,
            "quarantine_read" => &mut self.quarantine_read,
            _ => return false,
        };
        *right = true;
        true
    }

    fn allow(self, resource: &str, name: &str, action: &str) -> bool {
        match (resource, action) {
            ("registry", "*") if name == "deleted_catalog" => self.deleted_read,
            ("registry", "*") => self.catalog,
            ("repository", "deleted_read") => self.deleted_read,
            ("repository", "deleted_restore") => self.deleted_restore,
            ("repository", "pull") => self.pull,
            ("repository", "push") => self.push,
            ("repository", "delete") => self.delete,
            ("repository", "metadata_read") => self.metadata_read,
            ("repository", "metadata_write") => self.metadata_write,
            _ => false,
        }
    }

    /// As the `permissions` claim of a refresh token lists them, with their places in that list.
    fn actions(self) -> Vec<(usize, &'static str)> {
        let names = [
            (self.pull, "read"),
            (self.push, "write"),
            (self.delete, "delete"),
            (self.metadata_read, "metadata/read"),
            (self.metadata_write, "metadata/write"),
            (self.deleted_read, "deleted/read"),
            (self.deleted_restore, "deleted/restore/action"),
        ];
        names.into_iter().enumerate().filter(|(_, (has, _))| *has).map(|(place, (_, name))| (place, name)).collect()
    }
}

/// A user with a password: the admin user, or a token with a scope map.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user or token name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// What it may do.
    pub permissions: Permissions,
    /// Where: names, `prefix/*` or `*`. `None` is the admin user, who is not bound to repositories; a scope map never allows the catalog.
    pub repositories: Option<Vec<String>>,
}

/// Someone whom the registry knows.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) subject: String,
    pub(crate) grants: Vec<Grant>,
    /// An Entra identity of a registry that authorises by repository: names with a star mean nothing for it.
    by_repository: bool,
}

impl Principal {
    fn new(subject: &str, permissions: Permissions, repositories: Option<Vec<String>>) -> Self {
        Self { subject: subject.to_owned(), grants: vec![Grant { permissions, repositories }], by_repository: false }
    }

    pub(crate) fn allow(&self, resource: &str, name: &str, action: &str) -> bool {
        self.grants.iter().any(|grant| {
            let is_there = match &grant.repositories {
                None => true,
                Some(patterns) => resource == "repository" && patterns.iter().any(|pattern| matches(pattern, name)),
            };
            is_there && grant.permissions.allow(resource, name, action)
        })
    }

    /// Whether anything at all may be done.
    fn has_role(&self) -> bool {
        self.grants.iter().any(|grant| grant.permissions != Permissions::NONE)
    }

    /// Of the scopes asked for, what is allowed, as the `access` claim of an access token. Asking for more is no error.
    pub(crate) fn access(&self, scopes: &[String]) -> Value {
        let entries = scopes.iter().filter_map(|scope| {
            let (resource, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            if self.by_repository && resource == "repository" && name.contains('*') {
                return None;
            }
            let all = ["pull", "push", "delete", "metadata_read", "metadata_write", "deleted_read", "deleted_restore"];
            let asked: Vec<&str> = if resource == "repository" && actions == "*" { all.to_vec() } else { actions.split(',').collect() };
            let granted: Vec<&str> = asked.into_iter().filter(|action| self.allow(resource, name, action)).collect();
            (!granted.is_empty()).then(|| json!({"Type": resource, "Name": name, "Actions": granted}))
        });
        entries.collect()
    }
}

/// `team/*` is everything below `team/`; without a star the name itself.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// What an Entra token proves after the registry looked at it.
#[derive(Debug)]
pub(crate) enum Entra {
    Known(Principal),
    /// Someone without any role on the registry.
    NoRole,
    /// Not a token, expired, or for another audience.
    Refused,
}

impl Emulator {
    /// Reads an Entra token. Its signature is not checked.
    pub(crate) fn entra(&self, access_token: &str) -> Entra {
        let Some(claims) = token::claims(access_token) else { return Entra::Refused };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let expired = claims.get("exp").and_then(Value::as_i64).is_none_or(|expires| expires <= self.now().as_second());
        let trimmed = |audience: &str| audience.trim_end_matches('/').to_owned();
        let audience = text("aud").map(trimmed);
        let right_audience = audience.is_some_and(|audience| self.options().audiences.iter().any(|known| trimmed(known) == audience));
        let Some(subject) = text("oid").or(text("appid")).or(text("sub")) else { return Entra::Refused };
        if expired || !right_audience {
            return Entra::Refused;
        }
        let principal = self.identity(subject);
        if principal.has_role() { Entra::Known(principal) } else { Entra::NoRole }
    }

    fn identity(&self, subject: &str) -> Principal {
        let state = self.lock();
        let by_repository = state.by_repository;
        let assigned = state.assignments.get(subject).or_else(|| {
            // Whom the options name, they tell; the roles of everybody else are for those whom nothing names.
            let named = self.options().identities.contains_key(subject);
            state.assignments.get(roles::DEFAULT).filter(|_| !named)
        });
        let grants = match assigned {
            Some(assignments) => assignments.iter().map(|assignment| assignment.grant(by_repository)).collect(),
            None => {
                let permissions = self.options().identities.get(subject).copied().unwrap_or(self.options().identity_default);
                vec![Grant { permissions, repositories: None }]
            }
        };
        Principal { subject: subject.to_owned(), grants, by_repository }
    }

    /// Whether somebody may pull what is in quarantine.
    pub(crate) fn may_read_quarantine(&self, identity: &str) -> bool {
        match self.options().credentials.iter().find(|known| known.user == identity) {
            Some(credential) => credential.permissions.quarantine_read,
            None if identity == EVERYBODY => false,
            None => self.identity(identity).grants.iter().any(|grant| grant.permissions.quarantine_read),
        }
    }

    /// Who shows a refresh token, or `None` when it is not a good one.
    pub(crate) fn refreshed(&self, refresh_token: &str, login_server: &str) -> Option<Principal> {
        let claims = self.verify(refresh_token, login_server, "refresh_token")?;
        Some(self.identity(claims.get("sub")?.as_str()?))
    }

    fn verify(&self, token: &str, login_server: &str, grant_type: &str) -> Option<Claims> {
        token::verify(token, login_server, grant_type, self.now(), self.lock().token_generation)
    }

    /// Who gives this user and password. No user at all is everyone, where the registry allows that.
    pub(crate) fn known(&self, user: &str, password: &str, login_server: &str) -> Option<Principal> {
        if user.is_empty() && password.is_empty() {
            return self.options().anonymous_pull.then(|| Principal::new(EVERYBODY, Permissions::READ, None));
        }
        if user == REFRESH_TOKEN_USER {
            return self.refreshed(password, login_server);
        }
        let credential = self.options().credentials.iter().find(|known| known.user == user && known.password == password)?;
        let Credential { user, permissions, repositories, .. } = credential.clone();
        Some(Principal::new(&user, permissions, repositories))
    }

    /// The claims that a refresh token of this principal carries besides those of every token.
    pub(crate) fn refresh_claims(principal: &Principal, tenant: Option<&str>) -> Value {
        let tenant = tenant.unwrap_or("00000000-0000-0000-0000-000000000000");
        if principal.by_repository {
            return json!({"appid": principal.subject, "tenant": tenant, "aad_identity": principal.subject});
        }
        let everywhere = principal.grants.iter().filter(|grant| grant.repositories.is_none());
        let actions: BTreeSet<(usize, &str)> = everywhere.flat_map(|grant| grant.permissions.actions()).collect();
        let actions: Vec<&str> = actions.into_iter().map(|(_, name)| name).collect();
        json!({"appid": principal.subject, "tenant": tenant, "permissions": {"Actions": actions, "NotActions": null}})
    }

    /// Lets the request pass and says whose it is, or says what to answer.
    pub(crate) fn authorize(&self, call: &Call, need: Option<&Need>) -> Result<String, Answer> {
        if !self.options().require_auth {
            return Ok(EVERYBODY.to_owned());
        }
        let reason = match authorization(&call.headers) {
            Authorization::None => None,
            Authorization::Bearer(token) => match self.verify(&token, &call.login_server, "access_token") {
                None => Some("invalid_token"),
                Some(claims) if need.is_none_or(|need| satisfied(need, |action| granted(&claims, need, action))) => {
                    return Ok(claims.get("sub").and_then(Value::as_str).unwrap_or(EVERYBODY).to_owned());
                }
                Some(_) => Some("insufficient_scope"),
            },
            Authorization::Basic(user, password) => match self.known(&user, &password, &call.login_server) {
                None => None,
                Some(principal) => match need {
                    Some(need) if !satisfied(need, |action| principal.allow(need.resource, &need.name, action)) => {
                        Some("insufficient_scope")
                    }
                    _ => return Ok(principal.subject),
                },
            },
        };
        Err(challenge(call, need, reason))
    }
}

/// Those who say nothing about themselves are one identity.
const EVERYBODY: &str = "anonymous";

/// The user name under which a refresh token goes as a password.
const REFRESH_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

fn satisfied(need: &Need, has: impl Fn(&str) -> bool) -> bool {
    need.actions.iter().all(|action| has(action)) || need.instead.is_some_and(has)
}

fn granted(claims: &Claims, need: &Need, action: &str) -> bool {
    let entries = claims.get("access").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().any(|entry| {
        let is = |field: &str, texts: &[&str]| entry.get(field).and_then(Value::as_str).is_some_and(|text| texts.contains(&text));
        let actions = entry.get("Actions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        is("Type", &[need.resource]) && is("Name", &[&need.name, "*"]) && actions.iter().any(|granted| granted == action)
    })
}

fn challenge(call: &Call, need: Option<&Need>, reason: Option<&str>) -> Answer {
    let service = &call.login_server;
    let mut challenge = format!("Bearer realm=\"{}://{service}/oauth2/token\",service=\"{service}\"", call.scheme);
    if let Some(Need { resource, name, actions, .. }) = need {
        challenge.push_str(&format!(",scope=\"{resource}:{name}:{}\"", actions.join(",")));
    }
    if let Some(reason) = reason {
        challenge.push_str(&format!(",error=\"{reason}\""));
    }
    let detail = need
        .map(|Need { resource, name, actions, .. }| actions.iter().map(|action| Missing { resource, name, action }).collect::<Vec<_>>());
    Answer::error_with(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", AUTHENTICATION_REQUIRED, detail).with(WWW_AUTHENTICATE, &challenge)
}

/// A right that was missing, as the body of a 401 names it; for the ping the list is `null`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Missing<'a> {
    #[serde(rename = "Type")]
    resource: &'a str,
    name: &'a str,
    action: &'a str,
}

/// The message of every 401.
pub(crate) const AUTHENTICATION_REQUIRED: &str = "authentication required, visit https://aka.ms/acr/authorization for more information.";

pub(crate) enum Authorization {
    None,
    Bearer(String),
    Basic(String, String),
}

pub(crate) fn authorization(headers: &HeaderMap) -> Authorization {
    let read = || {
        let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Authorization::Bearer(value.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Authorization::Basic(user.to_owned(), password.to_owned()))
    };
    read().unwrap_or(Authorization::None)
}
