//! Waiting for entries of others: one blocking read at a time on behalf of all who wait, whatever the
//! number of events. Knows stream keys and numbers; must not know entries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind, Value};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::error::classify;
use super::keys;
use super::pool::Connections;
use crate::log::{LogError, Result};

/// Longest blocking read: an event that somebody begins to wait for joins the next one.
const BLOCK_MS: u64 = 100;
/// Pause between two looks where blocking is not possible, and after an error.
const PAUSE: Duration = Duration::from_millis(50);
/// Most waits at a time; one more is `Unavailable`.
const WAITERS_MAX: usize = 4_096;

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    waiters: Mutex<HashMap<Uuid, Vec<Waiter>>>,
    joined: Notify,
}

#[derive(Debug)]
struct Waiter {
    after: u64,
    wake: oneshot::Sender<()>,
}

impl Tail {
    /// Resolves when the event has an entry after `after`, or when waiting makes no sense (the
    /// store does not answer): the waiter then reads, and sees.
    pub(crate) fn wait(&self, event: Uuid, after: u64) -> Result<oneshot::Receiver<()>> {
        let (wake, woken) = oneshot::channel();
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.retain(|_, waiting| {
            waiting.retain(|waiter| !waiter.wake.is_closed());
            !waiting.is_empty()
        });
        if waiters.values().map(Vec::len).sum::<usize>() >= WAITERS_MAX {
            return Err(LogError::Unavailable(format!("more than {WAITERS_MAX} wait for entries")));
        }
        waiters.entry(event).or_default().push(Waiter { after, wake });
        drop(waiters);
        self.joined.notify_one();
        Ok(woken)
    }

    /// Reads as long as anybody waits; never returns.
    pub(crate) async fn run(self: Arc<Self>, connections: Connections) {
        let mut one_slot = true;
        loop {
            let wanted = self.wanted();
            if wanted.is_empty() {
                self.joined.notified().await;
                continue;
            }
            let found = if one_slot {
                match block(&connections, &wanted).await {
                    // A cluster: one command cannot read streams of several slots.
                    Ok(None) => {
                        one_slot = false;
                        continue;
                    }
                    Ok(Some(found)) => Ok(found),
                    Err(error) => Err(error),
                }
            } else {
                look(&connections, &wanted).await
            };
            match found {
                Ok(found) => found.into_iter().for_each(|(event, seq)| self.wake(event, seq)),
                Err(_) => {
                    // All look for themselves and tell their callers what is wrong.
                    self.waiters().clear();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Events with the lowest number that somebody waits after.
    fn wanted(&self) -> Vec<(Uuid, u64)> {
        let mut waiters = self.waiters();
        waiters.retain(|_, waiting| {
            waiting.retain(|waiter| !waiter.wake.is_closed());
            !waiting.is_empty()
        });
        let lowest = |waiting: &Vec<Waiter>| waiting.iter().map(|waiter| waiter.after).min();
        waiters.iter().filter_map(|(event, waiting)| Some((*event, lowest(waiting)?))).collect()
    }

    fn wake(&self, event: Uuid, seq: u64) {
        let mut waiters = self.waiters();
        let Some(waiting) = waiters.get_mut(&event) else { return };
        for waiter in waiting.extract_if(.., |waiter| waiter.after < seq) {
            // One who stopped waiting needs no waking.
            let _ = waiter.wake.send(());
        }
    }

    fn waiters(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Vec<Waiter>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One blocking read over all events; the first new number of each that has one. None when the events
/// lie in several slots.
async fn block(
    connections: &Connections,
    wanted: &[(Uuid, u64)],
) -> Result<Option<Vec<(Uuid, u64)>>> {
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK_MS).arg("STREAMS");
    for (event, _) in wanted {
        read.arg(keys::log(*event));
    }
    for (_, after) in wanted {
        read.arg(format!("{after}-0"));
    }
    match connections.ask(&read).await? {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) => Ok(None),
        Err(error) => Err(classify(&error)),
        Ok(reply) => Ok(Some(parse(reply, wanted))),
    }
}

/// The same by one command an event, without blocking, then a pause if there was nothing.
async fn look(connections: &Connections, wanted: &[(Uuid, u64)]) -> Result<Vec<(Uuid, u64)>> {
    let mut reads = redis::pipe();
    for (event, after) in wanted {
        let read = reads.cmd("XREAD").arg("COUNT").arg(1).arg("STREAMS");
        read.arg(keys::log(*event)).arg(format!("{after}-0"));
    }
    let replies: Vec<Value> = connections.query_all(&reads).await?;
    let found: Vec<_> = replies.into_iter().flat_map(|reply| parse(reply, wanted)).collect();
    if found.is_empty() {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(found)
}

/// `[[key, [[id, fields] …]] …]`, or nil when nothing came.
fn parse(reply: Value, wanted: &[(Uuid, u64)]) -> Vec<(Uuid, u64)> {
    let Value::Array(streams) = reply else { return Vec::new() };
    let mut found = Vec::new();
    for stream in streams {
        let Value::Array(stream) = stream else { continue };
        let [Value::BulkString(key), Value::Array(entries)] = stream.as_slice() else { continue };
        let event = wanted.iter().find(|(event, _)| keys::log(*event).as_bytes() == key);
        let first = entries.first().and_then(|entry| match entry {
            Value::Array(entry) => keys::seq(entry.first()?),
            _ => None,
        });
        if let (Some((event, _)), Some(seq)) = (event, first) {
            found.push((*event, seq));
        }
    }
    found
}
