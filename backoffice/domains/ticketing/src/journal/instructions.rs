//! The gate's answer to an instruction: its operation ends, its document leaves the catalogue.

use inventory::command::{Refusal, RefusalCode};
use kernel::cx::Cx;
use kernel::error::{Code, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use super::scans::word;

/// An instruction that is not known here (a database restored from before it) changes nothing.
pub(super) async fn done(cx: &Cx, id: Uuid, refused: Option<&Refusal>) -> Result<()> {
    let status = if refused.is_some() { "refused" } else { "done" };
    let row = cx
        .query_opt(
            "update gate_instructions set status = $2, finished_at = $3, body = null \
              where id = $1 and status = 'pending' returning operation_id",
            &[&id, &status, &cx.now],
        )
        .await?;
    let Some(row) = row else {
        tracing::warn!(instruction = %id, "the journal ends an instruction that is not pending");
        return Ok(());
    };
    let operation: Option<Uuid> = row.try_get(0)?;
    let Some(operation) = operation else { return Ok(()) };
    let (status, error) = match refused {
        None => ("done", None),
        Some(refusal) => ("failed", Some(problem(refusal)?)),
    };
    cx.execute(
        "update operations set status = $2, error = $3, finished_at = $4 where id = $1",
        &[&operation, &status, &error, &cx.now],
    )
    .await?;
    Ok(())
}

/// The refusal as the endpoint's problem: `{"code","detail","constraint"}`.
fn problem(refusal: &Refusal) -> Result<Value> {
    let detail = match &refusal.constraint {
        Some(constraint) => {
            let (kind, id) = (&constraint.kind, &constraint.id);
            format!("the gate refused: {} ({kind} {id})", word(&refusal.code)?)
        }
        None => format!("the gate refused: {}", word(&refusal.code)?),
    };
    Ok(json!({
        "code": code(refusal.code).name(),
        "detail": detail,
        "constraint": refusal.constraint,
    }))
}

fn code(refused: RefusalCode) -> Code {
    match refused {
        RefusalCode::SoldOut => Code::SoldOut,
        RefusalCode::UnknownOrder
        | RefusalCode::UnknownTicket
        | RefusalCode::UnknownHold
        | RefusalCode::UnknownScan
        | RefusalCode::UnknownPromo
        | RefusalCode::UnknownZone
        | RefusalCode::UnknownSeat => Code::NotFound,
        RefusalCode::UnknownTicketType => Code::UnknownReference,
        RefusalCode::AttendeesMismatch | RefusalCode::BuyerRequired => Code::InvalidValue,
        RefusalCode::AlreadyCanceled | RefusalCode::AlreadySettled | RefusalCode::NotAnnullable => {
            Code::InvalidTransition
        }
        RefusalCode::NotAdmitted => Code::NotAdmitted,
        RefusalCode::LimitReached => Code::LimitReached,
        RefusalCode::TicketUsed => Code::AlreadyUsed,
        RefusalCode::SaleClosed
        | RefusalCode::IdTaken
        | RefusalCode::SeatTaken
        | RefusalCode::NoQueue
        | RefusalCode::QueueWait
        | RefusalCode::QueuePass
        | RefusalCode::SeatUnit
        | RefusalCode::CatalogueConflict
        | RefusalCode::HoldExpired
        | RefusalCode::KeyReused
        | RefusalCode::PaymentNotAccepted
        | RefusalCode::PromoNotApplicable
        | RefusalCode::PromoExhausted => Code::Conflict,
        RefusalCode::UnknownEvent => Code::NotReady,
    }
}
