//! Commands at random: with small numbers in place of ids, so that they meet again and again, and
//! clocks that jump.

use inventory::command::{
    Channel, Command, Digest16, Direction, HoldItem, HoldRequest, Instruction, OfflineMode,
    OfflineScan, OrderCreateItem, OrderRequest, PaymentMethod, ScanRequest, SeatWish, Subject,
};
use inventory::config::{
    Discount, EventConfig, EventStatus, LaneConfig, LaneMode, LeaseEnd, PromoConfig, Reserve,
    RoomConfig, RotatingOffline, RowConfig, SeatConfig, SectionConfig, ZonePolicy,
};
use inventory::state::Rank;
use inventory::time::Millis;
use proptest::prelude::*;
use uuid::Uuid;

use crate::harness::{
    DAY, FREE, HOUR, MINUTE, STANDARD, START, VIP, code, config, digest, promo, sealed,
};

/// A command with small numbers in place of ids, so that they meet again and again.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Hold {
        items: Vec<(u8, u32)>,
        key: Option<(u8, u8)>,
        id: Option<u8>,
        promo: Option<u8>,
        buyer: Option<u8>,
    },
    /// Like a hold, but nothing is taken.
    Quote(Vec<(u8, u32)>, u8),
    /// A chunk of codes, the first ones with a limit, a budget, something kept back.
    List {
        ahead: u8,
        codes: Vec<u8>,
        places: u32,
        ends: bool,
    },
    Renew(u8, Option<(u8, u8)>),
    Release(u8),
    Order {
        hold: u8,
        payment: PaymentMethod,
        key: Option<(u8, u8)>,
        buyer: Option<u8>,
    },
    Cancel {
        order: u8,
        positions: Vec<u64>,
        key: Option<(u8, u8)>,
    },
    Scan(Scan),
    Reissue(u64, Option<(u8, u8)>),
    /// Of the scan so many journal entries back.
    Settle {
        device: u8,
        back: u64,
        passed: bool,
    },
    Annul {
        device: u8,
        nonce: u8,
    },
    Upload {
        scans: Vec<(Scan, i64, bool)>,
    },
    Evacuate(bool),
    Instruct {
        id: u8,
        what: What,
    },
    Configure {
        ahead: u8,
        seats: u64,
        closed: bool,
        closes: bool,
        without_vip: bool,
    },
    Tick,
    /// One of a few houses, with seats for the standard and the VIP type.
    House {
        ahead: u8,
        which: u8,
    },
    Join(u8, bool),
    Enter(u8, bool),
    HoldSeats {
        vip: bool,
        wish: SeatWish,
        quantity: u32,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) device: u8,
    pub(crate) nonce: u8,
    pub(crate) ticket: u64,
    pub(crate) revision: u16,
    pub(crate) lounge: bool,
    pub(crate) exit: bool,
    pub(crate) force: bool,
    pub(crate) look_up: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Create(u8, u32),
    Cancel(u8, Vec<u64>),
    Paid(u8),
    Failed(u8),
    Block(u64),
    Unblock(u64),
    Reissue(u64),
    CheckIn(u64, bool),
    Correct(u64),
    CallOff,
    Reseat(u64, u32),
    KeepBack(Vec<u32>, bool),
}

pub(crate) fn item() -> impl Strategy<Value = (u8, u32)> {
    (0..4_u8, prop_oneof![9 => 1..3_u32, 1 => 0..12_u32])
}

pub(crate) fn idempotency() -> impl Strategy<Value = Option<(u8, u8)>> {
    proptest::option::of((0..6_u8, prop_oneof![6 => Just(0_u8), 1 => Just(1)]))
}

