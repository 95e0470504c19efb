//! Framing of comma-separated values (RFC 4180) both ways. The reader is pushed bytes as they come,
//! holds one record at most, and tells a quoted empty cell from an empty one, which is why no crate
//! stands here. It knows no fields and no kinds.

#[cfg(test)]
mod tests;

/// Cells of one record.
pub(crate) const CELLS_MAX: usize = 200;
/// Bytes of one record's cells and separators; quotes that frame or double are not counted, so that
/// what was written is read, whatever it was made of.
pub(crate) const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// What a record of ours has beside those of a file: the number of its row.
const NUMBER_BYTES_MAX: usize = 24;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// One cell: its text without quotes, and whether it had some. Unquoted and empty means null.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

impl Cell {
    pub(crate) fn null() -> Self {
        Self::default()
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        let quoted = text.is_empty();
        Self { text, quoted }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.text.is_empty() && !self.quoted
    }
}

/// A record and the number of its row as a spreadsheet shows it: the header is row 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) row: u64,
    pub(crate) cells: Vec<Cell>,
}

impl Record {
    /// Nothing stands on the line: a null in a file of one column, else no record at all.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self.cells.as_slice(), [only] if only.is_null())
    }
}

/// Why the bytes are no CSV; row and column begin with 1, the header is row 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) row: u64,
    pub(crate) column: usize,
    pub(crate) reason: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a record.
    Record,
    /// Before the first byte of a cell.
    Cell,
    Plain,
    Quoted,
    /// Behind a quote inside quotes: the end, or the first of two.
    Quote,
    /// Behind a CR that ended a record: a LF belongs to it.
    Return,
}

/// Reads records from pushed bytes.
#[derive(Debug)]
pub(crate) struct Reader {
    separator: Option<u8>,
    cells_max: usize,
    record_bytes_max: usize,
    /// Bytes of the first line, while the separator is not known.
    head: Vec<u8>,
    begun: bool,
    state: State,
    row: u64,
    cell: Vec<u8>,
    quoted: bool,
    cells: Vec<Cell>,
    record_bytes: usize,
}

/// The separators that are told apart by themselves.
pub(crate) const SEPARATORS: &[(&str, u8)] =
    &[("comma", b','), ("semicolon", b';'), ("tab", b'\t')];

impl Reader {
    /// Without a separator, the first line tells: the one of comma, semicolon and tab that stands
    /// there most often outside of quotes.
    pub(crate) fn new(separator: Option<u8>) -> Self {
        Self {
            separator,
            cells_max: CELLS_MAX,
            record_bytes_max: RECORD_BYTES_MAX,
            head: Vec::new(),
            begun: false,
            state: State::Record,
            row: 1,
            cell: Vec::new(),
            quoted: false,
            cells: Vec::new(),
            record_bytes: 0,
        }
    }

    /// For records that were read before, and written with the number of their row in front.
    pub(crate) fn numbered() -> Self {
        Self {
            cells_max: CELLS_MAX + 1,
            record_bytes_max: RECORD_BYTES_MAX + NUMBER_BYTES_MAX,
            ..Self::new(Some(b','))
        }
    }

