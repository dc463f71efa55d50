//! How fast repositories are decided: evaluation, ordered steps and the plan's hash, without any I/O. `cargo bench --bench plan`.

mod shapes;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

use shapes::{ONE_RULE, Shape, TEN_RULES};

fn main() {
    divan::main();
}

const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];

fn plan(bencher: Bencher<'_, '_>, shape: Shape, manifests: u32, rules: &str, is_audited: bool) {
    let (contents, policy) = (shapes::contents(shape, manifests), shapes::policy(rules));
    bencher.counter(ItemsCount::new(manifests)).bench_local(|| shapes::decide(black_box(&contents), &policy, is_audited));
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn one_rule(bencher: Bencher<'_, '_>, images: u32) {
    plan(bencher, Shape::OneTag, images, ONE_RULE, false);
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn ten_rules(bencher: Bencher<'_, '_>, images: u32) {
    plan(bencher, Shape::OneTag, images, TEN_RULES, false);
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn ten_rules_audited(bencher: Bencher<'_, '_>, images: u32) {
    plan(bencher, Shape::OneTag, images, TEN_RULES, true);
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn two_tags_ten_rules(bencher: Bencher<'_, '_>, images: u32) {
    plan(bencher, Shape::TwoTags, images, TEN_RULES, false);
}

#[divan::bench(args = SIZES, sample_count = 7, sample_size = 1)]
fn four_platforms_ten_rules(bencher: Bencher<'_, '_>, manifests: u32) {
    plan(bencher, Shape::FourPlatforms, manifests, TEN_RULES, false);
}
