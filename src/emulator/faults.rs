//! Faults on order: which requests go wrong, how often, and in which way. What the fault does to a connection is carried out by the transport.

use std::time::Duration;

use ::http::{HeaderMap, Method, StatusCode};

use super::alter::Alteration;

/// A fault that waits for its requests.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Only requests of this method; `None` is any.
    pub method: Option<Method>,
    /// Only requests whose path and query contain this text, in the encoding that the client used; empty is any.
    pub path_contains: String,
    /// How many matching requests pass before the first goes wrong.
    pub after: usize,
    /// How many requests go wrong.
    pub times: usize,
    /// What happens to them.
    pub failure: Failure,
}

/// What happens to a request that a fault was waiting for.
#[derive(Debug, Clone)]
pub enum Failure {
    /// This answer; the request has no effect.
    Respond(Response),
    /// This answer, though the request had its effect.
    RespondAfterEffect(Response),
    /// The connection closes without an answer; the request had no effect.
    DropBeforeEffect,
    /// The connection closes without an answer, though the request had its effect.
    DropAfterEffect,
    /// No answer ever comes; the request has no effect.
    Hang,
    /// No answer ever comes, though the request had its effect.
    HangAfterEffect,
    /// The true answer, cut off after this many bytes of its body.
    Truncate(usize),
    /// The true answer, with something wrong in it.
    Alter(Alteration),
    /// The request waits this long before anything happens to it. Delays add up, and another fault may strike besides.
    Delay(Duration),
}

/// An answer that a fault gives.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, besides those that all answers of the registry carry.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Fault {
    /// The next request with this method and text in its path goes wrong, once.
    pub fn once(method: Method, path_contains: impl Into<String>, failure: Failure) -> Self {
        Self { method: Some(method), path_contains: path_contains.into(), after: 0, times: 1, failure }
    }
}

/// Which paths a fault waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Matching {
    Any,
    /// A text in path and query, in the encoding that the client used.
    Contains(String),
    /// A route as counts name it, with `{name}` and the like.
    Route(String),
}

/// A fault with all conditions that a script can set.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) method: Option<Method>,
    pub(crate) path: Matching,
    /// How many matching requests pass before.
    pub(crate) after: usize,
    /// Of the matching requests after these, only each so many-th, beginning with the first.
    pub(crate) every: usize,
    /// Of these, so many in a hundred, by lot.
    pub(crate) percent: u8,
    /// How many requests go wrong.
    pub(crate) times: usize,
    pub(crate) failure: Failure,
    passed: usize,
    lots: fastrand::Rng,
}

impl Armed {
    /// A fault that strikes the first matching request and drops it; `lot` decides how the lots fall, the same in each run.
    pub(crate) fn new(method: Option<Method>, path: Matching, lot: u64) -> Self {
        let lots = fastrand::Rng::with_seed(lot);
        Self { method, path, after: 0, every: 1, percent: 100, times: 1, failure: Failure::DropBeforeEffect, passed: 0, lots }
    }

    fn matches(&self, method: &Method, path: &str, route: &str) -> bool {
        let path_matches = match &self.path {
            Matching::Any => true,
            Matching::Contains(text) => path.contains(text),
            Matching::Route(pattern) => route == pattern,
        };
        self.method.as_ref().is_none_or(|wanted| wanted == method) && path_matches
    }

    /// Whether this matching request is one that goes wrong.
    fn is_due(&mut self) -> bool {
        if 0 < self.after {
            self.after -= 1;
            return false;
        }
        let is_turn = self.passed.is_multiple_of(self.every.max(1));
        self.passed += 1;
        is_turn && self.lots.u8(0..100) < self.percent
    }
}

impl From<Fault> for Armed {
    fn from(Fault { method, path_contains, after, times, failure }: Fault) -> Self {
        Self { after, times, failure, ..Self::new(method, Matching::Contains(path_contains), 0) }
    }
}

/// What happens to a request.
#[derive(Debug, Default)]
pub(crate) struct Strike {
    pub(crate) delay: Duration,
    pub(crate) failure: Option<Failure>,
}

/// What happens to this request, and one less of it to come. The fault that was injected first has precedence; a request that it lets pass
/// counts for the others too.
pub(crate) fn strike(faults: &mut Vec<Armed>, method: &Method, path: &str, route: &str) -> Strike {
    let mut strike = Strike::default();
    for fault in faults.iter_mut().filter(|fault| fault.matches(method, path, route)) {
        let is_delay = matches!(fault.failure, Failure::Delay(_));
        let is_taken = !is_delay && strike.failure.is_some();
        if !fault.is_due() || is_taken || fault.times == 0 {
            continue;
        }
        fault.times -= 1;
        if let Failure::Delay(time) = &fault.failure {
            strike.delay += *time;
        } else {
            strike.failure = Some(fault.failure.clone());
        }
    }
    faults.retain(|fault| 0 < fault.times);
    strike
}

/// Marks a response that must not be sent: the transport closes the connection, and an in-process client reports a broken one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped;

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(text: &str) -> Vec<Armed> {
        crate::emulator::script::read(text).unwrap()
    }

    fn strikes(faults: &mut Vec<Armed>, paths: &[&str]) -> String {
        paths.iter().map(|path| if strike(faults, &Method::GET, path, "").failure.is_some() { 'x' } else { '.' }).collect()
    }

    #[test]
    fn a_fault_waits_strikes_and_is_spent() {
        let fault = Fault { method: None, path_contains: "/a".to_owned(), after: 1, times: 2, failure: Failure::DropBeforeEffect };
        let mut faults = vec![fault.into()];
        assert_eq!(strikes(&mut faults, &["/a", "/b", "/a", "/a", "/a"]), "..xx.");
        assert!(faults.is_empty());
    }

    #[test]
    fn scripts_choose_their_requests() {
        for (text, expected) in [
            ("GET * close", "x......."),
            ("GET * nth 3 close", "..x....."),
            ("GET * after 2 times 3 close", "..xxx..."),
            ("GET * every 3 close", "x..x..x."),
            ("GET * after 1 every 3 times 2 close", ".x..x..."),
            ("GET * always close", "xxxxxxxx"),
            ("PUT * always close", "........"),
            ("GET /b always close", "........"),
        ] {
            assert_eq!(strikes(&mut armed(text), &["/a"; 8]), expected, "{text}");
        }
        let by_lot = strikes(&mut armed("GET * percent 30 close"), &["/a"; 1000]).matches('x').count();
        assert!((250..350).contains(&by_lot), "{by_lot}");
        let mut faults = armed("any * delay 1s\nGET * delay 2s\nGET * close");
        let struck = strike(&mut faults, &Method::GET, "/", "");
        assert_eq!((struck.delay.as_secs(), struck.failure.is_some()), (3, true), "delays add up, and another fault strikes besides");
    }
}
