//! The waiting room: who joined before it opened is drawn by lot, who comes later stands behind
//! them, and one number moves on by the event's rate as long as there is something left for those
//! it admits. Whoever it has reached gets a pass, and holds take one.

use super::{Decided, Decision, Outcome, refusal, refused_for};
use crate::command::{Digest16, Refusal, RefusalCode, Reply};
use crate::config::RoomConfig;
use crate::fact::Fact;
use crate::state::{HOLDS_PER_PASS_MAX, PASS_MS, ROOM_STEP_MS, Rank, State};
use crate::time::Millis;

/// A node that was away for longer does not let in at once whom it missed.
const STEPS_AT_ONCE_MAX: i64 = 5;
/// Credit of one person.
const PERSON: u64 = 60_000;

/// Notes who waits, when the entry is one of the sample; otherwise nothing has to be written.
pub(super) fn join(state: &State, now: Millis, entry: Digest16, rank: Rank) -> Decided {
    on(state, now)?;
    let known = state.room.samples.contains_key(&entry);
    let noted = !known && state.room.figures.samples(entry) && state.room.figures.admitted < rank;
    let facts = if noted { vec![Fact::RoomJoined { entry, rank }] } else { vec![] };
    Ok(Decision::facts(facts, Outcome::Reply(Reply::Joined)))
}

/// A pass for who is admitted: the same again while it is good, and another one only for a later
/// place in the queue.
pub(super) fn enter(state: &State, now: Millis, entry: Digest16, rank: Rank) -> Decided {
    let room = on(state, now)?;
    let refused = |code| Err(refusal(code, Some(("entry", entry.to_string()))));
    if now < room.opens_at || state.room.figures.admitted < rank {
        return refused(RefusalCode::QueueWait);
    }
    let (facts, until, holds) = match state.room.passes.get(&entry) {
        Some(pass) if now < pass.until => (vec![], pass.until, pass.holds),
        Some(pass) if rank <= pass.rank => return refused(RefusalCode::QueuePass),
        _ => {
            let until = now.plus_ms(PASS_MS);
            (vec![Fact::RoomEntered { entry, rank, until }], until, 0)
        }
    };
    let holds_left = HOLDS_PER_PASS_MAX.saturating_sub(holds);
    Ok(Decision::facts(facts, Outcome::Reply(Reply::Entered { until, holds_left })))
}

/// The pass that a hold uses up a part of; none while there is no room.
pub(super) fn pass(
    state: &State,
    now: Millis,
    shown: Option<Digest16>,
) -> Result<Option<Digest16>, Refusal> {
    if on(state, now).is_err() {
        return Ok(None);
    }
    let Some(entry) = shown else {
        return refused_for(RefusalCode::QueuePass, "queue_pass", "missing");
    };
    let Some(pass) = state.room.passes.get(&entry).filter(|pass| now < pass.until) else {
        return refused_for(RefusalCode::QueuePass, "queue_pass", "expired");
    };
    if HOLDS_PER_PASS_MAX <= pass.holds {
        return refused_for(RefusalCode::QueuePass, "queue_pass", "used_up");
    }
    Ok(Some(entry))
}

/// Where the admitted rank goes now.
pub(super) fn step(state: &State, now: Millis) -> Option<Fact> {
    let room = state.config.room?;
    let figures = state.room.figures;
    let since = figures.at.map_or(ROOM_STEP_MS, |at| now.0.saturating_sub(at.0));
    let since = since.clamp(0, ROOM_STEP_MS.saturating_mul(STEPS_AT_ONCE_MAX));
    let earned = u64::from(room.per_minute).saturating_mul(u64::try_from(since).unwrap_or(0));
    let credit = figures.credit.saturating_add(earned);
    let left = places(state).saturating_sub(state.room.unspent(now));
    let waiting = state.room.waiting();
    // One of the sample stands for so many.
    let each = 1_u64.checked_shl(u32::from(figures.share)).unwrap_or(u64::MAX);
    let earned = credit.checked_div(PERSON.saturating_mul(each)).unwrap_or(0);
    let steps = earned.min(left.div_ceil(each));
    let last = steps.checked_sub(1).and_then(|at| usize::try_from(at).ok());
    let (admitted, credit) = match last.map(|at| waiting.get(at)) {
        // Nothing is left, or not enough for one more yet: what was earned is not hoarded.
        None if left == 0 => (figures.admitted, 0),
        None if waiting.is_empty() => (Rank::by_time(now), credit.min(PERSON)),
        None => (figures.admitted, credit.min(PERSON.saturating_mul(each))),
        Some(Some(rank)) if u64::try_from(waiting.len()) != Ok(steps) => {
            let spent = steps.saturating_mul(each).saturating_mul(PERSON);
            (*rank, credit.saturating_sub(spent).min(PERSON.saturating_mul(each)))
        }
        // Everybody who waits is let in, and who joins now.
        Some(_) => (Rank::by_time(now), 0),
    };
    Some(Fact::RoomMoved { admitted: admitted.max(figures.admitted), credit })
}

/// What is left for those who are let in: the places of every quota that something on sale draws
/// from, each once. Without bound where a type has none.
fn places(state: &State) -> u64 {
    let (mut rows, mut seats) = (Vec::new(), 0_u64);
    for (row, kind) in (0_u16..).zip(&state.tables.types) {
        if !kind.listed || !kind.config.active || state.available(row) == Some(0) {
            continue;
        }
        let quotas = state.tables.quotas_of(row);
        if quotas.iter().all(|quota| state.free(*quota).is_none()) {
            let Some(open) = state.available(row) else { return u64::MAX };
            seats = seats.max(open);
            continue;
        }
        rows.extend(quotas.iter().copied());
    }
    rows.sort_unstable();
    rows.dedup();
    let free = rows.into_iter().filter_map(|row| state.free(row));
    free.map(|free| u64::try_from(free).unwrap_or(0)).fold(seats, u64::saturating_add)
}

fn on(state: &State, now: Millis) -> Result<RoomConfig, Refusal> {
    match state.config.room.filter(|room| room.is_on(now)) {
        Some(room) => Ok(room),
        None => refused_for(RefusalCode::NoQueue, "event", state.event()),
    }
}
