//! Promo codes: when they apply, how far they reach, what they keep back.

use inventory::command::{Command, HoldRequest, OrderRequest, RefusalCode, Reply};
use inventory::config::{Discount, PromoConfig, Reserve};
use uuid::Uuid;

use crate::harness::{
    FREE, HOUR, House, LOUNGE, MINUTE, SEATS, STANDARD, START, VIP, code, config, digest, promo,
    promo_id,
};

fn of(kind: &str, n: u8) -> Option<String> {
    Some(format!("{kind} {}", promo_id(n)))
}

#[test]
fn a_code_applies_or_names_why_not() {
    #[track_caller]
    fn check(
        change: fn(&mut PromoConfig),
        items: &[(Uuid, u32)],
        refused: Option<(RefusalCode, &str)>,
    ) {
        let mut house = House::open();
        let mut code = promo(1);
        change(&mut code);
        house.list(vec![code]);
        let before = house.node.state().hash().unwrap();
        let found = house.coded(items, Some(1), Some(1)).err();
        assert_eq!(found, refused.map(|(code, kind)| (code, of(kind, 1))));
        assert_eq!(refused.is_some(), house.node.state().hash().unwrap() == before);
    }
    use RefusalCode::{PromoExhausted, PromoNotApplicable};
    let one = &[(STANDARD, 1)];
    check(|_| (), one, None);
    let period = Some((PromoNotApplicable, "promo_period"));
    check(|p| p.from = Some(START.plus_ms(1)), one, period);
    check(|p| p.from = Some(START), one, None);
    check(|p| p.until = Some(START), one, period);
    check(|p| p.until = Some(START.plus_ms(1)), one, None);
    let types = Some((PromoNotApplicable, "promo_types"));
    check(|p| p.types = vec![2], one, types);
    check(|p| p.types = vec![2], &[(STANDARD, 1), (VIP, 1)], None);
    let few = Some((PromoNotApplicable, "promo_min_quantity"));
    check(|p| p.min_quantity = 2, one, few);
    check(|p| p.min_quantity = 2, &[(STANDARD, 1), (VIP, 1)], None);
    check(|p| (p.min_quantity, p.types) = (2, vec![1]), &[(STANDARD, 1), (VIP, 1)], few);
    check(|p| p.max_uses = Some(0), one, Some((PromoExhausted, "promo_uses")));
    check(|p| p.max_per_customer = Some(0), one, Some((PromoExhausted, "promo_customer_uses")));
    // 10 % of 42.50.
    check(|p| p.budget = Some(424), one, Some((PromoExhausted, "promo_budget")));
    check(|p| p.budget = Some(425), one, None);
}

#[test]
fn an_unknown_code_and_one_that_is_over_look_the_same() {
    let mut house = House::open();
    let unknown = Err((RefusalCode::UnknownPromo, None));
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), None), unknown);
    house.list(vec![PromoConfig { active: false, ..promo(1) }]);
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), None), unknown);
    house.list(vec![promo(1)]);
    let hold = house.coded(&[(STANDARD, 1)], Some(1), None).unwrap();
    house.list(vec![]);
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), None), unknown);
    // What was promised with it stays.
    let order = house.order(hold.id);
    assert_eq!((order.lines[0].discount, order.total), (425, 3_975));
    house.ask(Command::Cancel { order: order.id, positions: vec![], key: None });
    // And it may come back.
    house.list(vec![promo(1)]);
    assert!(house.coded(&[(FREE, 1)], Some(1), None).is_ok());
}

#[test]
fn uses_and_budget_come_back() {
    let mut house = House::open();
    let limits = PromoConfig { max_uses: Some(2), budget: Some(1_700), ..promo(1) };
    house.list(vec![limits]);
    let first = house.coded(&[(STANDARD, 2)], Some(1), None).unwrap();
    assert_eq!(first.promo, Some(promo_id(1)));
    let spent = Err((RefusalCode::PromoExhausted, of("promo_budget", 1)));
    assert_eq!(house.coded(&[(STANDARD, 3)], Some(1), None), spent);
    let second = house.coded(&[(STANDARD, 2)], Some(1), None).unwrap();
    let used = Err((RefusalCode::PromoExhausted, of("promo_uses", 1)));
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), None), used);
    // Released or lapsed, ordered and canceled: each gives its use and its discount back, once.
    house.ask(Command::Release { hold: first.id });
    let third = house.coded(&[(STANDARD, 2)], Some(1), None).unwrap();
    let order = house.order(second.id);
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), None), used);
    house.ask(Command::Cancel { order: order.id, positions: vec![1], key: None });
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), None), used, "a ticket of it is left");
    house.ask(Command::Cancel { order: order.id, positions: vec![], key: None });
    house.now = third.expires_at;
    for _ in 0..2 {
        house.coded(&[(STANDARD, 2)], Some(1), None).unwrap();
    }
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), None), used);
}

