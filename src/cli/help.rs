//! `retaind completions` and `retaind manual`: what shells and `man` are told, written from the arguments themselves.

use clap::CommandFactory as _;

use super::args::{Arguments, CompletionsArguments, ManualArguments};
use super::{End, Failure, print};

/// The program's name, as it is installed.
const PROGRAM: &str = "retaind";

/// Prints a shell's completions.
pub(super) fn completions(arguments: &CompletionsArguments) -> Result<End, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), PROGRAM, &mut text);
    print(&String::from_utf8_lossy(&text));
    Ok(End::Done)
}

/// Prints a manual page.
pub(super) fn manual(arguments: &ManualArguments) -> Result<End, Failure> {
    // Without it the pages of commands would call themselves `plan` instead of `retaind plan`.
    let mut program = Arguments::command();
    program.build();
    let page = match &arguments.of {
        None => program,
        Some(name) => {
            let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
            let unknown = || Failure::unusable(format!("there is no command {name:?}; there are: {}", names.join(", ")));
            let command = program.find_subcommand(name).ok_or_else(unknown)?;
            command.clone()
        }
    };
    let mut text = Vec::new();
    let unwritable = |error: std::io::Error| Failure::partial(format!("cannot write the page: {error}"));
    clap_mangen::Man::new(page).render(&mut text).map_err(unwritable)?;
    print(&String::from_utf8_lossy(&text));
    Ok(End::Done)
}
