//! Amazon ECR and Google Artifact Registry.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::drawn::{Drawn, Image, days, is_valid, limit};
use super::read::{Answer, Case, texts};

pub(super) fn translate(case: &Case) -> Option<Answer> {
    match (&*case.engine, &*case.kind) {
        ("gar", _) => keep_wins(case),
        (_, "validation") => validation(case),
        (_, "end_to_end_counts") => several_platforms(case),
        // A list of prefixes means that an image has a tag of each; a rule of ours decides about each tag by itself.
        _ if case.id == "ecr-multi-tag-a" => None,
        _ => {
            let rules = case.at("/policy/rules").as_array().into_iter().flatten().flat_map(rules).collect();
            Answer::deleted(case, Drawn::new(case.images("/images"), rules).decide().image_names())
        }
    }
}

/// One of their rules. What an earlier one ranks and leaves is not for a later one to take, which is what a keep rule says.
fn rules(rule: &Value) -> Vec<Value> {
    let prefixes: Vec<String> = texts(&rule["tag_prefix_all"]).iter().map(|prefix| format!("{prefix}*")).collect();
    let mut delete = match rule["tag_status"].as_str() {
        Some("untagged") => json!({"untagged": true}),
        Some("any") => json!({"media_type": "**"}),
        _ => json!({"tags": {"glob": prefixes}}),
    };
    let mut rules = Vec::new();
    if let Some(count) = rule["count_more_than"].as_u64() {
        if delete.get("tags").is_some() {
            rules.push(json!({"keep": {"tags": {"glob": prefixes}, "last": count, "all_tags": true}}));
        }
        delete["except_last"] = json!(count);
    }
    if let Some(number) = rule["pushed_older_than_days"].as_f64() {
        delete["older_than"] = json!(limit(days(number)));
    }
    rules.push(json!({"delete": delete}));
    rules
}

fn validation(case: &Case) -> Option<Answer> {
    let policy = case.at("/policy");
    let valid = case.at("/expect/valid").clone();
    let got = match &*case.id {
        "ecr-validate-any-not-last" => return None,
        // What tells our rules apart is their names.
        "ecr-validate-dup-priority" => is_valid(
            policy
                .as_array()?
                .iter()
                .flat_map(|rule| {
                    let mut rules = rules(rule);
                    rules.iter_mut().for_each(|named| named["name"] = json!(format!("priority-{}", rule["priority"])));
                    rules
                })
                .collect(),
        ),
        "ecr-validate-tagged-without-filter" => is_valid(vec![json!({"delete": {"tags": {}, "except_last": 5}})]),
        "ecr-validate-untagged-with-filter" => {
            is_valid(vec![json!({"delete": {"untagged": true, "tags": {"glob": "a*"}, "except_last": 5}})])
        }
        "ecr-validate-unit-with-count" => is_valid(vec![json!({"delete": {"media_type": "**", "except_last": "5d"}})]),
        "ecr-validate-wildcards-4" | "ecr-validate-wildcards-6" => {
            is_valid(vec![json!({"delete": {"tags": {"glob": policy["tag_pattern_all"]}, "except_last": 5}})])
        }
        "ecr-validate-pulled-with-expire" => is_valid(vec![json!({"delete": {"media_type": "**", "pulled_older_than": "90d"}})]),
        _ => is_valid(rules(policy)),
    };
    Answer::of(got, valid)
}

/// An index of two platforms, which are older than everything, and 23 others.
fn several_platforms(case: &Case) -> Option<Answer> {
    let mut images: Vec<Image> =
        (0..23_i64).map(|number| Image::tagged(&format!("build-{number}"), Some(SignedDuration::from_hours(24 * (40 - number))))).collect();
    images.extend(["amd64", "arm64"].map(|platform| Image::new(platform, Some(days(60.0)))));
    images.push(Image::tagged("all", Some(days(1.5))).index(vec!["amd64".to_owned(), "arm64".to_owned()]));
    let rules = case.at("/policy/rules").as_array()?.iter().flat_map(rules).collect();
    Answer::of(Drawn::new(images, rules).decide().images.len(), case.at("/expect/delete_count").clone())
}

/// Their versions are annotations here; a tag can be on one image alone.
fn keep_wins(case: &Case) -> Option<Answer> {
    let mut images = case.images("/images");
    for (image, written) in images.iter_mut().zip(case.at("/images").as_array()?) {
        image.annotations = vec![("version".to_owned(), written["version"].as_str()?.to_owned())];
        image.tags = image.tags.iter().map(|tag| format!("{tag}-{}", image.id)).collect();
    }
    let mut rules = Vec::new();
    for delete in case.at("/policy/delete").as_array()? {
        let prefix = format!("{}*", delete["tag_prefix"].as_str()?);
        rules.push(json!({"delete": {"tags": {"glob": prefix}, "older_than": limit(days(delete["older_than_days"].as_f64()?))}}));
    }
    for keep in case.at("/policy/keep").as_array()? {
        rules.push(json!({"keep": {"annotation": format!("version={}*", keep["version_prefix"].as_str()?)}}));
    }
    Answer::deleted(case, Drawn::new(images, rules).decide().image_names())
}
