//! Faults on order: which requests go wrong, how often, and in which way. What the fault does to a connection is carried out by the transport.

use ::http::{HeaderMap, Method, StatusCode};

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
    /// The true answer, cut off after this many bytes of its body.
    Truncate(usize),
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

    fn matches(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method) && path.contains(&self.path_contains)
    }
}

/// The failure of a request, and one less of it to come. The fault that was injected first has precedence; a request that it lets pass
/// counts for the others too.
pub(crate) fn strike(faults: &mut Vec<Fault>, method: &Method, path: &str) -> Option<Failure> {
    let mut failure = None;
    for fault in faults.iter_mut().filter(|fault| fault.matches(method, path)) {
        if 0 < fault.after {
            fault.after -= 1;
        } else if failure.is_none() && 0 < fault.times {
            fault.times -= 1;
            failure = Some(fault.failure.clone());
        }
    }
    faults.retain(|fault| 0 < fault.times);
    failure
}

/// Marks a response that must not be sent: the transport closes the connection, and an in-process client reports a broken one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_strikes_and_is_spent() {
        let mut faults =
            vec![Fault { method: None, path_contains: "/a".to_owned(), after: 1, times: 2, failure: Failure::DropBeforeEffect }];
        let mut strikes = |path| strike(&mut faults, &Method::GET, path).is_some();
        assert_eq!(["/a", "/b", "/a", "/a", "/a"].map(&mut strikes), [false, false, true, true, false]);
        assert!(faults.is_empty());
    }
}
