//! What the program is about, as plain values, and the same as JSON. Decides only what counts as ready.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::RegistryName;
use crate::policy::Mode;
use crate::telemetry::Build;

/// The program at one moment. Whoever schedules keeps it up to date.
#[derive(Debug, Clone)]
pub struct Status {
    /// Which program it is.
    pub build: Build,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Whether it is about to stop.
    pub stopping: bool,
    /// The files.
    pub configuration: ConfigurationStatus,
    /// Whether somebody paused deleting.
    pub paused: bool,
    /// Why deleting is suspended everywhere; None: it is not.
    pub suspended: Option<String>,
    /// Where else deleting is suspended.
    pub suspended_scopes: Vec<SuspendedStatus>,
    /// The registries.
    pub registries: Vec<RegistryStatus>,
    /// Every policy on every registry that it names.
    pub policies: Vec<PolicyStatus>,
}

/// The files that are in use.
#[derive(Debug, Clone, Default)]
pub struct ConfigurationStatus {
    /// When those in use were read; None: none were valid yet.
    pub loaded_at: Option<Timestamp>,
    /// What is wrong with the files as they are now; None: they are the ones in use.
    pub problem: Option<String>,
}

/// Repositories in which deleting is suspended.
#[derive(Debug, Clone)]
pub struct SuspendedStatus {
    /// Which, as globs.
    pub repositories: Vec<String>,
    /// Why.
    pub why: String,
}

/// A registry.
#[derive(Debug, Clone)]
pub struct RegistryStatus {
    /// Its name in the settings.
    pub name: RegistryName,
    /// Whether it accepted the credential at least once since the start.
    pub signed_in: bool,
}

/// A policy on a registry.
#[derive(Debug, Clone)]
pub struct PolicyStatus {
    /// The policy's name.
    pub name: String,
    /// The registry.
    pub registry: RegistryName,
    /// Whether its plans are applied.
    pub mode: Mode,
    /// When it runs, as written; None: only when it is started by hand.
    pub schedule: Option<String>,
    /// The time zone of the schedule.
    pub time_zone: String,
    /// Since when it runs, if it does at the moment.
    pub running_since: Option<Timestamp>,
    /// The next scheduled run.
    pub next_run_at: Option<Timestamp>,
    /// The run that ended last.
    pub last_run: Option<LastRun>,
}

/// A run that ended.
#[derive(Debug, Clone)]
pub struct LastRun {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How, as one stable word, e.g. `applied`.
    pub outcome: String,
    /// Why, as a sentence, where the word does not say it.
    pub explanation: Option<String>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it must be.
    pub passed: bool,
    /// What else there is to say.
    pub note: Option<String>,
}

impl Status {
    /// A program that has just started.
    pub fn starting(build: Build, started_at: Timestamp) -> Self {
        Self {
            build,
            started_at,
            stopping: false,
            configuration: ConfigurationStatus::default(),
            paused: false,
            suspended: None,
            suspended_scopes: Vec::new(),
            registries: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Whether there is work to be expected of the program, check by check.
    ///
    /// 1. Files were valid once. When they no longer are, the last valid ones are in use: that is ready, and says so.
    /// 2. Some registry has accepted the credential once. That another has not, or that one is out of reach now, is told by metrics:
    ///    taking the program out of service would help nobody.
    /// 3. Deleting that is suspended or paused is told, and is ready.
    /// 4. A program that is about to stop is not ready.
    pub fn readiness(&self) -> Vec<Check> {
        let ConfigurationStatus { loaded_at, problem } = &self.configuration;
        let check = |name: &str, passed, note| Check { name: name.to_owned(), passed, note };
        let pending: Vec<&str> =
            self.registries.iter().filter(|registry| !registry.signed_in).map(|registry| registry.name.as_str()).collect();
        let signed_in = self.registries.iter().any(|registry| registry.signed_in);
        let unread = problem.as_ref().map(|problem| {
            if loaded_at.is_some() { format!("the last valid files are in use, because {problem}") } else { problem.clone() }
        });
        let scopes = || {
            let scopes = self.suspended_scopes.iter();
            let told = scopes.map(|SuspendedStatus { repositories, why }| format!("in {}, because {why}", repositories.join(", ")));
            told.collect::<Vec<_>>().join("; ")
        };
        let held = match (&self.suspended, self.paused) {
            (Some(why), _) => Some(format!("deleting is suspended, because {why}")),
            (None, true) => Some("deleting is paused".to_owned()),
            (None, false) if self.suspended_scopes.is_empty() => None,
            (None, false) => Some(format!("deleting is suspended {}", scopes())),
        };
        vec![
            check("configuration", loaded_at.is_some(), unread),
            check("credential", signed_in, (!pending.is_empty()).then(|| format!("not yet accepted by {}", pending.join(", ")))),
            check("deletion", true, held),
            check("shutdown", !self.stopping, self.stopping.then(|| "the program is about to stop".to_owned())),
        ]
    }

    /// The document of `/api/v1/status`.
    pub fn to_json(&self) -> String {
        let checks = self.readiness();
        let document = StatusDocument {
            format: "retaind/status",
            version: 1,
            build: BuildDocument { version: self.build.version, revision: self.build.revision, rustc: self.build.rustc },
            started_at: self.started_at,
            ready: checks.iter().all(|check| check.passed),
            configuration: ConfigurationDocument {
                loaded_at: self.configuration.loaded_at,
                problem: self.configuration.problem.as_deref(),
            },
            paused: self.paused,
            suspended: self.suspended.as_deref(),
            suspended_scopes: self
                .suspended_scopes
                .iter()
                .map(|SuspendedStatus { repositories, why }| SuspendedDocument { repositories, why })
                .collect(),
            registries: self
                .registries
                .iter()
                .map(|registry| RegistryDocument { name: registry.name.as_str(), signed_in: registry.signed_in })
                .collect(),
            policies: self.policies.iter().map(policy_document).collect(),
        };
        let text = serde_json::to_string_pretty(&document).expect("names, times and flags can be written as JSON");
        escaped(&text) + "\n"
    }
}

#[derive(Serialize)]
struct StatusDocument<'a> {
    format: &'static str,
    version: u32,
    build: BuildDocument,
    started_at: Timestamp,
    ready: bool,
    configuration: ConfigurationDocument<'a>,
    paused: bool,
    suspended: Option<&'a str>,
    suspended_scopes: Vec<SuspendedDocument<'a>>,
    registries: Vec<RegistryDocument<'a>>,
    policies: Vec<PolicyDocument<'a>>,
}

#[derive(Serialize)]
struct BuildDocument {
    version: &'static str,
    revision: &'static str,
    rustc: &'static str,
}

#[derive(Serialize)]
struct ConfigurationDocument<'a> {
    loaded_at: Option<Timestamp>,
    problem: Option<&'a str>,
}

