//! Reads a listing page by page. Believes of a `Link` only its query, goes on only while there is something new, and ends
//! within bounds; a listing that cannot be read to its end is an error, never a shorter listing.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

use bytes::Bytes;
use http::header::LINK;
use http::{HeaderMap, Uri};
use tokio::time::Instant;

use super::client::{Call, Client};
use super::endpoint::Endpoint;
use super::error::{Error, Failure, printable};
use super::limits::{EMPTY_PAGES_MAX, LINK_MAX_LENGTH, LISTING_MAX, PAGES_MAX};
use super::wire::Wrong;

/// A listing that is being read.
pub struct Pages<T> {
    client: Client,
    /// Its path, without a query, is the path of every page.
    call: Call,
    path: String,
    /// The query of the next page. None: the last page was read.
    next: Option<String>,
    read: Box<ReadPage<T>>,
    progress: Progress,
    /// Whether a listing without any item is believed only if the repository says the same of itself.
    doubts_emptiness: bool,
}

/// Reads the items of a page.
type ReadPage<T> = dyn Fn(&Bytes, Place) -> Result<Vec<T>, Wrong> + Send + Sync;

/// Where in a listing a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the first and the last one.
    Only,
    /// There are others.
    OneOfMany,
}

/// What keeps a listing from going round in circles.
#[derive(Default)]
struct Progress {
    /// When the first page was asked for.
    began: Option<Instant>,
    pages: u32,
    empty_pages: u32,
    /// Hashes of what was listed so far: 8 bytes each instead of a name. Keyed afresh for each listing, so that the rare
    /// collision does not come back.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl<T> Pages<T> {
    pub(super) fn new(client: Client, call: Call, read: impl Fn(&Bytes, Place) -> Result<Vec<T>, Wrong> + Send + Sync + 'static) -> Self {
        let (path, query) = call.path_and_query.split_once('?').unwrap_or((&call.path_and_query, ""));
        let (path, next) = (path.to_owned(), Some(query.to_owned()));
        Self { client, call, path, next, read: Box::new(read), progress: Progress::default(), doubts_emptiness: false }
    }

    /// Lets the repository confirm that there are no tags, should none be listed: whoever believes a glitch there takes every
    /// image for an untagged one.
    pub(super) fn doubting_emptiness(self) -> Self {
        Self { doubts_emptiness: true, ..self }
    }

    /// The next page that has items on it. None: the listing is complete.
    ///
    /// # Errors
    /// The page could not be read. A later call asks for the same page again; what came before stands.
    async fn next_page_keyed<K: Hash>(&mut self, key: impl Fn(&T) -> K) -> Result<Option<Vec<T>>, Error> {
        loop {
            let Some(query) = self.next.clone() else {
                if self.doubts_emptiness && self.progress.seen.is_empty() {
                    self.confirm_emptiness().await?;
                }
                return Ok(None);
            };
            self.call.path_and_query = format!("{}?{query}", self.path);
            self.progress.check_time().map_err(|failure| self.client.error(&self.call, failure))?;
            let incoming = self.client.read(&self.call).await?;
            let failed = |failure| self.client.error(&self.call, failure);
            let next = next_query(&incoming.headers, self.client.endpoint(), &self.path).map_err(failed)?;
            let place = if self.progress.pages == 0 && next.is_none() { Place::Only } else { Place::OneOfMany };
            let items = (self.read)(&incoming.body, place).map_err(|wrong| failed(Failure::Protocol { said: wrong }))?;
            self.progress.step(&query, next.as_deref(), items.iter().map(&key)).map_err(failed)?;
            self.next = next;
            if !items.is_empty() {
                return Ok(Some(items));
            }
        }
    }
}

impl<T> Pages<T> {
    async fn confirm_emptiness(&self) -> Result<(), Error> {
        let Some(repository) = self.call.scope.repository() else { return Ok(()) };
        match self.client.get_repository(repository).await?.tag_count {
            Some(0) => Ok(()),
            count => {
                let count = count.map_or_else(|| "an unknown number of".to_owned(), |count| count.to_string());
                let said = format!("no tag is listed, while the repository counts {count} tags");
                Err(self.client.error(&self.call, Failure::Protocol { said }))
            }
        }
    }
}

