//! Sealing, opening, and where the master key comes from.

use super::*;

const KEY: [u8; 32] = [3; 32];

#[test]
fn what_is_sealed_opens_with_the_same_key_and_data() {
    for plaintext in [&b""[..], b"x", &[0xff; 5000]] {
        let sealed = seal(&KEY, b"aad", plaintext).unwrap();
        assert_eq!(sealed.len(), plaintext.len() + OVERHEAD_BYTES);
        assert_eq!(open(&KEY, b"aad", &sealed).unwrap().as_slice(), plaintext);
    }
}

#[test]
fn every_changed_bit_and_every_shorter_value_is_refused() {
    let sealed = seal(&KEY, b"aad", b"the secret").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&KEY, b"aad", &changed), Err(OpenError), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert_eq!(open(&KEY, b"aad", &sealed[..length]), Err(OpenError), "length {length}");
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    assert_eq!(open(&KEY, b"aad", &longer), Err(OpenError));
}

#[test]
fn another_key_or_other_associated_data_does_not_open() {
    let sealed = seal(&KEY, b"aad", b"the secret").unwrap();
    assert_eq!(open(&[4; 32], b"aad", &sealed), Err(OpenError));
    for other in [&b""[..], b"aae", b"aad\0"] {
        assert_eq!(open(&KEY, other, &sealed), Err(OpenError));
    }
}

#[test]
fn sealing_twice_gives_different_bytes() {
    let [a, b] = [(); 2].map(|()| seal(&KEY, b"", b"same").unwrap());
    assert_ne!(a[..NONCE_BYTES], b[..NONCE_BYTES]);
    assert_ne!(a[NONCE_BYTES..], b[NONCE_BYTES..]);
}

/// A file that goes with the test.
struct KeyFile(PathBuf);

impl KeyFile {
    fn holding(name: &str, content: &[u8]) -> KeyFile {
        let path = std::env::temp_dir().join(format!("keys-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        KeyFile(path)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn the_master_key_comes_from_exactly_one_setting() {
    #[track_caller]
    fn check(value: Option<&str>, file: Option<&Path>, expected: Result<[u8; 32], &str>) {
        let read = MasterKey::from_settings(value, file);
        match (read, expected) {
            (Ok(key), Ok(bytes)) => assert_eq!(*key.0, bytes),
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{error}");
            }
            (read, expected) => panic!("{read:?} instead of {expected:?}"),
        }
    }
    let text = BASE64.encode(&[5; 32]);
    let good = KeyFile::holding("good", format!("{text}\n").as_bytes());
    let short = KeyFile::holding("short", b"AAAA");
    let large = KeyFile::holding("large", " ".repeat(2000).as_bytes());
    let binary = KeyFile::holding("binary", &[0xff; 32]);
    check(Some(&text), None, Ok([5; 32]));
    check(Some(&format!(" {text}\n")), None, Ok([5; 32]));
    check(None, Some(&good.0), Ok([5; 32]));
    check(Some(""), Some(&good.0), Ok([5; 32]));
    check(Some(&text), Some(Path::new("")), Ok([5; 32]));
    check(None, None, Err("not set"));
    check(Some(""), Some(Path::new("")), Err("not set"));
    check(Some(&text), Some(&good.0), Err("set twice"));
    check(Some("AAAA"), None, Err("not base64 of 32 bytes"));
    check(Some(text.trim_end_matches('=')), None, Err("not base64 of 32 bytes"));
    check(None, Some(&short.0), Err("not base64 of 32 bytes"));
    check(None, Some(&large.0), Err("not base64 of 32 bytes"));
    check(None, Some(&binary.0), Err("cannot read"));
    check(None, Some(Path::new("/nowhere/master.key")), Err("cannot read /nowhere/master.key"));
}

#[test]
fn errors_and_debug_do_not_repeat_the_key() {
    let text = "c2VjcmV0LXRleHQtdGhhdC1pcy1ub3QtYS1rZXk";
    let error = MasterKey::from_base64(text).unwrap_err();
    assert!(!error.to_string().contains("c2Vj") && !format!("{error:?}").contains("c2Vj"));
    assert_eq!(format!("{:?}", MasterKey::from_bytes(KEY)), "MasterKey(hidden)");
}

#[test]
fn generated_master_keys_differ() {
    let [a, b] = [MasterKey::generate().unwrap(), MasterKey::generate().unwrap()];
    assert_ne!(a.0, b.0);
}
