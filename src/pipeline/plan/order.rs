//! The order of deletion: what holds another goes first, so that every interruption leaves garbage and never a hole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use jiff::Timestamp;

use crate::model::{Contents, Digest};

use super::super::evaluate::{Graph, Verdicts};

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
    let going_holders = |manifest: u32| {
        let holders = graph.holders_of(manifest).iter().map(|end| end.manifest).filter(|holder| manifests.goes(*holder));
        let mut holders: Vec<u32> = holders.collect();
        holders.dedup();
        holders
    };
    let mut waiting: BTreeMap<u32, usize> = BTreeMap::new();
    let mut ready: Vec<Turn> = Vec::new();
    for manifest in manifests.going() {
        match going_holders(manifest).len() {
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
            for next in held {
                if let Some(holders) = waiting.get_mut(&next) {
                    *holders -= 1;
                    if *holders == 0 {
                        waiting.remove(&next);
                        ready.push(turn(next));
                    }
                }
            }
        }
        // Only companions that name each other wait for each other: any of them may go first.
        let Some(first) = waiting.keys().copied().max_by_key(|manifest| turn(*manifest)) else { return ordered };
        waiting.remove(&first);
        ready.push(turn(first));
    }
}
