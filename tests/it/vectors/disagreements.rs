//! Where other tools disagree with each other, and how we decide: a test for each, which needs no file of cases.
//!
//! How cleaning went wrong elsewhere, and what holds that off, is in `failures`.

use jiff::SignedDuration;
use retaind::model::Locks;
use serde_json::{Value, json};

use super::drawn::{ANY_AGE, Drawn, Image, age, chosen, days, is_valid, limit};

fn by_day(tags: &[&str]) -> Vec<Image> {
    (1_u32..).zip(tags).map(|(age, tag)| Image::tagged(tag, Some(days(f64::from(age))))).collect()
}

fn delete(selection: Value, conditions: Value) -> Value {
    let mut delete = selection;
    for (key, value) in conditions.as_object().into_iter().flatten() {
        delete[key] = value.clone();
    }
    json!({"delete": delete})
}

fn tags(glob: &str) -> Value {
    json!({"tags": {"glob": glob}})
}

#[track_caller]
fn go(drawn: &Drawn, expected: &[&str]) {
    let gone: Vec<String> = drawn.decide().tag_names().into_iter().collect();
    assert_eq!(gone, expected);
}

/// Of the old ones none is spared in place of a young one.
#[test]
fn a_count_is_over_everything_before_any_age() {
    let rule = delete(tags("*"), json!({"except_last": 1, "older_than": limit(days(1.5))}));
    go(&Drawn::new(by_day(&["a", "b", "c"]), vec![rule]), &["b", "c"]);
}

#[test]
fn what_a_rule_does_not_choose_changes_nothing_of_its_count() {
    let rule = delete(tags("v*"), json!({"except_last": 1}));
    go(&Drawn::new(by_day(&["x", "v2", "y", "v1"]), vec![rule]), &["v1"]);
}

#[test]
fn what_is_protected_uses_no_place_in_a_count() {
    let rules = || vec![delete(tags("*"), json!({"except_last": 1})), json!({"keep": tags("kept")})];
    go(&Drawn::new(by_day(&["kept", "b", "c"]), rules()), &["c"]);
    let mut images = by_day(&["a", "b", "c"]);
    images[0].locks = Locks { can_delete: false, ..Locks::OPEN };
    go(&Drawn::new(images, rules()), &["c"]);
}

#[test]
fn keep_wins_whatever_the_order() {
    let mut rules = vec![delete(tags("*"), json!({"older_than": ANY_AGE})), json!({"keep": tags("a")})];
    go(&Drawn::new(by_day(&["a", "b"]), rules.clone()), &["b"]);
    rules.reverse();
    go(&Drawn::new(by_day(&["a", "b"]), rules), &["b"]);
}

#[test]
fn exactly_as_old_as_the_limit_stays() {
    let rule = delete(tags("*"), json!({"older_than": limit(days(1.0))}));
    let images = vec![Image::tagged("a", Some(days(1.0))), Image::tagged("b", Some(days(1.0) + SignedDuration::from_secs(1)))];
    go(&Drawn::new(images, vec![rule]), &["b"]);
}

#[test]
fn an_unknown_time_keeps() {
    let images = vec![Image::tagged("a", None), Image::tagged("b", Some(days(1.0))), Image::tagged("c", Some(days(2.0)))];
    go(&Drawn::new(images.clone(), vec![delete(tags("*"), json!({"older_than": ANY_AGE}))]), &["b", "c"]);
    go(&Drawn::new(images, vec![delete(tags("*"), json!({"except_last": 1}))]), &["c"]);
}

/// The only tag that a rule chooses is among the newest, whatever its time, and keeps the other tags of its image.
#[test]
fn an_unknown_time_keeps_the_other_tags_too() {
    let mut drawn = Drawn::new(
        vec![Image { tags: vec!["a".to_owned(), "b".to_owned()], ..Image::new("image", Some(days(1.0))) }],
        vec![delete(tags("*"), json!({"older_than": ANY_AGE})), json!({"keep": {"tags": {"glob": "a"}, "last": 1, "all_tags": true}})],
    );
    drawn.unknown_tags.push("a".to_owned());
    go(&drawn, &[]);
}

