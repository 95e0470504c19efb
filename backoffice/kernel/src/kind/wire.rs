//! Values as the server sends them (PostgreSQL's binary format), straight into text: no value is made
//! in between and nothing is allocated. Knows wire types, not kinds.

use tokio_postgres::types::{FromSql, Type};

type Broken = Box<dyn std::error::Error + Sync + Send>;

// Object identifiers of the types (`pg_type.dat`).
pub(super) const BOOL: u32 = 16;
pub(super) const INT8: u32 = 20;
pub(super) const DATE: u32 = 1082;
pub(super) const TIMESTAMPTZ: u32 = 1184;
pub(super) const NUMERIC: u32 = 1700;
pub(super) const UUID: u32 = 2950;
pub(super) const JSONB: u32 = 3802;

const fn hex_pairs() -> [[u8; 2]; 256] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [HEX[byte >> 4], HEX[byte & 15]];
        byte += 1;
    }
    pairs
}

/// The bytes of a value of one type.
pub(super) struct Wire<'a, const OID: u32>(pub(super) &'a [u8]);

impl<'a, const OID: u32> FromSql<'a> for Wire<'a, OID> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Broken> {
        Ok(Self(raw))
    }

    fn accepts(ty: &Type) -> bool {
        ty.oid() == OID
    }
}

/// Digits of a number behind its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    /// As many as the column keeps.
    Stored,
    /// Without zeros at the end, but at least so many.
    AtLeast(usize),
}

/// Every byte as two digits.
const HEX_PAIRS: [[u8; 2]; 256] = hex_pairs();
/// Where the bytes of a UUID stand in its text, behind the first quote.
const UUID_PLACES: [usize; 16] = [1, 3, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 29, 31, 33, 35];
/// 1970-01-01 to 2000-01-01, from which the server counts.
const DAYS_TO_2000: i64 = 10_957;
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Years that are written with four digits.
const YEARS: std::ops::RangeInclusive<i64> = 1..=9_999;

pub(super) fn boolean(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    match raw {
        [0] => out.extend_from_slice(b"false"),
        [1] => out.extend_from_slice(b"true"),
        _ => return Err("a boolean has one byte, 0 or 1".into()),
    }
    Ok(())
}

pub(super) fn integer(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let number = int8(raw)?;
    if number < 0 {
        out.push(b'-');
    }
    whole(number.unsigned_abs(), out);
    Ok(())
}

/// Text of a jsonb value: one version byte, then the text.
pub(super) fn json(raw: &[u8]) -> Result<&[u8], Broken> {
    match raw.split_first() {
        Some((1, text)) => Ok(text),
        _ => Err("unknown version of jsonb".into()),
    }
}

/// In quotes, as RFC 9562 writes it.
pub(super) fn uuid(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let raw: [u8; 16] = raw.try_into().map_err(|_| "a UUID has 16 bytes")?;
    let mut text = *b"\"00000000-0000-0000-0000-000000000000\"";
    for (byte, place) in raw.into_iter().zip(UUID_PLACES) {
        let [high, low] = HEX_PAIRS[usize::from(byte)];
        text[place] = high;
        text[place + 1] = low;
    }
    out.extend_from_slice(&text);
    Ok(())
}

/// In quotes, `2026-11-21`. `None` for years of other than four digits: nothing was written.
pub(super) fn date(raw: &[u8], out: &mut Vec<u8>) -> Result<Option<()>, Broken> {
    let days: [u8; 4] = raw.try_into().map_err(|_| "a date has four bytes")?;
    let days = i64::from(i32::from_be_bytes(days)).saturating_add(DAYS_TO_2000);
    let Some(day) = day_text(days) else { return Ok(None) };
    let mut text = *b"\"0000-00-00\"";
    text[1..11].copy_from_slice(&day);
    out.extend_from_slice(&text);
    Ok(Some(()))
}

/// In quotes, `2026-11-21T10:00:00.25Z`. `None` as `date` says it.
pub(super) fn instant(raw: &[u8], out: &mut Vec<u8>) -> Result<Option<()>, Broken> {
    let micros = int8(raw)?;
    let Some(day) = day_text(micros.div_euclid(MICROS_PER_DAY) + DAYS_TO_2000) else {
        return Ok(None);
    };
    let micros = micros.rem_euclid(MICROS_PER_DAY).unsigned_abs();
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = *b"\"0000-00-00T00:00:00.000000";
    text[1..11].copy_from_slice(&day);
    let parts = [seconds / 3_600, seconds / 60 % 60, seconds % 60, micros / 10_000];
    let small = [micros / 100 % 100, micros % 100];
    let places = [12, 15, 18, 21, 23, 25];
    for (part, place) in parts.into_iter().chain(small).zip(places) {
        text[place..place + 2].copy_from_slice(&two(part));
    }
    // No zeros behind the last digit that says something, and no point behind none.
    let mut end = if micros == 0 { 20 } else { text.len() };
    while 20 < end && text[end - 1] == b'0' {
        end -= 1;
    }
    out.extend_from_slice(&text[..end]);
    out.extend_from_slice(b"Z\"");
    Ok(Some(()))
}

