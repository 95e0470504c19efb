//! Any change of a credential is refused: every bit of the bytes, every character of the text.

use keys::{Credential, KeyRing, ParseError, Refused, parse};

use super::{NOW, credential, ring, signing};

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn is_believed(ring: &KeyRing, text: &str) -> bool {
    parse(text).is_ok_and(|presented| ring.verify(&presented.credential, NOW).is_ok())
}

#[test]
fn every_changed_bit_of_the_bytes_is_refused() {
    let (key, other) = (signing(1042, 1), signing(1043, 2));
    let ring = ring(&[&key, &other]);
    let bytes = credential(&key).to_bytes();
    let judge =
        |bytes: &[u8; 95]| Credential::from_bytes(bytes).map(|c| ring.verify(&c, NOW).map(|_| ()));
    assert_eq!(judge(&bytes), Ok(Ok(())));
    for bit in 0..760 {
        let mut changed = bytes;
        changed[bit / 8] ^= 0x80 >> (bit % 8);
        let judged = judge(&changed);
        let as_expected = match bit {
            // Version, reserved flags.
            0..8 | 240..247 => judged.is_err(),
            // Key id, event number.
            8..64 => judged == Ok(Err(Refused::UnknownKey)),
            _ => judged == Ok(Err(Refused::Invalid)),
        };
        assert!(as_expected, "bit {bit}: {judged:?}");
    }
}

#[test]
fn every_changed_character_of_the_text_is_refused() {
    let key = signing(1042, 1);
    let ring = ring(&[&key]);
    let text = credential(&key).text();
    assert!(is_believed(&ring, &text));
    let foreign = " \t0189=-_+/.,:;]\\\"'<>@#\u{7f}\0éſıＡ\u{212a}\u{a0}\u{feff}\u{1f600}";
    for (position, own) in text.char_indices() {
        let others = ALPHABET.chars().chain(foreign.chars()).filter(|other| *other != own);
        for other in others {
            let changed = format!("{}{other}{}", &text[..position], &text[position + 1..]);
            assert!(!is_believed(&ring, &changed), "{other:?} at {position}");
        }
        let swapped_case = text[position..=position].to_lowercase();
        let changed = format!("{}{swapped_case}{}", &text[..position], &text[position + 1..]);
        assert!(is_believed(&ring, &changed), "case is ignored at {position}");
    }
}

#[test]
fn every_left_out_doubled_or_swapped_character_is_refused() {
    let key = signing(1042, 1);
    let ring = ring(&[&key]);
    let text = credential(&key).text();
    for position in 0..text.len() {
        let (head, tail) = text.split_at(position);
        let changed = format!("{head}{}", &tail[1..]);
        assert!(!is_believed(&ring, &changed), "left out at {position}");
        let changed = format!("{head}{}{tail}", &tail[..1]);
        assert!(!is_believed(&ring, &changed), "doubled at {position}");
        if tail.len() > 1 && tail[..1] != tail[1..2] {
            let changed = format!("{head}{}{}{}", &tail[1..2], &tail[..1], &tail[2..]);
            assert!(!is_believed(&ring, &changed), "swapped at {position}");
        }
    }
}

#[test]
fn every_cut_of_the_text_is_refused() {
    let key = signing(1042, 1);
    let text = format!("{}.12345678", credential(&key).text());
    for length in 0..text.len() {
        match parse(&text[..length]) {
            Ok(presented) => assert_eq!((length, presented.live_code), (154, None)),
            Err(error) => assert!(
                matches!(error, ParseError::Prefix | ParseError::Length | ParseError::LiveCode),
                "{length}: {error:?}"
            ),
        }
    }
}
