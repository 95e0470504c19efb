//! A gate as its own process with a Redis of its own and a scripted back office in this process; the
//! tickets' credentials are signed here, where the event's key was made. Knows the gate by its
//! settings, feeds and doors only.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use data_encoding::{BASE64, HEXLOWER};
use gate::testing::{CATALOGUE_TOKEN, Office};
use inventory::testing::RedisServer;
use keys::{Claims, EventSecret, KeyRing, MasterKey, Minutes, PublicKey, SealedKey, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::load::{Connection, request};

pub const EVENT: Uuid = Uuid::from_u128(0x0e);
pub const GENERAL: Uuid = Uuid::from_u128(0x71);
const NUMBER: u32 = 1042;
const DEVICE_TOKEN: &str = "device-token-of-the-figures";
const JOURNAL_TOKEN: &str = "journal-token-of-the-figures";
/// Opens the keys of events that live as long as a figure.
const MASTER: [u8; 32] = [7; 32];
/// Tickets of an order that the box office makes.
const ORDER_TICKETS: usize = 500;
/// The floor's ring, for its process.
const RING: &str = "FLOOR_KEY";

/// What this binary does when it was started as one of its own servers; none when it was not.
pub fn serving() -> Option<u8> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("serve") => {
            let args = vec!["serve".into()];
            Some(gate::cli::run(args, &mut std::io::stdout(), &mut std::io::stderr()))
        }
        Some("floor") => Some(floor(&args.next().unwrap_or_default())),
        _ => None,
    }
}

fn floor(redis: &str) -> u8 {
    let key =
        gate::settings::environment(RING).and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
    let key =
        key.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).expect("the floor has its key");
    let public = PublicKey::new(NUMBER, &key, 0).expect("a key");
    let ring = KeyRing::new([public]).expect("a ring");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(crate::floor::http::serve(ring, redis)).map_or(1, |()| 0)
}

/// A server in a process of its own, killed when dropped.
pub struct Server {
    process: Child,
    pub public: SocketAddr,
    internal: Option<SocketAddr>,
}

impl Server {
    fn start(args: &[&str], settings: &[(&str, &str)]) -> Self {
        let own = std::env::current_exe().expect("a binary knows itself");
        let mut command = Command::new(own);
        command.args(args).envs(settings.iter().copied()).stdin(Stdio::null());
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the server starts");
        let output = process.stdout.take().expect("its output is read");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it tells where it listens");
        let told: Value = serde_json::from_str(&line).expect("it tells where it listens");
        let address = |name: &str| {
            told[name].as_str().and_then(|url| url.strip_prefix("http://")?.parse().ok())
        };
        let public = address("listening").expect("an address");
        Self { process, public, internal: address("internal") }
    }

    /// CPU of the process so far, nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        crate::cpu_ns_of(&self.process.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone already cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Hall {
    pub redis: RedisServer,
    office: Office,
    key: SigningKey,
    secret: EventSecret,
    master: MasterKey,
}

impl Hall {
    /// An event on sale with so many places, and its store.
    pub async fn open(places: usize) -> Self {
        let key = SigningKey::generate(NUMBER).expect("random");
        let secret = EventSecret::generate().expect("random");
        let hall = Self {
            redis: RedisServer::start().expect("redis-server runs"),
            office: Office::open().await,
            key,
            secret,
            master: MasterKey::from_bytes(MASTER),
        };
        hall.publish(places);
        hall
    }

    fn publish(&self, places: usize) {
        let sealed = SealedKey::seal(&self.key, &self.master, 0).expect("sealed");
        let secret = self.secret.seal(&self.master, NUMBER).expect("sealed");
        let organization = Uuid::from_u128(0x0a);
        let config = json!({
            "event": EVENT, "number": NUMBER, "organization": organization, "name": "Figures",
            "currency": "EUR", "exponent": 2, "time_zone": "Europe/Berlin", "status": "on_sale",
            "closes_at": null,
            "quotas": [{"id": Uuid::from_u128(0x91), "number": 1, "name": "Hall", "size": places}],
            "ticket_types": [{
                "id": GENERAL, "number": 1, "name": "GA", "price": 0, "fee": 0, "tax_rate_bp": 1_900,
                "quotas": [1], "zones": [0], "valid_from": null, "valid_until": null,
                "sale_from": null, "sale_until": null, "max_per_order": null, "rotating": false,
                "attention": false, "active": true}],
            "zones": [{"id": Uuid::from_u128(0x21), "number": 0, "key": "main", "name": "main",
                       "policy": {"kind": "single_entry"}, "capacity": null}],
            "hold_ttl_s": 600, "hold_cap_s": 1_800,
        });
        let document = json!({"config": config, "keys": [sealed],
                              "event_secret_sealed": BASE64.encode(&secret)});
        self.office.publish("event", EVENT, document);
        let device = json!({
            "organization": organization, "name": "Scanner",
            "token_hash": HEXLOWER.encode(&Sha256::digest(DEVICE_TOKEN.as_bytes())),
            "expires_at": null, "revoked": false, "may_force": false,
            "events": null, "lanes": null, "zones": null, "directions": ["entry", "exit"],
        });
        self.office.publish("device", Uuid::from_u128(0xd1), device);
    }

