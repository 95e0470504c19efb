//! The verdict's JSON. Decides nothing.

use inventory::command::{Reason, ScanVerdict, Settlement, TicketView, Verdict};
use inventory::time::Millis;
use inventory::view::EventView;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Reply;
use super::shop::seat;
use crate::events::Event;
use crate::gate::Gate;
use crate::message::{self, Denial};
use crate::people;

/// A decision of the inventory.
pub(super) async fn decided(gate: &Gate, event: &Event, decided: &ScanVerdict) -> Reply {
    let view = event.view();
    let name = match &decided.ticket {
        Some(ticket) => {
            let personal = gate.people.of_ticket(&event.handle, ticket.order, gate.now()).await;
            personal.and_then(|p| people::name_at(&p, ticket.position).map(str::to_owned))
        }
        None => None,
    };
    let verdict = word(decided.verdict);
    let reason = decided.reason.map(Reason::code);
    gate.metrics.scan(verdict, reason.unwrap_or_default());
    let first_scan =
        decided.first_scan.as_ref().map(|first| json!({"at": first.at, "gate": first.lane}));
    let occupancy = decided
        .occupancy
        .as_ref()
        .map(|o| json!({"zone": o.zone, "inside": o.inside, "capacity": o.capacity}));
    let body = json!({
        "verdict": verdict,
        "reason": reason,
        "rule": decided.reason.and_then(Reason::rule),
        "message": words(&view, decided),
        // Of questions, and of who flees unknown, nothing was written.
        "scan": (decided.scan != 0).then(|| scan_id(view.number, decided.scan)),
        "at": decided.at,
        "ticket": decided.ticket.as_ref().map(|t| ticket(&view, t, name.as_deref())),
        "first_scan": first_scan,
        "occupancy": occupancy,
        "forced": decided.forced,
        "replay": decided.replay,
        "settled": decided.settled.map(settled),
        "questions": questions(&view, &decided.questions),
        "mode": decided.alone,
    });
    Reply::json(200, &body).private()
}

/// A denial from before the inventory: no journal entry, so no scan id.
pub(super) fn denied(denial: Denial, now: Millis) -> Reply {
    unwritten("deny", denial, denial.message(), now)
}

/// The same where nobody is kept inside, because the place is being cleared.
pub(super) fn let_out(denial: Denial, now: Millis) -> Reply {
    unwritten("admit", denial, message::FLEE, now)
}

fn unwritten(verdict: &str, denial: Denial, message: &str, now: Millis) -> Reply {
    let body = json!({
        "verdict": verdict,
        "reason": denial.wire(),
        "rule": denial.rule(),
        "message": message,
        "scan": null,
        "at": now,
        "ticket": null,
        "first_scan": null,
        "occupancy": null,
        "forced": false,
        "replay": false,
        "settled": null,
        "questions": [],
        "mode": null,
    });
    Reply::json(200, &body).private()
}

/// `1042-7`: number of the event and of the ticket within it.
pub(super) fn ticket_id(event: u32, ticket: u64) -> String {
    format!("{event}-{ticket}")
}

/// The same of the event and of the decision's journal entry.
pub(super) fn scan_id(event: u32, scan: u64) -> String {
    ticket_id(event, scan)
}

/// Reads what `ticket_id` writes, and nothing else.
pub(super) fn parse_ticket_id(text: &str) -> Option<(u32, u64)> {
    let (event, ticket) = text.split_once('-')?;
    let (event, ticket) = (event.parse().ok()?, ticket.parse().ok()?);
    (ticket_id(event, ticket) == text).then_some((event, ticket))
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Admit => "admit",
        Verdict::Deny => "deny",
        Verdict::Reserve => "reserve",
        Verdict::Ask => "ask",
    }
}

fn settled(settlement: Settlement) -> &'static str {
    match settlement {
        Settlement::Passed => "passed",
        Settlement::NotPassed => "not_passed",
        Settlement::Annulled => "annulled",
    }
}

fn questions(view: &EventView, asked: &[Uuid]) -> Vec<Value> {
    let asked = view.config.questions.iter().filter(|question| asked.contains(&question.id));
    asked
        .map(|question| {
            json!({
                "id": question.id,
                "text": question.text,
                "kind": question.kind,
                "options": question.options,
            })
        })
        .collect()
}

fn words(view: &EventView, decided: &ScanVerdict) -> String {
    let zone = decided.occupancy.as_ref().map_or("", |o| o.zone.as_str());
    match (decided.verdict, decided.reason) {
        (Verdict::Deny, Some(reason)) => message::denied(
            reason,
            decided.first_scan.as_ref(),
            zone,
            &view.config.time_zone,
            decided.at,
        ),
        (Verdict::Deny, None) => "Not admitted".to_owned(),
        (Verdict::Admit | Verdict::Reserve, told) => {
            message::admitted(decided.forced, told).to_owned()
        }
        (Verdict::Ask, _) => "Ask first".to_owned(),
    }
}

fn ticket(view: &EventView, ticket: &TicketView, name: Option<&str>) -> Value {
    let kind = view.config.ticket_types.iter().find(|t| t.id == ticket.ticket_type);
    json!({
        "id": ticket_id(view.number, ticket.number),
        "type": kind.map(|t| t.name.as_str()),
        "name": name,
        "attention": kind.is_some_and(|t| t.attention),
        "seat": ticket.seat.as_deref().map(seat),
    })
}

#[cfg(test)]
mod tests {
    use super::parse_ticket_id;

    #[track_caller]
    fn check(text: &str, expect: Option<(u32, u64)>) {
        assert_eq!(parse_ticket_id(text), expect, "{text}");
    }

    #[test]
    fn ticket_ids_have_one_spelling() {
        check("1042-7", Some((1042, 7)));
        check("0-0", Some((0, 0)));
        for text in ["", "-", "1042", "1042-", "-7", "01042-7", "1042-07", "+1-7", "1-7-9", "1- 7"]
        {
            check(text, None);
        }
        check("4294967296-1", None);
        check("1-18446744073709551616", None);
    }
}
