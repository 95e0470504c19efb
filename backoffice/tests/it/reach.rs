//! "May I" and "list what I may" are one: random people, roles, owners, teams and units, and a model
//! of a few lines beside the API. The rows that a list shows are those that a get answers and those
//! that patch, delete and actions reach; the fields that it shows are those of the model; nobody makes
//! or moves a row out of their reach.

use std::collections::{BTreeMap, BTreeSet};

use kernel::accounts::{NewMember, NewToken, add_member, issue_token};
use kernel::action::{Action, Answers, On, Reply};
use kernel::ddl;
use kernel::entity::{Domain, Entity, Weight, integer, link, text};
use kernel::registry::Registry;
use kernel::testkit::{Client, TestDb, TestOrg, TestServer};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use uuid::Uuid;

mod model;

use model::{Kind, Line, Model, Row, User};

static PROJECTS: Entity = Entity::new("crew_projects")
    .grant("crew.projects")
    .about("Somebody's, of a team, of a unit.")
    .owner("lead_id")
    .fields(&[
        link("maker_id", "accounts.users"),
        link("lead_id", "accounts.users"),
        link("team_id", "accounts.teams"),
        link("unit_id", "identity.units"),
        text("name").required().search(Weight::A),
        text("note").personal(),
        integer("pay", 0, 1_000_000).confidential(),
    ]);

static TASKS: Entity = Entity::new("crew_tasks")
    .grant("crew.tasks")
    .about("Somebody's, within a project.")
    .within("project_id")
    .fields(&[
        link("project_id", "crew.crew_projects").required(),
        link("assignee_id", "accounts.users"),
        text("name").required().search(Weight::A),
        text("note").personal(),
        integer("pay", 0, 1_000_000).confidential(),
    ]);

static REMARKS: Entity = Entity::new("crew_remarks")
    .grant("crew.remarks")
    .about("Nobody's own, within a task.")
    .within("task_id")
    .fields(&[
        link("task_id", "crew.crew_tasks").required(),
        text("name").required().search(Weight::A),
        text("note").personal(),
        integer("pay", 0, 1_000_000).confidential(),
    ]);

static THINGS: Entity =
    Entity::new("crew_things").grant("crew.things").about("Nobody's at all.").fields(&[
        text("name").required().search(Weight::A),
        text("note").personal(),
        integer("pay", 0, 1_000_000).confidential(),
    ]);

const fn touch(entity: &'static Entity) -> Action {
    Action {
        name: "touch",
        entity,
        on: On::Row,
        input: &[],
        answers: Answers::Nothing,
        about: "Does nothing to a row in reach.",
        run: |_, _| Box::pin(async { Ok(Reply::Nothing) }),
    }
}

static ACTIONS: &[Action] = &[touch(&PROJECTS), touch(&TASKS), touch(&REMARKS), touch(&THINGS)];

static CREW: Domain = Domain {
    name: "crew",
    entities: &[&PROJECTS, &TASKS, &REMARKS, &THINGS],
    actions: ACTIONS,
    ..Domain::EMPTY
};

/// People, teams and units of a world; the first person plays.
const USERS: usize = 4;
const TEAMS: usize = 3;
const UNITS: usize = 4;
const ROWS: usize = 6;
/// Worlds, and roles tried in each.
const WORLDS: u32 = 4;
const ROLES: u32 = 6;

struct World {
    org: TestOrg,
    base: Client,
    model: Model,
}

/// Draws from a strategy, with the runner's recorded seed.
fn draw<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

fn pick(runner: &mut TestRunner, from: &[Uuid]) -> Option<Uuid> {
    // The last index stands for none.
    let index = draw(runner, &(0..=from.len()));
    from.get(index).copied()
}

