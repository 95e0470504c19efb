//! Who may erase a person, what the law keeps, and whose rows are theirs.

use kernel::accounts::{NewMember, add_member};
use kernel::db::Admin;
use kernel::entity::{Domain, Entity, email, link, phone, text};
use kernel::registry::Registry;
use kernel::settings::Secret;
use kernel::testkit::{Client, PASSWORD, Reply, TestDb, TestOrg, TestServer};
use kernel::{accounts, ddl, lists, work};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

static PATIENTS: Entity =
    Entity::new("patients").grant("clinic.patients").about("A patient.").fields(&[
        text("name").required().personal(),
        email("email").personal(),
        phone("phone").personal(),
        link("doctor_id", "clinic.patients").about("Another person: never erased with this one."),
    ]);
static STAYS: Entity = Entity::new("stays").grant("clinic.stays").about("A time here.").fields(&[
    link("patient_id", "clinic.patients").required().subject(),
    text("note").personal(),
    text("room"),
]);
static BILLS: Entity = Entity::new("bills")
    .grant("clinic.bills")
    .about("What a stay cost.")
    .keep("bills, for ten years after the last one")
    .fields(&[link("stay_id", "clinic.stays").required().subject(), text("address").personal()]);
static CLINIC: Domain =
    Domain { name: "clinic", entities: &[&PATIENTS, &STAYS, &BILLS], ..Domain::EMPTY };

fn registry() -> &'static Registry {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    REGISTRY.get_or_init(|| {
        let domains = [&accounts::DOMAIN, &work::DOMAIN, &lists::DOMAIN, &CLINIC];
        Registry::new(&domains).unwrap().leak()
    })
}

struct Clinic {
    org: TestOrg,
    client: Client,
    server: TestServer,
}

async fn database() -> &'static TestDb {
    static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
    let make = async || TestDb::create("clinic", &[&ddl::script(registry())]).await;
    DATABASE.get_or_try_init(make).await.unwrap()
}

async fn admin() -> Admin {
    database().await.superuser().await.unwrap()
}

impl Clinic {
    async fn open() -> Self {
        let database = database().await;
        let server = TestServer::start(registry(), database).await.unwrap();
        let org = TestOrg::open(&server.service).await.unwrap();
        let client = server.client.with_bearer(org.token.expose());
        Self { org, client, server }
    }

    async fn made(&self, route: &str, body: Value) -> String {
        let reply = self.client.post(&format!("/api/v1/{route}"), &body).await.unwrap();
        assert_eq!(reply.status, 201, "{route}: {:?}", reply.body);
        reply.body["id"].as_str().unwrap().to_owned()
    }

    async fn row(&self, route: &str, id: &str) -> Value {
        self.client.get(&format!("/api/v1/{route}/{id}")).await.unwrap().body
    }

    async fn asked(&self, path: &str, body: Value) -> Reply {
        self.client.post(&format!("/api/v1/{path}"), &body).await.unwrap()
    }

    /// Asks for somebody's erasure, works on it, and shows what became of it.
    async fn erased(&self, row: &str) -> Value {
        let erasure = self.made("erasures", asks(row)).await;
        self.org.work().await.unwrap();
        self.row("erasures", &erasure).await
    }

