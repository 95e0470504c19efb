//! Rows into the documents of the catalogue feed. Reads only; `None` means that there is nothing to
//! show (any more).

use std::collections::BTreeMap;

use data_encoding::BASE64;
use inventory::config::{EventConfig, EventStatus, QuotaConfig, TicketTypeConfig, ZoneConfig};
use inventory::time::Millis;
use jiff::Timestamp;
use kernel::cx::Cx;
use kernel::db::Row;
use kernel::error::{Error, Result};
use kernel::money::exponent;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::admission;
use crate::money::to_minor;

/// How long a hold lives, and with all renewals, in seconds.
const HOLD_TTL_S: u32 = 600;
const HOLD_CAP_S: u32 = 1_800;

/// An event is shown from the moment it has a key and a secret, which opening its sale makes.
pub(crate) async fn event(cx: &Cx, id: Uuid) -> Result<Option<Value>> {
    let secret =
        cx.query_opt("select sealed_secret from event_secrets where event_id = $1", &[&id]).await?;
    let (Some(secret), Some(config)) = (secret, config(cx, id).await?) else {
        return Ok(None);
    };
    let secret: Vec<u8> = secret.try_get(0)?;
    let keys = keys(cx, id).await?;
    if keys.is_empty() {
        return Ok(None);
    }
    Ok(Some(json!({
        "config": config,
        "keys": keys,
        "event_secret_sealed": BASE64.encode(&secret),
    })))
}

