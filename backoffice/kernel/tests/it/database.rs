//! What the database defends by itself, whoever writes: tenants, versions, the change log, logs,
//! machine tables, definer functions, partitions. No engine takes part.

use std::sync::Arc;
use std::time::Duration;

use kernel::catalog::{Catalog, ObjectKind};
use kernel::clock::SystemClock;
use kernel::db::Admin;
use kernel::ddl;
use kernel::entity::{
    Check, Domain, Entity, Field, Unique, boolean, bytes, email, instant, integer, json, link,
    money, text, text_list,
};
use kernel::error::Code;
use kernel::registry::Registry;
use kernel::service::{Service, Shutdown};
use kernel::testkit::{self, Planter, TestDb};
use kernel::{schema, startup};
use serde_json::json;
use tokio::sync::OnceCell;
use uuid::Uuid;

static PEOPLE: Entity = Entity::new("people")
    .grant("club.people")
    .about("A person.")
    .fields(&[
        email("email").required().personal(),
        text("email_key").required().computed("lower(email)"),
        bytes("pin_hash", 32).secret(),
        integer("age", 0, 150),
        money("fee").required(),
        json("notes"),
        link("friend_id", "club.people"),
    ])
    .uniques(&[Unique {
        name: "people_email_key_key",
        fields: &["email_key"],
        code: Code::AlreadyExists,
    }]);
static VISITS: Entity =
    Entity::new("visits").grant("club.people").about("Somebody came.").log().fields(&[
        link("person_id", "club.people").required(),
        instant("at").required(),
        boolean("late").required(),
        text_list("tags", 3).required(),
    ]);
static CLUBS: Entity =
    Entity::new("clubs").global().about("A club.").fields(&[text("name").required()]);
static TASKS: Entity = Entity::new("tasks")
    .machine()
    .enqueued()
    .about("Work to do.")
    .fields(&[link("person_id", "club.people"), link("club_id", "club.clubs")])
    .checks(&[Check {
        name: "tasks_for_somebody",
        sql: "person_id is not null or club_id is not null",
        code: Code::Required,
        field: "person_id",
    }]);
static CLUB: Domain =
    Domain { name: "club", entities: &[&PEOPLE, &VISITS, &CLUBS, &TASKS], ..Domain::EMPTY };

fn registry() -> &'static Registry {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    REGISTRY.get_or_init(|| Registry::new(&[&CLUB]).unwrap().leak())
}

async fn database() -> &'static TestDb {
    static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
    DATABASE
        .get_or_try_init(async || {
            let script = ddl::script(registry());
            TestDb::create("club", &[&script]).await
        })
        .await
        .unwrap()
}

/// A fresh organization: the superuser to arrange and look, and role app inside it.
struct House {
    org: Uuid,
    admin: Admin,
    app: Admin,
}

impl House {
    async fn new() -> Self {
        let database = database().await;
        let admin = database.superuser().await.unwrap();
        let app = database.app().await.unwrap();
        let org: Uuid = admin.query_one("select uuid7()", &[]).await.unwrap().get(0);
        app.batch(&format!("set app.org_id = '{org}'")).await.unwrap();
        Self { org, admin, app }
    }

    fn planter(&self) -> Planter<'_> {
        let number = u32::from_be_bytes(self.org.as_bytes()[12..].try_into().unwrap()) % 1_000_000;
        Planter { registry: registry(), admin: &self.admin, org: self.org, number, hints: &[] }
    }

    async fn person(&self) -> Uuid {
        self.planter().row(&PEOPLE).await.unwrap()
    }

    /// One number that role app is answered about a row.
    async fn number(&self, sql: &str, row: Uuid) -> i64 {
        self.app.query_one(sql, &[&row]).await.unwrap().get(0)
    }

    /// Entries of the log for a row: op, version, before, after.
    async fn changes(&self, row: Uuid) -> Vec<(String, Option<i64>, serde_json::Value)> {
        let rows = self
            .admin
            .query(
                "select op, version, jsonb_build_array(before, after) from changes
                 where org_id = $1 and row_id = $2 order by id",
                &[&self.org, &row],
            )
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }
}

/// The statement fails, with this in the server's words.
#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, kernel::error::Error>, words: &str) {
    let error = outcome.unwrap_err();
    assert!(error.log_text().contains(words), "{words:?} is not in {}", error.log_text());
}

