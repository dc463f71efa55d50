//! A faithful Azure Container Registry in memory: its data plane, token service included, over HTTP or in-process.
//!
//! It imports nothing of this crate, on purpose: what client and emulator both got from one place would agree even where it is wrong. What it
//! imitates, from which evidence, and what is guessed stands in `docs/emulator.md`.

mod admin;
mod alter;
mod answer;
mod auth;
mod bin;
mod blobs;
mod content;
mod digest;
mod distribution;
mod drawn;
mod faults;
mod history;
mod http;
mod journal;
mod metadata;
mod name;
mod oauth;
mod paging;
mod percent;
mod quantity;
mod recorded;
mod roles;
mod route;
mod script;
mod seed;
mod serve;
mod snapshot;
mod storage;
mod throttle;
mod times;
mod tls;
mod token;
mod unknowns;
mod upload;
mod wire;
mod words;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use self::alter::Alteration;
pub use self::auth::{Credential, Permissions};
pub use self::content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST};
pub use self::digest::{Digest, InvalidDigest};
pub use self::faults::{Dropped, Failure, Fault, Response};
pub use self::http::RequestInfo;
pub use self::journal::{Counted, LoggedRequest};
pub use self::quantity::{SignedSpan, Span};
#[doc(hidden)]
pub use self::recorded::{RecordedManifest, RecordedTimes};
pub use self::roles::{Assignment, Grant, Role};
pub use self::seed::{Seed, SeedError};
pub use self::serve::serve_admin;
pub use self::snapshot::RepositorySnapshot;
pub use self::throttle::{Allowance, Sku, Throttle};
pub use self::tls::{Tls, TlsError};
pub use self::unknowns::{NoTags, PageOfZero, SWITCHES, Unknowns};
pub use self::words::LineError;
pub use self::world::{Locks, Quarantine};

use self::faults::Armed;
use self::http::Call;
use self::journal::Journal;
use self::roles::Assignments;
use self::throttle::Buckets;
use self::upload::Uploads;
use self::world::{Laws, World};

/// Tells the emulator's time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a test does to the registry at an exact moment: called for every request before it has any effect.
pub type Hook = Box<dyn Fn(&RequestInfo, &Emulator) + Send + Sync>;

/// Which registry is imitated: the switches where registries differ, and where nobody knows what the real one does.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name in bodies, challenges and tokens; `None` takes what the client calls it, the `Host` header.
    pub login_server: Option<String>,
    /// Whether requests need a token or password. Without, everything is open.
    pub require_auth: bool,
    /// Whether those without any credential may read.
    pub anonymous_pull: bool,
    /// What Entra identities may do, by their `oid` (or else `appid`) claim.
    pub identities: BTreeMap<String, Permissions>,
    /// What the identities may do that are not listed.
    pub identity_default: Permissions,
    /// Whether the registry authorises by repository (ABAC): then only the repository roles give rights to Entra identities, names with a star
    /// mean nothing in their scopes, and the catalog needs a role of its own.
    pub by_repository: bool,
    /// Users with passwords.
    pub credentials: Vec<Credential>,
    /// The audiences for which Entra tokens are accepted; a slash at the end makes no difference.
    pub audiences: Vec<String>,
    /// Whether readers of blobs are sent on to the storage behind the registry, as the real one does, or are served at once.
    pub blob_redirect: bool,
    /// How far the registry's clock is ahead of the one that it is given.
    pub clock_skew: SignedDuration,
    /// Whether what is pushed is withheld until [`Emulator::set_quarantine`] lets it pass: its tags are unknown to those who pull, its digest refused,
    /// unless they have the right to read the quarantine.
    pub quarantine: bool,
    /// How many connections may be open at once; further ones wait.
    pub connections_max: usize,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// How much is let through; `None` is everything.
    pub throttle: Option<Throttle>,
    /// How far in the past pushes are stamped, so that a registry filled by hand holds images that are old enough to go.
    pub push_age: SignedDuration,
    /// How many tags a manifest in a listing shows; the real registry leaves out what exceeds a limit nobody has published.
    pub tags_shown_max: usize,
    /// The page size without `n`.
    pub page_size_default: usize,
    /// What larger `n` are silently capped to.
    pub page_size_max: usize,
    /// The order of listings that ask for none.
    pub listing: Listing,
    /// Deleting a subject deletes what refers to it.
    pub cascade: bool,
    /// Whether a locked tag protects its manifest from deletion by digest. Unknown; the dangerous answer is the default, so that clients
    /// protect themselves.
    pub locked_tag_protects_manifest: bool,
    /// Whether locked tags and manifests protect their repository from deletion. Unknown; the dangerous answer is the default.
    pub locked_content_protects_repository: bool,
    /// How long what was deleted can be brought back; `None`: deleted is gone.
    pub soft_delete: Option<SignedDuration>,
    /// How much later than single items lists show what changes.
    pub listing_lag: SignedDuration,
    /// How much later than the registry its replica shows what changes.
    pub replica_lag: SignedDuration,
    /// How many uploads may be under way; a client that starts more and finishes none is broken.
    pub uploads_max: usize,
    /// Answers to the other open questions.
    pub unknowns: Unknowns,
}

