//! Holds a tree against the tables of `shape`: unknown, missing and repeated keys, wrong kinds, numbers out of bounds. Everything is
//! reported, nothing stops the rest. Does not know what values mean together.

use std::collections::HashMap;

use super::defaults;
use super::item::{Content, Item, Object};
use super::problem::{Complaint, PROBLEMS_MAX, Place, Problem, Source};
use super::scalar;
use super::shape::{HABITS, Key, Kind, POLICIES, Presence, Shape, Variants, is_planned, list_or};
use super::suggest::{nearest, snake_case};
use super::tree::{self, Node, Value};

/// YAML 1.1 reads this key as "take these keys in, too"; retaind does not.
const MERGE_KEY: &str = "<<";

/// Parses a file and holds it against a shape. None when it is not even an object.
pub(super) fn check(source: &Source, shape: &'static Shape, problems: &mut Vec<Problem>) -> Option<Object> {
    if source.text.trim().is_empty() {
        problems.push(Problem::of_file(&source.name, empty(shape)));
        return None;
    }
    let parsed = tree::parse(&source.text).and_then(|mut root| {
        if std::ptr::eq(shape, &POLICIES) {
            defaults::apply(&mut root)?;
        }
        Ok(root)
    });
    let root = match parsed {
        Ok(root) => root,
        Err((place, complaint)) => {
            problems.push(source.problem(place, "", complaint));
            return None;
        }
    };
    if matches!(root.value, Value::Null) {
        problems.push(Problem::of_file(&source.name, empty(shape)));
        return None;
    }
    let mut checker = Checker { source, root: shape, problems };
    match checker.object(shape, &root, String::new(), root.place).content {
        Content::Object(object) => Some(object),
        Content::Bad
        | Content::Text(_)
        | Content::Age(_)
        | Content::Size(_)
        | Content::Integer(_)
        | Content::Bool(_)
        | Content::Word(_)
        | Content::List(_) => None,
    }
}

fn empty(shape: &Shape) -> Complaint {
    let keys = list_or(shape.keys.iter().filter(|key| key.presence == Presence::Required).map(|key| key.name));
    Complaint::new("the file is empty")
        .hint(format!("an empty file is never read as \"nothing to do\"; it needs {keys}").replace(" or ", " and "))
}

struct Checker<'run> {
    source: &'run Source,
    /// The whole language of this file, to say where a misplaced key belongs.
    root: &'static Shape,
    problems: &'run mut Vec<Problem>,
}

