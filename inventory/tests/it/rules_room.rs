//! Rules of the waiting room, one case at a time.

use inventory::command::{Command, Digest16, RefusalCode, Reply};
use inventory::config::{EventConfig, ROOM_PER_MINUTE_MAX, RoomConfig};
use inventory::log::Appended;
use inventory::state::{HOLDS_PER_PASS_MAX, PASS_MS, ROOM_STEP_MS, Rank, SAMPLES_MAX, sampled};
use inventory::time::Millis;

use crate::harness::{EVENT, House, MINUTE, SEATS, STANDARD, START, config, digest, quota};

const OPENS: Millis = Millis(START.0 + MINUTE);

/// A room that admits one person a second, and places for so many.
fn waiting_room(seats: u64) -> EventConfig {
    let room = RoomConfig { opens_at: OPENS, closes_at: None, per_minute: 60 };
    let mut config = EventConfig { room: Some(room), ..config() };
    config.quotas[0] = quota(SEATS, 1, Some(seats));
    config.ticket_types.truncate(1);
    config.quotas.truncate(1);
    config
}

fn open(seats: u64) -> House {
    let mut house = House::unconfigured();
    house.configure(waiting_room(seats));
    house
}

fn lot(n: u64) -> Rank {
    Rank::by_lot(n << 32)
}

fn join(house: &mut House, entry: Digest16, rank: Rank) {
    assert_eq!(house.ask(Command::RoomJoin { entry, rank }), Reply::Joined);
}

fn enter(house: &mut House, n: u8, rank: Rank) -> Result<(Millis, u8), RefusalCode> {
    match house.ask(Command::RoomEnter { entry: digest(n), rank }) {
        Reply::Entered { until, holds_left } => Ok((until, holds_left)),
        Reply::Refused(refusal) => Err(refusal.code),
        other => panic!("not an answer: {other:?}"),
    }
}

fn hold(house: &mut House, pass: Option<u8>) -> Command {
    let mut request = house.hold_request(&[(STANDARD, 1)]);
    request.pass = pass.map(digest);
    Command::Hold(request)
}

fn admitted(house: &House) -> Rank {
    house.node.state().view().room.unwrap().admitted
}

#[test]
fn the_admitted_rank_moves_by_people() {
    let mut house = open(100);
    // In another order than that of their ranks.
    for n in [3, 1, 4, 2, 5] {
        join(&mut house, digest(n), lot(u64::from(n)));
    }
    assert_eq!(enter(&mut house, 1, lot(1)), Err(RefusalCode::QueueWait));
    assert_eq!(house.journal.iter().filter(|e| e.kind == "room.moved").count(), 0, "before time");
    house.now = OPENS;
    for n in 1..=4 {
        assert_eq!(house.ask(Command::Tick), Reply::Ticked { expired: 0 });
        assert_eq!(admitted(&house), lot(n), "one a second");
        house.now = house.now.plus_ms(ROOM_STEP_MS);
    }
    // Who comes later stands behind the last one, and is let in with everybody.
    house.ask(Command::Tick);
    house.now = house.now.plus_ms(1);
    let late = Rank::by_time(house.now);
    assert!(lot(u64::MAX >> 33) < late);
    join(&mut house, digest(9), late);
    assert_eq!(enter(&mut house, 9, late), Err(RefusalCode::QueueWait));
    house.now = house.now.plus_ms(2 * ROOM_STEP_MS);
    let (until, holds_left) = enter(&mut house, 9, late).unwrap();
    assert_eq!((until, holds_left), (house.now.plus_ms(PASS_MS), HOLDS_PER_PASS_MAX));
    assert!(enter(&mut house, 5, lot(5)).is_ok());
}

#[test]
fn a_node_that_was_away_does_not_let_in_all_at_once() {
    let mut house = open(100);
    for n in 1..=20 {
        join(&mut house, digest(n), lot(u64::from(n)));
    }
    house.now = OPENS;
    house.ask(Command::Tick);
    house.now = OPENS.plus_ms(10 * MINUTE);
    house.ask(Command::Tick);
    assert_eq!(admitted(&house), lot(6));
}

#[test]
fn nobody_is_let_in_where_nothing_is_left() {
    let mut house = open(2);
    for n in 1..=4 {
        join(&mut house, digest(n), lot(u64::from(n)));
    }
    house.now = OPENS;
    enter(&mut house, 1, lot(1)).unwrap();
    house.now = house.now.plus_ms(ROOM_STEP_MS);
    enter(&mut house, 2, lot(2)).unwrap();
    // Both may still take what there is.
    house.now = house.now.plus_ms(5 * ROOM_STEP_MS);
    assert_eq!(enter(&mut house, 3, lot(3)), Err(RefusalCode::QueueWait));
    let command = hold(&mut house, Some(1));
    let Reply::Held(held) = house.ask(command) else { panic!("not held") };
    // One place and one unused pass are left; a place comes back with the hold.
    house.now = house.now.plus_ms(5 * ROOM_STEP_MS);
    assert_eq!(enter(&mut house, 3, lot(3)), Err(RefusalCode::QueueWait));
    house.ask(Command::Release { hold: held.id });
    house.now = house.now.plus_ms(2 * ROOM_STEP_MS);
    assert!(enter(&mut house, 3, lot(3)).is_ok());
    assert_eq!(enter(&mut house, 4, lot(4)), Err(RefusalCode::QueueWait));
}

