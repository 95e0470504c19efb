//! What the catalogue ever said about an event's types, quotas and zones, merged. Rows are only
//! added: tickets and counts refer to them by row, and a number once given means the same for
//! ever. What a newer configuration leaves out is kept as not listed: it is no longer sold, its
//! figures and tickets stay. A configuration that gives a number or an id another meaning is
//! refused whole.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::{Constraint, Refusal, RefusalCode};
use crate::config::{
    DAY_MINUTES, EventConfig, LANES_MAX, LEASE_S_MAX, LaneConfig, QUESTIONS_MAX, QuestionConfig,
    QuotaConfig, TicketTypeConfig, ZoneConfig, ZonePolicy,
};
use crate::money::{FEE_BP_MAX, PRICE_MAX, TAX_RATE_BP_MAX};

/// Most types, and most quotas, that an event may ever have had.
pub const ROWS_MAX: usize = 4_096;
/// Zones are bits of a credential's 32.
pub const ZONE_NUMBER_MAX: u8 = 31;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tables {
    pub types: Vec<Row<TicketTypeConfig>>,
    pub quotas: Vec<Row<QuotaConfig>>,
    pub zones: Vec<Row<ZoneConfig>>,
    /// Lanes and questions of the newest configuration: nothing refers to them by row.
    pub lanes: Vec<LaneConfig>,
    pub questions: Vec<QuestionConfig>,
    #[serde(skip)]
    derived: Derived,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Row<T> {
    pub config: T,
    /// In the newest configuration.
    pub listed: bool,
}

/// Look-ups that follow from the rows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Derived {
    type_rows: HashMap<Uuid, u16>,
    /// Listed zones by the key that lanes use.
    zone_rows: HashMap<String, u8>,
    lane_rows: HashMap<String, usize>,
    /// By number.
    quota_rows: HashMap<u16, u16>,
    type_numbers: HashSet<u16>,
    /// By row of the type: rows of its quotas, bits of its zones.
    quotas_of: Vec<Vec<u16>>,
    zones_of: Vec<u32>,
}

impl Tables {
    /// These tables after the configuration, or why it cannot be taken over.
    pub(crate) fn merge(&self, config: &EventConfig) -> Result<Self, Refusal> {
        let mut merged = self.clone();
        merge_rows(&mut merged.types, &config.ticket_types, ROWS_MAX)?;
        merge_rows(&mut merged.quotas, &config.quotas, ROWS_MAX)?;
        merge_rows(&mut merged.zones, &config.zones, ROWS_MAX)?;
        check_types(config)?;
        check_zones(config)?;
        check_doors(config)?;
        merged.lanes = config.lanes.clone();
        merged.questions = config.questions.clone();
        merged.derive()?;
        Ok(merged)
    }

    /// Builds the look-ups again, after reading the rows from an image.
    pub(crate) fn derive(&mut self) -> Result<(), Refusal> {
        let mut derived = Derived::default();
        for (row, zone) in self.zones.iter().enumerate() {
            let row = u8::try_from(row).map_err(|_| conflict("zone", zone.config.id))?;
            if zone.listed {
                derived.zone_rows.insert(zone.config.key.clone(), row);
            }
        }
        let lanes = self.lanes.iter().enumerate();
        derived.lane_rows = lanes.map(|(row, lane)| (lane.key.clone(), row)).collect();
        let quota_rows = (0_u16..).zip(&self.quotas).map(|(row, q)| (q.config.number, row));
        derived.quota_rows = quota_rows.collect();
        derived.type_numbers = self.types.iter().map(|row| row.config.number).collect();
        for (row, kind) in self.types.iter().enumerate() {
            let refusal = || conflict("ticket_type", kind.config.id);
            derived.type_rows.insert(kind.config.id, u16::try_from(row).map_err(|_| refusal())?);
            let mut quotas = Vec::with_capacity(kind.config.quotas.len());
            for number in &kind.config.quotas {
                let row = *derived.quota_rows.get(number).ok_or_else(refusal)?;
                // A quota named twice still takes one place.
                if !quotas.contains(&row) {
                    quotas.push(row);
                }
            }
            derived.quotas_of.push(quotas);
            let known = |number| self.zones.iter().any(|zone| zone.config.number == number);
            if !kind.config.zones.iter().all(|number| known(*number)) {
                return Err(refusal());
            }
            let bits = kind.config.zones.iter().map(|number| super::zone_bit(*number));
            derived.zones_of.push(bits.fold(0, |bits, bit| bits | bit));
        }
        self.derived = derived;
        Ok(())
    }

