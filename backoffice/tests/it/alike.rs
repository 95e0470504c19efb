//! "May I" and "list what I may" on every entity of the house: whatever scope a role gives, the rows
//! that a list shows are those that a get, a file and a history answer and those that patch, delete,
//! actions and restore reach; and what the API permits is what it says is permitted.

use std::collections::{BTreeMap, BTreeSet};

use kernel::accounts::{NewMember, NewToken, add_member, issue_token, operator_set_plan};
use kernel::action::On;
use kernel::entity::{Entity, Kind, Plan, Scope};
use kernel::registry::Member;
use kernel::testkit::{Client, Reply};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::stage::{Broken, Stage};
use crate::{database, registry};

/// Whom and what the caller has, and what others have.
struct World {
    stage: Stage,
    me: Uuid,
    other: Uuid,
    role: Uuid,
    client: Client,
    teams: [String; 2],
    units: [String; 2],
}

/// Rows in each of the hands that there are, then deleted ones: the caller's and another's.
const ROWS: usize = 6;
const DELETED: usize = 4;

async fn open() -> World {
    let stage = Stage::open(registry(), database().await).await;
    operator_set_plan(&stage.server.service, stage.ours.id, Plan::Enterprise).await.unwrap();
    let all = stage.client(&stage.ours);
    let make = async |route: &str, body: Value| -> String {
        let reply = all.post(&format!("/api/v1/{route}"), &body).await.unwrap();
        assert_eq!(reply.status, 201, "{route} {body}: {}", reply.body);
        reply.body["id"].as_str().unwrap().to_owned()
    };
    let role = make("roles", json!({"key": "player", "name": "Player", "grants": []})).await;
    let role: Uuid = role.parse().unwrap();
    let mut people = Vec::new();
    for _ in 0..2 {
        let mut cx = stage.ours.begin().await.unwrap();
        let email = format!("{}@example.org", Uuid::new_v4().simple());
        let new = NewMember { email: &email, name: None, password: None, role, ends_at: None };
        people.push(add_member(&mut cx, new).await.unwrap().0);
        cx.commit().await.unwrap();
    }
    let (me, other) = (people[0], people[1]);
    let mut teams = Vec::new();
    let mut units = Vec::new();
    for (n, user) in people.iter().enumerate() {
        let team = make("teams", json!({"name": format!("team {n}")})).await;
        make("team-members", json!({"team_id": team, "user_id": user})).await;
        teams.push(team);
        let unit = make("units", json!({"name": format!("unit {n}"), "code": format!("u{n}")}));
        let unit = unit.await;
        make("unit-members", json!({"unit_id": unit, "user_id": user})).await;
        let below = json!({"name": "below", "code": format!("b{n}"), "parent_id": unit});
        units.push(make("units", below).await);
    }
    let mut cx = stage.ours.begin().await.unwrap();
    let new = NewToken { name: "player".to_owned(), grants: everything("all"), expires_at: None };
    let (_, token) = issue_token(&mut cx, me, new).await.unwrap();
    cx.commit().await.unwrap();
    let client = stage.server.client.with_bearer(token.expose());
    let (teams, units) = (teams.try_into().unwrap(), units.try_into().unwrap());
    World { stage, me, other, role, client, teams, units }
}

fn everything(scope: &str) -> Value {
    let levels = ["open", "personal", "confidential"];
    json!([{"grant": "*", "rights": ["*"], "scope": scope, "levels": levels}])
}

/// Columns that say whose the row with this number is.
fn hands(world: &World, entity: &Entity, number: usize) -> Map<String, Value> {
    let mut given = Map::new();
    for field in entity.fields {
        let Kind::Link { to, .. } = field.kind else { continue };
        let value = match to {
            // A made-up role would be the caller's.
            "accounts.users" if entity.name == "memberships" => json!(world.other),
            "accounts.users" if matches!(number, 0 | DELETED) => json!(world.me),
            "accounts.users" => json!(world.other),
            "accounts.teams" => json!(world.teams[usize::from(number != 1)]),
            "identity.units" => json!(world.units[usize::from(number != 2)]),
            _ => continue,
        };
        given.insert(field.name.to_owned(), value);
    }
    if DELETED <= number && entity.soft_deletes() {
        given.insert("deleted_at".to_owned(), json!("2026-01-01T00:00:00Z"));
    }
    given
}

/// Rows that are there, then the deleted ones.
async fn plant(world: &World, member: &Member) -> [Vec<Uuid>; 2] {
    let mut planted = [Vec::new(), Vec::new()];
    let mut planter = world.stage.planter(&world.stage.ours);
    for number in 0..ROWS {
        let deleted = DELETED <= number && member.entity.soft_deletes();
        let given = hands(world, member.entity, number);
        // Some of these would be one row by a unique key.
        if let Ok(id) = planter.row_with(member.entity, given).await {
            planted[usize::from(deleted)].push(id);
        }
    }
    assert!(!planted[0].is_empty(), "{} has no rows", member.qualified);
    planted
}

fn joined(ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    ids.join(",")
}

