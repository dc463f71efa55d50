//! From checked objects to resolved types: compiles patterns, finds registries, holds keys against each other. Goes on after every
//! problem; what it returns means something only when there is none. Touches neither disk nor clock.

mod policies;
mod selector;
mod settings;

use std::path::PathBuf;

use super::problem::{Complaint, Problem, Source};
use super::settings::{Registry, ServerSettings, StateSettings};
use crate::model::RegistryName;

pub(super) use policies::policies;
pub(super) use settings::settings;

/// What the settings say.
#[derive(Default)]
pub(super) struct Found {
    pub(super) registries: Vec<Registry>,
    pub(super) known: Known,
    /// Where the policies are, when that is known.
    pub(super) policies: Option<PathBuf>,
    pub(super) state: StateSettings,
    pub(super) server: ServerSettings,
    pub(super) paused: bool,
}

/// The registries that policies can name.
#[derive(Default)]
pub(super) struct Known {
    pub(super) names: Vec<RegistryName>,
    /// Their hosts, to recognise one in a repository glob.
    pub(super) hosts: Vec<String>,
    /// Whether these are all: when a name could not be read, policies are not blamed for naming it.
    pub(super) complete: bool,
}

/// A file being resolved, and where its problems go.
struct Context<'run> {
    source: &'run Source,
    problems: &'run mut Vec<Problem>,
}

impl Context<'_> {
    fn report(&mut self, item: &super::item::Item, complaint: Complaint) {
        self.problems.push(item.problem(self.source, complaint));
    }
}
