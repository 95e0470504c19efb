//! Saved views: how somebody likes to see a list. A view keeps the list's own parameters, so that the
//! list's parser judges it when it is saved and when it is used. Private ones are seen by their owner
//! alone, team ones by the team, shared ones by all who may read views; a policy of the database says
//! so (`sql/views.sql`). Knows no entity but its own.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::action::{Action, Answers, Args, BoxFuture, On, Reply};
use crate::cx::Cx;
use crate::entity::{
    Entity, Field, Group, Operations, Unique, boolean, choice, integer, json as json_field, link,
    text,
};
use crate::error::{Code, Error, Fault, Result};
use crate::meta::VIEW_KINDS;
use crate::page;
use crate::rights;
use crate::rule::{Change, ChangeOp, Rule};

/// Parameters of one view.
const PARAMETERS_MAX: usize = 40;
/// Parameters that belong to one request and not to a view.
const MOMENTARY: &[&str] = &["cursor", "saved_view"];

pub(crate) static SAVED_VIEW: Entity = Entity::new("saved_views")
    .grant("lists.saved_views")
    .group(Group::Organizations)
    .label("name")
    .about("A list as somebody likes to see it: filters, order, grouping, fields and kind of view.")
    .operations(Operations { read: true, create: false, patch: true, delete: true })
    .importable(false)
    .fields(&[
        link("user_id", "accounts.users").by_action().about("Whose view it is."),
        text("entity").required().by_action().about("Route of the list, like party-emails."),
        text("name").required(),
        choice("kind", VIEW_KINDS).required().default("'table'"),
        json_field("query").required().about(
            "Parameters of the list by name: {\"filter[status]\": \"open\", \"sort\": \"name\"}.",
        ),
        json_field("settings").about("What the console keeps beside: widths, colours."),
        choice("visibility", VISIBILITIES).required().default("'private'").by_action(),
        link("team_id", "accounts.teams").by_action(),
        boolean("is_default")
            .required()
            .default("false")
            .about("Opened first; one a person and list."),
        text("default_for").computed("CASE WHEN is_default THEN entity END"),
        integer("position", 0, 1_000_000).required().default("0"),
    ])
    .uniques(&[Unique {
        name: "saved_views_default_key",
        fields: &["user_id", "default_for"],
        code: Code::AlreadyExists,
    }])
    .indexes(&[&["entity"]]);

const VISIBILITIES: &[&str] = &["private", "team", "shared"];

const CREATE_INPUT: &[Field] = &[
    text("entity").required(),
    text("name").required(),
    choice("kind", VIEW_KINDS),
    json_field("query").required(),
    json_field("settings"),
    boolean("is_default"),
    integer("position", 0, 1_000_000),
];
const SHARE_INPUT: &[Field] =
    &[choice("visibility", VISIBILITIES).required(), link("team_id", "accounts.teams")];
const CHECK_ANSWER: &[Field] = &[boolean("fits").required(), json_field("errors").required()];

pub(crate) const CREATE: Action = Action {
    name: "create",
    entity: &SAVED_VIEW,
    on: On::Create,
    input: CREATE_INPUT,
    answers: Answers::Row,
    about: "Saves a view for the caller alone.",
    run: |cx, args| boxed(create(cx, args)),
};

pub(crate) const SHARE: Action = Action {
    name: "share",
    entity: &SAVED_VIEW,
    on: On::Row,
    input: SHARE_INPUT,
    answers: Answers::Row,
    about: "Shows the view to a team or to all, or takes it back.",
    run: |cx, args| boxed(share(cx, args)),
};

pub(crate) const CHECK: Action = Action {
    name: "check",
    entity: &SAVED_VIEW,
    on: On::Row,
    input: &[],
    answers: Answers::Object(CHECK_ANSWER),
    about: "Says whether the view still fits its list, and why not.",
    run: |cx, args| boxed(check(cx, args)),
};

pub(crate) const RULE: Rule = Rule {
    name: "saved_views.fit",
    on: "lists.saved_views",
    run: |cx, change| Box::pin(fit(cx, change)),
};

fn boxed<'a>(
    action: impl Future<Output = Result<Reply>> + Send + 'a,
) -> BoxFuture<'a, Result<Reply>> {
    Box::pin(action)
}

async fn create(cx: &mut Cx, args: Args) -> Result<Reply> {
    let mut row = args.input;
    let user = cx
        .actor
        .user()
        .ok_or_else(|| Error::new(Code::Forbidden, "a view belongs to a person: sign in as one"))?;
    row.insert("user_id".to_owned(), json!(user));
    row.retain(|_, value| !value.is_null());
    Ok(Reply::Row(cx.insert(&SAVED_VIEW, row).await?))
}

async fn share(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let visibility = args.input.get("visibility").cloned().unwrap_or_default();
    let team = args.input.get("team_id").cloned().unwrap_or_default();
    let view = cx.load(&SAVED_VIEW, id, "share").await?;
    if visibility == "private" && view.get("user_id") != Some(&json!(cx.actor.user())) {
        let text = "only its owner takes a view back; others may delete it";
        return Err(Error::field(Code::Forbidden, "visibility", text));
    }
    if (visibility == "team") == team.is_null() {
        let text = "stands there for the visibility team, and only then";
        return Err(Error::field(Code::InvalidValue, "team_id", text));
    }
    if visibility == "team" && view.get("user_id") != Some(&json!(cx.actor.user())) {
        demand_team(cx, &team).await?;
    }
    cx.set(&SAVED_VIEW, id, &[("visibility", visibility), ("team_id", team)]).await?;
    Ok(Reply::Row(id))
}

