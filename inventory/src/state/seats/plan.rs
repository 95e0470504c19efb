//! The house as it is searched: rows cut into strips of neighbours that the same ticket types may
//! take, strips gathered by section and types. Follows from the sections alone; knows no holds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{RowConfig, SEAT_NUMBER_MAX, SECTIONS_MAX, SectionConfig};

/// Default ranks: a row counts more than any distance from its middle, an obstructed view more than
/// any row.
const ROW_RANK: u32 = 1 << 15;
const OBSTRUCTED_RANK: u32 = 1 << 29;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Plan {
    /// As they came; a section keeps its place.
    pub sections: Vec<Section>,
    pub strips: Vec<Strip>,
    /// By section, the best first.
    pub blocks: Vec<Block>,
    /// By number of the seat, less one.
    places: Vec<Option<Place>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Section {
    pub cursor: u64,
    pub config: Arc<SectionConfig>,
}

/// Where a seat is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub section: u16,
    pub row: u16,
    /// Place in the row, and in its strip.
    pub seat: u16,
    pub strip: u32,
    pub at: u16,
    /// By the catalogue.
    pub blocked: bool,
}

/// Neighbours in one row, with no aisle between, that the same types may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Strip {
    pub block: u32,
    pub row: u16,
    /// Numbers, from one end to the other.
    pub seats: Vec<u32>,
    /// Ranks added up: of the seats before each place, and of all.
    pub sums: Vec<u64>,
    /// Wheelchair place that the seat is one unit with.
    pub units: Vec<Option<u32>>,
    pub has_units: bool,
    pub best_rank: u64,
}

/// The strips of a section that the same types may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub section: u16,
    /// Numbers of ticket types, in order.
    pub types: Vec<u16>,
    /// Strips by their best rank, then by row and place.
    pub strips: Vec<u32>,
    /// Rows in order, with their strips.
    pub rows: Vec<(u16, Vec<u32>)>,
}

impl Plan {
    /// This house with one section as it is said to be now, or the seat number or section that
    /// contradicts what was said before.
    pub(crate) fn with(&self, cursor: u64, config: &SectionConfig) -> Option<Self> {
        if !config.is_sound() {
            return None;
        }
        let mut sections = self.sections.clone();
        let section = Section { cursor, config: Arc::new(config.clone()) };
        match sections.iter().position(|known| known.config.id == config.id) {
            Some(at) => *sections.get_mut(at)? = section,
            None => sections.push(section),
        }
        let clash = |left: &Section, right: &Section| {
            left.config.number == right.config.number || left.config.key == right.config.key
        };
        let at_odds = sections.iter().enumerate().any(|(at, section)| {
            sections.iter().skip(at.saturating_add(1)).any(|other| clash(section, other))
        });
        let renumbered = self
            .sections
            .iter()
            .any(|known| known.config.id == config.id && known.config.number != config.number);
        if at_odds || renumbered || SECTIONS_MAX < sections.len() {
            return None;
        }
        Self::of(sections)
    }

    /// The look-ups of these sections; none when two have the same seat.
    pub(crate) fn of(sections: Vec<Section>) -> Option<Self> {
        let mut plan = Self { sections, ..Self::default() };
        let mut order: Vec<usize> = (0..plan.sections.len()).collect();
        order.sort_by_key(|at| {
            plan.sections.get(*at).map(|section| (section.config.rank, section.config.number))
        });
        for at in order {
            plan.lay_out(at)?;
        }
        Some(plan)
    }

    fn lay_out(&mut self, at: usize) -> Option<()> {
        let config = Arc::clone(&self.sections.get(at)?.config);
        let section = u16::try_from(at).ok()?;
        let mut blocks: HashMap<Vec<u16>, usize> = HashMap::new();
        let first_block = self.blocks.len();
        for (row, line) in config.rows.iter().enumerate() {
            let units = line.units()?;
            let ranks = ranks(row, line);
            let mut strip: Option<(Vec<u16>, Strip)> = None;
            for (place, seat) in line.seats.iter().enumerate() {
                let types = config.types_of(seat);
                if seat.gap || strip.as_ref().is_some_and(|(of, _)| *of != types) {
                    self.add_strip(section, strip.take(), &mut blocks)?;
                }
                let (_, strip) = strip.get_or_insert_with(|| (types, Strip::empty(row)));
                let rank = *ranks.get(place)?;
                let here = Place {
                    section,
                    row: u16::try_from(row).ok()?,
                    seat: u16::try_from(place).ok()?,
                    strip: u32::try_from(self.strips.len()).ok()?,
                    at: u16::try_from(strip.seats.len()).ok()?,
                    blocked: seat.blocked,
                };
                strip.seats.push(seat.number);
                strip.units.push(*units.get(place)?);
                strip.has_units |= seat.wheelchair;
                strip.sums.push(strip.sums.last()?.saturating_add(rank));
                strip.best_rank = strip.best_rank.min(rank);
                self.put_place(seat.number, here)?;
            }
            self.add_strip(section, strip, &mut blocks)?;
        }
        for block in self.blocks.get_mut(first_block..)? {
            let strips = &self.strips;
            let rank = |strip: &u32| {
                usize::try_from(*strip).ok().and_then(|at| strips.get(at)).map(|s| s.best_rank)
            };
            block.strips.sort_by_key(|strip| (rank(strip), *strip));
        }
        Some(())
    }

