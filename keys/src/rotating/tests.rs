//! Codes against the RFCs, the window, and what is shown.

use super::*;

const SECRET: [u8; 32] = [0x42; 32];
/// The key of RFC 4226 appendix D and RFC 6238 appendix B.
const RFC_KEY: &[u8; 20] = b"12345678901234567890";

#[test]
fn hotp_is_that_of_rfc_6238() {
    #[track_caller]
    fn check(unix_s: u64, expected: &str) {
        assert_eq!(hotp(RFC_KEY, unix_s / 30).digits(), expected, "at {unix_s}");
    }
    check(59, "94287082");
    check(1_111_111_109, "07081804");
    check(1_111_111_111, "14050471");
    check(1_234_567_890, "89005924");
    check(2_000_000_000, "69279037");
    check(20_000_000_000, "65353130");
}

#[test]
fn hotp_ends_in_the_six_digits_of_rfc_4226() {
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    for (counter, expected) in (0..).zip(codes) {
        assert_eq!(&hotp(RFC_KEY, counter).digits()[2..], expected, "counter {counter}");
    }
}

#[test]
fn a_code_is_good_for_two_steps_around_its_own() {
    let secret = EventSecret::from_bytes(SECRET);
    let now = 1_795_287_900;
    let shown = code(&secret, 1042, 7, 0, now);
    let accepted: Vec<i64> =
        (-60..=60).filter(|offset| verify(&secret, 1042, 7, 0, now + offset, &shown)).collect();
    // The code's own step is [now, now + 15): two steps before it and two after it.
    assert_eq!(accepted, (-30..45).collect::<Vec<_>>());
}

#[test]
fn the_start_of_time_has_no_step_before() {
    let secret = EventSecret::from_bytes(SECRET);
    let first = code(&secret, 1, 1, 0, 0);
    assert_eq!(code(&secret, 1, 1, 0, i64::MIN), first);
    assert!(verify(&secret, 1, 1, 0, 0, &first));
    assert!(verify(&secret, 1, 1, 0, 44, &first));
    assert!(!verify(&secret, 1, 1, 0, 45, &first));
    let last = code(&secret, 1, 1, 0, i64::MAX);
    assert!(verify(&secret, 1, 1, 0, i64::MAX, &last));
}

#[test]
fn every_part_of_the_ticket_makes_another_key() {
    let secret = EventSecret::from_bytes(SECRET);
    let key = |event, ticket, revision| ticket_key(&secret, event, ticket, revision);
    let keys = [key(1, 1, 1), key(2, 1, 1), key(1, 2, 1), key(1, 1, 2), key(1, 1 << 40, 1)];
    for (i, a) in keys.iter().enumerate() {
        for b in &keys[i + 1..] {
            assert_ne!(a, b);
        }
    }
    let other = EventSecret::from_bytes([0x43; 32]);
    assert_ne!(ticket_key(&other, 1, 1, 1), key(1, 1, 1));
}

#[test]
fn a_live_code_is_exactly_eight_ascii_digits() {
    assert_eq!(
        LiveCode::from_ascii(b"00000042").map(|c| c.digits().to_owned()).unwrap(),
        "00000042"
    );
    for bad in [&b""[..], b"1234567", b"123456789", b"1234567a", b"+1234567", "１２３４".as_bytes()]
    {
        assert_eq!(LiveCode::from_ascii(bad), None, "{bad:?}");
    }
}

#[test]
fn a_sealed_secret_opens_for_its_event_only() {
    let master = MasterKey::from_bytes([9; 32]);
    let sealed = EventSecret::from_bytes(SECRET).seal(&master, 1042).unwrap();
    assert_eq!(EventSecret::open(&sealed, &master, 1042).unwrap().as_bytes(), &SECRET);
    assert!(EventSecret::open(&sealed, &master, 1043).is_err());
    assert!(EventSecret::open(&sealed, &MasterKey::from_bytes([8; 32]), 1042).is_err());
    // Sealed with the right associated data, but not a secret's length.
    let short = master.seal(&secret_aad(1042), b"short").unwrap();
    assert!(EventSecret::open(&short, &master, 1042).is_err());
}

#[test]
fn nothing_secret_is_shown() {
    assert_eq!(format!("{:?}", EventSecret::from_bytes(SECRET)), "EventSecret(hidden)");
    assert_eq!(format!("{:?}", hotp(RFC_KEY, 0)), "LiveCode(hidden)");
}

#[test]
fn generated_secrets_differ() {
    let [a, b] = [EventSecret::generate().unwrap(), EventSecret::generate().unwrap()];
    assert_ne!(a.as_bytes(), b.as_bytes());
}
