//! Small repositories and the policies on them, drawn by lot from a seed: few manifests, but every way in which they can hang together,
//! and times that meet each other and every limit. Does not know what should happen to them.

mod rules;

use std::fmt;
use std::sync::{Arc, LazyLock};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use retaind::model::{
    Condemned, Contents, Digest, Facts, Inventory, Listing, Locks, Manifest, Mark, MediaType, Observations, OwnLock, Platform, References,
    RegistryName, Repository, RepositoryName, Tag, TagName, Texts, Time,
};
use retaind::pipeline::evaluate::Question;
use retaind::pipeline::plan::Audit;
use retaind::policy::{About, Action, Delete, END_OF_LIFE_KEY, LIFECYCLE_ARTIFACT_TYPE, Limits, Policy, Rule, Selector};

use rules::{any_closed, any_lock, patterns};
pub(crate) use rules::{any_keep, glob, policy};

/// The most manifests of a world: enough for an index of an index, a chain of referrers and two bystanders.
const MANIFESTS_MAX: usize = 8;
/// Seconds before now, each several times: young, at the very limit, a second beyond it, old. Few values, so that times are often equal.
const AGES_SECONDS: [i64; 14] =
    [60, 3_599, 3_600, 3_601, 86_400, 86_401, 604_800, 604_801, 864_000, 864_000, 2_592_000, 2_592_001, 5_184_000, 5_184_000];
/// How many of [`AGES_SECONDS`], from the left, are within a day.
const YOUNG_AGES: usize = 6;
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

/// Ends of lives: long past, yesterday, today, far away, around the very second of `now`, and such as cannot be read.
const ENDS: [&str; 11] = [
    "2020-02-29",
    "2026-09-20",
    "2026-09-21",
    "2099-01-01",
    "2026-09-21T14:15:22Z",
    "2026-09-21T14:15:23Z",
    "2026-09-21T16:15:22+02:00",
    "2026-09-21T14:15:22-00:30",
    "soon",
    "2026-02-30",
    "2020-01-01T00:00:00",
];

/// What images run on; that of attestations is told and is none, that of the last is not told.
static PLATFORMS: LazyLock<[Option<Arc<Platform>>; 6]> = LazyLock::new(|| {
    ["linux/amd64", "linux/amd64", "linux/arm64", "windows/amd64", "unknown/unknown", ""].map(|text| text.parse().ok().map(Arc::new))
});

/// A repository, the policies that name it, and the time.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) repository_locks: Locks,
    pub(crate) observed_since: Option<Timestamp>,
    /// What rules with a waiting time condemned before; such rules are added by those who ask, no world is drawn with one.
    pub(crate) condemned: Vec<Condemned>,
    pub(crate) own_locks: Vec<OwnLock>,
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) acting: usize,
    pub(crate) now: Timestamp,
}

/// How much of the policy language a world's policies speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// Tags and untagged images; always, the newest so many, older than.
    Core,
    /// Filters, orphans, periods and whatever else there is, and listings that tell or do not tell what filters ask for.
    Whole,
}

impl World {
    /// The world of this seed, in the core language.
    pub(crate) fn drawn(seed: u64) -> Self {
        Self::drawn_in(Language::Core, seed)
    }

    fn drawn_in(language: Language, seed: u64) -> Self {
        Lot::new(seed, language).world()
    }

    pub(crate) fn contents(&self) -> Arc<Contents> {
        Arc::new(Contents::new(self.manifests.clone(), self.tags.clone()).expect("worlds are consistent"))
    }

    /// The world as a listing of its own time, of a repository of this name.
    pub(crate) fn inventory(&self, name: &RepositoryName) -> Inventory {
        let observations = Observations {
            since: self.observed_since,
            shrunk_from: None,
            condemned: self.condemned.clone(),
            own_locks: self.own_locks.clone(),
        };
        let listing = Listing::Complete(self.contents());
        let repository = Repository { name: name.clone(), locks: self.repository_locks, observations, listing };
        Inventory { registry: RegistryName::parse("a").expect("a name"), taken_at: self.now, repositories: vec![repository] }
    }

    pub(crate) fn acting(&self) -> &Policy {
        &self.policies[self.acting]
    }

    /// Asks `about` what becomes of this world.
    pub(crate) fn ask<T>(&self, contents: &Contents, about: impl FnOnce(&Question<'_>, &Audit<'_>) -> T) -> T {
        let policies: Vec<&Policy> = self.policies.iter().collect();
        let Self { repository_locks, observed_since, acting, now, .. } = *self;
        let (condemned, own_locks) = (self.condemned.clone(), self.own_locks.clone());
        let observations = &Observations { since: observed_since, shrunk_from: None, condemned, own_locks };
        about(
            &Question { repository_locks, observations, contents, policies: &policies, acting, now },
            &Audit { repository_locks, observations, contents, policies: &policies, acting, now },
        )
    }

