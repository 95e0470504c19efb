//! Connections: a pool per role, time-outs, and the administrator's connection for migrations.
//! The only room, with `cx`, that sees the driver. Knows no entity.

use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::NoTls;

use crate::error::{Code, Error, Result, from_database};
use crate::settings::Secret;

pub use tokio_postgres::config::Host;
pub use tokio_postgres::types::{FromSql, ToSql, Type};
pub use tokio_postgres::{Config, Row};

/// Waiting for a free connection; then the caller hears `overloaded`.
pub const POOL_WAIT: Duration = Duration::from_secs(5);
/// Opening a connection.
pub const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// What was sent and is not acknowledged for so long ends the connection: a server that is gone
/// without a word would otherwise hold its callers for a quarter of an hour (Linux).
pub const UNANSWERED_MAX: Duration = Duration::from_secs(20);
/// A connection that is silent for so long is asked whether it is there, this often, and is over
/// after so many questions: a statement's own time-out is the server's, who may be gone.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub const KEEPALIVE_RETRIES: u32 = 3;
/// Prepared statements kept by one connection; at the bound the cache starts over.
pub const STATEMENTS_MAX: usize = 1_000;

pub(crate) type Pooled = deadpool_postgres::Client;

/// A pool for one role; `url` may name a database that is not reachable yet.
pub(crate) fn pool(url: &Secret, name: &str, connections_max: usize) -> Result<Pool> {
    pool_of(config(url, name)?, name, connections_max)
}

/// The same, where no statement waits longer than this for a lock.
pub(crate) fn pool_that_gives_up(
    url: &Secret,
    name: &str,
    connections_max: usize,
    lock_wait: Duration,
) -> Result<Pool> {
    let mut config = config(url, name)?;
    let own = format!("-c lock_timeout={}", lock_wait.as_millis());
    let given = config.get_options().map(|given| format!("{given} {own}"));
    config.options(given.unwrap_or(own));
    pool_of(config, name, connections_max)
}

fn pool_of(config: Config, name: &str, connections_max: usize) -> Result<Pool> {
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let timeouts =
        Timeouts { wait: Some(POOL_WAIT), create: Some(CONNECT_WAIT), recycle: Some(CONNECT_WAIT) };
    Pool::builder(Manager::from_config(config, NoTls, manager_config))
        .max_size(connections_max)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|cause| Error::internal(format!("the pool {name} cannot be built: {cause}")))
}

pub(crate) fn config(url: &Secret, name: &str) -> Result<Config> {
    // The driver's message may quote the URL, which holds a password.
    let mut config = Config::from_str(url.expose())
        .map_err(|_| Error::internal(format!("the database URL for {name} cannot be read")))?;
    config
        .application_name(format!("atlvs {name}"))
        .connect_timeout(CONNECT_WAIT)
        .tcp_user_timeout(UNANSWERED_MAX)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    Ok(config)
}

pub(crate) async fn take(pool: &Pool) -> Result<Pooled> {
    let client = pool.get().await.map_err(|cause| match cause {
        PoolError::Timeout(_) => {
            Error::new(Code::Overloaded, "every database connection is busy").retry_after(1)
        }
        // A connection that cannot be made, whatever the server says: it is away for us.
        other => Error::new(Code::Unavailable, "the database is not reachable")
            .with_context(other.to_string()),
    })?;
    if client.statement_cache.size() > STATEMENTS_MAX {
        client.statement_cache.clear();
    }
    Ok(client)
}

/// The migrate role's connection: no tenant, no pool. Row filtering is an error, not silence.
pub struct Admin {
    client: tokio_postgres::Client,
    task: tokio::task::JoinHandle<()>,
}

impl Admin {
    pub async fn connect(url: &Secret) -> Result<Self> {
        let (client, connection) = config(url, "admin")?
            .connect(NoTls)
            .await
            .map_err(|cause| from_database(None, &cause))?;
        let task = tokio::spawn(async move {
            if let Err(cause) = connection.await {
                tracing::warn!(%cause, "the administrator's connection ended");
            }
        });
        client
            .batch_execute("set row_security = off")
            .await
            .map_err(|cause| from_database(None, &cause))?;
        Ok(Self { client, task })
    }

    /// Several statements without parameters; outside a transaction unless the text opens one.
    pub async fn batch(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|cause| admin_error(&cause))
    }

    pub async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.client.query(sql, params).await.map_err(|cause| admin_error(&cause))
    }

    pub async fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        self.client.query_one(sql, params).await.map_err(|cause| admin_error(&cause))
    }

    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.client.execute(sql, params).await.map_err(|cause| admin_error(&cause))
    }

    /// Waits until the server has closed the session (a database in use cannot be dropped).
    pub async fn close(self) {
        let Self { client, task } = self;
        drop(client);
        if task.await.is_err() {
            tracing::warn!("the administrator's connection task was canceled");
        }
    }
}

/// The administrator writes SQL, so the server's own words help and hold no tenant's data.
fn admin_error(cause: &tokio_postgres::Error) -> Error {
    let error = from_database(None, cause);
    match cause.as_db_error() {
        Some(db) => error.with_context(db.to_string()),
        None => error,
    }
}

#[cfg(test)]
mod tests;
