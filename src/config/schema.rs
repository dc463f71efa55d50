//! The tables as JSON Schema (draft 7), for editors: completion, descriptions, and most of the checks while typing.

use serde_json::{Map, Value, json};

use super::shape::{Format, Key, Kind, POLICIES, Presence, SETTINGS, Shape, TESTS, VERSION};

/// Ages as editors check them; the program is stricter (no months, no years, at most a hundred years).
const AGE_PATTERN: &str = "^([0-9]+[a-z]+)+$|^[Pp][0-9A-Za-z]+$";

/// Sizes as editors check them.
const SIZE_PATTERN: &str = "^[0-9]+(B|[kKMGT]B|[KMGT]iB)$";

/// The schema of a policy file.
pub fn policies_schema() -> Value {
    let mut schema = schema(&POLICIES);
    // What each policy must say, unless the file's defaults say it for all.
    let policies = POLICIES.key("policies").map(|key| key.kind.shapes()).unwrap_or_default();
    let keys = policies.iter().flat_map(|policy| policy.keys).filter(|key| key.presence == Presence::Inherited);
    let said: Vec<Value> = keys
        .map(|Key { name, .. }| {
            json!({ "anyOf": [
                { "properties": { "policies": { "items": { "required": [name] } } } },
                { "properties": { "defaults": { "required": [name] } }, "required": ["defaults"] },
            ] })
        })
        .collect();
    if !said.is_empty() {
        schema["allOf"] = json!(said);
    }
    schema
}

/// The schema of `retaind.yaml`.
pub fn settings_schema() -> Value {
    schema(&SETTINGS)
}

/// The schema of a file of policy tests.
pub fn tests_schema() -> Value {
    schema(&TESTS)
}

fn schema(root: &'static Shape) -> Value {
    let definitions: Map<String, Value> = root.tree().into_iter().skip(1).map(|shape| (shape.name.to_owned(), object(shape))).collect();
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".to_owned(), json!(format!("retaind {}", root.name)));
    if let Value::Object(fields) = object(root) {
        schema.extend(fields);
    }
    schema.insert("definitions".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

fn object(shape: &Shape) -> Value {
    let names = |presence: fn(&Presence) -> bool| -> Vec<&str> {
        shape.keys.iter().filter(|key| presence(&key.presence)).map(|key| key.name).collect()
    };
    let properties: Map<String, Value> = shape.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut object = json!({
        "type": "object", "description": shape.doc, "additionalProperties": false, "properties": properties,
    });
    let required = names(|presence| *presence == Presence::Required);
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    let each = |names: &[&str]| names.iter().map(|name| json!({ "required": [name] })).collect::<Vec<_>>();
    if !shape.one_of.is_empty() {
        object["oneOf"] = json!(each(shape.one_of));
    }
    match shape.any_of {
        [] => {}
        [names] => object["anyOf"] = json!(each(names)),
        several => object["allOf"] = several.iter().map(|names| json!({ "anyOf": each(names) })).collect(),
    }
    let at_most_one = shape.at_most_one;
    let pairs = at_most_one.iter().enumerate().flat_map(|(place, one)| at_most_one[place + 1..].iter().map(move |other| [one, other]));
    let pairs: Vec<Value> = pairs.map(|pair| json!({ "required": pair })).collect();
    if !pairs.is_empty() {
        object["not"] = json!({ "anyOf": pairs });
    }
    if !shape.needs.is_empty() {
        let needs = shape.needs.iter().map(|(key, needed)| ((*key).to_owned(), json!({ "anyOf": each(needed) })));
        object["dependencies"] = Value::Object(needs.collect());
    }
    object
}

fn property(key: &Key) -> Value {
    let mut property = match &key.kind {
        Kind::Version => json!({ "const": VERSION }),
        Kind::Text(format) => text(format),
        Kind::Lines => json!({ "type": "string" }),
        Kind::Age => json!({ "type": "string", "pattern": AGE_PATTERN }),
        Kind::Size => json!({ "type": "string", "pattern": SIZE_PATTERN }),
        Kind::Percent => json!({ "type": "string", "pattern": "^(100|[1-9][0-9]?)%$" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Only(value) => json!({ "const": value }),
        Kind::Integer { minimum, maximum } => json!({ "type": "integer", "minimum": minimum, "maximum": maximum }),
        Kind::Choice(words) => json!({ "enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>() }),
        Kind::Texts(format) => json!({ "anyOf": [text(format), { "type": "array", "minItems": 1, "items": text(format) }] }),
        Kind::Objects(shape) => json!({ "type": "array", "minItems": 1, "items": reference(shape) }),
        Kind::TextOrObjects(format, shape) => {
            json!({ "anyOf": [text(format), { "type": "array", "minItems": 1, "items": reference(shape) }] })
        }
        // Beside `$ref`, draft 7 ignores every other keyword; `allOf` lets the description stand.
        Kind::Object(shape) => json!({ "allOf": [reference(shape)] }),
        Kind::Variants(variants) => json!({ "oneOf": variants.shapes.iter().map(|shape| reference(shape)).collect::<Vec<_>>() }),
    };
    property["description"] = json!(description(key));
    if let (Presence::Default(default), false) = (key.presence, matches!(key.kind, Kind::Variants(_))) {
        let number = default.parse::<u64>().map(|number| json!(number));
        let boolean = default.parse::<bool>().map(|boolean| json!(boolean));
        property["default"] = number.or(boolean).unwrap_or_else(|_| json!(default));
    }
    property
}

fn description(key: &Key) -> String {
    let words = if let Kind::Choice(words) = &key.kind { *words } else { &[] };
    let meanings: Vec<String> =
        words.iter().filter(|(_, meaning)| !meaning.is_empty()).map(|(word, meaning)| format!("{word}: {meaning}")).collect();
    let meanings = if meanings.is_empty() { String::new() } else { format!(" {}.", meanings.join("; ")) };
    format!("{}{meanings} Example: {}: {}", key.doc, key.name, key.example)
}

fn text(format: &Format) -> Value {
    format.pattern.map_or_else(|| json!({ "type": "string" }), |pattern| json!({ "type": "string", "pattern": pattern }))
}

fn reference(shape: &Shape) -> Value {
    json!({ "$ref": format!("#/definitions/{}", shape.name) })
}
