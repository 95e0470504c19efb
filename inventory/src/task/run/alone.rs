//! The task without its store: lanes that may are decided by what the node knows, and what they are
//! told is durable on the node's own disk before. When the store answers again, and goes on doing so,
//! all of it is merged as facts before anything else is decided.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::spool::Spool;
use super::super::{Answer, AskError, TaskOptions};
use super::{Failed, RETRY_PAUSE, Task};
use crate::command::{Command, OfflineScan, Reply, Uploaded};
use crate::decide::UPLOAD_SCANS_MAX;
use crate::log::{Appended, Batch, LogError};

/// Longest time that a node decides by what it knew when it lost its store.
const ALONE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// A store that goes again within this time after it came back has to answer for a while before it
/// is believed, twice as long each time.
const FLAPS_WITHIN: Duration = Duration::from_secs(30);
const STEADY_MIN: Duration = Duration::from_millis(500);
const STEADY_MAX: Duration = Duration::from_secs(8);
/// Commands of one merge.
const MERGE_COMMANDS: usize = 8;

type Waiting = oneshot::Sender<Result<Answer, AskError>>;
type Probed = Result<Appended, LogError>;

/// What the task knows of its time without a store.
#[derive(Default)]
pub(in crate::task) struct Alone {
    /// None where nothing can be kept: such a node decides nothing alone.
    spool: Option<Spool>,
    /// When the store was lost.
    since: Option<Instant>,
    back_at: Option<Instant>,
    /// How long it has to answer before it is believed, and since when it does.
    steady: Duration,
    answers_since: Option<Instant>,
    /// The state may not be the journal's.
    doubtful: bool,
    probe: Option<JoinHandle<Probed>>,
}

impl Alone {
    /// Opens the spool of an event. One that cannot be opened is told, and the lanes are secure.
    pub(in crate::task) async fn open(options: &TaskOptions, event: Uuid) -> Self {
        let Some(directory) = options.spool.clone() else { return Self::default() };
        let scans_max = options.spool_scans_max;
        let opened = tokio::task::spawn_blocking(move || open(&directory, event, scans_max)).await;
        match opened {
            Ok(Ok(spool)) => Self { spool: Some(spool), ..Self::default() },
            Ok(Err(error)) => {
                tracing::error!(%event, %error, "no spool: lanes refuse without the store");
                Self::default()
            }
            Err(_) => Self::default(),
        }
    }

    /// Scans that wait to be merged.
    pub(in crate::task) fn waiting(&self) -> usize {
        self.spool.as_ref().map_or(0, |spool| spool.scans().len())
    }

    fn scans(&self) -> Vec<OfflineScan> {
        self.spool.as_ref().map_or_else(Vec::new, |spool| spool.scans().to_vec())
    }

    /// The store was lost.
    pub(super) fn lost(&mut self) {
        self.answers_since = None;
        if self.since.is_none() {
            self.since = Some(Instant::now());
            let flaps = self.back_at.is_some_and(|at| at.elapsed() < FLAPS_WITHIN);
            let longer = self.steady.saturating_mul(2).clamp(STEADY_MIN, STEADY_MAX);
            self.steady = if flaps { longer } else { Duration::ZERO };
        }
    }

    /// It answers and the journal has everything.
    fn back(&mut self) {
        self.since = None;
        self.back_at = Some(Instant::now());
    }

    pub(super) fn doubt(&mut self, doubtful: bool) {
        self.doubtful = doubtful;
    }

    /// How many more scans may be decided alone.
    fn room(&self) -> usize {
        let fresh = !self.doubtful && self.since.is_none_or(|since| since.elapsed() < ALONE_MAX);
        self.spool.as_ref().filter(|_| fresh).map_or(0, Spool::room)
    }

    /// Whether the store has answered for long enough.
    fn steady(&mut self) -> bool {
        let since = *self.answers_since.get_or_insert_with(Instant::now);
        self.steady <= since.elapsed()
    }
}

fn open(directory: &Path, event: Uuid, scans_max: usize) -> std::io::Result<Spool> {
    std::fs::create_dir_all(directory)?;
    Spool::open(directory, event, scans_max)
}

impl Task {
    /// What an earlier process decided alone stands on the state until it is merged.
    pub(super) fn resume_alone(&mut self) {
        let scans = self.alone.scans();
        if scans.is_empty() {
            return;
        }
        tracing::warn!(event = %self.shared.event, scans = scans.len(), "scans wait to be merged");
        self.trouble = Some("scans that were decided alone wait to be merged".to_owned());
        self.stand_alone(&scans);
    }

    /// Answers commands that the store did not take: scans where their lane decides alone.
    pub(super) async fn serve_alone(
        &mut self,
        commands: &[Command],
        waiting: &mut (dyn Iterator<Item = Waiting> + Send),
        why: &str,
    ) {
        let refuse = |waiting: Waiting, why: &str| {
            let _ = waiting.send(Err(AskError::Unavailable(why.to_owned())));
        };
        let mut room = self.alone.room();
        if room == 0 {
            waiting.for_each(|waiting| refuse(waiting, why));
            return;
        }
        let mark = self.node.alone_mark();
        let (mut told, mut scans) = (Vec::new(), Vec::new());
        for (command, waiting) in commands.iter().zip(waiting) {
            let decided = match command {
                Command::Scan(request) if 0 < room => {
                    self.node.decide_alone(self.clock.now(), request)
                }
                _ => Ok(None),
            };
            match decided {
                Ok(Some(alone)) => {
                    room = room.saturating_sub(alone.scan.iter().len());
                    scans.extend(alone.scan);
                    told.push((waiting, alone.verdict));
                }
                Ok(None) => refuse(waiting, why),
                Err(error) => {
                    tracing::error!(event = %self.shared.event, %error, "a scan contradicts itself");
                    refuse(waiting, why);
                }
            }
        }
        if told.is_empty() {
            if self.alone.waiting() == 0 {
                self.node.end_alone();
            }
            return;
        }
        // From here on the state is ahead of the journal by more than a proposal.
        if self.trouble.is_none() {
            drop(self.lose_touch(why.to_owned()));
        }
        if let Err(error) = self.keep(scans).await {
            tracing::error!(event = %self.shared.event, error, "nothing more is decided alone");
            self.node.rollback_alone(mark);
            told.into_iter().for_each(|(waiting, _)| refuse(waiting, &error));
            return;
        }
        let head = self.node.durable();
        for (waiting, verdict) in told {
            let _ = waiting.send(Ok(Answer { reply: Reply::Scanned(verdict), head }));
        }
    }