fn shown(list: &Reply) -> BTreeSet<Uuid> {
    let data = list.body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    data.iter().map(|row| row["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[derive(Default)]
struct Tally {
    broken: Broken,
    seen: BTreeMap<(&'static str, bool), u32>,
}

impl Tally {
    /// A call on a row that changes nothing: 403 without the right, else reached or 404.
    fn judge(
        &mut self,
        what: &'static str,
        permitted: bool,
        reached: bool,
        reply: &Reply,
        told: &str,
    ) {
        let expected = match (permitted, reached) {
            (false, _) => reply.status == 403 && reply.code() == "forbidden",
            (true, true) => matches!(reply.status, 200 | 412),
            (true, false) => reply.status == 404,
        };
        self.broken.demand(expected, || {
            format!(
                "{what} of {told}, permitted {permitted}, listed {reached}: {} {}",
                reply.status, reply.body
            )
        });
        *self.seen.entry((what, permitted && reached)).or_default() += 1;
    }
}

#[tokio::test]
async fn a_row_is_listed_where_it_is_reached_and_nowhere_else() {
    let world = open().await;
    let mut rows = Vec::new();
    for member in world.stage.served() {
        if member.entity.operations.read && member.entity.scope == Scope::Tenant {
            rows.push((member, plant(&world, member).await));
        }
    }
    let mut tally = Tally::default();
    for scope in ["own", "team", "unit", "all"] {
        let grants = everything(scope);
        let sql = "update roles set grants = $2 where id = $1";
        world.stage.admin.execute(sql, &[&world.role, &grants]).await.unwrap();
        for (member, planted) in &rows {
            entity(&world, scope, member, planted, &mut tally).await;
        }
    }
    tally.broken.none();
    for what in ["get", "history", "update", "delete", "restore", "action"] {
        for reached in [true, false] {
            let count = tally.seen.get(&(what, reached)).copied().unwrap_or_default();
            assert!(20 < count, "{what}, reached {reached}, happened {count} times");
        }
    }
}

async fn entity(
    world: &World,
    scope: &str,
    member: &'static Member,
    [living, deleted]: &[Vec<Uuid>; 2],
    tally: &mut Tally,
) {
    let client = &world.client;
    let (entity, path) = (member.entity, format!("/api/v1/{}", member.route));
    let meta = client.get(&format!("/api/v1/meta/{}", member.route)).await.unwrap();
    let operations: Vec<String> =
        serde_json::from_value(meta.body["operations"].clone()).unwrap_or_default();
    let permitted = |right: &str| operations.iter().any(|own| own == right);
    let told = format!("{} under {scope}", member.qualified);
    let list = client.get(&format!("{path}?filter[id][in]={}", joined(living))).await.unwrap();
    tally.broken.demand((list.status == 200) == permitted("read"), || {
        format!("{told}: the list answers {} {}", list.status, list.body)
    });
    let listed = shown(&list);
    if permitted("read") {
        let query = format!("fields=id&filter[id][in]={}", joined(living));
        let file = client.file("GET", &format!("{path}/export?{query}"), None).await.unwrap();
        let ids: BTreeSet<Uuid> = file
            .1
            .lines()
            .skip(1)
            .filter_map(|line| line.split(',').next()?.parse().ok())
            .collect();
        tally.broken.demand(ids == listed, || format!("{told}: the file has {}", file.1));
    }
    let stale = [("if-match", "\"0\"")];
    let none = json!({});
    for id in living {
        let reached = listed.contains(id);
        let row = format!("{path}/{id}");
        let reply = client.get(&row).await.unwrap();
        tally.judge("get", permitted("read"), reached, &reply, &told);
        if !entity.log {
            let reply = client.get(&format!("{row}/history")).await.unwrap();
            tally.judge("history", permitted("read"), reached, &reply, &told);
        }
        if entity.operations.patch {
            let reply = client.send_with("PATCH", &row, &stale, Some(&none)).await.unwrap();
            tally.judge("update", permitted("update"), reached, &reply, &told);
        }
        if entity.operations.delete {
            let reply = client.send_with("DELETE", &row, &stale, None).await.unwrap();
            tally.judge("delete", permitted("delete"), reached, &reply, &told);
        }
        for name in bare_actions(member) {
            let place = format!("{row}/{name}");
            let reply = client.send_with("POST", &place, &stale, Some(&none)).await.unwrap();
            tally.judge("action", permitted(name), reached, &reply, &told);
        }
    }
    if deleted.is_empty() || !entity.restorable() || !permitted("read") {
        return;
    }
    let query = format!("deleted=only&filter[id][in]={}", joined(deleted));
    let gone = client.get(&format!("{path}?{query}")).await.unwrap();
    let gone = shown(&gone);
    for id in deleted {
        let place = format!("{path}/{id}/restore");
        let reply = client.send_with("POST", &place, &stale, None).await.unwrap();
        tally.judge("restore", permitted("delete"), gone.contains(id), &reply, &told);
        let reply = client.get(&format!("{path}/{id}/history")).await.unwrap();
        tally.judge("history", true, gone.contains(id), &reply, &told);
    }
}

/// Verbs on a row that take nothing: a stale version refuses them behind the row.
fn bare_actions(member: &'static Member) -> Vec<&'static str> {
    let own = registry().actions().filter(|action| {
        action.entity.name == member.entity.name
            && action.on == On::Row
            && action.input.iter().all(|field| !field.required)
    });
    own.map(|action| action.name).collect()
}
