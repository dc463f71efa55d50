//! The policies of drawn worlds: of the core language alone, which the oracle knows, or of all of it.

use std::sync::{Arc, OnceLock};

use fastrand::Rng;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use retaind::model::{LockChange, RegistryName};
use retaind::policy::{
    About, Action, Age, Changes, Count, Delete, Filter, Grouping, Images, Keep, KeepWhen, KeyValue, Limits, LockRule, LockTarget, Mode,
    OnLimit, OrderBy, Pattern, Period, Policy, RepositoryFilter, Rule, Selector, TagPattern,
};

use super::{Language, Lot};

/// The ages that rules and limits ask for; all of them occur among the ages of manifests and tags.
const LIMITS_HOURS: [i64; 4] = [1, 24, 168, 720];

impl Lot {
    pub(super) fn policy(&mut self, place: usize) -> Policy {
        let count = self.rng.usize(1..=4);
        let rules: Vec<Rule> = (0..count).map(|rule| Rule { name: format!("rule-{rule}").into(), action: self.action() }).collect();
        let limits = Limits {
            keep_at_least: self.pick(&[0, 0, 0, 0, 1, 2]),
            min_age: SignedDuration::from_hours(self.pick(&[1, 1, 24, 168])),
            max_deletes: 500,
            max_delete_percent: 100,
            on_limit: OnLimit::Refuse,
            changes: Changes::NextRun,
        };
        policy(place, self.pick(&[Mode::DryRun, Mode::Enforce]), rules, limits)
    }

    fn action(&mut self) -> Action {
        let lot = self.rng.u32(0..20);
        if self.kinds.foreign_rules && lot < 6 {
            if lot < 4 {
                let selector = self.selector();
                let when = self.conditions(&selector);
                let all_tags = self.is_rich() && self.one_in(3);
                return Action::Keep(Keep { selector, when, all_tags });
            }
            let closed = Some(lot == 5);
            let change = self.pick(&[
                LockChange { can_delete: closed, ..LockChange::default() },
                LockChange { can_write: closed, ..LockChange::default() },
                LockChange { can_delete: closed, can_write: closed, ..LockChange::default() },
            ]);
            let on = self.pick(&[LockTarget::Tag, LockTarget::Manifest, LockTarget::Both]);
            let rule = LockRule { selector: Selector::tags(self.pick(patterns())), change, on, release: false };
            return if lot == 4 { Action::Lock(rule) } else { Action::Unlock(rule) };
        }
        let selector = self.selector();
        let except_last = if self.one_in(2) { Some(self.count(&selector)) } else { None };
        let older_than = if except_last.is_none() || self.rng.bool() { Some(self.age()) } else { None };
        let newer_than = if self.is_rich() && self.one_in(5) { Some(self.age()) } else { None };
        let adopt_backlog = matches!(selector.about, About::Untagged | About::Orphaned) && self.rng.bool();
        Action::Delete(Delete { selector, older_than, newer_than, except_last, condemned_for: None, adopt_backlog })
    }

    pub(super) fn age(&mut self) -> Age {
        format!("{}h", self.pick(&LIMITS_HOURS)).parse().expect("an age")
    }

    fn is_rich(&self) -> bool {
        self.language == Language::Whole
    }

    fn conditions(&mut self, selector: &Selector) -> Vec<KeepWhen> {
        let count = if self.is_rich() { self.pick(&[0, 1, 1, 2, 3]) } else { usize::from(self.rng.bool()) };
        (0..count).map(|_| self.condition(selector)).collect()
    }

    fn condition(&mut self, selector: &Selector) -> KeepWhen {
        if !self.is_rich() || self.one_in(3) {
            return KeepWhen::Last(self.count(selector));
        }
        if self.one_in(3) {
            return KeepWhen::NewerThan(self.age());
        }
        let zone = if self.rng.bool() { "Europe/Berlin" } else { "America/New_York" };
        KeepWhen::NewestOfEach {
            period: self.pick(&Period::ALL),
            periods: Images::new(self.rng.u32(1..=3)).expect("above zero"),
            zone: TimeZone::get(zone).expect("a zone"),
        }
    }

    fn selector(&mut self) -> Selector {
        if !self.is_rich() {
            let about = if self.one_in(4) { About::Untagged } else { About::Tags(self.pick(patterns())) };
            return Selector::all(about);
        }
        let about = match self.rng.u32(0..10) {
            0..2 => About::Untagged,
            2..4 => About::Orphaned,
            4 => About::Images,
            _ => About::Tags(self.pick(patterns())),
        };
        let filtered = matches!(about, About::Images) || self.one_in(3);
        let filters = (0..if filtered { self.rng.usize(1..=2) } else { 0 }).map(|_| self.filter()).collect();
        Selector { about, filters }
    }

    fn filter(&mut self) -> Filter {
        match self.rng.u32(0..7) {
            3 => {
                let glob = self.pick(&["a/*", "a/*", "a/**", "{b,a}/?", "application/vnd.microsoft.*"]);
                Filter::ArtifactType(vec![Pattern::parse(glob).expect("a glob")])
            }
            4 => Filter::Annotation(self.wanted()),
            5 => Filter::Label(self.wanted()),
            6 => Filter::EndOfLife,
            0 => {
                let glob = |text: &str| Pattern::parse(text).expect("a glob");
                Filter::MediaType(vec![glob(self.pick(&[
                    "application/vnd.oci.*",
                    "application/vnd.docker.**",
                    "application/*index*",
                    "**",
                ]))])
            }
            1 => {
                let wanted = self.pick(&[&["linux/amd64"][..], &["linux/arm64", "windows/amd64"], &["linux/arm64/v8"]]);
                Filter::Platform(wanted.iter().map(|text| text.parse().expect("a platform")).collect())
            }
            _ => Filter::LargerThan(self.pick(&["999B", "1kB", "2kB"]).parse().expect("a size")),
        }
    }

