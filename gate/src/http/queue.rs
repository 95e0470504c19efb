//! The waiting room's doors. Where the queue stands is one public document for everybody, the same
//! bytes until the admitted rank moves: caches answer whoever waits, and a node answers from memory.
//! Only who is admitted costs the store something.

use data_encoding::HEXLOWER;
use inventory::command::{Command, Digest16, Reply as Answered};
use inventory::state::{Rank, sampled};
use inventory::time::Millis;
use inventory::view::{EventView, RoomFigures};
use serde_json::{Value, json};

use super::body::{self, Query};
use super::call::{Call, Reply};
use super::shop::{email, on_offer, seen};
use crate::buyer::{self, digest16};
use crate::events::Event;
use crate::gate::{Gate, unanswered};
use crate::json::Fields;
use crate::problem::{Code, Problem};
use crate::room::{Entry, Pass, RoomKeys, TOKEN_CHARS};

/// How long a cache may answer with where the queue stood, in seconds: as often as it moves.
const CACHED_S: u32 = 1;
/// Pauses between two looks at the queue, in seconds: longer, the more people are ahead.
const PAUSE_S_MIN: u64 = 2;
const PAUSE_S_MAX: u64 = 60;

/// `GET /shop/events/{id}/queue`; with `entry` also where that one stands.
pub(super) fn get(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let event = on_offer(gate, call.uuid(Code::UnknownEvent)?)?;
    let view = event.view();
    let shown = Query::of(call)?.text("entry").map(str::to_owned);
    let Some(room) = view.room.as_ref().filter(|room| room.config.is_on(gate.now())) else {
        let body = json!({"event": view.event, "state": "off"});
        return Ok(public(call, &body, PAUSE_S_MAX));
    };
    let keys = room_keys(&event, room)?;
    let now = gate.now();
    let mut body = render(&view, room, &keys, now);
    let Some(text) = shown else {
        let pause = pause_s(room, u64::try_from(room.waiting.len()).unwrap_or(u64::MAX), now);
        return Ok(public(call, &body, pause));
    };
    let entry = keys.read_entry(&text).ok_or_else(|| {
        Problem::field(Code::InvalidQuery, "entry", "format", "is not an entry of this queue")
    })?;
    let (rank, ahead) = place(room, &keys, &entry);
    if let Some(map) = body.as_object_mut() {
        map.insert("entry".to_owned(), render_entry(room, &keys, &entry, now));
    }
    let pause = if rank <= room.admitted { PAUSE_S_MIN } else { pause_s(room, ahead, now) };
    Ok(Reply::json(200, &body).private().with_header("retry-after", &pause.to_string()))
}

/// `POST /shop/events/{id}/queue`: one entry a buyer, however often one joins before the opening.
pub(super) async fn join(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let mut fields = Fields::root(body::json(call)?)?;
    let address = email(&mut fields);
    if address.is_none() {
        fields.error("email", "required", "is required".to_owned());
    }
    fields.finish()?;
    let event = on_offer(gate, call.uuid(Code::UnknownEvent)?)?;
    let view = event.view();
    let room = room_of(&view, gate.now())?;
    let keys = room_keys(&event, room)?;
    let now = gate.now();
    let entry = keys.entry(buyer::digest(&address.unwrap_or_default()), now);
    // Who is not in the sample leaves no trace: the entry says all.
    if sampled(entry.id, room.share) {
        let command = Command::RoomJoin { entry: entry.id, rank: keys.rank(&entry) };
        match ask(gate, &event, command).await? {
            Answered::Joined => {}
            _ => return Err(Problem::internal("joining was answered with something else")),
        }
    }
    let mut body = render(&view, room, &keys, now);
    if let Some(map) = body.as_object_mut() {
        map.insert("entry".to_owned(), render_entry(room, &keys, &entry, now));
    }
    Ok(Reply::json(201, &body).private())
}

/// `POST /shop/events/{id}/queue/pass`.
pub(super) async fn pass(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let mut fields = Fields::root(body::json(call)?)?;
    let text = fields.text("entry", TOKEN_CHARS, TOKEN_CHARS);
    fields.finish()?;
    let event = on_offer(gate, call.uuid(Code::UnknownEvent)?)?;
    let view = event.view();
    let room = room_of(&view, gate.now())?;
    let keys = room_keys(&event, room)?;
    let entry = keys.read_entry(&text).ok_or_else(|| {
        Problem::field(Code::InvalidBody, "entry", "format", "is not an entry of this queue")
    })?;
    let (rank, ahead) = place(room, &keys, &entry);
    // What memory knows already needs no question: most who ask are not admitted yet.
    if view.fresh && room.admitted < rank {
        let pause = pause_s(room, ahead, gate.now());
        return Err(Problem::new(Code::QueueWait, "not admitted yet").retry_after_s(pause));
    }
    match ask(gate, &event, Command::RoomEnter { entry: entry.id, rank }).await? {
        Answered::Entered { until, holds_left } => {
            let text = keys.write_pass(&Pass { id: entry.id, until });
            let body = json!({"queue_pass": text, "expires_at": until, "holds_left": holds_left});
            Ok(Reply::json(200, &body).private())
        }
        _ => Err(Problem::internal("a pass was answered with something else")),
    }
}

