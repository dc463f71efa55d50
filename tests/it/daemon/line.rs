//! A network that a test takes down, slows to nothing, and brings back.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Method;
use retaind::acr::{Body, Delivery, Transport, TransportError, TransportErrorKind};
use retaind::emulator::Emulator;

use crate::support::InProcess;

/// The state of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Up,
    /// Nobody answers, ever.
    Hangs,
    /// Nobody listens.
    Down,
}

/// A line to a registry.
pub(super) struct Cable {
    inner: InProcess,
    line: Mutex<Line>,
    /// From so many deletions on the line hangs.
    hangs_after_deletes: Mutex<Option<usize>>,
}

impl Cable {
    pub(super) fn new(emulator: &Emulator) -> Arc<Self> {
        let (line, hangs_after_deletes) = (Mutex::new(Line::Up), Mutex::new(None));
        Arc::new(Self { inner: InProcess::new(emulator.clone()), line, hangs_after_deletes })
    }

    pub(super) fn set(&self, line: Line) {
        *self.line.lock().expect("nobody panicked") = line;
    }

    pub(super) fn is(&self, line: Line) -> bool {
        *self.line.lock().expect("nobody panicked") == line
    }

    /// Lets so many deletions through, with their answers; nothing after them.
    pub(super) fn hang_after_deletes(&self, deletes: usize) {
        *self.hangs_after_deletes.lock().expect("nobody panicked") = Some(deletes);
    }

    fn count(&self, method: &Method) {
        let mut hangs_after = self.hangs_after_deletes.lock().expect("nobody panicked");
        if let Some(left) = hangs_after.as_mut().filter(|_| *method == Method::DELETE) {
            *left -= 1;
            if *left == 0 {
                *hangs_after = None;
                self.set(Line::Hangs);
            }
        }
    }
}

#[async_trait::async_trait]
impl Transport for Cable {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError> {
        let line = *self.line.lock().expect("nobody panicked");
        match line {
            Line::Up => {
                self.count(request.method());
                self.inner.send(request).await
            }
            Line::Hangs => std::future::pending().await,
            Line::Down => Err(TransportError {
                kind: TransportErrorKind::Other,
                delivery: Delivery::NotSent,
                sentence: "nobody listens there".to_owned(),
            }),
        }
    }
}
