//! What a check of a file tells beyond its single rows, and whom: rules of the end before anything is
//! written, and rows no further than a reader's rights.

use kernel::accounts::{NewMember, NewToken, add_member, issue_token};
use kernel::cx::Cx;
use kernel::entity::{Entity, integer, link};
use kernel::error::{Code, Error, Result};
use kernel::rule::EndRule;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::files::counts;
use crate::hall::{House, Seen};

pub(crate) static LOAD: Entity = Entity::new("crate_loads")
    .grant("depot.crate_loads")
    .about("A weight on one side of a crate.")
    .importable(true)
    .fields(&[
        link("crate_id", "depot.crates").required(),
        integer("amount", -1_000, 1_000).required(),
    ]);

pub(crate) static END_RULES: &[EndRule] = &[EndRule {
    name: "crate_loads.balance",
    on: "depot.crate_loads",
    by: "crate_id",
    run: |cx, ids| Box::pin(balance(cx, ids)),
}];

async fn balance(cx: &mut Cx, ids: Vec<Uuid>) -> Result<()> {
    let sql = "select crate_id from crate_loads where org_id = $1 and crate_id = any($2) \
         and deleted_at is null group by crate_id having sum(amount) <> 0 limit 1";
    match cx.query_opt(sql, &[&cx.org, &ids]).await? {
        None => Ok(()),
        Some(_) => Err(Error::field(Code::InvalidValue, "amount", "the loads do not balance")),
    }
}

/// Loads of a crate, over several batches of a file: they balance at the end, and not before.
fn loads(crate_id: &str, last: i64) -> String {
    let mut file = "crate_id.code,amount\n".to_owned();
    for n in 0..1_500 {
        file.push_str(&format!("{crate_id},{}\n", if n < 750 { 1 } else { -1 }));
    }
    file + &format!("{crate_id},{last}\n")
}

#[tokio::test]
async fn a_check_tells_what_the_end_would_say() {
    let house = House::open().await;
    let made = house.post("/crates", json!({"name": "A", "code": "a"})).await.is(201);
    // 1,000 rows are a batch: the first one alone does not balance.
    let checked = house.sends("/crate-loads", "", &loads("a", 0)).await;
    assert_eq!((&checked["status"], &checked["error"]), (&json!("checked"), &Value::Null));
    assert_eq!(counts(&checked), [1_501, 0, 0, 0]);
    assert_eq!(house.count("/crate-loads").await, 0, "a check changes nothing");
    let done = house.commits(&checked).await;
    assert_eq!((&done["status"], counts(&done)), (&json!("done"), [1_501, 0, 0, 0]));
    for query in ["", "dry_run=false"] {
        let checked = house.sends("/crate-loads", query, &loads("a", 7)).await;
        assert_eq!(checked["status"], "checked", "{checked}");
        assert_eq!(checked["error"]["code"], "invalid_value", "{checked}");
        assert_eq!(checked["error"]["errors"][0]["field"], "amount");
        assert_eq!(counts(&checked), [1_501, 0, 0, 0], "no row is faulty by itself");
        let path = format!("/imports/{}/commit", checked["id"].as_str().unwrap());
        house.post(&path, json!({})).await.refuses(Code::NotReady, &[]);
    }
    assert_eq!(house.count("/crate-loads?count=exact").await, 1_501);
    // Changes count as the whole file leaves them.
    let (_, out) = house.file("/crate-loads/export?fields=id,amount&filter[amount]=0").await;
    let up = out.replace(",0", ",5");
    let checked = house.sends("/crate-loads", "match=update", &up).await;
    assert_eq!(checked["error"]["code"], "invalid_value", "{checked}");
    assert_eq!(counts(&checked), [0, 1, 0, 0]);
    // Where each batch stands for itself, its rows are told.
    let mixed = "crate_id.code,amount\na,0\na,3\n";
    let checked = house.sends("/crate-loads", "mode=each", mixed).await;
    assert_eq!(house.fates(&checked).await, ["2 create", "3 faulty amount:invalid_value"]);
    let _crate = made;
}

