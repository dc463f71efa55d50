//! The program as it is built, over real sockets: exit codes, messages, saved files, a kill in the middle, and no secret anywhere.

use std::net::TcpListener as StdListener;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use retaind::emulator::{Credential, Emulator, Failure, Fault, Options, Permissions, Tls};
use retaind::state::JournalFilter;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::stage::{Folder, account, open};

const PROGRAM: &str = env!("CARGO_BIN_EXE_retaind");
const USER: &str = "retaind-test";
const PASSWORD: &str = "correct-horse-battery-staple";
/// Longer than any of these programs runs.
const PATIENCE: Duration = Duration::from_secs(60);

const DRAWING: &str = "
repository app
  repeat 8 n image old-{n} tags pr-{n} age 9{n}d
  index multi tags pr-9 age 80d platforms linux/amd64, linux/arm64
  image mixed tags pr-10, 1.1 age 70d
  image kept  tags 1.0  age 60d
";

const RULES: &str = r#"
    repositories: { include: ["**"] }
    rules: [{ name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }]
"#;

/// A policy file with one policy on pull requests.
pub(crate) fn policy(mode: &str, more: &str) -> String {
    format!("version: 1\npolicies:\n  - name: ci\n    mode: {mode}\n{}{more}", RULES.trim_start_matches('\n'))
}

/// A folder with settings and policies, and perhaps a registry that is served as long as the value lives.
pub(crate) struct Site {
    pub(crate) folder: Folder,
    pub(crate) emulator: Emulator,
}

impl Site {
    pub(crate) async fn new(policies: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let site = Self::at(&format!("http://127.0.0.1:{port}"), policies);
        tokio::spawn(site.emulator.clone().serve(listener, std::future::pending()));
        site
    }

    /// Settings that name this endpoint, where somebody else serves or nobody does.
    fn at(endpoint: &str, policies: &str) -> Self {
        let credential =
            Credential { user: USER.to_owned(), password: PASSWORD.to_owned(), permissions: Permissions::ALL, repositories: None };
        let emulator = Emulator::with_system_clock(Options { credentials: vec![credential], ..Options::default() });
        emulator.seed(DRAWING).expect("a drawing");
        let folder = Folder::new("site");
        let settings = format!(
            "version: 1\nregistries:\n  - name: contoso\n    endpoint: {endpoint}\n    auth: {{ kind: basic, username: {USER}, password_file: password }}\n\
             policies: policies.yaml\nstate: {{ dir: state }}\n"
        );
        folder.write("retaind.yaml", &settings);
        folder.write("policies.yaml", policies);
        folder.write("password", &format!("{PASSWORD}\n"));
        Self { folder, emulator }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        // Only what the program needs, so that the machine's own settings have no say.
        command.env_clear().args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("RETAIND_LOG", "off");
        if !arguments.iter().any(|argument| ["emulate", "--help", "--config"].contains(argument)) {
            command.args(["--config", "retaind.yaml"]);
        }
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Said {
        finish(self.command(arguments)).await
    }

    pub(crate) fn left(&self) -> String {
        self.emulator.render()
    }

    fn journal_accounts_for_everything(&self) {
        let state = open(&self.folder.path().join("state"));
        let mut journal = state.journal(&JournalFilter::default(), 1000).expect("the journal");
        journal.reverse();
        account(&journal, &self.emulator);
    }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

async fn finish(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output());
    let Output { status, stdout, stderr } = output.await.expect("no panic").expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: status.code(), out: text(stdout), error: text(stderr) }
}

impl Said {
    /// The one line of complaint of a command that could not do its work.
    pub(crate) fn complaint(&self, code: i32) -> &str {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        let line = self.error.strip_prefix("retaind: ").unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(line.trim_end().lines().count(), 1, "{self:?}");
        line.trim_end()
    }

    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.error.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }
}

const AFTERWARDS: &str = "repository app\n  kept tags 1.0\n  mixed tags 1.1\n  old-1 tags pr-1\n";

