//! Which seats a basket gets, chosen inside the decision. Named seats are taken as named. Otherwise
//! the best ones, by rules that are total, so that every node chooses the same:
//!
//! 1. A party sits together: neighbours in one row, no aisle between, seats of the same ticket types.
//! 2. No single seat is left alone beside it, unless nothing else is open where it may sit.
//! 3. Sections in their order; within one, the least sum of ranks; then the kind of seat that the
//!    section names first, the strip whose best seat is the best, the first row, the first place.
//! 4. A wheelchair place and its companions' are one unit: taken whole, and only by who asks for it.
//! 5. A party that fits nowhere together is spread over adjacent rows of one section: the fewest
//!    rows, the best first, each row giving its longest run.

use std::collections::BTreeSet;

use super::{Decided, Decision, Outcome, refusal, refused_for};
use crate::command::{HoldItem, Refusal, RefusalCode, Reply, SeatWish};
use crate::config::SectionConfig;
use crate::fact::{Fact, IssuedTicket, SeatGiven};
use crate::state::{Block, HeldSeat, Seats, State, Strip, Taken, Ticket, conflict};

#[cfg(test)]
mod tests;

/// Rows that one party is spread over at most.
pub const ROWS_PER_PARTY_MAX: usize = 8;

/// Seats of one instruction.
pub(super) const SEATS_PER_INSTRUCTION_MAX: usize = 10_000;

/// Takes over one section of the house. Seats that it leaves out are not sold any more.
pub(super) fn configure(state: &State, cursor: u64, section: &SectionConfig) -> Decided {
    let known = state.seats.plan.sections.iter().find(|known| known.config.id == section.id);
    if let Some(known) = known.filter(|known| cursor <= known.cursor) {
        return Ok(Decision::reply(Reply::Configured { cursor: known.cursor }));
    }
    if state.seats.plan.with(cursor, section).is_none() {
        return Err(conflict("section", section.id));
    }
    let fact = Fact::SeatsApplied { cursor, section: Box::new(section.clone()) };
    Ok(Decision::facts(vec![fact], Outcome::Reply(Reply::Configured { cursor })))
}

/// What keeps seats from being sold, or does so no longer; none when nothing changes.
pub(super) fn block(state: &State, seats: &[u32], blocked: bool) -> Result<Option<Fact>, Refusal> {
    if SEATS_PER_INSTRUCTION_MAX < seats.len() {
        let max = ("seats", SEATS_PER_INSTRUCTION_MAX.to_string());
        return Err(refusal(RefusalCode::LimitReached, Some(max)));
    }
    if let Some(unknown) = seats.iter().find(|seat| state.seats.plan.place(**seat).is_none()) {
        return refused_for(RefusalCode::UnknownSeat, "seat", unknown);
    }
    let other = seats.iter().filter(|seat| state.seats.cell(**seat).blocked != blocked);
    let other: BTreeSet<u32> = other.copied().collect();
    let seats: Vec<u32> = other.into_iter().collect();
    if seats.is_empty() {
        return Ok(None);
    }
    Ok(Some(if blocked { Fact::SeatsBlocked { seats } } else { Fact::SeatsUnblocked { seats } }))
}

/// Staff may seat anyone anywhere that the ticket's type allows, wheelchair places included.
pub(super) fn reseat(
    state: &State,
    number: u64,
    ticket: &Ticket,
    seat: u32,
) -> Result<Fact, Refusal> {
    let block = state.seats.plan.place(seat).map(|place| place.strip);
    let block = block.and_then(|strip| state.seats.plan.block_of(strip));
    let kind = state.tables.kind(ticket.type_row);
    if !block.zip(kind).is_some_and(|(block, kind)| block.admits(kind.number)) {
        return refused_for(RefusalCode::UnknownSeat, "seat", seat);
    }
    // A seat that is kept back is the staff's to give.
    if state.seats.cell(seat).taken != Taken::No {
        return refused_for(RefusalCode::SeatTaken, "seat", seat);
    }
    let Some(revision) = ticket.revision.checked_add(1) else {
        return refused_for(RefusalCode::LimitReached, "ticket", number);
    };
    Ok(Fact::TicketReissued { ticket: number, revision, seat: Some(seat), key: None })
}

/// Chosen seats as the journal says them.
pub(super) fn given(state: &State, chosen: &[HeldSeat]) -> Vec<SeatGiven> {
    let given = chosen.iter().filter_map(|held| {
        let ticket_type = state.tables.kind(held.type_row)?.id;
        Some(SeatGiven { seat: held.seat, ticket_type })
    });
    given.collect()
}

/// Gives each ticket the next seat of its type.
pub(super) fn assign(state: &State, tickets: &mut [IssuedTicket], seats: &[HeldSeat]) {
    let mut left = given(state, seats);
    for ticket in tickets {
        let next = left.iter().position(|given| given.ticket_type == ticket.ticket_type);
        ticket.seat = next.map(|at| left.remove(at).seat);
    }
}

