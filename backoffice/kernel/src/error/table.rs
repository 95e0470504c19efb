//! The table: code, status, wire name, title. Sorted by status, then by name; wire names never
//! change once released.

macro_rules! codes {
    ($($variant:ident $status:literal $name:literal $title:literal,)+) => {
        /// What went wrong, as a stable name with an HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($variant,)+ }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)+ }
            }

            /// Name on the wire: member `code`.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)+ }
            }

            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    InvalidCursor            400 "invalid_cursor"            "The cursor is not one of this list",
    InvalidFilter            400 "invalid_filter"            "A filter cannot be applied",
    InvalidId                400 "invalid_id"                "An id is not a UUID",
    InvalidRequest           400 "invalid_request"           "The request cannot be understood",
    InvalidSort              400 "invalid_sort"              "The list cannot be sorted so",
    MalformedCsv             400 "malformed_csv"             "The file is not the CSV that was expected",
    MalformedJson            400 "malformed_json"            "The body is not the JSON that was expected",
    UnknownParameter         400 "unknown_parameter"         "A query parameter is unknown",
    InvalidCredentials       401 "invalid_credentials"       "The e-mail address or the password is wrong",
    Unauthenticated          401 "unauthenticated"           "Sign in or send a valid token",
    CrossSite                403 "cross_site"                "The request came from another site",
    FieldNotPermitted        403 "field_not_permitted"       "The caller may not read or write the field",
    Forbidden                403 "forbidden"                 "The caller may not do this",
    OrganizationRequired     403 "organization_required"     "Say for which organization",
    PlanRequired             403 "plan_required"             "The organization's plan does not hold this",
    NotFound                 404 "not_found"                 "There is no such thing here",
    MethodNotAllowed         405 "method_not_allowed"        "The method is not allowed here",
    NotAcceptable            406 "not_acceptable"            "No form of the answer suits the caller",
    RequestTimeout           408 "request_timeout"           "The request did not arrive in time",
    AlreadyExists            409 "already_exists"            "Something with this key exists already",
    AlreadyUsed              409 "already_used"              "It was used already",
    Canceled                 409 "canceled"                  "It was canceled",
    Conflict                 409 "conflict"                  "It does not fit the present state",
    InUse                    409 "in_use"                    "Something else still refers to it",
    InvalidTransition        409 "invalid_transition"        "The present state does not allow this",
    LastOwner                409 "last_owner"                "An organization keeps an owner",
    LeaveOverlaps            409 "leave_overlaps"            "The leave overlaps another",
    LimitReached             409 "limit_reached"             "A limit does not allow so many",
    NotAdmitted              409 "not_admitted"              "The rules of admission refuse it",
    NotReady                 409 "not_ready"                 "Something is missing before this can be done",
    NothingToRefund          409 "nothing_to_refund"         "There is no payment to refund",
    SoldOut                  409 "sold_out"                  "There is not enough left",
    VersionMismatch          412 "version_mismatch"          "It was changed since it was read",
    BodyTooLarge             413 "body_too_large"            "The body is too large",
    UriTooLong               414 "uri_too_long"              "Path and query are too long",
    UnsupportedMediaType     415 "unsupported_media_type"    "The body must be application/json",
    BulkRefused              422 "bulk_refused"              "Some operations were refused; nothing was changed",
    Cycle                    422 "cycle"                     "A row cannot stand above itself",
    Duplicate                422 "duplicate"                 "A value stands there twice",
    IdempotencyKeyReused     422 "idempotency_key_reused"    "The idempotency key was used for another request",
    Immutable                422 "immutable"                 "The field cannot be changed",
    InvalidFormat            422 "invalid_format"            "The value does not have the right form",
    InvalidValue             422 "invalid_value"             "The value is not acceptable",
    MailRefused              422 "mail_refused"              "The mail server refuses the mail for good",
    NotAnOption              422 "not_an_option"             "The value is not one of the options",
    OutOfRange               422 "out_of_range"              "The value is out of range",
    Required                 422 "required"                  "A value is required",
    TooLong                  422 "too_long"                  "The value is too long",
    UnknownField             422 "unknown_field"             "There is no such field",
    UnknownReference         422 "unknown_reference"         "What the field refers to does not exist",
    ValidationFailed         422 "validation_failed"         "Some fields are not acceptable",
    WrongType                422 "wrong_type"                "The value has the wrong JSON type",
    TooManyRequests          429 "too_many_requests"         "Too many requests",
    HeadersTooLarge          431 "headers_too_large"         "The headers are too large",
    Internal                 500 "internal"                  "An internal error happened",
    Overloaded               503 "overloaded"                "The service is busy",
    Unavailable              503 "unavailable"               "Something that is needed is not reachable",
    TimedOut                 504 "timed_out"                 "It took too long",
}

impl Code {
    /// Identifies the problem type; relative to the API's origin (RFC 9457, 3.1.1).
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.name().replace('_', "-"))
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}
