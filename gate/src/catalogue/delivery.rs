//! Configurations and instructions on their way into the events' journals: per event in the
//! catalogue's order, repeated until the journal has them. Instructions are applied once by id, so
//! repeating is safe.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use inventory::command::{Command, Instruction, Refusal, RefusalCode, Reply};
use inventory::config::{EventConfig, PromoConfig, SectionConfig};
use inventory::personal;
use tokio::sync::Notify;
use uuid::Uuid;

use super::apply::served;
use crate::buyer;
use crate::events::Event;
use crate::gate::Gate;
use crate::{issue, secret};

/// Instructions that may wait here; the feed is read on when there is room.
const PENDING_MAX: usize = 10_000;
/// Events that are delivered to at the same time.
const EVENTS_AT_ONCE_MAX: usize = 16;
/// Pause before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Delivery {
    queues: Mutex<BTreeMap<Uuid, Queue>>,
    /// Something came in.
    came: Notify,
    /// Something went out.
    went: Notify,
}

#[derive(Default)]
struct Queue {
    config: Option<(u64, EventConfig)>,
    /// By section.
    sections: BTreeMap<Uuid, (u64, SectionConfig)>,
    /// Promo codes by their chunk.
    promos: BTreeMap<Uuid, (u64, Vec<PromoConfig>)>,
    /// By cursor and id.
    instructions: BTreeMap<(u64, Uuid), Instruction>,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.config.is_none()
            && self.sections.is_empty()
            && self.promos.is_empty()
            && self.instructions.is_empty()
    }
}

enum Next {
    Config(u64, Box<EventConfig>),
    Section(u64, Box<SectionConfig>),
    Promos(Uuid, u64, Vec<PromoConfig>),
    Instruction((u64, Uuid), Box<Instruction>),
}

impl Delivery {
    pub(super) fn configure(&self, event: Uuid, cursor: u64, config: EventConfig) {
        self.queues().entry(event).or_default().config = Some((cursor, config));
        self.came.notify_one();
    }

    pub(super) fn seat(&self, event: Uuid, cursor: u64, section: SectionConfig) {
        let mut queues = self.queues();
        queues.entry(event).or_default().sections.insert(section.id, (cursor, section));
        drop(queues);
        self.came.notify_one();
    }

    pub(super) fn list_promos(
        &self,
        event: Uuid,
        chunk: Uuid,
        cursor: u64,
        promos: Vec<PromoConfig>,
    ) {
        self.queues().entry(event).or_default().promos.insert(chunk, (cursor, promos));
        self.came.notify_one();
    }

    pub(super) fn instruct(&self, event: Uuid, cursor: u64, id: Uuid, instruction: Instruction) {
        let mut queues = self.queues();
        let queue = queues.entry(event).or_default();
        queue.instructions.retain(|(_, other), _| *other != id);
        queue.instructions.insert((cursor, id), instruction);
        drop(queues);
        self.came.notify_one();
    }

    /// The back office saw the instruction done, or took it back.
    pub(super) fn withdraw(&self, id: Uuid) {
        for queue in self.queues().values_mut() {
            queue.instructions.retain(|(_, other), _| *other != id);
        }
        self.went.notify_one();
    }

    /// Cursor of the oldest instruction that is not applied yet.
    pub(super) fn oldest(&self) -> Option<u64> {
        let queues = self.queues();
        let firsts = queues.values().filter_map(|queue| queue.instructions.first_key_value());
        firsts.map(|((cursor, _), _)| *cursor).min()
    }

    pub(super) fn pending(&self) -> i64 {
        i64::try_from(self.waiting()).unwrap_or(i64::MAX)
    }

    /// Returns when there is room for a page of instructions.
    pub(super) async fn has_room(&self) {
        while PENDING_MAX <= self.waiting() {
            self.went.notified().await;
        }
    }

    fn waiting(&self) -> usize {
        self.queues().values().map(|queue| queue.instructions.len()).sum()
    }

    fn next(&self, event: Uuid) -> Option<Next> {
        let queues = self.queues();
        let queue = queues.get(&event)?;
        if let Some((cursor, config)) = &queue.config {
            return Some(Next::Config(*cursor, Box::new(config.clone())));
        }
        if let Some((cursor, section)) = queue.sections.values().min_by_key(|(at, _)| *at) {
            return Some(Next::Section(*cursor, Box::new(section.clone())));
        }
        if let Some((chunk, (cursor, promos))) = queue.promos.first_key_value() {
            return Some(Next::Promos(*chunk, *cursor, promos.clone()));
        }
        let (key, instruction) = queue.instructions.first_key_value()?;
        Some(Next::Instruction(*key, Box::new(instruction.clone())))
    }

    fn configured(&self, event: Uuid, cursor: u64) {
        if let Some(queue) = self.queues().get_mut(&event)
            && queue.config.as_ref().is_some_and(|(newest, _)| *newest == cursor)
        {
            queue.config = None;
        }
    }

    fn seated(&self, event: Uuid, cursor: u64, section: Uuid) {
        if let Some(queue) = self.queues().get_mut(&event)
            && queue.sections.get(&section).is_some_and(|(newest, _)| *newest == cursor)
        {
            queue.sections.remove(&section);
        }
    }

