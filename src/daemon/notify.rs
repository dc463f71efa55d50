//! What systemd is told: ready, alive, stopping, and one line about what goes on. Nothing happens where no systemd listens.

use std::fmt::Write as _;

use sd_notify::NotifyState;

use crate::serve::{PolicyStatus, Status, SuspendedStatus};

/// So many runs are named in the line; of more their number is told.
const NAMED_MAX: usize = 3;

pub(super) fn ready(line: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(line)]);
}

/// The watchdog is fed by the scheduler's own heartbeat and by nothing else.
pub(super) fn alive(line: &str) {
    tell(&[NotifyState::Watchdog, NotifyState::Status(line)]);
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: requests on their way are finished")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without a socket it does nothing; a socket that does not listen is systemd's affair, and it will restart us.
    let _ = sd_notify::notify(states);
}

/// What goes on: what runs, or else what runs next, and what holds deleting back.
pub(super) fn line(status: &Status) -> String {
    let policies = &status.policies;
    let mut line = match policies.len() {
        1 => "1 policy; ".to_owned(),
        number => format!("{number} policies; "),
    };
    let running: Vec<_> = policies.iter().filter_map(|policy| Some((policy, policy.running_since?))).collect();
    let next = policies.iter().filter_map(|policy| Some((policy.next_run_at?, policy))).min_by_key(|(at, _)| *at);
    if !running.is_empty() {
        let named: Vec<String> =
            running.iter().take(NAMED_MAX).map(|(policy, since)| format!("{} since {since:.0}", name(policy))).collect();
        let _ = write!(line, "running: {}", named.join(", "));
        if NAMED_MAX < running.len() {
            let _ = write!(line, " and {} more", running.len() - NAMED_MAX);
        }
    } else if let Some((at, policy)) = next {
        let _ = write!(line, "next: {} at {at:.0}", name(policy));
    } else {
        line += "nothing is scheduled";
    }
    if let Some(why) = &status.suspended {
        let _ = write!(line, "; deleting is suspended, because {why}");
    } else if status.paused {
        line += "; deleting is paused";
    }
    for SuspendedStatus { repositories, why } in &status.suspended_scopes {
        let _ = write!(line, "; deleting is suspended in {}, because {why}", repositories.join(", "));
    }
    line
}

fn name(policy: &PolicyStatus) -> String {
    format!("{} on {}", policy.name, policy.registry)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::model::RegistryName;
    use crate::policy::Mode;
    use crate::telemetry::Build;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn policy(name: &str, running_since: Option<i64>, next_run_at: Option<i64>) -> PolicyStatus {
        PolicyStatus {
            name: name.to_owned(),
            registry: RegistryName::parse("contoso").unwrap(),
            mode: Mode::Enforce,
            schedule: None,
            time_zone: "UTC".to_owned(),
            running_since: running_since.map(at),
            next_run_at: next_run_at.map(at),
            last_run: None,
        }
    }

    fn said(policies: Vec<PolicyStatus>) -> String {
        line(&Status { policies, ..Status::starting(Build::THIS, at(0)) })
    }

    #[test]
    fn it_says_what_runs_or_what_is_next() {
        assert_eq!(said(vec![]), "0 policies; nothing is scheduled");
        assert_eq!(said(vec![policy("by-hand", None, None)]), "1 policy; nothing is scheduled");
        let two = vec![policy("late", None, Some(7_200)), policy("soon", None, Some(3_600))];
        assert_eq!(said(two), "2 policies; next: soon on contoso at 1970-01-01T01:00:00Z");
        let running = vec![policy("soon", None, Some(3_600)), policy("now", Some(60), Some(90_000))];
        assert_eq!(said(running), "2 policies; running: now on contoso since 1970-01-01T00:01:00Z");
        let many: Vec<PolicyStatus> = ["a", "b", "c", "d", "e"].map(|name| policy(name, Some(0), None)).into();
        assert!(said(many).ends_with("c on contoso since 1970-01-01T00:00:00Z and 2 more"));
    }

    #[test]
    fn it_says_what_holds_deleting_back() {
        let status = Status { paused: true, ..Status::starting(Build::THIS, at(0)) };
        assert_eq!(line(&status), "0 policies; nothing is scheduled; deleting is paused");
        let status = Status { suspended: Some("the files are not valid (2 problems)".to_owned()), ..status };
        assert!(line(&status).ends_with("; deleting is suspended, because the files are not valid (2 problems)"));
        let of_a_team = SuspendedStatus { repositories: vec!["team-a/**".to_owned()], why: "it is not valid".to_owned() };
        let status = Status { suspended_scopes: vec![of_a_team], ..Status::starting(Build::THIS, at(0)) };
        assert!(line(&status).ends_with("; deleting is suspended in team-a/**, because it is not valid"));
    }
}
