//! The state of one event: what the journal so far amounts to. Dense and small, since an event may
//! have a million tickets: tickets and orders stand in vectors by number, maps have 16-byte keys.
//! Knows no clock and no log; changes only through [`State::apply`], and every change can be
//! undone until it is committed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::{Digest16, IdempotencyKey, Refusal, TicketStatus};
use crate::config::{EventConfig, EventStatus};
use crate::entry::{Entry, Head};
use crate::fact::Fact;
use crate::time::{DAY_MS, Millis};

mod apply;
mod check;
mod image;
mod passages;
mod promos;
mod render;
mod room;
mod scan;
mod seats;
mod tables;
mod undo;

pub use apply::ApplyError;
pub use image::{IMAGE_VERSION, ImageError};
pub use tables::{ROWS_MAX, ZONE_NUMBER_MAX};

pub(crate) use promos::{Promo, PromoCount, PromoShift};
pub(crate) use render::total;
pub(crate) use room::Room;
pub use room::{HOLDS_PER_PASS_MAX, PASS_MS, ROOM_STEP_MS, Rank, SAMPLES_MAX, sampled};
pub(crate) use scan::{Flags, MaybeIndex, Scan};
pub(crate) use seats::{Block, Cell, HeldSeat, Seats, Strip, Taken};
use tables::Tables;
pub(crate) use tables::conflict;
use undo::Undo;

/// How long a request's idempotency key is remembered, and a hold after its end.
pub const KEY_KEPT_MS: i64 = DAY_MS;
/// How long a nonce is remembered after the event closed, or after the scan if that was later.
/// While the event has no end, for ever.
pub const NONCE_KEPT_MS: i64 = 7 * DAY_MS;

/// A point to roll back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark(usize);

#[derive(Debug)]
pub struct State {
    pub(crate) event: Uuid,
    pub(crate) totals: Totals,
    /// The catalogue's view as it came last.
    pub(crate) config: Arc<EventConfig>,
    /// All that the catalogue ever said about types, quotas and zones; counts stand beside by row.
    pub(crate) tables: Arc<Tables>,
    pub(crate) quotas: Vec<QuotaCount>,
    pub(crate) types: Vec<TypeCount>,
    pub(crate) zones: Vec<ZoneCount>,
    /// Ticket `n` at index `n - 1`; orders likewise.
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) orders: Vec<Order>,
    pub(crate) order_ids: HashMap<Uuid, u32>,
    /// Lines of holds and orders. Most baskets are like another one, so each is kept once.
    pub(crate) baskets: Vec<Box<[Line]>>,
    pub(crate) basket_ids: HashMap<Box<[Line]>, u32>,
    /// First admissions to zones other than the ticket's first; most tickets have none.
    pub(crate) admissions: BTreeMap<(u32, u8), Admission>,
    /// Names of lanes that admitted someone first.
    pub(crate) lanes: Vec<Box<str>>,
    pub(crate) lane_ids: HashMap<Box<str>, u32>,
    /// Questions that were answered at the door, by ticket.
    pub(crate) answered: BTreeSet<(u32, Uuid)>,
    /// Holds of orders that wait for their payment, by index of the order.
    pub(crate) awaiting: BTreeMap<u32, Uuid>,
    /// What canceled tickets gave back, by index of the ticket; those that gave something.
    pub(crate) refunds: BTreeMap<u32, i64>,
    /// Tickets with scans that were decided without the store.
    pub(crate) recorded: BTreeSet<u32>,
    /// Reservations at two-phase lanes, by index of the scan.
    pub(crate) leases: BTreeMap<u32, Lease>,
    pub(crate) holds: HashMap<Uuid, Hold>,
    /// Codes by row, with what live holds and orders made of them.
    pub(crate) promos: Vec<Promo>,
    pub(crate) promo_counts: Vec<PromoCount>,
    pub(crate) promo_ids: HashMap<Uuid, u32>,
    /// Listed ones by the digest of their letters.
    pub(crate) promo_codes: HashMap<Digest16, u32>,
    /// Cursors of the chunks that codes came in.
    pub(crate) promo_chunks: BTreeMap<Uuid, u64>,
    /// Uses of a code, and tickets of a type, in the live holds and orders of a buyer.
    pub(crate) promo_buyers: HashMap<(u32, Digest16), u32>,
    pub(crate) buyers: HashMap<(Digest16, u16), u32>,
    /// What time alone will do, by when.
    pub(crate) due: BTreeSet<(Millis, Due)>,
    /// Holds that ended, by the time they did.
    pub(crate) ended: VecDeque<(Millis, Uuid)>,
    pub(crate) keys: HashMap<Digest16, KeyRecord>,
    pub(crate) key_order: VecDeque<(Millis, Digest16)>,
    /// Scans whose nonce is remembered, oldest first; the front one has the index
    /// `totals.scans_forgotten`.
    pub(crate) scans: VecDeque<Scan>,
    pub(crate) nonces: HashMap<Digest16, u32>,
    /// Instructions done, for good: the catalogue may offer them again after a restore.
    pub(crate) instructions: HashMap<Uuid, Option<Box<Refusal>>>,
    pub(crate) seats: Seats,
    pub(crate) room: Room,
    undo: Vec<Undo>,
}

