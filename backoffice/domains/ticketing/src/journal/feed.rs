//! The loop that reads the gate's journals: heads by long poll, pages of each event that moved,
//! stored, acknowledged, projected. Everything that it must remember stands in the database; what it
//! keeps in memory only saves questions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inventory::entry::{Hash, Head};
use jiff::{SignedDuration, Timestamp};
use kernel::cx::{Actor, Cx};
use kernel::error::{Code, Error, Result};
use kernel::service::{Service, Shutdown};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::project::{Progress, project};
use super::raw::{self, Page, Stored, store};

/// Longest wait of one question for heads.
const HEADS_WAIT: Duration = Duration::from_secs(20);
/// The same while the gate has a journal of an event that is not known here.
const STRANGERS_WAIT: Duration = Duration::from_secs(1);
/// The gate answers within this, beyond what it was asked to wait.
const REPLY_WAIT: Duration = Duration::from_secs(10);
const PAGE_ENTRIES: usize = 500;
/// After a failure, in case a page was too large to be taken.
const PAGE_ENTRIES_CAREFUL: usize = 20;
/// A stopped event is looked at again this often: a person may have let it go on.
const STOPPED_PAUSE: SignedDuration = SignedDuration::from_secs(15);
/// After a failure of one event or of the gate: doubled each time, up to the second. Short,
/// because what waits is somebody at a desk.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Name under which this service acknowledges.
const CONSUMER: &str = "backoffice";

#[derive(Deserialize)]
struct Heads {
    version: u64,
    events: Vec<EventHead>,
}

#[derive(Deserialize)]
struct EventHead {
    event: Uuid,
    seq: u64,
}

/// What is known of an event between two rounds.
struct Known {
    org: Uuid,
    /// Stored up to here; none until the database was asked.
    seq: Option<u64>,
    /// Something is to be done then: a parked entry, or another try.
    due: Option<Timestamp>,
    failures: u32,
    stopped: bool,
}

struct Feed {
    service: Service,
    base: String,
    known: BTreeMap<Uuid, Known>,
    version: Option<u64>,
    /// The gate has a journal of an event that the catalogue has not shown (yet).
    strangers: bool,
}

pub(crate) async fn follow(service: Service, end: Shutdown) -> Result<()> {
    let Some(base) = service.settings().peers.gate_internal_url.clone() else {
        tracing::warn!("GATE_INTERNAL_URL is not set: no journal is read");
        end.clone().wait().await;
        return Ok(());
    };
    let mut feed = Feed { service, base, known: BTreeMap::new(), version: None, strangers: false };
    let mut failures = 0;
    while !end.requested() {
        let mut waiting = end.clone();
        let round = tokio::select! {
            round = feed.round() => round,
            () = waiting.wait() => break,
        };
        match round {
            Ok(()) => failures = 0,
            Err(cause) => {
                failures += 1;
                tracing::warn!(cause = %cause.log_text(), failures, "the journal feed pauses");
                if !end.pause(pause(failures)).await {
                    break;
                }
            }
        }
    }
    Ok(())
}

impl Feed {
    /// Waits for news or for something due, then brings every event up to date that needs it. A
    /// failure of one event is its own: it comes due again.
    async fn round(&mut self) -> Result<()> {
        self.learn_events().await?;
        let heads = self.heads().await;
        if let Ok(heads) = &heads
            && heads.events.iter().any(|head| !self.known.contains_key(&head.event))
        {
            self.learn_events().await?;
        }
        let now = self.service.now();
        let mut work: BTreeSet<Uuid> = self
            .known
            .iter()
            .filter(|(_, known)| known.due.is_some_and(|due| due <= now))
            .map(|(event, _)| *event)
            .collect();
        if let Ok(heads) = &heads {
            let strangers = heads.events.iter().filter(|h| !self.known.contains_key(&h.event));
            let strangers = strangers.count();
            if strangers > 0 && !self.strangers {
                tracing::warn!(strangers, "the gate has journals of events that are not known");
            }
            self.strangers = strangers > 0;
            work.extend(heads.events.iter().filter(|head| self.is_news(head)).map(|h| h.event));
            self.version = Some(heads.version);
        }
        for event in work {
            self.bring_up(event, heads.is_ok()).await;
        }
        heads.map(drop)
    }

    /// Events that the catalogue ever showed; a journal belongs to the organization of its event.
    /// One that is new here is due at once: a former process may have stored without projecting.
    async fn learn_events(&mut self) -> Result<()> {
        let tx = self.service.work().await?;
        let sql = "select id, org_id from catalogue_documents where kind = 'event'";
        let rows = tx.query(sql, &[]).await?;
        tx.rollback().await?;
        for row in rows {
            self.known.entry(row.try_get(0)?).or_insert(Known {
                org: row.try_get(1)?,
                seq: None,
                due: Some(Timestamp::MIN),
                failures: 0,
                stopped: false,
            });
        }
        Ok(())
    }

    fn is_news(&self, head: &EventHead) -> bool {
        match self.known.get(&head.event) {
            Some(known) => {
                !known.stopped && known.failures == 0 && known.seq.is_none_or(|seq| seq < head.seq)
            }
            None => false,
        }
    }

