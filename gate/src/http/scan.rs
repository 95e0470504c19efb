//! A scan, from the request to the verdict: the request is read, the device's assignment checked,
//! the credential verified, and the event's task decides. What fails before the task is answered
//! at once and not remembered; what the task decides is in the journal before the door opens.

use std::sync::Arc;

use inventory::command::{
    Command, Digest16, Direction, Reply as Answered, ScanRequest, Subject, Verdict,
};
use inventory::task::AskError;
use inventory::time::Millis;
use keys::{CREDENTIAL_BYTES, Refused};

use super::answers::{self, Answers};
use super::body;
use super::call::{Call, Reply};
use super::verdict;
use crate::buyer::digest16;
use crate::devices::Device;
use crate::events::Event;
use crate::gate::{Gate, unanswered};
use crate::issue::unix_s;
use crate::json::Fields;
use crate::message::Denial;
use crate::problem::{Code, Problem};

pub(super) const NONCE_RULE: &str = "8 to 64 of A-Z a-z 0-9 _ -";
/// Longest name of a lane or zone, in characters.
pub(super) const NAME_CHARS_MAX: usize = 64;
/// Length of a nonce, in characters.
const NONCE_CHARS: std::ops::RangeInclusive<usize> = 8..=64;

/// `POST /check-in/scan`.
pub(super) async fn scan(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let device = call.device().ok_or_else(|| Problem::internal("a scan without a device"))?;
    let scan = read(call)?;
    assigned(device, &scan)?;
    let direction = scan.direction;
    match decide(gate, device, scan).await {
        Ok(reply) => Ok(reply),
        Err(Undecided::Denied(event, denial)) => {
            Ok(match direction == Direction::Exit && evacuated(gate, device, event.as_deref()) {
                true => verdict::let_out(denial, gate.now()),
                false => refused(gate, device, denial),
            })
        }
        Err(Undecided::Problem(problem)) => Err(problem),
    }
}

/// What the inventory did not decide.
enum Undecided {
    /// The event where it is known.
    Denied(Option<Arc<Event>>, Denial),
    Problem(Problem),
}

