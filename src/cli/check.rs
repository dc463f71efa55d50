//! `retaind check`: are the files right, and are they meant? All problems at once, or else all warnings, for people, programs or GitHub.

use std::collections::BTreeMap;

use serde_json::json;

use crate::acr::{Order, PAGE_SIZE_MAX};
use crate::clock::Clock;
use crate::config::{Configuration, Problems, Seen, warnings};
use crate::layout::paragraph;
use crate::pipeline::{access, inventory};

use super::args::{CheckArguments, CheckOutput};
use super::{End, Failure, connect, print};

/// Checks.
pub(super) async fn check(arguments: &CheckArguments, clock: &Clock) -> Result<End, Failure> {
    let configuration = match Configuration::load(&arguments.config) {
        Ok(configuration) => configuration,
        Err(problems) => return tell(&problems, arguments.output),
    };
    let seen = if arguments.live { look(&configuration, clock).await? } else { Vec::new() };
    let warnings = warnings(&configuration, &seen);
    match arguments.output {
        CheckOutput::Text => {
            if let Some(warnings) = &warnings {
                print(&format!("{warnings}\n\n"));
            }
            print(&valid(arguments, &configuration));
        }
        CheckOutput::Json => {
            let warnings = warnings.as_ref().map_or_else(|| json!([]), Problems::to_json_warnings);
            print(&format!("{}\n", json!({ "problems": [], "warnings": warnings })));
        }
        CheckOutput::Github => print(&warnings.as_ref().map_or_else(String::new, Problems::to_github)),
    }
    Ok(if arguments.deny_warnings && warnings.is_some() { End::Partial } else { End::Done })
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

fn valid(arguments: &CheckArguments, configuration: &Configuration) -> String {
    let counted = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let sentence = format!(
        "{} and {} are valid: {} for {}",
        arguments.config.display(),
        counted(configuration.files.len().saturating_sub(1), "policy file", "policy files"),
        counted(configuration.policies.len(), "policy", "policies"),
        counted(configuration.registries.len(), "registry", "registries"),
    );
    paragraph("", 2, &sentence)
}

/// What the identities of each registry may do goes to the log. Every registry's catalog, and the tags of the repositories that a policy names.
async fn look(configuration: &Configuration, clock: &Clock) -> Result<Vec<Seen>, Failure> {
    let mut seen = Vec::new();
    for registry in &configuration.registries {
        let client = connect::client(registry, clock)?;
        access::announce(&client, &configuration.policies).await;
        let mut repositories = BTreeMap::new();
        for name in inventory::catalog(&client).await? {
            let is_named = configuration.policies.iter().any(|policy| policy.names(&registry.name, &name));
            let tags = if is_named { client.list_tags(&name, Order::Name, PAGE_SIZE_MAX).all().await? } else { Vec::new() };
            repositories.insert(name, tags.into_iter().map(|tag| tag.name).collect());
        }
        seen.push(Seen { registry: registry.name.clone(), repositories });
    }
    Ok(seen)
}
