//! What facts of the doors do: scans and what becomes of them, zones.

use super::{Applied, ApplyError, large, small};
use crate::command::{Direction, Verdict};
use crate::config::{LeaseEnd, ZoneConfig};
use crate::entry::Entry;
use crate::fact::{ScanDecided, ScanRecorded};
use crate::state::passages::Standing;
use crate::state::tables::{Row, Tables};
use crate::state::{
    Admission, Due, Flags, Lease, Scan, State, Ticket, ZONE_NUMBER_MAX, ZoneCount, ticket_index,
    zone_bit,
};
use crate::time::Millis;

impl State {
    pub(super) fn scan(&mut self, entry: &Entry, decided: &ScanDecided) -> Applied {
        let zone = self.tables.zone(&decided.zone).map(|(row, _)| row);
        let ticket = decided.ticket.and_then(ticket_index).filter(|i| self.ticket_at(*i).is_some());
        if decided.ticket.is_some() != ticket.is_some() {
            return Err(ApplyError::contradiction("scan of a ticket that does not exist"));
        }
        let flags = Flags::default()
            .with(Flags::EXIT, decided.direction == Direction::Exit)
            .with(Flags::FORCED, decided.forced)
            .with(Flags::HAD_FIRST, decided.first_scan.is_some());
        let scan = Scan {
            nonce: decided.nonce,
            request: decided.request,
            at: entry.at,
            seq: entry.seq,
            ticket: ticket.into(),
            before: 0,
            lane: self.intern_lane(&decided.lane)?,
            zone: zone.into(),
            verdict: decided.verdict,
            reason: decided.reason,
            flags,
        };
        let index = self.add_scan(scan)?;
        if let (Some(ticket), Some(answers)) = (ticket, &decided.answers) {
            for question in &answers.questions {
                self.add_answered((ticket, *question));
            }
        }
        match (decided.verdict, decided.lease_until) {
            (Verdict::Reserve, Some(until)) => {
                let lane = self.tables.lane(&decided.lane);
                let passes = lane.is_none_or(|lane| lane.lease_end == LeaseEnd::Passed);
                self.put_lease(index, Some(Lease { device: decided.device, until, passes }));
                self.add_due(until, Due::LeaseEnds(index));
                Ok(())
            }
            (Verdict::Admit | Verdict::Deny, None) => Ok(()),
            _ => Err(ApplyError::contradiction(
                "a verdict that is not written, or without its lease",
            )),
        }
    }

    pub(super) fn record(&mut self, entry: &Entry, recorded: &ScanRecorded) -> Applied {
        let wrong = || ApplyError::contradiction("a scan of an unknown ticket, or of the future");
        let ticket = ticket_index(recorded.ticket).filter(|i| self.ticket_at(*i).is_some());
        let ticket = ticket.ok_or_else(wrong)?;
        let zone = self.tables.zone(&recorded.zone).map(|(row, _)| row).ok_or_else(wrong)?;
        if entry.at < recorded.happened_at {
            return Err(wrong());
        }
        let number = self.zone_at(zone).ok_or_else(wrong)?.number;
        let first = self.first_admission(ticket, number);
        let flags = Flags::RECORDED
            .with(Flags::EXIT, recorded.direction == Direction::Exit)
            .with(Flags::FORCED, recorded.forced)
            .with(Flags::HAD_FIRST, first.is_some_and(|first| first.at <= recorded.happened_at))
            .with(Flags::SECOND, self.nonces.contains_key(&recorded.nonce));
        let scan = Scan {
            nonce: recorded.nonce,
            request: recorded.request,
            at: recorded.happened_at,
            seq: entry.seq,
            ticket: Some(ticket).into(),
            before: 0,
            lane: self.intern_lane(&recorded.lane)?,
            zone: Some(zone).into(),
            verdict: recorded.verdict,
            reason: recorded.reason,
            flags,
        };
        self.add_scan(scan)?;
        self.add_recorded(ticket);
        Ok(())
    }

    /// Remembers a scan for its nonce and, if it is one, as a passage of its ticket.
    fn add_scan(&mut self, scan: Scan) -> Result<u32, ApplyError> {
        let index = small(self.scans.len())?.checked_add(self.totals.scans_forgotten);
        let index = index.ok_or(ApplyError::contradiction("too many scans"))?;
        self.push_scan(scan);
        if !scan.flags.has(Flags::SECOND) {
            self.put_nonce(scan.nonce, Some(index));
        }
        match (scan.is_passage(), scan.ticket.get(), scan.zone.get()) {
            (true, Some(ticket), Some(zone)) => {
                self.count_passage(&scan, zone, 1)?;
                self.link(index, scan, ticket)?;
            }
            (true, ..) => {
                return Err(ApplyError::contradiction("admitted without ticket or zone"));
            }
            (false, _, zone) => self.count_denied(zone),
        }
        Ok(index)
    }

