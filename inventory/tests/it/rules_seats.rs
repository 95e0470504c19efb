//! Rules of seats over the life of a hold, an order and a house, one case at a time.

use inventory::command::{
    Command, HoldItem, Instruction, OrderView, RefusalCode, Reply, SeatWish, TicketStatus,
};
use inventory::config::{SEAT_NUMBER_MAX, SectionConfig};
use inventory::view::SeatState;
use uuid::Uuid;

use crate::harness::{FREE, House, STANDARD, VIP};
use crate::steps::section;

fn seated(which: u8) -> House {
    let mut house = House::open();
    take_over(&mut house, section(which));
    house
}

#[track_caller]
fn take_over(house: &mut House, section: SectionConfig) {
    house.cursor += 1;
    let cursor = house.cursor;
    let command = Command::Seats { cursor, section: Box::new(section) };
    assert_eq!(house.ask(command), Reply::Configured { cursor });
}

fn named(house: &mut House, ticket_type: Uuid, seats: &[u32]) -> Command {
    let quantity = u32::try_from(seats.len()).unwrap();
    let mut request = house.hold_request(&[]);
    let seats = SeatWish::Named(seats.to_vec());
    request.items = vec![HoldItem { ticket_type, quantity, seats }];
    Command::Hold(request)
}

#[track_caller]
fn buy_seats(house: &mut House, seats: &[u32]) -> OrderView {
    let command = named(house, STANDARD, seats);
    let Reply::Held(hold) = house.ask(command) else { panic!("not held") };
    house.order(hold.id)
}

fn state_of(house: &House, seat: usize) -> SeatState {
    house.node.state().view().seats.unwrap().states[seat - 1]
}

fn seats_of(order: &OrderView) -> Vec<u32> {
    order.tickets.iter().filter_map(|t| t.seat.as_ref()).map(|seat| seat.number).collect()
}

#[test]
fn a_named_seat_is_held_sold_and_given_back() {
    let mut house = seated(0);
    let command = named(&mut house, STANDARD, &[2, 1]);
    let Reply::Held(hold) = house.ask(command) else { panic!("not held") };
    let told: Vec<u32> = hold.seats.iter().map(|held| held.seat.number).collect();
    assert_eq!(told, [2, 1]);
    assert_eq!((state_of(&house, 1), state_of(&house, 3)), (SeatState::Held, SeatState::Open));
    let again = named(&mut house, STANDARD, &[3, 1]);
    let taken = (RefusalCode::SeatTaken, Some("seat 1".to_owned()));
    assert_eq!(house.refused(again), taken);
    assert_eq!(state_of(&house, 3), SeatState::Open, "half a hold");

    let order = house.order(hold.id);
    assert_eq!(seats_of(&order), [2, 1]);
    let place = order.tickets[0].seat.as_ref().unwrap();
    assert_eq!(
        (place.section.as_str(), place.row.as_str(), place.label.as_str()),
        ("Stalls", "A", "2")
    );
    assert_eq!(state_of(&house, 1), SeatState::Sold);
    let cancel = Command::Cancel { order: order.id, positions: vec![1], key: None };
    let Reply::Canceled(order) = house.ask(cancel) else { panic!("not canceled") };
    assert_eq!((order.tickets[0].status, seats_of(&order)), (TicketStatus::Canceled, vec![1]));
    assert_eq!((state_of(&house, 1), state_of(&house, 2)), (SeatState::Sold, SeatState::Open));
}

#[test]
fn seats_of_a_hold_that_ends_are_open_again() {
    let mut house = seated(0);
    let command = named(&mut house, STANDARD, &[1]);
    let Reply::Held(first) = house.ask(command) else { panic!("not held") };
    house.now = first.expires_at;
    let command = named(&mut house, STANDARD, &[1]);
    let Reply::Held(second) = house.ask(command) else { panic!("not held") };
    assert_eq!(house.ask(Command::Release { hold: second.id }), Reply::Released);
    assert_eq!(state_of(&house, 1), SeatState::Open);
}

