//! Rules of sale, one case at a time.

use inventory::command::{
    Channel, Command, Direction, Instruction, OrderCreateItem, OrderStatus, PaymentMethod,
    RefusalCode, Reply, ScanRequest, SeatWish, TicketStatus, Verdict,
};
use inventory::config::{EventConfig, EventStatus};
use inventory::decide::{Outcome, TICKETS_PER_ORDER_MAX, decide};
use inventory::fact::Fact;
use inventory::personal::Person;
use uuid::Uuid;

use crate::harness::{
    DAY, FREE, HOUR, House, LOUNGE, MINUTE, SEATS, STANDARD, START, VIP, config, key, scan_of,
    sealed,
};

#[test]
fn a_ticket_is_held_ordered_and_shown() {
    let mut house = House::open();
    let hold = house.hold(&[(STANDARD, 2), (VIP, 1)]);
    assert_eq!(hold.expires_at, START.plus_ms(10 * MINUTE));
    let line = &hold.lines[0];
    assert_eq!((line.price, line.discount, line.fee, line.tax), (8_500, 0, 300, 1_405));
    assert_eq!(hold.total, 8_800 + 10_000);
    assert_eq!(house.quota(SEATS), (Some(10), 0, 3, Some(7)));
    assert_eq!(house.quota(LOUNGE), (Some(4), 0, 1, Some(3)));

    let order = house.order(hold.id);
    assert_eq!((order.number, order.status, order.total), (1, OrderStatus::Confirmed, 18_800));
    assert_eq!(order.lines, hold.lines);
    let tickets: Vec<_> =
        order.tickets.iter().map(|t| (t.number, t.ticket_type, t.position, t.zones)).collect();
    assert_eq!(tickets, [(1, STANDARD, 0, 1), (2, STANDARD, 1, 1), (3, VIP, 2, 3)]);
    assert_eq!(house.quota(SEATS), (Some(10), 3, 0, Some(7)));
    assert_eq!(house.kinds(0), ["catalogue.applied", "hold.created", "order.confirmed"]);
    let Fact::OrderConfirmed(fact) = house.last_fact() else { panic!() };
    assert_eq!((fact.code.clone(), fact.channel), (order.code.clone(), Channel::Shop));
    assert_eq!(house.node.state().order_view(order.id), Some(order));
}

#[test]
fn refused_holds_name_what_failed() {
    #[track_caller]
    fn check(change: fn(&mut EventConfig), items: &[(Uuid, u32)], code: RefusalCode, of: &str) {
        let mut house = House::unconfigured();
        let mut config = config();
        change(&mut config);
        house.configure(config);
        let request = house.hold_request(items);
        let (got, constraint) = house.refused(Command::Hold(request));
        assert_eq!((got, constraint.as_deref()), (code, Some(of)));
        assert_eq!((house.quota(SEATS).2, house.quota(LOUNGE).2), (0, 0), "half a hold");
    }
    use RefusalCode::{LimitReached, SaleClosed, SoldOut, UnknownTicketType};
    let same = |_: &mut EventConfig| {};
    let (seats, lounge) = (format!("quota {SEATS}"), format!("quota {LOUNGE}"));
    let (standard, vip) = (format!("ticket_type {STANDARD}"), format!("per_order {VIP}"));
    let most = format!("per_order {TICKETS_PER_ORDER_MAX}");
    let event = format!("event {}", crate::harness::EVENT);
    check(same, &[(STANDARD, 11)], SoldOut, &seats);
    check(same, &[(STANDARD, 9), (VIP, 2)], SoldOut, &seats);
    check(same, &[(STANDARD, 6), (STANDARD, 5)], SoldOut, &seats);
    check(|c| c.quotas[1].size = Some(1), &[(STANDARD, 1), (VIP, 2)], SoldOut, &lounge);
    check(|c| c.quotas[0].size = Some(0), &[(FREE, 1), (STANDARD, 1)], SoldOut, &seats);
    check(same, &[(VIP, 3)], LimitReached, &vip);
    check(same, &[(VIP, 2), (VIP, 1)], LimitReached, &vip);
    check(same, &[(FREE, TICKETS_PER_ORDER_MAX + 1)], LimitReached, &most);
    check(same, &[(FREE, u32::MAX), (FREE, u32::MAX)], LimitReached, &most);
    check(same, &[(FREE, 0)], LimitReached, &most);
    check(same, &[], LimitReached, &most);
    check(same, &[(SEATS, 1)], UnknownTicketType, &format!("ticket_type {SEATS}"));
    check(|c| c.status = EventStatus::Draft, &[(FREE, 1)], SaleClosed, &event);
    check(|c| c.status = EventStatus::SaleClosed, &[(FREE, 1)], SaleClosed, &event);
    check(|c| c.status = EventStatus::Canceled, &[(FREE, 1)], SaleClosed, &event);
    check(|c| c.ticket_types[0].active = false, &[(STANDARD, 1)], SaleClosed, &standard);
    let later = |c: &mut EventConfig| c.ticket_types[0].sale_from = Some(START.plus_ms(1));
    check(later, &[(STANDARD, 1)], SaleClosed, &standard);
    let over = |c: &mut EventConfig| c.ticket_types[0].sale_until = Some(START);
    check(over, &[(STANDARD, 1)], SaleClosed, &standard);
}

