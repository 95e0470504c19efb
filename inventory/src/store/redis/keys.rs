//! Names of keys. All keys of an event hash to one slot of a cluster, by the braces.

use redis::Value;
use uuid::Uuid;

/// Set of the events that have, or are about to have, a log.
pub(crate) const EVENTS: &str = "atlvs:events";

/// Stream: id `<seq>-0`, fields `h` = hash[32], `e` = the entry as JSON.
pub(crate) fn log(event: Uuid) -> String {
    format!("atlvs:{{{event}}}:log")
}

/// Hash: `seq`, `hash` of the last entry.
pub(crate) fn head(event: Uuid) -> String {
    format!("atlvs:{{{event}}}:head")
}

/// Hash: order id[16] → data key[32], empty when erased.
pub(crate) fn vault(event: Uuid) -> String {
    format!("atlvs:{{{event}}}:vault")
}

/// Hash: `seq`, `hash`, `bytes`.
pub(crate) fn snapshot(event: Uuid) -> String {
    format!("atlvs:{{{event}}}:snapshot")
}

pub(crate) fn document(name: &str) -> String {
    format!("atlvs:document:{name}")
}

/// Number of a stream id.
pub(crate) fn seq(id: &Value) -> Option<u64> {
    let Value::BulkString(id) = id else { return None };
    std::str::from_utf8(id).ok()?.strip_suffix("-0")?.parse().ok()
}
