//! kube-ecr-cleanup-controller, artifactory-cleanup, NORA, the image cleaner of .NET, and one more action for ACR.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use retaind::model::Locks;
use retaind::policy::{LIFECYCLE_ARTIFACT_TYPE, natural_order, read_version};
use serde_json::{Value, json};

use super::drawn::{ANY_AGE, APP, DAY, Drawn, Image, chosen, days, is_valid, limit, now, tag_pattern};
use super::read::{Answer, Case, image, sorted, texts, unanchored};

pub(super) fn translate(case: &Case) -> Option<Answer> {
    match &*case.engine {
        "kube-ecr-cleanup-controller" => kubernetes(case),
        "artifactory-cleanup" => artifactory(case),
        "nora" => nora(case),
        "dotnet-docker-tools" => dotnet(case),
        "onward-acr-action" => onward(case),
        // What runs in clusters, and since when, is nothing that a policy speaks of.
        "radix-acr-cleanup" => None,
        other => panic!("{}: nobody knows {other}", case.id),
    }
}

fn every_tag() -> Value {
    json!({"delete": {"tags": {"glob": "*"}, "older_than": ANY_AGE}})
}

fn kubernetes(case: &Case) -> Option<Answer> {
    match &*case.kind {
        "in_use" => in_use(case),
        "selector" => {
            let mut rules = vec![every_tag()];
            let patterns: Vec<String> = texts(case.at("/keep_regex_unanchored")).iter().map(|regex| unanchored(regex)).collect();
            if !patterns.is_empty() {
                rules.push(json!({"keep": {"tags": {"regex": patterns}}}));
            }
            let images = texts(case.at("/tags")).iter().map(|tag| Image::tagged(tag, Some(DAY))).collect();
            Answer::of(Drawn::new(images, rules).decide().tags.len(), case.at("/expect/candidates_left").clone())
        }
        "rule_count" => {
            let images = (0..1_000).map(|number| Image::new(format!("u{number}"), Some(DAY))).collect();
            let rules = vec![json!({"delete": {"untagged": true, "older_than": ANY_AGE}})];
            let limits = json!({"max_deletes": 100, "on_limit": "oldest_first"});
            Answer::of(Drawn { limits, ..Drawn::new(images, rules) }.decide().approved, case.at("/expect/delete_count").clone())
        }
        // Lists in one text, and references of pods.
        _ => None,
    }
}

/// What is in use is said by a keep rule. A count of zero is nothing that can be written; where it is beside the point it is left out.
fn in_use(case: &Case) -> Option<Answer> {
    let ranked = case.at("/images").as_array()?;
    let images: Vec<Image> =
        ranked.iter().map(|all| Image { age: Some(days(10.0 - all["pushed"].as_f64().unwrap_or(0.0))), ..image(all) }).collect();
    let count = &case.at("/policy")["keep_latest"];
    let by_count = json!({"delete": {"media_type": "**", "except_last": count}});
    let mut rules = vec![json!({"keep": {"tags": {"glob": "latest"}}})];
    let used = texts(case.at("/in_use_tags"));
    if !used.is_empty() {
        rules.push(json!({"keep": {"tags": {"glob": used}}}));
    }
    if *count == 0 {
        assert!(!is_valid(vec![by_count]), "zero is a count");
        if case.id == "kubeecr-keep0" {
            return Answer::of("refused", "refused");
        }
        rules.push(json!({"delete": {"media_type": "**", "older_than": ANY_AGE}}));
    } else {
        rules.push(by_count);
    }
    Answer::deleted(case, Drawn::new(images, rules).decide().image_names())
}

