//! Entries whose lines balance: what single writes may break for a while and none may leave broken.
//! And a second domain that guards the first one's entity by its name.

use kernel::cx::Cx;
use kernel::entity::{Domain, Entity, integer, link, text};
use kernel::error::{Code, Error, Result};
use kernel::rule::{Change, EndRule, Rule};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Desk, id, is, refused};

pub(crate) static ENTRY: Entity =
    Entity::new("entries").grant("desk.entries").about("Lines that balance.").fields(&[
        text("name").required(),
        integer("lines", 0, i64::MAX).required().default("0").by_action(),
    ]);

pub(crate) static LINE: Entity = Entity::new("entry_lines")
    .grant("desk.entries")
    .about("An amount of an entry.")
    .fields(&[
        link("entry_id", "desk.entries").required().cascade(),
        integer("amount", -1_000, 1_000).required(),
        integer("position", 0, 1_000),
    ])
    .constraints(&[("entry_lines_position_once", Code::Duplicate)]);

/// A deferred trigger: two lines may have one position until the unit of work ends.
pub(crate) const SQL: &str = "
create or replace function entry_lines_position_once() returns trigger
    language plpgsql set search_path = pg_catalog, public as $$
begin
    if new.deleted_at is null and 1 < (
        select count(*) from entry_lines
        where org_id = new.org_id and entry_id = new.entry_id and position = (
                select position from entry_lines where org_id = new.org_id and id = new.id)
            and deleted_at is null) then
        raise exception 'taken' using errcode = '23505',
            constraint = 'entry_lines_position_once', column = 'position';
    end if;
    return null;
end $$;
drop trigger if exists entry_lines_position_once on entry_lines;
create constraint trigger entry_lines_position_once after insert or update on entry_lines
    deferrable initially deferred for each row execute function entry_lines_position_once();
";

pub(crate) static END_RULES: &[EndRule] = &[EndRule {
    name: "entry_lines.balance",
    on: "desk.entry_lines",
    by: "entry_id",
    run: |cx, ids| Box::pin(balance(cx, ids)),
}];

