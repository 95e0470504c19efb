//! The catalogue feed: polls the back office, keeps the newest documents, and lets the gate start
//! from the kept ones when the back office is away.
//!
//! What is kept beside the journal never contains instructions: those of the back office may carry
//! personal data in clear. Instead the kept cursor stays before the oldest instruction that is not
//! applied yet, so that a restarted gate asks for it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use inventory::log::LogError;
use inventory::time::Millis;
use tokio::sync::watch;

use crate::catalogue::client::Client;
use crate::catalogue::delivery::Delivery;
use crate::catalogue::documents::Documents;
use crate::gate::Gate;

mod apply;
pub mod client;
mod delivery;
mod documents;

/// Name of the kept documents beside the journals.
const KEPT: &str = "catalogue";
/// Pauses between failed polls, doubled from the first to the second.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How far the catalogue is known here.
#[derive(Default)]
pub struct Progress {
    known: AtomicBool,
    answered_at: AtomicI64,
}

impl Progress {
    /// Whether documents are here, received or kept.
    pub fn known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// Seconds since the back office last answered; none before the first time.
    pub fn age_s(&self, now: Millis) -> Option<u64> {
        let at = self.answered_at.load(Ordering::Relaxed);
        let age = (at > 0).then(|| now.0.saturating_sub(at).max(0))?;
        u64::try_from(age.div_euclid(1_000)).ok()
    }

    fn answered(&self, now: Millis) {
        self.answered_at.store(now.0, Ordering::Relaxed);
    }
}

/// Opens the journals that exist and takes over the kept documents.
pub async fn load(gate: &Arc<Gate>) -> Result<Catalogue, LogError> {
    for id in gate.log.events().await? {
        gate.events.open(id).await?;
    }
    let delivery = Arc::new(Delivery::default());
    let mut documents = Documents::default();
    if let Some(bytes) = gate.log.get(KEPT).await? {
        match Documents::decode(&bytes) {
            Ok(kept) => documents = kept,
            // The back office sends everything again.
            Err(error) => tracing::error!(%error, "the kept catalogue cannot be read"),
        }
    }
    for change in documents.all() {
        apply::apply(gate, &delivery, change, documents.offset).await?;
    }
    if !documents.is_empty() {
        gate.catalogue.known.store(true, Ordering::Release);
        gate.metrics.catalogue_cursor.set(documents.cursor);
    }
    Ok(Catalogue { documents, delivery, kept: None })
}

pub struct Catalogue {
    documents: Documents,
    delivery: Arc<Delivery>,
    /// What was last written, so that the same is not written again.
    kept: Option<(u64, u64)>,
}

impl Catalogue {
    /// Polls until told to stop, delivering beside it.
    pub async fn run(mut self, gate: Arc<Gate>, client: Client, mut stop: watch::Receiver<bool>) {
        let delivery = Arc::clone(&self.delivery);
        let delivering = delivery::run(Arc::clone(&gate), delivery);
        let polling = self.poll_forever(&gate, &client);
        tokio::select! {
            () = delivering => {}
            () = polling => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        if let Err(error) = self.keep(&gate).await {
            tracing::warn!(%error, "the catalogue was not kept");
        }
    }

    async fn poll_forever(&mut self, gate: &Arc<Gate>, client: &Client) {
        let mut pause = PAUSE_MIN;
        let mut up = true;
        loop {
            // Instructions are taken in no faster than they are applied.
            self.delivery.has_room().await;
            match self.poll(gate, client).await {
                Ok(()) => {
                    if !up {
                        tracing::info!("the back office answers again");
                    }
                    (up, pause) = (true, PAUSE_MIN);
                }
                Err(error) => {
                    if up {
                        tracing::warn!(%error, "the catalogue could not be polled; retrying");
                    }
                    up = false;
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// One page, applied and kept.
    async fn poll(&mut self, gate: &Arc<Gate>, client: &Client) -> Result<(), PollError> {
        let page = client.page(self.documents.cursor).await?;
        gate.catalogue.answered(gate.now());
        if !self.documents.goes_on(&page) {
            tracing::warn!(
                ours = self.documents.cursor,
                theirs = page.cursor,
                "the back office counts anew; taking the snapshot again"
            );
            self.documents.restart();
            self.documents.epoch = page.epoch;
            return Ok(());
        }
        self.documents.epoch = page.epoch.or(self.documents.epoch);
        let (more, cursor) = (page.more, page.cursor);
        for change in page.changes {
            apply::apply(gate, &self.delivery, &change, self.documents.offset).await?;
            self.documents.take(change);
        }
        self.documents.cursor = cursor;
        gate.metrics.catalogue_cursor.set(cursor);
        if !more {
            for gone in self.documents.settle() {
                apply::apply(gate, &self.delivery, &gone, self.documents.offset).await?;
            }
            gate.catalogue.known.store(true, Ordering::Release);
            self.keep(gate).await?;
        }
        Ok(())
    }

    async fn keep(&mut self, gate: &Gate) -> Result<(), LogError> {
        let before = self.delivery.oldest().map(|cursor| cursor.saturating_sub(1));
        let cursor = before.map_or(self.documents.cursor, |c| c.min(self.documents.cursor));
        let version = (cursor, self.documents.cursor);
        if self.kept == Some(version) {
            return Ok(());
        }
        gate.log.put(KEPT, &self.documents.encode(cursor)).await?;
        self.kept = Some(version);
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Client(#[from] client::ClientError),
    #[error(transparent)]
    Log(#[from] LogError),
}
