//! Which rights a role gives in each of the registry's two ways to authorise, and the lines that say who has which. Knows no tokens.

use std::collections::BTreeMap;

use super::auth::Permissions;
use super::words::{LineError, words};

/// Rights, and where they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub permissions: Permissions,
    /// In which repositories: names, `prefix/*` or `*`. `None` is the whole registry; only that can hold the right to the catalog.
    pub repositories: Option<Vec<String>>,
}

/// A built-in role, or rights by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// AcrPull: pull, read metadata, list the catalog.
    Pull,
    /// AcrPush: the same and push.
    Push,
    /// AcrDelete: delete, nothing else.
    Delete,
    /// Reader: as AcrPull.
    Reader,
    /// Contributor: everything.
    Contributor,
    /// Owner: everything.
    Owner,
    /// AcrQuarantineReader: pull what is in quarantine.
    QuarantineReader,
    /// Container Registry Repository Reader: pull and read metadata, where registries authorise by repository.
    RepositoryReader,
    /// Container Registry Repository Writer: the same, push and write metadata.
    RepositoryWriter,
    /// Container Registry Repository Contributor: the same and delete.
    RepositoryContributor,
    /// Container Registry Repository Catalog Lister.
    CatalogLister,
    /// Rights that hold in both ways.
    Custom(Permissions),
}

/// The built-in roles by the names in Azure, blanks left out.
const ROLES: [(&str, Role); 11] = [
    ("AcrPull", Role::Pull),
    ("AcrPush", Role::Push),
    ("AcrDelete", Role::Delete),
    ("Reader", Role::Reader),
    ("Contributor", Role::Contributor),
    ("Owner", Role::Owner),
    ("AcrQuarantineReader", Role::QuarantineReader),
    ("ContainerRegistryRepositoryReader", Role::RepositoryReader),
    ("ContainerRegistryRepositoryWriter", Role::RepositoryWriter),
    ("ContainerRegistryRepositoryContributor", Role::RepositoryContributor),
    ("ContainerRegistryRepositoryCatalogLister", Role::CatalogLister),
];

impl Role {
    /// What the role gives. Where registries authorise by repository, the classic roles give no rights to data, and elsewhere those for
    /// repositories give none.
    pub(crate) fn permissions(&self, by_repository: bool) -> Permissions {
        let none = Permissions::NONE;
        let repository_reader = Permissions { pull: true, metadata_read: true, ..none };
        let repository_writer = Permissions { push: true, metadata_write: true, ..repository_reader };
        match (self, by_repository) {
            (Self::Custom(permissions), _) => *permissions,
            (Self::RepositoryReader, true) => repository_reader,
            (Self::RepositoryWriter, true) => repository_writer,
            (Self::RepositoryContributor, true) => Permissions { delete: true, ..repository_writer },
            (Self::CatalogLister, true) => Permissions { catalog: true, ..none },
            (Self::Pull | Self::Reader, false) => Permissions::READ,
            (Self::Push, false) => Permissions { push: true, ..Permissions::READ },
            (Self::Delete, false) => Permissions { delete: true, ..none },
            (Self::Contributor | Self::Owner, false) => Permissions::ALL,
            (Self::QuarantineReader, _) => Permissions { quarantine_read: true, ..none },
            (Self::RepositoryReader | Self::RepositoryWriter | Self::RepositoryContributor | Self::CatalogLister, false) => none,
            (Self::Pull | Self::Push | Self::Delete | Self::Reader | Self::Contributor | Self::Owner, true) => none,
        }
    }

    /// Whether the role can be bound to repositories.
    const fn is_bindable(&self) -> bool {
        matches!(self, Self::RepositoryReader | Self::RepositoryWriter | Self::RepositoryContributor | Self::Custom(_))
    }
}

/// A role of somebody, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: Role,
    /// In which repositories: names, `prefix/*` or `*`. `None` is the whole registry.
    pub repositories: Option<Vec<String>>,
}

impl Assignment {
    pub(crate) fn grant(&self, by_repository: bool) -> Grant {
        Grant { permissions: self.role.permissions(by_repository), repositories: self.repositories.clone() }
    }
}

