//! Plans and outcomes as text for a terminal, and plans as Markdown for a review.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::layout::{list, paragraph};
use crate::model::{Contents, Gap, Listing, TagName};
use crate::policy::{Action, Policy};

use super::super::apply::{Applied, Counts, Outcome, StepReport};
use super::super::evaluate::{Evaluation, Reason};
use super::super::plan::{Decision, LockStep, Steps, Why};
use super::words::{Context, age, counted, lock_change, other_time, short, size};
use super::{Decided, DecidedRepository, mode_word};

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What changes one by one; what stays summed up by reason.
    Changes,
    /// Every image, with every reason.
    Everything,
}

/// So many tags of an image, and images of a reason, are written out.
const TAGS_SHOWN: usize = 4;
/// Where names and reasons begin, behind the verb.
const BODY: usize = 10;
const INDENT: &str = "          ";

/// A plan for a terminal.
pub fn plan_as_text(decided: &Decided<'_>, detail: Detail) -> String {
    let mut out = String::new();
    let Decided { policy, plan, refusals, repositories } = decided;
    out += &paragraph("", 2, &format!("policy {} ({}) on {}", policy.name, mode_word(policy.mode), plan.registry));
    out += &paragraph("", 2, &format!("listing of {:.0}, plan {}", plan.taken_at, plan.hash()));
    if let Some(sentence) = other_time(plan.taken_at, plan.now) {
        out += &paragraph("", 2, &sentence);
    }
    for (repository, planned) in repositories.iter().zip(&plan.repositories) {
        out.push('\n');
        match (&planned.decision, &repository.repository.listing, &repository.evaluation) {
            (Decision::Steps(steps), Listing::Complete(contents), Some(evaluation)) => {
                let context = context(decided, repository, contents);
                repository_as_text(&mut out, &context, planned.name.as_str(), steps, evaluation, detail);
            }
            (Decision::Nothing(gaps), _, _) => gaps_as_text(&mut out, planned.name.as_str(), gaps),
            (Decision::Steps(_), _, _) => {}
        }
    }
    if plan.repositories.is_empty() {
        out += "\nno repository of the registry is named by this policy\n";
    }
    out.push('\n');
    for refusal in *refusals {
        out += &paragraph("guard: ", 7, &refusal.to_string());
    }
    let (images, sums) = totals(decided);
    out += &list(&format!("{images}: "), 2, &sums);
    out
}

fn context<'a>(decided: &Decided<'a>, repository: &'a DecidedRepository<'a>, contents: &'a Contents) -> Context<'a> {
    let observations = &repository.repository.observations;
    Context { contents, policies: &repository.policies, acting: repository.acting, observations, now: decided.plan.now }
}

fn gaps_as_text(out: &mut String, name: &str, gaps: &[Gap]) {
    *out += &paragraph("", 2, &format!("{name}: nothing is done here, because something is not known"));
    for gap in gaps {
        *out += &paragraph("  ", 4, &gap.0);
    }
}

fn repository_as_text(out: &mut String, context: &Context<'_>, name: &str, steps: &Steps, evaluation: &Evaluation, detail: Detail) {
    let images = counted(steps.images, "image", "images");
    *out += &paragraph("", 2, &format!("{name}: {images}, {} of them {}", steps.images_going, going(steps.images_going)));
    let acting = context.policies[context.acting];
    let others = context.policies.iter().filter(|other| other.name != acting.name && deletes(other) && deletes(acting));
    let others: Vec<&str> = others.map(|other| &*other.name).collect();
    match others.as_slice() {
        [] => {}
        [other] => *out += &paragraph("  ", 4, &format!("policy {other} deletes here, too, within limits of its own")),
        others => *out += &paragraph("  ", 4, &format!("policies {} delete here, too, each within limits of its own", others.join(", "))),
    }
    for lock in steps.locks() {
        entry(out, "lock", &lock_line(&lock), &lock.cause.to_string());
    }
    for untag in steps.untags() {
        entry(out, "untag", &format!("{} ({})", untag.tag.name, untag.digest.short()), &untag.cause.to_string());
    }
    let deleted = deleted_images(steps);
    match detail {
        Detail::Everything => {
            deleted_one_by_one(out, context, evaluation, &deleted);
            kept_one_by_one(out, context, evaluation);
        }
        Detail::Changes => {
            deleted_by_reason(out, context, evaluation, &deleted);
            kept_by_reason(out, context, evaluation);
        }
    }
}

