//! Foreign rows named in passing: by a cursor, a branch of a tree, a saved view, an actor, a custom
//! field, the key of a repeated request, the organization's own id. What is another organization's is
//! answered as what never was.

use std::collections::BTreeSet;

use kernel::entity::{Kind, Scope};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Probes, escaped, shape, stage, tenant_members, told_apart};
use crate::stage::Broken;

/// A cursor carries values of the row that it stands at.
#[tokio::test]
async fn a_foreign_cursor_shows_nothing() {
    let stage = stage().await;
    let (ours, theirs) = (stage.client(&stage.ours), stage.client(&stage.theirs));
    let mut broken = Broken::default();
    let mut probes = Probes::default();
    for member in tenant_members(&stage).into_iter().filter(|m| m.entity.operations.read) {
        let mut planter = stage.planter(&stage.theirs);
        let mut foreign = BTreeSet::new();
        for _ in 0..2 {
            // An entity of which an organization has one is there after the first.
            if let Ok(id) = planter.row(member.entity).await {
                foreign.insert(id.to_string());
            }
        }
        let own = stage.plant(&stage.ours, member.entity).await;
        let fields = member.entity.fields.iter().filter(|field| !field.secret);
        let fields = fields.map(|field| format!("&sort={}", field.name));
        for order in std::iter::once(String::new()).chain(fields) {
            let path = format!("/api/v1/{}?limit=1{order}", member.route);
            let page = theirs.get(&path).await.unwrap().body;
            let Some(cursor) = page["page"]["next"].as_str() else { continue };
            let reply = ours.get(&format!("{path}&cursor={cursor}")).await.unwrap();
            let text = reply.body.to_string();
            probes.count("cursor");
            let told = foreign.iter().any(|id| text.contains(id));
            broken.demand(!told && matches!(reply.status, 200 | 400), || {
                format!("GET {path} with a foreign cursor: {} {text}", reply.status)
            });
        }
        // A branch begins at a row, as far as there is one.
        let above = member.links.iter().any(|link| link.target.name == member.entity.name);
        for root in foreign.iter().filter(|_| above) {
            let path = |id: &str| format!("/api/v1/{}?view=tree&root={id}", member.route);
            let known = ours.get(&path(root)).await.unwrap();
            let unknown = ours.get(&path(&Uuid::max().to_string())).await.unwrap();
            let mine = ours.get(&path(&own.to_string())).await.unwrap();
            // A maker or a successor is a link to the same table, too, and no tree.
            if mine.status == 200 {
                probes.count("branch");
            }
            let holds = told_apart(&known) == told_apart(&unknown);
            broken.demand(holds, || format!("{}: {} {}", path(root), known.body, unknown.body));
        }
    }
    probes.tell(&[("cursor", 60), ("branch", 2)]);
    broken.none();
}

