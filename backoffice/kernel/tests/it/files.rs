//! Rows as files: out, in, checked, committed, undone; by whom, and what is refused.

use kernel::error::Code;
use serde_json::{Value, json};

use crate::hall::{House, Seen};

impl House {
    /// A file in; the import's row, after its check has run.
    pub(crate) async fn sends(&self, path: &str, query: &str, file: &str) -> Value {
        let seen = self.upload(path, query, file).await.is(202);
        self.org.work().await.unwrap();
        self.import(&seen.id()).await
    }

    pub(crate) async fn upload(&self, path: &str, query: &str, file: &str) -> Seen {
        let request = self.request("POST", &format!("{path}/import?{query}"));
        Seen::of(request.header("content-type", "text/csv").body(file.to_owned())).await
    }

    pub(crate) async fn import(&self, id: &str) -> Value {
        self.get(&format!("/imports/{id}")).await.is(200).body
    }

    pub(crate) async fn commits(&self, import: &Value) -> Value {
        let id = import["id"].as_str().unwrap();
        self.post(&format!("/imports/{id}/commit"), json!({})).await.is(200);
        self.org.work().await.unwrap();
        self.import(id).await
    }

    pub(crate) async fn undoes(&self, import: &Value) -> Value {
        let id = import["id"].as_str().unwrap();
        self.post(&format!("/imports/{id}/undo"), json!({})).await.is(200);
        self.org.work().await.unwrap();
        self.import(id).await
    }

    /// Row, status, and the faults as `column:code`.
    pub(crate) async fn fates(&self, import: &Value) -> Vec<String> {
        let id = import["id"].as_str().unwrap();
        let rows = self.get(&format!("/imports/{id}/rows?limit=200")).await.is(200).body;
        let shown = rows["data"].as_array().unwrap().iter().map(|row| {
            let faults = row["errors"].as_array().unwrap().iter().map(|fault| {
                format!(
                    " {}:{}",
                    fault["column"].as_str().unwrap_or("-"),
                    fault["code"].as_str().unwrap()
                )
            });
            format!(
                "{} {}{}",
                row["row"],
                row["status"].as_str().unwrap(),
                faults.collect::<String>()
            )
        });
        shown.collect()
    }

    pub(crate) async fn file(&self, path: &str) -> (u16, String) {
        let response = self.request("GET", path).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap())
    }

    pub(crate) async fn count(&self, path: &str) -> u64 {
        self.get(path).await.is(200).body["page"]["count"]["value"].as_u64().unwrap()
    }
}

