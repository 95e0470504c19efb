//! A legal entity, a venue and an event on sale, with a device that may scan for it.

use jiff::{SignedDuration, Timestamp};
use kernel::cx::Cx;
use kernel::error::{Error, Result};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ledger::{ensure, entity};

/// Places of the free type; nothing else limits how many one person takes.
const CAPACITY: i64 = 5_000;
const TERRACE_CAPACITY: i64 = 200;
const TIME_ZONE: &str = "Europe/Berlin";
/// The event begins this long after the seed, and lasts so long.
const BEGINS_IN: SignedDuration = SignedDuration::from_hours(14 * 24);
const LASTS: SignedDuration = SignedDuration::from_hours(6);
/// Doors open from the first moment, so that the demonstration can scan at once.
const ZONE: &str = "main";
/// A lane that the device may name; it may name any.
const LANE: &str = "North 1";

pub(crate) async fn seed(cx: &mut Cx, out: &mut Map<String, Value>) -> Result<()> {
    let (legal_entity, location) = house(cx).await?;
    let event = event(cx, legal_entity, location).await?;
    let (general, terrace) = tickets(cx, event).await?;
    let zone = json!({ "event_id": event, "key": ZONE, "name": "Main entrance" });
    ensure(cx, "check_in_zones", "main", zone).await?;
    open_sales(cx, event).await?;
    device(cx, out).await?;
    let number = cx.query_one("select number from events where id = $1", &[&event]).await?;
    let number: i64 = number.try_get(0)?;
    for (name, value) in [
        ("event_id", json!(event)),
        ("event_number", json!(number)),
        ("ticket_type_id", json!(general)),
        ("ticket_type_capacity", json!(CAPACITY)),
        ("priced_ticket_type_id", json!(terrace)),
        ("zone", json!(ZONE)),
        ("gate", json!(LANE)),
    ] {
        out.insert(name.to_owned(), value);
    }
    Ok(())
}

async fn house(cx: &mut Cx) -> Result<(Uuid, Uuid)> {
    let calendar = json!({ "name": "Germany", "time_zone": TIME_ZONE });
    let calendar = ensure(cx, "calendars", "germany", calendar).await?;
    for (key, day, name) in [
        ("new-year-2027", "2027-01-01", "Neujahr"),
        ("labour-day-2027", "2027-05-01", "Tag der Arbeit"),
        ("unity-day-2027", "2027-10-03", "Tag der Deutschen Einheit"),
    ] {
        let holiday = json!({ "calendar_id": calendar, "day": day, "name": name });
        ensure(cx, "calendar_holidays", key, holiday).await?;
    }
    let party = json!({
        "kind": "organization",
        "name": "Nordlicht Live GmbH",
        "legal_name": "Nordlicht Live Veranstaltungs GmbH",
        "language": "de",
    });
    let party = ensure(cx, "parties", "nordlicht", party).await?;
    let address = json!({
        "party_id": party,
        "purpose": "billing",
        "line1": "Speicherstraße 7",
        "postal_code": "20457",
        "city": "Hamburg",
        "country": "DE",
        "is_primary": true,
    });
    ensure(cx, "party_addresses", "nordlicht", address).await?;
    let legal_entity = json!({
        "party_id": party,
        "name": "Nordlicht Live GmbH",
        "country": "DE",
        "functional_currency": "EUR",
        "time_zone": TIME_ZONE,
        "calendar_id": calendar,
    });
    let legal_entity = ensure(cx, "legal_entities", "nordlicht", legal_entity).await?;
    let location = json!({
        "name": "Halle am Hafen",
        "kind": "venue",
        "line1": "Am Kai 12",
        "postal_code": "20457",
        "city": "Hamburg",
        "country": "DE",
        "time_zone": TIME_ZONE,
        "capacity": CAPACITY + TERRACE_CAPACITY,
        "calendar_id": calendar,
    });
    let location = ensure(cx, "locations", "halle", location).await?;
    Ok((legal_entity, location))
}

/// The event, moved into the future again where it has passed since the last run.
async fn event(cx: &mut Cx, legal_entity: Uuid, location: Uuid) -> Result<Uuid> {
    let starts_at = later(cx.now, BEGINS_IN)?;
    let ends_at = later(starts_at, LASTS)?;
    let body = json!({
        "name": "Nordlicht Festival",
        "description": "Two stages, one night, northern lights.",
        "starts_at": starts_at,
        "ends_at": ends_at,
        "time_zone": TIME_ZONE,
        "currency": "EUR",
        "legal_entity_id": legal_entity,
        "location_id": location,
    });
    let event = ensure(cx, "events", "festival", body).await?;
    let row = cx.query_one("select ends_at from events where id = $1", &[&event]).await?;
    if row.try_get::<_, Timestamp>(0)? <= cx.now {
        let dates = json!({ "starts_at": starts_at, "ends_at": ends_at });
        let events = entity(cx, "events")?;
        cx.patch(events, event, super::object(dates)?, None).await?;
    }
    Ok(event)
}

async fn tickets(cx: &mut Cx, event: Uuid) -> Result<(Uuid, Uuid)> {
    let general = json!({
        "event_id": event,
        "name": "General admission",
        "price": { "amount": "0.00", "currency": "EUR" },
    });
    let general = ensure(cx, "ticket_types", "general", general).await?;
    let terrace = json!({
        "event_id": event,
        "name": "Terrace",
        "description": "A seat above the harbour.",
        "price": { "amount": "42.50", "currency": "EUR" },
        "fee": { "amount": "2.50", "currency": "EUR" },
        "tax_rate": "7.00",
        "max_per_order": 8,
        "position": 1,
    });
    let terrace = ensure(cx, "ticket_types", "terrace", terrace).await?;
    for (key, name, size, ticket_type) in
        [("general", "Floor", CAPACITY, general), ("terrace", "Terrace", TERRACE_CAPACITY, terrace)]
    {
        let quota = json!({ "event_id": event, "name": name, "size": size });
        let quota = ensure(cx, "quotas", key, quota).await?;
        let pair = json!({ "quota_id": quota, "ticket_type_id": ticket_type });
        ensure(cx, "quota_ticket_types", key, pair).await?;
    }
    Ok((general, terrace))
}

async fn open_sales(cx: &mut Cx, event: Uuid) -> Result<()> {
    let row = cx.query_one("select status from events where id = $1", &[&event]).await?;
    if row.try_get::<_, String>(0)? == "draft" {
        cx.call("events.events.open-sales", json!({ "id": event })).await?;
    }
    Ok(())
}

async fn device(cx: &mut Cx, out: &mut Map<String, Value>) -> Result<()> {
    let device = json!({ "name": "Demonstration scanner" });
    let device = ensure(cx, "check_in_devices", "scanner", device).await?;
    if out.contains_key("device_token") {
        return Ok(());
    }
    let issued = cx.call("ticketing.check_in_devices.issue-token", json!({ "id": device })).await?;
    let token = issued
        .get("token")
        .cloned()
        .ok_or_else(|| Error::internal("no token was issued for the device"))?;
    out.insert("device_token".to_owned(), token);
    Ok(())
}

fn later(at: Timestamp, by: SignedDuration) -> Result<Timestamp> {
    at.checked_add(by).map_err(|_| Error::internal("a date is out of range"))
}
