//! What the routes of accounts answer, field by field: they stand on no entity, so no descriptor
//! says it. A test compares each with what the server answers.

use serde_json::{Value, json};

use crate::dispatch::AccountRoute;
use crate::entity::{Level, Plan};

/// Schema of a good answer; `None` where nothing is shown.
pub(super) fn answer(route: &AccountRoute) -> Option<Value> {
    let schema = match (route.method.name(), route.path) {
        (_, _) if route.status == 204 => return None,
        ("POST", "sessions" | "portal/sessions") => whole(json!({
            "id": id("The session."),
            "token": text("For `Authorization: Bearer`; shown this once."),
            "expires_at": instant("When it ends."),
        })),
        ("GET", "sessions") => data(session()),
        ("DELETE", "sessions/others") => whole(json!({
            "ended": {"type": "integer", "minimum": 0, "description": "How many there were."},
        })),
        ("POST", "invitations/look") => whole(json!({
            "email": email("Who is invited."),
            "name": maybe("string", "What whoever invited calls them."),
            "organization": named(),
            "role": text("Name of the role that is offered."),
            "ends_at": maybe_instant("When the membership will end; null: it stays."),
            "expires_at": instant("Until when it can be accepted."),
            "known": {
                "type": "boolean",
                "description": "The address is somebody's who signs in here: no name and no new \
                    password are asked for.",
            },
        })),
        ("POST", "invitations/accept") => whole(json!({
            "user_id": id("The person who is a member now."),
            "email": email("With which they sign in."),
            "organization": named(),
        })),
        ("POST", "password-resets" | "portal/sign-ins" | "me/email") => {
            whole(json!({"sent_to": email("As it was asked; it says nothing of who has it.")}))
        }
        ("GET", "me") => me(),
        ("GET", "organizations") => data(membership()),
        ("POST", "organizations") => whole(json!({
            "id": id("The new organization."),
            "name": text("As it was given."),
            "slug": text("As it was given."),
        })),
        ("GET", "members") => data(member()),
        ("GET", "me/keys") => data(key()),
        _ => json!({"type": "object"}),
    };
    Some(schema)
}

fn session() -> Value {
    whole(json!({
        "id": id("The session, to end it by."),
        "created_at": instant("When the person signed in."),
        "last_seen_at": instant("When it was used last."),
        "expires_at": instant("When it ends."),
        "user_agent": maybe("string", "What the program that signed in calls itself."),
        "current": {"type": "boolean", "description": "The one that asks."},
    }))
}

/// A person signed in says who they are; any other secret what kind it is of.
fn me() -> Value {
    let user = whole(json!({
        "id": id("The person."), "email": email("With which they sign in."), "name": text("Theirs."),
    }));
    let session =
        whole(json!({"id": id("The session that asks."), "expires_at": instant("When it ends.")}));
    let person = whole(json!({
        "user": user,
        "session": session,
        "organizations": {"type": "array", "items": membership()},
    }));
    let other = json!({
        "type": "object",
        "description": "A secret of another kind: beside the organization, one member named by the \
            kind of caller (`token`, `service_account`, `portal`, `link`, `device`) with its id.",
        "required": ["organizations"],
        "properties": {
            "organizations": {
                "type": "array",
                "items": whole(json!({"id": id("The one that the secret is for.")})),
            },
        },
        "additionalProperties": whole(json!({"id": id("Who calls.")})),
    });
    json!({"anyOf": [person, other]})
}

/// An organization as one of its people sees it.
fn membership() -> Value {
    whole(json!({
        "id": id("The organization."),
        "name": text("Its name."),
        "slug": text("Its name in addresses."),
        "plan": {"type": "string", "enum": Plan::NAMES},
        "grants": {"type": "array", "items": grant(), "description": "What the person may there."},
    }))
}

fn grant() -> Value {
    let names = || json!({"type": "array", "items": {"type": "string"}});
    let levels: Vec<&str> = Level::ALL.iter().map(|level| level.name()).collect();
    json!({
        "type": "object",
        "required": ["grant", "rights", "scope"],
        "properties": {
            "grant": text("What it is about: `events.events`, `events.*`, `*`."),
            "rights": names(),
            "scope": {"type": "string", "enum": ["own", "team", "unit", "all"]},
            "levels": {"type": "array", "items": {"type": "string", "enum": levels}},
            "hidden": names(),
            "fixed": names(),
            "logged": {"type": "boolean", "description": "Reads of personal data are told."},
        },
    })
}

fn member() -> Value {
    // Address and name are for whom the right shows personal fields.
    let user = json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": id("The person."),
            "email": email("Theirs; absent where personal fields may not be read."),
            "name": text("Theirs; absent where personal fields may not be read."),
        },
    });
    let role = whole(json!({
        "id": id("The role."), "key": text("Stable name: `owner`."), "name": text("For people."),
    }));
    whole(json!({
        "membership_id": id("The membership, to change or end it by."),
        "user": user,
        "role": role,
        "since": instant("When they joined."),
        "ends_at": maybe_instant("When the membership ends by itself; null: it stays."),
    }))
}

fn key() -> Value {
    whole(json!({
        "id": id("To take it back by."),
        "kind": {"type": "string", "enum": ["api_token", "device", "link"]},
        "name": text("What it was called; of a link what it is for."),
        "hint": maybe("string", "The first characters of its secret."),
        "organization": text("Name of the organization that it is good in."),
        "created_at": instant("When it was made."),
        "expires_at": maybe_instant("When it ends by itself; null: never."),
    }))
}

fn named() -> Value {
    whole(json!({"id": id("The organization."), "name": text("Its name.")}))
}

/// All there is, in one answer.
fn data(item: Value) -> Value {
    whole(json!({"data": {"type": "array", "items": item}}))
}

/// An object that always has all of these members.
fn whole(properties: Value) -> Value {
    let required: Vec<&String> =
        properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn id(about: &str) -> Value {
    json!({"type": "string", "format": "uuid", "description": about})
}

fn text(about: &str) -> Value {
    json!({"type": "string", "description": about})
}

fn email(about: &str) -> Value {
    json!({"type": "string", "format": "email", "description": about})
}

fn instant(about: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": about})
}

fn maybe(kind: &str, about: &str) -> Value {
    json!({"type": [kind, "null"], "description": about})
}

fn maybe_instant(about: &str) -> Value {
    json!({"type": ["string", "null"], "format": "date-time", "description": about})
}