#[derive(Serialize)]
struct SuspendedDocument<'a> {
    repositories: &'a [String],
    why: &'a str,
}

#[derive(Serialize)]
struct RegistryDocument<'a> {
    name: &'a str,
    signed_in: bool,
}

#[derive(Serialize)]
struct PolicyDocument<'a> {
    name: &'a str,
    registry: &'a str,
    mode: &'static str,
    schedule: Option<&'a str>,
    time_zone: &'a str,
    running_since: Option<Timestamp>,
    next_run_at: Option<Timestamp>,
    last_run: Option<LastRunDocument<'a>>,
}

#[derive(Serialize)]
struct LastRunDocument<'a> {
    started_at: Timestamp,
    ended_at: Timestamp,
    outcome: &'a str,
    explanation: Option<&'a str>,
}

fn policy_document(policy: &PolicyStatus) -> PolicyDocument<'_> {
    let PolicyStatus { name, registry, mode, schedule, time_zone, running_since, next_run_at, last_run } = policy;
    let last_run = last_run.as_ref().map(|LastRun { started_at, ended_at, outcome, explanation }| LastRunDocument {
        started_at: *started_at,
        ended_at: *ended_at,
        outcome,
        explanation: explanation.as_deref(),
    });
    let mode = match mode {
        Mode::DryRun => "dry-run",
        Mode::Enforce => "enforce",
    };
    PolicyDocument {
        name,
        registry: registry.as_str(),
        mode,
        schedule: schedule.as_deref(),
        time_zone,
        running_since: *running_since,
        next_run_at: *next_run_at,
        last_run,
    }
}

/// JSON in which no text of somebody else can be taken for markup or steer a terminal. Such characters occur in strings only, so
/// that they can be replaced without looking where they are.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        let harmless = !matches!(character, '<' | '>' | '&' | '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if harmless {
            out.push(character);
        } else {
            // All of them are in the first plane, where the code point is its own escape.
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn ready() -> Status {
        Status {
            configuration: ConfigurationStatus { loaded_at: Some(at(0)), problem: None },
            registries: vec![
                RegistryStatus { name: RegistryName::parse("a").expect("a name"), signed_in: false },
                RegistryStatus { name: RegistryName::parse("b").expect("a name"), signed_in: true },
            ],
            ..Status::starting(Build::THIS, at(0))
        }
    }

    fn failing(status: &Status) -> Vec<String> {
        status.readiness().into_iter().filter(|check| !check.passed).map(|check| check.name).collect()
    }

    #[test]
    fn ready_is_who_read_valid_files_and_signed_in_somewhere() {
        assert_eq!(failing(&Status::starting(Build::THIS, at(0))), ["configuration", "credential"]);
        assert!(failing(&ready()).is_empty());
        assert_eq!(failing(&Status { stopping: true, ..ready() }), ["shutdown"]);
    }

    #[test]
    fn an_invalid_edit_and_a_pause_stay_ready_and_are_told() {
        let problem = Some("policies.yaml:3: unknown key".to_owned());
        let edited = Status {
            configuration: ConfigurationStatus { loaded_at: Some(at(0)), problem: problem.clone() },
            suspended: problem,
            ..ready()
        };
        let notes: Vec<_> = edited.readiness().into_iter().filter_map(|check| check.note).collect();
        assert!(failing(&edited).is_empty());
        expect_test::expect![[r#"
            [
                "the last valid files are in use, because policies.yaml:3: unknown key",
                "not yet accepted by a",
                "deleting is suspended, because policies.yaml:3: unknown key",
            ]
        "#]]
        .assert_debug_eq(&notes);
        let paused = Status { paused: true, ..ready() };
        assert!(failing(&paused).is_empty());
        assert!(paused.readiness().iter().any(|check| check.note.as_deref() == Some("deleting is paused")));
    }

    #[test]
    fn escapes_read_back_as_what_they_were() {
        let text = "<script>&\u{7f}\u{9b}\u{2028}\u{202e}\u{1b}\"é";
        let json = escaped(&serde_json::to_string(text).expect("a string"));
        assert_eq!(json, r#""\u003cscript\u003e\u0026\u007f\u009b\u2028\u202e\u001b\"é""#);
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
    }
}
