//! Behaviour as a table: actions, internal routes and background loops, listed by each domain and
//! served by dispatch. An action has no outside effect in its body: dispatch may run it again.

use std::future::Future;
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cx::Cx;
use crate::engine::{self, Lock};
use crate::entity::{Entity, Field};
use crate::error::{Code, Error, Result};
use crate::flow;
use crate::registry::Registry;
use crate::rights;
use crate::service::{Service, Shutdown};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A verb on an entity: `POST /registrations/{id}/check-in`.
pub struct Action {
    /// Path segment and right: `check-in`. The right needed is `(entity.grant, name)`.
    pub name: &'static str,
    pub entity: &'static Entity,
    pub on: On,
    /// Input fields, validated like those of a row; unknown ones are refused. A link must lead to a
    /// row that the caller may read.
    pub input: &'static [Field],
    pub answers: Answers,
    /// One sentence for the API reference.
    pub about: &'static str,
    pub run: for<'a> fn(&'a mut Cx, Args) -> BoxFuture<'a, Result<Reply>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// `POST /<route>/{id}/<name>`; dispatch loads the row under the caller's rights first.
    Row,
    /// `POST /<route>/<name>`.
    Collection,
    /// `POST /<route>`: stands in for the engine's create.
    Create,
    /// Not served over HTTP: other domains call it through `contracts`.
    Internal,
}

/// What the reference says an action answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The entity's row.
    Row,
    /// An object described by these fields.
    Object(&'static [Field]),
    /// 204.
    Nothing,
}

pub struct Args {
    /// Row that the path names.
    pub id: Option<Uuid>,
    /// Validated input; absent and null are kept apart.
    pub input: Map<String, Value>,
}

impl Args {
    /// Input as a typed value; a mismatch is a fault of the descriptor, reported as one.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(Value::Object(self.input.clone())).map_err(|cause| {
            Error::internal(format!("action input does not fit its type: {cause}"))
        })
    }

    pub fn row(&self) -> Result<Uuid> {
        self.id.ok_or_else(|| Error::internal("action on a row was called without one"))
    }
}

pub enum Reply {
    /// The row as the engine shows it, 200 (201 for `On::Create`).
    Row(Uuid),
    Json(Value),
    Nothing,
    /// Work that another service finishes: wait up to 2 s for the operation, then answer the row
    /// (`row`), or 202 with the operation's URL.
    Await {
        operation: Uuid,
        row: Option<Uuid>,
    },
}

/// More of a row than its fields, told by code of its own: `GET /imports/{id}/rows`. Portals and links
/// have none.
pub struct Reading {
    /// Path segment behind the row: `rows`.
    pub name: &'static str,
    pub entity: &'static Entity,
    /// Gets the row's id, which the caller may read, and the query, whose unknown parameters are its
    /// own to refuse.
    pub run: Tell,
}

/// What tells more of a row.
pub type Tell =
    for<'a> fn(&'a mut Cx, Uuid, &'a [(String, String)]) -> BoxFuture<'a, Result<Value>>;

/// A route of the internal listener; the service's token is checked before `run`.
pub struct InternalRoute {
    pub method: &'static str,
    /// `/internal/v1/catalogue`.
    pub path: &'static str,
    pub run: fn(Service, InternalCall) -> BoxFuture<'static, Result<InternalReply>>,
}

pub struct InternalCall {
    pub query: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// A call that waits for news ends with it.
    pub shutdown: Shutdown,
}

pub struct InternalReply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A loop that runs until shutdown; it must be safe to run in several processes at once and to be
/// killed at any point. An error is logged and the loop starts again after a pause.
pub struct Loop {
    pub name: &'static str,
    pub run: fn(Service, Shutdown) -> BoxFuture<'static, Result<()>>,
}

/// What a path or a call names: a listed action, or a move of the flow that needs none.
#[derive(Clone, Copy)]
pub(crate) enum Verb {
    Listed(&'static Action),
    Move(&'static str),
}

impl Verb {
    /// Path segment and right.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Listed(action) => action.name,
            Self::Move(name) => name,
        }
    }