/// Whether a policy deletes by itself.
fn deletes(policy: &Policy) -> bool {
    policy.is_enforced() && policy.rules.iter().any(|rule| matches!(rule.action, Action::Delete(_)))
}

/// An image that goes, and how many manifests go with it.
struct DeletedImage {
    place: u32,
    along: u32,
}

/// The images that go, in the order of the plan: oldest first.
fn deleted_images(steps: &Steps) -> Vec<DeletedImage> {
    let along = along_with(steps);
    let roots = steps.deletes.iter().filter(|delete| !matches!(delete.why, Why::Image(_)));
    roots.map(|delete| DeletedImage { place: delete.manifest, along: along.get(&delete.manifest).copied().unwrap_or(0) }).collect()
}

fn deleted_one_by_one(out: &mut String, context: &Context<'_>, evaluation: &Evaluation, deleted: &[DeletedImage]) {
    for DeletedImage { place, along } in deleted {
        entry(out, "delete", &image_line(context, *place), &sentences(context, evaluation.manifests.reasons(*place)));
        if 0 < *along {
            *out += &paragraph(INDENT, BODY, &format!("and {} that only it needed", counted(*along, "manifest", "manifests")));
        }
    }
}

/// One paragraph for each reason, with the name and the age of every image.
fn deleted_by_reason(out: &mut String, context: &Context<'_>, evaluation: &Evaluation, deleted: &[DeletedImage]) {
    let mut by_reason: BTreeMap<String, Vec<&DeletedImage>> = BTreeMap::new();
    for image in deleted {
        by_reason.entry(sentences(context, evaluation.manifests.reasons(image.place))).or_default().push(image);
    }
    for (why, images) in by_reason {
        let manifest = |image: &DeletedImage| &context.contents.manifests()[image.place as usize];
        let bytes = images.iter().fold(0_u64, |sum, image| sum.saturating_add(manifest(image).size_bytes));
        let along = images.iter().map(|image| image.along).sum();
        let along =
            if along == 0 { String::new() } else { format!(", with {} that only they needed", counted(along, "manifest", "manifests")) };
        let number = u32::try_from(images.len()).unwrap_or(u32::MAX);
        entry(out, "delete", &format!("{} of {}{along}", counted(number, "image", "images"), size(bytes)), &why);
        let names: Vec<String> =
            images.iter().map(|image| format!("{} {}", image_name(context, image.place), age_of(context, image.place))).collect();
        *out += &list(INDENT, BODY, &names);
    }
}

fn going(images: u32) -> &'static str {
    if images == 1 { "goes" } else { "go" }
}

fn along_with(steps: &Steps) -> BTreeMap<u32, u32> {
    let mut along = BTreeMap::new();
    for delete in &steps.deletes {
        if let Why::Image(root) = delete.why {
            *along.entry(root).or_default() += 1;
        }
    }
    along
}