    fn add_strip(
        &mut self,
        section: u16,
        strip: Option<(Vec<u16>, Strip)>,
        blocks: &mut HashMap<Vec<u16>, usize>,
    ) -> Option<()> {
        let Some((types, mut strip)) = strip else { return Some(()) };
        let index = u32::try_from(self.strips.len()).ok()?;
        let at = *blocks.entry(types.clone()).or_insert(self.blocks.len());
        if at == self.blocks.len() {
            self.blocks.push(Block { section, types, strips: Vec::new(), rows: Vec::new() });
        }
        let block = self.blocks.get_mut(at)?;
        block.strips.push(index);
        match block.rows.last_mut().filter(|(row, _)| *row == strip.row) {
            Some((_, strips)) => strips.push(index),
            None => block.rows.push((strip.row, vec![index])),
        }
        strip.block = u32::try_from(at).ok()?;
        self.strips.push(strip);
        Some(())
    }

    /// None when the seat has a place already.
    fn put_place(&mut self, number: u32, place: Place) -> Option<()> {
        let at = index(number)?;
        if self.places.len() <= at {
            self.places.resize(at.saturating_add(1), None);
        }
        self.places.get_mut(at)?.replace(place).is_none().then_some(())
    }

    pub(crate) fn place(&self, number: u32) -> Option<Place> {
        *self.places.get(index(number)?)?
    }

    pub(crate) fn strip(&self, index: u32) -> Option<&Strip> {
        self.strips.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn block_of(&self, strip: u32) -> Option<&Block> {
        self.blocks.get(usize::try_from(self.strip(strip)?.block).ok()?)
    }

    pub(crate) fn section(&self, index: u16) -> Option<&SectionConfig> {
        Some(&self.sections.get(usize::from(index))?.config)
    }

    /// Index of a section by the key that requests use.
    pub(crate) fn section_by_key(&self, key: &str) -> Option<u16> {
        let at = self.sections.iter().position(|section| section.config.key == key)?;
        u16::try_from(at).ok()
    }

    /// Most seats that were ever numbered.
    pub(crate) fn seats_len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Whether tickets of a type (by number) are for seats.
    pub(crate) fn seats_type(&self, number: u16) -> bool {
        self.blocks.iter().any(|block| block.types.binary_search(&number).is_ok())
    }

    /// The seats that are taken together with this one, itself among them.
    pub(crate) fn unit_of(&self, number: u32) -> Option<Vec<u32>> {
        let place = self.place(number)?;
        let strip = self.strip(place.strip)?;
        let unit = (*strip.units.get(usize::from(place.at))?)?;
        let pairs = strip.seats.iter().zip(&strip.units);
        Some(pairs.filter(|(_, of)| **of == Some(unit)).map(|(seat, _)| *seat).collect())
    }
}

impl Strip {
    fn empty(row: usize) -> Self {
        Self {
            block: 0,
            row: u16::try_from(row).unwrap_or(u16::MAX),
            seats: Vec::new(),
            sums: vec![0],
            units: Vec::new(),
            has_units: false,
            best_rank: u64::MAX,
        }
    }

    /// What the places [from, from + len) cost together.
    pub(crate) fn cost(&self, from: usize, len: usize) -> u64 {
        let sum = |at: usize| self.sums.get(at).copied().unwrap_or(u64::MAX);
        sum(from.saturating_add(len)).saturating_sub(sum(from))
    }
}

/// Index of a seat by its number, which counts from one.
pub(crate) fn index(number: u32) -> Option<usize> {
    let in_range = (1..=SEAT_NUMBER_MAX).contains(&number);
    in_range.then(|| usize::try_from(number.checked_sub(1)?).ok())?
}

/// Ranks of a row's seats, as the map gives them or by row and distance from the row's middle. An
/// aisle is as wide as a seat.
fn ranks(row: usize, line: &RowConfig) -> Vec<u64> {
    let row = u32::try_from(row).unwrap_or(u32::MAX).saturating_mul(ROW_RANK).min(OBSTRUCTED_RANK);
    let mut at = 0_u32;
    let mut places = Vec::with_capacity(line.seats.len());
    for (index, seat) in line.seats.iter().enumerate() {
        at = at.saturating_add(u32::from(seat.gap && index != 0));
        places.push(at);
        at = at.saturating_add(1);
    }
    let end = places.last().copied().unwrap_or(0);
    let ranked = line.seats.iter().zip(places).map(|(seat, place)| {
        let distance = place.saturating_mul(2).abs_diff(end).min(ROW_RANK.saturating_sub(1));
        let obstructed = if seat.obstructed { OBSTRUCTED_RANK } else { 0 };
        let by_place = row.saturating_add(distance).saturating_add(obstructed);
        u64::from(seat.rank.unwrap_or(by_place))
    });
    ranked.collect()
}