/// `keep_at_least: 1` would choose one of two by time; these images differ, so the newest is `kept`.
const ALL_BUT_RELEASES: &str = "repository app\n  kept tags 1.0\n  mixed tags 1.1\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_against_an_emulator_in_a_process_of_its_own() {
    let site = Site::at("http://127.0.0.1:1", &policy("enforce", ""));
    site.folder.write("drawing.txt", DRAWING);
    site.folder.write("admin", PASSWORD);
    let arguments = ["emulate", "--listen", "127.0.0.1:0", "--seed", "drawing.txt", "--admin-password-file", "admin"];
    let mut emulator = site.command(&arguments).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut line = String::new();
    let mut out = std::io::BufReader::new(emulator.stdout.take().expect("its output"));
    std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
    let address = line.trim_end().rsplit(' ').next().expect("an address").to_owned();
    let settings = format!(
        "version: 1\nregistries: [{{ name: contoso, endpoint: \"{address}\", auth: {{ kind: basic, username: admin, password_file: admin }} }}]\n\
         policies: policies.yaml\nstate: {{ dir: state }}\n"
    );
    site.folder.write("retaind.yaml", &settings);
    let first = site.run(&["run", "--once"]).await;
    let again = site.run(&["plan"]).await;
    emulator.kill().expect("it was alive");
    emulator.wait().expect("it ends");
    assert!(first.done().contains("applied: 11 manifests deleted, 1 tag removed"));
    assert!(again.done().contains("0 manifests to delete"));
}

