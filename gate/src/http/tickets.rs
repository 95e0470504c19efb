//! One ticket of an order: its credential as JSON and as QR code.

use std::sync::Arc;

use inventory::command::{Command, OrderView, Reply as Answered, TicketStatus, TicketView};
use inventory::task::{Query, QueryReply};
use serde_json::Value;

use super::call::{Call, Reply};
use super::orders::{hidden, owned_order, render_ticket, sign, signing_keys};
use super::shop::{Subject, counted, idempotency};
use super::verdict::parse_ticket_id;
use crate::events::Event;
use crate::gate::Gate;
use crate::issue::unix_s;
use crate::problem::{Code, Problem};
use crate::qr::Matrix;

/// `GET /shop/tickets/{id}`.
pub(super) async fn get(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (event, order, ticket) = owned(gate, call).await?;
    let keys = signing_keys(gate, &event)?;
    let personal = gate.people.of_order(event.id, order.id, &order.personal, gate.now()).await;
    let body = render_ticket(gate, &event.view(), &keys, &ticket, personal.as_deref())?;
    Ok(Reply::json(200, &body).private())
}

/// `POST /shop/tickets/{id}/reissue`: the old code is no longer good.
pub(super) async fn reissue(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (event, order, ticket) = owned(gate, call).await?;
    let key = idempotency(call, event.id, &ticket.number.to_string(), &Value::Null)?;
    // Nothing is superseded whose successor could not be signed.
    let keys = signing_keys(gate, &event)?;
    let command = Command::Reissue { ticket: ticket.number, key };
    match counted(gate, &event, command, Subject::Order).await? {
        Answered::Reissued { ticket, replayed } => {
            gate.metrics.order("reissued");
            let now = gate.now();
            let personal = gate.people.of_order(event.id, order.id, &order.personal, now).await;
            let body = render_ticket(gate, &event.view(), &keys, &ticket, personal.as_deref())?;
            Ok(Reply::json(200, &body).private().replayed(replayed))
        }
        _ => Err(Problem::internal("a new code was answered with something else")),
    }
}

/// `GET /shop/tickets/{id}/qr.svg`.
pub(super) async fn svg(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let matrix = matrix(gate, call).await?;
    Ok(Reply::text(200, "image/svg+xml", matrix.svg()).private())
}

/// `GET /shop/tickets/{id}/qr.png`.
pub(super) async fn png(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let matrix = matrix(gate, call).await?;
    let bytes = matrix.png().map_err(|error| Problem::internal(error.to_string()))?;
    Ok(Reply::bytes(200, "image/png", bytes).private())
}

/// What a lane reads now: a rotating ticket's code carries its live digits.
async fn matrix(gate: &Gate, call: &Call) -> Result<Matrix, Problem> {
    let (event, _, ticket) = owned(gate, call).await?;
    if ticket.status == TicketStatus::Canceled {
        return Err(Problem::new(Code::AlreadyCanceled, "a canceled ticket has no code"));
    }
    let keys = signing_keys(gate, &event)?;
    let credential = sign(gate, &keys, &ticket)?;
    let text = if ticket.rotating {
        let (number, revision) = (ticket.number, ticket.revision);
        let now_s = unix_s(gate.now());
        let code = keys::rotating::code(&keys.secret, keys.number, number, revision, now_s);
        credential.text_with(&code)
    } else {
        credential.text()
    };
    Matrix::new(&text).map_err(|error| Problem::internal(error.to_string()))
}

/// The ticket in the path with its order, when the order's secret was shown.
async fn owned(gate: &Gate, call: &Call) -> Result<(Arc<Event>, OrderView, TicketView), Problem> {
    let (number, ticket) = parse_ticket_id(call.id()).ok_or_else(hidden)?;
    let event = gate.events.by_number(number).ok_or_else(hidden)?;
    let QueryReply::Ticket(found) = gate.query(&event, Query::Ticket(ticket)).await? else {
        return Err(hidden());
    };
    let order = owned_order(gate, call, &event, found.order).await?;
    Ok((event, order, found))
}