pub(crate) fn scan() -> impl Strategy<Value = Scan> {
    let flag = |odds: f64| proptest::bool::weighted(odds);
    let who = (0..2_u8, 0..12_u8, 0..14_u64, prop_oneof![8 => Just(0_u16), 1 => Just(1)]);
    (who, flag(0.2), flag(0.25), flag(0.1), flag(0.1)).prop_map(
        |((device, nonce, ticket, revision), lounge, exit, force, look_up)| Scan {
            device,
            nonce,
            ticket,
            revision,
            lounge,
            exit,
            force,
            look_up,
        },
    )
}

pub(crate) fn what() -> impl Strategy<Value = What> {
    let tickets = || proptest::collection::vec(0..12_u64, 0..3);
    prop_oneof![
        4 => (0..4_u8, 1..4_u32).prop_map(|(kind, quantity)| What::Create(kind, quantity)),
        2 => (0..8_u8, tickets()).prop_map(|(order, tickets)| What::Cancel(order, tickets)),
        4 => (0..8_u8).prop_map(What::Paid),
        1 => (0..8_u8).prop_map(What::Failed),
        2 => (0..12_u64).prop_map(What::Block),
        2 => (0..12_u64).prop_map(What::Unblock),
        2 => (0..12_u64).prop_map(What::Reissue),
        4 => (0..12_u64, any::<bool>()).prop_map(|(ticket, force)| What::CheckIn(ticket, force)),
        1 => (0..5_u64).prop_map(What::Correct),
        1 => Just(What::CallOff),
        2 => (0..12_u64, 1..16_u32).prop_map(|(ticket, seat)| What::Reseat(ticket, seat)),
        2 => (proptest::collection::vec(1..16_u32, 0..4), any::<bool>())
            .prop_map(|(seats, on)| What::KeepBack(seats, on)),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let items = || proptest::collection::vec(item(), 1..3);
    let maybe = || proptest::option::of(0..4_u8);
    let payment = prop_oneof![8 => Just(PaymentMethod::Invoice), 2 => Just(PaymentMethod::Free), 5 => Just(PaymentMethod::Card)];
    let tickets = proptest::collection::vec(1..12_u64, 0..3);
    let flag = proptest::bool::weighted;
    prop_oneof![
        1 => (0..3_u8, 0..4_u8).prop_map(|(ahead, which)| Step::House { ahead, which }),
        2 => (0..6_u8, any::<bool>()).prop_map(|(n, late)| Step::Join(n, late)),
        3 => (0..6_u8, any::<bool>()).prop_map(|(n, late)| Step::Enter(n, late)),
        5 => (any::<bool>(), wish(), 1..4_u32).prop_map(|(vip, wish, quantity)| {
            let quantity = match &wish {
                SeatWish::Named(seats) => u32::try_from(seats.len()).unwrap_or(1),
                SeatWish::Best { .. } => quantity,
            };
            Step::HoldSeats { vip, wish, quantity }
        }),
        8 => (items(), idempotency(), proptest::option::weighted(0.05, 0..8_u8), maybe(), maybe())
            .prop_map(|(items, key, id, promo, buyer)| {
                Step::Hold { items, key, id, promo, buyer }
            }),
        1 => (items(), 0..4_u8).prop_map(|(items, promo)| Step::Quote(items, promo)),
        2 => (0..3_u8, proptest::collection::vec(0..4_u8, 0..4), 0..4_u32, flag(0.3))
            .prop_map(|(ahead, codes, places, ends)| Step::List { ahead, codes, places, ends }),
        3 => (0..8_u8, idempotency()).prop_map(|(hold, key)| Step::Renew(hold, key)),
        2 => (0..8_u8).prop_map(Step::Release),
        8 => (0..8_u8, payment, idempotency(), maybe())
            .prop_map(|(hold, payment, key, buyer)| Step::Order { hold, payment, key, buyer }),
        3 => (0..8_u8, tickets, idempotency())
            .prop_map(|(order, positions, key)| Step::Cancel { order, positions, key }),
        2 => (0..12_u64, idempotency()).prop_map(|(ticket, key)| Step::Reissue(ticket, key)),
        16 => scan().prop_map(Step::Scan),
        2 => (0..2_u8, 0..6_u64, any::<bool>())
            .prop_map(|(device, back, passed)| Step::Settle { device, back, passed }),
        2 => (0..2_u8, 0..12_u8).prop_map(|(device, nonce)| Step::Annul { device, nonce }),
        3 => proptest::collection::vec((scan(), -2 * HOUR..3 * MINUTE, flag(0.8)), 1..4)
            .prop_map(|scans| Step::Upload { scans }),
        1 => flag(0.2).prop_map(Step::Evacuate),
        4 => (0..24_u8, what()).prop_map(|(id, what)| Step::Instruct { id, what }),
        2 => (0..3_u8, 3..14_u64, flag(0.1), flag(0.5), flag(0.2)).prop_map(
            |(ahead, seats, closed, closes, without_vip)| {
                Step::Configure { ahead, seats, closed, closes, without_vip }
            }
        ),
        1 => Just(Step::Tick),
    ]
}

/// How far the clock moves before a step; backward too.
pub(crate) fn jump() -> impl Strategy<Value = i64> {
    prop_oneof![
        10 => 0..MINUTE,
        4 => 0..12 * MINUTE,
        2 => -HOUR..HOUR,
        1 => 0..9 * DAY,
    ]
}

/// Ids of a history: the newest few are spoken of again.
#[derive(Default)]
pub(crate) struct Names {
    given: u128,
    holds: Vec<Uuid>,
    orders: Vec<Uuid>,
    cursor: u64,
    chunk_cursor: u64,
}

impl Names {
    /// After the first configuration, which has cursor 1.
    pub(crate) fn configured() -> Self {
        Self { cursor: 1, ..Self::default() }
    }

    pub(crate) fn fresh(&mut self) -> Uuid {
        self.given += 1;
        Uuid::from_u128(0x5_0000 + self.given)
    }

    pub(crate) fn recent(list: &[Uuid], n: u8) -> Uuid {
        let back = list.len().checked_sub(usize::from(n) + 1);
        back.map_or(Uuid::from_u128(0xBAD), |index| list[index])
    }

    /// `now` and `seq` are those of the node that is asked.
    pub(crate) fn command(&mut self, step: &Step, now: Millis, seq: u64) -> Command {
        let key_of = |route: u8, key: &Option<(u8, u8)>| {
            key.map(|(scope, body)| crate::harness::key(route * 16 + scope, body))
        };
        match step {
            Step::Hold { items, key, id, promo, buyer } => {
                let id = match id {
                    Some(n) => Self::recent(&self.holds, *n),
                    None => self.fresh(),
                };
                self.holds.push(id);
                let pass = Some(digest(id.as_bytes()[15] % 6));
                let (buyer, promo) = (buyer.map(digest), promo.map(code));
                let (items, key) = (items_of(items), key_of(0, key));
                Command::Hold(HoldRequest { id, items, buyer, promo, pass, key })
            }
            Step::Quote(items, promo) => Command::Quote(HoldRequest {
                id: self.fresh(),
                items: items_of(items),
                buyer: Some(digest(1)),
                promo: Some(code(*promo)),
                pass: None,
                key: None,
            }),
            Step::List { ahead, codes, places, ends } => {
                self.chunk_cursor += u64::from(*ahead);
                let promos = codes.iter().map(|n| listed(*n, *places, *ends)).collect();
                let (chunk, cursor) = (Uuid::from_u128(0xC), self.chunk_cursor);
                Command::ListPromos { chunk, cursor, promos }
            }
            Step::Renew(n, key) => {
                Command::Renew { hold: Self::recent(&self.holds, *n), key: key_of(3, key) }
            }
            Step::Release(n) => Command::Release { hold: Self::recent(&self.holds, *n) },
            Step::Order { hold, payment, key, buyer } => {
                let id = self.fresh();
                self.orders.push(id);
                Command::Order(OrderRequest {
                    id,
                    hold: Self::recent(&self.holds, *hold),
                    payment: *payment,
                    buyer: buyer.map(digest),
                    secret_hash: [5; 32],
                    personal: sealed(),
                    attendees: 0,
                    key: key_of(1, key),
                })
            }
            Step::Cancel { order, positions, key } => Command::Cancel {
                order: Self::recent(&self.orders, *order),
                positions: positions.clone(),
                key: key_of(2, key),
            },
            Step::Reissue(ticket, key) => Command::Reissue { ticket: *ticket, key: key_of(4, key) },
            _ => self.command_in_house(step, now, seq),
        }
    }

    /// Of the house, its doors and the catalogue.
    fn command_in_house(&mut self, step: &Step, now: Millis, seq: u64) -> Command {
        match step {
            Step::Scan(scan) => Command::Scan(scan_request(scan)),
            Step::Settle { device, back, passed } => Command::Settle {
                device: device_of(*device),
                scan: seq.saturating_sub(*back),
                passed: *passed,
            },
            Step::Annul { device, nonce } => {
                Command::Annul { device: device_of(*device), nonce: nonce_of(*nonce) }
            }
            Step::Upload { scans } => Command::Upload {
                scans: scans.iter().map(|scan| offline_scan(scan, now)).collect(),
            },
            Step::Evacuate(on) => Command::Evacuate { on: *on, by: device_of(0) },
            Step::Instruct { id, what } => Command::Instruct {
                id: Uuid::from_u128(0x9000 + u128::from(*id)),
                instruction: Box::new(self.instruction(what)),
            },
            Step::Configure { ahead, seats, closed, closes, without_vip } => {
                self.cursor += u64::from(*ahead);
                let config = changed(*seats, *closed, *closes, *without_vip);
                Command::Configure { cursor: self.cursor, config: Box::new(config) }
            }
            Step::Tick => Command::Tick,
            Step::House { ahead, which } => {
                self.cursor += u64::from(*ahead);
                Command::Seats { cursor: self.cursor, section: Box::new(section(*which)) }
            }
            Step::Join(n, late) => {
                let (entry, rank) = waiting(*n, *late, now);
                Command::RoomJoin { entry, rank }
            }
            Step::Enter(n, late) => {
                let (entry, rank) = waiting(*n, *late, now);
                Command::RoomEnter { entry, rank }
            }
            Step::HoldSeats { vip, wish, quantity } => {
                let id = self.fresh();
                self.holds.push(id);
                let ticket_type = if *vip { VIP } else { STANDARD };
                let seats = wish.clone();
                let items = vec![HoldItem { ticket_type, quantity: *quantity, seats }];
                let pass = Some(digest(id.as_bytes()[15] % 6));
                Command::Hold(HoldRequest { id, items, buyer: None, promo: None, pass, key: None })
            }
            sale => unreachable!("{sale:?} is of sale"),
        }
    }

    pub(crate) fn instruction(&mut self, what: &What) -> Instruction {
        match what {
            What::Create(kind, quantity) => {
                let order = self.fresh();
                self.orders.push(order);
                Instruction::OrderCreate {
                    order,
                    items: vec![OrderCreateItem {
                        ticket_type: kind_of(*kind),
                        quantity: *quantity,
                        seats: SeatWish::default(),
                    }],
                    channel: if *quantity == 1 { Channel::Comp } else { Channel::BoxOffice },
                    buyer: None,
                    personal: Default::default(),
                    sealed: Some(sealed()),
                    secret_hash: [6; 32],
                }
            }
            What::Cancel(order, positions) => Instruction::OrderCancel {
                order: Self::recent(&self.orders, *order),
                positions: positions.clone(),
            },
            What::Paid(order) => {
                Instruction::OrderPaid { order: Self::recent(&self.orders, *order) }
            }
            What::Failed(order) => {
                Instruction::OrderPaymentFailed { order: Self::recent(&self.orders, *order) }
            }
            What::Block(ticket) => Instruction::TicketBlock { ticket: *ticket },
            What::Unblock(ticket) => Instruction::TicketUnblock { ticket: *ticket },
            What::Reissue(ticket) => Instruction::TicketReissue { ticket: *ticket },
            What::CheckIn(ticket, force) => Instruction::CheckIn {
                ticket: *ticket,
                zone: None,
                by: Uuid::from_u128(0xBB),
                force: *force,
            },
            What::Correct(inside) => Instruction::OccupancyCorrect {
                zone: "lounge".to_owned(),
                inside: *inside,
                by: Uuid::from_u128(0xBB),
            },
            What::CallOff => Instruction::EventCancel {},
            What::Reseat(ticket, seat) => {
                Instruction::TicketReseat { ticket: *ticket, seat: *seat }
            }
            What::KeepBack(seats, true) => Instruction::SeatBlock { seats: seats.clone() },
            What::KeepBack(seats, false) => Instruction::SeatUnblock { seats: seats.clone() },
        }
    }
}

/// One who waits, by lot or by the time of joining.
fn waiting(n: u8, late: bool, now: Millis) -> (Digest16, Rank) {
    let rank = if late { Rank::by_time(now) } else { Rank::by_lot(u64::from(n) << 50) };
    (digest(n), rank)
}

/// The same seats in other rows, for other types, with some left out.
pub(crate) fn section(which: u8) -> SectionConfig {
    let seat = |number: u32| SeatConfig {
        number,
        label: number.to_string(),
        types: if which == 1 && number.is_multiple_of(5) { vec![2] } else { Vec::new() },
        gap: number == 4,
        wheelchair: number == 12,
        companion_of: (number == 13).then_some(12),
        blocked: which == 2 && number < 3,
        ..SeatConfig::default()
    };
    let row = |label: &str, numbers: std::ops::Range<u32>| RowConfig {
        label: label.to_owned(),
        seats: numbers.map(seat).collect(),
    };
    let cut = if which == 2 { 5 } else { 8 };
    let mut rows = vec![row("A", 1..cut), row("B", cut..14)];
    if which == 3 {
        rows.pop();
    }
    SectionConfig {
        id: Uuid::from_u128(0x401),
        number: 1,
        key: "stalls".to_owned(),
        name: "Stalls".to_owned(),
        rank: 0,
        types: vec![1, 2],
        rows,
    }
}

pub(crate) fn wish() -> impl Strategy<Value = SeatWish> {
    prop_oneof![
        2 => proptest::collection::vec(1..16_u32, 1..3).prop_map(SeatWish::Named),
        4 => (any::<bool>(), proptest::bool::weighted(0.1)).prop_map(|(stalls, wheelchair)| {
            SeatWish::Best {
                section: stalls.then(|| "stalls".to_owned()),
                wheelchair: u32::from(wheelchair),
            }
        }),
    ]
}

fn items_of(items: &[(u8, u32)]) -> Vec<HoldItem> {
    let item = |(kind, quantity): &(u8, u32)| HoldItem {
        ticket_type: kind_of(*kind),
        quantity: *quantity,
        seats: SeatWish::default(),
    };
    items.iter().map(item).collect()
}

fn listed(n: u8, places: u32, ends: bool) -> PromoConfig {
    let reserves = vec![Reserve { quota: 1 + u16::from(n % 2), places }];
    let until = ends.then_some(START.plus_ms(2 * HOUR));
    match n {
        0 => PromoConfig { max_uses: Some(2), budget: Some(2_000), ..promo(0) },
        1 => PromoConfig { reserves, until, ..promo(1) },
        2 => PromoConfig { discount: None, types: vec![2], reserves, until, ..promo(2) },
        _ => PromoConfig {
            discount: Some(Discount::AmountPerOrder { amount: 1_001 }),
            max_per_customer: Some(1),
            until,
            ..promo(3)
        },
    }
}

pub(crate) fn kind_of(n: u8) -> Uuid {
    [STANDARD, VIP, FREE, Uuid::from_u128(0xBAD)][usize::from(n)]
}

fn offline_scan((scan, ago, admitted): &(Scan, i64, bool), now: Millis) -> OfflineScan {
    let live = scan_request(scan);
    OfflineScan {
        device: live.device,
        lane: live.lane,
        zone: live.zone,
        direction: live.direction,
        nonce: live.nonce,
        request: live.request,
        ticket: scan.ticket,
        at: now.plus_ms(*ago),
        admitted: *admitted,
        reason: None,
        forced: false,
        mode: OfflineMode::Bundle,
        bundle: 1,
    }
}

fn device_of(n: u8) -> Uuid {
    Uuid::from_u128(0xD0 + u128::from(n))
}

fn nonce_of(n: u8) -> String {
    format!("nonce-{n:03}")
}

pub(crate) fn scan_request(scan: &Scan) -> ScanRequest {
    let subject = if scan.look_up {
        Subject::Ticket { ticket: scan.ticket }
    } else {
        Subject::Credential { ticket: scan.ticket, revision: scan.revision, stale_code: false }
    };
    let mut request = [u8::from(scan.lounge), u8::from(scan.exit), 0, 0];
    request[2] = u8::try_from(scan.ticket).unwrap();
    request[3] = u8::try_from(scan.revision).unwrap();
    let mut digest = digest(0);
    digest.0[..4].copy_from_slice(&request);
    ScanRequest {
        device: device_of(scan.device),
        lane: format!("Lane {}", scan.device),
        zone: if scan.lounge { "lounge" } else { "main" }.to_owned(),
        direction: if scan.exit { Direction::Exit } else { Direction::Entry },
        nonce: nonce_of(scan.nonce),
        request: digest,
        subject,
        force: scan.force,
        answers: None,
    }
}

pub(crate) fn changed(seats: u64, closed: bool, closes: bool, without_vip: bool) -> EventConfig {
    let mut config = config();
    config.quotas[0].size = Some(seats);
    config.ticket_types[0].valid_until = Some(START.plus_ms(20 * DAY));
    config.zones[1].policy = ZonePolicy::Reentry;
    config.zones[1].leaves = vec![0];
    config.zones[1].exit_all_at_min = (!closed).then_some(240);
    config.lanes = vec![LaneConfig {
        key: "Lane 1".to_owned(),
        types: vec![],
        two_phase: true,
        lease_s: 10,
        lease_end: if closes { LeaseEnd::NotPassed } else { LeaseEnd::Passed },
        mode: LaneMode::Local,
        rotating_offline: RotatingOffline::Refuse,
    }];
    // Sometimes some, sometimes none of the rest of the rules.
    config.quotas[1].blocked = seats % 3;
    config.ticket_types[1].hidden = seats.is_multiple_of(4);
    config.ticket_types[0].max_per_customer = seats.is_multiple_of(5).then_some(3);
    (config.sale.order_fee, config.sale.order_fee_bp) = (i64::from(closes) * 199, 0);
    config.ticket_types[1].tax_added = closes;
    if seats.is_multiple_of(3) {
        let (opens_at, closes_at) = (START.plus_ms(MINUTE), closes.then(|| START.plus_ms(HOUR)));
        config.room = Some(RoomConfig { opens_at, closes_at, per_minute: 30 });
    }
    config.sale.refund_fees = closed;
    config.sale.payment_url =
        seats.is_multiple_of(2).then(|| "https://pay.example/{order}".to_owned());
    if closed {
        config.status = EventStatus::SaleClosed;
    }
    if closes {
        config.closes_at = Some(START.plus_ms(DAY));
    }
    if without_vip {
        config.ticket_types.retain(|kind| kind.id != VIP);
    }
    config
}
