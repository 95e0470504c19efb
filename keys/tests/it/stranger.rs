//! A party that shares no code with us: `stranger.py`, Python over OpenSSL's Ed25519.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use keys::rotating::{EventSecret, code};
use keys::{Claims, KeyRing, Minutes, PublicKey, SigningKey};
use serde_json::{Value, json};

use super::vectors::{answer, claims_of, document};
use super::{NOW, Random, claims, credential, signing};

/// Runs stranger.py to its end. The interpreter is `PYTHON`, else python3.
fn stranger(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/stranger.py");
    let mut child = Command::new(&python)
        .args(["-B".as_ref(), script.as_os_str()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {python:?} (set PYTHON to another): {e}"));
    // It reads all before it writes, so this cannot block both; a script that stops early shows in
    // its status.
    let _status_tells = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stranger.py: {}\n{errors}", output.status);
    output.stdout
}

fn json_of(claims: &Claims) -> Value {
    json!({
        "kid": claims.kid, "event": claims.event, "ticket": claims.ticket,
        "type": claims.ticket_type, "from": claims.from.0, "until": claims.until.0,
        "zones": claims.zones, "revision": claims.revision, "rotating": claims.rotating,
    })
}

fn random_claims(key: &SigningKey, random: &mut Random) -> Claims {
    let bits = random.next();
    let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
    Claims {
        kid: key.kid(),
        event: key.event(),
        ticket: random.next() >> (16 + random.below(48)),
        ticket_type: u16::from_be_bytes([a, b]),
        from: Minutes(u32::from_be_bytes([c, d, e, f])),
        until: Minutes(u32::from_be_bytes([h, g, f, e])),
        zones: u32::from_be_bytes([b, c, d, e]),
        revision: u16::from_be_bytes([g, h]),
        rotating: bits % 2 == 1,
    }
}

/// Texts between good and bad: what the two readers could see differently.
fn near_misses(text: &str, random: &mut Random) -> Vec<String> {
    let pieces = [
        "TK",
        "]Q1",
        "]c",
        "]C1",
        "\\000026",
        "\\00002",
        "/",
        ".",
        ".12345678",
        "1234",
        " ",
        "\r\n",
        "\u{b}",
        "\u{c}",
        "\u{1c}",
        "\u{85}",
        "\u{a0}",
        "\u{2003}",
        "\0",
        "=",
        "A",
        "a",
        "7",
        "0",
        "\u{212a}",
        "\u{17f}",
        "\u{131}",
        "é",
        "\u{663}",
        "\u{1f600}",
    ];
    let mut texts = Vec::new();
    for _ in 0..6000 {
        let mut characters: Vec<char> = match random.below(3) {
            0 => text.to_lowercase().chars().collect(),
            1 => format!("{text}.12345678").chars().collect(),
            _ => text.chars().collect(),
        };
        for _ in 0..1 + random.below(2) {
            let at = match random.below(3) {
                0 => 0,
                1 => characters.len(),
                _ => random.below(characters.len() + 1),
            };
            let end = (at + usize::from(random.below(4) == 0)).min(characters.len());
            characters.splice(at..end, random.pick(&pieces).chars());
        }
        texts.push(characters.into_iter().collect());
    }
    for length in [2047, 2048, 2049] {
        texts.push(format!("{}/{text}", "é".repeat(length / 2) + &"x".repeat(length % 2)));
        texts.push(format!("{}{text}", " ".repeat(length - text.len())));
    }
    texts
}

/// Everything the stranger is asked, and what our side says to the same.
#[test]
fn a_stranger_agrees_in_everything() {
    let mut random = Random(3);
    let (key, other) = (signing(1042, 1), signing(77, 2));
    let public = [&key, &other].map(|k| PublicKey::new(k.event(), &k.public(), 0).unwrap());
    let ring = KeyRing::new(public.clone()).unwrap();
    let signed: Vec<Claims> = (0..50).map(|_| random_claims(&key, &mut random)).collect();
    let texts: Vec<String> = signed.iter().map(|c| key.sign(c).unwrap().text()).collect();
    let genuine = credential(&key).text();
    let readings = near_misses(&genuine, &mut random);
    let made: Vec<Claims> = (0..50).map(|_| random_claims(&key, &mut random)).collect();
    let secret = [0x5c; 32];
    let moments: Vec<i64> = (0..200_i64).map(|k| k * k * k * 1009).collect();
    let rotating: Vec<Value> = (0..)
        .zip(&moments)
        .map(|(ticket, unix_s)| {
            json!({"secret": HEXLOWER.encode(&secret), "event": 1042, "ticket": ticket,
                "revision": 1, "unix_s": unix_s})
        })
        .collect();
    let made_claims: Vec<Value> = made
        .iter()
        .map(|claims| {
            // The stranger names its own key.
            let mut json = json_of(claims);
            json.as_object_mut().unwrap().retain(|member, _| member != "kid" && member != "event");
            json
        })
        .collect();
    let request = json!({
        "now": NOW, "keys": public, "credentials": texts, "change": genuine,
        "readings": readings, "rotating": rotating,
        "make": {"event": 1042, "seed": "fe".repeat(32), "claims": made_claims},
    });
    let reply = stranger(&["talk"], request.to_string().as_bytes());
    let reply: Value = serde_json::from_slice(&reply).unwrap();

    for (claims, theirs) in signed.iter().zip(reply["verified"].as_array().unwrap()) {
        assert_eq!(theirs["claims"], json_of(claims));
    }
    assert_eq!(reply["verified"].as_array().unwrap().len(), signed.len());
    assert_eq!(reply["accepted_bits"], json!([]), "of 760 changed bits");
    assert_eq!(reply["accepted_characters"], json!([]), "of 154 × 31 changed characters");
    check_verdicts(&ring, &readings, &reply["verdicts"]);
    let secret = EventSecret::from_bytes(secret);
    let codes = (0..)
        .zip(&moments)
        .map(|(ticket, unix_s)| Value::from(code(&secret, 1042, ticket, 1, *unix_s).digits()));
    assert_eq!(reply["codes"], Value::from_iter(codes));
    check_made(&reply["made"], &made);
}

#[track_caller]
fn check_verdicts(ring: &KeyRing, readings: &[String], theirs: &Value) {
    let theirs = theirs.as_array().unwrap();
    assert_eq!(theirs.len(), readings.len());
    let mut seen = [0, 0];
    for (text, theirs) in readings.iter().zip(theirs) {
        let ours = answer(ring, text, None, NOW, false);
        assert_eq!(theirs, ours, "{text:?}");
        seen[usize::from(ours == "verified")] += 1;
    }
    assert!(seen.iter().all(|count| *count > 500), "refused and verified: {seen:?}");
}

/// What the stranger signed, we believe.
#[track_caller]
fn check_made(made: &Value, expected: &[Claims]) {
    let key: PublicKey = serde_json::from_value(made["key"].clone()).unwrap();
    let (event, kid) = (key.event(), key.kid());
    let ring = KeyRing::new([key]).unwrap();
    let texts = made["texts"].as_array().unwrap();
    assert_eq!(texts.len(), expected.len());
    for (text, claims) in texts.iter().zip(expected) {
        let presented = keys::parse(text.as_str().unwrap()).unwrap();
        let verified = ring.verify(&presented.credential, NOW).unwrap();
        assert_eq!(verified.claims(), &Claims { event, kid, ..*claims });
    }
}

#[test]
fn a_stranger_holds_the_published_vectors() {
    let path = document("credential-vectors.json");
    let said = stranger(&["check", path.to_str().unwrap()], b"");
    let said = String::from_utf8(said).unwrap();
    let count: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!(said.ends_with("vectors hold\n") && count > 100, "{said}");
}

#[test]
fn the_published_vectors_are_the_strangers() {
    let printed: Value = serde_json::from_slice(&stranger(&["vectors"], b"")).unwrap();
    let path = document("credential-vectors.json");
    let published: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(printed, published);
}

#[test]
fn the_claims_of_the_tests_are_read_as_they_are_written() {
    let key = signing(1042, 1);
    assert_eq!(claims_of(&json_of(&claims(&key))), claims(&key));
}