    async fn keep(&mut self, scans: Vec<OfflineScan>) -> Result<(), String> {
        match &mut self.alone.spool {
            _ if scans.is_empty() => Ok(()),
            Some(spool) => spool.add(scans).await,
            None => Err("there is no spool".to_owned()),
        }
    }

    /// Asks the store whether it is there, beside everything else; takes over when it is.
    pub(super) async fn look_for_store(&mut self) {
        match self.alone.probe.take_if(|probe| probe.is_finished()) {
            Some(probe) => match probe.await {
                Ok(Ok(_)) if self.alone.steady() => self.recover().await,
                Ok(Ok(_)) => self.retry_later(),
                Ok(Err(error)) => drop(self.lose_touch(error.to_string())),
                Err(_) => self.retry_later(),
            },
            None if self.alone.probe.is_none() && self.retry_at <= Instant::now() => {
                let (log, shared) = (self.log.clone(), self.shared.clone());
                let head = self.node.durable();
                self.alone.probe = Some(tokio::spawn(async move {
                    let probed = log.append(shared.event, head, &Batch::default()).await;
                    shared.wake.notify_one();
                    probed
                }));
            }
            None => {}
        }
    }

    /// Until the store has to be looked for again.
    pub(super) fn until_probe(&self) -> Duration {
        if self.alone.probe.is_some() {
            return RETRY_PAUSE;
        }
        self.retry_at.saturating_duration_since(Instant::now())
    }

    /// One try to learn the log's end again, and to merge what was decided without it.
    async fn recover(&mut self) {
        self.trouble = None;
        let scans = self.alone.scans();
        self.node.end_alone();
        let merged = match self.carry(&[], Duration::ZERO).await {
            Ok(_) => self.merge(&scans).await,
            Err(failed) => Err(failed),
        };
        match merged {
            Ok(()) => {
                tracing::info!(event = %self.shared.event, merged = scans.len(), "the store answers again");
                self.told = false;
                self.alone.back();
                self.publish();
            }
            Err(Failed::Store(why) | Failed::Busy(why) | Failed::Contradiction(why)) => {
                drop(self.lose_touch(why));
                self.stand_alone(&scans);
            }
        }
    }

    /// Puts scans on top of the state that were decided alone before.
    fn stand_alone(&mut self, scans: &[OfflineScan]) {
        if let Err(error) = self.node.add_alone(self.clock.now(), scans) {
            tracing::error!(event = %self.shared.event, %error, "nothing is decided alone");
            self.node.end_alone();
            self.alone.doubt(true);
        }
    }

    async fn merge(&mut self, scans: &[OfflineScan]) -> Result<(), Failed> {
        if scans.is_empty() {
            return Ok(());
        }
        let mut refused = Vec::new();
        for part in scans.chunks(UPLOAD_SCANS_MAX.saturating_mul(MERGE_COMMANDS)) {
            let pieces: Vec<&[OfflineScan]> = part.chunks(UPLOAD_SCANS_MAX).collect();
            let mut rest = pieces.as_slice();
            while !rest.is_empty() {
                let commands: Vec<Command> =
                    rest.iter().map(|piece| Command::Upload { scans: piece.to_vec() }).collect();
                let replies = self.carry(&commands, self.options.append_patience).await?;
                for (piece, reply) in rest.iter().zip(&replies) {
                    refused.extend(self.look_at_merged(piece, reply));
                }
                rest = rest.get(replies.len().max(1)..).unwrap_or(&[]);
            }
        }
        if let Some(spool) = &mut self.alone.spool
            && let Err(error) = spool.clear(refused).await
        {
            // They are merged once more, which changes nothing.
            tracing::error!(event = %self.shared.event, error, "the spool was not cleared");
        }
        Ok(())
    }

    /// Tells what contradicts the journal; answers what the journal would not take.
    fn look_at_merged(&self, scans: &[OfflineScan], reply: &Reply) -> Vec<OfflineScan> {
        let event = self.shared.event;
        let Reply::Uploaded(items) = reply else { return scans.to_vec() };
        let mut refused = Vec::new();
        for (scan, item) in scans.iter().zip(items) {
            match item {
                Uploaded::Recorded | Uploaded::Duplicate => {}
                Uploaded::Conflict(conflict) => {
                    let apart = conflict.seconds_apart();
                    tracing::warn!(%event, ticket = scan.ticket, seconds_apart = apart, "admitted twice");
                }
                Uploaded::Rejected(reason) => {
                    let reason = reason.code();
                    tracing::error!(%event, ticket = scan.ticket, reason, "a scan is put aside");
                    refused.push(scan.clone());
                }
            }
        }
        refused
    }
}
