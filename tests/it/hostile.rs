//! A registry that wants the client's token, its memory or its patience, over real sockets: every try ends in an error that names it,
//! within bounds, and a listener elsewhere on this machine never hears of the token.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream;
use retaind::acr::{
    Budget, Client, ClientOptions, Credential, Endpoint, Error, Failure, Order, ReqwestTransport, ReqwestTransportOptions, Secret,
};
use retaind::clock::Clock;
use retaind::model::{Digest, RegistryName, RepositoryName, TagName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PASSWORD: &str = "hunter2-hunter2";
const TOKEN: &str = "issued-token-1234";
/// Written until the client goes away, or a gigabyte is reached.
const ENDLESS_BYTES: usize = 1 << 30;

/// How the registry answers what is not the request for a token.
#[derive(Clone)]
enum Trick {
    /// These header lines after the status, and this body.
    Answer(&'static str, String, String),
    /// A body that goes on and on.
    Endless,
    /// The token endpoint itself answers with these headers and no token.
    Token(&'static str, String),
}

struct Bench {
    client: Client,
    written: Arc<AtomicUsize>,
    sink: Arc<Mutex<Vec<u8>>>,
}

impl Bench {
    /// `trick` is told the sinkhole's address.
    async fn new(trick: impl FnOnce(&str) -> Trick) -> Self {
        let (sink_address, sink) = sinkhole().await;
        let written = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, trick(&sink_address), written.clone()));
        let transport = ReqwestTransport::new(&ReqwestTransportOptions::default()).expect("a transport");
        let client = Client::new(ClientOptions {
            registry: RegistryName::parse("contoso").expect("a name"),
            endpoint: Endpoint::parse(&format!("http://{address}")).expect("an endpoint"),
            transport: Arc::new(transport),
            credential: Credential::Basic { user: "me".to_owned(), password: Secret::new(PASSWORD) },
            apply_credential: None,
            clock: Clock::system(),
            budget: Budget::unlimited(),
            jitter_seed: 1,
        });
        Self { client, written, sink }
    }

    /// What reached the other listener.
    fn sunk(&self) -> String {
        String::from_utf8_lossy(&self.sink.lock().expect("no panic while it was held")).into_owned()
    }

    fn assert_nothing_reached_the_sink(&self, what: &str) {
        assert_eq!(self.sunk(), "", "{what}");
    }
}

async fn sinkhole() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // Another name of this machine is another origin.
    let address = format!("localhost:{}", listener.local_addr().expect("an address").port());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await;
            hears.lock().expect("no panic while it was held").extend_from_slice(request.as_bytes());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
        }
    });
    (address, heard)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(count) if 0 < count => request.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

async fn serve(listener: TcpListener, trick: Trick, written: Arc<AtomicUsize>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let (trick, written) = (trick.clone(), written.clone());
        tokio::spawn(async move {
            let request = read_request(&mut stream).await;
            let asks_for_token = request.split(' ').nth(1).is_some_and(|path| path.starts_with("/oauth2/token"));
            let answer = match &trick {
                Trick::Token(status, headers) if asks_for_token => format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n"),
                _ if asks_for_token => {
                    let body = format!(r#"{{"access_token":"{TOKEN}"}}"#);
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                    return;
                }
                Trick::Answer(status, headers, body) => {
                    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                    return;
                }
                Trick::Endless => "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n".to_owned(),
                Trick::Token(..) => "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n".to_owned(),
            };
            let _ = stream.write_all(format!("{answer}connection: close\r\n\r\n").as_bytes()).await;
            if matches!(trick, Trick::Endless) {
                let piece = [b' '; 1 << 16];
                while written.load(Ordering::SeqCst) < ENDLESS_BYTES && stream.write_all(&piece).await.is_ok() {
                    written.fetch_add(piece.len(), Ordering::SeqCst);
                }
            }
        });
    }
}

fn web() -> RepositoryName {
    RepositoryName::parse("team/web").expect("a name")
}

/// The failure of an error that gives no secret away.
fn harmless<T>(result: Result<T, Error>) -> Failure {
    let Err(error) = result else { panic!("it should have failed") };
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(TOKEN), "{shown}");
    error.failure
}

fn hostile(failure: &Failure) -> bool {
    matches!(failure, Failure::Hostile { .. })
}

#[tokio::test]
async fn a_listing_that_goes_on_elsewhere_is_not_followed() {
    for link in ["http://{sink}/acr/v1/team/web/_tags?last=a", "//{sink}/acr/v1/team/web/_tags?last=a"] {
        let bench = Bench::new(|sink| {
            let link = link.replace("{sink}", sink);
            Trick::Answer("200 OK", format!("link: <{link}>; rel=\"next\"\r\n"), r#"{"tags":[]}"#.to_owned())
        })
        .await;
        let failure = harmless(bench.client.list_tags(&web(), Order::Name, 10).all().await);
        assert!(hostile(&failure), "{failure}");
        bench.assert_nothing_reached_the_sink(link);
    }
}

#[tokio::test]
async fn a_redirect_of_anything_but_a_blob_is_not_followed() {
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let bench = Bench::new(|sink| Trick::Answer(status, format!("location: http://{sink}/\r\n"), String::new())).await;
        assert!(hostile(&harmless(bench.client.get_repository(&web()).await)), "{status}");
        assert!(hostile(&harmless(bench.client.get_manifest(&web(), Digest::of(b"")).await)), "{status}");
        assert!(hostile(&harmless(bench.client.delete_tag(&web(), &TagName::parse("a").expect("a tag")).await)), "{status}");
        bench.assert_nothing_reached_the_sink(status);
    }
}

