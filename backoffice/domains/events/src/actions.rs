//! What two moves of an event do beside setting its state: ticketing decides what they mean for
//! tickets, in the same transaction. The engine serves the moves, these and the others, by the
//! flow: from where to where, what is required, the new state.

use kernel::action::{Action, Answers, Args, On, Reply};
use kernel::cx::Cx;
use kernel::entity::{Field, text};
use kernel::error::{Error, Result};
use serde_json::{Value, json};

use crate::EVENTS;

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
    let input = contracts::ticketing::PrepareSales { event_id: id };
    call(cx, contracts::ticketing::PREPARE_SALES, &input).await?;
    cx.set(&EVENTS, id, &[("sales_opened_at", json!(cx.now))]).await?;
    Ok(Reply::Row(id))
}

async fn cancel(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let reason = args.input.get("reason").cloned().unwrap_or(Value::Null);
    let fields = [("canceled_at", json!(cx.now)), ("cancel_reason", reason)];
    cx.set(&EVENTS, id, &fields).await?;
    let input = contracts::ticketing::CancelAdmission { event_id: id };
    call(cx, contracts::ticketing::CANCEL_ADMISSION, &input).await?;
    Ok(Reply::Row(id))
}

async fn call(cx: &mut Cx, action: &str, input: &impl serde::Serialize) -> Result<Value> {
    let input = serde_json::to_value(input)
        .map_err(|cause| Error::internal(format!("input of {action}: {cause}")))?;
    cx.call(action, input).await
}