#[test]
fn uses_of_a_buyer_are_counted_for_whoever_orders() {
    let mut house = House::open();
    house.list(vec![PromoConfig { max_per_customer: Some(1), ..promo(1) }]);
    let used = (RefusalCode::PromoExhausted, of("promo_customer_uses", 1));
    let named = house.coded(&[(FREE, 1)], Some(1), Some(1)).unwrap();
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), Some(1)), Err(used.clone()));
    house.order(named.id);
    assert_eq!(house.coded(&[(FREE, 1)], Some(1), Some(1)), Err(used.clone()));
    let nameless = house.coded(&[(FREE, 1)], Some(1), None).unwrap();
    let request = house.order_request(nameless.id);
    let required = (RefusalCode::BuyerRequired, of("promo_customer_uses", 1));
    assert_eq!(house.refused(Command::Order(request)), required);
    let same = OrderRequest { buyer: Some(digest(1)), ..house.order_request(nameless.id) };
    assert_eq!(house.refused(Command::Order(same)), used);
    let other = OrderRequest { buyer: Some(digest(2)), ..house.order_request(nameless.id) };
    assert!(matches!(house.ask(Command::Order(other)), Reply::Ordered(_)));
}

#[test]
fn a_hidden_type_is_for_who_has_its_code() {
    let mut house = House::open();
    let mut hidden = config();
    hidden.ticket_types[1].hidden = true;
    house.configure(hidden);
    let access = PromoConfig { discount: None, types: vec![2], ..promo(1) };
    house.list(vec![access, promo(2)]);
    let unknown = Err((RefusalCode::UnknownTicketType, Some(format!("ticket_type {VIP}"))));
    assert_eq!(house.coded(&[(VIP, 1)], None, None), unknown);
    // A code for everything is not one for what is hidden.
    assert_eq!(house.coded(&[(VIP, 1)], Some(2), None), unknown);
    let hold = house.coded(&[(VIP, 1)], Some(1), None).unwrap();
    assert_eq!((hold.lines[0].discount, hold.total), (0, 10_000));
}

#[test]
fn what_a_code_keeps_is_for_its_holders() {
    let mut house = House::open();
    let keeps = |places| PromoConfig {
        discount: None,
        reserves: vec![Reserve { quota: 1, places }],
        until: Some(START.plus_ms(HOUR)),
        ..promo(1)
    };
    house.list(vec![keeps(6)]);
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (6, (Some(10), 0, 0, Some(4))));
    let sold_out = Err((RefusalCode::SoldOut, Some(format!("quota {SEATS}"))));
    assert_eq!(house.coded(&[(STANDARD, 5)], None, None), sold_out);
    // Its holder takes of what is kept first, then of what is free.
    let hold = house.coded(&[(STANDARD, 5)], Some(1), None).unwrap();
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (1, (Some(10), 0, 5, Some(4))));
    assert_eq!(house.coded(&[(STANDARD, 6)], Some(1), None), sold_out);
    let more = house.coded(&[(STANDARD, 3)], Some(1), None).unwrap();
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (0, (Some(10), 0, 8, Some(2))));
    let order = house.order(hold.id);
    house.ask(Command::Release { hold: more.id });
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (1, (Some(10), 5, 0, Some(4))));
    // Given back, a place is kept again; with less to keep, it is free.
    house.ask(Command::Cancel { order: order.id, positions: vec![1, 2], key: None });
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (3, (Some(10), 3, 0, Some(4))));
    house.list(vec![keeps(4)]);
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (1, (Some(10), 3, 0, Some(6))));
    // A type that moves to another quota takes along what its tickets took of the first.
    let mut moved = config();
    moved.ticket_types[0].quotas = vec![2];
    house.configure(moved);
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (4, (Some(10), 0, 0, Some(6))));
    house.configure(config());
    // When its time is over, everything is free, by an entry of its own.
    house.now = START.plus_ms(HOUR);
    let entries = house.journal.len();
    house.coded(&[(STANDARD, 7)], None, None).unwrap();
    assert_eq!(house.kinds(entries), ["promo.ended", "hold.created"]);
    assert_eq!((house.blocked(SEATS), house.quota(SEATS)), (0, (Some(10), 3, 7, Some(0))));
}

