//! zot. Its patterns match anywhere in a tag, the first entry that matches a tag owns it, and an image that no entry retains goes.

use jiff::{SignedDuration, Timestamp};
use retaind::model::TagName;
use serde_json::{Value, json};

use super::drawn::{ANY_AGE, Drawn, Image, days, limit};
use super::read::{Answer, Case, Cases, sorted, texts, unanchored};

pub(super) fn translate(case: &Case, cases: &Cases) -> Option<Answer> {
    match &*case.kind {
        "parse" => {
            let subject = TagName::parse(case.at("/input").as_str()?).ok()?.companion_subject()?;
            Answer::of(subject.to_string(), case.at("/expect/subject").clone())
        }
        "schedule" => window(case),
        "predicate" if case.id.starts_with("zot-candidates") => candidates(case),
        "predicate" if case.id.starts_with("zot-stale-index") => stale_index(case),
        "predicate" => documented(case, cases),
        _ => end_to_end(case),
    }
}

/// Nothing in ACR's listings tells when an image was last pulled.
fn asks_for_pulls(entry: &Value) -> bool {
    entry.as_object().into_iter().flatten().any(|(key, _)| key.contains("pulled"))
}

fn end_to_end(case: &Case) -> Option<Answer> {
    // These are about carrying a plan out.
    if matches!(&*case.id, "zot-gc-dry-run" | "zot-gc-cancelled") {
        return None;
    }
    let policy = case.at("/policy");
    let entries: Vec<&Value> = policy["keep_tags"].as_array().into_iter().flatten().collect();
    if entries.iter().any(|entry| asks_for_pulls(entry)) || asks_for_pulls(&policy["keep_untagged"]) {
        return None;
    }
    let mut images = case.images("/images");
    for (place, written) in case.at("/images").as_array()?.iter().enumerate() {
        if written["multiarch"] == true {
            let child = Image::new(format!("{}-child", images[place].id), images[place].age);
            images[place] = images[place].clone().index(vec![child.id.clone()]);
            images.push(child);
        }
    }
    let is_listed =
        |id: &str| !case.at("/images").as_array().into_iter().flatten().any(|image| image["id"] == id && image["listed"] == false);
    images.retain(|image| is_listed(&image.id));
    let mut drawn = Drawn::new(images, retention(&entries));
    for (key, about) in [("delete_untagged", "untagged"), ("delete_referrers", "orphaned")] {
        if policy[key] == true {
            drawn.policies[0].1.push(json!({"delete": {about: true, "older_than": ANY_AGE}}));
        }
    }
    if policy["grace"] == "1h" {
        drawn.repositories.values_mut().flatten().for_each(|image| image.age = Some(SignedDuration::ZERO));
        drawn.limits = json!({"min_age": limit(SignedDuration::from_hours(1))});
    }
    if let Some(globs) = policy.get("repo_glob") {
        drawn.policies[0].0 = json!({"include": globs});
    }
    let outcome = drawn.decide();
    let kept = case.at("/expect/keep");
    if kept.is_null() { Answer::deleted(case, outcome.image_names()) } else { Answer::of(sorted(outcome.kept_tags()), sorted(texts(kept))) }
}

/// Their entries as keep rules beside a rule that deletes all tags. Without entries, and by an entry without patterns, all are kept.
fn retention(entries: &[&Value]) -> Vec<Value> {
    let keep = |entry: &&Value| {
        let patterns = texts(&entry["tag_regex"]);
        let mut keep = if patterns.is_empty() {
            json!({"tags": {"glob": "*"}})
        } else {
            json!({"tags": {"regex": patterns.iter().map(|pattern| unanchored(pattern)).collect::<Vec<_>>()}})
        };
        if let Some(count) = entry.get("latest_pushed") {
            keep["last"] = count.clone();
        }
        if let Some(number) = entry["pushed_within_d"].as_f64() {
            keep["newer_than"] = json!(limit(days(number)));
        }
        json!({"keep": keep})
    };
    if entries.is_empty() {
        return vec![json!({"keep": {"tags": {"glob": "*"}}})];
    }
    let mut rules: Vec<Value> = entries.iter().map(keep).collect();
    rules.push(json!({"delete": {"tags": {"glob": "*"}, "older_than": ANY_AGE}}));
    rules
}

