//! The store in Redis, against servers of its own: killed, restarted, replaced by an older copy, full.

use std::sync::Arc;
use std::time::Duration;

use inventory::conformance::{self, assert_entries, batch, entries_after, head_after};
use inventory::entry::Head;
use inventory::log::{Appended, DataKey, Log, LogError, SharedLog, Snapshot};
use inventory::store::redis::{Durability, RedisLog, RedisOptions};
use inventory::testing::RedisServer;
use uuid::Uuid;

/// Generous, so that a busy machine is not taken for a broken server.
fn options() -> RedisOptions {
    RedisOptions {
        connect_timeout: Duration::from_secs(10),
        response_timeout: Duration::from_secs(20),
        ..RedisOptions::default()
    }
}

async fn connect(server: &RedisServer) -> RedisLog {
    RedisLog::connect(&server.url(), options()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_promise() {
    let server = RedisServer::start().unwrap();
    let open = async || Ok(Arc::new(connect(&server).await) as SharedLog);
    conformance::run(open).await.unwrap();
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let mut server = RedisServer::start().unwrap();
    let log = connect(&server).await;
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let (order, key) = (Uuid::new_v4(), DataKey([4; 32]));
    let mut written = Vec::new();
    let mut head = genesis;
    for round in 0..3 {
        for _ in 0..20 {
            let mut next = batch(&entries_after(head, 3, "kept"));
            next.keys = vec![(order, key.clone())];
            let appended = log.append(event, head, &next).await.unwrap();
            assert!(matches!(appended, Appended::Done), "round {round}: {appended:?}");
            head = head_after(head, &next.entries);
            written.extend(next.entries);
        }
        server.kill().unwrap();
        let next = batch(&entries_after(head, 1, "while down"));
        let down = log.append(event, head, &next).await;
        assert!(matches!(down, Err(LogError::Unavailable(_))), "down is unknown: {down:?}");
        assert!(matches!(log.read(event, 0, 1).await, Err(LogError::Unavailable(_))));
        server.restart().unwrap();
        let stored = log.read(event, 0, 1_000).await.unwrap();
        assert_entries("all that was acknowledged", &stored, &written);
        assert_eq!(log.data_keys(event, &[order]).await.unwrap().len(), 1);
    }
}

/// A server of a cluster refuses a call whose keys lie in several slots, so this proves that all keys
/// of an event lie in one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_promise_with_the_keys_of_an_event_in_one_slot() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut add = redis::cmd("CLUSTER");
    add.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
    add.query_async::<()>(&mut connection).await.unwrap();
    let mut info = redis::cmd("CLUSTER");
    info.arg("INFO");
    let ready = async {
        while !info.query_async::<String>(&mut connection).await.unwrap().contains("state:ok") {}
    };
    tokio::time::timeout(Duration::from_secs(30), ready).await.unwrap();
    let open = async || Ok(Arc::new(connect(&server).await) as SharedLog);
    conformance::run(open).await.unwrap();
}

/// A node that repeats an append whose outcome it does not know, while the server is killed at any
/// moment: each batch is in the log, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeating_an_unknown_outcome_writes_once() {
    const BATCHES: usize = 400;
    let mut server = RedisServer::start().unwrap();
    let log = connect(&server).await;
    let event = Uuid::new_v4();
    let (progress, mut seen) = tokio::sync::watch::channel(0);
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            let mut written = Vec::new();
            let mut head = Head::genesis(event);
            let mut unknown = 0;
            for number in 0..BATCHES {
                let next = batch(&entries_after(head, 2, "loop"));
                loop {
                    match log.append(event, head, &next).await {
                        Ok(Appended::Done) => break,
                        Err(LogError::Unavailable(_)) => unknown += 1,
                        other => panic!("batch {number}: {other:?}"),
                    }
                }
                head = head_after(head, &next.entries);
                written.extend(next.entries);
                progress.send_replace(number);
            }
            (written, unknown)
        }
    });
    for kill_at in [50, 120, 200, 290] {
        seen.wait_for(|number| *number >= kill_at).await.unwrap();
        server.kill().unwrap();
        server.restart().unwrap();
    }
    let (written, unknown) = writer.await.unwrap();
    assert!(unknown > 0, "the writer met a dead server");
    let stored = log.read(event, 0, 1_000).await.unwrap();
    assert_entries("each batch, once", &stored, &written);
}

