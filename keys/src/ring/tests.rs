//! Unit tests of `ring`.
