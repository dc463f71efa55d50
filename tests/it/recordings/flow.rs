//! A recording as it is on disk, read into what a replay needs. Whoever scrubbed the recordings replaced names, tokens and, in some, all that
//! follows `sha256` in an address; names become one name here, and addresses are completed from the answers.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// What every registry of the recordings is called here.
pub(crate) const REGISTRY: &str = "registry.azurecr.io";

/// What scrubbing left of an address from `sha256` on.
const SCRUBBED: &str = "sha256_encoded_stream";

/// A digest that no registry of the recordings holds, for addresses whose answer is that it is unknown.
const UNKNOWN_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A conversation with a registry.
pub(crate) struct Flow {
    pub(crate) name: String,
    pub(crate) exchanges: Vec<Exchange>,
}

/// One request and its answer.
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// Empty path: it did not go to a registry.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) request_headers: Vec<(String, String)>,
    pub(crate) request_body: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Deserialize)]
struct RawFlow {
    name: String,
    exchanges: Vec<RawExchange>,
}

#[derive(Deserialize)]
struct RawExchange {
    method: String,
    url: String,
    req_headers: Vec<(String, String)>,
    req_body: String,
    status: u16,
    resp_headers: Vec<(String, String)>,
    resp_body: String,
}

/// All recordings of a folder, by name.
pub(crate) fn read_all(folder: &Path) -> Vec<Flow> {
    let files = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file of the folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Flow {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let names = Regex::new(r"[a-z0-9_]+\.azurecr\.io").expect("a regular expression");
    let text = names.replace_all(&text, REGISTRY);
    let RawFlow { name, exchanges } = serde_json::from_str(&text).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut flow = Flow { name, exchanges: exchanges.into_iter().map(exchange).collect() };
    complete(&mut flow.exchanges);
    flow
}

fn exchange(raw: RawExchange) -> Exchange {
    let RawExchange { method, url, req_headers, req_body, status, resp_headers, resp_body } = raw;
    let prefix = format!("https://{REGISTRY}");
    let rest = if url.starts_with('/') { &url } else { url.strip_prefix(&prefix).unwrap_or_default() };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Exchange {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        request_body: bytes(&req_headers, &req_body),
        request_headers: req_headers,
        status,
        body: bytes(&resp_headers, &resp_body),
        headers: resp_headers,
    }
}

/// Bodies that are no text were recorded in Base64.
fn bytes(headers: &[(String, String)], body: &str) -> Vec<u8> {
    let binary = header_of(headers, "content-type") == Some("application/octet-stream");
    let decoded = if binary { STANDARD.decode(body).ok() } else { None };
    decoded.unwrap_or_else(|| body.as_bytes().to_vec())
}

fn header_of<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

impl Exchange {
    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.headers, name)
    }

    /// The answer's JSON, if it is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A request for a token.
    pub(crate) fn is_about_tokens(&self) -> bool {
        self.path.starts_with("/oauth2/")
    }

    /// A request for a token by somebody who has none of another kind.
    pub(crate) fn is_by_nobody(&self) -> bool {
        self.is_about_tokens() && String::from_utf8_lossy(&self.request_body).contains("refresh_token=&")
    }

    /// The digest that the answer names.
    fn digest(&self) -> Option<String> {
        if let Some(digest) = self.header("docker-content-digest") {
            return Some(digest.to_owned());
        }
        let json = self.json()?;
        let message = || {
            let text = json["errors"][0]["message"].as_str()?;
            text.split(' ').find(|word| word.starts_with("sha256:")).map(str::to_owned)
        };
        json["manifest"]["digest"].as_str().map(str::to_owned).or_else(message)
    }
}

