//! What can happen to an import on its way: slow and broken uploads, other people's locks and
//! changes, cancellation, long lists of faults, and rights that end in the middle of a row.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use kernel::action::{Action, Answers, Args, On, Reply};
use kernel::cx::Cx;
use kernel::entity::{
    Domain, Entity, Field, Unique, choice, email, integer, json as json_field, link, slug, text,
};
use kernel::error::{Code, Error, Result};
use kernel::rule::{Change, ChangeOp, Rule};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::files::counts;
use crate::hall::{House, Seen};

/// More text than one sentence should hold.
const GRADES: &[&str] = &[
    "grade_of_unusual_length_number_one_for_a_list",
    "grade_of_unusual_length_number_two_for_a_list",
    "grade_of_unusual_length_number_three_for_a_list",
    "grade_of_unusual_length_number_four_for_a_list",
    "grade_of_unusual_length_number_five_for_a_list",
    "grade_of_unusual_length_number_six_for_a_list",
    "grade_of_unusual_length_number_seven_for_a_list",
];

const CRATE_FIELDS: &[Field] = &[
    text("name").required(),
    slug("code").required(),
    integer("weight", 0, 1_000),
    choice("grade", GRADES),
    text("number").numbered("depot.take-number", "crate"),
    link("keeper_id", "accounts.users"),
    email("contact").personal(),
];

/// Its key may change.
static CRATE: Entity = Entity::new("crates")
    .grant("depot.crates")
    .about("Something that travels.")
    .natural(&["code"])
    .fields(CRATE_FIELDS)
    .uniques(&[Unique { name: "crates_code_key", fields: &["code"], code: Code::AlreadyExists }]);

/// A rule writes each row once more.
static TRUNK: Entity = Entity::new("trunks")
    .grant("depot.trunks")
    .about("Something that is weighed whenever it changes.")
    .natural(&["code"])
    .fields(&[
        slug("code").required().once(),
        integer("weight", 0, 1_000),
        integer("weighed", 0, i64::MAX).required().default("0").by_action(),
        text("number").numbered("depot.take-number", "trunk"),
    ])
    .uniques(&[Unique { name: "trunks_code_key", fields: &["code"], code: Code::AlreadyExists }]);

static RULES: &[Rule] = &[Rule {
    name: "depot.weigh",
    on: "depot.trunks",
    run: |cx, change| Box::pin(weigh(cx, change)),
}];

async fn weigh(cx: &mut Cx, change: Change) -> Result<()> {
    if change.op == ChangeOp::Update && change.changes("weight") {
        let before = change.before.as_ref().and_then(|row| row["weighed"].as_i64());
        let more = before.unwrap_or_default() + 1;
        cx.set(&TRUNK, change.id, &[("weighed", json!(more))]).await?;
    }
    Ok(())
}

/// Numbers that were taken, by organization.
static TAKEN: LazyLock<Mutex<BTreeMap<Uuid, i64>>> = LazyLock::new(Mutex::default);

static ACTIONS: &[Action] = &[Action {
    name: "take-number",
    entity: &CRATE,
    on: On::Internal,
    input: &[slug("code").required(), integer("count", 1, 10_000).required()],
    answers: Answers::Object(&[json_field("numbers")]),
    about: "Gives the next numbers.",
    run: |cx, args| Box::pin(async move { take_number(cx, &args) }),
}];

fn take_number(cx: &Cx, args: &Args) -> Result<Reply> {
    let count = args.input["count"].as_i64().ok_or_else(|| Error::internal("no count"))?;
    let mut all = TAKEN.lock().unwrap();
    let taken = all.entry(cx.org).or_default();
    let numbers: Vec<String> = (*taken + 1..=*taken + count).map(|n| format!("D-{n}")).collect();
    *taken += count;
    Ok(Reply::Json(json!({"numbers": numbers})))
}

pub(crate) static DOMAIN: Domain = Domain {
    name: "depot",
    entities: &[&CRATE, &TRUNK, &crate::trials::LOAD],
    actions: ACTIONS,
    rules: RULES,
    end_rules: crate::trials::END_RULES,
    ..Domain::EMPTY
};

