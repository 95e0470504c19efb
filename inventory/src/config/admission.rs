//! What the catalogue says about doors: zones, lanes, windows and questions.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Millis;

/// Most lanes of an event that have a rule of their own, and most questions.
pub const LANES_MAX: usize = 1_024;
pub const QUESTIONS_MAX: usize = 64;
/// Minutes of a day: times of day in the configuration are below it.
pub const DAY_MINUTES: u16 = 24 * 60;
/// Longest lease of a two-phase lane, seconds.
pub const LEASE_S_MAX: u32 = 600;

/// A place that people are in or not in. Zones form a graph: entering one leaves those that it names
/// in `leaves`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ZoneConfig {
    pub id: Uuid,
    /// Bit in the credential's zone set, 0 to 31.
    pub number: u8,
    /// Name that lanes use: `main`.
    pub key: String,
    pub name: String,
    pub policy: ZonePolicy,
    /// Entry is refused while so many are inside.
    pub capacity: Option<u64>,
    #[serde(default)]
    pub passback: Passback,
    /// Numbers of the zones that one leaves by entering this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaves: Vec<u8>,
    /// Number of the zone that one enters by leaving this one; outside when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_to: Option<u8>,
    /// Entry from then on, and until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Millis>,
    /// Minutes after midnight, venue time, at which everyone counts as having left, every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_all_at_min: Option<u16>,
}

/// How often one ticket may enter a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ZonePolicy {
    /// One entry a ticket, exits are recorded and do not open a second entry.
    SingleEntry,
    /// As often as one has left before.
    Reentry,
    /// So many entries a ticket.
    Entries { max: u32 },
    /// One entry a day of admission.
    OnceADay,
    /// On so many days of admission, as often as one likes on each.
    Days { max: u32 },
    /// Not before so many minutes after the last entry.
    Interval { minutes: u32 },
    /// As often as one likes.
    FreeFlow,
}

/// What happens when someone enters who is inside, or leaves who is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passback {
    /// Entry follows the policy alone; leaving takes having entered.
    #[default]
    Off,
    /// Let through, and told.
    Soft,
    /// Refused.
    Hard,
}

/// A type admits to a zone in [from, until) only. Several windows of a zone add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ZoneWindow {
    pub zone: u8,
    pub from: Option<Millis>,
    pub until: Option<Millis>,
}

/// A door, by the name that its devices use.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaneConfig {
    pub key: String,
    /// Numbers of the ticket types that it serves; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<u16>,
    /// A turnstile: admission is reserved until it reports that the person has passed.
    #[serde(default)]
    pub two_phase: bool,
    /// How long it may take to report, seconds.
    #[serde(default = "lease_s")]
    pub lease_s: u32,
    /// What a turnstile that did not report has done.
    #[serde(default)]
    pub lease_end: LeaseEnd,
    /// What decides while the store cannot be reached.
    #[serde(default)]
    pub mode: LaneMode,
    /// What a handheld without network does with a rotating ticket.
    #[serde(default)]
    pub rotating_offline: RotatingOffline,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseEnd {
    #[default]
    Passed,
    NotPassed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneMode {
    /// Refuse: `store_unavailable`.
    Secure,
    /// This node's complete state decides; what it decided is merged before it decides online again.
    #[default]
    Local,
    /// Admit and record; a supervisor set it.
    Open,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotatingOffline {
    /// Admit by the signature alone and record that the live code was not checked.
    StaticOk,
    #[default]
    Refuse,
}

/// Asked at the door before the first entry, of tickets of the types it names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuestionConfig {
    pub id: Uuid,
    pub text: String,
    pub kind: QuestionKind,
    /// What may be chosen, for `choice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Numbers of ticket types; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// Must be confirmed.
    Confirm,
    Text,
    Choice,
}

pub(super) fn lease_s() -> u32 {
    10
}
