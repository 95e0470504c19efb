use proptest::prelude::*;

use super::{DOTS, NAMELESS, shown};

#[track_caller]
fn check(name: &str, expected: &str) {
    assert_eq!(shown(name), expected, "{name:?}");
}

#[test]
fn a_name_brings_no_link_and_no_place_for_a_secret() {
    check("Acme & Søn A/S", "Acme & Søn A/S");
    check("Acme Inc., St. Gallen", "Acme Inc., St. Gallen");
    check("Booking.com", "Booking. com");
    check("Acme https://evil.example/?{secret}", "Acme");
    check("Acme WWW.evil.example now", "Acme now");
    check("Acme evil.example/{secret}", "Acme");
    check("Acme evil\u{3002}example", "Acme evil\u{3002} example");
    check("Acme evil.\u{200b}example", "Acme evil. example");
    // What is taken out puts nothing together.
    check("{sec{secret}ret}", "secsecretret");
    check("Acme ht{tp:/}/evil", "Acme");
    check("Acme\r\nBcc: <ada@evil.example>", "Acme Bcc: ada@evil. example");
    check("http://2130706433/{secret}", NAMELESS);
    check("", NAMELESS);
}

proptest! {
    #[test]
    fn no_text_gets_a_link_through(name in "[a-z{}<>:/.\u{200b}\u{ff0e}\n wW]{0,40}") {
        let text = shown(&name);
        prop_assert!(!text.contains("://") && !text.contains("{secret}"), "{text:?}");
        prop_assert!(!text.contains(char::is_control), "{text:?}");
        let chars: Vec<char> = text.chars().collect();
        for pair in chars.windows(2) {
            if let [dot, next] = pair {
                prop_assert!(!(DOTS.contains(dot) && next.is_alphanumeric()), "{text:?}");
            }
        }
        prop_assert_eq!(shown(&text), text);
    }
}
