//! What becomes of a mail that its server does not take.

use std::sync::Arc;

use kernel::action::BoxFuture;
use kernel::clock::SystemClock;
use kernel::error::{Code, Error, Result};
use kernel::jobs::drain;
use kernel::mail::{Mail, Mailer};
use kernel::service::Service;
use serde_json::{Value, json};

use crate::hall::{House, Seen, registry};
use crate::joining::address;
use crate::people::role;
use crate::post::{letters, secret_in};

/// A server that answers every mail alike.
struct Refusing(Code);

impl Mailer for Refusing {
    fn send<'a>(&'a self, _: &'a Mail) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Err(Error::new(self.0, "not today")) })
    }
}

fn worker(house: &House, code: Code) -> Service {
    let settings = house.service.settings().clone();
    let mailer = Arc::new(Refusing(code));
    Service::with_mailer(registry(), settings, Arc::new(SystemClock), mailer).unwrap()
}

/// Invites; answers the job that sends.
async fn invited(house: &House, email: &str) -> Value {
    let auditor = role(house, "auditor").await;
    let body = json!({"email": email, "role_id": auditor, "ends_at": "2099-01-01T00:00:00Z"});
    house.post("/invitations", body).await.is(201);
    sending(house).await
}

async fn sending(house: &House) -> Value {
    let query = [("filter[name]", "mail.send")];
    Seen::of(house.asks("/jobs", &query)).await.is(200).body["data"][0].clone()
}

async fn status(house: &House, email: &str) -> String {
    let work = house.service.work().await.unwrap();
    let sql = "select status from messages where recipient = $1";
    let status = work.query_one(sql, &[&email]).await.unwrap().get(0);
    work.rollback().await.unwrap();
    status
}

#[tokio::test]
async fn what_is_put_off_waits_for_its_next_attempt() {
    let house = House::open().await;
    let email = address();
    invited(&house, &email).await;
    let away = worker(&house, Code::Unavailable);
    assert_eq!(drain(&away, house.org.id).await.unwrap(), 1);
    let job = sending(&house).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("queued"), &json!(1)), "{job}");
    assert_eq!(status(&house, &email).await, "queued");
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_until_somebody_says_so() {
    let house = House::open().await;
    let email = address();
    let id = invited(&house, &email).await["id"].as_str().unwrap().to_owned();
    let refusing = worker(&house, Code::MailRefused);
    assert_eq!(drain(&refusing, house.org.id).await.unwrap(), 1);
    let job = sending(&house).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert_eq!(job["error"]["code"], "mail_refused", "{job}");
    assert_eq!(status(&house, &email).await, "refused");
    assert_eq!(letters(&house, &email).await, Vec::<String>::new());
    house.post(&format!("/jobs/{id}/replay"), json!({})).await.is(200);
    drain(&house.service, house.org.id).await.unwrap();
    assert_eq!(status(&house, &email).await, "sent");
    assert!(secret_in(&letters(&house, &email).await).starts_with("inv_"));
}
