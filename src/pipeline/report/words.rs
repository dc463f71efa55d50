//! Reasons, ages and sizes as people read them. Knows no layout.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Contents, Digest, Level, LockChange, Mark, Observations, Tag};
use crate::policy::{Action, Age, Filter, Grouping, KeepWhen, OrderBy, Period, Policy};

use super::super::evaluate::{Evaluation, Reason, RuleRef, untagged_since};

/// What a sentence about an item needs.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the places in reasons mean.
    pub contents: &'a Contents,
    /// The policies that were asked, in their order.
    pub policies: &'a [&'a Policy],
    /// The place in `policies` of the one that acts.
    pub acting: usize,
    /// What earlier looks and runs noted about the repository.
    pub observations: &'a Observations,
    /// The time of the evaluation.
    pub now: Timestamp,
}

impl Context<'_> {
    /// The rule's name; with its policy's when that is not the one that acts.
    pub fn rule(&self, rule: RuleRef) -> String {
        let policy = self.policies[usize::from(rule.policy)];
        let name = &policy.rules[usize::from(rule.rule)].name;
        if usize::from(rule.policy) == self.acting { format!("rule {name}") } else { format!("rule {name} of policy {}", policy.name) }
    }

    /// A manifest by one of its tags, or by the beginning of its digest.
    pub fn manifest(&self, manifest: u32) -> String {
        let digest = self.contents.manifests()[manifest as usize].digest;
        let tag = self.contents.tagged(manifest).iter().map(|tag| &tag.name);
        let ordinary = tag.filter(|name| name.companion_subject().is_none()).min();
        ordinary.map_or_else(|| short(digest), |name| format!("{name} ({})", digest.short()))
    }

    fn action(&self, rule: RuleRef) -> &Action {
        &self.policies[usize::from(rule.policy)].rules[usize::from(rule.rule)].action
    }

    /// Why the item stays or goes, as half a sentence.
    pub fn sentence(&self, reason: Reason) -> String {
        match reason {
            Reason::NoRule => "no delete rule chooses it".to_owned(),
            Reason::KeepRule(rule) => format!("{} keeps it", self.rule(rule)),
            Reason::KeepLast(rule) => format!("{} keeps {}", self.rule(rule), self.counted(rule)),
            Reason::KeepNewer(rule) => format!("{} keeps it until it is older than {}", self.rule(rule), self.newer_than(rule)),
            Reason::KeepPeriod(rule, period) => format!("{} keeps {}", self.rule(rule), self.periods(rule, period)),
            Reason::KeepAllTags(rule) => format!("{} keeps another tag of its image, with all its tags", self.rule(rule)),
            Reason::Unclear(rule) => self.unclear(rule),
            Reason::LockRule(rule) => format!("{} locks it", self.rule(rule)),
            Reason::Locked(level) => match level {
                Level::Repository => "the repository is locked".to_owned(),
                Level::Manifest => "the manifest is locked".to_owned(),
                Level::Tag => "a tag of it is locked".to_owned(),
            },
            Reason::UnknownTime => "the registry tells no time for it".to_owned(),
            Reason::FutureTime => "its time lies in the future".to_owned(),
            Reason::TooYoung => format!("younger than min_age ({})", age(self.policies[self.acting].limits.min_age)),
            Reason::NotYet(rule) => format!("{} deletes it when it is older than {}", self.rule(rule), self.threshold(rule)),
            Reason::NoLonger(rule) => format!("{} deletes it only while it is newer than {}", self.rule(rule), self.newer_than(rule)),
            Reason::ExceptLast(rule) => format!("{} spares {}", self.rule(rule), self.counted(rule)),
            Reason::Waits(rule) => format!("{} deletes it when it has been condemned for {}", self.rule(rule), self.wait(rule)),
            Reason::KeepAtLeast => {
                let wanted = self.policies.iter().map(|policy| policy.limits.keep_at_least).max().unwrap_or(0);
                format!("it is among the newest {wanted} of the repository (keep_at_least)")
            }
            Reason::Ghost => "it is listed, but reading it finds nothing (a ghost)".to_owned(),
            Reason::SubjectAbsent => "it describes something that is not in the repository; no rule on `orphaned` chooses it".to_owned(),
            Reason::TagStays(tag) => format!("its tag {} stays", self.contents.tags()[tag as usize].name),
            Reason::WithManifest => "its manifest is held, with all its tags".to_owned(),
            Reason::ChildOf(index) => format!("a child of {}, which stays", self.manifest(index)),
            Reason::ReferrerOf(subject) => format!("it describes {}, which stays", self.manifest(subject)),
            Reason::CompanionOf(subject) => format!("a companion of {}, which stays", self.manifest(subject)),
            Reason::SubjectOf(referrer) => format!("{} describes it and stays, and would go with it", self.manifest(referrer)),
            Reason::Circle => "companions that name each other".to_owned(),
            Reason::DeleteRule(rule) => format!("{} deletes it", self.rule(rule)),
            Reason::WithRoot(root) => format!("only {} needed it, which goes", self.manifest(root)),
            Reason::LeftBehind => "an earlier run deleted the image that needed it".to_owned(),
        }
    }

    fn counted(&self, rule: RuleRef) -> String {
        let count = match self.action(rule) {
            Action::Keep(keep) => keep.when.iter().find_map(|when| match when {
                KeepWhen::Last(count) => Some(count),
                KeepWhen::NewerThan(_) | KeepWhen::NewestOfEach { .. } => None,
            }),
            Action::Delete(delete) => delete.except_last.as_ref(),
            Action::Lock(_) | Action::Unlock(_) => None,
        };
        let images = count.map_or(0, |count| count.images.get());
        let per = count.is_some_and(|count| count.per != Grouping::All);
        let first = if count.is_some_and(|count| count.order_by == OrderBy::Version) { "highest" } else { "newest" };
        format!("the {first} {images}{}", if per { " of its group" } else { "" })
    }

    fn threshold(&self, rule: RuleRef) -> String {
        let age = match self.action(rule) {
            Action::Delete(delete) => delete.older_than,
            Action::Keep(_) | Action::Lock(_) | Action::Unlock(_) => None,
        };
        age.map_or_else(String::new, |age| age.to_string())
    }

    fn wait(&self, rule: RuleRef) -> String {
        let Action::Delete(delete) = self.action(rule) else { return String::new() };
        delete.condemned_for.map_or_else(String::new, |age| age.to_string())
    }

    /// Since when a rule with a waiting time has condemned a manifest or one of its tags, and from when on it lets it go; None: it does
    /// not condemn it. What it condemns for the first time is condemned since now.
    pub fn waits(&self, rule: RuleRef, evaluation: &Evaluation, manifest: u32, tag: Option<u32>) -> Option<(Timestamp, Timestamp)> {
        let Action::Delete(delete) = self.action(rule) else { return None };
        let policy = self.policies[usize::from(rule.policy)];
        let mark = Mark {
            policy: policy.name.clone(),
            rule: policy.rules[usize::from(rule.rule)].name.clone(),
            digest: self.contents.manifests()[manifest as usize].digest,
            tag: tag.map(|tag| self.contents.tags()[tag as usize].name.clone()),
        };
        evaluation.marks.binary_search(&mark).ok()?;
        let since = self.observations.condemned_since(&mark).unwrap_or(self.now);
        Some((since, since.checked_add(delete.condemned_for?.duration()).ok()?))
    }

    fn newer_than(&self, rule: RuleRef) -> String {
        newer_than(self.action(rule)).map_or_else(String::new, |age| age.to_string())
    }

    fn periods(&self, rule: RuleRef, of: Period) -> String {
        let conditions = if let Action::Keep(keep) = self.action(rule) { keep.when.as_slice() } else { &[] };
        let number = conditions.iter().find_map(|when| match when {
            KeepWhen::NewestOfEach { period, periods, zone: _ } if *period == of => Some(periods.get()),
            KeepWhen::NewestOfEach { .. } | KeepWhen::Last(_) | KeepWhen::NewerThan(_) => None,
        });
        match number {
            None | Some(1) => format!("the newest of the last {}", of.singular()),
            Some(number) => format!("the newest of each of the last {number} {}", of.plural()),
        }
    }

    fn unclear(&self, rule: RuleRef) -> String {
        let keys: Vec<&str> = self.action(rule).selector().filters.iter().map(Filter::key).collect();
        let keys = keys.join(", ");
        let rule_name = self.rule(rule);
        match self.action(rule) {
            Action::Keep(_) | Action::Lock(_) => format!("{rule_name} keeps it, because it cannot be said whether it fits ({keys})"),
            Action::Delete(_) | Action::Unlock(_) => {
                format!("{rule_name} leaves it alone, because it cannot be said whether it fits ({keys})")
            }
        }
    }

    /// After when a rule that looks at the age of a manifest, or of one of its tags, says something else: a delete rule that waits
    /// condemns it, a keep rule lets go of it. As far as the listing tells the age.
    pub fn ends_at(&self, rule: RuleRef, manifest: u32, tag: Option<u32>) -> Option<Timestamp> {
        let (age, adopt_backlog) = match self.action(rule) {
            Action::Delete(delete) => (delete.older_than?, delete.adopt_backlog),
            action @ Action::Keep(_) => (newer_than(action)?, false),
            Action::Lock(_) | Action::Unlock(_) => return None,
        };
        let item = &self.contents.manifests()[manifest as usize];
        let newest = |tags: &[Tag]| tags.iter().map(|tag| tag.updated_at).try_fold(item.updated_at?, |newest, at| Some(newest.max(at?)));
        let since = match (tag, self.contents.tagged(manifest)) {
            (Some(tag), _) => item.updated_at?.max(self.contents.tags()[tag as usize].updated_at?).into(),
            (None, []) => untagged_since(item, adopt_backlog, self.observations.since, self.now)?,
            (None, companions) => newest(companions)?.into(),
        };
        since.checked_add(age.duration()).ok()
    }
}

