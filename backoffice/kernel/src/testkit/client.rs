//! A caller of the API: one token, JSON in and out.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::error::{Error, Result};

/// A reply that takes longer fails the test.
const WAIT: Duration = Duration::from_secs(30);

/// What came back; `body` is null when there was none or it was not JSON.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Member `code` of a problem; empty for anything else.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Fields that a problem names.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }
}

#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    bearer: Option<String>,
}

impl Client {
    /// `base` is `http://127.0.0.1:port`.
    pub fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(WAIT)
            .build()
            .map_err(|cause| Error::internal(format!("no HTTP client: {cause}")))?;
        Ok(Self { http, base: base.to_owned(), bearer: None })
    }

    /// The same caller with this token.
    #[must_use]
    pub fn with_bearer(&self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send("POST", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send("PATCH", path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.send("DELETE", path, None).await
    }

    /// Status and text of a page.
    pub async fn text(&self, path: &str) -> Result<(u16, String)> {
        self.file("GET", path, None).await
    }

    /// A file out, or one in as `text/csv`: the status and the body as it is.
    pub async fn file(
        &self,
        method: &str,
        path: &str,
        file: Option<&str>,
    ) -> Result<(u16, String)> {
        let mut request = self.request(method, path)?;
        if let Some(file) = file {
            request = request.header("content-type", "text/csv").body(file.to_owned());
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(failed)?;
        Ok((status, text))
    }

    /// `path` begins with a slash.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        self.send_with(method, path, &[], body).await
    }

    /// Like [`Self::send`], with headers of the test's own.
    pub async fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply> {
        let mut request = self.request(method, path)?;
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let bytes = response.bytes().await.map_err(failed)?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Reply { status, body, headers })
    }

    fn request(&self, method: &str, path: &str) -> Result<reqwest::RequestBuilder> {
        let verb = Method::from_bytes(method.as_bytes())
            .map_err(|cause| Error::internal(format!("{method} is no method: {cause}")))?;
        let request = self.http.request(verb, format!("{}{path}", self.base));
        Ok(self.bearer.iter().fold(request, |request, token| request.bearer_auth(token)))
    }
}

/// Says which request it was, for its address is part of the cause.
fn failed(cause: reqwest::Error) -> Error {
    Error::internal(format!("a request was not answered: {cause}"))
}
