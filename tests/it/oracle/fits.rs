//! What filters ask of a manifest, by the configuration reference: yes, no, or not to be said. Reads globs, keys and dates by itself.

use retaind::model::{Manifest, Platform, References, Texts};
use retaind::policy::{Filter, KeyValue, Pattern};

use super::Oracle;

/// As Microsoft's documentation writes them.
const LIFECYCLE_TYPE: &str = "application/vnd.microsoft.artifact.lifecycle";
const END_KEY: &str = "vnd.microsoft.artifact.lifecycle.end-of-life.date";

/// In the order in which the least of several is the answer to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    Unknown,
    Yes,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// What several say of one: what all of them say, else nobody can tell.
fn agreed(answers: &[Fit]) -> Fit {
    match answers {
        [] => Fit::No,
        [first, others @ ..] if others.iter().all(|other| other == first) => *first,
        _ => Fit::Unknown,
    }
}

fn pairs(wanted: &[KeyValue], texts: &Texts) -> Fit {
    match texts {
        Texts::NotRead | Texts::Unreadable(_) => Fit::Unknown,
        Texts::Known(pairs) => {
            let fits = |wanted: &KeyValue, (key, value): (&str, &str)| {
                *wanted.key == *key && wanted.value.as_ref().is_none_or(|glob| any(std::slice::from_ref(glob), value))
            };
            Fit::from(wanted.iter().any(|wanted| pairs.iter().any(|pair| fits(wanted, pair))))
        }
    }
}

fn any(globs: &[Pattern], text: &str) -> bool {
    globs.iter().any(|glob| matches(glob.as_str(), text))
}

/// Whether a glob matches the whole text: tried out at every place. What worlds draw has `**` as a whole segment or at the end of one.
fn matches(glob: &str, text: &str) -> bool {
    if let Some(rest) = glob.strip_prefix("**") {
        return text.char_indices().map(|(place, _)| place).chain([text.len()]).any(|place| matches(rest, &text[place..]));
    }
    if let Some(rest) = glob.strip_prefix('*') {
        let segment = text.find('/').unwrap_or(text.len());
        return (0..=segment).filter(|place| text.is_char_boundary(*place)).any(|place| matches(rest, &text[place..]));
    }
    if let Some((alternatives, rest)) = glob.strip_prefix('{').and_then(|glob| glob.split_once('}')) {
        return alternatives.split(',').any(|alternative| matches(&format!("{alternative}{rest}"), text));
    }
    let Some(first) = text.chars().next() else { return glob.is_empty() };
    let after = &text[first.len_utf8()..];
    if let Some((class, rest)) = glob.strip_prefix('[').and_then(|glob| glob.split_once(']')) {
        let members: Vec<char> = class.chars().collect();
        let is_member = match members[..] {
            [from, '-', to] => (from..=to).contains(&first),
            _ => members.contains(&first),
        };
        return is_member && matches(rest, after);
    }
    match glob.strip_prefix('?') {
        Some(rest) => first != '/' && matches(rest, after),
        None => glob.strip_prefix(first).is_some_and(|rest| matches(rest, after)),
    }
}

/// The second from which on a life is over: the one after a date's day in UTC, or the time itself. None: it cannot be read.
fn end(text: &str) -> Option<i64> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let (date, time) = text.split_at_checked("2026-01-31".len())?;
    let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
    let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = |year| [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month - 1).ok()?;
    if !(1..=*lengths(year).get(before)?).contains(&day) || year < 1970 {
        return None;
    }
    let days = (1970..year).flat_map(lengths).sum::<i64>() + lengths(year)[..before].iter().sum::<i64>() + day - 1;
    if time.is_empty() {
        return Some((days + 1) * 86_400);
    }
    let (clock, zone) = time.strip_prefix('T')?.split_at_checked("23:59:59".len())?;
    let seconds = |clock: &str| clock.split(':').try_fold(0, |sum, part| Some(sum * 60 + digits(part)?));
    let ahead = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        ("+", offset) => seconds(offset)? * 60,
        ("-", offset) => -seconds(offset)? * 60,
        _ => return None,
    };
    Some(days * 86_400 + seconds(clock)? - ahead)
}

