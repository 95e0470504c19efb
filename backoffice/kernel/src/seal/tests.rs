use super::hmac;

/// RFC 4231, test case 1: its 20-byte key is padded with zeros, as HMAC itself does.
#[test]
fn marks_are_hmac_sha256() {
    let mut key = [0_u8; 32];
    key[..20].fill(0x0b);
    let mark = data_encoding::HEXLOWER.encode(&hmac(&key, b"Hi There"));
    assert_eq!(mark, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}
