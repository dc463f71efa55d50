//! The arguments of `retaind emulate`. Does not act on them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::emulator::{SignedSpan, Sku, Span};

#[derive(Debug, Args)]
pub(in crate::cli) struct EmulateArguments {
    /// Where to listen; loopback addresses only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5001")]
    pub(in crate::cli) listen: SocketAddr,
    /// Draw this registry first (the format is in docs/emulator.md)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) seed: Option<PathBuf>,
    /// Ask for no token at all
    #[arg(long)]
    pub(in crate::cli) open: bool,
    /// Let everybody read
    #[arg(long)]
    pub(in crate::cli) anonymous_pull: bool,
    /// Accept the admin user, whose name is the first label of the host name or `admin`, with the password in this file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) admin_password_file: Option<PathBuf>,
    /// Stamp pushes this far in the past, e.g. 40d, so that they are old enough to be cleaned
    #[arg(long, value_name = "AGE")]
    pub(in crate::cli) push_age: Option<crate::policy::Age>,
    /// Serve HTTPS, and write the certificate authority to DIR/ca.pem
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) tls_dir: Option<PathBuf>,
    /// A further name for the certificate
    #[arg(long, value_name = "NAME", requires = "tls_dir")]
    pub(in crate::cli) tls_name: Vec<String>,
    /// Serve blobs at once instead of sending their readers on to a storage, as the real registry does
    #[arg(long)]
    pub(in crate::cli) no_blob_redirect: bool,
    /// Serve the admin endpoint here, over plain HTTP: counts, faults, roles, reset; loopback addresses only
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) admin_listen: Option<SocketAddr>,
    /// Who has which roles (the format is in docs/emulator.md); whom it does not name may do everything
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) roles: Option<PathBuf>,
    /// Authorise by repository (ABAC): only the repository roles count, and no scope of all repositories
    #[arg(long)]
    pub(in crate::cli) abac: bool,
    /// Keep what is pushed in quarantine until the admin endpoint lets it pass
    #[arg(long)]
    pub(in crate::cli) quarantine: bool,
    /// What was deleted can be brought back for this long, e.g. 7d
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) soft_delete: Option<Span>,
    /// Lists show changes this much later than single items do
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(in crate::cli) listing_lag: Span,
    /// Serve a replica here, which shows changes later; loopback addresses only
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) replica_listen: Option<SocketAddr>,
    /// How much later the replica shows changes
    #[arg(long, value_name = "TIME", default_value = "5s", requires = "replica_listen")]
    pub(in crate::cli) replica_lag: Span,
    /// Answer an open question about the real registry otherwise than usual, e.g. no-tags=absent (docs/emulator.md lists them)
    #[arg(long, value_name = "NAME=ANSWER")]
    pub(in crate::cli) assume: Vec<String>,
    /// How many connections may be open at once
    #[arg(long, value_name = "COUNT", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) max_connections: u32,
    /// How far the registry's clock is ahead, e.g. 10m or -10m
    #[arg(long, value_name = "TIME", default_value = "0s", allow_hyphen_values = true)]
    pub(in crate::cli) clock_skew: SignedSpan,
    /// How long every answer takes at least, e.g. 30ms
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(in crate::cli) latency: Span,
    /// Make requests go wrong as this script says (the format is in docs/emulator.md)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) faults: Option<PathBuf>,
    /// Let through only what this service tier does: basic, standard or premium; without it, everything
    #[arg(long, value_name = "TIER")]
    pub(in crate::cli) sku: Option<Sku>,
    /// What the first 429 tells clients to wait; with 0s, no longer than the bucket needs
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "sku")]
    pub(in crate::cli) retry_after: Span,
}
