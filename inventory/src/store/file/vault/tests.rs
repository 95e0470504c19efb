use super::super::disk::SystemDisk;
use super::*;
use crate::testing::TestDirectory;

fn key(n: u8) -> (Uuid, DataKey) {
    (Uuid::from_u128(n.into()), DataKey([n; 32]))
}

#[track_caller]
fn stored(directory: &TestDirectory) -> Vec<(Uuid, Option<DataKey>)> {
    let (_, keys) = Vault::open(&SystemDisk, directory.path()).unwrap();
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by_key(|(order, _)| *order);
    keys
}

/// Opening a file may fail while it is there, as when the process has too many open.
#[test]
fn a_vault_that_could_not_be_opened_again_keeps_its_keys() {
    let directory = TestDirectory::new().unwrap();
    let (mut vault, _) = Vault::open(&SystemDisk, directory.path()).unwrap();
    vault.add(&SystemDisk, &[key(1), key(2)]).unwrap();
    vault.file = None;
    vault.add(&SystemDisk, &[key(3)]).unwrap();
    let all = [1, 2, 3].map(|n| (key(n).0, Some(key(n).1)));
    assert_eq!(stored(&directory), all);

    vault.file = None;
    vault.erase(&SystemDisk, &all.clone().into_iter().collect(), key(2).0).unwrap();
    assert_eq!(stored(&directory), [all[0].clone(), (key(2).0, None), all[2].clone()]);
}

#[test]
fn a_bad_record_before_good_ones_is_damage_and_at_the_end_it_is_cut() {
    let directory = TestDirectory::new().unwrap();
    let (mut vault, _) = Vault::open(&SystemDisk, directory.path()).unwrap();
    vault.add(&SystemDisk, &[key(1), key(2)]).unwrap();
    let path = directory.path().join(NAME);
    let good = fs::read(&path).unwrap();
    for (at, kept) in [(MAGIC.len(), None), (good.len() - 1, Some(1))] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let opened = Vault::open(&SystemDisk, directory.path());
        assert_eq!(opened.ok().map(|(_, keys)| keys.len()), kept, "byte {at}");
    }
    assert_eq!(fs::read(&path).unwrap().len(), MAGIC.len() + RECORD_BYTES, "cut");
}