/// Kills a run with SIGKILL while a deletion is on its way, at several points, and runs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_is_finished_by_the_next() {
    for deletions_before in [0, 3, 8, 10] {
        let site = Site::new(&policy("enforce", "")).await;
        let fault =
            Fault { method: Some(Method::DELETE), path_contains: String::new(), after: deletions_before, times: 1, failure: Failure::Hang };
        site.emulator.inject(fault);
        let (seen, hears) = mpsc::channel();
        site.emulator.on_request(Box::new(move |request, _| {
            if request.method == Method::DELETE {
                // The test may have heard enough.
                let _ = seen.send(());
            }
        }));
        let mut child = site.command(&["run", "--once"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let waited = tokio::task::spawn_blocking(move || (0..=deletions_before).try_for_each(|_| hears.recv_timeout(PATIENCE)));
        waited.await.expect("no panic").expect("deletions come");
        child.kill().expect("it was alive");
        assert_eq!(child.wait().expect("it ends").code(), None, "ended by the signal");
        site.emulator.on_request(Box::new(|_, _| {}));
        let state = open(&site.folder.path().join("state"));
        assert!(!crate::stage::still_open(&state).is_empty(), "the one on its way is on record");
        drop(state);
        assert!(!site.left().contains("gone:"), "{}", site.left());

        site.run(&["run", "--once"]).await.done();
        assert_eq!(site.left(), ALL_BUT_RELEASES);
        site.journal_accounts_for_everything();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_or_entered_is_one_sentence() {
    let nobody = StdListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let site = Site::at(&format!("http://{nobody}"), &policy("dry-run", ""));
    let said = site.run(&["plan"]).await;
    assert!(said.complaint(1).ends_with(&format!("{nobody} refused the connection; nothing listens there")), "{said:?}");

    let tls = Tls::new(&["localhost".to_owned()]).expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let site = Site::at(&format!("https://localhost:{port}"), &policy("dry-run", ""));
    let emulator = site.emulator.clone();
    let authority = tls.ca_pem().to_owned();
    tokio::spawn(async move { emulator.serve_tls(listener, &tls, std::future::pending()).await });
    let said = site.run(&["plan"]).await;
    let complaint = said.complaint(1);
    assert!(
        complaint.contains(&format!("the certificate of localhost:{port} is not trusted")) && complaint.contains("set ca_file"),
        "{complaint}"
    );
    let settings = std::fs::read_to_string(site.folder.path().join("retaind.yaml")).expect("the settings");
    site.folder.write("retaind.yaml", &settings.replace("    auth:", "    ca_file: ca.pem\n    auth:"));
    site.folder.write("ca.pem", &authority);
    assert!(site.run(&["plan"]).await.done().contains("11 manifests to delete"));

    let site = Site::new(&policy("dry-run", "")).await;
    site.folder.write("password", "wrong-guess-of-the-day");
    let said = site.run(&["plan"]).await;
    let complaint = said.complaint(1);
    assert!(complaint.contains("does not accept the credential") && !complaint.contains("wrong-guess"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_of_the_caller_are_told_apart_from_the_worlds() {
    let site = Site::at("http://127.0.0.1:1", &policy("dry-run", ""));
    let said = site.run(&["plan", "--registry", "contosso"]).await;
    assert_eq!(said.complaint(2), "no registry is named \"contosso\"; there are: contoso");
    let said = site.run(&["plan", "--policy", "c1"]).await;
    assert_eq!(said.complaint(2), "no policy is named \"c1\"; there are: ci");
    let said = site.run(&["plan", "--config", "nowhere.yaml"]).await;
    assert!(said.code == Some(2) && said.error.starts_with("nowhere.yaml: error: cannot read the file"), "{said:?}");
    let said = site.run(&["plan", "--inventory", "nowhere.json"]).await;
    assert!(said.complaint(2).starts_with("cannot read nowhere.json: "), "{said:?}");
    let said = site.run(&["apply", "retaind.yaml"]).await;
    assert!(said.complaint(2).starts_with("retaind.yaml: not a retaind/plan document"), "{said:?}");
    assert_eq!(site.run(&["plan", "--frobnicate"]).await.code, Some(2));
    assert_eq!(site.run(&["--help"]).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_asks_the_registry_what_matches_nothing_there() {
    let text = policy("dry-run", "").replace("[\"**\"]", "[\"app\", \"ap\"]").replace("pr-*", "pull-*");
    let site = Site::new(&text).await;
    assert!(site.run(&["check"]).await.done().ends_with("valid: 1 policy for 1 registry\n"));
    let said = site.run(&["check", "--live", "--deny-warnings"]).await;
    assert_eq!((said.code, said.error.as_str()), (Some(1), ""), "{said:?}");
    for warning in ["policies.yaml:5:38: warning[absent-repository]: \"ap\"", "warning[idle-rule]: rule pull-requests does nothing today"] {
        assert!(said.out.contains(warning), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_time_and_an_edit_change_is_shown_before_it_happens() {
    let site = Site::new(&policy("dry-run", "")).await;
    site.folder.write("old.yaml", &policy("dry-run", "").replace("14d", "85d"));
    let shown = site.run(&["plan", "--diff", "old.yaml"]).await.done();
    let sums = "\n0 images and tags go now, 0 images and tags go no longer\n\
                in dry-run, 2 images and tags would go now, 0 images and tags no longer would\n";
    assert!(shown.contains("would go    pr-9 (") && shown.ends_with(sums), "{shown}");
    let shown = site.run(&["plan", "--diff", "old.yaml", "--at", "+30d"]).await.done();
    assert!(shown.contains(", 30d after the listing: nothing but the time is\n  assumed to change\n"), "{shown}");
    assert!(shown.ends_with("0 images and tags go now, 0 images and tags go no longer\n"), "{shown}");
    let shown = site.run(&["plan", "--diff", "old.yaml", "--output", "json"]).await.done();
    let document: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(
        document["repositories"][0]["would_go"][1]["after"],
        serde_json::json!(["policy ci (dry-run): rule pull-requests deletes it"])
    );

    // Kept by its age alone, and by nothing: both are said with their time.
    site.folder.write("policies.yaml", &policy("dry-run", "").replace("14d", "100d"));
    let shown = site.run(&["explain", "app:pr-8"]).await.done();
    let from = shown.lines().find_map(|line| line.strip_prefix("would go from ")?.split(' ').next()).expect("a time").to_owned();
    assert!(site.run(&["explain", "app:pr-8", "--at", &from]).await.done().contains("\ngoes under policy ci (dry-run)\n"));
    assert!(site.run(&["explain", "app:pr-8", "--at", "+1d"]).await.done().contains("\nstays under policy ci (dry-run)\n"));
    assert!(site.run(&["explain", "app:1.0"]).await.done().ends_with("time alone does not let it go, as far as this listing tells\n"));
    // The listing is of now, whatever time is asked for.
    let plan = |said: &str| serde_json::from_str::<Value>(said).expect("JSON");
    let ahead = plan(&site.run(&["plan", "--at", "+30d", "--output", "json"]).await.done());
    let time = |key: &str| ahead[key].as_str().and_then(|time| time.parse::<Timestamp>().ok()).expect("a time");
    assert_eq!(time("now").duration_since(time("taken_at")), SignedDuration::from_hours(30 * 24), "{ahead}");
    let said = site.run(&["plan", "--at", "30d"]).await;
    assert!(said.code == Some(2) && said.error.contains("such as +30d"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_in_the_policies_is_told_at_once_with_its_place() {
    let other = policy("dry-run", "").replace("    mode:", "    registries: [fabrikam]\n    mode:");
    let site = Site::at("http://127.0.0.1:1", &other);
    let said = site.run(&["check"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    assert!(said.error.contains("policies.yaml:4:") && said.error.contains("fabrikam"), "{said:?}");

    let five = r#"version: 1
policies:
  - name: ci
    mode: sometimes
    repositories: { include: [] }
    rules:
      - { name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14 } }
      - { name: everything, delete: { tags: { glob: ["*"] } } }
      - { name: numbers, keep: { tags: { glob: [1.10] } } }
"#;
    site.folder.write("policies.yaml", five);
    for command in ["check", "plan"] {
        let said = site.run(&[command]).await;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        let places: Vec<String> = said.error.lines().filter_map(place).collect();
        assert_eq!(places, ["4:11", "5:30", "7:80", "8:29", "9:49"], "{said:?}");
    }
}

/// `LINE:COLUMN` of a problem in the policies.
fn place(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("policies.yaml:")?;
    let mut numbers = rest.split(':');
    Some(format!("{}:{}", numbers.next()?, numbers.next()?.split(' ').next()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_written_by_hand_is_planned_without_any_registry() {
    let site = Site::at("http://127.0.0.1:1", &policy("dry-run", "    limits: { keep_at_least: 0 }\n"));
    let hex = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let image = "application/vnd.oci.image.manifest.v1+json";
    let listing = serde_json::json!({
        "format": "retaind/inventory",
        "version": 1,
        "registry": "contoso",
        "taken_at": "2026-06-01T00:00:00Z",
        "repositories": [{
            "name": "app",
            "manifests": [
                {"digest": hex("1"), "media_type": image, "updated_at": "2026-01-01T00:00:00Z", "size_bytes": 1000},
                {"digest": hex("2"), "media_type": image, "updated_at": "2026-01-02T00:00:00Z", "size_bytes": 1000, "locks": {"can_delete": false}},
                {"digest": hex("3"), "media_type": image, "updated_at": "2026-05-30T00:00:00Z", "size_bytes": 1000},
            ],
            "tags": [
                {"name": "pr-1", "digest": hex("1"), "updated_at": "2026-01-01T00:00:00Z"},
                {"name": "pr-2", "digest": hex("2"), "updated_at": "2026-01-02T00:00:00Z"},
                {"name": "pr-3", "digest": hex("3"), "updated_at": "2026-05-30T00:00:00Z"},
                {"name": "latest", "digest": hex("3"), "updated_at": "2026-05-30T00:00:00Z"},
            ],
        }],
    });
    site.folder.write("listing.json", &listing.to_string());
    let deletes = async |at: &str| {
        let said = site.run(&["plan", "--inventory", "listing.json", "--at", at, "--output", "json"]).await.done();
        let plan: Value = serde_json::from_str(&said).expect("JSON");
        let repository = &plan["repositories"][0];
        let names = |key: &str, field: &str| {
            let steps = repository[key].as_array().expect("steps").iter();
            steps.map(|step| step[field].as_str().expect("text").to_owned()).collect::<Vec<_>>()
        };
        (names("deletes", "digest"), names("untags", "tag"))
    };
    assert_eq!(deletes("2026-01-15T00:00:00Z").await, (vec![], vec![]), "exactly fourteen days is not older");
    assert_eq!(deletes("2026-06-01T00:00:00Z").await, (vec![hex("1")], vec![]));
    assert_eq!(deletes("2027-06-01T00:00:00Z").await, (vec![hex("1")], vec!["pr-3".to_owned()]), "a look ahead");
    let explained = site.run(&["explain", "app:pr-2", "--inventory", "listing.json", "--at", "2026-06-01T00:00:00Z"]).await.done();
    assert!(explained.contains("- the manifest is locked"), "{explained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_listing_gives_the_plan_that_the_registry_gives() {
    let rules = "      - { name: dangling, delete: { untagged: true, older_than: 1d } }\n";
    let policies =
        policy("enforce", "").replace("    rules: [", "    rules:\n      - ").replace("older_than: 14d } }]", "older_than: 14d } }");
    let site = Site::new(&format!("{policies}{rules}")).await;
    site.emulator.seed("repository app\n  image loose untagged age 90d\n").expect("a drawing");
    let listing = site.run(&["inventory"]).await.done();
    site.folder.write("listing.json", &listing);
    let plan = async |arguments: &[&str]| {
        let mut all = vec!["plan", "--output", "json", "--at", "2099-01-01T00:00:00Z"];
        all.extend(arguments);
        let mut plan: Value = serde_json::from_str(&site.run(&all).await.done()).expect("JSON");
        // When the listing was taken is all that may differ.
        plan["taken_at"].take();
        plan
    };
    let live = plan(&[]).await;
    assert_eq!(live["repositories"][0]["deletes"].as_array().map(Vec::len), Some(12), "{live}");
    assert_eq!(plan(&["--inventory", "listing.json"]).await, live);
    assert_eq!(site.emulator.requests(), []);
}

/// What an image looked like at another time is a thought; had it been remembered, the next run would take it for an observation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_from_another_time_is_not_remembered() {
    let dangling = policy("enforce", "").replace("tags: { glob: [\"pr-*\"] }, older_than: 14d", "untagged: true, older_than: 7d");
    let site = Site::new(&dangling).await;
    site.emulator.seed("repository app\n  image loose untagged age 90d\n").expect("a drawing");
    let month_ago = site.emulator.now() - SignedDuration::from_hours(24 * 30);
    site.run(&["plan", "--at", &month_ago.to_string()]).await.done();
    site.run(&["explain", "app:1.0", "--at", &month_ago.to_string()]).await.done();
    let before = site.left();
    site.run(&["run", "--once"]).await.done();
    assert_eq!(site.left(), before, "it is seen untagged for the first time");
    assert_eq!(site.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_plan_is_carried_out_as_far_as_it_still_holds() {
    let site = Site::new(&policy("enforce", "")).await;
    let saved = site.run(&["plan", "--output", "json"]).await.done();
    site.folder.write("plan.json", &saved);
    // Since then one of its images got a name that stays, and another one became old enough, which nobody has agreed to.
    let old_1 = site.emulator.snapshot()["app"].tags["pr-1"];
    site.emulator.move_tag("app", "production", old_1).expect("the image");
    site.emulator.seed("repository app\n  image late tags pr-99 age 90d\n").expect("a drawing");
    let said = site.run(&["apply", "plan.json"]).await.done();
    assert!(said.contains("applied: 10 manifests deleted, 1 tag removed"), "{said}");
    assert_eq!(
        site.left(),
        AFTERWARDS.replace("mixed tags 1.1\n  old-1 tags pr-1", "late tags pr-99\n  mixed tags 1.1\n  old-1 tags pr-1, production")
    );
    site.journal_accounts_for_everything();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guard_holds_back_ends_with_three() {
    let site = Site::new(&policy("dry-run", "")).await;
    let saved = site.run(&["plan", "--output", "json"]).await.done();
    site.folder.write("plan.json", &saved);
    let said = site.run(&["apply", "plan.json"]).await;
    assert_eq!(said.complaint(3), "policy ci says mode: dry-run, so no plan of it is applied; set mode: enforce");

    site.folder.write("policies.yaml", &policy("enforce", ""));
    let mut stale: Value = serde_json::from_str(&saved).expect("JSON");
    stale["taken_at"] = "2026-01-01T00:00:00Z".into();
    site.folder.write("stale.json", &stale.to_string());
    let said = site.run(&["apply", "stale.json"]).await;
    assert!(said.complaint(3).ends_with("ago; plan again"), "{said:?}");

    site.folder.write("policies.yaml", &policy("enforce", "    limits: { max_deletes: 5 }\n"));
    for arguments in [&["run", "--once"][..], &["apply", "plan.json"]] {
        let said = site.run(arguments).await;
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(said.out.contains("guard: the run would remove 12 manifests and tags, max_deletes allows 5"), "{said:?}");
    }
    assert_eq!(site.emulator.requests(), []);

    let hash = |plan: &str| serde_json::from_str::<Value>(plan).expect("JSON")["hash"].as_str().expect("a hash").to_owned();
    let said = site.run(&["run", "--once", "--accept", &hash(&saved)]).await;
    assert_eq!(said.code, Some(3), "that was a plan of other policies: {said:?}");
    let planned = site.run(&["plan", "--output", "json"]).await.done();
    let said = site.run(&["run", "--once", "--accept", &hash(&planned)]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(site.left(), ALL_BUT_RELEASES);
    site.journal_accounts_for_everything();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_output_ever_holds_a_secret() {
    let site = Site::new(&policy("enforce", "")).await;
    let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let mut logged_bytes = 0;
    // The last one has to sign in with a password that is refused.
    for (arguments, password) in [
        (&["plan"][..], PASSWORD),
        (&["inventory"], PASSWORD),
        (&["explain", "app:1.0"], PASSWORD),
        (&["run", "--once"], PASSWORD),
        (&["run", "--once"], "battery-horse-correct-staple"),
    ] {
        site.folder.write("password", password);
        let mut command = site.command(arguments);
        command.env("RETAIND_LOG", "trace");
        let Said { code: _, out, error } = finish(command).await;
        logged_bytes += error.len();
        // Every token of the registry begins with these letters, which are `{"` in base64.
        for secret in [PASSWORD, password, &basic, "eyJ"] {
            assert!(!out.contains(secret) && !error.contains(secret), "{arguments:?} tells {secret}:\n{out}\n{error}");
        }
    }
    assert!(10_000 < logged_bytes, "everything is logged: {logged_bytes} bytes");
}

/// Somebody who has signed in to the Azure CLI: `az` is a script that prints a token, or what it says when nobody has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_signed_in_to_the_azure_cli_is_asked_for_a_token() {
    use std::os::unix::fs::PermissionsExt as _;

    let site = Site::new(&policy("dry-run", "")).await;
    let settings = std::fs::read_to_string(site.folder.path().join("retaind.yaml")).expect("settings");
    let basic = format!("kind: basic, username: {USER}, password_file: password");
    let claims = format!(r#"{{"aud":"https://containerregistry.azure.net","oid":"me","exp":{}}}"#, u32::MAX);
    let token = format!("e30.{}.unsigned", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
    let prints = format!(r#"{{"accessToken":"{token}","expires_on":{},"tokenType":"Bearer"}}"#, u32::MAX);
    let script = format!(
        "#!/bin/sh\ntest \"$*\" = 'account get-access-token -o json --scope https://containerregistry.azure.net/.default' || exit 9\necho '{prints}'\n"
    );
    let az = site.folder.write("az", &script);
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).expect("a script");
    site.folder.write("azureProfile.json", "{}");
    let here = site.folder.path().display().to_string();
    for kind in ["azure_cli", "auto"] {
        site.folder.write("retaind.yaml", &settings.replace(&basic, &format!("kind: {kind}")));
        let mut command = site.command(&["plan"]);
        command.env("PATH", format!("{here}:/usr/bin:/bin")).env("AZURE_CONFIG_DIR", &here).env("RETAIND_LOG", "info");
        let said = finish(command).await;
        assert!(said.code == Some(0) && said.out.contains("11 manifests to delete"), "{said:?}");
        assert_eq!(said.error.contains("Azure CLI, because somebody has signed in with it"), kind == "auto", "{said:?}");
        assert!(!said.error.contains(&token) && !said.out.contains(&token));
    }
    site.folder.write("az", "#!/bin/sh\necho \"Please run 'az login' to setup account.\" >&2\nexit 1\n");
    let mut command = site.command(&["plan"]);
    command.env("PATH", format!("{here}:/usr/bin:/bin")).env("AZURE_CONFIG_DIR", &here);
    let said = finish(command).await;
    assert!(said.code == Some(1) && said.error.contains("az login"), "{said:?}");
}
