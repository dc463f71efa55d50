//! Manifests and blobs up and down: in parts, over a storage that is somewhere else, over connections that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use retaind::acr::{Body, Client, Deleted, Failure, Reference};
use retaind::emulator::{Failure as Broken, Fault, OCI_MANIFEST, Options};
use retaind::model::{Digest, LockChange, MediaType, RepositoryName, TagName};

use crate::network::{Network, Sent, answer, broken};
use crate::support::{Bench, entra};

const STORAGE: &str = "wusmanaged174.blob.core.windows.net";
const EMPTY: &str = "";

fn web() -> RepositoryName {
    RepositoryName::parse("team/web").expect("a name")
}

fn tag(name: &str) -> TagName {
    TagName::parse(name).expect("a tag")
}

/// Bytes that do not repeat, so that a part in the wrong place shows.
fn bytes(length: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(1);
    (0..length).map(|_| random.u8(..)).collect()
}

fn pieces(content: &Bytes, length: usize) -> stream::Iter<std::vec::IntoIter<std::io::Result<Bytes>>> {
    let pieces: Vec<_> = content.chunks(length).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

async fn downloaded(client: &Client, digest: Digest) -> Result<Vec<u8>, Failure> {
    let mut download = client.download_blob(&web(), digest).await.map_err(|error| error.failure)?;
    let mut all = Vec::new();
    while let Some(piece) = download.next_piece().await.map_err(|error| error.failure)? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

fn manifest_of(config: Digest, size: u64) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{size}}},"layers":[]}}"#
    )
}

#[tokio::test]
async fn a_blob_goes_up_in_parts_and_comes_down_whole() {
    let bench = Bench::new(EMPTY);
    // Two and a half parts, in pieces that fit into none.
    let content = bytes((10 << 20) + 7);
    let uploaded = bench.client.upload_blob(&web(), pieces(&content, 1_000_003)).await.expect("uploaded");
    assert_eq!((uploaded.digest, uploaded.size_bytes), (Digest::of(&content), content.len() as u64));
    assert_eq!(bench.asked("PATCH", "/v2/{name}/blobs/uploads/{id}"), 3);
    assert_eq!(downloaded(&bench.client, uploaded.digest).await.as_deref(), Ok(&content[..]));
    let empty = bench.client.upload_blob(&web(), pieces(&Bytes::new(), 1)).await.expect("uploaded");
    assert_eq!((empty.digest, empty.size_bytes), (Digest::of(b""), 0));
    assert_eq!(downloaded(&bench.client, empty.digest).await, Ok(vec![]));
}