#[tokio::test]
async fn a_row_is_seen_by_its_organization_alone() {
    let (ours, theirs) = (House::new().await, House::new().await);
    let person = ours.person().await;
    let count = "select count(*) from people where id = $1";
    assert_eq!(ours.number(count, person).await, 1);
    assert_eq!(theirs.number(count, person).await, 0);
    let update = "update people set age = 7 where id = $1";
    assert_eq!(theirs.app.execute(update, &[&person]).await.unwrap(), 0);
    // Without an organization nothing is there; an empty setting is none.
    for setting in ["reset app.org_id", "set app.org_id = ''"] {
        ours.app.batch(setting).await.unwrap();
        assert_eq!(ours.number(count, person).await, 0, "{setting}");
    }
}

#[tokio::test]
async fn a_row_cannot_be_written_for_or_linked_to_another_organization() {
    let (ours, theirs) = (House::new().await, House::new().await);
    let (mine, foreign) = (ours.person().await, theirs.person().await);
    let insert = "insert into people (org_id, email, fee, fee_currency) values ($1, 'a@b.example', 1, 'EUR')";
    refused(ours.app.execute(insert, &[&theirs.org]).await, "row-level security");
    let befriend = "update people set friend_id = $2 where id = $1";
    refused(ours.app.execute(befriend, &[&mine, &foreign]).await, "people_friend_id_fkey");
    refused(ours.app.execute(befriend, &[&mine, &Uuid::max()]).await, "people_friend_id_fkey");
    assert_eq!(ours.app.execute(befriend, &[&mine, &mine]).await.unwrap(), 1);
    refused(
        ours.app.execute("delete from people where id = $1", &[&mine]).await,
        "permission denied",
    );
    refused(ours.app.query("select * from clubs", &[]).await, "permission denied");
}

#[tokio::test]
async fn a_deleted_row_gives_its_key_free() {
    let house = House::new().await;
    let insert = "insert into people (email, fee, fee_currency) values ('Ann@x.example', 1, 'EUR')";
    house.app.batch(insert).await.unwrap();
    refused(
        house.app.batch(&insert.to_lowercase().replace("eur", "EUR")).await,
        "people_email_key_key",
    );
    house.app.batch("update people set deleted_at = now()").await.unwrap();
    house.app.batch(insert).await.unwrap();
}

#[tokio::test]
async fn versions_grow_whoever_writes_and_identity_stays() {
    let house = House::new().await;
    let person = house.person().await;
    let set =
        |what: &str| format!("update people set {what} where id = '{person}' returning version");
    let version = |what: &str| {
        let sql = set(what);
        let app = &house.app;
        async move { app.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0) }
    };
    assert_eq!(version("age = 3").await, 2);
    assert_eq!(version("age = 4, version = 1").await, 3, "a version cannot be set back");
    refused(house.app.query(&set("id = uuid7()"), &[]).await, "never change");
    refused(
        house.app.query(&set("created_at = now() - interval '1 day'"), &[]).await,
        "never change",
    );
}

#[tokio::test]
async fn the_change_log_tells_what_changed_and_keeps_secrets() {
    let house = House::new().await;
    let person = house.person().await;
    for statement in [
        "set app.actor_kind = 'user'; set app.actor_id = 'ann'; set app.reason = 'a test'",
        "update people set age = 40, pin_hash = '\\x0102'",
        "update people set pin_hash = '\\x0304'",
        "update people set age = 40",
        "update people set age = null, deleted_at = '2027-01-01T00:00:00Z'",
        "update people set deleted_at = null",
    ] {
        house.app.batch(statement).await.unwrap();
    }
    let changes = house.changes(person).await;
    let (op, version, values) = &changes[0];
    assert_eq!((op.as_str(), *version), ("insert", Some(1)));
    assert_eq!(values[1]["fee_currency"], "EUR");
    assert!(values[1].get("pin_hash").is_none());
    let rest: Vec<_> =
        changes[1..].iter().map(|(o, v, values)| (o.as_str(), *v, values.clone())).collect();
    let at = "2027-01-01T00:00:00+00:00";
    assert_eq!(
        rest,
        [
            ("update", Some(2), json!([null, {"age": 40}])),
            // A secret changed: that is told, its value is not.
            ("update", Some(3), json!([null, null])),
            // An update of nothing (version 4) is not told.
            ("delete", Some(5), json!([{"age": 40}, {"age": null, "deleted_at": at}])),
            ("restore", Some(6), json!([{"deleted_at": at}, {"deleted_at": null}])),
        ]
    );
    let row = house
        .app
        .query_one(
            "select bool_and(digest = change_digest(changes)),
                    string_agg(distinct actor_kind || ' ' || coalesce(actor_id, '') || ' ' || coalesce(reason, ''), ','),
                    (select string_agg(topic, ' ' order by id) from outbox where row_id = $1)
             from changes where row_id = $1",
            &[&person],
        )
        .await;
    refused(row, "permission denied for table outbox");
    let row = house
        .app
        .query_one(
            "select bool_and(digest = change_digest(changes)),
                    string_agg(distinct concat_ws(' ', actor_kind, actor_id, reason), ',')
             from changes where row_id = $1",
            &[&person],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0), "a digest does not fit its entry");
    assert_eq!(row.get::<_, String>(1), "system,user ann a test");
    let row = house
        .admin
        .query_one(
            "select string_agg(topic, ' ' order by id), max(body ->> 'fields') filter (where topic = 'people.delete')
             from outbox where row_id = $1",
            &[&person],
        )
        .await
        .unwrap();
    let topics = "people.insert people.update people.update people.delete people.restore";
    assert_eq!(row.get::<_, String>(0), topics);
    assert_eq!(row.get::<_, String>(1), r#"["age", "deleted_at"]"#);
}