#[tokio::test]
async fn what_an_organization_defines_is_its_own() {
    let stage = stage().await;
    let (ours, theirs) = (stage.client(&stage.ours), stage.client(&stage.theirs));
    let mut broken = Broken::default();
    let mut probes = Probes::default();
    let custom = tenant_members(&stage).into_iter().filter(|member| {
        kernel::ddl::has_custom_fields(member.entity) && member.entity.operations.read
    });
    for member in custom {
        let table = member.entity.name;
        let field = json!({"entity": table, "key": "their_word", "label": "Word", "kind": "text"});
        let made = theirs.post("/api/v1/custom-fields", &field).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.body);
        stage.plant(&stage.ours, member.entity).await;
        let base = format!("/api/v1/{}", member.route);
        for query in [
            "?filter[custom.KEY]=x",
            "?filter[custom.KEY][null]=true",
            "?sort=custom.KEY",
            "?group=custom.KEY&aggregate=count",
            "?fields=custom.KEY",
        ] {
            let asked = async |key: &str| {
                ours.get(&format!("{base}{}", query.replace("KEY", key))).await.unwrap()
            };
            let (known, unknown) = (asked("their_word").await, asked("none_word").await);
            probes.count("custom field in a list");
            broken.demand(known.status == 400 && known.status == unknown.status, || {
                format!("GET {base}{query}: {} {}", known.body, unknown.body)
            });
        }
        let meta = ours.get(&format!("/api/v1/meta/{}", member.route)).await.unwrap().body;
        broken.demand(!meta.to_string().contains("their_word"), || format!("meta: {meta}"));
        let (status, file) = ours.file("GET", &format!("{base}/export"), None).await.unwrap();
        probes.count("custom field in a file");
        broken.demand(status == 200 && !file.contains("their_word"), || file);
        if member.entity.operations.create {
            let mut bodies = Vec::new();
            for key in ["their_word", "none_word"] {
                let mut body = stage.body(&stage.ours, member.entity).await;
                body.insert("custom".to_owned(), json!({ key: "x" }));
                let reply = ours.post(&base, &Value::Object(body)).await.unwrap();
                bodies.push((reply.status, reply.code().to_owned()));
            }
            probes.count("custom field in a body");
            broken.demand(bodies[0] == bodies[1] && 400 <= bodies[0].0, || {
                format!("POST {base}: {bodies:?}")
            });
        }
        let query = json!({"sort": "-created_at"});
        let body = json!({"entity": member.route, "name": "Theirs", "query": query});
        let made = theirs.post("/api/v1/saved-views", &body).await.unwrap();
        assert_eq!(made.status, 201, "{body}: {}", made.body);
        let id = made.body["id"].as_str().unwrap();
        let share = json!({"visibility": "shared"});
        let shared = theirs.post(&format!("/api/v1/saved-views/{id}/share"), &share).await.unwrap();
        assert_eq!(shared.status, 200, "{}", shared.body);
        let with = async |id: &str| ours.get(&format!("{base}?saved_view={id}")).await.unwrap();
        let (known, unknown) = (with(id).await, with(&Uuid::max().to_string()).await);
        probes.count("saved view");
        let same = shape(&known) == shape(&unknown) && 400 <= known.status;
        broken.demand(same, || format!("{base} by a foreign view: {}", known.body));
    }
    probes.tell(&[
        ("custom field in a list", 50),
        ("custom field in a file", 10),
        ("custom field in a body", 8),
        ("saved view", 10),
    ]);
    broken.none();
}

/// The feed, as a whole and by everything that it can be asked by.
#[tokio::test]
async fn activity_is_ones_own() {
    let stage = stage().await;
    let (ours, theirs) = (stage.client(&stage.ours), stage.client(&stage.theirs));
    let mut broken = Broken::default();
    let mut probes = Probes::default();
    let mut foreign = BTreeSet::new();
    for member in tenant_members(&stage).into_iter().filter(|m| m.entity.operations.patch) {
        let id = stage.plant(&stage.theirs, member.entity).await;
        let path = format!("/api/v1/{}/{id}", member.route);
        let reply = theirs.patch(&path, &json!({})).await.unwrap();
        assert_eq!(reply.status, 200, "PATCH {path}: {}", reply.body);
        foreign.insert(id.to_string());
        let feed = ours.get(&format!("/api/v1/activity?entity={}", member.route)).await.unwrap();
        probes.count("activity of an entity");
        let text = feed.body.to_string();
        broken.demand(feed.status == 200 && !foreign.iter().any(|id| text.contains(id)), || text);
    }
    let own = stage.plant(&stage.ours, stage.registry.entity("parties").unwrap()).await;
    ours.patch(&format!("/api/v1/parties/{own}"), &json!({"notes": "seen"})).await.unwrap();
    let whole = ours.get("/api/v1/activity?limit=200").await.unwrap().body.to_string();
    broken.demand(whole.contains(&own.to_string()), || format!("not even ours: {whole}"));
    broken.demand(!foreign.iter().any(|id| whole.contains(id)), || whole.clone());
    let theirs = theirs.get("/api/v1/activity?limit=200").await.unwrap().body.to_string();
    broken.demand(foreign.iter().any(|id| theirs.contains(id)), || format!("theirs: {theirs}"));
    let by = async |id: Uuid| ours.get(&format!("/api/v1/activity?actor={id}")).await.unwrap();
    let (known, unknown) = (by(stage.theirs.owner).await, by(Uuid::max()).await);
    probes.count("activity of a person");
    broken.demand(told_apart(&known) == told_apart(&unknown), || known.body.to_string());
    probes.tell(&[("activity of an entity", 10), ("activity of a person", 1)]);
    broken.none();
}

