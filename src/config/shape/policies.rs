//! The tables of a policy file.

use super::Presence::{Default, Inherited, Optional, Required};
use super::{Format, Key, Kind, Shape};

/// The most images that a count may name: more is a typing error, and `u32` has room for it.
pub(super) const IMAGES_MAX: u64 = 1_000_000;
/// The most periods that a count may name: a hundred years of days.
const PERIODS_MAX: u64 = 36_525;
/// The most deletions that a run may be allowed.
pub(super) const DELETES_MAX: u64 = 10_000_000;

static NAME: Format = Format { name: "name", pattern: Some("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$") };
static REGISTRY_GLOB: Format = Format { name: "glob", pattern: None };
pub(super) static REPOSITORY_GLOB: Format = Format { name: "glob", pattern: Some("^[^!\\s:A-Z][^\\s:A-Z]*$") };
static TAG_GLOB: Format = Format { name: "glob", pattern: Some("^[^!\\s:/][^\\s:/]*$") };
static REGEX: Format = Format { name: "regular expression", pattern: None };
static RANGE: Format = Format { name: "version range", pattern: None };
static MEDIA_TYPE: Format = Format { name: "glob", pattern: Some("^[^!\\s][^\\s]*$") };
static PLATFORM: Format = Format { name: "platform", pattern: Some("^[a-z0-9._-]+/[a-z0-9._-]+(/[a-z0-9._-]+)?$") };
static KEY_VALUE: Format = Format { name: "key or key=value", pattern: Some("^[^=\\s][^=]*(=.+)?$") };
static EXCEPTION: Format = Format { name: "pattern", pattern: None };
static GROUP: Format = Format { name: "`major`, `minor` or capture name", pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$") };
static CRON: Format = Format {
    name: "cron expression",
    pattern: Some("^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|\\s*[0-9A-Za-z*/,-]+(\\s+[0-9A-Za-z*/,-]+){4}\\s*)$"),
};
static WINDOW: Format = Format {
    name: "window",
    pattern: Some("^\\s*([A-Za-z]{3}([-,][A-Za-z]{3})*|([A-Za-z]{3}([-,][A-Za-z]{3})*\\s+)?[0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2})\\s*$"),
};
static TIME_ZONE: Format = Format { name: "IANA time zone", pattern: None };

/// A policy file.
pub(in crate::config) static POLICIES: Shape = Shape {
    name: "policies",
    doc: "A file of policies. A folder of such files is read in name order; their order never matters.",
    keys: &[
        Key { name: "version", kind: Kind::Version, presence: Required, doc: "The version of the policy language.", example: "1" },
        Key {
            name: "defaults",
            kind: Kind::Object(&DEFAULTS),
            presence: Optional,
            doc: "What holds for every policy of this file that does not say it itself.",
            example: "{ mode: dry-run, time_zone: Europe/Berlin }",
        },
        Key { name: "policies", kind: Kind::Objects(&POLICY), presence: Required, doc: "The policies of this file.", example: "[…]" },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

const REGISTRIES: Key = Key {
    name: "registries",
    kind: Kind::Texts(&REGISTRY_GLOB),
    presence: Optional,
    doc: "The registries it applies to: names of the settings, or globs on them; may be left out when there is exactly one.",
    example: "[contoso]",
};
const MODE: Key = Key {
    name: "mode",
    kind: Kind::Choice(&[("dry-run", "plan and report"), ("enforce", "plan, report and apply")]),
    presence: Inherited,
    doc: "Whether its plans are applied; there is no default.",
    example: "dry-run",
};
const SCHEDULE: Key = Key {
    name: "schedule",
    kind: Kind::Text(&CRON),
    presence: Optional,
    doc: "When it runs: five cron fields, or a nickname such as `@daily`; left out, it runs only when started by hand.",
    example: "\"0 3 * * *\"",
};
const TIME_ZONE_KEY: Key = Key {
    name: "time_zone",
    kind: Kind::Text(&TIME_ZONE),
    presence: Default("UTC"),
    doc: "The time zone in which the schedule and the windows are read, and in which keep rules count days, weeks, months and years.",
    example: "Europe/Berlin",
};
const BETWEEN: Key = Key {
    name: "between",
    kind: Kind::Text(&WINDOW),
    presence: Optional,
    doc: "Scheduled runs begin only in this window, and begin no further change once it closes; what came outside of it is run once when it opens.",
    example: "22:00-05:00",
};
const NOT_DURING: Key = Key {
    name: "not_during",
    kind: Kind::Texts(&WINDOW),
    presence: Optional,
    doc: "Scheduled runs do not begin in any of these windows, and begin no further change in them; what came there is run once afterwards.",
    example: "[\"Mon-Fri 08:00-18:00\"]",
};
const LIMITS_KEY: Key =
    Key { name: "limits", kind: Kind::Object(&LIMITS), presence: Optional, doc: "Its brakes.", example: "{ max_deletes: 500 }" };

/// What a file says for all its policies.
pub(in crate::config) static DEFAULTS: Shape = Shape {
    name: "defaults",
    doc: "What holds for every policy of the file that does not say it itself. Limits are taken one by one, windows only for policies with a schedule.",
    keys: &[
        REGISTRIES,
        Key { presence: Optional, ..MODE },
        SCHEDULE,
        Key { presence: Optional, ..TIME_ZONE_KEY },
        BETWEEN,
        NOT_DURING,
        LIMITS_KEY,
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static POLICY: Shape = Shape {
    name: "policy",
    doc: "Rules for some repositories, on a schedule. What no rule condemns is kept, and keep wins over delete in every policy.",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Text(&NAME),
            presence: Required,
            doc: "Its name in logs, metrics and reports; unique among all files.",
            example: "ci-images",
        },
        REGISTRIES,
        MODE,
        SCHEDULE,
        TIME_ZONE_KEY,
        BETWEEN,
        NOT_DURING,
        Key {
            name: "repositories",
            kind: Kind::Object(&REPOSITORIES),
            presence: Required,
            doc: "The repositories that it names; nothing matches unless it is written.",
            example: "{ include: [\"team-*/**\"] }",
        },
        Key {
            name: "rules", kind: Kind::Objects(&RULE), presence: Required, doc: "Its rules; their order never matters.", example: "[…]"
        },
        LIMITS_KEY,
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[("between", &["schedule"]), ("not_during", &["schedule"])],
};

static REPOSITORIES: Shape = Shape {
    name: "repositories",
    doc: "Globs on whole repository names: `*` within a segment, `**` across segments, `?`, `[a-z]`, `{a,b}`.",
    keys: &[
        Key { name: "include", kind: Kind::Texts(&REPOSITORY_GLOB), presence: Required, doc: "Any of these.", example: "[\"team-*/**\"]" },
        Key {
            name: "exclude",
            kind: Kind::Texts(&REPOSITORY_GLOB),
            presence: Optional,
            doc: "None of these.",
            example: "[\"team-*/base/**\"]",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static RULE: Shape = Shape {
    name: "rule",
    doc: "One action, written as its key.",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Text(&NAME),
            presence: Required,
            doc: "Its name in reasons and reports; unique within the policy.",
            example: "pull-requests",
        },
        Key {
            name: "keep",
            kind: Kind::Object(&KEEP),
            presence: Optional,
            doc: "Keeps what it chooses; wins over every delete rule.",
            example: "{ tags: { glob: [\"golden-*\"] } }",
        },
        Key {
            name: "delete",
            kind: Kind::Object(&DELETE),
            presence: Optional,
            doc: "Condemns what it chooses.",
            example: "{ tags: { glob: [\"pr-*\"] }, older_than: 14d }",
        },
        Key {
            name: "lock",
            kind: Kind::Object(&LOCK),
            presence: Optional,
            doc: "Closes locks, and protects what it chooses.",
            example: "{ tags: { glob: [\"prod-*\"] }, can_delete: false }",
        },
        Key {
            name: "unlock",
            kind: Kind::Object(&UNLOCK),
            presence: Optional,
            doc: "Opens locks; what it opens can go in the next run at the earliest.",
            example: "{ tags: { glob: [\"old-*\"] }, can_delete: true }",
        },
    ],
    one_of: &["keep", "delete", "lock", "unlock"],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static TAGS: Shape = Shape {
    name: "tags",
    doc: "A choice of tags. Patterns match the whole tag; a catch-all is written as `glob: [\"*\"]`.",
    keys: &[
        Key { name: "glob", kind: Kind::Texts(&TAG_GLOB), presence: Optional, doc: "Any of these globs.", example: "[\"pr-*\"]" },
        Key {
            name: "regex",
            kind: Kind::Texts(&REGEX),
            presence: Optional,
            doc: "Any of these regular expressions, anchored at both ends.",
            example: "['(?<line>\\d+\\.\\d+)-alpine']",
        },
        Key {
            name: "semver",
            kind: Kind::Texts(&RANGE),
            presence: Optional,
            doc: "Any of these version ranges, for tags such as `1.2.3` and `v1.2.3`; a pre-release only by a range that names one.",
            example: "\">=1.0.0\"",
        },
        Key {
            name: "except",
            kind: Kind::Texts(&EXCEPTION),
            presence: Optional,
            doc: "None of these; patterns of the same kind.",
            example: "[\"pr-keep-*\"]",
        },
    ],
    one_of: &["glob", "regex", "semver"],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

const SELECT_TAGS: Key =
    Key { name: "tags", kind: Kind::Object(&TAGS), presence: Optional, doc: "Which tags.", example: "{ glob: [\"pr-*\"] }" };
const SELECT_UNTAGGED: Key = Key {
    name: "untagged",
    kind: Kind::Only(true),
    presence: Optional,
    doc: "Manifests without any tag that describe nothing and that nothing kept needs.",
    example: "true",
};
const SELECT_ORPHANED: Key = Key {
    name: "orphaned",
    kind: Kind::Only(true),
    presence: Optional,
    doc: "Signatures, attestations and other referrers and companions whose subject is not in the repository, as long as they have no ordinary tag and nothing there needs them.",
    example: "true",
};
const FILTER_MEDIA_TYPE: Key = Key {
    name: "media_type",
    kind: Kind::Texts(&MEDIA_TYPE),
    presence: Optional,
    doc: "Filter: the manifest's media type matches any of these globs, in which `*` stops at `/`.",
    example: "application/vnd.oci.image.index.v1+json",
};
const FILTER_PLATFORM: Key = Key {
    name: "platform",
    kind: Kind::Texts(&PLATFORM),
    presence: Optional,
    doc: "Filter: the image runs on any of these, by the attributes the registry lists. An index runs on what its children run on, and fits when all of them do. A variant is never listed, so it is unknown.",
    example: "windows/amd64",
};
const FILTER_LARGER_THAN: Key = Key {
    name: "larger_than",
    kind: Kind::Size,
    presence: Optional,
    doc: "Filter: the image is larger, by the size the registry lists (shared layers counted each time, an index the sum of its children).",
    example: "2GB",
};
const FILTER_ARTIFACT_TYPE: Key = Key {
    name: "artifact_type",
    kind: Kind::Texts(&MEDIA_TYPE),
    presence: Optional,
    doc: "Filter: the artifact type of the manifest, or else the media type of its config, matches any of these globs. Every manifest's document is read for it, once.",
    example: "application/vnd.cncf.helm.config.v1+json",
};
const FILTER_ANNOTATION: Key = Key {
    name: "annotation",
    kind: Kind::Texts(&KEY_VALUE),
    presence: Optional,
    doc: "Filter: the manifest's document has any of these annotations: a key, or `key=glob` on the whole value, in which `*` stops at `/`. Every manifest's document is read for it, once.",
    example: "[org.example.temporary, \"org.example.team=web-*\"]",
};
const FILTER_LABEL: Key = Key {
    name: "label",
    kind: Kind::Texts(&KEY_VALUE),
    presence: Optional,
    doc: "Filter: the image has any of these labels, written like annotations. An index fits when all images below it that have labels do. Every image's config is read for it, once.",
    example: "org.example.temporary",
};
const FILTER_END_OF_LIFE: Key = Key {
    name: "end_of_life",
    kind: Kind::Only(true),
    presence: Optional,
    doc: "Filter: the end of its life has passed, by the annotation `vnd.microsoft.artifact.lifecycle.end-of-life.date` on the manifest or on referrers of the type `application/vnd.microsoft.artifact.lifecycle`; of several dates the latest, of a date its whole day in UTC. Every manifest's document is read for it, once.",
    example: "true",
};
/// Everything that a keep or delete rule can choose by: what it is about, then the filters.
macro_rules! keys_to_select_by {
    ($($key:expr),* $(,)?) => {
        &[
            SELECT_TAGS,
            SELECT_UNTAGGED,
            SELECT_ORPHANED,
            FILTER_MEDIA_TYPE,
            FILTER_PLATFORM,
            FILTER_LARGER_THAN,
            FILTER_ARTIFACT_TYPE,
            FILTER_ANNOTATION,
            FILTER_LABEL,
            FILTER_END_OF_LIFE,
            $($key),*
        ]
    };
}
/// The names of those keys; at least one is written.
const SELECTED_BY: &[&str] =
    &["tags", "untagged", "orphaned", "media_type", "platform", "larger_than", "artifact_type", "annotation", "label", "end_of_life"];
/// What a rule is about; without any of these it is about every image that fits its filters.
const ABOUT: &[&str] = &["tags", "untagged", "orphaned"];
const PER: Key = Key {
    name: "per",
    kind: Kind::Texts(&GROUP),
    presence: Optional,
    doc: "Counts for each group: `major` or `minor` with `semver`; with `regex` the names of captures.",
    example: "minor",
};
const ORDER_BY: Key = Key {
    name: "order_by",
    kind: Kind::Choice(&[("time", "most recently pushed or moved first"), ("version", "highest version first, with `semver` only")]),
    presence: Default("time"),
    doc: "Which come first when counting.",
    example: "version",
};

const fn periods(name: &'static str, doc: &'static str, example: &'static str) -> Key {
    Key { name, kind: Kind::Integer { minimum: 1, maximum: PERIODS_MAX }, presence: Optional, doc, example }
}

static KEEP: Shape = Shape {
    name: "keep",
    doc: "Keeps what it chooses while any of its conditions holds, or always if it has none. Without `tags`, `untagged` and `orphaned` it is about every image that fits its filters. What cannot be told about a filter counts as fitting: unknown means keep.",
    keys: keys_to_select_by![
        Key {
            name: "last",
            kind: Kind::Integer { minimum: 1, maximum: IMAGES_MAX },
            presence: Optional,
            doc: "Condition: it is among the newest so many images.",
            example: "10",
        },
        PER,
        ORDER_BY,
        Key { name: "newer_than", kind: Kind::Age, presence: Optional, doc: "Condition: it is not older than this.", example: "30d" },
        periods("daily", "Condition: it is the newest image of its day, for the last so many days that have one.", "7"),
        periods("weekly", "Condition: the same for weeks (ISO 8601, from Monday).", "4"),
        periods("monthly", "Condition: the same for months.", "12"),
        periods("yearly", "Condition: the same for years.", "3"),
        Key {
            name: "all_tags",
            kind: Kind::Bool,
            presence: Default("false"),
            doc: "A tag that is kept keeps the other ordinary tags of its image.",
            example: "true",
        },
    ],
    one_of: &[],
    at_most_one: ABOUT,
    any_of: &[SELECTED_BY],
    needs: &[("per", &["last"]), ("order_by", &["last"])],
};

static DELETE: Shape = Shape {
    name: "delete",
    doc: "Condemns what it chooses when every condition holds. Without `tags`, `untagged` and `orphaned` it is about every image that fits its filters. What cannot be told about a filter counts as not fitting.",
    keys: keys_to_select_by![
        Key {
            name: "older_than",
            kind: Kind::Age,
            presence: Optional,
            doc: "Condition: it is strictly older; a tag's age begins anew when it moves.",
            example: "30d",
        },
        Key {
            name: "newer_than",
            kind: Kind::Age,
            presence: Optional,
            doc: "Condition: it is strictly newer; goes beside `older_than` or `except_last`.",
            example: "90d",
        },
        Key {
            name: "except_last",
            kind: Kind::Integer { minimum: 1, maximum: IMAGES_MAX },
            presence: Optional,
            doc: "Condition: it is not among the newest so many images, counted over all that is chosen, whatever its age.",
            example: "10",
        },
        PER,
        ORDER_BY,
        Key {
            name: "condemned_for",
            kind: Kind::Age,
            presence: Optional,
            doc: "Condition: this rule has condemned it in every run for longer than this; never at first sight. Dry runs count.",
            example: "3d",
        },
        Key {
            name: "adopt_backlog",
            kind: Kind::Bool,
            presence: Default("false"),
            doc: "For untagged manifests that the first run finds, take the push time for the beginning of their age, although nobody knows since when they have been untagged.",
            example: "true",
        },
    ],
    one_of: &[],
    at_most_one: ABOUT,
    any_of: &[SELECTED_BY, &["older_than", "except_last", "end_of_life"]],
    needs: &[("per", &["except_last"]), ("order_by", &["except_last"]), ("adopt_backlog", &["untagged", "orphaned"])],
};

const LOCK_TAGS: Key = Key { presence: Required, ..SELECT_TAGS };
const ON: Key = Key {
    name: "on",
    kind: Kind::Choice(&[("tag", "the tags it chose"), ("manifest", "the manifests of those tags"), ("both", "tags and manifests")]),
    presence: Default("tag"),
    doc: "Where the lock is written.",
    example: "both",
};

const RELEASE: Key = Key {
    name: "release",
    kind: Kind::Bool,
    presence: Default("false"),
    doc: "Opens again what this rule itself closed once it no longer asks for it, unless somebody changed the lock in between.",
    example: "true",
};

static LOCK: Shape = Shape {
    name: "lock",
    doc: "Sets lock attributes to false.",
    keys: &[
        LOCK_TAGS,
        Key { name: "can_delete", kind: Kind::Only(false), presence: Optional, doc: "Forbids deleting.", example: "false" },
        Key { name: "can_write", kind: Kind::Only(false), presence: Optional, doc: "Forbids overwriting and moving.", example: "false" },
        Key { name: "can_read", kind: Kind::Only(false), presence: Optional, doc: "Forbids pulling.", example: "false" },
        Key { name: "can_list", kind: Kind::Only(false), presence: Optional, doc: "Hides it from listings.", example: "false" },
        ON,
        RELEASE,
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[&["can_delete", "can_write", "can_read", "can_list"]],
    needs: &[],
};

static UNLOCK: Shape = Shape {
    name: "unlock",
    doc: "Sets lock attributes to true. Where lock and unlock rules meet, lock wins.",
    keys: &[
        LOCK_TAGS,
        Key { name: "can_delete", kind: Kind::Only(true), presence: Optional, doc: "Allows deleting.", example: "true" },
        Key { name: "can_write", kind: Kind::Only(true), presence: Optional, doc: "Allows overwriting and moving.", example: "true" },
        Key { name: "can_read", kind: Kind::Only(true), presence: Optional, doc: "Allows pulling.", example: "true" },
        Key { name: "can_list", kind: Kind::Only(true), presence: Optional, doc: "Shows it in listings.", example: "true" },
        ON,
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[&["can_delete", "can_write", "can_read", "can_list"]],
    needs: &[],
};

static LIMITS: Shape = Shape {
    name: "limits",
    doc: "The brakes of a policy. Zero means zero, never \"unlimited\".",
    keys: &[
        Key {
            name: "max_deletes",
            kind: Kind::Integer { minimum: 0, maximum: DELETES_MAX },
            presence: Default("500"),
            doc: "The most manifests and tags that one run may remove.",
            example: "500",
        },
        Key {
            name: "max_delete_percent",
            kind: Kind::Integer { minimum: 0, maximum: 100 },
            presence: Default("10"),
            doc: "The largest share of a repository's images, and of the run's; asked from 20 images on.",
            example: "20",
        },
        Key {
            name: "keep_at_least",
            kind: Kind::Integer { minimum: 0, maximum: IMAGES_MAX },
            presence: Default("1"),
            doc: "The newest images of each repository that survive whatever the rules say.",
            example: "3",
        },
        Key {
            name: "min_age",
            kind: Kind::Age,
            presence: Default("24h"),
            doc: "Nothing younger is ever deleted; at least one hour.",
            example: "48h",
        },
        Key {
            name: "on_limit",
            kind: Kind::Choice(&[("refuse", "nothing is applied"), ("oldest_first", "as much as the limit allows, oldest first")]),
            presence: Default("refuse"),
            doc: "What happens to a run that is over a limit.",
            example: "oldest_first",
        },
        Key {
            name: "changes",
            kind: Kind::Choice(&[
                ("next_run", "it only reports; the next run applies"),
                ("approve", "it only reports, as does every run until `retaind approve`"),
                ("immediately", "it applies"),
            ]),
            presence: Default("next_run"),
            doc: "What happens to the first run after an edit of this policy, or of what others protect from it.",
            example: "approve",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};
