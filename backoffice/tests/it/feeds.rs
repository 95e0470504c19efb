//! The journal on this side: stored exactly once, stopped at a fork, projected in order, parked and
//! tried again. Pages are handed in; the loop that fetches them is in `walk`.

use std::sync::Arc;
use std::time::Duration;

use inventory::command::{Reason, Verdict};
use inventory::fact::Fact;
use jiff::Timestamp;
use kernel::clock::ManualClock;
use kernel::cx::{Actor, Cx};
use kernel::service::Service;
use kernel::testkit::{TestServer, settings};
use serde_json::{Value, json};
use ticketing::{Page, Progress, Stored};
use uuid::Uuid;

use crate::journal::{Journal, instant};
use crate::sale::{Sale, entity, id, object, ticket_type};
use crate::{database, registry};

struct House {
    server: TestServer,
    clock: Arc<ManualClock>,
    sale: Sale,
}

impl House {
    async fn open() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap()));
        let settings = settings(database().await);
        let server = TestServer::start_with(registry(), settings, clock.clone()).await.unwrap();
        let sale = Sale::open(&server).await;
        Self { server, clock, sale }
    }

    fn service(&self) -> &Service {
        &self.server.service
    }

    async fn cx(&self) -> Cx {
        self.service().begin(Actor::Service("journal"), self.sale.org.id).await.unwrap()
    }

    async fn store(&self, page: &Page) -> Stored {
        let cx = self.cx().await;
        let stored = ticketing::store(&cx, page).await.unwrap();
        cx.commit().await.unwrap();
        stored
    }

    async fn project(&self) -> Progress {
        let cx = self.cx().await;
        let progress = ticketing::project(&cx, self.sale.event).await.unwrap();
        cx.commit().await.unwrap();
        progress
    }

    /// Stores all of a journal and projects it.
    async fn read(&self, journal: &Journal) -> Progress {
        let stored = self.store(&journal.page(0, usize::MAX)).await;
        assert_eq!(stored, Stored::UpTo(journal.head()));
        self.project().await
    }

    async fn count(&self, table: &str) -> i64 {
        let cx = self.cx().await;
        let sql = format!("select count(*) from {table} where event_id = $1");
        let count = cx.query_one(&sql, &[&self.sale.event]).await.unwrap().get(0);
        cx.rollback().await.unwrap();
        count
    }

    async fn registrations(&self) -> Vec<Value> {
        let mut rows = self.sale.list("registrations").await;
        rows.sort_by_key(|row| row["ticket_number"].as_i64());
        rows
    }
}

fn order(n: u128) -> Uuid {
    Uuid::from_u128(0xA000_0000_0000_4000_8000_0000_0000_0000 + n)
}

/// Ids that differ between tests: they share a database, but not an organization.
fn fresh() -> Uuid {
    Uuid::new_v4()
}

#[tokio::test]
async fn pages_are_stored_exactly_once() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    // Spaces and order of members must come back as they were, or no hash can be checked again.
    journal.push_raw("hold.released", r#"{ "zulu": 1.50, "hold":"x",  "alpha":"ä€" }"#, 1);
    journal.order(order(1), &[(house.sale.ticket_type, 2, 8_500)]);
    journal.scan(Some(1), Verdict::Admit);
    for (after, limit) in [(0, 2), (0, 2), (1, 2), (0, 3), (2, 9)] {
        house.store(&journal.page(after, limit)).await;
    }
    assert_eq!(house.store(&journal.page(0, 3)).await, Stored::UpTo(journal.head()));
    assert_eq!(house.count("gate_journal").await, 3);
    let cx = house.cx().await;
    let sql = "select data, hash from gate_journal where event_id = $1 order by seq";
    let rows = cx.query(sql, &[&house.sale.event]).await.unwrap();
    for (row, entry) in rows.iter().zip(&journal.entries) {
        assert_eq!(row.get::<_, String>(0), entry.data.get());
        assert_eq!(row.get::<_, Vec<u8>>(1), entry.hash().0);
    }
}

#[tokio::test]
async fn two_readers_at_once_store_once() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    for _ in 0..50 {
        journal.scan(None, Verdict::Deny);
    }
    let page = journal.page(0, 100);
    let (a, b, c) = tokio::join!(house.store(&page), house.store(&page), house.store(&page));
    assert_eq!([a, b, c], [(); 3].map(|()| Stored::UpTo(journal.head())));
    let (a, b) = tokio::join!(house.project(), house.project());
    assert_eq!((a.projected_seq, b.projected_seq), (50, 50));
    assert_eq!(house.count("gate_journal").await, 50);
    assert_eq!(house.count("credential_access_log").await, 50);
}

