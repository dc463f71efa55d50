//! Who needs whom: from what stays on its own account to everything that must stay with it, and from what goes to what goes along.

use std::collections::VecDeque;

use super::bit_set::BitSet;
use super::graph::Hold;
use super::speak::Spoken;
use super::verdict::Reason;
use super::view::View;

/// What becomes of every manifest.
pub(super) struct Fate {
    stays: BitSet,
    goes: BitSet,
    /// Images that something describing them on its own account pins, with all their tags.
    pinned: BitSet,
    /// Why each manifest stays or goes that has no reason of its own. Room for them is made when there is one: where images are single
    /// manifests, there is none.
    causes: Vec<Option<Reason>>,
}

impl Fate {
    /// 1. What stays on its own account: images not condemned, and whatever is held by itself.
    /// 2. Downwards: an index keeps its children, a subject its referrers and companions, at any depth.
    /// 3. Upwards: a referrer that stays keeps its subject, because ACR would delete it with the subject; a companion does so only
    ///    if it stays on its own account, a companion tag by itself never does.
    /// 4. What is condemned and not reached goes, with everything below it that was not reached.
    /// 5. What neither reaches stays, and from there again as in 2 to 4.
    pub(super) fn of(view: &View<'_>, spoken: &[Spoken], at_least: &BitSet, condemned_tags: &BitSet) -> Self {
        let manifests = view.contents.manifests().len();
        let mut fate =
            Self { stays: BitSet::new(manifests), goes: BitSet::new(manifests), pinned: BitSet::new(manifests), causes: Vec::new() };
        let mut condemned = Vec::new();
        let mut queue = VecDeque::new();
        for manifest in view.places() {
            match own_account(view, spoken, at_least, condemned_tags, manifest) {
                OwnAccount::Condemned => condemned.push(manifest),
                OwnAccount::Stays => {
                    fate.stays.insert(manifest as usize);
                    queue.push_back(manifest);
                }
                OwnAccount::Silent => {}
            }
        }
        loop {
            fate.follow_what_stays(view, std::mem::take(&mut queue));
            fate.goes = BitSet::new(manifests);
            fate.follow_what_goes(view, &condemned);
            // Neither reached from what stays nor from what goes: only companions in a circle are. Kept, with all that they hold.
            for manifest in view.places().filter(|manifest| !fate.stays(*manifest) && !fate.goes(*manifest)) {
                queue.push_back(manifest);
            }
            for manifest in &queue {
                fate.stays.insert(*manifest as usize);
                fate.note_cause(view, *manifest, Reason::Circle);
            }
            if queue.is_empty() {
                fate.pin_subjects(view);
                return fate;
            }
        }
    }

    /// Pins, with all its tags, what something describes that stays without it: on its own account, held by something else, or
    /// pinned itself. Asked of the finished sets, so that the order of the search has no influence.
    fn pin_subjects(&mut self, view: &View<'_>) {
        let mut pinned = Vec::new();
        for manifest in self.stays.iter().filter(|manifest| !view.is_ghost(*manifest)) {
            let holders = view.graph.holders_of(manifest);
            let on_own_account = !self.is_derived(manifest);
            let held_otherwise = |subject: u32| holders.iter().any(|end| end.manifest != subject && self.stays(end.manifest));
            pinned.extend(holders.iter().filter_map(|end| match end.hold {
                Hold::Child => None,
                Hold::Referrer => (on_own_account || held_otherwise(end.manifest)).then_some(end.manifest),
                Hold::Companion => on_own_account.then_some(end.manifest),
            }));
        }
        while let Some(manifest) = pinned.pop() {
            if !self.pinned.contains(manifest as usize) {
                self.pinned.insert(manifest as usize);
                let subjects = view.graph.holders_of(manifest).iter().filter(|end| end.hold == Hold::Referrer);
                pinned.extend(subjects.map(|end| end.manifest));
            }
        }
    }