    pub(crate) fn on(self) -> On {
        match self {
            Self::Listed(action) => action.on,
            Self::Move(_) => On::Row,
        }
    }

    pub(crate) fn input(self) -> &'static [Field] {
        match self {
            Self::Listed(action) => action.input,
            Self::Move(_) => &[],
        }
    }

    pub(crate) fn answers(self) -> Answers {
        match self {
            Self::Listed(action) => action.answers,
            Self::Move(_) => Answers::Row,
        }
    }

    /// Checks the right, loads and locks the row, checks version and flow, runs, moves the state. The
    /// one way to an action, from a request, a bulk or another action.
    pub(crate) async fn run(
        self,
        cx: &mut Cx,
        entity: &'static Entity,
        id: Option<Uuid>,
        mut input: Map<String, Value>,
        version: Option<i64>,
    ) -> Result<Reply> {
        let mut creating = None;
        let begun = match (self.on(), id) {
            (On::Internal, _) => None,
            (On::Row, Some(id)) => {
                let access = rights::may(&cx.actor, entity, self.name())?.whole_rows();
                let row = engine::get::row(cx, entity, id, Lock::Update, &access).await?;
                if version.is_some_and(|v| row.get("version").and_then(Value::as_i64) != Some(v)) {
                    return Err(engine::patch::mismatch());
                }
                flow::begin(entity, self.name(), &row, &input)?
            }
            (On::Row, None) => {
                return Err(Error::field(Code::Required, "id", "a value is required"));
            }
            (On::Create, _) => {
                let access = rights::may(&cx.actor, entity, self.name())?;
                let access = access.for_body(entity, &input)?;
                access.adopt(entity, self.input(), &mut input);
                creating = Some((access, input.clone()));
                None
            }
            (On::Collection, _) => {
                rights::may_without_row(&cx.actor, entity, self.name())?;
                None
            }
        };
        // What the input links to is the caller's word, too. Internal actions are called by others,
        // which have asked.
        if self.on() != On::Internal {
            engine::links::reached(cx, self.input(), &input).await?;
        }
        let reply = match (self, id) {
            (Self::Listed(action), _) => (action.run)(cx, Args { id, input }).await?,
            (Self::Move(_), Some(id)) => Reply::Row(id),
            (Self::Move(_), None) => Reply::Nothing,
        };
        if let (Some(begun), Some(id)) = (begun, id) {
            flow::end(cx, entity, id, &begun).await?;
        }
        if let Some((access, input)) = creating {
            made_in_reach(cx, entity, &reply, &input, &access).await?;
        }
        Ok(reply)
    }
}

/// Who reaches some rows only makes none outside of them: of an action that makes no row at once,
/// that cannot be said.
async fn made_in_reach(
    cx: &Cx,
    entity: &'static Entity,
    reply: &Reply,
    input: &Map<String, Value>,
    access: &rights::Access,
) -> Result<()> {
    match reply {
        Reply::Row(id) => engine::reach::demand(cx, entity, &[*id], input, access).await,
        _ if access.is_everywhere() => Ok(()),
        _ => {
            let text = format!("create on {} needs a reach of every row", entity.grant);
            Err(Error::new(Code::Forbidden, text))
        }
    }
}

/// Finds `domain.name` among a domain's internal actions, or `domain.entity.name` among all and
/// among the moves of the entity's flow.
pub(crate) fn find(registry: &Registry, path: &str) -> Option<(&'static Entity, Verb)> {
    let (domain, rest) = path.split_once('.')?;
    let domain = registry.domains().iter().find(|one| one.name == domain)?;
    let listed = |action: &'static Action| (action.entity, Verb::Listed(action));
    let Some((entity, name)) = rest.split_once('.') else {
        let found = domain.actions.iter().find(|one| one.on == On::Internal && one.name == rest);
        return found.map(listed);
    };
    let found = domain.actions.iter().find(|one| one.entity.name == entity && one.name == name);
    found.map(listed).or_else(|| {
        let entity = domain.entities.iter().find(|one| one.name == entity)?;
        flow::named(entity, name).map(|name| (*entity, Verb::Move(name)))
    })
}
