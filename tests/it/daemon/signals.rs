//! The daemon as the system ends it: a process of its own, real sockets, SIGTERM in the middle of a thousand deletions.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc as threads;
use std::time::{Duration, Instant};

use http::Method;
use jiff::{SignedDuration, Timestamp};
use retaind::clock::Clock;
use retaind::emulator::{Emulator, Failure, Fault, Options};
use retaind::state::JournalFilter;
use tokio::net::TcpListener;

use super::PATIENCE;
use crate::stage::{Folder, account, contoso, open};

const IMAGES: u32 = 1000;
/// From the signal to the end of the process, when nothing hangs.
const STOP_MAX: Duration = Duration::from_secs(2);
/// The same when a deletion hangs: it gets ten seconds.
const STOP_WITH_A_HANGING_CHANGE: std::ops::Range<Duration> = Duration::from_secs(9)..Duration::from_secs(14);

const POLICIES: &str = r#"version: 1
policies:
  - name: ci
    mode: enforce
    schedule: "0 * * * *"
    repositories: { include: [app] }
    limits: { max_deletes: 10000, max_delete_percent: 100 }
    rules: [{ name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }]
"#;

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A registry with a thousand images that are to go, and a state in which their run is overdue.
struct Site {
    folder: Folder,
    emulator: Emulator,
    deletes: threads::Receiver<()>,
}

impl Site {
    async fn new() -> Self {
        let emulator = Emulator::with_system_clock(Options { anonymous_pull: true, require_auth: false, ..Options::default() });
        emulator
            .seed(&format!("repository app\n  repeat {IMAGES} n image old-{{n}} tags pr-{{n}} age 90d\n  image new tags 1.0 age 1d\n"))
            .expect("a drawing");
        let (seen, deletes) = threads::channel();
        emulator.on_request(Box::new(move |request, _| {
            if request.method == Method::DELETE {
                // The test may have heard enough.
                let _ = seen.send(());
            }
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = listener.local_addr().expect("an address");
        tokio::spawn(emulator.clone().serve(listener, std::future::pending()));
        let folder = Folder::new("signals");
        let settings = format!(
            "version: 1\nregistries: [{{ name: contoso, endpoint: \"http://{endpoint}\", auth: {{ kind: anonymous }} }}]\n\
             policies: policies.yaml\nstate: {{ dir: state }}\nserver: {{ listen: \"127.0.0.1:0\" }}\n"
        );
        folder.write("retaind.yaml", &settings);
        folder.write("policies.yaml", POLICIES);
        let two_hours_ago: Timestamp = Clock::system().now() - SignedDuration::from_hours(2);
        open(&folder.path().join("state")).scheduled_since("ci", &contoso(), "0 * * * * UTC", two_hours_ago).expect("noted");
        Self { folder, emulator, deletes }
    }

    fn start(&self, arguments: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retaind"));
        command.env_clear().env("RETAIND_LOG", "off").arg("run").args(arguments).args(["--config", "retaind.yaml"]);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        Process(command.spawn().expect("the program starts"))
    }

    /// Waits for so many deletions, sends SIGTERM, and returns how long the end took.
    fn terminate_after(&self, deletes: u32, process: &mut Process) -> Duration {
        (0..deletes).try_for_each(|_| self.deletes.recv_timeout(PATIENCE)).expect("deletions come");
        let begun = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let end = process.0.wait().expect("it ends");
        assert_eq!(end.code(), Some(0), "{end}");
        begun.elapsed()
    }

    fn left(&self) -> u32 {
        u32::try_from(self.emulator.snapshot()["app"].tags.len()).expect("few") - 1
    }

    /// The next run does the rest, and the journal accounts for everything.
    fn is_finished_by_the_next_run(&self) {
        assert!(self.start(&["--once"]).0.wait().expect("it ends").success());
        assert_eq!(self.left(), 0);
        let mut journal = open(&self.folder.path().join("state")).journal(&JournalFilter::default(), 2 * IMAGES).expect("the journal");
        journal.reverse();
        account(&journal, &self.emulator);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_in_a_thousand_deletions_loses_none_and_the_next_run_goes_on() {
    let site = Site::new().await;
    let ended = tokio::task::spawn_blocking(move || {
        let took = site.terminate_after(300, &mut site.start(&[]));
        assert!(took < STOP_MAX, "{took:?}");
        let left = site.left();
        assert!(0 < left && left <= IMAGES - 300, "it stopped in the middle: {left} left");
        let state = open(&site.folder.path().join("state"));
        assert_eq!(crate::stage::still_open(&state), []);
        drop(state);
        site.is_finished_by_the_next_run();
    });
    ended.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_hangs_at_the_end_is_cut_off_and_read_by_the_next_run() {
    let site = Site::new().await;
    site.emulator.inject(Fault { method: Some(Method::DELETE), path_contains: String::new(), after: 5, times: 1, failure: Failure::Hang });
    let ended = tokio::task::spawn_blocking(move || {
        let took = site.terminate_after(6, &mut site.start(&[]));
        assert!(STOP_WITH_A_HANGING_CHANGE.contains(&took), "{took:?}");
        assert_eq!(crate::stage::still_open(&open(&site.folder.path().join("state"))).len(), 1);
        site.is_finished_by_the_next_run();
    });
    ended.await.expect("no panic");
}
