//! placeholder
mod outcome;
pub use outcome::{Applied, AppliedRepository, Counts, Outcome, StepKind, StepReport, Stopped};