    fn count_denied(&mut self, zone_row: Option<u8>) {
        let mut totals = self.totals;
        totals.denied = totals.denied.saturating_add(1);
        self.set_totals(totals);
        let row = zone_row.map(usize::from);
        if let Some((row, count)) = row.and_then(|row| Some((row, *self.zones.get(row)?))) {
            let denied = count.denied.saturating_add(1);
            self.set_zone(row, ZoneCount { denied, ..count });
        }
    }

    /// One admission more or less.
    fn count_passage(&mut self, scan: &Scan, zone_row: u8, by: i64) -> Applied {
        if scan.is_exit() {
            return Ok(());
        }
        let wrong = || ApplyError::contradiction("admissions would fall below zero");
        let row = usize::from(zone_row);
        let mut count = *self.zones.get(row).ok_or_else(wrong)?;
        count.admitted = count.admitted.checked_add_signed(by).ok_or_else(wrong)?;
        self.set_zone(row, count);
        let mut totals = self.totals;
        totals.admitted = totals.admitted.checked_add_signed(by).ok_or_else(wrong)?;
        self.set_totals(totals);
        Ok(())
    }

    /// Puts a passage where it happened among those of its ticket.
    fn link(&mut self, index: u32, scan: Scan, ticket_at: u32) -> Applied {
        let ticket = *self.ticket_at(ticket_at).ok_or_else(no_ticket)?;
        let was_inside = self.inside(&ticket);
        let place = index.checked_add(1).ok_or_else(no_ticket)?;
        let mut after: Option<(u32, Scan)> = None;
        let mut before = ticket.last;
        while let Some(at) = before.checked_sub(1) {
            let Some(other) = self.scan_at(at).copied() else { break };
            if other.order() <= scan.order() {
                break;
            }
            after = Some((at, other));
            before = other.before;
        }
        self.set_scan(index, Scan { before, ..scan });
        if let Some((at, other)) = after {
            self.set_scan(at, Scan { before: place, ..other });
            return self.refold(ticket_at, was_inside, None);
        }
        let mut standing =
            Standing { entered: ticket.entered, inside: was_inside, firsts: Vec::new() };
        self.step(&mut standing, &scan);
        self.stand(ticket_at, Ticket { last: place, ..ticket }, was_inside, &standing)
    }

    /// Works a ticket's standing out again, after its passages changed elsewhere than at the end.
    fn refold(&mut self, ticket_at: u32, was_inside: u32, taken_back: Option<&Scan>) -> Applied {
        let ticket = *self.ticket_at(ticket_at).ok_or_else(no_ticket)?;
        let folded = self.fold(&ticket);
        let standing = folded.unwrap_or_else(|| self.fold_rest(ticket_at, &ticket, taken_back));
        for number in (0..=ZONE_NUMBER_MAX).filter(|n| ticket.entered & zone_bit(*n) != 0) {
            if self.admissions.contains_key(&(ticket_at, number)) {
                self.put_admission((ticket_at, number), None);
            }
        }
        if ticket.entered != 0 {
            self.count_type(ticket.type_row, -1)?;
        }
        let blank = Ticket { first: Admission::default(), first_zone: 0, entered: 0, ..ticket };
        self.stand(ticket_at, blank, was_inside, &standing)
    }

    /// The same where the oldest passages are forgotten: what they were is kept, and only what was
    /// taken back is worked out from those that are left.
    fn fold_rest(&self, ticket_at: u32, ticket: &Ticket, taken_back: Option<&Scan>) -> Standing {
        let gone = taken_back.and_then(|scan| Some((scan, self.zone_at(scan.zone.get()?)?.number)));
        let mut standing = Standing { inside: self.inside(ticket), ..Standing::default() };
        for number in (0..=ZONE_NUMBER_MAX).filter(|n| ticket.entered & zone_bit(*n) != 0) {
            let Some(mut first) = self.first_admission(ticket_at, number) else { continue };
            if let Some((scan, _)) = gone.filter(|(scan, zone)| {
                *zone == number && (scan.at, scan.lane) == (first.at, first.lane)
            }) {
                let to_here = self.passages(ticket).filter(|s| !s.is_exit() && s.zone == scan.zone);
                let Some(next) = to_here.last() else { continue };
                first = Admission { at: next.at, lane: next.lane };
            }
            standing.entered |= zone_bit(number);
            standing.firsts.push((number, first));
        }
        standing.firsts.sort_by_key(|(_, first)| first.at);
        if let Some((scan, zone)) = gone {
            let bit = zone_bit(zone);
            let newest = self.passages(ticket).find(|other| other.zone == scan.zone);
            let inside = newest.map_or(scan.is_exit(), |other| !other.is_exit());
            standing.inside = if inside { standing.inside | bit } else { standing.inside & !bit };
        }
        standing
    }

