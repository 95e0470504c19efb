//! How this node reaches the back office: no redirects, no proxy, every wait bounded. Knows no path.

use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client whose requests end after `timeout`, the reply's body included.
pub fn http(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

/// The error and its causes without the URL.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
