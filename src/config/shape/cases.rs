//! The tables of a file of policy tests.

use super::Presence::{Default, Optional, Required};
use super::{Format, Key, Kind, Shape};

static TITLE: Format = Format { name: "text", pattern: None };
static TIME: Format = Format { name: "time", pattern: Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+Z$") };
static EXPECTATION: Format = Format { name: "expectation", pattern: Some("^(keep|delete|untag|lock|unlock)\\s+\\S.*$") };

/// A file of policy tests.
pub(in crate::config) static TESTS: Shape = Shape {
    name: "tests",
    doc: "A file of policy tests, read by `retaind test` and never as a policy. The ones beside the policies are found by themselves.",
    keys: &[
        Key { name: "version", kind: Kind::Version, presence: Required, doc: "The version of the language.", example: "1" },
        Key { name: "tests", kind: Kind::Objects(&TEST), presence: Required, doc: "The tests of this file.", example: "[…]" },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static TEST: Shape = Shape {
    name: "test",
    doc: "A registry drawn in a few lines, and what one policy must decide about it while the keep and lock rules of all are in force.",
    keys: &[
        Key { name: "name", kind: Kind::Text(&TITLE), presence: Required, doc: "What it shows.", example: "demo tags stay" },
        Key {
            name: "policy",
            kind: Kind::Text(&TITLE),
            presence: Optional,
            doc: "The policy that acts; may be left out when there is exactly one.",
            example: "ci",
        },
        Key {
            name: "now",
            kind: Kind::Text(&TIME),
            presence: Default("2026-01-01T00:00:00Z"),
            doc: "The time of the decision; drawn ages count back from it.",
            example: "2026-06-01T00:00:00Z",
        },
        Key {
            name: "registry",
            kind: Kind::Lines,
            presence: Required,
            doc: "The registry, drawn line by line as in docs/emulator.md; what is drawn untagged has been so since its push.",
            example: "|",
        },
        Key {
            name: "expect",
            kind: Kind::Texts(&EXPECTATION),
            presence: Required,
            doc: "What is expected of which images: `VERDICT REPOSITORY:TAG`, or `@NAME` of the drawing instead of the tag, several with commas, and `by RULE` when that rule must be among the reasons. Verdicts are `keep`, `delete`, `untag` (the tag goes, its image stays), `lock` and `unlock`.",
            example: "[\"delete app:pr-1, app:pr-2 by pull-requests\", \"keep app@base\"]",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};