    /// Leaves marks of the acting policy's rules on some of the items, from any time.
    pub(crate) fn mark(&mut self, rng: &mut Rng) {
        let (policy, now) = (self.acting().clone(), self.now);
        for rule in &policy.rules {
            let manifests = self.manifests.iter().map(|manifest| (manifest.digest, None));
            let tags = self.tags.iter().map(|tag| (tag.digest, Some(tag.name.clone())));
            for (digest, tag) in manifests.chain(tags) {
                if rng.bool() {
                    continue;
                }
                let since = now - SignedDuration::from_hours(rng.i64(-1..2_000));
                self.condemned.push(Condemned { mark: Mark { policy: policy.name.clone(), rule: rule.name.clone(), digest, tag }, since });
            }
        }
        self.condemned.sort_unstable();
    }

    /// Gives some of the acting policy's delete rules a waiting time, and leaves marks of earlier runs.
    pub(crate) fn wait_for_some(&mut self, rng: &mut Rng) {
        self.mark(rng);
        let acting = self.acting;
        for rule in &mut self.policies[acting].rules {
            if let Action::Delete(delete) = &mut rule.action {
                delete.condemned_for = rng.bool().then(|| "72h".parse().expect("an age"));
            }
        }
    }

    /// Gives the acting policy lock rules, and leaves locks on some of the items that its rules closed, or other policies', or rules that
    /// are not there any more; some of them were changed since.
    pub(crate) fn close_some(&mut self, rng: &mut Rng) {
        let acting = self.acting;
        for number in 0..rng.usize(1..=2) {
            let rule = any_lock(rng);
            self.policies[acting].rules.push(Rule { name: format!("own-{number}").into(), action: Action::Lock(rule) });
        }
        let names: Vec<Arc<str>> = self.acting().rules.iter().map(|rule| rule.name.clone()).chain(["gone".into()]).collect();
        let policy = self.acting().name.clone();
        let manifests = self.manifests.iter_mut().map(|manifest| (manifest.digest, None, &mut manifest.locks));
        let tags = self.tags.iter_mut().map(|tag| (tag.digest, Some(tag.name.clone()), &mut tag.locks));
        for (digest, tag, locks) in manifests.chain(tags) {
            if rng.bool() {
                continue;
            }
            let closed = any_closed(rng);
            closed.can_delete.into_iter().for_each(|open| locks.can_delete = open);
            closed.can_write.into_iter().for_each(|open| locks.can_write = open);
            closed.can_read.into_iter().for_each(|open| locks.can_read = open);
            let policy = if rng.u8(0..8) == 0 { "other".into() } else { policy.clone() };
            // Own rules come last, but for the one that is gone.
            let rule = names[names.len() - rng.usize(1..=names.len().min(4))].clone();
            let mark = Mark { policy, rule, digest, tag };
            self.own_locks.push(OwnLock { mark, closed, left: *locks });
            if rng.u8(0..4) == 0 {
                locks.can_read = !locks.can_read;
            }
        }
    }

    /// The tags of a manifest.
    pub(crate) fn tags_of(&self, digest: Digest) -> impl Iterator<Item = &Tag> {
        self.tags.iter().filter(move |tag| tag.digest == digest)
    }
}

/// How many worlds each law is held against when `RETAIND_WORLDS` does not say so: some seconds for all of them in a debug build.
const WORLDS_DEFAULT: u64 = 5_000;

/// Holds a law against many worlds of the core language.
pub(crate) fn for_many_worlds(law: impl Fn(&World, Rng) -> Result<(), String> + Sync) {
    for_many_worlds_in(Language::Core, law);
}