/// What a page that contradicts the stored journal does: nothing is stored, the event stops for
/// good, the cause is there for a person to read.
#[track_caller]
fn stopped(stored: Stored, cause: &str) {
    match stored {
        Stored::Stopped { cause: found } => assert!(found.contains(cause), "{found}"),
        Stored::UpTo(head) => panic!("the event went on to {}", head.seq),
    }
}

#[tokio::test]
async fn another_hash_stops_the_event() {
    let house = House::open().await;
    let mut ours = Journal::new(house.sale.event);
    ours.scan(None, Verdict::Deny);
    let mut theirs = ours.clone();
    ours.scan(None, Verdict::Deny);
    ours.scan(None, Verdict::Deny);
    theirs.push(&Fact::EventCanceled {});
    theirs.scan(None, Verdict::Deny);
    theirs.scan(None, Verdict::Deny);
    house.store(&ours.page(0, 9)).await;
    stopped(house.store(&theirs.page(1, 1)).await, "entry 2 came again with another hash");
    // It stays stopped, even for pages that are right.
    ours.scan(None, Verdict::Deny);
    stopped(house.store(&ours.page(3, 1)).await, "entry 2");
    assert_eq!(house.count("gate_journal").await, 3);
    let cursor = house.sale.get("gate-cursors", house.sale.event).await;
    assert_eq!((&cursor["state"], &cursor["seq"]), (&json!("stopped"), &json!(3)));
    // Until a person has looked.
    let resume =
        async || house.sale.act("gate-cursors", house.sale.event, "resume", &json!({})).await;
    assert_eq!(resume().await.status, 200);
    assert_eq!(resume().await.code(), "invalid_transition");
    assert_eq!(house.store(&ours.page(3, 1)).await, Stored::UpTo(ours.head()));
}

#[tokio::test]
async fn a_break_in_the_chain_stops_the_event() {
    let house = House::open().await;
    let mut ours = Journal::new(house.sale.event);
    ours.scan(None, Verdict::Deny);
    let mut theirs = Journal::new(house.sale.event);
    theirs.push(&Fact::EventCanceled {});
    theirs.scan(None, Verdict::Deny);
    house.store(&ours.page(0, 1)).await;
    stopped(house.store(&theirs.page(1, 1)).await, "entry 2 does not follow entry 1");
}

#[tokio::test]
async fn a_gap_in_the_chain_stops_the_event() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    for _ in 0..3 {
        journal.scan(None, Verdict::Deny);
    }
    house.store(&journal.page(0, 1)).await;
    stopped(house.store(&journal.page(2, 1)).await, "entry 3 came after entry 1");
}

