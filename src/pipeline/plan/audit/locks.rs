//! Locks that a plan opens, looked at once more: an unlock rule asks for it, or it is a rule's own lock that the rule lets go of; and no
//! lock rule of any policy asks for it.

use crate::model::{LockChange, Locks, Mark, Tag};
use crate::policy::{Action, LockRule, LockTarget};

use super::super::{LockStep, Steps};
use super::rules::{names, ordinary};
use super::{Findings, World};

impl World<'_> {
    /// S2: nothing but that opens a lock.
    pub(super) fn opens_what_it_may(&self, steps: &Steps, findings: &mut Findings) {
        for step in steps.locks() {
            let step = &step;
            let name = step.tag.map_or_else(|| format!("{}", step.digest), |tag| format!("tag {tag}"));
            if self.locks_of(step) != Some(step.from) {
                findings.add("S5", format!("{name} is not listed with the lock that the plan expects"));
            }
            for (place, attribute) in attributes(step.change).into_iter().enumerate().filter(|(_, set)| *set == Some(true)) {
                let asks =
                    |rule: &LockRule, certain: bool| attributes(rule.change)[place] == attribute && self.is_about(rule, certain, step);
                let acting = &self.audit.policies[self.audit.acting].rules;
                let unlocked = acting.iter().any(|rule| matches!(&rule.action, Action::Unlock(rule) if asks(rule, true)));
                if !unlocked && !self.is_own(step, place) {
                    findings.add("S2", format!("{name} is opened, and no rule says so"));
                }
                let closes = |rule: &LockRule| attributes(rule.change)[place] == Some(false) && self.is_about(rule, false, step);
                if self.rules().any(|rule| matches!(&rule.action, Action::Lock(rule) if closes(rule))) {
                    findings.add("S17", format!("{name} is opened, and a lock rule chooses it"));
                }
            }
        }
    }

    fn locks_of(&self, step: &LockStep<'_>) -> Option<Locks> {
        match &step.tag {
            Some(tag) => self.tag_on(step.digest, tag.as_str()).map(|tag| tag.locks),
            None => self.manifest(step.digest).map(|manifest| manifest.locks),
        }
    }

    /// Whether the rule writes on the step's item: for certain, or perhaps.
    fn is_about(&self, rule: &LockRule, certain: bool, step: &LockStep<'_>) -> bool {
        let Some(manifest) = self.manifest(step.digest) else { return false };
        let fits = self.fits(&rule.selector, manifest);
        let chosen = |tag: &Tag| names(&rule.selector, tag);
        let reaches = match (&step.tag, rule.on) {
            (Some(name), LockTarget::Tag | LockTarget::Both) => {
                let tag = self.tag_on(step.digest, name.as_str()).map(std::slice::from_ref).unwrap_or_default();
                ordinary(tag).any(chosen)
            }
            (None, LockTarget::Manifest | LockTarget::Both) => ordinary(self.tags_of(step.digest)).any(chosen),
            (Some(_), LockTarget::Manifest) | (None, LockTarget::Tag) => false,
        };
        reaches && if certain { fits == Some(true) } else { fits != Some(false) }
    }

    /// Whether a rule that lets go of its locks closed the attribute at `place`, and nobody changed the item since.
    fn is_own(&self, step: &LockStep<'_>, place: usize) -> bool {
        let acting = self.audit.policies[self.audit.acting];
        let lets_go = |mark: &Mark| {
            let named = acting.rules.iter().filter(|rule| rule.name == mark.rule);
            let mut locking = named.filter(|rule| matches!(&rule.action, Action::Lock(rule) if rule.release));
            mark.policy == acting.name && mark.digest == step.digest && mark.tag.as_ref() == step.tag && locking.next().is_some()
        };
        let noted = &self.audit.observations.own_locks;
        let mut ours = noted.iter().filter(|lock| lets_go(&lock.mark) && Some(lock.left) == self.locks_of(step));
        ours.any(|lock| attributes(lock.closed)[place] == Some(false))
    }
}

fn attributes(change: LockChange) -> [Option<bool>; 4] {
    [change.can_delete, change.can_write, change.can_read, change.can_list]
}
