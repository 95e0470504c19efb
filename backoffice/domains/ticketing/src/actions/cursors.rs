//! Letting a stopped journal go on. It stops again if what it reads still contradicts what is stored.

use kernel::action::{Args, Reply};
use kernel::cx::Cx;
use kernel::error::{Code, Error, Result};
use serde_json::{Value, json};

use super::gate::text_of;
use crate::tables::feeds::GATE_CURSORS;

pub(super) async fn resume(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&GATE_CURSORS, id, "resume").await?;
    if text_of(&row, "state") != "stopped" {
        return Err(Error::new(Code::InvalidTransition, "the journal is not stopped"));
    }
    cx.set(&GATE_CURSORS, id, &[("state", json!("running")), ("cause", Value::Null)]).await?;
    Ok(Reply::Row(id))
}