/// The few figures that change with most entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub head: Head,
    /// Time of the last entry.
    pub now: Millis,
    /// Catalogue cursor applied; 0 = the event was never configured.
    pub cursor: u64,
    pub admitted: u64,
    pub denied: u64,
    pub scans_forgotten: u32,
    /// Canceled by instruction, for good.
    pub canceled: bool,
    /// Nobody enters, everybody leaves.
    pub evacuated: bool,
}

/// What happens by itself, each as an entry of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    HoldEnds(Uuid),
    /// By index of the scan.
    LeaseEnds(u32),
    /// By row of the zone.
    ZoneEmpties(u8),
    /// By row of the code.
    PromoEnds(u32),
    RoomMoves,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub device: Uuid,
    pub until: Millis,
    /// The person counts as passed when nobody reports.
    pub passes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct QuotaCount {
    pub sold: u64,
    pub held: u64,
    /// Places that promo codes keep for their holders.
    pub kept: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TypeCount {
    pub sold: u64,
    pub held: u64,
    pub admitted: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ZoneCount {
    /// Tickets that are inside, as their scans have it.
    pub inside: u64,
    pub admitted: u64,
    pub denied: u64,
    /// What a count by hand found beside them.
    pub correction: i64,
    /// Who entered before has left.
    pub emptied_before: Millis,
    /// When that happens next.
    pub empties_at: Option<Millis>,
}

impl ZoneCount {
    /// People inside, as it is told and as capacity is compared with.
    pub(crate) fn shown(&self) -> u64 {
        self.inside.saturating_add_signed(self.correction)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// First admission, where `entered` is not empty.
    pub first: Admission,
    /// Index of its order.
    pub order: u32,
    /// Place among the order's tickets.
    pub position: u32,
    /// Zones it was ever admitted to, and those it was in after its last passage, by number; see
    /// `State::inside` for those it is in now.
    pub entered: u32,
    pub inside: u32,
    /// Index of its last passage, plus one; 0 = none.
    pub last: u32,
    /// Row of its type.
    pub type_row: u16,
    pub revision: u16,
    /// Zone number of `first`.
    pub first_zone: u8,
    pub status: TicketStatus,
}

const _: () = assert!(size_of::<Ticket>() <= 48, "a ticket is kept by the million");

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Admission {
    pub at: Millis,
    /// Index into the lanes.
    pub lane: u32,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub id: Uuid,
    pub secret_hash: [u8; 32],
    pub personal: Box<[u8]>,
    /// Index of its first ticket, number of its tickets, and of those not canceled.
    pub first_ticket: u32,
    pub tickets: u32,
    pub live: u32,
    /// Index of its basket.
    pub basket: u32,
    pub buyer: Option<Digest16>,
    /// Row of its promo code.
    pub promo: MaybeIndex,
    pub stage: Stage,
}

/// How far an order came. Tickets exist from `Confirmed` on, whatever became of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Stage {
    Confirmed,
    /// Its hold still holds.
    Awaiting,
    Expired,
    RefundDue,
    /// By its buyer, before it was paid.
    Withdrawn,
}

/// `LineView` with the type's row in place of its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub price: i64,
    pub discount: i64,
    pub fee: i64,
    pub tax: i64,
    pub quantity: u32,
    pub type_row: u16,
    pub tax_added: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// Index of its basket.
    pub basket: u32,
    pub expires_at: Millis,
    pub renew_until: Millis,
    pub status: HoldStatus,
    pub buyer: Option<Digest16>,
    /// Row of its promo code.
    pub promo: Option<u32>,
    /// Index of the order that it waits with for a payment.
    pub order: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum HoldStatus {
    Live,
    Released,
    Expired,
    Ordered,
}

/// What a request with this idempotency key led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub at: Millis,
    pub body: Digest16,
    pub outcome: KeyOutcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum KeyOutcome {
    Hold(Uuid),
    /// A renewal, and the end that it gave.
    Renewed(Uuid, Millis),
    /// Index of the order.
    Order(u32),
    Canceled(u32),
    /// Index of the ticket.
    Reissued(u32),
}

impl State {
    /// An event without entries.
    pub fn new(event: Uuid) -> Self {
        Self {
            event,
            totals: Totals {
                head: Head::genesis(event),
                now: Millis::default(),
                cursor: 0,
                admitted: 0,
                denied: 0,
                scans_forgotten: 0,
                canceled: false,
                evacuated: false,
            },
            config: Arc::new(EventConfig::unconfigured(event)),
            tables: Arc::default(),
            quotas: Vec::new(),
            types: Vec::new(),
            zones: Vec::new(),
            tickets: Vec::new(),
            orders: Vec::new(),
            order_ids: HashMap::new(),
            baskets: Vec::new(),
            basket_ids: HashMap::new(),
            admissions: BTreeMap::new(),
            lanes: Vec::new(),
            lane_ids: HashMap::new(),
            answered: BTreeSet::new(),
            awaiting: BTreeMap::new(),
            refunds: BTreeMap::new(),
            recorded: BTreeSet::new(),
            leases: BTreeMap::new(),
            holds: HashMap::new(),
            promos: Vec::new(),
            promo_counts: Vec::new(),
            promo_ids: HashMap::new(),
            promo_codes: HashMap::new(),
            promo_chunks: BTreeMap::new(),
            promo_buyers: HashMap::new(),
            buyers: HashMap::new(),
            due: BTreeSet::new(),
            ended: VecDeque::new(),
            keys: HashMap::new(),
            key_order: VecDeque::new(),
            scans: VecDeque::new(),
            nonces: HashMap::new(),
            instructions: HashMap::new(),
            seats: Seats::default(),
            room: Room::default(),
            undo: Vec::new(),
        }
    }

    pub fn event(&self) -> Uuid {
        self.event
    }

    pub fn head(&self) -> Head {
        self.totals.head
    }

    /// Time of the last entry.
    pub fn now(&self) -> Millis {
        self.totals.now
    }

    pub fn config(&self) -> &Arc<EventConfig> {
        &self.config
    }

    pub fn catalogue_cursor(&self) -> u64 {
        self.totals.cursor
    }

    /// When time alone does something next.
    pub fn next_due(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The entry that would write this fact at the end of the journal.
    pub fn entry_for(&self, at: Millis, fact: &Fact) -> Result<Entry, ApplyError> {
        let head = self.totals.head;
        let seq = head.seq.checked_add(1).ok_or(ApplyError::contradiction("journal is full"))?;
        fact.entry(seq, head.hash, at).map_err(ApplyError::Unreadable)
    }

    /// Applies the entry that follows the journal's end: all of it, or nothing and an error.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        let fact = Fact::from_entry(entry).map_err(ApplyError::Unreadable)?;
        self.apply_fact(entry, &fact)
    }

    /// The same for whoever has the entry's meaning at hand.
    pub fn apply_fact(&mut self, entry: &Entry, fact: &Fact) -> Result<(), ApplyError> {
        let mark = self.mark();
        let applied = self.try_apply(entry, fact);
        if applied.is_err() {
            self.rollback(mark);
        }
        applied
    }

    /// Everything after this point can be taken back, until `commit`.
    pub fn mark(&self) -> Mark {
        Mark(self.undo.len())
    }

    /// Takes back exactly what was applied since the mark.
    pub fn rollback(&mut self, mark: Mark) {
        while mark.0 < self.undo.len() {
            self.undo_last();
        }
    }

    /// What was applied so far stays. Marks taken before are void.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    // === look-ups for the rules ===

    pub(crate) fn configured(&self) -> bool {
        self.totals.cursor != 0
    }

    pub(crate) fn holds_live(&self) -> bool {
        self.due.iter().any(|(_, what)| matches!(what, Due::HoldEnds(_)))
    }

    pub(crate) fn canceled(&self) -> bool {
        self.totals.canceled || self.config.status == EventStatus::Canceled
    }

    pub(crate) fn order(&self, id: Uuid) -> Option<(u32, &Order)> {
        let index = *self.order_ids.get(&id)?;
        Some((index, self.orders.get(usize::try_from(index).ok()?)?))
    }

    pub(crate) fn order_at(&self, index: u32) -> Option<&Order> {
        self.orders.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn basket(&self, index: u32) -> &[Line] {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.baskets.get(index).map_or(&[], AsRef::as_ref)
    }

    /// By number, which counts from one.
    pub(crate) fn ticket(&self, number: u64) -> Option<(u32, &Ticket)> {
        let index = ticket_index(number)?;
        Some((index, self.ticket_at(index)?))
    }

    pub(crate) fn ticket_at(&self, index: u32) -> Option<&Ticket> {
        self.tickets.get(usize::try_from(index).ok()?)
    }

    /// The first admission to this zone (by number), if there was one.
    pub(crate) fn first_admission(&self, index: u32, zone: u8) -> Option<Admission> {
        let ticket = self.ticket_at(index)?;
        if ticket.entered & zone_bit(zone) == 0 {
            None
        } else if ticket.first_zone == zone {
            Some(ticket.first)
        } else {
            self.admissions.get(&(index, zone)).copied()
        }
    }

    /// What an idempotency key led to, while it is remembered.
    pub(crate) fn key_record(&self, key: &IdempotencyKey, now: Millis) -> Option<&KeyRecord> {
        self.keys.get(&key.scope).filter(|record| now < record.at.plus_ms(KEY_KEPT_MS))
    }

    /// The decision that a nonce was given, while it is remembered.
    pub(crate) fn scan_by_nonce(&self, nonce: &Digest16, now: Millis) -> Option<&Scan> {
        let scan = self.scan_at(*self.nonces.get(nonce)?)?;
        self.nonce_kept(scan, now).then_some(scan)
    }

    pub(crate) fn nonce_kept(&self, scan: &Scan, now: Millis) -> bool {
        let Some(closes_at) = self.config.closes_at else { return true };
        now < closes_at.max(scan.at).plus_ms(NONCE_KEPT_MS)
    }

    /// Places left in a quota: None = unlimited; negative after staff made it smaller.
    pub(crate) fn free(&self, row: u16) -> Option<i64> {
        let config = &self.tables.quotas.get(usize::from(row))?.config;
        let (size, count) = (config.size?, self.quotas.get(usize::from(row))?);
        let taken = [count.sold, count.held, count.kept, config.blocked];
        let taken = taken.into_iter().map(i128::from).fold(0, i128::saturating_add);
        let free = i128::from(size).saturating_sub(taken);
        Some(i64::try_from(free).unwrap_or(i64::MAX))
    }
}

pub(crate) fn ticket_index(number: u64) -> Option<u32> {
    u32::try_from(number.checked_sub(1)?).ok()
}

/// Number of the ticket or order at an index.
pub(crate) fn number_at(index: u32) -> u64 {
    u64::from(index).saturating_add(1)
}

/// Bit of a zone number; numbers past 31 are refused with the configuration.
pub(crate) fn zone_bit(number: u8) -> u32 {
    1_u32.checked_shl(u32::from(number)).unwrap_or(0)
}
