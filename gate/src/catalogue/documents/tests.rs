use serde_json::json;
use uuid::Uuid;

use super::super::client::{Change, Page};
use super::Documents;

fn change(cursor: u64, kind: &str, id: u128, body: Option<serde_json::Value>) -> Change {
    Change { cursor, kind: kind.to_owned(), id: Uuid::from_u128(id), organization: None, body }
}

#[test]
fn what_is_kept_comes_back_without_instructions() {
    let mut documents = Documents::default();
    documents.take(change(1, "event", 1, Some(json!({"a": 1}))));
    documents.take(change(2, "device", 2, Some(json!({"b": 2}))));
    documents.take(change(3, "instruction", 3, Some(json!({"name": "Ada Lovelace"}))));
    documents.take(change(4, "device", 2, None));
    documents.cursor = 4;
    let bytes = documents.encode(2);
    assert!(!String::from_utf8_lossy(&bytes).contains("Ada"));
    let read = Documents::decode(&bytes).expect("readable");
    assert_eq!((read.cursor, read.offset), (2, 0));
    assert_eq!(read.all().map(|c| c.kind.as_str()).collect::<Vec<_>>(), ["event"]);
}

#[test]
fn a_snapshot_after_a_restart_removes_what_it_does_not_name() {
    let mut documents = Documents::default();
    documents.take(change(90, "event", 1, Some(json!({}))));
    documents.take(change(91, "device", 2, Some(json!({}))));
    documents.cursor = 91;
    documents.restart();
    assert_eq!((documents.cursor, documents.offset), (0, 91));
    documents.take(change(5, "event", 1, Some(json!({}))));
    let gone = documents.settle();
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].kind.as_str(), &gone[0].body), ("device", &None));
    assert_eq!(documents.all().count(), 1);
    assert!(documents.settle().is_empty());
}

#[test]
fn documents_to_be_read_from_the_beginning_have_to_be_named_again() {
    let mut documents = Documents::default();
    documents.take(change(1, "device", 2, Some(json!({}))));
    documents.take(change(2, "event", 1, Some(json!({}))));
    let mut read = Documents::decode(&documents.encode(0)).expect("readable");
    read.take(change(2, "event", 1, Some(json!({}))));
    let gone: Vec<Uuid> = read.settle().iter().map(|change| change.id).collect();
    assert_eq!(gone, [Uuid::from_u128(2)]);
    let mut read = Documents::decode(&documents.encode(1)).expect("readable");
    assert!(read.settle().is_empty());
}

#[test]
fn a_stop_in_the_middle_of_a_snapshot_forgets_nobody_who_is_gone() {
    let mut documents = Documents::default();
    documents.take(change(90, "event", 1, Some(json!({}))));
    documents.take(change(91, "device", 2, Some(json!({}))));
    documents.cursor = 91;
    documents.restart();
    documents.take(change(5, "event", 1, Some(json!({}))));
    documents.cursor = 5;
    let mut read = Documents::decode(&documents.encode(5)).expect("readable");
    assert_eq!((read.cursor, read.offset), (0, 91));
    read.take(change(5, "event", 1, Some(json!({}))));
    let gone: Vec<Uuid> = read.settle().iter().map(|change| change.id).collect();
    assert_eq!(gone, [Uuid::from_u128(2)]);
}

/// Pages of `(epoch, cursor)` after a reader that is at `(epoch, cursor)`, as it was kept.
#[track_caller]
fn check(ours: (Option<u128>, u64), theirs: (Option<u128>, u64), goes_on: bool) {
    let epoch = |number: Option<u128>| number.map(Uuid::from_u128);
    let documents = Documents { epoch: epoch(ours.0), cursor: ours.1, ..Documents::default() };
    let read = Documents::decode(&documents.encode(ours.1)).expect("readable");
    let page = Page { epoch: epoch(theirs.0), cursor: theirs.1, more: false, changes: Vec::new() };
    assert_eq!(read.goes_on(&page), goes_on, "{ours:?} {theirs:?}");
}

#[test]
fn another_epoch_or_a_lower_cursor_begins_anew() {
    check((Some(1), 7), (Some(1), 7), true);
    check((Some(1), 7), (Some(1), 9), true);
    check((Some(1), 7), (Some(1), 6), false);
    check((Some(1), 7), (Some(2), 9), false);
    check((Some(1), 7), (Some(2), 7), false);
    // What did not tell its epoch may begin to.
    check((None, 7), (Some(2), 9), true);
    check((Some(1), 7), (None, 9), true);
    check((None, 7), (None, 6), false);
}

#[test]
fn foreign_bytes_are_refused() {
    assert!(Documents::decode(b"").is_err());
    assert!(Documents::decode(br#"{"v":9,"cursor":1,"offset":0,"documents":[]}"#).is_err());
}
