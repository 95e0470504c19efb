//! Orders that wait for a payment, what late ones lead to, and what cancellations give back.

use inventory::command::{
    Command, Instruction, OrderRequest, OrderStatus, OrderView, PaymentMethod, RefusalCode, Reply,
};
use inventory::config::EventConfig;
use uuid::Uuid;

use crate::harness::{
    FREE, House, MINUTE, SEATS, STANDARD, START, VIP, config, digest, key, promo, scan_of,
};

fn with_cards(change: impl FnOnce(&mut EventConfig)) -> House {
    let mut house = House::unconfigured();
    let mut config = config();
    config.sale.payment_url = Some("https://pay.example/{order}".to_owned());
    change(&mut config);
    house.configure(config);
    house
}

#[track_caller]
fn place(house: &mut House, items: &[(Uuid, u32)]) -> OrderView {
    let hold = house.hold(items).id;
    let card = OrderRequest { payment: PaymentMethod::Card, ..house.order_request(hold) };
    let Reply::Ordered(view) = house.ask(Command::Order(card)) else { panic!("not placed") };
    assert_eq!(view.status, OrderStatus::AwaitingPayment);
    view
}

#[track_caller]
fn pay(house: &mut House, order: Uuid) -> OrderView {
    let instruction = house.fresh_id().as_u128();
    assert_eq!(house.instruct(instruction, Instruction::OrderPaid { order }), None);
    house.node.state().order_view(order).unwrap()
}

#[test]
fn an_order_waits_with_what_its_hold_held() {
    let mut house = with_cards(|_| ());
    let placed = place(&mut house, &[(STANDARD, 4)]);
    assert_eq!((placed.number, placed.tickets.len(), placed.total), (1, 0, 17_600));
    assert_eq!(placed.until, Some(START.plus_ms(20 * MINUTE)));
    assert_eq!(house.quota(SEATS), (Some(10), 0, 4, Some(6)));
    // Longer than its hold would have lasted.
    house.now = START.plus_ms(19 * MINUTE);
    let other = house.buy(&[(FREE, 1)]);
    let paid = pay(&mut house, placed.id);
    assert_eq!((paid.status, paid.number, paid.code), (OrderStatus::Confirmed, 1, placed.code));
    assert_eq!((paid.lines, paid.until), (placed.lines, None));
    assert_eq!(paid.personal, placed.personal);
    let numbers: Vec<u64> = paid.tickets.iter().map(|ticket| ticket.number).collect();
    assert_eq!((other.tickets[0].number, numbers), (1, vec![2, 3, 4, 5]));
    assert_eq!(house.quota(SEATS), (Some(10), 4, 0, Some(6)));
    // The provider tells it twice.
    let entries = house.journal.len();
    pay(&mut house, placed.id);
    assert_eq!(house.kinds(entries), ["instruction.done"]);
    assert_eq!(house.scan(scan_of(2, "nonce-0001")).reason, None);
}

#[test]
fn the_hold_of_an_order_that_waits_is_the_orders() {
    let mut house = with_cards(|_| ());
    let hold = house.hold(&[(STANDARD, 1)]).id;
    let card = OrderRequest { payment: PaymentMethod::Card, ..house.order_request(hold) };
    house.ask(Command::Order(card));
    let expired = (RefusalCode::HoldExpired, Some(format!("hold {hold}")));
    assert_eq!(house.refused(Command::Renew { hold, key: None }), expired);
    assert_eq!(house.refused(Command::Release { hold }), expired);
    let again = house.order_request(hold);
    assert_eq!(house.refused(Command::Order(again)), expired);
}

#[test]
fn cards_need_somewhere_and_something_to_pay() {
    #[track_caller]
    fn check(mut house: House, items: &[(Uuid, u32)]) {
        let hold = house.hold(items).id;
        let card = OrderRequest { payment: PaymentMethod::Card, ..house.order_request(hold) };
        assert_eq!(house.refused(Command::Order(card)).0, RefusalCode::PaymentNotAccepted);
    }
    check(House::open(), &[(STANDARD, 1)]);
    check(with_cards(|_| ()), &[(FREE, 1)]);
}

