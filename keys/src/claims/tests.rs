//! Unit tests of `claims`.
