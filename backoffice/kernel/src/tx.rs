//! One transaction on one pooled connection. BEGIN, the settings that row-level security reads and
//! the first statement leave in one pipeline. Dropped without an end, the connection is closed, so
//! the server rolls back and no half-used session returns to the pool. Knows no entity.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;

use crate::db::{Pooled, Row, ToSql, Type};
use crate::error::{Code, Error, Result, from_database};
use crate::param::Bound;
use crate::registry::Registry;

type PgResult<T> = std::result::Result<T, tokio_postgres::Error>;

const BEGIN_WRITE: &str = "begin isolation level read committed";
const BEGIN_READ: &str = "begin isolation level read committed read only";

const SETTINGS: &str = "select set_config('app.org_id', $1, true), \
     set_config('app.actor_kind', $2, true), set_config('app.actor_id', $3, true), \
     set_config('app.request_id', $4, true), set_config('app.reason', $5, true), \
     set_config('app.causation', $6, true), set_config('app.user_id', $7, true)";

/// The same, and whose rows a portal shows.
const PORTAL_SETTINGS: &str = "select set_config('app.org_id', $1, true), \
     set_config('app.actor_kind', $2, true), set_config('app.actor_id', $3, true), \
     set_config('app.request_id', $4, true), set_config('app.reason', $5, true), \
     set_config('app.causation', $6, true), set_config('app.user_id', $7, true), \
     set_config('app.portal_kind', $8, true), set_config('app.portal_party', $9, true)";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    /// READ ONLY: what GET opens.
    Read,
}

/// Transaction-local settings, all as text; empty means absent.
#[derive(Debug, Clone, Default)]
pub(crate) struct TxSettings {
    pub(crate) org_id: String,
    pub(crate) actor_kind: String,
    pub(crate) actor_id: String,
    /// The person behind the actor.
    pub(crate) user_id: String,
    pub(crate) request_id: String,
    pub(crate) reason: String,
    /// Links of the outbox that led here, as a number.
    pub(crate) causation: String,
    /// A statement that takes longer is told to the log; zero tells none.
    pub(crate) slow_ms: u64,
    /// Kind and party of a portal's caller.
    pub(crate) portal: Option<(&'static str, String)>,
}

/// What runs statements in the transaction that owns it. Texts are constants of the caller: each is
/// prepared once per connection, and values go in `params` only.
pub struct Tx {
    /// Absent only while it is being dropped.
    client: Option<Pooled>,
    registry: &'static Registry,
    mode: Mode,
    settings: TxSettings,
    opened: AtomicBool,
    /// A statement failed: COMMIT would answer ROLLBACK without an error.
    failed: AtomicBool,
    /// Statements sent, beside those that begin and end.
    statements: AtomicU32,
}

impl Tx {
    pub(crate) fn new(
        client: Pooled,
        registry: &'static Registry,
        mode: Mode,
        settings: TxSettings,
    ) -> Self {
        let opened = AtomicBool::new(false);
        let failed = AtomicBool::new(false);
        let statements = AtomicU32::new(0);
        Self { client: Some(client), registry, mode, settings, opened, failed, statements }
    }

    fn client(&self) -> Result<&Pooled> {
        self.client.as_ref().ok_or_else(|| Error::internal("the transaction has ended"))
    }

    /// `sql` is one of a bounded number of texts: it is prepared once per connection.
    pub async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let client = self.client()?;
        let statement = self.noted(client.prepare_cached(sql).await)?;
        self.timed(sql, self.first(client, client.query(&statement, params))).await
    }

    pub async fn query_opt(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>> {
        at_most_one(self.query(sql, params).await?)
    }

    pub async fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        at_most_one(self.query(sql, params).await?)?
            .ok_or_else(|| Error::internal("a statement gave no row where one was meant"))
    }

