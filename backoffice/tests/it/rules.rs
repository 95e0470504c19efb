//! Rules that hold for every entity, told once: who may call, what a foreign tenant sees, what links
//! accept, how lists and patches behave, what the API reference shows. They walk the registry, so a
//! new entity is covered the moment it is registered.

use std::collections::BTreeSet;

use kernel::entity::{Access, Entity, Field, Kind, Scope};
use kernel::testkit::{Client, Reply};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::stage::{Broken, Call, Stage, is_writable};

/// All rules, in the order of what they stand on.
pub(crate) async fn all(stage: &Stage) {
    rows_can_be_created(stage).await;
    nobody_calls_without_a_token(stage).await;
    a_missing_grant_is_403(stage).await;
    a_foreign_row_is_404(stage).await;
    a_foreign_row_cannot_be_linked_to(stage).await;
    pages_are_stable(stage).await;
    a_patch_keeps_absent_fields(stage).await;
    secrets_never_leave(stage).await;
    unknown_fields_are_refused(stage).await;
    the_reference_is_complete(stage).await;
}

/// What the descriptor requires is enough to create a row, and the row reads as it was written.
pub(crate) async fn rows_can_be_created(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served() {
        let entity = member.entity;
        // An action that stands in for create has rules of its own.
        let generic = stage.calls(member).iter().any(|c| c.generic && c.right == "create");
        if !generic {
            continue;
        }
        let body = stage.body(&stage.ours, entity).await;
        let path = format!("/api/v1/{}", member.route);
        let reply = client.post(&path, &Value::Object(body.clone())).await.unwrap();
        broken.demand(reply.status == 201, || format!("POST {path}: {}", told(&reply)));
        let Some(id) = reply.body["id"].as_str() else { continue };
        if entity.operations.read {
            let read = client.get(&format!("{path}/{id}")).await.unwrap();
            for (name, value) in &body {
                broken.demand(same(&read.body[name], value), || {
                    format!("{path}: {name} was {value} and reads {}", read.body[name])
                });
            }
        }
    }
    broken.none();
}

pub(crate) async fn nobody_calls_without_a_token(stage: &Stage) {
    let strangers = [
        ("no token", stage.server.client.clone()),
        ("a made-up token", stage.server.client.with_bearer("atlvs_made-up")),
        ("a made-up session", stage.server.client.with_bearer("sess_made-up")),
    ];
    let mut broken = Broken::default();
    for member in stage.served() {
        let id = Uuid::max();
        for call in stage.calls(member) {
            for (who, client) in &strangers {
                let reply = call_it(client, &call, id, &json!({})).await;
                let problem = reply.header("content-type") == Some("application/problem+json");
                broken.demand(
                    reply.status == 401 && reply.code() == "unauthenticated" && problem,
                    || format!("{who}: {} {}: {}", call.method, call.path(id), told(&reply)),
                );
            }
        }
    }
    broken.none();
}

pub(crate) async fn a_missing_grant_is_403(stage: &Stage) {
    // Two tokens, each with one grant that the other lacks, so that every entity meets one without.
    let mut grants: Vec<&str> = stage.served().iter().map(|member| member.entity.grant).collect();
    grants.dedup();
    let pair: Vec<&str> = grants.iter().copied().take(2).collect();
    let mut clients = Vec::new();
    for grant in pair {
        let scope = json!([{ "grant": grant, "rights": ["*"], "scope": "all" }]);
        let token = stage.ours.issue(scope).await.unwrap();
        clients.push((grant, stage.server.client.with_bearer(token.expose())));
    }
    let mut broken = Broken::default();
    for member in stage.served() {
        let (_, client) = clients.iter().find(|(grant, _)| *grant != member.entity.grant).unwrap();
        let id = stage.plant(&stage.ours, member.entity).await;
        for call in stage.calls(member) {
            let input = stage.input(&stage.ours, call.input).await;
            let reply = call_it(client, &call, id, &input).await;
            broken.demand(reply.status == 403 && reply.code() == "forbidden", || {
                format!("{} {}: {}", call.method, call.path(id), told(&reply))
            });
        }
        // One right is not another: who may read may not write.
        let read = json!([{ "grant": member.entity.grant, "rights": ["read"], "scope": "all" }]);
        let token = stage.ours.issue(read).await.unwrap();
        let reader = stage.server.client.with_bearer(token.expose());
        for call in stage.calls(member).iter().filter(|call| call.right != "read") {
            let input = stage.input(&stage.ours, call.input).await;
            let reply = call_it(&reader, call, id, &input).await;
            broken.demand(reply.status == 403, || {
                format!("a reader: {} {}: {}", call.method, call.path(id), told(&reply))
            });
        }
    }
    broken.none();
}

