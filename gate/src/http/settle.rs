//! What became of a scan: a turnstile reports, a device takes its admission back. Decides nothing.

use std::sync::Arc;

use inventory::command::{Command, RefusalCode, Reply as Answered};

use super::body;
use super::call::{Call, Reply};
use super::scan::{NONCE_RULE, is_nonce};
use super::verdict;
use crate::devices::Device;
use crate::events::Event;
use crate::gate::{Gate, unanswered};
use crate::json::Fields;
use crate::problem::{Code, Problem};

/// `POST /check-in/scans/{id}/passed` and `/not-passed`.
pub(super) async fn report(gate: &Gate, call: &Call, passed: bool) -> Result<Reply, Problem> {
    let device = device(call)?;
    let unknown = || Problem::new(Code::UnknownScan, "no such scan of this device");
    let (number, scan) = verdict::parse_ticket_id(call.id()).ok_or_else(unknown)?;
    let event = gate.events.by_number(number).filter(|event| serves(device, event));
    let command = Command::Settle { device: device.id, scan, passed };
    let event = event.ok_or_else(unknown)?;
    ask(gate, &event, command).await
}

/// `POST /check-in/annul`. The nonce says nothing of its event: those that the device serves are
/// asked one after the other.
pub(super) async fn annul(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let device = device(call)?;
    let mut fields = Fields::root(body::json(call)?)?;
    let nonce = fields.matching("nonce", NONCE_RULE, is_nonce);
    fields.finish()?;
    let events = gate.events.all().into_iter().filter(|event| serves(device, event));
    for event in events {
        let command = Command::Annul { device: device.id, nonce: nonce.clone() };
        match ask(gate, &event, command).await {
            Err(problem) if problem.code == Code::UnknownScan => {}
            answered => return answered,
        }
    }
    Err(Problem::new(Code::UnknownScan, "this device has no scan with this nonce"))
}

fn device(call: &Call) -> Result<&Arc<Device>, Problem> {
    call.device().ok_or_else(|| Problem::internal("a report without a device"))
}

fn serves(device: &Device, event: &Event) -> bool {
    device.may_serve(event.id, event.view().organization)
}

async fn ask(gate: &Gate, event: &Event, command: Command) -> Result<Reply, Problem> {
    match gate.ask(event, command).await.map_err(unanswered)?.reply {
        Answered::Settled(scan) | Answered::Annulled(scan) => {
            Ok(verdict::decided(gate, event, &scan).await)
        }
        Answered::Refused(refusal) if refusal.code == RefusalCode::UnknownEvent => {
            Err(Problem::new(Code::UnknownScan, "no such scan of this device"))
        }
        Answered::Refused(refusal) => Err(refusal.into()),
        _ => Err(Problem::internal("a report was answered with something else")),
    }
}
