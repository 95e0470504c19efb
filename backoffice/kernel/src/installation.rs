//! Where this database lives, and whether work may be done on it. A copy is *held*: the row says of
//! which server and database it was made, so one that was restored anywhere else knows that it is a
//! copy, however it came there. While a database is held no unit of work of the background begins:
//! no job, no mail, no tick, no delivery, no feed. Operators let it go.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::cx::WorkTx;
use crate::db::Admin;
use crate::entity::{Entity, id, instant, text};
use crate::error::{Result, from_database};
use crate::registry::Registry;
use crate::service::{Service, Shutdown};
use crate::settings::Secret;

/// Between two looks of a loop that waits to be let go.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) static INSTALLATION: Entity = Entity::new("installations")
    .machine()
    .about("Where the database lives, and whether work may be done on it: one row.")
    .kept("one row")
    .fields(&[
        text("cluster").required().about("System identifier of the server."),
        text("place").required().about("The database's number there."),
        id("feed_epoch").required().about("New when cursors may begin lower than they were."),
        instant("held_at"),
        text("held_why"),
        instant("dropped_at").about("What was due by then is not done any more."),
    ]);

/// Whether the registry has the row, and with it the functions that read it.
pub(crate) fn is_told(registry: &Registry) -> bool {
    registry.member(INSTALLATION.name).is_some()
}

impl Service {
    /// Why no work may be done on the database, if so.
    pub(crate) async fn held(&self) -> Result<Option<String>> {
        if !is_told(self.registry()) {
            return Ok(None);
        }
        let client = self.readiness().client().await?;
        let row = client.query_one("select held()", &[]).await;
        Ok(row.map_err(|cause| from_database(None, &cause))?.get(0))
    }
}

/// Until work may be done, or the process ends. A database that does not answer is the loop's own
/// trouble.
pub(crate) async fn wait(service: &Service, name: &str, end: &Shutdown) {
    let mut told = false;
    while let Ok(Some(why)) = service.held().await {
        if !told {
            tracing::warn!(name, why, "the database is held: the loop waits");
            told = true;
        }
        if !end.pause(PAUSE).await {
            return;
        }
    }
}

/// Names the numbers of the catalogue: when it changes, they begin anew.
pub async fn feed_epoch(tx: &WorkTx) -> Result<Uuid> {
    Ok(tx.query_one("select feed_epoch from installations", &[]).await?.try_get(0)?)
}

/// What was due by then is passed over, as operators wished.
pub(crate) async fn dropped_at(tx: &WorkTx) -> Result<Option<Timestamp>> {
    let row = tx.query_opt("select dropped_at from installations", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
}

/// What becomes of work that was due while the database was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is done now.
    Done,
    /// Jobs end as canceled, mails are not sent, schedules go on with their next time.
    Dropped,
}

/// Holds the database, until it is let go. `url` is the migrate role's.
pub async fn hold(url: &Secret, why: &str) -> Result<()> {
    let admin = Admin::connect(url).await?;
    let sql = "update installations set held_at = now(), held_why = $1";
    let held = admin.execute(sql, &[&why]).await;
    admin.close().await;
    held.map(drop)
}

/// Why the database is held, if so. `url` is the migrate role's or a superuser's.
pub async fn held(url: &Secret) -> Result<Option<String>> {
    let admin = Admin::connect(url).await?;
    let row = admin.query_one("select held()", &[]).await;
    admin.close().await;
    Ok(row?.get(0))
}

/// Lets the database go where it is now; answers why it was held, and does nothing when it was not.
/// `url` is the migrate role's.
pub async fn release(url: &Secret, due: Due) -> Result<Option<String>> {
    let admin = Admin::connect(url).await?;
    admin.batch("begin").await?;
    let released = released(&admin, due).await;
    let end = if released.is_ok() { "commit" } else { "rollback" };
    let ended = admin.batch(end).await;
    admin.close().await;
    ended.and(released)
}

async fn released(admin: &Admin, due: Due) -> Result<Option<String>> {
    let why: Option<String> = admin.query_one("select held()", &[]).await?.get(0);
    if why.is_some() {
        if due == Due::Dropped {
            admin.batch(DROP_DUE).await?;
        }
        admin.batch(RELEASE).await?;
    }
    Ok(why)
}

const RELEASE: &str = "
    update installations i set cluster = h.cluster, place = h.place, held_at = null,
                               held_why = null, feed_epoch = uuid7() from here() h;
    select settle_here()";

/// Workers end what is canceled, so that whoever waits for it is told. A mail is not sent, and the
/// secret in it is gone.
const DROP_DUE: &str = "
    update jobs set cancel_asked_at = now()
     where id in (select id from job_queue where due_at <= now());
    update job_queue set leased_by = null, leased_until = null where due_at <= now();
    update messages set status = 'dropped', sealed_secret = null where status = 'queued';
    update installations set dropped_at = now()";
