//! How much memory deciding takes at most, beside the listing that is decided about: for every shape and policy a row, and an error where a
//! manifest takes more than [`BYTES_MAX`]. `cargo bench --bench memory`; sizes as arguments.

mod shapes;

use std::process::ExitCode;

use peak_alloc::PeakAlloc;

use shapes::{ONE_RULE, Shape, TEN_RULES};

#[global_allocator]
static ALLOCATIONS: PeakAlloc = PeakAlloc;

/// What a manifest may take, its tags included: then a million of them are decided about in less than the listing takes.
const BYTES_MAX: f64 = 100.0;

fn main() -> ExitCode {
    let sizes: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 100_000, 1_000_000] } else { sizes };
    println!("{:>9}  {:<13}  {:>7}  {:>8}  {:>9}  {:>17}", "manifests", "shape", "listing", "one rule", "ten rules", "ten rules, audit");
    let mut most: f64 = 0.0;
    for size in sizes {
        for shape in [Shape::OneTag, Shape::TwoTags, Shape::FourPlatforms] {
            let before = ALLOCATIONS.current_usage();
            let contents = shapes::contents(shape, size);
            let each = |bytes: usize| bytes as f64 / f64::from(size);
            let listing = each(ALLOCATIONS.current_usage() - before);
            let [one, ten, audited] = [(ONE_RULE, false), (TEN_RULES, false), (TEN_RULES, true)].map(|(rules, is_audited)| {
                let policy = shapes::policy(rules);
                ALLOCATIONS.reset_peak_usage();
                let before = ALLOCATIONS.current_usage();
                let decided = shapes::decide(&contents, &policy, is_audited);
                let peak = each(ALLOCATIONS.peak_usage() - before);
                drop(decided);
                most = most.max(peak);
                peak
            });
            println!("{size:>9}  {:<13}  {listing:>7.0}  {one:>8.0}  {ten:>9.0}  {audited:>17.0}", format!("{shape:?}"));
        }
    }
    println!("bytes per manifest at most: {most:.0}");
    if most <= BYTES_MAX {
        return ExitCode::SUCCESS;
    }
    println!("error: more than {BYTES_MAX} bytes per manifest");
    ExitCode::FAILURE
}
