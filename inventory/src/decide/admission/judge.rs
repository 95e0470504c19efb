//! The rules of a door, in the order in which they refuse: from what the ticket is, over where and
//! when it is good, to how often it was used and whether there is room.

use uuid::Uuid;

use super::history::History;
use crate::command::{Direction, FirstScan, Reason, Subject, TicketStatus, Verdict};
use crate::config::{LaneConfig, Passback, TicketTypeConfig, ZoneConfig};
use crate::state::{State, Ticket, number_at, zone_bit};
use crate::time::Millis;

/// Someone wants through a door.
pub(in crate::decide) struct Passage<'a> {
    pub(in crate::decide) lane: &'a str,
    pub(in crate::decide) zone: &'a str,
    pub(in crate::decide) direction: Direction,
    pub(in crate::decide) subject: Subject,
    pub(in crate::decide) force: bool,
    /// Questions that come answered.
    pub(in crate::decide) answered: &'a [Uuid],
}

#[derive(Default)]
pub(in crate::decide) struct Judged {
    /// Number of the ticket, if there is one.
    pub(in crate::decide) ticket: Option<u64>,
    pub(in crate::decide) verdict: Verdict,
    /// Of what was admitted: what force overruled, or what staff should know.
    pub(in crate::decide) reason: Option<Reason>,
    pub(in crate::decide) first_scan: Option<FirstScan>,
    pub(in crate::decide) forced: bool,
    /// Seconds that a turnstile has to report, for `reserve`.
    pub(in crate::decide) lease_s: Option<u32>,
    /// For `ask`.
    pub(in crate::decide) questions: Vec<Uuid>,
}

/// A rule's opinion of a passage.
enum Opinion {
    Fine,
    /// Let through, and say so.
    Tell(Reason),
    Refuse(Reason),
}

/// Force overrules every rule but two: there must be a ticket and a zone to be admitted to.
pub(in crate::decide) fn judge(state: &State, now: Millis, passage: &Passage<'_>) -> Judged {
    let number = match passage.subject {
        Subject::Credential { ticket, .. } | Subject::Ticket { ticket } => ticket,
    };
    let deny = |ticket, reason, first_scan| Judged {
        ticket,
        verdict: Verdict::Deny,
        reason: Some(reason),
        first_scan,
        ..Judged::default()
    };
    let Some((index, ticket)) = state.ticket(number) else {
        return deny(None, Reason::UnknownTicket, None);
    };
    let number = Some(number_at(index));
    let Some((zone_row, zone)) = state.tables.zone(passage.zone) else {
        return deny(number, Reason::WrongZone, None);
    };
    let door = Door { state, now, ticket, zone_row, zone, lane: state.tables.lane(passage.lane) };
    let first_scan = state.first_scan(index, zone.number);
    let opinion = match passage.direction {
        Direction::Exit => door.exit(),
        Direction::Entry => door.entry(passage.subject),
    };
    let (reason, forced) = match opinion {
        Opinion::Fine => (None, false),
        Opinion::Tell(reason) => (Some(reason), false),
        Opinion::Refuse(reason) if passage.force => (Some(reason), true),
        Opinion::Refuse(reason) => return deny(number, reason, first_scan),
    };
    let questions = match passage.direction {
        Direction::Entry if !passage.force => door.questions(index, passage.answered),
        _ => Vec::new(),
    };
    if !questions.is_empty() {
        return Judged { ticket: number, verdict: Verdict::Ask, questions, ..Judged::default() };
    }
    let lease_s = door.lane.filter(|lane| lane.two_phase).map(|lane| lane.lease_s);
    let verdict = if lease_s.is_some() { Verdict::Reserve } else { Verdict::Admit };
    Judged { ticket: number, verdict, reason, first_scan, forced, lease_s, questions }
}

/// A ticket before a door.
struct Door<'a> {
    state: &'a State,
    now: Millis,
    ticket: &'a Ticket,
    zone_row: u8,
    zone: &'a ZoneConfig,
    lane: Option<&'a LaneConfig>,
}

