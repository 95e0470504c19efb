//! Every door of the gate, in one table. The router, the OpenAPI document, metric labels and the
//! front proxy are all made from it; nothing answers that is not listed here.

use std::time::Duration;

mod check_in;

/// Largest body of a scan, in bytes; a credential is 154 characters.
pub const SCAN_BODY_BYTES_MAX: usize = 8 * 1024;
/// Most offline scans of one request, and its largest body in bytes.
pub const UPLOAD_SCANS_MAX: usize = 1_000;
pub const UPLOAD_BODY_BYTES_MAX: usize = 1 << 20;
/// Largest body of a shop request, in bytes.
pub const SHOP_BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest body of an internal request, in bytes.
pub const INTERNAL_BODY_BYTES_MAX: usize = 4 * 1024;
/// Longest time to read a request and answer it.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait that a feed's reader may ask for, in milliseconds.
pub const FEED_WAIT_MS_MAX: u64 = 30_000;
/// Longest time to answer a feed's reader.
pub const FEED_TIMEOUT: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Get,
    Post,
    Delete,
}

/// Where a route answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listener {
    /// Under `/api/v1` and `/api`.
    Public,
    /// The internal listener, path as it stands.
    Internal,
    /// Both listeners, path as it stands.
    Both,
}

/// What a request needs to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    None,
    /// `Authorization: Bearer <device token>`.
    Device,
    /// A device, or a person or program of the back office: `Authorization: Bearer <token>`.
    DeviceOrStaff,
    /// `Authorization: Order <secret>`; wrong = 404.
    Order,
    /// `Authorization: Bearer <journal token>`.
    Journal,
}

/// Which part of the house: decides roles, shedding and rate limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Scan,
    /// Many scans at once, which nobody waits for at a door.
    Upload,
    Shop,
    /// Figures for people; they may wait for the back office.
    Figures,
    Feed,
    System,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    GetEvent,
    GetSeats,
    GetQueue,
    JoinQueue,
    QueuePass,
    CreateHold,
    RenewHold,
    ValidatePromoCode,
    ReleaseHold,
    CreateOrder,
    GetOrder,
    CancelOrder,
    GetTicket,
    ReissueTicket,
    TicketSvg,
    TicketPng,
    Scan,
    ScanPassed,
    ScanNotPassed,
    AnnulScan,
    UploadScans,
    Evacuate,
    CheckInConflicts,
    CheckInStats,
    JournalHeads,
    JournalEntries,
    JournalAck,
    Audit,
    EraseKey,
    Health,
    Ready,
    Metrics,
    OpenApi,
}

/// A JSON body; `required` off = may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Body {
    pub schema: &'static str,
    pub bytes_max: usize,
    pub required: bool,
}

