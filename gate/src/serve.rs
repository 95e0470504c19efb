//! Puts the gate together: log, catalogue, listeners; and takes it apart again without losing an
//! answer. Time, the log and the addresses come from outside.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inventory::log::{LogError, SharedLog};
use inventory::store::file::FileLog;
use inventory::store::redis::{RedisLog, RedisOptions};
use inventory::time::SharedClock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alarm;
use crate::catalogue;
use crate::catalogue::client::{Client, ClientError};
use crate::gate::Gate;
use crate::http::{router, server};
use crate::routes::Listener;
use crate::settings::{Settings, Store};
use crate::staff::{self, Staff};

/// How often forgotten callers leave the rate limits.
const CLEAN_EVERY: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Store(#[from] LogError),
    #[error("the spool {dir} cannot be used: {error}")]
    Spool { dir: PathBuf, error: io::Error },
    #[error("the catalogue's client: {0}")]
    Client(#[from] ClientError),
    #[error("the client for staff: {0}")]
    Staff(#[from] staff::Unknown),
}

/// A gate that serves.
pub struct Running {
    pub public: SocketAddr,
    pub internal: SocketAddr,
    pub gate: Arc<Gate>,
    stop: watch::Sender<bool>,
    /// Holds the spool for this process.
    spool: Option<File>,
    listeners: Vec<JoinHandle<bool>>,
    /// Catalogue, cleaning, alarms.
    loops: Vec<JoinHandle<()>>,
}

/// The store that the settings name.
pub async fn open_log(store: &Store) -> Result<SharedLog, LogError> {
    Ok(match store {
        Store::File { dir } => Arc::new(FileLog::open(dir)?),
        Store::Redis { url } => {
            Arc::new(RedisLog::connect(url.reveal(), RedisOptions::default()).await?)
        }
    })
}

/// Starts serving. The back office may be away; the store may not.
pub async fn start(
    settings: &Settings,
    log: SharedLog,
    clock: SharedClock,
) -> Result<Running, StartError> {
    // Addresses first: what cannot be served is not opened.
    let public = bind(settings.listen.public).await?;
    let internal = bind(settings.listen.internal).await?;
    let addresses = (local(&public)?, local(&internal)?);
    let spool = settings.spool.as_deref().map(claim).transpose()?;
    let client = Client::new(&settings.back_office)?;
    let staff = Staff::new(&settings.back_office)?;
    let gate = Arc::new(Gate::new(settings, log, clock, staff));
    let catalogue = catalogue::load(&gate).await?;
    let (stop, stopped) = watch::channel(false);
    let listen = |listener, which| {
        tokio::spawn(server::serve(
            listener,
            router(&gate, which),
            settings.limits.connections_max,
            Arc::clone(&gate.metrics),
            stopped.clone(),
        ))
    };
    let listeners = vec![listen(public, Listener::Public), listen(internal, Listener::Internal)];
    let (loops_stop, loops_stopped) = (stop.clone(), stop.subscribe());
    let loops = vec![
        tokio::spawn(catalogue.run(Arc::clone(&gate), client, loops_stopped)),
        tokio::spawn(clean(Arc::clone(&gate), loops_stop.subscribe())),
        tokio::spawn(alarms(Arc::clone(&gate), loops_stop.subscribe())),
    ];
    let (public, internal) = addresses;
    Ok(Running { public, internal, gate, stop, spool, listeners, loops })
}

impl Running {
    /// Takes no more, answers what was accepted, then closes the journals. Returns whether
    /// everything was answered in time.
    pub async fn stop(self) -> bool {
        // Readers of the feeds are sent home, the listeners close, the loops end.
        self.gate.stop();
        self.stop.send_replace(true);
        let mut answered = true;
        for listener in self.listeners {
            answered &= listener.await.unwrap_or(false);
        }
        for task in self.loops {
            if let Err(error) = task.await {
                tracing::error!(%error, "a loop did not end well");
            }
        }
        self.gate.events.close().await;
        // Given back explicitly: a child of this process may share the open file for a moment.
        if let Some(Err(error)) = self.spool.map(|spool| spool.unlock()) {
            tracing::warn!(%error, "the spool was not given back");
        }
        answered
    }
}

/// What is decided alone belongs to one process: another one would merge it while it is written.
fn claim(dir: &Path) -> Result<File, StartError> {
    let claimed = std::fs::create_dir_all(dir)
        .and_then(|()| File::create(dir.join("lock")))
        .and_then(|lock| lock.try_lock().map(|()| lock).map_err(io::Error::from));
    claimed.map_err(|error| StartError::Spool { dir: dir.to_owned(), error })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Listen { address, error })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::Listen { address: SocketAddr::from(([0, 0, 0, 0], 0)), error })
}

async fn alarms(gate: Arc<Gate>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = alarm::run(gate) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn clean(gate: Arc<Gate>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(CLEAN_EVERY) => gate.rates.clean(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
