//! Selectors: what an action is about. Compiles patterns; a pattern that could never match is refused, for it is a typing error that
//! would keep or delete nothing without a word.

use super::Context;
use crate::config::item::{Item, Object};
use crate::config::problem::Complaint;
use crate::config::scalar::split_hint;
use crate::model::Platform;
use crate::policy::{About, Filter, InvalidPattern, KeyValue, Pattern, Selector, TagPattern};

/// Most regular expressions of a file: each may take a megabyte when it is compiled.
const REGEXES_MAX: usize = 500;

/// The selector of an action; None when it is bad or missing, which has been reported.
pub(super) fn selector(context: &mut Context<'_>, object: &Object) -> Option<Selector> {
    let filters = filters(context, object);
    let about = if object.bool("untagged") == Some(true) {
        About::Untagged
    } else if object.bool("orphaned") == Some(true) {
        About::Orphaned
    } else if let Some(tags) = object.get("tags") {
        About::Tags(tag_pattern(context, tags)?)
    } else if filters.is_empty() {
        return None;
    } else {
        About::Images
    };
    Some(Selector { about, filters })
}

/// The filters that are written. A bad one has been reported, and what the others leave is used for nothing.
fn filters(context: &mut Context<'_>, object: &Object) -> Vec<Filter> {
    let mut filters = Vec::new();
    if object.get("media_type").is_some() {
        filters.push(Filter::MediaType(patterns(context, object.items("media_type"), media_type_glob)));
    }
    if object.get("platform").is_some() {
        let read = |text: &str| text.parse::<Platform>().map_err(|error| split_hint(&error.to_string()));
        filters.push(Filter::Platform(patterns(context, object.items("platform"), read)));
    }
    if object.get("artifact_type").is_some() {
        filters.push(Filter::ArtifactType(patterns(context, object.items("artifact_type"), media_type_glob)));
    }
    let key_value = |text: &str| KeyValue::parse(text).map_err(|error| split_hint(&error.to_string()));
    if object.get("annotation").is_some() {
        filters.push(Filter::Annotation(patterns(context, object.items("annotation"), key_value)));
    }
    if object.get("label").is_some() {
        filters.push(Filter::Label(patterns(context, object.items("label"), key_value)));
    }
    if object.bool("end_of_life") == Some(true) {
        filters.push(Filter::EndOfLife);
    }
    filters.extend(object.size("larger_than").map(Filter::LargerThan));
    filters
}

fn tag_pattern(context: &mut Context<'_>, item: &Item) -> Option<TagPattern> {
    let tags = item.as_object()?;
    let except = tags.items("except");
    let pattern = if tags.get("glob").is_some() {
        let any = patterns(context, tags.items("glob"), tag_glob);
        TagPattern::Glob { any, except: patterns(context, except, tag_glob) }
    } else if tags.get("regex").is_some() {
        context.regexes += tags.items("regex").len() + except.len();
        if REGEXES_MAX < context.regexes {
            let complaint = Complaint::new(format!("these are more than {REGEXES_MAX} regular expressions in one file"));
            context.report(item, complaint.hint("join them with `|`, or split the file"));
            return None;
        }
        let read = |text: &str| TagPattern::regex(text).map_err(|error| regex_complaint(&error));
        let any = patterns(context, tags.items("regex"), read);
        TagPattern::Regex { any, except: patterns(context, except, read) }
    } else if tags.get("semver").is_some() {
        let any = patterns(context, tags.items("semver"), version_range);
        TagPattern::Semver { any, except: patterns(context, except, version_range) }
    } else {
        return None;
    };
    Some(pattern)
}

/// Reads a list of patterns and reports those that cannot be read.
pub(super) fn patterns<P>(context: &mut Context<'_>, items: &[Item], read: impl Fn(&str) -> Result<P, Complaint>) -> Vec<P> {
    let mut patterns = Vec::new();
    for item in items {
        if context.is_full() {
            break;
        }
        match item.as_text().map(&read) {
            Some(Ok(pattern)) => patterns.push(pattern),
            Some(Err(complaint)) => context.report(item, complaint),
            None => {}
        }
    }
    patterns
}

/// A glob that could match a media type.
fn media_type_glob(text: &str) -> Result<Pattern, Complaint> {
    let pattern = Pattern::parse(text).map_err(|error| split_hint(&error.to_string()))?;
    let good = |character: char| character.is_ascii_graphic() && !"\"'<>()@;:=".contains(character);
    if !text.contains('/') && !text.contains("**") || !text.chars().all(good) {
        let complaint = Complaint::new(format!("{text:?} matches no media type"));
        return Err(complaint
            .hint("write all of it, such as application/vnd.oci.image.index.v1+json, or a glob such as \"application/vnd.docker.*\""));
    }
    Ok(pattern)
}

/// A glob that could match a tag.
fn tag_glob(text: &str) -> Result<Pattern, Complaint> {
    let pattern = Pattern::parse(text).map_err(|error| split_hint(&error.to_string()))?;
    let good = |character: char| character.is_ascii_alphanumeric() || "._-*?[]{},!^\\".contains(character);
    let comma = text.contains(',') && !text.contains('{');
    let impossible = text.chars().find(|character| !good(*character)).or(comma.then_some(','));
    let Some(character) = impossible else { return Ok(pattern) };
    let hint = match character {
        ',' => "several globs are a list: [\"a-*\", \"b-*\"]",
        '/' | ':' => "this is a pattern on tags alone; repositories are chosen under `repositories`",
        '(' | ')' | '|' | '+' | '$' => "this looks like a regular expression; write it under `regex`",
        '>' | '<' | '=' | '~' => "this looks like a version range; write it under `semver`",
        _ => "tags are made of letters, digits, '.', '_' and '-'",
    };
    Err(Complaint::new(format!("{text:?} matches no tag: none has {character:?} in it")).hint(hint))
}

fn regex_complaint(error: &InvalidPattern) -> Complaint {
    let says = |words: &[&str]| words.iter().any(|word| error.why.contains(word));
    let hint = if says(&["look-around"]) {
        "say with `except` what must not match"
    } else if says(&["backreferences"]) {
        "write out what may stand there"
    } else if says(&["size limit"]) {
        "ask for fewer repetitions"
    } else if says(&["unclosed", "unopened", "repetition operator missing"]) {
        "what is meant literally needs a backslash before it, such as '1\\.10'; in single quotes YAML leaves backslashes alone"
    } else {
        return split_hint(&error.to_string());
    };
    let complaint = split_hint(&error.to_string());
    if complaint.hint.is_some() { complaint } else { complaint.hint(hint) }
}

fn version_range(text: &str) -> Result<semver::VersionReq, Complaint> {
    TagPattern::semver(text).map_err(|error| {
        let complaint = split_hint(&error.to_string());
        let is_v = |pair: &[u8]| pair[0] == b'v' && pair[1].is_ascii_digit();
        let hint = if complaint.hint.is_some() {
            return complaint;
        } else if text.contains('|') {
            "several ranges are a list: [\"1\", \"2\"]"
        } else if !text.contains(|character: char| character.is_ascii_digit()) {
            "this is a name; choose it with `glob`"
        } else if text.as_bytes().windows(2).any(is_v) {
            "leave out the v: \">=1.0.0\" chooses the tag v1.2.3, too"
        } else {
            "write a range such as \">=1.0.0\" or \">=1.2.0, <2.0.0\""
        };
        complaint.hint(hint)
    })
}