#[tokio::test]
async fn the_journal_becomes_rows() {
    let house = House::open().await;
    let other = house.cx().await;
    let body = object(ticket_type(house.sale.event, "Gallery"));
    let mut other = other;
    let gallery = other.create(entity(registry(), "ticket_types"), body).await.unwrap();
    other.commit().await.unwrap();
    let mut journal = Journal::new(house.sale.event);
    let lines = [(house.sale.ticket_type, 3, 10_000), (gallery, 1, 2_000)];
    journal.order(order(1), &lines);
    let admitted = journal.scan(Some(2), Verdict::Admit);
    let denied = journal.scan(Some(2), Verdict::Deny);
    journal.scan(None, Verdict::Deny);
    journal.push(&Fact::TicketBlocked { ticket: 3 });
    journal.push(&Fact::TicketReissued { ticket: 1, revision: 4, seat: None, key: None });
    let canceled = journal.push(&Fact::OrderCanceled {
        order: order(1),
        positions: vec![4],
        refunds: vec![],
        key: None,
    });
    let progress = house.read(&journal).await;
    assert_eq!((progress.projected_seq, progress.more, progress.retry_at), (7, false, None));

    let rows = house.registrations().await;
    let fields = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    let texts = |words: [&str; 4]| words.map(|word| json!(word)).to_vec();
    let number = house.sale.number;
    assert_eq!(fields("status"), texts(["confirmed", "checked_in", "confirmed", "canceled"]));
    let tickets = [1, 2, 3, 4].map(|ticket| json!(format!("{number}-{ticket}")));
    assert_eq!(fields("ticket"), tickets);
    assert_eq!(fields("attendee_name"), texts(["Guest 1", "Guest 2", "Guest 3", "Guest 4"]));
    assert_eq!(fields("blocked"), [false, false, true, false].map(|it| json!(it)));
    assert_eq!(fields("revision"), [4, 0, 0, 0].map(|it| json!(it)));
    assert_eq!(rows[1]["checked_in_at"], instant(admitted));
    assert_eq!(rows[3]["canceled_at"], instant(canceled));
    assert_eq!(id(&rows[3]["ticket_type_id"]), gallery);

    let money = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    let orders = house.sale.list("ticket-orders").await;
    assert_eq!(orders.len(), 1);
    assert_eq!((&orders[0]["total"], &orders[0]["tax"]), (&money("124.00"), &money("12.00")));
    assert_eq!(
        (&orders[0]["status"], &orders[0]["buyer_name"]),
        (&json!("confirmed"), &json!("Buyer"))
    );

    let items = house.sale.list("registration-line-items").await;
    let of = |row: &Value| items.iter().find(|item| item["registration_id"] == row["id"]).unwrap();
    let prices = rows.iter().map(|row| of(row)["price"].clone()).collect::<Vec<_>>();
    assert_eq!(prices, ["33.34", "33.33", "33.33", "20.00"].map(money));
    assert_eq!(of(&rows[0])["total"], money("34.34"));
    assert_eq!(of(&rows[3])["description"], json!("Gallery"));

    let log = house.sale.list("credential-access-log").await;
    let verdicts: Vec<&Value> = log.iter().map(|row| &row["verdict"]).collect();
    assert_eq!(verdicts, [&json!("admit"), &json!("deny"), &json!("deny")]);
    assert_eq!(log[1]["reason"], json!("already_used"));
    assert_eq!(log[1]["scan"], json!(format!("{number}-{denied}")));
    assert_eq!(log[1]["registration_id"], rows[1]["id"]);
    assert_eq!(
        (&log[2]["registration_id"], &log[2]["ticket_number"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_refusal_by_a_rule_is_logged_with_its_name() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(house.sale.ticket_type, 1, 8_500)]);
    for reason in [Reason::TooSoon, Reason::Evacuation, Reason::Blocked] {
        journal.scan_for(Some(1), Verdict::Deny, Some(reason));
    }
    house.read(&journal).await;
    let log = house.sale.list("credential-access-log").await;
    let told: Vec<_> = log.iter().map(|row| (&row["reason"], &row["rule"])).collect();
    let expected = [
        (json!("rules"), json!("interval")),
        (json!("rules"), json!("evacuation")),
        (json!("blocked"), Value::Null),
    ];
    assert_eq!(told, expected.each_ref().map(|(reason, rule)| (reason, rule)));
}

#[tokio::test]
async fn an_order_is_canceled_with_its_last_ticket() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(house.sale.ticket_type, 2, 8_500)]);
    for (ticket, status) in [(1, "confirmed"), (2, "canceled")] {
        let positions = vec![ticket];
        journal.push(&Fact::OrderCanceled {
            order: order(1),
            positions,
            refunds: vec![],
            key: None,
        });
        house.read(&journal).await;
        assert_eq!(house.sale.list("ticket-orders").await[0]["status"], json!(status));
    }
}

#[tokio::test]
async fn what_was_not_committed_is_done_once_later() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(house.sale.ticket_type, 2, 8_500)]);
    journal.scan(Some(1), Verdict::Admit);
    house.store(&journal.page(0, 9)).await;
    // As if the process were killed before its commit.
    let cx = house.cx().await;
    let progress = ticketing::project(&cx, house.sale.event).await.unwrap();
    assert_eq!(progress.projected_seq, 2);
    drop(cx);
    assert_eq!(house.count("event_registrations").await, 0);
    for _ in 0..3 {
        assert_eq!(house.project().await.projected_seq, 2);
    }
    assert_eq!(house.count("event_registrations").await, 2);
    assert_eq!(house.count("credential_access_log").await, 1);
}