#[tokio::test]
async fn tokens_are_got_from_the_registry_alone() {
    let realm = |sink: &str| {
        let challenge = format!("www-authenticate: Bearer realm=\"http://{sink}/oauth2/token\",service=\"x\"\r\n");
        Trick::Answer("401 Unauthorized", challenge, String::new())
    };
    let bench = Bench::new(realm).await;
    assert!(hostile(&harmless(bench.client.get_repository(&web()).await)));
    bench.assert_nothing_reached_the_sink("realm");
    let bench = Bench::new(|sink| Trick::Token("307 Temporary Redirect", format!("location: http://{sink}/oauth2/token\r\n"))).await;
    assert!(hostile(&harmless(bench.client.get_repository(&web()).await)));
    bench.assert_nothing_reached_the_sink("the token endpoint's redirect");
}

#[tokio::test]
async fn an_upload_goes_nowhere_else() {
    let bench =
        Bench::new(|sink| Trick::Answer("202 Accepted", format!("location: http://{sink}/v2/team/web/blobs/uploads/1\r\n"), String::new()))
            .await;
    let content = stream::iter(vec![Ok(Bytes::from_static(b"private"))]);
    assert!(hostile(&harmless(bench.client.upload_blob(&web(), content).await)));
    bench.assert_nothing_reached_the_sink("upload");
}

#[tokio::test]
async fn a_blob_is_fetched_without_the_token_and_not_from_anywhere() {
    let bench =
        Bench::new(|sink| Trick::Answer("307 Temporary Redirect", format!("location: http://{sink}/blob\r\n"), String::new())).await;
    // This machine may send on to itself, as the emulator does; what comes is another blob.
    let failure = harmless(bench.client.get_blob(&web(), Digest::of(b"other")).await);
    assert!(matches!(&failure, Failure::Protocol { said } if said.contains("hash to")), "{failure}");
    let sunk = bench.sunk().to_lowercase();
    assert!(sunk.starts_with("get /blob "), "{sunk}");
    assert!(!sunk.contains("authorization") && !sunk.contains(TOKEN) && !sunk.contains("cookie"), "{sunk}");
    for place in ["http://169.254.169.254/metadata", "https://evil.example/blob", "file:///etc/passwd", ""] {
        let bench = Bench::new(|_| Trick::Answer("307 Temporary Redirect", format!("location: {place}\r\n"), String::new())).await;
        assert!(hostile(&harmless(bench.client.get_blob(&web(), Digest::of(b"")).await)), "{place}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_left_at_its_bound() {
    let bench = Bench::new(|_| Trick::Endless).await;
    let reads = [
        harmless(bench.client.list_manifests(&web(), Order::Name, 1000).all().await),
        harmless(bench.client.get_manifest(&web(), Digest::of(b"")).await),
        harmless(bench.client.get_repository(&web()).await),
        harmless(bench.client.get_blob(&web(), Digest::of(b"")).await),
    ];
    for failure in reads {
        assert!(matches!(&failure, Failure::Protocol { said } if said.contains("longer than any")), "{failure}");
    }
    // The four bounds together are 17 MiB; what the sockets hold on the way comes on top.
    let written = bench.written.load(Ordering::SeqCst);
    assert!(written < 64 << 20, "{written} of {ENDLESS_BYTES} bytes were taken");
}

#[tokio::test]
async fn a_body_that_is_coded_or_deep_or_of_another_digest_is_named() {
    let answer = |headers: &str, body: &str| {
        let (headers, body) = (headers.to_owned(), body.to_owned());
        Bench::new(move |_| Trick::Answer("200 OK", headers, body))
    };
    let deep = format!("{{\"repositories\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let failure = harmless(answer("", &deep).await.client.list_repositories(10).all().await);
    assert!(matches!(&failure, Failure::Protocol { said } if said.contains("body")), "{failure}");
    for coding in ["gzip", "br", "zstd", "deflate, gzip"] {
        let bench = answer(&format!("content-encoding: {coding}\r\n"), r#"{"repositories":null}"#).await;
        let failure = harmless(bench.client.list_repositories(10).all().await);
        assert!(matches!(&failure, Failure::Protocol { said } if said.contains(coding)), "{failure}");
    }
    let plain = answer("content-encoding: identity\r\n", r#"{"repositories":null}"#).await;
    assert_eq!(plain.client.list_repositories(10).all().await, Ok(vec![]));
    let bench = answer("docker-content-digest: sha256:00\r\n", "{}").await;
    let failure = harmless(bench.client.get_manifest(&web(), &TagName::parse("a").expect("a tag")).await);
    assert!(matches!(&failure, Failure::Protocol { said } if said.contains("not a digest")), "{failure}");
    let other = format!("docker-content-digest: {}\r\n", Digest::of(b"other"));
    let bench = answer(&other, "{}").await;
    let failure = harmless(bench.client.get_manifest(&web(), &TagName::parse("a").expect("a tag")).await);
    assert!(matches!(&failure, Failure::Protocol { said } if said.contains("hash to")), "{failure}");
}

#[tokio::test]
async fn a_listing_that_goes_round_ends() {
    let headers = "link: </acr/v1/_catalog?last=b>; rel=\"next\"\r\n";
    let bench = Bench::new(|_| Trick::Answer("200 OK", headers.to_owned(), r#"{"repositories":["a","b"]}"#.to_owned())).await;
    let failure = harmless(bench.client.list_repositories(10).all().await);
    assert!(matches!(failure, Failure::Protocol { .. }), "{failure}");
}
