//! One transaction on one pooled connection. BEGIN and the settings that row-level security reads
//! leave with the first statement in one pipeline, and COMMIT with the last one of a reader. Dropped
//! without an end, the connection is closed, so the server rolls back and no half-used session
//! returns to the pool. Knows no entity.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use crate::accounts::authenticate::Proof;
use crate::db::{Pooled, Row, ToSql, Type};
use crate::error::{Code, Error, Result, from_database};
use crate::kind_sql::literal;
use crate::param::Bound;
use crate::registry::Registry;

type PgResult<T> = std::result::Result<T, tokio_postgres::Error>;

const BEGIN_WRITE: &str = "begin isolation level read committed";
const BEGIN_READ: &str = "begin isolation level read committed read only";

/// Nothing is under way: the next statement begins.
const CLOSED: u8 = 0;
const OPEN: u8 = 1;
/// The end was sent, its answer has not come.
const ENDING: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    /// READ ONLY: what GET opens.
    Read,
}

/// Transaction-local settings, all as text; empty means absent. Why something happens is set later,
/// as a parameter (`Cx::because`): it is a caller's text, and these are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct TxSettings {
    pub(crate) org_id: String,
    pub(crate) actor_kind: String,
    pub(crate) actor_id: String,
    /// The person behind the actor.
    pub(crate) user_id: String,
    pub(crate) request_id: String,
    /// Links of the outbox that led here, as a number.
    pub(crate) causation: String,
    /// A statement that takes longer is told to the log; zero tells none.
    pub(crate) slow_ms: u64,
    /// Kind and party of a portal's caller.
    pub(crate) portal: Option<(&'static str, String)>,
    /// What has to hold before anything that is read may be told, and at which time.
    pub(crate) proof: Option<(Proof, Timestamp)>,
    /// A database that is held refuses the transaction.
    pub(crate) demands_release: bool,
}

/// What runs statements in the transaction that owns it. Texts are constants of the caller: each is
/// prepared once per connection, and values go in `params` only.
pub struct Tx {
    /// Absent only while it is being dropped.
    client: Option<Pooled>,
    registry: &'static Registry,
    mode: Mode,
    settings: TxSettings,
    /// `CLOSED`, `OPEN` or `ENDING`.
    state: AtomicU8,
    /// A statement failed: COMMIT would answer ROLLBACK without an error.
    failed: AtomicBool,
    /// Statements sent, beside those that begin and end.
    statements: AtomicU32,
    /// The proof holds, or none is needed.
    proved: AtomicBool,
}

impl Tx {
    pub(crate) fn new(
        client: Pooled,
        registry: &'static Registry,
        mode: Mode,
        settings: TxSettings,
    ) -> Self {
        let state = AtomicU8::new(CLOSED);
        let failed = AtomicBool::new(false);
        let statements = AtomicU32::new(0);
        let proved = AtomicBool::new(settings.proof.is_none());
        Self { client: Some(client), registry, mode, settings, state, failed, statements, proved }
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
        if self.state.swap(OPEN, Ordering::AcqRel) == OPEN {
            return self.noted(statement.await);
        }
        let mut begin = self.settings.begin(self.mode);
        let Some((proof, now)) = self.settings.proof.as_ref().filter(|_| !self.is_proved()) else {
            let all = tokio::try_join!(biased; client.batch_execute(&begin), statement);
            return self.noted(all.map(|((), answer)| answer));
        };
        begin.push_str(", ");
        begin.push_str(&proof.sql(*now));
        let all = tokio::try_join!(biased; client.simple_query(&begin), statement);
        let (found, answer) = self.noted(all)?;
        let row = found.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        if !proof.holds(row.and_then(|row| row.try_get(1).ok().flatten())) {
            // Nobody is told this: who asked to be believed asks anew.
            return Err(Error::internal("the caller is not as it was proved before"));
        }
        self.proved.store(true, Ordering::Release);
        Ok(answer)
    }

