//! An added entity, exercised over the API with all that the engine offers.

use kernel::testkit::Client;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::Stage;

/// Three items of one event: everything that the engine offers, from the descriptor alone.
pub(super) struct Desk<'a> {
    stage: &'a Stage,
    client: Client,
    event: Uuid,
    ids: Vec<String>,
}

const BASE: &str = "/api/v1/lost-items";

impl<'a> Desk<'a> {
    pub(super) async fn open(stage: &'a Stage) -> Self {
        let event = stage.plant(&stage.ours, stage.registry.entity("events").unwrap()).await;
        let mut desk = Self { stage, client: stage.client(&stage.ours), event, ids: Vec::new() };
        let all = json!({"mode": "all", "operations": [
            {"op": "create", "data": desk.item("A-1", "Umbrella")},
            {"op": "create", "data": desk.item("A-2", "Umbrella")},
            {"op": "create", "data": desk.item("A-3", "Key")},
        ]});
        let made = desk.send("POST", "/bulk", &all, 200).await;
        let results = made["results"].as_array().unwrap().iter();
        desk.ids = results.map(|one| one["data"]["id"].as_str().unwrap().to_owned()).collect();
        desk
    }

    fn item(&self, tag: &str, name: &str) -> Value {
        json!({"event_id": self.event, "name": name, "tag": tag, "found_on": "2027-03-01"})
    }

    async fn send(&self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let body = Some(body).filter(|body| !body.is_null());
        let reply = self.client.send(method, &format!("{BASE}{path}"), body).await.unwrap();
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        reply.body
    }

    /// A list of this event's items.
    async fn list(&self, query: &str) -> Value {
        let path = format!("?filter[event_id]={}&{query}", self.event);
        self.send("GET", &path, &Value::Null, 200).await
    }

    /// Filters, order, pages, groups, words, linked rows, the collection below the event.
    pub(super) async fn reads(&self) {
        let list = async |query: &str| tags(&self.list(query).await);
        assert_eq!(list("sort=name,-tag").await, ["A-3", "A-2", "A-1"]);
        assert_eq!(list("filter[tag][in]=A-1,A-3&sort=tag").await, ["A-1", "A-3"]);
        let nested =
            "%7B%22or%22%3A%5B%7B%22tag%22%3A%22A-1%22%7D%2C%7B%22name%22%3A%22Key%22%7D%5D%7D";
        assert_eq!(list(&format!("where={nested}&sort=tag")).await, ["A-1", "A-3"]);
        assert_eq!(list("filter[event_id.name][null]=false&sort=tag").await.len(), 3);
        assert_eq!(list("q=umbr&sort=tag").await, ["A-1", "A-2"]);
        let page = self.list("fields=tag&count=exact").await;
        assert_eq!(page["page"]["count"], json!({"value": 3, "exact": true}));
        assert!(page["data"][0].get("name").is_none(), "{page}");
        let first = self.list("sort=tag&limit=2").await;
        let cursor = first["page"]["next"].as_str().unwrap();
        let second = list(&format!("sort=tag&limit=2&cursor={cursor}")).await;
        assert_eq!([tags(&first), second].concat(), ["A-1", "A-2", "A-3"]);
        let page = self.list("include=event_id").await;
        assert_eq!(page["data"][0]["event"]["id"], json!(self.event), "{page}");
        let groups = self.list("group=name&aggregate=count&sort=name").await;
        let counts = groups["data"].as_array().unwrap().iter().map(|one| one["count"].clone());
        assert_eq!(counts.collect::<Vec<_>>(), [json!(1), json!(2)], "{groups}");
        let months = self.list("group=found_on:month&aggregate=count").await;
        assert_eq!(months["data"][0]["count"], json!(3), "{months}");
        let path = format!("/api/v1/events/{}/lost-items?sort=tag", self.event);
        let below = self.client.get(&path).await.unwrap();
        assert_eq!(tags(&below.body), ["A-1", "A-2", "A-3"]);
        let one = self.send("GET", &format!("/{}", self.ids[0]), &Value::Null, 200).await;
        assert_eq!((&one["tag"], &one["status"]), (&json!("A-1"), &json!("kept")));
    }

