//! The task's loop: take what waits, decide it, append it, answer; when nothing waits, follow the
//! log, return overdue holds, look after the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(super) use self::alone::Alone;
use super::{
    Answer, AskError, BATCH_COMMANDS_MAX, Job, Query, QueryReply, Shared, TaskOptions, snapshots,
};
use crate::command::{Command, Reply};
use crate::entry::{Entry, Head};
use crate::log::{BoxFuture, ENTRIES_PER_READ_MAX, LogError, SharedLog};
use crate::node::{Node, Proposal, Settled};
use crate::state::State;
use crate::time::SharedClock;

mod alone;

/// Batches decided again because others were first, before their commands are given up.
const RACES_PER_BATCH_MAX: usize = 100;
/// Pieces of a lost tail given back for one batch.
const REPAIRS_PER_BATCH_MAX: usize = 16;
/// Between two tries to reach the store.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// One wait for other nodes' entries.
const FOLLOW_WAIT: Duration = Duration::from_millis(500);
/// Figures are published at most this often while commands keep coming.
const PUBLISH_PAUSE: Duration = Duration::from_millis(100);
/// Clocks may jump: while anything is held, the clock is asked at least this often.
const CLOCK_PAUSE: Duration = Duration::from_millis(250);

type Asked = (Command, oneshot::Sender<Result<Answer, AskError>>);
type Queried = (Query, oneshot::Sender<Result<QueryReply, AskError>>);
type Followed = Result<Vec<Entry>, LogError>;

pub(super) async fn run(
    shared: Arc<Shared>,
    log: SharedLog,
    clock: SharedClock,
    options: TaskOptions,
    (node, alone): (Node, Alone),
) {
    let _end = End(shared.clone());
    let snapshot_seq = node.durable().seq;
    let mut task = Task {
        shared,
        log,
        clock,
        options,
        node,
        trouble: None,
        told: false,
        retry_at: Instant::now(),
        follow: None,
        snapshot: None,
        snapshot_seq,
        published_at: Instant::now(),
        published: (Head::genesis(uuid::Uuid::nil()), false, 0),
        alone,
    };
    task.resume_alone();
    task.drive().await;
    task.finish().await;
}

/// However the task ends, nobody waits for it in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::SeqCst);
        self.0.ended.send_replace(true);
        self.0.drop_queue();
    }
}

struct Task {
    shared: Arc<Shared>,
    log: SharedLog,
    clock: SharedClock,
    options: TaskOptions,
    node: Node,
    /// Why the log's end is not known; commands are refused until it is.
    trouble: Option<String>,
    /// The trouble was told to the log; told again only after it was over.
    told: bool,
    /// No other try to recover, or to return overdue holds, before this.
    retry_at: Instant,
    /// Waits for other nodes' entries; kept while commands are served, so that a blocking read is
    /// never cut off.
    follow: Option<BoxFuture<'static, Followed>>,
    snapshot: Option<JoinHandle<Result<Head, LogError>>>,
    snapshot_seq: u64,
    published_at: Instant,
    /// Journal's end, freshness, scans that wait to be merged.
    published: (Head, bool, usize),
    alone: Alone,
}

impl Task {
    async fn drive(&mut self) {
        loop {
            if self.trouble.is_some() {
                self.look_for_store().await;
            }
            let (asked, queried) = self.take_jobs();
            if asked.is_empty() && queried.is_empty() {
                self.publish();
                if self.shared.closing.load(Ordering::SeqCst) {
                    return;
                }
                self.idle().await;
                continue;
            }
            self.serve(asked, queried).await;
            if PUBLISH_PAUSE <= self.published_at.elapsed() {
                self.publish();
                self.gather_keys().await;
            }
            self.look_after_snapshots().await;
        }
    }

    async fn finish(&mut self) {
        if let Some(running) = self.snapshot.take() {
            running.abort();
        }
        let head = self.node.durable();
        if self.trouble.is_some() || head.seq == self.snapshot_seq {
            return;
        }
        if let Err(error) = snapshots::save(self.log.as_ref(), self.node.state()).await {
            // Nothing is lost: the next start replays a longer tail.
            tracing::warn!(event = %self.shared.event, %error, "no snapshot at the end");
        }
    }