/// Holds a law against many worlds, on all cores, and shows the first few that break it. `RETAIND_WORLDS` says how many;
/// `RETAIND_SEED` asks for one alone, drawn even if it keeps the law.
pub(crate) fn for_many_worlds_in(language: Language, law: impl Fn(&World, Rng) -> Result<(), String> + Sync) {
    const SHOWN_MAX: usize = 3;
    let read = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number")));
    if let Some(seed) = read("RETAIND_SEED") {
        let world = World::drawn_in(language, seed);
        println!("{world}");
        return law(&world, further(seed)).unwrap_or_else(|why| panic!("seed {seed}\n{why}"));
    }
    let worlds = read("RETAIND_WORLDS").unwrap_or(WORLDS_DEFAULT);
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let broken: Vec<(u64, String)> = std::thread::scope(|scope| {
        let law = &law;
        let share = |worker| (worker..worlds).step_by(usize::try_from(workers).unwrap_or(1));
        let ask = move |seed| law(&World::drawn_in(language, seed), further(seed)).err().map(|why| (seed, why));
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || share(worker).filter_map(ask).collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let shown =
        broken.iter().take(SHOWN_MAX).map(|(seed, why)| format!("RETAIND_SEED={seed}\n{}{why}\n", World::drawn_in(language, *seed)));
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
    language: Language,
    kinds: Kinds,
    now: Timestamp,
}

impl Lot {
    fn new(seed: u64, language: Language) -> Self {
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
        Self { rng, language, kinds, now }
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
                manifest.untagged_since = if self.one_in(4) { None } else { self.old_time().map(Time::from) };
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
            let delete =
                Delete { selector, older_than, newer_than: None, except_last: None, condemned_for: None, adopt_backlog: self.rng.bool() };
            policies[acting].rules.push(Rule { name: "broad".into(), action: Action::Delete(delete) });
        }
        World {
            repository_locks,
            observed_since,
            condemned: Vec::new(),
            own_locks: Vec::new(),
            manifests,
            tags,
            policies,
            acting,
            now: self.now,
        }
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
        let updated_at = self.time().map(Time::from);
        let (mut size_bytes, mut platform, mut facts) = (1, None, None);
        if self.language == Language::Whole {
            size_bytes = self.pick(&[0, 999, 1_000, 1_001, 2_001]);
            platform = if media_type.is_index() { None } else { self.pick(&*PLATFORMS) };
            facts = if references == References::Ghost || self.one_in(8) { None } else { Some(Box::new(self.facts())) };
        }
        Manifest {
            digest,
            media_type,
            updated_at,
            locks,
            size_bytes,
            platform,
            references,
            untagged_since: None,
            left_behind_by: None,
            facts,
        }
    }

    /// What the document and the config say, where they can be read.
    fn facts(&mut self) -> Facts {
        let texts = |pairs: &[(&str, &str)]| Texts::Known(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
        let end = |date| texts(&[(END_OF_LIFE_KEY, date)]);
        let unreadable = Texts::Unreadable("drawn so".into());
        let types = [None, Some("a/b"), Some("a/b/c"), Some(LIFECYCLE_ARTIFACT_TYPE), Some(LIFECYCLE_ARTIFACT_TYPE)];
        let artifact_type = self.pick(&types).map(Into::into);
        let (none, team_a, team_b) = (Texts::none(), texts(&[("team", "a")]), texts(&[("team", "b"), ("teams", "a")]));
        let annotations = if self.rng.bool() {
            self.pick(&[none.clone(), team_a.clone(), texts(&[("team", "b/c"), ("x", "")])])
        } else {
            let date = self.pick(&ENDS);
            end(date)
        };
        let labels = self.pick(&[none, team_a.clone(), team_a, team_b, Texts::NotRead, unreadable]);
        Facts { artifact_type, annotations, labels }
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
        Tag { name: TagName::parse(name).expect("a tag"), digest, updated_at: self.time().map(Time::from), locks }
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
            let Manifest { digest, media_type, updated_at, locks, size_bytes, platform, references, untagged_since, left_behind_by, facts } =
                manifest;
            write!(formatter, "  {} {}{}", short(*digest), ago(updated_at.map(Timestamp::from)), shut(*locks))?;
            if let Some(platform) = platform {
                write!(formatter, " {platform}")?;
            }
            write!(formatter, " {size_bytes}B {}", media_type.as_str().trim_start_matches("application/vnd."))?;
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
                write!(formatter, " untagged {}", ago(Some((*since).into())))?;
            }
            if let Some(root) = left_behind_by {
                write!(formatter, " left behind by {}", short(**root))?;
            }
            if let Some(facts) = facts {
                write!(formatter, " {facts:?}")?;
            }
            writeln!(formatter)?;
            for tag in self.tags_of(*digest) {
                writeln!(formatter, "      {} {}{}", short_tag(&tag.name), ago(tag.updated_at.map(Timestamp::from)), shut(tag.locks))?;
            }
        }
        for OwnLock { mark, closed, left } in &self.own_locks {
            let tag = mark.tag.as_ref().map(short_tag).unwrap_or_default();
            writeln!(formatter, "rule {} of {} closed {} {tag}: {closed:?}, left {left:?}", mark.rule, mark.policy, short(mark.digest))?;
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
