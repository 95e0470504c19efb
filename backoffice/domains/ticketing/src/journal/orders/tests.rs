use inventory::command::{Channel, PaymentMethod};
use inventory::entry::Hash;
use inventory::fact::Base64;

use super::*;

fn order(lines: &[(u8, u32, i64)], tickets: &[u8]) -> OrderConfirmed {
    let kind = |id: u8| Uuid::from_bytes([id; 16]);
    OrderConfirmed {
        order: Uuid::from_bytes([9; 16]),
        number: 1,
        code: "ABCDEF".to_owned(),
        hold: None,
        channel: Channel::Shop,
        payment: PaymentMethod::Invoice,
        currency: "EUR".to_owned(),
        lines: lines
            .iter()
            .map(|(id, quantity, price)| LineView {
                ticket_type: kind(*id),
                quantity: *quantity,
                price: *price,

                ..LineView::default()
            })
            .collect(),
        tickets: (1..)
            .zip(tickets)
            .map(|(ticket, id)| IssuedTicket { ticket, ticket_type: kind(*id), seat: None })
            .collect(),
        buyer: None,
        promo: None,
        secret_hash: Hash([0; 32]),
        personal: Base64(Vec::new()),
        until: None,
        key: None,
    }
}

/// Prices of the places, or `None` where tickets and lines contradict each other.
#[track_caller]
fn check(lines: &[(u8, u32, i64)], tickets: &[u8], expect: Option<&[i64]>) {
    let order = order(lines, tickets);
    let found = places(&order).ok();
    let prices = found.map(|found| found.iter().map(|place| place.price).collect::<Vec<_>>());
    assert_eq!(prices.as_deref(), expect);
}

#[test]
fn tickets_take_their_share_of_their_line() {
    check(&[(1, 3, 1_000)], &[1, 1, 1], Some(&[334, 333, 333]));
    check(&[(1, 1, 500), (2, 2, 900)], &[1, 2, 2], Some(&[500, 450, 450]));
    check(&[(1, 1, 500)], &[2], None);
    check(&[(1, 2, 500)], &[1], None);
    check(&[(1, 1, 500)], &[1, 1], None);
}

#[test]
fn a_registration_is_named_by_order_and_position() {
    let order = Uuid::from_bytes([9; 16]);
    let id = registration_id(order, 1);
    assert_eq!(id, registration_id(order, 1));
    assert_ne!(id, registration_id(order, 2));
    assert_ne!(id, registration_id(Uuid::from_bytes([8; 16]), 1));
    assert_eq!(id.get_version_num(), 8);
}

#[track_caller]
fn check_contact(name: &str, email: &str, expect: (Option<&str>, Option<&str>)) {
    let person = Person { name: name.to_owned(), email: email.to_owned() };
    let found = contact(&person);
    assert_eq!((found.name.as_deref(), found.email.as_deref()), expect);
}

#[test]
fn what_the_gate_accepted_is_cut_to_fit() {
    check_contact(" Ada ", "ada@example.org", (Some("Ada"), Some("ada@example.org")));
    check_contact("", "", (None, None));
    check_contact("Ada", "nobody", (Some("Ada"), None));
    check_contact("Ada", "@b", (Some("Ada"), None));
    let long = "x".repeat(400);
    check_contact(&long, &format!("{long}@b"), (Some(&long[..300]), None));
}

#[test]
fn what_no_column_takes_is_left_out() {
    check_contact("E\0v\ne", "e\0@example.org", (Some("Eve"), None));
}
