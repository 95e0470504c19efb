//! Signs of life of the background loops of this process. A loop that has given one owes the next;
//! what was silent for too long, or keeps failing, makes the process unready. Knows no loop.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A loop that gave no sign for so long hangs: longer than any batch, statement or call may take.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(180);

/// Loop, and the part of it that beats by itself (empty: the loop).
type Name = (&'static str, &'static str);

#[derive(Default)]
pub(crate) struct Beats(Mutex<BTreeMap<Name, Beat>>);

#[derive(Default)]
struct Beat {
    last: Option<Instant>,
    failed: bool,
}

impl Beats {
    pub(crate) fn beat(&self, name: Name) {
        self.lock().insert(name, Beat { last: Some(Instant::now()), failed: false });
    }

    /// The loop ended with an error and waits to begin again.
    pub(crate) fn failed(&self, name: Name) {
        self.lock().entry(name).or_default().failed = true;
    }

    /// The loop begins: it owes no sign of before.
    pub(crate) fn begun(&self, name: Name) {
        self.lock().insert(name, Beat::default());
    }

    /// What is wrong, a sentence each.
    pub(crate) fn faults(&self, now: Instant) -> Vec<String> {
        let all = self.lock();
        let faults = all.iter().filter_map(|((name, part), beat)| {
            let name =
                if part.is_empty() { (*name).to_owned() } else { format!("{name} ({part})") };
            let silent = beat.last.map(|last| now.saturating_duration_since(last));
            match silent.filter(|silent| *silent > SILENCE_MAX) {
                _ if beat.failed => Some(format!("the loop {name} failed")),
                Some(silent) => {
                    Some(format!("the loop {name} gave no sign for {} s", silent.as_secs()))
                }
                None => None,
            }
        });
        faults.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Beat>> {
        // Signs stay usable whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
