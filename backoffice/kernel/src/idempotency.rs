//! The table of kept answers and the loop that empties it; what it is for stands in
//! `dispatch::idempotency`.

use std::time::Duration;

use crate::action::Loop;
use crate::entity::{Entity, boolean, bytes, id, instant, integer, text};
use crate::error::Result;
use crate::service::{Service, Shutdown};

/// Bytes of a kept answer, with some room above what dispatch keeps.
const ANSWER_BYTES_MAX: u32 = 512 * 1024;

/// Its id is a digest of organization, actor and key.
pub(crate) static IDEMPOTENCY_KEY: Entity = Entity::new("idempotency_keys")
    .machine()
    .about("The answer to a request that may be sent again; kept for a day.")
    .fields(&[
        bytes("request_hash", 32).required(),
        bytes("rights_hash", 32).required().about("What the caller could do then."),
        instant("expires_at").required(),
        boolean("kept").required().default("false").about("The answer can be given again."),
        integer("status", 100, 599),
        bytes("body", ANSWER_BYTES_MAX).about("Sealed with the caller's key, which is not kept."),
        integer("row_version", 0, i64::MAX).about("For the ETag."),
        text("location"),
        id("operation_id").about("Another service finishes."),
        id("row_id"),
    ])
    .indexes(&[&["expires_at"]]);

/// Answers are kept for a day: one pause more does no harm.
const PAUSE: Duration = Duration::from_secs(600);
/// Rows of one statement, so that no transaction is long.
const BATCH: i64 = 5_000;

pub(crate) const EMPTY: Loop =
    Loop { name: "idempotency", run: |service, shutdown| Box::pin(empty(service, shutdown)) };

async fn empty(service: Service, shutdown: Shutdown) -> Result<()> {
    loop {
        while remove(&service).await? {}
        if !shutdown.pause(PAUSE).await {
            return Ok(());
        }
    }
}

/// Removes some of what is past its time; whether there may be more.
async fn remove(service: &Service) -> Result<bool> {
    let work = service.work().await?;
    // Another process at the same rows is left to them.
    let sql = "delete from idempotency_keys where id in (select id from idempotency_keys \
         where expires_at <= $1 order by expires_at limit $2 for update skip locked)";
    let removed = work.execute(sql, &[&work.now, &BATCH]).await?;
    work.commit().await?;
    Ok(i64::try_from(removed) == Ok(BATCH))
}
