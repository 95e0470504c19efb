//! What is asked and answered at doors. The words of reasons on the wire stand with the rules.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Digest16, TicketView};
use crate::time::Millis;

#[derive(Clone, Debug)]
pub struct ScanRequest {
    pub device: Uuid,
    /// Lane, as the device names it; shown again in `first_scan`.
    pub lane: String,
    /// Key of the zone within the event: `main`.
    pub zone: String,
    pub direction: Direction,
    pub nonce: String,
    /// Digest of credential without live code, lane, zone, direction.
    pub request: Digest16,
    pub subject: Subject,
    /// The device may force and asks to.
    pub force: bool,
    /// What was answered at the door, if anything.
    pub answers: Option<DoorAnswers>,
}

/// Answers at the door: which questions they are to, and their text under the order's data key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DoorAnswers {
    pub questions: Vec<Uuid>,
    pub sealed: Vec<u8>,
}

/// A scan that a device, or a node without its store, decided alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OfflineScan {
    pub device: Uuid,
    pub lane: String,
    pub zone: String,
    pub direction: Direction,
    pub nonce: String,
    /// Digest of credential without live code, lane, zone, direction.
    pub request: Digest16,
    pub ticket: u64,
    /// When it happened, by the device's clock and its known offset.
    pub at: Millis,
    /// Whether the device let through.
    pub admitted: bool,
    /// Why not, or what was overruled, where that is known.
    pub reason: Option<Reason>,
    pub forced: bool,
    pub mode: OfflineMode,
    /// Version of the bundle that it decided by.
    pub bundle: u64,
}

/// By what a scan was decided without the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflineMode {
    /// The handheld, from its bundle.
    Bundle,
    /// A node's own state, while its store was gone.
    Local,
    /// A lane that a supervisor had opened.
    Open,
    /// A rotating ticket by its signature alone.
    CodeUnchecked,
}

/// What became of one uploaded scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Uploaded {
    Recorded,
    /// It is known already: sent twice, or decided online with the same answer.
    Duplicate,
    /// Recorded; the ticket was admitted by another scan where once was allowed.
    Conflict(Conflict),
    Rejected(Reason),
}

/// Two admissions of one ticket of which the rules allow one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    pub ticket: u64,
    pub zone: String,
    /// Journal numbers of both, the earlier admission first.
    pub scans: [u64; 2],
    pub lanes: [String; 2],
    pub at: [Millis; 2],
    pub reason: Reason,
}

impl Conflict {
    /// Whole seconds between both.
    pub fn seconds_apart(&self) -> i64 {
        let [earlier, later] = self.at;
        later.0.saturating_sub(earlier.0).div_euclid(1_000)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Entry,
    Exit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A credential whose signature was verified before. `stale_code`: it rotates and its live
    /// code is missing or wrong.
    Credential { ticket: u64, revision: u16, stale_code: bool },
    /// A staff look-up.
    Ticket { ticket: u64 },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanVerdict {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    /// Journal number of the decision that this answers: the scan's id is `<event>-<seq>`.
    pub scan: u64,
    pub at: Millis,
    pub ticket: Option<TicketView>,
    /// The ticket's first admission to this zone before this decision.
    pub first_scan: Option<FirstScan>,
    pub occupancy: Option<Occupancy>,
    pub forced: bool,
    /// A nonce that was answered before: verdict, reason, scan, at and first_scan are repeated.
    pub replay: bool,
    /// What became of a reservation, or of an admission that was taken back.
    pub settled: Option<Settlement>,
    /// Rows of the questions to ask, for `ask`.
    pub questions: Vec<Uuid>,
    /// How it was decided while the store did not answer; no entry holds it yet.
    pub alone: Option<OfflineMode>,
}

/// What became of a scan that was let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    Passed,
    NotPassed,
    /// Taken back by the device within 15 minutes.
    Annulled,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Admit,
    #[default]
    Deny,
    /// Open, and report whether the person passed.
    Reserve,
    /// Ask first; nothing is reserved and nothing written.
    Ask,
}

impl Verdict {
    /// Whether someone may go through.
    pub fn lets_through(self) -> bool {
        matches!(self, Self::Admit | Self::Reserve)
    }
}

/// Why a scan was denied, or what force overruled. New reasons go last: snapshots keep their place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Superseded,
    Canceled,
    Unpaid,
    Blocked,
    NotYetValid,
    Expired,
    WrongProduct,
    WrongZone,
    AlreadyUsed,
    NotInside,
    ZoneFull,
    StaleCode,
    UnknownTicket,
    NonceReused,
    /// Inside already, or not seen to have left.
    Passback,
    /// The rule `interval`: too soon after the last entry.
    TooSoon,
    /// The rule `evacuation`: nobody enters.
    Evacuation,
    /// A time that cannot be: in the future, or before the ticket was.
    Clock,
    /// It was too late to send it.
    TooLate,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirstScan {
    pub at: Millis,
    pub lane: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Occupancy {
    pub zone: String,
    pub inside: u64,
    pub capacity: Option<u64>,
}
