//! What a person may tell the tests by environment variables, read in one place.

/// A variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "only tests come here; these are not settings of the product"
)]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
