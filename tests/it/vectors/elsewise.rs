//! Where we decide otherwise than a case says, and which cases a policy of ours has no words for: each with its reason.

const UNKNOWN_TIME: &str = "what has no known time is kept, even where no rule asks for its age";
const UNKNOWN_TIME_AND_SLOTS: &str = "what has no known time is kept, and uses no slot of a count";

/// A case, what we make of it (in the form its translator answers in), and why.
pub(super) const ELSEWISE: &[(&str, &str, &str)] = &[
    (
        "ecr-multi-rule-b",
        r#"["A"]"#,
        "keep wins whatever the order of rules: an image stays with the tag that a rule keeps, and loses the other",
    ),
    (
        "ecr-multi-tag-b",
        r#"["B"]"#,
        "a rule decides about each tag by itself: an image with a tag that no rule chooses stays with that tag",
    ),
    ("ecr-validate-wildcards-6", "true", "globs are matched in linear time, so their number of stars needs no bound"),
    (
        "zot-stale-index-1",
        "false",
        "a ghost is what is listed and cannot be read; an index that can be read is an image, whatever it lacks",
    ),
    ("gitlab-all", r#"["A","Ba","Bb","C"]"#, UNKNOWN_TIME),
    ("gitlab-alternation", r#"["C"]"#, UNKNOWN_TIME),
    ("gitlab-remove-keep", "[]", UNKNOWN_TIME),
    ("gitlab-new-name-overrides-old", "[]", UNKNOWN_TIME),
    ("gitlab-keep-regex", r#"["A","C"]"#, UNKNOWN_TIME),
    ("gitlab-keep-n-3-nil-dates", r#"["C"]"#, UNKNOWN_TIME_AND_SLOTS),
    ("gitlab-paged-keep-3", r#"["C"]"#, UNKNOWN_TIME_AND_SLOTS),
    ("acrcli-keep-1", r#"[["v1","v2","v3"],false]"#, "of tags of the same time the larger name counts as newer, not the place in a list"),
    ("acrcli-bad-date", "[[],false]", "an unknown time keeps the image, and the run goes on"),
    ("acrcli-dur-0m", "null", "an age of zero would be every image"),
    ("acrcli-dur-run-30days", "2592000", "it can mean one thing only"),
    ("acrcli-dur-run-P30D", "2592000", "it is an age as ISO 8601 writes it"),
    ("acrcli-dur-run-1w", "604800", "weeks are units of ours"),
    ("dotnet-eol", "[]", "waiting after the end of life begins anew with a push, so that nothing goes unseen that came after its end"),
    (
        "dotnet-staging-repos",
        r#"{"images":["build-staging/repo2"],"repositories":[]}"#,
        "no rule deletes a repository; its images go by their own age",
    ),
];

/// Why there are no words for cases, and which.
pub(super) const NOT_APPLICABLE: &[(&str, &[&str])] = &[
    (
        "nothing in ACR's listings tells when an image was last pulled",
        &[
            "zot-retain-new",
            "zot-latest-pulled-3",
            "zot-pulled-3-or-pushed-4",
            "zot-first-match-wins",
            "zot-untagged-recent-vs-old",
            "zot-untagged-missing-stats",
            "zot-doc-2",
            "zot-doc-3",
            "zot-doc-5",
            "zot-doc-6",
            "zot-doc-7",
        ],
    ),
    (
        "it is about carrying out a plan, which decides nothing (see the tests of `apply`)",
        &["zot-gc-dry-run", "zot-gc-cancelled", "acrcli-delete-404", "acrcli-delete-500"],
    ),
    ("rules have no priorities, so there is no order to get wrong", &["ecr-validate-any-not-last"]),
    ("a rule is about tags one by one, not about images with several at once", &["ecr-multi-tag-a"]),
    ("a run on its way begins no further change once its window closes", &["zot-window-4"]),
    ("no rule names a digest; a manifest is protected by its own lock", &["snok-skip-foo", "snok-skip-foos", "snok-skip-fo"]),
    (
        "repositories and tags are written under keys of their own, never in one text",
        &[
            "acrcli-filter-ok-0",
            "acrcli-filter-ok-1",
            "acrcli-filter-ok-2",
            "acrcli-filter-ok-3",
            "acrcli-filter-ok-4",
            "acrcli-filter-bad-0",
            "acrcli-filter-bad-1",
            "acrcli-filter-bad-2",
            "acrcli-filter-bad-3",
            "acrcli-filter-bad-4",
        ],
    ),
    (
        "lists are YAML lists, never one text with commas",
        &["kubeecr-csv-0", "kubeecr-csv-1", "kubeecr-csv-2", "kubeecr-csv-3", "kubeecr-csv-4", "kubeecr-csv-5", "kubeecr-csv-6"],
    ),
    (
        "what runs in clusters is not asked: no policy speaks of it, and no reference of a pod is read",
        &[
            "kubeecr-refs-0",
            "kubeecr-refs-1",
            "kubeecr-refs-2",
            "kubeecr-refs-3",
            "kubeecr-refs-4",
            "kubeecr-refs-5",
            "kubeecr-refs-6",
            "radix-ref-0",
            "radix-ref-1",
            "radix-ref-2",
            "radix-ref-3",
            "radix-ref-4",
            "radix-grace-0",
            "radix-grace-1",
            "radix-grace-2",
        ],
    ),
];