/// Why an image stays: the reasons of its manifest, with each tag's own in place of "its tag … stays".
pub(super) fn why_it_stays(context: &Context<'_>, evaluation: &Evaluation, manifest: u32) -> String {
    let mut why: Vec<String> = Vec::new();
    let several_tags = 1 < context.contents.tags_of(manifest).len();
    for reason in evaluation.manifests.reasons(manifest) {
        if let Reason::TagStays(tag) = reason {
            let of_tag = evaluation.tags.reasons(*tag).iter().filter(|reason| **reason != Reason::WithManifest);
            why.extend(of_tag.map(|reason| {
                if *reason == Reason::NoRule && several_tags {
                    return format!("no delete rule chooses {}", context.contents.tags()[*tag as usize].name);
                }
                stays_because(context, *reason)
            }));
        } else {
            why.push(stays_because(context, *reason));
        }
    }
    let mut seen = BTreeSet::new();
    why.retain(|sentence| seen.insert(sentence.clone()));
    why.join("; ")
}

/// A delete rule that has its say about something that stays has lost.
pub(super) fn stays_because(context: &Context<'_>, reason: Reason) -> String {
    if let Reason::DeleteRule(rule) = reason {
        return format!("{} would delete it", context.rule(rule));
    }
    context.sentence(reason)
}

fn is_needed_only(evaluation: &Evaluation, manifest: u32) -> bool {
    let needed = |reason: &Reason| matches!(reason, Reason::ChildOf(_) | Reason::ReferrerOf(_) | Reason::CompanionOf(_));
    evaluation.manifests.reasons(manifest).iter().all(needed)
}

fn kept_one_by_one(out: &mut String, context: &Context<'_>, evaluation: &Evaluation) {
    for place in kept_newest_first(context, evaluation) {
        entry(out, "keep", &image_line(context, place), &why_it_stays(context, evaluation, place));
    }
}

fn kept_newest_first(context: &Context<'_>, evaluation: &Evaluation) -> Vec<u32> {
    let places = (0_u32..).take(context.contents.manifests().len());
    let mut kept: Vec<u32> = places.filter(|place| !evaluation.manifests.goes(*place)).collect();
    kept.sort_by_key(|place| std::cmp::Reverse(context.contents.manifests()[*place as usize].updated_at));
    kept
}

/// The images that stay for one reason: how many, and the names of a few.
struct Kept {
    why: String,
    images: u32,
    names: Vec<String>,
}

impl Kept {
    fn names(&self) -> String {
        let more = self.images as usize - self.names.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{}{more}", self.names.join(", "))
    }
}

/// What stays, by reason, and how many manifests stay only because these need them.
fn kept(context: &Context<'_>, evaluation: &Evaluation) -> (Vec<Kept>, u32) {
    let mut by_reason: BTreeMap<String, (u32, Vec<String>)> = BTreeMap::new();
    let mut needed = 0;
    for place in kept_newest_first(context, evaluation) {
        if is_needed_only(evaluation, place) {
            needed += 1;
            continue;
        }
        let (images, names) = by_reason.entry(why_it_stays(context, evaluation, place)).or_default();
        *images += 1;
        if names.len() < TAGS_SHOWN {
            names.push(image_name(context, place));
        }
    }
    (by_reason.into_iter().map(|(why, (images, names))| Kept { why, images, names }).collect(), needed)
}

/// One paragraph for each reason that images stay for, with a few of their names.
fn kept_by_reason(out: &mut String, context: &Context<'_>, evaluation: &Evaluation) {
    let (kept, needed) = kept(context, evaluation);
    for kept in kept {
        entry(out, "keep", &format!("{}: {}", counted(kept.images, "image", "images"), kept.names()), &kept.why);
    }
    if 0 < needed {
        *out += &paragraph("  keep    ", BODY, &format!("{} that these need", counted(needed, "manifest", "manifests")));
    }
}

pub(super) fn sentences(context: &Context<'_>, reasons: &[Reason]) -> String {
    let sentences: Vec<String> = reasons.iter().map(|reason| context.sentence(*reason)).collect();
    sentences.join("; ")
}