#[test]
fn an_event_without_catalogue_knows_nothing() {
    let mut house = House::unconfigured();
    let request = house.hold_request(&[(FREE, 1)]);
    assert_eq!(house.refused(Command::Hold(request)).0, RefusalCode::UnknownEvent);
    // An instruction is not used up by coming too early.
    let cancel = Box::new(Instruction::EventCancel {});
    let command = Command::Instruct { id: Uuid::from_u128(1), instruction: cancel };
    assert_eq!(house.refused(command).0, RefusalCode::UnknownEvent);
    assert_eq!(house.ask(Command::Tick), Reply::Ticked { expired: 0 });
    assert!(house.journal.is_empty());
}

#[test]
fn holds_end_by_an_entry_before_whatever_notices() {
    let mut house = House::open();
    let hold = house.hold(&[(STANDARD, 10)]);
    house.now = hold.expires_at.plus_ms(-1);
    let request = house.hold_request(&[(STANDARD, 1)]);
    assert_eq!(house.refused(Command::Hold(request)).0, RefusalCode::SoldOut);
    house.now = hold.expires_at;
    let entries = house.journal.len();
    let second = house.hold(&[(STANDARD, 1)]);
    assert_eq!(house.kinds(entries), ["hold.expired", "hold.created"]);
    assert_eq!(house.quota(SEATS), (Some(10), 0, 1, Some(9)));

    let request = house.order_request(hold.id);
    assert_eq!(house.refused(Command::Order(request)).0, RefusalCode::HoldExpired);
    assert_eq!(
        house.refused(Command::Renew { hold: hold.id, key: None }).0,
        RefusalCode::HoldExpired
    );
    assert_eq!(house.ask(Command::Release { hold: hold.id }), Reply::Released);

    // A tick alone returns it too, once.
    house.now = second.expires_at;
    assert_eq!(house.ask(Command::Tick), Reply::Ticked { expired: 0 });
    assert_eq!(house.kinds(entries + 2), ["hold.expired"]);
    assert_eq!(house.ask(Command::Tick), Reply::Ticked { expired: 0 });
    assert_eq!(house.journal.len(), entries + 3);
}

/// Holds are returned a bounded number at a time: one whose turn has not come is over all the same.
#[test]
fn a_hold_past_its_end_is_no_use_before_it_is_returned() {
    let mut house = House::open();
    let hold = house.hold(&[(STANDARD, 1)]);
    let order = Command::Order(house.order_request(hold.id));
    for (at, over) in [(hold.expires_at.plus_ms(-1), false), (hold.expires_at, true)] {
        for command in [&order, &Command::Renew { hold: hold.id, key: None }] {
            let decision = decide(house.node.state(), at, command);
            let code = match decision.outcome {
                Outcome::Reply(Reply::Refused(refusal)) => Some(refusal.code),
                _ => None,
            };
            assert_eq!(code, over.then_some(RefusalCode::HoldExpired), "{at} {command:?}");
        }
    }
}

