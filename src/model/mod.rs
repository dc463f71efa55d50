//! What a registry is: names, digests, locks, manifests, tags and a listing of them.
//! Plain values. Knows no clock, no I/O, no JSON and no policy.

mod digest;
mod facts;
mod inventory;
mod locks;
mod media_type;
mod name;
mod observations;
mod platform;
mod time;

pub use digest::{Digest, DigestWriter, InvalidDigest};
pub use facts::{ConfigBlob, Depth, Facts, Pairs, Texts};
pub use inventory::{Contents, Gap, Inventory, Listing, Manifest, References, Repository, Tag, Tie};
pub use locks::{Level, LockChange, Locks};
pub use media_type::MediaType;
pub use name::{InvalidName, RegistryName, RepositoryName, TagName};
pub use observations::{CLOCK_DIFFERENCE_MAX, Condemned, Mark, Observations, OwnLock};
pub use platform::{InvalidPlatform, Platform};
pub use time::Time;
