//! A request that is sent twice has one effect and one answer.

use std::sync::Arc;
use std::time::Duration;

use kernel::clock::ManualClock;
use kernel::error::Code;
use kernel::testkit::{Reply, TestOrg, TestServer, settings};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{Desk, id, is, refused};

#[tokio::test]
async fn the_second_request_is_given_the_first_answer() {
    let desk = Desk::open().await;
    let key: &[(&str, &str)] = &[("idempotency-key", "\"a-key\"")];
    let body = json!({"name": "One", "code": "one"});
    let first = is(desk.with("POST", "/labels", key, body.clone()).await, 201);
    // With quotes or without, it is the same key.
    let again = desk.with("POST", "/labels", &[("idempotency-key", "a-key")], body.clone()).await;
    let again = is(again, 201);
    assert_eq!(again.body, first.body);
    for name in ["etag", "location"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(desk.traces(&id(&first)).await, (1, 1));
    // What was answered then, not what is there now.
    let path = format!("/labels/{}", id(&first));
    is(desk.send("PATCH", &path, json!({"rank": 3})).await, 200);
    assert_eq!(desk.with("POST", "/labels", key, body.clone()).await.body, first.body);
    // The key stands for one request.
    for (method, path, headers, body) in [
        ("POST", "/labels", vec![key[0]], json!({"name": "Two", "code": "two"})),
        ("PUT", "/labels", vec![key[0]], body.clone()),
        ("PATCH", path.as_str(), vec![key[0]], body.clone()),
        ("POST", "/labels/bulk", vec![key[0]], body.clone()),
        ("POST", "/labels", vec![key[0], ("if-match", "\"1\"")], body.clone()),
    ] {
        let seen = desk.with(method, path, &headers, body).await;
        refused(&seen, Code::IdempotencyKeyReused, &["Idempotency-Key"]);
    }
    // Another caller's key is another key.
    let token = desk.org.issue(json!([{"grant": "*", "rights": ["*"]}])).await.unwrap();
    let other = desk.server.client.with_bearer(token.expose());
    let body = json!({"name": "Other", "code": "other"});
    is(other.send_with("POST", "/api/v1/labels", key, Some(&body)).await.unwrap(), 201);
}

#[tokio::test]
async fn every_unsafe_request_takes_a_key() {
    let desk = Desk::open().await;
    let label = desk.label("one").await;
    let path = format!("/labels/{label}");
    let bulk = json!({"mode": "each", "operations": [
        {"op": "action", "action": "use", "id": label},
        {"op": "create", "data": {"name": "x"}},
    ]});
    let requests = [
        ("PATCH", path.clone(), json!({"rank": 1}), 200),
        ("PUT", "/labels".to_owned(), json!({"code": "one", "rank": 2}), 200),
        ("POST", format!("{path}/use"), json!({}), 200),
        ("POST", "/labels/bulk".to_owned(), bulk, 200),
        ("DELETE", path.clone(), Value::Null, 204),
        ("POST", format!("{path}/restore"), Value::Null, 200),
    ];
    for (n, (method, path, body, status)) in requests.into_iter().enumerate() {
        let key = format!("key {n}");
        let key: &[(&str, &str)] = &[("idempotency-key", &key)];
        let first = is(desk.with(method, &path, key, body.clone()).await, status);
        let changes = desk.traces(&label).await;
        let again = is(desk.with(method, &path, key, body).await, status);
        assert_eq!(again.body, first.body, "{method} {path}");
        assert_eq!(again.header("etag"), first.header("etag"), "{method} {path}");
        assert_eq!(desk.traces(&label).await, changes, "{method} {path}");
    }
    for key in ["", "\"\"", "ü", &"x".repeat(256)] {
        let key: &[(&str, &str)] = &[("idempotency-key", key)];
        let seen = desk.with("PATCH", &path, key, json!({"rank": 1})).await;
        refused(&seen, Code::InvalidRequest, &["Idempotency-Key"]);
    }
}

#[tokio::test]
async fn a_refused_request_may_be_sent_again() {
    let desk = Desk::open().await;
    let key: &[(&str, &str)] = &[("idempotency-key", "again")];
    let body = json!({"label_id": desk.label("one").await, "title": "forbidden"});
    refused(&desk.with("POST", "/cases", key, body.clone()).await, Code::InvalidValue, &["title"]);
    refused(&desk.with("POST", "/cases", key, body.clone()).await, Code::InvalidValue, &["title"]);
    let mut good = body;
    good["title"] = json!("Printer");
    is(desk.with("POST", "/cases", key, good).await, 201);
}

#[tokio::test]
async fn a_secret_is_never_kept() {
    let desk = Desk::open().await;
    let label = desk.label("one").await;
    let key: &[(&str, &str)] = &[("idempotency-key", "a secret")];
    let path = format!("/labels/{label}/secret");
    let first = is(desk.with("POST", &path, key, json!({})).await, 200);
    assert_eq!(first.body["token"], "shown once");
    let again = desk.with("POST", &path, key, json!({})).await;
    refused(&again, Code::AlreadyUsed, &["Idempotency-Key"]);
    assert_eq!(desk.get(&format!("/labels/{label}")).await.body["uses"], 1);
    // In a bulk it is as secret, and a bulk without it is kept.
    let bulk = |action: &str| {
        let operation = json!({"op": "action", "action": action, "id": label});
        json!({"mode": "each", "operations": [operation]})
    };
    for (action, status) in [("secret", 409), ("use", 200)] {
        let key: &[(&str, &str)] = &[("idempotency-key", action)];
        is(desk.with("POST", "/labels/bulk", key, bulk(action)).await, 200);
        is(desk.with("POST", "/labels/bulk", key, bulk(action)).await, status);
    }
    let admin = super::database().await.superuser().await.unwrap();
    let sql = "select count(*) filter (where kept), count(*), count(body) from idempotency_keys \
         where org_id = $1";
    let row = admin.query_one(sql, &[&desk.org.id]).await.unwrap();
    let counts: [i64; 3] = [0, 1, 2].map(|at| row.try_get(at).unwrap());
    assert_eq!(counts, [1, 3, 1], "of three requests one was kept");
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day() {
    let clock = Arc::new(ManualClock::at("2026-11-21T10:00:00Z".parse().unwrap()));
    // Of its own: what is past its time by this clock is another test's key of today.
    let script = kernel::ddl::script(super::registry());
    let db = &kernel::testkit::TestDb::create("desk_daily", &[&script]).await.unwrap();
    let server =
        TestServer::start_with(super::registry(), settings(db), clock.clone()).await.unwrap();
    let org = TestOrg::open(&server.service).await.unwrap();
    let client = server.client.with_bearer(org.token.expose());
    let post = async |code: &str| {
        let body = json!({"name": "One", "code": code});
        let key: &[(&str, &str)] = &[("idempotency-key", "daily")];
        client.send_with("POST", "/api/v1/labels", key, Some(&body)).await.unwrap()
    };
    is(post("one").await, 201);
    clock.advance(Duration::from_secs(24 * 3_600 - 1));
    refused(&post("two").await, Code::IdempotencyKeyReused, &["Idempotency-Key"]);
    clock.advance(Duration::from_secs(2));
    is(post("two").await, 201);
    // What nobody asks for any more is removed; what still counts stays.
    let kept = async || -> i64 {
        let admin = db.superuser().await.unwrap();
        let sql = "select count(*) from idempotency_keys where org_id = $1";
        admin.query_one(sql, &[&org.id]).await.unwrap().try_get(0).unwrap()
    };
    let empty = async || kernel::sweep::sweep_once(&server.service).await;
    empty().await;
    assert_eq!(kept().await, 1);
    clock.advance(Duration::from_secs(24 * 3_600 + 1));
    empty().await;
    assert_eq!(kept().await, 0);
}

#[tokio::test]
async fn thirty_two_clients_with_one_key_have_one_effect() {
    let desk = Desk::open().await;
    for round in 0..3 {
        let label = desk.label(&format!("round-{round}")).await;
        let key = format!("round-{round}");
        let one = |_| {
            let (desk, label, key) = (&desk, &label, &key);
            async move {
                let path = format!("/labels/{label}/use");
                desk.with("POST", &path, &[("idempotency-key", key)], json!({})).await
            }
        };
        let replies: Vec<Reply> = futures_util::future::join_all((0..32).map(one)).await;
        let first = replies[0].body.clone();
        for reply in replies {
            assert_eq!((reply.status, &reply.body), (200, &first));
        }
        assert_eq!(desk.get(&format!("/labels/{label}")).await.body["uses"], 1);
    }
}

/// The caller is gone between the commit and the answer: the effect is there, and so is the answer.
#[tokio::test]
async fn an_answer_that_was_lost_is_given_again() {
    let desk = Desk::open().await;
    let label = desk.label("lost").await;
    let path = format!("/api/v1/labels/{label}/use");
    let address = desk.server.url.trim_start_matches("http://").to_owned();
    let token = desk.org.token.expose().to_owned();
    let key = "lost answer";
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: desk\r\nauthorization: Bearer {token}\r\n\
         idempotency-key: {key}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // The effect is committed; whatever of the answer is on its way dies with the connection.
    let sees = async || desk.get(&format!("/labels/{label}")).await.body["uses"].clone();
    let committed = async {
        while sees().await != json!(1) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), committed).await.unwrap();
    drop(stream);
    let again = desk
        .with("POST", &format!("/labels/{label}/use"), &[("idempotency-key", key)], json!({}))
        .await;
    assert_eq!(is(again, 200).body["uses"], 1);
    assert_eq!(sees().await, 1);
}

/// Whoever reads the table reads no answer: it is sealed with the key, which is not kept.
#[tokio::test]
async fn a_kept_answer_is_sealed() {
    let desk = Desk::open().await;
    let key: &[(&str, &str)] = &[("idempotency-key", "sealed")];
    let body = json!({"name": "Somebody", "code": "sealed", "notes": "told in confidence"});
    let first = is(desk.with("POST", "/labels", key, body.clone()).await, 201);
    let admin = super::database().await.superuser().await.unwrap();
    let sql = "select body from idempotency_keys where org_id = $1";
    let kept: Vec<u8> = admin.query_one(sql, &[&desk.org.id]).await.unwrap().try_get(0).unwrap();
    assert!(first.body.to_string().len() < kept.len() + 40, "all of it is there");
    for word in ["confidence", "Somebody", "sealed"] {
        assert!(!kept.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
    }
    assert_eq!(is(desk.with("POST", "/labels", key, body).await, 201).body, first.body);
}

/// An answer shows what its caller could read then; to one who may something else now it is not given.
#[tokio::test]
async fn a_kept_answer_obeys_the_rights_of_today() {
    let desk = Desk::open().await;
    let line = |levels: Value| json!([{"grant": "*", "rights": ["*"], "levels": levels}]);
    let token = desk.org.issue(line(json!(["open", "personal"]))).await.unwrap();
    let client = desk.server.client.with_bearer(token.expose());
    let key: &[(&str, &str)] = &[("idempotency-key", "rights")];
    let post = async |body: &Value| {
        client.send_with("POST", "/api/v1/labels", key, Some(body)).await.unwrap()
    };
    let body = json!({"name": "One", "code": "one", "notes": "told in confidence"});
    let first = is(post(&body).await, 201);
    assert_eq!(first.body["notes"], "told in confidence");
    assert_eq!(is(post(&body).await, 201).body, first.body);
    let admin = super::database().await.superuser().await.unwrap();
    let sql = "update api_tokens set grants = $2 where id = \
         (select id from api_tokens where org_id = $1 order by created_at desc, id desc limit 1)";
    admin.execute(sql, &[&desk.org.id, &line(json!(["open"]))]).await.unwrap();
    let seen = post(&body).await;
    refused(&seen, Code::AlreadyUsed, &["Idempotency-Key"]);
    assert!(!seen.body.to_string().contains("confidence"));
    assert_eq!(desk.get("/labels").await.body["data"].as_array().unwrap().len(), 1);
    // Another request with the key is told that it is another one, whatever the rights.
    let seen = post(&json!({"name": "Two", "code": "two"})).await;
    refused(&seen, Code::IdempotencyKeyReused, &["Idempotency-Key"]);
}