    /// One node, returned when its journal has what the catalogue says.
    pub async fn gate(&self) -> Server {
        let url = self.office.url();
        let master = BASE64.encode(&MASTER);
        let settings = [
            ("GATE_PORT", "0"),
            ("GATE_INTERNAL_PORT", "0"),
            ("GATE_STORE", "redis"),
            ("REDIS_URL", &self.redis.url()),
            ("BACKOFFICE_INTERNAL_URL", &url),
            ("CATALOGUE_TOKEN", CATALOGUE_TOKEN),
            ("JOURNAL_TOKEN", JOURNAL_TOKEN),
            ("ATLVS_MASTER_KEY", &master),
            ("LOG_FILTER", "warn"),
            // The figures ask for more in a minute than any client may.
            ("GATE_RATE_SHOP_PER_MIN", "0"),
            ("GATE_RATE_SCAN_PER_MIN", "0"),
        ];
        let server = Server::start(&["serve"], &settings);
        while self.audit(&server).await["quotas"][0]["id"].is_null() {
            tokio::task::yield_now().await;
        }
        server
    }

    /// The bare minimum on the same Redis.
    pub fn floor(&self) -> Server {
        let key = HEXLOWER.encode(&self.key.public());
        Server::start(&["floor", &self.redis.url()], &[(RING, &key)])
    }

    /// CPU of the store so far, nanoseconds.
    pub fn store_cpu_ns(&self) -> u64 {
        crate::cpu_ns_of(&self.redis.process().expect("it runs").to_string())
    }

    /// Has the box office make so many tickets, numbered from one.
    pub async fn issue(&self, server: &Server, tickets: usize) {
        let mut left = tickets;
        while 0 < left {
            let quantity = left.min(ORDER_TICKETS);
            let body = json!({"event": EVENT, "instruction": {"kind": "order.create", "body": {
                "order": Uuid::new_v4(), "channel": "comp", "buyer": null,
                "items": [{"ticket_type": GENERAL, "quantity": quantity}],
                "personal": {"buyer": {"name": "Ada Lovelace", "email": "ada@example.org"},
                             "attendees": []}}}});
            self.office.publish("instruction", Uuid::new_v4(), body);
            left -= quantity;
        }
        self.office.all_taken().await;
        while self.sold(server).await < tickets {
            tokio::task::yield_now().await;
        }
    }

    /// Places sold, as the node's audit has it.
    pub async fn sold(&self, server: &Server) -> usize {
        let audit = self.audit(server).await;
        let sold = audit["quotas"][0]["sold"].as_u64();
        sold.and_then(|sold| usize::try_from(sold).ok()).unwrap_or(0)
    }

    /// What the node says of its own books.
    pub async fn audit(&self, server: &Server) -> Value {
        let path = format!("/internal/v1/audit?event={EVENT}");
        let token = format!("Bearer {JOURNAL_TOKEN}");
        let ask = request("GET", &path, &[("authorization", &token)], "");
        let internal = server.internal.expect("a gate has an internal listener");
        let mut connection = Connection::open(internal).await.expect("it listens");
        let reply = connection.send(&ask).await.expect("an audit");
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }

    /// A scan of each ticket by its own nonce; `path` and body are the same for gate and floor.
    pub fn scans(&self, path: &str, tickets: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        let token = format!("Bearer {DEVICE_TOKEN}");
        let scan = |ticket: usize| {
            let body = json!({
                "credential": self.credential(ticket + 1), "gate": "North 3", "zone": "main",
                "nonce": format!("nonce-{ticket:010}"),
            });
            request("POST", path, &[("authorization", &token)], &body.to_string())
        };
        tickets.map(scan).collect()
    }

    fn credential(&self, ticket: usize) -> String {
        let claims = Claims {
            kid: self.key.kid(),
            event: NUMBER,
            ticket: u64::try_from(ticket).expect("a number"),
            ticket_type: 1,
            from: Minutes::UNBOUNDED,
            until: Minutes::UNBOUNDED,
            zones: 1,
            revision: 0,
            rotating: false,
        };
        self.key.sign(&claims).expect("signed").text()
    }
}
