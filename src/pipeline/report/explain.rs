//! One image: its verdict, every rule that spoke, what keeps it alive, and from when on it would go.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::layout::paragraph;
use crate::model::Time;

use super::super::evaluate::{Evaluation, Reason};
use super::mode_word;
use super::words::{Context, age};

/// Said of a delete rule about something that stays.
const LOST: &str = ", but keep wins";
/// How far a chain of "kept by …" is followed.
const CHAIN_MAX: usize = 8;

/// Explains the manifest at `manifest` with all its tags.
pub fn explain(context: &Context<'_>, repository: &str, evaluation: &Evaluation, manifest: u32) -> String {
    let mut out = String::new();
    let item = &context.contents.manifests()[manifest as usize];
    let goes = evaluation.manifests.goes(manifest);
    let policy = context.policies[context.acting];
    let _ = writeln!(out, "{repository}@{}", item.digest);
    out += &paragraph("", 2, &format!("{} under policy {} ({})", if goes { "goes" } else { "stays" }, policy.name, mode_word(policy.mode)));
    out += &paragraph("  ", 2, &format!("{}, pushed {}", item.media_type, when(context, item.updated_at)));
    if let Some(since) = item.untagged_since {
        let _ = writeln!(out, "  seen untagged since {since:.0}");
    }
    for reason in evaluation.manifests.reasons(manifest) {
        let lost = matches!(reason, Reason::DeleteRule(_)) && !goes;
        point(&mut out, 2, &format!("{}{}", context.sentence(*reason), if lost { LOST } else { "" }));
        chain(&mut out, context, evaluation, *reason);
        due(&mut out, context, evaluation, *reason, manifest, None);
    }
    for tag in context.contents.tags_of(manifest) {
        let item = &context.contents.tags()[tag as usize];
        let verdict = match (evaluation.tags.goes(tag), goes) {
            (true, true) => "goes with its manifest",
            (true, false) => "is removed",
            (false, _) => "stays",
        };
        out += &paragraph("", 2, &format!("tag {} {verdict}", item.name));
        let _ = writeln!(out, "  pushed or moved {}", when(context, item.updated_at));
        for reason in evaluation.tags.reasons(tag) {
            let lost = matches!(reason, Reason::DeleteRule(_)) && !evaluation.tags.goes(tag);
            point(&mut out, 2, &format!("{}{}", context.sentence(*reason), if lost { LOST } else { "" }));
            due(&mut out, context, evaluation, *reason, manifest, Some(tag));
        }
    }
    out
}

fn when(context: &Context<'_>, time: Option<Time>) -> String {
    let Some(time) = time.map(Timestamp::from) else { return "at an unknown time".to_owned() };
    if context.now < time {
        return format!("{time:.0}, in the future");
    }
    format!("{time:.0}, {} ago", age(context.now.duration_since(time)))
}

/// From when on something that stays would go, if nothing but the time changed; None: time alone never lets it go.
pub fn outlook(from: Option<Timestamp>, now: Timestamp) -> String {
    let sentence = from.map_or_else(
        || "time alone does not let it go, as far as this listing tells".to_owned(),
        |from| format!("would go from {from:.0} on, in {}, if nothing else changed", age(from.duration_since(now))),
    );
    paragraph("", 2, &sentence)
}

/// A point of a list.
fn point(out: &mut String, indent: usize, sentence: &str) {
    *out += &paragraph(&format!("{:indent$}- ", ""), indent + 2, sentence);
}

/// What keeps the thing that keeps it, and so on up to something that stays on its own account.
fn chain(out: &mut String, context: &Context<'_>, evaluation: &Evaluation, reason: Reason) {
    let mut seen = Vec::new();
    let mut next = holder(reason);
    while let Some(manifest) = next {
        if seen.len() == CHAIN_MAX || seen.contains(&manifest) {
            return;
        }
        seen.push(manifest);
        let reasons = evaluation.manifests.reasons(manifest);
        next = reasons.iter().find_map(|reason| holder(*reason));
        let Some(reason) = reasons.first() else { return };
        let indent = 2 + 2 * seen.len();
        let of_tag = if let Reason::TagStays(tag) = reason { evaluation.tags.reasons(*tag).first() } else { None };
        let of_tag = of_tag.map_or_else(String::new, |reason| format!(": {}", context.sentence(*reason)));
        let why = format!("{}{of_tag}", context.sentence(*reason));
        point(out, indent, &format!("{}: {why}", context.manifest(manifest)));
    }
}

pub(super) fn holder(reason: Reason) -> Option<u32> {
    match reason {
        Reason::ChildOf(holder)
        | Reason::ReferrerOf(holder)
        | Reason::CompanionOf(holder)
        | Reason::SubjectOf(holder)
        | Reason::WithRoot(holder) => Some(holder),
        Reason::NoRule
        | Reason::KeepRule(_)
        | Reason::KeepLast(_)
        | Reason::KeepNewer(_)
        | Reason::KeepPeriod(..)
        | Reason::KeepAllTags(_)
        | Reason::Unclear(_)
        | Reason::LockRule(_)
        | Reason::Locked(_)
        | Reason::UnknownTime
        | Reason::FutureTime
        | Reason::TooYoung
        | Reason::NotYet(_)
        | Reason::NoLonger(_)
        | Reason::Waits(_)
        | Reason::ExceptLast(_)
        | Reason::KeepAtLeast
        | Reason::Ghost
        | Reason::SubjectAbsent
        | Reason::TagStays(_)
        | Reason::WithManifest
        | Reason::Circle
        | Reason::DeleteRule(_)
        | Reason::LeftBehind => None,
    }
}

fn due(out: &mut String, context: &Context<'_>, evaluation: &Evaluation, reason: Reason, manifest: u32, tag: Option<u32>) {
    if let Reason::Waits(rule) = reason {
        if let Some((since, due)) = context.waits(rule, evaluation, manifest, tag) {
            let ahead = age(due.duration_since(context.now));
            let sentence = format!("condemned since {since:.0}, goes after {due:.0}, in {ahead}, if every run until then condemns it");
            *out += &paragraph("    ", 4, &sentence);
        }
        return;
    }
    let (rule, ends) = if let Reason::NotYet(rule) = reason {
        (rule, "that is")
    } else if let Reason::KeepNewer(rule) = reason {
        (rule, "that ends")
    } else {
        return;
    };
    if let Some(due) = context.ends_at(rule, manifest, tag) {
        *out += &paragraph("    ", 4, &format!("{ends} after {due:.0}, in {}", age(due.duration_since(context.now))));
    }
}