    fn wanted(&mut self) -> Vec<KeyValue> {
        let texts =
            self.pick(&[&["team=a"][..], &["team=a"], &["team=[a-c]"], &["team"], &["team=**"], &["x=*", "team=b"], &["nobody", "x"]]);
        texts.iter().map(|text| KeyValue::parse(text).expect("a key and a value")).collect()
    }

    /// Only what a policy file may say: versions where the selector reads versions, captures where it captures.
    fn count(&mut self, selector: &Selector) -> Count {
        let (mut per, mut order_by) = (Grouping::All, OrderBy::Time);
        match &selector.about {
            About::Tags(TagPattern::Semver { .. }) => {
                per = self.pick(&[Grouping::All, Grouping::Major, Grouping::Minor]);
                order_by = self.pick(&[OrderBy::Time, OrderBy::Version]);
            }
            About::Tags(TagPattern::Regex { any, .. }) => {
                let names: Vec<Box<str>> = any[0].capture_names().flatten().map(Into::into).collect();
                if !names.is_empty() && self.rng.bool() {
                    per = Grouping::Captures(if self.rng.bool() { names } else { names[..1].to_vec() });
                }
            }
            About::Tags(TagPattern::Glob { .. }) | About::Untagged | About::Orphaned | About::Images => {}
        }
        Count { images: Images::new(self.rng.u32(1..=3)).expect("above zero"), per, order_by }
    }
}

/// A policy on every repository.
pub(crate) fn policy(place: usize, mode: Mode, rules: Vec<Rule>, limits: Limits) -> Policy {
    Policy {
        name: format!("policy-{place}").into(),
        registries: vec![RegistryName::parse("a").expect("a name")],
        mode,
        schedule: None,
        repositories: RepositoryFilter { include: vec![everything()], exclude: Vec::new(), within: Vec::new() },
        rules,
        limits,
        origin: Arc::from("drawn"),
    }
}

fn everything() -> Pattern {
    static EVERYTHING: OnceLock<Pattern> = OnceLock::new();
    EVERYTHING.get_or_init(|| Pattern::parse("**").expect("a glob")).clone()
}

/// Globs.
pub(crate) fn glob(any: &[&str], except: &[&str]) -> TagPattern {
    let read = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).expect("a glob")).collect();
    TagPattern::Glob { any: read(any), except: read(except) }
}

/// Compiled once: compiling takes longer than a thousand worlds.
pub(super) fn patterns() -> &'static [TagPattern] {
    static PATTERNS: OnceLock<Vec<TagPattern>> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        let regex = |text: &str| TagPattern::Regex { any: vec![TagPattern::regex(text).expect("a regex")], except: Vec::new() };
        let semver = |text: &str| TagPattern::Semver { any: vec![TagPattern::semver(text).expect("a range")], except: Vec::new() };
        vec![
            glob(&["*"], &[]),
            glob(&["*"], &[]),
            glob(&["*"], &["latest"]),
            glob(&["pr-*"], &[]),
            glob(&["pr-*", "b?-*"], &["pr-1", "*-y"]),
            glob(&["golden-*", "latest"], &[]),
            glob(&["sha256-*"], &[]),
            regex("(?<group>[a-z]+[0-9]*)-(?<kind>.+)"),
            regex("b(?<number>[0-9])-(?<kind>[xy])"),
            regex(".*"),
            semver(">=1.0.0"),
            semver("1"),
            semver(">=2.0.0-rc.0"),
        ]
    })
}

/// A lock rule of any kind, mostly one that lets go.
pub(crate) fn any_lock(rng: &mut Rng) -> LockRule {
    let mut lot = Lot::new(rng.u64(..), Language::Whole);
    let filters = (0..lot.pick(&[0, 0, 0, 1])).map(|_| lot.filter()).collect();
    let selector = Selector { filters, ..Selector::tags(lot.pick(patterns())) };
    let on = lot.pick(&[LockTarget::Tag, LockTarget::Manifest, LockTarget::Both]);
    LockRule { selector, change: any_closed(rng), on, release: !lot.one_in(4) }
}

/// Some of the attributes, closed.
pub(crate) fn any_closed(rng: &mut Rng) -> LockChange {
    let closed = Some(false);
    let changes = [
        LockChange { can_delete: closed, ..LockChange::default() },
        LockChange { can_write: closed, ..LockChange::default() },
        LockChange { can_delete: closed, can_write: closed, ..LockChange::default() },
        LockChange { can_delete: closed, can_read: closed, ..LockChange::default() },
    ];
    changes[rng.usize(0..changes.len())]
}

/// A keep rule of any kind: what it chooses, and when it keeps.
pub(crate) fn any_keep(rng: &mut Rng) -> Keep {
    let mut lot = Lot::new(rng.u64(..), Language::Whole);
    let selector = lot.selector();
    let when = lot.conditions(&selector);
    Keep { selector, when, all_tags: lot.rng.bool() }
}