/// A query parameter: name, JSON type (`uuid`, `integer`), description, whether it has to be there.
pub type Parameter = (&'static str, &'static str, &'static str, bool);

/// A reply: status, description, schema of its JSON or media type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply(pub u16, pub &'static str, pub Content);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    Nothing,
    Json(&'static str),
    Media(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub operation: Operation,
    pub method: Method,
    /// Template without the API's prefix.
    pub path: &'static str,
    pub listener: Listener,
    pub class: Class,
    pub auth: Auth,
    pub summary: &'static str,
    pub query: &'static [Parameter],
    pub body: Option<Body>,
    /// Takes an `Idempotency-Key`.
    pub idempotent: bool,
    pub replies: &'static [Reply],
    /// Problem statuses beyond those that the door itself has.
    pub problems: &'static [u16],
}

/// Prefixes of the public API; the first is the canonical one.
pub const PREFIXES: [&str; 2] = ["/api/v1", "/api"];

impl Route {
    pub fn timeout(&self) -> Duration {
        if self.class == Class::Feed { FEED_TIMEOUT } else { REQUEST_TIMEOUT }
    }

    /// Full path templates, the canonical one first.
    pub fn paths(&self) -> Vec<String> {
        if self.listener == Listener::Public {
            PREFIXES.iter().map(|prefix| format!("{prefix}{}", self.path)).collect()
        } else {
            vec![self.path.to_owned()]
        }
    }
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

const EVENT: Parameter = ("event", "uuid", "The event", true);
const EVENT_OF_ORDER: Parameter =
    ("event", "uuid", "The event of an order that was not made in this shop", false);
const WAIT_MS: Parameter = ("wait_ms", "integer", "Wait so long for news, at most 30000", false);

const fn json(schema: &'static str, bytes_max: usize) -> Option<Body> {
    Some(Body { schema, bytes_max, required: true })
}

/// All doors.
pub static ROUTES: &[Route] = &ALL;

static ALL: [Route; OTHERS.len() + check_in::ROUTES.len()] = join(OTHERS, check_in::ROUTES);

/// One table after the other.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what would be out of bounds here does not compile"
)]
const fn join<const N: usize>(one: &[Route], other: &[Route]) -> [Route; N] {
    let mut all = [one[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < one.len() { one[at] } else { other[at - one.len()] };
        at += 1;
    }
    all
}

const OTHERS: &[Route] = &[
    Route {
        operation: Operation::GetQueue,
        method: Method::Get,
        path: "/shop/events/{id}/queue",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "Where the waiting room stands: the same for everybody, or for one entry",
        query: &[("entry", "string", "Tell where this entry stands too", false)],
        body: None,
        idempotent: false,
        replies: &[
            Reply(200, "The queue", Content::Json("Queue")),
            Reply(304, "Not changed", Content::Nothing),
        ],
        problems: &[404],
    },
    Route {
        operation: Operation::JoinQueue,
        method: Method::Post,
        path: "/shop/events/{id}/queue",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "Join the waiting room: one entry a buyer",
        query: &[],
        body: json("QueueRequest", SHOP_BODY_BYTES_MAX),
        idempotent: false,
        replies: &[Reply(201, "The entry", Content::Json("Queue"))],
        problems: &[404, 409],
    },
    Route {
        operation: Operation::QueuePass,
        method: Method::Post,
        path: "/shop/events/{id}/queue/pass",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "The pass of an entry that is admitted",
        query: &[],
        body: json("QueuePassRequest", SHOP_BODY_BYTES_MAX),
        idempotent: false,
        replies: &[Reply(200, "The pass", Content::Json("QueuePass"))],
        problems: &[404, 409],
    },
    Route {
        operation: Operation::GetSeats,
        method: Method::Get,
        path: "/shop/events/{id}/seats",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "The house: sections, rows, seats, and what is taken of them",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[
            Reply(200, "The house", Content::Json("SeatPlan")),
            Reply(304, "Not changed", Content::Nothing),
        ],
        problems: &[404],
    },
    Route {
        operation: Operation::GetEvent,
        method: Method::Get,
        path: "/shop/events/{id}",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "An event on sale: ticket types, prices, what is left",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[
            Reply(200, "The event", Content::Json("ShopEvent")),
            Reply(304, "Not changed", Content::Nothing),
        ],
        problems: &[404],
    },
    Route {
        operation: Operation::CreateHold,
        method: Method::Post,
        path: "/shop/holds",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "Hold tickets at a fixed price for a while",
        query: &[],
        body: json("HoldRequest", SHOP_BODY_BYTES_MAX),
        idempotent: true,
        replies: &[Reply(201, "The hold", Content::Json("Hold"))],
        problems: &[404, 409, 422],
    },
    Route {
        operation: Operation::ValidatePromoCode,
        method: Method::Post,
        path: "/promo-codes/validate",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "What a promo code is good for, and what items would cost with it",
        query: &[],
        body: json("PromoCodeRequest", SHOP_BODY_BYTES_MAX),
        idempotent: false,
        replies: &[Reply(200, "The code", Content::Json("PromoCode"))],
        problems: &[404, 409],
    },
    Route {
        operation: Operation::RenewHold,
        method: Method::Post,
        path: "/shop/holds/{id}/renew",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "Hold longer, up to the event's cap",
        query: &[],
        body: None,
        idempotent: true,
        replies: &[Reply(200, "The new end", Content::Json("HoldRenewal"))],
        problems: &[404, 409, 422],
    },
    Route {
        operation: Operation::ReleaseHold,
        method: Method::Delete,
        path: "/shop/holds/{id}",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "Give a hold back",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[Reply(204, "Released", Content::Nothing)],
        problems: &[404, 409],
    },
    Route {
        operation: Operation::CreateOrder,
        method: Method::Post,
        path: "/shop/orders",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::None,
        summary: "Order what is held; free and invoice orders confirm at once, card orders wait for payment",
        query: &[],
        body: json("OrderRequest", SHOP_BODY_BYTES_MAX),
        idempotent: true,
        replies: &[Reply(201, "The order with its secret and tickets", Content::Json("Order"))],
        problems: &[404, 409, 422],
    },
    Route {
        operation: Operation::GetOrder,
        method: Method::Get,
        path: "/shop/orders/{id}",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::Order,
        summary: "An order with its tickets",
        query: &[EVENT_OF_ORDER],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The order", Content::Json("Order"))],
        problems: &[404],
    },
    Route {
        operation: Operation::CancelOrder,
        method: Method::Post,
        path: "/shop/orders/{id}/cancel",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::Order,
        summary: "Cancel an order, whole or by position",
        query: &[EVENT_OF_ORDER],
        body: Some(Body {
            schema: "CancelRequest",
            bytes_max: SHOP_BODY_BYTES_MAX,
            required: false,
        }),
        idempotent: true,
        replies: &[Reply(200, "The order", Content::Json("Order"))],
        problems: &[404, 409, 422],
    },
    Route {
        operation: Operation::GetTicket,
        method: Method::Get,
        path: "/shop/tickets/{id}",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::Order,
        summary: "A ticket with its credential",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The ticket", Content::Json("Ticket"))],
        problems: &[404],
    },
    Route {
        operation: Operation::ReissueTicket,
        method: Method::Post,
        path: "/shop/tickets/{id}/reissue",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::Order,
        summary: "A new code for a ticket; the old one is no longer good",
        query: &[],
        body: None,
        idempotent: true,
        replies: &[Reply(200, "The ticket", Content::Json("Ticket"))],
        problems: &[404, 409, 422],
    },
    Route {
        operation: Operation::TicketSvg,
        method: Method::Get,
        path: "/shop/tickets/{id}/qr.svg",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::Order,
        summary: "The credential as QR code, SVG",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The code", Content::Media("image/svg+xml"))],
        problems: &[404, 409],
    },
    Route {
        operation: Operation::TicketPng,
        method: Method::Get,
        path: "/shop/tickets/{id}/qr.png",
        listener: Listener::Public,
        class: Class::Shop,
        auth: Auth::Order,
        summary: "The credential as QR code, PNG",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The code", Content::Media("image/png"))],
        problems: &[404, 409],
    },
    Route {
        operation: Operation::JournalHeads,
        method: Method::Get,
        path: "/internal/v1/journal/heads",
        listener: Listener::Internal,
        class: Class::Feed,
        auth: Auth::Journal,
        summary: "The ends of all journals",
        query: &[
            ("after_version", "integer", "Answer when a head has moved since this version", false),
            WAIT_MS,
        ],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The heads", Content::Json("JournalHeads"))],
        problems: &[],
    },
    Route {
        operation: Operation::JournalEntries,
        method: Method::Get,
        path: "/internal/v1/journal",
        listener: Listener::Internal,
        class: Class::Feed,
        auth: Auth::Journal,
        summary: "Entries of one event's journal, oldest first",
        query: &[
            EVENT,
            ("after", "integer", "Entries with a higher number; 0 for all", false),
            ("limit", "integer", "At most so many, up to 1000", false),
            WAIT_MS,
        ],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "A page", Content::Json("JournalPage"))],
        problems: &[404],
    },
    Route {
        operation: Operation::JournalAck,
        method: Method::Post,
        path: "/internal/v1/journal/ack",
        listener: Listener::Internal,
        class: Class::Feed,
        auth: Auth::Journal,
        summary: "Say how far a consumer has stored a journal",
        query: &[],
        body: json("JournalAck", INTERNAL_BODY_BYTES_MAX),
        idempotent: false,
        replies: &[Reply(204, "Noted", Content::Nothing)],
        problems: &[404, 409],
    },
    Route {
        operation: Operation::Audit,
        method: Method::Get,
        path: "/internal/v1/audit",
        listener: Listener::Internal,
        class: Class::Feed,
        auth: Auth::Journal,
        summary: "An event's quotas and whether they balance",
        query: &[EVENT],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The audit", Content::Json("Audit"))],
        problems: &[404],
    },
    Route {
        operation: Operation::EraseKey,
        method: Method::Post,
        path: "/internal/v1/erasures",
        listener: Listener::Internal,
        class: Class::Feed,
        auth: Auth::Journal,
        summary: "Erase the key of an order's personal data",
        query: &[],
        body: json("Erasure", INTERNAL_BODY_BYTES_MAX),
        idempotent: false,
        replies: &[Reply(204, "Erased", Content::Nothing)],
        problems: &[404],
    },
    Route {
        operation: Operation::Health,
        method: Method::Get,
        path: "/health",
        listener: Listener::Both,
        class: Class::System,
        auth: Auth::None,
        summary: "The process is alive",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "Alive", Content::Json("Health"))],
        problems: &[],
    },
    Route {
        operation: Operation::Ready,
        method: Method::Get,
        path: "/ready",
        listener: Listener::Both,
        class: Class::System,
        auth: Auth::None,
        summary: "The gate can decide; otherwise what is missing",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[
            Reply(200, "Ready", Content::Json("Readiness")),
            Reply(503, "Not ready", Content::Json("Readiness")),
        ],
        problems: &[],
    },
    Route {
        operation: Operation::Metrics,
        method: Method::Get,
        path: "/metrics",
        listener: Listener::Both,
        class: Class::System,
        auth: Auth::None,
        summary: "Figures for Prometheus (OpenMetrics text)",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The figures", Content::Media("application/openmetrics-text"))],
        problems: &[],
    },
    Route {
        operation: Operation::OpenApi,
        method: Method::Get,
        path: "/openapi.json",
        listener: Listener::Both,
        class: Class::System,
        auth: Auth::None,
        summary: "This interface, as OpenAPI 3.1",
        query: &[],
        body: None,
        idempotent: false,
        replies: &[Reply(200, "The document", Content::Media("application/json"))],
        problems: &[],
    },
];