async fn world(server: &TestServer, runner: &mut TestRunner) -> World {
    let org = TestOrg::open(&server.service).await.unwrap();
    let all = server.client.with_bearer(org.token.expose());
    let mut model = Model::default();
    let make = async |route: &str, body: Value| -> Uuid {
        let reply = all.post(&format!("/api/v1/{route}"), &body).await.unwrap();
        assert_eq!(reply.status, 201, "{route} {body}: {}", reply.body);
        reply.body["id"].as_str().unwrap().parse().unwrap()
    };
    for n in 0..TEAMS {
        model.teams.push(make("teams", json!({"name": format!("team {n}")})).await);
    }
    for n in 0..UNITS {
        // A chain with a branch: below the first are the second and the third, the fourth is alone.
        let parent = [None, Some(0), Some(1), None][n].map(|above: usize| model.units[above]);
        let body =
            json!({"name": format!("unit {n}"), "code": format!("u{n}"), "parent_id": parent});
        let id = make("units", body).await;
        model.units.push(id);
        model.parents.extend(parent.map(|parent| (id, parent)));
    }
    for n in 0..USERS {
        let role =
            make("roles", json!({"key": format!("r{n}"), "name": "none", "grants": []})).await;
        let mut cx = org.begin().await.unwrap();
        let email = format!("{}@example.org", Uuid::new_v4().simple());
        let new = NewMember { email: &email, name: None, password: None, role, ends_at: None };
        let (id, _) = add_member(&mut cx, new).await.unwrap();
        cx.commit().await.unwrap();
        let mut user = User { id, role, teams: BTreeSet::new(), units: BTreeSet::new() };
        for team in model.teams.clone() {
            if draw(runner, &prop::bool::weighted(0.4)) {
                make("team-members", json!({"team_id": team, "user_id": id})).await;
                user.teams.insert(team);
            }
        }
        for unit in model.units.clone() {
            if draw(runner, &prop::bool::weighted(0.3)) {
                make("unit-members", json!({"unit_id": unit, "user_id": id})).await;
                user.units.insert(unit);
            }
        }
        model.users.push(user);
    }
    for kind in Kind::ALL {
        for _ in 0..ROWS {
            let mut row = row(runner, &model, *kind);
            row.id = make(kind.route(), body(&row, true)).await;
            model.rows.push(row);
        }
    }
    World { org, base: server.client.clone(), model }
}

/// A row with random hands.
fn row(runner: &mut TestRunner, model: &Model, kind: Kind) -> Row {
    let users: Vec<Uuid> = model.users.iter().map(|user| user.id).collect();
    let parents: Vec<Uuid> =
        model.rows.iter().filter(|row| Some(row.kind) == kind.above()).map(|row| row.id).collect();
    let mut row = Row { kind, ..Row::default() };
    if matches!(kind, Kind::Project | Kind::Task) {
        row.owner = pick(runner, &users);
    }
    if kind == Kind::Project {
        row.team = pick(runner, &model.teams);
        row.unit = pick(runner, &model.units);
    }
    if !parents.is_empty() {
        row.parent = Some(parents[draw(runner, &(0..parents.len()))]);
    }
    row
}

/// As the API takes it; with all fields, or with the plain ones alone.
fn body(row: &Row, whole: bool) -> Value {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!("a name"));
    if whole {
        body.insert("note".to_owned(), json!("a note"));
        body.insert("pay".to_owned(), json!(1000));
    }
    for (name, value) in row.hands() {
        body.insert(name.to_owned(), json!(value));
    }
    Value::Object(body)
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let grant = prop::sample::select(vec![
        "*",
        "crew.*",
        "crew.projects",
        "crew.tasks",
        "crew.remarks",
        "crew.things",
    ]);
    let right = prop::sample::select(vec!["read", "create", "update", "delete", "touch"]);
    let rights = prop_oneof![
        Just(vec!["*"]),
        prop::collection::vec(right, 1..4),
        prop::collection::vec(Just("read"), 1),
    ];
    let field = || prop::collection::vec(prop::sample::select(vec!["note", "pay"]), 0..2);
    let levels = prop::sample::select(vec![None, Some(1), Some(2), Some(3)]);
    let line = (grant, rights, 0..4_usize, levels, field(), field());
    prop::collection::vec(
        line.prop_map(|(grant, rights, reach, levels, hidden, fixed)| Line {
            grant,
            rights,
            // A line for nobody's things alone in another scope is refused.
            reach: if grant == "crew.things" { 3 } else { reach },
            levels: levels.unwrap_or(2),
            hidden,
            fixed,
        }),
        1..5,
    )
}

/// The first person with this role, by a token with these lines of its own.
async fn caller(world: &World, role: &[Line], token: &[Line]) -> Client {
    let me = &world.model.users[0];
    let mut cx = world.org.begin().await.unwrap();
    let grants: Value = role.iter().map(Line::show).collect();
    let sql = "update roles set grants = $3 where org_id = $1 and id = $2";
    cx.execute(sql, &[&world.org.id, &me.role, &grants]).await.unwrap();
    let grants: Value = token.iter().map(Line::show).collect();
    let new = NewToken { name: "player".to_owned(), grants, expires_at: None };
    let (_, token) = issue_token(&mut cx, me.id, new).await.unwrap();
    cx.commit().await.unwrap();
    world.base.with_bearer(token.expose())
}

