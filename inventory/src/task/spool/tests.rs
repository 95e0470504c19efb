use super::*;
use crate::command::{Digest16, Direction, OfflineMode};
use crate::testing::TestDirectory;
use crate::time::Millis;

fn scan(n: u8) -> OfflineScan {
    OfflineScan {
        device: Uuid::from_u128(7),
        lane: "North 3".to_owned(),
        zone: "main".to_owned(),
        direction: Direction::Entry,
        nonce: format!("nonce-{n:04}"),
        request: Digest16([n; 16]),
        ticket: u64::from(n),
        at: Millis(1_000 + i64::from(n)),
        admitted: true,
        reason: None,
        forced: false,
        mode: OfflineMode::Local,
        bundle: 3,
    }
}

fn open(directory: &TestDirectory) -> Spool {
    Spool::open(directory.path(), Uuid::nil(), 10).unwrap()
}

#[tokio::test]
async fn what_was_added_is_there_again_until_it_is_cleared() {
    let directory = TestDirectory::new().unwrap();
    let mut spool = open(&directory);
    spool.add(vec![scan(1), scan(2)]).await.unwrap();
    spool.add(vec![scan(3)]).await.unwrap();
    let expected = [scan(1), scan(2), scan(3)];
    assert_eq!(spool.scans(), expected);
    let mut again = open(&directory);
    assert_eq!((again.scans(), again.room()), (&expected[..], 7));
    again.clear(vec![scan(2)]).await.unwrap();
    assert_eq!(open(&directory).scans(), []);
    let aside = std::fs::read(directory.path().join(format!("{}.refused", Uuid::nil()))).unwrap();
    assert_eq!(parse(&aside).0, [scan(2)], "what the journal would not take is kept");
}

#[tokio::test]
async fn a_tail_torn_or_changed_at_any_byte_is_cut() {
    let directory = TestDirectory::new().unwrap();
    let mut spool = open(&directory);
    spool.add(vec![scan(1)]).await.unwrap();
    let whole = usize::try_from(spool.length).unwrap();
    spool.add(vec![scan(2)]).await.unwrap();
    let path = directory.path().join(format!("{}.spool", Uuid::nil()));
    let bytes = std::fs::read(&path).unwrap();
    for end in whole..bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let mut spool = open(&directory);
        assert_eq!(spool.scans(), [scan(1)], "torn at byte {end}");
        spool.add(vec![scan(3)]).await.unwrap();
        assert_eq!(open(&directory).scans(), [scan(1), scan(3)]);
        let mut changed = bytes.clone();
        changed[end] ^= 0x10;
        std::fs::write(&path, &changed).unwrap();
        assert_eq!(open(&directory).scans(), [scan(1)], "changed at byte {end}");
    }
}
