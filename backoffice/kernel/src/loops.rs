//! Runs the registry's background loops until shutdown. A loop that ends with an error is logged
//! and begins again after a pause that doubles; one that ends well after shutdown is done.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use crate::action::Loop;
use crate::error::{Error, Result};
use crate::installation;
use crate::service::{Service, Shutdown};

/// Pause after the first error; doubles up to the second.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A loop gets this long to end after the signal; then it is dropped (it may be killed anywhere).
const END_WAIT: Duration = Duration::from_secs(10);

impl Service {
    /// Runs every loop of every domain; returns after shutdown.
    pub async fn run_loops(&self, shutdown: Shutdown) -> Result<()> {
        let mut running = JoinSet::new();
        for domain in self.registry().domains() {
            for one in domain.loops {
                running.spawn(keep(self.clone(), one, shutdown.clone()));
            }
        }
        let mut signal = shutdown;
        signal.wait().await;
        let ended =
            tokio::time::timeout(END_WAIT, async { while running.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!(left = running.len(), "loops did not end in time and are dropped");
        }
        Ok(())
    }
}

async fn keep(service: Service, one: &'static Loop, shutdown: Shutdown) {
    let mut pause = PAUSE_MIN;
    while !shutdown.requested() {
        installation::wait(&service, one.name, &shutdown).await;
        let begun = service.now();
        service.beats().begun((one.name, ""));
        let run = (one.run)(service.clone(), shutdown.clone());
        let ended = std::panic::AssertUnwindSafe(run).catch_unwind().await;
        let ended = ended.unwrap_or_else(|_| Err(Error::internal("the loop panicked")));
        if shutdown.requested() {
            break;
        }
        match ended {
            Ok(()) => tracing::warn!(name = one.name, "the loop ended and begins again"),
            Err(error) => tracing::error!(
                name = one.name,
                error = error.log_text(),
                pause_ms = pause.as_millis(),
                "the loop failed and begins again after a pause"
            ),
        }
        service.metrics().loop_restarted(one.name);
        service.beats().failed((one.name, ""));
        let lasted = service.now().duration_since(begun).unsigned_abs();
        // One that ran for long was healthy: its next error is a first one.
        if lasted > PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        if !shutdown.pause(pause).await {
            break;
        }
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
    tracing::info!(name = one.name, "the loop has ended");
}
