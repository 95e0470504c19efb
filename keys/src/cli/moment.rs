//! Moments on the command line: RFC 3339, whole seconds.

use jiff::Timestamp;
use keys::UnixSeconds;

pub(super) fn read(text: &str) -> Result<UnixSeconds, String> {
    let moment: Timestamp = text.parse().map_err(|_| "not RFC 3339".to_owned())?;
    match moment.subsec_nanosecond() {
        0 => Ok(moment.as_second()),
        _ => Err("fractions of a second are not kept".into()),
    }
}

pub(super) fn show(moment: Option<UnixSeconds>) -> String {
    match moment {
        None => "-".into(),
        // Beyond the year 9999 there is no text form; the number says it.
        Some(s) => Timestamp::from_second(s).map_or_else(|_| s.to_string(), |t| t.to_string()),
    }
}
