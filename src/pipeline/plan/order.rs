//! The order of deletion: what holds another goes first, so that every interruption leaves garbage and never a hole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::model::{Contents, Time};

use super::super::evaluate::{BitSet, Graph, Hold, Verdicts};

pub(super) struct Ordered {
    /// All manifests that go.
    pub(super) manifests: Vec<u32>,
    /// Each of them with each that holds it and stands before it, in order of their places.
    pub(super) waits: Vec<(u32, u32)>,
}

/// Oldest first, so that an interrupted run has done the most useful part; ties by place, which is by digest, so that the order is one.
type Turn = Reverse<(Option<Time>, u32)>;

/// All manifests that go: parents before children, subjects before referrers and companions, otherwise oldest first.
pub(super) fn holders_first(contents: &Contents, graph: &Graph, manifests: &Verdicts) -> Ordered {
    let turn = |manifest: u32| -> Turn { Reverse((contents.manifests()[manifest as usize].updated_at, manifest)) };
    let contradictions: BTreeSet<(u32, u32)> = manifests.going().flat_map(|manifest| contradictions(graph, manifest)).collect();
    let going_holders = |manifest: u32| {
        let holders = graph.holders_of(manifest).iter().map(|end| end.manifest).filter(|holder| manifests.goes(*holder));
        let mut holders: Vec<u32> = holders.filter(|holder| !contradictions.contains(&(*holder, manifest))).collect();
        holders.dedup();
        holders
    };
    let mut waiting = Waiting::default();
    // Those that wait for nobody, the first at the end: a million of them take no heap.
    let mut free: Vec<u32> = Vec::new();
    // The subjects that wait for each index.
    let mut cascading: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for manifest in manifests.going() {
        let listing = listing_what_goes_along(graph, manifests, manifest);
        listing.iter().for_each(|index| cascading.entry(*index).or_default().push(manifest));
        match going_holders(manifest).len() + listing.len() {
            0 => free.push(manifest),
            holders => waiting.0.push((manifest, u32::try_from(holders).unwrap_or(u32::MAX))),
        }
    }
    free.sort_unstable_by_key(|manifest| turn(*manifest));
    let mut ordered = Ordered { manifests: Vec::with_capacity(free.len() + waiting.0.len()), waits: Vec::new() };
    let mut done = BitSet::new(contents.manifests().len());
    // Those that wait no more.
    let mut ready: BinaryHeap<Turn> = BinaryHeap::new();
    loop {
        while let Some(manifest) = next(&mut free, &mut ready, turn) {
            ordered.manifests.push(manifest);
            let held: Vec<u32> = graph.held_by(manifest).iter().map(|end| end.manifest).filter(|held| manifests.goes(*held)).collect();
            let before = going_holders(manifest).into_iter().filter(|holder| done.contains(*holder as usize));
            ordered.waits.extend(before.map(|holder| (manifest, holder)));
            done.insert(manifest as usize);
            let mut held: Vec<u32> = held.into_iter().filter(|next| !contradictions.contains(&(manifest, *next))).collect();
            held.dedup();
            for next in held.into_iter().chain(cascading.remove(&manifest).unwrap_or_default()) {
                if waiting.one_less(next) {
                    ready.push(turn(next));
                }
            }
        }
        // A companion tag is a name that anyone can write, so companions can close a circle. It is opened where one waits: a child
        // never goes before an index that lists it, nor a referrer before its subject.
        let waits_as_companion = |manifest: u32| {
            let mut others = graph.holders_of(manifest).iter().filter(|end| end.hold != Hold::Companion && manifests.goes(end.manifest));
            others.all(|end| done.contains(end.manifest as usize) || contradictions.contains(&(end.manifest, manifest)))
        };
        let first = waiting.places().max_by_key(|manifest| (waits_as_companion(*manifest), turn(*manifest)));
        let Some(first) = first else {
            ordered.waits.sort_unstable();
            return ordered;
        };
        waiting.no_more(first);
        ready.push(turn(first));
    }
}