/// Nobody puts somebody else's view where they do not see it themselves.
async fn demand_team(cx: &Cx, team: &Value) -> Result<()> {
    let team = team.as_str().and_then(|id| Uuid::try_parse(id).ok());
    let sql = "select from team_members \
                where org_id = $1 and team_id = $2 and user_id = $3 and deleted_at is null";
    if cx.query_opt(sql, &[&cx.org, &team, &cx.actor.user()]).await?.is_some() {
        return Ok(());
    }
    let text = "only its owner shows a view to a team that the caller is not in";
    Err(Error::field(Code::Forbidden, "team_id", text))
}

async fn check(cx: &mut Cx, args: Args) -> Result<Reply> {
    let row = cx.load(&SAVED_VIEW, args.row()?, "check").await?;
    let error = match judged(cx, &row).await {
        Ok(()) => return Ok(Reply::Json(json!({"fits": true, "errors": []}))),
        Err(error) => error,
    };
    let errors = match error.list() {
        [] => vec![Fault::new("query", error.code(), error.detail())],
        list => list.to_vec(),
    };
    let errors: Vec<Value> = errors
        .into_iter()
        .map(|f| json!({"field": f.field, "code": f.code.name(), "message": f.message}))
        .collect();
    Ok(Reply::Json(json!({"fits": false, "errors": errors})))
}

/// After every write: the view fits its list. A view of a list that its owner may no longer read can
/// still be renamed.
async fn fit(cx: &mut Cx, change: Change) -> Result<()> {
    let asked =
        change.op == ChangeOp::Create || change.changes("query") || change.changes("entity");
    match &change.after {
        Some(row) if asked => judged(cx, row).await,
        _ => Ok(()),
    }
}

/// The list's own parser over the view's parameters; faults name `query` and the parameter.
async fn judged(cx: &Cx, view: &Map<String, Value>) -> Result<()> {
    let route = view.get("entity").and_then(Value::as_str).unwrap_or_default();
    let member = cx.registry().route(route).filter(|member| member.entity.operations.read);
    let Some(member) = member else {
        return Err(Error::field(Code::UnknownReference, "entity", "there is no such list"));
    };
    let access = rights::may(&cx.actor, member.entity, "read")?;
    let pairs = pairs(view.get("query").unwrap_or(&Value::Null))?;
    page::read(cx, member.entity, &access, None, &pairs)
        .await
        .map(drop)
        .map_err(|error| below("query", &error))
}

/// The parameters that a view keeps. Values are texts; what is JSON in a parameter may be JSON here.
fn pairs(query: &Value) -> Result<Vec<(String, String)>> {
    let refuse = |path: String, text: &str| Err(Error::field(Code::InvalidValue, path, text));
    let Value::Object(query) = query else {
        return refuse("query".to_owned(), "must be an object of the list's parameters");
    };
    if query.len() > PARAMETERS_MAX {
        return refuse("query".to_owned(), "has at most 40 parameters");
    }
    let mut pairs = Vec::with_capacity(query.len());
    for (name, value) in query {
        if MOMENTARY.contains(&name.as_str()) {
            return refuse(format!("query.{name}"), "belongs to a request, not to a view");
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => return refuse(format!("query.{name}"), "must be a text"),
            other => other.to_string(),
        };
        pairs.push((name.clone(), text));
    }
    Ok(pairs)
}

/// The same refusal with its faults below a path.
fn below(path: &str, error: &Error) -> Error {
    let faults: Vec<Fault> = error
        .list()
        .iter()
        .map(|f| Fault::new(format!("{path}.{}", f.field), f.code, f.message.clone()))
        .collect();
    let detail = format!("the view no longer fits: {}", error.detail());
    match faults.into_iter().next() {
        Some(first) => Error::field(error.code(), first.field, detail),
        None => Error::field(error.code(), path, detail),
    }
}

/// A list's parameters with those of the view that they name; the request's own win.
pub(crate) async fn apply(
    cx: &mut Cx,
    entity: &'static Entity,
    query: &[(String, String)],
) -> Result<Vec<(String, String)>> {
    let Some((_, id)) = query.iter().find(|(name, _)| name == "saved_view") else {
        return Ok(query.to_vec());
    };
    if cx.registry().member(SAVED_VIEW.name).is_none() {
        return Err(page::unknown_parameter("saved_view", "those of lists without views"));
    }
    let id = Uuid::try_parse(id)
        .map_err(|_| Error::field(Code::InvalidId, "saved_view", "the id is not a UUID"))?;
    if query.iter().filter(|(name, _)| name == "saved_view").count() > 1 {
        return Err(page::repeated_parameter("saved_view"));
    }
    let view = cx.get(&SAVED_VIEW, id).await.map_err(|error| match error.code() {
        Code::NotFound => Error::field(Code::NotFound, "saved_view", "there is no such view"),
        _ => error,
    })?;
    if view.get("entity").and_then(Value::as_str) != Some(entity.route().as_str()) {
        return Err(Error::field(Code::InvalidRequest, "saved_view", "is a view of another list"));
    }
    judged(cx, &view).await.map_err(|error| below("saved_view", &error))?;
    let own: BTreeSet<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
    let kept = pairs(view.get("query").unwrap_or(&Value::Null))?;
    let mut all: Vec<(String, String)> =
        kept.into_iter().filter(|(name, _)| !own.contains(name.as_str())).collect();
    all.extend(query.iter().filter(|(name, _)| name != "saved_view").cloned());
    Ok(all)
}
