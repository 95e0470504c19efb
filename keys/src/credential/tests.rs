//! Unit tests of `credential`.
