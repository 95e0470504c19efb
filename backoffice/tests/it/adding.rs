//! `docs/adding-an-entity.md`, followed step by step: its descriptor stands here word for word, and
//! what it promises is tried.

use kernel::entity::{
    Domain, Entity, Flow, Group, Move, Unique, choice, date, link, long_text, text,
};
use kernel::error::Code;
use kernel::registry::Registry;
use kernel::testkit::TestDb;
use kernel::{ddl, schema};

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
    rules::all(&Stage::open(registry, database).await).await;
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
