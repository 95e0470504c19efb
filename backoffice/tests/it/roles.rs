//! The twelve role types, at every door: what each one's data says is what the API answers.

use kernel::accounts::{NewMember, NewToken, add_member, issue_token};
use kernel::entity::{Entity, Kind};
use kernel::testkit::{Client, TestOrg};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Broken, Stage};
use crate::{database, registry};

/// Every role of the organization: its key, its lines and a caller who has it.
async fn callers(stage: &Stage, org: &TestOrg) -> Vec<(String, Value, Client)> {
    let roles = stage.client(org).get("/api/v1/roles?limit=200").await.unwrap();
    let mut callers = Vec::new();
    for role in roles.body["data"].as_array().unwrap() {
        let key = role["key"].as_str().unwrap().to_owned();
        let mut cx = org.begin().await.unwrap();
        let ends_at = (key == "auditor").then(|| "2099-01-01T00:00:00Z".parse().unwrap());
        let new = NewMember {
            email: &format!("{}@example.org", Uuid::new_v4().simple()),
            name: None,
            password: None,
            role: role["id"].as_str().unwrap().parse().unwrap(),
            ends_at,
        };
        let (user, _) = add_member(&mut cx, new).await.unwrap();
        let every = ["open", "personal", "confidential"];
        let grants = json!([{"grant": "*", "rights": ["*"], "levels": every}]);
        let new = NewToken { name: key.clone(), grants, expires_at: None };
        let (_, token) = issue_token(&mut cx, user, new).await.unwrap();
        cx.commit().await.unwrap();
        let client = stage.server.client.with_bearer(token.expose());
        callers.push((key, role["grants"].clone(), client));
    }
    callers
}

fn names(list: &Value, name: &str) -> bool {
    list.as_array().unwrap().iter().any(|one| one == name || one == "*")
}

fn speaks_of(line: &Value, grant: &str) -> bool {
    let named = line["grant"].as_str().unwrap();
    named == grant || named.strip_suffix('*').is_some_and(|prefix| grant.starts_with(prefix))
}

/// Whether a row of the entity can be somebody's within the scope.
fn is_somebodys(entity: &Entity, qualified: &str, scope: &str) -> bool {
    let links = |target: &str| {
        qualified == target
            || entity.fields.iter().any(|f| matches!(f.kind, Kind::Link { to, .. } if to == target))
    };
    let (owner, team, unit) =
        (links("accounts.users"), links("accounts.teams"), links("identity.units"));
    match scope {
        "own" => owner,
        "team" => owner || team,
        "unit" => owner || team || unit,
        scope => scope == "all",
    }
}

#[tokio::test]
async fn every_door_opens_as_the_roles_data_says() {
    let stage = Stage::open(registry(), database().await).await;
    let mut broken = Broken::default();
    let callers = callers(&stage, &stage.ours).await;
    assert_eq!(callers.len(), 12);
    let (mut opened, mut closed) = (0, 0);
    for (key, lines, client) in &callers {
        for member in stage.served() {
            for call in stage.calls(member) {
                let grant = member.entity.grant;
                let given = lines.as_array().unwrap().iter().any(|line| {
                    let scope = line["scope"].as_str().unwrap();
                    // What is about no row yet is about every row.
                    let makes = call.right == "create";
                    let fits = if call.generic || makes || call.is_on_row() {
                        is_somebodys(member.entity, &member.qualified, scope)
                    } else {
                        scope == "all"
                    };
                    speaks_of(line, grant) && names(&line["rights"], call.right) && fits
                });
                let path = call.path(Uuid::max());
                let body = (call.method != "GET").then(|| json!({}));
                let reply = client.send(call.method, &path, body.as_ref()).await.unwrap();
                let refused = reply.status == 403 && reply.code() == "forbidden";
                broken.demand(refused != given && reply.status != 401, || {
                    format!("{key}: {} {path}: {} {}", call.method, reply.status, reply.body)
                });
                if given { opened += 1 } else { closed += 1 }
            }
        }
    }
    broken.none();
    assert!(0 < opened && 0 < closed, "{opened} opened, {closed} closed");
}

