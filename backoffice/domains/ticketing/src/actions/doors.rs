//! What staff tell the doors: how many are inside, and that the place has to be cleared.

use inventory::command::Instruction;
use kernel::action::{Args, Reply};
use kernel::cx::Cx;
use kernel::error::{Code, Error, Result};
use serde::Deserialize;
use uuid::Uuid;

use super::gate::{id_of, instruct, is_known, text_of};
use super::registrations::actor;
use crate::tables::admission::CHECK_IN_ZONES;

#[derive(Deserialize)]
struct Evacuate {
    event_id: Uuid,
    on: bool,
}

#[derive(Deserialize)]
struct Count {
    inside: u64,
}

pub(super) async fn evacuate(cx: &mut Cx, args: Args) -> Result<Reply> {
    let input: Evacuate = args.parse()?;
    known(cx, input.event_id).await?;
    let instruction = Instruction::EventEvacuate { on: input.on, by: actor(cx) };
    let operation = instruct(cx, input.event_id, None, &instruction).await?;
    Ok(Reply::Await { operation, row: None })
}

pub(super) async fn count(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&CHECK_IN_ZONES, id, "count").await?;
    let input: Count = args.parse()?;
    let event = id_of(&row, "event_id")?;
    known(cx, event).await?;
    let zone = text_of(&row, "key").to_owned();
    let instruction = Instruction::OccupancyCorrect { zone, inside: input.inside, by: actor(cx) };
    let operation = instruct(cx, event, None, &instruction).await?;
    Ok(Reply::Await { operation, row: Some(id) })
}

async fn known(cx: &Cx, event: Uuid) -> Result<()> {
    if is_known(cx, event).await? {
        return Ok(());
    }
    let detail = "the event was never put on sale, so no door knows it";
    Err(Error::field(Code::NotReady, "event_id", detail))
}
