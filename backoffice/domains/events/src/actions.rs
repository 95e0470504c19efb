//! Moving an event through its life. What a move means for tickets is decided by ticketing, in the
//! same transaction.

use kernel::action::{Action, Answers, Args, On, Reply};
use kernel::cx::Cx;
use kernel::entity::{Field, text};
use kernel::error::{Code, Error, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{EVENTS, FLOW};

pub(crate) static ACTIONS: &[Action] = &[
    Action {
        name: "open-sales",
        entity: &EVENTS,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Puts the event on sale; names what is missing when it cannot be.",
        run: |cx, args| Box::pin(open_sales(cx, args)),
    },
    Action {
        name: "close-sales",
        entity: &EVENTS,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Ends the sale; admission goes on.",
        run: |cx, args| Box::pin(close_sales(cx, args)),
    },
    Action {
        name: "complete",
        entity: &EVENTS,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "The event is over.",
        run: |cx, args| Box::pin(complete(cx, args)),
    },
    Action {
        name: "cancel",
        entity: &EVENTS,
        on: On::Row,
        input: CANCEL_INPUT,
        answers: Answers::Row,
        about: "Calls the event off: no sale, no admission.",
        run: |cx, args| Box::pin(cancel(cx, args)),
    },
];

static CANCEL_INPUT: &[Field] = &[text("reason")];

async fn open_sales(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let status = next_status(cx, id, "open-sales").await?;
    let input = contracts::ticketing::PrepareSales { event_id: id };
    call(cx, contracts::ticketing::PREPARE_SALES, &input).await?;
    let now = json!(cx.now);
    cx.set(&EVENTS, id, &[("status", json!(status)), ("sales_opened_at", now)]).await?;
    Ok(Reply::Row(id))
}

async fn close_sales(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let status = next_status(cx, id, "close-sales").await?;
    cx.set(&EVENTS, id, &[("status", json!(status))]).await?;
    Ok(Reply::Row(id))
}

async fn complete(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let status = next_status(cx, id, "complete").await?;
    cx.set(&EVENTS, id, &[("status", json!(status))]).await?;
    Ok(Reply::Row(id))
}

async fn cancel(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let status = next_status(cx, id, "cancel").await?;
    let reason = args.input.get("reason").cloned().unwrap_or(Value::Null);
    let now = json!(cx.now);
    let fields = [("status", json!(status)), ("canceled_at", now), ("cancel_reason", reason)];
    cx.set(&EVENTS, id, &fields).await?;
    let input = contracts::ticketing::CancelAdmission { event_id: id };
    call(cx, contracts::ticketing::CANCEL_ADMISSION, &input).await?;
    Ok(Reply::Row(id))
}

/// The state that `action` leads to from where the event stands; `invalid_transition` otherwise.
async fn next_status(cx: &mut Cx, id: Uuid, action: &str) -> Result<&'static str> {
    let row = cx.load(&EVENTS, id, action).await?;
    let status = row.get(FLOW.field).and_then(Value::as_str).unwrap_or_default();
    FLOW.moves
        .iter()
        .find(|one| one.action == action && one.from.contains(&status))
        .map(|one| one.to)
        .ok_or_else(|| {
            Error::new(Code::InvalidTransition, format!("{action} is not possible while {status}"))
        })
}

async fn call(cx: &mut Cx, action: &str, input: &impl serde::Serialize) -> Result<Value> {
    let input = serde_json::to_value(input)
        .map_err(|cause| Error::internal(format!("input of {action}: {cause}")))?;
    cx.call(action, input).await
}
