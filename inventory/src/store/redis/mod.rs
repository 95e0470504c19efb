//! Logs in Redis 7 or newer, for many nodes: one stream an event, written by a function that compares
//! heads. The only room that talks to Redis. Must not know rules of sale or admission.
//!
//! Appends of all events share one multiplexed connection (on this path a pool costs more than it
//! gives); blocking reads and administration have a pool, so that they never stand before an append.
//! An acknowledged batch is as durable as the server makes it: `appendonly yes`, `appendfsync always`,
//! which is checked on connecting. An erased data key also leaves the server's append-only file, at
//! its next rewriting.

mod error;
mod keys;
mod parse;
mod pool;
mod tail;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, IntoConnectionInfo, Value};
use tokio::task::AbortHandle;
use uuid::Uuid;

use self::error::{classify, lacks_function, unexpected};
use self::pool::{Connections, is_dead};
use self::tail::Tail;
use crate::entry::{Entry, Head};
use crate::log::{
    Appended, Batch, BoxFuture, DataKey, ENTRIES_PER_READ_MAX, Log, LogError, Result, Snapshot,
};
use crate::store::{Encoded, check_document_name};

const FUNCTIONS: &str = include_str!("functions.lua");
const APPEND: &str = "atlvs_append_v1";
const SNAPSHOT: &str = "atlvs_snapshot_v1";
const TRIM: &str = "atlvs_trim_v1";

#[derive(Clone, Copy, Debug)]
pub struct RedisOptions {
    /// Longest wait for a connection to be made.
    pub connect_timeout: Duration,
    /// Longest wait for an answer; then the call is `Unavailable` and its outcome unknown.
    pub response_timeout: Duration,
    /// Most connections for blocking reads and administration.
    pub pool_connections_max: u32,
    pub durability: Durability,
}

/// What is demanded of the server's settings on connecting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Each acknowledged write is on disk and nothing is evicted; else connecting is refused. A
    /// server that does not show its settings is taken at its operator's word, with a warning.
    Required,
    /// For trials: acknowledged entries may be lost.
    Unchecked,
}

/// The logs in one Redis. Clones share connections.
#[derive(Clone, Debug)]
pub struct RedisLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    appends: ConnectionManager,
    connections: Connections,
    /// Events that this process has put into the set of events.
    listed: Mutex<HashSet<Uuid>>,
    tail: Arc<Tail>,
    tailing: AbortHandle,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(2),
            pool_connections_max: 8,
            durability: Durability::Required,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tailing.abort();
    }
}

