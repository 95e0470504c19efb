//! What could widen what somebody sees without a word: histories, collections below rows, links in
//! inputs, answers of actions, reads that are told, teams, roles that an organization has already. A
//! yard of files with owners, and notes below them.

mod given;
mod seen;
mod told;

use std::sync::OnceLock;

use kernel::accounts::{NewMember, NewToken, add_member, issue_token};
use kernel::action::{Action, Answers, Args, On, Reply as Said};
use kernel::cx::Cx;
use kernel::ddl;
use kernel::entity::{Domain, Entity, Operations, Weight, choice, integer, link, money, text};
use kernel::error::{Error, Result};
use kernel::registry::Registry;
use kernel::testkit::{Client, Reply, TestDb, TestOrg, TestServer};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

static FILE: Entity = Entity::new("yard_files")
    .path("files")
    .grant("yard.files")
    .about("Somebody's.")
    .label("name")
    .owner("owner_id")
    .fields(&[
        link("owner_id", "accounts.users"),
        link("team_id", "accounts.teams"),
        text("name").required().search(Weight::A),
        text("color"),
        text("nick").personal().search(Weight::B),
        integer("pay", 0, 1_000_000).confidential(),
        money("fee").confidential(),
    ]);

static NOTE: Entity = Entity::new("yard_notes")
    .path("notes")
    .grant("yard.notes")
    .about("Below a file.")
    .operations(Operations { read: true, create: false, patch: true, delete: true })
    .fields(&[link("file_id", "yard.yard_files").required(), text("name").required()]);

static ACTIONS: &[Action] = &[
    Action {
        name: "create",
        entity: &NOTE,
        on: On::Create,
        input: &[link("file_id", "yard.yard_files").required(), text("name").required()],
        answers: Answers::Row,
        about: "Adds a note to a file.",
        run: |cx, args| Box::pin(add(cx, args)),
    },
    Action {
        name: "tell",
        entity: &FILE,
        on: On::Row,
        input: &[choice("what", &["all", "more", "less", "wrong", "row"]).required()],
        answers: Answers::Object(&[
            text("name").required(),
            text("nick").personal(),
            integer("pay", 0, 1_000_000).confidential(),
        ]),
        about: "Answers an object, which may not be the declared one.",
        run: |cx, args| Box::pin(tell(cx, args)),
    },
];

async fn add(cx: &mut Cx, args: Args) -> Result<Said> {
    Ok(Said::Row(cx.insert(&NOTE, args.input).await?))
}

async fn tell(cx: &mut Cx, args: Args) -> Result<Said> {
    let id = args.row()?;
    let what = args.input.get("what").and_then(Value::as_str).unwrap_or_default();
    // What a refused answer leaves behind would show.
    cx.set(&FILE, id, &[("color", json!(what))]).await?;
    let mut said = json!({"name": "One", "nick": "Uno", "pay": 7});
    match what {
        "more" => said["seal"] = json!("undeclared"),
        "less" => said = json!({"nick": "Uno"}),
        "wrong" => said["pay"] = json!("seven"),
        "row" => said = json!(["no object"]),
        _ => {}
    }
    if said.is_null() { Err(Error::internal("nothing to say")) } else { Ok(Said::Json(said)) }
}

static DOMAIN: Domain =
    Domain { name: "yard", entities: &[&FILE, &NOTE], actions: ACTIONS, ..Domain::EMPTY };

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<&'static Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let domains =
            [&kernel::accounts::DOMAIN, &kernel::work::DOMAIN, &kernel::lists::DOMAIN, &DOMAIN];
        Registry::new(&domains).unwrap().leak()
    })
}

async fn database() -> &'static TestDb {
    static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
    let make = async || TestDb::create("yard", &[&ddl::script(registry())]).await.unwrap();
    DATABASE.get_or_init(make).await
}

struct Yard {
    server: TestServer,
    org: TestOrg,
    /// May everything.
    all: Caller,
}

/// Somebody with a token.
struct Caller {
    client: Client,
    user: Uuid,
}

impl Caller {
    async fn get(&self, path: &str) -> Reply {
        self.client.get(&format!("/api/v1{path}")).await.unwrap()
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = (!body.is_null()).then_some(&body);
        self.client.send(method, &format!("/api/v1{path}"), body).await.unwrap()
    }

    async fn make(&self, path: &str, body: Value) -> String {
        let reply = is(self.send("POST", path, body).await, 201);
        reply.body["id"].as_str().unwrap().to_owned()
    }
}

impl Yard {
    async fn open() -> Self {
        let server = TestServer::start(registry(), database().await).await.unwrap();
        let org = TestOrg::open(&server.service).await.unwrap();
        let client = server.client.with_bearer(org.token.expose());
        let all = Caller { client, user: org.owner };
        Self { server, org, all }
    }

    /// The owner, by a token with these lines.
    async fn token(&self, grants: Value) -> Caller {
        let token = self.org.issue(grants).await.unwrap();
        let client = self.server.client.with_bearer(token.expose());
        Caller { client, user: self.org.owner }
    }

    /// A new person whose role has these lines.
    async fn person(&self, grants: Value) -> Caller {
        let key = format!("r{}", Uuid::new_v4().simple());
        let body = json!({"key": key, "name": key, "grants": grants});
        let role = self.all.make("/roles", body).await;
        self.member(&role).await
    }

    /// A new person with this role.
    async fn member(&self, role: &str) -> Caller {
        let mut cx = self.org.begin().await.unwrap();
        let email = format!("{}@example.org", Uuid::new_v4().simple());
        let role = role.parse().unwrap();
        let new = NewMember { email: &email, name: None, password: None, role, ends_at: None };
        let (user, _) = add_member(&mut cx, new).await.unwrap();
        let levels = ["open", "personal", "confidential"];
        let grants = json!([{"grant": "*", "rights": ["*"], "levels": levels}]);
        let new = NewToken { name: "own".to_owned(), grants, expires_at: None };
        let (_, token) = issue_token(&mut cx, user, new).await.unwrap();
        cx.commit().await.unwrap();
        Caller { client: self.server.client.with_bearer(token.expose()), user }
    }

    /// A built-in role's id.
    async fn role(&self, key: &str) -> String {
        let list = is(self.all.get(&format!("/roles?filter[key]={key}")).await, 200);
        list.body["data"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn file(&self, body: Value) -> String {
        let mut file = json!({"name": "One"});
        let given: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
        file.as_object_mut().unwrap().extend(given);
        self.all.make("/files", file).await
    }
}

#[track_caller]
fn is(reply: Reply, status: u16) -> Reply {
    assert_eq!(reply.status, status, "{}", reply.body);
    reply
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, fields: &[&str]) {
    assert_eq!((reply.status, reply.code()), (status, code), "{}", reply.body);
    assert_eq!(reply.fields(), fields, "{}", reply.body);
}

fn ids(reply: &Reply, name: &str) -> Vec<String> {
    let data = reply.body["data"].as_array().unwrap();
    data.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}