pub(crate) async fn device(cx: &Cx, id: Uuid) -> Result<Option<Value>> {
    let row = cx
        .query_opt(
            "select name, token_hash, expires_at, \
                    revoked_at is not null or deleted_at is not null, may_force, lanes, zones, \
                    directions \
               from check_in_devices where id = $1 and token_hash is not null",
            &[&id],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let events: Vec<Uuid> = ids(
        cx,
        "select event_id from check_in_device_events \
          where device_id = $1 and deleted_at is null order by event_id",
        id,
    )
    .await?;
    let directions: String = row.try_get(7)?;
    let directions = match directions.as_str() {
        "both" => vec!["entry", "exit"],
        one => vec![one],
    };
    let expires_at: Option<Timestamp> = row.try_get(2)?;
    Ok(Some(json!({
        "organization": cx.org,
        "name": row.try_get::<_, String>(0)?,
        "token_hash": row.try_get::<_, String>(1)?,
        "expires_at": expires_at.map(millis),
        "revoked": row.try_get::<_, bool>(3)?,
        "may_force": row.try_get::<_, bool>(4)?,
        "events": (!events.is_empty()).then_some(events),
        "lanes": row.try_get::<_, Option<Vec<String>>>(5)?,
        "zones": row.try_get::<_, Option<Vec<String>>>(6)?,
        "directions": directions,
    })))
}

/// An instruction is shown until the journal says that it was done.
pub(crate) async fn instruction(cx: &Cx, id: Uuid) -> Result<Option<Value>> {
    let row = cx
        .query_opt(
            "select event_id, kind, body from gate_instructions \
              where id = $1 and status = 'pending'",
            &[&id],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let body: Option<Value> = row.try_get(2)?;
    Ok(Some(json!({
        "event": row.try_get::<_, Uuid>(0)?,
        "instruction": {
            "kind": row.try_get::<_, String>(1)?,
            "body": body.unwrap_or_else(|| json!({})),
        },
    })))
}

async fn config(cx: &Cx, id: Uuid) -> Result<Option<EventConfig>> {
    let row = cx
        .query_opt(
            "select number, name, currency, time_zone, status, \
                    coalesce(admission_ends_at, ends_at), day_starts_min \
               from events where id = $1 and deleted_at is null",
            &[&id],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let currency: String = row.try_get(2)?;
    let zones = admission::zones(cx, id).await?;
    Ok(Some(EventConfig {
        event: id,
        number: narrow(row.try_get(0)?, "number of the event")?,
        organization: cx.org,
        name: row.try_get(1)?,
        exponent: narrow(i64::from(exponent(&currency)), "exponent of the currency")?,
        time_zone: row.try_get(3)?,
        status: status(row.try_get(4)?)?,
        closes_at: Some(millis(row.try_get(5)?)),
        quotas: quotas(cx, id).await?,
        ticket_types: ticket_types(cx, id, &currency, &zones).await?,
        currency,
        zones,
        hold_ttl_s: HOLD_TTL_S,
        hold_cap_s: HOLD_CAP_S,
        lanes: admission::lanes(cx, id).await?,
        questions: admission::questions(cx, id).await?,
        day_starts_min: narrow(row.try_get(6)?, "beginning of the day")?,
        ..EventConfig::unconfigured(id)
    }))
}

fn status(status: &str) -> Result<EventStatus> {
    match status {
        "draft" => Ok(EventStatus::Draft),
        "on_sale" => Ok(EventStatus::OnSale),
        "sale_closed" | "completed" => Ok(EventStatus::SaleClosed),
        "canceled" => Ok(EventStatus::Canceled),
        other => Err(Error::internal(format!("event status {other} is unknown"))),
    }
}

async fn quotas(cx: &Cx, event: Uuid) -> Result<Vec<QuotaConfig>> {
    let sql = "select id, number, name, size from quotas \
                where event_id = $1 and deleted_at is null order by number";
    let rows = cx.query(sql, &[&event]).await?;
    rows.iter()
        .map(|row| {
            let size: Option<i64> = row.try_get(3)?;
            Ok(QuotaConfig {
                id: row.try_get(0)?,
                number: narrow(row.try_get(1)?, "number of a quota")?,
                name: row.try_get(2)?,
                size: size.map(|size| narrow(size, "size of a quota")).transpose()?,
                blocked: 0,
            })
        })
        .collect()
}

/// Deleted types stay, inactive: what was sold of them stays good.
async fn ticket_types(
    cx: &Cx,
    event: Uuid,
    currency: &str,
    zones: &[ZoneConfig],
) -> Result<Vec<TicketTypeConfig>> {
    let quotas = pairs(
        cx,
        "select p.ticket_type_id, q.number from quota_ticket_types p \
           join quotas q on q.org_id = p.org_id and q.id = p.quota_id \
          where q.event_id = $1 and p.deleted_at is null and q.deleted_at is null \
          order by q.number",
        event,
    )
    .await?;
    let admits = pairs(
        cx,
        "select p.ticket_type_id, z.number from ticket_type_zones p \
           join check_in_zones z on z.org_id = p.org_id and z.id = p.zone_id \
          where z.event_id = $1 and p.deleted_at is null and z.deleted_at is null \
          order by z.number",
        event,
    )
    .await?;
    let mut windows = admission::windows(cx, event).await?;
    let every_zone: Vec<u8> = zones.iter().map(|zone| zone.number).collect();
    let rows = cx
        .query(
            "select id, number, name, price, fee, (tax_rate * 100)::bigint, sale_from, \
                    sale_until, valid_from, valid_until, max_per_order, rotating, attention, \
                    active and deleted_at is null \
               from ticket_types where event_id = $1 order by position, number",
            &[&event],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let id: Uuid = row.try_get(0)?;
            let zones = match admits.get(&id) {
                Some(numbers) => numbers
                    .iter()
                    .map(|number| narrow(*number, "number of a zone"))
                    .collect::<Result<_>>()?,
                None => every_zone.clone(),
            };
            let quotas = quotas.get(&id).map_or(&[][..], Vec::as_slice);
            let kind = ticket_type(row, id, currency, quotas, zones)?;
            Ok(TicketTypeConfig { windows: windows.remove(&id).unwrap_or_default(), ..kind })
        })
        .collect()
}

fn ticket_type(
    row: &Row,
    id: Uuid,
    currency: &str,
    quotas: &[i64],
    zones: Vec<u8>,
) -> Result<TicketTypeConfig> {
    let fee: Option<Decimal> = row.try_get(4)?;
    let max_per_order: Option<i64> = row.try_get(10)?;
    let moment = |index: usize| -> Result<Option<Millis>> {
        Ok(row.try_get::<_, Option<Timestamp>>(index)?.map(millis))
    };
    Ok(TicketTypeConfig {
        id,
        number: narrow(row.try_get(1)?, "number of a ticket type")?,
        name: row.try_get(2)?,
        price: to_minor(row.try_get(3)?, currency)?,
        fee: fee.map_or(Ok(0), |fee| to_minor(fee, currency))?,
        tax_rate_bp: narrow(row.try_get(5)?, "tax rate")?,
        quotas: quotas
            .iter()
            .map(|number| narrow(*number, "number of a quota"))
            .collect::<Result<_>>()?,
        zones,
        sale_from: moment(6)?,
        sale_until: moment(7)?,
        valid_from: moment(8)?,
        valid_until: moment(9)?,
        max_per_order: max_per_order.map(|count| narrow(count, "limit")).transpose()?,
        rotating: row.try_get(11)?,
        attention: row.try_get(12)?,
        // Without a quota nothing would bound its sale: between its creation and its link, or after
        // the link went.
        active: row.try_get(13)? && !quotas.is_empty(),
        ..TicketTypeConfig::default()
    })
}

/// The keys as `keys::SealedKey` writes them. Life times stand in columns, so that staff can see
/// and search them, and are put over what was sealed.
async fn keys(cx: &Cx, event: Uuid) -> Result<Vec<Value>> {
    let rows = cx
        .query(
            "select sealed, not_after, revoked_at from event_keys \
              where event_id = $1 order by not_before, kid",
            &[&event],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let mut sealed: Value = row.try_get(0)?;
            let not_after: Option<Timestamp> = row.try_get(1)?;
            let revoked_at: Option<Timestamp> = row.try_get(2)?;
            let fields = sealed
                .as_object_mut()
                .ok_or_else(|| Error::internal("a sealed key is not an object"))?;
            fields.insert("not_after".to_owned(), json!(not_after.map(Timestamp::as_second)));
            fields.insert("revoked_at".to_owned(), json!(revoked_at.map(Timestamp::as_second)));
            Ok(sealed)
        })
        .collect()
}

async fn ids(cx: &Cx, sql: &str, of: Uuid) -> Result<Vec<Uuid>> {
    let rows = cx.query(sql, &[&of]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub(super) async fn pairs(cx: &Cx, sql: &str, event: Uuid) -> Result<BTreeMap<Uuid, Vec<i64>>> {
    let mut map: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
    for row in cx.query(sql, &[&event]).await? {
        map.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
    }
    Ok(map)
}

pub(super) fn millis(at: Timestamp) -> Millis {
    Millis(at.as_millisecond())
}

pub(super) fn narrow<T: TryFrom<i64>>(value: i64, what: &str) -> Result<T> {
    T::try_from(value).map_err(|_| Error::internal(format!("{what} is out of range: {value}")))
}
