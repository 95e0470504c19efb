//! Outgoing HTTP to the services we know: JSON, bearer token, time-out, bounded bodies, no
//! redirects, no proxies. Hosts that settings do not name are refused.

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::settings::{Secret, Settings};

const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// A reply larger than this is refused, in bytes.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Status and JSON body (null when there was none).
#[derive(Debug)]
pub struct HttpReply {
    pub status: u16,
    pub body: Value,
}

pub struct HttpClient {
    client: reqwest::Client,
    /// `scheme://host:port` of the peers in the settings.
    allowed: Vec<String>,
}

impl HttpClient {
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WAIT)
            .build()
            .map_err(|cause| Error::internal(format!("no HTTP client: {cause}")))?;
        let urls = [&settings.peers.gate_internal_url, &settings.peers.public_gate_url];
        let allowed = urls.into_iter().flatten().filter_map(|url| origin(url)).collect();
        Ok(Self { client, allowed })
    }

    pub async fn get_json(&self, url: &str, bearer: &Secret, wait: Duration) -> Result<HttpReply> {
        self.send(Method::GET, url, bearer, None, wait).await
    }

    /// Status and body as it came, for readers to whom the exact text matters.
    pub async fn get_bytes(
        &self,
        url: &str,
        bearer: &Secret,
        wait: Duration,
    ) -> Result<(u16, Vec<u8>)> {
        self.send_bytes(Method::GET, url, bearer, None, wait).await
    }

    pub async fn post_json(
        &self,
        url: &str,
        bearer: &Secret,
        body: &Value,
        wait: Duration,
    ) -> Result<HttpReply> {
        self.send(Method::POST, url, bearer, Some(body), wait).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        bearer: &Secret,
        body: Option<&Value>,
        wait: Duration,
    ) -> Result<HttpReply> {
        let (status, bytes) = self.send_bytes(method, url, bearer, body, wait).await?;
        if bytes.is_empty() {
            return Ok(HttpReply { status, body: Value::Null });
        }
        let body = serde_json::from_slice(&bytes).map_err(|cause| {
            Error::new(Code::Unavailable, "a service did not answer JSON")
                .with_context(format!("status {status}: {cause}"))
        })?;
        Ok(HttpReply { status, body })
    }

    async fn send_bytes(
        &self,
        method: Method,
        url: &str,
        bearer: &Secret,
        body: Option<&Value>,
        wait: Duration,
    ) -> Result<(u16, Vec<u8>)> {
        if !origin(url).is_some_and(|origin| self.allowed.contains(&origin)) {
            return Err(Error::internal("a request to a host that the settings do not name"));
        }
        let mut request =
            self.client.request(method, url).timeout(wait).bearer_auth(bearer.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut reply = request.send().await.map_err(unreachable)?;
        let status = reply.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(unreachable)? {
            if bytes.len().saturating_add(chunk.len()) > REPLY_BYTES_MAX {
                return Err(Error::new(Code::Unavailable, "a service's reply is too large"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, bytes))
    }
}

fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
}

fn unreachable(cause: reqwest::Error) -> Error {
    Error::new(Code::Unavailable, "a service is not reachable")
        .with_context(cause.without_url().to_string())
}
