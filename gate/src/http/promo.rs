//! Promo codes: what one is good for, before anything is held.

use inventory::command::{Command, HoldRequest, Quote, Reply as Answered};
use inventory::config::{Discount, PromoConfig};
use inventory::promo::CODE_CHARS_MAX;
use inventory::view::EventView;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body;
use super::call::{Call, Reply};
use super::shop::{Subject, buyer_of, code_of, counted, items, lines, on_offer, render_type};
use crate::gate::Gate;
use crate::json::Fields;
use crate::money;
use crate::problem::{Code, Problem};

/// Digits after the point of a percentage in basis points.
const PERCENT_EXPONENT: u8 = 2;

/// `POST /promo-codes/validate`: nothing is taken, and nothing promised.
pub(super) async fn validate(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let mut fields = Fields::root(body::json(call)?)?;
    let id = fields.uuid("event");
    let code = fields.text("promo_code", 1, CODE_CHARS_MAX);
    let items = items(&mut fields, 0);
    let buyer = buyer_of(&mut fields);
    fields.finish()?;
    let event = on_offer(gate, id)?;
    let promo = code_of(id, Some(code));
    let priced = !items.is_empty();
    let request = HoldRequest { id: Uuid::nil(), items, buyer, promo, pass: None, key: None };
    let asked = counted(gate, &event, Command::Quote(request), Subject::Hold).await;
    let unknown = |problem: &Problem| problem.code == Code::UnknownPromo;
    if asked.as_ref().is_err_and(unknown) {
        // Somebody may be guessing.
        gate.attempts.refused(&gate.metrics, gate.now(), "promo_code", None);
    }
    match asked? {
        Answered::Quoted(Quote { lines: quoted, total, promo: Some(promo) }) => {
            let view = event.view();
            let mut body = render(gate, &view, &promo);
            if let Some(map) = body.as_object_mut().filter(|_| priced) {
                let (exponent, currency) = (view.config.exponent, &view.config.currency);
                map.insert("lines".to_owned(), lines(&view.config, &quoted).into());
                map.insert("total".to_owned(), money::render(total, exponent, currency));
            }
            Ok(Reply::json(200, &body).private())
        }
        _ => Err(Problem::internal("a quote was answered with something else")),
    }
}

fn render(gate: &Gate, view: &EventView, promo: &PromoConfig) -> Value {
    let config = &view.config;
    let money = |minor| money::render(minor, config.exponent, &config.currency);
    let (kind, percent, amount) = match promo.discount {
        None => ("access", None, None),
        Some(Discount::Percent { bp }) => {
            ("percent", Some(money::amount(i64::from(bp), PERCENT_EXPONENT)), None)
        }
        Some(Discount::AmountPerTicket { amount }) => {
            ("amount_per_ticket", None, Some(money(amount)))
        }
        Some(Discount::AmountPerOrder { amount }) => {
            ("amount_per_order", None, Some(money(amount)))
        }
        Some(Discount::FixedPrice { price }) => ("fixed_price", None, Some(money(price))),
    };
    let now = gate.now().max(view.now);
    let types = config.ticket_types.iter().filter(|t| t.active && promo.is_for(t));
    let types: Vec<Value> = types.map(|t| render_type(view, t, now)).collect();
    json!({
        "id": promo.id,
        "event": config.event,
        "kind": kind,
        "percent": percent,
        "amount": amount,
        "min_quantity": promo.min_quantity,
        "valid_until": promo.until,
        "ticket_types": types,
        "lines": null,
        "total": null,
    })
}
