//! From a body to columns: fields, custom fields and links, every fault of them in one answer.

use serde_json::{Map, Value};

use super::{Writer, links};
use crate::custom::{self, Model};
use crate::cx::{Actor, Cx};
use crate::entity::Entity;
use crate::error::{Code, Error, Fault, Result};
use crate::validate::{self, Columns, Purpose};

pub(super) async fn columns(
    cx: &Cx,
    entity: &'static Entity,
    body: &Map<String, Value>,
    purpose: Purpose,
    writer: Writer,
) -> Result<Columns> {
    let (columns, faults) = if validate::needs_model(entity, body, purpose, writer) {
        if matches!(cx.actor, Actor::Portal { .. }) {
            // What an organization adds for its staff is no business of its portals.
            let text = "portals show no custom fields";
            return Err(Error::field(Code::FieldNotPermitted, "custom", text));
        }
        let model = custom::load(cx, entity).await?;
        validate::read(entity, body, purpose, writer, &model)
    } else {
        validate::read(entity, body, purpose, writer, &Model::default())
    };
    let unknown = links::unknown(cx, entity, &columns.links, writer).await?;
    refuse(faults, unknown)?;
    Ok(columns)
}

/// All faults at once; links to nothing alone keep a code of their own.
pub(super) fn refuse(mut faults: Vec<Fault>, unknown: Vec<Fault>) -> Result<()> {
    match (faults.is_empty(), unknown.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(Error::unknown_references(unknown)),
        (false, _) => {
            faults.extend(unknown);
            Err(Error::faults(faults))
        }
    }
}