#[tokio::test]
async fn an_entry_that_fails_waits_with_its_order_while_others_go_on() {
    let house = House::open().await;
    let unknown = fresh();
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(unknown, 1, 1_000)]);
    journal.order(order(2), &[(house.sale.ticket_type, 1, 1_000)]);
    journal.scan(Some(1), Verdict::Admit);
    journal.scan(Some(2), Verdict::Admit);
    journal.push(&Fact::OrderCanceled {
        order: order(1),
        positions: vec![1],
        refunds: vec![],
        key: None,
    });
    let progress = house.read(&journal).await;
    assert_eq!((progress.projected_seq, progress.more), (5, false));
    let parked = house.sale.list("gate-parked").await;
    let mut seqs: Vec<i64> = parked.iter().map(|row| row["seq"].as_i64().unwrap()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [1, 3, 5]);
    assert!(parked.iter().all(|row| id(&row["order_id"]) == order(1)));
    assert_eq!(house.registrations().await.len(), 1);

    // Before it is due nothing is tried; when it is due and still fails, it waits longer.
    let due = progress.retry_at.unwrap();
    assert_eq!(house.project().await.retry_at, Some(due));
    house.clock.advance(Duration::from_secs(2));
    let later = house.project().await.retry_at.unwrap();
    assert!(later > due);

    let mut cx = house.cx().await;
    let mut body = object(ticket_type(house.sale.event, "Late"));
    body.insert("id".to_owned(), json!(unknown));
    cx.create(entity(registry(), "ticket_types"), body).await.unwrap();
    cx.commit().await.unwrap();
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.project().await.retry_at, None);
    let rows = house.registrations().await;
    assert_eq!((rows.len(), &rows[0]["status"]), (2, &json!("canceled")));
    assert_eq!(rows[0]["checked_in_at"], instant(3));
    assert_eq!(house.count("credential_access_log").await, 2);
    let parked = house.sale.list("gate-parked").await;
    assert!(parked.iter().all(|row| row["state"] == json!("done")), "{parked:?}");
}

#[tokio::test]
async fn kinds_and_versions_that_are_not_read_here_are_parked() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.push_raw("ticket.upgraded", "{}", 1);
    journal.push_raw("event.canceled", "{}", 9);
    // A field that is not known here is no reason.
    journal.push_raw("ticket.blocked", r#"{"ticket":1,"because":"new"}"#, 1);
    journal.push_raw(
        "hold.released",
        r#"{"hold":"0197f6a0-0000-7000-8000-000000000001","x":1}"#,
        1,
    );
    house.read(&journal).await;
    let parked = house.sale.list("gate-parked").await;
    let mut seqs: Vec<i64> = parked.iter().map(|row| row["seq"].as_i64().unwrap()).collect();
    seqs.sort_unstable();
    // The third is read, but the ticket is nobody's.
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test]
async fn entries_wait_behind_one_of_their_order_that_cannot_be_read() {
    let house = House::open().await;
    let mut readable = Journal::new(house.sale.event);
    readable.order(order(1), &[(house.sale.ticket_type, 2, 8_500)]);
    let mut journal = Journal::new(house.sale.event);
    journal.keys = readable.keys.clone();
    journal.push_raw("order.confirmed", readable.entries[0].data.get(), 9);
    journal.push(&Fact::TicketBlocked { ticket: 1 });
    journal.scan(Some(2), Verdict::Admit);
    journal.push(&Fact::TicketUnblocked { ticket: 1 });
    let due = house.read(&journal).await.retry_at.unwrap();
    let mut parked = house.sale.list("gate-parked").await;
    parked.sort_by_key(|row| row["seq"].as_i64());
    assert!(parked.iter().all(|row| id(&row["order_id"]) == order(1)), "{parked:?}");
    let attempts: Vec<&Value> = parked.iter().map(|row| &row["attempts"]).collect();
    assert_eq!(attempts, [&json!(1), &json!(0), &json!(0), &json!(0)], "the others only wait");

    // The next version of the back office reads it.
    let admin = database().await.superuser().await.unwrap();
    admin.execute("set session_replication_role = replica", &[]).await.unwrap();
    let sql = "update gate_journal set v = 1 where event_id = $1";
    admin.execute(sql, &[&house.sale.event]).await.unwrap();
    house.clock.advance(Duration::from_secs(60));
    assert!(due < house.service().now());
    assert_eq!(house.project().await.retry_at, None);
    let rows = house.registrations().await;
    assert_eq!((rows.len(), &rows[0]["blocked"]), (2, &json!(false)));
    assert_eq!(rows[1]["status"], json!("checked_in"));
}

#[tokio::test]
async fn entries_of_a_ticket_that_nobody_has_keep_their_order() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.push(&Fact::TicketBlocked { ticket: 7 });
    house.read(&journal).await;
    house.clock.advance(Duration::from_secs(2));
    journal.push(&Fact::TicketUnblocked { ticket: 7 });
    house.read(&journal).await;
    let mut parked = house.sale.list("gate-parked").await;
    parked.sort_by_key(|row| row["seq"].as_i64());
    let attempts: Vec<&Value> = parked.iter().map(|row| &row["attempts"]).collect();
    assert_eq!(attempts, [&json!(2), &json!(0)]);
}

