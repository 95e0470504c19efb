//! For tests of this crate and of its users: a back office in this process, which serves the
//! catalogue feed from a list that the test writes and knows what tokens may. Holds no rules.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper of tests fails its test by panicking"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use uuid::Uuid;

pub const CATALOGUE_TOKEN: &str = "catalogue-token-of-the-tests";
const WAIT: Duration = Duration::from_secs(10);

pub struct Office {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

struct Shared {
    changes: Mutex<Vec<Value>>,
    /// Tokens of people, each with the organization in which it may see figures.
    people: Mutex<Vec<(String, Uuid)>>,
    asked: AtomicUsize,
    /// Names the count of the cursors.
    epoch: Mutex<Uuid>,
    /// Cursor of the newest change.
    cursor: watch::Sender<u64>,
    /// The highest `after` that the gate asked with: it has taken over everything before.
    taken: watch::Sender<u64>,
}

impl Office {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            changes: Mutex::default(),
            people: Mutex::default(),
            asked: AtomicUsize::new(0),
            epoch: Mutex::new(Uuid::from_u128(1)),
            cursor: watch::channel(0).0,
            taken: watch::channel(0).0,
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes a document under the next cursor and returns the cursor.
    pub fn publish(&self, kind: &str, id: Uuid, body: Value) -> u64 {
        let mut changes = self.shared.changes.lock().expect("not poisoned");
        let cursor = *self.shared.cursor.borrow() + 1;
        changes.retain(|change| change["id"] != json!(id) || change["kind"] != kind);
        changes.push(json!({"cursor": cursor, "kind": kind, "id": id,
                            "organization": Uuid::nil(), "body": body}));
        self.shared.cursor.send_replace(cursor);
        cursor
    }

    /// As after a restore from an old backup: everything again, under low cursors.
    pub fn restore(&self, documents: &[(&str, Uuid, Value)]) {
        self.shared.changes.lock().expect("not poisoned").clear();
        self.shared.taken.send_replace(0);
        self.shared.cursor.send_replace(0);
        for (kind, id, body) in documents {
            self.publish(kind, *id, body.clone());
        }
    }

    /// The same, and since then so much was written that the cursors are beyond the gate's again.
    pub fn restore_and_go_on(&self, cursor: u64, documents: &[(&str, Uuid, Value)]) {
        // Nobody reads between the two.
        let mut changes = self.shared.changes.lock().expect("not poisoned");
        *self.shared.epoch.lock().expect("not poisoned") = Uuid::from_u128(2);
        changes.clear();
        for ((kind, id, body), number) in documents.iter().zip(1_u64..) {
            changes.push(json!({"cursor": number, "kind": kind, "id": id,
                                "organization": Uuid::nil(), "body": body}));
        }
        self.shared.taken.send_replace(0);
        self.shared.cursor.send_replace(cursor);
    }

    pub fn cursor(&self) -> u64 {
        *self.shared.cursor.borrow()
    }

    /// Waits until the gate has taken over everything up to `cursor`.
    pub async fn taken(&self, cursor: u64) {
        let mut taken = self.shared.taken.subscribe();
        let waited = tokio::time::timeout(WAIT, taken.wait_for(|taken| cursor <= *taken)).await;
        waited.expect("the gate takes the catalogue over").expect("the office is open");
    }

    pub async fn all_taken(&self) {
        let cursor = *self.shared.cursor.borrow();
        self.taken(cursor).await;
    }

    /// A person whose token may see the figures of `organization`.
    pub fn employ(&self, token: &str, organization: Uuid) {
        self.shared.people.lock().expect("not poisoned").push((token.to_owned(), organization));
    }

    /// How often the gate asked what a token may do.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    pub fn close(&self) {
        self.serving.abort();
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.close();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            // A gate that stops closes its connection in the middle of a poll.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<String> {
    let expected = format!("Bearer {CATALOGUE_TOKEN}");
    let authorized = request.headers().get("authorization").is_some_and(|v| *v == *expected);
    if authorized && request.uri().path() == "/internal/v1/introspect" {
        return introspect(shared, request).await;
    }
    if !authorized || request.uri().path() != "/internal/v1/catalogue" {
        return Response::builder().status(401).body(String::new()).expect("a response");
    }
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        let found = query.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")));
        found.and_then(|text| text.parse::<u64>().ok()).expect("a number in the query")
    };
    let (after, wait) = (parameter("after"), Duration::from_millis(parameter("wait_ms")));
    shared.taken.send_if_modified(|taken| {
        let rises = *taken < after;
        *taken = (*taken).max(after);
        rises
    });
    let mut cursor = shared.cursor.subscribe();
    let news = cursor.wait_for(|cursor| *cursor != after);
    let _ = tokio::time::timeout(wait, news).await;
    let changes = shared.changes.lock().expect("not poisoned");
    let newer: Vec<&Value> = changes
        .iter()
        .filter(|change| change["cursor"].as_u64().is_some_and(|c| after < c))
        .collect();
    // Two at a time, so that every test reads more than one page.
    let page: Vec<&Value> = newer.iter().take(2).copied().collect();
    let more = page.len() < newer.len();
    let last = page.last().and_then(|change| change["cursor"].as_u64());
    let newest = *shared.cursor.borrow();
    let cursor = if more { last.unwrap_or(newest) } else { newest };
    let epoch = *shared.epoch.lock().expect("not poisoned");
    let body = json!({"epoch": epoch, "cursor": cursor, "more": more, "changes": page});
    Response::new(body.to_string())
}

async fn introspect(shared: &Shared, request: Request<Incoming>) -> Response<String> {
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let mut body = request.into_body();
    let mut text = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Some(data) = frame.expect("a frame").data_ref() {
            text.extend_from_slice(data);
        }
    }
    let asked: Value = serde_json::from_slice(&text).expect("JSON");
    let people = shared.people.lock().expect("not poisoned");
    let of_token = |(token, _): &&(String, Uuid)| asked["token"] == **token;
    let organization = people.iter().find(of_token).map(|(_, organization)| *organization);
    let may = organization.is_some_and(|id| asked["organization"] == json!(id))
        && (&asked["grant"], &asked["right"]) == (&json!("ticketing.access_log"), &json!("read"));
    Response::new(json!({"active": organization.is_some(), "may": may}).to_string())
}
