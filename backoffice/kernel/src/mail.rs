//! Mail: written in the transaction that has a reason for it, sent afterwards by a worker. A secret
//! in it is sealed while it waits and taken out once it is sent. Knows no one's reasons to write.

mod directory;
mod foreign;
mod form;
mod queue;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::action::BoxFuture;
use crate::cx::Cx;
use crate::entity::{Entity, Retention, bytes, choice, email, instant, long_text, text};
use crate::error::{Error, Result};
use crate::jobs::{Enqueue, Priority};
use crate::service::Service;
use crate::settings::Secret;
use crate::{clock, seal};

pub use directory::Directory;
pub(crate) use foreign::shown;
pub(crate) use queue::SEND;

/// Stands in a body where the secret will.
const SECRET_MARK: &str = "{secret}";
const SEAL_PURPOSE: &str = "atlvs mail secret v1";

pub(crate) static MESSAGE: Entity = Entity::new("messages")
    .machine()
    .about("A mail to be sent, and what became of it.")
    .fields(&[
        text("purpose").required(),
        email("recipient").required().personal(),
        text("subject").required(),
        long_text("body").required().about("Holds {secret} where the secret will stand."),
        bytes("sealed_secret", 512).secret(),
        choice("status", &["queued", "sent", "refused", "dropped"]).required().default("'queued'"),
        instant("sent_at"),
    ])
    .enqueued()
    .retention(&[
        Retention::days("sent_at", 30),
        Retention::days("created_at", 1).only("status = 'dropped'"),
        // Every attempt failed, and the secret in it is past its time: whoever waits asks again.
        Retention::days("created_at", 8).only("status = 'queued'"),
    ]);

/// A mail as it leaves; `id` is the same at every attempt.
#[derive(Debug, Clone)]
pub struct Mail {
    pub id: Uuid,
    pub from: String,
    pub to: String,
    pub subject: String,
    /// Plain text; it may hold a secret, so it prints as nothing.
    pub text: Secret,
    pub at: Timestamp,
}

impl Mail {
    /// RFC 5322 with MIME, lines ended by CRLF. An address or subject that would break a header is
    /// refused.
    pub fn message(&self) -> Result<String> {
        form::message(self)
    }
}

/// How mail leaves the house. A mail may come twice, with the same id, after a crash.
/// [`Code::MailRefused`](crate::error::Code) ends it; any other error lets it be tried again.
pub trait Mailer: Send + Sync {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<()>>;
}

/// For a house without mail: everything waits.
pub struct NoMail;

impl Mailer for NoMail {
    fn send<'a>(&'a self, _: &'a Mail) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            Err(Error::internal("there is neither MAIL_DIR nor a mailer for MAIL_URL"))
        })
    }
}

/// The mailer that the settings alone can make.
pub(crate) fn from_settings(service: &crate::settings::Settings) -> Arc<dyn Mailer> {
    match &service.mail.directory {
        Some(directory) => Arc::new(Directory::new(directory)),
        None => Arc::new(NoMail),
    }
}

pub(crate) struct Letter<'a> {
    /// For figures and for people who look into the queue: `invitation`.
    pub(crate) purpose: &'static str,
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    /// What others wrote stands in it, and in the subject, as `shown` gives it.
    pub(crate) body: &'a str,
}

/// Where a page of ours takes the secret: behind `#`, which browsers keep to themselves.
pub(crate) fn place(service: &Service, page: &str) -> String {
    match &service.settings().listen.public_url {
        Some(url) => format!("{url}/{page}#{SECRET_MARK}"),
        None => SECRET_MARK.to_owned(),
    }
}

/// Enqueues in this transaction: no commit, no mail.
pub(crate) async fn post(cx: &Cx, letter: Letter<'_>, secret: Option<&Secret>) -> Result<()> {
    put(cx, letter, secret, "queued").await
}

/// The same work without a mail, so that time does not tell whether an address is known.
pub(crate) async fn pretend(cx: &Cx, letter: Letter<'_>, secret: Option<&Secret>) -> Result<()> {
    put(cx, letter, secret, "dropped").await
}

async fn put(cx: &Cx, letter: Letter<'_>, secret: Option<&Secret>, status: &str) -> Result<()> {
    let id = clock::new_id(cx.now);
    let sealed = match secret {
        // In one place, which is ours: another would take it to whoever wrote that text.
        Some(_) if letter.body.matches(SECRET_MARK).count() != 1 => {
            return Err(Error::internal("a mail has not one place for its secret"));
        }
        Some(secret) => {
            Some(seal::seal(cx.service(), SEAL_PURPOSE, id.as_bytes(), secret.expose().as_bytes())?)
        }
        None => None,
    };
    cx.execute(
        "insert into messages (id, created_at, purpose, recipient, subject, body, sealed_secret,
                               status)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &id,
            &cx.now,
            &letter.purpose,
            &letter.to,
            &letter.subject,
            &letter.body,
            &sealed,
            &status,
        ],
    )
    .await?;
    // The pretended one is a job, too: it finds nothing to send.
    let job = Enqueue::new(queue::JOB, json!({"message": id})).priority(Priority::High);
    cx.enqueue_with(job).await.map(drop)
}
