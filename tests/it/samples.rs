//! What the examples of Microsoft's Python SDK do, done here, with the examples' own repositories; and the table that says where each of
//! the SDK's names is, checked against the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use futures::stream;
use retaind::acr::{Client, Credential, Deleted, Order};
use retaind::emulator::{OCI_MANIFEST, Options};
use retaind::model::{Digest, LockChange, RepositoryName, TagName};

use crate::support::Bench;

const DRAWING: &str = "
repository library/hello-world
  image a tags v1, latest age 1d
  image b tags v2 age 2d
  image c tags v3 age 3d
  image d tags v4 age 4d
  image e tags v5 age 5d
";

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).expect("a name")
}

fn tag(text: &str) -> TagName {
    TagName::parse(text).expect("a tag")
}

#[tokio::test]
async fn list_repositories() {
    let Bench { client, .. } = Bench::new(DRAWING);
    let mut pages = client.list_repositories(100);
    let mut names = Vec::new();
    while let Some(page) = pages.next_page().await.expect("a page") {
        names.extend(page);
    }
    assert_eq!(names, [name("library/hello-world")]);
}

#[tokio::test]
async fn list_tags_anonymous() {
    let open = Options { anonymous_pull: true, ..Options::default() };
    let Bench { client, .. } = Bench::with(DRAWING, open, Credential::Anonymous);
    let manifest = client.get_manifest_properties(&name("library/hello-world"), &tag("latest")).await.expect("its properties");
    assert_eq!(manifest.tags, [tag("latest"), tag("v1")]);
    // The SDK stops here. A manifest's own list may be cut off, so that what decides asks for the tags.
    let tags = client.list_tags(&name("library/hello-world"), Order::Name, 100).all().await.expect("all tags");
    assert_eq!(tags.iter().filter(|tag| tag.digest == manifest.digest).count(), 2);
}

#[tokio::test]
async fn update_manifest_properties() {
    let Bench { client, .. } = Bench::new(DRAWING);
    let change = LockChange { can_write: Some(false), can_delete: Some(false), ..LockChange::default() };
    let changed = client.update_manifest(&name("library/hello-world"), &tag("v1"), change).await.expect("changed");
    assert!(!changed.locks.can_write && !changed.locks.can_delete && changed.locks.can_read && changed.locks.can_list);
}

#[tokio::test]
async fn delete_manifests() {
    let Bench { client, .. } = Bench::new(DRAWING);
    for repository in client.list_repositories(100).all().await.expect("all repositories") {
        let newest_first = client.list_manifests(&repository, Order::NewestFirst, 100).all().await.expect("all manifests");
        for manifest in newest_first.iter().skip(3) {
            let open = LockChange { can_write: Some(true), can_delete: Some(true), ..LockChange::default() };
            client.update_manifest(&repository, manifest.digest, open).await.expect("opened");
            assert_eq!(client.delete_manifest(&repository, manifest.digest).await, Ok(Deleted::Done));
        }
    }
    let left = client.list_tags(&name("library/hello-world"), Order::Name, 100).all().await.expect("all tags");
    assert_eq!(left.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["latest", "v1", "v2", "v3"]);
}

