//! Evacuation as this node knows it before the journal does. Whoever presses the button is obeyed at
//! once, with or without a store; the journal is told until it has it. Knows no HTTP.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inventory::command::{Command, Reply};
use uuid::Uuid;

use crate::events::Event;
use crate::gate::Gate;

/// Between two tries to tell a journal that did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// What one event was told here and its journal does not have yet.
#[derive(Default)]
pub struct Alarm(Mutex<Option<Wanted>>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    on: bool,
    by: Uuid,
}

impl Alarm {
    /// Whether the place is being cleared; `known` is what the journal says.
    pub fn rings(&self, known: bool) -> bool {
        self.wanted().map_or(known, |wanted| wanted.on)
    }

    /// Rings here only: the journal does not know of it yet.
    pub fn rings_alone(&self) -> bool {
        self.wanted().is_some_and(|wanted| wanted.on)
    }

    fn wanted(&self) -> Option<Wanted> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, wanted: Wanted) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
    }

    /// The journal has it, unless something else was wanted meanwhile.
    fn told(&self, told: Wanted) {
        let mut wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *wanted == Some(told) {
            *wanted = None;
        }
    }
}

/// Begins or ends the evacuation; returns whether the journal has it. If not, it is told later.
pub async fn ring(gate: &Gate, event: &Event, on: bool, by: Uuid) -> bool {
    let wanted = Wanted { on, by };
    event.alarm.set(wanted);
    let durable = tell(gate, event, wanted).await;
    tracing::warn!(event = %event.id, on, %by, durable, "evacuation");
    if !durable {
        gate.alarmed.notify_one();
    }
    durable
}

/// Tells journals what they could not be told, until dropped.
pub async fn run(gate: Arc<Gate>) {
    loop {
        let mut open = false;
        for event in gate.events.all() {
            if let Some(wanted) = event.alarm.wanted() {
                open |= !tell(&gate, &event, wanted).await;
            }
        }
        if open {
            tokio::time::sleep(PAUSE).await;
        } else {
            gate.alarmed.notified().await;
        }
    }
}

async fn tell(gate: &Gate, event: &Event, wanted: Wanted) -> bool {
    let Wanted { on, by } = wanted;
    match gate.ask(event, Command::Evacuate { on, by }).await {
        Ok(answer) if matches!(answer.reply, Reply::Evacuated { .. }) => {
            event.alarm.told(wanted);
            true
        }
        _ => false,
    }
}
