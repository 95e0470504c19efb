//! Verdicts in words, for the person at the lane. Times are told in the event's zone.

use inventory::command::{FirstScan, Reason};
use inventory::time::Millis;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Why a scan was refused, on the wire: the inventory's reasons and those decided before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    Invalid,
    UnknownKey,
    WrongEvent,
    Revoked,
    /// The signing key's time is over or has not begun.
    KeyExpired,
    KeyNotYet,
    UnknownTicket,
    StoreUnavailable,
    /// The place is being cleared, and the journal does not know of it yet.
    Evacuation,
}

impl Denial {
    pub fn wire(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::UnknownKey => "unknown_key",
            Self::WrongEvent => "wrong_event",
            Self::Revoked => "revoked",
            Self::KeyExpired => "expired",
            Self::KeyNotYet => "not_yet_valid",
            Self::UnknownTicket => "unknown_ticket",
            Self::StoreUnavailable => "store_unavailable",
            Self::Evacuation => Reason::Evacuation.code(),
        }
    }

    /// The rule's name, where the wire says `rules`.
    pub fn rule(self) -> Option<&'static str> {
        if self == Self::Evacuation { Reason::Evacuation.rule() } else { None }
    }

    pub fn message(self) -> &'static str {
        match self {
            Self::Invalid => "This is not a ticket of this system",
            Self::UnknownKey => "The signature is not known here",
            Self::WrongEvent => "The ticket is for another event",
            Self::Revoked => "The key that signed this ticket was revoked",
            Self::KeyExpired => "The key that signed this ticket is no longer good",
            Self::KeyNotYet => "The key that signed this ticket is not good yet",
            Self::UnknownTicket => "No such ticket",
            Self::StoreUnavailable => "The gate cannot decide now, ask the supervisor",
            Self::Evacuation => EVACUATION,
        }
    }
}

const EVACUATION: &str = "Nobody may enter: the place is being cleared";
/// Said to who leaves then, whatever they show.
pub const FLEE: &str = "Go: the place is being cleared";

/// What a reason of the inventory says to a person.
pub fn denied(
    reason: Reason,
    first: Option<&FirstScan>,
    zone: &str,
    time_zone: &str,
    now: Millis,
) -> String {
    match reason {
        Reason::AlreadyUsed => match first {
            Some(first) => {
                format!("Used at {} at lane {}", clock_time(first.at, time_zone, now), first.lane)
            }
            None => "Already used".to_owned(),
        },
        Reason::Superseded => "A newer ticket was issued, this one is no longer good".to_owned(),
        Reason::Canceled => "The ticket was canceled".to_owned(),
        Reason::Unpaid => "The ticket is not paid".to_owned(),
        Reason::Blocked => "The ticket is blocked, ask the supervisor".to_owned(),
        Reason::NotYetValid => "The ticket is not valid yet".to_owned(),
        Reason::Expired => "The ticket is no longer valid".to_owned(),
        Reason::WrongProduct => "This kind of ticket is not good here".to_owned(),
        Reason::WrongZone if zone.is_empty() => "The ticket is not for this zone".to_owned(),
        Reason::WrongZone => format!("The ticket is not for zone {zone}"),
        Reason::NotInside => "The ticket is not inside".to_owned(),
        Reason::StaleCode => "The code is too old, show the live ticket".to_owned(),
        Reason::UnknownTicket => "No such ticket".to_owned(),
        Reason::NonceReused => "This scan's nonce was used for another scan".to_owned(),
        Reason::ZoneFull => "The zone is full".to_owned(),
        Reason::Passback => "The ticket is inside already".to_owned(),
        Reason::TooSoon => "Too soon after the last entry".to_owned(),
        Reason::Evacuation => EVACUATION.to_owned(),
        Reason::Clock => "The time of the scan cannot be".to_owned(),
        Reason::TooLate => "The scan came too late".to_owned(),
    }
}

/// What is said to who goes through; `told` is what staff should know.
pub fn admitted(forced: bool, told: Option<Reason>) -> &'static str {
    match told {
        _ if forced => "Let in by the supervisor",
        Some(Reason::Passback) => "Go ahead; the ticket was not seen to leave",
        Some(Reason::NotInside) => "Go ahead; the ticket was not seen to enter",
        _ => "Go ahead",
    }
}

/// `19:02`, or with the date when it is not the local day of `now`. An unknown zone reads as UTC.
fn clock_time(at: Millis, time_zone: &str, now: Millis) -> String {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    let (Ok(at), Ok(now)) = (Timestamp::from_millisecond(at.0), Timestamp::from_millisecond(now.0))
    else {
        return "an unknown time".to_owned();
    };
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    let format = if at.date() == now.date() { "%H:%M" } else { "%H:%M on %Y-%m-%d" };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests;
