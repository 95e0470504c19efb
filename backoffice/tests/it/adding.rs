//! `docs/adding-an-entity.md`, followed step by step: its descriptor stands here word for word, and
//! what it promises is tried.

use kernel::entity::{
    Domain, Entity, Flow, Group, Move, Unique, choice, date, link, long_text, text,
};
use kernel::error::Code;
use kernel::registry::Registry;
use kernel::testkit::TestDb;
use kernel::{ddl, schema};
use serde_json::{Value, json};

use crate::rules;
use crate::stage::Stage;

// begin: descriptor
pub(crate) static LOST_ITEMS: Entity = Entity::new("lost_items")
    .grant("events.lost_items")
    .group(Group::Events)
    .label("name")
    .about("Something found at an event, kept until its owner comes.")
    .fields(&[
        link("event_id", "events.events").required().once(),
        link("finder_id", "identity.parties"),
        text("name").required(),
        text("tag").required().about("Number on the label, unique within the organization."),
        long_text("description").personal(),
        date("found_on").required(),
        choice("status", LOST_ITEM_FLOW.states).required().by_action().default("'kept'"),
    ])
    .natural(&["tag"])
    .uniques(&[Unique { name: "lost_items_tag_key", fields: &["tag"], code: Code::AlreadyExists }])
    .indexes(&[&["event_id", "status"]])
    .flow(&LOST_ITEM_FLOW);

pub(crate) static LOST_ITEM_FLOW: Flow = Flow {
    field: "status",
    initial: "kept",
    states: &["kept", "returned", "disposed"],
    moves: &[
        Move::new("return", &["kept"], "returned"),
        Move::new("dispose", &["kept"], "disposed"),
    ],
};
// end: descriptor

static LOST_AND_FOUND: Domain =
    Domain { name: "lost_and_found", entities: &[&LOST_ITEMS], ..Domain::EMPTY };

fn extended() -> Registry {
    let mut domains = crate::registry().domains().to_vec();
    domains.push(&LOST_AND_FOUND);
    Registry::new(&domains).unwrap()
}

const GUIDE: &str = include_str!("../../../docs/adding-an-entity.md");

#[test]
fn the_guide_shows_this_descriptor() {
    let (_, rest) = include_str!("adding.rs").split_once("// begin: descriptor\n").unwrap();
    let (descriptor, _) = rest.split_once("// end: descriptor").unwrap();
    assert!(GUIDE.contains(descriptor), "docs/adding-an-entity.md shows another descriptor");
}

#[tokio::test]
async fn its_difference_is_a_migration_and_every_rule_holds() {
    let registry = extended().leak();
    let server = TestDb::create("adding_url", &[]).await.unwrap();
    let mut history = migrations::scripts();
    let next = schema::pending(&server.migrate_url, registry, &history).await.unwrap();
    // What the guide says the tool prints.
    for line in [
        "create table lost_items (",
        "alter table lost_items force row level security;",
        "CREATE UNIQUE INDEX lost_items_tag_key ON public.lost_items USING btree (org_id, tag) WHERE (deleted_at IS NULL);",
    ] {
        assert!(next.contains(line), "{line} is not in\n{next}");
        assert!(GUIDE.contains(line), "{line} is not in the guide");
    }
    history.push(&next);
    assert_eq!(schema::pending(&server.migrate_url, registry, &history).await.unwrap(), "");

    // A database that grew by the migration, and the rules that nobody wrote for this entity.
    let database = Box::leak(Box::new(TestDb::create("adding", &history).await.unwrap()));
    let stage = Stage::open(registry, database).await;
    rules::all(&stage).await;
    exercise(&stage).await;
}

