//! Unit tests of `sealed`.
