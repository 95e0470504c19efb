//! Reads that are told: whatever form an answer has, what it shows of personal and confidential
//! fields leaves one entry an entity.

use serde_json::{Value, json};

use super::{Caller, Yard, is};

/// Entries since the last look: table, rows, fields.
async fn entries(yard: &Yard, seen: &mut usize) -> Vec<(String, i64, Vec<String>)> {
    let list = is(yard.all.get("/personal-reads?sort=id&limit=200").await, 200);
    let data = list.body["data"].as_array().unwrap();
    let new = data.iter().skip(*seen).map(|entry| {
        let mut fields: Vec<String> = entry["field_names"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        fields.sort();
        let rows = entry["row_count"].as_i64().unwrap();
        (entry["table_name"].as_str().unwrap().to_owned(), rows, fields)
    });
    let new = new.collect();
    *seen = data.len();
    new
}

async fn auditor(yard: &Yard) -> Caller {
    let every = ["open", "personal", "confidential"];
    let lines = json!([
        {"grant": "*", "rights": ["read"], "logged": true},
        {"grant": "yard.*", "rights": ["read", "tell"], "levels": every, "logged": true},
    ]);
    yard.token(lines).await
}

/// Two files, one of them with everything, a note below it; answers that file.
async fn furnish(yard: &Yard) -> String {
    let custom = |key: &str, level: &str| json!({"entity": "yard_files", "key": key, "label": key, "kind": "text", "level": level});
    for (key, level) in [("plain", "open"), ("born", "personal"), ("bank", "confidential")] {
        yard.all.make("/custom-fields", custom(key, level)).await;
    }
    let body = json!({
        "nick": "Uno", "pay": 5, "fee": {"amount": "1.00", "currency": "EUR"},
        "custom": {"plain": "a", "born": "b", "bank": "c"},
    });
    let file = yard.file(body).await;
    yard.file(json!({"nick": "Due"})).await;
    yard.all.make("/notes", json!({"file_id": file, "name": "Note"})).await;
    file
}

#[tokio::test]
async fn every_form_of_an_answer_is_told() {
    let yard = Yard::open().await;
    let file = furnish(&yard).await;
    let auditor = auditor(&yard).await;
    let mut seen = 0;
    entries(&yard, &mut seen).await;
    let all = &["custom.bank", "custom.born", "fee", "nick", "pay"][..];
    let (files, one, two) = ("yard_files", 1, 2);
    type Expected<'a> = Option<(&'a str, i64, &'a [&'a str])>;
    let cases: &[(&str, Expected<'_>)] = &[
        // Nothing of it is personal.
        ("/files?fields=name", None),
        ("/files?group=color&aggregate=count", None),
        ("/notes", None),
        ("/files?filter[nick]=nobody", None),
        ("/files?fields=name&limit=1&count=none&filter[name]=One&sort=name", None),
        // Rows, whole and in part; custom fields as others.
        (&format!("/files/{file}"), Some((files, one, all))),
        ("/files", Some((files, two, all))),
        ("/files?fields=nick", Some((files, two, &["nick"]))),
        ("/files?fields=custom", Some((files, two, &["custom.bank", "custom.born"]))),
        // By what rows are found and ordered.
        ("/files?fields=name&sort=-nick&limit=1", Some((files, one, &["nick"]))),
        ("/files?fields=name&sort=fee&limit=1", Some((files, one, &["fee"]))),
        ("/files?fields=name&filter[pay][gte]=1", Some((files, one, &["pay"]))),
        ("/files?fields=name&filter[fee.currency]=EUR", Some((files, one, &["fee"]))),
        ("/files?fields=name&filter[custom.born]=b", Some((files, one, &["custom.born"]))),
        ("/files?fields=name&filter[custom.plain]=a", None),
        (
            "/files?fields=name&where={\"or\":[{\"nick\":\"Uno\"},{\"pay\":9}]}",
            Some((files, one, &["nick", "pay"])),
        ),
        ("/files?fields=name&q=uno", Some((files, one, &["nick"]))),
        // Groups and figures.
        ("/files?group=nick", Some((files, two, &["nick"]))),
        ("/files?group=color&aggregate=max:pay,sum:fee", Some((files, two, &["fee", "pay"]))),
        ("/files?group=color&filter[nick]=Uno", Some((files, one, &["nick"]))),
        // Linked rows.
        ("/notes?include=file_id", Some((files, one, all))),
        ("/notes?filter[file_id.nick]=Uno", Some((files, one, &["nick"]))),
        ("/notes?group=name&filter[file_id.pay]=5", Some((files, one, &["pay"]))),
        (
            &format!("/notes?include=file_id&filter[file_id]={file}&fields=name"),
            Some((files, one, all)),
        ),
        // Changes.
        (&format!("/files/{file}/history"), Some((files, one, all))),
        ("/activity?entity=files", Some((files, two, all))),
        // Files.
        ("/files/export", Some((files, two, all))),
        ("/files/export?fields=name&sort=nick", Some((files, two, &["nick"]))),
        ("/files/export?fields=name", None),
        // People.
        ("/members", Some(("users", one, &["email", "name"]))),
    ];
    for (path, expected) in cases {
        let (status, text) =
            auditor.client.file("GET", &format!("/api/v1{path}"), None).await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        let told = entries(&yard, &mut seen).await;
        let expected: Vec<(String, i64, Vec<String>)> = expected
            .iter()
            .map(|(table, rows, fields)| {
                let fields = fields.iter().map(|name| (*name).to_owned()).collect();
                ((*table).to_owned(), *rows, fields)
            })
            .collect();
        assert_eq!(told, expected, "{path}");
    }
}

#[tokio::test]
async fn answers_of_actions_are_told_and_others_reads_are_not() {
    let yard = Yard::open().await;
    let file = furnish(&yard).await;
    let auditor = auditor(&yard).await;
    let mut seen = 0;
    entries(&yard, &mut seen).await;
    let said = auditor.send("POST", &format!("/files/{file}/tell"), json!({"what": "all"})).await;
    is(said, 200);
    let told = entries(&yard, &mut seen).await;
    assert_eq!(told, [("yard_files".to_owned(), 1, vec!["nick".to_owned(), "pay".to_owned()])]);
    is(yard.all.get("/files").await, 200);
    is(yard.all.get("/members").await, 200);
    assert_eq!(entries(&yard, &mut seen).await, []);
}

#[tokio::test]
async fn members_are_shown_by_level() {
    let yard = Yard::open().await;
    let line = |levels: Value| json!([{"grant": "accounts.memberships", "rights": ["read"], "levels": levels}]);
    let open = yard.token(line(json!(["open"]))).await;
    let list = is(open.get("/members").await, 200);
    assert_eq!(list.body["data"][0]["user"], json!({"id": yard.org.owner}));
    let usual = yard.token(line(json!(["open", "personal"]))).await;
    let list = is(usual.get("/members").await, 200);
    assert_eq!(list.body["data"][0]["user"]["email"], yard.org.email);
}
