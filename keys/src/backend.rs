//! Which arithmetic the signatures run on. Must not know what is signed.
//!
//! `.cargo/config.toml` compiles curve25519-dalek with its AVX-512, AVX2 and serial back ends; it
//! takes the first that the processor has, at run time. The rule is repeated here, where it can be
//! shown, because the library keeps its choice to itself.

/// `avx512`, `avx2` or `serial`.
pub fn selected() -> &'static str {
    if compiled_with_avx512() && has_avx512() {
        "avx512"
    } else if has_avx2() {
        "avx2"
    } else {
        "serial"
    }
}

/// Whether the configuration reached this build: an environment variable RUSTFLAGS silently
/// replaces it.
#[expect(unexpected_cfgs, reason = "set by .cargo/config.toml for curve25519-dalek")]
pub const fn compiled_with_avx512() -> bool {
    cfg!(curve25519_dalek_backend = "avx512")
}

/// What the processor must have for the AVX-512 back end.
pub fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512ifma")
        && std::arch::is_x86_feature_detected!("avx512vl");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}
