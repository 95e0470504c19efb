//! What may be asked of an event, and what it answers. Everything that is not in the state comes
//! with the command: time, randomness, digests, sealed personal data.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{EventConfig, PromoConfig, SectionConfig};
use crate::log::DataKey;
use crate::state::Rank;
use crate::time::Millis;

mod scan;

pub use scan::*;

/// First 16 bytes of a SHA-256: identity of a buyer, of a request body, of a nonce with its device.
/// As JSON 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Digest16(pub [u8; 16]);

#[derive(Clone, Debug)]
pub enum Command {
    /// Take over the catalogue's view of the event; older or equal cursors change nothing.
    Configure {
        cursor: u64,
        config: Box<EventConfig>,
    },
    /// Take over one section of the house; older or equal cursors of this section change nothing.
    Seats {
        cursor: u64,
        section: Box<SectionConfig>,
    },
    /// One chunk of the event's promo codes, whole; older or equal cursors change nothing.
    ListPromos {
        chunk: Uuid,
        cursor: u64,
        promos: Vec<PromoConfig>,
    },
    Hold(HoldRequest),
    /// What a hold would cost, and whether it would be given; holds nothing.
    Quote(HoldRequest),
    /// Someone waits for the sale; `entry` is the same for all requests of one buyer.
    RoomJoin {
        entry: Digest16,
        rank: Rank,
    },
    /// A pass for who was admitted.
    RoomEnter {
        entry: Digest16,
        rank: Rank,
    },
    Renew {
        hold: Uuid,
        key: Option<IdempotencyKey>,
    },
    Release {
        hold: Uuid,
    },
    Order(OrderRequest),
    /// Whole when `positions` is empty; ticket numbers otherwise.
    Cancel {
        order: Uuid,
        positions: Vec<u64>,
        key: Option<IdempotencyKey>,
    },
    /// A new code for a ticket of one's own; the old one is no longer good.
    Reissue {
        ticket: u64,
        key: Option<IdempotencyKey>,
    },
    Scan(ScanRequest),
    /// What became of a reservation at a two-phase lane.
    Settle {
        device: Uuid,
        /// Journal number of the decision.
        scan: u64,
        passed: bool,
    },
    /// Takes back the same device's admission: nobody went through.
    Annul {
        device: Uuid,
        nonce: String,
    },
    /// Scans that were decided without the store: facts, which open no door.
    Upload {
        scans: Vec<OfflineScan>,
    },
    /// No exit is refused, and no entry allowed, until it is over.
    Evacuate {
        on: bool,
        by: Uuid,
    },
    Instruct {
        id: Uuid,
        instruction: Box<Instruction>,
    },
    /// Let time pass: expired holds are returned.
    Tick,
}

/// Scope (event, route, caller, key) and body of a request, digested by the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IdempotencyKey {
    pub scope: Digest16,
    pub body: Digest16,
}

#[derive(Clone, Debug)]
pub struct HoldRequest {
    /// Fresh random id (version 4): it names the hold to its owner only.
    pub id: Uuid,
    pub items: Vec<HoldItem>,
    /// Normalized e-mail address, digested; none for an anonymous basket.
    pub buyer: Option<Digest16>,
    /// [`crate::promo::digest`] of the code that came with it.
    pub promo: Option<Digest16>,
    /// Entry of the waiting room's pass that was shown.
    pub pass: Option<Digest16>,
    pub key: Option<IdempotencyKey>,
}

#[derive(Clone, Debug)]
pub struct HoldItem {
    pub ticket_type: Uuid,
    pub quantity: u32,
    pub seats: SeatWish,
}

/// Which seats, where the ticket type is for seats.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatWish {
    /// By number, one a ticket.
    Named(Vec<u32>),
    /// The best that are left, together: in a section (by key) or anywhere.
    Best {
        section: Option<String>,
        /// Wheelchair places among them, each with its companions'.
        wheelchair: u32,
    },
}

impl Default for SeatWish {
    fn default() -> Self {
        Self::Best { section: None, wheelchair: 0 }
    }
}

#[derive(Clone, Debug)]
pub struct OrderRequest {
    /// Fresh random id (version 4).
    pub id: Uuid,
    pub hold: Uuid,
    pub payment: PaymentMethod,
    pub buyer: Option<Digest16>,
    /// SHA-256 of the order's secret.
    pub secret_hash: [u8; 32],
    pub personal: Sealed,
    /// Number of attendees in `personal`: none, or one a ticket.
    pub attendees: u32,
    pub key: Option<IdempotencyKey>,
}

