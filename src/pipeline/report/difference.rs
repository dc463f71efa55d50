//! What an edit of policies changes: images that newly go, and ones that no longer do, with the reasons on both sides; and the same for
//! what would go if policies in dry-run were enforced. Compares decisions; makes none.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::layout::paragraph;
use crate::model::{Digest, RegistryName, RepositoryName, TagName};
use crate::policy::Policy;

use super::super::evaluate::{Evaluation, Reason};
use super::text::{image_line, sentences, stays_because, why_it_stays};
use super::words::{Context, counted, other_time};
use super::{DecidedRepository, mode_word};

/// What differs between two sets of policies on one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The registry.
    pub registry: RegistryName,
    /// When the listing began that both sides rest on.
    pub taken_at: Timestamp,
    /// The time that ages were reckoned to.
    pub now: Timestamp,
    /// The policies that are new, gone, or of another mode, a sentence each: the same verdicts then have other consequences.
    pub policies: Vec<String>,
    /// The repositories in which anything differs, by name.
    pub repositories: BTreeMap<RepositoryName, Vec<Changed>>,
    /// The repositories of which nothing can be said, because their listing is incomplete.
    pub not_compared: BTreeSet<RepositoryName>,
}

/// What becomes of something by all policies of one side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// No policy removes it.
    Stays,
    /// Only policies in dry-run would.
    WouldGo,
    /// A policy that is enforced does.
    Goes,
}

/// A manifest or a tag of which something else is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The manifest, or the manifest that the tag points at.
    pub digest: Digest,
    /// The tag that is removed, or no longer is, while its manifest stays; None: the manifest itself.
    pub tag: Option<TagName>,
    /// Its tags, digest, age and size, for people.
    pub shown: String,
    /// How it differs.
    pub change: Change,
    /// Why it stayed or went, one sentence for each policy.
    pub before: Vec<String>,
    /// Why it goes or stays.
    pub after: Vec<String>,
}

/// How something differs, in the order in which it is told: what cannot be undone comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It goes now, and did not before.
    NowGoes,
    /// It went, and does not any more.
    NowStays,
    /// It stayed, and would go if policies in dry-run were enforced.
    WouldGo,
    /// It would have gone if policies in dry-run had been enforced, and no longer would.
    WouldStay,
}

impl Change {
    fn of(before: Fate, after: Fate) -> Option<Self> {
        match (before, after) {
            (Fate::Stays, Fate::Stays) | (Fate::WouldGo, Fate::WouldGo) | (Fate::Goes, Fate::Goes) => None,
            (Fate::Stays | Fate::WouldGo, Fate::Goes) => Some(Self::NowGoes),
            (Fate::Goes, Fate::Stays | Fate::WouldGo) => Some(Self::NowStays),
            (Fate::Stays, Fate::WouldGo) => Some(Self::WouldGo),
            (Fate::WouldGo, Fate::Stays) => Some(Self::WouldStay),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NowGoes => "now goes",
            Self::NowStays => "now stays",
            Self::WouldGo => "would go",
            Self::WouldStay => "would stay",
        }
    }
}

/// Compares what every policy of one set decides with what every policy of another set decides about the same listing.
pub fn difference<'a>(
    listing: (&RegistryName, Timestamp, Timestamp),
    before: &'a [DecidedRepository<'a>],
    after: &'a [DecidedRepository<'a>],
) -> Difference {
    let (registry, taken_at, now) = listing;
    let names: BTreeSet<&RepositoryName> = before.iter().chain(after).map(|decided| &decided.repository.name).collect();
    let mut repositories = BTreeMap::new();
    for name in names {
        let side =
            |decided: &'a [DecidedRepository<'a>]| Side { sides: decided.iter().filter(|one| one.repository.name == *name).collect(), now };
        let changed = repository(&side(before), &side(after));
        if !changed.is_empty() {
            repositories.insert(name.clone(), changed);
        }
    }
    let incomplete = before.iter().chain(after).filter(|decided| decided.evaluation.is_none());
    let not_compared = incomplete.map(|decided| decided.repository.name.clone()).collect();
    Difference { registry: registry.clone(), taken_at, now, policies: Vec::new(), repositories, not_compared }
}

