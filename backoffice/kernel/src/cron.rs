//! Jobs of the house that come again: one row a schedule, whose next time is claimed exactly once
//! however many workers look. Runs that were missed while nobody worked come once. Knows no job.

mod expression;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::clock::after;
use crate::cx::WorkTx;
use crate::entity::{Entity, instant, text};
use crate::error::{Error, Result};
use crate::installation;
use crate::jobs::Enqueue;
use crate::service::{Service, Shutdown};

pub use expression::Expression;

/// A job of the house ([`crate::jobs::SYSTEM`]) and when it comes.
pub struct Cron {
    /// `catalogue.sweep`: names the row that keeps its next time.
    pub name: &'static str,
    pub every: Every,
    /// Enqueued with an empty payload; not while one of before is unfinished.
    pub job: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    Seconds(u32),
    Minutes(u32),
    /// An [`Expression`], in a zone.
    At {
        expression: &'static str,
        zone: &'static str,
    },
}

impl Every {
    /// Why it would never come.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        match self {
            Self::Seconds(0) | Self::Minutes(0) => Err("comes after no time at all".to_owned()),
            Self::Seconds(_) | Self::Minutes(_) => Ok(()),
            Self::At { expression, zone } => Expression::parse(expression, zone).map(drop),
        }
    }

    /// The first time after `now`.
    fn next(&self, now: Timestamp) -> Result<Timestamp> {
        match self {
            Self::Seconds(count) => Ok(after(now, SignedDuration::from_secs(i64::from(*count)))),
            Self::Minutes(count) => Ok(after(now, SignedDuration::from_mins(i64::from(*count)))),
            Self::At { expression, zone } => Expression::parse(expression, zone)
                .map_err(Error::internal)?
                .next(now)
                .ok_or_else(|| Error::internal(format!("{expression} comes never again"))),
        }
    }

    /// As the row keeps it: a schedule that a release changes begins anew.
    fn spec(&self) -> String {
        format!("{self:?}")
    }
}

pub(crate) static CRON_TICK: Entity = Entity::new("cron_ticks")
    .machine()
    .about("When a job of the house comes next.")
    .kept("one row for each schedule of the house")
    .fields(&[
        text("name").required(),
        text("spec").required().about("The schedule that the next time was counted from."),
        instant("next_at").required(),
        instant("last_at"),
    ])
    .uniques(&[crate::entity::Unique {
        name: "cron_ticks_name_key",
        fields: &["name"],
        code: crate::error::Code::AlreadyExists,
    }]);

/// Between two looks at the schedules.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn tick(service: Service, end: Shutdown) -> Result<()> {
    if service.registry().crons().next().is_none() {
        let mut end = end;
        end.wait().await;
        return Ok(());
    }
    begin(&service).await?;
    loop {
        due(&service).await?;
        if !end.pause(PAUSE).await {
            return Ok(());
        }
    }
}

/// Every schedule has its row; one that a release changed gets a new next time.
pub(crate) async fn begin(service: &Service) -> Result<()> {
    let tx = service.work().await?;
    for cron in service.registry().crons() {
        tx.execute(
            "insert into cron_ticks (org_id, name, spec, next_at) values ($1, $2, $3, $4) \
             on conflict (name) do update set spec = excluded.spec, next_at = excluded.next_at \
              where cron_ticks.spec <> excluded.spec",
            &[&crate::jobs::SYSTEM, &cron.name, &cron.every.spec(), &cron.every.next(tx.now)?],
        )
        .await?;
    }
    tx.commit().await
}

/// Enqueues what is due and counts its next time, in one transaction; how many that were. What
/// another worker is at is passed over.
pub(crate) async fn due(service: &Service) -> Result<usize> {
    let names: Vec<&str> = service.registry().crons().map(|cron| cron.name).collect();
    let tx = service.work().await?;
    let rows = tx
        .query(
            "select name, next_at from cron_ticks where next_at <= $1 and name = any($2) \
              order by next_at for update skip locked",
            &[&tx.now, &names],
        )
        .await?;
    let dropped_at = installation::dropped_at(&tx).await?;
    let mut count = 0;
    for row in rows {
        let name: String = row.try_get(0)?;
        let Some(cron) = service.registry().crons().find(|cron| cron.name == name) else {
            continue;
        };
        // What operators dropped is passed over.
        if dropped_at < Some(row.try_get(1)?) {
            tx.enqueue_for_system(Enqueue::new(cron.job, json!({})).key(cron.name)).await?;
        }
        come(&tx, cron).await?;
        count += 1;
    }
    tx.commit().await?;
    service.beat("cron", "");
    Ok(count)
}

async fn come(tx: &WorkTx, cron: &'static Cron) -> Result<()> {
    tx.execute(
        "update cron_ticks set next_at = $2, last_at = $3 where name = $1",
        &[&cron.name, &cron.every.next(tx.now)?, &tx.now],
    )
    .await?;
    Ok(())
}
