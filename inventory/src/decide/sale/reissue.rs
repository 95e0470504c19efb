//! A new code for a ticket: the revision rises, and the old code is superseded at once.

use crate::command::{IdempotencyKey, Refusal, RefusalCode, TicketStatus};
use crate::decide::{Decided, Decision, Outcome, refusal, refused_for, replay};
use crate::fact::Fact;
use crate::state::{KeyOutcome, State, number_at};
use crate::time::Millis;

pub(in crate::decide) fn reissue(
    state: &State,
    now: Millis,
    ticket: u64,
    key: Option<&IdempotencyKey>,
) -> Decided {
    match replay(state, now, key)? {
        Some(KeyOutcome::Reissued(index)) => {
            let ticket = number_at(index);
            return Ok(Decision::facts(vec![], Outcome::Reissued { ticket, replayed: true }));
        }
        Some(_) => return Err(refusal(RefusalCode::KeyReused, None)),
        None => {}
    }
    let revision = next_revision(state, ticket)?;
    let fact = Fact::TicketReissued { ticket, revision, seat: None, key: key.copied() };
    Ok(Decision::facts(vec![fact], Outcome::Reissued { ticket, replayed: false }))
}

/// The revision that follows a live ticket's.
pub(in crate::decide) fn next_revision(state: &State, number: u64) -> Result<u16, Refusal> {
    let Some((_, ticket)) = state.ticket(number) else {
        return refused_for(RefusalCode::UnknownTicket, "ticket", number);
    };
    if ticket.status == TicketStatus::Canceled {
        return refused_for(RefusalCode::AlreadyCanceled, "ticket", number);
    }
    match ticket.revision.checked_add(1) {
        Some(revision) => Ok(revision),
        None => refused_for(RefusalCode::LimitReached, "ticket", number),
    }
}
