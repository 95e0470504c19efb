//! The state as canonical bytes: the same state gives the same bytes on every node, whatever way it
//! took there. They are the snapshot, and their SHA-256 is the state's hash.
//!
//! Layout: `IMAGE_VERSION` u16 big-endian, then postcard of `Image`; maps as lists sorted by key,
//! what the catalogue said as JSON text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::room::{Moved, Pass, Rank};
use super::seats::{Cell, HeldSeat, Plan, Section};
use super::tables::Tables;
use super::{
    Admission, Due, Flags, Hold, HoldStatus, KeyRecord, Lease, Line, Order, PromoCount, QuotaCount,
    Scan, State, Ticket, Totals, TypeCount, ZoneCount,
};
use crate::command::{Digest16, Refusal};
use crate::entry::Hash;
use crate::time::Millis;

/// Raised when the layout changes; an image of another version is not read, the state is then
/// built from the journal or by the release that wrote it.
pub const IMAGE_VERSION: u16 = 3;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImageError {
    #[error("snapshot layout {0} is not known here")]
    Version(u16),
    #[error("snapshot is of another event")]
    Event,
    #[error("snapshot cannot be read: {0}")]
    Unreadable(String),
    #[error("snapshot cannot be written: {0}")]
    Unwritable(String),
}

