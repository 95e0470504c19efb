//! The loop that lets schedules come. A due time, the job that it puts on the queue and the next time
//! are one transaction: whoever is first has it, the others find another next time and leave nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::timing::Timing;
use crate::cx::{Actor, Cx};
use crate::db::Row;
use crate::error::Result;
use crate::installation;
use crate::service::{Service, Shutdown};

/// Name of the loop, as metrics and readiness know it.
const LOOP: &str = "schedules";
/// Between two looks while nothing is due.
const PAUSE: Duration = Duration::from_millis(500);
/// Schedules taken at once, those that wait longest first.
const BATCH_ROWS: i64 = 100;

pub(crate) async fn keep(service: Service, end: Shutdown) -> Result<()> {
    while !end.requested() {
        let came = due(&service).await?;
        service.beat(LOOP, "");
        if came == 0 {
            end.pause(PAUSE).await;
        }
    }
    Ok(())
}

/// Lets come what is due; how many that were. One that fails stands in nobody's way.
#[cfg_attr(
    not(feature = "testkit"),
    expect(unreachable_pub, reason = "tests let come what is due")
)]
pub async fn due(service: &Service) -> Result<usize> {
    let tx = service.work().await?;
    let rows = tx.query("select * from due_schedules($1, $2)", &[&tx.now, &BATCH_ROWS]).await?;
    let dropped_at = installation::dropped_at(&tx).await?;
    tx.commit().await?;
    let mut came = 0;
    for row in rows {
        let (org, id): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
        match come(service, org, id, dropped_at).await {
            Ok(true) => came += 1,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%org, %id, error = error.log_text(), "a schedule could not come");
                service.metrics().look_failed(LOOP);
            }
        }
    }
    Ok(came)
}

/// False when another worker was first, or it is not due any more.
async fn come(
    service: &Service,
    org: Uuid,
    id: Uuid,
    dropped_at: Option<Timestamp>,
) -> Result<bool> {
    let cx = service.begin(Actor::Service(LOOP), org).await?;
    let came = attempt(&cx, id, dropped_at).await;
    match came {
        Ok(true) => cx.commit().await.map(|()| true),
        other => {
            cx.rollback().await?;
            other
        }
    }
}

async fn attempt(cx: &Cx, id: Uuid, dropped_at: Option<Timestamp>) -> Result<bool> {
    let sql = "select next_run_at, job, cron, every_minutes, at, zone from schedules \
                where org_id = $1 and id = $2 and active and deleted_at is null \
                  and next_run_at <= $3";
    let Some(row) = cx.query_opt(sql, &[&cx.org, &id, &cx.now]).await? else { return Ok(false) };
    let due: Timestamp = row.try_get(0)?;
    let next = match timing(&row)? {
        Ok(timing) => timing.next(due, cx.now),
        // Its time zone is gone, say: it waits for whoever writes it anew.
        Err(error) => {
            tracing::error!(%id, error = error.log_text(), "a schedule comes no more");
            None
        }
    };
    let job = cx.registry().job(row.try_get(1)?).filter(|job| job.schedulable.is_some());
    // What operators dropped is passed over.
    let job = job.filter(|_| dropped_at < Some(due)).map(|_| cx.new_id());
    let sql = "select run_schedule($1, $2, $3, $4, $5)";
    let came = cx.query_one(sql, &[&id, &due, &next, &job, &cx.now]).await?;
    Ok(came.try_get(0)?)
}

fn timing(row: &Row) -> Result<Result<Timing>> {
    let cron: Option<String> = row.try_get(2)?;
    let every: Option<i64> = row.try_get(3)?;
    let at: Option<Timestamp> = row.try_get(4)?;
    let zone: String = row.try_get(5)?;
    let at = at.map(|at| at.to_string());
    let all = [
        ("cron", json!(cron)),
        ("every_minutes", json!(every)),
        ("at", json!(at)),
        ("zone", json!(zone)),
    ];
    let row: Map<String, Value> =
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Timing::of(&row))
}
