//! For measuring: a GET from dispatch to JSON without a transport, and a query without anything
//! around it to compare with.

use std::net::{IpAddr, Ipv4Addr};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::db;
use crate::dispatch::{self, Body, Call, Method};
use crate::error::{Error, Result, from_database};
use crate::limits::Charges;
use crate::service::Service;
use crate::settings::Secret;

/// `path` is below `/api/v1`, with its query, nothing escaped; answers the body.
pub async fn direct(service: &Service, path: &str, token: &str) -> Result<Vec<u8>> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    let call = Call {
        method: Method::Get,
        path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        query: query.split('&').filter(|text| !text.is_empty()).map(pair).collect(),
        body: Body::None,
        if_match: None,
        if_none_match: None,
        idempotency_key: None,
        secret: Some(token.to_owned()),
        browser: None,
        organization: None,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: String::new(),
        request_id: service.new_id(),
        charges: Charges::default(),
    };
    let (_, answer) = Box::pin(dispatch::dispatch(service, call)).await;
    answer?.body.ok_or_else(|| Error::internal("there is nothing to show"))
}

/// The service proves its callers anew, as if it had just begun.
pub fn forget_callers(service: &Service) {
    service.accounts().known.clear();
}

/// One prepared statement on a connection of its own.
pub struct Bare {
    client: Client,
    statement: Statement,
}

impl Bare {
    /// `setup` stays true for the session.
    pub async fn connect(url: &Secret, setup: &str, sql: &str) -> Result<Self> {
        let failed = |cause: tokio_postgres::Error| from_database(None, &cause);
        let (client, connection) = db::config(url, "bare")?.connect(NoTls).await.map_err(failed)?;
        tokio::spawn(async move {
            if let Err(cause) = connection.await {
                tracing::warn!(%cause, "the bare connection ended");
            }
        });
        client.batch_execute(setup).await.map_err(failed)?;
        let statement = client.prepare(sql).await.map_err(failed)?;
        Ok(Self { client, statement })
    }

    pub async fn rows(&self, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let rows = self.client.query(&self.statement, params).await;
        rows.map_err(|cause| from_database(None, &cause))
    }
}
