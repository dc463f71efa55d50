//! A case as a registry of ours: images with ages, and rules that are read by the configuration as anybody's are. Does not know where
//! cases come from, nor what they expect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use retaind::config::resolve_policies;
use retaind::model::{
    Contents, Digest, Facts, Gap, Inventory, Listing, Locks, Manifest, MediaType, Observations, References, Repository, RepositoryName,
    Tag, TagName, Texts, Time,
};
use retaind::pipeline::decide;
use retaind::pipeline::guard::{self, Circumstances};
use retaind::pipeline::plan::Decision;
use retaind::policy::{Action, Policy, TagPattern};
use serde_json::{Value, json};

use crate::stage::contoso;

/// How far every case is set back, with its ages and its limits alike: nothing younger than an hour can be deleted here, and other
/// people's cases are about minutes.
pub(super) const BACK: SignedDuration = SignedDuration::from_hours(48);
/// A condition that holds for every image of a known time, for rules that have none of their own: every delete rule must have one.
pub(super) const ANY_AGE: &str = "1h";
/// The repository of cases that name none.
pub(super) const APP: &str = "app";

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Any moment will do.
pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_123).expect("a time")
}

/// A limit of a case as an age of ours.
pub(super) fn limit(limit: SignedDuration) -> String {
    format!("{}s", (limit + BACK).as_secs())
}

pub(super) fn days(days: f64) -> SignedDuration {
    SignedDuration::from_secs_f64(days * 86_400.0)
}

/// One image of a case.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) tags: Vec<String>,
    /// None: unknown.
    pub(super) age: Option<SignedDuration>,
    pub(super) media_type: &'static str,
    pub(super) children: Vec<String>,
    pub(super) subject: Option<String>,
    pub(super) locks: Locks,
    pub(super) tag_locks: Locks,
    pub(super) artifact_type: Option<&'static str>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) is_ghost: bool,
    pub(super) size_bytes: u64,
}

impl Image {
    pub(super) fn new(id: impl Into<String>, age: Option<SignedDuration>) -> Self {
        Self {
            id: id.into(),
            tags: Vec::new(),
            age,
            media_type: "application/vnd.oci.image.manifest.v1+json",
            children: Vec::new(),
            subject: None,
            locks: Locks::OPEN,
            tag_locks: Locks::OPEN,
            artifact_type: None,
            annotations: Vec::new(),
            is_ghost: false,
            size_bytes: 1,
        }
    }

    /// An image of one tag, called like it.
    pub(super) fn tagged(tag: &str, age: Option<SignedDuration>) -> Self {
        Self { tags: vec![tag.to_owned()], ..Self::new(tag, age) }
    }

    pub(super) fn index(mut self, children: Vec<String>) -> Self {
        self.media_type = "application/vnd.oci.image.index.v1+json";
        self.children = children;
        self
    }
}

/// A registry and the policies on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Drawn {
    pub(super) repositories: BTreeMap<String, Vec<Image>>,
    /// Why nothing could be listed completely.
    pub(super) gap: Option<&'static str>,
    /// What each policy includes and excludes, and its rules.
    pub(super) policies: Vec<(Value, Vec<Value>)>,
    pub(super) limits: Value,
    /// Tags of which nobody knows when they were pushed, although their images are known.
    pub(super) unknown_tags: Vec<String>,
    /// Since when every rule with a waiting time has condemned each image, by name.
    pub(super) condemned_ago: BTreeMap<String, SignedDuration>,
}

/// What was decided.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Repository and name of each image that goes.
    pub(super) images: BTreeSet<(String, String)>,
    /// Repository and name of each tag that goes.
    pub(super) tags: BTreeSet<(String, String)>,
    /// All tags.
    pub(super) all_tags: BTreeSet<(String, String)>,
    /// Repositories in which nothing could be decided.
    pub(super) incomplete: usize,
    /// How many manifests and tags the guard lets go.
    pub(super) approved: usize,
}

impl Outcome {
    pub(super) fn image_names(&self) -> BTreeSet<String> {
        self.images.iter().map(|(_, name)| name.clone()).collect()
    }

    pub(super) fn tag_names(&self) -> BTreeSet<String> {
        self.tags.iter().map(|(_, name)| name.clone()).collect()
    }