async fn upload_image(client: &Client) -> (Digest, Digest, Digest) {
    let repository = name("sample-oci-image");
    let blob = |text: &'static str| stream::iter(vec![Ok(Bytes::from_static(text.as_bytes()))]);
    let layer = client.upload_blob(&repository, blob("Sample layer")).await.expect("uploaded");
    let config = client.upload_blob(&repository, blob(r#"{"sample config":"content"}"#)).await.expect("uploaded");
    let manifest = format!(
        r#"{{"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"schemaVersion":2,
        "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}}"#,
        config.digest, config.size_bytes, layer.digest, layer.size_bytes
    );
    let digest = client.put_manifest(&repository, Some(&tag("latest")), OCI_MANIFEST, manifest).await.expect("put");
    (digest, config.digest, layer.digest)
}

#[tokio::test]
async fn upload_and_download_an_image() {
    let Bench { client, .. } = Bench::new("");
    let (digest, config, layer) = upload_image(&client).await;
    let repository = name("sample-oci-image");
    let manifest = client.get_manifest(&repository, &tag("latest")).await.expect("the manifest");
    assert_eq!((manifest.digest, manifest.config.as_ref().map(|config| config.digest)), (digest, Some(config)));
    let mut download = client.download_blob(&repository, layer).await.expect("the layer");
    let mut received = Vec::new();
    while let Some(piece) = download.next_piece().await.expect("a piece") {
        received.extend_from_slice(&piece);
    }
    assert_eq!(received, b"Sample layer");
    assert_eq!(client.get_blob(&repository, config).await.as_deref(), Ok(&br#"{"sample config":"content"}"#[..]));
}

#[tokio::test]
async fn delete_blob_and_manifest() {
    let Bench { client, .. } = Bench::new("");
    let (digest, config, layer) = upload_image(&client).await;
    let repository = name("sample-oci-image");
    for blob in [layer, config] {
        assert_eq!(client.delete_blob(&repository, blob).await, Ok(Deleted::Done));
    }
    let found = client.get_manifest(&repository, &tag("latest")).await.expect("the manifest").digest;
    assert_eq!(found, digest);
    assert_eq!(client.delete_manifest(&repository, found).await, Ok(Deleted::Done));
}

/// All Rust sources of a folder.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of the package") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// The texts in backquotes of one cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Every row of the table names something of the SDK, where it is here, and the tests that show it.
#[test]
fn every_name_of_the_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/sdk-parity.md")).expect("the table");
    let (mut program, mut tests) = (String::new(), String::new());
    sources(&root.join("src/acr"), &mut program);
    sources(&root.join("src/cli"), &mut program);
    tests.push_str(&program);
    sources(&root.join("tests/it"), &mut tests);
    let mut complaints = Vec::new();
    let mut named = BTreeSet::new();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| The SDK"));
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [sdk, here, shown] = cells[..] else { panic!("three cells: {row}") };
        named.extend(quoted(sdk).map(str::to_owned));
        for item in quoted(here) {
            // `Type::item` or `item`; the last part is what is declared.
            let last = item.rsplit("::").next().unwrap_or(item).trim_end_matches("()");
            let declared = ["fn ", "struct ", "enum ", "const ", "pub "].iter().any(|word| program.contains(&format!("{word}{last}")));
            // A variant of an enum stands at the start of its line.
            if !declared && !program.contains(&format!("\n    {last} {{")) {
                complaints.push(format!("{item} is not declared in src/acr: {row}"));
            }
        }
        if quoted(shown).next().is_none() {
            complaints.push(format!("no test is named: {row}"));
        }
        for test in quoted(shown) {
            let function = test.rsplit("::").next().unwrap_or(test);
            if !tests.contains(&format!("fn {function}()")) {
                complaints.push(format!("there is no test {test}: {row}"));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    let missing: Vec<&&str> = PUBLIC.iter().filter(|name| !named.contains(**name)).collect();
    assert!(missing.is_empty(), "not in docs/sdk-parity.md: {missing:?}");
}

/// What azure-containerregistry 1.2.0 makes public: classes, methods, attributes and keywords.
const PUBLIC: &[&str] = &[
    "ContainerRegistryClient",
    "endpoint",
    "credential",
    "api_version",
    "audience",
    "list_repository_names",
    "get_repository_properties",
    "update_repository_properties",
    "delete_repository",
    "list_tag_properties",
    "get_tag_properties",
    "update_tag_properties",
    "delete_tag",
    "list_manifest_properties",
    "get_manifest_properties",
    "update_manifest_properties",
    "delete_manifest",
    "get_manifest",
    "set_manifest",
    "tag",
    "media_type",
    "upload_blob",
    "download_blob",
    "delete_blob",
    "results_per_page",
    "order_by",
    "tag_or_digest",
    "can_delete",
    "can_write",
    "can_read",
    "can_list",
    "close",
    "aio",
    "ArtifactManifestProperties",
    "ArtifactTagProperties",
    "RepositoryProperties",
    "architecture",
    "operating_system",
    "created_on",
    "last_updated_on",
    "digest",
    "name",
    "repository_name",
    "size_in_bytes",
    "tags",
    "manifest_count",
    "tag_count",
    "fully_qualified_reference",
    "ArtifactArchitecture",
    "ArtifactOperatingSystem",
    "ArtifactManifestOrder",
    "ArtifactTagOrder",
    "GetManifestResult",
    "manifest",
    "DownloadBlobStream",
    "DigestValidationError",
];
