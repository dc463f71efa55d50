//! The config of an image, as far as retention reads it: its labels. Does not know how blobs travel; see `Client::get_blob`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::client::Client;
use super::error::Error;
use super::limits::{LABELS_MAX, LABELS_MAX_BYTES};
use super::wire;
use crate::model::{Digest, Pairs, RepositoryName, Texts};

/// An OCI image config, or Docker's. Other keys are ignored.
#[derive(Deserialize)]
struct WireImage<'a> {
    #[serde(borrow, default)]
    config: Option<WireConfig<'a>>,
}

#[derive(Deserialize)]
struct WireConfig<'a> {
    #[serde(borrow, default, rename = "Labels")]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

impl Client {
    /// Reads the labels of an image from its config. What the blob says is true for ever, and so is [`Texts::Unreadable`] here: its
    /// bytes are the right ones and no image's config.
    ///
    /// # Errors
    /// As [`Client::get_blob`].
    pub async fn get_labels(&self, repository: &RepositoryName, config: Digest) -> Result<Texts, Error> {
        let bytes = self.get_blob(repository, config).await?;
        Ok(read_labels(&bytes))
    }
}

fn read_labels(bytes: &[u8]) -> Texts {
    let image: WireImage<'_> = match wire::read(bytes) {
        Ok(image) => image,
        Err(_) => return Texts::Unreadable("its config is not that of an image".into()),
    };
    let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
    let size: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    if LABELS_MAX < labels.len() {
        return Texts::Unreadable(format!("it has {} labels, more than {LABELS_MAX}", labels.len()).into());
    }
    if LABELS_MAX_BYTES < size {
        return Texts::Unreadable(format!("its labels take {size} bytes, more than {LABELS_MAX_BYTES}").into());
    }
    let owned = |(key, value): (Cow<'_, str>, Cow<'_, str>)| (key.into_owned().into(), value.into_owned().into());
    Texts::Known(labels.into_iter().map(owned).collect::<Pairs>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_from_configs_of_every_kind() {
        for (config, expected) in [
            (r#"{"architecture":"amd64","config":{"Labels":{"team":"a","é":"\u00e9"},"Env":[]}}"#, vec![("team", "a"), ("é", "é")]),
            (r#"{"config":{"Labels":null}}"#, vec![]),
            (r#"{"config":null}"#, vec![]),
            ("{}", vec![]),
        ] {
            let Texts::Known(labels) = read_labels(config.as_bytes()) else { panic!("{config}") };
            assert_eq!(labels.iter().collect::<Vec<_>>(), expected, "{config}");
        }
    }

    #[test]
    fn what_is_no_config_or_beyond_its_bounds_is_unreadable() {
        let many: Vec<String> = (0..=LABELS_MAX).map(|number| format!(r#""{number}":"x""#)).collect();
        let long = format!(r#"{{"config":{{"Labels":{{"a":"{}"}}}}}}"#, "x".repeat(LABELS_MAX_BYTES));
        for config in ["", "[", "<html>", r#"{"config":{"Labels":[]}}"#, r#"{"config":{"Labels":{"a":1}}}"#, &long] {
            assert!(matches!(read_labels(config.as_bytes()), Texts::Unreadable(_)), "{config}");
        }
        let many = format!(r#"{{"config":{{"Labels":{{{}}}}}}}"#, many.join(","));
        assert_eq!(read_labels(many.as_bytes()), Texts::Unreadable("it has 1001 labels, more than 1000".into()));
    }
}
