//! Policies: names, registries, schedules, rules, limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::selector::{patterns, selector};
use super::{Context, Known, PolicyFile};
use crate::config::check::check;
use crate::config::item::{Item, Object};
use crate::config::problem::{Complaint, Problem, Source};
use crate::config::scalar::split_hint;
use crate::config::shape::POLICIES;
use crate::config::suggest::nearest;
use crate::config::written::Written;
use crate::model::{LockChange, RegistryName};
use crate::policy::{
    About, Action, Changes, Count, Delete, Expression, Grouping, Images, Keep, KeepWhen, Limits, LockRule, LockTarget, Mode, OnLimit,
    OrderBy, Pattern, Period, Policy, RepositoryFilter, Rule, Schedule, Selector, TagPattern, Window, Windows,
};
use jiff::tz::TimeZone;

/// Longest name of a policy or rule, in characters: it is a metric label and a column of tables.
const NAME_MAX_LENGTH: usize = 63;
/// Most windows of `not_during`: more is a calendar, not a policy.
const WINDOWS_MAX: usize = 50;

/// Where each name was first used.
type Taken = BTreeMap<String, String>;

/// Resolves all policy files: each policy, and beside it how it is written.
pub(in crate::config) fn policies(files: &[PolicyFile], known: &Known, problems: &mut Vec<Problem>) -> (Vec<Policy>, Vec<Written>) {
    let mut taken = Taken::new();
    let (mut policies, mut written) = (Vec::new(), Vec::new());
    for PolicyFile { source, scope } in files {
        let Some(file) = check(source, &POLICIES, problems) else { continue };
        let mut context = Context::new(source, problems);
        for item in file.items("policies") {
            let Some(object) = item.as_object() else { continue };
            if let Some(mut policy) = policy(&mut context, item, object, known, &mut taken) {
                if let Some(scope) = scope {
                    scope.hold(&mut context, object, &mut policy);
                }
                policies.push(policy);
                written.push(Written::new(source, item.clone()));
            }
        }
    }
    (policies, written)
}

/// None when something is bad or missing, which has been reported.
fn policy(context: &mut Context<'_>, item: &Item, object: &Object, known: &Known, taken: &mut Taken) -> Option<Policy> {
    let name = name(context, object, "policy", taken);
    let registries = registries(context, item, object, known);
    let zone = object.get("time_zone").map_or(Some(TimeZone::UTC), |item| time_zone(context, item));
    let schedule = schedule(context, object, zone.as_ref());
    let repositories = object.object("repositories").map(|object| repositories(context, object, known));
    let mut taken = Taken::new();
    let rules: Vec<Option<Rule>> =
        object.items("rules").iter().filter_map(Item::as_object).map(|object| rule(context, object, zone.as_ref(), &mut taken)).collect();
    let limits = object.object("limits").map_or_else(Limits::default, |object| limits(context, object));
    let mode = match object.word("mode")? {
        "enforce" => Mode::Enforce,
        _ => Mode::DryRun,
    };
    Some(Policy {
        name: name?,
        registries,
        mode,
        schedule,
        repositories: repositories?,
        rules: rules.into_iter().collect::<Option<_>>()?,
        limits,
        origin: origin(context.source, item).into(),
    })
}

pub(super) fn origin(source: &Source, item: &Item) -> String {
    format!("{}:{}", source.name, item.place.line)
}