/// Puts back what scrubbing took from addresses.
fn complete(exchanges: &mut [Exchange]) {
    let mut latest = UNKNOWN_DIGEST.to_owned();
    let mut link = String::new();
    for index in 0..exchanges.len() {
        let said = answer_to(exchanges, index);
        let (digest, absent) = (said.digest(), said.status == 404);
        let meant = digest.clone().unwrap_or_else(|| if absent { UNKNOWN_DIGEST.to_owned() } else { latest.clone() });
        let next =
            exchanges[index].header("link").and_then(|link| link.strip_prefix('<')?.split_once('>')).map(|(link, _)| link.to_owned());
        let exchange = &mut exchanges[index];
        if exchange.query.starts_with("last=") && exchange.query.ends_with(SCRUBBED) {
            exchange.query = link.split_once('?').map(|(_, query)| query.to_owned()).expect("a page follows a link");
        }
        for part in [&mut exchange.path, &mut exchange.query] {
            *part = part.replace(SCRUBBED, &meant.replace(':', "%3A"));
        }
        link = next.unwrap_or(link);
        latest = digest.unwrap_or(latest);
    }
}

/// The answer to the request, after it was asked for credentials.
fn answer_to(exchanges: &[Exchange], index: usize) -> &Exchange {
    let asked = &exchanges[index];
    let same =
        |later: &&Exchange| later.status != 401 && (&later.method, &later.path, &later.query) == (&asked.method, &asked.path, &asked.query);
    exchanges[index..].iter().find(same).unwrap_or(asked)
}

/// `%XX` undone.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).expect("two hexadecimal digits");
        bytes.push(byte);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).expect("text")
}

/// What a path is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Catalog,
    Repository(String),
    Tags(String),
    Tag(String, String),
    Manifests(String),
    ManifestProperties(String, String),
    TagNames(String),
    Manifest(String, String),
    Blob(String, String),
    Uploads(String),
    Referrers(String),
    Other,
}

impl Target {
    pub(crate) fn of(path: &str) -> Self {
        let path = decoded(path);
        if path == "/acr/v1/_catalog" || path == "/v2/_catalog" {
            return Self::Catalog;
        }
        if let Some(rest) = path.strip_prefix("/acr/v1/") {
            let Some((name, operation)) = rest.split_once("/_") else { return Self::Repository(rest.to_owned()) };
            let name = name.to_owned();
            return match operation.split_once('/') {
                None if operation == "tags" => Self::Tags(name),
                None if operation == "manifests" => Self::Manifests(name),
                Some(("tags", tag)) => Self::Tag(name, tag.to_owned()),
                Some(("manifests", digest)) => Self::ManifestProperties(name, digest.to_owned()),
                _ => Self::Other,
            };
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return Self::Other };
        if let Some((name, _)) = rest.split_once("/blobs/uploads/") {
            return Self::Uploads(name.to_owned());
        }
        let Some((before, last)) = rest.rsplit_once('/') else { return Self::Other };
        let Some((name, operation)) = before.rsplit_once('/') else { return Self::Other };
        let (name, last) = (name.to_owned(), last.to_owned());
        match operation {
            "tags" => Self::TagNames(name),
            "manifests" => Self::Manifest(name, last),
            "blobs" => Self::Blob(name, last),
            "referrers" => Self::Referrers(name),
            _ => Self::Other,
        }
    }

    /// For messages: the path with words for what differs.
    pub(crate) fn pattern(&self, path: &str) -> String {
        match self {
            Self::Catalog => "_catalog".to_owned(),
            Self::Repository(_) => "repository".to_owned(),
            Self::Tags(_) => "_tags".to_owned(),
            Self::Tag(..) => "_tags/{tag}".to_owned(),
            Self::Manifests(_) => "_manifests".to_owned(),
            Self::ManifestProperties(..) => "_manifests/{digest}".to_owned(),
            Self::TagNames(_) => "tags/list".to_owned(),
            Self::Manifest(..) => "manifests/{reference}".to_owned(),
            Self::Blob(..) => "blobs/{digest}".to_owned(),
            Self::Uploads(_) => "uploads".to_owned(),
            Self::Referrers(_) => "referrers".to_owned(),
            Self::Other => path.split('/').map(|part| if 20 < part.len() { "{id}" } else { part }).collect::<Vec<_>>().join("/"),
        }
    }
}
