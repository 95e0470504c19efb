//! A log that measures the log under it: latency of appends, errors by call, up or down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory::entry::{Entry, Head};
use inventory::log::{Appended, Batch, BoxFuture, DataKey, Log, Result, SharedLog, Snapshot};
use uuid::Uuid;

use crate::metrics::Metrics;

pub struct Measured {
    log: SharedLog,
    metrics: Arc<Metrics>,
}

impl Measured {
    pub fn new(log: SharedLog, metrics: Arc<Metrics>) -> Self {
        Self { log, metrics }
    }

    fn note<T>(&self, call: &'static str, result: Result<T>) -> Result<T> {
        self.metrics.store_up.set(i64::from(result.is_ok()));
        if result.is_err() {
            self.metrics.store_error(call);
        }
        result
    }
}

impl Log for Measured {
    fn append<'a>(
        &'a self,
        event: Uuid,
        expected: Head,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended>> {
        Box::pin(async move {
            let start = Instant::now();
            let result = self.log.append(event, expected, batch).await;
            self.metrics.appended(start.elapsed());
            self.note("append", result)
        })
    }

    fn read(&self, event: Uuid, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async move { self.note("read", self.log.read(event, after, limit).await) })
    }

    fn follow(
        &self,
        event: Uuid,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(
            async move { self.note("follow", self.log.follow(event, after, limit, wait).await) },
        )
    }

    fn head(&self, event: Uuid) -> BoxFuture<'_, Result<Head>> {
        Box::pin(async move { self.note("head", self.log.head(event).await) })
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Uuid>>> {
        Box::pin(async move { self.note("events", self.log.events().await) })
    }

    fn save_snapshot<'a>(
        &'a self,
        event: Uuid,
        snapshot: &'a Snapshot,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.note("save_snapshot", self.log.save_snapshot(event, snapshot).await)
        })
    }

    fn load_snapshot(&self, event: Uuid) -> BoxFuture<'_, Result<Option<Snapshot>>> {
        Box::pin(async move { self.note("load_snapshot", self.log.load_snapshot(event).await) })
    }

    fn trim(&self, event: Uuid, through: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.note("trim", self.log.trim(event, through).await) })
    }

    fn data_keys<'a>(
        &'a self,
        event: Uuid,
        orders: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<(Uuid, DataKey)>>> {
        Box::pin(async move { self.note("data_keys", self.log.data_keys(event, orders).await) })
    }

    fn erase_key(&self, event: Uuid, order: Uuid) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.note("erase_key", self.log.erase_key(event, order).await) })
    }

    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.note("put", self.log.put(name, bytes).await) })
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { self.note("get", self.log.get(name).await) })
    }
}