    fn take_jobs(&self) -> (Vec<Asked>, Vec<Queried>) {
        let (mut asked, mut queried) = (Vec::new(), Vec::new());
        for _ in 0..BATCH_COMMANDS_MAX {
            match self.shared.queue.pop() {
                Some(Job::Command(command, reply)) => asked.push((command, reply)),
                Some(Job::Query(query, reply)) => queried.push((query, reply)),
                None => break,
            }
        }
        (asked, queried)
    }

    // === commands ===

    async fn serve(&mut self, asked: Vec<Asked>, queried: Vec<Queried>) {
        let (commands, mut replies): (Vec<Command>, Vec<_>) = asked.into_iter().unzip();
        let mut replies = replies.drain(..);
        let mut rest = commands.as_slice();
        // A query alone asks the log too: what another node wrote before must be seen.
        let mut confirmed = false;
        let mut single = false;
        while !rest.is_empty() || (!confirmed && !queried.is_empty()) {
            let now = if single { rest.get(..1).unwrap_or(rest) } else { rest };
            match self.carry(now, self.options.append_patience).await {
                Ok(answers) => {
                    confirmed = true;
                    let head = self.node.durable();
                    rest = rest.get(answers.len()..).unwrap_or(&[]);
                    for (reply, waiting) in answers.into_iter().zip(&mut replies) {
                        // Whoever stopped waiting finds the answer by key or nonce.
                        let _ = waiting.send(Ok(Answer { reply, head }));
                    }
                }
                Err(Failed::Contradiction(why)) => {
                    tracing::error!(event = %self.shared.event, why, "a decision contradicts itself");
                    if single {
                        // This one command is the culprit: the others go on without it.
                        rest = rest.get(1..).unwrap_or(&[]);
                        if let Some(waiting) = replies.next() {
                            let _ = waiting.send(Err(AskError::Unavailable(why)));
                        }
                    }
                    if now.is_empty() {
                        break;
                    }
                    single = true;
                }
                Err(Failed::Store(why)) => {
                    self.serve_alone(rest, &mut replies, &why).await;
                    break;
                }
                Err(Failed::Busy(why)) => {
                    for waiting in &mut replies {
                        let _ = waiting.send(Err(AskError::Unavailable(why.clone())));
                    }
                    break;
                }
            }
        }
        let trouble = || self.trouble.clone().unwrap_or_else(|| "not confirmed".to_owned());
        for (query, waiting) in queried {
            let answer = if confirmed {
                Ok(look_up(self.node.state(), query))
            } else {
                Err(AskError::Unavailable(trouble()))
            };
            let _ = waiting.send(answer);
        }
    }

    /// Decides commands and makes the decisions durable, again and again while others are first.
    /// With no commands it returns overdue holds and confirms that this node knows the log's end.
    async fn carry(
        &mut self,
        commands: &[Command],
        patience: Duration,
    ) -> Result<Vec<Reply>, Failed> {
        if let Some(trouble) = &self.trouble {
            return Err(Failed::Store(trouble.clone()));
        }
        for _ in 0..RACES_PER_BATCH_MAX {
            let proposal = self
                .node
                .propose(self.clock.now(), commands)
                .map_err(|error| Failed::Contradiction(error.to_string()))?;
            match self.append(&proposal, patience).await? {
                Settled::Durable => return Ok(proposal.replies),
                Settled::Again | Settled::Repair { .. } | Settled::Short { .. } => {
                    count(&self.shared.counters.races, 1);
                }
                Settled::Rebuild => self.rebuild().await?,
            }
        }
        Err(Failed::Busy("other nodes were always first".to_owned()))
    }

