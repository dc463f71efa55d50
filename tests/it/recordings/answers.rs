//! Recorded answers, given to the client by a transport that plays them: it must read from them what they say.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use retaind::acr::{
    Client, ClientOptions, Credential, Deleted, Endpoint, Error, Failure, ManifestProperties, Order, PlatformReference,
    RepositoryProperties, TagProperties,
};
use retaind::model::{Digest, LockChange, Locks, MediaType, RegistryName, RepositoryName, TagName};
use serde_json::{Value, json};

use super::flow::{Exchange, Flow, REGISTRY, Target, decoded};
use super::player::{Played, Player};
use crate::support::{Hands, entra};

/// Recordings in which a client only does what this one cannot: it pushes nothing, deletes no blobs and does not read `tags/list`.
const NOTHING_FOR_THE_CLIENT: [&str; 3] = ["blob_delete_404", "docker_manifest_put_and_400", "net_v2_tags"];

#[tokio::test(start_paused = true)]
async fn the_client_reads_recorded_answers_as_they_are_meant() {
    let Some(flows) = super::recordings() else { return };
    let mut operations = 0;
    let mut nothing = Vec::new();
    for flow in &flows {
        let mut read = 0;
        for index in 0..flow.exchanges.len() {
            read += usize::from(play(flow, index).await);
        }
        if read == 0 {
            nothing.push(flow.name.as_str());
        }
        operations += read;
    }
    println!("replayed {} flows: {operations} operations of the client", flows.len() - nothing.len());
    assert_eq!(nothing, NOTHING_FOR_THE_CLIENT, "recordings in which nothing is for the client");
}

/// Plays the conversation from this exchange on, if an operation of the client begins with it.
async fn play(flow: &Flow, index: usize) -> bool {
    let exchange = &flow.exchanges[index];
    let earlier = flow.exchanges[..index].iter().rev().find(|earlier| !earlier.is_about_tokens());
    let continues = |earlier: &Exchange| earlier.status == 401 && same_request(earlier, exchange) || follows(earlier, exchange);
    if exchange.path.is_empty() || exchange.is_about_tokens() || earlier.is_some_and(continues) {
        return false;
    }
    let script = Script::from(&flow.exchanges[index..]);
    let place = format!("{}, exchange {index}: {} {}", flow.name, exchange.method, exchange.path);
    Scene { script, place }.play().await
}

fn same_request(one: &Exchange, other: &Exchange) -> bool {
    (&one.method, &one.path, &one.query) == (&other.method, &other.path, &other.query)
}

/// `next` asks for the page behind `page`.
fn follows(page: &Exchange, next: &Exchange) -> bool {
    let link = page.header("link").and_then(|link| link.split_once('?')?.1.split_once('>')).map(|(query, _)| query);
    page.path == next.path && link.is_some_and(|link| without_version(&next.query) == link)
}

fn without_version(query: &str) -> String {
    query.split('&').filter(|field| !field.starts_with("api-version=")).collect::<Vec<_>>().join("&")
}

/// The answers to one operation, in order.
#[derive(Clone)]
struct Script<'a> {
    /// To the requests of the operation itself.
    answers: Vec<&'a Exchange>,
    exchange: Option<&'a Exchange>,
    token: Option<&'a Exchange>,
}

impl<'a> Script<'a> {
    fn from(exchanges: &'a [Exchange]) -> Self {
        let mut answers = vec![&exchanges[0]];
        let rest = || exchanges[1..].iter().filter(|exchange| !exchange.is_about_tokens());
        let mut later = rest();
        while let (Some(last), Some(next)) = (answers.last(), later.next()) {
            let renewed = last.status == 401 && same_request(last, next);
            let redirected = last.status == 307 && next.path.is_empty();
            if !renewed && !redirected && !follows(last, next) {
                break;
            }
            answers.push(next);
        }
        let token = |path: &str| exchanges.iter().find(|exchange| exchange.path == path);
        Self { answers, exchange: token("/oauth2/exchange"), token: token("/oauth2/token") }
    }

    /// The answers that the client is not asked for credentials by.
    fn granted(&self) -> impl Iterator<Item = &'a Exchange> + '_ {
        self.answers.iter().copied().filter(|answer| !is_challenge(answer))
    }
}

/// The registry asks for another token: the client had none, or one of another time.
fn is_challenge(answer: &Exchange) -> bool {
    answer.status == 401 && !answer.header("www-authenticate").is_some_and(|challenge| challenge.contains("insufficient_scope"))
}

/// One operation of the client over a script.
struct Scene<'a> {
    script: Script<'a>,
    /// For messages.
    place: String,
}

