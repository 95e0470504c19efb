//! The configuration reaches the build, and the choice follows the processor.

#[test]
#[cfg(target_arch = "x86_64")]
fn the_avx512_back_end_is_compiled_in_and_chosen_where_the_processor_has_it() {
    assert!(
        keys::backend::compiled_with_avx512(),
        "the cfg of .cargo/config.toml is missing: is RUSTFLAGS set, which replaces it?"
    );
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    let expected = match (has("avx512ifma") && has("avx512vl"), has("avx2")) {
        (true, _) => "avx512",
        (false, true) => "avx2",
        (false, false) => "serial",
    };
    assert_eq!(keys::backend::selected(), expected);
}