#[test]
fn a_repository_that_no_policy_names_is_untouched() {
    let rules = vec![delete(tags("*"), json!({"older_than": ANY_AGE})), delete(json!({"untagged": true}), json!({"older_than": ANY_AGE}))];
    let mut images = by_day(&["a"]);
    images.push(Image::new("untagged", Some(days(9.0))));
    let mut drawn = Drawn::new(images, rules);
    drawn.policies[0].0 = json!({"include": ["other/**"]});
    assert!(drawn.decide().images.is_empty());
}

/// What one policy keeps stays in the run of every other.
#[test]
fn every_policy_that_names_a_repository_protects_it() {
    let mut drawn = Drawn::new(by_day(&["a", "b"]), vec![delete(tags("*"), json!({"older_than": ANY_AGE}))]);
    drawn.policies.push((json!({"include": ["app"]}), vec![json!({"keep": tags("a")})]));
    go(&drawn, &["b"]);
    drawn.policies.reverse();
    go(&drawn, &["b"]);
}

#[test]
fn one_of_several_tags_is_removed_and_the_image_stays() {
    let images = vec![Image { tags: vec!["pr-1".to_owned(), "1.0".to_owned()], ..Image::new("image", Some(days(1.0))) }];
    let drawn = Drawn::new(images.clone(), vec![delete(tags("pr-*"), json!({"older_than": ANY_AGE}))]);
    go(&drawn, &["pr-1"]);
    assert!(drawn.decide().images.is_empty());
    let both = Drawn::new(images, vec![delete(tags("*"), json!({"older_than": ANY_AGE}))]).decide();
    assert_eq!(both.images.len(), 1);
}

#[test]
fn zero_and_nothing_are_refused() {
    for count in [0, -1] {
        assert!(!is_valid(vec![delete(tags("*"), json!({"except_last": count}))]), "{count}");
        assert!(!is_valid(vec![json!({"keep": {"tags": {"glob": "*"}, "last": count}})]), "{count}");
    }
    assert!(!is_valid(vec![json!({"delete": {"tags": {"glob": []}, "older_than": "1d"}})]));
    assert!(!is_valid(vec![json!({"delete": {"tags": {}, "older_than": "1d"}})]));
    assert!(!is_valid(vec![json!({"delete": tags("*")})]), "without any condition everything would go");
    assert_eq!(chosen(json!({"exclude": ["x"]}), &["app".to_owned()]), None);
    assert_eq!(chosen(json!({"include": []}), &["app".to_owned()]), None);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for text in ["", "d", "xd", "days", "30", "-30d", "1.5d", "1d-48h", "1dd", "0d", "999999d"] {
        assert_eq!(age(&json!(text)), None, "{text:?}");
    }
    for count in [json!("three"), json!(""), json!("3"), json!(1.5), Value::Null] {
        assert!(!is_valid(vec![delete(tags("*"), json!({"except_last": count}))]), "{count}");
    }
}

/// A listing that cannot be read to its end stands for everything that cannot be told: nothing is decided.
#[test]
fn what_cannot_be_told_stops_the_repository() {
    let rule = delete(tags("*"), json!({"older_than": ANY_AGE}));
    let outcome = Drawn { gap: Some("one manifest cannot be read"), ..Drawn::new(by_day(&["a"]), vec![rule]) }.decide();
    assert_eq!((outcome.images.len(), outcome.incomplete), (0, 1));
}

#[test]
fn the_age_floor_holds_for_rules_about_size() {
    let rule = delete(json!({"larger_than": "1B"}), json!({"older_than": ANY_AGE}));
    let mut images = by_day(&["a", "b"]);
    images.iter_mut().for_each(|image| image.size_bytes = 5_000);
    let limits = json!({"min_age": limit(days(1.5))});
    go(&Drawn { limits, ..Drawn::new(images, vec![rule]) }, &["b"]);
}

#[test]
fn a_child_listed_before_its_index_stays() {
    let mut images = vec![Image::new("child", Some(days(1.0)))];
    images.push(Image::tagged("index", Some(days(2.0))).index(vec!["child".to_owned()]));
    let rule = delete(json!({"untagged": true}), json!({"older_than": ANY_AGE}));
    assert!(Drawn::new(images, vec![rule]).decide().images.is_empty());
}