#[test]
fn an_order_that_is_not_paid_gives_back() {
    let mut house = with_cards(|c| c.sale.payment_cap_s = 60);
    let placed = place(&mut house, &[(STANDARD, 10)]);
    house.now = START.plus_ms(MINUTE - 1);
    let request = house.hold_request(&[(STANDARD, 1)]);
    assert_eq!(house.refused(Command::Hold(request)).0, RefusalCode::SoldOut);
    house.now = START.plus_ms(MINUTE);
    let entries = house.journal.len();
    house.hold(&[(STANDARD, 10)]);
    assert_eq!(house.kinds(entries), ["order.expired", "hold.created"]);
    let view = house.node.state().order_view(placed.id).unwrap();
    assert_eq!((view.status, view.until), (OrderStatus::Expired, None));
    // Told to have failed, it does not wait for its time.
    let mut house = with_cards(|_| ());
    let placed = place(&mut house, &[(STANDARD, 10)]);
    house.instruct(1, Instruction::OrderPaymentFailed { order: placed.id });
    assert_eq!(house.quota(SEATS), (Some(10), 0, 0, Some(10)));
    house.instruct(2, Instruction::OrderPaymentFailed { order: placed.id });
    assert_eq!(house.kinds(3), ["order.expired", "instruction.done", "instruction.done"]);
    let unknown = Instruction::OrderPaymentFailed { order: Uuid::from_u128(1) };
    assert_eq!(house.instruct(3, unknown).unwrap().0, RefusalCode::UnknownOrder);
}

#[test]
fn a_late_payment_is_honoured_while_there_is_something_left() {
    #[track_caller]
    fn check(sold_meanwhile: u32, cancel: bool, expect: OrderStatus) {
        let mut house = with_cards(|_| ());
        let placed = place(&mut house, &[(STANDARD, 4)]);
        house.now = START.plus_ms(20 * MINUTE);
        if 0 < sold_meanwhile {
            house.buy(&[(STANDARD, sold_meanwhile)]);
        }
        if cancel {
            house.instruct(1, Instruction::EventCancel {});
        }
        house.ask(Command::Tick);
        let paid = pay(&mut house, placed.id);
        assert_eq!((paid.status, paid.total), (expect, placed.total));
        let sold = if expect == OrderStatus::Confirmed { 4 } else { 0 };
        assert_eq!(house.quota(SEATS).1, u64::from(sold_meanwhile) + sold);
        // Told again, nothing happens twice.
        let entries = house.journal.len();
        assert_eq!(pay(&mut house, placed.id).status, expect);
        assert_eq!(house.kinds(entries), ["instruction.done"]);
    }
    check(0, false, OrderStatus::Confirmed);
    check(6, false, OrderStatus::Confirmed);
    check(7, false, OrderStatus::RefundDue);
    check(0, true, OrderStatus::RefundDue);
}

#[test]
fn a_payment_of_what_was_withdrawn_is_due_back() {
    let mut house = with_cards(|_| ());
    let placed = place(&mut house, &[(STANDARD, 4)]);
    let cancel = Command::Cancel { order: placed.id, positions: vec![], key: Some(key(1, 1)) };
    let Reply::Canceled(view) = house.ask(cancel.clone()) else { panic!() };
    assert_eq!((view.status, view.refunded), (OrderStatus::Canceled, 0));
    let Reply::Canceled(again) = house.ask(cancel) else { panic!() };
    assert!(again.replayed);
    assert_eq!(house.quota(SEATS), (Some(10), 0, 0, Some(10)));
    assert_eq!(pay(&mut house, placed.id).status, OrderStatus::RefundDue);
    // Paid in time, but the event is off.
    let mut house = with_cards(|_| ());
    let placed = place(&mut house, &[(STANDARD, 4)]);
    house.instruct(1, Instruction::EventCancel {});
    let entries = house.journal.len();
    assert_eq!(pay(&mut house, placed.id).status, OrderStatus::RefundDue);
    let kinds = ["order.expired", "order.refund_due", "instruction.done"];
    assert_eq!(house.kinds(entries), kinds);
}

/// What waits counts for whoever ordered, and for its code.
#[test]
fn an_order_that_waits_counts_for_limits_and_codes() {
    let mut house = with_cards(|c| c.ticket_types[0].max_per_customer = Some(2));
    house.list(vec![inventory::config::PromoConfig { max_uses: Some(1), ..promo(1) }]);
    let hold = house.coded(&[(STANDARD, 2)], Some(1), None).unwrap().id;
    let card = OrderRequest {
        payment: PaymentMethod::Card,
        buyer: Some(digest(1)),
        ..house.order_request(hold)
    };
    let Reply::Ordered(order) = house.ask(Command::Order(card)) else { panic!() };
    let reached = house.coded(&[(STANDARD, 1)], None, Some(1)).unwrap_err();
    assert_eq!(reached.0, RefusalCode::LimitReached);
    assert_eq!(house.coded(&[(VIP, 1)], Some(1), None).unwrap_err().0, RefusalCode::PromoExhausted);
    let paid = pay(&mut house, order.id);
    assert_eq!((paid.lines[0].discount, paid.tickets.len()), (850, 2));
    assert_eq!(house.coded(&[(VIP, 1)], Some(1), None).unwrap_err().0, RefusalCode::PromoExhausted);
}

