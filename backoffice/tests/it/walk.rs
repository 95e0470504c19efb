//! The loops at work between the API and a gate: the catalogue published, instructions carried out,
//! the journal fetched. Each test has a database of its own, because loops serve every organization
//! of theirs.

use std::time::Duration;

use inventory::command::{Constraint, Refusal, RefusalCode, Verdict};
use inventory::fact::Fact;
use kernel::testkit::{JOURNAL_TOKEN, Reply, TestDb, TestServer, settings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::gate::FakeGate;
use crate::registry;
use crate::sale::{Sale, create, created, id, ticket_type};

/// A service with its loops, the gate beside it, an event on sale.
pub(crate) struct House {
    db: TestDb,
    server: TestServer,
    pub(crate) gate: FakeGate,
    pub(crate) sale: Sale,
    loops: JoinHandle<()>,
}

/// Waits of the feed, in tests: longer fails.
const NEWS_MS: u64 = 20_000;

impl House {
    pub(crate) async fn open(purpose: &str) -> Self {
        Self::over(TestDb::create(purpose, &migrations::scripts()).await.unwrap()).await
    }

    async fn over(db: TestDb) -> Self {
        let gate = FakeGate::start(JOURNAL_TOKEN).await;
        let mut settings = settings(&db);
        settings.peers.gate_internal_url = Some(gate.url.clone());
        let clock = std::sync::Arc::new(kernel::clock::SystemClock);
        let server = TestServer::start_with(registry(), settings, clock).await.unwrap();
        let (service, end) = (server.service.clone(), server.shutdown.clone());
        let loops = tokio::spawn(async move { service.run_loops(end).await.unwrap() });
        let sale = Sale::open(&server).await;
        Self { db, server, gate, sale, loops }
    }

    /// Ends as after SIGTERM; loops that do not end fail the test.
    pub(crate) async fn end(self) {
        self.server.end().await.unwrap();
        self.loops.await.unwrap();
    }

    async fn catalogue(&self, after: u64, wait_ms: u64) -> Value {
        let path = format!("/internal/v1/catalogue?after={after}&wait_ms={wait_ms}");
        let reply = self.server.internal.get(&path).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    /// Reads on from `after` until a change satisfies `wanted`; answers it.
    async fn until(&self, mut after: u64, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let feed = self.catalogue(after, NEWS_MS).await;
            let changes = feed["changes"].as_array().unwrap();
            assert!(!changes.is_empty(), "no news after {after}");
            if let Some(found) = changes.iter().find(|change| wanted(change)) {
                return found.clone();
            }
            after = feed["cursor"].as_u64().unwrap();
        }
    }

    pub(crate) async fn instruction(&self, kind: &str) -> Value {
        self.until(0, |change| change["body"]["instruction"]["kind"] == json!(kind)).await
    }

    pub(crate) async fn event_document(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let event = json!(self.sale.event);
        self.until(0, |change| change["id"] == event && wanted(&change["body"])).await
    }

    async fn register(&self, quantity: u32) -> Reply {
        let body = json!({
            "event_id": self.sale.event,
            "ticket_type_id": self.sale.ticket_type,
            "quantity": quantity,
            "buyer_email": "buyer@example.org",
        });
        self.sale.client.post("/api/v1/registrations", &body).await.unwrap()
    }

    /// Plays the gate for one order: carries the instruction out, or refuses it.
    async fn carry_out_order(&self, refused: Option<Refusal>) {
        let told = self.instruction("order.create").await;
        let (instruction, body) = (id(&told["id"]), &told["body"]["instruction"]["body"]);
        let order = id(&body["order"]);
        let item = &body["items"][0];
        let quantity = u32::try_from(item["quantity"].as_u64().unwrap()).unwrap();
        self.gate.write(self.sale.event, |journal| {
            if refused.is_none() {
                journal.order(order, &[(id(&item["ticket_type"]), quantity, 0)]);
            }
            journal.push(&Fact::InstructionDone { id: instruction, refused });
        });
    }

    /// The instruction has left the catalogue, and nothing personal is left of it.
    async fn is_gone(&self, instruction: &Value) {
        let gone = self.until(instruction["cursor"].as_u64().unwrap(), |change| {
            change["id"] == instruction["id"] && change["body"].is_null()
        });
        gone.await;
        let admin = self.server.service.begin(kernel::cx::Actor::Service("test"), self.sale.org.id);
        let cx = admin.await.unwrap();
        let sql = "select count(*) from gate_instructions where id = $1 and body is null";
        let row = cx.query_one(sql, &[&id(&instruction["id"])]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 1);
        cx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn staff_register_and_the_gate_decides() {
    let house = House::open("register").await;
    let (reply, ()) = tokio::join!(house.register(2), house.carry_out_order(None));
    let first = created(&reply);
    assert_eq!(reply.body["position"], json!(1));
    assert_eq!(house.sale.list("registrations").await.len(), 2);

    let nothing = json!({});
    let (reply, ()) =
        tokio::join!(house.sale.act("registrations", first, "check-in", &nothing), async {
            let told = house.instruction("check_in").await;
            let body = &told["body"]["instruction"]["body"];
            assert_eq!(id(&body["by"]), house.sale.org.owner);
            let ticket = body["ticket"].as_u64().unwrap();
            house.gate.write(house.sale.event, |journal| {
                journal.scan(Some(ticket), Verdict::Admit);
                journal.push(&Fact::InstructionDone { id: id(&told["id"]), refused: None });
            });
            house.is_gone(&told).await;
        });
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("checked_in")));

    let (reply, ()) =
        tokio::join!(house.sale.act("registrations", first, "cancel", &nothing), async {
            let told = house.instruction("order.cancel").await;
            let body = &told["body"]["instruction"]["body"];
            assert_eq!(body["positions"], json!([1]));
            let order = id(&body["order"]);
            house.gate.write(house.sale.event, |journal| {
                journal.push(&Fact::OrderCanceled {
                    order,
                    positions: vec![1],
                    refunds: vec![],
                    key: None,
                });
                journal.push(&Fact::InstructionDone { id: id(&told["id"]), refused: None });
            });
        });
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("canceled")));
    let again = house.sale.act("registrations", first, "cancel", &json!({})).await;
    assert_eq!((again.status, again.code()), (409, "invalid_transition"));
    let refund = house.sale.act("registrations", first, "refund", &json!({})).await;
    assert_eq!((refund.status, refund.code()), (409, "nothing_to_refund"));
    house.end().await;
}

