//! Structured logs to a writer that never stalls the gate: lines pass a bounded queue to one
//! thread; when the reader of the logs is too slow, lines are dropped and counted, and the count
//! is written as soon as there is room again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::settings::Log;

/// Lines that may wait for the writer thread.
const LINES_MAX: usize = 8_192;

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("LOG_FILTER: {0}")]
    Filter(String),
    #[error("the log writer could not start: {0}")]
    Thread(#[from] io::Error),
}

/// A subscriber that writes to `sink`.
pub fn subscriber(
    settings: &Log,
    sink: Box<dyn Write + Send>,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError> {
    let filter = EnvFilter::try_new(&settings.filter)
        .map_err(|error| LogError::Filter(error.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines::start(sink)?)
        .with_ansi(false);
    Ok(if settings.json {
        Box::new(builder.json().flatten_event(true).finish())
    } else {
        Box::new(builder.finish())
    })
}

/// The sending side of the queue; one a process.
#[derive(Clone)]
struct Lines {
    queue: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    fn start(sink: Box<dyn Write + Send>) -> io::Result<Self> {
        let (queue, lines) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&lines, sink, &count))?;
        Ok(Self { queue, dropped })
    }
}

/// Ends when the last sender is gone or the sink is.
fn write_all(lines: &Receiver<Vec<u8>>, mut sink: Box<dyn Write + Send>, dropped: &AtomicU64) {
    while let Ok(line) = lines.recv() {
        let lost = dropped.swap(0, Ordering::Relaxed);
        let told = match lost {
            0 => Ok(()),
            lost => writeln!(
                sink,
                "{{\"level\":\"WARN\",\"message\":\"log lines dropped\",\"lines\":{lost}}}"
            ),
        };
        if told.and_then(|()| sink.write_all(&line)).and_then(|()| sink.flush()).is_err() {
            return;
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { lines: self.clone(), bytes: Vec::new() }
    }
}

/// One event being formatted; it goes to the queue when it is complete.
struct Line {
    lines: Lines,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() && self.lines.queue.try_send(bytes).is_err() {
            self.lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
