//! Small repositories and the policies on them, drawn by lot from a seed: few manifests, but every way in which they can hang together,
//! and times that meet each other and every limit. Does not know what should happen to them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use retaind::model::{Contents, Digest, LockChange, Locks, Manifest, MediaType, References, RegistryName, Tag, TagName};
use retaind::pipeline::evaluate::Question;
use retaind::pipeline::plan::Audit;
use retaind::policy::{
    About, Action, Age, Changes, Count, Delete, Grouping, Images, Keep, KeepWhen, Limits, LockRule, LockTarget, Mode, OnLimit, OrderBy,
    Pattern, Policy, RepositoryFilter, Rule, Selector, TagPattern,
};

/// The most manifests of a world: enough for an index of an index, a chain of referrers and two bystanders.
const MANIFESTS_MAX: usize = 8;
/// Seconds before now, each several times: young, at the very limit, a second beyond it, old. Few values, so that times are often equal.
const AGES_SECONDS: [i64; 14] =
    [60, 3_599, 3_600, 3_601, 86_400, 86_401, 604_800, 604_801, 864_000, 864_000, 2_592_000, 2_592_001, 5_184_000, 5_184_000];
/// How many of [`AGES_SECONDS`], from the left, are within a day.
const YOUNG_AGES: usize = 6;
/// The ages that rules and limits ask for; all of them occur in [`AGES_SECONDS`].
const LIMITS_HOURS: [i64; 4] = [1, 24, 168, 720];
/// Tags that differ in their numbers, their versions and their captures, and some that nothing but `*` matches.
const TAGS: [&str; 22] = [
    "latest",
    "stable",
    "pr-1",
    "pr-2",
    "pr-10",
    "pr-010",
    "1.0.0",
    "1.0.1",
    "1.0.10",
    "1.1.0",
    "v1.0.1",
    "2.0.0",
    "2.0.0-rc.1",
    "v2.1.0",
    "golden-1",
    "golden-2",
    "b1-x",
    "b1-y",
    "b2-x",
    "b2-y",
    "sha256-1",
    "x",
];

/// A repository, the policies that name it, and the time.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) repository_locks: Locks,
    pub(crate) observed_since: Option<Timestamp>,
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) acting: usize,
    pub(crate) now: Timestamp,
}

impl World {
    /// The world of this seed.
    pub(crate) fn drawn(seed: u64) -> Self {
        Lot::new(seed).world()
    }

    pub(crate) fn contents(&self) -> Contents {
        Contents::new(self.manifests.clone(), self.tags.clone()).expect("worlds are consistent")
    }

    pub(crate) fn acting(&self) -> &Policy {
        &self.policies[self.acting]
    }

    /// Asks `about` what becomes of this world.
    pub(crate) fn ask<T>(&self, contents: &Contents, about: impl FnOnce(&Question<'_>, &Audit<'_>) -> T) -> T {
        let policies: Vec<&Policy> = self.policies.iter().collect();
        let Self { repository_locks, observed_since, acting, now, .. } = *self;
        about(
            &Question { repository_locks, observed_since, contents, policies: &policies, acting, now },
            &Audit { repository_locks, contents, policies: &policies, acting, now },
        )
    }

    /// The tags of a manifest.
    pub(crate) fn tags_of(&self, digest: Digest) -> impl Iterator<Item = &Tag> {
        self.tags.iter().filter(move |tag| tag.digest == digest)
    }
}

/// How many worlds each law is held against when `RETAIND_WORLDS` does not say so: some seconds for all of them in a debug build.
const WORLDS_DEFAULT: u64 = 5_000;

