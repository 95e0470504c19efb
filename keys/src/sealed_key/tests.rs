//! Unit tests of `sealed_key`.
