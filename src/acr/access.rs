//! What an identity may do, read from the registry's own tokens before anything is tried: what is missing is told at the start and not
//! by the first refusal at night, and what is too much is told at all. Changes nothing and asks nothing but tokens.

use std::collections::BTreeSet;
use std::fmt;

use super::auth::{Auth, Scope};
use super::client::Client;
use super::error::{Action, Error, Operation, Permission};
use crate::model::RepositoryName;

/// What an identity is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whether the repositories are to be found by listing them.
    pub catalog: bool,
    /// Whether something is to be deleted.
    pub deletes: bool,
    /// Whether locks are to be changed.
    pub locks: bool,
    /// A repository to look at where rights can only be told for one. None: nothing is told about repositories then.
    pub repository: Option<RepositoryName>,
}

/// What was found about an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is signed in.
    SignedIn {
        /// As whom, as far as the registry says.
        who: String,
        /// Whether the registry gives rights for each repository on its own.
        by_repository: bool,
    },
    /// It lacks something that it needs.
    Missing {
        /// Who.
        who: String,
        /// What.
        permission: Permission,
    },
    /// It may do what it need not.
    TooMuch {
        /// Who.
        who: String,
        /// What, in order.
        actions: Vec<Action>,
    },
}

/// What can be done with the registry's contents that reading is not.
const POWERFUL: [Action; 4] = [Action::Delete, Action::MetadataWrite, Action::Push, Action::DeletedRestore];

impl Client {
    /// Looks at the rights of the identity that reads and, where that is another, of the one that changes something.
    ///
    /// # Errors
    /// An identity cannot sign in.
    pub async fn check_access(&self, needs: &Needs) -> Result<Vec<Finding>, Error> {
        let mut for_reading = vec![Action::Pull, Action::MetadataRead];
        let mut for_changes = Vec::new();
        for_reading.extend(needs.catalog.then_some(Action::Catalog));
        for_changes.extend(needs.deletes.then_some(Action::Delete));
        for_changes.extend(needs.locks.then_some(Action::MetadataWrite));
        let mut findings = Vec::new();
        let (reads, changes) = self.identities();
        match changes {
            None => {
                for_reading.append(&mut for_changes);
                self.check(reads, &for_reading, needs, &mut findings).await?;
            }
            Some(changes) => {
                self.check(reads, &for_reading, needs, &mut findings).await?;
                // Where nothing is to be changed, nobody signs in who could.
                if !for_changes.is_empty() {
                    self.check(changes, &for_changes, needs, &mut findings).await?;
                }
            }
        }
        Ok(findings)
    }

    async fn check(&self, auth: &Auth, wanted: &[Action], needs: &Needs, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let failed =
            |failure| Error { operation: Operation::ExchangeToken, registry: self.registry().clone(), item: String::new(), failure };
        let identity = auth.identity().await.map_err(failed)?;
        let who = identity.who.unwrap_or_else(|| "the identity".to_owned());
        findings.push(Finding::SignedIn { who: who.clone(), by_repository: identity.by_repository });
        let (granted, repository) = match identity.actions {
            Some(actions) => (Some(actions), None),
            None => (self.granted(auth, needs).await.map_err(failed)?, needs.repository.clone()),
        };
        let Some(granted) = granted else { return Ok(()) };
        let lacks = |action: &&Action| !granted.contains(action);
        // The catalog is a right of its own where rights are given by repository, and comes with reading elsewhere.
        let missing: Vec<Action> = wanted.iter().filter(|action| **action != Action::Catalog).filter(lacks).copied().collect();
        if !missing.is_empty() {
            findings
                .push(Finding::Missing { who: who.clone(), permission: Permission { actions: missing, repository: repository.clone() } });
        }
        if wanted.contains(&Action::Catalog) && !granted.contains(&Action::Catalog) && repository.is_some() {
            let permission = Permission { actions: vec![Action::Catalog], repository: None };
            findings.push(Finding::Missing { who: who.clone(), permission });
        }
        let too_much: Vec<Action> = POWERFUL.into_iter().filter(|action| granted.contains(action) && !wanted.contains(action)).collect();
        if !too_much.is_empty() {
            findings.push(Finding::TooMuch { who, actions: too_much });
        }
        Ok(())
    }

    /// What tokens for one repository and for the catalog say that they allow. None: there is no repository to ask for, or tokens do not
    /// say.
    async fn granted(&self, auth: &Auth, needs: &Needs) -> Result<Option<BTreeSet<Action>>, super::Failure> {
        let Some(name) = &needs.repository else { return Ok(None) };
        let mut granted = BTreeSet::new();
        let of_repository = [Scope::Read, Scope::Delete, Scope::Lock, Scope::Push].map(|scope| scope(name.clone()));
        for scope in of_repository.into_iter().chain(needs.catalog.then_some(Scope::Catalog)) {
            match auth.token(&scope).await {
                Ok(token) if token.says_what_it_allows() => {
                    let lacks = token.lacks(&scope);
                    granted.extend(scope.actions().iter().copied().filter(|action| !lacks.contains(action)));
                }
                Ok(_) => return Ok(None),
                // Whoever may not even ask has not got it.
                Err(super::Failure::Unauthorized { .. }) if scope != Scope::Read(name.clone()) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(Some(granted))
    }
}

impl Finding {
    /// Whether it keeps something from working.
    pub const fn is_wrong(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            Self::SignedIn { .. } | Self::TooMuch { .. } => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignedIn { who, by_repository: true } => write!(formatter, "{who} is signed in; the registry gives rights by repository"),
            Self::SignedIn { who, by_repository: false } => write!(formatter, "{who} is signed in"),
            Self::Missing { who, permission } => write!(formatter, "{who} lacks {permission}; {}", permission.remedy()),
            Self::TooMuch { who, actions } => {
                let actions: Vec<&str> = actions.iter().map(|action| action.as_str()).collect();
                write!(formatter, "{who} may {}, which nothing here needs: take it away", actions.join(" and "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_sentences() {
        let who = "application 1".to_owned();
        let missing = Permission { actions: vec![Action::Delete], repository: None };
        let shown = [
            Finding::SignedIn { who: who.clone(), by_repository: true },
            Finding::Missing { who: who.clone(), permission: missing },
            Finding::TooMuch { who, actions: vec![Action::MetadataWrite, Action::Push] },
        ];
        let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
        expect_test::expect![[r#"
            application 1 is signed in; the registry gives rights by repository
            application 1 lacks the permission delete; grant AcrDelete, or Container Registry Repository Contributor where permissions are per repository
            application 1 may metadata_write and push, which nothing here needs: take it away"#]]
        .assert_eq(&shown.join("\n"));
    }
}