#[test]
fn a_hold_ends_at_the_cap_when_that_is_nearer() {
    let mut house = House::open();
    house.configure(EventConfig { hold_ttl_s: 120, hold_cap_s: 60, ..config() });
    assert_eq!(house.hold(&[(STANDARD, 1)]).expires_at, START.plus_ms(MINUTE));
}

#[test]
fn renewals_end_at_the_cap() {
    let mut house = House::open();
    let hold = house.hold(&[(STANDARD, 1)]).id;
    #[track_caller]
    fn check(house: &mut House, hold: Uuid, minute: i64, ends: i64, entries: usize) {
        house.now = START.plus_ms(minute * MINUTE);
        let before = house.journal.len();
        let expires_at = START.plus_ms(ends * MINUTE);
        let renewed = Reply::Renewed { hold, expires_at, replayed: false };
        assert_eq!(house.ask(Command::Renew { hold, key: None }), renewed);
        assert_eq!(house.journal.len() - before, entries);
    }
    check(&mut house, hold, 0, 10, 0);
    check(&mut house, hold, 5, 15, 1);
    check(&mut house, hold, 14, 24, 1);
    check(&mut house, hold, 22, 30, 1);
    check(&mut house, hold, 29, 30, 0);
    house.now = START.plus_ms(30 * MINUTE);
    assert_eq!(house.refused(Command::Renew { hold, key: None }).0, RefusalCode::HoldExpired);
    let unknown = Command::Renew { hold: Uuid::from_u128(1), key: None };
    assert_eq!(house.refused(unknown).0, RefusalCode::UnknownHold);
}

#[test]
fn a_released_hold_gives_back_once() {
    let mut house = House::open();
    let hold = house.hold(&[(STANDARD, 4)]).id;
    assert_eq!(house.ask(Command::Release { hold }), Reply::Released);
    assert_eq!(house.quota(SEATS), (Some(10), 0, 0, Some(10)));
    let entries = house.journal.len();
    assert_eq!(house.ask(Command::Release { hold }), Reply::Released);
    assert_eq!(house.journal.len(), entries);
    let unknown = Command::Release { hold: Uuid::from_u128(1) };
    assert_eq!(house.refused(unknown).0, RefusalCode::UnknownHold);
    let ordered = house.hold(&[(STANDARD, 1)]).id;
    house.order(ordered);
    assert_eq!(house.refused(Command::Release { hold: ordered }).0, RefusalCode::HoldExpired);
}

#[test]
fn refused_orders_leave_the_hold_alone() {
    let mut house = House::open();
    let hold = house.hold(&[(STANDARD, 2)]).id;
    let mut check = |change: fn(&mut inventory::command::OrderRequest), code| {
        let mut request = house.order_request(hold);
        change(&mut request);
        assert_eq!(house.refused(Command::Order(request)).0, code);
        assert_eq!(house.quota(SEATS), (Some(10), 0, 2, Some(8)));
    };
    check(|r| r.hold = Uuid::from_u128(1), RefusalCode::UnknownHold);
    check(|r| r.payment = PaymentMethod::Free, RefusalCode::PaymentNotAccepted);
    check(|r| r.payment = PaymentMethod::Card, RefusalCode::PaymentNotAccepted);
    check(|r| r.attendees = 1, RefusalCode::AttendeesMismatch);
    check(|r| r.attendees = 3, RefusalCode::AttendeesMismatch);
    let mut request = house.order_request(hold);
    request.attendees = 2;
    let order = request.id;
    assert!(matches!(house.ask(Command::Order(request)), Reply::Ordered(_)));
    // The same hold does not become two orders, the same id does not name two.
    let request = house.order_request(hold);
    assert_eq!(house.refused(Command::Order(request)).0, RefusalCode::HoldExpired);
    let hold = house.hold(&[(FREE, 1)]).id;
    let mut request = house.order_request(hold);
    request.id = order;
    assert_eq!(house.refused(Command::Order(request)).0, RefusalCode::IdTaken);
    let mut request = house.hold_request(&[(FREE, 1)]);
    request.id = hold;
    assert_eq!(house.refused(Command::Hold(request)).0, RefusalCode::IdTaken);
}