/// Another organization's row is answered exactly as one that never was.
pub(crate) async fn a_foreign_row_is_404(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served().iter().filter(|m| m.entity.scope == Scope::Tenant) {
        let foreign = stage.plant(&stage.theirs, member.entity).await;
        for call in stage.calls(member) {
            let input = stage.input(&stage.ours, call.input).await;
            if call.is_on_row() {
                let known = call_it(&client, &call, foreign, &input).await;
                let unknown = call_it(&client, &call, Uuid::max(), &input).await;
                broken.demand(known.status == 404 && shape(&known) == shape(&unknown), || {
                    format!(
                        "{} {}: foreign {}, unknown {}",
                        call.method,
                        call.path(foreign),
                        told(&known),
                        told(&unknown)
                    )
                });
            } else if call.method == "GET" {
                let list = client.get(&format!("{}?limit=200", call.path(foreign))).await.unwrap();
                broken.demand(!ids(&list).contains(&foreign), || {
                    format!("GET {} shows a foreign row", call.path(foreign))
                });
            }
        }
    }
    broken.none();
}

/// Through every link: a foreign row's id is refused in the words for an unknown one.
pub(crate) async fn a_foreign_row_cannot_be_linked_to(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served() {
        let entity = member.entity;
        for link in member.links.iter().filter(|link| link.target.scope == Scope::Tenant) {
            let field = link.field;
            let foreign = stage.plant(&stage.theirs, link.target).await;
            for call in stage.calls(member) {
                let creates = call.generic && call.right == "create" && is_writable(field);
                let patches =
                    call.generic && call.right == "update" && field.access == Access::Writable;
                if !creates && !patches {
                    continue;
                }
                let mut body =
                    if creates { stage.body(&stage.ours, entity).await } else { Map::new() };
                let id = stage.plant(&stage.ours, entity).await;
                let mut try_with = async |target: Uuid| {
                    body.insert(field.name.to_owned(), json!(target));
                    call_it(&client, &call, id, &Value::Object(body.clone())).await
                };
                let (known, unknown) = (try_with(foreign).await, try_with(Uuid::max()).await);
                let holds = known.code() == "unknown_reference"
                    && known.fields() == [field.name]
                    && shape(&known) == shape(&unknown);
                broken.demand(holds, || {
                    format!(
                        "{} {} with {}: foreign {}, unknown {}",
                        call.method,
                        call.path(id),
                        field.name,
                        told(&known),
                        told(&unknown)
                    )
                });
            }
        }
        for call in stage.calls(member) {
            action_links(stage, &client, entity, &call, &mut broken).await;
        }
    }
    broken.none();
}

/// The same for links in the input of actions.
async fn action_links(
    stage: &Stage,
    client: &Client,
    entity: &'static Entity,
    call: &Call,
    broken: &mut Broken,
) {
    if call.generic {
        return;
    }
    for field in call.input {
        let Kind::Link { to, .. } = field.kind else { continue };
        let target = stage.registry.qualified(to).unwrap();
        if target.scope != Scope::Tenant {
            continue;
        }
        let foreign = stage.plant(&stage.theirs, target).await;
        let id = stage.plant(&stage.ours, entity).await;
        let mut body = stage.input(&stage.ours, call.input).await;
        body[field.name] = json!(foreign);
        let known = call_it(client, call, id, &body).await;
        body[field.name] = json!(Uuid::max());
        let unknown = call_it(client, call, id, &body).await;
        broken.demand(400 <= known.status && shape(&known) == shape(&unknown), || {
            format!(
                "POST {} with {}: foreign {}, unknown {}",
                call.path(id),
                field.name,
                told(&known),
                told(&unknown)
            )
        });
    }
}

