//! From checked objects to resolved types: compiles patterns, finds registries, holds keys against each other. Goes on after every
//! problem; what it returns means something only when there is none. Touches neither disk nor clock.

mod cases;
mod policies;
mod scope;
mod selector;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;

use super::item::Item;
use super::problem::{Complaint, PROBLEMS_MAX, Problem, Source};
use super::settings::{Registry, ServerSettings, StateSettings};
use crate::model::RegistryName;

pub(super) use cases::{cases, refuse_policies_among_tests};
pub(super) use policies::policies;
pub(super) use scope::Scope;
pub(super) use settings::settings;

/// What the settings say.
#[derive(Default)]
pub(super) struct Found {
    pub(super) registries: Vec<Registry>,
    pub(super) known: Known,
    /// Where the policies are, as far as that is known.
    pub(super) policies: Vec<PolicyPath>,
    pub(super) state: StateSettings,
    pub(super) server: ServerSettings,
    pub(super) paused: bool,
}

/// A policy file or a folder of them, and what the settings give to it.
pub(super) struct PolicyPath {
    pub(super) path: PathBuf,
    /// None: everything.
    pub(super) scope: Option<Arc<Scope>>,
}

/// A policy file that was read.
pub(super) struct PolicyFile {
    pub(super) source: Source,
    pub(super) scope: Option<Arc<Scope>>,
}

impl PolicyFile {
    /// A file that may say everything.
    pub(super) fn of_anybody(source: Source) -> Self {
        Self { source, scope: None }
    }
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
    /// How many regular expressions the file has so far.
    regexes: usize,
}

impl<'run> Context<'run> {
    fn new(source: &'run Source, problems: &'run mut Vec<Problem>) -> Self {
        Self { source, problems, regexes: 0 }
    }

    fn report(&mut self, item: &Item, complaint: Complaint) {
        if !self.is_full() {
            self.source.report(item.place, &item.path, complaint, self.problems);
        }
    }

    /// Whether nothing more is reported.
    fn is_full(&self) -> bool {
        PROBLEMS_MAX < self.problems.len()
    }
}
