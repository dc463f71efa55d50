//! What was asked of the emulator: counts of everything, and the latest requests that could change something.

use std::collections::{BTreeMap, VecDeque};

use ::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How many mutating requests are remembered: enough for any test, about 2 MB; the oldest go first.
const REQUESTS_MAX: usize = 20_000;

/// A request that could have changed something, and how it was answered.
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
    pub(crate) requests: VecDeque<LoggedRequest>,
}

impl Journal {
    pub(crate) fn record(&mut self, request: LoggedRequest, route: &'static str) {
        let counted = Counted { method: request.method.to_string(), route, status: request.status };
        *self.counts.entry(counted).or_default() += 1;
        let mutating = !route.starts_with("/oauth2") && request.method != Method::GET && request.method != Method::HEAD;
        if mutating {
            if self.requests.len() == REQUESTS_MAX {
                self.requests.pop_front();
            }
            self.requests.push_back(request);
        }
    }

    pub(crate) fn json(&self) -> Value {
        let counts = self
            .counts
            .iter()
            .map(|(Counted { method, route, status }, count)| json!({"method": method, "route": route, "status": status, "count": count}));
        let requests = self.requests.iter().map(|LoggedRequest { method, path, status, time }| {
            json!({"method": method.as_str(), "path": path, "status": status, "time": time.to_string()})
        });
        json!({"counts": counts.collect::<Value>(), "mutating": requests.collect::<Value>()})
    }
}
