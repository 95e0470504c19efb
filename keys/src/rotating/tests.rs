//! Unit tests of `rotating`.