#[test]
fn places_kept_back_by_hand_are_not_sold() {
    let mut house = House::open();
    let mut kept = config();
    kept.quotas[1].blocked = 3;
    house.configure(kept);
    assert_eq!((house.blocked(LOUNGE), house.quota(LOUNGE)), (3, (Some(4), 0, 0, Some(1))));
    let sold_out = Err((RefusalCode::SoldOut, Some(format!("quota {LOUNGE}"))));
    assert_eq!(house.coded(&[(VIP, 2)], None, None), sold_out);
    assert!(house.coded(&[(VIP, 1)], None, None).is_ok());
}

#[test]
fn chunks_that_contradict_are_refused_whole() {
    #[track_caller]
    fn check(change: fn(&mut Vec<PromoConfig>), refused: Option<u8>) {
        let mut house = House::open();
        house.list(vec![promo(1), promo(2)]);
        let mut promos = vec![promo(1), promo(3)];
        change(&mut promos);
        let (chunk, cursor) = (Uuid::from_u128(0xC2), 99);
        let before = house.node.state().hash().unwrap();
        // The same codes in another chunk are refused, unless that is what is changed.
        promos.remove(0);
        let reply = house.ask(Command::ListPromos { chunk, cursor, promos });
        let Some(n) = refused else {
            assert_eq!(reply, Reply::Listed { cursor });
            return;
        };
        let Reply::Refused(refusal) = reply else { panic!("taken over: {reply:?}") };
        assert_eq!(refusal.code, RefusalCode::CatalogueConflict);
        assert_eq!(refusal.constraint.map(|c| c.id), Some(promo_id(n).to_string()));
        assert_eq!(house.node.state().hash().unwrap(), before);
    }
    check(|_| (), None);
    check(|p| p.push(promo(2)), Some(2));
    check(|p| p.push(PromoConfig { code: code(1), ..promo(4) }), Some(4));
    check(|p| p.push(promo(3)), Some(3));
    check(|p| p.push(PromoConfig { code: code(3), ..promo(4) }), Some(4));
    check(|p| p[1].types = vec![9], Some(3));
    check(|p| p[1].reserves = vec![Reserve { quota: 9, places: 1 }], Some(3));
    check(|p| p[1].discount = Some(Discount::Percent { bp: 10_001 }), Some(3));
    check(|p| p[1].discount = Some(Discount::FixedPrice { price: -1 }), Some(3));
    check(|p| p[1].budget = Some(-1), Some(3));
}

#[test]
fn older_chunks_change_nothing_and_letters_may_be_given_anew() {
    let mut house = House::open();
    house.list(vec![promo(1)]);
    let entries = house.journal.len();
    let chunk = Uuid::from_u128(0xC);
    let again = Command::ListPromos { chunk, cursor: house.cursor, promos: vec![promo(2)] };
    assert_eq!(house.ask(again), Reply::Listed { cursor: house.cursor });
    assert_eq!(house.journal.len(), entries);
    // The code of one that is gone may come as another one.
    house.list(vec![PromoConfig { code: code(1), ..promo(2) }]);
    let hold = house.coded(&[(STANDARD, 1)], Some(1), None).unwrap();
    assert_eq!(hold.promo, Some(promo_id(2)));
}

#[test]
fn a_quote_is_what_a_hold_would_be_and_takes_nothing() {
    let mut house = House::open();
    house.list(vec![PromoConfig { max_uses: Some(1), ..promo(1) }]);
    let request = HoldRequest { promo: Some(code(1)), ..house.hold_request(&[(STANDARD, 2)]) };
    let entries = house.journal.len();
    let Reply::Quoted(quote) = house.ask(Command::Quote(request.clone())) else { panic!() };
    assert_eq!(quote.promo.map(|promo| promo.id), Some(promo_id(1)));
    assert_eq!(house.journal.len(), entries);
    let Reply::Held(hold) = house.ask(Command::Hold(request.clone())) else { panic!() };
    assert_eq!((&quote.lines, quote.total), (&hold.lines, hold.total));
    let refused = house.refused(Command::Quote(request));
    assert_eq!(refused, (RefusalCode::PromoExhausted, of("promo_uses", 1)));
    // Without items it is asked of the code alone.
    let alone = HoldRequest { promo: Some(code(1)), ..house.hold_request(&[]) };
    let refused = house.refused(Command::Quote(alone.clone()));
    assert_eq!(refused, (RefusalCode::PromoExhausted, of("promo_uses", 1)));
    house.now = START.plus_ms(10 * MINUTE);
    let Reply::Quoted(quote) = house.ask(Command::Quote(alone)) else { panic!() };
    assert_eq!((quote.lines.len(), quote.total), (0, 0));
    let nothing = house.hold_request(&[]);
    assert_eq!(house.refused(Command::Quote(nothing)), (RefusalCode::UnknownPromo, None));
}
