//! A help desk for the tests of writing: labels with a natural key, cases with a flow, a rule that
//! counts, and actions that fail where they are told to.

mod apart;
mod bulk;
mod conditions;
mod custom;
mod deletion;
mod flows;
mod history;
mod idempotency;
mod journal;
mod model;
mod rules;
mod single;

use std::sync::OnceLock;

use kernel::action::{Action, Answers, Args, On, Reply as Said};
use kernel::cx::Cx;
use kernel::ddl;
use kernel::entity::{
    Domain, Entity, Flow, Move, Unique, choice, date, instant, integer, json as json_field, link,
    long_text, money, slug, text, text_list,
};
use kernel::error::{Code, Error, Result};
use kernel::registry::Registry;
use kernel::rule::{Change, ChangeOp, Rule};
use kernel::testkit::{Client, Reply, TestDb, TestOrg, TestServer};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub(crate) static LABEL: Entity = Entity::new("labels")
    .grant("desk.labels")
    .about("What a case is about.")
    .label("name")
    .natural(&["code"])
    .fields(&[
        text("name").required(),
        slug("code").required().once(),
        slug("short"),
        integer("rank", 0, 100),
        money("price"),
        text_list("words", 5),
        long_text("notes").personal(),
        json_field("extra"),
        date("due_on"),
        integer("uses", 0, i64::MAX).required().default("0").by_action(),
        text("seal").secret(),
    ])
    .uniques(&[
        Unique { name: "labels_short_key", fields: &["short"], code: Code::AlreadyExists },
        Unique { name: "labels_code_key", fields: &["code"], code: Code::AlreadyExists },
    ]);

static CASE_FLOW: Flow = Flow {
    field: "status",
    initial: "open",
    states: &["open", "held", "closed", "dropped"],
    moves: &[
        Move::new("hold", &["open"], "held"),
        Move::new("close", &["open", "held"], "closed").needs(&["outcome", "solver"]),
        Move::new("reopen", &["closed", "held"], "open"),
        Move::new("drop", &["open"], "dropped").needs(&["outcome"]),
    ],
};

pub(crate) static CASE: Entity =
    Entity::new("cases").grant("desk.cases").about("Somebody needs help.").flow(&CASE_FLOW).fields(
        &[
            link("label_id", "desk.labels").required(),
            link("part_of_id", "desk.cases").cascade(),
            link("twin_id", "desk.cases"),
            text("title").required(),
            text("solver"),
            text("outcome"),
            instant("dropped_at").by_action(),
            choice("status", CASE_FLOW.states).required().by_action().default("'open'"),
        ],
    );

static ACTIONS: &[Action] = &[
    Action {
        name: "drop",
        entity: &CASE,
        on: On::Row,
        input: &[text("outcome"), choice("fail", &["after_set", "after_second", "leap"])],
        answers: Answers::Row,
        about: "Gives up, and says why.",
        run: |cx, args| Box::pin(drop_case(cx, args)),
    },
    Action {
        name: "secret",
        entity: &LABEL,
        on: On::Row,
        input: &[],
        answers: Answers::Object(&[text("token").required().secret()]),
        about: "Answers what is shown once.",
        run: |cx, args| Box::pin(secret(cx, args)),
    },
    Action {
        name: "use",
        entity: &LABEL,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Counts a use.",
        run: |cx, args| Box::pin(count_use(cx, args)),
    },
];

/// Sets what belongs to the move and writes a second row; the engine sets the state.
async fn drop_case(cx: &mut Cx, args: Args) -> Result<Said> {
    let id = args.row()?;
    let outcome = args.input.get("outcome").cloned().unwrap_or(Value::Null);
    cx.set(&CASE, id, &[("dropped_at", json!(cx.now)), ("outcome", outcome)]).await?;
    let fail = args.input.get("fail").and_then(Value::as_str);
    if fail == Some("leap") {
        cx.set(&CASE, id, &[("status", json!("closed"))]).await?;
    }
    if fail == Some("after_set") {
        return Err(Error::new(Code::Conflict, "on purpose"));
    }
    let row = cx.load(&CASE, id, "drop").await?;
    let label: Uuid = row["label_id"].as_str().unwrap_or_default().parse().unwrap_or_default();
    cx.set(&LABEL, label, &[("uses", json!(1_000))]).await?;
    if fail == Some("after_second") {
        return Err(Error::new(Code::Conflict, "on purpose"));
    }
    Ok(Said::Nothing)
}

async fn secret(cx: &mut Cx, args: Args) -> Result<Said> {
    count(cx, args.row()?).await?;
    Ok(Said::Json(json!({"token": "shown once"})))
}

async fn count_use(cx: &mut Cx, args: Args) -> Result<Said> {
    count(cx, args.row()?).await?;
    Ok(Said::Nothing)
}

