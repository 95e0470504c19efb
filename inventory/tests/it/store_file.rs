//! The store in a directory: torn, flipped, full, killed, locked.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use inventory::conformance::{self, assert_entries, batch, entries_after, head_after};
use inventory::entry::{Entry, Head};
use inventory::log::{Appended, Batch, DataKey, Log, LogError, Result, SharedLog, Snapshot};
use inventory::store::file::FileLog;
use inventory::store::file::faulty::{Faults, FaultyDisk};
use inventory::testing::TestDirectory;
use uuid::Uuid;

/// Asks the test binary, started again by `the_writer_that_is_killed`, to write without end.
const WRITE_INTO: &str = "ATLVS_TEST_WRITE_INTO";
const EVENT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
const ORDER: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_promise() {
    let directory = TestDirectory::new().unwrap();
    conformance::run(async || Ok(Arc::new(FileLog::open(directory.path())?) as SharedLog))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_promise_over_many_small_segments() {
    let directory = TestDirectory::new().unwrap();
    conformance::run(async || Ok(Arc::new(small(directory.path(), &FaultyDisk::default())?) as _))
        .await
        .unwrap();
}

/// A log whose segments hold about three batches of three.
fn small(directory: &Path, disk: &FaultyDisk) -> Result<FileLog> {
    FileLog::open_on(directory, Arc::new(disk.clone()), 2_000)
}

fn event_directory(directory: &Path) -> PathBuf {
    directory.join("events").join(EVENT.to_string())
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(event_directory(directory)).into_iter().flatten();
    let mut paths: Vec<_> = listed.map(|item| item.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    paths
}

/// Appends batches of three entries each; returns all entries.
async fn write(log: &FileLog, batches: usize) -> Vec<Entry> {
    let mut head = log.head(EVENT).await.unwrap();
    let mut written = log.read(EVENT, 0, 1_000).await.unwrap();
    for _ in 0..batches {
        let entries = entries_after(head, 3, "write");
        let appended = log.append(EVENT, head, &batch(&entries)).await.unwrap();
        assert!(matches!(appended, Appended::Done), "{appended:?}");
        head = head_after(head, &entries);
        written.extend(entries);
    }
    written
}

/// What a newly opened log holds; it must also take a new batch.
async fn reopened(directory: &Path) -> Result<Vec<Entry>> {
    let log = FileLog::open(directory)?;
    let entries = log.read(EVENT, 0, 1_000).await?;
    let head = log.head(EVENT).await?;
    assert_eq!(head, head_after(Head::genesis(EVENT), &entries), "head and entries agree");
    let more = entries_after(head, 1, "more");
    let appended = log.append(EVENT, head, &batch(&more)).await?;
    assert!(matches!(appended, Appended::Done), "{appended:?}");
    assert_entries("a new batch is read", &log.read(EVENT, head.seq, 10).await?, &more);
    Ok(entries)
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut() {
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    let kept = write(&log, 2).await;
    let path = segments(directory.path()).remove(0);
    let good = fs::metadata(&path).unwrap().len();
    write(&log, 1).await;
    drop(log);
    let whole = fs::read(&path).unwrap();
    let good = usize::try_from(good).unwrap();
    assert!(whole.len() > good + 300, "the last frame has bytes to tear");
    for length in good..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let entries = reopened(directory.path()).await.unwrap();
        assert_entries(&format!("torn at {length}"), &entries, &kept);
        // A length that was made durable before its bytes: zeros, from here to the end.
        let mut zeros = whole.clone();
        zeros[length..].fill(0);
        fs::write(&path, &zeros).unwrap();
        let entries = reopened(directory.path()).await.unwrap();
        assert_entries(&format!("zeros from {length}"), &entries, &kept);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(reopened(directory.path()).await.unwrap().len(), 9, "untorn it is whole");
}

#[tokio::test]
async fn a_first_segment_torn_in_its_header_is_no_log() {
    let directory = TestDirectory::new().unwrap();
    drop(FileLog::open(directory.path()).unwrap());
    let log = FileLog::open(directory.path()).unwrap();
    write(&log, 1).await;
    drop(log);
    let path = segments(directory.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for length in 0..=68 {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(reopened(directory.path()).await.unwrap().len(), 0, "torn at {length}");
    }
}

#[tokio::test]
async fn a_segment_torn_at_its_creation_is_begun_again() {
    let directory = TestDirectory::new().unwrap();
    let log = small(directory.path(), &FaultyDisk::default()).unwrap();
    let kept = loop {
        let before = log.read(EVENT, 0, 1_000).await.unwrap();
        write(&log, 1).await;
        if segments(directory.path()).len() == 3 {
            break before;
        }
    };
    drop(log);
    let mut whole = segments(directory.path());
    let last = whole.pop().unwrap();
    let header = fs::read(&last).unwrap();
    let whole: Vec<_> = whole.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    for length in 0..=68 {
        for (bytes, path) in &whole {
            fs::write(path, bytes).unwrap();
        }
        fs::write(&last, &header[..length]).unwrap();
        let entries = reopened(directory.path()).await.unwrap();
        assert_entries(&format!("torn at {length}"), &entries, &kept);
    }
}

#[tokio::test]
async fn a_flipped_bit_before_the_last_frame_is_damage() {
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    write(&log, 2).await;
    let path = segments(directory.path()).remove(0);
    let last_frame = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
    write(&log, 1).await;
    drop(log);
    let whole = fs::read(&path).unwrap();
    for offset in 0..last_frame {
        let mut flipped = whole.clone();
        flipped[offset] ^= 1 << (offset % 8);
        fs::write(&path, &flipped).unwrap();
        let damaged = reopened(directory.path()).await;
        let named = matches!(&damaged, Err(LogError::Damaged(text)) if text.contains(".log"));
        assert!(named, "a bit flipped at {offset}: {damaged:?}");
        assert_eq!(fs::read(&path).unwrap(), flipped, "what is damaged is not changed");
    }
}

#[tokio::test]
async fn damage_that_comes_while_it_is_open_is_told_on_reading() {
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    let written = write(&log, 3).await;
    let path = segments(directory.path()).remove(0);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"\x01", 200).unwrap();
    let damaged = log.read(EVENT, 0, 10).await;
    assert!(matches!(damaged, Err(LogError::Damaged(_))), "{damaged:?}");
    fs::remove_file(&path).unwrap();
    let gone = log.read(EVENT, 0, 10).await;
    assert!(matches!(gone, Err(LogError::Damaged(_))), "{gone:?}");
    assert_eq!(written.len(), 9);
}

#[tokio::test]
async fn a_missing_segment_is_damage() {
    for lost in 0..3 {
        let directory = TestDirectory::new().unwrap();
        let log = small(directory.path(), &FaultyDisk::default()).unwrap();
        let mut written = Vec::new();
        while segments(directory.path()).len() < 3 {
            written = write(&log, 1).await;
        }
        // The snapshot stands at the log's end, so that a lost last segment shows too.
        let head = head_after(Head::genesis(EVENT), &written);
        let early = head_after(Head::genesis(EVENT), &written[..3]);
        let at = if lost == 2 { head } else { early };
        log.save_snapshot(EVENT, &Snapshot { head: at, bytes: vec![1] }).await.unwrap();
        drop(log);
        fs::remove_file(&segments(directory.path())[lost]).unwrap();
        let damaged = reopened(directory.path()).await;
        assert!(matches!(damaged, Err(LogError::Damaged(_))), "segment {lost}: {damaged:?}");
    }
}

#[tokio::test]
async fn a_segment_torn_before_another_is_damage_and_not_cut() {
    let directory = TestDirectory::new().unwrap();
    let log = small(directory.path(), &FaultyDisk::default()).unwrap();
    while segments(directory.path()).len() < 3 {
        write(&log, 1).await;
    }
    drop(log);
    let path = segments(directory.path()).remove(1);
    let whole = fs::read(&path).unwrap();
    let torn = &whole[..whole.len() - 1];
    fs::write(&path, torn).unwrap();
    let damaged = reopened(directory.path()).await;
    assert!(matches!(damaged, Err(LogError::Damaged(_))), "{damaged:?}");
    assert_eq!(fs::read(&path).unwrap(), torn, "what is damaged is not changed");
}

#[tokio::test]
async fn another_events_segment_is_damage() {
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    write(&log, 1).await;
    drop(log);
    let stranger = Uuid::new_v4();
    let to = directory.path().join("events").join(stranger.to_string());
    fs::create_dir(&to).unwrap();
    let from = segments(directory.path()).remove(0);
    fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    let damaged = log.read(stranger, 0, 10).await;
    assert!(matches!(damaged, Err(LogError::Damaged(_))), "{damaged:?}");
    assert_eq!(log.read(EVENT, 0, 10).await.unwrap().len(), 3, "the others are well");
}

#[tokio::test]
async fn trimming_removes_whole_segments_behind_the_snapshot() {
    let directory = TestDirectory::new().unwrap();
    let log = small(directory.path(), &FaultyDisk::default()).unwrap();
    let mut written = Vec::new();
    while segments(directory.path()).len() < 5 {
        written = write(&log, 1).await;
    }
    let end = head_after(Head::genesis(EVENT), &written);
    let middle = head_after(Head::genesis(EVENT), &written[..written.len() / 2]);
    log.save_snapshot(EVENT, &Snapshot { head: middle, bytes: vec![1; 10] }).await.unwrap();
    log.trim(EVENT, u64::MAX).await.unwrap();
    let left = segments(directory.path()).len();
    assert!((2..5).contains(&left), "{left} segments are left");
    log.save_snapshot(EVENT, &Snapshot { head: end, bytes: vec![2; 10] }).await.unwrap();
    log.trim(EVENT, u64::MAX).await.unwrap();
    assert_eq!(segments(directory.path()).len(), 1, "the last one stays");
    assert!(log.events().await.unwrap().contains(&EVENT));
    drop(log);
    let log = FileLog::open(directory.path()).unwrap();
    assert_eq!(log.head(EVENT).await.unwrap(), end);
    let next = batch(&entries_after(end, 1, "next"));
    assert!(matches!(log.append(EVENT, end, &next).await.unwrap(), Appended::Done));
}

#[tokio::test]
async fn a_log_that_is_trimmed_to_nothing_is_still_a_log() {
    let directory = TestDirectory::new().unwrap();
    let disk = FaultyDisk::default();
    let log = FileLog::open_on(directory.path(), Arc::new(disk.clone()), 1).unwrap();
    let written = write(&log, 2).await;
    let head = head_after(Head::genesis(EVENT), &written);
    // A new segment is begun, then the disk is full: it holds no entry, and the others go.
    let next = batch(&entries_after(head, 1, "next"));
    disk.set(Faults { room: Some(68), ..Faults::default() });
    assert!(matches!(log.append(EVENT, head, &next).await, Err(LogError::Refused(_))));
    disk.set(Faults::default());
    log.save_snapshot(EVENT, &Snapshot { head, bytes: vec![1] }).await.unwrap();
    log.trim(EVENT, u64::MAX).await.unwrap();
    assert_eq!(segments(directory.path()).len(), 1);
    assert!(log.read(EVENT, 0, 10).await.unwrap().is_empty());
    drop(log);
    let log = FileLog::open(directory.path()).unwrap();
    assert_eq!(log.events().await.unwrap(), [EVENT]);
    assert_eq!(log.head(EVENT).await.unwrap(), head);
    assert!(matches!(log.append(EVENT, head, &next).await, Ok(Appended::Done)));
}

/// A disk with room for `room` more bytes: the append is refused, nothing of it is seen or found
/// later, and with room again it succeeds.
async fn check_full(room: usize, batch: &Batch, frame_bytes: usize) {
    let directory = TestDirectory::new().unwrap();
    let disk = FaultyDisk::default();
    let log = FileLog::open_on(directory.path(), Arc::new(disk.clone()), 2_000).unwrap();
    let kept = write(&log, 2).await;
    let head = head_after(Head::genesis(EVENT), &kept);
    disk.set(Faults { room: Some(room), ..Faults::default() });
    let refused = log.append(EVENT, head, batch).await;
    assert!(room < frame_bytes, "the case has too little room");
    assert!(matches!(refused, Err(LogError::Refused(_))), "room for {room}: {refused:?}");
    assert_eq!(log.head(EVENT).await.unwrap(), head, "room for {room}");
    assert_entries("nothing is seen", &log.read(EVENT, 0, 100).await.unwrap(), &kept);
    // The process dies here, or the disk has room again.
    if room.is_multiple_of(2) {
        drop(log);
        assert_entries("nothing is found", &reopened(directory.path()).await.unwrap(), &kept);
        return;
    }
    disk.set(Faults::default());
    assert!(matches!(log.append(EVENT, head, batch).await, Ok(Appended::Done)), "{room}");
    drop(log);
    let entries = reopened(directory.path()).await.unwrap();
    assert_eq!(entries.len(), kept.len() + batch.entries.len(), "room for {room}");
}

#[tokio::test]
async fn a_full_disk_refuses_and_nothing_is_half_written() {
    let genesis = Head::genesis(EVENT);
    let head = head_after(genesis, &entries_after(genesis, 6, "write"));
    let mut next = batch(&entries_after(head, 2, "next"));
    let json: usize = next.entries.iter().map(|e| serde_json::to_vec(e).unwrap().len()).sum();
    let frame = 12 + 76 + json;
    for room in (0..frame).step_by(7) {
        check_full(room, &next, frame).await;
    }
    // With a data key: its file is written first.
    next.keys = vec![(ORDER, DataKey([6; 32]))];
    for room in (0..60 + frame).step_by(11) {
        check_full(room, &next, 60 + frame).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_also_a_new_segment_a_snapshot_and_a_document() {
    let directory = TestDirectory::new().unwrap();
    let disk = FaultyDisk::default();
    let log = FileLog::open_on(directory.path(), Arc::new(disk.clone()), 1).unwrap();
    let kept = write(&log, 2).await;
    let head = head_after(Head::genesis(EVENT), &kept);
    log.put("document", b"old").await.unwrap();
    log.save_snapshot(EVENT, &Snapshot { head: kept[0].head(), bytes: vec![1] }).await.unwrap();
    let next = batch(&entries_after(head, 1, "next"));
    for room in [0, 1, 30, 67, 68, 70] {
        disk.set(Faults { room: Some(room), ..Faults::default() });
        let refused = log.append(EVENT, head, &next).await;
        assert!(matches!(refused, Err(LogError::Refused(_))), "room for {room}: {refused:?}");
        disk.set(Faults { room: Some(room), ..Faults::default() });
        let refused = log.put("document", &[7; 100]).await;
        assert!(matches!(refused, Err(LogError::Refused(_))), "room for {room}: {refused:?}");
        disk.set(Faults { room: Some(room), ..Faults::default() });
        let refused = log.save_snapshot(EVENT, &Snapshot { head, bytes: vec![2; 100] }).await;
        assert!(matches!(refused, Err(LogError::Refused(_))), "room for {room}: {refused:?}");
    }
    disk.set(Faults::default());
    assert_eq!(log.get("document").await.unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(log.load_snapshot(EVENT).await.unwrap().unwrap().bytes, [1]);
    assert!(matches!(log.append(EVENT, head, &next).await, Ok(Appended::Done)));
    drop(log);
    assert_eq!(reopened(directory.path()).await.unwrap().len(), kept.len() + 1);
}

#[tokio::test]
async fn an_event_whose_failed_write_cannot_be_cut_is_unavailable_until_it_can() {
    let directory = TestDirectory::new().unwrap();
    let disk = FaultyDisk::default();
    let log = FileLog::open_on(directory.path(), Arc::new(disk.clone()), 1 << 20).unwrap();
    let kept = write(&log, 2).await;
    let head = head_after(Head::genesis(EVENT), &kept);
    let next = batch(&entries_after(head, 2, "next"));
    let broken = Faults { refuse_sync: true, refuse_set_len: true, ..Faults::default() };
    for faults in [broken, Faults { refuse_set_len: false, ..broken }] {
        disk.set(faults);
        for _ in 0..2 {
            let unknown = log.append(EVENT, head, &next).await;
            assert!(matches!(unknown, Err(LogError::Unavailable(_))), "{unknown:?}");
            assert_entries("reading goes on", &log.read(EVENT, 0, 100).await.unwrap(), &kept);
        }
    }
    // Cutting works, durability does not: what was cut stays unknown.
    disk.set(Faults::default());
    assert!(matches!(log.append(EVENT, head, &next).await, Ok(Appended::Done)));
    drop(log);
    assert_eq!(reopened(directory.path()).await.unwrap().len(), 8);

    // The same, but the process dies with the whole frame in the file: it is there, and is known
    // when the append is repeated.
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open_on(directory.path(), Arc::new(disk.clone()), 1 << 20).unwrap();
    write(&log, 2).await;
    disk.set(broken);
    assert!(matches!(log.append(EVENT, head, &next).await, Err(LogError::Unavailable(_))));
    drop(log);
    let log = FileLog::open(directory.path()).unwrap();
    assert!(matches!(log.append(EVENT, head, &next).await, Ok(Appended::Done)));
    assert_eq!(log.read(EVENT, 0, 100).await.unwrap().len(), 8, "once");
}

#[tokio::test]
async fn an_erased_key_is_nowhere_in_the_directory() {
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    let genesis = Head::genesis(EVENT);
    let mut sold = batch(&entries_after(genesis, 1, "sold"));
    let secret = DataKey(*b"the key that has to be forgotten");
    sold.keys = vec![(ORDER, secret.clone()), (Uuid::new_v4(), DataKey([2; 32]))];
    log.append(EVENT, genesis, &sold).await.unwrap();
    let vault = event_directory(directory.path()).join("vault");
    // Holds the file's blocks, as an undelete would.
    let old = fs::File::open(&vault).unwrap();
    let holds = |bytes: &[u8]| bytes.windows(32).any(|window| window == secret.0);
    assert!(holds(&fs::read(&vault).unwrap()), "the key was there");
    log.erase_key(EVENT, ORDER).await.unwrap();
    for item in fs::read_dir(event_directory(directory.path())).unwrap() {
        let path = item.unwrap().path();
        assert!(!holds(&fs::read(&path).unwrap()), "{}", path.display());
    }
    let mut left = vec![0; usize::try_from(old.metadata().unwrap().len()).unwrap()];
    old.read_exact_at(&mut left, 0).unwrap();
    assert!(left.iter().all(|byte| *byte == 0), "freed blocks are overwritten");
    drop(log);
    let log = FileLog::open(directory.path()).unwrap();
    assert_eq!(log.data_keys(EVENT, &[ORDER]).await.unwrap(), []);
}

#[tokio::test]
async fn a_torn_vault_is_cut_and_a_damaged_one_is_told() {
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    let genesis = Head::genesis(EVENT);
    let mut sold = batch(&entries_after(genesis, 1, "sold"));
    sold.keys = vec![(ORDER, DataKey([1; 32]))];
    log.append(EVENT, genesis, &sold).await.unwrap();
    drop(log);
    let vault = event_directory(directory.path()).join("vault");
    let good = fs::read(&vault).unwrap();
    for torn in [1, 20, 51] {
        let mut bytes = good.clone();
        bytes.extend(vec![9; torn]);
        fs::write(&vault, &bytes).unwrap();
        let log = FileLog::open(directory.path()).unwrap();
        let keys = log.data_keys(EVENT, &[ORDER]).await.unwrap();
        assert_eq!(keys, [(ORDER, DataKey([1; 32]))], "{torn} bytes of a record");
        assert_eq!(fs::read(&vault).unwrap(), good, "{torn} bytes are cut");
    }
    let mut bytes = good.clone();
    bytes.extend(&good[8..]);
    bytes[20] ^= 1;
    fs::write(&vault, &bytes).unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    let damaged = log.data_keys(EVENT, &[ORDER]).await;
    assert!(matches!(damaged, Err(LogError::Damaged(_))), "{damaged:?}");
}

#[tokio::test]
async fn one_process_at_a_time() {
    let directory = TestDirectory::new().unwrap();
    let log = FileLog::open(directory.path()).unwrap();
    let refused = FileLog::open(directory.path());
    let name = directory.path().display().to_string();
    let told = matches!(&refused, Err(LogError::Refused(text)) if text.contains(&name));
    assert!(told, "{refused:?}");
    drop(log);
    assert!(FileLog::open(directory.path()).is_ok());
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_refused() {
    let directory = TestDirectory::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"in the way").unwrap();
    for path in [path.clone(), path.join("below")] {
        let refused = FileLog::open(&path);
        assert!(matches!(refused, Err(LogError::Refused(_))), "{refused:?}");
    }
}

/// Writes into a directory and says after each acknowledgement how far it has come. As a test of its
/// own it writes a little; started again by the test below it writes until it is killed.
#[tokio::test]
async fn the_writer_that_is_killed() {
    let asked = std::env::var_os(WRITE_INTO).map(PathBuf::from);
    // One that is killed removes nothing, so it makes nothing of its own either.
    let own = asked.is_none().then(|| TestDirectory::new().unwrap());
    let rounds = if asked.is_some() { u64::MAX } else { 50 };
    let mut output: Box<dyn Write> =
        if asked.is_some() { Box::new(std::io::stdout()) } else { Box::new(std::io::sink()) };
    let directory = asked.or_else(|| own.as_ref().map(|own| own.path().to_owned())).unwrap();
    let log = FileLog::open_on(&directory, Arc::new(FaultyDisk::default()), 20_000).unwrap();
    let mut head = log.head(EVENT).await.unwrap();
    let start = head.seq;
    for round in 0..rounds {
        let mut next = batch(&entries_after(head, round % 5 + 1, "write"));
        next.keys = vec![(Uuid::from_u128(u128::from(head.seq + 1)), DataKey([8; 32]))];
        let appended = log.append(EVENT, head, &next).await.unwrap();
        assert!(matches!(appended, Appended::Done), "{appended:?}");
        head = head_after(head, &next.entries);
        writeln!(output, "\nacknowledged {}", head.seq).unwrap();
        output.flush().unwrap();
    }
    assert_eq!(head.seq - start, 150, "fifty rounds of one to five");
}

/// Starts the writer, by a shell if one is given, with a reader of what it says.
fn start_writer(directory: &Path, shell: &[&str]) -> (Child, impl Iterator<Item = u64> + use<>) {
    let program = std::env::current_exe().unwrap();
    let mut command = match shell.split_first() {
        Some((shell, words)) => {
            let mut command = Command::new(shell);
            command.args(words).arg(program);
            command
        }
        None => Command::new(program),
    };
    let mut writer = command
        .args(["--exact", "store_file::the_writer_that_is_killed", "--nocapture"])
        .env(WRITE_INTO, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let numbers = lines.map_while(std::io::Result::ok).filter_map(|line| {
        line.strip_prefix("acknowledged ").and_then(|number| number.parse().ok())
    });
    (writer, numbers)
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let directory = TestDirectory::new().unwrap();
    let mut stored = Vec::new();
    for round in 0..5 {
        let (mut writer, mut numbers) = start_writer(directory.path(), &[]);
        let mut acknowledged = numbers.nth(20 + round * 7).unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it said before it died counts too.
        acknowledged = numbers.last().unwrap_or(acknowledged).max(acknowledged);
        let log = FileLog::open(directory.path()).unwrap();
        let head = log.head(EVENT).await.unwrap();
        assert!(head.seq >= acknowledged, "{acknowledged} was acknowledged, {} is there", head.seq);
        stored.clear();
        while (stored.len() as u64) < head.seq {
            let after = stored.last().map_or(0, |entry: &Entry| entry.seq);
            let page = log.read(EVENT, after, 1_000).await.unwrap();
            assert!(!page.is_empty(), "no gap after {after}");
            stored.extend(page);
        }
        let mut at = Head::genesis(EVENT);
        for entry in &stored {
            assert!(entry.follows(at), "entry {} follows {}", entry.seq, at.seq);
            at = entry.head();
        }
        assert_eq!(at, head, "the chain ends at the head");
        let first = Uuid::from_u128(1);
        assert_eq!(log.data_keys(EVENT, &[first]).await.unwrap().len(), 1, "keys too");
    }
}

/// The operating system itself refuses: no file of the writer may become
/// longer than 16 blocks, which is less than a segment.
#[tokio::test]
async fn a_limit_of_the_system_loses_nothing_either() {
    let directory = TestDirectory::new().unwrap();
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let (mut writer, numbers) = start_writer(directory.path(), &["sh", "-c", limited]);
    let acknowledged = numbers.last().unwrap();
    assert!(!writer.wait().unwrap().success(), "the writer was refused in the end");
    let log = FileLog::open(directory.path()).unwrap();
    let head = log.head(EVENT).await.unwrap();
    assert_eq!(head.seq, acknowledged, "what was refused is not there");
    let next = batch(&entries_after(head, 1, "next"));
    assert!(matches!(log.append(EVENT, head, &next).await, Ok(Appended::Done)));
}
