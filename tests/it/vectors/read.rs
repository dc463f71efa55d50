//! The file of cases, and what every translator asks of one. Knows no rules.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;
use retaind::model::Locks;
use serde_json::{Value, json};

use super::drawn::{DAY, Image, days};

pub(super) type Cases = Vec<Case>;

/// One case, as it is written.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) engine: String,
    pub(super) kind: String,
    /// What is made of it: `same`, `differs`, `adapt` or `ambiguous`.
    pub(super) adopt: String,
    pub(super) all: Value,
}

/// What we decide, beside what the case says, in the same form.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) got: Value,
    pub(super) wanted: Value,
}

impl Answer {
    #[expect(clippy::unnecessary_wraps, reason = "a translator answers, or says that there are no words for the case")]
    pub(super) fn of(got: impl Into<Value>, wanted: impl Into<Value>) -> Option<Self> {
        Some(Self { got: got.into(), wanted: wanted.into() })
    }

    /// What goes, beside what the case says goes.
    pub(super) fn deleted(case: &Case, gone: BTreeSet<String>) -> Option<Self> {
        Self::of(sorted(gone), case.to_delete())
    }
}

impl Case {
    /// A value of the case; null where there is none.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.all.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// What it says is deleted: by us, if it tells us and others apart.
    pub(super) fn to_delete(&self) -> Value {
        let ours = self.at("/expect/ours_delete");
        sorted(texts(if ours.is_null() { self.at("/expect/delete") } else { ours }))
    }

    pub(super) fn images(&self, list: &str) -> Vec<Image> {
        self.at(list).as_array().into_iter().flatten().map(image).collect()
    }
}

pub(super) fn cases(path: &Path) -> Cases {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let all: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
    let case = |all: Value| {
        let text = |key: &str| all[key].as_str().expect("a text").to_owned();
        Case { id: text("id"), engine: text("engine"), kind: text("kind"), adopt: text("adopt"), all }
    };
    all.into_iter().map(case).collect()
}

/// A list of texts; whatever is no list is empty.
pub(super) fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned)).collect()
}

pub(super) fn sorted(texts: impl IntoIterator<Item = String>) -> Value {
    json!(texts.into_iter().collect::<BTreeSet<String>>())
}

/// `15m`, `1d` and `0m`.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.parse::<i64>().ok()? * seconds))
}

/// An image of a case, whichever words it uses.
pub(super) fn image(all: &Value) -> Image {
    let name = ["id", "name", "tag"].iter().find_map(|key| all[*key].as_str()).expect("a name");
    let mut image = Image::new(name, age(all));
    // A blank in a tag is no tag anywhere; what the case is about does not hang on it.
    let tag = |text: &String| text.replace(' ', "-");
    image.tags = texts(&all["tags"]).iter().map(tag).collect();
    if all.get("tags").is_none() {
        image.tags = vec![tag(&name.to_owned())];
    }
    let locks = |key: &str| all[key].as_bool().unwrap_or(true);
    let locks = Locks { can_delete: locks("can_delete"), can_write: locks("can_write"), ..Locks::OPEN };
    if all.get("tags").is_none() {
        image.tag_locks = locks
    } else {
        image.locks = locks
    }
    image.subject = all["subject"].as_str().map(str::to_owned);
    match all["kind"].as_str() {
        Some("docker-manifest-list") => image.media_type = "application/vnd.docker.distribution.manifest.list.v2+json",
        Some("docker-v2s2") => image.media_type = "application/vnd.docker.distribution.manifest.v2+json",
        Some("index" | "oci-index") => image = image.index(Vec::new()),
        _ => {}
    }
    image.children = texts(&all["children"]);
    image
}

/// How old it is; a day where the case does not say, None where it says that nobody knows.
fn age(all: &Value) -> Option<SignedDuration> {
    if let Some(text) = all["age"].as_str() {
        return duration(text);
    }
    for (key, unit) in [("pushed_days_ago", 1.0), ("pushed_d", 1.0), ("updated_d", 1.0), ("age_d", 1.0), ("pushed_h", 1.0 / 24.0)] {
        if let Some(number) = all.get(key) {
            return number.as_f64().map(|number| days(number * unit));
        }
    }
    Some(DAY)
}

/// As somebody who does not anchor means it.
pub(super) fn unanchored(regex: &str) -> String {
    format!(".*(?:{regex}).*")
}