impl Scene<'_> {
    /// Whether the client has such an operation.
    async fn play(&self) -> bool {
        let first = self.script.answers[0];
        match (first.method.as_str(), Target::of(&first.path)) {
            ("GET", Target::Catalog) => self.catalog().await,
            ("GET", Target::Tags(name)) => self.tags(&name).await,
            ("GET", Target::Manifests(name)) => self.manifests(&name).await,
            (method, Target::Repository(name)) => self.repository(method, &name).await,
            (method, Target::Tag(name, tag)) => self.tag(method, &name, &tag).await,
            (method, Target::ManifestProperties(name, digest)) => self.manifest_properties(method, &name, &digest).await,
            ("GET", Target::Manifest(name, _)) => self.manifest(&name).await,
            ("DELETE", Target::Manifest(name, digest)) => self.delete_manifest(&name, &digest).await,
            ("GET", Target::Blob(name, digest)) => self.blob(&name, &digest).await,
            _ => return false,
        }
        true
    }

    /// A client whose network is this script. An answer that asks for a token is played for as long as the recording has no other.
    fn client(&self) -> (Client, Arc<Player>) {
        let Script { answers, exchange, token } = &self.script;
        let refused = answers.iter().all(|answer| is_challenge(answer));
        let otherwise = match answers.last() {
            Some(last) if refused => Played::from(*last),
            _ if answers.last().is_some_and(|last| last.header("link").is_some()) => {
                Played::json(&json!({"repositories": null, "tags": [], "manifests": []}))
            }
            _ => Played { status: 0, headers: Vec::new(), body: Bytes::new() },
        };
        let made_up = |key: &str| Played::json(&json!({key: "made-up"}));
        let player = Arc::new(Player {
            answers: Mutex::new(answers.iter().map(|answer| Played::from(*answer)).collect()),
            otherwise,
            exchange: exchange.map_or_else(|| made_up("refresh_token"), Played::from),
            token: token.map_or_else(|| made_up("access_token"), Played::from),
            asked: Mutex::default(),
        });
        let anonymous = token.is_some_and(Exchange::is_by_nobody);
        let client = Client::new(ClientOptions {
            registry: RegistryName::parse("recorded").expect("a name"),
            endpoint: Endpoint::parse(&format!("https://{REGISTRY}")).expect("an endpoint"),
            transport: player.clone(),
            credential: if anonymous { Credential::Anonymous } else { entra("somebody") },
            clock: Hands::new().clock(),
            apply_credential: None,
            budget: retaind::acr::Budget::unlimited(),
            jitter_seed: 1,
        });
        (client, player)
    }

    /// The client asked for what was recorded, in that order, with its token, and did not renew more than was necessary.
    fn check_requests(&self, player: &Player) {
        let asked = player.asked.lock().unwrap_or_else(PoisonError::into_inner);
        for (asked, recorded) in asked.iter().zip(&self.script.answers) {
            assert_eq!(asked.method, recorded.method, "{}", self.place);
            if recorded.path.is_empty() {
                assert!(asked.host.ends_with(".blob.core.windows.net"), "{}: {}", self.place, asked.host);
                assert!(!asked.with_token, "{}: the token goes to the registry alone", self.place);
                continue;
            }
            assert_eq!(asked.host, REGISTRY, "{}", self.place);
            assert!(asked.with_token, "{}", self.place);
            let by_tag = matches!(Target::of(&recorded.path), Target::Manifest(_, reference) if !reference.starts_with("sha256:"));
            if !by_tag && !recorded.path.starts_with("/v2/_catalog") {
                assert_eq!(decoded(&asked.path), decoded(&recorded.path).to_lowercase(), "{}", self.place);
            }
        }
    }

    /// The one answer that the operation is about.
    fn answer(&self) -> Option<&Exchange> {
        self.script.granted().next()
    }

    /// Compares with what the answer says, or with the failure that it stands for.
    fn check<T: PartialEq + std::fmt::Debug>(&self, found: Result<T, Error>, read: impl Fn(&Value) -> T, player: &Player) {
        self.check_requests(player);
        match self.answer() {
            Some(answer) if answer.succeeded() => {
                let expected = read(&answer.json().unwrap_or_default());
                assert_eq!(found.unwrap_or_else(|error| panic!("{}: {error:?}", self.place)), expected, "{}", self.place);
            }
            answer => {
                let error = found.expect_err("an answer that is no success");
                assert!(self.is_meant(answer, &error.failure), "{}: {:?}", self.place, error.failure);
            }
        }
    }

    fn is_meant(&self, answer: Option<&Exchange>, failure: &Failure) -> bool {
        let Some(answer) = answer else { return matches!(failure, Failure::Unauthorized { .. }) };
        let code = answer.json().and_then(|json| json["errors"][0]["code"].as_str().map(str::to_owned)).unwrap_or_default();
        match (answer.status, code.as_str()) {
            (401, _) => matches!(failure, Failure::Forbidden { .. }),
            (404, "") => matches!(failure, Failure::Protocol { .. }),
            (404, _) => *failure == Failure::NotFound,
            (405, "UNSUPPORTED") => matches!(failure, Failure::Unsupported { .. }),
            _ => false,
        }
    }

    /// Reads all recorded pages; behind the last, if it has a next one, is an empty page.
    async fn pages<T: PartialEq + std::fmt::Debug>(
        &self,
        player: &Player,
        all: impl Future<Output = Result<Vec<T>, Error>>,
        items_of: impl Fn(&Value) -> Vec<T>,
    ) {
        let found = all.await;
        self.check_requests(player);
        let answers: Vec<&Exchange> = self.script.granted().collect();
        if !answers.first().is_some_and(|answer| answer.succeeded()) {
            let error = found.expect_err("an answer that is no success");
            assert!(self.is_meant(answers.first().copied(), &error.failure), "{}: {:?}", self.place, error.failure);
            return;
        }
        let expected: Vec<T> = answers.iter().flat_map(|page| items_of(&page.json().expect("a page"))).collect();
        assert_eq!(found.unwrap_or_else(|error| panic!("{}: {error:?}", self.place)), expected, "{}", self.place);
        let asked = player.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let links: Vec<String> = answers.iter().filter_map(|page| next_query(page)).collect();
        // A page that is asked for again with a new token is the same page.
        let mut queries: Vec<&str> = asked.iter().map(|asked| asked.query.as_str()).collect();
        queries.dedup();
        assert_eq!(queries[1..], links, "{}: a listing goes on by its links, and only there", self.place);
    }

    async fn catalog(&self) {
        let (client, player) = self.client();
        let name = |name: &Value| repository(name.as_str().expect("a name"));
        self.pages(&player, client.list_repositories(100).all(), |page| list(&page["repositories"], name)).await;
    }

    async fn tags(&self, name: &str) {
        let (client, player) = self.client();
        let all = client.list_tags(&repository(name), self.order(), 100).all();
        self.pages(&player, all, |page| list(&page["tags"], tag)).await;
    }

    async fn manifests(&self, name: &str) {
        let (client, player) = self.client();
        let all = client.list_manifests(&repository(name), self.order(), 100).all();
        self.pages(&player, all, |page| list(&page["manifests"], manifest)).await;
    }

    fn order(&self) -> Order {
        match self.script.answers[0].query.split('&').find_map(|field| field.strip_prefix("orderby=")) {
            Some("timeasc") => Order::OldestFirst,
            Some("timedesc") => Order::NewestFirst,
            _ => Order::Name,
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the test of the very method")]
    async fn repository(&self, method: &str, name: &str) {
        let (client, player) = self.client();
        let name = repository(name);
        match method {
            "GET" => self.check(client.get_repository(&name).await, properties_of_repository, &player),
            "PATCH" => self.check(client.update_repository(&name, self.change()).await, properties_of_repository, &player),
            _ => {
                let deleted = client.delete_repository(&name).await;
                if self.is_absent() {
                    assert_eq!(deleted.expect("no failure").0, Deleted::Absent, "{}", self.place);
                    return;
                }
                let deleted = deleted.map(|(deleted, what)| {
                    assert_eq!(deleted, Deleted::Done, "{}", self.place);
                    (what.manifests, what.tags)
                });
                let read = |body: &Value| (list(&body["manifestsDeleted"], digest), list(&body["tagsDeleted"], tag_name));
                self.check(deleted, read, &player);
            }
        }
    }

    async fn tag(&self, method: &str, name: &str, name_of_tag: &str) {
        let (client, player) = self.client();
        let (name, tag_name) = (repository(&name.to_lowercase()), TagName::parse(&name_of_tag.to_lowercase()).expect("a tag"));
        match method {
            "GET" => self.check(client.get_tag(&name, &tag_name).await, |body| tag(&body["tag"]), &player),
            "PATCH" => self.check(client.update_tag(&name, &tag_name, self.change()).await, |body| tag(&body["tag"]), &player),
            _ => self.check_deleted(client.delete_tag(&name, &tag_name).await, &player),
        }
    }

    async fn manifest_properties(&self, method: &str, name: &str, of: &str) {
        let (client, player) = self.client();
        let (name, of) = (repository(name), parsed(of));
        let read = |body: &Value| manifest(&body["manifest"]);
        if method == "GET" {
            self.check(client.get_manifest_properties(&name, of).await, read, &player);
        } else {
            self.check(client.update_manifest(&name, of, self.change()).await, read, &player);
        }
    }

    /// The client reads by digest alone; an answer to a tag is as good.
    async fn manifest(&self, name: &str) {
        let (client, player) = self.client();
        let answer = self.answer().expect("a manifest");
        let of = parsed(answer.header("docker-content-digest").expect("its digest"));
        let found = client.get_manifest(&repository(name), of).await;
        if Digest::of(&answer.body) != of {
            // Scrubbing changed the bytes: exactly what the client must notice.
            let error = found.expect_err("bytes that are not the digest's");
            assert!(matches!(error.failure, Failure::Protocol { .. }), "{}: {:?}", self.place, error.failure);
            return;
        }
        let found = found.map(|document| {
            let config = document.config.map(|config| config.digest);
            (document.bytes, document.children.len(), document.subject, config)
        });
        let config = |body: &Value| body["config"]["digest"].as_str().map(parsed);
        self.check(found, |body| (Bytes::copy_from_slice(&answer.body), 0, None, config(body)), &player);
    }

    async fn delete_manifest(&self, name: &str, of: &str) {
        let (client, player) = self.client();
        self.check_deleted(client.delete_manifest(&repository(name), parsed(of)).await, &player);
    }

    async fn blob(&self, name: &str, of: &str) {
        let (client, player) = self.client();
        let found = client.get_blob(&repository(name), parsed(of)).await;
        self.check_requests(&player);
        let last = self.script.answers.last().expect("an answer");
        assert_eq!(found.unwrap_or_else(|error| panic!("{}: {error:?}", self.place)), last.body, "{}", self.place);
    }

    fn check_deleted(&self, found: Result<Deleted, Error>, player: &Player) {
        if self.is_absent() {
            assert_eq!(found.expect("no failure"), Deleted::Absent, "{}", self.place);
        } else {
            self.check(found, |_| Deleted::Done, player);
        }
    }

    fn is_absent(&self) -> bool {
        self.answer().is_some_and(|answer| answer.status == 404)
    }

    /// The change that the recorded client sent.
    fn change(&self) -> LockChange {
        let body: Value = serde_json::from_slice(&self.script.answers[0].request_body).expect("a change");
        let flag = |key: &str| body[key].as_bool();
        LockChange {
            can_delete: flag("deleteEnabled"),
            can_write: flag("writeEnabled"),
            can_read: flag("readEnabled"),
            can_list: flag("listEnabled"),
        }
    }
}

fn next_query(page: &Exchange) -> Option<String> {
    page.header("link").and_then(|link| link.split_once('?')?.1.split_once('>')).map(|(query, _)| query.to_owned())
}

fn list<T>(values: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    values.as_array().into_iter().flatten().map(read).collect()
}

fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).expect("a repository's name")
}

