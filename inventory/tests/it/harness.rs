//! An event to try rules on: one node whose log never fails, a clock to move, a journal to read.

use inventory::command::{
    Command, Digest16, Direction, HoldItem, HoldRequest, HoldView, IdempotencyKey, Instruction,
    OrderRequest, OrderView, PaymentMethod, RefusalCode, Reply, ScanRequest, ScanVerdict, Sealed,
    SeatWish, Subject,
};
use inventory::config::{
    Discount, EventConfig, EventStatus, Passback, PromoConfig, QuotaConfig, TicketTypeConfig,
    ZoneConfig, ZonePolicy,
};
use inventory::entry::Entry;
use inventory::fact::Fact;
use inventory::log::{Appended, DataKey};
use inventory::node::{Node, Settled};
use inventory::state::State;
use inventory::time::Millis;
use uuid::Uuid;

pub(crate) const EVENT: Uuid = Uuid::from_u128(0xE);
/// 42.50 and a fee of 1.50, from quota `SEATS`, to zone `main`.
pub(crate) const STANDARD: Uuid = Uuid::from_u128(0x101);
/// 100.00, from both quotas, to both zones, at most two an order.
pub(crate) const VIP: Uuid = Uuid::from_u128(0x102);
/// Free of charge and unlimited, to zone `main`, rotating.
pub(crate) const FREE: Uuid = Uuid::from_u128(0x103);
pub(crate) const SEATS: Uuid = Uuid::from_u128(0x201);
pub(crate) const LOUNGE: Uuid = Uuid::from_u128(0x202);
/// 2026-11-21T18:00:00Z.
pub(crate) const START: Millis = Millis(1_795_284_000_000);
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) fn config() -> EventConfig {
    EventConfig {
        number: 1_042,
        organization: Uuid::from_u128(0xA),
        name: "Opening night".to_owned(),
        currency: "EUR".to_owned(),
        exponent: 2,
        time_zone: "Europe/Berlin".to_owned(),
        status: EventStatus::OnSale,
        quotas: vec![quota(SEATS, 1, Some(10)), quota(LOUNGE, 2, Some(4))],
        ticket_types: vec![
            TicketTypeConfig { price: 4_250, fee: 150, ..kind(STANDARD, 1, &[1], &[0]) },
            TicketTypeConfig {
                price: 10_000,
                max_per_order: Some(2),
                ..kind(VIP, 2, &[1, 2], &[0, 1])
            },
            TicketTypeConfig { rotating: true, ..kind(FREE, 3, &[], &[0]) },
        ],
        zones: vec![zone(0, "main", None), zone(1, "lounge", Some(2))],
        ..EventConfig::unconfigured(EVENT)
    }
}

pub(crate) fn quota(id: Uuid, number: u16, size: Option<u64>) -> QuotaConfig {
    QuotaConfig { id, number, name: format!("Quota {number}"), size, blocked: 0 }
}

pub(crate) fn kind(id: Uuid, number: u16, quotas: &[u16], zones: &[u8]) -> TicketTypeConfig {
    TicketTypeConfig {
        id,
        number,
        name: format!("Type {number}"),
        tax_rate_bp: 1_900,
        quotas: quotas.to_vec(),
        zones: zones.to_vec(),
        active: true,
        ..TicketTypeConfig::default()
    }
}

pub(crate) fn zone(number: u8, key: &str, capacity: Option<u64>) -> ZoneConfig {
    ZoneConfig {
        id: Uuid::from_u128(0x300 + u128::from(number)),
        number,
        key: key.to_owned(),
        name: key.to_uppercase(),
        policy: ZonePolicy::SingleEntry,
        capacity,
        passback: Passback::Off,
        leaves: Vec::new(),
        exit_to: None,
        opens_at: None,
        closes_at: None,
        exit_all_at_min: None,
    }
}

/// The code `CODE-<n>`: 10 % off everything.
pub(crate) fn promo(n: u8) -> PromoConfig {
    PromoConfig {
        id: promo_id(n),
        code: code(n),
        discount: Some(Discount::Percent { bp: 1_000 }),
        types: Vec::new(),
        from: None,
        until: None,
        max_uses: None,
        max_per_customer: None,
        min_quantity: 0,
        budget: None,
        reserves: Vec::new(),
        active: true,
    }
}

