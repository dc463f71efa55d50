//! What the policies say about a repository: a verdict with reasons for every manifest and every tag.
//! Pure. Knows neither limits on how much may go (see `guard`) nor the order of deletion (see `plan`).

mod bit_set;
mod count;
mod described;
mod graph;
mod locks;
mod reach;
mod select;
mod speak;
mod verdict;
mod view;

use jiff::Timestamp;

use crate::model::{Contents, Locks, Mark, Observations};
use crate::policy::Policy;

use reach::Fate;
use select::Item;
use speak::Spoken;
use verdict::VerdictsBuilder;
use view::View;

pub use bit_set::BitSet;
pub use graph::{End, Graph, Hold};
pub use locks::{AskedByRules, LockDecision, LockDecisions, LockPlace};
pub use verdict::{Reason, RuleRef, Verdicts};
pub use view::untagged_since;

/// What is asked: one repository, the policies that name it, which of them acts, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The repository's own lock.
    pub repository_locks: Locks,
    /// What earlier looks and runs noted about the repository.
    pub observations: &'a Observations,
    /// Everything in the repository.
    pub contents: &'a Contents,
    /// Every policy that names the repository, of whatever mode: their keep and lock rules protect it in each other's runs.
    pub policies: &'a [&'a Policy],
    /// The place in `policies` of the one whose delete, lock and unlock rules act.
    pub acting: usize,
    /// The time.
    pub now: Timestamp,
}

/// The answer. Every manifest and every tag of the contents has exactly one verdict, with at least one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// By place in [`Contents::manifests`].
    pub manifests: Verdicts,
    /// By place in [`Contents::tags`].
    pub tags: Verdicts,
    /// Locks to close or open.
    pub locks: LockDecisions,
    /// What the acting policy's rules with a waiting time condemn now: the marks that a run leaves.
    pub marks: Vec<Mark>,
    /// Which manifest holds which.
    pub graph: Graph,
    /// How many images there are: manifests with an ordinary tag, and those that nothing holds, orphans included.
    pub images: u32,
    /// How many of them go.
    pub images_going: u32,
    /// How many of the images are orphans, which are a share of what is there and must not make a loss of real images look small.
    pub orphans: u32,
    /// How many of the orphans go.
    pub orphans_going: u32,
}

/// Evaluates one repository.
///
/// 1. Every rule is matched against every tag, once, and its filters against every manifest.
/// 2. Images that stay without using a slot are found (locks, lock rules, unknown times, unconditional keeps), so that counted
///    rules count the others only.
/// 3. Each tag, and each untagged image, is condemned or not, by itself.
/// 4. What stays is followed through the graph: nothing that something staying needs can go.
/// 5. What is condemned and not held goes, and takes along what only it needed.
pub fn evaluate(question: &Question<'_>) -> Evaluation {
    let view = View::new(question);
    let slotless = view.slotless_images();
    let spoken = speak::hear(&view, &slotless);
    let at_least = count::at_least(&view);
    let condemned = view.condemned_tags(&spoken, &at_least);
    let fate = Fate::of(&view, &spoken, &at_least, &condemned);
    let tags = tag_verdicts(&view, &spoken, &at_least, &condemned, &fate);
    let manifests = manifest_verdicts(&view, &spoken, &at_least, &fate, &tags);
    // Orphans are no images and take no place in a count, but they are a share of what is there: a rule on them has its brake, too.
    let roots = || view.places().filter(|manifest| view.is_image(*manifest) || view.is_orphan(*manifest));
    let orphans = || view.places().filter(|manifest| view.is_orphan(*manifest));
    Evaluation {
        locks: locks::decide(&view, &manifests, &tags),
        marks: view.marks(&spoken, &at_least),
        images: count_of(roots()),
        images_going: count_of(roots().filter(|manifest| manifests.goes(*manifest))),
        orphans: count_of(orphans()),
        orphans_going: count_of(orphans().filter(|manifest| manifests.goes(*manifest))),
        manifests,
        tags,
        graph: view.graph,
    }
}

fn count_of(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

fn tag_verdicts(view: &View<'_>, spoken: &[Spoken], at_least: &BitSet, condemned: &BitSet, fate: &Fate) -> Verdicts {
    let mut verdicts = VerdictsBuilder::with_capacity(view.contents.tags().len());
    let mut reasons = Vec::new();
    for tag in 0..bit_set::place(view.contents.tags().len()) {
        reasons.clear();
        let manifest = view.contents.owner_of(tag);
        if view.graph.is_companion_tag(tag) {
            let goes = fate.goes(manifest);
            if !goes {
                reasons.push(view.companion_reason(tag, fate));
            } else if fate.is_derived(manifest) {
                reasons.push(fate.cause(manifest));
            } else {
                own_condemning_reasons(view, spoken, manifest, &mut reasons);
            }
            verdicts.push(goes, &reasons);
            continue;
        }
        // A condemned tag stays all the same when its image must stay whole for something that describes it.
        let goes = condemned.contains(tag as usize) && !fate.is_pinned(manifest);
        if goes {
            view.condemning_rules(Item::Tag(tag), spoken, &mut reasons);
        } else {
            view.tag_keep_reasons(tag, spoken, &mut reasons);
            if view.is_held(manifest, at_least) || fate.is_pinned(manifest) {
                reasons.push(Reason::WithManifest);
            }
            if reasons.is_empty() {
                reasons.push(Reason::NoRule);
            }
            view.condemning_rules(Item::Tag(tag), spoken, &mut reasons);
        }
        verdicts.push(goes, &reasons);
    }
    verdicts.finish()
}

/// Adds what condemns a manifest by itself: the rules on its tags, or what speaks for it without any.
fn own_condemning_reasons(view: &View<'_>, spoken: &[Spoken], manifest: u32, reasons: &mut Vec<Reason>) {
    for tag in view.ordinary_tags(manifest) {
        view.condemning_rules(Item::Tag(tag), spoken, reasons);
    }
    reasons.sort_unstable();
    reasons.dedup();
    view.bare_condemning_reasons(manifest, spoken, reasons);
}

fn manifest_verdicts(view: &View<'_>, spoken: &[Spoken], at_least: &BitSet, fate: &Fate, tags: &Verdicts) -> Verdicts {
    let mut verdicts = VerdictsBuilder::with_capacity(view.contents.manifests().len());
    let mut reasons = Vec::new();
    for manifest in view.places() {
        reasons.clear();
        let goes = fate.goes(manifest);
        let ordinary_tags = || view.ordinary_tags(manifest);
        if goes {
            own_condemning_reasons(view, spoken, manifest, &mut reasons);
            if reasons.is_empty() {
                reasons.push(fate.cause(manifest));
            }
        } else {
            view.hold_reasons(manifest, at_least, &mut reasons);
            reasons.extend(ordinary_tags().filter(|tag| !tags.goes(*tag)).map(Reason::TagStays));
            view.rules_that_spare(Item::Bare(manifest), spoken, &mut reasons);
            if fate.is_derived(manifest) {
                reasons.push(fate.cause(manifest));
            }
            if reasons.is_empty() {
                reasons.push(if view.is_image(manifest) { Reason::NoRule } else { Reason::SubjectAbsent });
            }
            view.bare_condemning_reasons(manifest, spoken, &mut reasons);
        }
        verdicts.push(goes, &reasons);
    }
    verdicts.finish()
}
