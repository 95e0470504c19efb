//! Which of the console's twelve views fit an entity, and by which fields: the declared ones are
//! suggested, the others follow from kinds and names. Knows nothing of rights.

use serde_json::{Value, json};

use crate::entity::{Access, Entity, Field, Kind, Scope, View};
use crate::registry::{Member, Registry};

/// Columns of a first table; people add and take away.
const COLUMNS_MAX: usize = 8;

/// Tables whose rows are somebody who can have too much to do.
const RESOURCES: &[&str] = &[
    "accounts.users",
    "accounts.teams",
    "identity.parties",
    "workforce.staff_members",
    "assets.assets",
];
const PLACES: &str = "identity.locations";

/// Beginnings of names whose fields are a span of time with each other.
const SPANS: &[(&str, &str)] = &[
    ("starts_", "ends_"),
    ("start_", "end_"),
    ("begins_", "ends_"),
    ("opens_", "closes_"),
    ("valid_from", "valid_until"),
    ("from_", "until_"),
];

/// Kinds of views, in the console's order.
pub(crate) const KINDS: &[&str] = &[
    "list",
    "table",
    "board",
    "calendar",
    "timeline",
    "gantt",
    "workload",
    "map",
    "tree",
    "form",
    "dashboard",
    "activity",
    "public",
];

/// Views that fit: `{"kind", "fields", "suggested"}`, those that every entity has first.
pub(super) fn of(registry: &Registry, member: &Member) -> Vec<Value> {
    let entity = member.entity;
    let mut all = Vec::new();
    if entity.operations.read {
        all.push(view("list", json!({"title": entity.label}), true));
        all.push(view("table", json!({"columns": columns(entity)}), true));
        all.push(view("dashboard", dashboard(entity), false));
        if entity.scope == Scope::Tenant && !entity.log {
            all.push(view("activity", json!({}), true));
        }
    }
    let creates = registry
        .actions()
        .any(|one| one.on == crate::action::On::Create && one.entity.name == entity.name);
    if entity.operations.create || entity.operations.patch || creates {
        all.push(view("form", json!({"fields": form(entity)}), true));
    }
    if entity.operations.read {
        for declared in entity.views {
            all.push(told(entity, *declared, true));
        }
        for fitting in fitting(registry, member) {
            let kind = kind(fitting);
            if !entity.views.iter().any(|own| self::kind(*own) == kind) {
                all.push(told(entity, fitting, false));
            }
        }
    }
    all
}

/// Names of the fields by which a view is drawn, for the checks at start.
pub(crate) fn fields(view: View) -> Vec<&'static str> {
    match view {
        View::Board(field) | View::Tree(field) | View::Map(field) => vec![field],
        View::Calendar(from, until) | View::Timeline(from, until) | View::Gantt(from, until) => {
            vec![from, until]
        }
        View::Workload(from, until, who) => vec![from, until, who],
        View::Public(shown) => shown.to_vec(),
    }
}

fn kind(view: View) -> &'static str {
    match view {
        View::Board(_) => "board",
        View::Tree(_) => "tree",
        View::Map(_) => "map",
        View::Calendar(..) => "calendar",
        View::Timeline(..) => "timeline",
        View::Gantt(..) => "gantt",
        View::Workload(..) => "workload",
        View::Public(_) => "public",
    }
}

fn told(entity: &Entity, declared: View, suggested: bool) -> Value {
    let fields = match declared {
        View::Board(group) => json!({"group": group, "title": entity.label}),
        View::Tree(parent) => json!({"parent": parent, "title": entity.label}),
        View::Map(place) => json!({"place": place, "title": entity.label}),
        View::Calendar(from, until) | View::Timeline(from, until) => {
            json!({"start": from, "end": until, "title": entity.label})
        }
        View::Gantt(from, until) => json!({
            "start": from, "end": until, "title": entity.label, "parent": parent(entity),
        }),
        View::Workload(from, until, who) => {
            json!({"start": from, "end": until, "resource": who, "title": entity.label})
        }
        View::Public(shown) => json!({"columns": shown}),
    };
    view(kind(declared), fields, suggested)
}

fn view(kind: &str, fields: Value, suggested: bool) -> Value {
    json!({"kind": kind, "fields": fields, "suggested": suggested})
}