/// The order of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// By name or digest, upwards: what was recorded.
    Ascending,
    /// Downwards, to find clients that count on the other.
    Descending,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            login_server: None,
            require_auth: true,
            anonymous_pull: false,
            identities: BTreeMap::new(),
            identity_default: Permissions::ALL,
            by_repository: false,
            credentials: Vec::new(),
            audiences: ["https://containerregistry.azure.net", "https://management.azure.com", "https://management.core.windows.net"]
                .map(str::to_owned)
                .to_vec(),
            blob_redirect: true,
            clock_skew: SignedDuration::ZERO,
            quarantine: false,
            connections_max: 1_024,
            latency: Duration::ZERO,
            throttle: None,
            push_age: SignedDuration::ZERO,
            tags_shown_max: 10,
            page_size_default: 100,
            page_size_max: 1000,
            listing: Listing::Ascending,
            cascade: true,
            locked_tag_protects_manifest: false,
            locked_content_protects_repository: false,
            soft_delete: None,
            listing_lag: SignedDuration::ZERO,
            replica_lag: SignedDuration::ZERO,
            uploads_max: 1_000,
            unknowns: Unknowns::default(),
        }
    }
}

/// What a test asked for that is not in the registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the emulator holds no {0}")]
pub struct NotHeld(String);

/// A registry. Clones are the same registry.
#[derive(Clone)]
pub struct Emulator(Arc<Inner>);

struct Inner {
    options: Options,
    now: Now,
    /// How far the clock is off, in milliseconds. Not part of the state, which may be locked when the time is asked for.
    skew_milliseconds: AtomicI64,
    hook: Mutex<Option<Arc<Hook>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    world: World,
    uploads: Uploads,
    journal: Journal,
    faults: Vec<Armed>,
    buckets: Buckets,
    assignments: Assignments,
    by_repository: bool,
    ids: u64,
    token_generation: u32,
}

impl Emulator {
    /// An empty registry that lives by this clock.
    pub fn new(options: Options, now: Now) -> Self {
        let state = Mutex::new(State { by_repository: options.by_repository, ..State::default() });
        let skew_milliseconds = AtomicI64::new(0);
        let emulator = Self(Arc::new(Inner { options, now, skew_milliseconds, hook: Mutex::new(None), state }));
        emulator.skew_clock(emulator.options().clock_skew);
        emulator
    }

