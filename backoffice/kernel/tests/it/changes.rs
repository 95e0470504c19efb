//! What the change log tells of statements that touch many rows, and in which order; the engine
//! takes no part.

use kernel::db::Admin;
use kernel::ddl;
use kernel::entity::{Domain, Entity, Unique, bytes, instant, integer, json, link, text};
use kernel::error::Code;
use kernel::registry::Registry;
use kernel::testkit::TestDb;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

static BOOKS: Entity = Entity::new("books")
    .grant("shelf.books")
    .about("A book.")
    .fields(&[
        text("code").required(),
        integer("pages", 0, 10_000),
        bytes("key_hash", 32).secret(),
        instant("seen_at").unlogged(),
        json("notes"),
    ])
    .natural(&["code"])
    .uniques(&[Unique { name: "books_code_key", fields: &["code"], code: Code::AlreadyExists }]);
static COPIES: Entity = Entity::new("copies")
    .grant("shelf.books")
    .about("A copy of one.")
    .fields(&[link("book_id", "shelf.books").required().cascade(), text("place")]);
static SHELF: Domain = Domain { name: "shelf", entities: &[&BOOKS, &COPIES], ..Domain::EMPTY };

async fn database() -> &'static TestDb {
    static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
    DATABASE
        .get_or_try_init(async || {
            let registry = Registry::new(&[&SHELF]).unwrap();
            TestDb::create("shelf", &[&ddl::script(&registry)]).await
        })
        .await
        .unwrap()
}

/// An organization: role app inside it, and the superuser to look and to do what app may not.
struct Shelf {
    org: Uuid,
    app: Admin,
    admin: Admin,
}

type Told = Vec<(String, String, Option<i64>, Value, Value)>;

impl Shelf {
    async fn new() -> Self {
        let admin = database().await.superuser().await.unwrap();
        let org: Uuid = admin.query_one("select uuid7()", &[]).await.unwrap().get(0);
        let app = database().await.app().await.unwrap();
        app.batch(&format!("set app.org_id = '{org}'")).await.unwrap();
        Self { org, app, admin }
    }

    /// Runs it and answers what it told: table, operation, version, before, after; by table and by
    /// the row's code or place, whatever order the rows came in.
    async fn told(&self, sql: &str) -> Told {
        self.told_of(&self.app, sql).await
    }

    async fn told_of(&self, writer: &Admin, sql: &str) -> Told {
        let last = "select coalesce(max(id::text), '') from changes where org_id = $1";
        let last: String = self.admin.query_one(last, &[&self.org]).await.unwrap().get(0);
        writer.batch(sql).await.unwrap();
        let rows = self
            .admin
            .query(
                "select c.table_name, c.op, c.version, coalesce(c.before, 'null'), coalesce(c.after, 'null'),
                        c.digest = change_digest(c),
                        o.topic = c.table_name || '.' || c.op and o.row_id = c.row_id
                 from changes c join outbox o on o.change_id = c.id
                 left join books b on b.org_id = c.org_id and b.id = c.row_id
                 left join copies p on p.org_id = c.org_id and p.id = c.row_id
                 where c.org_id = $1 and c.id::text > $2
                 order by c.table_name, coalesce(b.code, p.place, c.before::text), c.id",
                &[&self.org, &last],
            )
            .await
            .unwrap();
        let entry = |row: &kernel::db::Row| {
            assert!(row.get::<_, bool>(5) && row.get::<_, bool>(6), "digest or outbox is wrong");
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4))
        };
        rows.iter().map(entry).collect()
    }

    #[track_caller]
    fn check(told: Told, expect: &[(&str, &str, Option<i64>, Value, Value)]) {
        let told: Vec<_> = told
            .iter()
            .map(|(t, o, v, b, a)| (t.as_str(), o.as_str(), *v, b.clone(), a.clone()))
            .collect();
        assert_eq!(told, expect);
    }
}

const THREE: &str =
    "insert into books (code, pages) values ('a', 1), ('b', 2), ('c', null) returning id";

