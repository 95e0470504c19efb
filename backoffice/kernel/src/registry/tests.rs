//! Each rule of the registry, by a descriptor that breaks it.

use serde_json::Value;

use super::{Meaning, Registry};
use crate::action::Reading;
use crate::entity::{
    Check, Domain, Entity, Flow, Move, Operations, Unique, View, choice, id, integer, link, money,
    text,
};
use crate::error::Code;
use crate::rule::{EndRule, Rule};

const fn domain(name: &'static str, entities: &'static [&'static Entity]) -> Domain {
    Domain { name, entities, ..Domain::EMPTY }
}

static SHELVES: Entity = Entity::new("shelves")
    .grant("library.shelves")
    .about("A shelf.")
    .label("name")
    .fields(&[text("name").required(), link("parent_id", "library.shelves")])
    .views(&[View::Tree("parent_id")]);

static BOOKS: Entity = Entity::new("books")
    .grant("library.books")
    .about("A book.")
    .fields(&[
        text("title").required(),
        link("shelf_id", "library.shelves").required(),
        link("spare_shelf_id", "library.shelves"),
        money("price"),
        choice("status", LOAN.states).required().default("'here'").by_action(),
    ])
    .natural(&["title"])
    .uniques(&[Unique { name: "books_title_key", fields: &["title"], code: Code::AlreadyExists }])
    .checks(&[Check {
        name: "books_price_positive",
        sql: "price >= 0",
        code: Code::OutOfRange,
        field: "price",
    }])
    .flow(&LOAN);

static LOAN: Flow = Flow {
    field: "status",
    initial: "here",
    states: &["here", "lent"],
    moves: &[Move::new("lend", &["here"], "lent"), Move::new("return", &["lent"], "here")],
};

static LIBRARY: Domain = domain("library", &[&SHELVES, &BOOKS]);

#[test]
fn names_routes_links_and_meanings_are_found() {
    let registry = Registry::new(&[&LIBRARY]).unwrap();
    assert_eq!(registry.entity("books").unwrap().name, "books");
    assert_eq!(registry.qualified("library.shelves").unwrap().name, "shelves");
    assert!(registry.qualified("archive.shelves").is_none());
    assert_eq!(registry.route("books").unwrap().qualified, "library.books");
    assert_eq!(registry.target(&BOOKS, "shelf_id").unwrap().name, "shelves");
    assert!(registry.target(&BOOKS, "title").is_none());
    // One collection for each child, through its first link to the parent.
    let children: Vec<_> = registry
        .children(&SHELVES)
        .iter()
        .map(|child| (child.entity.name, child.field.name))
        .collect();
    assert_eq!(children, [("shelves", "parent_id"), ("books", "shelf_id")]);
    let meanings = [
        ("books_pkey", Some((Code::AlreadyExists, "id"))),
        ("books_title_key", Some((Code::AlreadyExists, "title"))),
        ("books_price_positive", Some((Code::OutOfRange, "price"))),
        ("books_shelf_id_fkey", Some((Code::UnknownReference, "shelf_id"))),
        ("books_status_check", Some((Code::InvalidValue, "status"))),
        ("no_such_thing", None),
    ];
    for (name, meaning) in meanings {
        let meaning = meaning.map(|(code, field)| Meaning { code, field: Some(field) });
        assert_eq!(registry.meaning(name), meaning, "{name}");
    }
}

/// The faults of one broken descriptor, without its qualified name.
#[track_caller]
fn check(entity: &'static Entity, expect: &[&str]) {
    let entities: &'static [&'static Entity] = Box::leak(Box::new([&SHELVES, entity]));
    let domain = Box::leak(Box::new(domain("library", entities)));
    let faults = Registry::new(&[domain]).map_or_else(|faults| faults.0, |_| Vec::new());
    let prefix = format!("library.{}: ", entity.name);
    let faults: Vec<&str> =
        faults.iter().map(|fault| fault.strip_prefix(&prefix).unwrap_or(fault)).collect();
    assert_eq!(faults, expect);
}

/// A sound entity to break.
const fn sound(name: &'static str) -> Entity {
    Entity::new(name).grant("library.things").about("A thing.")
}

