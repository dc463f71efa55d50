//! The two documents that outlive a process: inventories and plans. Versioned; described in `docs/json.md`.
//! The only place that knows our JSON.

mod difference;
mod inventory;
mod plan;

use serde::Deserialize;

pub use difference::difference_to_json;
pub use inventory::{inventory_from_json, inventory_to_json};
pub(super) use plan::rule_of;
pub use plan::{SavedPlan, plan_from_json, plan_to_json};

/// A document that cannot be read, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDocument(String);

impl InvalidDocument {
    fn at(place: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {why}"))
    }
}

/// The beginning of every document: read alone first, so that a document of another kind or a later version is told by name.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

fn read<'de, T: Deserialize<'de>>(text: &'de str, format: &str, version: u32) -> Result<T, InvalidDocument> {
    let invalid = |error: serde_json::Error| InvalidDocument(format!("not a {format} document: {error}"));
    let head: Head = serde_json::from_str(text).map_err(invalid)?;
    if head.format != format {
        return Err(InvalidDocument(format!("expected a document of format {format:?}, this one says {:?}", head.format)));
    }
    if head.version != version {
        return Err(InvalidDocument(format!(
            "this {format} document has version {}, this program reads version {version}; write it again with this program",
            head.version
        )));
    }
    serde_json::from_str(text).map_err(invalid)
}

/// Serialises values that cannot fail to serialise: maps with string keys and no custom code.
fn write(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields by reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
