//! From committed changes to those who want to hear of them. The outbox is a queue that the change
//! trigger fills; one dispatcher at a time empties it: each change is chained into its
//! organization's seals and becomes one delivery for each consumer that listens to its topic.
//! A consumer gets every event at least once, in the order of changes of a row; what it does in the
//! unit of work that it is given happens exactly once. Knows no consumer by name.

mod consume;
mod dispatch;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::action::BoxFuture;
use crate::cx::{Cx, WorkTx};
use crate::entity::{Entity, Retention, Unique, id, instant, integer, json, long_text, text};
use crate::error::{Code, Error, Result};

pub(crate) use consume::consume;
pub(crate) use dispatch::{BATCH_ROWS as SEAL_MEMBERS_MAX, dispatch};

/// Who hears of changes, listed by its domain.
pub struct Consumer {
    /// `ticketing.catalogue`: never changes while deliveries wait.
    pub name: &'static str,
    /// `events.update`, `events.*` (any operation), `*` (everything).
    pub topics: &'static [&'static str],
    pub run: Hear,
}

/// How a consumer hears. Events come in their order, several at once; it reads rows as they are
/// now, which may be later than the event.
pub enum Hear {
    /// In a unit of work of the events' organization, as a part of the house. An error undoes it:
    /// the events come again one by one, and those that fail are put off and in the end parked.
    Organization(for<'a> fn(&'a mut Cx, &'a [Event]) -> BoxFuture<'a, Result<()>>),
    /// In one transaction of role work for all organizations; answers the events that failed, the
    /// others are done. An error undoes it and puts all off.
    Work(HearByWork),
}

/// Answers the events that failed, with why.
pub type HearByWork = for<'a> fn(&'a WorkTx, &'a [Event]) -> BoxFuture<'a, Result<Failed>>;

/// Ids of events, each with what went wrong.
pub type Failed = Vec<(i64, Error)>;

/// A committed change, as the outbox tells it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Grows in the order of a row's changes; with the consumer's name the key of idempotency.
    pub id: i64,
    pub org: Uuid,
    /// Table and operation: `events.update`.
    pub topic: String,
    pub row: Uuid,
    /// Row of `changes` with the values.
    pub change: Option<Uuid>,
    /// `{"version": …, "fields": […]}`: names only.
    pub body: Value,
    pub at: Timestamp,
    /// Links of the outbox that led to the change.
    pub causation: u8,
}

impl Event {
    pub fn table(&self) -> &str {
        self.topic.split_once('.').map_or(self.topic.as_str(), |(table, _)| table)
    }

    /// `insert`, `update`, `delete`, `restore`, or `erase` when the log lost a row's values.
    pub fn operation(&self) -> &str {
        self.topic.split_once('.').map_or("", |(_, operation)| operation)
    }
}

impl Consumer {
    fn hears(&self, topic: &str) -> bool {
        self.topics.iter().any(|own| match own.strip_suffix('*') {
            Some(prefix) => topic.starts_with(prefix),
            None => *own == topic,
        })
    }
}

/// An effect of an effect … of a request, at most so often; what goes on is parked.
pub const CAUSATION_MAX: u8 = 8;

/// An event that a consumer has not heard yet.
pub(crate) static DELIVERY: Entity = Entity::new("outbox_deliveries")
    .machine()
    .about("A change that a consumer has not heard of yet.")
    .fields(&[
        text("consumer").required(),
        integer("event", 1, i64::MAX).required(),
        text("topic").required(),
        id("row_id").required(),
        id("change_id"),
        json("body").required(),
        instant("at").required(),
        integer("causation", 0, i64::MAX).required(),
        instant("due_at").required(),
        integer("attempts", 0, i64::MAX).required().default("0"),
        long_text("error").about("For operators: what the log said."),
        instant("parked_at").about("Tried often enough: it waits for an operator."),
    ])
    .retention(&[
        Retention::days("parked_at", 90),
        // Nobody hears under its consumer's name any more.
        Retention::days("at", 120),
    ])
    .uniques(&[Unique {
        name: "outbox_deliveries_key",
        fields: &["consumer", "event"],
        code: Code::AlreadyExists,
    }]);

/// Puts parked deliveries back, of one consumer or of all; how many.
pub async fn replay(tx: &WorkTx, consumer: Option<&str>) -> Result<u64> {
    tx.execute(
        "update outbox_deliveries set parked_at = null, attempts = 0, due_at = $1 \
          where parked_at is not null and ($2::text is null or consumer = $2)",
        &[&tx.now, &consumer],
    )
    .await
}

/// Seals and delivers what an organization's changes left in the outbox, those that consumers make
/// included; how many deliveries were tried. For tests, which share a database. A round that others
/// hold up is taken again.
#[cfg(feature = "testkit")]
pub async fn settle(service: &crate::service::Service, org: Uuid) -> Result<usize> {
    let mut tried = 0;
    loop {
        dispatch::dispatch_batch(service).await?;
        for consumer in service.registry().consumers() {
            tried += consume::deliver(service, consumer, Some(org), &mut consume::Turn::default())
                .await?;
        }
        let tx = service.work().await?;
        let row = tx
            .query_one(
                "select exists (select from outbox where org_id = $1) \
                     or exists (select from outbox_deliveries d where org_id = $1 \
                                   and parked_at is null and due_at <= $2 \
                                   and not exists ( \
                                     select from outbox_deliveries before \
                                      where before.consumer = d.consumer \
                                        and before.row_id = d.row_id and before.event < d.event \
                                        and before.parked_at is null and before.due_at > $2))",
                &[&org, &tx.now],
            )
            .await?;
        tx.commit().await?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(tried);
        }
        tokio::task::yield_now().await;
    }
}