#[derive(Serialize, Deserialize)]
struct Image<'a> {
    event: Uuid,
    totals: Totals,
    config: Cow<'a, str>,
    tables: Cow<'a, str>,
    quotas: Cow<'a, [QuotaCount]>,
    types: Cow<'a, [TypeCount]>,
    zones: Cow<'a, [ZoneCount]>,
    tickets: Cow<'a, [Ticket]>,
    orders: Cow<'a, [Order]>,
    baskets: Cow<'a, [Box<[Line]>]>,
    admissions: Cow<'a, BTreeMap<(u32, u8), Admission>>,
    lanes: Cow<'a, [Box<str>]>,
    answered: Cow<'a, BTreeSet<(u32, Uuid)>>,
    awaiting: Cow<'a, BTreeMap<u32, Uuid>>,
    refunds: Cow<'a, BTreeMap<u32, i64>>,
    recorded: Cow<'a, BTreeSet<u32>>,
    leases: Cow<'a, BTreeMap<u32, Lease>>,
    holds: Vec<(Uuid, Hold)>,
    /// As JSON text, like all that the catalogue said.
    promos: Cow<'a, str>,
    promo_counts: Cow<'a, [PromoCount]>,
    promo_chunks: Cow<'a, BTreeMap<Uuid, u64>>,
    ended: Cow<'a, VecDeque<(Millis, Uuid)>>,
    keys: Vec<(Digest16, KeyRecord)>,
    key_order: Cow<'a, VecDeque<(Millis, Digest16)>>,
    scans: Cow<'a, VecDeque<Scan>>,
    instructions: Vec<(Uuid, Cow<'a, Option<Box<Refusal>>>)>,
    /// Sections as JSON text, with their cursors.
    sections: Vec<(u64, Cow<'a, str>)>,
    cells: Cow<'a, [Cell]>,
    seat_of_ticket: Cow<'a, [u32]>,
    held_seats: Vec<(Uuid, Cow<'a, [HeldSeat]>)>,
    room: Moved,
    samples: Cow<'a, BTreeMap<Digest16, Rank>>,
    passes: Cow<'a, BTreeMap<Digest16, Pass>>,
}

impl State {
    /// SHA-256 of the canonical bytes.
    pub fn hash(&self) -> Result<Hash, ImageError> {
        Ok(Hash(Sha256::digest(self.to_bytes()?).into()))
    }

    /// Canonical bytes of the state, uncommitted changes included.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ImageError> {
        let json = |error: serde_json::Error| ImageError::Unwritable(error.to_string());
        let image = Image {
            event: self.event,
            totals: self.totals,
            config: serde_json::to_string(&*self.config).map_err(json)?.into(),
            tables: serde_json::to_string(&*self.tables).map_err(json)?.into(),
            quotas: (&self.quotas).into(),
            types: (&self.types).into(),
            zones: (&self.zones).into(),
            tickets: (&self.tickets).into(),
            orders: (&self.orders).into(),
            baskets: (&self.baskets).into(),
            admissions: Cow::Borrowed(&self.admissions),
            lanes: (&self.lanes).into(),
            answered: Cow::Borrowed(&self.answered),
            awaiting: Cow::Borrowed(&self.awaiting),
            refunds: Cow::Borrowed(&self.refunds),
            recorded: Cow::Borrowed(&self.recorded),
            leases: Cow::Borrowed(&self.leases),
            holds: sorted(self.holds.iter().map(|(id, hold)| (*id, *hold))),
            promos: serde_json::to_string(&self.promos).map_err(json)?.into(),
            promo_counts: (&self.promo_counts).into(),
            promo_chunks: Cow::Borrowed(&self.promo_chunks),
            ended: Cow::Borrowed(&self.ended),
            keys: sorted(self.keys.iter().map(|(scope, record)| (*scope, *record))),
            key_order: Cow::Borrowed(&self.key_order),
            scans: Cow::Borrowed(&self.scans),
            instructions: sorted(
                self.instructions.iter().map(|(id, refused)| (*id, Cow::Borrowed(refused))),
            ),
            sections: self.section_texts()?,
            cells: (&self.seats.cells).into(),
            seat_of_ticket: (&self.seats.of_ticket).into(),
            room: self.room.figures,
            samples: Cow::Borrowed(&self.room.samples),
            passes: Cow::Borrowed(&self.room.passes),
            held_seats: sorted(self.seats.held.iter().map(|(id, s)| (*id, Cow::Borrowed(&**s)))),
        };
        let out = IMAGE_VERSION.to_be_bytes().to_vec();
        postcard::to_extend(&image, out).map_err(|e| ImageError::Unwritable(e.to_string()))
    }

    fn section_texts(&self) -> Result<Vec<(u64, Cow<'_, str>)>, ImageError> {
        let sections = self.seats.plan.sections.iter().map(|section| {
            let text = serde_json::to_string(&*section.config);
            let text = text.map_err(|error| ImageError::Unwritable(error.to_string()))?;
            Ok((section.cursor, Cow::Owned(text)))
        });
        sections.collect()
    }

    /// What time alone will do, from what it follows from.
    pub(super) fn all_due(&self) -> impl Iterator<Item = (Millis, Due)> {
        let live = self.holds.iter().filter(|(_, hold)| hold.status == HoldStatus::Live);
        let holds = live.map(|(id, hold)| (hold.expires_at, Due::HoldEnds(*id)));
        let leases = self.leases.iter().map(|(scan, l)| (l.until, Due::LeaseEnds(*scan)));
        let zones = (0..).zip(&self.zones);
        let zones = zones.filter_map(|(row, zone)| Some((zone.empties_at?, Due::ZoneEmpties(row))));
        let room = self.room.moves_at(self.config.room).map(|at| (at, Due::RoomMoves));
        let promos = (0..).zip(&self.promos);
        let promos = promos.filter_map(|(row, p)| Some((p.keeps_until()?, Due::PromoEnds(row))));
        holds.chain(leases).chain(zones).chain(promos).chain(room)
    }

    /// Reads what `to_bytes` wrote for this event.
    pub fn from_bytes(event: Uuid, bytes: &[u8]) -> Result<Self, ImageError> {
        let unreadable = |what: &str| ImageError::Unreadable(what.to_owned());
        let (version, bytes) = bytes.split_first_chunk().ok_or(unreadable("too short"))?;
        let version = u16::from_be_bytes(*version);
        if version != IMAGE_VERSION {
            return Err(ImageError::Version(version));
        }
        let image: Image<'_> =
            postcard::from_bytes(bytes).map_err(|e| ImageError::Unreadable(e.to_string()))?;
        if image.event != event {
            return Err(ImageError::Event);
        }
        let json = |error: serde_json::Error| ImageError::Unreadable(error.to_string());
        let mut tables: Tables = serde_json::from_str(&image.tables).map_err(json)?;
        tables.derive().map_err(|_| unreadable("its catalogue contradicts itself"))?;
        let mut state = Self::new(event);
        state.totals = image.totals;
        state.config = Arc::new(serde_json::from_str(&image.config).map_err(json)?);
        state.tables = Arc::new(tables);
        state.quotas = image.quotas.into_owned();
        state.types = image.types.into_owned();
        state.zones = image.zones.into_owned();
        state.tickets = image.tickets.into_owned();
        state.orders = image.orders.into_owned();
        state.order_ids = numbered(state.orders.iter().map(|order| order.id));
        state.baskets = image.baskets.into_owned();
        state.basket_ids = numbered(state.baskets.iter().cloned());
        state.admissions = image.admissions.into_owned();
        state.lanes = image.lanes.into_owned();
        state.lane_ids = numbered(state.lanes.iter().cloned());
        state.answered = image.answered.into_owned();
        state.awaiting = image.awaiting.into_owned();
        state.refunds = image.refunds.into_owned();
        state.recorded = image.recorded.into_owned();
        state.leases = image.leases.into_owned();
        state.holds = image.holds.into_iter().collect();
        state.promos = serde_json::from_str(&image.promos).map_err(json)?;
        state.promo_counts = image.promo_counts.into_owned();
        state.promo_chunks = image.promo_chunks.into_owned();
        state.promo_ids = numbered(state.promos.iter().map(|promo| promo.config.id));
        let listed = (0..).zip(&state.promos).filter(|(_, promo)| promo.listed);
        state.promo_codes = listed.map(|(row, promo)| (promo.config.code, row)).collect();
        let counted = state.recount();
        (state.buyers, state.promo_buyers) = (counted.buyers, counted.promo_buyers);
        state.ended = image.ended.into_owned();
        state.keys = image.keys.into_iter().collect();
        state.key_order = image.key_order.into_owned();
        state.scans = image.scans.into_owned();
        // A nonce that was given anew after it was forgotten stands twice: the newest counts.
        let forgotten = state.totals.scans_forgotten;
        let indexes = (forgotten..).zip(&state.scans);
        let indexes = indexes.filter(|(_, scan)| !scan.flags.has(Flags::SECOND));
        state.nonces = indexes.map(|(index, scan)| (scan.nonce, index)).collect();
        let done = image.instructions.into_iter();
        state.instructions = done.map(|(id, refused)| (id, refused.into_owned())).collect();
        let sections = image.sections.iter().map(|(cursor, text)| {
            let config = Arc::new(serde_json::from_str(text).map_err(json)?);
            Ok(Section { cursor: *cursor, config })
        });
        let plan = Plan::of(sections.collect::<Result<_, ImageError>>()?);
        state.seats.cells = image.cells.into_owned();
        state.seats.of_ticket = image.seat_of_ticket.into_owned();
        let held = image.held_seats.into_iter();
        state.seats.held = held.map(|(id, seats)| (id, seats.into_owned().into())).collect();
        state.seats.set_plan(plan.ok_or(unreadable("two seats have one number"))?);
        state.room.figures = image.room;
        state.room.samples = image.samples.into_owned();
        for (entry, pass) in image.passes.into_owned() {
            state.room.put_pass(entry, Some(pass));
        }
        state.due = state.all_due().collect();
        Ok(state)
    }
}

fn sorted<K: Ord, V>(pairs: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut pairs: Vec<(K, V)> = pairs.collect();
    pairs.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    pairs
}

fn numbered<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, u32> {
    keys.zip(0..).collect()
}
