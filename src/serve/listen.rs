//! The socket: connections and their bounds, so that whoever can reach the port can neither hold nor exhaust it. Knows no path.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::{ServerState, router};

/// Open connections. A Prometheus pair, the kubelet and a handful of people need ten; each costs some 20 kB.
pub const CONNECTIONS_MAX: usize = 200;
/// Until the headers of a request, the first or the next, are complete. A scraper that comes every 15 s connects anew, which costs it
/// nothing.
pub const HEADER_READ_MAX: Duration = Duration::from_secs(10);
/// The life of a connection, whatever happens on it: whoever reads an answer byte by byte ends here.
pub const CONNECTION_MAX: Duration = Duration::from_secs(300);
/// A request line and its headers; a scraper with a token sends 2 kB.
const HEADERS_MAX_BYTES: usize = 16 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// How long requests may still take after the shutdown; every answer takes milliseconds.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// The pause after a connection could not be accepted, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves on `listener` until `shutdown` is ready, then lets requests in flight finish for a moment.
pub async fn serve(listener: TcpListener, state: Arc<ServerState>, shutdown: impl Future<Output = ()>) {
    let router = router(state);
    let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
    let mut connections = Connections::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = connections.open();
        let exchange = exchange(stream, Counted { router: router.clone(), connection: connection.clone() }, closing.clone());
        tasks.spawn(async move {
            let _ = connection.ending.run_until_cancelled(exchange).await;
            connection.ending.cancel();
        });
    }
    drop(listener);
    closing.cancel();
    tasks.close();
    if tokio::time::timeout(SHUTDOWN_GRACE, tasks.wait()).await.is_err() {
        connections.end_all();
        tasks.wait().await;
    }
}

/// The open connections. When there are as many as there may be, a new one takes the place of the one that has been silent longest:
/// refusing the new one would let idle connections keep the kubelet out.
#[derive(Default)]
struct Connections {
    open: Vec<Arc<Connection>>,
    clock: Arc<AtomicU64>,
}

struct Connection {
    /// The turn of its latest request, or of its opening.
    active: AtomicU64,
    /// Counts turns for all connections.
    clock: Arc<AtomicU64>,
    /// Cancelled: it is over, or is to be.
    ending: CancellationToken,
}

impl Connections {
    fn open(&mut self) -> Arc<Connection> {
        self.open.retain(|connection| !connection.ending.is_cancelled());
        if CONNECTIONS_MAX <= self.open.len() {
            let silent = self.open.iter().enumerate().min_by_key(|(_, connection)| connection.active.load(Ordering::Relaxed));
            if let Some((place, _)) = silent {
                self.open.swap_remove(place).ending.cancel();
            }
        }
        let connection = Arc::new(Connection { active: AtomicU64::new(0), clock: self.clock.clone(), ending: CancellationToken::new() });
        connection.touch();
        self.open.push(connection.clone());
        connection
    }

    fn end_all(&self) {
        self.open.iter().for_each(|connection| connection.ending.cancel());
    }
}

impl Connection {
    fn touch(&self) {
        self.active.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

async fn exchange(stream: TcpStream, service: Counted, closing: CancellationToken) {
    // Without it a small answer may wait for the client's acknowledgement; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    // One version only: to tell two apart the library would wait for a first byte, and for that it keeps no time.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_MAX).max_buf_size(HEADERS_MAX_BYTES).max_headers(HEADERS_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    // A connection that breaks is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing.cancelled() => {}
        () = tokio::time::sleep(CONNECTION_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, connection).await;
}

/// The router as a connection sees it.
#[derive(Clone)]
struct Counted {
    router: Router,
    connection: Arc<Connection>,
}

impl<B> Service<Request<B>> for Counted
where
    Router: Service<Request<B>>,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.router.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.connection.touch();
        self.router.call(request)
    }
}