/// Personal data of an order (`inventory::personal::Personal` as JSON), encrypted under the
/// order's own key; the key travels beside the journal.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub bytes: Vec<u8>,
    pub key: DataKey,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    Free,
    Invoice,
    Card,
}

/// What the back office tells the gate to do. JSON: `{"kind":"order.create","body":{…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body")]
pub enum Instruction {
    /// Comp, box office or import: takes stock at once and confirms. Personal data comes in clear
    /// and is sealed by the gate before the journal sees it (`personal` is then empty).
    #[serde(rename = "order.create")]
    OrderCreate {
        order: Uuid,
        items: Vec<OrderCreateItem>,
        channel: Channel,
        buyer: Option<Digest16>,
        #[serde(default)]
        personal: crate::personal::Personal,
        /// Filled by the gate, never sent.
        #[serde(skip)]
        sealed: Option<Sealed>,
        #[serde(skip)]
        secret_hash: [u8; 32],
    },
    /// The payment came in, in time or late.
    #[serde(rename = "order.paid")]
    OrderPaid { order: Uuid },
    /// It will not come: what the order holds is given back.
    #[serde(rename = "order.payment_failed")]
    OrderPaymentFailed { order: Uuid },
    #[serde(rename = "order.cancel")]
    OrderCancel {
        order: Uuid,
        #[serde(default)]
        positions: Vec<u64>,
    },
    #[serde(rename = "ticket.block")]
    TicketBlock { ticket: u64 },
    #[serde(rename = "ticket.unblock")]
    TicketUnblock { ticket: u64 },
    #[serde(rename = "ticket.reissue")]
    TicketReissue { ticket: u64 },
    /// Another seat, open to the ticket's type, in place of the one it has; re-issued by that.
    #[serde(rename = "ticket.reseat")]
    TicketReseat { ticket: u64, seat: u32 },
    /// House seats: not sold from now on. Who has one keeps it.
    #[serde(rename = "seat.block")]
    SeatBlock { seats: Vec<u32> },
    /// What the seat map itself keeps back stays so.
    #[serde(rename = "seat.unblock")]
    SeatUnblock { seats: Vec<u32> },
    /// A person let in by the back office, by hand: same rules as a scan, lane `back office`.
    #[serde(rename = "check_in")]
    CheckIn { ticket: u64, zone: Option<String>, by: Uuid, force: bool },
    /// The number inside, counted by hand.
    #[serde(rename = "occupancy.correct")]
    OccupancyCorrect { zone: String, inside: u64, by: Uuid },
    #[serde(rename = "event.evacuate")]
    EventEvacuate { on: bool, by: Uuid },
    #[serde(rename = "event.cancel")]
    EventCancel {},
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderCreateItem {
    pub ticket_type: Uuid,
    pub quantity: u32,
    #[serde(default)]
    pub seats: SeatWish,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Shop,
    BoxOffice,
    Comp,
    Import,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    Configured {
        cursor: u64,
    },
    /// A chunk of promo codes is taken over.
    Listed {
        cursor: u64,
    },
    Held(HoldView),
    Quoted(Quote),
    Joined,
    /// A pass.
    Entered {
        until: Millis,
        holds_left: u8,
    },
    Renewed {
        hold: Uuid,
        expires_at: Millis,
        replayed: bool,
    },
    Released,
    Ordered(OrderView),
    Canceled(OrderView),
    Reissued {
        ticket: TicketView,
        replayed: bool,
    },
    Scanned(ScanVerdict),
    /// Of a reservation, as it is now.
    Settled(ScanVerdict),
    Annulled(ScanVerdict),
    /// One a scan, in order.
    Uploaded(Vec<Uploaded>),
    Evacuated {
        on: bool,
    },
    Instructed {
        id: Uuid,
        refused: Option<Refusal>,
    },
    Ticked {
        expired: usize,
    },
    Refused(Refusal),
}

/// Why a sale did not happen. Wire codes are those of the shop's contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub code: RefusalCode,
    /// What failed: `{"kind":"quota","id":"…"}`.
    pub constraint: Option<Constraint>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Constraint {
    /// `quota`, `ticket_type`, `hold`, `order`, `ticket`, `event`, `per_order`, `min_per_order`,
    /// `per_customer` (a type or the event), `promo_code`, `promo_uses`, `promo_customer_uses`,
    /// `promo_budget`, `promo_period`, `promo_types`, `promo_min_quantity`, `zone`, `scan`, `seat`,
    /// `section`, `seats_together`, `queue_pass`, `entry`.
    pub kind: String,
    pub id: String,
}

/// New codes go last: snapshots keep their place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    SoldOut,
    LimitReached,
    SaleClosed,
    HoldExpired,
    UnknownHold,
    UnknownOrder,
    UnknownTicket,
    UnknownTicketType,
    /// An `Idempotency-Key` came again with another body (422).
    KeyReused,
    /// A card order, while the event takes none or nothing has to be paid; or `free` for an order that
    /// costs money.
    PaymentNotAccepted,
    AlreadyCanceled,
    AttendeesMismatch,
    /// A check-in that the admission rules refused; `constraint.id` is the scan reason.
    NotAdmitted,
    /// The event is not configured on this node.
    UnknownEvent,
    /// A buyer cancels a ticket that was admitted already.
    TicketUsed,
    /// The id of a new hold or order names another one already.
    IdTaken,
    /// A configuration that contradicts itself or what was sold; `constraint` names the part.
    CatalogueConflict,
    /// No such scan, or another device's.
    UnknownScan,
    /// The reservation ended otherwise already, or was none.
    AlreadySettled,
    /// Only admissions of the last 15 minutes are annulled, once.
    NotAnnullable,
    UnknownZone,
    /// No such seat or section, or not one that this ticket type may take.
    UnknownSeat,
    /// A seat that is not open any more.
    SeatTaken,
    /// A wheelchair place and its companions' are taken together; `constraint` names what is missing.
    SeatUnit,
    /// No promo code of the event, or one that is no longer taken.
    UnknownPromo,
    /// Not now, not for these types, or not for so few tickets.
    PromoNotApplicable,
    /// Its uses or its budget do not cover this.
    PromoExhausted,
    /// A limit per customer holds, and nobody said who buys.
    BuyerRequired,
    /// The event has no waiting room now.
    NoQueue,
    /// Not admitted from the waiting room yet.
    QueueWait,
    /// The waiting room is on and no pass was shown, or one that is over.
    QueuePass,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldView {
    pub id: Uuid,
    pub expires_at: Millis,
    pub lines: Vec<LineView>,
    pub total: i64,
    pub seats: Vec<HeldSeatView>,
    /// Id of the promo code.
    pub promo: Option<Uuid>,
    /// The same key was answered before.
    pub replayed: bool,
}

/// What a hold would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quote {
    pub lines: Vec<LineView>,
    pub total: i64,
    pub promo: Option<PromoConfig>,
}

