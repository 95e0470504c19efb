//! What facts do to seats: who holds one, who has one, which are kept back.

use uuid::Uuid;

use super::{Applied, ApplyError, large};
use crate::config::SectionConfig;
use crate::fact::SeatGiven;
use crate::state::{Cell, HeldSeat, State, Taken};

impl State {
    pub(super) fn apply_section(&mut self, cursor: u64, section: &SectionConfig) -> Applied {
        let known = self.seats.plan.sections.iter().find(|known| known.config.id == section.id);
        if known.is_some_and(|known| cursor <= known.cursor) {
            return Err(ApplyError::contradiction("the section runs backward"));
        }
        let plan = self.seats.plan.with(cursor, section);
        self.set_plan(plan.ok_or(ApplyError::contradiction("section refused"))?);
        Ok(())
    }

    pub(super) fn hold_seats(&mut self, hold: Uuid, seats: &[SeatGiven]) -> Applied {
        if seats.is_empty() {
            return Ok(());
        }
        let mut held = Vec::with_capacity(seats.len());
        for given in seats {
            let type_row = self.tables.type_row(given.ticket_type);
            let type_row = type_row.ok_or(ApplyError::contradiction("unknown ticket type"))?;
            if !self.seats.is_open(given.seat) {
                return Err(ApplyError::contradiction(format!("seat {} is taken", given.seat)));
            }
            self.take_seat(given.seat, Taken::Held)?;
            held.push(HeldSeat { seat: given.seat, type_row });
        }
        self.put_held_seats(hold, Some(held.into_boxed_slice()));
        Ok(())
    }

    /// The hold has ended. Its list stays, for who repeats the request.
    pub(super) fn return_seats(&mut self, hold: Uuid) -> Applied {
        let seats: Vec<u32> = self.seats.held_by(hold).iter().map(|held| held.seat).collect();
        for seat in seats {
            if self.seats.cell(seat).taken != Taken::Held {
                return Err(ApplyError::contradiction(format!("seat {seat} is not held")));
            }
            self.take_seat(seat, Taken::No)?;
        }
        Ok(())
    }

    pub(super) fn seat_ticket(&mut self, ticket: u32, seat: Option<u32>) -> Applied {
        let Some(seat) = seat else { return Ok(()) };
        if self.seats.cell(seat).taken != Taken::No {
            return Err(ApplyError::contradiction(format!("seat {seat} is taken")));
        }
        self.take_seat(seat, Taken::Sold(ticket))?;
        self.set_ticket_seat(large(ticket), seat);
        Ok(())
    }

    pub(super) fn unseat_ticket(&mut self, ticket: u32) -> Applied {
        let Some(seat) = self.seats.ticket_seat(ticket) else { return Ok(()) };
        self.take_seat(seat, Taken::No)?;
        self.set_ticket_seat(large(ticket), 0);
        Ok(())
    }

    pub(super) fn block_seats(&mut self, seats: &[u32], blocked: bool) -> Applied {
        for seat in seats {
            let cell = Cell { blocked, ..self.seats.cell(*seat) };
            self.put_cell(*seat, cell).ok_or_else(|| unknown(*seat))?;
        }
        Ok(())
    }

    fn take_seat(&mut self, seat: u32, taken: Taken) -> Applied {
        let cell = Cell { taken, ..self.seats.cell(seat) };
        self.put_cell(seat, cell).ok_or_else(|| unknown(seat))
    }
}

fn unknown(seat: u32) -> ApplyError {
    ApplyError::contradiction(format!("seat {seat} is not known"))
}