/// Seats for every item that is for seats, in the order of the items.
pub(super) fn choose(state: &State, items: &[HoldItem]) -> Result<Vec<HeldSeat>, Refusal> {
    choose_counted(state, items).map(|(seats, _)| seats)
}

/// The same, with the number of strips whose places were looked at: what the choice cost.
fn choose_counted(state: &State, items: &[HoldItem]) -> Result<(Vec<HeldSeat>, usize), Refusal> {
    if state.seats.plan.is_empty() && items.iter().all(|item| item.seats == SeatWish::default()) {
        return Ok((Vec::new(), 0));
    }
    let mut chooser = Chooser::new(&state.seats);
    let mut chosen: Vec<Vec<u32>> = vec![Vec::new(); items.len()];
    for (item, chosen) in items.iter().zip(&mut chosen) {
        if let SeatWish::Named(seats) = &item.seats {
            chooser.name(state, item, seats)?;
            chosen.clone_from(seats);
        }
    }
    chooser.check_units(chosen.iter().flatten())?;
    for party in parties(state, items)? {
        let mut seats = chooser.seat(&party)?.into_iter();
        for (at, quantity) in &party.items {
            if let Some(chosen) = chosen.get_mut(*at) {
                chosen.extend(seats.by_ref().take(*quantity));
            }
        }
    }
    let held = items.iter().zip(chosen).flat_map(|(item, seats)| {
        let type_row = state.tables.type_row(item.ticket_type);
        seats.into_iter().filter_map(move |seat| Some(HeldSeat { seat, type_row: type_row? }))
    });
    Ok((held.collect(), chooser.looked_at))
}

/// Who wants to sit together, and where.
#[derive(Debug)]
struct Party {
    /// Numbers of ticket types, each once.
    types: Vec<u16>,
    size: usize,
    /// Wheelchair units among them.
    units: usize,
    section: Option<u16>,
    /// Which items of the request, with their quantities.
    items: Vec<(usize, usize)>,
}

/// Items that leave the choice to the house, by section: one party where any seat takes all of
/// their types, one an item otherwise.
fn parties(state: &State, items: &[HoldItem]) -> Result<Vec<Party>, Refusal> {
    let plan = &state.seats.plan;
    let mut parties: Vec<Party> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let SeatWish::Best { section, wheelchair } = &item.seats else { continue };
        let kind = state.tables.type_row(item.ticket_type).and_then(|row| state.tables.kind(row));
        let Some(number) = kind.map(|kind| kind.number) else { continue };
        if !plan.seats_type(number) {
            if section.is_none() && *wheelchair == 0 {
                continue;
            }
            return refused_for(RefusalCode::UnknownSeat, "ticket_type", item.ticket_type);
        }
        let section = match section {
            None => None,
            Some(key) => match plan.section_by_key(key) {
                Some(section) => Some(section),
                None => return refused_for(RefusalCode::UnknownSeat, "section", key),
            },
        };
        let size = usize::try_from(item.quantity).unwrap_or(usize::MAX);
        let units = usize::try_from(*wheelchair).unwrap_or(usize::MAX);
        let together = parties.iter_mut().find(|party| {
            let with = |block: &Block| party.sits_in(block) && block.admits(number);
            party.section == section && plan.blocks.iter().any(with)
        });
        match together {
            Some(party) => {
                party.size = party.size.saturating_add(size);
                party.units = party.units.saturating_add(units);
                party.items.push((at, size));
                if !party.types.contains(&number) {
                    party.types.push(number);
                }
            }
            None => {
                let items = vec![(at, size)];
                parties.push(Party { types: vec![number], size, units, section, items });
            }
        }
    }
    Ok(parties)
}

impl Party {
    fn sits_in(&self, block: &Block) -> bool {
        self.section.is_none_or(|section| section == block.section)
            && self.types.iter().all(|number| block.admits(*number))
    }
}

impl Block {
    fn admits(&self, number: u16) -> bool {
        self.types.binary_search(&number).is_ok()
    }
}

/// Neighbours that could be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    strip: u32,
    from: usize,
    len: usize,
    cost: u64,
    /// Leaves no single seat alone.
    clean: bool,
}

struct Chooser<'a> {
    seats: &'a Seats,
    /// Chosen already, by this request, and the strips that they are in.
    gone: BTreeSet<u32>,
    touched: BTreeSet<u32>,
    looked_at: usize,
}

impl<'a> Chooser<'a> {
    fn new(seats: &'a Seats) -> Self {
        Self { seats, gone: BTreeSet::new(), touched: BTreeSet::new(), looked_at: 0 }
    }

