//! Scans that handhelds decided offline, told later: each is checked like a scan, and the inventory
//! records it as a fact. Nothing here opens a door.

use std::sync::Arc;

use inventory::command::{
    Command, Direction, OfflineMode, OfflineScan, Reply as Answered, Uploaded,
};
use inventory::decide::UPLOAD_SCANS_MAX as COMMAND_SCANS_MAX;
use inventory::time::Millis;
use serde_json::{Value, json};

use super::body;
use super::call::{Call, Reply};
use super::conflicts;
use super::scan::{self, NAME_CHARS_MAX, NONCE_RULE, is_nonce};
use crate::devices::Device;
use crate::events::Event;
use crate::gate::{Gate, unanswered};
use crate::json::Fields;
use crate::message::Denial;
use crate::problem::Problem;
use crate::routes::UPLOAD_SCANS_MAX;

/// Furthest that a device's clock may be corrected: a day.
const OFFSET_MS_MAX: i64 = 24 * 3_600_000;
/// Signatures verified before others get their turn.
const VERIFIED_AT_ONCE: usize = 32;

/// `POST /check-in/scans/bulk`. One that cannot be recorded does not keep the others back.
pub(super) async fn upload(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let device = call.device().ok_or_else(|| Problem::internal("an upload without a device"))?;
    let scans = read(call)?;
    for (index, sent) in scans.iter().enumerate() {
        let at = format!("scans[{index}].");
        scan::assigned_to(device, &at, &sent.lane, &sent.zone, sent.direction)?;
    }
    let mut results: Vec<Value> = vec![Value::Null; scans.len()];
    let mut of_events: Vec<(Arc<Event>, Vec<Placed>)> = Vec::new();
    for (index, scan) in scans.into_iter().enumerate() {
        if index % VERIFIED_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
        match check(gate, device, scan) {
            Ok((event, fact)) => {
                match of_events.iter_mut().find(|(known, _)| known.id == event.id) {
                    Some((_, facts)) => facts.push((index, fact)),
                    None => of_events.push((event, vec![(index, fact)])),
                }
            }
            Err(denial) => put(&mut results, index, rejected(denial.wire())),
        }
    }
    for (event, facts) in of_events {
        for piece in facts.chunks(COMMAND_SCANS_MAX) {
            record(gate, &event, piece, &mut results).await?;
        }
    }
    Ok(Reply::json(200, &json!({"results": results})).private())
}

/// A fact, and which scan of the request it is.
type Placed = (usize, OfflineScan);

/// A scan as it was sent: of which ticket it is, its credential says.
struct Sent {
    credential: String,
    lane: String,
    zone: String,
    direction: Direction,
    nonce: String,
    /// By the device's clock and its known offset.
    at: Millis,
    admitted: bool,
    mode: OfflineMode,
    bundle: u64,
}

fn read(call: &Call) -> Result<Vec<Sent>, Problem> {
    let mut fields = Fields::root(body::json(call)?)?;
    let scans = fields.objects("scans", (1, UPLOAD_SCANS_MAX), |fields| {
        let credential = fields.raw_text("credential");
        if credential.is_none() {
            fields.error("credential", "required", "is required".to_owned());
        }
        let at = fields.instant("at");
        let offset_ms = fields.i64("offset_ms", -OFFSET_MS_MAX, OFFSET_MS_MAX);
        Sent {
            credential: credential.unwrap_or_default(),
            lane: fields.text("gate", 1, NAME_CHARS_MAX),
            zone: fields.text("zone", 1, NAME_CHARS_MAX),
            direction: scan::direction(fields),
            nonce: fields.matching("nonce", NONCE_RULE, is_nonce),
            at: at.plus_ms(offset_ms),
            admitted: fields.required_choice("decided", &["admit", "deny"]) == "admit",
            mode: match fields.choice("mode", &["bundle", "open", "code_unchecked"]) {
                "open" => OfflineMode::Open,
                "code_unchecked" => OfflineMode::CodeUnchecked,
                _ => OfflineMode::Bundle,
            },
            bundle: fields.u64("bundle"),
        }
    });
    fields.finish()?;
    Ok(scans)
}

fn check(gate: &Gate, device: &Device, sent: Sent) -> Result<(Arc<Event>, OfflineScan), Denial> {
    let door = (sent.lane.as_str(), sent.zone.as_str(), sent.direction);
    // A key is judged by when the ticket was shown, but not by a time that is still to come.
    let shown_at = sent.at.min(gate.now());
    let (event, ticket, request) = scan::genuine(gate, device, &sent.credential, shown_at, door)?;
    let Sent { credential: _, lane, zone, direction, nonce, at, admitted, mode, bundle } = sent;
    let device = device.id;
    let scan = OfflineScan {
        device,
        lane,
        zone,
        direction,
        nonce,
        request,
        ticket,
        at,
        admitted,
        reason: None,
        forced: false,
        mode,
        bundle,
    };
    Ok((event, scan))
}

async fn record(
    gate: &Gate,
    event: &Event,
    piece: &[Placed],
    results: &mut [Value],
) -> Result<(), Problem> {
    let scans = piece.iter().map(|(_, scan)| scan.clone()).collect();
    let answer = gate.ask(event, Command::Upload { scans }).await.map_err(unanswered)?;
    let uploaded = match answer.reply {
        Answered::Uploaded(uploaded) => uploaded,
        Answered::Refused(refusal) => return Err(refusal.into()),
        _ => return Err(Problem::internal("an upload was answered with something else")),
    };
    let number = event.view().number;
    for ((index, _), uploaded) in piece.iter().zip(uploaded) {
        put(results, *index, told(number, &uploaded));
    }
    Ok(())
}

fn put(results: &mut [Value], index: usize, result: Value) {
    if let Some(slot) = results.get_mut(index) {
        *slot = result;
    }
}

fn told(event: u32, uploaded: &Uploaded) -> Value {
    match uploaded {
        Uploaded::Recorded => json!({"status": "recorded", "reason": null, "with": null}),
        Uploaded::Duplicate => json!({"status": "duplicate", "reason": null, "with": null}),
        Uploaded::Rejected(reason) => rejected(reason.code()),
        Uploaded::Conflict(conflict) => json!({
            "status": "conflict",
            "reason": conflict.reason.code(),
            "with": conflicts::told(event, conflict),
        }),
    }
}

fn rejected(reason: &str) -> Value {
    json!({"status": "rejected", "reason": reason, "with": null})
}