fn tag_name(name: &Value) -> TagName {
    TagName::parse(name.as_str().expect("a tag's name")).expect("a tag's name")
}

fn parsed(text: &str) -> Digest {
    text.parse().expect("a digest")
}

fn digest(text: &Value) -> Digest {
    parsed(text.as_str().expect("a digest"))
}

fn text(value: &Value) -> Option<Box<str>> {
    value.as_str().map(Into::into)
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str().map(|text| text.parse().expect("a time"))
}

fn locks(properties: &Value) -> Locks {
    let flag = |key: &str| properties["changeableAttributes"][key].as_bool().expect("a flag");
    Locks {
        can_delete: flag("deleteEnabled"),
        can_write: flag("writeEnabled"),
        can_read: flag("readEnabled"),
        can_list: flag("listEnabled"),
    }
}

fn properties_of_repository(body: &Value) -> RepositoryProperties {
    RepositoryProperties {
        name: repository(body["imageName"].as_str().expect("a name")),
        locks: locks(body),
        created_at: time(&body["createdTime"]),
        updated_at: time(&body["lastUpdateTime"]),
        manifest_count: body["manifestCount"].as_u64(),
        tag_count: body["tagCount"].as_u64(),
    }
}

fn tag(item: &Value) -> TagProperties {
    TagProperties {
        name: tag_name(&item["name"]),
        digest: digest(&item["digest"]),
        created_at: time(&item["createdTime"]),
        updated_at: time(&item["lastUpdateTime"]),
        locks: locks(item),
    }
}

fn manifest(item: &Value) -> ManifestProperties {
    let reference = |reference: &Value| PlatformReference {
        digest: digest(&reference["digest"]),
        architecture: text(&reference["architecture"]),
        os: text(&reference["os"]),
    };
    ManifestProperties {
        digest: digest(&item["digest"]),
        media_type: MediaType::from_text(item["mediaType"].as_str().expect("a media type")),
        config_media_type: text(&item["configMediaType"]),
        artifact_type: text(&item["artifactType"]),
        size_bytes: item["imageSize"].as_u64().unwrap_or_default(),
        created_at: time(&item["createdTime"]),
        updated_at: time(&item["lastUpdateTime"]),
        architecture: text(&item["architecture"]),
        os: text(&item["os"]),
        tags: list(&item["tags"], tag_name),
        locks: locks(item),
        references: item["references"].as_array().map(|references| references.iter().map(reference).collect()),
    }
}
