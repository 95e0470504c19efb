//! A gate of a few lines: the internal listener's journal side over bare TCP, with a journal that
//! the test writes. Everything that the back office sends is remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use uuid::Uuid;

use crate::journal::Journal;

/// Whatever a test waits for comes within this time, or the test fails.
const WAIT: Duration = Duration::from_secs(60);
/// A request that is larger than this is none of ours, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct FakeGate {
    pub(crate) url: String,
    state: Arc<State>,
}

struct State {
    journals: Mutex<BTreeMap<Uuid, Journal>>,
    /// Counts changes of any journal, as the gate's heads do.
    version: watch::Sender<u64>,
    /// Newest version that the reader says it has worked off, by asking for what comes after it.
    seen: watch::Sender<u64>,
    /// Counts requests.
    asked: watch::Sender<u64>,
    acks: Mutex<Vec<Value>>,
    refuse_acks: Mutex<bool>,
    token: String,
}

impl FakeGate {
    pub(crate) async fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            journals: Mutex::default(),
            version: watch::Sender::new(0),
            seen: watch::Sender::new(0),
            asked: watch::Sender::new(0),
            acks: Mutex::default(),
            refuse_acks: Mutex::new(false),
            token: token.to_owned(),
        });
        let gate = Self { url, state: Arc::clone(&state) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&state)));
            }
        });
        gate
    }

    /// Writes into the event's journal; waiting readers hear of it.
    pub(crate) fn write<T>(&self, event: Uuid, write: impl FnOnce(&mut Journal) -> T) -> T {
        let mut journals = self.state.journals.lock().unwrap();
        let written = write(journals.entry(event).or_insert_with(|| Journal::new(event)));
        drop(journals);
        self.state.version.send_modify(|version| *version += 1);
        written
    }

    pub(crate) fn refuse_acks(&self) {
        *self.state.refuse_acks.lock().unwrap() = true;
    }

    pub(crate) fn acks(&self) -> Vec<Value> {
        self.state.acks.lock().unwrap().clone()
    }

    /// Returns when so many more requests have come.
    pub(crate) async fn asked(&self, times: u64) {
        let mut asked = self.state.asked.subscribe();
        let until = *asked.borrow_and_update() + times;
        let done = asked.wait_for(|asked| until <= *asked);
        tokio::time::timeout(WAIT, done).await.expect("the gate is asked").unwrap();
    }

    /// Returns when everything that was written before has been read and projected: the reader asks
    /// for what comes after a version when it has done its work up to it.
    pub(crate) async fn worked_off(&self) {
        let written = *self.state.version.borrow();
        let mut seen = self.state.seen.subscribe();
        let done = seen.wait_for(|seen| written <= *seen);
        tokio::time::timeout(WAIT, done).await.expect("the journal is read").unwrap();
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) -> Option<()> {
    let (head, body) = read(&mut stream).await?;
    state.asked.send_modify(|asked| *asked += 1);
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let bearer = format!("bearer {}", state.token);
    let known = lines.any(|line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("authorization: ").is_some_and(|value| value == bearer)
    });
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<&str, &str> =
        query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let (status, text) = match (known, method, path) {
        (false, _, _) => (401, "{}".to_owned()),
        (_, "GET", "/internal/v1/journal/heads") => (200, heads(&state, &query).await),
        (_, "GET", "/internal/v1/journal") => (200, page(&state, &query)?),
        (_, "POST", "/internal/v1/journal/ack") => (acknowledge(&state, &body), String::new()),
        _ => (404, "{}".to_owned()),
    };
    let length = text.len();
    let reply = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{text}"
    );
    stream.write_all(reply.as_bytes()).await.ok()
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&chunk[..length]);
        assert!(bytes.len() < REQUEST_BYTES_MAX, "the request has no end");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if bytes.len() >= end + 4 + length {
            return Some((head, bytes.split_off(end + 4)));
        }
    }
}

async fn heads(state: &State, query: &BTreeMap<&str, &str>) -> String {
    let wait = Duration::from_millis(query["wait_ms"].parse().unwrap());
    if let Some(after) = query.get("after_version") {
        let after: u64 = after.parse().unwrap();
        state.seen.send_replace(after);
        let mut version = state.version.subscribe();
        // Without news the answer is the same heads again.
        let _ = tokio::time::timeout(wait, version.wait_for(|version| *version != after)).await;
    }
    let version = *state.version.borrow();
    let journals = state.journals.lock().unwrap();
    let events: Vec<Value> = journals
        .values()
        .map(|journal| {
            let head = journal.head();
            json!({"event": journal.event, "seq": head.seq, "hash": head.hash})
        })
        .collect();
    json!({"version": version, "events": events}).to_string()
}

fn page(state: &State, query: &BTreeMap<&str, &str>) -> Option<String> {
    let event: Uuid = query["event"].parse().unwrap();
    let (after, limit) = (query["after"].parse().unwrap(), query["limit"].parse().unwrap());
    Some(state.journals.lock().unwrap().get(&event)?.page_text(after, limit))
}

fn acknowledge(state: &State, body: &[u8]) -> u16 {
    state.acks.lock().unwrap().push(serde_json::from_slice(body).unwrap());
    if *state.refuse_acks.lock().unwrap() { 409 } else { 204 }
}
