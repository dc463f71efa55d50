//! What nobody has published about the real registry, each as a switch. The answer that is the more dangerous for a client that deletes is the
//! default where there is one, so that clients protect themselves.

use super::{Listing, Options};

/// Answers to open questions that need no setting of their own in [`Options`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknowns {
    /// `tags` of a repository that has none.
    pub no_tags: NoTags,
    /// Things whose `listEnabled` is false are left out of lists.
    pub unlisted_is_hidden: bool,
    /// The properties of OCI indexes have no `references`, those of Docker's have.
    pub docker_references_only: bool,
    /// Lists of manifests tell the type of artifacts.
    pub lists_artifact_type: bool,
    /// The catalog is empty for those who may not list it, instead of refused.
    pub denied_catalog_is_empty: bool,
    /// `_tags?digest=` lists all tags.
    pub ignores_digest_filter: bool,
    /// A page of no items, or less.
    pub page_of_zero: PageOfZero,
    /// Cursors in time order are opaque texts.
    pub opaque_cursors: bool,
    /// HEAD of a manifest does not tell its digest.
    pub head_without_digest: bool,
    /// Deleting a repository with locked contents deletes the others, and is refused.
    pub partial_repository_delete: bool,
}

/// How a list of no tags is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoTags {
    /// `"tags":null`, as the recorded lists of other things.
    #[default]
    Null,
    /// `"tags":[]`.
    Empty,
    /// No such key.
    Absent,
}

/// What `n=0` and `n=-1` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageOfZero {
    /// A page of the usual size.
    #[default]
    Usual,
    /// No items and no next page.
    Empty,
    /// 400.
    Refused,
}

/// The names of all switches with their answers, the usual one first.
pub const SWITCHES: [(&str, &str); 19] = [
    ("artifact-type", "absent, listed: in lists of manifests"),
    ("cascade", "yes, no: deleting a subject deletes what refers to it"),
    ("catalog-denied", "401, empty: for those who may not list it"),
    ("head-digest", "yes, no: HEAD of a manifest tells its digest"),
    ("index-references", "all, docker: the properties of which indexes have references"),
    ("listing-order", "ascending, descending: of lists without orderby"),
    ("locked-content-protects-repository", "no, yes, partly: from deletion; partly deletes what is not locked"),
    ("locked-tag-protects-manifest", "no, yes: from deletion by digest"),
    ("no-tags", "null, empty, absent: how a list of no tags is written"),
    ("page-of-zero", "usual, empty, refused: what n=0 means"),
    ("page-size", "100, or another number: without n"),
    ("page-size-max", "1000, or another number"),
    ("tags-by-digest", "filtered, ignored: _tags?digest="),
    ("tags-shown", "10, or another number: in the properties of a manifest"),
    ("throttled-body", "json, none: of a 429"),
    ("throttled-remaining", "no, yes: a 429 tells the remaining calls"),
    ("time-cursor", "ticks, opaque: the cursor in time order"),
    ("unlisted", "shown, hidden: what has listEnabled false, in lists"),
    ("upload-limit", "1000, or another number: uploads under way"),
];

impl Options {
    /// Sets a switch by `NAME=ANSWER`, as [`SWITCHES`] lists them.
    ///
    /// # Errors
    /// Says which names or answers there are.
    pub fn assume(&mut self, text: &str) -> Result<(), String> {
        let (name, answer) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=ANSWER"))?;
        let Some((_, answers)) = SWITCHES.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = SWITCHES.iter().map(|(name, _)| *name).collect();
            return Err(format!("{name:?} is no open question: these are {}", names.join(", ")));
        };
        self.set(name, answer).ok_or_else(|| format!("{answer:?} is no answer for {name}: {answers}"))
    }

    fn set(&mut self, name: &str, answer: &str) -> Option<()> {
        let unknowns = &mut self.unknowns;
        let number = || answer.parse::<usize>().ok().filter(|number| 0 < *number);
        match name {
            "artifact-type" => unknowns.lists_artifact_type = second(answer, ["absent", "listed"])?,
            "cascade" => self.cascade = !second(answer, ["yes", "no"])?,
            "catalog-denied" => unknowns.denied_catalog_is_empty = second(answer, ["401", "empty"])?,
            "head-digest" => unknowns.head_without_digest = second(answer, ["yes", "no"])?,
            "index-references" => unknowns.docker_references_only = second(answer, ["all", "docker"])?,
            "listing-order" => {
                self.listing = if second(answer, ["ascending", "descending"])? { Listing::Descending } else { Listing::Ascending };
            }
            "locked-content-protects-repository" => {
                unknowns.partial_repository_delete = answer == "partly";
                self.locked_content_protects_repository = answer == "partly" || second(answer, ["no", "yes"])?;
            }
            "locked-tag-protects-manifest" => self.locked_tag_protects_manifest = second(answer, ["no", "yes"])?,
            "no-tags" => unknowns.no_tags = one_of(answer, [("null", NoTags::Null), ("empty", NoTags::Empty), ("absent", NoTags::Absent)])?,
            "page-of-zero" => {
                let known = [("usual", PageOfZero::Usual), ("empty", PageOfZero::Empty), ("refused", PageOfZero::Refused)];
                unknowns.page_of_zero = one_of(answer, known)?;
            }
            "page-size" => self.page_size_default = number()?,
            "page-size-max" => self.page_size_max = number()?,
            "tags-by-digest" => unknowns.ignores_digest_filter = second(answer, ["filtered", "ignored"])?,
            "tags-shown" => self.tags_shown_max = number()?,
            "throttled-body" => {
                let explained = !second(answer, ["json", "none"])?;
                self.throttle.iter_mut().for_each(|throttle| throttle.explained = explained);
            }
            "throttled-remaining" => {
                let told = second(answer, ["no", "yes"])?;
                self.throttle.iter_mut().for_each(|throttle| throttle.told_when_refused = told);
            }
            "time-cursor" => unknowns.opaque_cursors = second(answer, ["ticks", "opaque"])?,
            "unlisted" => unknowns.unlisted_is_hidden = second(answer, ["shown", "hidden"])?,
            "upload-limit" => self.uploads_max = number()?,
            _ => return None,
        }
        Some(())
    }
}

/// Whether the answer is the second of two; `None` when it is neither.
fn second(answer: &str, [first, second]: [&str; 2]) -> Option<bool> {
    (answer == first || answer == second).then_some(answer == second)
}

fn one_of<T: Copy, const N: usize>(answer: &str, known: [(&str, T); N]) -> Option<T> {
    known.into_iter().find(|(name, _)| *name == answer).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{Sku, Throttle};

    #[test]
    fn every_switch_takes_its_answers_and_the_first_is_the_usual_one() {
        let usual = || Options { throttle: Some(Throttle::of(Sku::Basic)), ..Options::default() };
        for (name, answers) in SWITCHES {
            let (answers, _) = answers.split_once(": ").unwrap_or((answers, ""));
            for (place, answer) in answers.split(", ").enumerate() {
                let answer = if answer == "or another number" { "7" } else { answer };
                let mut options = usual();
                options.assume(&format!("{name}={answer}")).unwrap();
                assert_eq!(format!("{options:?}") == format!("{:?}", usual()), place == 0, "{name}={answer}");
            }
            assert!(usual().assume(&format!("{name}=perhaps")).unwrap_err().contains(answers), "{name}");
        }
        assert!(usual().assume("colour=red").unwrap_err().contains("artifact-type, cascade"));
        assert!(usual().assume("cascade").is_err());
    }
}
