//! What the values of a test mean for a kind: typed by the kind's own reader, with the words that
//! stand for a moment or for the caller.

use serde_json::Value;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Check, Moment, Operator, VALUES_MAX};
use crate::engine::is_amount;
use crate::entity::Kind;
use crate::kind;
use crate::param::{Bound, Param};

/// Characters of a text that a column is compared with.
const TEXT_CHARS_MAX: u32 = 300;
/// The caller, in links to people.
const ME: &str = "me";
const USERS: &str = "accounts.users";

/// A value before its kind is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    One(String),
    Many(Vec<String>),
    /// JSON's null; a query parameter cannot say it.
    Null,
}

/// A JSON value as the words that a query parameter would hold.
pub(super) fn words(value: &Value) -> Option<Given> {
    match value {
        Value::Null => Some(Given::Null),
        Value::Array(items) => items.iter().map(word).collect::<Option<_>>().map(Given::Many),
        Value::Object(parts) => {
            let part = |name: &str| parts.get(name)?.as_str().map(str::to_owned);
            let money = parts.len() == 2;
            money.then_some(())?;
            Some(Given::Many(vec![part("amount")?, part("currency")?]))
        }
        other => word(other).map(Given::One),
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Numbers are numbers and truths truths; everything may be said as text.
pub(super) fn fits(kind: Kind, value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| fits(kind, item)),
        Value::Number(_) => matches!(kind::pg_type(kind), Type::INT8 | Type::NUMERIC),
        Value::Bool(_) => kind == Kind::Bool,
        Value::String(_) | Value::Null => true,
        Value::Object(_) => is_amount(kind),
    }
}

type Read<T> = Result<T, String>;

/// What a word means in a column.
pub(super) struct Meaning<'a> {
    pub(super) kind: Kind,
    pub(super) moment: &'a Moment,
    /// The person who asks.
    pub(super) me: Option<Uuid>,
}

