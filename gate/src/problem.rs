//! Every error the gate answers with, in one table: code, status, title (RFC 9457). What the
//! caller reads (`detail`) and what only the log may hold (`context`) are kept apart.

use inventory::command::{Constraint, Refusal, RefusalCode};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    MalformedJson,
    InvalidBody,
    InvalidQuery,
    InvalidHeader,
    Unauthorized,
    LaneNotAssigned,
    ZoneNotAssigned,
    DirectionNotAssigned,
    ForceNotAllowed,
    EvacuationNotAllowed,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    BodyTooLarge,
    UnsupportedMediaType,
    RateLimited,
    Overloaded,
    StoreUnavailable,
    BackOfficeUnavailable,
    KeysUnavailable,
    Internal,
    HashMismatch,
    SoldOut,
    LimitReached,
    SaleClosed,
    HoldExpired,
    UnknownHold,
    UnknownOrder,
    UnknownTicket,
    UnknownTicketType,
    UnknownEvent,
    KeyReused,
    PaymentNotAccepted,
    AlreadyCanceled,
    AttendeesMismatch,
    NotAdmitted,
    TicketUsed,
    IdTaken,
    CatalogueConflict,
    UnknownScan,
    UnknownZone,
    UnknownSeat,
    SeatTaken,
    SeatUnit,
    NoQueue,
    QueueWait,
    QueuePass,
    AlreadySettled,
    NotAnnullable,
    UnknownPromo,
    PromoNotApplicable,
    PromoExhausted,
    BuyerRequired,
}

