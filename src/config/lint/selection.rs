//! What rules and policies choose, as far as it can be read from the words: what one surely covers of another, and what they surely have
//! not in common. Compares texts and globs; no language of patterns is decided here.

use semver::{Comparator, Version, VersionReq};

use crate::config::globs::{are_disjoint, covers, matches_no_version};
use crate::config::item::Object;
use crate::config::written::{Written, texts};
use crate::policy::TagPattern;

/// The tags that a rule chooses, as they are written.
pub(super) struct Tags<'a> {
    /// `glob`, `regex` or `semver`.
    kind: &'static str,
    any: Vec<&'a str>,
    except: Vec<&'a str>,
}

impl<'a> Tags<'a> {
    /// None: the rule chooses by something else.
    pub(super) fn of(action: &'a Object) -> Option<Self> {
        let tags = action.object("tags")?;
        let kind = ["glob", "regex", "semver"].into_iter().find(|kind| tags.get(kind).is_some())?;
        let plain = |key| texts(tags, key).into_iter().map(|(_, text)| text).collect();
        Some(Self { kind, any: plain(kind), except: plain("except") })
    }

    /// Whether every tag that `inner` chooses is surely chosen here, too.
    pub(super) fn covers(&self, inner: &Self) -> bool {
        let is_everything = self.kind == "glob" && self.except.is_empty() && self.any.iter().any(|glob| ["*", "**"].contains(glob));
        if is_everything {
            return true;
        }
        // What is taken out here must be taken out there.
        let kind = self.kind == inner.kind && self.except.iter().all(|text| inner.except.contains(text));
        kind && inner
            .any
            .iter()
            .all(|inner| self.any.iter().any(|outer| if self.kind == "glob" { covers(outer, inner) } else { outer == inner }))
    }

    /// Whether surely no tag is chosen by both.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        let every = |left: &Self, right: &Self, disjoint: fn(&str, &str) -> bool| {
            left.any.iter().all(|left| right.any.iter().all(|right| disjoint(left, right)))
        };
        match (self.kind, other.kind) {
            ("glob", "glob") => every(self, other, are_disjoint),
            ("glob", "semver") => every(self, other, |glob, _| matches_no_version(glob)),
            ("semver", "glob") => every(other, self, |glob, _| matches_no_version(glob)),
            (_, _) => false,
        }
    }

    /// The patterns that surely choose no tag, each with the reason.
    pub(super) fn idle(&self) -> Vec<(usize, String)> {
        let reason = |text: &str| match self.kind {
            "glob" => {
                let shadow = self.except.iter().find(|except| covers(except, text) || **except == "*");
                shadow.map(|except| format!("{text:?} chooses nothing: `except` has {except:?}, which takes all of it out again"))
            }
            "semver" => TagPattern::semver(text)
                .ok()
                .filter(is_empty)
                .map(|_| format!("{text:?} chooses nothing: no version can be in this range"))
                .or_else(|| self.except.contains(&text).then(|| format!("{text:?} chooses nothing: it is under `except`, too"))),
            _ => self.except.contains(&text).then(|| format!("{text:?} chooses nothing: it is under `except`, too")),
        };
        self.any.iter().enumerate().filter_map(|(place, text)| Some((place, reason(text)?))).collect()
    }

    /// The patterns compiled, to be tried on tags.
    pub(super) fn pattern(&self) -> Option<TagPattern> {
        let (any, except) = (&self.any, &self.except);
        let globs = |texts: &[&str]| texts.iter().map(|text| crate::policy::Pattern::parse(text).ok()).collect::<Option<Vec<_>>>();
        let regexes = |texts: &[&str]| texts.iter().map(|text| TagPattern::regex(text).ok()).collect::<Option<Vec<_>>>();
        let ranges = |texts: &[&str]| texts.iter().map(|text| TagPattern::semver(text).ok()).collect::<Option<Vec<_>>>();
        Some(match self.kind {
            "glob" => TagPattern::Glob { any: globs(any)?, except: globs(except)? },
            "regex" => TagPattern::Regex { any: regexes(any)?, except: regexes(except)? },
            _ => TagPattern::Semver { any: ranges(any)?, except: ranges(except)? },
        })
    }
}

