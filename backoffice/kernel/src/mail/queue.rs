//! The queue of mail: a row says what to write, a job sends it and says what became of it. The job's
//! own pauses, dead letters and replay are mail's, too.

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Mail, SEAL_PURPOSE, SECRET_MARK};
use crate::error::{Code, Error, Result};
use crate::jobs::{Job, JobRun};
use crate::seal;
use crate::service::Service;
use crate::settings::Secret;

pub(super) const JOB: &str = "mail.send";
/// One attempt to hand a mail over; then it failed.
const SEND_TIME_MAX: SignedDuration = SignedDuration::from_secs(30);
/// Eleven pauses up to the longest, an hour, then one an hour: mail waits a day for its server.
const ATTEMPTS_MAX: u32 = 36;

pub(crate) const SEND: Job =
    Job::new(JOB, |run| Box::pin(send(run))).attempts(ATTEMPTS_MAX).time(SEND_TIME_MAX);

/// Sends the mail that the payload names. A worker that is killed between sending and saying so
/// lets it be sent again, with the same id.
async fn send(run: JobRun) -> Result<Value> {
    let message = run.payload().get("message").and_then(Value::as_str);
    let id = message.and_then(|id| Uuid::try_parse(id).ok());
    let id = id.ok_or_else(|| Error::internal("a job of mail names no message"))?;
    let service = run.service();
    let Some(mail) = waiting(service, id).await? else {
        return Ok(json!({"sent": false}));
    };
    match service.mailer().send(&mail).await {
        Ok(()) => sent(service, id).await?,
        Err(refusal) if refusal.code() == Code::MailRefused => {
            refused(service, id).await?;
            return Err(refusal);
        }
        Err(cause) => return Err(cause),
    }
    Ok(json!({"sent": true}))
}

async fn waiting(service: &Service, id: Uuid) -> Result<Option<Mail>> {
    let work = service.work().await?;
    let row = work
        .query_opt(
            "select created_at, recipient, subject, body, sealed_secret from messages
              where id = $1 and status in ('queued', 'refused')",
            &[&id],
        )
        .await?;
    work.commit().await?;
    let Some(row) = row else { return Ok(None) };
    let body: String = row.try_get("body")?;
    let text = match row.try_get::<_, Option<Vec<u8>>>("sealed_secret")? {
        Some(sealed) => {
            let secret = seal::open(service, SEAL_PURPOSE, id.as_bytes(), &sealed)?;
            let secret = std::str::from_utf8(&secret)
                .map_err(|_| Error::internal("a mailed secret is not text"))?;
            body.replacen(SECRET_MARK, secret, 1)
        }
        None => body,
    };
    Ok(Some(Mail {
        id,
        from: service.settings().mail.from.clone(),
        to: row.try_get("recipient")?,
        subject: row.try_get("subject")?,
        text: Secret::new(text),
        at: row.try_get("created_at")?,
    }))
}

/// Told apart from what waits for its turn. A replay sends it all the same: the server may have been
/// wrong about the address.
async fn refused(service: &Service, id: Uuid) -> Result<()> {
    let work = service.work().await?;
    work.execute("update messages set status = 'refused' where id = $1", &[&id]).await?;
    work.commit().await
}

/// The secret goes with the mail.
async fn sent(service: &Service, id: Uuid) -> Result<()> {
    let work = service.work().await?;
    work.execute(
        "update messages set status = 'sent', sent_at = $2, sealed_secret = null where id = $1",
        &[&id, &work.now],
    )
    .await?;
    work.commit().await
}
