//! Three days of the daemon in a minute: schedules in several zones, registries that fail for hours, builds that come in, a restart.

use std::env;
use std::process::Command;

use jiff::Timestamp;

use super::line::{Cable, Line};
use super::*;

/// How far the clock is turned at a time: every start is spread over at most five minutes, so each comes in the step after its time.
const STEP_SECONDS: i64 = 600;
const STEPS_AN_HOUR: i64 = 6;
/// Set in the process that the test starts to be alone in it: memory is measured there.
const ALONE: &str = "RETAIND_TEST_ALONE";
const NAME: &str = "daemon::days::three_days_miss_and_double_no_run_and_need_no_more_memory";

const POLICIES: &str = r#"version: 1
policies:
  - name: hourly
    mode: enforce
    schedule: "0 * * * *"
    registries: ["*"]
    repositories: { include: ["**"] }
    limits: { max_delete_percent: 100, keep_at_least: 0 }
    rules: [{ name: pull-requests, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }]
  - name: often
    mode: dry-run
    schedule: "*/20 * * * *"
    registries: [contoso]
    repositories: { include: [app] }
    rules: [{ name: releases, keep: { tags: { glob: ["1.*"] } } }]
  - name: nightly
    mode: enforce
    schedule: "30 2 * * *"
    time_zone: Asia/Kathmandu
    registries: [fabrikam]
    repositories: { include: [app] }
    limits: { max_delete_percent: 100 }
    rules: [{ name: dangling, delete: { untagged: true, older_than: 1d } }]
"#;

/// Each policy on each registry, with how often it is due in 72 hours.
const DUE: [(&str, &str, f64); 4] =
    [("hourly", "contoso", 72.0), ("hourly", "fabrikam", 72.0), ("often", "contoso", 216.0), ("nightly", "fabrikam", 3.0)];

#[test]
fn three_days_miss_and_double_no_run_and_need_no_more_memory() {
    if env::var_os(ALONE).is_none() {
        let program = env::current_exe().expect("this program");
        let alone = Command::new(program).args(["--exact", NAME, "--nocapture"]).env(ALONE, "1").output().expect("started");
        let said = String::from_utf8_lossy(&alone.stdout).into_owned() + &String::from_utf8_lossy(&alone.stderr);
        assert!(alone.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(three_days());
}

async fn three_days() {
    let mut site = Site::with(&["contoso", "fabrikam"], POLICIES);
    let cables: Vec<Arc<Cable>> = ["contoso", "fabrikam"].map(|name| Cable::new(&site.emulators[name])).into();
    for (name, cable) in ["contoso", "fabrikam"].into_iter().zip(&cables) {
        site.transports.insert(name.to_owned(), cable.clone());
    }
    let mut service = site.start().await;
    let mut runs = [0.0; DUE.len()];
    let mut memory = Vec::new();
    for hour in 0..72 {
        cables[0].set(if (30..32).contains(&hour) { Line::Down } else { Line::Up });
        cables[1].set(if (10..12).contains(&hour) { Line::Down } else { Line::Up });
        for step in 0..STEPS_AN_HOUR {
            if step == 3 {
                for emulator in site.emulators.values() {
                    emulator.seed(&format!("repository app\n  image build-{hour} tags pr-{} age 20d\n", 100 + hour)).expect("a drawing");
                }
            }
            site.hands.turn(STEP_SECONDS);
            service.settle().await;
        }
        if hour % 24 == 23 {
            memory.push(resident_kb());
        }
        if hour == 40 {
            add(&mut runs, &service).await;
            service.stop().await;
            service = site.start().await;
        }
    }
    // Starts of the last minutes are spread beyond the hour.
    site.hands.turn(STEP_SECONDS);
    service.settle().await;
    add(&mut runs, &service).await;
    for ((policy, registry, due), runs) in DUE.into_iter().zip(runs) {
        assert!((runs - due).abs() < 0.5, "{policy} on {registry}: {runs} runs of {due}");
        assert_eq!(service.last_outcome(policy, registry).await, "succeeded", "{policy} on {registry}");
    }
    let left: Vec<usize> = site.emulators.values().map(left).collect();
    assert!(left.iter().all(|left| *left <= 1), "at most the build of the last hour is left: {left:?}");
    service.stop().await;
    assert!(memory[2] <= memory[0] + memory[0] / 5, "resident kB after each day: {memory:?}");
}

async fn add(runs: &mut [f64; DUE.len()], service: &Service) {
    for ((policy, registry, _), runs) in DUE.into_iter().zip(runs) {
        let series = format!("retaind_policy_runs_total{{policy=\"{policy}\",registry=\"{registry}\"}}");
        *runs += service.metric(&series).await.unwrap_or_default();
    }
}

/// What this process holds in memory now, in kB.
fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

impl Service {
    /// Waits until everything that is due by now has run.
    async fn settle(&self) {
        let now = self.hands.now();
        self.reload.send(()).await.expect("somebody listens");
        let is_later = |next: &Value| next.as_str().and_then(|at| at.parse::<Timestamp>().ok()).is_some_and(|at| now < at);
        eventually("nothing is due", async || {
            let status = self.status().await;
            let policies = status["policies"].as_array().cloned().unwrap_or_default();
            policies.iter().all(|policy| policy["running_since"].is_null() && is_later(&policy["next_run_at"]))
        })
        .await;
    }

    async fn last_outcome(&self, policy: &str, registry: &str) -> String {
        let status = self.status().await;
        let policies = status["policies"].as_array().cloned().unwrap_or_default();
        let found = policies.into_iter().find(|found| found["name"] == policy && found["registry"] == registry);
        found.unwrap_or_else(|| panic!("{status}"))["last_run"]["outcome"].as_str().unwrap_or_default().to_owned()
    }
}
