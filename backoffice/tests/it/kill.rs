//! `backoffice work` killed at any moment while it reads a journal: in the end every entry counts
//! once.

use inventory::command::Verdict;
use kernel::testkit::{JOURNAL_TOKEN, TestDb, TestServer};
use serde_json::json;
use uuid::Uuid;

use crate::gate::FakeGate;
use crate::journal::Journal;
use crate::registry;
use crate::sale::Sale;
use crate::worker::Process;

/// Orders between two kills.
const ORDERS: u32 = 20;
const KILLS: u32 = 12;
/// A worker asks for heads, a page, acknowledges, projects, asks for heads again.
const QUESTIONS: u32 = 4;

/// Orders of two tickets, each scanned twice: five entries an order.
fn sell(journal: &mut Journal, ticket_type: Uuid, batch: u32) {
    for n in 0..ORDERS {
        let order = Uuid::from_u64_pair(0xA000_0000_0000_4000 + u64::from(batch), u64::from(n));
        for ticket in journal.order(order, &[(ticket_type, 2, 8_500)]) {
            journal.scan(Some(ticket), Verdict::Admit);
            journal.scan(Some(ticket), Verdict::Deny);
        }
    }
}

#[tokio::test]
async fn a_killed_reader_loses_and_doubles_nothing() {
    let db = TestDb::create("kill", &migrations::scripts()).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let gate = FakeGate::start(JOURNAL_TOKEN).await;
    let sale = Sale::open(&server).await;
    let mut worker = Process::work(&db, &[("GATE_INTERNAL_URL", &gate.url)]);
    for kill in 0..KILLS {
        gate.write(sale.event, |journal| sell(journal, sale.ticket_type, kill));
        // Somewhere within its work.
        gate.asked(u64::from(kill % QUESTIONS) + 1).await;
        drop(worker);
        worker = Process::work(&db, &[("GATE_INTERNAL_URL", &gate.url)]);
    }
    gate.worked_off().await;
    drop(worker);

    let admin = db.superuser().await.unwrap();
    let count = async |sql: &str| -> i64 { admin.query_one(sql, &[]).await.unwrap().get(0) };
    let orders = i64::from(ORDERS * KILLS);
    for (table, rows) in [
        ("gate_journal", 5 * orders),
        ("ticket_orders", orders),
        ("event_registrations where status = 'checked_in'", 2 * orders),
        ("registration_line_items", 2 * orders),
        ("credential_access_log", 4 * orders),
        ("gate_parked", 0),
    ] {
        assert_eq!(count(&format!("select count(*) from {table}")).await, rows, "{table}");
    }
    let cursor = sale.get("gate-cursors", sale.event).await;
    assert_eq!(cursor["projected_seq"], json!(5 * orders));
    server.end().await.unwrap();
}