    /// Number of rows that changed.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        let client = self.client()?;
        let statement = self.noted(client.prepare_cached(sql).await)?;
        self.timed(sql, self.first(client, client.execute(&statement, params))).await
    }

    /// For texts composed per request: not prepared, so that callers cannot grow the cache.
    pub(crate) async fn query_typed(&self, sql: &str, params: &[Bound]) -> Result<Vec<Row>> {
        let client = self.client()?;
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = params
            .iter()
            .map(|bound| (&bound.value as &(dyn ToSql + Sync), bound.ty.clone()))
            .collect();
        self.timed(sql, self.first(client, client.query_typed(sql, &typed))).await
    }

    /// Tells a slow statement to the log: its text, never its parameters, which are people's.
    async fn timed<T>(&self, sql: &str, statement: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = tokio::time::Instant::now();
        let answer = statement.await;
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.settings.slow_ms > 0 && ms >= self.settings.slow_ms {
            let request_id = &self.settings.request_id;
            tracing::warn!(ms, request_id, sql, "a slow statement");
        }
        answer
    }

    /// Sends BEGIN and the settings in front of the transaction's first statement. Each future
    /// sends at its first poll, so the order of the pipeline is the order here.
    async fn first<T>(
        &self,
        client: &Pooled,
        statement: impl Future<Output = PgResult<T>>,
    ) -> Result<T> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        if self.opened.swap(true, Ordering::AcqRel) {
            return self.noted(statement.await);
        }
        let begin = match self.mode {
            Mode::Write => BEGIN_WRITE,
            Mode::Read => BEGIN_READ,
        };
        let set = &self.settings;
        let (kind, party) = match &set.portal {
            Some((kind, party)) => (*kind, party.as_str()),
            None => ("", ""),
        };
        let values: [&str; 9] = [
            &set.org_id,
            &set.actor_kind,
            &set.actor_id,
            &set.request_id,
            &set.reason,
            &set.causation,
            &set.user_id,
            kind,
            party,
        ];
        let (sql, values) = match set.portal {
            Some(_) => (PORTAL_SETTINGS, &values[..]),
            None => (SETTINGS, &values[..7]),
        };
        let settings: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let all = tokio::try_join!(
            biased;
            client.batch_execute(begin),
            client.query_typed(sql, &settings),
            statement,
        );
        self.noted(all.map(|((), _, answer)| answer))
    }

    pub(crate) fn statements(&self) -> u32 {
        self.statements.load(Ordering::Relaxed)
    }

    fn noted<T>(&self, answer: PgResult<T>) -> Result<T> {
        answer.map_err(|cause| {
            self.failed.store(true, Ordering::Release);
            if self.settings.portal.is_some()
                && cause.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
            {
                // The database says it last: the portals' role has no way there.
                return Error::new(Code::Forbidden, "portals do not reach this")
                    .with_context(cause.to_string());
            }
            from_database(Some(self.registry), &cause)
        })
    }

    /// Begins a part that may fail alone. A part within a part has the same name: the inner one ends first.
    pub(crate) async fn savepoint(&self) -> Result<()> {
        self.execute("savepoint part", &[]).await.map(drop)
    }

    pub(crate) async fn release_savepoint(&self) -> Result<()> {
        self.execute("release savepoint part", &[]).await.map(drop)
    }

    /// Ends the part after its deferred constraints have had their say; what follows may defer again.
    pub(crate) async fn release_checked_savepoint(&self) -> Result<()> {
        let client = self.client()?;
        let sql = "set constraints all immediate; set constraints all deferred; \
             release savepoint part";
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.noted(client.batch_execute(sql).await)
    }

    /// Undoes the part: the transaction is as before it. A failure before the part would have
    /// refused the savepoint, so what failed since is all that failed.
    pub(crate) async fn undo_savepoint(&self) -> Result<()> {
        let client = self.client()?;
        let undo = "rollback to savepoint part; release savepoint part";
        self.noted(client.batch_execute(undo).await)?;
        self.failed.store(false, Ordering::Release);
        Ok(())
    }

    pub(crate) async fn commit(mut self) -> Result<()> {
        if !self.opened.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.failed.load(Ordering::Acquire) {
            self.end("rollback").await?;
            return Err(Error::internal("commit after a statement had failed"));
        }
        self.end("commit").await
    }

    pub(crate) async fn rollback(mut self) -> Result<()> {
        if !self.opened.load(Ordering::Acquire) {
            return Ok(());
        }
        self.end("rollback").await
    }

    async fn end(&mut self, word: &str) -> Result<()> {
        let client = self.client()?;
        let answer = client.batch_execute(word).await;
        self.noted(answer)?;
        self.opened.store(false, Ordering::Release);
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.opened.load(Ordering::Acquire) {
            return;
        }
        if let Some(client) = self.client.take() {
            // Out of the pool and closed: the server rolls the transaction back.
            drop(Object::take(client));
        }
    }
}

fn at_most_one(mut rows: Vec<Row>) -> Result<Option<Row>> {
    if rows.len() > 1 {
        return Err(Error::internal("a statement gave several rows where one was meant"));
    }
    Ok(rows.pop())
}