    pub(super) fn kept_tags(&self) -> BTreeSet<String> {
        self.all_tags.difference(&self.tags).map(|(_, name)| name.clone()).collect()
    }
}

impl Drawn {
    pub(super) fn new(images: Vec<Image>, rules: Vec<Value>) -> Self {
        let policies = vec![(json!({"include": ["**"]}), rules)];
        Self { repositories: [(APP.to_owned(), images)].into(), policies, ..Self::default() }
    }

    /// The policy file.
    fn text(&self) -> String {
        let mut limits =
            json!({"keep_at_least": 0, "min_age": "1h", "max_deletes": 10_000_000, "max_delete_percent": 100, "changes": "immediately"});
        for (key, value) in self.limits.as_object().into_iter().flatten() {
            limits[key] = value.clone();
        }
        let policy = |(place, (repositories, rules)): (usize, &(Value, Vec<Value>))| {
            let named = rules.iter().enumerate().map(|(place, rule)| {
                let mut rule = rule.clone();
                if rule.get("name").is_none() {
                    rule["name"] = json!(format!("rule-{place}"));
                }
                rule
            });
            let rules: Vec<Value> = named.collect();
            json!({"name": format!("policy-{place}"), "mode": "enforce", "repositories": repositories, "rules": rules, "limits": limits})
        };
        let policies: Vec<Value> = self.policies.iter().enumerate().map(policy).collect();
        json!({"version": 1, "policies": policies}).to_string()
    }

    /// Reads the policies; what is wrong with them otherwise.
    pub(super) fn read(&self) -> Result<Vec<Policy>, String> {
        resolve_policies(&[("policies.yaml", &self.text())], &[contoso()]).map_err(|problems| problems.to_string())
    }

    /// Decides, every policy in its turn.
    pub(super) fn decide(&self) -> Outcome {
        let policies = self.read().unwrap_or_else(|problems| panic!("{}\n{problems}", self.text()));
        let mut inventory = self.inventory();
        let mut outcome = Outcome::default();
        for acting in &policies {
            self.remember(&mut inventory, &policies, acting);
            let decisions = decide(&inventory, &policies, acting, now());
            let findings = decisions.findings(now());
            assert!(findings.is_empty(), "the audit finds {findings:?}");
            let circumstances = Circumstances { journal_is_kept: true, ..Circumstances::default() };
            let judgement = guard::judge(&decisions.plan, &acting.limits, &circumstances);
            let steps = judgement.approved.iter().flat_map(|approved| approved.plan().steps());
            outcome.approved += steps.map(|(_, steps)| steps.untags.len() + steps.deletes.len()).sum::<usize>();
            for (decided, planned) in decisions.repositories.iter().zip(&decisions.plan.repositories) {
                let Decision::Steps(steps) = &planned.decision else {
                    outcome.incomplete += 1;
                    continue;
                };
                let name = decided.repository.name.to_string();
                let images = &self.repositories[&name];
                for delete in steps.deletes() {
                    let image = images.iter().find(|image| digest(&name, &image.id) == delete.digest).expect("drawn");
                    outcome.images.insert((name.clone(), image.id.clone()));
                    outcome.tags.extend(delete.tags.iter().map(|tag| (name.clone(), tag.name.to_string())));
                }
                outcome.tags.extend(steps.untags().map(|untag| (name.clone(), untag.tag.name.to_string())));
            }
        }
        let tags = |(name, images): (&String, &Vec<Image>)| {
            images.iter().flat_map(|image| &image.tags).map(|tag| (name.clone(), tag.clone())).collect::<Vec<_>>()
        };
        outcome.all_tags = self.repositories.iter().flat_map(tags).collect();
        outcome
    }

    fn inventory(&self) -> Inventory {
        let repositories = self.repositories.iter().map(|(name, images)| Repository {
            name: RepositoryName::parse(name).expect("a repository"),
            locks: Locks::OPEN,
            // Looked at long ago, so that what has no tag has had none since its push.
            observations: Observations { since: Some(Timestamp::UNIX_EPOCH), ..Observations::default() },
            listing: match self.gap {
                Some(gap) => Listing::Incomplete(vec![Gap(gap.to_owned())]),
                None => Listing::Complete(Arc::new(contents(name, images, &self.unknown_tags))),
            },
        });
        Inventory { registry: contoso(), taken_at: now(), repositories: repositories.collect() }
    }

