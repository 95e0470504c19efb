//! What an entry means: one variant a kind, the JSON of `data` its fields. Additive within a
//! version: readers ignore fields they do not know. Amounts are minor units, instants RFC 3339.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::command::{
    Channel, Digest16, Direction, FirstScan, IdempotencyKey, LineView, OfflineMode, PaymentMethod,
    Reason, Refusal, Verdict,
};
use crate::config::{EventConfig, PromoConfig, SectionConfig};
use crate::entry::{Entry, Hash, VERSION};
use crate::state::Rank;
use crate::time::Millis;

#[cfg(test)]
mod tests;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Fact {
    #[serde(rename = "catalogue.applied")]
    CatalogueApplied {
        cursor: u64,
        config: Box<EventConfig>,
        /// When everyone counts as having left next, by zone number, of the zones that have such a
        /// time.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        exit_alls: Vec<(u8, Millis)>,
    },
    /// A chunk of promo codes, whole: what it named before and does not name now is over.
    #[serde(rename = "promo.listed")]
    PromosListed { chunk: Uuid, cursor: u64, promos: Vec<PromoConfig> },
    /// The time of these codes is over, and what they kept back is free.
    #[serde(rename = "promo.ended")]
    PromosEnded { promos: Vec<Uuid> },
    #[serde(rename = "hold.created")]
    HoldCreated {
        hold: Uuid,
        lines: Vec<LineView>,
        expires_at: Millis,
        /// Renewals end here.
        renew_until: Millis,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        buyer: Option<Digest16>,
        /// In the order of the tickets of each type.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        seats: Vec<SeatGiven>,
        /// Id of the promo code.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        promo: Option<Uuid>,
        /// Entry of the waiting room whose pass it used.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pass: Option<Digest16>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<IdempotencyKey>,
    },
    #[serde(rename = "hold.renewed")]
    HoldRenewed {
        hold: Uuid,
        expires_at: Millis,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<IdempotencyKey>,
    },
    #[serde(rename = "hold.released")]
    HoldReleased { hold: Uuid },
    #[serde(rename = "hold.expired")]
    HoldsExpired { holds: Vec<Uuid> },
    /// Waits for its payment (`until`), and keeps what its hold held. It has no tickets yet.
    #[serde(rename = "order.placed")]
    OrderPlaced(Box<OrderConfirmed>),
    /// Not paid in time, or not at all: what they held is given back.
    #[serde(rename = "order.expired")]
    OrdersExpired { orders: Vec<Uuid> },
    /// Paid when there was nothing left for it.
    #[serde(rename = "order.refund_due")]
    OrderRefundDue { order: Uuid },
    /// A new order, or one that was placed before and is paid now.
    #[serde(rename = "order.confirmed")]
    OrderConfirmed(Box<OrderConfirmed>),
    #[serde(rename = "order.canceled")]
    OrderCanceled {
        order: Uuid,
        /// Ticket numbers given back; the order is canceled with its last one.
        positions: Vec<u64>,
        /// What each of them gives back, minor units.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        refunds: Vec<i64>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<IdempotencyKey>,
    },
    #[serde(rename = "ticket.blocked")]
    TicketBlocked { ticket: u64 },
    #[serde(rename = "ticket.unblocked")]
    TicketUnblocked { ticket: u64 },
    #[serde(rename = "ticket.reissued")]
    TicketReissued {
        ticket: u64,
        revision: u16,
        /// Its seat from now on, when that changed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        seat: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<IdempotencyKey>,
    },
    /// One section of the house, as the catalogue has it.
    #[serde(rename = "seats.applied")]
    SeatsApplied { cursor: u64, section: Box<SectionConfig> },
    /// One of the sample of those who wait.
    #[serde(rename = "room.joined")]
    RoomJoined { entry: Digest16, rank: Rank },
    #[serde(rename = "room.moved")]
    RoomMoved {
        admitted: Rank,
        /// What was not enough for a person more: people × milliseconds of a minute.
        credit: u64,
    },
    #[serde(rename = "room.entered")]
    RoomEntered { entry: Digest16, rank: Rank, until: Millis },
    #[serde(rename = "seats.blocked")]
    SeatsBlocked { seats: Vec<u32> },
    #[serde(rename = "seats.unblocked")]
    SeatsUnblocked { seats: Vec<u32> },
    #[serde(rename = "scan.decided")]
    ScanDecided(Box<ScanDecided>),
    /// The end of a reservation; `device` is absent when its lease ran out.
    #[serde(rename = "scan.settled")]
    ScanSettled {
        scan: u64,
        passed: bool,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        device: Option<Uuid>,
    },
    #[serde(rename = "scan.annulled")]
    ScanAnnulled { scan: u64, device: Uuid },
    /// Decided by a device alone, told later.
    #[serde(rename = "scan.recorded")]
    ScanRecorded(Box<ScanRecorded>),
    /// Everyone who entered the zone before counts as having left.
    #[serde(rename = "zone.emptied")]
    ZoneEmptied {
        /// Number of the zone.
        zone: u8,
        before: Millis,
        /// When it happens again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        next: Option<Millis>,
    },
    #[serde(rename = "zone.corrected")]
    ZoneCorrected { zone: u8, inside: u64, by: Uuid },
    #[serde(rename = "event.evacuated")]
    EventEvacuated { on: bool, by: Uuid },
    #[serde(rename = "event.canceled")]
    EventCanceled {},
    #[serde(rename = "instruction.done")]
    InstructionDone {
        id: Uuid,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        refused: Option<Refusal>,
    },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OrderConfirmed {
    pub order: Uuid,
    /// 1, 2, 3 … within the event.
    pub number: u64,
    pub code: String,
    /// Hold that it came from; none for the back office's orders.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<Uuid>,
    pub channel: Channel,
    pub payment: PaymentMethod,
    pub currency: String,
    pub lines: Vec<LineView>,
    /// In the order of the lines.
    pub tickets: Vec<IssuedTicket>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub buyer: Option<Digest16>,
    /// Id of the promo code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub promo: Option<Uuid>,
    /// SHA-256 of the order's secret, hex.
    pub secret_hash: Hash,
    /// `personal::Personal` under the order's data key, base64.
    pub personal: Base64,
    /// End of the wait for its payment, while it waits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<IdempotencyKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IssuedTicket {
    /// 1, 2, 3 … within the event.
    pub ticket: u64,
    pub ticket_type: Uuid,
    /// By number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seat: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeatGiven {
    /// By number.
    pub seat: u32,
    pub ticket_type: Uuid,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ScanDecided {
    pub device: Uuid,
    pub lane: String,
    pub zone: String,
    pub direction: Direction,
    /// Digest of device and nonce.
    pub nonce: Digest16,
    pub request: Digest16,
    /// None when the ticket is not known here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ticket: Option<u64>,
    pub verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_scan: Option<FirstScan>,
    /// Set only when force was needed; `reason` then says what was overruled.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub forced: bool,
    /// A check-in by hand from the back office: who.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<Uuid>,
    /// End of the reservation, for `reserve`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_until: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answers: Option<Answered>,
}

/// Answers at the door; `sealed` is JSON under the order's data key, base64.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answered {
    pub questions: Vec<Uuid>,
    pub sealed: Base64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScanRecorded {
    pub device: Uuid,
    pub lane: String,
    pub zone: String,
    pub direction: Direction,
    pub nonce: Digest16,
    pub request: Digest16,
    pub ticket: u64,
    /// When it happened, by the device's corrected clock.
    pub happened_at: Millis,
    pub verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub forced: bool,
    pub mode: OfflineMode,
    pub bundle: u64,
}

/// Bytes as standard base64 text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Base64(pub Vec<u8>);

/// A fact as its two columns; `data` borrows the text it was read from.
#[derive(Deserialize)]
struct Written<'a> {
    kind: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Fact {
    /// What an entry means. Errors name the kind and the field.
    pub fn from_entry(entry: &Entry) -> Result<Self, String> {
        // Kind first, so that the data is read as that kind without a detour.
        let kind = serde_json::to_string(&entry.kind).map_err(|error| error.to_string())?;
        let text = format!("{{\"kind\":{kind},\"data\":{}}}", entry.data.get());
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", entry.kind))
    }

    /// This fact as an entry of the journal.
    pub fn entry(&self, seq: u64, prev_hash: Hash, at: Millis) -> Result<Entry, String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let written: Written<'_> =
            serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let (kind, data) = (written.kind, written.data.to_owned());
        Ok(Entry { seq, prev_hash, at, v: VERSION, kind, data })
    }
}