/// Whose pass a hold shows. A pass is its buyer's own.
pub(super) fn shown(
    event: &Event,
    view: &EventView,
    text: Option<&str>,
    buyer: Option<Digest16>,
) -> Result<Option<Digest16>, Problem> {
    let (Some(text), Some(room)) = (text, view.room.as_ref()) else { return Ok(None) };
    let keys = room_keys(event, room)?;
    let wrong = |reason| Problem::field(Code::InvalidBody, "queue_pass", "format", reason);
    let pass = keys.read_pass(text).ok_or_else(|| wrong("is not a pass of this event"))?;
    let owner = buyer.map(|buyer| keys.entry(buyer, Millis::default()).id);
    if owner.is_some_and(|owner| owner != pass.id) {
        return Err(wrong("is another buyer's"));
    }
    Ok(Some(pass.id))
}

fn room_of(view: &EventView, now: Millis) -> Result<&RoomFigures, Problem> {
    let room = view.room.as_ref().filter(|room| room.config.is_on(now));
    room.ok_or_else(|| Problem::new(Code::NoQueue, "the event has no waiting room now"))
}

fn room_keys(event: &Event, room: &RoomFigures) -> Result<RoomKeys, Problem> {
    let keys = event
        .keys()
        .ok_or_else(|| Problem::new(Code::KeysUnavailable, "the event has no usable key"))?;
    RoomKeys::derive(&keys.secret, event.id, room.config)
        .ok_or_else(|| Problem::internal("the waiting room's keys could not be derived"))
}

/// Rank, and about how many people are before it.
fn place(room: &RoomFigures, keys: &RoomKeys, entry: &Entry) -> (Rank, u64) {
    let rank = keys.rank(entry);
    let before = room.waiting.partition_point(|other| *other < rank);
    let before = u64::try_from(before).unwrap_or(u64::MAX);
    (rank, before.saturating_mul(each(room)))
}

/// One of the sample stands for so many people.
fn each(room: &RoomFigures) -> u64 {
    1_u64.checked_shl(u32::from(room.share)).unwrap_or(u64::MAX)
}

/// A tenth of the time that it takes at least until so many were admitted.
fn pause_s(room: &RoomFigures, ahead: u64, now: Millis) -> u64 {
    let opens_ms = room.config.opens_at.0.saturating_sub(now.0).max(0);
    let opens_s = u64::try_from(opens_ms).unwrap_or(0) / 1_000;
    let rate = u64::from(room.config.per_minute).max(1);
    let wait_s = ahead.saturating_mul(60).checked_div(rate).unwrap_or(0).saturating_add(opens_s);
    (wait_s / 10).clamp(PAUSE_S_MIN, PAUSE_S_MAX)
}

fn render(view: &EventView, room: &RoomFigures, keys: &RoomKeys, now: Millis) -> Value {
    let open = room.config.opens_at <= now;
    let waiting = u64::try_from(room.waiting.len()).unwrap_or(u64::MAX);
    json!({
        "event": view.event,
        "state": if open { "open" } else { "upcoming" },
        "opens_at": room.config.opens_at,
        "seed_hash": HEXLOWER.encode(&keys.seed_hash()),
        // Told when nobody can choose an entry by it any more.
        "seed": open.then(|| HEXLOWER.encode(keys.seed())),
        "admitted": room.admitted,
        "per_minute": room.config.per_minute,
        "waiting": waiting.saturating_mul(each(room)),
    })
}

fn render_entry(room: &RoomFigures, keys: &RoomKeys, entry: &Entry, now: Millis) -> Value {
    let (rank, ahead) = place(room, keys, entry);
    // The lot is drawn when the room opens; nobody learns it before.
    let drawn = room.config.opens_at <= now;
    json!({
        "entry": keys.write_entry(entry),
        "id": entry.id,
        "joined_at": entry.joined_at,
        "rank": drawn.then_some(rank),
        "ahead": drawn.then_some(ahead),
        "admitted": drawn && rank <= room.admitted,
    })
}

fn public(call: &Call, body: &Value, pause_s: u64) -> Reply {
    let text = body.to_string();
    let tag = format!("\"{}\"", HEXLOWER.encode(&digest16(&[text.as_bytes()]).0));
    let reply = if seen(call, &tag) {
        Reply::empty(304)
    } else {
        Reply::text(200, "application/json", text)
    };
    reply
        .with_header("etag", &tag)
        .with_header("cache-control", &format!("public, max-age={CACHED_S}"))
        .with_header("retry-after", &pause_s.to_string())
}

async fn ask(gate: &Gate, event: &Event, command: Command) -> Result<Answered, Problem> {
    match gate.ask(event, command).await.map_err(unanswered)?.reply {
        Answered::Refused(refusal) => Err(Problem::from(refusal)),
        reply => Ok(reply),
    }
}
