//! A policy as it is written: every value with its place, for whoever judges the words rather than what they come to.

use super::item::{Item, Object};
use super::problem::{Complaint, Mark, Problem, Source};

/// A policy that was read without a problem, and where everything of it is written.
#[derive(Debug, Clone)]
pub struct Written {
    source: Source,
    item: Item,
}

/// One rule of a written policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenRule<'a> {
    pub(super) name: &'a str,
    /// `keep`, `delete`, `lock` or `unlock`.
    pub(super) action: &'static str,
    pub(super) item: &'a Item,
    pub(super) object: &'a Object,
}

impl Written {
    pub(super) fn new(source: &Source, item: Item) -> Self {
        Self { source: source.clone(), item }
    }

    pub(super) fn object(&self) -> Option<&Object> {
        self.item.as_object()
    }

    pub(super) fn item(&self) -> &Item {
        &self.item
    }

    /// The texts of `repositories.include` or `repositories.exclude`.
    pub(super) fn repositories(&self, key: &str) -> Vec<(&Item, &str)> {
        let filter = self.object().and_then(|object| object.object("repositories"));
        filter.map(|filter| texts(filter, key)).unwrap_or_default()
    }

    pub(super) fn rules(&self) -> Vec<WrittenRule<'_>> {
        let items = self.object().map(|object| object.items("rules")).unwrap_or_default();
        items.iter().filter_map(|item| written_rule(item.as_object()?)).collect()
    }

    pub(super) fn warning(&self, name: &'static str, item: &Item, complaint: Complaint) -> Problem {
        item.problem(&self.source, complaint).into_warning(name)
    }

    /// Where the policy is written, as in `ci.yaml:4`.
    pub(super) fn origin(&self, item: &Item) -> String {
        let Mark { place, path: _ } = item.mark();
        format!("{}:{}", self.source.name, place.line)
    }
}

fn written_rule(rule: &Object) -> Option<WrittenRule<'_>> {
    let (action, item) = rule.fields.iter().find(|(key, _)| ["keep", "delete", "lock", "unlock"].contains(key))?;
    Some(WrittenRule { name: rule.text("name")?, action, item, object: item.as_object()? })
}

/// The texts of a list, each with its place.
pub(super) fn texts<'a>(object: &'a Object, key: &str) -> Vec<(&'a Item, &'a str)> {
    object.items(key).iter().filter_map(|item| Some((item, item.as_text()?))).collect()
}
