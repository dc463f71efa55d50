//! The daemon as a whole, over emulated registries in the same process, seen from where an operator sees it: over HTTP.
//! Its clock stands until a test turns it; nothing here waits for a fixed time.

mod days;
mod edits;
mod line;
mod schedules;
mod scopes;
mod signals;
mod stops;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc as threads};
use std::time::{Duration, Instant};

use http::Method;
use retaind::acr::{Client, ClientOptions, Endpoint, Transport};
use retaind::config::Configuration;
use retaind::daemon::{self, Daemon, Orders};
use retaind::emulator::{Emulator, Options};
use retaind::state::JournalFilter;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stage::{Folder, account, open};
use crate::support::{Hands, InProcess, entra};

/// Longer than anything that is waited for takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at whether something has come about.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Twelve images that the policy removes, and one that it has no rule for.
const DRAWING: &str = "
repository app
  repeat 12 n image old-{n} tags pr-{n} age 9{n}d
  image release tags 1.0 age 60d
";
const IMAGES: usize = 12;

/// An hour is 3,600 s, and a start is spread over at most five minutes: so much later the next run is due.
const TO_THE_NEXT_RUN_SECONDS: i64 = 3_600;
/// From noon, when every test begins, past the spread start at one o'clock.
const TO_THE_FIRST_RUN_SECONDS: i64 = 4_200;

/// The policy `ci`: every hour, and further rules, one a line.
fn policies(more_rules: &str) -> String {
    policies_at("schedule: \"0 * * * *\"", more_rules)
}

fn policies_at(schedule: &str, more_rules: &str) -> String {
    format!(
        r#"version: 1
policies:
  - name: ci
    mode: enforce
    {schedule}
    registries: ["*"]
    repositories: {{ include: ["**"] }}
    limits: {{ max_delete_percent: 100, keep_at_least: 0 }}
    rules:
      - {{ name: pull-requests, delete: {{ tags: {{ glob: ["pr-*"] }}, older_than: 14d }} }}
{more_rules}"#
    )
}

/// Waits until something has come about.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Registries, files as the kubelet mounts them, a state folder, and a clock for everybody.
struct Site {
    folder: Folder,
    hands: Hands,
    emulators: BTreeMap<&'static str, Emulator>,
    transports: BTreeMap<String, Arc<dyn Transport>>,
    editions: u32,
}

impl Site {
    fn new(policies: &str) -> Self {
        Self::with(&["contoso"], policies)
    }

    fn with(registries: &[&'static str], policies: &str) -> Self {
        let hands = Hands::new();
        let (mut emulators, mut transports) = (BTreeMap::new(), BTreeMap::new());
        let mut settings = "version: 1\nregistries:\n".to_owned();
        for name in registries {
            let told = hands.clone();
            let emulator = Emulator::new(Options::default(), Arc::new(move || told.now()));
            emulator.seed(DRAWING).unwrap_or_else(|error| panic!("{error}"));
            let transport: Arc<dyn Transport> = Arc::new(InProcess::new(emulator.clone()));
            transports.insert((*name).to_owned(), transport);
            emulators.insert(*name, emulator);
            settings += &format!("  - {{ name: {name}, endpoint: \"https://{name}.azurecr.io\", auth: {{ kind: anonymous }} }}\n");
        }
        let folder = Folder::new("daemon");
        folder.write("retaind.yaml", &format!("{settings}policies: policies\nstate: {{ dir: state }}\n"));
        let mut site = Self { folder, hands, emulators, transports, editions: 0 };
        site.edit(policies);
        site
    }

    /// Swaps the file in as the kubelet does with a ConfigMap: a new folder of files, and one rename of the link to it.
    fn edit(&mut self, policies: &str) {
        self.editions += 1;
        let edition = format!("..edition-{}", self.editions);
        self.folder.write(&format!("policies/{edition}/ci.yaml"), policies);
        let mounted = self.folder.path().join("policies");
        symlink(&edition, mounted.join("..new")).expect("a link");
        fs::rename(mounted.join("..new"), mounted.join("..data")).expect("a swap");
        if self.editions == 1 {
            symlink("..data/ci.yaml", mounted.join("ci.yaml")).expect("a link");
        }
    }

    fn emulator(&self) -> &Emulator {
        &self.emulators["contoso"]
    }

    fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// How many of the images are left that are to go.
    fn left(&self) -> usize {
        left(self.emulator())
    }

    /// Fails the test unless the journal of the only registry accounts for everything; only once the daemon has ended.
    fn account(&self) {
        let mut journal = open(&self.state_dir()).journal(&JournalFilter::default(), 1000).expect("the journal");
        journal.reverse();
        account(&journal, self.emulator());
    }

    async fn start(&self) -> Service {
        let config = self.folder.path().join("retaind.yaml");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (transports, clock) = (self.transports.clone(), self.hands.clock());
        let daemon = Daemon {
            configuration: Configuration::load(&config).unwrap_or_else(|problems| panic!("{problems}")),
            config,
            state: open(&self.state_dir()),
            clock: clock.clone(),
            connect: Box::new(move |registry| {
                Ok(Client::new(ClientOptions {
                    registry: registry.name.clone(),
                    endpoint: Endpoint::parse(&registry.endpoint.to_string()).map_err(|error| error.to_string())?,
                    transport: Arc::clone(&transports[registry.name.as_str()]),
                    credential: entra("somebody"),
                    clock: clock.clone(),
                    apply_credential: None,
                    budget: retaind::acr::Budget::unlimited(),
                    jitter_seed: 1,
                }))
            }),
            listener,
            seed: 1,
        };
        let (stop, (reload, reloads)) = (CancellationToken::new(), mpsc::channel(1));
        let task = tokio::spawn(daemon::run(daemon, Orders { stop: stop.clone(), reload: reloads }));
        let service = Service { address, stop, reload, task, hands: self.hands.clone() };
        eventually("it serves its status", async || service.status().await["policies"][0].is_object()).await;
        service
    }
}

fn left(emulator: &Emulator) -> usize {
    emulator.snapshot()["app"].tags.keys().filter(|tag| tag.starts_with("pr-")).count()
}

fn deletes(emulator: &Emulator) -> usize {
    emulator.requests().iter().filter(|request| request.method == Method::DELETE).count()
}

/// A daemon that runs.
struct Service {
    address: String,
    stop: CancellationToken,
    reload: mpsc::Sender<()>,
    task: JoinHandle<()>,
    hands: Hands,
}

impl Service {
    /// The status code and the body.
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: retaind\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer and an end");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (code.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
    }