    /// One row, many rows, by key, with a version, with the key of a repeated request.
    pub(super) async fn writes(&self) {
        let made = self.send("POST", "", &self.item("B-1", "Glove"), 201).await;
        assert_eq!(made["version"], json!(1));
        let twice = self.send("POST", "", &self.item("B-1", "Glove"), 409).await;
        assert_eq!(twice["errors"][0]["field"], json!("tag"), "{twice}");
        let path = format!("/{}", made["id"].as_str().unwrap());
        let patched = self.send("PATCH", &path, &json!({"description": "Left hand"}), 200).await;
        let kept = (&patched["name"], &patched["description"], &patched["version"]);
        assert_eq!(kept, (&json!("Glove"), &json!("Left hand"), &json!(2)));
        let emptied = self.send("PATCH", &path, &json!({"description": null}), 200).await;
        assert_eq!(emptied["description"], Value::Null);
        let refused = self.send("PATCH", &path, &json!({"event_id": self.event}), 422).await;
        assert_eq!(refused["errors"][0]["code"], json!("immutable"), "{refused}");
        let stale = [("if-match", "\"1\"")];
        let whole = format!("{BASE}{path}");
        let reply = self.client.send_with("DELETE", &whole, &stale, None).await.unwrap();
        assert_eq!(reply.status, 412, "{}", reply.body);

        let mut again = self.item("A-1", "Red umbrella");
        let changed = self.send("PUT", "", &again, 200).await;
        assert_eq!(changed["id"], json!(self.ids[0]));
        again["tag"] = json!("A-4");
        self.send("PUT", "", &again, 201).await;
        let keyed = [("idempotency-key", "found-twice")];
        let body = self.item("B-2", "Scarf");
        let mut ids = Vec::new();
        for _ in 0..2 {
            let reply = self.client.send_with("POST", BASE, &keyed, Some(&body)).await.unwrap();
            assert_eq!(reply.status, 201, "{}", reply.body);
            ids.push(reply.body["id"].clone());
        }
        assert_eq!(ids[0], ids[1]);
        let each = json!({"mode": "each", "operations": [
            {"op": "update", "id": ids[0], "data": {"name": "Long scarf"}},
            {"op": "upsert", "data": self.item("B-2", "Scarf")},
            {"op": "create", "data": {"name": "Nothing else"}},
            {"op": "action", "action": "dispose", "id": ids[0], "input": {}},
            {"op": "delete", "id": ids[0]},
            {"op": "restore", "id": ids[0]},
        ]});
        let results = self.send("POST", "/bulk", &each, 200).await;
        let results = results["results"].as_array().unwrap().iter();
        let statuses: Vec<u64> = results.map(|one| one["status"].as_u64().unwrap()).collect();
        assert_eq!(statuses, [200, 200, 422, 200, 204, 200]);
        self.send("DELETE", &path, &Value::Null, 204).await;
        assert_eq!(tags(&self.list("deleted=only").await), ["B-1"]);
        self.send("GET", &path, &Value::Null, 404).await;
        self.send("POST", &format!("{path}/restore"), &json!({}), 200).await;
        let custom =
            json!({"entity": "lost_items", "key": "shelf", "label": "Shelf", "kind": "text"});
        let field = self.client.post("/api/v1/custom-fields", &custom).await.unwrap();
        assert_eq!(field.status, 201, "{}", field.body);
        let shelved = self.send("PATCH", &path, &json!({"custom": {"shelf": "3b"}}), 200).await;
        assert_eq!(shelved["custom"]["shelf"], json!("3b"));
        assert_eq!(tags(&self.list("filter[custom.shelf]=3b").await), ["B-1"]);
    }

