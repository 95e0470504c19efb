//! The queue of mail: a worker takes one at a time, tries, and says what became of it. Taking it
//! moves its next attempt into the future, so that a killed worker's mail is tried again by another.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Mail, SEAL_PURPOSE, SECRET_MARK};
use crate::action::Loop;
use crate::error::{Error, Result};
use crate::seal;
use crate::service::{Service, Shutdown};
use crate::settings::Secret;

/// Between looks at an empty queue.
const PAUSE: Duration = Duration::from_secs(2);
/// One attempt to hand a mail over; then it failed.
const SEND_WAIT: Duration = Duration::from_secs(30);
/// Waiting after the first failure; doubles with each. With the last one about a day has passed.
const RETRY_MIN: SignedDuration = SignedDuration::from_secs(60);
const ATTEMPTS_MAX: i64 = 11;
/// Mails of one run; the rest is for the next, so that shutdown is noticed.
const BATCH: u32 = 100;
/// What is done is kept this long, without its secret.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(crate) const SEND: Loop =
    Loop { name: "mail", run: |service, shutdown| Box::pin(run(service, shutdown)) };

async fn run(service: Service, shutdown: Shutdown) -> Result<()> {
    loop {
        send_due(&service).await?;
        if !shutdown.pause(PAUSE).await {
            return Ok(());
        }
    }
}

/// Tries every mail that is due, up to a bound; answers how many left the house.
pub async fn send_due(service: &Service) -> Result<u32> {
    let mut sent = 0;
    for _ in 0..BATCH {
        let Some(taken) = take(service).await? else { break };
        let outcome = match taken.mail {
            Ok(mail) => {
                let wait = tokio::time::timeout(SEND_WAIT, service.mailer().send(&mail));
                wait.await.unwrap_or_else(|_| Err(Error::internal("the attempt took too long")))
            }
            Err(error) => Err(error),
        };
        sent += u32::from(outcome.is_ok());
        finish(service, taken.id, taken.attempts, outcome).await?;
    }
    forget(service).await?;
    Ok(sent)
}

struct Taken {
    id: Uuid,
    attempts: i64,
    mail: Result<Mail>,
}

async fn take(service: &Service) -> Result<Option<Taken>> {
    let work = service.work().await?;
    let row = work
        .query_opt(
            "update messages set attempts = attempts + 1, next_attempt_at = $2
              where id = (select id from messages
                           where status = 'queued' and next_attempt_at <= $1
                           order by next_attempt_at, id limit 1 for update skip locked)
              returning id, attempts, created_at, recipient, subject, body, sealed_secret",
            &[&work.now, &after(work.now, RETRY_MIN)],
        )
        .await?;
    let Some(row) = row else {
        work.rollback().await?;
        return Ok(None);
    };
    let id: Uuid = row.try_get("id")?;
    let attempts: i64 = row.try_get("attempts")?;
    let mail = Mail {
        id,
        from: service.settings().mail.from.clone(),
        to: row.try_get("recipient")?,
        subject: row.try_get("subject")?,
        text: Secret::default(),
        at: row.try_get("created_at")?,
    };
    let body: String = row.try_get("body")?;
    let sealed: Option<Vec<u8>> = row.try_get("sealed_secret")?;
    work.commit().await?;
    let text = text(service, id, body, sealed);
    Ok(Some(Taken { id, attempts, mail: text.map(|text| Mail { text, ..mail }) }))
}

fn text(service: &Service, id: Uuid, body: String, sealed: Option<Vec<u8>>) -> Result<Secret> {
    let Some(sealed) = sealed else { return Ok(Secret::new(body)) };
    let secret = seal::open(service, SEAL_PURPOSE, id.as_bytes(), &sealed)?;
    let secret =
        std::str::from_utf8(&secret).map_err(|_| Error::internal("a mailed secret is not text"))?;
    Ok(Secret::new(body.replace(SECRET_MARK, secret)))
}

async fn finish(service: &Service, id: Uuid, attempts: i64, outcome: Result<()>) -> Result<()> {
    let work = service.work().await?;
    let done = "update messages set status = $2, finished_at = $3, sealed_secret = null,
                                    error = $4 where id = $1";
    match outcome {
        Ok(()) => {
            work.execute(done, &[&id, &"sent", &work.now, &None::<String>]).await?;
        }
        Err(error) => {
            tracing::warn!(message = %id, attempts, error = error.log_text(), "a mail did not leave");
            let why = cut(&error.log_text());
            if attempts >= ATTEMPTS_MAX {
                work.execute(done, &[&id, &"failed", &work.now, &Some(why)]).await?;
            } else {
                let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
                let pause = RETRY_MIN.saturating_mul(1_i32 << doublings);
                work.execute(
                    "update messages set next_attempt_at = $2, error = $3 where id = $1",
                    &[&id, &after(work.now, pause), &Some(why)],
                )
                .await?;
            }
        }
    }
    work.commit().await
}

/// The table stays small: what is done goes after a month, what was never to be sent at once.
async fn forget(service: &Service) -> Result<()> {
    let work = service.work().await?;
    let old = work.now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    work.execute(
        "delete from messages
          where status = 'dropped' or (status in ('sent', 'failed') and finished_at < $1)",
        &[&old],
    )
    .await?;
    work.commit().await
}

fn after(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

/// A column of 300 characters.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
