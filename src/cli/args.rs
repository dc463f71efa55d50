//! The arguments of every command. Does not act on them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::when::When;

use super::emulate::EmulateArguments;
use crate::layout::WIDTH;
use crate::model::{Digest, RegistryName, RepositoryName};
use crate::state::RunId;

/// Where the settings are unless `--config` says otherwise.
const CONFIG_DEFAULT: &str = "/etc/retaind/retaind.yaml";

/// The retention daemon for Azure Container Registry: keeps what matters, explains every decision.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = WIDTH,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 something was not done, 2 bad configuration or usage, 3 held back by a guard."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what would be done and why; change nothing
    Plan(PlanArguments),
    /// Carry out a reviewed plan: what is in it and still holds
    Apply(ApplyArguments),
    /// Run the policies
    Run(RunArguments),
    /// Pause deleting at once, in every run that uses this state; planning goes on
    Pause(StateArguments),
    /// Let deleting go on
    Resume(StateArguments),
    /// Approve a plan that a run reported: of changed policies, over a limit, or of a listing that shrank
    Approve(ApproveArguments),
    /// Show what was run, or what was changed and why
    History(HistoryArguments),
    /// Say why an image stays or goes, and from when on it would go
    Explain(ExplainArguments),
    /// Check the settings and policies
    Check(CheckArguments),
    /// Play the tests written beside the policies: given these images, expect these verdicts
    Test(TestArguments),
    /// Save a listing of a registry, to plan from it later or elsewhere
    Inventory(InventoryArguments),
    /// Ask a running daemon whether it is ready; exit code 0 or 1
    Health(HealthArguments),
    /// Show the daemon, or one run, on an embedded registry
    Demo(DemoArguments),
    /// Serve an in-memory imitation of Azure Container Registry
    Emulate(Box<EmulateArguments>),
    /// Print the JSON Schema of the policies, the settings or the tests, for editors
    Schema(SchemaArguments),
    /// Print what a shell needs to complete the arguments
    Completions(CompletionsArguments),
    /// Print the manual page of the program or of one command
    Manual(ManualArguments),
}

/// Which settings, policies and registries.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(super) config: PathBuf,
    /// Only this policy
    #[arg(long, value_name = "NAME")]
    pub(super) policy: Option<String>,
    /// Only this registry, by its name in the settings
    #[arg(long, value_name = "NAME")]
    pub(super) registry: Option<String>,
}

/// What a command that changes nothing decides about.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Take a saved listing instead of asking the registry
    #[arg(long, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
    /// Reckon ages to this time, e.g. 2026-01-01T00:00:00Z, or +30d for thirty days from now
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<When>,
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) source: Source,
    /// How to print
    #[arg(long, value_enum, default_value_t = PlanOutput::Text)]
    pub(super) output: PlanOutput,
    /// Print every image that stays, too, with its reasons
    #[arg(long)]
    pub(super) all: bool,
    /// Show what differs from the policies in this file or folder: what would newly go, and what no longer would
    #[arg(long, value_name = "OLD_POLICIES", conflicts_with = "all")]
    pub(super) diff: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanOutput {
    /// For a terminal
    Text,
    /// For machines, and for `retaind apply`
    Json,
    /// For a review
    Markdown,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// A plan that `retaind plan --output json` printed
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(super) config: PathBuf,
    /// Accept the plan with this hash although it is over a limit
    #[arg(long, value_name = "PLAN_HASH")]
    pub(super) accept: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Run every policy once, now, and end; without it, run each at its time until told to stop
    #[arg(long)]
    pub(super) once: bool,
    /// Approve the plan with this hash and apply it, although it is over a limit or of changed policies
    #[arg(long, value_name = "PLAN_HASH", requires = "once")]
    pub(super) accept: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct StateArguments {
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ApproveArguments {
    /// The plan's hash, as reports, logs and `retaind history` show it
    #[arg(value_name = "PLAN_HASH")]
    pub(super) plan: String,
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArguments {
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(super) config: PathBuf,
    /// Show changes instead of runs
    #[arg(long)]
    pub(super) changes: bool,
    /// Only changes of this run
    #[arg(long, value_name = "NUMBER")]
    pub(super) run: Option<RunId>,
    /// Only changes in this registry
    #[arg(long, value_name = "NAME", value_parser = RegistryName::parse)]
    pub(super) registry: Option<RegistryName>,
    /// Only changes in this repository
    #[arg(long, value_name = "NAME", value_parser = RepositoryName::parse)]
    pub(super) repository: Option<RepositoryName>,
    /// Only changes of this manifest
    #[arg(long, value_name = "DIGEST")]
    pub(super) digest: Option<Digest>,
    /// So many, the newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(super) limit: u32,
    /// How to print
    #[arg(long, value_enum, default_value_t = HistoryOutput::Text)]
    pub(super) output: HistoryOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum HistoryOutput {
    /// For a terminal
    Text,
    /// For machines: one document a line
    Json,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// An image: repository:tag or repository@sha256:…
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) source: Source,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(super) config: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = CheckOutput::Text)]
    pub(super) output: CheckOutput,
    /// Ask the registries, too: which patterns match nothing there?
    #[arg(long)]
    pub(super) live: bool,
    /// End with exit code 1 when there is a warning
    #[arg(long)]
    pub(super) deny_warnings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckOutput {
    /// For a terminal
    Text,
    /// For machines
    Json,
    /// Annotations for GitHub Actions
    Github,
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Files of tests; without any, the *.test.yaml beside the policies
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(super) config: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = CheckOutput::Text)]
    pub(super) output: CheckOutput,
}

#[derive(Debug, Args)]
pub(super) struct InventoryArguments {
    #[command(flatten)]
    pub(super) selection: Selection,
}

#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// What to ask; /livez asks whether it is alive, /readyz?verbose shows every check
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/readyz")]
    pub(super) url: http::Uri,
}

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Run each policy once, show what it did, and end; without it, the daemon runs until Ctrl-C
    #[arg(long)]
    pub(super) once: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// For which shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManualArguments {
    /// Of which command; left out, of the program
    #[arg(value_name = "COMMAND")]
    pub(super) of: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Of which file
    #[arg(value_enum, default_value_t = SchemaOf::Policies)]
    pub(super) of: SchemaOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaOf {
    /// Policy files
    Policies,
    /// retaind.yaml
    Settings,
    /// Tests of policies
    Tests,
}
