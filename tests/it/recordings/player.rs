//! A network that plays recorded answers, whatever it is asked, and writes down what that was.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use retaind::acr::{Body, Delivery, Transport, TransportError, TransportErrorKind};
use serde_json::Value;

use super::flow::Exchange;

/// Plays recorded answers and writes down what was asked.
pub(crate) struct Player {
    pub(crate) answers: Mutex<VecDeque<Played>>,
    /// What is answered when the script is at its end.
    pub(crate) otherwise: Played,
    pub(crate) exchange: Played,
    pub(crate) token: Played,
    pub(crate) asked: Mutex<Vec<Asked>>,
}

#[derive(Clone)]
pub(crate) struct Played {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) with_token: bool,
}

impl From<&Exchange> for Played {
    fn from(exchange: &Exchange) -> Self {
        let Exchange { status, headers, body, .. } = exchange;
        Self { status: *status, headers: headers.clone(), body: Bytes::copy_from_slice(body) }
    }
}

impl Played {
    pub(crate) fn json(body: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Bytes::from(body.to_string()) }
    }

    fn response(&self) -> http::Response<Body> {
        let mut response = http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            // The length and the framing are those of the bytes before scrubbing.
            if !["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
                response = response.header(name, value);
            }
        }
        response.body(Body::from_bytes(self.body.clone())).expect("a recorded answer")
    }
}

#[async_trait::async_trait]
impl Transport for Player {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
        let uri = request.uri();
        match uri.path() {
            "/oauth2/exchange" => return Ok(self.exchange.response()),
            "/oauth2/token" => return Ok(self.token.response()),
            _ => {}
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(Asked {
            method: request.method().to_string(),
            host: uri.host().unwrap_or_default().to_owned(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            with_token: request.headers().contains_key("authorization"),
        });
        let next = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let played = next.as_ref().unwrap_or(&self.otherwise);
        if played.status == 0 {
            let sentence = "the recording ends here".to_owned();
            return Err(TransportError { kind: TransportErrorKind::Other, delivery: Delivery::Unknown, sentence });
        }
        Ok(played.response())
    }
}
