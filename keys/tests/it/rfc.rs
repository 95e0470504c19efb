//! The published vectors of the algorithms underneath.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer, VerifyingKey};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// RFC 8032 §7.1.
#[test]
fn ed25519_is_that_of_rfc_8032() {
    #[track_caller]
    fn check(secret: &str, public: &str, message: &str, signature: &str) {
        let secret: [u8; 32] = hex(secret).try_into().unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&secret);
        assert_eq!(key.verifying_key().to_bytes().as_slice(), hex(public));
        assert_eq!(keys::SigningKey::from_seed(1, &secret).public().as_slice(), hex(public));
        let signed = key.sign(&hex(message));
        assert_eq!(signed.to_bytes().as_slice(), hex(signature));
        let public = VerifyingKey::from_bytes(&hex(public).try_into().unwrap()).unwrap();
        let given = Signature::from_slice(&hex(signature)).unwrap();
        public.verify_strict(&hex(message), &given).unwrap();
        assert!(public.verify_strict(b"another message", &given).is_err());
    }
    check(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    check(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    check(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    );
    check(
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    );
}

/// RFC 5869, appendices A.1 to A.3.
#[test]
fn hkdf_sha256_is_that_of_rfc_5869() {
    #[track_caller]
    fn check(material: &str, salt: &str, info: &str, expected: &str) {
        let (salt, expected) = (hex(salt), hex(expected));
        let mut output = vec![0; expected.len()];
        let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), &hex(material));
        hkdf.expand(&hex(info), &mut output).unwrap();
        assert_eq!(output, expected);
    }
    check(
        &"0b".repeat(22),
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    let count = |from: u8, to: u8| HEXLOWER.encode(&(from..=to).collect::<Vec<u8>>());
    check(
        &count(0x00, 0x4f),
        &count(0x60, 0xaf),
        &count(0xb0, 0xff),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    );
    check(
        &"0b".repeat(22),
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
}
