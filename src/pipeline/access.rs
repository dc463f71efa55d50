//! Whether the identities of a registry may do what its policies want, told when the program starts. Asks for tokens and at most one
//! name; changes nothing, decides nothing.

use tracing::{info, warn};

use crate::acr::{Client, Error, Finding, Needs};
use crate::model::{RegistryName, RepositoryName};
use crate::policy::{Action, Policy};

/// What the policies want from a registry. A dry run wants to read and nothing else.
pub fn needs(policies: &[Policy], registry: &RegistryName) -> Needs {
    let here = || policies.iter().filter(|policy| policy.registries.contains(registry));
    let enforced = || here().filter(|policy| policy.is_enforced()).flat_map(|policy| &policy.rules);
    let literals = here().filter_map(|policy| policy.repositories.literals()).flatten();
    Needs {
        catalog: here().any(|policy| policy.repositories.literals().is_none()),
        deletes: enforced().any(|rule| matches!(rule.action, Action::Delete(_))),
        locks: enforced().any(|rule| matches!(rule.action, Action::Lock(_) | Action::Unlock(_))),
        repository: literals.filter_map(|literal| RepositoryName::parse(literal).ok()).next(),
    }
}

/// Looks whether the identities of a client can do what the policies want, and no more.
///
/// # Errors
/// An identity cannot sign in.
pub async fn check(client: &Client, policies: &[Policy]) -> Result<Vec<Finding>, Error> {
    let mut needs = needs(policies, client.registry());
    if needs.repository.is_none() {
        // Any will do to see which rights are given for one. Whoever may not list them is told so below.
        let page = client.list_repositories(1).next_page().await;
        needs.repository = page.ok().flatten().and_then(|names| names.into_iter().next());
    }
    client.check_access(&needs).await
}

/// Logs what was found: a wrong credential is told at the start and not with the first run at night.
pub async fn announce(client: &Client, policies: &[Policy]) {
    let registry = client.registry();
    match check(client, policies).await {
        Ok(findings) => findings.iter().for_each(|finding| match finding {
            Finding::Missing { .. } => warn!(%registry, "{finding}"),
            Finding::SignedIn { .. } | Finding::TooMuch { .. } => info!(%registry, "{finding}"),
        }),
        Err(error) => warn!(%registry, "{error}"),
    }
}
