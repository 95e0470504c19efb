use super::tokens::{TOKEN_PREFIX, draw, hash};

#[test]
fn tokens_differ_and_only_their_hash_is_kept() {
    let (one, stored) = draw(TOKEN_PREFIX).unwrap();
    let (other, _) = draw(TOKEN_PREFIX).unwrap();
    assert_ne!(one.expose(), other.expose());
    assert_eq!(one.expose().len(), TOKEN_PREFIX.len() + 43);
    assert_eq!(hash(one.expose()), stored);
    assert_eq!(format!("{one:?}"), "[secret]");
}