#[tokio::test]
async fn a_refusal_of_the_gate_is_the_answer() {
    let house = House::open("refuse").await;
    let constraint = Constraint { kind: "quota".to_owned(), id: house.sale.quota.to_string() };
    let refused = Refusal { code: RefusalCode::SoldOut, constraint: Some(constraint) };
    let (reply, ()) = tokio::join!(house.register(500), house.carry_out_order(Some(refused)));
    assert_eq!((reply.status, reply.code()), (409, "sold_out"));
    assert!(reply.body["detail"].as_str().unwrap().contains(&house.sale.quota.to_string()));
    assert!(house.sale.list("registrations").await.is_empty());
    house.end().await;
}

#[tokio::test]
async fn a_silent_gate_makes_it_later() {
    let house = House::open("silent").await;
    let reply = house.register(1).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let operation = reply.header("location").unwrap().to_owned();
    assert!(operation.starts_with("/api/v1/operations/"), "{operation}");
    let pending = house.sale.client.get(&operation).await.unwrap();
    assert_eq!(pending.body["status"], json!("pending"));
    house.carry_out_order(None).await;
    house.gate.worked_off().await;
    let done = house.sale.client.get(&operation).await.unwrap();
    assert_eq!(done.body["status"], json!("done"));
    assert_eq!(house.sale.list("registrations").await.len(), 1);
    house.end().await;
}

#[tokio::test]
async fn the_journal_is_fetched_acknowledged_and_projected() {
    let house = House::open("fetch").await;
    house.event_document(|_| true).await;
    let ticket_type = house.sale.ticket_type;
    let order = Uuid::from_u128(0xA000_0000_0000_4000_8000_0000_0000_0001);
    // More than a page.
    house.gate.write(house.sale.event, |journal| {
        journal.order(order, &[(ticket_type, 2, 0)]);
        for _ in 0..1_100 {
            journal.scan(Some(1), Verdict::Deny);
        }
        journal.scan(Some(2), Verdict::Admit);
    });
    house.gate.worked_off().await;
    let rows = house.sale.list("registrations").await;
    let status = |ticket: i64| {
        let row = rows.iter().find(|row| row["ticket_number"] == json!(ticket)).unwrap();
        row["status"].clone()
    };
    assert_eq!((status(1), status(2)), (json!("confirmed"), json!("checked_in")));
    let acks = house.gate.acks();
    assert_eq!(acks.last().unwrap()["seq"], json!(1_102));
    assert_eq!(acks.last().unwrap()["consumer"], json!("backoffice"));
    assert!(acks.len() >= 3, "a page at a time is acknowledged: {acks:?}");
    house.end().await;
}

