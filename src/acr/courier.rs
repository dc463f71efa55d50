//! Carries one request to the registry and its answer back: concurrency, pauses, time limits, size limits and retries.
//! Knows nothing of tokens and of what answers mean.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::budget::{Budget, Queue};
use super::error::{Failure, Operation};
use super::limits::{ATTEMPT_MAX, ATTEMPTS_MAX, ATTEMPTS_UNANSWERED_MAX, ERROR_MAX_BYTES, IN_FLIGHT_MAX};
use super::retry::{RetryBudget, VerbClass, backoff, retry_after};
use super::statistics::{Counters, remaining_calls};
use super::transport::{Body, Delivery, Transport, TransportError, TransportErrorKind, Unread};
use crate::clock::Clock;

/// The way to one registry, shared by everything that asks it.
pub(super) struct Courier {
    transport: Arc<dyn Transport>,
    clock: Clock,
    in_flight: Semaphore,
    budget: RetryBudget,
    throttle: Budget,
    random: Mutex<fastrand::Rng>,
    pub(super) counters: Counters,
}

/// A request that can be sent again.
pub(super) struct Outgoing {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What is wanted of the body of a successful answer.
    pub(super) wanted: Wanted,
}

/// What is wanted of the body of a successful answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing: it is not read at all.
    Nothing,
    /// All of it, up to this many bytes.
    AtMost(usize),
    /// The caller reads it, piece by piece.
    Pieces,
}

/// An answer: read to its end, or to be read by the caller who wanted it in pieces.
pub(super) struct Incoming {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) pieces: Option<Body>,
}

/// How often a request was tried so far.
#[derive(Clone, Copy)]
struct Tries {
    attempt: u32,
    unanswered: u32,
}

/// How one attempt ended without a usable answer.
enum Broken {
    /// No answer, or only a part of it.
    Lost(TransportError),
    /// The answer is longer than it may be.
    TooLong,
    /// The answer's body is coded, which nobody asked for.
    Coded(String),
}

/// What to do after an attempt.
enum Next {
    Done(Result<Incoming, Failure>),
    /// Try again after this time, or give up with this failure.
    Again {
        pause: Option<std::time::Duration>,
        sleep: std::time::Duration,
        or: Failure,
    },
}

impl Courier {
    pub(super) fn new(transport: Arc<dyn Transport>, clock: Clock, jitter_seed: u64, throttle: Budget) -> Self {
        Self {
            transport,
            clock,
            in_flight: Semaphore::new(IN_FLIGHT_MAX),
            budget: RetryBudget::new(),
            throttle,
            random: Mutex::new(fastrand::Rng::with_seed(jitter_seed)),
            counters: Counters::default(),
        }
    }

    /// Sends until there is an answer that repeating would not improve, or until the bounds say stop.
    ///
    /// A change of the registry is repeated only when it was certainly not carried out.
    pub(super) async fn send(&self, queue: &Queue, outgoing: &Outgoing) -> Result<Incoming, Failure> {
        let class = VerbClass::of(outgoing.operation);
        let mut tries = Tries { attempt: 1, unanswered: 0 };
        loop {
            self.throttle.wait(queue, class, self.random()).await;
            let result = self.attempt(outgoing).await;
            tries.unanswered += u32::from(matches!(result, Err(Broken::Lost(_))));
            match self.judge(outgoing.operation, tries, result) {
                Next::Done(result) => {
                    if result.is_ok() {
                        self.budget.refill();
                    }
                    return result;
                }
                Next::Again { pause, sleep, or } => {
                    if let Some(pause) = pause {
                        let (operation, seconds) = (outgoing.operation.as_str(), pause.as_secs());
                        tracing::info!(host = host(&outgoing.uri), operation, seconds, "the registry asks to wait");
                        self.throttle.refused(class, pause);
                    }
                    if ATTEMPTS_MAX <= tries.attempt || !self.budget.take() {
                        return Err(or);
                    }
                    tracing::debug!(host = host(&outgoing.uri), operation = outgoing.operation.as_str(), cause = %or, "trying again");
                    tokio::time::sleep(sleep).await;
                }
            }
            self.counters.count_retry();
            tries.attempt += 1;
        }
    }