/// What an edit changes about policies as a whole.
pub fn edited_policies(before: &[Policy], after: &[Policy]) -> Vec<String> {
    let mode = |policies: &[Policy], name: &str| policies.iter().find(|policy| &*policy.name == name).map(|policy| mode_word(policy.mode));
    let names: BTreeSet<&str> = before.iter().chain(after).map(|policy| &*policy.name).collect();
    let sentence = |name: &str| match (mode(before, name), mode(after, name)) {
        (Some(old), Some(new)) if old != new => Some(format!("policy {name}: mode was {old}, is {new} now")),
        (None, Some(new)) => Some(format!("policy {name} is new ({new})")),
        (Some(old), None) => Some(format!("policy {name} is gone (it was {old})")),
        (_, _) => None,
    };
    names.into_iter().filter_map(sentence).collect()
}

/// One repository by one set of policies: what each policy that names it decides.
struct Side<'a> {
    sides: Vec<&'a DecidedRepository<'a>>,
    now: Timestamp,
}

impl<'a> Side<'a> {
    fn each(&self) -> impl Iterator<Item = (Context<'a>, &'a Evaluation)> + '_ {
        self.sides.iter().filter_map(|decided| decided.spoken_of(self.now))
    }

    fn fate(&self, goes: impl Fn(&Evaluation) -> bool) -> Fate {
        let by_policy = self.each().map(|(context, evaluation)| match (goes(evaluation), context.policies[context.acting].is_enforced()) {
            (false, _) => Fate::Stays,
            (true, false) => Fate::WouldGo,
            (true, true) => Fate::Goes,
        });
        by_policy.max().unwrap_or(Fate::Stays)
    }

    /// Whether only an image that goes takes it along, or keeps it: the image is told instead.
    fn is_part(&self, manifest: u32) -> bool {
        let part =
            |reason: &Reason| matches!(reason, Reason::WithRoot(_) | Reason::ChildOf(_) | Reason::ReferrerOf(_) | Reason::CompanionOf(_));
        self.each().all(|(_, evaluation)| evaluation.manifests.reasons(manifest).iter().all(part))
    }

    /// Why, by the policies that have their way: those that delete it, or else all.
    fn why(&self, goes: impl Fn(&Evaluation) -> bool, why: impl Fn(&Context<'_>, &Evaluation) -> String) -> Vec<String> {
        let any = self.each().any(|(_, evaluation)| goes(evaluation));
        let speaking = self.each().filter(|(_, evaluation)| goes(evaluation) == any);
        let said: Vec<String> = speaking
            .map(|(context, evaluation)| {
                let policy = context.policies[context.acting];
                format!("policy {} ({}): {}", policy.name, mode_word(policy.mode), why(&context, evaluation))
            })
            .collect();
        if said.is_empty() { vec!["no policy names the repository".to_owned()] } else { said }
    }

    fn why_manifest(&self, manifest: u32) -> Vec<String> {
        self.why(
            |evaluation| evaluation.manifests.goes(manifest),
            |context, evaluation| {
                if evaluation.manifests.goes(manifest) {
                    sentences(context, evaluation.manifests.reasons(manifest))
                } else {
                    why_it_stays(context, evaluation, manifest)
                }
            },
        )
    }

    fn why_tag(&self, tag: u32) -> Vec<String> {
        self.why(
            |evaluation| evaluation.tags.goes(tag),
            |context, evaluation| {
                let reasons = evaluation.tags.reasons(tag);
                if evaluation.tags.goes(tag) {
                    return sentences(context, reasons);
                }
                reasons.iter().map(|reason| stays_because(context, *reason)).collect::<Vec<_>>().join("; ")
            },
        )
    }
}