    async fn append(&mut self, proposal: &Proposal, patience: Duration) -> Result<Settled, Failed> {
        let started = Instant::now();
        let event = self.shared.event;
        let mut repairs = 0_usize;
        loop {
            let appended = self.log.append(event, proposal.expected, &proposal.batch).await;
            let failed = match appended {
                Ok(appended) => match self.node.settle(proposal, appended) {
                    Settled::Repair { expected, batch } if repairs < REPAIRS_PER_BATCH_MAX => {
                        tracing::warn!(%event, from = expected.seq, "giving back what the store lost");
                        repairs = repairs.saturating_add(1);
                        count(&self.shared.counters.repairs, 1);
                        // Whatever this comes to, the proposal's next append tells.
                        self.log.append(event, expected, &batch).await.err()
                    }
                    Settled::Repair { .. } => {
                        self.node.abandon();
                        return Err(self.lose_touch("the store keeps losing its tail".to_owned()));
                    }
                    Settled::Short { head } => {
                        let known = self.node.durable().seq;
                        return Err(self.lose_touch(format!(
                            "the store ends at entry {}, {known} were durable and this node cannot \
                             give all of them back: another node or a copy has to",
                            head.seq
                        )));
                    }
                    settled => {
                        self.count_append(&settled, proposal, started);
                        return Ok(settled);
                    }
                },
                Err(error) => Some(error),
            };
            match failed {
                None => {}
                Some(LogError::Unavailable(_)) if started.elapsed() < patience => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Some(LogError::Refused(why)) => {
                    // Nothing was written and the log's end is known: the next command may try.
                    self.node.abandon();
                    return Err(Failed::Store(why));
                }
                Some(error @ (LogError::Unavailable(_) | LogError::Damaged(_))) => {
                    self.node.abandon();
                    return Err(self.lose_touch(error.to_string()));
                }
            }
        }
    }

    fn count_append(&self, settled: &Settled, proposal: &Proposal, started: Instant) {
        if proposal.batch.entries.is_empty() || !matches!(settled, Settled::Durable) {
            return;
        }
        let counters = &self.shared.counters;
        count(&counters.batches, 1);
        count(&counters.entries, u64::try_from(proposal.batch.entries.len()).unwrap_or(0));
        count(&counters.append_us, u64::try_from(started.elapsed().as_micros()).unwrap_or(0));
    }

    // === trouble ===

    /// From now on nobody knows the log's end: commands are refused until it was read again.
    fn lose_touch(&mut self, why: String) -> Failed {
        if !self.told {
            tracing::error!(event = %self.shared.event, why, "the store is out of reach");
            self.told = true;
        }
        self.trouble = Some(why.clone());
        self.alone.lost();
        self.retry_later();
        self.follow = None;
        self.publish();
        Failed::Store(why)
    }

    fn retry_later(&mut self) {
        self.retry_at = Instant::now().checked_add(RETRY_PAUSE).unwrap_or_else(Instant::now);
    }

    /// Throws the state away for the log's.
    async fn rebuild(&mut self) -> Result<(), Failed> {
        count(&self.shared.counters.rebuilds, 1);
        tracing::error!(
            event = %self.shared.event,
            seq = self.node.durable().seq,
            "this node's journal is not the store's; building the state again"
        );
        match snapshots::load(self.log.as_ref(), self.shared.event).await {
            Ok(node) => {
                self.node = node;
                self.follow = None;
                self.alone.doubt(false);
                Ok(())
            }
            Err(error) => {
                self.alone.doubt(true);
                Err(self.lose_touch(error.to_string()))
            }
        }
    }

    // === between commands ===

    async fn idle(&mut self) {
        let pause = self.pause();
        let (log, event) = (self.log.clone(), self.shared.event);
        let after = self.node.durable().seq;
        if self.follow.is_none() && self.trouble.is_none() {
            self.follow = Some(Box::pin(async move {
                log.follow(event, after, ENTRIES_PER_READ_MAX, FOLLOW_WAIT).await
            }));
        }
        let follow = async {
            match &mut self.follow {
                Some(follow) => follow.await,
                None => std::future::pending().await,
            }
        };
        let followed = tokio::select! {
            () = self.shared.wake.notified() => None,
            () = tokio::time::sleep(pause) => None,
            followed = follow => Some(followed),
        };
        if let Some(followed) = followed {
            self.follow = None;
            self.take_followed(followed).await;
        }
        self.gather_keys().await;
        self.return_overdue().await;
        self.look_after_snapshots().await;
    }

