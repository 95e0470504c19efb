//! A person who was erased is found nowhere any more: not in a column of any table, whatever entity
//! they stood in, and the change log is whole all the same.

use std::process::Command;
use std::str::FromStr as _;

use kernel::audit;
use kernel::db::{Config, Host};
use kernel::entity::{Access, Entity, Field, Kind, Scope};
use kernel::testkit::TestDb;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::registry;
use crate::stage::Stage;

/// Parts of every value that is planted; no one else's value has them.
const WORD: &str = "erasable7f3a9";
const DIGITS: &str = "7391846";

fn planted(field: &Field, number: usize) -> Option<String> {
    Some(match field.kind {
        Kind::Text { .. } => format!("{WORD}-{number}@example.org"),
        Kind::Slug => format!("{WORD}-{number}"),
        Kind::Email => format!("{WORD}-{number}@example.org"),
        Kind::Phone => format!("+49 (0){DIGITS}-{number:04}"),
        Kind::Url => format!("https://{WORD}.example.org/{number}"),
        _ => return None,
    })
}

fn is_of_people(entity: &Entity) -> bool {
    let personal = |field: &Field| field.personal && planted(field, 0).is_some();
    entity.scope == Scope::Tenant && entity.fields.iter().any(personal)
}

/// Everything that the database holds, as text.
fn dump(db: &TestDb) -> String {
    let config = Config::from_str(db.superuser_url.expose()).unwrap();
    let host = match config.get_hosts().first().unwrap() {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let output = Command::new("pg_dump")
        .args(["--data-only", "--no-password"])
        .env("PGHOST", host)
        .env("PGPORT", config.get_ports().first().unwrap_or(&5432).to_string())
        .env("PGUSER", config.get_user().unwrap())
        .env(
            "PGPASSWORD",
            config.get_password().map(String::from_utf8_lossy).unwrap_or_default().as_ref(),
        )
        .env("PGDATABASE", &db.name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().to_lowercase()
}

/// Lines of the dump that still hold something of the person; bytes are hexadecimal there.
fn left(db: &TestDb) -> Vec<String> {
    let hex = data_encoding::HEXLOWER.encode(WORD.as_bytes());
    let dump = dump(db);
    let told = |line: &&str| line.contains(WORD) || line.contains(DIGITS) || line.contains(&hex);
    dump.lines().filter(told).map(|line| line.chars().take(400).collect()).collect()
}

/// Fills the personal fields of a row, and a custom field for whatever has one.
async fn fill(stage: &Stage, entity: &Entity, row: Uuid, number: usize) {
    let mut sets = vec![format!("updated_at = now(), custom = '{{\"alias\": \"{WORD}\"}}'")];
    for (place, field) in entity.fields.iter().enumerate() {
        let computed = matches!(field.access, Access::Computed(_));
        if let Some(value) =
            planted(field, number * 100 + place).filter(|_| field.personal && !computed)
        {
            sets.push(format!("\"{}\" = '{value}'", field.name));
        }
    }
    let sql = format!(
        "insert into custom_fields (org_id, entity, key, label, kind, level)
         values ('{org}', '{name}', 'alias', 'Alias', 'text', 'personal');
         update \"{name}\" set {} where id = '{row}'",
        sets.join(", "),
        org = stage.ours.id,
        name = entity.name,
    );
    stage.admin.batch(&sql).await.unwrap();
}

async fn erase(stage: &Stage, route: &str, row: Uuid) -> Value {
    let client = stage.client(&stage.ours);
    let body = json!({"entity": route, "row_id": row});
    let asked = client.post("/api/v1/erasures", &body).await.unwrap();
    assert_eq!(asked.status, 201, "{route}: {:?}", asked.body);
    stage.ours.work().await.unwrap();
    let id = asked.body["id"].as_str().unwrap();
    let done = client.get(&format!("/api/v1/erasures/{id}")).await.unwrap();
    assert_eq!(done.body["status"], "done", "{route}: {:?}", done.body);
    done.body
}

async fn stage(purpose: &str) -> (Stage, TestDb) {
    let db = TestDb::create(purpose, &migrations::scripts()).await.unwrap();
    (Stage::open(registry(), &db).await, db)
}

#[tokio::test]
async fn no_entity_keeps_anything_of_a_person_who_was_erased() {
    let (stage, db) = stage("erasure").await;
    let of_people: Vec<_> = registry()
        .members()
        .iter()
        .filter(|member| is_of_people(member.entity) && member.entity.operations.read)
        .collect();
    assert!(of_people.len() >= 8, "{} entities have personal fields", of_people.len());
    let mut rows = Vec::new();
    for (number, member) in of_people.iter().enumerate() {
        let row = stage.plant(&stage.ours, member.entity).await;
        fill(&stage, member.entity, row, number).await;
        rows.push((member.route.clone(), row));
    }
    assert!(left(&db).len() >= 2 * rows.len(), "rows and their entries of the log hold the words");
    stage.ours.hear().await.unwrap();
    for (route, row) in rows {
        let done = erase(&stage, &route, row).await;
        assert!(done["counts"]["changes"].as_i64().unwrap() >= 2, "{route}: {done:?}");
    }
    assert_eq!(left(&db), Vec::<String>::new());
    stage.ours.hear().await.unwrap();
    let report = audit::verify(&db.migrate_url, Some(stage.ours.id)).await.unwrap();
    assert!(report.is_whole() && report.organizations[0].redacted > 0, "{}", report.show());
}

/// What machine tables and files hold of somebody with this address.
fn traces(org: Uuid, email: &str) -> String {
    let hex = data_encoding::HEXLOWER.encode(format!("name,email\r\nAnn,{email}\r\n").as_bytes());
    format!(
        "insert into messages (org_id, purpose, recipient, subject, body, status)
           values ('{org}', 'invitation', '{email}', 'Hello', 'Dear {email}', 'sent');
         insert into jobs (org_id, name, state, actor_kind, payload, error, due_at)
           values ('{org}', 'mail.send', 'done', 'system', '{{\"to\": \"{email}\"}}', null, now()),
                  ('{org}', 'mail.send', 'dead', 'system', '{{}}', '{{\"detail\": \"{email} is no one\"}}', now());
         insert into jobs (org_id, id, name, actor_kind, payload, due_at)
           values ('{org}', '{waiting}', 'mail.send', 'system', '{{\"to\": \"{email}\"}}', now() + interval '1 day');
         insert into job_queue (org_id, id, name, key, priority, due_at)
           values ('{org}', '{waiting}', 'mail.send', 'to {email}', 1, now() + interval '1 day');
         insert into outbox (org_id, topic, row_id, body) values ('{org}', 'x.y', uuid7(), '{{\"to\": \"{email}\"}}');
         insert into outbox_deliveries (org_id, consumer, event, topic, row_id, body, at, causation, due_at, error)
           values ('{org}', 'x {org}', 1, 'x.y', uuid7(), '{{}}', now(), 0, now() + interval '1 day', 'no {email}');
         with import as (
           insert into imports (org_id, entity, mode, matching, dry_run, quiet, mapping, status, finished_at)
           values ('{org}', 'parties', 'all', 'create', false, false, '[]', 'done', now()) returning id)
         insert into import_chunks (org_id, import_id, seq, row_first, row_last, row_count, records)
           select '{org}', id, 0, 2, 2, 1, '\\x{hex}' from import",
        waiting = Uuid::from_u128(7),
    )
}

#[tokio::test]
async fn what_a_person_left_in_mails_jobs_and_files_goes_with_them() {
    let (stage, db) = stage("traces").await;
    let entity = |name: &str| registry().entity(name).unwrap();
    let party = stage.plant(&stage.ours, entity("parties")).await;
    let mut planter = stage.planter(&stage.ours);
    for (number, name) in
        ["party_emails", "event_registrations", "portal_accounts"].iter().enumerate()
    {
        let given = json!({"party_id": party}).as_object().unwrap().clone();
        let row = planter.row_with(entity(name), given).await.unwrap();
        fill(&stage, entity(name), row, number).await;
    }
    let sql = "select email from party_emails where party_id = $1";
    let email: String = stage.admin.query_one(sql, &[&party]).await.unwrap().get(0);
    let other = stage.plant(&stage.ours, entity("parties")).await;
    stage.admin.batch(&traces(stage.ours.id, &email)).await.unwrap();
    // Somebody else's are left alone, and so are another organization's.
    stage
        .admin
        .batch(
            &traces(stage.theirs.id, "bert@example.org")
                .replace(&Uuid::from_u128(7).to_string(), &Uuid::from_u128(8).to_string()),
        )
        .await
        .unwrap();

    let body = json!({"entity": "parties", "row_id": party, "dry_run": true});
    let client = stage.client(&stage.ours);
    let counted = client.post("/api/v1/erasures", &body).await.unwrap();
    assert_eq!((counted.status, &counted.body["status"]), (201, &json!("counted")));
    let expect = json!({
        "parties": 1, "party_emails": 1, "event_registrations": 1, "portal_accounts": 1,
        "messages": 1, "jobs": 3, "outbox": 1, "outbox_deliveries": 1,
        "import_chunks": 1,
    });
    assert_eq!(counted.body["counts"], expect);
    assert!(left(&db).iter().any(|line| line.contains("dear")), "a count takes nothing");

    erase(&stage, "parties", party).await;
    assert_eq!(left(&db), Vec::<String>::new());
    let sql =
        "select state, (select count(*) from job_queue where id = $1) from jobs where id = $1";
    let row = stage.admin.query_one(sql, &[&Uuid::from_u128(7)]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("canceled", 0));
    assert!(dump(&db).contains("bert@example.org"));
    let name = "select name from parties where id = $1";
    let name: String = stage.admin.query_one(name, &[&other]).await.unwrap().get(0);
    assert!(!name.starts_with("erased"));
}
