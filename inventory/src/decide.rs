//! The rules: what a command leads to. Pure: state, time and command in, facts and an outcome out;
//! the state changes only when the facts are applied. A refusal writes nothing and is decided anew
//! when asked again; scans are written whatever the verdict.
//!
//! A command sees holds that are past their end as still holding. Whoever drives the rules lets
//! time pass first, with [`Command::Tick`], so that every return of stock is an entry of its own.

use uuid::Uuid;

use crate::command::{
    Command, Constraint, Digest16, IdempotencyKey, Refusal, RefusalCode, Reply, ScanVerdict,
};
use crate::config::EventConfig;
use crate::fact::Fact;
use crate::log::DataKey;
use crate::state::{Due, KeyOutcome, State, conflict};
use crate::time::Millis;

mod admission;
mod instruction;
mod room;
mod sale;
mod seats;

pub use admission::Item as UploadItem;
use admission::settled_view;
pub use admission::{ANNUL_WITHIN_MS, UPLOAD_SCANS_MAX, nonce_digest};
pub use admission::{Alone, decide_alone};
pub use instruction::BACK_OFFICE_LANE;
pub use sale::TICKETS_PER_ORDER_MAX;
pub use seats::ROWS_PER_PARTY_MAX;

/// Holds that one entry returns; the rest is returned with the next.
pub const HOLDS_PER_EXPIRY_MAX: usize = 256;

/// What a command leads to.
#[derive(Debug)]
pub struct Decision {
    /// To be written in this order, all or none.
    pub facts: Vec<Fact>,
    /// Data keys that have to be durable before the facts are.
    pub keys: Vec<(Uuid, DataKey)>,
    pub outcome: Outcome,
}

/// How to answer, once the facts are applied: a repeated request is then answered alike.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a decision, and none is kept")]
pub enum Outcome {
    Held {
        hold: Uuid,
        replayed: bool,
    },
    Ordered {
        order: Uuid,
        replayed: bool,
    },
    Canceled {
        order: Uuid,
        replayed: bool,
    },
    /// By number.
    Reissued {
        ticket: u64,
        replayed: bool,
    },
    /// By the digest of device and nonce.
    Scanned {
        nonce: Digest16,
        replay: bool,
    },
    /// By the journal number of the scan.
    Settled {
        scan: u64,
    },
    Annulled {
        scan: u64,
    },
    Uploaded {
        items: Vec<UploadItem>,
    },
    Reply(Reply),
}

type Decided = Result<Decision, Refusal>;

/// Decides one command at `now`, which is not before the state's time.
pub fn decide(state: &State, now: Millis, command: &Command) -> Decision {
    let decided = match command {
        Command::Configure { cursor, config } => configure(state, now, *cursor, config),
        Command::Seats { cursor, section } => seats::configure(state, *cursor, section),
        Command::Tick => Ok(tick(state, now)),
        _ if !state.configured() => Err(refusal(RefusalCode::UnknownEvent, None)),
        Command::ListPromos { chunk, cursor, promos } => {
            sale::list_promos(state, *chunk, *cursor, promos)
        }
        Command::Hold(request) => sale::hold(state, now, request),
        Command::RoomJoin { entry, rank } => room::join(state, now, *entry, *rank),
        Command::RoomEnter { entry, rank } => room::enter(state, now, *entry, *rank),
        Command::Quote(request) => sale::quote(state, now, request),
        Command::Renew { hold, key } => sale::renew(state, now, *hold, key.as_ref()),
        Command::Release { hold } => sale::release(state, *hold),
        Command::Order(request) => sale::order(state, now, request),
        Command::Cancel { order, positions, key } => {
            sale::cancel_by_buyer(state, now, *order, positions, key.as_ref())
        }
        Command::Reissue { ticket, key } => sale::reissue(state, now, *ticket, key.as_ref()),
        Command::Scan(request) => Ok(admission::scan(state, now, request)),
        Command::Settle { device, scan, passed } => {
            admission::settle(state, *device, *scan, *passed)
        }
        Command::Annul { device, nonce } => admission::annul(state, now, *device, nonce),
        Command::Upload { scans } => Ok(admission::upload(state, now, scans)),
        Command::Evacuate { on, by } => admission::evacuate(state, *on, *by),
        Command::Instruct { id, instruction } => {
            Ok(instruction::instruct(state, now, *id, instruction))
        }
    };
    decided.unwrap_or_else(|refusal| Decision::reply(Reply::Refused(refusal)))
}

impl Decision {
    fn facts(facts: Vec<Fact>, outcome: Outcome) -> Self {
        Self { facts, keys: Vec::new(), outcome }
    }

    fn reply(reply: Reply) -> Self {
        Self::facts(Vec::new(), Outcome::Reply(reply))
    }
}

