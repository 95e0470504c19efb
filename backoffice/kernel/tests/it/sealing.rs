//! Who has the whole database cannot change the log unseen, and the log's calendar goes on while
//! others read and write it.

use std::sync::Arc;

use kernel::audit::{self, Fault, Head, OrgReport};
use kernel::clock::SystemClock;
use kernel::db::Admin;
use kernel::testkit::TestDb;
use serde_json::json;
use uuid::Uuid;

use crate::hall::House;

async fn verified(house: &House, database: &TestDb) -> OrgReport {
    let report = audit::verify(&database.migrate_url, Some(house.org.id)).await.unwrap();
    report.organizations.into_iter().next().unwrap()
}

/// Triggers keep still, constraints do not; what the database itself refuses needs no proof.
async fn tamper(admin: &Admin, sql: &str) -> bool {
    admin.batch("set session_replication_role = replica").await.unwrap();
    let done = admin.batch(sql).await.is_ok();
    admin.batch("set session_replication_role = origin").await.unwrap();
    done
}

/// The value of a column with one bit of its byte `place` (of three: first, middle, last) turned;
/// some value where there is none.
fn flipped(column: &str, ty: &str, place: i64) -> String {
    let byte = |bytes: &str| {
        let at = format!("((octet_length({bytes}) - 1) * {place} / 2)");
        format!("set_byte({bytes}, {at}, get_byte({bytes}, {at}) # 1)")
    };
    match ty {
        "uuid" => {
            let sent = byte(&format!("uuid_send({column})"));
            format!("coalesce(encode({sent}, 'hex')::uuid, uuid7())")
        }
        "bytea" => format!("coalesce({}, '\\x01')", byte(column)),
        "text" => {
            let sent = byte(&format!("convert_to({column}, 'UTF8')"));
            format!("coalesce(convert_from({sent}, 'UTF8'), 'x')")
        }
        "jsonb" => {
            let sent = byte(&format!(
                "convert_to(({column} ->> (select min(key) from \
                                      jsonb_object_keys({column}) key)), 'UTF8')"
            ));
            format!(
                "coalesce(jsonb_set({column}, array[(select min(key) from jsonb_object_keys({column}) key)], \
                          to_jsonb(convert_from({sent}, 'UTF8'))), '{{}}')"
            )
        }
        "bigint" => format!("coalesce({column} # (1::bigint << (20 * {place})), 7)"),
        "timestamp with time zone" => {
            format!("coalesce({column} + interval '1 microsecond' * (1000 ^ {place}), now())")
        }
        other => panic!("a column of type {other} is not flipped"),
    }
}

