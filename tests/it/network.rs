//! A network in the same process: the emulator at `contoso.azurecr.io`, other hosts as a test wants them, and a record of what each
//! was sent. A host that nobody made answers like a host that does not exist.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use retaind::acr::{Body, Delivery, Transport, TransportError, TransportErrorKind};
use retaind::emulator::Emulator;

use crate::support::InProcess;

/// How a host answers. None: the connection breaks.
pub(crate) type Host = Box<dyn Fn(&Request<Bytes>) -> Option<Response<Body>> + Send + Sync>;

pub(crate) const REGISTRY: &str = "contoso.azurecr.io";

pub(crate) struct Network {
    registry: InProcess,
    hosts: BTreeMap<&'static str, Host>,
    /// Asked before the registry itself.
    before: Mutex<Option<Host>>,
    sent: Mutex<Vec<Sent>>,
}

/// A request as it left.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) host: String,
    pub(crate) line: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Network {
    pub(crate) fn new(emulator: Emulator) -> Self {
        Self { registry: InProcess::new(emulator), hosts: BTreeMap::new(), before: Mutex::default(), sent: Mutex::default() }
    }

    pub(crate) fn host(mut self, name: &'static str, host: Host) -> Self {
        self.hosts.insert(name, host);
        self
    }

    /// Lets `before` answer some of the registry's requests: those for which it gives an answer.
    pub(crate) fn before(self, before: Host) -> Self {
        *self.before.lock().expect("no panic while it was held") = Some(before);
        self
    }

    /// What was sent to a host.
    pub(crate) fn sent_to(&self, host: &str) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.host == host).collect()
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no panic while it was held").clone()
    }
}

#[async_trait::async_trait]
impl Transport for Network {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let line = format!("{} {}", request.method(), request.uri().path_and_query().map_or("", |path| path.as_str()));
        let (headers, body) = (request.headers().clone(), request.body().clone());
        self.sent.lock().expect("no panic while it was held").push(Sent { host: host.clone(), line, headers, body });
        if host == REGISTRY {
            let answer = self.before.lock().expect("no panic while it was held").as_ref().and_then(|before| before(&request));
            return match answer {
                Some(answer) => Ok(answer),
                None => self.registry.send(request).await,
            };
        }
        let lost = |kind, delivery, sentence: String| TransportError { kind, delivery, sentence };
        let Some(host_of) = self.hosts.get(host.as_str()) else {
            return Err(lost(TransportErrorKind::UnknownHost, Delivery::NotSent, format!("the host {host} is not known")));
        };
        host_of(&request).ok_or_else(|| lost(TransportErrorKind::Other, Delivery::Unknown, "the connection was closed".to_owned()))
    }
}

/// An answer.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from_bytes(body)).expect("an answer")
}

/// An error as a transport reports a connection that breaks in the middle of a body.
pub(crate) fn broken() -> TransportError {
    TransportError { kind: TransportErrorKind::Other, delivery: Delivery::Unknown, sentence: "the connection was closed".to_owned() }
}