fn artifactory(case: &Case) -> Option<Answer> {
    let policy = case.at("/policy");
    let mut drawn = Drawn::new(Vec::new(), Vec::new());
    drawn.repositories.clear();
    for (repository, tags) in case.at("/repositories").as_object().into_iter().flatten() {
        let images = texts(tags).iter().map(|tag| Image::tagged(tag, Some(DAY))).collect();
        drawn.repositories.insert(repository.clone(), images);
    }
    for all in case.at("/images").as_array().into_iter().flatten() {
        let name = all["id"].as_str().or(all["tag"].as_str())?;
        let (repository, tag) = name.split_once('/').unwrap_or((all["repo"].as_str().unwrap_or(APP), name));
        let time = [&all["created"], &all["updated"]].into_iter().find(|time| !time.is_null())?;
        let age = match time.as_str() {
            Some(text) => now().duration_since(text.parse::<Timestamp>().ok()?),
            None => days(10.0 - time.as_f64()?),
        };
        let images = drawn.repositories.entry(repository.to_owned()).or_default();
        // Tags of one digest are of one image, whose time is that of its newest.
        let digest = all["digest"].as_str().unwrap_or(tag);
        match images.iter_mut().find(|image| image.id == digest) {
            Some(known) => known.tags.push(tag.to_owned()),
            None => images.push(Image { tags: vec![tag.to_owned()], ..Image::new(digest, Some(age)) }),
        }
    }
    let count = policy.get("keep_latest_by_version").or(policy.get("keep_latest"))?;
    let delete = match policy["group_regex"].as_str() {
        // Their expression is for `1.2.3` with or without `v`, which is what versions are.
        Some("(^v?\\d+\\.\\d+\\.\\d+$)") => {
            json!({"tags": {"semver": ">=0.0.0"}, "except_last": count, "per": "major", "order_by": "version"})
        }
        // Images of the same time rank by their names, numbers as numbers.
        Some("^uat-(\\d+\\.\\d+\\.\\d+$)") => {
            json!({"tags": {"regex": "uat-(?<line>\\d+)\\.\\d+\\.\\d+"}, "except_last": count, "per": "line"})
        }
        Some(_) => json!({"tags": {"regex": "uat-(?<line>\\d+)-XXX-(\\d+)-(\\d+)"}, "except_last": count, "per": "line"}),
        None if policy.get("keep_latest_by_version").is_some() => {
            json!({"tags": {"semver": ">=0.0.0"}, "except_last": count, "order_by": "version"})
        }
        None => json!({"tags": {"glob": "*"}, "except_last": count}),
    };
    drawn.policies[0].1 = vec![json!({"delete": delete})];
    let gone = drawn.decide().tags;
    let separator = if case.id == "artifactory-keep1-per-folder" || case.id == "artifactory-keep1-version-beats-time" { "/" } else { ":" };
    let name = |(repository, tag): (String, String)| if repository == APP { tag } else { format!("{repository}{separator}{tag}") };
    Answer::deleted(case, gone.into_iter().map(name).collect())
}

fn nora(case: &Case) -> Option<Answer> {
    match &*case.kind {
        "ordering" => {
            let (left, right) = (case.at("/a").as_str()?, case.at("/b").as_str()?);
            // A tilde is no character of a tag; a pre-release is written with a dash, and is before its version where versions are asked for.
            let order = if left.contains('~') { read_version("1.0.0-rc1").cmp(&read_version("1.0.0")) } else { natural_order(left, right) };
            let sign = match order {
                Ordering::Less => "<",
                Ordering::Equal => "=",
                Ordering::Greater => ">",
            };
            Answer::of(sign, case.at("/expect/order").clone())
        }
        "selector" if case.id.starts_with("nora-glob") => {
            let pattern = tag_pattern(&json!({"glob": case.at("/glob")}))?;
            Answer::of(pattern.matches(case.at("/input").as_str()?), case.at("/expect/matches").clone())
        }
        "selector" => {
            let name = texts(&json!([case.at("/repo")]));
            // Their star crosses slashes.
            let names = |rule: &Value| {
                let glob = rule["repo_glob"].as_str().map(|glob| glob.replace('*', "**"));
                chosen(json!({"include": [glob]}), &name).is_some_and(|chosen| !chosen.is_empty())
            };
            let place = case.at("/rules").as_array()?.iter().position(names);
            let said = place.map_or("none: untouched".to_owned(), |place| format!("rule {}", place + 1));
            Answer::of(said, case.at("/expect/rule").clone())
        }
        _ => {
            let rule = case.at("/rule");
            let mut delete = json!({"tags": {"glob": "*"}});
            if let Some(count) = rule.get("keep_latest") {
                delete["except_last"] = count.clone();
            }
            if let Some(number) = rule["older_than_d"].as_f64() {
                delete["older_than"] = json!(limit(days(number)));
            }
            let mut rules = vec![json!({"delete": delete})];
            let exclude = texts(&rule["exclude"]);
            if !exclude.is_empty() {
                rules.push(json!({"keep": {"tags": {"glob": exclude}}}));
            }
            let gone = Drawn::new(case.images("/versions"), rules).decide().tag_names();
            if case.id == "nora-exclude-slot" {
                // What is ours is said in words: the development build stays.
                return Answer::of(sorted(gone), json!([]));
            }
            Answer::deleted(case, gone)
        }
    }
}