#[tokio::test]
async fn nobody_edits_the_change_log_and_erasure_keeps_the_digest() {
    let (house, other) = (House::new().await, House::new().await);
    let person = house.person().await;
    for edit in [
        "insert into changes select * from changes limit 0",
        "update changes set reason = 'x'",
        "delete from changes",
        "truncate changes",
    ] {
        refused(house.app.batch(edit).await, "permission denied");
    }
    let mine = format!("where row_id = '{person}'");
    for edit in ["update changes set reason = 'x'", "delete from changes"] {
        // Not even who passes row-level security.
        refused(house.admin.batch(&format!("{edit} {mine}")).await, "append-only");
    }
    let erase = "select erase_changes('people', $1)";
    assert_eq!(other.number(erase, person).await, 0, "only the active organization's log");
    assert_eq!(house.number(erase, person).await, 1);
    assert_eq!(house.number(erase, person).await, 0, "erased once");
    let row = house
        .app
        .query_one(
            "select bool_and(before is null and after is null and reason is null and salt is null
                             and erased_at is not null) filter (where op <> 'erase'),
                    bool_and(after = '{\"entries\": 1}' and salt is not null) filter (where op = 'erase'),
                    bool_and(digest = change_digest(changes))
             from changes where row_id = $1",
            &[&person],
        )
        .await
        .unwrap();
    let [bare, told, proved] = [0, 1, 2].map(|index| row.get::<_, bool>(index));
    assert!(bare && told && proved, "{bare} {told} {proved}");
}

#[tokio::test]
async fn logs_only_grow() {
    let house = House::new().await;
    let visit = house.planter().row(&VISITS).await.unwrap();
    assert!(house.changes(visit).await.is_empty(), "a log is its own history");
    let edits = ["update visits set late = false", "delete from visits"];
    for edit in edits {
        refused(house.app.batch(edit).await, "permission denied");
        refused(house.admin.batch(&format!("{edit} where id = '{visit}'")).await, "append-only");
    }
}

#[tokio::test]
async fn machine_rows_are_enqueued_by_app_and_read_by_work() {
    let (house, other) = (House::new().await, House::new().await);
    let person = house.person().await;
    let enqueue = "insert into tasks (org_id, person_id) values ($1, $2)";
    house.app.execute(enqueue, &[&house.org, &person]).await.unwrap();
    refused(house.app.execute(enqueue, &[&other.org, &person]).await, "row-level security");
    refused(house.app.query("select * from tasks", &[]).await, "permission denied");
    let work = Admin::connect(&database().await.work_url).await.unwrap();
    work.batch("set row_security = on").await.unwrap();
    let count = "select count(*) from tasks where org_id = $1";
    let found: i64 = work.query_one(count, &[&house.org]).await.unwrap().get(0);
    assert_eq!(found, 1);
    refused(work.query("select * from people", &[]).await, "permission denied");
    refused(work.query("select * from changes", &[]).await, "permission denied");
}

