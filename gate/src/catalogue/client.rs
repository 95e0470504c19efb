//! One long poll of the catalogue feed over HTTP. Knows the feed's envelope, not its documents.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::back_office;
use crate::secret::Secret;
use crate::settings::BackOffice;

/// Changes asked for in one page.
const PAGE_CHANGES_MAX: usize = 500;
/// How long the back office may wait for news, in milliseconds.
const WAIT_MS: u64 = 20_000;
/// Longest time for one page, the wait included.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest page that is read, in bytes.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0}")]
    Http(String),
    #[error("the back office answered {0}")]
    Status(u16),
    #[error("a page has more than {PAGE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("a page could not be read: {0}")]
    Page(String),
}

#[derive(Debug, Deserialize)]
pub struct Page {
    /// Names the count of the cursors: another one counts anew. None from a back office that does not
    /// tell it.
    #[serde(default)]
    pub epoch: Option<Uuid>,
    pub cursor: u64,
    pub more: bool,
    pub changes: Vec<Change>,
}

/// The newest state of one document; no body = gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    pub cursor: u64,
    pub kind: String,
    pub id: Uuid,
    pub organization: Option<Uuid>,
    pub body: Option<Value>,
}

pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Secret,
}

impl Client {
    pub fn new(settings: &BackOffice) -> Result<Self, ClientError> {
        let http = back_office::http(PAGE_TIMEOUT).map_err(describe)?;
        let url = format!("{}/internal/v1/catalogue", settings.url);
        Ok(Self { http, url, token: settings.token.clone() })
    }

    /// The changes after `after`; waits for them.
    pub async fn page(&self, after: u64) -> Result<Page, ClientError> {
        let url = format!("{}?after={after}&limit={PAGE_CHANGES_MAX}&wait_ms={WAIT_MS}", self.url);
        let request = self.http.get(url).bearer_auth(self.token.reveal());
        let mut response = request.send().await.map_err(describe)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(ClientError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            if PAGE_BYTES_MAX < bytes.len().saturating_add(chunk.len()) {
                return Err(ClientError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Page(error.to_string()))
    }
}

fn describe(error: reqwest::Error) -> ClientError {
    ClientError::Http(back_office::describe(error))
}