#[tokio::test]
async fn a_gate_with_another_journal_stops_the_event() {
    let house = House::open("fork").await;
    house.event_document(|_| true).await;
    house.gate.refuse_acks();
    house.gate.write(house.sale.event, |journal| journal.scan(None, Verdict::Deny));
    house.gate.worked_off().await;
    let cursor = house.sale.get("gate-cursors", house.sale.event).await;
    assert_eq!(cursor["state"], json!("stopped"));
    house.gate.write(house.sale.event, |journal| journal.scan(None, Verdict::Deny));
    house.gate.worked_off().await;
    let cursor = house.sale.get("gate-cursors", house.sale.event).await;
    assert_eq!(cursor["seq"], json!(1));
    house.end().await;
}

#[tokio::test]
async fn the_catalogue_is_a_snapshot_and_then_its_changes() {
    let house = House::open("catalogue").await;
    let first = house.event_document(|_| true).await;
    let config = &first["body"]["config"];
    assert_eq!(config["number"], json!(house.sale.number));
    assert_eq!(config["status"], json!("on_sale"));
    assert_eq!(config["ticket_types"][0]["price"], json!(4_250));
    assert_eq!(config["ticket_types"][0]["tax_rate_bp"], json!(700));
    assert_eq!(config["ticket_types"][0]["zones"], json!([0]));
    assert_eq!(first["organization"], json!(house.sale.org.id));
    let config: inventory::config::EventConfig = serde_json::from_value(config.clone()).unwrap();
    assert_eq!(config.event, house.sale.event);

    // Someone waits for what comes, and hears of it as soon as it is published.
    let cursor = house.catalogue(0, 0).await["cursor"].as_u64().unwrap();
    let (news, ()) = tokio::join!(house.catalogue(cursor, NEWS_MS), async {
        create(&house.sale.client, "ticket-types", &ticket_type(house.sale.event, "Gallery")).await;
    });
    assert_eq!(news["changes"][0]["id"], json!(house.sale.event));
    let shown = |change: &Value| change["config"]["ticket_types"][1].clone();
    let gallery = shown(&news["changes"][0]["body"]);
    assert_eq!((&gallery["name"], &gallery["active"]), (&json!("Gallery"), &json!(false)));

    // Nothing bounds the new type yet, so it is not sold; nor once its link has gone.
    let pair = json!({"quota_id": house.sale.quota, "ticket_type_id": gallery["id"]});
    let pair = create(&house.sale.client, "quota-ticket-types", &pair).await;
    house.event_document(|body| shown(body)["active"] == json!(true)).await;
    let path = format!("/api/v1/quota-ticket-types/{pair}");
    assert!(house.sale.client.delete(&path).await.unwrap().status < 300);
    house.event_document(|body| shown(body)["active"] == json!(false)).await;

    // Several changes, one newest document.
    for size in [30, 40] {
        let path = format!("/api/v1/quotas/{}", house.sale.quota);
        house.sale.client.patch(&path, &json!({"size": size})).await.unwrap();
    }
    let size = |body: &Value| body["config"]["quotas"][0]["size"] == json!(40);
    let newest = house.event_document(size).await;
    let snapshot = house.catalogue(0, 0).await;
    let events = snapshot["changes"].as_array().unwrap().iter();
    assert_eq!(events.filter(|change| change["id"] == json!(house.sale.event)).count(), 1);
    assert!(newest["cursor"].as_u64() > first["cursor"].as_u64());

    // Nothing new is an answer without changes; a cursor from the future says where we are.
    let now = snapshot["cursor"].as_u64().unwrap();
    assert_eq!(house.catalogue(now, 1).await["changes"], json!([]));
    assert_eq!(house.catalogue(now + 10, NEWS_MS).await["cursor"], json!(now));
    house.end().await;
}