pub(crate) fn promo_id(n: u8) -> Uuid {
    Uuid::from_u128(0x400 + u128::from(n))
}

pub(crate) fn code(n: u8) -> Digest16 {
    inventory::promo::digest(EVENT, &format!("code-{n}"))
}

pub(crate) fn digest(n: u8) -> Digest16 {
    Digest16([n; 16])
}

pub(crate) fn key(scope: u8, body: u8) -> IdempotencyKey {
    IdempotencyKey { scope: digest(scope), body: digest(body) }
}

pub(crate) fn sealed() -> Sealed {
    Sealed { bytes: vec![7; 40], key: DataKey([9; 32]) }
}

/// A scan of a fresh credential at the main zone.
pub(crate) fn scan_of(ticket: u64, nonce: &str) -> ScanRequest {
    ScanRequest {
        device: Uuid::from_u128(0xD),
        lane: "North 3".to_owned(),
        zone: "main".to_owned(),
        direction: Direction::Entry,
        nonce: nonce.to_owned(),
        request: digest(u8::try_from(ticket % 251).unwrap()),
        subject: Subject::Credential { ticket, revision: 0, stale_code: false },
        force: false,
        answers: None,
    }
}

pub(crate) struct House {
    pub(crate) node: Node,
    pub(crate) now: Millis,
    pub(crate) journal: Vec<Entry>,
    pub(crate) cursor: u64,
    fresh_ids: u128,
}

impl House {
    /// On sale, with nothing sold.
    pub(crate) fn open() -> Self {
        let mut house = Self::unconfigured();
        house.configure(config());
        house
    }

    pub(crate) fn unconfigured() -> Self {
        let node = Node::new(State::new(EVENT));
        Self { node, now: START, journal: Vec::new(), cursor: 0, fresh_ids: 0x1_0000 }
    }

    pub(crate) fn fresh_id(&mut self) -> Uuid {
        self.fresh_ids += 1;
        Uuid::from_u128(self.fresh_ids)
    }

    /// Decides one command. Before it, the same command is decided and taken back, which must leave
    /// no trace; after it, every invariant must hold.
    #[track_caller]
    pub(crate) fn ask(&mut self, command: Command) -> Reply {
        let commands = [command];
        let before = self.node.state().hash().unwrap();
        self.node.propose(self.now, &commands).unwrap();
        self.node.abandon();
        assert_eq!(self.node.state().hash().unwrap(), before, "rollback left a trace");
        self.node.state().check().unwrap();
        let mut proposal = self.node.propose(self.now, &commands).unwrap();
        assert!(matches!(self.node.settle(&proposal, Appended::Done), Settled::Durable));
        self.journal.append(&mut proposal.batch.entries);
        self.node.state().check().unwrap();
        proposal.replies.remove(0)
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, command: Command) -> (RefusalCode, Option<String>) {
        let entries = self.journal.len();
        let reply = self.ask(command);
        let Reply::Refused(refusal) = reply else { panic!("expected a refusal, got {reply:?}") };
        let written = &self.journal[entries..];
        assert!(
            written.iter().all(|e| matches!(e.kind.as_str(), "hold.expired" | "room.moved")),
            "a refusal wrote {written:?}"
        );
        (refusal.code, refusal.constraint.map(|c| format!("{} {}", c.kind, c.id)))
    }

    #[track_caller]
    pub(crate) fn configure(&mut self, config: EventConfig) {
        self.cursor += 1;
        let command = Command::Configure { cursor: self.cursor, config: Box::new(config) };
        assert_eq!(self.ask(command), Reply::Configured { cursor: self.cursor });
    }

    /// Takes one chunk of codes over.
    #[track_caller]
    pub(crate) fn list(&mut self, promos: Vec<PromoConfig>) {
        self.cursor += 1;
        let (chunk, cursor) = (Uuid::from_u128(0xC), self.cursor);
        let reply = self.ask(Command::ListPromos { chunk, cursor, promos });
        assert_eq!(reply, Reply::Listed { cursor });
    }

