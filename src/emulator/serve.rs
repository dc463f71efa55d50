//! The emulator on a socket: connections, a limit on slow headers, shutdown. Knows nothing of registries.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{Request, Response};
use axum::Router;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::future::BoxFuture;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::faults::Dropped;
use super::http::{Local, OverTls};
use super::{Emulator, Tls};

/// How long a client may take for the headers of a request, and for a TLS handshake.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How many clients may look at the registry from behind at once.
const ADMIN_CONNECTIONS_MAX: usize = 16;
/// How long requests may still take after the shutdown; longer than any answer takes, shorter than a terminal's patience.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// The pause after a connection could not be accepted, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Emulator {
    /// Serves HTTP on `listener` until `shutdown` is ready, then lets requests in flight finish for a moment.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        accept(self.router(), listener, None, self.options().connections_max, shutdown).await;
    }

    /// Serves [`Emulator::replica_router`] over HTTP, or HTTPS with `tls`, otherwise as [`Emulator::serve`].
    pub async fn serve_replica(self, listener: TcpListener, tls: Option<Tls>, shutdown: impl Future<Output = ()>) {
        accept(self.replica_router(), listener, tls, self.options().connections_max, shutdown).await;
    }

    /// Serves HTTPS, otherwise as [`Emulator::serve`].
    pub async fn serve_tls(self, listener: TcpListener, tls: &Tls, shutdown: impl Future<Output = ()>) {
        accept(self.router(), listener, Some(tls.clone()), self.options().connections_max, shutdown).await;
    }
}

/// Serves the admin endpoint over plain HTTP, otherwise as [`Emulator::serve`].
pub async fn serve_admin(router: Router, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    accept(router, listener, None, ADMIN_CONNECTIONS_MAX, shutdown).await;
}

async fn accept(router: Router, listener: TcpListener, tls: Option<Tls>, connections_max: usize, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    let (closing, aborting) = (CancellationToken::new(), CancellationToken::new());
    let mut shutdown = pin!(shutdown);
    loop {
        // A place first, then a connection: those beyond the limit wait in the system's queue.
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) } => accepted,
        };
        let (place, Ok((stream, _))) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let served = connection(stream, tls.clone(), router.clone(), closing.clone());
        let aborting = aborting.clone();
        connections.spawn(async move {
            let _ = aborting.run_until_cancelled(served).await;
            drop(place);
        });
    }
    drop(listener);
    closing.cancel();
    connections.close();
    if tokio::time::timeout(SHUTDOWN_GRACE, connections.wait()).await.is_err() {
        aborting.cancel();
        connections.wait().await;
    }
}

async fn connection(stream: TcpStream, tls: Option<Tls>, router: Router, closing: CancellationToken) {
    // Without it a small answer may wait for the client's acknowledgement; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok();
    match tls {
        None => exchange(stream, Registry { router, over_tls: false, local }, closing).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEADER_READ_TIMEOUT, tls.acceptor().accept(stream)).await {
                exchange(stream, Registry { router, over_tls: true, local }, closing).await;
            }
        }
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, registry: Registry, closing: CancellationToken) {
    // Without the restriction the connection would first wait, for ever, for the bytes that tell the versions of HTTP apart.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(registry)));
    // A connection that breaks is the client's affair, or an injected fault's.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The router as a connection sees it: a dropped response becomes an error, on which the server closes the connection.
#[derive(Clone)]
struct Registry {
    router: Router,
    over_tls: bool,
    local: Option<SocketAddr>,
}

impl<B> Service<Request<B>> for Registry
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.over_tls {
            request.extensions_mut().insert(OverTls);
        }
        if let Some(local) = self.local {
            request.extensions_mut().insert(Local(local));
        }
        let response = self.router.call(request);
        Box::pin(async move {
            let Ok(response) = response.await;
            match response.extensions().get::<Dropped>() {
                None => Ok(response),
                Some(Dropped) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "dropped by an injected fault")),
            }
        })
    }
}