    /// One attempt, from waiting for a free place to the last byte of the answer.
    async fn attempt(&self, outgoing: &Outgoing) -> Result<Incoming, Broken> {
        // The semaphore is never closed, so that this cannot fail; going on without a place would only be less polite.
        let place = self.in_flight.acquire().await.ok();
        let began = Instant::now();
        let mut request = http::Request::new(outgoing.body.clone());
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = outgoing.uri.clone();
        *request.headers_mut() = outgoing.headers.clone();
        // No coding but the plain one: a small body must not become a large one here.
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let exchange = self.exchange(outgoing, request);
        let result = match tokio::time::timeout(ATTEMPT_MAX, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Broken::Lost(TransportError {
                kind: TransportErrorKind::TimedOut,
                delivery: Delivery::Unknown,
                sentence: format!("{} did not answer within {} s", host(&outgoing.uri), ATTEMPT_MAX.as_secs()),
            })),
        };
        drop(place);
        self.counters.time(outgoing.operation, began.elapsed());
        if result.is_err() {
            self.counters.count(outgoing.operation, None);
        }
        result
    }

    async fn exchange(&self, outgoing: &Outgoing, request: http::Request<Bytes>) -> Result<Incoming, Broken> {
        let (head, body) = self.transport.send(request).await.map_err(Broken::Lost)?.into_parts();
        let mut pieces = None;
        let body = if head.status.is_success() && outgoing.wanted != Wanted::Nothing {
            if let Some(coding) = coding(&head.headers) {
                return Err(Broken::Coded(coding));
            }
            match outgoing.wanted {
                Wanted::Nothing => Bytes::new(),
                Wanted::AtMost(max_bytes) => body.read(max_bytes).await.map_err(|unread| match unread {
                    Unread::TooLong => Broken::TooLong,
                    Unread::Failed(error) => Broken::Lost(TransportError { delivery: Delivery::Unknown, ..error }),
                })?,
                Wanted::Pieces => {
                    pieces = Some(body);
                    Bytes::new()
                }
            }
        } else if head.status.is_success() {
            Bytes::new()
        } else {
            // The status says enough where the envelope cannot be read.
            body.read(ERROR_MAX_BYTES).await.unwrap_or_default()
        };
        self.counters.count(outgoing.operation, Some(head.status.as_u16()));
        self.counters.note(outgoing.operation, &head.headers, self.clock.now());
        if let Some(left) = remaining_calls(&head.headers) {
            self.throttle.told(VerbClass::of(outgoing.operation), left);
        }
        Ok(Incoming { status: head.status, headers: head.headers, body, pieces })
    }

    /// Decides what an attempt's end means.
    ///
    /// 1. 429, and 503 that says when to come back, were refused before anything was done: all of the class wait.
    /// 2. Other passing trouble of a server (408, 5xx) is repeated for reads; a change may have been carried out.
    /// 3. A request that was never sent is repeated; one whose answer was lost only if it changes nothing.
    /// 4. Anything else is an answer.
    fn judge(&self, operation: Operation, Tries { attempt, unanswered }: Tries, result: Result<Incoming, Broken>) -> Next {
        let sleep = backoff(attempt, self.random());
        let again = |or| Next::Again { pause: None, sleep, or };
        let incoming = match result {
            Ok(incoming) => incoming,
            Err(Broken::Lost(error)) if error.kind == TransportErrorKind::Untrusted => return Next::Done(Err(error.into())),
            Err(Broken::Lost(error)) => {
                return match error.delivery {
                    Delivery::Unknown if operation.changes_the_registry() => {
                        Next::Done(Err(Failure::OutcomeUnknown { said: error.sentence }))
                    }
                    Delivery::Unknown | Delivery::NotSent if ATTEMPTS_UNANSWERED_MAX <= unanswered => Next::Done(Err(error.into())),
                    Delivery::Unknown | Delivery::NotSent => again(error.into()),
                };
            }
            Err(Broken::TooLong) => {
                return Next::Done(Err(unreadable(operation, "the body is longer than any such answer may be".to_owned())));
            }
            Err(Broken::Coded(coding)) => {
                let said = format!("the body is coded as {coding}, though none but the plain one was asked for");
                return Next::Done(Err(unreadable(operation, said)));
            }
        };
        let asked = retry_after(&incoming.headers, self.clock.now());
        match incoming.status {
            StatusCode::TOO_MANY_REQUESTS => Next::Again {
                pause: Some(asked.unwrap_or_else(|| backoff(attempt + 1, self.random().mul_add(0.5, 0.5)))),
                sleep: std::time::Duration::ZERO,
                or: Failure::Throttled { attempts: attempt },
            },
            StatusCode::SERVICE_UNAVAILABLE if asked.is_some() => Next::Again {
                pause: asked,
                sleep: std::time::Duration::ZERO,
                or: Failure::Unreachable { said: format!("the registry is unavailable (503, tried {attempt} times)") },
            },
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                let said = format!("the registry answered {status} (tried {attempt} times)");
                if operation.changes_the_registry() {
                    return Next::Done(Err(Failure::OutcomeUnknown { said }));
                }
                again(Failure::Unreachable { said })
            }
            _ => Next::Done(Ok(incoming)),
        }
    }

    /// A number from 0 to 1 out of the seeded sequence.
    fn random(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}

/// The coding of a body that is not the plain one: a small body could become a large one, so that none is undone here.
fn coding(headers: &HeaderMap) -> Option<String> {
    let coding = headers.get(header::CONTENT_ENCODING)?;
    let coding = coding.to_str().map_or_else(|_| "something unreadable".to_owned(), super::error::printable);
    (!coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).then_some(coding)
}

/// An answer came that cannot be read: a change has been carried out, or not.
fn unreadable(operation: Operation, said: String) -> Failure {
    if operation.changes_the_registry() { Failure::OutcomeUnknown { said } } else { Failure::Protocol { said } }
}

fn host(uri: &Uri) -> &str {
    uri.authority().map_or("the registry", http::uri::Authority::as_str)
}
