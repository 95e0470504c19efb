//! Files of keys: what is refused, what survives.

use keys::{MasterKey, SigningKey};

use super::*;

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("keys-dir-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn sealed(event: u32, number: u32, not_before: i64) -> SealedKey {
    let mut seed = [0; 32];
    seed[28..].copy_from_slice(&number.to_be_bytes());
    let master = MasterKey::from_bytes([1; 32]);
    SealedKey::seal(&SigningKey::from_seed(event, &seed), &master, not_before).unwrap()
}

#[test]
fn a_key_whose_id_is_taken_is_not_created() {
    let scratch = Scratch::new("twins");
    let dir = Directory::at(&scratch.0);
    // Private keys whose public keys differ and have the same id.
    let [first, second] = [sealed(1, 3972, 0), sealed(1, 8129, 0)];
    assert_eq!(first.public.kid(), second.public.kid());
    dir.create(&first).unwrap();
    let error = dir.create(&second).unwrap_err().to_string();
    assert!(error.contains("1-d41cce.json: File exists"), "{error}");
    assert_eq!(dir.read(None).unwrap(), [first]);
    dir.create(&sealed(2, 8129, 0)).unwrap();
    let names: Vec<_> = fs::read_dir(&scratch.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing temporary is left: {names:?}");
}

#[test]
fn keys_are_read_in_order_and_by_event() {
    let scratch = Scratch::new("order");
    let dir = Directory::at(&scratch.0.join("made/on/demand"));
    assert_eq!(dir.read(None).unwrap(), []);
    let keys = [sealed(1, 3, 10), sealed(1, 1, 20), sealed(2, 2, 5)];
    for key in keys.iter().rev() {
        dir.create(key).unwrap();
    }
    assert_eq!(dir.read(None).unwrap(), keys);
    assert_eq!(dir.read(Some(1)).unwrap(), keys[..2]);
    assert_eq!(dir.read(Some(3)).unwrap(), []);
}

#[test]
fn new_dates_replace_the_old_ones() {
    let scratch = Scratch::new("replace");
    let dir = Directory::at(&scratch.0);
    let mut key = sealed(1, 1, 0);
    dir.create(&key).unwrap();
    key.retire(100);
    key.revoke(50);
    dir.replace(&key).unwrap();
    assert_eq!(dir.read(None).unwrap(), [key]);
}

#[test]
fn a_file_that_is_no_key_is_named() {
    #[track_caller]
    fn check(name: &str, content: &str, expected: Option<&str>) {
        let scratch = Scratch::new(&format!("odd-{name}"));
        fs::write(scratch.0.join(name), content).unwrap();
        match (Directory::at(&scratch.0).read(None), expected) {
            (Ok(keys), None) => assert_eq!(keys, []),
            (Err(error), Some(words)) => {
                let error = error.to_string();
                assert!(error.contains(words) && error.contains(name), "{error}");
            }
            (read, _) => panic!("{name}: {read:?}"),
        }
    }
    let key = serde_json::to_string(&sealed(1, 1, 0)).unwrap();
    check("1-000000.json", &key, Some("holds the key that belongs in 1-"));
    check("1-000000.json", "{}", Some("missing field"));
    check("1-000000.json", "", Some("EOF"));
    check("large.json", &" ".repeat(5000), Some("EOF"));
    check("notes.txt", "not a key", None);
    check(".1-000000.json.77", "half a k", None);
}

#[test]
fn private_halves_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("modes");
    let inner = scratch.0.join("ring");
    let key = sealed(1, 1, 0);
    Directory::at(&inner).create(&key).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&inner.join(file_name(&key))), 0o600);
}
