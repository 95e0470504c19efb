//! A value on its way into SQL: typed, never text inside a statement.

use bytes::BytesMut;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::Value;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Param {
    Null,
    Text(String),
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Date(Date),
    Instant(Timestamp),
    Uuid(Uuid),
    Json(Value),
    Bytes(Vec<u8>),
    List(Vec<Param>),
}

/// A parameter with the type that the server is told.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) value: Param,
    pub(crate) ty: Type,
}

impl Bound {
    pub(crate) fn uuid(id: Uuid) -> Self {
        Self { value: Param::Uuid(id), ty: Type::UUID }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self { value: Param::Text(text.to_owned()), ty: Type::TEXT }
    }

    pub(crate) fn texts(texts: &[&str]) -> Self {
        let texts = texts.iter().map(|text| Param::Text((*text).to_owned())).collect();
        Self { value: Param::List(texts), ty: Type::TEXT_ARRAY }
    }

    pub(crate) fn json(value: Value) -> Self {
        Self { value: Param::Json(value), ty: Type::JSONB }
    }

    pub(crate) fn int(number: i64) -> Self {
        Self { value: Param::Int(number), ty: Type::INT8 }
    }
}

impl ToSql for Param {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Bool(value) => value.to_sql(ty, out),
            Self::Int(number) => number.to_sql(ty, out),
            Self::Decimal(number) => number.to_sql(ty, out),
            Self::Date(date) => date.to_sql(ty, out),
            Self::Instant(at) => at.to_sql(ty, out),
            Self::Uuid(id) => id.to_sql(ty, out),
            Self::Json(value) => value.to_sql(ty, out),
            Self::Bytes(bytes) => bytes.to_sql(ty, out),
            Self::List(items) => items.to_sql(ty, out),
        }
    }

    // The engine pairs every value with its kind's type; the server checks again.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
