//! Who asks. Tokens are compared in constant time and never appear anywhere; what is refused is
//! counted and sampled.

use axum::http::header;

use super::call::{Call, Caller};
use crate::gate::Gate;
use crate::issue::ORDER_SECRET_CHARS;
use crate::problem::{Code, Problem};
use crate::routes::Auth;

/// The caller, as the route demands one.
pub(super) fn caller(gate: &Gate, call: &Call) -> Result<Caller, Problem> {
    match call.route.auth {
        Auth::None => Ok(Caller::Anyone),
        Auth::Device => device(gate, call),
        Auth::DeviceOrStaff => device_or_staff(gate, call),
        Auth::Journal => back_office(gate, call),
        Auth::Order => order(call),
    }
}

fn device(gate: &Gate, call: &Call) -> Result<Caller, Problem> {
    let found =
        credentials(call, "Bearer").and_then(|token| gate.devices.authenticate(token, gate.now()));
    found.map(Caller::Device).ok_or_else(|| unauthorized(gate, "device_token"))
}

/// A token that is no device's may be a person's: the operation asks the back office, because only
/// it knows for which organization.
fn device_or_staff(gate: &Gate, call: &Call) -> Result<Caller, Problem> {
    let token = credentials(call, "Bearer").ok_or_else(|| unauthorized(gate, "no_token"))?;
    Ok(match gate.devices.authenticate(token, gate.now()) {
        Some(device) => Caller::Device(device),
        None => Caller::Staff(token.to_owned()),
    })
}

fn back_office(gate: &Gate, call: &Call) -> Result<Caller, Problem> {
    match credentials(call, "Bearer") {
        Some(token) if gate.journal_token.matches(token) => Ok(Caller::BackOffice),
        _ => Err(unauthorized(gate, "journal_token")),
    }
}

/// An order's secret is compared where the order is known; without one the order is not there.
fn order(call: &Call) -> Result<Caller, Problem> {
    credentials(call, "Order")
        .filter(|secret| secret.len() == ORDER_SECRET_CHARS)
        .map(|secret| Caller::Order(secret.to_owned()))
        .ok_or_else(|| Problem::new(Code::NotFound, "not found, or the order's secret is wrong"))
}

pub(super) fn unauthorized(gate: &Gate, what: &'static str) -> Problem {
    gate.attempts.refused(&gate.metrics, gate.now(), what, None);
    Problem::new(Code::Unauthorized, "send Authorization: Bearer with a live token")
}

/// Credentials of this scheme (RFC 9110, 11.4; the scheme's case does not matter).
fn credentials<'a>(call: &'a Call, scheme: &str) -> Option<&'a str> {
    let value = call.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (sent, credentials) = value.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}
