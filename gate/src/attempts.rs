//! Attempts with bad credentials and tokens: all are counted, a few a second are logged, none is
//! remembered. What was presented never appears, only what was wrong with it.

use std::sync::Mutex;

use inventory::time::Millis;
use uuid::Uuid;

use crate::metrics::Metrics;

/// Lines a second; the others are only counted.
const LINES_PER_S_MAX: u32 = 5;

#[derive(Default)]
pub struct Attempts {
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    second: i64,
    lines: u32,
    /// Attempts since the last line.
    unlogged: u64,
}

impl Attempts {
    /// A refused credential (`device` known) or token (`device` none). `reason` is a wire code.
    pub fn refused(
        &self,
        metrics: &Metrics,
        now: Millis,
        reason: &'static str,
        device: Option<Uuid>,
    ) {
        metrics.attempt(reason);
        if let Some(unlogged) = self.line(now) {
            let device = device.map(|id| id.to_string()).unwrap_or_default();
            tracing::warn!(reason, device, unlogged, "attempt refused");
        }
    }

    /// Whether a line may be written now, and how many attempts went without one.
    fn line(&self, now: Millis) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let second = now.0.div_euclid(1_000);
        if second != window.second {
            window.second = second;
            window.lines = 0;
        }
        if window.lines >= LINES_PER_S_MAX {
            window.unlogged = window.unlogged.saturating_add(1);
            return None;
        }
        window.lines = window.lines.saturating_add(1);
        Some(std::mem::take(&mut window.unlogged))
    }
}

#[cfg(test)]
mod tests;
