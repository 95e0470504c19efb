//! The one sweep: rows leave, or lose values, when the time that their descriptor states is over.
//! Bounded batches, each in a transaction of its own; any number of workers may sweep at once, since
//! each passes over what another is at. Knows no table by name.

use std::time::Duration;

use crate::ddl::sweep::function;
use crate::entity::Entity;
use crate::error::Result;
use crate::service::{Service, Shutdown};

/// Name of the loop, as metrics and readiness know it.
const LOOP: &str = "sweep";
/// Between two rounds over all tables.
const PAUSE: Duration = Duration::from_secs(60);
/// Rows of one rule in one batch.
const BATCH_ROWS: i64 = 1_000;
/// Batches of one table in one round: others have their turn, and the next round goes on.
const BATCHES_MAX: u32 = 50;

pub(crate) async fn keep(service: Service, end: Shutdown) -> Result<()> {
    loop {
        round(&service, &end).await;
        if !end.pause(PAUSE).await {
            return Ok(());
        }
    }
}

/// Every table has its turn: one that cannot be swept keeps no other from it. Answers how many rows
/// were removed or emptied.
pub(crate) async fn round(service: &Service, end: &Shutdown) -> u64 {
    let mut all = 0_u64;
    for entity in service.registry().entities().filter(|entity| !entity.retentions().is_empty()) {
        for _ in 0..BATCHES_MAX {
            match batch(service, entity).await {
                Ok(0) => break,
                Ok(count) => all = all.saturating_add(count),
                Err(error) => {
                    let error = error.log_text();
                    tracing::error!(table = entity.name, error, "a table could not be swept");
                    service.metrics().look_failed(LOOP);
                    break;
                }
            }
            service.beat(LOOP, "");
            if end.requested() {
                return all;
            }
        }
        service.beat(LOOP, "");
    }
    all
}

async fn batch(service: &Service, entity: &Entity) -> Result<u64> {
    let tx = service.work().await?;
    let sql = format!("select {}($1, $2)", function(entity));
    let row = tx.query_one(&sql, &[&tx.now, &BATCH_ROWS]).await?;
    let count: i64 = row.try_get(0)?;
    tx.commit().await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// One round, for tests; how many rows that were.
#[cfg(feature = "testkit")]
pub async fn sweep_once(service: &Service) -> u64 {
    let (_trigger, end) = Shutdown::new();
    round(service, &end).await
}
