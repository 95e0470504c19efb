//! Instants of the inventory: milliseconds since the Unix epoch, RFC 3339 on the wire.

/// Milliseconds since 1970-01-01T00:00Z. As JSON text: `"2026-11-21T19:05:00.123Z"`, always with
/// three digits of fraction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Millis(pub i64);
