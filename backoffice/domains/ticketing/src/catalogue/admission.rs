//! What an event's document says about doors: zones, lanes, windows, questions. Reads only.

use std::collections::BTreeMap;

use inventory::config::{
    LaneConfig, LaneMode, LeaseEnd, Passback, QuestionConfig, QuestionKind, RotatingOffline,
    ZoneConfig, ZonePolicy, ZoneWindow,
};
use inventory::time::Millis;
use jiff::Timestamp;
use kernel::cx::Cx;
use kernel::db::Row;
use kernel::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::documents::{millis, narrow, pairs};

pub(super) async fn zones(cx: &Cx, event: Uuid) -> Result<Vec<ZoneConfig>> {
    let sql = "select id, number, key, name, policy, capacity, policy_max, interval_min, \
                      passback, leaves, exit_to, opens_at, closes_at, exit_all_at_min \
                 from check_in_zones where event_id = $1 and deleted_at is null order by number";
    let rows = cx.query(sql, &[&event]).await?;
    let mut numbers: BTreeMap<String, u8> = BTreeMap::new();
    for row in &rows {
        numbers.insert(row.try_get(2)?, narrow(row.try_get(1)?, "number of a zone")?);
    }
    rows.iter().map(|row| zone(row, &numbers)).collect()
}

/// `numbers` are those of the event's zones by key; one that is gone is left out.
fn zone(row: &Row, numbers: &BTreeMap<String, u8>) -> Result<ZoneConfig> {
    let leaves: Option<Vec<String>> = row.try_get(9)?;
    let exit_to: Option<String> = row.try_get(10)?;
    Ok(ZoneConfig {
        id: row.try_get(0)?,
        number: narrow(row.try_get(1)?, "number of a zone")?,
        key: row.try_get(2)?,
        name: row.try_get(3)?,
        policy: policy(row)?,
        capacity: number(row, 5, "capacity of a zone")?,
        passback: word::<Passback>(row, 8)?,
        leaves: leaves.iter().flatten().filter_map(|key| numbers.get(key).copied()).collect(),
        exit_to: exit_to.and_then(|key| numbers.get(&key).copied()),
        opens_at: moment(row, 11)?,
        closes_at: moment(row, 12)?,
        exit_all_at_min: number(row, 13, "time of day")?,
    })
}

fn policy(row: &Row) -> Result<ZonePolicy> {
    let policy: String = row.try_get(4)?;
    let bound = |index, what| -> Result<u32> {
        number(row, index, what)?.ok_or_else(|| Error::internal(format!("a zone without {what}")))
    };
    Ok(match policy.as_str() {
        "single_entry" => ZonePolicy::SingleEntry,
        "reentry" => ZonePolicy::Reentry,
        "entries" => ZonePolicy::Entries { max: bound(6, "most entries")? },
        "once_a_day" => ZonePolicy::OnceADay,
        "days" => ZonePolicy::Days { max: bound(6, "most days")? },
        "interval" => ZonePolicy::Interval { minutes: bound(7, "interval")? },
        "free_flow" => ZonePolicy::FreeFlow,
        other => return Err(Error::internal(format!("zone policy {other}"))),
    })
}

pub(super) async fn lanes(cx: &Cx, event: Uuid) -> Result<Vec<LaneConfig>> {
    let types = pairs(
        cx,
        "select p.lane_id, t.number from check_in_lane_types p \
           join ticket_types t on t.org_id = p.org_id and t.id = p.ticket_type_id \
          where t.event_id = $1 and p.deleted_at is null order by t.number",
        event,
    )
    .await?;
    let sql = "select id, name, two_phase, lease_s, lease_end, mode, rotating_offline \
                 from check_in_lanes where event_id = $1 and deleted_at is null order by number";
    let rows = cx.query(sql, &[&event]).await?;
    let lane = |row: &Row| -> Result<LaneConfig> {
        Ok(LaneConfig {
            key: row.try_get(1)?,
            types: numbers_of(&types, row.try_get(0)?)?,
            two_phase: row.try_get(2)?,
            lease_s: narrow(row.try_get(3)?, "lease of a lane")?,
            lease_end: word::<LeaseEnd>(row, 4)?,
            mode: word::<LaneMode>(row, 5)?,
            rotating_offline: word::<RotatingOffline>(row, 6)?,
        })
    };
    rows.iter().map(lane).collect()
}

pub(super) async fn questions(cx: &Cx, event: Uuid) -> Result<Vec<QuestionConfig>> {
    let types = pairs(
        cx,
        "select p.question_id, t.number from check_in_question_types p \
           join ticket_types t on t.org_id = p.org_id and t.id = p.ticket_type_id \
          where t.event_id = $1 and p.deleted_at is null order by t.number",
        event,
    )
    .await?;
    let sql = "select id, text, kind, options from check_in_questions \
                where event_id = $1 and deleted_at is null order by number";
    let rows = cx.query(sql, &[&event]).await?;
    let question = |row: &Row| -> Result<QuestionConfig> {
        let id: Uuid = row.try_get(0)?;
        Ok(QuestionConfig {
            id,
            text: row.try_get(1)?,
            kind: word::<QuestionKind>(row, 2)?,
            options: row.try_get::<_, Option<Vec<String>>>(3)?.unwrap_or_default(),
            types: numbers_of(&types, id)?,
        })
    };
    rows.iter().map(question).collect()
}

/// By ticket type.
pub(super) async fn windows(cx: &Cx, event: Uuid) -> Result<BTreeMap<Uuid, Vec<ZoneWindow>>> {
    let sql = "select w.ticket_type_id, z.number, w.opens_at, w.closes_at \
                 from ticket_type_windows w \
                 join check_in_zones z on z.org_id = w.org_id and z.id = w.zone_id \
                where z.event_id = $1 and w.deleted_at is null and z.deleted_at is null \
                order by z.number, w.opens_at, w.id";
    let mut windows: BTreeMap<Uuid, Vec<ZoneWindow>> = BTreeMap::new();
    for row in cx.query(sql, &[&event]).await? {
        windows.entry(row.try_get(0)?).or_default().push(ZoneWindow {
            zone: narrow(row.try_get(1)?, "number of a zone")?,
            from: moment(&row, 2)?,
            until: moment(&row, 3)?,
        });
    }
    Ok(windows)
}

fn numbers_of(types: &BTreeMap<Uuid, Vec<i64>>, id: Uuid) -> Result<Vec<u16>> {
    let numbers = types.get(&id).map_or(&[][..], Vec::as_slice).iter();
    numbers.map(|number| narrow(*number, "number of a ticket type")).collect()
}

fn number<T: TryFrom<i64>>(row: &Row, index: usize, what: &str) -> Result<Option<T>> {
    let number: Option<i64> = row.try_get(index)?;
    number.map(|number| narrow(number, what)).transpose()
}

fn moment(row: &Row, index: usize) -> Result<Option<Millis>> {
    Ok(row.try_get::<_, Option<Timestamp>>(index)?.map(millis))
}

/// A choice as the catalogue spells it, which is as the table does.
fn word<T: DeserializeOwned>(row: &Row, index: usize) -> Result<T> {
    let word: String = row.try_get(index)?;
    serde_json::from_value(Value::String(word))
        .map_err(|cause| Error::internal(format!("a word that the gate does not know: {cause}")))
}
