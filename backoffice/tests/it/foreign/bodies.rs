//! Foreign rows named in bodies and in files: by a link, by their id, by the key that people know them
//! by. Each is answered as one that never was, and stays as it is.

use kernel::action::On;
use kernel::entity::{Entity, Field, Kind, Scope};
use kernel::registry::{Link, Member};
use kernel::testkit::{Client, Reply};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Probes, kept, shape, stage, tenant_members};
use crate::stage::{Broken, Stage, is_writable};

/// Faults of an answer or of the operations in it: codes and fields, without their words.
fn faults(reply: &Reply) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |problem: &Value| -> Vec<(String, String)> {
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let own = (text(&problem["code"]), String::new());
        let each = errors.iter().map(|one| (text(&one["code"]), text(&one["field"])));
        std::iter::once(own).chain(each).collect()
    };
    match reply.body["results"].as_array() {
        Some(results) => results.iter().flat_map(|one| of(&one["error"])).collect(),
        None => of(&reply.body),
    }
}

/// A body by which a link can be written, and how it is called.
struct Way {
    name: &'static str,
    method: &'static str,
    path: String,
    /// Around the fields of the row.
    operation: Option<Value>,
    fields: Map<String, Value>,
}

impl Way {
    async fn call(&self, client: &Client, link: &str, target: Uuid) -> Reply {
        let mut fields = self.fields.clone();
        fields.insert(link.to_owned(), json!(target));
        let body = match &self.operation {
            Some(operation) => {
                let mut operation = operation.clone();
                operation["data"] = Value::Object(fields);
                json!({"mode": "each", "operations": [operation]})
            }
            None => Value::Object(fields),
        };
        client.send(self.method, &self.path, Some(&body)).await.unwrap()
    }
}

async fn ways(stage: &Stage, member: &'static Member, field: &Field) -> Vec<Way> {
    let entity = member.entity;
    let base = format!("/api/v1/{}", member.route);
    let operations = entity.operations;
    let acted =
        stage.registry.actions().any(|one| one.entity.name == entity.name && one.on == On::Create);
    let creates = operations.create && !acted;
    let upserts = creates && operations.patch && entity.natural_key().is_some();
    let mut all = Vec::new();
    let mut way = |name, method, path: String, operation, fields| {
        all.push(Way { name, method, path, operation, fields });
    };
    let bulk = format!("{base}/bulk");
    if creates {
        let whole = stage.body(&stage.ours, entity).await;
        let operation = Some(json!({"op": "create"}));
        way("bulk create", "POST", bulk.clone(), operation, whole.clone());
        if upserts {
            way("upsert", "PUT", base, None, whole.clone());
            way("bulk upsert", "POST", bulk.clone(), Some(json!({"op": "upsert"})), whole);
        }
    }
    if operations.patch && field.access == kernel::entity::Access::Writable {
        let own = stage.plant(&stage.ours, entity).await;
        way("bulk update", "POST", bulk, Some(json!({"op": "update", "id": own})), Map::new());
    }
    all
}

#[tokio::test]
async fn a_foreign_link_is_an_unknown_one_in_every_body() {
    let stage = stage().await;
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    let mut probes = Probes::default();
    for member in tenant_members(&stage) {
        let links = member
            .links
            .iter()
            .filter(|link| link.target.scope == Scope::Tenant && is_writable(link.field));
        for link in links {
            let foreign = stage.plant(&stage.theirs, link.target).await;
            let before = kept(&stage, link.target, foreign).await;
            let name = link.field.name;
            for way in ways(&stage, member, link.field).await {
                let known = way.call(&client, name, foreign).await;
                let unknown = way.call(&client, name, Uuid::max()).await;
                probes.count(way.name);
                let refused = faults(&known)
                    .iter()
                    .any(|(code, field)| code == "unknown_reference" && field.ends_with(name));
                let same = shape(&known) == shape(&unknown) && faults(&known) == faults(&unknown);
                broken.demand(refused && same, || {
                    format!(
                        "{} {} {name}: foreign {} {}, unknown {}",
                        way.name, way.path, known.status, known.body, unknown.body
                    )
                });
            }
            in_files(&stage, member, link, foreign, &mut broken, &mut probes).await;
            let after = kept(&stage, link.target, foreign).await;
            broken.demand(before == after, || format!("{}: changed", link.target.name));
        }
    }
    probes.tell(&[
        ("bulk create", 20),
        ("bulk update", 10),
        ("upsert", 10),
        ("bulk upsert", 10),
        ("file, by id", 15),
        ("file, by key", 4),
    ]);
    broken.none();
}

/// The same in a file: the link as an id, and as the key of the row that it names.
async fn in_files(
    stage: &Stage,
    member: &'static Member,
    link: &Link,
    foreign: Uuid,
    broken: &mut Broken,
    probes: &mut Probes,
) {
    if !takes_creates(stage, member.entity) {
        return;
    }
    let name = link.field.name;
    let mut body = stage.body(&stage.ours, member.entity).await;
    body.remove(name);
    let by_id = [json!(foreign), json!(Uuid::max())].map(|id| (name.to_owned(), id));
    let mut pairs = vec![("file, by id", by_id)];
    let key = link.target.natural_key().filter(|key| key.fields.len() == 1);
    if let Some(field) = key.and_then(|key| link.target.field(key.fields[0]))
        && let Some(known) = kept(stage, link.target, foreign).await[field.name].as_str()
    {
        let known = json!(known);
        // As long and as well formed as the other, and nobody's.
        let unknown = kernel::testkit::value(field, 999_999, 0);
        pairs.push((
            "file, by key",
            [known, unknown].map(|v| (format!("{name}.{}", field.name), v)),
        ));
    }
    for (kind, [known, unknown]) in pairs {
        let known = refusals(stage, member, &body, known, "match=create").await;
        let unknown = refusals(stage, member, &body, unknown, "match=create").await;
        probes.count(kind);
        let refused = known.iter().any(|(code, _)| code == "unknown_reference");
        broken.demand(refused && known == unknown, || {
            format!("{kind}: {}.{name}: foreign {known:?}, unknown {unknown:?}", member.route)
        });
    }
}

