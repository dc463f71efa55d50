//! What an image runs on. Does not know which platforms exist.

use std::fmt;
use std::str::FromStr;

/// An operating system and an architecture, in the words of the image's config: `linux/amd64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// Such as `linux`.
    pub os: Box<str>,
    /// Such as `arm64`.
    pub architecture: Box<str>,
    /// Such as `v7`. ACR's listing never tells it: None means that it is not known.
    pub variant: Option<Box<str>>,
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a platform; write the operating system and the architecture, such as linux/amd64 or linux/arm/v7")]
pub struct InvalidPlatform(pub String);

impl Platform {
    /// What the attributes of a listing say; None: they do not say.
    pub fn listed(os: &str, architecture: &str) -> Option<Self> {
        (!os.is_empty() && !architecture.is_empty()).then(|| Self { os: os.into(), architecture: architecture.into(), variant: None })
    }

    /// Whether it says that it runs on nothing: BuildKit's attestations, which stand among the children of an index, have the platform
    /// `unknown/unknown`.
    pub fn is_none(&self) -> bool {
        &*self.os == "unknown" || &*self.architecture == "unknown"
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    /// Reads `os/architecture` or `os/architecture/variant`, in lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let parts: Vec<&str> = text.split('/').collect();
        let well_formed = parts.iter().all(|part| !part.is_empty() && part.bytes().all(good));
        match (well_formed, parts.as_slice()) {
            (true, [os, architecture]) => Ok(Self { os: (*os).into(), architecture: (*architecture).into(), variant: None }),
            (true, [os, architecture, variant]) => {
                Ok(Self { os: (*os).into(), architecture: (*architecture).into(), variant: Some((*variant).into()) })
            }
            _ => Err(InvalidPlatform(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { os, architecture, variant } = self;
        write!(formatter, "{}/{}", os.escape_debug(), architecture.escape_debug())?;
        variant.iter().try_for_each(|variant| write!(formatter, "/{}", variant.escape_debug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_whole() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().expect("a platform").to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "Linux/amd64", "linux/*", "linux / amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_listing_leaves_open_is_not_known() {
        assert!(Platform::listed("linux", "arm64").is_some_and(|platform| !platform.is_none()));
        assert!(Platform::listed("unknown", "unknown").is_some_and(|platform| platform.is_none()));
        for (os, architecture) in [("", "arm64"), ("linux", "")] {
            assert_eq!(Platform::listed(os, architecture), None);
        }
    }
}
