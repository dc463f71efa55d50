//! What a token is asked for. Computed from what is about to be done, never copied from a challenge.

use std::fmt;

use crate::acr::error::Action;
use crate::model::RepositoryName;

/// The scope of one access token. Planning needs no more than [`Scope::Read`], so that a mistake in it meets a refusal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::acr) enum Scope {
    /// List the repositories.
    Catalog,
    /// Read everything in a repository.
    Read(RepositoryName),
    /// Delete in a repository.
    Delete(RepositoryName),
    /// Change locks in a repository.
    Lock(RepositoryName),
}

impl Scope {
    /// What it asks for.
    pub(in crate::acr) const fn actions(&self) -> &'static [Action] {
        match self {
            Self::Catalog => &[Action::Catalog],
            Self::Read(_) => &[Action::Pull, Action::MetadataRead],
            Self::Delete(_) => &[Action::Delete],
            Self::Lock(_) => &[Action::MetadataWrite],
        }
    }

    /// The repository that it is about.
    pub(in crate::acr) const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Catalog => None,
            Self::Read(repository) | Self::Delete(repository) | Self::Lock(repository) => Some(repository),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(repository) = self.repository() else { return formatter.write_str("registry:catalog:*") };
        let actions: Vec<&str> = self.actions().iter().map(|action| action.as_str()).collect();
        write!(formatter, "repository:{repository}:{}", actions.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_never_asks_for_the_right_to_delete() {
        let repository = RepositoryName::parse("team/web").expect("a name");
        assert_eq!(Scope::Catalog.to_string(), "registry:catalog:*");
        assert_eq!(Scope::Read(repository.clone()).to_string(), "repository:team/web:pull,metadata_read");
        assert_eq!(Scope::Delete(repository.clone()).to_string(), "repository:team/web:delete");
        assert_eq!(Scope::Lock(repository).to_string(), "repository:team/web:metadata_write");
    }
}
