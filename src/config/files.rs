//! The files on the disk as one configuration. Either all of them are valid, or, for a daemon that has valid ones in use, all but some to
//! which the settings give a scope: then the last valid texts of those stand in for them. Does not know what follows from that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content_hash;
use super::problem::{Problem, Problems};
use super::read::{self, File};
use super::resolve::{self, Found, PolicyFile, Scope};
use super::settings::Configuration;
use super::written::Written;
use crate::policy::{Pattern, Policy};

/// What the files say, as far as they are valid.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Valid as a whole: for each entry of `broken` with the last valid texts of its files, or without any where there are none.
    pub configuration: Configuration,
    /// The entries of `policies` in the settings whose files are not valid as they are now.
    pub broken: Vec<BrokenScope>,
}

/// Files that are not valid, and where that matters.
#[derive(Debug, Clone)]
pub struct BrokenScope {
    /// The repositories that the settings give to these files; never empty.
    pub repositories: Vec<Pattern>,
    /// What is wrong.
    pub problems: Problems,
}

/// The texts behind an entry of `policies` in the settings.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    path: PathBuf,
    files: Vec<File>,
}

/// Everything that was read.
struct Files {
    settings: Option<File>,
    found: Found,
    entries: Vec<Entry>,
    /// What is wrong with the settings.
    problems: Vec<Problem>,
}

/// An entry of `policies` in the settings.
struct Entry {
    path: PathBuf,
    scope: Option<Arc<Scope>>,
    files: Vec<File>,
    tests: Vec<PathBuf>,
    /// What is wrong with the files before anybody looks at what they say.
    problems: Vec<Problem>,
    /// Whether the disk failed, so that not even what is there is known.
    is_unknown: bool,
}

/// Policies, how they are written, and the texts that they come from.
struct Resolved {
    policies: Vec<Policy>,
    written: Vec<Written>,
    texts: Vec<Texts>,
}

impl Configuration {
    /// Reads the settings and the policy files that they name. Blocks on the disk.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files. A file that is missing or empty is wrong: it never means "no policies".
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let files = Files::read(path);
        files.whole().map(|resolved| files.into_configuration(resolved))
    }

    /// Reads the files as [`Self::load`] does, beside the ones in use. What is wrong with files to which the settings give repositories
    /// of their own matters only there: their last valid texts stand in for them. Blocks on the disk.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files, if it matters everywhere: the settings or a file without a scope are not valid,
    /// the disk failed, or the last valid texts do not fit what is new.
    pub fn load_beside(path: &Path, in_use: &Self) -> Result<Loaded, Problems> {
        let files = Files::read(path);
        let (resolved, broken) = match files.whole() {
            Ok(resolved) => (resolved, Vec::new()),
            Err(problems) => files.beside(in_use).ok_or(problems)?,
        };
        Ok(Loaded { configuration: files.into_configuration(resolved), broken })
    }
}

impl Files {
    fn read(path: &Path) -> Self {
        let mut problems = Vec::new();
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let settings = read::file(path, &mut problems);
        let found = settings.as_ref().map(|file| resolve::settings(&file.source, &folder, &mut problems)).unwrap_or_default();
        let entries = found.policies.iter().map(|entry| Entry::read(&entry.path, entry.scope.clone())).collect();
        Self { settings, found, entries, problems }
    }

    /// Every file as it is now.
    fn whole(&self) -> Result<Resolved, Problems> {
        let read = self.entries.iter().flat_map(|entry| &entry.problems);
        let mut problems: Vec<Problem> = self.problems.iter().chain(read).cloned().collect();
        let resolved = self.resolve(self.entries.iter().map(|entry| entry.files.clone()).collect(), &mut problems);
        Problems::collect(problems).map_or(Ok(resolved), Err)
    }

