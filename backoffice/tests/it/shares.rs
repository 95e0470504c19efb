//! What descriptors share out beside grants: rows to people from outside, tables to plans, rows to
//! those whose they are. Walks the registry, so a new line in a descriptor is tried by itself.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use kernel::accounts::operator_set_plan;
use kernel::actor::PortalKind;
use kernel::entity::{Entity, Field, Kind, Plan, Portal, Scope};
use kernel::registry::Member;
use kernel::testkit::{Client, TestOrg, value};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::foreign::{Described, described};
use crate::stage::{Broken, Stage};
use crate::{database, registry};

async fn stage() -> Stage {
    Stage::open(registry(), database().await).await
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn entity(name: &str) -> &'static Entity {
    registry().entity(name).unwrap()
}

/// Characters of a secret behind its prefix.
const SECRET_CHARS: usize = 43;

/// Somebody from outside who is signed in, and the party that they are.
async fn visitor(stage: &Stage, kind: PortalKind) -> (Client, Uuid) {
    let party = stage.plant(&stage.ours, entity("parties")).await;
    let mut planter = stage.planter(&stage.ours);
    let given = object(json!({"kind": kind.name(), "party_id": party}));
    let account = planter.row_with(entity("portal_accounts"), given).await.unwrap();
    let random = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let secret = format!("port_{}", &random[..SECRET_CHARS]);
    let hash = |text: &str| format!("\\x{}", HEXLOWER.encode(&Sha256::digest(text)));
    let given = object(json!({
        "portal_account_id": account, "link_hash": hash(&secret[5..]), "token_hash": hash(&secret),
        "opened_at": "2026-01-01T00:00:00Z", "expires_at": "2100-01-01T00:00:00Z",
    }));
    planter.row_with(entity("portal_sessions"), given).await.unwrap();
    (stage.server.client.with_bearer(&secret), party)
}

#[tokio::test]
async fn portals_show_own_rows_and_named_fields() {
    let stage = stage().await;
    let mut broken = Broken::default();
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in PortalKind::ALL {
        let (client, party) = visitor(&stage, *kind).await;
        for member in stage.served().iter().filter(|one| one.entity.scope == Scope::Tenant) {
            let shown = member.entity.portals.iter().find(|one| one.kind == *kind);
            let Some(portal) = shown else {
                let path = format!("/api/v1/{}", member.route);
                let reply = client.get(&path).await.unwrap();
                let closed = reply.status == 403 || !member.entity.operations.read;
                broken.demand(closed, || format!("{}: GET {path}: {}", kind.name(), reply.body));
                continue;
            };
            *tried.entry(kind.name()).or_default() += 1;
            let visit = Visit { stage: &stage, client: &client, member, portal };
            visit.reads(party, &mut broken).await;
        }
    }
    println!("portals, entities by kind: {tried:?}");
    broken.demand(tried.len() == PortalKind::ALL.len(), || format!("portals: {tried:?}"));
    broken.none();
}

struct Visit<'a> {
    stage: &'a Stage,
    client: &'a Client,
    member: &'static Member,
    portal: &'static Portal,
}

