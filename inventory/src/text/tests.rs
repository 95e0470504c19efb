use super::*;

#[test]
fn json_is_text() {
    let hash = Hash([0xAB; 32]);
    let text = format!("\"{}\"", "ab".repeat(32));
    assert_eq!(serde_json::to_string(&hash).unwrap(), text);
    assert_eq!(serde_json::from_str::<Hash>(&text).unwrap(), hash);
    assert_eq!(serde_json::from_str::<Hash>(&text.to_uppercase()).unwrap(), hash);
    assert_eq!("ab".repeat(32).parse(), Ok(hash));
    let bytes = Base64(vec![0, 255, 1]);
    assert_eq!(serde_json::to_string(&bytes).unwrap(), r#""AP8B""#);
    assert_eq!(serde_json::from_str::<Base64>(r#""AP8B""#).unwrap(), bytes);
    assert_eq!(serde_json::to_string(&Base64::default()).unwrap(), r#""""#);
}

#[test]
fn binary_is_bytes() {
    let digest = Digest16([7; 16]);
    let bytes = postcard::to_allocvec(&digest).unwrap();
    assert_eq!(bytes, [7; 16]);
    assert_eq!(postcard::from_bytes::<Digest16>(&bytes).unwrap(), digest);
    let long = Base64(vec![1, 2, 3]);
    let bytes = postcard::to_allocvec(&long).unwrap();
    assert_eq!(bytes, [3, 1, 2, 3]);
    assert_eq!(postcard::from_bytes::<Base64>(&bytes).unwrap(), long);
}

#[test]
fn other_text_is_refused() {
    for text in ["", "ab", &"ab".repeat(33), &"zz".repeat(32), &"ab".repeat(31), &"aé".repeat(32)]
    {
        assert!(text.parse::<Hash>().is_err(), "{text}");
        assert!(serde_json::from_str::<Hash>(&format!("\"{text}\"")).is_err(), "{text}");
    }
    assert!(serde_json::from_str::<Hash>("[1,2]").is_err());
    for text in ["AP8", "AP8B=", "A-8B", "=="] {
        assert!(serde_json::from_str::<Base64>(&format!("\"{text}\"")).is_err(), "{text}");
    }
}