    /// A hold with a code and a buyer.
    pub(crate) fn coded(
        &mut self,
        items: &[(Uuid, u32)],
        promo: Option<u8>,
        buyer: Option<u8>,
    ) -> Result<HoldView, (RefusalCode, Option<String>)> {
        let request = HoldRequest {
            promo: promo.map(code),
            buyer: buyer.map(digest),
            ..self.hold_request(items)
        };
        match self.ask(Command::Hold(request)) {
            Reply::Held(view) => Ok(view),
            Reply::Refused(r) => {
                Err((r.code, r.constraint.map(|c| format!("{} {}", c.kind, c.id))))
            }
            other => panic!("not held: {other:?}"),
        }
    }

    /// Places of a quota that are kept back.
    pub(crate) fn blocked(&self, id: Uuid) -> u64 {
        let view = self.node.state().view();
        view.quotas.iter().find(|quota| quota.id == id).unwrap().blocked
    }

    pub(crate) fn hold_request(&mut self, items: &[(Uuid, u32)]) -> HoldRequest {
        let item = |(ticket_type, quantity): &(Uuid, u32)| HoldItem {
            ticket_type: *ticket_type,
            quantity: *quantity,
            seats: SeatWish::default(),
        };
        let items = items.iter().map(item).collect();
        HoldRequest { id: self.fresh_id(), items, buyer: None, promo: None, pass: None, key: None }
    }

    #[track_caller]
    pub(crate) fn hold(&mut self, items: &[(Uuid, u32)]) -> HoldView {
        let request = self.hold_request(items);
        let reply = self.ask(Command::Hold(request));
        let Reply::Held(view) = reply else { panic!("not held: {reply:?}") };
        view
    }

    pub(crate) fn order_request(&mut self, hold: Uuid) -> OrderRequest {
        OrderRequest {
            id: self.fresh_id(),
            hold,
            payment: PaymentMethod::Invoice,
            buyer: None,
            secret_hash: [3; 32],
            personal: sealed(),
            attendees: 0,
            key: None,
        }
    }

    #[track_caller]
    pub(crate) fn order(&mut self, hold: Uuid) -> OrderView {
        let request = self.order_request(hold);
        let reply = self.ask(Command::Order(request));
        let Reply::Ordered(view) = reply else { panic!("not ordered: {reply:?}") };
        view
    }

    #[track_caller]
    pub(crate) fn buy(&mut self, items: &[(Uuid, u32)]) -> OrderView {
        let hold = self.hold(items).id;
        self.order(hold)
    }

    #[track_caller]
    pub(crate) fn scan(&mut self, request: ScanRequest) -> ScanVerdict {
        let reply = self.ask(Command::Scan(request));
        let Reply::Scanned(verdict) = reply else { panic!("no verdict: {reply:?}") };
        verdict
    }

    /// The instruction's end: none, or code and constraint of the refusal.
    #[track_caller]
    pub(crate) fn instruct(
        &mut self,
        id: u128,
        instruction: Instruction,
    ) -> Option<(RefusalCode, Option<String>)> {
        let id = Uuid::from_u128(id);
        let reply = self.ask(Command::Instruct { id, instruction: Box::new(instruction) });
        let Reply::Instructed { id: answered, refused } = reply else {
            panic!("not instructed: {reply:?}")
        };
        assert_eq!(answered, id);
        refused.map(|r| (r.code, r.constraint.map(|c| format!("{} {}", c.kind, c.id))))
    }

    /// Kinds of the entries after the first `after`.
    pub(crate) fn kinds(&self, after: usize) -> Vec<&str> {
        self.journal[after..].iter().map(|entry| entry.kind.as_str()).collect()
    }

    pub(crate) fn last_fact(&self) -> Fact {
        Fact::from_entry(self.journal.last().unwrap()).unwrap()
    }

    /// (size, sold, held, free) of a quota, of which the identity is checked.
    #[track_caller]
    pub(crate) fn quota(&self, id: Uuid) -> (Option<u64>, u64, u64, Option<i64>) {
        let view = self.node.state().view();
        assert!(view.balanced);
        let quota = *view.quotas.iter().find(|quota| quota.id == id).unwrap();
        if let (Some(size), Some(free)) = (quota.size, quota.free) {
            let taken = i64::try_from(quota.sold + quota.held + quota.blocked).unwrap();
            assert_eq!(i64::try_from(size).unwrap(), taken + free);
        }
        (quota.size, quota.sold, quota.held, quota.free)
    }
}