#[test]
fn broken_descriptors_are_refused() {
    static BARE: Entity = Entity::new("things");
    check(
        &BARE,
        &[
            "say in one sentence what a row is, with .about(…)",
            "a tenant entity needs a grant, with .grant(\"domain.noun\")",
        ],
    );
    static BAD_NAME: Entity = sound("badThings");
    check(&BAD_NAME, &["the name must be snake_case"]);
    static STANDARD: Entity = sound("things").fields(&[integer("version", 0, 1)]);
    check(&STANDARD, &["field version is a standard column"]);
    static TWICE: Entity = sound("things").fields(&[money("fee"), text("fee_currency")]);
    check(&TWICE, &["field fee_currency exists twice"]);
    static LABEL: Entity = sound("things").label("title");
    check(&LABEL, &["the label names title, which is no field"]);
    static INDEX: Entity = sound("things").indexes(&[&["created_at", "colour"]]);
    check(&INDEX, &["an index names colour, which is no field"]);
    static STRANGE_LINK: Entity = sound("things").fields(&[link("owner_id", "library.people")]);
    check(&STRANGE_LINK, &["library.things.owner_id: link to library.people, which no domain has"]);
    static LINK_NAME: Entity = sound("things").fields(&[link("shelf", "library.shelves")]);
    check(&LINK_NAME, &["link shelf must end in _id"]);
    static UPWARD: Entity = Entity::new("things")
        .global()
        .about("A thing.")
        .fields(&[link("shelf_id", "library.shelves")]);
    check(&UPWARD, &["link shelf_id leads from a Global table to a Tenant table"]);
    static SERVED: Entity = sound("things").global().operations(Operations::READ);
    check(&SERVED, &["only tenant entities are served by the engine"]);
    static LOG: Entity = sound("things").log().operations(Operations::ALL);
    check(&LOG, &["a log is append-only: it has no patch and no delete"]);
    static CHOICE: Entity = sound("things").fields(&[choice("size", &["s", "s"])]);
    check(&CHOICE, &["choice size needs options that differ"]);
    static RANGE: Entity = sound("things").fields(&[integer("size", 2, 1)]);
    check(&RANGE, &["integer size: min is above max"]);
    static TAKEN: Entity = sound("shelves");
    check(
        &TAKEN,
        &[
            "the table exists twice",
            "route /shelves is taken",
            "the name shelves is taken",
            "the name shelves_pkey is taken",
        ],
    );
    static ROUTE: Entity = sound("things").path("shelves");
    check(&ROUTE, &["route /shelves is taken"]);
    static LONG: Entity =
        sound("things").fields(&[id("a_name_that_is_fine_by_itself_and_too_long_with_its_table")]);
    check(&LONG, &[]);
    static LONG_CHECK: Entity = sound("things")
        .fields(&[text("a_name_that_is_fine_by_itself_and_too_long_with_its_table")]);
    check(
        &LONG_CHECK,
        &[
            "things_a_name_that_is_fine_by_itself_and_too_long_with_its_table_check has more than 63 bytes",
        ],
    );
}

#[test]
fn flows_are_choices_that_only_actions_move() {
    static FREE: Entity = sound("things").fields(&[choice("status", LOAN.states)]).flow(&LOAN);
    check(
        &FREE,
        &[
            "status moves by actions only: make it .by_action()",
            "status must be required with default 'here'",
        ],
    );
    static NONE: Entity = sound("things").flow(&LOAN);
    check(&NONE, &["the flow names status, which is no field"]);
    static LOST: Flow = Flow {
        field: "status",
        initial: "gone",
        states: &["here"],
        moves: &[Move::new("lend", &["here"], "lent")],
    };
    static MOVES: Entity = sound("things")
        .fields(&[choice("status", LOST.states).required().default("'gone'").by_action()])
        .flow(&LOST);
    check(
        &MOVES,
        &["the flow begins in gone, which is no state", "move lend names lent, which is no state"],
    );
}

#[test]
fn keys_are_natural_by_decision() {
    const KEY: &[Unique] =
        &[Unique { name: "things_code_key", fields: &["code"], code: Code::AlreadyExists }];
    static UNSAID: Entity = sound("things").fields(&[text("code")]).uniques(KEY);
    check(
        &UNSAID,
        &["say by which unique key PUT and imports know a row, with .natural(&[\"code\"])"],
    );
    static SAID: Entity = sound("things").fields(&[text("code")]).uniques(KEY).natural(&["code"]);
    check(&SAID, &[]);
    // Nobody who calls gives this one.
    static OWN: Entity = sound("things").fields(&[text("code").by_action()]).uniques(KEY);
    check(&OWN, &[]);
    static READ: Entity =
        sound("things").fields(&[text("code")]).uniques(KEY).operations(Operations::READ);
    check(&READ, &[]);
    static OTHER: Entity =
        sound("things").fields(&[text("code"), text("name")]).uniques(KEY).natural(&["name"]);
    check(&OTHER, &["the natural key (name) must be a unique key of fields that callers write"]);
}