#[tokio::test]
async fn an_admission_by_hand_names_the_person_and_no_device() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(house.sale.ticket_type, 1, 8_500)]);
    journal.scan(Some(1), Verdict::Admit);
    let by_hand = journal.entries.pop().unwrap();
    let mut data: Value = serde_json::from_str(by_hand.data.get()).unwrap();
    data["by"] = json!(house.sale.org.owner);
    data["device"] = data["by"].clone();
    journal.push_raw(&by_hand.kind, &data.to_string(), 1);
    house.read(&journal).await;
    let log = house.sale.list("credential-access-log").await;
    assert_eq!((log.len(), id(&log[0]["checked_in_by"])), (1, house.sale.org.owner));
    assert_eq!(log[0]["device_id"], Value::Null);
}

/// The plan's paths, with and without the version. Nothing runs that would tell a gate.
#[tokio::test]
async fn registrations_and_ticket_types_answer_under_both_prefixes() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(house.sale.ticket_type, 1, 8_500)]);
    house.read(&journal).await;
    let row = id(&house.registrations().await[0]["id"]);
    let (client, event, kind) = (&house.sale.client, house.sale.event, house.sale.ticket_type);
    for (prefix, name) in [("/api", "Ada"), ("/api/v1", "Bob")] {
        let registration = format!("{prefix}/registrations/{row}");
        let listed = client.get(&format!("{prefix}/registrations")).await.unwrap();
        assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(1), "{}", listed.body);
        let patch = json!({"attendee_name": name});
        let patched = client.patch(&registration, &patch).await.unwrap();
        assert_eq!((patched.status, &patched.body["attendee_name"]), (200, &json!(name)));
        let found = client.get(&registration).await.unwrap();
        assert_eq!(found.body["attendee_email"], json!("guest@example.org"));
        for field in ["status", "checked_in_at", "blocked", "ticket", "order_id"] {
            let refused = client.patch(&registration, &json!({field: null})).await.unwrap();
            assert_eq!((refused.status, refused.fields()), (422, vec![field]), "{}", refused.body);
        }
        let body = json!({"name": name, "price": {"amount": "1.00", "currency": "EUR"}});
        let types = format!("{prefix}/events/{event}/ticket-types");
        let made = client.post(&types, &body).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(client.get(&types).await.unwrap().status, 200);
        let path = format!("{prefix}/ticket-types/{kind}");
        assert_eq!(client.patch(&path, &json!({"position": 3})).await.unwrap().status, 200);
        // The new type has no quota yet.
        let body = json!({"event_id": event, "ticket_type_id": made.body["id"]});
        let refused = client.post(&format!("{prefix}/registrations"), &body).await.unwrap();
        assert_eq!((refused.status, refused.code()), (409, "not_ready"), "{}", refused.body);
        let refund = client.post(&format!("{registration}/refund"), &json!({})).await.unwrap();
        assert_eq!(refund.code(), "nothing_to_refund");
        for action in ["check-in", "cancel"] {
            let later = client.post(&format!("{registration}/{action}"), &json!({})).await.unwrap();
            assert_eq!(later.status, 202, "{}", later.body);
            let operation = client.get(later.header("location").unwrap()).await.unwrap();
            assert_eq!(operation.body["status"], json!("pending"));
        }
    }
}

#[tokio::test]
async fn personal_data_without_its_key_stays_closed() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(house.sale.ticket_type, 1, 8_500)]);
    journal.keys.clear();
    house.read(&journal).await;
    let rows = house.registrations().await;
    assert_eq!(
        (&rows[0]["attendee_name"], &rows[0]["status"]),
        (&Value::Null, &json!("confirmed"))
    );
}

#[tokio::test]
async fn a_foreign_organization_sees_nothing_of_it() {
    let house = House::open().await;
    let mut journal = Journal::new(house.sale.event);
    journal.order(order(1), &[(house.sale.ticket_type, 1, 8_500)]);
    house.read(&journal).await;
    let stranger = Sale::draft(&house.server).await;
    let cx = house.service().begin(Actor::Service("journal"), stranger.org.id).await.unwrap();
    // The event is not theirs, so neither is its journal.
    assert!(ticketing::store(&cx, &journal.page(0, 9)).await.is_err());
    drop(cx);
    assert!(stranger.list("registrations").await.is_empty());
}
