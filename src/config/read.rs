//! The only file of the configuration that touches the disk. Knows names and sizes of files, nothing of what is in them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::problem::{Complaint, Problem, Source};

/// Largest file, in bytes: a ConfigMap as a whole cannot be larger than 1 MiB.
const FILE_SIZE_MAX_BYTES: u64 = 1 << 20;
/// Most policy files of a folder; with the size above, 256 MiB bound the memory of a load.
const FILES_MAX: usize = 256;

/// A file that was read.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) source: Source,
}

/// What is in a folder of policies.
#[derive(Default)]
pub(super) struct Folder {
    pub(super) policies: Vec<File>,
    /// Tests of policies, `*.test.yaml`.
    pub(super) tests: Vec<File>,
    /// Whether the disk failed, so that not even what is there is known.
    pub(super) is_unknown: bool,
}

/// Why a file was not read.
struct Unread {
    complaint: Complaint,
    /// Whether the disk failed. A file that is missing or no text is known to be so.
    is_unknown: bool,
}

impl From<Complaint> for Unread {
    fn from(complaint: Complaint) -> Self {
        Self { complaint, is_unknown: false }
    }
}

/// Reads one file.
pub(super) fn file(path: &Path, problems: &mut Vec<Problem>) -> Option<File> {
    Reading { problems, is_unknown: false }.file(path)
}

/// Files being read, and where their problems go.
struct Reading<'run> {
    problems: &'run mut Vec<Problem>,
    is_unknown: bool,
}

impl Reading<'_> {
    fn file(&mut self, path: &Path) -> Option<File> {
        let name = path.display().to_string();
        match text(path) {
            Ok(text) => Some(File { path: path.to_owned(), source: Source::new(&name, &text) }),
            Err(Unread { complaint, is_unknown }) => {
                self.problems.push(Problem::of_file(&name, complaint));
                self.is_unknown |= is_unknown;
                None
            }
        }
    }

    fn report(&mut self, path: &Path, complaint: Complaint) {
        self.problems.push(Problem::of_file(&path.display().to_string(), complaint));
    }
}

/// Reads one policy file, or those of a folder in name order. Hidden names are left out: editors' copies, and the `..data` links of a
/// mounted ConfigMap. Names that end in `.test.yaml` are tests of policies; beside a single policy file, the one that is called like it.
pub(super) fn policies(path: &Path, problems: &mut Vec<Problem>) -> Folder {
    let mut reading = Reading { problems, is_unknown: false };
    let folder = if path.is_dir() { folder(path, &mut reading) } else { single(path, &mut reading) };
    Folder { is_unknown: reading.is_unknown, ..folder }
}

fn single(path: &Path, reading: &mut Reading<'_>) -> Folder {
    let beside = path.with_extension("test.yaml");
    let tests = if beside.is_file() { reading.file(&beside) } else { None };
    Folder { policies: reading.file(path).into_iter().collect(), tests: tests.into_iter().collect(), ..Folder::default() }
}

fn folder(path: &Path, reading: &mut Reading<'_>) -> Folder {
    let names = match names(path) {
        Ok(names) => names,
        Err(error) => {
            reading.report(path, Complaint::new(format!("cannot read the folder: {error}")));
            reading.is_unknown = true;
            return Folder::default();
        }
    };
    let (tests, names): (Vec<PathBuf>, Vec<PathBuf>) = names.into_iter().partition(|name| is_test(name) && !path.join(name).is_dir());
    if names.is_empty() {
        let complaint = Complaint::new("the folder of policies is empty");
        reading.report(
            path,
            complaint.hint("write at least one file that ends in .yaml or .yml; no policies are never read as \"nothing to do\""),
        );
    }
    if FILES_MAX < names.len() {
        reading.report(
            path,
            Complaint::new(format!("the folder has {} policy files, more than {FILES_MAX}", names.len()))
                .hint("put several policies into one file"),
        );
        return Folder::default();
    }
    let mut files = Vec::new();
    for name in names {
        let path = path.join(name);
        if path.is_dir() {
            let complaint = Complaint::new("a folder within the folder of policies is not read, and what it protects would be forgotten");
            reading.report(&path, complaint.hint("move its files up, or let its name begin with a dot"));
        } else {
            files.extend(reading.file(&path));
        }
    }
    let tests = tests.into_iter().take(FILES_MAX).filter_map(|name| reading.file(&path.join(name))).collect();
    Folder { policies: files, tests, ..Folder::default() }
}

/// Whether a file holds tests of policies, by its name.
fn is_test(name: &Path) -> bool {
    name.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".test"))
}

/// The names of policy files and of visible folders, sorted.
fn names(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.');
        let yaml = name.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !hidden && (yaml || entry.path().is_dir()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn text(path: &Path) -> Result<String, Unread> {
    let unreadable = |error: std::io::Error| {
        let complaint = Complaint::new(format!("cannot read the file: {error}"));
        if error.kind() == std::io::ErrorKind::NotFound {
            complaint.hint("a missing file is never read as \"nothing to do\"; look at the path").into()
        } else {
            Unread { complaint, is_unknown: true }
        }
    };
    // Asked first: opening a pipe would wait for its other end.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Complaint::new("this is not a file").into());
    }
    let mut bytes = Vec::new();
    let limited = fs::File::open(path).map_err(unreadable)?.take(FILE_SIZE_MAX_BYTES + 1);
    { limited }.read_to_end(&mut bytes).map_err(unreadable)?;
    if FILE_SIZE_MAX_BYTES < bytes.len() as u64 {
        return Err(Complaint::new(format!("the file is larger than {FILE_SIZE_MAX_BYTES} bytes")).hint("split it").into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Complaint::new(format!("the file is not UTF-8 text, from byte {} on", offset + 1)).hint("save it as UTF-8").into()
    })
}