impl RedisLog {
    /// Connects, checks the server's settings and loads the functions.
    /// `url`: `redis://[user:password@]host:port/[database]`.
    pub async fn connect(url: &str, options: RedisOptions) -> Result<Self> {
        // The library's own message could repeat parts of the URL.
        let broken = |_| LogError::Refused("the Redis URL is not valid".to_owned());
        // A peer that went silent, as after a power failure, must not hold the connection.
        let silence = options.response_timeout.saturating_mul(2);
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(silence);
        let info = url.into_connection_info().map_err(broken)?.set_tcp_settings(tcp);
        let client = Client::open(info).map_err(broken)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout))
            // Whoever calls decides about repeating.
            .set_number_of_retries(0);
        let appends = ConnectionManager::new_with_config(client.clone(), config).await;
        let appends = appends.map_err(|error| classify(&error))?;
        let connections = Connections::new(
            client,
            options.connect_timeout,
            options.response_timeout,
            options.pool_connections_max.max(2),
        );
        check_durability(&connections, options.durability).await?;
        load_functions(&connections).await?;
        let tail = Arc::new(Tail::default());
        let tailing = tokio::spawn(tail.clone().run(connections.clone())).abort_handle();
        let listed = Mutex::default();
        Ok(Self(Arc::new(Inner { appends, connections, listed, tail, tailing })))
    }

    /// Calls the function of appends, on their connection. It may be repeated, so one call whose
    /// connection turns out to be dead is made again, once, as is one whose function is missing.
    async fn call(&self, command: &Cmd) -> Result<Value> {
        let mut connection = self.0.appends.clone();
        match command.query_async(&mut connection).await {
            Err(error) if lacks_function(&error) => {
                load_functions(&self.0.connections).await?;
                command.query_async(&mut connection).await
            }
            Err(error) if is_dead(&error) => command.query_async(&mut connection).await,
            outcome => outcome,
        }
        .map_err(|error| classify(&error))
    }

    /// Calls another function, beside the appends.
    async fn call_beside(&self, command: &Cmd) -> Result<Value> {
        match self.0.connections.ask(command).await? {
            Err(error) if lacks_function(&error) => {
                load_functions(&self.0.connections).await?;
                self.0.connections.query(command).await
            }
            outcome => outcome.map_err(|error| classify(&error)),
        }
    }

    async fn append_now(&self, event: Uuid, expected: Head, batch: &Batch) -> Result<Appended> {
        let encoded = Encoded::new(event, expected, &batch.entries)?;
        if !batch.entries.is_empty() {
            self.list(event, expected).await?;
        }
        let mut call = redis::cmd("FCALL");
        call.arg(APPEND).arg(3);
        call.arg(keys::log(event)).arg(keys::head(event)).arg(keys::vault(event));
        call.arg(expected.seq).arg(&expected.hash.0).arg(&Head::genesis(event).hash.0);
        call.arg(ENTRIES_PER_READ_MAX).arg(encoded.hashes.len());
        for (hash, json) in encoded.entries() {
            call.arg(&hash.0).arg(json);
        }
        for (order, key) in &batch.keys {
            call.arg(order.as_bytes()).arg(&key.0);
        }
        parse::appended(self.call(&call).await?)
    }

    /// Puts the event into the set of events, before its first entry, so that no log is ever missed.
    /// The set is in another slot, so this is a call of its own.
    async fn list(&self, event: Uuid, expected: Head) -> Result<()> {
        let known = self.listed().contains(&event);
        if known && expected.seq > 0 {
            return Ok(());
        }
        let mut add = redis::cmd("SADD");
        add.arg(keys::EVENTS).arg(event.to_string());
        self.0.connections.query::<()>(&add).await?;
        self.listed().insert(event);
        Ok(())
    }

    fn listed(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.0.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_now(&self, event: Uuid, after: u64, limit: usize) -> Result<Vec<Entry>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut range = redis::cmd("XRANGE");
        range.arg(keys::log(event)).arg(format!("({after}-0")).arg("+");
        range.arg("COUNT").arg(limit.min(ENTRIES_PER_READ_MAX));
        parse::entries(self.0.connections.query(&range).await?)
    }

    async fn follow_now(
        &self,
        event: Uuid,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>> {
        let deadline = tokio::time::Instant::now().checked_add(wait);
        loop {
            let entries = self.read_now(event, after, limit).await?;
            let over = deadline.is_none_or(|deadline| deadline <= tokio::time::Instant::now());
            let Some(deadline) = deadline.filter(|_| entries.is_empty() && !over) else {
                return Ok(entries);
            };
            let woken = self.0.tail.wait(event, after)?;
            // Both outcomes are fine: there may be something to read, or the wait is over.
            let _ = tokio::time::timeout_at(deadline, woken).await;
        }
    }

    async fn events_now(&self) -> Result<Vec<Uuid>> {
        let listed: Vec<String> =
            self.0.connections.query(redis::cmd("SMEMBERS").arg(keys::EVENTS)).await?;
        let listed = listed.iter().map(|event| event.parse().map_err(|_| unexpected("an event")));
        let listed: Vec<Uuid> = listed.collect::<Result<_>>()?;
        if listed.is_empty() {
            return Ok(listed);
        }
        // One whose first append failed is listed without having a log.
        let mut exist = redis::pipe();
        for event in &listed {
            exist.cmd("EXISTS").arg(keys::head(*event));
        }
        let exist: Vec<bool> = self.0.connections.query_all(&exist).await?;
        Ok(listed.into_iter().zip(exist).filter(|(_, has)| *has).map(|(event, _)| event).collect())
    }

    async fn save_snapshot_now(&self, event: Uuid, snapshot: &Snapshot) -> Result<()> {
        let mut call = redis::cmd("FCALL");
        call.arg(SNAPSHOT).arg(3);
        call.arg(keys::log(event)).arg(keys::head(event)).arg(keys::snapshot(event));
        call.arg(snapshot.head.seq).arg(&snapshot.head.hash.0).arg(&snapshot.bytes);
        match parse::text(&self.call_beside(&call).await?) {
            Some("kept" | "older") => Ok(()),
            Some("astray") => Err(LogError::Refused(format!(
                "snapshot at {} is not on the log",
                snapshot.head.seq
            ))),
            _ => Err(unexpected("a snapshot's answer")),
        }
    }

    async fn data_keys_now(&self, event: Uuid, orders: &[Uuid]) -> Result<Vec<(Uuid, DataKey)>> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = redis::cmd("HMGET");
        get.arg(keys::vault(event));
        for order in orders {
            get.arg(order.as_bytes());
        }
        let found: Vec<Option<Vec<u8>>> = self.0.connections.query(&get).await?;
        let mut keys = Vec::new();
        for (order, bytes) in orders.iter().zip(found) {
            let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { continue };
            let key = bytes.try_into().map_err(|_| unexpected("a data key"))?;
            keys.push((*order, DataKey(key)));
        }
        Ok(keys)
    }
}

