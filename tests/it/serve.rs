//! The daemon's HTTP side over real sockets: every path, and what people do to it who mean no good.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use expect_test::expect;
use retaind::policy::Mode;
use retaind::serve::{
    CONNECTION_MAX, CONNECTIONS_MAX, ConfigurationStatus, HEADER_READ_MAX, LastRun, PolicyStatus, RegistryStatus, ServerState, Status,
    serve,
};
use retaind::telemetry::Build;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::metrics::{at, exercised, registry};

/// A server on a port of its own.
struct Served {
    address: String,
    status: watch::Sender<Status>,
    alive: Arc<AtomicBool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Served {
    async fn new(status: Status) -> Self {
        Self::with_policies(status, 1).await
    }

    async fn with_policies(status: Status, policies: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (status, receiver) = watch::channel(status);
        let (alive, stop) = (Arc::new(AtomicBool::new(true)), CancellationToken::new());
        let asked = alive.clone();
        let beats = move || if asked.load(Ordering::SeqCst) { Ok(()) } else { Err("no heartbeat for 61 s".to_owned()) };
        let state = ServerState { metrics: Arc::new(exercised(policies)), status: receiver, alive: Box::new(beats) };
        let task = tokio::spawn(serve(listener, Arc::new(state), stop.clone().cancelled_owned()));
        Self { address, status, alive, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("a connection")
    }

    /// Sends a request on a connection of its own and reads all that comes back.
    async fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        Answer::read_to_end(stream).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: retaind\r\nConnection: close\r\n\r\n")).await
    }
}

struct Answer {
    status: String,
    headers: Vec<String>,
    body: String,
}

impl Answer {
    async fn read_to_end(mut stream: TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer and an end");
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let mut lines = head.split("\r\n").map(str::to_owned);
        let status = lines.next().expect("a status line").trim_start_matches("HTTP/1.1 ").to_owned();
        let headers = lines.filter(|line| !line.starts_with("date:") && !line.starts_with("content-length:")).collect();
        Self { status, headers, body: body.to_owned() }
    }

