//! Depth and age of the queues, read now and then for the metrics of every process that works.

use std::time::Duration;

use crate::error::Result;
use crate::metrics::Queue;
use crate::service::{Service, Shutdown};

/// Figures are at most this old.
const PAUSE: Duration = Duration::from_secs(15);

const QUEUES: &str = "
    select 'jobs', name, count(*), coalesce(extract(epoch from $1::timestamptz - min(due_at)), 0)::bigint
      from job_queue
     where due_at <= $1 and (leased_until is null or leased_until <= clock_timestamp()) group by name
    union all
    select 'deliveries', consumer, count(*), coalesce(extract(epoch from $1::timestamptz - min(at)), 0)::bigint
      from outbox_deliveries where parked_at is null group by consumer
    union all
    select 'parked', consumer, count(*), coalesce(extract(epoch from $1::timestamptz - min(parked_at)), 0)::bigint
      from outbox_deliveries where parked_at is not null group by consumer
    union all
    select 'crons', name, 1, extract(epoch from $1::timestamptz - next_at)::bigint
      from cron_ticks where next_at <= $1
    union all
    select 'outbox', 'changes', count(*),
           coalesce(extract(epoch from $1::timestamptz - min(created_at)), 0)::bigint from outbox";

pub(super) async fn keep(service: Service, end: Shutdown) -> Result<()> {
    loop {
        let queues = read(&service).await?;
        service.metrics().queues(&queues);
        service.beat("figures", "");
        if !end.pause(PAUSE).await {
            return Ok(());
        }
    }
}

async fn read(service: &Service) -> Result<Vec<Queue>> {
    let tx = service.work().await?;
    let rows = tx.query(QUEUES, &[&tx.now]).await?;
    tx.commit().await?;
    let mut queues = Vec::with_capacity(rows.len());
    for row in rows {
        queues.push(Queue {
            kind: row.try_get(0)?,
            name: row.try_get(1)?,
            waiting: row.try_get(2)?,
            oldest_s: row.try_get(3)?,
        });
    }
    Ok(queues)
}
