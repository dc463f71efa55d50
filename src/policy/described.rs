//! What is asked of documents and configs: annotations, labels, and the end of an image's life. Does not know where they come from.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::Pairs;

use super::{InvalidPattern, Pattern};

/// The annotation that says from when on an image should no longer be used (learn.microsoft.com, "Manage artifact lifecycle metadata").
pub const END_OF_LIFE_KEY: &str = "vnd.microsoft.artifact.lifecycle.end-of-life.date";
/// The artifact type of a referrer that says so of its subject.
pub const LIFECYCLE_ARTIFACT_TYPE: &str = "application/vnd.microsoft.artifact.lifecycle";

/// A key, with any value or with one that matches.
#[derive(Debug, Clone)]
pub struct KeyValue {
    /// The whole key.
    pub key: Box<str>,
    /// A glob on the whole value; None: any value, the empty one too.
    pub value: Option<Pattern>,
}

impl KeyValue {
    /// Reads `key` or `key=glob`.
    ///
    /// # Errors
    /// An empty key, an empty or broken glob.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |why: &str| InvalidPattern { kind: "key or key=value", pattern: text.to_owned(), why: why.to_owned() };
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
        if key.is_empty() || key.trim() != key {
            return Err(invalid("the key is empty or has blanks around it"));
        }
        if value == Some("") {
            return Err(invalid("the value is empty; write the key alone for any value"));
        }
        Ok(Self { key: key.into(), value: value.map(Pattern::parse).transpose()? })
    }

    /// Whether one of the pairs is such.
    pub fn is_among(&self, pairs: &Pairs) -> bool {
        pairs.get(&self.key).is_some_and(|value| self.value.as_ref().is_none_or(|glob| glob.matches(value)))
    }
}

/// The moment from which an image's life is over, as the annotation tells it: a time (RFC 3339), or a date, whose whole day in UTC still
/// belongs to its life. None: neither.
pub fn end_of_life(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let date: Date = text.parse().ok().filter(|_| text.len() == "2026-01-31".len())?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    midnight.checked_add(SignedDuration::from_hours(24)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_with_any_value_or_with_a_glob_on_the_whole_value() {
        let pairs: Pairs = [("a", "x/y"), ("b", "")].into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        for (text, expected) in [
            ("a", true),
            ("b", true),
            ("c", false),
            ("a=x/y", true),
            ("a=x", false),
            ("a=*", false),
            ("a=**", true),
            ("a=x/?", true),
            ("b=*", true),
            ("c=*", false),
        ] {
            assert_eq!(KeyValue::parse(text).map(|asked| asked.is_among(&pairs)), Ok(expected), "{text}");
        }
        for bad in ["", "=x", "a=", " a", "a=!x", "a=[", "a =x"] {
            assert!(KeyValue::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_life_ends_at_a_time_or_after_a_day() {
        let at = |text: &str| end_of_life(text).map(|time| time.to_string());
        assert_eq!(at("2026-03-20"), Some("2026-03-21T00:00:00Z".to_owned()));
        assert_eq!(at("2026-03-20T10:00:00Z"), Some("2026-03-20T10:00:00Z".to_owned()));
        assert_eq!(at("2026-03-20T10:00:00+02:00"), Some("2026-03-20T08:00:00Z".to_owned()));
        for unreadable in ["", "soon", "2026-02-30", "20.3.2026", "2026-03", "20260320", "2026-03-20T10:00:00"] {
            assert_eq!(at(unreadable), None, "{unreadable}");
        }
    }
}
