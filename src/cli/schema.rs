//! `retaind schema`: the JSON Schema of our files, for editors and Helm.

use crate::config::{policies_schema, settings_schema, tests_schema};

use super::args::{SchemaArguments, SchemaOf};
use super::{End, Failure, print};

/// Prints a schema.
pub(super) fn schema(arguments: &SchemaArguments) -> Result<End, Failure> {
    let schema = match arguments.of {
        SchemaOf::Policies => policies_schema(),
        SchemaOf::Settings => settings_schema(),
        SchemaOf::Tests => tests_schema(),
    };
    print(&format!("{schema:#}\n"));
    Ok(End::Done)
}
