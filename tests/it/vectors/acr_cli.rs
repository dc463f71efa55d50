//! `acr purge` of Azure's own command line: regular expressions that match anywhere in a tag.

use serde_json::{Value, json};

use super::drawn::{Drawn, age, chosen, is_valid, limit};
use super::read::{Answer, Case, duration, sorted, texts, unanchored};

pub(super) fn translate(case: &Case) -> Option<Answer> {
    match &*case.kind {
        "selector" => repositories(case),
        // Repositories and tags in one text: ours are keys of their own.
        "parse" if case.id.starts_with("acrcli-filter") => None,
        "parse" => parsed_age(case),
        _ => purge(case),
    }
}

fn parsed_age(case: &Case) -> Option<Answer> {
    let got = age(case.at("/input")).map(|age| age.as_secs());
    let wanted = match case.at("/expect/age").as_str() {
        Some("25h3m") => Some(25 * 3_600 + 180),
        Some("0") => Some(0),
        Some(text) => duration(text).map(|age| age.as_secs()),
        None => None,
    };
    Answer::of(json!(got), json!(wanted))
}

/// Ours are globs; each of their regular expressions has one that means the same.
fn repositories(case: &Case) -> Option<Answer> {
    let (repository, _tag) = case.at("/filter").as_str()?.split_once(if case.id == "acrcli-repos-5" { ":(" } else { ":" })?;
    let glob = match repository {
        ".+" | ".*" => "**",
        "foo/bar(?:.*)?" => "foo/bar**",
        // The colon that was split at is one of this group.
        "foo/b[[" => "foo/b[a-z]r**",
        literal => literal,
    };
    let names = texts(case.at("/repositories"));
    let glob = if case.id == "acrcli-repos-5" { "foo/bar**" } else { glob };
    Answer::of(sorted(chosen(json!({"include": [glob]}), &names)?), sorted(texts(case.at("/expect/repositories"))))
}

fn purge(case: &Case) -> Option<Answer> {
    let policy = case.at("/policy");
    let gap = match case.at("/state").as_str() {
        None | Some("repository does not exist") => None,
        // These are about carrying a plan out.
        Some("DELETE answers 404" | "DELETE fails otherwise") => return None,
        Some(_) => Some("not everything could be read"),
    };
    let older_than = limit(duration(policy["older_than"].as_str()?)?);
    let (images, rules) = if policy["untagged"] == true {
        (case.images("/manifests"), vec![json!({"delete": {"untagged": true, "older_than": older_than}})])
    } else {
        let (regex, except) = match &*case.id {
            // There is no looking around; what it is for is said by an exception.
            "acrcli-lookahead" => ("v1".to_owned(), Some("v1-a")),
            "acrcli-lookbehind" => ("v1-*[abc]+".to_owned(), Some("v1-a")),
            _ => (policy["tag_regex"].as_str()?.to_owned(), None),
        };
        let mut delete = json!({"tags": {"regex": [unanchored(&regex)]}, "older_than": older_than});
        if let Some(except) = except {
            assert!(!is_valid(vec![json!({"delete": {"tags": {"regex": policy["tag_regex"]}, "older_than": "1d"}})]), "it looks around");
            delete["tags"]["except"] = json!([except]);
        }
        if let Some(count) = policy["keep_latest"].as_u64().filter(|count| *count != 0) {
            delete["except_last"] = json!(count);
        }
        (case.images("/tags_newest_first"), vec![json!({"delete": delete})])
    };
    let by_tag = policy["untagged"] != true;
    let drawn = Drawn { gap, ..Drawn::new(images, rules) };
    let is_valid = drawn.read().is_ok();
    let outcome = if is_valid { drawn.decide() } else { Default::default() };
    let is_error = !is_valid || 0 < outcome.incomplete;
    let gone = sorted(if by_tag { outcome.tag_names() } else { outcome.image_names() });
    let error: Value = case.at("/expect/error").as_bool().unwrap_or(false).into();
    Answer::of(json!([gone, is_error]), json!([case.to_delete(), error]))
}
