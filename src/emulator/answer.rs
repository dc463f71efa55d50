//! Answers before they are HTTP: status, headers, body, in the shapes that were recorded. Knows no world and no rights.

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use ::http::{Method, StatusCode};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use serde_json::json;

use super::digest::Digest;
use super::throttle::REMAINING_CALLS;
use super::world::Refusal;

/// Bodies beyond this are sent without a length: the server's buffer is that long.
const CHUNKED_FROM_BYTES: usize = 2048;

/// The calls a second that the token service has left where nobody counts: what most recordings show.
const UNCOUNTED: &str = "166.65";

const JSON: &str = "application/json; charset=utf-8";

/// An answer to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// Sent with its length, whatever that is.
    pub(crate) sized: bool,
    pub(crate) origin: Origin,
}

/// Which part of the registry answers: they stamp their answers differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Registry,
    /// The registry before any operation, on paths that it does not know.
    Router,
    TokenService,
    /// The storage behind the registry.
    Storage,
    /// The emulator itself, on paths that no registry has.
    Emulator,
}

impl Answer {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), sized: true, origin: Origin::Registry }
    }

    /// A JSON body with the newline that Go's encoder writes.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let mut bytes = serde_json::to_vec(body).unwrap_or_default();
        bytes.push(b'\n');
        let answer = Self { body: bytes.into(), sized: false, ..Self::empty(status) };
        answer.with(CONTENT_TYPE, JSON)
    }

    pub(crate) fn bytes(content_type: &str, body: Bytes) -> Self {
        Self { body, ..Self::empty(StatusCode::OK) }.with(CONTENT_TYPE, content_type)
    }

    /// Go's answer to a path that it does not know.
    pub(crate) fn page_not_found() -> Self {
        let body = Bytes::from_static(b"404 page not found\n");
        Self { body, origin: Origin::Router, ..Self::empty(StatusCode::NOT_FOUND) }.with(CONTENT_TYPE, "text/plain; charset=utf-8")
    }

    pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::json(status, &Errors { errors: [Error { code, message, detail: None::<()> }] })
    }

    pub(crate) fn error_with(status: StatusCode, code: &str, message: &str, detail: impl Serialize) -> Self {
        Self::json(status, &Errors { errors: [Error { code, message, detail: Some(detail) }] })
    }

    /// The answer to what the world refused, in the words of the operations under `/acr/v1`.
    pub(crate) fn refused(refusal: &Refusal, repository: &str) -> Self {
        match refusal {
            Refusal::RepositoryUnknown => {
                Self::error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", &format!("repository \"{repository}\" is not found"))
            }
            Refusal::TagUnknown => Self::error(StatusCode::NOT_FOUND, "TAG_UNKNOWN", "the specified tag does not exist"),
            Refusal::ManifestUnknown => Self::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
            Refusal::BlobUnknown => Self::error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"),
            Refusal::Locked => Self::error_with(
                StatusCode::METHOD_NOT_ALLOWED,
                "REGISTRY_DISALLOWED_OPERATION",
                "The operation is disallowed on this registry, repository or image. View troubleshooting steps at \
                 https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation",
                json!({}),
            ),
            Refusal::TagExists => Self::error(StatusCode::CONFLICT, "CONFLICT", "the tag names another manifest, force is needed"),
            Refusal::ManifestInvalid => {
                Self::error_with(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "manifest invalid", json!({"Reason": {}}))
            }
            Refusal::ManifestBlobUnknown(digest) => {
                let detail = json!({"digest": digest});
                Self::error_with(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", detail)
            }
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        // What a client sent and comes back here was a header or a path, so it has no line breaks; anything else would be a bug, not an attack.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn with_digest(self, digest: Digest) -> Self {
        self.with(HeaderName::from_static("docker-content-digest"), &digest.to_string())
    }

    pub(crate) fn by_token_service(self) -> Self {
        Self { origin: Origin::TokenService, ..self }
    }

    /// Makes it HTTP. `date` is the registry's clock, `correlation` the id under which the registry would have logged the request.
    pub(crate) fn into_response(self, method: &Method, date: &str, correlation: &str) -> Response {
        let Self { status, headers, body, sized, origin } = self;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let is_counted = headers.iter().any(|(name, _)| *name == REMAINING_CALLS);
        let map = response.headers_mut();
        map.extend(headers.into_iter().map(|(name, value)| (Some(name), value)));
        let mut stamp = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                map.append(HeaderName::from_static(name), value);
            }
        };
        stamp("date", date);
        stamp("server", if origin == Origin::Storage { "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0" } else { "AzureContainerRegistry" });
        let transport_security = "max-age=31536000; includeSubDomains";
        match origin {
            Origin::Registry | Origin::Router => {
                if origin == Origin::Registry {
                    for exposed in ["Docker-Content-Digest", "WWW-Authenticate", "Link", "X-Ms-Correlation-Request-Id"] {
                        stamp("access-control-expose-headers", exposed);
                    }
                }
                stamp("docker-distribution-api-version", "registry/2.0");
                stamp("strict-transport-security", transport_security);
                stamp("strict-transport-security", transport_security);
                stamp("x-content-type-options", "nosniff");
                stamp("x-ms-correlation-request-id", correlation);
            }
            Origin::TokenService => {
                stamp("strict-transport-security", transport_security);
                stamp("x-ms-correlation-request-id", correlation);
                if !is_counted && status != StatusCode::TOO_MANY_REQUESTS {
                    stamp("x-ms-ratelimit-remaining-calls-per-second", UNCOUNTED);
                }
            }
            Origin::Storage => stamp("x-ms-version", "2016-05-31"),
            Origin::Emulator => {}
        }
        let chunked = !sized && (CHUNKED_FROM_BYTES < body.len() || origin == Origin::TokenService);
        if !chunked {
            map.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        if *method != Method::HEAD {
            *response.body_mut() =
                if chunked { Body::from_stream(stream::iter([Ok::<_, std::io::Error>(body)])) } else { Body::from(body) };
        }
        response
    }
}

#[derive(Serialize)]
struct Errors<T> {
    errors: [T; 1],
}

#[derive(Serialize)]
struct Error<'a, D> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<D>,
}
