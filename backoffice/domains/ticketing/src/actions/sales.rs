//! What opening and calling off a sale mean for tickets.

use contracts::ticketing::{CancelAdmission, PrepareSales};
use data_encoding::BASE64;
use inventory::command::Instruction;
use kernel::action::{Args, Reply};
use kernel::cx::Cx;
use kernel::error::{Code, Error, Result};
use keys::EventSecret;
use serde_json::json;
use uuid::Uuid;

use super::gate::{event_number, instruct, is_known, object};
use super::keys::add_key;
use crate::secrets;
use crate::tables::feeds::EVENT_SECRETS;

/// Checks that there is something to sell and somewhere to enter; makes the first key and the
/// secret. Harmless when repeated.
pub(super) async fn prepare(cx: &mut Cx, args: Args) -> Result<Reply> {
    let PrepareSales { event_id } = args.parse()?;
    let number = event_number(cx, event_id).await?;
    // Two openings at once wait for each other here and see one key.
    let lock = "select pg_advisory_xact_lock(hashtextextended($1, 0))";
    cx.query(lock, &[&event_id.to_string()]).await?;
    let missing = missing(cx, event_id).await?;
    if let Some((field, _)) = missing.first() {
        let sentences: Vec<&str> = missing.iter().map(|(_, text)| text.as_str()).collect();
        return Err(Error::field(Code::NotReady, *field, sentences.join("; ")));
    }
    if !has_live_key(cx, event_id).await? {
        add_key(cx, event_id, number).await?;
    }
    if !is_known(cx, event_id).await? {
        add_secret(cx, event_id, number).await?;
    }
    Ok(Reply::Nothing)
}

/// The event does not take place. The gate hears it from the event's status too; the instruction
/// makes it a fact of the journal.
pub(super) async fn cancel_admission(cx: &mut Cx, args: Args) -> Result<Reply> {
    let CancelAdmission { event_id } = args.parse()?;
    if is_known(cx, event_id).await? {
        instruct(cx, event_id, None, &Instruction::EventCancel {}).await?;
    }
    Ok(Reply::Nothing)
}

/// Field and sentence for each thing that a sale needs and does not have.
async fn missing(cx: &Cx, event: Uuid) -> Result<Vec<(&'static str, String)>> {
    let row = cx
        .query_one(
            "select (select count(*) from ticket_types t \
                      where t.event_id = $1 and t.active and t.deleted_at is null), \
                    (select count(*) from quotas q \
                      where q.event_id = $1 and q.deleted_at is null), \
                    (select count(*) from check_in_zones z \
                      where z.event_id = $1 and z.deleted_at is null), \
                    (select string_agg(t.name, ', ' order by t.number) from ticket_types t \
                      where t.event_id = $1 and t.active and t.deleted_at is null \
                        and not exists (select from quota_ticket_types p \
                              join quotas q on q.org_id = p.org_id and q.id = p.quota_id \
                             where p.org_id = t.org_id and p.ticket_type_id = t.id \
                               and p.deleted_at is null and q.deleted_at is null))",
            &[&event],
        )
        .await?;
    let mut missing = Vec::new();
    for (index, field, sentence) in [
        (0, "ticket_types", "the event has no active ticket type"),
        (1, "quotas", "the event has no quota"),
        (2, "check_in_zones", "the event has no check-in zone"),
    ] {
        if row.try_get::<_, i64>(index)? == 0 {
            missing.push((field, sentence.to_owned()));
        }
    }
    if let Some(names) = row.try_get::<_, Option<String>>(3)? {
        missing.push(("quota_ticket_types", format!("no quota bounds these types: {names}")));
    }
    Ok(missing)
}

async fn has_live_key(cx: &Cx, event: Uuid) -> Result<bool> {
    let sql = "select exists (select from event_keys where event_id = $1 \
                 and revoked_at is null and (not_after is null or not_after > $2))";
    Ok(cx.query_one(sql, &[&event, &cx.now]).await?.try_get(0)?)
}

async fn add_secret(cx: &mut Cx, event: Uuid, number: u32) -> Result<()> {
    let master = secrets::master(cx.service())?;
    let secret = EventSecret::generate().map_err(|cause| Error::internal(cause.to_string()))?;
    let sealed =
        secret.seal(&master, number).map_err(|cause| Error::internal(cause.to_string()))?;
    let row = json!({ "event_id": event, "sealed_secret": BASE64.encode(&sealed) });
    cx.insert(&EVENT_SECRETS, object(row)).await?;
    Ok(())
}
