//! The process as a value: pools, registry, settings, clock, outgoing HTTP. Built once by the
//! binary or a test, cloned everywhere; there are no globals.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::beats::Beats;
use crate::clock::{self, SharedClock};
use crate::cx::{Actor, Begin, Cx, Mode, WorkTx};
use crate::db;
use crate::egress::HttpClient;
use crate::error::{Code, Error, Result};
use crate::limits::RateLimits;
use crate::mail::{self, Mailer};
use crate::metrics::Metrics;
use crate::ready::Readiness;
use crate::registry::Registry;
use crate::settings::Settings;

pub use crate::shutdown::{Shutdown, Trigger};

/// Connections for transactions beside a unit of work; each is held for one statement or two.
const APART_CONNECTIONS_MAX: usize = 2;
/// They wait this long for a lock: whoever waits for one of them holds locks of its own, and others
/// wait for the connection.
const APART_LOCK_WAIT: Duration = Duration::from_millis(500);

/// Everything that a request or a loop needs; cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

/// Files that a process takes in at the same time, some MiB of memory each.
const UPLOADS_MAX: usize = 32;

struct Inner {
    registry: &'static Registry,
    settings: Settings,
    clock: SharedClock,
    app: Pool,
    /// Short transactions beside a unit of work. Their own connections: a request that holds one of
    /// `app` and waits for a second could wait for another that does the same.
    apart: Pool,
    /// Absent when no URL for the portals' role was given.
    portal: Option<Pool>,
    /// Absent when no URL for the work role was given.
    work: Option<Pool>,
    http: HttpClient,
    accounts: Accounts,
    metrics: Metrics,
    beats: Beats,
    readiness: Readiness,
    limits: RateLimits,
    mailer: Arc<dyn Mailer>,
    /// Files being made: each holds a connection for as long as its reader takes.
    exports: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

impl Service {
    /// Builds the pools without connecting: the service starts while the database is away and says
    /// so in `/ready`.
    pub fn new(
        registry: &'static Registry,
        settings: Settings,
        clock: SharedClock,
    ) -> Result<Self> {
        let mailer = mail::from_settings(&settings);
        Self::with_mailer(registry, settings, clock, mailer)
    }

    /// Like [`Self::new`], with another way for mail to leave.
    pub fn with_mailer(
        registry: &'static Registry,
        settings: Settings,
        clock: SharedClock,
        mailer: Arc<dyn Mailer>,
    ) -> Result<Self> {
        let database = &settings.database;
        if database.app_url.is_empty() {
            return Err(Error::internal("DATABASE_URL is not set"));
        }
        let app = db::pool(&database.app_url, "app", database.connections_max)?;
        let apart = db::pool_that_gives_up(
            &database.app_url,
            "apart",
            APART_CONNECTIONS_MAX,
            APART_LOCK_WAIT,
        )?;
        let portal = if database.portal_url.is_empty() {
            None
        } else {
            Some(db::pool(&database.portal_url, "portal", database.connections_max)?)
        };
        let work = if database.work_url.is_empty() {
            None
        } else {
            Some(db::pool(&database.work_url, "work", database.connections_max)?)
        };
        let http = HttpClient::new(&settings)?;
        let accounts = Accounts::new()?;
        let metrics = Metrics::new();
        let readiness = Readiness::new(&database.app_url)?;
        // Half of the connections stay for everybody else.
        let exports = Arc::new(Semaphore::new((database.connections_max / 2).max(1)));
        let limits = RateLimits::new(clock.clone(), settings.http.rate_percent);
        Ok(Self(Arc::new(Inner {
            registry,
            settings,
            clock,
            app,
            apart,
            portal,
            work,
            http,
            accounts,
            metrics,
            beats: Beats::default(),
            readiness,
            limits,
            mailer,
            exports,
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
        })))
    }

    pub fn registry(&self) -> &'static Registry {
        self.0.registry
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// A fresh UUIDv7 of now.
    pub fn new_id(&self) -> Uuid {
        clock::new_id(self.now())
    }

    pub fn http(&self) -> &HttpClient {
        &self.0.http
    }

    pub(crate) fn exports(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.exports)
    }

    /// Places for files on their way in; one more is told to come back.
    pub(crate) fn uploads(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.uploads)
    }

    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    pub(crate) fn beats(&self) -> &Beats {
        &self.0.beats
    }

    /// A loop of this process, or a part of it, says that it goes on.
    pub(crate) fn beat(&self, name: &'static str, part: &'static str) {
        self.0.beats.beat((name, part));
        self.0.metrics.beat(name, part, self.now().as_second());
    }

    pub(crate) fn limits(&self) -> &RateLimits {
        &self.0.limits
    }

    pub(crate) fn mailer(&self) -> &dyn Mailer {
        &*self.0.mailer
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// A unit of work in an organization: role app (portal for a portal's caller), READ COMMITTED, opened with its first query.
    pub async fn begin(&self, actor: Actor, org: Uuid) -> Result<Cx> {
        self.open(actor, org, self.new_id(), Mode::Write).await
    }

    /// A unit of work that only reads: the database refuses every write in it.
    pub async fn read(&self, actor: Actor, org: Uuid) -> Result<Cx> {
        self.open(actor, org, self.new_id(), Mode::Read).await
    }

    pub(crate) async fn open(
        &self,
        actor: Actor,
        org: Uuid,
        request_id: Uuid,
        mode: Mode,
    ) -> Result<Cx> {
        self.open_with(Begin { actor, org, request_id, mode, causation: 0, proof: None }).await
    }

    pub(crate) async fn open_with(&self, begin: Begin) -> Result<Cx> {
        let pool = match &begin.actor {
            Actor::Portal { .. } => self.0.portal.as_ref().ok_or_else(|| {
                Error::new(Code::Unavailable, "portals are not served here")
                    .with_context("DATABASE_PORTAL_URL is not set")
            })?,
            _ => &self.0.app,
        };
        let client = db::take(pool).await?;
        // Some reads leave an entry behind.
        let mode = if begin.actor.is_logged() { Mode::Write } else { begin.mode };
        Ok(Cx::new(self.clone(), client, Begin { mode, ..begin }))
    }

    /// A short unit of work beside another one, see `Cx::apart`.
    pub(crate) async fn open_apart(&self, begin: Begin) -> Result<Cx> {
        let client = db::take(&self.0.apart).await?;
        Ok(Cx::new(self.clone(), client, begin))
    }

    /// A transaction of role work on machine tables, without an organization.
    pub async fn work(&self) -> Result<WorkTx> {
        let pool = self
            .0
            .work
            .as_ref()
            .ok_or_else(|| Error::new(Code::Unavailable, "DATABASE_WORK_URL is not set"))?;
        WorkTx::begin(self.clone(), db::take(pool).await?).await
    }

    /// A connection of role app outside any transaction: for definer functions that answer who
    /// someone is.
    pub(crate) async fn app_client(&self) -> Result<db::Pooled> {
        db::take(&self.0.app).await
    }

    /// Connections in use and open, for the metrics.
    pub(crate) fn pool_figures(&self) -> Vec<(&'static str, usize, usize)> {
        let figures = |name, pool: &Pool| {
            let status = pool.status();
            (name, status.size.saturating_sub(status.available), status.size)
        };
        let mut all = vec![
            figures("app", &self.0.app),
            figures("apart", &self.0.apart),
            figures("ready", self.0.readiness.pool()),
        ];
        all.extend(self.0.portal.as_ref().map(|pool| figures("portal", pool)));
        all.extend(self.0.work.as_ref().map(|pool| figures("work", pool)));
        all
    }
}
