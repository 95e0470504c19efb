//! A gate with everything around it, for one test: an event on sale with two ticket types and two
//! zones, a device for all lanes, and the words to talk to it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, LazyLock, Mutex, Weak};
use std::time::Duration;

use gate::routes::{Content, Listener, ROUTES, Route};
use gate::secret::Secret;
use gate::serve::{Running, start};
use gate::settings::{BackOffice, Limits, Listen, Log, Role, Settings, Store};
use inventory::log::SharedLog;
use inventory::store::file::FileLog;
use inventory::testing::TestDirectory;
use inventory::time::{Clock, ManualClock, Millis};
use keys::{EventSecret, MasterKey, SealedKey, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::shape;
use gate::testing::{CATALOGUE_TOKEN, Office};

/// 2026-11-21T18:02:00Z: 19:02 in Berlin.
pub(crate) const NOW: Millis = Millis(1_795_284_120_000);
pub(crate) const ORGANIZATION: Uuid = Uuid::from_u128(0x0a);
pub(crate) const EVENT: Uuid = Uuid::from_u128(0x0e);
pub(crate) const NUMBER: u32 = 1042;
pub(crate) const GENERAL: Uuid = Uuid::from_u128(0x71);
pub(crate) const VIP: Uuid = Uuid::from_u128(0x72);
pub(crate) const QUOTA: Uuid = Uuid::from_u128(0x91);
pub(crate) const DEVICE: Uuid = Uuid::from_u128(0xd1);
pub(crate) const DEVICE_TOKEN: &str = "device-token-of-the-tests";
pub(crate) const JOURNAL_TOKEN: &str = "journal-token-of-the-tests";
const WAIT: Duration = Duration::from_secs(10);

pub(crate) struct House {
    pub(crate) office: Office,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) running: Running,
    pub(crate) master: MasterKey,
    pub(crate) keys: Vec<(SigningKey, SealedKey)>,
    pub(crate) secret: EventSecret,
    http: reqwest::Client,
    dir: TestDirectory,
    log: Weak<dyn inventory::log::Log>,
    role: Role,
    limits: Limits,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) body: Value,
}

impl House {
    /// The usual event, 100 places.
    pub(crate) async fn open() -> Self {
        Self::with(Role::All, Limits::default(), |_| ()).await
    }

    pub(crate) async fn with(role: Role, limits: Limits, change: impl FnOnce(&mut Value)) -> Self {
        let dir = TestDirectory::new().expect("a directory");
        let log: SharedLog = Arc::new(FileLog::open(dir.path()).expect("a log"));
        let house = Self::build(dir, log, role, limits).await;
        let mut config = config();
        change(&mut config);
        house.publish_event(&config).await;
        house.publish_device(DEVICE, DEVICE_TOKEN, |_| ()).await;
        house
    }

    /// The usual event on a log of the test's choice; such a house is not restarted.
    pub(crate) async fn on(log: SharedLog) -> Self {
        let dir = TestDirectory::new().expect("a directory");
        let house = Self::build(dir, log, Role::All, Limits::default()).await;
        house.publish_event(&config()).await;
        house.publish_device(DEVICE, DEVICE_TOKEN, |_| ()).await;
        house
    }

    async fn build(dir: TestDirectory, log: SharedLog, role: Role, limits: Limits) -> Self {
        Self::build_with(dir, log, role, limits, None).await
    }

    async fn build_with(
        dir: TestDirectory,
        log: SharedLog,
        role: Role,
        limits: Limits,
        spool: Option<PathBuf>,
    ) -> Self {
        capture();
        let office = Office::open().await;
        let clock = ManualClock::at(NOW);
        let master = MasterKey::generate().expect("random");
        let key = SigningKey::generate(NUMBER).expect("random");
        let sealed = SealedKey::seal(&key, &master, 0).expect("sealed");
        let secret = EventSecret::generate().expect("random");
        let weak = Arc::downgrade(&log);
        let running = launch(&office, &master, role, &limits, (log, spool), &clock).await;
        let http = reqwest::Client::builder().timeout(WAIT).no_proxy().build().expect("a client");
        let keys = vec![(key, sealed)];
        Self { office, clock, running, master, keys, secret, http, dir, log: weak, role, limits }
    }