fn repository(before: &Side<'_>, after: &Side<'_>) -> Vec<Changed> {
    let Some((context, _)) = after.each().next().or(before.each().next()) else { return Vec::new() };
    let contents = context.contents;
    let mut changed = Vec::new();
    let mut oldest_first: Vec<_> = (0_u32..).zip(contents.manifests()).collect();
    oldest_first.sort_by_key(|(_, item)| item.updated_at);
    for (manifest, item) in oldest_first {
        let manifest_goes = |evaluation: &Evaluation| evaluation.manifests.goes(manifest);
        let (was, is) = (before.fate(manifest_goes), after.fate(manifest_goes));
        if let Some(change) = Change::of(was, is) {
            if !(after.is_part(manifest) && before.is_part(manifest)) {
                let (before, after) = (before.why_manifest(manifest), after.why_manifest(manifest));
                changed.push(Changed { digest: item.digest, tag: None, shown: image_line(&context, manifest), change, before, after });
            }
            continue;
        }
        for tag in contents.tags_of(manifest).filter(|_| is != Fate::Goes) {
            let tag_goes = |evaluation: &Evaluation| evaluation.tags.goes(tag);
            let Some(change) = Change::of(before.fate(tag_goes), after.fate(tag_goes)) else { continue };
            let name = contents.tags()[tag as usize].name.clone();
            let shown = format!("tag {name} of {}", image_line(&context, manifest));
            let (before, after) = (before.why_tag(tag), after.why_tag(tag));
            changed.push(Changed { digest: item.digest, tag: Some(name), shown, change, before, after });
        }
    }
    // What has the same reasons is told together, oldest first.
    changed.sort_by(|left, right| (left.change, &left.after, &left.before).cmp(&(right.change, &right.after, &right.before)));
    changed
}

/// A difference for a terminal.
pub fn difference_as_text(difference: &Difference) -> String {
    let Difference { registry, taken_at, now, policies, repositories, not_compared } = difference;
    let mut out = paragraph("", 2, &format!("what the edit changes on {registry}, by the listing of {taken_at:.0}"));
    for sentence in other_time(*taken_at, *now).iter().chain(policies) {
        out += &paragraph("", 2, sentence);
    }
    for (name, changed) in repositories {
        out += &format!("\n{name}\n");
        for (place, Changed { shown, change, before, after, .. }) in changed.iter().enumerate() {
            let alike = |other: Option<&Changed>| {
                other.is_some_and(|other| (other.change, &other.before, &other.after) == (*change, before, after))
            };
            let is_first = place == 0 || !alike(changed.get(place - 1));
            out += &paragraph(&format!("  {:<10}  ", if is_first { change.words() } else { "" }), 14, shown);
            if alike(changed.get(place + 1)) {
                continue;
            }
            for (side, why) in [("before", before), ("after", after)] {
                for (number, sentence) in why.iter().enumerate() {
                    out += &paragraph(&format!("              {:<6}  ", if number == 0 { side } else { "" }), 22, sentence);
                }
            }
        }
    }
    for name in not_compared {
        out += "\n";
        out += &paragraph("", 2, &format!("{name}: not compared, because its listing is incomplete"));
    }
    out += "\n";
    for sentence in sums(repositories.values().flatten()) {
        out += &paragraph("", 2, &sentence);
    }
    out
}

/// How much differs; what policies in dry-run would do apart from what is done, and only where there is any.
fn sums<'a>(changed: impl Iterator<Item = &'a Changed>) -> Vec<String> {
    let mut number_of: BTreeMap<Change, u32> = BTreeMap::new();
    changed.for_each(|changed| *number_of.entry(changed.change).or_default() += 1);
    let items = |change: Change| counted(number_of.get(&change).copied().unwrap_or(0), "image or tag", "images and tags");
    let verb = |change: Change| if number_of.get(&change) == Some(&1) { "goes" } else { "go" };
    let (goes, stays, would_go, would_stay) = (Change::NowGoes, Change::NowStays, Change::WouldGo, Change::WouldStay);
    let mut sums = vec![format!("{} {} now, {} {} no longer", items(goes), verb(goes), items(stays), verb(stays))];
    if number_of.contains_key(&would_go) || number_of.contains_key(&would_stay) {
        sums.push(format!("in dry-run, {} would go now, {} no longer would", items(would_go), items(would_stay)));
    }
    sums
}