/// Without quotes: a minus, whole digits, a point where digits follow.
pub(super) fn numeric(raw: &[u8], digits: Digits, out: &mut Vec<u8>) -> Result<(), Broken> {
    let (head, groups) = raw.split_at_checked(8).ok_or("a numeric has a head of eight bytes")?;
    let head: [u16; 4] =
        std::array::from_fn(|n| u16::from_be_bytes([head[2 * n], head[2 * n + 1]]));
    let [count, weight, sign, scale] = head;
    if groups.len() != usize::from(count) * 2 {
        return Err("a numeric has as many groups as its head says".into());
    }
    match sign {
        0 => {}
        0x4000 => out.push(b'-'),
        _ => return Err("a numeric that is no number".into()),
    }
    // Weight is that of the first group, in powers of 10,000; a signed number.
    let weight = i64::from(i16::from_be_bytes(weight.to_be_bytes()));
    let group = |place: i64| -> u64 {
        let at = usize::try_from(place).ok().map(|place| place * 2);
        let pair = at.and_then(|at| groups.get(at..at + 2));
        pair.map_or(0, |pair| u64::from(pair[0]) << 8 | u64::from(pair[1]))
    };
    whole(group(if weight < 0 { -1 } else { 0 }), out);
    for place in 1..=weight {
        padded(group(place), 4, out);
    }
    fraction((weight + 1).., usize::from(scale), group, digits, out);
    Ok(())
}

/// The point and what is behind it: `scale` digits from groups at these places.
fn fraction(
    mut places: std::ops::RangeFrom<i64>,
    scale: usize,
    group: impl Fn(i64) -> u64,
    digits: Digits,
    out: &mut Vec<u8>,
) {
    let point = out.len();
    out.push(b'.');
    while out.len() <= point + scale {
        padded(places.next().map_or(0, &group), 4, out);
    }
    out.truncate(point + 1 + scale);
    if let Digits::AtLeast(least) = digits {
        while point + 1 + least < out.len() && out.last() == Some(&b'0') {
            out.pop();
        }
        while out.len() < point + 1 + least {
            out.push(b'0');
        }
    }
    if out.len() == point + 1 {
        out.truncate(point);
    }
}

fn int8(raw: &[u8]) -> Result<i64, Broken> {
    let bytes: [u8; 8] = raw.try_into().map_err(|_| "eight bytes were meant")?;
    Ok(i64::from_be_bytes(bytes))
}

/// The day so many days after 1970-01-01, in the proleptic Gregorian calendar: years are counted from
/// March, so that the leap day is a year's last.
fn civil(days: i64) -> (i64, u64, u64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day = days.rem_euclid(DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month.unsigned_abs(), (day - first + 1).unsigned_abs())
}

/// `2026-11-21`, so many days after 1970-01-01; `None` for years of other than four digits.
fn day_text(days: i64) -> Option<[u8; 10]> {
    let (year, month, day) = civil(days);
    if !YEARS.contains(&year) {
        return None;
    }
    let year = year.unsigned_abs();
    let [thousands, hundreds] = two(year / 100);
    let [tens, ones] = two(year % 100);
    let ([m1, m2], [d1, d2]) = (two(month), two(day));
    Some([thousands, hundreds, tens, ones, b'-', m1, m2, b'-', d1, d2])
}

/// The last two digits.
fn two(number: u64) -> [u8; 2] {
    [digit(number / 10 % 10), digit(number % 10)]
}

/// Digits without zeros in front.
fn whole(number: u64, out: &mut Vec<u8>) {
    let mut text = [0_u8; 20];
    let (mut at, mut rest) = (text.len(), number);
    loop {
        at -= 1;
        text[at] = digit(rest % 10);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// The last `width` digits, at most six.
fn padded(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut text = [0_u8; 6];
    let (mut at, mut rest) = (text.len(), number);
    while text.len() - at < width.min(text.len()) {
        at -= 1;
        text[at] = digit(rest % 10);
        rest /= 10;
    }
    out.extend_from_slice(&text[at..]);
}

fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or(0)
}

#[cfg(test)]
mod tests;
