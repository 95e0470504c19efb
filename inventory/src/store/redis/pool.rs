//! Connections for blocking reads and administration. Appends never wait behind them.
//!
//! The pool hands out places; a place is connected by who first uses it, so that a server which is
//! down is told at once and by its own error, not by a wait for the pool.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bb8::{ManageConnection, Pool};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError};

use super::error::classify;
use crate::log::{LogError, Result};

#[derive(Clone, Debug)]
pub(crate) struct Connections {
    pool: Pool<Places>,
    client: Client,
    config: AsyncConnectionConfig,
    /// Raised when a connection was found dead: a server that went took all of them with it.
    generation: Arc<AtomicU64>,
}

/// A place in the pool, with its connection and the generation that it was made in.
pub(crate) struct Place(Option<(u64, MultiplexedConnection)>);

#[derive(Debug)]
struct Places;

#[derive(Clone, Copy)]
enum Request<'a> {
    One(&'a Cmd),
    All(&'a Pipeline),
}

impl ManageConnection for Places {
    type Connection = Place;
    type Error = Infallible;

    async fn connect(&self) -> std::result::Result<Place, Infallible> {
        Ok(Place(None))
    }

    async fn is_valid(&self, _: &mut Place) -> std::result::Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Place) -> bool {
        false
    }
}

impl Connections {
    pub(crate) fn new(
        client: Client,
        connect_timeout: Duration,
        response_timeout: Duration,
        connections_max: u32,
    ) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(Some(response_timeout));
        let pool = Pool::builder()
            .max_size(connections_max)
            .min_idle(0)
            .test_on_check_out(false)
            .connection_timeout(connect_timeout.saturating_add(response_timeout))
            .build_unchecked(Places);
        Self { pool, client, config, generation: Arc::default() }
    }

    /// The command's answer. Every command that comes here may be repeated, so one whose connection
    /// turns out to be dead is repeated once on a new one.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.ask(command).await?.map_err(|error| classify(&error))
    }

    /// The same with the server's own error, for who knows what to do about it.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<std::result::Result<T, RedisError>> {
        self.twice(Request::One(command)).await
    }

    /// The same for several commands at once.
    pub(crate) async fn query_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T> {
        self.twice(Request::All(commands)).await?.map_err(|error| classify(&error))
    }

    async fn twice<T: FromRedisValue>(
        &self,
        request: Request<'_>,
    ) -> Result<std::result::Result<T, RedisError>> {
        match self.once(request).await? {
            Err(error) if is_dead(&error) => self.once(request).await,
            outcome => Ok(outcome),
        }
    }

    async fn once<T: FromRedisValue>(
        &self,
        request: Request<'_>,
    ) -> Result<std::result::Result<T, RedisError>> {
        let mut place = self.pool.get().await.map_err(|_| {
            LogError::Unavailable("no connection to Redis became free in time".to_owned())
        })?;
        let generation = self.generation.load(Ordering::Relaxed);
        // Taken out while in use: the connection of one who stops waiting goes with it, because its
        // next user would have to wait for the other's answer first.
        let mut connection = match place.0.take() {
            Some((made_in, connection)) if made_in == generation => connection,
            _ => self
                .client
                .get_multiplexed_async_connection_with_config(&self.config)
                .await
                .map_err(|error| classify(&error))?,
        };
        let outcome = match request {
            Request::One(command) => command.query_async(&mut connection).await,
            Request::All(commands) => commands.query_async(&mut connection).await,
        };
        match &outcome {
            Err(error) if is_dead(error) => {
                self.generation.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.is_timeout() => {}
            _ => place.0 = Some((generation, connection)),
        }
        Ok(outcome)
    }
}

/// Whether the connection is gone. A time-out does not say so; repeating would only wait twice.
pub(crate) fn is_dead(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_connection_dropped() || error.is_unrecoverable_error())
}