impl Oracle<'_> {
    /// Whether the manifest fits every filter.
    pub(super) fn fits(&self, filters: &[Filter], manifest: usize) -> Fit {
        filters.iter().map(|filter| self.fits_one(filter, manifest)).min().unwrap_or(Fit::Yes)
    }

    fn fits_one(&self, filter: &Filter, place: usize) -> Fit {
        let manifest = &self.world.manifests[place];
        let facts = manifest.facts.as_deref();
        match filter {
            Filter::MediaType(globs) => Fit::from(any(globs, manifest.media_type.as_str())),
            Filter::LargerThan(_) if manifest.size_bytes == 0 => Fit::Unknown,
            Filter::LargerThan(size) => Fit::from(size.bytes() < manifest.size_bytes),
            Filter::ArtifactType(globs) => facts.map_or(Fit::Unknown, |facts| {
                Fit::from(facts.artifact_type.as_deref().is_some_and(|artifact_type| any(globs, artifact_type)))
            }),
            Filter::Annotation(wanted) => facts.map_or(Fit::Unknown, |facts| pairs(wanted, &facts.annotations)),
            Filter::Platform(wanted) => self.runs_on(wanted, place),
            Filter::Label(wanted) => self.is_labelled(wanted, place),
            Filter::EndOfLife => self.is_at_its_end(place),
        }
    }

    /// Whatever is below an index and is no index itself; None: some of it is missing, or listed and not there.
    fn leaves(&self, index: usize) -> Option<Vec<usize>> {
        let (mut seen, mut leaves, mut next) = (vec![index], Vec::new(), vec![index]);
        while let Some(index) = next.pop() {
            for child in self.world.manifests[index].references.children() {
                let child = self.find(*child).filter(|child| !self.is_ghost(*child))?;
                if seen.contains(&child) {
                    continue;
                }
                seen.push(child);
                if is_index(&self.world.manifests[child]) { next.push(child) } else { leaves.push(child) }
            }
        }
        Some(leaves)
    }

    fn runs_on(&self, wanted: &[Platform], place: usize) -> Fit {
        let one = |place: usize| match &self.world.manifests[place].platform {
            // What says that it runs on nothing, and is asked by itself, may well be an image of an unknown platform.
            None => Fit::Unknown,
            Some(platform) if platform.is_none() => Fit::Unknown,
            Some(platform) => {
                let same = |wanted: &&Platform| wanted.os == platform.os && wanted.architecture == platform.architecture;
                let named: Vec<&Platform> = wanted.iter().filter(same).collect();
                // A variant is never listed.
                if named.iter().any(|wanted| wanted.variant.is_none()) {
                    Fit::Yes
                } else if named.is_empty() {
                    Fit::No
                } else {
                    Fit::Unknown
                }
            }
        };
        if !is_index(&self.world.manifests[place]) {
            return one(place);
        }
        let children = self.world.manifests[place].references.children();
        // Of an index in an index nobody can say.
        let Some(leaves) = children.iter().map(|child| self.find(*child)).collect::<Option<Vec<usize>>>() else { return Fit::Unknown };
        // Attestations run on nothing, which says nothing of the index.
        let is_image = |leaf: &usize| self.world.manifests[*leaf].platform.as_ref().is_none_or(|platform| !platform.is_none());
        let answers: Vec<Fit> = leaves.into_iter().filter(is_image).map(one).collect();
        if answers.is_empty() { Fit::Unknown } else { agreed(&answers) }
    }

    fn is_labelled(&self, wanted: &[KeyValue], place: usize) -> Fit {
        let one = |place: usize| self.world.manifests[place].facts.as_ref().map_or(Fit::Unknown, |facts| pairs(wanted, &facts.labels));
        if !is_index(&self.world.manifests[place]) {
            return one(place);
        }
        let Some(leaves) = self.leaves(place) else { return Fit::Unknown };
        let has_none = |leaf: &usize| matches!(self.world.manifests[*leaf].facts.as_ref().map(|facts| &facts.labels), Some(Texts::Known(labels)) if labels.is_empty());
        let answers: Vec<Fit> = leaves.into_iter().filter(|leaf| !has_none(leaf)).map(one).collect();
        agreed(&answers)
    }

    fn is_at_its_end(&self, place: usize) -> Fit {
        let referrers = self.manifests().filter(|referrer| self.is_referrer(*referrer, place) && !self.is_ghost(*referrer));
        let mut dates = Vec::new();
        for tells in std::iter::once(place).chain(referrers) {
            let Some(facts) = &self.world.manifests[tells].facts else { return Fit::Unknown };
            if tells != place && facts.artifact_type.as_deref() != Some(LIFECYCLE_TYPE) {
                continue;
            }
            let Texts::Known(annotations) = &facts.annotations else { return Fit::Unknown };
            for (_, date) in annotations.iter().filter(|(key, _)| *key == END_KEY) {
                let Some(date) = end(date) else { return Fit::Unknown };
                dates.push(date);
            }
        }
        // Worlds are at whole seconds.
        dates.into_iter().max().map_or(Fit::No, |latest| Fit::from(latest < self.world.now.as_second()))
    }
}

fn is_index(manifest: &Manifest) -> bool {
    manifest.media_type.is_index() || !manifest.references.children().is_empty() && manifest.references != References::Ghost
}
