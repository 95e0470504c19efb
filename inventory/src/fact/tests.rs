use super::*;
use crate::entry::Head;

fn scan() -> Fact {
    Fact::ScanDecided(Box::new(ScanDecided {
        device: Uuid::from_u128(1),
        lane: "North \"3\"".to_owned(),
        zone: "main".to_owned(),
        direction: Direction::Entry,
        nonce: Digest16([1; 16]),
        request: Digest16([2; 16]),
        ticket: Some(7),
        verdict: Verdict::Deny,
        reason: Some(Reason::AlreadyUsed),
        first_scan: Some(FirstScan { at: Millis(0), lane: "North 3".to_owned() }),
        forced: false,
        by: None,
        lease_until: None,
        answers: None,
    }))
}

/// The journal's text is a contract with the back office.
#[test]
fn a_scan_as_the_journal_shows_it() {
    let event = Uuid::from_u128(9);
    let head = Head::genesis(event);
    let entry = scan().entry(1, head.hash, Millis(1_795_287_900_123)).unwrap();
    assert_eq!(entry.kind, "scan.decided");
    assert_eq!(
        serde_json::to_string(&entry).unwrap(),
        format!(
            concat!(
                r#"{{"seq":1,"prev_hash":"{}","at":"2026-11-21T19:05:00.123Z","v":1,"#,
                r#""kind":"scan.decided","data":{{"device":"00000000-0000-0000-0000-000000000001","#,
                r#""lane":"North \"3\"","zone":"main","direction":"entry","#,
                r#""nonce":"01010101010101010101010101010101","#,
                r#""request":"02020202020202020202020202020202","ticket":7,"verdict":"deny","#,
                r#""reason":"already_used","#,
                r#""first_scan":{{"at":"1970-01-01T00:00:00.000Z","lane":"North 3"}}}}}}"#
            ),
            head.hash
        )
    );
}

#[test]
fn entries_keep_their_meaning_and_hash_as_text() {
    let event = Uuid::from_u128(9);
    let facts = [
        scan(),
        Fact::EventCanceled {},
        Fact::HoldsExpired { holds: vec![Uuid::from_u128(3)] },
        Fact::TicketReissued { ticket: 1, revision: 2, seat: None, key: None },
        Fact::InstructionDone { id: Uuid::from_u128(4), refused: None },
    ];
    let mut head = Head::genesis(event);
    for fact in facts {
        let entry = fact.entry(head.seq + 1, head.hash, Millis(5)).unwrap();
        let text = serde_json::to_string(&entry).unwrap();
        let read: Entry = serde_json::from_str(&text).unwrap();
        assert_eq!(read.hash(), entry.hash());
        assert!(read.follows(head));
        assert_eq!(Fact::from_entry(&read).unwrap(), fact);
        head = read.head();
    }
}

#[test]
fn unknown_kinds_and_broken_data_are_named() {
    let head = Head::genesis(Uuid::from_u128(9));
    let mut entry = scan().entry(1, head.hash, Millis(5)).unwrap();
    entry.kind = "scan.\"guessed\"".to_owned();
    let error = Fact::from_entry(&entry).unwrap_err();
    assert!(error.contains("unknown variant"), "{error}");
    entry.kind = "ticket.blocked".to_owned();
    entry.data = RawValue::from_string("{}".to_owned()).unwrap();
    let error = Fact::from_entry(&entry).unwrap_err();
    assert!(error.starts_with("ticket.blocked: missing field `ticket`"), "{error}");
}

/// Readers ignore fields that they do not know.
#[test]
fn newer_fields_are_ignored() {
    let head = Head::genesis(Uuid::from_u128(9));
    let data = r#"{"ticket":3,"invented_later":true}"#;
    let entry = Entry {
        seq: 1,
        prev_hash: head.hash,
        at: Millis(5),
        v: VERSION,
        kind: "ticket.blocked".to_owned(),
        data: RawValue::from_string(data.to_owned()).unwrap(),
    };
    assert_eq!(Fact::from_entry(&entry), Ok(Fact::TicketBlocked { ticket: 3 }));
}