    /// Takes over where a ticket stands, and counts what that changes.
    fn stand(
        &mut self,
        ticket_at: u32,
        mut ticket: Ticket,
        was_inside: u32,
        standing: &Standing,
    ) -> Applied {
        for (number, admission) in &standing.firsts {
            if ticket.entered == 0 {
                (ticket.first, ticket.first_zone) = (*admission, *number);
                self.count_type(ticket.type_row, 1)?;
            } else {
                self.put_admission((ticket_at, *number), Some(*admission));
            }
            ticket.entered |= zone_bit(*number);
        }
        (ticket.entered, ticket.inside) = (standing.entered, standing.inside);
        self.set_ticket(large(ticket_at), ticket);
        let tables = self.tables.clone();
        for (row, zone) in tables.zones.iter().enumerate() {
            let bit = zone_bit(zone.config.number);
            let by = match (was_inside & bit != 0, standing.inside & bit != 0) {
                (false, true) => 1,
                (true, false) => -1,
                _ => continue,
            };
            let mut count = *self.zones.get(row).ok_or_else(no_zone)?;
            count.inside = count.inside.checked_add_signed(by).ok_or_else(no_zone)?;
            self.set_zone(row, count);
        }
        Ok(())
    }

    fn count_type(&mut self, type_row: u16, by: i64) -> Applied {
        let row = usize::from(type_row);
        let mut count = *self.types.get(row).ok_or_else(no_ticket)?;
        count.admitted = count.admitted.checked_add_signed(by).ok_or_else(no_ticket)?;
        self.set_type(row, count);
        Ok(())
    }

    // === what becomes of a scan ===

    pub(super) fn settle(&mut self, seq: u64, passed: bool) -> Applied {
        let wrong = || ApplyError::contradiction("no such reservation");
        let index = self.scan_by_seq(seq).ok_or_else(wrong)?;
        self.end_lease(index).ok_or_else(wrong)?;
        if passed {
            self.flag(index, Flags::PASSED)
        } else {
            self.take_back(index, Flags::NOT_PASSED)
        }
    }

    pub(super) fn annul(&mut self, seq: u64) -> Applied {
        let wrong = || ApplyError::contradiction("no such admission");
        let index = self.scan_by_seq(seq).ok_or_else(wrong)?;
        if !self.scan_at(index).is_some_and(Scan::is_passage) {
            return Err(wrong());
        }
        self.end_lease(index);
        self.take_back(index, Flags::ANNULLED)
    }

    fn end_lease(&mut self, index: u32) -> Option<Lease> {
        let lease = *self.leases.get(&index)?;
        self.remove_due(lease.until, Due::LeaseEnds(index));
        self.put_lease(index, None);
        Some(lease)
    }

    fn flag(&mut self, index: u32, flag: Flags) -> Applied {
        let scan = *self.scan_at(index).ok_or_else(no_ticket)?;
        self.set_scan(index, Scan { flags: scan.flags.with(flag, true), ..scan });
        Ok(())
    }

    /// Nobody went through after all.
    fn take_back(&mut self, index: u32, flag: Flags) -> Applied {
        let scan = *self.scan_at(index).ok_or_else(no_ticket)?;
        let ticket_at = scan.ticket.get().ok_or_else(no_ticket)?;
        let was_inside = self.ticket_at(ticket_at).map(|ticket| self.inside(ticket));
        self.flag(index, flag)?;
        self.count_passage(&scan, scan.zone.get().ok_or_else(no_zone)?, -1)?;
        self.refold(ticket_at, was_inside.ok_or_else(no_ticket)?, Some(&scan))
    }

    // === zones ===