/// What has no statistics has no known time here.
fn candidates(case: &Case) -> Option<Answer> {
    let known = case.at("/statistics");
    let image = |tag: &String| Image::tagged(tag, known.get(tag).map(|_| days(1.0)));
    let images = texts(case.at("/tags")).iter().map(image).collect();
    let rules = vec![json!({"delete": {"tags": {"glob": "*"}, "older_than": ANY_AGE}})];
    Answer::of(sorted(Drawn::new(images, rules).decide().tag_names()), sorted(texts(case.at("/expect/deletion_candidates"))))
}

/// A ghost is set aside: it does not go, and keeps nothing from going. Whatever else is an image like any other, and goes.
fn stale_index(case: &Case) -> Option<Answer> {
    let state = case.at("/state").as_str()?;
    let child = Image::new("child", Some(days(2.0)));
    let mut index = Image::tagged("index", Some(days(2.0))).index(vec!["child".to_owned(), "missing".to_owned()]);
    let mut images = vec![Image::tagged("other", Some(days(3.0)))];
    match state {
        "index with one child missing" => images.push(child),
        "index with every child missing" => index.children.remove(0).clear(),
        "index with an empty child list" => index.children.clear(),
        _ => index.is_ghost = true,
    }
    images.push(index);
    let rules = vec![json!({"delete": {"tags": {"glob": "*"}, "older_than": ANY_AGE}})];
    let gone = Drawn::new(images, rules).decide().image_names();
    assert!(gone.contains("other"), "{}: one index blocks everything", case.id);
    Answer::of(!gone.contains("index"), case.at("/expect/is_ghost").clone())
}

/// Two policies for different repositories. An entry that asks for pulls is left out where another one owns the tag, or none.
fn documented(case: &Case, cases: &Cases) -> Option<Answer> {
    let first = cases.iter().find(|case| case.id == "zot-doc-0")?;
    let (repository, tag) = (case.at("/repo").as_str()?, case.at("/tag").as_str()?);
    let mut drawn = Drawn::default();
    for policy in first.at("/policies").as_array()? {
        let include = json!({"include": policy["repo_glob"]});
        let entries: Vec<&Value> = policy["keep_tags"].as_array()?.iter().collect();
        let owns = |entry: &&&Value| {
            let patterns: Vec<String> = texts(&entry["tag_regex"]).iter().map(|pattern| unanchored(pattern)).collect();
            super::drawn::tag_pattern(&json!({"regex": patterns})).is_some_and(|pattern| pattern.matches(tag))
        };
        let is_here = super::drawn::chosen(include.clone(), &[repository.to_owned()])?.len() == 1;
        if is_here && entries.iter().find(owns).is_some_and(|owner| asks_for_pulls(owner)) {
            return None;
        }
        let entries: Vec<&Value> = entries.into_iter().filter(|entry| !asks_for_pulls(entry)).collect();
        let mut rules = retention(&entries);
        if entries.is_empty() {
            rules = vec![json!({"delete": {"tags": {"glob": "*"}, "older_than": ANY_AGE}})];
        }
        drawn.policies.push((include, rules));
    }
    let hours = case.at("/pushed_h").as_f64()?;
    drawn.repositories.insert(repository.to_owned(), vec![Image::tagged(tag, Some(days(hours / 24.0)))]);
    Answer::of(drawn.decide().tags.is_empty(), case.at("/expect/keep").clone())
}

/// A policy that runs every hour, only by night or whenever.
fn window(case: &Case) -> Option<Answer> {
    let read = |between: &str| {
        let text = format!(
            "version: 1\npolicies: [{{ name: nightly, mode: dry-run, schedule: \"0 * * * *\", {between} \
             repositories: {{ include: \"**\" }}, rules: [{{ name: all, keep: {{ tags: {{ glob: \"*\" }} }} }}] }}]"
        );
        crate::stage::policies(&text).remove(0).schedule.expect("it is written")
    };
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let (by_day, by_night) = (at("2026-06-01T12:00:00Z"), at("2026-06-01T23:00:00Z"));
    let got = match case.at("/state").as_str()? {
        "outside window" => read("between: 22:00-05:00,").allows(by_day).is_ok(),
        "inside window" => read("between: 22:00-05:00,").allows(by_night).is_ok(),
        "no window" => read("").allows(by_day).is_ok(),
        "next run in the future, window irrelevant" => {
            read("").next(by_day + SignedDuration::from_mins(5))? <= by_day + SignedDuration::from_mins(10)
        }
        // Windows say when a run may begin, and that one has.
        _ => return None,
    };
    Answer::of(got, case.at("/expect/may_run").clone())
}