impl Checker<'_> {
    fn report(&mut self, place: Place, path: &str, complaint: Complaint) {
        if self.problems.len() <= PROBLEMS_MAX {
            self.source.report(place, path, complaint, self.problems);
        }
    }

    /// `anchor` is where the key of this value is written: the place for what is missing in it.
    fn value(&mut self, key: &'static Key, node: &Node, path: String, anchor: Place) -> Item {
        match &key.kind {
            Kind::Object(shape) => self.object(shape, node, path, anchor),
            Kind::Variants(variants) => self.variant(variants, node, path, anchor),
            Kind::Objects(shape) => self.list(key, node, path, |checker, node, path| checker.object(shape, node, path, node.place)),
            Kind::TextOrObjects(_, shape) if matches!(node.value, Value::Sequence(_)) => {
                self.list(key, node, path, |checker, node, path| checker.object(shape, node, path, node.place))
            }
            Kind::Texts(_) => match node.value {
                Value::Sequence(_) => self.list(key, node, path, |checker, node, path| checker.scalar(key, node, path)),
                Value::Null | Value::Mapping(_) => self.wrong(key, node, path),
                Value::Bool(_) | Value::Integer(_) | Value::Float | Value::Text(_) => {
                    let item = self.scalar(key, node, path.clone());
                    Item { place: node.place, path, content: Content::List(vec![item]) }
                }
            },
            Kind::Version
            | Kind::Text(_)
            | Kind::Lines
            | Kind::Age
            | Kind::Size
            | Kind::Percent
            | Kind::Bool
            | Kind::Only(_)
            | Kind::Integer { .. }
            | Kind::TextOrObjects(_, _)
            | Kind::Choice(_) => self.scalar(key, node, path),
        }
    }

    fn scalar(&mut self, key: &'static Key, node: &Node, path: String) -> Item {
        let content = scalar::read(key, node).unwrap_or_else(|complaint| {
            self.report(node.place, &path, complaint);
            Content::Bad
        });
        Item { place: node.place, path, content }
    }

    fn wrong(&mut self, key: &Key, node: &Node, path: String) -> Item {
        self.report(node.place, &path, scalar::wrong_kind(key, node));
        Item { place: node.place, path, content: Content::Bad }
    }

    fn list(&mut self, key: &'static Key, node: &Node, path: String, mut each: impl FnMut(&mut Self, &Node, String) -> Item) -> Item {
        let Value::Sequence(nodes) = &node.value else { return self.wrong(key, node, path) };
        if nodes.is_empty() {
            let hint = match key.presence {
                Presence::Required if matches!(key.kind, Kind::Objects(_)) => "write at least one, beginning with `- name: …`".to_owned(),
                Presence::Required | Presence::Inherited => format!("write at least one, such as `{}: {}`", key.name, key.example),
                Presence::Optional | Presence::Default(_) => "write at least one, or leave the key out".to_owned(),
            };
            self.report(node.place, &path, Complaint::new(format!("`{}` is an empty list", key.name)).hint(hint));
            return Item { place: node.place, path, content: Content::Bad };
        }
        let items = nodes.iter().enumerate().map(|(index, node)| each(self, node, format!("{path}[{index}]"))).collect();
        Item { place: node.place, path, content: Content::List(items) }
    }

    /// Chooses the shape by the key `kind`.
    fn variant(&mut self, variants: &'static Variants, node: &Node, path: String, anchor: Place) -> Item {
        let names = || list_or(variants.shapes.iter().map(|shape| shape.name));
        let bad = |path| Item { place: node.place, path, content: Content::Bad };
        let Value::Mapping(entries) = &node.value else {
            let hint = format!("write `{}: {{ kind: … }}` with {}", variants.name, names());
            let found = scalar::found(node);
            self.report(node.place, &path, Complaint::new(format!("`{}` needs keys and values, found {found}", variants.name)).hint(hint));
            return bad(path);
        };
        let Some((_, kind)) = entries.iter().find(|(key, _)| key_text(key) == "kind") else {
            let hint = format!("write {}", names());
            self.report(anchor, &path, Complaint::new(format!("`{}` has no `kind`", variants.name)).hint(hint));
            return bad(path);
        };
        let word = if let Value::Text(word) = &kind.value { word.as_str() } else { "" };
        if let Some(shape) = variants.shapes.iter().find(|shape| shape.name == word) {
            return self.object(shape, node, path, anchor);
        }
        let kind_path = format!("{path}.kind");
        let complaint = if is_planned(variants.name, word) {
            Complaint::new(format!("`kind: {word}` is not supported yet")).hint(format!("write {}", names()))
        } else {
            let near = nearest(word, variants.shapes.iter().map(|shape| shape.name));
            let hint = near.map_or_else(|| format!("write {}", names()), |near| format!("did you mean `{near}`?"));
            Complaint::new(format!("{:?} is no kind of authentication", &*kind.source)).hint(hint)
        };
        self.report(kind.place, &kind_path, complaint);
        bad(path)
    }

    fn object(&mut self, shape: &'static Shape, node: &Node, path: String, anchor: Place) -> Item {
        let Value::Mapping(entries) = &node.value else {
            let message = format!("{} needs keys and values, found {}", self.called(shape), scalar::found(node));
            // An example says more than nineteen keys.
            let example = self.root.tree().iter().find_map(|other| other.key(shape.name)).map(|key| key.example);
            let hint = match example.filter(|example| example.starts_with('{')) {
                Some(example) => format!("write it such as `{}: {example}`", shape.name),
                None => format!("its keys are {}", list_or(shape.keys.iter().map(|key| key.name))).replace(" or ", " and "),
            };
            self.report(node.place, &path, Complaint::new(message).hint(hint));
            return Item { place: node.place, path, content: Content::Bad };
        };
        let mut fields: Vec<(&'static str, Item)> = Vec::new();
        // Keys that someone meant to write: what is missing because of a typing error is not reported as missing, too.
        let mut meant: Vec<&'static str> = Vec::new();
        let mut first_places: HashMap<&str, Place> = HashMap::new();
        for (key_node, value) in entries {
            if matches!(key_node.value, Value::Sequence(_) | Value::Mapping(_)) {
                self.report(key_node.place, &path, Complaint::new("a key must be a text").hint("begin the line with a key, then a colon"));
                continue;
            }
            let name = key_text(key_node);
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            if let Some(first) = first_places.get(name) {
                let message = format!("the key `{name}` is written twice");
                let hint = format!("it is also on line {}; keep one of them", first.line);
                self.report(key_node.place, &path, Complaint::new(message).hint(hint));
                continue;
            }
            first_places.insert(name, key_node.place);
            if let Some(key) = shape.key(name) {
                fields.push((key.name, self.value(key, value, path, key_node.place)));
            } else {
                let (complaint, near) = self.unknown(shape, name);
                meant.extend(near);
                self.report(key_node.place, &path, complaint);
            }
        }
        if first_places.contains_key(MERGE_KEY) {
            // What is missing was to come from there.
            meant.extend(shape.keys.iter().map(|key| key.name));
        }
        self.combinations(shape, &fields, &meant, &path, anchor);
        Item { place: anchor, path, content: Content::Object(Object { shape: shape.name, fields }) }
    }

    /// What messages call an object: the language of the file is nothing that is written anywhere.
    fn called(&self, shape: &'static Shape) -> String {
        if std::ptr::eq(shape, self.root) { "the file".to_owned() } else { format!("`{}`", shape.name) }
    }

    /// What to say about a key that the shape does not have, and which of its keys was probably meant.
    fn unknown(&self, shape: &'static Shape, name: &str) -> (Complaint, Option<&'static str>) {
        if is_planned(shape.name, name) {
            let complaint = Complaint::new(format!("`{name}` is not supported yet in `{}`", shape.name));
            return (complaint.hint("leave it out: rules are never applied by half"), None);
        }
        let complaint = Complaint::new(format!("{} has no key `{name}`", self.called(shape)));
        let snake = snake_case(name);
        let keys = || shape.keys.iter().map(|key| key.name);
        if let Some((_, hint)) = HABITS.iter().find(|(habit, _)| *habit == name || *habit == snake) {
            // `endpoint` for `url`, and so on: the hint names the key, which is then not missing.
            let meant = keys().find(|key| hint.contains(&format!("`{key}`")) || hint.contains(&format!("`{key}:")));
            return (complaint.hint(*hint), meant);
        }
        if let Some(key) = nearest(name, keys()) {
            return (complaint.hint(format!("did you mean `{key}`?")), Some(key));
        }
        let homes: Vec<&str> = self.root.tree().iter().filter(|other| other.key(&snake).is_some()).map(|other| other.name).collect();
        if !homes.is_empty() {
            return (complaint.hint(format!("`{snake}` is a key of {}", list_or(homes).replace(" or ", " and "))), None);
        }
        (complaint.hint(format!("its keys are {}", list_or(keys()).replace(" or ", " and "))), None)
    }

    /// Keys that are missing, too many, or without the one that gives them a meaning.
    fn combinations(&mut self, shape: &'static Shape, fields: &[(&str, Item)], meant: &[&str], path: &str, anchor: Place) {
        let written = |name: &str| fields.iter().any(|(field, _)| *field == name);
        let there = |name: &str| written(name) || meant.contains(&name);
        let what = self.called(shape);
        for key in shape.keys {
            if matches!(key.presence, Presence::Required | Presence::Inherited) && !there(key.name) {
                let message = format!("{what} has no `{}`", key.name);
                let meaning = lower_first(key.doc.trim_end_matches('.'));
                let hint = if matches!(key.kind, Kind::Objects(_)) {
                    format!("write `{}:` and a list, each beginning with `- name: …`", key.name)
                } else {
                    format!("write `{}: {}` ({meaning})", key.name, key.example)
                };
                self.report(anchor, path, Complaint::new(message).hint(hint));
            }
        }
        let count = shape.one_of.iter().filter(|name| there(name)).count();
        if !shape.one_of.is_empty() && count == 0 {
            self.report(anchor, path, missing_choice(shape, &what, "one of", shape.one_of));
        }
        for (names, how_many) in [(shape.one_of, "exactly one"), (shape.at_most_one, "at most one")] {
            for second in names.iter().filter(|name| written(name)).skip(1) {
                let first = names.iter().find(|name| written(name)).copied().unwrap_or_default();
                let item = fields.iter().find(|(field, _)| field == second).map(|(_, item)| item);
                let list = list_or(names.iter().copied());
                let message = format!("`{first}` and `{second}` do not go together: {what} has {how_many} of {list}");
                let hint = if shape.name == "rule" {
                    "write a rule for each"
                } else {
                    "keep one of them; rules are ORed, so write a second rule for the other"
                };
                let (place, path) = item.map_or((anchor, path), |item| (item.place, &item.path));
                self.report(place, path, Complaint::new(message).hint(hint));
            }
        }
        for names in shape.any_of.iter().filter(|names| !names.iter().any(|name| there(name))) {
            self.report(anchor, path, missing_choice(shape, &what, "at least one of", names));
        }
        for (key, needed) in shape.needs {
            let Some((_, item)) = fields.iter().find(|(field, _)| field == key) else { continue };
            if !needed.iter().any(|name| there(name)) {
                let message = format!("`{key}` has no meaning without {}", list_or(needed.iter().copied()));
                let hint = format!("write {} beside it, or leave it out", list_or(needed.iter().copied()));
                self.report(item.place, &item.path, Complaint::new(message).hint(hint));
            }
        }
    }
}

fn missing_choice(shape: &Shape, what: &str, how_many: &str, names: &[&str]) -> Complaint {
    let complaint = Complaint::new(format!("{what} needs {how_many} {}", list_or(names.iter().copied())));
    match (shape.name, names) {
        ("delete", ["older_than", ..]) => Complaint::new("`delete` has no condition: it would delete everything that it chooses")
            .hint("write `older_than: 30d` or `except_last: 10`, or both"),
        ("keep" | "delete", _) => {
            complaint.hint("write `tags: { glob: [\"…\"] }`, `tags: { glob: [\"*\"] }` for all tags, or `untagged: true`")
        }
        _ => {
            let example = names.first().and_then(|name| shape.key(name));
            complaint.hint(example.map_or_else(String::new, |key| format!("such as `{}: {}`", key.name, key.example)))
        }
    }
}

/// A key as it is compared. `on` is a key here, although YAML 1.1 took it for a Boolean: keys are always texts.
fn key_text(node: &Node) -> &str {
    if let Value::Text(text) = &node.value { text } else { &node.source }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