#[tokio::test]
async fn the_schema_is_what_the_descriptors_say() {
    let database = database().await;
    let admin = database.superuser().await.unwrap();
    let catalog = Catalog::read(&admin).await.unwrap();
    assert_eq!(startup::compare(registry(), &catalog), Vec::<String>::new());
    assert_eq!(schema::strangers(&catalog, registry()), Vec::<String>::new());
    let forced: Vec<&str> =
        catalog.of(ObjectKind::RowSecurity).map(|(key, _)| key.on.as_str()).collect();
    assert_eq!(forced, ["changes", "outbox", "people", "tasks", "visits"]);
    let grants: Vec<String> = catalog
        .of(ObjectKind::Grant)
        .filter(|(key, _)| key.on == "table clubs" || key.on == "table visits")
        .map(|(key, _)| format!("{}: {}", key.on, key.name))
        .collect();
    assert_eq!(
        grants,
        [
            "table clubs: delete to atlvs_definer",
            "table clubs: insert to atlvs_definer",
            "table clubs: select to atlvs_definer",
            "table clubs: update to atlvs_definer",
            "table visits: insert to atlvs_app",
            "table visits: select to atlvs_app",
            "table visits: select to atlvs_definer",
        ]
    );
}

#[tokio::test]
async fn partitions_reach_two_years_and_are_nobodys() {
    let house = House::new().await;
    let row = house
        .admin
        .query_one(
            "select count(*), count(*) filter (where relacl is not null),
                    count(*) filter (where pg_get_userbyid(relowner) <> 'atlvs_definer')
             from pg_class where relispartition and relkind = 'r' and relname like 'changes_y%'",
            &[],
        )
        .await
        .unwrap();
    let figures = (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2));
    assert_eq!(figures, (25, 0, 0));
    refused(house.app.batch("select make_change_partitions()").await, "permission denied");
    let work = Admin::connect(&database().await.work_url).await.unwrap();
    let made: i32 = work.query_one("select make_change_partitions()", &[]).await.unwrap().get(0);
    assert_eq!(made, 0, "all were there");
    let partition: String = house
        .admin
        .query_one("select to_char(now() at time zone 'UTC', '\"changes_y\"YYYY\"m\"MM')", &[])
        .await
        .unwrap()
        .get(0);
    refused(house.app.query(&format!("select * from {partition}"), &[]).await, "permission denied");
}

#[tokio::test]
async fn a_missing_partition_is_named_and_made_by_the_loop() {
    let script = ddl::script(registry());
    let own = TestDb::create("partitions", &[&script]).await.unwrap();
    let service = Service::new(registry(), testkit::settings(&own), Arc::new(SystemClock)).unwrap();
    assert_eq!(startup::missing(&service).await.unwrap(), Vec::<String>::new());
    let admin = own.superuser().await.unwrap();
    let partition: String = admin
        .query_one("select to_char(now() at time zone 'UTC', '\"changes_y\"YYYY\"m\"MM')", &[])
        .await
        .unwrap()
        .get(0);
    admin.batch(&format!("drop table {partition}")).await.unwrap();
    let missing = startup::missing(&service).await.unwrap();
    assert_eq!(missing, [format!("partition {partition} of the change log is missing")]);
    let keep = kernel::accounts::DOMAIN.loops.iter().find(|l| l.name == "partitions").unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let running = tokio::spawn((keep.run)(service.clone(), shutdown));
    tokio::time::timeout(Duration::from_secs(30), async {
        while !startup::missing(&service).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the loop makes the partition");
    trigger.end();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn ids_sort_by_time_and_say_their_version() {
    let house = House::new().await;
    let rows = house.admin.query("select uuid7() from generate_series(1, 200)", &[]).await.unwrap();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    assert!(ids.iter().all(|id| id.get_version_num() == 7));
    assert!(ids.iter().all(|id| id.get_variant() == uuid::Variant::RFC4122));
    // The time has 12 bits below the millisecond: equal at worst within a quarter of a microsecond.
    let time = |id: &Uuid| id.as_u128() >> 64;
    assert!(ids.windows(2).all(|pair| time(&pair[0]) <= time(&pair[1])));
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 200);
}

#[tokio::test]
async fn a_column_is_dropped_in_two_releases() {
    const fn things(fields: &'static [Field], retired: &'static [Field]) -> Entity {
        Entity::new("things").grant("club.things").about("A thing.").fields(fields).retired(retired)
    }
    static FIRST: Entity = things(&[text("colour").required()], &[]);
    static SECOND: Entity = things(&[], &[text("colour").required()]);
    static THIRD: Entity = things(&[], &[]);
    let release = |entity: &'static Entity| {
        let entities: &'static [&'static Entity] = Box::leak(Box::new([entity]));
        let domain = Domain { name: "club", entities, ..Domain::EMPTY };
        Registry::new(&[Box::leak(Box::new(domain))]).unwrap()
    };
    let url = &database().await.migrate_url;
    let first = ddl::script(&release(&FIRST));
    // The second release leaves the column empty; the first one may run beside it.
    let second = schema::pending(url, &release(&SECOND), &[&first]).await.unwrap();
    assert!(second.contains("alter table things alter column colour drop not null;"), "{second}");
    assert!(!second.contains("drop column"), "{second}");
    let history = [first.as_str(), second.as_str()];
    assert_eq!(schema::pending(url, &release(&SECOND), &history).await.unwrap(), "");
    // Then the drop is shown for a person to say.
    let third = schema::pending(url, &release(&THIRD), &history).await.unwrap();
    assert!(third.contains("\n-- alter table things drop column colour;"), "{third}");
    let said = third.replace("-- alter table", "alter table");
    let history = [first.as_str(), second.as_str(), said.as_str()];
    assert_eq!(schema::pending(url, &release(&THIRD), &history).await.unwrap(), "");
}