    async fn role(&self, key: &str) -> Uuid {
        let path = format!("/api/v1/roles?filter[key]={key}");
        let found = self.client.get(&path).await.unwrap();
        found.body["data"][0]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Somebody who signs in here with this address.
    async fn member(&self, email: &str, role: &str) -> Uuid {
        let (role, password) = (self.role(role).await, Secret::new(PASSWORD));
        let mut cx = self.org.begin().await.unwrap();
        let new =
            NewMember { email, name: Some("Ann"), password: Some(&password), role, ends_at: None };
        let (user, _) = add_member(&mut cx, new).await.unwrap();
        cx.commit().await.unwrap();
        user
    }

    async fn sign_in(&self, email: &str) -> Reply {
        let body = json!({"email": email, "password": PASSWORD});
        self.server.client.post("/api/v1/sessions", &body).await.unwrap()
    }

    /// Sends a file of patients and lets it be checked; the import's id.
    async fn staged(&self, file: &str) -> String {
        let sent = self.client.file("POST", "/api/v1/patients/import", Some(file)).await.unwrap();
        assert_eq!(sent.0, 202, "{}", sent.1);
        let import: Value = serde_json::from_str(&sent.1).unwrap();
        import["id"].as_str().unwrap().to_owned()
    }
}

fn asks(row: &str) -> Value {
    json!({"entity": "patients", "row_id": row})
}

#[tokio::test]
async fn a_person_goes_with_the_rows_that_say_so_and_no_one_else() {
    let clinic = Clinic::open().await;
    let doctor = clinic.made("patients", json!({"name": "Dora"})).await;
    let ann = clinic
        .made("patients", json!({"name": "Ann", "email": "ann@example.org", "doctor_id": doctor}))
        .await;
    let pupil = clinic.made("patients", json!({"name": "Paul", "doctor_id": ann})).await;
    let stay = clinic.made("stays", json!({"patient_id": ann, "note": "Ann", "room": "12"})).await;
    let erasure = clinic.made("erasures", asks(&ann)).await;
    assert_eq!(clinic.row("erasures", &erasure).await["status"], "running");
    clinic.org.work().await.unwrap();
    let done = clinic.row("erasures", &erasure).await;
    assert_eq!(done["counts"], json!({"patients": 1, "stays": 1, "changes": 4}));
    let shown = clinic.row("patients", &ann).await;
    assert_eq!((&shown["name"], &shown["email"]), (&json!(format!("erased {ann}")), &Value::Null));
    let shown = clinic.row("stays", &stay).await;
    assert_eq!((&shown["note"], &shown["room"]), (&Value::Null, &json!("12")));
    for (other, name) in [(doctor, "Dora"), (pupil, "Paul")] {
        assert_eq!(clinic.row("patients", &other).await["name"], name);
    }
    // The history says that there was something, and not what.
    let history = clinic.row("patients", &format!("{ann}/history")).await;
    let ops: Vec<&Value> =
        history["data"].as_array().unwrap().iter().map(|one| &one["op"]).collect();
    assert_eq!(ops, ["erase", "update", "insert"]);
    assert!(!history.to_string().contains("Ann"), "{history}");
    // A second time there is nothing new to take.
    let again = clinic.made("erasures", asks(&ann)).await;
    clinic.org.work().await.unwrap();
    assert_eq!(clinic.row("erasures", &again).await["status"], "done");
    clinic.server.end().await.unwrap();
}

#[tokio::test]
async fn what_the_law_keeps_is_listed_and_nothing_is_erased() {
    let clinic = Clinic::open().await;
    let ann = clinic.made("patients", json!({"name": "Ann"})).await;
    let stay = clinic.made("stays", json!({"patient_id": ann})).await;
    clinic.made("bills", json!({"stay_id": stay, "address": "Home"})).await;
    let refused = clinic.client.post("/api/v1/erasures", &asks(&ann)).await.unwrap();
    assert_eq!((refused.status, refused.code()), (409, "conflict"), "{:?}", refused.body);
    let text = refused.body.to_string();
    assert!(text.contains("1 in bills are kept: bills, for ten years"), "{text}");
    assert_eq!(clinic.row("patients", &ann).await["name"], "Ann");
    // What is kept since it was asked for ends the job.
    let bert = clinic.made("patients", json!({"name": "Bert"})).await;
    let erasure = clinic.made("erasures", asks(&bert)).await;
    let stay = clinic.made("stays", json!({"patient_id": bert})).await;
    clinic.made("bills", json!({"stay_id": stay})).await;
    clinic.org.work().await.unwrap();
    let failed = clinic.row("erasures", &erasure).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("conflict"))
    );
    assert_eq!(clinic.row("patients", &bert).await["name"], "Bert");
    clinic.server.end().await.unwrap();
}

#[tokio::test]
async fn only_who_may_erase_does_and_only_what_they_reach() {
    let clinic = Clinic::open().await;
    let ann = clinic.made("patients", json!({"name": "Ann"})).await;
    let with = async |grants: Value| {
        let token = clinic.org.issue(grants).await.unwrap();
        clinic.server.client.with_bearer(token.expose())
    };
    let reads = json!({"grant": "clinic.*", "rights": ["*"]});
    let erases = json!({"grant": "accounts.erasures", "rights": ["*"]});
    for (grants, status) in
        [(json!([reads]), 403), (json!([erases]), 403), (json!([reads, erases]), 201)]
    {
        let reply = with(grants.clone()).await.post("/api/v1/erasures", &asks(&ann)).await.unwrap();
        assert_eq!(reply.status, status, "{grants}: {:?}", reply.body);
    }
    let other = Clinic::open().await;
    let foreign = other.client.post("/api/v1/erasures", &asks(&ann)).await.unwrap();
    assert_eq!(foreign.status, 404);
    for (body, status) in [
        (json!({"entity": "teams", "row_id": ann}), 422),
        (json!({"entity": "nothing", "row_id": ann}), 422),
        (json!({"row_id": ann}), 422),
    ] {
        let reply = clinic.client.post("/api/v1/erasures", &body).await.unwrap();
        assert_eq!(reply.status, status, "{body}: {:?}", reply.body);
        assert_eq!(reply.fields(), ["entity"]);
    }
    clinic.server.end().await.unwrap();
    other.server.end().await.unwrap();
}