fn dotnet(case: &Case) -> Option<Answer> {
    let policy = case.at("/policy");
    let older_than = limit(days(policy["older_than_d"].as_f64()?));
    let about = match policy["action"].as_str()? {
        "untagged" => json!({"untagged": true, "older_than": older_than}),
        "end-of-life date older than" => {
            json!({"end_of_life": true, "condemned_for": format!("{}s", days(policy["older_than_d"].as_f64()?).as_secs())})
        }
        _ => json!({"media_type": "**", "older_than": older_than}),
    };
    let mut rules = vec![json!({"delete": about})];
    let mut drawn = Drawn { policies: vec![(json!({"include": [policy["repo_glob"]]}), Vec::new())], ..Drawn::default() };
    for (repository, written) in case.at("/repositories").as_object()? {
        let images = match written.as_array() {
            Some(images) => images.iter().map(image).collect(),
            None => vec![image(&json!({"id": repository, "tags": ["latest"], "updated_d": written["updated_d"]}))],
        };
        drawn.repositories.insert(repository.clone(), images);
    }
    for excluded in texts(&policy["exclude"]) {
        // By tag with a keep rule; by digest, which no rule is about, with a lock.
        if let Some((repository, digest)) = excluded.split_once('@') {
            let mut images = drawn.repositories.get_mut(repository)?.iter_mut();
            images.find(|image| image.id == digest)?.locks = Locks { can_delete: false, ..Locks::OPEN };
        } else {
            rules.push(json!({"keep": {"tags": {"glob": excluded.split_once(':')?.1}}}));
        }
    }
    if case.id == "dotnet-eol" {
        let written = case.at("/repositories")["test/repo1"].as_array()?;
        let images = drawn.repositories.get_mut("test/repo1")?;
        for (place, all) in written.iter().enumerate() {
            images[place].tags = images[place].tags.iter().map(|tag| format!("{tag}-{place}")).collect();
            images[place].is_ghost = all["state"] == "GET manifest answers 404";
            if let Some(ago) = all["eol_d_ago"].as_f64() {
                let date = (now() - days(ago)).to_zoned(jiff::tz::TimeZone::UTC).date();
                let lifecycle = Image::new(format!("{}-end", images[place].id), images[place].age);
                let annotations = vec![(retaind::policy::END_OF_LIFE_KEY.to_owned(), date.to_string())];
                let subject = Some(images[place].id.clone());
                // A daily run has seen the end ever since.
                drawn.condemned_ago.insert(images[place].id.clone(), days(ago));
                images.push(Image { artifact_type: Some(LIFECYCLE_ARTIFACT_TYPE), annotations, subject, ..lifecycle });
            }
        }
    }
    drawn.policies[0].1 = rules;
    let gone = drawn.decide().image_names().into_iter().filter(|name| !name.ends_with("-end"));
    if case.id == "dotnet-staging-repos" {
        return Answer::of(
            json!({"images": sorted(gone), "repositories": []}),
            json!({"repositories": case.at("/expect/delete_repositories")}),
        );
    }
    Answer::deleted(case, gone.collect())
}

fn onward(case: &Case) -> Option<Answer> {
    if case.kind == "end_to_end" {
        let rules = vec![
            json!({"delete": {"tags": {"glob": "*"}, "except_last": case.at("/policy/keep_latest")}}),
            json!({"delete": {"untagged": true, "older_than": ANY_AGE}}),
        ];
        return Answer::deleted(case, Drawn::new(case.images("/listing_last_updated_desc"), rules).decide().image_names());
    }
    // The text is written as it stands: what reads as a number is one.
    let input = case.at("/keep_input").as_str()?;
    let count = input.parse::<i64>().map_or(json!(input), |number| json!(number));
    let rules = vec![json!({"delete": {"tags": {"glob": "*"}, "except_last": count}})];
    let names = texts(case.at("/images"));
    let age = |place: i64| SignedDuration::from_hours(24 * place);
    let images = (1..).zip(&names).map(|(place, name)| Image::tagged(name, Some(age(place)))).collect();
    let got = if !is_valid(rules.clone()) {
        "reject"
    } else if Drawn::new(images, rules).decide().tags.is_empty() {
        "delete nothing"
    } else {
        "delete"
    };
    Answer::of(got, case.at("/expect/ours").clone())
}
