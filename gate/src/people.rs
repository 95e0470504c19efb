//! Names and addresses of orders, opened from their sealed form and kept for a moment. What is
//! erased on another node disappears here when the moment is over; what is erased here, at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use inventory::log::SharedLog;
use inventory::personal::{self, Personal};
use inventory::task::{EventHandle, Query, QueryReply};
use inventory::time::Millis;
use uuid::Uuid;

/// Orders kept open; the oldest leaves first.
const ORDERS_MAX: usize = 20_000;
/// How long an order is kept open, in milliseconds.
const KEPT_MS: i64 = 60_000;
/// Longest wait for a name at the door; the verdict goes out without it.
const NAME_TIMEOUT: Duration = Duration::from_millis(250);

pub struct People {
    log: SharedLog,
    open: DashMap<Uuid, Kept>,
    /// In the order of arrival.
    arrived: Mutex<VecDeque<Uuid>>,
}

struct Kept {
    until: Millis,
    personal: Arc<Personal>,
}

impl People {
    pub fn new(log: SharedLog) -> Self {
        Self { log, open: DashMap::new(), arrived: Mutex::new(VecDeque::new()) }
    }

    /// Keeps what a request brought in clear, so that its answer needs no opening.
    pub fn remember(&self, order: Uuid, personal: Arc<Personal>, now: Millis) {
        let kept = Kept { until: now.plus_ms(KEPT_MS), personal };
        if self.open.insert(order, kept).is_some() {
            return;
        }
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.push_back(order);
        while ORDERS_MAX < arrived.len() {
            if let Some(oldest) = arrived.pop_front() {
                self.open.remove(&oldest);
            }
        }
    }

    pub fn forget(&self, order: Uuid) {
        self.open.remove(&order);
    }

    /// The people of an order whose sealed form is at hand; none when the key is erased or the
    /// store does not give it.
    pub async fn of_order(
        &self,
        event: Uuid,
        order: Uuid,
        sealed: &[u8],
        now: Millis,
    ) -> Option<Arc<Personal>> {
        if let Some(personal) = self.kept(order, now) {
            return Some(personal);
        }
        let orders = [order];
        let found = tokio::time::timeout(NAME_TIMEOUT, self.log.data_keys(event, &orders));
        let found = found.await.ok()?.ok()?;
        let (_, key) = found.first()?;
        let personal = Arc::new(personal::open(sealed, key, event, order).ok()?);
        self.remember(order, Arc::clone(&personal), now);
        Some(personal)
    }

    /// The same, where only the order's id is known.
    pub async fn of_ticket(
        &self,
        handle: &EventHandle,
        order: Uuid,
        now: Millis,
    ) -> Option<Arc<Personal>> {
        if let Some(personal) = self.kept(order, now) {
            return Some(personal);
        }
        let asked = tokio::time::timeout(NAME_TIMEOUT, handle.query(Query::Order(order))).await;
        let Ok(Ok(QueryReply::Order(view))) = asked else { return None };
        self.of_order(handle.event(), order, &view.personal, now).await
    }

    fn kept(&self, order: Uuid, now: Millis) -> Option<Arc<Personal>> {
        self.open.get(&order).filter(|kept| now < kept.until).map(|kept| Arc::clone(&kept.personal))
    }
}

/// Name of the person at a position of an order; the buyer's where attendees were not named.
pub fn name_at(personal: &Personal, position: u32) -> Option<&str> {
    let attendee = usize::try_from(position).ok().and_then(|at| personal.attendees.get(at));
    let person = attendee.unwrap_or(&personal.buyer);
    Some(person.name.as_str()).filter(|name| !name.is_empty())
}