/// A member of the organization with these rights alone.
async fn member(house: &House, name: &str, grants: &Value) -> String {
    let body = json!({"key": name, "name": name, "grants": grants});
    let role = house.post("/roles", body).await.is(201).id().parse().unwrap();
    let mut cx = house.org.begin().await.unwrap();
    let email = format!("{}@example.org", Uuid::new_v4().simple());
    let new = NewMember { email: &email, name: None, password: None, role, ends_at: None };
    let (user, _) = add_member(&mut cx, new).await.unwrap();
    let new = NewToken { name: name.to_owned(), grants: grants.clone(), expires_at: None };
    let (_, token) = issue_token(&mut cx, user, new).await.unwrap();
    cx.commit().await.unwrap();
    token.expose().to_owned()
}

async fn rows(house: &House, import: &Value, token: &str) -> Seen {
    let path = format!("/api/v1/imports/{}/rows", import["id"].as_str().unwrap());
    Seen::of(house.plain("GET", &path).bearer_auth(token)).await
}

/// Faults as `field:code`, a row each; and whether its id is told.
fn told(rows: &Seen) -> Vec<(Vec<String>, bool)> {
    let told = |row: &Value| {
        let faults = row["errors"].as_array().unwrap().iter();
        let faults = faults.map(|fault| {
            format!("{}:{}", fault["field"].as_str().unwrap(), fault["code"].as_str().unwrap())
        });
        (faults.collect(), !row["id"].is_null())
    };
    rows.body["data"].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test]
async fn rows_of_an_import_are_told_as_far_as_a_history_would() {
    let house = House::open().await;
    let imports = json!({"grant": "lists.imports", "rights": ["read"], "scope": "all"});
    let may = |rights: Value, scope: &str, levels: Value| {
        let own = json!({"grant": "depot.crates", "rights": rights, "scope": scope,
            "levels": levels});
        json!([own, imports])
    };
    let open = member(&house, "open", &may(json!(["read"]), "all", json!(["open"]))).await;
    let whole =
        member(&house, "whole", &may(json!(["read"]), "all", json!(["open", "personal"]))).await;
    let own = member(&house, "own", &may(json!(["read"]), "own", json!(["open"]))).await;
    let writer = may(json!(["create"]), "all", json!(["open", "personal"]));
    let writer = member(&house, "writer", &writer).await;
    let nobody = member(&house, "nobody", &json!([imports])).await;

    let file = "name,code,contact,weight\nA,a,no address,9999\nB,b,b@example.org,1\nC,c\n";
    let faulty = house.sends("/crates", "", file).await;
    assert_eq!(counts(&faulty), [1, 0, 0, 2], "{faulty}");
    let strings = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let weight = "weight:out_of_range";
    let (both, format) = (strings(&["contact:invalid_format", weight]), ":invalid_format");
    for (who, expected) in [
        (&open, [strings(&[weight]), vec![], vec![]]),
        (&own, [strings(&[weight]), vec![], vec![]]),
        (&whole, [both.clone(), vec![], vec![]]),
        (&writer, [both, vec![], strings(&[format])]),
    ] {
        let seen = rows(&house, &faulty, who).await.is(200);
        let faults: Vec<Vec<String>> = told(&seen).into_iter().map(|(faults, _)| faults).collect();
        assert_eq!(faults, expected);
    }
    rows(&house, &faulty, &nobody).await.refuses(Code::Forbidden, &[]);

    let done = house.sends("/crates", "dry_run=false", "name,code\nD,d\n").await;
    assert_eq!(done["status"], "done", "{done}");
    for (who, expected) in [(&open, true), (&own, false), (&writer, false)] {
        let seen = rows(&house, &done, who).await.is(200);
        assert_eq!(told(&seen), [(vec![], expected)]);
        assert_eq!(seen.body["data"][0]["version"].is_null(), !expected);
    }
}
