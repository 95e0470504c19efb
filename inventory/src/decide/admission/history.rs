//! How often a ticket has entered a zone, and whether the zone's policy lets it enter once more. Asked
//! at the door of what was known then, and by the conflict report of what turned out to be.

use std::collections::BTreeSet;

use crate::calendar::day;
use crate::command::Reason;
use crate::config::{EventConfig, ZoneConfig, ZonePolicy};
use crate::state::{State, Ticket, zone_bit};
use crate::time::Millis;

const MINUTE_MS: i64 = 60_000;

/// Entries of one ticket to one zone.
pub(super) struct History<'a> {
    config: &'a EventConfig,
    policy: ZonePolicy,
    entries: u32,
    days: BTreeSet<i64>,
    last: Option<Millis>,
    inside: bool,
}

impl<'a> History<'a> {
    pub(super) fn blank(config: &'a EventConfig, policy: ZonePolicy) -> Self {
        Self { config, policy, entries: 0, days: BTreeSet::new(), last: None, inside: false }
    }

    pub(super) fn of(state: &'a State, ticket: &Ticket, zone: &ZoneConfig) -> Self {
        let mut history = Self::blank(&state.config, zone.policy);
        let bit = zone_bit(zone.number);
        match zone.policy {
            ZonePolicy::FreeFlow => {}
            ZonePolicy::SingleEntry => history.entries = u32::from(ticket.entered & bit != 0),
            ZonePolicy::Reentry => history.inside = state.inside(ticket) & bit != 0,
            _ => {
                let to_here = state.passages(ticket).filter(|scan| {
                    let there = scan.zone.get().and_then(|row| state.zone_at(row));
                    !scan.is_exit() && there.is_some_and(|there| there.number == zone.number)
                });
                for scan in to_here {
                    history.enter(scan.at);
                }
            }
        }
        history
    }

    pub(super) fn enter(&mut self, at: Millis) {
        self.entries = self.entries.saturating_add(1);
        self.last = self.last.max(Some(at));
        self.inside = true;
        if matches!(self.policy, ZonePolicy::OnceADay | ZonePolicy::Days { .. }) {
            self.days.extend(day(self.config, at));
        }
    }

    pub(super) fn set_inside(&mut self, inside: bool) {
        self.inside = inside;
    }

    /// Why the policy does not let the ticket enter now.
    pub(super) fn refuse(&self, now: Millis) -> Option<Reason> {
        let refused = match self.policy {
            ZonePolicy::FreeFlow => return None,
            ZonePolicy::SingleEntry => 0 < self.entries,
            ZonePolicy::Reentry => return self.inside.then_some(Reason::Passback),
            ZonePolicy::Entries { max } => max <= self.entries,
            ZonePolicy::OnceADay => {
                day(self.config, now).is_some_and(|day| self.days.contains(&day))
            }
            ZonePolicy::Days { max } => {
                let today = day(self.config, now).is_some_and(|day| self.days.contains(&day));
                !today && usize::try_from(max).unwrap_or(usize::MAX) <= self.days.len()
            }
            ZonePolicy::Interval { minutes } => {
                let wait = i64::from(minutes).saturating_mul(MINUTE_MS);
                let soon = self.last.is_some_and(|last| now < last.plus_ms(wait));
                return soon.then_some(Reason::TooSoon);
            }
        };
        refused.then_some(Reason::AlreadyUsed)
    }
}