#[tokio::test]
async fn a_difference_becomes_a_migration_that_leaves_none() {
    static PEOPLE_NEXT: Entity = Entity::new("people")
        .grant("club.people")
        .about("A person.")
        .fields(&[
            email("address").was("email").required().personal(),
            text("email_key").required().computed("lower(address)"),
            bytes("pin_hash", 64).secret(),
            integer("age", 0, 150).required().default("18"),
            money("dues").was("fee").required(),
            json("notes"),
            link("friend_id", "club.people").cascade(),
            link("club_id", "club.clubs"),
        ])
        .indexes(&[&["age"]]);
    static SEATS: Entity = Entity::new("seats")
        .grant("club.people")
        .about("A seat.")
        .fields(&[text("name").required(), link("person_id", "club.people").required()]);
    static NEXT: Domain = Domain {
        name: "club",
        entities: &[&PEOPLE_NEXT, &VISITS, &CLUBS, &TASKS, &SEATS],
        sql: &[(
            "seats.sql",
            "create or replace function count_seats() returns bigint language sql stable as
             'select count(*) from seats';\n",
        )],
        ..Domain::EMPTY
    };
    let url = &database().await.migrate_url;
    let first = ddl::script(registry());
    assert_eq!(schema::pending(url, registry(), &[&first]).await.unwrap(), "");
    let next = Registry::new(&[&NEXT]).unwrap();
    let second = schema::pending(url, &next, &[&first]).await.unwrap();
    for line in [
        "alter table people rename column email to address;",
        "alter table people rename column fee_currency to dues_currency;",
        "create table seats (",
        "alter table seats force row level security;",
    ] {
        assert!(second.contains(line), "{line} is not in\n{second}");
    }
    assert_eq!(schema::pending(url, &next, &[&first, &second]).await.unwrap(), "");
}

#[tokio::test]
async fn a_role_that_passes_and_a_switched_off_trigger_are_named_at_start() {
    let script = ddl::script(registry());
    let own = TestDb::create("passes", &[&script]).await.unwrap();
    let with = |url: &kernel::settings::Secret| {
        let mut settings = testkit::settings(&own);
        settings.database.app_url = url.clone();
        Service::new(registry(), settings, Arc::new(SystemClock)).unwrap()
    };
    let said = "of DATABASE_URL passes row-level security: use atlvs_app";
    for url in [&own.superuser_url, &own.migrate_url] {
        let missing = startup::missing(&with(url)).await.unwrap();
        assert!(missing.len() == 1 && missing[0].ends_with(said), "{missing:?}");
    }
    let admin = own.superuser().await.unwrap();
    let before = Catalog::read(&admin).await.unwrap();
    admin
        .batch(
            "alter table people disable trigger people_change_update;
             create policy people_all on people for select to atlvs_app using (true);
             create view everyone as select * from people;
             grant select (age) on people to atlvs_portal;",
        )
        .await
        .unwrap();
    let missing = startup::missing(&with(&own.app_url)).await.unwrap();
    assert_eq!(
        missing,
        [
            "trigger people_change_update of table people is disabled",
            "policy people_all of table people is too wide",
        ]
    );
    let after = Catalog::read(&admin).await.unwrap();
    let told = schema::diff(&after, &before, &[]).join("\n");
    for word in
        ["create trigger people_change_update", "people_all", "view everyone", "select (age)"]
    {
        assert!(told.to_lowercase().contains(&word.to_lowercase()), "{word} is not in {told}");
    }
}