#[tokio::test]
async fn a_manifest_is_put_and_read_by_tag_and_by_digest() {
    let Bench { client, .. } = Bench::new(EMPTY);
    let config = Bytes::from_static(br#"{"architecture":"riscv128","os":"templeos"}"#);
    let uploaded = client.upload_blob(&web(), pieces(&config, 7)).await.expect("uploaded");
    let text = manifest_of(uploaded.digest, uploaded.size_bytes);
    let digest = client.put_manifest(&web(), Some(&tag("1.0")), OCI_MANIFEST, text.clone()).await.expect("put");
    assert_eq!(digest, Digest::of(text.as_bytes()));
    let by_tag = client.get_manifest(&web(), &tag("1.0")).await.expect("by tag");
    assert_eq!(client.get_manifest(&web(), digest).await.as_ref(), Ok(&by_tag));
    assert_eq!((by_tag.digest, &by_tag.bytes[..], by_tag.media_type), (digest, text.as_bytes(), MediaType::OciManifest));
    let properties = client.get_manifest_properties(&web(), &tag("1.0")).await.expect("properties");
    assert_eq!(
        (properties.digest, properties.architecture.as_deref(), properties.os.as_deref()),
        (digest, Some("riscv128"), Some("templeos")),
        "names that nobody knows survive"
    );
    assert_eq!(client.put_manifest(&web(), None, OCI_MANIFEST, text).await, Ok(digest), "under its digest alone");
    let closed = LockChange { can_delete: Some(false), ..LockChange::default() };
    let locks = client.update_manifest(&web(), &tag("1.0"), closed).await.expect("a lock").locks;
    assert!(!locks.can_delete);
    let open = LockChange { can_delete: Some(true), ..LockChange::default() };
    client.update_manifest(&web(), Reference::Tag(tag("1.0")), open).await.expect("no lock");
    assert_eq!(client.delete_manifest(&web(), &tag("1.0")).await, Ok(Deleted::Done));
    assert_eq!(client.delete_manifest(&web(), &tag("1.0")).await, Ok(Deleted::Absent), "neither the tag nor the manifest is there");
    // The last manifest took the repository along, so that a blob needs another one.
    let loose = client.upload_blob(&web(), pieces(&bytes(3), 1)).await.expect("uploaded").digest;
    assert_eq!(client.delete_blob(&web(), loose).await, Ok(Deleted::Done));
    assert_eq!(client.delete_blob(&web(), loose).await, Ok(Deleted::Absent));
}

#[tokio::test]
async fn a_manifest_has_a_name_that_other_tools_take() {
    let Bench { client, .. } = Bench::new(EMPTY);
    let digest = Digest::of(b"x");
    assert_eq!(client.fully_qualified_reference(&web(), digest), format!("contoso.azurecr.io/team/web@{digest}"));
    assert_eq!(client.fully_qualified_reference(&web(), tag("1.0")), "contoso.azurecr.io/team/web:1.0");
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let bench = Bench::new(EMPTY);
    let failed = bench.client.put_manifest(&web(), None, OCI_MANIFEST, vec![b' '; (4 << 20) + 1]).await.map_err(|error| error.failure);
    assert!(matches!(failed, Err(Failure::Input { .. })), "{failed:?}");
    assert_eq!(bench.asked("PUT", "/v2/{name}/manifests/{reference}"), 0);
    let unreadable = stream::iter(vec![Ok(bytes(5 << 20)), Err(std::io::Error::other("the disk is gone"))]);
    let error = bench.client.upload_blob(&web(), unreadable).await.expect_err("it cannot be read");
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert_eq!(bench.asked("DELETE", "/v2/{name}/blobs/uploads/{id}"), 1, "the upload is given up");
}

#[tokio::test]
async fn a_part_whose_answer_was_lost_is_looked_for_first() {
    for broken in [Broken::DropAfterEffect, Broken::DropBeforeEffect] {
        let bench = Bench::new(EMPTY);
        bench.emulator.inject(Fault { after: 1, ..Fault::once(Method::PATCH, "/blobs/uploads/", broken) });
        let content = bytes(9 << 20);
        let uploaded = bench.client.upload_blob(&web(), pieces(&content, 1 << 20)).await.expect("uploaded");
        assert_eq!(uploaded.digest, Digest::of(&content));
        assert_eq!(bench.asked("GET", "/v2/{name}/blobs/uploads/{id}"), 1);
    }
}

/// The storage that the registry sends readers of blobs to. `break_after`: each answer but the last few ends there.
fn storage(content: Bytes, break_after: usize) -> (Arc<AtomicUsize>, crate::network::Host) {
    let answers = Arc::new(AtomicUsize::new(0));
    let counted = answers.clone();
    let host = move |request: &Request<Bytes>| {
        answers.fetch_add(1, Ordering::SeqCst);
        let range = request.headers().get("range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-'));
        let from: usize = range.map_or(0, |from| from.parse().expect("a number"));
        let rest = content.slice(from..);
        let mut response = answer(if range.is_some() { 206 } else { 200 }, &[("content-length", &rest.len().to_string())], "");
        if range.is_some() {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            response.headers_mut().insert("content-range", range.parse().expect("a header"));
        }
        let pieces = if break_after < rest.len() { vec![Ok(rest.slice(..break_after)), Err(broken())] } else { vec![Ok(rest)] };
        *response.body_mut() = Body::from_stream(stream::iter(pieces));
        Some(response)
    };
    (counted, Box::new(host))
}

fn redirected(content: &Bytes, break_after: usize) -> (Bench, Arc<Network>, Arc<AtomicUsize>) {
    let (answers, host) = storage(content.clone(), break_after);
    let network = std::sync::OnceLock::new();
    let bench = Bench::over(EMPTY, Options::default(), entra("somebody"), |emulator| {
        let before = |request: &Request<Bytes>| {
            let of_blob = request.method() == Method::GET && request.uri().path().contains("/blobs/sha256:");
            of_blob.then(|| answer(307, &[("location", &format!("https://{STORAGE}/x//data?sig=s%2Fg"))], "<a>"))
        };
        let made = Arc::new(Network::new(emulator).host(STORAGE, host).before(Box::new(before)));
        network.get_or_init(|| made).clone()
    });
    (bench, network.get().expect("it was made").clone(), answers)
}

#[tokio::test]
async fn storage_gets_no_token_and_a_broken_download_goes_on_where_it_broke() {
    let content = bytes(1000);
    let (bench, network, answers) = redirected(&content, 300);
    assert_eq!(downloaded(&bench.client, Digest::of(&content)).await.as_deref(), Ok(&content[..]));
    assert_eq!(answers.load(Ordering::SeqCst), 4, "300 bytes at a time");
    let sent: Vec<Sent> = network.sent_to(STORAGE);
    let ranges: Vec<_> = sent.iter().map(|sent| sent.headers.get("range").map_or("", |range| range.to_str().expect("a text"))).collect();
    assert_eq!(ranges, ["", "bytes=300-", "bytes=600-", "bytes=900-"]);
    for Sent { line, headers, body, .. } in sent {
        assert_eq!(line, "GET /x//data?sig=s%2Fg");
        assert!(!headers.contains_key("authorization") && body.is_empty());
    }
}

#[tokio::test]
async fn a_download_that_breaks_for_ever_ends() {
    let content = bytes(1000);
    let (bench, _network, answers) = redirected(&content, 10);
    assert!(matches!(downloaded(&bench.client, Digest::of(&content)).await, Err(Failure::Unreachable { .. })));
    assert_eq!(answers.load(Ordering::SeqCst), 9);
}

#[tokio::test]
async fn a_blob_is_whole_only_if_it_hashes_to_its_name() {
    let (bench, _network, _) = redirected(&bytes(1000), 5000);
    let Err(Failure::Protocol { said }) = downloaded(&bench.client, Digest::of(b"other")).await else { panic!("it is another blob") };
    assert!(said.contains("hash to"), "{said}");
    assert!(matches!(
        bench.client.get_blob(&web(), Digest::of(b"other")).await.map_err(|error| error.failure),
        Err(Failure::Protocol { .. })
    ));
}
