//! Connections: accepted up to a bound, with a time-out for their heads, closed gracefully. Knows
//! nothing of routes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service as _;

use super::stream::{Stream, WRITE_TIMEOUT};
use crate::metrics::{Counted, Metrics};
use crate::routes::REQUEST_TIMEOUT;

/// Longest time for a request's head, an idle connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request head, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most header fields.
const HEADERS_MAX: usize = 64;
/// Longest wait for accepted requests after the stop: the longest of them, and a little for its
/// answer to leave.
pub const DRAIN_TIMEOUT: Duration = REQUEST_TIMEOUT.saturating_add(Duration::from_secs(2));
/// Pause after a failed accept, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest time to tell a connection that there is no room.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The whole answer to a connection over the bound.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
content-length: 0\r\nconnection: close\r\n\r\n";

/// The other end of the connection.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves until `stop` is true, then answers what was accepted, at most `DRAIN_TIMEOUT` long.
/// Returns whether everything was answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) -> bool {
    let room = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&room).try_acquire_owned() {
            Ok(place) => {
                let router = router.clone();
                let metrics = Arc::clone(&metrics);
                tokio::spawn(connection(stream, peer, router, place, metrics, graceful.watcher()));
            }
            Err(_) => {
                metrics.shed("connection");
                tokio::spawn(refuse(stream));
            }
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_ok();
    // A head that never came to its end is no request that was accepted.
    drained || metrics.requests_in_work.get() == 0
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    place: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
    watcher: Watcher,
) {
    // Verdicts are small and awaited: never hold one back to fill a packet.
    let _ = stream.set_nodelay(true);
    let _open = Counted::new(&metrics.connections);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|e| match e {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Stream::new(stream, place, WRITE_TIMEOUT)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn refuse(mut stream: TcpStream) {
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, stream.write_all(REFUSAL)).await;
}
