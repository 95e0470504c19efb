//! One table of error codes, and the error that carries one. What the caller may read (detail,
//! faults) and what only the log may say (context) are kept apart. Knows no HTTP framework.

mod table;
mod translate;

use std::fmt;
use std::panic::Location;

use serde_json::{Value, json};
use uuid::Uuid;

pub use table::Code;
pub(crate) use translate::from_database;

pub type Result<T> = std::result::Result<T, Error>;

/// A refusal or failure: code, what the caller reads, what the log reads. One pointer wide.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    detail: String,
    faults: Vec<Fault>,
    context: Vec<String>,
    location: &'static Location<'static>,
    /// The database asks to run the transaction again (SQLSTATE 40001, 40P01).
    retry: bool,
    /// Seconds for `Retry-After`.
    retry_after_s: Option<u32>,
    /// Methods for `Allow`, with 405.
    allow: Vec<&'static str>,
}

/// Faults that one answer tells: a body of faults must not make an answer many times its size.
pub const FAULTS_MAX: usize = 100;

/// One fault of an input: dotted field path, code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub field: String,
    pub code: Code,
    pub message: String,
}

impl Fault {
    pub fn new(field: impl Into<String>, code: Code, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

impl Error {
    #[track_caller]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            faults: Vec::new(),
            context: Vec::new(),
            location: Location::caller(),
            retry: false,
            retry_after_s: None,
            allow: Vec::new(),
        }))
    }

    /// One field is at fault.
    #[track_caller]
    pub fn field(code: Code, path: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut error = Self::new(code, detail.clone());
        error.0.faults.push(Fault::new(path, code, detail));
        error
    }

    /// The faults of an input at once, up to a bound; `faults` is not empty.
    #[track_caller]
    pub fn faults(mut faults: Vec<Fault>) -> Self {
        faults.truncate(FAULTS_MAX);
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let detail = format!("these fields are not acceptable: {}", fields.join(", "));
        let mut error = Self::new(Code::ValidationFailed, detail);
        error.0.faults = faults;
        error
    }

    /// Several fields are at fault for one reason; `faults` is not empty.
    #[track_caller]
    pub(crate) fn fields(code: Code, mut faults: Vec<Fault>) -> Self {
        faults.truncate(FAULTS_MAX);
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let mut error = Self::new(code, format!("{}: {}", code.title(), fields.join(", ")));
        error.0.faults = faults;
        error
    }

    /// One refusal for reasons that each have a sentence of their own; `faults` is not empty.
    #[track_caller]
    pub(crate) fn refusals(code: Code, detail: String, mut faults: Vec<Fault>) -> Self {
        faults.truncate(FAULTS_MAX);
        let mut error = Self::new(code, detail);
        error.0.faults = faults;
        error
    }

    /// The same refusal, told of the parameter that named the field.
    #[must_use]
    pub(crate) fn at(mut self, path: &str) -> Self {
        for fault in &mut self.0.faults {
            path.clone_into(&mut fault.field);
        }
        self
    }

    /// The same refusal with its faults below a path.
    #[must_use]
    pub(crate) fn below(mut self, path: &str) -> Self {
        for fault in &mut self.0.faults {
            fault.field = format!("{path}.{}", fault.field);
        }
        self
    }

    /// Links to what is not there; `faults` is not empty.
    #[track_caller]
    pub(crate) fn unknown_references(faults: Vec<Fault>) -> Self {
        let mut error = Self::new(Code::UnknownReference, Code::UnknownReference.title());
        error.0.faults = faults;
        error
    }

    /// Our own failure: the caller reads only that, the log reads `context`.
    #[track_caller]
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(Code::Internal, "an internal error happened").with_context(context)
    }

    #[track_caller]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// Adds a sentence for the log.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.context.push(context.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    #[must_use]
    pub(crate) fn allow(mut self, methods: Vec<&'static str>) -> Self {
        self.0.allow = methods;
        self
    }

    pub(crate) fn allowed(&self) -> &[&'static str] {
        &self.0.allow
    }

    #[must_use]
    pub(crate) fn retryable(mut self) -> Self {
        self.0.retry = true;
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub fn list(&self) -> &[Fault] {
        &self.0.faults
    }

    pub fn is_retryable(&self) -> bool {
        self.0.retry
    }

    pub fn retry_after_s(&self) -> Option<u32> {
        self.0.retry_after_s
    }

    /// For the log, never for the caller.
    pub fn log_text(&self) -> String {
        let at = self.0.location;
        let context = self.0.context.join("; ");
        format!("{} at {}:{}: {context}", self.0.code.name(), at.file(), at.line())
    }

    /// RFC 9457 problem details with the extension members `code`, `errors` and `request_id`.
    pub fn problem(&self, request_id: Uuid) -> Value {
        let code = self.code();
        let errors: Vec<Value> = self
            .list()
            .iter()
            .map(|fault| {
                json!({"field": fault.field, "code": fault.code.name(), "message": fault.message})
            })
            .collect();
        json!({
            "type": code.type_uri(),
            "title": code.title(),
            "status": code.status(),
            "detail": self.detail(),
            "code": code.name(),
            "errors": errors,
            "request_id": request_id,
        })
    }
}

impl fmt::Display for Error {
    /// What the caller may read; the context is left out on purpose.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.name(), self.0.detail)?;
        for fault in &self.0.faults {
            write!(f, "; {} ({}): {}", fault.field, fault.code.name(), fault.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{}]", self.log_text())
    }
}

impl std::error::Error for Error {}

impl From<tokio_postgres::Error> for Error {
    /// Without the registry a constraint has no meaning: `Cx` translates those itself.
    #[track_caller]
    fn from(cause: tokio_postgres::Error) -> Self {
        from_database(None, &cause)
    }
}

#[cfg(test)]
mod tests;