    /// The usual event with these doors, on a log of the test's choice, with a spool.
    pub(crate) async fn with_spool(log: SharedLog, change: impl FnOnce(&mut Value)) -> Self {
        let dir = TestDirectory::new().expect("a directory");
        let spool = Some(dir.path().join("spool"));
        let house = Self::build_with(dir, log, Role::All, Limits::default(), spool).await;
        let mut config = config();
        change(&mut config);
        house.publish_event(&config).await;
        house.publish_device(DEVICE, DEVICE_TOKEN, |_| ()).await;
        house
    }

    /// What a gate beside this one would be started with, on the same spool.
    pub(crate) fn settings(&self) -> Settings {
        let spool = Some(self.dir.path().join("spool"));
        settings(&self.office, &self.master, self.role, &self.limits, spool)
    }

    /// One more node of the same house, without a spool.
    pub(crate) async fn node(&self, log: SharedLog) -> Running {
        let store = (log, None);
        launch(&self.office, &self.master, self.role, &self.limits, store, &self.clock).await
    }

    /// Speaks to another node until the next change.
    pub(crate) fn turn_to(&mut self, node: Running) -> Running {
        std::mem::replace(&mut self.running, node)
    }

    /// Stops the gate and starts it on the same directory.
    pub(crate) async fn restart(self) -> Self {
        let Self { office, clock, running, master, keys, secret, http, dir, log, role, limits } =
            self;
        assert!(running.stop().await, "everything is answered");
        let freed = async {
            while 0 < log.strong_count() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WAIT, freed).await.expect("the gate lets its log go");
        let log: SharedLog = Arc::new(FileLog::open(dir.path()).expect("a log"));
        let weak = Arc::downgrade(&log);
        let running = launch(&office, &master, role, &limits, (log, None), &clock).await;
        Self { office, clock, running, master, keys, secret, http, dir, log: weak, role, limits }
    }

    pub(crate) fn event_document(&self, config: &Value) -> Value {
        let number = u32::try_from(config["number"].as_u64().expect("a number")).expect("u32");
        let keys: Vec<&SealedKey> = self.keys.iter().map(|(_, sealed)| sealed).collect();
        let secret = self.secret.seal(&self.master, number).expect("sealed");
        json!({"config": config, "keys": keys,
               "event_secret_sealed": data_encoding::BASE64.encode(&secret)})
    }

    /// Publishes the event and waits until its journal has it.
    pub(crate) async fn publish_event(&self, config: &Value) {
        let id: Uuid = serde_json::from_value(config["event"].clone()).expect("an id");
        let before = self.configured(id);
        let cursor = self.office.publish("event", id, self.event_document(config));
        self.office.taken(cursor).await;
        self.view(id, |view| before < view.catalogue_cursor).await;
    }

    pub(crate) async fn publish_device(
        &self,
        id: Uuid,
        token: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let mut device = json!({
            "organization": ORGANIZATION, "name": "Scanner", "token_hash": token_hash(token),
            "expires_at": null, "revoked": false, "may_force": false,
            "events": null, "lanes": null, "zones": null, "directions": ["entry", "exit"],
        });
        change(&mut device);
        let cursor = self.office.publish("device", id, device);
        self.office.taken(cursor).await;
    }

    /// Waits until the event's view is as wanted.
    pub(crate) async fn view(
        &self,
        id: Uuid,
        wanted: impl Fn(&inventory::view::EventView) -> bool,
    ) -> Arc<inventory::view::EventView> {
        let event = self.running.gate.events.by_id(id).expect("the event is open");
        let mut views = event.handle.watch();
        let waited = tokio::time::timeout(WAIT, views.wait_for(|view| wanted(view))).await;
        let Ok(view) = waited else { panic!("the view does not become as wanted:\n{}", logged()) };
        Arc::clone(&view.expect("the task runs"))
    }

    fn configured(&self, id: Uuid) -> u64 {
        self.running.gate.events.by_id(id).map_or(0, |event| event.view().catalogue_cursor)
    }

