//! Choices compared with a plain search over every set of neighbours, and what a choice costs in a
//! large house.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::config::{EventConfig, EventStatus, RowConfig, SeatConfig, TicketTypeConfig};
use crate::fact::Fact;
use crate::time::Millis;

const EVENT: Uuid = Uuid::from_u128(0xE);
const TYPES: [Uuid; 2] = [Uuid::from_u128(0x101), Uuid::from_u128(0x102)];
/// Strips that one choice looks into, in a house whose ranks follow from the rows.
const LOOKED_AT_MAX: usize = 8;

fn kind(at: usize) -> TicketTypeConfig {
    let number = u16::try_from(at + 1).unwrap();
    let text = format!(
        r#"{{"id":"{}","number":{number},"name":"T","price":0,"quotas":[],"zones":[],"active":true}}"#,
        TYPES[at]
    );
    serde_json::from_str(&text).unwrap()
}

fn write(state: &mut State, fact: &Fact) {
    let entry = state.entry_for(Millis(1), fact).unwrap();
    state.apply_fact(&entry, fact).unwrap();
    state.commit();
}

fn house(sections: &[SectionConfig]) -> State {
    let mut state = State::new(EVENT);
    let config = EventConfig {
        status: EventStatus::OnSale,
        ticket_types: vec![kind(0), kind(1)],
        ..EventConfig::unconfigured(EVENT)
    };
    write(
        &mut state,
        &Fact::CatalogueApplied { cursor: 1, config: Box::new(config), exit_alls: vec![] },
    );
    for section in sections {
        write(&mut state, &Fact::SeatsApplied { cursor: 1, section: Box::new(section.clone()) });
    }
    state
}

fn hold(state: &mut State, id: u128, seats: &[u32]) {
    let seats = seats.iter().map(|seat| SeatGiven { seat: *seat, ticket_type: TYPES[0] });
    let fact = Fact::HoldCreated {
        hold: Uuid::from_u128(id),
        lines: vec![],
        expires_at: Millis(1_000),
        renew_until: Millis(1_000),
        buyer: None,
        promo: None,
        seats: seats.collect(),
        pass: None,
        key: None,
    };
    write(state, &fact);
}

fn section(number: u16, rows: Vec<Vec<SeatConfig>>) -> SectionConfig {
    let rows = rows.into_iter().enumerate();
    SectionConfig {
        id: Uuid::from_u128(0x400 + u128::from(number)),
        number,
        key: format!("s{number}"),
        name: format!("Section {number}"),
        rank: 0,
        types: vec![1, 2],
        rows: rows.map(|(at, seats)| RowConfig { label: at.to_string(), seats }).collect(),
    }
}

fn seat(number: u32) -> SeatConfig {
    SeatConfig { number, label: number.to_string(), ..SeatConfig::default() }
}

fn wants(quantity: u32, section: Option<&str>, wheelchair: u32) -> Vec<HoldItem> {
    let seats = SeatWish::Best { section: section.map(str::to_owned), wheelchair };
    vec![HoldItem { ticket_type: TYPES[0], quantity, seats }]
}

fn chosen(state: &State, items: &[HoldItem]) -> Option<Vec<u32>> {
    choose(state, items).ok().map(|seats| seats.iter().map(|held| held.seat).collect())
}

// === the plain search ===

/// What a set of neighbours is worth, the least first: orphans left or not, section, sum of ranks,
/// kind of seat, best rank of its strip, row, place.
type Worth = (bool, (u32, u16), u64, usize, u64, usize, usize);

/// A row's seats cut where an aisle is or other types begin, with their places in the row.
fn strips<'s>(section: &SectionConfig, row: &'s [SeatConfig]) -> Vec<Vec<(usize, &'s SeatConfig)>> {
    let mut strips: Vec<Vec<(usize, &SeatConfig)>> = Vec::new();
    for (at, seat) in row.iter().enumerate() {
        let joins = strips.last().and_then(|strip| strip.last()).is_some_and(|(_, before)| {
            !seat.gap && section.types_of(before) == section.types_of(seat)
        });
        match strips.last_mut().filter(|_| joins) {
            Some(strip) => strip.push((at, seat)),
            None => strips.push(vec![(at, seat)]),
        }
    }
    strips
}

fn rank(row: usize, place: usize, line: &[SeatConfig]) -> u64 {
    if let Some(rank) = line[place].rank {
        return u64::from(rank);
    }
    let width = |to: usize| {
        let gaps = line[1..].iter().take(to).filter(|seat| seat.gap).count();
        (gaps + to) as u64
    };
    let (at, end) = (2 * width(place), width(line.len() - 1));
    let obstructed = if line[place].obstructed { 1 << 29 } else { 0 };
    (row as u64) * (1 << 15) + at.abs_diff(end) + obstructed
}