#[test]
fn types_for_seats_get_some_unasked() {
    let mut house = seated(0);
    let order = house.buy(&[(STANDARD, 3), (FREE, 1)]);
    let seats = seats_of(&order);
    assert_eq!(seats.len(), 3, "{seats:?}");
    assert_eq!(order.tickets[3].seat, None);
    let available = |house: &House, id: Uuid| {
        let view = house.node.state().view();
        view.types.iter().find(|kind| kind.id == id).unwrap().available
    };
    // Ten places in the quota less three; thirteen seats less three.
    assert_eq!((available(&house, STANDARD), available(&house, FREE)), (Some(7), None));
    // Sold out by seats, though there is quota left.
    take_over(&mut house, section(3));
    assert_eq!(available(&house, STANDARD), Some(4));
}

#[test]
fn refused_wishes_name_what_failed() {
    #[track_caller]
    fn check(wish: SeatWish, quantity: u32, ticket_type: Uuid, code: RefusalCode, of: &str) {
        let mut house = seated(1);
        let mut request = house.hold_request(&[]);
        request.items = vec![HoldItem { ticket_type, quantity, seats: wish }];
        let (got, constraint) = house.refused(Command::Hold(request));
        assert_eq!((got, constraint.as_deref()), (code, Some(of)));
    }
    let best = |section: &str, wheelchair| SeatWish::Best {
        section: Some(section.to_owned()),
        wheelchair,
    };
    use RefusalCode::{SeatUnit, SoldOut, UnknownSeat};
    check(SeatWish::Named(vec![99]), 1, STANDARD, UnknownSeat, "seat 99");
    check(SeatWish::Named(vec![SEAT_NUMBER_MAX + 1]), 1, STANDARD, UnknownSeat, "seat 262145");
    // Seat 5 is for the VIP type alone in this house, and no seat for the free one.
    check(SeatWish::Named(vec![5]), 1, STANDARD, UnknownSeat, "seat 5");
    check(SeatWish::Named(vec![1]), 1, FREE, UnknownSeat, "seat 1");
    check(SeatWish::Named(vec![1]), 2, STANDARD, UnknownSeat, &format!("ticket_type {STANDARD}"));
    check(best("balcony", 0), 1, STANDARD, UnknownSeat, "section balcony");
    check(best("stalls", 0), 1, FREE, UnknownSeat, &format!("ticket_type {FREE}"));
    check(SeatWish::Named(vec![12]), 1, STANDARD, SeatUnit, "seat 13");
    check(best("stalls", 2), 4, STANDARD, SoldOut, "seats_together 4");
}

#[test]
fn a_party_that_fits_no_row_is_spread_over_adjacent_ones() {
    let mut house = seated(2);
    // Rows of 1..5 with 1, 2 kept back and an aisle before 4, and of 5..14 with a unit at its end.
    let order = house.buy(&[(STANDARD, 8)]);
    let mut seats = seats_of(&order);
    seats.sort_unstable();
    assert_eq!(seats.len(), 8);
    assert_eq!(seats.iter().filter(|seat| **seat < 5).count(), 1, "{seats:?}");
}

#[test]
fn house_seats_are_kept_back_and_given_free() {
    let mut house = seated(0);
    assert_eq!(house.instruct(1, Instruction::SeatBlock { seats: vec![1, 2, 1] }), None);
    let refused = (RefusalCode::SeatTaken, Some("seat 1".to_owned()));
    let command = named(&mut house, STANDARD, &[1]);
    assert_eq!(house.refused(command), refused);
    assert_eq!(state_of(&house, 2), SeatState::Blocked);
    // Nothing changes: no fact but the end.
    let entries = house.journal.len();
    assert_eq!(house.instruct(2, Instruction::SeatBlock { seats: vec![2] }), None);
    assert_eq!(house.kinds(entries), ["instruction.done"]);
    assert_eq!(house.instruct(3, Instruction::SeatUnblock { seats: vec![1] }), None);
    buy_seats(&mut house, &[1]);
    let unknown = Some((RefusalCode::UnknownSeat, Some("seat 77".to_owned())));
    assert_eq!(house.instruct(4, Instruction::SeatBlock { seats: vec![77] }), unknown);
    // What the map keeps back is not given free by hand.
    take_over(&mut house, section(2));
    assert_eq!(house.instruct(5, Instruction::SeatUnblock { seats: vec![2] }), None);
    let command = named(&mut house, STANDARD, &[2]);
    assert_eq!(house.refused(command).0, RefusalCode::SeatTaken);
}