    /// The files that are valid now, and the last valid texts of those that are not. None: that something is not valid matters
    /// everywhere.
    ///
    /// 1. The settings say where a file matters, so they must be valid themselves, and so must every file without a scope.
    /// 2. What nobody could read may be anything, elsewhere, too.
    /// 3. What is put together this way is held to everything that a set of files is held to, by itself. What is wrong with it is
    ///    laid to the file that it is found in, and to every entry that reads this file; where that is one that already stands in, or
    ///    none, nobody knows whose mistake it is.
    fn beside(&self, in_use: &Configuration) -> Option<(Resolved, Vec<BrokenScope>)> {
        if !self.problems.is_empty() || self.entries.iter().any(|entry| entry.is_unknown) {
            return None;
        }
        let mut broken: BTreeMap<usize, Vec<Problem>> = BTreeMap::new();
        for (place, entry) in self.entries.iter().enumerate().filter(|(_, entry)| !entry.problems.is_empty()) {
            broken.insert(place, entry.problems.clone());
        }
        loop {
            if broken.keys().any(|place| self.entries[*place].repositories().is_empty()) {
                return None;
            }
            let stands_in = |place: usize, entry: &Entry| {
                if broken.contains_key(&place) { in_use.texts_of(&entry.path) } else { entry.files.clone() }
            };
            let texts = self.entries.iter().enumerate().map(|(place, entry)| stands_in(place, entry)).collect();
            let mut problems = Vec::new();
            let resolved = self.resolve(texts, &mut problems);
            if problems.is_empty() {
                let scopes = broken.into_iter().filter_map(|(place, problems)| self.entries[place].broken(problems)).collect();
                return (!resolved.policies.is_empty()).then_some((resolved, scopes));
            }
            let mut new: BTreeMap<usize, Vec<Problem>> = BTreeMap::new();
            for problem in problems {
                let readers: Vec<usize> = (0..self.entries.len()).filter(|place| self.entries[*place].reads(&problem.file)).collect();
                if readers.is_empty() || readers.iter().any(|place| broken.contains_key(place)) {
                    return None;
                }
                readers.iter().for_each(|place| new.entry(*place).or_default().push(problem.clone()));
            }
            broken.append(&mut new);
        }
    }

    fn resolve(&self, texts: Vec<Vec<File>>, problems: &mut Vec<Problem>) -> Resolved {
        let of_entry = |(entry, files): (&Entry, &Vec<File>)| {
            let scope = entry.scope.clone();
            files.iter().map(move |file| PolicyFile { source: file.source.clone(), scope: scope.clone() }).collect::<Vec<_>>()
        };
        let sources: Vec<PolicyFile> = self.entries.iter().zip(&texts).flat_map(of_entry).collect();
        let (policies, written) = resolve::policies(&sources, &self.found.known, problems);
        let texts = self.entries.iter().zip(texts).map(|(entry, files)| Texts { path: entry.path.clone(), files }).collect();
        Resolved { policies, written, texts }
    }

    fn into_configuration(self, resolved: Resolved) -> Configuration {
        let Self { settings, found, entries, problems: _ } = self;
        let Found { registries, known: _, policies: _, state, server, paused } = found;
        let Resolved { policies, written, texts } = resolved;
        let files = || settings.iter().chain(texts.iter().flat_map(|texts| &texts.files));
        Configuration {
            registries,
            policies,
            written,
            state,
            server,
            paused,
            files: files().map(|file| file.path.clone()).collect(),
            test_files: entries.into_iter().flat_map(|entry| entry.tests).collect(),
            content_hash: content_hash(files().map(|file| &file.source)),
            texts,
        }
    }
}

impl Entry {
    fn read(path: &Path, scope: Option<Arc<Scope>>) -> Self {
        let mut problems = Vec::new();
        let read::Folder { policies, tests, is_unknown } = read::policies(path, &mut problems);
        for test in &tests {
            resolve::refuse_policies_among_tests(&test.source, &mut problems);
        }
        let tests = tests.into_iter().map(|test| test.path).collect();
        Self { path: path.to_owned(), scope, files: policies, tests, problems, is_unknown }
    }

    /// The repositories in which alone these files matter. Empty: everywhere.
    fn repositories(&self) -> &[Pattern] {
        self.scope.as_ref().map(|scope| scope.repositories()).unwrap_or_default()
    }

    fn reads(&self, file: &str) -> bool {
        self.files.iter().any(|read| *read.source.name == *file)
    }

    fn broken(&self, problems: Vec<Problem>) -> Option<BrokenScope> {
        Some(BrokenScope { repositories: self.repositories().to_vec(), problems: Problems::collect(problems)? })
    }
}

impl Configuration {
    /// The texts in use of an entry of the settings. An entry that is new has none.
    fn texts_of(&self, path: &Path) -> Vec<File> {
        self.texts.iter().find(|texts| texts.path == path).map(|texts| texts.files.clone()).unwrap_or_default()
    }
}