impl Door<'_> {
    /// Who is inside may leave, whatever became of the ticket meanwhile.
    fn exit(&self) -> Opinion {
        if self.is_inside() || self.state.totals.evacuated {
            return Opinion::Fine;
        }
        match self.zone.passback {
            Passback::Soft => Opinion::Tell(Reason::NotInside),
            Passback::Off | Passback::Hard => Opinion::Refuse(Reason::NotInside),
        }
    }

    fn entry(&self, subject: Subject) -> Opinion {
        let refused = self.not_good(subject).or_else(|| self.not_here()).or_else(|| self.used());
        let refused = refused.or_else(|| self.full());
        if let Some(reason) = refused {
            return Opinion::Refuse(reason);
        }
        match self.zone.passback {
            Passback::Soft if self.is_inside() => Opinion::Tell(Reason::Passback),
            _ => Opinion::Fine,
        }
    }

    /// What the ticket is.
    fn not_good(&self, subject: Subject) -> Option<Reason> {
        let (ticket, state) = (self.ticket, self.state);
        let (revision, stale_code) = match subject {
            Subject::Credential { revision, stale_code, .. } => (revision, stale_code),
            Subject::Ticket { .. } => (ticket.revision, false),
        };
        if revision != ticket.revision {
            return Some(Reason::Superseded);
        }
        if state.canceled() || ticket.status == TicketStatus::Canceled {
            return Some(Reason::Canceled);
        }
        if ticket.status == TicketStatus::Blocked {
            return Some(Reason::Blocked);
        }
        stale_code.then_some(Reason::StaleCode)
    }

    /// Where and when it is good.
    fn not_here(&self) -> Option<Reason> {
        if self.state.totals.evacuated {
            return Some(Reason::Evacuation);
        }
        let kind = self.kind()?;
        let served = |lane: &LaneConfig| lane.types.is_empty() || lane.types.contains(&kind.number);
        if !self.lane.is_none_or(served) {
            return Some(Reason::WrongProduct);
        }
        let bit = zone_bit(self.zone.number);
        if self.state.tables.zones_of(self.ticket.type_row) & bit == 0 {
            return Some(Reason::WrongZone);
        }
        let zone = self.zone;
        outside(self.now, kind.valid_from, kind.valid_until)
            .or_else(|| outside(self.now, zone.opens_at, zone.closes_at))
            .or_else(|| self.outside_windows(kind))
    }

    /// Between windows a ticket is not valid yet; after the last it has expired.
    fn outside_windows(&self, kind: &TicketTypeConfig) -> Option<Reason> {
        let windows = || kind.windows.iter().filter(|window| window.zone == self.zone.number);
        let judged = || windows().map(|window| outside(self.now, window.from, window.until));
        if windows().next().is_none() || judged().any(|reason| reason.is_none()) {
            return None;
        }
        let later = judged().any(|reason| reason == Some(Reason::NotYetValid));
        Some(if later { Reason::NotYetValid } else { Reason::Expired })
    }

    /// How often it was used.
    fn used(&self) -> Option<Reason> {
        let history = History::of(self.state, self.ticket, self.zone);
        if let Some(reason) = history.refuse(self.now) {
            return Some(reason);
        }
        let hard = self.zone.passback == Passback::Hard;
        (hard && self.is_inside()).then_some(Reason::Passback)
    }

    /// Asked of who may enter; whoever is inside already takes no more room.
    fn full(&self) -> Option<Reason> {
        let capacity = self.zone.capacity?;
        let inside = self.state.zones.get(usize::from(self.zone_row))?.shown();
        (capacity <= inside && !self.is_inside()).then_some(Reason::ZoneFull)
    }

    /// Questions of this type that nobody has answered yet.
    fn questions(&self, ticket: u32, answered: &[Uuid]) -> Vec<Uuid> {
        let number = self.kind().map(|kind| kind.number);
        let asked = self.state.tables.questions.iter().filter(|question| {
            question.types.is_empty() || number.is_some_and(|n| question.types.contains(&n))
        });
        let open = asked
            .map(|question| question.id)
            .filter(|id| !answered.contains(id) && !self.state.answered.contains(&(ticket, *id)));
        open.collect()
    }

    fn kind(&self) -> Option<&TicketTypeConfig> {
        self.state.tables.kind(self.ticket.type_row)
    }

    fn is_inside(&self) -> bool {
        self.state.inside(self.ticket) & zone_bit(self.zone.number) != 0
    }
}

fn outside(now: Millis, from: Option<Millis>, until: Option<Millis>) -> Option<Reason> {
    if from.is_some_and(|from| now < from) {
        return Some(Reason::NotYetValid);
    }
    until.is_some_and(|until| until <= now).then_some(Reason::Expired)
}