/// A hold is a promise, but not of an event that does not happen.
#[test]
fn orders_after_the_sale_closed() {
    let mut house = House::open();
    let (first, second) = (house.hold(&[(FREE, 1)]).id, house.hold(&[(FREE, 1)]).id);
    house.configure(EventConfig { status: EventStatus::SaleClosed, ..config() });
    house.order(first);
    assert_eq!(house.instruct(1, Instruction::EventCancel {}), None);
    let request = house.order_request(second);
    assert_eq!(house.refused(Command::Order(request)).0, RefusalCode::SaleClosed);
    let again = house.instruct(2, Instruction::EventCancel {});
    assert_eq!(again.unwrap().0, RefusalCode::AlreadyCanceled);
}

#[test]
fn orders_are_canceled_whole_or_by_position() {
    let mut house = House::open();
    let order = house.buy(&[(STANDARD, 2), (VIP, 1)]);
    let cancel = |positions: &[u64]| Command::Cancel {
        order: order.id,
        positions: positions.to_vec(),
        key: None,
    };
    let Reply::Canceled(view) = house.ask(cancel(&[3, 1, 3])) else { panic!() };
    assert_eq!(view.status, OrderStatus::Confirmed);
    let status: Vec<_> = view.tickets.iter().map(|ticket| ticket.status).collect();
    use TicketStatus::{Canceled, Valid};
    assert_eq!(status, [Canceled, Valid, Canceled]);
    assert_eq!((house.quota(SEATS).1, house.quota(LOUNGE).1), (1, 0));

    let refused = |house: &mut House, positions: &[u64]| house.refused(cancel(positions));
    let code = refused(&mut house, &[1]);
    assert_eq!(code, (RefusalCode::AlreadyCanceled, Some("ticket 1".to_owned())));
    let code = refused(&mut house, &[2, 9]);
    assert_eq!(code, (RefusalCode::UnknownTicket, Some("ticket 9".to_owned())));
    let other = house.buy(&[(FREE, 1)]);
    assert_eq!(refused(&mut house, &[other.tickets[0].number]).0, RefusalCode::UnknownTicket);
    let Reply::Canceled(view) = house.ask(cancel(&[])) else { panic!() };
    assert_eq!(view.status, OrderStatus::Canceled);
    assert_eq!(house.quota(SEATS), (Some(10), 0, 0, Some(10)));
    assert_eq!(refused(&mut house, &[]).0, RefusalCode::AlreadyCanceled);
    let unknown = Command::Cancel { order: Uuid::from_u128(1), positions: vec![], key: None };
    assert_eq!(house.refused(unknown).0, RefusalCode::UnknownOrder);
    // What came back is sold again; numbers are not given twice.
    let order = house.buy(&[(STANDARD, 10)]);
    assert_eq!((order.number, order.tickets[0].number), (3, 5));
}

#[test]
fn a_used_ticket_is_canceled_by_staff_only() {
    let mut house = House::open();
    let order = house.buy(&[(STANDARD, 1)]);
    // Who has left again was there.
    for direction in [Direction::Entry, Direction::Exit] {
        let nonce = format!("nonce-{direction:?}");
        let scan = house.scan(ScanRequest { direction, ..scan_of(1, &nonce) });
        assert_eq!(scan.verdict, Verdict::Admit);
        let cancel = Command::Cancel { order: order.id, positions: vec![], key: None };
        let refused = house.refused(cancel);
        assert_eq!(refused, (RefusalCode::TicketUsed, Some("ticket 1".to_owned())));
    }
    let instruction = Instruction::OrderCancel { order: order.id, positions: vec![] };
    assert_eq!(house.instruct(1, instruction), None);
    assert_eq!(house.node.state().order_view(order.id).unwrap().status, OrderStatus::Canceled);
}

