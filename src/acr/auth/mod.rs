//! Who asks, and the tokens that prove it: a credential becomes a refresh token, that becomes one access token per scope.
//! Knows nothing of what the tokens are used for.

mod assertion;
mod challenge;
mod entra;
mod flow;
mod holder;
mod jwt;
mod scope;
mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::credentials::TokenCredential;
use futures::FutureExt as _;

pub use assertion::{CertificateFiles, ServiceConnection};
pub(super) use challenge::{Verdict, judge_challenge};
pub use entra::{
    Chosen, EntraOptions, EntraSettings, InvalidEntraSettings, Pipeline, auto_entra_settings, entra_credential, sovereign_authority,
};
pub(super) use holder::Token;
pub(super) use scope::Scope;
pub use secret::Secret;

use self::flow::Flow;
use self::holder::Holder;
use super::budget::Queue;
use super::courier::Courier;
use super::endpoint::Endpoint;
use super::error::{Action, Failure, printable};
use super::limits::{REFRESH_TOKEN_TRUSTED_SECONDS, TOKENS_HELD_MAX};
use crate::clock::Clock;

/// The Entra audience of container registries in every cloud, and the only one that registries accept which refuse tokens
/// for Azure Resource Manager.
pub const DEFAULT_AUDIENCE: &str = "https://containerregistry.azure.net";

/// Who asks.
#[derive(Clone)]
pub enum Credential {
    /// Nobody: registries with anonymous pull let themselves be read.
    Anonymous,
    /// A scope-map token or the admin user.
    Basic {
        /// The user name.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// An identity of Microsoft Entra.
    Entra {
        /// Issues its tokens.
        credential: Arc<dyn TokenCredential>,
        /// What to do when there is no token, said with every failure to get one; see [`Chosen::advice`].
        advice: Option<&'static str>,
        /// What the tokens are for, without `/.default`; most of the time [`DEFAULT_AUDIENCE`].
        audience: String,
    },
}

/// What a refresh token says about its identity.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) who: Option<String>,
    /// Whether the registry gives rights by repository.
    pub(super) by_repository: bool,
    /// What it may do in all of the registry. None: that is told by access tokens alone.
    pub(super) actions: Option<BTreeSet<Action>>,
}

/// What a word of a refresh token's permissions allows; the catalog comes with reading.
fn action(word: &str) -> Option<Action> {
    match word {
        "read" => Some(Action::Pull),
        "write" => Some(Action::Push),
        "delete" => Some(Action::Delete),
        "metadata/read" => Some(Action::MetadataRead),
        "metadata/write" => Some(Action::MetadataWrite),
        "deleted/read" => Some(Action::DeletedRead),
        "deleted/restore/action" => Some(Action::DeletedRestore),
        _ => None,
    }
}

/// The tokens of one client.
pub(super) struct Auth {
    flow: Flow,
    clock: Clock,
    /// The refresh token, where the credential is exchanged for one.
    refresh: Holder,
    access: Mutex<BTreeMap<Scope, Arc<Holder>>>,
}

impl Auth {
    pub(super) fn new(endpoint: Endpoint, courier: Arc<Courier>, credential: Credential, clock: Clock) -> Self {
        let flow = Flow { endpoint, courier, queue: Queue::default(), credential };
        Self { flow, clock, refresh: Holder::default(), access: Mutex::default() }
    }

    /// A token for the scope: the one that is held, or a new one. Callers of one scope share one request.
    pub(super) async fn token(&self, scope: &Scope) -> Result<Arc<Token>, Failure> {
        let holder = self.holder(scope);
        // Boxed: the future of a token holds that of a refresh token, which is rarely needed.
        holder.get(&self.clock, || self.grant(scope).boxed()).await
    }

    /// Who it is, as far as that can be told without naming a repository.
    pub(super) async fn identity(&self) -> Result<Identity, Failure> {
        match &self.flow.credential {
            Credential::Anonymous => Ok(Identity { who: Some("nobody (anonymous)".to_owned()), ..Identity::default() }),
            Credential::Basic { user, .. } => Ok(Identity { who: Some(format!("user {}", printable(user))), ..Identity::default() }),
            Credential::Entra { credential, audience, advice } => {
                let exchange = || self.flow.exchange(&**credential, audience, *advice, &self.clock).boxed();
                let refresh = self.refresh.get(&self.clock, exchange).await?;
                let claims = refresh.claims();
                let actions = claims.permissions.as_ref().filter(|_| !claims.by_repository);
                Ok(Identity {
                    who: claims.who.clone(),
                    by_repository: claims.by_repository,
                    actions: actions.map(|words| words.iter().filter_map(|word| action(word)).collect()),
                })
            }
        }
    }

    /// Throws away a token that the registry refused, so that the next call gets a new one. A registry that changed how
    /// permissions are given refuses the refresh token too, so it goes as well unless it is brand-new.
    pub(super) fn forget(&self, scope: &Scope, token: &Arc<Token>) {
        self.holder(scope).forget(token);
        let old = self.clock.now().as_second() - REFRESH_TOKEN_TRUSTED_SECONDS;
        self.refresh.forget_older_than(old);
    }

    async fn grant(&self, scope: &Scope) -> Result<Token, Failure> {
        match &self.flow.credential {
            Credential::Anonymous => self.flow.anonymous(scope, &self.clock).await,
            Credential::Basic { user, password } => self.flow.basic(user, password, scope, &self.clock).await,
            Credential::Entra { credential, audience, advice } => {
                let exchange = || self.flow.exchange(&**credential, audience, *advice, &self.clock).boxed();
                let refresh = self.refresh.get(&self.clock, exchange).await?;
                let granted = self.flow.access(&refresh, scope, &self.clock).await;
                if !matches!(granted, Err(Failure::Unauthorized { .. })) {
                    return granted;
                }
                // The registry no longer takes the refresh token, whatever our clock says of it: one new one, once.
                self.refresh.forget(&refresh);
                let refresh = self.refresh.get(&self.clock, exchange).await?;
                self.flow.access(&refresh, scope, &self.clock).await
            }
        }
    }

    fn holder(&self, scope: &Scope) -> Arc<Holder> {
        let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        if TOKENS_HELD_MAX <= access.len() && !access.contains_key(scope) {
            let now = self.clock.now().as_second();
            access.retain(|_, holder| holder.is_useful(now));
            if TOKENS_HELD_MAX <= access.len() {
                // Repositories are worked through in order of name, so the first is the one least likely to be asked for again.
                access.pop_first();
            }
        }
        access.entry(scope.clone()).or_default().clone()
    }
}
