//! Where a ticket's passages put it. A ticket's standing is the fold of its passages in the order in
//! which they happened, so that it does not depend on the order in which they became known; what
//! was decided at a door stays as it was decided.

use super::{Admission, Scan, State, Ticket, zone_bit};
use crate::config::ZoneConfig;
use crate::time::Millis;

/// What passages come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Standing {
    /// Bits by zone number.
    pub entered: u32,
    pub inside: u32,
    /// First admission to each zone, by number, in the order they happened.
    pub firsts: Vec<(u8, Admission)>,
}

impl State {
    /// A ticket's passages, the newest first; those that were taken back are left out.
    pub(crate) fn passages(&self, ticket: &Ticket) -> impl Iterator<Item = &Scan> {
        let mut next = ticket.last;
        std::iter::from_fn(move || {
            let scan = self.scan_at(next.checked_sub(1)?)?;
            next = scan.before;
            Some(scan)
        })
        .filter(|scan| scan.is_passage())
    }

    /// Zones that the ticket is in now, as bits by number.
    pub(crate) fn inside(&self, ticket: &Ticket) -> u32 {
        let mut inside = ticket.inside;
        for (zone, count) in self.tables.zones.iter().zip(&self.zones) {
            let bit = zone_bit(zone.config.number);
            if inside & bit == 0 || count.emptied_before == Millis::default() {
                continue;
            }
            let came = self.passages(ticket).find(|scan| self.leads_to(scan) == Some(bit));
            // What is forgotten was made sure of when it was, see `forget`.
            if came.is_some_and(|scan| scan.at < count.emptied_before) {
                inside &= !bit;
            }
        }
        inside
    }

    /// Bit of the zone that someone is in after the passage.
    fn leads_to(&self, scan: &Scan) -> Option<u32> {
        let zone = self.zone_at(scan.zone.get()?)?;
        if scan.is_exit() { zone.exit_to.map(zone_bit) } else { Some(zone_bit(zone.number)) }
    }

    /// By row, whether or not the catalogue still lists it.
    pub(crate) fn zone_at(&self, row: u8) -> Option<&ZoneConfig> {
        Some(&self.tables.zones.get(usize::from(row))?.config)
    }

    /// The fold of all of a ticket's passages. None when the oldest are forgotten.
    pub(crate) fn fold(&self, ticket: &Ticket) -> Option<Standing> {
        let mut passages: Vec<&Scan> = Vec::new();
        let mut next = ticket.last;
        while let Some(index) = next.checked_sub(1) {
            let scan = self.scan_at(index)?;
            if scan.is_passage() {
                passages.push(scan);
            }
            next = scan.before;
        }
        let mut standing = Standing::default();
        for scan in passages.into_iter().rev() {
            self.step(&mut standing, scan);
        }
        let folded = Ticket { inside: standing.inside, ..*ticket };
        Some(Standing { inside: self.inside(&folded), ..standing })
    }

    /// One more passage. Returns whether it is the first admission to its zone.
    pub(crate) fn step(&self, standing: &mut Standing, scan: &Scan) -> bool {
        let Some(zone) = scan.zone.get().and_then(|row| self.zone_at(row)) else { return false };
        let bit = zone_bit(zone.number);
        if scan.is_exit() {
            standing.inside &= !bit;
            standing.inside |= zone.exit_to.map_or(0, zone_bit);
            return false;
        }
        let left = zone.leaves.iter().fold(0, |bits, number| bits | zone_bit(*number));
        standing.inside = standing.inside & !left | bit;
        let first = standing.entered & bit == 0;
        standing.entered |= bit;
        if first {
            standing.firsts.push((zone.number, Admission { at: scan.at, lane: scan.lane }));
        }
        first
    }
}