#[tokio::test]
async fn devices_and_keys_reach_the_gate() {
    let house = House::open("devices").await;
    let device = json!({"name": "Lane 1", "lanes": ["North 1"], "directions": "entry"});
    let device = create(&house.sale.client, "check-in-devices", &device).await;
    let pair = json!({"device_id": device, "event_id": house.sale.event});
    create(&house.sale.client, "check-in-device-events", &pair).await;
    let issued = house.sale.act("check-in-devices", device, "issue-token", &json!({})).await;
    let token = issued.body["token"].as_str().unwrap().to_owned();
    let shown = house.until(0, |c| c["id"] == json!(device) && !c["body"].is_null()).await;
    let body = &shown["body"];
    assert_eq!((&body["lanes"], &body["directions"]), (&json!(["North 1"]), &json!(["entry"])));
    assert_eq!((&body["events"], &body["revoked"]), (&json!([house.sale.event]), &json!(false)));
    assert!(!shown.to_string().contains(&token), "the gate needs the hash alone");
    assert!(!house.sale.get("check-in-devices", device).await.to_string().contains("token_hash"));
    house.sale.act("check-in-devices", device, "revoke", &json!({})).await;
    house.until(0, |c| c["id"] == json!(device) && c["body"]["revoked"] == json!(true)).await;

    let rotate = json!({"event_id": house.sale.event});
    let rotated = house.sale.client.post("/api/v1/event-keys/rotate", &rotate).await.unwrap();
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    let two = house.event_document(|body| body["keys"].as_array().map(Vec::len) == Some(2)).await;
    let master = keys::MasterKey::from_bytes([7; 32]);
    let sealed: Vec<keys::SealedKey> = serde_json::from_value(two["body"]["keys"].clone()).unwrap();
    assert!(sealed.iter().all(|key| key.open(&master).is_ok()));
    // Tickets of the first stay good however far the event is moved; the second signs.
    assert!(sealed.iter().all(|key| key.public.not_after.is_none()));
    let soon = sealed.iter().map(|key| key.public.not_before).max().unwrap();
    let signs = keys::current(&sealed, house.sale.number, soon).unwrap();
    assert_eq!(json!(signs.public.kid().to_string()), rotated.body["kid"]);
    let retire = json!({"event_id": house.sale.event, "retire_at": "2026-11-20T00:00:00Z"});
    let past = house.sale.client.post("/api/v1/event-keys/rotate", &retire).await.unwrap();
    assert_eq!((past.status, past.fields()), (422, vec!["retire_at"]), "{}", past.body);
    let key = id(&rotated.body["id"]);
    let revoked = house.sale.act("event-keys", key, "revoke", &json!({})).await;
    assert!(revoked.body["revoked_at"].is_string(), "{}", revoked.body);
    let is_revoked = |key: &Value| key["revoked_at"].is_number();
    house.event_document(|body| body["keys"].as_array().unwrap().iter().any(is_revoked)).await;
    house.end().await;
}

#[tokio::test]
async fn calling_an_event_off_tells_the_gate() {
    let house = House::open("cancel").await;
    let reason = json!({"reason": "storm"});
    let reply = house.sale.act("events", house.sale.event, "cancel", &reason).await;
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("canceled")));
    house.instruction("event.cancel").await;
    house.event_document(|body| body["config"]["status"] == json!("canceled")).await;
    house.end().await;
}

#[tokio::test]
async fn a_document_that_is_too_large_holds_nobody_up() {
    let house = House::open("large").await;
    let large = Sale::open(&house.server).await;
    house.until(0, |change| change["id"] == json!(large.event)).await;
    let admin = house.db.superuser().await.unwrap();
    // Without triggers, so that one change tells of all of them.
    admin.execute("set session_replication_role = replica", &[]).await.unwrap();
    let sql = "insert into ticket_types (org_id, event_id, number, name, price, price_currency) \
               select $1, $2, n, lpad(n::text, 300, 'x'), 1, 'EUR' from generate_series(2, 4000) n";
    admin.execute(sql, &[&large.org.id, &large.event]).await.unwrap();
    for sale in [&large, &house.sale] {
        let path = format!("/api/v1/quotas/{}", sale.quota);
        let patched = sale.client.patch(&path, &json!({"size": 77})).await.unwrap();
        assert_eq!(patched.status, 200, "{}", patched.body);
    }
    house.event_document(|body| body["config"]["quotas"][0]["size"] == json!(77)).await;
    let kept = house.until(0, |change| change["id"] == json!(large.event)).await;
    assert_eq!(kept["body"]["config"]["quotas"][0]["size"], json!(20), "its last one stays out");
    house.end().await;
}

