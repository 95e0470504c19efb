//! What the back office tells the gate to do: each instruction once, by its id. Its end is always
//! an entry, with the refusal if there was one, so that the back office learns it from the journal.

use uuid::Uuid;

use super::admission::{self, Passage, digest, judge};
use super::sale::{self, Charge};
use super::{Decision, Outcome, refusal, refused_for, seats};
use crate::command::{
    Channel, Digest16, Direction, HoldItem, Instruction, OrderCreateItem, PaymentMethod, Reason,
    Refusal, RefusalCode, Reply, Sealed, Subject, TicketStatus, Verdict,
};
use crate::entry::Hash;
use crate::fact::{Base64, Fact, OrderConfirmed, ScanDecided};
use crate::log::DataKey;
use crate::state::{State, Ticket, total};
use crate::time::Millis;

/// Lane of a person let in by the back office.
pub const BACK_OFFICE_LANE: &str = "back office";

/// What an instruction writes before its end; `refused` goes into the end.
#[derive(Default)]
struct Done {
    facts: Vec<Fact>,
    keys: Vec<(Uuid, DataKey)>,
    refused: Option<Refusal>,
}

pub(super) fn instruct(
    state: &State,
    now: Millis,
    id: Uuid,
    instruction: &Instruction,
) -> Decision {
    if let Some(refused) = state.instructions.get(&id) {
        let refused = refused.as_deref().cloned();
        return Decision::reply(Reply::Instructed { id, refused });
    }
    let done = carry_out(state, now, id, instruction);
    let done = done.unwrap_or_else(|refused| Done { refused: Some(refused), ..Done::default() });
    let mut facts = done.facts;
    facts.push(Fact::InstructionDone { id, refused: done.refused.clone() });
    let outcome = Outcome::Reply(Reply::Instructed { id, refused: done.refused });
    Decision { facts, keys: done.keys, outcome }
}

fn carry_out(
    state: &State,
    now: Millis,
    id: Uuid,
    instruction: &Instruction,
) -> Result<Done, Refusal> {
    match instruction {
        Instruction::OrderCreate {
            order,
            items,
            channel,
            buyer,
            personal,
            sealed,
            secret_hash,
        } => {
            let attendees = personal.attendees.len();
            let created = create_order(state, *order, items, *channel, attendees)?;
            let (personal, key) = match sealed {
                Some(Sealed { bytes, key }) => (bytes.clone(), Some(key.clone())),
                None => (Vec::new(), None),
            };
            let confirmed = OrderConfirmed {
                buyer: *buyer,
                secret_hash: Hash(*secret_hash),
                personal: Base64(personal),
                ..created
            };
            let keys = key.map(|key| (*order, key)).into_iter().collect();
            let facts = vec![Fact::OrderConfirmed(Box::new(confirmed))];
            Ok(Done { facts, keys, refused: None })
        }
        Instruction::OrderCancel { order, positions } => {
            Ok(wrote(sale::cancelable(state, *order, positions)?.fact(*order, None)))
        }
        Instruction::OrderPaid { order } => {
            Ok(Done { facts: sale::paid(state, *order)?, ..Done::default() })
        }
        Instruction::OrderPaymentFailed { order } => {
            Ok(Done { facts: sale::unpaid(state, *order)?, ..Done::default() })
        }
        Instruction::TicketBlock { ticket } => match live_ticket(state, *ticket)?.status {
            TicketStatus::Blocked => Ok(Done::default()),
            _ => Ok(wrote(Fact::TicketBlocked { ticket: *ticket })),
        },
        Instruction::TicketUnblock { ticket } => match live_ticket(state, *ticket)?.status {
            TicketStatus::Blocked => Ok(wrote(Fact::TicketUnblocked { ticket: *ticket })),
            _ => Ok(Done::default()),
        },
        Instruction::TicketReissue { ticket } => {
            let revision = sale::next_revision(state, *ticket)?;
            let fact = Fact::TicketReissued { ticket: *ticket, revision, seat: None, key: None };
            Ok(wrote(fact))
        }
        Instruction::TicketReseat { ticket, seat } => {
            let of = *live_ticket(state, *ticket)?;
            Ok(wrote(seats::reseat(state, *ticket, &of, *seat)?))
        }
        Instruction::SeatBlock { seats } => keep_back(state, seats, true),
        Instruction::SeatUnblock { seats } => keep_back(state, seats, false),
        Instruction::CheckIn { ticket, zone, by, force } => {
            let check_in = CheckIn { ticket: *ticket, zone: zone.as_deref(), by: *by };
            Ok(check_in.decide(state, now, id, *force))
        }
        Instruction::OccupancyCorrect { zone, inside, by } => {
            Ok(wrote(admission::correct(state, zone, *inside, *by)?))
        }
        Instruction::EventEvacuate { on, by } => {
            let evacuated = admission::evacuate(state, *on, *by)?;
            Ok(Done { facts: evacuated.facts, ..Done::default() })
        }
        Instruction::EventCancel {} if state.totals.canceled => {
            refused_for(RefusalCode::AlreadyCanceled, "event", state.event())
        }
        Instruction::EventCancel {} => Ok(wrote(Fact::EventCanceled {})),
    }
}

fn keep_back(state: &State, seats: &[u32], blocked: bool) -> Result<Done, Refusal> {
    let facts = seats::block(state, seats, blocked)?.into_iter().collect();
    Ok(Done { facts, ..Done::default() })
}