    /// Any request; the reply is compared with the OpenAPI document.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Got {
        let internal = path.starts_with("/internal");
        let address = if internal { self.running.internal } else { self.running.public };
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("a body").to_vec();
        let media = headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let body = if media.contains("json") {
            serde_json::from_slice(&bytes).expect("JSON")
        } else {
            Value::Null
        };
        Got { status, headers, bytes, body }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Got {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        let got = self.send(method, path, &headers, Some(body.to_string().into_bytes())).await;
        got.shaped(method, path)
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Got {
        self.send("GET", path, headers, None).await.shaped("GET", path)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Got {
        self.call("POST", path, &[], body).await
    }

    /// From the back office.
    pub(crate) async fn feed(&self, path: &str) -> Got {
        self.get(path, &[("authorization", &format!("Bearer {JOURNAL_TOKEN}"))]).await
    }

    pub(crate) async fn feed_post(&self, path: &str, body: Value) -> Got {
        let token = format!("Bearer {JOURNAL_TOKEN}");
        self.call("POST", path, &[("authorization", &token)], body).await
    }

    pub(crate) async fn scan(&self, body: Value) -> Got {
        self.scan_as(DEVICE_TOKEN, body).await
    }

    pub(crate) async fn scan_as(&self, token: &str, body: Value) -> Got {
        let token = format!("Bearer {token}");
        self.call("POST", "/api/v1/check-in/scan", &[("authorization", &token)], body).await
    }

    /// From the device, with a body or without one.
    pub(crate) async fn device_post(&self, path: &str, body: Option<Value>) -> Got {
        self.post_as(DEVICE_TOKEN, path, body).await
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Option<Value>) -> Got {
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str())];
        match body {
            Some(body) => self.call("POST", path, &headers, body).await,
            None => self.send("POST", path, &headers, None).await.shaped("POST", path),
        }
    }

    /// A hold of so many general tickets.
    pub(crate) async fn hold(&self, quantity: u32) -> Got {
        self.post("/api/v1/shop/holds", hold_body(GENERAL, quantity)).await
    }

    /// An order of so many general tickets for Ada.
    pub(crate) async fn buy(&self, quantity: u32) -> Value {
        let hold = self.hold(quantity).await.expect(201);
        let order = self.post("/api/v1/shop/orders", order_body(&hold["id"])).await;
        order.expect(201)
    }

    /// The whole journal of the event, page by page.
    pub(crate) async fn journal(&self, event: Uuid) -> Vec<Value> {
        let mut entries: Vec<Value> = Vec::new();
        loop {
            let after = entries.last().map_or(0, |entry| entry["seq"].as_u64().expect("a seq"));
            let path = format!("/internal/v1/journal?event={event}&after={after}&limit=3");
            let page = self.feed(&path).await.expect(200);
            let page = page["entries"].as_array().expect("entries").clone();
            if page.is_empty() {
                return entries;
            }
            assert!(page.len() <= 3, "a page keeps its limit");
            entries.extend(page);
        }
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }
}

impl Got {
    /// The body, when the status is as expected.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A problem with this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("x-request-id"), self.body["request_id"].as_str().expect("an id"));
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    /// Panics when the reply is not what the OpenAPI document says.
    fn shaped(self, method: &str, path: &str) -> Self {
        static DOCUMENT: LazyLock<Value> = LazyLock::new(gate::openapi::document);
        let Some(route) = route_of(method, path) else { return self };
        let responses = &DOCUMENT["paths"][&route.paths()[0]][method.to_lowercase()]["responses"];
        let response = &responses[self.status.to_string()];
        assert!(
            response.is_object(),
            "{method} {path}: {} is not described: {}",
            self.status,
            self.body
        );
        let media = self.header("content-type");
        let schema = &response["content"][&media]["schema"];
        let json =
            route.replies.iter().any(|r| r.0 == self.status && matches!(r.2, Content::Json(_)));
        if schema.is_object() {
            shape::check(
                &DOCUMENT,
                schema,
                &self.body,
                &format!("{method} {path} {}", self.status),
            );
        } else {
            assert!(!json && self.status < 400, "{method} {path}: {media} is not described");
        }
        self
    }
}

fn route_of(method: &str, path: &str) -> Option<&'static Route> {
    let path = path.split('?').next().unwrap_or_default();
    let matches = |template: &str| {
        let (mut left, mut right) = (template.split('/'), path.split('/'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some("{id}"), Some(_)) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    };
    ROUTES.iter().find(|r| r.method.name() == method && r.paths().iter().any(|p| matches(p)))
}

/// Every path that a listener serves, for tests that knock at all doors.
pub(crate) fn routes_at(listener: Listener) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |r| r.listener == listener)
}

pub(crate) fn token_hash(token: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(token.as_bytes()))
}

