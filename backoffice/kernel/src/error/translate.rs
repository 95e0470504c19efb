//! The database's errors in our words: constraints by name through the registry, the rest by
//! SQLSTATE. Message texts of the database are never shown to callers: they may hold values.

use tokio_postgres::error::SqlState;

use super::{Code, Error};
use crate::registry::{Meaning, Registry};

/// Where the database refuses a new row for a policy's sake.
const POLICY_CHECK: &str = "ExecWithCheckOptions";

/// Translates; with a registry, constraint names become the codes that descriptors give them.
#[track_caller]
pub(crate) fn from_database(registry: Option<&Registry>, cause: &tokio_postgres::Error) -> Error {
    let Some(db) = cause.as_db_error() else {
        let io = std::error::Error::source(cause).is_some_and(|inner| inner.is::<std::io::Error>());
        let code = if cause.is_closed() || io { Code::Unavailable } else { Code::Internal };
        return Error::new(code, "the database did not answer").with_context(cause.to_string());
    };
    let state = db.code();
    let context = format!(
        "SQLSTATE {} constraint {:?} table {:?} column {:?} routine {:?}",
        state.code(),
        db.constraint(),
        db.table(),
        db.column(),
        db.routine()
    );
    let meaning = registry.zip(db.constraint()).and_then(|(all, name)| all.meaning(name));
    let error = match meaning {
        Some(Meaning { code, field: Some(field) }) => Error::field(code, field, code.title()),
        // A trigger names the column that it refuses.
        Some(Meaning { code, field: None }) => match db.column() {
            Some(field) => Error::field(code, field, code.title()),
            None => Error::new(code, code.title()),
        },
        // A policy that is narrower than the rights: the row would leave its writer's sight. The same
        // state with another routine is a grant that we forgot, and ours to mend.
        None if *state == SqlState::INSUFFICIENT_PRIVILEGE
            && db.routine() == Some(POLICY_CHECK) =>
        {
            Error::new(Code::Forbidden, "the row would be out of the caller's reach")
        }
        None => by_state(state, db.column()),
    };
    // Classes 22 (data) and 23 (integrity) quote values in their messages: keep those out.
    let quotes_values = state.code().starts_with("22") || state.code().starts_with("23");
    if quotes_values {
        return error.with_context(context);
    }
    error.with_context(context).with_context(db.message().to_owned())
}

#[track_caller]
fn by_state(state: &SqlState, column: Option<&str>) -> Error {
    if *state == SqlState::T_R_SERIALIZATION_FAILURE || *state == SqlState::T_R_DEADLOCK_DETECTED {
        return Error::new(Code::Conflict, "it was changed at the same time; try again")
            .retryable();
    }
    if *state == SqlState::UNIQUE_VIOLATION {
        return Error::new(Code::AlreadyExists, "something with this key exists already");
    }
    if *state == SqlState::FOREIGN_KEY_VIOLATION {
        return Error::new(Code::UnknownReference, "what a field refers to does not exist");
    }
    if *state == SqlState::NOT_NULL_VIOLATION {
        return Error::field(Code::Required, column.unwrap_or("?"), "a value is required");
    }
    if *state == SqlState::CHECK_VIOLATION || *state == SqlState::EXCLUSION_VIOLATION {
        return Error::new(Code::InvalidValue, "a rule of the table refuses these values");
    }
    if *state == SqlState::NUMERIC_VALUE_OUT_OF_RANGE {
        return Error::new(Code::OutOfRange, "a number is out of range");
    }
    if *state == SqlState::QUERY_CANCELED || *state == SqlState::LOCK_NOT_AVAILABLE {
        return Error::new(Code::TimedOut, "the database took too long");
    }
    // Data exceptions: what was given does not fit where it is used. Never the server's fault.
    if state.code().starts_with("22") {
        return Error::new(Code::InvalidValue, "a value cannot be used as it was given");
    }
    // `demand_released` says it.
    if state.code() == "AT001" {
        return Error::new(Code::Unavailable, "the database is held: no work is done on it");
    }
    if state.code().starts_with("08") || state.code().starts_with("57P") {
        return Error::new(Code::Unavailable, "the database is not reachable");
    }
    Error::new(Code::Internal, "an internal error happened")
}