/// Letters, digits, `-`, `_` and `.`; unique in its surroundings.
fn name(context: &mut Context<'_>, object: &Object, what: &str, taken: &mut Taken) -> Option<Arc<str>> {
    let item = object.get("name")?;
    let text = item.as_text()?;
    let good = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if NAME_MAX_LENGTH < text.len() || !text.starts_with(|first: char| first.is_ascii_alphanumeric()) || !text.chars().all(good) {
        let short: String = text.chars().take(NAME_MAX_LENGTH).collect();
        let hint = format!("begin with a letter or digit, go on with letters, digits, '-', '_' and '.', up to {NAME_MAX_LENGTH} in all");
        context.report(item, Complaint::new(format!("{short:?} is not a name for a {what}")).hint(hint));
        return None;
    }
    if let Some(first) = taken.get(text) {
        let complaint = Complaint::new(format!("a second {what} is called {text}"));
        context.report(item, complaint.hint(format!("the first is at {first}; names must be unique")));
        return None;
    }
    taken.insert(text.to_owned(), origin(context.source, item));
    Some(text.into())
}

/// The registries that the policy names, in the order of the settings.
fn registries(context: &mut Context<'_>, policy: &Item, object: &Object, known: &Known) -> Vec<RegistryName> {
    let names = || known.names.iter().map(RegistryName::as_str).collect::<Vec<_>>().join(", ");
    let Some(written) = object.get("registries") else {
        if known.complete && known.names.len() != 1 {
            let message = format!("the policy does not say which of the {} registries it is for", known.names.len());
            context.report(policy, Complaint::new(message).hint(format!("write `registries: [{}]`, or some of them", names())));
        }
        return known.names.clone();
    };
    let mut patterns_found = Vec::new();
    for item in written.items() {
        let Some(text) = item.as_text() else { continue };
        match Pattern::parse(text) {
            Ok(pattern) => {
                if known.complete && !known.names.iter().any(|name| pattern.matches(name.as_str())) {
                    let near = crate::config::suggest::nearest(text, known.names.iter().map(RegistryName::as_str));
                    let hint = near.map_or_else(|| format!("the settings know {}", names()), |near| format!("did you mean `{near}`?"));
                    context.report(item, Complaint::new(format!("no registry of the settings is called {text:?}")).hint(hint));
                }
                patterns_found.push(pattern);
            }
            Err(error) => context.report(item, split_hint(&error.to_string())),
        }
    }
    let named = |name: &&RegistryName| patterns_found.iter().any(|pattern| pattern.matches(name.as_str()));
    known.names.iter().filter(named).cloned().collect()
}

/// None when the policy has no schedule, or a bad one, which has been reported.
fn schedule(context: &mut Context<'_>, object: &Object, zone: Option<&TimeZone>) -> Option<Schedule> {
    let windows = windows(context, object);
    let item = object.get("schedule")?;
    match Expression::parse(item.as_text()?) {
        Ok(expression) => Some(Schedule { expression, zone: zone?.clone(), windows: windows? }),
        Err(error) => {
            context.report(item, Complaint::new(error.what).hint(error.hint));
            None
        }
    }
}

fn time_zone(context: &mut Context<'_>, item: &Item) -> Option<TimeZone> {
    let text = item.as_text()?;
    let zone = TimeZone::get(text).ok();
    if zone.is_none() {
        let hint = zone_hint(text);
        context.report(item, Complaint::new(format!("{text:?} is not a known time zone")).hint(hint));
    }
    zone
}

/// What to write for a time zone that is none: the known one that it nearly is, or whose city it names.
fn zone_hint(text: &str) -> String {
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let lower: Vec<String> = known.iter().map(|name| name.to_lowercase()).collect();
    let written = text.to_lowercase();
    let city = lower.iter().position(|name| name.rsplit('/').next() == Some(&written));
    let near = || {
        let near = nearest(&written, lower.iter().map(String::as_str))?;
        lower.iter().position(|name| name == near)
    };
    let is_abbreviation = text.bytes().all(|byte| byte.is_ascii_uppercase());
    match city.or_else(near).filter(|_| !is_abbreviation).and_then(|place| known.get(place)) {
        Some(zone) => format!("did you mean `{zone}`?"),
        None if is_abbreviation => "an abbreviation holds for half a year; write the place, such as Europe/Berlin, or UTC".to_owned(),
        None if text.contains(|character: char| character.is_ascii_digit()) => {
            "an offset knows no summer time; write the place, such as Europe/Berlin, or UTC".to_owned()
        }
        None => "write an IANA name, such as Europe/Berlin or UTC".to_owned(),
    }
}

