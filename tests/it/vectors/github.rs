//! Two actions for GitHub's packages.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::drawn::{ANY_AGE, Drawn, Image, chosen, days, is_valid, limit, tag_pattern};
use super::read::{Answer, Case, duration, sorted, texts};

pub(super) fn translate(case: &Case) -> Option<Answer> {
    if case.engine != "snok" {
        return versions(case);
    }
    let kind = |prefix: &str| case.id.starts_with(prefix);
    if kind("snok-glob") {
        let pattern = tag_pattern(&json!({"glob": case.at("/glob")}))?;
        let matched = texts(case.at("/inputs")).into_iter().filter(|input| pattern.matches(input));
        return Answer::of(sorted(matched), sorted(texts(case.at("/expect/matched"))));
    }
    if kind("snok-repo") {
        return repositories(case);
    }
    if kind("snok-filter") || kind("snok-tagsel") {
        return filter(case);
    }
    if kind("snok-keepn") {
        return count(case);
    }
    if kind("snok-cutoff") {
        let images = vec![Image::tagged("x", duration(case.at("/age").as_str()?))];
        let older_than = limit(duration(case.at("/older_than").as_str()?)?);
        let gone = Drawn::new(images, vec![json!({"delete": {"tags": {"glob": "*"}, "older_than": older_than}})]).decide();
        return Answer::of(!gone.tags.is_empty(), case.at("/expect/matches").clone());
    }
    if kind("snok-children") {
        return children(case);
    }
    if kind("snok-kept") {
        return walked(case);
    }
    if kind("snok-failclosed") {
        let gap = Some("not everything could be read");
        let images = vec![Image::tagged("x", Some(days(9.0))), Image::new("y", Some(days(9.0)))];
        let rules = vec![json!({"delete": {"media_type": "**", "older_than": ANY_AGE}})];
        let outcome = Drawn { gap, ..Drawn::new(images, rules) }.decide();
        return Answer::of(json!([outcome.images.len(), outcome.incomplete]), json!([0, 1]));
    }
    // Digests that are to be skipped: no rule is about digests.
    None
}

/// A leading `!` takes out. Theirs then mean everything else; ours ask for that to be said.
fn repositories(case: &Case) -> Option<Answer> {
    let filters = texts(case.at("/filters"));
    let exclude: Vec<&str> = filters.iter().filter_map(|filter| filter.strip_prefix('!')).filter(|glob| !glob.is_empty()).collect();
    let include: Vec<&str> = filters.iter().map(String::as_str).filter(|filter| !filter.starts_with('!')).collect();
    if include.is_empty() {
        assert_eq!(chosen(json!({"exclude": exclude}), &texts(case.at("/inputs"))), None, "a policy that includes nothing is read");
    }
    let include = if include.is_empty() { vec!["**"] } else { include };
    let mut repositories = json!({"include": include});
    if !exclude.is_empty() {
        repositories["exclude"] = json!(exclude);
    }
    let selected = chosen(repositories, &texts(case.at("/inputs")))?;
    Answer::of(sorted(selected), sorted(texts(case.at("/expect/selected"))))
}

/// A digest of one image, whose tags are all to be chosen, and none taken out.
fn filter(case: &Case) -> Option<Answer> {
    let image = Image { tags: texts(case.at("/tags")), ..Image::new("x", Some(days(2.0))) };
    let (positive, negative) = (texts(case.at("/positive")), texts(case.at("/negative")));
    let selection = case.at("/tag_selection").as_str().unwrap_or("both");
    let mut rules = Vec::new();
    if selection != "untagged" {
        if positive.is_empty() {
            assert!(!is_valid(vec![json!({"delete": {"tags": {"glob": []}, "older_than": ANY_AGE}})]), "an empty list is a choice");
        }
        let globs = if positive.is_empty() { vec!["*".to_owned()] } else { positive };
        rules.push(json!({"delete": {"tags": {"glob": globs}, "older_than": ANY_AGE}}));
    }
    if selection != "tagged" {
        rules.push(json!({"delete": {"untagged": true, "older_than": ANY_AGE}}));
    }
    if !negative.is_empty() {
        rules.push(json!({"keep": {"tags": {"glob": negative}, "all_tags": true}}));
    }
    let goes = !Drawn::new(vec![image], rules).decide().images.is_empty();
    Answer::of(goes, case.at("/expect/decision") == "select")
}

fn except_last(count: u64) -> Vec<Value> {
    vec![json!({"delete": {"tags": {"glob": "*"}, "except_last": count}})]
}