    fn listed(&self, event: Uuid, chunk: Uuid, cursor: u64) {
        if let Some(queue) = self.queues().get_mut(&event)
            && queue.promos.get(&chunk).is_some_and(|(newest, _)| *newest == cursor)
        {
            queue.promos.remove(&chunk);
        }
    }

    fn instructed(&self, event: Uuid, key: (u64, Uuid)) {
        if let Some(queue) = self.queues().get_mut(&event) {
            queue.instructions.remove(&key);
        }
        self.went.notify_one();
    }

    fn events(&self) -> Vec<Uuid> {
        let mut queues = self.queues();
        queues.retain(|_, queue| !queue.is_empty());
        queues.keys().copied().collect()
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<Uuid, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delivers until dropped.
pub(super) async fn run(gate: Arc<Gate>, delivery: Arc<Delivery>) {
    loop {
        let events = delivery.events();
        let complete = stream::iter(events)
            .map(|event| deliver(&gate, &delivery, event))
            .buffer_unordered(EVENTS_AT_ONCE_MAX)
            .fold(true, |complete, one| async move { complete && one })
            .await;
        gate.metrics.instructions_pending.set(delivery.pending());
        if complete {
            delivery.came.notified().await;
        } else {
            // What is new may go on at once; what failed gets its pause.
            let _ = tokio::time::timeout(PAUSE, delivery.came.notified()).await;
        }
    }
}

/// Empties one event's queue; false when something has to be tried again.
async fn deliver(gate: &Arc<Gate>, delivery: &Delivery, id: Uuid) -> bool {
    while let Some(next) = delivery.next(id) {
        // An instruction can come before its event; it waits.
        let Some(event) = served(gate, id) else { return false };
        let delivered = match next {
            Next::Config(cursor, config) => {
                let command = Command::Configure { cursor, config };
                let done = ask(gate, &event, command).await;
                if done {
                    delivery.configured(id, cursor);
                }
                done
            }
            Next::Section(cursor, section) => {
                let of = section.id;
                let done = ask(gate, &event, Command::Seats { cursor, section }).await;
                if done {
                    delivery.seated(id, cursor, of);
                }
                done
            }
            Next::Promos(chunk, cursor, promos) => {
                let command = Command::ListPromos { chunk, cursor, promos };
                let done = ask(gate, &event, command).await;
                if done {
                    delivery.listed(id, chunk, cursor);
                }
                done
            }
            Next::Instruction(key, instruction) => {
                let done = instruct(gate, &event, key.1, *instruction).await;
                if done {
                    delivery.instructed(id, key);
                }
                done
            }
        };
        if !delivered {
            return false;
        }
    }
    true
}

async fn instruct(gate: &Gate, event: &Event, id: Uuid, instruction: Instruction) -> bool {
    let instruction = match seal(event, instruction) {
        Ok(instruction) => instruction,
        Err(reason) => {
            tracing::error!(event = %event.id, instruction = %id, reason, "instruction waits");
            return false;
        }
    };
    ask(gate, event, Command::Instruct { id, instruction: Box::new(instruction) }).await
}

/// Personal data never goes on in clear: it is sealed, and the order's secret is derived.
fn seal(event: &Event, instruction: Instruction) -> Result<Instruction, String> {
    let Instruction::OrderCreate { order, items, channel, buyer, personal, .. } = instruction
    else {
        return Ok(instruction);
    };
    let keys = event.keys().ok_or("the event's keys are not here")?;
    let text = issue::order_secret(&keys.secret, order).map_err(|error| error.to_string())?;
    let email = personal.buyer.email.as_str();
    let buyer = buyer.or_else(|| (!email.is_empty()).then(|| buyer::digest(email)));
    let sealed = personal::seal(&personal, event.id, order).map_err(|error| error.to_string())?;
    Ok(Instruction::OrderCreate {
        order,
        items,
        channel,
        buyer,
        personal: personal::Personal::default(),
        sealed: Some(sealed),
        secret_hash: secret::hash(text.as_bytes()),
    })
}

/// Whether the journal has it.
async fn ask(gate: &Gate, event: &Event, command: Command) -> bool {
    match gate.ask(event, command).await {
        Ok(answer) => {
            match answer.reply {
                Reply::Instructed { id, refused: Some(refusal) } => {
                    gate.metrics.instruction("refused");
                    tracing::warn!(event = %event.id, instruction = %id, code = ?refusal.code, "instruction refused");
                }
                Reply::Instructed { .. } => gate.metrics.instruction("applied"),
                // Nothing was written: the instruction waits for the event's configuration.
                Reply::Refused(Refusal { code: RefusalCode::UnknownEvent, .. }) => return false,
                // The same would be refused again; the event goes on as it was.
                Reply::Refused(refusal) => {
                    gate.metrics.catalogue_rejected("event");
                    tracing::error!(event = %event.id, ?refusal, "configuration refused");
                }
                _ => {}
            }
            true
        }
        Err(error) => {
            tracing::warn!(event = %event.id, %error, "not delivered; trying again");
            false
        }
    }
}