macro_rules! listing_of {
    ($item:ty, $key:expr) => {
        impl Pages<$item> {
            /// The next page that has items on it. None: the listing is complete.
            ///
            /// # Errors
            /// The page could not be read, or the listing repeats itself or has no end: it is incomplete.
            pub async fn next_page(&mut self) -> Result<Option<Vec<$item>>, Error> {
                self.next_page_keyed($key).await
            }

            /// All items of the pages that are left.
            ///
            /// # Errors
            /// As [`Self::next_page`]; nothing of an incomplete listing is returned.
            pub async fn all(mut self) -> Result<Vec<$item>, Error> {
                let mut all = Vec::new();
                while let Some(page) = self.next_page().await? {
                    all.extend(page);
                }
                Ok(all)
            }
        }
    };
}
listing_of!(crate::model::RepositoryName, |name: &crate::model::RepositoryName| name.clone());
listing_of!(super::TagProperties, |tag: &super::TagProperties| tag.name.clone());
listing_of!(super::ManifestProperties, |manifest: &super::ManifestProperties| manifest.digest);
listing_of!(super::SoftDeletedRepository, |repository: &super::SoftDeletedRepository| repository.name.clone());
listing_of!(super::DeletedManifest, |manifest: &super::DeletedManifest| manifest.digest);
// A tag that was deleted twice is listed twice, with what it pointed at each time.
listing_of!(super::DeletedTag, |tag: &super::DeletedTag| tag.clone());

impl Progress {
    /// Refuses to go on when the listing as a whole has taken too long.
    fn check_time(&mut self) -> Result<(), Failure> {
        let took = self.began.get_or_insert_with(Instant::now).elapsed();
        if took < LISTING_MAX {
            return Ok(());
        }
        let (pages, minutes) = (self.pages, took.as_secs() / 60);
        Err(Failure::Unreachable { said: format!("the listing did not end within {minutes} minutes, in which {pages} pages came") })
    }

    /// Takes note of a page.
    fn step<K: Hash>(&mut self, query: &str, next: Option<&str>, keys: impl Iterator<Item = K>) -> Result<(), Failure> {
        let before = self.seen.len();
        for key in keys {
            if !self.seen.insert(self.hasher.hash_one(key)) {
                return Err(Failure::protocol("an item is listed twice: the listing changed while it was read, or it repeats itself"));
            }
        }
        self.pages += 1;
        self.empty_pages = if before < self.seen.len() { 0 } else { self.empty_pages + 1 };
        if next == Some(query) {
            return Err(Failure::protocol("the listing's next page is the same page again"));
        }
        if next.is_some() && (PAGES_MAX <= self.pages || EMPTY_PAGES_MAX <= self.empty_pages) {
            let Self { pages, empty_pages, .. } = self;
            return Err(Failure::protocol(format!("the listing does not end: {pages} pages, the last {empty_pages} without any item")));
        }
        Ok(())
    }
}

