//! What an edit of policies changes: images that would newly go, and ones that no longer would, with the reasons on both sides. Compares
//! decisions; makes none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::{Digest, RegistryName, RepositoryName, TagName};

use super::super::evaluate::{Evaluation, Reason};
use crate::policy::Policy;

use super::text::{image_line, sentences, stays_because, why_it_stays};
use super::words::{Context, counted, fold};
use super::{DecidedRepository, mode_word};

/// The columns of the narrowest terminal that is written for.
const WIDTH: usize = 80;

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

/// A manifest or a tag of which something else is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The manifest, or the manifest that the tag points at.
    pub digest: Digest,
    /// The tag that is removed, or no longer is, while its manifest stays; None: the manifest itself.
    pub tag: Option<TagName>,
    /// Its tags, digest, age and size, for people.
    pub shown: String,
    /// Whether it goes by the new policies; it does the opposite by the old ones.
    pub goes: bool,
    /// Why it stayed or went, one sentence for each policy.
    pub before: Vec<String>,
    /// Why it goes or stays.
    pub after: Vec<String>,
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

    fn goes(&self, manifest: u32) -> bool {
        self.each().any(|(_, evaluation)| evaluation.manifests.goes(manifest))
    }

    fn tag_goes(&self, tag: u32) -> bool {
        self.each().any(|(_, evaluation)| evaluation.tags.goes(tag))
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
            .map(|(context, evaluation)| format!("policy {}: {}", context.policies[context.acting].name, why(&context, evaluation)))
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
    for (manifest, item) in (0_u32..).zip(contents.manifests()) {
        let goes = after.goes(manifest);
        if goes != before.goes(manifest) {
            if !(after.is_part(manifest) && before.is_part(manifest)) {
                let (before, after) = (before.why_manifest(manifest), after.why_manifest(manifest));
                changed.push(Changed { digest: item.digest, tag: None, shown: image_line(&context, manifest), goes, before, after });
            }
            continue;
        }
        for tag in contents.tags_of(manifest).filter(|tag| !goes && after.tag_goes(*tag) != before.tag_goes(*tag)) {
            let name = contents.tags()[tag as usize].name.clone();
            let shown = format!("tag {name} of {}", image_line(&context, manifest));
            let (goes, before, after) = (after.tag_goes(tag), before.why_tag(tag), after.why_tag(tag));
            changed.push(Changed { digest: item.digest, tag: Some(name), shown, goes, before, after });
        }
    }
    // What goes first: that is what cannot be undone.
    changed.sort_by_key(|changed| !changed.goes);
    changed
}

/// A difference for a terminal.
pub fn difference_as_text(difference: &Difference) -> String {
    let mut out = String::new();
    let mut write = |line: &str| {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{line}");
    };
    let Difference { registry, taken_at, now: _, policies, repositories, not_compared } = difference;
    write(&format!("what the edit changes on {registry}, by the listing of {taken_at:.0}"));
    for sentence in policies {
        write(sentence);
    }
    for (name, changed) in repositories {
        write("");
        write(name.as_str());
        for Changed { shown, goes, before, after, .. } in changed {
            write(&format!("  {:<9}  {shown}", if *goes { "now goes" } else { "now stays" }));
            for (side, why) in [("before", before), ("after", after)] {
                for (number, line) in why.iter().flat_map(|why| fold(why, WIDTH - 21)).enumerate() {
                    write(&format!("             {:<6}  {line}", if number == 0 { side } else { "" }));
                }
            }
        }
    }
    for name in not_compared {
        write("");
        write(&format!("{name}: not compared, because its listing is incomplete"));
    }
    let number = |goes: bool| {
        let number = repositories.values().flatten().filter(|changed| changed.goes == goes).count();
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    write("");
    write(&format!("{} now, {} no longer", going(number(true)), going(number(false))));
    out
}

fn going(number: u32) -> String {
    let verb = if number == 1 { "goes" } else { "go" };
    format!("{} {verb}", counted(number, "image or tag", "images and tags"))
}
