//! Good files and what they resolve to.

use expect_test::expect;

use super::*;
use crate::model::RepositoryName;
use crate::policy::{About, Action, Grouping, Images, Limits, LockTarget, Mode, OnLimit, OrderBy};

#[track_caller]
fn resolve(policies: &str) -> Configuration {
    resolve_texts(("retaind.yaml", SETTINGS), &[("ci.yaml", policies)]).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(super) const EVERYTHING: &str = r#"
version: 1
policies:
  - name: ci-images
    registries: [contoso]              # names or globs from retaind.yaml; may be left out when there is exactly one
    mode: dry-run                      # required, no default: dry-run | enforce
    schedule: "0 3 * * *"              # five-field cron as in a Kubernetes CronJob, or @daily, @hourly …
    time_zone: Europe/Berlin            # IANA name, default UTC
    repositories:
      include: ["team-*/**"]           # required; globs on the whole name; nothing matches unless written
      exclude: ["team-*/base/**"]
    rules:
      - name: production
        lock: { tags: { glob: ["prod-*"] }, can_delete: false }
      - name: golden
        keep: { tags: { glob: ["golden-*"] } }
      - name: releases                 # the newest ten of each minor version stay, the rest goes after a year
        delete: { tags: { semver: ">=1.0.0" }, older_than: 365d, except_last: 10, per: minor }
      - name: pull-requests
        delete: { tags: { glob: ["pr-*"] }, older_than: 14d }
      - name: dangling
        delete: { untagged: true, older_than: 7d }
    limits: { max_deletes: 500, max_delete_percent: 20, keep_at_least: 1 }
"#;

#[test]
fn the_example_of_the_language_is_valid() {
    let configuration = resolve(EVERYTHING);
    let [policy] = configuration.policies.as_slice() else { panic!("one policy") };
    assert_eq!((&*policy.name, policy.mode, &*policy.origin), ("ci-images", Mode::DryRun, "ci.yaml:4"));
    let schedule = policy.schedule.as_ref().expect("a schedule");
    assert_eq!((schedule.expression.as_str(), schedule.zone.iana_name()), ("0 3 * * *", Some("Europe/Berlin")));
    assert_eq!(policy.limits, Limits { max_delete_percent: 20, ..Limits::default() });
    let name = |text| RepositoryName::parse(text).expect("a name");
    assert!(policy.names(&policy.registries[0], &name("team-a/web")));
    assert!(!policy.names(&policy.registries[0], &name("team-a/base/web")));
    let rules: Vec<&str> = policy.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(rules, ["production", "golden", "releases", "pull-requests", "dangling"]);
    let Action::Delete(releases) = &policy.rules[2].action else { panic!("a delete rule") };
    assert_eq!(releases.older_than.map(|age| age.duration().as_hours()), Some(365 * 24));
    let count = releases.except_last.as_ref().expect("a count");
    assert_eq!((count.images, &count.per, count.order_by), (Images::new(10).expect("ten"), &Grouping::Minor, OrderBy::Time));
    let Action::Lock(lock) = &policy.rules[0].action else { panic!("a lock rule") };
    assert_eq!((lock.change.can_delete, lock.change.can_write, lock.on), (Some(false), None, LockTarget::Tag));
}

#[test]
fn everything_else_that_rules_can_say_is_resolved() {
    let text = with_rules(
        r#"- { name: a, unlock: { tags: { glob: [a] }, can_read: true, can_list: true, on: both } }
- { name: b, delete: { untagged: true, older_than: 1w, adopt_backlog: true } }
- { name: c, keep: { tags: { regex: '(?<line>\d+)-(?<os>.+)', except: ['1-.*'] }, last: 2, per: [line, os] } }
- { name: d, keep: { tags: { semver: ["1", "2"] }, last: 2, per: major, order_by: version } }
- { name: e, delete: { untagged: true, except_last: 5 } }
- { name: f, keep: { untagged: true } }"#,
    );
    let text = text + "    limits: { max_deletes: 0, max_delete_percent: 0, keep_at_least: 0, min_age: 1h, on_limit: oldest_first }\n";
    let policy = resolve(&text).policies.remove(0);
    expect![[r#"
        [
            Rule {
                name: "a",
                action: Unlock(
                    LockRule {
                        selector: Selector {
                            about: Tags(
                                Glob {
                                    any: [
                                        "a",
                                    ],
                                    except: [],
                                },
                            ),
                            filters: [],
                        },
                        change: LockChange {
                            can_delete: None,
                            can_write: None,
                            can_read: Some(
                                true,
                            ),
                            can_list: Some(
                                true,
                            ),
                        },
                        on: Both,
                        release: false,
                    },
                ),
            },
            Rule {
                name: "b",
                action: Delete(
                    Delete {
                        selector: Selector {
                            about: Untagged,
                            filters: [],
                        },
                        older_than: Some(
                            Age(
                                604800s,
                            ),
                        ),
                        newer_than: None,
                        except_last: None,
                        condemned_for: None,
                        adopt_backlog: true,
                    },
                ),
            },
            Rule {
                name: "c",
                action: Keep(
                    Keep {
                        selector: Selector {
                            about: Tags(
                                Regex {
                                    any: [
                                        Regex(
                                            "^(?:(?<line>\\d+)-(?<os>.+))$",
                                        ),
                                    ],
                                    except: [
                                        Regex(
                                            "^(?:1-.*)$",
                                        ),
                                    ],
                                },
                            ),
                            filters: [],
                        },
                        when: [
                            Last(
                                Count {
                                    images: 2,
                                    per: Captures(
                                        [
                                            "line",
                                            "os",
                                        ],
                                    ),
                                    order_by: Time,
                                },
                            ),
                        ],
                        all_tags: false,
                    },
                ),
            },
            Rule {
                name: "d",
                action: Keep(
                    Keep {
                        selector: Selector {
                            about: Tags(
                                Semver {
                                    any: [
                                        VersionReq {
                                            comparators: [
                                                Comparator {
                                                    op: Caret,
                                                    major: 1,
                                                    minor: None,
                                                    patch: None,
                                                    pre: Prerelease(""),
                                                },
                                            ],
                                        },
                                        VersionReq {
                                            comparators: [
                                                Comparator {
                                                    op: Caret,
                                                    major: 2,
                                                    minor: None,
                                                    patch: None,
                                                    pre: Prerelease(""),
                                                },
                                            ],
                                        },
                                    ],
                                    except: [],
                                },
                            ),
                            filters: [],
                        },
                        when: [
                            Last(
                                Count {
                                    images: 2,
                                    per: Major,
                                    order_by: Version,
                                },
                            ),
                        ],
                        all_tags: false,
                    },
                ),
            },
            Rule {
                name: "e",
                action: Delete(
                    Delete {
                        selector: Selector {
                            about: Untagged,
                            filters: [],
                        },
                        older_than: None,
                        newer_than: None,
                        except_last: Some(
                            Count {
                                images: 5,
                                per: All,
                                order_by: Time,
                            },
                        ),
                        condemned_for: None,
                        adopt_backlog: false,
                    },
                ),
            },
            Rule {
                name: "f",
                action: Keep(
                    Keep {
                        selector: Selector {
                            about: Untagged,
                            filters: [],
                        },
                        when: [],
                        all_tags: false,
                    },
                ),
            },
        ]
    "#]]
    .assert_debug_eq(&policy.rules);
    assert_eq!(policy.limits.on_limit, OnLimit::OldestFirst);
    assert_eq!((policy.limits.max_deletes, policy.limits.max_delete_percent, policy.limits.keep_at_least), (0, 0, 0));
    assert_eq!(policy.limits.min_age, Limits::MIN_AGE_FLOOR);
}

#[test]
fn windows_are_read_with_the_schedule_and_its_zone() {
    let text = with_rules("- { name: a, keep: { untagged: true } }")
        + "    schedule: \"@hourly\"\n    time_zone: America/New_York\n    between: 22:00-05:00\n    not_during: Sat-Sun\n";
    let configuration = resolve(&text);
    let schedule = configuration.policies[0].schedule.as_ref().expect("a schedule");
    let allows = |instant: &str| schedule.allows(instant.parse().expect("an instant")).map_err(|closed| closed.to_string());
    assert_eq!(allows("2026-01-06T04:00:00Z"), Ok(()));
    assert_eq!(allows("2026-01-05T22:00:00Z"), Err("runs begin only between 22:00-05:00".to_owned()));
    assert_eq!(allows("2026-01-04T04:00:00Z"), Err("no run begins during Sat-Sun".to_owned()));
}

#[test]
fn what_is_left_out_takes_the_defaults_that_the_tables_promise() {
    let configuration = resolve(&with_rules("- { name: a, keep: { tags: { glob: [a] } } }"));
    let policy = &configuration.policies[0];
    assert_eq!((policy.limits, policy.schedule.as_ref()), (Limits::default(), None));
    let promised = crate::config::shape::POLICIES.tree().into_iter().find(|shape| shape.name == "limits").expect("the limits");
    let written: Vec<String> = promised
        .keys
        .iter()
        .filter_map(|key| match key.presence {
            crate::config::shape::Presence::Default(default) => Some(format!("{}: {default}", key.name)),
            crate::config::shape::Presence::Required
            | crate::config::shape::Presence::Inherited
            | crate::config::shape::Presence::Optional => None,
        })
        .collect();
    let text = with_rules("- { name: a, keep: { tags: { glob: [a] } } }") + &format!("    limits: {{ {} }}\n", written.join(", "));
    assert_eq!(resolve(&text).policies[0].limits, Limits::default());

    let Configuration { registries, state, server, paused, .. } = configuration;
    expect![[r#"
        (
            [
                Registry {
                    name: "contoso",
                    endpoint: https://contoso.azurecr.io/,
                    auth: Auto,
                    apply_auth: None,
                    authority: None,
                    audience: "https://containerregistry.azure.net",
                    ca_file: None,
                    throttle: None,
                },
            ],
            StateSettings {
                dir: None,
                volatile: false,
                history: 34560000s,
            },
            ServerSettings {
                listen: 127.0.0.1:8080,
                repository_metrics: 0,
            },
            false,
        )
    "#]]
    .assert_debug_eq(&(registries, state, server, paused));
}

#[test]
fn settings_are_resolved() {
    let text = "version: 1
registries:
  - { name: a, endpoint: https://A.example/, auth: { kind: workload_identity, token_file: t }, ca_file: ca.pem }
  - { name: b, endpoint: http://localhost:5000, auth: { kind: anonymous }, throttle: { sku: premium } }
  - { name: c, endpoint: http://127.0.0.1:5000, auth: { kind: basic, username: u, password_file: p } }
  - { name: d, endpoint: \"http://[::1]:5000\", auth: { \"kind\": client_secret, tenant_id: t, client_id: c, secret_file: /s } }
  - { name: e, endpoint: https://e.example, auth: { kind: managed_identity, client_id: c }, throttle: { share: 100% } }
policies: p
state: { volatile: true }
server: { listen: \"[::]:9090\", repository_metrics: 100 }
paused: true
";
    let policies =
        with_rules("- { name: a, keep: { tags: { glob: [a] } } }").replace("    mode:", "    registries: [\"[ab]\", e]\n    mode:");
    let configuration = resolve_texts(("retaind.yaml", text), &[("ci.yaml", &policies)]).unwrap_or_else(|problems| panic!("{problems}"));
    let Configuration { registries, state, server, paused, policies, .. } = configuration;
    expect![[r#"
        (
            [
                Registry {
                    name: "a",
                    endpoint: https://a.example/,
                    auth: WorkloadIdentity {
                        client_id: None,
                        tenant_id: None,
                        token_file: Some(
                            "t",
                        ),
                    },
                    apply_auth: None,
                    authority: None,
                    audience: "https://containerregistry.azure.net",
                    ca_file: Some(
                        "ca.pem",
                    ),
                    throttle: None,
                },
                Registry {
                    name: "b",
                    endpoint: http://localhost:5000/,
                    auth: Anonymous,
                    apply_auth: None,
                    authority: None,
                    audience: "https://containerregistry.azure.net",
                    ca_file: None,
                    throttle: Some(
                        Throttle {
                            sku: Premium,
                            share_percent: 50,
                        },
                    ),
                },
                Registry {
                    name: "c",
                    endpoint: http://127.0.0.1:5000/,
                    auth: Basic {
                        username: "u",
                        password_file: "p",
                    },
                    apply_auth: None,
                    authority: None,
                    audience: "https://containerregistry.azure.net",
                    ca_file: None,
                    throttle: None,
                },
                Registry {
                    name: "d",
                    endpoint: http://[::1]:5000/,
                    auth: ClientSecret {
                        tenant_id: "t",
                        client_id: "c",
                        secret_file: "/s",
                    },
                    apply_auth: None,
                    authority: None,
                    audience: "https://containerregistry.azure.net",
                    ca_file: None,
                    throttle: None,
                },
                Registry {
                    name: "e",
                    endpoint: https://e.example/,
                    auth: ManagedIdentity {
                        client_id: Some(
                            "c",
                        ),
                    },
                    apply_auth: None,
                    authority: None,
                    audience: "https://containerregistry.azure.net",
                    ca_file: None,
                    throttle: Some(
                        Throttle {
                            sku: Standard,
                            share_percent: 100,
                        },
                    ),
                },
            ],
            StateSettings {
                dir: None,
                volatile: true,
                history: 34560000s,
            },
            ServerSettings {
                listen: [::]:9090,
                repository_metrics: 100,
            },
            true,
        )
    "#]]
    .assert_debug_eq(&(registries, state, server, paused));
    let names: Vec<&str> = policies[0].registries.iter().map(RegistryName::as_str).collect();
    assert_eq!(names, ["a", "b", "e"]);
}

#[test]
fn anchors_share_values() {
    let text = with_rules(
        "- { name: a, keep: { tags: { glob: &mine [\"a-*\", \"b-*\"] } } }\n- { name: b, delete: { tags: { glob: [\"*\"], except: *mine }, older_than: 1d } }\n- { name: c, lock: { tags: { glob: [c] }, can_delete: &shut false, can_write: *shut } }",
    );
    let policy = resolve(&text).policies.remove(0);
    let Action::Delete(delete) = &policy.rules[1].action else { panic!("a delete rule") };
    let About::Tags(tags) = &delete.selector.about else { panic!("tags") };
    assert!(tags.matches("c-1") && !tags.matches("b-1"));
}

#[test]
fn the_hash_follows_every_byte() {
    let hash = |name: &str, text: &str| {
        resolve_texts(("retaind.yaml", SETTINGS), &[(name, text)]).unwrap_or_else(|problems| panic!("{problems}")).content_hash
    };
    let text = with_rules("- { name: a, keep: { tags: { glob: [a] } } }");
    assert_eq!(hash("a.yaml", &text), hash("folder/a.yaml", &text));
    assert_ne!(hash("a.yaml", &text), hash("b.yaml", &text));
    assert_ne!(hash("a.yaml", &text), hash("a.yaml", &format!("{text} ")));
}

#[test]
fn policies_can_be_resolved_by_themselves() {
    let registries = ["a", "b"].map(|name| RegistryName::parse(name).expect("a name"));
    let text = with_rules("- { name: a, keep: { tags: { glob: [a] } } }");
    assert!(resolve_policies(&[("a.yaml", &text)], &registries[..1]).is_ok());
    let problems = resolve_policies(&[("a.yaml", &text)], &registries).expect_err("which of the two");
    expect![[r#"
        a.yaml:3:5: error: the policy does not say which of the 2 registries it is for
          |
        3 |   - name: ci
          |     ^^^^
          = at policies[0]
          = hint: write `registries: [a, b]`, or some of them

        1 problem in 1 file"#]]
    .assert_eq(&problems.to_string());
}

#[test]
fn filters_and_conditions_are_resolved() {
    let configuration = resolve(
        r#"
version: 1
policies:
  - name: a
    mode: dry-run
    time_zone: Europe/Berlin
    repositories: { include: ["**"] }
    rules:
      - { name: a, keep: { media_type: ["application/vnd.oci.*"], last: 1, newer_than: 2d, daily: 3, weekly: 4, monthly: 5, yearly: 6 } }
      - { name: b, keep: { tags: { glob: ["x"] }, platform: linux/arm/v7, larger_than: 2GB, all_tags: true } }
      - { name: c, delete: { orphaned: true, older_than: 3d, newer_than: 4d } }
"#,
    );
    expect![[r#"
        [
            Rule {
                name: "a",
                action: Keep(
                    Keep {
                        selector: Selector {
                            about: Images,
                            filters: [
                                MediaType(
                                    [
                                        "application/vnd.oci.*",
                                    ],
                                ),
                            ],
                        },
                        when: [
                            Last(
                                Count {
                                    images: 1,
                                    per: All,
                                    order_by: Time,
                                },
                            ),
                            NewerThan(
                                Age(
                                    172800s,
                                ),
                            ),
                            NewestOfEach {
                                period: Day,
                                periods: 3,
                                zone: TimeZone(
                                    TZif(
                                        "Europe/Berlin",
                                    ),
                                ),
                            },
                            NewestOfEach {
                                period: Week,
                                periods: 4,
                                zone: TimeZone(
                                    TZif(
                                        "Europe/Berlin",
                                    ),
                                ),
                            },
                            NewestOfEach {
                                period: Month,
                                periods: 5,
                                zone: TimeZone(
                                    TZif(
                                        "Europe/Berlin",
                                    ),
                                ),
                            },
                            NewestOfEach {
                                period: Year,
                                periods: 6,
                                zone: TimeZone(
                                    TZif(
                                        "Europe/Berlin",
                                    ),
                                ),
                            },
                        ],
                        all_tags: false,
                    },
                ),
            },
            Rule {
                name: "b",
                action: Keep(
                    Keep {
                        selector: Selector {
                            about: Tags(
                                Glob {
                                    any: [
                                        "x",
                                    ],
                                    except: [],
                                },
                            ),
                            filters: [
                                Platform(
                                    [
                                        Platform {
                                            os: "linux",
                                            architecture: "arm",
                                            variant: Some(
                                                "v7",
                                            ),
                                        },
                                    ],
                                ),
                                LargerThan(
                                    Size(
                                        2000000000,
                                    ),
                                ),
                            ],
                        },
                        when: [],
                        all_tags: true,
                    },
                ),
            },
            Rule {
                name: "c",
                action: Delete(
                    Delete {
                        selector: Selector {
                            about: Orphaned,
                            filters: [],
                        },
                        older_than: Some(
                            Age(
                                259200s,
                            ),
                        ),
                        newer_than: Some(
                            Age(
                                345600s,
                            ),
                        ),
                        except_last: None,
                        condemned_for: None,
                        adopt_backlog: false,
                    },
                ),
            },
        ]
    "#]]
    .assert_debug_eq(&configuration.policies[0].rules);
}

#[test]
fn identities_and_their_authority_are_resolved() {
    let text = "version: 1
registries:
  - name: a
    endpoint: https://a.example
    auth: { kind: azure_pipelines, service_connection_id: s }
    apply_auth: { kind: client_certificate, tenant_id: t, client_id: c, certificate_file: tls.crt, key_file: /tls.key }
    authority: https://login.microsoftonline.us/
  - { name: b, endpoint: https://b.example, auth: { kind: azure_cli, tenant_id: t } }
policies: p
state: { volatile: true }
";
    let policies = with_rules("- { name: a, keep: { tags: { glob: [a] } } }").replace("    mode:", "    registries: [a]\n    mode:");
    let configuration = resolve_texts(("retaind.yaml", text), &[("ci.yaml", &policies)]).unwrap_or_else(|problems| panic!("{problems}"));
    let [a, b] = &configuration.registries[..] else { panic!("two registries") };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(a.auth, Auth::AzurePipelines { tenant_id: None, client_id: None, service_connection_id: text("s") });
    let certificate = Auth::ClientCertificate {
        tenant_id: "t".to_owned(),
        client_id: "c".to_owned(),
        certificate_file: "tls.crt".into(),
        key_file: Some("/tls.key".into()),
    };
    assert_eq!((a.apply_auth.as_ref(), a.authority.as_deref()), (Some(&certificate), Some("https://login.microsoftonline.us")));
    assert_eq!((&b.auth, &b.apply_auth, &b.authority), (&Auth::AzureCli { tenant_id: text("t") }, &None, &None));
}