#[tokio::test]
async fn every_row_of_a_statement_is_told() {
    let shelf = Shelf::new().await;
    let told = shelf.told(THREE).await;
    let custom = json!({});
    let insert = |after: Value| ("books", "insert", Some(1), Value::Null, after);
    Shelf::check(
        told,
        &[
            insert(json!({"code": "a", "pages": 1, "custom": custom})),
            insert(json!({"code": "b", "pages": 2, "custom": custom})),
            insert(json!({"code": "c", "custom": custom})),
        ],
    );
    // One of them stays as it is: that is not told.
    let told = shelf.told("update books set pages = 2").await;
    let update = |before: Value| ("books", "update", Some(2), before, json!({"pages": 2}));
    Shelf::check(told, &[update(json!({"pages": 1})), update(Value::Null)]);
    let told = shelf.told("update books set pages = pages").await;
    Shelf::check(told, &[]);
    let told = shelf.told("update books set pages = 9 where code = 'z'").await;
    Shelf::check(told, &[]);
}

#[tokio::test]
async fn secrets_are_told_without_values_and_the_unlogged_not_at_all() {
    let shelf = Shelf::new().await;
    let told = shelf
        .told("insert into books (code, key_hash, seen_at, notes) values ('a', 'k', now(), '{\"x\": null}')")
        .await;
    let after = json!({"code": "a", "custom": {}, "notes": {"x": null}});
    Shelf::check(told, &[("books", "insert", Some(1), Value::Null, after)]);
    let told = shelf.told("update books set key_hash = 'l'").await;
    Shelf::check(told, &[("books", "update", Some(2), Value::Null, Value::Null)]);
    let told = shelf.told("update books set seen_at = now()").await;
    Shelf::check(told, &[]);
    let told = shelf.told("update books set seen_at = null, notes = '{\"x\": 1}'").await;
    let before = json!({"notes": {"x": null}});
    Shelf::check(told, &[("books", "update", Some(3), before, json!({"notes": {"x": 1}}))]);
}

#[tokio::test]
async fn an_upsert_tells_what_it_made_and_what_it_changed() {
    let shelf = Shelf::new().await;
    shelf.told(THREE).await;
    let told = shelf
        .told(
            "insert into books (code, pages) values ('b', 7), ('c', null), ('d', 8)
             on conflict (org_id, code) where deleted_at is null do update set pages = excluded.pages",
        )
        .await;
    Shelf::check(
        told,
        &[
            ("books", "update", Some(2), json!({"pages": 2}), json!({"pages": 7})),
            (
                "books",
                "insert",
                Some(1),
                Value::Null,
                json!({"code": "d", "pages": 8, "custom": {}}),
            ),
        ],
    );
}

#[tokio::test]
async fn a_mark_of_deletion_and_its_end_are_told_by_name() {
    let shelf = Shelf::new().await;
    shelf.told(THREE).await;
    let at = "2027-01-01T00:00:00+00:00";
    let told = shelf
        .told(&format!(
            "update books set deleted_at = case code when 'a' then '{at}'::timestamptz end, pages = 5
              where code <> 'c'"
        ))
        .await;
    Shelf::check(
        told,
        &[
            (
                "books",
                "delete",
                Some(2),
                json!({"pages": 1}),
                json!({"pages": 5, "deleted_at": at}),
            ),
            ("books", "update", Some(2), json!({"pages": 2}), json!({"pages": 5})),
        ],
    );
    let told = shelf.told("update books set deleted_at = null").await;
    let (before, after) = (json!({"deleted_at": at}), json!({"deleted_at": null}));
    Shelf::check(told, &[("books", "restore", Some(3), before, after)]);
}

#[tokio::test]
async fn rows_that_fall_with_another_are_told() {
    let shelf = Shelf::new().await;
    shelf.told(THREE).await;
    shelf
        .told(
            "insert into copies (book_id, place)
             select id, code || n from books, generate_series(1, 2) n where code <> 'c'",
        )
        .await;
    let books = "select id::text from books where org_id = $1 and code = 'a'";
    let book: String = shelf.admin.query_one(books, &[&shelf.org]).await.unwrap().get(0);
    let delete = format!("delete from books where org_id = '{}'", shelf.org);
    let told = shelf.told_of(&shelf.admin, &format!("{delete} and code = 'a'")).await;
    let copy = |place: &str| {
        let before = json!({"book_id": book, "place": place, "custom": {}});
        ("copies", "delete", None, before, Value::Null)
    };
    let gone = json!({"code": "a", "pages": 1, "custom": {}});
    Shelf::check(told, &[("books", "delete", None, gone, Value::Null), copy("a1"), copy("a2")]);
    // More than one parent at once.
    shelf
        .told("insert into copies (book_id, place) select id, 'c1' from books where code = 'c'")
        .await;
    let told = shelf.told_of(&shelf.admin, &delete).await;
    let tables: Vec<&str> = told.iter().map(|(table, ..)| table.as_str()).collect();
    assert_eq!(tables, ["books", "books", "copies", "copies", "copies"]);
}