    fn shown(&self) -> String {
        format!("{}\n{}\n\n{}", self.status, self.headers.join("\n"), self.body)
    }
}

fn ready() -> Status {
    let policy = PolicyStatus {
        name: "ci".to_owned(),
        registry: registry("contoso"),
        mode: Mode::Enforce,
        schedule: Some("@daily".to_owned()),
        time_zone: "UTC".to_owned(),
        running_since: None,
        next_run_at: Some(at(172_800)),
        last_run: Some(LastRun { started_at: at(86_400), ended_at: at(86_460), outcome: "applied".to_owned(), explanation: None }),
    };
    Status {
        configuration: ConfigurationStatus { loaded_at: Some(at(60)), problem: None },
        registries: vec![RegistryStatus { name: registry("contoso"), signed_in: true }],
        policies: vec![policy],
        ..Status::starting(Build { version: "1.2.3", revision: "abc", rustc: "1.95.0" }, at(0))
    }
}

#[tokio::test]
async fn a_healthy_daemon_says_ok() {
    let served = Served::new(ready()).await;
    let livez = served.get("/livez").await.shown();
    expect![[r#"
        200 OK
        content-type: text/plain; charset=utf-8
        x-content-type-options: nosniff
        cache-control: no-store
        connection: close

        ok
    "#]]
    .assert_eq(&livez);
    assert_eq!(served.get("/healthz").await.shown(), livez);
    assert_eq!(served.get("/readyz").await.shown(), livez);
    assert_eq!(served.get("/livez?verbose").await.body, "[+]scheduler ok\nlivez check passed\n");
    assert_eq!(served.get("/healthz?verbose=").await.body, "[+]scheduler ok\nlivez check passed\n");
    assert_eq!(served.get("/livez?quiet&verbosely").await.body, "ok\n");
    expect![[r"
        [+]configuration ok
        [+]credential ok
        [+]deletion ok
        [+]shutdown ok
        readyz check passed
    "]]
    .assert_eq(&served.get("/readyz?x=1&verbose=true").await.body);
}

#[tokio::test]
async fn what_is_wrong_is_told_without_asking() {
    let served = Served::new(Status::starting(Build::THIS, at(0))).await;
    let answer = served.get("/readyz").await;
    assert_eq!(answer.status, "503 Service Unavailable");
    expect![[r"
        [-]configuration failed
        [-]credential failed
        [+]deletion ok
        [+]shutdown ok
        readyz check failed
    "]]
    .assert_eq(&answer.body);
    // Neither registry nor files are a reason to restart the process.
    assert_eq!(served.get("/livez").await.status, "200 OK");
    served.alive.store(false, Ordering::SeqCst);
    let answer = served.get("/healthz").await;
    assert_eq!(answer.status, "503 Service Unavailable");
    assert_eq!(answer.body, "[-]scheduler failed: no heartbeat for 61 s\nlivez check failed\n");
}

#[tokio::test]
async fn an_invalid_edit_stays_ready_and_is_told() {
    let served = Served::new(ready()).await;
    served.status.send_modify(|status| {
        status.configuration.problem = Some("a.yaml:3: unknown key\n[-]forged failed".to_owned());
        status.suspended = Some("the files are not valid".to_owned());
    });
    assert_eq!(served.get("/readyz").await.body, "ok\n");
    expect![[r"
        [+]configuration ok: the last valid files are in use, because a.yaml:3: unknown key [-]forged failed
        [+]credential ok
        [+]deletion ok: deleting is suspended, because the files are not valid
        [+]shutdown ok
        readyz check passed
    "]]
    .assert_eq(&served.get("/readyz?verbose").await.body);
}

#[tokio::test]
async fn the_status_is_json() {
    let served = Served::new(ready()).await;
    expect![[r#"
        200 OK
        content-type: application/json
        x-content-type-options: nosniff
        cache-control: no-store
        connection: close

        {
          "format": "retaind/status",
          "version": 1,
          "build": {
            "version": "1.2.3",
            "revision": "abc",
            "rustc": "1.95.0"
          },
          "started_at": "1970-01-01T00:00:00Z",
          "ready": true,
          "configuration": {
            "loaded_at": "1970-01-01T00:01:00Z",
            "problem": null
          },
          "paused": false,
          "suspended": null,
          "suspended_scopes": [],
          "registries": [
            {
              "name": "contoso",
              "signed_in": true
            }
          ],
          "policies": [
            {
              "name": "ci",
              "registry": "contoso",
              "mode": "enforce",
              "schedule": "@daily",
              "time_zone": "UTC",
              "running_since": null,
              "next_run_at": "1970-01-03T00:00:00Z",
              "last_run": {
                "started_at": "1970-01-02T00:00:00Z",
                "ended_at": "1970-01-02T00:01:00Z",
                "outcome": "applied",
                "explanation": null
              }
            }
          ]
        }
    "#]]
    .assert_eq(&served.get("/api/v1/status").await.shown());
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let hostile = "<script>alert('&')</script>\"\\\n\u{1b}[2J\u{9b}\u{202e}\u{2028}";
    let mut status = ready();
    status.policies[0].name = hostile.to_owned();
    status.policies[0].last_run.as_mut().expect("a run").explanation = Some(hostile.to_owned());
    let answer = Served::new(status).await.get("/api/v1/status").await;
    let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(document["policies"][0]["name"], hostile);
    assert_eq!(document["policies"][0]["last_run"]["explanation"], hostile);
    let printable = |character: char| character == '\n' || (' '..='~').contains(&character) && !"<>&".contains(character);
    assert!(answer.body.chars().all(printable), "{}", answer.body);
}

#[tokio::test]
async fn metrics_are_a_page_for_prometheus_and_quick() {
    // Twenty policies on two registries.
    let served = Served::with_policies(ready(), 20).await;
    let mut quickest = Duration::MAX;
    let mut page = String::new();
    for _ in 0..5 {
        let began = Instant::now();
        let answer = served.get("/metrics").await;
        quickest = quickest.min(began.elapsed());
        assert_eq!(answer.status, "200 OK");
        assert!(answer.headers.iter().any(|header| header.starts_with("content-type: text/plain; version=0.0.4")), "{:?}", answer.headers);
        page = answer.body;
    }
    assert!(page.contains("\nretaind_build_info{revision=\"abc\",rustc=\"1.95.0\",version=\"1.2.3\"} 1\n"));
    assert!(quickest < Duration::from_millis(50), "{quickest:?} for {} bytes", page.len());
}

#[tokio::test]
async fn nothing_but_questions_is_accepted() {
    let served = Served::new(ready()).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for path in ["/readyz", "/metrics", "/api/v1/status", "/nothing"] {
            let answer = served.ask(&format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nstart")).await;
            assert_eq!(
                (answer.status.as_str(), answer.body.as_str()),
                ("405 Method Not Allowed", "only GET and HEAD\n"),
                "{method} {path}"
            );
            assert!(answer.headers.contains(&"allow: GET, HEAD".to_owned()), "{:?}", answer.headers);
        }
    }
    for path in ["/", "/nothing", "/metrics/", "/api/v1/status/ci", "/../metrics", "/%6detrics"] {
        let answer = served.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!((answer.status.as_str(), answer.body.as_str()), ("404 Not Found", "not found\n"), "{path}");
        assert!(answer.headers.contains(&"x-content-type-options: nosniff".to_owned()), "{:?}", answer.headers);
    }
    for body in ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
        let answer = served.ask(&format!("GET /livez HTTP/1.1\r\nHost: a\r\n{body}")).await;
        assert_eq!(answer.status, "413 Payload Too Large");
    }
    let long = format!("GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(served.ask(&long).await.status, "431 Request Header Fields Too Large");
    assert_eq!(served.get("/livez").await.body, "ok\n");
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let served = Served::new(ready()).await;
    for path in ["/livez", "/readyz", "/metrics", "/api/v1/status"] {
        let answer = served.ask(&format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((answer.status.as_str(), answer.body.as_str()), ("200 OK", ""), "{path}");
        assert_eq!(answer.headers, served.get(path).await.headers, "{path}");
    }
}

/// With the clock of the timers standing still until nothing else is to do, so that ten seconds pass at once.
#[tokio::test(start_paused = true)]
async fn half_a_request_and_a_silent_connection_are_cut() {
    let served = Served::new(ready()).await;
    let first = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    for (sent, answers) in [("", 0), ("GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: ", 0), (first, 1), (&format!("{first}GET /liv"), 1)] {
        let began = tokio::time::Instant::now();
        let mut stream = served.connect().await;
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let mut received = String::new();
        stream.read_to_string(&mut received).await.expect("an end");
        assert_eq!(received.matches("200 OK").count(), answers, "{sent:?}: {received}");
        let took = began.elapsed();
        assert!(HEADER_READ_MAX <= took && took < HEADER_READ_MAX * 2, "{sent:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_connection_lives_for_ever() {
    let served = Served::new(ready()).await;
    let mut stream = served.connect().await;
    let began = tokio::time::Instant::now();
    let mut buffer = [0; 1024];
    // One request each time that the server would soon lose patience.
    loop {
        let sent = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
        if sent.is_err() || !matches!(stream.read(&mut buffer).await, Ok(1..)) {
            break;
        }
        assert!(began.elapsed() < CONNECTION_MAX * 2, "it lives on");
        tokio::time::advance(HEADER_READ_MAX / 2).await;
    }
    assert!(CONNECTION_MAX <= began.elapsed());
}

#[tokio::test]
async fn idle_sockets_keep_nobody_out() {
    let served = Served::new(ready()).await;
    let mut idle = Vec::new();
    for place in 0..CONNECTIONS_MAX * 2 {
        let mut stream = served.connect().await;
        if place % 2 == 0 {
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.expect("sent");
        }
        idle.push(stream);
        if place % 50 == 0 {
            assert_eq!(served.get("/healthz").await.body, "ok\n", "with {place} others");
        }
    }
    let began = Instant::now();
    assert_eq!(served.get("/healthz").await.body, "ok\n");
    // The first ones had to go, long before their time was up.
    let mut end = [0; 1];
    assert!(matches!(idle[0].read(&mut end).await, Ok(0) | Err(_)));
    assert!(began.elapsed() < Duration::from_secs(1), "a probe of Kubernetes waits a second: {:?}", began.elapsed());
    drop(idle);
    assert_eq!(served.get("/healthz").await.body, "ok\n");
}

#[tokio::test]
async fn a_connection_in_use_outlives_idle_ones() {
    let served = Served::new(ready()).await;
    let mut used = served.connect().await;
    let mut buffer = [0; 1024];
    let mut idle = Vec::new();
    for _ in 0..4 {
        for _ in 0..CONNECTIONS_MAX / 2 {
            idle.push(served.connect().await);
        }
        used.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        let length = used.read(&mut buffer).await.expect("an answer");
        assert!(buffer[..length].ends_with(b"ok\n"));
    }
}

#[tokio::test]
async fn it_stops_when_told_and_says_goodbye_first() {
    let served = Served::new(ready()).await;
    let mut open = served.connect().await;
    open.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    let mut buffer = [0; 1024];
    assert!(0 < open.read(&mut buffer).await.expect("an answer"));
    served.status.send_modify(|status| status.stopping = true);
    let answer = served.get("/readyz").await;
    assert_eq!(answer.status, "503 Service Unavailable");
    assert!(answer.body.contains("[-]shutdown failed: the program is about to stop\n"), "{}", answer.body);
    served.stop.cancel();
    served.task.await.expect("it ends");
    assert_eq!(open.read(&mut buffer).await.expect("an end"), 0);
    assert!(TcpStream::connect(&served.address).await.is_err());
}

/// `retaind health` with a proxy in its environment that does not exist.
async fn health(url: String) -> Output {
    let ask = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retaind"));
        command.args(["health", "--url", &url]).env("HTTP_PROXY", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
        command.output().expect("the program")
    };
    tokio::task::spawn_blocking(ask).await.expect("it ends")
}

#[tokio::test]
async fn a_probe_needs_no_other_program() {
    let served = Served::new(ready()).await;
    let ok = health(format!("http://{}/readyz", served.address)).await;
    assert_eq!((ok.status.code(), ok.stdout.as_slice()), (Some(0), b"ok\n".as_slice()));
    served.status.send_modify(|status| status.stopping = true);
    let stopping = health(format!("http://{}/readyz", served.address)).await;
    assert_eq!(stopping.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stopping.stdout).contains("[-]shutdown failed"));
    served.stop.cancel();
    served.task.await.expect("it ends");
    let gone = health(format!("http://{}/readyz", served.address)).await;
    assert_eq!(gone.status.code(), Some(1));
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(said.contains("no answer from") && said.contains("refused"), "{said}");
    for unusable in ["https://127.0.0.1/readyz", "readyz", ""] {
        assert_eq!(health(unusable.to_owned()).await.status.code(), Some(2), "{unusable:?}");
    }
}