    async fn heads(&self) -> Result<Heads> {
        let now = self.service.now();
        let due = self.known.values().filter_map(|known| known.due).min();
        let longest = if self.strangers { STRANGERS_WAIT } else { HEADS_WAIT };
        let wait = due.map_or(longest, |due| until(now, due).min(longest));
        let mut url =
            format!("{}/internal/v1/journal/heads?wait_ms={}", self.base, wait.as_millis());
        if let Some(version) = self.version {
            url.push_str(&format!("&after_version={version}"));
        }
        self.get(&url, wait).await
    }

    async fn bring_up(&mut self, event: Uuid, gate_answers: bool) {
        let Some(known) = self.known.get(&event) else { return };
        let outcome = self.catch_up(event, known, gate_answers).await;
        let now = self.service.now();
        let Some(known) = self.known.get_mut(&event) else { return };
        match outcome {
            Ok(caught_up) => {
                known.failures = 0;
                known.seq = Some(caught_up.seq);
                known.stopped = caught_up.stopped;
                known.due = match caught_up.stopped {
                    true => now.saturating_add(STOPPED_PAUSE).ok(),
                    false => caught_up.retry_at,
                };
            }
            Err(cause) => {
                known.failures = known.failures.saturating_add(1);
                let after = SignedDuration::try_from(pause(known.failures)).unwrap_or_default();
                known.due = now.saturating_add(after).ok();
                tracing::warn!(%event, cause = %cause.log_text(), "the journal of an event waits");
            }
        }
    }

    /// Fetches until nothing is left, then projects until nothing is left.
    async fn catch_up(&self, event: Uuid, known: &Known, fetch: bool) -> Result<CaughtUp> {
        let org = known.org;
        let limit = if known.failures == 0 { PAGE_ENTRIES } else { PAGE_ENTRIES_CAREFUL };
        let (mut seq, mut stopped) = self.position(event, org).await?;
        while fetch && !stopped {
            let page = self.page(event, seq, limit).await?;
            let entries = page.entries.len();
            let cx = self.open(org).await?;
            match store(&cx, &page).await? {
                Stored::UpTo(head) => {
                    cx.commit().await?;
                    if head.seq > seq {
                        stopped = !self.acknowledge(event, org, head).await?;
                    }
                    seq = head.seq;
                }
                Stored::Stopped { .. } => {
                    cx.commit().await?;
                    stopped = true;
                }
            }
            if entries == 0 || page.head.seq <= seq {
                break;
            }
        }
        let progress = self.project_all(event, org).await?;
        Ok(CaughtUp { seq, stopped, retry_at: progress.retry_at })
    }

    async fn position(&self, event: Uuid, org: Uuid) -> Result<(u64, bool)> {
        let cx = self.open(org).await?;
        let cursor = raw::lock(&cx, event).await?;
        cx.commit().await?;
        Ok((cursor.head.seq, cursor.stopped.is_some()))
    }

    async fn project_all(&self, event: Uuid, org: Uuid) -> Result<Progress> {
        loop {
            let cx = self.open(org).await?;
            let progress = project(&cx, event).await?;
            cx.commit().await?;
            if !progress.more {
                return Ok(progress);
            }
        }
    }

    async fn page(&self, event: Uuid, after: u64, limit: usize) -> Result<Page> {
        let base = &self.base;
        let url = format!("{base}/internal/v1/journal?event={event}&after={after}&limit={limit}");
        let page: Page = self.get(&url, Duration::ZERO).await?;
        if page.event != event {
            return Err(Error::internal("the gate answered with another event's journal"));
        }
        Ok(page)
    }

    /// Answers whether the gate has the same entry: if not, two journals are in the world and the
    /// event stops.
    async fn acknowledge(&self, event: Uuid, org: Uuid, head: Head) -> Result<bool> {
        let url = format!("{}/internal/v1/journal/ack", self.base);
        let Head { seq, hash: Hash(hash) } = head;
        let hash = data_encoding::HEXLOWER.encode(&hash);
        let body = json!({"consumer": CONSUMER, "event": event, "seq": seq, "hash": hash});
        let token = &self.service.settings().peers.journal_token;
        let reply = self.service.http().post_json(&url, token, &body, REPLY_WAIT).await?;
        match reply.status {
            200..=299 => Ok(true),
            409 => {
                let cx = self.open(org).await?;
                raw::stop(&cx, event, &format!("the gate has another entry {seq}")).await?;
                cx.commit().await?;
                Ok(false)
            }
            status => Err(unexpected(status)),
        }
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, url: &str, wait: Duration) -> Result<T> {
        let token = &self.service.settings().peers.journal_token;
        let wait = wait.saturating_add(REPLY_WAIT);
        let (status, body) = self.service.http().get_bytes(url, token, wait).await?;
        if status != 200 {
            return Err(unexpected(status));
        }
        serde_json::from_slice(&body).map_err(|cause| {
            Error::new(Code::Unavailable, "the gate did not answer as agreed")
                .with_context(format!("at {}:{}", cause.line(), cause.column()))
        })
    }

    async fn open(&self, org: Uuid) -> Result<Cx> {
        self.service.begin(Actor::Service("journal"), org).await
    }
}

struct CaughtUp {
    seq: u64,
    stopped: bool,
    retry_at: Option<Timestamp>,
}

fn unexpected(status: u16) -> Error {
    Error::new(Code::Unavailable, "the gate did not answer as agreed")
        .with_context(format!("status {status}"))
}

fn pause(failures: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE_MAX)
}

fn until(now: Timestamp, due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO)
}