/// Whether no version is in the range. A range is an intersection of intervals: when it holds anything, it holds one of its lower ends or
/// what comes just after one, and those are tried.
fn is_empty(range: &VersionReq) -> bool {
    let near = |comparator: &Comparator| {
        let Comparator { major, minor, patch, pre, .. } = comparator;
        let (major, minor, patch) = (*major, minor.unwrap_or(0), patch.unwrap_or(0));
        let exact = Version { pre: pre.clone(), ..Version::new(major, minor, patch) };
        let after = semver::Prerelease::new(&format!("{pre}.0")).unwrap_or_else(|_| pre.clone());
        [
            exact,
            Version { pre: after, ..Version::new(major, minor, patch) },
            Version::new(major, minor, patch),
            Version::new(major, minor, patch.saturating_add(1)),
            Version::new(major, minor.saturating_add(1), 0),
            Version::new(major.saturating_add(1), 0, 0),
        ]
    };
    let candidates = range.comparators.iter().flat_map(near).chain([Version::new(0, 0, 0)]);
    !candidates.into_iter().any(|version| range.matches(&version))
}

/// Whether every repository that the policy `inner` names is surely named by `outer`, on every registry.
pub(super) fn names_all_of(outer: &Written, inner: &Written) -> bool {
    let outside = outer.repositories("exclude");
    let excluded = inner.repositories("exclude");
    let is_taken_out = |text: &str| excluded.iter().any(|(_, inner)| covers(inner, text));
    outside.iter().all(|(_, text)| is_taken_out(text))
        && registries_cover(outer, inner)
        && inner
            .repositories("include")
            .iter()
            .all(|(_, inner)| outer.repositories("include").iter().any(|(_, outer)| covers(outer, inner)))
}

/// A pattern of `left` whose repositories, all of them or all of one of `right`, are surely named by both policies on a registry that both
/// are for.
pub(super) fn shared<'a>(left: &'a Written, right: &'a Written) -> Option<(&'a crate::config::item::Item, &'a str)> {
    let excluded = |text: &str| {
        let each = |written: &Written| written.repositories("exclude").iter().any(|(_, exclude)| covers(exclude, text));
        each(left) || each(right)
    };
    let together = |ours: &str, theirs: &str| {
        let narrower = if covers(ours, theirs) {
            theirs
        } else if covers(theirs, ours) {
            ours
        } else {
            return false;
        };
        !excluded(narrower)
    };
    let theirs = right.repositories("include");
    left.repositories("include").into_iter().find(|(_, ours)| theirs.iter().any(|(_, theirs)| together(ours, theirs)))
}

/// Whether surely no repository is named by both.
pub(super) fn are_apart(left: &Written, right: &Written) -> bool {
    let theirs = right.repositories("include");
    left.repositories("include").iter().all(|(_, ours)| theirs.iter().all(|(_, theirs)| are_disjoint(ours, theirs)))
}

fn registries_cover(outer: &Written, inner: &Written) -> bool {
    let written = |policy: &Written| {
        let object = policy.object()?;
        object.get("registries").map(|_| texts(object, "registries").into_iter().map(|(_, text)| text.to_owned()).collect::<Vec<_>>())
    };
    match (written(outer), written(inner)) {
        // Left out means all of them: there is exactly one.
        (None, _) | (_, None) => true,
        (Some(outer), Some(inner)) => inner.iter().all(|inner| outer.iter().any(|outer| covers(outer, inner))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_without_a_version_are_seen() {
        for (range, expected) in [
            (">=2.0.0, <1.0.0", true),
            (">1.2.3, <1.2.4", true),
            ("<0.0.0", true),
            (">1.2.3, <1.2.5", false),
            (">1.2, <1.3", true),
            (">1, <3", false),
            ("=1.2.3", false),
            ("^1.2", false),
            ("~1.2.3, <1.2.3", true),
            (">=1.2.3-rc.1, <1.2.3", false),
            ("*", false),
            ("<2.0.0", false),
        ] {
            assert_eq!(is_empty(&TagPattern::semver(range).expect("a range")), expected, "{range}");
        }
    }
}
