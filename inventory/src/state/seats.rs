//! Who has which seat: a small cell a seat, dense by number, and beside it what follows from the
//! cells: which seats are open, and how long their runs are, strip by strip, so that a choice looks
//! at the few strips that can serve it. Knows no choice and no time.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::SeatPlace;
use crate::config::SectionConfig;
use crate::view::{SeatState, SeatsView};

mod plan;

use plan::index;
pub(crate) use plan::{Block, Plan, Section, Strip};

/// Runs longer than this are counted as being so long.
const RUN_MAX: usize = 63;
const WORD_BITS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Seats {
    pub plan: Plan,
    /// By number of the seat, less one.
    pub cells: Vec<Cell>,
    /// By index of the ticket: number of its seat; 0 = none.
    pub of_ticket: Vec<u32>,
    /// Seats of holds, also of ended ones until they are forgotten.
    pub held: HashMap<Uuid, Box<[HeldSeat]>>,
    strips: Vec<Runs>,
    /// Open seats by block, those of wheelchair units among them.
    open: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub taken: Taken,
    /// By an instruction.
    pub blocked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Taken {
    #[default]
    No,
    Held,
    /// By index of the ticket.
    Sold(u32),
}

const _: () = assert!(size_of::<Cell>() <= 12, "a house has fifty thousand");

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct HeldSeat {
    pub seat: u32,
    pub type_row: u16,
}

/// What is open in a strip, but for seats of wheelchair units.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Runs {
    /// Bit by place.
    open: Vec<u64>,
    /// Bit n: there is a run of n open neighbours; the highest bit stands for longer ones too.
    lengths: u64,
    longest: u16,
    /// Open seats, those of units among them.
    count: u16,
}

impl Seats {
    /// Takes over a house; cells stay as they are.
    pub(super) fn set_plan(&mut self, plan: Plan) -> Plan {
        let before = std::mem::replace(&mut self.plan, plan);
        self.cells.resize(self.plan.seats_len().max(self.cells.len()), Cell::default());
        self.derive();
        before
    }

    /// Builds again what follows from plan and cells.
    pub(super) fn derive(&mut self) {
        self.strips = vec![Runs::default(); self.plan.strips.len()];
        self.open = vec![0; self.plan.blocks.len()];
        for strip in (0..).take(self.plan.strips.len()) {
            self.refresh(strip);
        }
    }

    pub(super) fn set_cell(&mut self, number: u32, cell: Cell) -> Option<Cell> {
        let slot = self.cells.get_mut(index(number)?)?;
        let before = std::mem::replace(slot, cell);
        if let Some(place) = self.plan.place(number) {
            self.refresh(place.strip);
        }
        Some(before)
    }

    pub(crate) fn cell(&self, number: u32) -> Cell {
        index(number).and_then(|at| self.cells.get(at)).copied().unwrap_or_default()
    }

    /// Can be taken, as far as it is concerned alone.
    pub(crate) fn is_open(&self, number: u32) -> bool {
        let cell = self.cell(number);
        let place = self.plan.place(number);
        place.is_some_and(|place| !place.blocked) && cell.taken == Taken::No && !cell.blocked
    }

    /// Whether a place of a strip is open and of no wheelchair unit.
    pub(crate) fn is_plain_open(&self, strip: u32, at: usize) -> bool {
        let runs = usize::try_from(strip).ok().and_then(|strip| self.strips.get(strip));
        let word = runs.and_then(|runs| runs.open.get(at / WORD_BITS)).copied().unwrap_or(0);
        word & bit(at % WORD_BITS) != 0
    }

    /// Whether a strip has a run of so many, or longer.
    pub(crate) fn has_run(&self, strip: u32, seats: usize) -> bool {
        seats <= usize::from(self.longest_run(strip))
    }

    /// Whether a strip may have a run of which so many can be taken with no orphan left: one that
    /// is just as long, or longer by two at least. Where runs are not told apart by length any
    /// more, it may.
    pub(crate) fn has_clean_run(&self, strip: u32, seats: usize) -> bool {
        let runs = usize::try_from(strip).ok().and_then(|strip| self.strips.get(strip));
        let lengths = runs.map_or(0, |runs| runs.lengths);
        let longer = seats.saturating_add(2).min(RUN_MAX);
        let shift = u32::try_from(longer).unwrap_or(u32::MAX);
        let longer = u64::MAX.checked_shl(shift).unwrap_or(0);
        self.has_run(strip, seats) && lengths & (bit(seats.min(RUN_MAX)) | longer) != 0
    }

    pub(crate) fn longest_run(&self, strip: u32) -> u16 {
        let runs = usize::try_from(strip).ok().and_then(|strip| self.strips.get(strip));
        runs.map_or(0, |runs| runs.longest)
    }

    /// Open seats of a block, those of wheelchair units among them.
    pub(crate) fn open_in(&self, block: &Block) -> usize {
        let strip = block.strips.first().and_then(|strip| self.plan.strip(*strip));
        let at = strip.and_then(|strip| usize::try_from(strip.block).ok());
        let open = at.and_then(|at| self.open.get(at)).copied().unwrap_or(0);
        usize::try_from(open).unwrap_or(usize::MAX)
    }