impl Meaning<'_> {
    /// The check, and whether it is meant negated.
    pub(super) fn check(&self, operator: Operator, given: &Given) -> Read<(Check, bool)> {
        if is_amount(self.kind) && operator != Operator::Null {
            return self.money(operator, given);
        }
        let plain = |check| Ok((check, false));
        match operator {
            Operator::Eq => plain(self.compare("=", given)?),
            Operator::Ne => Ok((self.compare("=", given)?, true)),
            Operator::Gt => plain(self.compare(">", given)?),
            Operator::Gte => plain(self.compare(">=", given)?),
            Operator::Lt => plain(self.compare("<", given)?),
            Operator::Lte => plain(self.compare("<=", given)?),
            Operator::Between => match self.values(given)?.as_slice() {
                [from, until] => plain(Check::Between(self.bound(from), self.bound(until))),
                _ => Err("between takes two values: the first and the last".to_owned()),
            },
            Operator::In => plain(Check::OneOf(self.list(given)?)),
            Operator::NotIn => Ok((Check::OneOf(self.list(given)?), true)),
            Operator::Contains if self.is_list() => plain(Check::Has(self.element(given)?)),
            Operator::Contains => plain(pattern(given, "%", "%")?),
            Operator::Starts => plain(pattern(given, "", "%")?),
            Operator::Ends => plain(pattern(given, "%", "")?),
            Operator::Any => plain(Check::HasAny(self.list(given)?)),
            Operator::All => plain(Check::HasAll(self.list(given)?)),
            // A list that is not there is neither empty nor filled.
            Operator::Empty if yes(given, "empty")? => plain(Check::Empty),
            Operator::Empty => plain(Check::Filled),
            Operator::Null => Ok((Check::Null, !yes(given, "null")?)),
        }
    }

    fn is_list(&self) -> bool {
        matches!(self.kind, Kind::TextList { .. })
    }

    fn compare(&self, operator: &'static str, given: &Given) -> Read<Check> {
        Ok(Check::Compare(operator, self.element(given)?))
    }

    fn element(&self, given: &Given) -> Read<Bound> {
        let value = self.read(one(given)?)?;
        Ok(self.bound(&value))
    }

    fn bound(&self, value: &Param) -> Bound {
        let ty = if self.is_list() { Type::TEXT } else { kind::pg_type(self.kind) };
        Bound { value: value.clone(), ty }
    }

    fn list(&self, given: &Given) -> Read<Bound> {
        let values = self.values(given)?;
        Ok(Bound { value: Param::List(values), ty: kind::pg_array_type(self.kind) })
    }

    fn values(&self, given: &Given) -> Read<Vec<Param>> {
        let words = many(given)?;
        if words.len() > VALUES_MAX {
            return Err(format!("takes at most {VALUES_MAX} values"));
        }
        words.iter().map(|word| self.read(word)).collect()
    }

    /// Range and form do not matter to a comparison, only that the value has the column's type.
    fn read(&self, text: &str) -> Read<Param> {
        let kind = match self.kind {
            Kind::Link { to: USERS, .. } if text == ME => {
                let nobody = || "me is nobody here: the caller is no person".to_owned();
                return self.me.map(Param::Uuid).ok_or_else(nobody);
            }
            Kind::Date if Moment::is_relative(text) => {
                return self.moment.date(text).map(Param::Date);
            }
            Kind::Instant if Moment::is_relative(text) => {
                return self.moment.instant(text).map(Param::Instant);
            }
            Kind::Integer { .. } => Kind::Integer { min: i64::MIN, max: i64::MAX },
            Kind::Percent { scale } => Kind::Decimal { scale },
            Kind::Slug
            | Kind::Email
            | Kind::Phone
            | Kind::Url
            | Kind::Language
            | Kind::TimeZone => Kind::Text { max: TEXT_CHARS_MAX },
            other => other,
        };
        kind::read(kind, text).map_err(|refusal| refusal.message)
    }

    /// An amount is comparable within its currency only.
    fn money(&self, operator: Operator, given: &Given) -> Read<(Check, bool)> {
        let words = many(given)?;
        let wanted = if operator == Operator::Between { 3 } else { 2 };
        let (Some((currency, amounts)), true) = (words.split_last(), words.len() == wanted) else {
            let form = if wanted == 3 { "10,20,EUR" } else { "10,EUR" };
            return Err(format!(
                "amounts of different currencies cannot be compared: say the currency, as {form}"
            ));
        };
        let currency = kind::read(Kind::Currency, currency).map_err(|refusal| refusal.message)?;
        let amounts: Vec<Bound> = amounts
            .iter()
            .map(|text| self.read(text).map(|value| self.bound(&value)))
            .collect::<Read<_>>()?;
        let check = match (operator, amounts.as_slice()) {
            (Operator::Eq | Operator::Ne, [amount]) => Check::Compare("=", amount.clone()),
            (Operator::Gt, [amount]) => Check::Compare(">", amount.clone()),
            (Operator::Gte, [amount]) => Check::Compare(">=", amount.clone()),
            (Operator::Lt, [amount]) => Check::Compare("<", amount.clone()),
            (Operator::Lte, [amount]) => Check::Compare("<=", amount.clone()),
            (Operator::Between, [from, until]) => Check::Between(from.clone(), until.clone()),
            _ => return Err("an amount cannot be compared so".to_owned()),
        };
        let currency = Bound { value: currency, ty: Type::TEXT };
        Ok((Check::Money(Box::new(check), currency), operator == Operator::Ne))
    }
}

fn one(given: &Given) -> Read<&str> {
    match given {
        Given::One(text) => Ok(text),
        Given::Many(_) => Err("takes one value".to_owned()),
        Given::Null => Err("takes a value that is not null".to_owned()),
    }
}

/// Words by comma, or a list; JSON keeps commas inside a word.
fn many(given: &Given) -> Read<Vec<String>> {
    match given {
        Given::One(text) => Ok(text.split(',').map(str::to_owned).collect()),
        Given::Many(words) if words.is_empty() => Err("needs at least one value".to_owned()),
        Given::Many(words) => Ok(words.clone()),
        Given::Null => Err("takes values that are not null".to_owned()),
    }
}

fn yes(given: &Given, name: &str) -> Read<bool> {
    match one(given)? {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{name} is true or false")),
    }
}

/// A LIKE pattern in which the caller's own `%`, `_` and `\` mean themselves.
fn pattern(given: &Given, before: &str, after: &str) -> Read<Check> {
    let text = one(given)?;
    let text = match kind::read(Kind::Text { max: TEXT_CHARS_MAX }, text) {
        Ok(Param::Text(text)) => text,
        Ok(_) => return Err("must be a text".to_owned()),
        Err(refusal) => return Err(refusal.message),
    };
    let mut like = String::with_capacity(text.len().saturating_add(2));
    like.push_str(before);
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            like.push('\\');
        }
        like.push(c);
    }
    like.push_str(after);
    Ok(Check::Like(Bound { value: Param::Text(like), ty: Type::TEXT }))
}