pub(crate) fn counts(import: &Value) -> [u64; 4] {
    ["rows_create", "rows_update", "rows_unchanged", "rows_faulty"]
        .map(|name| import[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_file_is_checked_then_committed_then_undone() {
    let house = House::open().await;
    let file =
        "Name,Key,seats,rent,rent_currency,Notes\r\nA,a,100,12.50,EUR,=1+1\r\nB,b,,,,\"\"\r\n";
    let checked = house.sends("/places", "", file).await;
    assert_eq!(checked["status"], "checked", "{checked}");
    assert_eq!(counts(&checked), [2, 0, 0, 0]);
    assert_eq!(house.count("/places").await, 0, "a check changes nothing");
    assert_eq!(house.fates(&checked).await, ["2 create", "3 create"]);
    let done = house.commits(&checked).await;
    assert_eq!(done["status"], "done", "{done}");
    let list = house.get("/places?sort=key").await.body;
    assert_eq!(list["data"][0]["rent"], json!({"amount": "12.50", "currency": "EUR"}));
    assert_eq!(list["data"][0]["notes"], "=1+1");
    assert_eq!(list["data"][1]["notes"], "", "a quoted empty cell is an empty text");
    assert_eq!(list["data"][1]["seats"], Value::Null);
    let undone = house.undoes(&done).await;
    assert_eq!(undone["status"], "undone", "{undone}");
    assert_eq!(house.count("/places").await, 0);
    assert_eq!(house.fates(&undone).await, ["2 undone", "3 undone"]);
}

#[tokio::test]
async fn an_export_is_an_import() {
    let house = House::open().await;
    let file = "name,key,tags,extra,logo,open,rating,opened_on,opened_at,outside_id\n\
        '=x,a,\"[\"\"a;b\"\"]\",\"{\"\"a\"\":1}\",AAEC,false,-4.25,2026-02-28,2026-11-21T19:05:00.5Z,018f0000-0000-7000-8000-000000000000\n\
        \"O'Neil, \"\"Ü\"\"\nx\",b,[],,,yes,,,,\n";
    let refused = house.sends("/places", "dry_run=false", file).await;
    assert_eq!(house.fates(&refused).await, ["2 create", "3 faulty name:invalid_format"]);
    let file = file.replace("\nx\"", "\"");
    let done = house.sends("/places", "dry_run=false", &file).await;
    assert_eq!(done["status"], "done", "{:?}", house.fates(&done).await);
    let (status, out) = house.file("/places/export?sort=key").await;
    assert_eq!(status, 200, "{out}");
    assert!(out.starts_with("id,name,key,"), "{out}");
    assert!(out.contains("\"'=x\",a"), "{out}");
    let again = house.sends("/places", "match=upsert", &out).await;
    assert_eq!(counts(&again), [0, 0, 2, 0], "{:?}", house.fates(&again).await);
    let changed = out.replace("-4.25", "-4.5");
    let done = house.sends("/places", "match=upsert&dry_run=false", &changed).await;
    assert_eq!(counts(&done), [0, 1, 1, 0]);
    assert_eq!(house.get("/places?sort=key").await.body["data"][0]["rating"], "-4.50");
    let undone = house.undoes(&done).await;
    assert_eq!(undone["status"], "undone");
    assert_eq!(
        house.file("/places/export?sort=key&fields=key,rating").await.1.matches("-4.25").count(),
        1
    );
}

#[tokio::test]
async fn links_are_found_by_key_and_rows_by_natural_key() {
    let house = House::open().await;
    let arena = house.place("arena").await;
    let file = format!("name,place_id.key,Inside\nOne,arena,\nTwo,{},\n", "nowhere");
    let checked = house.sends("/halls", "mode=each", &file).await;
    assert_eq!(
        house.fates(&checked).await,
        ["2 create", "3 faulty place_id.key:unknown_reference"]
    );
    let done = house.commits(&checked).await;
    assert_eq!((done["status"].clone(), counts(&done)), (json!("done"), [1, 0, 0, 1]));
    let done =
        house.sends("/halls", "dry_run=false", &format!("name,place\nA,arena\nB,{arena}\n")).await;
    assert_eq!(counts(&done), [2, 0, 0, 0], "{:?}", house.fates(&done).await);
    let (_, out) = house.file("/halls/export?links=key&fields=name,place_id&sort=name").await;
    assert_eq!(out, "place_id.key,name\r\narena,\"A\"\r\narena,\"B\"\r\narena,\"One\"\r\n");
    let file = "key,seats\narena,5\nnew,6\n";
    let checked = house.sends("/places", "match=update&mode=each", file).await;
    assert_eq!(house.fates(&checked).await, ["2 update", "3 faulty key:not_found"]);
}

#[tokio::test]
async fn every_fault_of_every_row_is_told_and_nothing_is_written() {
    let house = House::open().await;
    house.place("taken").await;
    let file = "name,key,seats,contact,kind\n\
        ,x1,-1,nobody,barn\n\
        Short,x2\n\
        Taken,taken,,,\n\
        Twice,x3,,,\n\
        Twice,x3,,,\n\
        Club,x4,900,,club\n\
        Good,x5,5,a@example.org,arena\n";
    let checked = house.sends("/places", "", file).await;
    assert_eq!(
        house.fates(&checked).await,
        [
            "2 faulty contact:invalid_format kind:not_an_option name:required seats:out_of_range",
            "3 faulty -:invalid_format",
            "4 faulty key:already_exists",
            "5 create",
            "6 faulty key:duplicate",
            "7 faulty seats:out_of_range",
            "8 create",
        ]
    );
    let id = checked["id"].as_str().unwrap();
    house.post(&format!("/imports/{id}/commit"), json!({})).await.refuses(Code::NotReady, &[]);
    assert_eq!(house.count("/places").await, 1);
    let page = house.get(&format!("/imports/{id}/rows?status=faulty&limit=2")).await.body;
    assert_eq!(page["page"], json!({"next": "3", "count": {"value": 5, "exact": true}}));
    let next = house.get(&format!("/imports/{id}/rows?status=faulty&limit=2&cursor=3")).await.body;
    assert_eq!(next["data"][0]["row"], 4);
}

#[tokio::test]
async fn undo_lists_what_others_changed() {
    let house = House::open().await;
    house.place("old").await;
    let file = "name,key,seats\nOld,old,7\nNew,new,8\nUsed,used,9\n";
    let done = house.sends("/places", "match=upsert&dry_run=false", file).await;
    assert_eq!(counts(&done), [2, 1, 0, 0], "{:?}", house.fates(&done).await);
    let list = house.get("/places?sort=key").await.body;
    let id = |at: usize| list["data"][at]["id"].as_str().unwrap().to_owned();
    house.patch(&format!("/places/{}", id(1)), json!({"seats": 70})).await.is(200);
    house.hall(&id(2)).await;
    let undone = house.undoes(&done).await;
    assert_eq!(
        house.fates(&undone).await,
        ["2 kept -:version_mismatch", "3 undone", "4 kept -:in_use"]
    );
    assert_eq!(house.get(&format!("/places/{}", id(1))).await.body["seats"], 70);
}

#[tokio::test]
async fn what_is_no_file_of_rows_is_refused() {
    let house = House::open().await;
    let refuse = async |query: &str, file: &str, code: Code, fields: &[&str]| {
        house.upload("/places", query, file).await.refuses(code, fields);
    };
    refuse("", "name,key\na,\"b", Code::MalformedCsv, &["row[2].column[2]"]).await;
    refuse("", "", Code::MalformedCsv, &[]).await;
    refuse("", "nme,key\n", Code::ValidationFailed, &["header[0]"]).await;
    refuse("mode=some", "name,key\n", Code::InvalidRequest, &["mode"]).await;
    refuse("sort=name", "name,key\n", Code::UnknownParameter, &["sort"]).await;
    refuse("match=update", "name\n", Code::Required, &["header"]).await;
    let visits =
        house.request("POST", "/visits/import").header("content-type", "text/csv").body("who\n");
    assert_eq!(Seen::of(visits).await.status, 405);
    let json = house.request("POST", "/places/import").json(&json!({}));
    Seen::of(json).await.refuses(Code::UnsupportedMediaType, &[]);
    house.get("/places/export?limit=5").await.refuses(Code::UnknownParameter, &["limit"]);
    house.get("/places/export?links=name").await.refuses(Code::InvalidRequest, &["links"]);
    assert_eq!(house.count("/imports").await, 0, "a refused file leaves nothing");
}

#[tokio::test]
async fn rights_hold_at_every_step() {
    let house = House::open().await;
    let grants = json!([
        {"grant": "hall.places", "rights": ["read", "create"], "scope": "all", "hidden": ["rent"]},
        {"grant": "lists.imports", "rights": ["*"], "scope": "all"},
    ]);
    let token = house.org.issue(grants).await.unwrap();
    let call = |method: &str, path: &str| {
        house.plain(method, &format!("/api/v1{path}")).bearer_auth(token.expose())
    };
    let upload = |query: &str, file: &'static str| {
        let request = call("POST", &format!("/places/import?{query}"));
        Seen::of(request.header("content-type", "text/csv").body(file))
    };
    upload("", "name,key,rent\n").await.refuses(Code::FieldNotPermitted, &["rent"]);
    upload("match=upsert", "name,key\n").await.refuses(Code::Forbidden, &[]);
    upload("", "name,key\nA,a\n").await.is(202);
    house.place("b").await;
    let out = call("GET", "/places/export").send().await.unwrap().text().await.unwrap();
    assert!(!out.contains("rent"), "{out}");
    Seen::of(call("GET", "/halls/export")).await.refuses(Code::Forbidden, &[]);
    let nothing =
        house.org.issue(json!([{"grant": "hall.halls", "rights": ["read"], "scope": "all"}]));
    let nothing = nothing.await.unwrap();
    let id = house.get("/imports").await.body["data"][0]["id"].as_str().unwrap().to_owned();
    for path in [format!("/imports/{id}"), format!("/imports/{id}/rows")] {
        let request = house.plain("GET", &format!("/api/v1{path}")).bearer_auth(nothing.expose());
        Seen::of(request).await.refuses(Code::Forbidden, &[]);
    }
}

/// Workers die at batch boundaries and in between: in mode `all` nothing is there before everything
/// is, in mode `each` it goes on behind the last batch, and no row comes twice.
#[tokio::test]
async fn an_import_that_is_killed_loses_and_doubles_nothing() {
    const ROWS: u64 = 3_500;
    let house = House::open().await;
    for mode in ["each", "all"] {
        let before = house.count("/places?count=exact").await;
        let mut file = "name,key\n".to_owned();
        for n in 0..ROWS {
            file.push_str(&format!("Place {n},{mode}-{n}\n"));
        }
        let checked = house.sends("/places", &format!("mode={mode}"), &file).await;
        assert_eq!(counts(&checked), [ROWS, 0, 0, 0], "{checked}");
        let id = checked["id"].as_str().unwrap();
        let begun = house.post(&format!("/imports/{id}/commit"), json!({})).await.is(200).body;
        let job = begun["job_id"].as_str().unwrap();
        let (mut seen, mut kills) = (0, 0);
        let done = loop {
            let work = || {
                let (service, org) = (house.service.clone(), house.org.id);
                tokio::spawn(async move { kernel::jobs::drain(&service, org).await })
            };
            let mut worker = work();
            // Killed when it has come one batch further, or has come to its end.
            let import = loop {
                let import = house.import(id).await;
                let progress = house.get(&format!("/jobs/{job}")).await.is(200).body;
                let now = progress["done"].as_u64().unwrap_or_default();
                let claimed = progress["attempts"].as_u64() == Some(kills + 1);
                let midway = claimed && seen < now && now < ROWS && kills < 3;
                if import["status"] == "done" || midway {
                    seen = now;
                    break import;
                }
                // The server may not have heard yet that the last worker is dead.
                if worker.is_finished() {
                    worker = work();
                }
                tokio::task::yield_now().await;
            };
            worker.abort();
            let _ended = worker.await;
            if import["status"] == "done" {
                break import;
            }
            kills += 1;
            if mode == "all" {
                // What the server has not heard of yet is rolled back, too: nothing shows in between.
                assert_eq!(house.count("/places?count=exact").await, before);
                seen = 0;
            }
            kernel::jobs::end_leases(&house.service, house.org.id).await.unwrap();
        };
        assert!(kills > 0, "nobody was killed");
        assert_eq!(counts(&done), [ROWS, 0, 0, 0]);
        assert_eq!(house.count("/places?count=exact").await - before, ROWS);
    }
}
