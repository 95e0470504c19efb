//! Where registry-wide rules are played: a registry, its database and a running server, with two
//! organizations that must never notice each other.

use std::sync::atomic::{AtomicU32, Ordering};

use kernel::accounts::operator_set_plan;
use kernel::action::{Action, On};
use kernel::db::Admin;
use kernel::entity::{Access, Entity, Field, Kind, Plan, Scope};
use kernel::registry::{Member, Registry};
use kernel::testkit::{Client, Hint, Planter, TestDb, TestOrg, TestServer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// For tables with rules of their own. Short by intent: what stands here is covered less.
const HINTS: &[Hint] = &[
    // One holder, and a link that may be empty is not planted by itself.
    ("memberships", "user_id", "@accounts.users"),
    ("api_tokens", "user_id", "@accounts.users"),
    // A reference names a row of any table, and the row has to exist.
    ("external_refs", "table_name", "\"parties\""),
    ("external_refs", "row_id", "@identity.parties"),
    // A custom field belongs to an entity that there is.
    ("custom_fields", "entity", "\"parties\""),
    ("custom_fields", "required", "false"),
    // Whom a view is not shared with does not see it. A shared one is hidden by the wall between
    // organizations alone, which is what the rules are after.
    ("saved_views", "visibility", "\"shared\""),
    ("saved_views", "entity", "\"parties\""),
    // A schedule has a job that may be scheduled, and one time.
    ("schedules", "job", "\"work.replay-dead\""),
    ("schedules", "cron", "\"0 6 * * *\""),
    // The first entry follows the event's genesis; any other one needs the one before it.
    ("gate_journal", "seq", "1"),
];

pub(crate) struct Stage {
    pub(crate) registry: &'static Registry,
    pub(crate) server: TestServer,
    pub(crate) admin: Admin,
    pub(crate) ours: TestOrg,
    pub(crate) theirs: TestOrg,
}

impl Stage {
    pub(crate) async fn open(registry: &'static Registry, db: &TestDb) -> Self {
        let server = TestServer::start(registry, db).await.unwrap();
        let ours = TestOrg::open(&server.service).await.unwrap();
        let theirs = TestOrg::open(&server.service).await.unwrap();
        // Everything is open to both, so that what no plan holds back is what the rules meet.
        for org in [&ours, &theirs] {
            operator_set_plan(&server.service, org.id, Plan::Enterprise).await.unwrap();
        }
        let admin = db.superuser().await.unwrap();
        Self { registry, server, admin, ours, theirs }
    }

    /// A caller with a token that may everything in `org`.
    pub(crate) fn client(&self, org: &TestOrg) -> Client {
        self.server.client.with_bearer(org.token.expose())
    }

    /// Plants rows into `org`, numbered apart from all others of this process.
    pub(crate) fn planter(&self, org: &TestOrg) -> Planter<'_> {
        let (registry, admin) = (self.registry, &self.admin);
        Planter { registry, admin, org: org.id, number: sequence(), hints: HINTS }
    }

    pub(crate) async fn plant(&self, org: &TestOrg, entity: &'static Entity) -> Uuid {
        let planted = self.planter(org).row(entity).await;
        planted.unwrap_or_else(|error| panic!("{} cannot be planted: {error:?}", entity.name))
    }

    /// Entities that the API shows.
    pub(crate) fn served(&self) -> Vec<&'static Member> {
        let all = self.registry.members().iter();
        all.filter(|member| !self.calls(member).is_empty()).collect()
    }

    /// Every way to call an entity: method, path below the API with `{id}`, and what it needs.
    pub(crate) fn calls(&self, member: &'static Member) -> Vec<Call> {
        let route = &member.route;
        let operations = member.entity.operations;
        let actions = || self.actions(member);
        let creates = actions().find(|action| action.on == On::Create);
        let call = |method, path: String, right, input: &'static [Field]| {
            let action = actions().any(|action| action.name == right && action.on != On::Internal);
            Call { method, path, right, input, generic: !action }
        };
        let mut calls = Vec::new();
        if operations.read {
            calls.push(call("GET", format!("/{route}"), "read", &[]));
            calls.push(call("GET", format!("/{route}/{{id}}"), "read", &[]));
        }
        if let Some(action) = creates {
            calls.push(call("POST", format!("/{route}"), action.name, action.input));
        } else if operations.create {
            calls.push(call("POST", format!("/{route}"), "create", member.entity.fields));
        }
        if operations.patch {
            calls.push(call("PATCH", format!("/{route}/{{id}}"), "update", &[]));
        }
        if operations.delete {
            calls.push(call("DELETE", format!("/{route}/{{id}}"), "delete", &[]));
        }
        for action in actions() {
            let path = match action.on {
                On::Row => format!("/{route}/{{id}}/{}", action.name),
                On::Collection => format!("/{route}/{}", action.name),
                On::Create | On::Internal => continue,
            };
            calls.push(call("POST", path, action.name, action.input));
        }
        calls
    }

    fn actions(&self, member: &'static Member) -> impl Iterator<Item = &'static Action> + '_ {
        let table = member.entity.name;
        self.registry.actions().filter(move |action| action.entity.name == table)
    }

    /// A body for create with everything required, rows that it links to planted in `org`.
    pub(crate) async fn body(&self, org: &TestOrg, entity: &'static Entity) -> Map<String, Value> {
        self.planter(org).body(entity).await.unwrap()
    }

    /// A row to link to; of a global table the owner is one.
    pub(crate) async fn plant_target(&self, org: &TestOrg, target: &'static Entity) -> Uuid {
        match target.scope {
            Scope::Global if target.name == "users" => org.owner,
            Scope::Global if target.name == "organizations" => org.id,
            Scope::Tenant | Scope::Global | Scope::Machine => self.plant(org, target).await,
        }
    }

    /// Input of an action: everything required, links to rows of `org`.
    pub(crate) async fn input(&self, org: &TestOrg, fields: &'static [Field]) -> Value {
        let mut body = Map::new();
        for (place, field) in fields.iter().enumerate().filter(|(_, field)| field.required) {
            let value = match field.kind {
                Kind::Link { to, .. } => {
                    let target = self.registry.qualified(to).unwrap();
                    json!(self.plant_target(org, target).await)
                }
                _ => kernel::testkit::value(field, sequence(), place),
            };
            body.insert(field.name.to_owned(), value);
        }
        Value::Object(body)
    }
}