/// Holds a law against many worlds, on all cores, and shows the first few that break it. `RETAIND_WORLDS` says how many;
/// `RETAIND_SEED` asks for one alone, drawn even if it keeps the law.
pub(crate) fn for_many_worlds(law: impl Fn(&World, Rng) -> Result<(), String> + Sync) {
    const SHOWN_MAX: usize = 3;
    let read = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number")));
    if let Some(seed) = read("RETAIND_SEED") {
        let world = World::drawn(seed);
        println!("{world}");
        return law(&world, further(seed)).unwrap_or_else(|why| panic!("seed {seed}\n{why}"));
    }
    let worlds = read("RETAIND_WORLDS").unwrap_or(WORLDS_DEFAULT);
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let broken: Vec<(u64, String)> = std::thread::scope(|scope| {
        let law = &law;
        let share = |worker| (worker..worlds).step_by(usize::try_from(workers).unwrap_or(1));
        let ask = move |seed| law(&World::drawn(seed), further(seed)).err().map(|why| (seed, why));
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || share(worker).filter_map(ask).collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let shown = broken.iter().take(SHOWN_MAX).map(|(seed, why)| format!("RETAIND_SEED={seed}\n{}{why}\n", World::drawn(*seed)));
    assert!(broken.is_empty(), "{} of {worlds} worlds break the law:\n{}", broken.len(), shown.collect::<Vec<_>>().join("\n"));
}

/// What a law draws beyond the world.
fn further(seed: u64) -> Rng {
    Rng::with_seed(!seed)
}

/// What is in a world: half of the worlds go without each kind of thing, so that the others meet more often.
struct Kinds {
    locks: bool,
    unknown_times: bool,
    young: bool,
    indexes: bool,
    referrers: bool,
    companions: bool,
    missing: bool,
    ghosts: bool,
    left_behind: bool,
    foreign_rules: bool,
}

struct Lot {
    rng: Rng,
    kinds: Kinds,
    now: Timestamp,
}

impl Lot {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let kinds = Kinds {
            locks: rng.bool(),
            unknown_times: rng.u8(0..4) == 0,
            young: rng.bool(),
            indexes: rng.bool(),
            referrers: rng.bool(),
            companions: rng.bool(),
            missing: rng.bool(),
            ghosts: rng.u8(0..4) == 0,
            left_behind: rng.u8(0..4) == 0,
            foreign_rules: rng.bool(),
        };
        // Any moment will do; this one is no round number of days.
        let now = Timestamp::from_second(1_790_000_123).expect("a time");
        Self { rng, kinds, now }
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.rng.u32(0..many) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(0..from.len())].clone()
    }

    fn world(mut self) -> World {
        let count = self.rng.usize(0..=MANIFESTS_MAX).max(self.rng.usize(0..=MANIFESTS_MAX));
        let mut bytes: Vec<u8> = (0x10..0x40).collect();
        self.rng.shuffle(&mut bytes);
        let digests: Vec<Digest> = bytes[..count].iter().map(|byte| Digest::from_bytes([*byte; 32])).collect();
        let mut manifests: Vec<Manifest> = Vec::new();
        for place in 0..count {
            let manifest = self.manifest(digests[place], &digests[..place]);
            manifests.push(manifest);
        }
        let tags = self.tags(&manifests);
        for manifest in &mut manifests {
            if !tags.iter().any(|tag| tag.digest == manifest.digest) {
                manifest.untagged_since = if self.one_in(4) { None } else { self.old_time() };
                if self.kinds.left_behind && self.one_in(3) {
                    manifest.left_behind_by = Some(Box::new(self.other(&digests)));
                }
            }
        }
        let observed_since = if self.one_in(4) { None } else { self.old_time() };
        let repository_locks = if self.kinds.locks && self.one_in(15) { self.locks() } else { Locks::OPEN };
        let mut policies: Vec<Policy> = (0..self.rng.usize(1..=3)).map(|place| self.policy(place)).collect();
        let acting = self.rng.usize(0..policies.len());
        if self.one_in(2) {
            // A rule that condemns most of what is there, so that what holds against it is seen at work.
            let tags = Selector::tags(patterns()[0].clone());
            let selector = self.pick(&[tags.clone(), tags, Selector::all(About::Untagged)]);
            let older_than = Some(self.age());
            let delete = Delete { selector, older_than, newer_than: None, except_last: None, adopt_backlog: self.rng.bool() };
            policies[acting].rules.push(Rule { name: "broad".into(), action: Action::Delete(delete) });
        }
        World { repository_locks, observed_since, manifests, tags, policies, acting, now: self.now }
    }

    /// A manifest can refer only to manifests that were there before it: a digest cannot be known in advance.
    fn manifest(&mut self, digest: Digest, earlier: &[Digest]) -> Manifest {
        let (mut children, mut subject) = (Vec::new(), None);
        if self.kinds.indexes && self.one_in(3) {
            children = (0..self.rng.usize(1..=3)).map(|_| self.other(earlier)).collect();
        }
        if self.kinds.referrers && self.one_in(3) {
            subject = Some(self.other(earlier));
        }
        let media_type = match (children.is_empty(), subject.is_some()) {
            (false, true) => MediaType::OciIndex,
            (false, false) => self.pick(&[MediaType::OciIndex, MediaType::DockerManifestList]),
            (true, true) => self.pick(&[MediaType::OciManifest, MediaType::OciArtifactManifest]),
            (true, false) => self.pick(&[MediaType::OciManifest, MediaType::DockerManifest]),
        };
        let references = if self.kinds.ghosts && self.one_in(6) { References::Ghost } else { References::new(children, subject) };
        let locks = if self.kinds.locks && self.one_in(10) { self.locks() } else { Locks::OPEN };
        let updated_at = self.time();
        Manifest {
            digest,
            media_type,
            updated_at,
            locks,
            size_bytes: 1,
            platform: None,
            references,
            untagged_since: None,
            left_behind_by: None,
        }
    }

    /// One of `digests`, or now and then one that is missing from the repository.
    fn other(&mut self, digests: &[Digest]) -> Digest {
        if digests.is_empty() || self.kinds.missing && self.one_in(5) {
            return Digest::from_bytes([self.rng.u8(0xe0..0xe3); 32]);
        }
        self.pick(digests)
    }

    fn tags(&mut self, manifests: &[Manifest]) -> Vec<Tag> {
        let digests: Vec<Digest> = manifests.iter().map(|manifest| manifest.digest).collect();
        let mut names = TAGS.to_vec();
        self.rng.shuffle(&mut names);
        let mut tags: Vec<Tag> = Vec::new();
        for manifest in manifests {
            let is_tied = manifest.references != References::None;
            let count = if is_tied && self.rng.bool() { 0 } else { self.pick(&[0, 0, 1, 1, 1, 2, 3]) };
            for _ in 0..count {
                let name = names.pop().map(str::to_owned);
                tags.extend(name.map(|name| self.tag(&name, manifest.digest)));
            }
            for _ in 0..if self.kinds.companions { self.pick(&[0, 0, 0, 1, 1, 2]) } else { 0 } {
                // Tags are names, so a companion can name any manifest, itself and its own companion too.
                let suffix = self.pick(&["", ".sig", ".att", ".sbom"]);
                let name = format!("sha256-{}{suffix}", self.other(&digests).hex());
                if !tags.iter().any(|tag| tag.name.as_str() == name) {
                    let tag = self.tag(&name, manifest.digest);
                    tags.push(tag);
                }
            }
        }
        tags
    }

    fn tag(&mut self, name: &str, digest: Digest) -> Tag {
        let locks = if self.kinds.locks && self.one_in(12) { self.locks() } else { Locks::OPEN };
        Tag { name: TagName::parse(name).expect("a tag"), digest, updated_at: self.time(), locks }
    }

    /// Some protect, some do not.
    fn locks(&mut self) -> Locks {
        self.pick(&[
            Locks { can_delete: false, ..Locks::OPEN },
            Locks { can_write: false, ..Locks::OPEN },
            Locks { can_read: false, can_list: false, ..Locks::OPEN },
            Locks::UNKNOWN,
        ])
    }

    fn time(&mut self) -> Option<Timestamp> {
        if self.kinds.unknown_times && self.one_in(8) {
            return self.pick(&[None, Some(self.now + SignedDuration::from_secs(1)), Some(self.now + SignedDuration::from_hours(99))]);
        }
        self.old_time()
    }

    fn old_time(&mut self) -> Option<Timestamp> {
        let ages = if self.kinds.young && self.one_in(4) { &AGES_SECONDS[..YOUNG_AGES] } else { &AGES_SECONDS[YOUNG_AGES..] };
        let age = self.pick(ages);
        Some(self.now - SignedDuration::from_secs(age))
    }

    fn policy(&mut self, place: usize) -> Policy {
        let count = self.rng.usize(1..=4);
        let rules: Vec<Rule> = (0..count).map(|rule| Rule { name: format!("rule-{rule}").into(), action: self.action() }).collect();
        let limits = Limits {
            keep_at_least: self.pick(&[0, 0, 0, 0, 1, 2]),
            min_age: SignedDuration::from_hours(self.pick(&[1, 1, 24, 168])),
            max_deletes: 500,
            max_delete_percent: 100,
            on_limit: OnLimit::Refuse,
            changes: Changes::NextRun,
        };
        policy(place, self.pick(&[Mode::DryRun, Mode::Enforce]), rules, limits)
    }

    fn action(&mut self) -> Action {
        let lot = self.rng.u32(0..20);
        if self.kinds.foreign_rules && lot < 6 {
            if lot < 4 {
                let selector = self.selector();
                let when = if self.rng.bool() { vec![KeepWhen::Last(self.count(&selector))] } else { Vec::new() };
                return Action::Keep(Keep { selector, when, all_tags: false });
            }
            let closed = Some(lot == 5);
            let change = self.pick(&[
                LockChange { can_delete: closed, ..LockChange::default() },
                LockChange { can_write: closed, ..LockChange::default() },
                LockChange { can_delete: closed, can_write: closed, ..LockChange::default() },
            ]);
            let on = self.pick(&[LockTarget::Tag, LockTarget::Manifest, LockTarget::Both]);
            let rule = LockRule { selector: Selector::tags(self.pick(patterns())), change, on };
            return if lot == 4 { Action::Lock(rule) } else { Action::Unlock(rule) };
        }
        let selector = self.selector();
        let except_last = if self.one_in(2) { Some(self.count(&selector)) } else { None };
        let older_than = if except_last.is_none() || self.rng.bool() { Some(self.age()) } else { None };
        let adopt_backlog = matches!(selector.about, About::Untagged) && self.rng.bool();
        Action::Delete(Delete { selector, older_than, newer_than: None, except_last, adopt_backlog })
    }

    fn age(&mut self) -> Age {
        format!("{}h", self.pick(&LIMITS_HOURS)).parse().expect("an age")
    }

    fn selector(&mut self) -> Selector {
        if self.one_in(4) { Selector::all(About::Untagged) } else { Selector::tags(self.pick(patterns())) }
    }

    /// Only what a policy file may say: versions where the selector reads versions, captures where it captures.
    fn count(&mut self, selector: &Selector) -> Count {
        let (mut per, mut order_by) = (Grouping::All, OrderBy::Time);
        match &selector.about {
            About::Tags(TagPattern::Semver { .. }) => {
                per = self.pick(&[Grouping::All, Grouping::Major, Grouping::Minor]);
                order_by = self.pick(&[OrderBy::Time, OrderBy::Version]);
            }
            About::Tags(TagPattern::Regex { any, .. }) => {
                let names: Vec<Box<str>> = any[0].capture_names().flatten().map(Into::into).collect();
                if !names.is_empty() && self.rng.bool() {
                    per = Grouping::Captures(if self.rng.bool() { names } else { names[..1].to_vec() });
                }
            }
            About::Tags(TagPattern::Glob { .. }) | About::Untagged | About::Orphaned | About::Images => {}
        }
        Count { images: Images::new(self.rng.u32(1..=3)).expect("above zero"), per, order_by }
    }
}

