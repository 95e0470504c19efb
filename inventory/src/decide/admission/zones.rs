//! Zones as a whole: when they empty by themselves, what a count by hand found, and evacuation.

use uuid::Uuid;

use crate::calendar::next_time;
use crate::command::{RefusalCode, Reply};
use crate::config::EventConfig;
use crate::decide::{Decided, Decision, Outcome, refused_for};
use crate::fact::Fact;
use crate::state::State;
use crate::time::{DAY_MS, Millis};

/// When the zones of a configuration empty next, by number.
pub(in crate::decide) fn exit_alls(config: &EventConfig, now: Millis) -> Vec<(u8, Millis)> {
    let next = |zone: &crate::config::ZoneConfig| {
        Some((zone.number, next_exit(config, now, zone.exit_all_at_min?)?))
    };
    config.zones.iter().filter_map(next).collect()
}

/// None once the event is over for a day: nobody is left whom it would concern.
pub(in crate::decide) fn next_exit(
    config: &EventConfig,
    after: Millis,
    minute: u16,
) -> Option<Millis> {
    let over = config.closes_at.map_or(Millis::MAX, |closes_at| closes_at.plus_ms(DAY_MS));
    next_time(config, after, minute).filter(|at| *at <= over)
}

pub(in crate::decide) fn correct(
    state: &State,
    zone: &str,
    inside: u64,
    by: Uuid,
) -> Result<Fact, crate::command::Refusal> {
    let Some((_, zone)) = state.tables.zone(zone) else {
        return refused_for(RefusalCode::UnknownZone, "zone", zone);
    };
    Ok(Fact::ZoneCorrected { zone: zone.number, inside, by })
}

pub(in crate::decide) fn evacuate(state: &State, on: bool, by: Uuid) -> Decided {
    let facts =
        if state.totals.evacuated == on { vec![] } else { vec![Fact::EventEvacuated { on, by }] };
    Ok(Decision::facts(facts, Outcome::Reply(Reply::Evacuated { on })))
}