#[test]
fn a_repeated_key_repeats_the_answer() {
    let mut house = House::open();
    let mut request = house.hold_request(&[(STANDARD, 2)]);
    request.key = Some(key(1, 1));
    let Reply::Held(first) = house.ask(Command::Hold(request.clone())) else { panic!() };
    assert!(!first.replayed);
    let entries = house.journal.len();
    request.id = Uuid::from_u128(1);
    let Reply::Held(mut again) = house.ask(Command::Hold(request.clone())) else { panic!() };
    assert!(again.replayed);
    again.replayed = false;
    assert_eq!(again, first);
    request.key = Some(key(1, 2));
    assert_eq!(house.refused(Command::Hold(request)).0, RefusalCode::KeyReused);

    let mut request = house.order_request(first.id);
    request.key = Some(key(2, 1));
    let Reply::Ordered(first) = house.ask(Command::Order(request.clone())) else { panic!() };
    request.id = Uuid::from_u128(2);
    let Reply::Ordered(mut again) = house.ask(Command::Order(request.clone())) else { panic!() };
    assert!(again.replayed);
    again.replayed = false;
    assert_eq!(again, first);
    request.key = Some(key(2, 2));
    assert_eq!(house.refused(Command::Order(request.clone())).0, RefusalCode::KeyReused);
    // A key of another route.
    request.key = Some(key(1, 1));
    assert_eq!(house.refused(Command::Order(request)).0, RefusalCode::KeyReused);

    let cancel =
        |body| Command::Cancel { order: first.id, positions: vec![1], key: Some(key(3, body)) };
    let Reply::Canceled(canceled) = house.ask(cancel(1)) else { panic!() };
    let Reply::Canceled(mut again) = house.ask(cancel(1)) else { panic!() };
    assert!(again.replayed);
    again.replayed = false;
    assert_eq!(again, canceled);
    assert_eq!(house.refused(cancel(2)).0, RefusalCode::KeyReused);
    assert_eq!(house.kinds(entries), ["order.confirmed", "order.canceled"]);
}

#[test]
fn keys_are_kept_a_day_and_refusals_are_not() {
    let mut house = House::open();
    let mut request = house.hold_request(&[(STANDARD, 11)]);
    request.key = Some(key(1, 1));
    assert_eq!(house.refused(Command::Hold(request.clone())).0, RefusalCode::SoldOut);
    house.configure(EventConfig {
        quotas: {
            let mut quotas = config().quotas;
            quotas[0].size = Some(20);
            quotas
        },
        ..config()
    });
    let Reply::Held(first) = house.ask(Command::Hold(request.clone())) else { panic!() };
    request.id = Uuid::from_u128(1);
    house.now = START.plus_ms(DAY - 1);
    let Reply::Held(again) = house.ask(Command::Hold(request.clone())) else { panic!() };
    assert_eq!((again.id, again.replayed), (first.id, true));
    house.now = START.plus_ms(DAY);
    let Reply::Held(new) = house.ask(Command::Hold(request)) else { panic!() };
    assert_eq!((new.id, new.replayed), (Uuid::from_u128(1), false));
    // The old hold is forgotten a day after its end.
    assert!(house.node.state().hold_view(first.id).is_some());
    house.now = START.plus_ms(2 * DAY + HOUR);
    house.hold(&[(FREE, 1)]);
    house.hold(&[(FREE, 1)]);
    assert!(house.node.state().hold_view(first.id).is_none());
}

/// The very entry that gives a key anew also clears away the old one.
#[test]
fn a_key_given_anew_is_remembered_anew() {
    let mut house = House::open();
    let mut request = house.hold_request(&[(STANDARD, 1)]);
    request.key = Some(key(1, 1));
    let hold = request.id;
    house.ask(Command::Hold(request.clone()));
    assert_eq!(house.ask(Command::Release { hold }), Reply::Released);
    house.now = START.plus_ms(DAY);
    for replayed in [false, true] {
        request.id = house.fresh_id();
        let Reply::Held(view) = house.ask(Command::Hold(request.clone())) else { panic!() };
        assert_eq!(view.replayed, replayed);
    }
}