/// A policy on every repository.
pub(crate) fn policy(place: usize, mode: Mode, rules: Vec<Rule>, limits: Limits) -> Policy {
    Policy {
        name: format!("policy-{place}").into(),
        registries: vec![RegistryName::parse("a").expect("a name")],
        mode,
        schedule: None,
        repositories: RepositoryFilter { include: vec![everything()], exclude: Vec::new(), within: Vec::new() },
        rules,
        limits,
        origin: Arc::from("drawn"),
    }
}

fn everything() -> Pattern {
    static EVERYTHING: OnceLock<Pattern> = OnceLock::new();
    EVERYTHING.get_or_init(|| Pattern::parse("**").expect("a glob")).clone()
}

/// Globs.
pub(crate) fn glob(any: &[&str], except: &[&str]) -> TagPattern {
    let read = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).expect("a glob")).collect();
    TagPattern::Glob { any: read(any), except: read(except) }
}

/// Compiled once: compiling takes longer than a thousand worlds.
fn patterns() -> &'static [TagPattern] {
    static PATTERNS: OnceLock<Vec<TagPattern>> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        let regex = |text: &str| TagPattern::Regex { any: vec![TagPattern::regex(text).expect("a regex")], except: Vec::new() };
        let semver = |text: &str| TagPattern::Semver { any: vec![TagPattern::semver(text).expect("a range")], except: Vec::new() };
        vec![
            glob(&["*"], &[]),
            glob(&["*"], &[]),
            glob(&["*"], &["latest"]),
            glob(&["pr-*"], &[]),
            glob(&["pr-*", "b?-*"], &["pr-1", "*-y"]),
            glob(&["golden-*", "latest"], &[]),
            glob(&["sha256-*"], &[]),
            regex("(?<group>[a-z]+[0-9]*)-(?<kind>.+)"),
            regex("b(?<number>[0-9])-(?<kind>[xy])"),
            regex(".*"),
            semver(">=1.0.0"),
            semver("1"),
            semver(">=2.0.0-rc.0"),
        ]
    })
}