    /// The action and the move, what they refuse, and what is remembered of them.
    pub(super) async fn acts(&self) {
        let party = self.stage.registry.entity("parties").unwrap();
        let keeper = self.stage.plant(&self.stage.ours, party).await;
        let row = format!("/{}", self.ids[0]);
        self.send("POST", &format!("{row}/return"), &json!({}), 422).await;
        let given = json!({"keeper_id": keeper});
        let done = self.send("POST", &format!("{row}/return"), &given, 200).await;
        assert_eq!((&done["status"], &done["keeper_id"]), (&json!("returned"), &json!(keeper)));
        let refused = self.send("POST", &format!("{row}/dispose"), &json!({}), 409).await;
        assert_eq!(refused["code"], json!("invalid_transition"));
        let second = format!("/{}", self.ids[1]);
        let done = self.send("POST", &format!("{second}/dispose"), &json!({}), 200).await;
        assert_eq!(done["status"], json!("disposed"));
        let history = self.send("GET", &format!("{row}/history"), &Value::Null, 200).await;
        let entries = history["data"].as_array().unwrap();
        let fields = entries.iter().flat_map(|entry| entry["fields"].as_array().unwrap());
        let changed: Vec<&str> = fields.filter_map(|field| field["field"].as_str()).collect();
        assert!(changed.starts_with(&["status", "keeper_id", "name"]), "{changed:?}");
        let feed = self.client.get("/api/v1/activity?entity=lost-items").await.unwrap();
        assert!(feed.body.to_string().contains(&self.ids[1]), "{}", feed.body);
    }

    /// Out and in again changes nothing; a file by another name of a column changes and is undone.
    pub(super) async fn files(&self) {
        let (status, file) =
            self.client.file("GET", &format!("{BASE}/export?sort=tag"), None).await.unwrap();
        assert_eq!(status, 200, "{file}");
        let rows = file.lines().count() - 1;
        let same = self.import("match=upsert&dry_run=false", &file).await;
        assert_eq!((&same["status"], &same["rows_unchanged"]), (&json!("done"), &json!(rows)));
        let file = format!(
            "tag;Name;Beschreibung;found_on;event_id\nA-3;Key;Brass;2027-03-01;{0}\n\
             C-1;Hat;;2027-03-02;{0}\n",
            self.event
        );
        let checked = self.import("match=upsert", &file).await;
        assert_eq!(checked["status"], json!("checked"), "{checked}");
        assert!(!tags(&self.list("sort=tag").await).contains(&"C-1".to_owned()));
        let done = self.import("match=upsert&dry_run=false", &file).await;
        let counts = (&done["status"], &done["rows_create"], &done["rows_update"]);
        assert_eq!(counts, (&json!("done"), &json!(1), &json!(1)), "{done}");
        let key = self.list("filter[tag]=A-3").await;
        assert_eq!(key["data"][0]["description"], json!("Brass"));
        let undo = format!("/api/v1/imports/{}/undo", done["id"].as_str().unwrap());
        let reply = self.client.post(&undo, &json!({})).await.unwrap();
        assert!(reply.status < 300, "{}", reply.body);
        self.stage.ours.work().await.unwrap();
        let key = self.list("filter[tag]=A-3").await;
        assert_eq!(key["data"][0]["description"], Value::Null);
        assert_eq!(tags(&self.list("filter[tag]=C-1").await), Vec::<String>::new());
    }

    async fn import(&self, query: &str, file: &str) -> Value {
        let path = format!("{BASE}/import?{query}");
        let (status, text) = self.client.file("POST", &path, Some(file)).await.unwrap();
        assert_eq!(status, 202, "{text}");
        self.stage.ours.work().await.unwrap();
        let import: Value = serde_json::from_str(&text).unwrap();
        let path = format!("/api/v1/imports/{}", import["id"].as_str().unwrap());
        self.client.get(&path).await.unwrap().body
    }

    /// A list as somebody likes to see it.
    pub(super) async fn views(&self) {
        let query = json!({"filter[event_id]": self.event, "sort": "-tag", "fields": "tag"});
        let view = json!({"entity": "lost-items", "name": "Last labels", "query": query});
        let made = self.client.post("/api/v1/saved-views", &view).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.body);
        let path = format!("?saved_view={}", made.body["id"].as_str().unwrap());
        let seen = self.send("GET", &path, &Value::Null, 200).await;
        let mut tags = tags(&seen);
        tags.reverse();
        assert!(tags.is_sorted() && tags.contains(&"A-3".to_owned()), "{tags:?}");
        let misfit = json!({"entity": "lost-items", "name": "Lost", "query": {"sort": "colour"}});
        let refused = self.client.post("/api/v1/saved-views", &misfit).await.unwrap();
        assert!((400..500).contains(&refused.status), "{}", refused.body);
    }
}

fn tags(page: &Value) -> Vec<String> {
    let rows = page["data"].as_array().unwrap();
    rows.iter().map(|row| row["tag"].as_str().unwrap().to_owned()).collect()
}
