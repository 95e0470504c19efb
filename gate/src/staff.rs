//! Staff at the gate's own figures: the back office is asked what their token may do (RFC 7662), and
//! its answer is kept for a short while. Doors never wait for this. Knows no HTTP of ours.

use std::time::Duration;

use dashmap::DashMap;
use inventory::time::Millis;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::back_office;
use crate::secret::{self, Secret};
use crate::settings::BackOffice;

/// How long an answer is believed, in milliseconds: a revoked token reads figures so long.
const BELIEVED_MS: i64 = 30_000;
/// Answers kept; more forget all of them.
const KEPT_MAX: usize = 10_000;
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longest token that is asked about, in characters.
pub const TOKEN_CHARS_MAX: usize = 256;

/// What the back office says of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Standing {
    /// The token lives.
    pub active: bool,
    /// And has the right that was asked for, in that organization.
    pub may: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the back office could not say what the token may do: {0}")]
pub struct Unknown(String);

pub struct Staff {
    http: reqwest::Client,
    url: String,
    token: Secret,
    kept: DashMap<[u8; 32], (Standing, Millis)>,
}

impl Staff {
    pub fn new(settings: &BackOffice) -> Result<Self, Unknown> {
        let http = back_office::http(TIMEOUT).map_err(unknown)?;
        let url = format!("{}/internal/v1/introspect", settings.url);
        Ok(Self { http, url, token: settings.token.clone(), kept: DashMap::new() })
    }

    /// What `token` may do with `grant` in `organization`.
    pub async fn standing(
        &self,
        token: &str,
        organization: Uuid,
        grant: &str,
        right: &str,
        now: Millis,
    ) -> Result<Standing, Unknown> {
        if TOKEN_CHARS_MAX < token.len() {
            return Ok(Standing { active: false, may: false });
        }
        let key = secret::hash(format!("{organization}\n{grant}\n{right}\n{token}").as_bytes());
        let kept = self.kept.get(&key).map(|kept| *kept);
        if let Some((standing, until)) = kept
            && now < until
        {
            return Ok(standing);
        }
        let question =
            json!({"token": token, "organization": organization, "grant": grant, "right": right});
        let request = self.http.post(&self.url).bearer_auth(self.token.reveal()).json(&question);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let standing: Standing = answer.map_err(unknown)?.json().await.map_err(unknown)?;
        if KEPT_MAX <= self.kept.len() {
            self.kept.clear();
        }
        self.kept.insert(key, (standing, Millis(now.0.saturating_add(BELIEVED_MS))));
        Ok(standing)
    }
}

fn unknown(error: reqwest::Error) -> Unknown {
    Unknown(back_office::describe(error))
}