/// One of the patterns that rules are drawn with.
pub(crate) fn any_pattern(rng: &mut Rng) -> TagPattern {
    patterns()[rng.usize(0..patterns().len())].clone()
}

/// The age that a time is at `now`, as a person reads it.
struct Ago(Timestamp, Option<Timestamp>);

impl fmt::Display for Ago {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = self.1 else { return formatter.write_str("unknown") };
        let seconds = self.0.duration_since(time).as_secs();
        match (seconds / 3_600, seconds % 3_600) {
            (hours, 0) => write!(formatter, "{hours}h"),
            (0, seconds) => write!(formatter, "{seconds}s"),
            (hours, seconds) => write!(formatter, "{hours}h+{seconds}s"),
        }
    }
}

/// A manifest by the first byte of its digest: worlds have one for each.
pub(crate) fn short(digest: Digest) -> String {
    format!("#{}", &digest.hex()[..2])
}

/// A tag with the digest in it, if it is a companion's, cut as short.
pub(crate) fn short_tag(tag: &TagName) -> String {
    match tag.companion_subject() {
        Some(subject) => format!("sha256-{}{}", short(subject), &tag.as_str()["sha256-".len() + 64..]),
        None => tag.to_string(),
    }
}

fn shut(locks: Locks) -> &'static str {
    match (locks.protects(), locks == Locks::OPEN) {
        (true, _) => " LOCKED",
        (false, true) => "",
        (false, false) => " hidden",
    }
}