impl Outcome {
    /// The answer, from the state in which the decision's facts are applied.
    pub fn reply(self, state: &State) -> Reply {
        let gone = || Reply::Refused(refusal(RefusalCode::UnknownEvent, None));
        match self {
            Self::Held { hold, replayed } => {
                let view = state.hold_view(hold);
                view.map_or_else(gone, |mut view| {
                    view.replayed = replayed;
                    Reply::Held(view)
                })
            }
            Self::Ordered { order, replayed } => {
                let view = state.order_view(order);
                view.map_or_else(gone, |mut view| {
                    view.replayed = replayed;
                    Reply::Ordered(view)
                })
            }
            Self::Canceled { order, replayed } => {
                let view = state.order_view(order);
                view.map_or_else(gone, |mut view| {
                    view.replayed = replayed;
                    Reply::Canceled(view)
                })
            }
            Self::Reissued { ticket, replayed } => {
                let view = state.ticket_view(ticket);
                view.map_or_else(gone, |ticket| Reply::Reissued { ticket, replayed })
            }
            Self::Scanned { nonce, replay } => {
                let scan = state.scan_by_nonce(&nonce, state.now());
                scan.map_or_else(gone, |scan| {
                    Reply::Scanned(ScanVerdict { replay, ..state.verdict_view(scan) })
                })
            }
            Self::Settled { scan } => settled_view(state, scan).map_or_else(gone, Reply::Settled),
            Self::Annulled { scan } => settled_view(state, scan).map_or_else(gone, Reply::Annulled),
            Self::Uploaded { items } => {
                Reply::Uploaded(items.into_iter().map(|item| item.told(state)).collect())
            }
            Self::Reply(reply) => reply,
        }
    }
}

fn configure(state: &State, now: Millis, cursor: u64, config: &EventConfig) -> Decided {
    let known = state.catalogue_cursor();
    if cursor <= known {
        return Ok(Decision::reply(Reply::Configured { cursor: known }));
    }
    if config.event != state.event() {
        return Err(conflict("event", config.event));
    }
    state.check_config(config)?;
    let exit_alls = admission::exit_alls(config, now);
    let fact = Fact::CatalogueApplied { cursor, config: Box::new(config.clone()), exit_alls };
    Ok(Decision::facts(vec![fact], Outcome::Reply(Reply::Configured { cursor })))
}

/// Does what is due by itself, oldest first: everything of one kind that comes in a row.
fn tick(state: &State, now: Millis) -> Decision {
    let mut due = state.due.iter().take_while(|(at, _)| *at <= now).peekable();
    let (mut holds, mut expired) = (Vec::new(), 0);
    let fact = match due.peek() {
        None => None,
        Some((_, Due::HoldEnds(hold))) if order_of(state, hold).is_some() => {
            let ends = due.map_while(|(_, what)| match what {
                Due::HoldEnds(hold) => order_of(state, hold),
                _ => None,
            });
            Some(Fact::OrdersExpired { orders: ends.take(HOLDS_PER_EXPIRY_MAX).collect() })
        }
        Some((_, Due::HoldEnds(_))) => {
            let ends = due.map_while(|(_, what)| match what {
                Due::HoldEnds(hold) if order_of(state, hold).is_none() => Some(*hold),
                _ => None,
            });
            holds.extend(ends.take(HOLDS_PER_EXPIRY_MAX));
            expired = holds.len();
            Some(Fact::HoldsExpired { holds })
        }
        Some((_, Due::PromoEnds(_))) => {
            let ends = due.map_while(|(_, what)| match what {
                Due::PromoEnds(row) => state.promo_id(Some(*row)),
                _ => None,
            });
            Some(Fact::PromosEnded { promos: ends.take(HOLDS_PER_EXPIRY_MAX).collect() })
        }
        Some((_, Due::RoomMoves)) => room::step(state, now),
        Some((_, Due::LeaseEnds(scan))) => lease_end(state, *scan),
        Some((at, Due::ZoneEmpties(row))) => state.zone_at(*row).map(|zone| {
            let minute = zone.exit_all_at_min;
            let next = minute.and_then(|m| admission::next_exit(&state.config, now, m));
            Fact::ZoneEmptied { zone: zone.number, before: *at, next }
        }),
    };
    let facts = fact.into_iter().collect();
    Decision::facts(facts, Outcome::Reply(Reply::Ticked { expired }))
}

/// The order that a hold waits with for a payment.
fn order_of(state: &State, hold: &Uuid) -> Option<Uuid> {
    Some(state.order_at(state.holds.get(hold)?.order?)?.id)
}

fn lease_end(state: &State, scan: u32) -> Option<Fact> {
    let passed = state.leases.get(&scan)?.passes;
    Some(Fact::ScanSettled { scan: state.scan_at(scan)?.seq, passed, device: None })
}

/// What the same key led to before. The same key with another body is refused.
fn replay(
    state: &State,
    now: Millis,
    key: Option<&IdempotencyKey>,
) -> Result<Option<KeyOutcome>, Refusal> {
    let Some(record) = key.and_then(|key| Some((key, state.key_record(key, now)?))) else {
        return Ok(None);
    };
    let (key, record) = record;
    if record.body != key.body {
        return Err(refusal(RefusalCode::KeyReused, None));
    }
    Ok(Some(record.outcome))
}

fn refusal(code: RefusalCode, constraint: Option<(&str, String)>) -> Refusal {
    let constraint = constraint.map(|(kind, id)| Constraint { kind: kind.to_owned(), id });
    Refusal { code, constraint }
}

fn refused_for<T>(code: RefusalCode, kind: &str, id: impl ToString) -> Result<T, Refusal> {
    Err(refusal(code, Some((kind, id.to_string()))))
}
