//! The configuration: `retaind.yaml` and the policy files, read strictly. Either everything is valid, or every problem is known.
//!
//! ```text
//! read ──► tree ──► check (by the tables of shape) ──► resolve ──► Configuration | Problems
//! ```
//! Only `read` touches the disk, only `tree` knows YAML; `files` puts together what was read. `schema` and `reference` are written from
//! the same tables.

mod cases;
mod settings;

mod read;
mod tree;

mod shape;

mod check;
mod defaults;
mod globs;
mod item;
mod written;
mod scalar;
mod suggest;

mod resolve;
mod files;
mod lint;

mod problem;
mod reference;
mod schema;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::RegistryName;
use crate::policy::Policy;

use resolve::PolicyFile;

pub use cases::{Case, DrawnImage, DrawnVersion, Expectation, ExpectedVerdict, TestFile};
pub use files::{BrokenScope, Loaded};
pub use lint::{Seen, WARNINGS, warnings};
pub use problem::{Mark, Place, Problem, Problems, Source};
pub use reference::reference;
pub use schema::{policies_schema, settings_schema, tests_schema};
pub use settings::{AUDIENCE, Auth, Configuration, Registry, ServerSettings, Sku, StateSettings, Throttle};
pub use written::Written;

/// Reads other policies for the registries of a configuration: a folder of files, or one file. Blocks on the disk.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub fn load_policies(path: &Path, configuration: &Configuration) -> Result<Vec<Policy>, Problems> {
    let mut problems = Vec::new();
    let read::Folder { policies, .. } = read::policies(path, &mut problems);
    let sources: Vec<PolicyFile> = policies.into_iter().map(|file| PolicyFile::of_anybody(file.source)).collect();
    let registries = || configuration.registries.iter();
    let hosts = registries().filter_map(|registry| registry.endpoint.host()).map(str::to_owned).collect();
    let known = resolve::Known { names: registries().map(|registry| registry.name.clone()).collect(), hosts, complete: true };
    let (resolved, _) = resolve::policies(&sources, &known, &mut problems);
    Problems::collect(problems).map_or(Ok(resolved), Err)
}

/// Reads files of policy tests. Blocks on the disk.
///
/// # Errors
/// Everything that is wrong with any of them, except for what only playing them can tell.
pub fn load_tests(paths: &[PathBuf]) -> Result<Vec<TestFile>, Problems> {
    let mut problems = Vec::new();
    let mut tests = Vec::new();
    for path in paths {
        let Some(read::File { source, .. }) = read::file(path, &mut problems) else { continue };
        let cases = resolve::cases(&source, &mut problems);
        tests.push(TestFile { source, cases });
    }
    Problems::collect(problems).map_or(Ok(tests), Err)
}

/// Resolves settings and policies from texts, each with the name that messages call it, as [`Configuration::load`] does from files.
/// Paths in the settings are taken relative to the current folder, and `policies` is not followed.
///
/// # Errors
/// Everything that is wrong with any of the texts.
pub fn resolve_texts(settings: (&str, &str), policies: &[(&str, &str)]) -> Result<Configuration, Problems> {
    let mut problems = Vec::new();
    let source = Source::new(settings.0, settings.1);
    let found = resolve::settings(&source, Path::new(""), &mut problems);
    let sources: Vec<PolicyFile> = policies.iter().map(|(name, text)| PolicyFile::of_anybody(Source::new(name, text))).collect();
    let content_hash = content_hash(std::iter::once(&source).chain(sources.iter().map(|file| &file.source)));
    let paths = std::iter::once(settings.0).chain(policies.iter().map(|(name, _)| *name)).map(PathBuf::from).collect();
    assemble(found, &sources, paths, content_hash, problems)
}

/// Resolves policies from texts, each with the name that messages call it.
///
/// # Errors
/// Everything that is wrong with any of the texts.
pub fn resolve_policies(policies: &[(&str, &str)], registries: &[RegistryName]) -> Result<Vec<Policy>, Problems> {
    let mut problems = Vec::new();
    let sources: Vec<PolicyFile> = policies.iter().map(|(name, text)| PolicyFile::of_anybody(Source::new(name, text))).collect();
    let known = resolve::Known { names: registries.to_vec(), hosts: Vec::new(), complete: true };
    let (resolved, _) = resolve::policies(&sources, &known, &mut problems);
    Problems::collect(problems).map_or(Ok(resolved), Err)
}

fn assemble(
    found: resolve::Found,
    policies: &[PolicyFile],
    files: Vec<PathBuf>,
    content_hash: [u8; 32],
    problems: Vec<Problem>,
) -> Result<Configuration, Problems> {
    let mut problems = problems;
    let resolve::Found { registries, known, policies: _, state, server, paused } = found;
    let (policies, written) = resolve::policies(policies, &known, &mut problems);
    match Problems::collect(problems) {
        Some(problems) => Err(problems),
        None => Ok(Configuration {
            registries,
            policies,
            written,
            state,
            server,
            paused,
            files,
            test_files: Vec::new(),
            content_hash,
            texts: Vec::new(),
        }),
    }
}

/// Names and texts, each with its length before it, so that no two configurations hash the same input. Only the last part of a name
/// counts: the same files in another folder are the same configuration.
fn content_hash<'a>(sources: impl Iterator<Item = &'a Source>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for source in sources {
        let name = source.name.rsplit(['/', '\\']).next().unwrap_or_default();
        for part in [name, &*source.text] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().into()
}