/// The key of a repeated request belongs to its caller; an organization's id opens nothing.
#[tokio::test]
async fn nothing_foreign_is_repeated_or_entered() {
    let stage = stage().await;
    let (ours, theirs) = (stage.client(&stage.ours), stage.client(&stage.theirs));
    let mut broken = Broken::default();
    let mut probes = Probes::default();
    for member in tenant_members(&stage) {
        let base = format!("/api/v1/{}", member.route);
        if member.entity.operations.read {
            let with = async |id: Uuid| {
                let headers = [("x-organization", &*id.to_string())];
                ours.send_with("GET", &base, &headers, None).await.unwrap()
            };
            let (known, unknown) = (with(stage.theirs.id).await, with(Uuid::max()).await);
            probes.count("organization");
            let holds = shape(&known) == shape(&unknown) && known.status == 403;
            broken.demand(holds, || format!("{base}: {}", known.body));
        }
        let creates = stage.calls(member).iter().any(|call| call.generic && call.right == "create");
        let simple = member
            .links
            .iter()
            .all(|link| link.target.scope != Scope::Tenant || !link.field.required);
        if !creates || !simple {
            continue;
        }
        let body = Value::Object(stage.body(&stage.theirs, member.entity).await);
        let key = Uuid::new_v4().to_string();
        let headers = [("idempotency-key", key.as_str())];
        let first = theirs.send_with("POST", &base, &headers, Some(&body)).await.unwrap();
        let second = ours.send_with("POST", &base, &headers, Some(&body)).await.unwrap();
        let Some(id) = first.body["id"].as_str() else { continue };
        probes.count("repeated request");
        let told = second.body.to_string().contains(id);
        broken.demand(!told && second.status < 500, || {
            format!("POST {base} with a foreign key: {}", second.body)
        });
    }
    probes.tell(&[("organization", 20), ("repeated request", 5)]);
    broken.none();
}

/// What a foreign row says finds nothing: its texts are searched and filtered for.
#[tokio::test]
async fn foreign_words_find_nothing() {
    let stage = stage().await;
    let (ours, theirs) = (stage.client(&stage.ours), stage.client(&stage.theirs));
    let mut broken = Broken::default();
    let mut probes = Probes::default();
    for member in tenant_members(&stage).into_iter().filter(|m| m.entity.operations.read) {
        let id = stage.plant(&stage.theirs, member.entity).await;
        let base = format!("/api/v1/{}", member.route);
        let row = theirs.get(&format!("{base}/{id}")).await.unwrap().body;
        let shown = |field: &&kernel::entity::Field| {
            !field.secret && matches!(field.kind, Kind::Text { .. } | Kind::Slug | Kind::Email)
        };
        for field in member.entity.fields.iter().filter(shown) {
            let Some(text) = row[field.name].as_str() else { continue };
            let filter = format!("?filter[{}]={}", field.name, escaped(text));
            let tree = json!({"or": [{field.name: {"starts": text}}, {"id": id}]});
            let tree = format!("?where={}", escaped(&tree.to_string()));
            let mut queries = vec![("filter", filter), ("where", tree)];
            if field.search.is_some() {
                queries.push(("words", format!("?q={}", escaped(text))));
            }
            for (kind, query) in queries {
                let there = theirs.get(&format!("{base}{query}")).await.unwrap().body.to_string();
                let here = ours.get(&format!("{base}{query}")).await.unwrap();
                let here_text = here.body.to_string();
                // What does not even find its own row has tried nothing.
                if there.contains(&id.to_string()) {
                    probes.count(kind);
                }
                let told = here_text.contains(&id.to_string());
                broken.demand(!told && here.status < 500, || format!("{base}{query}: {here_text}"));
            }
        }
    }
    probes.tell(&[("filter", 30), ("where", 30), ("words", 5)]);
    broken.none();
}