fn windows(context: &mut Context<'_>, object: &Object) -> Option<Windows> {
    let read = |text: &str| Window::parse(text).map_err(|error| Complaint::new(error.what).hint(error.hint));
    let single = object.get("between").map(std::slice::from_ref).unwrap_or_default();
    let items = object.items("not_during");
    if let (true, Some(item)) = (WINDOWS_MAX < items.len(), object.get("not_during")) {
        let complaint = Complaint::new(format!("`not_during` has more than {WINDOWS_MAX} windows"));
        context.report(item, complaint.hint("join windows that touch, or say when runs may begin with `between`"));
        return None;
    }
    let between = patterns(context, single, read);
    let not_during = patterns(context, items, read);
    // A bad window has been reported; what the others leave would be a guess.
    if between.len() < single.len() || not_during.len() < items.len() {
        return None;
    }
    match Windows::new(between.into_iter().next(), not_during) {
        Ok(windows) => Some(windows),
        Err(error) => {
            let item = object.get("not_during").or_else(|| object.get("between"))?;
            context.report(item, Complaint::new(error.what).hint(error.hint));
            None
        }
    }
}

fn repositories(context: &mut Context<'_>, object: &Object, known: &Known) -> RepositoryFilter {
    let mut read = |key| patterns(context, object.items(key), |text| repository_glob(text, known));
    RepositoryFilter { include: read("include"), exclude: read("exclude"), within: Vec::new() }
}

/// A glob that could match a repository's name. One that never could is a mistake, and an `exclude` that never matches is a dangerous
/// one.
pub(super) fn repository_glob(text: &str, known: &Known) -> Result<Pattern, Complaint> {
    let pattern = Pattern::parse(text).map_err(|error| split_hint(&error.to_string()))?;
    if let Some(host) = known.hosts.iter().find(|host| text.strip_prefix(host.as_str()).is_some_and(|rest| rest.starts_with('/'))) {
        let rest = text.get(host.len() + 1..).unwrap_or_default();
        return Err(
            Complaint::new(format!("{text:?} begins with the host of a registry")).hint(format!("write the repository alone: \"{rest}\""))
        );
    }
    if let Some((_, rest)) = text.split_once("://") {
        let name = rest.split_once('/').map_or("team-a/web", |(_, name)| name);
        let complaint = Complaint::new(format!("{text:?} is an address, not a repository"));
        return Err(complaint.hint(format!("write the repository alone: \"{name}\"; `registries` says in which registry")));
    }
    if let Some(complaint) = misplaced_slash(text) {
        return Err(complaint);
    }
    let impossible =
        text.chars().find(|character| !character.is_ascii_graphic() || ":@\"'".contains(*character) || character.is_ascii_uppercase());
    match impossible {
        Some(character) => {
            let hint = "repositories are named in lower case, without tag and digest, such as \"team-a/web\"";
            Err(Complaint::new(format!("{text:?} matches no repository: none has {character:?} in its name")).hint(hint))
        }
        None => Ok(pattern),
    }
}

