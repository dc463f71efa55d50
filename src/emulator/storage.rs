//! The storage behind the registry: blobs are not served by the registry, it sends their readers on, with an address that is a key for a while.
//! The storage knows no tokens, and refuses who brings one.

use std::net::SocketAddr;

use ::http::header::{AUTHORIZATION, ETAG, HOST, HeaderName, LAST_MODIFIED, LOCATION, RANGE};
use ::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::answer::{Answer, Origin};
use super::digest::Digest;
use super::distribution::part;
use super::percent;
use super::{Call, Emulator};

/// How long the address of a blob is good for: 20 minutes, as recorded.
const ADDRESS_LIFETIME: SignedDuration = SignedDuration::from_mins(20);
/// Where blobs are when the registry is called in-process, so that there is no network: a storage account by its name in Azure.
const ACCOUNT: &str = "emulated.blob.core.windows.net";
/// Not a secret: the emulator holds nothing worth protecting.
const KEY: &str = "the emulator's storage key";

impl Emulator {
    /// The registry's answer to the reader of a blob: 307 to the storage, with the recorded page.
    pub(crate) fn send_to_storage(&self, call: &Call, name: &str, digest: Digest) -> Answer {
        let now = self.now();
        let end = now.checked_add(ADDRESS_LIFETIME).unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (account, hex) = (hex(name), digest.hex());
        let query = format!(
            "se={}&sig={}&sp=r&spr=https&sr=b&sv=2016-05-31&regid={}",
            percent::encode(&end),
            percent::encode(&signature(name, digest, &end)),
            Digest::of(name.as_bytes()).short()
        );
        let path = format!("/{account}//docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        let location = format!("{}://{}{path}?{query}", call.scheme, authority(call));
        let page = format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", location.replace('&', "&amp;"));
        let answer = Answer::bytes("text/html; charset=utf-8", page.into());
        Answer { status: StatusCode::TEMPORARY_REDIRECT, ..answer }.with_digest(digest).with(LOCATION, &location)
    }

    /// The storage's answer: the blob or a part of it, to whoever has an address that is still good and no token.
    pub(crate) fn stored(&self, call: &Call, name: &str, digest: Digest) -> Answer {
        let answer = self.blob_in_storage(call, name, digest).unwrap_or_else(|refusal| refusal);
        Answer { origin: Origin::Storage, ..answer }.with(HeaderName::from_static("x-ms-request-id"), &self.next_id())
    }

    fn blob_in_storage(&self, call: &Call, name: &str, digest: Digest) -> Result<Answer, Answer> {
        if call.headers.contains_key(AUTHORIZATION) {
            let message = "Authentication information is not given in the correct format. Check the value of Authorization header.";
            return Err(refusal(StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo", message));
        }
        let end = call.get("se").unwrap_or_default();
        let is_over = end.parse::<Timestamp>().is_ok_and(|end| end <= self.now());
        if is_over || call.get("sig") != Some(signature(name, digest, end).as_str()) {
            let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly \
                           including the signature.";
            return Err(refusal(StatusCode::FORBIDDEN, "AuthenticationFailed", message));
        }
        let state = self.lock();
        let found = state.world.repositories.get(name).and_then(|repository| repository.blob(digest).ok());
        let bytes = found.ok_or_else(|| refusal(StatusCode::NOT_FOUND, "BlobNotFound", "The specified blob does not exist."))?;
        let range = call.headers.get(RANGE).and_then(|range| range.to_str().ok()).filter(|_| call.method == Method::GET);
        let answer = part(bytes, range).with(::http::header::ACCEPT_RANGES, "bytes");
        let answer = answer.with(ETAG, &format!("\"0x{}\"", &digest.hex()[..15].to_uppercase()));
        Ok(answer.with(LAST_MODIFIED, &self.date()).with(HeaderName::from_static("x-ms-blob-type"), "BlockBlob"))
    }
}

/// Another host name than the registry's, so that clients which keep their token on one host drop it as they do with the real storage.
fn authority(call: &Call) -> String {
    let Some(local) = call.local else { return ACCOUNT.to_owned() };
    let asked = call.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if asked.split(':').next() == Some("localhost") { local.to_string() } else { localhost(local) }
}

fn localhost(local: SocketAddr) -> String {
    format!("localhost:{}", local.port())
}

/// The repository's name in an address, where the real one has an id of its own.
fn hex(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`hex`] wrote.
pub(crate) fn name_of_account(account: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = account
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2))
        .collect();
    String::from_utf8(bytes?).ok()
}

fn signature(name: &str, digest: Digest, end: &str) -> String {
    STANDARD.encode(Digest::of(format!("{KEY}\n{name}\n{digest}\n{end}").as_bytes()).hex())
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    let body = format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let answer = Answer::bytes("application/xml", Bytes::from(body));
    Answer { status, ..answer }.with(HeaderName::from_static("x-ms-error-code"), code)
}
