//! Who may erase a person, what the law keeps, and whose rows are theirs.

use kernel::entity::{Domain, Entity, email, link, text};
use kernel::registry::Registry;
use kernel::testkit::{Client, TestDb, TestOrg, TestServer};
use kernel::{accounts, ddl, lists, work};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

static PATIENTS: Entity =
    Entity::new("patients").grant("clinic.patients").about("A patient.").fields(&[
        text("name").required().personal(),
        email("email").personal(),
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

impl Clinic {
    async fn open() -> Self {
        static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
        let make = async || TestDb::create("clinic", &[&ddl::script(registry())]).await;
        let database = DATABASE.get_or_try_init(make).await.unwrap();
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