    /// Tickets that may stand elsewhere once zones lead elsewhere, and the zones they are in before.
    pub(super) fn moved_by(&self, tables: &Tables) -> Vec<(u32, u32)> {
        let same = |(old, new): (&Row<ZoneConfig>, &Row<ZoneConfig>)| {
            old.config.leaves == new.config.leaves && old.config.exit_to == new.config.exit_to
        };
        if self.tables.zones.iter().zip(&tables.zones).all(same) {
            return Vec::new();
        }
        let tickets = (0..).zip(&self.tickets).filter(|(_, ticket)| ticket.last != 0);
        tickets.map(|(index, ticket)| (index, self.inside(ticket))).collect()
    }

    pub(super) fn refold_all(&mut self, tickets: &[(u32, u32)]) -> Applied {
        tickets.iter().try_for_each(|(index, was_inside)| self.refold(*index, *was_inside, None))
    }

    /// When zones empty next, after a configuration said so; the others no longer do.
    pub(super) fn schedule_exits(&mut self, exit_alls: &[(u8, Millis)]) -> Applied {
        for row in 0..self.zones.len() {
            let number = self.tables.zones.get(row).ok_or_else(no_zone)?.config.number;
            let next = exit_alls.iter().find(|(zone, _)| *zone == number).map(|(_, at)| *at);
            self.schedule_exit(u8::try_from(row).map_err(|_| no_zone())?, next)?;
        }
        Ok(())
    }

    fn schedule_exit(&mut self, row: u8, next: Option<Millis>) -> Applied {
        let count = *self.zones.get(usize::from(row)).ok_or_else(no_zone)?;
        if count.empties_at == next {
            return Ok(());
        }
        if let Some(at) = count.empties_at {
            self.remove_due(at, Due::ZoneEmpties(row));
        }
        if let Some(at) = next {
            self.add_due(at, Due::ZoneEmpties(row));
        }
        self.set_zone(usize::from(row), ZoneCount { empties_at: next, ..count });
        Ok(())
    }

    pub(super) fn empty(&mut self, number: u8, before: Millis, next: Option<Millis>) -> Applied {
        if self.totals.now < before {
            return Err(ApplyError::contradiction("a zone is emptied in the future"));
        }
        let row = self.tables.zone_row(number).ok_or_else(no_zone)?;
        self.schedule_exit(row, next)?;
        let count = *self.zones.get(usize::from(row)).ok_or_else(no_zone)?;
        let count = ZoneCount { inside: 0, correction: 0, emptied_before: before, ..count };
        self.set_zone(usize::from(row), count);
        // Passages that are forgotten cannot be compared with the time any more.
        let (bit, forgotten) = (zone_bit(number), self.totals.scans_forgotten != 0);
        for index in (0..self.tickets.len()).filter(|_| forgotten) {
            let ticket = self.tickets.get(index).copied().filter(|t| t.inside & bit != 0);
            if let Some(ticket) = ticket {
                self.set_ticket(index, Ticket { inside: ticket.inside & !bit, ..ticket });
            }
        }
        Ok(())
    }

    /// Makes sure of where a ticket is while the passage that says so is still known.
    pub(super) fn settle_inside(&mut self, ticket: Option<u32>) {
        let known = ticket.and_then(|index| Some((index, *self.ticket_at(index)?)));
        if let Some((index, ticket)) = known {
            let inside = self.inside(&ticket);
            if inside != ticket.inside {
                self.set_ticket(large(index), Ticket { inside, ..ticket });
            }
        }
    }

    pub(super) fn correct(&mut self, number: u8, inside: u64) -> Applied {
        let row = usize::from(self.tables.zone_row(number).ok_or_else(no_zone)?);
        let count = *self.zones.get(row).ok_or_else(no_zone)?;
        let difference = i128::from(inside).saturating_sub(i128::from(count.inside));
        let correction = i64::try_from(difference).map_err(|_| no_zone())?;
        self.set_zone(row, ZoneCount { correction, ..count });
        Ok(())
    }

    fn intern_lane(&mut self, lane: &str) -> Result<u32, ApplyError> {
        if let Some(index) = self.lane_ids.get(lane) {
            return Ok(*index);
        }
        let index = small(self.lanes.len())?;
        self.add_lane(index, lane);
        Ok(index)
    }
}

fn no_ticket() -> ApplyError {
    ApplyError::contradiction("a passage without its ticket, or a count below zero")
}

fn no_zone() -> ApplyError {
    ApplyError::contradiction("no such zone, or a count below zero")
}