#[test]
fn staff_give_a_ticket_another_seat() {
    let mut house = seated(0);
    let order = buy_seats(&mut house, &[1, 2]);
    assert_eq!(house.instruct(1, Instruction::TicketReseat { ticket: 1, seat: 9 }), None);
    let ticket = house.node.state().ticket_view(1).unwrap();
    assert_eq!((ticket.seat.unwrap().number, ticket.revision), (9, 1));
    assert_eq!(state_of(&house, 1), SeatState::Open);
    let taken = Some((RefusalCode::SeatTaken, Some("seat 9".to_owned())));
    assert_eq!(house.instruct(2, Instruction::TicketReseat { ticket: 2, seat: 9 }), taken);
    let unknown = Some((RefusalCode::UnknownSeat, Some("seat 90".to_owned())));
    assert_eq!(house.instruct(3, Instruction::TicketReseat { ticket: 2, seat: 90 }), unknown);
    let cancel = Command::Cancel { order: order.id, positions: vec![], key: None };
    house.ask(cancel);
    assert_eq!((state_of(&house, 9), state_of(&house, 2)), (SeatState::Open, SeatState::Open));
}

#[test]
fn a_house_is_taken_over_section_by_section() {
    let mut house = House::unconfigured();
    // Before the event is known: documents come in any order.
    take_over(&mut house, section(0));
    house.configure(crate::harness::config());
    buy_seats(&mut house, &[1, 13, 12]);
    let older = Command::Seats { cursor: 1, section: Box::new(section(3)) };
    assert_eq!(house.ask(older), Reply::Configured { cursor: 1 });

    let conflict = |house: &mut House, section: SectionConfig| {
        let id = section.id;
        let refused = house.refused(Command::Seats { cursor: 90, section: Box::new(section) });
        assert_eq!(refused, (RefusalCode::CatalogueConflict, Some(format!("section {id}"))));
    };
    let other = |number: u16, key: &str| SectionConfig {
        id: Uuid::from_u128(0x402),
        number,
        key: key.to_owned(),
        ..section(0)
    };
    conflict(&mut house, other(2, "balcony"));
    conflict(&mut house, SectionConfig { number: 9, ..section(0) });
    let empty = |section: SectionConfig| SectionConfig { rows: vec![], ..section };
    conflict(&mut house, empty(other(1, "balcony")));
    conflict(&mut house, empty(other(2, "stalls")));
    conflict(&mut house, empty(SectionConfig { name: String::new(), ..section(0) }));
    let mut twice = section(0);
    twice.rows[1].seats[0].number = 1;
    conflict(&mut house, twice);
    let mut beyond = section(0);
    beyond.rows[0].seats[0].number = SEAT_NUMBER_MAX + 1;
    conflict(&mut house, beyond);
    let mut apart = section(0);
    let companion = apart.rows[1].seats.pop().unwrap();
    apart.rows[0].seats.push(companion);
    conflict(&mut house, apart);

    // A section that is gone sells nothing; who has a seat keeps it.
    take_over(&mut house, empty(section(0)));
    let command = named(&mut house, VIP, &[2]);
    assert_eq!(house.refused(command), (RefusalCode::UnknownSeat, Some("seat 2".to_owned())));
    take_over(&mut house, section(0));
    assert_eq!(house.node.state().ticket_view(1).unwrap().seat.unwrap().number, 1);
    let command = named(&mut house, VIP, &[1]);
    assert_eq!(house.refused(command).0, RefusalCode::SeatTaken);
}