    /// Whether what was read was the caller's to read.
    pub(crate) fn is_proved(&self) -> bool {
        self.proved.load(Ordering::Acquire)
    }

    /// Like `query_typed`, for the statement after which a reader asks nothing more: COMMIT leaves
    /// behind it in the same pipeline, and nobody waits for its answer, since a reader has nothing to
    /// lose. Under READ COMMITTED each statement sees its own moment, so a reader that does ask more
    /// begins again and sees no less. Writers end by `commit` alone.
    pub(crate) async fn query_last(&self, sql: &str, params: &[Bound]) -> Result<Vec<Row>> {
        let found = tokio::select! {
            biased;
            found = self.query_typed(sql, params) => found?,
            () = self.end_reading() => return Err(Error::internal("waiting has no end")),
        };
        // What was sent behind the answer needs no waiting for; something may have begun since.
        let _was = self.state.compare_exchange(ENDING, CLOSED, Ordering::AcqRel, Ordering::Acquire);
        Ok(found)
    }

    /// Sends COMMIT at the first poll, and never ends.
    async fn end_reading(&self) {
        let ends =
            || self.state.compare_exchange(OPEN, ENDING, Ordering::AcqRel, Ordering::Acquire);
        if self.mode == Mode::Read
            && let Ok(client) = self.client()
            && ends().is_ok()
            && let Err(cause) = client.batch_execute("commit").await
        {
            tracing::debug!(%cause, "a reader's end was not answered");
        }
        std::future::pending().await
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

    pub(crate) async fn commit(self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            self.end("rollback").await?;
            return Err(Error::internal("commit after a statement had failed"));
        }
        self.end("commit").await
    }

    pub(crate) async fn rollback(self) -> Result<()> {
        self.end("rollback").await
    }

    async fn end(&self, word: &str) -> Result<()> {
        let word = match self.state.load(Ordering::Acquire) {
            CLOSED => return Ok(()),
            // The word was sent: an empty statement behind it waits for what is under way.
            ENDING => "",
            _ => word,
        };
        let answer = self.client()?.batch_execute(word).await;
        self.noted(answer)?;
        self.state.store(CLOSED, Ordering::Release);
        Ok(())
    }
}

impl TxSettings {
    /// BEGIN and the settings as one message. They are ids and the kernel's own words, and stand as
    /// literals: so one answer comes back, and nothing has to be prepared.
    fn begin(&self, mode: Mode) -> String {
        let begin = match mode {
            Mode::Write => BEGIN_WRITE,
            Mode::Read => BEGIN_READ,
        };
        let (kind, party) = match &self.portal {
            Some((kind, party)) => (*kind, party.as_str()),
            None => ("", ""),
        };
        let settings = [
            ("app.org_id", self.org_id.as_str()),
            ("app.actor_kind", &self.actor_kind),
            ("app.actor_id", &self.actor_id),
            ("app.request_id", &self.request_id),
            ("app.reason", ""),
            ("app.causation", &self.causation),
            ("app.user_id", &self.user_id),
            ("app.portal_kind", kind),
            ("app.portal_party", party),
        ];
        let known = if self.portal.is_some() { settings.len() } else { settings.len() - 2 };
        let mut sql = String::with_capacity(640);
        sql.push_str(begin);
        sql.push_str("; select length(concat(");
        for (place, (name, value)) in settings.iter().take(known).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            for part in [comma, "set_config('", name, "', "] {
                sql.push_str(part);
            }
            push_literal(&mut sql, value);
            sql.push_str(", true)");
        }
        sql.push_str("))");
        if self.demands_release {
            sql.push_str("; select demand_released()");
        }
        sql
    }
}

/// Ids and numbers stand as they are.
fn push_literal(sql: &mut String, value: &str) {
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        sql.push('\'');
        sql.push_str(value);
        sql.push('\'');
    } else {
        sql.push_str(&literal(value));
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.state.load(Ordering::Acquire) == CLOSED {
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
