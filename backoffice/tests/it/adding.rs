//! `docs/adding-an-entity.md`, followed step by step: its blocks of Rust stand here word for word, what
//! it says that tools print is compared with what they print, and what it promises is tried.

use std::process::Command;

use kernel::action::{Action, Answers, Args, On, Reply};
use kernel::cx::Cx;
use kernel::entity::{
    Domain, Entity, Flow, Group, Move, Unique, Weight, choice, date, link, long_text, text,
};
use kernel::error::{Code, Result};
use kernel::registry::Registry;
use kernel::testkit::TestDb;
use kernel::{ddl, schema};
use serde_json::json;

use crate::rules;
use crate::stage::Stage;

mod desk;

use desk::Desk;

// begin: descriptor
pub(crate) static LOST_ITEMS: Entity = Entity::new("lost_items")
    .grant("events.lost_items")
    .group(Group::Events)
    .label("name")
    .about("Something found at an event, kept until its owner comes.")
    .fields(&[
        link("event_id", "events.events").required().once(),
        link("finder_id", "identity.parties"),
        link("keeper_id", "identity.parties").by_action().about("To whom it was given."),
        text("name").required().search(Weight::A),
        text("tag").required().about("Number on the label, unique within the organization."),
        long_text("description").personal().aliases(&["Beschreibung"]),
        date("found_on").required(),
        choice("status", LOST_ITEM_FLOW.states).required().by_action().default("'kept'"),
    ])
    .natural(&["tag"])
    .uniques(&[Unique { name: "lost_items_tag_key", fields: &["tag"], code: Code::AlreadyExists }])
    .natural(&["tag"])
    .indexes(&[&["event_id", "status"]])
    .within("event_id")
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

// begin: action
pub(crate) static ACTIONS: &[Action] = &[Action {
    name: "return",
    entity: &LOST_ITEMS,
    on: On::Row,
    input: &[link("keeper_id", "identity.parties").required()],
    answers: Answers::Row,
    about: "Gives the item to whom it belongs.",
    run: |cx, args| Box::pin(give_back(cx, args)),
}];

async fn give_back(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    cx.set(&LOST_ITEMS, id, &[("keeper_id", args.input["keeper_id"].clone())]).await?;
    Ok(Reply::Row(id))
}
// end: action

static LOST_AND_FOUND: Domain =
    Domain { name: "lost_and_found", entities: &[&LOST_ITEMS], actions: ACTIONS, ..Domain::EMPTY };

fn extended() -> Registry {
    let mut domains = crate::registry().domains().to_vec();
    domains.push(&LOST_AND_FOUND);
    Registry::new(&domains).unwrap()
}

const GUIDE: &str = include_str!("../../../docs/adding-an-entity.md");

/// What stands between fences of this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fenced = GUIDE.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

#[test]
fn every_block_is_followed() {
    let own = include_str!("adding.rs");
    let sections = ["descriptor", "action"].map(|name| {
        let (_, rest) = own.split_once(&format!("// begin: {name}\n")).unwrap();
        rest.split_once(&format!("// end: {name}\n")).unwrap().0
    });
    assert_eq!(blocks("rust"), sections, "docs/adding-an-entity.md shows other code");
    // The tests below take one of each; more would be followed by nobody.
    assert_eq!([blocks("text").len(), blocks("sql").len(), blocks("console").len()], [1, 1, 2]);
    let fences = GUIDE.matches("```").count();
    assert_eq!(fences, 2 * (sections.len() + 1 + 1 + 2), "a block of another language");
}

/// Commands that the guide tells to run are there and take these words.
#[tokio::test]
async fn its_commands_run() {
    let [diff, test] = blocks("console").try_into().unwrap();
    let words = diff.trim_start_matches("$ cargo run -p backoffice -- ");
    let words = words.split_once(" > ").unwrap().0;
    let url = crate::database().await.migrate_url.expose().to_owned();
    let said = Command::new(env!("CARGO_BIN_EXE_backoffice"))
        .args(words.split(' '))
        .env("DATABASE_MIGRATE_URL", url)
        .output()
        .unwrap();
    assert!(said.status.success(), "{words}: {}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "", "the product has no difference");
    let program = test.trim_start_matches("$ ./").split(' ').next().unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    assert!(root.join(program).is_file(), "{program} is not there");
}

#[tokio::test]
async fn its_difference_is_a_migration_and_every_rule_holds() {
    let registry = extended().leak();
    let server = TestDb::create("adding_url", &[]).await.unwrap();
    let mut history = migrations::scripts();
    let next = schema::pending(&server.migrate_url, registry, &history).await.unwrap();
    // What the guide says the tool prints.
    let printed = blocks("sql")[0].lines().map(str::trim).filter(|line| *line != "…");
    for line in printed {
        assert!(next.contains(line), "{line} is not in\n{next}");
    }
    history.push(&next);
    assert_eq!(schema::pending(&server.migrate_url, registry, &history).await.unwrap(), "");

    // A database that grew by the migration, and the rules that nobody wrote for this entity.
    let database = Box::leak(Box::new(TestDb::create("adding", &history).await.unwrap()));
    let stage = Stage::open(registry, database).await;
    rules::all(&stage).await;
    // Rules leave rows of everything behind, open imports among them.
    let stage = Stage::open(registry, database).await;
    let desk = Desk::open(&stage).await;
    desk.reads().await;
    desk.writes().await;
    desk.acts().await;
    desk.files().await;
    desk.views().await;
    told(&stage).await;
}

/// What the API tells of it, and to whom.
async fn told(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let meta = client.get("/api/v1/meta/lost-items").await.unwrap();
    assert_eq!(meta.status, 200, "{}", meta.body);
    for word in ["found_on", "dispose", "return", "kept", "Beschreibung"] {
        assert!(meta.body.to_string().contains(&format!("\"{word}\"")), "{word}: {}", meta.body);
    }
    for member in ["searchable", "upsertable", "bulk", "history", "importable", "restorable"] {
        assert_eq!(meta.body[member], json!(true), "{member}: {}", meta.body);
    }
    let document = client.get("/openapi.json").await.unwrap().body;
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "",
        "/{id}",
        "/bulk",
        "/import",
        "/export",
        "/{id}/return",
        "/{id}/dispose",
        "/{id}/restore",
        "/{id}/history",
    ] {
        assert!(paths.contains_key(&format!("/lost-items{path}")), "{path} is not described");
    }
    assert!(paths.contains_key("/events/{id}/lost-items"));
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
    // Whose the event is, theirs are the items: `within` says so.
    let own = json!([{"grant": "events.lost_items", "rights": ["read"], "scope": "own"}]);
    let token = stage.ours.issue(own).await.unwrap();
    let helper = stage.server.client.with_bearer(token.expose());
    let shown = helper.get("/api/v1/lost-items").await.unwrap();
    assert_eq!((shown.status, &shown.body["data"]), (200, &json!([])), "{}", shown.body);
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
    assert_eq!(blocks("text"), [format!("{}\n", faults.trim_end())]);
}

const LOST_AND_FOUND_LIKE: Domain = Domain { name: "lost_and_found", ..Domain::EMPTY };

#[test]
fn the_generated_schema_is_one_script() {
    let script = ddl::script(&extended());
    assert!(script.contains("-- === lost_and_found.lost_items ===\n"), "a section for each entity");
}