/// Loads the library, in place of one of the same version.
async fn load_functions(connections: &Connections) -> Result<()> {
    let mut load = redis::cmd("FUNCTION");
    load.arg("LOAD").arg("REPLACE").arg(FUNCTIONS);
    match connections.query::<()>(&load).await {
        Err(LogError::Unavailable(text)) if text.contains("unknown command") => {
            Err(LogError::Refused(format!("Redis 7 or newer is needed, for its functions: {text}")))
        }
        outcome => outcome,
    }
}

/// Compares the server's settings with what the log's promise needs.
async fn check_durability(connections: &Connections, wanted: Durability) -> Result<()> {
    if wanted == Durability::Unchecked {
        tracing::warn!("durability of Redis is not checked: acknowledged entries may be lost");
        return Ok(());
    }
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg("appendonly").arg("appendfsync").arg("no-appendfsync-on-rewrite");
    get.arg("maxmemory").arg("maxmemory-policy");
    let settings: HashMap<String, String> = match connections.query(&get).await {
        Ok(settings) => settings,
        Err(LogError::Unavailable(text)) if !text.contains("unknown") => {
            return Err(LogError::Unavailable(text));
        }
        Err(error) => {
            tracing::warn!(%error, "Redis does not show its settings; durability is not checked");
            return Ok(());
        }
    };
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    let mut missing = Vec::new();
    if !is("appendonly", "yes") {
        missing.push("appendonly yes");
    }
    if !is("appendfsync", "always") {
        missing.push("appendfsync always");
    }
    if is("no-appendfsync-on-rewrite", "yes") {
        missing.push("no-appendfsync-on-rewrite no");
    }
    // The volatile policies evict only keys with a time to live, which a log does not have.
    let evicts = settings.get("maxmemory-policy").is_some_and(|name| name.starts_with("allkeys"));
    if evicts && !is("maxmemory", "0") {
        missing.push("maxmemory-policy noeviction");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(LogError::Refused(format!("Redis would lose acknowledged entries, it needs: {missing}")))
}

impl Log for RedisLog {
    fn append<'a>(
        &'a self,
        event: Uuid,
        expected: Head,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended>> {
        Box::pin(self.append_now(event, expected, batch))
    }

    fn read(&self, event: Uuid, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(self.read_now(event, after, limit))
    }

    fn follow(
        &self,
        event: Uuid,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(self.follow_now(event, after, limit, wait))
    }

    fn head(&self, event: Uuid) -> BoxFuture<'_, Result<Head>> {
        Box::pin(async move {
            let mut get = redis::cmd("HMGET");
            get.arg(keys::head(event)).arg("seq").arg("hash");
            let head = parse::head(self.0.connections.query(&get).await?)?;
            Ok(head.unwrap_or_else(|| Head::genesis(event)))
        })
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Uuid>>> {
        Box::pin(self.events_now())
    }

    fn save_snapshot<'a>(
        &'a self,
        event: Uuid,
        snapshot: &'a Snapshot,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.save_snapshot_now(event, snapshot))
    }

    fn load_snapshot(&self, event: Uuid) -> BoxFuture<'_, Result<Option<Snapshot>>> {
        Box::pin(async move {
            let mut get = redis::cmd("HMGET");
            get.arg(keys::snapshot(event)).arg("seq").arg("hash").arg("bytes");
            parse::snapshot(self.0.connections.query(&get).await?)
        })
    }

    fn trim(&self, event: Uuid, through: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut call = redis::cmd("FCALL");
            call.arg(TRIM).arg(2).arg(keys::log(event)).arg(keys::snapshot(event)).arg(through);
            self.call_beside(&call).await.map(drop)
        })
    }

    fn data_keys<'a>(
        &'a self,
        event: Uuid,
        orders: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<(Uuid, DataKey)>>> {
        Box::pin(self.data_keys_now(event, orders))
    }

    fn erase_key(&self, event: Uuid, order: Uuid) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut set = redis::cmd("HSET");
            set.arg(keys::vault(event)).arg(order.as_bytes()).arg("");
            self.0.connections.query(&set).await
        })
    }

    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            check_document_name(name)?;
            let mut set = redis::cmd("SET");
            set.arg(keys::document(name)).arg(bytes);
            self.0.connections.query(&set).await
        })
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            check_document_name(name)?;
            self.0.connections.query(redis::cmd("GET").arg(keys::document(name))).await
        })
    }
}
