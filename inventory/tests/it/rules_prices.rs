//! What a basket costs: fees, taxes, discounts, to the last cent.

use inventory::command::LineView;
use inventory::config::{Discount, EventConfig, PromoConfig};
use inventory::money::{PRICE_MAX, TAX_RATE_BP_MAX, contained_tax, of_rate};
use proptest::prelude::*;
use uuid::Uuid;

use crate::harness::{FREE, House, STANDARD, VIP, config, promo};

fn house(change: impl FnOnce(&mut EventConfig), code: Option<PromoConfig>) -> House {
    let mut house = House::unconfigured();
    let mut config = config();
    change(&mut config);
    house.configure(config);
    house.list(code.into_iter().collect());
    house
}

/// (price, discount, fee, tax) of each line, and the total.
#[track_caller]
fn check(
    change: fn(&mut EventConfig),
    discount: Option<Discount>,
    items: &[(Uuid, u32)],
    lines: &[(i64, i64, i64, i64)],
    total: i64,
) {
    let code = discount.map(|discount| PromoConfig { discount: Some(discount), ..promo(1) });
    let mut house = house(change, code);
    let hold = house.coded(items, discount.map(|_| 1), None).unwrap();
    let found: Vec<_> = hold.lines.iter().map(|l| (l.price, l.discount, l.fee, l.tax)).collect();
    assert_eq!((found.as_slice(), hold.total), (lines, total));
    // What was held is what is ordered.
    assert_eq!(house.order(hold.id).lines, hold.lines);
}

#[test]
fn fees_by_ticket_and_by_order() {
    let none = |_: &mut EventConfig| ();
    check(none, None, &[(STANDARD, 2)], &[(8_500, 0, 300, 1_405)], 8_800);
    // 1.5 % of 85.00 is 1.275: half to even.
    let relative = |c: &mut EventConfig| c.ticket_types[0].fee_bp = 150;
    check(relative, None, &[(STANDARD, 2)], &[(8_500, 0, 428, 1_425)], 8_928);
    // 3.00 an order, over 85.00 and 100.00: 1.378… and 1.621….
    let order = |c: &mut EventConfig| c.sale.order_fee = 300;
    let lines = [(8_500, 0, 438, 1_427), (10_000, 0, 162, 1_623)];
    check(order, None, &[(STANDARD, 2), (VIP, 1)], &lines, 19_100);
    // 1 % of what is charged, none of what is free.
    let order = |c: &mut EventConfig| c.sale.order_fee_bp = 100;
    let lines = [(0, 0, 0, 0), (10_000, 0, 100, 1_613)];
    check(order, None, &[(FREE, 3), (VIP, 1)], &lines, 10_100);
    let order = |c: &mut EventConfig| c.sale.order_fee = 300;
    check(order, None, &[(FREE, 3)], &[(0, 0, 0, 0)], 0);
}

#[test]
fn tax_is_contained_or_added() {
    let added = |c: &mut EventConfig| {
        (c.ticket_types[0].tax_added, c.ticket_types[0].tax_rate_bp) = (true, 725);
    };
    // 7.25 % of 85.00 and 3.00.
    check(added, None, &[(STANDARD, 2)], &[(8_500, 0, 300, 638)], 9_438);
    // Each line by its own rate.
    let lines = [(8_500, 0, 300, 638), (10_000, 0, 0, 1_597)];
    check(added, None, &[(STANDARD, 2), (VIP, 1)], &lines, 19_438);
    let reduced = |c: &mut EventConfig| c.ticket_types[0].tax_rate_bp = 700;
    check(reduced, None, &[(STANDARD, 2)], &[(8_500, 0, 300, 576)], 8_800);
}

#[test]
fn discounts_of_every_kind() {
    let none = |_: &mut EventConfig| ();
    let items = [(STANDARD, 2), (VIP, 1)];
    let percent = Some(Discount::Percent { bp: 1_050 });
    // 892.5 and 1050 cents.
    let lines = [(8_500, 892, 300, 1_263), (10_000, 1_050, 0, 1_429)];
    check(none, percent, &items, &lines, 16_858);
    let each = Some(Discount::AmountPerTicket { amount: 5_000 });
    let lines = [(8_500, 8_500, 300, 48), (10_000, 5_000, 0, 798)];
    check(none, each, &items, &lines, 5_300);
    // 10.00 over 85.00 and 100.00: 4.594… and 5.405….
    let whole = Some(Discount::AmountPerOrder { amount: 1_000 });
    let lines = [(8_500, 459, 300, 1_332), (10_000, 541, 0, 1_510)];
    check(none, whole, &items, &lines, 17_800);
    let whole = Some(Discount::AmountPerOrder { amount: 100_000 });
    let lines = [(8_500, 8_500, 300, 48), (10_000, 10_000, 0, 0)];
    check(none, whole, &items, &lines, 300);
    let fixed = Some(Discount::FixedPrice { price: 5_000 });
    let lines = [(8_500, 0, 300, 1_405), (10_000, 5_000, 0, 798)];
    check(none, fixed, &items, &lines, 13_800);
    // Fees of a share and of the order are on what is left.
    let fees =
        |c: &mut EventConfig| (c.ticket_types[1].fee_bp, c.sale.order_fee_bp) = (1_000, 1_000);
    let half = Some(Discount::Percent { bp: 5_000 });
    check(fees, half, &[(VIP, 1)], &[(10_000, 5_000, 1_000, 958)], 6_000);
}