/// Every entry that was touched balances, and knows how many lines it has.
async fn balance(cx: &mut Cx, ids: Vec<Uuid>) -> Result<()> {
    let sql = "select e.id, coalesce(sum(l.amount), 0)::int8, count(l.id) from entries e \
         left join entry_lines l on l.org_id = e.org_id and l.entry_id = e.id and l.deleted_at is null \
         where e.org_id = $1 and e.id = any($2) and e.deleted_at is null group by e.id order by e.id";
    for row in cx.query(sql, &[&cx.org, &ids]).await? {
        let (entry, sum, lines): (Uuid, i64, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if sum != 0 {
            return Err(Error::field(Code::InvalidValue, "amount", "the lines do not balance"));
        }
        cx.set(&ENTRY, entry, &[("lines", json!(lines))]).await?;
    }
    Ok(())
}

/// Knows the desk by name only.
pub(crate) static WATCH: Domain = Domain {
    name: "watch",
    rules: &[Rule {
        name: "watch.late",
        on: "desk.entries",
        run: |_, change| Box::pin(async move { late(&change) }),
    }],
    ..Domain::EMPTY
};

fn late(change: &Change) -> Result<()> {
    let name = change.after.as_ref().and_then(|row| row["name"].as_str());
    match name {
        Some("late") => Err(Error::field(Code::InvalidValue, "name", "the period is closed")),
        _ => Ok(()),
    }
}

async fn entry(desk: &Desk) -> String {
    id(&is(desk.send("POST", "/entries", json!({"name": "e"})).await, 201))
}

async fn bulk(desk: &Desk, mode: &str, operations: &[Value]) -> kernel::testkit::Reply {
    let body = json!({"mode": mode, "operations": operations});
    desk.send("POST", "/entry-lines/bulk", body).await
}

fn line(entry: &str, amount: i64) -> Value {
    json!({"op": "create", "data": {"entry_id": entry, "amount": amount}})
}

async fn amounts(desk: &Desk, entry: &str) -> Vec<i64> {
    let seen = desk.get(&format!("/entries/{entry}/entry-lines?sort=amount")).await;
    let rows = seen.body["data"].as_array().unwrap().clone();
    rows.iter().map(|row| row["amount"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_unit_of_work_leaves_what_balances() {
    let desk = Desk::open().await;
    let one = entry(&desk).await;
    let alone = json!({"entry_id": one, "amount": 5});
    let seen = desk.send("POST", "/entry-lines", alone.clone()).await;
    refused(&seen, Code::InvalidValue, &["amount"]);
    let seen = bulk(&desk, "all", &[line(&one, 5), line(&one, -4)]).await;
    refused(&seen, Code::InvalidValue, &["amount"]);
    assert_eq!(amounts(&desk, &one).await, [0_i64; 0]);
    assert_eq!(desk.traces(&one).await, (1, 1), "nothing but the entry was ever made");
    let seen = is(bulk(&desk, "all", &[line(&one, 5), line(&one, -5)]).await, 200);
    assert_eq!(amounts(&desk, &one).await, [-5, 5]);
    assert_eq!(desk.get(&format!("/entries/{one}")).await.body["lines"], 2);
    let ids: Vec<&str> =
        (0..2).map(|n| seen.body["results"][n]["data"]["id"].as_str().unwrap()).collect();
    // By patch, by deletion, and from where a line is taken as well as where it goes.
    let path = format!("/entry-lines/{}", ids[0]);
    let two = entry(&desk).await;
    for body in [json!({"amount": 6}), json!({"entry_id": two})] {
        refused(&desk.send("PATCH", &path, body).await, Code::InvalidValue, &["amount"]);
    }
    refused(&desk.send("DELETE", &path, Value::Null).await, Code::InvalidValue, &["amount"]);
    let both: Vec<Value> =
        ids.iter().map(|id| json!({"op": "update", "id": id, "data": {"entry_id": two}})).collect();
    is(bulk(&desk, "all", &both).await, 200);
    let lines =
        async |entry: &str| desk.get(&format!("/entries/{entry}")).await.body["lines"].clone();
    assert_eq!((lines(&one).await, lines(&two).await), (json!(0), json!(2)));
    let both: Vec<Value> = ids.iter().map(|id| json!({"op": "delete", "id": id})).collect();
    is(bulk(&desk, "all", &both).await, 200);
    is(desk.send("DELETE", &format!("/entries/{two}"), Value::Null).await, 204);
}

#[tokio::test]
async fn where_parts_stand_alone_each_balances() {
    let desk = Desk::open().await;
    let one = entry(&desk).await;
    let operations = [line(&one, 0), line(&one, 5), json!({"op": "delete", "id": Uuid::nil()})];
    let seen = is(bulk(&desk, "each", &operations).await, 200);
    let statuses: Vec<&Value> = (0..3).map(|n| &seen.body["results"][n]["status"]).collect();
    assert_eq!(statuses, [201, 422, 404]);
    assert_eq!(seen.body["results"][1]["error"]["errors"][0]["field"], "amount");
    assert_eq!(amounts(&desk, &one).await, [0]);
    // What imports do row by row.
    let row = |amount: i64| crate::hall::object(json!({"entry_id": one, "amount": amount}));
    let mut cx = desk.org.begin().await.unwrap();
    cx.parts_stand_alone();
    let made = cx.create_many(&LINE, vec![row(0), row(7), row(0)]).await.unwrap();
    cx.commit().await.unwrap();
    let good: Vec<bool> = made.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true]);
    assert_eq!(amounts(&desk, &one).await, [0, 0, 0]);
    // And as one unit: code of ours that ends it unbalanced commits nothing.
    let mut cx = desk.org.begin().await.unwrap();
    cx.insert(&LINE, row(7)).await.unwrap();
    assert_eq!(cx.commit().await.unwrap_err().code(), Code::InvalidValue);
    let mut cx = desk.org.begin().await.unwrap();
    for amount in [7, -7] {
        cx.insert(&LINE, row(amount)).await.unwrap();
    }
    cx.commit().await.unwrap();
    assert_eq!(amounts(&desk, &one).await, [-7, 0, 0, 0, 7]);
}

/// What an undone part touched is nobody's business.
#[tokio::test]
async fn an_undone_part_is_not_looked_at() {
    let desk = Desk::open().await;
    let one = entry(&desk).await;
    let row = crate::hall::object(json!({"entry_id": one, "amount": 7}));
    let mut cx = desk.org.begin().await.unwrap();
    cx.savepoint().await.unwrap();
    cx.insert(&LINE, row).await.unwrap();
    cx.undo_savepoint().await.unwrap();
    cx.commit().await.unwrap();
    assert_eq!(desk.traces(&one).await, (1, 1), "no rule has looked at it");
}

#[tokio::test]
async fn deferred_constraints_speak_by_field() {
    let desk = Desk::open().await;
    let one = entry(&desk).await;
    let at = |position: i64| json!({"entry_id": one, "amount": 0, "position": position});
    let post = async |position: i64| desk.send("POST", "/entry-lines", at(position)).await;
    let (first, second) = (id(&is(post(1).await, 201)), id(&is(post(2).await, 201)));
    refused(&post(1).await, Code::Duplicate, &["position"]);
    let create = |position: i64| json!({"op": "create", "data": at(position)});
    let operations = [create(3), create(2), create(4)];
    refused(&bulk(&desk, "all", &operations).await, Code::Duplicate, &["position"]);
    let seen = is(bulk(&desk, "each", &operations).await, 200);
    let statuses: Vec<&Value> = (0..3).map(|n| &seen.body["results"][n]["status"]).collect();
    assert_eq!(statuses, [201, 422, 201]);
    // Two change places: between the two writes they have the same one.
    let swap = [(&first, 2), (&second, 1)]
        .map(|(id, to)| json!({"op": "update", "id": id, "data": {"position": to}}));
    is(bulk(&desk, "all", &swap).await, 200);
}

#[tokio::test]
async fn a_domain_guards_what_belongs_to_another() {
    let desk = Desk::open().await;
    let seen = desk.send("POST", "/entries", json!({"name": "late"})).await;
    refused(&seen, Code::InvalidValue, &["name"]);
    let one = entry(&desk).await;
    let seen = desk.send("PATCH", &format!("/entries/{one}"), json!({"name": "late"})).await;
    refused(&seen, Code::InvalidValue, &["name"]);
}
