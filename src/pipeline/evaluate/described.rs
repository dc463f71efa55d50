//! Whether a manifest fits what a rule asks of its document and its config. What was not read, or cannot be, fits neither for certain nor
//! for certain not.

use crate::model::{Contents, Manifest, References, Texts};
use crate::policy::{END_OF_LIFE_KEY, KeyValue, LIFECYCLE_ARTIFACT_TYPE, Pattern, end_of_life};

use super::graph::Hold;
use super::select::{Fit, yes_or_no};
use super::view::View;

/// A document that names no type at all has none of these.
pub(super) fn artifact_type_fit(globs: &[Pattern], manifest: &Manifest) -> Fit {
    let Some(facts) = &manifest.facts else { return Fit::Unknown };
    yes_or_no(facts.artifact_type.as_deref().is_some_and(|text| globs.iter().any(|glob| glob.matches(text))))
}

pub(super) fn annotation_fit(wanted: &[KeyValue], manifest: &Manifest) -> Fit {
    manifest.facts.as_ref().map_or(Fit::Unknown, |facts| texts_fit(wanted, &facts.annotations))
}

fn texts_fit(wanted: &[KeyValue], texts: &Texts) -> Fit {
    match texts {
        Texts::NotRead | Texts::Unreadable(_) => Fit::Unknown,
        Texts::Known(pairs) => yes_or_no(wanted.iter().any(|wanted| wanted.is_among(pairs))),
    }
}

/// An index has no config, so the images below it speak for it: it fits when all of them do that have any label at all (attestations
/// have none), and does not when none of them does. Between the two nobody can say, nor where one of them is missing.
pub(super) fn label_fit(wanted: &[KeyValue], contents: &Contents, manifest: &Manifest) -> Fit {
    if !manifest.media_type.is_index() && manifest.references.children().is_empty() {
        return manifest.facts.as_ref().map_or(Fit::Unknown, |facts| texts_fit(wanted, &facts.labels));
    }
    let mut answers = Vec::new();
    let mut seen = Vec::new();
    let mut next = vec![manifest];
    while let Some(index) = next.pop() {
        for child in index.references.children() {
            let Some(place) = contents.find(*child) else { return Fit::Unknown };
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
            let child = &contents.manifests()[place as usize];
            if !child.references.children().is_empty() {
                next.push(child);
                continue;
            }
            match child.facts.as_ref().map(|facts| &facts.labels) {
                Some(Texts::Known(labels)) if labels.is_empty() => {}
                Some(labels) => answers.push(texts_fit(wanted, labels)),
                None => answers.push(Fit::Unknown),
            }
        }
    }
    match (answers.iter().min(), answers.iter().max()) {
        (None, None) => Fit::No,
        (Some(least), Some(greatest)) if least == greatest => *least,
        _ => Fit::Unknown,
    }
}

/// The latest of the dates that the manifest and the lifecycle referrers attached to it tell must have passed. Without any date its life
/// has no end; one that cannot be read may be the latest.
pub(super) fn end_of_life_fit(view: &View<'_>, place: u32) -> Fit {
    let referrers = view.graph.held_by(place).iter().filter(|end| end.hold == Hold::Referrer).map(|end| end.manifest);
    let mut latest = None;
    for (told_by, is_itself) in std::iter::once((place, true)).chain(referrers.map(|referrer| (referrer, false))) {
        let manifest = view.manifest(told_by);
        if manifest.references == References::Ghost && !is_itself {
            continue;
        }
        let Some(facts) = &manifest.facts else { return Fit::Unknown };
        if !is_itself && facts.artifact_type.as_deref() != Some(LIFECYCLE_ARTIFACT_TYPE) {
            continue;
        }
        let date = match &facts.annotations {
            Texts::NotRead | Texts::Unreadable(_) => return Fit::Unknown,
            Texts::Known(annotations) => annotations.get(END_OF_LIFE_KEY),
        };
        let Some(date) = date else { continue };
        // To the end, even if one lies ahead: the answer must not depend on which is read first.
        let Some(end) = end_of_life(date) else { return Fit::Unknown };
        latest = latest.max(Some(end));
    }
    latest.map_or(Fit::No, |latest| yes_or_no(latest < view.now()))
}