    fn take(&mut self, number: u32) {
        self.gone.insert(number);
        self.touched.extend(self.seats.plan.place(number).map(|place| place.strip));
    }

    fn is_open(&self, number: u32) -> bool {
        self.seats.is_open(number) && !self.gone.contains(&number)
    }

    // === named ===

    fn name(&mut self, state: &State, item: &HoldItem, named: &[u32]) -> Result<(), Refusal> {
        if usize::try_from(item.quantity).ok() != Some(named.len()) {
            return refused_for(RefusalCode::UnknownSeat, "ticket_type", item.ticket_type);
        }
        let kind = state.tables.type_row(item.ticket_type).and_then(|row| state.tables.kind(row));
        for number in named {
            let block = self.seats.plan.place(*number).map(|place| place.strip);
            let block = block.and_then(|strip| self.seats.plan.block_of(strip));
            if !block.zip(kind).is_some_and(|(block, kind)| block.admits(kind.number)) {
                return refused_for(RefusalCode::UnknownSeat, "seat", number);
            }
            if !self.is_open(*number) {
                return refused_for(RefusalCode::SeatTaken, "seat", number);
            }
            self.take(*number);
        }
        Ok(())
    }

    /// Units are named whole.
    fn check_units<'n>(&self, named: impl Iterator<Item = &'n u32>) -> Result<(), Refusal> {
        for number in named {
            let unit = self.seats.plan.unit_of(*number).unwrap_or_default();
            if let Some(missing) = unit.iter().find(|seat| !self.gone.contains(seat)) {
                return refused_for(RefusalCode::SeatUnit, "seat", missing);
            }
        }
        Ok(())
    }

    // === the best ===

    fn seat(&mut self, party: &Party) -> Result<Vec<u32>, Refusal> {
        let mut chosen = self.together(party).map(|window| vec![window]);
        if chosen.is_none() && party.units == 0 {
            chosen = self.spread(party);
        }
        let Some(windows) = chosen else {
            let seats = ("seats_together", party.size.to_string());
            return Err(refusal(RefusalCode::SoldOut, Some(seats)));
        };
        let plan = &self.seats.plan;
        let strips = windows.iter().filter_map(|window| Some((plan.strip(window.strip)?, window)));
        let seats = strips.flat_map(|(strip, w)| strip.seats.iter().skip(w.from).take(w.len));
        let seats: Vec<u32> = seats.copied().collect();
        for seat in &seats {
            self.take(*seat);
        }
        Ok(seats)
    }

    /// One window for all: first one that leaves no orphan, wherever that is.
    fn together(&mut self, party: &Party) -> Option<Window> {
        for clean in [true, false] {
            let plan = &self.seats.plan;
            for section in plan.blocks.chunk_by(|left, right| left.section == right.section) {
                let mut best: Option<Window> = None;
                for block in section.iter().filter(|block| party.sits_in(block)) {
                    best = self.best_of(block, party, clean, best);
                }
                if best.is_some() {
                    return best;
                }
            }
        }
        None
    }

    /// The better of what is known and what the block has.
    fn best_of(
        &mut self,
        block: &Block,
        party: &Party,
        clean: bool,
        known: Option<Window>,
    ) -> Option<Window> {
        let mut best = known;
        if self.seats.open_in(block) < party.size {
            return best;
        }
        let size = u64::try_from(party.size).unwrap_or(u64::MAX);
        for index in &block.strips {
            let Some(strip) = self.seats.plan.strip(*index) else { continue };
            // No window of this strip, nor of those after it, is better than its best seats were.
            if best.is_some_and(|best| best.cost <= strip.best_rank.saturating_mul(size)) {
                break;
            }
            if !self.may_serve(*index, strip, party, clean) {
                continue;
            }
            let found = self.best_in(*index, party.size, party.units, clean);
            if let Some(found) = found.filter(|found| best.is_none_or(|b| found.cost < b.cost)) {
                best = Some(found);
            }
        }
        best
    }

    /// Whether a look at the strip is worth while, by what is known of its runs.
    fn may_serve(&self, index: u32, strip: &Strip, party: &Party, clean: bool) -> bool {
        if party.units != 0 {
            return strip.has_units;
        }
        // What is known was known before this request took seats there.
        if self.touched.contains(&index) {
            return true;
        }
        if clean {
            self.seats.has_clean_run(index, party.size)
        } else {
            self.seats.has_run(index, party.size)
        }
    }

    /// The best window of a strip; only such that leave no orphan when `clean`.
    fn best_in(&mut self, index: u32, size: usize, units: usize, clean: bool) -> Option<Window> {
        self.looked_at = self.looked_at.saturating_add(1);
        let strip = self.seats.plan.strip(index)?;
        let plain: Vec<bool> = (strip.seats.iter().enumerate())
            .map(|(at, seat)| self.seats.is_plain_open(index, at) && !self.gone.contains(seat))
            .collect();
        let in_unit = |at: usize| strip.units.get(at).copied().flatten();
        let open = |at: usize| match in_unit(at) {
            None => plain.get(at).copied().unwrap_or(false),
            Some(unit) => {
                let of_unit = strip.seats.iter().zip(&strip.units);
                let mut of_unit = of_unit.filter(|(_, of)| **of == Some(unit));
                units != 0 && of_unit.all(|(seat, _)| self.is_open(*seat))
            }
        };
        // A plain seat that is left with no open neighbour.
        let orphan = |at: Option<usize>, beyond: Option<usize>| {
            let open =
                |at: Option<usize>| at.and_then(|at| plain.get(at)).copied().unwrap_or(false);
            open(at) && !open(beyond)
        };
        let (mut best, mut run): (Option<Window>, usize) = (None, 0);
        for last in 0..strip.seats.len() {
            run = if open(last) { run.saturating_add(1) } else { 0 };
            let Some(from) = last.saturating_add(1).checked_sub(size).filter(|_| size <= run)
            else {
                continue;
            };
            let after = last.checked_add(1);
            let left = orphan(from.checked_sub(1), from.checked_sub(2));
            let right = orphan(after, last.checked_add(2));
            let window = Window {
                strip: index,
                from,
                len: size,
                cost: strip.cost(from, size),
                clean: !left && !right,
            };
            let cuts = |inner: usize, outer: Option<usize>| {
                in_unit(inner).is_some() && outer.and_then(in_unit) == in_unit(inner)
            };
            let whole = !cuts(from, from.checked_sub(1)) && !cuts(last, after);
            let mut inside: Vec<u32> = (from..=last).filter_map(in_unit).collect();
            inside.dedup();
            let fits = whole && inside.len() == units && (window.clean || !clean);
            if fits && best.is_none_or(|best| window.cost < best.cost) {
                best = Some(window);
            }
        }
        best
    }

    // === spread over rows ===

    /// The fewest adjacent rows whose longest runs take all.
    fn spread(&mut self, party: &Party) -> Option<Vec<Window>> {
        for rows in 2..=ROWS_PER_PARTY_MAX {
            for at in 0..self.seats.plan.blocks.len() {
                let block = self.seats.plan.blocks.get(at).filter(|block| party.sits_in(block));
                let Some(block) = block else { continue };
                let start = block
                    .rows
                    .windows(rows)
                    .position(|rows| adjacent(rows) && party.size <= self.room_in(rows));
                let Some(start) = start else { continue };
                let rows: Vec<(u16, Vec<u32>)> =
                    block.rows.iter().skip(start).take(rows).cloned().collect();
                return self.fill(&rows, party.size);
            }
        }
        None
    }

    fn room_in(&self, rows: &[(u16, Vec<u32>)]) -> usize {
        let longest =
            |strips: &Vec<u32>| strips.iter().map(|strip| self.longest(*strip)).max().unwrap_or(0);
        let mut runs = rows.iter().map(|(_, strips)| longest(strips));
        // A row without an open seat would part those before it from those behind it.
        let sum = runs.try_fold(0_usize, |sum, run| (0 < run).then(|| sum.saturating_add(run)));
        sum.unwrap_or(0)
    }

    fn longest(&self, strip: u32) -> usize {
        if !self.touched.contains(&strip) {
            return usize::from(self.seats.longest_run(strip));
        }
        let seats = self.seats.plan.strip(strip).map_or(&[][..], |strip| &strip.seats);
        let (mut longest, mut run) = (0_usize, 0_usize);
        for (at, seat) in seats.iter().enumerate() {
            let open = self.seats.is_plain_open(strip, at) && !self.gone.contains(seat);
            run = if open { run.saturating_add(1) } else { 0 };
            longest = longest.max(run);
        }
        longest
    }

    /// From the first row on, each gives what its longest run has.
    fn fill(&mut self, rows: &[(u16, Vec<u32>)], size: usize) -> Option<Vec<Window>> {
        let mut left = size;
        let mut windows = Vec::with_capacity(rows.len());
        for (_, strips) in rows {
            let strip = *strips.iter().rev().max_by_key(|strip| self.longest(**strip))?;
            let part = left.min(self.longest(strip));
            if part == 0 {
                continue;
            }
            let window = self.best_in(strip, part, 0, true);
            windows.push(window.or_else(|| self.best_in(strip, part, 0, false))?);
            left = left.saturating_sub(part);
        }
        (left == 0).then_some(windows)
    }
}

fn adjacent(rows: &[(u16, Vec<u32>)]) -> bool {
    rows.windows(2).all(|pair| match pair {
        [(one, _), (next, _)] => one.checked_add(1) == Some(*next),
        _ => false,
    })
}