/// Rows come from files and are made by the engine, not by an action.
fn takes_creates(stage: &Stage, entity: &Entity) -> bool {
    let mut actions = stage.registry.actions();
    let acted = actions.any(|one| one.entity.name == entity.name && one.on == On::Create);
    entity.takes_imports() && entity.operations.create && !acted
}

/// Codes and fields of what a file of one row is refused for; the row's fate when it is not.
async fn refusals(
    stage: &Stage,
    member: &'static Member,
    body: &Map<String, Value>,
    more: (String, Value),
    query: &str,
) -> Vec<(String, String)> {
    let mut cells = vec![(more.0, plain(&more.1))];
    for (name, value) in body {
        let field = member.entity.field(name).map(|field| field.kind);
        match (field, value) {
            (Some(Kind::Money | Kind::Price), Value::Object(pair)) => {
                cells.push((name.clone(), plain(&pair["amount"])));
                cells.push((format!("{name}_currency"), plain(&pair["currency"])));
            }
            (Some(Kind::Geo), Value::Object(pair)) => {
                for part in ["latitude", "longitude"] {
                    cells.push((format!("{name}_{part}"), plain(&pair[part])));
                }
            }
            _ => cells.push((name.clone(), plain(value))),
        }
    }
    let line = |pick: fn(&(String, String)) -> &String| {
        let quoted = cells.iter().map(|cell| format!("\"{}\"", pick(cell).replace('"', "\"\"")));
        quoted.collect::<Vec<_>>().join(",")
    };
    let file = format!("{}\r\n{}\r\n", line(|cell| &cell.0), line(|cell| &cell.1));
    let client = stage.client(&stage.ours);
    let path = format!("/api/v1/{}/import?{query}", member.route);
    let (status, text) = client.file("POST", &path, Some(&file)).await.unwrap();
    assert_eq!(status, 202, "{path}: {text}\n{file}");
    stage.ours.work().await.unwrap();
    let import: Value = serde_json::from_str(&text).unwrap();
    let rows = format!("/api/v1/imports/{}/rows", import["id"].as_str().unwrap());
    let rows = client.get(&rows).await.unwrap().body;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told = Vec::new();
    for row in rows["data"].as_array().into_iter().flatten() {
        match row["errors"].as_array().map(Vec::as_slice) {
            None | Some([]) => told.push((text(&row["status"]), String::new())),
            Some(list) => {
                told.extend(list.iter().map(|one| (text(&one["code"]), text(&one["field"]))));
            }
        }
    }
    // Twenty may be open at once.
    let cancel = format!("/api/v1/imports/{}/cancel", import["id"].as_str().unwrap());
    let ended = client.post(&cancel, &json!({})).await.unwrap();
    assert!(matches!(ended.status, 200 | 204 | 409), "{cancel}: {}", ended.body);
    told
}

/// A value as a cell.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A file that speaks of a foreign row by its id or its key changes nothing there.
#[tokio::test]
async fn a_foreign_row_is_not_met_by_a_file() {
    let stage = stage().await;
    let mut broken = Broken::default();
    let mut probes = Probes::default();
    for member in tenant_members(&stage) {
        let entity = member.entity;
        if !takes_creates(&stage, entity) || !entity.operations.patch {
            continue;
        }
        let foreign = stage.plant(&stage.theirs, entity).await;
        let before = kept(&stage, entity, foreign).await;
        let body = stage.body(&stage.ours, entity).await;
        let mut ids = Vec::new();
        for id in [foreign, Uuid::max()] {
            let id = ("id".to_owned(), json!(id));
            ids.push(refusals(&stage, member, &body, id, "match=update&dry_run=false").await);
        }
        probes.count("file of ids");
        broken.demand(ids[0] == ids[1] && !ids[0].is_empty(), || {
            format!("{} by id: foreign {:?}, unknown {:?}", member.route, ids[0], ids[1])
        });
        let field =
            |name: &&str| entity.field(name).filter(|f| !matches!(f.kind, Kind::Link { .. }));
        let key = entity.natural_key().map(|key| key.fields).unwrap_or_default();
        let Some(field) = key.iter().find_map(field).filter(|_| key.len() == 1) else { continue };
        let Some(known) = before[field.name].as_str().map(str::to_owned) else { continue };
        let mut rest = body.clone();
        rest.remove(field.name);
        let mut keys = Vec::new();
        for value in [json!(known), kernel::testkit::value(field, 999_998, 0)] {
            let cell = (field.name.to_owned(), value);
            keys.push(refusals(&stage, member, &rest, cell, "match=update").await);
        }
        probes.count("file of keys");
        broken.demand(keys[0] == keys[1] && !keys[0].is_empty(), || {
            format!("{} by key: foreign {:?}, unknown {:?}", member.route, keys[0], keys[1])
        });
        // As an upsert the same key makes a row of ours.
        let cell = (field.name.to_owned(), json!(known));
        refusals(&stage, member, &rest, cell, "match=upsert&dry_run=false").await;
        let after = kept(&stage, entity, foreign).await;
        broken.demand(before == after, || format!("{}: a foreign row was changed", entity.name));
    }
    probes.tell(&[("file of ids", 15), ("file of keys", 4)]);
    broken.none();
}