/// An erasure that is not done says so, and why, and somebody may ask for it anew.
async fn ends_as_failed(clinic: &Clinic, ann: &str, erasure: &str, code: &str) {
    let failed = clinic.row("erasures", erasure).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!(code)));
    assert!(!failed["finished_at"].is_null(), "{failed}");
    assert_eq!(clinic.row("patients", ann).await["name"], "Ann");
}

#[tokio::test]
async fn an_erasure_whose_job_is_canceled_has_failed_and_may_be_asked_for_anew() {
    let clinic = Clinic::open().await;
    let ann = clinic.made("patients", json!({"name": "Ann"})).await;
    let erasure = clinic.made("erasures", asks(&ann)).await;
    let job = clinic.row("erasures", &erasure).await["job_id"].as_str().unwrap().to_owned();
    let canceled = clinic.asked(&format!("jobs/{job}/cancel"), json!({})).await;
    assert_eq!(canceled.status, 200, "{:?}", canceled.body);
    clinic.org.work().await.unwrap();
    ends_as_failed(&clinic, &ann, &erasure, "canceled").await;
    assert_eq!(clinic.erased(&ann).await["status"], "done");
    assert_eq!(clinic.row("patients", &ann).await["name"], format!("erased {ann}"));
    clinic.server.end().await.unwrap();
}

#[tokio::test]
async fn an_erasure_whose_attempts_are_used_up_has_failed() {
    let clinic = Clinic::open().await;
    let ann = clinic.made("patients", json!({"name": "Ann"})).await;
    let erasure = clinic.made("erasures", asks(&ann)).await;
    let (admin, name) = (admin().await, format!("held_{}", ann.replace('-', "")));
    let hold = format!(
        "create function {name}() returns trigger language plpgsql as $$ begin
           raise exception using errcode = 'lock_not_available', message = 'held'; end $$;
         create trigger {name} before update on patients for each row
           when (old.id = '{ann}') execute function {name}()"
    );
    admin.batch(&hold).await.unwrap();
    let mut runs = 0;
    for _ in 0..5 {
        assert_eq!(clinic.row("erasures", &erasure).await["status"], "running");
        runs += clinic.org.work().await.unwrap();
        let due = "update job_queue set due_at = due_at - interval '1 day' where org_id = $1";
        admin.execute(due, &[&clinic.org.id]).await.unwrap();
    }
    assert_eq!(runs, 5, "each attempt is made");
    let failed = clinic.row("erasures", &erasure).await;
    let code = failed["error"]["code"].as_str().unwrap().to_owned();
    ends_as_failed(&clinic, &ann, &erasure, &code).await;
    admin.batch(&format!("drop function {name} cascade")).await.unwrap();
    assert_eq!(clinic.erased(&ann).await["status"], "done");
    clinic.server.end().await.unwrap();
}