#[tokio::test]
async fn rows_and_fields_in_reach_are_those_of_the_model() {
    let mut domains = crate::registry().domains().to_vec();
    domains.push(&CREW);
    let registry = Registry::new(&domains).unwrap().leak();
    let db = TestDb::create("reach", &[&ddl::script(registry)]).await.unwrap();
    let server = TestServer::start(registry, &db).await.unwrap();
    // A fixed seed: a failure is there again in the next run.
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut seen = BTreeMap::new();
    for _ in 0..WORLDS {
        let mut world = world(&server, &mut runner).await;
        for _ in 0..ROLES {
            let role = draw(&mut runner, &lines());
            // Mostly the role alone decides; sometimes the token cuts it.
            let all = Line::everything();
            let cut = draw(&mut runner, &prop::bool::weighted(0.3));
            let token = if cut { draw(&mut runner, &lines()) } else { vec![all] };
            let client = caller(&world, &role, &token).await;
            let layers = [role, token];
            for kind in Kind::ALL {
                reads(&world, &client, &layers, *kind, &mut seen).await;
                writes(&world, &client, &layers, *kind, &mut seen).await;
                moves(&mut world, &client, &layers, *kind, &mut runner, &mut seen).await;
            }
        }
    }
    // Nothing that can happen was left out by chance.
    for what in [
        "list refused",
        "row shown",
        "row not shown",
        "field masked",
        "field shown",
        "filter refused",
        "filter allowed",
        "write done",
        "write not reached",
        "field refused",
        "made",
        "not made",
        "moved",
        "not moved",
    ] {
        assert!(seen.contains_key(what), "{what} never happened: {seen:?}");
    }
}

type Seen = BTreeMap<&'static str, u32>;

fn note(seen: &mut Seen, what: &'static str) {
    *seen.entry(what).or_default() += 1;
}

async fn reads(world: &World, client: &Client, layers: &[Vec<Line>], kind: Kind, seen: &mut Seen) {
    let told = || format!("{kind:?} {layers:?}");
    let model = &world.model;
    let path = format!("/api/v1/{}", kind.route());
    let list = client.get(&format!("{path}?limit=200")).await.unwrap();
    let may = model.may(layers, kind, "read");
    assert_eq!(list.status, if may { 200 } else { 403 }, "{} {}", told(), list.body);
    if !may {
        note(seen, "list refused");
    }
    let data = list.body["data"].as_array().cloned().unwrap_or_default();
    let shown: BTreeMap<Uuid, &Value> =
        data.iter().map(|row| (row["id"].as_str().unwrap().parse().unwrap(), row)).collect();
    let expected: BTreeSet<Uuid> = model.reached(layers, kind, "read").map(|row| row.id).collect();
    assert_eq!(shown.keys().copied().collect::<BTreeSet<_>>(), expected, "{}", told());
    if may {
        assert_eq!(list.body["page"]["count"]["value"], expected.len(), "{}", told());
    }
    for row in model.rows.iter().filter(|row| row.kind == kind) {
        let got = client.get(&format!("{path}/{}", row.id)).await.unwrap();
        let status = if !may {
            403
        } else if expected.contains(&row.id) {
            200
        } else {
            404
        };
        assert_eq!(got.status, status, "{} {row:?}", told());
        let Some(listed) = shown.get(&row.id) else {
            note(seen, "row not shown");
            continue;
        };
        note(seen, "row shown");
        assert_eq!(got.body, **listed, "{}", told());
        for (field, level) in model::FIELDS {
            let expected = model.field(layers, row, "read", field, *level);
            assert_eq!(got.body.get(*field).is_some(), expected, "{field}: {} {row:?}", told());
            note(seen, if expected { "field shown" } else { "field masked" });
        }
    }
    let may_search = may && model.everywhere(layers, kind, "name", 0);
    searched(&format!("{path}?q=name&limit=200"), client, may_search, &expected, &told()).await;
    for (field, level) in model::FIELDS {
        let everywhere = model.everywhere(layers, kind, field, *level);
        for query in [format!("filter[{field}][null]=false"), format!("sort={field}")] {
            let reply = client.get(&format!("{path}?{query}")).await.unwrap();
            let expected = match (may, everywhere) {
                (false, _) => (403, "forbidden"),
                (true, false) => (403, "field_not_permitted"),
                (true, true) => (200, ""),
            };
            assert_eq!((reply.status, reply.code()), expected, "{query}: {}", told());
            note(seen, if expected.0 == 200 { "filter allowed" } else { "filter refused" });
        }
    }
}

/// A word that every row has finds the rows in reach: the search judges reach by itself.
async fn searched(path: &str, client: &Client, may: bool, expected: &BTreeSet<Uuid>, told: &str) {
    let list = client.get(path).await.unwrap();
    assert_eq!(list.status, if may { 200 } else { 403 }, "{told} {}", list.body);
    let data = list.body["data"].as_array().cloned().unwrap_or_default();
    let found: BTreeSet<Uuid> =
        data.iter().map(|row| row["id"].as_str().unwrap().parse().unwrap()).collect();
    if may {
        assert_eq!(&found, expected, "{told}");
    }
}