    /// Data keys of the orders that others wrote, so that this node can give them back too.
    async fn gather_keys(&mut self) {
        let orders = self.node.keyless_orders();
        if orders.is_empty() || self.trouble.is_some() {
            return;
        }
        // What cannot be read now is asked for again.
        if let Ok(keys) = self.log.data_keys(self.shared.event, &orders).await {
            self.node.keep_keys(keys);
        }
    }

    /// Until the next thing that nobody wakes the task for.
    fn pause(&self) -> Duration {
        let retry = self.retry_at.saturating_duration_since(Instant::now());
        if self.trouble.is_some() {
            return self.until_probe();
        }
        let Some(due) = self.node.state().next_due() else { return FOLLOW_WAIT };
        let ms = due.0.saturating_sub(self.clock.now().0);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0)).max(retry).min(CLOCK_PAUSE)
    }

    async fn take_followed(&mut self, followed: Followed) {
        let entries = match followed {
            Ok(entries) => entries,
            Err(error) => {
                self.lose_touch(error.to_string());
                return;
            }
        };
        if let Err(error) = self.node.catch_up(&entries) {
            tracing::warn!(event = %self.shared.event, %error, "cannot follow");
            // A failure has put the task into trouble already, and will be tried again.
            let _ = self.rebuild().await;
        }
    }

    async fn return_overdue(&mut self) {
        let due = self.node.state().next_due();
        let overdue = due.is_some_and(|due| due <= self.clock.now());
        if self.trouble.is_some() || !overdue || Instant::now() < self.retry_at {
            return;
        }
        match self.carry(&[], self.options.append_patience).await {
            Ok(_) => {}
            // A store that refuses is not asked again at once.
            Err(Failed::Store(_) | Failed::Busy(_)) => self.retry_later(),
            Err(Failed::Contradiction(why)) => drop(self.lose_touch(why)),
        }
    }

    async fn look_after_snapshots(&mut self) {
        if self.snapshot.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(running) = self.snapshot.take()
        {
            match running.await {
                Ok(Ok(head)) => {
                    self.snapshot_seq = head.seq;
                    count(&self.shared.counters.snapshots, 1);
                }
                Ok(Err(error)) => {
                    tracing::warn!(event = %self.shared.event, %error, "no snapshot");
                    // Not again at once: when as many entries have come once more.
                    self.snapshot_seq = self.node.durable().seq;
                }
                Err(_) => self.snapshot_seq = self.node.durable().seq,
            }
        }
        let grown = self.node.durable().seq.saturating_sub(self.snapshot_seq);
        let quarter = self.snapshot_seq.checked_div(4).unwrap_or(0);
        if self.snapshot.is_none() && self.options.snapshot_entries.max(quarter) <= grown {
            let taken = snapshots::take(self.log.clone(), self.shared.event);
            self.snapshot = Some(tokio::spawn(taken));
        }
    }

    /// Shows the durable state, when it changed.
    fn publish(&mut self) {
        let fresh = self.trouble.is_none();
        let now = (self.node.durable(), fresh, self.alone.waiting());
        self.published_at = Instant::now();
        if self.published == now {
            return;
        }
        self.published = now;
        let mut view = self.node.state().view();
        view.fresh = fresh;
        // While the node decides alone its state is ahead of the journal.
        view.head = now.0;
        view.unmerged = now.2;
        self.shared.view.send_replace(Arc::new(view));
    }
}

/// Why a batch was not carried.
enum Failed {
    /// The store did not take it.
    Store(String),
    /// The store did, but always from others.
    Busy(String),
    Contradiction(String),
}

fn look_up(state: &State, query: Query) -> QueryReply {
    match query {
        Query::Order(id) => state.order_view(id).map(QueryReply::Order),
        Query::Ticket(number) => state.ticket_view(number).map(QueryReply::Ticket),
        Query::Hold(id) => state.live_hold_view(id).map(QueryReply::Hold),
        Query::Conflicts => Some(QueryReply::Conflicts(state.conflicts())),
    }
    .unwrap_or(QueryReply::Unknown)
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
