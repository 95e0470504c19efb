//! What callers write, over the whole registry: fields that are not theirs refuse every way of writing,
//! and one answer tells every fault, whichever are planted.

use kernel::entity::{Access, Entity, Field, Kind};
use kernel::registry::Member;
use kernel::testkit::{Client, Reply};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::stage::{Broken, Stage, is_writable};
use crate::{database, registry};

async fn stage() -> Stage {
    Stage::open(registry(), database().await).await
}

/// What every table has and the system writes. `id` may be given for a new row.
const STANDARD: &[&str] = &["org_id", "version", "created_at", "updated_at", "deleted_at"];

/// Single and bulk ways of writing an entity with a body, as the engine serves them.
struct Ways<'a> {
    client: &'a Client,
    member: &'static Member,
    creates: bool,
    puts: bool,
    patches: bool,
}

impl<'a> Ways<'a> {
    fn of(stage: &Stage, client: &'a Client, member: &'static Member) -> Self {
        let generic = |right: &str, method: &str| {
            let calls = stage.calls(member);
            calls.iter().any(|c| c.generic && c.right == right && c.method == method)
        };
        let (creates, patches) = (generic("create", "POST"), generic("update", "PATCH"));
        let puts = creates && patches && member.entity.natural_key().is_some();
        Self { client, member, creates, puts, patches }
    }

    fn path(&self) -> String {
        format!("/api/v1/{}", self.member.route)
    }

    /// The answers to a new row with these members, by name of the way.
    async fn make(&self, body: &Map<String, Value>) -> Vec<(&'static str, Told)> {
        let mut told = Vec::new();
        let body = Value::Object(body.clone());
        if self.creates {
            told.push(("POST", one(self.client.post(&self.path(), &body).await.unwrap())));
            told.push(("bulk create", self.bulk(json!({"op": "create", "data": body})).await));
        }
        if self.puts {
            let sent = self.client.send("PUT", &self.path(), Some(&body)).await;
            told.push(("PUT", one(sent.unwrap())));
            told.push(("bulk upsert", self.bulk(json!({"op": "upsert", "data": body})).await));
        }
        told
    }

    /// The answers to a change with these members.
    async fn change(&self, id: Uuid, body: &Map<String, Value>) -> Vec<(&'static str, Told)> {
        if !self.patches {
            return Vec::new();
        }
        let body = Value::Object(body.clone());
        let path = format!("{}/{id}", self.path());
        let operation = json!({"op": "update", "id": id, "data": body});
        vec![
            ("PATCH", one(self.client.patch(&path, &body).await.unwrap())),
            ("bulk update", self.bulk(operation).await),
        ]
    }

    async fn bulk(&self, operation: Value) -> Told {
        let body = json!({"mode": "each", "operations": [operation]});
        let reply = self.client.post(&format!("{}/bulk", self.path()), &body).await.unwrap();
        let result = &reply.body["results"][0];
        Told { status: result["status"].clone(), faults: faults(&result["error"]) }
    }
}

/// Status, and field with code of each fault.
#[derive(Debug)]
struct Told {
    status: Value,
    faults: Vec<(String, String)>,
}

fn one(reply: Reply) -> Told {
    Told { status: json!(reply.status), faults: faults(&reply.body) }
}

fn faults(problem: &Value) -> Vec<(String, String)> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap_or_default().to_owned();
    let list = problem["errors"].as_array().into_iter().flatten();
    list.map(|fault| (text(fault, "field"), text(fault, "code"))).collect()
}

impl Told {
    /// Refused for exactly this field.
    fn refuses(&self, name: &str, codes: &[&str]) -> bool {
        let named = |(field, code): &(String, String)| field == name && codes.contains(&&**code);
        self.status == 422 && self.faults.len() == 1 && self.faults.iter().all(named)
    }
}

async fn row(stage: &Stage, entity: &Entity, id: Uuid) -> Value {
    let sql = format!("select to_jsonb(t) from {} t where org_id = $1 and id = $2", entity.name);
    stage.admin.query_one(&sql, &[&stage.ours.id, &id]).await.unwrap().try_get(0).unwrap()
}

#[tokio::test]
async fn fields_that_are_not_the_callers_refuse_every_way() {
    let stage = stage().await;
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served() {
        let entity = member.entity;
        let ways = Ways::of(&stage, &client, member);
        if !ways.creates && !ways.patches {
            continue;
        }
        let id = stage.plant(&stage.ours, entity).await;
        let before = row(&stage, entity, id).await;
        let good = if ways.creates { stage.body(&stage.ours, entity).await } else { Map::new() };
        let count = async || -> i64 {
            let sql = format!("select count(*) from {} where org_id = $1", entity.name);
            stage.admin.query_one(&sql, &[&stage.ours.id]).await.unwrap().get(0)
        };
        let rows = count().await;
        let others: Vec<(&str, Value)> = entity
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !is_writable(field))
            .map(|(place, field)| (field.name, kernel::testkit::value(field, 7, place)))
            .chain(STANDARD.iter().map(|name| (*name, json!(1))))
            .collect();
        for (name, value) in &others {
            let secret = entity.field(name).is_some_and(|field| field.secret);
            let codes: &[&str] = if secret { &["unknown_field"] } else { &["immutable"] };
            let mut body = good.clone();
            body.insert((*name).to_owned(), value.clone());
            let mut told = ways.make(&body).await;
            told.extend(ways.change(id, &only(name, value)).await);
            for (way, told) in told {
                broken.demand(told.refuses(name, codes), || {
                    format!("{way} {} takes {name}: {told:?}", member.route)
                });
            }
        }
        for (place, field) in entity.fields.iter().enumerate() {
            if field.access != Access::WriteOnce {
                continue;
            }
            let value = kernel::testkit::value(field, 987, place);
            for (way, told) in ways.change(id, &only(field.name, &value)).await {
                broken.demand(told.refuses(field.name, &["immutable"]), || {
                    format!("{way} {} changes {}: {told:?}", member.route, field.name)
                });
            }
        }
        for (way, told) in ways.change(id, &only("id", &json!(Uuid::max()))).await {
            broken.demand(told.refuses("id", &["immutable"]), || {
                format!("{way} {} changes the id: {told:?}", member.route)
            });
        }
        let same = row(&stage, entity, id).await == before && count().await == rows;
        broken.demand(same, || format!("{}: a refusal wrote something", entity.name));
    }
    broken.none();
}

