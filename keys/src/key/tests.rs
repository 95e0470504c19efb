//! Unit tests of `key`.