/// Pages of a list together show every row once, whatever is added meanwhile.
pub(crate) async fn pages_are_stable(stage: &Stage) {
    const ROWS: usize = 7;
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served().iter().filter(|member| member.entity.operations.read) {
        let mut planter = stage.planter(&stage.ours);
        let mut planted = BTreeSet::new();
        for _ in 0..ROWS {
            planted.insert(planter.row(member.entity).await.unwrap());
        }
        for order in ["created_at", "-created_at", "id"] {
            let path = format!("/api/v1/{}?limit=3&sort={order}", member.route);
            let mut seen = Vec::new();
            let mut next = String::new();
            // More pages than this would mean that the cursor stands still.
            for _ in 0..200 {
                let reply = client.get(&format!("{path}{next}")).await.unwrap();
                broken
                    .demand(reply.status == 200, || format!("GET {path}{next}: {}", told(&reply)));
                seen.extend(ids(&reply));
                planter.row(member.entity).await.unwrap();
                match reply.body["page"]["next"].as_str() {
                    Some(cursor) => next = format!("&cursor={cursor}"),
                    None => break,
                }
                // Ascending, the rows added here would go on for ever.
                if planted.iter().all(|id| seen.contains(id)) {
                    break;
                }
            }
            let distinct: BTreeSet<Uuid> = seen.iter().copied().collect();
            broken.demand(distinct.len() == seen.len(), || format!("{path}: a row came twice"));
            broken.demand(planted.is_subset(&distinct), || format!("{path}: a row is missing"));
        }
    }
    broken.none();
}

pub(crate) async fn a_patch_keeps_absent_fields(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served().iter().filter(|m| m.entity.operations.patch) {
        let entity = member.entity;
        let id = stage.plant(&stage.ours, entity).await;
        let path = format!("/api/v1/{}/{id}", member.route);
        // Nothing at all is a patch too.
        let reply = client.patch(&path, &json!({})).await.unwrap();
        broken.demand(reply.status == 200, || format!("PATCH {path} {{}}: {}", told(&reply)));
        let simple = |field: &&Field| {
            field.access == Access::Writable
                && matches!(field.kind, Kind::Text { .. } | Kind::Bool | Kind::Json)
        };
        for field in entity.fields.iter().filter(simple) {
            let before = client.get(&path).await.unwrap();
            let value = kernel::testkit::value(field, 987, 3);
            let reply = client.patch(&path, &json!({ field.name: value })).await.unwrap();
            let after = client.get(&path).await.unwrap();
            let free = |name: &str| {
                let computed = |own: &Field| matches!(own.access, Access::Computed(_));
                matches!(name, "version" | "updated_at") || entity.field(name).is_some_and(computed)
            };
            for (name, old) in before.body.as_object().into_iter().flatten() {
                let kept = *old == after.body[name] || name == field.name || free(name);
                broken.demand(kept, || format!("PATCH {path} {{{}}} changed {name}", field.name));
            }
            if reply.status != 200 {
                // A rule of the entity's own refused this value; then nothing changed at all.
                let untouched = before.body == after.body && reply.status < 500;
                broken.demand(untouched, || format!("PATCH {path}: {}", told(&reply)));
                continue;
            }
            broken.demand(same(&after.body[field.name], &value), || {
                format!("PATCH {path}: {} reads {}", field.name, after.body[field.name])
            });
        }
    }
    broken.none();
}