/// So many rows that the file has several batches.
fn crates(rows: usize) -> String {
    let mut file = "name,code,weight\n".to_owned();
    for n in 0..rows {
        file.push_str(&format!("Crate {n},c-{n},{}\n", n % 1_000));
    }
    file
}

impl House {
    /// Chunks of an import that still hold contents.
    async fn contents(&self, import: &str) -> i64 {
        let id: Uuid = import.parse().unwrap();
        let admin = crate::hall::database().await.superuser().await.unwrap();
        let sql = "select count(*) from import_chunks where import_id = $1 and records is not null";
        admin.query_one(sql, &[&id]).await.unwrap().try_get(0).unwrap()
    }

    async fn status(&self, import: &Value) -> String {
        let id = import["id"].as_str().unwrap();
        self.import(id).await["status"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn undo_gives_custom_fields_back_key_by_key() {
    let house = House::open().await;
    for key in ["color", "owner"] {
        let body = json!({"entity": "crates", "key": key, "label": key, "kind": "text"});
        house.post("/custom-fields", body).await.is(201);
    }
    let body = json!({"name": "A", "code": "a", "custom": {"color": "red", "owner": "Ada"}});
    house.post("/crates", body).await.is(201);
    house.post("/crates", json!({"name": "B", "code": "b"})).await.is(201);
    let file = "code,custom.color\na,green\nb,blue\n";
    let done = house.sends("/crates", "match=update&dry_run=false", file).await;
    assert_eq!(counts(&done), [0, 2, 0, 0], "{done}");
    let undone = house.undoes(&done).await;
    assert_eq!(house.fates(&undone).await, ["2 undone", "3 undone"]);
    let list = house.get("/crates?sort=code").await.body;
    assert_eq!(list["data"][0]["custom"], json!({"color": "red", "owner": "Ada"}));
    assert_eq!(list["data"][1]["custom"], json!({}));
}

#[tokio::test]
async fn undo_takes_back_what_rules_changed_along() {
    let house = House::open().await;
    house.post("/trunks", json!({"code": "t", "weight": 5})).await.is(201);
    let done = house.sends("/trunks", "match=update&dry_run=false", "code,weight\nt,9\n").await;
    assert_eq!(counts(&done), [0, 1, 0, 0], "{done}");
    assert_eq!(house.get("/trunks").await.body["data"][0]["weighed"], 1);
    let undone = house.undoes(&done).await;
    assert_eq!(house.fates(&undone).await, ["2 undone"]);
    let row = &house.get("/trunks").await.body["data"][0];
    assert_eq!(row["weight"], 5, "the import's own change, not the rule's after it");
}

#[tokio::test]
async fn undo_keeps_rows_that_somebody_worked_on() {
    let house = House::open().await;
    let done = house.sends("/crates", "dry_run=false", "name,code\nA,a\nB,b\nC,c\n").await;
    let list = house.get("/crates?sort=code").await.body;
    let id = |at: usize| list["data"][at]["id"].as_str().unwrap().to_owned();
    house.patch(&format!("/crates/{}", id(0)), json!({"weight": 3})).await.is(200);
    house.delete(&format!("/crates/{}", id(1))).await.is(204);
    let undone = house.undoes(&done).await;
    assert_eq!(house.fates(&undone).await, ["2 kept -:version_mismatch", "3 undone", "4 undone"]);
    assert_eq!(house.count("/crates").await, 1);
}

/// An upload of which only the first part has come.
async fn half_sent(house: &House, first: &str, rest: &str) -> TcpStream {
    let address = house.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/crates/import HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: text/csv\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{first}",
        house.org.token.expose(),
        first.len() + rest.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn slow_uploads_hold_no_connection() {
    let house = House::open().await;
    // So much that batches are kept before the rest comes.
    let (first, rest) = (crates(1_500), "Last,last,1\n");
    let mut streams = Vec::new();
    // More than there are connections.
    for _ in 0..6 {
        streams.push(half_sent(&house, &first, rest).await);
    }
    let uploading = async || house.count("/imports?filter[status]=uploading").await;
    while uploading().await < 6 {
        tokio::task::yield_now().await;
    }
    for mut stream in streams {
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    house.org.work().await.unwrap();
    assert_eq!(house.count("/imports?filter[status]=checked").await, 6);
}

#[tokio::test]
async fn of_a_long_file_that_breaks_no_content_stays() {
    let house = House::open().await;
    let broken = format!("{}x,\"y", crates(2_500));
    house
        .upload("/crates", "", &broken)
        .await
        .refuses(Code::MalformedCsv, &["row[2502].column[2]"]);
    let list = house.get("/imports").await.body;
    assert_eq!(list["page"]["count"]["value"], 1);
    assert_eq!(list["data"][0]["status"], "failed");
    assert_eq!(list["data"][0]["error"]["code"], "malformed_csv");
    let admin = crate::hall::database().await.superuser().await.unwrap();
    let sql = "select count(*) from import_chunks where org_id = $1 and records is not null";
    let row = admin.query_one(sql, &[&house.org.id]).await.unwrap();
    assert_eq!(row.try_get::<_, i64>(0).unwrap(), 0);
}

#[tokio::test]
async fn a_file_that_is_sent_twice_with_its_key_is_one_import() {
    let house = House::open().await;
    let send = async |file: String| {
        let request = house.request("POST", "/crates/import?dry_run=false");
        let request = request.header("content-type", "text/csv").header("idempotency-key", "k1");
        Seen::of(request.body(file)).await
    };
    // Long enough to be staged before the key is asked for.
    let first = send(crates(1_200)).await.is(202);
    let again = send(crates(1_200)).await.is(202);
    assert_eq!(first.id(), again.id());
    send(crates(3)).await.refuses(Code::IdempotencyKeyReused, &["Idempotency-Key"]);
    house.org.work().await.unwrap();
    assert_eq!(house.count("/imports").await, 1);
    assert_eq!(house.count("/crates?count=exact").await, 1_200);
}

#[tokio::test]
async fn a_canceled_import_ends_and_is_emptied() {
    let house = House::open().await;
    for mode in ["all", "each"] {
        let file = crates(6_000).replace(",c-", &format!(",{mode}-"));
        let checked = house.sends("/crates", &format!("mode={mode}"), &file).await;
        let id = checked["id"].as_str().unwrap();
        let begun = house.post(&format!("/imports/{id}/commit"), json!({})).await.is(200).body;
        let job = begun["job_id"].as_str().unwrap();
        let (service, org) = (house.service.clone(), house.org.id);
        let worker = tokio::spawn(async move { kernel::jobs::drain(&service, org).await });
        // In the middle: some batch is written and the end is not there.
        loop {
            let now = house.get(&format!("/jobs/{job}")).await.is(200).body["done"].as_u64();
            if now.is_some_and(|done| done > 0) {
                break;
            }
            assert!(!worker.is_finished(), "the worker ended too early");
            tokio::task::yield_now().await;
        }
        let seen = house.post(&format!("/imports/{id}/cancel"), json!({})).await;
        let canceled = seen.status == 200;
        worker.await.unwrap().unwrap();
        let status = house.status(&checked).await;
        // The end may have been faster than the hand.
        assert_eq!(status, if canceled { "canceled" } else { "done" }, "{mode}");
        assert!(canceled, "{mode}: {}", seen.body);
        assert_eq!(house.contents(id).await, 0, "{mode}");
        let job = house.get(&format!("/jobs/{job}")).await.is(200).body;
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["result"]["status"], "canceled", "{job}");
        if mode == "all" {
            assert_eq!(house.count("/crates?count=exact").await, 0);
        }
    }
}

#[tokio::test]
async fn an_import_whose_job_is_canceled_is_canceled() {
    let house = House::open().await;
    let checked = house.sends("/crates", "mode=each", &crates(4_000)).await;
    let id = checked["id"].as_str().unwrap();
    let begun = house.post(&format!("/imports/{id}/commit"), json!({})).await.is(200).body;
    let job = begun["job_id"].as_str().unwrap();
    let (service, org) = (house.service.clone(), house.org.id);
    let worker = tokio::spawn(async move { kernel::jobs::drain(&service, org).await });
    while house.get(&format!("/jobs/{job}")).await.body["done"].as_u64().unwrap_or_default() == 0 {
        assert!(!worker.is_finished(), "the worker ended too early");
        tokio::task::yield_now().await;
    }
    house.post(&format!("/jobs/{job}/cancel"), json!({})).await.is(200);
    worker.await.unwrap().unwrap();
    assert_eq!(house.status(&checked).await, "canceled");
    assert_eq!(house.contents(id).await, 0);
}

#[tokio::test]
async fn an_import_whose_job_is_dead_has_failed() {
    let house = House::open().await;
    let sent = house.upload("/crates", "", "name,code\nA,a\n").await.is(202);
    // Its workers died, as often as a job may be begun.
    let admin = crate::hall::database().await.superuser().await.unwrap();
    let sql = "update job_queue set attempts = 5 where org_id = $1 and name = 'csv.import'";
    assert_eq!(admin.execute(sql, &[&house.org.id]).await.unwrap(), 1);
    house.org.work().await.unwrap();
    let import = house.import(&sent.id()).await;
    assert_eq!(import["status"], "failed", "{import}");
    assert_eq!(import["error"]["code"], "timed_out", "{import}");
    assert_eq!(house.contents(&sent.id()).await, 0);
    house.post(&format!("/imports/{}/commit", sent.id()), json!({})).await.is(409);
}

#[tokio::test]
async fn faults_are_cut_and_counted_by_batch() {
    let house = House::open().await;
    let mut file = "name,code,grade,weight\n".to_owned();
    for n in 0..2_300 {
        let grade = if n % 3 == 0 { "none" } else { "" };
        file.push_str(&format!("N,c-{n},{grade},1\n"));
    }
    let checked = house.sends("/crates", "", &file).await;
    assert_eq!(counts(&checked), [1_533, 0, 0, 767]);
    let path = format!("/imports/{}/rows", checked["id"].as_str().unwrap());
    let page = house.get(&format!("{path}?status=faulty&limit=1")).await.is(200).body;
    let messages: Vec<&str> = page["data"][0]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|fault| fault["message"].as_str())
        .collect();
    assert_eq!(messages.len(), 1, "{page}");
    let longest = messages.iter().map(|text| text.chars().count()).max();
    assert_eq!(longest, Some(241), "{messages:?}");
    // Pages of every fate, across batches, give every row once.
    for (fate, total) in [("", 2_300), ("&status=faulty", 767), ("&status=create", 1_533)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = house.get(&format!("{path}?limit=200{fate}{cursor}")).await.is(200).body;
            assert_eq!(page["page"]["count"]["value"], total);
            seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["row"].as_u64()));
            match page["page"]["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), total, "{fate}");
        assert!(seen.is_sorted(), "{fate}");
    }
    assert_eq!(house.get(&format!("{path}?status=kept")).await.body["data"], json!([]));
}

#[tokio::test]
async fn a_trial_waits_for_nobody_and_takes_no_number() {
    let house = House::open().await;
    house.post("/crates", json!({"name": "A", "code": "a"})).await.is(201);
    house.post("/trunks", json!({"code": "t"})).await.is(201);
    let taken = || TAKEN.lock().unwrap().get(&house.org.id).copied();
    assert_eq!(taken(), Some(2));
    // Somebody works on the row, and does not come to an end.
    let mut other = house.org.begin().await.unwrap();
    let id = house.get("/crates").await.body["data"][0]["id"].as_str().unwrap().parse().unwrap();
    other.load(&CRATE, id, "update").await.unwrap();
    let file = "name,code\nAA,a\nB,b\n";
    let checked = house.sends("/crates", "match=upsert", file).await;
    assert_eq!(counts(&checked), [1, 1, 0, 0], "{checked}");
    other.rollback().await.unwrap();
    // In place, because of the rule.
    let checked = house.sends("/trunks", "match=upsert", "code,weight\nt,3\nu,4\n").await;
    assert_eq!(counts(&checked), [1, 1, 0, 0], "{checked}");
    assert_eq!(taken(), Some(2));
    house.commits(&checked).await;
    assert_eq!(taken(), Some(3));
    let list = house.get("/trunks?sort=code").await.body;
    assert_eq!(list["data"][1]["number"], "D-3");
}

#[tokio::test]
async fn no_number_is_a_number_to_be_given() {
    let house = House::open().await;
    let mut cx = house.org.begin().await.unwrap();
    let row = crate::hall::object(json!({"name": "A", "code": "a", "number": null}));
    let id = cx.insert(&CRATE, row).await.unwrap();
    let row = crate::hall::object(json!({"name": "B", "code": "b", "number": null}));
    let many = cx.insert_many(&CRATE, vec![row]).await.unwrap();
    let numbers = [id, *many[0].as_ref().unwrap()];
    for (place, id) in numbers.into_iter().enumerate() {
        let row = cx.get(&CRATE, id).await.unwrap();
        assert_eq!(row["number"], format!("D-{}", place + 1));
    }
    cx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_trial_knows_people_who_are_not_there() {
    let house = House::open().await;
    let nobody = Uuid::new_v4();
    let file = format!("name,code,keeper_id\nA,a,{nobody}\nB,b,\n");
    let checked = house.sends("/crates", "", &file).await;
    assert_eq!(house.fates(&checked).await, ["2 faulty keeper_id:unknown_reference", "3 create"]);
}

#[tokio::test]
async fn a_trial_tells_no_value_that_its_sender_may_not_read() {
    let house = House::open().await;
    house.post("/crates", json!({"name": "A", "code": "a", "weight": 7})).await.is(201);
    for (rights, expected) in
        [(json!(["update"]), ["2 update"]), (json!(["update", "read"]), ["2 unchanged"])]
    {
        let grants = json!([
            {"grant": "depot.crates", "rights": rights, "scope": "all"},
            {"grant": "lists.imports", "rights": ["*"], "scope": "all"},
        ]);
        let token = house.org.issue(grants).await.unwrap();
        let request = house.plain("POST", "/api/v1/crates/import?match=update");
        let request = request.bearer_auth(token.expose()).header("content-type", "text/csv");
        let sent = Seen::of(request.body("code,weight\na,7\n")).await.is(202);
        house.org.work().await.unwrap();
        let import = house.import(&sent.id()).await;
        assert_eq!(house.fates(&import).await, expected, "{rights}: {import}");
    }
}

#[tokio::test]
async fn keys_may_move_through_a_file() {
    let house = House::open().await;
    let done = house.sends("/crates", "dry_run=false", &crates(1_500)).await;
    assert_eq!(done["status"], "done", "{done}");
    let (_, out) = house.file("/crates/export?sort=id&fields=id,name,code").await;
    // The second batch takes keys that the first one leaves.
    let first = 1_000;
    let (header, rows) = out.split_once("\r\n").unwrap();
    let numbered = |line: &str| {
        let (head, n) = line.rsplit_once(",c-").unwrap();
        (n.parse::<i64>().unwrap(), head.to_owned())
    };
    let rows: BTreeMap<i64, String> = rows.lines().map(numbered).collect();
    let mut moved = format!("{header}\n");
    for (n, head) in rows {
        let code = if n < first { format!("away-{n}") } else { format!("c-{}", n - first) };
        moved.push_str(&format!("{head},{code}\n"));
    }
    let checked = house.sends("/crates", "match=update", &moved).await;
    assert_eq!(counts(&checked), [0, 1_500, 0, 0], "{checked}");
    let done = house.commits(&checked).await;
    assert_eq!(counts(&done), [0, 1_500, 0, 0], "{done}");
    assert_eq!(house.count("/crates?count=exact&filter[code]=c-0").await, 1);
}