    /// An empty registry that lives by the system's clock.
    #[allow(
        clippy::disallowed_methods,
        reason = "the emulator imports nothing of the crate, so it has its own one place that asks for the time"
    )]
    pub fn with_system_clock(options: Options) -> Self {
        Self::new(options, Arc::new(Timestamp::now))
    }

    /// The emulator's time, in the registry's steps of 100 nanoseconds.
    pub fn now(&self) -> Timestamp {
        let now = (self.0.now)();
        let skew = SignedDuration::from_millis(self.0.skew_milliseconds.load(Ordering::Relaxed));
        let now = now.checked_add(skew).unwrap_or(now);
        let fraction = now.subsec_nanosecond() / 100 * 100;
        Timestamp::new(now.as_second(), fraction).unwrap_or(now)
    }

    fn push_time(&self) -> Timestamp {
        let now = self.now();
        now.checked_sub(self.0.options.push_age).unwrap_or(now)
    }

    fn laws(&self) -> Laws {
        let options = self.options();
        Laws {
            cascade: options.cascade,
            locked_tag_protects: options.locked_tag_protects_manifest,
            locked_content_protects: options.locked_content_protects_repository,
            partial_repository_delete: options.unknowns.partial_repository_delete,
            soft_delete: options.soft_delete.map(|_| self.now()),
        }
    }

    fn options(&self) -> &Options {
        &self.0.options
    }

    /// The state. A panic elsewhere while it was held leaves it usable: every change is made in full or not begun.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id in the form of a UUID, different each time and the same in each run.
    fn next_id(&self) -> String {
        let mut state = self.lock();
        state.ids += 1;
        let hex = Digest::of(&state.ids.to_le_bytes()).hex();
        format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    /// Draws what `text` says, in the format of `docs/emulator.md`. Drawing an image or a tag into a repository that exists is a push.
    pub fn seed(&self, text: &str) -> Result<Seed, SeedError> {
        let now = self.now();
        seed::draw(&mut self.lock().world, text, now)
    }

    /// The time that a drawing says it is, if it does: a registry that should live at that time needs a clock that says so.
    pub fn now_of(text: &str) -> Result<Option<Timestamp>, SeedError> {
        seed::now(text)
    }

    /// Makes the next matching requests go wrong.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push(fault.into());
    }

    /// Makes requests go wrong as `script` says, in the format of `docs/emulator.md`, besides the faults that are waiting already.
    pub fn inject_script(&self, script: &str) -> Result<(), LineError> {
        let faults = script::read(script)?;
        self.lock().faults.extend(faults);
        Ok(())
    }

    /// Takes back all faults that are still waiting.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Calls `hook` for each request before it has any effect. The hook may use the emulator; a second hook replaces the first.
    pub fn on_request(&self, hook: Hook) {
        *self.0.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// How often each method and route was answered with each status.
    pub fn counts(&self) -> BTreeMap<Counted, u64> {
        self.lock().journal.counts.clone()
    }

    /// The latest requests that could have changed something, oldest first, those to the token service left out.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.lock().journal.requests.iter().cloned().collect()
    }

    /// Sets how far the registry's clock is ahead of the one that it was given.
    pub fn skew_clock(&self, skew: SignedDuration) {
        self.0.skew_milliseconds.store(i64::try_from(skew.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Makes the registry as empty as a new one: no contents, no uploads, no faults, nothing counted, and all tokens invalid. Roles and the clock
    /// stay as they are.
    pub fn reset(&self) {
        let mut state = self.lock();
        let State { world, uploads, journal, faults, buckets, assignments: _, by_repository: _, ids: _, token_generation } = &mut *state;
        *world = World::default();
        *uploads = Uploads::default();
        *journal = Journal::default();
        faults.clear();
        *buckets = Buckets::default();
        *token_generation += 1;
    }

    /// Makes all tokens invalid that were issued so far, as a registry does that changes the way it authorises.
    pub fn revoke_tokens(&self) {
        self.lock().token_generation += 1;
    }

    /// Gives an identity (`oid` or else `appid`) these roles in the place of those it had; none of them refuses it. Access tokens that it has
    /// stay good, as the real registry's do.
    pub fn assign(&self, identity: &str, assignments: Vec<Assignment>) {
        self.lock().assignments.insert(identity.to_owned(), assignments);
    }

    /// Gives identities the roles that `text` says, in the format of `docs/emulator.md`, in the place of those they had.
    pub fn assign_roles(&self, text: &str) -> Result<(), LineError> {
        let read = roles::read(text)?;
        self.lock().assignments.extend(read);
        Ok(())
    }

    /// Makes the registry authorise by repository or no longer. All tokens that were issued become invalid, as they do in the real one.
    pub fn authorize_by_repository(&self, by_repository: bool) {
        let mut state = self.lock();
        state.by_repository = by_repository;
        state.token_generation += 1;
    }

    /// Moves a tag, or makes it, as a push does now.
    pub fn move_tag(&self, repository: &str, tag: &str, digest: Digest) -> Result<(), NotHeld> {
        let now = self.push_time();
        self.remember(repository);
        let mut state = self.lock();
        let held = state.world.repository_mut(repository).map_err(|_| NotHeld(format!("repository {repository}")))?;
        if !held.manifests.contains_key(&digest) {
            return Err(NotHeld(format!("manifest {digest} in {repository}")));
        }
        held.set_tag(tag, digest, now);
        Ok(())
    }

    /// Removes a tag, locked or not.
    pub fn remove_tag(&self, repository: &str, tag: &str) -> Result<(), NotHeld> {
        self.remember(repository);
        let mut state = self.lock();
        let held = state.world.repository_mut(repository).map_err(|_| NotHeld(format!("repository {repository}")))?;
        if held.remove_tag(tag) { Ok(()) } else { Err(NotHeld(format!("tag {tag} in {repository}"))) }
    }

    /// Keeps what lists or replicas that lag still show.
    fn remember(&self, repository: &str) {
        let Options { listing_lag, replica_lag, .. } = self.options();
        let now = self.now();
        self.lock().world.remember(repository, now, *listing_lag + *replica_lag);
    }

    /// Sets the flags of a repository.
    pub fn lock_repository(&self, repository: &str, locks: Locks) -> Result<(), NotHeld> {
        let mut state = self.lock();
        let held = state.world.repository_mut(repository).map_err(|_| NotHeld(format!("repository {repository}")))?;
        held.locks = locks;
        Ok(())
    }

    /// Sets the flags of a tag.
    pub fn lock_tag(&self, repository: &str, tag: &str, locks: Locks) -> Result<(), NotHeld> {
        let mut state = self.lock();
        let held = state.world.repository_mut(repository).ok().and_then(|held| held.tags.get_mut(tag));
        held.ok_or_else(|| NotHeld(format!("tag {tag} in {repository}")))?.locks = locks;
        Ok(())
    }

    /// Sets the flags of a manifest.
    pub fn lock_manifest(&self, repository: &str, digest: Digest, locks: Locks) -> Result<(), NotHeld> {
        self.with_manifest(repository, digest, |manifest| manifest.locks = locks)
    }

    /// Makes a manifest a ghost: it is listed, and every request for it answers that it is unknown.
    pub fn make_ghost(&self, repository: &str, digest: Digest) -> Result<(), NotHeld> {
        self.with_manifest(repository, digest, |manifest| manifest.ghost = true)
    }

    /// Sets whether a manifest may be pulled.
    pub fn set_quarantine(&self, repository: &str, digest: Digest, state: Quarantine) -> Result<(), NotHeld> {
        self.with_manifest(repository, digest, |manifest| manifest.quarantine = Some(state))
    }

    fn with_manifest(&self, repository: &str, digest: Digest, change: impl FnOnce(&mut world::Manifest)) -> Result<(), NotHeld> {
        let mut state = self.lock();
        let held = state.world.repository_mut(repository).ok().and_then(|held| held.manifests.get_mut(&digest));
        change(held.ok_or_else(|| NotHeld(format!("manifest {digest} in {repository}")))?);
        Ok(())
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Emulator").field("options", self.options()).finish_non_exhaustive()
    }
}