fn wrote(fact: Fact) -> Done {
    Done { facts: vec![fact], ..Done::default() }
}

/// The back office is not bound by sale periods and limits per order, but by stock. A comp costs
/// nothing; what costs something is invoiced.
fn create_order(
    state: &State,
    id: Uuid,
    items: &[OrderCreateItem],
    channel: Channel,
    attendees: usize,
) -> Result<OrderConfirmed, Refusal> {
    if state.canceled() {
        return refused_for(RefusalCode::SaleClosed, "event", state.event());
    }
    let basket = sale::basket(state, items.iter().map(|i| (i.ticket_type, i.quantity)))?;
    sale::check_stock(state, &basket, None)?;
    let charge = match channel {
        Channel::Comp => Charge::Nothing,
        _ => Charge::Full(None),
    };
    let lines = sale::price(state, &basket, charge);
    let payment = if total(&lines) == 0 { PaymentMethod::Free } else { PaymentMethod::Invoice };
    let chosen = items.iter().map(|item| HoldItem {
        ticket_type: item.ticket_type,
        quantity: item.quantity,
        seats: item.seats.clone(),
    });
    let chosen = seats::choose(state, &chosen.collect::<Vec<_>>())?;
    let mut draft = sale::draft(state, id, &basket, lines)?;
    seats::assign(state, &mut draft.tickets, &chosen);
    if attendees != 0 && attendees != draft.tickets.len() {
        return Err(refusal(RefusalCode::AttendeesMismatch, None));
    }
    Ok(OrderConfirmed { channel, payment, ..draft })
}

fn live_ticket(state: &State, number: u64) -> Result<&Ticket, Refusal> {
    let Some((_, ticket)) = state.ticket(number) else {
        return refused_for(RefusalCode::UnknownTicket, "ticket", number);
    };
    if ticket.status == TicketStatus::Canceled {
        return refused_for(RefusalCode::AlreadyCanceled, "ticket", number);
    }
    Ok(ticket)
}

/// A person let in by hand: the rules of a scan at the back office's lane.
struct CheckIn<'a> {
    ticket: u64,
    zone: Option<&'a str>,
    by: Uuid,
}

impl CheckIn<'_> {
    fn decide(&self, state: &State, now: Millis, instruction: Uuid, force: bool) -> Done {
        let questions: Vec<Uuid> = state.tables.questions.iter().map(|q| q.id).collect();
        let zone = self.zone.map_or_else(|| self.first_zone(state), str::to_owned);
        let passage = Passage {
            lane: BACK_OFFICE_LANE,
            zone: &zone,
            direction: Direction::Entry,
            subject: Subject::Ticket { ticket: self.ticket },
            force,
            // Who checks in by hand has the person before them, and asks what there is to ask.
            answered: &questions,
        };
        let judged = judge(state, now, &passage);
        // No turnstile either: a person was let in.
        let verdict = match judged.verdict {
            Verdict::Reserve => Verdict::Admit,
            verdict => verdict,
        };
        // No device and no nonce: the instruction is both.
        let nonce: Digest16 = digest(b"ATLVS-CHECK-IN-v1\0", instruction, &[]);
        let fact = ScanDecided {
            device: self.by,
            lane: BACK_OFFICE_LANE.to_owned(),
            zone,
            direction: Direction::Entry,
            nonce,
            request: nonce,
            ticket: judged.ticket,
            verdict,
            reason: judged.reason,
            first_scan: judged.first_scan,
            forced: judged.forced,
            by: Some(self.by),
            lease_until: None,
            answers: None,
        };
        let denied = judged.reason.filter(|_| judged.verdict == Verdict::Deny);
        let refused = denied.map(|reason| {
            refusal(RefusalCode::NotAdmitted, Some(("scan", reason.code().to_owned())))
        });
        Done { facts: vec![Fact::ScanDecided(Box::new(fact))], keys: Vec::new(), refused }
    }

    /// The zone of the lowest number that the ticket is good for.
    fn first_zone(&self, state: &State) -> String {
        let ticket = state.ticket(self.ticket).map(|(_, ticket)| ticket);
        let zones = ticket.map_or(0, |ticket| state.tables.zones_of(ticket.type_row));
        let listed = state.tables.zones.iter().filter(|zone| zone.listed);
        let good = listed.filter(|zone| zones & crate::state::zone_bit(zone.config.number) != 0);
        let first = good.min_by_key(|zone| zone.config.number);
        first.map(|zone| zone.config.key.clone()).unwrap_or_default()
    }
}

impl Reason {
    /// The rule's name, where the wire says `rules`.
    pub fn rule(self) -> Option<&'static str> {
        match self {
            Self::TooSoon => Some("interval"),
            Self::Evacuation => Some("evacuation"),
            _ => None,
        }
    }

    /// As the wire says it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Canceled => "canceled",
            Self::Unpaid => "unpaid",
            Self::Blocked => "blocked",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::WrongProduct => "wrong_product",
            Self::WrongZone => "wrong_zone",
            Self::AlreadyUsed => "already_used",
            Self::NotInside => "not_inside",
            Self::ZoneFull => "zone_full",
            Self::StaleCode => "stale_code",
            Self::UnknownTicket => "unknown_ticket",
            Self::NonceReused => "nonce_reused",
            Self::Passback => "passback",
            Self::Clock => "clock",
            Self::TooLate => "too_late",
            Self::TooSoon | Self::Evacuation => "rules",
        }
    }
}
