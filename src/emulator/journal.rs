//! What was asked of the emulator: counts of everything, and the latest requests that could change something.

use std::collections::{BTreeMap, VecDeque};

use ::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How many mutating requests are remembered: enough for any test, about 2 MB; the oldest go first.
const REQUESTS_MAX: usize = 20_000;

/// How many requests of all kinds are remembered: what a person looks through, about 200 KB.
const LATEST_MAX: usize = 1_000;

/// A request, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// The method.
    pub method: Method,
    /// Path and query as the client wrote them.
    pub path: String,
    /// The status; `None` when the connection was dropped or the request hangs.
    pub status: Option<u16>,
    /// When, by the emulator's clock.
    pub time: Timestamp,
}

/// What requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The method.
    pub method: String,
    /// The path with `{name}`, `{tag}` and `{digest}` for what differs; empty for paths that no registry has.
    pub route: &'static str,
    /// The status; `None` when the connection was dropped or the request hangs.
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) counts: BTreeMap<Counted, u64>,
    /// The latest that could have changed something.
    pub(crate) requests: VecDeque<LoggedRequest>,
    /// The latest of all kinds.
    latest: VecDeque<LoggedRequest>,
}

impl Journal {
    pub(crate) fn record(&mut self, request: LoggedRequest, route: &'static str) {
        let counted = Counted { method: request.method.to_string(), route, status: request.status };
        *self.counts.entry(counted).or_default() += 1;
        let mutating = !route.starts_with("/oauth2") && request.method != Method::GET && request.method != Method::HEAD;
        if mutating {
            push(&mut self.requests, request.clone(), REQUESTS_MAX);
        }
        push(&mut self.latest, request, LATEST_MAX);
    }

    pub(crate) fn counts_json(&self) -> Value {
        let counts = self
            .counts
            .iter()
            .map(|(Counted { method, route, status }, count)| json!({"method": method, "route": route, "status": status, "count": count}));
        json!({"counts": counts.collect::<Value>()})
    }

    pub(crate) fn log_json(&self) -> Value {
        json!({"latest": listed(&self.latest), "mutating": listed(&self.requests)})
    }

    pub(crate) fn json(&self) -> Value {
        json!({"counts": self.counts_json()["counts"], "mutating": listed(&self.requests)})
    }
}

fn push(queue: &mut VecDeque<LoggedRequest>, request: LoggedRequest, length_max: usize) {
    if queue.len() == length_max {
        queue.pop_front();
    }
    queue.push_back(request);
}

fn listed(queue: &VecDeque<LoggedRequest>) -> Value {
    let requests = queue.iter().map(|LoggedRequest { method, path, status, time }| {
        json!({"method": method.as_str(), "path": path, "status": status, "time": time.to_string()})
    });
    requests.collect()
}