impl Visit<'_> {
    async fn reads(&self, party: Uuid, broken: &mut Broken) {
        let (stage, entity) = (self.stage, self.member.entity);
        let own = stage.plant(&stage.ours, entity).await;
        let other = stage.plant(&stage.ours, entity).await;
        let foreign = stage.plant(&stage.theirs, entity).await;
        let sql = format!("update {} set {} = $1 where id = $2", entity.name, self.portal.field);
        assert_eq!(stage.admin.execute(&sql, &[&party, &own]).await.unwrap(), 1);
        let base = format!("/api/v1/{}", self.member.route);
        let told = |what: &str| format!("{} {base}: {what}", self.portal.kind.name());

        let list = self.client.get(&base).await.unwrap().body;
        let rows = list["data"].as_array().cloned().unwrap_or_default();
        let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
        broken.demand(ids == [own.to_string()], || told(&format!("shows {ids:?}")));
        let named: BTreeSet<&str> =
            self.portal.read.iter().chain(self.portal.write).copied().collect();
        let of_row = |name: &&str| entity.field(name).is_some();
        let seen = rows.first().and_then(Value::as_object).cloned().unwrap_or_default();
        let seen: BTreeSet<&str> = seen.keys().map(String::as_str).filter(of_row).collect();
        broken.demand(seen == named, || told(&format!("shows the fields {seen:?}")));
        for (id, status) in [(own, 200), (other, 404), (foreign, 404)] {
            let reply = self.client.get(&format!("{base}/{id}")).await.unwrap();
            broken.demand(reply.status == status, || told(&format!("{id}: {}", reply.body)));
        }
        // Whatever a list is asked, it shows no other row and never fails.
        let mut queries = vec!["?q=name".to_owned(), "?view=tree".to_owned(), "/export".to_owned()];
        queries.push("?deleted=with".to_owned());
        queries.push("?count=exact&sort=-created_at".to_owned());
        for field in entity.fields.iter().filter(|field| !field.secret) {
            queries.push(format!("?sort={}", field.name));
            queries.push(format!("?group={}&aggregate=count", field.name));
            if let Kind::Link { .. } = field.kind {
                queries.push(format!("?include={}", field.name));
                queries.push(format!("?filter[{}.created_at][gte]=today", field.name));
            }
        }
        for query in queries {
            let reply = self.client.get(&format!("{base}{query}")).await.unwrap();
            let text = reply.body.to_string();
            let alone = ![other, foreign].iter().any(|id| text.contains(&id.to_string()));
            broken.demand(alone && reply.status < 500, || told(&format!("{query}: {text}")));
        }
        self.writes(own, other, broken).await;
    }

    async fn writes(&self, own: Uuid, other: Uuid, broken: &mut Broken) {
        let entity = self.member.entity;
        let base = format!("/api/v1/{}", self.member.route);
        let told = |what: &str| format!("{} {base}: {what}", self.portal.kind.name());
        let path = format!("{base}/{own}");
        for (place, field) in entity.fields.iter().enumerate().filter(|(_, one)| !one.secret) {
            let new = value(field, 77, place);
            let before = self.kept(own).await;
            let body = json!({ field.name: new });
            let reply = self.client.patch(&path, &body).await.unwrap();
            if self.portal.write.contains(&field.name) {
                let holds = reply.status == 200 && reply.body[field.name] == new;
                broken.demand(holds, || told(&format!("PATCH {body}: {}", reply.body)));
                let reply = self.client.patch(&format!("{base}/{other}"), &body).await.unwrap();
                broken.demand(reply.status == 404, || told(&format!("other: {}", reply.body)));
            } else {
                let kept = before == self.kept(own).await;
                broken.demand(reply.status == 403 && kept, || {
                    told(&format!("PATCH {body}: {} {}", reply.status, reply.body))
                });
            }
        }
        let row = Value::Object(self.stage.body(&self.stage.ours, entity).await);
        let bulk = json!({"mode": "all", "operations": [{"op": "delete", "id": own}]});
        let mut refused = vec![
            ("POST", base.clone(), row.clone()),
            ("PUT", base.clone(), row),
            ("POST", format!("{base}/bulk"), bulk),
            ("DELETE", path.clone(), Value::Null),
            ("POST", format!("{path}/restore"), json!({})),
            ("GET", format!("{path}/history"), Value::Null),
        ];
        for call in self.stage.calls(self.member).into_iter().filter(|call| !call.generic) {
            let input = self.stage.input(&self.stage.ours, call.input).await;
            refused.push((call.method, call.path(own), input));
        }
        let before = self.kept(own).await;
        for (method, path, body) in refused {
            let body = Some(&body).filter(|body| !body.is_null());
            let reply = self.client.send(method, &path, body).await.unwrap();
            let code = reply.body["errors"][0]["code"].as_str().unwrap_or_default();
            let forbidden = matches!(code, "forbidden" | "method_not_allowed");
            let closed = matches!(reply.status, 403..=405) || reply.status == 422 && forbidden;
            broken.demand(closed, || told(&format!("{method} {path}: {}", reply.body)));
        }
        broken.demand(before == self.kept(own).await, || told("a refused call changed the row"));
    }

    async fn kept(&self, id: Uuid) -> Value {
        let sql = format!("select to_jsonb(t) from {} t where id = $1", self.member.entity.name);
        self.stage.admin.query_one(&sql, &[&id]).await.unwrap().get(0)
    }
}

/// Every documented way to an entity that the organization's plan does not hold.
#[tokio::test]
async fn a_plan_opens_what_it_holds() {
    let stage = stage().await;
    let small = TestOrg::open(&stage.server.service).await.unwrap();
    let client = stage.client(&small);
    let all = described(&stage).await;
    let mut broken = Broken::default();
    let beyond = |one: &&&'static Member| one.entity.plan != Plan::Core;
    for member in stage.served().iter().filter(beyond) {
        let entity = member.entity;
        let id = stage.plant(&small, entity).await;
        let ways: Vec<&Described> =
            all.iter().filter(|one| one.path.split('/').nth(1) == Some(&member.route)).collect();
        broken.demand(!ways.is_empty(), || format!("{} is nowhere described", entity.name));
        for Described { method, path } in &ways {
            let path = format!("/api/v1{}", path.replace("{id}", &id.to_string()));
            // The form of a bulk is judged first, then each of its operations.
            let (body, refusal) = if path.ends_with("/bulk") {
                (json!({"mode": "all", "operations": [{"op": "delete", "id": id}]}), 422)
            } else {
                (json!({}), 403)
            };
            let reply = client.send(method, &path, Some(&body)).await.unwrap();
            let told = reply.body.to_string().contains("\"plan_required\"");
            broken.demand(reply.status == refusal && told, || {
                format!("{method} {path}: {} {}", reply.status, reply.body)
            });
        }
        operator_set_plan(&stage.server.service, small.id, entity.plan).await.unwrap();
        for Described { method, path } in ways {
            let path = format!("/api/v1{}", path.replace("{id}", &id.to_string()));
            let reply = client.send(method, &path, Some(&json!({}))).await.unwrap();
            broken.demand(reply.code() != "plan_required", || format!("{method} {path}: refused"));
        }
        operator_set_plan(&stage.server.service, small.id, Plan::Core).await.unwrap();
    }
    broken.none();
}