    fn remember(&self, inventory: &mut Inventory, policies: &[Policy], acting: &Policy) {
        let decisions = decide(inventory, policies, acting, now());
        let marks: Vec<_> =
            decisions.repositories.iter().flat_map(|decided| &decided.evaluation).flat_map(|said| said.marks.clone()).collect();
        for repository in &mut inventory.repositories {
            let name = repository.name.to_string();
            let since = |found: Digest| {
                let known = |image: &&Image| digest(&name, &image.id) == found;
                let image = self.repositories[&name].iter().find(known)?;
                self.condemned_ago.get(&image.id).map(|ago| now() - *ago)
            };
            let condemned =
                marks.iter().filter_map(|mark| Some(retaind::model::Condemned { mark: mark.clone(), since: since(mark.digest)? }));
            let mut condemned: Vec<_> = condemned.collect();
            condemned.sort();
            repository.observations.condemned = condemned;
        }
    }
}

/// The tag pattern of a rule on these tags; None: it is no valid one.
pub(super) fn tag_pattern(tags: &Value) -> Option<TagPattern> {
    let policies = Drawn::new(Vec::new(), vec![json!({"keep": {"tags": tags}})]).read().ok()?;
    let retaind::policy::About::Tags(pattern) = policies[0].rules[0].action.selector().about.clone() else { panic!("tags were asked for") };
    Some(pattern)
}

/// Whether a policy with this rule is read without complaint.
pub(super) fn is_valid(rules: Vec<Value>) -> bool {
    Drawn::new(Vec::new(), rules).read().is_ok()
}

/// The age that a text means in `older_than`.
pub(super) fn age(text: &Value) -> Option<SignedDuration> {
    let rule = json!({"delete": {"tags": {"glob": "*"}, "older_than": text}});
    let policies = Drawn::new(Vec::new(), vec![rule]).read().ok()?;
    match &policies[0].rules[0].action {
        Action::Delete(delete) => Some(delete.older_than?.duration()),
        Action::Keep(_) | Action::Lock(_) | Action::Unlock(_) => panic!("a delete rule was asked for"),
    }
}

/// Which of these repositories a policy names; None: the choice is not valid.
pub(super) fn chosen(repositories: Value, names: &[String]) -> Option<Vec<String>> {
    let rules = vec![json!({"keep": {"tags": {"glob": "*"}}})];
    let drawn = Drawn { policies: vec![(repositories, rules)], ..Drawn::default() };
    let policies = drawn.read().ok()?;
    let is_named = |name: &&String| policies[0].names(&contoso(), &RepositoryName::parse(name).expect("a repository"));
    Some(names.iter().filter(is_named).cloned().collect())
}

fn digest(repository: &str, id: &str) -> Digest {
    Digest::of(format!("{repository}@{id}").as_bytes())
}

fn contents(repository: &str, images: &[Image], unknown_tags: &[String]) -> Contents {
    let (mut manifests, mut tags) = (Vec::new(), Vec::new());
    for image in images {
        let updated_at = image.age.map(|age| Time::from(now() - age - BACK));
        let children = image.children.iter().map(|child| digest(repository, child)).collect();
        let subject = image.subject.as_ref().map(|subject| digest(repository, subject));
        let annotations = image.annotations.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        manifests.push(Manifest {
            digest: digest(repository, &image.id),
            media_type: MediaType::from_text(image.media_type),
            updated_at,
            locks: image.locks,
            size_bytes: image.size_bytes,
            platform: None,
            references: if image.is_ghost { References::Ghost } else { References::new(children, subject) },
            untagged_since: if image.tags.is_empty() { updated_at } else { None },
            left_behind_by: None,
            facts: Some(Box::new(Facts {
                artifact_type: image.artifact_type.map(Into::into),
                annotations: Texts::Known(annotations),
                labels: Texts::none(),
            })),
        });
        tags.extend(image.tags.iter().map(|tag| Tag {
            name: TagName::parse(tag).expect("a tag"),
            digest: digest(repository, &image.id),
            updated_at: updated_at.filter(|_| !unknown_tags.contains(tag)),
            locks: image.tag_locks,
        }));
    }
    Contents::new(manifests, tags).unwrap_or_else(|gaps| panic!("{gaps:?}"))
}