impl Code {
    pub const ALL: &'static [Self] = &[
        Self::MalformedJson,
        Self::InvalidBody,
        Self::InvalidQuery,
        Self::InvalidHeader,
        Self::Unauthorized,
        Self::LaneNotAssigned,
        Self::ZoneNotAssigned,
        Self::DirectionNotAssigned,
        Self::ForceNotAllowed,
        Self::EvacuationNotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::Overloaded,
        Self::StoreUnavailable,
        Self::BackOfficeUnavailable,
        Self::KeysUnavailable,
        Self::Internal,
        Self::HashMismatch,
        Self::SoldOut,
        Self::LimitReached,
        Self::SaleClosed,
        Self::HoldExpired,
        Self::UnknownHold,
        Self::UnknownOrder,
        Self::UnknownTicket,
        Self::UnknownTicketType,
        Self::UnknownEvent,
        Self::KeyReused,
        Self::PaymentNotAccepted,
        Self::AlreadyCanceled,
        Self::AttendeesMismatch,
        Self::NotAdmitted,
        Self::TicketUsed,
        Self::IdTaken,
        Self::CatalogueConflict,
        Self::UnknownScan,
        Self::UnknownZone,
        Self::UnknownSeat,
        Self::SeatTaken,
        Self::SeatUnit,
        Self::NoQueue,
        Self::QueueWait,
        Self::QueuePass,
        Self::AlreadySettled,
        Self::NotAnnullable,
        Self::UnknownPromo,
        Self::PromoNotApplicable,
        Self::PromoExhausted,
        Self::BuyerRequired,
    ];

    /// The table: wire code, status, title.
    #[expect(clippy::too_many_lines, reason = "a table, one row a code")]
    pub fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::MalformedJson => ("malformed_json", 400, "The body is not JSON"),
            Self::InvalidBody => ("invalid_body", 400, "The body has invalid fields"),
            Self::InvalidQuery => ("invalid_query", 400, "The query has invalid parameters"),
            Self::InvalidHeader => ("invalid_header", 400, "A header is invalid"),
            Self::Unauthorized => ("unauthorized", 401, "Credentials are missing or not known"),
            Self::LaneNotAssigned => ("lane_not_assigned", 403, "Not this device's lane"),
            Self::ZoneNotAssigned => ("zone_not_assigned", 403, "Not this device's zone"),
            Self::DirectionNotAssigned => {
                ("direction_not_assigned", 403, "Not this device's direction")
            }
            Self::ForceNotAllowed => ("force_not_allowed", 403, "The device may not force"),
            Self::EvacuationNotAllowed => {
                ("evacuation_not_allowed", 403, "The device may not evacuate")
            }
            Self::NotFound => ("not_found", 404, "Not found"),
            Self::MethodNotAllowed => ("method_not_allowed", 405, "Method not allowed"),
            Self::RequestTimeout => ("request_timeout", 408, "The request took too long"),
            Self::BodyTooLarge => ("body_too_large", 413, "The body is too large"),
            Self::UnsupportedMediaType => {
                ("unsupported_media_type", 415, "The body must be application/json")
            }
            Self::RateLimited => ("rate_limited", 429, "Too many requests"),
            Self::Overloaded => ("overloaded", 503, "The gate is busy"),
            Self::StoreUnavailable => ("store_unavailable", 503, "The store does not answer"),
            Self::BackOfficeUnavailable => {
                ("back_office_unavailable", 503, "The back office does not answer")
            }
            Self::KeysUnavailable => ("keys_unavailable", 503, "The event has no usable key"),
            Self::Internal => ("internal", 500, "Something went wrong here"),
            Self::HashMismatch => ("hash_mismatch", 409, "The journal has another hash there"),
            Self::SoldOut => ("sold_out", 409, "Sold out"),
            Self::LimitReached => ("limit_reached", 409, "A limit is reached"),
            Self::SaleClosed => ("sale_closed", 409, "Not on sale"),
            Self::HoldExpired => ("hold_expired", 409, "The hold has expired"),
            Self::UnknownHold => ("unknown_hold", 404, "No such hold"),
            Self::UnknownOrder => ("unknown_order", 404, "No such order"),
            Self::UnknownTicket => ("unknown_ticket", 404, "No such ticket"),
            Self::UnknownTicketType => ("unknown_ticket_type", 404, "No such ticket type"),
            Self::UnknownEvent => ("unknown_event", 404, "No such event"),
            Self::KeyReused => ("key_reused", 422, "The idempotency key was used for another body"),
            Self::PaymentNotAccepted => {
                ("payment_not_accepted", 409, "The payment method is not accepted")
            }
            Self::AlreadyCanceled => ("already_canceled", 409, "Already canceled"),
            Self::AttendeesMismatch => {
                ("attendees_mismatch", 400, "Attendees and tickets do not match")
            }
            Self::NotAdmitted => ("not_admitted", 409, "Not admitted"),
            Self::TicketUsed => ("ticket_used", 409, "The ticket was used"),
            Self::IdTaken => ("id_taken", 409, "The id names another one already"),
            Self::CatalogueConflict => {
                ("catalogue_conflict", 409, "The configuration contradicts the event")
            }
            Self::UnknownPromo => ("unknown_promo", 404, "No such promo code"),
            Self::PromoNotApplicable => {
                ("promo_not_applicable", 409, "The promo code is not for this")
            }
            Self::PromoExhausted => ("promo_exhausted", 409, "The promo code is used up"),
            Self::BuyerRequired => {
                ("buyer_required", 400, "The buyer's e-mail address is needed for this")
            }
            Self::UnknownScan => ("unknown_scan", 404, "No such scan of this device"),
            Self::UnknownZone => ("unknown_zone", 404, "No such zone"),
            Self::UnknownSeat => ("unknown_seat", 404, "No such seat for this ticket type"),
            Self::SeatTaken => ("seat_taken", 409, "The seat is taken"),
            Self::SeatUnit => ("seat_unit", 409, "Seats that are taken together only"),
            Self::NoQueue => ("no_queue", 409, "No waiting room is open"),
            Self::QueueWait => ("queue_wait", 409, "Not admitted yet"),
            Self::QueuePass => ("queue_pass", 409, "A pass of the waiting room is needed"),
            Self::AlreadySettled => ("already_settled", 409, "The reservation ended otherwise"),
            Self::NotAnnullable => {
                ("not_annullable", 409, "Only admissions of the last 15 minutes are taken back")
            }
        }
    }

    pub fn wire(self) -> &'static str {
        self.row().0
    }

    /// Identifies the problem type; relative to the API's origin (RFC 9457, 3.1.1).
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.wire().replace('_', "-"))
    }

    pub fn status(self) -> u16 {
        self.row().1
    }

    pub fn title(self) -> &'static str {
        self.row().2
    }
}