    pub(crate) fn type_row(&self, id: Uuid) -> Option<u16> {
        self.derived.type_rows.get(&id).copied()
    }

    pub(crate) fn kind(&self, row: u16) -> Option<&TicketTypeConfig> {
        Some(&self.types.get(usize::from(row))?.config)
    }

    /// Rows of the quotas that a ticket of this type takes one place of.
    pub(crate) fn quotas_of(&self, type_row: u16) -> &[u16] {
        self.derived.quotas_of.get(usize::from(type_row)).map_or(&[], Vec::as_slice)
    }

    /// Bits of the zones that a ticket of this type admits to.
    pub(crate) fn zones_of(&self, type_row: u16) -> u32 {
        self.derived.zones_of.get(usize::from(type_row)).copied().unwrap_or(0)
    }

    /// A listed zone by the key that lanes use.
    pub(crate) fn zone(&self, key: &str) -> Option<(u8, &ZoneConfig)> {
        let row = *self.derived.zone_rows.get(key)?;
        Some((row, &self.zones.get(usize::from(row))?.config))
    }

    /// Row of a quota by its number, listed or not.
    pub(crate) fn quota_row(&self, number: u16) -> Option<u16> {
        self.derived.quota_rows.get(&number).copied()
    }

    /// Whether an event ever had a type of this number.
    pub(crate) fn type_number_known(&self, number: u16) -> bool {
        self.derived.type_numbers.contains(&number)
    }

    /// Row of a zone by its number, listed or not.
    pub(crate) fn zone_row(&self, number: u8) -> Option<u8> {
        let row = self.zones.iter().position(|zone| zone.config.number == number)?;
        u8::try_from(row).ok()
    }

    /// The rules of a lane that has some.
    pub(crate) fn lane(&self, key: &str) -> Option<&LaneConfig> {
        self.lanes.get(*self.derived.lane_rows.get(key)?)
    }
}

/// What the three kinds of rows have in common.
trait Numbered: Clone {
    const KIND: &'static str;
    fn id(&self) -> Uuid;
    fn number(&self) -> u16;
}

impl Numbered for TicketTypeConfig {
    const KIND: &'static str = "ticket_type";
    fn id(&self) -> Uuid {
        self.id
    }
    fn number(&self) -> u16 {
        self.number
    }
}

impl Numbered for QuotaConfig {
    const KIND: &'static str = "quota";
    fn id(&self) -> Uuid {
        self.id
    }
    fn number(&self) -> u16 {
        self.number
    }
}

impl Numbered for ZoneConfig {
    const KIND: &'static str = "zone";
    fn id(&self) -> Uuid {
        self.id
    }
    fn number(&self) -> u16 {
        u16::from(self.number)
    }
}

fn merge_rows<T: Numbered>(
    rows: &mut Vec<Row<T>>,
    listed: &[T],
    rows_max: usize,
) -> Result<(), Refusal> {
    for row in rows.iter_mut() {
        row.listed = false;
    }
    let by_id: HashMap<Uuid, usize> =
        rows.iter().enumerate().map(|(row, r)| (r.config.id(), row)).collect();
    let mut numbers: HashMap<u16, Uuid> =
        rows.iter().map(|row| (row.config.number(), row.config.id())).collect();
    let mut seen = HashSet::new();
    for config in listed {
        let refusal = || conflict(T::KIND, config.id());
        if !seen.insert(config.id()) {
            return Err(refusal());
        }
        if *numbers.entry(config.number()).or_insert(config.id()) != config.id() {
            return Err(refusal());
        }
        let new = Row { config: config.clone(), listed: true };
        let full = rows_max <= rows.len();
        match by_id.get(&config.id()).and_then(|row| rows.get_mut(*row)) {
            Some(row) if row.config.number() == config.number() => *row = new,
            Some(_) => return Err(refusal()),
            None if full => return Err(refusal()),
            None => rows.push(new),
        }
    }
    Ok(())
}

