use proptest::prelude::*;

use super::*;

const TEXT: Kind = Kind::Text { max: 300 };

/// A value's cells by `|`, then the value that they read as.
#[track_caller]
fn check(kind: Kind, value: Value, expected: &str) {
    let mut cells = Vec::new();
    write(kind, value.to_string().as_bytes(), &mut cells).unwrap();
    let shown: Vec<&str> = cells.iter().map(|cell| cell.text.as_str()).collect();
    assert_eq!(shown.join("|"), expected);
    let back = match cells.as_slice() {
        [only] => read(kind, only),
        [first, second] => read_pair(kind, first, second),
        _ => panic!("{cells:?}"),
    };
    assert_eq!(back.unwrap(), value);
}

#[track_caller]
fn reads(kind: Kind, text: &str, expected: Value) {
    assert_eq!(read(kind, &Cell { text: text.to_owned(), quoted: true }).unwrap(), expected);
}

#[test]
fn a_value_is_its_cell_and_back() {
    check(TEXT, json!("plain"), "plain");
    check(TEXT, json!(""), "");
    check(TEXT, json!(null), "");
    check(TEXT, json!("=1+1"), "'=1+1");
    check(TEXT, json!("-5"), "'-5");
    check(TEXT, json!("@a"), "'@a");
    check(TEXT, json!("\tx"), "'\tx");
    check(TEXT, json!("'tis"), "''tis");
    check(TEXT, json!("'=x"), "''=x");
    check(Kind::Email, json!("=cmd@example.org"), "'=cmd@example.org");
    check(Kind::Phone, json!("+49 30 1234567"), "+49 30 1234567");
    check(Kind::Decimal { scale: 2 }, json!("-5.25"), "-5.25");
    check(Kind::Integer { min: -9, max: 9 }, json!(-3), "-3");
    check(Kind::Bool, json!(true), "true");
    check(Kind::Json, json!({"a": [1, null]}), "{\"a\":[1,null]}");
    check(Kind::Json, json!("=x"), "\"\\u003dx\"");
    check(Kind::Json, json!({"a": "x;=1", "b": -1}), "{\"a\":\"x;\\u003d1\",\"b\":-1}");
    check(
        Kind::TextList { max_items: 3 },
        json!(["\\\"@a", "-"]),
        "[\"\\\\\\\"\\u0040a\",\"\\u002d\"]",
    );
    check(Kind::Url, json!("https://a.example/;=1+1"), "https://a.example/;'=1+1");
    check(TEXT, json!("a;=1,b"), "a;'=1,b");
    check(TEXT, json!("a\t =1"), "a\t '=1");
    check(TEXT, json!("\"@x\", '-y"), "\"'@x\", ''-y");
    check(TEXT, json!("5-4=1 and it's"), "5-4=1 and it's");
    check(Kind::TextList { max_items: 3 }, json!(["a;b", "c"]), "[\"a;b\",\"c\"]");
    check(Kind::TextList { max_items: 3 }, json!([]), "[]");
    check(Kind::Money, json!({"amount": "12.50", "currency": "EUR"}), "12.50|EUR");
    check(Kind::Money, json!(null), "|");
}

#[test]
fn people_write_cells_in_more_ways() {
    reads(Kind::Bool, " Yes ", json!(true));
    reads(Kind::Bool, "0", json!(false));
    reads(Kind::TextList { max_items: 3 }, "red; blue;", json!(["red", "blue"]));
    reads(Kind::Money, "12.50 EUR", json!({"amount": "12.50", "currency": "EUR"}));
    reads(Kind::Money, "EUR 12.50", json!({"amount": "12.50", "currency": "EUR"}));
    reads(Kind::Date, "", json!(null));
    reads(TEXT, "'twas", json!("'twas"));
    reads(TEXT, " kept ", json!(" kept "));
}

#[test]
fn null_and_empty_text_are_two_things() {
    assert_eq!(read(TEXT, &Cell::null()).unwrap(), json!(null));
    assert_eq!(read(TEXT, &Cell::text("")).unwrap(), json!(""));
}

/// Whether some program would find a formula at the beginning of a cell: one that splits at any of
/// our separators, at a quote or at a line's end, and passes over spaces.
fn shows_a_formula(text: &str) -> bool {
    text.split([',', ';', '\t', '\r', '\n', '"', '|'])
        .any(|cell| cell.trim_start_matches(' ').starts_with(['=', '+', '-', '@']))
}

proptest! {
    #[test]
    fn any_json_comes_back_and_no_string_in_it_is_a_formula(
        texts in prop::collection::vec("[-=+@'\"\\\\;,\t a|]{0,8}", 0..4)
    ) {
        for (kind, value) in [
            (Kind::TextList { max_items: 9 }, json!(texts)),
            (Kind::Json, json!({"a": texts})),
        ] {
            let mut cells = Vec::new();
            write(kind, value.to_string().as_bytes(), &mut cells).unwrap();
            prop_assert!(!shows_a_formula(&cells[0].text), "{}", cells[0].text);
            prop_assert_eq!(read(kind, &cells[0]).unwrap(), value);
        }
    }

    #[test]
    fn any_text_comes_back_and_is_no_formula(
        text in "([-=+@'\t\r\n;,\" |]{0,3}\\PC{0,6}){0,4}"
    ) {
        let mut cells = Vec::new();
        write(TEXT, json!(text).to_string().as_bytes(), &mut cells).unwrap();
        prop_assert!(!cells[0].text.starts_with(['\t', '\r', '\n']));
        prop_assert!(!shows_a_formula(&cells[0].text), "{}", cells[0].text);
        prop_assert!(text.is_empty() || cells[0].quoted);
        prop_assert_eq!(read(TEXT, &cells[0]).unwrap(), json!(text));
    }
}