/// Whose turn it is.
fn next(free: &mut Vec<u32>, ready: &mut BinaryHeap<Turn>, turn: impl Fn(u32) -> Turn) -> Option<u32> {
    let of_free = free.last().map(|manifest| turn(*manifest));
    if ready.peek() < of_free.as_ref() {
        return free.pop();
    }
    ready.pop().map(|Reverse((_, manifest))| manifest)
}

/// Those that wait, in order of their places, each with how many it waits for; none: it waits no more.
#[derive(Default)]
struct Waiting(Vec<(u32, u32)>);

impl Waiting {
    /// Whether this was the last that it waited for.
    fn one_less(&mut self, manifest: u32) -> bool {
        let Ok(place) = self.0.binary_search_by_key(&manifest, |(waiting, _)| *waiting) else { return false };
        let holders = &mut self.0[place].1;
        let was_the_last = *holders == 1;
        *holders = holders.saturating_sub(1);
        was_the_last
    }

    fn no_more(&mut self, manifest: u32) {
        if let Ok(place) = self.0.binary_search_by_key(&manifest, |(waiting, _)| *waiting) {
            self.0[place].1 = 0;
        }
    }

    fn places(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter(|(_, holders)| *holders != 0).map(|(manifest, _)| *manifest)
    }
}

/// The indexes that go and list something that describes this manifest, at any depth: ACR deletes that with the manifest, so an index
/// that is skipped after all would lose it. They go first, unless they lie below the manifest and so go after it.
fn listing_what_goes_along(graph: &Graph, manifests: &Verdicts, subject: u32) -> Vec<u32> {
    if !graph.held_by(subject).iter().any(|end| end.hold == Hold::Referrer) {
        return Vec::new();
    }
    let mut along: BTreeSet<u32> = BTreeSet::new();
    let mut next = vec![subject];
    while let Some(manifest) = next.pop() {
        let referrers = graph.held_by(manifest).iter().filter(|end| end.hold == Hold::Referrer);
        next.extend(referrers.map(|end| end.manifest).filter(|referrer| along.insert(*referrer)));
    }
    let holders = along.iter().flat_map(|referrer| graph.holders_of(*referrer)).filter(|end| end.hold == Hold::Child);
    let indexes: BTreeSet<u32> = holders.map(|end| end.manifest).filter(|index| manifests.goes(*index) && *index != subject).collect();
    if indexes.is_empty() {
        return Vec::new();
    }
    let below = below(graph, BTreeSet::new(), vec![subject]);
    indexes.into_iter().filter(|index| !below.contains(index)).collect()
}

/// `next` and all that they hold, at any depth, added to what is known to lie below already.
fn below(graph: &Graph, mut below: BTreeSet<u32>, mut next: Vec<u32>) -> BTreeSet<u32> {
    while let Some(manifest) = next.pop() {
        if below.insert(manifest) {
            next.extend(graph.held_by(manifest).iter().map(|end| end.manifest));
        }
    }
    below
}

/// The holds on an index by what lies below one of its own children, as when it names its child as its subject: it goes first all
/// the same, because an index without its child is a hole and a subject without its referrer is none.
fn contradictions(graph: &Graph, index: u32) -> Vec<(u32, u32)> {
    let mut holders = graph.holders_of(index).iter().filter(|end| end.hold != Hold::Child).peekable();
    let children = graph.held_by(index).iter().filter(|end| end.hold == Hold::Child);
    let next: Vec<u32> = children.map(|end| end.manifest).collect();
    if holders.peek().is_none() || next.is_empty() {
        return Vec::new();
    }
    let below = below(graph, BTreeSet::from([index]), next);
    holders.filter(|end| below.contains(&end.manifest)).map(|end| (end.manifest, index)).collect()
}