#[tokio::test]
async fn a_page_has_a_bound_in_bytes() {
    let house = House::open("bytes").await;
    let first = house.event_document(|_| true).await;
    let admin = house.db.superuser().await.unwrap();
    let sql = "insert into catalogue_documents (id, org_id, kind, cursor, body) \
               select gen_random_uuid(), $1, 'device', 1000 + n, to_json(repeat('x', 1900000)) \
                 from generate_series(1, 12) n";
    admin.execute(sql, &[&house.sale.org.id]).await.unwrap();
    let (mut after, mut pages) = (0, Vec::new());
    loop {
        let page = house.catalogue(after, 0).await;
        pages.push(page["changes"].as_array().unwrap().len());
        after = page["cursor"].as_u64().unwrap();
        if page["more"] == json!(false) {
            break;
        }
    }
    // Eight of them are below 16 MiB; the event stands before them.
    assert_eq!((pages, after), (vec![9, 4], 1_012), "{first}");
    house.end().await;
}

#[tokio::test]
async fn what_is_long_gone_leaves_the_catalogue() {
    let db = TestDb::create("gone", &migrations::scripts()).await.unwrap();
    let admin = db.superuser().await.unwrap();
    let sql = "insert into catalogue_documents (id, org_id, kind, cursor, gone_at) \
               select gen_random_uuid(), gen_random_uuid(), 'instruction', n, \
                      now() - n * interval '23 hours' from generate_series(1, 3) n";
    admin.execute(sql, &[]).await.unwrap();
    let house = House::over(db).await;
    house.event_document(|_| true).await;
    // The clean-up is due now.
    let sql = "update cron_ticks set next_at = now() where name = 'catalogue.sweep'";
    let sweep = async {
        while admin.execute(sql, &[]).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        let sql =
            "select cursor from catalogue_documents where kind = 'instruction' and cursor > 1";
        while !admin.query(sql, &[]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sweep).await.expect("they leave");
    let sql = "select cursor from catalogue_documents where kind = 'instruction' order by cursor";
    let left: Vec<i64> = admin.query(sql, &[]).await.unwrap().iter().map(|r| r.get(0)).collect();
    assert_eq!(left, [1]);
    house.end().await;
}

#[tokio::test]
async fn the_feed_wants_its_token_and_its_parameters() {
    let house = House::open("token").await;
    let path = "/internal/v1/catalogue?after=0";
    let stranger = house.server.internal.with_bearer("another-token-altogether");
    assert_eq!(stranger.get(path).await.unwrap().status, 401);
    for query in ["after=-1", "after=x", "limit=1.5", "cursor=1"] {
        let path = format!("/internal/v1/catalogue?{query}");
        assert_eq!(house.server.internal.get(&path).await.unwrap().status, 400, "{query}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_waiting_gate_is_answered_when_the_service_ends() {
    let house = House::open("ending").await;
    house.event_document(|_| true).await;
    let cursor = house.catalogue(0, 0).await["cursor"].as_u64().unwrap();
    let waiting = house.server.internal.clone();
    let path = format!("/internal/v1/catalogue?after={cursor}&wait_ms={NEWS_MS}");
    let (reply, ()) = tokio::join!(waiting.get(&path), async {
        // Connections are accepted in order: when later ones were answered, that one waits.
        for _ in 0..5 {
            house.catalogue(0, 0).await;
        }
        house.end().await;
    });
    let reply = reply.expect("an answer, not a dropped connection");
    assert_eq!((reply.status, &reply.body["changes"]), (200, &json!([])));
}

/// Longest time in which a whole organization is seeded.
const SEED_WAIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_seed_finds_what_it_made() {
    let db = TestDb::create("seed", &migrations::scripts()).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let seed = async |before: Option<&Value>| {
        let seeded = tokio::time::timeout(SEED_WAIT, seeds::run(&server.service, before));
        seeded.await.unwrap().unwrap()
    };
    let first = seed(None).await;
    assert!(first["ticket_type_capacity"].as_i64().unwrap() >= 2_000);
    assert_eq!(seed(Some(&first)).await, first);
    // Who lost the file gets new tokens for the same rows.
    let lost = seed(None).await;
    for same in ["organization_id", "event_id", "event_number", "ticket_type_id", "zone"] {
        assert_eq!(lost[same], first[same], "{same}");
    }
    for new in ["api_token", "device_token", "admin_password"] {
        assert_ne!(lost[new], first[new], "{new}");
    }
    let client = server.client.with_bearer(lost["api_token"].as_str().unwrap());
    let path = format!("/api/v1/events/{}", lost["event_id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.unwrap().body["status"], json!("on_sale"));
    server.end().await.unwrap();
}