/// Amounts in range, and no quota or zone named that the same configuration does not list.
fn check_types(config: &EventConfig) -> Result<(), Refusal> {
    let quotas: HashSet<u16> = config.quotas.iter().map(|quota| quota.number).collect();
    let zones: HashSet<u8> = config.zones.iter().map(|zone| zone.number).collect();
    let sale = &config.sale;
    if !(0..=PRICE_MAX).contains(&sale.order_fee) || FEE_BP_MAX < sale.order_fee_bp {
        return Err(conflict("event", config.event));
    }
    for kind in &config.ticket_types {
        let amounts = [kind.price, kind.fee];
        let priced = amounts.iter().all(|amount| (0..=PRICE_MAX).contains(amount))
            && kind.tax_rate_bp <= TAX_RATE_BP_MAX
            && kind.fee_bp <= FEE_BP_MAX;
        let linked = kind.quotas.iter().all(|number| quotas.contains(number))
            && kind.zones.iter().all(|number| zones.contains(number));
        let windows = kind.windows.iter().all(|window| zones.contains(&window.zone));
        if !priced || !linked || !windows {
            return Err(conflict("ticket_type", kind.id));
        }
    }
    Ok(())
}

fn check_zones(config: &EventConfig) -> Result<(), Refusal> {
    let mut keys = HashSet::new();
    for zone in &config.zones {
        let known = |number: &u8| config.zones.iter().any(|other| other.number == *number);
        let linked = zone.leaves.iter().chain(&zone.exit_to).all(known);
        let least = match zone.policy {
            ZonePolicy::Entries { max } | ZonePolicy::Days { max } => max,
            ZonePolicy::Interval { minutes } => minutes,
            _ => 1,
        };
        let timed = zone.exit_all_at_min.is_none_or(|minute| minute < DAY_MINUTES);
        let named = zone.number <= ZONE_NUMBER_MAX && keys.insert(zone.key.as_str());
        if !named || !linked || least == 0 || !timed {
            return Err(conflict("zone", zone.id));
        }
    }
    Ok(())
}

fn check_doors(config: &EventConfig) -> Result<(), Refusal> {
    let types: HashSet<u16> = config.ticket_types.iter().map(|kind| kind.number).collect();
    let known = |numbers: &[u16]| numbers.iter().all(|number| types.contains(number));
    let mut keys = HashSet::new();
    for lane in &config.lanes {
        let leased = (1..=LEASE_S_MAX).contains(&lane.lease_s);
        if !keys.insert(lane.key.as_str()) || !known(&lane.types) || !leased {
            return Err(refused("lane", &lane.key));
        }
    }
    let mut ids = HashSet::new();
    for question in &config.questions {
        if !ids.insert(question.id) || !known(&question.types) {
            return Err(conflict("question", question.id));
        }
    }
    let many = LANES_MAX < config.lanes.len() || QUESTIONS_MAX < config.questions.len();
    if many || DAY_MINUTES <= config.day_starts_min {
        return Err(conflict("event", config.event));
    }
    Ok(())
}

pub(crate) fn conflict(kind: &str, id: Uuid) -> Refusal {
    refused(kind, &id.to_string())
}

fn refused(kind: &str, id: &str) -> Refusal {
    Refusal {
        code: RefusalCode::CatalogueConflict,
        constraint: Some(Constraint { kind: kind.to_owned(), id: id.to_owned() }),
    }
}
