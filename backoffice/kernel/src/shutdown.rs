//! One signal to end: given once, seen by every listener and loop.

use std::time::Duration;

use tokio::sync::watch;

/// Seen from the side that must end. Cloneable.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Gives the signal; dropping it gives it too.
pub struct Trigger(watch::Sender<bool>);

impl Trigger {
    pub fn end(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// Ends at SIGTERM or SIGINT.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (trigger, shutdown) = Self::new();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("asked to end");
            trigger.end();
        });
        Ok(shutdown)
    }

    pub fn requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when the signal was given.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, which is a signal too.
        let gone = self.0.wait_for(|ended| *ended).await.is_err();
        if gone {
            tracing::debug!("the shutdown trigger was dropped");
        }
    }

    /// Pauses; `false` when the signal came first.
    pub async fn pause(&self, time: Duration) -> bool {
        let mut own = self.clone();
        tokio::time::timeout(time, own.wait()).await.is_err()
    }
}
