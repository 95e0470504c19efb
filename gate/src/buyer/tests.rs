use super::{digest, normalize};

#[track_caller]
fn check(email: &str, expect: &str) {
    assert_eq!(normalize(email), expect);
}

#[test]
fn spelling_variants_are_one_buyer() {
    check("Ada@Example.org", "ada@example.org");
    check(" ada+tickets@example.org ", "ada@example.org");
    check("a.da@example.org", "a.da@example.org");
    check("A.d.a+x@gmail.com", "ada@gmail.com");
    check("a.b@googlemail.com", "ab@googlemail.com");
    check("no-at-sign", "no-at-sign");
    check("a@b@c.org", "a@b@c.org");
}

#[test]
fn digests_tell_buyers_apart() {
    assert_eq!(digest("Ada+1@example.org"), digest("ada@example.org"));
    assert_ne!(digest("ada@example.org"), digest("bob@example.org"));
}
