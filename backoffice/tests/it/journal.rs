//! A gate's journal as the back office sees it, built entry by entry from the journal's own types,
//! with a chain of hashes that is real.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use inventory::command::{
    Channel, Digest16, Direction, FirstScan, LineView, PaymentMethod, Reason, Verdict,
};
use inventory::entry::{Entry, Hash, Head, VERSION};
use inventory::fact::{Base64, Fact, IssuedTicket, OrderConfirmed, ScanDecided};
use inventory::personal::{self, Person, Personal};
use inventory::time::Millis;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use ticketing::Page;
use uuid::Uuid;

/// 2026-11-21T19:00:00Z; each entry comes a second after the one before.
const BEGIN_MS: i64 = 1_795_287_600_000;

#[derive(Clone)]
pub(crate) struct Journal {
    pub(crate) event: Uuid,
    pub(crate) entries: Vec<Entry>,
    pub(crate) keys: BTreeMap<Uuid, String>,
    tickets: u64,
    orders: u64,
}

impl Journal {
    pub(crate) fn new(event: Uuid) -> Self {
        Self { event, entries: Vec::new(), keys: BTreeMap::new(), tickets: 0, orders: 0 }
    }

    pub(crate) fn head(&self) -> Head {
        self.entries.last().map_or_else(|| Head::genesis(self.event), Entry::head)
    }

    pub(crate) fn push(&mut self, fact: &Fact) -> u64 {
        let text = serde_json::to_value(fact).unwrap();
        self.push_raw(text["kind"].as_str().unwrap(), &text["data"].to_string(), VERSION)
    }

    pub(crate) fn push_raw(&mut self, kind: &str, data: &str, v: u16) -> u64 {
        let head = self.head();
        let seq = head.seq + 1;
        self.entries.push(Entry {
            seq,
            prev_hash: head.hash,
            at: Millis(BEGIN_MS + i64::try_from(seq).unwrap() * 1_000),
            v,
            kind: kind.to_owned(),
            data: RawValue::from_string(data.to_owned()).unwrap(),
        });
        seq
    }

    /// An order of these lines (type, quantity, price of the line in cents) with one attendee a
    /// ticket, `Guest 1`, `Guest 2` … Answers its ticket numbers.
    pub(crate) fn order(&mut self, order: Uuid, lines: &[(Uuid, u32, i64)]) -> Vec<u64> {
        self.orders += 1;
        let mut tickets = Vec::new();
        for (ticket_type, quantity, _) in lines {
            for _ in 0..*quantity {
                self.tickets += 1;
                tickets.push(IssuedTicket {
                    ticket: self.tickets,
                    ticket_type: *ticket_type,
                    seat: None,
                });
            }
        }
        let person = |name: String| Person { email: "guest@example.org".to_owned(), name };
        let personal = Personal {
            buyer: person("Buyer".to_owned()),
            attendees: tickets.iter().map(|t| person(format!("Guest {}", t.ticket))).collect(),
        };
        let sealed = personal::seal(&personal, self.event, order).unwrap();
        self.keys.insert(order, BASE64.encode(&sealed.key.0));
        let numbers = tickets.iter().map(|issued| issued.ticket).collect();
        self.push(&Fact::OrderConfirmed(Box::new(OrderConfirmed {
            order,
            number: self.orders,
            code: format!("CODE{:04}", self.orders),
            hold: None,
            channel: Channel::Shop,
            payment: PaymentMethod::Invoice,
            currency: "EUR".to_owned(),
            lines: lines.iter().map(line).collect(),
            tickets,
            buyer: None,
            promo: None,
            secret_hash: Hash([1; 32]),
            personal: Base64(sealed.bytes),
            until: None,
            key: None,
        })));
        numbers
    }

    pub(crate) fn scan(&mut self, ticket: Option<u64>, verdict: Verdict) -> u64 {
        let reason = match (verdict, ticket) {
            (Verdict::Admit | Verdict::Reserve | Verdict::Ask, _) => None,
            (Verdict::Deny, Some(_)) => Some(Reason::AlreadyUsed),
            (Verdict::Deny, None) => Some(Reason::UnknownTicket),
        };
        self.scan_for(ticket, verdict, reason)
    }

    pub(crate) fn scan_for(
        &mut self,
        ticket: Option<u64>,
        verdict: Verdict,
        reason: Option<Reason>,
    ) -> u64 {
        self.push(&Fact::ScanDecided(Box::new(ScanDecided {
            device: Uuid::from_u128(7),
            lane: "North 3".to_owned(),
            zone: "main".to_owned(),
            direction: Direction::Entry,
            nonce: Digest16([0; 16]),
            request: Digest16([0; 16]),
            ticket,
            verdict,
            reason,
            first_scan: reason
                .and(ticket)
                .map(|_| FirstScan { at: Millis(BEGIN_MS), lane: "North 1".to_owned() }),
            forced: false,
            by: None,
            lease_until: None,
            answers: None,
        })))
    }

    /// Entries with seq > `after` as the gate sends them, through its JSON text.
    pub(crate) fn page(&self, after: u64, limit: usize) -> Page {
        serde_json::from_str(&self.page_text(after, limit)).unwrap()
    }

    pub(crate) fn page_text(&self, after: u64, limit: usize) -> String {
        let entries: Vec<&Entry> =
            self.entries.iter().filter(|entry| entry.seq > after).take(limit).collect();
        let entries = serde_json::to_string(&entries).unwrap();
        let (event, head) = (self.event, serde_json::to_string(&self.head()).unwrap());
        let keys = json!(self.keys);
        format!(r#"{{"event":"{event}","entries":{entries},"keys":{keys},"head":{head}}}"#)
    }
}

fn line((ticket_type, quantity, price): &(Uuid, u32, i64)) -> LineView {
    LineView {
        ticket_type: *ticket_type,
        quantity: *quantity,
        price: *price,

        fee: 100 * i64::from(*quantity),
        tax: *price / 10,
        ..LineView::default()
    }
}

/// The instant of an entry as the API shows it.
pub(crate) fn instant(seq: u64) -> Value {
    let ms = BEGIN_MS + i64::try_from(seq).unwrap() * 1_000;
    json!(jiff::Timestamp::from_millisecond(ms).unwrap())
}