/// The query of the page that a `Link` names next. None: there is no next page.
///
/// The address itself is rebuilt from what is known; that it is the expected one is checked, so that a registry which tries to
/// lead elsewhere is told apart from one that works.
fn next_query(headers: &HeaderMap, endpoint: &Endpoint, path: &str) -> Result<Option<String>, Failure> {
    let mut links = headers.get_all(LINK).iter();
    let Some(link) = links.next() else { return Ok(None) };
    let unreadable = || Failure::protocol("the listing's Link header cannot be read");
    if links.next().is_some() || LINK_MAX_LENGTH < link.len() {
        return Err(unreadable());
    }
    let link = link.to_str().map_err(|_| unreadable())?;
    let (target, parameters) = link.trim().strip_prefix('<').and_then(|link| link.split_once('>')).ok_or_else(unreadable)?;
    let parameters: String = parameters.chars().filter(|character| !matches!(character, ' ' | '"')).collect();
    if !parameters.eq_ignore_ascii_case(";rel=next") {
        return Err(unreadable());
    }
    let elsewhere = || Failure::hostile(format!("the listing's next page is {}", printable(target)));
    // A target that starts with two slashes names a host.
    let same_origin = target.starts_with('/') && !target.starts_with("//");
    let uri: Uri = target.parse().map_err(|_| elsewhere())?;
    if !same_origin && Endpoint::of(&uri).as_ref() != Some(endpoint) {
        return Err(elsewhere());
    }
    if !uri.path().replace("%2F", "/").replace("%2f", "/").eq(path) {
        return Err(elsewhere());
    }
    let query = uri.query().filter(|query| query.split('&').any(|field| field.strip_prefix("last=").is_some_and(|last| !last.is_empty())));
    query.map(|query| Some(query.to_owned())).ok_or_else(|| Failure::protocol("the listing's Link header has no cursor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/acr/v1/team/web/_tags";

    fn next(link: &str) -> Result<Option<String>, Failure> {
        let endpoint = Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint");
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().expect("a header"));
        next_query(&headers, &endpoint, PATH)
    }

    #[test]
    fn the_query_of_a_link_is_kept_verbatim() {
        for (link, query) in [
            (r#"</acr/v1/team/web/_tags?last=b&n=2&orderby=>; rel="next""#, "last=b&n=2&orderby="),
            (
                r#"</acr/v1/team%2Fweb/_tags?last=8586163895140836946%2612.04&n=2&orderby=timedesc>; rel="next""#,
                "last=8586163895140836946%2612.04&n=2&orderby=timedesc",
            ),
            (r#"<https://contoso.azurecr.io/acr/v1/team/web/_tags?last=b>;rel=next"#, "last=b"),
            (r#"<https://contoso.azurecr.io:443/acr/v1/team/web/_tags?n=1&last=sha256%3Aab>; rel="next""#, "n=1&last=sha256%3Aab"),
        ] {
            assert_eq!(next(link), Ok(Some(query.to_owned())), "{link}");
        }
        assert_eq!(next_query(&HeaderMap::new(), &Endpoint::parse("https://a.b").expect("an endpoint"), PATH), Ok(None));
    }

    #[test]
    fn a_link_elsewhere_is_hostile() {
        for target in [
            "https://evil.example/acr/v1/team/web/_tags?last=b",
            "http://contoso.azurecr.io/acr/v1/team/web/_tags?last=b",
            "https://contoso.azurecr.io:8443/acr/v1/team/web/_tags?last=b",
            "//evil.example/acr/v1/team/web/_tags?last=b",
            "https://contoso.azurecr.io@evil.example/acr/v1/team/web/_tags?last=b",
            "/acr/v1/team/other/_tags?last=b",
            "/acr/v1/team/web/../other/_tags?last=b",
            "/acr/v1/team/web/_manifests?last=b",
            "acr/v1/team/web/_tags?last=b",
            "?last=b",
            "",
        ] {
            assert!(matches!(next(&format!("<{target}>; rel=\"next\"")), Err(Failure::Hostile { .. })), "{target}");
        }
    }

    #[test]
    fn a_link_that_cannot_be_followed_is_an_error_and_not_an_end() {
        let long = format!("</acr/v1/team/web/_tags?last={}>; rel=\"next\"", "x".repeat(5000));
        for link in [
            "",
            "</acr/v1/team/web/_tags?last=b",
            "</acr/v1/team/web/_tags?last=b>; rel=\"prev\"",
            "</acr/v1/team/web/_tags>; rel=\"next\"",
            "</acr/v1/team/web/_tags?last=>; rel=\"next\"",
            "</acr/v1/team/web/_tags?last=b>; rel=\"next\", </acr/v1/team/web/_tags?last=c>; rel=\"next\"",
            &long,
        ] {
            assert!(matches!(next(link), Err(Failure::Protocol { .. })), "{link}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_as_a_whole_has_an_hour() {
        let mut progress = Progress::default();
        assert_eq!(progress.check_time(), Ok(()));
        tokio::time::advance(LISTING_MAX - std::time::Duration::from_secs(1)).await;
        assert_eq!(progress.check_time(), Ok(()));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let Err(Failure::Unreachable { said }) = progress.check_time() else { panic!("its time is over") };
        assert!(said.contains("60 minutes"), "{said}");
    }

    #[test]
    fn a_listing_must_go_on() {
        let mut progress = Progress::default();
        assert_eq!(progress.step("a", Some("b"), [1, 2].iter()), Ok(()));
        assert!(progress.step("b", Some("c"), [2].iter()).is_err(), "an item again");
        assert!(progress.step("c", Some("c"), [3].iter()).is_err(), "the same page again");
        assert_eq!(progress.step("d", None, [4].iter()), Ok(()));

        let mut progress = Progress::default();
        let mut step = |page: u32| progress.step(&page.to_string(), Some("next"), std::iter::empty::<u32>());
        assert!((1..EMPTY_PAGES_MAX).all(|page| step(page).is_ok()));
        assert!(step(EMPTY_PAGES_MAX).is_err(), "too many empty pages");
    }
}
