//! The command line: reads arguments, wires the parts together, prints, and turns the end into an exit code. Decides nothing.

mod apply;
mod approve;
mod args;
mod check;
mod connect;
mod daemon;
mod demo;
mod diff;
mod emulate;
mod explain;
mod health;
mod help;
mod history;
mod inventory;
mod open;
mod pause;
mod plan;
mod run;
mod schema;
mod signals;
mod test;
mod when;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::acr;
use crate::clock::Clock;
use crate::config::Problems;
use crate::layout::paragraph;
use crate::pipeline::RunError;
use crate::pipeline::inventory::InventoryError;
use crate::pipeline::report::InvalidDocument;
use crate::state::StateError;
use crate::telemetry::{Verbosity, start_logging};

use args::{Arguments, Command, DemoArguments};

/// How a command ended. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Everything was done.
    Done = 0,
    /// Something was not: a repository could not be read, a step failed, the registry could not be reached.
    Partial = 1,
    /// The configuration, the arguments or a file given to it is wrong.
    Unusable = 2,
    /// A guard held something back.
    Refused = 3,
}

/// Why a command could not be carried out, as one sentence, and which end that is.
#[derive(Debug)]
struct Failure {
    end: End,
    said: String,
}

impl Failure {
    fn unusable(said: impl Into<String>) -> Self {
        Self { end: End::Unusable, said: said.into() }
    }

    fn partial(said: impl Into<String>) -> Self {
        Self { end: End::Partial, said: said.into() }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::unusable(problems.to_string())
    }
}

impl From<acr::Error> for Failure {
    fn from(error: acr::Error) -> Self {
        Self::partial(error.to_string())
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::partial(error.to_string())
    }
}

impl From<InvalidDocument> for Failure {
    fn from(error: InvalidDocument) -> Self {
        Self::unusable(error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Registry(error) => error.into(),
            RunError::State(error) => error.into(),
        }
    }
}

impl From<InventoryError> for Failure {
    fn from(error: InventoryError) -> Self {
        RunError::from(error).into()
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are printed the same way and are no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { End::Unusable as u8 } else { End::Done as u8 });
        }
    };
    let unattended = matches!(&arguments.command, Command::Run(_) | Command::Demo(DemoArguments { once: false }));
    start_logging(if unattended { Verbosity::Outcomes } else { Verbosity::Problems });
    acr::install_crypto_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            return ExitCode::from(End::Partial as u8);
        }
    };
    let end = runtime.block_on(command(&arguments.command, &Clock::system()));
    // A command that was told to stop may leave a listener or a request behind; nothing waits for those.
    runtime.shutdown_background();
    ExitCode::from(match end {
        Ok(end) => end as u8,
        Err(Failure { end, said }) => {
            complain(&said);
            end as u8
        }
    })
}

async fn command(command: &Command, clock: &Clock) -> Result<End, Failure> {
    match command {
        Command::Plan(arguments) => plan::plan(arguments, clock).await,
        Command::Apply(arguments) => apply::apply(arguments, clock).await,
        Command::Run(arguments) if arguments.once => run::once(arguments, clock).await,
        Command::Run(arguments) => daemon::run(arguments, clock).await,
        Command::Pause(arguments) => pause::pause(arguments),
        Command::Resume(arguments) => pause::resume(arguments),
        Command::Approve(arguments) => approve::approve(arguments),
        Command::History(arguments) => history::history(arguments),
        Command::Explain(arguments) => explain::explain(arguments, clock).await,
        Command::Check(arguments) => check::check(arguments, clock).await,
        Command::Test(arguments) => test::test(arguments).await,
        Command::Inventory(arguments) => inventory::inventory(arguments, clock).await,
        Command::Health(arguments) => health::health(arguments).await,
        Command::Demo(arguments) => demo::demo(arguments, clock).await,
        Command::Emulate(arguments) => emulate::emulate(arguments).await,
        Command::Schema(arguments) => schema::schema(arguments),
        Command::Completions(arguments) => help::completions(arguments),
        Command::Manual(arguments) => help::manual(arguments),
    }
}

/// Prints to standard output. A reader that went away (`retaind plan | head`) is no failure of ours.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Says on standard error what is wrong: a sentence, folded where a person reads it and whole where a program does, or what is wrong with
/// files, which begins with the name of the file, as editors and terminals expect it.
fn complain(said: &str) {
    let mut stderr = std::io::stderr().lock();
    let said = said.trim_end();
    let _ = if said.contains('\n') {
        writeln!(stderr, "{said}")
    } else if stderr.is_terminal() {
        stderr.write_all(paragraph("retaind: ", 2, said).as_bytes())
    } else {
        writeln!(stderr, "retaind: {said}")
    };
}