/// The link by which a row is somebody's, and the entity that has it: its own, or that of a row above.
fn hands(entity: &'static Entity) -> Option<(Vec<&'static str>, &'static Entity, &'static str)> {
    let leads =
        |field: &&'static Field| matches!(field.kind, Kind::Link { to: "accounts.users", .. });
    let mut chain = Vec::new();
    let mut at = entity;
    loop {
        let owner = at.owner.or_else(|| at.fields.iter().find(leads).map(|field| field.name));
        if let Some(owner) = owner {
            return Some((chain, at, owner));
        }
        let within = at.within?;
        chain.push(within);
        at = registry().target(at, within)?;
    }
}

/// Of what somebody does not own, the scope `own` shows nothing; of what they do, everything below.
#[tokio::test]
async fn a_row_is_in_the_hands_of_what_it_lies_within() {
    let stage = stage().await;
    let mut broken = Broken::default();
    let mut tried = 0;
    for member in stage.served() {
        let entity = member.entity;
        let found = hands(entity).filter(|_| entity.operations.read && entity.within.is_some());
        let Some((chain, top, owner)) = found else { continue };
        let own = json!([{"grant": entity.grant, "rights": ["read"], "scope": "own"}]);
        let token = stage.ours.issue(own).await.unwrap();
        let client = stage.server.client.with_bearer(token.expose());
        let ours = stage.plant(&stage.ours, entity).await;
        let others = stage.plant(&stage.ours, entity).await;
        let (mut id, mut table) = (ours, entity);
        for link in chain {
            let sql = format!("select {link} from {} where id = $1", table.name);
            id = stage.admin.query_one(&sql, &[&id]).await.unwrap().get(0);
            table = registry().target(table, link).unwrap();
        }
        let sql = format!("update {} set {owner} = $1 where id = $2", top.name);
        stage.admin.execute(&sql, &[&stage.ours.owner, &id]).await.unwrap();
        let base = format!("/api/v1/{}", member.route);
        for (id, status) in [(ours, 200), (others, 404)] {
            let reply = client.get(&format!("{base}/{id}")).await.unwrap();
            broken.demand(reply.status == status, || format!("{base}/{id}: {}", reply.body));
        }
        let list = client.get(&format!("{base}?limit=200")).await.unwrap().body.to_string();
        let shown = (list.contains(&ours.to_string()), list.contains(&others.to_string()));
        broken.demand(shown == (true, false), || format!("{base}: {list}"));
        tried += 1;
    }
    println!("rows within others: {tried} entities");
    broken.none();
}

/// A portal is opened for a party that its opener sees: not for one of another organization, nor for
/// one that is not there, nor by who may not read parties.
#[tokio::test]
async fn a_portal_is_opened_for_a_party_that_its_opener_sees() {
    let stage = stage().await;
    let ours = stage.plant(&stage.ours, entity("parties")).await;
    let theirs = stage.plant(&stage.theirs, entity("parties")).await;
    let shown = registry().entities().filter(|entity| !entity.portals.is_empty());
    let lines: Vec<Value> = shown
        .map(|entity| json!({"grant": entity.grant, "rights": ["read", "update"]}))
        .filter(|line| line["grant"] != "identity.parties")
        .chain([json!({"grant": "accounts.portal_accounts", "rights": ["create"]})])
        .collect();
    let blind = stage.ours.issue(Value::Array(lines)).await.unwrap();
    let blind = stage.server.client.with_bearer(blind.expose());
    let client = stage.client(&stage.ours);
    for kind in PortalKind::ALL {
        let open = async |client: &Client, party: Uuid| {
            let email = format!("{}@example.org", Uuid::new_v4().simple());
            let body = json!({"kind": kind.name(), "party_id": party, "email": email});
            client.post("/api/v1/portal-accounts", &body).await.unwrap()
        };
        for party in [theirs, Uuid::new_v4()] {
            let reply = open(&client, party).await;
            let fault = &reply.body["errors"][0];
            assert_eq!(reply.status, 422, "{}: {}", kind.name(), reply.body);
            assert_eq!(
                (&fault["field"], &fault["code"]),
                (&json!("party_id"), &json!("unknown_reference"))
            );
        }
        let reply = open(&blind, ours).await;
        assert!(matches!(reply.status, 403 | 422), "{}: {}", kind.name(), reply.body);
        let reply = open(&client, ours).await;
        assert_eq!(reply.status, 201, "{}: {}", kind.name(), reply.body);
    }
}