#[tokio::test]
async fn a_person_whom_a_waiting_file_names_is_not_erased_before_it_is_decided() {
    let clinic = Clinic::open().await;
    let ann = clinic.made("patients", json!({"name": "Ann", "email": "ann@example.org"})).await;
    let import = clinic.staged("name,email\r\nAnn,Ann@example.org\r\n").await;
    clinic.org.work().await.unwrap();
    assert_eq!(clinic.row("imports", &import).await["status"], "checked");
    for dry_run in [true, false] {
        let body = json!({"entity": "patients", "row_id": ann, "dry_run": dry_run});
        let refused = clinic.asked("erasures", body).await;
        assert_eq!((refused.status, refused.fields()), (409, vec!["row_id"]));
        assert!(refused.body.to_string().contains(&import), "{:?}", refused.body);
    }
    // A file that names somebody else is in nobody's way.
    clinic.staged("name,email\r\nJo,joann@example.org\r\n").await;
    let canceled = clinic.asked(&format!("imports/{import}/cancel"), json!({})).await;
    assert_eq!(canceled.status, 200, "{:?}", canceled.body);
    // One that comes between the request and its work ends the erasure, with nothing done.
    let erasure = clinic.made("erasures", asks(&ann)).await;
    let late = clinic.staged("name,email\r\nAnn,ann@example.org\r\n").await;
    clinic.org.work().await.unwrap();
    ends_as_failed(&clinic, &ann, &erasure, "conflict").await;
    let failed = clinic.row("erasures", &erasure).await;
    assert!(failed["error"].to_string().contains(&late), "{failed}");
    assert_eq!(clinic.asked(&format!("imports/{late}/cancel"), json!({})).await.status, 200);
    assert_eq!(clinic.erased(&ann).await["status"], "done");
    clinic.server.end().await.unwrap();
}

/// Whether the text names somebody with this term, as the database sees it.
#[track_caller]
fn check(said: &[(&str, &str, bool)], found: &[bool]) {
    for ((term, text, expect), found) in said.iter().zip(found) {
        assert_eq!(found, expect, "{term} in {text:?}");
    }
    assert_eq!(said.len(), found.len());
}

const ADDRESS: &str = "ann.lee@x.org";
const NUMBER: &str = "+49301234567";