#[tokio::test]
async fn after_a_fail_over_that_lost_a_tail_nodes_append_it_again() {
    let mut server = RedisServer::start().unwrap();
    let log = connect(&server).await;
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let first = entries_after(genesis, 5, "first");
    log.append(event, genesis, &batch(&first)).await.unwrap();
    let kept = head_after(genesis, &first);
    server.kill().unwrap();
    let copy = server.copy().unwrap();
    server.restart().unwrap();
    let second = entries_after(kept, 4, "second");
    let appended = log.append(event, kept, &batch(&second)).await.unwrap();
    assert!(matches!(appended, Appended::Done), "{appended:?}");
    let head = head_after(kept, &second);

    server.restart_with_data_of(&copy).unwrap();
    let third = batch(&entries_after(head, 1, "third"));
    let behind = log.append(event, head, &third).await.unwrap();
    assert!(matches!(behind, Appended::Behind { head } if head == kept), "{behind:?}");
    // Two nodes repair at once, each from what it knows.
    let (one, two) = (connect(&server).await, connect(&server).await);
    let (part, all) = (batch(&second[..2]), batch(&second));
    let (one, two) = tokio::join!(one.append(event, kept, &part), two.append(event, kept, &all));
    assert!(matches!(one.unwrap(), Appended::Done));
    assert!(matches!(two.unwrap(), Appended::Done));
    assert!(matches!(log.append(event, head, &third).await.unwrap(), Appended::Done));
    let whole: Vec<_> = [first, second, third.entries].concat();
    assert_entries("the chain is whole again", &log.read(event, 0, 100).await.unwrap(), &whole);
}

#[tokio::test]
async fn another_chain_after_a_fail_over_is_a_fork() {
    let server = RedisServer::start().unwrap();
    let log = connect(&server).await;
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    log.append(event, genesis, &batch(&entries_after(genesis, 5, "theirs"))).await.unwrap();
    let ours = entries_after(genesis, 5, "ours");
    let head = head_after(genesis, &ours);
    let forked = log.append(event, head, &batch(&entries_after(head, 1, "ours"))).await.unwrap();
    assert!(matches!(forked, Appended::Forked { head } if head.seq == 5), "{forked:?}");
}

#[tokio::test]
async fn a_full_server_refuses_and_writes_nothing() {
    let server = RedisServer::start_with(&["--maxmemory", "8mb"]).unwrap();
    let log = connect(&server).await;
    let event = Uuid::new_v4();
    let mut head = Head::genesis(event);
    let filler = format!("\"{}\"", "x".repeat(200_000));
    let mut written = Vec::new();
    let refused = loop {
        let entry = conformance::entry_after(head, &filler);
        match log.append(event, head, &batch(std::slice::from_ref(&entry))).await {
            Ok(Appended::Done) => {
                head = entry.head();
                written.push(entry);
            }
            other => break other,
        }
        assert!(written.len() < 100, "8 MiB do not hold 20");
    };
    let out_of_memory =
        matches!(&refused, Err(LogError::Refused(text)) if text.contains("maxmemory"));
    assert!(out_of_memory, "{refused:?}");
    assert_eq!(log.head(event).await.unwrap(), head, "nothing of it was written");
    assert_entries("what was", &log.read(event, 0, 1_000).await.unwrap(), &written);
    let large = log.put("document", &vec![0; 4 << 20]).await;
    assert!(matches!(large, Err(LogError::Refused(_))), "{large:?}");
}

#[tokio::test]
async fn a_replica_refuses() {
    let server = RedisServer::start().unwrap();
    let log = connect(&server).await;
    let other = server.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &other]).unwrap();
    let refused = RedisLog::connect(&replica.url(), options()).await;
    assert!(matches!(refused, Err(LogError::Refused(_))), "{refused:?}");
    drop(replica);
    assert!(log.events().await.unwrap().is_empty());
}