/// Everything that the engine offers, on this entity: what it is told by the descriptor alone.
async fn exercise(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let event = stage.plant(&stage.ours, stage.registry.entity("events").unwrap()).await;
    let item = |tag: &str, name: &str| json!({"event_id": event, "name": name, "tag": tag, "found_on": "2027-03-01"});
    let all = json!({"mode": "all", "operations": [
        {"op": "create", "data": item("A-1", "Umbrella")},
        {"op": "create", "data": item("A-2", "Umbrella")},
        {"op": "create", "data": item("A-3", "Key")},
    ]});
    let reply = client.post("/api/v1/lost-items/bulk", &all).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let id = |place: usize| reply.body["results"][place]["data"]["id"].as_str().unwrap().to_owned();
    let (first, second) = (id(0), id(1));

    // Read in every way.
    let list = async |query: &str| {
        let reply = client.get(&format!("/api/v1/lost-items?{query}")).await.unwrap();
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        reply.body
    };
    let ours = format!("filter[event_id]={event}");
    let tags = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap();
        rows.iter().map(|row| row["tag"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(tags(&list(&format!("{ours}&sort=name,-tag")).await), ["A-3", "A-2", "A-1"]);
    let nested =
        "%7B%22or%22%3A%5B%7B%22tag%22%3A%22A-1%22%7D%2C%7B%22name%22%3A%22Key%22%7D%5D%7D";
    assert_eq!(tags(&list(&format!("where={nested}&{ours}&sort=tag")).await), ["A-1", "A-3"]);
    let page = list(&format!("{ours}&fields=tag&count=exact")).await;
    assert_eq!(page["page"]["count"], json!({"value": 3, "exact": true}));
    assert!(page["data"][0].get("name").is_none(), "{page}");
    let page = list(&format!("{ours}&include=event_id")).await;
    assert!(page.to_string().contains(&event.to_string()), "{page}");
    let groups = list(&format!("{ours}&group=name&aggregate=count")).await;
    assert_eq!(groups["data"].as_array().map(Vec::len), Some(2), "{groups}");
    let below = client.get(&format!("/api/v1/events/{event}/lost-items")).await.unwrap();
    assert_eq!(tags(&below.body).len(), 3);

    // Written in every way.
    let mut again = item("A-1", "Red umbrella");
    let reply = client.send("PUT", "/api/v1/lost-items", Some(&again)).await.unwrap();
    assert_eq!((reply.status, &reply.body["id"]), (200, &json!(first)), "{}", reply.body);
    again["tag"] = json!("A-4");
    let reply = client.send("PUT", "/api/v1/lost-items", Some(&again)).await.unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    let path = format!("/api/v1/lost-items/{first}");
    let reply = client.post(&format!("{path}/return"), &json!({})).await.unwrap();
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("returned")), "{}", reply.body);
    let reply = client.post(&format!("{path}/dispose"), &json!({})).await.unwrap();
    assert_eq!((reply.status, reply.code()), (409, "invalid_transition"), "{}", reply.body);
    let path = format!("/api/v1/lost-items/{second}");
    assert_eq!(client.delete(&path).await.unwrap().status, 204);
    assert_eq!(tags(&list(&format!("{ours}&deleted=only")).await), ["A-2"]);
    assert_eq!(client.post(&format!("{path}/restore"), &json!({})).await.unwrap().status, 200);
    let history = client.get(&format!("{path}/history")).await.unwrap();
    assert_eq!(history.status, 200, "{}", history.body);
    assert_eq!(history.body["data"].as_array().map(Vec::len), Some(3), "{}", history.body);
    told(stage).await;
}

/// What the API tells of it, and to whom.
async fn told(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let meta = client.get("/api/v1/meta/lost-items").await.unwrap();
    assert_eq!(meta.status, 200, "{}", meta.body);
    for word in ["found_on", "dispose", "kept"] {
        assert!(meta.body.to_string().contains(&format!("\"{word}\"")), "{word}: {}", meta.body);
    }
    let read = json!([{"grant": "events.lost_items", "rights": ["read"], "scope": "all"}]);
    let token = stage.ours.issue(read).await.unwrap();
    let reader = stage.server.client.with_bearer(token.expose());
    assert_eq!(reader.get("/api/v1/lost-items").await.unwrap().status, 200);
    let delete = json!({"mode": "all", "operations": [{"op": "delete", "id": stage.ours.id}]});
    let refused = reader.post("/api/v1/lost-items/bulk", &delete).await.unwrap();
    assert_eq!(refused.body["errors"][0]["code"], "forbidden", "{}", refused.body);
    let open = json!([{
        "grant": "events.lost_items", "rights": ["read"], "scope": "all", "levels": ["open"],
    }]);
    let token = stage.ours.issue(open).await.unwrap();
    let stranger = stage.server.client.with_bearer(token.expose());
    let by_description = "/api/v1/lost-items?filter[description][contains]=x";
    let refused = stranger.get(by_description).await.unwrap();
    assert_eq!((refused.status, refused.code()), (403, "field_not_permitted"), "{}", refused.body);
}

#[test]
fn a_mistake_is_named_at_start() {
    static WRONG: Entity = Entity::new("lost_items")
        .about("Something found at an event.")
        .fields(&[link("event_id", "events.event").required()]);
    static DOMAIN: Domain = Domain { entities: &[&WRONG], ..LOST_AND_FOUND_LIKE };
    let mut domains = crate::registry().domains().to_vec();
    domains.push(&DOMAIN);
    let faults =
        Registry::new(&domains).map_or_else(|faults| faults.to_string(), |_| String::new());
    for fault in [
        "lost_and_found.lost_items.event_id: link to events.event, which no domain has",
        "lost_and_found.lost_items: a tenant entity needs a grant",
    ] {
        assert!(faults.contains(fault), "{fault} is not in {faults}");
        assert!(GUIDE.contains(fault), "{fault} is not in the guide");
    }
}

const LOST_AND_FOUND_LIKE: Domain = Domain { name: "lost_and_found", ..Domain::EMPTY };

#[test]
fn the_generated_schema_is_one_script() {
    let script = ddl::script(&extended());
    assert!(script.contains("-- === lost_and_found.lost_items ===\n"), "a section for each entity");
}