    pub(crate) fn ticket_seat(&self, ticket: u32) -> Option<u32> {
        let at = usize::try_from(ticket).ok()?;
        self.of_ticket.get(at).copied().filter(|seat| *seat != 0)
    }

    pub(crate) fn held_by(&self, hold: Uuid) -> &[HeldSeat] {
        self.held.get(&hold).map_or(&[], AsRef::as_ref)
    }

    /// Open seats that a type (by number) may take; none when it is for no seats.
    pub(crate) fn open_for(&self, type_number: u16) -> Option<u64> {
        let blocks = self.plan.blocks.iter().zip(&self.open);
        let mut blocks =
            blocks.filter(|(block, _)| block.types.binary_search(&type_number).is_ok()).peekable();
        blocks.peek()?;
        Some(blocks.fold(0, |sum, (_, open)| sum.saturating_add(*open)))
    }

    /// A seat as people know it, while the house has it.
    pub(crate) fn told(&self, number: u32) -> Option<SeatPlace> {
        let place = self.plan.place(number)?;
        let section: &SectionConfig = self.plan.section(place.section)?;
        let row = section.rows.get(usize::from(place.row))?;
        let seat = row.seats.get(usize::from(place.seat))?;
        Some(SeatPlace {
            number,
            section: section.name.clone(),
            row: row.label.clone(),
            label: seat.label.clone(),
            obstructed: seat.obstructed,
            wheelchair: seat.wheelchair,
        })
    }

    pub(super) fn view(&self) -> Option<SeatsView> {
        if self.plan.is_empty() {
            return None;
        }
        let mut sections: Vec<_> =
            self.plan.sections.iter().map(|s| (s.cursor, Arc::clone(&s.config))).collect();
        sections.sort_by_key(|(_, config)| (config.rank, config.number));
        let states = (1_u32..).zip(&self.cells).map(|(number, cell)| match cell.taken {
            Taken::Held => SeatState::Held,
            Taken::Sold(_) => SeatState::Sold,
            Taken::No if self.is_open(number) => SeatState::Open,
            Taken::No => SeatState::Blocked,
        });
        Some(SeatsView { sections, states: states.collect() })
    }

    fn refresh(&mut self, strip: u32) {
        let Some(of) = self.plan.strip(strip) else { return };
        let mut runs =
            Runs { open: vec![0; of.seats.len().div_ceil(WORD_BITS)], ..Runs::default() };
        let mut run = 0_u16;
        for (at, (seat, unit)) in of.seats.iter().zip(&of.units).enumerate() {
            let open = self.is_open(*seat);
            runs.count = runs.count.saturating_add(u16::from(open));
            if open && unit.is_none() {
                run = run.saturating_add(1);
                if let Some(word) = runs.open.get_mut(at / WORD_BITS) {
                    *word |= bit(at % WORD_BITS);
                }
            } else {
                runs.end_run(run);
                run = 0;
            }
        }
        runs.end_run(run);
        let block = usize::try_from(of.block).unwrap_or(usize::MAX);
        let slot = usize::try_from(strip).ok().and_then(|strip| self.strips.get_mut(strip));
        let (Some(slot), Some(open)) = (slot, self.open.get_mut(block)) else { return };
        *open = open.saturating_sub(u64::from(slot.count)).saturating_add(u64::from(runs.count));
        *slot = runs;
    }

    /// What follows from the cells is what was kept; each holder has its seat, and each seat one.
    pub(super) fn check(&self, live: &dyn Fn(Uuid) -> bool) -> Result<(), String> {
        let mut anew =
            Self { plan: self.plan.clone(), cells: self.cells.clone(), ..Self::default() };
        anew.derive();
        if (&anew.strips, &anew.open) != (&self.strips, &self.open) {
            return Err("open seats: not what the cells say".to_owned());
        }
        let mut held: Vec<u32> = Vec::new();
        for (_, seats) in self.held.iter().filter(|(hold, _)| live(**hold)) {
            held.extend(seats.iter().map(|held| held.seat));
        }
        held.sort_unstable();
        let cells = (1_u32..).zip(&self.cells);
        let marked = cells.clone().filter(|(_, cell)| cell.taken == Taken::Held);
        if !marked.map(|(number, _)| number).eq(held.iter().copied()) {
            return Err(format!("held seats: {held:?} are not those marked"));
        }
        for (number, cell) in cells {
            if let Taken::Sold(ticket) = cell.taken
                && self.ticket_seat(ticket) != Some(number)
            {
                return Err(format!("seat {number}: its ticket has another"));
            }
        }
        let tickets = (0_u32..).zip(&self.of_ticket).filter(|(_, seat)| **seat != 0);
        for (ticket, seat) in tickets {
            if self.cell(*seat).taken != Taken::Sold(ticket) {
                return Err(format!("ticket at {ticket}: its seat {seat} is another's"));
            }
        }
        Ok(())
    }
}

impl Runs {
    fn end_run(&mut self, run: u16) {
        self.longest = self.longest.max(run);
        if run != 0 {
            self.lengths |= bit(usize::from(run).min(RUN_MAX));
        }
    }
}

fn bit(at: usize) -> u64 {
    1_u64.checked_shl(u32::try_from(at).unwrap_or(u32::MAX)).unwrap_or(0)
}
