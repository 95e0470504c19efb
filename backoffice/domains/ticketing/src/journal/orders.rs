//! Orders of the journal into orders, registrations and their line items.

use inventory::command::LineView;
use inventory::fact::{IssuedTicket, OrderConfirmed};
use inventory::money::allocate;
use inventory::personal::{self, Person, Personal};
use kernel::cx::Cx;
use kernel::error::{Error, Result};
use kernel::money::from_minor;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::facts::StoredEntry;
use super::raw::signed;
use super::scans::word;

use crate::secrets;

/// Column bounds; what the gate accepted is cut, not refused.
const NAME_CHARS_MAX: usize = 300;
const EMAIL_CHARS_MAX: usize = 254;

/// The registration of the `position`th ticket (from 1) of an order. Known before the gate has
/// numbered the ticket, so that whoever orders can be told where the row will be. A UUID of version
/// 8 (RFC 9562, section 5.8): the first 16 bytes of SHA-256 of a label, the order and the position.
pub(crate) fn registration_id(order: Uuid, position: u32) -> Uuid {
    let mut hasher = Sha256::new();
    hasher.update(b"ATLVS-REGISTRATION-v1\0");
    hasher.update(order.as_bytes());
    hasher.update(position.to_be_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// One ticket with its share of its line.
struct Place<'o> {
    issued: &'o IssuedTicket,
    position: u32,
    price: i64,
    discount: i64,
    fee: i64,
    tax: i64,
    tax_added: bool,
}

/// Texts of a person as columns; absent when empty.
struct Contact {
    name: Option<String>,
    email: Option<String>,
}

pub(super) async fn confirmed(cx: &Cx, entry: &StoredEntry, order: &OrderConfirmed) -> Result<()> {
    let currency = order.currency.as_str();
    let personal = open_personal(cx, entry.event, order).await?;
    let buyer = contact(&personal.buyer);
    let sum = |part: fn(&LineView) -> i64| order.lines.iter().map(part).sum::<i64>();
    let total = sum(LineView::total);
    cx.execute(
        "insert into ticket_orders \
           (id, event_id, number, code, status, channel, payment_method, total, total_currency, \
            tax, tax_currency, buyer_name, buyer_email, hold_id, confirmed_at) \
         values ($1, $2, $3, $4, 'confirmed', $5, $6, $7, $8, $9, $8, $10, $11, $12, $13)",
        &[
            &order.order,
            &entry.event,
            &signed(order.number)?,
            &order.code,
            &word(&order.channel)?,
            &word(&order.payment)?,
            &from_minor(total, currency),
            &currency,
            &from_minor(sum(|line| line.tax), currency),
            &buyer.name,
            &buyer.email,
            &order.hold,
            &entry.at,
        ],
    )
    .await?;
    for place in places(order)? {
        let attendee = personal.attendees.get(index(place.position)).map(contact);
        register(cx, entry, order, &place, attendee).await?;
        line_item(cx, order, &place, currency).await?;
    }
    Ok(())
}

pub(super) async fn canceled(
    cx: &Cx,
    entry: &StoredEntry,
    order: Uuid,
    tickets: &[u64],
) -> Result<()> {
    let numbers = tickets.iter().map(|ticket| signed(*ticket)).collect::<Result<Vec<i64>>>()?;
    let changed = cx
        .execute(
            "update event_registrations set status = 'canceled', canceled_at = $4 \
              where event_id = $1 and order_id = $2 and ticket_number = any($3)",
            &[&entry.event, &order, &numbers, &entry.at],
        )
        .await?;
    if usize::try_from(changed).ok() != Some(numbers.len()) {
        return Err(Error::internal(format!("order {order} lacks registrations to cancel")));
    }
    cx.execute(
        "update ticket_orders set status = 'canceled', canceled_at = $2 \
          where id = $1 and not exists (select from event_registrations r \
                where r.org_id = ticket_orders.org_id and r.order_id = ticket_orders.id \
                  and r.status <> 'canceled')",
        &[&order, &entry.at],
    )
    .await?;
    Ok(())
}

pub(super) async fn block(cx: &Cx, entry: &StoredEntry, ticket: u64, blocked: bool) -> Result<()> {
    let changed = cx
        .execute(
            "update event_registrations set blocked = $3 \
              where event_id = $1 and ticket_number = $2",
            &[&entry.event, &signed(ticket)?, &blocked],
        )
        .await?;
    one(changed, ticket)
}

pub(super) async fn reissued(
    cx: &Cx,
    entry: &StoredEntry,
    ticket: u64,
    revision: u16,
) -> Result<()> {
    let changed = cx
        .execute(
            "update event_registrations set revision = $3 \
              where event_id = $1 and ticket_number = $2",
            &[&entry.event, &signed(ticket)?, &i64::from(revision)],
        )
        .await?;
    one(changed, ticket)
}

fn one(changed: u64, ticket: u64) -> Result<()> {
    if changed == 1 {
        return Ok(());
    }
    Err(Error::internal(format!("ticket {ticket} has no registration")))
}

async fn register(
    cx: &Cx,
    entry: &StoredEntry,
    order: &OrderConfirmed,
    place: &Place<'_>,
    attendee: Option<Contact>,
) -> Result<()> {
    let attendee = attendee.unwrap_or(Contact { name: None, email: None });
    cx.execute(
        "insert into event_registrations \
           (id, event_id, order_id, ticket_type_id, ticket_number, ticket, position, status, \
            channel, attendee_name, attendee_email, confirmed_at) \
         select $1, e.id, $3, $4, $5::bigint, e.number::text || '-' || $5::bigint::text, $6, 'confirmed', $7, $8, $9, $10 \
           from events e where e.id = $2",
        &[
            &registration_id(order.order, place.position),
            &entry.event,
            &order.order,
            &place.issued.ticket_type,
            &signed(place.issued.ticket)?,
            &i64::from(place.position),
            &word(&order.channel)?,
            &attendee.name,
            &attendee.email,
            &entry.at,
        ],
    )
    .await?;
    Ok(())
}

async fn line_item(
    cx: &Cx,
    order: &OrderConfirmed,
    place: &Place<'_>,
    currency: &str,
) -> Result<()> {
    let added = if place.tax_added { place.tax } else { 0 };
    let total = place.price - place.discount + place.fee + added;
    cx.execute(
        "insert into registration_line_items \
           (registration_id, order_id, ticket_type_id, description, quantity, price, \
            price_currency, discount, discount_currency, fee, fee_currency, tax, tax_currency, \
            total, total_currency) \
         select $1, $2, t.id, t.name, 1, $4, $9, $5, $9, $6, $9, $7, $9, $8, $9 \
           from ticket_types t where t.id = $3",
        &[
            &registration_id(order.order, place.position),
            &order.order,
            &place.issued.ticket_type,
            &from_minor(place.price, currency),
            &from_minor(place.discount, currency),
            &from_minor(place.fee, currency),
            &from_minor(place.tax, currency),
            &from_minor(total, currency),
            &currency,
        ],
    )
    .await?;
    Ok(())
}

/// Tickets stand in the order of the lines; each takes its share of its line, to the last cent.
fn places(order: &OrderConfirmed) -> Result<Vec<Place<'_>>> {
    let mut tickets = order.tickets.iter();
    let mut places = Vec::with_capacity(order.tickets.len());
    let mut position = 0_u32;
    for line in &order.lines {
        let shares = [line.price, line.discount, line.fee, line.tax]
            .map(|amount| allocate(amount, line.quantity));
        let [price, discount, fee, tax] = shares;
        for (((price, discount), fee), tax) in price.zip(discount).zip(fee).zip(tax) {
            let issued = tickets.next().filter(|issued| issued.ticket_type == line.ticket_type);
            let issued = issued.ok_or_else(|| {
                Error::internal(format!("order {}: tickets do not follow the lines", order.order))
            })?;
            position = position.saturating_add(1);
            let tax_added = line.tax_added;
            places.push(Place { issued, position, price, discount, fee, tax, tax_added });
        }
    }
    if tickets.next().is_some() {
        return Err(Error::internal(format!("order {} has tickets without a line", order.order)));
    }
    Ok(places)
}