#[test]
fn holds_take_a_pass_while_the_room_is_on() {
    let mut house = open(100);
    let refused = |house: &mut House, pass: Option<u8>, why: &str| {
        let command = hold(house, pass);
        let constraint = Some(format!("queue_pass {why}"));
        assert_eq!(house.refused(command), (RefusalCode::QueuePass, constraint));
    };
    refused(&mut house, None, "missing");
    refused(&mut house, Some(1), "expired");
    house.now = OPENS;
    join(&mut house, digest(1), lot(1));
    house.now = house.now.plus_ms(ROOM_STEP_MS);
    let pass = enter(&mut house, 1, lot(1)).unwrap();
    for used in 1..=HOLDS_PER_PASS_MAX {
        let command = hold(&mut house, Some(1));
        let Reply::Held(_) = house.ask(command) else { panic!("not held") };
        // Asked for again it is the same pass.
        assert_eq!(enter(&mut house, 1, lot(1)), Ok((pass.0, HOLDS_PER_PASS_MAX - used)));
    }
    refused(&mut house, Some(1), "used_up");

    // It ends with its time, and another one takes another place in the queue.
    house.now = pass.0;
    refused(&mut house, Some(1), "expired");
    assert_eq!(enter(&mut house, 1, lot(1)), Err(RefusalCode::QueuePass));
    let late = Rank::by_time(house.now);
    join(&mut house, digest(1), late);
    house.now = house.now.plus_ms(ROOM_STEP_MS);
    assert!(enter(&mut house, 1, late).is_ok());
    let command = hold(&mut house, Some(1));
    assert!(matches!(house.ask(command), Reply::Held(_)));
}

#[test]
fn without_a_room_nobody_needs_a_pass() {
    let mut house = House::open();
    let of_event = Some(format!("event {EVENT}"));
    let join = Command::RoomJoin { entry: digest(1), rank: lot(1) };
    assert_eq!(house.refused(join), (RefusalCode::NoQueue, of_event));
    let command = hold(&mut house, None);
    assert!(matches!(house.ask(command), Reply::Held(_)));
    // A room that closes by itself; and one that the catalogue takes away.
    let mut closing = waiting_room(10);
    closing.room.as_mut().unwrap().closes_at = Some(OPENS.plus_ms(MINUTE));
    house.configure(closing.clone());
    let command = hold(&mut house, None);
    assert_eq!(house.refused(command).0, RefusalCode::QueuePass);
    house.now = OPENS.plus_ms(MINUTE);
    let command = hold(&mut house, None);
    assert!(matches!(house.ask(command), Reply::Held(_)));
    house.configure(waiting_room(10));
    assert!(house.node.state().next_due().is_some());
    house.configure(EventConfig { room: None, ..waiting_room(10) });
    let command = hold(&mut house, None);
    assert!(matches!(house.ask(command), Reply::Held(_)));
}

#[test]
fn a_room_that_cannot_be_is_refused() {
    let mut house = House::open();
    let mut check = |room: RoomConfig| {
        let config = EventConfig { room: Some(room), ..config() };
        let command = Command::Configure { cursor: 99, config: Box::new(config) };
        assert_eq!(house.refused(command).0, RefusalCode::CatalogueConflict);
    };
    let room = RoomConfig { opens_at: OPENS, closes_at: None, per_minute: 60 };
    check(RoomConfig { per_minute: 0, ..room });
    check(RoomConfig { per_minute: ROOM_PER_MINUTE_MAX + 1, ..room });
    check(RoomConfig { closes_at: Some(OPENS), ..room });
}

/// Without the checks around it: for many at once. Returns the number of entries.
fn decide_one(house: &mut House, command: Command) -> usize {
    let proposal = house.node.propose(house.now, &[command]).unwrap();
    house.node.settle(&proposal, Appended::Done);
    proposal.batch.entries.len()
}

/// However many wait, a bounded sample of them is kept, and it still tells people from people.
#[test]
fn the_sample_stays_small_and_true() {
    let mut house = open(1_000_000);
    let people = 20_000_u64;
    let mut noted = 0;
    for n in 0..people {
        // As good as random, as an entry is.
        let mixed = u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let entry = Digest16((mixed ^ (mixed >> 67)).to_be_bytes());
        let rank = Rank::by_lot(u64::MAX / people * n);
        noted += decide_one(&mut house, Command::RoomJoin { entry, rank });
    }
    house.node.state().check().unwrap();
    let room = house.node.state().view().room.unwrap();
    let strange = |entry: &Digest16| !sampled(*entry, room.share);
    assert!(strange(&Digest16([255; 16])) && !strange(&Digest16([0; 16])));
    assert!(room.waiting.len() <= SAMPLES_MAX && SAMPLES_MAX / 4 < room.waiting.len());
    assert!(noted < 4 * SAMPLES_MAX, "{noted} entries for {people} people");
    // A minute at ten thousand a minute lets in half of them, give or take three in a hundred.
    let mut config = waiting_room(1_000_000);
    config.room.as_mut().unwrap().per_minute = 10_000;
    house.configure(config);
    house.now = OPENS;
    for _ in 0..60 {
        decide_one(&mut house, Command::Tick);
        house.now = house.now.plus_ms(ROOM_STEP_MS);
    }
    let share = admitted(&house).0 / (u64::MAX / 2 / 100);
    assert!((47..=53).contains(&share), "{share} of a hundred");
}
