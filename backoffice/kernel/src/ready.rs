//! Whether this process is usable: the database serves this version, and the loops that run here
//! give signs of life. Asked by anybody, so one look at a time on a connection of its own, and its
//! answer stands for a while. Knows no HTTP.

use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::db::{self, Pooled};
use crate::error::Result;
use crate::service::Service;
use crate::settings::Secret;
use crate::startup;

/// An answer stands for this long.
const KEPT: Duration = Duration::from_secs(1);
/// Whoever asks waits this long for an answer, their turn included.
const WAIT: Duration = Duration::from_secs(5);
/// Looks go one after another.
const CONNECTIONS_MAX: usize = 1;

pub(crate) struct Readiness {
    pool: Pool,
    /// When the last look ended, and what was missing.
    last: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Readiness {
    pub(crate) fn new(url: &Secret) -> Result<Self> {
        let pool = db::pool(url, "ready", CONNECTIONS_MAX)?;
        Ok(Self { pool, last: Mutex::default() })
    }

    pub(crate) async fn client(&self) -> Result<Pooled> {
        db::take(&self.pool).await
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn look(service: &Service) -> Result<Vec<String>> {
        let mut missing = startup::missing(service).await?;
        // What is missing may be what says whether it is held.
        if missing.is_empty()
            && let Some(why) = service.held().await?
        {
            missing.push(format!("the database is held ({why}): see `backoffice release`"));
        }
        Ok(missing)
    }

    /// What is missing in the database, at most `KEPT` old.
    async fn missing(&self, service: &Service) -> Vec<String> {
        let mut last = self.last.lock().await;
        if let Some((at, missing)) = last.as_ref()
            && at.elapsed() < KEPT
        {
            return missing.clone();
        }
        let missing = match Self::look(service).await {
            Ok(missing) => missing,
            Err(error) => {
                tracing::warn!(error = error.log_text(), "not ready");
                vec![error.detail().to_owned()]
            }
        };
        service.metrics().looked_ready();
        *last = Some((Instant::now(), missing.clone()));
        missing
    }
}

impl Service {
    /// What keeps the database from serving this version, a sentence each.
    pub(crate) async fn database_faults(&self) -> Vec<String> {
        match timeout(WAIT, self.readiness().missing(self)).await {
            Ok(missing) => missing,
            Err(_) => vec![format!("the database did not answer within {} s", WAIT.as_secs())],
        }
    }

    /// The same, and what is wrong with the loops of this process.
    pub(crate) async fn faults(&self) -> Vec<String> {
        let mut faults = self.database_faults().await;
        faults.extend(self.beats().faults(Instant::now()));
        faults
    }
}