/// The segments of a repository's name stand between slashes, and none is empty.
fn misplaced_slash(text: &str) -> Option<Complaint> {
    let complain = |why: &str, instead: String| {
        Some(Complaint::new(format!("{text:?} matches no repository: {why}")).hint(format!("write \"{instead}\"")))
    };
    if text.contains("//") {
        complain("none has two slashes in a row", text.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/"))
    } else if let Some(rest) = text.strip_prefix('/') {
        complain("no name begins with a slash", rest.to_owned())
    } else if text.ends_with('/') {
        complain("no name ends with a slash", format!("{text}**"))
    } else {
        None
    }
}

/// `zone` is None when it is bad, which has been reported.
fn rule(context: &mut Context<'_>, object: &Object, zone: Option<&TimeZone>, taken: &mut Taken) -> Option<Rule> {
    let name = name(context, object, "rule", taken);
    let keep = object.object("keep").map(|object| keep(context, object, zone).map(Action::Keep));
    let delete = object.object("delete").map(|object| delete(context, object).map(Action::Delete));
    let lock = object.object("lock").map(|object| lock_rule(context, object).map(Action::Lock));
    let unlock = object.object("unlock").map(|object| lock_rule(context, object).map(Action::Unlock));
    let action = [keep, delete, lock, unlock].into_iter().flatten().next()?;
    Some(Rule { name: name?, action: action? })
}

fn keep(context: &mut Context<'_>, object: &Object, zone: Option<&TimeZone>) -> Option<Keep> {
    let selector = selector(context, object);
    let mut when = Vec::new();
    when.extend(count(context, object, "last", selector.as_ref()).map(KeepWhen::Last));
    when.extend(object.age("newer_than").map(KeepWhen::NewerThan));
    for (key, period) in [("daily", Period::Day), ("weekly", Period::Week), ("monthly", Period::Month), ("yearly", Period::Year)] {
        if let Some(periods) = images(object, key) {
            when.push(KeepWhen::NewestOfEach { period, periods, zone: zone?.clone() });
        }
    }
    // A condition that is written and bad is not there now; without it the rule would keep something else than it says.
    let written =
        ["last", "newer_than", "daily", "weekly", "monthly", "yearly"].into_iter().filter(|key| object.get(key).is_some()).count();
    if when.len() < written {
        return None;
    }
    let selector = selector?;
    let all_tags = object.bool("all_tags").unwrap_or_default();
    if let (true, About::Untagged | About::Orphaned, Some(item)) = (all_tags, &selector.about, object.get("all_tags")) {
        let complaint = Complaint::new("`all_tags` has no meaning for what has no tags");
        context.report(item, complaint.hint("leave it out, or choose by `tags`"));
    }
    Some(Keep { selector, when, all_tags })
}

fn delete(context: &mut Context<'_>, object: &Object) -> Option<Delete> {
    let selector = selector(context, object);
    let except_last = count(context, object, "except_last", selector.as_ref());
    let (older_than, newer_than) = (object.age("older_than"), object.age("newer_than"));
    if let (Some(older), Some(newer), Some(item)) = (older_than, newer_than, object.get("newer_than"))
        && newer <= older
    {
        let complaint = Complaint::new(format!("nothing is older than {older} and newer than {newer}"));
        context.report(item, complaint.hint("write a longer `newer_than` or a shorter `older_than`"));
    }
    let adopt_backlog = object.bool("adopt_backlog").unwrap_or_default();
    let condemned_for = object.age("condemned_for");
    Some(Delete { selector: selector?, older_than, newer_than, except_last, condemned_for, adopt_backlog })
}

fn images(object: &Object, key: &str) -> Option<Images> {
    Images::new(u32::try_from(object.integer(key)?).ok()?)
}

/// `last` or `except_last` with `per` and `order_by`.
fn count(context: &mut Context<'_>, object: &Object, key: &str, selector: Option<&Selector>) -> Option<Count> {
    let per = selector.map_or(Grouping::All, |selector| grouping(context, object, selector));
    let order_by = match object.word("order_by") {
        Some("version") => OrderBy::Version,
        Some(_) | None => OrderBy::Time,
    };
    let by_semver = selector.is_some_and(|selector| matches!(selector.about, About::Tags(TagPattern::Semver { .. })));
    if let (OrderBy::Version, Some(_), false, Some(item)) = (order_by, selector, by_semver, object.get("order_by")) {
        let message = "`order_by: version` works only for tags chosen by `semver`";
        context.report(item, Complaint::new(message).hint("write `tags: { semver: \"…\" }`, or leave `order_by` out to order by time"));
    }
    Some(Count { images: images(object, key)?, per, order_by })
}

/// `per`: versions with semver, names of captures with regex, nothing with anything else.
fn grouping(context: &mut Context<'_>, object: &Object, selector: &Selector) -> Grouping {
    let Some(per) = object.get("per") else { return Grouping::All };
    let names: Vec<(&Item, &str)> = per.items().iter().filter_map(|item| Some((item, item.as_text()?))).collect();
    match &selector.about {
        About::Tags(TagPattern::Regex { any, .. }) => {
            for (item, name) in &names {
                for regex in any.iter().filter(|regex| !regex.capture_names().flatten().any(|capture| capture == *name)) {
                    let written = regex.as_str().trim_start_matches("^(?:").trim_end_matches(")$");
                    let message = format!("the regular expression `{written}` has no capture called `{name}`");
                    context.report(item, Complaint::new(message).hint(format!("write a named group, such as '(?<{name}>[0-9]+)…'")));
                }
            }
            Grouping::Captures(names.iter().map(|(_, name)| (*name).into()).collect())
        }
        About::Tags(TagPattern::Semver { .. }) => match names.as_slice() {
            [(_, "major")] => Grouping::Major,
            [(_, "minor")] => Grouping::Minor,
            _ => {
                let complaint = Complaint::new("with `semver`, `per` is either `major` or `minor`");
                context.report(per, complaint.hint("`per: minor` counts for each major and minor version together"));
                Grouping::All
            }
        },
        About::Tags(TagPattern::Glob { .. }) | About::Untagged | About::Orphaned | About::Images => {
            let complaint = Complaint::new("`per` works only for tags chosen by `semver` or `regex`");
            let hint = "write `tags: { semver: \">=0.0.0\" }` with `per: minor`, or a `regex` with named groups";
            context.report(per, complaint.hint(hint));
            Grouping::All
        }
    }
}

fn lock_rule(context: &mut Context<'_>, object: &Object) -> Option<LockRule> {
    let on = match object.word("on") {
        Some("manifest") => LockTarget::Manifest,
        Some("both") => LockTarget::Both,
        Some(_) | None => LockTarget::Tag,
    };
    let change = LockChange {
        can_delete: object.bool("can_delete"),
        can_write: object.bool("can_write"),
        can_read: object.bool("can_read"),
        can_list: object.bool("can_list"),
    };
    let release = object.bool("release").unwrap_or_default();
    Some(LockRule { selector: selector(context, object)?, change, on, release })
}

fn limits(context: &mut Context<'_>, object: &Object) -> Limits {
    let default = Limits::default();
    let number = |key| object.integer(key).and_then(|number| u32::try_from(number).ok());
    let min_age = object.age("min_age").map_or(default.min_age, |age| age.duration());
    if let (true, Some(item)) = (min_age < Limits::MIN_AGE_FLOOR, object.get("min_age")) {
        let complaint = Complaint::new("`min_age` is shorter than an hour");
        context.report(item, complaint.hint("write `min_age: 1h` or more: a push of several parts must be able to finish"));
    }
    Limits {
        max_deletes: number("max_deletes").unwrap_or(default.max_deletes),
        max_delete_percent: object
            .integer("max_delete_percent")
            .and_then(|percent| u8::try_from(percent).ok())
            .unwrap_or(default.max_delete_percent),
        keep_at_least: number("keep_at_least").unwrap_or(default.keep_at_least),
        min_age,
        on_limit: match object.word("on_limit") {
            Some("oldest_first") => OnLimit::OldestFirst,
            Some(_) | None => OnLimit::Refuse,
        },
        changes: match object.word("changes") {
            Some("approve") => Changes::Approve,
            Some("immediately") => Changes::Immediately,
            Some(_) | None => Changes::NextRun,
        },
    }
}