/// A way to call an entity.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    path: String,
    pub(crate) right: &'static str,
    /// The engine's own operation, not an action.
    pub(crate) generic: bool,
    pub(crate) input: &'static [Field],
}

impl Call {
    pub(crate) fn is_on_row(&self) -> bool {
        self.path.contains("{id}")
    }

    pub(crate) fn path(&self, id: Uuid) -> String {
        format!("/api/v1{}", self.path.replace("{id}", &id.to_string()))
    }

    /// As the API reference writes it, below its server's URL.
    pub(crate) fn template(&self) -> &str {
        &self.path
    }
}

pub(crate) fn is_writable(field: &Field) -> bool {
    matches!(field.access, Access::Writable | Access::WriteOnce)
}

/// Rows that one planter makes at most, each with a number of its own.
const NUMBERS: u32 = 1_000;

/// Numbers that nothing else in this process, and so in its database, begins at.
fn sequence() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(NUMBERS, Ordering::Relaxed)
}

/// Collects what every entity breaks, so that one run shows all.
#[derive(Default)]
pub(crate) struct Broken {
    demands: usize,
    words: Vec<String>,
}

impl Broken {
    pub(crate) fn demand(&mut self, holds: bool, words: impl FnOnce() -> String) {
        self.demands += 1;
        if !holds {
            self.words.push(words());
        }
    }

    /// Nothing was broken, and something was asked.
    #[track_caller]
    pub(crate) fn none(self) {
        assert!(self.words.is_empty(), "{} times:\n{}", self.words.len(), self.words.join("\n"));
        assert!(self.demands > 0, "the rule found nothing to hold for");
    }
}