fn image_name(context: &Context<'_>, manifest: u32) -> String {
    let digest = context.contents.manifests()[manifest as usize].digest;
    let tags: Vec<&TagName> = context.contents.tagged(manifest).iter().map(|tag| &tag.name).collect();
    let shown: Vec<&str> = tags.iter().take(TAGS_SHOWN).map(|name| shortened(name.as_str())).collect();
    match (shown.is_empty(), tags.len() - shown.len()) {
        (true, _) => short(digest),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more tags", shown.join(", ")),
    }
}

/// A companion tag is 75 characters of which the first twelve digits tell it apart.
fn shortened(tag: &str) -> &str {
    if tag.starts_with("sha256-") { tag.get(..19).unwrap_or(tag) } else { tag }
}

fn age_of(context: &Context<'_>, manifest: u32) -> String {
    let updated_at = context.contents.manifests()[manifest as usize].updated_at.map(Timestamp::from);
    match updated_at {
        None => "age unknown".to_owned(),
        Some(time) if context.now < time => "in the future".to_owned(),
        Some(time) => age(context.now.duration_since(time)),
    }
}

pub(super) fn image_line(context: &Context<'_>, manifest: u32) -> String {
    let item = &context.contents.manifests()[manifest as usize];
    let tags = context.contents.tags_of(manifest);
    let aged = age_of(context, manifest);
    let name = if tags.is_empty() { "untagged".to_owned() } else { image_name(context, manifest) };
    format!("{name} ({}), {aged}, {}", item.digest.short(), size(item.size_bytes))
}

fn lock_line(lock: &LockStep<'_>) -> String {
    let name = lock.tag.map_or_else(|| short(lock.digest), ToString::to_string);
    format!("{name}: {}", lock_change(lock.change))
}

fn entry(out: &mut String, verb: &str, what: &str, why: &str) {
    *out += &paragraph(&format!("  {verb:<6}  "), BODY, what);
    *out += &paragraph(INDENT, BODY, why);
}

/// How many images there are, and what is done in all.
fn totals(decided: &Decided<'_>) -> (String, [String; 3]) {
    let (mut images, mut deletes, mut untags, mut locks, mut bytes) = (0, 0, 0, 0, 0_u64);
    for (_, steps) in decided.plan.steps() {
        images += steps.images;
        deletes += steps.deletes.len();
        untags += steps.untags.len();
        locks += steps.locks.len();
        // An index's size is the sum of its children: counting both would count the same bytes twice.
        let indexes = steps.deletes().filter(|step| !step.media_type.is_index());
        bytes = indexes.fold(bytes, |sum, step| sum.saturating_add(step.size_bytes));
    }
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let deletes = counted(number(deletes), "manifest", "manifests");
    let sums = [
        format!("{deletes} to delete (at most {}; shared layers count each time)", size(bytes)),
        format!("{} to remove", counted(number(untags), "tag", "tags")),
        format!("{} to change", counted(number(locks), "lock", "locks")),
    ];
    (counted(images, "image", "images"), sums)
}

/// A plan for a review, as Markdown: for each repository a table with everything that changes, and one with what stays, by reason.
pub fn plan_as_markdown(decided: &Decided<'_>) -> String {
    let mut out = String::new();
    let Decided { policy, plan, refusals, repositories } = decided;
    let mode = mode_word(policy.mode);
    // Writing into a String cannot fail.
    let _ = writeln!(out, "## Plan `{}`: policy `{}` ({mode}) on `{}`\n", plan.hash(), policy.name, plan.registry);
    let (images, sums) = totals(decided);
    let _ = writeln!(out, "Listing of {:.0}. {images}: {}.", plan.taken_at, sums.join(", "));
    if let Some(sentence) = other_time(plan.taken_at, plan.now) {
        let _ = writeln!(out, "\n> {sentence}");
    }
    for refusal in *refusals {
        let _ = writeln!(out, "\n> **Guard:** {refusal}");
    }
    for (repository, planned) in repositories.iter().zip(&plan.repositories) {
        let _ = writeln!(out, "\n### `{}`\n", planned.name);
        let steps = match &planned.decision {
            Decision::Steps(steps) => steps,
            Decision::Nothing(gaps) => {
                for gap in gaps {
                    let _ = writeln!(out, "- nothing is done here: {}", gap.0);
                }
                continue;
            }
        };
        let _ = writeln!(out, "{} of {} {}.", steps.images_going, counted(steps.images, "image", "images"), going(steps.images_going));
        if !steps.is_empty() {
            steps_as_markdown(&mut out, steps);
        }
        if let Some((context, evaluation)) = repository.spoken_of(plan.now) {
            kept_as_markdown(&mut out, &context, evaluation);
        }
    }
    out
}