/// What kinds and names of the fields make possible.
fn fitting(registry: &Registry, member: &Member) -> Vec<View> {
    let entity = member.entity;
    let mut all = Vec::new();
    let choice = |field: &&Field| matches!(field.kind, Kind::Choice(_)) && field.required;
    let group = entity.flow.map(|flow| flow.field);
    all.extend(
        group.or_else(|| entity.fields.iter().find(choice).map(|f| f.name)).map(View::Board),
    );
    if let Some((from, until)) = span(entity) {
        all.push(View::Calendar(from, until));
        if from != until {
            all.push(View::Timeline(from, until));
            all.extend(parent(entity).map(|_| View::Gantt(from, until)));
            all.extend(resource(entity).map(|who| View::Workload(from, until, who)));
        }
    }
    let itself = |link: &&crate::registry::Link| link.target.name == entity.name;
    let above = member.links.iter().find(itself).map(|link| link.field.name);
    all.extend(above.map(View::Tree));
    all.extend(place(registry, member).map(View::Map));
    all
}

/// Two fields that begin and end something, or one date twice.
fn span(entity: &Entity) -> Option<(&'static str, &'static str)> {
    let times = || {
        let timed = |field: &&'static Field| matches!(field.kind, Kind::Date | Kind::Instant);
        entity.fields.iter().filter(timed)
    };
    for field in times() {
        for (from, until) in SPANS {
            let Some(rest) = field.name.strip_prefix(from) else { continue };
            let end = format!("{until}{rest}");
            if let Some(end) = times().find(|other| other.name == end && other.kind == field.kind) {
                return Some((field.name, end.name));
            }
        }
    }
    let due = times().find(|field| field.name.starts_with("due_"));
    due.or_else(|| times().find(|field| field.required)).map(|field| (field.name, field.name))
}

fn parent(entity: &Entity) -> Option<&'static str> {
    let own = |field: &&Field| matches!(field.kind, Kind::Link { to, .. } if to.split_once('.').is_some_and(|(_, table)| table == entity.name));
    entity.fields.iter().find(own).map(|field| field.name)
}

fn resource(entity: &Entity) -> Option<&'static str> {
    let busy =
        |field: &&Field| matches!(field.kind, Kind::Link { to, .. } if RESOURCES.contains(&to));
    entity.fields.iter().find(busy).map(|field| field.name)
}

/// A place of the row's own, else a link to a location.
fn place(registry: &Registry, member: &Member) -> Option<&'static str> {
    let fields = member.entity.fields;
    let own = fields.iter().find(|field| field.kind == Kind::Geo);
    let linked = || {
        let place = registry.qualified(PLACES)?;
        member.links.iter().find(|link| link.target.name == place.name).map(|link| link.field)
    };
    own.or_else(linked).map(|field| field.name)
}

/// What a first table shows: the label, then what fits into a cell.
fn columns(entity: &'static Entity) -> Vec<&'static str> {
    let fits = |field: &&Field| {
        !field.secret
            && !matches!(field.kind, Kind::Json | Kind::Bytes { .. } | Kind::Id)
            && !matches!(field.kind, Kind::Text { max } if max > 300)
            && !matches!(field.access, Access::Computed(_))
            && Some(field.name) != entity.label
    };
    let rest = entity.fields.iter().filter(fits).map(|field| field.name);
    entity.label.into_iter().chain(rest).take(COLUMNS_MAX).collect()
}

fn form(entity: &'static Entity) -> Vec<&'static str> {
    let written = |field: &&Field| {
        !field.secret && matches!(field.access, Access::Writable | Access::WriteOnce)
    };
    entity.fields.iter().filter(written).map(|field| field.name).collect()
}

/// What can be counted by and added up.
fn dashboard(entity: &'static Entity) -> Value {
    let of = |wanted: fn(Kind) -> bool| -> Vec<&'static str> {
        let shown = entity.fields.iter().filter(|field| !field.secret);
        shown.filter(|field| wanted(field.kind)).map(|field| field.name).collect()
    };
    let groups =
        of(|kind| matches!(kind, Kind::Choice(_) | Kind::Bool | Kind::Link { .. } | Kind::Country));
    let sums = of(|kind| {
        matches!(
            kind,
            Kind::Money | Kind::Integer { .. } | Kind::Decimal { .. } | Kind::Quantity { .. }
        )
    });
    json!({"groups": groups, "sums": sums})
}