/// Names and addresses of an order; empty once its key was erased.
async fn open_personal(cx: &Cx, event: Uuid, order: &OrderConfirmed) -> Result<Personal> {
    let sql = "select sealed_key from order_data_keys where id = $1";
    let row = cx.query_opt(sql, &[&order.order]).await?;
    let sealed: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    let Some(sealed) = sealed else { return Ok(Personal::default()) };
    let master = secrets::master(cx.service())?;
    let key = secrets::open_data_key(&master, event, order.order, &sealed)?;
    personal::open(&order.personal.0, &key, event, order.order).map_err(|cause| {
        Error::internal(format!("personal data of order {}: {cause}", order.order))
    })
}

fn contact(person: &Person) -> Contact {
    // A zero character, which no column takes, would hold the order up for ever.
    let printed = |character: &char| !character.is_control();
    let name: String = person.name.trim().chars().filter(printed).take(NAME_CHARS_MAX).collect();
    let email = person.email.trim();
    let fits = email.find('@').is_some_and(|at| at > 0)
        && email.chars().all(|character| printed(&character))
        && email.chars().count() <= EMAIL_CHARS_MAX;
    Contact { name: (!name.is_empty()).then_some(name), email: fits.then(|| email.to_owned()) }
}

/// Positions count from 1.
fn index(position: u32) -> usize {
    usize::try_from(position.saturating_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
