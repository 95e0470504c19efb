//! What the catalogue says about seats: a house is its sections, each a document of its own, so that
//! fifty thousand seats never are one entry. Knows places and who may take them, not who has.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most sections of an event, seats of one of them, and seats of one wheelchair unit.
pub const SECTIONS_MAX: usize = 1_024;
pub const SEATS_PER_SECTION_MAX: usize = 8_192;
pub const SEATS_PER_UNIT_MAX: usize = 8;
/// Highest number of a seat: states are kept dense by number.
pub const SEAT_NUMBER_MAX: u32 = 262_144;
/// Highest rank that a map may give a section or a seat.
pub const SEAT_RANK_MAX: u32 = 1 << 30;
/// Longest key, name or label, in characters.
const TEXT_CHARS_MAX: usize = 100;

/// One section. A section without rows sells nothing; what was sold there stays good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SectionConfig {
    pub id: Uuid,
    /// Given once, never reused within an event.
    pub number: u16,
    /// Name that requests use: `stalls`.
    pub key: String,
    pub name: String,
    /// The lower, the better; sections of the same rank are taken by number.
    #[serde(default)]
    pub rank: u32,
    /// Numbers of the ticket types that may take its seats.
    pub types: Vec<u16>,
    /// The best first; neighbours in the list are neighbours in the house.
    pub rows: Vec<RowConfig>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RowConfig {
    pub label: String,
    /// From one end to the other.
    pub seats: Vec<SeatConfig>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SeatConfig {
    /// 1 to [`SEAT_NUMBER_MAX`], given once, never reused within an event.
    pub number: u32,
    pub label: String,
    /// Instead of the section's types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<u16>,
    /// The lower, the better. Without: by row, then by distance from the row's middle, and seats
    /// with an obstructed view after all others of the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// Where to draw it, in units of the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<i32>,
    /// An aisle or a pillar before it: it is no neighbour of the seat before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub obstructed: bool,
    /// Not sold while it is set here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wheelchair: bool,
    /// Number of the wheelchair place whose companion sits here: both are taken together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion_of: Option<u32>,
}

impl SectionConfig {
    /// Whether it is in itself sound: bounded, numbered once, units of neighbours.
    pub fn is_sound(&self) -> bool {
        let text = |text: &str| (1..=TEXT_CHARS_MAX).contains(&text.chars().count());
        let seats = || self.rows.iter().flat_map(|row| &row.seats);
        let mut numbers: Vec<u32> = seats().map(|seat| seat.number).collect();
        numbers.sort_unstable();
        let counted = numbers.len() <= SEATS_PER_SECTION_MAX;
        let once = numbers.windows(2).all(|pair| pair.first() != pair.last());
        let named = text(&self.key)
            && text(&self.name)
            && self.rows.iter().all(|row| text(&row.label))
            && seats().all(|seat| text(&seat.label));
        let ranked = self.rank <= SEAT_RANK_MAX
            && seats().all(|seat| seat.rank.is_none_or(|rank| rank <= SEAT_RANK_MAX));
        let numbered = numbers.iter().all(|number| (1..=SEAT_NUMBER_MAX).contains(number));
        let units = self.rows.iter().all(|row| self.units_are_whole(row));
        counted && once && named && ranked && numbered && units
    }

    /// Seats of one unit are for the same types.
    fn units_are_whole(&self, row: &RowConfig) -> bool {
        let Some(units) = row.units() else { return false };
        let seats: Vec<_> = row.seats.iter().zip(units).collect();
        seats.windows(2).all(|pair| match pair {
            [(left, one), (right, other)] if one.is_some() && one == other => {
                self.types_of(left) == self.types_of(right)
            }
            _ => true,
        })
    }

    /// Numbers of the types that may take a seat, in order, each once.
    pub fn types_of(&self, seat: &SeatConfig) -> Vec<u16> {
        let own = if seat.types.is_empty() { &self.types } else { &seat.types };
        let mut types = own.clone();
        types.sort_unstable();
        types.dedup();
        types
    }
}

impl RowConfig {
    /// By place in the row: the number of the wheelchair place that the seat is one unit with.
    /// None when a unit is not a line of neighbours around its wheelchair place.
    pub fn units(&self) -> Option<Vec<Option<u32>>> {
        let mut units: Vec<Option<u32>> = Vec::with_capacity(self.seats.len());
        for (at, seat) in self.seats.iter().enumerate() {
            let unit = if seat.wheelchair { Some(seat.number) } else { seat.companion_of };
            let twice = seat.wheelchair && seat.companion_of.is_some();
            // Once left, a unit does not begin again, and no aisle runs through it.
            let apart = unit.is_some() && units.contains(&unit);
            let beside = at.checked_sub(1).and_then(|at| units.get(at)) == Some(&unit);
            if twice || (apart && (!beside || seat.gap)) {
                return None;
            }
            units.push(unit);
        }
        let count = |unit| units.iter().filter(|other| **other == Some(unit)).count();
        let centred = units.iter().flatten().all(|unit| {
            let seat = self.seats.iter().find(|seat| seat.number == *unit);
            seat.is_some_and(|seat| seat.wheelchair) && count(*unit) <= SEATS_PER_UNIT_MAX
        });
        centred.then_some(units)
    }
}
