//! `retaind inventory`: saves a listing of one registry, of the repositories that the selected policies name.

use std::collections::BTreeSet;

use crate::clock::Clock;
use crate::config::Configuration;
use crate::pipeline;
use crate::pipeline::inventory::{Look, take};
use crate::pipeline::report::inventory_to_json;

use super::args::InventoryArguments;
use super::{End, Failure, connect, open, print};

/// Prints a listing.
pub(super) async fn inventory(arguments: &InventoryArguments, clock: &Clock) -> Result<End, Failure> {
    let configuration = Configuration::load(&arguments.selection.config)?;
    let pairs = open::selected(&configuration, &arguments.selection)?;
    let names: BTreeSet<&str> = pairs.iter().map(|(_, registry)| registry.name.as_str()).collect();
    let Some((_, registry)) = pairs.first() else {
        return Err(Failure::unusable("no policy names a registry, so there is nothing to list"));
    };
    if 1 < names.len() {
        let names: Vec<&str> = names.into_iter().collect();
        return Err(Failure::unusable(format!("a listing is of one registry; choose with --registry: {}", names.join(", "))));
    }
    let client = connect::client(registry, clock)?;
    let mut repositories = BTreeSet::new();
    for (policy, _) in &pairs {
        repositories.extend(pipeline::names(&client, policy).await?);
    }
    let wanted = pipeline::wanted(&configuration.policies, &registry.name, repositories);
    let look = Look { client, state: open::state_to_plan(&configuration.state)?, now: clock.now() };
    print(&inventory_to_json(&take(&look, &wanted).await?));
    Ok(End::Done)
}
