//! What an error of Redis means for a log. Messages never hold the URL: it carries a password.

use redis::{ErrorKind, RedisError};

use crate::log::LogError;

/// The same call may be repeated after `Unavailable`, because nobody knows its outcome; `Refused`
/// says that the server answered and wrote nothing.
pub(crate) fn classify(error: &RedisError) -> LogError {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::RESP3NotSupported => return LogError::Refused(text),
        _ => {}
    }
    match error.code() {
        // Checked by the server before a function runs.
        Some(
            "OOM" | "MISCONF" | "READONLY" | "NOREPLICAS" | "NOAUTH" | "WRONGPASS" | "NOPERM"
            | "DENIED",
        ) => LogError::Refused(text),
        Some("WRONGTYPE") => LogError::Damaged(text),
        Some("ERR") if text.contains("smaller than the target stream top item") => {
            LogError::Damaged(format!("head and stream of an event differ: {text}"))
        }
        // LOADING, BUSY, TRYAGAIN, CLUSTERDOWN, MASTERDOWN, a lost connection, a time-out.
        _ => LogError::Unavailable(text),
    }
}

/// Whether the server does not have the function library (it was restarted without its data).
pub(crate) fn lacks_function(error: &RedisError) -> bool {
    error.code() == Some("ERR")
        && error.detail().is_some_and(|detail| detail.contains("Function not found"))
}

/// An answer of a form that the protocol does not know.
pub(crate) fn unexpected(what: &str) -> LogError {
    LogError::Damaged(format!("Redis: unexpected form of {what}"))
}