#[tokio::test]
async fn whole_addresses_and_numbers_name_a_person_and_parts_of_others_do_not() {
    let said: &[(&str, &str, bool)] = &[
        (ADDRESS, "ann.lee@x.org", true),
        (ADDRESS, "To: Ann <Ann.Lee@X.org>, Bert", true),
        (ADDRESS, "write to ann.lee@x.org.", true),
        (ADDRESS, "'ann.lee@x.org' or mailto:ann.lee@x.org?subject=a", true),
        (ADDRESS, r#"{"to": "ann.lee@x.org"}"#, true),
        (ADDRESS, r#"{"text": "Dear,\nann.lee@x.org\nand"}"#, true),
        (ADDRESS, "name,email\r\nAnn,ann.lee@x.org\r\n", true),
        (ADDRESS, "-ann.lee@x.org", true),
        (ADDRESS, "joann.lee@x.org", false),
        (ADDRESS, "jo.ann.lee@x.org, jo-ann.lee@x.org, jo_ann.lee@x.org", false),
        (ADDRESS, "o'ann.lee@x.org, jo+ann.lee@x.org", false),
        (ADDRESS, "ann.lee@x.org.uk", false),
        (ADDRESS, "ann.lee@x.organic", false),
        (ADDRESS, "ann.lee@x.org-mail.de", false),
        (ADDRESS, "annxlee@x.org", false),
        (ADDRESS, "joann.lee@x.org and ann.lee@x.org", true),
        (NUMBER, "+49301234567", true),
        (NUMBER, "call +49 30 1234567, please", true),
        (NUMBER, "+49 (0)30 / 123 45-67.", true),
        (NUMBER, "(+49) 30.1234567", true),
        (NUMBER, "0049 30 1234567", true),
        (NUMBER, "+49\u{a0}30\u{a0}1234\u{2011}567", true),
        (NUMBER, "name,phone,seats\r\nAnn,+49 30 1234567,12\r\n", true),
        (NUMBER, "+49 30 12345678", false),
        (NUMBER, "+49 30 1234567-8", false),
        (NUMBER, "+149301234567", false),
        (NUMBER, "+4930123456", false),
        (NUMBER, "order 49301234567", false),
        (NUMBER, "+49 30 12, 34567", false),
        ("0198c0de-0000-7000-8000-000000000001", "0198C0DE-0000-7000-8000-000000000001", true),
    ];
    let admin = admin().await;
    let mut found = Vec::new();
    for (term, text, _) in said {
        let row = admin.query_one("select names_any($1, array[$2])", &[text, term]).await.unwrap();
        found.push(row.get(0));
    }
    check(said, &found);
}

#[tokio::test]
async fn mails_and_jobs_go_with_the_person_they_name_and_with_no_one_else() {
    let clinic = Clinic::open().await;
    let body = json!({"name": "Ann", "email": "ann@example.org", "phone": "+49 30 7654321"});
    let ann = clinic.made("patients", body).await;
    let role = clinic.role("administrator").await;
    for email in ["ann@example.org", "joann@example.org", "ann@example.org.uk"] {
        clinic.made("invitations", json!({"email": email, "role_id": role})).await;
    }
    // Two that know her by her number alone, written as others write it.
    let admin = admin().await;
    let sql = format!(
        "insert into messages (org_id, purpose, recipient, subject, body, status)
         values ('{org}', 'note', 'desk@example.org', 'Call', 'Call +49 (0)30/765-4321.', 'sent'),
                ('{org}', 'note', 'desk@example.org', 'Call', 'Call +49 30 7654321-9.', 'sent');
         insert into jobs (org_id, name, state, actor_kind, payload, due_at)
         values ('{org}', 'x', 'done', 'system', '{{\"to\": \"0049 30 7654321\"}}', now())",
        org = clinic.org.id
    );
    admin.batch(&sql).await.unwrap();
    let done = clinic.erased(&ann).await;
    assert_eq!(done["status"], "done", "{done}");
    let of = |sql: &'static str| {
        let (admin, org) = (&admin, clinic.org.id);
        async move {
            let rows = admin.query(sql, &[&org]).await.unwrap();
            rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
        }
    };
    let mails = "select recipient || ' ' || subject from messages \
                  where org_id = $1 and purpose = 'invitation' order by 1";
    let left: Vec<String> = of(mails).await;
    let to: Vec<&str> = left.iter().filter_map(|one| one.split(' ').next()).collect();
    assert_eq!(to, ["ann@example.org.uk", "joann@example.org"]);
    let notes = "select body from messages where org_id = $1 and purpose = 'note'";
    assert_eq!(of(notes).await, ["Call +49 30 7654321-9."]);
    let jobs = "select payload::text from jobs where org_id = $1 and name = 'x'";
    assert_eq!(of(jobs).await, ["{}"]);
    clinic.server.end().await.unwrap();
}

#[tokio::test]
async fn answers_that_were_kept_are_given_no_more() {
    let (clinic, other) = (Clinic::open().await, Clinic::open().await);
    let mut asked = Vec::new();
    for house in [&clinic, &other] {
        let ann = house.made("patients", json!({"name": "Ann", "email": "ann@example.org"})).await;
        asked.push((house, ann));
    }
    // As the product makes them: sealed, and neither row nor address stands beside.
    let change = async |house: &Clinic, ann: &str| {
        let path = format!("/api/v1/patients/{ann}");
        let body = json!({"phone": "+49 30 7654321"});
        let key = [("Idempotency-Key", "change-ann")];
        house.client.send_with("PATCH", &path, &key, Some(&body)).await.unwrap()
    };
    for (house, ann) in &asked {
        for _ in 0..2 {
            let kept = change(house, ann).await;
            assert_eq!((kept.status, &kept.body["email"]), (200, &json!("ann@example.org")));
        }
    }
    let (_, ann) = &asked[0];
    let dry = json!({"entity": "patients", "row_id": ann, "dry_run": true});
    let counted = clinic.asked("erasures", dry).await;
    assert_eq!(counted.body["counts"]["idempotency_keys"], 1, "{:?}", counted.body);
    assert_eq!(clinic.erased(ann).await["status"], "done");
    // It was done, and is not done again.
    let version = clinic.row("patients", ann).await["version"].clone();
    let again = change(&clinic, ann).await;
    assert_eq!((again.status, again.code()), (409, "already_used"), "{:?}", again.body);
    assert_eq!(clinic.row("patients", ann).await["version"], version);
    let sql = "select count(*) from idempotency_keys where org_id = $1 and body is not null";
    let admin = admin().await;
    for (house, left) in [(&clinic, 0_i64), (&other, 1)] {
        let row = admin.query_one(sql, &[&house.org.id]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), left);
    }
    let (house, ann) = &asked[1];
    assert_eq!(change(house, ann).await.status, 200, "another organization's answers stay");
    clinic.server.end().await.unwrap();
    other.server.end().await.unwrap();
}

fn somebody() -> String {
    format!("ann-{}@example.org", Uuid::new_v4().simple())
}

