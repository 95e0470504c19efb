//! The events this node serves, by id and by number: each with the handle of its task and the keys
//! that sign and verify its tickets. Knows no rules and no HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use inventory::entry::Head;
use inventory::log::{LogError, SharedLog};
use inventory::task::{self, EventHandle, TaskOptions};
use inventory::time::SharedClock;
use inventory::view::EventView;
use keys::{EventSecret, KeyRing, MasterKey, SealedKey, SigningKey};
use tokio::sync::watch;
use uuid::Uuid;

use crate::alarm::Alarm;
use crate::metrics::Metrics;

/// One event on this node.
pub struct Event {
    pub id: Uuid,
    pub handle: EventHandle,
    pub alarm: Alarm,
    /// None until the catalogue brought them and the master key opened them.
    keys: ArcSwapOption<EventKeys>,
    /// The house as it was drawn last.
    drawn: ArcSwapOption<Drawn>,
}

/// A rendering of what an event looked like at one head, kept because it is long.
pub struct Drawn {
    pub head: Head,
    pub tag: String,
    pub body: String,
}

/// What signs, verifies and hides for one event. Replaced whole when the catalogue changes it.
pub struct EventKeys {
    pub number: u32,
    pub ring: KeyRing,
    /// Empty where this process does not issue.
    signing: Vec<(SealedKey, SigningKey)>,
    pub secret: EventSecret,
}

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("the event's secret {0}")]
    Secret(keys::sealed::OpenError),
    #[error(transparent)]
    Ring(#[from] keys::RingError),
    #[error(transparent)]
    Unlock(#[from] keys::UnlockError),
    #[error("key {kid} is of event {event}, not of {expected}")]
    Foreign { kid: keys::Kid, event: u32, expected: u32 },
}

impl EventKeys {
    /// Opens what the catalogue sent. `issues`: private keys are opened too.
    pub fn open(
        number: u32,
        sealed: &[SealedKey],
        secret: &[u8],
        master: &MasterKey,
        issues: bool,
    ) -> Result<Self, KeysError> {
        for key in sealed {
            let (event, kid) = (key.public.event(), key.public.kid());
            if event != number {
                return Err(KeysError::Foreign { kid, event, expected: number });
            }
        }
        let secret = EventSecret::open(secret, master, number).map_err(KeysError::Secret)?;
        let ring = KeyRing::new(sealed.iter().map(|key| key.public.clone()))?;
        let mut signing = Vec::new();
        if issues {
            for key in sealed {
                signing.push((key.clone(), key.open(master)?));
            }
        }
        Ok(Self { number, ring, signing, secret })
    }

    /// The key that signs now.
    pub fn signing(&self, now_unix_s: i64) -> Option<&SigningKey> {
        let sealed = keys::current(self.signing.iter().map(|(s, _)| s), self.number, now_unix_s)?;
        let kid = sealed.public.kid();
        self.signing.iter().find(|(s, _)| s.public.kid() == kid).map(|(_, key)| key)
    }
}

impl Event {
    pub fn keys(&self) -> Option<Arc<EventKeys>> {
        self.keys.load_full()
    }

    pub fn view(&self) -> Arc<EventView> {
        self.handle.view()
    }

    /// No exit is refused, and no entry allowed.
    pub fn evacuated(&self) -> bool {
        self.alarm.rings(self.view().evacuated)
    }

    /// What was drawn at this head, or is drawn now and kept. Two who ask at once both draw.
    pub fn drawn(&self, head: Head, draw: impl FnOnce() -> Drawn) -> Arc<Drawn> {
        if let Some(drawn) = self.drawn.load_full().filter(|drawn| drawn.head == head) {
            return drawn;
        }
        let drawn = Arc::new(draw());
        self.drawn.store(Some(Arc::clone(&drawn)));
        drawn
    }
}

pub struct Registry {
    log: SharedLog,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    spool: Option<PathBuf>,
    by_id: DashMap<Uuid, Arc<Event>>,
    by_number: DashMap<u32, Arc<Event>>,
    /// Rises whenever any event's journal grew.
    moved: Arc<watch::Sender<u64>>,
}

impl Registry {
    pub fn new(
        log: SharedLog,
        clock: SharedClock,
        metrics: Arc<Metrics>,
        spool: Option<PathBuf>,
    ) -> Self {
        // A reader may hold a version of the process before; no process counts through it again.
        let (moved, _) = watch::channel(u64::try_from(clock.now().0).unwrap_or_default());
        let moved = Arc::new(moved);
        let (by_id, by_number) = (DashMap::new(), DashMap::new());
        Self { log, clock, metrics, spool, by_id, by_number, moved }
    }

    /// The event's task, opened when it is not. Only the catalogue's loop and the start call this,
    /// one at a time.
    pub async fn open(&self, id: Uuid) -> Result<Arc<Event>, LogError> {
        if let Some(event) = self.by_id(id) {
            return Ok(event);
        }
        let options = TaskOptions { spool: self.spool.clone(), ..TaskOptions::default() };
        let (log, clock) = (Arc::clone(&self.log), Arc::clone(&self.clock));
        let handle = task::open(log, id, clock, options).await?;
        let view = handle.view();
        let event = Arc::new(Event {
            id,
            handle,
            alarm: Alarm::default(),
            keys: ArcSwapOption::empty(),
            drawn: ArcSwapOption::empty(),
        });
        self.by_id.insert(id, Arc::clone(&event));
        if view.catalogue_cursor > 0 {
            self.by_number.insert(view.number, Arc::clone(&event));
        }
        self.announce(&event);
        self.metrics.events.set(i64::try_from(self.by_id.len()).unwrap_or(i64::MAX));
        Ok(event)
    }

    /// Takes over what the catalogue says of an event's number and keys.
    pub fn configure(&self, event: &Arc<Event>, number: u32, keys: Option<EventKeys>) {
        self.by_number.insert(number, Arc::clone(event));
        event.keys.store(keys.map(Arc::new));
    }

    // Guards of the maps never leave these functions.

    pub fn by_id(&self, id: Uuid) -> Option<Arc<Event>> {
        self.by_id.get(&id).map(|event| Arc::clone(&event))
    }

    pub fn by_number(&self, number: u32) -> Option<Arc<Event>> {
        self.by_number.get(&number).map(|event| Arc::clone(&event))
    }

    pub fn all(&self) -> Vec<Arc<Event>> {
        self.by_id.iter().map(|event| Arc::clone(event.value())).collect()
    }

    /// Version of the heads; changes when any journal grew.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Answers everything accepted, then stops every task.
    pub async fn close(&self) {
        futures_util::future::join_all(
            self.all().iter().map(|event| async move { event.handle.close().await }),
        )
        .await;
    }

    /// Follows the event's head for whoever waits on `moved`. Ends with the event's task.
    fn announce(&self, event: &Arc<Event>) {
        let mut views = event.handle.watch();
        let moved = Arc::clone(&self.moved);
        let metrics = Arc::clone(&self.metrics);
        tokio::spawn(async move {
            let mut known: Option<Head> = None;
            loop {
                let (number, head) = {
                    let view = views.borrow_and_update();
                    (view.number, view.head)
                };
                if known != Some(head) {
                    known = Some(head);
                    metrics.journal_head(number, head.seq);
                    moved.send_modify(|version| *version = version.wrapping_add(1));
                }
                if views.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}
