//! What another organization has is as if it were not there: every documented path with a foreign
//! row's id answers as with an unknown one, nothing foreign changes what we read, and no call of ours
//! changes a foreign row. The calls come from the API's own description, so a new operation is
//! covered the moment it is served.

use std::collections::{BTreeMap, BTreeSet};

use kernel::entity::{Entity, Kind, Scope};
use kernel::registry::Member;
use kernel::testkit::Reply;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::stage::{Broken, Stage};
use crate::{database, registry};

mod bodies;
mod named;

/// How often each kind of probe ran. A rule that met nothing has held nothing.
#[derive(Default)]
struct Probes(BTreeMap<&'static str, usize>);

impl Probes {
    fn count(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Tells the counts and demands so many of each kind at least.
    #[track_caller]
    fn tell(&self, least: &[(&'static str, usize)]) {
        println!("foreign probes: {:?}", self.0);
        for (kind, least) in least {
            let ran = self.0.get(kind).copied().unwrap_or_default();
            assert!(*least <= ran, "{kind}: {ran} probes, {least} at least");
        }
    }
}

async fn stage() -> Stage {
    Stage::open(registry(), database().await).await
}

fn tenant_members(stage: &Stage) -> Vec<&'static Member> {
    let all = stage.served().into_iter();
    all.filter(|member| member.entity.scope == Scope::Tenant).collect()
}

/// An operation below `/api/v1` as the description lists it.
pub(crate) struct Described {
    pub(crate) method: String,
    /// `/events/{id}/ticket-types`.
    pub(crate) path: String,
}

pub(crate) async fn described(stage: &Stage) -> Vec<Described> {
    let document = stage.server.client.get("/openapi.json").await.unwrap().body;
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["operationId"].is_string() {
                all.push(Described { method: method.to_uppercase(), path: path.clone() });
            }
        }
    }
    all
}

/// A body that an operation on a row or below one may take; the same for both ids.
async fn body_for(stage: &Stage, member: &'static Member, below: &str, method: &str) -> Value {
    if method == "POST"
        && let Some(child) = stage.registry.members().iter().find(|child| child.route == below)
    {
        let mut body = stage.body(&stage.ours, child.entity).await;
        for link in child.links.iter().filter(|link| link.target.name == member.entity.name) {
            body.remove(link.field.name);
        }
        return Value::Object(body);
    }
    let call = stage.calls(member).into_iter().find(|call| {
        call.method == method && call.template().ends_with(&format!("/{{id}}/{below}"))
    });
    match call {
        Some(call) => stage.input(&stage.ours, call.input).await,
        None => json!({}),
    }
}

/// What a caller can tell two answers apart by; texts and request ids aside.
fn shape(reply: &Reply) -> (u16, String, Vec<String>) {
    let fields = reply.fields().iter().map(|&field| field.to_owned()).collect();
    (reply.status, reply.code().to_owned(), fields)
}

/// A row as the database keeps it.
async fn kept(stage: &Stage, entity: &Entity, id: Uuid) -> Value {
    let sql = format!("select to_jsonb(t) from \"{}\" t where id = $1", entity.name);
    stage.admin.query_one(&sql, &[&id]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_foreign_id_is_an_unknown_id_on_every_path() {
    let stage = stage().await;
    let client = stage.client(&stage.ours);
    let members: BTreeMap<&str, &'static Member> =
        tenant_members(&stage).into_iter().map(|m| (m.route.as_str(), m)).collect();
    let mut broken = Broken::default();
    let mut foreign: BTreeMap<&str, (Uuid, Value)> = BTreeMap::new();
    let (mut operations, mut calls) = (0, 0);
    for Described { method, path } in described(&stage).await {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let Some(member) = members.get(parts[0]).copied() else { continue };
        if parts.get(1) != Some(&"{id}") {
            continue;
        }
        let entity = member.entity;
        if !foreign.contains_key(entity.name) {
            let id = stage.plant(&stage.theirs, entity).await;
            foreign.insert(entity.name, (id, kept(&stage, entity, id).await));
        }
        let known = foreign[entity.name].0;
        let body = body_for(&stage, member, parts.get(2).unwrap_or(&""), &method).await;
        let body = matches!(method.as_str(), "POST" | "PATCH" | "PUT").then_some(&body);
        operations += 1;
        for query in queries(member, &method, parts.len()) {
            let url =
                |id: Uuid| format!("/api/v1{}{query}", path.replacen("{id}", &id.to_string(), 1));
            let one = client.send(&method, &url(known), body).await.unwrap();
            let other = client.send(&method, &url(Uuid::max()), body).await.unwrap();
            calls += 1;
            let same = shape(&one) == shape(&other) && 400 <= one.status && one.status < 500;
            broken.demand(same, || {
                format!(
                    "{method} {}: {} {}, unknown: {} {}",
                    url(known),
                    one.status,
                    one.body,
                    other.status,
                    other.body
                )
            });
        }
    }
    for (table, (id, before)) in &foreign {
        let entity = stage.registry.entity(table).unwrap();
        let after = kept(&stage, entity, *id).await;
        broken.demand(after == *before, || format!("{table}: a foreign row was changed"));
    }
    println!("foreign ids: {operations} operations, {calls} calls, {} entities", foreign.len());
    // Every row can be read, changed or acted on by its id.
    assert!(
        2 * foreign.len() <= operations && operations <= calls,
        "too few operations were tried"
    );
    broken.none();
}

/// Ways to read a row or a collection below one that could look further than its plain form.
fn queries(member: &Member, method: &str, parts: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    if method == "GET" && parts == 2 {
        all.extend(member.links.iter().map(|link| format!("?include={}", link.field.name)));
    }
    if method == "GET" && parts == 3 {
        all.push("?count=exact".to_owned());
    }
    all
}

/// Queries of a list that reach beyond its rows, by the feature that they try.
fn list_queries(
    entity: &'static Entity,
    links: &[(String, Uuid, Option<&str>)],
) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("plain", String::new()),
        ("exact count", "?count=exact".to_owned()),
        ("estimated count", "?count=estimate".to_owned()),
        ("deleted rows", "?deleted=with".to_owned()),
        ("words", "?q=name".to_owned()),
        ("tree", "?view=tree".to_owned()),
        ("export", "/export".to_owned()),
    ];
    let choices = entity.fields.iter().filter(|field| matches!(field.kind, Kind::Choice(_)));
    all.extend(choices.map(|field| ("groups", format!("?group={}&aggregate=count", field.name))));
    for (field, id, there) in links {
        all.push(("filter by link", format!("?filter[{field}]={id}")));
        all.push(("filter by links", format!("?filter[{field}][in]={id}")));
        let tree = json!({"not": {field.as_str(): {"ne": id}}});
        all.push(("nested filter", format!("?where={}", escaped(&tree.to_string()))));
        all.push(("linked rows", format!("?include={field}")));
        all.push(("groups by link", format!("?group={field}&aggregate=count")));
        all.push(("rows of groups", format!("?group={field}&aggregate=count&per_group=5")));
        if let Some(there) = there {
            let query = format!("?filter[{field}.{there}][null]=false");
            all.push(("filter through a link", query));
        }
    }
    all
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[tokio::test]
async fn nothing_that_another_organization_has_shows() {
    let stage = stage().await;
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    let mut answered: BTreeMap<&'static str, usize> = BTreeMap::new();
    for member in tenant_members(&stage).into_iter().filter(|m| m.entity.operations.read) {
        stage.plant(&stage.ours, member.entity).await;
        let mut links = Vec::new();
        for link in member.links.iter().filter(|link| link.target.scope == Scope::Tenant) {
            let target = stage.plant(&stage.theirs, link.target).await;
            let shown = link.target.fields.iter().find(|field| !field.secret);
            links.push((link.field.name.to_owned(), target, shown.map(|field| field.name)));
        }
        let queries = list_queries(member.entity, &links);
        let mut before = Vec::new();
        for (_, query) in &queries {
            before.push(client.get(&format!("/api/v1/{}{query}", member.route)).await.unwrap());
        }
        let mut foreign = BTreeSet::new();
        for _ in 0..2 {
            foreign.insert(stage.plant(&stage.theirs, member.entity).await.to_string());
        }
        for ((feature, query), before) in queries.iter().zip(before) {
            let path = format!("/api/v1/{}{query}", member.route);
            let after = client.get(&path).await.unwrap();
            let text = after.body.to_string();
            let told = foreign.iter().any(|id| text.contains(id));
            broken.demand(!told, || format!("GET {path} shows a foreign row: {text}"));
            broken.demand(told_apart(&before) == told_apart(&after), || {
                format!("GET {path} changed: {} {}", before.body, after.body)
            });
            broken.demand(after.status < 500, || format!("GET {path}: {}", after.status));
            *answered.entry(feature).or_default() += usize::from(after.status == 200);
        }
    }
    println!("foreign rows and lists, answers by feature: {answered:?}");
    for (feature, answers) in &answered {
        broken.demand(0 < *answers, || format!("{feature}: no list answered"));
    }
    broken.none();
}

/// Everything of an answer but what every answer has of its own.
fn told_apart(reply: &Reply) -> (u16, Value) {
    let mut body = reply.body.clone();
    if let Some(problem) = body.as_object_mut() {
        problem.remove("request_id");
    }
    (reply.status, body)
}

/// Bulk, upsert and restore name rows in their bodies.
#[tokio::test]
async fn a_foreign_row_cannot_be_named_in_a_body() {
    let stage = stage().await;
    let client = stage.client(&stage.ours);
    let paths: BTreeSet<String> = described(&stage)
        .await
        .into_iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let mut broken = Broken::default();
    let (mut bulks, mut upserts) = (0, 0);
    for member in tenant_members(&stage) {
        let entity = member.entity;
        let foreign = stage.plant(&stage.theirs, entity).await;
        let before = kept(&stage, entity, foreign).await;
        if paths.contains(&format!("POST /{}/bulk", member.route)) {
            let path = format!("/api/v1/{}/bulk", member.route);
            for operation in bulk_operations(entity) {
                let named = |id: Uuid| {
                    let mut operation = operation.clone();
                    operation.insert("id".to_owned(), json!(id));
                    json!({"mode": "each", "operations": [operation]})
                };
                let one = client.post(&path, &named(foreign)).await.unwrap();
                let other = client.post(&path, &named(Uuid::max())).await.unwrap();
                bulks += 1;
                broken.demand(
                    shape(&one) == shape(&other) && results(&one) == results(&other),
                    || {
                        format!(
                            "POST {path} {operation:?}: {} {}, unknown {} {}",
                            one.status, one.body, other.status, other.body
                        )
                    },
                );
            }
        }
        if paths.contains(&format!("PUT /{}", member.route)) {
            // The foreign row's own key, as far as a caller may write it, in a row of ours.
            let mut body = stage.body(&stage.ours, entity).await;
            let keys = entity.natural_key().map(|unique| unique.fields).unwrap_or_default();
            let is_link = |key: &str| member.links.iter().any(|link| link.field.name == key);
            for &key in keys.iter().filter(|key| !is_link(key)) {
                if let Some(value) = body.get_mut(key).filter(|value| value.is_string()) {
                    *value = before[key].clone();
                }
            }
            let path = format!("/api/v1/{}", member.route);
            let reply = client.send("PUT", &path, Some(&Value::Object(body))).await.unwrap();
            upserts += 1;
            broken.demand(reply.status != 200 && reply.status < 500, || {
                format!("PUT {path} with a foreign key: {} {}", reply.status, reply.body)
            });
        }
        let after = kept(&stage, entity, foreign).await;
        broken.demand(before == after, || format!("{}: a foreign row was changed", entity.name));
    }
    println!("foreign rows in bodies: {bulks} bulk operations, {upserts} upserts");
    assert!(50 <= bulks && 5 <= upserts, "too few bodies were tried");
    broken.none();
}

fn bulk_operations(entity: &Entity) -> Vec<Map<String, Value>> {
    let operation = |value: Value| value.as_object().cloned().unwrap_or_default();
    let mut all = vec![
        operation(json!({"op": "update", "data": {}})),
        operation(json!({"op": "update", "data": {}, "version": 1})),
        operation(json!({"op": "delete"})),
        operation(json!({"op": "restore"})),
    ];
    let moves = entity.flow.into_iter().flat_map(|flow| flow.moves);
    all.extend(
        moves.map(|one| operation(json!({"op": "action", "action": one.action, "input": {}}))),
    );
    all
}

/// Status and code of each result of a bulk call.
fn results(reply: &Reply) -> Vec<(Value, Value)> {
    let results = reply.body["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().map(|one| (one["status"].clone(), one["error"]["code"].clone())).collect()
}
