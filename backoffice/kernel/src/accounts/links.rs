//! Links: a secret that lets whoever holds it do one thing with one row, for a time. Nobody makes a
//! link to what they may not do themselves, and it does no more than they may when it is used.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::programs::{ISSUED_BY, MADE_BY_ACCOUNT};
use super::tokens::{draw, ends, made_by};
use crate::action::{Action, Answers, Args, On, Reply};
use crate::cx::Cx;
use crate::engine::{self, Lock};
use crate::entity::{
    Entity, Group, Level, Operations, Retention, bytes, id, instant, link, slug, text,
};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::rights;

pub(crate) const LINK_PREFIX: &str = "link_";
/// A link ends at the latest after this long.
const LINK_TIME_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

pub static LINK: Entity = Entity::new("links")
    .grant("accounts.links")
    .group(Group::Organizations)
    .final_delete()
    .operations(Operations { read: true, create: false, patch: false, delete: true })
    .about("A link that lets its holder do one thing with one row; deleting takes it back.")
    .retention(&[Retention::days("expires_at", 30)])
    .fields(&[
        text("table_name").required().by_action(),
        id("row_id").required().by_action(),
        text("purpose").required().by_action().about("`read`, or the name of an action."),
        bytes("token_hash", 32).required().secret(),
        instant("expires_at").required().by_action(),
        link("made_by_id", "accounts.users").by_action().about("Whose rights bound the link's."),
        MADE_BY_ACCOUNT,
        ISSUED_BY,
        instant("last_used_at").unlogged(),
    ])
    .lookups(&["token_hash"])
    .indexes(&[&["row_id"]]);

pub(super) const MAKE: Action = Action {
    name: "create",
    entity: &LINK,
    on: On::Create,
    input: &[
        slug("entity").required().about("Route of the row's entity: `registrations`."),
        id("row_id").required(),
        slug("purpose").required().about("`read`, or the name of an action on the row."),
        instant("expires_at").required().about("At most 90 days from now."),
    ],
    answers: Answers::Object(&[id("id").required(), text("token").required().secret()]),
    about: "Makes a link to one thing that the caller may do with a row; shown this once.",
    run: |cx, args| Box::pin(make(cx, args)),
};

async fn make(cx: &mut Cx, args: Args) -> Result<Reply> {
    let text = |name: &str| args.input.get(name).and_then(Value::as_str).unwrap_or_default();
    let unknown = |field| Error::field(Code::UnknownReference, field, "there is no such thing");
    let member = cx.registry().route(text("entity")).ok_or_else(|| unknown("entity"))?;
    let (entity, purpose) = (member.entity, text("purpose").to_owned());
    let row: Uuid =
        text("row_id").parse().map_err(|_| Error::internal("validated input lost its id"))?;
    let on_row = cx
        .registry()
        .actions()
        .any(|one| one.entity.name == entity.name && one.on == On::Row && one.name == purpose);
    if !(on_row || (purpose == "read" && entity.operations.read)) {
        return Err(Error::field(
            Code::NotAnOption,
            "purpose",
            "must be read or an action on the row",
        ));
    }
    let expires_at: Timestamp =
        text("expires_at").parse().map_err(|_| Error::internal("validated input lost its time"))?;
    if expires_at <= cx.now || expires_at.duration_since(cx.now) > LINK_TIME_MAX {
        let text = "must be in the future, at most 90 days from now";
        return Err(Error::field(Code::OutOfRange, "expires_at", text));
    }
    // What the maker may not do or does not reach, no link of theirs does.
    let access = rights::may(&cx.actor, entity, &purpose)?;
    let found = engine::get::row(cx, entity, row, Lock::None, &access.whole_rows()).await;
    found.map_err(|_| Error::field(Code::UnknownReference, "row_id", "there is no such row"))?;
    if purpose == "read" {
        let shown = entity.fields.iter().filter(|field| field.level == Level::Open);
        for field in shown.filter(|field| !field.secret) {
            access.readable_everywhere(field).map_err(|error| error.at("entity"))?;
        }
    }
    let expires_at = ends(cx, Some(expires_at)).await?;
    let (token, hash) = draw(LINK_PREFIX)?;
    let mut body = object(json!({
        "table_name": entity.name,
        "row_id": row,
        "purpose": purpose,
        "token_hash": kind::bytes_json(&hash),
        "expires_at": expires_at,
    }));
    body.extend(made_by(&cx.actor)?.map(|(name, value)| (name.to_owned(), value)));
    let id = cx.insert(&LINK, body).await?;
    Ok(Reply::Json(json!({"id": id, "token": token.expose()})))
}

fn object(value: Value) -> Map<String, Value> {
    kind::object(value).unwrap_or_default()
}