#[test]
fn readings_stand_where_nothing_else_does() {
    const fn reading(name: &'static str, entity: &'static Entity) -> Reading {
        Reading { name, entity, run: |_, _, _| Box::pin(std::future::ready(Ok(Value::Null))) }
    }
    static BOX: Entity = sound("boxes");
    static LID: Entity = sound("lids").fields(&[link("box_id", "own.boxes")]);
    static MUTE: Entity = sound("mutes").operations(Operations::NONE);
    static OWN: Domain = Domain {
        name: "own",
        entities: &[&BOX, &LID, &MUTE],
        readings: &[
            reading("seams", &BOX),
            reading("seams", &BOX),
            reading("history", &BOX),
            reading("lids", &BOX),
            reading("words", &MUTE),
        ],
        ..Domain::EMPTY
    };
    let faults = Registry::new(&[&OWN]).err().map(|faults| faults.0).unwrap_or_default();
    let taken = |name: &str| format!("own.boxes: reading {name} has a name that is taken");
    let mute = "own.mutes: reading words is of rows that nobody reads".to_owned();
    assert_eq!(faults, [taken("seams"), taken("history"), taken("lids"), mute]);
}

#[test]
fn rules_name_what_the_engine_writes() {
    const fn rule(name: &'static str, on: &'static str) -> Rule {
        Rule { name, on, run: |_, _| Box::pin(std::future::ready(Ok(()))) }
    }
    const fn end(name: &'static str, on: &'static str, by: &'static str) -> EndRule {
        EndRule { name, on, by, run: |_, _| Box::pin(std::future::ready(Ok(()))) }
    }
    static GUARD: Domain = Domain {
        name: "guard",
        rules: &[
            rule("guard.books", "library.books"),
            rule("guard.books", "library.shelves"),
            rule("guard.nothing", "library.papers"),
            rule("guard.elsewhere", "archive.books"),
        ],
        end_rules: &[
            end("guard.rows", "library.books", "id"),
            end("guard.shelf", "library.books", "shelf_id"),
            end("guard.title", "library.books", "title"),
            end("guard.shelf", "library.books", "shelf_id"),
        ],
        ..Domain::EMPTY
    };
    let faults = Registry::new(&[&GUARD, &LIBRARY]).err().unwrap();
    let expected = [
        "rule guard.books exists twice",
        "rule guard.nothing: no domain has a tenant entity library.papers",
        "rule guard.elsewhere: no domain has a tenant entity archive.books",
        "rule guard.title: title is neither id nor a link",
        "rule guard.shelf exists twice",
    ];
    assert_eq!(faults.0, expected);
    // Own rules first, whatever the order of the domains.
    static OWN: Domain = Domain {
        rules: &[rule("books.own", "library.books")],
        ..domain("library", &[&SHELVES, &BOOKS])
    };
    static FOREIGN: Domain =
        Domain { name: "guard", rules: &[rule("guard.books", "library.books")], ..Domain::EMPTY };
    let registry = Registry::new(&[&FOREIGN, &OWN]).unwrap();
    let names: Vec<&str> = registry.rules("books").iter().map(|rule| rule.name).collect();
    assert_eq!(names, ["books.own", "guard.books"]);
    assert!(registry.is_ruled(&BOOKS) && !registry.is_ruled(&SHELVES));
}

/// What an action makes is made by it alone: no key, no file, no bulk goes around it.
#[test]
fn an_action_that_makes_rows_is_the_only_way_to_make_them() {
    use crate::action::{Action, Answers, On, Reply};
    const fn making(entity: &'static Entity) -> Action {
        Action {
            name: "create",
            entity,
            on: On::Create,
            input: &[],
            answers: Answers::Nothing,
            about: "Makes a thing.",
            run: |_, _| Box::pin(async { Ok(Reply::Nothing) }),
        }
    }
    const NO_CREATE: Operations =
        Operations { read: true, create: false, patch: true, delete: true };
    static BOTH: Entity = sound("things").fields(&[text("name").required()]);
    static ONE: Entity = sound("things").fields(&[text("name").required()]).operations(NO_CREATE);
    static BESIDE: Domain =
        Domain { name: "library", entities: &[&BOTH], actions: &[making(&BOTH)], ..Domain::EMPTY };
    static ALONE: Domain =
        Domain { name: "library", entities: &[&ONE], actions: &[making(&ONE)], ..Domain::EMPTY };
    let faults = |domain| Registry::new(&[domain]).map_or_else(|faults| faults.0, |_| Vec::new());
    let told = faults(&BESIDE);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("leave create out of .operations(…)"), "{told:?}");
    assert_eq!(faults(&ALONE), Vec::<String>::new());
}
