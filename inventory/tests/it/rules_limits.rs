//! How many tickets an order and a buyer may have.

use inventory::command::{Command, HoldRequest, OrderRequest, RefusalCode, Reply};
use inventory::config::EventConfig;
use uuid::Uuid;

use crate::harness::{EVENT, FREE, House, STANDARD, VIP, config, digest};

fn limited(change: fn(&mut EventConfig)) -> House {
    let mut house = House::unconfigured();
    let mut config = config();
    change(&mut config);
    house.configure(config);
    house
}

#[test]
fn an_order_has_a_least_and_a_most() {
    #[track_caller]
    fn check(change: fn(&mut EventConfig), items: &[(Uuid, u32)], refused: Option<&str>) {
        let found = limited(change).coded(items, None, None).err();
        let expect = refused.map(|of| (RefusalCode::LimitReached, Some(of.to_owned())));
        assert_eq!(found, expect);
    }
    let (standard, vip) = (format!("min_per_order {STANDARD}"), format!("per_order {VIP}"));
    let (least, most) = (format!("min_per_order {EVENT}"), format!("per_order {EVENT}"));
    check(|c| c.ticket_types[0].min_per_order = Some(2), &[(STANDARD, 1)], Some(&standard));
    check(|c| c.ticket_types[0].min_per_order = Some(2), &[(STANDARD, 2)], None);
    check(|c| c.ticket_types[0].min_per_order = Some(2), &[(FREE, 1)], None);
    check(|_| (), &[(VIP, 3)], Some(&vip));
    check(|c| c.sale.max_per_order = Some(4), &[(STANDARD, 3), (FREE, 2)], Some(&most));
    check(|c| c.sale.max_per_order = Some(4), &[(STANDARD, 2), (FREE, 2)], None);
    check(|c| c.sale.min_per_order = Some(4), &[(STANDARD, 2), (FREE, 1)], Some(&least));
    check(|c| c.sale.min_per_order = Some(4), &[(STANDARD, 2), (FREE, 2)], None);
}

#[test]
fn a_buyer_has_a_most_over_holds_and_orders() {
    let mut house = limited(|c| {
        c.ticket_types[0].max_per_customer = Some(3);
        c.sale.max_per_customer = Some(5);
    });
    let reached = |id: Uuid| Err((RefusalCode::LimitReached, Some(format!("per_customer {id}"))));
    let hold = house.coded(&[(STANDARD, 2)], None, Some(1)).unwrap();
    assert_eq!(house.coded(&[(STANDARD, 2)], None, Some(1)), reached(STANDARD));
    assert_eq!(house.coded(&[(STANDARD, 1), (FREE, 3)], None, Some(1)), reached(EVENT));
    assert!(house.coded(&[(STANDARD, 3)], None, Some(2)).is_ok(), "another buyer");
    // Ordered, it counts as before; canceled, no longer.
    let order = house.order(hold.id);
    assert_eq!(house.coded(&[(STANDARD, 2)], None, Some(1)), reached(STANDARD));
    house.ask(Command::Cancel { order: order.id, positions: vec![1], key: None });
    let held = house.coded(&[(STANDARD, 2)], None, Some(1)).unwrap();
    // Over, it counts no longer either.
    assert_eq!(house.coded(&[(STANDARD, 1)], None, Some(1)), reached(STANDARD));
    house.ask(Command::Release { hold: held.id });
    assert!(house.coded(&[(STANDARD, 2)], None, Some(1)).is_ok());
}

/// A nameless basket is counted when it becomes an order, which has to say who buys.
#[test]
fn a_nameless_basket_is_counted_when_it_is_ordered() {
    let mut house = limited(|c| c.ticket_types[0].max_per_customer = Some(3));
    let holds: Vec<Uuid> = (0..2).map(|_| house.hold(&[(STANDARD, 2)]).id).collect();
    let nameless = house.order_request(holds[0]);
    let of = Some(format!("per_customer {STANDARD}"));
    let refused = house.refused(Command::Order(nameless));
    assert_eq!(refused, (RefusalCode::BuyerRequired, of.clone()));
    let named = |house: &mut House, hold| {
        let request = OrderRequest { buyer: Some(digest(1)), ..house.order_request(hold) };
        Command::Order(request)
    };
    let first = named(&mut house, holds[0]);
    assert!(matches!(house.ask(first), Reply::Ordered(_)));
    let second = named(&mut house, holds[1]);
    assert_eq!(house.refused(second), (RefusalCode::LimitReached, of.clone()));
    // Who was counted with the hold cannot hand it to someone whose measure is full.
    let request = HoldRequest { buyer: Some(digest(2)), ..house.hold_request(&[(STANDARD, 2)]) };
    let Reply::Held(hold) = house.ask(Command::Hold(request)) else { panic!() };
    let handed = named(&mut house, hold.id);
    assert_eq!(house.refused(handed), (RefusalCode::LimitReached, of));
    // Nobody named: it is the hold's buyer.
    assert_eq!(house.order(hold.id).tickets.len(), 2);
}
