//! The scope of a policy file: the repositories and limits that the settings give to it. What a file says outside of its scope is an
//! error, not something to be cut down in silence; what cannot be proven to lie inside is outside.

use super::selector::patterns;
use super::{Context, Known};
use crate::config::globs::covers;
use crate::config::item::{Item, Object};
use crate::config::problem::Complaint;
use crate::policy::{Age, Pattern, Policy};

/// What the settings give to the policies of a file.
#[derive(Debug, Clone)]
pub(in crate::config) struct Scope {
    /// Empty: all repositories.
    repositories: Vec<Pattern>,
    max_deletes: Option<u64>,
    max_delete_percent: Option<u64>,
    keep_at_least: Option<u64>,
    min_age: Option<Age>,
    /// Where it is written, such as `retaind.yaml:7`.
    origin: String,
}

impl Scope {
    /// Reads an entry of `policies` in the settings.
    pub(super) fn read(context: &mut Context<'_>, item: &Item, object: &Object, known: &Known) -> Self {
        let limits = object.object("limits");
        let number = |key| limits.and_then(|limits| limits.integer(key));
        Self {
            repositories: patterns(context, object.items("repositories"), |text| super::policies::repository_glob(text, known)),
            max_deletes: number("max_deletes"),
            max_delete_percent: number("max_delete_percent"),
            keep_at_least: number("keep_at_least"),
            min_age: limits.and_then(|limits| limits.age("min_age")),
            origin: super::policies::origin(context.source, item),
        }
    }

    /// Empty: all repositories.
    pub(in crate::config) fn repositories(&self) -> &[Pattern] {
        &self.repositories
    }

    /// Holds a policy to it: reports what is outside, and narrows what the policy leaves open. The filter is narrowed as well, so that
    /// nothing outside is named even if the proof were wrong.
    pub(super) fn hold(&self, context: &mut Context<'_>, object: &Object, policy: &mut Policy) {
        let include = object.object("repositories").map(|filter| filter.items("include")).unwrap_or_default();
        for (item, text) in include.iter().filter_map(|item| Some((item, item.as_text()?))) {
            let is_inside = self.repositories.is_empty() || self.repositories.iter().any(|outer| covers(outer.as_str(), text));
            if !is_inside {
                let given: Vec<String> = self.repositories.iter().map(|pattern| format!("{:?}", pattern.as_str())).collect();
                let message = format!("{text:?} goes beyond the repositories that the settings give to this file");
                let hint = format!("they are {} ({}); write a glob that surely lies within", given.join(", "), self.origin);
                context.report(item, Complaint::new(message).hint(hint));
            }
        }
        policy.repositories.within.clone_from(&self.repositories);
        self.hold_limits(context, object.object("limits"), policy);
    }

    fn hold_limits(&self, context: &mut Context<'_>, written: Option<&Object>, policy: &mut Policy) {
        let limits = &mut policy.limits;
        let mut beyond = |key: &str, allowed: String| {
            let Some(item) = written.and_then(|limits| limits.get(key)) else { return };
            let message = format!("`{key}` goes beyond what the settings allow to this file");
            context.report(item, Complaint::new(message).hint(format!("they say `{key}: {allowed}` ({})", self.origin)));
        };
        if let Some(most) = self.max_deletes.filter(|most| *most < u64::from(limits.max_deletes)) {
            beyond("max_deletes", most.to_string());
            limits.max_deletes = u32::try_from(most).unwrap_or(limits.max_deletes);
        }
        if let Some(most) = self.max_delete_percent.filter(|most| *most < u64::from(limits.max_delete_percent)) {
            beyond("max_delete_percent", most.to_string());
            limits.max_delete_percent = u8::try_from(most).unwrap_or(limits.max_delete_percent);
        }
        if let Some(least) = self.keep_at_least.filter(|least| u64::from(limits.keep_at_least) < *least) {
            beyond("keep_at_least", least.to_string());
            limits.keep_at_least = u32::try_from(least).unwrap_or(u32::MAX);
        }
        if let Some(least) = self.min_age.filter(|least| limits.min_age < least.duration()) {
            beyond("min_age", least.to_string());
            limits.min_age = least.duration();
        }
    }
}
