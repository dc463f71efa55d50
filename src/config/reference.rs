//! The tables as a Markdown page: every key of both kinds of file.

use super::shape::{Key, Kind, POLICIES, Presence, SETTINGS, Shape, TESTS, list_or};

const INTRODUCTION: &str = "\
# Configuration reference

<!-- Written by the program from its own tables; run the tests with UPDATE_EXPECT=1 to write it anew. -->

Three kinds of file: `retaind.yaml`, the settings; policy files; and tests of policies. All are YAML 1.2, read strictly: unknown keys, keys written twice
and values of the wrong kind are errors, and all of them are reported at once (`retaind check`).

- **Text** is text: `1.10`, `no`, `0123` and `null` are not, unless they are in quotes. A text that begins with `*`, `@`, `!` or `%` needs
  quotes, too.
- **An age** is a number and a unit, `30d`, `12h`, `1w2d`, or ISO 8601, `P30D`. A month has no fixed length: write days.
- **A size** is a whole number and a unit: `500MB` (kB, MB, GB, TB: powers of 1000), `1GiB` (KiB, MiB, GiB, TiB: powers of 1024).
- **A list of texts** may be written as one text when there is only one: `semver: \">=1.0.0\"`.
- **Globs** match the whole name: `*` within a segment, `**` across `/`, `?` one character, `[a-z]` one of, `{a,b}` either. Regular
  expressions match the whole tag as well; write them in single quotes.
";

const RULES: &str = "
## How rules are read

- **What a rule is about**: `tags` (ordinary tags; `sha256-….sig` and the like live and die with their subject), `untagged`, `orphaned`, or, with
  filters alone, every ordinary tag and every untagged image. What describes something (a signature, an SBOM) is never an image: while its subject
  is there it goes with that, and afterwards only a rule on `orphaned` deletes it. A `keep` on `untagged`, or with filters alone, keeps it as well.
  Filters and conditions of one `delete` are ANDed, conditions of one `keep` are ORed, rules are ORed, and keep wins.
- **Unknown means keep.** Whether a manifest fits a filter is sometimes not to be said: the registry tells no media type, no size, no platform,
  never a variant; an index runs on several platforms of which only some are named, or one of its children is missing or an index itself.
  A `delete` then leaves the item alone, a `keep` keeps it, whatever its conditions; both say so in the reasons. What a `keep` keeps for that
  reason uses no slot of any count.
- **Counts** (`last`, `except_last`, `daily` …) are over everything that the rule chooses in the repository, before any age is looked at. Images
  are counted, not names: an image counts once, by its newest tag that the rule chooses. What is locked, of unknown time or kept by a rule
  without conditions uses no slot, and rules do not influence each other's counts otherwise.
- **Periods**: the newest image of each of the last N days, weeks, months or years that have an image at all, on the calendar of the policy's
  `time_zone`. An image lies in the period of its newest tag that the rule chooses. `per` and `order_by` belong to `last` alone.
- **Ages**: `older_than` is strictly older, `newer_than` in a `delete` strictly newer; at the very limit an image stays. A tag's age runs from the
  newer of its own and its manifest's update. What has no tag has been so since retaind first saw it without one; an orphan with a companion
  tag is as old as its newest push.
";

/// The page `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    chapter(&mut page, "Settings: `retaind.yaml`", &SETTINGS);
    chapter(&mut page, "Policies: `policies/*.yaml`", &POLICIES);
    page.push_str(RULES);
    chapter(&mut page, "Policy tests: `policies/*.test.yaml`", &TESTS);
    page
}

fn chapter(page: &mut String, title: &str, root: &'static Shape) {
    page.push_str(&format!("\n## {title}\n"));
    for (index, shape) in root.tree().into_iter().enumerate() {
        if index != 0 {
            page.push_str(&format!("\n### `{}`\n", shape.name));
        }
        section(page, shape);
    }
}

fn section(page: &mut String, shape: &Shape) {
    page.push_str(&format!("\n{}", shape.doc));
    if !shape.one_of.is_empty() {
        page.push_str(&format!(" Exactly one of {} is written.", list_or(shape.one_of.iter().copied())));
    }
    if !shape.at_most_one.is_empty() {
        page.push_str(&format!(" At most one of {} is written.", list_or(shape.at_most_one.iter().copied())));
    }
    for names in shape.any_of {
        page.push_str(&format!(" At least one of {} is written.", list_or(names.iter().copied())));
    }
    for (key, needed) in shape.needs {
        page.push_str(&format!(" `{key}` goes with {}.", list_or(needed.iter().copied())));
    }
    page.push_str("\n\n| key | value | if left out | meaning | example |\n|---|---|---|---|---|\n");
    for key in shape.keys {
        page.push_str(&row(shape, key));
    }
}

fn row(shape: &Shape, key: &Key) -> String {
    let absent = match key.presence {
        Presence::Required => "error".to_owned(),
        Presence::Inherited => "`defaults`, or an error".to_owned(),
        Presence::Default(default) => format!("`{default}`"),
        Presence::Optional if shape.one_of.contains(&key.name) || shape.any_of.iter().any(|names| names.contains(&key.name)) => {
            "see above".to_owned()
        }
        Presence::Optional => "–".to_owned(),
    };
    let cells = [format!("`{}`", key.name), value(&key.kind), absent, key.doc.to_owned(), format!("`{}: {}`", key.name, key.example)];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn value(kind: &Kind) -> String {
    let link = |shape: &Shape| format!("[{}](#{})", shape.name, shape.name);
    match kind {
        Kind::Version => "`1`".to_owned(),
        Kind::Text(format) => format.name.to_owned(),
        Kind::Lines => "text of several lines".to_owned(),
        Kind::Age => "age".to_owned(),
        Kind::Size => "size".to_owned(),
        Kind::Percent => "`1%` to `100%`".to_owned(),
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Only(value) => format!("`{value}`"),
        Kind::Integer { minimum, maximum } => format!("{minimum} to {maximum}"),
        Kind::Choice(words) => {
            let each =
                |(word, meaning): &(&str, &str)| if meaning.is_empty() { format!("`{word}`") } else { format!("`{word}`: {meaning}") };
            words.iter().map(each).collect::<Vec<_>>().join("; ")
        }
        Kind::Texts(format) => format!("list of {}s", format.name).replace("ys", "ies"),
        Kind::Objects(shape) => format!("list of {}", link(shape)),
        Kind::TextOrObjects(format, shape) => format!("{}, or list of {}", format.name, link(shape)),
        Kind::Object(shape) => link(shape),
        Kind::Variants(variants) => variants.shapes.iter().map(|shape| link(shape)).collect::<Vec<_>>().join(", "),
    }
}
