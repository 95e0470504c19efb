use serde_json::json;

use super::*;

const TYPE: &str = "0197f6a0-0000-7000-8000-000000000001";

fn register(body: Value) -> Register {
    let mut body = body;
    body["event_id"] = json!(TYPE);
    serde_json::from_value(body).unwrap()
}

/// Quantities of the items that a body asks for, or the fields at fault.
#[track_caller]
fn check_items(body: Value, expect: std::result::Result<&[u32], &[&str]>) {
    let mut faults = Vec::new();
    let found = items(&register(body), &mut faults);
    let quantities: Vec<u32> = found.iter().map(|item| item.quantity).collect();
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    match expect {
        Ok(expect) => assert_eq!((quantities.as_slice(), fields.len()), (expect, 0), "{fields:?}"),
        Err(expect) => assert_eq!(fields, expect),
    }
}

#[test]
fn what_to_register_is_said_once() {
    check_items(json!({"ticket_type_id": TYPE}), Ok(&[1]));
    check_items(json!({"ticket_type_id": TYPE, "quantity": 3}), Ok(&[3]));
    check_items(json!({"items": [{"ticket_type_id": TYPE, "quantity": 2}]}), Ok(&[2]));
    check_items(
        json!({"items": [{"ticket_type_id": TYPE}, {"ticket_type_id": TYPE}]}),
        Ok(&[1, 1]),
    );
    check_items(json!({}), Err(&["ticket_type_id"]));
    check_items(json!({"items": []}), Err(&["items"]));
    check_items(json!({"items": {"a": 1}}), Err(&["items"]));
    check_items(json!({"items": [1]}), Err(&["items[0]", "items[0].ticket_type_id"]));
    check_items(json!({"items": [{"ticket_type_id": "x"}]}), Err(&["items[0].ticket_type_id"]));
    let zero = json!({"items": [{"ticket_type_id": TYPE, "quantity": 0}]});
    check_items(zero, Err(&["items[0].quantity"]));
    let extra = json!({"items": [{"ticket_type_id": TYPE, "price": 1}]});
    check_items(extra, Err(&["items[0].price"]));
    let both = json!({"ticket_type_id": TYPE, "items": [{"ticket_type_id": TYPE}]});
    check_items(both, Err(&["items"]));
}

#[track_caller]
fn check_attendees(input: Value, tickets: u64, expect: std::result::Result<usize, &[&str]>) {
    let mut faults = Vec::new();
    let found = attendees(Some(&input), tickets, &mut faults);
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    match expect {
        Ok(count) => assert_eq!((found.len(), fields.len()), (count, 0), "{fields:?}"),
        Err(expect) => assert_eq!(fields, expect),
    }
}

#[test]
fn attendees_are_none_or_one_a_ticket() {
    check_attendees(json!(null), 2, Ok(0));
    check_attendees(json!([]), 2, Ok(0));
    check_attendees(json!([{"name": "A", "email": "a@b.example"}, {}]), 2, Ok(2));
    check_attendees(json!([{"name": "A"}]), 2, Err(&["attendees"]));
    check_attendees(json!("A"), 1, Err(&["attendees"]));
    check_attendees(json!([{"name": 7}]), 1, Err(&["attendees[0].name"]));
    check_attendees(json!([{"name": "a\u{0}b"}]), 1, Err(&["attendees[0].name"]));
    check_attendees(json!([{"email": "nobody"}]), 1, Err(&["attendees[0].email"]));
    check_attendees(json!([{"phone": "1"}]), 1, Err(&["attendees[0].phone"]));
}
