//! The order of deletion: what holds another goes first, so that every interruption leaves garbage and never a hole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use jiff::Timestamp;

use crate::model::{Contents, Digest};

use super::super::evaluate::{Graph, Hold, Verdicts};

pub(super) struct Ordered {
    pub(super) manifest: u32,
    /// The manifests before it that hold it.
    pub(super) after: Vec<u32>,
}

/// Oldest first, so that an interrupted run has done the most useful part; ties by digest, so that the order is one.
type Turn = Reverse<(Option<Timestamp>, Digest, u32)>;

/// All manifests that go: parents before children, subjects before referrers and companions, otherwise oldest first.
pub(super) fn holders_first(contents: &Contents, graph: &Graph, manifests: &Verdicts) -> Vec<Ordered> {
    let turn = |manifest: u32| -> Turn {
        let item = &contents.manifests()[manifest as usize];
        Reverse((item.updated_at, item.digest, manifest))
    };
    let contradictions: BTreeSet<(u32, u32)> = manifests.going().flat_map(|manifest| contradictions(graph, manifest)).collect();
    let going_holders = |manifest: u32| {
        let holders = graph.holders_of(manifest).iter().map(|end| end.manifest).filter(|holder| manifests.goes(*holder));
        let mut holders: Vec<u32> = holders.filter(|holder| !contradictions.contains(&(*holder, manifest))).collect();
        holders.dedup();
        holders
    };
    let mut waiting: BTreeMap<u32, usize> = BTreeMap::new();
    let mut ready: Vec<Turn> = Vec::new();
    // The subjects that wait for each index.
    let mut cascading: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for manifest in manifests.going() {
        let listing = listing_what_goes_along(graph, manifests, manifest);
        listing.iter().for_each(|index| cascading.entry(*index).or_default().push(manifest));
        match going_holders(manifest).len() + listing.len() {
            0 => ready.push(turn(manifest)),
            holders => drop(waiting.insert(manifest, holders)),
        }
    }
    let mut ordered = Vec::with_capacity(ready.len() + waiting.len());
    let mut done = BTreeSet::new();
    let mut ready = BinaryHeap::from(ready);
    loop {
        while let Some(Reverse((_, _, manifest))) = ready.pop() {
            let after = going_holders(manifest).into_iter().filter(|holder| done.contains(holder)).collect();
            ordered.push(Ordered { manifest, after });
            let mut held: Vec<u32> = graph.held_by(manifest).iter().map(|end| end.manifest).filter(|held| manifests.goes(*held)).collect();
            held.dedup();
            if !held.is_empty() {
                done.insert(manifest);
            }
            let held = held.into_iter().filter(|next| !contradictions.contains(&(manifest, *next)));
            for next in held.chain(cascading.remove(&manifest).unwrap_or_default()) {
                if let Some(holders) = waiting.get_mut(&next) {
                    *holders -= 1;
                    if *holders == 0 {
                        waiting.remove(&next);
                        ready.push(turn(next));
                    }
                }
            }
        }
        // A companion tag is a name that anyone can write, so companions can close a circle. It is opened where one waits: a child
        // never goes before an index that lists it, nor a referrer before its subject.
        let waits_as_companion = |manifest: u32| {
            let mut others = graph.holders_of(manifest).iter().filter(|end| end.hold != Hold::Companion && manifests.goes(end.manifest));
            others.all(|end| done.contains(&end.manifest) || contradictions.contains(&(end.manifest, manifest)))
        };
        let first = waiting.keys().copied().max_by_key(|manifest| (waits_as_companion(*manifest), turn(*manifest)));
        let Some(first) = first else { return ordered };
        waiting.remove(&first);
        ready.push(turn(first));
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
