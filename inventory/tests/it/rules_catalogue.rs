//! How a configuration is taken over, merged or refused.

use inventory::command::{Command, RefusalCode, Reply, Verdict};
use inventory::config::EventConfig;
use inventory::money::PRICE_MAX;
use uuid::Uuid;

use crate::harness::{
    EVENT, FREE, House, LOUNGE, SEATS, STANDARD, VIP, config, kind, quota, scan_of, zone,
};

#[test]
fn older_and_equal_cursors_change_nothing() {
    let mut house = House::open();
    house.cursor = 7;
    house.configure(config());
    let entries = house.journal.len();
    for cursor in [0, 1, 7, 8] {
        let other = EventConfig { name: "Other".to_owned(), ..config() };
        let command = Command::Configure { cursor, config: Box::new(other) };
        assert_eq!(house.ask(command), Reply::Configured { cursor: 8 });
    }
    assert_eq!(house.journal.len(), entries);
    assert_eq!(house.node.state().config().name, "Opening night");
    assert_eq!(house.node.state().view().catalogue_cursor, 8);
}

#[test]
fn configurations_that_contradict_are_refused_whole() {
    #[track_caller]
    fn check(change: fn(&mut EventConfig), part: &str) {
        let mut house = House::open();
        house.buy(&[(STANDARD, 1)]);
        let hash = house.node.state().hash().unwrap();
        let mut config = config();
        config.name = "Changed".to_owned();
        change(&mut config);
        let command = Command::Configure { cursor: 99, config: Box::new(config) };
        let (code, constraint) = house.refused(command);
        assert_eq!(code, RefusalCode::CatalogueConflict);
        assert_eq!(constraint.as_deref(), Some(part));
        assert_eq!(house.node.state().hash().unwrap(), hash);
    }
    let event = format!("event {EVENT}");
    let foreign = format!("event {}", Uuid::from_u128(1));
    let (standard, free) = (format!("ticket_type {STANDARD}"), format!("ticket_type {FREE}"));
    let new_type = format!("ticket_type {}", Uuid::from_u128(0x777));
    let (seats, lounge) = (format!("quota {SEATS}"), format!("quota {LOUNGE}"));
    let main = format!("zone {}", Uuid::from_u128(0x300));
    let second = format!("zone {}", Uuid::from_u128(0x301));
    check(|c| c.event = Uuid::from_u128(1), &foreign);
    check(|c| c.number = 1, &event);
    check(|c| c.organization = Uuid::from_u128(1), &event);
    check(|c| c.currency = "USD".to_owned(), &event);
    check(|c| c.exponent = 3, &event);
    // Renumbered, doubled, or a number that another one had.
    check(|c| c.ticket_types[0].number = 9, &standard);
    check(|c| c.ticket_types.push(c.ticket_types[0].clone()), &standard);
    check(|c| c.ticket_types[0] = kind(Uuid::from_u128(0x777), 1, &[1], &[0]), &new_type);
    check(|c| c.quotas[0].number = 9, &seats);
    check(|c| drop(c.quotas.remove(0)), &standard);
    check(|c| c.quotas[1] = quota(LOUNGE, 1, None), &lounge);
    check(|c| c.zones[0].number = 5, &main);
    check(|c| c.zones[1] = zone(1, "main", None), &second);
    check(|c| c.zones.push(zone(32, "far", None)), &format!("zone {}", Uuid::from_u128(0x320)));
    // Links to what is not there, amounts out of range.
    check(|c| c.ticket_types[2].quotas = vec![5], &free);
    check(|c| c.ticket_types[2].zones = vec![5], &free);
    check(|c| c.ticket_types[0].price = -1, &standard);
    check(|c| c.ticket_types[0].fee = PRICE_MAX + 1, &standard);
    check(|c| c.ticket_types[0].tax_rate_bp = 100_001, &standard);
}

/// Before anything was sold or held the currency may change.
#[test]
fn the_currency_is_fixed_by_the_first_sale() {
    let mut house = House::open();
    house.configure(EventConfig { currency: "JPY".to_owned(), exponent: 0, ..config() });
    assert_eq!(house.node.state().config().currency, "JPY");
    // A hold has its price frozen already.
    house.hold(&[(STANDARD, 1)]);
    let command = Command::Configure { cursor: 99, config: Box::new(config()) };
    assert_eq!(house.refused(command).0, RefusalCode::CatalogueConflict);
}

#[test]
fn what_is_left_out_is_no_longer_sold_but_stays_good() {
    let mut house = House::open();
    house.buy(&[(VIP, 2)]);
    let mut smaller = config();
    smaller.ticket_types.retain(|kind| kind.id != VIP);
    smaller.quotas.retain(|quota| quota.id != LOUNGE);
    house.configure(smaller.clone());
    let request = house.hold_request(&[(VIP, 1)]);
    assert_eq!(house.refused(Command::Hold(request)).0, RefusalCode::SaleClosed);
    assert_eq!(house.quota(SEATS), (Some(10), 2, 0, Some(8)));
    assert_eq!(house.quota(LOUNGE), (Some(4), 2, 0, Some(2)), "still in the audit");
    assert_eq!(house.scan(scan_of(1, "nonce-001")).verdict, Verdict::Admit);
    // Its number is not free for another one.
    smaller.ticket_types.push(kind(Uuid::from_u128(0x777), 2, &[], &[0]));
    let command = Command::Configure { cursor: 99, config: Box::new(smaller) };
    assert_eq!(house.refused(command).0, RefusalCode::CatalogueConflict);
    // And it may come back.
    house.configure(config());
    house.buy(&[(VIP, 2)]);
    assert_eq!(house.quota(LOUNGE), (Some(4), 4, 0, Some(0)));
}

#[test]
fn a_type_that_moves_to_other_quotas_takes_its_sales_along() {
    let mut house = House::open();
    house.buy(&[(STANDARD, 3)]);
    house.hold(&[(STANDARD, 2)]);
    let mut moved = config();
    moved.ticket_types[0].quotas = vec![2, 2];
    house.configure(moved);
    assert_eq!(house.quota(SEATS), (Some(10), 0, 0, Some(10)));
    assert_eq!(house.quota(LOUNGE), (Some(4), 3, 2, Some(-1)));
    let order = house.node.state().ticket_view(1).unwrap().order;
    house.ask(Command::Cancel { order, positions: vec![], key: None });
    assert_eq!(house.quota(LOUNGE), (Some(4), 0, 2, Some(2)));
}
