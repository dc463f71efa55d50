//! Opens what a command works on: settings, files, the state.

use std::path::Path;

use tracing::warn;

use crate::config::{self, Configuration, StateSettings};
use crate::model::{Inventory, RegistryName};
use crate::pipeline::apply::{Brakes, pause_file};
use crate::pipeline::report::inventory_from_json;
use crate::policy::Policy;
use crate::state::{State, StateError};

use super::Failure;
use super::args::Selection;

/// Reads a file that a command was given.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::unusable(format!("cannot read {}: {error}", path.display())))
}

/// Reads a secret: the file's text without the line break that editors leave at its end.
pub(super) fn read_secret(path: &Path) -> Result<String, Failure> {
    let text = read(path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::unusable(format!("the secret file {} is empty", path.display())));
    }
    Ok(secret.to_owned())
}

/// Reads a saved listing.
pub(super) fn inventory(path: &Path) -> Result<Inventory, Failure> {
    inventory_from_json(&read(path)?).map_err(|error| Failure::unusable(format!("{}: {error}", path.display())))
}

/// The state of a command that may delete: it must be ours alone.
pub(super) fn state(settings: &StateSettings) -> Result<State, StateError> {
    match &settings.dir {
        Some(dir) => State::open(dir),
        None => State::in_memory(),
    }
}

/// The brakes of a command that may delete: `retaind pause` works on it.
pub(super) fn brakes(settings: &StateSettings) -> Brakes {
    settings.dir.as_deref().map_or_else(Brakes::new, |dir| Brakes::with_pause_file(pause_file(dir)))
}

/// The state of a command that changes nothing. While another process owns the file, a copy serves: what this command learns is
/// forgotten, what the file knows is used.
pub(super) fn state_to_plan(settings: &StateSettings) -> Result<State, StateError> {
    match &settings.dir {
        Some(dir) => match State::open(dir) {
            Err(StateError::InUse { .. }) => State::copy_of(dir),
            opened => opened,
        },
        None => {
            warn!("there is no state.dir: untagged manifests are taken to be untagged since now");
            State::in_memory()
        }
    }
}

/// The policies and registries that a selection leaves, in the order of the files.
pub(super) fn selected<'c>(
    configuration: &'c Configuration,
    selection: &Selection,
) -> Result<Vec<(&'c Policy, &'c config::Registry)>, Failure> {
    let Selection { config: _, policy, registry } = selection;
    let known = |names: Vec<&str>| if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
    if let Some(wanted) = policy
        && !configuration.policies.iter().any(|policy| *policy.name == **wanted)
    {
        let names = configuration.policies.iter().map(|policy| &*policy.name).collect();
        return Err(Failure::unusable(format!("no policy is named {wanted:?}; {}", known(names))));
    }
    if let Some(wanted) = registry
        && !configuration.registries.iter().any(|registry| registry.name.as_str() == wanted)
    {
        let names = configuration.registries.iter().map(|registry| registry.name.as_str()).collect();
        return Err(Failure::unusable(format!("no registry is named {wanted:?}; {}", known(names))));
    }
    let is_wanted = |name: &RegistryName| registry.as_ref().is_none_or(|wanted| name.as_str() == wanted);
    let policies = configuration.policies.iter().filter(|candidate| policy.as_ref().is_none_or(|wanted| *candidate.name == **wanted));
    let pairs = policies.flat_map(|policy| {
        let registries = configuration.registries.iter().filter(|registry| policy.registries.contains(&registry.name));
        registries.map(move |registry| (policy, registry))
    });
    Ok(pairs.filter(|(_, registry)| is_wanted(&registry.name)).collect())
}
