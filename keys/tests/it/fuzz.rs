//! Garbage and near misses into the reader: it neither panics nor lets anything in by surprise.
//! Bounded and from a fixed seed, so a failure repeats.

use keys::{INPUT_BYTES_MAX, ParseError, Presented, parse};

use super::{NOW, Random, credential, ring, signing};

const RANDOM_INPUTS: usize = 100_000;
const MUTATED_INPUTS: usize = 300_000;

/// What the reader looks for, and what it might trip over.
const PIECES: [&str; 24] = [
    "TK",
    "tk",
    "]Q1",
    "]q1",
    "]",
    "\\000026",
    "\\",
    "/",
    "//",
    "https://host.example/t/",
    ".",
    ".12345678",
    " ",
    "\r\n",
    "\t",
    "=",
    "A",
    "7",
    "\u{212a}",
    "é",
    "\u{1f600}",
    "\0",
    "１",
    "]Q1]Q1",
];

/// Neither reading nor refusing may leave anything on the heap: both are plain values.
fn is_plain<T: Copy>(_: &T) {}

#[test]
fn random_strings_are_read_without_panic() {
    let mut random = Random(1);
    let mut read = 0;
    for _ in 0..RANDOM_INPUTS {
        let mut text = String::new();
        for _ in 0..random.below(40) {
            match random.below(3) {
                0 => text.push_str(random.pick(&PIECES)),
                1 => text.push(char::from(u8::try_from(random.below(128)).unwrap())),
                _ => {
                    let scalar = u32::try_from(random.below(0x11_0000)).unwrap();
                    text.push(char::from_u32(scalar).unwrap_or('\u{fffd}'));
                }
            }
        }
        let result = parse(&text);
        is_plain(&result);
        read += usize::from(result.is_ok());
    }
    assert_eq!(read, 0, "154 characters do not come about by chance");
}

#[test]
fn mutated_credentials_are_read_without_panic_and_only_the_genuine_is_believed() {
    let key = signing(1042, 1);
    let ring = ring(&[&key]);
    let genuine = credential(&key);
    let text = genuine.text();
    let mut random = Random(2);
    let (mut read, mut believed) = (0, 0);
    for _ in 0..MUTATED_INPUTS {
        let mutated = mutate(&text, &mut random);
        let Ok(Presented { credential, .. }) = parse(&mutated) else { continue };
        read += 1;
        // What reads is a credential and nothing else: it reads again as itself.
        assert_eq!(parse(&credential.text()).map(|p| p.credential), Ok(credential));
        if ring.verify(&credential, NOW).is_ok() {
            believed += 1;
            assert_eq!(credential, genuine, "{mutated:?}");
        }
    }
    assert!(read > 10_000 && believed > 1000, "the mutations miss the target: {read}, {believed}");
}

/// One to four changes: pieces put in, characters replaced, ranges removed or doubled.
fn mutate(text: &str, random: &mut Random) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(4) {
        let at = random.below(characters.len() + 1);
        let end = (at + random.below(3)).min(characters.len());
        match random.below(6) {
            0 => drop(characters.splice(at..at, random.pick(&PIECES).chars())),
            1 => drop(characters.splice(0..0, random.pick(&PIECES).chars())),
            2 => characters.extend(random.pick(&PIECES).chars()),
            3 => drop(characters.drain(at..end)),
            4 => {
                let copy = characters[at..end].to_vec();
                characters.splice(at..at, copy);
            }
            _ if at < characters.len() => {
                let digit = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[random.below(32)];
                characters[at] = char::from(digit);
            }
            _ => (),
        }
    }
    characters.into_iter().collect()
}

#[test]
fn a_long_input_is_refused_unread() {
    for (length, expected) in [
        (INPUT_BYTES_MAX, ParseError::Length),
        (INPUT_BYTES_MAX + 1, ParseError::TooLong(INPUT_BYTES_MAX + 1)),
        (16 << 20, ParseError::TooLong(16 << 20)),
    ] {
        assert_eq!(parse(&"T".repeat(length)), Err(expected));
    }
}
