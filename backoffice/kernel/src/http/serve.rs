//! Listeners and connections: bounded, timed, ended gracefully.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::Service as _;

use super::callers::Callers;
use crate::error::{Error, Result};
use crate::service::{Service, Shutdown};

/// Connections of one listener; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 1_024;
/// A connection that sends no complete header in this time is closed.
const HEADER_WAIT: Duration = Duration::from_secs(10);
/// Header lines that are parsed at all; more are refused without a body. The bound that is told in
/// words is lower.
const PARSED_HEADERS_MAX: usize = 256;
/// Bytes of a connection's read buffer, so of a request's head; more are refused without a body.
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// What was accepted is answered within this time after the signal.
const END_WAIT: Duration = Duration::from_secs(10);
/// Pause after a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Both listeners, bound; the addresses are known before anything is served.
pub struct Listeners {
    public: TcpListener,
    internal: TcpListener,
}

impl Listeners {
    pub async fn bind(service: &Service) -> Result<Self> {
        let listen = &service.settings().listen;
        let public = SocketAddr::new(listen.bind, listen.port);
        let internal = SocketAddr::new(listen.internal_bind, listen.internal_port);
        Ok(Self { public: bind(public).await?, internal: bind(internal).await? })
    }

    /// Address of the public listener.
    pub fn public(&self) -> Result<SocketAddr> {
        address(&self.public)
    }

    pub fn internal(&self) -> Result<SocketAddr> {
        address(&self.internal)
    }

    /// Serves both until shutdown, then answers what was accepted.
    pub async fn serve(self, service: &Service, shutdown: Shutdown) -> Result<()> {
        tokio::join!(
            accept(self.public, super::router(service), connections(service), shutdown.clone()),
            accept(
                self.internal,
                super::internal_router(service, shutdown.clone()),
                Callers::new(usize::MAX, Vec::new()),
                shutdown
            ),
        );
        Ok(())
    }
}

/// The listener of a process that only works, for operators.
pub struct WorkListener(TcpListener);

impl WorkListener {
    pub async fn bind(service: &Service) -> Result<Self> {
        let listen = &service.settings().listen;
        bind(SocketAddr::new(listen.internal_bind, listen.work_port)).await.map(Self)
    }

    pub fn address(&self) -> Result<SocketAddr> {
        address(&self.0)
    }

    /// Serves until shutdown.
    pub async fn serve(self, service: &Service, shutdown: Shutdown) {
        accept(self.0, super::work_router(service), Callers::new(usize::MAX, Vec::new()), shutdown)
            .await;
    }
}

/// Connections are counted, but for those of proxies, whose address many callers share.
fn connections(service: &Service) -> Arc<Callers> {
    let http = &service.settings().http;
    Callers::new(http.connections_per_address_max, http.proxies.clone())
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| Error::internal(format!("cannot listen at {address}: {cause}")))
}

fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|cause| Error::internal(cause.to_string()))
}

async fn accept(
    listener: TcpListener,
    router: Router,
    callers: Arc<Callers>,
    mut shutdown: Shutdown,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(counted) = callers.enter(peer.ip()) else {
                    tracing::debug!("an address has too many connections; one is closed");
                    continue;
                };
                let connection = connection(stream, peer, router.clone());
                let watched = graceful.watch(connection);
                tokio::spawn(async move {
                    if let Err(cause) = watched.await {
                        tracing::debug!(%cause, "a connection ended early");
                    }
                    drop((place, counted));
                });
            }
            Err(cause) => {
                tracing::warn!(%cause, "accepting failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(END_WAIT, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections did not end in time and are dropped");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WAIT)
        .max_headers(PARSED_HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
}