fn newer_than(action: &Action) -> Option<Age> {
    match action {
        Action::Keep(keep) => keep.when.iter().find_map(|when| match when {
            KeepWhen::NewerThan(age) => Some(*age),
            KeepWhen::Last(_) | KeepWhen::NewestOfEach { .. } => None,
        }),
        Action::Delete(delete) => delete.newer_than,
        Action::Lock(_) | Action::Unlock(_) => None,
    }
}

/// A stable word for a reason, for machines.
pub(super) fn code(reason: Reason) -> &'static str {
    match reason {
        Reason::NoRule => "no_rule",
        Reason::KeepRule(_) => "keep_rule",
        Reason::KeepLast(_) => "keep_last",
        Reason::KeepNewer(_) => "keep_newer",
        Reason::KeepPeriod(_, period) => match period {
            Period::Day => "keep_daily",
            Period::Week => "keep_weekly",
            Period::Month => "keep_monthly",
            Period::Year => "keep_yearly",
        },
        Reason::KeepAllTags(_) => "keep_all_tags",
        Reason::Unclear(_) => "unclear",
        Reason::LockRule(_) => "lock_rule",
        Reason::Locked(_) => "locked",
        Reason::UnknownTime => "unknown_time",
        Reason::FutureTime => "future_time",
        Reason::TooYoung => "too_young",
        Reason::NotYet(_) => "not_yet",
        Reason::NoLonger(_) => "no_longer",
        Reason::Waits(_) => "waits",
        Reason::ExceptLast(_) => "except_last",
        Reason::KeepAtLeast => "keep_at_least",
        Reason::Ghost => "ghost",
        Reason::SubjectAbsent => "subject_absent",
        Reason::TagStays(_) => "tag_stays",
        Reason::WithManifest => "with_manifest",
        Reason::ChildOf(_) => "child",
        Reason::ReferrerOf(_) => "referrer",
        Reason::CompanionOf(_) => "companion",
        Reason::SubjectOf(_) => "subject",
        Reason::Circle => "circle",
        Reason::DeleteRule(_) => "delete_rule",
        Reason::WithRoot(_) => "with_image",
        Reason::LeftBehind => "left_behind",
    }
}