    fn follow_what_stays(&mut self, view: &View<'_>, mut queue: VecDeque<u32>) {
        while let Some(manifest) = queue.pop_front() {
            // A ghost blocks nothing.
            let on_own_account = !self.is_derived(manifest) && !view.is_ghost(manifest);
            let down = view.graph.held_by(manifest).iter().map(|end| {
                let reason = match end.hold {
                    Hold::Child => Reason::ChildOf(manifest),
                    Hold::Referrer => Reason::ReferrerOf(manifest),
                    Hold::Companion => Reason::CompanionOf(manifest),
                };
                (end.manifest, reason)
            });
            let keeps_holder = |hold: Hold| match hold {
                Hold::Child => false,
                Hold::Referrer => true,
                Hold::Companion => on_own_account,
            };
            let holders = view.graph.holders_of(manifest).iter();
            let up = holders.filter(|end| keeps_holder(end.hold)).map(|end| (end.manifest, Reason::SubjectOf(manifest)));
            for (next, reason) in down.chain(up) {
                if !self.stays.contains(next as usize) {
                    self.stays.insert(next as usize);
                    self.note_cause(view, next, reason);
                    queue.push_back(next);
                }
            }
        }
    }

    fn follow_what_goes(&mut self, view: &View<'_>, condemned: &[u32]) {
        let mut queue: VecDeque<(u32, u32)> = VecDeque::new();
        for root in condemned.iter().copied().filter(|root| !self.stays.contains(*root as usize)) {
            self.goes.insert(root as usize);
            queue.push_back((root, root));
        }
        while let Some((manifest, root)) = queue.pop_front() {
            for end in view.graph.held_by(manifest) {
                let place = end.manifest as usize;
                if !self.stays.contains(place) && !self.goes.contains(place) {
                    self.goes.insert(place);
                    self.note_cause(view, end.manifest, Reason::WithRoot(root));
                    queue.push_back((end.manifest, root));
                }
            }
        }
    }

    pub(super) fn stays(&self, manifest: u32) -> bool {
        self.stays.contains(manifest as usize)
    }

    pub(super) fn goes(&self, manifest: u32) -> bool {
        self.goes.contains(manifest as usize)
    }

    /// Whether the manifest must stay whole, with all its tags, for something that describes it.
    pub(super) fn is_pinned(&self, manifest: u32) -> bool {
        self.pinned.contains(manifest as usize)
    }

    /// Whether the manifest stays or goes because of another.
    pub(super) fn is_derived(&self, manifest: u32) -> bool {
        self.cause_of(manifest).is_some()
    }

    /// Because of which other. Asked of derived manifests and of companions of what goes.
    pub(super) fn cause(&self, manifest: u32) -> Reason {
        self.cause_of(manifest).unwrap_or(Reason::WithManifest)
    }

    fn cause_of(&self, manifest: u32) -> Option<Reason> {
        self.causes.get(manifest as usize).copied().flatten()
    }

    fn note_cause(&mut self, view: &View<'_>, manifest: u32, cause: Reason) {
        self.causes.resize(view.contents.manifests().len(), None);
        self.causes[manifest as usize] = Some(cause);
    }
}

enum OwnAccount {
    Stays,
    Condemned,
    /// Held by others and with nothing to say for itself.
    Silent,
}

fn own_account(view: &View<'_>, spoken: &[Spoken], at_least: &BitSet, condemned_tags: &BitSet, manifest: u32) -> OwnAccount {
    if view.is_held(manifest, at_least) {
        return OwnAccount::Stays;
    }
    let mut tags = view.ordinary_tags(manifest).peekable();
    if tags.peek().is_some() {
        let all_go = tags.all(|tag| condemned_tags.contains(tag as usize));
        return if all_go { OwnAccount::Condemned } else { OwnAccount::Stays };
    }
    if !view.graph.holders_of(manifest).is_empty() {
        return OwnAccount::Silent;
    }
    let mut condemning = Vec::new();
    view.bare_condemning_reasons(manifest, spoken, &mut condemning);
    if condemning.is_empty() || view.bare_is_kept(manifest, spoken) { OwnAccount::Stays } else { OwnAccount::Condemned }
}