/// Rows of the account beside itself, and its name and address.
async fn account(user: Uuid) -> (i64, String, String) {
    let sql = "select (select count(*) from sessions where user_id = u.id)
                    + (select count(*) from identities where user_id = u.id)
                    + (select count(*) from proofs where user_id = u.id), name, email
                 from users u where id = $1";
    let row = admin().await.query_one(sql, &[&user]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn an_account_goes_with_the_last_organization_that_has_a_membership_of_it() {
    let (first, last) = (Clinic::open().await, Clinic::open().await);
    let email = somebody();
    let user = first.member(&email, "administrator").await;
    assert_eq!(last.member(&email, "administrator").await, user);
    let session = first.sign_in(&email).await;
    assert_eq!(session.status, 201, "{:?}", session.body);
    let identity = "insert into identities (user_id, issuer, subject) values ($1, 'https://x', $2)";
    admin().await.execute(identity, &[&user, &email]).await.unwrap();
    assert_eq!(account(user).await, (2, "Ann".to_owned(), email.clone()));
    let invited = json!({"email": email, "role_id": first.role("administrator").await});
    let invitation = first.made("invitations", invited).await;
    let mut ann = Vec::new();
    for clinic in [&first, &last] {
        ann.push(clinic.made("patients", json!({"name": "Ann", "email": email})).await);
    }
    let done = first.erased(&ann[0]).await;
    let counts = &done["counts"];
    assert_eq!(
        (&done["status"], &counts["memberships"], &counts["invitations"], &counts["users"]),
        (&json!("done"), &json!(1), &json!(1), &Value::Null),
        "{done}"
    );
    // Cut loose from the first, and still somebody in the other.
    let of = async |clinic: &Clinic| {
        let path = format!("/api/v1/memberships?filter[user_id]={user}");
        clinic.client.get(&path).await.unwrap().body["data"].as_array().unwrap().len()
    };
    assert_eq!((of(&first).await, of(&last).await), (0, 1));
    assert_eq!(first.row("invitations", &invitation).await["code"], "not_found");
    let sql = "select count(*) from invitations where org_id = $1 and email = $2";
    let row = admin().await.query_one(sql, &[&first.org.id, &email]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0, "the invitation names her");
    assert_eq!(first.sign_in(&email).await.status, 201);
    let done = last.erased(&ann[1]).await;
    assert_eq!((&done["status"], &done["counts"]["users"]), (&json!("done"), &json!(1)), "{done}");
    let expect = (0, format!("erased {user}"), format!("erased-{user}@erased.invalid"));
    assert_eq!(account(user).await, expect);
    let refused = last.sign_in(&email).await;
    assert_eq!((refused.status, refused.code()), (401, "invalid_credentials"));
    // The address is free again: somebody new.
    assert_ne!(last.member(&email, "administrator").await, user);
    first.server.end().await.unwrap();
    last.server.end().await.unwrap();
}

#[tokio::test]
async fn an_account_is_ended_by_who_may_end_its_memberships_and_no_one_elses() {
    let (clinic, other) = (Clinic::open().await, Clinic::open().await);
    let (member, stranger) = (somebody(), somebody());
    clinic.member(&member, "administrator").await;
    let theirs = other.member(&stranger, "administrator").await;
    let patient =
        async |email: &str| clinic.made("patients", json!({"name": "Ann", "email": email})).await;
    let lines = json!([
        {"grant": "clinic.*", "rights": ["*"]}, {"grant": "accounts.erasures", "rights": ["*"]},
    ]);
    let token = clinic.org.issue(lines).await.unwrap();
    let ann = patient(&member).await;
    let body = asks(&ann);
    let lesser = clinic.server.client.with_bearer(token.expose());
    let refused = lesser.post("/api/v1/erasures", &body).await.unwrap();
    assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{:?}", refused.body);
    // The organization keeps an owner.
    let owner = patient(&clinic.org.email).await;
    let refused = clinic.asked("erasures", asks(&owner)).await;
    assert_eq!((refused.status, refused.code()), (409, "last_owner"), "{:?}", refused.body);
    for email in [&member, &clinic.org.email] {
        assert_eq!(clinic.sign_in(email).await.status, 201, "nothing was done");
    }
    // An address alone gives no say over an account.
    let done = clinic.erased(&patient(&stranger).await).await;
    assert_eq!((&done["status"], &done["counts"]["users"]), (&json!("done"), &Value::Null));
    assert_eq!(account(theirs).await.2, stranger);
    assert_eq!(other.sign_in(&stranger).await.status, 201);
    clinic.server.end().await.unwrap();
    other.server.end().await.unwrap();
}