/// Everybody who works keeps views of lists and uses what others share; who plans, shares; who enters
/// data brings in files. An auditor reads.
#[tokio::test]
async fn each_role_has_the_lists_that_its_work_needs() {
    let stage = Stage::open(registry(), database().await).await;
    let callers = callers(&stage, &stage.ours).await;
    let view = json!({"entity": "events", "name": "Soon", "query": {"sort": "-id"}});
    let mut shared = Vec::new();
    let mut seen = Vec::new();
    for (key, _, client) in &callers {
        let made = client.post("/api/v1/saved-views", &view).await.unwrap();
        let id = made.body["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/api/v1/saved-views/{id}/share");
        let share = match made.status {
            201 => client.post(&path, &json!({"visibility": "shared"})).await.unwrap().status,
            _ => 403,
        };
        shared.extend((share == 200).then_some(id));
        let files = client.get("/api/v1/imports").await.unwrap().status;
        let ask = |status: u16, good: u16| match status {
            _ if status == good => true,
            403 => false,
            _ => panic!("{key}: {status} {}", made.body),
        };
        seen.push((key.as_str(), ask(made.status, 201), ask(share, 200), ask(files, 200)));
    }
    seen.sort_unstable();
    let expected = [
        ("administrator", true, true, true),
        // Whoever reads everything sees what was brought in.
        ("auditor", false, false, true),
        ("box_office", true, false, false),
        ("crew_member", true, false, false),
        ("executive", true, true, true),
        ("finance", true, true, true),
        ("gate_supervisor", true, false, false),
        ("owner", true, true, true),
        ("people", true, true, true),
        ("production", true, true, true),
        ("project", true, true, true),
        ("sales_marketing", true, true, true),
    ];
    assert_eq!(seen, expected);
    for (key, _, client) in &callers {
        let path = format!("/api/v1/events?saved_view={}", shared[0]);
        let list = client.get(&path).await.unwrap();
        assert_eq!(list.status, 200, "{key}: {}", list.body);
    }
}

/// What an auditor sees of people is told; what others see is not.
#[tokio::test]
async fn reads_of_personal_data_by_auditors_are_told() {
    let stage = Stage::open(registry(), database().await).await;
    let owner = stage.client(&stage.ours);
    let callers = callers(&stage, &stage.ours).await;
    let caller = |key: &str| &callers.iter().find(|(own, ..)| own == key).unwrap().2;
    let party = json!({"kind": "person", "name": "Ada Ahlers", "given_name": "Ada"});
    let party = owner.post("/api/v1/parties", &party).await.unwrap();
    let id = party.body["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/parties/{id}");
    let told = async || {
        let reply = owner.get("/api/v1/personal-reads?sort=id").await.unwrap();
        reply.body["data"].as_array().unwrap().clone()
    };
    assert_eq!(caller("people").get(&path).await.unwrap().body["name"], "Ada Ahlers");
    assert!(told().await.is_empty());
    let seen = caller("auditor").get(&path).await.unwrap();
    assert_eq!(seen.body["name"], "Ada Ahlers");
    let list = caller("auditor").get("/api/v1/parties?limit=1").await.unwrap();
    assert_eq!(list.status, 200, "{}", list.body);
    // Nothing personal is in these, and nothing was shown by that.
    caller("auditor").get("/api/v1/calendars").await.unwrap();
    caller("auditor").get("/api/v1/parties?filter[name]=nobody").await.unwrap();
    caller("auditor").get(&format!("/api/v1/parties/{}", Uuid::max())).await.unwrap();
    let entries = told().await;
    assert_eq!(entries.len(), 2, "{entries:?}");
    for (entry, reply) in entries.iter().zip([&seen, &list]) {
        assert_eq!(entry["table_name"], "parties");
        assert_eq!(entry["row_ids"], json!([id]));
        assert_eq!(entry["actor_kind"], "token");
        assert_eq!(entry["request_id"].as_str(), reply.header("x-request-id"));
        assert!(entry["field_names"].as_array().unwrap().contains(&json!("given_name")));
        assert!(!entry["field_names"].as_array().unwrap().contains(&json!("kind")));
    }
    let mine = caller("crew_member").get("/api/v1/personal-reads").await.unwrap();
    assert_eq!(mine.status, 403);
}
