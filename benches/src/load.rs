//! A client that costs little: connections that stay open, requests made beforehand, replies read by
//! their length (RFC 9112 §6). What it measures is the server; it knows no gate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Longest wait for one reply: a server that hangs fails its figure.
const REPLY_WAIT: Duration = Duration::from_secs(20);
const READ_BYTES: usize = 16 * 1024;

/// A request as its bytes.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str("content-type: application/json\r\n");
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

/// One connection, with what was read of the next reply.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ_BYTES) })
    }

    pub async fn send(&mut self, request: &[u8]) -> io::Result<Reply> {
        let exchange = async {
            self.stream.write_all(request).await?;
            self.reply().await
        };
        tokio::time::timeout(REPLY_WAIT, exchange).await.map_err(io::Error::other)?
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((head, status, length)) = head(&self.buffer)? {
                while self.buffer.len() < head + length {
                    self.more().await?;
                }
                let body = self.buffer[head..head + length].to_vec();
                self.buffer.drain(..head + length);
                return Ok(Reply { status, body });
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Length of the head, status and length of the body, once the head is there.
fn head(bytes: &[u8]) -> io::Result<Option<(usize, u16, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    match (status, length) {
        (Some(status), Some(length)) => Ok(Some((end + 4, status, length))),
        _ => Err(io::Error::other(format!("no reply with a length: {text}"))),
    }
}

/// When a request is sent.
#[derive(Clone, Copy)]
pub enum Pace {
    /// When its connection has its last reply: closed loop.
    Closed,
    /// When its time has come, one each of these (open loop); the wait counts from that time, so a
    /// server that falls behind cannot hide it. Wants as many connections as requests may be on
    /// their way at once; sleeps end on whole milliseconds, so a turn sends all that is due.
    Every(Duration),
}

/// Sends each request once over so many connections; every reply has to be as `good` wants it. A
/// request is made from its place when its turn comes. Answers what each took to the reply's last byte,
/// in microseconds.
pub async fn run(
    address: SocketAddr,
    connections: usize,
    count: usize,
    pace: Pace,
    make: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
    good: fn(&Reply) -> bool,
) -> io::Result<Vec<u64>> {
    let (next, make) = (Arc::new(AtomicUsize::new(0)), Arc::new(make));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let (next, make) = (Arc::clone(&next), Arc::clone(&make));
        tasks.spawn(async move {
            let mut waits_us = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if count <= place {
                    return Ok::<_, io::Error>(waits_us);
                }
                let request = make(place);
                let begun = match pace {
                    Pace::Closed => Instant::now(),
                    Pace::Every(gap) => {
                        let due = started + gap * u32::try_from(place).unwrap_or(u32::MAX);
                        tokio::time::sleep_until(due).await;
                        due
                    }
                };
                let reply = connection.send(&request).await?;
                if !good(&reply) {
                    let body = String::from_utf8_lossy(&reply.body).into_owned();
                    return Err(io::Error::other(format!("{}: {body}", reply.status)));
                }
                waits_us.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
        });
    }
    let mut waits_us = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        waits_us.extend(done.map_err(io::Error::other)??);
    }
    Ok(waits_us)
}