fn steps_as_markdown(out: &mut String, steps: &Steps) {
    let _ = writeln!(out, "\n| do | what | digest | why |\n|---|---|---|---|");
    for LockStep { digest, tag, change, cause, .. } in steps.locks() {
        let name = tag.map_or("the manifest", TagName::as_str);
        let _ = writeln!(out, "| lock | `{name}`: {} | `{}` | {cause} |", lock_change(change), digest.short());
    }
    for untag in steps.untags() {
        let _ = writeln!(out, "| untag | `{}` | `{}` | {} |", untag.tag.name, untag.digest.short(), untag.cause);
    }
    for delete in steps.deletes() {
        let tags: Vec<String> = delete.tags.iter().map(|tag| format!("`{}`", tag.name)).collect();
        let tags = if tags.is_empty() { "untagged".to_owned() } else { tags.join(", ") };
        let _ = writeln!(out, "| delete | {tags} | `{}` | {} |", delete.digest.short(), delete.cause);
    }
}

/// Whoever reviews what goes must see what stays: a rule that chooses too little shows there and nowhere else.
fn kept_as_markdown(out: &mut String, context: &Context<'_>, evaluation: &Evaluation) {
    let (kept, needed) = kept(context, evaluation);
    if kept.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n| stays | such as | why |\n|---|---|---|");
    for kept in kept {
        let _ = writeln!(out, "| {} | {} | {} |", counted(kept.images, "image", "images"), kept.names(), kept.why);
    }
    if 0 < needed {
        let _ = writeln!(
            out,
            "| {} | | the images above need {} |",
            counted(needed, "manifest", "manifests"),
            if needed == 1 { "it" } else { "them" }
        );
    }
}

/// What was done, for a terminal: one line for each step that did not simply succeed, and the sum.
pub fn applied(applied: &Applied) -> String {
    let mut out = String::new();
    for repository in &applied.repositories {
        for line in repository.steps.iter().filter_map(step_line) {
            out += &paragraph("", 2, &format!("{}: {line}", repository.name));
        }
        if let Some(stopped) = &repository.stopped {
            out += &paragraph("", 2, &format!("{}: stopped here: {stopped}", repository.name));
        }
    }
    let Counts { deleted, untagged, relocked, skipped, failed, not_reached } = applied.counts();
    let sums = [
        format!("{} deleted", counted(deleted, "manifest", "manifests")),
        format!("{} removed", counted(untagged, "tag", "tags")),
        format!("{} changed", counted(relocked, "lock", "locks")),
        format!("{skipped} skipped"),
        format!("{failed} failed"),
        format!("{not_reached} not reached"),
    ];
    out += &list("applied: ", 2, &sums);
    out
}

fn step_line(step: &StepReport) -> Option<String> {
    let name = step.tag.as_ref().map_or_else(|| short(step.digest), |tag| format!("{tag} ({})", step.digest.short()));
    match &step.outcome {
        Outcome::Done | Outcome::AlreadyGone => None,
        Outcome::Skipped(why) => Some(format!("skipped {name}: {why}")),
        Outcome::Failed(why) => Some(format!("failed {name}: {why}")),
        Outcome::NotReached => Some(format!("not reached {name}")),
    }
}