#[tokio::test]
async fn functions_are_loaded_again_when_they_are_gone() {
    let server = RedisServer::start().unwrap();
    let log = connect(&server).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let flush = redis::cmd("FUNCTION").arg("FLUSH").query_async::<()>(&mut connection).await;
    flush.unwrap();
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let entries = entries_after(genesis, 1, "a");
    let appended = log.append(event, genesis, &batch(&entries)).await;
    assert!(matches!(appended, Ok(Appended::Done)), "{appended:?}");
    let flush = redis::cmd("FUNCTION").arg("FLUSH").query_async::<()>(&mut connection).await;
    flush.unwrap();
    let head = head_after(genesis, &entries);
    log.save_snapshot(event, &Snapshot { head, bytes: vec![1] }).await.unwrap();
    assert_eq!(log.load_snapshot(event).await.unwrap().unwrap().head, head);
}

#[tokio::test]
async fn a_server_that_would_lose_entries_is_refused() {
    for (settings, missing) in [
        (&["--appendonly", "no"][..], "appendonly yes"),
        (&["--appendfsync", "everysec"], "appendfsync always"),
        (&["--no-appendfsync-on-rewrite", "yes"], "no-appendfsync-on-rewrite no"),
        (&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"], "noeviction"),
    ] {
        let server = RedisServer::start_with(settings).unwrap();
        let refused = RedisLog::connect(&server.url(), options()).await;
        let told = matches!(&refused, Err(LogError::Refused(text)) if text.contains(missing));
        assert!(told, "{settings:?}: {refused:?}");
        let unchecked = RedisOptions { durability: Durability::Unchecked, ..options() };
        assert!(RedisLog::connect(&server.url(), unchecked).await.is_ok(), "{settings:?}");
    }
}

#[tokio::test]
async fn a_damaged_stream_is_told_not_read() {
    let server = RedisServer::start().unwrap();
    let log = connect(&server).await;
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let first = entries_after(genesis, 2, "first");
    log.append(event, genesis, &batch(&first)).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let stream = format!("atlvs:{{{event}}}:log");
    // The head is gone: the stream's own order stops an append, which is damage, not a lost race.
    let mut gone = redis::cmd("DEL");
    gone.arg(format!("atlvs:{{{event}}}:head"));
    gone.query_async::<()>(&mut connection).await.unwrap();
    let damaged = log.append(event, genesis, &batch(&first)).await;
    assert!(matches!(damaged, Err(LogError::Damaged(_))), "{damaged:?}");
    let mut foreign = redis::cmd("XADD");
    foreign.arg(&stream).arg("3-0").arg("h").arg("x").arg("e").arg("{}");
    foreign.query_async::<()>(&mut connection).await.unwrap();
    let damaged = log.read(event, 0, 10).await;
    assert!(matches!(damaged, Err(LogError::Damaged(_))), "{damaged:?}");
}

#[tokio::test]
async fn errors_never_show_the_password() {
    let server = RedisServer::start_with(&["--requirepass", "right-horse"]).unwrap();
    let port = server.port();
    let urls = [
        format!("redis://:wrong-horse@127.0.0.1:{port}/"),
        format!("redis://user:wrong-horse@127.0.0.1:{port}/"),
        "redis://:wrong-horse@127.0.0.1:1/".to_owned(),
        "redis://:wrong-horse@127.0.0.1:notaport/".to_owned(),
        "rediss://:wrong-horse@127.0.0.1:1/".to_owned(),
        "wrong-horse".to_owned(),
    ];
    for url in urls {
        let error = RedisLog::connect(&url, options()).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("horse"), "{url}: {told}");
    }
    let right = format!("redis://:right-horse@127.0.0.1:{port}/");
    let log = RedisLog::connect(&right, options()).await.unwrap();
    assert!(!format!("{log:?}").contains("horse"), "{log:?}");
}
