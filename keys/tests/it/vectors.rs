//! The published vectors of docs/credential.md, which another implementation made.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use keys::rotating::{EventSecret, LiveCode, code, ticket_key, verify};
use keys::{Claims, Credential, KeyRing, Minutes, PublicKey, Refused, SigningKey, parse};
use serde_json::Value;

pub(crate) fn document(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn vectors() -> Value {
    let path = document("credential-vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex<const N: usize>(value: &Value) -> [u8; N] {
    HEXLOWER.decode(text(value).as_bytes()).unwrap().try_into().unwrap()
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).ok().unwrap()
}

/// All members of an array, of which there must be some.
fn all<'v>(vectors: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    let array = vectors[member].as_array().unwrap();
    assert!(array.len() > 5, "{member} has only {} vectors", array.len());
    array.iter()
}

pub(crate) fn claims_of(json: &Value) -> Claims {
    Claims {
        kid: text(&json["kid"]).parse().unwrap(),
        event: number(&json["event"]),
        ticket: number(&json["ticket"]),
        ticket_type: number(&json["type"]),
        from: Minutes(number(&json["from"])),
        until: Minutes(number(&json["until"])),
        zones: number(&json["zones"]),
        revision: number(&json["revision"]),
        rotating: json["rotating"].as_bool().unwrap(),
    }
}

/// The answer of section 5, in its words.
pub(crate) fn answer(
    ring: &KeyRing,
    text: &str,
    events: Option<&[u32]>,
    now: i64,
    offline: bool,
) -> &'static str {
    let Ok(presented) = parse(text) else { return "invalid" };
    let verdict = match events {
        _ if offline => ring.verify_offline(&presented.credential, now),
        Some(events) => ring.verify_for(&presented.credential, events, now),
        None => ring.verify(&presented.credential, now),
    };
    match verdict {
        Ok(_) => "verified",
        Err(Refused::Invalid) => "invalid",
        Err(Refused::UnknownKey) => "unknown_key",
        Err(Refused::WrongEvent) => "wrong_event",
        Err(Refused::Revoked) => "revoked",
        Err(Refused::NotYet) => "not_yet",
        Err(Refused::Expired) => "expired",
    }
}

#[test]
fn signing_gives_the_bytes_of_the_vectors() {
    let vectors = vectors();
    for vector in all(&vectors, "credentials") {
        let key = &vectors["keys"][number::<usize>(&vector["key"])];
        let key = SigningKey::from_seed(number(&key["event"]), &hex(&key["seed"]));
        let claims = claims_of(&vector["claims"]);
        let credential = key.sign(&claims).unwrap();
        assert_eq!(credential.to_bytes(), hex::<95>(&vector["bytes"]), "{}", vector["name"]);
        assert_eq!(credential.text(), text(&vector["text"]), "{}", vector["name"]);
        assert_eq!(credential.unverified().0, claims, "{}", vector["name"]);
        let message = hex::<47>(&vector["message"]);
        assert_eq!(message[16..], credential.to_bytes()[..31], "{}", vector["name"]);
    }
}

#[test]
fn readings_read_as_the_vectors_say() {
    for vector in all(&vectors(), "readings") {
        let presented = parse(text(&vector["text"])).unwrap();
        let expected = Credential::from_bytes(&hex(&vector["bytes"])).unwrap();
        assert_eq!(presented.credential, expected, "{}", vector["name"]);
        let code = presented.live_code.map(|code| code.digits().to_owned());
        assert_eq!(code.as_deref(), vector["live_code"].as_str(), "{}", vector["name"]);
    }
}

#[test]
fn verdicts_are_those_of_the_vectors() {
    let vectors = vectors();
    let keys = all(&vectors, "keys").map(|key| {
        let mut key = key.clone();
        // The private half is beside the published key in the vectors only.
        assert!(key.as_object_mut().unwrap().remove("seed").is_some());
        serde_json::from_value::<PublicKey>(key).unwrap()
    });
    let ring = KeyRing::new(keys).unwrap();
    for vector in all(&vectors, "verdicts") {
        let events: Vec<u32> = serde_json::from_value(vector["events"].clone()).unwrap();
        let (now, offline) = (vector["now"].as_i64().unwrap(), vector["offline"] == true);
        let got = answer(&ring, text(&vector["text"]), Some(&events), now, offline);
        assert_eq!(got, vector["answer"], "{}", vector["name"]);
    }
}

#[test]
fn rotating_codes_are_those_of_the_vectors() {
    let vectors = vectors();
    for vector in all(&vectors, "rotating") {
        let secret = EventSecret::from_bytes(hex(&vector["secret"]));
        let (event, ticket) = (number(&vector["event"]), number(&vector["ticket"]));
        let (revision, unix_s) = (number(&vector["revision"]), number(&vector["unix_s"]));
        let key = ticket_key(&secret, event, ticket, revision);
        assert_eq!(*key, hex::<20>(&vector["key"]));
        assert_eq!(code(&secret, event, ticket, revision, unix_s).digits(), vector["code"]);
    }
    for vector in all(&vectors, "windows") {
        let secret = EventSecret::from_bytes(hex(&vector["secret"]));
        let (event, ticket) = (number(&vector["event"]), number(&vector["ticket"]));
        let (revision, unix_s) = (number(&vector["revision"]), number(&vector["unix_s"]));
        let code = LiveCode::from_ascii(text(&vector["code"]).as_bytes()).unwrap();
        let accepted = verify(&secret, event, ticket, revision, unix_s, &code);
        assert_eq!(accepted, vector["accepted"] == true, "{vector}");
    }
}

#[test]
fn the_document_shows_what_the_vectors_hold() {
    let document = std::fs::read_to_string(document("credential.md")).unwrap();
    let squeezed: String = document.split_whitespace().collect();
    let vectors = vectors();
    let first = &vectors["credentials"][0];
    let shown = |words: &str| assert!(squeezed.contains(words), "not in the document: {words}");
    for member in ["message", "bytes", "text"] {
        shown(&format!("{member}{}", text(&first[member])));
    }
    let key = &vectors["keys"][0];
    shown(&format!("\"kid\":{},\"public\":{}", key["kid"], key["public"]));
    let ticket = |v: &&Value| v["event"] == 1042 && v["ticket"] == 8 && v["revision"] == 0;
    for vector in all(&vectors, "rotating").filter(ticket) {
        let [unix_s, step] = [&vector["unix_s"], &vector["step"]];
        shown(&format!("unixsecond{unix_s}step{step}code{}", text(&vector["code"])));
        shown(&format!("key{}", text(&vector["key"])));
    }
}