fn count(case: &Case) -> Option<Answer> {
    let rules = except_last(case.at("/rule/keep_latest").as_u64()?);
    let at = |list: &str, unit: i64| {
        let numbers = case.at(list).as_array().into_iter().flatten().filter_map(Value::as_i64);
        numbers.map(|number| Image::tagged(&number.to_string(), Some(SignedDuration::from_secs(number * unit)))).collect::<Vec<_>>()
    };
    if case.kind == "rule_count" {
        return Answer::of(Drawn::new(at("/images_time", 1), rules).decide().images.len(), case.at("/expect/delete_count").clone());
    }
    let gone = Drawn::new(at("/images_minutes_ago", 60), rules).decide();
    Answer::of(sorted(gone.tag_names()), sorted(texts(case.at("/expect/delete_minutes_ago"))))
}

/// Candidates of which an index that stays needs some. In one of the cases such a child has a tag of its own.
fn children(case: &Case) -> Option<Answer> {
    let age = Some(days(2.0));
    let mut images: Vec<Image> = texts(case.at("/candidates")).into_iter().map(|id| Image::new(id, age)).collect();
    let children = texts(case.at("/children_of_kept_indexes"));
    images.extend(children.iter().filter(|child| !texts(case.at("/candidates")).contains(child)).map(|child| Image::new(child, age)));
    if case.id == "snok-children-tagged-child" {
        images[0].tags = vec!["old".to_owned()];
    }
    if !children.is_empty() {
        images.push(Image::tagged("kept", age).index(children));
    }
    let rules = vec![
        json!({"delete": {"untagged": true, "older_than": ANY_AGE}}),
        json!({"delete": {"tags": {"glob": "old"}, "older_than": ANY_AGE}}),
    ];
    Answer::deleted(case, Drawn::new(images, rules).decide().image_names())
}

/// Indexes of one child each: the children of those that stay are those that stay.
fn walked(case: &Case) -> Option<Answer> {
    let age = Some(days(2.0));
    let tagged = texts(case.at("/tagged"));
    let index = |tag: &String| Image::tagged(tag, age).index(vec![format!("{tag}-child")]);
    let mut images: Vec<Image> = tagged.iter().map(index).collect();
    images.extend(tagged.iter().map(|tag| Image::new(format!("{tag}-child"), age)));
    let delete = texts(case.at("/delete"));
    let mut rules = vec![json!({"delete": {"untagged": true, "older_than": ANY_AGE}})];
    if !delete.is_empty() {
        rules.push(json!({"delete": {"tags": {"glob": delete}, "older_than": ANY_AGE}}));
    }
    let gone = Drawn::new(images, rules).decide().image_names();
    let stays = tagged.into_iter().filter(|tag| !gone.contains(&format!("{tag}-child")));
    Answer::of(sorted(stays), sorted(texts(case.at("/expect/indexes_to_walk"))))
}

/// The other action: versions of a package, of which the newest so many stay, or so many go.
fn versions(case: &Case) -> Option<Answer> {
    let image = |number: i64, name: String| Image::tagged(&name, Some(SignedDuration::from_hours(number)));
    let plain = |count: i64| (0..count).map(|number| image(number, format!("v{number}"))).collect::<Vec<_>>();
    let kept = case.at("/policy/min_keep").as_u64().unwrap_or(1);
    let everything = vec![json!({"delete": {"tags": {"glob": "*"}, "older_than": ANY_AGE}})];
    let at_once = |count: u64| json!({"max_deletes": count, "on_limit": "oldest_first"});
    let gone = match &*case.id {
        "ghdel-min-keep" => Drawn::new(plain(50), except_last(kept)).decide().images.len(),
        "ghdel-min-keep-filtered" => {
            let name = |number| if number % 2 == 0 { format!("v{number}") } else { format!("v{number}-rc") };
            let images = (0..50).map(|number| image(number, name(number))).collect();
            Drawn::new(images, vec![json!({"delete": {"tags": {"glob": "*-rc"}, "except_last": kept}})]).decide().images.len()
        }
        "ghdel-min-keep-untagged" => {
            let mut images = plain(20);
            images.extend((0..30_i64).map(|number| Image::new(format!("u{number}"), Some(SignedDuration::from_hours(number)))));
            Drawn::new(images, vec![json!({"delete": {"untagged": true, "except_last": kept}})]).decide().images.len()
        }
        "ghdel-limit" => {
            Drawn { limits: at_once(case.at("/policy/max_delete").as_u64()?), ..Drawn::new(plain(50), everything) }.decide().approved
        }
        "ghdel-cap" => Drawn { limits: at_once(100), ..Drawn::new(plain(200), everything) }.decide().approved,
        "ghdel-zero" => Drawn { limits: at_once(0), ..Drawn::new(plain(50), everything) }.decide().approved,
        _ => {
            let outcome = Drawn { gap: Some("page 2 answered 500"), ..Drawn::new(plain(50), everything) }.decide();
            return Answer::of(json!([outcome.images.len(), 0 < outcome.incomplete]), json!([0, case.at("/expect/error")]));
        }
    };
    Answer::of(gone, case.at("/expect/delete_count").clone())
}
