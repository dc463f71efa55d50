//! Signing in: each kind of credential against an authority in the same process, and what becomes of tokens and rights while a client
//! works.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use retaind::acr::{
    Action, Body, Budget, CertificateFiles, Chosen, Client, ClientOptions, Credential, DEFAULT_AUDIENCE, Deleted, Endpoint, EntraOptions,
    EntraSettings, Failure, Finding, Needs, Order, Pipeline, Secret, auto_entra_settings, entra_credential, sovereign_authority,
};
use retaind::emulator::{Emulator, Options};
use retaind::model::{LockChange, RegistryName, RepositoryName, TagName};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::network::{Network, Sent, answer};
use crate::support::{Bench, Hands, entra};

const AUTHORITY: &str = "login.microsoftonline.com";
const PIPELINES: &str = "vstoken.dev.azure.com";
const MACHINE: &str = "169.254.169.254";
const DRAWING: &str = "repository team/web\n  repeat 60 n image i{n} tags t{n} age {n}m\n";

fn web() -> RepositoryName {
    RepositoryName::parse("team/web").expect("a name")
}

fn tag(name: &str) -> TagName {
    TagName::parse(name).expect("a tag")
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/application.pem")
}

/// The body of an answer that brings a token for an identity, in the shapes of Entra and of a machine's endpoint alike.
fn entra_token(object_id: &str) -> String {
    let claims = format!(r#"{{"aud":"{DEFAULT_AUDIENCE}","oid":"{object_id}","exp":{}}}"#, u32::MAX);
    let token = format!("{}.{}.unsigned", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims));
    format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3599,"expires_on":"4102444800","resource":"r"}}"#)
}

fn grants(_: &Request<Bytes>) -> Option<Response<Body>> {
    Some(answer(200, &[("content-type", "application/json")], entra_token("somebody")))
}