impl fmt::Display for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = |time| Ago(self.now, time);
        let observed = self.observed_since.map_or("now".to_owned(), |time| ago(Some(time)).to_string());
        writeln!(formatter, "repository{}, observed since {observed}; ages:", shut(self.repository_locks))?;
        for manifest in &self.manifests {
            let Manifest {
                digest,
                media_type: _,
                updated_at,
                locks,
                size_bytes: _,
                platform: _,
                references,
                untagged_since,
                left_behind_by,
            } = manifest;
            write!(formatter, "  {} {}{}", short(*digest), ago(*updated_at), shut(*locks))?;
            if *references == References::Ghost {
                write!(formatter, " ghost")?;
            }
            if !references.children().is_empty() {
                write!(formatter, " children {}", references.children().iter().map(|child| short(*child)).collect::<Vec<_>>().join(" "))?;
            }
            if let Some(subject) = references.subject() {
                write!(formatter, " subject {}", short(subject))?;
            }
            if let Some(since) = untagged_since {
                write!(formatter, " untagged {}", ago(Some(*since)))?;
            }
            if let Some(root) = left_behind_by {
                write!(formatter, " left behind by {}", short(**root))?;
            }
            writeln!(formatter)?;
            for tag in self.tags_of(*digest) {
                writeln!(formatter, "      {} {}{}", short_tag(&tag.name), ago(tag.updated_at), shut(tag.locks))?;
            }
        }
        for (place, policy) in self.policies.iter().enumerate() {
            let acts = if place == self.acting { ", acting" } else { "" };
            let Limits { keep_at_least, min_age, .. } = policy.limits;
            writeln!(formatter, "{}{acts}: keep_at_least {keep_at_least}, min_age {}h", policy.name, min_age.as_hours())?;
            for rule in &policy.rules {
                writeln!(formatter, "  {}: {:?}", rule.name, rule.action)?;
            }
        }
        Ok(())
    }
}