/// `@` and the beginning of the digest.
pub(super) fn short(digest: Digest) -> String {
    format!("@{}", digest.short())
}

/// A length of time in its largest whole unit: `40d`, `7h`, `12m`.
pub(super) fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        86_400.. => format!("{}d", seconds / 86_400),
    }
}

/// Bytes in decimal units, as registries bill them.
pub(super) fn size(bytes: u64) -> String {
    let units = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, unit)| *unit <= bytes) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// What must be known of a decision for another time than that of its listing, as `--at` asks for one and an older listing implies.
pub fn other_time(taken_at: Timestamp, now: Timestamp) -> Option<String> {
    let ahead = now.duration_since(taken_at);
    let length = age(ahead.abs());
    match ahead.as_secs().cmp(&0) {
        Ordering::Equal => None,
        Ordering::Greater => Some(format!("decided for {now:.0}, {length} after the listing: nothing but the time is assumed to change")),
        Ordering::Less => Some(format!("decided for {now:.0}, {length} before the listing, about what the listing shows")),
    }
}

/// `1 image`, `2 images`.
pub(super) fn counted(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `can_delete: false, can_write: true`.
pub(super) fn lock_change(change: LockChange) -> String {
    let LockChange { can_delete, can_write, can_read, can_list } = change;
    let attributes = [("can_delete", can_delete), ("can_write", can_write), ("can_read", can_read), ("can_list", can_list)];
    let set: Vec<String> = attributes.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}: {value}"))).collect();
    set.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        assert_eq!([size(999), size(1_500), size(82_000_000), size(1_234_000_000)], ["999 B", "1.5 kB", "82.0 MB", "1.2 GB"]);
        let hours = SignedDuration::from_hours;
        assert_eq!([age(hours(0)), age(hours(7)), age(hours(49))], ["0s", "7h", "2d"]);
    }
}
