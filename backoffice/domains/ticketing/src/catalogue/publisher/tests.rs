use std::collections::BTreeSet;

use super::*;
use crate::tables::ENTITIES;

/// A table that a document reads and that touches none would change without the gate hearing of it.
#[test]
fn every_table_that_documents_read_touches_one() {
    let sources = [include_str!("../documents.rs"), include_str!("../admission.rs")];
    let words: Vec<Vec<&str>> = sources.map(|text| text.split_whitespace().collect()).into();
    let read: BTreeSet<&str> = words
        .iter()
        .flat_map(|words| words.windows(2))
        .filter(|pair| matches!(pair[0].trim_start_matches('"'), "from" | "join"))
        .map(|pair| pair[1].trim_end_matches(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|name| *name == "events" || ENTITIES.iter().any(|entity| entity.name == *name))
        .collect();
    assert!(read.len() > 8, "{read:?}");
    let touching: BTreeSet<&str> = TOUCHES.iter().map(|touches| touches.table).collect();
    assert_eq!(read, touching);
}

#[test]
fn what_touches_a_document_is_in_the_outbox() {
    let logs: Vec<&str> =
        ENTITIES.iter().filter(|entity| entity.log).map(|entity| entity.name).collect();
    assert!(TOUCHES.iter().all(|touches| !logs.contains(&touches.table)), "{logs:?}");
}
