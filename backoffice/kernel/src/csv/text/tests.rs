use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8], separator: Option<u8>) -> Result<Vec<Vec<Cell>>, Malformed> {
    read_in_pieces(bytes, separator, usize::MAX)
}

fn read_in_pieces(
    bytes: &[u8],
    separator: Option<u8>,
    piece: usize,
) -> Result<Vec<Vec<Cell>>, Malformed> {
    let mut reader = Reader::new(separator);
    let mut out = Vec::new();
    for part in bytes.chunks(piece.clamp(1, bytes.len().max(1))) {
        reader.push(part, &mut out)?;
    }
    reader.finish(&mut out)?;
    for (place, record) in out.iter().enumerate() {
        assert_eq!(record.row, place as u64 + 1, "no row is lost and none counted twice");
    }
    Ok(out.into_iter().map(|record| record.cells).collect())
}

/// `expected`: a record a line, cells by `|`, `~` for null, `q:` before a quoted text.
#[track_caller]
fn check(bytes: &[u8], expected: &[&str]) {
    for piece in [1, 2, 3, 7, usize::MAX] {
        let seen: Vec<String> = read_in_pieces(bytes, None, piece)
            .unwrap()
            .iter()
            .map(|cells| {
                let shown = cells.iter().map(|cell| match (cell.is_null(), cell.quoted) {
                    (true, _) => "~".to_owned(),
                    (false, true) => format!("q:{}", cell.text),
                    (false, false) => cell.text.clone(),
                });
                shown.collect::<Vec<_>>().join("|")
            })
            .collect();
        assert_eq!(seen, expected, "in pieces of {piece}");
    }
}

#[test]
fn records_are_framed_as_rfc_4180_says() {
    check(b"", &[]);
    check(b"a,b\r\n1,2\r\n", &["a|b", "1|2"]);
    check(b"a,b\n1,2", &["a|b", "1|2"]);
    check(b"a,b\r1,2\r", &["a|b", "1|2"]);
    check(b"a,b\n,\"\"\n", &["a|b", "~|q:"]);
    check(b"a\n\"1\r\n2\"\n", &["a", "q:1\r\n2"]);
    check(b"a\n\"say \"\"hi\"\"\"\n", &["a", "q:say \"hi\""]);
    check(b"a,b\n5\" pipe,x\"y\n", &["a|b", "5\" pipe|x\"y"]);
    check(b"\xEF\xBB\xBFa,b\n", &["a|b"]);
    check(b"\xEF\xBB\xBF\"a\",b\n", &["q:a|b"]);
    check(b"a,b\n\n1,\n", &["a|b", "~", "1|~"]);
    check("naïve,日本\n".as_bytes(), &["naïve|日本"]);
}

#[test]
fn the_first_line_tells_the_separator() {
    check(b"a;b;c,d\n1;2,5;3\n", &["a|b|c,d", "1|2,5|3"]);
    check(b"a\tb\n1\t2\n", &["a|b", "1|2"]);
    check(b"\"a;b;c\",d\n1,2\n", &["q:a;b;c|d", "1|2"]);
    let given = read(b"a;b,c\n", Some(b',')).unwrap();
    assert_eq!(given[0].len(), 2, "a given separator is not guessed at");
}

#[test]
fn what_is_no_csv_is_refused_at_its_place() {
    let refuse = |bytes: &[u8]| {
        let Malformed { row, column, reason } = read(bytes, None).unwrap_err();
        (row, column, reason)
    };
    assert_eq!(refuse(b"a,b\n1,\"2").0, 2);
    assert_eq!(refuse(b"a,b\n1,\"2"), (2, 2, "a quote is not closed"));
    assert_eq!(refuse(b"a\n\"1\"2\n").1, 1);
    assert_eq!(
        refuse(b"a,b\n1,\xFF\n"),
        (2, 2, "a byte is not UTF-8: save the file as CSV in UTF-8")
    );
    assert_eq!(refuse(b"\xFF\xFEa\0").2, "the file is UTF-16: save it as CSV in UTF-8");
    assert_eq!(refuse(b"a\n\0\n").2, "the character U+0000 cannot be kept");
    assert_eq!(refuse(&vec![b','; CELLS_MAX + 1]).2, "a record has more than 200 cells");
    assert_eq!(refuse(&vec![b'a'; RECORD_BYTES_MAX + 1]).2, "a record is longer than 1 MiB");
}

#[test]
fn what_was_written_is_not_too_long_to_be_read() {
    // Quotes are doubled on the way out: twice the bytes, and still one cell of 1 MiB.
    let quotes = Cell::text("\"".repeat(RECORD_BYTES_MAX - 1));
    for separator in [Some(b','), None] {
        let mut out = Vec::new();
        write_record([&quotes].into_iter(), b',', &mut out);
        let records = read(&out, separator).unwrap();
        // Not compared by a macro that would print it.
        assert!(records.len() == 1 && records[0].len() == 1 && records[0][0].text == quotes.text);
    }
    // A record with as many cells as there may be, and the number of its row.
    let cells = vec![Cell::text("x"); CELLS_MAX + 1];
    let mut out = Vec::new();
    write_record(cells.iter(), b',', &mut out);
    let mut records = Vec::new();
    Reader::numbered().push(&out, &mut records).unwrap();
    assert_eq!(records[0].cells, cells);
}

fn cell() -> impl Strategy<Value = Cell> {
    let text = prop_oneof![Just(String::new()), "[a-c\",;\t\r\n' =\u{feff}é]{0,12}", "\\PC{0,20}",];
    (text, any::<bool>()).prop_map(|(text, quoted)| Cell { text, quoted })
}

proptest! {
    /// What is written is read again, null and empty text apart, in pieces of any size.
    #[test]
    fn written_records_come_back(
        records in prop::collection::vec(prop::collection::vec(cell(), 2..6), 1..6),
        separator in prop::sample::select(&[b',', b';', b'\t'][..]),
        piece in 1_usize..40,
    ) {
        let mut bytes = Vec::new();
        for record in &records {
            write_record(record.iter(), separator, &mut bytes);
        }
        let back = read_in_pieces(&bytes, Some(separator), piece).unwrap();
        prop_assert_eq!(back.len(), records.len());
        for (cells, read) in records.iter().zip(&back) {
            prop_assert_eq!(cells.len(), read.len());
            for (cell, read) in cells.iter().zip(read) {
                prop_assert_eq!(&cell.text, &read.text);
                prop_assert_eq!(cell.is_null(), read.is_null());
            }
        }
    }

    /// Any bytes: never a panic, and the same answer however they are cut.
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(
            prop_oneof![4 => prop::sample::select(&b"\",;\t\r\na1 \xEF\xBB\xBF"[..]), 1 => any::<u8>()],
            0..60,
        ),
        piece in 1_usize..8,
    ) {
        let whole = read(&bytes, None);
        let cut = read_in_pieces(&bytes, None, piece);
        prop_assert_eq!(&whole, &cut);
        if let Ok(records) = whole {
            // Nothing is lost: every byte but quotes, separators and line ends is in some cell.
            let kept: usize = records.iter().flatten().map(|cell| cell.text.len()).sum();
            let plain = bytes.iter().filter(|b| !b"\",;\t\r\n".contains(b)).count();
            let bom = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
            prop_assert!(plain - bom <= kept);
        }
    }
}
