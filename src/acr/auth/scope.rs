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
    /// Read and write manifests and blobs of a repository.
    Push(RepositoryName),
    /// List the repositories that can be restored.
    DeletedCatalog,
    /// List what can be restored in a repository.
    DeletedRead(RepositoryName),
    /// Restore in a repository.
    Restore(RepositoryName),
}

impl Scope {
    /// What it asks for.
    pub(in crate::acr) const fn actions(&self) -> &'static [Action] {
        match self {
            Self::Catalog => &[Action::Catalog],
            Self::Read(_) => &[Action::Pull, Action::MetadataRead],
            Self::Delete(_) => &[Action::Delete],
            Self::Lock(_) => &[Action::MetadataWrite],
            Self::Push(_) => &[Action::Pull, Action::Push],
            Self::DeletedCatalog => &[Action::DeletedCatalog],
            Self::DeletedRead(_) => &[Action::DeletedRead],
            Self::Restore(_) => &[Action::DeletedRead, Action::DeletedRestore],
        }
    }

    /// Whether something can be changed with it.
    pub(in crate::acr) const fn allows_changes(&self) -> bool {
        match self {
            Self::Delete(_) | Self::Lock(_) | Self::Push(_) | Self::Restore(_) => true,
            Self::Catalog | Self::Read(_) | Self::DeletedCatalog | Self::DeletedRead(_) => false,
        }
    }

    /// The repository that it is about.
    pub(in crate::acr) const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Catalog | Self::DeletedCatalog => None,
            Self::Read(repository)
            | Self::Delete(repository)
            | Self::Lock(repository)
            | Self::Push(repository)
            | Self::DeletedRead(repository)
            | Self::Restore(repository) => Some(repository),
        }
    }
}

impl Scope {
    /// Kind and name of what it is about, as tokens write them.
    pub(in crate::acr) fn resource(&self) -> (&'static str, &str) {
        match self.repository() {
            Some(repository) => ("repository", repository.as_str()),
            None if *self == Self::DeletedCatalog => ("registry", "deleted_catalog"),
            None => ("registry", "catalog"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(repository) = self.repository() else {
            return formatter.write_str(if *self == Self::DeletedCatalog { "registry:deleted_catalog:*" } else { "registry:catalog:*" });
        };
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
        assert_eq!(Scope::Lock(repository.clone()).to_string(), "repository:team/web:metadata_write");
        assert_eq!(Scope::Push(repository.clone()).to_string(), "repository:team/web:pull,push");
        assert_eq!(Scope::DeletedCatalog.to_string(), "registry:deleted_catalog:*");
        assert_eq!(Scope::DeletedRead(repository.clone()).to_string(), "repository:team/web:deleted_read");
        assert_eq!(Scope::Restore(repository).to_string(), "repository:team/web:deleted_read,deleted_restore");
    }
}
