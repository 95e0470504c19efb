//! A connection's socket as the server uses it. A peer that takes nothing for too long loses the
//! connection, so that readers who do not read cannot keep all of them; and a peer that is still
//! sending when it was answered gets to read the answer, because closing on unread input resets
//! the connection and takes the answer back (RFC 9112, 9.6). Knows nothing of HTTP.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

/// Longest time in which a peer takes nothing of what is sent.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that an answered peer may go on sending.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Most bytes that are thrown away for it.
const LINGER_BYTES_MAX: usize = 64 << 20;
/// Bytes thrown away at a time.
const LINGER_CHUNK_BYTES: usize = 16 * 1024;

pub(super) struct Stream {
    /// Gone only in `drop`.
    tcp: Option<TcpStream>,
    /// The place among the open connections, kept until the socket is closed.
    place: Option<OwnedSemaphorePermit>,
    write_timeout: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(super) fn new(
        tcp: TcpStream,
        place: OwnedSemaphorePermit,
        write_timeout: Duration,
    ) -> Self {
        Self { tcp: Some(tcp), place: Some(place), write_timeout, stalled: None }
    }

    fn tcp(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.tcp.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// What became of a write, or the end of the patience with it.
    fn patiently<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.tcp()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.tcp()?.poll_write(context, bytes);
        self.patiently(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.tcp()?.poll_write_vectored(context, slices);
        self.patiently(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_shutdown(context)
    }
}

impl Drop for Stream {
    /// Where the peer has not closed, what it still sends is read and thrown away for a while.
    fn drop(&mut self) {
        let (Some(tcp), place) = (self.tcp.take(), self.place.take()) else { return };
        let mut byte = [0; 1];
        let open = match tcp.try_read(&mut byte) {
            Ok(read) => read != 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if let (true, Ok(runtime)) = (open, Handle::try_current()) {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(LINGER_TIMEOUT, linger(tcp)).await;
                drop(place);
            });
        }
    }
}

async fn linger(mut tcp: TcpStream) -> io::Result<()> {
    tcp.shutdown().await?;
    let mut chunk = vec![0; LINGER_CHUNK_BYTES];
    let mut left = LINGER_BYTES_MAX;
    loop {
        let read = tcp.read(&mut chunk).await?;
        left = left.saturating_sub(read);
        if read == 0 || left == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
