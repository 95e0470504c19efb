//! Where log lines go: standard error, as JSON or text. `LOG_FORMAT` is `json` or `text` (default),
//! `LOG_LEVEL` a filter of tracing (`info` by default).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::Failure;

const LEVEL_DEFAULT: &str = "info";

pub(crate) fn start() -> Result<(), Failure> {
    let level = setting("LOG_LEVEL").unwrap_or_else(|| LEVEL_DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&level)
        .map_err(|cause| Failure::new(format!("LOG_LEVEL {level:?}: {cause}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match setting("LOG_FORMAT").as_deref() {
        Some("json") => lines.json().flatten_event(true).try_init(),
        None | Some("text") => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Some(other) => {
            return Err(Failure::new(format!("LOG_FORMAT must be json or text, not {other:?}")));
        }
    };
    started.map_err(Failure::new)
}

#[expect(clippy::disallowed_methods, reason = "the log starts before the settings are read")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