fn only(name: &str, value: &Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value.clone())])
}

/// A value that the field's kind refuses.
fn fault(field: &Field) -> Value {
    match field.kind {
        Kind::Json => json!({"nul": "\u{0}"}),
        Kind::TextList { .. } => json!([1]),
        _ => json!([]),
    }
}

/// Of fields where faults are planted, and of no others, faults are told: all of them, in one answer.
#[tokio::test]
async fn of_the_faults_that_are_planted_all_are_told() {
    let stage = stage().await;
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for (nth, member) in stage.served().into_iter().enumerate() {
        let entity = member.entity;
        let ways = Ways::of(&stage, &client, member);
        let fields: Vec<&Field> = entity.fields.iter().filter(|f| is_writable(f)).collect();
        if !ways.creates || fields.is_empty() {
            continue;
        }
        let good = stage.body(&stage.ours, entity).await;
        let id = stage.plant(&stage.ours, entity).await;
        // Every field, then sets that look random and are the same in every run.
        for round in 0..4_u64 {
            let chosen = |place: usize| {
                let mixed = (nth as u64 * 31 + place as u64 * 17 + round * 101 + 7)
                    .wrapping_mul(6_364_136_223_846_793_005);
                round == 0 || (mixed >> 40).is_multiple_of(2)
            };
            let planted: Vec<&Field> = fields
                .iter()
                .enumerate()
                .filter(|(place, _)| chosen(*place))
                .map(|(_, field)| *field)
                .collect();
            let mut body = good.clone();
            body.extend(planted.iter().map(|field| (field.name.to_owned(), fault(field))));
            body.insert("no_such_field".to_owned(), json!(1));
            let mut names: Vec<&str> = planted.iter().map(|field| field.name).collect();
            names.push("no_such_field");
            // A natural key that cannot be read is told before the rest: there is no row to look at.
            let told = ways.make(&body).await;
            for (way, told) in told.into_iter().filter(|(way, _)| !is_by_key(way)) {
                broken.demand(told.names(&names), || {
                    format!("{way} {}: planted {names:?}, told {told:?}", member.route)
                });
            }
            let change: Vec<&Field> =
                planted.iter().copied().filter(|f| f.access == Access::Writable).collect();
            let mut body: Map<String, Value> =
                change.iter().map(|field| (field.name.to_owned(), fault(field))).collect();
            body.insert("no_such_field".to_owned(), json!(1));
            let mut names: Vec<&str> = change.iter().map(|field| field.name).collect();
            names.push("no_such_field");
            for (way, told) in ways.change(id, &body).await {
                broken.demand(told.names(&names), || {
                    format!("{way} {}: planted {names:?}, told {told:?}", member.route)
                });
            }
        }
        nothing_at_all(&ways, entity, &mut broken).await;
    }
    broken.none();
}

fn is_by_key(way: &str) -> bool {
    matches!(way, "PUT" | "bulk upsert")
}

/// An empty body lacks what is required, and every lack is told.
async fn nothing_at_all(ways: &Ways<'_>, entity: &Entity, broken: &mut Broken) {
    let lacking = |field: &&Field| {
        is_writable(field) && field.required && field.default.is_none() && field.numbered.is_none()
    };
    let names: Vec<&str> = entity.fields.iter().filter(lacking).map(|field| field.name).collect();
    if names.is_empty() {
        return;
    }
    let told = ways.make(&Map::new()).await;
    for (way, told) in told.into_iter().filter(|(way, _)| !is_by_key(way)) {
        broken.demand(told.names(&names), || {
            format!("{way} {} of nothing: {names:?} lack, told {told:?}", entity.name)
        });
    }
}

impl Told {
    /// A fault for each of these fields and for nothing else.
    fn names(&self, fields: &[&str]) -> bool {
        let top = |path: &str| path.split(['.', '[']).next().unwrap_or_default().to_owned();
        let mut told: Vec<String> = self.faults.iter().map(|(field, _)| top(field)).collect();
        told.sort_unstable();
        told.dedup();
        let mut expected: Vec<String> = fields.iter().map(|name| (*name).to_owned()).collect();
        expected.sort_unstable();
        self.status == 422 && told == expected
    }
}