async fn columns(admin: &Admin, table: &str) -> Vec<(String, String)> {
    let sql = "select attname::text, format_type(atttypid, atttypmod) from pg_attribute \
                where attrelid = $1::text::regclass and attnum > 0 and not attisdropped";
    let rows = admin.query(sql, &[&table]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The same for the first and the last seal; how many turns were named.
async fn seals_turned(house: &House, database: &TestDb) -> u32 {
    let admin = database.superuser().await.unwrap();
    let mut named = 0;
    for seal in ["asc", "desc"] {
        for (column, ty) in columns(&admin, "change_seals").await {
            for byte in [0, 2] {
                let value = flipped(&column, &ty, byte);
                let sql = format!(
                    "update change_seals set {column} = {value} \
                      where id = (select id from change_seals order by number {seal} limit 1)"
                );
                if !tamper(&admin, &sql).await {
                    continue;
                }
                assert!(verified(house, database).await.fault.is_some(), "{sql}");
                named += 1;
                let put_back =
                    "delete from change_seals; insert into change_seals select * from kept_seals";
                assert!(tamper(&admin, put_back).await);
            }
        }
    }
    named
}

#[tokio::test]
async fn a_byte_turned_anywhere_in_the_log_is_named() {
    let (house, database) = House::alone("turned", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let kept = house.place("kept").await;
    let erased = house.place("erased").await;
    house.patch(&format!("/places/{kept}"), json!({"seats": 3})).await.is(200);
    house.org.hear().await.unwrap();
    let cx = house.org.begin().await.unwrap();
    let row: Uuid = erased.parse().unwrap();
    cx.query("select erase_changes('places', $1)", &[&row]).await.unwrap();
    cx.commit().await.unwrap();
    house.org.hear().await.unwrap();
    let pending = house.place("pending").await;
    let report = verified(&house, &database).await;
    assert_eq!((report.fault, report.redacted > 0, report.pending), (None, true, 1));

    admin.batch("create table kept_changes as select * from changes").await.unwrap();
    admin.batch("create table kept_seals as select * from change_seals").await.unwrap();
    let mut named: u32 = 0;
    let rows = [
        format!("row_id = '{kept}' and op = 'insert'"),
        format!("row_id = '{kept}' and op = 'update' and after ? 'seats'"),
        format!("row_id = '{erased}' and op = 'insert'"),
        format!("row_id = '{erased}' and op = 'erase'"),
        format!("row_id = '{pending}'"),
    ];
    for place in rows {
        let sql = format!("select id from changes where {place}");
        let change: Uuid = admin.query_one(&sql, &[]).await.unwrap().get(0);
        for (column, ty) in columns(&admin, "changes").await {
            for byte in [0, 2] {
                let value = flipped(&column, &ty, byte);
                let sql = format!("update changes set {column} = {value} where id = '{change}'");
                if !tamper(&admin, &sql).await {
                    continue;
                }
                let report = verified(&house, &database).await;
                let found = match &report.fault {
                    Some(Fault::Altered { change, .. } | Fault::Missing { change, .. }) => *change,
                    Some(Fault::Inserted { change }) => *change,
                    other => panic!("{sql}: {other:?}"),
                };
                // What proves an erasure proves the entries before it.
                assert!(
                    found == change
                        || column == "id"
                        || place.contains("'erase'")
                        || place.contains("'pending'"),
                    "{sql}: {found}"
                );
                named += 1;
                let put_back =
                    "delete from changes; insert into changes select * from kept_changes";
                assert!(tamper(&admin, put_back).await);
            }
        }
    }
    named += seals_turned(&house, &database).await;
    assert!(named > 100, "only {named} were tried");
    assert_eq!(verified(&house, &database).await.fault, None);
}

#[tokio::test]
async fn values_that_went_without_an_entry_and_a_change_sealed_twice_are_named() {
    let (house, database) = House::alone("bare", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let place = house.place("bare").await;
    house.org.hear().await.unwrap();
    let bare = format!(
        "update changes set before = null, after = null, reason = null, salt = null, \
                            erased_at = now() where row_id = '{place}' and op = 'insert'"
    );
    let again = "insert into change_seals (org_id, id, created_at, number, members, previous, digest) \
        select org_id, id, now(), number, members, digest, seal_digest(org_id, id, number, now(), digest, chained) \
          from (select s.org_id, uuid7() as id, s.number + 1 as number, s.digest, \
                       uuid_send(c.id) as members, uuid_send(c.id) || c.digest as chained \
                  from (select * from change_seals order by number desc limit 1) s, \
                       (select * from changes order by id limit 1) c) as another";
    for (sql, fault) in [(again, "BrokenSeal"), (&bare, "Altered")] {
        assert!(tamper(&admin, sql).await);
        let found = format!("{:?}", verified(&house, &database).await.fault);
        assert!(found.contains(fault), "{sql}: {found}");
        tamper(
            &admin,
            "delete from change_seals where number = (select max(number) from change_seals)",
        )
        .await;
    }
}

#[tokio::test]
async fn an_organization_without_its_log_is_named() {
    let (house, database) = House::alone("emptied", Arc::new(SystemClock)).await;
    house.place("gone").await;
    house.org.hear().await.unwrap();
    let admin = database.superuser().await.unwrap();
    assert!(tamper(&admin, "delete from changes; delete from change_seals").await);
    let report = audit::verify(&database.migrate_url, None).await.unwrap();
    let ours = report.organizations.iter().find(|one| one.org == house.org.id).unwrap();
    assert_eq!(ours.fault, Some(Fault::Emptied));
}

#[tokio::test]
async fn partitions_are_made_while_others_read_and_write_the_log() {
    let (house, database) = House::alone("months", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let last: String = admin
        .query_one("select max(relname)::text from pg_class where relname like 'changes_y%' and relkind = 'r'", &[])
        .await
        .unwrap()
        .get(0);
    admin.batch(&format!("drop table {last}")).await.unwrap();
    // A backup or a verification reads all of it; a request has written and not yet committed.
    let reader = database.superuser().await.unwrap();
    reader
        .batch("begin isolation level repeatable read; select count(*) from changes")
        .await
        .unwrap();
    let cx = house.org.begin().await.unwrap();
    cx.execute(
        "insert into places (org_id, name, key) values ($1, 'open', 'open')",
        &[&house.org.id],
    )
    .await
    .unwrap();
    let made = async || -> kernel::error::Result<i32> {
        let work = house.service.work().await?;
        let made = work.query_one("select make_change_partitions()", &[]).await?.try_get(0)?;
        work.commit().await?;
        Ok(made)
    };
    assert_eq!(made().await.unwrap(), 1);
    cx.commit().await.unwrap();
    reader.batch("commit").await.unwrap();
    // What does conflict is not waited for, so nothing queues behind it.
    admin.batch(&format!("drop table {last}")).await.unwrap();
    reader.batch("begin; lock table changes in share row exclusive mode").await.unwrap();
    let refused = made().await.unwrap_err();
    assert!(refused.log_text().contains("lock"), "{}", refused.log_text());
    reader.batch("commit").await.unwrap();
    assert_eq!(made().await.unwrap(), 1);
    let sql = "select count(*) from pg_indexes where tablename = $1";
    let indexes: i64 = admin.query_one(sql, &[&last]).await.unwrap().get(0);
    assert_eq!(indexes, 2, "a partition has the indexes of the log");
}

/// What the owner of a database can do: new values, and every digest and seal behind them made anew.
const WRITTEN_ANEW: &str = "
    update changes set after = jsonb_set(after, '{seats}', '9')
     where after ? 'seats' and row_id = '{row}';
    update changes set values_digest = change_values_digest(salt, before, after, reason)
     where salt is not null;
    update changes c set digest = change_digest(c);
    do $$
    declare
        seal change_seals;
        v_previous bytea;
        v_changes bytea;
    begin
        for seal in select * from change_seals order by org_id, number loop
            if seal.number = 1 then
                v_previous := decode(repeat('00', 32), 'hex');
            end if;
            select string_agg(m.id || c.digest, ''::bytea order by m.place) into v_changes
              from (select substr(seal.members, n * 16 + 1, 16) as id, n as place
                      from generate_series(0, octet_length(seal.members) / 16 - 1) n) m
              join changes c on c.org_id = seal.org_id and uuid_send(c.id) = m.id;
            update change_seals
               set previous = v_previous,
                   digest = seal_digest(seal.org_id, seal.id, seal.number, seal.created_at,
                                        v_previous, v_changes)
             where org_id = seal.org_id and id = seal.id
            returning digest into v_previous;
        end loop;
    end
    $$";

#[tokio::test]
async fn a_log_written_anew_is_told_by_a_head_kept_elsewhere() {
    let (house, database) = House::alone("anew", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let place = house.place("changed").await;
    house.patch(&format!("/places/{place}"), json!({"seats": 3})).await.is(200);
    house.org.hear().await.unwrap();
    let url = &database.migrate_url;
    let kept = audit::verify(url, None).await.unwrap();
    assert!(kept.is_whole(), "{kept:?}");
    let heads = Head::of_report(&kept.show()).unwrap();
    assert!(heads.iter().any(|head| head.org == house.org.id), "{heads:?}");

    // A longer log still has the head.
    house.patch(&format!("/places/{place}"), json!({"seats": 4})).await.is(200);
    house.org.hear().await.unwrap();
    assert!(audit::verify_since(url, None, &heads).await.unwrap().is_whole());

    admin.batch("create table kept_changes as select * from changes").await.unwrap();
    admin.batch("create table kept_seals as select * from change_seals").await.unwrap();
    assert!(tamper(&admin, &WRITTEN_ANEW.replace("{row}", &place)).await);
    assert!(audit::verify(url, None).await.unwrap().is_whole(), "it does not show by itself");
    let rewritten = async || {
        let report = audit::verify_since(url, Some(house.org.id), &heads).await.unwrap();
        matches!(report.organizations[0].fault, Some(Fault::Rewritten { .. }))
    };
    assert!(rewritten().await, "written anew");

    let put_back = "delete from changes; insert into changes select * from kept_changes; \
                    delete from change_seals; insert into change_seals select * from kept_seals";
    assert!(tamper(&admin, put_back).await);
    assert!(!rewritten().await, "put back");
    assert!(tamper(&admin, "delete from change_seals; delete from changes").await);
    assert!(!audit::verify_since(url, Some(house.org.id), &heads).await.unwrap().is_whole());
    let refused = admin.batch("truncate change_seals").await;
    assert!(refused.is_err(), "seals are not emptied either");
    admin.close().await;
}

#[test]
fn a_report_that_is_none_is_told_where() {
    for (report, at) in [
        (json!({}), "organizations: must"),
        (json!({"organizations": [{"organization": "x"}]}), "organizations.0.organization: must"),
        (
            json!({"organizations": [{"organization": Uuid::nil(), "head": {"seal": "1"}}]}),
            "organizations.0.head.seal: must",
        ),
        (
            json!({"organizations": [{"organization": Uuid::nil(),
                                      "head": {"seal": 1, "digest": "ab"}}]}),
            "organizations.0.head.digest: must",
        ),
    ] {
        let told = Head::of_report(&report).unwrap_err();
        assert!(told.starts_with(at), "{told}");
    }
}