pub(crate) async fn secrets_never_leave(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served().iter().filter(|m| m.entity.operations.read) {
        let secrets = || member.entity.fields.iter().filter(|field| field.secret);
        if secrets().next().is_none() {
            continue;
        }
        let id = stage.plant(&stage.ours, member.entity).await;
        let one = client.get(&format!("/api/v1/{}/{id}", member.route)).await.unwrap();
        let list = client.get(&format!("/api/v1/{}", member.route)).await.unwrap();
        for field in secrets() {
            let rows = list.body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            for row in rows.iter().chain([&one.body]) {
                broken.demand(row["id"].is_string() && row.get(field.name).is_none(), || {
                    format!("{} shows {}", member.route, field.name)
                });
            }
            let filter = format!("/api/v1/{}?filter[{}]=x", member.route, field.name);
            let reply = client.get(&filter).await.unwrap();
            broken.demand(matches!(reply.status, 400 | 403), || {
                format!("GET {filter}: {}", told(&reply))
            });
        }
    }
    broken.none();
}

pub(crate) async fn unknown_fields_are_refused(stage: &Stage) {
    let client = stage.client(&stage.ours);
    let mut broken = Broken::default();
    for member in stage.served() {
        let id = stage.plant(&stage.ours, member.entity).await;
        for call in stage.calls(member).iter().filter(|c| matches!(c.method, "POST" | "PATCH")) {
            let body = json!({ "no_such_field": 1 });
            let reply = call_it(&client, call, id, &body).await;
            broken.demand(reply.fields().contains(&"no_such_field"), || {
                format!("{} {}: {}", call.method, call.path(id), told(&reply))
            });
            let reply = call_it(&client, call, id, &json!([1])).await;
            broken.demand((400..500).contains(&reply.status), || {
                format!("{} {} with a list: {}", call.method, call.path(id), told(&reply))
            });
        }
    }
    broken.none();
}

/// `/openapi.json` names every call, and every field that a row shows.
pub(crate) async fn the_reference_is_complete(stage: &Stage) {
    let reply = stage.server.client.get("/openapi.json").await.unwrap();
    assert_eq!(reply.status, 200);
    let document = &reply.body;
    let mut broken = Broken::default();
    broken.demand(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")),
        || format!("openapi is {}", document["openapi"]),
    );
    for member in stage.served() {
        for call in stage.calls(member) {
            let operation = &document["paths"][call.template()][call.method.to_lowercase()];
            broken.demand(operation["responses"].is_object(), || {
                format!("{} {} is not in the reference", call.method, call.template())
            });
        }
        let text = document["components"]["schemas"].to_string();
        for field in member.entity.fields {
            let told = text.contains(&format!("\"{}\"", field.name));
            broken.demand(told || field.secret, || {
                format!("{}.{} is in no schema of the reference", member.qualified, field.name)
            });
        }
    }
    broken.none();
}

async fn call_it(client: &Client, call: &Call, id: Uuid, body: &Value) -> Reply {
    let body = matches!(call.method, "POST" | "PATCH").then_some(body);
    client.send(call.method, &call.path(id), body).await.unwrap()
}

/// What a caller can tell two answers apart by; texts and request ids aside.
fn shape(reply: &Reply) -> (u16, String, Vec<String>) {
    let fields = reply.fields().iter().map(|&field| field.to_owned()).collect();
    (reply.status, reply.code().to_owned(), fields)
}

fn told(reply: &Reply) -> String {
    format!("{} {}", reply.status, reply.body)
}

fn ids(reply: &Reply) -> Vec<Uuid> {
    let rows = reply.body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| row["id"].as_str()?.parse().ok()).collect()
}

/// Equal up to the writing of numbers and instants.
fn same(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::String(read), Value::String(written)) => {
            let number = |text: &str| text.parse::<f64>().ok();
            let instant =
                |text: &str| text.trim_end_matches('Z').trim_end_matches(".000000").to_owned();
            read == written
                || (number(read).is_some() && number(read) == number(written))
                || instant(read) == instant(written)
        }
        (Value::Object(read), Value::Object(written)) => {
            written.iter().all(|(key, value)| read.get(key).is_some_and(|own| same(own, value)))
        }
        _ => read == written,
    }
}