#[tokio::test]
async fn each_part_of_one_statement_is_told_once() {
    let shelf = Shelf::new().await;
    shelf.told(THREE).await;
    let told = shelf
        .told(
            "with first as (update books set pages = 4 where code = 'a' returning id),
                  second as (update books set pages = 5 where code = 'b' returning id),
                  third as (insert into copies (book_id, place) select id, 'hall' from first returning id)
             insert into books (code) select 'd' from third",
        )
        .await;
    let told: Vec<(&str, &str)> =
        told.iter().map(|(table, op, ..)| (table.as_str(), op.as_str())).collect();
    assert_eq!(
        told,
        [("books", "update"), ("books", "update"), ("books", "insert"), ("copies", "insert")]
    );
}

#[tokio::test]
async fn a_row_that_changes_its_key_is_told_where_it_was_and_where_it_is() {
    let (shelf, other) = (Shelf::new().await, Shelf::new().await);
    shelf.told(THREE).await;
    let moved = format!(
        "update books set org_id = '{}' where org_id = '{}' and code = 'a'",
        other.org, shelf.org
    );
    let told = shelf.told_of(&shelf.admin, &moved).await;
    let gone = json!({"code": "a", "pages": 1, "custom": {}});
    Shelf::check(told, &[("books", "delete", None, gone.clone(), Value::Null)]);
    let arrived = "select after from changes where org_id = $1 and op = 'insert'";
    let arrived: Value = other.admin.query_one(arrived, &[&other.org]).await.unwrap().get(0);
    assert_eq!(arrived["code"], "a");
}

#[tokio::test]
async fn statements_of_a_transaction_are_told_in_their_order() {
    let shelf = Shelf::new().await;
    let mut statements = vec![THREE.to_owned()];
    statements.extend((10..60).map(|pages| format!("update books set pages = {pages}")));
    shelf.told(&format!("begin; {}; commit", statements.join("; "))).await;
    let rows = shelf
        .admin
        .query(
            "select array_agg((after ->> 'pages')::int order by c.id), array_agg(c.version order by o.id)
             from changes c join outbox o on o.change_id = c.id
             where c.org_id = $1 group by c.row_id",
            &[&shelf.org],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let pages: Vec<Option<i32>> = row.get(0);
        assert_eq!(pages[1..], (10..60).map(Some).collect::<Vec<_>>());
        assert_eq!(row.get::<_, Vec<i64>>(1), (1..=51).collect::<Vec<_>>());
    }
}

/// The canonical text is put together by hand; the database's own printing of an array judges it.
#[tokio::test]
async fn what_a_change_proves_is_an_array_as_the_database_prints_it() {
    let shelf = Shelf::new().await;
    let odd = r#"E'a"\\/\u0001\t€😀'"#;
    shelf
        .told(&format!(
            "begin; select set_config('app.actor_kind', {odd}, true), set_config('app.actor_id', {odd}, true),
                 set_config('app.reason', {odd}, true), set_config('app.request_id', uuid7()::text, true);
             insert into books (code, pages, notes) values ({odd}, 1, '{{\"b\": [1.50, null, \"\\\"\"], \"a\": {{}}}}');
             update books set code = 'plain', pages = null; commit;
             insert into books (code) values ('quiet');
             select erase_changes('books', id) from books where code = 'quiet'"
        ))
        .await;
    let sql = "select c.op, c.salt is null,
             c.values_digest = sha256(c.salt || convert_to(jsonb_build_array(c.before, c.after, c.reason)::text, 'UTF8')),
             c.digest = sha256(c.values_digest || convert_to(jsonb_build_array(
                 c.org_id, c.id, c.table_name, c.row_id, c.op, c.version, c.actor_kind, c.actor_id, c.request_id,
                 to_char(c.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))::text, 'UTF8'))
         from changes c where org_id = $1 order by c.id";
    let rows = shelf.admin.query(sql, &[&shelf.org]).await.unwrap();
    let seen: Vec<(&str, bool, Option<bool>, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let proved = |op| (op, false, Some(true), true);
    let erased = ("insert", true, None, true);
    assert_eq!(seen, [proved("insert"), proved("update"), erased, proved("erase")]);
}