    async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/status").await.1).expect("JSON")
    }

    /// The value of a metric, by its name and labels as they are written; None: it has no such series.
    async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").await.1;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().expect("a number"))
    }

    /// What is said of a check under `/readyz`, which must say that it is ready.
    async fn ready(&self, check: &str) -> String {
        let (code, body) = self.get("/readyz?verbose").await;
        assert_eq!(code, 200, "{body}");
        body.lines().find(|line| line.starts_with(&format!("[+]{check} "))).unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    /// Has the files looked at now, and waits until that has come to something.
    async fn reload(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        self.reload.send(()).await.expect("somebody listens");
        eventually(what, holds).await;
    }

    async fn reloads(&self) -> f64 {
        self.metric("retaind_config_reloads_total").await.expect("a series")
    }

    /// Has an edit taken up.
    async fn take_up(&self) {
        let before = self.reloads().await;
        self.reload("the edit is taken up", async || before < self.reloads().await).await;
    }

    /// Turns the clock to where a run is due, and waits until one has begun.
    async fn turn_to_a_run(&self, seconds: i64) {
        self.hands.turn(seconds);
        let now = self.hands.now().to_string();
        eventually("a run begins", async || {
            let policy = &self.status().await["policies"][0];
            policy["running_since"] == now.as_str() || policy["last_run"]["started_at"] == now.as_str()
        })
        .await;
    }

    /// Waits until the first policy does not run, and returns how it ended the last time.
    async fn last_run(&self) -> Value {
        eventually("the run ends", async || self.status().await["policies"][0]["running_since"].is_null()).await;
        self.status().await["policies"][0]["last_run"].clone()
    }

    /// Turns the clock, and returns how the run ended that was due.
    async fn run_due(&self, seconds: i64) -> Value {
        self.turn_to_a_run(seconds).await;
        let last = self.last_run().await;
        assert_eq!(last["started_at"], self.hands.now().to_string(), "{last}");
        last
    }

    /// Stops it and waits for its end; how long that took.
    async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").expect("no panic");
        begun.elapsed()
    }
}

/// Holds every deletion back until it is opened, before it has any effect. A run has a thread of its own, so nothing else waits.
struct Gate {
    reached: mpsc::UnboundedReceiver<()>,
    opens: threads::Sender<()>,
}

impl Gate {
    fn before_deletes(emulator: &Emulator) -> Self {
        let (tell, reached) = mpsc::unbounded_channel();
        let (opens, closed) = threads::channel();
        let closed = Mutex::new(closed);
        emulator.on_request(Box::new(move |request, _| {
            if request.method == Method::DELETE {
                // The test may have seen enough.
                let _ = tell.send(());
                // What comes is that the other end is dropped.
                let _ = closed.lock().expect("nobody panicked").recv();
            }
        }));
        Self { reached, opens }
    }

    /// Waits until a deletion stands before it.
    async fn reached(&mut self) {
        tokio::time::timeout(PATIENCE, self.reached.recv()).await.expect("a deletion comes").expect("the hook is there");
    }

    fn open(self) {
        drop(self.opens);
    }
}