#[test]
fn staff_may_shrink_a_quota_below_what_is_sold() {
    let mut house = House::open();
    house.buy(&[(STANDARD, 6)]);
    let held = house.hold(&[(STANDARD, 2)]).id;
    let mut smaller = config();
    smaller.quotas[0].size = Some(5);
    house.configure(smaller);
    assert_eq!(house.quota(SEATS), (Some(5), 6, 2, Some(-3)));
    let types = house.node.state().view().types;
    assert_eq!(types.iter().map(|t| t.available).collect::<Vec<_>>(), [Some(0), Some(0), None]);
    let request = house.hold_request(&[(STANDARD, 1)]);
    assert_eq!(house.refused(Command::Hold(request)).0, RefusalCode::SoldOut);
    // What is held was promised.
    house.order(held);
    assert_eq!(house.quota(SEATS), (Some(5), 8, 0, Some(-3)));
}

#[test]
fn the_back_office_creates_orders_once() {
    let mut house = House::open();
    house.configure(EventConfig { status: EventStatus::Draft, ..config() });
    let create = |order: u128, items: &[(Uuid, u32)], channel| Instruction::OrderCreate {
        order: Uuid::from_u128(order),
        items: items
            .iter()
            .map(|(ticket_type, quantity)| OrderCreateItem {
                ticket_type: *ticket_type,
                quantity: *quantity,
                seats: SeatWish::default(),
            })
            .collect(),
        channel,
        buyer: None,
        personal: Default::default(),
        sealed: Some(sealed()),
        secret_hash: [4; 32],
    };
    // Past the shop's limit per order and before the sale.
    assert_eq!(house.instruct(1, create(11, &[(VIP, 3)], Channel::Comp)), None);
    assert_eq!(house.kinds(2), ["order.confirmed", "instruction.done"]);
    let order = house.node.state().order_view(Uuid::from_u128(11)).unwrap();
    let line = &order.lines[0];
    assert_eq!((line.price, line.discount, line.fee, line.tax), (30_000, 30_000, 0, 0));
    assert_eq!((order.total, order.secret_hash, order.personal.len()), (0, [4; 32], 40));
    // The same instruction again, whatever it says now.
    assert_eq!(house.instruct(1, create(12, &[(VIP, 1)], Channel::Comp)), None);
    assert_eq!(house.journal.len(), 4);

    assert_eq!(house.instruct(2, create(12, &[(STANDARD, 1)], Channel::BoxOffice)), None);
    assert_eq!(house.node.state().order_view(Uuid::from_u128(12)).unwrap().total, 4_400);
    let Fact::OrderConfirmed(fact) = Fact::from_entry(&house.journal[4]).unwrap() else { panic!() };
    assert_eq!((fact.channel, fact.payment), (Channel::BoxOffice, PaymentMethod::Invoice));

    let sold_out = house.instruct(3, create(13, &[(VIP, 2)], Channel::Comp)).unwrap();
    assert_eq!(sold_out, (RefusalCode::SoldOut, Some(format!("quota {LOUNGE}"))));
    let taken = house.instruct(4, create(12, &[(FREE, 1)], Channel::Comp)).unwrap();
    assert_eq!(taken.0, RefusalCode::IdTaken);
    let unknown = house.instruct(5, create(14, &[(SEATS, 1)], Channel::Import)).unwrap();
    assert_eq!(unknown.0, RefusalCode::UnknownTicketType);
    let mut named = create(15, &[(FREE, 2)], Channel::Comp);
    let Instruction::OrderCreate { personal, .. } = &mut named else { panic!() };
    personal.attendees = vec![Person::default()];
    assert_eq!(house.instruct(7, named).unwrap().0, RefusalCode::AttendeesMismatch);
    assert_eq!(house.kinds(6), ["instruction.done"; 4]);
    // A refusal stands: the same id is not tried again when there would be room.
    house.instruct(6, Instruction::OrderCancel { order: Uuid::from_u128(11), positions: vec![] });
    assert_eq!(house.instruct(3, create(13, &[(VIP, 2)], Channel::Comp)).unwrap(), sold_out);
}
