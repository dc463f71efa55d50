//! Every bound of the client with its arithmetic. Beyond a bound the answer is an error, and what is not known is kept.

use std::time::Duration;

/// Items asked for per page; ACR caps a larger `n` silently at 1,000.
pub const PAGE_SIZE_MAX: u16 = 1000;

/// One page of a listing. 1,000 manifests at ~500 bytes are 0.5 MB; quarantine details and long tag lists make it ten times that.
pub(super) const LIST_PAGE_MAX_BYTES: usize = 8 << 20;
/// A manifest: ACR itself refuses larger ones.
pub(super) const MANIFEST_MAX_BYTES: usize = 4 << 20;
/// A config blob: typically 2 to 20 kB, and no larger than the manifest that names it may be.
pub const BLOB_MAX_BYTES: usize = 4 << 20;
/// The properties of one repository, tag or manifest. An index of 1,000 children lists ~120 bytes for each: 120 kB.
pub(super) const PROPERTIES_MAX_BYTES: usize = 1 << 20;
/// The answer to the deletion of a repository lists all its digests, 75 bytes each: room for 100,000.
pub(super) const DELETED_REPOSITORY_MAX_BYTES: usize = 8 << 20;
/// An error envelope: recorded ones are below 500 bytes.
pub(super) const ERROR_MAX_BYTES: usize = 64 << 10;
/// A token answer: recorded JWTs are below 2 kB.
pub(super) const TOKEN_MAX_BYTES: usize = 64 << 10;

/// Pages of one listing: 1,000 items each make 100 million, more than any registry holds; a loop ends here at the latest.
pub(super) const PAGES_MAX: u32 = 100_000;
/// Pages in a row without any item. A registry may answer some while it skips what is hidden, but it must move on.
pub(super) const EMPTY_PAGES_MAX: u32 = 10;
/// A cursor is an inverted time and a name: 19 + 3 + 128 characters, percent-encoded at worst three times as long.
pub(super) const LINK_MAX_LENGTH: usize = 4096;

/// Children of one index, and references in its properties. Real indexes list platforms and attestations: tens.
pub(super) const CHILDREN_MAX: usize = 1000;
/// Annotations of one manifest; they are text for people and selectors.
pub(super) const ANNOTATIONS_MAX: usize = 1000;
/// Labels of one image, for the same reason.
pub(super) const LABELS_MAX: usize = 1000;
/// Keys and values of all labels of one image: a hundred of 600 bytes. They are held for every image of a repository at once.
pub(super) const LABELS_MAX_BYTES: usize = 64 << 10;

/// Characters of the registry's own words that go into an error.
pub(super) const SAID_MAX_LENGTH: usize = 300;

/// Requests in flight per client. The .NET team provoked ghosts by thousands of parallel deletes; 16 at 50 ms each are 320
/// requests a second, twice what a Standard registry allows.
pub(super) const IN_FLIGHT_MAX: usize = 16;
/// One attempt from the first byte sent to the last byte read. A page of 8 MiB at 3 Mbit/s takes 22 s.
pub(super) const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// Until a connection stands; longer means that nobody answers.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Attempts of one operation, the first included.
pub(super) const ATTEMPTS_MAX: u32 = 8;
/// Attempts that may end without any answer. Whoever misspelt a host waits three seconds for the answer, and a registry that
/// hangs costs four times [`ATTEMPT_MAX`]: two minutes.
pub(super) const ATTEMPTS_UNANSWERED_MAX: u32 = 4;
/// Retries that a client may do in a burst before it must have had successes.
pub(super) const RETRY_BURST: u32 = 100;
/// Successes that pay for one retry: at most a tenth of the load is retries.
pub(super) const SUCCESSES_PER_RETRY: u32 = 10;
/// First back-off without `Retry-After`; doubles with each attempt.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// Longest back-off without `Retry-After`.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Longest `Retry-After` that is honoured: ACR counts down from 60, so twice that; an absurd one must not stop a run for days.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);
/// Shortest pause after a throttled answer, also where `Retry-After` says zero, less, or a time that has passed.
pub(super) const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// After a pause those who waited start spread over this time instead of at once.
pub(super) const PAUSE_SPREAD: Duration = Duration::from_millis(500);

/// Access tokens held, one per repository and purpose, ~2 kB each: 8 MB.
pub(super) const TOKENS_HELD_MAX: usize = 4096;
/// Share of its life after which a token is renewed while the old one still serves, in percent.
pub(super) const TOKEN_RENEWED_AFTER_PERCENT: i64 = 75;
/// How long a token is believed in whose expiry cannot be read.
pub(super) const OPAQUE_TOKEN_LIFE_SECONDS: i64 = 60;
/// A refusal is remembered this long, so that sixteen callers do not ask sixteen times.
pub(super) const REFUSAL_REMEMBERED: Duration = Duration::from_secs(5);
/// After a 401 the refresh token is thrown away too, unless it is younger than this: then it is not what is wrong.
pub(super) const REFRESH_TOKEN_TRUSTED_SECONDS: i64 = 60;
/// Until Microsoft Entra or the identity endpoint of the machine must have answered. Both answer within a second; the
/// library alone would try for over a minute.
pub(super) const ENTRA_MAX: Duration = Duration::from_secs(10);