fn unit(seat: &SeatConfig) -> Option<u32> {
    if seat.wheelchair { Some(seat.number) } else { seat.companion_of }
}

fn best(
    sections: &[SectionConfig],
    open: &BTreeSet<u32>,
    size: usize,
    units: usize,
    only: Option<&str>,
) -> Option<(Worth, Vec<u32>)> {
    let mut found: Option<(Worth, Vec<u32>)> = None;
    for section in sections.iter().filter(|section| only.is_none_or(|key| key == section.key)) {
        let mut kinds: Vec<Vec<u16>> = Vec::new();
        for (row, line) in section.rows.iter().enumerate() {
            for strip in strips(section, &line.seats) {
                let types = section.types_of(strip[0].1);
                if !kinds.contains(&types) {
                    kinds.push(types.clone());
                }
                let kind = kinds.iter().position(|known| *known == types).unwrap();
                let ranks = strip.iter().map(|(at, _)| rank(row, *at, &line.seats));
                let ranks: Vec<u64> = ranks.collect();
                let free = |seat: &SeatConfig| open.contains(&seat.number) && !seat.blocked;
                let plain = |at: Option<usize>| {
                    let seat = at.and_then(|at| strip.get(at));
                    seat.is_some_and(|(_, seat)| unit(seat).is_none() && free(seat))
                };
                for from in 0..strip.len().saturating_sub(size - 1) {
                    let to = from + size;
                    let window = &strip[from..to];
                    let inside: BTreeSet<u32> =
                        window.iter().filter_map(|(_, s)| unit(s)).collect();
                    let outside =
                        strip.iter().enumerate().filter(|(at, _)| *at < from || to <= *at);
                    let cut =
                        outside.filter_map(|(_, (_, s))| unit(s)).any(|u| inside.contains(&u));
                    let taken = !window.iter().all(|(_, seat)| free(seat));
                    if taken || cut || inside.len() != units || !types.contains(&1) {
                        continue;
                    }
                    let left = plain(from.checked_sub(1)) && !plain(from.checked_sub(2));
                    let right = plain(Some(to)) && !plain(Some(to + 1));
                    let worth = (
                        left || right,
                        (section.rank, section.number),
                        ranks[from..to].iter().sum(),
                        kind,
                        *ranks.iter().min().unwrap(),
                        row,
                        strip[from].0,
                    );
                    if found.as_ref().is_none_or(|(known, _)| worth < *known) {
                        found = Some((worth, window.iter().map(|(_, s)| s.number).collect()));
                    }
                }
            }
        }
    }
    found
}

/// The fewest adjacent rows of one section whose longest runs of one kind hold so many.
fn fewest_rows(
    sections: &[SectionConfig],
    open: &BTreeSet<u32>,
    size: usize,
    only: Option<&str>,
) -> Option<usize> {
    let mut fewest = None;
    for section in sections.iter().filter(|section| only.is_none_or(|key| key == section.key)) {
        let mut longest: BTreeMap<(Vec<u16>, usize), usize> = BTreeMap::new();
        for (row, line) in section.rows.iter().enumerate() {
            for strip in strips(section, &line.seats) {
                let types = section.types_of(strip[0].1);
                let free = |seat: &SeatConfig| {
                    open.contains(&seat.number) && !seat.blocked && unit(seat).is_none()
                };
                let runs = strip.split(|(_, seat)| !free(seat)).map(<[_]>::len);
                let known = longest.entry((types, row)).or_default();
                *known = runs.max().unwrap_or(0).max(*known);
            }
        }
        for (types, first) in longest.keys().filter(|(types, _)| types.contains(&1)) {
            let mut sum = 0;
            for rows in 1..=ROWS_PER_PARTY_MAX {
                let run = longest.get(&(types.clone(), first + rows - 1)).filter(|run| 0 < **run);
                let Some(run) = run else { break };
                sum += run;
                if size <= sum && fewest.is_none_or(|known| rows < known) {
                    fewest = Some(rows);
                }
            }
        }
    }
    fewest
}

