//! One task per event and node: it owns the event's node, takes commands from a bounded queue,
//! appends what was decided and lets replies out when they are durable. Knows stores only as
//! [`Log`](crate::log::Log), and no rules.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use tokio::sync::{Notify, oneshot, watch};
use uuid::Uuid;

use crate::command::{Command, Conflict, HoldView, OrderView, Reply, TicketView};
use crate::entry::Head;
use crate::log::{LogError, SharedLog};
use crate::time::SharedClock;
use crate::view::EventView;

mod run;
mod snapshots;
mod spool;

pub use spool::SPOOL_SCANS_MAX;

/// Commands that wait for one event; more are refused at once.
pub const QUEUE_COMMANDS_MAX: usize = 4_096;
/// Commands decided and appended together.
pub const BATCH_COMMANDS_MAX: usize = 256;
/// Longest wait for an answer. What was accepted may still happen after it.
pub const TASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a task that was told to stop.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Entries between two snapshots of a small event; a large one waits until its journal has grown
/// by a quarter, so that snapshots stay a bounded part of the work.
pub const SNAPSHOT_ENTRIES: u64 = 10_000;

#[derive(Clone, Debug)]
pub struct TaskOptions {
    pub queue_commands_max: usize,
    pub timeout: Duration,
    pub snapshot_entries: u64,
    /// How long an append with an unknown outcome is repeated before it is given up.
    pub append_patience: Duration,
    /// Where scans are kept that are decided while the store does not answer; without it none are.
    /// One process at a time may use it.
    pub spool: Option<PathBuf>,
    pub spool_scans_max: usize,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            queue_commands_max: QUEUE_COMMANDS_MAX,
            timeout: TASK_TIMEOUT,
            snapshot_entries: SNAPSHOT_ENTRIES,
            append_patience: Duration::from_secs(2),
            spool: None,
            spool_scans_max: SPOOL_SCANS_MAX,
        }
    }
}

/// Opens an event: newest snapshot, then the journal's tail. Works for an event without entries.
/// The task runs until `close`, or until the last handle is gone.
pub async fn open(
    log: SharedLog,
    event: Uuid,
    clock: SharedClock,
    options: TaskOptions,
) -> Result<EventHandle, LogError> {
    let node = snapshots::load(log.as_ref(), event).await?;
    let alone = run::Alone::open(&options, event).await;
    let waiting = alone.waiting();
    let view = EventView { fresh: waiting == 0, unmerged: waiting, ..node.state().view() };
    let (view, _) = watch::channel(Arc::new(view));
    let (ended, _) = watch::channel(false);
    let shared = Arc::new(Shared {
        event,
        queue: ArrayQueue::new(options.queue_commands_max.max(1)),
        wake: Notify::new(),
        closing: AtomicBool::new(false),
        ended,
        view,
        counters: Counters::default(),
        timeout: options.timeout,
    });
    tokio::spawn(run::run(shared.clone(), log, clock, options, (node, alone)));
    Ok(EventHandle { owner: Arc::new(Owner { shared }) })
}

/// Access to an event's task. Cheap to clone.
#[derive(Clone)]
pub struct EventHandle {
    owner: Arc<Owner>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub reply: Reply,
    /// The journal's end when the answer became true.
    pub head: Head,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    #[error("the event's queue is full")]
    Overloaded,
    /// The store did not take it, or nobody knows: ask again with the same key or nonce.
    #[error("the event is unavailable: {0}")]
    Unavailable(String),
    #[error("the event's task has stopped")]
    Stopped,
}

/// A question that changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query {
    Order(Uuid),
    /// By ticket number.
    Ticket(u64),
    Hold(Uuid),
    /// Admissions that contradict each other.
    Conflicts,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryReply {
    Order(OrderView),
    Ticket(TicketView),
    Hold(HoldView),
    Conflicts(Vec<Conflict>),
    Unknown,
}

