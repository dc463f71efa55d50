//! The real transport against the emulator on real sockets.

use std::sync::Arc;

use retaind::acr::{Client, ClientOptions, Credential, Endpoint, Failure, ReqwestTransport, ReqwestTransportOptions, Transport};
use retaind::clock::Clock;
use retaind::emulator::{Emulator, Options, Tls};
use retaind::model::RegistryName;
use tokio::net::TcpListener;

use crate::support::entra;

/// A registry that is served until the test ends, and its port.
async fn served(tls: Option<Tls>) -> u16 {
    let emulator = Emulator::with_system_clock(Options::default());
    emulator.seed("repeat 12 n repository r{n}\n  image a tags a age 1d\n").expect("a drawing");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        match tls {
            Some(tls) => emulator.serve_tls(listener, &tls, std::future::pending()).await,
            None => emulator.serve(listener, std::future::pending()).await,
        }
    });
    port
}

fn client(endpoint: &str, options: &ReqwestTransportOptions, credential: Credential) -> Client {
    let transport: Arc<dyn Transport> = Arc::new(ReqwestTransport::new(options).expect("a transport"));
    Client::new(ClientOptions {
        registry: RegistryName::parse("contoso").expect("a name"),
        endpoint: Endpoint::parse(endpoint).expect("an endpoint"),
        transport,
        credential,
        clock: Clock::system(),
        apply_credential: None,
        budget: retaind::acr::Budget::unlimited(),
        jitter_seed: 1,
    })
}

#[tokio::test]
async fn a_registry_on_this_machine_is_read_over_plain_http() {
    let port = served(None).await;
    let client = client(&format!("http://127.0.0.1:{port}"), &ReqwestTransportOptions::default(), entra("somebody"));
    assert_eq!(client.list_repositories(5).all().await.map(|names| names.len()), Ok(12));
}

#[tokio::test]
async fn a_certificate_is_trusted_through_its_ca_file_alone() {
    let tls = Tls::new(&["localhost".to_owned()]).expect("a certificate");
    let dir = std::env::temp_dir().join(format!("retaind-transport-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let ca_file = dir.join("ca-of-the-test.pem");
    std::fs::write(&ca_file, tls.ca_pem()).expect("a file");
    let port = served(Some(tls)).await;
    let endpoint = format!("https://localhost:{port}");

    let trusting = client(&endpoint, &ReqwestTransportOptions { ca_file: Some(ca_file) }, entra("somebody"));
    assert_eq!(trusting.list_repositories(5).all().await.map(|names| names.len()), Ok(12));
    std::fs::remove_dir_all(&dir).expect("the directory goes");

    let other = client(&endpoint, &ReqwestTransportOptions::default(), entra("somebody"));
    let error = other.list_repositories(5).all().await.expect_err("an unknown issuer");
    let Failure::Unreachable { said } = &error.failure else { panic!("{error}") };
    assert!(said.starts_with(&format!("the certificate of localhost:{port} is not trusted")) && said.contains("set ca_file"), "{said}");
}