#[test]
fn cancellations_tell_what_each_ticket_gives_back() {
    #[track_caller]
    fn check(
        change: fn(&mut EventConfig),
        items: &[(Uuid, u32)],
        positions: &[u64],
        refunds: &[i64],
    ) {
        let mut house = with_cards(change);
        let order = house.buy(items);
        let cancel = Command::Cancel { order: order.id, positions: positions.to_vec(), key: None };
        let Reply::Canceled(view) = house.ask(cancel) else { panic!() };
        let told: Vec<i64> = view.tickets.iter().map(|ticket| ticket.refund).collect();
        assert_eq!((told.as_slice(), view.refunded), (refunds, refunds.iter().sum()));
    }
    let none = |_: &mut EventConfig| ();
    check(none, &[(STANDARD, 2)], &[2], &[0, 4_250]);
    check(none, &[(STANDARD, 2), (VIP, 1)], &[], &[4_250, 4_250, 10_000]);
    check(none, &[(FREE, 2)], &[], &[0, 0]);
    let fees = |c: &mut EventConfig| c.sale.refund_fees = true;
    check(fees, &[(STANDARD, 2)], &[2], &[0, 4_400]);
    // 10 % on 85.00 and 3.00 is 8.80: of each ticket 4.40, and 4.25 of it without the fee.
    let added = |c: &mut EventConfig| {
        (c.ticket_types[0].tax_added, c.ticket_types[0].tax_rate_bp) = (true, 1_000);
    };
    check(added, &[(STANDARD, 2)], &[1], &[4_675, 0]);
    // With its fees a whole order gives back what it cost, to the last cent.
    let odd = |c: &mut EventConfig| {
        (c.sale.refund_fees, c.sale.order_fee) = (true, 200);
        (c.ticket_types[0].tax_added, c.ticket_types[0].tax_rate_bp) = (true, 725);
    };
    let mut house = with_cards(odd);
    let order = house.buy(&[(STANDARD, 3)]);
    house.ask(Command::Cancel { order: order.id, positions: vec![2], key: None });
    let cancel = Command::Cancel { order: order.id, positions: vec![], key: None };
    let Reply::Canceled(view) = house.ask(cancel) else { panic!() };
    assert_eq!(view.refunded, order.total);
}

#[test]
fn a_new_code_supersedes_the_old_one() {
    let mut house = House::open();
    house.buy(&[(STANDARD, 1)]);
    let reissue = |body| Command::Reissue { ticket: 1, key: Some(key(1, body)) };
    for replayed in [false, true] {
        let Reply::Reissued { ticket, replayed: told } = house.ask(reissue(1)) else { panic!() };
        assert_eq!((ticket.revision, told), (1, replayed));
    }
    assert_eq!(house.refused(reissue(2)).0, RefusalCode::KeyReused);
    let old = house.scan(scan_of(1, "nonce-0001"));
    assert_eq!(old.reason, Some(inventory::command::Reason::Superseded));
    let unknown = Command::Reissue { ticket: 2, key: None };
    assert_eq!(house.refused(unknown).0, RefusalCode::UnknownTicket);
    let order = house.node.state().ticket_view(1).unwrap().order;
    house.ask(Command::Cancel { order, positions: vec![], key: None });
    let canceled = Command::Reissue { ticket: 1, key: None };
    assert_eq!(house.refused(canceled).0, RefusalCode::AlreadyCanceled);
}

#[test]
fn a_renewal_is_repeated_by_its_key() {
    let mut house = House::open();
    let hold = house.hold(&[(STANDARD, 1)]).id;
    let renew = |body| Command::Renew { hold, key: Some(key(1, body)) };
    house.now = START.plus_ms(5 * MINUTE);
    let expires_at = START.plus_ms(15 * MINUTE);
    assert_eq!(house.ask(renew(1)), Reply::Renewed { hold, expires_at, replayed: false });
    house.now = START.plus_ms(10 * MINUTE);
    assert_eq!(house.ask(renew(1)), Reply::Renewed { hold, expires_at, replayed: true });
    assert_eq!(house.refused(renew(2)).0, RefusalCode::KeyReused);
}