/// One field that was refused: where, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// Path in the body: `items[0].quantity`.
    pub field: String,
    /// `required`, `type`, `unknown`, `range`, `format`, `duplicate`.
    pub code: &'static str,
    pub message: String,
}

#[derive(Clone, Debug)]
pub struct Problem {
    pub code: Code,
    /// For the caller. Never personal data, credentials or internals.
    pub detail: String,
    pub errors: Vec<FieldError>,
    pub constraint: Option<Box<Constraint>>,
    pub retry_after_s: Option<u64>,
    /// For the log only.
    pub context: Option<Box<str>>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            constraint: None,
            retry_after_s: None,
            context: None,
        }
    }

    /// Invalid input in one place.
    pub fn field(code: Code, field: &str, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = FieldError { field: field.to_owned(), code: kind, message: message.clone() };
        Self { errors: vec![error], ..Self::new(code, format!("{field}: {message}")) }
    }

    /// A fault of ours: the caller learns only that there was one.
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(Code::Internal, "an internal error; the request id finds it in the log")
            .with_context(context)
    }

    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into().into_boxed_str());
        self
    }

    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Members of the `application/problem+json` document.
    pub fn body(&self, request_id: Uuid) -> Value {
        let (code, status, title) = self.code.row();
        let errors: Vec<Value> = self
            .errors
            .iter()
            .map(|e| json!({"field": e.field, "code": e.code, "message": e.message}))
            .collect();
        let mut body = json!({
            "type": self.code.type_uri(),
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": code,
            "errors": errors,
            "request_id": request_id,
        });
        if let (Some(constraint), Some(map)) = (&self.constraint, body.as_object_mut()) {
            map.insert(
                "constraint".to_owned(),
                json!({"kind": constraint.kind, "id": constraint.id}),
            );
        }
        body
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code {
            RefusalCode::SoldOut => Code::SoldOut,
            RefusalCode::LimitReached => Code::LimitReached,
            RefusalCode::SaleClosed => Code::SaleClosed,
            RefusalCode::HoldExpired => Code::HoldExpired,
            RefusalCode::UnknownHold => Code::UnknownHold,
            RefusalCode::UnknownOrder => Code::UnknownOrder,
            RefusalCode::UnknownTicket => Code::UnknownTicket,
            RefusalCode::UnknownTicketType => Code::UnknownTicketType,
            RefusalCode::KeyReused => Code::KeyReused,
            RefusalCode::PaymentNotAccepted => Code::PaymentNotAccepted,
            RefusalCode::AlreadyCanceled => Code::AlreadyCanceled,
            RefusalCode::AttendeesMismatch => Code::AttendeesMismatch,
            RefusalCode::NotAdmitted => Code::NotAdmitted,
            RefusalCode::UnknownEvent => Code::UnknownEvent,
            RefusalCode::TicketUsed => Code::TicketUsed,
            RefusalCode::IdTaken => Code::IdTaken,
            RefusalCode::CatalogueConflict => Code::CatalogueConflict,
            RefusalCode::UnknownScan => Code::UnknownScan,
            RefusalCode::UnknownZone => Code::UnknownZone,
            RefusalCode::UnknownSeat => Code::UnknownSeat,
            RefusalCode::SeatTaken => Code::SeatTaken,
            RefusalCode::SeatUnit => Code::SeatUnit,
            RefusalCode::NoQueue => Code::NoQueue,
            RefusalCode::QueueWait => Code::QueueWait,
            RefusalCode::QueuePass => Code::QueuePass,
            RefusalCode::AlreadySettled => Code::AlreadySettled,
            RefusalCode::NotAnnullable => Code::NotAnnullable,
            RefusalCode::UnknownPromo => Code::UnknownPromo,
            RefusalCode::PromoNotApplicable => Code::PromoNotApplicable,
            RefusalCode::PromoExhausted => Code::PromoExhausted,
            RefusalCode::BuyerRequired => Code::BuyerRequired,
        };
        let detail = match &refusal.constraint {
            Some(constraint) => {
                format!("{} ({} {})", code.title(), constraint.kind, constraint.id)
            }
            None => code.title().to_owned(),
        };
        Self { constraint: refusal.constraint.map(Box::new), ..Self::new(code, detail) }
    }
}