/// Sections of a few short rows; the numbers of the seats count on.
fn sections() -> impl Strategy<Value = Vec<SectionConfig>> {
    let flag = proptest::bool::weighted;
    let seat =
        (flag(0.1), flag(0.1), flag(0.1), proptest::option::weighted(0.1, 0..9_u32), 0..12_u8);
    let row = (proptest::collection::vec(seat, 1..9), any::<bool>());
    let rows = proptest::collection::vec(row, 1..4);
    proptest::collection::vec((rows, 0..3_u32), 1..4).prop_map(|sections| {
        let mut number = 0;
        let mut made = Vec::new();
        for (at, (rows, rank)) in sections.into_iter().enumerate() {
            let rows = rows.into_iter().map(|(seats, with_unit)| {
                let mut line = Vec::new();
                for (gap, blocked, obstructed, rank, types) in seats {
                    number += 1;
                    line.push(SeatConfig {
                        gap,
                        blocked,
                        obstructed,
                        rank,
                        types: if types == 0 { vec![2] } else { vec![] },
                        ..self::seat(number)
                    });
                }
                if let ([first, second, ..], true) = (line.as_mut_slice(), with_unit) {
                    first.wheelchair = true;
                    second.companion_of = Some(first.number);
                    second.gap = false;
                    second.types.clone_from(&first.types);
                }
                line
            });
            let rows = rows.collect();
            let number = u16::try_from(at + 1).unwrap();
            made.push(SectionConfig { rank, ..section(number, rows) });
        }
        made
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_best_is_chosen(
        sections in sections(),
        taken in proptest::collection::vec(any::<bool>(), 80),
        density in 0..4_usize,
        size in 1..6_u32,
        units in prop_oneof![4 => Just(0_u32), 1 => 1..3_u32],
        only in prop_oneof![2 => Just(None), 1 => Just(Some("s1"))],
    ) {
        let mut state = house(&sections);
        let numbers: Vec<u32> = sections.iter().flat_map(|s| &s.rows).flat_map(|r| &r.seats)
            .filter(|seat| !seat.blocked).map(|seat| seat.number).collect();
        let gone: Vec<u32> = numbers.iter().zip(&taken).enumerate()
            .filter(|(at, (_, taken))| **taken && at % 4 < density).map(|(_, (n, _))| *n).collect();
        hold(&mut state, 1, &gone);
        let open: BTreeSet<u32> = numbers.into_iter().filter(|n| !gone.contains(n)).collect();
        // A type that no section takes is sold without seats.
        let seats = chosen(&state, &wants(size, only, units)).filter(|seats| !seats.is_empty());
        let count = usize::try_from(size).unwrap();
        let expected = best(&sections, &open, count, usize::try_from(units).unwrap(), only);
        match expected {
            Some((_, expected)) => prop_assert_eq!(seats, Some(expected)),
            None => {
                let rows = fewest_rows(&sections, &open, count, only).filter(|_| units == 0);
                prop_assert_eq!(seats.is_some(), rows.is_some(), "{:?}", seats);
                let Some(seats) = seats else { return Ok(()) };
                let once: BTreeSet<u32> = seats.iter().copied().collect();
                prop_assert_eq!(once.len(), count, "a seat twice");
                prop_assert!(once.is_subset(&open));
                let places = seats.iter().map(|seat| state.seats.plan.place(*seat).unwrap());
                let used: BTreeSet<(u16, u16)> = places.map(|p| (p.section, p.row)).collect();
                prop_assert_eq!(Some(used.len()), rows);
            }
        }
    }
}

/// Fifty thousand seats, sold to parties of one to twelve until nobody fits any more.
#[test]
fn a_choice_looks_at_few_rows_of_a_large_house() {
    let mut number = 0;
    let sections: Vec<SectionConfig> = (1..=25)
        .map(|at| {
            let row = |_| {
                let mut row = |_| {
                    number += 1;
                    seat(number)
                };
                (0..40).map(&mut row).collect::<Vec<_>>()
            };
            section(at, (0..50).map(row).collect())
        })
        .collect();
    let mut state = house(&sections);
    let (mut random, mut sold, mut id) = (7_u64, 0, 1_u128);
    let mut largest = 12;
    while 0 < largest {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let size = u32::try_from((random >> 33) % largest).unwrap() + 1;
        match choose_counted(&state, &wants(size, None, 0)) {
            Ok((seats, looked_at)) => {
                assert!(looked_at <= LOOKED_AT_MAX, "{looked_at} strips for {size}");
                let seats: Vec<u32> = seats.iter().map(|held| held.seat).collect();
                sold += seats.len();
                id += 1;
                hold(&mut state, id, &seats);
            }
            // Who is left is smaller.
            Err(_) => largest = u64::from(size) - 1,
        }
    }
    assert_eq!(sold, 50_000);
}

#[test]
fn a_party_sits_where_the_rules_say() {
    #[track_caller]
    fn check(row: &str, size: u32, expected: &[u32]) {
        // `.` open, `x` taken, `|` an aisle, `w` and `c` a wheelchair place and its companion's.
        let mut seats: Vec<SeatConfig> = Vec::new();
        let (mut gap, mut gone, mut place) = (false, Vec::new(), None);
        for sign in row.chars() {
            if sign == '|' {
                gap = true;
                continue;
            }
            let number = u32::try_from(seats.len()).unwrap() + 1;
            place = if sign == 'w' { Some(number) } else { place };
            if sign == 'x' {
                gone.push(number);
            }
            seats.push(SeatConfig {
                gap,
                wheelchair: sign == 'w',
                companion_of: place.filter(|_| sign == 'c'),
                ..seat(number)
            });
            gap = false;
        }
        let mut state = house(&[section(1, vec![seats])]);
        hold(&mut state, 1, &gone);
        let seats = chosen(&state, &wants(size, None, 0)).unwrap_or_default();
        assert_eq!(seats, expected, "{row} for {size}");
    }
    // The middle first, and no single seat left at either side.
    check(".......", 3, &[3, 4, 5]);
    check("......", 2, &[3, 4]);
    check(".....", 3, &[1, 2, 3]);
    check(".....", 2, &[1, 2]);
    check("..x....", 2, &[4, 5]);
    // Only what leaves a single one is left.
    check("...", 2, &[1, 2]);
    check("..", 1, &[1]);
    // A single seat that is there is taken first of all.
    check(".x..", 1, &[1]);
    // Nobody sits across an aisle, nor on a wheelchair place unasked.
    check("..|..", 3, &[]);
    check("..|..", 2, &[1, 2]);
    check("wc..", 2, &[3, 4]);
    check("wc..", 3, &[]);
}

#[test]
fn wheelchair_places_come_with_their_companions() {
    let mut row: Vec<SeatConfig> = (1..=8).map(seat).collect();
    for place in [3, 6] {
        row[place - 1].wheelchair = true;
        row[place].companion_of = Some(u32::try_from(place).unwrap());
    }
    let mut state = house(&[section(1, vec![row])]);
    assert_eq!(chosen(&state, &wants(2, None, 1)), Some(vec![3, 4]));
    assert_eq!(chosen(&state, &wants(3, None, 1)), Some(vec![3, 4, 5]));
    assert_eq!(chosen(&state, &wants(5, None, 2)), Some(vec![3, 4, 5, 6, 7]));
    assert_eq!(chosen(&state, &wants(1, None, 1)), None);
    let named = |seats: &[u32]| {
        let quantity = u32::try_from(seats.len()).unwrap();
        let item =
            HoldItem { ticket_type: TYPES[0], quantity, seats: SeatWish::Named(seats.to_vec()) };
        choose(&state, &[item]).map_err(|refusal| (refusal.code, refusal.constraint.unwrap().id))
    };
    assert_eq!(named(&[3]).unwrap_err(), (RefusalCode::SeatUnit, "4".to_owned()));
    assert_eq!(named(&[7]).unwrap_err(), (RefusalCode::SeatUnit, "6".to_owned()));
    assert_eq!(named(&[6, 7]).unwrap().len(), 2);
    assert_eq!(named(&[9]).unwrap_err(), (RefusalCode::UnknownSeat, "9".to_owned()));
    assert_eq!(named(&[1, 1]).unwrap_err(), (RefusalCode::SeatTaken, "1".to_owned()));
    // A unit of which one seat is gone is none.
    hold(&mut state, 1, &[4]);
    assert_eq!(chosen(&state, &wants(2, None, 1)), Some(vec![6, 7]));
}

#[test]
fn types_that_share_seats_sit_together() {
    let mut rows: Vec<Vec<SeatConfig>> =
        vec![(1..=4).map(seat).collect(), (5..=8).map(seat).collect()];
    rows[0].iter_mut().for_each(|seat| seat.types = vec![1]);
    let item = |at: usize, quantity| HoldItem {
        ticket_type: TYPES[at],
        quantity,
        seats: SeatWish::default(),
    };
    // The front row does not take the second type: all sit behind it.
    let state = house(&[section(1, rows.clone())]);
    assert_eq!(chosen(&state, &[item(0, 2), item(1, 2)]), Some(vec![5, 6, 7, 8]));
    // No row takes both: each sits with its own.
    rows[1].iter_mut().for_each(|seat| seat.types = vec![2]);
    let state = house(&[section(1, rows)]);
    let seats = chosen(&state, &[item(0, 2), item(1, 2)]).unwrap();
    assert!(seats[..2].iter().all(|seat| *seat <= 4) && seats[2..].iter().all(|seat| 5 <= *seat));
}
