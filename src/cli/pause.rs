//! `retaind pause` and `resume`: a file in the state directory, which every run looks at before every delete.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::config::Configuration;
use crate::layout::paragraph;
use crate::pipeline::apply::pause_file;

use super::args::StateArguments;
use super::{End, Failure, print};

/// Pauses.
pub(super) fn pause(arguments: &StateArguments) -> Result<End, Failure> {
    let file = file(arguments)?;
    let failed = |error| Failure::partial(format!("deleting is not paused: cannot write {}: {error}", file.display()));
    fs::create_dir_all(file.parent().unwrap_or(&file)).and_then(|()| fs::write(&file, "")).map_err(failed)?;
    print(&paragraph("", 2, &format!("deleting is paused until `retaind resume` ({})", file.display())));
    Ok(End::Done)
}

/// Resumes.
pub(super) fn resume(arguments: &StateArguments) -> Result<End, Failure> {
    let file = file(arguments)?;
    match fs::remove_file(&file) {
        Ok(()) => print("deleting goes on\n"),
        Err(error) if error.kind() == ErrorKind::NotFound => print("deleting was not paused\n"),
        Err(error) => return Err(Failure::partial(format!("deleting is still paused: cannot remove {}: {error}", file.display()))),
    }
    Ok(End::Done)
}

fn file(arguments: &StateArguments) -> Result<PathBuf, Failure> {
    let configuration = Configuration::load(&arguments.config)?;
    let dir = configuration.state.dir.ok_or_else(|| Failure::unusable("there is no state.dir in the settings, through which to pause"))?;
    Ok(pause_file(&dir))
}