async fn count(cx: &mut Cx, id: Uuid) -> Result<()> {
    let row = cx.load(&LABEL, id, "use").await?;
    let uses = row["uses"].as_i64().unwrap_or_default();
    cx.set(&LABEL, id, &[("uses", json!(uses + 1))]).await
}

/// Living cases of one label; one more is refused by the rule.
pub(crate) const CASES_MAX: i64 = 5;

static RULES: &[Rule] = &[
    Rule { name: "cases.few", on: "desk.cases", run: |cx, change| Box::pin(few(cx, change)) },
    Rule { name: "cases.told", on: "desk.cases", run: |cx, change| Box::pin(told(cx, change)) },
];

/// Not more than `CASES_MAX` living cases a label.
async fn few(cx: &mut Cx, change: Change) -> Result<()> {
    let Some(label) = change.after.as_ref().and_then(|row| row["label_id"].as_str()) else {
        return Ok(());
    };
    let label: Uuid = label.parse().unwrap_or_default();
    let sql = "select count(*) from cases where label_id = $1 and deleted_at is null";
    let count: i64 = cx.query_one(sql, &[&label]).await?.try_get(0)?;
    if CASES_MAX < count {
        return Err(Error::field(Code::LimitReached, "label_id", "has too many cases"));
    }
    Ok(())
}

/// Nobody may call a case "forbidden", whatever way they go.
async fn told(_: &mut Cx, change: Change) -> Result<()> {
    let title = |row: &Option<Map<String, Value>>| {
        row.as_ref().and_then(|row| row["title"].as_str()).unwrap_or_default().to_owned()
    };
    if change.op == ChangeOp::Delete && title(&change.before) == "keep" {
        return Err(Error::field(Code::InvalidValue, "title", "is kept"));
    }
    if title(&change.after) == "forbidden" && change.changes("title") {
        return Err(Error::field(Code::InvalidValue, "title", "is forbidden"));
    }
    Ok(())
}

static DOMAIN: Domain = Domain {
    name: "desk",
    entities: &[&LABEL, &CASE, &journal::ENTRY, &journal::LINE],
    actions: ACTIONS,
    rules: RULES,
    end_rules: journal::END_RULES,
    sql: &[("journal.sql", journal::SQL)],
    ..Domain::EMPTY
};

pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<&'static Registry> = OnceLock::new();
    let domains = [&kernel::accounts::DOMAIN, &DOMAIN, &journal::WATCH];
    REGISTRY.get_or_init(|| Registry::new(&domains).unwrap().leak())
}

pub(crate) async fn database() -> &'static TestDb {
    static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
    let make = async || TestDb::create("desk", &[&ddl::script(registry())]).await.unwrap();
    DATABASE.get_or_init(make).await
}

/// A server over the desk, with an organization of the test's own.
pub(crate) struct Desk {
    pub(crate) server: TestServer,
    pub(crate) org: TestOrg,
    pub(crate) client: Client,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let server = TestServer::start(registry(), database().await).await.unwrap();
        let org = TestOrg::open(&server.service).await.unwrap();
        let client = server.client.with_bearer(org.token.expose());
        Self { server, org, client }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = Some(&body).filter(|body| !body.is_null());
        self.client.send(method, &format!("/api/v1{path}"), body).await.unwrap()
    }

    pub(crate) async fn with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let body = Some(&body).filter(|body| !body.is_null());
        self.client.send_with(method, &format!("/api/v1{path}"), headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, Value::Null).await
    }

    pub(crate) async fn label(&self, code: &str) -> String {
        let seen = self.send("POST", "/labels", json!({"name": code, "code": code})).await;
        id(&is(seen, 201))
    }

    pub(crate) async fn case(&self, label: &str, title: &str) -> String {
        let body = json!({"label_id": label, "title": title});
        id(&is(self.send("POST", "/cases", body).await, 201))
    }

    /// Rows of the change log and the outbox that a row has.
    pub(crate) async fn traces(&self, row: &str) -> (i64, i64) {
        let admin = database().await.superuser().await.unwrap();
        let row: Uuid = row.parse().unwrap();
        let one = async |sql: &str| -> i64 {
            admin.query_one(sql, &[&row]).await.unwrap().try_get(0).unwrap()
        };
        (
            one("select count(*) from changes where row_id = $1").await,
            one("select count(*) from outbox where row_id = $1").await,
        )
    }
}

#[track_caller]
pub(crate) fn is(reply: Reply, status: u16) -> Reply {
    assert_eq!(reply.status, status, "{}", reply.body);
    reply
}

/// A problem with this code that names exactly these fields.
#[track_caller]
pub(crate) fn refused(reply: &Reply, code: Code, fields: &[&str]) {
    assert_eq!(reply.code(), code.name(), "{}", reply.body);
    assert_eq!(reply.status, code.status());
    assert_eq!(reply.fields(), fields, "{}", reply.body);
}

#[track_caller]
pub(crate) fn id(reply: &Reply) -> String {
    reply.body["id"].as_str().unwrap().to_owned()
}