/// What the task has done so far, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TaskStats {
    /// Jobs waiting now.
    pub queued: usize,
    pub batches: u64,
    pub entries: u64,
    /// Time spent in appends, microseconds.
    pub append_us: u64,
    /// Batches decided again because another node was first.
    pub races: u64,
    /// Tails appended again because the store had lost them.
    pub repairs: u64,
    /// States thrown away because the store's journal was another one.
    pub rebuilds: u64,
    pub snapshots: u64,
}

impl EventHandle {
    /// Asks and waits until the answer is durable, at most the task's time-out.
    pub async fn ask(&self, command: Command) -> Result<Answer, AskError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Command(command, reply), answer).await
    }

    /// Reads the durable state, entries of other nodes included.
    pub async fn query(&self, query: Query) -> Result<QueryReply, AskError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Query(query, reply), answer).await
    }

    /// The newest figures, without waiting.
    pub fn view(&self) -> Arc<EventView> {
        self.owner.shared.view.borrow().clone()
    }

    /// The same figures for whoever waits for news.
    pub fn watch(&self) -> watch::Receiver<Arc<EventView>> {
        self.owner.shared.view.subscribe()
    }

    pub fn event(&self) -> Uuid {
        self.owner.shared.event
    }

    pub fn stats(&self) -> TaskStats {
        let shared = &self.owner.shared;
        let counters = &shared.counters;
        TaskStats {
            queued: shared.queue.len(),
            batches: counters.batches.load(Ordering::Relaxed),
            entries: counters.entries.load(Ordering::Relaxed),
            append_us: counters.append_us.load(Ordering::Relaxed),
            races: counters.races.load(Ordering::Relaxed),
            repairs: counters.repairs.load(Ordering::Relaxed),
            rebuilds: counters.rebuilds.load(Ordering::Relaxed),
            snapshots: counters.snapshots.load(Ordering::Relaxed),
        }
    }

    /// Answers everything accepted, takes a snapshot, stops. Later questions get `Stopped`.
    pub async fn close(&self) {
        let shared = &self.owner.shared;
        shared.begin_closing();
        let mut ended = shared.ended.subscribe();
        if tokio::time::timeout(CLOSE_TIMEOUT, ended.wait_for(|ended| *ended)).await.is_err() {
            tracing::warn!(event = %shared.event, "the event's task did not stop in time");
        }
    }

    async fn submit<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, AskError>>,
    ) -> Result<T, AskError> {
        let shared = &self.owner.shared;
        if shared.closing.load(Ordering::SeqCst) {
            return Err(AskError::Stopped);
        }
        shared.queue.push(job).map_err(|_| AskError::Overloaded)?;
        shared.wake.notify_one();
        if *shared.ended.borrow() {
            // It ended between the two looks: nobody else takes this job out.
            shared.drop_queue();
        }
        match tokio::time::timeout(shared.timeout, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AskError::Stopped),
            Err(_) => Err(AskError::Unavailable("no answer in time".to_owned())),
        }
    }
}

/// The last handle gone stops the task as `close` does.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.begin_closing();
    }
}

/// What handles and task have in common.
struct Shared {
    event: Uuid,
    queue: ArrayQueue<Job>,
    /// Something was queued, or the task shall close.
    wake: Notify,
    closing: AtomicBool,
    ended: watch::Sender<bool>,
    view: watch::Sender<Arc<EventView>>,
    counters: Counters,
    timeout: Duration,
}

impl Shared {
    fn begin_closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whoever waits for one of these gets `Stopped`.
    fn drop_queue(&self) {
        while self.queue.pop().is_some() {}
    }
}

#[derive(Default)]
struct Counters {
    batches: AtomicU64,
    entries: AtomicU64,
    append_us: AtomicU64,
    races: AtomicU64,
    repairs: AtomicU64,
    rebuilds: AtomicU64,
    snapshots: AtomicU64,
}

enum Job {
    Command(Command, oneshot::Sender<Result<Answer, AskError>>),
    Query(Query, oneshot::Sender<Result<QueryReply, AskError>>),
}
