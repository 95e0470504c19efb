//! The service as it is in production, on free ports of this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{Client, TestDb};
use crate::clock::{SharedClock, SystemClock};
use crate::error::Result;
use crate::http::Listeners;
use crate::registry::Registry;
use crate::service::{Service, Shutdown, Trigger};
use crate::settings::{
    DatabaseSettings, HttpSettings, ListenSettings, MailSettings, MasterKeyBytes, PeerSettings,
    Secret, Settings, WorkSettings,
};

/// Connections of one test's pools; many tests share a server.
const CONNECTIONS_MAX: usize = 6;
/// Per cent of the rate limits that tests have.
const RATE_PERCENT: NonZeroU32 = NonZeroU32::MIN.saturating_add(999_999);
/// What the gate shows to the internal listener, in tests.
pub const CATALOGUE_TOKEN: &str = "catalogue-token-of-the-tests";
/// What the gate wants to be shown, in tests.
pub const JOURNAL_TOKEN: &str = "journal-token-of-the-tests";

/// A running service; it ends when this is dropped.
pub struct TestServer {
    pub service: Service,
    /// `http://127.0.0.1:port` of the public listener.
    pub url: String,
    /// A caller without a token.
    pub client: Client,
    /// The internal listener, with the token of its direction.
    pub internal: Client,
    pub shutdown: Shutdown,
    trigger: Trigger,
    task: JoinHandle<Result<()>>,
}

impl TestServer {
    pub async fn start(registry: &'static Registry, db: &TestDb) -> Result<Self> {
        Self::start_with(registry, settings(db), Arc::new(SystemClock)).await
    }

    pub async fn start_with(
        registry: &'static Registry,
        settings: Settings,
        clock: SharedClock,
    ) -> Result<Self> {
        let service = Service::new(registry, settings, clock)?;
        let listeners = Listeners::bind(&service).await?;
        let url = format!("http://{}", listeners.public()?);
        let client = Client::new(&url)?;
        let internal =
            Client::new(&format!("http://{}", listeners.internal()?))?.with_bearer(CATALOGUE_TOKEN);
        let (trigger, shutdown) = Shutdown::new();
        let serving = (service.clone(), shutdown.clone());
        let task = tokio::spawn(async move { listeners.serve(&serving.0, serving.1).await });
        Ok(Self { service, url, client, internal, shutdown, trigger, task })
    }

    /// Ends as after SIGTERM, and waits for it.
    pub async fn end(self) -> Result<()> {
        self.trigger.end();
        self.task.await.unwrap_or_else(|cause| {
            Err(crate::error::Error::internal(format!("the server's task failed: {cause}")))
        })
    }
}

/// Settings on free ports of this machine, with a master key made of one byte.
pub fn settings(db: &TestDb) -> Settings {
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Settings {
        listen: ListenSettings {
            bind,
            port: 0,
            internal_bind: bind,
            internal_port: 0,
            work_port: 0,
            public_url: None,
        },
        // Registry-wide rules call more often than people do; the limits have tests of their own.
        http: HttpSettings { rate_percent: RATE_PERCENT, ..HttpSettings::default() },
        database: DatabaseSettings {
            app_url: db.app_url.clone(),
            portal_url: db.portal_url.clone(),
            work_url: db.work_url.clone(),
            migrate_url: db.migrate_url.clone(),
            admin_url: Secret::default(),
            slow_ms: crate::settings::SLOW_MS_DEFAULT,
            connections_max: CONNECTIONS_MAX,
        },
        peers: PeerSettings {
            gate_internal_url: None,
            public_gate_url: None,
            catalogue_token: Secret::new(CATALOGUE_TOKEN),
            journal_token: Secret::new(JOURNAL_TOKEN),
        },
        mail: MailSettings { from: "house@example.org".to_owned(), ..MailSettings::default() },
        work: WorkSettings::default(),
        master_key: Some(MasterKeyBytes([7; 32])),
    }
}