/// Amounts in minor units of the event's currency, for the whole line; `price` before discount,
/// `tax` is contained in `price - discount + fee`, or comes on top of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LineView {
    pub ticket_type: Uuid,
    pub quantity: u32,
    pub price: i64,
    pub discount: i64,
    pub fee: i64,
    pub tax: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tax_added: bool,
}

impl LineView {
    /// What the line costs, tax included.
    pub fn total(&self) -> i64 {
        let added = if self.tax_added { self.tax } else { 0 };
        self.price.saturating_sub(self.discount).saturating_add(self.fee).saturating_add(added)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderView {
    pub id: Uuid,
    pub number: u64,
    /// Short code for people, unique within the event.
    pub code: String,
    pub status: OrderStatus,
    pub lines: Vec<LineView>,
    pub total: i64,
    /// None until it is confirmed.
    pub tickets: Vec<TicketView>,
    /// End of the wait for its payment.
    pub until: Option<Millis>,
    /// What its canceled tickets gave back, minor units.
    pub refunded: i64,
    pub secret_hash: [u8; 32],
    pub personal: Vec<u8>,
    pub replayed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    Confirmed,
    Canceled,
    /// Holds its tickets until it is paid or its time is over.
    AwaitingPayment,
    /// Not paid in time, or not at all.
    Expired,
    /// Paid when there was nothing left for it.
    RefundDue,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TicketView {
    pub number: u64,
    pub ticket_type: Uuid,
    /// What a credential for this ticket says now.
    pub type_number: u16,
    pub revision: u16,
    pub zones: u32,
    pub valid_from: Option<Millis>,
    pub valid_until: Option<Millis>,
    pub rotating: bool,
    pub status: TicketStatus,
    /// What its cancellation gave back, minor units.
    pub refund: i64,
    pub order: Uuid,
    /// Index into the order's attendees.
    pub position: u32,
    pub seat: Option<Box<SeatPlace>>,
}

/// A seat as people know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeatPlace {
    pub number: u32,
    /// Name of the section.
    pub section: String,
    pub row: String,
    pub label: String,
    pub obstructed: bool,
    pub wheelchair: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldSeatView {
    pub ticket_type: Uuid,
    pub seat: SeatPlace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    Valid,
    Blocked,
    Canceled,
}
