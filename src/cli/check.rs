//! `retaind check`: are the files right? All problems at once, for people, programs or GitHub.

use crate::config::{Configuration, Problems};

use super::args::{CheckArguments, CheckOutput};
use super::{End, Failure, print};

/// Checks.
pub(super) fn check(arguments: &CheckArguments) -> Result<End, Failure> {
    match (Configuration::load(&arguments.config), arguments.output) {
        (Ok(configuration), CheckOutput::Text) => {
            print(&format!(
                "{} and {} are valid: {} policies for {} registries\n",
                arguments.config.display(),
                match configuration.files.len().saturating_sub(1) {
                    1 => "1 policy file".to_owned(),
                    files => format!("{files} policy files"),
                },
                configuration.policies.len(),
                configuration.registries.len()
            ));
            Ok(End::Done)
        }
        (Ok(_), CheckOutput::Json) => {
            print("{\"problems\":[]}\n");
            Ok(End::Done)
        }
        (Ok(_), CheckOutput::Github) => Ok(End::Done),
        (Err(problems), output) => tell(&problems, output),
    }
}

/// Tells what is wrong with the files.
pub(super) fn tell(problems: &Problems, output: CheckOutput) -> Result<End, Failure> {
    match output {
        CheckOutput::Text => return Err(problems.clone().into()),
        CheckOutput::Json => print(&format!("{}\n", problems.to_json())),
        CheckOutput::Github => print(&problems.to_github()),
    }
    Ok(End::Unusable)
}