/// A network on which the authority, the machine's endpoint and Azure Pipelines answer, and a client that signs in with `settings`.
fn signed_in(settings: EntraSettings) -> (Client, Arc<Network>) {
    let pipelines = |request: &Request<Bytes>| {
        let good = request.headers()["authorization"] == "Bearer system-token";
        Some(if good { answer(200, &[], r#"{"oidcToken":"signed-by-pipelines"}"#) } else { answer(401, &[], "<html>sign in</html>") })
    };
    signed_in_on(settings, move |network| {
        network.host(AUTHORITY, Box::new(grants)).host(MACHINE, Box::new(grants)).host(PIPELINES, Box::new(pipelines))
    })
}

fn signed_in_on(settings: EntraSettings, hosts: impl FnOnce(Network) -> Network) -> (Client, Arc<Network>) {
    signed_in_as(Chosen { settings, why: "", advice: None }, hosts)
}

fn signed_in_as(chosen: Chosen, hosts: impl FnOnce(Network) -> Network) -> (Client, Arc<Network>) {
    let Chosen { settings, why: _, advice } = chosen;
    let hands = Hands::new();
    let told = hands.clone();
    let emulator = Emulator::new(Options::default(), Arc::new(move || told.now()));
    emulator.seed(DRAWING).expect("a drawing");
    let network = Arc::new(hosts(Network::new(emulator)));
    let options = EntraOptions { settings, authority_host: None, transport: network.clone(), clock: hands.clock() };
    let credential = Credential::Entra { credential: entra_credential(options), advice, audience: DEFAULT_AUDIENCE.to_owned() };
    let client = Client::new(ClientOptions {
        registry: RegistryName::parse("contoso").expect("a name"),
        endpoint: Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint"),
        transport: network.clone(),
        credential,
        apply_credential: None,
        clock: hands.clock(),
        budget: Budget::unlimited(),
        jitter_seed: 1,
    });
    (client, network)
}

fn form(sent: &Sent) -> Vec<(String, String)> {
    let text = String::from_utf8(sent.body.to_vec()).expect("a form");
    let pairs = text.split('&').filter_map(|field| field.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.replace('+', " "))).collect()
}

fn field(sent: &Sent, name: &str) -> String {
    form(sent).into_iter().find(|(of, _)| of == name).map(|(_, value)| value).unwrap_or_default()
}

/// Reads something, and checks that nothing was sent but to the registry and these hosts.
async fn works(client: &Client, network: &Network, hosts: &[&str]) {
    assert!(client.get_tag(&web(), &tag("t1")).await.is_ok());
    let mut asked: Vec<String> = network.sent().into_iter().map(|sent| sent.host).filter(|host| host != crate::network::REGISTRY).collect();
    asked.dedup();
    assert_eq!(asked, hosts);
}

/// On a developer's machine there is no identity: what was looked for, and what to do, is said with what the endpoint said.
#[tokio::test]
async fn an_identity_taken_for_want_of_another_says_what_to_do() {
    let chosen = auto_entra_settings(&|_| None, &|_| false).expect("an identity");
    let none = |_: &Request<Bytes>| Some(answer(400, &[], r#"{"error":"invalid_request","error_description":"Identity not found"}"#));
    let (client, _) = signed_in_as(chosen, |network| network.host(MACHINE, Box::new(none)));
    let said = client.get_tag(&web(), &tag("t1")).await.expect_err("no token").to_string();
    let expected = "no token from Microsoft Entra: 169.254.169.254 answered 400: Identity not found; `auth: auto` found no workload identity, \
                    secret, certificate or pipeline in the environment and nobody signed in to the Azure CLI, so it asked for this machine's \
                    managed identity; on a machine outside of Azure run `az login` (azure_cli), or set `auth` to workload_identity, \
                    client_secret or client_certificate";
    assert!(said.ends_with(expected), "{said}");
}

#[tokio::test]
async fn an_application_with_a_secret_signs_in() {
    let (client, network) = signed_in(EntraSettings::ClientSecret {
        tenant_id: "tenant".to_owned(),
        client_id: "client".to_owned(),
        secret: Secret::new("s3cret"),
    });
    works(&client, &network, &[AUTHORITY]).await;
    let sent = &network.sent_to(AUTHORITY)[0];
    assert_eq!(sent.line, "POST /tenant/oauth2/v2.0/token");
    assert_eq!((field(sent, "client_id").as_str(), field(sent, "client_secret").as_str()), ("client", "s3cret"));
    assert_eq!(field(sent, "scope"), "https%3A%2F%2Fcontainerregistry.azure.net%2F.default");
    for sent in network.sent_to(crate::network::REGISTRY) {
        assert!(!String::from_utf8_lossy(&sent.body).contains("s3cret"), "the secret is the authority's alone");
    }
}

#[tokio::test]
async fn an_application_with_a_certificate_signs_what_it_says() {
    let files = CertificateFiles { certificate: fixture(), key: None };
    let settings = EntraSettings::ClientCertificate { tenant_id: "tenant".to_owned(), client_id: "client".to_owned(), files };
    let (client, network) = signed_in(settings);
    works(&client, &network, &[AUTHORITY]).await;
    let sent = &network.sent_to(AUTHORITY)[0];
    assert_eq!(field(sent, "client_assertion_type"), "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer");
    let assertion = field(sent, "client_assertion");
    let (signed, signature) = assertion.rsplit_once('.').expect("a token");
    let part = |index: usize| -> Value {
        let part = signed.split('.').nth(index).expect("a part");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!((&header["alg"], header["x5t#S256"].as_str().map(str::len)), (&Value::from("PS256"), Some(43)));
    assert_eq!(claims["aud"], "https://login.microsoftonline.com/tenant/oauth2/v2.0/token");
    assert_eq!((&claims["iss"], &claims["sub"]), (&Value::from("client"), &Value::from("client")));
    let life = claims["exp"].as_i64().zip(claims["nbf"].as_i64()).map(|(end, begin)| end - begin);
    assert_eq!(life, Some(600));
    assert!(verifies(signed, &URL_SAFE_NO_PAD.decode(signature).expect("base64")));
    assert!(!verifies("other", &URL_SAFE_NO_PAD.decode(signature).expect("base64")));
}

/// Whether the key of the fixture has signed this.
fn verifies(signed: &str, signature: &[u8]) -> bool {
    let provider = rustls::crypto::ring::default_provider();
    let key = PrivateKeyDer::from_pem_file(fixture()).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("an RSA key");
    let public = key.public_key().expect("its public part");
    let schemes = provider.signature_verification_algorithms.mapping;
    let algorithms = schemes.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PSS_SHA256).map(|(_, algorithms)| *algorithms);
    // The key itself is the last 270 bytes of its wrapping, for 2048 bits.
    let bits = &public[public.len() - 270..];
    algorithms.expect("PS256 is known").iter().any(|algorithm| algorithm.verify_signature(bits, signed.as_bytes(), signature).is_ok())
}

#[tokio::test]
async fn a_certificate_that_is_none_is_told_by_its_file() {
    for (file, said) in [("Cargo.toml", "no certificate"), ("does-not-exist.pem", "cannot read")] {
        let files = CertificateFiles { certificate: Path::new(env!("CARGO_MANIFEST_DIR")).join(file), key: None };
        let settings = EntraSettings::ClientCertificate { tenant_id: "tenant".to_owned(), client_id: "client".to_owned(), files };
        let (client, network) = signed_in(settings);
        let error = client.get_tag(&web(), &tag("t1")).await.expect_err("no certificate");
        assert!(error.to_string().contains(said) && error.to_string().contains(file), "{error}");
        assert!(network.sent().is_empty());
    }
}

#[tokio::test]
async fn a_pod_a_machine_and_a_pipeline_sign_in() {
    let pod = EntraSettings::WorkloadIdentity { client_id: "client".to_owned(), tenant_id: "tenant".to_owned(), token_file: fixture() };
    let (client, network) = signed_in(pod);
    works(&client, &network, &[AUTHORITY]).await;
    assert!(field(&network.sent_to(AUTHORITY)[0], "client_assertion").starts_with("-----BEGIN"), "the file as it is");

    let (client, network) = signed_in(EntraSettings::ManagedIdentity { client_id: Some("client".to_owned()) });
    works(&client, &network, &[MACHINE]).await;
    let sent = &network.sent_to(MACHINE)[0];
    assert!(sent.line.contains("client_id=client") && sent.headers["metadata"] == "true", "{}", sent.line);

    let variables = |token: &str| {
        let token = token.to_owned();
        move |name: &str| match name {
            "SYSTEM_OIDCREQUESTURI" => Some(format!("https://{PIPELINES}/org/oidctoken")),
            "SYSTEM_ACCESSTOKEN" => Some(token.clone()),
            "AZURESUBSCRIPTION_TENANT_ID" => Some("tenant".to_owned()),
            "AZURESUBSCRIPTION_CLIENT_ID" => Some("client".to_owned()),
            _ => None,
        }
    };
    let given = || Pipeline { service_connection_id: Some("connection".to_owned()), ..Pipeline::default() };
    let settings = EntraSettings::azure_pipelines(given(), &variables("system-token")).expect("settings");
    let (client, network) = signed_in(settings);
    works(&client, &network, &[PIPELINES, AUTHORITY]).await;
    assert_eq!(network.sent_to(PIPELINES)[0].line, "POST /org/oidctoken?api-version=7.1&serviceConnectionId=connection");
    assert_eq!(field(&network.sent_to(AUTHORITY)[0], "client_assertion"), "signed-by-pipelines");
    assert!(!network.sent_to(AUTHORITY)[0].headers.contains_key("authorization"), "the job's token is for Azure Pipelines alone");

    let (client, _) = signed_in(EntraSettings::azure_pipelines(given(), &variables("wrong")).expect("settings"));
    let error = client.get_tag(&web(), &tag("t1")).await.expect_err("refused");
    assert!(error.to_string().contains("vstoken.dev.azure.com answered 401") && error.to_string().contains("mapped"), "{error}");
}

#[tokio::test]
async fn what_the_authority_says_reaches_the_user_and_its_silence_too() {
    let settings =
        || EntraSettings::ClientSecret { tenant_id: "tenant".to_owned(), client_id: "client".to_owned(), secret: Secret::new("s3cret") };
    let refuses = |_: &Request<Bytes>| {
        let said = "AADSTS7000222: The provided client secret keys are expired.\\r\\nTrace ID: 1\\r\\nCorrelation ID: 2";
        Some(answer(401, &[], format!(r#"{{"error":"invalid_client","error_description":"{said}"}}"#)))
    };
    let (client, _) = signed_in_on(settings(), |network| network.host(AUTHORITY, Box::new(refuses)));
    let error = client.get_tag(&web(), &tag("t1")).await.expect_err("refused");
    assert!(error.to_string().contains("AADSTS7000222: The provided client secret keys are expired"), "{error}");
    assert!(matches!(error.failure, Failure::Unauthorized { .. }) && !format!("{error:?}").contains("s3cret"));
    let (client, network) = signed_in_on(settings(), |network| network);
    let error = client.get_tag(&web(), &tag("t1")).await.expect_err("nobody is there");
    assert!(error.to_string().contains("the host login.microsoftonline.com is not known"), "{error}");
    assert!(network.sent_to(crate::network::REGISTRY).is_empty());
}

#[test]
fn a_registry_of_another_cloud_has_that_clouds_authority() {
    let authority = |endpoint: &str| sovereign_authority(&Endpoint::parse(endpoint).expect("an endpoint"));
    assert_eq!(authority("https://contoso.azurecr.io"), None);
    assert_eq!(authority("https://contoso.azurecr.us"), Some("https://login.microsoftonline.us"));
    assert_eq!(authority("https://contoso.azurecr.cn"), Some("https://login.chinacloudapi.cn"));
    assert_eq!(authority("https://azurecr.us.evil.example"), None);
}

#[tokio::test]
async fn fifty_at_once_sign_in_once() {
    let bench = Bench::new(DRAWING);
    let at_once = |from: u32| {
        let reads = (from..from + 50).map(|number| {
            let client = bench.client.clone();
            async move { client.get_tag(&web(), &tag(&format!("t{}", number % 60 + 1))).await }
        });
        futures::future::join_all(reads)
    };
    assert!(at_once(0).await.iter().all(Result::is_ok));
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (1, 1));
    // Four fifths of the life of an access token: the old one serves while one caller renews it.
    for clock in [&bench.registry_clock, &bench.client_clock] {
        clock.turn(60 * 60);
    }
    assert!(at_once(10).await.iter().all(Result::is_ok));
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (1, 2));
    // The registry forgets all tokens, which the client cannot know.
    bench.emulator.revoke_tokens();
    assert!(at_once(20).await.iter().all(Result::is_ok));
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (2, 3), "once more, for all fifty");
}

#[tokio::test]
async fn a_token_that_expires_between_pages_costs_one_renewal_and_no_page() {
    let bench = Bench::new(DRAWING);
    let mut pages = bench.client.list_tags(&web(), Order::Name, 20);
    let mut count = 0;
    while let Some(page) = pages.next_page().await.expect("a page") {
        count += page.len();
        if count == 20 {
            bench.emulator.revoke_tokens();
            bench.registry_clock.turn(2 * 60 * 60);
            bench.client_clock.turn(61);
        }
    }
    assert_eq!(count, 60);
    assert_eq!((bench.asked("POST", "/oauth2/exchange"), bench.asked("POST", "/oauth2/token")), (2, 2));
    assert_eq!(bench.asked("GET", "/acr/v1/{name}/_tags"), 4, "three pages, one of them twice");
}

#[tokio::test]
async fn a_revoked_role_is_named_within_two_requests() {
    let bench = Bench::new(DRAWING);
    assert_eq!(bench.client.delete_tag(&web(), &tag("t1")).await, Ok(Deleted::Done));
    bench.emulator.assign_roles("somebody AcrPull").expect("roles");
    bench.emulator.revoke_tokens();
    bench.client_clock.turn(61);
    let error = bench.client.delete_tag(&web(), &tag("t2")).await.expect_err("it may not any more");
    assert!(error.to_string().contains("lacks the permission delete on repository team/web; grant AcrDelete"), "{error}");
    assert_eq!(bench.asked("DELETE", "/acr/v1/{name}/_tags/{tag}"), 1 + 2);
    assert!(bench.client.get_tag(&web(), &tag("t2")).await.is_ok(), "reading goes on");
}

/// A client whose reads and changes have an identity each.
fn two_identities(bench: &Bench) -> Client {
    Client::new(ClientOptions {
        registry: RegistryName::parse("contoso").expect("a name"),
        endpoint: Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint"),
        transport: Arc::new(crate::support::InProcess::new(bench.emulator.clone())),
        credential: entra("planner"),
        apply_credential: Some(entra("cleaner")),
        clock: bench.client_clock.clock(),
        budget: Budget::unlimited(),
        jitter_seed: 1,
    })
}

#[tokio::test]
async fn the_second_identity_changes_and_the_first_one_cannot() {
    let bench = Bench::new(DRAWING);
    bench.emulator.assign_roles("planner AcrPull\ncleaner delete, metadata_write").expect("roles");
    let client = two_identities(&bench);
    assert_eq!(client.list_tags(&web(), Order::Name, 100).all().await.map(|tags| tags.len()), Ok(60));
    assert_eq!(bench.asked("POST", "/oauth2/exchange"), 1, "whoever only plans never signs in as the other");
    assert_eq!(client.delete_tag(&web(), &tag("t1")).await, Ok(Deleted::Done));
    let closed = LockChange { can_delete: Some(false), ..LockChange::default() };
    assert!(client.update_tag(&web(), &tag("t2"), closed).await.is_ok());
    assert_eq!(bench.asked("POST", "/oauth2/exchange"), 2);
    // The other way round neither can do its work.
    bench.emulator.assign_roles("cleaner AcrPull\nplanner delete, metadata_write").expect("roles");
    let client = two_identities(&bench);
    assert!(matches!(client.get_tag(&web(), &tag("t2")).await.map_err(|error| error.failure), Err(Failure::Forbidden { .. })));
    assert!(matches!(client.delete_tag(&web(), &tag("t3")).await.map_err(|error| error.failure), Err(Failure::Forbidden { .. })));
}

async fn findings(client: &Client, needs: &Needs) -> Vec<String> {
    client.check_access(needs).await.expect("signed in").iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn rights_are_told_before_they_are_needed() {
    let needs = Needs { catalog: true, deletes: true, locks: false, repository: Some(web()) };
    let bench = Bench::new(DRAWING);
    for (roles, expected) in [
        ("AcrPull, AcrDelete", vec![]),
        ("AcrPull", vec!["lacks the permission delete; grant AcrDelete"]),
        ("Contributor", vec!["may metadata_write and push and deleted_restore, which nothing here needs"]),
        ("AcrDelete", vec!["lacks the permission pull and metadata_read; grant AcrPull"]),
    ] {
        bench.emulator.assign_roles(&format!("somebody {roles}")).expect("roles");
        bench.emulator.revoke_tokens();
        let client = one_identity(&bench, "somebody");
        let found = findings(&client, &needs).await;
        assert!(found[0].contains("is signed in"), "{found:?}");
        assert_eq!(found.len(), 1 + expected.len(), "{roles}: {found:?}");
        for (found, expected) in found[1..].iter().zip(expected) {
            assert!(found.contains(expected), "{roles}: {found}");
        }
    }
    assert_eq!(bench.asked("GET", "/acr/v1/{name}/_tags"), 0, "nothing was tried");
}

fn one_identity(bench: &Bench, object_id: &'static str) -> Client {
    Client::new(ClientOptions {
        registry: RegistryName::parse("contoso").expect("a name"),
        endpoint: Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint"),
        transport: Arc::new(crate::support::InProcess::new(bench.emulator.clone())),
        credential: entra(object_id),
        apply_credential: None,
        clock: bench.client_clock.clock(),
        budget: Budget::unlimited(),
        jitter_seed: 1,
    })
}

#[tokio::test]
async fn each_identity_is_measured_by_its_own_work() {
    let needs = Needs { catalog: true, deletes: true, locks: true, repository: Some(web()) };
    let bench = Bench::new(DRAWING);
    bench.emulator.assign_roles("planner AcrPull, AcrDelete\ncleaner delete").expect("roles");
    let dry = Needs { deletes: false, locks: false, ..needs.clone() };
    let found = two_identities(&bench).check_access(&dry).await.expect("signed in");
    assert!(found.iter().all(|finding| !finding.to_string().contains("cleaner")), "a dry run has no use for it: {found:?}");
    assert_eq!(bench.asked("POST", "/oauth2/exchange"), 1);
    let found = two_identities(&bench).check_access(&needs).await.expect("signed in");
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.iter().filter(|finding| finding.is_wrong()).count(), 1, "{names:?}");
    assert!(names.iter().any(|name| name.contains("planner may delete, which nothing here needs")), "{names:?}");
    assert!(names.iter().any(|name| name.contains("cleaner lacks the permission metadata_write")), "{names:?}");
}

#[tokio::test]
async fn a_registry_that_gives_rights_by_repository_is_recognised_and_asked_for_each() {
    let bench = Bench::new("repository team/web\n  image a tags a age 1d\nrepository team/api\n  image a tags a age 1d\n");
    bench.emulator.authorize_by_repository(true);
    bench.emulator.assign_roles("somebody ContainerRegistryRepositoryContributor on team/web").expect("roles");
    let needs = Needs { catalog: true, deletes: true, locks: true, repository: Some(web()) };
    let found = bench.client.check_access(&needs).await.expect("signed in");
    assert!(matches!(&found[0], Finding::SignedIn { by_repository: true, .. }), "{found:?}");
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(names[1].contains("lacks the permission to list the repositories; grant AcrPull, or Container Registry"), "{names:?}");
    assert!(matches!(&found[2], Finding::TooMuch { actions, .. } if actions[..] == [Action::Push]), "{names:?}");
    assert_eq!(bench.client.delete_tag(&web(), &tag("a")).await, Ok(Deleted::Done));
    let api = RepositoryName::parse("team/api").expect("a name");
    let error = bench.client.get_tag(&api, &tag("a")).await.expect_err("another repository");
    assert!(error.to_string().contains("repository team/api"), "{error}");
    // Tokens of before the change of mode are refused and replaced, refresh token and all.
    bench.emulator.authorize_by_repository(false);
    bench.emulator.assign_roles("somebody AcrPull").expect("roles");
    bench.client_clock.turn(61);
    assert!(bench.client.get_tag(&api, &tag("a")).await.is_ok());
}

#[tokio::test]
async fn passwords_and_nobody_are_measured_by_their_tokens() {
    let needs = Needs { catalog: false, deletes: true, locks: false, repository: Some(web()) };
    let open = Options { anonymous_pull: true, ..Options::default() };
    let Bench { client, .. } = Bench::with(DRAWING, open, Credential::Anonymous);
    let found = findings(&client, &needs).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains("nobody (anonymous) lacks the permission delete on repository team/web"), "{found:?}");
}