fn discount() -> impl Strategy<Value = Option<Discount>> {
    prop_oneof![
        Just(None),
        (0..=10_000_u32).prop_map(|bp| Some(Discount::Percent { bp })),
        (0..20_000_i64).prop_map(|amount| Some(Discount::AmountPerTicket { amount })),
        (0..50_000_i64).prop_map(|amount| Some(Discount::AmountPerOrder { amount })),
        (0..20_000_i64).prop_map(|price| Some(Discount::FixedPrice { price })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Totals add up, nothing is negative, no discount exceeds its price, and the tax of a line is
    /// the tax of what the line costs.
    #[test]
    fn every_basket_adds_up(
        prices in proptest::collection::vec((0..30_000_i64, 0..500_i64, 0..2_000_u32), 3),
        rates in proptest::collection::vec((0..3_000_u32, any::<bool>()), 3),
        quantities in proptest::collection::vec(1..3_u32, 3),
        order_fee in (0..1_000_i64, 0..1_000_u32),
        discount in discount(),
    ) {
        let change = |c: &mut EventConfig| {
            for ((kind, (price, fee, fee_bp)), (rate, added)) in
                c.ticket_types.iter_mut().zip(&prices).zip(&rates)
            {
                (kind.price, kind.fee, kind.fee_bp) = (*price, *fee, *fee_bp);
                (kind.tax_rate_bp, kind.tax_added) = (*rate, *added);
            }
            (c.sale.order_fee, c.sale.order_fee_bp) = order_fee;
        };
        let code = PromoConfig { discount, ..promo(1) };
        let mut house = house(change, Some(code));
        let items: Vec<(Uuid, u32)> = [STANDARD, VIP, FREE].into_iter().zip(quantities).collect();
        let hold = house.coded(&items, Some(1), None).unwrap();
        prop_assert_eq!(hold.lines.iter().map(LineView::total).sum::<i64>(), hold.total);
        let mut fees = 0;
        for (line, (rate, added)) in hold.lines.iter().zip(&rates) {
            prop_assert!(0 <= line.discount && line.discount <= line.price, "{:?}", line);
            prop_assert!(0 <= line.fee && 0 <= line.tax);
            let taxed = line.price - line.discount + line.fee;
            let tax = if *added { of_rate(taxed, *rate) } else { contained_tax(taxed, *rate) };
            prop_assert_eq!(line.tax, tax);
            fees += line.fee;
        }
        let net: i64 = hold.lines.iter().map(|line| line.price - line.discount).sum();
        let by_ticket: i64 = hold.lines.iter().zip(&prices).map(|(line, (_, fee, bp))| {
            fee * i64::from(line.quantity) + of_rate(line.price - line.discount, *bp)
        }).sum();
        let (fixed, bp) = order_fee;
        let by_order = if net == 0 { 0 } else { fixed + of_rate(net, bp) };
        prop_assert_eq!(fees, by_ticket + by_order);
    }
}

/// The dearest basket there may be: no sum leaves its range.
#[test]
fn the_dearest_basket_does_not_overflow() {
    let dear = |c: &mut EventConfig| {
        for kind in &mut c.ticket_types {
            (kind.price, kind.fee, kind.fee_bp) = (PRICE_MAX, PRICE_MAX, 10_000);
            (kind.tax_rate_bp, kind.tax_added) = (TAX_RATE_BP_MAX, true);
        }
        (c.sale.order_fee, c.sale.order_fee_bp) = (PRICE_MAX, 10_000);
    };
    let mut house = house(dear, None);
    let hold = house.hold(&[(FREE, 1_000)]);
    let thousand = 1_000 * PRICE_MAX;
    // Price, fee of each, fee by price, fee of the order, then ten times that as tax.
    let net = thousand * 3 + PRICE_MAX + thousand;
    assert_eq!(hold.total, net * 11);
}
