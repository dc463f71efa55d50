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
/// A blob that is read piece by piece. The largest layer that ACR takes has 200 GiB.
pub(super) const BLOB_STREAM_MAX_BYTES: u64 = 200 << 30;
/// Bytes of a blob sent by one request; as much as Microsoft's SDKs send. They pass within [`ATTEMPT_MAX`] at 1.2 Mbit/s.
pub(super) const UPLOAD_CHUNK_BYTES: usize = 4 << 20;
/// Where an upload goes on: a path and the registry's state of it, recorded at 200 characters.
pub(super) const UPLOAD_LOCATION_MAX_LENGTH: usize = 4096;
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
/// Between two pieces of a body that is read piece by piece.
pub(super) const PIECE_MAX: Duration = Duration::from_secs(30);
/// How often the download of one blob is taken up again where it broke.
pub(super) const DOWNLOAD_RESUMES_MAX: u32 = 8;
/// A listing from its first page to its last. A million manifests are 1,000 pages; at two seconds each, throttling included, they take
/// 33 minutes. What takes longer than twice that says nothing about the registry as it is now.
pub(super) const LISTING_MAX: Duration = Duration::from_secs(3600);
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

/// Share of its rate that a budget takes, so that the bucket of the registry is never quite empty: clocks differ, and requests bunch.
pub(super) const RATE_MARGIN: f64 = 0.98;
/// Share of the registry's bucket that those who take everything at once leave in it, for the same reason…
pub(super) const BUCKET_RESERVE: f64 = 0.05;
/// … and at least so many calls: with fewer than 60 ACR reports 0 calls a second left, which stands for an empty bucket.
pub(super) const BUCKET_RESERVE_MIN_CALLS: f64 = 70.0;
/// What is left of a budget's rate when the registry reports that its bucket is all but empty, though it did not refuse yet.
pub(super) const BUDGET_EASE: f64 = 0.9;
/// How often a budget is eased at most: answers that were on their way say the same once more.
pub(super) const BUDGET_EASE_EVERY: Duration = Duration::from_secs(10);
/// What is left of a budget's rate after a refusal. Whoever shares the bucket is refused too and halves as well: what is free grows
/// faster than with any milder answer.
pub(super) const BUDGET_SHRINK: f64 = 0.5;
/// Share of its full rate by which a lowered one grows…
pub(super) const BUDGET_GROWTH: f64 = 0.1;
/// … and how often: back from a half within five of the minutes in which ACR counts.
pub(super) const BUDGET_GROWTH_EVERY: Duration = Duration::from_secs(60);
/// Slower than one call in ten seconds no budget becomes: one call must be made to see that the registry answers again.
pub(super) const CALLS_PER_SECOND_MIN: f64 = 0.1;

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
/// Until the Azure CLI must have answered: it starts a Python program of its own, which takes seconds on a busy machine.
pub(super) const AZURE_CLI_MAX: Duration = Duration::from_secs(30);
/// How long an assertion is good. Entra takes it within a second; ten minutes forgive a clock that is behind.
pub(super) const ASSERTION_LIFE_SECONDS: i64 = 600;
