//! One document of the catalogue, taken over by this node. A document that cannot be used is told
//! and left out; the others go on.

use std::sync::Arc;

use data_encoding::BASE64;
use inventory::command::Instruction;
use inventory::config::{EventConfig, PromoConfig, SectionConfig};
use inventory::log::LogError;
use keys::SealedKey;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::client::Change;
use super::delivery::Delivery;
use super::documents::INSTRUCTION;
use crate::devices::Device;
use crate::events::{Event, EventKeys};
use crate::gate::Gate;

#[derive(Deserialize)]
struct EventDocument {
    config: EventConfig,
    /// Read apart, so that an unreadable key does not take the event away.
    #[serde(default)]
    keys: Value,
    #[serde(default)]
    event_secret_sealed: String,
}

#[derive(Deserialize)]
struct SectionDocument {
    event: Uuid,
    section: SectionConfig,
}

#[derive(Deserialize)]
struct InstructionDocument {
    event: Uuid,
    instruction: Instruction,
}

/// A chunk of an event's promo codes, whole; its id is the chunk's. A chunk that shall name no code any
/// more is sent with none.
#[derive(Deserialize)]
struct PromoCodesDocument {
    event: Uuid,
    promo_codes: Vec<PromoConfig>,
}

const PROMO_CODES: &str = "promo_codes";

/// `offset` is added to the cursors that journals see.
pub(super) async fn apply(
    gate: &Arc<Gate>,
    delivery: &Delivery,
    change: &Change,
    offset: u64,
) -> Result<(), LogError> {
    let (kind, taken) = match change.kind.as_str() {
        "event" => ("event", event(gate, delivery, change, offset).await?),
        PROMO_CODES => (PROMO_CODES, promo_codes(delivery, change, offset)),
        "device" => ("device", device(gate, change)),
        "seat_section" => ("seat_section", section(delivery, change, offset)),
        INSTRUCTION => (INSTRUCTION, instruction(gate, delivery, change)),
        // Additive: a newer back office may send kinds that this gate does not know.
        _ => return Ok(()),
    };
    if let Err(reason) = taken {
        gate.metrics.catalogue_rejected(kind);
        tracing::error!(kind, id = %change.id, cursor = change.cursor, reason, "catalogue document refused");
    }
    Ok(())
}

async fn event(
    gate: &Arc<Gate>,
    delivery: &Delivery,
    change: &Change,
    offset: u64,
) -> Result<Result<(), String>, LogError> {
    // An event that is gone from the catalogue keeps its journal; it can no longer be changed.
    let Some(body) = &change.body else { return Ok(Ok(())) };
    let document = match EventDocument::deserialize(body) {
        Ok(document) => document,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let config = document.config;
    if config.event != change.id {
        return Ok(Err("the configuration is of another event".to_owned()));
    }
    if gate.events.by_number(config.number).is_some_and(|other| other.id != change.id) {
        return Ok(Err(format!("number {} belongs to another event", config.number)));
    }
    let event = gate.events.open(change.id).await?;
    // Its tickets are signed with the number; the journal would refuse another one, and nothing may
    // be taken over here that the journal does not take over.
    let view = event.view();
    let numbered = (view.catalogue_cursor > 0).then_some(view.number);
    if let Some(number) = numbered.filter(|number| *number != config.number) {
        return Ok(Err(format!("the event has number {number} and cannot have another")));
    }
    let keys = open_keys(gate, config.number, &document.keys, &document.event_secret_sealed);
    let told = keys.as_ref().map(|_| ()).map_err(Clone::clone);
    gate.events.configure(&event, config.number, keys.ok());
    // The journal ignores what it has: an equal or older cursor makes no entry.
    delivery.configure(change.id, offset.saturating_add(change.cursor), config);
    Ok(told)
}

fn open_keys(gate: &Gate, number: u32, keys: &Value, secret: &str) -> Result<EventKeys, String> {
    let sealed = Vec::<SealedKey>::deserialize(keys).map_err(|error| format!("keys: {error}"))?;
    let secret = BASE64
        .decode(secret.as_bytes())
        .map_err(|_| "event_secret_sealed: must be base64".to_owned())?;
    EventKeys::open(number, &sealed, &secret, &gate.master_key, gate.role.sells())
        .map_err(|error| format!("keys: {error}"))
}

fn promo_codes(delivery: &Delivery, change: &Change, offset: u64) -> Result<(), String> {
    let Some(body) = &change.body else { return Ok(()) };
    let document = PromoCodesDocument::deserialize(body).map_err(|error| error.to_string())?;
    let cursor = offset.saturating_add(change.cursor);
    delivery.list_promos(document.event, change.id, cursor, document.promo_codes);
    Ok(())
}

fn device(gate: &Gate, change: &Change) -> Result<(), String> {
    let Some(body) = &change.body else {
        gate.devices.remove(change.id);
        return Ok(());
    };
    match Device::deserialize(body) {
        Ok(device) => {
            gate.devices.put(Device { id: change.id, ..device });
            Ok(())
        }
        Err(error) => {
            // What cannot be read must not go on with its former rights.
            gate.devices.remove(change.id);
            Err(error.to_string())
        }
    }
}

/// A section that is gone from the catalogue is said by a document without rows: who has a seat
/// keeps it, and a withdrawn document alone does not tell whose it was.
fn section(delivery: &Delivery, change: &Change, offset: u64) -> Result<(), String> {
    let Some(body) = &change.body else { return Ok(()) };
    let document = SectionDocument::deserialize(body).map_err(|error| error.to_string())?;
    if document.section.id != change.id {
        return Err("the section has another id than its document".to_owned());
    }
    delivery.seat(document.event, offset.saturating_add(change.cursor), document.section);
    Ok(())
}

fn instruction(gate: &Gate, delivery: &Delivery, change: &Change) -> Result<(), String> {
    let Some(body) = &change.body else {
        delivery.withdraw(change.id);
        return Ok(());
    };
    let document =
        InstructionDocument::deserialize(body).map_err(|error| without_values(&error))?;
    delivery.instruct(document.event, change.cursor, change.id, document.instruction);
    gate.metrics.instructions_pending.set(delivery.pending());
    Ok(())
}

/// Why an instruction cannot be read, without the values found in it: it carries personal data, and
/// the reason is logged.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") {
        return text;
    }
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("a value is not {expected}"),
        None => "a value has a form that is not known here".to_owned(),
    }
}

/// The event of a delivery, when this node serves it.
pub(super) fn served(gate: &Gate, event: Uuid) -> Option<Arc<Event>> {
    gate.events.by_id(event)
}