    /// Takes the next bytes; whole records go to `out`.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<Record>,
    ) -> std::result::Result<(), Malformed> {
        if self.begun {
            return self.feed(bytes, out);
        }
        self.head.extend_from_slice(bytes);
        let known = self.separator.is_some() && BOM.len() <= self.head.len();
        if known || first_line_ends(&self.head) {
            return self.begin(out);
        }
        // Quotes may double every byte.
        if self.head.len() / 2 > RECORD_BYTES_MAX {
            return Err(self.malformed("a record is longer than 1 MiB"));
        }
        Ok(())
    }

    /// The bytes have ended.
    pub(crate) fn finish(mut self, out: &mut Vec<Record>) -> std::result::Result<(), Malformed> {
        if !self.begun {
            self.begin(out)?;
        }
        match self.state {
            State::Record | State::Return => Ok(()),
            State::Quoted => Err(self.malformed("a quote is not closed")),
            State::Cell | State::Plain | State::Quote => self.end_record(out),
        }
    }

    fn begin(&mut self, out: &mut Vec<Record>) -> std::result::Result<(), Malformed> {
        self.begun = true;
        let head = std::mem::take(&mut self.head);
        if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
            return Err(self.malformed("the file is UTF-16: save it as CSV in UTF-8"));
        }
        let rest = head.strip_prefix(BOM).unwrap_or(&head);
        self.separator.get_or_insert_with(|| detect(rest));
        self.feed(rest, out)
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Record>) -> std::result::Result<(), Malformed> {
        let separator = self.separator.unwrap_or(b',');
        for &byte in bytes {
            self.record_bytes += 1;
            if self.record_bytes > self.record_bytes_max {
                return Err(self.malformed("a record is longer than 1 MiB"));
            }
            self.step(byte, separator, out)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        byte: u8,
        separator: u8,
        out: &mut Vec<Record>,
    ) -> std::result::Result<(), Malformed> {
        if self.state == State::Return {
            self.state = State::Record;
            if byte == b'\n' {
                self.record_bytes = 0;
                return Ok(());
            }
        }
        match (self.state, byte) {
            (State::Quoted, b'"') => {
                self.record_bytes -= 1;
                self.state = State::Quote;
            }
            (State::Quoted, _) => self.cell.push(byte),
            (State::Quote, b'"') => {
                self.cell.push(b'"');
                self.state = State::Quoted;
            }
            (State::Record | State::Cell, b'"') => {
                self.record_bytes -= 1;
                self.quoted = true;
                self.state = State::Quoted;
            }
            (_, b'\n') => self.end_record(out)?,
            (_, b'\r') => {
                self.end_record(out)?;
                self.state = State::Return;
            }
            (_, byte) if byte == separator => {
                self.end_cell()?;
                self.state = State::Cell;
            }
            (State::Quote, _) => {
                return Err(
                    self.malformed("something stands between a closing quote and the separator")
                );
            }
            (State::Record | State::Cell | State::Plain | State::Return, _) => {
                self.cell.push(byte);
                self.state = State::Plain;
            }
        }
        Ok(())
    }

    fn end_cell(&mut self) -> std::result::Result<(), Malformed> {
        if self.cells.len() >= self.cells_max {
            return Err(self.malformed("a record has more than 200 cells"));
        }
        let text = String::from_utf8(std::mem::take(&mut self.cell))
            .map_err(|_| self.malformed("a byte is not UTF-8: save the file as CSV in UTF-8"))?;
        if text.contains('\0') {
            return Err(self.malformed("the character U+0000 cannot be kept"));
        }
        self.cells.push(Cell { text, quoted: std::mem::take(&mut self.quoted) });
        Ok(())
    }

    fn end_record(&mut self, out: &mut Vec<Record>) -> std::result::Result<(), Malformed> {
        self.end_cell()?;
        out.push(Record { row: self.row, cells: std::mem::take(&mut self.cells) });
        self.row += 1;
        self.record_bytes = 0;
        self.state = State::Record;
        Ok(())
    }

    fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed { row: self.row, column: self.cells.len() + 1, reason }
    }
}

/// Whether a line end stands outside of quotes. Quotes double inside, so their parity is enough.
fn first_line_ends(head: &[u8]) -> bool {
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => return true,
            _ => {}
        }
    }
    false
}

fn detect(head: &[u8]) -> u8 {
    let mut counts = [0_u32; SEPARATORS.len()];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => {
                let place = SEPARATORS.iter().position(|(_, one)| one == byte);
                if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
                    *count += 1;
                }
            }
        }
    }
    let mut best = (0, b',');
    for (count, (_, separator)) in counts.iter().zip(SEPARATORS) {
        if best.0 < *count {
            best = (*count, *separator);
        }
    }
    best.1
}

/// One record with CRLF (RFC 4180, 2.1). Null is nothing, an empty text is `""`.
pub(crate) fn write_record<'a>(
    cells: impl Iterator<Item = &'a Cell>,
    separator: u8,
    out: &mut Vec<u8>,
) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(separator);
        }
        write_cell(cell, separator, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_cell(cell: &Cell, separator: u8, out: &mut Vec<u8>) {
    let bytes = cell.text.as_bytes();
    let plain = |byte: &u8| !matches!(byte, b'"' | b'\n' | b'\r') && *byte != separator;
    // A space at an end is lost by some readers unless it stands in quotes.
    let spaced = bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ');
    let quotes = cell.quoted || spaced || !bytes.iter().all(plain);
    // A byte order mark is only one at the beginning of a file, where quotes hide it.
    if !quotes && !bytes.starts_with(BOM) {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
