//! Unit tests of `signing`.