/// Writes that change nothing: what they answer says whether the row is in reach.
async fn writes(world: &World, client: &Client, layers: &[Vec<Line>], kind: Kind, seen: &mut Seen) {
    let model = &world.model;
    for row in model.rows.iter().filter(|row| row.kind == kind) {
        let told = || format!("{kind:?} {row:?} {layers:?}");
        let path = format!("/api/v1/{}/{}", kind.route(), row.id);
        let readable = model.reaches(layers, row, "read");
        let mut expect = |right: &str, status: u16, done: &[u16]| {
            let may = model.may(layers, kind, right);
            let reached = model.reaches(layers, row, right);
            let expected = match (may, reached) {
                (false, _) => status == 403,
                (true, false) => status == 404,
                (true, true) => done.contains(&status),
            };
            assert!(expected, "{right} {status}: {}", told());
            note(seen, if reached { "write done" } else { "write not reached" });
        };
        // A version that the row does not have: reached is 412, and nothing is deleted.
        let stale =
            client.send_with("DELETE", &path, &[("if-match", "\"0\"")], None).await.unwrap();
        expect("delete", stale.status, &[412]);
        let touched = client.post(&format!("{path}/touch"), &json!({})).await.unwrap();
        expect("touch", touched.status, &[204]);
        let patched = client.patch(&path, &json!({"name": "a name"})).await.unwrap();
        expect("update", patched.status, if readable { &[200] } else { &[204] });
        for (field, level) in model::FIELDS {
            let value = if *field == "pay" { json!(1000) } else { json!("a note") };
            let mut body = Map::new();
            body.insert((*field).to_owned(), value);
            let reply = client.patch(&path, &Value::Object(body)).await.unwrap();
            let status = reply.status;
            if !model.may(layers, kind, "update") {
                assert_eq!(status, 403, "{}", told());
                continue;
            }
            let never = !model.field_anywhere(layers, kind, "update", field, *level);
            let reached = model.reaches(layers, row, "update");
            let allowed = model.field(layers, row, "update", field, *level);
            if never || (reached && !allowed) {
                assert_eq!(reply.code(), "field_not_permitted", "{field} {}", told());
                assert_eq!(reply.fields(), [*field]);
                note(seen, "field refused");
            } else {
                let done = if readable { 200 } else { 204 };
                assert_eq!(status, if reached { done } else { 404 }, "{field} {}", told());
            }
        }
    }
}

/// Makes a row and moves one: both end in reach or not at all.
async fn moves(
    world: &mut World,
    client: &Client,
    layers: &[Vec<Line>],
    kind: Kind,
    runner: &mut TestRunner,
    seen: &mut Seen,
) {
    let mut new = row(runner, &world.model, kind);
    let path = format!("/api/v1/{}", kind.route());
    let reply = client.post(&path, &body(&new, false)).await.unwrap();
    let may = world.model.may(layers, kind, "create");
    let reached = may && world.model.reaches(layers, &new, "create");
    let readable = world.model.reaches(layers, &new, "read");
    let expected = match (reached, readable) {
        (true, true) => 201,
        (true, false) => 204,
        (false, _) => 403,
    };
    assert_eq!(reply.status, expected, "{new:?} {layers:?} {}", reply.body);
    note(seen, if reached { "made" } else { "not made" });
    if reached {
        let location = reply.header("location").unwrap();
        new.id = location.rsplit('/').next().unwrap().parse().unwrap();
        world.model.rows.push(new);
    }
    let of_kind: Vec<usize> =
        (0..world.model.rows.len()).filter(|at| world.model.rows[*at].kind == kind).collect();
    let at = of_kind[draw(runner, &(0..of_kind.len()))];
    let before = world.model.rows[at].clone();
    let hands = row(runner, &world.model, kind);
    let after = Row { id: before.id, ..hands };
    let reply = client.patch(&format!("{path}/{}", before.id), &body(&after, false)).await.unwrap();
    let may = world.model.may(layers, kind, "update");
    let from = may && world.model.reaches(layers, &before, "update");
    let to = from && world.model.reaches(layers, &after, "update");
    let readable = world.model.reaches(layers, &after, "read");
    let expected = match (may, from, to, readable) {
        (false, ..) | (_, true, false, _) => 403,
        (_, false, ..) => 404,
        (_, _, true, true) => 200,
        (_, _, true, false) => 204,
    };
    assert_eq!(reply.status, expected, "{before:?} {after:?} {layers:?} {}", reply.body);
    note(seen, if to { "moved" } else { "not moved" });
    if to {
        world.model.rows[at] = after;
    }
    let owner = world.base.with_bearer(world.org.token.expose());
    let stored = owner.get(&format!("{path}/{}", before.id)).await.unwrap();
    for (name, value) in world.model.rows[at].hands() {
        assert_eq!(stored.body[name], json!(value), "nothing half done");
    }
}