impl From<Problem> for Undecided {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

async fn decide(gate: &Gate, device: &Device, mut scan: Scan) -> Result<Reply, Undecided> {
    let checked = check(gate, device, &scan).map_err(|denial| Undecided::Denied(None, denial))?;
    let event = Arc::clone(&checked.event);
    let denied = |denial| Undecided::Denied(Some(Arc::clone(&event)), denial);
    if event.alarm.rings_alone() && scan.direction == Direction::Entry {
        return Err(denied(Denial::Evacuation));
    }
    let answers = std::mem::take(&mut scan.answers);
    let answers = match answers.seal(gate, &event, checked.ticket()).await {
        Ok(answers) => answers,
        Err(answers::Unsealed::Problem(problem)) => return Err(problem.into()),
        // Where the lane decides without the store, nothing is asked either.
        Err(answers::Unsealed::Unavailable) => None,
    };
    let leaves = scan.direction == Direction::Exit;
    let command = ScanRequest { answers, ..command(device, scan, &checked) };
    match gate.ask(&event, Command::Scan(command)).await {
        Ok(answer) => match answer.reply {
            Answered::Scanned(mut decided) => {
                if leaves && event.alarm.rings_alone() {
                    decided.verdict = Verdict::Admit;
                }
                Ok(verdict::decided(gate, &event, &decided).await)
            }
            // The journal knows no configuration of this event yet: nobody can be judged.
            Answered::Refused(_) => Err(denied(Denial::StoreUnavailable)),
            _ => Err(Problem::internal("a scan was answered with something else").into()),
        },
        Err(AskError::Overloaded) if !event.evacuated() => {
            Err(unanswered(AskError::Overloaded).into())
        }
        Err(_) => Err(denied(Denial::StoreUnavailable)),
    }
}

/// Whether the place is being cleared: that of the event or, where what was shown names none, any
/// that the device serves.
fn evacuated(gate: &Gate, device: &Device, event: Option<&Event>) -> bool {
    match event {
        Some(event) => event.evacuated(),
        None => gate.events.all().iter().any(|e| e.evacuated() && serves(device, e).is_ok()),
    }
}

/// The request's fields.
struct Scan {
    presented: Presented,
    lane: String,
    zone: String,
    direction: Direction,
    nonce: String,
    force: bool,
    answers: Answers,
}

enum Presented {
    /// As it was read; judged later, because garbage gets a verdict and not an error.
    Credential(String),
    /// Event number and ticket number of a staff look-up.
    Ticket(u32, u64),
}

fn read(call: &Call) -> Result<Scan, Problem> {
    let mut fields = Fields::root(body::json(call)?)?;
    let credential = fields.raw_text("credential");
    let ticket = fields.raw_text("ticket");
    let presented = match (credential, ticket) {
        (Some(credential), None) => Presented::Credential(credential),
        (None, Some(ticket)) => match verdict::parse_ticket_id(&ticket) {
            Some((event, number)) => Presented::Ticket(event, number),
            None => {
                fields.error("ticket", "format", "must be <event number>-<number>".to_owned());
                Presented::Ticket(0, 0)
            }
        },
        (Some(_), Some(_)) => {
            fields.error("ticket", "unsupported", "comes in place of credential".to_owned());
            Presented::Ticket(0, 0)
        }
        (None, None) => {
            fields.error("credential", "required", "is required".to_owned());
            Presented::Ticket(0, 0)
        }
    };
    let scan = Scan {
        presented,
        lane: fields.text("gate", 1, NAME_CHARS_MAX),
        zone: fields.text("zone", 1, NAME_CHARS_MAX),
        direction: direction(&mut fields),
        nonce: fields.matching("nonce", NONCE_RULE, is_nonce),
        force: fields.flag("force"),
        answers: Answers::read(&mut fields),
    };
    fields.finish()?;
    Ok(scan)
}

pub(super) fn direction(fields: &mut Fields) -> Direction {
    match fields.choice("direction", &["entry", "exit"]) {
        "exit" => Direction::Exit,
        _ => Direction::Entry,
    }
}

pub(super) fn is_nonce(text: &str) -> bool {
    NONCE_CHARS.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Refuses what the device is not assigned to.
fn assigned(device: &Device, scan: &Scan) -> Result<(), Problem> {
    assigned_to(device, "", &scan.lane, &scan.zone, scan.direction)?;
    if scan.force && !device.may_force {
        return Err(Problem::field(
            Code::ForceNotAllowed,
            "force",
            "assignment",
            "the device may not force",
        ));
    }
    Ok(())
}

/// The same for one scan of several; `at` is the path of its fields.
pub(super) fn assigned_to(
    device: &Device,
    at: &str,
    lane: &str,
    zone: &str,
    direction: Direction,
) -> Result<(), Problem> {
    if !device.has_lane(lane) {
        return Err(Problem::field(
            Code::LaneNotAssigned,
            &format!("{at}gate"),
            "assignment",
            "the device is not assigned to this lane",
        ));
    }
    if !device.has_zone(zone) {
        return Err(Problem::field(
            Code::ZoneNotAssigned,
            &format!("{at}zone"),
            "assignment",
            "the device is not assigned to this zone",
        ));
    }
    if !device.directions.contains(&direction) {
        return Err(Problem::field(
            Code::DirectionNotAssigned,
            &format!("{at}direction"),
            "assignment",
            "the device is not assigned to this direction",
        ));
    }
    Ok(())
}

/// A scan whose ticket is genuine and of an event that the device serves.
struct Checked {
    event: Arc<Event>,
    subject: Subject,
    /// What was presented, without the live code: the nonce is bound to it.
    identity: Identity,
}

impl Checked {
    fn ticket(&self) -> u64 {
        let (Subject::Credential { ticket, .. } | Subject::Ticket { ticket }) = self.subject;
        ticket
    }
}

enum Identity {
    Credential([u8; CREDENTIAL_BYTES]),
    Ticket([u8; 8]),
}

/// Step 1 of every scan: parse, key, signature, event.
fn check(gate: &Gate, device: &Device, scan: &Scan) -> Result<Checked, Denial> {
    match &scan.presented {
        Presented::Credential(text) => check_credential(gate, device, text),
        Presented::Ticket(number, ticket) => {
            let event = gate.events.by_number(*number).ok_or(Denial::UnknownTicket)?;
            serves(device, &event)?;
            let identity = Identity::Ticket(ticket.to_be_bytes());
            Ok(Checked { event, subject: Subject::Ticket { ticket: *ticket }, identity })
        }
    }
}

fn check_credential(gate: &Gate, device: &Device, text: &str) -> Result<Checked, Denial> {
    check_credential_at(gate, device, text, gate.now())
}

/// The same for a credential that was shown at another time.
fn check_credential_at(
    gate: &Gate,
    device: &Device,
    text: &str,
    shown_at: Millis,
) -> Result<Checked, Denial> {
    let presented = keys::parse(text).map_err(|_| Denial::Invalid)?;
    let number = presented.credential.unverified().0.event;
    let event = gate.events.by_number(number).ok_or(Denial::UnknownKey)?;
    let keys = event.keys().ok_or(Denial::UnknownKey)?;
    let now_s = unix_s(shown_at);
    let verified =
        keys.ring.verify(&presented.credential, now_s).map_err(|refused| match refused {
            Refused::UnknownKey => Denial::UnknownKey,
            Refused::Invalid => Denial::Invalid,
            Refused::Revoked => Denial::Revoked,
            Refused::NotYet => Denial::KeyNotYet,
            Refused::Expired => Denial::KeyExpired,
            Refused::WrongEvent => Denial::WrongEvent,
        })?;
    serves(device, &event)?;
    let claims = verified.claims();
    let fresh = !claims.rotating
        || presented.live_code.as_ref().is_some_and(|code| {
            let (ticket, revision) = (claims.ticket, claims.revision);
            keys::rotating::verify(&keys.secret, number, ticket, revision, now_s, code)
        });
    let subject = Subject::Credential {
        ticket: claims.ticket,
        revision: claims.revision,
        stale_code: !fresh,
    };
    let identity = Identity::Credential(presented.credential.to_bytes());
    Ok(Checked { event, subject, identity })
}

fn serves(device: &Device, event: &Event) -> Result<(), Denial> {
    let view = event.view();
    device.may_serve(event.id, view.organization).then_some(()).ok_or(Denial::WrongEvent)
}

/// Steps 2 and 3 are the inventory's.
fn command(device: &Device, scan: Scan, checked: &Checked) -> ScanRequest {
    let request = digest(&checked.identity, &scan.lane, &scan.zone, scan.direction);
    ScanRequest {
        device: device.id,
        lane: scan.lane,
        zone: scan.zone,
        direction: scan.direction,
        nonce: scan.nonce,
        request,
        subject: checked.subject,
        force: scan.force,
        answers: None,
    }
}

/// What a nonce is bound to.
fn digest(identity: &Identity, lane: &str, zone: &str, direction: Direction) -> Digest16 {
    let (kind, identity): (&[u8], &[u8]) = match identity {
        Identity::Credential(bytes) => (b"credential\0", bytes),
        Identity::Ticket(bytes) => (b"ticket\0", bytes),
    };
    let direction: &[u8] = match direction {
        Direction::Entry => b"entry",
        Direction::Exit => b"exit",
    };
    // Lane and zone hold no control characters, so the zero bytes part them.
    let (lane, zone) = (lane.as_bytes(), zone.as_bytes());
    digest16(&[b"ATLVS-SCAN-v1\0", kind, identity, lane, b"\0", zone, b"\0", direction])
}

/// A credential that a device decided over alone, checked anew: event, ticket and what its nonce is
/// bound to.
pub(super) fn genuine(
    gate: &Gate,
    device: &Device,
    credential: &str,
    shown_at: Millis,
    (lane, zone, direction): (&str, &str, Direction),
) -> Result<(Arc<Event>, u64, Digest16), Denial> {
    let checked = check_credential_at(gate, device, credential, shown_at)?;
    let request = digest(&checked.identity, lane, zone, direction);
    let ticket = checked.ticket();
    Ok((checked.event, ticket, request))
}

/// A denial that no journal holds: counted, sampled, not remembered.
fn refused(gate: &Gate, device: &Device, denial: Denial) -> Reply {
    let now = gate.now();
    gate.metrics.scan("deny", denial.wire());
    if denial != Denial::StoreUnavailable {
        gate.attempts.refused(&gate.metrics, now, denial.wire(), Some(device.id));
    }
    verdict::denied(denial, now)
}
