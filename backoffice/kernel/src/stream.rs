//! Bodies that are never held whole: an upload read piece by piece, a download made piece by piece.
//! Bounded both ways; knows no HTTP framework and no format.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::error::{Code, Error, Result};

/// Pieces of a download that wait for the caller to read them.
const PIECES_MAX: usize = 2;
/// A caller that reads nothing for this long has left.
const STALL_WAIT: Duration = Duration::from_secs(10);

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// A request's body as it comes. It is read once.
pub(crate) struct Upload {
    pieces: Mutex<Option<Pieces>>,
    /// Media type, without parameters, in lower case.
    pub(crate) media_type: String,
    /// SHA-256 of all of it, put in by whoever has read it: what makes two uploads the same.
    pub(crate) digest: OnceLock<Vec<u8>>,
}

impl Upload {
    pub(crate) fn new(
        pieces: impl Stream<Item = Result<Bytes>> + Send + 'static,
        media_type: String,
    ) -> Self {
        let digest = OnceLock::new();
        Self { pieces: Mutex::new(Some(Box::pin(pieces))), media_type, digest }
    }

    pub(crate) fn take(&self) -> Result<Pieces> {
        let taken = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| Error::internal("an upload is read once"))
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("media_type", &self.media_type).finish_non_exhaustive()
    }
}

/// An answer's body as it is made.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) media_type: &'static str,
    pub(crate) file_name: String,
    pieces: mpsc::Receiver<Piece>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    /// Without this one the download was cut off, and the caller must be able to tell.
    End,
}

/// Where a download is written to; dropped without `end`, the download is cut off.
pub(crate) struct Sink(mpsc::Sender<Piece>);

pub(crate) fn download(media_type: &'static str, file_name: String) -> (Sink, Download) {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    (Sink(sender), Download { media_type, file_name, pieces })
}

impl Sink {
    pub(crate) async fn send(&self, bytes: Vec<u8>) -> Result<()> {
        self.put(Piece::Bytes(bytes)).await
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.put(Piece::End).await
    }

    async fn put(&self, piece: Piece) -> Result<()> {
        match tokio::time::timeout(STALL_WAIT, self.0.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::new(Code::TimedOut, "the caller went away")),
            Err(_) => Err(Error::new(Code::TimedOut, "the caller reads nothing")),
        }
    }
}

impl Download {
    /// The pieces; an error at the end when it was cut off, so that the connection breaks and nobody
    /// takes a part for the whole.
    pub(crate) fn into_pieces(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        futures_util::stream::unfold(Some(self.pieces), |pieces| async {
            let mut pieces = pieces?;
            match pieces.recv().await {
                Some(Piece::Bytes(bytes)) => Some((Ok(Bytes::from(bytes)), Some(pieces))),
                Some(Piece::End) => None,
                None => Some((Err(std::io::Error::other("the download was cut off")), None)),
            }
        })
    }
}