pub(crate) fn config() -> Value {
    json!({
        "event": EVENT, "number": NUMBER, "organization": ORGANIZATION, "name": "Winter Concert",
        "currency": "EUR", "exponent": 2, "time_zone": "Europe/Berlin", "status": "on_sale",
        "closes_at": null,
        "quotas": [{"id": QUOTA, "number": 1, "name": "Hall", "size": 100}],
        "ticket_types": [ticket_type(GENERAL, 1, "GA", 0), ticket_type(VIP, 2, "VIP", 4_250)],
        "zones": [zone(0, "main", 5_000), zone(1, "backstage", 10)],
        "hold_ttl_s": 600, "hold_cap_s": 1_800,
    })
}

fn ticket_type(id: Uuid, number: u16, name: &str, price: i64) -> Value {
    json!({"id": id, "number": number, "name": name, "price": price, "fee": 0,
           "tax_rate_bp": 1_900, "quotas": [1], "zones": [0], "valid_from": null,
           "valid_until": null, "sale_from": null, "sale_until": null, "max_per_order": null,
           "rotating": false, "attention": false, "active": true})
}

fn zone(number: u8, key: &str, capacity: u64) -> Value {
    json!({"id": Uuid::from_u128(u128::from(number) + 0x21), "number": number, "key": key,
           "name": key, "policy": {"kind": "single_entry"}, "capacity": capacity})
}

pub(crate) fn hold_body(ticket_type: Uuid, quantity: u32) -> Value {
    json!({"event": EVENT, "items": [{"ticket_type": ticket_type, "quantity": quantity}]})
}

pub(crate) fn order_body(hold: &Value) -> Value {
    json!({"hold": hold, "payment": {"method": "free"},
           "buyer": {"name": "Ada Lovelace", "email": "ada@example.org"}})
}

pub(crate) fn scan_body(credential: &Value, nonce: &str) -> Value {
    json!({"credential": credential, "gate": "North 3", "zone": "main", "nonce": nonce})
}

async fn launch(
    office: &Office,
    master: &MasterKey,
    role: Role,
    limits: &Limits,
    (log, spool): (SharedLog, Option<PathBuf>),
    clock: &Arc<ManualClock>,
) -> Running {
    let settings = settings(office, master, role, limits, spool);
    let clock: Arc<ManualClock> = Arc::clone(clock);
    start(&settings, log, clock).await.expect("the gate starts")
}

fn settings(
    office: &Office,
    master: &MasterKey,
    role: Role,
    limits: &Limits,
    spool: Option<PathBuf>,
) -> Settings {
    let any = "127.0.0.1:0".parse().expect("an address");
    Settings {
        listen: Listen { public: any, internal: any },
        store: Store::File { dir: "unused".into() },
        spool,
        back_office: BackOffice {
            url: office.url(),
            token: Secret::new(CATALOGUE_TOKEN.to_owned()),
        },
        journal_token: Secret::new(JOURNAL_TOKEN.to_owned()),
        master_key: master.clone(),
        role,
        limits: limits.clone(),
        log: Log::default(),
    }
}

// Logs of all tests in this process go to one buffer.

static CAPTURED: LazyLock<Arc<Captured>> = LazyLock::new(Arc::default);

#[derive(Default)]
struct Captured {
    bytes: Mutex<Vec<u8>>,
    grew: Condvar,
}

struct Sink(Arc<Captured>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.bytes.lock().expect("not poisoned").extend_from_slice(bytes);
        self.0.grew.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn capture() {
    static ONCE: LazyLock<()> = LazyLock::new(|| {
        let settings =
            Log { json: true, filter: "gate=trace,inventory=trace,keys=trace,it=info".to_owned() };
        let sink = Box::new(Sink(Arc::clone(&CAPTURED)));
        let subscriber = gate::logging::subscriber(&settings, sink).expect("a subscriber");
        tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
    });
    LazyLock::force(&ONCE);
}

/// Everything logged so far.
pub(crate) fn logged() -> String {
    let marker = Uuid::new_v4().to_string();
    tracing::info!(marker, "end of the log so far");
    let mut seen = 0;
    let bytes = CAPTURED.bytes.lock().expect("not poisoned");
    let (bytes, timeout) = CAPTURED
        .grew
        .wait_timeout_while(bytes, WAIT, |bytes| {
            // Only what is new is searched; a marker is written in one piece.
            let new = String::from_utf8_lossy(&bytes[seen..]).contains(&marker);
            seen = bytes.len();
            !new
        })
        .expect("not poisoned");
    assert!(!timeout.timed_out(), "the log is written");
    String::from_utf8(bytes.clone()).expect("UTF-8")
}