/// Who has which roles. An identity that is not in it is told by [`DEFAULT`].
pub(crate) type Assignments = BTreeMap<String, Vec<Assignment>>;

/// Stands for all identities that are not named.
pub(crate) const DEFAULT: &str = "default";

/// Reads lines such as `alice AcrPull, AcrDelete` or `bob pull,delete on team/*`. Several lines about one identity add up.
pub(crate) fn read(text: &str) -> Result<Assignments, LineError> {
    let mut assignments = Assignments::new();
    for (line, text) in (1..).zip(text.lines()) {
        let wrong = |message| LineError { line, message };
        let words = words(text).map_err(wrong)?;
        if let Some((identity, rest)) = words.split_first() {
            let read = assigned(rest).map_err(wrong)?;
            assignments.entry(identity.clone()).or_default().extend(read);
        }
    }
    Ok(assignments)
}

fn assigned(words: &[String]) -> Result<Vec<Assignment>, String> {
    let usage = "IDENTITY ROLE, ROLE [on PATTERN, PATTERN], IDENTITY RIGHT, RIGHT [on PATTERN, PATTERN] or IDENTITY none";
    let (what, place) = match words.iter().position(|word| word == "on") {
        Some(at) => (&words[..at], Some(list(&words[at + 1..]))),
        None => (words, None),
    };
    let names = list(what);
    if names.is_empty() || place.as_ref().is_some_and(Vec::is_empty) {
        return Err(format!("is not whole: write {usage}"));
    }
    if names == ["none"] {
        return Ok(Vec::new());
    }
    let mut rights = Permissions::NONE;
    let mut roles = Vec::new();
    for name in &names {
        if let Some((_, role)) = ROLES.iter().find(|(known, _)| known == name) {
            roles.push(role.clone());
        } else if !rights.add(name) {
            let known: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "{name:?} is no role and no right: roles are {}; rights are {}",
                known.join(", "),
                Permissions::NAMES.join(", ")
            ));
        }
    }
    if rights != Permissions::NONE {
        roles.push(Role::Custom(rights));
    }
    if place.is_some() && !roles.iter().all(Role::is_bindable) {
        return Err("binds a role to repositories that holds for the whole registry: leave `on` out, or take a repository role".to_owned());
    }
    Ok(roles.into_iter().map(|role| Assignment { role, repositories: place.clone() }).collect())
}

/// `a, b,c`, in one or several words.
fn list(words: &[String]) -> Vec<String> {
    words.iter().flat_map(|word| word.split(',')).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_add_up() {
        let read = read("alice AcrPull, AcrDelete\nalice CATALOG on x").unwrap_err().to_string();
        assert!(read.starts_with("line 2: \"CATALOG\" is no role and no right: roles are AcrPull, "), "{read}");
        let read = super::read("# who\nalice AcrPull, AcrDelete\nbob pull,delete on team/*, a\nbob catalog\ncarol none").unwrap();
        assert_eq!(read["alice"].len(), 2);
        let rights = Permissions { pull: true, delete: true, ..Permissions::NONE };
        let on = Some(vec!["team/*".to_owned(), "a".to_owned()]);
        assert_eq!(read["bob"][0], Assignment { role: Role::Custom(rights), repositories: on });
        assert_eq!(read["bob"].len(), 2);
        assert!(read["carol"].is_empty());
        for text in ["alice", "alice AcrPull on", "alice AcrPull on team/*"] {
            assert!(super::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_way_to_authorise_has_its_roles() {
        let gives = |name: &str, by_repository| {
            let assignment = &assigned(&[name.to_owned()]).unwrap()[0];
            assignment.grant(by_repository).permissions
        };
        assert_eq!(gives("Owner", true), Permissions::NONE);
        assert_eq!(gives("Owner", false), Permissions::ALL);
        assert_eq!(gives("AcrDelete", false), Permissions { delete: true, ..Permissions::NONE });
        assert_eq!(gives("ContainerRegistryRepositoryContributor", false), Permissions::NONE);
        assert!(gives("ContainerRegistryRepositoryContributor", true).delete);
        assert!(!gives("ContainerRegistryRepositoryContributor", true).catalog);
        assert!(gives("ContainerRegistryRepositoryCatalogLister", true).catalog);
    }
}
