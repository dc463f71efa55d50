//! Differences between two sets of policies as JSON. Does not compare.

use serde::Serialize;

use super::super::difference::{Change, Changed, Difference};

const FORMAT: &str = "retaind/difference";
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    format: &'static str,
    version: u32,
    registry: String,
    taken_at: String,
    now: String,
    policies: Vec<String>,
    repositories: Vec<RepositoryDocument>,
    not_compared: Vec<String>,
}

#[derive(Serialize)]
struct RepositoryDocument {
    name: String,
    now_goes: Vec<ChangedDocument>,
    now_stays: Vec<ChangedDocument>,
    would_go: Vec<ChangedDocument>,
    would_stay: Vec<ChangedDocument>,
}

#[derive(Serialize)]
struct ChangedDocument {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    before: Vec<String>,
    after: Vec<String>,
}

/// A difference for machines.
pub fn difference_to_json(difference: &Difference) -> String {
    let Difference { registry, taken_at, now, policies, repositories, not_compared } = difference;
    let of = |changed: &[Changed], change: Change| changed.iter().filter(|changed| changed.change == change).map(document).collect();
    let repositories = repositories.iter().map(|(name, changed)| RepositoryDocument {
        name: name.to_string(),
        now_goes: of(changed, Change::NowGoes),
        now_stays: of(changed, Change::NowStays),
        would_go: of(changed, Change::WouldGo),
        would_stay: of(changed, Change::WouldStay),
    });
    super::write(&Document {
        format: FORMAT,
        version: VERSION,
        registry: registry.to_string(),
        taken_at: taken_at.to_string(),
        now: now.to_string(),
        policies: policies.clone(),
        repositories: repositories.collect(),
        not_compared: not_compared.iter().map(ToString::to_string).collect(),
    })
}

fn document(changed: &Changed) -> ChangedDocument {
    let Changed { digest, tag, shown: _, change: _, before, after } = changed;
    ChangedDocument { digest: digest.to_string(), tag: tag.as_ref().map(ToString::to_string), before: before.clone(), after: after.clone() }
}
