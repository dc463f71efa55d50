//! A short name for everything that decides about a policy's images, so that a change of it is noticed. Does not say what changed.

use crate::model::{Digest, RegistryName};

use super::{Action, Policy};

impl Policy {
    /// Names what this policy decides on a registry: its own rules, filter, limits and mode, and what the other policies of that
    /// registry protect. When it runs takes no part, nor do the rules by which others delete, nor any order.
    ///
    /// Every field takes part as `Debug` shows it, so that none can be forgotten. Another version of retaind may show a field in
    /// another way; then every policy counts as changed once, which is right when the engine changed.
    pub fn fingerprint(&self, all: &[Self], registry: &RegistryName) -> Digest {
        let Self { name, registries: _, mode, schedule: _, repositories, rules, limits, origin: _ } = self;
        let mut rules: Vec<String> = rules.iter().map(|rule| format!("{rule:?}")).collect();
        rules.sort_unstable();
        let others = all.iter().filter(|other| other.name != *name && other.registries.contains(registry));
        let mut others: Vec<String> = others.map(Self::protection).collect();
        others.sort_unstable();
        Digest::of(format!("{name} {mode:?} {repositories:?} {limits:?}\n{rules:#?}\n{others:#?}").as_bytes())
    }

    /// What it protects in the runs of other policies.
    fn protection(&self) -> String {
        let mut rules: Vec<String> = self.rules.iter().filter(|rule| rule.action.protects()).map(|rule| format!("{rule:?}")).collect();
        rules.sort_unstable();
        let Self { name, repositories, limits, .. } = self;
        format!("{name} {repositories:?} {} {rules:?}", limits.keep_at_least)
    }
}

impl Action {
    /// Whether it protects in the runs of every policy that names the repository.
    pub fn protects(&self) -> bool {
        match self {
            Self::Keep(_) | Self::Lock(_) => true,
            Self::Delete(_) | Self::Unlock(_) => false,
        }
    }
}
